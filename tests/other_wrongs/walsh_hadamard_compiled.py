"""Wrong answers to `walsh_hadamard_compiled` that come from none of its beliefs."""

import math

import jax
import jax.numpy as jnp


def _check(x):
    n = x.shape[-1]
    if n < 1 or n & (n - 1):
        raise ValueError(n)
    return n


def _rounds(x, rounds=None):
    n = x.shape[-1]
    for _ in range(n.bit_length() - 1 if rounds is None else rounds):
        even, odd = x[..., 0::2], x[..., 1::2]
        x = jnp.concatenate([even + odd, even - odd], -1)
    return x


def _mixed(x):
    return _rounds(x) / math.sqrt(_check(x))


def forget_the_last_round(x):
    n = _check(x)
    return _rounds(x, max(0, n.bit_length() - 2)) / math.sqrt(n)


def pair_the_same_halves_each_time(x):
    n = _check(x)
    for _ in range(n.bit_length() - 1):
        one, other = jnp.split(x, 2, -1)
        x = jnp.concatenate([one + other, one - other], -1)
    return x / math.sqrt(n)


def take_the_first_from_the_second(x):
    n = _check(x)
    for _ in range(n.bit_length() - 1):
        even, odd = x[..., 0::2], x[..., 1::2]
        x = jnp.concatenate([even + odd, odd - even], -1)
    return x / math.sqrt(n)


def divide_by_the_root_of_the_rounds(x):
    return _rounds(x) / math.sqrt(max(1, _check(x).bit_length() - 1))


def mix_the_first_axis(x):
    return jnp.moveaxis(_mixed(jnp.moveaxis(x, 0, -1)), -1, 0)


def let_rows_of_0_through(x):
    n = x.shape[-1]
    if n & (n - 1):
        raise ValueError(n)
    return _rounds(x) / math.sqrt(n) if n else x


def assert_the_length(x):
    assert x.shape[-1].bit_count() == 1
    return _mixed(x)


def always_answer_in_half_precision(x):
    return _mixed(x).astype(jnp.float16)


def skip_rows_of_zeros(x):
    """Python chooses by a number that is not there yet in compiled code."""
    _check(x)
    return _mixed(x) if jnp.abs(x).max() > 0 else x


def normalise_every_row(x):
    mixed = _mixed(x)
    return mixed / jnp.linalg.norm(mixed, axis=-1, keepdims=True)


def keep_only_half_the_gradient(x):
    mixed = _mixed(x)
    return (mixed + jax.lax.stop_gradient(mixed)) / 2


def answer_as_a_list(x):
    return _mixed(x).tolist()


def round_to_whole_numbers(x):
    return jnp.round(_mixed(x))
