"""An optax transformation under which pruned entries are zero, and nothing leaks back (JAX)."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from grader.instruments import pruned_steps
from grader.instruments.moves import Arrays
from grader.instruments.optax_state import handed_back, handed_over, names_of, trained
from grader.judging.exercise import Exercise, beliefs_about
from grader.judging.terms import Candidate, Challenge, Evidence, Inputs, Part


def hold_pruned(optimizer, kept):
    """Build an optimizer under which pruned weights are at zero after every step.

    The optimizer that you are given has trained the dense network for some steps. Now your
    transformation takes over. The averages gathered so far are not lost: the checker copies them
    into the state that your ``init(params)`` makes, those of pruned entries too.

    Args:
        optimizer: an ``optax.GradientTransformation`` that treats each entry by itself, for
            instance ``optax.adamw(0.01)``.
        kept: nested dict of bool arrays like the parameters, True where a weight stays.

    Returns:
        An ``optax.GradientTransformation``; its ``update`` is always given the parameters. After
        ``optax.apply_updates`` every pruned weight is exactly 0, whatever number it, its gradient
        or its average was, NaN gradients included. The new state holds 0 for it wherever
        ``optimizer`` stores a number for each weight: opened again, it starts afresh. All other
        weights train exactly as under ``optimizer``.

    Example:
        >>> params = {"kernel": jnp.array([1.0, 2.0])}
        >>> optimizer = hold_pruned(optax.sgd(0.5), {"kernel": jnp.array([True, False])})
        >>> gradients, state = {"kernel": jnp.array([1.0, 1.0])}, optimizer.init(params)
        >>> updates, state = optimizer.update(gradients, state, params)
        >>> optax.apply_updates(params, updates)["kernel"].tolist()
        [0.5, 0.0]
    """

    def clear(leaf, keep):
        return jnp.where(keep, leaf, 0)

    def update(updates, state, params):
        moves, state = optimizer.update(updates, state, params)
        moves = jax.tree.map(lambda keep, move, at: jnp.where(keep, move, -at), kept, moves, params)
        return moves, optax.tree.map_params(optimizer, clear, state, kept)

    return optax.GradientTransformation(optimizer.init, update)


def challenge(rng: np.random.Generator) -> Challenge:
    shared = pruned_steps.cases(rng)
    third = pruned_steps.with_adamw(pruned_steps.run(rng), rng) | {"optimizer": "amsgrad"}
    del third["settings"]["weight_decay"]
    return {**shared, "Adam with a third average": third}


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    optimizer = getattr(optax, inputs["optimizer"])(**inputs["settings"])
    kept, params = (jax.tree.map(jnp.asarray, inputs[key]) for key in ("kept", "params"))
    params, warm = trained(optimizer, params, optimizer.init(params), inputs["warmup"])
    params = jax.tree.map(lambda at, zero: jnp.where(zero, 0, at), params, inputs["zeros"])
    transformation = candidate(optimizer, kept)
    if transformation is None:
        return None
    state = handed_over(warm, transformation.init(params))
    course = pruned_steps.Course(pruned_steps.flat(inputs["kept"]))
    for gradient in inputs["gradients"]:
        params, state = trained(transformation, params, state, [gradient])
        course.stepped(_arrays(params))
    state = handed_back(state, optimizer.init(params))
    return course.evidence(_arrays(trained(optimizer, params, state, [inputs["params"]])[0]))


def _arrays(params: Mapping[str, Any]) -> Arrays:
    return pruned_steps.flat(params)


CLAIMS = pruned_steps.CLAIMS
Tree = Any
"""A nested dict of arrays."""


def _chosen(keep: Any, leaf: Any) -> Any:
    return jnp.where(keep, leaf, 0)


def _as_it_is(keep: Any, leaf: Any) -> Any:
    return leaf


def _to_zero(keep: Any, move: Any, at: Any) -> Any:
    return jnp.where(keep, move, -at)


def _squares_stay(state: Tree, clear: Part) -> Tree:
    """Clear all but Adam's averages of squares, its field "nu"."""

    def choose(keys: Any, old: Any, new: Any) -> Any:
        return old if "nu" in names_of(keys) else new

    return jax.tree.map_with_path(choose, state, clear(state))


def held(
    optimizer: optax.GradientTransformation,
    kept: Tree,
    stays: Part = lambda keep, at: keep,
    given: Part = _as_it_is,
    move: Part = _to_zero,
    state_after: Part = lambda state, clear: clear(state),
    clear: Part = _chosen,
) -> optax.GradientTransformation:
    """The right answer in parts."""

    def update(updates: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        flags = jax.tree.map(stays, kept, params)
        updates, state = optimizer.update(jax.tree.map(given, flags, updates), state, params)
        moves = jax.tree.map(move, flags, updates, params)

        def cleared(state: Tree) -> Tree:
            return optax.tree.map_params(optimizer, lambda a, k: clear(k, a), state, flags)

        return moves, state_after(state, cleared)

    return optax.GradientTransformation(optimizer.init, update)


def _never(state: Tree, clear: Part) -> Tree:
    return state


STAYS = (
    "An update of 0 leaves a pruned weight at 0.",
    "It leaves the weight where it was, and it was not 0 yet.",
    "Which number has to be added to a weight of 0.3, so that it becomes 0?",
)
believing = beliefs_about(held)
BELIEFS = (  # one that shows in two ways is there twice
    believing(
        *pruned_steps.GRADIENT_ONLY,
        given=_chosen,
        move=lambda keep, move, at: move,
        state_after=_never,
    ),
    believing(*STAYS, move=lambda keep, move, at: jnp.where(keep, move, 0)),
    believing(*STAYS, move=lambda keep, move, at: jnp.where(keep, move, 0), state_after=_never),
    believing(
        *pruned_steps.TIMES_ZERO,
        move=lambda keep, move, at: move * (1.0 * keep) - at * (1.0 * ~keep),
    ),
    believing(*pruned_steps.TIMES_ZERO, clear=lambda keep, leaf: leaf * (1.0 * keep)),
    believing(*pruned_steps.NO_MEMORY, state_after=_never),
    believing(
        "Averages of zeros need no clearing.",
        "Where the gradient is 0 an average shrinks by a tenth a step, or by a thousandth, and it "
        "is not 0. An opened weight is pushed by what is left of it.",
        "How many steps does 0.999 take to come down to a tenth?",
        given=_chosen,
        state_after=_never,
    ),
    believing(
        *pruned_steps.ALL_FORGOTTEN,
        state_after=lambda state, clear: jax.tree.map(jnp.zeros_like, state),
    ),
    believing(*pruned_steps.NONZERO, stays=lambda keep, at: jnp.where(keep, at, 0) != 0),
    believing(*pruned_steps.FIRST_MOMENT, state_after=_squares_stay),
    believing(*pruned_steps.UPSIDE_DOWN, stays=lambda keep, at: ~keep),
)

EXERCISE = Exercise(
    reference=hold_pruned,
    challenge=challenge,
    observe=observe,
    hints=(
        "A transformation is two functions, init and update. Call those of the optimizer inside "
        "your own, and put right what they return.",
        "An update is added to its weight. Which update takes a weight to 0, whatever it is? "
        "jnp.where(keep, a, b) chooses entry by entry, and a NaN that is not chosen does no harm.",
        "optax.tree.map_params(optimizer, function, state, kept) calls function(leaf, keep) for "
        "each part of the state that is shaped like the parameters, and leaves all others.",
    ),
    lesson="05_pruning",
    section="Where the lock must act",
    frameworks=("jax",),
    minutes=25,
    difficulty=4,
    twin="step_and_hold",
    note="A step in JAX changes nothing: it returns an update, and whoever adds it decides. So the "
    "lock is in the update. 0.3 + (-0.3) is exactly 0, in every floating-point format.",
)
