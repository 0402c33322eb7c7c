"""Right answers to `predict_saturated_share`, each in a style of its own."""

import math
from statistics import NormalDist

import numpy as np
import torch


def solve_the_quadratic(activation, x, weight_std, bias_std, delta):
    if delta > (0.25 if activation == "sigmoid" else 1):
        return 1.0
    if activation == "sigmoid":
        a = (1 + math.sqrt(1 - 4 * delta)) / 2
        z = math.log(a / (1 - a))
    else:
        z = math.atanh(math.sqrt(1 - delta))
    s = torch.sqrt(weight_std**2 * x.square().sum(1) + bias_std**2)
    return float((2 * (1 - torch.distributions.Normal(0.0, 1.0).cdf(z / s))).mean())


def error_function(activation, x, weight_std, bias_std, delta):
    scale = {"sigmoid": 4, "tanh": 1}[activation]
    inside = 1 - scale * delta
    if inside <= 0:
        return 1
    z = math.acosh(1 / math.sqrt(scale * delta)) * (2 if activation == "sigmoid" else 1)
    s = torch.hypot(weight_std * x.norm(dim=1), torch.tensor(bias_std, dtype=x.dtype))
    return torch.erfc(z / s / math.sqrt(2)).mean()


def one_row_at_a_time(activation, x, weight_std, bias_std, delta):
    shares = []
    for row in x.tolist():
        s = math.sqrt(weight_std**2 * sum(v * v for v in row) + bias_std**2)
        top = 0.25 if activation == "sigmoid" else 1.0
        if delta > top:
            shares.append(1.0)
        elif s == 0:
            shares.append(0.0)
        else:
            z = math.atanh(math.sqrt(1 - delta / top)) * (2 if top == 0.25 else 1)
            shares.append(2 * (1 - NormalDist(0, s).cdf(z)))
    return sum(shares) / len(shares)


def bisection(activation, x, weight_std, bias_std, delta):
    f = torch.sigmoid if activation == "sigmoid" else torch.tanh
    low, high = torch.tensor(0.0, dtype=torch.float64), torch.tensor(40.0, dtype=torch.float64)
    slope = torch.func.grad(f)
    if slope(low) < delta:
        return torch.tensor(1.0)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) >= delta else (low, middle)
    s = (weight_std**2 * (x * x).sum(-1) + bias_std**2) ** 0.5
    return 2 * torch.special.ndtr(-low / s).mean()


def numerical_integral(activation, x, weight_std, bias_std, delta):
    x = x.numpy()
    s = np.sqrt(weight_std**2 * (x**2).sum(1) + bias_std**2)
    u = np.linspace(-9, 9, 400_001)
    density = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi) * (u[1] - u[0])
    shares = []
    for width in s:
        a = np.tanh(u * width / (2 if activation == "sigmoid" else 1))
        slope = (1 - a**2) * (0.25 if activation == "sigmoid" else 1)
        shares.append(density[slope < delta].sum())
    return np.mean(shares)


def by_cases_with_infinity(activation, x, weight_std, bias_std, delta):
    k = 4 if activation == "sigmoid" else 1
    if k * delta >= 1:
        return 1.0
    z = math.atanh(math.sqrt(1 - k * delta)) * math.sqrt(k)
    ratio = z / torch.sqrt((weight_std * x).pow(2).sum(1) + bias_std**2)
    return 1 - torch.erf(ratio / 2**0.5).mean().item()
