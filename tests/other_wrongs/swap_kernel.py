"""Wrong answers to `swap_kernel` that come from none of its beliefs."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import tree_map_with_path


def _old(params, path):
    tree = params
    for key in (*path, "kernel"):
        if not isinstance(tree, dict) or key not in tree:
            raise KeyError(f"{path} leads to no kernel")
        tree = tree[key]
    return tree


def _check(old, kernel):
    if old.shape != kernel.shape:
        raise ValueError(f"{kernel.shape} does not fit {old.shape}")


def _set(tree, path, **leaves):
    """A new tree in which the layer at the path has these leaves."""
    first, *rest = path or (None,)
    return {**tree, first: _set(tree[first], rest, **leaves)} if path else {**tree, **leaves}


def _swap(params, path, kernel):
    _check(_old(params, path), kernel)
    return _set(params, path, kernel=kernel)


def write_into_the_tree_that_was_given(params, path, kernel):
    """No copy is made at all."""
    _check(_old(params, path), kernel)
    layer = params
    for key in path:
        layer = layer[key]
    layer.update(kernel=kernel)
    return params


def write_into_the_tree_and_return_nothing(params, path, kernel):
    write_into_the_tree_that_was_given(params, path, kernel)


def copy_two_levels(params, path, kernel):
    _check(_old(params, path), kernel)
    changed = {key: dict(v) if isinstance(v, dict) else v for key, v in params.items()}
    layer = changed
    for key in path:
        layer = layer[key]
    layer["kernel"] = kernel
    return changed


def let_jax_hold_every_leaf(params, path, kernel):
    """What numpy holds in float64 becomes a float32."""
    return jax.tree.map(jnp.array, _swap(params, path, kernel))


def let_numpy_hold_every_leaf_in_float32(params, path, kernel):
    swapped = _swap(params, path, kernel)
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), swapped)


def hand_the_kernel_to_jax(params, path, kernel):
    return _swap(params, path, jnp.asarray(kernel))


def compare_the_counts_of_numbers(params, path, kernel):
    old = _old(params, path)
    if np.size(old) != np.size(kernel):
        raise ValueError(f"{np.shape(kernel)} does not fit {np.shape(old)}")
    return _set(params, path, kernel=kernel)


def compare_the_counts_of_dimensions(params, path, kernel):
    old = _old(params, path)
    if old.ndim != kernel.ndim:
        raise ValueError(f"{kernel.shape} does not fit {old.shape}")
    return _set(params, path, kernel=kernel)


def compare_the_inputs_only(params, path, kernel):
    old = _old(params, path)
    if old.shape[0] != kernel.shape[0]:
        raise ValueError(f"{kernel.shape} does not fit {old.shape}")
    return _set(params, path, kernel=kernel)


def compare_the_outputs_only(params, path, kernel):
    old = _old(params, path)
    if old.shape[-1] != kernel.shape[-1]:
        raise ValueError(f"{kernel.shape} does not fit {old.shape}")
    return _set(params, path, kernel=kernel)


def reshape_it_to_fit(params, path, kernel):
    return _set(params, path, kernel=kernel.reshape(_old(params, path).shape))


def spread_it_over_the_rows(params, path, kernel):
    old = _old(params, path)
    if kernel.ndim != 2 or kernel.shape[1] != old.shape[1]:
        raise ValueError(f"{kernel.shape} does not fit {old.shape}")
    return _set(params, path, kernel=kernel + jnp.zeros(old.shape, kernel.dtype))


def say_which_shape_is_due_only(params, path, kernel):
    old = _old(params, path)
    if old.shape != kernel.shape:
        raise ValueError(f"a kernel of shape {old.shape} is due")
    return _set(params, path, kernel=kernel)


def assert_that_the_shapes_agree(params, path, kernel):
    old = _old(params, path)
    assert old.shape == kernel.shape, f"{kernel.shape} does not fit {old.shape}"
    return _set(params, path, kernel=kernel)


def split_the_keys_of_the_path(params, path, kernel):
    keys = tuple(part for key in path for part in key.split("/"))
    _check(_old(params, keys), kernel)
    return _set(params, keys, kernel=kernel)


def refuse_an_empty_path(params, path, kernel):
    if not path:
        raise KeyError(path)
    return _swap(params, path, kernel)


def name_the_last_key_only(params, path, kernel):
    try:
        return _swap(params, path, kernel)
    except KeyError:
        raise KeyError(path[-1] if path else "kernel") from None


def raise_a_value_error_for_a_missing_layer(params, path, kernel):
    try:
        return _swap(params, path, kernel)
    except KeyError as error:
        raise ValueError(str(error)) from error


def add_the_difference(params, path, kernel):
    """The numbers are rounded, and what is NaN stays."""
    old = _old(params, path)
    _check(old, kernel)
    return _set(params, path, kernel=old + (kernel - old))


def swap_all_kernels(params, path, kernel):
    _check(_old(params, path), kernel)
    return tree_map_with_path(lambda ks, leaf: kernel if ks[-1].key == "kernel" else leaf, params)


def zero_the_bias_as_well(params, path, kernel):
    _check(_old(params, path), kernel)
    return _set(params, path, kernel=kernel, bias=jnp.zeros(kernel.shape[1:]))


def change_nothing(params, path, kernel):
    _check(_old(params, path), kernel)
    return params


def return_a_tree_of_that_leaf_alone(params, path, kernel):
    _check(_old(params, path), kernel)
    return _set({}, (), kernel=kernel)


def _grown(tree, path, kernel):
    if not path:
        return {**tree, "kernel": kernel}
    return {**tree, path[0]: _grown(tree[path[0]], path[1:], kernel)}
