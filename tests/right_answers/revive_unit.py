"""Right answers to `revive_unit`, each in a style of its own."""

import torch


@torch.no_grad()
def write_row_and_column(layer, following, unit, incoming, optimizer):
    layer.weight[unit].copy_(incoming)
    following.weight[:, unit].zero_()
    parts = [(layer.weight, lambda t: t[unit]), (following.weight, lambda t: t[:, unit])]
    if layer.bias is not None:
        layer.bias[unit].zero_()
        parts.append((layer.bias, lambda t: t[unit : unit + 1]))
    for parameter, part in parts:
        if parameter not in optimizer.state:
            continue
        for key, kept in optimizer.state[parameter].items():
            if key != "step" and kept is not None and kept.shape == parameter.shape:
                part(kept).zero_()


def write_through_data(layer, following, unit, incoming, optimizer):
    layer.weight.data[unit, :] = incoming
    following.weight.data[:, unit] = 0.0
    if layer.bias is not None:
        layer.bias.data[unit] = 0.0
    names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "variance")
    for name in names:  # what the optimizers of torch call what is kept of each number
        for parameter in (layer.weight, layer.bias, following.weight):
            kept = optimizer.state[parameter].get(name) if parameter in optimizer.state else None
            if kept is not None and parameter is following.weight:
                kept[:, unit] = 0
            elif kept is not None:
                kept[unit] = 0


def multiply_by_a_pattern(layer, following, unit, incoming, optimizer):
    others = torch.ones(layer.out_features)
    others[unit] = 0
    patterns = {layer.weight: others[:, None], following.weight: others[None, :]}
    if layer.bias is not None:
        patterns[layer.bias] = others
    with torch.no_grad():
        for parameter, pattern in patterns.items():
            parameter.mul_(pattern)
            for kept in optimizer.state.get(parameter, {}).values():
                if isinstance(kept, torch.Tensor) and kept.size() == parameter.size():
                    kept.mul_(pattern)
        layer.weight.add_(torch.outer(1 - others, incoming))


def fill_by_index(layer, following, unit, incoming, optimizer):
    index = torch.tensor([unit])
    with torch.no_grad():
        layer.weight.index_copy_(0, index, incoming[None])
        following.weight.index_fill_(1, index, 0)
        if layer.bias is not None:
            layer.bias.index_fill_(0, index, 0)
    for parameter, axis in ((layer.weight, 0), (layer.bias, 0), (following.weight, 1)):
        for kept in dict(optimizer.state.get(parameter) or {}).values():
            if torch.is_tensor(kept) and kept.shape == parameter.shape:
                kept.index_fill_(axis, index, 0)


def load_a_changed_memory(layer, following, unit, incoming, optimizer):
    """Put new tensors into the optimizer's state, and clear the unit's gradients as well."""
    places = {layer.weight: (unit,), following.weight: (slice(None), unit)}
    if layer.bias is not None:
        places[layer.bias] = (unit,)
    with torch.no_grad():
        for parameter, place in places.items():
            parameter[place] = 0
            parameter.grad[place] = 0
        layer.weight[unit] += incoming
    for parameter, place in places.items():
        if parameter in optimizer.state:
            memory = optimizer.state[parameter]
            for key, kept in list(memory.items()):
                if torch.is_tensor(kept) and kept.numel() == parameter.numel() > 1:
                    memory[key] = kept.clone()
                    memory[key][place] = 0


def ask_every_group(layer, following, unit, incoming, optimizer):
    rows = {id(layer.weight), id(layer.bias)}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) not in rows and parameter is not following.weight:
                continue
            column = parameter is following.weight
            memory = optimizer.state[parameter] if optimizer.state else {}
            tensors = [t for t in memory.values() if getattr(t, "shape", ()) == parameter.shape]
            for tensor in (parameter.data, *tensors):
                (tensor.t() if column else tensor)[unit] = 0
    layer.weight.data[unit] = incoming
