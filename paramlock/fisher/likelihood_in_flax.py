"""What the likelihood says about the outputs of a Flax model: scores, draws, exact roots."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from paramlock.models.in_flax import wide

# --- what the likelihood says about the outputs ---------------------------------------------


def cotangents(
    outputs: jax.Array, targets: Any, key: Any, kind: str, likelihood: str, draws: int
) -> jax.Array:
    """Arrays (k, n, …, classes) whose squares are to be summed; see the torch twin."""
    outputs = wide(outputs)
    if kind == "empirical":
        return _score(outputs, targets, likelihood)[None]
    if kind == "true":
        return _one_position_at_a_time(_roots(outputs, likelihood), outputs.shape)
    if likelihood == "gaussian":
        return jax.random.normal(key, (draws, *outputs.shape), outputs.dtype) / math.sqrt(draws)
    labels = jax.random.categorical(key, outputs, shape=(draws, *outputs.shape[:-1]))
    return _score(outputs, labels, likelihood) / math.sqrt(draws)


def _score(outputs: jax.Array, targets: Any, likelihood: str) -> jax.Array:
    if likelihood == "gaussian":
        return targets - outputs
    return jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype) - jax.nn.softmax(outputs)


def _roots(outputs: jax.Array, likelihood: str) -> jax.Array:
    """Columns (…, classes, k): the closed-form Cholesky factor that the torch twin explains."""
    classes = outputs.shape[-1]
    if likelihood == "gaussian":
        return jnp.broadcast_to(jnp.eye(classes), (*outputs.shape, classes))
    p = jax.nn.softmax(outputs)
    rest = jnp.flip(jnp.cumsum(jnp.flip(p, -1), -1), -1)
    after = jnp.concatenate([rest[..., 1:], jnp.zeros_like(rest[..., :1])], -1)
    tiny = jnp.finfo(p.dtype).tiny
    below = jnp.sqrt(p / (jnp.maximum(after, tiny) * jnp.maximum(rest, tiny)))
    columns = jnp.tril(-p[..., :, None] * below[..., None, :], -1)
    diagonal = jnp.sqrt(p * after / jnp.maximum(rest, tiny))
    return (columns + diagonal[..., None] * jnp.eye(classes))[..., :-1]


def _one_position_at_a_time(roots: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Cotangents: positions of a sequence draw their labels independently."""
    n, classes = shape[0], shape[-1]
    flat = roots.reshape(n, -1, classes, roots.shape[-1])
    apart = jnp.einsum("npck,pq->qknpc", flat, jnp.eye(flat.shape[1]))
    return apart.reshape(-1, *shape)
