"""What a torch model holds and what its optimizer keeps of it, number by number, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Entries = dict[str, np.ndarray]
"""By name: "head.bias", "gradient for head.bias", "exp_avg for head.bias", "mode of head"."""


def entries(model: nn.Module, optimizer: Optimizer, **beside: Tensor) -> Entries:
    """Each parameter, its gradient, what the optimizer keeps of it; buffers, modes, settings.

    `beside` are tensors that are neither's.
    """
    found: dict[str, Any] = {"settings of the optimizer": _settings(optimizer), **beside}
    found |= {f"mode of {path or 'the model'}": m.training for path, m in model.named_modules()}
    found |= dict(model.named_buffers())
    for name, parameter in model.named_parameters():
        kept = {"gradient": parameter.grad, **optimizer.state.get(parameter, {})}
        found |= {name: parameter, f"requires_grad for {name}": parameter.requires_grad}
        found |= {f"{key} for {name}": value for key, value in kept.items() if value is not None}
    return {name: _copied(value) for name, value in found.items()}


def _settings(optimizer: Optimizer) -> str:
    """The learning rate and whatever else the optimizer was told, for each group."""
    return repr([{**group, "params": len(group["params"])} for group in optimizer.param_groups])


def _copied(value: Any) -> np.ndarray:
    return value.detach().numpy().copy() if torch.is_tensor(value) else np.array(value)


def changed_beside(
    before: Entries, after: Entries, concerned: Callable[[str, Entries], np.ndarray]
) -> list[str]:
    """Names of what is gone, was added, or changed in numbers that are not concerned."""
    names = [name for name in after if name not in before]
    for name, array in before.items():
        others = ~concerned(name, before)
        there = name in after and after[name].shape == array.shape
        if not there or not np.array_equal(after[name][others], array[others]):
            names.append(name)
    return names


def remembered(after: Entries, concerned: Callable[[str, Entries], np.ndarray]) -> float:
    """The sum of the absolute values that the optimizer keeps of the numbers concerned."""
    kept = [name for name in after if " for " in name and not name.startswith("gradient")]
    return float(sum(np.abs(after[name][concerned(name, after)]).sum() for name in kept))


def held(optimizer: Optimizer) -> set[Tensor]:
    """The parameters that the optimizer steps."""
    return {p for group in optimizer.param_groups for p in group["params"]}
