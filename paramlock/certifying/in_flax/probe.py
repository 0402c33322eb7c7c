"""Measure a Flax model, linen or nnx, for its certificate.

The forward pass is traced to a jaxpr, JAX's record of the operations, and replayed operation by
operation: from the parameters that an operation receives comes the graph of layers; known
activations, and `max(x, 0)`, are looked at as they pass (`replay`). Arrays in JAX are
immutable and an nnx module is split into arrays first, so the model stays as it was.

A gradient is *absent* where the jaxpr of the gradient derives it from no input at all: that is
what `stop_gradient` and unused parameters leave behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun
from jax.interpreters.partial_eval import dce_jaxpr

from paramlock.certifying.in_flax.observer import Observer
from paramlock.certifying.records import (
    LayerRecord,
    Measurement,
    NormalisationRecord,
    ParameterRecord,
)
from paramlock.models.batches import arrays, batches_of, explained, samples_in, some, split
from paramlock.models.in_flax import (
    Model,
    check,
    layer_of,
    leaves_by_name,
    nonfinite,
    norm,
    plain,
    pure_model,
    shape_of,
)
from paramlock.models.numbers import ratio, total

MOST_ADDED = 4096  # batches that one step may add up
UPHILL = 0.999  # cosine of an update and its gradient from which on it is the gradient


def measure(
    model: Any,
    data: Any,
    loss: Callable[[Any, Any], Any],
    optimizer: Any = None,
    delta: float = 0.05,
    params: Any = None,
) -> Measurement:
    """All numbers for a certificate of `model`; see `paramlock.certificate`."""
    pure = pure_model(model, params)
    names = list(leaves_by_name(pure.params))
    check(names, pure.params)
    observer = Observer(pure, names, delta)
    gradients, summary = _mean_gradients(pure, observer, data, loss)
    leaves = jax.tree.leaves(pure.params)
    records = [_record(n, p, g) for n, p, g in zip(names, leaves, gradients, strict=True)]
    _measure_picks(observer, records, gradients)
    result = Measurement(
        "flax",
        records,
        observer.layer_records(pure.types, {r.layer for r in records}),
        observer.site_records(),
        [],
        unseen=list(observer.unseen),
        **summary,
    )
    if optimizer is not None:
        _measure_update(result, model, optimizer, pure.params, gradients)
    result.normalisations = _normalisations(pure, observer.statistics, records)
    for layer in result.layers:
        layer.rows = _rows(layer, records)
    return result


# --- gradients


def _mean_gradients(
    pure: Model, observer: Observer, data: Any, loss: Callable[[Any, Any], Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The gradient of the mean loss per sample over all batches, and a summary."""
    sums: list[Any] = [None] * len(jax.tree.leaves(pure.params))
    gradient = _Gradient(pure, loss)
    samples, batches, loss_sum, bad_inputs = 0, 0, 0.0, 0
    for batch in batches_of(data):
        inputs, targets = split(batch)
        count = samples_in(inputs)
        if not count:
            continue
        bad_inputs += sum(map(nonfinite, arrays(inputs)))
        with explained(batches, inputs):
            value, parts = gradient.at(inputs, targets)
            observer.see(inputs)
        parts = [None if g is None else g * count for g in parts]
        sums = [s if g is None else g if s is None else s + g
                for s, g in zip(sums, parts, strict=True)]  # fmt: skip
        samples, batches = samples + count, batches + 1
        loss_sum += float(value) * count
    means = [None if s is None else s / some(samples) for s in sums]
    return means, {
        "samples": some(samples),
        "batches": batches,
        "loss": loss_sum / samples,
        "input_nonfinite": bad_inputs,
    }


class _Gradient:
    """The loss and its gradient, compiled once for each shape of batch."""

    def __init__(self, pure: Model, loss: Callable[[Any, Any], Any]) -> None:
        self._pure, self._loss = pure, loss
        self._compiled: dict[Any, tuple[Any, list[bool]]] = {}

    def at(self, inputs: Any, targets: Any) -> tuple[Any, list[Any]]:
        """Loss and gradients of a batch, `None` where no path leads to a parameter."""
        tree = self._pure.params, self._pure.rest, inputs, targets
        key = shape_of(tree)
        if key not in self._compiled:
            self._compiled[key] = self._compile(tree)
        run, reached = self._compiled[key]
        value, *gradients = run(*jax.tree.leaves(tree))
        wide = [np.asarray(g, np.promote_types(plain(g.dtype), np.float32)) for g in gradients]
        return value, [g if path else None for g, path in zip(wide, reached, strict=True)]

    def _compile(self, tree: Any) -> tuple[Any, list[bool]]:
        traced = jax.make_jaxpr(jax.value_and_grad(self._mean_loss))(*tree)
        reached = _reached(traced)[1:]
        if not any(reached):
            raise ValueError(
                "the loss has no graph, so no gradient can reach any parameter: something between "
                "model and loss cuts it (stop_gradient, argmax, numpy)"
            )
        return jax.jit(jaxpr_as_fun(traced)), reached

    def _mean_loss(self, params: Any, rest: Any, inputs: Any, targets: Any) -> Any:
        value = self._loss(self._pure.apply(params, rest, inputs)[0], targets)
        if jnp.size(value) != 1:
            raise ValueError(
                f"the loss has shape {jnp.shape(value)}, it is not a single number: reduce it "
                "with .mean()"
            )
        return jnp.reshape(value, ())


def _reached(traced: ClosedJaxpr) -> list[bool]:
    """Which outputs depend on an input or a constant array at all."""
    alive = {*traced.jaxpr.invars, *traced.jaxpr.constvars}
    for equation in traced.jaxpr.eqns:
        if any(not isinstance(v, Literal) and v in alive for v in equation.invars):
            alive.update(equation.outvars)
    return [not isinstance(v, Literal) and v in alive for v in traced.jaxpr.outvars]


def _record(name: str, parameter: Any, gradient: Any) -> ParameterRecord:
    values = np.asarray(parameter, np.float64)
    return ParameterRecord(
        name,
        layer_of(name),
        tuple(values.shape),
        str(parameter.dtype),
        True,
        norm(values) or 0.0,
        norm(gradient),
        masked=_masked(name, values, gradient),
        nonfinite=nonfinite(parameter),
        gradient_nonfinite=0 if gradient is None else nonfinite(gradient),
    )


def _measure_picks(
    observer: Observer, records: list[ParameterRecord], gradients: list[Any]
) -> None:
    """Note the rows of codebooks that got no gradient."""
    for record, gradient in zip(records, gradients, strict=True):
        record.picks = observer.picks.of(record)
        if record.picks and gradient is not None:
            silent = (gradient == 0).reshape(len(gradient), -1).all(1)
            record.unpicked = tuple(np.flatnonzero(silent).tolist())


def _rows(layer: LayerRecord, records: list[ParameterRecord]) -> str:
    """The kernel or scale whose last axis counts the layer's units; a transposed one's does not."""
    own = {p.name.rpartition(".")[2]: p for p in records if p.layer == layer.name}
    main = own.get("kernel", own.get("scale"))
    return main.name if main and layer.units in (0, main.shape[-1]) else ""


def _masked(name: str, values: Any, gradient: Any) -> float:
    """The share of weights at zero without gradient, inputs that are zero apart."""
    other = name.endswith(("embedding", "bias"))  # rows that the data left out; no matrix
    if gradient is None or values.ndim < 2 or other or not values.any():
        return 0.0
    pulled = gradient != 0
    fed = pulled.any(-1, keepdims=True)
    alive = pulled.any(tuple(range(values.ndim - 1)), keepdims=True)  # else the unit is dead
    return float(((values == 0) & ~pulled & fed & alive).mean())


def _measure_update(
    result: Measurement, model: Any, optimizer: Any, params: Any, gradients: list[Any]
) -> None:
    """Take the optimizer's next step on copies.

    Frozen is what it has no update for, or one that its gradient has no part in. A zero that the
    gradient has a part in is another thing: a rate of zero, or a clip.
    """
    result.optimizer = "optax"
    old = jax.tree.leaves(params)
    filled = [
        jnp.zeros_like(p) if g is None else jnp.asarray(g, p.dtype)
        for p, g in zip(old, gradients, strict=True)
    ]
    whole = jax.tree.unflatten(jax.tree.structure(params), filled)
    new, proposed, heeds = _stepped(model, optimizer, params, whole)
    locked = held_in(optimizer.opt_state if hasattr(optimizer, "opt_state") else optimizer[1])
    uphill: list[str] = []
    for record, before, gradient in zip(result.parameters, old, gradients, strict=True):
        after = new.get(record.name)
        held = locked.get(record.name)
        if held is not None:
            zero = held & (np.asarray(before) == 0)
            record.masked, record.held = float(zero.mean()), float((held & ~zero).mean())
            record.locked = bool(held.any())
            gradient = None if gradient is None else np.where(held, 0, gradient)
        record.in_optimizer = after is not None
        if after is None:
            record.trainable = False
            record.update = 0.0
        else:
            record.proposed = norm(np.asarray(proposed[record.name], np.float64))
            _compare(record, np.asarray(before), np.asarray(after), gradient)
            uphill += [record.name] if _climbs(proposed[record.name], gradient) else []
            if gradient is not None and gradient.any() and not record.proposed:
                record.trainable = heeds(record.name)

    if uphill:
        result.notes.append(
            f"the update of {', '.join(uphill)} is the gradient itself, so training climbs: "
            "optax.masked leaves alone what it masks; use optax.partition with set_to_zero"
        )


def _climbs(update: Any, gradient: Any) -> bool:
    """Whether an update points along the gradient."""
    if gradient is None or not gradient.any():
        return False
    step, pull = (np.asarray(t, np.float64).ravel() for t in (update, gradient))
    size = float(np.linalg.norm(step) * np.linalg.norm(pull))
    return float(step @ pull) > UPHILL * size > 0


def _compare(record: ParameterRecord, old: Any, new: Any, gradient: Any) -> None:
    record.update = norm(new.astype(np.float64) - old.astype(np.float64))
    if gradient is None:
        return
    if old.ndim > 1 and record.norm and record.gradient:
        record.along, record.turn = _directions(old, new, gradient)
    pulled, moved, held = gradient != 0, new != old, (gradient == 0) & (old == 0)
    record.stuck = float((pulled & ~moved).sum()) / max(int(pulled.sum()), 1)
    if record.masked:
        record.regrown = float((moved & held).sum()) / max(int(held.sum()), 1)


def _directions(old: Any, new: Any, gradient: Any) -> tuple[float, float]:
    """How far a gradient points along a weight, and how far a step turns it: see the record."""
    weight, step, pull = (np.asarray(t, np.float64).ravel() for t in (old, new, gradient))
    size, step = np.linalg.norm(weight), step - weight
    aside = step - (step @ weight / size**2) * weight
    along = ratio(float(abs(pull @ weight)), float(size * np.linalg.norm(pull)))
    return along, float(np.linalg.norm(aside) / size)


def held_in(state: Any) -> dict[str, Any]:
    """What `hold` holds, by its state: {parameter name: booleans}."""
    from flax import nnx

    from paramlock.holding.in_optax import HoldState

    nodes = jax.tree.leaves(nnx.as_pure(state), is_leaf=lambda node: isinstance(node, HoldState))
    held = [node.held for node in nodes if isinstance(node, HoldState)]
    return {name: np.asarray(booleans) for part in held for name, booleans in part.items()}


def _stepped(
    model: Any, optimizer: Any, params: Any, gradients: Any
) -> tuple[dict[str, Any], dict[str, Any], Callable[[str], bool]]:
    """The optimizer's next step, for those that it holds.

    {name: parameter after it}, {name: update proposed}, and what says of a name whether its update
    heeds its gradient. Where gradients are accumulated, it is the step that ends the accumulation.
    """
    import optax
    from flax import nnx

    if isinstance(optimizer, nnx.Optimizer):
        own = nnx.as_pure(nnx.state(model, optimizer.wrt))
        merged = nnx.merge_state(gradients, nnx.state(model, nnx.Not(nnx.Param)))
        kept = nnx.as_pure(nnx.filter_state(nnx.state(merged), optimizer.wrt))
        transformation, state = optimizer.tx, nnx.as_pure(optimizer.opt_state)
    elif isinstance(optimizer, tuple) and len(optimizer) == 2 and hasattr(optimizer[0], "update"):
        kept, own = gradients, params
        transformation, state = optimizer
    else:
        raise ValueError(
            f"optimizer is {type(optimizer).__name__}: pass (transformation, state) of optax, or "
            "an nnx.Optimizer"
        )

    def step(gradients: Any, state: Any, params: Any) -> Any:
        updates, after = transformation.update(gradients, state, params)
        return updates, after, optax.apply_updates(params, updates)

    take = jax.jit(step)
    for _ in range(MOST_ADDED):
        updates, after, moved = take(kept, state, own)
        waits, state = _accumulates(state, after), after
        if not waits:
            break

    def heeds(name: str) -> bool:
        return _heeds(lambda given: step(given, state, own)[0], kept, name)

    return leaves_by_name(moved), leaves_by_name(updates), heeds


def _accumulates(before: Any, after: Any) -> bool:
    """Whether a step of `optax.MultiSteps` only added to what it has gathered."""
    import optax

    def counts(state: Any) -> list[Any]:
        def own(node: Any) -> bool:
            return isinstance(node, optax.MultiStepsState)

        return [int(s.gradient_step) for s in jax.tree.leaves(state, is_leaf=own) if own(s)]

    counted = counts(before)
    return bool(counted) and counted == counts(after)


def _heeds(update: Callable[[Any], Any], gradients: Any, name: str) -> bool:
    """Whether the update of a parameter is computed from its own gradient."""
    names = list(leaves_by_name(gradients))
    traced = jax.make_jaxpr(update)(gradients)
    made = list(leaves_by_name(jax.eval_shape(update, gradients)))
    _, used = dce_jaxpr(traced.jaxpr, [other == name for other in made])
    return used[names.index(name)]


# --- running statistics


def _normalisations(
    pure: Model, after: Any, records: list[ParameterRecord]
) -> list[NormalisationRecord]:
    old, new = leaves_by_name(pure.statistics), leaves_by_name(after)
    drift = {
        layer: ratio(
            total(norm(np.asarray(new[n]) - np.asarray(old[n])) for n in names),
            total(norm(old[n]) for n in names),
        )
        for layer, names in _by_layer(old.keys() & new.keys()).items()
    }
    return [_normalisation(layer, moved, drift, records) for layer, moved in drift.items()]


def _by_layer(names: Any) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name in sorted(names):
        grouped.setdefault(layer_of(name), []).append(name)
    return grouped


def _normalisation(
    layer: str, moved: float, drift: dict[str, float], records: list[ParameterRecord]
) -> NormalisationRecord:
    own = [p.trainable for p in records if p.layer == layer]
    module = layer_of(layer)
    around = [p.trainable for p in records if not module or p.name.startswith(f"{module}.")]
    declared = own or around
    return NormalisationRecord(
        layer,
        bool(declared) and not any(declared),
        any(own),
        moved > 0,
        any(drift.values()),
        True,
        moved,
    )
