"""The key: what the references do on the challenges that answers of a lab are put to.

Public challenges are in the evidence books. Secret ones are computed here when first needed, once
for a batch: of the reference alone, because a belief is only ever recognised on public numbers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from grader.checking import book
from grader.checking.book import Book
from grader.judging.evidence import Observations
from grader.judging.exercise import Exercise
from grader.judging.run import observations
from grader.judging.terms import Challenge


class Key:
    """The key of one batch. Threads share it."""

    def __init__(self) -> None:
        self._public: dict[str, tuple[Challenge, Book]] = {}
        self._secret: dict[tuple[str, int], Observations] = {}
        self._computing = threading.Lock()

    def public(self, exercise: Exercise) -> tuple[Challenge, Book]:
        """The public cases and what the reference and the specimens do in them."""
        with self._computing:
            if exercise.name not in self._public:
                cases = exercise.cases(book.PUBLIC_SEEDS)
                self._public[exercise.name] = cases, book.public(exercise)
            return self._public[exercise.name]

    def secret(self, exercise: Exercise, seeds: Sequence[int]) -> tuple[Challenge, Observations]:
        """The cases of secret seeds, under names that tell none, and what the reference does."""
        cases, expected = {}, {}
        for place, seed in enumerate(seeds, 1):
            of_seed = self._reference(exercise, seed)
            for case, inputs in _challenge(exercise, seed).items():
                cases[renamed(case, place)] = inputs
                expected[renamed(case, place)] = of_seed[case]
        return cases, expected

    def _reference(self, exercise: Exercise, seed: int) -> Observations:
        with self._computing:
            if (exercise.name, seed) not in self._secret:
                seen = observations(exercise, exercise.reference, _challenge(exercise, seed))
                self._secret[exercise.name, seed] = seen
            return self._secret[exercise.name, seed]


def _challenge(exercise: Exercise, seed: int) -> Challenge:
    return exercise.challenge(np.random.default_rng(seed))


def renamed(case: str, place: int) -> str:
    """What a case on secret numbers is called."""
    return f"{case}, other numbers {place}"


def plain_name(case: str) -> str:
    """The name of a case without its numbers."""
    return case.rpartition(", ")[0]
