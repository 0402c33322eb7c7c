"""Right answers to `block_gradient`, each in a style of its own."""

import numpy as np
import torch
from torch.nn import functional as F


def let_autograd_do_it(x, delta, enter, leave, gain, shift, running=None):
    given = (torch.tensor(a) for a in (x, delta, enter, leave, gain, shift))
    leaf, arriving, enter, leave, gain, shift = given
    leaf.requires_grad_()
    z = leaf @ enter
    if running is None:
        mean, variance = z.mean(0), z.var(0, correction=0)
    else:
        mean, variance = map(torch.tensor, running)
    h = F.relu(gain * (z - mean) / torch.sqrt(variance + 1e-5) + shift)
    (leaf + h @ leave).backward(arriving)
    return leaf.grad.numpy()


def multiply_jacobians(x, delta, enter, leave, gain, shift, running=None):
    n, z = len(x), np.matmul(x, enter)
    inner = np.zeros_like(z)
    for unit in range(z.shape[1]):
        column = z[:, unit]
        mean = column.mean() if running is None else running[0][unit]
        variance = column.var() if running is None else running[1][unit]
        s = (variance + 1e-5) ** 0.5
        hat = (column - mean) / s
        jacobian = np.eye(n)
        if running is None:
            jacobian = jacobian - 1 / n - np.outer(hat, hat) / n
        slopes = np.where(gain[unit] * hat + shift[unit] > 0, gain[unit], 0.0)
        inner[:, unit] = jacobian @ (slopes * (delta @ leave[unit])) / s
    return delta + inner @ enter.T


def go_back_line_by_line(x, delta, enter, leave, gain, shift, running=None):
    z = x @ enter
    n = z.shape[0]
    mean = z.sum(0) / n if running is None else running[0]
    variance = ((z - mean) ** 2).sum(0) / n if running is None else running[1]
    root = 1 / np.sqrt(variance + 1e-5)
    hat = (z - mean) * root
    back = np.einsum("nf,uf->nu", delta, leave)
    back = np.where(hat * gain + shift > 0, back, 0) * gain
    down = back * root
    if running is None:
        to_variance = (back * (z - mean)).sum(0) * -0.5 * root**3
        to_mean = -(back * root).sum(0)
        down = down + 2 / n * (z - mean) * to_variance + to_mean / n
    return down @ enter.T + delta
