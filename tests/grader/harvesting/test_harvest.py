"""The answer is found wherever a person would find it, and nothing else comes along."""

import json

import pytest

from grader.harvesting.cells import Unusable, cells_of
from grader.harvesting.slices import NotFound, slice_of
from grader.judging.exercise import NotAttempted
from grader.running.candidate import load


def answer(*cells, name="f"):
    return load(slice_of(cells, name), name)


def test_takes_what_the_answer_needs_and_leaves_the_scratch_work():
    cells = ["import math\nK = 2", "x = input()", "def g(a): return K * a", "print(1)\nplot(x)"]
    cells += ["def f(a): return g(math.floor(a))", "f(3)"]
    assert [source.strip() for source in slice_of(cells, "f")] == [
        "import math",
        "K = 2",
        "def g(a): return K * a",
        "def f(a): return g(math.floor(a))",
    ]
    assert answer(*cells)(3.5) == 6


def test_last_definition_wins():
    assert answer("def f(): return 1", "def f(): return 2")() == 2


def test_a_stub_below_the_answer_does_not_hide_it():
    assert answer("def f(): return 1", "def f():\n    'doc'\n    raise NotAttempted")() == 1


def test_a_lone_stub_is_a_stub():
    stub = answer("from grader import NotAttempted", "def f(): raise NotAttempted")
    with pytest.raises(NotAttempted):
        stub()


@pytest.mark.parametrize(
    "cells",
    [
        ["from functools import partial", "def g(a, b): return a + b", "f = partial(g, 1)"],
        ["f = lambda b: b + 1"],
        ["class F:\n    def __call__(self, b): return b + 1", "f = F()"],
        ["def twice(g): return lambda b: g(b) + 1", "@twice\ndef f(b): return b"],
        ["def make(n):\n    def inner(b): return b + n\n    return inner", "f = make(1)"],
        ["def f(b): return b", "g = f", "def f(b): return g(b) + 1"],
        ["def f(b): return b", "f = (lambda g: lambda b: g(b) + 1)(f)"],
        ["from math import *", "def f(b): return floor(b) + 1"],
        ["table = {}", "table['one'] = 1", "def f(b): return b + table['one']"],
        ["items = []", "items.append(1)", "def f(b): return b + items[0]"],
        ["if True:\n    one = 1\nelse:\n    one = 2", "def f(b): return b + one"],
        ["try:\n    import no_such\nexcept ImportError:\n    one = 1", "def f(b): return b + one"],
        ["def f(b): return b + one", "one = 1"],
        ["%matplotlib inline\n!pip install x\nimport math", "def f(b): return math.floor(b) + 1"],
        ["%%time\ndef f(b):\n    return b + 1"],
        ["%%html\n<b>def f</b>", "def f(b): return b + 1"],
        ["def f(b): return b + 1", "def g(:\n  pass"],
        ["def g(:\n    pass\n\ndef f(b):\n    return b + 1\n"],
        ["one = 1; two = 2\ndef f(b): return b + one"],
        ["x = ?", "def f(b): return b + 1"],
        ["count = 0\ndef f(b):\n    global count\n    count = b + 1\n    return count"],
    ],
    ids=lambda cells: cells[-1][:25],
)
def test_answers_in_every_shape_are_found(cells):
    assert answer(*cells)(1) == 2


def test_a_failing_scratch_statement_costs_nothing():
    assert answer("data = [1]", "data.append(1 / 0)", "def f(): return len(data)")() == 1


def test_says_what_is_missing():
    with pytest.raises(NotFound, match="`f`"):
        slice_of(["g = 1"], "f")


def notebook(cells, **extra):
    return json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}, **extra})


CODE = {"cell_type": "code", "source": ["def f():\n", "    return 1"]}


@pytest.mark.parametrize(
    "text",
    [
        notebook([CODE]),
        notebook([{"cell_type": "markdown", "source": "```python\ndef f():\n    return 1\n```"}]),
        notebook([{"cell_type": "markdown", "source": "def f():\n    return 1"}]),
        notebook([{"cell_type": "raw", "source": "def f(): return 1"}]),
        json.dumps(
            {
                "nbformat": 3,
                "worksheets": [{"cells": [{"cell_type": "code", "input": ["def f(): return 1"]}]}],
            }
        ),
        "\ufeff" + notebook([CODE]),
    ],
)
def test_reads_notebooks_of_every_kind(tmp_path, text):
    path = tmp_path / "lab.ipynb"
    path.write_text(text, encoding="utf-8")
    assert answer(*cells_of(path))() == 1


def test_reads_a_python_file(tmp_path):
    path = tmp_path / "lab.py"
    path.write_text("def f(): return 1")
    assert answer(*cells_of(path))() == 1


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"[1, 2]", "no list of cells"),
        (b"{}", "no list of cells"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_says_why_a_file_is_of_no_use(tmp_path, content, why):
    path = tmp_path / "lab.ipynb"
    path.write_bytes(content)
    with pytest.raises(Unusable, match=why):
        cells_of(path)


def test_a_folder_is_no_notebook(tmp_path):
    with pytest.raises(Unusable, match="a folder"):
        cells_of(tmp_path)
