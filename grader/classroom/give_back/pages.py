"""Pages: a student's letter as HTML that needs nothing but itself, and as JSON."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Iterator
from datetime import datetime
from html import escape
from pathlib import Path

import msgspec

from grader.classroom.collect.entries import NEVER
from grader.classroom.give_back.framing import framed
from grader.classroom.give_back.letters import Letter, Part
from grader.classroom.give_back.writing import write
from grader.classroom.mark.errors import BatchError
from grader.classroom.points.rules import number
from grader.judging.feedback import Feedback, as_html

LONGEST = 120  # bytes of a file's name, of 255 that file systems have
MADE = re.compile(r"-[0-9a-f]{16}$")
RESERVED = re.compile(r"(?:con|prn|aux|nul|com.|lpt.)(?:\..*)?")
"""What Windows takes for a device, whatever it ends with."""

STYLE = """\
body { max-width: 48rem }
th, td { text-align: left; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #8888 }
td:last-child { text-align: right; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: bold }
code, pre { overflow-wrap: anywhere; white-space: pre-wrap }
h2 { font-size: 1.15rem; margin: 2rem 0 .3rem }
"""


def write_all(letters: Iterable[Letter], folder: Path) -> int:
    """Write all letters, and return how many there are.

    Raises:
        BatchError: the folder cannot be written to.
    """
    count = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for letter in letters:
            count += 1
            name = file_name(letter.student)
            write(folder / f"{name}.html", as_page(letter).encode())
            write(folder / f"{name}.json", as_json(letter).encode())
    except OSError as error:
        raise BatchError(
            f"Feedback cannot be written to {folder}: {error.strerror}. All scores are recorded; "
            "run the same command again with another --feedback DIR, or when there is room."
        ) from None
    return count


def file_name(student: str) -> str:
    """A name for a student's files: their own if it can be one, on any system, else a like one.

    No two students have the same: what looks like a name made here is itself made another one.
    """
    plain = re.sub(r"[^\w.-]+", "-", student).strip(".-").encode()[:LONGEST].decode(errors="ignore")
    if RESERVED.fullmatch(plain.casefold()):
        plain = f"student-{plain}"
    if plain == student == student.casefold() and not MADE.search(student):
        return plain
    return f"{plain}-{hashlib.sha256(student.encode()).hexdigest()[:16]}"


def as_json(letter: Letter) -> str:
    return msgspec.json.format(msgspec.json.encode(letter.summary()), indent=2).decode()


def as_page(letter: Letter) -> str:
    body = "\n".join(_body(letter))
    return framed(f"{letter.lab}: {letter.student}", body, STYLE)


def _body(letter: Letter) -> Iterator[str]:
    yield f"<h1>Lab {escape(letter.lab)}</h1>"
    yield f"<p>{escape(letter.student)}: {letter.earned} of {letter.possible} points</p>"
    if letter.unusable:
        yield f"<p>{_file(letter.file)} could not be graded: {escape(letter.unusable)}</p>"
    else:
        yield (
            f"<p>Graded: {_file(letter.file)}, {_written(letter.written)}, SHA-256 "
            f"<code>{letter.content[:16]}</code>, on {letter.graded:%Y-%m-%d %H:%M} UTC.</p>"
        )
    yield from _points(letter)
    yield from _others(letter)
    if letter.exercises:
        yield from _table(letter)
        yield from (_section(part) for part in letter.exercises)
        yield from _at_home(letter)


def _points(letter: Letter) -> Iterator[str]:
    """What was made of the points, step by step."""
    if not letter.steps:
        return
    total = "none" if letter.points is None else number(letter.points)
    yield f"<p>In the sheet: <strong>{total} of {number(letter.out_of)}</strong>.</p>\n<ul>"
    yield from (f"<li>{escape(step)}</li>" for step in letter.steps)
    yield "</ul>"


def _file(name: str) -> str:
    return f"<code>{escape(name)}</code>"


def _written(moment: datetime) -> str:
    return "without a time" if moment == NEVER else f"written {moment:%Y-%m-%d %H:%M}"


def _others(letter: Letter) -> Iterator[str]:
    if not letter.others:
        return
    yield "<p>Handed in as well, and not counted:</p>\n<ul>"
    for other in letter.others:
        fate = escape(other.unusable) or f"{other.earned} of {letter.possible} points"
        yield f"<li>{_file(other.file)}, {_written(other.written)}: {fate}</li>"
    yield "</ul>"


def _table(letter: Letter) -> Iterator[str]:
    yield "<table>\n<caption>Points</caption>"
    yield '<tr><th scope="col">Exercise</th><th scope="col">Verdict</th>'
    yield '<th scope="col">Points</th></tr>'
    for part in letter.exercises:
        report = part.report
        yield (
            f'<tr><th scope="row"><a href="#{report.exercise}">{report.exercise}</a></th>'
            f"<td>{report.verdict}</td><td>{report.earned} of {report.possible}</td></tr>"
        )
    yield "</table>"


def _section(part: Part) -> str:
    return (
        f'<h2 id="{part.report.exercise}">{escape(part.title)}</h2>\n'
        f"{as_html(Feedback(part.report, part.note))}\n"
        f"<p><small>Result {part.row}</small></p>"
    )


def _at_home(letter: Letter) -> Iterator[str]:
    yield "<h2>See it again</h2>"
    yield (
        "<p>What was seen is what your code does on the public numbers, so you can see it again "
        "in your copy of the course. A claim must hold on other numbers as well.</p>\n<pre>"
    )
    name = escape(shlex.quote(Path(letter.file).name))
    yield from (f"python -m grader check {name} --seed {seed}" for seed in letter.seeds)
    yield "</pre>"
