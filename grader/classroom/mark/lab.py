"""The lab that is graded: its exercises and the version of them that verdicts belong to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from grader.checking import catalogue, registry
from grader.checking.catalogue import Entry
from grader.checking.cited import cited_exercises
from grader.classroom.mark.errors import BatchError
from grader.judging.exercise import Exercise

SOURCES = Path(__file__).parents[3] / "labs"


@dataclass(frozen=True)
class Lab:
    """A lab by its stem, `NN_topic`. Entries stand in the order in which it cites them."""

    name: str
    entries: tuple[Entry, ...]

    @cached_property
    def exercises(self) -> tuple[Exercise, ...]:
        """What grading takes, and a look into the gradebook does without."""
        return tuple(registry.find(entry.name) for entry in self.entries)

    @cached_property
    def version(self) -> str:
        """Another one after every change to an exercise or to the release of the project."""
        parts = [version("parameter-locking"), *(entry.source for entry in self.entries)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self.entries]

    @property
    def possible(self) -> int:
        return sum(entry.points for entry in self.entries)


def find(name: str) -> Lab:
    """The lab of this number or stem.

    Raises:
        BatchError: there is none, or there are several.
    """
    of_lab: dict[str, list[Entry]] = {}
    for entry in catalogue.entries():
        of_lab.setdefault(entry.lab, []).append(entry)
    fitting = [stem for stem in of_lab if stem == name or stem.startswith(f"{name}_")]
    if len(fitting) != 1:
        raise BatchError(f"There is no lab {name!r}. There are: {', '.join(sorted(of_lab))}.")
    return Lab(fitting[0], tuple(_in_order(fitting[0], of_lab[fitting[0]])))


def _in_order(stem: str, entries: list[Entry]) -> list[Entry]:
    source = SOURCES / f"{stem}.py"
    cited = cited_exercises(source) if source.exists() else []
    places = {name: place for place, name in enumerate(cited)}
    return sorted(entries, key=lambda entry: places.get(entry.name, len(places)))
