"""Right answers to `gradients_behind_tree`, each in a style of its own."""

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict


def flatten_and_multiply(loss, params, silent):
    flat = flatten_dict(params)
    factors = {path: float(path[: len(silent)] != silent) for path in flat}

    def of_flat(leaves):
        return loss(unflatten_dict({path: leaf * factors[path] for path, leaf in leaves.items()}))

    gradients = jax.grad(of_flat)(flat)
    return unflatten_dict({path: bool((g == 0).all()) for path, g in gradients.items()})


def walk_down_the_path(loss, params, silent):
    def quieter(tree, keys):
        if not keys:
            return jax.tree.map(jnp.zeros_like, tree)
        return {k: quieter(v, keys[1:]) if k == keys[0] else v for k, v in tree.items()}

    _, back = jax.vjp(lambda tree: loss(quieter(tree, silent)), params)
    (gradients,) = back(jnp.ones(()))
    return jax.tree.map(lambda g: np.count_nonzero(g) == 0, gradients)


def scale_with_a_tree(loss, params, silent):
    ones = jax.tree.map(lambda leaf: 1.0, params)
    place = ones
    for key in silent[:-1]:
        place = place[key]
    place[silent[-1]] = jax.tree.map(lambda one: 0.0, place[silent[-1]])
    value_and_gradients = jax.value_and_grad(lambda p: loss(jax.tree.map(jnp.multiply, p, ones)))
    return jax.tree.map(lambda g: bool(jnp.abs(g).max() == 0), value_and_gradients(params)[1])
