"""Damage: submissions of which the gradebook holds less than was recorded.

Everything about a submission is written at once. What is missing or unreadable later was lost to a
failing disk, or to a hand in the database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.gradebook.records import Damaged, report
from grader.classroom.mark.lab import Lab


@dataclass(frozen=True)
class Damage:
    """A submission, by its id, and the exercises whose verdicts cannot be read."""

    submission: int
    student: str
    file: str
    exercises: Sequence[str]

    def __str__(self) -> str:
        return f"{self.student} ({self.file}): {words(self.exercises)}"


def words(exercises: Sequence[str]) -> str:
    """What has become of the verdicts on these exercises."""
    return f"what the gradebook held of {', '.join(exercises)} is damaged"


def damaged(gradebook: Gradebook, lab: Lab) -> Iterator[Damage]:
    """What grading has recorded under this version of a lab, and cannot be read any more."""
    for row in gradebook.graded(lab.name, lab.version):
        if lost := unreadable(gradebook.verdicts(row.id), lab.names):
            yield Damage(row.id, row.student, row.file, lost)


def unreadable(verdicts: Collection[Row[Any]], expected: Sequence[str]) -> list[str]:
    """The exercises, of those expected, whose verdict is not there or cannot be read."""
    whole = {row.exercise for row in verdicts if _is_whole(row)}
    return [name for name in expected if name not in whole]


def _is_whole(row: Row[Any]) -> bool:
    try:
        report(row)
    except Damaged:
        return False
    return True
