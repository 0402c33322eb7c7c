"""Wrong answers to `add_adapter` that come from none of its beliefs."""

import torch
from torch import nn


class _Beside(nn.Module):
    def __init__(self, base, down, up, bend=None, **others):
        super().__init__()
        self.base, self.bend = base, bend
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)
        for name, value in others.items():
            self.register_parameter(name, nn.Parameter(value))

    def adapter(self, x):
        hidden = x @ self.down
        return (self.bend(hidden) if self.bend else hidden) @ self.up

    def forward(self, x):
        return self.base(x) + self.adapter(x)


def _check(linear, rank):
    if not 1 <= rank <= min(linear.in_features, linear.out_features):
        raise ValueError(rank)


def _matrices(linear, rank):
    down = torch.randn(linear.in_features, rank, dtype=linear.weight.dtype)
    return down, torch.zeros(rank, linear.out_features, dtype=linear.weight.dtype)


def _made(linear, rank, kind=_Beside, **others):
    return kind(linear.requires_grad_(False), *_matrices(linear, rank), **others)


def give_d_equal_columns(linear, rank):
    _check(linear, rank)
    down, up = _matrices(linear, rank)
    return _Beside(linear.requires_grad_(False), torch.ones_like(down), up)


def bend_what_lies_between(linear, rank):
    _check(linear, rank)
    return _made(linear, rank, bend=torch.relu)


class _Gated(_Beside):
    def forward(self, x):
        return self.base(x) + self.gate * self.adapter(x)


def open_a_gate_from_0(linear, rank):
    _check(linear, rank)
    down, up = _matrices(linear, rank)
    gate = torch.zeros((), dtype=up.dtype)
    return _Gated(linear.requires_grad_(False), down, torch.randn_like(up), gate=gate)


class _Biased(_Beside):
    def forward(self, x):
        return self.base(x) + self.adapter(x) + self.bias


def give_the_adapter_a_bias(linear, rank):
    _check(linear, rank)
    bias = torch.zeros(linear.out_features, dtype=linear.weight.dtype)
    return _made(linear, rank, kind=_Biased, bias=bias)


class _Only(_Beside):
    def forward(self, x):
        return self.adapter(x)


def leave_the_layer_out(linear, rank):
    _check(linear, rank)
    return _made(linear, rank, kind=_Only)


class _Blocked(_Beside):
    def forward(self, x):
        return self.base(x) + self.adapter(x.detach())


def hand_nothing_back_through_the_adapter(linear, rank):
    _check(linear, rank)
    return _made(linear, rank, kind=_Blocked)


def take_twice_the_rank(linear, rank):
    _check(linear, rank)
    return _made(linear, 2 * rank)


def always_take_rank_1(linear, rank):
    _check(linear, rank)
    return _made(linear, 1)


def always_take_float32(linear, rank):
    _check(linear, rank)
    down, up = _matrices(linear, rank)
    return _Beside(linear.requires_grad_(False), down.float(), up.float())


def clear_the_weight(linear, rank):
    _check(linear, rank)
    nn.init.zeros_(linear.weight)
    return _made(linear, rank)


def freeze_everything(linear, rank):
    _check(linear, rank)
    return _made(linear, rank).requires_grad_(False)


def return_a_function(linear, rank):
    _check(linear, rank)
    module = _made(linear, rank)
    return lambda x: module(x)


def return_the_layer_frozen(linear, rank):
    _check(linear, rank)
    return linear.requires_grad_(False)


def refuse_full_rank(linear, rank):
    if not 1 <= rank < min(linear.in_features, linear.out_features):
        raise ValueError(rank)
    return _made(linear, rank)


def measure_the_rank_by_the_larger_side(linear, rank):
    if not 1 <= rank <= max(linear.in_features, linear.out_features):
        raise ValueError(rank)
    return _made(linear, rank)


def let_rank_0_through(linear, rank):
    if not 0 <= rank <= min(linear.in_features, linear.out_features):
        raise ValueError(rank)
    return _made(linear, rank)


def assert_the_rank(linear, rank):
    assert 1 <= rank <= min(linear.in_features, linear.out_features)
    return _made(linear, rank)


def flatten_batches(linear, rank):
    _check(linear, rank)
    module = _made(linear, rank)
    return nn.Sequential(nn.Flatten(0, -2), module)
