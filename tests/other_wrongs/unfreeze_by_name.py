"""Wrong answers to `unfreeze_by_name` that come from none of its beliefs."""


def _fits(name, pattern):
    path, steps = name.split("."), pattern.split(".")
    if len(steps) > len(path):
        return False
    return all(step in ("*", own) for step, own in zip(steps, path, strict=False))


def _found(model, patterns, fits=_fits):
    named = [*model.named_parameters(remove_duplicate=False)]
    found = {pattern: [p for name, p in named if fits(name, pattern)] for pattern in patterns}
    for pattern, parameters in found.items():
        if not parameters:
            raise ValueError(pattern)
    return {p for parameters in found.values() for p in parameters}


def _set(model, opened):
    for parameter in model.parameters():
        parameter.requires_grad_(parameter in opened)


def freeze_what_is_named(model, patterns):
    opened = _found(model, patterns)
    for parameter in model.parameters():
        parameter.requires_grad_(parameter not in opened)


def take_the_first_pattern_only(model, patterns):
    _found(model, patterns)
    _set(model, _found(model, patterns[:1]))


def turn_the_flags_round(model, patterns):
    """What is named is opened if it was frozen, and frozen if it was open."""
    for parameter in _found(model, patterns):
        parameter.requires_grad_(not parameter.requires_grad)


def open_everything_where_nothing_is_named(model, patterns):
    _set(model, _found(model, patterns) if patterns else {*model.parameters()})


def let_a_star_stand_for_nothing_too(model, patterns):
    def fits(name, pattern):
        return _fits(name, pattern) or ("*" in pattern and _fits(name, pattern.replace("*.", "")))

    _set(model, _found(model, patterns, fits))


def let_a_star_stand_for_numbers_only(model, patterns):
    def fits(name, pattern):
        path, steps = name.split("."), pattern.split(".")
        return len(steps) <= len(path) and all(
            step == own or (step == "*" and own.isdigit())
            for step, own in zip(steps, path, strict=False)
        )

    _set(model, _found(model, patterns, fits))


def take_a_star_for_the_name_of_a_layer(model, patterns):
    _set(model, _found(model, patterns, lambda name, pattern: f"{name}.".startswith(f"{pattern}.")))


def compare_as_many_steps_as_there_are(model, patterns):
    """A short name fits a long pattern."""

    def fits(name, pattern):
        pairs = zip(pattern.split("."), name.split("."), strict=False)
        return all(step in ("*", own) for step, own in pairs)

    _set(model, _found(model, patterns, fits))


def look_at_the_end_of_the_name(model, patterns):
    def fits(name, pattern):
        path, steps = name.split("."), pattern.split(".")
        return any(
            all(step in ("*", own) for step, own in zip(steps[::-1], path[:k][::-1], strict=False))
            and len(steps) <= k
            for k in range(1, len(path) + 1)
        )

    _set(model, _found(model, patterns, fits))


def raise_a_key_error(model, patterns):
    try:
        opened = _found(model, patterns)
    except ValueError as error:
        raise KeyError(str(error)) from error
    _set(model, opened)


def freeze_all_before_the_check(model, patterns):
    model.requires_grad_(False)
    _set(model, _found(model, patterns))


def open_one_after_the_other(model, patterns):
    """What came before the unknown pattern is open by then."""
    opened = set()
    for pattern in patterns:
        opened |= _found(model, [pattern])
        _set(model, opened)
    _set(model, opened)


def leave_the_biases_frozen(model, patterns):
    opened = _found(model, patterns)
    _set(model, {p for p in opened if p.ndim > 1})


def open_whole_modules(model, patterns):
    """Where one parameter of a module is named, all that it holds itself are opened."""
    opened = _found(model, patterns)
    for module in model.modules():
        own = {*module.parameters(recurse=False)}
        opened |= own if own & opened else set()
    _set(model, opened)


def refuse_only_if_nothing_at_all_is_named(model, patterns):
    found = set()
    for pattern in patterns:
        found |= {p for n, p in model.named_parameters(remove_duplicate=False) if _fits(n, pattern)}
    if patterns and not found:
        raise ValueError(patterns)
    _set(model, found)


def switch_modes_along(model, patterns):
    _set(model, _found(model, patterns))
    for module in model.modules():
        module.train(any(p.requires_grad for p in module.parameters()))


def compare_lengths_as_well(model, patterns):
    """A pattern names what has as many steps as it, or one more."""

    def fits(name, pattern):
        return _fits(name, pattern) and name.count(".") - pattern.count(".") < 2

    _set(model, _found(model, patterns, fits))


def open_what_fits_every_pattern(model, patterns):
    found = [_found(model, [pattern]) for pattern in patterns]
    _set(model, set.intersection(*found) if found else set())
