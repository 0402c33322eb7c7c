"""The sheet of a term: the points of all labs, and a total from which the lowest are dropped."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from grader.classroom.give_back.letters import Letter
from grader.classroom.give_back.sheets import harmless, why_blank
from grader.classroom.give_back.writing import writing
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.lab import Lab
from grader.classroom.points.rules import number

Letters = Mapping[str, Sequence[Letter]]
"""{lab: its letters}."""


def write_term(labs: Sequence[Lab], letters: Letters, drop: int, out_of: float, path: Path) -> int:
    """Write a line for each student, and return how many there are.

    Every lab weighs the same. One that was not handed in counts 0. Whoever has one that could not
    be graded gets no total before that is settled; the remark names it.

    Raises:
        BatchError: all labs would be dropped, or the file cannot be written.
    """
    if drop >= len(labs):
        raise BatchError(f"Of {len(labs)} labs {drop} cannot be dropped. Drop fewer: --drop N.")
    text = io.StringIO()
    rows = csv.writer(text)
    names = [lab.name for lab in labs]
    rows.writerow(["student", "number", *names, "dropped", "total", "out_of", "remark"])
    students = _by_student(letters)
    for own in students.values():
        rows.writerow(_row(own, labs, drop, out_of))
    writing(path, text.getvalue().encode())
    return len(students)


def _by_student(letters: Letters) -> dict[str, dict[str, Letter]]:
    """{student: {lab: letter}}; the same in all labs is the number, or the name without one."""
    found: dict[str, dict[str, Letter]] = {}
    for lab, told in letters.items():
        for letter in told:
            found.setdefault(letter.number or letter.student, {})[lab] = letter
    return dict(sorted(found.items(), key=lambda item: next(iter(item[1].values())).student))


def _row(own: Mapping[str, Letter], labs: Sequence[Lab], drop: int, out_of: float) -> Iterator[str]:
    some = next(iter(own.values()))
    open_ones = {lab.name: why for lab in labs if (why := _why_open(own, lab))}
    shares = {lab.name: _share(own.get(lab.name)) for lab in labs if lab.name not in open_ones}
    dropped = sorted(shares, key=lambda name: shares[name])[:drop]
    rest = [share for name, share in shares.items() if name not in dropped]
    yield harmless(some.student)
    yield some.number
    for lab in labs:
        letter = own.get(lab.name)
        yield "" if letter is None or letter.points is None else number(letter.points)
    yield "" if open_ones else " ".join(dropped)
    yield "" if open_ones else number(out_of * sum(rest) / len(rest))
    yield number(out_of)
    yield harmless("; ".join(f"{name}: {why}" for name, why in open_ones.items()))


def _why_open(own: Mapping[str, Letter], lab: Lab) -> str:
    return why_blank(own[lab.name], lab) if lab.name in own else ""


def _share(letter: Letter | None) -> float:
    if letter is None or not letter.out_of:
        return 0.0
    return (letter.points or 0) / letter.out_of
