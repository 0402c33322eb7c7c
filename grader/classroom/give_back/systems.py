"""What each LMS takes back: which column of its sheet the points go into, and feedback as files.

Sources: Moodle 4 (in mod/assign/feedback, offline/importgradeslib.php and file/importziplib.php)
and nbgrader (nbgrader/plugins/export.py, and the layout of its course folder).
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from grader.classroom.give_back import form
from grader.classroom.give_back.letters import Letter
from grader.classroom.give_back.pages import as_page, file_name
from grader.classroom.give_back.writing import write, writing
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.lab import Lab
from grader.classroom.points.rules import number

POINTS = {
    "canvas": re.compile(r" \(\d+\)$"),  # the assignment's name and its id
    "blackboard": re.compile(r"\|\d+$"),  # the column's name and its id
    "moodle": re.compile(r"^(Grade|Bewertung|Cijfer|Beoordeling|Calificación|Note|Valutazione)$"),
}
"""By which heading the column of points is known. Moodle translates it, the others number it."""

COMMENTS = re.compile(r".*(?:kommentar|comment|commentaar|comentarios).*", re.IGNORECASE)
"""The heading of Moodle's column of comments. It is there if "Feedback comments" is turned on."""

NBGRADER = "assignment duedate timestamp student_id last_name first_name email raw_score"
NBGRADER += " late_submission_penalty score max_score"
"""The columns of `nbgrader export`."""


def comments(sheet: Path) -> str:
    """The heading of a Moodle sheet's column of comments; empty where it has none."""
    (head, *_), _ = form.read(sheet)
    return next((name for name in reversed(head) if COMMENTS.fullmatch(name)), "")


def moodle_archive(letters: Iterable[Letter], path: Path) -> int:
    """Write everybody's page into a zip for "Upload multiple feedback files in a zip".

    Moodle splits a name at its underscores: anything, the participant's number, the plugin, the
    file. Whoever has no number of Moodle's is left out. Returns how many pages there are.
    """
    content, count = io.BytesIO(), 0
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for letter in letters:
            if letter.number.isdecimal():
                count += 1
                archive.writestr(_moodle_name(letter), as_page(letter))
    writing(path, content.getvalue())
    return count


def _moodle_name(letter: Letter) -> str:
    bare = letter.student.removesuffix(f"_{letter.number}")
    plain = re.sub(r"[^\w .-]+|_", "-", bare).strip(" .~-") or "student"
    return f"{plain}_{letter.number}_assignfeedback_file_{letter.lab}.html"


def nbgrader(letters: Iterable[Letter], lab: Lab, folder: Path) -> int:
    """Write `grades.csv` as nbgrader exports it, and pages in its tree `feedback/`.

    Returns:
        How many students there are.

    Raises:
        BatchError: the folder cannot be written to.
    """
    text, count = io.StringIO(), 0
    rows = csv.writer(text)
    rows.writerow(NBGRADER.split())
    try:
        for letter in letters:
            count += 1
            rows.writerow(_nbgrader_row(letter))
            place = folder / "feedback" / file_name(letter.number or letter.student) / lab.name
            place.mkdir(parents=True, exist_ok=True)
            write(place / f"{lab.name}.html", as_page(letter).encode())
    except OSError as error:
        raise BatchError(f"{folder} cannot be written to: {error.strerror}.") from None
    writing(folder / "grades.csv", text.getvalue().encode())
    return count


def _nbgrader_row(letter: Letter) -> Iterator[str]:
    bare = letter.student.removesuffix(f"_{letter.number}") if letter.number else letter.student
    first, _, last = bare.rpartition(" ")
    points = letter.points or 0
    before = points / (1 - letter.late / 100) if letter.late < 100 else 0
    yield from (letter.lab, "", f"{letter.written:%Y-%m-%d %H:%M:%S}")
    yield from (letter.number or letter.student, last, first, "")
    if letter.points is None:
        yield from ("", "", "", number(letter.out_of))
    else:
        yield from (number(before), number(before - points), number(points), number(letter.out_of))
