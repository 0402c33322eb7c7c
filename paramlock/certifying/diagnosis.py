"""From numbers to locks: name the origin of each, and keep its consequences with it.

A layer whose input does not depend on the data, or whose gradient is zero because a layer nearer
to the loss passes none, has no lock of its own: it stands under the origin (`Lock.forward`,
`Lock.backward`). The rules read only a `Measurement`, so they are the same for each framework.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import replace

from paramlock.certifying.locks import Lock, lock
from paramlock.certifying.records import (
    INPUT,
    LOSS,
    MODEL,
    SAME,
    SQUASHING,
    LayerRecord,
    Measurement,
    ParameterRecord,
    Pseudo,
    SiteRecord,
)
from paramlock.models.numbers import ratio, total
from paramlock.models.paths import matching

HALF_PRECISION = frozenset({"float16", "bfloat16"})
MOSTLY = 0.5  # a share from which on a layer, and not only some of its entries, is called locked
NEARLY_ALL = 0.999  # in full precision some entries always round away
LEAST_MASKED = 0.01  # a smaller share of zeros is chance or padding
ACROSS = 1e-3  # cosine below which a gradient lies at right angles to a weight
FEW = 3  # places that differ in numbers alone are told one by one up to this many
CHANCE = 2.0  # codes without a pick are locked from so many times on what even use leaves out


def diagnose(measurement: Measurement, epsilon: float) -> list[Lock]:
    """The locks of a network, *nonfinite* first, then in the order of its layers."""
    network = _Network(measurement, epsilon)
    found = [*_frozen(network), *_held(network), *_normalisations(network), *_unreached(network)]
    void = _nonfinite(network)
    if void is None:
        roots = [*_pruned(network), *_zeroed(network), *_units(network), *_constant(network)]
        roots += [*_unused(network, roots), *_collapsed(network)]
        roots += _no_signal(network, roots)
        judged = _vanishing(network, [_with_consequences(network, r, roots) for r in roots])
        opening = _opening_by_themselves(network, roots)
        found += [root for root in judged if root.kind != "zeroed" or root.place not in opening]
        found += [*_heavy(network), *_idle(network), *_rounding(network)]
    else:
        found.append(void)
    return sorted(found, key=lambda lock: (lock.kind != "nonfinite", network.position(lock)))


class _Network:
    """Look-ups in a measurement."""

    def __init__(self, measurement: Measurement, epsilon: float) -> None:
        self.measured = measurement
        self.epsilon = epsilon
        self.layers = {layer.name: layer for layer in measurement.layers}
        self.parameters: dict[str, list[ParameterRecord]] = {name: [] for name in self.layers}
        for record in measurement.parameters:
            self.parameters[record.layer].append(record)
        self.children: dict[str, list[str]] = {name: [] for name in self.layers}
        for layer in measurement.layers:
            for parent in layer.parents:
                self.children[parent].append(layer.name)
        self.sites: dict[str, list[SiteRecord]] = {}
        for site in measurement.sites:
            self.sites.setdefault(site.layer, []).append(site)
        self.beside = {name: s.layer for s in measurement.sites for name in s.beside}
        attention = [s for s in measurement.sites if s.function == "attention"]
        self.scoring = {name for s in attention for name in (s.layer, *s.beside)}
        rates = [self.update_ratio(name) for name in self.layers]
        self.largest_update = max((r for r in rates if r and math.isfinite(r)), default=0.0)

    def position(self, lock: Lock) -> int:
        """Where a lock comes in the order of layers."""
        inside = (i for i, name in enumerate(self.layers) if name in lock.layers)
        return next(inside, len(self.layers) if lock.place == LOSS else -1)

    def learning(self, layer: str) -> list[ParameterRecord]:
        """The trainable parameters of a layer that a gradient reaches."""
        return [p for p in self.parameters[layer] if p.trainable and p.gradient is not None]

    def gradient(self, layer: str) -> float | None:
        """The gradient norm of a layer, `None` where none arrives."""
        records = self.learning(layer)
        return total(p.gradient for p in records) if records else None

    def update_ratio(self, layer: str) -> float | None:
        """The optimizer's update ratio of a layer's trainable parameters."""
        records = [p for p in self.parameters[layer] if p.trainable and p.update is not None]
        if not records:
            return None
        return ratio(total(p.update for p in records), total(p.norm for p in records))

    def weights(self, layer: str) -> list[ParameterRecord]:
        """The parameters that multiply a layer's input."""
        records = self.parameters[layer]
        matrices = [p for p in records if len(p.shape) > 1 and not p.name.endswith("bias")]
        named = [p for p in records if p.name.rpartition(".")[2] in ("weight", "scale")]
        return matrices or named

    def emptied(self, layer: str) -> bool:
        """Whether all that multiplies a layer's input is held at zero."""
        weights = self.weights(layer) if layer in self.layers else []
        held = all(p.masked == 1 and not p.regrown for p in weights)
        return bool(weights) and held and self.layers[layer].called

    def turn(self, layer: str) -> float | None:
        """How far the next step turns the weights of a layer; `None` where that is unknown."""
        records = [p for p in self.weights(layer) if p.trainable and p.turn is not None]
        if not records:
            return None
        return total((p.turn or 0.0) * p.norm for p in records) / total(p.norm for p in records)

    def scale_free(self, layer: str) -> bool:
        """Whether a norm layer takes the scale of a layer's weights away."""
        weights = self.weights(layer)
        across = all(p.along is not None and p.along < ACROSS for p in weights)
        return across and any(map(self.normalises, self.children[layer]))

    def normalises(self, layer: str) -> bool:
        """Whether a layer is a norm layer: by its class, or in linen by its scale."""
        leaves = {p.name.rpartition(".")[2] for p in self.parameters[layer]}
        return "Norm" in self.layers[layer].kind or ("scale" in leaves and "kernel" not in leaves)

    def upstream(self, layer: str) -> set[str]:
        """All layers that feed `layer`, directly or not."""
        return _closure(layer, lambda name: self.layers[name].parents)

    def downstream(self, layer: str) -> set[str]:
        """All layers that a layer feeds, directly or not."""
        return _closure(layer, lambda name: self.children[name])

    def starved_by(self, place: str) -> set[str]:
        """The layers with a constant input to which a place leads through such layers alone."""
        layers = self.layers.items()
        entries = [name for name, layer in layers if layer.called and not layer.parents]

        def after(name: str) -> list[str]:
            fed = entries if name == INPUT else self.children[name]
            return [other for other in fed if self.starved(other)]

        return _closure(place, after)

    def collapsed(self, layer: str) -> bool:
        """Whether from a layer on all positions are the same, though attention got others."""
        here = self.layers[layer]
        constant = bool(here.constant) and len(here.constant) == here.units
        if not self._same(layer) or constant or here.constant_input:
            return False
        below = self.upstream(layer)
        apart = any(self.layers[n].spread is not None and not self._same(n) for n in below)
        after = [n for n in self.downstream(layer) if self.layers[n].spread is not None]
        return apart and not below.isdisjoint(self.scoring) and all(map(self._same, after))

    def learns(self, layer: str, fading: list[str]) -> bool:
        """Whether a gradient reaches a layer that does not fade on the way."""
        return bool(self.gradient(layer)) and layer not in fading

    def blind(self, layer: str) -> bool:
        """Whether a layer makes queries or keys of positions that are all the same."""
        return layer in self.scoring and any(map(self.collapsed, self.upstream(layer)))

    def _same(self, layer: str) -> bool:
        spread = self.layers[layer].spread
        return spread is not None and spread < SAME

    def unpicked(self, layer: str) -> bool:
        """Whether a layer is an expert that no sample was sent to, while others were."""
        record, pull = self.layers[layer], self.gradient(layer)
        silent = pull == 0 if record.called else pull is None
        free = any(p.trainable for p in self.parameters[layer])
        if not (silent and free and (record.routed or not record.called)):
            return False
        return any(self.layers[n].routed and self.gradient(n) for n in self.parallel(layer))

    def parallel(self, layer: str) -> list[str]:
        """The layers beside one, called alike but for one number."""
        apart = self.upstream(layer) | self.downstream(layer)
        return [name for name in self.layers if name not in apart and _twins(name, layer)]

    def starved(self, layer: str) -> bool:
        """Whether a layer's input is the same for all the data."""
        return self.layers[layer].constant_input if layer in self.layers else False

    def shut(self, layer: str) -> bool:
        """Whether no gradient passes the activations that a layer feeds."""
        sites = self.sites.get(layer, [])
        return bool(sites) and all(len(s.dead) == s.units and not s.void for s in sites)


def _twins(one: str, other: str) -> bool:
    """Whether two names differ in one number and in nothing else."""
    if re.sub(r"\d+", "0", one) != re.sub(r"\d+", "0", other):
        return False
    pairs = zip(re.findall(r"\d+", one), re.findall(r"\d+", other), strict=True)
    return sum(a != b for a, b in pairs) == 1


def _closure(start: str, step: Callable[[str], Iterable[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = list(step(start))
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += step(name)
    return seen - {start}


def _gather(chosen: Iterable[str], everything: Iterable[str]) -> dict[str, list[str]]:
    """{place: chosen names in it}, joining all names of a module to the module."""
    chosen, everything = dict.fromkeys(chosen), list(everything)
    places: dict[str, list[str]] = {}
    for name in chosen:
        places.setdefault(_widest(name, chosen, everything), []).append(name)
    return places


def _widest(name: str, chosen: Container[str], everything: list[str]) -> str:
    """The smallest module around `name` that holds the largest all-chosen set."""
    best, size = name, 1
    for place in _around(name):
        inside = [other for other in everything if place in (MODEL, other, *_around(other))]
        if not all(other in chosen for other in inside):
            break
        if len(inside) > size:
            best, size = place, len(inside)
    return best


def _around(name: str) -> list[str]:
    """The modules around one, the innermost first, and the whole model."""
    steps = name.split(".")
    return [*(".".join(steps[:length]) for length in range(len(steps) - 1, 0, -1)), MODEL]


def _by_place(
    network: _Network, chosen: list[ParameterRecord]
) -> Iterator[tuple[str, list[ParameterRecord]]]:
    """Yield places and their records: whole modules where possible, else single parameters."""
    names = {p.name for p in chosen}
    whole = [n for n, ps in network.parameters.items() if ps and all(p.name in names for p in ps)]
    owning = [name for name, records in network.parameters.items() if records]
    for place, layers in _gather(whole, owning).items():
        yield place, [p for layer in layers for p in network.parameters[layer]]
    for record in chosen:
        if record.layer not in whole:
            yield record.name, [record]


def _layers(records: Iterable[ParameterRecord]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(record.layer for record in records))


def _count(records: list[ParameterRecord]) -> str:
    entries = sum(p.size for p in records)
    tensors = f"{len(records)} tensor{'s' * (len(records) != 1)}"
    return f"{tensors} with {entries:,} weight{'s' * (entries != 1)}"


# --- declared locks


def _frozen(network: _Network) -> Iterator[Lock]:
    records = network.measured.parameters
    leaking = [p for p in records if not p.trainable and p.update]
    still = [p for p in records if not p.trainable and not p.update]
    for place, inside in _summed_up(dict(_by_place(network, still)), network):
        size = sum(p.size for p in inside)
        evidence = f"{_count(inside)} not trainable"
        yield lock("frozen", place, evidence, size, layers=_layers(inside))
    for place, inside in _by_place(network, leaking):
        moved = ratio(total(p.update for p in inside), total(p.norm for p in inside))
        yield lock(
            "leaking", place,
            f"not trainable, yet the next step moves it by {moved:.3g} of its norm", moved,
            "a gradient from before the freeze still lies on the parameters, so momentum and "
            "weight decay act on them", layers=_layers(inside),
        )  # fmt: skip
    for record in records:
        if record.regrown:
            yield lock(
                "leaking", record.layer,
                f"{record.regrown:.3g} of the weights held at zero move in the next step",
                record.regrown,
                "only their gradient is masked: momentum and weight decay act on them",
            )  # fmt: skip
        if record.slips:
            closed = round(record.closed * record.size)
            yield lock(
                "leaking", record.layer,
                f"{round(record.slips * closed):,} of {closed:,} entries of {record.name}, whose "
                "gradient a hook sets to zero, move in the next step", record.slips,
                "a hook stops the gradient alone: momentum and weight decay act on them",
            )  # fmt: skip


def _summed_up(
    places: dict[str, list[ParameterRecord]], network: _Network
) -> Iterator[tuple[str, list[ParameterRecord]]]:
    """Yield places, with many that differ in numbers alone as one: `encoder.*.bias`.

    Only where that pattern fits nothing else among the parameters and the modules that hold them.
    """
    alike: dict[str, list[str]] = {}
    for place in places:
        alike.setdefault(numberless(place), []).append(place)
    names = [p.name for p in network.measured.parameters]
    known = {n for name in names for n in (name, *_around(name)) if not isinstance(n, Pseudo)}
    for pattern, members in alike.items():
        if len(members) > FEW and {*matching([pattern], known, "the model")} == {*members}:
            yield pattern, [record for place in members for record in places[place]]
        else:
            yield from ((place, places[place]) for place in members)


def numberless(place: str) -> str:
    """A place with a star for each step that is a number; what is no path stays as it is."""
    if isinstance(place, Pseudo):
        return place
    return ".".join("*" if step.isdigit() else step for step in place.split("."))


def _held(network: _Network) -> Iterator[Lock]:
    for name, records in network.parameters.items():
        size = sum(p.size for p in records)
        held = sum(p.held * p.size for p in records)
        if held:
            evidence = f"{held / size:.1%} of {size:,} weights are held at their value"
            yield lock("held", name, evidence, held / size)


def _normalisations(network: _Network) -> Iterator[Lock]:
    records = network.measured.normalisations
    drifting = {r.name: r.drift for r in records if r.frozen and r.training and r.tracks}
    batchwise = {r.name: 0.0 for r in records if r.frozen and r.training and not r.tracks}
    stopped = {r.name: 0.0 for r in records if r.trainable and not r.training and r.model_training}
    names = [r.name for r in records]
    for place, inside in _gather(drifting, names).items():
        drift = max(drifting[name] for name in inside)
        cause = "its weights are frozen, but in training mode its running statistics move"
        evidence = f"running statistics drift by {drift:.3g} of their norm in one pass"
        yield lock("batchnorm", place, evidence, drift, cause, layers=tuple(inside))
    for place, inside in _gather(batchwise, names).items():
        cause = "its weights are frozen, but it normalises with each batch's own statistics"
        evidence = "output depends on the batch's other samples"
        yield lock("batchnorm", place, evidence, 0.0, cause, layers=tuple(inside))
    for place, inside in _gather(stopped, names).items():
        cause = "its weights are trainable in a model that trains, but its mode is evaluation"
        evidence = "running statistics drift by 0 in one pass"
        yield lock("batchnorm", place, evidence, 0.0, cause, layers=tuple(inside))


def _pruned(network: _Network) -> Iterator[Lock]:
    for name, records in network.parameters.items():
        kind = "emptied" if network.emptied(name) else "pruned"
        concerned = network.weights(name) if kind == "emptied" else records
        masked = sum(p.masked * p.size for p in concerned)
        size = sum(p.size for p in concerned if p.masked)
        if size and masked / size >= LEAST_MASKED and not any(p.regrown for p in records):
            share = masked / size
            evidence = f"{share:.1%} of {size:,} weights are held at zero"
            yield lock(kind, name, evidence, share)


# --- locks by the graph


def _unreached(network: _Network) -> Iterator[Lock]:
    without = {
        name
        for name, records in network.parameters.items()
        if any(p.trainable for p in records) and network.gradient(name) is None
    }
    uncalled = [name for name in without if not network.layers[name].called]
    unused = [name for name in uncalled if not network.unpicked(name)]
    for place, inside in _gather(sorted(unused), network.layers).items():
        records = [p for name in inside for p in network.parameters[name] if p.trainable]
        evidence = f"{_count(records)} without gradient"
        cause = "the forward pass never uses it"
        yield lock("unreached", place, evidence, len(records), cause, layers=tuple(inside))
    called = without.difference(uncalled)
    for name in called:
        if called.isdisjoint(network.downstream(name)):
            behind = tuple(n for n in network.layers if n in called & network.upstream(name))
            cut = network.layers[name].cut
            cause = (
                f"it is called, but its output is cut off from the loss by {cut}" if cut else
                "it is called, but nothing of its output reaches the loss: not used there, or cut "
                "off (detach, no_grad, argmax)"
            )  # fmt: skip
            records = [p for n in (name, *behind) for p in network.parameters[n] if p.trainable]
            evidence = f"{_count(records)} without gradient"
            yield lock("unreached", name, evidence, len(records), cause, backward=behind)
    yield from _unreached_tensors(network, without)


def _unreached_tensors(network: _Network, layers: set[str]) -> Iterator[Lock]:
    """Yield single parameters that no gradient reaches, in layers that one reaches."""
    for record in network.measured.parameters:
        if record.trainable and record.gradient is None and record.layer not in layers:
            cause = "the forward pass does not use it"
            evidence = f"{_count([record])} without gradient"
            yield lock("unreached", record.name, evidence, 1, cause, layers=(record.layer,))


def _nonfinite(network: _Network) -> Lock | None:
    measured, layers = network.measured, network.measured.layers
    weights = [(p.layer, p.nonfinite) for p in measured.parameters if p.nonfinite]
    outputs = [(layer.name, layer.nonfinite) for layer in layers if layer.nonfinite]
    bad = {p.layer: p.gradient_nonfinite for p in measured.parameters if p.gradient_nonfinite}
    gradients = [(name, bad[name]) for name in reversed(network.layers) if name in bad]
    order = list(network.layers)
    if weights:
        return _void("its weights are not finite", sorted(weights, key=lambda w: order.index(w[0])))
    if measured.input_nonfinite:
        return _void("the data hold them", [(INPUT, measured.input_nonfinite), *outputs])
    if outputs:
        return _void("its output is the first that is not finite", outputs)
    if not math.isfinite(measured.loss):
        return _void("the outputs are finite, the loss is not", [(LOSS, 1)])
    if gradients:
        cause = "outputs and loss are finite, a gradient on the way back is not"
        return _void(cause, gradients[:1], tuple(name for name, _ in gradients[1:]))
    return None


def _void(cause: str, found: list[tuple[str, int]], backward: tuple[str, ...] = ()) -> Lock:
    (place, count), *others = found
    forward = tuple(dict.fromkeys(name for name, _ in others if name != place))
    evidence = f"{count:,} value{'s' * (count != 1)} not finite"
    return lock("nonfinite", place, evidence, count, cause, forward=forward, backward=backward)


# --- locks of units


def _units(network: _Network) -> Iterator[Lock]:
    for site in network.measured.sites:
        if network.starved(site.layer) or site.void or network.emptied(site.layer):
            continue
        squashing = site.function in SQUASHING
        if site.dead and not squashing:
            yield _dead(network, site)
        flat = tuple(sorted({*site.saturated, *site.dead})) if squashing else site.saturated
        if flat or site.flat >= MOSTLY:
            yield _saturated(site, flat)


def _dead(network: _Network, site: SiteRecord) -> Lock:
    share = len(site.dead) / site.units
    return lock(
        "dead", site.layer,
        f"{len(site.dead)} of {site.units} units: derivative of {site.function} zero on all "
        f"{network.measured.samples} samples", share,
        opens=_opening(network, site.layer), units=site.dead,
    )  # fmt: skip


def _opening(network: _Network, layer: str) -> str:
    """Whether training opens the dead units of a layer: only what lies below can."""
    if layer not in network.layers or not network.layers[layer].parents:
        return "never: its inputs are the data, and those stay"
    below = [name for name in network.upstream(layer) if network.learning(name)]
    if network.shut(layer):  # what reaches those below then goes round this layer
        below = [name for name in below if network.gradient(name)]
    if not below:
        return "never: no layer below it moves, so its inputs stay"
    return "only if the layers below change its inputs"


def _saturated(site: SiteRecord, flat: tuple[int, ...]) -> Lock:
    if site.function == "attention":
        return _one_key(site, flat)
    evidence = (
        f"{site.flat:.1%} of the derivatives of {site.function} below delta; "
        f"{len(flat)} of {site.units} units on every sample"
    )
    return lock("saturated", site.layer, evidence, site.flat, units=flat)


def _one_key(site: SiteRecord, flat: tuple[int, ...]) -> Lock:
    """The lock of attention rows that give nearly all their weight to one key."""
    evidence = (
        f"{site.flat:.1%} of the attention rows give nearly all weight to one key; "
        f"{len(flat)} of {site.units} heads in nearly every row"
    )
    cause = "scores too large for the softmax: hardly any gradient passes to queries and keys"
    return lock("saturated", site.layer, evidence, site.flat, cause, units=flat)


def _constant(network: _Network) -> Iterator[Lock]:
    layers = network.measured.layers
    entries = [layer for layer in layers if layer.called and not layer.parents]
    same = entries and all(layer.constant_input for layer in entries)
    if same and not network.shut(INPUT):
        cause = "all samples are the same"
        evidence = f"range 0 over {network.measured.samples} samples"
        yield lock("constant", INPUT, evidence, 0.0, cause)
    for layer in layers:
        if layer.constant and not _explained(network, layer):
            count = len(layer.constant)
            evidence = f"{count} of {layer.units} units: range 0 over all samples"
            share = count / layer.units
            yield lock("constant", layer.name, evidence, share, units=layer.constant)


def _explained(network: _Network, layer: LayerRecord) -> bool:
    """Whether another lock is the reason why units of `layer` are constant."""
    masked = any(p.masked for p in network.parameters[layer.name])
    zero = all(not p.norm for p in network.weights(layer.name))
    return layer.constant_input or masked or zero or _inherited(network, layer)


def _inherited(network: _Network, layer: LayerRecord) -> bool:
    """Whether the constant units are dead, here or in the layer before, or constant there."""
    sets = _dead_units(network, layer.name)
    for parent in layer.parents:
        sets += [network.layers[parent].constant, *_dead_units(network, parent)]
    before = {unit for units in sets for unit in units}
    return set(layer.constant) <= before


def _dead_units(network: _Network, name: str) -> list[tuple[int, ...]]:
    return [site.dead for site in network.sites.get(name, [])]


def _zeroed(network: _Network) -> Iterator[Lock]:
    for name, layer in network.layers.items():
        weights = network.weights(name)
        masked = any(p.masked for p in network.parameters[name])
        if not layer.called or masked or not weights:
            continue
        zero = [p for p in weights if not p.norm and not p.nonfinite]
        if len(zero) == len(weights):
            yield _zero(network, name, zero)
        elif zero:
            stopped = tuple(p.name for p in weights if p.norm and p.trainable and p.gradient == 0)
            if stopped:
                yield _zero(network, zero[0].name, zero, stopped)


def _zero(
    network: _Network, place: str, records: list[ParameterRecord], behind: tuple[str, ...] = ()
) -> Lock:
    evidence = f"norm of {_count(records)} is 0"
    opens = "never: no gradient reaches it"
    layers = _layers(records)
    return lock("zeroed", place, evidence, 0.0, opens=opens, backward=behind, layers=layers)


def _opening_by_themselves(network: _Network, roots: list[Lock]) -> set[str]:
    """The places of zeros that are no lock: training opens them, one step after the other.

    A gradient reaches them, as it does a fresh low-rank adapter or a zero-initialised last layer;
    or it is such zeros alone that keep it from them, and their inputs vary.
    """
    zeroed = [root for root in roots if root.kind == "zeroed"]
    opening = {root.place for root in zeroed if _pulled(network, root)}
    blockers = _blockers(network, roots)
    while True:
        more = {
            root.place
            for root in zeroed
            if root.place in network.layers and not network.starved(root.place)
            and any(p.trainable for p in network.weights(root.place))
            and (nearest := _nearest(network, root.place, blockers)) and nearest <= opening
        }  # fmt: skip
        if more <= opening:
            return opening
        opening |= more


def _pulled(network: _Network, root: Lock) -> bool:
    """Whether a gradient reaches all of the trainable zeros of a root."""
    zero = [p for n in root.layers for p in network.weights(n) if not p.norm and p.trainable]
    own = [p for p in zero if root.place in (p.layer, p.name)]
    return bool(own) and all(p.gradient for p in own)


# --- positions that have become the same


def _collapsed(network: _Network) -> Iterator[Lock]:
    """Yield the layers that are the first to see equal positions, side by side as one."""
    same = [name for name in network.layers if network.collapsed(name)]
    starts: dict[tuple[str, ...], list[str]] = {}
    for name in same:
        if network.upstream(name).isdisjoint(same):
            starts.setdefault(network.layers[name].parents, []).append(name)
    for place, *others in starts.values():
        after = {*others}.union(*(network.downstream(name) for name in (place, *others)))
        entry = next(s for n in network.layers if (s := network.layers[n].spread) is not None)
        spread = network.layers[place].spread or 0.0
        evidence = f"positions differ by {spread:.3g} of the norm, {entry:.3g} at the entry"
        forward = tuple(name for name in same if name in after)
        yield lock("collapsed", place, evidence, spread, forward=forward)


def _with_scores(network: _Network, root: Lock, fading: list[str]) -> Lock:
    """`root` with the queries and keys whose gradient fades as positions become the same."""
    behind, after = network.upstream(root.place), {*root.forward}
    backward = tuple(n for n in fading if n in network.scoring & behind)
    after |= {n for n in network.layers if network.blind(n) and not network.learns(n, fading)}
    return replace(root, backward=backward, forward=tuple(n for n in network.layers if n in after))


# --- what nothing picks


def _unused(network: _Network, roots: list[Lock]) -> list[Lock]:
    """Codes that no index falls on, more than chance leaves out, and experts."""
    return [*_unused_codes(network), *_unused_experts(network, roots)]


def _unused_codes(network: _Network) -> Iterator[Lock]:
    for name, records in network.parameters.items():
        for p in (p for p in records if p.trainable and p.gradient and p.unpicked):
            codes, silent = p.shape[0], len(p.unpicked)
            if silent > CHANCE * codes * (1 - 1 / codes) ** p.picks:
                evidence = f"{silent} of {codes} rows have no gradient; {p.picks:,} were looked up"
                yield lock("unused", name, evidence, silent / codes, units=p.unpicked)


def _unused_experts(network: _Network, roots: list[Lock]) -> Iterator[Lock]:
    silent = [name for name in network.layers if network.unpicked(name)]
    experts = _unexplained(network, silent, roots)
    for place, inside in _gather(experts, network.layers).items():
        evidence = f"none of {network.measured.samples} samples goes to it, others get some"
        yield lock("unused", place, evidence, 1.0, layers=tuple(inside))


# --- cascades


def _blocks(network: _Network, candidate: Lock) -> bool:
    """Whether no gradient passes the origin of `candidate`."""
    if candidate.kind in ("dead", "saturated"):
        return network.shut(candidate.place)
    whole = candidate.kind == "unused" and not candidate.units
    return whole or candidate.kind in ("zeroed", "emptied")


def _blockers(network: _Network, roots: list[Lock]) -> dict[str, Lock]:
    """{layer or place: the lock that lets no gradient through there}."""
    blocking = [root for root in roots if _blocks(network, root)]
    inside = {name: r for r in blocking if r.kind == "unused" for name in r.layers}
    return {r.place: r for r in blocking} | inside


def _zero_gradient(network: _Network) -> list[str]:
    return [name for name in network.layers if network.gradient(name) == 0]


def _nearest(network: _Network, start: str, blockers: dict[str, Lock]) -> set[str]:
    """The blocking layers met first on the way from `start` to the loss."""
    met: set[str] = set()
    seen: set[str] = set()
    ahead = [start] if network.shut(start) else list(network.children[start])
    if start in network.beside:  # queries stand beside the keys: one softmax shuts both
        ahead = [network.beside[start]]
    while ahead:
        name = ahead.pop()
        if name in blockers:
            met.add(name)
        elif name not in seen:
            seen.add(name)
            ahead += network.children[name]
    return met


def _unexplained(network: _Network, names: list[str], roots: list[Lock]) -> list[str]:
    """Those layers without gradient that none of `roots` explains."""
    blockers = _blockers(network, roots)
    return [
        n
        for n in names
        if not (network.starved(n) or network.blind(n) or n in blockers)
        and not _nearest(network, n, blockers)
    ]


def _no_signal(network: _Network, roots: list[Lock]) -> list[Lock]:
    """Locks for gradients that are zero and that none of `roots` explains."""
    unexplained = _unexplained(network, _zero_gradient(network), roots)
    reached = [n for n in network.layers if network.gradient(n) is not None]
    evidence = f"gradient exactly 0 on all {network.measured.samples} samples"
    if unexplained and len(unexplained) == len(reached):
        return [lock("no_signal", LOSS, evidence, 0.0, backward=tuple(reached))]
    found = []
    for name in unexplained:
        if network.downstream(name).isdisjoint(unexplained):
            behind = tuple(n for n in unexplained if n in network.upstream(name))
            found.append(lock("no_signal", name, evidence, 0.0, backward=behind))
    return found


def _with_consequences(network: _Network, root: Lock, roots: list[Lock]) -> Lock:
    """`root` with what is locked because of it."""
    if root.place not in network.layers and root.place != INPUT:
        return root
    backward = root.backward
    if _blocks(network, root):
        blockers = _blockers(network, roots)
        backward += tuple(
            n
            for n in _zero_gradient(network)
            if n != root.place and root.place in _nearest(network, n, blockers)
            and not network.starved(n)
        )  # fmt: skip
    after = network.starved_by(root.place)
    forward = tuple(n for n in network.layers if n in after)
    return replace(root, backward=backward, forward=root.forward + forward)


# --- gradients and updates


def _fading(network: _Network) -> list[str]:
    """The layers that the gradient hardly reaches, and that hardly move.

    The share of a layer in the gradient norm is taken per weight (root mean square), so that a
    small layer beside a large one is no false alarm.
    """
    learning = [p for name in network.layers for p in network.learning(name)]
    whole = total(p.gradient for p in learning) / math.sqrt(max(sum(p.size for p in learning), 1))
    fading = []
    for name in network.layers:
        records = network.learning(name)
        gradient = network.gradient(name)
        if not gradient or _held_back(network, records):
            continue
        per_weight = gradient / math.sqrt(sum(p.size for p in records))
        update = network.update_ratio(name)
        slow = update is None or update < network.epsilon * network.largest_update
        if per_weight < network.epsilon * whole and slow:
            fading.append(name)
    return fading


def _held_back(network: _Network, records: list[ParameterRecord]) -> bool:
    """Whether the optimizer's rates say why the parameters hardly move."""
    fastest = max((p.rate or 0.0 for p in network.measured.parameters), default=0.0)
    slow = network.epsilon * fastest
    return all(p.update is not None and _slow(p, slow) for p in records)


def _slow(record: ParameterRecord, bound: float) -> bool:
    """Whether the optimizer does not hold a parameter, or at no rate or one below `bound`."""
    at_low_rate = record.rate is not None and (not record.rate or record.rate < bound)
    return record.in_optimizer is False or at_low_rate


def _vanishing(network: _Network, roots: list[Lock]) -> list[Lock]:
    """`roots` and the vanishing gradients, each under the root that explains it."""
    fading = _fading(network)
    roots = [_with_scores(network, r, fading) if r.kind == "collapsed" else r for r in roots]
    told = {n for r in roots if r.kind == "collapsed" for n in (*r.backward, r.place, *r.forward)}
    told |= _too_heavy(network).keys()
    fading = [name for name in fading if name not in told]
    strong = {
        r.place: r
        for r in roots
        if r.kind in ("dead", "saturated") and max(r.value, _share(network, r)) >= MOSTLY
    }
    behind: dict[str, list[str]] = {}
    own = []
    for name in fading:
        explained = {name} & strong.keys() or _nearest(network, name, strong)
        for place in explained:
            behind.setdefault(place, []).append(name)
        if not explained:
            own.append(name)
    joined = [
        replace(r, backward=(*r.backward, *(n for n in behind.get(r.place, ()) if n != r.place)))
        if strong.get(r.place) is r else r
        for r in roots
    ]  # fmt: skip
    return joined + [_fades(network, n, own) for n in own if _last(network, n, own)]


def _share(network: _Network, root: Lock) -> float:
    layer = network.layers.get(root.place)
    return len(root.units) / max(layer.units, 1) if layer and root.units else 0.0


def _last(network: _Network, name: str, names: list[str]) -> bool:
    return network.downstream(name).isdisjoint(names)


def _fades(network: _Network, name: str, fading: list[str]) -> Lock:
    behind = tuple(n for n in network.layers if n in network.upstream(name) and n in fading)
    weakest = min((name, *behind), key=lambda n: network.gradient(n) or 0.0)
    share = ratio(network.gradient(weakest) or 0.0, network.measured.gradient)
    update = network.update_ratio(weakest)
    evidence = f"{share:.3g} of the gradient norm reaches {weakest}"
    if update is not None:
        evidence += f", {network.measured.optimizer} moves it by {update:.3g} of its norm"
    return lock("vanishing", name, evidence, share, backward=behind)


def _too_heavy(network: _Network) -> dict[str, tuple[float, float]]:
    """{layer too heavy to turn: by how much it turns, and the median of the others}."""
    turns = {name: t for name in network.layers if (t := network.turn(name)) is not None}
    found = {}
    for name in filter(network.scale_free, turns):
        others = [turn for other, turn in turns.items() if other != name and turn]
        usual = statistics.median(others) if others else 0.0
        slow = turns[name] < network.epsilon * usual
        if slow and not _held_back(network, network.learning(name)):
            found[name] = turns[name], usual
    return found


def _heavy(network: _Network) -> Iterator[Lock]:
    for name, (turn, usual) in _too_heavy(network).items():
        evidence = f"the next step turns it by {turn:.3g}, other layers by {usual:.3g}"
        yield lock("heavy", name, evidence, turn)


def _idle(network: _Network) -> Iterator[Lock]:
    if network.measured.optimizer is None:
        return
    known = [p for p in network.measured.parameters if p.trainable and p.gradient]
    fastest = max((p.rate or 0.0 for p in network.measured.parameters), default=0.0)
    causes = {
        "the optimizer does not hold it": [p for p in known if p.in_optimizer is False],
        "its learning rate is zero": [p for p in known if p.rate == 0],
        "the optimizer's next step is exactly zero (a rate of zero, a warm-up that begins there, a "
        "clip to norm zero)": [p for p in known if p.proposed == 0 and not p.locked],
        "its learning rate is far below that of the others": [
            p for p in known if p.rate and p.rate < network.epsilon * fastest
        ],
    }
    for cause, records in causes.items():
        for place, inside in _by_place(network, records):
            moved = ratio(total(p.update for p in inside), total(p.norm for p in inside))
            evidence = f"{_count(inside)}: update ratio {moved:.3g}"
            yield lock("idle", place, evidence, moved, cause, layers=_layers(inside))


def _rounding(network: _Network) -> Iterator[Lock]:
    fading = set(_fading(network))
    for name in network.layers:
        held = [p for p in network.learning(name) if p.in_optimizer and p.rate != 0]
        held = [p for p in held if p.proposed != 0]
        records = [p for p in held if p.dtype in HALF_PRECISION] or held
        size = sum(p.size for p in records)
        stuck = sum(p.stuck * p.size for p in records) / max(size, 1)
        bound = MOSTLY if any(p.dtype in HALF_PRECISION for p in records) else NEARLY_ALL
        if stuck >= bound and name not in fading:
            evidence = f"{stuck:.1%} of {size:,} weights keep their bits in the next step"
            yield lock("rounding", name, evidence, stuck)
        elif name not in fading:
            yield from _rounding_alone(name, records)


def _rounding_alone(layer: str, records: list[ParameterRecord]) -> Iterator[Lock]:
    """Yield the tensors that stand still beside a larger one that moves: scales in bfloat16."""
    for p in records:
        if p.stuck >= NEARLY_ALL and p.dtype in HALF_PRECISION:
            evidence = f"{p.stuck:.1%} of {p.size:,} weights keep their bits in the next step"
            yield lock("rounding", p.name, evidence, p.stuck, layers=(layer,))
