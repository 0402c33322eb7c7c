"""What a step of a JAX training loop says to a watch: norms of its trees, layer by layer."""

from __future__ import annotations

from typing import Any

import jax

from paramlock.models.in_flax import layer_of, norm, parameter_names
from paramlock.watching.record import Record, all_finite, by_layer, states


def record(params: Any, gradients: Any, updates: Any) -> Record:
    """The state of each layer; raises `ValueError` for trees of different structure."""
    structure = jax.tree.structure(params)
    if {jax.tree.structure(gradients), jax.tree.structure(updates)} != {structure}:
        raise ValueError(
            "params, gradients and updates have different structures: pass the trees of one step, "
            "all of the same parameters"
        )
    layers = [layer_of(name) for name in parameter_names(params)]
    sizes, pulls, moves = (
        by_layer(layers, [norm(leaf) or 0.0 for leaf in jax.tree.leaves(tree)])
        for tree in (params, gradients, updates)
    )
    return Record(0, all_finite(pulls, moves), states(pulls, moves, sizes))
