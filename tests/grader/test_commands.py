"""The grader's commands, run as their user runs them."""

import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from grader.__main__ import main
from grader.checking import registry
from grader.checking.cited import cited_exercises
from grader.harvesting.slices import slice_of
from grader.press import author
from grader.press.targets import targets
from grader.running.candidate import load
from grader.running.runner import Runner
from tests import ROOT

SOLUTION = ROOT / "solutions" / "04_explicit_freezing.ipynb"
LAB = ROOT / "labs" / "04_explicit_freezing.ipynb"


def by_lab():
    return sorted(registry.names(), key=lambda name: (registry.find(name).lesson, name))


def test_list_as_json_says_everything_about_each_exercise(capsys):
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == by_lab()
    for row in rows:
        exercise = registry.find(row["name"])
        assert row["points"] == exercise.points and row["lab"] == exercise.lesson
        assert set(row["misconceptions"]) == {m.belief for m in exercise.misconceptions}
        assert len(row["claims"]) == len(exercise.claims) and row["hints"] and row["section"]


def test_list_names_each_exercise_on_a_line(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(f" {name} " in line for name, line in zip(by_lab(), lines, strict=True))


LIGHTLY = """
import sys
from grader.__main__ import main
status = main(sys.argv[1:])
print([name for name in ("torch", "jax", "jupytext", "nbformat") if name in sys.modules])
sys.exit(status)
"""


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["export", "--lab", "04"]])
def test_what_is_only_told_brings_no_framework_along(tmp_path, command):
    """The gradebook that `export` asks for is not there, which it says in words."""
    told = subprocess.run(
        [sys.executable, "-c", LIGHTLY, *command],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert told.stdout.splitlines()[-1] == "[]", told.stderr
    assert told.returncode == (2 if command[0] == "export" else 0)


def test_the_solution_is_met_and_the_lab_is_not_attempted(capsys):
    assert main(["check", str(SOLUTION), "--json"]) == 0
    solved = json.loads(capsys.readouterr().out)
    assert main(["check", str(LAB), "--json"]) == 1
    unsolved = json.loads(capsys.readouterr().out)
    names = set(cited_exercises(ROOT / "labs" / "04_explicit_freezing.py"))
    assert {report["exercise"] for report in solved} == names
    assert {report["verdict"] for report in solved} == {"met"}
    assert {report["verdict"] for report in unsolved} == {"not attempted"}
    assert sum(report["earned"] for report in unsolved) == 0


def test_one_seed_gives_other_numbers_and_the_same_verdict(tmp_path, capsys):
    cells = [new_code_cell("import torch"), new_code_cell("def trainable_fraction(m): return 2.0")]
    path = tmp_path / "mine.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    seen = []
    for seed in ("7", "8"):
        assert main(["check", str(path), "--seed", seed]) == 1
        seen.append(capsys.readouterr().out)
    assert seen[0] != seen[1]
    assert "seed 7" in seen[0] and "No cell defines" in seen[0]


@pytest.mark.parametrize(
    "content, words",
    [
        ("", "is empty"),
        ("{}", "is JSON, but not a notebook"),
        ("print('no exercise here')", "defines no function of any exercise"),
    ],
)
def test_unusable_input_is_said_in_one_line(tmp_path, capsys, content, words):
    path = tmp_path / "mine.py"
    path.write_text(content)
    assert main(["check", str(path)]) == 2
    assert words in capsys.readouterr().err
    assert main(["check", str(tmp_path / "none.ipynb")]) == 2
    assert "is not there" in capsys.readouterr().err


def answers(name, source):
    """What the checker says of this source for the exercise `name`."""
    exercise = registry.find(name)
    with Runner(time_limit=20) as runner:
        first = runner.observe(name, slice_of([source], name), exercise.cases((0,)))
        second = runner.observe(name, slice_of(SOLUTION_CELLS, name), exercise.cases((0,)))
    return first, second


SOLUTION_CELLS = [
    cell.source for cell in nbformat.read(SOLUTION, as_version=4).cells if cell.cell_type == "code"
]


@pytest.mark.parametrize(
    "body, kind",
    [
        ("import os; os._exit(3)", "Ended"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "Ended"),
        ("while True: pass", "TimeLimit"),
        ("raise SystemExit(0)", "SystemExit"),
        ("raise KeyboardInterrupt", "Ended"),
        ("print('forged', flush=True); raise OverflowError", "OverflowError"),
    ],
)
def test_an_answer_that_ends_its_process_costs_no_other_answer(body, kind):
    source = f"def trainable_fraction(model):\n    {body}\n"
    first, second = answers("trainable_fraction", source)
    kinds = {getattr(observation, "kind", kind) for observation in first.values()}
    assert kinds == {kind} and any(hasattr(observation, "kind") for observation in first.values())
    assert all(hasattr(observation, "evidence") for observation in second.values())


def test_a_new_exercise_obeys_the_laws_of_form_and_fails_the_rest(tmp_path, capsys, monkeypatch):
    """In a copy of the project, so that the registry sees the new module."""
    copy = tmp_path / "course"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", "*.egg-info"))
    run = [sys.executable, "-m", "grader", "new", "count_sheep", "04"]
    done = subprocess.run(run, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0 and "Write the reference first" in done.stdout
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/grader/exercises/test_exercises.py",
    ]
    laws = subprocess.run(
        [*tests, "-k", "count_sheep"], cwd=copy, capture_output=True, text=True
    ).stdout
    assert "count_sheep has no reference yet: write it here" in laws
    assert "test_stub_is_not_attempted" not in laws.partition("short test summary")[2]
    assert "test_words_are_there" not in laws.partition("short test summary")[2]


@pytest.mark.parametrize("jobs", ["0", "-1", "many", ""])
def test_a_number_of_jobs_that_is_none_is_refused_in_words(jobs, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["grade", "in", "--lab", "04", f"--jobs={jobs}"])
    assert f"--jobs: {jobs!r} is no whole number of 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["Count", "2fast", "class", "with space", "freeze_first_dense"])
def test_a_bad_name_for_an_exercise_is_refused(name, capsys):
    assert main(["new", name, "04"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_skeleton_is_a_module(tmp_path):
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "12_sheep.py").touch()
    (tmp_path / "grader" / "exercises").mkdir(parents=True)
    path = author.create("count_sheep", "12", tmp_path)
    assert path.relative_to(tmp_path).parts[-2:] == ("c12_sheep", "count_sheep.py")
    namespace = {"__name__": "count_sheep"}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    assert namespace["EXERCISE"].name == "count_sheep"


def test_a_weave_of_an_unknown_topic_says_what_there_is(capsys):
    assert main(["weave", "99_nothing"]) == 2
    assert "04_explicit_freezing" in capsys.readouterr().err


def test_every_lab_has_its_solution():
    labels = {target.label for target in targets()}
    assert {"labs/04_explicit_freezing.ipynb", "solutions/04_explicit_freezing.ipynb"} <= labels


def test_load_reports_the_first_failure():
    with pytest.raises(ZeroDivisionError):
        load(["f = 1 / 0"], "f")
