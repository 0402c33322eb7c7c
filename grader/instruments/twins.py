"""One small training run as plain data, for exercises that exist in torch and in JAX alike.

A *twin* is the same exercise in the other framework. Both draw the run here, first thing in their
`challenge`, so that both start from the same numbers. Gradients are given, not computed: a torch
exercise gets them from the linear loss `sum((parameter * gradient).sum())`. Layouts are Flax's:
a kernel is (inputs, outputs), the transpose of torch's weight. Twins leave, under the key
"trainable" of their evidence, each trainable parameter after the last step: {"head/bias": array}.

Torch's AdamW and optax' differ in their defaults, so every setting is stated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ADAMW = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}
LAYERS = ("layer1", "layer10", "head")
WIDTH = 4
"""One width throughout, since JAX compiles every operation again for another shape."""

CASE = "warm averages and weight decay"
"""What both twins call the case that holds this run."""

Tree = dict[str, dict[str, np.ndarray]]
"""Layer, then "kernel" or "bias", then a float32 array."""


def warm_run(rng: np.random.Generator) -> dict[str, Any]:
    """A run that trains everything for three steps, then freezes `layer1` for five.

    `params` are the parameters at the start, `warmup` the large gradients of the steps before the
    freeze, `gradients` those of the steps after it, a tree for each step.
    """
    return {
        "params": _tree(rng, 1.0),
        "warmup": [_tree(rng, 5.0) for _ in range(3)],
        "gradients": [_tree(rng, 0.5) for _ in range(5)],
        "frozen": ["layer1"],
        "learning_rate": float(rng.uniform(0.02, 0.05)),
        "weight_decay": float(rng.uniform(0.1, 0.2)),
        **ADAMW,
    }


def _tree(rng: np.random.Generator, scale: float) -> Tree:
    return {
        layer: {"kernel": _normal(rng, scale, WIDTH, WIDTH), "bias": _normal(rng, scale, WIDTH)}
        for layer in LAYERS
    }


def _normal(rng: np.random.Generator, scale: float, *shape: int) -> np.ndarray:
    return rng.normal(scale=scale, size=shape).astype(np.float32)
