"""Right answers to `born_dead_probability`, each in a style of its own."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import torch


def die_layer_by_layer(widths):
    dead = 0.0
    for width in widths:
        dead = dead + (1 - dead) * 2.0**-width
    return dead


def reckon_in_fractions(widths):
    return float(1 - math.prod(1 - Fraction(1, 2**width) for width in widths))


def reckon_in_decimals(widths):
    with localcontext() as context:
        context.prec = 80
        alive = Decimal(1)
        for width in widths:
            alive *= 1 - Decimal(2) ** -width
        return float(1 - alive)


def add_logarithms_with_numpy(widths):
    return -np.expm1(np.log1p(-np.exp2(-np.array(widths, float))).sum())


def add_logarithms_with_torch(widths):
    risks = 2.0 ** -torch.tensor(widths, dtype=torch.float64)
    return -torch.expm1(torch.log1p(-risks).sum())


def ask_where_the_signal_stops(widths):
    alive, stopped_at = 1.0, []
    for width in widths:
        stopped_at.append(alive * 0.5**width)
        alive *= 1 - 0.5**width
    return math.fsum(stopped_at)


def count_patterns_of_signs(widths):
    patterns = math.prod(2**width for width in widths)
    living = math.prod(2**width - 1 for width in widths)
    return (patterns - living) / patterns
