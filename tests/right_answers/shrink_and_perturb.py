"""Right answers to `shrink_and_perturb`, each in a style of its own."""

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict


def walk_down_by_hand(params, fresh, shrink):
    new = {}
    for key, old in params.items():
        if isinstance(old, dict):
            new[key] = walk_down_by_hand(old, fresh[key], shrink)
        elif old.dtype.kind == "f":
            mixed = old * shrink + fresh[key] * (1 - shrink)
            new[key] = jnp.where(jnp.isfinite(old), mixed, fresh[key])
        else:
            new[key] = old
    return new


def mend_first(params, fresh, shrink):
    """Put the fresh numbers in for what is broken, then step towards them."""

    def one(old, new):
        if not np.issubdtype(old.dtype, np.floating):
            return old
        old = jnp.where(jnp.isnan(old) | jnp.isinf(old), new, old)
        return (new + shrink * (old - new)).astype(new.dtype)

    return jax.tree.map(one, params, fresh)


def stay_with_numpy(params, fresh, shrink):
    flat, other = flatten_dict(params), flatten_dict(fresh)
    for path, old in flat.items():
        old, new = np.array(old), np.array(other[path])
        if old.dtype.kind == "f":
            sound = np.isfinite(old)
            mixed = new.copy()
            mixed[sound] = shrink * old[sound] + (1 - shrink) * new[sound]
            flat[path] = mixed
    return unflatten_dict(flat)


def flatten_the_leaves(params, fresh, shrink):
    leaves, form = jax.tree.flatten(params)
    new = []
    for old, other in zip(leaves, jax.tree.leaves(fresh), strict=True):
        is_float = jnp.issubdtype(old.dtype, jnp.floating)
        mixed = jnp.where(jnp.abs(old) < jnp.inf, shrink * old + (1.0 - shrink) * other, other)
        new.append(mixed.astype(old.dtype) if is_float else old)
    return jax.tree.unflatten(form, new)
