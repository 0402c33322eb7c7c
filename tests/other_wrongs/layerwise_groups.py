"""Wrong answers to `layerwise_groups` that come from none of its beliefs."""

import torch


def _groups(model, rate, own=True, order=lambda layers: layers):
    layers = [[*child.parameters()] for child in model.children()]
    first, *others = [layer for layer in layers if layer] or [[]]
    layers = order([[*model.parameters(recurse=False), *first] if own else first, *others])
    taken, groups = set(), []
    for place, layer in enumerate(layers):
        params = [p for p in layer if p.requires_grad and p not in taken]
        taken.update(params)
        groups.append({"params": params, "lr": rate(len(layers) - 1 - place, len(layers))})
    if not taken:
        raise ValueError("frozen")
    return groups


def give_all_the_base_rate(model, base_rate, factor):
    return _groups(model, lambda power, count: base_rate)


def fall_in_even_steps(model, base_rate, factor):
    return _groups(model, lambda power, count: base_rate * (1 - power * (1 - factor) / count))


def divide_by_the_factor(model, base_rate, factor):
    return _groups(model, lambda power, count: base_rate / factor**power)


def apply_the_factor_once(model, base_rate, factor):
    return _groups(model, lambda power, count: base_rate * (factor if power else 1))


def multiply_by_the_number(model, base_rate, factor):
    return _groups(model, lambda power, count: base_rate * factor * max(power, 1 / factor))


def spread_the_factor_over_all(model, base_rate, factor):
    """The first layer has the factor once, whatever the number of layers."""
    return _groups(model, lambda power, count: base_rate * factor ** (power / max(1, count - 1)))


def tell_weights_apart_by_shape(model, base_rate, factor):
    groups, shapes = _groups(model, lambda power, count: base_rate * factor**power), set()
    for group in groups:
        group["params"] = [
            p for p in group["params"] if not (p.shape in shapes or shapes.add(p.shape))
        ]
    return groups


def copy_the_parameters(model, base_rate, factor):
    groups = _groups(model, lambda power, count: base_rate * factor**power)
    for group in groups:
        group["params"] = [p.detach().clone() for p in group["params"]]
    return groups


def leave_biases_out(model, base_rate, factor):
    groups = _groups(model, lambda power, count: base_rate * factor**power)
    for group in groups:
        group["params"] = [p for p in group["params"] if p.dim() > 1]
    return groups


def put_what_is_outside_with_the_head(model, base_rate, factor):
    groups = _groups(model, lambda power, count: base_rate * factor**power, own=False)
    groups[-1]["params"] += [*model.parameters(recurse=False)]
    return groups


def return_an_optimizer(model, base_rate, factor):
    return torch.optim.SGD(_groups(model, lambda power, count: base_rate * factor**power))


def thaw_the_model(model, base_rate, factor):
    model.requires_grad_(True)
    return _groups(model, lambda power, count: base_rate * factor**power)


def clear_the_gradients(model, base_rate, factor):
    model.zero_grad()
    return _groups(model, lambda power, count: base_rate * factor**power)


def freeze_what_it_takes(model, base_rate, factor):
    groups = _groups(model, lambda power, count: base_rate * factor**power)
    model.requires_grad_(False)
    return groups


def take_what_has_a_gradient(model, base_rate, factor):
    groups = _groups(model, lambda power, count: base_rate * factor**power)
    for group in groups:
        group["params"] = [p for p in group["params"] if p.grad is not None]
    return groups


def refuse_shared_weights(model, base_rate, factor):
    if len([*model.named_parameters(remove_duplicate=False)]) > len([*model.parameters()]):
        raise KeyError("shared")
    return _groups(model, lambda power, count: base_rate * factor**power)


def keep_rates_above_a_billionth(model, base_rate, factor):
    return _groups(model, lambda power, count: max(1e-9, base_rate * factor**power))
