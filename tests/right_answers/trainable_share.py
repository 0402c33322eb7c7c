"""Right answers to `trainable_share`, each in a style of its own."""

import numpy as np
import torch


def loop_over_the_layers(sizes, opened):
    trained = total = 0
    for name, size in sizes.items():
        total += size
        if name in opened:
            trained += size
    return trained / total


def take_the_frozen_share_from_one(sizes, opened):
    frozen = [size for name, size in sizes.items() if name not in opened]
    return 1 - sum(frozen) / sum(sizes.values())


def average_flags_by_size(sizes, opened):
    flags = [name in opened for name in sizes]
    return np.average(flags, weights=[*sizes.values()])


def let_torch_count(sizes, opened):
    counts = torch.tensor(list(sizes.values()), dtype=torch.float64)
    is_open = torch.tensor([name in set(opened) for name in sizes])
    return (counts[is_open].sum() / counts.sum()).item()
