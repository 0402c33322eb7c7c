"""Feedback says what happened in words, in a terminal and in a notebook."""

import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell, new_notebook, writes
from torch.nn import BatchNorm1d

from grader import NotAttempted, check, hint
from grader.checking import book, registry
from grader.checking.registry import UnknownExercise
from grader.harvesting.cells import Unusable, unreadable
from grader.judging.feedback import as_html, as_text
from grader.judging.run import FRAMES
from grader.running.notebook import check_notebooks


def trainable_fraction(model):
    print("nothing returned")


def test_a_missing_return_is_asked_about():
    words = " ".join(str(check(trainable_fraction)).split())
    assert "Is a `return` missing?" in words


def test_a_traceback_shows_the_authors_frames_only():
    def broken(model):
        import torch

        return torch.zeros(2) @ torch.zeros(3, 3, 3, 3)[model]

    feedback = check(broken, "trainable_fraction")
    outcome = feedback.report.outcomes[0]
    assert outcome.verdict == "raised" and "in broken" in outcome.trace
    assert outcome.trace.count("File ") == 1
    html = as_html(feedback)
    assert html.index("your code raised") < html.index("<details>") < html.index("Traceback")


def test_one_cause_is_told_once():
    def misspelt(model):
        print("seen")
        return modle.parameters()  # noqa: F821

    feedback = check(misspelt, "trainable_fraction")
    text, html = str(feedback), as_html(feedback)
    assert text.count("NameError") == html.count("NameError") == 1
    assert text.count("Printed:") == text.splitlines().count("    seen") == 1
    cases = registry.find("trainable_fraction").cases(book.PUBLIC_SEEDS)
    assert f"{len(cases) - 1} other" in text
    assert html.index("<summary>Printed") < html.index("seen\n(")


def test_what_was_printed_is_that_of_the_case_talked_about():
    def half(model):
        print("half")
        sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
        return sum(n for n, trainable in sizes if trainable) / sum(n for n, _ in sizes)

    def eager(model):
        print("eager")
        return (
            0.5 if any(isinstance(part, BatchNorm1d) for part in model.modules()) else half(model)
        )

    printed = str(check(eager, "trainable_fraction")).partition("Printed:")[2]
    assert "eager" in printed and "half" not in printed


def test_a_debugger_gets_the_screen_back(monkeypatch):
    screens = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: screens.append(sys.stdout))
    screen = sys.stdout

    def stops(model):
        breakpoint()

    check(stops, "trainable_fraction")
    assert screens and all(one is screen for one in screens)


def test_a_hint_breaks_between_words():
    assert hint("trainable_fraction")._repr_html_().startswith("<p")


def test_the_traceback_of_a_recursion_shows_its_end_only():
    def odd(model):
        return even(model)

    def even(model):
        return odd(model)

    outcome = check(even, "trainable_fraction").report.outcomes[0]
    assert "RecursionError" in outcome.seen and outcome.trace.count("File ") == FRAMES


@pytest.mark.parametrize("columns", [20, 60, 200])
def test_text_keeps_to_the_terminal(columns):
    lines = as_text(check(trainable_fraction), columns).splitlines()
    assert max(map(len, lines)) <= max(40, min(100, columns))


def test_html_escapes_what_a_learner_writes():
    def evil(model):
        raise ValueError("<script>alert(1)</script>")

    assert "<script>" not in as_html(check(evil, "trainable_fraction"))


def test_an_answer_by_any_name_is_matched_through_its_variable():
    scope = {"check": check, "NotAttempted": NotAttempted}
    exec("trainable_fraction = lambda model: 2.0\nfeedback = check(trainable_fraction)", scope)
    assert scope["feedback"].report.exercise == "trainable_fraction"


def test_misuse_is_explained():
    with pytest.raises(TypeError, match="without calling"):
        check(0.5)
    with pytest.raises(UnknownExercise, match="Did you mean trainable_fraction"):
        check(lambda model: 1, "trainable_fractions")
    with pytest.raises(TypeError, match=r"Say which it answers: check\(my_function, "):
        check(lambda model: 1)
    with pytest.raises(UnknownExercise, match=r"'Model'\. The command `python -m grader list`"):
        check(type("Model", (), {}))
    assert hint("trainable_fraction").startswith("Hint ")


@pytest.mark.parametrize("slip", ["check(lambda x: x)", "check(3)", "check(print)"])
def test_a_notebook_shows_a_slip_as_one_sentence(slip):
    code = f"from grader import check\n{slip}"
    run = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", code]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.stdout.count("\n") == 1 and done.stdout.endswith(".\n"), done.stdout


def checked(tmp_path, *cells):
    path = tmp_path / "mine.ipynb"
    path.write_text(writes(new_notebook(cells=[new_code_cell(cell) for cell in cells])))
    return {
        feedback.report.exercise: feedback.report for _, feedback in check_notebooks([path], seed=0)
    }


def test_what_was_not_found_is_said_with_the_reason(tmp_path):
    reports = checked(
        tmp_path,
        "def trainable_fraction(model): raise NotAttempted",
        "def my_zero_kernel(params, path): return params",
        "def swap_kernel(params, path, kernel)\n    return params",
    )
    assert "There is `my_zero_kernel`" in reports["zero_kernel"].missing
    assert "code cell 3, line 1: expected ':'" in reports["swap_kernel"].missing
    assert next(iter(reports)) == "trainable_fraction"


def test_a_file_that_python_cannot_read_says_where(tmp_path):
    with pytest.raises(Unusable, match="code cell 1, line 1"):
        checked(tmp_path, "def trainable_fraction(model) return 1")
    assert unreadable(["%time x = 1", "!ls", "x = 1"]) == []
