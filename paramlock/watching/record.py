"""What a watch keeps of a step, and what it says of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from paramlock.models.numbers import ratio, total

QUANTITIES = ("gradient", "update", "dead", "saturated")


@dataclass
class LayerState:
    """A layer at one step. `None`: no gradient arrived, or the layer feeds no activation."""

    gradient: float | None = None
    update: float | None = None
    dead: float | None = None
    saturated: float | None = None


@dataclass
class Record:
    """All layers at one step; `finite`: whether every gradient and parameter was."""

    step: int
    finite: bool
    layers: dict[str, LayerState] = field(default_factory=dict)


def layers_in(history: Iterable[Record]) -> list[str]:
    """All layers of the records, in the order of the model."""
    return list(dict.fromkeys(name for record in history for name in record.layers))


def series(history: Sequence[Record], quantity: str, layer: str) -> list[float]:
    """One of `QUANTITIES` of a layer over the records; NaN where there was none."""
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity is {quantity!r}, not one of {', '.join(QUANTITIES)}")
    states = [record.layers.get(layer) for record in history]
    if not any(states):
        raise ValueError(f"no layer is called {layer!r}; there are {', '.join(layers_in(history))}")
    values = [getattr(state, quantity, None) for state in states]
    return [math.nan if value is None else value for value in values]


def states(
    gradients: dict[str, list[float]],
    updates: dict[str, list[float]],
    norms: dict[str, list[float]],
) -> dict[str, LayerState]:
    """The state of each layer from the norms of its tensors."""
    whole = total(g for values in gradients.values() for g in values)
    return {
        name: LayerState(
            ratio(total(gradients[name]), whole) if gradients.get(name) else None,
            ratio(total(updates[name]), total(norms[name])),
        )
        for name in norms
    }


def by_layer(layers: Iterable[str], values: Iterable[float]) -> dict[str, list[float]]:
    """{layer: its values}."""
    grouped: dict[str, list[float]] = {}
    for layer, value in zip(layers, values, strict=True):
        grouped.setdefault(layer, []).append(value)
    return grouped


def all_finite(*groups: dict[str, list[float]]) -> bool:
    """Whether every value is finite."""
    return all(math.isfinite(v) for group in groups for values in group.values() for v in values)


# --- live


def _weakest(record: Record) -> tuple[str, LayerState]:
    known = [(n, s) for n, s in record.layers.items() if s.update is not None]
    return min(known, key=lambda item: item[1].update or 0.0, default=("", LayerState()))


def line(record: Record) -> str:
    """A step in one line, for a terminal."""
    if not record.finite:
        return f"step {record.step}: values that are not finite"
    name, state = _weakest(record)
    dead = max((s.dead or 0.0 for s in record.layers.values()), default=0.0)
    flat = max((s.saturated or 0.0 for s in record.layers.values()), default=0.0)
    return (
        f"step {record.step}: least update {state.update or 0.0:.3g} at {name or 'the model'}, "
        f"dead up to {dead:.0%}, saturated up to {flat:.0%}"
    )
