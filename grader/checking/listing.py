"""What there is to do: each exercise with its lab, difficulty, claims, beliefs and hints."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from grader.checking import registry
from grader.judging.exercise import Exercise


class Row(msgspec.Struct):
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


def described() -> list[Row]:
    """All exercises, by lab and name."""
    rows = [_row(registry.find(name)) for name in registry.names()]
    return sorted(rows, key=lambda row: (row.lab, row.name))


def _row(exercise: Exercise) -> Row:
    return Row(
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
    )


def as_table(rows: Sequence[Row]) -> str:
    """One line an exercise."""
    width = max(len(row.name) for row in rows)
    return "\n".join(
        f"{row.lab}  {row.name:{width}}  {row.points:2} points  difficulty {row.difficulty}  "
        f"{row.title}"
        for row in rows
    )
