"""The Walsh-Hadamard transform of rows, without its matrix, also in compiled code (JAX)."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from grader.instruments import walsh_rows
from grader.instruments.entries import as_expected
from grader.instruments.refusals import refusal
from grader.instruments.walsh_rows import rows
from grader.judging.exercise import Exercise, belief, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def walsh_hadamard_compiled(x):
    """Mix the last axis by the Walsh-Hadamard transform, without its matrix, within jax.jit too.

    The matrix H of size 1 is 1. That of size 2n is [[H, H], [H, -H]] out of the H of size n. Each
    row of ``x`` is multiplied by the H of its size and divided by the root of its size, so that it
    keeps its length. The rows of H stay in this order, Sylvester's.

    Args:
        x: JAX array of floats, of shape (n,) or (…, n), n a power of two; 1 is one.

    Returns:
        JAX array of the shape and dtype of ``x``, float16 included, through which gradients pass.
        No array that is used on the way has more than four times as many numbers as ``x``.

    Raises:
        ValueError: n is no power of two, or 0.

    Example:
        >>> x = jnp.array([[1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 0.0, 0.0]])
        >>> jax.jit(walsh_hadamard_compiled)(x).tolist()
        [[5.0, -1.0, -2.0, 0.0], [0.5, 0.5, 0.5, 0.5]]
    """
    n = x.shape[-1]
    if n.bit_count() != 1:
        raise ValueError(f"rows of {n} entries: that is no power of two")
    mixed = x
    for _ in range(n.bit_length() - 1):
        even, odd = mixed[..., 0::2], mixed[..., 1::2]
        mixed = jnp.concatenate([even + odd, even - odd], -1)
    return mixed / math.sqrt(n)


def challenge(rng: np.random.Generator) -> Challenge:
    common = walsh_rows.cases(rng)
    first = common[walsh_rows.CASE]  # its shape again, since JAX compiles for each new one
    large = (1e25 * rng.normal(size=first["x"].shape)).astype(np.float32)
    return {
        **common,
        "numbers near 1e25": {**first, "x": large, "size": 1e25},
        "float16": {**first, "kind": "half", "x": first["x"].astype(np.float16)},
        "in compiled code": rows(rng, "compiled", *first["x"].shape),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    kind, x = inputs["kind"], jnp.asarray(inputs["x"])
    if kind == "refused":
        return {"kind": kind, "ending": refusal(candidate, x, returned=walsh_rows.told)}
    if kind == "gradient":
        mixed, back = jax.vjp(candidate, x)
        return {"kind": kind, "gradient": back(jnp.asarray(inputs["towards"], mixed.dtype))[0]}
    mixed = jax.jit(candidate)(x) if kind == "compiled" else candidate(x)
    if not isinstance(mixed, Array | np.ndarray):
        return None if mixed is None else f"<{type(mixed).__name__}>"
    if kind == "long":
        lean = _largest(jax.make_jaxpr(candidate)(x).jaxpr) <= walsh_rows.TIMES * x.size
        return {"kind": kind, "lean": lean, "mixed": mixed[..., :: walsh_rows.SHOWN]}
    if kind == "half":  # its numbers hang on the order of adding
        return {"kind": kind, "dtype": str(mixed.dtype)}
    scaled = np.asarray(mixed, np.float64) / inputs.get("size", 1.0)
    return {"kind": kind, "mixed": scaled, "dtype": str(mixed.dtype)}


def _largest(jaxpr: Any) -> int:
    """The size of the largest array that a traced function uses, and those that it calls."""
    sizes = [v.aval.size for v in (*jaxpr.constvars, *jaxpr.invars)]
    for step in jaxpr.eqns:
        sizes += [v.aval.size for v in (*step.invars, *step.outvars)]
        called = [getattr(given, "jaxpr", given) for given in step.params.values()]
        sizes += [_largest(inner) for inner in called if hasattr(inner, "eqns")]
    return max(sizes)


CLAIMS = walsh_rows.CLAIMS


@claim(2, "Which of your steps needs to know the numbers in x?", of_kind("compiled"))
def compiles(seen: Evidence, expected: Evidence) -> Finding:
    """Within jax.jit it gives the same."""
    return as_expected(seen["mixed"], expected["mixed"])


def _checked(x: Array) -> Array:
    if x.shape[-1].bit_count() != 1:
        raise ValueError("no power of two")
    return x


def _neighbours(x: Array) -> Array:
    even, odd = x[..., 0::2], x[..., 1::2]
    return jnp.concatenate([even + odd, even - odd], -1)


def transformed(
    x: Array,
    start: Part = _checked,
    step: Part = _neighbours,
    scale: Part = math.sqrt,
    end: Part = lambda mixed: mixed,
) -> Array:
    """The right answer in parts."""
    mixed = start(x)
    n = mixed.shape[-1]
    for _ in range(n.bit_length() - 1):
        mixed = step(mixed)
    return end(mixed / scale(n))


def _filled(x: Array) -> Array:
    n = x.shape[-1]
    wanted = 1 << max(0, n - 1).bit_length()
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, wanted - n)])


believing = beliefs_about(transformed)
BELIEFS = (
    believing(*walsh_rows.NO_SCALE, scale=lambda n: 1.0),
    believing(*walsh_rows.MEAN, scale=lambda n: n),
    believing(*walsh_rows.PADDED, start=_filled),
    believing(*walsh_rows.NO_GRADIENT, end=jax.lax.stop_gradient),
    believing(
        "Half precision comes out as it went in.",
        "Only if nothing that it meets has a dtype of its own. Python's numbers have none; those "
        "of NumPy have, and so has every JAX array.",
        "What is the dtype of a float16 array over np.sqrt(8)?",
        scale=np.sqrt,
    ),
    believing(
        "What NumPy computes, JAX computes.",
        "NumPy needs the numbers. Where JAX compiles or differentiates it has placeholders.",
        "Which of your calls begins with np?",
        start=lambda x: np.asarray(_checked(x)),
        end=jnp.asarray,
    ),
)


@belief(*walsh_rows.REVERSED)
def split_into_even_and_odd(x: Array) -> Array:
    return _split(_checked(x))


def _split(x: Array) -> Array:
    if x.shape[-1] == 1:
        return x
    even, odd = _split(x[..., 0::2]), _split(x[..., 1::2])
    return jnp.concatenate([even + odd, even - odd], -1) / math.sqrt(2)


@belief(*walsh_rows.FLAT)
def mix_all_as_one_row(x: Array) -> Array:
    _checked(x)
    return transformed(x.reshape(-1)).reshape(x.shape)


@belief(*walsh_rows.DENSE)
def multiply_by_the_matrix(x: Array) -> Array:
    matrix = np.ones((1, 1))
    for _ in range(_checked(x).shape[-1].bit_length() - 1):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return x @ jnp.asarray(matrix, x.dtype) / math.sqrt(len(matrix))


EXERCISE = Exercise(
    reference=walsh_hadamard_compiled,
    challenge=challenge,
    observe=observe,
    hints=(
        "Shapes are Python numbers, in compiled code too. A loop over log2(n) rounds is written "
        "out when JAX traces it.",
        "Add and subtract the entries at even and at odd places, x[..., 0::2] and x[..., 1::2], "
        "and put all sums before all differences. How often, until every entry has met every one?",
        "jnp.concatenate([sums, differences], -1), log2(n) times. Divide by math.sqrt(n), which is "
        "a number of Python's and leaves the dtype as it is.",
    ),
    lesson="10_frozen_networks",
    section="Walsh and Hadamard",
    frameworks=("jax",),
    minutes=15,
    difficulty=3,
    twin="walsh_hadamard",
    note="What JAX traced can be looked at: jax.make_jaxpr(walsh_hadamard_compiled)(x) lists every "
    "array with its shape. The largest of them is what your transform needs to hold.",
)
