"""The command line of `grade`, `export` and `regrade`. Imports little: all commands pass by."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

GRADEBOOK, SECRET = "gradebook.sqlite", Path("grading.secret")

KEEP = "which of several files of a student counts: the last, or the best of the last three"
ROSTER = "a CSV of who is in the class; whatever is nobody's in it is not graded"
BUDGET = 120.0  # seconds; right answers to a lab take two
TOGETHER = f"what all answers in a file may compute together (default: {BUDGET:g} s)"
FROM = f"where the secret numbers come from; made if it is not there (default: {SECRET})"
WHERE = f"a file for SQLite, or postgresql://user@host/database (default: {GRADEBOOK})"
FILL = "write to FILE the LMS's own SHEET (CSV), with everybody's points in its COLUMN"
UNSAFE = "where there is no sandbox, go without: only for answers of people you trust"

DETAILS = """Folders and zip downloads hold a folder for each student, or files named after them, as
Moodle, Canvas, Blackboard, Brightspace and Gradescope do it. The same work is graded once: after an
interruption the same command goes on. Exit status: 0 all graded, 1 some could not be or are
nobody's, 2 the command could not begin or go on. docs/grading.md has the whole story."""


def add_commands(commands: Any) -> list[argparse.ArgumentParser]:
    """Add `grade`, `export` and `regrade` to these subparsers, and return them."""
    grading, exporting = _add_grade(commands), _add_export(commands)
    again = commands.add_parser("regrade", help="reproduce one score from its row alone")
    again.add_argument("row", metavar="ROW", type=int, help="as feedback names it: Result ROW")
    _add_gradebook(again)
    _add_unsafe(again)
    again.set_defaults(run=_regrade)
    return [grading, exporting, again]


def _add_grade(commands: Any) -> argparse.ArgumentParser:
    grading = commands.add_parser("grade", help="grade a class's submissions", epilog=DETAILS)
    grading.add_argument("submissions", nargs="+", metavar="SUBMISSIONS", type=Path)
    grading.add_argument("--roster", metavar="CSV", type=Path, help=ROSTER)
    _add_results(grading)
    grading.add_argument("--secret", metavar="FILE", type=Path, default=SECRET, help=FROM)
    grading.add_argument(
        "--jobs", type=_at_least_one, metavar="N", help="answers at once (default: one a core)"
    )
    grading.add_argument(
        "--budget", type=_seconds, metavar="SECONDS", default=BUDGET, help=TOGETHER
    )
    grading.add_argument("--cluster", metavar="ADDRESS", help="a Dask scheduler, tcp://host:8786")
    _add_unsafe(grading)
    grading.set_defaults(run=_grade)
    return grading


def _add_export(commands: Any) -> argparse.ArgumentParser:
    exporting = commands.add_parser("export", help="how the class did; its scores for an LMS")
    _add_results(exporting)
    exporting.add_argument("--fill", nargs=3, metavar=("SHEET", "COLUMN", "FILE"), help=FILL)
    exporting.set_defaults(run=_export)
    return exporting


def _add_results(parser: argparse.ArgumentParser) -> None:
    """What says whose results are written, and where to."""
    parser.add_argument("--lab", required=True, metavar="NN", help="the lab's number or stem")
    parser.add_argument("--feedback", metavar="DIR", type=Path, help="write a page a student here")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write all scores here")
    parser.add_argument("--keep", choices=["last", "best"], default="last", help=KEEP)
    _add_gradebook(parser)


def _add_gradebook(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gradebook", metavar="URL", default=GRADEBOOK, help=WHERE)


def _add_unsafe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--unsafe", action="store_true", help=UNSAFE)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, 1 or more")
    return float(text)


def _grade(options: argparse.Namespace) -> int:
    from grader.classroom.commands import grade

    return grade(options)


def _export(options: argparse.Namespace) -> int:
    from grader.classroom.commands import exported

    return exported(options)


def _regrade(options: argparse.Namespace) -> int:
    from grader.classroom.commands import again

    return again(options)
