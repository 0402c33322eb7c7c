"""The relative gradient of a part of a pytree (JAX), the twin of `relative_gradient`."""

import math
import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grader.instruments import gradient_parts as parts
from grader.instruments.gradient_parts import CLAIMS as CLAIMS
from grader.judging.exercise import Exercise, beliefs_about
from grader.judging.terms import Candidate, Evidence, Inputs, Part


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
        path: tuple of keys that leads from the top to a node, such as ``("body", "layer1")``; the
            empty tuple leads to the whole.

    Returns:
        A number from 0 to 1, accurate to one part in ten thousand. The tree stays as it is.

    Example:
        >>> body = {"layer1": {"kernel": jnp.array([[3.0]]), "bias": None}}
        >>> gradients = {"body": body, "head": {"kernel": jnp.array([[4.0]])}}
        >>> relative_gradient_tree(gradients, ("body", "layer1"))
        0.6
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


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    gradients = jax.tree.map(jnp.asarray, inputs["gradients"])
    path = tuple(filter(None, inputs["path"].split(".")))
    return parts.left_behind(
        lambda: candidate(gradients, path), lambda: _bytes(gradients), inputs["kind"]
    )


def _bytes(gradients: parts.Tree) -> dict[str, bytes | None]:
    leaves = parts.leaves(gradients)
    return {"/".join(k): None if v is None else np.asarray(v).tobytes() for k, v in leaves}


Path = tuple[str, ...]


def below(gradients: parts.Tree, path: Path) -> list[jax.Array]:
    return jax.tree.leaves(reduce(operator.getitem, path, gradients))


def in_float64(leaf: jax.Array) -> float:
    return float(np.linalg.norm(np.asarray(leaf, np.float64)))


def over(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def shared_out(
    gradients: parts.Tree,
    path: Path,
    part: Part = below,
    whole: Part = lambda gradients, path: below(gradients, ()),
    size: Part = in_float64,
    norm: Part = lambda leaves, size: math.hypot(*map(size, leaves)),
    over: Part = over,
) -> float:
    """The right answer in parts."""
    return over(norm(part(gradients, path), size), norm(whole(gradients, path), size))


def named(gradients: parts.Tree) -> list[tuple[Path, Any]]:
    """Path and array of each leaf that is there."""
    return [(path, leaf) for path, leaf in parts.leaves(gradients) if leaf is not None]


def not_below(gradients: parts.Tree, path: Path) -> list[jax.Array]:
    return [leaf for where, leaf in named(gradients) if where[: len(path)] != path]


def begins_with(gradients: parts.Tree, path: Path) -> list[jax.Array]:
    beginning = "/".join(path)
    return [leaf for where, leaf in named(gradients) if "/".join(where).startswith(beginning)]


def in_a_layer_of_that_name(gradients: parts.Tree, path: Path) -> list[jax.Array]:
    return [leaf for where, leaf in named(gradients) if not path or where[-2] == path[-1]]


def per_entry(leaves: Sequence[jax.Array], size: Part) -> float:
    return math.hypot(*map(size, leaves)) / math.sqrt(sum(leaf.size for leaf in leaves) or 1)


def in_float32(leaf: jax.Array) -> float:
    return float(jnp.sqrt((leaf.astype(jnp.float32) ** 2).sum()))


believing = beliefs_about(shared_out)
BELIEFS = (  # one that shows in two ways is there twice
    believing(*parts.ADD_NORMS, norm=lambda leaves, size: sum(map(size, leaves))),
    believing(*parts.SQUARES, over=lambda part, whole: over(part, whole) ** 2),
    believing(*parts.REST, whole=not_below),
    believing(*parts.PRECISION, size=lambda leaf: float(jnp.sqrt((leaf**2).sum()))),
    believing(*parts.PRECISION, size=in_float32),
    believing(*parts.BEGINNING, part=begins_with),
    believing(*parts.PER_ENTRY, norm=per_entry),
    believing(
        *parts.LARGEST,
        size=lambda leaf: float(jnp.abs(leaf).max()),
        norm=lambda leaves, size: max(map(size, leaves), default=0.0),
    ),
    believing(*parts.DIVISION, over=operator.truediv),
    believing(*parts.DIVISION, over=lambda part, whole: part / whole if whole else math.nan),
    believing(
        "The last key of a path is the name of a layer.",
        "A node that holds other nodes has no leaf of its own. Below body your code found nothing.",
        "How many keys lie between the node body and a leaf?",
        part=in_a_layer_of_that_name,
    ),
    believing(
        "The first key of a path leads to the part.",
        "The path goes on: of the body you were asked for one layer only.",
        "What is gradients[path[0]] when the path has two keys?",
        part=lambda gradients, path: below(gradients, path[:1]),
    ),
)

EXERCISE = Exercise(
    reference=relative_gradient_tree,
    challenge=challenge,
    observe=observe,
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
    difficulty=3,
    note="jnp.float64 would have changed nothing: without jax_enable_x64 it means float32, and a "
    "warning says so. Under jit, where numpy cannot go, divide by the largest entry first.",
    twin="relative_gradient",
)
