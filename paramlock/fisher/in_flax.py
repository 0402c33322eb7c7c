"""The Fisher diagonal of Flax modules: linen `apply` functions and nnx modules.

Layers with a rule are *tapped*: a zero probe is added to their outputs, so that the derivative
with respect to the probe is the gradient there, and their inputs are kept. Input and gradient give
the gradient of each sample, or for a dense layer the sum of squares in one product, as in torch. A
parameter is *explained* when the outputs no longer hang on it once the tapped layers' outputs are
replaced by constants; all other parameters are measured sample by sample, in a compiled loop.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from paramlock.fisher.likelihood_in_flax import cotangents
from paramlock.fisher.rules_in_flax import (
    KINDS,
    Rule,
    row_squares,
    rule_of,
    weight_gradient,
    without_scale,
)
from paramlock.fisher.samples import labelled, require_targets
from paramlock.models.batches import arrays, call, explained, samples_in
from paramlock.models.in_flax import leaves_by_name, wide
from paramlock.models.names import by_name, is_variables, joined, weights_in

Params = Mapping[str, jax.Array]
Path = tuple[Any, ...]


class Linen(NamedTuple):
    """`apply(params, *inputs)` over nested parameters, with the other collections beside them."""

    apply: Callable[..., Any]
    names: tuple[str, ...]
    structure: Any

    def run(self, params: Params, state: Any, inputs: Any, tap: Any) -> Any:
        def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            layer = context.module
            own = tap is not None and context.method_name == "__call__" and len(args) > 0
            rule = rule_of(layer, args[0]) if own else None
            if rule is None:
                return call(*args, **kwargs)

            def normalised() -> Any:
                rest = {name: part for name, part in layer.variables.items() if name != "params"}
                return without_scale(layer).apply(rest, *args, **kwargs)

            seen = normalised if rule.kind == "scale" else lambda: args[0]
            return tap(layer.path, rule, seen, lambda: call(*args, **kwargs))

        weights = jax.tree.unflatten(self.structure, [params[name] for name in self.names])
        variables = weights if state is None else {**state, "params": weights}
        with linen.intercept_methods(intercept):
            return call(partial(self.apply, variables), inputs)


class Nnx(NamedTuple):
    """An nnx module, split; each run puts it together again in evaluation mode."""

    graph: Any

    def run(self, params: Params, state: Any, inputs: Any, tap: Any) -> Any:
        weights, others = state
        flat = {p: leaf.replace(params[joined(p)]) for p, leaf in nnx.to_flat_state(weights)}
        model = nnx.merge(self.graph, nnx.from_flat_state(flat), others)
        model.eval()
        for path, layer in list(nnx.iter_graph(model)) if tap else ():
            if type(layer) in KINDS:
                object.__setattr__(layer, "__class__", _tapped(type(layer), path, tap))
        return call(model, inputs)


def _tapped(kind: Any, path: Path, tap: Any) -> type:
    class Tapped(kind):  # type: ignore[misc]
        def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            def original(layer: Any) -> Any:
                return kind.__call__(layer, inputs, *args, **kwargs)

            plain = copy.copy(self)
            object.__setattr__(plain, "__class__", kind)
            rule = rule_of(plain, inputs)
            if rule is None:
                return original(self)
            scales = rule.kind == "scale"
            seen = (lambda: original(without_scale(plain))) if scales else lambda: inputs
            return tap(path, rule, seen, lambda: original(self))

    return Tapped


class _Tap:
    """Sees every call of a layer with a rule; adds probes to the outputs, or replaces them."""

    def __init__(self, probes: Any = None, *, replace: bool = False) -> None:
        self.probes, self.replace = probes, replace
        self.calls: list[tuple[Path, Rule]] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def __call__(
        self, path: Path, rule: Rule, seen: Callable[[], Any], compute: Callable[[], Any]
    ) -> Any:
        probe = self.probes[len(self.calls)] if self.probes else None
        outputs = probe if self.replace else compute()
        if probe is not None and not self.replace:
            outputs = outputs + probe
        self.calls.append((path, rule))
        self.inputs.append(None if self.replace else seen())
        self.outputs.append(outputs)
        return outputs


class _Plan(NamedTuple):
    """How to measure batches of one shape; hashable, so that it compiles once."""

    probes: tuple[tuple[tuple[int, ...], Any], ...]  # shape and dtype of each tapped output
    rules: tuple[Rule, ...]  # of each tapped call
    explained: tuple[tuple[str, tuple[int, ...]], ...]  # parameter name, its calls
    loops: tuple[str, ...]  # parameters measured sample by sample
    outputs: tuple[int, ...]


def diagonal(
    model: Any,
    params: Mapping[str, Any] | None,
    data: Iterable[Any],
    *,
    kind: str,
    likelihood: str,
    draws: int,
    seed: int,
) -> dict[str, jax.Array]:
    """See `paramlock.fisher_diagonal`."""
    model, flat, state = _split(model, params)
    key = jax.random.key(seed)
    totals: dict[str, Any] = dict.fromkeys(flat, 0)
    count = 0
    for inputs, targets in labelled(data, kind):
        _check_inputs(inputs)
        key, used = jax.random.split(key)
        with explained(None, inputs):
            plan = _plan(model, *_abstract((flat, state, inputs)))
        if kind == "empirical":
            _check_targets(np.asarray(targets), plan.outputs, likelihood)
        settings = (kind, likelihood, draws)
        squares, scores = _by_rules(model, plan, settings, flat, state, inputs, targets, used)
        squares |= _sample_by_sample(model, plan.loops, flat, state, inputs, scores)
        totals = {name: totals[name] + squares[name] for name in totals}
        count += samples_in(inputs)
    return {name: total / count for name, total in totals.items()}


def _split(model: Any, params: Any) -> tuple[Any, dict[str, jax.Array], Any]:
    """What runs, its floating-point parameters by name, and what it needs beside them."""
    if isinstance(model, nnx.Module):
        split: Any = nnx.split  # its overloads are beyond mypy
        graph, weights, others = split(model, nnx.Param, ...)
        flat = by_name((joined(path), leaf[...]) for path, leaf in nnx.to_flat_state(weights))
        return Nnx(graph), flat, (weights, others)
    if not isinstance(params, Mapping) or not params:
        raise ValueError("a function needs params=…, nested dicts of its parameters")
    weights = weights_in(params)
    flat = leaves_by_name(weights)
    whole = [n for n, leaf in flat.items() if not jnp.issubdtype(leaf.dtype, jnp.floating)]
    if whole:
        raise ValueError(f"{', '.join(whole)}: no floating-point parameters, so no gradients")
    apply = model.apply if isinstance(model, linen.Module) else model
    state = {n: part for n, part in params.items() if n != "params"}
    structure = jax.tree.structure(weights)
    return Linen(apply, tuple(flat), structure), flat, state if is_variables(params) else None


def _check_inputs(inputs: Any) -> None:
    for part in arrays(inputs):
        if not isinstance(part, jax.Array | np.ndarray) or not part.ndim:
            raise ValueError(
                f"inputs hold a {type(part).__name__} of shape {tuple(part.shape)}: pass JAX or "
                "NumPy arrays (n, …), the samples along the first axis"
            )


def _check_targets(targets: Any, outputs: tuple[int, ...], likelihood: str) -> None:
    require_targets(targets.shape, outputs, likelihood)
    if likelihood == "gaussian":
        return
    classes = outputs[-1]
    whole = np.issubdtype(targets.dtype, np.integer)
    if not whole or targets.min() < 0 or targets.max() >= classes:
        raise ValueError(
            f"targets must be whole numbers from 0 to {classes - 1}, one for each of the "
            f"{classes} classes that the outputs have; they are {targets.dtype} from "
            f"{targets.min()} to {targets.max()}"
        )


# --- which parameters are explained ---------------------------------------------------------


def _abstract(tree: Any) -> tuple[tuple[Any, ...], Any]:
    leaves, structure = jax.tree.flatten(tree)
    return tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves), structure


@lru_cache(maxsize=64)
def _plan(model: Any, leaves: tuple[Any, ...], structure: Any) -> _Plan:
    """Trace the model over shapes alone; once for each model and shape of batch."""
    params, _, inputs = everything = jax.tree.unflatten(structure, leaves)
    called, seen, left, outputs = _trace(model, everything)
    n = samples_in(inputs)
    if not hasattr(outputs, "shape") or outputs.ndim < 2 or outputs.shape[0] != n:
        raise ValueError(f"{n} samples gave {outputs}; outputs must be one array (n, …, classes)")
    probes = tuple((y.shape, y.dtype) for y in left)
    hidden = _used_elsewhere(model, everything, probes)
    calls: dict[str, list[int]] = defaultdict(list)
    for index, (path, rule) in enumerate(called):
        for name in (joined((*path, part)) for part in (rule.weight, "bias")):
            calls[name].append(index)
            if not _rows_are_samples(rule, seen[index].shape, probes[index][0], n):
                hidden.add(name)
    known = tuple((n, tuple(c)) for n, c in calls.items() if n in params and n not in hidden)
    left_over = params.keys() - {name for name, _ in known}
    rules = tuple(rule for _, rule in called)
    return _Plan(probes, rules, known, tuple(sorted(left_over)), outputs.shape)


def _trace(model: Any, everything: Any) -> tuple[list[tuple[Path, Rule]], Any, Any, Any]:
    """All calls of layers with a rule, their inputs and outputs, the model's outputs."""
    tap = _Tap()

    def record(params: Params, state: Any, inputs: Any) -> Any:
        return tap.inputs, tap.outputs, model.run(params, state, inputs, tap)

    try:
        inputs, left, outputs = jax.eval_shape(record, *everything)
    except jax.errors.UnexpectedTracerError:  # layers inside scan, remat or vmap
        outputs = jax.eval_shape(lambda *each: model.run(*each, None), *everything)
        return [], [], [], outputs
    return tap.calls, inputs, left, outputs


def _rows_are_samples(
    rule: Rule, inputs: tuple[int, ...], outputs: tuple[int, ...], n: int
) -> bool:
    """Whether axis 0 is the sample; where a later axis is as long, nobody can tell (time first)."""
    free = () if rule.kind == "conv" else inputs[1:] if rule.kind == "embed" else inputs[1:-1]
    return inputs[:1] == outputs[:1] == (n,) and len(outputs) > 1 and (n == 1 or n not in free)


def _used_elsewhere(model: Any, everything: Any, probes: Any) -> set[str]:
    """Names of parameters that still enter the computation when tapped outputs are constants."""

    def run(params: Params, state: Any, inputs: Any, constants: Any) -> Any:
        return model.run(params, state, inputs, _Tap(constants, replace=bool(constants)))

    constants = [jax.ShapeDtypeStruct(*probe) for probe in probes]
    graph = jax.make_jaxpr(run)(*everything, constants).jaxpr
    used = {id(v) for equation in graph.eqns for v in equation.invars}
    names = sorted(everything[0])  # the order in which JAX flattens a dict
    return {n for n, var in zip(names, graph.invars, strict=False) if id(var) in used}


# --- squares --------------------------------------------------------------------------------


@partial(jax.jit, static_argnums=(0, 1, 2))
def _by_rules(
    model: Any,
    plan: _Plan,
    settings: tuple[str, str, int],
    params: Params,
    state: Any,
    inputs: Any,
    targets: Any,
    key: Any,
) -> tuple[dict[str, jax.Array], jax.Array]:
    """Sums of squares of the explained parameters, and all cotangents."""

    def run(probes: Any) -> Any:
        tap = _Tap(probes) if probes else None  # untapped where taps would leak out of a scan
        return model.run(params, state, inputs, tap), tap.inputs if tap else []

    outputs, back, xs = jax.vjp(run, [jnp.zeros(*p) for p in plan.probes], has_aux=True)
    scores = cotangents(outputs, targets, key, *settings)
    uses = {name: _Use(name, calls, plan, xs, params[name]) for name, calls in plan.explained}

    def add(squares: Any, score: jax.Array) -> Any:
        (gs,) = back(score.astype(outputs.dtype))
        return {name: use.add(squares[name], gs) for name, use in uses.items()}, None

    squares, _ = jax.lax.scan(add, {name: use.start() for name, use in uses.items()}, scores)
    return {name: use.finish(squares[name]) for name, use in uses.items()}, scores


class _Use:
    """How one parameter is used: from the inputs and output gradients of its calls to squares."""

    def __init__(
        self, name: str, calls: tuple[int, ...], plan: _Plan, xs: Any, parameter: Any
    ) -> None:
        self.is_bias = name.endswith("bias")
        self.calls, self.shape = calls, parameter.shape
        self.dtype = jnp.promote_types(parameter.dtype, jnp.float32)
        self.rules = [plan.rules[c] for c in calls]
        self.xs = [xs[c] for c in calls]
        alone = self.rules[0].kind if len(calls) == 1 and not self.is_bias else ""
        self.is_outer = alone == "dense" and self.xs[0].ndim == 2
        self.is_rows = alone == "embed"

    def start(self) -> jax.Array:
        """Zeros to add to: for plain rows (Σ g²)ᵀ x² is all it takes."""
        outer = (len(self.xs[0]), self.shape[-1])
        return jnp.zeros(outer if self.is_outer else self.shape, self.dtype)

    def add(self, total: jax.Array, gradients: Any) -> jax.Array:
        """Add the squares of all samples for one cotangent."""
        gs = [wide(gradients[c]) for c in self.calls]
        if self.is_outer:
            return total + gs[0] ** 2
        if self.is_bias:
            each = sum(g.reshape(len(g), -1, g.shape[-1]).sum(1) for g in gs)
            return total + jnp.square(each).sum(0)

        def one(total: jax.Array, sample: Any) -> Any:
            if self.is_rows:
                return row_squares(total, *sample[0]), None
            pairs = zip(self.rules, sample, strict=True)
            gradient = sum(weight_gradient(rule, x, g, self.shape) for rule, (x, g) in pairs)
            return total + jnp.square(gradient), None

        return jax.lax.scan(one, total, list(zip(self._wide_inputs(), gs, strict=True)))[0]

    def finish(self, squares: jax.Array) -> jax.Array:
        return (wide(self.xs[0]) ** 2).T @ squares if self.is_outer else squares

    def _wide_inputs(self) -> list[jax.Array]:
        return [x if rule.kind == "embed" else wide(x)
                for x, rule in zip(self.xs, self.rules, strict=True)]  # fmt: skip


@partial(jax.jit, static_argnums=(0, 1))
def _sample_by_sample(
    model: Any, names: tuple[str, ...], params: Params, state: Any, inputs: Any, scores: jax.Array
) -> dict[str, jax.Array]:
    chosen = {name: params[name] for name in names}
    start = jax.tree.map(lambda p: jnp.zeros_like(wide(p)), chosen)
    if not names:
        return {}

    def one(totals: Any, row: Any) -> Any:
        sample = jax.tree.map(lambda part: part[None], row[0])
        outputs, back = jax.vjp(lambda c: model.run({**params, **c}, state, sample, None), chosen)

        def add(totals: Any, score: jax.Array) -> Any:
            (gradients,) = back(score[None].astype(outputs.dtype))
            return jax.tree.map(lambda t, g: t + wide(g) ** 2, totals, gradients), None

        return jax.lax.scan(add, totals, row[1])

    return jax.lax.scan(one, start, (inputs, jnp.moveaxis(scores, 1, 0)))[0]
