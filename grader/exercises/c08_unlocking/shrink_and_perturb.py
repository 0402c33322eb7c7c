"""Draw the weights of a network back towards fresh ones (JAX).

Source: Ash & Adams 2020, "On Warm-Starting Neural Network Training", arXiv:1910.08475.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from grader.instruments.moves import Arrays, end_alike, moved
from grader.instruments.surgery import PARTS
from grader.instruments.words import listed
from grader.judging.evidence import plain
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def shrink_and_perturb(params, fresh, shrink):
    """Draw the weights of a network back towards those of a fresh one.

    Each number becomes ``shrink`` times itself plus the rest, ``1 - shrink``, times the one at the
    same place in ``fresh``. A number that is NaN or infinite has nothing worth keeping: it becomes
    the one in ``fresh``, and its neighbours are treated as all others.

    Args:
        params: nested dict of arrays of any depth, JAX's or numpy's. Arrays of floats are weights,
            biases among them. Arrays of whole numbers and truth values (a step count, which weights
            are pruned) are none. It must come through unharmed.
        fresh: a dict like ``params`` of finite numbers, also to be left alone.
        shrink: how much of the old weights stays, a float from 0 to 1.

    Returns:
        A nested dict like ``params``, with the new weights in their own dtypes, float16 among them,
        and what is no weight as it is in ``params``.

    Example:
        >>> params = {"bias": jnp.array([8.0, jnp.nan]), "step": jnp.array(7)}
        >>> fresh = {"bias": jnp.array([4.0, 6.0]), "step": jnp.array(0)}
        >>> new = shrink_and_perturb(params, fresh, 0.25)
        >>> new["bias"].tolist(), new["step"].tolist()
        ([5.0, 6.0], 7)
    """

    def drawn_back(old, new):
        if not jnp.issubdtype(old.dtype, jnp.floating):
            return old
        return jnp.where(jnp.isfinite(old), shrink * old + (1 - shrink) * new, new)

    return jax.tree.map(drawn_back, params, fresh)


Tree = Any
"""A nested dict of arrays."""


def challenge(rng: np.random.Generator) -> Challenge:
    body, head = map(str, rng.choice(PARTS, 2, replace=False))

    def layer(dtype: str, scale: float, inputs: int, outputs: int) -> dict[str, np.ndarray]:
        """Odd eighths, times a scale: exact also in float16, where the share is a half."""
        return {
            leaf: (scale * (2 * rng.integers(-8, 8, shape) + 1) / 8).astype(dtype)
            for leaf, shape in (("kernel", (inputs, outputs)), ("bias", (outputs,)))
        }

    def case(
        kind: str, shrink: float, dtype: str = "float32", scale: float = 1.0
    ) -> dict[str, Any]:
        trees: list[dict[str, Any]] = [
            {body: {"dense": layer(dtype, scale, 3, 5)}, head: layer("float32", scale, 5, 2)}
            for _ in range(2)
        ]
        params, fresh = trees
        params[head]["bias"][0] = 0.0
        for tree in trees:
            tree["gain"] = (scale * rng.uniform(1, 2, 1)).astype("float32")
        if kind == "others":
            for tree in trees:
                tree["step"] = rng.integers(3, 900, 1).astype(np.int32)
                tree["seen"] = rng.integers(3, 200, 2).astype(np.uint8)
                tree[body]["kept"] = rng.random((3, 5)) < 0.5
        fresh = dict(reversed(fresh.items()))
        return {"kind": kind, "params": params, "fresh": fresh, "shrink": shrink} | {
            "scale": scale, "library": "jax"
        }  # fmt: skip

    def broken(*values: float) -> dict[str, Any]:
        found = case("broken", share())
        for leaf in found["params"][body]["dense"].values():
            leaf[..., : len(values)] = values
        return found

    def share() -> float:
        return float(rng.uniform(0.15, 0.4))

    return {
        "a little is kept": case("plain", share()),
        "much is kept": case("plain", 1 - share()),
        "weights near 1e-20": case("plain", share(), scale=1e-20),
        "weights near 1e20": case("plain", share(), scale=1e20),
        "numpy arrays": case("plain", share()) | {"library": "numpy"},
        "nothing is kept": case("ends", 0.0),
        "all is kept": case("ends", 1.0),
        "NaN among the weights": broken(np.nan),
        "NaN and both infinities": broken(np.nan, np.inf, -np.inf),
        "an infinite weight, nothing is kept": broken(np.inf) | {"shrink": 0.0},
        "NaN, all is kept": broken(np.nan) | {"shrink": 1.0},
        "a step count and flags": case("others", share()),
        "a step count and flags, nothing is kept": case("others", 0.0),
        "a layer of float16": case("half", 0.5, "float16"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    make = np.array if inputs["library"] == "numpy" else jnp.array

    def given(tree: Mapping[str, Any]) -> Tree:
        """The tree in its library, in its order; one number has no dimensions there."""
        flat = flatten_dict(tree).items()
        return unflatten_dict({path: make(a[0] if a.shape == (1,) else a) for path, a in flat})

    trees = [given(inputs[name]) for name in ("params", "fresh")]
    before = [_flat(tree) for tree in trees]
    returned = candidate(*trees, inputs["shrink"])
    if not isinstance(returned, Mapping):
        return plain(returned)
    after = _flat(returned)
    pairs = zip(before, map(_flat, trees), strict=True)
    return {
        "kind": inputs["kind"],
        "weights": {n: a / inputs["scale"] for n, a in after.items() if _is_weight(before[0], n)},
        "others": {n: a for n, a in after.items() if not _is_weight(before[0], n)},
        "dtypes": {name: str(array.dtype) for name, array in after.items()},
        "changed": sorted({n for old, new in pairs for n in (*moved(old, new), *moved(new, old))}),
    }


def _flat(tree: Mapping[str, Any]) -> Arrays:
    flat = flatten_dict(tree, sep="/").items()
    return {name: np.atleast_1d(np.array(leaf)) for name, leaf in flat}


def _is_weight(given: Arrays, name: str) -> bool:
    return name in given and given[name].dtype.kind == "f"


def _mixed(seen: Evidence, expected: Evidence) -> Finding:
    return end_alike(seen["weights"], expected["weights"])


@claim(3, "Which two numbers make a new weight, and how much of each?", of_kind("plain", "half"))
def mixes_old_and_fresh(seen: Evidence, expected: Evidence) -> Finding:
    """Each weight is the given share of the old one plus the rest of the fresh one."""
    return _mixed(seen, expected)


@claim(1, "Which tree is left over at 0, and which at 1?", of_kind("ends"), mixes_old_and_fresh)
def is_one_of_them_at_the_ends(seen: Evidence, expected: Evidence) -> Finding:
    """With a share of 0 the weights are the fresh ones, with 1 the old ones."""
    return _mixed(seen, expected)


@claim(2, "What is 0.4 times NaN, and what is 0 times infinity?", of_kind("broken"))
def replaces_what_is_not_finite(seen: Evidence, expected: Evidence) -> Finding:
    """A weight that is NaN or infinite becomes the fresh one, and no other does."""
    return _mixed(seen, expected)


@claim(1, "Which leaves of the tree are not weights?", of_kind("others"), mixes_old_and_fresh)
def leaves_counts_and_flags(seen: Evidence, expected: Evidence) -> Finding:
    """Whole numbers and truth values stay as they are in params."""
    astray = moved(expected["others"], seen["others"])
    return not astray, f"other than before: {listed(astray)}"


@claim(1, "Which of your operations makes float32 of float16?", needs=mixes_old_and_fresh)
def keeps_dtypes(seen: Evidence, expected: Evidence) -> Finding:
    """Every array has the dtype that it had."""
    ours, right = seen["dtypes"], expected["dtypes"]
    off = [f"{name} is {ours.get(name)}" for name in right if ours.get(name) != right[name]]
    return not off, f"another dtype than before: {listed(off)}"


@claim(1, "Which of your lines write into what they are given?", needs=mixes_old_and_fresh)
def leaves_both_trees_alone(seen: Evidence, expected: Evidence) -> Finding:
    """params and fresh are as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def drawn(
    params: Tree,
    fresh: Tree,
    shrink: float,
    mixed: Part = lambda old, new, shrink: shrink * old + (1 - shrink) * new,
    is_weight: Part = lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating),
    sound: Part = jnp.isfinite,
    instead: Part = lambda new, shrink: new,
    whole: Part = lambda params, drawn: drawn,
) -> Tree:
    """The right answer in parts."""

    def one(old: Any, new: Any) -> Any:
        if not is_weight(old):
            return old
        return jnp.where(sound(old), mixed(old, new, shrink), instead(new, shrink))

    return whole(params, jax.tree.map(one, params, fresh))


def _written_into(params: Tree, drawn: Tree) -> Tree:
    params.update(drawn)
    return params


believing = beliefs_about(drawn)
BELIEFS = (
    believing(
        "The fresh weights are added to what is left.",
        "Added whole they make the weights larger from task to task. The two shares add up to 1.",
        "How large are your weights if old and fresh ones are the same?",
        mixed=lambda old, new, shrink: shrink * old + new,
    ),
    believing(
        "shrink says how much is taken away.",
        "It says how much of the old weights stays.",
        "Which weights does your function return for a shrink of 1?",
        mixed=lambda old, new, shrink: (1 - shrink) * old + shrink * new,
    ),
    believing(
        "Shrinking is what restores a network.",
        "A smaller dead unit is dead as before. What opens it are the fresh weights.",
        "What does your function use of fresh?",
        mixed=lambda old, new, shrink: shrink * old,
    ),
    believing(
        "A bias is no weight.",
        "A bias far below zero is what keeps a unit dead. It has to be drawn back too.",
        "Which leaves of the tree did your function change?",
        is_weight=lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.ndim > 1,
    ),
    believing(
        "Every leaf of a tree is a weight.",
        "A tree may hold a step count or flags as well. Mixed they are neither the old nor the "
        "fresh ones, and no whole numbers any more.",
        "What would 0.4 of a step count mean?",
        is_weight=lambda leaf: True,
    ),
    believing(
        "Anything is drawn back by a fresh weight.",
        "A share of NaN is NaN, and one of infinity infinity. They stay, in every new network.",
        "What is 0.4 * nan + 0.6 * 1?",
        sound=lambda leaf: True,
    ),
    believing(
        "NaN is what a diverged network holds.",
        "It may hold infinity too, and a share of that is infinity.",
        "What does isnan say of infinity?",
        sound=lambda leaf: ~jnp.isnan(leaf),
    ),
    believing(
        "One broken number spoils its layer.",
        "The other numbers of the layer are sound, and you threw them away.",
        "How many numbers of the layer are not finite?",
        sound=lambda leaf: jnp.isfinite(leaf).all(),
    ),
    believing(
        "A broken weight counts as 0.",
        "Then its place gets a part of the fresh weight only. The task gives it the whole one.",
        "What does your function return where the old weight is NaN and the fresh one is 1?",
        instead=lambda new, shrink: (1 - shrink) * new,
    ),
    believing(
        "Arithmetic is done in float32.",
        "A layer that was stored in float16 comes back twice as large, and the next step of a "
        "compiled training loop is compiled anew.",
        "Which dtype had the layer before?",
        mixed=lambda old, new, shrink: (shrink * old + (1 - shrink) * new).astype(jnp.float32),
    ),
    believing(
        "The old tree is not needed any more.",
        "Whoever called you may have kept it, as the best network so far. You wrote into its dict.",
        "Is the dict that you return the one that you were given?",
        whole=_written_into,
    ),
)

EXERCISE = Exercise(
    reference=shrink_and_perturb,
    challenge=challenge,
    observe=observe,
    hints=(
        "jax.tree.map(function, params, fresh) calls function(old, new) for the leaves at the same "
        "place. What should it return for one pair?",
        "jnp.issubdtype(old.dtype, jnp.floating) tells weights from counts and flags.",
        "jnp.where(condition, one, other) chooses number by number, and a NaN that is not chosen "
        "does no harm.",
    ),
    lesson="08_unlocking",
    section="Losing plasticity",
    frameworks=("jax",),
    minutes=10,
    difficulty=2,
    note="After this the optimizer's averages belong to other weights: start it anew with "
    "optimizer.init, as the lesson does. A share of 1 is a warm start, one of 0 a cold one.",
)
