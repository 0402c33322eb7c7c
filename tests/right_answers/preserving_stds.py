"""Right answers to `preserving_stds`, each in a style of its own."""

import math

import numpy as np
import torch


def differentiate_with_func(activation, z, fan_in, fan_out):
    slope = torch.func.grad(lambda values: activation(values).sum())(z)
    above, below = activation(z).square().mean(), slope.square().mean()
    up = (z.square().mean() / (fan_in * above)).sqrt() if above else math.inf
    return up, (fan_out * below).rsqrt()


def go_backward(activation, z, fan_in, fan_out):
    copy = z.detach().clone()
    copy.requires_grad = True
    h = activation(copy)
    h.backward(torch.ones_like(h))
    size, above, below = (t.detach().pow(2).mean().item() for t in (z, h, copy.grad))
    up = math.inf if above == 0 else math.sqrt(size / above / fan_in)
    return up, math.inf if below == 0 else math.sqrt(1 / below / fan_out)


def take_differences(activation, z, fan_in, fan_out):
    step, z = 1e-6, z.detach()
    slope = ((activation(z + step) - activation(z - step)) / (2 * step)).numpy()
    h, values = activation(z).numpy(), z.numpy()
    with np.errstate(divide="ignore"):
        up = np.sqrt(np.mean(values**2) / (fan_in * np.mean(h**2)))
        return up, 1 / np.sqrt(fan_out * np.mean(slope**2))


def take_norms(activation, z, fan_in, fan_out):
    leaf = torch.tensor(z.tolist(), dtype=torch.float64, requires_grad=True)
    h = activation(leaf)
    slope = torch.autograd.grad(h, leaf, torch.ones_like(h))[0]
    up = z.norm() / h.detach().norm() / fan_in**0.5
    down = math.sqrt(len(z)) / slope.norm() / fan_out**0.5
    return [up.item(), down.item()]


def differentiate_each_sample(activation, z, fan_in, fan_out):
    slopes = torch.func.vmap(torch.func.grad(activation))(z)
    h = activation(z)
    mean_square = torch.stack([z, h, slopes]).square().mean(1)
    up = torch.sqrt(mean_square[0] / mean_square[1] / fan_in)
    return torch.stack([up, torch.rsqrt(mean_square[2] * fan_out)])


def take_the_jacobian(activation, z, fan_in, fan_out):
    slope = torch.autograd.functional.jacobian(activation, z).diagonal()
    size = len(z)
    up = torch.sqrt((z @ z / size) / (fan_in * (activation(z) @ activation(z)) / size))
    return up.item(), torch.sqrt(1 / (fan_out * (slope @ slope) / size)).item()
