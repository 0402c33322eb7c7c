"""The lab that is graded: its exercises and the version of them that verdicts belong to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from grader.checking import book, registry
from grader.classroom.mark.errors import BatchError
from grader.judging.exercise import Exercise

SOURCES = Path(__file__).parents[3] / "labs"


@dataclass(frozen=True)
class Lab:
    """A lab by its stem, `NN_topic`. Exercises stand in the order in which it cites them."""

    name: str
    exercises: tuple[Exercise, ...]

    @cached_property
    def version(self) -> str:
        """Another one after every change to an exercise or to the release of the project."""
        parts = [version("parameter-locking"), *map(book.fingerprint, self.exercises)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def names(self) -> list[str]:
        return [exercise.name for exercise in self.exercises]

    @property
    def possible(self) -> int:
        return sum(exercise.points for exercise in self.exercises)


def find(name: str) -> Lab:
    """The lab of this number or stem.

    Raises:
        BatchError: there is none, or there are several.
    """
    of_lab: dict[str, list[Exercise]] = {}
    for exercise in map(registry.find, registry.names()):
        of_lab.setdefault(exercise.lesson, []).append(exercise)
    fitting = [stem for stem in of_lab if stem == name or stem.startswith(f"{name}_")]
    if len(fitting) != 1:
        raise BatchError(f"There is no lab {name!r}. There are: {', '.join(sorted(of_lab))}.")
    return Lab(fitting[0], tuple(_in_order(fitting[0], of_lab[fitting[0]])))


def _in_order(stem: str, exercises: list[Exercise]) -> list[Exercise]:
    source = SOURCES / f"{stem}.py"
    places: dict[str, int] = {}
    if source.exists():
        from grader.checking.cited import (
            cited_exercises,  # late, for it brings half of Jupyter along
        )

        places = {name: place for place, name in enumerate(cited_exercises(source))}
    return sorted(exercises, key=lambda exercise: places.get(exercise.name, len(places)))
