"""The relative gradient of a part of a pytree (JAX), the twin of `relative_gradient`."""

import math
from functools import reduce
from operator import getitem

import jax
import jax.numpy as jnp
import numpy as np

from grader.instruments import gradient_parts as parts
from grader.judging.exercise import Exercise, Misconception


def relative_gradient_tree(gradients, path):
    """Say what share of a pytree's gradient norm lies below one of its nodes.

    The relative gradient of a part is the norm of its gradient over the norm of the whole. A norm
    runs over all entries of all leaves: the root of the sum of all squares. A leaf may be None: no
    gradient, which counts as zeros. Where the whole gradient is zero, so is the answer.

    The entries may be as small or as large as their precision can hold. JAX is not switched to
    float64, and your function leaves that as it is.

    Args:
        gradients: nested dict of ``jax.Array``, float32 or float16, or None, as ``jax.grad``
            returns it.
        path: tuple of keys that leads to a node, such as ``("body", "layer1")``.

    Returns:
        A number from 0 to 1, accurate to one part in ten thousand. The tree stays as it is.
    """

    def squared(tree):
        leaves = jax.tree.leaves(tree)  # passes over None
        return sum(float(np.square(np.asarray(leaf, np.float64)).sum()) for leaf in leaves)

    part = gradients
    for key in path:
        part = part[key]
    whole = squared(gradients)
    return math.sqrt(squared(part) / whole) if whole else 0.0


challenge = parts.challenge


def observe(candidate, inputs):
    gradients = jax.tree.map(jnp.asarray, inputs["gradients"])
    path = tuple(inputs["path"].split("."))
    return parts.left_behind(
        lambda: candidate(gradients, path), lambda: _bytes(gradients), inputs["kind"]
    )


def _bytes(gradients):
    leaves = parts.leaves(gradients)
    return {"/".join(k): None if v is None else np.asarray(v).tobytes() for k, v in leaves}


def _node(gradients, path):
    return reduce(getitem, path, gradients)


def _arrays(gradients, path=()):
    leaves = jax.tree.leaves(_node(gradients, path))
    return [np.asarray(leaf, np.float64) for leaf in leaves]


def _norm(arrays):
    return math.hypot(*(float(np.linalg.norm(array)) for array in arrays))


def add_up_the_norms(gradients, path):
    part, whole = (sum(map(np.linalg.norm, _arrays(gradients, p))) for p in (path, ()))
    return parts.over(part, whole)


def leave_out_the_root(gradients, path):
    return parts.over(_norm(_arrays(gradients, path)) ** 2, _norm(_arrays(gradients)) ** 2)


def compare_with_the_rest(gradients, path):
    part, whole = _norm(_arrays(gradients, path)), _norm(_arrays(gradients))
    return parts.over(part, math.sqrt(whole**2 - part**2))


def square_as_it_comes(gradients, path):
    part, whole = (
        sum((leaf**2).sum() for leaf in jax.tree.leaves(tree))
        for tree in (_node(gradients, path), gradients)
    )
    return jnp.sqrt(part / whole) if whole else 0.0


def square_in_float32(gradients, path):
    part, whole = (
        sum((leaf.astype(jnp.float32) ** 2).sum() for leaf in jax.tree.leaves(tree))
        for tree in (_node(gradients, path), gradients)
    )
    return jnp.sqrt(part / whole) if whole else 0.0


def match_the_beginning(gradients, path):
    named = jax.tree_util.tree_leaves_with_path(gradients)
    beginning = "/".join(path)
    part = [
        np.asarray(leaf, np.float64)
        for where, leaf in named
        if jax.tree_util.keystr(where, simple=True, separator="/").startswith(beginning)
    ]
    return parts.over(_norm(part), _norm(_arrays(gradients)))


def look_for_the_last_key(gradients, path):
    named = jax.tree_util.tree_leaves_with_path(gradients)
    part = [np.asarray(v, np.float64) for where, v in named if where[-2].key == path[-1]]
    return parts.over(_norm(part), _norm(_arrays(gradients)))


def stay_at_the_top(gradients, path):
    return parts.over(_norm(_arrays(gradients, path[:1])), _norm(_arrays(gradients)))


def divide_by_the_count(gradients, path):
    def per_entry(arrays):
        return _norm(arrays) / max(sum(a.size for a in arrays), 1) ** 0.5

    return parts.over(per_entry(_arrays(gradients, path)), per_entry(_arrays(gradients)))


def take_the_largest(gradients, path):
    part, whole = (
        max((abs(a).max() for a in _arrays(gradients, p)), default=0) for p in (path, ())
    )
    return parts.over(part, whole)


def divide_by_zero(gradients, path):
    return _norm(_arrays(gradients, path)) / _norm(_arrays(gradients))


def divide_arrays_by_zero(gradients, path):
    whole = _norm(_arrays(gradients))
    return _norm(_arrays(gradients, path)) / whole if whole else math.nan


EXERCISE = Exercise(
    reference=relative_gradient_tree,
    challenge=challenge,
    observe=observe,
    claims=parts.CLAIMS,
    misconceptions=(
        Misconception(*parts.ADD_NORMS, specimen=add_up_the_norms),
        Misconception(*parts.SQUARES, specimen=leave_out_the_root),
        Misconception(*parts.REST, specimen=compare_with_the_rest),
        Misconception(*parts.PRECISION, specimen=square_as_it_comes),
        Misconception(*parts.FLOAT32, specimen=square_in_float32),
        Misconception(*parts.BEGINNING, specimen=match_the_beginning),
        Misconception(*parts.PER_ENTRY, specimen=divide_by_the_count),
        Misconception(*parts.LARGEST, specimen=take_the_largest),
        Misconception(*parts.DIVISION, specimen=divide_by_zero),
        Misconception(*parts.DIVISION, specimen=divide_arrays_by_zero),
        Misconception(
            "The last key of a path is the name of a layer.",
            "A node that holds other nodes has no leaf of its own. Below body your code found "
            "nothing.",
            "How many keys lie between the node body and a leaf?",
            look_for_the_last_key,
        ),
        Misconception(
            "The first key of a path leads to the part.",
            "The path goes on: of the body you were asked for one layer only.",
            "What is gradients[path[0]] when the path has two keys?",
            stay_at_the_top,
        ),
    ),
    hints=(
        "Follow the path key by key from the top. What do you hold then, if it is no leaf?",
        "jax.tree.leaves(node) gives all arrays below a node and passes over None.",
        "Numpy has float64 always: np.asarray(leaf, np.float64). Add up the squares for the part "
        "and for the whole, and take the root of the quotient, unless the whole is 0.",
    ),
    lesson="01_gradient_vanishing",
    section="Relative gradient",
    frameworks=("jax",),
    minutes=10,
    note="jnp.float64 would have changed nothing: without jax_enable_x64 it means float32, and a "
    "warning says so. Under jit, where numpy cannot go, divide by the largest entry first.",
    twin="relative_gradient",
)
