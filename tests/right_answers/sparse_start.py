"""Right answers to `sparse_start`, each in a style of its own."""

import math

import torch


def go_from_unit_to_unit(kept, generator):
    weights = torch.zeros(kept.shape)
    for unit, flags in zip(weights, kept, strict=True):
        count = int(flags.sum())
        if count:
            unit[flags] = torch.randn(count, generator=generator) * math.sqrt(2 / count)
    return weights


def draw_dense_and_divide_by_the_density(kept, generator):
    dense = torch.empty(kept.shape).normal_(0, (2 / kept[0].numel()) ** 0.5, generator=generator)
    axes = tuple(range(1, kept.dim()))
    density = kept.float().mean(axes, keepdim=True)
    return torch.where(kept, dense / density.sqrt(), torch.zeros(()))


def draw_the_kept_only(kept, generator):
    inputs = kept.flatten(1).sum(1)
    variance = torch.repeat_interleave(2 / inputs[inputs > 0], inputs[inputs > 0])
    weights = torch.zeros(kept.shape)
    weights[kept] = torch.normal(0.0, variance.sqrt(), generator=generator)
    return weights


def use_the_library(kept, generator):
    weights = torch.nn.init.normal_(torch.empty(kept.shape), generator=generator)
    fan = torch.count_nonzero(kept.reshape(len(kept), -1), 1)
    gain = torch.nn.init.calculate_gain("relu")
    scale = torch.where(fan > 0, gain / fan.sqrt(), 0.0)
    weights = torch.einsum("u...,u->u...", weights, scale)
    return weights.masked_fill(~kept, 0)


def turn_nan_into_zero(kept, generator):
    inputs = kept.flatten(1).sum(1).view(-1, *[1] * (kept.dim() - 1))
    weights = torch.randn(kept.shape, generator=generator) * (2 / inputs).sqrt() * kept
    return weights.nan_to_num()
