"""Right answers to `renew_units`, each in a style of its own."""

import torch


def go_unit_by_unit(layer, norm, following, units, incoming, optimizer):
    run = following.weight.shape[1] // layer.weight.shape[0]
    for fresh, unit in zip(incoming, units.nonzero().flatten().tolist(), strict=True):
        columns = (slice(None), slice(unit * run, (unit + 1) * run))
        parts = [(layer.weight, unit, fresh), (following.weight, columns, 0.0)]
        if layer.bias is not None:
            parts.append((layer.bias, unit, 0.0))
        if norm is not None:
            parts += [(norm.weight, unit, 1.0), (norm.bias, unit, 0.0)]
            norm.running_mean[unit] = 0.0
            norm.running_var[unit] = 1.0
        for parameter, place, value in parts:
            parameter.data[place] = value
            for kept in optimizer.state.get(parameter, {}).values():
                if torch.is_tensor(kept) and kept.shape == parameter.shape:
                    kept[place] = 0.0


def multiply_by_masks(layer, norm, following, units, incoming, optimizer):
    """Every tensor has a mask in its own shape, True where it belongs to the units."""

    def of_rows(tensor):
        return units.view(-1, *[1] * (tensor.dim() - 1)).expand_as(tensor)

    def of_columns(tensor):
        rest = tensor.shape[2:]
        by_channel = torch.zeros(tensor.shape[0], len(units), *rest, dtype=torch.bool)
        if tensor.shape[1] != len(units):
            by_channel = torch.zeros(tensor.shape[0], len(units), tensor.shape[1] // len(units))
            by_channel = by_channel.bool()
        by_channel[:, units] = True
        return by_channel.reshape(tensor.shape)

    masks = {layer.weight: of_rows(layer.weight), following.weight: of_columns(following.weight)}
    for owner in (layer, norm):
        bias = getattr(owner, "bias", None)
        if bias is not None:
            masks[bias] = units
    if norm is not None:
        masks[norm.weight] = units
        norm.running_mean.masked_fill_(units, 0)
        norm.running_var.masked_fill_(units, 1)
    for parameter, mask in masks.items():
        parameter.data.masked_fill_(mask, 1 if norm is not None and parameter is norm.weight else 0)
        for kept in optimizer.state[parameter].values() if parameter in optimizer.state else ():
            if torch.is_tensor(kept) and kept.shape == mask.shape:
                kept.masked_fill_(mask, 0)
    layer.weight.data[units] = incoming


@torch.no_grad()
def view_columns_as_runs(layer, norm, following, units, incoming, optimizer):
    """A view with an axis of channels; the memory of following is viewed alike."""
    chosen = torch.where(units)[0]

    def by_channel(tensor):
        return tensor.view(tensor.shape[0], len(units), -1)

    def memories(parameter):
        kept = optimizer.state.get(parameter, {})
        return [t for t in kept.values() if torch.is_tensor(t) and t.shape == parameter.shape]

    layer.weight.index_copy_(0, chosen, incoming)
    owned = [layer.weight, layer.bias]
    if layer.bias is not None:
        layer.bias.index_fill_(0, chosen, 0)
    if norm is not None:
        for name, value in {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}.items():
            getattr(norm, name).index_fill_(0, chosen, value)
        owned += [norm.weight, norm.bias]
    for tensor in [following.weight, *memories(following.weight)]:
        by_channel(tensor).index_fill_(1, chosen, 0)
    for parameter in owned:
        for tensor in memories(parameter) if parameter is not None else ():
            tensor.index_fill_(0, chosen, 0)
