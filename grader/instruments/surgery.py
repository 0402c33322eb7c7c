"""Surgery on a pytree of parameters: exercises that replace one leaf and must leave all others.

A *tree* is a nested dict of arrays, as Flax makes it; a *path* leads from its top to a layer, and
the layer's leaf "kernel" is what the operation is about. Here are the trees to operate on, what an
operation leaves behind, and the claims that hold for every such operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from re import findall
from typing import Any

import numpy as np

from grader.judging.evidence import DTYPES, numbers
from grader.judging.exercise import attempt, claim
from grader.judging.terms import Evidence, Finding

SHAPE = (3, 5)
"""The shape of every kernel: one for all, so that no shape betrays a layer that was not meant."""


def dense(rng: np.random.Generator, dtype: str = "float32") -> dict[str, np.ndarray]:
    """The parameters of a dense layer."""
    shapes = {"kernel": SHAPE, "bias": SHAPE[1:]}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def norm(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The parameters of a LayerNorm: it has no kernel."""
    return {name: rng.normal(size=SHAPE[1:]).astype(np.float32) for name in ("scale", "bias")}


def grown(tree: Mapping[str, Any], leaf: Callable[[np.ndarray], Any]) -> dict[str, Any]:
    """The tree with every array passed through `leaf`."""
    return {
        key: grown(value, leaf) if isinstance(value, Mapping) else leaf(value)
        for key, value in tree.items()
    }


def tie(tree: dict[str, Any], one: Sequence[str], other: Sequence[str]) -> None:
    """Make `other` lead to the very same layer, or leaf, as `one`."""
    at(tree, other[:-1])[other[-1]] = at(tree, one)


def at(tree: Any, path: Sequence[str]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def left_behind(
    candidate: Callable[..., Any],
    params: dict[str, Any],
    path: Sequence[str],
    *more: Any,
    may_fail: bool,
) -> dict[str, Any]:
    """What `candidate(params, path, *more)` returned, what became of `params`, how it failed.

    Where `may_fail` is false an error is left to whoever called.
    """
    given = list(leaves(params))
    returned, error = attempt(candidate, params, tuple(path), *more)
    if error and not may_fail:
        raise error
    return {
        "path": str(tuple(path)),
        "place": _joined([*path, "kernel"]),
        "given": given,
        "input": list(leaves(params)),
        "returned": list(leaves(returned)) if isinstance(returned, Mapping) else [],
        "type": "nested dict" if isinstance(returned, Mapping) else type(returned).__name__,
        "error": kind_of(error),
        "names": [key for key in path if isinstance(error, KeyError) and key in str(error)],
        "shapes": shapes_in(str(error)) if isinstance(error, ValueError) else [],
    }


def leaves(tree: Mapping[str, Any], above: Sequence[str] = ()) -> Iterator[list[Any]]:
    """Path, dtype and value of each leaf, in the order of their paths."""
    for key in sorted(tree, key=str):
        path = [*above, str(key)]
        if isinstance(tree[key], Mapping):
            yield from leaves(tree[key], path)
        else:
            yield [_joined(path), *_typed(tree[key])]


def _joined(path: Sequence[str]) -> str:
    """The path as a text; a key that holds a '/' stands in quotation marks."""
    return "/".join(f"'{key}'" if "/" in key else key for key in path)


def _typed(leaf: Any) -> tuple[str, Any]:
    """Dtype and value of a leaf; what is no array of numbers has a type and no value."""
    value = np.array(leaf)
    return (type(leaf).__name__, np.nan) if value.dtype.kind in "OSU" else (value.dtype.name, value)


def kind_of(error: Exception | None) -> str | None:
    """Which of the errors that tasks ask for it is; all others say the same: nobody checked."""
    asked = (f"a {kind.__name__}" for kind in (KeyError, ValueError) if isinstance(error, kind))
    return next(asked, "another kind of error") if error else None


def shapes_in(message: str) -> list[str]:
    """Which shapes a message names, the one of our kernels and its transpose, however written."""
    pairs = set(pairwise(map(int, findall(r"\d+", message))))
    return [str(shape) for shape in (SHAPE, SHAPE[::-1]) if shape in pairs]


def no_error(expected: Evidence) -> bool:
    """The condition of a claim about the tree that is returned."""
    return not expected["error"]


def kernel_as_expected(seen: Evidence, expected: Evidence) -> Finding:
    """Compare the leaf operated on."""
    place, tree = expected["place"], by_path(seen["returned"])
    if place not in tree:
        return False, f"what you return, {_described(seen)}, has no leaf {place}"
    leaf, right = tree[place], by_path(expected["returned"])[place]
    words = f"{place} in what you return is {_leaf(*leaf)}"
    return _fate(right, leaf) == "", f"{words}, where {_leaf(*right)} was expected"


@claim(3, "At which paths do the leaves hang that you write?", no_error)
def other_leaves_stay(seen: Evidence, expected: Evidence) -> Finding:
    """Every other leaf of the tree you return is as it was: none moved, none lost, none added."""
    if seen["type"] != "nested dict":
        return False, f"you returned {_described(seen)}"
    changes = changed(expected["given"], seen["returned"], apart=expected["place"])
    words = _listed(changes) or "every other leaf is as it was"
    return not changes, f"for the path {expected['path']}, {words}"


@claim(2, "Which dicts and arrays of the tree did you copy, which not?")
def input_is_unharmed(seen: Evidence, expected: Evidence) -> Finding:
    """The params that you are given are after the call as they were before."""
    changes = changed(expected["given"], seen["input"])
    return not changes, f"in the params you were given, {_listed(changes) or 'nothing changed'}"


@claim(
    2,
    "What does your code do if a path ends elsewhere?",
    lambda expected: expected["error"] == "a KeyError",
)
def missing_path_is_named(seen: Evidence, expected: Evidence) -> Finding:
    """A path that leads to no kernel gets a KeyError whose message holds each key of the path."""
    words = f"for the path {expected['path']} {_ending(seen)}"
    return _failed_as_asked(seen, expected, "names", words)


@claim(
    1,
    "Where do you look at the two shapes?",
    lambda expected: expected["error"] == "a ValueError",
)
def other_shape_is_refused(seen: Evidence, expected: Evidence) -> Finding:
    """A kernel of another shape gets a ValueError whose message holds both shapes."""
    words = f"for a kernel of shape {SHAPE[::-1]} in place of one of shape {SHAPE} {_ending(seen)}"
    return _failed_as_asked(seen, expected, "shapes", words)


def _failed_as_asked(seen: Any, expected: Any, named: str, words: str) -> Finding:
    """Whether the error is of the kind asked for and its message holds what it must."""
    if seen["error"] != expected["error"]:
        return False, words
    missed = [word for word in expected[named] if word not in seen[named]]
    return not missed, f"{words}, whose message does not hold {' and '.join(missed)}"


def by_path(rows: Sequence[Sequence[Any]]) -> dict[str, tuple[str, np.ndarray]]:
    return {path: (dtype, value) for path, dtype, value in rows}


def changed(before: Sequence[Any], after: Sequence[Any], apart: str = "") -> list[str]:
    """What became of each leaf that is not as it was, `apart` left aside."""
    old, new = by_path(before), by_path(after)
    fates = {path: _fate(old.get(path), new.get(path)) for path in sorted(old.keys() | new.keys())}
    return [f"{path} {fate}" for path, fate in fates.items() if fate and path != apart]


def _fate(old: tuple[str, np.ndarray] | None, new: tuple[str, np.ndarray] | None) -> str:
    if old is None or new is None:
        return "was added" if old is None else "is gone"
    if np.array_equal(old[1], new[1], equal_nan=True):
        return "" if old[0] == new[0] else f"went from {old[0]} to {new[0]}"
    return f"went from {_numbers(old[1])} to {_numbers(new[1])}"


def _ending(seen: Any) -> str:
    """How the run ended where an error was asked for."""
    if seen["error"]:
        return f"you raised {seen['error']}"
    ending = f"you raised nothing and returned {_described(seen)}"
    if seen["type"] != "nested dict":
        return ending
    changes = changed(seen["given"], seen["returned"])
    return f"{ending}, in which {_listed(changes) or 'nothing changed'}"


def _described(seen: Any) -> str:
    if seen["type"] != "nested dict":
        no_tree = f"an object of type {seen['type']}"
        return "None (is a `return` missing?)" if seen["type"] == "NoneType" else no_tree
    return f"a tree of {len(seen['returned'])} leaves"


def _leaf(dtype: str, value: Any) -> str:
    if dtype not in DTYPES:
        return f"an object of type {dtype}"
    return f"{_numbers(value)} of shape {np.shape(value)} in {dtype}"


def _numbers(value: Any) -> str:
    return numbers(np.ravel(value), 3)


def _listed(changes: list[str]) -> str:
    more = f" and {len(changes) - 2} more" if len(changes) > 2 else ""
    return ", ".join(changes[:2]) + more
