"""Right answers to `layerwise_groups`, each in a style of its own."""

import torch


def give_each_name_its_layer(model, base_rate, factor):
    """named_parameters tells each parameter once, by its first name."""
    layers = [name for name, child in model._modules.items() if [*child.parameters()]]
    groups = {name: [] for name in layers or [""]}
    lowest = next(iter(groups))
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            layer = name.split(".")[0]
            groups[layer if "." in name else lowest].append(parameter)
    if not any(groups.values()):
        raise ValueError("nothing to train")
    powers = range(len(groups) - 1, -1, -1)
    return [
        {"params": params, "lr": base_rate * factor**power}
        for params, power in zip(groups.values(), powers, strict=True)
    ]


def give_each_parameter_a_group(model, base_rate, factor):
    children = [c for c in model.children() if any(True for _ in c.parameters())]
    rate_of = {}
    for height, child in enumerate(reversed(children)):
        for parameter in child.parameters():
            rate_of[parameter] = base_rate * factor**height
    for parameter in model.parameters(recurse=False):
        rate_of[parameter] = base_rate * factor ** max(0, len(children) - 1)
    groups = [{"params": p, "lr": r} for p, r in rate_of.items() if p.requires_grad]
    if not groups:
        raise ValueError("all frozen")
    return groups


def multiply_step_by_step(model, base_rate, factor):
    parts = [list(child.parameters()) for child in model.children()]
    parts = [part for part in parts if len(part)]
    if not parts:
        parts = [[]]
    parts[0] = parts[0] + list(model.parameters(recurse=False))
    groups, lr = [], base_rate
    for number, part in reversed([*enumerate(parts)]):
        below = {id(p) for lower in parts[:number] for p in lower}
        params = [p for p in part if p.requires_grad and id(p) not in below]
        if params:
            groups.insert(0, {"params": params, "lr": lr})
        lr = lr * factor
    if len(groups) == 0:
        raise ValueError("there is nothing to train")
    torch.optim.SGD(groups)
    return groups


def tell_names_too(model, base_rate, factor):
    """Groups of (name, parameter), as torch takes them as well."""
    tops = {}
    for name, child in model.named_children():
        if next(child.parameters(), None) is not None:
            tops[name] = len(tops)
    groups = [
        {"params": [], "lr": base_rate * factor ** (max(len(tops), 1) - 1 - k)}
        for k in range(max(len(tops), 1))
    ]
    trainable = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    if not trainable:
        raise ValueError("frozen throughout")
    for name, parameter in trainable:
        top, dot, _ = name.partition(".")
        groups[tops[top] if dot else 0]["params"].append((name, parameter))
    return groups
