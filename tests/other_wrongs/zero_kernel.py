"""Wrong answers to `zero_kernel` that come from none of its beliefs."""

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


def _set(tree, path, **leaves):
    """A new tree in which the layer at the path has these leaves."""
    first, *rest = path or (None,)
    return {**tree, first: _set(tree[first], rest, **leaves)} if path else {**tree, **leaves}


def _zero(params, path):
    return _set(params, path, kernel=np.zeros_like(_old(params, path)))


def write_into_the_tree_that_was_given(params, path):
    """No copy is made at all."""
    zeros, layer = np.zeros_like(_old(params, path)), params
    for key in path:
        layer = layer[key]
    layer["kernel"] = zeros
    return params


def write_into_the_tree_and_return_nothing(params, path):
    write_into_the_tree_that_was_given(params, path)


def fill_the_array_that_was_given(params, path):
    old = _old(params, path)
    if not isinstance(old, np.ndarray):
        return _zero(params, path)
    old.fill(0)
    return params


def copy_two_levels(params, path):
    zeros = np.zeros_like(_old(params, path))
    changed = {key: dict(v) if isinstance(v, dict) else v for key, v in params.items()}
    layer = changed
    for key in path:
        layer = layer[key]
    layer["kernel"] = zeros
    return changed


def let_jax_hold_every_leaf(params, path):
    """What numpy holds in float64 becomes a float32."""
    return jax.tree.map(jnp.array, _zero(params, path))


def let_jax_hold_the_neighbours(params, path):
    """The kernel keeps its dtype, the leaves beside it do not."""
    zeros = np.zeros_like(_old(params, path))
    return _set(jax.tree.map(jnp.asarray, params), path, kernel=zeros)


def make_whole_numbers(params, path):
    return _set(params, path, kernel=np.zeros(_old(params, path).shape, int))


def put_a_single_zero(params, path):
    return _set(params, path, kernel=_old(params, path).dtype.type(0))


def put_a_row_of_zeros(params, path):
    return _set(params, path, kernel=np.zeros_like(_old(params, path)[:1]))


def turn_the_zeros(params, path):
    return _set(params, path, kernel=np.zeros_like(_old(params, path).T))


def take_the_kernel_out(params, path):
    _old(params, path)
    return _set(params, path, kernel=None)


def drop_the_kernel(params, path):
    changed, layer = jax.tree.map(lambda leaf: leaf, params), _old(params, path)
    layer = changed
    for key in path:
        layer = layer[key]
    del layer["kernel"]
    return changed


def zero_all_kernels(params, path):
    _old(params, path)
    return tree_map_with_path(
        lambda keys, leaf: np.zeros_like(leaf) if keys[-1].key == "kernel" else leaf, params
    )


def zero_the_bias_instead(params, path):
    _old(params, path)
    return _set(params, path, bias=np.zeros(5, np.float32))


def zero_all_that_is_finite(params, path):
    old = np.asarray(_old(params, path))
    return _set(params, path, kernel=np.where(np.isfinite(old), np.zeros_like(old), old))


def make_it_very_small(params, path):
    old = _old(params, path)
    return _set(params, path, kernel=np.full(old.shape, 1e-7, old.dtype))


def split_the_keys_of_the_path(params, path):
    keys = tuple(part for key in path for part in key.split("/"))
    return _zero(params, keys)


def refuse_an_empty_path(params, path):
    if not path:
        raise KeyError(path)
    return _zero(params, path)


def refuse_what_is_not_two_keys_deep(params, path):
    if len(path) != 2:
        raise KeyError(path)
    return _zero(params, path)


def name_the_last_key_only(params, path):
    try:
        return _zero(params, path)
    except KeyError:
        raise KeyError(path[-1] if path else "kernel") from None


def raise_a_value_error_for_a_missing_layer(params, path):
    try:
        return _zero(params, path)
    except KeyError as error:
        raise ValueError(str(error)) from error


def give_the_tree_back_for_a_missing_layer(params, path):
    try:
        return _zero(params, path)
    except KeyError:
        return None


def change_nothing(params, path):
    _old(params, path)
    return params


def _grown(tree, path, kernel):
    if not path:
        return {**tree, "kernel": kernel}
    return {**tree, path[0]: _grown(tree[path[0]], path[1:], kernel)}


def make_float32_of_whole_numbers(params, path):
    layer = params
    for key in path:
        if not isinstance(layer, dict) or key not in layer:
            raise KeyError(path)
        layer = layer[key]
    if not isinstance(layer, dict) or not hasattr(layer.get("kernel"), "dtype"):
        raise KeyError(path)
    old = layer["kernel"]
    dtype = old.dtype if old.dtype.kind == "f" else np.float32
    return _grown(params, path, np.zeros(old.shape, dtype))
