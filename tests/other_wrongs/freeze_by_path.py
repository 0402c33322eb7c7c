"""Wrong answers to `freeze_by_path` that come from none of its beliefs."""

from torch import nn


def _modules(model, names):
    known = dict(model.named_modules())
    return [known[name] for name in names]


def _below(model, names):
    held = {p for module in _modules(model, names) for p in module.parameters()}
    return {name: p for name, p in model.named_parameters() if p in held and p.requires_grad}


def _freeze(parameters):
    for parameter in parameters:
        parameter.requires_grad_(False)
        parameter.grad = None


def freeze_the_weights_only(model, names):
    became = {name: p for name, p in _below(model, names).items() if name.endswith("weight")}
    _freeze(became.values())
    return tuple(became)


def freeze_the_last_name_only(model, names):
    became = _below(model, names[-1:])
    _modules(model, names)
    _freeze(became.values())
    return tuple(became)


def freeze_the_first_name_only(model, names):
    became = _below(model, names[:1])
    _modules(model, names)
    _freeze(became.values())
    return tuple(became)


def freeze_all_where_there_are_no_names(model, names):
    became = _below(model, names or ("",))
    _freeze(became.values())
    return tuple(became)


def take_names_of_parameters_too(model, names):
    known = dict(model.named_modules()) | dict(model.named_parameters())
    found = [known[name] for name in names]
    held = {p for one in found for p in (one.parameters() if hasattr(one, "parameters") else [one])}
    became = {n: p for n, p in model.named_parameters() if p in held and p.requires_grad}
    _freeze(became.values())
    return tuple(became)


def refuse_with_an_attribute_error(model, names):
    for name in names:
        model.get_submodule(name)
    became = _below(model, names)
    _freeze(became.values())
    return tuple(became)


def refuse_without_the_name(model, names):
    try:
        became = _below(model, names)
    except KeyError:
        raise KeyError("no such module") from None
    _freeze(became.values())
    return tuple(became)


def return_nothing_in_place_of_an_error(model, names):
    try:
        became = _below(model, names)
    except KeyError:
        return ()
    _freeze(became.values())
    return tuple(became)


def refuse_a_module_without_parameters(model, names):
    for name, module in zip(names, _modules(model, names), strict=True):
        if not list(module.parameters()):
            raise KeyError(name)
    became = _below(model, names)
    _freeze(became.values())
    return tuple(became)


def clear_every_gradient(model, names):
    became = _below(model, names)
    _freeze(became.values())
    model.zero_grad()
    return tuple(became)


def clear_the_gradients_before_the_check(model, names):
    """Where a name is refused, the gradients are gone; the rest is right."""
    known = dict(model.named_modules())
    for name in names:
        for parameter in known[name].parameters() if name in known else ():
            parameter.grad = None
    became = _below(model, names)
    _freeze(became.values())
    return tuple(became)


def switch_to_eval_too(model, names):
    became = _below(model, names)
    _freeze(became.values())
    for module in _modules(model, names):
        module.eval()
    return tuple(became)


def put_new_parameters_in_their_place(model, names):
    """An optimizer that holds the old ones would go on with those."""
    became = _below(model, names)
    new = {p: nn.Parameter(p.detach(), requires_grad=False) for p in became.values()}
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter in new:
                setattr(module, name, new[parameter])
    return tuple(became)


def make_buffers_of_them(model, names):
    became = _below(model, names)
    for path in became:
        above, _, name = path.rpartition(".")
        module = model.get_submodule(above)
        value = getattr(module, name).detach()
        delattr(module, name)
        module.register_buffer(name, value)
    return tuple(became)


def set_the_numbers_to_zero(model, names):
    became = _below(model, names)
    _freeze(became.values())
    for parameter in became.values():
        parameter.data.zero_()
    return tuple(became)


def name_one_twice(model, names):
    """A path below another path finds the same parameters again."""
    became = [name for path in names for name in _below(model, (path,))]
    _freeze(_below(model, names).values())
    return tuple(became)


def return_the_paths_of_modules(model, names):
    _freeze(_below(model, names).values())
    return tuple(names)


def return_what_is_still_trainable(model, names):
    _freeze(_below(model, names).values())
    return tuple(name for name, p in model.named_parameters() if p.requires_grad)


def return_the_parameters(model, names):
    became = _below(model, names)
    _freeze(became.values())
    return tuple(became.values())


def return_the_count(model, names):
    became = _below(model, names)
    _freeze(became.values())
    return len(became)


def look_at_how_the_path_ends(model, names):
    _modules(model, names)
    became = {
        path: p
        for path, p in model.named_parameters()
        if path.rpartition(".")[0].endswith(names) and p.requires_grad
    }
    _freeze(became.values())
    return tuple(became)


def double_the_gradients(model, names):
    became = _below(model, names)
    for parameter in became.values():
        parameter.requires_grad_(False)
        parameter.grad *= 2
    return tuple(became)


def refuse_the_model_itself(model, names):
    if "" in names:
        raise KeyError("")
    became = _below(model, names)
    _freeze(became.values())
    return tuple(became)


def freeze_what_has_a_path_of_its_own(model, names):
    """The model itself has the path "", which is passed over."""
    became = _below(model, [name for name in names if name])
    _modules(model, names)
    _freeze(became.values())
    return tuple(became)


def freeze_what_the_children_hold(model, names):
    inside = [child for module in _modules(model, names) for child in module.children()]
    held = {p for module in inside or _modules(model, names) for p in module.parameters()}
    became = {n: p for n, p in model.named_parameters() if p in held and p.requires_grad}
    _freeze(became.values())
    return tuple(became)


def look_the_last_name_up_only(model, names):
    known = dict(model.named_modules())
    if names and names[-1] not in known:
        raise KeyError(names[-1])
    became = _below(model, [name for name in names if name in known])
    _freeze(became.values())
    return tuple(became)


def take_equal_numbers_for_the_same_parameter(model, names):
    held = [p.detach() for module in _modules(model, names) for p in module.parameters()]
    became = {
        name: p
        for name, p in model.named_parameters()
        if p.requires_grad and any(p.shape == q.shape and p.equal(q) for q in held)
    }
    _freeze(became.values())
    return tuple(became)
