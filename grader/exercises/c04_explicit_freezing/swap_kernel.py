"""Replace one kernel in a pytree of parameters (JAX)."""

from copy import deepcopy
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from grader.instruments import surgery
from grader.judging.exercise import Exercise, beliefs_about, claim, needing
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def swap_kernel(params, path, kernel):
    """Replace the kernel of one layer in a pytree of parameters.

    Args:
        params: nested dict of arrays of any dtype, of any depth. It must come through unharmed.
            The arrays are JAX's or, as some checkpoints load them, numpy's. Two paths may lead to
            the very same layer dict, or array (tied weights). A key may hold a ``"/"``, as in
            Haiku's ``"mlp/linear_0"``, which is one key.
        path: tuple of keys that leads from the top of ``params`` to one layer, for instance
            ``("encoder", "Dense_1")``, or ``()`` to ``params`` itself. A layer is a dict; its leaf
            ``"kernel"`` is replaced.
        kernel: the new array, of the shape of the one it replaces.

    Returns:
        A nested dict like ``params`` in which that one leaf is ``kernel``, its dtype included.
        Every other leaf is the same array or an equal one of the same dtype, also where its layer
        is tied to the one at ``path``.

    Raises:
        KeyError: ``path`` leads nowhere, to an array or past one, or to a dict without a kernel of
            its own. The message holds each key of ``path``.
        ValueError: ``kernel`` has another shape. The message holds both shapes.

    Example:
        >>> params = {"Dense_0": {"kernel": jnp.array([[1.0, 2.0]]), "bias": jnp.array([3.0, 4.0])}}
        >>> swapped = swap_kernel(params, ("Dense_0",), jnp.array([[5.0, 6.0]]))["Dense_0"]
        >>> swapped["kernel"].tolist(), swapped["bias"].tolist()
        ([[5.0, 6.0]], [3.0, 4.0])
        >>> params["Dense_0"]["kernel"].tolist()
        [[1.0, 2.0]]
    """
    place = (*path, "kernel")
    leaves = jax.tree_util.tree_leaves_with_path(params)
    old = {tuple(key.key for key in keys): leaf for keys, leaf in leaves}.get(place)
    if old is None:
        raise KeyError(f"there is no kernel at {path}")
    if old.shape != kernel.shape:
        raise ValueError(f"the kernel at {path} is {old.shape}, yours {kernel.shape}")

    def swap_there(keys, leaf):
        return kernel if tuple(key.key for key in keys) == place else leaf

    return jax.tree_util.tree_map_with_path(swap_there, params)


def challenge(rng: np.random.Generator) -> Challenge:
    cases = {
        name: {**case, "kernel": surgery.dense(rng, case["dtype"])["kernel"]}
        for name, case in surgery.cases(rng).items()
    }
    plain = cases["two levels deep"]
    kernel = plain["kernel"]
    others = {
        "of the transposed shape": kernel.T.copy(),
        "with a column too few": kernel[:, 1:],
        "of one row": kernel[:1],
        "of one dimension": kernel.ravel(),
    }
    return {
        **cases,
        "a float16 kernel": {**plain, "kernel": kernel.astype(np.float16)},
        **{f"a kernel {w}": {**plain, "kernel": k, "fails": True} for w, k in others.items()},
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    return surgery.left_behind(candidate, inputs, inputs["kernel"])


@claim(3, "Which line of yours puts the new array into the tree?", surgery.no_error)
def kernel_is_the_given_one(seen: Evidence, expected: Evidence) -> Finding:
    """The kernel at the path is the one given, in its numbers and in its dtype."""
    return surgery.kernel_as_expected(seen, expected)


SHARED = needing(
    kernel_is_the_given_one,
    surgery.other_leaves_stay,
    surgery.input_is_unharmed,
    surgery.missing_path_is_named,
    surgery.other_shape_is_refused,
)

Place = tuple[str, ...]
"""The path of a leaf."""


def _same_shape(old: Any, kernel: Any) -> None:
    if old.shape != kernel.shape:
        raise ValueError(f"the kernel is {old.shape}, yours {kernel.shape}")


def _exactly(flat: dict[Place, Any], place: Place, meant: Part) -> Any:
    return flat[place]


def swapped(
    params: dict[str, Any],
    path: Place,
    kernel: Any,
    find: Part = _exactly,
    turn: Part = lambda old, kernel: kernel,
    check: Part = _same_shape,
    meant: Part = tuple.__eq__,
    whole: Part = lambda flat, place, kernel, params: unflatten_dict(flat),
) -> Any:
    """The right answer in parts."""
    flat, place = flatten_dict(params), (*path, "kernel")
    old = find(flat, place, meant)
    kernel = turn(old, kernel)
    check(old, kernel)
    swaps = {names: kernel for names in flat if names[-1] == "kernel" and meant(names, place)}
    return whole(flat | swaps, place, kernel, params)


def _nothing(*given: Any) -> None:
    """A part that is left out."""


def _any(flat: dict[Place, Any], place: Place, meant: Part) -> Any:
    """The first kernel that is meant will do."""
    fits = (names for names in flat if names[-1] == "kernel" and meant(names, place))
    return flat[next(fits, place)]


def _written_into(changed: Any, place: Place, kernel: Any) -> Any:
    surgery.at(changed, place[:-1])["kernel"] = kernel
    return changed


def _same_text(names: Place, place: Place) -> bool:
    return "/".join(names) == "/".join(place)


def _split(flat: dict[Place, Any], *given: Any) -> Any:
    return unflatten_dict({"/".join(names): leaf for names, leaf in flat.items()}, sep="/")


LOOSE = (
    (surgery.ONE_MARK, lambda names, place: names[-2:] == place[-2:]),
    (surgery.BEGINNING, lambda names, place: "/".join(names).startswith("/".join(place[:-1]))),
    (surgery.BEGINNING, lambda names, place: names[: len(place) - 1] == place[:-1]),
)
TURN = (
    "A kernel that does not fit only has to be transposed.",
    "Torch stores (outputs, inputs), Flax (inputs, outputs). Turning whatever does not fit hides "
    "the mix-up, and a square kernel would go in unturned.",
    "Who knows which way round a kernel is meant, your function or its caller?",
)
believing = beliefs_about(swapped)
BELIEFS = (  # one that shows in several ways is there with each
    believing(
        *surgery.TOP_COPY,
        whole=lambda flat, place, new, params: _written_into(dict(params), place, new),
    ),
    believing(
        *surgery.DEEP_COPY,
        whole=lambda flat, place, new, params: _written_into(deepcopy(params), place, new),
    ),
    *(believing(*texts, meant=meant) for texts, meant in LOOSE),
    *(believing(*texts, meant=meant, find=_any) for texts, meant in LOOSE),
    believing(
        *surgery.ONE_MARK,
        whole=lambda flat, place, new, params: jax.tree.map(
            lambda leaf: new if leaf is surgery.at(params, place) else leaf, params
        ),
    ),
    believing(*surgery.SLASH, meant=_same_text, find=_any),
    believing(*surgery.SLASH, meant=_same_text, find=_any, whole=_split),
    believing(*surgery.SLASH, whole=_split),
    believing(
        *surgery.LAYER_ONLY,
        whole=lambda flat, place, new, params: surgery.at(unflatten_dict(flat), place[:-1]),
    ),
    believing(
        "A layer is its kernel.",
        "A dense layer has a bias as well. You put a dict with the kernel alone in its place.",
        "Which leaves did the layer have before you replaced it?",
        whole=lambda flat, place, new, params: unflatten_dict(
            {n: leaf for n, leaf in flat.items() if n == place or n[:-1] != place[:-1]}
        ),
    ),
    believing(
        "The new kernel should take the dtype of the old one.",
        "The task keeps the dtype of what is given. A cast, also the silent one of "
        "old.at[...].set(new), hides that half precision went in.",
        "What is the dtype of the kernel in the tree that you return?",
        turn=lambda old, kernel: kernel.astype(old.dtype),
    ),
    believing(*surgery.NOWHERE, find=_nothing, check=_nothing),
    believing(
        *surgery.NOWHERE,
        find=lambda flat, place, meant: flat.get(place),
        check=lambda old, kernel: _same_shape(kernel if old is None else old, kernel),
    ),
    believing(
        *surgery.NOWHERE,
        find=_nothing,
        check=_nothing,
        whole=lambda flat, place, new, params: unflatten_dict(flat | {place: new}),
    ),
    believing(
        *surgery.BARE_ERROR,
        find=lambda flat, place, meant: surgery.at(unflatten_dict(flat), place),
    ),
    believing(
        "Any array can stand in for a kernel.",
        "The tree took it, and the model will fail later and elsewhere, where nobody thinks "
        "of the swap.",
        "When is the last moment at which old and new kernel can be compared?",
        check=_nothing,
    ),
    believing(*TURN, turn=lambda old, new: new.T if new.T.shape == old.shape else new),
    believing(
        *TURN, turn=lambda old, new: new if new.shape == old.shape else new.T, check=_nothing
    ),
)

EXERCISE = Exercise(
    reference=swap_kernel,
    challenge=challenge,
    observe=observe,
    hints=(
        "Print jax.tree_util.tree_leaves_with_path(params). What is a leaf's path made of?",
        "Look the old kernel up before you build anything. Which two things can be amiss with it?",
        "jax.tree_util.tree_map_with_path builds a new dict for every path, so that tied layers "
        "come apart, and calls your function with (keys, leaf); each key has its name in .key.",
        "Compare tuple(key.key for key in keys) with (*path, 'kernel'). Return the new kernel "
        "where they are equal and the leaf itself elsewhere.",
    ),
    lesson="04_explicit_freezing",
    section="Zeroing gradients on a pytree by path",
    frameworks=("jax",),
    minutes=15,
    difficulty=3,
    note="The tree you returned shares its untouched arrays with the one you were given. That is "
    "safe: JAX arrays never change. Dicts do, so it is the dicts on the way that must be new.",
)
