"""Two numbers under two names: what an exercise leaves behind that asks for a pair of numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grader.judging.evidence import plain
from grader.judging.terms import Finding


def pair(returned: Any, first: str, second: str) -> dict[str, Any]:
    """The two numbers of a returned pair by name, whatever kind of sequence holds them.

    Of anything but a pair only the count is told, and NaN stands for both. None stays None.
    """
    if returned is None:
        return {"count": 2, first: None, second: None}
    found = plain(returned)
    values = list(found) if isinstance(found, list | np.ndarray) else [found]
    numbers = map(plain, values) if len(values) == 2 else (math.nan, math.nan)
    return {"count": len(values), **dict(zip((first, second), numbers, strict=True))}


def finding(seen: Any, met: bool, words: str) -> Finding:
    """What was found about a pair; about anything else, that it is none."""
    if seen["count"] == 2:
        return met, words
    return False, f"you return {seen['count']} number{'s' * (seen['count'] != 1)}, not two"
