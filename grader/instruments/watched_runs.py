"""Watch a run for the pytrees it makes, so that a step can be judged by all that it moved.

A function may return a few numbers and keep its parameters to itself. Every function that runs
below it is watched while it returns: mappings of arrays among the returned values, and among the
variables of the candidate's own functions, are kept as they were at that moment.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import FrameType
from typing import Any

import jax
import numpy as np

Leaves = dict[str, np.ndarray]
"""A pytree laid flat: '/'-joined path to array."""

_COMPILED: deque[Callable[..., Any]] = deque(maxlen=8)
"""Candidates that ran a moment ago."""


def watched(candidate: Callable[..., Any], arguments: Sequence[Any]) -> tuple[Any, list[Leaves]]:
    """What `candidate(*arguments)` returns, and the distinct pytrees of arrays made meanwhile."""
    own_globals = getattr(candidate, "__globals__", None)
    made: dict[bytes, Leaves] = {}

    def on_return(frame: FrameType, event: str, value: Any) -> None:
        if event != "return":
            return
        kind: Any = type(value)
        own = frame.f_globals is own_globals
        if own or _may_hold_trees(kind):  # first of all quick: JAX returns a million times
            for leaves in _trees([value, *(frame.f_locals.values() if own else ())]):
                made.setdefault(_identity(leaves), leaves)

    sys.setprofile(on_return)
    try:
        returned = candidate(*arguments)
    finally:
        sys.setprofile(None)
    return returned, list(made.values())


def watched_step(
    candidate: Callable[..., Any], arguments: Sequence[Any]
) -> tuple[Any, tuple[Leaves, Leaves] | None]:
    """What the candidate returns, and its parameters before and after (None: no step was seen).

    Before its first time it runs unwatched, so that JAX compiles at full speed. What a compiled
    function makes inside is out of sight, so where no step is seen it runs once more with jit off.
    """
    if not any(candidate is other for other in _COMPILED):
        candidate(*arguments)
        _COMPILED.append(candidate)
    returned, trees = watched(candidate, arguments)
    step = step_among(trees)
    if step is None:
        with jax.disable_jit():
            step = step_among(watched(candidate, arguments)[1])
    return returned, step


@cache
def _may_hold_trees(kind: type) -> bool:
    return kind is tuple or issubclass(kind, Mapping) or hasattr(kind, "apply_gradients")


def _trees(values: list[Any]) -> Iterator[Leaves]:
    for value in values:
        if type(value) is tuple:
            yield from _trees([item for item in value if not isinstance(item, tuple)])
        tree = getattr(value, "params", value) if hasattr(value, "apply_gradients") else value
        if isinstance(tree, Mapping) and (leaves := _flat(tree)):
            yield leaves


def _flat(tree: Mapping[str, Any]) -> Leaves | None:
    """The leaves by path, without an outer 'params'; None unless all are concrete arrays."""
    tree = tree["params"] if tree.keys() == {"params"} else tree
    if not isinstance(tree, Mapping) or len(tree) > 100:
        return None
    leaves: Leaves = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            below = _flat(value)
            if below is None:
                return None
            leaves |= {f"{key}/{path}": leaf for path, leaf in below.items()}
        elif isinstance(value, jax.Array | np.ndarray) and not isinstance(value, jax.core.Tracer):
            leaves[str(key)] = np.array(value)
        else:
            return None
    return leaves


def _identity(leaves: Leaves) -> bytes:
    return b"|".join(path.encode() + leaf.tobytes() for path, leaf in leaves.items())


def step_among(trees: list[Leaves]) -> tuple[Leaves, Leaves] | None:
    """The parameters before and after, told from the trees a run made; None if no step was made.

    The first tree of two layers or more is the start. The last tree with the same leaves that a
    step can have made out of the start is the one after it: each of its leaves stayed or went along
    some array that the run made (a gradient, an update), however far, or all stayed near.
    """
    whole = [tree for tree in trees if len({path.partition("/")[0] for path in tree}) > 1]
    if not whole:
        return None
    start, pool = whole[0], [leaf for tree in trees for leaf in tree.values()]
    for tree in reversed(whole[1:]):
        if _forms(tree) == _forms(start) and _is_stepped(start, tree, pool):
            return start, tree
    return None


def _is_stepped(before: Leaves, after: Leaves, pool: list[np.ndarray]) -> bool:
    moved = moved_between(before, after)
    went = (_went(before[path], after[path], pool) for path in moved)
    return bool(moved) and (_is_near(before, after) or all(went))


def moved_between(before: Leaves, after: Leaves) -> list[str]:
    """The paths whose arrays are not equal to the bit, in alphabetical order."""
    return [path for path in sorted(before) if not np.array_equal(before[path], after[path])]


def _forms(tree: Leaves) -> dict[str, tuple[int, ...]]:
    return {path: leaf.shape for path, leaf in tree.items()}


def _is_near(before: Leaves, after: Leaves) -> bool:
    """Whether less than half of the start's length was gone: gradients lie farther off."""
    start = np.concatenate([before[path].ravel() for path in before])
    end = np.concatenate([after[path].ravel() for path in before])
    return bool(np.linalg.norm(end - start) < np.linalg.norm(start) / 2)


def _went(before: np.ndarray, after: np.ndarray, pool: list[np.ndarray]) -> bool:
    """Whether the array moved along one of `pool`, itself left out: a zeroed leaf is no step."""
    way = after - before
    for array in pool:
        if array.shape == before.shape and array.any() and not np.array_equal(array, before):
            share = np.vdot(array, way) / np.vdot(array, array)
            if np.allclose(way, share * array, rtol=1e-4, atol=1e-6):
                return True
    return False
