"""The tables beside a report: everybody, and every exercise, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from grader.classroom.give_back.sheets import harmless
from grader.classroom.mark.lab import Lab
from grader.classroom.points.rules import number
from grader.classroom.report.measured import Item, Result


def of_students(lab: Lab, students: Iterable[Result]) -> str:
    """A line a student: points in all and for each exercise, and beliefs."""
    return _csv(
        ["student", "number", "points", "out_of", *lab.names, "beliefs"],
        (
            [
                harmless(one.name),
                one.number,
                "" if one.points is None else number(one.points),
                number(one.out_of),
                *(str(one.reports[n].earned) if n in one.reports else "" for n in lab.names),
                harmless(" | ".join(one.beliefs)),
            ]
            for one in students
        ),
    )


def of_exercises(found: Iterable[Item]) -> str:
    """A line an exercise: students by verdict, the mean share of its points, discrimination."""
    return _csv(
        ["exercise", "met", "not met", "raised", "not attempted", "mean", "discrimination"],
        (
            [
                item.entry.name,
                *map(str, item.verdicts.values()),
                f"{item.share:.3f}",
                "" if item.discrimination is None else f"{item.discrimination:.3f}",
            ]
            for item in found
        ),
    )


def _csv(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
