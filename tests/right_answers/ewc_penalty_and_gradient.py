"""Right answers to `ewc_penalty_and_gradient`, each in a style of its own."""

import numpy as np
import torch


def let_autograd_do_it(params, anchor, fisher, strength):
    leaves = {n: torch.tensor(p, requires_grad=True) for n, p in params.items()}
    penalty = sum((p * 0).sum() for p in leaves.values())
    for name, there in anchor.items():
        away = leaves[name] - torch.tensor(there)
        penalty = penalty + strength / 2 * (torch.tensor(fisher[name]) * away**2).sum()
    slopes = torch.autograd.grad(penalty, list(leaves.values()))
    return penalty.item(), dict(zip(leaves, slopes, strict=True))


def in_two_comprehensions(params, anchor, fisher, strength):
    away = {n: p - anchor[n] if n in anchor else np.zeros(p.shape) for n, p in params.items()}
    stiff = {n: strength * fisher[n] if n in fisher else 0.0 for n in params}
    penalty = 0.5 * sum(np.sum(stiff[n] * away[n] ** 2) for n in params)
    return penalty, {n: stiff[n] * away[n] for n in params}


def with_dot_products(params, anchor, fisher, strength):
    penalty, gradient = 0.0, {}
    for name, now in params.items():
        there, f = anchor.get(name, now), fisher.get(name, 0.0 * now)
        away = np.ravel(now - there)
        penalty += strength * np.dot(np.ravel(f), away * away) / 2
        gradient[name] = (strength * np.ravel(f) * away).reshape(np.shape(now))
    return [penalty, gradient]
