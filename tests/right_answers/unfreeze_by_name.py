"""Right answers to `unfreeze_by_name`, each in a style of its own."""

import re
from fnmatch import fnmatchcase


def by_an_expression_for_each(model, patterns):
    names = list(model.named_parameters(remove_duplicate=False))
    found = []
    for pattern in patterns:
        steps = [r"[^.]+" if step == "*" else re.escape(step) for step in pattern.split(".")]
        whole = re.compile(r"\.".join(steps) + r"(\..*)?")
        fitting = [parameter for name, parameter in names if whole.fullmatch(name)]
        if len(fitting) == 0:
            raise ValueError(pattern)
        found += fitting
    model.requires_grad_(False)
    for parameter in found:
        parameter.requires_grad_(True)


def _walk(module, steps):
    """The parameters that the steps lead to from this module."""
    if not steps:
        return list(module.parameters())
    first, *rest = steps
    found = []
    for name, child in module.named_children():
        if first in ("*", name):
            found += _walk(child, rest)
    for name, parameter in module.named_parameters(recurse=False):
        if first in ("*", name) and not rest:
            found.append(parameter)
    return found


def walk_down_the_modules(model, patterns):
    found = [_walk(model, pattern.split(".")) for pattern in patterns]
    if not all(found):
        raise ValueError(f"{patterns[[bool(part) for part in found].index(False)]}: nothing")
    ids = {id(parameter) for part in found for parameter in part}
    for parameter in model.parameters():
        parameter.requires_grad = id(parameter) in ids


def by_fnmatch_of_each_step(model, patterns):
    is_open, used = {}, set()
    for name, parameter in model.named_parameters(remove_duplicate=False):
        path = name.split(".")
        is_open.setdefault(parameter, False)
        for pattern in patterns:
            steps = pattern.split(".")
            own = path[: len(steps)]
            if len(own) == len(steps) and all(map(fnmatchcase, own, steps)):
                is_open[parameter] = True
                used.add(pattern)
    if unused := set(patterns) - used:
        raise ValueError(f"these name nothing: {sorted(unused)}")
    for parameter, flag in is_open.items():
        parameter.requires_grad_(flag)


def cut_names_to_length(model, patterns):
    """A name is cut to as many steps as the pattern has, and stars are put where it has them."""
    chosen = set()
    for pattern in patterns:
        steps = pattern.split(".")
        count = 0
        for name, parameter in model.named_parameters(remove_duplicate=False):
            path = name.split(".")[: len(steps)]
            starred = ["*" if k < len(steps) and steps[k] == "*" else s for k, s in enumerate(path)]
            if starred == steps:
                chosen.add(parameter)
                count += 1
        if count == 0:
            raise ValueError("no parameter is called " + pattern)
    for parameter in model.parameters():
        parameter.requires_grad_(parameter in chosen)
