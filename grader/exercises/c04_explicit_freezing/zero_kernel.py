"""Set one kernel in a pytree of parameters to zero (JAX)."""

from copy import deepcopy
from operator import imul
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from grader.instruments import surgery
from grader.judging.exercise import Exercise, beliefs_about, claim, needing
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def zero_kernel(params, path):
    """Set the kernel of one layer in a pytree of parameters to zero.

    Args:
        params: nested dict of arrays of any dtype, of any depth. It must come through unharmed.
            The arrays are JAX's or, as some checkpoints load them, numpy's, perhaps of float64. Two
            paths may lead to the very same layer dict, or array (tied weights). A key may hold a
            ``"/"``, as in Haiku's ``"mlp/linear_0"``, which is one key.
        path: tuple of keys that leads from the top of ``params`` to one layer, for instance
            ``("encoder", "Dense_1")``, or ``()`` to ``params`` itself. A layer is a dict; its leaf
            ``"kernel"`` becomes zero.

    Returns:
        A nested dict like ``params`` in which that one leaf is all zeros, in its own shape and
        dtype, whatever it held before. Every other leaf is the same array or an equal one of the
        same dtype, also where its layer is tied to the one at ``path``. Zeros of JAX's and of
        numpy's are as good.

    Raises:
        KeyError: ``path`` leads nowhere, to an array or past one, or to a dict without a kernel of
            its own. The message holds each key of ``path``.

    Example:
        >>> params = {"Dense_0": {"kernel": jnp.array([[1.0, 2.0]]), "bias": jnp.array([3.0, 4.0])}}
        >>> cleared = zero_kernel(params, ("Dense_0",))["Dense_0"]
        >>> cleared["kernel"].tolist(), cleared["bias"].tolist()
        ([[0.0, 0.0]], [3.0, 4.0])
        >>> params["Dense_0"]["kernel"].tolist()
        [[1.0, 2.0]]
    """
    place = (*path, "kernel")
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if place not in {tuple(key.key for key in keys) for keys, _ in leaves}:
        raise KeyError(f"there is no kernel at {path}")

    def zero_there(keys, leaf):
        is_meant = tuple(key.key for key in keys) == place
        return np.zeros(leaf.shape, leaf.dtype) if is_meant else leaf  # JAX holds no float64

    return jax.tree_util.tree_map_with_path(zero_there, params)


def challenge(rng: np.random.Generator) -> Challenge:
    return surgery.cases(rng)


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    return surgery.left_behind(candidate, inputs)


@claim(3, "How do you make the zeros, and out of what?", surgery.no_error)
def kernel_is_zero(seen: Evidence, expected: Evidence) -> Finding:
    """The kernel at the path is all zeros, in its own shape and dtype."""
    return surgery.kernel_as_expected(seen, expected)


SHARED = needing(
    kernel_is_zero,
    surgery.other_leaves_stay,
    surgery.input_is_unharmed,
    surgery.missing_path_is_named,
)

Place = tuple[str, ...]
"""The path of a leaf."""


def _exactly(flat: dict[Place, Any], place: Place, meant: Part) -> Any:
    return flat[place]


def zeroed(
    params: dict[str, Any],
    path: Place,
    find: Part = _exactly,
    meant: Part = tuple.__eq__,
    zeros: Part = lambda old: np.zeros(old.shape, old.dtype),
    whole: Part = lambda flat, place, params: unflatten_dict(flat),
) -> Any:
    """The right answer in parts."""
    flat, place = flatten_dict(params), (*path, "kernel")
    find(flat, place, meant)
    chosen = [names for names in flat if names[-1] == "kernel" and meant(names, place)]
    return whole(flat | {names: zeros(flat[names]) for names in chosen}, place, params)


def _any(flat: dict[Place, Any], place: Place, meant: Part) -> Any:
    """The first kernel that is meant will do."""
    fits = (names for names in flat if names[-1] == "kernel" and meant(names, place))
    return flat[next(fits, place)]


def _written_into(changed: Any, place: Place, zeros: Any) -> Any:
    surgery.at(changed, place[:-1])["kernel"] = zeros
    return changed


def _all_zero(is_zero: Part) -> Part:
    """Make zeros of each leaf that the path of the layer says is one."""
    return lambda flat, place, params: unflatten_dict(
        {n: np.zeros_like(v) if is_zero(n, place[:-1]) else v for n, v in flat.items()}
    )


def _same_text(names: Place, place: Place) -> bool:
    return "/".join(names) == "/".join(place)


def _split(flat: dict[Place, Any], *given: Any) -> Any:
    return unflatten_dict({"/".join(names): leaf for names, leaf in flat.items()}, sep="/")


LOOSE = (
    (surgery.ONE_MARK, lambda names, place: names[-2:] == place[-2:]),
    (surgery.BEGINNING, lambda names, place: "/".join(names).startswith("/".join(place[:-1]))),
    (surgery.BEGINNING, lambda names, place: names[: len(place) - 1] == place[:-1]),
)
BIAS_TOO = (
    "To zero a layer's kernel is to zero the layer.",
    "The bias went to zero with it. A layer without kernel still adds its bias, which is often "
    "what one wants to look at.",
    "Which leaves lie below the path, and which of them was meant?",
)
ZEROS = (
    "Zeros are zeros, whatever made them.",
    "Unless told, jnp.zeros makes float32 and np.zeros float64, and JAX, which holds no float64 "
    "unless told, makes float32 of numpy's float64. One float32 leaf in a float16 tree makes JAX "
    "compute everything after it in float32.",
    "Of which dtype is each kernel before, and of which are your zeros?",
)
believing = beliefs_about(zeroed)
BELIEFS = (  # one that shows in several ways is there with each
    believing(
        *surgery.TOP_COPY,
        whole=lambda flat, place, params: _written_into(dict(params), place, flat[place]),
    ),
    believing(
        *surgery.DEEP_COPY,
        whole=lambda flat, place, params: _written_into(deepcopy(params), place, flat[place]),
    ),
    *(believing(*texts, meant=meant) for texts, meant in LOOSE),
    *(believing(*texts, meant=meant, find=_any) for texts, meant in LOOSE),
    believing(
        *surgery.ONE_MARK,
        whole=lambda flat, place, params: jax.tree.map(
            lambda leaf: flat[place] if leaf is surgery.at(params, place) else leaf, params
        ),
    ),
    believing(*surgery.SLASH, meant=_same_text, find=_any),
    believing(*surgery.SLASH, meant=_same_text, find=_any, whole=_split),
    believing(*surgery.SLASH, whole=_split),
    believing(*BIAS_TOO, whole=_all_zero(lambda names, layer: names[:-1] == layer)),
    believing(*BIAS_TOO, whole=_all_zero(lambda names, layer: names[: len(layer)] == layer)),
    believing(
        *surgery.LAYER_ONLY,
        whole=lambda flat, place, params: surgery.at(unflatten_dict(flat), place[:-1]),
    ),
    believing(*ZEROS, zeros=lambda old: jnp.zeros(old.shape)),
    believing(*ZEROS, zeros=lambda old: np.zeros(old.shape)),
    believing(*ZEROS, zeros=jnp.zeros_like),
    believing(
        "Anything times zero, or minus itself, is zero.",
        "NaN times zero is NaN, and so is NaN minus NaN; with infinity likewise. In a kernel "
        "that has diverged they survive.",
        "What do you need to know of the old kernel to make the new one?",
        zeros=lambda old: old * 0,
    ),
    believing(
        "`*=` makes a new array.",
        "On a JAX array it does. A numpy array is changed in place, and it is still the "
        "caller's. And zero times NaN is NaN.",
        "For which arrays is `a *= 0` the same as `a = a * 0`?",
        zeros=lambda old: imul(old, 0),
    ),
    believing(*surgery.NOWHERE, find=lambda *given: None),
    believing(
        *surgery.BARE_ERROR,
        find=lambda flat, place, meant: surgery.at(unflatten_dict(flat), place),
    ),
)

EXERCISE = Exercise(
    reference=zero_kernel,
    challenge=challenge,
    observe=observe,
    hints=(
        "What tells the leaf you want from all other leaves of the tree?",
        "jax.tree_util.tree_map_with_path builds a new dict for every path, so that tied layers "
        "come apart, and calls your function with (keys, leaf); each key has its name in .key.",
        "Return np.zeros(leaf.shape, leaf.dtype) where tuple(key.key for key in keys) equals "
        "(*path, 'kernel'), the leaf itself elsewhere. How do you notice that it never did?",
    ),
    lesson="04_explicit_freezing",
    section="Zeroing gradients on a pytree by path",
    frameworks=("jax",),
    minutes=15,
    difficulty=3,
    note="The same map over a tree of gradients is how a layer is frozen: there the zeros say "
    "'do not move', here they say 'forget'.",
)
