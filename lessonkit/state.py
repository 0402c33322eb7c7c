"""The learner's file: guesses, answers to self-checks, and what joins them, section by section.

`state.json` stands in the folder that the environment variable COURSE_STATE names, by default in
`learner/` at the course's root. It maps section to key to *record*, a dict of what JSON knows.

Several kernels may write at once: a change is made under a lock and written in one step. A damaged
file is set aside under another name. Where nothing can be written, changes live in this process
until a later one can be, and `change` returns the sentence that says so: a lesson goes on.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

VARIABLE = "COURSE_STATE"
"""The environment variable that names the folder."""

PATIENCE = 5.0  # seconds to wait for another program to let go of the file

Record = dict[str, Any]
Sections = dict[str, dict[str, Record]]
Edit = Callable[[Record], Record]


class _Change(NamedTuple):
    section: str
    key: str
    edit: Edit


_unwritten: defaultdict[Path, list[_Change]] = defaultdict(list)
"""{folder: changes that its file does not have yet}."""


class _Damaged(Exception):
    """The file holds something else than sections of records."""


def folder() -> Path:
    """Where the learner's file stands; the folder is made when something is first kept."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path(__file__).parents[1] / "learner"


def records(section: str) -> dict[str, Record]:
    """{key: record} of a section; empty where nothing is kept or the file cannot be read."""
    place = folder()
    try:
        sections = _read(place)
    except (OSError, _Damaged):
        sections = {}
    return _changed(sections, _unwritten[place]).get(section, {})


def change(section: str, key: str, edit: Edit) -> str:
    """Replace a record by `edit(record)`; an absent one is `{}`.

    `edit` returns a new dict and may be called more than once, each time on what is kept by then.

    Returns: what the learner has to know, a sentence; empty where all went well.
    """
    place = folder()
    changes = [*_unwritten[place], _Change(section, key, edit)]
    try:
        told = _write(place, changes)
    except OSError as error:
        _unwritten[place] = changes
        return (
            f"This is not kept when the kernel ends: the learner's folder {place} cannot be "
            f"written ({error.strerror or error}). Make it writable, or let the environment "
            f"variable {VARIABLE} name a folder that is."
        )
    _unwritten[place].clear()
    return told


def _write(place: Path, changes: list[_Change]) -> str:
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / "state.lock", timeout=PATIENCE):
        told = ""
        try:
            sections = _read(place)
        except _Damaged:
            aside = _set_aside(place)
            sections = {}
            told = (
                f"The learner's file was damaged. It is set aside as {aside.name}, and a new one "
                "is begun."
            )
        _replace(place, _changed(sections, changes))
    return told


def _read(place: Path) -> Sections:
    try:
        text = (place / "state.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise _Damaged from None
    return _parsed(text)


def _parsed(text: str) -> Sections:
    try:
        sections = json.loads(text)
    except (ValueError, RecursionError):
        raise _Damaged from None
    parts = sections.values() if isinstance(sections, dict) else [None]
    if not all(isinstance(part, dict) and all(map(_is_record, part.values())) for part in parts):
        raise _Damaged
    return sections


def _is_record(value: object) -> bool:
    return isinstance(value, dict)


def _changed(sections: Sections, changes: list[_Change]) -> Sections:
    for section, key, edit in changes:
        kept = sections.setdefault(section, {})
        kept[key] = edit(kept.get(key, {}))
    return sections


def _set_aside(place: Path) -> Path:
    number = 1
    while (aside := place / f"state.damaged-{number}.json").exists():
        number += 1
    return (place / "state.json").rename(aside)


def _replace(place: Path, sections: Sections) -> None:
    """Write beside the file and move it there: whoever reads sees the old or the new, whole."""
    new = place / "state.new.json"
    with new.open("w", encoding="utf-8") as file:
        json.dump(sections, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    new.replace(place / "state.json")
