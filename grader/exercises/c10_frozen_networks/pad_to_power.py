"""Rows brought to a power of two, by zeros at the end or by a cut (torch)."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from grader.instruments.entries import as_expected
from grader.instruments.handed_back import handed_back
from grader.instruments.refusals import refusal, refused
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def pad_to_power(x, most):
    """Bring the last axis to a power of two, as a Walsh-Hadamard transform needs it.

    The new width is the smallest power of two that holds all entries. If that is above ``most``, it
    is the largest power of two that is not, and the entries that find no place are cut off at the
    end.

    Args:
        x: float tensor of shape (n,) or (…, n), n from 1 on. It stays as it is.
        most: the width that must not be exceeded, a whole number.

    Returns:
        Tensor of shape (…, width) and the dtype of ``x``: the entries of ``x`` in their order, then
        zeros. Gradients pass to ``x``.

    Raises:
        ValueError: ``most`` is below 1.

    Example:
        >>> pad_to_power(torch.tensor([[1.0, 2.0, 3.0]]), most=8).tolist()
        [[1.0, 2.0, 3.0, 0.0]]
        >>> pad_to_power(torch.tensor([[1.0, 2.0, 3.0]]), most=3).tolist()
        [[1.0, 2.0]]
    """
    if most < 1:
        raise ValueError(f"no row fits into a width of {most}")
    n = x.shape[-1]
    fitting, largest = 1 << (n - 1).bit_length(), 1 << (most.bit_length() - 1)
    return F.pad(x, (0, min(fitting, largest) - n))


def challenge(rng: np.random.Generator) -> Challenge:
    power = int(rng.choice([8, 16]))
    below, above = int(rng.integers(power // 2 + 1, power - 1)), int(rng.integers(1, 4)) + power
    count = int(rng.integers(3, 6))

    def case(kind: str, n: int, most: int, *rows: int, dtype: str = "float32") -> Inputs:
        shape = (*(rows or (count,)), n)
        x = rng.normal(size=shape).astype(dtype)
        return {"kind": kind, "x": x, "most": most}

    def handed_back(n: int, most: int, width: int) -> Inputs:
        towards = rng.normal(size=(count, width)).astype(np.float32)
        return {**case("gradient", n, most), "towards": towards}

    return {
        "a width between two powers": case("pad", below, 64),
        "one above a power": case("pad", power + 1, 64),
        "one below a power": case("pad", power - 1, 64),
        "three axes": case("pad", below, 64, 2, 3),
        "a width that just fits": case("pad", below, power),
        "a single row, in three axes": case("pad", below, 100, 1, 1),
        "no rows": case("pad", below, 64, 0),
        "a power": case("power", power, 64),
        "a power that just fits": case("power", power, power),
        "one entry": case("power", 1, 1),
        "two entries": case("power", 2, 64),
        "more than fit": case("cut", above, power),
        "far more than fit": case("cut", 8 * above, power + 3),
        "all fit, their power does not": case("cut", below, power - 1),
        "a power that does not fit": case("cut", power, power - 1),
        "room for one": case("cut", below, 1),
        "float16": case("dtype", below, 64, dtype="float16"),
        "float64": case("dtype", below, 64, dtype="float64"),
        "what is handed back from zeros": handed_back(below, 64, power),
        "what is handed back from a cut": handed_back(above, power, power),
        "a width of 0": case("refused", below, 0),
        "a width below 0": case("refused", below, -power),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    kind, x, most = inputs["kind"], torch.from_numpy(inputs["x"].copy()), inputs["most"]
    if kind == "refused":
        return {"kind": kind, "ending": refusal(candidate, x, most, returned=lambda _: "an answer")}
    before = x.clone()
    brought = candidate(x.requires_grad_(kind == "gradient"), most)
    if not torch.is_tensor(brought):
        return None if brought is None else f"<{type(brought).__name__}>"
    if kind == "gradient":
        return {"kind": kind, "gradient": handed_back(brought, inputs["towards"], x)[0]}
    dtype = str(brought.dtype).removeprefix("torch.")
    return {"kind": kind, "row": brought, "dtype": dtype, "kept": torch.equal(x, before)}


def _row(seen: Evidence, expected: Evidence) -> Finding:
    return as_expected(seen["row"], expected["row"])


@claim(3, "Which is the smallest power of two that holds n entries?", of_kind("pad"))
def fills_up_with_zeros(seen: Evidence, expected: Evidence) -> Finding:
    """Rows between two powers are filled up to the next one, with zeros at their end."""
    return _row(seen, expected)


@claim(2, "How wide is what you return, and how wide may it be?", of_kind("cut"))
def cuts_what_does_not_fit(seen: Evidence, expected: Evidence) -> Finding:
    """Where that is too wide, the first entries are kept, as many as the largest power allows."""
    return _row(seen, expected)


@claim(1, "What is there to do for 16 entries?", of_kind("power"), needs=fills_up_with_zeros)
def leaves_powers_alone(seen: Evidence, expected: Evidence) -> Finding:
    """A row whose length is a power of two that fits comes out as it is, and so does one entry."""
    return _row(seen, expected)


@claim(1, "Which dtype have the zeros that you bring along?", of_kind("dtype"), fills_up_with_zeros)
def keeps_the_dtype(seen: Evidence, expected: Evidence) -> Finding:
    """What comes out has the dtype of what goes in, half precision too."""
    ours, right = seen["dtype"], expected["dtype"]
    return ours == right, f"{right} went in, and {ours} came out"


@claim(1, "Which of your operations is not recorded?", of_kind("gradient"))
def passes_gradients(seen: Evidence, expected: Evidence) -> Finding:
    """Every entry that was kept gets its gradient, and one that was cut off gets 0."""
    return as_expected(seen["gradient"], expected["gradient"])


@claim(1, "How long is the shortest row there is?", of_kind("refused"), fills_up_with_zeros)
def refuses_no_width(seen: Evidence, expected: Evidence) -> Finding:
    """A width below 1 raises a ValueError."""
    return refused(seen["ending"])


@claim(
    1,
    "Which of your calls write into what they are given?",
    lambda expected: "kept" in expected,
    needs=fills_up_with_zeros,
)
def leaves_x_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The tensor given is left as it was."""
    return seen["kept"], f"x was {'left alone' if seen['kept'] else 'changed'}"


def _power_below(most: int) -> int:
    return 1 << (most.bit_length() - 1)


def brought(
    x: Tensor,
    most: int,
    power: Part = lambda n: 1 << (n - 1).bit_length(),
    limited: Part = lambda width, most: min(width, _power_below(most)),
    fill: Part = lambda x, more: F.pad(x, (0, more)),
    cut: Part = lambda x, width: x[..., :width],
) -> Tensor:
    """The right answer in parts."""
    if most < 1:
        raise ValueError("no width")
    n = x.shape[-1]
    width = limited(power(n), most)
    return fill(x, width - n) if width > n else cut(x, width)


def _around_again(x: Tensor, more: int) -> Tensor:
    return torch.cat([x, x[..., :more]], -1)


def _every_axis(x: Tensor, more: int) -> Tensor:
    rows = [1 << max(0, size - 1).bit_length() for size in x.shape[:-1]]
    filled = x.new_zeros((*rows, x.shape[-1] + more))
    filled[tuple(slice(size) for size in x.shape)] = x
    return filled


believing = beliefs_about(brought)
BELIEFS = (
    believing(
        "The next power of two is a larger one.",
        "A power needs no next one. Your rows of 16 become rows of 32, half of them zeros.",
        "What is the smallest power of two that holds 16 entries?",
        power=lambda n: 1 << n.bit_length(),
    ),
    believing(
        "The nearest power of two will do.",
        "From 9 entries that is 8, and one is lost that had room.",
        "How many entries of a row of 9 come out?",
        power=lambda n: min((1 << k for k in range(20)), key=lambda width: abs(width - n)),
    ),
    believing(
        "A row is cut down to a power of two.",
        "Up to half of it is lost. It is cut only where there is no room.",
        "How many entries of a row of 15 come out?",
        power=_power_below,
    ),
    believing(
        "A limit is a width.",
        "The limit may be any number. A transform of 1000 entries needs a power of two below it.",
        "How wide is what you return if most is 1000?",
        limited=min,
    ),
    believing(
        "Zeros belong on both sides.",
        "So it is done with images. Here the entries of x come first.",
        "At which place is the first entry of x?",
        fill=lambda x, more: F.pad(x, (more // 2, more - more // 2)),
    ),
    believing(
        "A row can go around again.",
        "What comes twice makes the row longer, and its length is what a mixing keeps. Zeros add "
        "nothing.",
        "How long is a row of three ones before and after?",
        fill=_around_again,
    ),
    believing(
        "The last entries are those to keep.",
        "The task cuts at the end, so that each entry that stays keeps its place.",
        "Which entry of x comes first in what you return?",
        cut=lambda x, width: x[..., -width:],
    ),
    believing(
        "Every axis is brought to a power of two.",
        "The others are samples. Rows of zeros among them would count as samples too.",
        "How many rows went in, and how many come out?",
        fill=_every_axis,
    ),
    believing(
        "Zeros have no dtype.",
        "torch.zeros has float32 unless told otherwise, and joined to half precision makes "
        "float32 of it.",
        "What is the dtype of your result for float16?",
        fill=lambda x, more: torch.cat([x, torch.zeros(*x.shape[:-1], more)], -1),
    ),
)

EXERCISE = Exercise(
    reference=pad_to_power,
    challenge=challenge,
    observe=observe,
    hints=(
        "First find the width, as a number: double a 1 as long as the entries do not fit and the "
        "limit allows it.",
        "(n - 1).bit_length() counts the doublings for n entries, and most.bit_length() - 1 those "
        "that stay within most.",
        "torch.nn.functional.pad takes (0, more) for zeros at the end. Where more is negative it "
        "cuts.",
    ),
    lesson="10_frozen_networks",
    section="Walsh and Hadamard",
    frameworks=("torch",),
    minutes=10,
    difficulty=2,
    note="Only Walsh and Hadamard ask for this: the cosine and the Fourier transform take any "
    "width. After zeros a transform still keeps lengths, after a cut it keeps what was left.",
)
