"""Measure which gradients a silent layer makes zero, on a pytree of parameters (JAX)."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from grader.instruments.layer_graphs import NAMES
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def gradients_behind_tree(loss, params, silent):
    """Mark the arrays of parameters whose gradient is exactly zero while a layer is silent.

    While it is silent, each of its arrays is multiplied by 0 in what the loss is computed from. The
    gradient is that with respect to ``params``, so what is marked in a silent dense layer is its
    kernel and its bias, and all that lies behind it.

    Args:
        loss: function of a tree such as ``params``, returns a scalar. It can be differentiated.
        params: nested dict of arrays of any depth, not to be changed. Two paths may lead to the
            very same array.
        silent: tuple of keys that leads from the top of ``params`` to one layer, a dict of arrays,
            or to a dict of several layers.

    Returns:
        A nested dict like ``params`` with a bool for each array: True where its gradient is 0 in
        every entry. As ever in JAX, what the loss does not depend on has a gradient of 0.

    Example:
        >>> one = jnp.ones((1, 1))
        >>> params = {"a": {"kernel": one}, "b": {"kernel": one}, "c": {"bias": one}}
        >>> def loss(tree):
        ...     hidden = jnp.tanh(3 * tree["a"]["kernel"]) @ tree["b"]["kernel"]
        ...     return ((hidden + tree["c"]["bias"]) ** 2).sum()
        >>> gradients_behind_tree(loss, params, ("b",))
        {'a': {'kernel': True}, 'b': {'kernel': True}, 'c': {'bias': False}}
    """

    def hushed(keys, leaf):
        path = tuple(key.key for key in keys)
        return leaf * 0 if path[: len(silent)] == silent else leaf

    def loss_when_silent(tree):
        return loss(jax.tree_util.tree_map_with_path(hushed, tree))

    gradients = jax.grad(loss_when_silent)(params)
    return jax.tree.map(lambda gradient: not gradient.any(), gradients)


Path = tuple[str, ...]

SIZE = 4
"""Units of each layer: one shape, so that little is compiled. There are three classes."""


def challenge(rng: np.random.Generator) -> Challenge:
    names = (str(name) for name in rng.choice(NAMES, 7, replace=False))
    body, head, other, idle, first, second, third = names
    longer = f"{second}_out"
    deep = [(body, first), (body, second), (body, longer), (body, third), (head,)]
    twice = [(body, first), (body, second), (other, first), (other, second), (head,)]
    turned = [*twice[:-1], (first, other), (head,)]
    blocks = [(body, name, part) for name in (first, second, third) for part in ("in", "out")]

    def case(kind: str, paths: Sequence[Path], silent: Path, **special: Any) -> Inputs:
        layers = {"/".join(path): _layer(rng, 3 if path == (head,) else SIZE) for path in paths}
        drawn = {"blocks": False, "size": 1.0, "idle": "", "opposed": "", "tied": [], **special}
        x, y = rng.normal(size=(7, SIZE)).astype(np.float32), rng.integers(0, 3, 7)
        x[:, 0] = 0  # zeros in the gradient of a kernel that learns
        return {"layers": layers, "silent": list(silent), "kind": kind, "x": x, "y": y, **drawn}

    return {
        "a layer in the middle": case("plain", deep, (body, third)),
        "the first layer": case("plain", deep, (body, first)),
        "the last layer": case("plain", deep, (head,)),
        "gradients that add up to zero": case("plain", deep, (body, second), opposed=other),
        "a name that another one begins with": case("path", deep, (body, second)),
        "two layers of one name": case("path", turned, (other, first)),
        "two groups with the same names": case("path", twice, (other,)),
        "one array in two places": case(
            "path", deep, (body, second), tied=["/".join(deep[1]), "/".join(deep[3])]
        ),
        "blocks with skips": case("branch", [*blocks, (head,)], blocks[3], blocks=True),
        "a layer that the loss does not use": case("idle", deep, (body, first), idle=idle),
        "gradients near 1e-14": case("small", deep, (body, first), size=1e-14),
        "gradients near 1e-30": case("small", deep, (body, second), size=1e-30),
    }


def _layer(rng: np.random.Generator, units: int) -> dict[str, np.ndarray]:
    kernel = rng.uniform(0.2, 0.9, (SIZE, units)) * rng.choice([-1, 1], (SIZE, units))
    return {
        "kernel": kernel.astype(np.float32),
        "bias": rng.uniform(0.1, 0.5, units).astype(np.float32),
    }


def _tree(inputs: Inputs) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    layers = {path: jax.tree.map(jnp.asarray, layer) for path, layer in inputs["layers"].items()}
    if inputs["tied"]:
        one, other = inputs["tied"]
        layers[other]["kernel"] = layers[one]["kernel"]
    for name in filter(None, (inputs["idle"], inputs["opposed"])):
        layers[name] = {"kernel": jnp.ones(2)}
    for path, layer in layers.items():
        *above, name = path.split("/")
        place = tree
        for key in above:
            place = place.setdefault(key, {})
        place[name] = layer
    return tree


def _loss(inputs: Inputs) -> Callable[[Any], jax.Array]:
    """Layers one after another, with tanh between them; as blocks, each pair has a skip."""
    paths, opposed = [path.split("/") for path in inputs["layers"]], inputs["opposed"]

    def loss(tree: Any) -> jax.Array:
        h = kept = jnp.asarray(inputs["x"])
        for k, path in enumerate(paths):
            layer = tree
            for key in path:
                layer = layer[key]
            z = h @ layer["kernel"] + layer["bias"]
            if inputs["blocks"] and k % 2 and k < len(paths) - 1:
                h = kept = kept + z
            else:
                h = jnp.tanh(z)
        right = jax.nn.log_softmax(z)[jnp.arange(len(z)), jnp.asarray(inputs["y"])]
        between = tree[opposed]["kernel"] @ jnp.array([1.0, -1.0]) if opposed else 0
        return -inputs["size"] * right.mean() + between

    return loss


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    params = _tree(inputs)
    before = deepcopy(flatten_dict(params, sep="/"))
    returned = candidate(_loss(inputs), params, tuple(inputs["silent"]))
    now = flatten_dict(params, sep="/")
    stays = now.keys() == before.keys() and all(np.array_equal(now[p], before[p]) for p in now)
    is_tree = isinstance(returned, Mapping)
    zero = flatten_dict(dict(returned), sep="/") if is_tree else returned
    return {"kind": inputs["kind"], "zero": zero, "stays": stays}


def _marked(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["zero"], expected["zero"]
    if not all(isinstance(value, bool) for value in ours.values()):
        return False, "not each array has a truth value"
    more = listed(path for path in right if ours[path] and not right[path])
    left_out = listed(path for path in right if right[path] and not ours[path])
    return ours == right, f"marked without need: {more}; left out: {left_out}"


@claim(3, "With respect to what do you differentiate, and what is multiplied?", of_kind("plain"))
def marks_exact_zeros(seen: Evidence, expected: Evidence) -> Finding:
    """True are the arrays whose gradient is 0 in every entry, wherever they are, and no others."""
    return _marked(seen, expected)


@claim(2, "Which arrays are those of the silent layer?", of_kind("path"), marks_exact_zeros)
def the_path_says_who_is_silent(seen: Evidence, expected: Evidence) -> Finding:
    """Silent is what lies at the path, and nothing of a similar name, nor what is equal to it."""
    return _marked(seen, expected)


@claim(2, "Which way leads around the silent layer?", of_kind("branch"))
def measures_the_ways_around(seen: Evidence, expected: Evidence) -> Finding:
    """Where a skip leads around the silent layer, what lies before it is not marked."""
    return _marked(seen, expected)


@claim(1, "What is the gradient of what is not used?", of_kind("idle"), marks_exact_zeros)
def what_is_not_used_is_marked(seen: Evidence, expected: Evidence) -> Finding:
    """A layer that the loss does not depend on is marked as well."""
    return _marked(seen, expected)


@claim(1, "Below which number is a gradient zero to you?", of_kind("small"), marks_exact_zeros)
def small_is_no_zero(seen: Evidence, expected: Evidence) -> Finding:
    """A gradient near 1e-14 or 1e-30 is not zero."""
    return _marked(seen, expected)


@claim(1, "Which line of yours writes into params?", needs=marks_exact_zeros)
def params_stay(seen: Evidence, expected: Evidence) -> Finding:
    """The tree that was given is left as it was, its dicts too."""
    return seen["stays"], "it is as it was" if seen["stays"] else "it has changed"


def _all_zero(gradient: jax.Array) -> bool:
    return not gradient.any()


def measured(
    loss: Callable[[Any], jax.Array],
    params: Any,
    silent: Path,
    meant: Part = lambda path, silent: path[: len(silent)] == silent,
    quiet: Part = lambda leaf: leaf * 0,
    before: Part = lambda hush, tree: tree,
    within: Part = lambda hush, tree: hush(tree),
    zero: Part = _all_zero,
    told: Part = lambda found, hit: found,
) -> Any:
    """The right answer in parts."""

    def hit(keys: Any, leaf: Any) -> bool:
        return meant(tuple(key.key for key in keys), silent)

    def hush(tree: Any) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda keys, leaf: quiet(leaf) if hit(keys, leaf) else leaf, tree
        )

    gradients = jax.grad(lambda tree: loss(within(hush, tree)))(before(hush, params))
    return told(jax.tree.map(zero, gradients), hit)


def _only(found: Any, hit: Callable[[Any, Any], bool]) -> Any:
    """What lies outside the silent layer is not marked."""
    return jax.tree_util.tree_map_with_path(lambda keys, is_zero: is_zero and hit(keys, 0), found)


believing = beliefs_about(measured)
BELIEFS = (
    believing(
        "A layer with a kernel of 0 is a silent one.",
        "What it puts out is 0, but its own kernel and bias get a gradient: it opens in one step. "
        "Multiplied within the loss, the 0 is a factor of that gradient too.",
        "Is your product with 0 a part of what is differentiated?",
        before=lambda hush, tree: hush(tree),
        within=lambda hush, tree: tree,
    ),
    believing(
        "To stop a layer's gradient is to silence it.",
        "stop_gradient makes constants of its arrays. It goes on putting out what it did, and the "
        "layers below learn through it.",
        "What does the layer put out in your loss?",
        quiet=jax.lax.stop_gradient,
    ),
    believing(
        "The last key says which layer is meant.",
        "Two groups may hold layers of one name. All keys of the path lead to one of them.",
        "Which layers of the tree have the last key of your path?",
        meant=lambda path, silent: silent[-1] in path,
    ),
    believing(
        "A path is a text, and what begins like it lies under it.",
        "The name of another layer may begin with the same letters. Keys are equal, or are not.",
        "Which paths of the tree begin with the text that you compare?",
        meant=lambda path, silent: "/".join(path).startswith("/".join(silent)),
    ),
    believing(
        "A lock stays in the layer that is silent.",
        "Its arrays are a part of what gets zeros. Others lie behind it.",
        "Of which arrays do you look at the gradient?",
        told=_only,
    ),
    believing(
        "A gradient below 1e-8 is zero.",
        "A small loss makes small gradients, and they move what they reach.",
        "What would become of your gradients if the loss were multiplied by 1e20?",
        zero=lambda gradient: bool(jnp.abs(gradient).max() < 1e-8),
    ),
    believing(
        "The norm of a gradient is zero only if the gradient is.",
        "It is made of squares, and that of 1e-30 is below the smallest number that float32 holds.",
        "What is 1e-30 squared, in float32?",
        zero=lambda gradient: bool((gradient**2).sum() == 0),
    ),
    believing(
        "One zero in a gradient marks its array.",
        "An input that is 0 makes a row of zeros. The other rows learn.",
        "What do the other entries of that gradient say?",
        zero=lambda gradient: bool((gradient == 0).any()),
    ),
    believing(
        "True is for what learns.",
        "You mark the arrays with a gradient. The task asks for those without.",
        "What does your tree say of the silent layer's kernel?",
        zero=lambda gradient: bool(gradient.any()),
    ),
)

EXERCISE = Exercise(
    reference=gradients_behind_tree,
    challenge=challenge,
    observe=observe,
    hints=(
        "jax.grad differentiates a function of the tree. Write one that first multiplies the "
        "silent layer's arrays by 0, and then calls loss.",
        "jax.tree_util.tree_map_with_path calls your function with (keys, leaf); each key has its "
        "name in .key. Compare as many of them as silent has.",
        "jax.tree.map(..., gradients) makes a tree of bools of the gradients.",
    ),
    lesson="07_lock_cascades",
    section="What goes backward",
    frameworks=("jax",),
    minutes=15,
    difficulty=3,
    note="The product with 0 stands within the function that is differentiated. Set the arrays to "
    "0 before, and the same zeros go forward, but the layer can learn: two kinds of constant.",
)
