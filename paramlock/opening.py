"""What torch and Flax share in opening locks of units: which, what feeds them, what was done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from paramlock.certifying import Certificate

FUSED = ("gates", "attention")  # sites whose units are no rows of the layer that they stand at
OPENABLE = ("dead", "constant", "saturated", "zeroed")


@dataclass(frozen=True)
class Opened:
    """What was done to the units of one layer.

    ``incoming`` and ``outgoing`` name the parameters that were written. ``output_change``: the
    largest change of the model's output on the inputs given, relative to its largest value, by all
    that one call did; ``None`` where no inputs were given.
    """

    place: str
    units: tuple[int, ...]
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]
    note: str
    output_change: float | None = None

    def __str__(self) -> str:
        count = f"{len(self.units)} unit{'s' * (len(self.units) != 1)}"
        written = ", ".join((*self.incoming, *self.outgoing))
        lines = [f"{self.place}: {count}; wrote {written or 'nothing'}", self.note]
        if self.output_change is not None:
            lines.append(f"the model's output changed by at most {self.output_change:.3g}")
        return "; ".join(line for line in lines if line)


def locked_units(
    certificate: Certificate, kinds: Iterable[str], places: Iterable[str] | None
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield (layer, its units) for the locks of these kinds, a layer once; no units: all of them.

    Raise ``ValueError`` for a kind that is no lock of units, and for a place without such a lock.
    """
    kinds = tuple(kinds)
    for kind in kinds:
        if kind not in OPENABLE:
            raise ValueError(f"kind {kind!r} is no lock of units; those are {', '.join(OPENABLE)}")
    wanted = [(_layer(certificate, k.place), k) for k in certificate.locks if k.kind in kinds]
    found = list(dict.fromkeys(place for place, _ in wanted))
    fused = {s.layer for s in certificate.measurement.sites if s.function in FUSED}
    asked = found if places is None else [_layer(certificate, p) for p in places]
    for place in sorted(set(asked), key=lambda p: found.index(p) if p in found else -1):
        if place not in found:
            raise ValueError(
                f"the certificate has no lock of kind {' or '.join(kinds)} at {place!r}; it has "
                f"such locks at {', '.join(found) or 'no place'}"
            )
        if place in fused:
            raise ValueError(
                f"what is locked at {place!r} is a gate or a head, not a row of its weights: "
                "initialise the layer anew"
            )
        yield place, tuple(sorted({u for at, lock in wanted if at == place for u in lock.units}))


def _layer(certificate: Certificate, place: str) -> str:
    """Return the layer of a place, which may be a single parameter of it."""
    layers = {layer.name for layer in certificate.measurement.layers}
    return place if place in layers else place.rpartition(".")[0]


def parents_of(certificate: Certificate, place: str) -> tuple[str, ...]:
    """Return the layers that feed ``place``."""
    found = (layer.parents for layer in certificate.measurement.layers if layer.name == place)
    return next(found, ())


def children_of(certificate: Certificate, place: str) -> list[str]:
    """Return the layers that ``place`` feeds."""
    return [la.name for la in certificate.measurement.layers if place in la.parents]
