"""Right answers to `sampled_error`, each in a style of its own."""

import numpy as np
import torch


def loop_over_samples(probabilities, squared_scores, draws):
    variance = np.zeros(squared_scores.shape[2:])
    for chances, squares in zip(probabilities, squared_scores, strict=True):
        mean = sum(p * s for p, s in zip(chances, squares, strict=True))
        variance = variance + sum(
            p * (s - mean) ** 2 for p, s in zip(chances, squares, strict=True)
        )
    return np.sqrt(variance / draws) / len(probabilities)


def take_the_second_moment(probabilities, squared_scores, draws):
    n, c = probabilities.shape
    p = probabilities.reshape(n, c, *[1] * (squared_scores.ndim - 2))
    first = (p * squared_scores).sum(1)
    second = (p * squared_scores * squared_scores).sum(1)
    variance = np.maximum(second - first * first, 0)
    variance[variance < 1e-12 * second] = 0
    return np.sqrt(variance.sum(0) / (draws * n * n))


def add_up_errors_by_their_norm(probabilities, squared_scores, draws):
    p, s = torch.from_numpy(probabilities), torch.from_numpy(squared_scores)
    p = p.reshape(*p.shape, *[1] * (s.dim() - 2))
    each = (p * (s - (p * s).sum(1, keepdim=True)) ** 2).sum(1).div(draws).sqrt()
    return torch.linalg.vector_norm(each, dim=0) / len(s)


def average_pairs_of_classes(probabilities, squared_scores, draws):
    apart = (squared_scores[:, :, None] - squared_scores[:, None]) ** 2
    variance = np.einsum("na,nb,nab...->n...", probabilities, probabilities, apart) / 2
    return (variance.mean(axis=0) / (draws * len(probabilities))) ** 0.5
