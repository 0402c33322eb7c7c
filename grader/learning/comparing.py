"""Right answers to read after a pass: the reference, and others that differ most from one's own."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from grader.checking.book import holds_answers
from grader.checking.told import Told
from grader.harvesting import views
from grader.harvesting.slices import Statement, statements, take
from grader.judging.exercise import Exercise
from grader.judging.feedback import as_code
from grader.learning.progress import SECTION
from lessonkit import state

OTHERS = Path(__file__).parents[2] / "tests" / "right_answers"
SHOWN = 2  # beside the reference
FORMS = {
    ast.For: "a loop",
    ast.While: "a loop",
    ast.ListComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.GeneratorExp: "a generator",
    ast.With: "a `with` block",
    ast.Try: "a `try` block",
    ast.Lambda: "a `lambda`",
    ast.ClassDef: "a class",
}


class NotYet(Told):
    """Right answers were asked for that cannot be shown, now or in this edition."""


@dataclass(frozen=True)
class Right:
    """One right answer, its heading, and how it differs from the learner's own."""

    heading: str
    source: str
    differs: str

    @property
    def title(self) -> str:
        """What is read while the answer is folded."""
        return f"{self.heading}. {self.differs}".strip()


@dataclass(frozen=True)
class Compared:
    """Right answers, shown folded in a notebook and one under the other as text."""

    rights: tuple[Right, ...]

    def __repr__(self) -> str:
        return "\n\n".join(
            f"{right.title}\n\n{textwrap.indent(right.source, '    ')}" for right in self.rights
        )

    def _repr_html_(self) -> str:
        return "".join(
            f"<details><summary>{as_code(escape(right.title))}</summary>"
            f"<pre>{escape(right.source)}</pre></details>"
            for right in self.rights
        )


def compared(exercise: Exercise, answer: Callable[..., Any] | None) -> Compared:
    """The reference and other right answers beside `answer`, or beside nothing.

    Raises:
        NotYet: the exercise was not met yet, or this edition holds no answers.
    """
    if not holds_answers(exercise):
        raise NotYet("This edition holds no answers. Whoever gave it to you has them.")
    record = state.records(SECTION).get(f"{exercise.lesson}/{exercise.name}", {})
    if "met" not in record:
        raise NotYet(
            f"Right answers are shown after a pass. Run check({exercise.name}) first; "
            f"hint({exercise.name}) helps on the way."
        )
    own = _source_of(answer)
    others = list(_others(exercise.name, own))
    return Compared((_right("The reference", views.answer(exercise), own), *others[:SHOWN]))


def _source_of(answer: Callable[..., Any] | None) -> str:
    try:
        return textwrap.dedent(inspect.getsource(answer)) if answer else ""
    except (OSError, TypeError):
        return ""  # made by `exec`, or in a kernel that has forgotten the cell


def _others(name: str, own: str) -> Iterator[Right]:
    """Right answers in other styles, those first that share least with `own`."""
    path = OTHERS / f"{name}.py"
    pool = statements([path.read_text(encoding="utf-8")]) if path.exists() else []
    found = [s.node.name for s in pool if isinstance(s.node, ast.FunctionDef)]
    sources = {title: take(pool, title) for title in found if not title.startswith("_")}
    for title in sorted(sources, key=lambda title: -_distance(_text(sources[title]), own)):
        yield _right(title.replace("_", " ").capitalize(), sources[title], own)


def _right(heading: str, parts: list[Statement], own: str) -> Right:
    source = _text(parts)
    return Right(heading, source, difference(source, own))


def _text(parts: list[Statement]) -> str:
    return "\n\n".join(part.source.strip("\n") for part in parts if not part.is_import)


def _distance(source: str, own: str) -> int:
    return len(set(_means(source)) ^ set(_means(own)))


def difference(source: str, own: str) -> str:
    """What one answer is made with that the other is not, in a sentence; empty where nothing is."""
    theirs, ours = list(_means(source)), list(_means(own))
    more = [means for means in dict.fromkeys(theirs) if means not in ours]
    less = [means for means in dict.fromkeys(ours) if means not in theirs]
    if not own or not more + less:
        return ""
    has = f"It has {', '.join(more)}" if more else "It does"
    lacks = f"yours has {', '.join(less)}" if less else "yours does without"
    return f"{has}; {lacks}." if more else f"It does without {', '.join(less)}."


def _means(source: str) -> Iterator[str]:
    """What a piece of code is made with: the functions it calls, and forms such as a loop."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            yield f"`{called}`"
        elif type(node) in FORMS:
            yield FORMS[type(node)]
