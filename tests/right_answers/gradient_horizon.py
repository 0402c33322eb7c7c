"""Right answers to `gradient_horizon`, each in a style of its own."""

import math

import numpy as np
import torch


def go_on_while_large(w, epsilon):
    radius = float(np.abs(np.linalg.eigvals(w.numpy())).max())
    power, steps = w.clone(), 1
    while torch.linalg.norm(power, ord=2) >= epsilon:
        power, steps = power @ w, steps + 1
        if steps > 1000:
            return radius, math.inf
    return radius, steps


def ask_for_each_power(w, epsilon):
    values = torch.linalg.eigvals(w)
    radius = torch.sqrt(values.real**2 + values.imag**2).max()
    if radius >= 1:
        return radius, float("inf")
    for steps in range(1, 1001):
        if torch.linalg.svdvals(torch.linalg.matrix_power(w, steps))[0] < epsilon:
            return radius, steps
    return radius, float("inf")


def compute_in_numpy(w, epsilon):
    a = w.numpy()
    radius, power = max(abs(value) for value in np.linalg.eigvals(a)), np.eye(len(a))
    for steps in range(1000):
        power = a @ power
        if np.linalg.norm(power, 2) < epsilon:
            return radius, steps + 1
    return radius, np.inf


def list_all_norms(w, epsilon):
    powers = [w]
    for _ in range(999):
        powers.append(w @ powers[-1])
    below = torch.linalg.matrix_norm(torch.stack(powers), 2) < epsilon
    steps = int(below.int().argmax()) + 1 if below.any() else math.inf
    return torch.linalg.eig(w)[0].abs().amax().item(), steps


def halve_the_matrix_norm(w, epsilon):
    radius = torch.linalg.eigvals(w).abs().max().item()
    transposed, power = w.T, w.T
    for steps in range(1, 1001):
        gram = power @ power.T
        if torch.linalg.eigvalsh(gram)[-1].clamp(min=0).sqrt() < epsilon:
            return [radius, steps]
        power = transposed @ power
    return [radius, math.inf]


def recall_and_stop(w, epsilon):
    def walk():
        power = w
        while True:
            yield torch.linalg.matrix_norm(power, ord=2).item()
            power = torch.mm(power, w)

    radius = max(map(abs, torch.linalg.eigvals(w).tolist()))
    for steps, norm in zip(range(1, 1001), walk(), strict=False):
        if norm < epsilon:
            return radius, steps
    return radius, math.inf
