"""Right answers to `zero_kernel`, each in a style of its own."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util


def by_recursion(params, path):
    def zeroed(tree, keys):
        first, *rest = keys
        if not isinstance(tree, dict) or first not in tree:
            raise KeyError(f"nothing at {'/'.join(path)}")
        return {**tree, first: zeroed(tree[first], rest) if rest else np.zeros_like(tree[first])}

    return zeroed(params, (*path, "kernel"))


def by_flat_dict(params, path):
    flat = traverse_util.flatten_dict(params)
    old = flat[(*path, "kernel")]
    flat[(*path, "kernel")] = np.zeros(old.shape, old.dtype)
    return traverse_util.unflatten_dict(flat)


def by_the_framework_of_the_kernel(params, path):
    flat = traverse_util.flatten_dict(params)
    place = (*path, "kernel")
    if place not in flat:
        raise KeyError(place)
    old = flat[place]
    zeros = jnp.zeros_like(old) if isinstance(old, jax.Array) else np.zeros_like(old)
    return traverse_util.unflatten_dict({**flat, place: zeros})


def by_copying_the_dicts_on_the_way(params, path):
    changed = tree = dict(params)
    try:
        for key in path:
            tree[key] = dict(tree[key])
            tree = tree[key]
        tree["kernel"] = np.full_like(tree["kernel"], 0)
    except (KeyError, TypeError, ValueError) as error:
        raise KeyError(f"no kernel at {path}: {error}") from None
    return changed


def by_a_comparison_of_texts(params, path):
    """Brackets and quotation marks keep the keys apart."""
    wanted = "".join(f"['{key}']" for key in (*path, "kernel"))
    hits = []

    def zero(keys, leaf):
        if jax.tree_util.keystr(keys) != wanted:
            return leaf
        hits.append(leaf)
        return np.zeros_like(leaf)

    changed = jax.tree_util.tree_map_with_path(zero, params)
    if not hits:
        raise KeyError(f"{wanted} is not in the tree")
    return changed


def by_64_bits_for_as_long_as_it_takes(params, path):
    layer = changed = jax.tree.map(lambda leaf: leaf, params)
    for key in path:
        if not isinstance(layer.get(key), dict):
            raise KeyError(path)
        layer = layer[key]
    if "kernel" not in layer:
        raise KeyError(path)
    with jax.enable_x64(True):
        layer["kernel"] = jnp.zeros_like(layer["kernel"])
    return changed


def by_setting_every_entry(params, path):
    changed = jax.tree.map(np.array, params)
    layer = changed
    for key in path:
        if key not in layer or not isinstance(layer[key], dict):
            raise KeyError(f"{key} of {path}")
        layer = layer[key]
    if "kernel" not in layer:
        raise KeyError(f"kernel of {path}")
    layer["kernel"][...] = 0
    return changed
