"""Right answers to `slope_from_output`, each in a style of its own."""

import math

import numpy as np
import torch


def loop(outputs):
    slopes = []
    for a in outputs:
        slopes.append(a - a**2)
    return slopes


def multiply_arrays(outputs):
    a = np.array(outputs)
    return a * (1 - a)


def go_back_to_z(outputs):
    zs = [math.log(a / (1 - a)) for a in outputs]
    return [math.exp(-z) / (1 + math.exp(-z)) ** 2 for z in zs]


def ask_autograd(outputs):
    z = torch.logit(torch.tensor(outputs, dtype=torch.float64)).requires_grad_()
    torch.sigmoid(z).sum().backward()
    return z.grad


def complete_the_square(outputs):
    return tuple(0.25 - (a - 0.5) ** 2 for a in outputs)
