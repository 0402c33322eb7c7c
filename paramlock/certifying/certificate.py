"""The locking certificate: which parts of a network do not learn, why, and the numbers.

`certificate(model, data, loss)` measures; the `Certificate` it returns is plain numbers, the
same for each framework. It shows itself as text in a terminal and as HTML in a notebook.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

from paramlock.certifying.diagnosis import FEW, diagnose, numberless
from paramlock.certifying.locks import KINDS, Lock
from paramlock.certifying.records import Measurement, ParameterRecord, Pseudo, place_name
from paramlock.models.frameworks import MODELS, framework_of
from paramlock.models.numbers import plain, ratio, total
from paramlock.pictures import tables

SCHEMA = 2  # raised when a key of to_dict() changes its meaning or goes away
FEW_SAMPLES = 32
FEW_LAYERS = 40  # more of them are shown with those that differ in numbers alone as one row


def certificate(
    model: Any,
    data: Any,
    loss: Callable[[Any, Any], Any],
    *,
    optimizer: Any = None,
    params: Any = None,
    fisher: Mapping[str, Any] | None = None,
    epsilon: float = 1e-3,
    delta: float = 0.05,
) -> Certificate:
    """Which parts of `model` do not learn, why, and how each lock opens.

    `model` is a `torch.nn.Module`, a `flax.nnx.Module`, or a `flax.linen.Module` (or its
    apply function) together with its variables as `params`. It is measured in the modes it is
    in and left exactly as it was: parameters, buffers, gradients, modes, hooks, random
    generators, also where `loss` raises.

    `data`: one `(inputs, targets)` batch, or a loader of them; samples lie along the first
    axis. A tuple as inputs holds several arguments, a mapping holds keywords; a batch that is a
    mapping is given to `loss` whole. `loss(outputs, targets)` returns one number, the mean
    over the batch.

    `optimizer`: torch's, or in JAX a pair `(optax transformation, its state)` or an
    `nnx.Optimizer`. With it the update ratio is known, the norm of the change that its next
    step would make over the norm of the parameter; without it a vanishing gradient is judged as
    plain gradient descent would take it. Under Adam, a vanishing gradient is no lock.

    `fisher`: what `fisher_diagonal` returned for this model. With it the *Fisher mass* of each
    tensor is listed, the sum of its entries as a share of the whole: where it is zero, no single
    sample pulls at the tensor, while a zero gradient may only be pulls that cancel.

    `epsilon`: share of the gradient (per weight, root mean square) below which a layer counts
    as not reached. `delta`: absolute derivative below which a unit is saturated. A unit is dead
    where its derivative is zero on all of `data`.

    Gates written out by hand (`torch.where`, custom derivatives, loops in JAX that cannot be
    followed) are listed as not seen: what they shut is felt in the gradients, but not named.

    Raises:
        ValueError: no data, shapes that do not fit, parameters without values or of integers, a
            loss that is no single number or has no graph, a `fisher` of another model. Other
            errors of `loss` pass.
        TypeError: something that is no model of torch or Flax.
    """
    measure = _probe(model, params)
    if not all(isinstance(bound, Real) and bound > 0 for bound in (epsilon, delta)):
        raise ValueError(f"epsilon and delta are positive, not {epsilon!r} and {delta!r}")
    options = {} if params is None else {"params": params}
    measurement = measure(model, data, loss, optimizer=optimizer, delta=delta, **options)
    if fisher is not None:
        _weigh(measurement.parameters, fisher)
    return Certificate(measurement, diagnose(measurement, epsilon), epsilon, delta)


def _weigh(records: list[ParameterRecord], fisher: Mapping[str, Any]) -> None:
    """Note each tensor's Fisher mass."""
    known = {record.name: record for record in records}
    for name, diagonal in fisher.items():
        record = known.get(name)
        if record is None or tuple(diagonal.shape) != record.shape:
            seen = "missing" if record is None else f"of shape {record.shape}"
            raise ValueError(
                f"fisher has {name!r} of shape {tuple(diagonal.shape)}, which in the model is "
                f"{seen}: pass fisher_diagonal(model, ...) of this model"
            )
        record.fisher = float(diagonal.sum())


def _probe(model: Any, params: Any) -> Callable[..., Measurement]:
    """What measures this kind of model; no framework is imported that it does not use."""
    if framework_of(model, *MODELS, params=params) == "torch":
        from paramlock.certifying.in_torch import probe as torch_probe

        return torch_probe.measure
    from paramlock.certifying.in_flax import probe as flax_probe

    return flax_probe.measure


@dataclass
class Certificate:
    """The numbers of one model on given data, and the locks they show.

    `locks`: origins only, *nonfinite* first, then in the order of the layers. `measurement`:
    all numbers.
    """

    measurement: Measurement
    locks: list[Lock]
    epsilon: float
    delta: float

    @property
    def cascades(self) -> list[Lock]:
        """The locks that lock other layers too."""
        return [lock for lock in self.locks if lock.backward or lock.forward]

    def at(self, place: str) -> list[Lock]:
        """The locks whose origin is `place`.

        Args:
            place: a path such as `"encoder.0"`, or `INPUT`, `LOSS` or `MODEL` of
                `paramlock.certifying.records`: the word `"input"` is a module that is called so.
        """
        return [lock for lock in self.locks if lock.place == place]

    def layers(self) -> list[dict[str, Any]]:
        """A row per layer: its numbers, its lock, and the kind that affects it from afar.

        Keys: layer, kind, weights, frozen, gradient, update, fisher, dead, saturated, units, lock,
        origin.
        """
        return list(_layer_rows(self))

    def compare(self, other: Certificate) -> Comparison:
        """What changed from this certificate to a later one of the same model."""
        return Comparison(self, other)

    def plot(self) -> Any:
        """The network as a strip of layers coloured by lock, as a `figures.Picture`."""
        from paramlock.certifying import strip

        return strip.picture(self.layers(), self.locks)

    def to_dict(self) -> dict[str, Any]:
        """All numbers and locks as plain data; floats that are not finite are strings."""
        measured = asdict(self.measurement)
        for record, row in zip(self.measurement.parameters, measured["parameters"], strict=True):
            row["relative_gradient"] = self.measurement.relative_gradient(record)
            row["update_ratio"] = record.update_ratio
            row["fisher_share"] = self.measurement.fisher_share([record])
        for site, row in zip(self.measurement.sites, measured["sites"], strict=True):
            row["pseudo"] = isinstance(site.layer, Pseudo)
        for layer, row in zip(self.layers(), measured["layers"], strict=True):
            row["relative_gradient"], row["update_ratio"] = layer["gradient"], layer["update"]
        data: dict[str, Any] = plain(
            {
                "schema": SCHEMA,
                "epsilon": self.epsilon,
                "delta": self.delta,
                "locks": [lock.to_dict() for lock in self.locks],
                **measured,
            }
        )
        return data

    def to_json(self) -> str:
        """`to_dict()` as JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __str__(self) -> str:
        frozen, others = _apart(self.locks)
        lines = [_summary(self), *frozen, *(_lock_text(lock) for lock in others)]
        lines.append(tables.text(_rows(self)))
        return "\n".join([*lines, *(f"Note: {note}" for note in _notes(self))])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        frozen, others = _apart(self.locks)
        locks = "".join(f"<p>{html.escape(line)}</p>" for line in frozen)
        locks += "".join(_lock_html(lock) for lock in others)
        notes = "".join(f"<p>Note: {html.escape(note)}</p>" for note in _notes(self))
        return (
            f'<div class="paramlock-certificate"><p><b>{html.escape(_summary(self))}</b></p>'
            f"{locks}{_table_html(self)}{notes}</div>"
        )


@dataclass
class Comparison:
    """What changed between two certificates of one model."""

    before: Certificate
    after: Certificate

    @property
    def opened(self) -> list[Lock]:
        """Locks that are there no more."""
        still = {(lock.kind, lock.place) for lock in self.after.locks}
        return [lock for lock in self.before.locks if (lock.kind, lock.place) not in still]

    @property
    def closed(self) -> list[Lock]:
        """Locks that are new."""
        return Comparison(self.after, self.before).opened

    @property
    def kept(self) -> list[tuple[Lock, Lock]]:
        """Locks in both, as pairs."""
        later = {(lock.kind, lock.place): lock for lock in self.after.locks}
        pairs = ((lock, later.get((lock.kind, lock.place))) for lock in self.before.locks)
        return [(old, new) for old, new in pairs if new is not None]

    def __str__(self) -> str:
        lines = [f"- opened: {lock.title}" for lock in self.opened]
        lines += [f"- new: {lock.title} ({lock.evidence})" for lock in self.closed]
        lines += [
            f"- still: {old.title}, from {old.value:.3g} to {new.value:.3g}"
            for old, new in self.kept
        ]
        return "\n".join(lines or ["No locks before or after."])

    __repr__ = __str__


# --- rows and words


def _layer_rows(certificate: Certificate) -> Iterator[dict[str, Any]]:
    measured = certificate.measurement
    for layer in measured.layers:
        records = [p for p in measured.parameters if p.layer == layer.name]
        sites = [site for site in measured.sites if site.layer == layer.name]
        gradients = [p.gradient for p in records if p.gradient is not None]
        yield {
            "layer": layer.name,
            "kind": layer.kind,
            "weights": sum(p.size for p in records),
            "frozen": sum(p.size for p in records if not p.trainable),
            "gradient": ratio(total(gradients), measured.gradient) if gradients else None,
            "update": _update(records),
            "fisher": measured.fisher_share(records),
            "dead": sum(len(s.dead) for s in sites),
            "saturated": max((s.flat for s in sites), default=0.0),
            "units": sum(s.units for s in sites),
            "lock": lock_over(certificate, layer.name),
            "origin": origin_of(certificate, layer.name),
        }


def _update(records: list[ParameterRecord]) -> float | None:
    known = [p for p in records if p.update is not None]
    return ratio(total(p.update for p in known), total(p.norm for p in known)) if known else None


def lock_over(certificate: Certificate, layer: str) -> str:
    """The kind of the first lock that has its origin at `layer`; empty where there is none."""
    return next((lock.kind for lock in certificate.locks if layer in lock.layers), "")


def origin_of(certificate: Certificate, layer: str) -> str:
    """The kind of the first lock elsewhere that affects `layer`; empty without one."""
    affected = (lock.kind for lock in certificate.locks if layer in lock.backward + lock.forward)
    return next(affected, "")


def _summary(certificate: Certificate) -> str:
    measured = certificate.measurement
    count = len(certificate.locks)
    locks = "No locks" if not count else f"{count} lock{'s' * (count != 1)}"
    weights = sum(p.size for p in measured.parameters)
    frozen = sum(p.size for p in measured.parameters if not p.trainable)
    samples = f"{measured.samples} sample{'s' * (measured.samples != 1)}"
    return f"{locks} in {weights:,} weights ({frozen:,} frozen), on {samples}"


def _notes(certificate: Certificate) -> list[str]:
    measured, notes = certificate.measurement, list(certificate.measurement.notes)
    notes += [f"not seen: {gate}" for gate in measured.unseen]
    if measured.samples < FEW_SAMPLES and any(s.dead or s.saturated for s in measured.sites):
        words = "units may be dead or saturated on these only"
        notes.append(f"{measured.samples} samples are few: {words}")
    if measured.optimizer is None and any(k.kind == "vanishing" for k in certificate.locks):
        notes.append("no optimizer was given: under Adam a vanishing gradient is no lock")
    return notes


def _consequences(lock: Lock) -> list[str]:
    lines = []
    if lock.backward:
        lines.append("behind it, locked by it: " + ", ".join(lock.backward))
    if lock.forward:
        lines.append("after it, affected by it: " + ", ".join(lock.forward))
    return lines


def _apart(locks: list[Lock]) -> tuple[list[str], list[Lock]]:
    """Many locks that were put on on purpose, in a line, and those to be told one by one."""
    frozen = [lock for lock in locks if lock.kind == "frozen"]
    if len(frozen) <= FEW:
        return [], locks
    weights = sum(int(lock.value) for lock in frozen)
    places = ", ".join(place_name(lock.place) for lock in frozen)
    line = f"- frozen on purpose: {weights:,} weights in {places}"
    return [line], [lock for lock in locks if lock.kind != "frozen"]


def _lock_text(lock: Lock) -> str:
    head = f"- {lock.title}: {lock.evidence}"
    rest = [
        f"cause: {lock.cause}",
        *_consequences(lock),
        f"opens: {lock.opens}",
        f"key: {lock.key}",
        *([f"read: {lock.lesson}"] if lock.lesson else []),
    ]
    return "\n    ".join([head, *rest])


def _lock_html(lock: Lock) -> str:
    colour = KINDS[lock.kind].colour
    lines = [f"Cause: {lock.cause}", *_consequences(lock), f"Opens: {lock.opens}"]
    lines += [f"Key: {lock.key}", *([f"Read: {lock.lesson}"] if lock.lesson else [])]
    details = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return (
        f'<details style="border-left:6px solid {colour};padding-left:8px;margin:4px 0">'
        f"<summary><b>{html.escape(lock.title)}</b>: {html.escape(lock.evidence)}</summary>"
        f"<ul>{details}</ul></details>"
    )


def _cells(certificate: Certificate) -> list[dict[str, str]]:
    """The table's rows as {heading: text}; Fisher mass only where it was given."""
    rows = certificate.layers()
    rows = _alike(rows) if len(rows) > FEW_LAYERS else rows
    weighed = any(row["fisher"] is not None for row in rows)
    return [
        {
            "layer": row["layer"] or "(model)",
            "weights": f"{row['weights']:,}",
            "gradient": _span(row["gradient"]),
            "update": _span(row["update"]),
            **({"fisher": _span(row["fisher"])} if weighed else {}),
            "dead": f"{row['dead']}/{row['units']}" if row["units"] else "",
            "saturated": f"{row['saturated']:.0%}" if row["units"] else "",
            "lock": row["lock"],
        }
        for row in rows
    ]


def _alike(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join rows whose names differ in numbers alone, and whose locks are the same."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((numberless(row["layer"]), row["lock"]), []).append(row)
    return [_joined(name, group) for (name, _), group in groups.items()]


def _joined(name: str, group: list[dict[str, Any]]) -> dict[str, Any]:
    if len(group) == 1:
        return group[0]
    spans = {key: _ends([row[key] for row in group]) for key in ("gradient", "update", "fisher")}
    sums = {key: sum(row[key] for row in group) for key in ("weights", "dead", "units")}
    saturated = max(row["saturated"] for row in group)
    layer = f"{name} ({len(group)})"
    return {**group[0], **spans, **sums, "saturated": saturated, "layer": layer}


def _ends(values: list[float | None]) -> Any:
    """The least and the largest of some numbers; one where they are the same, or absent."""
    known = [value for value in values if value is not None]
    if not known or min(known) == max(known):
        return known[0] if known else None
    return min(known), max(known)


def _span(value: Any) -> str:
    return " to ".join(map(_number, value)) if isinstance(value, tuple) else _number(value)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _rows(certificate: Certificate) -> list[list[str]]:
    cells = _cells(certificate)
    return [list(cells[0]), *(list(row.values()) for row in cells)]


def _table_html(certificate: Certificate) -> str:
    rows = _rows(certificate)
    mass = " Fisher: share of the mass." if "fisher" in rows[0] else ""
    caption = "Gradient: share of the norm. Update: change by the next step over the norm." + mass
    return tables.html(rows, caption)
