"""Right answers to `find_dead_flax_units`, each in a style of its own."""

import jax
import jax.numpy as jnp


def map_the_derivative(layer, params, activation, loader):
    slope = jax.vmap(jax.vmap(jax.grad(activation)))
    alive = [slope(layer.apply({"params": params}, x)).any(0) for x, _ in loader]
    return ~jnp.stack(alive).any(0)


def pull_ones_back(layer, params, activation, loader):
    z = jnp.concatenate([layer.apply({"params": params}, x) for x, _ in loader])
    value, back = jax.vjp(activation, z)
    (slope,) = back(jnp.ones_like(value))
    return jnp.all(slope == 0, axis=0)


def push_a_tangent_through(layer, params, activation, loader):
    dead = jnp.ones(len(params["bias"]), bool)
    for x, _ in loader:
        z = x @ params["kernel"] + params["bias"]
        _, slope = jax.jvp(activation, (z,), (jnp.ones_like(z),))
        dead &= jnp.abs(slope).max(axis=0) == 0
    return dead


def count_the_steep_samples(layer, params, activation, loader):
    count = jnp.zeros(params["bias"].shape, int)
    for x, _ in loader:
        z = layer.apply({"params": params}, x)
        slope = jax.grad(lambda z: jnp.mean(activation(z)))(z)
        count += jnp.count_nonzero(slope, axis=0)
    return count == 0


def bind_the_layer(layer, params, activation, loader):
    bound, alive = layer.bind({"params": params}), None
    for batch in loader:
        slope = jax.grad(lambda z: jnp.sum(activation(z)))(bound(batch[0]))
        awake = (slope != 0).any(axis=0)
        alive = awake if alive is None else alive | awake
    return jnp.logical_not(alive)
