"""The quiz asks of lessons begun, and what was answered wrong comes back sooner."""

from datetime import date, timedelta

import pytest

from grader.__main__ import main
from lessonkit import quiz, selfcheck, state
from lessonkit.forms import Choice, Order

BEGUN = ["00_welcome", "02_dead_relu", "04_explicit_freezing"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(state.VARIABLE, str(tmp_path / "learner"))


def begin():
    for lesson in BEGUN[1:]:
        state.change(selfcheck.SECTION, f"{lesson}/any", lambda record: {"tries": 1})
    state.change(quiz.EXERCISES, f"{BEGUN[0]}/any", lambda record: {"tries": 1})


def typed(asked):
    """The right answer as one types it."""
    form = quiz.QuizForm(asked.name, asked.question, asked.key)
    lines, answer = form.asked["lines"], asked.key.answer
    if isinstance(asked.question, Choice):
        return str(lines.index(answer) + 1)
    if isinstance(asked.question, Order):
        return " ".join(str(lines.index(item) + 1) for item in answer)
    return repr(answer)


def wrong(asked):
    if isinstance(asked.question, Choice):
        return str(2 if typed(asked) == "1" else 1)
    return " ".join(reversed(typed(asked).split())) if isinstance(asked.question, Order) else "-77"


def test_the_questions_of_every_lesson_are_found():
    lessons = sorted(path.stem for path in quiz.LESSONS.glob("*.ipynb"))
    found = [asked for lesson in lessons for asked in quiz.questions(lesson)]
    assert len({asked.name for asked in found}) == len(found) >= 5 * len(lessons) - 3
    assert sum(bool(asked.shown) for asked in found) >= 5
    assert list(quiz.questions("99_none")) == []


def test_nothing_is_asked_before_a_lesson_is_begun(capsys):
    assert quiz.sitting() == []
    assert main(["quiz"]) == 0
    assert capsys.readouterr().out.strip() == quiz.NOTHING


def test_wrong_ones_come_back_sooner():
    begin()
    asked = quiz.sitting()
    assert len(asked) == quiz.COUNT
    assert {one.name.partition("/")[0] for one in asked} <= set(BEGUN)
    missed, *others = asked
    lines = iter(["nonsense", wrong(missed), *map(typed, others[:-1]), ""])
    said = []
    quiz.in_terminal(lambda prompt: next(lines), said.append)
    assert "Right: 8 of 9." in said[-1]
    words = "\n".join(said)
    assert "Not yet." in words and f"The answer: {missed.key.why}" not in words
    again = quiz.sitting()
    assert {missed.name, others[-1].name} <= {one.name for one in again}
    answered = {one.name for one in others[:-1]}
    assert len(answered & {one.name for one in again}) == 3  # 7 are due, and ten are asked
    assert missed.name == quiz.sitting(date.today() + timedelta(days=1))[0].name


def test_a_box_says_when_and_anything_may_stand_in_the_file():
    day, record = date(2026, 1, 1), {"box": "?"}
    dues = []
    for _ in range(5):
        record = quiz._moved(record, True, day)
        dues.append((date.fromisoformat(record["due"]) - day).days)
    assert dues == [1, 3, 7, 21, 21]
    assert quiz._moved(record, False, day) == {"box": 0, "due": "2026-01-01"}


def test_in_a_notebook_the_first_answer_of_a_sitting_counts():
    begin()
    one = next(asked for asked in quiz.sitting() if isinstance(asked.question, Choice))
    form = quiz.QuizForm(one.name, one.question, one.key)
    assert form.standing() == "Not answered yet."
    right, other = one.key.answer, next(o for o in one.question.options if o != one.key.answer)
    assert form.respond(other).startswith("Not yet.") and form.respond(right).startswith("Right.")
    assert state.records(quiz.SECTION)[one.name]["box"] == 0
    assert "comes back first" in form.standing()
