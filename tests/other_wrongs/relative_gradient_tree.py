"""Wrong answers to `relative_gradient_tree` that come from none of its beliefs."""

import functools
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np


def _norm(tree):
    leaves = jax.tree.leaves(tree)
    return math.hypot(*(float(np.linalg.norm(np.asarray(leaf, np.float64))) for leaf in leaves))


def _node(gradients, path):
    return functools.reduce(operator.getitem, path, gradients)


def _share(part, whole):
    return _norm(part) / _norm(whole) if _norm(whole) else 0.0


def take_every_node_of_the_last_name(gradients, path):
    def found(tree):
        for key, node in tree.items():
            if key == path[-1]:
                yield node
            elif isinstance(node, dict):
                yield from found(node)

    return _share(list(found(gradients)) if path else gradients, gradients)


def take_the_first_node_of_the_last_name(gradients, path):
    def found(tree):
        for key, node in tree.items():
            if key == path[-1]:
                return node
            if isinstance(node, dict) and (below := found(node)) is not None:
                return below
        return None

    return _share(found(gradients) if path else gradients, gradients)


def take_leaves_with_any_key_of_the_path(gradients, path):
    named = jax.tree_util.tree_leaves_with_path(gradients)
    part = [leaf for where, leaf in named if not path or {k.key for k in where} & set(path)]
    return _share(part, gradients)


def answer_1_for_the_empty_path(gradients, path):
    return _share(_node(gradients, path), gradients) if path else 1.0


def answer_0_for_the_empty_path(gradients, path):
    return _share(_node(gradients, path), gradients) if path else 0.0


def expect_two_keys(gradients, path):
    first, second = path
    return _share(gradients[first][second], gradients)


def call_nothing_of_nothing_everything(gradients, path):
    return _share(_node(gradients, path), gradients) if _norm(gradients) else 1.0


def add_a_little_to_the_whole(gradients, path):
    return _norm(_node(gradients, path)) / (_norm(gradients) + 1e-12)


def call_a_small_whole_zero(gradients, path):
    whole = _norm(gradients)
    return _norm(_node(gradients, path)) / whole if whole > 1e-12 else 0.0


def divide_both_by_the_largest_of_the_whole_in_float32(gradients, path):
    """The square of a share of 1e-30 is no float32."""
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradients))

    def scaled(tree):
        leaves = jax.tree.leaves(tree)
        return sum(float(((leaf / largest).astype(jnp.float32) ** 2).sum()) for leaf in leaves)

    return math.sqrt(scaled(_node(gradients, path)) / scaled(gradients)) if largest else 0.0


def round_to_six_digits(gradients, path):
    return round(_share(_node(gradients, path), gradients), 6)


def give_percent(gradients, path):
    return 100 * _share(_node(gradients, path), gradients)


def add_up_absolute_entries(gradients, path):
    def total(tree):
        return sum(float(np.abs(np.asarray(v, np.float64)).sum()) for v in jax.tree.leaves(tree))

    return total(_node(gradients, path)) / (total(gradients) or 1.0)


def take_the_largest_signed_entry(gradients, path):
    def largest(tree):
        return max((float(leaf.max()) for leaf in jax.tree.leaves(tree)), default=0.0)

    return largest(_node(gradients, path)) / (largest(gradients) or 1.0)


def divide_the_whole_by_the_part(gradients, path):
    return _share(gradients, _node(gradients, path))


def count_the_entries(gradients, path):
    counts = [
        sum(leaf.size for leaf in jax.tree.leaves(tree))
        for tree in (_node(gradients, path), gradients)
    ]
    return counts[0] / counts[1]


def take_none_for_a_broken_tree(gradients, path):
    leaves = jax.tree.leaves(gradients, is_leaf=lambda leaf: leaf is None)
    if any(leaf is None for leaf in leaves):
        return math.nan
    return _share(_node(gradients, path), gradients)


def pass_over_biases(gradients, path):
    part, whole = (
        [leaf for leaf in jax.tree.leaves(tree) if leaf.ndim == 2]
        for tree in (_node(gradients, path), gradients)
    )
    return _share(part, whole)


def take_the_parts_out_of_the_tree(gradients, path):
    share = _share(_node(gradients, path), gradients)
    if path:
        del _node(gradients, path[:-1])[path[-1]]
    return share


def fill_in_zeros_for_none(gradients, path):
    for layer in (*gradients["body"].values(), gradients["head"]):
        for kind, shape in (("kernel", (3, 4)), ("bias", (4,))):
            layer[kind] = jnp.zeros(shape) if layer[kind] is None else layer[kind]
    return _share(_node(gradients, path), gradients)


def give_0_where_one_leaf_is_none(gradients, path):
    node = _node(gradients, path)
    leaves = jax.tree.leaves(node, is_leaf=lambda leaf: leaf is None)
    if path and any(leaf is None for leaf in leaves):
        return 0.0
    return _share(node, gradients)


def follow_two_keys_at_most(gradients, path):
    return _share(_node(gradients, path[:2]), gradients)


def scale_in_the_precision_of_the_leaf(gradients, path):
    def largest_and_norm(tree):
        leaves = jax.tree.leaves(tree)
        largest = max((float(jnp.abs(leaf).max()) for leaf in leaves), default=0.0) or 1.0
        return largest, math.hypot(*(float(jnp.linalg.norm(leaf / largest)) for leaf in leaves))

    (m, part), (n, whole) = map(largest_and_norm, (_node(gradients, path), gradients))
    return m / n * part / whole if whole else 0.0
