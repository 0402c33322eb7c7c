"""The samples that a Fisher diagonal is taken over, and whether their targets fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paramlock.models.batches import batches_of, samples_in, some, split


def labelled(data: Any, kind: str) -> Iterator[tuple[Any, Any]]:
    """Yield `(inputs, targets)` of each batch that is not empty; targets may be `None`."""
    samples = 0
    for batch in batches_of(data, bare=kind != "empirical"):
        inputs, targets = split(batch) if _is_pair(batch) else (batch, None)
        if kind == "empirical" and not hasattr(targets, "shape"):
            raise ValueError(
                "the empirical Fisher needs targets: give (inputs, targets) batches, "
                "or ask for kind='true'"
            )
        if count := samples_in(inputs):
            samples += count
            yield inputs, targets
    some(samples)


def require_targets(shape: tuple[int, ...], outputs: tuple[int, ...], likelihood: str) -> None:
    """Raise `ValueError` where targets of `shape` do not fit outputs of `outputs`."""
    wanted = tuple(outputs[:-1] if likelihood == "categorical" else outputs)
    if tuple(shape) != wanted:
        raise ValueError(
            f"targets have the shape {tuple(shape)}, but outputs {tuple(outputs)} with the "
            f"{likelihood} likelihood need {wanted}"
            + (" (the classes are the last axis)" if likelihood == "categorical" else "")
        )


def _is_pair(batch: Any) -> bool:
    """Tell `(inputs, targets)` from bare inputs."""
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    return pair and hasattr(batch[1], "shape")
