"""See the forward pass of a Flax model: the graph of layers, their outputs, activations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from paramlock.certifying.in_flax.counts import Range, Site
from paramlock.certifying.in_flax.replay import Replay, Seen
from paramlock.certifying.records import (
    LayerRecord,
    Lineage,
    Picks,
    SiteRecord,
    Tag,
)
from paramlock.models.batches import samples_in
from paramlock.models.in_flax import Model, layer_of, leaf_names, shape_of

# --- seeing the forward pass


class Observer:
    """Replays the forward pass batch by batch and counts."""

    def __init__(self, pure: Model, names: list[str], delta: float) -> None:
        self._pure, self._names, self._delta = pure, names, delta
        self.lineage = Lineage()
        self.statistics: Any = pure.statistics
        self._compiled: dict[Any, Any] = {}
        self._looked_up: dict[Any, list[Any]] = {}
        self._batches = 0
        self.picks = Picks()
        self._sites: dict[tuple[str, str, int], Site] = {}
        self._ranges: dict[tuple[str, str, int], Range] = defaultdict(Range)
        self._spreads: dict[tuple[str, int], Any] = defaultdict(lambda: np.zeros(2))
        self._beside: dict[tuple[str, str, int], tuple[str, ...]] = {}
        self.unseen: dict[str, None] = {}

    def see(self, inputs: Any) -> None:
        """Look at one batch."""
        tree = (self._pure.params, self._pure.rest, inputs)
        key = shape_of(tree)
        if key not in self._compiled:
            self._compiled[key] = self._compile(tree, key)
        self.statistics, seen = self._compiled[key](*jax.tree.leaves(tree))
        self._count(seen)
        self._batches += 1
        for layer, rows, choice in self._looked_up[key]:
            own = choice and ((self._batches, choice[0]), choice[1])
            self.picks.note(layer, rows, own)

    def _compile(self, tree: Any, key: Any) -> Any:
        traced, shape = jax.make_jaxpr(self._pure.apply, return_shape=True)(*tree)
        tags = self._tags(tree[-1], jax.tree.leaves(tree))

        def replayed(*values: Any) -> tuple[Any, dict[str, Any]]:
            seen = Seen()
            replay = Replay(self.lineage, seen, self._delta, samples_in(tree[-1]))
            outputs = replay.run(traced.jaxpr, traced.consts, values, tags)[0]
            statistics = jax.tree.unflatten(jax.tree.structure(shape), outputs)[1]
            self._beside |= seen.beside
            self._looked_up[key] = seen.picks
            self.unseen |= seen.unseen
            noted = {"sites": seen.sites, "ranges": seen.ranges, "spreads": seen.spreads}
            return statistics, noted

        return jax.jit(replayed)

    def _tags(self, inputs: Any, leaves: list[Any]) -> list[Tag | None]:
        owners = [Tag((layer_of(name),), False, -1) for name in self._names]
        data = [Tag((), True, -1) for _ in jax.tree.leaves(inputs)]
        return [*owners, *[None] * (len(leaves) - len(owners) - len(data)), *data]

    def _count(self, seen: dict[str, Any]) -> None:
        for key, calls in seen["sites"].items():
            for numbers in calls:
                self._sites.setdefault(key, Site(self._delta)).add(*map(np.asarray, numbers))
        for key, (low, high, bad, samples) in seen["ranges"].items():
            self._ranges[key].add(np.asarray(low), np.asarray(high), int(bad), int(samples))

        for layer, calls in seen["spreads"].items():
            for call, norms in enumerate(calls):
                self._spreads[layer, call] = np.hypot(self._spreads[layer, call], norms)

    def site_records(self) -> list[SiteRecord]:
        """What the activations did."""
        return [
            site.record(
                key,
                self._ranges[(key[0], "site of " + key[1], key[2])].all_constant(),
                self._beside.get(key, ()),
            )
            for key, site in self._sites.items()
        ]

    def layer_records(self, types: Mapping[str, str], names: set[str]) -> list[LayerRecord]:
        """The layers, called ones first."""
        order = [*self.lineage.order, *sorted(names - self.lineage.order.keys())]
        return [self._layer_record(name, types.get(name, "")) for name in order]

    def _of(self, name: str, part: str) -> list[Range]:
        return [r for key, r in self._ranges.items() if key[:2] == (name, part)]

    def _layer_record(self, name: str, kind: str) -> LayerRecord:
        outputs, inputs = self._of(name, "output"), self._of(name, "input")
        widths = {len(r.varies) for r in outputs if r.varies is not None}
        constant = set.intersection(*[set(r.constant()) for r in outputs]) if widths else set()
        return LayerRecord(
            name,
            kind,
            name in self.lineage.order,
            tuple(self.lineage.parents.get(name, ())),
            max(widths, default=0),
            tuple(sorted(constant)) if len(widths) == 1 else (),
            bool(inputs) and all(r.all_constant() for r in inputs),
            sum(r.nonfinite for r in outputs),
            routed=name in self.lineage.routed,
            spread=self._spread(name),
        )

    def _spread(self, name: str) -> float | None:
        """The largest spread of positions in what a layer made, call by call."""
        norms = [norms for (layer, _), norms in self._spreads.items() if layer == name]
        return max((float(apart / whole) for apart, whole in norms if whole), default=None)


class _Outputs(Replay):
    """Keeps what each layer made last."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.of: dict[str, Any] = {}

    def _range(self, layer: str, part: str, value: Any, call: int | None = None) -> None:
        if part == "output":
            self.of[layer] = value


def layer_outputs(pure: Model, inputs: Any) -> dict[str, Any]:
    """{layer: its output on `inputs`, units along the last axis}, of its last call.

    Layers in a loop (`scan`) are left out.
    """
    tree = (pure.params, pure.rest, inputs)
    observer, leaves = Observer(pure, leaf_names(pure.params), 0.0), jax.tree.leaves(tree)
    traced = jax.make_jaxpr(pure.apply)(*tree)
    replay = _Outputs(observer.lineage, Seen(), 0.0, samples_in(inputs))
    replay.run(traced.jaxpr, traced.consts, leaves, observer._tags(inputs, leaves))
    return {name: made for name, made in replay.of.items() if not isinstance(made, Tracer)}
