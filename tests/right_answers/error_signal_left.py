"""Right answers to `error_signal_left`, each in a style of its own."""

import math

import numpy as np
import torch


def multiply_in_a_loop(slope, std, width, layers):
    left = 1.0
    for _ in range(layers):
        left *= slope * std * width**0.5
    return left


def add_logarithms(slope, std, width, layers):
    return math.exp(layers * (math.log(slope) + math.log(std) + math.log(width) / 2))


def take_the_root_of_the_variance(slope, std, width, layers):
    return np.sqrt(width * std**2 * slope**2) ** layers


def ask_torch(slope, std, width, layers):
    factor = torch.tensor(slope * std, dtype=torch.float64) * math.sqrt(width)
    return factor.pow(layers)


def recurse(slope, std, width, layers):
    if layers == 0:
        return 1
    return slope * std * math.sqrt(width) * recurse(slope, std, width, layers - 1)


def multiply_a_list(slope, std, width, layers):
    return math.prod([slope * std * math.sqrt(width)] * layers)
