"""Right answers to `locked_parameters`, each in a style of its own."""

import math

import numpy as np
import torch


def square_in_float64(model, epsilon):
    squares = {}
    for name, p in model.named_parameters():
        if p.grad is not None and not torch.isfinite(p.grad).all():
            raise ValueError(f"{name}: not finite")
        squares[name] = 0.0 if p.grad is None else (p.grad.double() ** 2).sum().item()
    whole = sum(squares.values())
    if whole == 0:
        return tuple(squares)
    return tuple(name for name, square in squares.items() if math.sqrt(square / whole) < epsilon)


def compare_without_dividing(model, epsilon):
    norms = {}
    for name, p in model.named_parameters():
        gradient = torch.zeros(1) if p.grad is None else p.grad
        norms[name] = np.linalg.norm(gradient.numpy().astype(np.float64))
    bad = [name for name, norm in norms.items() if not np.isfinite(norm)]
    if bad:
        raise ValueError(f"gradients that are no numbers: {bad}")
    whole = np.linalg.norm(list(norms.values()))
    return {name for name, norm in norms.items() if norm < epsilon * whole or whole == 0}


def divide_by_the_largest_entry(model, epsilon):
    gradients = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.named_parameters()
    }
    for name, gradient in gradients.items():
        if gradient.isnan().any() or gradient.isinf().any():
            raise ValueError("check the gradient of " + name)
    largest = max(gradient.abs().max() for gradient in gradients.values())
    if largest == 0:
        return list(gradients)
    scaled = [gradient.double() / largest for gradient in gradients.values()]
    norms = torch.stack([gradient.norm() for gradient in scaled])
    shares = norms / norms.norm()
    return [name for name, share in zip(gradients, shares, strict=True) if share < epsilon]


def collect_in_a_loop(model, epsilon):
    named = list(model.named_parameters())
    for name, p in named:
        if p.grad is not None and not math.isfinite(p.grad.double().abs().sum()):
            raise ValueError(f"{name} has a gradient that is not finite")
    whole = sum(0 if p.grad is None else p.grad.double().pow(2).sum().item() for _, p in named)
    locked = []
    for name, p in named:
        norm = 0 if p.grad is None else p.grad.double().norm().item()
        if not norm or norm / whole**0.5 < epsilon:
            locked.append(name)
    return tuple(sorted(locked))


def _vector(p):
    return np.zeros(1) if p.grad is None else p.grad.double().numpy().ravel()


def work_in_numpy(model, epsilon):
    vectors = {name: _vector(p) for name, p in model.named_parameters()}
    for name, vector in vectors.items():
        if not np.all(np.isfinite(vector)):
            raise ValueError(name)
    norm = np.sqrt(np.concatenate(list(vectors.values())) @ np.concatenate(list(vectors.values())))
    return [n for n, v in vectors.items() if np.sqrt(v @ v) < epsilon * norm or norm == 0]


def name_them_all_in_the_error(model, epsilon):
    given = {n: p.grad.double() for n, p in model.named_parameters() if p.grad is not None}
    if broken := [name for name, g in given.items() if not torch.isfinite(g.norm())]:
        raise ValueError(", ".join(broken))
    whole = math.hypot(*(g.norm() for g in given.values()))
    free = {name for name, g in given.items() if whole and g.norm() / whole >= epsilon}
    return {name for name, _ in model.named_parameters()} - free
