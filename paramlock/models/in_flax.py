"""What is asked of a Flax model everywhere: linen or nnx as pure functions, names and norms."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import DictKey, GetAttrKey, SequenceKey, tree_leaves_with_path

from paramlock.models.batches import call
from paramlock.models.names import by_name, is_variables, joined

BOXES = {"value", "raw_value"}  # attributes that hold a leaf and are no part of its name


def wide(array: jax.Array) -> jax.Array:
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))


class Model(NamedTuple):
    """A model as a pure function `apply(params, rest, inputs) -> (outputs, statistics)`."""

    apply: Callable[..., Any]
    params: Any
    rest: Any
    statistics: Any  # running statistics as they are before the call
    kind: str
    types: Mapping[str, str]  # class of each module, where it is known


# --- the three ways to hold a model


def pure_model(model: Any, params: Any) -> Model:
    """A linen module or apply function with its variables, or an nnx module, as a Model."""
    from flax import linen, nnx

    if isinstance(model, nnx.Module):
        return _pure_nnx(model)
    if params is None:
        raise ValueError(
            "a linen module holds no parameters: pass its variables as params=, what init returned"
        )
    variables = params if is_variables(params) else {"params": params}
    state = {name: part for name, part in variables.items() if name != "params"}
    module = isinstance(model, linen.Module)

    def apply(weights: Any, rest: Any, inputs: Any) -> tuple[Any, Any]:
        everything = {"params": weights, **rest}
        if not module:
            given = everything if variables is params else weights
            return call(functools.partial(model, given), inputs), {}
        run = functools.partial(model.apply, everything, mutable=list(rest))
        with _hint_at_generators():
            result = call(run, inputs)
        return result[0], result[1].get("batch_stats", {})

    return Model(apply, variables["params"], state, state.get("batch_stats", {}), "linen", {})


@contextlib.contextmanager
def _hint_at_generators() -> Iterator[None]:
    """Say what to do for a linen module that draws random numbers."""
    from flax.errors import InvalidRngError

    try:
        yield
    except InvalidRngError as error:
        raise ValueError(
            "the module draws random numbers (dropout?) and was given no generator: pass an apply "
            "function that gives it one in its place, such as lambda variables, x: model.apply("
            'variables, x, rngs={"dropout": key}), or switch them off (deterministic=True)'
        ) from error


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
    """The name of each parameter, in the order of `jax.tree.leaves`.

    Those in the collection `params` of linen's variables are named without it.

    Raises:
        ValueError: two parameters of one name, where keys hold dots.
    """
    paths = [keys_of(path) for path, _ in tree_leaves_with_path(params)]
    if is_variables(params):
        paths = [path[1:] if path[0] == "params" else path for path in paths]
    return list(by_name((joined(path), path) for path in paths))


def leaf_names(tree: Any) -> list[str]:
    """The dotted path of each leaf, in the order of `jax.tree.leaves`; leaves may share one."""
    return [joined(keys_of(path)) for path, _ in tree_leaves_with_path(tree)]


def leaves_by_name(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by dotted path; raises `ValueError` where two share one."""
    return by_name((joined(keys_of(path)), leaf) for path, leaf in tree_leaves_with_path(tree))


def keys_of(path: Any) -> tuple[Any, ...]:
    """The keys, indices and attributes on a path of JAX's, without what only holds a leaf."""
    return tuple(key for step in path for key in _keys(step))


def _keys(step: Any) -> list[Any]:
    """What a step of a path adds to a name: one key, or nothing."""
    if isinstance(step, DictKey):
        return [step.key]
    if isinstance(step, SequenceKey):
        return [step.idx]
    return [step.name] if isinstance(step, GetAttrKey) and step.name not in BOXES else []


def layer_of(name: str) -> str:
    """The path of the module that owns the parameter called `name`."""
    return name.rpartition(".")[0]


def check(names: list[str], params: Any) -> None:
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


def shape_of(tree: Any) -> Any:
    """What decides whether a function must be compiled anew for `tree`."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)


def plain(dtype: Any) -> Any:
    """A type that NumPy can promote: bfloat16 as float32."""
    return np.float32 if str(dtype) == "bfloat16" else dtype


# --- parameters and updates


def norm(array: Any) -> float | None:
    """The Euclidean norm in float64, free of under- and overflow."""
    if array is None:
        return None
    wide = np.asarray(array, np.float64)
    largest = float(np.abs(wide).max(initial=0.0))
    if not largest or not math.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(wide / largest))


def nonfinite(array: Any) -> int:
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return 0
    return int((~np.isfinite(np.asarray(array, np.float64))).sum())
