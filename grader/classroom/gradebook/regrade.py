"""Regrade: reproduce one score from its row alone, and say whether it comes out the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from grader.checking import registry
from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.gradebook.records import Kept, kept, versions
from grader.classroom.mark.engine import Engine
from grader.classroom.mark.key import Key
from grader.classroom.mark.mark import Marked, mark, missing
from grader.judging.evidence import same


@dataclass(frozen=True)
class Regraded:
    """A row of the gradebook, and the same answer graded once more."""

    row: Row[Any]
    kept: Kept
    student: str
    again: Marked

    @property
    def agrees(self) -> bool:
        """Whether every claim has the same verdict."""
        pairs = zip(self.kept.report.outcomes, self.again.report.outcomes, strict=False)
        return self.row.possible == self.again.report.possible and all(
            (one.claim, one.verdict) == (other.claim, other.verdict) for one, other in pairs
        )

    def __str__(self) -> str:
        seeds = ", ".join(map(str, self.kept.seeds)) or "none"
        before, now = self.kept.report, self.again.report
        return (
            f"Row {self.row.id}: {self.student}, {self.row.exercise}, secret seeds {seeds}\n"
            f"Recorded: {before.earned} of {before.possible} points ({before.verdict})\n"
            f"Again:    {now.earned} of {now.possible} points ({now.verdict})\n"
            f"{'They agree' if self.agrees else 'They differ'}. {self._evidence()}"
            f"{self._versions()}"
        )

    def _evidence(self) -> str:
        stored, again = self.kept.evidence, self.again.evidence
        if stored is None or again is None:
            return "There is no evidence to compare."
        return f"The evidence is {'the same' if same(stored, again) else 'not the same'}."

    def _versions(self) -> str:
        """What has changed since the score was recorded."""
        then, now = self.kept.versions, versions(self.row.exercise)
        changed = [
            f"{name} {then.get(name)} then, {now[name]} now"
            for name in now
            if then.get(name) != now[name]
        ]
        return f"\nChanged since: {'; '.join(changed)}." if changed else ""


def regrade(gradebook: Gradebook, number: int, engine: Engine) -> Regraded:
    """Grade the answer of a row again, on the row's own seeds.

    Raises:
        BatchError: there is no such row, or it is damaged.
        UnknownExercise: the exercise is no longer there.
    """
    row = gradebook.verdict(number)
    exercise = registry.find(row.exercise)
    known = kept(row)
    again = missing(exercise, "")
    if known.statements:
        again = mark(exercise, known.statements, known.seeds, Key(), engine)
    return Regraded(row, known, gradebook.submission(row.submission_id).student, again)
