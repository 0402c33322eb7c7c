"""What is done is kept and told, right answers come after a pass, and a reset loses nothing."""

import dataclasses
import shutil

import nbformat
import pytest

from grader import NotAttempted, answers, check, hint, next, status
from grader.__main__ import main
from grader.checking import registry
from grader.harvesting import views
from grader.learning import comparing, progress
from grader.learning.resetting import reset
from lessonkit import state
from tests import ROOT


def are_dead(units):
    return [all(z <= 0 for z in unit) for unit in units]


def stub(units):
    raise NotAttempted


def never(units):
    return [False for _ in units]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(state.VARIABLE, str(tmp_path / "learner"))
    return tmp_path / "learner"


def test_the_way_of_an_exercise_is_kept_and_told(tmp_path, monkeypatch):
    assert check(stub, "are_dead").so_far == "" and state.records(progress.SECTION) == {}
    assert check(never, "are_dead").so_far == ""
    assert "next:" not in str(check(never, "are_dead"))
    assert [str(hint("are_dead"))[:11] for _ in range(3)] == [
        "Hint 1 of 2",
        "Hint 2 of 2",
        "Hint 1 of 2",
    ]
    passed = check(are_dead)
    told = "1 of 7 in this lab; next: `find_dead_units`."
    assert passed.so_far == told and str(passed).rstrip().endswith(told)
    assert "<code>find_dead_units</code>" in passed._repr_html_()
    check(never, "are_dead")
    record = state.records(progress.SECTION)["02_dead_relu/are_dead"]
    assert record["tries"] == 4 and record["earned"] == 6 and record["hints"] == 3
    shutil.move(tmp_path / "learner", tmp_path / "elsewhere")
    monkeypatch.setenv(state.VARIABLE, str(tmp_path / "elsewhere"))
    row = next_row(str(status()), "02_dead_relu")
    assert row == ["02_dead_relu", "1", "of", "7", "2", "0"]
    assert "<td>1 of 7</td>" in status()._repr_html_()


def next_row(table, first):
    (row,) = [line.split() for line in table.splitlines() if line.startswith(first)]
    return row


def meet(*entries):
    for entry in entries:
        key = f"{entry.lab}/{entry.name}"
        state.change(progress.SECTION, key, lambda record: {**record, "met": "2026-01-01"})


def test_what_comes_next_is_in_this_lab_then_in_the_course():
    entries = [standing.entry for standing in progress.standings()]
    lab = [entry for entry in entries if entry.lab == "02_dead_relu"]
    assert f"`{entries[0].name}`" in repr(next())
    meet(*lab[2:])
    assert progress.so_far(lab[-1]) == f"5 of 7 in this lab; next: `{lab[0].name}`."
    meet(*lab)
    assert f"7 of 7 in this lab; next: lab {entries[0].lab}" in progress.so_far(lab[0])
    meet(*entries)
    assert repr(next()) == "All exercises of the course are met."
    assert progress.so_far(lab[0]).endswith("All exercises of the course are met.")


def test_what_the_course_solved_and_what_a_grader_drew_is_not_the_learners(monkeypatch):
    assert check(are_dead, seed=7).so_far == ""
    monkeypatch.chdir(ROOT / "solutions")
    assert check(are_dead).so_far == ""
    assert state.records(progress.SECTION) == {}


def test_right_answers_come_after_a_pass_and_say_what_differs():
    with pytest.raises(comparing.NotYet, match=r"after a pass. Run check\(are_dead\) first"):
        answers("are_dead")
    check(are_dead)
    shown = answers(are_dead)
    assert shown.rights[0].heading == "The reference"
    assert len(shown.rights) == 3 and shown.rights[0].differs == ""
    assert all(
        "def " in right.source and "yours has" in right.differs for right in shown.rights[1:]
    )
    assert shown._repr_html_().count("<details>") == 3
    exercise = registry.find("are_dead")
    words = [dataclasses.replace(m, specimen=None) for m in exercise.misconceptions]
    with pytest.raises(comparing.NotYet, match="holds no answers"):
        comparing.compared(dataclasses.replace(exercise, misconceptions=words), are_dead)


def test_a_difference_names_what_either_lacks():
    loop = "def f(x):\n    for y in x: print(y)"
    assert comparing.difference(loop, "f = lambda x: sum(x)") == (
        "It has a loop, `print`; yours has a `lambda`, `sum`."
    )
    assert comparing.difference("f = 1", loop) == "It does without a loop, `print`."
    assert comparing.difference(loop, "f = 1") == "It has a loop, `print`; yours does without."
    assert comparing.difference(loop, loop) == comparing.difference(loop, "") == ""


def test_a_reset_brings_back_the_cell_and_keeps_the_learners(tmp_path, place, capsys):
    meet(*(standing.entry for standing in progress.standings()))
    path = shutil.copy(ROOT / "labs" / "02_dead_relu.ipynb", tmp_path)
    shipped = [cell.source for cell in nbformat.read(path, 4).cells]
    mine = "def are_dead(units):\n    return [False]\n"
    asked = views.stub(registry.find("are_dead"))
    write(path, [mine if source == asked else source for source in [*shipped, mine]])
    told = reset("02:are_dead", tmp_path)
    assert [cell.source for cell in nbformat.read(path, 4).cells] == shipped
    (copy,) = (place / "copies").iterdir()
    assert str(copy) in told and copy.name.startswith("02_dead_relu 20")
    assert [cell.source for cell in nbformat.read(copy, 4).cells].count(mine) == 2
    assert next_row(str(status()), "02_dead_relu")[1] == "6"

    write(path, [source for source in shipped if not source.startswith("def ")])
    reset("02", tmp_path)
    assert [cell.source for cell in nbformat.read(path, 4).cells] == shipped
    assert len(list((place / "copies").iterdir())) == 2
    for wrong, words in {"9": "no lab '9'", "02:swim": "no exercise 'swim'"}.items():
        assert main(["reset", wrong]) == 2
        assert words in capsys.readouterr().err


def write(path, sources):
    cells = [
        (
            nbformat.v4.new_code_cell
            if not source.startswith("#")
            else nbformat.v4.new_markdown_cell
        )(source)
        for source in sources
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
