"""Wrong answers to `hold_pruned` that come from none of its beliefs."""

import jax
import jax.numpy as jnp
import optax


def _held(
    optimizer, kept, given=lambda g, k: g, move=lambda m, k, p: jnp.where(k, m, -p), clear=True
):
    def update(updates, state, params=None):
        moves, state = optimizer.update(jax.tree.map(given, updates, kept), state, params)
        moves = jax.tree.map(move, moves, kept, params)
        if clear:
            state = optax.tree_map_params(
                optimizer, lambda leaf, keep: jnp.where(keep, leaf, 0), state, kept
            )
        return moves, state

    return optax.GradientTransformation(optimizer.init, update)


def hand_the_optimizer_back(optimizer, kept):
    return optimizer


def freeze_everything(optimizer, kept):
    return optax.set_to_zero()


def descend_plainly(optimizer, kept):
    return _held(optax.sgd(0.05), kept)


def leave_a_small_number(optimizer, kept):
    return _held(optimizer, kept, move=lambda m, k, p: jnp.where(k, m, 1e-9 - p))


def halve_the_pruned_weights(optimizer, kept):
    """They come closer to 0 at each step, and never arrive."""
    return _held(optimizer, kept, move=lambda m, k, p: jnp.where(k, m, -p / 2))


def add_the_weight(optimizer, kept):
    return _held(optimizer, kept, move=lambda m, k, p: jnp.where(k, m, p))


def scale_the_kept(optimizer, kept):
    return _held(optimizer, kept, move=lambda m, k, p: jnp.where(k, m / k.mean(), -p))


def clip_the_gradients(optimizer, kept):
    return _held(optimizer, kept, given=lambda g, k: jnp.clip(g, -0.1, 0.1))


def remove_nan_from_all_gradients_but_clear_nothing(optimizer, kept):
    return _held(optimizer, kept, given=lambda g, k: jnp.nan_to_num(g, 0, 0, 0), clear=False)


def zero_whole_units(optimizer, kept):
    return _held(
        optimizer, kept, move=lambda m, k, p: jnp.where(k & (k.sum(-1, keepdims=True) > 1), m, -p)
    )


def forget_at_every_step(optimizer, kept):
    def update(updates, state, params=None):
        moves, _ = optimizer.update(updates, optimizer.init(params), params)
        moves = jax.tree.map(lambda m, k, p: jnp.where(k, m, -p), moves, kept, params)
        return moves, optimizer.init(params)

    return optax.GradientTransformation(optimizer.init, update)


def hand_the_decay_no_weights(optimizer, kept):
    """Weight decay sees zeros in place of the weights."""

    def update(updates, state, params=None):
        moves, state = optimizer.update(updates, state, jax.tree.map(jnp.zeros_like, params))
        moves = jax.tree.map(lambda m, k, p: jnp.where(k, m, -p), moves, kept, params)
        clear = optax.tree_map_params(optimizer, lambda a, k: jnp.where(k, a, 0), state, kept)
        return moves, clear

    return optax.GradientTransformation(optimizer.init, update)


def return_the_weights(optimizer, kept):
    """New weights in place of updates: they are added once more."""

    def update(updates, state, params=None):
        moves, state = optimizer.update(updates, state, params)
        moves = jax.tree.map(lambda m, k, p: jnp.where(k, p + m, 0), moves, kept, params)
        return moves, state

    return optax.GradientTransformation(optimizer.init, update)


def remove_nan_from_all_gradients(optimizer, kept):
    return _held(optimizer, kept, given=lambda g, k: jnp.nan_to_num(g))


def remove_nan_from_all_updates(optimizer, kept):
    return _held(optimizer, kept, move=lambda m, k, p: jnp.nan_to_num(jnp.where(k, m, -p)))


def clear_what_sgd_and_adam_store(optimizer, kept):
    """Other optimizers have other fields."""

    def update(updates, state, params=None):
        moves, state = optimizer.update(updates, state, params)
        moves = jax.tree.map(lambda m, k, p: jnp.where(k, m, -p), moves, kept, params)
        cleared = optax.tree_map_params(optimizer, lambda a, k: jnp.where(k, a, 0), state, kept)

        def choose(keys, old, new):
            names = {getattr(key, "name", "") for key in keys}
            return new if names & {"mu", "nu", "trace"} else old

        return moves, jax.tree.map_with_path(choose, state, cleared)

    return optax.GradientTransformation(optimizer.init, update)


def clear_the_memory_before_the_step_only(optimizer, kept):
    def update(updates, state, params=None):
        state = optax.tree_map_params(optimizer, lambda a, k: jnp.where(k, a, 0), state, kept)
        moves, state = optimizer.update(updates, state, params)
        return jax.tree.map(lambda m, k, p: jnp.where(k, m, -p), moves, kept, params), state

    return optax.GradientTransformation(optimizer.init, update)
