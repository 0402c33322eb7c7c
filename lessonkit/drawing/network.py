"""What a drawing shows: layers in a chain, and what is locked in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from paramlock.certifying.locks import KINDS

OF_UNITS = frozenset({"dead", "saturated", "constant"})
"""Locks that are drawn on a layer's units; all others are drawn on its weights."""

Extent = bool | float | Collection[int] | Collection[tuple[int, int]]
"""How much of a layer is locked: all of it, a share, units by their numbers (from 0), or single
weights as `(unit, input)`."""


@dataclass(frozen=True)
class Layer:
    """A layer: its weights, from `inputs` values to `units` units, and its locks.

    `lock` is the kind of a lock, `locked` how much it holds; `also` holds further ones,
    `{kind: extent}`. `afar` is the kind of a lock elsewhere that affects this layer. `note` stands
    over the layer, with a pointer. `joined`: whether the layer before it feeds it.
    """

    name: str
    inputs: int = 1
    units: int = 1
    lock: str = ""
    locked: Extent = True
    also: Mapping[str, Extent] = field(default_factory=dict)
    afar: str = ""
    note: str = ""
    joined: bool = True

    def __post_init__(self) -> None:
        for kind in filter(None, [self.lock, self.afar, *self.also]):
            if kind not in KINDS:
                raise ValueError(f"layer {self.name!r}: no lock is called {kind!r}; {_known()}")
        given = {**({self.lock: self.locked} if self.lock else {}), **self.also}
        held = {kind: _checked(self, kind, extent) for kind, extent in given.items()}
        object.__setattr__(self, "locks", {kind: extent for kind, extent in held.items() if extent})

    locks: dict[str, float | tuple[int, ...] | tuple[tuple[int, int], ...]] = field(init=False)
    """{kind: share, numbers of units, or pairs}; kinds that hold nothing are left out."""

    def share(self, kind: str) -> float:
        """How much of the layer a lock holds, from 0 to 1."""
        extent = self.locks.get(kind, 0.0)
        if isinstance(extent, float):
            return extent
        pairs = isinstance(extent[0], tuple)
        return len(extent) / (self.units * (self.inputs if pairs else 1))

    def locked_units(self, kind: str) -> tuple[int, ...]:
        """The numbers of the units that a lock holds; of a mere share, the first ones."""
        extent = self.locks.get(kind, 0.0)
        if isinstance(extent, float):
            return tuple(range(round(extent * self.units)))
        return tuple(unit for unit in extent if isinstance(unit, int))

    def locked_weights(self, kind: str) -> frozenset[tuple[int, int]]:
        """The single weights that a lock holds, where they were named."""
        extent = self.locks.get(kind, 0.0)
        pairs = () if isinstance(extent, float) else extent
        return frozenset(pair for pair in pairs if isinstance(pair, tuple))

    @property
    def on_units(self) -> list[str]:
        """The kinds that hold units."""
        return [kind for kind in self.locks if kind in OF_UNITS]

    @property
    def on_weights(self) -> list[str]:
        """The kinds that hold weights."""
        return [kind for kind in self.locks if kind not in OF_UNITS]


@dataclass(frozen=True)
class Network:
    """A chain of layers with what lies beside it.

    `forward` and `backward` hold a strength per layer: of the signal that leaves it, of the
    gradient that reaches its weights. `skips` are pairs of names, from a layer's output (or
    `"input"`) to another's input. `at_input` and `at_loss` are kinds of locks.
    """

    layers: tuple[Layer, ...]
    title: str = ""
    forward: tuple[float, ...] = ()
    backward: tuple[float, ...] = ()
    skips: tuple[tuple[str, str], ...] = ()
    at_input: tuple[str, ...] = ()
    at_loss: tuple[str, ...] = ()
    backward_name: str = "gradient"

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"a drawing needs layers with a name of their own each, not {names}")
        for word in ("forward", "backward"):
            if len(getattr(self, word)) not in (0, len(names)):
                count = len(getattr(self, word))
                raise ValueError(
                    f"{word} holds a strength for each of {len(names)} layers, not {count}"
                )
        for skip in self.skips:
            if unknown := set(skip) - {"input", *names}:
                raise ValueError(f"skips name no layer {unknown.pop()!r}; there are: {names}")


def chain(
    sizes: Sequence[int],
    *,
    names: Sequence[str] = (),
    notes: Mapping[str, str] | None = None,
    **locks: Mapping[str, Extent] | Iterable[str],
) -> list[Layer]:
    """Layers between `len(sizes)` columns of units, called W1, W2 and so on unless `names` says.

    Each lock is a keyword: the names of the layers that it holds, or `{name: extent}`.

        chain([784, 128, 10], frozen=["W1"], dead={"W1": 0.3}, notes={"W2": "learns alone"})

    Raises:
        ValueError: a lock or a layer that is not there.
    """
    called = list(names) or [f"W{i}" for i in range(1, len(sizes))]
    held = {kind: _extents(where) for kind, where in locks.items()}
    said = notes or {}
    for name in {name for where in [*held.values(), said] for name in where} - set(called):
        raise ValueError(f"no layer is called {name!r}; there are: {', '.join(called)}")
    return [
        Layer(
            name,
            inputs,
            units,
            also={kind: where[name] for kind, where in held.items() if name in where},
            note=said.get(name, ""),
        )
        for name, inputs, units in zip(called, sizes, sizes[1:], strict=False)
    ]


def _extents(where: Mapping[str, Extent] | Iterable[str]) -> Mapping[str, Extent]:
    return where if isinstance(where, Mapping) else dict.fromkeys(where, True)


def _known() -> str:
    return f"there are: {', '.join(KINDS)}"


def _checked(
    layer: Layer, kind: str, extent: Extent
) -> float | tuple[int, ...] | tuple[tuple[int, int], ...]:
    """An extent as a share or as a tuple of numbers or pairs, within the layer."""
    if isinstance(extent, int | float):
        if not 0 <= extent <= 1:
            raise ValueError(
                f"layer {layer.name!r}: {kind} holds a share from 0 to 1, units as a list of "
                f"numbers, or weights as pairs, not {extent!r}"
            )
        return float(extent)
    parts = tuple(extent)
    pairs = [part if isinstance(part, tuple) else (part, 0) for part in parts]
    if not all(0 <= unit < layer.units and 0 <= i < layer.inputs for unit, i in pairs):
        raise ValueError(
            f"layer {layer.name!r} has {layer.units} units of {layer.inputs} inputs, numbered from "
            f"0; {kind} holds {list(parts)}"
        )
    return tuple(sorted(parts))  # type: ignore[type-var,return-value]
