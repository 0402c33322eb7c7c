"""Wrong answers to `flag_saturated_units` that come from none of its beliefs."""

import jax
import jax.numpy as jnp


def _derivative(activation, z):
    return jax.grad(lambda z: activation(z).sum())(z)


def _checked(z):
    if jnp.isnan(z).any():
        raise ValueError("a pre-activation is NaN")
    return z


def _rows(activation, z):
    """The size of each derivative, a row for each sample."""
    return jnp.abs(_derivative(activation, _checked(z))).reshape(-1, z.shape[-1])


def look_for_nan_in_the_derivatives(activation, z, delta):
    slope = _checked(_derivative(activation, z))
    return (jnp.abs(slope) < delta).reshape(-1, z.shape[-1]).all(0)


def refuse_infinities_as_well(activation, z, delta):
    if not jnp.isfinite(z).all():
        raise ValueError("a pre-activation is not finite")
    return (_rows(activation, z) < delta).all(0)


def refuse_with_a_floating_point_error(activation, z, delta):
    if jnp.isnan(z).any():
        raise FloatingPointError("a pre-activation is NaN")
    return (_rows(activation, z) < delta).all(0)


def call_a_unit_with_a_nan_saturated(activation, z, delta):
    slope = jnp.abs(_derivative(activation, z)).reshape(-1, z.shape[-1])
    return ~(slope >= delta).any(0)


def take_nan_for_zero(activation, z, delta):
    return (_rows(activation, jnp.nan_to_num(z)) < delta).all(0)


def want_one_sequence_that_is_flat(activation, z, delta):
    flat = (jnp.abs(_derivative(activation, _checked(z))) < delta).all(-2)
    return flat.reshape(-1, z.shape[-1]).any(0)


def judge_the_first_sequence(activation, z, delta):
    while z.ndim > 2:
        z = z[0]
    return (_rows(activation, z) < delta).all(0)


def expect_three_axes_at_most(activation, z, delta):
    flat = (jnp.abs(_derivative(activation, _checked(z))) < delta).all(0)
    return flat.all(0) if z.ndim == 3 else flat


def ask_for_nine_samples_in_ten(activation, z, delta):
    return (_rows(activation, z) < delta).mean(0) > 0.9


def ask_for_all_samples_but_one_in_a_hundred(activation, z, delta):
    return (_rows(activation, z) < delta).mean(0) >= 0.99


def take_the_slope_that_one_in_a_thousand_exceeds(activation, z, delta):
    return jnp.quantile(_rows(activation, z), 0.999, axis=0) < delta


def take_the_median(activation, z, delta):
    return jnp.median(_rows(activation, z), axis=0) < delta


def take_the_largest_and_its_size_then(activation, z, delta):
    slope = _derivative(activation, _checked(z)).reshape(-1, z.shape[-1])
    return jnp.abs(slope.max(0)) < delta


def add_up_the_derivatives(activation, z, delta):
    return _rows(activation, z).sum(0) < delta


def square_the_derivative(activation, z, delta):
    return (_rows(activation, z) ** 2 < delta).all(0)


def differentiate_at_the_mean(activation, z, delta):
    middle = _checked(z).reshape(-1, z.shape[-1]).mean(0)
    return jnp.abs(_derivative(activation, middle)) < delta


def differentiate_the_mean_over_samples(activation, z, delta):
    slope = _rows(activation, z)
    return (slope / len(slope) < delta).all(0)


def take_differences_in_float32(activation, z, delta):
    slope = (activation(_checked(z) + 1e-3) - activation(z - 1e-3)) / 2e-3
    return (jnp.abs(slope) < delta).reshape(-1, z.shape[-1]).all(0)


def compare_with_a_delta_of_its_own(activation, z, delta):
    return (_rows(activation, z) < 0.01).all(0)


def compare_with_a_share_of_the_steepest(activation, z, delta):
    slope = _rows(activation, z)
    return (slope < delta * slope.max()).all(0)


def mark_the_awake(activation, z, delta):
    return ~(_rows(activation, z) < delta).all(0)


def name_the_units(activation, z, delta):
    return jnp.flatnonzero((_rows(activation, z) < delta).all(0))


def mark_with_ones(activation, z, delta):
    return (_rows(activation, z) < delta).all(0).astype(int)


def differentiate_without_a_sum(activation, z, delta):
    """jax.grad refuses a function that gives more than one number."""
    return (jnp.abs(jax.grad(activation)(_checked(z))) < delta).reshape(-1, z.shape[-1]).all(0)


def check_under_jit(activation, z, delta):
    """A traced value has no truth value."""
    return jax.jit(lambda z: (_rows(activation, z) < delta).all(0))(z)


def expect_six_units(activation, z, delta):
    return (_rows(activation, z).reshape(-1, 6) < delta).all(0)


def refuse_a_nan_only_where_the_other_samples_are_flat(activation, z, delta):
    broken = jnp.isnan(z).reshape(-1, z.shape[-1])
    flat = (jnp.abs(_derivative(activation, z)) < delta).reshape(broken.shape) | broken
    if (flat.all(0) & broken.any(0)).any():
        raise ValueError("a pre-activation is NaN")
    return flat.all(0)


def compute_in_half_precision(activation, z, delta):
    return (_rows(activation, z.astype(jnp.bfloat16)) < delta).all(0)


def look_for_nan_in_the_sum_of_the_outputs(activation, z, delta):
    if jnp.isnan(activation(z).sum()):
        raise ValueError("a pre-activation is NaN")
    return (_rows(activation, jnp.nan_to_num(z)) < delta).all(0)
