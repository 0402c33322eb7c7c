"""Freeze, unfreeze step by step, and scale rates in JAX: optax transformations by path.

Each function takes a transformation of optax and gives one that does as it does, but for the
parameters named. It also serves `nnx.Optimizer(model, ..., wrt=nnx.Param)`.

A parameter's *path* is where it hangs in the tree of parameters, joined with dots, as in a
certificate: `Dense_0.kernel` in linen, `encoder.layers.0.kernel` in nnx. Patterns are those of
`models.paths`; one that names an inner node means everything below. They are looked up when
`init` sees the parameters, and a pattern that matches nothing is an error there.

Two things these do not reach. Running statistics are no parameters: give frozen BatchNorm layers
`use_running_average=True` (in nnx, call `.eval()` on them after every `model.train()`). And
the gradient of a frozen parameter is computed where the caller asks for it: under `jit`, XLA
removes what is not used, so it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from paramlock.freezing.stages import FACTOR, Schedule, Stages, due_of, falling, require_all
from paramlock.models.in_flax import parameter_names
from paramlock.models.paths import leaves_below

FROZEN = "frozen"


def freeze(
    transformation: optax.GradientTransformation, *patterns: str
) -> optax.GradientTransformationExtraArgs:
    """`transformation` for all parameters but those that the patterns name.

    The updates of the named ones are zero whatever their gradient is. Weight decay and state
    (moments) exist for the trainable ones only, and a clip by global norm sees only those::

        optimizer = freeze(optax.adamw(1e-3), "encoder", "**.bias")

    Raises:
        ValueError: from `init`, for no pattern or one that matches nothing (with near misses).
    """
    chosen = [(pattern, FROZEN) for pattern in patterns]
    return _partitioned({"trainable": transformation}, chosen, default="trainable")


def unfreeze_gradually(
    transformation: optax.GradientTransformation, schedule: Schedule
) -> optax.GradientTransformationExtraArgs:
    """`transformation` for the parameters that the schedule has reached (top-down, say).

    ::

        unfreeze_gradually(optax.adam(1e-3), {0: ["head"], 200: ["layer_1"], 400: ["layer_0"]})

    Before its step a parameter has no update, no decay, and its moments stay at zero; a learning
    rate schedule inside `transformation` begins for it at its step, so a warm-up does too. What
    the schedule never names stays frozen.

    Args:
        transformation: any of optax, with its learning rate in it.
        schedule: {number of updates made before: pattern or patterns}.

    Raises:
        ValueError: for a step below 0; from `init`, for a pattern that matches nothing.
    """
    due = due_of(schedule)
    stages = {
        f"from step {step}": optax.conditionally_mask(transformation, _reached(step))
        for step in due
    }
    chosen = [
        (pattern, f"from step {step}")
        for step, patterns in reversed(due.items())  # so that the first one counts
        for pattern in patterns
    ]
    return _partitioned(stages, chosen, default=FROZEN)


def scale_rates(
    transformation: optax.GradientTransformation, factors: Mapping[str, float]
) -> optax.GradientTransformationExtraArgs:
    """`transformation` with the updates of the named parameters multiplied.

    Decay is scaled too, as a rate of their own would do::

        scale_rates(optax.adamw(1e-3), {"embed": 0.1, "layers.0": 0.3})

    Where several patterns match, the last one counts; what none matches keeps its updates. A
    factor of 0 stops a parameter, but its moments go on: to freeze, use `freeze`.

    Raises:
        ValueError: from `init`, for a pattern that matches nothing.
    """
    return optax.chain(transformation, _scale(list(factors.items()), 1.0))


def discriminative_rates(
    transformation: optax.GradientTransformation, stages: Stages, factor: float = FACTOR
) -> optax.GradientTransformationExtraArgs:
    """`transformation` at rates that fall from stage to stage towards the input.

    ::

        discriminative_rates(optax.adamw(1e-3), ["embed", "layers.0", "layers.1", "head"])

    The last stage, next to the output, has the rate of `transformation`. A parameter that several
    stages name goes with the lowest.

    Args:
        transformation: any of optax; its updates are scaled, stage by stage.
        stages: paths from the input up, one or several to a stage.
        factor: from the rate of a stage to that of the stage below it.

    Raises:
        ValueError: from `init`, for stages that name nothing, or that leave parameters out.
    """
    levels = reversed(falling(stages, factor))  # so that the lowest one counts
    pairs = [(pattern, share) for patterns, share in levels for pattern in patterns]
    return optax.chain(transformation, _scale(pairs, None))


def _scale(
    pairs: Sequence[tuple[str, float]], default: float | None
) -> optax.GradientTransformation:
    """Updates times the factor of the last pattern that matches; no default: one has to."""

    def init(params: Any) -> optax.EmptyState:
        labels = _labelled(params, pairs, default)
        require_all([name for name, factor in labels.items() if factor is None])
        return optax.EmptyState()

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        scales = _labels(updates, pairs, default)
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
    """A tree like `params` with the label of the last pattern that matches each leaf."""
    labels = _labelled(params, chosen, default)
    return jax.tree.unflatten(jax.tree.structure(params), labels.values())


def _labelled(params: Any, chosen: Sequence[tuple[str, Any]], default: Any) -> dict[str, Any]:
    """{name: label} of the last pattern that matches it."""
    names = parameter_names(params)
    leaves_below([pattern for pattern, _ in chosen], names, "the parameters")  # refuses none at all
    labels = dict.fromkeys(names, default)
    for pattern, label in chosen:
        labels.update(dict.fromkeys(leaves_below([pattern], names, "the parameters"), label))
    return labels
