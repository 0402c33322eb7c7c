"""What a step of a JAX training loop says to a watch: norms of its trees, layer by layer.

Inside a compiled program there are no numbers yet. There the norms are taken by the program, and
come to the host when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from paramlock.models.in_flax import layer_of, norm, parameter_names, wide
from paramlock.watching.record import Record, all_finite, by_layer, states


def record(params: Any, gradients: Any, updates: Any) -> Record:
    """The state of each layer; raises `ValueError` for trees of different structure."""
    layers = _layers(params, gradients, updates)
    trees = (params, gradients, updates)
    return _record(layers, [[norm(x) or 0.0 for x in jax.tree.leaves(tree)] for tree in trees])


def is_traced(gradients: Any) -> bool:
    """Whether these are values of a program that is being compiled."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(gradients))


def record_when_run(
    params: Any,
    gradients: Any,
    updates: Any,
    step: Any,
    every: int,
    report: Callable[[Callable[[], Record], int | None], None],
) -> None:
    """Have the program that is being compiled tell `report` how to make the record of a step.

    With `step` nothing is computed in the steps between two looks. Without it the host counts, so
    the calls must come in order, which JAX promises on one device only.
    """
    layers = _layers(params, gradients, updates)

    def take(at: Any, *sizes: Any) -> None:
        number = int(at[0]) if at else None
        report(lambda: _record(layers, [part.tolist() for part in sizes]), number)

    def look(_: Any) -> None:
        sizes = (_norms(tree) for tree in (params, gradients, updates))
        at = () if step is None else (step,)
        jax.debug.callback(take, at, *sizes, ordered=step is None)

    if step is None:
        look(None)
    else:
        jax.lax.cond(step % every == 0, look, lambda _: None, None)


def wait() -> None:
    """Wait until all programs under way have told what they have to tell."""
    jax.effects_barrier()


def _layers(params: Any, gradients: Any, updates: Any) -> list[str]:
    structure = jax.tree.structure(params)
    if {jax.tree.structure(gradients), jax.tree.structure(updates)} != {structure}:
        raise ValueError(
            "params, gradients and updates have different structures: pass the trees of one step, "
            "all of the same parameters"
        )
    return [layer_of(name) for name in parameter_names(params)]


def _record(layers: list[str], norms: Sequence[list[float]]) -> Record:
    sizes, pulls, moves = (by_layer(layers, values) for values in norms)
    return Record(0, all_finite(pulls, moves), states(pulls, moves, sizes))


def _norms(tree: Any) -> jax.Array:
    return jnp.stack([_norm(wide(leaf)) for leaf in jax.tree.leaves(tree)])


def _norm(array: jax.Array) -> jax.Array:
    """As `paramlock.models.in_flax.norm`, in the program's precision."""
    largest = jnp.abs(array).max(initial=0.0)
    scale = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1.0)
    inside = scale * jnp.linalg.norm((array / scale).ravel())
    return jnp.where(jnp.isfinite(largest), inside, largest)
