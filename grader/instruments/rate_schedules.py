"""Learning rates, update by update: what the twins that write a schedule share.

A run makes `total` updates, `warmup` of them in a warm-up. Each twin finds out in its own framework
which rate each update has, some updates after the last included. Here are the runs, the evidence,
the claims, and the beliefs that occur in both frameworks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grader.judging.evidence import ATOL, RTOL, number, told_apart
from grader.judging.exercise import claim, of_kind
from grader.judging.terms import Challenge, Evidence, Finding, Inputs

CASE = "all updates of a run"
"""What both twins call the case in which they are to agree."""

LATER = 6
"""How many updates after the last are asked for."""


def run(kind: str, warmup: int, falling: int, *peaks: float) -> dict[str, Any]:
    """A run, with the peak of each group of parameters."""
    return {"kind": kind, "warmup": warmup, "total": warmup + falling, "peaks": list(peaks)}


def cases(rng: np.random.Generator) -> Challenge:
    """The runs that both twins meet."""
    few, many = (int(count) for count in rng.integers((3, 12), (12, 40)))
    peak = float(rng.uniform(0.02, 0.4))
    return {
        CASE: run("run", few, many, peak),
        "a warm-up that takes most of the run": run("run", many, few, peak / 3),
        "a peak near 1e-20": run("run", few, many, 1e-20 * peak),
        "a warm-up of one update": run("run", 1, many, peak),
        "a warm-up to the last update": run("run", many, 0, peak),
    }


def evidence(inputs: Inputs, rates: Sequence[Sequence[float]]) -> dict[str, Any]:
    """The rates as shares of the peaks: a row for each group, a column for each update."""
    peaks = inputs["peaks"]
    shares = [[float(rate) / peak for rate in row] for row, peak in zip(rates, peaks, strict=True)]
    return {key: inputs[key] for key in ("kind", "warmup", "total")} | {"shares": np.array(shares)}


def alike_between(seen: Evidence, expected: Evidence, first: int, last: int) -> Finding:
    """Whether the updates from the `first` to the `last`, counted from 1, have the right rates."""
    ours, right = (found["shares"][:, first - 1 : last] for found in (seen, expected))
    off = np.argwhere(~np.isclose(ours, right, RTOL, ATOL))
    if not len(off):
        return True, f"updates {first} to {last} have their rates"
    row, place = off[0]
    share, due = told_apart(ours[row, place], right[row, place])
    group = f" of group {row + 1}" if len(right) > 1 else ""
    return False, f"update {first + place}{group} has {share} of its peak, {due} is due"


@claim(3, "Which number does the first update have, and which rate?", of_kind("run"))
def rises(seen: Evidence, expected: Evidence) -> Finding:
    """During the warm-up the rate rises evenly, from 1/warmup of the peak to all of it."""
    return alike_between(seen, expected, 1, expected["warmup"])


@claim(2, "Between which two updates does the rate fall to 0?", of_kind("run"), needs=rises)
def falls(seen: Evidence, expected: Evidence) -> Finding:
    """After the warm-up it falls evenly, and the last update still moves."""
    return alike_between(seen, expected, expected["warmup"] + 1, expected["total"])


@claim(1, "What does your formula say long after the end?", of_kind("run"), needs=rises)
def rests(seen: Evidence, expected: Evidence) -> Finding:
    """From the first update after the last on, the rate is 0."""
    later = seen["shares"][:, expected["total"] :]
    off = np.argwhere(~np.isclose(later, 0, RTOL, ATOL))
    if not len(off):
        return True, "every update after the last has a rate of 0"
    row, place = off[0]
    update, share = expected["total"] + place + 1, number(later[row, place])
    return False, f"update {update} of {expected['total']} has {share} of its peak, 0 is due"


CLAIMS = (rises, falls, rests)

# --- beliefs that show alike in both frameworks: the belief, why it fails, a question

FROM_ZERO = (
    "The share of an update is its number.",
    "Frameworks count from 0, so the first update has a rate of 0. Its batch is thrown away, and "
    "the peak comes late or never.",
    "Which count is your function asked with first, and what does it say?",
)
NOTHING_LAST = (
    "A fall to 0 ends at the last update.",
    "Then the last update moves nothing. The first one that is not made any more has the 0.",
    "How far does the last update move a weight?",
)
NO_FLOOR = (
    "After its end a schedule is not asked.",
    "Many loops make a few updates more. A rate below 0 climbs the loss.",
    "What does your formula say ten updates after the end?",
)
NO_FALL = (
    "A warm-up ends at the peak and stays there.",
    "Many do. The one asked for falls to 0 by the end of the run.",
    "What does the task say of the updates after the warm-up?",
)
PRODUCT = (
    "A rise and a fall are two factors.",
    "Multiplied, the fall begins with the first update, and the peak is never reached.",
    "How large is the largest rate of your schedule, as a share of the peak?",
)
FROM_THE_START = (
    "The fall is counted from the start of the run.",
    "Then it has gone some way when the warm-up ends, and the rate jumps down.",
    "By how much do the rates of the last update of the warm-up and of the next differ?",
)
