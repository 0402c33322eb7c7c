"""What the laws look at: what a candidate does on a seed, run once whatever is asked of it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from grader.checking import book
from grader.checking.book import Book
from grader.judging.evidence import Observations
from grader.judging.exercise import Exercise
from grader.judging.judge import Report, judge
from grader.judging.run import observations
from grader.judging.terms import Candidate

OTHER_SEEDS = (2, 1001)
"""Challenges that nobody is shown."""


@functools.lru_cache(maxsize=256)
def _seen_at(exercise: Exercise, candidate: Candidate, seed: int) -> Observations:
    return observations(exercise, candidate, exercise.cases((seed,)))


def seen(exercise: Exercise, candidate: Candidate, seeds: Sequence[int]) -> Observations:
    """What a candidate does on the challenges of these seeds."""
    return {k: v for seed in seeds for k, v in _seen_at(exercise, candidate, seed).items()}


def run_now(exercise: Exercise, seeds: Sequence[int] = book.PUBLIC_SEEDS) -> Book:
    """The book as its module makes it now."""
    return book.of(exercise, lambda candidate: seen(exercise, candidate, seeds))


def known_evidence(exercise: Exercise, seeds: Sequence[int]) -> Book:
    """The stored book where the seeds are public, else one made now."""
    public = set(seeds) <= set(book.PUBLIC_SEEDS)
    return book.evidence(exercise, seeds) if public else run_now(exercise, seeds)


def judged(
    exercise: Exercise, candidate: Candidate, seeds: Sequence[int] = book.PUBLIC_SEEDS
) -> Report:
    """The report on a candidate."""
    known = known_evidence(exercise, seeds)
    return judge(exercise, seen(exercise, candidate, seeds), known.reference, known.specimens)


def outcome_of(exercise: Exercise, reply: Observations, expected: Observations) -> Report | None:
    """The report on a reply that nobody believes; None if it breaks a claim.

    As in marking, evidence that breaks a claim earns nothing.
    """
    try:
        return judge(exercise, reply, expected, [{} for _ in exercise.misconceptions])
    except Exception:
        return None
