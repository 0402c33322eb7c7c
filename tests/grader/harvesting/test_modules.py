"""What an answer imports from beside its notebook goes with it."""

import pytest

from grader.harvesting.harvester import Wish, fulfilled
from grader.running.candidate import load

NOTEBOOK = b"from my_own import *\nimport torch\n\ndef f(x):\n    return twice(x)\n"
MY_OWN = "import mine\n\ndef twice(x):\n    return mine.TWO * x\n"


def answer(content, modules):
    return fulfilled(Wish("lab.py", content, ["f"], modules)).answers["f"][0]


def test_an_answer_runs_with_the_modules_that_it_imports():
    statements = answer(NOTEBOOK, {"my_own": MY_OWN, "mine": "TWO = 2", "other": "1 / 0"})
    assert load(statements, "f")(4) == 8
    assert not any("1 / 0" in source for source in statements)


@pytest.mark.parametrize(
    "content",
    [
        b"import my_own as m\ndef f(x):\n    return m.twice(x)",
        b"def f(x):\n    from my_own import twice\n    return twice(x)",
        b"from my_own import twice as f",
    ],
)
def test_however_they_are_imported(content):
    modules = {"my_own": "def twice(x):\n    return 2 * x\n"}
    assert load(answer(content, modules), "f")(4) == 8


@pytest.mark.parametrize("source", ["import my_own", "import mine", "def (", "1 / 0", "\0"])
def test_a_module_that_cannot_run_costs_what_needs_it(source):
    statements = answer(
        b"import my_own\ndef f(x):\n    return x", {"my_own": source, "mine": source}
    )
    assert load(statements, "f")(4) == 4


def test_what_lies_beside_is_not_mistaken_for_a_library():
    assert answer(b"import math\ndef f(x):\n    return math.pi", {"my_own": MY_OWN}) == [
        "import math\n",
        "def f(x):\n    return math.pi\n",
    ]
