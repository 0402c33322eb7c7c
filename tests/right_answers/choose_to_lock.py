"""Right answers to `choose_to_lock`, each in a style of its own."""

import math

import numpy as np
import torch


def sort_a_list_of_places(fisher, budget, purpose):
    sign = {"keep": -1, "learn": 1}
    if purpose not in sign or any(np.isnan(part).any() for part in fisher.values()):
        raise ValueError("no such purpose, or NaN")
    places = [(name, i) for name, part in fisher.items() for i in np.ndindex(part.shape)]
    places.sort(key=lambda place: sign[purpose] * fisher[place[0]][place[1]])
    locked = {name: np.zeros(part.shape, dtype=bool) for name, part in fisher.items()}
    for name, i in places[:budget]:
        locked[name][i] = True
    return locked


def take_one_after_the_other(fisher, budget, purpose):
    if purpose == "keep":
        left = {name: np.array(part, float) for name, part in fisher.items()}
    elif purpose == "learn":
        left = {name: -np.array(part, float) for name, part in fisher.items()}
    else:
        raise ValueError(purpose)
    if any(math.isnan(value) for part in left.values() for value in part.flat):
        raise ValueError("NaN")
    row = np.concatenate([part.ravel() for part in left.values()])
    order = np.lexsort((np.arange(len(row)), -row))
    rank = np.empty(len(row), int)
    rank[order] = np.arange(len(row))
    start, locked = 0, {}
    for name, part in left.items():
        locked[name] = (rank[start : start + part.size] < budget).reshape(part.shape)
        start += part.size
    return locked


def with_torch(fisher, budget, purpose):
    if purpose not in {"keep", "learn"}:
        raise ValueError("purpose")
    parts = {name: torch.from_numpy(part) for name, part in fisher.items()}
    row = torch.cat([part.flatten() for part in parts.values()])
    if row.isnan().any():
        raise ValueError("NaN")
    order = row.sort(descending=purpose == "keep", stable=True).indices
    flags = torch.zeros(len(row), dtype=torch.bool)
    flags[order[:budget]] = True
    pieces = flags.split([part.numel() for part in parts.values()])
    return {n: f.view(parts[n].shape) for n, f in zip(parts, pieces, strict=True)}
