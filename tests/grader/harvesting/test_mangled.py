"""Answers are found in notebooks that had a hard life, or it is said why they are not.

Two good notebooks are mangled in every way of `tests.mangle`: the course's solutions of lab 04,
and one that shows how differently answers can be written. What is found is held against what was
there: it must define the same function and bring along all that the function needs.
"""

import ast
import builtins
import csv
import json
import random
from pathlib import Path

import pytest

from grader.__main__ import main
from grader.checking import registry
from grader.classroom.collect.find import find
from grader.classroom.mark import lab
from grader.harvesting import views
from grader.harvesting.cells import Unusable
from grader.harvesting.harvester import Wish, fulfilled
from grader.harvesting.slices import Statement
from grader.running.candidate import load
from tests import ROOT
from tests.grader.harvesting import mangle
from tests.grader.harvesting.mangle import MANGLERS, SAVERS, code, prose
from tests.grader.sandbox.namespaces import needs_bubblewrap

SEEDS = range(4)
LAB = lab.find("04")

COURSE = [
    {"cell_type": cell["cell_type"], "source": "".join(cell["source"])}
    for cell in json.loads((ROOT / "solutions" / f"{LAB.name}.ipynb").read_text("utf-8"))["cells"]
]

STYLES = {
    "plain": ["def plain(x):\n    return x + 1"],
    "with_helpers": [
        "RATE = 2",
        "def doubled(x):\n    return RATE * x",
        "def with_helpers(x):\n    y = doubled(x) - x\n    return y + 1",
    ],
    "closed": [
        "def made(step):\n    def closed_in(x):\n        return x + step\n    return closed_in",
        "closed = made(1)",
    ],
    "decorated": [
        "import functools",
        "def counted(function):\n    @functools.wraps(function)\n    def inner(x):\n"
        "        inner.calls += 1\n        return function(x) + 1\n    inner.calls = 0\n"
        "    return inner",
        "@counted\ndef decorated(x):\n    return x",
    ],
    "partial_": [
        "from functools import partial",
        "def added(step, x):\n    return x + step",
        "partial_ = partial(added, 1)",
    ],
    "named": ["named = lambda x: x + 1"],
    "called": [
        "class Step:\n    size = 1\n\n    def __call__(self, x):\n        return x + self.size",
        "class Stride(Step):\n    def __call__(self, x):\n        return super().__call__(x)",
        "called = Stride()",
    ],
    "starred": ["from math import *", "def starred(x):\n    return floor(x) + 1"],
    "tabled": [
        "STEPS = {}",
        "STEPS['one'] = 1",
        "def tabled(x: 'int' = 0, *, table=STEPS) -> 'int':\n    return x + table['one']",
    ],
    "annotated": [
        "from dataclasses import dataclass",
        "@dataclass(frozen=True)\nclass Sum:\n    left: int\n    right: int = 1",
        "def annotated(x: int) -> int:\n    pair = Sum(x)\n    return pair.left + pair.right",
    ],
}
"""Answers by name, each adding one, and the cells that make them."""

VARIED = [
    prose("# My lab\n\nfrom me to you"),
    *(code(source) for cells in STYLES.values() for source in cells),
    code("check(plain)"),
    code("print(plain(3), with_helpers(3))"),
]

REFERENCES = {e.name: "".join(s.source for s in views.answer(e)) for e in LAB.exercises}


def harvest(name, content, names):
    return fulfilled(Wish(name, content, list(names)))


def saved(cells, saver, chance):
    return SAVERS[saver](cells, chance) if saver else mangle.plain(cells)


def definition(source, name):
    """The last definition of a function as a tree without positions, docstring or `pass`."""
    found = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    body = [node for node in found[-1].body[1:] if not isinstance(node, ast.Pass)]
    return [ast.dump(node) for node in body]


def assert_found(found, names):
    assert not found.unusable and not found.missing, (found.unusable, found.missing)
    assert found.answers.keys() == set(names)


def assert_course_is_found(file):
    """Every answer is the reference's, with all names that it looks up."""
    found = harvest(*file, REFERENCES)
    assert_found(found, REFERENCES)
    for name, answers in found.answers.items():
        for answer in answers:
            whole = "".join(answer)
            assert definition(whole, name) == definition(REFERENCES[name], name)
            assert not unbound([Statement(source) for source in answer], name)


def unbound(statements, name):
    """The names that an answer looks up and that nothing defines."""
    bound = {bound for statement in statements for bound in statement.binds}
    used = {used for statement in statements if name in statement.binds for used in statement.uses}
    return [used for used in used - bound if not hasattr(builtins, used)]


def works(answer, name):
    try:
        return load(answer, name)(3) == 4
    except Exception:
        return False


def assert_styles_are_found(file):
    """Every answer runs, and does what it did."""
    found = harvest(*file, STYLES)
    assert_found(found, STYLES)
    for name, answers in found.answers.items():
        assert any(works(answer, name) for answer in answers), name


GOOD = {"course": (COURSE, assert_course_is_found), "styles": (VARIED, assert_styles_are_found)}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("good", GOOD)
@pytest.mark.parametrize("kind", MANGLERS)
def test_answers_are_found_whatever_was_done_to_the_cells(kind, good, seed):
    cells, assert_all_found = GOOD[good]
    chance = random.Random(f"{kind} {seed}")
    assert_all_found(mangle.plain(MANGLERS[kind](cells, chance)))


@pytest.mark.parametrize("good", GOOD)
@pytest.mark.parametrize("kind", SAVERS)
def test_answers_are_found_however_the_file_was_saved(kind, good):
    cells, assert_all_found = GOOD[good]
    assert_all_found(SAVERS[kind](cells, random.Random(0)))


SEVERAL = 60
ACCIDENTS = ["duplicated", "stubs_below", "bare", "ids_all_alike", "odd_outputs", "prompts"]
ACCIDENTS += ["syntax_errors", "scratch_that_fails", "colab", "vscode"]
"""Kinds that may come together in one notebook."""


@pytest.mark.parametrize("seed", range(SEVERAL))
def test_answers_are_found_after_several_accidents(seed):
    chance = random.Random(seed)
    cells, assert_all_found = [*GOOD.values()][seed % 2]
    for kind in ("scratch_deleted", *chance.sample(ACCIDENTS, 2)):
        cells = MANGLERS[kind](cells, chance)
    saver = chance.choice(sorted(set(SAVERS) - {"with_fifty_megabytes_of_outputs"}))
    assert_all_found(saved(cells, saver, chance))


def test_these_are_three_hundred_notebooks_and_more():
    count = len(GOOD) * (len(MANGLERS) * len(SEEDS) + len(SAVERS)) + SEVERAL
    said = (ROOT / "docs" / "grading.md").read_text("utf-8")
    assert count >= 300 and f"{count} mangled notebooks" in said


# What cannot be found costs its own points and no others, and says why


def without(name):
    return [cell for cell in COURSE if f"def {name}(" not in cell["source"]]


def with_answer(name, change):
    return [
        {**cell, "source": change(cell["source"])} if f"def {name}(" in cell["source"] else cell
        for cell in COURSE
    ]


SPOILED = {
    "deleted": (lambda source: "", "No cell defines `{}`."),
    "renamed": (lambda s: s.replace("def ", "def my_"), "There is `my_{}`: was it renamed?"),
    "commented out": (mangle.commented, "No cell defines `{}`."),
    "in a string": (lambda source: repr(source), "No cell defines `{}`."),
    "a typo in it": (lambda s: s.replace("):", ")", 1), "Python cannot read code cell"),
    "a bracket too many": (lambda s: s + "\n)\n", None),
    "half of it gone": (lambda s: s[: s.index('"""')] + '"""Half', "Python cannot read code cell"),
    "half merged by git": (
        lambda s: s.replace("def ", "<<<<<<< HEAD\ndef ").replace('"""\n', '"""\n=======\n', 1),
        "Python cannot read code cell",
    ),
    "under a shell's magic": (lambda s: f"%%bash\n{s}", "No cell defines `{}`."),
    "text in place of code": (lambda source: "I could not do this one, sorry", "No cell defines"),
}
"""What happens to one answer, and the reason its author reads; None where it is found all the same.
"""


@pytest.mark.parametrize("name", ["freeze_by_path", "zero_kernel", "take_frozen_step"])
@pytest.mark.parametrize("accident", SPOILED)
def test_a_spoiled_answer_costs_its_own_points_only(accident, name):
    change, reason = SPOILED[accident]
    found = harvest(*mangle.plain(with_answer(name, change)), REFERENCES)
    whole = harvest(*mangle.plain(COURSE), REFERENCES)
    others = REFERENCES.keys() - {name}
    assert {n: found.answers[n] for n in others} == {n: whole.answers[n] for n in others}
    if reason is None:
        assert found.answers[name] == whole.answers[name]
    else:
        assert found.missing.keys() == {name} and reason.format(name) in found.missing[name]


FILES = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\n", "is empty"),
    "cut short": (mangle.plain(COURSE)[1][:-1000], "not JSON"),
    "a conflict of git": (b"<<<<<<< HEAD\n" + mangle.plain(COURSE)[1], "merge conflict"),
    "other JSON": (b'{"name": "lab"}', "no list of cells"),
    "a list": (b"[1, 2]", "no list of cells"),
    "cells that are no list": (b'{"cells": 3}', "no list of cells"),
    "not a cell": (b'{"cells": []}', "defines none of the functions asked for"),
    "Latin 1": ('{"cells": ["é"]}'.encode("latin-1"), "not UTF-8"),
    "half of UTF-16": ("{".encode("utf-16")[:-1], "not UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "not UTF-8"),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "not UTF-8"),
    "a web page": (b"<!doctype html><html><pre>f(x)</pre></html>", "not JSON"),
    "deep brackets": (b"[" * 100_000, "not JSON"),
    "numbers only": (b"1e999", "no list of cells"),
}


@pytest.mark.parametrize("content, reason", FILES.values(), ids=FILES)
def test_a_file_without_answers_says_why(content, reason):
    found = harvest("lab.ipynb", content, REFERENCES)
    assert reason in found.unusable and not found.answers


def test_names_that_point_nowhere_are_found_and_say_why(tmp_path):
    (tmp_path / "folder" / "lab.ipynb").mkdir(parents=True)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "lab.ipynb").symlink_to(ROOT / "solutions" / f"{LAB.name}.ipynb")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "lab.ipynb").symlink_to(tmp_path / "nowhere")
    said = {}
    for hand_in in find([tmp_path], LAB.name).hand_ins:
        with pytest.raises(Unusable) as raised:
            hand_in.read()
        said[hand_in.student.name] = str(raised.value)
    assert "no notebook" in said["folder"]
    assert "symbolic link" in said["link"] and "symbolic link" in said["gone"]


def test_a_helper_that_two_answers_define_differently_costs_neither_its_points():
    """Run from top to bottom each met its check; nobody can see that in the last state."""
    cells = [
        code("def step(x):\n    return x + 1\n\ndef plain(x):\n    return step(x)"),
        code("check(plain)"),
        code("def step(x):\n    return x + 2\n\ndef closed(x):\n    return step(x) - 1"),
        code("check(closed)"),
    ]
    found = harvest(*mangle.plain(cells), ["plain", "closed"])
    assert [load(answer, "plain")(3) for answer in found.answers["plain"]] == [5, 4]
    assert [load(answer, "closed")(3) for answer in found.answers["closed"]] == [4]


@needs_bubblewrap
def test_a_sample_of_them_earns_all_points_in_earnest(tmp_path, monkeypatch):
    """Files of every way to save, each mangled, graded by the command on two light exercises."""
    names = ["freeze_by_path", "trainable_fraction"]
    monkeypatch.setattr(registry, "names", lambda: names)
    monkeypatch.chdir(tmp_path)
    kinds = sorted(MANGLERS)
    for place, kind in enumerate(kinds):
        chance = random.Random(place)
        cells = MANGLERS[kind](COURSE, chance)
        usual = all(
            isinstance(cell, dict) and isinstance(cell.get("source"), str) for cell in cells
        )
        savers = sorted(SAVERS) if usual else ["numbers_of_the_format_gone"]
        file, content = SAVERS[savers[place % len(savers)]](cells, chance)
        Path("in", kind).mkdir(parents=True)
        Path("in", kind, file).write_bytes(content)
    assert main(["grade", "in", "--lab", "04", "--csv", "all.csv"]) == 0
    with open("all.csv", newline="", encoding="utf-8") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert rows.keys() == set(kinds)
    assert not [(name, row) for name, row in rows.items() if row["total"] != row["possible"]]
