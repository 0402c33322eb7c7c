"""What the likelihood says about the outputs of a torch model: scores, draws, exact roots."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from paramlock.fisher.samples import require_targets
from paramlock.models.in_torch import precision

# --- what the likelihood says about the outputs ---------------------------------------------


def cotangents(
    outputs: Tensor,
    targets: Any,
    kind: str,
    likelihood: str,
    draws: int,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Yield tensors shaped like `outputs` (n, …, classes) whose squares are to be summed."""
    if outputs.ndim < 2:
        raise ValueError(f"outputs have the shape {tuple(outputs.shape)}, not (n, …, classes)")
    outputs = outputs.to(precision(outputs))
    if kind == "empirical":
        require_targets(tuple(targets.shape), tuple(outputs.shape), likelihood)
        yield _score(outputs, targets.to(outputs.device), likelihood)
    elif kind == "sampled":
        for _ in range(draws):
            labels = _draw(outputs, likelihood, generator)
            yield _score(outputs, labels, likelihood) / math.sqrt(draws)
    else:
        yield from _one_position_at_a_time(_roots(outputs, likelihood), outputs.shape)


def _score(outputs: Tensor, targets: Tensor, likelihood: str) -> Tensor:
    """The gradient of the log-likelihood of `targets` with respect to `outputs`."""
    if likelihood == "gaussian":
        return targets - outputs
    classes = outputs.shape[-1]
    if targets.is_floating_point() or targets.min() < 0 or targets.max() >= classes:
        raise ValueError(
            f"targets must be whole numbers from 0 to {classes - 1}, one for each of the "
            f"{classes} classes that the outputs have; they are {targets.dtype} from "
            f"{targets.min().item()} to {targets.max().item()}"
        )
    return F.one_hot(targets.long(), classes) - outputs.softmax(-1)


def _draw(outputs: Tensor, likelihood: str, generator: torch.Generator) -> Tensor:
    """Labels from the network's own distribution, drawn on the CPU for the seed's sake."""
    if likelihood == "gaussian":
        noise = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
        return outputs + noise.to(outputs.device)
    chances = outputs.softmax(-1).flatten(0, -2).cpu()
    labels = torch.multinomial(chances, 1, generator=generator)
    return labels.reshape(outputs.shape[:-1]).to(outputs.device)


def _roots(outputs: Tensor, likelihood: str) -> Tensor:
    """Columns (…, classes, k) whose outer products sum to the Fisher of the outputs.

    For logits that matrix is diag(p) - ppᵀ, and its Cholesky factor has a closed form with one
    column less than there are classes (Tanabe and Sagae 1992, "An exact Cholesky decomposition
    of the multinomial covariance matrix"), which saves a backward pass.
    """
    classes = outputs.shape[-1]
    if likelihood == "gaussian":
        eye = torch.eye(classes, dtype=outputs.dtype, device=outputs.device)
        return eye.expand(*outputs.shape[:-1], classes, classes)
    p = outputs.softmax(-1)
    rest = p.flip(-1).cumsum(-1).flip(-1)  # rest[i] = p[i] + p[i+1] + …, without cancellation
    after = torch.cat([rest[..., 1:], torch.zeros_like(rest[..., :1])], -1)
    tiny = torch.finfo(p.dtype).tiny
    below = (p / (after.clamp_min(tiny) * rest.clamp_min(tiny))).sqrt()
    columns = -p.unsqueeze(-1) * below.unsqueeze(-2)
    columns = columns.tril(-1) + torch.diag_embed((p * after / rest.clamp_min(tiny)).sqrt())
    return columns[..., :-1]


def _one_position_at_a_time(roots: Tensor, shape: torch.Size) -> Iterator[Tensor]:
    """Yield cotangents: positions of a sequence draw their labels independently."""
    n, classes = shape[0], shape[-1]
    flat = roots.reshape(n, -1, classes, roots.shape[-1])
    for position in range(flat.shape[1]):
        for column in range(flat.shape[-1]):
            cotangent = flat.new_zeros(n, flat.shape[1], classes)
            cotangent[:, position] = flat[:, position, :, column]
            yield cotangent.reshape(shape)
