"""Gradescope's export: folders with a number for a name, and a sheet that says whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from grader.classroom.collect.entries import Entry
from grader.classroom.collect.systems import NOBODY, Student
from grader.classroom.mark.errors import BatchError
from grader.harvesting.cells import Unusable

SHEET = "submission_metadata.yml"
SHEET_LIMIT = 10_000_000  # bytes; a class of ten thousand has less

Submitters = Mapping[str, Sequence[Student]]
"""{folder: the students who handed it in together}."""


def is_sheet(entry: Entry) -> bool:
    return entry.parts == (SHEET,)


def submitters(entries: Iterable[Entry]) -> Submitters:
    """Who is behind each folder; empty where this is no export of Gradescope.

    Raises:
        BatchError: there is a sheet, and it cannot be read.
    """
    sheet = next(filter(is_sheet, entries), None)
    if sheet is None:
        return {}
    try:
        content = sheet.read()
        if len(content) > SHEET_LIMIT:
            raise ValueError("too large")
        read = yaml.safe_load(content)
        return {folder: list(map(_student, about[":submitters"])) for folder, about in read.items()}
    except (yaml.YAMLError, Unusable, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BatchError(
            f"{SHEET} cannot be read ({error}). Export the submissions again."
        ) from None


def _student(about: Mapping[str, Any]) -> Student:
    number = str(about.get(":sid") or about.get(":email") or "")
    name = str(about.get(":name") or number)
    return Student(f"{name}_{number}" if number else name, number)


def owned(entries: Iterable[Entry], known: Submitters) -> Iterator[tuple[Entry, Student]]:
    """Every entry once for each student behind it; folders that the sheet lacks are nobody's."""
    for entry in entries:
        if not is_sheet(entry):
            for student in known.get(entry.parts[0]) or [NOBODY]:
                yield entry, student
