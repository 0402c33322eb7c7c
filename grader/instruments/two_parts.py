"""A body under a head as a JAX pytree, an optimizer for each, and batches for two trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from grader.instruments.moves import Arrays, moved
from grader.judging.terms import Candidate, Evidence, Inputs

WIDTH, ROWS = 4, 5
"""One shape throughout, since JAX compiles every operation again for another."""

OPTIMIZERS: Mapping[str, Callable[[float], optax.GradientTransformation]] = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
    "adamw": lambda rate: optax.adamw(rate, weight_decay=0.3),
}


def run(rng: np.random.Generator, head: int, both: int, *optimizers: str) -> dict[str, Any]:
    """So many batches for the head and for both; names of the head's and the body's optimizer."""
    layers = {k: {"kernel": _normal(rng, WIDTH), "bias": _normal(rng)} for k in "abc"}
    return {
        "params": {"body": {k: layers[k] for k in "ab"}, "head": {"c": layers["c"]}},
        "optimizers": list(optimizers),
        "rates": [float(rate) for rate in rng.uniform(0.02, 0.08, 2)],
        "x": [_normal(rng, ROWS) for _ in range(head + both)],
        "y": [_normal(rng, ROWS) for _ in range(head + both)],
        "head": head,
    }


def _normal(rng: np.random.Generator, *rows: int) -> np.ndarray:
    return rng.normal(size=(*rows, WIDTH)).astype(np.float32)


@jax.jit
def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """The mean squared error of two layers with tanh below a linear head."""
    for layer in params["body"].values():
        x = jnp.tanh(x @ layer["kernel"] + layer["bias"])
    for layer in params["head"].values():
        x = x @ layer["kernel"] + layer["bias"]
    return jnp.mean((x - y) ** 2)


def trained(candidate: Candidate, inputs: Inputs) -> Evidence:
    """Where both parts end, which arrays of the body moved, and what became of the params given.

    None or a text where what is returned is no dict.
    """
    params = jax.tree.map(jnp.asarray, inputs["params"])
    before, count = flat(params), inputs["head"]
    made = zip(inputs["optimizers"], inputs["rates"], strict=True)
    optimizers = [OPTIMIZERS[name](rate) for name, rate in made]
    data = (inputs["x"], inputs["y"])
    batches = [(jnp.asarray(x), jnp.asarray(y)) for x, y in zip(*data, strict=True)]
    returned = candidate(params, *optimizers, loss, batches[:count], batches[count:])
    if not isinstance(returned, dict):
        return None if returned is None else f"<{type(returned).__name__}>"
    after = flat(returned)
    ends = {name: after.get(name, np.full(1, np.nan)) for name in before}
    return {
        "body": {name: end for name, end in ends.items() if name.startswith("body/")},
        "head": {name: end for name, end in ends.items() if name.startswith("head/")},
        "body moved": [n for n in moved(before, after) if n.startswith("body/")],
        "leaves": sorted(after),
        "changed": moved(before, flat(params)),
    }


def flat(tree: Any) -> Arrays:
    """The leaves of nested dicts by path."""
    pairs = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(str(key.key) for key in keys): np.array(leaf) for keys, leaf in pairs}
