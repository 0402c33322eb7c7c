"""The evidence book of an exercise: what its reference and specimens do on the public challenges.

Written once by `python -m grader weave`, so that checking an answer runs that answer and nothing
else. It is what a class can be given in place of the answers themselves.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec

from grader.evidence import Observations, Raised, decode, encode, same
from grader.exercise import Exercise
from grader.judge import specimen_name
from grader.run import observations

PUBLIC_SEEDS = (0, 1)
FOLDER = Path(__file__).parent / "exercises" / "evidence"


class Book(msgspec.Struct):
    """Evidence by case, of the reference and of each specimen by name."""

    source: str  # SHA-256 of the exercise module that made it
    reference: Observations
    specimens: dict[str, Observations]


def compute(exercise: Exercise, seeds: Sequence[int] = PUBLIC_SEEDS) -> Book:
    """Run the reference and every specimen on the challenges of these seeds."""
    challenge = exercise.cases(seeds)
    specimens = {
        specimen_name(m): _without_traces(observations(exercise, m.specimen, challenge))
        for m in exercise.misconceptions
    }
    return Book(
        fingerprint(exercise), observations(exercise, exercise.reference, challenge), specimens
    )


def _without_traces(seen: Observations) -> Observations:
    """Tracebacks name files of one machine; nothing is judged on them."""
    for observation in seen.values():
        if isinstance(observation, Raised):
            observation.trace = ""
    return seen


def fingerprint(exercise: Exercise) -> str:
    source = inspect.getsource(sys.modules[exercise.reference.__module__])
    return hashlib.sha256(source.encode()).hexdigest()


def path(exercise: Exercise) -> Path:
    return FOLDER / f"{exercise.name}.msgpack"


def write(exercise: Exercise) -> None:
    """Write the book, unless the one that is there already says the same."""
    new, file = compute(exercise), path(exercise)
    if file.exists() and agree(decode(file.read_bytes(), Book), new):
        return
    FOLDER.mkdir(exist_ok=True)
    file.write_bytes(encode(new))


def agree(one: Book, other: Book) -> bool:
    """Whether two books say the same, to float32 accuracy."""
    return (
        one.source == other.source
        and same(one.reference, other.reference)
        and one.specimens.keys() == other.specimens.keys()
        and all(same(one.specimens[name], other.specimens[name]) for name in one.specimens)
    )


@cache
def public(exercise: Exercise) -> Book:
    """The book for the public challenges: the stored one, or a fresh one if the module changed."""
    if path(exercise).exists():
        stored = decode(path(exercise).read_bytes(), Book)
        if stored.source == fingerprint(exercise):
            return stored
    return compute(exercise)
