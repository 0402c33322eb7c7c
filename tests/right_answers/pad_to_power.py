"""Right answers to `pad_to_power`, each in a style of its own."""

import math

import torch


def double_until_it_fits(x, most):
    if most < 1:
        raise ValueError(most)
    n, width = x.size(-1), 1
    while width < n and 2 * width <= most:
        width = 2 * width
    if width <= n:
        return x[..., :width].clone()
    zeros = torch.zeros(*x.shape[:-1], width - n, dtype=x.dtype)
    return torch.cat([x, zeros], dim=-1)


def by_logarithms(x, most):
    if most <= 0:
        raise ValueError("there is no room")
    n = x.shape[-1]
    width = 2 ** min(math.ceil(math.log2(n)), math.floor(math.log2(most)))
    kept = x.narrow(-1, 0, min(n, width))
    return torch.nn.functional.pad(kept, (0, max(0, width - n)))


def into_a_tensor_of_zeros(x, most):
    powers = [2**k for k in range(30) if 2**k <= most]
    if not powers:
        raise ValueError(f"most is {most}")
    n = x.shape[-1]
    width = next((power for power in powers if power >= n), powers[-1])
    brought = x.new_zeros((*x.shape[:-1], width))
    brought[..., :n] = x[..., :width]
    return brought


def by_a_matrix(x, most):
    if most < 1:
        raise ValueError("most")
    n = x.shape[-1]
    fits = 1
    while fits < n:
        fits *= 2
    while fits > most:
        fits //= 2
    return x @ torch.eye(n, fits, dtype=x.dtype)
