"""Mark one hand-in: run each of its answers on public and on secret numbers, and judge.

A claim is met if it is met on both. What a student reads comes from the public numbers alone: if a
claim fails, the answer runs once more, on these only, in a process that never sees a secret.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import msgspec

from grader.classroom.mark.budget import Budget
from grader.classroom.mark.engine import Engine, GivenUp
from grader.classroom.mark.key import Key, plain_name
from grader.judging.evidence import Observations, Raised
from grader.judging.exercise import Exercise
from grader.judging.judge import Outcome, Report, judge
from grader.judging.terms import Challenge

ELSEWHERE = "it holds on the public numbers, not on others"
WHY_ELSEWHERE = (
    "Does your code use the numbers of the examples, or remember something from call to call?"
)
LOST = Raised("Lost", "the place it ran in broke down under it, twice. It will be run again.")
NOTHING_LEFT = Raised("TimeLimit", "nothing is left of the time for all answers in the file")
LIMITS = ("TimeLimit", "CpuLimit", "MemoryLimit", "ProcessLimit")
ODD = Raised("Garbled", "what your code returned has a form that cannot be read")


class Marked(msgspec.Struct):
    """What became of one exercise of a hand-in."""

    exercise: str
    report: Report
    seeds: list[int]
    seconds: float
    statements: list[str] = []
    evidence: Observations | None = None  # on public and secret numbers
    shown: Observations | None = None  # on public numbers alone, where a claim failed
    lost: bool = False  # whether it was given up for no fault that is proved to be its own


def missing(exercise: Exercise, why: str) -> Marked:
    """An exercise without an answer."""
    outcomes = [
        Outcome(claim.expects, claim.points, "not attempted", question=claim.question)
        for claim in exercise.claims
    ]
    return Marked(exercise.name, Report(exercise.name, outcomes, missing=why), [], 0.0)


def lost(exercise: Exercise, key: Key) -> Marked:
    """An exercise of which nothing is known, for the place where it ran broke down."""
    cases, known = key.public(exercise)
    report = judge(exercise, dict.fromkeys(cases, LOST), known.reference, known.specimens)
    return Marked(exercise.name, report, [], 0.0, lost=True)


def mark(
    exercise: Exercise,
    statements: Sequence[str],
    seeds: Sequence[int],
    key: Key,
    engine: Engine,
    budget: Budget | None = None,
) -> Marked:
    """Run and judge an answer. `seeds` are the secret ones it is put to."""
    began = time.monotonic()
    answer, shown = Answer(exercise, statements, key, engine, budget or Budget()), None
    try:
        whole, evidence = answer.on_all_numbers(seeds)
        report = _hidden(whole)
        if whole.verdict in ("not met", "raised"):
            public, shown = answer.on_public_numbers(_limit(evidence))
            report = merged(whole, public)
    except GivenUp:
        marked = lost(exercise, key)
    else:
        marked = Marked(exercise.name, report, [], 0.0, evidence=evidence, shown=shown)
    marked.seeds, marked.statements = list(seeds), list(statements)
    marked.seconds = time.monotonic() - began
    return marked


def best(marked: Iterable[Marked]) -> Marked:
    """The best of several readings of an answer. Those after one that meets all are not taken.

    If one was lost it might have been the best, so that the answer is to be marked again.
    """
    found: list[Marked] = []
    for one in marked:
        found.append(one)
        if one.report.verdict == "met":
            break
    return max(found, key=lambda one: (one.report.verdict == "met", one.lost, one.report.earned))


class Answer:
    """An answer, about to be run and judged."""

    def __init__(
        self,
        exercise: Exercise,
        statements: Sequence[str],
        key: Key,
        engine: Engine,
        budget: Budget,
    ) -> None:
        self.exercise, self.statements = exercise, statements
        self.key, self.engine, self.budget = key, engine, budget
        self.cases, self.known = key.public(exercise)

    def on_all_numbers(self, seeds: Sequence[int]) -> tuple[Report, Observations]:
        """The report on public and secret numbers together. It names no belief."""
        cases, expected = self.key.secret(self.exercise, seeds)
        seen = self._observed({**self.cases, **cases})
        nobody: list[Observations] = [{} for _ in self.known.specimens]
        return self._judged(seen, {**self.known.reference, **expected}, nobody), seen

    def on_public_numbers(self, ended: Raised | None) -> tuple[Report, Observations]:
        """The report on public numbers. An answer that a limit `ended` is not run again."""
        seen: Observations = {case: ended for case in self.cases} if ended else {}
        seen = seen or self._observed(self.cases)
        return self._judged(seen, self.known.reference, self.known.specimens), seen

    def _observed(self, cases: Challenge) -> Observations:
        seen = self._once(cases)
        if all(isinstance(o, Raised) and o.kind == "Ended" for o in seen.values()):
            # Somebody else may have ended it, as a machine does that is short of memory.
            seen = self._once(cases)
        return seen

    def _once(self, cases: Challenge) -> Observations:
        if self.budget.left <= 0:
            return dict.fromkeys(cases, NOTHING_LEFT)
        run = self.engine.measured(self.exercise.name, self.statements, cases, self.budget.left)
        self.budget.spent += run.seconds
        return run.seen

    def _judged(
        self, seen: Observations, expected: Observations, specimens: Sequence[Observations]
    ) -> Report:
        try:
            return judge(self.exercise, seen, expected, specimens)
        except Exception:  # evidence of a shape that the author of a claim did not think of
            return judge(self.exercise, dict.fromkeys(seen, ODD), expected, specimens)


def _limit(seen: Observations) -> Raised | None:
    """The limit that ended an answer, if one did; that says nothing of any number."""
    first = next(iter(seen.values()))
    if not isinstance(first, Raised) or first.kind not in LIMITS:
        return None
    return first if all(other == first for other in seen.values()) else None


def merged(whole: Report, public: Report) -> Report:
    """What a student is told: of each claim what public numbers show, if they show it."""
    pairs = zip(whole.outcomes, public.outcomes, strict=True)
    outcomes = [_told(on_all, on_public) for on_all, on_public in pairs]
    return Report(whole.exercise, outcomes, public.belief)


def _told(on_all: Outcome, on_public: Outcome) -> Outcome:
    if on_public.verdict != "met":
        return on_public
    if on_all.verdict == "met":
        return _bare(on_all)
    case = plain_name(on_all.case)
    return Outcome(on_all.claim, on_all.points, "not met", case, ELSEWHERE, WHY_ELSEWHERE)


def _hidden(report: Report) -> Report:
    """Without anything that was seen: the process that showed it knew secret numbers."""
    return Report(report.exercise, [_bare(outcome) for outcome in report.outcomes])


def _bare(outcome: Outcome) -> Outcome:
    return Outcome(outcome.claim, outcome.points, outcome.verdict, question=outcome.question)
