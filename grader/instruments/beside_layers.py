"""A module that holds a linear layer and more: what it learns, what it computes, what it holds."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def linear_layer(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A layer with these numbers, in their dtype; without a bias where that is empty."""
    outputs, inputs = weight.shape
    layer = nn.Linear(inputs, outputs, bias=len(bias) > 0, dtype=weight.dtype)
    layer.load_state_dict({"weight": weight} | ({"bias": bias} if len(bias) else {}))
    return layer


def learning(module: nn.Module, x: Tensor, towards: Tensor) -> tuple[int, Tensor]:
    """How many numbers a gradient other than 0 reaches, and what reaches x; then a step is made.

    Args:
        module: what is given x.
        x: the input.
        towards: of the output's shape. The loss is the sum of their product.
    """
    module.zero_grad()
    x = x.clone().requires_grad_()
    (module(x) * towards).sum().backward()
    reached = [(p, p.grad) for p in module.parameters() if p.grad is not None and p.grad.any()]
    for parameter, gradient in reached:
        parameter.data -= 0.1 * gradient
    return sum(p.numel() for p, _ in reached), torch.zeros_like(x) if x.grad is None else x.grad


@torch.no_grad()
def as_matrix(module: nn.Module, like: Tensor) -> Tensor:
    """The matrix that multiplies an input of the width and dtype of `like`, (inputs, outputs)."""
    eye = torch.eye(like.shape[-1], dtype=like.dtype)
    return module(eye) - module(torch.zeros_like(eye))


def faults(
    module: nn.Module, own: Mapping[str, nn.Parameter], numbers: Mapping[str, Tensor]
) -> list[str]:
    """What is amiss with parameters that should be held themselves, frozen, with these numbers."""
    found = []
    for name, parameter in own.items():
        if all(parameter is not held for held in module.parameters()):
            found.append(f"the {name} is not the layer's own")
        elif parameter.requires_grad:
            found.append(f"the {name} is trainable")
        elif not torch.equal(parameter, numbers[name]):
            found.append(f"the {name} has changed")
    return found
