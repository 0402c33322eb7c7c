"""Right answers to `warm_up_schedule`, each in a style of its own."""

import jax
import jax.numpy as jnp
import optax


def choose_with_where(peak, warmup, total):
    def rate(count):
        update = count + 1
        rise = update / warmup
        fall = 1 - (update - warmup) / (total + 1 - warmup)
        return peak * jnp.where(update <= warmup, rise, jnp.where(update > total, 0.0, fall))

    return rate


def join_ready_parts(peak, warmup, total):
    up = optax.linear_schedule(peak / warmup, peak, max(1, warmup - 1))
    down = optax.linear_schedule(peak, 0.0, total + 1 - warmup)
    if warmup == 1:
        return down
    return optax.join_schedules([up, down], [warmup - 1])


def interpolate(peak, warmup, total):
    ends = jnp.array([0.0, warmup, total + 1.0])
    return lambda count: peak * jnp.interp(count + 1.0, ends, jnp.array([0.0, 1.0, 0.0]))


def look_it_up(peak, warmup, total):
    left = total - warmup
    rise = [k / warmup for k in range(1, warmup + 1)]
    fall = [j / (left + 1) for j in range(left, -1, -1)]
    table = peak * jnp.array(rise + fall)
    return lambda count: table[jnp.minimum(count, total)]


def branch_as_jax_does(peak, warmup, total):
    def up(count):
        return peak * ((count + 1.0) / warmup)

    def down(count):
        return peak * jnp.clip((total - count) / (total + 1.0 - warmup), 0, None)

    return lambda count: jax.lax.cond(count < warmup, up, down, count)
