"""Changes: what grading anew, after a lab was corrected, made of scores, and why.

A verdict is compared with the one on the same student's work under the version graded before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from grader.classroom.gradebook.gradebook import Gradebook, Keep
from grader.classroom.gradebook.records import Damaged, report
from grader.classroom.mark.lab import Lab
from grader.judging.judge import Report


@dataclass(frozen=True)
class Change:
    """A student's points before and now, and why. None: not graded under that version."""

    student: str
    before: int | None
    now: int | None
    why: Sequence[str]

    def __str__(self) -> str:
        if self.now is None:
            return f"{self.student}: {self.before} before, not graded anew"
        return f"{self.student}: {self.before} to {self.now}\n  " + "\n  ".join(self.why)


def changes(gradebook: Gradebook, lab: Lab, keep: Keep) -> list[Change]:
    """Everybody whose points differ from those under the version before, in order of names."""
    before = gradebook.version_before(lab.name, lab.version)
    if not before:
        return []
    then, now = (_counting(gradebook, lab, version, keep) for version in (before, lab.version))
    found = [_change(gradebook, then[student], now.get(student)) for student in then]
    return [one for one in found if one.now != one.before]


def _counting(gradebook: Gradebook, lab: Lab, version: str, keep: Keep) -> dict[str, Row[Any]]:
    """What counted for each student under a version, of those who were graded under it."""
    rows = [
        gradebook.submission(standing.counts)
        for standing in gradebook.standings(lab.name, version, keep)
    ]
    return {row.student: row for row in rows if row.version == version}


def _change(gradebook: Gradebook, then: Row[Any], now: Row[Any] | None) -> Change:
    if now is None:
        return Change(then.student, then.earned, None, [])
    old, new = (_reports(gradebook, row) for row in (then, now))
    why = [words for name in {**old, **new} for words in _why(name, old.get(name), new.get(name))]
    if then.unusable != now.unusable:
        why.append(f"could not be graded: {now.unusable or then.unusable}")
    if then.content != now.content and why:
        why.append("another file counts now")
    return Change(then.student, then.earned, now.earned, why)


def _reports(gradebook: Gradebook, row: Row[Any]) -> Mapping[str, Report | None]:
    found: dict[str, Report | None] = {}
    for verdict in gradebook.verdicts(row.id):
        try:
            found[verdict.exercise] = report(verdict)
        except Damaged:
            found[verdict.exercise] = None
    return found


def _why(name: str, old: Report | None, new: Report | None) -> Iterator[str]:
    """The claims of an exercise that came or went, or have another verdict or worth."""
    if old is None or new is None:
        yield f"{name}: {'is new' if old is None else 'is gone'}, or cannot be read"
        return
    before = {one.claim: (one.verdict, one.points) for one in old.outcomes}
    after = {one.claim: (one.verdict, one.points) for one in new.outcomes}
    for claim in {**before, **after}:
        if before.get(claim) != after.get(claim):
            yield f"{name}: {_told(before.get(claim))}, now {_told(after.get(claim))}: {claim}"


def _told(outcome: tuple[str, int] | None) -> str:
    return "not asked" if outcome is None else f"{outcome[0]} ({outcome[1]} points)"
