"""The skeleton of a new exercise, for `python -m grader new NAME`.

It obeys the laws of form (it imports, its stub is a stub, its words are there) and fails the rest:
its reference is still to be written.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from grader.press.targets import ROOT, lessons, sources

SKELETON = '''"""{sentence} (say what it teaches, and in which framework)."""

from numpy.random import Generator

from grader.instruments.words import compared
from grader.judging.exercise import Exercise, beliefs_about, claim
from grader.judging.terms import Challenge, Evidence, Finding, Part


def {name}(x):
    """{sentence}.

    TODO: the whole task: shapes, units, edges, and what bad input gets.

    Args:
        x: array of shape (N,).

    Returns:
        A number.

    Example:
        >>> {name}([1.0, 2.0])  # TODO: small numbers that can be followed by hand
        3.0
    """
    raise NotImplementedError("{name} has no reference yet: write it here")


def challenge(rng: Generator) -> Challenge:
    """TODO: a few named cases that cover the edges. The names are read by learners."""
    return {{"five numbers": {{"x": rng.normal(size=5)}}}}


@claim(1, "TODO: a question that leads on?")
def is_right(seen: Evidence, expected: Evidence) -> Finding:
    """TODO: one sentence that says what is expected."""
    return compared(seen, expected, "TODO: what it is")


def in_parts(
    x: Evidence,
    start: Part = lambda x: 0.0,
    end: Part = lambda total: total,
) -> float:
    """The right answer in parts, each of which a belief replaces."""
    return end(start(x) + sum(x))


believing = beliefs_about(in_parts)
BELIEFS = (
    believing("TODO: a belief.", "TODO: why it fails.", "TODO: a question?", start=lambda x: 1.0),
    believing("TODO: another.", "TODO: why it fails.", "TODO: a question?", end=lambda total: 2.0),
)

EXERCISE = Exercise(
    reference={name},
    challenge=challenge,
    hints=("TODO: a question.", "TODO: a next step, close to the answer."),
    lesson="{lesson}",
    section="{section}",
    frameworks=("torch",),
    minutes=10,
    difficulty=2,
    note="TODO: something worth reading after passing.",
)
'''


LAB = """# %% [markdown]
# # Lab {number}: {title}
#
# TODO: what this lab is about.

# %%
from grader import NotAttempted, check, hint

# %% [markdown]
# ## Exercises

# %% exercise="{name}"
"""
STEM = re.compile(r"\d\d_[a-z0-9_]+")


class CannotCreate(Exception):
    """The exercise cannot be begun; the message says why."""


def create(name: str, lesson: str, root: Path = ROOT, own: bool = False) -> Path:
    """Write the skeleton of an exercise for a lesson, by its number or stem, and return its path.

    In a bank, which is a teacher's `own`, there may be a lab and no lesson. One that is not there
    is begun as well, if it is named in full: `09_topic`.

    Raises:
        CannotCreate: the name is no function name, the exercise exists, or the lesson does not.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise CannotCreate(
            f"{name!r} cannot name a function. Take a verb phrase in small letters, such as "
            "count_dead_units."
        )
    stem = _stem(lesson, root, own)
    exercises = root if own else root / "grader" / "exercises"
    if there := next(exercises.glob(f"*/{name}.py"), None):
        raise CannotCreate(f"There is already an exercise called {name}: {there}")
    chapter = exercises / f"c{stem}"
    if not chapter.exists():
        chapter.mkdir(parents=True)
        title = stem[3:].replace("_", " ")
        head = f'"""Exercises of chapter {stem[:2]}, {title}."""\n'
        (chapter / "__init__.py").write_text(head, encoding="utf-8")
    sentence = name.replace("_", " ").capitalize()
    path = chapter / f"{name}.py"
    section = "TODO: a heading of that lesson" if _has(root, "lessons", stem) else ""
    text = SKELETON.format(name=name, sentence=sentence, lesson=stem, section=section)
    path.write_text(text, encoding="utf-8")
    if own and not _has(root, "labs", stem):
        _begin_lab(root / "labs" / f"{stem}.py", name)
    return path


def _has(root: Path, kind: str, stem: str) -> bool:
    return (root / kind / f"{stem}.py").exists()


def _begin_lab(path: Path, name: str) -> None:
    path.parent.mkdir(exist_ok=True)
    title = path.stem[3:].replace("_", " ").capitalize()
    text = LAB.format(number=path.stem[:2], title=title, name=name)
    path.write_text(text, encoding="utf-8")


def _stem(lesson: str, root: Path, own: bool) -> str:
    stems = [path.stem for path in lessons(root)]
    if own:
        stems = sorted({*stems, *(path.stem for path in sources(root / "labs"))})
        if STEM.fullmatch(lesson):
            return lesson
    fitting = [stem for stem in stems if stem == lesson or stem.startswith(f"{lesson}_")]
    if len(fitting) != 1:
        begin = " Name a new lab in full, such as 09_topic." if own else ""
        there = ", ".join(stems) or "none"
        raise CannotCreate(f"There is no lesson or lab {lesson!r}. There are: {there}.{begin}")
    return fitting[0]
