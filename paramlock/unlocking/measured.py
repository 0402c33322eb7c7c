"""What every key did in every lock: the figures of one run of `benchmarks/unlocking.py`.

Means over 3 seeds: accuracy on 1,000 images of MNIST after three epochs on 4,000, in batches of 32,
which are 375 steps.

`PLANTED`: accuracy by lock and key, by gradient descent at a rate that falls evenly from 0.1 to 0.
"warm-up" also raises it over the first epoch; "x 10" and the like multiply it, "layer-wise" for all
layers but the last; "Adam" falls from 0.001. "none" is the lock left alone, "healthy" the same
network without it, NaN a training that diverged. "leaky, by hand" puts leaky rectifiers in place of
the activations and does no more. Keys that have no unit to work on in a lock are left out.

`DYING`: accuracy, and share of dead units in the first layer, where units die in training by Adam
at a constant rate of 0.1. "late" is after two epochs; "rate / 30" holds from there on, and
"warm-up" is over the first epoch.

`PLANTED_BY` and `DYING_BY` say the same in a line, to stand beside the figures: with another batch
size, schedule or length they are others.

The benchmark says where a new run does not bear these figures out.
"""

from __future__ import annotations

from math import nan

IMAGES = "3 epochs of 4,000 images in batches of 32"
PLANTED_BY = f"SGD, {IMAGES}, at a rate that falls evenly from 0.1 to 0 (Adam: from 0.001)"
DYING_BY = f"Adam, {IMAGES}, at a constant rate of 0.1 unless the key says otherwise"

PLANTED: dict[str, dict[str, float]] = {
    "vanishing": {
        "none": 0.091,
        "warm-up": 0.091,
        "rate x 10": 0.092,
        "rate / 10": 0.091,
        "layer-wise x 100": 0.091,
        "Adam": 0.192,
        "leaky, by hand": 0.110,
        "swap_activations": 0.110,
        "BatchNorm": 0.914,
        "healthy": 0.738,
    },
    "dead, 95 %": {
        "none": 0.538,
        "warm-up": 0.306,
        "rate x 10": 0.319,
        "rate / 10": 0.099,
        "layer-wise x 100": 0.089,
        "Adam": 0.745,
        "leaky, by hand": nan,
        "swap_activations": 0.889,
        "BatchNorm": 0.950,
        "reinitialise_units": 0.891,
        "rescale_units": 0.893,
        "healthy": 0.877,
    },
    "dead, all": {
        "none": 0.088,
        "warm-up": 0.088,
        "rate x 10": 0.091,
        "rate / 10": 0.102,
        "layer-wise x 100": 0.089,
        "Adam": 0.088,
        "leaky, by hand": nan,
        "swap_activations": 0.887,
        "BatchNorm": 0.948,
        "reinitialise_units": 0.881,
        "rescale_units": 0.888,
        "healthy": 0.877,
    },
    "saturated": {
        "none": 0.760,
        "warm-up": 0.750,
        "rate x 10": 0.841,
        "rate / 10": 0.606,
        "layer-wise x 100": 0.880,
        "Adam": 0.738,
        "leaky, by hand": nan,
        "swap_activations": 0.893,
        "BatchNorm": 0.826,
        "reinitialise_units": 0.878,
        "rescale_units": 0.888,
        "healthy": 0.883,
    },
    "frozen": {
        "none": 0.174,
        "warm-up": 0.156,
        "rate x 10": 0.326,
        "rate / 10": 0.099,
        "layer-wise x 100": 0.174,
        "Adam": 0.169,
        "leaky, by hand": 0.183,
        "swap_activations": 0.183,
        "BatchNorm": 0.433,
        "unfreeze": 0.860,
        "healthy": 0.860,
    },
    "pruned": {
        "none": 0.088,
        "warm-up": 0.089,
        "rate x 10": 0.091,
        "rate / 10": 0.105,
        "layer-wise x 100": 0.088,
        "Adam": 0.098,
        "leaky, by hand": 0.088,
        "swap_activations": 0.088,
        "BatchNorm": 0.088,
        "undo": 0.877,
        "regrow half by gradient": 0.482,
        "regrow a tenth by gradient": 0.411,
        "regrow a tenth at random": 0.089,
        "healthy": 0.877,
    },
}

DYING: dict[str, tuple[float, float]] = {
    "none": (0.307, 0.971),
    "rate / 10 from the start": (0.931, 0.294),
    "rate / 30 late": (0.333, 0.971),
    "warm-up": (0.091, 0.674),
    "leaky from the start": (0.772, 0.000),
    "BatchNorm from the start": (0.900, 0.208),
    "reinitialise_units late": (0.113, 0.990),
    "reinitialise_units every 31 steps": (0.152, 0.552),
    "reinitialise_units and rate / 30 late": (0.908, 0.125),
}
