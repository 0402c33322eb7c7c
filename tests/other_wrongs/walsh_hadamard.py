"""Wrong answers to `walsh_hadamard` that come from none of its beliefs."""

import math

import torch


def _check(x):
    n = x.shape[-1]
    if n < 1 or n & (n - 1):
        raise ValueError(n)
    return n


def _rounds(x, rounds=None):
    n = x.shape[-1]
    for _ in range(n.bit_length() - 1 if rounds is None else rounds):
        even, odd = x[..., 0::2], x[..., 1::2]
        x = torch.cat([even + odd, even - odd], -1)
    return x


def _mixed(x):
    return _rounds(x) / math.sqrt(_check(x))


def forget_the_last_round(x):
    n = _check(x)
    return _rounds(x, max(0, n.bit_length() - 2)) / math.sqrt(n)


def go_one_round_too_far(x):
    n = _check(x)
    return _rounds(x, n.bit_length() if n > 1 else 0) / math.sqrt(n)


def pair_the_same_halves_each_time(x):
    n = _check(x)
    for _ in range(n.bit_length() - 1):
        one, other = x.chunk(2, -1)
        x = torch.cat([one + other, one - other], -1)
    return x / math.sqrt(n)


def pair_the_same_neighbours_each_time(x):
    n = _check(x)
    for _ in range(n.bit_length() - 1):
        even, odd = x[..., 0::2], x[..., 1::2]
        x = torch.stack([even + odd, even - odd], -1).flatten(-2)
    return x / math.sqrt(n)


def take_the_first_from_the_second(x):
    n = _check(x)
    for _ in range(n.bit_length() - 1):
        even, odd = x[..., 0::2], x[..., 1::2]
        x = torch.cat([even + odd, odd - even], -1)
    return x / math.sqrt(n)


def divide_by_the_root_of_the_rounds(x):
    return _rounds(x) / math.sqrt(max(1, _check(x).bit_length() - 1))


def mix_the_first_axis(x):
    return _mixed(x.movedim(0, -1)).movedim(-1, 0)


def refuse_odd_lengths_only(x):
    n = x.shape[-1]
    if n % 2 and n > 1:
        raise ValueError(n)
    return _rounds(x) / math.sqrt(n) if n else x


def let_rows_of_0_through(x):
    n = x.shape[-1]
    if n & (n - 1):
        raise ValueError(n)
    return _rounds(x) / math.sqrt(n) if n else x


def cut_down_to_a_power(x):
    n = x.shape[-1]
    return _mixed(x[..., : 1 << (n.bit_length() - 1)]) if n else x


def assert_the_length(x):
    assert x.shape[-1].bit_count() == 1
    return _mixed(x)


def ask_for_contiguous_rows(x):
    n = _check(x)
    return _mixed(x.view(-1).view(-1, n)).view(x.shape)


def always_answer_in_double(x):
    return _mixed(x.double())


def answer_in_numpy(x):
    return _mixed(x).detach().numpy()


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return _mixed(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def hand_the_gradient_straight_on(x):
    return _Straight.apply(x)


def keep_lengths_by_dividing(x):
    """Right but where squares leave the range of the dtype."""
    mixed = _rounds(x) if _check(x) else x
    longer = mixed.square().sum(-1, keepdim=True) / x.square().sum(-1, keepdim=True)
    return mixed / longer.sqrt()


def normalise_every_row(x):
    mixed = _mixed(x)
    return mixed / mixed.norm(dim=-1, keepdim=True)


def clear_what_was_given(x):
    mixed = _mixed(x)
    with torch.no_grad():
        x.zero_()
    return mixed
