"""Right answers to `add_adapter`, each in a style of its own."""

import torch
from torch import nn
from torch.nn.utils import parametrize


class _Adapted(nn.Module):
    def __init__(self, linear, rank):
        super().__init__()
        self.linear = linear
        for parameter in linear.parameters():
            parameter.requires_grad = False
        self.D = nn.Parameter(linear.weight.new_empty(linear.in_features, rank).normal_())
        self.U = nn.Parameter(linear.weight.new_zeros(rank, linear.out_features))

    def forward(self, x):
        return self.linear(x) + (x @ self.D) @ self.U


def with_a_class(linear, rank):
    if rank < 1 or rank > linear.in_features or rank > linear.out_features:
        raise ValueError(f"rank {rank}")
    return _Adapted(linear, rank)


def with_a_hook_on_the_layer(linear, rank):
    if rank not in range(1, min(linear.weight.shape) + 1):
        raise ValueError(rank)
    linear.requires_grad_(False)
    dtype = linear.weight.dtype
    linear.register_parameter(
        "down", nn.Parameter(torch.rand(linear.in_features, rank, dtype=dtype) - 0.5)
    )
    linear.register_parameter(
        "up", nn.Parameter(torch.zeros(rank, linear.out_features, dtype=dtype))
    )
    linear.register_forward_hook(
        lambda module, given, result: result + given[0] @ module.down @ module.up
    )
    return linear


class _Added(nn.Module):
    def __init__(self, outputs, inputs, rank, dtype):
        super().__init__()
        self.up = nn.Parameter(torch.zeros(outputs, rank, dtype=dtype))
        self.down = nn.Parameter(torch.randn(rank, inputs, dtype=dtype) / inputs**0.5)

    def forward(self, weight):
        return weight + self.up @ self.down


def with_a_parametrization(linear, rank):
    if not 0 < rank <= min(linear.in_features, linear.out_features):
        raise ValueError("no such rank")
    added = _Added(*linear.weight.shape, rank, linear.weight.dtype)
    linear.requires_grad_(False)
    parametrize.register_parametrization(linear, "weight", added)
    return linear
