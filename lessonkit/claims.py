"""What a lesson claims of numbers that training computes: the bands in which they lie.

A claim states its band as the finding ("the share is above 0.3"), not as what was once seen. It is
asserted where the lesson runs. `python -m grader weave --bands` runs the lesson with other seeds as
well, and there a claim is only noted: the record says how far all values are from the edges.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Band:
    """A number that was measured, and the edges it is claimed to lie between."""

    name: str
    value: float
    low: float | None
    high: float | None

    @property
    def holds(self) -> bool:
        above = self.low is None or self.value >= self.low
        below = self.high is None or self.value <= self.high
        return above and below and not math.isnan(self.value)

    def __str__(self) -> str:
        edges = {"at least": self.low, "at most": self.high}
        claimed = " and ".join(f"{word} {e:g}" for word, e in edges.items() if e is not None)
        return f"{self.name}: claimed is {claimed}, measured {self.value:.4g}"


_noted: list[Band] | None = None


def band(name: str, value: float, *, low: float | None = None, high: float | None = None) -> None:
    """Claim that a measured number lies between `low` and `high`, edges included.

    Args:
        name: what was measured; each name once in a lesson.
        value: the number, or an array of one.
        low: the lower edge; none where it is left out.
        high: the upper edge; none where it is left out.

    Raises:
        AssertionError: it does not lie there, and claims are not being recorded.
        ValueError: no edge is given.
    """
    if low is None and high is None:
        raise ValueError(f"{name}: a band needs an edge: low, high or both")
    claimed = Band(name, float(value), low, high)
    if _noted is not None:
        _noted.append(claimed)
    elif not claimed.holds:
        raise AssertionError(str(claimed))


def record() -> None:
    """Begin to note claims, from the first on, and to assert none."""
    global _noted
    _noted = []


def recorded() -> str:
    """What was noted since `record`, as JSON: a list with name, value, low and high of each."""
    return json.dumps([asdict(claimed) for claimed in _noted or []])
