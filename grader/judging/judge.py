"""Judge evidence: which claims it bears out, and which belief it betrays.

Sees plain data only. A candidate's evidence is compared with the reference's and with each
specimen's evidence on the same cases, wherever those were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from grader.judging.evidence import (
    Observation,
    Observations,
    Raised,
    Seen,
    Unattempted,
    harmless,
    mismatch,
    same,
)
from grader.judging.exercise import Claim, Exercise

Verdict = Literal["met", "not met", "raised", "not attempted"]


class Outcome(msgspec.Struct):
    """What became of one claim: in which case it was decided and on what."""

    claim: str
    points: int
    verdict: Verdict
    case: str = ""
    seen: str = ""
    question: str = ""
    trace: str = ""


class Belief(msgspec.Struct):
    """The one mistaken belief that the evidence matches."""

    belief: str
    fails: str
    question: str


class Report(msgspec.Struct):
    """All outcomes of one exercise. `belief` is None where the evidence matches no specimen.

    `missing` says why there was nothing to run, where no answer was found.
    """

    exercise: str
    outcomes: list[Outcome]
    belief: Belief | None = None
    missing: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict of the first claim that is not met, else 'met'."""
        return next((o.verdict for o in self.outcomes if o.verdict != "met"), "met")

    @property
    def earned(self) -> int:
        return sum(outcome.points for outcome in self.outcomes if outcome.verdict == "met")

    @property
    def possible(self) -> int:
        return sum(outcome.points for outcome in self.outcomes)

    def summary(self) -> dict[str, Any]:
        """Everything, derived figures too, as built-in types."""
        figures = {"verdict": self.verdict, "earned": self.earned, "possible": self.possible}
        return figures | msgspec.to_builtins(self)


def judge(
    exercise: Exercise,
    seen: Observations,
    expected: Observations,
    specimens: Sequence[Observations],
) -> Report:
    """Hold the evidence against every claim; name a belief only where a claim fails."""
    if all(isinstance(observation, Unattempted) for observation in seen.values()):
        nothing = [Outcome(c.expects, c.points, "not attempted") for c in exercise.claims]
        return Report(exercise.name, nothing)
    own = {claim: _outcome(claim, seen, expected) for claim in exercise.claims}
    report = Report(exercise.name, [_counted(claim, own) for claim in exercise.claims])
    if report.verdict in ("not met", "raised"):
        report.belief = recognise(exercise, seen, specimens)
    return report


def recognise(
    exercise: Exercise, seen: Observations, specimens: Sequence[Observations]
) -> Belief | None:
    """The belief whose specimen behaves exactly as the candidate did, if there is one."""
    for misconception, specimen in zip(exercise.misconceptions, specimens, strict=True):
        if same(seen, specimen):
            return Belief(misconception.belief, misconception.fails, misconception.question)
    return None


def _counted(claim: Claim, own: Mapping[Claim, Outcome]) -> Outcome:
    """The claim's own outcome; where it is met and one that it needs is not, that one's."""
    if own[claim].verdict != "met" or not claim.needs:
        return own[claim]
    needed = _counted(claim.needs, own)
    if needed.verdict == "met":
        return own[claim]
    return msgspec.structs.replace(needed, claim=claim.expects, points=claim.points)


def _outcome(claim: Claim, seen: Observations, expected: Observations) -> Outcome:
    """The first case that does not bear the claim out decides; a claim needs at least one case."""
    decided = [
        outcome
        for case in expected
        if (outcome := _outcome_in(claim, case, seen[case], expected[case])) is not None
    ]
    if not decided:
        raise ValueError(f"no case of the challenge decides the claim {claim.expects!r}")
    return next((outcome for outcome in decided if outcome.verdict != "met"), decided[0])


def _outcome_in(
    claim: Claim, case: str, seen: Observation, expected: Observation
) -> Outcome | None:
    """One claim in one case; None where the claim does not apply to it."""
    if not isinstance(expected, Seen):
        raise ValueError(f"the reference itself did not finish the case {case!r}: {expected}")
    if not claim.when(expected.evidence):
        return None
    verdict, words, trace = _verdict(claim, seen, expected)
    told = harmless(words)  # evidence is the candidate's, and texts in it are quoted
    return Outcome(claim.expects, claim.points, verdict, case, told, claim.question, trace)


def _verdict(claim: Claim, seen: Observation, expected: Seen) -> tuple[Verdict, str, str]:
    if isinstance(seen, Unattempted):
        return "not attempted", "", ""
    if isinstance(seen, Raised):
        return "raised", f"{seen.kind}: {seen.message}", seen.trace
    if form := mismatch(seen.evidence, expected.evidence):
        return "not met", form, ""
    holds, words = claim.holds(seen.evidence, expected.evidence)
    return ("met" if holds else "not met"), words, ""
