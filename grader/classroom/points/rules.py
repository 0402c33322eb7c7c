"""Rules: from the points that answers earned to those that go into a sheet, step by step.

First which exercises count, then the scale, then what lateness costs, then what a teacher adds or
takes. Every step is told in a sentence, which the student reads as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from grader.classroom.collect.entries import NEVER

DAY = timedelta(days=1)

Earned = Mapping[str, tuple[int, int]]
"""{exercise: points earned and possible}, in the order of the lab."""


class Rules(msgspec.Struct, frozen=True):
    """How a lab is scored. Whatever is not set changes nothing."""

    only: tuple[str, ...] = ()  # the exercises that count; all, if none is named
    best: int = 0  # how many of these count for each student, by share of their points; 0: all
    out_of: float | None = None  # what the maximum is scaled to
    due: datetime | None = None  # in the same clock as the times of the files
    grace: int = 0  # minutes after `due` that cost nothing
    per_day: float = 0  # percent that each day begun costs
    at_most: float = 100  # percent that lateness costs at most


class Adjustment(msgspec.Struct, frozen=True):
    """Points that a teacher adds (or takes, below 0), and the reason that the student reads."""

    points: float
    reason: str


class Score(msgspec.Struct, frozen=True):
    """Points after all rules; None where nothing could be graded. `steps` say how they came about.

    `late` is in percent.
    """

    points: float | None
    out_of: float
    late: float = 0
    steps: tuple[str, ...] = ()


def number(value: float) -> str:
    """At most two decimals, and none that says nothing."""
    return f"{round(value, 2):.2f}".rstrip("0").rstrip(".")


def score(
    rules: Rules,
    earned: Earned | None,
    possible: int,
    written: datetime,
    extra: timedelta = timedelta(0),
    adjustments: Sequence[Adjustment] = (),
) -> Score:
    """The score of a submission.

    `earned` is None where it could not be graded; `possible` are the points of the lab, and `extra`
    is the time that a student has beyond the due date. What lateness takes is taken before anything
    is added.
    """
    added = sum(one.points for one in adjustments)
    words = tuple(f"{one.points:+.4g} points: {one.reason}" for one in adjustments)
    if earned is None:
        out_of = possible if rules.out_of is None else rules.out_of
        return Score(max(0.0, added) if adjustments else None, out_of, steps=words)
    share, counting, steps = _counted(rules, earned)
    out_of = counting if rules.out_of is None else rules.out_of
    if rules.out_of is not None:
        steps.append(f"Scaled to {number(out_of)} points: {number(share * out_of)}.")
    lost = penalty(rules, written, extra)
    if lost:
        days = _days_late(rules, written, extra)
        steps.append(f"Handed in late, on day {days} after the time: {number(lost)} % less.")
    points = max(0.0, share * out_of * (1 - lost / 100) + added)
    return Score(round(points, 2), out_of, lost, (*steps, *words))


def _counted(rules: Rules, earned: Earned) -> tuple[float, int, list[str]]:
    """The share of the points that were to be had, how many those are, and what counted."""
    counted = {name: of for name, of in earned.items() if not rules.only or name in rules.only}
    steps = [f"These exercises count: {', '.join(counted)}."] if rules.only else []
    possible = sum(most for _, most in counted.values())
    if not 0 < rules.best < len(counted):
        return sum(got for got, _ in counted.values()) / (possible or 1), possible, steps
    shares = {name: got / most for name, (got, most) in counted.items()}
    best = sorted(shares, key=lambda name: shares[name], reverse=True)[: rules.best]
    told = ", ".join(f"{name} {100 * shares[name]:.0f} %" for name in best)
    steps.append(f"Your best {rules.best} of {len(counted)} exercises count alike: {told}.")
    return sum(shares[name] for name in best) / rules.best, possible, steps


def penalty(rules: Rules, written: datetime, extra: timedelta) -> float:
    """The percent that lateness costs."""
    return min(rules.at_most, rules.per_day * _days_late(rules, written, extra))


def _days_late(rules: Rules, written: datetime, extra: timedelta) -> int:
    """Days begun after the due time; 0 within the grace, and for files without a time."""
    if rules.due is None or written == NEVER:
        return 0
    late = written - rules.due - extra
    return math.ceil(late / DAY) if late > timedelta(minutes=rules.grace) else 0
