"""Rows for the Walsh-Hadamard transform: what the twins that write it share.

Here are the rows, what was seen of them, the claims, and the beliefs that occur in both frameworks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.instruments.entries import as_expected
from grader.instruments.refusals import refused
from grader.judging.exercise import claim, of_kind
from grader.judging.terms import Challenge, Evidence, Finding

CASE = "rows of 8"
"""What both twins call the first case in which they are to agree."""

LONG = 512
"""How long long rows are: a matrix for them has a quarter of a million numbers."""

TIMES = 4
"""How many times as large as the rows anything may be that is made on the way."""

SHOWN = 32
"""One in so many entries of a long row goes into the evidence."""


def rows(rng: np.random.Generator, kind: str, *shape: int) -> dict[str, Any]:
    """Rows to be mixed, and numbers of the same shape by which to weigh what comes out."""
    x, towards = rng.normal(size=(2, *shape)).astype(np.float32)
    return {"kind": kind, "x": x, "towards": towards}


def cases(rng: np.random.Generator) -> Challenge:
    """The rows that both twins meet, of fixed sizes, since JAX compiles for each new one.

    In three axes the inner one is a power of two as well.
    """
    return {
        CASE: rows(rng, "plain", 3, 8),
        "one row": rows(rng, "plain", 8),
        "three axes": rows(rng, "plain", 2, 4, 8),
        "rows of 1": rows(rng, "plain", 3, 1),
        "rows of 2": rows(rng, "plain", 3, 2),
        "a long row": rows(rng, "long", 1, LONG),
        "what is handed back": rows(rng, "gradient", 3, 8),
        "rows of 3": rows(rng, "refused", 3, 3),
        "rows of 6": rows(rng, "refused", 3, 6),
        "rows of 0": rows(rng, "refused", 3, 0),
    }


def told(returned: Any) -> str:
    """What was returned in place of an error, in words."""
    shape: tuple[int, ...] = getattr(returned, "shape", ())
    return f"rows of {shape[-1]}" if len(shape) else "something that is no row"


@claim(3, "Which two entries meet in your first step, and which in your last?", of_kind("plain"))
def mixes_rows(seen: Evidence, expected: Evidence) -> Finding:
    """Each row is multiplied by H, the rows of H in Sylvester's order, and keeps its length."""
    return as_expected(seen["mixed"], expected["mixed"])


@claim(2, "How many numbers has the largest array that you make?", of_kind("long"))
def stays_small(seen: Evidence, expected: Evidence) -> Finding:
    """Long rows are mixed right, and nothing on the way is more than 4 times as large as they."""
    if not seen["lean"]:
        return False, f"for {LONG} numbers you made an array more than {TIMES} times as large"
    return as_expected(seen["mixed"], expected["mixed"])


@claim(2, "Which of your operations is not recorded?", of_kind("gradient"))
def passes_gradients(seen: Evidence, expected: Evidence) -> Finding:
    """A gradient goes back through the mixing, to what lies before it."""
    return as_expected(seen["gradient"], expected["gradient"])


@claim(1, "Of which size is the last of your steps?", of_kind("refused"), needs=mixes_rows)
def refuses_other_lengths(seen: Evidence, expected: Evidence) -> Finding:
    """Rows whose length is no power of two raise a ValueError, and so do rows of 0."""
    return refused(seen["ending"])


@claim(
    1,
    "Which number or array that you bring along has a dtype of its own?",
    lambda expected: "dtype" in expected,
    needs=mixes_rows,
)
def keeps_the_dtype(seen: Evidence, expected: Evidence) -> Finding:
    """What comes out has the dtype of what goes in."""
    ours, right = seen["dtype"], expected["dtype"]
    return ours == right, f"{right} went in, and {ours} came out"


CLAIMS = (mixes_rows, stays_small, passes_gradients, refuses_other_lengths, keeps_the_dtype)

# --- beliefs that show alike in both frameworks: the belief, why it fails, a question

NO_SCALE = (
    "H needs no scale.",
    "Its entries are 1 and -1, so each multiplication makes a row longer by the root of n. Ten "
    "layers of 1024 channels make it longer by 32 to the tenth.",
    "How long is a row of four ones, before and after?",
)
MEAN = (
    "A sum over n entries is divided by n.",
    "That makes a mean of it and shrinks every row by the root of n. Lengths are kept by the root.",
    "How long is a row of four ones, before and after?",
)
REVERSED = (
    "The recursion of the FFT is that of Walsh and Hadamard.",
    "That one splits into even and odd places, Sylvester's H is made of halves. All numbers come "
    "out, at places whose binary digits are turned around.",
    "In the H of size 4, which row begins with two ones and goes on with two minus ones?",
)
PADDED = (
    "Zeros at the end make any length fit.",
    "What comes out is longer than what went in, and cut back it has lost its length and its "
    "inverse. Whether that is wanted is the caller's to say.",
    "How many entries has a row of 3 after your transform?",
)
FLAT = (
    "A batch can be mixed as one long row.",
    "Then samples are mixed with one another. A row is one sample.",
    "On which entries of x may the first row of the result depend?",
)
DENSE = (
    "A matrix of n by n is small enough.",
    "At 2048 channels it has four million numbers. Two small ones, or pairs of sums and "
    "differences, come to the same.",
    "How many numbers does H have, and how many of them are different?",
)
NO_GRADIENT = (
    "What is fixed needs no gradient.",
    "Its own numbers get none, but all that lies before it learns by what comes back through it.",
    "Along which way does the gradient reach an activation in the block before?",
)
