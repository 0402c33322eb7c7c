"""Right answers to `update_ratios`, each in a style of its own."""

import copy
import math

import numpy as np
import torch


def copy_the_whole_model(model, optimizer):
    old = copy.deepcopy(model)
    optimizer.step()
    answer = {}
    for (name, p), q in zip(model.named_parameters(), old.parameters(), strict=True):
        change, norm = (p - q).double().norm().item(), q.double().norm().item()
        if change == 0:
            answer[name] = 0.0
        else:
            answer[name] = change / norm if norm > 0 else float("inf")
    return answer


def copy_the_state_dict(model, optimizer):
    names = [name for name, _ in model.named_parameters()]
    before = {name: value.double() + 0 for name, value in model.state_dict().items()}
    optimizer.step()
    after = model.state_dict()
    moved = {name: (after[name].double() - before[name]).norm() for name in names}
    ratios = {name: moved[name] / before[name].norm() for name in names}
    return {name: torch.nan_to_num(r, nan=0.0, posinf=math.inf) for name, r in ratios.items()}


def compute_in_numpy(model, optimizer):
    def arrays():
        return {n: p.detach().double().numpy().copy() for n, p in model.named_parameters()}

    before = arrays()
    optimizer.step()
    after, answer = arrays(), {}
    for name, old in before.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.linalg.norm(after[name] - old) / np.linalg.norm(old)
        answer[name] = np.nan_to_num(ratio, nan=0.0, posinf=np.inf)
    return answer


def look_before_dividing(model, optimizer):
    with torch.no_grad():
        before = [p.to(torch.float64, copy=True) for p in model.parameters()]
        optimizer.step()
        answer = {}
        for (name, p), old in zip(model.named_parameters(), before, strict=True):
            if torch.equal(p.double(), old):
                answer[name] = 0
            elif not old.any():
                answer[name] = math.inf
            else:
                answer[name] = torch.dist(p.double(), old) / torch.linalg.norm(old)
    return answer


def write_a_closure_for_each(model, optimizer):
    def ratio_of(p):
        old = p.detach().double().clone()
        size = math.sqrt(old.square().sum())

        def ratio():
            moved = math.sqrt((p.detach().double() - old).square().sum())
            return moved / size if size else (math.inf if moved else 0.0)

        return ratio

    ratios = {name: ratio_of(p) for name, p in model.named_parameters()}
    optimizer.step()
    return {name: ratio() for name, ratio in ratios.items()}


def take_root_mean_squares(model, optimizer):
    before = {n: torch.clone(p.detach()).double() for n, p in model.named_parameters()}
    optimizer.step()
    answer = {}
    for name, p in model.named_parameters():
        below = before[name].pow(2).mean().sqrt()
        above = (p.detach().double() - before[name]).pow(2).mean().sqrt()
        answer[name] = 0.0 if not above else (above / below).item()
    return answer
