"""Watch a run for the pytrees it makes, so that a step can be judged by all that it moved.

A function may return a few numbers and keep its parameters to itself. Every function that runs
below it is watched while it returns: mappings of arrays among the returned values, and among the
variables of the candidate's own functions, are kept as they were at that moment.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import jax
import numpy as np

Leaves = dict[str, np.ndarray]
"""A pytree laid flat: '/'-joined path to array."""


def watched(candidate: Callable[..., Any], arguments: Sequence[Any]) -> tuple[Any, list[Leaves]]:
    """What `candidate(*arguments)` returns, and the distinct pytrees of arrays made meanwhile."""
    own_globals = getattr(candidate, "__globals__", None)
    made: dict[bytes, Leaves] = {}

    def on_return(frame: FrameType, event: str, value: Any) -> None:
        if event == "return":
            own = frame.f_globals is own_globals
            for leaves in _trees([value, *(frame.f_locals.values() if own else ())]):
                made.setdefault(_identity(leaves), leaves)

    sys.setprofile(on_return)
    try:
        returned = candidate(*arguments)
    finally:
        sys.setprofile(None)
    return returned, list(made.values())


def watched_step(
    candidate: Callable[..., Any], arguments: Sequence[Any], rate: float
) -> tuple[Any, list[str] | None]:
    """What the candidate returns, and the paths that its gradient step moved (None: no step seen).

    What a compiled function makes inside is out of sight, so where no step is seen the candidate
    runs once more with jit off.
    """
    returned, trees = watched(candidate, arguments)
    moved = moved_by_step(trees, rate)
    if moved is None:
        with jax.disable_jit():
            moved = moved_by_step(watched(candidate, arguments)[1], rate)
    return returned, moved


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


def moved_by_step(trees: list[Leaves], rate: float) -> list[str] | None:
    """The paths that a gradient step moved, told from the trees a run made; None if none was made.

    The first tree of two layers or more is the start. A tree is taken for the one after the step
    if each of its leaves either stayed or went by `rate` against some array of the same shape that
    the run made. The last such tree counts.
    """
    whole = [tree for tree in trees if len({path.partition("/")[0] for path in tree}) > 1]
    if not whole:
        return None
    start, pool = whole[0], [leaf for tree in trees for leaf in tree.values()]
    for tree in reversed(whole):
        if tree.keys() == start.keys():
            moved = [path for path in start if not np.array_equal(start[path], tree[path])]
            if moved and all(_stepped(start[path], tree[path], pool, rate) for path in moved):
                return moved
    return None


def _stepped(before: np.ndarray, after: np.ndarray, pool: list[np.ndarray], rate: float) -> bool:
    return any(
        np.allclose(after, before - rate * array, rtol=1e-4, atol=1e-6)
        for array in pool
        if array.shape == before.shape and array.any()
    )
