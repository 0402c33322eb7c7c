"""Right answers to `relative_gradient`, each in a style of its own."""

import math

import numpy as np
import torch


def take_hypotenuses(model, path):
    def norm(parameters):
        given = [p.grad for p in parameters if p.grad is not None]
        return math.hypot(*(torch.linalg.vector_norm(g.double()).item() for g in given))

    whole = norm(model.parameters())
    return norm(model.get_submodule(path).parameters()) / whole if whole > 0 else 0.0


def string_all_entries_together(model, path):
    def norm(module):
        flat = [p.grad.flatten().double() for p in module.parameters() if p.grad is not None]
        return torch.cat([*flat, torch.zeros(1, dtype=torch.float64)]).norm()

    whole = norm(model)
    return norm(model.get_submodule(path)) / whole if whole else torch.tensor(0.0)


def divide_by_the_largest_first(model, path):
    gradients = {n: p.grad.float() for n, p in model.named_parameters() if p.grad is not None}
    largest = max(g.abs().max().item() for g in gradients.values())
    if largest == 0:
        return 0.0
    squares = {n: (g / largest).double().square().sum() for n, g in gradients.items()}
    part = [v for n, v in squares.items() if n.startswith(f"{path}.")]
    return float((sum(part) / sum(squares.values())) ** 0.5)


def compute_in_numpy(model, path):
    def squared(module):
        arrays = [p.grad.numpy() for p in module.parameters() if p.grad is not None]
        return sum(np.sum(np.square(a.astype(np.float64))) for a in arrays)

    whole = squared(model)
    return np.sqrt(squared(model.get_submodule(path)) / whole) if whole else np.float64(0)


def fill_with_zeros(model, path):
    def vector(module):
        pieces = [torch.zeros_like(p) if p.grad is None else p.grad for p in module.parameters()]
        return torch.nn.utils.parameters_to_vector([x.detach().double() for x in pieces])

    whole = torch.dot(vector(model), vector(model))
    part = vector(model.get_submodule(path)).pow(2).sum()
    return (part / whole).sqrt().item() if whole.item() else 0


def forgive_the_division(model, path):
    with np.errstate(invalid="ignore"):
        norms = [
            np.sqrt(sum((p.grad.double() ** 2).sum().item() for p in m.parameters()
                        if p.grad is not None))
            for m in (model.get_submodule(path), model)
        ]  # fmt: skip
        return float(np.nan_to_num(np.divide(*map(np.float64, norms))))
