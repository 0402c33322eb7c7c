"""What a lesson can ask: a number, a choice, an order. How answers are read, judged and told.

Nothing here is displayed or kept; `form_widget` shows a question, `predict` and `selfcheck` ask.
Questions, options and items are plain text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple, TypeAlias

import numpy as np

DECIMAL = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
FRACTION = re.compile(rf"({DECIMAL})(?:\s*/\s*({DECIMAL}))?", re.ASCII)
SLACK = 1e-9  # relative; 0.3 and 0.1 are 0.2 apart, whatever their last bits say
LISTED = 3  # swapped pairs that are named; the others are counted


class Verdict(NamedTuple):
    """Whether an answer is right, and the sentence that says how."""

    right: bool
    words: str


@dataclass(frozen=True)
class Number:
    """A question for a number: right within an absolute tolerance, or else within a factor."""

    question: str
    unit: str = ""
    within: float | None = None
    factor: float | None = None

    kind = "number"

    def __post_init__(self) -> None:
        _check_question(self.question)
        if (self.within is None) == (self.factor is None):
            raise ValueError(
                f"{self.question!r}: say when a number is right, with within=10 or with factor=2, "
                "one of them"
            )
        if not (self.within or 0) >= 0 or not (self.factor or 2) > 1:
            raise ValueError(f"{self.question!r}: within must be 0 or more, factor more than 1")

    @property
    def lines(self) -> list[str]:
        """What there is to choose from: nothing."""
        return []

    @property
    def note(self) -> str:
        """What counts as right."""
        if self.within == 0:
            return "Only the exact number counts as right."
        return f"Within {self._tolerance} counts as right."

    @property
    def examples(self) -> str:
        """How a number can be written; a share only where there is no unit."""
        return "0.1, 1e-3 or 1/3" if self.unit else "0.1, 1e-3, 1/3 or 5 %"

    @property
    def _tolerance(self) -> str:
        if self.factor is not None:
            return f"a factor of {_digits(self.factor)}"
        return self.words(self.within or 0)

    def read(self, sent: Any) -> float:
        """The number in what a learner typed; a ValueError says in a sentence what was wrong."""
        typed = str(sent or "").strip()
        bare = typed.removesuffix(self.unit).removesuffix(self._one).strip()
        share = bare.endswith("%") and not self.unit.startswith("%")
        value = _fraction(bare.removesuffix("%").strip())
        if value is None:
            raise ValueError(_no_number(typed, self.examples))
        if share and self.unit:
            raise ValueError(f"Give the answer in {self.unit}, not in %.")
        return value / 100 if share else value

    def take(self, value: Any) -> float:
        """`value` from code or from the learner's file as a number; infinite and NaN pass.

        Raises:
            ValueError: it is not one number.
        """
        try:
            return _as_number(value)
        except ValueError as error:
            raise ValueError(f"{self.question!r}: {error}") from None

    def words(self, value: float, beside: float | None = None) -> str:
        """`value` with its unit, in enough digits to differ from another value `beside` it."""
        digits = _digits_apart(value, value if beside is None else beside)
        return f"{digits} {self._one if digits == '1' else self.unit}".strip()

    @property
    def _one(self) -> str:
        """The unit of a single one: `units` without its s."""
        return re.sub(r"(?<=[a-z]{2}[^s])s$", "", self.unit)

    def judge(self, answer: float, truth: float) -> Verdict:
        """Whether `answer` is close enough to `truth`, and by how much it is too high or low."""
        if not math.isfinite(truth):
            return Verdict(False, "What was measured is not a finite number, so no answer fits it.")
        if self._close(answer, truth):
            return Verdict(
                True, "Right." if self.within == 0 else f"Right within {self._tolerance}."
            )
        side = "high" if answer > truth else "low"
        return Verdict(False, f"Too {side} {self._gap(answer, truth)}.")

    def _close(self, answer: float, truth: float) -> bool:
        if self.factor is not None:
            ratio = _ratio(answer, truth)
            return answer == truth or (ratio is not None and ratio <= self.factor * (1 + SLACK))
        slack = SLACK * max(abs(answer), abs(truth))
        return abs(answer - truth) <= (self.within or 0) + slack

    def _gap(self, answer: float, truth: float) -> str:
        ratio = _ratio(answer, truth)
        if self.factor is not None and ratio is not None:
            return f"by a factor of {_digits_apart(ratio, self.factor)}"
        return f"by {self.words(abs(answer - truth), self.within)}"


@dataclass(frozen=True)
class Choice:
    """A question with options, of which one is right."""

    question: str
    options: Sequence[str]

    kind = "choice"

    def __post_init__(self) -> None:
        _check_question(self.question)
        _check_list(self.question, self.options, "options")

    @property
    def lines(self) -> list[str]:
        """The options."""
        return list(self.options)

    @property
    def note(self) -> str:
        """What to do."""
        return "Choose one."

    def read(self, sent: Any) -> str:
        """The option that was chosen; a ValueError says that none was."""
        if sent is None:
            raise ValueError("Choose one of the options first.")
        return self.take(sent)

    def take(self, value: Any) -> str:
        """`value` from code or from the learner's file, one of the options.

        Raises:
            ValueError: it is none of them.
        """
        if value not in self.options:
            raise ValueError(
                f"{self.question!r}: {value!r} is not among the options {', '.join(self.options)}. "
                "Add it there, or give one of them."
            )
        return str(value)

    def words(self, value: str, beside: str | None = None) -> str:
        """The option itself."""
        return value

    def judge(self, answer: str, truth: str) -> Verdict:
        """Whether the two are one option."""
        return Verdict(answer == truth, "Right." if answer == truth else "It is another option.")


@dataclass(frozen=True)
class Order:
    """A question for the order of some items."""

    question: str
    items: Sequence[str]

    kind = "order"

    def __post_init__(self) -> None:
        _check_question(self.question)
        _check_list(self.question, self.items, "items")

    @property
    def lines(self) -> list[str]:
        """The items, as they stand before anybody has moved one."""
        return list(self.items)

    @property
    def note(self) -> str:
        """What to do."""
        return "Put them in order, the first on top."

    def read(self, sent: Any) -> list[str]:
        """The items in the learner's order."""
        return self.take(sent)

    def take(self, value: Any) -> list[str]:
        """`value` from code or from the learner's file: all items, each once.

        Raises:
            ValueError: items are missing, or there are others.
        """
        given = [str(item) for item in value] if isinstance(value, list | tuple) else []
        if sorted(given) != sorted(self.items):
            raise ValueError(
                f"{self.question!r}: an answer is a list of {', '.join(self.items)}, each once, in "
                f"their order, not {value!r}"
            )
        return given

    def words(self, value: Sequence[str], beside: Sequence[str] | None = None) -> str:
        """The items one after the other."""
        return ", then ".join(value)

    def judge(self, answer: Sequence[str], truth: Sequence[str]) -> Verdict:
        """Whether the orders are the same, else which pairs are swapped."""
        place = {item: i for i, item in enumerate(answer)}
        pairs = list(combinations(truth, 2))
        swapped = [pair for pair in pairs if place[pair[0]] > place[pair[1]]]
        if not swapped:
            return Verdict(True, "Right, all in this order.")
        named = [f"{first} before {second}" for first, second in swapped[:LISTED]]
        more = [f"{len(swapped) - LISTED} more"] if len(swapped) > LISTED else []
        verb = "is" if len(swapped) == 1 else "are"
        return Verdict(
            False,
            f"{len(swapped)} of {len(pairs)} pairs {verb} swapped; it is {_joined(named + more)}.",
        )


Question: TypeAlias = Number | Choice | Order


def _check_question(question: str) -> None:
    if not question.strip():
        raise ValueError("a question needs words: give the sentence that the learner reads")


def _check_list(question: str, entries: Sequence[str], what: str) -> None:
    if isinstance(entries, str) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError(f"{question!r}: give the {what} as a list of texts")
    if len(entries) < 2:
        raise ValueError(f"{question!r}: give two {what} or more")
    if twice := sorted({entry for entry in entries if list(entries).count(entry) > 1}):
        raise ValueError(f"{question!r}: {what} that stand there twice: {', '.join(twice)}")


def register(asked: dict[str, Any], name: str, asking: Any) -> None:
    """Enter what is asked under a name; the same may be entered again, as a cell may be run again.

    Raises:
        ValueError: the name asks something else already.
    """
    if asked.setdefault(name, asking) != asking:
        raise ValueError(f"{name!r} asks two things: give each question a name of its own")


def told(value: Any) -> Any:
    """`value` as JSON knows it, where its question is not known: a text, texts or a number."""
    if isinstance(value, str):
        return value
    return [str(item) for item in value] if isinstance(value, list | tuple) else _as_number(value)


def told_words(value: Any) -> str:
    """What `told` returns, in words."""
    if isinstance(value, str):
        return value
    return ", then ".join(value) if isinstance(value, list) else _digits(value)


def _joined(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def as_shown(answer: Any) -> Any:
    """An answer as a form's controls take it: a number as text."""
    return f"{answer:.12g}" if isinstance(answer, float) else answer


def _as_number(value: Any) -> float:
    if not isinstance(value, str | bool | np.bool_):
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):  # torch has the last for many numbers
            pass
    raise ValueError(f"a number is needed here, not {value!r}")


def _fraction(text: str) -> float | None:
    found = FRACTION.fullmatch(text.replace("\N{MINUS SIGN}", "-"))
    if not found or (found[2] and not float(found[2])):
        return None
    value = float(found[1]) / float(found[2] or 1)
    return value if math.isfinite(value) else None


def _no_number(typed: str, examples: str) -> str:
    if not typed:
        return f"Write a number first, for example {examples}."
    shown = typed if len(typed) <= 40 else typed[:40] + "…"
    if "," in typed:
        return (
            f"“{shown}” can be read in two ways: write it with a point, and nothing for thousands."
        )
    return f"“{shown}” is not a number that can be read here. Write it like {examples}."


def _ratio(one: float, other: float) -> float | None:
    """How many times the larger holds the smaller; None where no factor leads from one to one."""
    if not one or not other or (one > 0) != (other > 0):
        return None
    return max(one / other, other / one)


def _digits_apart(value: float, other: float) -> str:
    for figures in (4, 6, 9, 12):
        if _digits(value, figures) != _digits(other, figures) or value == other:
            return _digits(value, figures if value != other else 4)
    return repr(value)


def _digits(value: float, figures: int = 4) -> str:
    """A number in so many significant figures; what stands before the point is never cut."""
    if float(value).is_integer():
        return str(int(value)) if abs(value) < 1e9 else f"{value:.{figures}g}"
    return f"{value:.0f}" if 10**figures <= abs(value) < 1e9 else f"{value:.{figures}g}"
