"""One SGD step that does not move the first dense layer (JAX, Flax linen).

The function returns three numbers, and three numbers cannot show whether the bias stayed. So the
run is watched too: among all trees of parameters that any function made on the way, the last one
that a step can have led to is taken for the parameters after the step.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen
from numpy.random import Generator

from grader.instruments.watched_runs import moved_between, watched_step
from grader.instruments.words import listed
from grader.judging.evidence import alike, numbers, told_apart
from grader.judging.exercise import Exercise, beliefs_about, claim
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def freeze_first_dense(seed, x, y, lr):
    """Take one SGD step with the first dense layer frozen, and prove that it did not move.

    Build the MLP ``Dense(8) -> relu -> Dense(1)`` in Flax linen with ``@linen.compact``, so that
    Flax names its layers ``Dense_0`` and ``Dense_1``. Initialise it with
    ``jax.random.key(int(seed))``. The loss is the mean squared error between the N predictions and
    the N targets. Take ONE step of plain gradient descent, ``p - lr * gradient``, in which
    ``Dense_0``, kernel and bias, is frozen: zero its gradients by their path in the pytree before
    they reach the parameters.

    Args:
        seed: float, cast to int for the key.
        x: inputs, float32, shape (N, D).
        y: targets, float32, shape (N,).
        lr: learning rate, float.

    Returns:
        Array of shape (3,): the loss before the step, the Euclidean norm of the kernel of
        ``Dense_0`` after the step, and that norm before it. The two norms are equal to the bit.

    Example:
        >>> x, y = jnp.zeros((2, 3)), jnp.array([1.0, 3.0])
        >>> loss, after, before = freeze_first_dense(0.0, x, y, 0.1)
        >>> float(loss), bool(after == before)
        (5.0, True)
    """

    class MLP(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.relu(linen.Dense(8)(x))
            return linen.Dense(1)(x)[:, 0]

    def loss_of(params):
        return jnp.mean((MLP().apply({"params": params}, x) - y) ** 2)

    def zero_if_frozen(path, gradient):
        return jnp.zeros_like(gradient) if path[0].key == "Dense_0" else gradient

    params = MLP().init(jax.random.key(int(seed)), x)["params"]
    loss, gradients = jax.value_and_grad(loss_of)(params)
    gradients = jax.tree_util.tree_map_with_path(zero_if_frozen, gradients)
    stepped = jax.tree.map(lambda p, g: p - lr * g, params, gradients)
    norms = (jnp.linalg.norm(tree["Dense_0"]["kernel"]) for tree in (stepped, params))
    return jnp.stack([loss, *norms])


def challenge(rng: Generator) -> Challenge:
    x, y = rng.normal(size=(5, 3)), 3 + rng.normal(size=5)
    return {
        "five samples": {
            "seed": float(rng.integers(1, 1000)) + 0.5,
            "x": x.astype(np.float32),
            "y": y.astype(np.float32),
            "lr": float(rng.uniform(0.05, 0.1)),
        }
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    x, y = jnp.asarray(inputs["x"]), jnp.asarray(inputs["y"])
    returned, step = watched_step(candidate, (inputs["seed"], x, y, inputs["lr"]))
    before, after = step or ({}, {})
    head = [path for path in sorted(before) if path.startswith("Dense_1/")]
    return {
        "returned": None if returned is None else jnp.asarray(returned),
        "moved": listed(moved_between(before, after)) if step else None,
        "head": np.concatenate([[], *((after[p] - before[p]).ravel() for p in head)]).tolist(),
    }


@claim(2, "Which parameters, and which shapes, meet in your loss?")
def loss_is_from_before(seen: Evidence, expected: Evidence) -> Finding:
    """The first number is the mean squared error before the step, one term for each sample."""
    loss, right = seen["returned"][0], expected["returned"][0]
    ours, due = told_apart(loss, right)
    return alike(loss, right), f"the loss you return is {ours}, not {due}"


@claim(1, "At which moment, and of which layer, is it the norm?")
def norm_is_the_initial_one(seen: Evidence, expected: Evidence) -> Finding:
    """The third number is the norm of the kernel of Dense_0 as it was initialised."""
    norm, right = seen["returned"][2], expected["returned"][2]
    ours, due = told_apart(norm, right)
    return alike(norm, right), f"the norm before is {ours}, that of the start {due}"


@claim(
    2, "Which line of yours keeps the kernel of Dense_0 where it is?", needs=norm_is_the_initial_one
)
def norms_are_equal(seen: Evidence, expected: Evidence) -> Finding:
    """The norm of the kernel of Dense_0 after the step equals the norm before it, to the bit."""
    after, before = seen["returned"][1], seen["returned"][2]
    start, end = told_apart(before, after)
    return bool(after == before), f"the norm went from {start} to {end}"


@claim(2, "Which paths does your step leave a gradient of zero?", needs=norm_is_the_initial_one)
def only_the_head_moved(seen: Evidence, expected: Evidence) -> Finding:
    """The step moves both parameters of Dense_1 and neither the kernel nor the bias of Dense_0."""
    if seen["moved"] is None:
        return False, "the run made no pytree of both layers in which a step had been taken"
    return seen["moved"] == expected["moved"], f"the step moved {seen['moved']}"


@claim(1, "What does one step of yours add to each parameter?")
def step_is_plain_descent(seen: Evidence, expected: Evidence) -> Finding:
    """The step takes Dense_1 once from p to p - lr * gradient."""
    step, right = seen["head"], expected["head"]
    if not step:
        return False, "no step of a Dense_1 was seen"
    words = f"your Dense_1 moved by {numbers(step, 3)}, plain descent moves it by"
    return alike(step, right), f"{words} {numbers(right, 3)}"


class MLP(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = linen.relu(linen.Dense(8)(x))
        return linen.Dense(1)(x)[:, 0]


class NestedMLP(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return linen.Dense(1)(linen.relu(linen.Dense(8)(x)))[:, 0]


class ColumnMLP(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = linen.relu(linen.Dense(8)(x))
        return linen.Dense(1)(x)


def reported(
    seed: float,
    x: jax.Array,
    y: jax.Array,
    lr: float,
    mlp: Any = MLP,
    is_frozen: Part = lambda path: path.startswith("Dense_0/"),
    frozen: Part = lambda path, leaf: leaf,
    descent: Part = lambda leaf, change: leaf - change,
    of_loss: Part = lambda before, after: before,
    of_norms: Part = lambda before, after: (after, before),
) -> jax.Array:
    """The right answer in parts."""

    def loss(params: Any) -> jax.Array:
        return jnp.mean((mlp().apply({"params": params}, x) - y) ** 2)

    def step(keys: Any, leaf: jax.Array, gradient: jax.Array) -> jax.Array:
        path = "/".join(key.key for key in keys)
        return frozen(path, leaf) if is_frozen(path) else descent(leaf, lr * gradient)

    before = mlp().init(jax.random.key(int(seed)), x)["params"]
    after = jax.tree_util.tree_map_with_path(step, before, jax.grad(loss)(before))
    norms = (jnp.linalg.norm(tree["Dense_0"]["kernel"]) for tree in of_norms(before, after))
    return jnp.stack([loss(of_loss(before, after)), *norms])


believing = beliefs_about(reported)
BELIEFS = (
    believing(
        "To freeze a layer is to set its kernel to zero.",
        "Zeroing the kernel moves it all the way to zero and wipes out what it had learned. "
        "Frozen means that it keeps its value.",
        "If a layer is to keep its value under p - lr * g, which of the three must be zero?",
        frozen=lambda path, leaf: jnp.zeros_like(leaf) if path.endswith("kernel") else leaf,
    ),
    believing(
        "A freeze that freezes nothing would say so.",
        "All of Dense_0 moved. Either no gradient was zeroed, or the name that you compare "
        "with, dense_0 for instance, is that of no path, and then no error is raised.",
        "What does jax.tree_util.tree_map_with_path show you if you print every path?",
        is_frozen=lambda path: path.startswith("dense_0/"),
    ),
    believing(
        "A layer is its kernel.",
        "Dense_0 has a bias as well. The norm of the kernel cannot see it, and it moved.",
        "How many leaves lie below Dense_0?",
        is_frozen=lambda path: path == "Dense_0/kernel",
    ),
    believing(
        "The layer to freeze is the one nearest to the output.",
        "The head is what is left to train here; with it frozen, the step moved Dense_0.",
        "Which of the two layers does the input meet first?",
        is_frozen=lambda path: path.startswith("Dense_1/"),
    ),
    believing(
        "Two equal norms prove a freeze, whenever they were taken.",
        "Both norms were taken after the step. They would be equal for any step at all, and "
        "here the kernel moved.",
        "What must you hold on to before the step, so that there is something to compare?",
        is_frozen=lambda path: False,
        of_norms=lambda before, after: (after, after),
    ),
    believing(
        "If nothing moves, the freeze worked.",
        "No step was taken, or one that moves nothing. A freeze shows "
        "only when something else moves beside it.",
        "Which parameters should be different after your step?",
        is_frozen=lambda path: True,
    ),
    believing(
        "The gradient leads to where the loss is lower.",
        "It leads to where the loss is higher. You added it, so the head climbed.",
        "What becomes of the loss if you evaluate it once more, after your step?",
        descent=lambda leaf, change: leaf + change,
    ),
    believing(
        "The loss of a step is the loss after it.",
        "The gradient belongs to the loss before the step, and that is the one to report.",
        "What does jax.value_and_grad return beside the gradient, and for which parameters?",
        of_loss=lambda before, after: after,
    ),
    believing(
        "Predictions of shape (N, 1) and targets of shape (N,) subtract row by row.",
        "They broadcast to (N, N): every prediction meets every target, and the mean is "
        "taken over all the pairs.",
        "What is the shape of the difference before you square it?",
        mlp=ColumnMLP,
    ),
    believing(
        "Flax numbers layers in the order in which the data meets them.",
        "Flax numbers them in the order of construction. In Dense(1)(relu(Dense(8)(x))) "
        "Python builds Dense(1) first, so the head became Dense_0.",
        "What is the shape of the kernel of your Dense_0?",
        mlp=NestedMLP,
    ),
)

EXERCISE = Exercise(
    reference=freeze_first_dense,
    challenge=challenge,
    observe=observe,
    hints=(
        "Print the pytree of parameters once. Which paths are there, and how many leaves?",
        "jax.tree_util.tree_map_with_path calls your function with (path, leaf) for each leaf; "
        "path[0].key is the layer's name.",
        "Give the gradients to that function: zeros_like for the leaves of Dense_0, the gradient "
        "itself for the rest. Then one jax.tree.map takes the step.",
    ),
    lesson="04_explicit_freezing",
    section="Zeroing gradients on a pytree by path",
    frameworks=("jax",),
    minutes=20,
    difficulty=3,
    note="Equal norms were asked for, yet they prove little: a rotation keeps a norm, too. The "
    "checker watched the step itself. The lesson's section on proof says what else to compare.",
)
