"""Right answers to `few_shot_head`, each in a style of its own."""

import numpy as np
import torch


def solve_among_the_samples(features, labels, classes, decay):
    """By a matrix of samples times samples."""
    targets = np.zeros((len(labels), classes))
    targets[np.arange(len(labels)), labels] = 1
    x, y = features - features.mean(0), targets - targets.mean(0)
    weight = (x.T @ np.linalg.solve(x @ x.T + decay * np.eye(len(x)), y)).T
    return weight, targets.mean(0) - weight @ features.mean(0)


def leave_the_last_weight_free(features, labels, classes, decay):
    """With a column of ones that the penalty passes over."""
    samples, width = features.shape
    joined = np.hstack([features, np.ones((samples, 1))])
    penalty = decay * np.eye(width + 1)
    penalty[-1, -1] = 0
    whole = np.linalg.solve(joined.T @ joined + penalty, joined.T @ np.eye(classes)[labels])
    return whole[:-1].T, whole[-1]


def add_samples_for_the_penalty(features, labels, classes, decay):
    """Least squares with D more rows, each of which asks for one weight of 0."""
    targets = np.eye(classes)[labels]
    centre, mean = features.mean(0), targets.mean(0)
    width = features.shape[1]
    x = np.concatenate([features - centre, np.sqrt(decay) * np.eye(width)])
    y = np.concatenate([targets - mean, np.zeros((width, classes))])
    solution, *_ = np.linalg.lstsq(x, y, rcond=None)
    return solution.T, mean - centre @ solution


def by_singular_values(features, labels, classes, decay):
    targets = np.stack([labels == k for k in range(classes)], axis=1).astype(float)
    centre = features.mean(axis=0, keepdims=True)
    left, values, right = np.linalg.svd(features - centre, full_matrices=False)
    shrunk = values / (values**2 + decay)
    weight = ((left * shrunk).T @ (targets - targets.mean(0))).T @ right
    return [weight, targets.mean(0) - (weight @ centre.T)[:, 0]]


def with_torch(features, labels, classes, decay):
    x, y = torch.tensor(features), torch.nn.functional.one_hot(torch.tensor(labels), classes)
    y = y.to(x.dtype)
    centred = x - x.mean(0)
    gram = centred.T @ centred
    gram.diagonal().add_(decay)
    weight = torch.cholesky_solve(centred.T @ (y - y.mean(0)), torch.linalg.cholesky(gram)).T
    return weight.numpy(), (y.mean(0) - weight @ x.mean(0)).numpy()
