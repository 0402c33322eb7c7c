"""The skeleton of a new exercise, for `python -m grader new NAME`.

It obeys the laws of form (it imports, its stub is a stub, its words are there) and fails the rest:
its reference is still to be written.
"""

from __future__ import annotations

import keyword
from pathlib import Path

import grader.exercises

SKELETON = '''"""{sentence} (say what it teaches, and in which framework)."""

from grader.evidence import alike, number
from grader.exercise import Claim, Exercise, Misconception


def {name}(x):
    """{sentence}.

    TODO: the whole task: shapes, units, edges, and what bad input gets.

    Args:
        x: array of shape (N,).

    Returns:
        A number.
    """
    raise NotImplementedError("{name} has no reference yet: write it here")


def challenge(rng):
    """TODO: a few named cases that cover the edges. The names are read by learners."""
    return {{"five numbers": {{"x": rng.normal(size=5)}}}}


def is_right(seen, expected):
    """TODO: one sentence that says what is expected."""
    return alike(seen, expected), f"you return {{number(seen)}}"


# Each specimen is a small answer that acts on one mistaken belief.
def first_specimen(x):
    return 0.0


def second_specimen(x):
    return 1.0


def third_specimen(x):
    return 2.0


def _todo(specimen):
    return Misconception("TODO: the belief.", "TODO: why it fails.", "TODO: a question?", specimen)


EXERCISE = Exercise(
    reference={name},
    challenge=challenge,
    claims=(Claim(is_right, 1, "TODO: a question that leads on?"),),
    misconceptions=(_todo(first_specimen), _todo(second_specimen), _todo(third_specimen)),
    hints=("TODO: a question.", "TODO: a next step, close to the answer."),
    lesson="04_explicit_freezing",
    section="TODO: a heading of that lesson",
    frameworks=("torch",),
    minutes=10,
    note="TODO: something worth reading after passing.",
)
'''


class CannotCreate(Exception):
    """The exercise cannot be begun; the message says why."""


def create(name: str, folder: Path | None = None) -> Path:
    """Write the skeleton of an exercise and return its path.

    Raises:
        CannotCreate: the name is no function name, or the exercise exists.
    """
    path = (folder or Path(grader.exercises.__path__[0])) / f"{name}.py"
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise CannotCreate(
            f"{name!r} cannot name a function. Take a verb phrase in small letters, such as "
            "count_dead_units."
        )
    if path.exists():
        raise CannotCreate(f"There is already an exercise called {name}: {path}")
    sentence = name.replace("_", " ").capitalize()
    path.write_text(SKELETON.format(name=name, sentence=sentence), encoding="utf-8")
    return path
