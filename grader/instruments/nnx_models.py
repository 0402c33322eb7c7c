"""A body under a head with BatchNorm in Flax nnx, and a training run of it, as plain data."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from grader.judging.terms import Inputs

WIDTH, BATCHES = 4, (8, 5)
"""Features of every layer, and samples in each batch; the last is smaller, as it often is."""


class Block(nnx.Module):
    """A dense layer, mostly over a BatchNorm."""

    def __init__(self, normed: bool) -> None:
        rngs = nnx.Rngs(0)
        self.norm = nnx.BatchNorm(WIDTH, momentum=0.9, rngs=rngs) if normed else None
        self.linear = nnx.Linear(WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.linear(self.norm(x) if self.norm else x)


class Model(nnx.Module):
    """A body under a head; not every head has a BatchNorm."""

    def __init__(self, norm_in_head: bool) -> None:
        self.body, self.head = Block(normed=True), Block(norm_in_head)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.head(self.body(x))


def run(rng: np.random.Generator, mode: str, norm_in_head: bool = True) -> dict[str, Any]:
    """The numbers of a model, the "train" or "eval" mode it is in, and batches to train it on."""
    return {
        "model": {"body": _block(rng, True), "head": _block(rng, norm_in_head)},
        "mode": mode,
        "x": [_normal(rng, count, WIDTH) for count in BATCHES],
        "y": [_normal(rng, count, WIDTH) for count in BATCHES],
        "learning_rate": float(rng.uniform(0.02, 0.04)),
        "momentum": 0.9,
        "weight_decay": float(rng.uniform(0.5, 1.0)),
    }


def _block(rng: np.random.Generator, normed: bool) -> dict[str, Any]:
    block = {"linear": {"kernel": _normal(rng, WIDTH, WIDTH), "bias": _normal(rng, WIDTH)}}
    if normed:
        positive = rng.uniform(0.5, 2, size=(2, WIDTH)).astype(np.float32)
        norm = {"scale": positive[0], "bias": _normal(rng, WIDTH)}
        block["norm"] = {**norm, "mean": _normal(rng, WIDTH), "var": positive[1]}
    return block


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def built(inputs: Inputs) -> Model:
    """The model of a run, in its mode."""
    model = nnx.eval_shape(lambda: Model("norm" in inputs["model"]["head"]))
    nnx.update(model, jax.tree.map(jnp.asarray, inputs["model"]))
    getattr(model, inputs["mode"])()
    return model


def leaves(model: nnx.Module) -> dict[str, np.ndarray]:
    """Every number that a model holds, by name: "head.norm.mean"."""
    pairs = jax.tree_util.tree_leaves_with_path(nnx.as_pure(nnx.state(model)))
    return {".".join(key.key for key in keys): np.array(leaf) for keys, leaf in pairs}
