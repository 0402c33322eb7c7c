"""The inverse and the gain of an orthogonal transform that can only be called (torch)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from grader.instruments.entries import as_expected
from grader.instruments.refusals import refusal, refused
from grader.judging.evidence import alike, number
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part

Transform = Callable[[Tensor], Tensor]


def inverse_transform(transform, n):
    """Find the inverse of an orthogonal transform, and by how much it lengthens rows.

    The transform is linear and can only be called. It is orthogonal if it multiplies the length of
    every row by the same number above 0, its gain: that of an unscaled Hadamard transform is the
    root of n. A gain may be as small as 1e-25, or as large as 1e25.

    Args:
        transform: a function from a float tensor (…, n) to one of the same shape and dtype. It
            works on each row, the last axis, by itself.
        n: the length of a row, a whole number from 1 on.

    Returns:
        ``(inverse, gain)``. The inverse is a function as ``transform`` is, that leads from
        ``transform(x)`` back to x; what it is given stays as it is. The gain is a float.

    Raises:
        ValueError: ``transform`` is not orthogonal; it lengthens some rows by 1 % more than others
            at least, or makes 0 of one.

    Example:
        >>> inverse, gain = inverse_transform(lambda x: 3 * x.flip(-1), 2)
        >>> round(gain, 4), inverse(torch.tensor([[3.0, 6.0]])).tolist()
        (3.0, [[2.0, 1.0]])
    """
    rows = transform(torch.eye(n)).double()
    gain = rows[0].norm().item()
    turned = rows / gain
    if not torch.allclose(turned @ turned.T, torch.eye(n).double(), atol=1e-4):
        raise ValueError("the transform is not orthogonal")
    return lambda y: (y.double() / gain @ turned.T).to(y.dtype), gain


def challenge(rng: np.random.Generator) -> Challenge:
    n = int(rng.integers(5, 9))

    def rotation(size: int = n) -> np.ndarray:
        return np.linalg.qr(rng.normal(size=(size, size)))[0]

    def case(kind: str, matrix: np.ndarray) -> Inputs:
        return {"kind": kind, "matrix": matrix, "x": rng.normal(size=(2, 3, len(matrix)))}

    places = np.arange(n)
    cosine = np.cos(np.pi * (places[:, None] + 0.5) * places / n) * np.sqrt((2 - (places == 0)) / n)
    pair = np.array([[1.0, 1.0], [1.0, -1.0]])
    moved = np.eye(n)[rng.permutation(n)] * rng.choice([-1, 1], n)
    axis = rotation()[:1]
    stretched = np.diag(1 + 0.1 * (places == n - 1))
    shear = np.eye(n) + 0.5 * np.eye(n, k=1)
    shear /= np.linalg.norm(shear, axis=1, keepdims=True)
    gain = float(rng.uniform(2, 5))
    return {
        "a rotation": case("plain", rotation()),
        "a rotation that lengthens": case("plain", gain * rotation()),
        "a rotation that shortens": case("plain", rotation() / gain),
        "the cosine transform": case("plain", cosine),
        "places and signs that change": case("plain", moved * gain),
        "an unscaled Hadamard transform": case("plain", np.kron(pair, np.kron(pair, pair))),
        "a reflection": case("plain", np.eye(n) - 2 * axis.T @ axis),
        "nothing but a gain": case("plain", gain * np.eye(n)),
        "one entry": case("plain", np.array([[-gain]])),
        "a gain near 1e-25": case("range", 1e-25 * gain * rotation()),
        "a gain near 1e25": case("range", 1e25 * gain * rotation()),
        "one entry is lost": case("refused", rotation() @ np.diag(1.0 - (places == 0))),
        "one entry is lengthened": case("refused", stretched @ rotation()),
        "a shear": case("refused", rotation() @ shear),
        "one direction for all": case("refused", np.repeat(axis, n, axis=0)),
        "a shear of equal lengths": case("refused", shear @ rotation()),
        "everything is lost": case("refused", np.zeros((n, n))),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    kind, matrix = inputs["kind"], torch.from_numpy(inputs["matrix"])
    x = torch.from_numpy(inputs["x"]).float()

    def transform(rows: Tensor) -> Tensor:
        return rows @ matrix.to(rows.dtype)

    given = (transform, len(matrix))
    if kind == "refused":
        return {"kind": kind, "ending": refusal(candidate, *given, returned=lambda _: "an answer")}
    inverse, gain = candidate(*given)
    y = transform(x)
    before, restored = y.clone(), inverse(y)
    return {
        "kind": kind,
        "restored": restored,
        "single": inverse(y[0, 0]),
        "log10 of the gain": float(np.log10(float(gain))) if gain > 0 else np.nan,
        "kept": torch.equal(y, before),
    }


def _restored(seen: Evidence, expected: Evidence) -> Finding:
    holds, words = as_expected(seen["restored"], expected["restored"])
    if not holds:
        return False, f"of x, {words}"
    return as_expected(seen["single"], expected["single"])


def _gain(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = (found["log10 of the gain"] for found in (seen, expected))
    return alike(ours, right), f"your gain is {number(10**ours)}, {number(10**right)} is due"


@claim(3, "What do you know of a matrix whose rows are orthogonal?", of_kind("plain"))
def leads_back(seen: Evidence, expected: Evidence) -> Finding:
    """The inverse leads from transform(x) back to x, for one row and for many."""
    return _restored(seen, expected)


@claim(2, "How long is what comes of a row of length 1?", of_kind("plain"))
def tells_the_gain(seen: Evidence, expected: Evidence) -> Finding:
    """The gain is the number by which every length is multiplied."""
    return _gain(seen, expected)


@claim(1, "What is the square of 1e-25 in float32?", of_kind("range"), needs=leads_back)
def holds_at_any_gain(seen: Evidence, expected: Evidence) -> Finding:
    """A very small and a very large gain are told and undone as well."""
    holds, words = _gain(seen, expected)
    return _restored(seen, expected) if holds else (False, words)


@claim(2, "What does it take for all lengths to grow alike?", of_kind("refused"), needs=leads_back)
def refuses_what_is_not_orthogonal(seen: Evidence, expected: Evidence) -> Finding:
    """A transform that does not multiply all lengths alike raises a ValueError."""
    return refused(seen["ending"])


@claim(1, "Does your inverse write into what it is given?", of_kind("plain"), leads_back)
def leaves_rows_alone(seen: Evidence, expected: Evidence) -> Finding:
    """What the inverse is given is left as it was."""
    return seen["kept"], f"it was {'left alone' if seen['kept'] else 'changed'}"


def _length(rows: Tensor) -> Tensor:
    return rows[0].square().sum().sqrt()


def _orthogonal(rows: Tensor) -> bool:
    return torch.allclose(rows @ rows.T, torch.eye(len(rows), dtype=rows.dtype), atol=1e-3)


def _turned_back(y: Tensor, rows: Tensor, gain: Tensor, transform: Transform) -> Tensor:
    return (y.to(rows.dtype) / gain) @ (rows / gain).T


def inverted(
    transform: Transform,
    n: int,
    wide: Part = Tensor.double,
    check: Part = _orthogonal,
    back: Part = _turned_back,
    said: Part = _length,
) -> tuple[Transform, float]:
    """The right answer in parts."""
    rows = wide(transform(torch.eye(n)))
    gain = _length(rows)
    if not check(rows / gain):
        raise ValueError("not orthogonal")
    return lambda y: back(y, rows, gain, transform).to(y.dtype), float(said(rows))


def _of_full_rank(rows: Tensor) -> bool:
    return bool(rows.isfinite().all()) and int(torch.linalg.matrix_rank(rows, rtol=1e-4)) == len(
        rows
    )


believing = beliefs_about(inverted)
BELIEFS = (
    believing(
        "An orthogonal transform is its own inverse.",
        "Those of Hadamard and Hartley are, but for a gain. The inverse of a rotation turns the "
        "other way.",
        "What comes of a permutation that is applied twice?",
        back=lambda y, rows, gain, transform: transform(y) / gain / gain,
    ),
    believing(
        "The transpose is the inverse.",
        "It undoes the turn, and lengthens once more by the gain.",
        "How long is x after the transform and your inverse, for a gain of 3?",
        back=lambda y, rows, gain, transform: y.double() @ rows.T,
    ),
    believing(
        "A gain is divided out once.",
        "The transform has it, and its transpose has it too.",
        "How long is x after the transform and your inverse, for a gain of 3?",
        back=lambda y, rows, gain, transform: y.double() @ rows.T / gain,
    ),
    believing(
        "What a transform lacks is a division by n.",
        "So it is with an unscaled Hadamard transform, whose gain is the root of n. Others have "
        "other gains.",
        "What is the square of the gain of a rotation?",
        back=lambda y, rows, gain, transform: y.double() @ rows.T / len(rows),
    ),
    believing(
        "The determinant is the gain.",
        "It says by how much a volume grows: by the gain to the power n.",
        "What is the determinant of 3 times the identity?",
        said=lambda rows: torch.linalg.det(rows).abs(),
    ),
    believing(
        "The norm of the matrix is the gain.",
        "The norm over all its entries grows with n: an identity has the root of n, and a gain "
        "of 1.",
        "What is the norm of an identity of size 9?",
        said=torch.linalg.norm,
    ),
    believing(
        "Rows of equal length are orthogonal.",
        "They may all point the same way. Their products with one another count as well.",
        "What is the product of the first two rows of your matrix?",
        check=lambda rows: (rows.norm(dim=1) - 1).abs().max() < 1e-3,
    ),
    believing(
        "What can be inverted is orthogonal.",
        "A shear can be inverted, and its transpose does not do it. Lengths tell.",
        "Which rows does your transform lengthen most, and which least?",
        check=_of_full_rank,
    ),
    believing(
        "A square stays within its dtype.",
        "In float32 the square of 1e-25 is 0, and that of 1e25 infinity.",
        "Which length do you find for a row of 1e-25?",
        wide=lambda rows: rows,
    ),
)

EXERCISE = Exercise(
    reference=inverse_transform,
    challenge=challenge,
    observe=observe,
    hints=(
        "What does transform(torch.eye(n)) give, row by row?",
        "Let M be that matrix, so that transform(x) is x @ M. If M @ M.T is gain² times the "
        "identity, what is the inverse of M?",
        "Divide M by the length of its first row, in float64. Then M @ M.T is to be the identity, "
        "and y / gain @ M.T leads back.",
    ),
    lesson="10_frozen_networks",
    section="Other fixed mixes",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    note="No matrix of n by n is needed: a transform's transpose is what autograd computes. "
    "torch.func.vjp(transform, x)[1] applies it, at the price of one more call.",
)
