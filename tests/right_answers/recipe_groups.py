"""Right answers to `recipe_groups`, each in a style of its own."""

from collections import defaultdict


def walk_through_modules(model, rate, bend_rate, decay):
    groups, met = defaultdict(list), set()
    for path, module in model.named_modules():
        for parameter in module.parameters(recurse=False):
            if id(parameter) in met or not parameter.requires_grad:
                continue
            met.add(id(parameter))
            if "bend" in path.split("."):
                groups[bend_rate, 0.0].append(parameter)
            else:
                groups[rate, decay if parameter.dim() >= 2 else 0.0].append(parameter)
    if not met:
        raise ValueError("nothing to train")
    return [
        {"params": params, "lr": lr, "weight_decay": weight_decay}
        for (lr, weight_decay), params in groups.items()
    ]


def mark_activations_first(model, rate, bend_rate, decay):
    paths = [path for path, _ in model.named_modules() if path.rpartition(".")[2] == "bend"]
    marked = {p for path in paths for p in model.get_submodule(path).parameters()}
    trainable = [p for p in model.parameters() if p.requires_grad]
    bends = [p for p in trainable if p in marked]
    scales = [p for p in trainable if p not in marked and len(p.shape) in (0, 1)]
    weights = [p for p in trainable if p not in marked and len(p.shape) > 1]
    groups = []
    if bends:
        groups.append(dict(params=bends, lr=bend_rate, weight_decay=0.0))
    if scales:
        groups.append(dict(params=scales, lr=rate, weight_decay=0))
    if weights:
        groups.append(dict(params=weights, lr=rate, weight_decay=decay))
    if not groups:
        raise ValueError("the model is frozen")
    return groups


def a_group_for_each_parameter(model, rate, bend_rate, decay):
    groups = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        bends = f".{name.rpartition('.')[0]}.".find(".bend.") >= 0
        decays = parameter.ndim > 1 and not bends
        settings = {"lr": bend_rate if bends else rate, "weight_decay": decay * decays}
        groups.append({"params": parameter, **settings})
    if groups:
        return tuple(groups)
    raise ValueError("no parameter is trainable")
