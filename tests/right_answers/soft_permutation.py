"""Right answers to `soft_permutation`, each in a style of its own."""

import torch
from torch.nn import functional as F


def log_softmax_in_turn(scores, temperature, rounds):
    if scores.size(-1) != scores.size(-2) or not temperature > 0:
        raise ValueError("no square, or no temperature")
    found = scores.div(temperature)
    for _ in range(rounds):
        found = F.log_softmax(F.log_softmax(found, dim=-1), dim=-2)
    return found.exp()


def take_potentials_of_rows_and_columns(scores, temperature, rounds):
    *_, n, m = scores.shape
    if n != m:
        raise ValueError("the matrix is not square")
    if temperature <= 0:
        raise ValueError("the temperature must be positive")
    logs = scores / temperature
    row = torch.zeros_like(logs[..., :1])
    column = torch.zeros_like(logs[..., :1, :])
    for _ in range(rounds):
        row = -torch.logsumexp(logs + column, -1, keepdim=True)
        column = -torch.logsumexp(logs + row, -2, keepdim=True)
    return (logs + row + column).exp()


def end_with_a_softmax(scores, temperature, rounds):
    if scores.shape[-2:] != (scores.shape[-1],) * 2:
        raise ValueError(scores.shape)
    if not temperature > 0.0:
        raise ValueError(temperature)
    logs = scores * (1 / temperature)
    for k in range(rounds):
        logs = logs.log_softmax(-1)
        logs = logs.softmax(-2) if k == rounds - 1 else logs.log_softmax(-2)
    return logs


def one_matrix_after_the_other(scores, temperature, rounds):
    if scores.ndim > 2:
        parts = [one_matrix_after_the_other(part, temperature, rounds) for part in scores]
        return torch.stack(parts)
    if len(scores) != len(scores.T) or temperature <= 0:
        raise ValueError("not square, or not positive")
    logs = scores / temperature
    for _ in range(rounds):
        for turned in (False, True):
            logs = logs.T if turned else logs
            top = logs.max(1, keepdim=True).values.detach()
            logs = logs - top - (logs - top).exp().sum(1, keepdim=True).log()
            logs = logs.T if turned else logs
    return logs.exp()
