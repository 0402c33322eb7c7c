"""In which groups of an optimizer the parameters of a model are, and with which settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

Groups = Sequence[Mapping[str, Any]]


def are_groups(returned: Any) -> bool:
    """Whether it is a list or tuple of dicts, each with its params."""
    is_row = isinstance(returned, list | tuple)
    return is_row and all(isinstance(item, Mapping) and "params" in item for item in returned)


def times(model: nn.Module, groups: Groups) -> dict[str, int]:
    """How often each parameter of a model is in the groups, by the first of its names."""
    return {name: len(found) for name, found in _holding(model, groups).items()}


def setting(model: nn.Module, groups: Groups, key: str, over: float) -> dict[str, float]:
    """What the first group that holds a parameter says under a key, over a number.

    NaN where no group holds it, or where the group leaves this to the optimizer.
    """
    holding = _holding(model, groups)
    given = {
        name: found[0].get(key, np.nan) if found else np.nan for name, found in holding.items()
    }
    return {name: float(value) / over for name, value in given.items()}


def strangers(model: nn.Module, groups: Groups) -> int:
    """How many tensors in the groups are not the model's own."""
    own = [*model.parameters()]
    held = [tensor for group in groups for tensor in _tensors(group["params"])]
    return sum(all(tensor is not p for p in own) for tensor in held)


def empty(groups: Groups) -> int:
    """How many groups hold nothing."""
    return sum(not len(_tensors(group["params"])) for group in groups)


def _holding(model: nn.Module, groups: Groups) -> dict[str, list[Mapping[str, Any]]]:
    pairs = [(tensor, group) for group in groups for tensor in _tensors(group["params"])]
    return {
        name: [group for tensor, group in pairs if tensor is parameter]
        for name, parameter in model.named_parameters()
    }


def _tensors(params: Tensor | Iterable[Any]) -> Sequence[Tensor]:
    """The tensors of a group as torch takes them: one, some, or some with names."""
    if isinstance(params, Tensor):
        return [params]
    return [item[1] if isinstance(item, tuple) else item for item in params]
