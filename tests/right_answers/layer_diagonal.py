"""Right answers to `layer_diagonal`, each in a style of its own."""

import torch
from torch import nn


def loop_over_samples(inputs, output_gradients):
    met = [(a, g) for a, g in zip(inputs, output_gradients, strict=True) if g is not None]
    n, d, h = len(met[0][0]), met[0][0].shape[-1], met[0][1].shape[-1]
    weight, bias = torch.zeros(h, d).double(), torch.zeros(h).double()
    for row in range(n):
        slope, own = torch.zeros_like(weight), torch.zeros_like(bias)
        for a, g in met:
            for one, back in zip(a[row].reshape(-1, d), g[row].reshape(-1, h), strict=True):
                slope += torch.outer(back, one)
                own += back
        weight += slope**2 / n
        bias += own**2 / n
    return weight, bias


def put_all_uses_in_one_row(inputs, output_gradients):
    n, used = len(inputs[0]), [g is not None for g in output_gradients]
    a = [x.reshape(n, -1, x.shape[-1]) for x, yes in zip(inputs, used, strict=True) if yes]
    g = [x.reshape(n, -1, x.shape[-1]) for x in output_gradients if x is not None]
    rows = torch.cat(a, 1)
    ones = torch.ones(*rows.shape[:2], 1, dtype=rows.dtype)
    slopes = torch.einsum("nth,ntd->nhd", torch.cat(g, 1), torch.cat([rows, ones], 2))
    both = slopes.pow(2).mean(0)
    return [both[:, :-1], both[:, -1]]


def let_autograd_do_it(inputs, output_gradients):
    met = [(a, g) for a, g in zip(inputs, output_gradients, strict=True) if g is not None]
    layer = nn.Linear(met[0][0].shape[-1], met[0][1].shape[-1]).double()
    total = [torch.zeros_like(p) for p in layer.parameters()]
    for row in range(len(met[0][0])):
        uses = sum((layer(a[row]) * g[row]).sum() for a, g in met)
        slopes = torch.autograd.grad(uses, list(layer.parameters()))
        total = [t + s**2 for t, s in zip(total, slopes, strict=True)]
    return tuple((t / len(met[0][0])).detach() for t in total)
