"""The evidence book of an exercise: what its reference and specimens do on the public challenges.

Written once by `python -m grader weave`, so that checking an answer runs that answer and nothing
else. It is what a class can be given in place of the answers themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import DecodeError
from msgspec.structs import replace

from grader.checking import registry
from grader.checking.told import Told
from grader.judging.evidence import Observations, Raised, same
from grader.judging.exercise import Exercise
from grader.judging.run import observations
from grader.judging.wire import decode, encode

PUBLIC_SEEDS = (0, 1)


class Book(msgspec.Struct):
    """Evidence by case, of the reference and of each misconception's specimen, in their order."""

    source: str  # SHA-256 of the exercise module it goes with
    reference: Observations
    specimens: list[Observations]


def compute(exercise: Exercise, seeds: Sequence[int] = PUBLIC_SEEDS) -> Book:
    """Run the reference and every specimen on the challenges of these seeds."""
    challenge = exercise.cases(seeds)
    return of(exercise, lambda candidate: observations(exercise, candidate, challenge))


def of(exercise: Exercise, observed: Callable[[Callable[..., Any]], Observations]) -> Book:
    """The book of what is observed of the reference and of every specimen."""
    specimens = [
        _without_traces(observed(misconception.specimen))
        for misconception in exercise.misconceptions
        if misconception.specimen
    ]
    return Book(registry.fingerprint(exercise), observed(exercise.reference), specimens)


def _without_traces(seen: Observations) -> Observations:
    """Tracebacks name files of one machine; nothing is judged on them."""
    return {case: replace(o, trace="") if isinstance(o, Raised) else o for case, o in seen.items()}


def path(exercise: Exercise) -> Path:
    """Where the book is: in the folder `evidence` beside the exercise's module."""
    module = sys.modules[exercise.reference.__module__]
    return Path(str(module.__file__)).parent / "evidence" / f"{exercise.name}.msgpack"


def write(exercise: Exercise) -> None:
    """Write the book, unless the one that is there already says the same."""
    new, old = compute(exercise), stored(exercise)
    if old is None or not agree(old, new):
        path(exercise).parent.mkdir(exist_ok=True)
        path(exercise).write_bytes(encode(new))


def stored(exercise: Exercise) -> Book | None:
    """The book on disk; None where there is none, or one of another version of the grader."""
    try:
        return decode(path(exercise).read_bytes(), Book)
    except (FileNotFoundError, DecodeError):
        return None


def agree(one: Book, other: Book) -> bool:
    """Whether two books say the same, to float32 accuracy."""
    return (
        one.source == other.source
        and same(one.reference, other.reference)
        and len(one.specimens) == len(other.specimens)
        and all(map(same, one.specimens, other.specimens))
    )


class NoReference(Told, LookupError):
    """A student edition was asked for a challenge whose evidence it does not hold."""


def evidence(exercise: Exercise, seeds: Sequence[int]) -> Book:
    """The book for the challenges of these seeds: read where they are public, else computed.

    Raises:
        NoReference: the seeds are not public and this edition has no answers to compute with.
    """
    if set(seeds) <= set(PUBLIC_SEEDS):
        known, cases = public(exercise), exercise.cases(seeds)
        specimens = [_only(cases, specimen) for specimen in known.specimens]
        return Book(known.source, _only(cases, known.reference), specimens)
    if not all(misconception.specimen for misconception in exercise.misconceptions):
        public_seeds = " and ".join(map(str, PUBLIC_SEEDS))
        raise NoReference(f"This edition knows the challenges of the seeds {public_seeds} only.")
    return compute(exercise, seeds)


def _only(cases: Iterable[str], seen: Observations) -> Observations:
    return {case: seen[case] for case in cases}


@cache
def public(exercise: Exercise) -> Book:
    """The book for the public challenges: the stored one, or a fresh one if the module changed."""
    old = stored(exercise)
    return old if old and old.source == registry.fingerprint(exercise) else compute(exercise)
