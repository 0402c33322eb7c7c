"""The gradient that comes back through an answer, in torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def handed_back(result: Tensor, towards: np.ndarray, *before: Tensor) -> list[Tensor]:
    """The gradients of sum(result * towards); zeros where nothing arrives.

    Args:
        result: what an answer made of the tensors in `before`.
        towards: numbers of the result's shape, a gradient to hand back.
        *before: tensors that require a gradient.
    """
    if not result.requires_grad or result.shape != towards.shape:
        return [torch.zeros_like(tensor) for tensor in before]
    loss = (result * torch.from_numpy(towards)).sum()
    return [*torch.autograd.grad(loss, before, allow_unused=True, materialize_grads=True)]
