"""Measure a Flax model, linen or nnx, for its certificate.

The forward pass is traced to a jaxpr, JAX's record of the operations, and replayed operation by
operation: from the parameters that an operation receives comes the graph of layers; known
activations, and ``max(x, 0)``, are looked at as they pass (``flax_replay``). Arrays in JAX are
immutable and an nnx module is split into arrays first, so the model stays as it was.

A gradient is *absent* where the jaxpr of the gradient derives it from no input at all: that is
what ``stop_gradient`` and unused parameters leave behind.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun
from jax.tree_util import DictKey, SequenceKey, tree_leaves_with_path

from paramlock.batches import arrays, batches_of, call, explained, samples_in, some, split
from paramlock.flax_replay import Replay, Seen
from paramlock.measure import (
    NEARLY,
    SATURABLE,
    LayerRecord,
    Lineage,
    Measurement,
    NormalisationRecord,
    ParameterRecord,
    SiteRecord,
    Tag,
    ratio,
    total,
)


class Model(NamedTuple):
    """A model as a pure function ``apply(params, rest, inputs) -> (outputs, statistics)``."""

    apply: Callable[..., Any]
    params: Any
    rest: Any
    statistics: Any  # running statistics as they are before the call
    kind: str
    types: Mapping[str, str]  # class of each module, where it is known


def measure(
    model: Any,
    data: Any,
    loss: Callable[[Any, Any], Any],
    optimizer: Any = None,
    delta: float = 0.05,
    params: Any = None,
) -> Measurement:
    """Return all numbers for a certificate of ``model``; see ``paramlock.certificate``."""
    pure = pure_model(model, params)
    names = parameter_names(pure.params)
    _check(names, pure.params)
    observer = _Observer(pure, names, delta)
    gradients, summary = _mean_gradients(pure, observer, data, loss)
    leaves = jax.tree.leaves(pure.params)
    records = [_record(n, p, g) for n, p, g in zip(names, leaves, gradients, strict=True)]
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
    return result


# --- the three ways to hold a model


def pure_model(model: Any, params: Any) -> Model:
    """Return a linen module or apply function with its variables, or an nnx module, as a Model."""
    from flax import linen, nnx

    if isinstance(model, nnx.Module):
        return _pure_nnx(model)
    if params is None:
        raise ValueError(
            "a linen module holds no parameters: pass its variables as params=, what init returned"
        )
    variables = params if isinstance(params, Mapping) and "params" in params else {"params": params}
    state = {name: part for name, part in variables.items() if name != "params"}
    module = isinstance(model, linen.Module)

    def apply(weights: Any, rest: Any, inputs: Any) -> tuple[Any, Any]:
        everything = {"params": weights, **rest}
        if not module:
            return call(functools.partial(model, everything), inputs), {}
        run = functools.partial(model.apply, everything, mutable=list(rest))
        result = call(run, inputs)
        return result[0], result[1].get("batch_stats", {})

    return Model(apply, variables["params"], state, state.get("batch_stats", {}), "linen", {})


def _pure_nnx(model: Any) -> Model:
    from flax import nnx

    graph, *states = nnx.split(model, nnx.Param, ...)
    weights, rest = states

    def apply(weights: Any, rest: Any, inputs: Any) -> tuple[Any, Any]:
        merged = nnx.merge(graph, weights, rest, copy=True)
        outputs = call(merged, inputs)
        return outputs, nnx.to_pure_dict(nnx.state(merged, nnx.BatchStat))

    statistics = nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))
    types = {".".join(map(str, p)): type(m).__name__ for p, m in nnx.iter_modules(model)}
    return Model(apply, weights, rest, statistics, "nnx", types)


def parameter_names(params: Any) -> list[str]:
    """Return the dotted path of each parameter, in the order of ``jax.tree.leaves``."""
    return [_dotted(path) for path, _ in tree_leaves_with_path(params)]


def _dotted(path: Any) -> str:
    keys = (k.key if isinstance(k, DictKey) else getattr(k, "idx", None) for k in path)
    keep = [k for k, raw in zip(keys, path, strict=True) if isinstance(raw, (DictKey, SequenceKey))]
    return ".".join(map(str, keep))


def layer_of(name: str) -> str:
    """Return the path of the module that owns the parameter called ``name``."""
    return name.rpartition(".")[0]


def _check(names: list[str], params: Any) -> None:
    if not names:
        raise ValueError("the model has no parameters, so nothing in it can be locked")
    for name, leaf in zip(names, jax.tree.leaves(params), strict=True):
        if isinstance(leaf, jax.ShapeDtypeStruct):
            raise ValueError(f"parameter {name!r} is abstract and has no values: initialise it")
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise ValueError(
                f"parameter {name!r} is of type {jnp.result_type(leaf)}, which has no gradient: "
                "take the model before it is quantised"
            )


# --- gradients


def _mean_gradients(
    pure: Model, observer: _Observer, data: Any, loss: Callable[[Any, Any], Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the gradient of the mean loss per sample over all batches, and a summary."""
    sums: list[Any] = [None] * len(jax.tree.leaves(pure.params))
    gradient = _Gradient(pure, loss)
    samples, batches, loss_sum, bad_inputs = 0, 0, 0.0, 0
    for batch in batches_of(data):
        inputs, targets = split(batch)
        count = samples_in(inputs)
        if not count:
            continue
        bad_inputs += sum(map(_nonfinite, arrays(inputs)))
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
        """Return loss and gradients of a batch, ``None`` where no path leads to a parameter."""
        tree = self._pure.params, self._pure.rest, inputs, targets
        key = shape_of(tree)
        if key not in self._compiled:
            self._compiled[key] = self._compile(tree)
        run, reached = self._compiled[key]
        value, *gradients = run(*jax.tree.leaves(tree))
        wide = [np.asarray(g, np.promote_types(_plain(g.dtype), np.float32)) for g in gradients]
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


def shape_of(tree: Any) -> Any:
    """Return what decides whether a function must be compiled anew for ``tree``."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)


def _plain(dtype: Any) -> Any:
    """Return a type that NumPy can promote: bfloat16 as float32."""
    return np.float32 if str(dtype) == "bfloat16" else dtype


def _reached(traced: ClosedJaxpr) -> list[bool]:
    """Return which outputs depend on an input or a constant array at all."""
    alive = {*traced.jaxpr.invars, *traced.jaxpr.constvars}
    for equation in traced.jaxpr.eqns:
        if any(not isinstance(v, Literal) and v in alive for v in equation.invars):
            alive.update(equation.outvars)
    return [not isinstance(v, Literal) and v in alive for v in traced.jaxpr.outvars]


# --- seeing the forward pass


class _Observer:
    """Replays the forward pass batch by batch and counts."""

    def __init__(self, pure: Model, names: list[str], delta: float) -> None:
        self._pure, self._names, self._delta = pure, names, delta
        self.lineage = Lineage()
        self.statistics: Any = pure.statistics
        self._compiled: dict[Any, Any] = {}
        self._sites: dict[tuple[str, str, int], _Site] = {}
        self._ranges: dict[tuple[str, str, int], _Range] = defaultdict(_Range)
        self._beside: dict[tuple[str, str, int], tuple[str, ...]] = {}
        self.unseen: dict[str, None] = {}

    def see(self, inputs: Any) -> None:
        """Look at one batch."""
        tree = (self._pure.params, self._pure.rest, inputs)
        key = shape_of(tree)
        if key not in self._compiled:
            self._compiled[key] = self._compile(tree)
        self.statistics, seen = self._compiled[key](*jax.tree.leaves(tree))
        self._count(seen)

    def _compile(self, tree: Any) -> Any:
        traced, shape = jax.make_jaxpr(self._pure.apply, return_shape=True)(*tree)
        tags = self._tags(tree[-1], jax.tree.leaves(tree))

        def replayed(*values: Any) -> tuple[Any, dict[str, Any]]:
            seen = Seen()
            replay = Replay(self.lineage, seen, self._delta, samples_in(tree[-1]))
            outputs = replay.run(traced.jaxpr, traced.consts, values, tags)[0]
            statistics = jax.tree.unflatten(jax.tree.structure(shape), outputs)[1]
            self._beside |= seen.beside
            self.unseen |= seen.unseen
            return statistics, {"sites": seen.sites, "ranges": seen.ranges}

        return jax.jit(replayed)

    def _tags(self, inputs: Any, leaves: list[Any]) -> list[Tag | None]:
        owners = [Tag((layer_of(name),), False, -1) for name in self._names]
        data = [Tag((), True, -1) for _ in jax.tree.leaves(inputs)]
        return [*owners, *[None] * (len(leaves) - len(owners) - len(data)), *data]

    def _count(self, seen: dict[str, Any]) -> None:
        for key, calls in seen["sites"].items():
            for numbers in calls:
                self._sites.setdefault(key, _Site(self._delta)).add(*map(np.asarray, numbers))
        for key, (low, high, bad, samples) in seen["ranges"].items():
            self._ranges[key].add(np.asarray(low), np.asarray(high), int(bad), int(samples))

    def site_records(self) -> list[SiteRecord]:
        """Return what the activations did."""
        return [
            site.record(
                key,
                self._ranges[("site:" + key[0], key[1], key[2])].all_constant(),
                self._beside.get(key, ()),
            )
            for key, site in self._sites.items()
        ]

    def layer_records(self, types: Mapping[str, str], names: set[str]) -> list[LayerRecord]:
        """Return the layers, called ones first."""
        order = [*self.lineage.order, *sorted(names - self.lineage.order.keys())]
        return [self._layer_record(name, types.get(name, "")) for name in order]

    def _of(self, name: str, part: str) -> list[_Range]:
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
        )


class _Outputs(Replay):
    """Keeps what each layer made last."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.of: dict[str, Any] = {}

    def _range(self, layer: str, part: str, value: Any, call: int | None = None) -> None:
        if part == "output":
            self.of[layer] = value


def layer_outputs(pure: Model, inputs: Any) -> dict[str, Any]:
    """Return {layer: its output on ``inputs``, units along the last axis}, of its last call.

    Layers in a loop (``scan``) are left out.
    """
    tree = (pure.params, pure.rest, inputs)
    observer, leaves = _Observer(pure, parameter_names(pure.params), 0.0), jax.tree.leaves(tree)
    traced = jax.make_jaxpr(pure.apply)(*tree)
    replay = _Outputs(observer.lineage, Seen(), 0.0, samples_in(inputs))
    replay.run(traced.jaxpr, traced.consts, leaves, observer._tags(inputs, leaves))
    return {name: made for name, made in replay.of.items() if not isinstance(made, Tracer)}


# --- counting over batches


class _Site:
    """Counts over the data for the units of one activation."""

    def __init__(self, delta: float) -> None:
        self._delta = delta
        self._largest: Any = 0.0
        self._flat: Any = 0
        self._entries: Any = 0
        self._finite = True

    def add(self, largest: Any, flat: Any, entries: Any, finite: Any) -> None:
        self._largest = np.maximum(self._largest, largest)
        self._flat, self._entries = self._flat + flat, self._entries + entries
        self._finite &= bool(finite)

    def record(
        self, key: tuple[str, str, int], constant: bool, beside: tuple[str, ...]
    ) -> SiteRecord:
        layer, function, units = key
        met = self._entries > 0
        alive = (self._largest != 0) | ~met
        low = self._largest < self._delta
        if function == "attention":
            low = self._flat >= NEARLY * self._entries
        counts = function in SATURABLE
        return SiteRecord(
            layer,
            function,
            units,
            tuple(np.flatnonzero(~alive).tolist()),
            tuple(np.flatnonzero(low & alive & met).tolist()) if counts else (),
            float(self._flat.sum() / max(self._entries.sum(), 1)) if counts else 0.0,
            constant,
            not self._finite,
            beside,
        )


class _Range:
    """Whether each unit (last axis) varies over samples; positions are kept apart."""

    def __init__(self) -> None:
        self.varies: Any = None
        self._first: Any = None
        self._samples = 0
        self.nonfinite = 0

    def add(self, low: Any, high: Any, nonfinite: int, samples: int) -> None:
        varies = _differs(low, high)
        if self._first is not None and self._first.shape == low.shape:
            varies |= _differs(self._first, low)
        self._first = low if self._first is None else self._first
        by_unit = varies.reshape(-1, varies.shape[-1]).any(0)
        same = self.varies is not None and self.varies.shape == by_unit.shape
        self.varies = by_unit | self.varies if same else by_unit
        self._samples += samples
        self.nonfinite += nonfinite

    def constant(self) -> tuple[int, ...]:
        if self.varies is None or self._samples < 2 or self.nonfinite:
            return ()
        return tuple(np.flatnonzero(~self.varies).tolist())

    def all_constant(self) -> bool:
        return self.varies is not None and len(self.constant()) == len(self.varies)


def _differs(a: Any, b: Any) -> Any:
    """Return where ``a`` and ``b`` differ by more than rounding."""
    bound = 4 * float(jnp.finfo(a.dtype).eps) * np.maximum(np.abs(a), np.abs(b)).astype(np.float32)
    with np.errstate(invalid="ignore"):
        return np.abs(a.astype(np.float32) - b.astype(np.float32)) > bound


# --- parameters and updates


def norm(array: Any) -> float | None:
    """Return the Euclidean norm in float64, free of under- and overflow."""
    if array is None:
        return None
    wide = np.asarray(array, np.float64)
    largest = float(np.abs(wide).max(initial=0.0))
    if not largest or not math.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(wide / largest))


def _nonfinite(array: Any) -> int:
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return 0
    return int((~np.isfinite(np.asarray(array, np.float64))).sum())


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
        nonfinite=_nonfinite(parameter),
        gradient_nonfinite=0 if gradient is None else _nonfinite(gradient),
    )


def _masked(name: str, values: Any, gradient: Any) -> float:
    """Return the share of weights at zero without gradient, inputs that are zero apart."""
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
    """Take the optimizer's next step on copies; what it never moves counts as frozen."""
    result.optimizer = "optax"
    old = jax.tree.leaves(params)
    filled = [
        jnp.zeros_like(p) if g is None else jnp.asarray(g, p.dtype)
        for p, g in zip(old, gradients, strict=True)
    ]
    new = _stepped(model, optimizer, params, jax.tree.unflatten(jax.tree.structure(params), filled))
    locked = held_in(optimizer.opt_state if hasattr(optimizer, "opt_state") else optimizer[1])
    for record, before, gradient in zip(result.parameters, old, gradients, strict=True):
        after = new.get(record.name)
        held = locked.get(record.name)
        if held is not None:
            zero = held & (np.asarray(before) == 0)
            record.masked, record.held = float(zero.mean()), float((held & ~zero).mean())
            gradient = None if gradient is None else np.where(held, 0, gradient)
        if after is None:
            record.trainable = False
            record.update = 0.0
        else:
            _compare(record, np.asarray(before), np.asarray(after), gradient)


def _compare(record: ParameterRecord, old: Any, new: Any, gradient: Any) -> None:
    record.rate = math.nan  # an optax transformation tells no rate
    record.update = norm(new.astype(np.float64) - old.astype(np.float64))
    if gradient is None:
        return
    pulled, moved, held = gradient != 0, new != old, (gradient == 0) & (old == 0)
    record.stuck = float((pulled & ~moved).sum()) / max(int(pulled.sum()), 1)
    if record.masked:
        record.regrown = float((moved & held).sum()) / max(int(held.sum()), 1)
    if not record.update and record.gradient and str(old.dtype) in ("float32", "float64"):
        record.trainable = False


def held_in(state: Any) -> dict[str, Any]:
    """Return what ``hold_updates`` holds, by its state: {dotted name: booleans}."""
    from flax import nnx

    from paramlock.optax_holding import HoldState

    nodes = jax.tree.leaves(nnx.as_pure(state), is_leaf=lambda node: isinstance(node, HoldState))
    held = [node.held for node in nodes if isinstance(node, HoldState)]
    names = {
        n.replace("/", ".").removeprefix("params."): b for part in held for n, b in part.items()
    }
    return {name: np.asarray(booleans) for name, booleans in names.items()}


def _stepped(model: Any, optimizer: Any, params: Any, gradients: Any) -> dict[str, Any]:
    """Return {name: parameter after the optimizer's next step}, for those that it holds."""
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

    @jax.jit
    def step(gradients: Any, state: Any, params: Any) -> Any:
        return optax.apply_updates(params, transformation.update(gradients, state, params)[0])

    moved = step(kept, state, own)
    return {_dotted(path): leaf for path, leaf in tree_leaves_with_path(moved)}


# --- running statistics


def _normalisations(
    pure: Model, after: Any, records: list[ParameterRecord]
) -> list[NormalisationRecord]:
    old = {_dotted(path): leaf for path, leaf in tree_leaves_with_path(pure.statistics)}
    new = {_dotted(path): leaf for path, leaf in tree_leaves_with_path(after)}
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
    around = [p.trainable for p in records if p.name.startswith(layer_of(layer) + ".")]
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
