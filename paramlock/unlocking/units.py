"""What torch and Flax share in opening locks of units: which, what feeds them, what was done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from paramlock.certifying.certificate import Certificate
from paramlock.certifying.diagnosis import MOSTLY
from paramlock.certifying.locks import Lock

FUSED = ("gates", "attention")  # sites whose units are no rows of the layer that they stand at
KEPT = "outgoing weights kept: nothing passed the layer, and zeros there would shut it again"
OPENABLE = ("dead", "constant", "saturated", "zeroed", "heavy")


@dataclass(frozen=True)
class Opened:
    """What was done to the units of one layer.

    `incoming` and `outgoing` name the parameters that were written. `output_change`: the
    largest change of the model's output on the inputs given, relative to its largest value, by all
    that one call did; `None` where no inputs were given.
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

    Locks of the input are left out: no weight makes its units.

    Raises:
        ValueError: a kind that is no lock of units, or a place without such a lock.
    """
    kinds = tuple(kinds)
    for kind in kinds:
        if kind not in OPENABLE:
            raise ValueError(f"kind {kind!r} is no lock of units; those are {', '.join(OPENABLE)}")
    wanted = [(layer, k) for k in certificate.locks if k.kind in kinds for layer in k.layers]
    found = list(dict.fromkeys(layer for layer, _ in wanted))
    fused = {s.layer for s in certificate.measurement.sites if s.function in FUSED}
    owners = {record.name: record.layer for record in certificate.measurement.parameters}
    asked = found if places is None else [owners.get(place, place) for place in places]
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
        locks = [lock for at, lock in wanted if at == place]
        whole = any(_is_whole(certificate, place, lock) for lock in locks)
        yield place, () if whole else tuple(sorted({u for lock in locks for u in lock.units}))


def _is_whole(certificate: Certificate, place: str, lock: Lock) -> bool:
    """Whether a lock holds all units: it names none, or those that it does not name are flat too.

    A unit is named as saturated where it is so on every sample; beside it others may be on most.
    """
    if not lock.units or lock.kind != "saturated":
        return not lock.units
    sites = certificate.measurement.sites
    count = next(s.units for s in sites if s.layer == place and s.flat == lock.value)
    others = count - len(lock.units)
    return lock.value * count - len(lock.units) >= MOSTLY * others


def passes_nothing(certificate: Certificate, kinds: Iterable[str], place: str) -> bool:
    """Whether a layer is to be opened because all its weights are zero."""
    zeroed = (lock for lock in certificate.locks if lock.kind == "zeroed")
    return "zeroed" in kinds and any(place in lock.layers for lock in zeroed)


def parents_of(certificate: Certificate, place: str) -> tuple[str, ...]:
    """The layers that feed `place`."""
    found = (layer.parents for layer in certificate.measurement.layers if layer.name == place)
    return next(found, ())


def children_of(certificate: Certificate, place: str) -> list[str]:
    """The layers that `place` feeds."""
    return [la.name for la in certificate.measurement.layers if place in la.parents]
