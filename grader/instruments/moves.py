"""Which arrays moved: before and after by name, told apart to the bit, in any framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from grader.judging.evidence import alike, number, numbers, told_apart
from grader.judging.terms import Finding

Arrays = Mapping[str, np.ndarray]
"""By name, such as "head/bias"."""


def moved(before: Arrays, after: Arrays) -> list[str]:
    """The names whose arrays are not the same to the bit, or gone, in order."""
    return sorted(name for name in before if name not in after or _differ(before, after, name))


def _differ(before: Arrays, after: Arrays, name: str) -> bool:
    old, new = before[name], after[name]
    same_form = old.dtype == new.dtype and old.shape == new.shape
    return not same_form or old.tobytes() != new.tobytes()


def drift(before: Arrays, after: Arrays) -> dict[str, float]:
    """By how much each array moved where it moved most; NaN if it is gone."""
    return {
        name: float(np.abs(after[name] - array).max(initial=0)) if name in after else np.nan
        for name, array in before.items()
    }


def told(drift: Mapping[str, float], names: Sequence[str]) -> str:
    """Some of what drifted, and how far, in words."""
    return ", ".join(f"{name} by up to {number(drift[name])}" for name in names) or "nothing"


def end_alike(ours: Arrays, right: Arrays, due: str = "{} was expected") -> Finding:
    """Whether arrays end where they should; `due` says it of the right numbers."""
    astray = [name for name in right if name not in ours or not alike(ours[name], right[name])]
    if not astray:
        return True, "all end where they should"
    first, more = astray[0], f", and {len(astray) - 1} more" if len(astray) > 1 else ""
    end, expected = _told_apart(ours.get(first), right[first])
    return False, f"{first} ends at {end}, where {due.format(expected)}{more}"


def _told_apart(ours: np.ndarray | None, right: np.ndarray) -> tuple[str, str]:
    """The first numbers of both; where these look the same, those that lie farthest apart."""
    expected = numbers(np.ravel(right), 3)
    if ours is None:
        return "nothing", expected
    end = numbers(np.ravel(ours), 3)
    if end != expected or np.shape(ours) != np.shape(right):
        return end, expected
    place = np.argmax(np.abs(ours - right))
    return told_apart(np.ravel(ours)[place], np.ravel(right)[place])
