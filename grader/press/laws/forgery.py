"""What a claim pays for: replies made up by somebody who has what a student's edition holds.

The forger knows the form of each reply, its words, and the evidence of the public challenges, and
not whether a number is right. On challenges that nobody was shown, each way to make numbers up is
tried on all, and may meet a claim once, by chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from grader.checking import book
from grader.judging.evidence import Observations, Seen
from grader.judging.exercise import Exercise
from grader.press.laws.observed import OTHER_SEEDS, outcome_of, seen

FRESH = (*OTHER_SEEDS, *range(5001, 5019))
"""Seeds of twenty challenges that nobody was shown."""

FEW = 6  # of them, where JAX compiles for each
CHANCE = 1  # challenges on which a forged reply may meet a claim

Known = Mapping[str, Any]
"""The evidence of a public challenge, by case."""

Reply = Callable[[str, Any], Any]
"""From the name of a case and the right evidence, of which it uses the form, to forged evidence."""


class Forged(NamedTuple):
    """How one way to forge did: on how many challenges it met each claim, and its points."""

    words: str
    met: Counter[str]
    share: float
    challenges: int


def tried(exercise: Exercise) -> list[Forged]:
    """How all the ways to forge replies did, the best first.

    Where none meets a claim on the first challenges, no more are tried.
    """
    first = _on(exercise, OTHER_SEEDS)
    if not any(forged.met for forged in first):
        return first
    return _on(exercise, FRESH[:FEW] if "jax" in exercise.frameworks else FRESH)


def _on(exercise: Exercise, seeds: Sequence[int]) -> list[Forged]:
    expected = [seen(exercise, exercise.reference, (seed,)) for seed in seeds]
    outcomes = [_outcome(exercise, words, reply, expected) for words, reply in _ways(exercise)]
    return sorted(outcomes, key=lambda forged: forged.share, reverse=True)


def _outcome(
    exercise: Exercise, words: str, reply: Reply, expected: Sequence[Observations]
) -> Forged:
    met, earned = Counter[str](), 0
    for of_seed in expected:
        made: Observations = {
            case: Seen(reply(_plain(case), right)) for case, right in _evidence(of_seed)
        }
        report = outcome_of(exercise, made, of_seed)
        met.update(o.claim for o in report.outcomes if o.verdict == "met") if report else None
        earned += report.earned if report else 0
    return Forged(words, met, earned / (len(expected) * exercise.points), len(expected))


def pays(forged: Sequence[Forged]) -> Iterator[str]:
    """What speaks against an exercise that pays so much for forged replies."""
    for one in forged:
        for claim, times in one.met.items():
            if times > CHANCE:
                on = f"{times} of {one.challenges} challenges"
                yield f"{one.words} meets a claim on {on}: {claim}"


def forgery_does_not_pay(exercise: Exercise) -> Iterator[str]:
    """No way to make replies up meets a claim on more than one of the fresh challenges."""
    yield from pays(tried(exercise))


def _evidence(seen: Observations) -> Iterator[tuple[str, Any]]:
    yield from ((case, one.evidence) for case, one in seen.items() if isinstance(one, Seen))


def _plain(case: str) -> str:
    return case.rpartition(", ")[0]


def _ways(exercise: Exercise) -> Iterator[tuple[str, Reply]]:
    for number, truth in product((0.0, 1.0, 0.5, -1.0), (False, True)):
        yield f"{number:g} for numbers and {truth} for truth values", _filling(number, truth)
    public = dict(_evidence(book.public(exercise).reference))
    one, other = ({_plain(c): e for c, e in public.items() if _is_of(c, n)} for n in (0, 1))
    for words, known in (("first", one), ("second", other)):
        yield f"the evidence of the {words} public challenge", _replaying(known)
        yield f"the numbers of the {words} public challenge in the right form", _pouring(known)
    yield "the mean of the public challenges in the right form", _between(one, other)


def _filling(number: float, truth: bool) -> Reply:
    return lambda case, right: filled(right, number, truth)


def _replaying(known: Known) -> Reply:
    return lambda case, right: known.get(case)


def _pouring(known: Known) -> Reply:
    return lambda case, right: poured(right, known.get(case))


def _between(one: Known, other: Known) -> Reply:
    return lambda case, right: mean(poured(right, one.get(case)), poured(right, other.get(case)))


def _is_of(case: str, place: int) -> bool:
    return case.endswith(f", seed {book.PUBLIC_SEEDS[place]}")


def filled(value: Any, number: float, truth: bool) -> Any:
    """The same form and words, with one number and one truth value everywhere."""
    if isinstance(value, dict):
        return {key: filled(item, number, truth) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, number, truth) for item in value]
    if isinstance(value, np.ndarray):
        return np.full_like(value, truth if value.dtype == bool else number)
    if isinstance(value, bool):
        return truth
    return type(value)(number) if isinstance(value, int | float) else value and ""


def poured(form: Any, known: Any) -> Any:
    """What is known, cut or repeated to the form that is asked for."""
    if isinstance(form, dict) and isinstance(known, dict):
        return {key: poured(item, known.get(key)) for key, item in form.items()}
    if isinstance(form, list) and isinstance(known, list) and known:
        return [poured(item, known[place % len(known)]) for place, item in enumerate(form)]
    if isinstance(form, np.ndarray) and isinstance(known, np.ndarray) and known.size:
        return np.resize(known, form.shape).astype(form.dtype)
    return known if type(known) is type(form) else form_of(form)


def form_of(form: Any) -> Any:
    """The form with zeros in it, where nothing of the kind is known."""
    return filled(form, 0.0, False)


def mean(one: Any, other: Any) -> Any:
    """Halfway between two replies of one form."""
    if isinstance(one, dict):
        return {key: mean(item, other[key]) for key, item in one.items()}
    if isinstance(one, list):
        return [mean(*pair) for pair in zip(one, other, strict=True)]
    if isinstance(one, np.ndarray) and one.dtype != bool and one.shape == other.shape:
        with np.errstate(invalid="ignore"):  # of infinities
            return ((one + other) / 2).astype(one.dtype)
    return (one + other) / 2 if isinstance(one, float) else one
