"""What a learner calls in a lab: `check`, `hint`, `answers`, `status` and `next`.

What needs the learner's file is imported when it is called. Answers that nobody trusts run where
there is no such file, and their cells import these names all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from grader.checking.check import asked_for, checked
from grader.judging.feedback import Feedback, as_code

if TYPE_CHECKING:
    from grader.learning.comparing import Compared
    from grader.learning.overview import Next, Overview


def check(
    answer: Callable[..., Any], name: str | None = None, *, seed: int | None = None
) -> Feedback:
    """Run an answer on the public challenges, say what it did, and keep that.

    `name` says which exercise it answers, where its own name does not. `seed` draws one other
    challenge instead: the one a grader names, to see again what it saw. Of that nothing is kept.
    """
    from grader.learning import progress

    feedback = checked(asked_for(answer, name, sys._getframe(1).f_globals), answer, seed)
    return (
        feedback if seed is not None else replace(feedback, so_far=progress.keep(feedback.report))
    )


def hint(answer: Callable[..., Any] | str) -> Hint:
    """The next hint of an exercise, also after a restart; after the last one it starts again."""
    from grader.learning import progress

    name = answer if isinstance(answer, str) else None
    exercise = asked_for(answer, name, sys._getframe(1).f_globals)
    place, trouble = progress.keep_hint(exercise.name)
    words = f"Hint {place + 1} of {len(exercise.hints)}: {exercise.hints[place]} {trouble}"
    return Hint(words.strip())


def answers(answer: Callable[..., Any] | str) -> Compared:
    """After a pass: the reference and other right answers, and how each differs from `answer`."""
    from grader.learning.comparing import compared

    name = answer if isinstance(answer, str) else None
    exercise = asked_for(answer, name, sys._getframe(1).f_globals)
    return compared(exercise, None if isinstance(answer, str) else answer)


def status() -> Overview:
    """What is done of each lab, and what comes next."""
    from grader.learning.overview import Overview
    from grader.learning.progress import standings

    return Overview(standings())


def next_exercise() -> Next:
    """The first exercise of the course that is not met."""
    from grader.learning.overview import Next
    from grader.learning.progress import standings, upcoming

    return Next(upcoming(standings()))


class Hint(str):
    """A text that a notebook shows without quotation marks, and breaks between words."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f'<p style="max-width: 46em">{as_code(escape(self))}</p>'
