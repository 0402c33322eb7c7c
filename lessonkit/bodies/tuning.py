"""The loop with which studies tune a network, and what they count of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

Network = TypeVar("Network", bound=nn.Module)


def tuned(
    model: Network,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    steps: int,
    *,
    batch: int = 32,
    before: Callable[[int], object] | None = None,
) -> Network:
    """The model after its steps, in evaluation mode; `before(step)` is called before each."""
    model.train()
    for step in range(steps):
        if before is not None:
            before(step)
        rows = torch.randint(len(x), (batch,))
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model.eval()


def trainable_share(model: nn.Module) -> float:
    """Of all parameters."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, trains in sizes if trains) / sum(n for n, _ in sizes)


def operations(model: nn.Module, x: Tensor) -> int:
    """Of a forward and backward pass."""
    with FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    return int(counter.get_total_flops())
