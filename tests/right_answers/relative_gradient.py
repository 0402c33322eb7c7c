"""Right answers to `relative_gradient`, each in a style of its own."""

import math

import numpy as np
import torch


def take_hypotenuses_of_hypotenuses(model, path):
    def norm(parameters):
        given = [p.grad for p in parameters if p.grad is not None]
        return math.hypot(*(math.hypot(*g.ravel().tolist()) for g in given))

    whole = norm(model.parameters())
    return norm(model.get_submodule(path).parameters()) / whole if whole > 0 else 0.0


def string_all_entries_together(model, path):
    def norm(module):
        flat = [p.grad.flatten().double() for p in module.parameters() if p.grad is not None]
        entries = torch.cat([*flat, torch.zeros(1, dtype=torch.float64)])
        largest = entries.abs().max()
        return largest * (entries / largest).norm() if largest else largest

    whole = norm(model)
    return norm(model.get_submodule(path)) / whole if whole else torch.tensor(0.0)


def divide_by_the_largest_first(model, path):
    def largest_and_squares(module):
        gradients = [p.grad.double() for p in module.parameters() if p.grad is not None]
        largest = max((g.abs().max().item() for g in gradients), default=0.0)
        return largest, sum((g / (largest or 1)).square().sum().item() for g in gradients)

    (m, part), (n, whole) = map(largest_and_squares, (model.get_submodule(path), model))
    return m / n * math.sqrt(part / whole) if n else 0


def compute_in_numpy(model, path):
    def entries(module):
        arrays = [p.grad.numpy() for p in module.parameters() if p.grad is not None]
        return np.concatenate([[0.0], *(a.astype(np.float64).ravel() for a in arrays)])

    part, whole = entries(model.get_submodule(path)), entries(model)
    most, least = np.abs(whole).max(), np.abs(part).max()
    if not least:
        return np.float64(0)
    return least / most * np.linalg.norm(part / least) / np.linalg.norm(whole / most)


def fill_with_zeros(model, path):
    def vector(module):
        pieces = [torch.zeros_like(p) if p.grad is None else p.grad for p in module.parameters()]
        return torch.nn.utils.parameters_to_vector([x.detach().double() for x in pieces])

    part, whole = vector(model.get_submodule(path)).tolist(), vector(model).tolist()
    return math.hypot(*part) / (math.hypot(*whole) or 1)


def fold_hypotenuses(model, path):
    def norm(module):
        total = 0.0
        for p in module.parameters():
            for entry in [] if p.grad is None else p.grad.double().flatten():
                total = np.hypot(total, entry.item())
        return total

    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(np.float64(norm(model.get_submodule(path))) / norm(model)))


def divide_by_way_of_logarithms(model, path):
    def log10_norm(module):
        given = [p.grad.double().flatten() for p in module.parameters() if p.grad is not None]
        entries = torch.cat(given) if given else torch.zeros(1)
        largest = entries.abs().max().item()
        if largest == 0:
            return -math.inf
        return math.log10(largest) + math.log10((entries / largest).norm())

    part, whole = log10_norm(model.get_submodule(path)), log10_norm(model)
    return 0.0 if part == -math.inf else 10 ** (part - whole)
