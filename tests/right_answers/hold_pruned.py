"""Right answers to `hold_pruned`, each in a style of its own."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


def _clear(optimizer, state, kept):
    return optax.tree_map_params(
        optimizer, lambda leaf, keep: jnp.where(keep, leaf, 0), state, kept
    )


def clear_before_the_step(optimizer, kept):
    """What goes in is 0, so what is stored stays 0."""

    def update(updates, state, params=None):
        updates = jax.tree.map(lambda g, keep: jnp.where(keep, g, 0.0), updates, kept)
        moves, state = optimizer.update(updates, _clear(optimizer, state, kept), params)
        return jax.tree.map(lambda m, k, p: jnp.where(k, m, -p), moves, kept, params), state

    return optax.GradientTransformation(optimizer.init, update)


def compile_the_update(optimizer, kept):
    @jax.jit
    def update(updates, state, params=None):
        moves, state = optimizer.update(updates, state, params)
        moves = jax.tree.map(lambda m, k, p: jnp.where(k, m, -p), moves, kept, params)
        return moves, _clear(optimizer, state, kept)

    return optax.GradientTransformation(optimizer.init, update)


def match_by_structure(optimizer, kept):
    """Parts of the state that are built like the parameters are theirs."""
    form = jax.tree.structure(kept)

    def like_params(part):
        return jax.tree.structure(part) == form

    def clear(part):
        if not like_params(part):
            return part
        return jax.tree.map(
            lambda leaf, keep: leaf * 0 if leaf.ndim < 1 else jnp.where(keep, leaf, 0), part, kept
        )

    def update(updates, state, params=None):
        moves, state = optimizer.update(updates, state, params)
        moves = jax.tree.map(lambda m, k, p: jnp.where(k, m, 0 - p), moves, kept, params)
        return moves, jax.tree.map(clear, state, is_leaf=like_params)

    return optax.GradientTransformation(optimizer.init, update)


class _Held(NamedTuple):
    inner: Any


def wrap_the_state(optimizer, kept):
    def init(params):
        return _Held(optimizer.init(params))

    def update(updates, state, params=None):
        moves, inner = optimizer.update(updates, state.inner, params)
        moves = jax.tree.map(
            lambda move, keep, at: jnp.select([keep], [move], -at), moves, kept, params
        )
        return moves, _Held(_clear(optimizer, inner, kept))

    return optax.GradientTransformation(init, update)


def chain_with_a_last_word(optimizer, kept):
    def last(updates, params):
        return jax.tree.map(lambda m, k, p: jnp.where(k, m, -p), updates, kept, params)

    chained = optax.chain(optimizer, optax.stateless(last))

    def update(updates, state, params=None):
        moves, state = chained.update(updates, state, params)
        return moves, _clear(chained, state, kept)

    return optax.GradientTransformation(chained.init, update)


def multiply_by_truth_values(optimizer, kept):
    """In jax.numpy a product with truth values chooses: nan * False is 0."""

    def update(updates, state, params=None, **extra):
        moves, state = optimizer.update(updates, state, params)
        moves = jax.tree.map(lambda m, k, p: m * k - p * ~k, moves, kept, params)
        state = optax.tree.map_params(optimizer, lambda leaf, keep: leaf * keep, state, kept)
        return moves, state

    return optax.GradientTransformationExtraArgs(optimizer.init, update)
