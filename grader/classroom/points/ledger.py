"""The ledger: all that a teacher decided about the points of a lab, from the gradebook.

Decisions are only ever added. What holds follows from them in the order in which they were made, so
that what was decided, when and by whom can be read off for as long as the gradebook is kept.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row

from grader.classroom.gradebook.gradebook import Gradebook, Values, now
from grader.classroom.mark.errors import BatchError
from grader.classroom.points.rules import Adjustment, Earned, Rules, Score, number, score

RULES, EXTENSION, ADJUSTMENT, FORGOTTEN = "rules", "extension", "adjustment", "forgotten"


class Nobody(BatchError):
    """Somebody was named of whom the gradebook knows nothing."""


class Ledger:
    """What holds for a lab."""

    def __init__(self, decisions: Sequence[Row[Any]]) -> None:
        self._decisions = decisions

    @classmethod
    def of(cls, gradebook: Gradebook, lab: str) -> Ledger:
        return cls(gradebook.decisions(lab))

    @property
    def rules(self) -> Rules:
        """The newest rules; those that change nothing, if none were ever given."""
        last = [row for row in self._decisions if row.kind == RULES][-1:]
        return msgspec.json.decode(last[0].value, type=Rules) if last else Rules()

    def extra(self, student: str, student_number: str) -> timedelta:
        """The time that a student has beyond the due date: the newest extension."""
        newest = list(self._of(EXTENSION, student, student_number))[-1:]
        return timedelta(days=sum(msgspec.json.decode(row.value, type=float) for row in newest))

    def adjustments(self, student: str, student_number: str) -> list[Adjustment]:
        """All that was added and taken, each with its reason."""
        return [
            Adjustment(msgspec.json.decode(row.value, type=float), row.reason)
            for row in self._of(ADJUSTMENT, student, student_number)
        ]

    def score(self, submission: Row[Any], earned: Earned | None) -> Score:
        """The score of a submission of which so many points were earned."""
        who = submission.student, submission.number
        extra, adjustments = self.extra(*who), self.adjustments(*who)
        possible, written = submission.possible, submission.written
        return score(self.rules, earned, possible, written, extra, adjustments)

    def _of(self, kind: str, *who: str) -> Iterator[Row[Any]]:
        for row in self._decisions:
            if row.kind == kind and row.student and row.student in who:
                yield row


def decide(
    gradebook: Gradebook, lab: str, kind: str, value: Any, reason: str, student: str = ""
) -> None:
    """Add a decision, with the time and the login of whoever makes it."""
    decision: Values = {
        "made": now(),
        "by": _login(),
        "lab": lab,
        "student": student,
        "kind": kind,
        "value": msgspec.json.encode(value).decode(),
        "reason": reason,
    }
    gradebook.decide(decision)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container whose user has no name
        return "somebody"


def known(gradebook: Gradebook, typed: str, lab: str = "") -> str:
    """The student whom somebody means by a name or a number, as the gradebook calls them.

    Raises:
        Nobody: nobody is called so.
        BatchError: several are.
    """
    students = gradebook.students(lab)
    wanted = typed.strip().casefold()
    found = {row.student for row in students if wanted in _names(row)}
    if len(found) == 1:
        return found.pop()
    if found:
        raise BatchError(
            f"{len(found)} students are called {typed}: {', '.join(sorted(found))}. Give the whole "
            "name, as it stands here, or the number."
        )
    raise Nobody(
        f"{gradebook.name} knows nobody called {typed}. Give the name as feedback has it, or the "
        "number that the LMS gave."
    )


def _names(row: Row[Any]) -> set[str]:
    bare = row.student.removesuffix(f"_{row.number}") if row.number else row.student
    return {text.casefold() for text in (row.student, row.number, bare) if text}


def trail(decisions: Sequence[Row[Any]]) -> str:
    """All decisions, a line each: when, who, about what, what, why."""
    return "\n".join(
        f"{row.made:%Y-%m-%d %H:%M} UTC  {row.by}  {row.lab}  {row.student or 'all'}: "
        f"{_told(row)}{f' ({row.reason})' if row.reason else ''}"
        for row in decisions
    )


def _told(row: Row[Any]) -> str:
    if row.kind == RULES:
        return in_words(msgspec.json.decode(row.value, type=Rules))
    if row.kind == FORGOTTEN:
        return "a student was forgotten"
    value = msgspec.json.decode(row.value, type=float)
    more = "days more" if row.kind == EXTENSION else "points"
    return f"{value:+.4g} {more}"


def in_words(rules: Rules) -> str:
    """Rules in a sentence."""
    said = [
        f"only {', '.join(rules.only)}" if rules.only else "",
        f"the best {rules.best} exercises" if rules.best else "",
        f"out of {number(rules.out_of)}" if rules.out_of is not None else "",
        f"due {_moment(rules.due)}" if rules.due else "",
        f"{rules.grace} minutes of grace" if rules.grace else "",
        f"{number(rules.per_day)} % less a day" if rules.per_day else "",
        f"at most {number(rules.at_most)} %" if rules.per_day and rules.at_most < 100 else "",
    ]
    return ", ".join(filter(None, said)) or "points as earned"


def _moment(due: datetime) -> str:
    return f"{due:%Y-%m-%d %H:%M}"
