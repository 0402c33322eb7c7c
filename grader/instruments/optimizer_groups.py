"""In which groups of an optimizer the parameters of a model are, and with which settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

Groups = Sequence[Mapping[str, Any]]
"""Groups that were read: the params of each are a list of tensors."""


def read(returned: Any) -> Groups | None:
    """The groups of a list or tuple of dicts, in one of the forms that torch takes.

    Params may be one tensor, or some, or some with names. None of what is no such list.
    """
    if not isinstance(returned, list | tuple):
        return None
    if not all(isinstance(item, Mapping) and "params" in item for item in returned):
        return None
    return [{**group, "params": _tensors(group["params"])} for group in returned]


def _tensors(params: Tensor | Iterable[Any]) -> list[Tensor]:
    if isinstance(params, Tensor):
        return [params]
    return [item[1] if isinstance(item, tuple) else item for item in params]


def times(model: nn.Module, groups: Groups) -> dict[str, int]:
    """How often each parameter of a model is in the groups, by the first of its names."""
    return {name: len(found) for name, found in _holding(model, groups).items()}


def setting(model: nn.Module, groups: Groups, key: str, over: float) -> dict[str, float]:
    """What the first group that holds a parameter says under a key, over a number.

    NaN where no group holds it, or where the group leaves this to the optimizer.
    """
    first = {name: found[0] if found else {} for name, found in _holding(model, groups).items()}
    return {name: float(group.get(key, np.nan)) / over for name, group in first.items()}


def strangers(model: nn.Module, groups: Groups) -> int:
    """How many tensors in the groups are not the model's own."""
    own = [*model.parameters()]
    return sum(all(tensor is not p for p in own) for tensor, _ in _pairs(groups))


def empty(groups: Groups) -> int:
    """How many groups hold nothing."""
    return sum(not group["params"] for group in groups)


def _pairs(groups: Groups) -> list[tuple[Tensor, Mapping[str, Any]]]:
    return [(tensor, group) for group in groups for tensor in group["params"]]


def _holding(model: nn.Module, groups: Groups) -> dict[str, list[Mapping[str, Any]]]:
    return {
        name: [group for tensor, group in _pairs(groups) if tensor is parameter]
        for name, parameter in model.named_parameters()
    }
