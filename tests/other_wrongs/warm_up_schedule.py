"""Wrong answers to `warm_up_schedule` that come from none of its beliefs."""

import jax.numpy as jnp
import numpy as np
import optax


def _rate(peak, warmup, total, share=lambda share: share):
    def rate(count):
        rise, fall = (count + 1) / warmup, (total - count) / (total + 1 - warmup)
        return peak * share(jnp.maximum(0, jnp.minimum(rise, fall)))

    return rate


def take_the_ready_one(peak, warmup, total):
    return optax.warmup_cosine_decay_schedule(0.0, peak, warmup, total + 1)


def join_ready_parts_one_late(peak, warmup, total):
    up = optax.linear_schedule(peak / warmup, peak, warmup)
    down = optax.linear_schedule(peak, 0.0, total + 1 - warmup)
    return optax.join_schedules([up, down], [warmup])


def fall_like_a_cosine(peak, warmup, total):
    def rate(count):
        gone = jnp.clip((count + 1 - warmup) / (total + 1 - warmup), 0, 1)
        rise = jnp.minimum(1, (count + 1) / warmup)
        return peak * rise * (1 + jnp.cos(jnp.pi * gone)) / 2

    return rate


def divide_whole_numbers(peak, warmup, total):
    def rate(count):
        rise, fall = (count + 1) // warmup, (total - count) // (total + 1 - warmup)
        return peak * jnp.maximum(0, jnp.minimum(rise, fall))

    return rate


def go_up_at_once(peak, warmup, total):
    return lambda count: peak * jnp.clip((total - count) / (total + 1 - warmup), 0, 1)


def stop_at_a_small_rate(peak, warmup, total):
    return _rate(peak, warmup, total, lambda share: jnp.maximum(share, 0.01))


def take_the_larger_line(peak, warmup, total):
    def rate(count):
        rise, fall = (count + 1) / warmup, (total - count) / (total + 1 - warmup)
        return peak * jnp.clip(jnp.maximum(rise, fall), 0, 1)

    return rate


def square_the_share(peak, warmup, total):
    return _rate(peak, warmup, total, jnp.square)


def return_the_peak_at_once(peak, warmup, total):
    return peak


def return_all_rates(peak, warmup, total):
    return jnp.array([_rate(peak, warmup, total)(count) for count in range(total)])


def look_at_the_value(peak, warmup, total):
    """An item of a placeholder does not exist."""
    return lambda count: _rate(peak, warmup, total)(count.item()) if count.item() >= 0 else 0.0


def begin_again_at_the_end(peak, warmup, total):
    return lambda count: _rate(peak, warmup, total)(count % total)


def swap_the_two_counts(peak, warmup, total):
    return _rate(peak, total, warmup + total)


def cut_the_peak_at_one_percent(peak, warmup, total):
    return lambda count: jnp.minimum(0.01, _rate(peak, warmup, total)(count))


def round_small_rates_away(peak, warmup, total):
    def rate(count):
        found = _rate(peak, warmup, total)(count)
        return jnp.where(found < 1e-12, 0.0, found)

    return rate


def count_its_own_calls(peak, warmup, total):
    """Compiled it is called once, and stays with that rate."""
    calls = iter(range(10_000))
    schedule = _rate(peak, warmup, total)
    return lambda count: schedule(next(calls))


def compute_with_numpy(peak, warmup, total):
    def rate(count):
        share = np.minimum((count + 1) / warmup, (total - count) / (total + 1 - warmup))
        return peak * np.maximum(0, share)

    return rate


def stay_at_the_peak_and_stop(peak, warmup, total):
    return lambda count: jnp.where(count < total, peak * jnp.minimum(1, (count + 1) / warmup), 0)


def come_back_up_after_the_end(peak, warmup, total):
    def rate(count):
        fall = jnp.abs(total - count) / (total + 1 - warmup)
        return peak * jnp.minimum(1, jnp.minimum((count + 1) / warmup, fall))

    return rate


def rise_like_a_cosine(peak, warmup, total):
    def rate(count):
        rise = (1 - jnp.cos(jnp.pi * jnp.minimum(1, (count + 1) / warmup))) / 2
        fall = jnp.clip((total - count) / (total + 1 - warmup), 0, 1)
        return peak * jnp.minimum(rise, fall)

    return rate


def count_in_half_precision(peak, warmup, total):
    schedule = _rate(peak, warmup, total)
    return lambda count: schedule(jnp.asarray(count, jnp.bfloat16))
