"""Whose a file is: the names that learning management systems give, read from the left.

A system puts what it knows of a student before what the student chose. So a name is read by the
grammar of its system from its beginning, and nothing is ever searched for in the rest: a file may
be called like somebody else's. All names of a download come from one system. Where two would read
them differently, they are nobody's until a teacher says whose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Student:
    """Who handed in. `name` is unique in a batch; `number` is the LMS's, where it gave one."""

    name: str
    number: str = ""


@dataclass(frozen=True)
class Top:
    """A name at the top of a download: of a folder, or of a file (a zip is one)."""

    name: str
    folder: bool


NOBODY = Student("")
"""The owner of what has two readings."""

Readings = Mapping[Top, Student]
"""Whose each name is, as far as a system's grammar fits."""

STAMP = r"[0-9]{4}(?:-[0-9]{2}){5}"
MOODLE_FOLDER = re.compile(r"(?P<name>.+)_(?P<number>[0-9]+)_assignsubmission_[a-z]+_?")
MOODLE_FILE = re.compile(r"(?P<name>[^_]+)_(?P<number>[0-9]+)_assignsubmission_[a-z]+_.+")
MOODLE_TWICE = re.compile(r".*_[0-9]+_assignsubmission_.*_[0-9]+_assignsubmission_.*")
"""A full name or a file's name that looks like Moodle's own: nobody can say where it ends."""
CANVAS = re.compile(
    r"(?P<name>[^_]+)_(?:late_)?(?P<number>[0-9]+)_(?:[0-9]+_.+|text\.html|link\.html)",
    re.IGNORECASE,
)
CANVAS_ANONYMOUS = re.compile(r"anon_(?P<name>[a-z0-9]+)_(?:late_)?[0-9]+_.+", re.IGNORECASE)
BLACKBOARD = re.compile(rf"(?P<head>.+?)_attempt_{STAMP}(?:_.+|\.txt)")
BRIGHTSPACE = re.compile(
    r"(?P<number>\d+)-\d+ - (?P<name>.+?) - [A-Z][a-z]+ \d\d?, \d{4} \d{1,2}:?\d\d [AP]M(?: - .+)?",
    re.ASCII,
)
PHANTOM = re.compile(r"index\.html", re.IGNORECASE)
"""What a system itself puts beside the hand-ins (Brightspace)."""


def read(tops: Iterable[Top]) -> dict[Top, Student]:
    """Whose each name is. Names that fit no system are left out; `NOBODY` has two readings."""
    asked = list(tops)
    readings = [system(asked) for system in SYSTEMS]
    whole = [fits for fits in readings if asked and len(fits) == len(asked)]
    if whole:
        return dict(_clearest(whole))
    owners: dict[Top, Student] = {}
    for fits in readings:
        for top, student in fits.items():
            owners[top] = student if owners.get(top, student) == student else NOBODY
    return owners


def _clearest(readings: list[Readings]) -> Readings:
    """The reading that knows the most students; where two know as many, nobody."""
    ranked = sorted(readings, key=lambda fits: len(set(fits.values())), reverse=True)
    first, *others = ranked
    rivals = [
        fits
        for fits in others
        if fits != first and len(set(fits.values())) == len(set(first.values()))
    ]
    return dict.fromkeys(first, NOBODY) if rivals else first


def _moodle(tops: list[Top]) -> Readings:
    found = {}
    for top in tops:
        pattern = MOODLE_FOLDER if top.folder else MOODLE_FILE
        if match := pattern.fullmatch(top.name):
            found[top] = _numbered(_without_group(match["name"]), match["number"])
        if not top.folder and MOODLE_TWICE.fullmatch(top.name):
            found[top] = NOBODY
    return found


def _without_group(name: str) -> str:
    """A full name without the group that Moodle puts before it, as in `Group A-Ada Example`."""
    group, _, rest = name.partition("-")
    return rest if " " in group and " " in rest else name


def _canvas(tops: list[Top]) -> Readings:
    found = {}
    for top in (top for top in tops if not top.folder):
        if match := CANVAS_ANONYMOUS.fullmatch(top.name):
            found[top] = Student(f"anon {match['name']}")
        elif match := CANVAS.fullmatch(top.name):
            found[top] = _numbered(match["name"], match["number"])
    return found


def _blackboard(tops: list[Top]) -> Readings:
    """The head is the assignment's name and the student's, and either may hold underscores."""
    files = [top for top in tops if not top.folder]
    matches = {top: BLACKBOARD.fullmatch(top.name) for top in files}
    heads = {top: tuple(m["head"].split("_")) for top, m in matches.items() if m}
    common = _common(set(heads.values()))
    return {top: Student("_".join(words[common:])) for top, words in heads.items()}


def _common(heads: set[tuple[str, ...]]) -> int:
    """How many words at the beginning are the assignment's: those that all heads share.

    One word at least is left for the student, and of a single head no more than that.
    """
    shortest = min(map(len, heads), default=1)
    columns = zip(*heads, strict=False)
    alike = next((i for i, words in enumerate(columns) if len(set(words)) > 1), shortest)
    return min(alike, shortest - 1)


def _brightspace(tops: list[Top]) -> Readings:
    matches = {top: BRIGHTSPACE.fullmatch(top.name) for top in tops}
    return {top: _numbered(m["name"], m["number"]) for top, m in matches.items() if m}


def _numbered(name: str, number: str) -> Student:
    return Student(f"{name}_{number}", number)


SYSTEMS: tuple[Callable[[list[Top]], Readings], ...] = (
    _moodle,
    _canvas,
    _blackboard,
    _brightspace,
)
