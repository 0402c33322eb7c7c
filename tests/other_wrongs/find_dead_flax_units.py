"""Wrong answers to `find_dead_flax_units` that come from none of its beliefs."""

import jax
import jax.numpy as jnp
import numpy as np


def _slopes(layer, params, activation, x):
    return jax.grad(lambda z: activation(z).sum())(layer.apply({"params": params}, x))


def _all_slopes(layer, params, activation, loader):
    return jnp.concatenate([_slopes(layer, params, activation, x) for x, _ in loader])


def forget_the_bias(layer, params, activation, loader):
    still = {**params, "bias": jnp.zeros_like(params["bias"])}
    return (_all_slopes(layer, still, activation, loader) == 0).all(0)


def take_the_kernel_the_other_way_round(layer, params, activation, loader):
    turned = {**params, "kernel": params["kernel"].T}
    return (_all_slopes(layer, turned, activation, loader) == 0).all(0)


def differentiate_at_the_inputs(layer, params, activation, loader):
    """By the inputs that are zero, not by the pre-activations."""
    slopes = jnp.concatenate([jax.grad(lambda x: activation(x).sum())(x) for x, _ in loader])
    return (slopes == 0).all(0)


def square_the_slopes(layer, params, activation, loader):
    """The square of a slope of 1e-31 is zero in float32."""
    return (_all_slopes(layer, params, activation, loader) ** 2).sum(0) == 0


def take_the_norm(layer, params, activation, loader):
    return jnp.linalg.norm(_all_slopes(layer, params, activation, loader), axis=0) == 0


def call_a_slope_below_1e_12_zero(layer, params, activation, loader):
    return (jnp.abs(_all_slopes(layer, params, activation, loader)) < 1e-12).all(0)


def compare_nearly(layer, params, activation, loader):
    return jnp.isclose(_all_slopes(layer, params, activation, loader), 0).all(0)


def ask_for_a_slope_above_zero(layer, params, activation, loader):
    return (_all_slopes(layer, params, activation, loader) <= 0).all(0)


def leave_the_last_batch_out(layer, params, activation, loader):
    batches = [(x, y) for x, y in loader][:-1]
    return (_all_slopes(layer, params, activation, batches) == 0).all(0)


def go_by_most_of_the_batches(layer, params, activation, loader):
    verdicts = [(_slopes(layer, params, activation, x) == 0).all(0) for x, _ in loader]
    return jnp.stack(verdicts).mean(0) > 0.5


def judge_the_samples(layer, params, activation, loader):
    return (_all_slopes(layer, params, activation, loader) == 0).all(1)


def walk_through_twice(layer, params, activation, loader):
    samples = sum(len(x) for x, _ in loader)
    flat = sum((_slopes(layer, params, activation, x) == 0).sum(0) for x, _ in loader)
    return jnp.asarray(flat) == samples


def mark_with_ones(layer, params, activation, loader):
    return (_all_slopes(layer, params, activation, loader) == 0).all(0).astype(float)


def name_the_units(layer, params, activation, loader):
    return jnp.flatnonzero((_all_slopes(layer, params, activation, loader) == 0).all(0))


def expect_as_many_units_as_inputs(layer, params, activation, loader):
    dead = np.ones(len(params["kernel"]), bool)
    for x, _ in loader:
        dead &= np.asarray((_slopes(layer, params, activation, x) == 0).all(0))
    return dead


def call_a_slope_that_never_changes_zero(layer, params, activation, loader):
    slopes = jnp.concatenate([_slopes(layer, params, activation, x) for x, _ in loader])
    return slopes.min(0) == slopes.max(0)
