"""Replay a jaxpr, JAX's record of a forward pass, and look at what flows through it.

Operations that only wrap others (`jit`, `remat`) are entered; a `scan` is replayed step by
step, so the gates of a recurrent layer are seen. A softmax is found by its parts: an exponential
over its own sum, along the last axis; it is attention once a product mixes other values by it. See
`torch_attention` for what its rows are. Indices that the network computes itself are followed to
tables and layers that they choose among, as in torch; not in loops.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.api_util import debug_info
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

from paramlock.certifying.records import ACTIVATIONS, EVEN, INPUT, MASKED, Lineage, Tag, pools

SAME = {"soft_sign": "softsign", "hard_silu": "hardswish", "logistic": "sigmoid"}
NAMED = ACTIVATIONS | SAME.keys()
FUNCTIONS = "jax/_src/nn/functions.py"  # where jax.nn keeps its activations
CHOOSE = {"argmin", "argmax", "top_k"}
LOOK_UP = {"gather", "dot_general"}
WEIGHS = {"mul", "dot_general"}
COMPARISONS = {"gt", "lt", "ge", "le", "eq", "ne"}
OPAQUE = {"while", "cond", "custom_vjp_call"}
CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "checkpoint": "jaxpr"}


@dataclass
class Seen:
    """What one batch showed: arrays by key, filled while the jaxpr is replayed.

    `sites`: by layer, function and units, a list of calls, each with the largest derivative,
    the number of small ones and of all (by unit), and whether all were finite. `ranges`: by
    layer, part and call, the least and the greatest value, how many were not finite, the samples.
    `beside`: other layers that feed a site. `picks`: tables that were looked up, by layer and
    number of rows, with the choice that did it, or `None` where the data did.
    `spreads`: by layer, for each call, the norms of what sets positions apart, and of all.
    """

    sites: dict[tuple[str, str, int], list[Any]] = field(default_factory=dict)
    ranges: dict[tuple[str, str, int], list[Any]] = field(default_factory=dict)
    beside: dict[tuple[str, str, int], tuple[str, ...]] = field(default_factory=dict)
    unseen: dict[str, None] = field(default_factory=dict)
    spreads: dict[str, list[Any]] = field(default_factory=dict)
    picks: list[tuple[str, int, tuple[Any, int] | None]] = field(default_factory=list)


@dataclass
class Waiting:
    """What a value may turn out to be, noted in `Tag.rows`: a gate, a choice, or a softmax."""

    stage: str  # "gate", "choice", "exp" or "softmax"
    tag: Tag
    scores: Any = None
    choice: tuple[Any, int] | None = None  # its number, and how much it picks


class Replay:
    """One replay of a jaxpr; runs under `jax.jit`, so what it notes are traced arrays."""

    def __init__(self, lineage: Lineage, seen: Seen, delta: float, samples: int) -> None:
        self._lineage, self._seen, self._delta, self._samples = lineage, seen, delta, samples
        self._calls: dict[tuple[str, str], int] = defaultdict(int)
        self._origins = itertools.count()

    def run(
        self, jaxpr: Any, consts: Any, values: Any, tags: Any
    ) -> tuple[list[Any], list[Tag | None]]:
        """Outputs and their tags."""
        env: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, values, strict=True))
        known: dict[Any, Tag | None] = dict(zip(jaxpr.invars, tags, strict=True))
        for group in _groups(jaxpr.eqns):
            self._step(group, env, known)
        read = [v.val if isinstance(v, Literal) else env[v] for v in jaxpr.outvars]
        return read, [_tag(known, v) for v in jaxpr.outvars]

    def _step(self, group: list[Any], env: dict[Any, Any], known: dict[Any, Tag | None]) -> None:
        name = _activation(group)
        inner = _inner(group[0]) if len(group) == 1 and not name else None
        loop = not name and group[0].primitive.name == "scan"
        if inner is not None or loop:
            values = [_value(env, v) for v in group[0].invars]
            tags = [_tag(known, v) for v in group[0].invars]
            outputs, made = (
                self._scan(group[0], values, tags)
                if inner is None
                else self.run(inner.jaxpr, inner.consts, values, tags)
            )
            env.update(zip(group[0].outvars, outputs, strict=True))
            known.update(zip(group[0].outvars, made, strict=True))
            return
        for equation in group:
            self._evaluate(equation, env, known)
            if not name:
                self._follow(equation, env, known)
        if name:
            self._look(name, group, env, known)

    def _evaluate(self, equation: Any, env: dict[Any, Any], known: dict[Any, Tag | None]) -> None:
        tags = [t for v in equation.invars if (t := _tag(known, v)) is not None]
        tag = self._lineage.combine((), tags)
        outputs = _bind(equation, [_value(env, v) for v in equation.invars])
        if tag is not None and tag.data:
            flowing = [v for v in equation.invars if (t := _tag(known, v)) is not None and t.data]
            together = pools([v.aval.shape for v in flowing], equation.outvars[0].aval.shape)
            tag = tag._replace(pooled=tag.pooled or together)
        env.update(zip(equation.outvars, outputs, strict=True))
        known.update(dict.fromkeys(equation.outvars, tag))
        if tag is None or not tag.data or all(t.data for t in tags):
            return
        source = next(v for v in equation.invars if (t := _tag(known, v)) is not None and t.data)
        for layer in tag.layers:
            self._range(layer, "output", outputs[-1])
            if not tag.pooled:
                self._spread(layer, outputs[-1])
            self._range(layer, "input", _value(env, source))

    # --- loops

    def _scan(
        self, equation: Any, values: list[Any], tags: list[Tag | None]
    ) -> tuple[list[Any], list[Tag | None]]:
        """Run a `scan` step by step; what its steps showed is counted as of one call."""
        params, body = equation.params, equation.params["jaxpr"]
        fixed, moving = params["num_consts"], params["num_consts"] + params["num_carry"]
        tags = self._settled(body, tags, slice(fixed, moving))
        made: list[Tag | None] = []

        def step(carry: Any, x: Any) -> Any:
            with self._aside() as seen:
                given = [*values[:fixed], *carry, *x]
                outputs, made[:] = self.run(body.jaxpr, body.consts, given, tags)
            self._seen.beside |= seen.beside
            split = params["num_carry"]
            return outputs[:split], (outputs[split:], seen.sites, seen.ranges)

        carry, (outputs, sites, ranges) = jax.lax.scan(
            step, values[fixed:moving], values[moving:], params["length"], params["reverse"]
        )
        for key, calls in sites.items():
            self._seen.sites.setdefault(key, []).extend(map(_over_time, calls))
        for key, (low, high, bad, samples) in ranges.items():
            self._seen.ranges[key] = [low, high, bad.sum(), samples[0]]
        return [*carry, *outputs], made

    def _settled(self, body: Any, tags: list[Tag | None], carried: slice) -> list[Tag | None]:
        """The tags that a loop's inputs have after its first step.

        A state often begins as zeros, which come from nowhere; later it depends on the data.
        """
        data = [t for t in tags if t is not None and t.data]
        from_data = self._lineage.combine((), data) if data else None
        tags = list(tags)
        tags[carried] = [t or from_data for t in tags[carried]]
        made: list[Tag | None] = []

        def once(*values: Any) -> Any:
            with self._aside():
                outputs, made[:] = self.run(body.jaxpr, body.consts, values, tags)
            return outputs

        jax.eval_shape(once, *(jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype)
                               for v in body.jaxpr.invars))  # fmt: skip
        tags[carried] = made[: carried.stop - carried.start]
        return tags

    @contextmanager
    def _aside(self) -> Iterator[Seen]:
        """Note what is seen apart: arrays traced inside a loop must leave it as its outputs."""
        outer, self._seen = self._seen, Seen(unseen=self._seen.unseen)
        try:
            yield self._seen
        finally:
            self._seen = outer

    # --- what is looked at

    def _look(self, name: str, group: list[Any], env: Any, known: dict[Any, Tag | None]) -> None:
        source = _source(group, known)
        if source is None or len(source.aval.shape) < 2:
            return

        def function(point: Any) -> Any:
            local = {**env, source: point}
            for equation in group:
                outputs = _bind(equation, [_value(local, v) for v in equation.invars])
                local.update(zip(equation.outvars, outputs, strict=True))
            return local[group[-1].outvars[-1]].sum()

        tag = known[source]
        key = (_layer(tag), SAME.get(name, name), source.aval.shape[-1])
        self._site(key, jnp.abs(jax.grad(function)(env[source])))
        self._range(key[0], "site of " + key[1], env[group[-1].outvars[-1]], key[2])

    def _site(self, key: tuple[str, str, int], size: Any, counted: Any = None) -> None:
        """Note absolute derivatives, units along the last axis; what is not counted is zero."""
        axes = tuple(range(size.ndim - 1))
        counted = jnp.ones_like(size, bool) if counted is None else counted
        flat = ((size < self._delta) & counted).sum(axes)
        numbers = [size.max(axes), flat, counted.sum(axes), jnp.isfinite(size).all()]
        self._seen.sites.setdefault(key, []).append(numbers)

    def _follow(self, equation: Any, env: Any, known: dict[Any, Tag | None]) -> None:
        """Follow comparisons to the gates they become, and exponentials to attention."""
        name, out = equation.primitive.name, equation.outvars[0]
        data = [(v, t) for v in equation.invars if (t := _tag(known, v)) is not None and t.data]
        tag = known.get(out)
        if not data or tag is None:
            return
        if name in OPAQUE:
            self._seen.unseen[f"what {_called(equation)} does, after {_layer(data[0][1])}"] = None
        waiting = [t.rows for _, t in data if t.rows is not None]
        chosen = next((w.choice for w in waiting if w.choice), None)
        if name in WEIGHS and any(t.routed for _, t in data):
            self._lineage.route(t for _, t in data)
        if name in CHOOSE and data[0][1].layers:
            out = equation.outvars[-1]
            choice = next(self._origins), math.prod(out.aval.shape)
            known[out] = tag._replace(rows=Waiting("choice", data[0][1], choice=choice))
        elif name in LOOK_UP and self._look_up(equation, data, chosen, known):
            return
        elif chosen and not all(_chosen(t) for _, t in data):
            known[out] = tag._replace(routed=True)
            self._lineage.route(t for _, t in data if not _chosen(t))
        elif name in COMPARISONS and jnp.issubdtype(data[0][0].aval.dtype, jnp.floating):
            known[out] = tag._replace(rows=Waiting("gate", data[0][1]))
        elif name == "exp":
            known[out] = tag._replace(rows=Waiting("exp", tag, env[data[0][0]]))
        elif waiting:
            known[out] = tag._replace(rows=self._still(equation, waiting, len(data)))

    def _look_up(self, equation: Any, data: Any, chosen: Any, known: Any) -> bool:
        """Note a look-up in a table of weights, by a choice or by the data's own integers."""
        indices = [v for v, _ in data if jnp.issubdtype(v.aval.dtype, jnp.integer)]
        if not all(_chosen(t) or v in indices for v, t in data) or not (chosen or indices):
            return False
        tables = [(v, t) for v in equation.invars if (t := _tag(known, v)) is not None]
        for table, tag in tables:
            if not tag.data and len(table.aval.shape) > 1:
                for layer in tag.layers:
                    self._seen.picks.append((layer, table.aval.shape[0], chosen))
        return bool(chosen) and any(not tag.data for _, tag in tables)

    def _still(self, equation: Any, waiting: list[Waiting], data: int) -> Waiting | None:
        """What a value is still waiting to become after an operation; note what it is."""
        name, first = equation.primitive.name, waiting[0]
        if name == "reduce_sum" and first.stage == "exp":
            last = len(first.scores.shape) - 1
            return first if tuple(equation.params["axes"]) == (last,) else None
        if name == "div" and first.stage == "exp" and waiting[1:] == [first]:
            return Waiting("softmax", first.tag, first.scores)
        if name == "dot_general" and first.stage == "softmax" and data > 1:
            self._attention(first)
        elif first.stage == "gate" and data > len(waiting):
            self._seen.unseen[
                f"a comparison that gates values by hand ({name}), after {_layer(first.tag)}"
            ] = None
        elif data == len(waiting):
            return first
        return None

    def _attention(self, found: Waiting) -> None:
        """Note the rows of attention with these scores (…, head, query, key)."""
        scores = found.scores.astype(jnp.float32)
        if scores.ndim < 4:
            scores = jnp.expand_dims(scores, -3)
        counted = (scores > scores.max(-1, keepdims=True) - MASKED).sum(-1) > 1
        top = jax.nn.softmax(scores).max(-1)
        size = jnp.where(top > 0.5, top * (1 - top), EVEN) * counted
        key = (_layer(found.tag), "attention", size.shape[-2])
        self._seen.beside[key] = found.tag.layers[:-1]
        self._site(key, jnp.moveaxis(size, -2, -1), jnp.moveaxis(counted, -2, -1))

    def _range(self, layer: str, part: str, value: Any, call: int | None = None) -> None:
        if jnp.ndim(value) < 2 or value.shape[0] != self._samples:
            return
        if not jnp.issubdtype(value.dtype, jnp.floating):
            value = value.astype(jnp.float32)
        if call is None:
            call = self._calls[layer, part]
            self._calls[layer, part] += 1
        bad = (~jnp.isfinite(value)).sum()
        found = [value.min(0), value.max(0), bad, jnp.asarray(self._samples)]
        self._seen.ranges[(layer, part, call)] = found

    def _spread(self, layer: str, value: Any) -> None:
        """Note how far positions are apart in an output (sample, position, feature)."""
        sequence = jnp.ndim(value) == 3 and value.shape[0] == self._samples and value.shape[1] > 1
        if not sequence or not jnp.issubdtype(value.dtype, jnp.floating):
            return
        value = value.astype(jnp.promote_types(value.dtype, jnp.float32))
        away = value - value[:, :1]  # equal positions give 0, which their mean may not
        apart = away - away.mean(1, keepdims=True)
        norms = [jnp.linalg.norm(part.ravel()) for part in (apart, value)]
        self._seen.spreads.setdefault(layer, []).append(norms)


def _chosen(tag: Tag) -> bool:
    return tag.rows is not None and tag.rows.stage == "choice"


def _layer(tag: Tag | None) -> str:
    return tag.layers[-1] if tag and tag.layers else INPUT


def _over_time(numbers: list[Any]) -> list[Any]:
    """What all steps of a loop showed together."""
    largest, flat, entries, finite = numbers
    return [largest.max(0), flat.sum(0), entries.sum(0), finite.all()]


def _called(equation: Any) -> str:
    """The name of what is not entered."""
    name = str(equation.primitive.name)
    inner = equation.params.get("call_jaxpr")
    return f"{inner.jaxpr.debug_info.func_name} (custom_vjp)" if inner is not None else name


def _value(env: dict[Any, Any], variable: Any) -> Any:
    return variable.val if isinstance(variable, Literal) else env[variable]


def _tag(known: dict[Any, Tag | None], variable: Any) -> Tag | None:
    return None if isinstance(variable, Literal) else known.get(variable)


def _bind(equation: Any, values: list[Any]) -> list[Any]:
    """Run one operation, as a jaxpr of its own."""
    inputs = [v for v in equation.invars if not isinstance(v, Literal)]
    given = [x for v, x in zip(equation.invars, values, strict=True) if not isinstance(v, Literal)]
    distinct = dict(zip(inputs, given, strict=True))
    info = debug_info("replay", _bind, (equation, values), {}).with_unknown_names()
    alone = Jaxpr((), list(distinct), equation.outvars, [equation], equation.effects, info)
    return list(jaxpr_as_fun(ClosedJaxpr(alone, ()))(*distinct.values()))


def _inner(equation: Any) -> Any:
    """The jaxpr of an operation that only wraps others, so that they can be seen."""
    name = equation.primitive.name
    if name in CALLS:
        inner = equation.params[CALLS[name]]
        return inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
    return equation.params.get("call_jaxpr") if name.startswith("custom_jvp") else None


def _name(equation: Any) -> str:
    """Which activation an operation is, or the empty string."""
    primitive = equation.primitive.name
    if primitive in ("tanh", "logistic"):
        return str(primitive)
    if primitive == "max":
        literals = [v.val for v in equation.invars if isinstance(v, Literal)]
        return "relu" if any(np.ndim(x) == 0 and x == 0 for x in literals) else ""
    if primitive in ("jit", "pjit") and equation.params["name"] in NAMED:
        return str(equation.params["name"])
    inner = _inner(equation) if primitive.startswith("custom_") else None
    return _name(inner.jaxpr.eqns[0]) if inner is not None and inner.jaxpr.eqns else ""


def _origin(equation: Any) -> str:
    """The activation of `jax.nn` that an operation was written in, if any."""
    if equation.source_info.traceback is None:
        return ""
    for frame in equation.source_info.traceback.frames:
        if frame.file_name.replace("\\", "/").endswith(FUNCTIONS) and frame.function_name in NAMED:
            return str(frame.function_name)
    return ""


def _groups(equations: Any) -> list[list[Any]]:
    """Runs of operations that make up one activation; all others alone."""
    groups: list[list[Any]] = []
    last = ""
    for equation in equations:
        origin = "" if _name(equation) and not _elementary(equation) else _origin(equation)
        if origin and origin == last:
            groups[-1].append(equation)
        else:
            groups.append([equation])
        last = origin
    return groups


def _elementary(equation: Any) -> bool:
    return equation.primitive.name in ("tanh", "logistic", "max")


def _activation(group: list[Any]) -> str:
    origin = _origin(group[0])
    return origin if len(group) > 1 and origin else _name(group[0])


def _source(group: list[Any], known: dict[Any, Tag | None]) -> Any:
    """The variable, depending on data, that an activation is applied to."""
    made = {v for equation in group for v in equation.outvars}
    for equation in group:
        for v in equation.invars:
            tag = _tag(known, v)
            if tag is not None and tag.data and v not in made:
                return v
    return None
