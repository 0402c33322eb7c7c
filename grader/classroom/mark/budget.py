"""The budget: how long all answers of one submission may compute together.

An endless answer is ended by its own limit, and a file of nothing but such would still cost a
quarter of an hour. So the answers of a file have a budget as well. Half of it is shared out in
equal parts that nobody else can spend: what one answer takes never costs another its points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

KEPT = 0.5  # of an equal share, which is left to each answer whatever the others take


@dataclass
class Budget:
    """What is left for the answers of one submission. `seconds` is what all may compute."""

    seconds: float = math.inf
    exercises: int = 1
    spent: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._share = KEPT * self.seconds / max(1, self.exercises)
        self._to_come = self.exercises - 1

    @property
    def left(self) -> float:
        """Seconds for the exercise whose turn it is."""
        if math.isinf(self.seconds):
            return math.inf
        return self.seconds - self.spent - self._share * self._to_come

    def next(self) -> None:
        """The turn of the next exercise."""
        self._to_come -= 1
