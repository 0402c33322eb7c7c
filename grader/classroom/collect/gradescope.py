"""Gradescope's export: folders with a number for a name, and a sheet that says whose they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from grader.classroom.collect.entries import Entry, readable
from grader.classroom.collect.systems import NOBODY, Student
from grader.classroom.mark.errors import BatchError
from grader.harvesting.cells import Unusable

SHEET = "submission_metadata.yml"
SHEET_LIMIT = 10_000_000  # bytes; a class of ten thousand has less

WRAPPER = re.compile(r"assignment_[0-9]+_export")
"""What Gradescope calls the folder around all."""

ANSWERS = (".ipynb", ".py", ".zip")

Submitters = Mapping[str, Sequence[Student]]
"""{folder: the students who handed it in together}."""


def is_sheet(entry: Entry) -> bool:
    return entry.parts == (SHEET,)


def is_export(entries: Sequence[Entry]) -> bool:
    """Whether the sheet is Gradescope's own: beside it there are folders, and no answers.

    In a folder of files that students named themselves, one might write a sheet and so decide whose
    all the others are.
    """
    beside = [entry for entry in entries if len(entry.parts) == 1 and not entry.folder]
    return any(map(is_sheet, entries)) and not any(
        entry.name.lower().endswith(ANSWERS) for entry in beside
    )


def submitters(entries: Sequence[Entry]) -> Submitters:
    """Who is behind each folder; empty where this is no export of Gradescope.

    Raises:
        BatchError: there is a sheet, and it cannot be read.
    """
    if not is_export(entries):
        return {}
    sheet = next(filter(is_sheet, entries))
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
    number = _text(about.get(":sid")) or _text(about.get(":email"))
    name = _text(about.get(":name")) or number
    return Student(f"{name}_{number}" if number else name, number)


def _text(value: Any) -> str:
    """A cell of the sheet. Lists in lists, which YAML can make of a few bytes, are none."""
    return readable(str(value)) if isinstance(value, str | int) else ""


def owned(entries: Iterable[Entry], known: Submitters) -> Iterator[tuple[Entry, Student]]:
    """Every entry once for each student behind it; folders that the sheet lacks are nobody's."""
    for entry in entries:
        if not is_sheet(entry):
            for student in known.get(entry.parts[0]) or [NOBODY]:
                yield entry, student
