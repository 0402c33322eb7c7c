"""Export: one line a student, as CSV; or the LMS's own sheet with the points filled in.

What an LMS takes back is the sheet that it gave out, with its own columns in its own language. So a
row is recognised by what it says of the student: the number that is also in the name of the file.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from grader.classroom.give_back.letters import Letter, letters
from grader.classroom.give_back.pages import write
from grader.classroom.gradebook.gradebook import Gradebook, Keep
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.lab import Lab

FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""


def write_csv(gradebook: Gradebook, lab: Lab, keep: Keep, path: Path) -> None:
    """Points of each exercise and in total; empty where a file could not be graded.

    Raises:
        BatchError: the file cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["student", "number", *lab.names, "total", "possible", "file", "remark"])
    for letter in letters(gradebook, lab, keep):
        rows.writerow(_row(letter, lab.names, lab.version))
    _written(path, text.getvalue())


def _written(path: Path, text: str) -> None:
    try:
        write(path, text)
    except OSError as error:
        raise BatchError(
            f"The scores cannot be written to {path}: {error.strerror}. They are recorded; name "
            "another file (--csv FILE) and run the same command again."
        ) from None


def fill(gradebook: Gradebook, lab: Lab, keep: Keep, sheet: Path, column: str, path: Path) -> str:
    """Write the sheet to `path` with everybody's points in this column; say what was filled in.

    Raises:
        BatchError: the sheet cannot be read, has no such column or nobody of the class in it, or
            the file cannot be written.
    """
    points = {
        letter.number or letter.student: letter.earned for letter in letters(gradebook, lab, keep)
    }
    head, *rows = _read(sheet)
    if column not in head:
        raise BatchError(f"{sheet} has no column {column!r}. It has: {', '.join(head)}.")
    owners, written = _owners(rows, points), _number_form(rows)
    for row, owner in zip(rows, owners, strict=True):
        if owner is not None:
            row[head.index(column)] = written(points[owner])
    if not any(owners):
        raise BatchError(
            f"No row of {sheet} is of a student whose work was graded. Is it the sheet of this "
            "assignment, exported with the students' numbers?"
        )
    text = io.StringIO()
    csv.writer(text).writerows([head, *rows])
    _written(path, text.getvalue())
    left = sorted(points.keys() - set(owners))
    more = f" Not in the sheet: {', '.join(left)}." if left else ""
    return f"Filled in {len(points) - len(left)} rows of {len(rows)}: {path}.{more}"


def _read(sheet: Path) -> list[list[str]]:
    """The rows of a sheet, all as long as the first."""
    try:
        with open(sheet, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BatchError(f"{sheet} cannot be read as CSV ({error}). Export it again.") from None
    if not rows:
        raise BatchError(f"{sheet} is empty. Export it again.")
    return [row + [""] * (len(rows[0]) - len(row)) for row in rows]


def _owners(rows: Sequence[Sequence[str]], known: Collection[str]) -> list[str | None]:
    """Whose each row is, by the column that names most of the known students."""
    columns = [[_named(cell, known) for cell in column] for column in zip(*rows, strict=False)]
    return max(columns, key=lambda column: len(set(column)), default=[None] * len(rows))


def _named(cell: str, known: Collection[str]) -> str | None:
    """The student of a cell: all of it, or the number at its end, as in 'Participant 123'."""
    last = re.search(r"\d*$", cell)
    return next((name for name in (cell, last and last[0]) if name and name in known), None)


def _number_form(rows: Sequence[Sequence[str]]) -> Callable[[int], str]:
    """How the sheet writes points: with a comma where its own numbers have one (`61,00`)."""
    commas = [m for row in rows for cell in row if (m := re.fullmatch(r"\d+,(\d+)", cell))]
    return (lambda points: f"{points},{'0' * len(commas[0][1])}") if commas else str


def _row(letter: Letter, names: list[str], version: str) -> Iterator[Any]:
    earned = {part.report.exercise: part.report.earned for part in letter.exercises}
    yield _harmless(letter.student)
    yield _harmless(letter.number)
    yield from (earned.get(name, "") for name in names)
    yield letter.earned
    yield letter.possible
    yield _harmless(letter.file)
    older = "graded under an earlier version of the lab" if letter.version != version else ""
    yield _harmless(letter.unusable or older)


def _harmless(text: str) -> str:
    """A text that a spreadsheet shows and does not run."""
    begins = unicodedata.normalize("NFKC", text).lstrip()
    return f"'{text}" if begins.startswith(FORMULA) else text
