"""Flag the units that sit on a flat part of their activation, for any activation (JAX)."""

import jax
import jax.numpy as jnp

from grader.instruments import saturation
from grader.judging.exercise import Exercise, Misconception


def flag_saturated_units(activation, z, delta):
    """Flag the units of a layer that are saturated, in JAX.

    A unit is saturated at ``delta`` if the absolute derivative of its activation is below
    ``delta`` on every sample. A derivative of exactly zero counts as well.

    Args:
        activation: a function of arrays that acts on each element alone and that JAX can
            differentiate. It may be any: ``jnp.tanh``, ``lambda z: jax.nn.sigmoid(3 * z)``, ...
        z: pre-activations, float32, shape (..., H), two axes or more. The last one counts the H
            units; all others run over samples.
        delta: float above 0.

    Returns:
        Boolean array of shape (H,), True where the unit is saturated.

    Raises:
        ValueError: a pre-activation is NaN.
    """
    if jnp.isnan(z).any():
        raise ValueError("a pre-activation is NaN, so no unit can be judged")
    slope = jax.grad(lambda z: activation(z).sum())(z)
    return (jnp.abs(slope) < delta).reshape(-1, z.shape[-1]).all(axis=0)


ACTIVATIONS = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "sigmoid of 3z": lambda z: jax.nn.sigmoid(3 * z),
    "hardtanh": jax.nn.hard_tanh,
    "SiLU": jax.nn.silu,
    "leaky ReLU": lambda z: jax.nn.leaky_relu(z, saturation.LEAK),
}


def observe(candidate, inputs):
    activation = ACTIVATIONS[inputs["activation"]]
    return saturation.observed(candidate, activation, jnp.asarray(inputs["z"]), inputs)


def _slopes(activation, z):
    return jax.grad(lambda z: activation(z).sum())(z)


def _checked(z):
    if jnp.isnan(z).any():
        raise ValueError("NaN")
    return z


def _per_unit(values):
    return values.reshape(-1, values.shape[-1])


def _on_every_sample(flat):
    return _per_unit(flat).all(axis=0)


def mark_what_is_flat_once(activation, z, delta):
    return _per_unit(jnp.abs(_slopes(activation, _checked(z))) < delta).any(axis=0)


def mark_what_is_flat_on_average(activation, z, delta):
    return _per_unit(jnp.abs(_slopes(activation, _checked(z)))).mean(axis=0) < delta


def look_at_the_size_of_the_output(activation, z, delta):
    return _on_every_sample(jnp.abs(activation(_checked(z))) > 1 - delta)


def look_at_both_ends_of_the_output(activation, z, delta):
    a = activation(_checked(z))
    return _on_every_sample((a < delta) | (a > 1 - delta))


def use_the_sigmoids_derivative(activation, z, delta):
    a = activation(_checked(z))
    return _on_every_sample(jnp.abs(a * (1 - a)) < delta)


def use_the_derivative_of_tanh(activation, z, delta):
    return _on_every_sample(jnp.abs(1 - activation(_checked(z)) ** 2) < delta)


def cut_at_four(activation, z, delta):
    return _on_every_sample(jnp.abs(_checked(z)) > 4)


def keep_the_sign(activation, z, delta):
    return _on_every_sample(_slopes(activation, _checked(z)) < delta)


def judge_the_samples(activation, z, delta):
    return (jnp.abs(_slopes(activation, _checked(z))) < delta).all(axis=-1)


def judge_each_position(activation, z, delta):
    return (jnp.abs(_slopes(activation, _checked(z))) < delta).all(axis=0)


def mark_what_equals_delta(activation, z, delta):
    return _on_every_sample(jnp.abs(_slopes(activation, _checked(z))) <= delta)


def mark_the_dead_only(activation, z, delta):
    return _on_every_sample(_slopes(activation, _checked(z)) == 0)


def leave_zero_slopes_out(activation, z, delta):
    slope = jnp.abs(_slopes(activation, _checked(z)))
    return _on_every_sample((slope < delta) & (slope != 0))


def leave_dead_units_out(activation, z, delta):
    slope = jnp.abs(_slopes(activation, _checked(z)))
    return _on_every_sample(slope < delta) & ~_on_every_sample(slope == 0)


def differentiate_the_mean(activation, z, delta):
    return _on_every_sample(jnp.abs(_slopes(activation, _checked(z))) / z.size < delta)


def pass_over_nan(activation, z, delta):
    return _on_every_sample(jnp.abs(_slopes(activation, z)) < delta)


EXERCISE = Exercise(
    reference=flag_saturated_units,
    challenge=saturation.cases,
    observe=observe,
    claims=saturation.CLAIMS,
    misconceptions=(
        Misconception(*saturation.ANY, specimen=mark_what_is_flat_once),
        Misconception(*saturation.AVERAGE, specimen=mark_what_is_flat_on_average),
        Misconception(*saturation.OUTPUT, specimen=look_at_the_size_of_the_output),
        Misconception(*saturation.OUTPUT, specimen=look_at_both_ends_of_the_output),
        Misconception(*saturation.SIGMOID, specimen=use_the_sigmoids_derivative),
        Misconception(*saturation.TANH, specimen=use_the_derivative_of_tanh),
        Misconception(*saturation.DISTANCE, specimen=cut_at_four),
        Misconception(*saturation.SIGNED, specimen=keep_the_sign),
        Misconception(*saturation.SAMPLES_FOR_UNITS, specimen=judge_the_samples),
        Misconception(*saturation.BATCH_ONLY, specimen=judge_each_position),
        Misconception(*saturation.EQUAL, specimen=mark_what_equals_delta),
        Misconception(*saturation.DEAD, specimen=mark_the_dead_only),
        Misconception(*saturation.ZERO, specimen=leave_zero_slopes_out),
        Misconception(*saturation.ZERO, specimen=leave_dead_units_out),
        Misconception(*saturation.MEAN, specimen=differentiate_the_mean),
        Misconception(*saturation.NO_NAN, specimen=pass_over_nan),
    ),
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
    note="Under jax.jit the line `if jnp.isnan(z).any()` would fail, since a traced value has no "
    "truth value. Check inputs outside of what you compile.",
    twin="find_saturated_units",
)
