"""The Fisher diagonal of Flax modules: linen ``apply`` functions and nnx modules.

Dense layers are *tapped*: a zero probe is added to their outputs, so that the derivative with
respect to the probe is the gradient there, and their inputs are kept. Input and gradient give the
sum of squares in one product, as in torch. A parameter is *explained* when the outputs no longer
hang on it once the tapped layers' outputs are replaced by constants; all other parameters are
measured sample by sample, in a compiled loop.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx, traverse_util

from paramlock.fisher import batches, require_targets

Params = Mapping[str, jax.Array]
Path = tuple[Any, ...]


class Linen(NamedTuple):
    """``apply(params, *inputs)`` over nested parameters."""

    apply: Callable[..., Any]

    def run(self, params: Params, state: Any, inputs: Any, tap: Any) -> Any:
        def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            layer = context.module
            if tap is None or type(layer) is not linen.Dense or not args:
                return call(*args, **kwargs)
            return tap(layer.path, args[0], lambda: call(*args, **kwargs))

        with linen.intercept_methods(intercept):
            return self.apply(traverse_util.unflatten_dict(dict(params), sep="/"), *inputs)


class Nnx(NamedTuple):
    """An nnx module, split; each run puts it together again in evaluation mode."""

    graph: Any

    def run(self, params: Params, state: Any, inputs: Any, tap: Any) -> Any:
        weights, others = state
        flat = {p: leaf.replace(params[_joined(p)]) for p, leaf in nnx.to_flat_state(weights)}
        model = nnx.merge(self.graph, nnx.from_flat_state(flat), others)
        model.eval()
        for path, layer in list(nnx.iter_graph(model)) if tap else ():
            if type(layer) is nnx.Linear:
                object.__setattr__(layer, "__class__", _tapped(path, tap))
        return model(*inputs)


def _tapped(path: Path, tap: Any) -> type:
    class Tapped(nnx.Linear):
        def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            return tap(path, inputs, lambda: nnx.Linear.__call__(self, inputs, *args, **kwargs))

    return Tapped


class _Tap:
    """Sees every call of a dense layer; adds probes to the outputs, or puts them in their place."""

    def __init__(self, probes: Any = None, *, replace: bool = False) -> None:
        self.probes, self.replace = probes, replace
        self.paths: list[Path] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def __call__(self, path: Path, inputs: Any, compute: Callable[[], Any]) -> Any:
        probe = self.probes[len(self.paths)] if self.probes else None
        outputs = probe if self.replace else compute()
        if probe is not None and not self.replace:
            outputs = outputs + probe
        self.paths.append(path)
        self.inputs.append(inputs)
        self.outputs.append(outputs)
        return outputs


class _Plan(NamedTuple):
    """How to measure batches of one shape; hashable, so that it compiles once."""

    probes: tuple[tuple[tuple[int, ...], Any], ...]  # shape and dtype of each tapped output
    dense: tuple[tuple[str, tuple[int, ...]], ...]  # parameter name, its calls
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
    """See ``paramlock.fisher_diagonal``."""
    model, flat, state = _split(model, params)
    key = jax.random.key(seed)
    totals: dict[str, Any] = dict.fromkeys(flat, 0)
    count = 0
    for inputs, targets in batches(data, kind, _is_array):
        key, used = jax.random.split(key)
        plan = _plan(model, *_abstract((flat, state, inputs)))
        if kind == "empirical":
            _check_targets(np.asarray(targets), plan.outputs, likelihood)
        settings = (kind, likelihood, draws)
        squares, scores = _dense(model, plan, settings, flat, state, inputs, targets, used)
        squares |= _sample_by_sample(model, plan.loops, flat, state, inputs, scores)
        totals = {name: totals[name] + squares[name] for name in totals}
        count += len(inputs[0])
    return {name: total / count for name, total in totals.items()}


def _split(model: Any, params: Any) -> tuple[Any, dict[str, jax.Array], Any]:
    """Return what runs, its floating-point parameters by name, and what it needs beside them."""
    if isinstance(model, nnx.Module):
        split: Any = nnx.split  # its overloads are beyond mypy
        graph, weights, others = split(model, nnx.Param, ...)
        flat = {_joined(path): leaf[...] for path, leaf in nnx.to_flat_state(weights)}
        return Nnx(graph), flat, (weights, others)
    if not isinstance(params, Mapping) or not params:
        raise ValueError("a function needs params=…, nested dicts of its parameters")
    flat = traverse_util.flatten_dict(dict(params), sep="/")
    whole = [n for n, leaf in flat.items() if not jnp.issubdtype(leaf.dtype, jnp.floating)]
    if whole:
        raise ValueError(f"{', '.join(whole)}: no floating-point parameters, so no gradients")
    return Linen(model), flat, None


def _joined(path: Path) -> str:
    return "/".join(map(str, path))


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray)


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
    paths, seen, left, outputs = _trace(model, everything)
    n = inputs[0].shape[0]
    if not hasattr(outputs, "shape") or outputs.ndim < 2 or outputs.shape[0] != n:
        raise ValueError(f"{n} samples gave {outputs}; outputs must be one array (n, …, classes)")
    probes = tuple((y.shape, y.dtype) for y in left)
    hidden = _used_elsewhere(model, everything, probes)
    calls: dict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        for name in (_joined((*path, part)) for part in ("kernel", "bias")):
            name = name if name in params else f"params/{name}"
            calls[name].append(index)
            if not _rows_are_samples(seen[index].shape, probes[index][0], n):
                hidden.add(name)
    dense = tuple((n, tuple(c)) for n, c in calls.items() if n in params and n not in hidden)
    explained = {name for name, _ in dense}
    return _Plan(probes, dense, tuple(n for n in params if n not in explained), outputs.shape)


def _trace(model: Any, everything: Any) -> tuple[list[Path], Any, Any, Any]:
    """Return paths, inputs and outputs of all calls of dense layers, and the model's outputs."""
    tap = _Tap()

    def record(params: Params, state: Any, inputs: Any) -> Any:
        return tap.inputs, tap.outputs, model.run(params, state, inputs, tap)

    try:
        inputs, left, outputs = jax.eval_shape(record, *everything)
    except jax.errors.UnexpectedTracerError:  # dense layers inside scan, remat or vmap
        outputs = jax.eval_shape(lambda *each: model.run(*each, None), *everything)
        return [], [], [], outputs
    return tap.paths, inputs, left, outputs


def _rows_are_samples(inputs: tuple[int, ...], outputs: tuple[int, ...], n: int) -> bool:
    """Whether axis 0 is the sample; where a later axis is as long, nobody can tell (time first)."""
    return inputs[0] == outputs[0] == n and len(inputs) > 1 and (n == 1 or n not in inputs[1:-1])


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
def _dense(
    model: Any,
    plan: _Plan,
    settings: tuple[str, str, int],
    params: Params,
    state: Any,
    inputs: Any,
    targets: Any,
    key: Any,
) -> tuple[dict[str, jax.Array], jax.Array]:
    """Return sums of squares of the dense layers' parameters, and all cotangents."""

    def run(probes: Any) -> Any:
        tap = _Tap(probes) if probes else None  # untapped where taps would leak out of a scan
        return model.run(params, state, inputs, tap), tap.inputs if tap else []

    outputs, back, xs = jax.vjp(run, [jnp.zeros(*p) for p in plan.probes], has_aux=True)
    scores = _cotangents(outputs, targets, key, *settings)
    squares = {name: _start(name, calls, xs, plan, params[name]) for name, calls in plan.dense}

    def add(squares: Any, score: jax.Array) -> Any:
        (gs,) = back(score.astype(outputs.dtype))
        return {n: squares[n] + _squares(n, calls, xs, gs) for n, calls in plan.dense}, None

    squares, _ = jax.lax.scan(add, squares, scores)
    return {n: _finish(n, calls, xs, squares[n]) for n, calls in plan.dense}, scores


def _is_outer(name: str, calls: tuple[int, ...], xs: Any) -> bool:
    """Whether a parameter is a kernel used once on plain rows: (Σ g²)ᵀ x² is all it takes."""
    return name.endswith("kernel") and len(calls) == 1 and xs[calls[0]].ndim == 2


def _start(name: str, calls: tuple[int, ...], xs: Any, plan: _Plan, parameter: Any) -> jax.Array:
    shape = plan.probes[calls[0]][0] if _is_outer(name, calls, xs) else parameter.shape
    return jnp.zeros(shape, jnp.promote_types(parameter.dtype, jnp.float32))


def _squares(name: str, calls: tuple[int, ...], xs: Any, gs: Any) -> jax.Array:
    if _is_outer(name, calls, xs):
        return _wide(gs[calls[0]]) ** 2
    rows = [(_positions(xs[c]), _positions(gs[c])) for c in calls]
    if name.endswith("bias"):
        return jnp.square(sum(g.sum(1) for _, g in rows)).sum(0)

    def add(total: jax.Array, sample: Any) -> Any:
        return total + jnp.square(sum(x.T @ g for x, g in sample)), None

    start = jnp.zeros((rows[0][0].shape[-1], rows[0][1].shape[-1]), rows[0][1].dtype)
    return jax.lax.scan(add, start, rows)[0]


def _finish(name: str, calls: tuple[int, ...], xs: Any, squares: jax.Array) -> jax.Array:
    return (_wide(xs[calls[0]]) ** 2).T @ squares if _is_outer(name, calls, xs) else squares


def _wide(array: jax.Array) -> jax.Array:
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))


def _positions(array: jax.Array) -> jax.Array:
    """(n, positions, features) in at least single precision."""
    return _wide(array).reshape(len(array), -1, array.shape[-1])


@partial(jax.jit, static_argnums=(0, 1))
def _sample_by_sample(
    model: Any, names: tuple[str, ...], params: Params, state: Any, inputs: Any, scores: jax.Array
) -> dict[str, jax.Array]:
    chosen = {name: params[name] for name in names}
    start = jax.tree.map(lambda p: jnp.zeros_like(_wide(p)), chosen)
    if not names:
        return {}

    def one(totals: Any, row: Any) -> Any:
        sample = tuple(part[None] for part in row[0])
        outputs, back = jax.vjp(lambda c: model.run({**params, **c}, state, sample, None), chosen)

        def add(totals: Any, score: jax.Array) -> Any:
            (gradients,) = back(score[None].astype(outputs.dtype))
            return jax.tree.map(lambda t, g: t + _wide(g) ** 2, totals, gradients), None

        return jax.lax.scan(add, totals, row[1])

    return jax.lax.scan(one, start, (inputs, jnp.moveaxis(scores, 1, 0)))[0]


# --- what the likelihood says about the outputs ---------------------------------------------


def _cotangents(
    outputs: jax.Array, targets: Any, key: Any, kind: str, likelihood: str, draws: int
) -> jax.Array:
    """Arrays (k, n, …, classes) whose squares are to be summed; see the torch twin."""
    outputs = _wide(outputs)
    if kind == "empirical":
        return _score(outputs, targets, likelihood)[None]
    if kind == "true":
        return _one_position_at_a_time(_roots(outputs, likelihood), outputs.shape)
    if likelihood == "gaussian":
        return jax.random.normal(key, (draws, *outputs.shape), outputs.dtype) / math.sqrt(draws)
    labels = jax.random.categorical(key, outputs, shape=(draws, *outputs.shape[:-1]))
    return _score(outputs, labels, likelihood) / math.sqrt(draws)


def _score(outputs: jax.Array, targets: Any, likelihood: str) -> jax.Array:
    if likelihood == "gaussian":
        return targets - outputs
    return jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype) - jax.nn.softmax(outputs)


def _roots(outputs: jax.Array, likelihood: str) -> jax.Array:
    """Columns (…, classes, k): the closed-form Cholesky factor that the torch twin explains."""
    classes = outputs.shape[-1]
    if likelihood == "gaussian":
        return jnp.broadcast_to(jnp.eye(classes), (*outputs.shape, classes))
    p = jax.nn.softmax(outputs)
    rest = jnp.flip(jnp.cumsum(jnp.flip(p, -1), -1), -1)
    after = jnp.concatenate([rest[..., 1:], jnp.zeros_like(rest[..., :1])], -1)
    tiny = jnp.finfo(p.dtype).tiny
    below = jnp.sqrt(p / (jnp.maximum(after, tiny) * jnp.maximum(rest, tiny)))
    columns = jnp.tril(-p[..., :, None] * below[..., None, :], -1)
    diagonal = jnp.sqrt(p * after / jnp.maximum(rest, tiny))
    return (columns + diagonal[..., None] * jnp.eye(classes))[..., :-1]


def _one_position_at_a_time(roots: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Cotangents: positions of a sequence draw their labels independently."""
    n, classes = shape[0], shape[-1]
    flat = roots.reshape(n, -1, classes, roots.shape[-1])
    apart = jnp.einsum("npck,pq->qknpc", flat, jnp.eye(flat.shape[1]))
    return apart.reshape(-1, *shape)
