"""Wrong answers to `shrink_and_perturb` that come from none of its beliefs."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree


def _drawn(params, fresh, mixed, others=lambda old, new: old):
    def one(old, new):
        if not jnp.issubdtype(old.dtype, jnp.floating):
            return others(old, new)
        return jnp.where(jnp.isfinite(old), mixed(old, new), new)

    return jax.tree.map(one, params, fresh)


def take_counts_from_the_fresh_tree(params, fresh, shrink):
    return _drawn(
        params, fresh, lambda old, new: shrink * old + (1 - shrink) * new, lambda old, new: new
    )


def set_counts_to_zero(params, fresh, shrink):
    return _drawn(
        params, fresh, lambda old, new: shrink * old + (1 - shrink) * new, lambda old, new: 0 * old
    )


def take_the_fresh_ones(params, fresh, shrink):
    return _drawn(params, fresh, lambda old, new: new)


def take_half_of_each(params, fresh, shrink):
    return _drawn(params, fresh, lambda old, new: (old + new) / 2)


def keep_variances(params, fresh, shrink):
    """Shares whose squares add up to 1."""
    return _drawn(params, fresh, lambda old, new: shrink * old + (1 - shrink**2) ** 0.5 * new)


def subtract_the_fresh_ones(params, fresh, shrink):
    return _drawn(params, fresh, lambda old, new: shrink * old - (1 - shrink) * new)


def mix_kernels_of_the_last_layer_only(params, fresh, shrink):
    *_, last = [key for key, value in params.items() if isinstance(value, dict)]
    return params | {last: shrink_it(params[last], fresh[last], shrink)}


def shrink_it(params, fresh, shrink):
    """Numbers are not asked whether they are finite, and flags are mixed."""
    return jax.tree.map(lambda old, new: shrink * (old + new), params, fresh)


def draw_noise_of_its_own(params, fresh, shrink):
    rng = np.random.default_rng(0)
    return _drawn(
        params,
        fresh,
        lambda old, new: shrink * old + (1 - shrink) * rng.normal(0, 0.1, old.shape),
    )


def round_small_numbers_away(params, fresh, shrink):
    def mixed(old, new):
        found = shrink * old + (1 - shrink) * new
        return jnp.where(jnp.abs(found) < 1e-12, 0, found)

    return _drawn(params, fresh, mixed)


def write_into_numpy_arrays(params, fresh, shrink):
    def one(old, new):
        if old.dtype.kind != "f":
            return old
        if not isinstance(old, np.ndarray):
            return jnp.where(jnp.isfinite(old), shrink * old + (1 - shrink) * new, new)
        old *= shrink
        old += (1 - shrink) * new
        return np.where(np.isfinite(old), old, new)

    return jax.tree.map(one, params, fresh)


def return_a_list_of_leaves(params, fresh, shrink):
    return jax.tree.leaves(
        _drawn(params, fresh, lambda old, new: shrink * old + (1 - shrink) * new)
    )


def return_the_weights_alone(params, fresh, shrink):
    new = _drawn(params, fresh, lambda old, new: shrink * old + (1 - shrink) * new)
    return {key: value for key, value in new.items() if isinstance(value, dict)}


def put_one_in_for_what_is_broken(params, fresh, shrink):
    def one(old, new):
        if not jnp.issubdtype(old.dtype, jnp.floating):
            return old
        return shrink * jnp.nan_to_num(old, nan=1.0, posinf=1.0, neginf=1.0) + (1 - shrink) * new

    return jax.tree.map(one, params, fresh)


def cut_infinity_off(params, fresh, shrink):
    def one(old, new):
        if not jnp.issubdtype(old.dtype, jnp.floating):
            return old
        return shrink * jnp.nan_to_num(old) + (1 - shrink) * new

    return jax.tree.map(one, params, fresh)


def leave_half_precision_as_it_is(params, fresh, shrink):
    def mixed(old, new):
        return old if old.dtype == jnp.float16 else shrink * old + (1 - shrink) * new

    return _drawn(params, fresh, mixed)


def call_large_weights_broken(params, fresh, shrink):
    def mixed(old, new):
        return jnp.where(jnp.abs(old) < 1e6, shrink * old + (1 - shrink) * new, new)

    return _drawn(params, fresh, mixed)


def _shared(params, fresh, shrink, is_weight=lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating)):
    def one(old, new):
        mixed = jnp.where(jnp.isfinite(old), shrink * old + (1 - shrink) * new, new)
        return mixed if is_weight(old) else old

    return jax.tree.map(one, params, fresh)


def pair_what_stands_at_the_same_place(params, fresh, shrink):
    """The keys of the two dicts stand in other orders."""
    pairs = zip(params.items(), fresh.values(), strict=True)
    return {
        key: pair_what_stands_at_the_same_place(old, new, shrink)
        if isinstance(old, dict)
        else _shared(old, new, shrink)
        for (key, old), new in pairs
    }


def return_params_where_all_is_kept(params, fresh, shrink):
    return params if shrink == 1 else _shared(params, fresh, shrink)


def return_fresh_where_nothing_is_kept(params, fresh, shrink):
    return fresh if shrink == 0 else _shared(params, fresh, shrink)


def keep_zeros_at_zero(params, fresh, shrink):
    drawn = _shared(params, fresh, shrink)
    return jax.tree.map(lambda old, new: jnp.where(old == 0, old, new), params, drawn)


def take_flags_for_weights(params, fresh, shrink):
    return _shared(params, fresh, shrink, lambda leaf: not jnp.issubdtype(leaf.dtype, jnp.integer))


def know_one_kind_of_whole_numbers(params, fresh, shrink):
    return _shared(params, fresh, shrink, lambda leaf: leaf.dtype not in (jnp.int32, jnp.bool_))


def leave_single_numbers(params, fresh, shrink):
    return _shared(
        params, fresh, shrink, lambda leaf: leaf.ndim and jnp.issubdtype(leaf.dtype, jnp.floating)
    )


def flatten_all(params, fresh, shrink):
    flat, restored = ravel_pytree(params)
    return restored(_shared(flat, ravel_pytree(fresh)[0], shrink))


def interpolate_logarithms(params, fresh, shrink):
    def mixed(old, new):
        return jnp.sign(old) * jnp.abs(old) ** shrink * jnp.abs(new) ** (1 - shrink)

    return _drawn(params, fresh, mixed)
