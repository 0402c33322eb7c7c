"""The record of bands: what is run for it, what it keeps, and what it refuses."""

import json
import random

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from grader.__main__ import main
from grader.press import bands, targets

HEAD = (
    "# %%\nimport random\nfrom lessonkit import claims\nrandom.seed(3)\nshare = random.random()\n"
)
CLAIM = '\n# %% tags=["claim"]\nclaims.band("share", share, low=-5, high=6)\n'
LEVEL = """
import os
at_first = os.environ["ATEN_CPU_CAPABILITY"] == "avx2"
claims.band("at the first level", at_first, low=-1, high=2)
"""


@pytest.fixture(autouse=True)
def two_seeds(monkeypatch):
    monkeypatch.setattr(bands, "SHIFTS", (0, 101))


def lesson(folder, source):
    (folder / "lessons").mkdir()
    (folder / "lessons" / "00_small.py").write_text(source)
    (target,) = targets.targets(folder)
    return target


def row(values, **edges):
    once = {"low": None, "high": None, "value": values[0], **edges}
    return bands._row(once, values)


def against(values, **edges):
    return bands.problems({"bands": {"share": row(values, **edges)}})


def test_the_record_holds_what_each_seed_gave(tmp_path):
    target = lesson(tmp_path, HEAD + CLAIM + LEVEL)
    bands.record_all([target])
    expected = [random.Random(seed).random() for seed in (3, 104)]
    found = bands.stored(target)["bands"]["share"]
    assert found["values"] == expected and found["other_level"] == expected[0]
    seen = bands.stored(target)["bands"]["at the first level"]
    assert seen["values"] == [1, 1] and seen["other_level"] == 0
    assert (found["low"], found["high"]) == (-5, 6)
    assert found["spread"] == pytest.approx(abs(expected[0] - expected[1]))
    target.source.write_text(target.source.read_text() + "\n# %% [markdown]\n# More text.\n")
    assert bands.stored(target)
    target.source.write_text(target.source.read_text().replace("high=6", "high=7"))
    with pytest.raises(targets.WeaveError, match="its code has changed since its record"):
        bands.stored(target)


def test_a_failing_assert_names_its_seed_and_the_rest_is_run(tmp_path):
    claims = CLAIM + '\n# %% tags=["claim"]\nassert round(share, 6) == 0.237965, "another"\n'
    target = lesson(tmp_path, HEAD + claims)
    with pytest.raises(targets.WeaveError) as refused:
        bands.record_all([target])
    words = str(refused.value)
    assert "seeds shifted by 101: the cell that begins" in words and "another" in words
    assert "shifted by 0" not in words and not bands.place(target).exists()


def test_a_value_outside_its_band_is_refused_and_shown(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bands, "SHIFTS", (0,))
    target = lesson(tmp_path, HEAD + CLAIM.replace("low=-5", "low=0.5"))
    with pytest.raises(targets.WeaveError, match=r"share: outside its band lie 0\.238"):
        bands.record_all([target])
    assert "share: 0.238 to" in capsys.readouterr().out
    assert not bands.place(target).exists()


def test_a_name_is_claimed_once(tmp_path):
    noted = json.dumps([{"name": "share", "value": 1}] * 2)
    output = new_output("stream", text=noted)
    notebook = new_notebook(cells=[new_code_cell("", outputs=[output])])
    with pytest.raises(targets.WeaveError, match="claims share more than once"):
        bands._noted(notebook, lesson(tmp_path, HEAD + CLAIM))


def test_a_cell_that_fails_says_at_which_seed(tmp_path):
    with pytest.raises(targets.WeaveError, match=r"shifted by 101: lessons/00_small.ipynb: a cell"):
        bands.record_all([lesson(tmp_path, HEAD + "assert round(share, 6) == 0.237965\n" + CLAIM)])


def test_the_margin_is_from_the_median_to_the_nearest_edge():
    assert row([1.0, 2.0, 6.0], low=0, high=10)["margin"] == 2
    assert row([1.0, 2.0, 6.0], low=0, high=3)["margin"] == 1
    assert row([1.0, 2.0, 6.0], high=10)["spread"] == 5


def test_a_margin_below_the_spread_is_refused():
    assert against([0.4, 0.5, 0.6], low=0.29) == []
    assert against([0.4, 0.5, 0.6], low=0.31) == ["share: the margin is 0.19 and the spread 0.2"]
    assert against([0.5, 0.5], low=0.5) == []


@pytest.mark.parametrize("value", [float("nan"), 0.1, 3.0])
def test_one_value_outside_is_enough(value):
    (line,) = against([0.5, 0.5, value], low=0.2, high=2)
    assert line == f"share: outside its band lie {value:.4g}"


def test_the_other_level_counts():
    found = row([0.5, 0.5], low=0.2) | {"other_level": 0.1}
    assert bands.problems({"bands": {"share": found}})


def test_without_a_record_it_is_said_how_to_make_one(tmp_path):
    target = lesson(tmp_path, HEAD + CLAIM)
    with pytest.raises(targets.WeaveError, match=r"Run: python -m grader weave --bands 00_small"):
        bands.stored(target)


def test_the_command_refuses_an_unknown_lesson(capsys):
    assert main(["weave", "--bands", "99_nothing"]) == 2
    assert "99_nothing" in capsys.readouterr().err


def test_a_record_is_plain_json(tmp_path):
    target = lesson(tmp_path, HEAD + CLAIM)
    bands.place(target).write_text(json.dumps({"code": bands.digest_of_code(target), "bands": {}}))
    assert bands.problems(bands.stored(target)) == []
