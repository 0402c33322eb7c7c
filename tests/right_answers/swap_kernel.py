"""Right answers to `swap_kernel`, each in a style of its own."""

import copy

import jax
from flax import traverse_util


def by_recursion(params, path, kernel):
    def swapped(tree, keys):
        first, *rest = keys
        if not isinstance(tree, dict) or first not in tree:
            raise KeyError(f"nothing at {'/'.join(path)}")
        if rest:
            return {**tree, first: swapped(tree[first], rest)}
        if tree[first].shape != kernel.shape:
            raise ValueError(f"expected {tree[first].shape}, got {kernel.shape}")
        return {**tree, first: kernel}

    return swapped(params, (*path, "kernel"))


def by_flat_dict(params, path, kernel):
    flat = traverse_util.flatten_dict(params)
    place = (*path, "kernel")
    if place not in flat:
        raise KeyError(place)
    if flat[place].shape != kernel.shape:
        raise ValueError(f"{list(kernel.shape)} does not fit {list(flat[place].shape)}")
    return traverse_util.unflatten_dict({**flat, place: kernel})


def by_flat_dict_and_its_own_error(params, path, kernel):
    flat = traverse_util.flatten_dict(params)
    old = flat[(*path, "kernel")]
    if old.shape != kernel.shape:
        raise ValueError(str(old.shape) + " != " + str(kernel.shape))
    flat[(*path, "kernel")] = kernel
    return traverse_util.unflatten_dict(flat)


def by_copying_the_dicts_on_the_way(params, path, kernel):
    changed = tree = dict(params)
    try:
        for key in path:
            tree[key] = dict(tree[key])
            tree = tree[key]
        old = tree["kernel"]
    except (KeyError, TypeError, ValueError) as error:
        raise KeyError(f"no kernel at {path}: {error}") from None
    if old.shape != kernel.shape:
        raise ValueError(f"{old.shape} is not {kernel.shape}")
    tree["kernel"] = kernel
    return changed


def by_rebuilding_first(params, path, kernel):
    changed = jax.tree.map(lambda leaf: leaf, params)
    layer = changed
    for key in path:
        layer = layer.get(key, {}) if isinstance(layer, dict) else {}
    if not isinstance(layer, dict) or "kernel" not in layer:
        raise KeyError(str(path))
    if layer["kernel"].shape != kernel.shape:
        raise ValueError(f"shapes {layer['kernel'].shape} and {kernel.shape}")
    layer["kernel"] = kernel
    return changed


def by_flattening_and_unflattening(params, path, kernel):
    pairs, form = jax.tree_util.tree_flatten_with_path(params)
    names = [[key.key for key in keys] for keys, _ in pairs]
    leaves = [leaf for _, leaf in pairs]
    wanted = [*path, "kernel"]
    if wanted not in names:
        raise KeyError(f"{wanted} is not one of {names}")
    place = names.index(wanted)
    if leaves[place].shape != kernel.shape:
        raise ValueError(f"{leaves[place].shape} against {kernel.shape}")
    leaves[place] = kernel
    return jax.tree.unflatten(form, leaves)


def by_copying_each_dict_deeply(params, path, kernel):
    def copied(tree):
        if not isinstance(tree, dict):
            return copy.copy(tree)
        return {key: copied(value) for key, value in tree.items()}

    changed = layer = copied(params)
    for key in path:
        if key not in layer or not isinstance(layer[key], dict):
            raise KeyError(path)
        layer = layer[key]
    if "kernel" not in layer:
        raise KeyError(path)
    if layer["kernel"].shape != kernel.shape:
        raise ValueError(f"{layer['kernel'].shape}, {kernel.shape}")
    layer["kernel"] = kernel
    return changed
