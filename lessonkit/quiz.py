"""The quiz: ten questions from the self-checks of all lessons begun, those answered wrong sooner.

    from lessonkit import quiz
    quiz.show()                  # in a notebook; python -m grader quiz asks in a terminal

The questions are those of the lessons' notebooks, with what stands above them there. A question
answered right comes back after 1, 3, 7 and at last every 21 days; one answered wrong is due now.
The first answer of a sitting counts.
"""

from __future__ import annotations

import ast
import json
import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from pathlib import Path
from typing import Any

from IPython.display import display

from lessonkit import selfcheck, state
from lessonkit.form_widget import Text, paragraph
from lessonkit.forms import Choice, Order, Question
from lessonkit.selfcheck import CheckForm, Key, SelfCheck, right

SECTION = "quiz"
"""The section of the learner's file; a key is `lesson/name`, a record has `box`, how often in a row
the answer was right (at most 4), and `due`, the day from which the question is asked again."""

EXERCISES = "exercises"  # the section in which checks keep what was met
LESSONS = Path(__file__).parents[1] / "lessons"
ASKS = re.compile(r"^selfcheck\.", re.MULTILINE)
DAYS = (0, 1, 3, 7, 21)  # until the next time, by box
COUNT = 10
NOTHING = "Nothing to ask yet: answer a self-check at the end of a lesson, or meet an exercise."
OWN_OUTPUTS = 2  # of a self-check in its cell: the form, and the line under it


@dataclass(frozen=True)
class Asked:
    """A question of a lesson, its key, and what its cell shows above it."""

    name: str  # lesson/name
    question: Question
    key: Key
    shown: tuple[Text, ...] = ()


class QuizForm(CheckForm):
    """The form of one question. A sitting begins without an answer, and its first one counts."""

    counted: bool | None = None

    @property
    def last(self) -> Any:
        """None: what was answered in the lesson is not shown."""
        return None

    def standing(self) -> str:
        """How the answer that counts was, and when the question comes back."""
        if self.counted is None:
            return "Not answered yet."
        return "Right at once." if self.counted else "Not right at once: it comes back first."

    def keep(self, answer: Any, right: bool) -> str:
        """Keep the first answer of the sitting."""
        if self.counted is not None:
            return ""
        self.counted = right
        return state.change(SECTION, self.name, lambda record: _moved(record, right))


class _Gathering(SelfCheck):
    """Takes the questions of a lesson as they are asked, and shows none."""

    def ask(self, name: str, question: Question, key: Key) -> None:
        """Take a question."""
        self.taken = Asked(f"{self.lesson}/{name}", question, key)


def questions(lesson: str, folder: Path = LESSONS) -> Iterator[Asked]:
    """The self-checks in a lesson's notebook; a cell that was changed and does not run is left out.

    Nothing comes of a notebook that is not there or cannot be read.
    """
    try:
        cells = json.loads((folder / f"{lesson}.ipynb").read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and ASKS.search(source):
            yield from _question(lesson, source, cell.get("outputs", [])[:-OWN_OUTPUTS])


def _question(lesson: str, source: str, outputs: Sequence[Any]) -> Iterator[Asked]:
    gathering = _Gathering(lesson)
    names = {"selfcheck": gathering, "right": right, "math": math}
    try:
        *before, call = ast.parse(source).body
        eval(compile(ast.Expression(call.value), lesson, "eval"), names)  # type: ignore[attr-defined]
        asked = gathering.taken
    except Exception:
        return  # its numbers are computed in the lesson, or a learner changed the cell
    if len(outputs) or not before:
        yield Asked(asked.name, asked.question, asked.key, tuple(map(_text, outputs)))


def _text(output: Any) -> Text:
    plain = "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
    shown = "".join(output.get("data", {}).get("text/html", ""))
    return Text(shown or f"<pre>{escape(plain)}</pre>", plain)


def begun() -> list[str]:
    """Lessons of which a self-check was answered, or an exercise tried."""
    keys = [*state.records(selfcheck.SECTION), *state.records(EXERCISES)]
    return sorted({key.partition("/")[0] for key in keys})


def sitting(today: date | None = None, folder: Path = LESSONS) -> list[Asked]:
    """The questions to ask now, ten at most: those longest due first, then those missed before."""
    day = (today or date.today()).isoformat()
    kept, checks = state.records(SECTION), state.records(selfcheck.SECTION)
    pool = [asked for lesson in begun() for asked in questions(lesson, folder)]
    random.Random(day).shuffle(pool)

    def turn(asked: Asked) -> tuple[str, int]:
        record = kept.get(asked.name, {})
        known = checks.get(asked.name, {}).get("right_at_try") == 1
        return str(record.get("due", day)), _box(record) if record else int(known)

    return sorted(pool, key=turn)[:COUNT]


def _moved(record: state.Record, right: bool, today: date | None = None) -> state.Record:
    box = min(_box(record) + 1, len(DAYS) - 1) if right else 0
    due = (today or date.today()) + timedelta(days=DAYS[box])
    return {"box": box, "due": due.isoformat()}


def _box(record: state.Record) -> int:
    box = record.get("box", 0)
    return box if isinstance(box, int) and 0 <= box < len(DAYS) else 0


def show() -> None:
    """Display the quiz as forms."""
    asked = sitting()
    if not asked:
        display(paragraph(NOTHING))
    for one in asked:
        for text in one.shown:
            display(text)
        QuizForm(one.name, one.question, one.key).show()


def in_terminal(read: Callable[[str], str] = input, say: Callable[[str], object] = print) -> None:
    """Ask the quiz line by line; an empty answer leaves a question, the end of input the quiz."""
    asked = sitting()
    forms = [QuizForm(one.name, one.question, one.key) for one in asked]
    if not asked:
        say(NOTHING)
        return
    for number, (one, form) in enumerate(zip(asked, forms, strict=True), start=1):
        for text in one.shown:
            say(text.plain)
        say(f"\n{number} of {len(asked)} ({one.name.partition('/')[0]}): {_in_lines(form)}")
        try:
            say(_answered(form, read, say))
        except (EOFError, KeyboardInterrupt):
            break
    counted = [form.counted for form in forms if form.counted is not None]
    say(f"\nRight: {sum(counted)} of {len(counted)}. Those answered wrong come back first.")


def _in_lines(form: QuizForm) -> str:
    """A question and its numbered options or items."""
    lines = [f"  {number}. {line}" for number, line in enumerate(form.asked["lines"], start=1)]
    return "\n".join([form.question.question, *lines, _how_to_answer(form.question)])


def _how_to_answer(question: Question) -> str:
    if isinstance(question, Choice):
        return "Type the number of your answer."
    if isinstance(question, Order):
        return "Type all numbers in order, such as 2 1 3."
    return question.note


def _answered(form: QuizForm, read: Callable[[str], str], say: Callable[[str], object]) -> str:
    """What there is to say to the answer that is typed, once it can be read."""
    while typed := read("> ").strip():
        try:
            answer = form.question.read(_meant(form, typed))
        except ValueError as error:
            say(str(error))
            continue
        words = form.respond(answer)
        return words if form.counted else f"{words} The answer: {form.hidden()}"
    return f"Left. The answer: {form.hidden()}"


def _meant(form: QuizForm, typed: str) -> Any:
    """What was typed as the form's controls would send it."""
    lines = form.asked["lines"]
    if not lines:
        return typed
    numbers = [int(word) for word in re.findall(r"\d+", typed)]
    chosen = [lines[number - 1] for number in numbers if 0 < number <= len(lines)]
    wanted = len(lines) if isinstance(form.question, Order) else 1
    if not len(chosen) == len(numbers) == wanted:
        raise ValueError(f"{typed!r} does not name what is listed. {_how_to_answer(form.question)}")
    return chosen if isinstance(form.question, Order) else chosen[0]
