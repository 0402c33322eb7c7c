"""How much room a drawing takes, in inches: the lanes over and under the chain, and the scale.

The states of a play share one `Room`, so that nothing jumps from one to the next.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lessonkit.drawing.network import Layer

FEW = 7  # layers that are drawn with their units; more become tiles
WIDEST = 7.0  # as all figures
NOTE = 24  # letters in a line of a note
LETTER = 0.086  # of a title


@dataclass(frozen=True)
class Scale:
    """A logarithmic scale of strengths: the largest, and the decades below it that are shown."""

    top: float = 0.0
    decades: float = 1.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Scale:
        """The scale for some strengths; six decades at most, one at least."""
        present = [value for value in values if 0 < value < math.inf]
        if not present:
            return cls()
        decades = math.ceil(math.log10(max(present) / min(present)) - 1e-9)
        return cls(max(present), min(max(decades, 1), 6))

    def __call__(self, value: float) -> float:
        """The thickness of a strength, from 0 to 1."""
        if not 0 < value < math.inf or not self.top:
            return float(value == math.inf)
        return max(0.0, 1 + math.log10(value / self.top) / (self.decades + 0.5))


@dataclass(frozen=True)
class Room:
    """Lines and lanes that a drawing needs; `forward` and `backward` hold all their strengths."""

    width: float
    notes: int
    skips: int
    legend: int
    forward: tuple[float, ...]
    backward: tuple[float, ...]

    def joined(self, other: Room) -> Room:
        """The room in which both find place."""
        return Room(
            max(self.width, other.width),
            max(self.notes, other.notes),
            max(self.skips, other.skips),
            max(self.legend, other.legend),
            self.forward + other.forward,
            self.backward + other.backward,
        )


def needed(
    layers: Sequence[Layer],
    title: str,
    lanes: int,
    forward: Sequence[float],
    backward: Sequence[float],
) -> Room:
    """The room of one drawing with `lanes` lanes of skip connections."""
    detailed = len(layers) <= FEW
    chain = 1.3 + step(len(layers)) * len(layers) if detailed else WIDEST
    return Room(
        min(max(chain, 0.3 + LETTER * len(title), 3.2), WIDEST),
        max(len(wrapped(layer.note)) for layer in layers),
        lanes,
        0 if detailed else 1,
        tuple(forward),
        tuple(backward),
    )


def step(count: int) -> float:
    """The distance of two of `count` layers."""
    return min(1.5, (WIDEST - 1.3) / count)


def wrapped(note: str) -> list[str]:
    """A note in short lines."""
    return textwrap.wrap(note, NOTE)


def lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """For each span (start, end) the lowest lane in which it meets no other."""
    taken: list[list[tuple[float, float]]] = []
    found = []
    for start, end in spans:
        free = (i for i, lane in enumerate(taken) if all(end <= a or b <= start for a, b in lane))
        lane = next(free, len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((start, end))
        found.append(lane)
    return found
