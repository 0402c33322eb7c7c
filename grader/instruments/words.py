"""Sentences that many exercises say alike, in the learner's own numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

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


def furthest(ours: np.ndarray, right: np.ndarray) -> tuple[list[int], str, str]:
    """Where two arrays differ most for their size, counted from 1, and what each has there."""
    with np.errstate(all="ignore"):
        apart = np.abs(ours - right) - RTOL * np.abs(right)
    place = np.unravel_index(np.argmax(apart), apart.shape)
    return [int(k) + 1 for k in place], *told_apart(float(ours[place]), float(right[place]))


def named_alike(ours: Iterable[str], right: Iterable[str]) -> Finding:
    """Whether the names returned are the right ones, in any order, and which are not."""
    ours, right = set(ours), set(right)
    left_out, more = sorted(right - ours), sorted(ours - right)
    words = [f"you leave out {listed(left_out)}"] if left_out else []
    words += [f"you name {listed(more)}"] if more else []
    return ours == right, "; ".join(words) or f"you name {len(ours)}"
