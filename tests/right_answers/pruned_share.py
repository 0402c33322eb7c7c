"""Right answers to `pruned_share`, each in a style of its own."""

from itertools import chain

import numpy as np
import torch


def loop_and_count(layers, kept):
    pruned = total = 0
    for weights, flags in zip(layers, kept, strict=True):
        for keep in flags:
            pruned += not keep
        total += len(weights)
    return pruned / total


def take_the_density_from_one(layers, kept):
    return 1 - sum(map(sum, kept)) / sum(map(len, kept))


def join_arrays(layers, kept):
    return (~np.concatenate([np.array(flags, bool) for flags in kept])).mean()


def weigh_the_shares_by_size(layers, kept):
    shares = [1 - sum(flags) / len(flags) for flags in kept]
    return float(np.average(shares, weights=[len(weights) for weights in layers]))


def let_torch_count(layers, kept):
    flags = torch.tensor(list(chain(*kept)))
    return 1 - flags.double().mean().item()
