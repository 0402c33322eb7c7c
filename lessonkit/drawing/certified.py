"""A certificate as layers to draw: its places and their locks, in the order of the forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lessonkit.drawing.network import OF_UNITS, Extent, Layer, Network
from paramlock.certifying.certificate import Certificate
from paramlock.certifying.locks import Lock
from paramlock.certifying.records import INPUT, LOSS, LayerRecord, ParameterRecord

OF_ROWS = ("pruned", "held", "unused")  # locks whose value is a share of the layer


def network(found: Certificate) -> Network:
    """The layers of a certificate; as the backward signal, the share of each in the gradient."""
    records, rows = found.measurement.layers, found.layers()
    before = ["", *(record.name for record in records)]
    links = list(zip(records, before, strict=False))
    return Network(
        tuple(_layer(found, r, row, b) for (r, b), row in zip(links, rows, strict=True)),
        backward=tuple(row["gradient"] or 0.0 for row in rows),
        skips=tuple(
            (_name(p) if p else "input", _name(r.name))
            for r, b in links
            for p in r.parents or ("",)
            if p != b
        ),
        at_input=tuple(lock.kind for lock in found.at(INPUT)),
        at_loss=tuple(lock.kind for lock in found.at(LOSS)),
        backward_name="share of the gradient",
    )


def _layer(found: Certificate, record: LayerRecord, row: Mapping[str, Any], before: str) -> Layer:
    own = [p for p in found.measurement.parameters if p.layer == record.name]
    sites = [s.units for s in found.measurement.sites if s.layer == record.name]
    units = max([1, record.units, *sites])
    locks = [lock for lock in found.locks if record.name in lock.layers]
    return Layer(
        _name(record.name),
        max(max((p.size for p in own), default=0) // units, 1),
        units,
        also={lock.kind: _extent(lock.kind, locks, own) for lock in locks},
        afar="" if locks else row["origin"],
        joined=before in record.parents or not (before or record.parents),
    )


def _extent(kind: str, locks: Sequence[Lock], own: Sequence[ParameterRecord]) -> Extent:
    """How much of a layer its locks of a kind hold."""
    these = [lock for lock in locks if lock.kind == kind]
    if kind in OF_UNITS:
        units = {unit for lock in these for unit in lock.units}
        return tuple(units) or max(lock.value for lock in these)
    if kind == "frozen":
        return sum(p.size for p in own if not p.trainable) / sum(p.size for p in own)
    return max(lock.value for lock in these) if kind in OF_ROWS else True


def _name(path: str) -> str:
    return path or "(model)"
