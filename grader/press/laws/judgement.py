"""Laws of judgement: what is right meets every claim, and nothing else does."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

from grader.checking import book
from grader.judging.evidence import Observations
from grader.judging.exercise import Exercise
from grader.judging.judge import judge
from grader.judging.run import observations
from grader.judging.terms import Candidate
from grader.press.laws.observed import OTHER_SEEDS, judged, known_evidence, outcome_of, seen
from grader.press.laws.unearned import forged, idle
from grader.press.mutation import mutants

MOST_PASSING = 0.15  # of the mutants; some change nothing that can be seen


def reference_is_met(exercise: Exercise) -> Iterator[str]:
    """The reference meets every claim on any challenge."""
    for seeds in (book.PUBLIC_SEEDS, OTHER_SEEDS):
        own = seen(exercise, exercise.reference, seeds)
        report = judge(exercise, own, own, [{} for _ in exercise.misconceptions])
        if report.verdict != "met":
            yield f"the reference does not meet its own claims: {report}"


def specimens_are_recognised(exercise: Exercise) -> Iterator[str]:
    """Each specimen is rejected, and recognised as itself."""
    for seeds in (book.PUBLIC_SEEDS, OTHER_SEEDS):
        for misconception in exercise.misconceptions:
            assert misconception.specimen
            report = judged(exercise, misconception.specimen, seeds)
            if report.verdict not in ("not met", "raised"):
                yield f"a specimen passes: {misconception.belief}"
            elif not report.belief or report.belief.belief != misconception.belief:
                yield f"a specimen is not recognised on seeds {seeds}: {misconception.belief}"


def replay_earns_less(exercise: Exercise) -> Iterator[str]:
    """Evidence of public numbers earns less than full points on others.

    Secret inputs are no use where the evidence that they ask for is that of the public ones.
    """
    public = known_evidence(exercise, book.PUBLIC_SEEDS)
    for seed in OTHER_SEEDS:
        expected = seen(exercise, exercise.reference, (seed,))
        replayed = {case: public.reference[_at_first_seed(case)] for case in expected}
        report = judge(exercise, replayed, expected, [{} for _ in exercise.misconceptions])
        if report.earned >= exercise.points:
            yield f"the evidence of seed {book.PUBLIC_SEEDS[0]} earns all points on seed {seed}"


def _at_first_seed(case: str) -> str:
    return f"{case.rpartition(' ')[0]} {book.PUBLIC_SEEDS[0]}"


def nothing_is_unearned(exercise: Exercise) -> Iterator[str]:
    """No claim is earned without an answer."""
    expected = known_evidence(exercise, (0,)).reference
    for words, candidate in idle():
        idled = observations(exercise, candidate, exercise.cases((0,)))
        yield from _unearned(exercise, words, idled, expected)
    for seed in OTHER_SEEDS:
        other = seen(exercise, exercise.reference, (seed,))
        for words, reply in forged(expected, other):
            yield from _unearned(exercise, words, reply, expected)
        replayed = dict(zip(other, expected.values(), strict=True))
        yield from _unearned(exercise, f"public evidence on seed {seed}", replayed, other)


def _unearned(
    exercise: Exercise, words: str, reply: Observations, expected: Observations
) -> Iterator[str]:
    report = outcome_of(exercise, reply, expected)
    for outcome in report.outcomes if report else []:
        if outcome.verdict == "met":
            yield f"{words} meets a claim: {outcome.claim}"


def passing_mutants(exercise: Exercise) -> tuple[list[str], int]:
    """Descriptions of the mutants that are not rejected, and how many mutants there are."""
    source = inspect.getsource(exercise.reference)
    module = importlib.import_module(exercise.reference.__module__)
    tried = list(mutants(source, exercise.name, vars(module)))
    return [why for why, mutant in tried if _is_met(exercise, mutant)], len(tried)


def _is_met(exercise: Exercise, mutant: Candidate) -> bool:
    """One seed is enough to reject it, the second only tried where the first does not."""
    return all(judged(exercise, mutant, (seed,)).verdict == "met" for seed in book.PUBLIC_SEEDS)


def mutants_are_rejected(exercise: Exercise) -> Iterator[str]:
    """Small mutations of the reference are rejected, and there are some to try."""
    passing, tried = passing_mutants(exercise)
    yield from too_few_rejected(exercise, passing, tried)


def too_few_rejected(exercise: Exercise, passing: list[str], tried: int) -> Iterator[str]:
    """What speaks against an exercise of whose mutants so many pass."""
    least = 2 if exercise.difficulty == 1 else 5  # a first exercise is one line
    if tried < least:
        yield f"the reference has {tried} mutants, and {least} are needed: it is too short to test"
    if len(passing) > MOST_PASSING * tried:
        yield f"mutants of the reference pass: {'; '.join(passing)}"
