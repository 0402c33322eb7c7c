"""The catalogue: what there is to know of each exercise, without importing it and its frameworks.

`python -m grader weave` writes an entry beside each evidence book. An entry that is older than its
exercise is passed over, and a fresh one made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from grader.checking import registry
from grader.judging.exercise import Exercise


class Entry(msgspec.Struct):
    """An exercise as `python -m grader list --json` shows it."""

    name: str
    title: str
    lab: str
    frameworks: list[str]
    minutes: int
    difficulty: int
    points: int
    claims: list[str]
    misconceptions: list[str]
    hints: list[str]
    section: str
    note: str
    source: str  # SHA-256 of the module that it goes with


def entries() -> list[Entry]:
    """All exercises, by lab and name."""
    return sorted(map(entry, registry.names()), key=lambda entry: (entry.lab, entry.name))


def entry(name: str) -> Entry:
    """The stored entry; a fresh one if there is none, or the module has changed since."""
    source = registry.source_of(name)
    return (source and stored(source)) or of(registry.find(name))


def of(exercise: Exercise) -> Entry:
    """An entry made of the exercise itself."""
    return Entry(
        name=exercise.name,
        title=exercise.title,
        lab=exercise.lesson,
        frameworks=list(exercise.frameworks),
        minutes=exercise.minutes,
        difficulty=exercise.difficulty,
        points=exercise.points,
        claims=[claim.expects for claim in exercise.claims],
        misconceptions=list(dict.fromkeys(m.belief for m in exercise.misconceptions)),
        hints=list(exercise.hints),
        section=exercise.section,
        note=exercise.note,
        source=registry.fingerprint(exercise),
    )


def write(entry: Entry, source: Path) -> None:
    """Store an entry beside the evidence book of the module in the file `source`."""
    place = _place(source)
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(msgspec.json.format(msgspec.json.encode(entry), indent=1) + b"\n")


def stored(source: Path) -> Entry | None:
    """The entry on disk; None where there is none that goes with the module as it is."""
    try:
        found = msgspec.json.decode(_place(source).read_bytes(), type=Entry)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    text = source.read_text(encoding="utf-8")
    return found if found.source == hashlib.sha256(text.encode()).hexdigest() else None


def _place(source: Path) -> Path:
    return source.parent / "evidence" / f"{source.stem}.json"


def as_table(entries: Sequence[Entry]) -> str:
    """One line an exercise."""
    width = max(len(entry.name) for entry in entries)
    return "\n".join(
        f"{entry.lab}  {entry.name:{width}}  {entry.points:2} points  "
        f"difficulty {entry.difficulty}  {entry.title}"
        for entry in entries
    )
