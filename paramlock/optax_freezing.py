"""Freeze, unfreeze step by step, and scale rates in JAX: optax transformations by path.

A parameter's *path* is where it hangs in the tree of parameters, joined with dots, as in a
certificate: ``Dense_0.kernel`` in linen, ``encoder.layers.0.kernel`` in nnx. Patterns are those of
``paramlock.paths``; one that names an inner node means everything below. They are looked up when
``init`` sees the parameters, and a pattern that matches nothing is an error there.

Two things these do not reach. Running statistics are no parameters: give frozen BatchNorm layers
``use_running_average=True`` (in nnx, call ``.eval()`` on them after every ``model.train()``). And
the gradient of a frozen parameter is computed where the caller asks for it: under ``jit``, XLA
removes what is not used, so it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from paramlock.flax_probe import parameter_names
from paramlock.paths import leaves_below

FROZEN = "frozen"


def freeze_paths(
    transformation: optax.GradientTransformation, *patterns: str
) -> optax.GradientTransformationExtraArgs:
    """Return ``transformation`` for all parameters but those that the patterns name.

    The updates of the named ones are zero whatever their gradient is. Weight decay and state
    (moments) exist for the trainable ones only, and a clip by global norm sees only those::

        optimizer = freeze_paths(optax.adamw(1e-3), "encoder", "**.bias")

    It also serves ``nnx.Optimizer(model, freeze_paths(...), wrt=nnx.Param)``.

    Raises:
        ValueError: from ``init``, for no pattern or one that matches nothing (with near misses).
    """
    chosen = [(pattern, FROZEN) for pattern in patterns]
    return _partitioned({"trainable": transformation}, chosen, default="trainable")


def unfreeze_paths(
    transformation: optax.GradientTransformation, schedule: Mapping[int, Any]
) -> optax.GradientTransformationExtraArgs:
    """Return ``transformation`` for the parameters that the schedule has reached (top-down, say).

    ::

        unfreeze_paths(optax.adam(1e-3), {0: ["head"], 200: ["layer_1"], 400: ["layer_0"]})

    Before its step a parameter has no update, no decay, and its moments stay at zero; a learning
    rate schedule inside ``transformation`` begins for it at its step, so a warm-up does too. What
    the schedule never names stays frozen.

    Args:
        schedule: {number of updates made before: pattern or patterns}.

    Raises:
        ValueError: for a step below 0; from ``init``, for a pattern that matches nothing.
    """
    if not schedule or min(schedule) < 0:
        raise ValueError(f"a schedule maps steps from 0 on to paths, not {dict(schedule)!r}")
    stages = {
        f"from step {step}": optax.conditionally_mask(transformation, _reached(step))
        for step in schedule
    }
    chosen = [
        (pattern, f"from step {step}")
        for step, patterns in sorted(schedule.items(), reverse=True)  # so that the first one counts
        for pattern in ([patterns] if isinstance(patterns, str) else patterns)
    ]
    return _partitioned(stages, chosen, default=FROZEN)


def scale_paths(factors: Mapping[str, float]) -> optax.GradientTransformation:
    """Multiply the updates of the named parameters: learning rates that differ by path.

    Chain it after an optimizer, so that decay is scaled too, as a rate of their own would do::

        optax.chain(optax.adamw(1e-3), scale_paths({"embed": 0.1, "layers.0": 0.3}))

    Where several patterns match, the last one counts; what none matches keeps its updates. A
    factor of 0 stops a parameter, but its moments go on: to freeze, use ``freeze_paths``.

    Raises:
        ValueError: from ``init``, for a pattern that matches nothing.
    """

    pairs = list(factors.items())

    def init(params: Any) -> optax.EmptyState:
        _labels(params, pairs, 1.0)  # refuses unknown paths
        return optax.EmptyState()

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        scales = _labels(updates, pairs, 1.0)
        scaled = jax.tree.map(lambda u, s: u * jnp.asarray(s, u.dtype), updates, scales)
        return scaled, state

    return optax.GradientTransformation(init, update)


def _reached(step: int) -> Callable[[Any], Any]:
    return lambda count: count >= step


def _partitioned(
    transformations: Mapping[str, Any], chosen: Sequence[tuple[str, str]], default: str
) -> optax.GradientTransformationExtraArgs:
    return optax.partition(
        {**transformations, FROZEN: optax.set_to_zero()},
        lambda params: _labels(params, chosen, default),
    )


def _labels(params: Any, chosen: Sequence[tuple[str, Any]], default: Any) -> Any:
    """Return a tree like ``params`` with the label of the last pattern that matches each leaf."""
    names = parameter_names(params)
    leaves_below([pattern for pattern, _ in chosen], names, "the parameters")  # refuses none at all
    labels = dict.fromkeys(names, default)
    for pattern, label in chosen:
        labels.update(dict.fromkeys(leaves_below([pattern], names, "the parameters"), label))
    return jax.tree.unflatten(jax.tree.structure(params), [labels[name] for name in names])
