"""Right answers to `rescale_saturated_units`, each in a style of its own."""

import torch


def on_the_data(layer, x, target):
    z = layer(x).detach()
    factor = torch.clamp((z**2).mean(0) ** 0.5 / target, min=1)
    layer.weight.data /= factor.unsqueeze(1)
    if layer.bias is not None:
        layer.bias.data /= factor
    return factor


@torch.no_grad()
def row_by_row(layer, x, target):
    factors = torch.ones(layer.out_features)
    for unit, z in enumerate(layer(x).T):
        size = (z @ z / len(z)) ** 0.5
        if size > target:
            factors[unit] = size / target
            layer.weight[unit] /= factors[unit]
            if layer.bias is not None:
                layer.bias[unit] /= factors[unit]
    return factors


def copied_into_place(layer, x, target):
    with torch.no_grad():
        size = layer(x).norm(dim=0) / len(x) ** 0.5
        factor = torch.where(size > target, size / target, torch.ones_like(size))
        for parameter in layer.parameters():
            shape = (-1,) + (1,) * (parameter.ndim - 1)
            parameter.copy_(parameter / factor.view(shape))
    return factor


def large_rows_at_once(layer, x, target):
    with torch.no_grad():
        size = torch.sqrt(torch.mean(layer(x) ** 2, dim=0))
        large = size > target
        layer.weight[large] *= (target / size[large])[:, None]
        if layer.bias is not None:
            layer.bias[large] *= target / size[large]
        return torch.maximum(size / target, torch.tensor(1.0))


def a_new_tensor_behind_the_parameter(layer, x, target):
    size = torch.linalg.vector_norm(layer(x).detach(), dim=0) / x.shape[0] ** 0.5
    factor = (size / target).clamp_min(1.0)
    layer.weight.data = layer.weight.data / factor[:, None]
    if layer.bias is not None:
        layer.bias.data = layer.bias.data / factor
    return factor


def by_a_diagonal_matrix(layer, x, target):
    with torch.inference_mode():
        factor = (layer(x).square().mean(0).sqrt() / target).clamp(min=1).clone()
    shrink = torch.diag(1 / factor)
    kept = factor == 1
    with torch.no_grad():
        layer.weight[~kept] = (shrink @ layer.weight)[~kept]
        if layer.bias is not None:
            layer.bias[~kept] = (shrink @ layer.bias)[~kept]
    return factor.tolist()
