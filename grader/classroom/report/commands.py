"""The command `report`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from grader.classroom.give_back.letters import Letter, letters
from grader.classroom.give_back.writing import writing
from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.mark import draw
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.lab import find
from grader.classroom.report import measured, page, tables
from grader.classroom.report.pseudonyms import pseudonym

DONE, UNUSABLE = 0, 2  # exit statuses


def report(options: argparse.Namespace) -> int:
    """Write the page, and the tables beside it."""
    try:
        lab = find(options.lab)
        with Gradebook(options.gradebook, make=False) as gradebook:
            called = _pseudonym(options.secret) if options.pseudonyms else _name
            told = letters(gradebook, lab, options.keep)
            students, older = measured.results(told, lab, called)
            if not students:
                raise BatchError(f"{gradebook.name} holds nothing of the lab {lab.name} as it is.")
            contents = {
                options.to: page.as_page(lab, students, older),
                _beside(options.to, "students"): tables.of_students(lab, students),
                _beside(options.to, "exercises"): tables.of_exercises(
                    measured.items(students, lab)
                ),
            }
            for path, content in contents.items():
                gradebook.remember(str(path.resolve()))
                writing(path, content.encode())
    except BatchError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    print(f"Report on {len(students)} students: {', '.join(map(str, contents))}")
    return DONE


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.stem}.{what}.csv")


def _name(letter: Letter) -> tuple[str, str]:
    return letter.student, letter.number


def _pseudonym(secret: Path) -> Callable[[Letter], tuple[str, str]]:
    key, _ = draw.secret_in(secret)
    return lambda letter: (pseudonym(key, letter.number or letter.student), "")
