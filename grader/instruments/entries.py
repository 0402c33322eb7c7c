"""Whether an array is as expected, told at the entry that is furthest off."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.instruments.words import furthest
from grader.judging.evidence import alike
from grader.judging.terms import Finding


def as_expected(ours: Any, right: Any) -> Finding:
    """Whether two arrays of one shape are alike, and where they are not; plain numbers as well."""
    if alike(ours, right):
        return True, "every entry is as expected"
    if np.ndim(right) == 0:
        ours, right = np.reshape(ours, 1), np.reshape(right, 1)
    place, shown, due = furthest(np.asarray(ours, float), np.asarray(right, float))
    return False, f"entry {place}, counted from 1, is {shown}, where {due} was expected"
