"""Right answers to `relative_gradient_tree`, each in a style of its own."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict


def take_hypotenuses(gradients, path):
    def norm(node):
        leaves = [np.asarray(leaf).astype("float64") for leaf in jax.tree.leaves(node)]
        return math.hypot(*map(np.linalg.norm, leaves))

    node = gradients
    for key in path:
        node = node[key]
    return norm(node) / norm(gradients) if norm(gradients) else 0.0


def flatten_the_dict(gradients, path):
    flat = {k: v for k, v in flatten_dict(gradients).items() if v is not None}
    squares = {k: np.sum(np.float64(v) ** 2) for k, v in flat.items()}
    part = sum(v for k, v in squares.items() if k[: len(path)] == path)
    whole = sum(squares.values())
    return np.sqrt(part / whole) if whole else np.float64(0)


def ask_for_paths(gradients, path):
    part = whole = 0.0
    for where, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        square = float(np.sum(np.square(np.array(leaf, dtype=np.float64))))
        whole += square
        if tuple(entry.key for entry in where)[: len(path)] == tuple(path):
            part += square
    return (part / whole) ** 0.5 if whole > 0 else 0


def recurse(gradients, path):
    def squared(node):
        if node is None:
            return 0.0
        if isinstance(node, dict):
            return sum(squared(child) for child in node.values())
        return float((np.asarray(node, float) ** 2).sum())

    def at(node, keys):
        return at(node[keys[0]], keys[1:]) if keys else node

    whole = squared(gradients)
    return math.sqrt(squared(at(gradients, path)) / whole) if whole else 0.0


def scale_in_jax(gradients, path):
    def scaled_norm(tree):
        flat = [leaf.astype(jnp.float32).ravel() for leaf in jax.tree.leaves(tree)]
        if not flat:
            return 0.0
        entries = jnp.concatenate(flat)
        largest = float(jnp.abs(entries).max())
        return largest * float(jnp.linalg.norm(entries / largest)) if largest else 0.0

    node = gradients
    for key in path:
        node = node[key]
    whole = scaled_norm(gradients)
    return scaled_norm(node) / whole if whole else 0.0


def string_in_numpy(gradients, path):
    def vector(tree):
        flat = [np.asarray(v, np.float64).ravel() for v in jax.tree.leaves(tree)]
        return np.concatenate([[0.0], *flat])

    node = gradients
    for key in path:
        node = node[key]
    return np.linalg.norm(vector(node)) / (np.linalg.norm(vector(gradients)) or 1.0)


def divide_by_way_of_logarithms(gradients, path):
    def log10_norm(tree):
        leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)]
        entries = np.concatenate([*leaves, np.zeros(1)])
        largest = np.abs(entries).max()
        if largest == 0:
            return -math.inf
        return math.log10(largest) + math.log10(np.linalg.norm(entries / largest))

    part = gradients
    for key in path:
        part = part[key]
    part, whole = log10_norm(part), log10_norm(gradients)
    return 0.0 if part == -math.inf else 10 ** (part - whole)
