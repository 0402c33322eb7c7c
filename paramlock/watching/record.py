"""What a watch keeps of a step, and what it says of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from paramlock.models.numbers import ratio, total

FEW = 3  # layers that a line names
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
    """All layers at one step; `finite`: whether every gradient and parameter was.

    `unseen`: layers with a gradient whose call was not seen, so that what follows them is known
    to be neither dead nor alive: compiled code, or a call outside of any module's.
    """

    step: int
    finite: bool
    layers: dict[str, LayerState] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)


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
    parts = [f"least update {state.update or 0.0:.3g} at {name or 'the model'}"]
    parts += [_most(record, "dead"), _most(record, "saturated")] if _sites(record) else []
    parts += [] if _sites(record) else ["no activation was seen"]
    return f"step {record.step}: {', '.join(parts)}{_unseen(record)}"


def _sites(record: Record) -> bool:
    """Whether any activation was seen."""
    return any(state.dead is not None for state in record.layers.values())


def _most(record: Record, quantity: str) -> str:
    shares = (getattr(state, quantity) or 0.0 for state in record.layers.values())
    return f"{quantity} up to {max(shares, default=0.0):.0%}"


def _unseen(record: Record) -> str:
    """Name the layers that were not seen, the first of many."""
    if not record.unseen:
        return ""
    names = [name or "the model's own parameters" for name in record.unseen[:FEW]]
    more = len(record.unseen) - len(names)
    return f"; not seen: {', '.join(names)}{f' and {more} more' if more else ''}"
