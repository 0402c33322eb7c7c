"""Letters: what each student is told, as data. `pages` writes them.

They hold what the public numbers showed and nothing else: no answer, no secret number, no other
student. Words come from `grader.judging.feedback`. docs/grading.md has the schema of the JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row

from grader.checking import book
from grader.classroom.gradebook import damage, records
from grader.classroom.gradebook.gradebook import Gradebook, Keep
from grader.classroom.mark.lab import Lab
from grader.judging.judge import Report

SCHEMA = 1


class Part(msgspec.Struct):
    """One exercise. `row` is the verdict's row in the gradebook, by which it can be asked about."""

    title: str
    row: int
    note: str
    report: Report


class Attempt(msgspec.Struct):
    """Another file of the same student, which does not count."""

    file: str
    written: datetime
    earned: int
    unusable: str


class Letter(msgspec.Struct):
    """All that a student is told about a lab. `seeds` are the public ones, to try at home."""

    student: str
    number: str
    lab: str
    version: str
    file: str
    content: str
    written: datetime
    graded: datetime
    unusable: str
    earned: int
    possible: int
    seeds: list[int]
    exercises: list[Part]
    others: list[Attempt]

    def summary(self) -> dict[str, Any]:
        """The letter as built-in types, derived figures of its reports included."""
        told = msgspec.to_builtins(self) | {"schema": SCHEMA}
        for part, data in zip(self.exercises, told["exercises"], strict=True):
            data |= data.pop("report") | part.report.summary()
        return told


def letters(gradebook: Gradebook, lab: Lab, keep: Keep) -> Iterator[Letter]:
    """One letter for each student, in order of their names."""
    for standing in gradebook.standings(lab.name, lab.version, keep):
        counting = gradebook.submission(standing.counts)
        others = [gradebook.submission(number) for number in standing.others]
        verdicts = gradebook.verdicts(standing.counts)
        current = counting.version == lab.version and not counting.unusable
        expected = lab.names if current else [row.exercise for row in verdicts]
        yield _letter(lab, counting, verdicts, others, damage.unreadable(verdicts, expected))


def _letter(
    lab: Lab,
    counting: Row[Any],
    verdicts: Sequence[Row[Any]],
    others: Sequence[Row[Any]],
    damaged: Sequence[str],
) -> Letter:
    known = {n: v for n, v in counting._mapping.items() if n in Letter.__struct_fields__}
    if damaged:
        known["unusable"] = damage.words(damaged)
    return Letter(
        **known,
        seeds=list(book.PUBLIC_SEEDS),
        exercises=[_part(lab, row) for row in verdicts if row.exercise not in damaged],
        others=[Attempt(row.file, row.written, row.earned, row.unusable) for row in others],
    )


def _part(lab: Lab, row: Row[Any]) -> Part:
    report = records.report(row)
    known = next((entry for entry in lab.entries if entry.name == row.exercise), None)
    if known is None:  # graded long ago, and gone since
        return Part(row.exercise, row.id, "", report)
    return Part(known.title, row.id, known.note if report.verdict == "met" else "", report)
