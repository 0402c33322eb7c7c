"""Surgery on a pytree of parameters: exercises that replace one leaf and must leave all others.

A *tree* is a nested dict of arrays, as Flax makes it; a *path* leads from its top to a layer, and
the layer's leaf "kernel" is what the operation is about. Here are the trees to operate on, what an
operation leaves behind, and the claims that hold for every such operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from re import findall
from typing import Any

import jax.numpy as jnp
import numpy as np

from grader.judging.evidence import DTYPES, numbers
from grader.judging.exercise import attempt, claim
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs

SHAPE = (3, 5)
"""The shape of every kernel: one for all, so that no shape betrays a layer that was not meant."""

PARTS = ("encoder", "decoder", "backbone", "head", "stem", "readout")
"""Names to draw from; evidence that names layers then holds for the challenge it was made on."""


def cases(rng: np.random.Generator) -> Challenge:
    """Trees to operate on, and paths into them; some of the paths lead to no kernel."""
    body, other, head = map(str, rng.choice(PARTS, 3, replace=False))
    one, two = (f"Dense_{k}" for k in rng.choice(range(1, 10), 2, replace=False))
    layers = [[body, one], [other, one]]

    def case(params: dict[str, Any], *path: str, **more: Any) -> dict[str, Any]:
        plain = {"params": params, "path": list(path), "tied": [], "dtype": "float32"}
        return {**plain, "fails": False, **more}

    def tree(*names: str, dtype: str = "float32") -> dict[str, Any]:
        return {body: {name: dense(rng, dtype) for name in names}, head: dense(rng)}

    def twice() -> dict[str, Any]:
        return {body: {one: dense(rng)}, other: {one: dense(rng)}}

    def slashed() -> dict[str, Any]:
        return {f"{body}/{one}": dense(rng), head: dense(rng)}

    within, normed, diverged = tree(one), tree(one), tree(one)
    within[body] |= dense(rng)
    named_so = {body: {"kernel": dense(rng), "bias": dense(rng)["bias"]}, head: dense(rng)}
    normed[body]["LayerNorm_0"] = norm(rng)
    diverged[body][one]["kernel"][0, :3] = np.nan, np.inf, -np.inf
    mixed = tree(one) | {head: dense(rng, "float16"), "step": np.array([7], np.int32)}
    return {
        "at the top": case(tree(one, two), head),
        "two levels deep": case(tree(one, two), body, two),
        "three levels deep": case({"model": tree(one)}, "model", body, one),
        "a tree that is one layer": case(dense(rng)),
        "one name in two places": case(twice(), other, one),
        "names that begin alike": case(tree(one, f"{one}0"), body, one),
        "a layer within a layer": case(within, body),
        "a key with a slash": case(slashed(), head),
        "a layer whose key has a slash": case(slashed(), f"{body}/{one}"),
        "neighbours of other dtypes": case(mixed, body, one),
        "one layer at two paths": case(twice(), other, one, tied=layers),
        "one array in two layers": case(
            twice(), other, one, tied=[[*layer, "kernel"] for layer in layers]
        ),
        "a float16 layer": case(tree(one, dtype="float16"), body, one),
        "a layer of whole numbers": case(tree(one, dtype="int8"), body, one),
        "a layer called kernel": case(named_so, body, "kernel"),
        "NaN and infinity in the kernel": case(diverged, body, one),
        "numpy arrays of float64": case(
            tree(one, two, dtype="float64"), body, one, dtype="float64"
        ),
        "no such layer": case(tree(one), body, two, fails=True),
        "a path without its first key": case(tree(one), one, fails=True),
        "a key with a slash, taken for two": case(slashed(), body, one, fails=True),
        "a layer without a kernel": case(normed, body, "LayerNorm_0", fails=True),
        "a path to a dict of layers": case(tree(one), body, fails=True),
        "an empty path": case(tree(one), fails=True),
        "a path to a kernel": case(tree(one), head, "kernel", fails=True),
        "a path past a kernel": case(tree(one), head, "kernel", "x", fails=True),
    }


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
    candidate: Candidate, inputs: Inputs, kernel: np.ndarray | None = None
) -> dict[str, Any]:
    """What `candidate` returned for a case, what became of its input, and how it failed.

    It is called with the params and the path and, where there is one, the kernel. Where the case
    is not meant to fail an error is left to whoever called.
    """
    array = np.array if inputs["dtype"] == "float64" else jnp.asarray
    params, path = grown(inputs["params"], array), inputs["path"]
    if inputs["tied"]:
        tie(params, *inputs["tied"])
    given, more = list(leaves(params)), [] if kernel is None else [array(kernel)]
    returned, error = attempt(candidate, params, tuple(path), *more)
    if error and not inputs["fails"]:
        raise error
    is_tree, place = isinstance(returned, Mapping), _joined([*path, "kernel"])
    after = list(leaves(returned)) if is_tree else []
    return {
        "path": str(tuple(path)),
        "place": place,
        "kernel before": list(by_path(given).get(place, [])),
        "kernel after": list(by_path(after).get(place, [])),
        "other changes": changed(given, after, apart=place) if is_tree else [],
        "harm": changed(given, list(leaves(params))),
        "leaves": len(after),
        "type": "nested dict" if is_tree else type(returned).__name__,
        "error": kind_of(error),
        "names": [key for key in path if isinstance(error, KeyError) and key in str(error)],
        "shapes": shapes_in(error, [SHAPE, *map(np.shape, more)]),
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


def shapes_in(error: Exception | None, shapes: Sequence[tuple[int, ...]]) -> list[str]:
    """Which of the shapes the message of a ValueError names, however written."""
    figures = [int(text) for text in findall(r"\d+", str(error))]
    named = {tuple(figures[i:j]) for j in range(len(figures) + 1) for i in range(j)}
    return [str(shape) for shape in shapes if isinstance(error, ValueError) and shape in named]


def no_error(expected: Evidence) -> bool:
    """The condition of a claim about the tree that is returned."""
    return not expected["error"]


def kernel_as_expected(seen: Evidence, expected: Evidence) -> Finding:
    """Compare the leaf operated on."""
    place, leaf, right = expected["place"], seen["kernel after"], expected["kernel after"]
    if _fate(expected["kernel before"], seen["kernel before"]):
        return False, "it is the tree of another case that was operated on"
    if not leaf:
        return False, f"what you return, {_described(seen)}, has no leaf {place}"
    words = f"{place} in what you return is {_leaf(*leaf)}"
    return _fate(right, leaf) == "", f"{words}, where {_leaf(*right)} was expected"


@claim(3, "At which paths do the leaves hang that you write?", no_error)
def other_leaves_stay(seen: Evidence, expected: Evidence) -> Finding:
    """Every other leaf of the tree you return is as it was: none moved, none lost, none added."""
    if seen["type"] != "nested dict":
        return False, f"you returned {_described(seen)}"
    changes = seen["other changes"]
    words = _listed(changes) or "every other leaf is as it was"
    return not changes, f"for the path {expected['path']}, {words}"


@claim(2, "Which dicts and arrays of the tree did you copy, which not?")
def input_is_unharmed(seen: Evidence, expected: Evidence) -> Finding:
    """The params that you are given are after the call as they were before."""
    harm = seen["harm"]
    return not harm, f"in the params you were given, {_listed(harm) or 'nothing changed'}"


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
    old, new = expected["shapes"]
    words = f"for a kernel of shape {new} in place of one of shape {old} {_ending(seen)}"
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


def _fate(old: Sequence[Any] | None, new: Sequence[Any] | None) -> str:
    """What became of a leaf, given its dtype and value before and after; nothing of no leaf."""
    if not old and not new:
        return ""
    if not old or not new:
        return "is gone" if old else "was added"
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
    fate = _fate(seen["kernel before"], seen["kernel after"])
    changes = [f"{seen['place']} {fate}"] * bool(fate) + seen["other changes"]
    return f"{ending}, in which {_listed(changes) or 'nothing changed'}"


def _described(seen: Any) -> str:
    if seen["type"] != "nested dict":
        no_tree = f"an object of type {seen['type']}"
        return "None (is a `return` missing?)" if seen["type"] == "NoneType" else no_tree
    return f"a tree of {seen['leaves']} leaves"


def _leaf(dtype: str, value: Any) -> str:
    if dtype not in DTYPES:
        return f"an object of type {dtype}"
    return f"{_numbers(value)} of shape {np.shape(value)} in {dtype}"


def _numbers(value: Any) -> str:
    return numbers(np.ravel(value), 3)


def _listed(changes: list[str]) -> str:
    more = f" and {len(changes) - 2} more" if len(changes) > 2 else ""
    return ", ".join(changes[:2]) + more


TOP_COPY = (
    "A copy of the tree is a copy of all its layers.",
    "dict(params), params.copy() and {**params} copy the outermost dict and nothing below it. The "
    "layer is still the caller's own dict, and you wrote into it.",
    "Which dicts lie between the top of the tree and the kernel, and whose are they?",
)
DEEP_COPY = (
    "In a deep copy everything is separate.",
    "copy.deepcopy keeps what was shared: two paths to one layer are, in the copy, two paths to "
    "one new layer. So the kernel changed at both.",
    "What does copy.deepcopy make of a dict that it meets for the second time?",
)
ONE_MARK = (
    "A layer's last name, or its array, tells which leaf is meant.",
    "Two parts of a model may each have a Dense_0, and tied weights are one array at two paths. "
    "You changed every kernel that has the name, or the array, of the one that was meant.",
    "What besides the last key, or the array, tells two leaves apart?",
)
BEGINNING = (
    "A path that begins like mine leads to my layer.",
    "As texts encoder/Dense_10 begins with encoder/Dense_1, and as keys the path of whatever lies "
    "below a layer begins with that of the layer. You changed kernels whose paths only begin like "
    "yours.",
    "How long is the path of the kernel that is meant, and do its keys equal yours one by one?",
)
SLASH = (
    "Joined with '/', a path is still the same path.",
    "A key may hold a '/' itself. As texts the one key 'mlp/linear_0' and the two keys 'mlp' and "
    "'linear_0' are the same, and you took one for the other.",
    "What can keep the keys of a path apart, whatever characters they hold?",
)
LAYER_ONLY = (
    "The layer I changed is the answer.",
    "A model needs all of its params. You returned the one layer and lost the rest.",
    "What would model.apply miss in the dict that you returned?",
)
NOWHERE = (
    "A path that leads nowhere makes itself known.",
    "A map over a tree in which nothing matches returns the tree as it was, and a dict takes any "
    "key: it grows a layer that no model reads. A misspelt path then looks like success.",
    "How could your code know that there was a kernel at the path, and how many it changed?",
)
BARE_ERROR = (
    "Python's own KeyError says enough.",
    "It holds the one key at which the look-up stopped. Which layer was meant, somewhere in a "
    "large tree, it does not say.",
    "Where in your code are both the failure and the whole path known?",
)
