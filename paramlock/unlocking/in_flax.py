"""Open locks of units in Flax: draw dead ones anew, rescale saturated ones. Twin of `in_torch`.

Parameters are values here, so both functions return new ones, and with them the state of an optax
optimizer in which the entries written are zero. A *unit* is an entry of the last axis of a dense or
convolution kernel, or of the scale of a norm layer. An activation stands in the model's code, where
it is swapped by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from paramlock.certifying.certificate import Certificate
from paramlock.certifying.in_flax.observer import layer_outputs
from paramlock.certifying.in_flax.probe import held_in
from paramlock.models.in_flax import leaf_names, leaves_by_name, pure_model
from paramlock.models.names import weights_in
from paramlock.models.numbers import ratio
from paramlock.unlocking.units import (
    KEPT,
    Opened,
    children_of,
    locked_units,
    parents_of,
    passes_nothing,
)

Place = tuple[str, Any]  # a parameter's name, and the index of what is written


class Renewed(NamedTuple):
    """Parameters and optimizer state with units opened, and what was done, layer by layer."""

    params: Any
    state: Any
    opened: list[Opened]


def reinitialise_units(
    params: Any,
    certificate: Certificate,
    *,
    kinds: Iterable[str] = ("dead",),
    places: Iterable[str] | None = None,
    state: Any = None,
    seed: int = 0,
) -> Renewed:
    """Flax parameters with locked units drawn anew: incoming random, outgoing zero.

    ::

        found = paramlock.certificate(model, data, loss, params=params)
        params, state, opened = paramlock.flax.reinitialise_units(params, found, state=state)

    What is drawn, and why outgoing weights are zero, is as in `torch.reinitialise_units`. Running
    statistics of BatchNorm are no parameters and stay; they follow in a few steps of training.

    Args:
        params: of linen, with or without `"params"` around them, or `nnx.state(model,
            nnx.Param)` (write it back with `nnx.update(model, renewed.params)`).
        certificate: of the same model with these parameters.
        kinds: locks to open: "dead", "constant", "saturated", "zeroed" or "heavy".
        places: layers to open; by default all where the certificate has such a lock.
        state: of an optax optimizer. What it remembers of the entries written becomes zero; those
            that `hold` holds stay as they are.
        seed: of the weights drawn.

    Raises:
        ValueError: a lock in a layer without kernel or scale of its own, or with frozen ones; or
            parameters that are not the certificate's.
    """
    weights = _Weights(params, certificate, state)
    kinds = tuple(kinds)
    plans = [weights.plan(*lock) for lock in locked_units(certificate, kinds, places)]
    for plan in plans:
        if passes_nothing(certificate, kinds, plan.place):
            plan.outgoing, plan.notes = [], [KEPT]
    keys = iter(jax.random.split(jax.random.key(seed), 2 * len(plans) + 1))
    for plan in plans:
        for name, where in plan.incoming:
            weights.write(name, where, weights.fresh(name, where, keys))
        for name, where in plan.outgoing:
            weights.write(name, where, 0)
    return weights.renewed(params, state, plans)


def rescale_units(
    model: Any,
    certificate: Certificate,
    inputs: Any,
    *,
    spread: float = 1.0,
    kinds: Iterable[str] = ("saturated",),
    places: Iterable[str] | None = None,
    state: Any = None,
    params: Any = None,
) -> Renewed:
    """Flax parameters with saturated units' pre-activations at mean 0 and this `spread`.

    As in torch: layer by layer from the input on, each measured after those below it.

    Args:
        model: as for `certificate`: a linen module, an apply function, or an nnx module.
        certificate: of the same model with these parameters.
        inputs: one batch as the model takes it, of a few hundred samples or more.
        spread: standard deviation wanted; 1 leaves sigmoid and tanh their steep middle.
        kinds: locks to open, as for `reinitialise_units`.
        places: layers to open; by default all where the certificate has such a lock.
        state: of an optax optimizer, as for `reinitialise_units`.
        params: variables of a linen module or an apply function; none for nnx.

    Raises:
        ValueError: as for `reinitialise_units`; a spread that is not positive; a layer that is
            called in a loop, or not on these inputs.
    """
    if not spread > 0:
        raise ValueError(f"spread is {spread}: it is a standard deviation, above 0")
    pure = pure_model(model, params)
    weights = _Weights(pure.params, certificate, state)
    plans = [weights.plan(*lock) for lock in locked_units(certificate, kinds, places)]
    before = _outputs(pure, inputs)
    for plan in plans:
        plan.outgoing.clear()
        plan.incoming = weights.rows(plan.place, plan.units)
        made = layer_outputs(pure._replace(params=weights.tree()), inputs).get(plan.place)
        if made is None:
            raise ValueError(
                f"the model does not call {plan.place!r} on these inputs, or in a loop"
            )
        plan.notes = [weights.standardise(plan.place, plan.units, made, spread)]
    change = _change(before, _outputs(pure._replace(params=weights.tree()), inputs))
    return weights.renewed(pure.params if params is None else params, state, plans, change)


# --- what to write where


class _Plan:
    """The entries of some units of one layer."""

    def __init__(self, place: str, units: tuple[int, ...]) -> None:
        self.place, self.units = place, units
        self.incoming: list[Place] = []
        self.outgoing: list[Place] = []
        self.notes: list[str] = []

    def opened(self, change: float | None) -> Opened:
        names = [tuple(name for name, _ in part) for part in (self.incoming, self.outgoing)]
        note = "; ".join(dict.fromkeys(self.notes))
        return Opened(self.place, self.units, names[0], names[1], note, change)


class _Weights:
    """Parameters by dotted name, and the certificate that knows what feeds what."""

    def __init__(self, params: Any, certificate: Certificate, state: Any) -> None:
        inner = weights_in(params)
        self._structure = jax.tree.structure(inner)
        self.of = leaves_by_name(inner)
        self._certificate, self._held = certificate, held_in(state)
        records = certificate.measurement.parameters
        self._frozen = {record.name for record in records if not record.trainable}
        if {n: jnp.shape(w) for n, w in self.of.items()} != {r.name: r.shape for r in records}:
            raise ValueError("these are not the parameters of the certificate: make one of them")

    def tree(self) -> Any:
        return jax.tree.unflatten(self._structure, self.of.values())

    def plan(self, place: str, units: tuple[int, ...]) -> _Plan:
        """What has to be written; raises `ValueError` before anything is."""
        count = self.of[self._main(place)].shape[-1]
        made = {layer.name: layer.units for layer in self._certificate.measurement.layers}
        if made[place] not in (0, count):
            raise ValueError(
                f"the kernel of {place!r} ends in {count} entries, its output in {made[place]}: "
                "a transposed kernel cannot be drawn anew or rescaled one unit at a time"
            )
        plan = _Plan(place, units or tuple(range(count)))
        plan.incoming = self.rows(place, plan.units)
        parents = parents_of(self._certificate, place)
        if self._is_norm(place) and len(parents) == 1 and self._width(parents[0]) == count:
            plan.incoming += self.rows(parents[0], plan.units)
        for child in children_of(self._certificate, place):
            self._add_outgoing(plan, child, place, count)
        return plan

    def rows(self, place: str, units: tuple[int, ...]) -> list[Place]:
        """The entries that make these units."""
        if self._main(place) in self._frozen:
            raise ValueError(f"the weights of {place!r} are frozen: unfreeze them first")
        names = [self._main(place), _join(place, "bias")]
        return [(name, (..., jnp.asarray(units))) for name in names if name in self.of]

    def _main(self, place: str) -> str:
        for leaf in ("kernel", "scale"):
            if _join(place, leaf) in self.of:
                return _join(place, leaf)
        raise ValueError(
            f"{place or 'the model'} has no kernel and no scale: only units of dense, convolution "
            "and norm layers can be drawn anew or rescaled one by one"
        )

    def _is_norm(self, place: str) -> bool:
        return _join(place, "kernel") not in self.of

    def _width(self, place: str) -> int:
        name = _join(place, "kernel")
        return self.of[name].shape[-1] if name in self.of and name not in self._frozen else 0

    def _reads(self, name: str, count: int) -> tuple[int, int]:
        """The axis of a kernel that reads `count` units, and its length, 0 for none.

        A convolution reads along the last axis but one; a kernel (inputs, heads, size) along the
        first, and has a bias of several axes. Where that cannot be told, none is returned.
        """
        kernel, bias = self.of.get(name), self.of.get(name.removesuffix("kernel") + "bias")
        if kernel is None or kernel.ndim < 2:
            return -2, 0
        axes = {-2, -kernel.ndim} if bias is None else {-2} if bias.ndim == 1 else {-kernel.ndim}
        fitting = [axis for axis in axes if not kernel.shape[axis] % count]
        return (fitting[0], kernel.shape[fitting[0]]) if len(fitting) == 1 else (-2, 0)

    def _add_outgoing(self, plan: _Plan, child: str, place: str, count: int) -> None:
        """Add the entries of `child` that read the units, or a note why they are left."""
        running = {n.name for n in self._certificate.measurement.normalisations}
        name = _join(child, "kernel")
        axis, inputs = self._reads(name, count)
        if parents_of(self._certificate, child) != (place,):
            plan.notes.append(f"outgoing weights in {child} kept: other layers join their input")
        elif child in running:
            for further in children_of(self._certificate, child):
                self._add_outgoing(plan, further, child, count)
        elif not inputs:
            plan.notes.append(f"outgoing weights in {child} kept")
        elif name in self._frozen:
            plan.notes.append(f"outgoing weights in {child} kept: they are frozen")
        else:  # channels stand last, so flattened they repeat after `count`
            columns = [first + u for first in range(0, inputs, count) for u in plan.units]
            plan.outgoing.append((name, (..., jnp.asarray(columns), *[slice(None)] * (-1 - axis))))

    # --- writing

    def write(self, name: str, where: Any, values: Any) -> None:
        """Write what no `hold` holds."""
        old = jnp.asarray(self.of[name])
        self.of[name] = jnp.where(self._held.get(name, False), old, old.at[where].set(values))

    def fresh(self, name: str, where: Any, keys: Any) -> Any:
        """New values: He's normal distribution for a kernel, 1 for a scale, 0 for a bias."""
        old = self.of[name]
        if not name.endswith("kernel"):
            return 1 if name.endswith("scale") else 0
        drawn = jax.random.normal(next(keys), old[where].shape)
        return (drawn * math.sqrt(2 * old.shape[-1] / old.size)).astype(old.dtype)

    def standardise(self, place: str, units: tuple[int, ...], made: Any, spread: float) -> str:
        """Scale and shift units whose layer made this; return a note."""
        by_unit = made.astype(jnp.float32).reshape(-1, made.shape[-1])[:, jnp.asarray(units)]
        mean, deviation = by_unit.mean(0), by_unit.std(0)
        factor = jnp.where(deviation > 0, spread / deviation, 1.0)
        (main, where), *bias = self.rows(place, units)
        self.write(main, where, self.of[main][where] * factor)
        for name, at in bias:
            self.write(name, at, (self.of[name][at] - mean) * factor)
        middle = float(jnp.median(deviation))
        before = f"spread of pre-activations from {middle:.3g} to {spread:.3g}"
        before += "; constant ones keep theirs" * bool((deviation == 0).any())
        return before if bias else f"{before}; the layer has no bias, so their mean is left"

    def renewed(
        self, params: Any, state: Any, plans: list[_Plan], change: float | None = None
    ) -> Renewed:
        """The parameters in the form that they came in."""
        wrapped = weights_in(params) is not params
        new = type(params)({**params, "params": self.tree()}) if wrapped else self.tree()
        written = [place for plan in plans for place in (*plan.incoming, *plan.outgoing)]
        return Renewed(new, self._cleared(state, written), [plan.opened(change) for plan in plans])

    def _cleared(self, state: Any, written: list[Place]) -> Any:
        """The optimizer's state with zeros where it remembers what was written."""
        leaves, structure = jax.tree.flatten(state)
        for index, path in enumerate(leaf_names(state)):
            owners = [name for name in self.of if f".{path}".endswith(f".{name}")]
            owner = max(owners, key=len, default="")
            for name, where in written:
                held = jnp.issubdtype(jnp.result_type(leaves[index]), jnp.bool_)  # no memory
                if name == owner and not held and jnp.shape(leaves[index]) == self.of[name].shape:
                    leaves[index] = leaves[index].at[where].set(0)
        return jax.tree.unflatten(structure, leaves)


def _join(place: str, leaf: str) -> str:
    return f"{place}.{leaf}" if place else leaf


# --- what it changed


def _outputs(pure: Any, inputs: Any) -> list[Any]:
    leaves = jax.tree.leaves(pure.apply(pure.params, pure.rest, inputs)[0])
    return [leaf for leaf in leaves if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)]


def _change(before: list[Any], after: list[Any]) -> float | None:
    """The largest change relative to the largest value."""
    largest = max(float(jnp.abs(one).max()) for one in before)
    moved = max(float(jnp.abs(a - b).max()) for b, a in zip(before, after, strict=True))
    return ratio(moved, largest)
