"""Entries of JAX parameters that hold their value through training, as an optax transformation.

The twin of ``holding``: parameters are values here, so there is nothing to write back; the updates
of held entries are zero, after all else has been done to them. Placed anywhere but last, weight
decay would still move them, so the transformation is wrapped and not chained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

Held = Mapping[str, Any]


class HoldState(NamedTuple):
    """What the wrapped transformation keeps, and what is held: {parameter name: booleans}."""

    inner: Any
    held: dict[str, Any]


def hold_updates(
    transformation: optax.GradientTransformation, held: Held
) -> optax.GradientTransformation:
    """Return the ``transformation`` with entries held where they are, whatever it does.

    ::

        held = choose_entries(params, 0.9)
        params = zero_entries(params, held)                    # pruning; leave out to hold values
        optimizer = hold_updates(optax.adamw(1e-3), held)

    Gradients of held entries are zero for the transformation, so clipping and its averages do not
    see them; updates of held entries are zero for the parameters. What is held stands in the state,
    and is saved with it. ``init`` raises ``ValueError`` for names or shapes that do not fit.

    Args:
        transformation: any of optax, whole: what is chained after the result could move entries.
        held: {parameter name: booleans of its shape}, ``True`` where held; steps of names joined
            with "/". Parameters without an entry are free.
    """
    wrapped = optax.with_extra_args_support(transformation)

    def init(params: Any) -> HoldState:
        _check(params, held)
        return HoldState(wrapped.init(params), {n: jnp.asarray(h) for n, h in held.items()})

    def update(
        updates: Any, state: HoldState, params: Any = None, **extra: Any
    ) -> tuple[Any, HoldState]:
        still = _zeroed(updates, state.held)
        moves, inner = wrapped.update(still, state.inner, params, **extra)
        return _zeroed(moves, state.held), HoldState(inner, state.held)

    return optax.GradientTransformationExtraArgs(init, update)


def zero_entries(params: Any, held: Held) -> Any:
    """Return ``params``, an nnx state or nested dicts, with held entries at zero.

    Raises ``ValueError`` for names or shapes that do not fit.
    """
    _check(params, held)
    return _zeroed(params, held)


def _zeroed(tree: Any, held: Held) -> Any:
    def entry(path: Any, leaf: Any) -> Any:
        booleans = held.get(_name(path))
        return leaf if booleans is None else jnp.where(booleans, jnp.zeros_like(leaf), leaf)

    return jax.tree_util.tree_map_with_path(entry, tree)


def _name(path: Any) -> str:
    keys = (getattr(step, "key", getattr(step, "idx", None)) for step in path)
    return "/".join(str(key) for key in keys if key is not None)


def _check(params: Any, held: Held) -> None:
    leaves = {_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    for name, booleans in held.items():
        if name not in leaves:
            raise ValueError(
                f"there is no parameter {name!r} to hold entries of; there are "
                + ", ".join(list(leaves)[:4])
            )
        if booleans.shape != leaves[name].shape or booleans.dtype != bool:
            raise ValueError(
                f"what to hold of {name!r} is {booleans.dtype} of shape {booleans.shape}; it must "
                f"be bool of shape {leaves[name].shape}, True where held"
            )
