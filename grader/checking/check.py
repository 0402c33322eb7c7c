"""Run an answer where it was written, in the learner's own kernel, and find what it answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any

from grader.checking import book, registry
from grader.checking.told import Told
from grader.judging.evidence import Observations
from grader.judging.exercise import Exercise
from grader.judging.feedback import Feedback
from grader.judging.judge import judge
from grader.judging.run import observations


def checked(exercise: Exercise, answer: Callable[..., Any], seed: int | None = None) -> Feedback:
    """Run an answer on the public challenges, or on that of one seed, and say what it did."""
    seeds = book.PUBLIC_SEEDS if seed is None else (seed,)
    known = book.evidence(exercise, seeds)
    seen: Observations = {}
    printed: dict[str, str] = {}
    for case, inputs in exercise.cases(seeds).items():
        with heard() as words:
            seen |= observations(exercise, answer, {case: inputs})
        if words.getvalue():
            printed[case] = words.getvalue()
    report = judge(exercise, seen, known.reference, known.specimens)
    return Feedback(report, exercise.note, printed)


@contextmanager
def heard() -> Iterator[StringIO]:
    """What is printed meanwhile. A debugger gets the screen back, for its prompt must be seen."""
    screen, stop, words = sys.stdout, sys.breakpointhook, StringIO()

    def stop_on_screen(*arguments: Any, **keywords: Any) -> Any:
        sys.stdout = screen
        return stop(*arguments, **keywords)

    sys.breakpointhook = stop_on_screen
    try:
        with redirect_stdout(words):
            yield words
    finally:
        sys.breakpointhook = stop


class NotAnAnswer(Told, TypeError):
    """What was given to check is no function, or one that has no name of its own."""


def asked_for(answer: Any, name: str | None, caller: Mapping[str, Any]) -> Exercise:
    """The exercise meant: by name, by the answer's own name, or by the caller's variable for it.

    Raises:
        NotAnAnswer: it is no function, or one that has no name of its own.
        UnknownExercise: no exercise is called so.
    """
    if not callable(answer) and name is None:
        raise NotAnAnswer(
            f"check, hint and answers take the function you wrote, not {type(answer).__name__}: "
            "write check(my_function), without calling my_function."
        )
    own = str(name or getattr(answer, "__name__", ""))
    if name is None and own not in registry.names():
        held = (key for key, value in caller.items() if value is answer and key in registry.names())
        own = next(held, own)
    if not own.isidentifier():
        raise NotAnAnswer(
            "check, hint and answers find an exercise by the name of the function, and this one "
            'has none. Say which it answers: check(my_function, "name_of_the_exercise").'
        )
    return registry.find(own)
