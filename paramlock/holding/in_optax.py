"""Entries of JAX parameters that hold their value through training, as an optax transformation.

The twin of `in_torch`: parameters are values here, so there is nothing to write back; the updates
of held entries are zero, after all else has been done to them. Placed anywhere but last, weight
decay would still move them, so the transformation is wrapped and not chained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from paramlock.holding.choosing import choose_to_prune
from paramlock.models.in_flax import parameter_names

Held = Mapping[str, Any]


class HoldState(NamedTuple):
    """What the wrapped transformation keeps, and what is held: {parameter name: booleans}."""

    inner: Any
    held: dict[str, Any]


def hold(
    transformation: optax.GradientTransformation, held: Held
) -> optax.GradientTransformationExtraArgs:
    """The `transformation` with entries held where they are, whatever it does.

    ::

        held = choose_entries(params, 0.5, by=fisher, which="highest")
        optimizer = hold(optax.adamw(1e-3), held)

    Gradients of held entries are zero for the transformation, so clipping and its averages do not
    see them; updates of held entries are zero for the parameters. What is held stands in the state,
    and is saved with it.

    Args:
        transformation: any of optax, whole: what is chained after the result could move entries.
        held: {parameter name: booleans of its shape}, `True` where held; steps of names joined
            with dots. Parameters without an entry are free.

    Raises:
        ValueError: from `init`, for names or shapes that do not fit.
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


class Pruned(NamedTuple):
    """Parameters with entries at zero, and which: what `hold` takes."""

    params: Any
    held: dict[str, Any]


def prune(
    params: Any,
    sparsity: float | tuple[int, int],
    *,
    by: str | Held = "magnitude",
    scope: str = "global",
    names: Iterable[str] | None = None,
    seed: int = 0,
    held: Held | None = None,
) -> Pruned:
    """`params` with the weights of lowest score at zero, and what to hold there.

    ::

        params, held = prune(params, 0.9)              # the 90 % smallest, over all layers
        optimizer = hold(optax.adamw(1e-3), held)      # else the next step moves them

    Args:
        params: an nnx state or nested dicts.
        sparsity: share of entries to set to zero, or `(n, m)`: n of every m neighbours stay.
        by: "magnitude", "random" or scores {parameter name: array of its shape}.
        scope: the lowest of all layers ("global") or in each ("tensor").
        names: parameters to choose among; by default as in `choose_entries`.
        seed: for "random".
        held: an earlier result for this model: its entries stay pruned and count towards
            `sparsity`.

    Raises:
        ValueError: as `choose_entries`; a sparsity below what `held` holds already.
    """
    chosen = choose_to_prune(
        params, sparsity, by=by, scope=scope, names=names, seed=seed, first=held
    )
    return Pruned(zero_entries(params, chosen), chosen)


def zero_entries(params: Any, held: Held) -> Any:
    """`params`, an nnx state or nested dicts, with held entries at zero.

    Raises:
        ValueError: names or shapes that do not fit.
    """
    _check(params, held)
    return _zeroed(params, held)


def _zeroed(tree: Any, held: Held) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    for index, name in enumerate(parameter_names(tree)):
        if name in held:
            leaves[index] = jnp.where(held[name], jnp.zeros_like(leaves[index]), leaves[index])
    return jax.tree.unflatten(structure, leaves)


def _check(params: Any, held: Held) -> None:
    leaves = dict(zip(parameter_names(params), jax.tree.leaves(params), strict=True))
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
