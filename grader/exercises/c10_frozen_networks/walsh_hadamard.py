"""The Walsh-Hadamard transform of rows, without its matrix (torch)."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.instruments import walsh_rows
from grader.instruments.entries import as_expected
from grader.instruments.handed_back import handed_back
from grader.instruments.refusals import refusal
from grader.instruments.tensor_sizes import LargestTensor
from grader.instruments.walsh_rows import rows
from grader.judging.exercise import Exercise, belief, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def walsh_hadamard(x):
    """Mix the last axis by the Walsh-Hadamard transform, without making its matrix.

    The matrix H of size 1 is 1. That of size 2n is [[H, H], [H, -H]] out of the H of size n. Each
    row of ``x`` is multiplied by the H of its size and divided by the root of its size, so that it
    keeps its length. The rows of H stay in this order, Sylvester's.

    Args:
        x: float tensor of shape (n,) or (…, n), n a power of two; 1 is one. It may be a view of
            another tensor, such as a transposed one. It stays as it is.

    Returns:
        Tensor of the shape and dtype of ``x``, through which gradients pass. No tensor that is
        used on the way has more than four times as many numbers as ``x``.

    Raises:
        ValueError: n is no power of two, or 0.

    Example:
        >>> walsh_hadamard(torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 0.0, 0.0]])).tolist()
        [[5.0, -1.0, -2.0, 0.0], [0.5, 0.5, 0.5, 0.5]]
    """
    n = x.shape[-1]
    if n.bit_count() != 1:
        raise ValueError(f"rows of {n} entries: that is no power of two")
    mixed = x
    for _ in range(n.bit_length() - 1):
        even, odd = mixed[..., 0::2], mixed[..., 1::2]
        mixed = torch.cat([even + odd, even - odd], -1)
    return mixed / math.sqrt(n)


def challenge(rng: np.random.Generator) -> Challenge:
    common = walsh_rows.cases(rng)
    count = int(rng.integers(3, 7))
    double = rows(rng, "range", count, 16)

    def sized(size: float, dtype: str) -> Inputs:
        return {**double, "x": (size * double["x"].astype(np.float64)).astype(dtype), "size": size}

    return {
        **common,
        "columns of a matrix": {**rows(rng, "plain", 8, count), "turned": True},
        "a batch of one": rows(rng, "plain", 1, 4),
        "no rows at all": rows(rng, "plain", 0, 8),
        "float64 near 1e-200": sized(1e-200, "float64"),
        "float64 near 1e200": sized(1e200, "float64"),
        "float32 near 1e25": sized(1e25, "float32"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    kind, x = inputs["kind"], torch.from_numpy(inputs["x"].copy())
    x = x.T if "turned" in inputs else x
    if kind == "refused":
        return {"kind": kind, "ending": refusal(candidate, x, returned=walsh_rows.told)}
    before = x.clone()
    with LargestTensor() as watched:
        mixed = candidate(x.requires_grad_(kind == "gradient"))
    if not torch.is_tensor(mixed):
        return None if mixed is None else f"<{type(mixed).__name__}>"
    if kind == "gradient":
        return {"kind": kind, "gradient": handed_back(mixed, inputs["towards"], x)[0]}
    if kind == "long":
        lean = watched.numbers <= walsh_rows.TIMES * x.numel()
        return {"kind": kind, "lean": lean, "mixed": mixed[..., :: walsh_rows.SHOWN]}
    dtype = str(mixed.dtype).removeprefix("torch.")
    mixed = mixed.double() / inputs.get("size", 1.0)
    return {"kind": kind, "mixed": mixed, "dtype": dtype, "kept": torch.equal(x, before)}


CLAIMS = walsh_rows.CLAIMS


@claim(1, "Which of your numbers could leave the range of their dtype?", of_kind("range"))
def mixes_at_any_size(seen: Evidence, expected: Evidence) -> Finding:
    """Rows of very small and of very large numbers are mixed as well as any, told in that size."""
    return as_expected(seen["mixed"], expected["mixed"])


@claim(
    1,
    "Which of your calls write into what they are given?",
    lambda expected: "kept" in expected,
    needs=walsh_rows.mixes_rows,
)
def leaves_the_rows(seen: Evidence, expected: Evidence) -> Finding:
    """The tensor given is left as it was."""
    return seen["kept"], f"x was {'left alone' if seen['kept'] else 'changed'}"


def _checked(x: Tensor) -> Tensor:
    if x.shape[-1].bit_count() != 1:
        raise ValueError("no power of two")
    return x


def _neighbours(x: Tensor) -> Tensor:
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.cat([even + odd, even - odd], -1)


def transformed(
    x: Tensor,
    start: Part = _checked,
    step: Part = _neighbours,
    scale: Part = math.sqrt,
    end: Part = lambda mixed: mixed,
) -> Tensor:
    """The right answer in parts."""
    mixed = start(x)
    n = mixed.shape[-1]
    for _ in range(n.bit_length() - 1):
        mixed = step(mixed)
    return end(mixed / scale(n))


def _filled(x: Tensor) -> Tensor:
    n = x.shape[-1]
    wanted = 1 << max(0, n - 1).bit_length()
    return torch.cat([x, x.new_zeros((*x.shape[:-1], wanted - n))], -1)


def _by_sign_changes(mixed: Tensor) -> Tensor:
    n = mixed.shape[-1]
    places = np.arange(n)
    signs = np.bitwise_count(places[:, None] & places) % 2
    changes = (np.diff(signs, axis=1) != 0).sum(1)
    return mixed[..., torch.from_numpy(np.argsort(changes))]


believing = beliefs_about(transformed)
BELIEFS = (
    believing(*walsh_rows.NO_SCALE, scale=lambda n: 1.0),
    believing(*walsh_rows.MEAN, scale=lambda n: n),
    believing(
        "The rows of H come in the order of their sign changes.",
        "That is Walsh's order, of use where neighbours should be alike. Sylvester's comes out of "
        "the definition by halves, and that one is asked for.",
        "How often do the signs change in the second row of the H of size 4?",
        end=_by_sign_changes,
    ),
    believing(*walsh_rows.PADDED, start=_filled),
    believing(*walsh_rows.NO_GRADIENT, end=Tensor.detach),
    believing(
        "Float32 is good enough on the way.",
        "A float64 goes in for a reason. Its small numbers become 0, and its large ones infinity.",
        "Which dtype has the result for a tensor of float64?",
        start=lambda x: _checked(x).float(),
    ),
)


@belief(*walsh_rows.REVERSED)
def split_into_even_and_odd(x: Tensor) -> Tensor:
    return _split(_checked(x))


def _split(x: Tensor) -> Tensor:
    if x.shape[-1] == 1:
        return 1 * x
    even, odd = _split(x[..., 0::2]), _split(x[..., 1::2])
    return torch.cat([even + odd, even - odd], -1) / math.sqrt(2)


@belief(*walsh_rows.FLAT)
def mix_all_as_one_row(x: Tensor) -> Tensor:
    _checked(x)
    return transformed(x.reshape(-1)).reshape(x.shape)


@belief(*walsh_rows.DENSE)
def multiply_by_the_matrix(x: Tensor) -> Tensor:
    n = _checked(x).shape[-1]
    places = np.arange(n)
    signs = 1.0 - 2.0 * (np.bitwise_count(places[:, None] & places) % 2)
    return x @ torch.from_numpy(signs / math.sqrt(n)).to(x.dtype)


@belief(
    "A butterfly in place saves memory and harms nobody.",
    "The memory that you save is the caller's x, which is gone. Where a gradient is asked for, "
    "torch refuses.",
    "What does the caller's x hold after your function?",
)
def mix_in_place(x: Any) -> Any:
    x[...] = transformed(x)
    return x


EXERCISE = Exercise(
    reference=walsh_hadamard,
    challenge=challenge,
    observe=observe,
    hints=(
        "Take n = 2: the sum and the difference of the two entries. How do you get from there to "
        "4, by the definition?",
        "Add and subtract the entries at even and at odd places, x[..., 0::2] and x[..., 1::2], "
        "and put all sums before all differences. How often, until every entry has met every one?",
        "After log2(n) such rounds the rows stand in Sylvester's order. Or write the row as an a "
        "by b matrix and multiply by the small H of size a and of size b, one from each side.",
    ),
    lesson="10_frozen_networks",
    section="Walsh and Hadamard",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    twin="walsh_hadamard_compiled",
    note="n log n operations are fewer than those of two products of the size of the root of n, "
    "and slower on a processor: it is made for products. paramlock.mixing.hadamard takes these.",
)
