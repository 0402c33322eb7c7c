"""Right answers to `walsh_hadamard`, each in a style of its own."""

import math

import torch


def _power_of_two(n):
    return n > 0 and n & (n - 1) == 0


def by_halves(x):
    n = x.size(-1)
    if not _power_of_two(n):
        raise ValueError(n)
    if n == 1:
        return x
    above, below = (by_halves(half) for half in x.chunk(2, -1))
    return torch.cat([above + below, above - below], dim=-1) / 2**0.5


def by_two_small_matrices(x):
    n = x.shape[-1]
    if not _power_of_two(n):
        raise ValueError(f"{n} is no power of two")

    def small(digits):
        h = torch.ones(1, 1, dtype=x.dtype)
        pair = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=x.dtype) / math.sqrt(2)
        for _ in range(digits):
            h = torch.kron(pair, h)
        return h

    digits = n.bit_length() - 1
    first, second = small(digits // 2), small(digits - digits // 2)
    blocks = x.reshape(*x.shape[:-1], len(first), len(second))
    return (first @ blocks @ second).reshape(x.shape)


def by_blocks_that_double(x):
    n = x.shape[-1]
    if not _power_of_two(n):
        raise ValueError("no power of two")
    mixed, size = x.contiguous(), 1
    while size < n:
        pairs = mixed.reshape(*x.shape[:-1], n // (2 * size), 2, size)
        one, other = pairs.unbind(-2)
        mixed = torch.stack([one + other, one - other], -2).reshape(x.shape)
        size *= 2
    return mixed * n**-0.5


def by_an_axis_for_each_digit(x):
    n = x.shape[-1]
    if n not in [2**k for k in range(40)]:
        raise ValueError(f"length {n}")
    axes = [2] * (n.bit_length() - 1)
    mixed = x.reshape(-1, *axes) if x.numel() else x
    for axis in range(1, len(axes) + 1 if x.numel() else 1):
        one, other = mixed.unbind(axis)
        mixed = torch.stack([one + other, one - other], axis)
    return mixed.reshape(x.shape) / math.sqrt(n)
