"""Sheets: one line a student, as CSV; or the LMS's own sheet with the points filled in.

What an LMS takes back is the sheet that it gave out, with its own columns in its own language, in
its own form. So a row is recognised by what it says of the student: the number that is also in the
name of the file. What could not be graded is left as it is in the sheet, and named.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.classroom.give_back import form
from grader.classroom.give_back.letters import Letter
from grader.classroom.give_back.writing import writing
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.lab import Lab
from grader.classroom.points.rules import number

FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""

OLDER = "graded under an earlier version of the lab"


def write_csv(letters: Iterable[Letter], lab: Lab, path: Path) -> None:
    """Points of each exercise and in total; empty where a file could not be graded.

    Raises:
        BatchError: the file cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text)
    earned = ["total", "possible", "points", "out_of", "late"]
    rows.writerow(["student", "number", *lab.names, *earned, "file", "remark"])
    for letter in letters:
        rows.writerow(_row(letter, lab))
    writing(path, text.getvalue().encode())


def fill(
    letters: Iterable[Letter],
    lab: Lab,
    sheet: Path,
    column: str,
    path: Path,
    comments: str = "",
) -> str:
    """Write the sheet to `path` with everybody's points in this column; say what was filled in.

    With `comments`, that column gets a sentence on what was not met.

    Raises:
        BatchError: the sheet cannot be read, has no such column or nobody of the class in it, or
            the file cannot be written.
    """
    whole = {letter.number or letter.student: letter for letter in letters}
    known = {key: letter for key, letter in whole.items() if not why_blank(letter, lab)}
    (head, *rows), kept = form.read(sheet)
    for name in filter(None, (column, comments)):
        if name not in head:
            raise BatchError(f"{sheet} has no column {name!r}. It has: {', '.join(head)}.")
    whose = _whose(rows, whole, sheet)
    for row, owner in zip(rows, whose, strict=True):
        if owner is not None and owner in known:
            row[head.index(column)] = kept.decimals(known[owner].points or 0)
            if comments:
                row[head.index(comments)] = harmless(in_a_sentence(known[owner]))
    writing(path, kept.written([head, *rows]))
    return _filled(whole, known, set(whose), lab, len(rows), path)


def _whose(rows: Sequence[Sequence[str]], known: Collection[str], sheet: Path) -> list[str | None]:
    """Whose each row is. Raises `BatchError` if none is anybody's."""
    whose = owners(rows, known)
    if not any(whose):
        raise BatchError(
            f"No row of {sheet} is of a student whose work was graded. Is it the sheet of this "
            "assignment, exported with the students' numbers?"
        )
    return whose


def _filled(
    whole: Mapping[str, Letter],
    known: Collection[str],
    owners: Collection[str | None],
    lab: Lab,
    rows: int,
    path: Path,
) -> str:
    """What became of everybody."""
    said = f"Filled in {len(set(known) & set(owners))} rows of {rows}: {path}."
    if left := sorted(whole.keys() - owners):
        said += f" Not in the sheet: {', '.join(left)}."
    for key in sorted(whole.keys() - set(known)):
        said += f"\nLeft as it was: {key}, {why_blank(whole[key], lab)}."
    return said


def why_blank(letter: Letter, lab: Lab) -> str:
    """Why a sheet says nothing of a student; empty where it does."""
    if letter.version != lab.version:
        return f"{OLDER}; grade once more"
    return letter.unusable.rstrip(".") if letter.points is None else ""


def in_a_sentence(letter: Letter) -> str:
    """What a sheet has room for: the points, what is not met, and where it went astray."""
    points, out_of = number(letter.points or 0), number(letter.out_of)
    open_ones = [
        f"{part.report.exercise} {part.report.earned}/{part.report.possible}"
        for part in letter.exercises
        if part.report.verdict != "met"
    ]
    rest = f" Not all met: {', '.join(open_ones)}." if open_ones else " All claims are met."
    return " ".join([f"{points} of {out_of} points.{rest}", *letter.steps])


def only_heading(sheet: Path, fits: re.Pattern[str], what: str) -> str:
    """The one heading of a sheet that fits.

    Raises:
        BatchError: none does, or several do.
    """
    (head, *_), _ = form.read(sheet)
    found = [name for name in head if fits.search(name)]
    if len(found) == 1:
        return found[0]
    raise BatchError(
        f"{sheet} has {len(found) or 'no'} columns that may be {what}: "
        f"{', '.join(found or head)}. Name it: --column HEADING."
    )


def owners(rows: Sequence[Sequence[str]], known: Collection[str]) -> list[str | None]:
    """Whose each row is, by the column that names most of the known students."""
    columns = [[_named(cell, known) for cell in column] for column in zip(*rows, strict=False)]
    return max(columns, key=lambda column: len({*column} - {None}), default=[None] * len(rows))


def _named(cell: str, known: Collection[str]) -> str | None:
    """The student of a cell: all of it, or the number at its end, as in 'Participant 123'."""
    last = re.search(r"\d*$", cell)
    return next((name for name in (cell, last and last[0]) if name and name in known), None)


def _row(letter: Letter, lab: Lab) -> Iterator[Any]:
    earned = {part.report.exercise: part.report.earned for part in letter.exercises}
    yield harmless(letter.student)
    yield harmless(letter.number)
    yield from (earned.get(name, "") for name in lab.names)
    yield "" if letter.unusable else letter.earned
    yield letter.possible
    yield "" if letter.points is None else number(letter.points)
    yield number(letter.out_of)
    yield number(letter.late)
    yield harmless(letter.file)
    older = OLDER if letter.version != lab.version else ""
    yield harmless(letter.unusable or older)


def harmless(text: str) -> str:
    """A text that a spreadsheet shows and does not run."""
    begins = unicodedata.normalize("NFKC", text).lstrip()
    return f"'{text}" if begins.startswith(FORMULA) else text
