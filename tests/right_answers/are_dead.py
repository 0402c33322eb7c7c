"""Right answers to `are_dead`, each in a style of its own."""

import numpy as np
import torch


def loop_over_units(units):
    found = []
    for unit in units:
        dead = True
        for z in unit:
            if z > 0:
                dead = False
        found.append(dead)
    return found


def look_at_the_highest(units):
    return [max(unit) <= 0 for unit in units]


def reduce_an_array(units):
    return (np.array(units) <= 0).all(axis=1)


def let_torch_say(units):
    z = torch.tensor(units, dtype=torch.float64, requires_grad=True)
    torch.relu(z).sum().backward()
    return [not row.any() for row in z.grad.numpy()]


def add_up_the_outputs(units):
    return tuple(sum(max(z, 0.0) for z in unit) == 0 for unit in units)
