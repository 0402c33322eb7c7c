"""Dead units of a Flax layer under any activation, over a whole loader (JAX)."""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
from flax import linen
from jax import Array

from grader.instruments import dead_units
from grader.judging.exercise import Exercise, beliefs_about
from grader.judging.terms import Candidate, Evidence, Inputs, Part


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
        loader: gives batches (x, y), with x of shape (N, D); y plays no part. The last batch may be
            smaller. It may be possible to walk through it only once. There is at least one batch.

    Returns:
        Bool array of shape (H,), True for a dead unit.

    Example:
        >>> params = {"kernel": jnp.array([[1.0, 1.0]]), "bias": jnp.array([0.0, -9.0])}
        >>> loader = [(jnp.array([[-1.0], [-2.0]]), None), (jnp.array([[3.0]]), None)]
        >>> find_dead_flax_units(linen.Dense(2), params, jax.nn.relu, loader).tolist()
        [False, True]
    """
    dead = True
    for x, _ in loader:
        z = layer.apply({"params": params}, x)
        slope = jax.grad(lambda z: activation(z).sum())(z)
        dead = dead & (slope == 0).all(0)
    return dead


@jax.jit  # one compilation in place of one for each operation
def _leaky_relu(z: Array) -> Array:
    return jnp.where(z > 0, z, 0.01 * z)


@jax.jit
def _softshrink(z: Array) -> Array:
    return jnp.where(jnp.abs(z) > 0.5, z - 0.5 * jnp.sign(z), 0.0)


ACTIVATIONS = {
    "relu": jax.nn.relu,
    "leaky_relu": _leaky_relu,
    "relu6": jax.nn.relu6,
    "softshrink": _softshrink,
    "sigmoid": jax.nn.sigmoid,
    "abs": jnp.abs,
}


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    params = {name: jnp.asarray(inputs[name]) for name in ("kernel", "bias")}
    layer = linen.Dense(len(params["bias"]))
    loader = dead_units.loader(inputs, list(dead_units.batches(inputs, jnp.asarray)))
    returned = candidate(layer, params, ACTIVATIONS[inputs["activation"]], loader)
    return {
        "activation": inputs["activation"],
        "kind": inputs["kind"],
        "dead": dead_units.as_row(returned),
    }


CLAIMS = dead_units.CLAIMS


def _slope(layer: Part, params: Mapping[str, Array], activation: Part) -> Array:
    return jax.grad(lambda z: activation(z).sum())(layer(params))


def _weights_gradient(layer: Part, params: Mapping[str, Array], activation: Part) -> Array:
    """Its largest size in each column of the kernel, as a batch of one."""
    gradients = jax.grad(lambda params: activation(layer(params)).sum())(params)
    return jnp.abs(gradients["kernel"]).max(0, keepdims=True)


def judged(
    layer: linen.Dense,
    params: Mapping[str, Array],
    activation: Part,
    loader: Iterable[tuple[Array, Array]],
    number: Part = _slope,
    together: Part = jnp.concatenate,
    is_dead: Part = lambda numbers: (numbers == 0).all(0),
) -> Array:
    """The right answer in parts."""
    layers = [lambda params, x=x: layer.apply({"params": params}, x) for x, _ in loader]
    return is_dead(together([number(on_batch, params, activation) for on_batch in layers]))


believing = beliefs_about(judged)
BELIEFS = (  # one that shows in two ways is there twice
    believing(
        *dead_units.OUTPUT_ABOVE_ZERO,
        number=lambda layer, params, activation: activation(layer(params)),
        is_dead=lambda outputs: (outputs <= 0).all(0),
    ),
    believing(
        *dead_units.OUTPUT_ZERO,
        number=lambda layer, params, activation: activation(layer(params)),
    ),
    believing(
        *dead_units.PRE_ACTIVATION,
        number=lambda layer, params, activation: layer(params),
        is_dead=lambda z: (z <= 0).all(0),
    ),
    believing(
        *dead_units.VARYING,
        number=lambda layer, params, activation: activation(layer(params)),
        is_dead=lambda outputs: (outputs == outputs[0]).all(0),
    ),
    believing(*dead_units.FIRST_BATCH, together=lambda batches: batches[0]),
    believing(*dead_units.LAST_BATCH, together=lambda batches: batches[-1]),
    believing(
        *dead_units.SOME_OF_THE_DATA,
        is_dead=lambda slopes: (slopes == 0).any(0),
    ),
    believing(
        *dead_units.SOME_OF_THE_DATA,
        together=lambda batches: jnp.stack([jnp.abs(slopes).max(0) for slopes in batches]),
        is_dead=lambda largest: (largest == 0).any(0),
    ),
    believing(*dead_units.SMALL, is_dead=lambda slopes: (jnp.abs(slopes) < 0.001).all(0)),
    believing(*dead_units.SUM, is_dead=lambda slopes: slopes.sum(0) == 0),
    believing(*dead_units.WEIGHTS, number=_weights_gradient),
    believing(*dead_units.LIVING, is_dead=lambda slopes: (slopes != 0).any(0)),
)

EXERCISE = Exercise(
    reference=find_dead_flax_units,
    challenge=dead_units.cases,
    observe=observe,
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
    difficulty=3,
    note="In JAX the activation is differentiated and the layer is not: there is no graph to cut "
    "and no gradient that could stay behind.",
    twin="find_dead_units",
)
