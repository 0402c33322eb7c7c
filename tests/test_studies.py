"""Studies: their tables name seeds and versions, and a row of each can be computed again.

What needs packages that are no part of the course is left to whoever has them.
"""

import importlib.util
import json

import pytest

from lessonkit import studies

TABLES = sorted(path.stem for path in studies.FOLDER.glob("*.json"))
CHEAP = {
    "09_depth": ("fc", 100, 0),
    "09_few_shot": ("linear", 0),
}
"""The arguments of the row that is computed again."""


def script(name):
    spec = importlib.util.spec_from_file_location(f"study_{name}", studies.FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_tables():
    assert TABLES


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_its_script_seeds_and_versions(name):
    table = json.loads((studies.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert table["seeds"] and {"python", "torch"} <= table["versions"].keys()
    assert {run["seed"] for run in table["runs"]} == set(table["seeds"])
    assert (studies.FOLDER / f"{name}.py").exists()


@pytest.mark.parametrize("name", CHEAP)
def test_a_row_comes_out_again(name):
    """On another processor training ends a little elsewhere."""
    again = script(name).row(*CHEAP[name])
    told = [
        r
        for r in studies.kept(name)["runs"]
        if all(again[k] == r[k] for k in r.keys() & {"arm", "size", "seed"})
    ]
    assert len(told) == 1 and abs(told[0]["accuracy"] - again["accuracy"]) < 0.05
