"""Sentences that many exercises say alike, in the learner's own numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

from grader.judging.evidence import RTOL, number, told_apart
from grader.judging.terms import Finding


def listed(names: Iterable[str]) -> str:
    """Names in a row; "nothing" where there are none."""
    return ", ".join(names) or "nothing"


def compared(ours: float, right: float, what: str) -> Finding:
    """Whether a number returned is the right one, and both in words. `what` it is: "the share".

    Relative closeness alone: 1e-7 is not 0.
    """
    if math.isclose(ours, right, rel_tol=RTOL):
        return True, f"you return {number(ours)}"
    shown, due = told_apart(ours, right)
    return False, f"you return {shown}, {what} is {due}"


def named_alike(ours: Iterable[str], right: Iterable[str]) -> Finding:
    """Whether the names returned are the right ones, in any order, and which are not."""
    ours, right = set(ours), set(right)
    left_out, more = sorted(right - ours), sorted(ours - right)
    words = [f"you leave out {listed(left_out)}"] if left_out else []
    words += [f"you name {listed(more)}"] if more else []
    return ours == right, "; ".join(words) or f"you name {len(ours)}"
