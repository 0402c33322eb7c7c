"""Right answers to `log10_gradient_norms`, each in a style of its own."""

import math

import numpy as np
import torch


def _layers(model):
    for path, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if own:
            yield path, [p.grad for p in own if p.grad is not None]


def take_hypotenuses(model):
    answer = {}
    for path, own in _layers(model):
        entries = [x for g in own for x in g.double().flatten().tolist()]
        most = max(map(abs, entries), default=0.0)
        norm = math.hypot(*(x / most for x in entries)) if most else 0.0
        answer[path] = math.log10(norm) + math.log10(most) if most else -math.inf
    return answer


def add_in_logarithms(model):
    def norm(gradients):
        logs = torch.cat([g.double().abs().log().flatten() for g in gradients] or [torch.zeros(0)])
        return torch.logsumexp(2 * logs, 0).item() / 2 / math.log(10) if len(logs) else -math.inf

    return {path: norm(own) for path, own in _layers(model)}


def group_names_by_their_layer(model):
    groups = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        groups.setdefault(name.rpartition(".")[0], []).append(p.grad)
    answer = {}
    for layer, gradients in groups.items():
        arrays = [g.double().numpy().ravel() for g in gradients if g is not None]
        entries = np.concatenate([np.zeros(1), *arrays])
        m = np.abs(entries).max()
        with np.errstate(divide="ignore"):
            answer[layer] = np.log10(m) + np.log10(np.linalg.norm(entries / (m or 1.0)) or 1.0)
    return answer


def scale_each_tensor_by_itself(model):
    def parts(g):
        m = g.double().abs().max().item()
        return (math.log10(m), (g.double() / m).norm().item()) if m else (-math.inf, 0.0)

    answer = {}
    for path, own in _layers(model):
        top = max((log for log, _ in map(parts, own)), default=-math.inf)
        logs = [10 ** (log - top) * norm for log, norm in map(parts, own) if norm]
        answer[path] = top + math.log10(math.hypot(*logs)) if logs else -math.inf
    return answer


def scale_by_a_power_of_two(model):
    answer = {}
    for path, own in _layers(model):
        largest = max((g.double().abs().max().item() for g in own), default=0.0)
        exponent = math.frexp(largest)[1]
        squares = sum(
            torch.ldexp(g.double(), torch.tensor(-exponent)).square().sum().item() for g in own
        )
        scale = exponent * math.log10(2)
        answer[path] = math.log10(squares) / 2 + scale if squares else -math.inf
    return answer


def use_the_infinity_norm(model):
    answer = {}
    for path, own in _layers(model):
        flat = torch.cat([torch.zeros(1).double(), *(g.reshape(-1).double() for g in own)])
        m = torch.linalg.vector_norm(flat, ord=math.inf)
        rest = torch.linalg.vector_norm(flat / m) if m > 0 else torch.ones(())
        answer[path] = torch.log10(m) + torch.log10(rest)
    return answer
