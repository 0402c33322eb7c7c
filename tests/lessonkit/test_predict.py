"""Predictions: how guesses are read, kept, shown beside what was measured, and listed."""

import html
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from lessonkit import predict, state
from lessonkit.form_widget import CHANGED
from lessonkit.forms import Choice, Number, Order
from lessonkit.predict import Predictions

HOW_MANY = "How many of the 128 units are dead?"
WHICH = "Which of the two moves?"
ORDER = "Which holds more numbers? The largest first."


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(state.VARIABLE, str(tmp_path / "learner"))
    return tmp_path / "learner"


@pytest.fixture(autouse=True)
def notebook():
    """A shell, in which cells are run in any order."""
    shell = InteractiveShell.instance()
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def script(notebook):
    """No shell, as where a source runs as a script."""
    InteractiveShell.clear_instance()


def asked():
    """Predictions of a kernel that has just run the cells that ask."""
    found = Predictions("00_test")
    with capture_output():
        found.number("count", HOW_MANY, unit="units", within=10)
        found.choice("which", WHICH, ["the weights", "the biases"])
        found.order("order", ORDER, ["biases", "weights", "images"])
    return found


def outputs(act, *arguments, **named):
    """The outputs of one call, as (HTML, plain text)."""
    with capture_output() as captured:
        act(*arguments, **named)
    assert not captured.stderr
    return [(out.data["text/html"], out.data["text/plain"]) for out in captured.outputs]


def shown(act, *arguments):
    ((_, plain),) = outputs(act, *arguments)
    return plain


def press(predictions, name, answer):
    """Do what the browser does when the button is pressed, and return the reply."""
    form, sent = predictions._forms[name], []
    form.send = sent.append
    with capture_output():
        form._receive(form, {"answer": answer}, [])
    (reply,) = sent
    return reply["words"]


# --- how a number is read


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("0.1", 0.1), (" 1e-3 ", 0.001), ("1/3", 1 / 3), ("1 / 4", 0.25), ("5 %", 0.05),
        ("5%", 0.05), ("-2", -2), ("\N{MINUS SIGN}2", -2), (".5", 0.5), ("3.", 3), ("+1E2", 100),
        ("1/3 %", 1 / 300), ("0", 0),
    ],
)  # fmt: skip
def test_a_number_is_read_as_people_write_it(typed, value):
    assert Number("?", within=1).read(typed) == pytest.approx(value)


@pytest.mark.parametrize(
    ("unit", "typed", "value"), [("units", "1 unit", 1), ("units", "7units", 7), ("%", "5 %", 5)]
)
def test_a_unit_may_be_written_too(unit, typed, value):
    assert Number("?", unit, within=1).read(typed) == value


NONSENSE = [
    "many", "1/0", "1e999", "nan", "inf", "1 2", "1,5", "1,000", "--1", "%", "/", "0x10", "1_000",
    "__import__('os')", "9" * 5000, "1/3/4", "½",
]  # fmt: skip


@pytest.mark.parametrize("typed", NONSENSE)
def test_nonsense_gets_a_sentence(typed):
    with pytest.raises(ValueError, match=r"^“.*(not a number|two ways).*\.$") as error:
        Number("?", within=1).read(typed)
    assert len(str(error.value)) < 150


@pytest.mark.parametrize("sent", ["", "  ", None])
def test_nothing_gets_a_sentence(sent):
    with pytest.raises(ValueError, match="Write a number first"):
        Number("?", within=1).read(sent)


def test_only_what_can_be_written_is_proposed():
    assert "%" in Number("?", within=1).examples
    assert "%" not in Number("?", "units", within=1).examples


def test_a_share_where_a_count_is_asked_gets_a_sentence():
    with pytest.raises(ValueError, match="in units, not in %"):
        Number("?", "units", within=1).read("5 %")


# --- how answers are judged


@pytest.mark.parametrize(
    ("tolerance", "guess", "truth", "words"),
    [
        ({"within": 10}, 33, 23, "Right within 10 units."),
        ({"within": 10}, 33.5, 23, "Too high by 10.5 units."),
        ({"within": 10}, 42, 23, "Too high by 19 units."),
        ({"within": 10}, 10, 23.0, "Too low by 13 units."),
        ({"within": 0}, 23, 23, "Right."),
        ({"within": 0}, 24, 23, "Too high by 1 unit."),
        ({"within": 0.2}, 0.3, 0.1, "Right within 0.2 units."),
        ({"within": 0.2}, 0.8, 0.6, "Right within 0.2 units."),
        ({"within": 10}, 33.00001, 23, "Too high by 10.00001 units."),
        ({"factor": 2}, 2e-3, 1e-3, "Right within a factor of 2."),
        ({"factor": 2}, 5e-4, 1e-3, "Right within a factor of 2."),
        ({"factor": 2}, 1e-4, 1e-3, "Too low by a factor of 10."),
        ({"factor": 2}, 0, 3, "Too low by 3 units."),
        ({"factor": 2}, 0, 0, "Right within a factor of 2."),
        ({"factor": 2}, -1, 1, "Too low by 2 units."),
        ({"within": 1}, 1, float("nan"), "What was measured is not a finite number"),
    ],
)
def test_a_number_is_judged(tolerance, guess, truth, words):
    verdict = Number("?", "units", **tolerance).judge(guess, truth)
    assert verdict.words.startswith(words)
    assert verdict.right == words.startswith("Right")


def test_two_numbers_that_differ_never_look_the_same():
    number = Number("?", within=0)
    pairs = [(0.604, 0.6040001), (12345.6, 12345.7), (1, 1 + 1e-12), (1e-9, 1.0000001e-9)]
    for one, other in pairs:
        assert number.words(one, other) != number.words(other, one)
    assert number.words(0.604166666) == "0.6042" and number.words(123456.0) == "123456"


def test_the_swapped_pairs_of_an_order_are_named():
    order = Order("?", ["a", "b", "c", "d"])
    assert order.judge(list("abcd"), list("abcd")).right
    assert (
        order.judge(list("bacd"), list("abcd")).words
        == "1 of 6 pairs is swapped; it is a before b."
    )
    assert order.judge(list("dcba"), list("abcd")).words == (
        "6 of 6 pairs are swapped; it is a before b, a before c, a before d and 3 more."
    )


# --- guess and measurement


def test_without_a_guess_the_measurement_stands_alone():
    words = shown(asked().measured, "count", 23)
    assert words == "Guess and measurement\nMeasured: 23 units. No guess was kept."


def test_guess_and_measurement_stand_side_by_side_and_the_first_line_tells_nothing():
    found = asked()
    assert press(found, "count", "42") == (
        "Kept: 42 units. You can change it until it is measured."
    )
    ((markup, plain),) = outputs(found.measured, "count", torch.tensor(23))
    assert plain.splitlines() == [
        "Guess and measurement", HOW_MANY, "your guess  42 units", "measured    23 units",
        "Too high by 19 units.",
    ]  # fmt: skip
    assert markup.startswith("Guess and measurement\n<p>How many")
    assert "42 units" in markup and "23 units" in markup


def test_choices_and_orders_are_compared_too():
    found = asked()
    press(found, "which", "the biases")
    press(found, "order", ["images", "biases", "weights"])
    assert "It is another option." in shown(found.measured, "which", "the weights")
    words = shown(found.measured, "order", ("images", "weights", "biases"))
    assert "1 of 3 pairs is swapped; it is weights before biases." in words


def test_nothing_says_true_or_false():
    found = asked()
    press(found, "which", "the biases")
    both = [*outputs(found.measured, "which", "the biases"), *outputs(found.summary)]
    assert not re.search("true|false", str(both), re.IGNORECASE)


def test_a_guess_can_be_changed_until_it_is_measured_and_then_stays():
    found = asked()
    for guess in ("1", "2"):
        press(found, "count", guess)
    assert "Your guess" not in shown(found.measured, "count", 30)
    assert found._forms["count"].closed
    words = press(found, "count", "30")
    assert words == "Kept: 2 units."
    assert "Too low by 28 units." in shown(found.measured, "count", 30)


def test_a_new_measurement_replaces_the_old_and_the_guess_stays():
    found = asked()
    press(found, "count", "20")
    shown(found.measured, "count", 23)
    assert "Too low by 40 units." in shown(found.measured, "count", 60)
    row = shown(found.summary).splitlines()[-3]
    assert row.split("  ")[0] == HOW_MANY and "20 units" in row and "60 units" in row


def test_a_guess_after_the_measurement_is_kept_as_such():
    found = asked()
    shown(found.measured, "count", 23)
    assert press(found, "count", "23") == f"Kept: 23 units. {predict.LATE}"
    assert "after it had been measured" in shown(found.measured, "count", 23)
    words = shown(found.summary)
    assert "after it had been measured" in words and "no guess to compare" in words


def test_nonsense_is_answered_and_nothing_is_kept():
    found = asked()
    assert "not a number" in press(found, "count", "many")
    assert "Choose one" in press(found, "which", None)
    assert "each once" in press(found, "order", ["biases"])
    assert state.records(predict.SECTION) == {}


# --- run again, in another order, on another day


def test_the_guess_is_there_again_in_another_kernel():
    press(asked(), "count", "1/2")
    again = Predictions("00_test")
    first, second = outputs(again.number, "count", HOW_MANY, unit="units", within=10)
    assert "0.5" not in first[1] and second[1] == "Your guess: 0.5 units."
    assert again._forms["count"].answer == "0.5" and not again._forms["count"].closed


def test_a_settled_guess_is_shown_as_settled_in_another_kernel():
    before = asked()
    press(before, "order", ["images", "biases", "weights"])
    shown(before.measured, "order", ["images", "biases", "weights"])
    form = asked()._forms["order"]
    assert form.answer == ["images", "biases", "weights"] and "stays as it is" in form.closed
    assert "were right: 1 of 1." in shown(asked().summary)


def test_measured_without_its_question_says_so():
    words = [
        shown(Predictions("00_test").measured, "any", value)
        for value in (0.5, np.float32(3), "the weights", ["b", "a"])
    ]
    assert all("No guess was asked for since the kernel started" in w for w in words)
    told = [w.splitlines()[1].split(". No guess")[0] for w in words]
    assert told == [f"Measured: {w}" for w in ("0.5", "3", "the weights", "b, then a")]


def test_a_summary_of_nothing_says_so():
    assert "Nothing was asked" in shown(Predictions("00_test").summary)


def test_a_guess_that_no_longer_answers_the_question_counts_as_none():
    found = Predictions("00_test")
    press(asked(), "count", "3")
    state.change(predict.SECTION, "00_test/count", lambda record: {**record, "measured": 3.0})
    with capture_output():
        found.choice("count", "Is it", ["this", "that"])
    assert found._forms["count"].answer is None
    assert press(found, "count", "this").startswith("Kept: this.")
    assert state.records(predict.SECTION)["00_test/count"]["guess"] == "this"


def test_where_nothing_can_be_kept_the_lesson_goes_on_and_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(state.VARIABLE, str(tmp_path / "file" / "learner"))
    found = asked()
    assert "Kept: 42 units." in press(found, "count", "42")
    assert "not kept when the kernel ends" in press(found, "count", "42")
    words = shown(found.measured, "count", 23)
    assert "Too high by 19 units." in words and "not kept when the kernel ends" in words


# --- what a learner may change


CHANGES = {
    "another tolerance": lambda p: p.number("count", HOW_MANY, unit="units", within=20),
    "another kind": lambda p: p.choice("count", HOW_MANY, ["none", "some"]),
    "another option": lambda p: p.choice("which", WHICH, ["the weights", "the momentum"]),
}
SPOILT = {
    "a tolerance below zero": lambda p: p.number("count", HOW_MANY, unit="units", within=-1),
    "a factor below one": lambda p: p.number("count", HOW_MANY, unit="units", factor=0.5),
    "an option twice": lambda p: p.choice("which", WHICH, ["the weights", "the weights"]),
    "one item": lambda p: p.order("order", ORDER, ["biases"]),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_question_that_was_changed_is_asked_as_it_stands(how):
    found = asked()
    (_, words), (_, form), _ = outputs(CHANGES[how], found)
    assert words == f"{CHANGED}: it is asked as it stands here now." and "Predict." in form
    assert len(outputs(CHANGES[how], found)) == 2  # the next time it is no news


def test_a_guess_is_judged_by_the_question_as_it_stands():
    found = asked()
    press(found, "count", "42")
    outputs(CHANGES["another tolerance"], found)
    assert "Right within 20 units." in shown(found.measured, "count", 23)


@pytest.mark.parametrize("how", SPOILT)
def test_a_question_that_was_spoilt_is_told_in_a_sentence(how):
    found = asked()
    words = shown(SPOILT[how], found)
    assert words.startswith(f"{CHANGED}, and cannot be asked") and len(words.splitlines()) == 1
    assert "No guess was kept." in shown(found.measured, "count", 23)  # the old one stands
    assert shown(SPOILT[how], Predictions("00_test")) == words


NO_ANSWERS = [
    ("count", "many"), ("count", True), ("count", None), ("count", torch.zeros(2)),
    ("which", "nothing {0}"), ("order", ["biases"]), ("order", "biases"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), NO_ANSWERS)
def test_a_measurement_that_is_none_of_the_options_is_told_and_not_kept(name, value):
    found = asked()
    words = shown(found.measured, name, value).splitlines()
    assert words[0] == predict.TITLE and words[1].startswith(f"Measured: {value}. It is none of")
    assert state.records(predict.SECTION) == {}


# --- what an author has to mend


def test_a_script_cannot_measure_what_it_has_not_asked():
    code = "from lessonkit.predict import Predictions; Predictions('00_test').measured('cuont', 3)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode and "nothing asks for it before: ask with" in done.stderr


@pytest.mark.parametrize(("name", "value"), NO_ANSWERS)
def test_a_script_cannot_measure_what_answers_nothing(script, name, value):
    question = {"count": HOW_MANY, "which": WHICH, "order": ORDER}[name]
    with pytest.raises(ValueError, match=re.escape(question)):
        asked().measured(name, value)


@pytest.mark.parametrize("how", {**CHANGES, **SPOILT})
def test_a_script_asks_one_thing_under_a_name_and_only_what_can_be_asked(script, how):
    with pytest.raises(ValueError, match=r"asks two things|^'.*\?"):
        {**CHANGES, **SPOILT}[how](asked())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Number(HOW_MANY),
        lambda: Number(HOW_MANY, within=1, factor=2),
        lambda: Number(HOW_MANY, within=-1),
        lambda: Number(HOW_MANY, factor=1),
        lambda: Number(HOW_MANY, within=float("nan")),
        lambda: Choice(HOW_MANY, ["a", "b", "a"]),
        lambda: Choice(HOW_MANY, ["a"]),
        lambda: Order(HOW_MANY, "ab"),
        lambda: Order(HOW_MANY, [1, 2]),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(make):
    with pytest.raises(ValueError, match=re.escape(HOW_MANY)):
        make()


def test_a_question_needs_words():
    with pytest.raises(ValueError, match="needs words"):
        Number(" ", within=1)


def test_a_cell_that_asks_may_run_twice():
    found = asked()
    assert len(outputs(found.choice, "which", WHICH, ["the weights", "the biases"])) == 2


# --- without a kernel


def test_a_question_reads_as_text_without_a_kernel_the_same_each_time():
    def made():
        return outputs(Predictions("a").choice, "n", "Is a < b & c?", ["<b>", "no"])

    assert made() == made()
    (markup, plain), (_, line) = made()
    assert plain.splitlines() == [
        "Predict. Is a < b & c?", "- <b>", "- no",
        "Choose one. In JupyterLab, run this cell to keep a guess.",
    ]  # fmt: skip
    assert html.escape("Is a < b & c?") in markup and "<li>&lt;b&gt;</li>" in markup
    assert line == "No guess is kept yet."
    assert not re.search("[0-9a-f]{16}", markup + plain)


def test_what_a_form_sends_to_its_page_is_json():
    found = asked()
    for form in found._forms.values():
        json.dumps([form.asked, form.answer, form.closed, form.solution])
