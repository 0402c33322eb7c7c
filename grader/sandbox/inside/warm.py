"""What the fork server knows before the first answer, and every answer inherits. Runs inside."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from grader.checking import registry

MODULES = (
    "torch", "jax", "jax.numpy", "flax.linen", "flax.nnx", "optax", "grader.running.candidate",
    "torch._dynamo",  # torch imports it when the first optimizer steps
    "jaxlib.mlir.dialects.builtin", "jaxlib.mlir.dialects.mhlo",  # and JAX these when it compiles
)  # fmt: skip


def warmed_up() -> str:
    """Import and prepare everything. Returns what makes serving impossible, if anything does."""
    modules = (*MODULES, *map(registry.module_of, registry.names()))
    steps: dict[str, Callable[[], object]] = {
        f"importing {name}": partial(importlib.import_module, name) for name in modules
    }
    steps["reading /proc/cpuinfo"] = know_the_processor
    steps["sharing JAX's compiler"] = share_the_compiler
    steps["tracing a network in JAX"] = trace_a_network
    return next((f"{doing} {fault}" for doing, do in steps.items() if (fault := _fault_of(do))), "")


def _fault_of(do: Callable[[], object]) -> str:
    try:
        do()
    except Exception as error:
        return f"fails: {type(error).__name__}: {error}"
    threads = len(os.listdir("/proc/self/task"))
    return f"starts threads ({threads - 1}), which forks do not survive" if threads != 1 else ""


def know_the_processor() -> None:
    """Let torch read /proc/cpuinfo, which it asks for at the first half-precision number.

    Answers do not see that file. What torch has read here, they inherit.
    """
    torch = importlib.import_module("torch")
    torch.zeros(1).to(torch.float16)


def share_the_compiler() -> None:
    """Let all programs of an answer share one compiler context, where JAX makes one for each.

    A context takes 3 ms, a third of what a small program costs that is in the cache. JAX has no
    setting for it; a release that has no such function goes without.
    """
    lowering: Any = importlib.import_module("jax._src.interpreters.mlir")
    if hasattr(lowering, "make_ir_context"):
        lowering.make_ir_context = cache(lowering.make_ir_context)


def trace_a_network() -> None:
    """Let JAX, Flax and optax trace a step of a small network: it imports and caches a great deal.

    Shapes alone go through it, so nothing is compiled and no backend starts.
    """
    names = ("jax", "jax.numpy", "flax.linen", "optax")
    jax, jnp, linen, optax = (importlib.import_module(name) for name in names)
    network = linen.Sequential([linen.Dense(8), linen.relu, linen.Dense(1)])
    descent = optax.sgd(0.1)

    def step(x: Any, y: Any) -> Any:
        params = network.init(jax.random.key(0), x)
        grads = jax.grad(lambda params: jnp.mean((network.apply(params, x)[:, 0] - y) ** 2))(params)
        updates, _ = descent.update(grads, descent.init(params), params)
        after = optax.apply_updates(params, updates)
        return jnp.stack([jnp.linalg.norm(leaf) for leaf in jax.tree.leaves(after)])

    jax.eval_shape(step, *(jax.ShapeDtypeStruct(shape, "float32") for shape in ((5, 3), (5,))))
