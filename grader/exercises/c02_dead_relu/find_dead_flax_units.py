"""Dead units of a Flax layer under any activation, over a whole loader (JAX)."""

import jax
import jax.numpy as jnp
from flax import linen

from grader.instruments import dead_units
from grader.judging.exercise import Exercise, Misconception


def find_dead_flax_units(layer, params, activation, loader):
    """Find the units of a Flax layer that are dead on all the data.

    A unit is dead if the derivative of the activation is exactly zero at its pre-activation, on
    every sample of every batch. What ``jax.grad`` gives is the derivative, also where a function
    has a kink. A derivative of 0.00001 is not zero.

    Args:
        layer: a ``linen.Dense``. ``layer.apply({"params": params}, x)`` maps inputs of shape
            (N, D) to pre-activations of shape (N, H).
        params: its parameters, a dict with "kernel" and "bias".
        activation: any function of arrays that treats each number by itself: ``jax.nn.relu``, …
        loader: gives batches (x, y), with x of shape (N, D). The last may be smaller. It may be
            possible to walk through it only once. There is at least one batch.

    Returns:
        Bool array of shape (H,), True for a dead unit.
    """
    dead = True
    for x, _ in loader:
        z = layer.apply({"params": params}, x)
        slope = jax.grad(lambda z: activation(z).sum())(z)
        dead = dead & (slope == 0).all(0)
    return dead


@jax.jit  # one compilation in place of one for each operation
def _leaky_relu(z):
    return jnp.where(z > 0, z, 0.01 * z)


@jax.jit
def _softshrink(z):
    return jnp.where(jnp.abs(z) > 0.5, z - 0.5 * jnp.sign(z), 0.0)


ACTIVATIONS = {
    "relu": jax.nn.relu,
    "leaky_relu": _leaky_relu,
    "relu6": jax.nn.relu6,
    "softshrink": _softshrink,
    "sigmoid": jax.nn.sigmoid,
    "abs": jnp.abs,
}


def observe(candidate, inputs):
    params = {name: jnp.asarray(inputs[name]) for name in ("kernel", "bias")}
    layer = linen.Dense(len(params["bias"]))
    loader = dead_units.batches(inputs, jnp.asarray)
    returned = candidate(layer, params, ACTIVATIONS[inputs["activation"]], loader)
    return {
        "activation": inputs["activation"],
        "once": inputs["once"],
        "dead": dead_units.as_row(returned),
    }


def _slopes(layer, params, activation, loader):
    """The derivative on each batch."""
    for x, _ in loader:
        z = layer.apply({"params": params}, x)
        yield jax.grad(lambda z: activation(z).sum())(z)


def _values(layer, params, loader, function):
    """All values that a function of the pre-activations has on the data."""
    return jnp.concatenate([function(layer.apply({"params": params}, x)) for x, _ in loader])


def ask_for_an_output_above_zero(layer, params, activation, loader):
    return (_values(layer, params, loader, activation) <= 0).all(0)


def ask_for_an_output_of_zero(layer, params, activation, loader):
    return (_values(layer, params, loader, activation) == 0).all(0)


def ask_for_a_pre_activation_above_zero(layer, params, activation, loader):
    return (_values(layer, params, loader, lambda z: z) <= 0).all(0)


def look_at_the_first_batch(layer, params, activation, loader):
    return (next(_slopes(layer, params, activation, loader)) == 0).all(0)


def look_at_the_last_batch(layer, params, activation, loader):
    *_, last = _slopes(layer, params, activation, loader)
    return (last == 0).all(0)


def count_a_unit_dead_on_any_batch(layer, params, activation, loader):
    dead = [(slope == 0).all(0) for slope in _slopes(layer, params, activation, loader)]
    return jnp.stack(dead).any(0)


def call_small_zero(layer, params, activation, loader):
    slopes = jnp.concatenate([*_slopes(layer, params, activation, loader)])
    return (jnp.abs(slopes) < 0.001).all(0)


def ask_the_bias(layer, params, activation, loader):
    def total(params, x):
        return activation(layer.apply({"params": params}, x)).sum()

    return sum(jax.grad(total)(params, x)["bias"] for x, _ in loader) == 0


def mark_the_living(layer, params, activation, loader):
    slopes = jnp.concatenate([*_slopes(layer, params, activation, loader)])
    return (slopes != 0).any(0)


EXERCISE = Exercise(
    reference=find_dead_flax_units,
    challenge=dead_units.cases,
    observe=observe,
    claims=dead_units.CLAIMS,
    misconceptions=(
        Misconception(*dead_units.OUTPUT_ABOVE_ZERO, specimen=ask_for_an_output_above_zero),
        Misconception(*dead_units.OUTPUT_ZERO, specimen=ask_for_an_output_of_zero),
        Misconception(*dead_units.PRE_ACTIVATION, specimen=ask_for_a_pre_activation_above_zero),
        Misconception(*dead_units.FIRST_BATCH, specimen=look_at_the_first_batch),
        Misconception(*dead_units.LAST_BATCH, specimen=look_at_the_last_batch),
        Misconception(*dead_units.ANY_BATCH, specimen=count_a_unit_dead_on_any_batch),
        Misconception(*dead_units.SMALL, specimen=call_small_zero),
        Misconception(
            "A unit is dead if its bias gets no gradient.",
            "The gradient of the bias adds the slopes of all samples. Slopes of -1 and 1 cancel "
            "in it, and each of them still lets its sample through.",
            "What do you know about two numbers if you know their sum only?",
            ask_the_bias,
        ),
        Misconception(*dead_units.LIVING, specimen=mark_the_living),
    ),
    hints=(
        "jax.grad wants a function with one number as its value. Which number made of "
        "activation(z) has the slope of each unit and sample as its gradient?",
        "jax.grad(lambda z: activation(z).sum())(z) has the shape of z, one slope for each sample "
        "and unit.",
        "A unit is dead on a batch if all its slopes there equal 0. It is dead on the data if it "
        "is dead on the first batch and on the second and on every other.",
    ),
    lesson="02_dead_relu",
    section="Zero output is not zero derivative",
    frameworks=("jax",),
    minutes=15,
    note="In JAX the activation is differentiated and the layer is not: there is no graph to cut "
    "and no gradient that could stay behind.",
    twin="find_dead_units",
)
