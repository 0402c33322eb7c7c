"""Self-checks: questions at the end of a lesson, each answer explained, the wrong ones told apart.

    selfcheck = SelfCheck("02_dead_relu")
    selfcheck.number("share", "Which share is dead?", answer=0.01, within=0.002,
                     why="One unit of a hundred.", wrong={1.0: "That is the number of units."})
    selfcheck.choice("who", "Which moves?", {"the bias": "It is frozen.", "none": right("Why.")})

Tries may be repeated. The learner's file keeps the last answer, the number of tries, and at which
one the answer was right first. A ValueError is for the author of a script, as in `predict`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lessonkit import state
from lessonkit.form_widget import Form, Purpose, asked_anew, not_asked, said
from lessonkit.forms import Choice, Number, Order, Question, as_shown, register

SECTION = "self-checks"
"""The section of the learner's file; a key is `lesson/name`, a record has `answer`, `tries` and,
once the answer was right, `right_at_try`."""


@dataclass(frozen=True)
class Right:
    """Marks the right option, and says why it is."""

    why: str


def right(why: str) -> Right:
    """The explanation of the right option of a choice."""
    return Right(why)


@dataclass(frozen=True)
class Key:
    """What is right and why, and what there is to say to wrong answers."""

    answer: Any
    why: str
    wrong: Mapping[Any, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not all(words.strip() for words in (self.why, *self.wrong.values())):
            raise ValueError("every answer of a self-check needs a sentence that explains it")


class CheckForm(Form):
    """The form of one question."""

    purpose = Purpose(
        "Check yourself", "Your answer", "Check", "In JupyterLab, run this cell to answer."
    )

    def __init__(self, name: str, question: Question, key: Key) -> None:
        """A form that answers are kept of under `name`, which is `lesson/name`."""
        self.name = name
        self.key = key
        mixed = _shuffled(question.items, name) if isinstance(question, Order) else question.lines
        super().__init__(question, mixed, None)
        self.answer = as_shown(self.last)

    def respond(self, answer: Any) -> str:
        """Judge an answer and keep the result."""
        right = self.question.judge(answer, self.key.answer).right
        trouble = self.keep(answer, right)
        if not right:
            self.solution = self.hidden()
        words = f"Right. {self.key.why}" if right else f"Not yet. {self._mistake(answer)}"
        return f"{words} {trouble}".strip()

    def keep(self, answer: Any, right: bool) -> str:
        """Keep an answer that was judged; returns what the learner has to know."""
        return state.change(SECTION, self.name, lambda record: _tried(record, answer, right))

    def standing(self) -> str:
        """The last answer and how it was, or that there is none."""
        if self.last is None:
            return "Not answered yet."
        right = self.question.judge(self.last, self.key.answer).right
        verdict = "right" if right else "not right yet"
        return f"Your answer: {self.question.words(self.last)} ({verdict})."

    def hidden(self) -> str:
        """The answer, and why it is right."""
        answer = self.question.words(self.key.answer).removesuffix(".")
        return f"{answer}. {self.key.why}"

    @property
    def last(self) -> Any:
        """The answer that is kept; None where there is none to the question as it is."""
        try:
            return self.question.take(state.records(SECTION)[self.name]["answer"])
        except (KeyError, ValueError):
            return None

    def _mistake(self, answer: Any) -> str:
        """What is to say to a wrong answer, without giving a number away."""
        for wrong, words in self.key.wrong.items():
            if self.question.judge(answer, wrong).right:
                return words
        if isinstance(self.question, Number):
            return "Too high." if answer > self.key.answer else "Too low."
        return self.question.judge(answer, self.key.answer).words


class SelfCheck:
    """The questions of one lesson, each under a name of its own."""

    def __init__(self, lesson: str) -> None:
        """Questions of a lesson, which is named as its source: `02_dead_relu`."""
        self.lesson = lesson
        self._asked: dict[str, tuple[Question, Key]] = {}

    def number(
        self,
        name: str,
        question: str,
        *,
        answer: float,
        why: str,
        within: float | None = None,
        factor: float | None = None,
        unit: str = "",
        wrong: Mapping[float, str] | None = None,
    ) -> None:
        """Ask for a number; `wrong` explains why certain others are not it.

        Raises:
            ValueError: neither or both of `within` and `factor` are given, an explanation is
                missing, a number in `wrong` is right, or the name asks something else already.
        """
        with said(not_asked):
            asked = Number(question, unit, within, factor)
            key = Key(asked.take(answer), why, wrong or {})
            for other in key.wrong:
                if asked.judge(other, key.answer).right:
                    raise ValueError(f"{name!r}: {other} is in `wrong`, and counts as right")
            self.ask(name, asked, key)

    def choice(self, name: str, question: str, options: Mapping[str, str | Right]) -> None:
        """Ask for one of some options; each is explained, and one of them is `right(why)`.

        Raises:
            ValueError: not exactly one is right, an explanation is missing, or the name asks
                something else already.
        """
        marked = [
            (option, words.why) for option, words in options.items() if isinstance(words, Right)
        ]
        wrong = {option: words for option, words in options.items() if isinstance(words, str)}
        with said(not_asked):
            if len(marked) != 1:
                raise ValueError(f"{name!r}: mark one option with right(...), not {len(marked)}")
            self.ask(name, Choice(question, list(options)), Key(*marked[0], wrong))

    def order(self, name: str, question: str, items: Sequence[str], *, why: str) -> None:
        """Ask for the order of items, which are given in the right one and shown in another.

        Raises:
            ValueError: an item stands there twice, an explanation is missing, or the name asks
                something else already.
        """
        with said(not_asked):
            self.ask(name, Order(question, items), Key(list(items), why))

    def ask(self, name: str, question: Question, key: Key) -> None:
        """Show the form of a question, once it is whole."""
        with said(asked_anew):
            register(self._asked, name, (question, key))
        self._asked[name] = (question, key)
        CheckForm(f"{self.lesson}/{name}", question, key).show()


def _tried(record: state.Record, answer: Any, right: bool) -> state.Record:
    tries = record.get("tries", 0) + 1
    first = {"right_at_try": tries} if right and "right_at_try" not in record else {}
    return {**record, "answer": answer, "tries": tries, **first}


def _shuffled(items: Sequence[str], seed: str) -> list[str]:
    """The items in an order that is not theirs, the same each time."""
    mixed = list(items)
    random.Random(seed).shuffle(mixed)
    return mixed if mixed != list(items) else mixed[1:] + mixed[:1]
