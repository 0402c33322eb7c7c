"""Right answers to `silenced_layers`, each in a style of its own."""

from itertools import pairwise

import numpy as np
import torch


def loop_over_everything(outputs):
    found = []
    for layer in outputs:
        constant = True
        for sample in layer:
            for value, first in zip(sample, layer[0], strict=True):
                if value != first:
                    constant = False
        found.append(constant)
    return found


def count_the_different(outputs):
    return [len({tuple(sample) for sample in layer}) == 1 for layer in outputs]


def take_ranges(outputs):
    return [
        all(max(unit) - min(unit) == 0 for unit in zip(*layer, strict=True)) for layer in outputs
    ]


def reduce_arrays(outputs):
    return [not np.ptp(np.array(layer), axis=0).any() for layer in outputs]


def let_torch_compare(outputs):
    tensors = (torch.tensor(layer, dtype=torch.float64) for layer in outputs)
    return [bool((t == t[:1]).all()) for t in tensors]


def neighbours_are_equal(outputs):
    return tuple(all(one == other for one, other in pairwise(layer)) for layer in outputs)
