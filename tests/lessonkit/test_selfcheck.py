"""Self-checks: answers are explained, results are kept, and no kernel is needed to read them."""

import re

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from lessonkit import selfcheck, state
from lessonkit.form_widget import CHANGED
from lessonkit.selfcheck import SelfCheck, right

KEY = "00_test/q"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(state.VARIABLE, str(tmp_path / "learner"))


@pytest.fixture(autouse=True)
def notebook():
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.fixture
def script(notebook):
    """No shell, as where a source runs as a script."""
    InteractiveShell.clear_instance()


class Asked:
    """One question as a page has it: its form and its two outputs."""

    def __init__(self, kind, *arguments, **named):
        made = []
        show = selfcheck.CheckForm.show
        with pytest.MonkeyPatch.context() as patch, capture_output() as captured:
            patch.setattr(selfcheck.CheckForm, "show", lambda form: (made.append(form), show(form)))
            getattr(SelfCheck("00_test"), kind)("q", *arguments, **named)
        (self.form,) = made
        self.static, self.line = (out.data for out in captured.outputs)

    def press(self, answer):
        sent = []
        self.form.send = sent.append
        with capture_output() as captured:
            self.form._receive(self.form, {"answer": answer}, [])
        self.line = captured.outputs[-1].data if captured.outputs else self.line
        return sent[0]["words"]


def a_share():
    wrong = {0.0: "Some are dead.", 1: "That is the number, not the share."}
    return Asked("number", "Which share?", answer=0.01, within=0.002, why="1 of 100.", wrong=wrong)


def a_choice():
    options = {"the bias": "It is frozen.", "all": "One is frozen.", "none": right("All are.")}
    return Asked("choice", "Which moves?", options)


def an_order():
    return Asked("order", "Largest first", ["images", "weights", "biases"], why="Count them.")


# --- replies


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("1 %", "Right. 1 of 100."),
        ("0.0119", "Right. 1 of 100."),
        ("0", "Not yet. Some are dead."),
        ("1", "Not yet. That is the number, not the share."),
        ("0.5", "Not yet. Too high."),
        ("0.005", "Not yet. Too low."),
    ],
)
def test_wrong_numbers_are_told_apart(typed, words):
    assert a_share().press(typed) == words


def test_each_option_has_its_explanation():
    asked = a_choice()
    replies = {option: asked.press(option) for option in asked.form.asked["lines"]}
    assert replies == {
        "the bias": "Not yet. It is frozen.",
        "all": "Not yet. One is frozen.",
        "none": "Right. All are.",
    }


def test_an_order_names_what_is_swapped():
    asked = an_order()
    swapped = asked.press(["images", "biases", "weights"])
    assert swapped == "Not yet. 1 of 3 pairs is swapped; it is weights before biases."
    assert asked.press(["images", "weights", "biases"]) == "Right. Count them."


def test_an_order_is_never_shown_in_the_right_one_and_the_same_way_each_time():
    for count in (2, 3, 4):
        items = [f"item {i}" for i in range(count)]
        first, second = (
            Asked("order", f"q{count}", items, why="Because.").form.asked["lines"] for _ in range(2)
        )
        assert first == second != items and sorted(first) == items


def test_the_answer_is_offered_after_a_wrong_try_and_not_before():
    asked = a_share()
    assert asked.form.solution == "" and "1 of 100" not in str(asked.form.get_state(["asked"]))
    asked.press("many")
    assert asked.form.solution == ""
    asked.press("0.5")
    assert asked.form.solution == "0.01. 1 of 100."


# --- results


def test_the_last_answer_the_tries_and_the_first_success_are_kept():
    asked = a_choice()
    for option in ("all", "none", "the bias"):
        asked.press(option)
    assert state.records(selfcheck.SECTION)[KEY] == {
        "answer": "the bias",
        "tries": 3,
        "right_at_try": 2,
    }


def test_nonsense_is_no_try():
    a_share().press("many")
    assert state.records(selfcheck.SECTION) == {}


def test_the_last_answer_is_there_again():
    assert a_share().line["text/plain"] == "Not answered yet."
    asked = a_share()
    asked.press("0.5")
    assert asked.line["text/plain"] == "Your answer: 0.5 (not right yet)."
    a_share().press("0.01")
    again = a_share()
    assert again.form.answer == "0.01" and again.line["text/plain"] == "Your answer: 0.01 (right)."


# --- without a kernel


@pytest.mark.parametrize("ask", [a_share, a_choice, an_order])
def test_question_and_options_are_text_and_the_answer_is_folded(ask):
    first, second = ask(), ask()
    assert {k: v for k, v in first.static.items() if "widget" not in k} == {
        k: v for k, v in second.static.items() if "widget" not in k
    }
    markup, plain = first.static["text/html"], first.static["text/plain"]
    shown, folded = markup.split(">The answer</summary>")
    why = first.form.key.why
    assert why in folded and why not in shown
    assert plain.endswith(why) and plain.startswith("Check yourself. ")
    assert all(f"<li>{line}</li>" in shown for line in first.form.asked["lines"])


def test_a_reply_changes_nothing_of_what_is_stored_without_a_kernel():
    asked = a_share()
    before = asked.static["text/html"]
    asked.press("0.5")
    assert a_share().static["text/html"] == before
    assert not re.search("[0-9a-f]{16}", before)


# --- what an author has to mend


SPOILT = pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda c: c.choice("q", "?", {"a": "no", "b": "no"}), "mark one option"),
        (lambda c: c.choice("q", "?", {"a": right("x"), "b": right("y")}), "mark one option"),
        (lambda c: c.choice("q", "?", {"a": right("x"), "b": " "}), "sentence that explains"),
        (lambda c: c.choice("q", "?", {"a": right("x")}), "two options or more"),
        (lambda c: c.order("q", "?", ["a", "a"], why="x"), "stand there twice: a"),
        (lambda c: c.order("q", "?", ["a", "b"], why=""), "sentence that explains"),
        (lambda c: c.number("q", "?", answer=1, why="x"), "within=10 or with factor=2"),
        (lambda c: c.number("q", "?", answer="1", within=1, why="x"), "a number is needed"),
        (
            lambda c: c.number("q", "?", answer=1, within=1, why="x", wrong={2: "y"}),
            "2 is in `wrong`, and counts as right",
        ),
    ],
)


@SPOILT
def test_a_script_cannot_ask_what_cannot_be_answered(script, act, words):
    with pytest.raises(ValueError, match=re.escape(words)), capture_output():
        act(SelfCheck("00_test"))


@SPOILT
def test_in_a_notebook_a_sentence_says_that_a_question_was_spoilt(act, words):
    (told,) = told_by(act, SelfCheck("00_test"))
    assert told.startswith(f"{CHANGED}, and cannot be asked") and words in told


def told_by(act, check):
    with capture_output() as captured:
        act(check)
    return [out.data["text/plain"] for out in captured.outputs]


def in_order(check):
    check.order("q", "?", ["a", "b"], why="x")


def the_other_way_round(check):
    check.order("q", "?", ["b", "a"], why="x")


def test_a_cell_may_run_twice_and_one_that_was_changed_is_asked_as_it_stands():
    check = SelfCheck("00_test")
    assert [len(told_by(in_order, check)) for _ in range(2)] == [2, 2]
    words, form, _ = told_by(the_other_way_round, check)
    assert words == f"{CHANGED}: it is asked as it stands here now." and "Check yourself." in form
    assert "The answer: b, then a. x" in form


def test_a_script_asks_one_thing_under_a_name(script):
    check = SelfCheck("00_test")
    in_order(check)
    with pytest.raises(ValueError, match="'q' asks two things"):
        the_other_way_round(check)
