"""What a learner calls in a lab: `check(answer)` and `hint(answer)`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from html import escape
from io import StringIO
from typing import Any

from grader.checking import book, registry
from grader.checking.told import Told
from grader.judging.evidence import Observations
from grader.judging.exercise import Exercise
from grader.judging.feedback import Feedback, as_code
from grader.judging.judge import judge
from grader.judging.run import observations

_hints_given: Counter[str] = Counter()


def check(
    answer: Callable[..., Any], name: str | None = None, *, seed: int | None = None
) -> Feedback:
    """Run an answer on the public challenges and say what it did.

    `name` says which exercise it answers, where its own name does not. `seed` draws one other
    challenge instead: the one a grader names, to see again what it saw.
    """
    exercise = _exercise(answer, name, sys._getframe(1).f_globals)
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


def hint(answer: Callable[..., Any] | str) -> str:
    """The next hint of an exercise; after the last one it starts again."""
    name = answer if isinstance(answer, str) else None
    exercise = _exercise(answer, name, sys._getframe(1).f_globals)
    place = _hints_given[exercise.name] % len(exercise.hints)
    _hints_given[exercise.name] += 1
    return Hint(f"Hint {place + 1} of {len(exercise.hints)}: {exercise.hints[place]}")


class NotAnAnswer(Told, TypeError):
    """What was given to check is no function, or one that has no name of its own."""


class Hint(str):
    """A text that a notebook shows without quotation marks, and breaks between words."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f'<p style="max-width: 46em">{as_code(escape(self))}</p>'


def _exercise(answer: Any, name: str | None, caller: Mapping[str, Any]) -> Exercise:
    """The exercise meant: by name, by the answer's own name, or by the variable that holds it."""
    if not callable(answer) and name is None:
        raise NotAnAnswer(
            f"check and hint take the function you wrote, not {type(answer).__name__}: "
            "write check(my_function), without calling my_function."
        )
    own = str(name or getattr(answer, "__name__", ""))
    if name is None and own not in registry.names():
        held = (key for key, value in caller.items() if value is answer and key in registry.names())
        own = next(held, own)
    if not own.isidentifier():
        raise NotAnAnswer(
            "check and hint find an exercise by the name of the function, and this one has none. "
            'Say which it answers: check(my_function, "name_of_the_exercise").'
        )
    return registry.find(own)
