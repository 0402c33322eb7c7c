"""Right answers to `unfreeze_top_down`, each in a style of its own."""

from torch import nn


def _blocks(model, path):
    try:
        found = model.get_submodule(path)
    except AttributeError:
        raise ValueError(f"nothing at {path}") from None
    if not isinstance(found, (nn.ModuleList, nn.Sequential)):
        raise ValueError(f"{path} is a {type(found).__name__}")
    return found


def cut_a_list_of_names(model, blocks, count):
    size = len(_blocks(model, blocks))
    named = list(model.named_parameters())
    inside = [k for k, (name, _) in enumerate(named) if name.startswith(blocks + ".")]
    first, last = inside[0], inside[-1]
    children = list(_blocks(model, blocks)._modules)
    for k, (name, parameter) in enumerate(named):
        if k > last:
            parameter.requires_grad = True
        elif k < first:
            parameter.requires_grad = count > size
        else:
            child = name[len(blocks) + 1 :].partition(".")[0]
            parameter.requires_grad = children.index(child) >= size - count


def freeze_all_and_open(model, blocks, count):
    held = _blocks(model, blocks)
    model.requires_grad_(count > len(held))
    top = list(held)[::-1][:count]
    below = {p for block in held for p in block.parameters()}
    above = []
    for parameter in reversed(list(model.parameters())):
        if parameter in below:
            break
        above.append(parameter)
    for block in top:
        block.requires_grad_(True)
    for parameter in above:
        parameter.requires_grad_(True)


def number_the_stages(model, blocks, count):
    size = len(_blocks(model, blocks))
    numbers = {name: size - k for k, name in enumerate(model.get_submodule(blocks)._modules)}
    steps = blocks.split(".")
    depth = len(steps)
    opens_at, stage = {}, size + 1
    for name, parameter in model.named_parameters():
        path = name.split(".")
        if path[:depth] == steps:
            stage = numbers[path[depth]]
        elif stage != size + 1:
            stage = 0
        opens_at[parameter] = stage
    for parameter, stage in opens_at.items():
        parameter.requires_grad_(count >= stage)


def build_the_stages(model, blocks, count):
    held = dict(model.named_modules()).get(blocks)
    if not isinstance(held, nn.ModuleList | nn.Sequential):
        raise ValueError(blocks)
    whole = [*model.parameters()]
    inside = [[*block.parameters()] for block in held]
    flat = {p for block in inside for p in block}
    places = [k for k, p in enumerate(whole) if p in flat]
    stages = [whole[places[-1] + 1 :], *reversed(inside), whole[: places[0]]]
    for number, stage in enumerate(stages):
        for parameter in stage:
            parameter.requires_grad_(number <= count)
