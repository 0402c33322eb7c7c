"""Right answers to `softmax_head_diagonal`, each in a style of its own."""

import numpy as np
import scipy.special
import torch


def with_scipy(features, logits):
    p = scipy.special.softmax(logits, axis=1)
    return np.einsum("nc,nd->cd", p - p**2, features**2) / len(p), (p - p**2).mean(0)


def loop_over_samples(features, logits):
    of_weight = np.zeros((logits.shape[1], features.shape[1]))
    of_bias = np.zeros(logits.shape[1])
    for a, z in zip(features, logits, strict=True):
        powers = [np.exp(one - max(z)) for one in z]
        for c, power in enumerate(powers):
            p = power / sum(powers)
            mean_square = p * (1 - p) ** 2 + (1 - p) * p**2
            of_bias[c] += mean_square / len(logits)
            of_weight[c] += mean_square * a * a / len(logits)
    return of_weight, of_bias


def with_torch_and_a_column_of_ones(features, logits):
    p = torch.from_numpy(logits).softmax(1)
    inputs = torch.cat([torch.from_numpy(features), torch.ones(len(p), 1)], 1)
    both = (p * (1 - p)).T @ inputs.double() ** 2 / len(p)
    return [both[:, :-1], both[:, -1]]


def from_the_difference_of_log_sums(features, logits):
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    spread = np.exp(logs) * -np.expm1(logs)
    weight = (spread[:, :, None] * features[:, None, :] ** 2).mean(0)
    return weight, spread.mean(0)
