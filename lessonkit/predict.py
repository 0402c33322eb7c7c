"""Predictions: a lesson asks before it measures, and at its end lists guesses against measurements.

    predict = Predictions("02_dead_relu")
    predict.number("on_one", "How many of the 128 units are dead?", unit="units", within=10)
    ...
    predict.measured("on_one", found)   # first in the cell that answers
    ...
    predict.summary()

A guess is kept in the learner's file when its button is pressed. It can be changed until it is
measured; from then on it stays, so that the list at the end is honest. A new measurement replaces
the old one. A ValueError is for the author of a script: in a notebook, where a learner may change
any cell, a sentence stands in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from IPython import get_ipython
from IPython.display import display

from lessonkit import state
from lessonkit.form_widget import Form, Purpose, Text, asked_anew, not_asked, passage, said
from lessonkit.forms import (
    Choice,
    Number,
    Order,
    Question,
    Verdict,
    as_shown,
    register,
    told,
    told_words,
)
from paramlock.pictures import tables

SECTION = "predictions"
"""The section of the learner's file; a key is `lesson/name`, a record has `guess`, `measured` and,
where the guess came after the first measurement, `late`."""

FIXED = "It has been measured, so your guess stays as it is: the list at the end is to be honest."
LATE = "This was guessed after it had been measured."


@dataclass(frozen=True)
class Prediction:
    """A question, and what the learner's file holds on it under `key`."""

    key: str
    question: Question

    @property
    def guess(self) -> Any:
        """The guess that is kept; None where there is none that answers the question as it is."""
        return self._answer_in(self._record, "guess")

    @property
    def found(self) -> Any:
        """What was measured last, or None."""
        return self._answer_in(self._record, "measured")

    @property
    def settled(self) -> bool:
        """Whether there are both, so that the guess stays."""
        return self.guess is not None and self.found is not None

    @property
    def late(self) -> bool:
        """Whether the guess came after a measurement."""
        return self.guess is not None and bool(self._record.get("late"))

    @property
    def verdict(self) -> Verdict | None:
        """How close the guess was; None without guess or measurement, and for a late guess."""
        return (
            self.question.judge(self.guess, self.found) if self.settled and not self.late else None
        )

    @property
    def how_close(self) -> str:
        """The verdict in words, for the list and beside a measurement."""
        if self.late:
            return LATE
        return self.verdict.words if self.verdict else ""

    @property
    def words(self) -> tuple[str, str]:
        """Guess and measurement, empty where there is none; numbers that differ look different."""
        guess, found = self.guess, self.found
        return (
            "" if guess is None else self.question.words(guess, found),
            "" if found is None else self.question.words(found, guess),
        )

    def keep_guess(self, guess: Any) -> str:
        """Keep a guess, unless one was measured already; returns what the learner has to know."""

        def edit(record: state.Record) -> state.Record:
            measured = self._answer_in(record, "measured") is not None
            if measured and self._answer_in(record, "guess") is not None:
                return record
            return {**record, "guess": guess, "late": measured}

        return state.change(SECTION, self.key, edit)

    @property
    def _record(self) -> state.Record:
        return state.records(SECTION).get(self.key, {})

    def _answer_in(self, record: state.Record, field: str) -> Any:
        try:
            return self.question.take(record[field])
        except (KeyError, ValueError):
            return None


class _Guess(Form):
    """The form of one prediction."""

    purpose = Purpose(
        "Predict", "Your guess", "Keep my guess", "In JupyterLab, run this cell to keep a guess."
    )

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction
        question = prediction.question
        super().__init__(question, question.lines, as_shown(prediction.guess))
        self.settle()

    def respond(self, answer: Any) -> str:
        """Keep a guess; say what is kept, which is another one where it was measured meanwhile."""
        trouble = self.prediction.keep_guess(answer)
        self.settle()
        kept = f"Kept: {self.question.words(self.prediction.guess)}."
        return " ".join(filter(None, [kept, self._outlook(), trouble]))

    def standing(self) -> str:
        """The guess that is kept."""
        guess = self.prediction.guess
        if guess is None:
            return "No guess is kept yet."
        late = f" {LATE}" if self.prediction.late else ""
        return f"Your guess: {self.question.words(guess)}.{late}"

    def _outlook(self) -> str:
        if self.prediction.late:
            return LATE
        return "" if self.closed else "You can change it until it is measured."

    def settle(self) -> None:
        """Let the controls rest once there are a guess and a measurement."""
        if self.prediction.settled:
            self.answer, self.closed = as_shown(self.prediction.guess), FIXED


class Predictions:
    """The predictions of one lesson, each under a name of its own."""

    def __init__(self, lesson: str) -> None:
        """Predictions of a lesson, which is named as its source: `02_dead_relu`."""
        self.lesson = lesson
        self._asked: dict[str, Prediction] = {}
        self._forms: dict[str, _Guess] = {}

    def number(
        self,
        name: str,
        question: str,
        *,
        unit: str = "",
        within: float | None = None,
        factor: float | None = None,
    ) -> None:
        """Ask for a number, right within an absolute tolerance or within a factor.

        Raises:
            ValueError: neither or both are given, or the name asks something else already.
        """
        with said(not_asked):
            self._ask(name, Number(question, unit, within, factor))

    def choice(self, name: str, question: str, options: Sequence[str]) -> None:
        """Ask which of some options it will be.

        Raises:
            ValueError: an option stands there twice, or the name asks something else already.
        """
        with said(not_asked):
            self._ask(name, Choice(question, options))

    def order(self, name: str, question: str, items: Sequence[str]) -> None:
        """Ask for the order of some items, which are shown as given.

        Raises:
            ValueError: an item stands there twice, or the name asks something else already.
        """
        with said(not_asked):
            self._ask(name, Order(question, items))

    def measured(self, name: str, value: Any) -> None:
        """Show what was measured beside the guess: a number, the option, or the items in order.

        Raises:
            ValueError: the value does not answer the question; or, in a script, there was none.
        """
        asked = self._asked.get(name)
        if asked is None:
            _refuse_in_a_script(name)
        with said(lambda _error: passage(TITLE, f"Measured: {value}. {NO_OPTION}")):
            self._show(name, asked, asked.question.take(value) if asked else told(value))

    def _show(self, name: str, asked: Prediction | None, found: Any) -> None:
        trouble = state.change(SECTION, self._key(name), lambda r: {**r, "measured": found})
        if asked:
            self._forms[name].settle()
        display(_beside(asked, trouble) if asked else _alone(found, trouble))

    def summary(self) -> None:
        """Show all guesses of the lesson against what was measured."""
        display(_listed(list(self._asked.values())))

    def _ask(self, name: str, question: Question) -> None:
        prediction = Prediction(self._key(name), question)
        with said(asked_anew):
            register(self._asked, name, prediction)
        self._asked[name] = prediction
        self._forms[name] = _Guess(prediction)
        self._forms[name].show()

    def _key(self, name: str) -> str:
        return f"{self.lesson}/{name}"


def _refuse_in_a_script(name: str) -> None:
    """Cells can be run in any order, a script cannot: there its author has to be told."""
    if get_ipython() is None:
        raise ValueError(
            f"{name!r} is measured, but nothing asks for it before: ask with "
            f"predict.number({name!r}, ...), .choice or .order further up, or mend the name"
        )


TITLE = "Guess and measurement"
"""The first line of what `measured` shows. It tells nothing, because it shows when folded."""

NO_OPTION = "It is none of the options that could be guessed, so no guess is set beside it."
"""What `measured` says of a value that does not answer the question."""


def _beside(prediction: Prediction, trouble: str) -> Text:
    guess, found = prediction.words
    if not guess:
        return passage(TITLE, f"Measured: {found}. No guess was kept.", trouble)
    return passage(
        TITLE,
        prediction.question.question,
        _side_by_side([("your guess", guess), ("measured", found)]),
        prediction.how_close,
        trouble,
    )


def _side_by_side(rows: list[tuple[str, str]]) -> Text:
    """A table of named values, one under the other, so that long orders can be compared."""
    left = 'style="text-align:left"'
    lines = "".join(
        f'<tr><th scope="row" {left}>{name}</th><td {left}>{escape(words)}</td></tr>'
        for name, words in rows
    )
    return Text(
        f'<table style="color:inherit;background:transparent"><tbody>{lines}</tbody></table>',
        tables.text(rows, left=range(2)),
    )


def _alone(found: Any, trouble: str) -> Text:
    words = (
        f"Measured: {told_words(found)}. No guess was asked for since the kernel started; the cell "
        "that asks stands further up."
    )
    return passage(TITLE, words, trouble)


def _listed(predictions: list[Prediction]) -> Text:
    title = "Your guesses against the measurements"
    if not predictions:
        return passage(title, "Nothing was asked since the kernel started: run all cells first.")
    rows = [
        [p.question.question, *(words or "none" for words in p.words), p.how_close]
        for p in predictions
    ]
    rows = [["prediction", "your guess", "measured", "how close"], *rows]
    words = _count([p.verdict for p in predictions if p.verdict])
    table = tables.html(rows, escape(words), left=True)
    return passage(title, Text(table, f"{words}\n{tables.text(rows, left=range(4))}"))


def _count(verdicts: list[Verdict]) -> str:
    if not verdicts:
        return "There is no guess to compare yet."
    return f"Guesses that were right: {sum(v.right for v in verdicts)} of {len(verdicts)}."
