"""Right answers to `freeze_with_labels`, each in a style of its own."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util


def _chosen(params, frozen, value=True, other=False):
    return jax.tree.map_with_path(lambda keys, _: value if keys[0].key in frozen else other, params)


def by_a_label_for_each_leaf(optimizer, params, frozen):
    labels = _chosen(params, frozen, "off", "on")
    return optax.multi_transform({"off": optax.set_to_zero(), "on": optimizer}, labels)


def by_a_function_of_labels(optimizer, params, frozen):
    def labels(tree):
        return {name: name in frozen for name in tree}

    return optax.partition({True: optax.set_to_zero(), False: optimizer}, labels)


def by_one_label_for_each_layer(optimizer, params, frozen):
    kinds = {name: optax.set_to_zero() if name in frozen else optimizer for name in params}
    return optax.partition(kinds, {name: name for name in params})


def by_selective_transform(optimizer, params, frozen):
    return optax.selective_transform(optimizer, freeze_mask=_chosen(params, frozen))


def by_two_masks(optimizer, params, frozen):
    return optax.chain(
        optax.masked(optimizer, _chosen(params, frozen, False, True)),
        optax.masked(optax.set_to_zero(), _chosen(params, frozen)),
    )


def by_two_masks_the_other_way_round(optimizer, params, frozen):
    return optax.chain(
        optax.freeze(_chosen(params, frozen)),
        optax.masked(optimizer, lambda tree: _chosen(tree, frozen, False, True)),
    )


def by_flat_labels(optimizer, params, frozen):
    flat = traverse_util.flatten_dict(params)
    labels = {path: "frozen" if path[0] in frozen else "trainable" for path in flat}
    return optax.partition(
        {"trainable": optimizer, "frozen": optax.set_to_zero()},
        traverse_util.unflatten_dict(labels),
    )


def by_hand(optimizer, params, frozen):
    def rest(tree):
        return {name: below for name, below in tree.items() if name not in frozen}

    def init(params):
        return optimizer.init(rest(params))

    def update(updates, state, params=None):
        moves, state = optimizer.update(rest(updates), state, rest(params))
        still = {name: jax.tree.map(jnp.zeros_like, updates[name]) for name in frozen}
        return {**moves, **still}, state

    return optax.GradientTransformation(init, update)


class _State(NamedTuple):
    inner: Any


def by_hand_over_flat_paths(optimizer, params, frozen):
    def rest(tree):
        flat = traverse_util.flatten_dict(tree)
        return {path: leaf for path, leaf in flat.items() if path[0] not in frozen}

    def init(params):
        return _State(optimizer.init(rest(params)))

    def update(updates, state, params=None):
        moves, inner = optimizer.update(rest(updates), state.inner, rest(params))
        every = traverse_util.flatten_dict(updates)
        moves = {path: moves.get(path, jnp.zeros_like(leaf)) for path, leaf in every.items()}
        return traverse_util.unflatten_dict(moves), _State(inner)

    return optax.GradientTransformation(init, jax.jit(update))


def by_an_optimizer_for_each_layer(optimizer, params, frozen):
    trainable = [name for name in params if name not in frozen]

    def init(params):
        return {name: optimizer.init({name: params[name]}) for name in trainable}

    def update(updates, state, params=None):
        moves, after = jax.tree.map(jnp.zeros_like, updates), {}
        for name in trainable:
            one, after[name] = optimizer.update(
                {name: updates[name]}, state[name], {name: params[name]}
            )
            moves |= one
        return moves, after

    return optax.GradientTransformation(init, update)
