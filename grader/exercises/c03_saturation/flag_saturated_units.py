"""Flag the units that sit on a flat part of their activation, for any activation (JAX)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from grader.instruments import saturation
from grader.instruments.saturation import CLAIMS as CLAIMS
from grader.judging.exercise import Exercise, beliefs_about
from grader.judging.terms import Candidate, Evidence, Inputs, Part


def flag_saturated_units(activation, z, delta):
    """Flag the units of a layer that are saturated, in JAX.

    A unit is saturated at ``delta`` if the absolute derivative of its activation is below
    ``delta`` on every sample. A derivative of exactly zero counts as well.

    Args:
        activation: a function of arrays that acts on each element alone and that JAX can
            differentiate. It may be any: ``jnp.tanh``, ``lambda z: jax.nn.sigmoid(3 * z)``, ...
        z: pre-activations, float32, shape (..., H), two axes or more. The last one counts the H
            units; all others run over samples. Infinities are judged like numbers.
        delta: float above 0.

    Returns:
        Boolean array of shape (H,), True where the unit is saturated.

    Raises:
        ValueError: a pre-activation is NaN, whatever the derivative there.

    Example:
        >>> z = jnp.array([[0.0, 9.0, -9.0], [9.0, 8.0, -9.0]])
        >>> flag_saturated_units(jax.nn.sigmoid, z, 0.01).tolist()
        [False, True, True]
    """
    if jnp.isnan(z).any():
        raise ValueError("a pre-activation is NaN, so no unit can be judged")
    slope = jax.grad(lambda z: activation(z).sum())(z)
    return (jnp.abs(slope) < delta).reshape(-1, z.shape[-1]).all(axis=0)


challenge = saturation.cases
ACTIVATIONS = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "sigmoid of 3z": lambda z: jax.nn.sigmoid(3 * z),
    "hardtanh": jax.nn.hard_tanh,
    "SiLU": jax.nn.silu,
    "leaky ReLU": lambda z: jax.nn.leaky_relu(z, saturation.LEAK),
}


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    activation = ACTIVATIONS[inputs["activation"]]
    return saturation.observed(candidate, activation, jnp.asarray(inputs["z"]), inputs)


Activation = Callable[[Array], Array]


def refuse_nan(z: Array) -> None:
    if jnp.isnan(z).any():
        raise ValueError("NaN")


def derivative(activation: Activation, z: Array) -> Array:
    return jax.grad(lambda z: activation(z).sum())(z)


def in_rows(values: Array) -> Array:
    """All axes but the last as one."""
    return values.reshape(-1, values.shape[-1])


def judged(
    activation: Activation,
    z: Array,
    delta: float,
    check: Part = refuse_nan,
    slope: Part = derivative,
    is_flat: Part = lambda slope, delta: jnp.abs(slope) < delta,
    per_unit: Part = lambda flat: in_rows(flat).all(axis=0),
) -> Array:
    """The right answer in parts."""
    check(z)
    return per_unit(is_flat(slope(activation, z), delta))


believing = beliefs_about(judged)
BELIEFS = (  # one that shows in several ways is there for each
    believing(*saturation.ANY, per_unit=lambda flat: in_rows(flat).any(axis=0)),
    believing(
        *saturation.AVERAGE,
        is_flat=lambda slope, delta: in_rows(jnp.abs(slope)).mean(axis=0, keepdims=True) < delta,
    ),
    believing(
        *saturation.FAR,
        slope=lambda activation, z: activation(z),
        is_flat=lambda output, delta: jnp.abs(output) > 1 - delta,
    ),
    believing(
        *saturation.FAR,
        slope=lambda activation, z: activation(z),
        is_flat=lambda output, delta: (output < delta) | (output > 1 - delta),
    ),
    believing(
        *saturation.FAR,
        slope=lambda activation, z: z,
        is_flat=lambda z, delta: jnp.abs(z) > 4,
    ),
    believing(*saturation.FORMULA, slope=lambda activation, z: activation(z) * (1 - activation(z))),
    believing(*saturation.FORMULA, slope=lambda activation, z: 1 - activation(z) ** 2),
    believing(*saturation.SIGNED, is_flat=lambda slope, delta: slope < delta),
    believing(*saturation.AXES, per_unit=lambda flat: flat.all(axis=-1)),
    believing(*saturation.AXES, per_unit=lambda flat: flat.all(axis=0)),
    believing(*saturation.EQUAL, is_flat=lambda slope, delta: jnp.abs(slope) <= delta),
    believing(*saturation.DEAD, is_flat=lambda slope, delta: slope == 0),
    believing(
        *saturation.ZERO, is_flat=lambda slope, delta: (jnp.abs(slope) < delta) & (slope != 0)
    ),
    believing(
        *saturation.ZERO,
        is_flat=lambda slope, delta: (jnp.abs(slope) < delta) & ~in_rows(slope == 0).all(axis=0),
    ),
    believing(*saturation.MEAN, slope=lambda activation, z: derivative(activation, z) / z.size),
    believing(*saturation.NO_NAN, check=lambda z: None),
)

EXERCISE = Exercise(
    reference=flag_saturated_units,
    challenge=challenge,
    observe=observe,
    hints=(
        "jax.grad needs one number. Which number made of activation(z) has, as its gradient, the "
        "derivative of each element?",
        "jax.grad(lambda z: activation(z).sum())(z) has the shape of z. jnp.abs and a comparison "
        "make flags of it.",
        "reshape(-1, z.shape[-1]) makes one axis of all samples; all(axis=0) asks each unit. "
        "Before all that, ask jnp.isnan(z).any().",
    ),
    lesson="03_saturation",
    section="Two derivatives that end in zero",
    frameworks=("jax",),
    minutes=10,
    difficulty=2,
    note="Under jax.jit the line `if jnp.isnan(z).any()` would fail, since a traced value has no "
    "truth value. Check inputs outside of what you compile.",
    twin="find_saturated_units",
)
