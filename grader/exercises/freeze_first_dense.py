"""One SGD step that does not move the first dense layer (JAX, Flax linen).

The function returns three numbers, and three numbers cannot show whether the bias stayed. So the
run is watched too: among all trees of parameters that any function made on the way, the last one
that a step can have led to is taken for the parameters after the step.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from grader.evidence import alike, number, numbers
from grader.exercise import Claim, Exercise, Misconception
from grader.watch import moved_between, watched_step


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


def challenge(rng):
    def case(samples):
        return {
            "seed": float(rng.integers(1, 1000)) + 0.5,
            "x": rng.normal(size=(samples, 3)).astype(np.float32),
            "y": (3 + rng.normal(size=samples)).astype(np.float32),
            "lr": float(rng.uniform(0.05, 0.1)),
        }

    return {"five samples": case(5)}


def observe(candidate, inputs):
    x, y = jnp.asarray(inputs["x"]), jnp.asarray(inputs["y"])
    arguments = (inputs["seed"], x, y, inputs["lr"])
    returned, step = watched_step(candidate, arguments)
    before, after = step or ({}, {})
    head = [path for path in sorted(before) if path.startswith("Dense_1/")]
    return {
        "returned": None if returned is None else jnp.asarray(returned),
        "moved": ", ".join(moved_between(before, after)) if step else None,
        "head": np.concatenate([[], *((after[p] - before[p]).ravel() for p in head)]).tolist(),
    }


def loss_is_from_before(seen, expected):
    """The first number is the mean squared error before the step, one term for each sample."""
    loss, right = seen["returned"][0], expected["returned"][0]
    return alike(loss, right), f"the loss you return is {number(loss)}, not {number(right)}"


def norm_is_the_initial_one(seen, expected):
    """The third number is the norm of the kernel of Dense_0 as it was initialised."""
    norm, right = seen["returned"][2], expected["returned"][2]
    words = f"the norm before is {number(norm)}, that of the start {number(right)}"
    return alike(norm, right), words


def norms_are_equal(seen, expected):
    """The norm of the kernel of Dense_0 after the step equals the norm before it, to the bit."""
    after, before = seen["returned"][1], seen["returned"][2]
    return bool(after == before), f"the norm went from {before:.6g} to {after:.6g}"


def only_the_head_moved(seen, expected):
    """The step moves both parameters of Dense_1 and neither the kernel nor the bias of Dense_0."""
    if seen["moved"] is None:
        return False, "the run made no pytree of both layers in which a step had been taken"
    return seen["moved"] == expected["moved"], f"the step moved {seen['moved']}"


def step_is_plain_descent(seen, expected):
    """The step takes Dense_1 once from p to p - lr * gradient."""
    step, right = seen["head"], expected["head"]
    if not step:
        return False, "no step of a Dense_1 was seen"
    words = f"your Dense_1 moved by {numbers(step, 3)}, plain descent moves it by"
    return alike(step, right), f"{words} {numbers(right, 3)}"


class _MLP(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Dense(8)(x))
        return linen.Dense(1)(x)[:, 0]


class _NestedMLP(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(1)(linen.relu(linen.Dense(8)(x)))[:, 0]


class _ColumnMLP(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Dense(8)(x))
        return linen.Dense(1)(x)


def _run(seed, x, y, lr, frozen, mlp=_MLP):
    """Params before and after a step with the leaves in `frozen` held, the loss of params."""

    def loss_of(params):
        return jnp.mean((mlp().apply({"params": params}, x) - y) ** 2)

    def step(path, leaf, gradient):
        return leaf if "/".join(key.key for key in path) in frozen else leaf - lr * gradient

    before = mlp().init(jax.random.key(int(seed)), x)["params"]
    gradients = jax.grad(loss_of)(before)
    after = jax.tree_util.tree_map_with_path(step, before, gradients)
    return before, after, loss_of


FIRST = ("Dense_0/kernel", "Dense_0/bias")


def _report(loss, after, before):
    norms = (jnp.linalg.norm(tree["Dense_0"]["kernel"]) for tree in (after, before))
    return jnp.stack([loss, *norms])


def zero_the_kernel(seed, x, y, lr):
    before, after, loss_of = _run(seed, x, y, lr, FIRST)
    zeroed = {**after["Dense_0"], "kernel": jnp.zeros_like(after["Dense_0"]["kernel"])}
    return _report(loss_of(before), {**after, "Dense_0": zeroed}, before)


def look_for_a_lower_case_name(seed, x, y, lr):
    before, after, loss_of = _run(seed, x, y, lr, ("dense_0/kernel", "dense_0/bias"))
    return _report(loss_of(before), after, before)


def freeze_the_kernel_only(seed, x, y, lr):
    before, after, loss_of = _run(seed, x, y, lr, ("Dense_0/kernel",))
    return _report(loss_of(before), after, before)


def freeze_the_head(seed, x, y, lr):
    before, after, loss_of = _run(seed, x, y, lr, ("Dense_1/kernel", "Dense_1/bias"))
    return _report(loss_of(before), after, before)


def take_both_norms_after(seed, x, y, lr):
    before, after, loss_of = _run(seed, x, y, lr, ())
    return _report(loss_of(before), after, after)


def take_no_step(seed, x, y, lr):
    before = _MLP().init(jax.random.key(int(seed)), x)["params"]
    loss = jnp.mean((_MLP().apply({"params": before}, x) - y) ** 2)
    return _report(loss, before, before)


def climb(seed, x, y, lr):
    before, after, loss_of = _run(seed, x, y, -lr, FIRST)
    return _report(loss_of(before), after, before)


def take_the_loss_after(seed, x, y, lr):
    before, after, loss_of = _run(seed, x, y, lr, FIRST)
    return _report(loss_of(after), after, before)


def subtract_a_row_from_a_column(seed, x, y, lr):
    before, after, loss_of = _run(seed, x, y, lr, FIRST, _ColumnMLP)
    return _report(loss_of(before), after, before)


def nest_the_layers(seed, x, y, lr):
    before, after, loss_of = _run(seed, x, y, lr, FIRST, _NestedMLP)
    return _report(loss_of(before), after, before)


EXERCISE = Exercise(
    reference=freeze_first_dense,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(loss_is_from_before, 2, "Which parameters, and which shapes, meet in your loss?"),
        Claim(norm_is_the_initial_one, 1, "At which moment, and of which layer, is it the norm?"),
        Claim(norms_are_equal, 2, "Which line of yours keeps the kernel of Dense_0 where it is?"),
        Claim(only_the_head_moved, 2, "Which paths does your step leave a gradient of zero?"),
        Claim(step_is_plain_descent, 1, "What does one step of yours add to each parameter?"),
    ),
    misconceptions=(
        Misconception(
            "To freeze a layer is to set its kernel to zero.",
            "Zeroing the kernel moves it all the way to zero and wipes out what it had learned. "
            "Frozen means that it keeps its value.",
            "If a layer is to keep its value under p - lr * g, which of the three must be zero?",
            zero_the_kernel,
        ),
        Misconception(
            "A freeze that freezes nothing would say so.",
            "All of Dense_0 moved. Either no gradient was zeroed, or the name that you compare "
            "with, dense_0 for instance, is that of no path, and then no error is raised.",
            "What does jax.tree_util.tree_map_with_path show you if you print every path?",
            look_for_a_lower_case_name,
        ),
        Misconception(
            "A layer is its kernel.",
            "Dense_0 has a bias as well. The norm of the kernel cannot see it, and it moved.",
            "How many leaves lie below Dense_0?",
            freeze_the_kernel_only,
        ),
        Misconception(
            "The layer to freeze is the one nearest to the output.",
            "The head is what is left to train here; with it frozen, the step moved Dense_0.",
            "Which of the two layers does the input meet first?",
            freeze_the_head,
        ),
        Misconception(
            "Two equal norms prove a freeze, whenever they were taken.",
            "Both norms were taken after the step. They would be equal for any step at all, and "
            "here the kernel moved.",
            "What must you hold on to before the step, so that there is something to compare?",
            take_both_norms_after,
        ),
        Misconception(
            "If nothing moves, the freeze worked.",
            "No step was taken. A freeze shows only when something else moves beside it.",
            "Which parameters should be different after your step?",
            take_no_step,
        ),
        Misconception(
            "The gradient leads to where the loss is lower.",
            "It leads to where the loss is higher. You added it, so the head climbed.",
            "What becomes of the loss if you evaluate it once more, after your step?",
            climb,
        ),
        Misconception(
            "The loss of a step is the loss after it.",
            "The gradient belongs to the loss before the step, and that is the one to report.",
            "What does jax.value_and_grad return beside the gradient, and for which parameters?",
            take_the_loss_after,
        ),
        Misconception(
            "Predictions of shape (N, 1) and targets of shape (N,) subtract row by row.",
            "They broadcast to (N, N): every prediction meets every target, and the mean is "
            "taken over all the pairs.",
            "What is the shape of the difference before you square it?",
            subtract_a_row_from_a_column,
        ),
        Misconception(
            "Flax numbers layers in the order in which the data meets them.",
            "Flax numbers them in the order of construction. In Dense(1)(relu(Dense(8)(x))) "
            "Python builds Dense(1) first, so the head became Dense_0.",
            "What is the shape of the kernel of your Dense_0?",
            nest_the_layers,
        ),
    ),
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
    note="Equal norms were asked for, yet they prove little: a rotation keeps a norm, too. The "
    "checker watched the step itself. The lesson's section on proof says what else to compare.",
)
