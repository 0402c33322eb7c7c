"""A roster: who is in the class, from a CSV of the teacher's, in whatever columns it has.

With a roster, only those in it are graded. A student is recognised by what the LMS says of them,
the number or the name that was read. Where names of files alone are left, a file is theirs whose
name begins with one of their cells, and no other student's.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from grader.classroom.collect.systems import NOBODY, Student
from grader.classroom.mark.errors import BatchError

SHORTEST = 3  # characters of a cell by which somebody may be known


class Roster:
    """The students of a class, each known by all the cells of a row."""

    def __init__(self, rows: list[list[str]], heads: list[str]) -> None:
        self._students = {_row_student(row, heads): _cells(row) for row in rows if any(row)}

    def student(self, path: str, owner: Student) -> Student:
        """Whose a file is: `owner` as the roster knows them, else by the beginning of its name."""
        names = (owner.number, owner.name, _bare(owner))
        said = {_plain(text) for text in names if text}
        fitting = [student for student, cells in self._students.items() if said & cells]
        if not fitting and (owner == NOBODY or not owner.number):
            fitting = list(self._beginning(path))
        return fitting[0] if len(fitting) == 1 else NOBODY

    def _beginning(self, path: str) -> Iterator[Student]:
        name = _plain(path.rpartition("/")[2])
        for student, cells in self._students.items():
            if any(name == cell or name.startswith(f"{cell} ") for cell in cells):
                yield student


def read(path: Path) -> Roster:
    """The roster in a CSV file with a line of headings.

    Raises:
        BatchError: it cannot be read, or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        dialect = csv.Sniffer().sniff(text[:10_000], delimiters=",;\t")
        heads, *rows = csv.reader(text.splitlines(), dialect)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise BatchError(f"{path} cannot be read as a roster in CSV ({error}).") from None
    return Roster(rows, heads)


def _row_student(row: list[str], heads: list[str]) -> Student:
    """Named by the cell whose heading speaks of a name, numbered by the first that holds digits."""
    named = [
        cell for head, cell in zip(heads, row, strict=False) if "name" in head.lower() and cell
    ]
    number = next((cell for cell in row if re.fullmatch(r"[A-Za-z]{0,3}\d+", cell.strip())), "")
    name = " ".join(dict.fromkeys(named)) or next(filter(None, row))
    return Student(f"{name}_{number}" if number else name, number)


def _cells(row: list[str]) -> set[str]:
    return {plain for cell in row if len(plain := _plain(cell)) >= SHORTEST}


def _bare(owner: Student) -> str:
    """A name without what makes it unique: a number, or the section in brackets."""
    name = owner.name.removesuffix(f"_{owner.number}") if owner.number else owner.name
    return re.sub(r" \([^()]*\)$", "", name)


def _plain(text: str) -> str:
    """A text in small letters, with one blank for all that is no letter, digit, @ or dot."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return re.sub(r"[^\w@.]+|_", " ", folded).strip()
