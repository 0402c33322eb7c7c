"""The command line of grading, from `grade` to `forget`. Imports little: all commands pass by."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

GRADEBOOK, SECRET = "gradebook.sqlite", Path("grading.secret")

KEEP = "which of several files of a student counts: the last, or the best of the last three"
ROSTER = "a CSV of who is in the class; whatever is nobody's in it is not graded"
BUDGET = 120.0  # seconds; right answers to a lab take two
TOGETHER = f"what all answers in a file may compute together (default: {BUDGET:g} s)"
FROM = f"where the secret numbers come from; made if it is not there (default: {SECRET})"
WHERE = f"a file for SQLite, or postgresql://user@host/database (default: {GRADEBOOK})"
FORMAT = "for which system; without it, only how the class did is shown"
SHEET = "the sheet that the LMS gave out; it is written to --to FILE with the points in it"
COLUMN = "the heading of the column for the points (default: the one that fits the LMS)"
TO = "what is written: the filled sheet, the CSV, the autograder's zip, or nbgrader's folder"
ARCHIVE = "moodle: write all pages to this zip, for its bulk upload of feedback files"
PAGE = "the page; two tables in CSV are written beside it (default: report.html)"
FORMATS = ["canvas", "moodle", "blackboard", "gradescope", "csv", "nbgrader"]
FILL = "write to FILE the LMS's own SHEET (CSV), with everybody's points in its COLUMN"
UNSAFE = "where there is no sandbox, go without: only for answers of people you trust"

DETAILS = """Folders and zip downloads hold a folder for each student, or files named after them, as
Moodle, Canvas, Blackboard, Brightspace and Gradescope do it. The same work is graded once: after an
interruption the same command goes on. Exit status: 0 all graded, 1 some could not be or are
nobody's, 2 the command could not begin or go on. docs/grading.md has the whole story."""


def add_commands(commands: Any) -> list[argparse.ArgumentParser]:
    """Add the commands of grading to these subparsers, and return them."""
    parts = [_add_grade, _add_export, _add_points, _add_term, _add_report, _add_changes]
    return [add(commands) for add in [*parts, _add_forget, _add_regrade]]


def _add_regrade(commands: Any) -> argparse.ArgumentParser:
    again = commands.add_parser("regrade", help="reproduce one score from its row alone")
    again.add_argument("row", metavar="ROW", type=int, help="as feedback names it: Result ROW")
    _add_gradebook(again)
    _add_unsafe(again)
    again.set_defaults(run=_regrade)
    return again


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
    exporting.add_argument("format", nargs="?", choices=FORMATS, help=FORMAT)
    _add_results(exporting)
    exporting.add_argument("--sheet", metavar="FILE", type=Path, help=SHEET)
    exporting.add_argument("--column", metavar="HEADING", help=COLUMN)
    exporting.add_argument("--to", metavar="PATH", type=Path, help=TO)
    exporting.add_argument("--archive", metavar="ZIP", type=Path, help=ARCHIVE)
    exporting.add_argument("--secret", metavar="FILE", type=Path, default=SECRET, help=FROM)
    exporting.add_argument("--fill", nargs=3, metavar=("SHEET", "COLUMN", "FILE"), help=FILL)
    exporting.set_defaults(run=_export)
    return exporting


def _add_points(commands: Any) -> argparse.ArgumentParser:
    deciding = commands.add_parser("points", help="rules for points, extensions, adjustments")
    deciding.add_argument("--lab", required=True, metavar="NN", help="the lab's number or stem")
    rules = deciding.add_argument_group("rules for everybody; what is not named stays as it is")
    rules.add_argument("--out-of", type=_amount, metavar="N", help="scale to this maximum")
    rules.add_argument("--only", metavar="A,B", help="only these exercises count; 'all' for all")
    rules.add_argument("--best", type=_whole, metavar="N", help="the best N count; 0 for all")
    rules.add_argument("--due", type=_moment, metavar="TIME", help="2026-05-22T23:59, or 'none'")
    rules.add_argument("--grace", type=_whole, metavar="MIN", help="minutes late that cost nothing")
    rules.add_argument("--per-day", type=_percent, metavar="PCT", help="percent a day begun costs")
    rules.add_argument("--at-most", type=_percent, metavar="PCT", help="percent lateness can cost")
    one = deciding.add_argument_group("for one student")
    one.add_argument("--student", metavar="WHO", help="name or number, as feedback has it")
    one.add_argument("--days", type=float, metavar="N", help="days more than the others")
    one.add_argument("--add", type=float, metavar="N", help="points to add; below 0, to take")
    deciding.add_argument("--reason", default="", metavar="TEXT", help="stands in the trail")
    _add_gradebook(deciding)
    deciding.set_defaults(run=_points)
    return deciding


def _add_term(commands: Any) -> argparse.ArgumentParser:
    adding = commands.add_parser("term", help="all labs of a term in one CSV")
    adding.add_argument("--labs", required=True, metavar="02,04", help="numbers or stems")
    adding.add_argument("--drop", type=_whole, default=0, metavar="N", help="the lowest N labs")
    adding.add_argument("--out-of", type=_amount, default=100.0, metavar="N", help="of the total")
    adding.add_argument("--to", required=True, metavar="FILE", type=Path, help="the CSV")
    adding.add_argument("--keep", choices=["last", "best"], default="last", help=KEEP)
    _add_gradebook(adding)
    adding.set_defaults(run=_term)
    return adding


def _add_report(commands: Any) -> argparse.ArgumentParser:
    reporting = commands.add_parser("report", help="how the class did, as a page with plots")
    reporting.add_argument("--lab", required=True, metavar="NN", help="the lab's number or stem")
    reporting.add_argument(
        "--to", metavar="FILE", type=Path, default=Path("report.html"), help=PAGE
    )
    reporting.add_argument("--pseudonyms", action="store_true", help="no name and no number in it")
    reporting.add_argument("--keep", choices=["last", "best"], default="last", help=KEEP)
    reporting.add_argument("--secret", metavar="FILE", type=Path, default=SECRET, help=FROM)
    _add_gradebook(reporting)
    reporting.set_defaults(run=_report)
    return reporting


def _add_changes(commands: Any) -> argparse.ArgumentParser:
    changing = commands.add_parser("changes", help="whose score changed with a corrected lab")
    changing.add_argument("--lab", required=True, metavar="NN", help="the lab's number or stem")
    changing.add_argument("--keep", choices=["last", "best"], default="last", help=KEEP)
    _add_gradebook(changing)
    changing.set_defaults(run=_changes)
    return changing


def _add_forget(commands: Any) -> argparse.ArgumentParser:
    forgetting = commands.add_parser("forget", help="remove a student from all that was written")
    forgetting.add_argument("--secret", metavar="FILE", type=Path, default=SECRET, help=FROM)
    forgetting.add_argument("student", metavar="STUDENT", help="name or number")
    forgetting.add_argument(
        "--also", nargs="+", default=[], metavar="PATH", type=Path, help="search there as well"
    )
    _add_gradebook(forgetting)
    forgetting.set_defaults(run=_forget)
    return forgetting


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


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 0 or more")
    return int(text)


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def _percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 100")
    return value


def _moment(text: str) -> datetime | str:
    if text == "none":
        return text
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-05-22T23:59") from None


def _grade(options: argparse.Namespace) -> int:
    from grader.classroom.commands import grade

    return grade(options)


def _export(options: argparse.Namespace) -> int:
    from grader.classroom.commands import exported

    return exported(options)


def _regrade(options: argparse.Namespace) -> int:
    from grader.classroom.commands import again

    return again(options)


def _points(options: argparse.Namespace) -> int:
    from grader.classroom.points.commands import points

    return points(options)


def _term(options: argparse.Namespace) -> int:
    from grader.classroom.points.commands import term

    return term(options)


def _forget(options: argparse.Namespace) -> int:
    from grader.classroom.forgetting.commands import forget

    return forget(options)


def _report(options: argparse.Namespace) -> int:
    from grader.classroom.report.commands import report

    return report(options)


def _changes(options: argparse.Namespace) -> int:
    from grader.classroom.commands import changed

    return changed(options)
