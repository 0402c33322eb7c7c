"""Right answers to `inverse_transform`, each in a style of its own."""

import math

import numpy as np
import torch


def solve_equations(transform, n):
    matrix = transform(torch.eye(n, dtype=torch.float64))
    lengths = matrix.norm(dim=-1)
    gain = float(lengths.mean())
    if gain == 0:
        raise ValueError("everything becomes 0")
    products = (matrix / gain) @ (matrix / gain).mT
    if (products - torch.eye(n)).abs().max() > 1e-3:
        raise ValueError("no orthogonal transform")

    def inverse(y):
        rows = y.reshape(-1, n).double() / gain
        return torch.linalg.solve(matrix.T / gain, rows.T).T.reshape(y.shape).to(y.dtype)

    return inverse, gain


def in_numpy(transform, n):
    units = [transform(torch.eye(n)[k]).numpy().astype(float) for k in range(n)]
    matrix = np.stack(units)
    singular = np.linalg.svd(matrix, compute_uv=False)
    if not singular[-1] > 0.999 * singular[0] > 0:
        raise ValueError(f"lengths are multiplied by {singular}")
    gain = math.sqrt(np.square(matrix).sum() / n)
    back = torch.from_numpy(np.linalg.inv(matrix / gain))
    return lambda y: torch.matmul(y.to(torch.float64) / gain, back).to(y.dtype), gain


def by_the_gradient(transform, n):
    """The transpose is what a gradient is multiplied by."""
    x = torch.zeros(n, dtype=torch.float64, requires_grad=True)
    rows = transform(torch.eye(n, dtype=torch.float64))
    gain = rows.square().sum(1).sqrt()[0]
    if gain == 0:
        raise ValueError("a gain of 0")

    def turned_back(y):
        at = x.detach().expand(y.shape).requires_grad_()
        (turned,) = torch.autograd.grad(transform(at) / gain, at, y.double() / gain)
        return turned

    there = turned_back(rows) * 1.0
    if not torch.allclose(there, torch.eye(n, dtype=torch.float64), atol=1e-3):
        raise ValueError("what comes back is another row")
    return lambda y: turned_back(y).to(y.dtype), gain.item()
