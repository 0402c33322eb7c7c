"""A teacher's own exercises: begun, proved, woven, checked, graded, and given away on demand."""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from grader.__main__ import main
from grader.checking import bank, registry
from grader.classroom.mark import lab
from grader.exercises import BANK
from tests import ROOT
from tests.grader.press.test_release import pairs_of_lines, text_of
from tests.grader.sandbox.namespaces import needs_bubblewrap

OWN = Path(__file__).with_name("bank")
NAME = "mean_weight"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A bank outside the course, its lab woven."""
    folder = tmp_path_factory.mktemp("own") / "bank"
    shutil.copytree(OWN, folder)
    assert main(["weave", "--exercises", str(folder)]) == 0
    return folder


def test_a_bank_obeys_the_laws_and_a_broken_law_is_named(own, capsys):
    assert main(["prove", str(own)]) == 0
    assert f"{NAME}: all laws hold\n1 of 1 exercises" in capsys.readouterr().out
    module = own / "c19_flocks" / f"{NAME}.py"
    whole = module.read_text()
    try:
        lazy = whole.replace('of_kind("empty"), needs=weighs_who_is_there', 'of_kind("empty")')
        module.write_text(lazy)
        assert main(["prove", str(own), NAME]) == 1
        said = capsys.readouterr().out
        assert "No claim is earned without an answer.\n" in said
        assert "float 0.0 meets a claim: Where no sheep is there, the answer is 0.0." in said
        assert "out of date" in said
    finally:
        module.write_text(whole)


def test_what_is_begun_obeys_the_laws_of_form_and_fails_the_rest(tmp_path, capsys):
    folder = tmp_path / "bank"
    folder.mkdir()
    run = ["new", "count_sheep", "09_sheep", "--exercises", str(folder)]
    assert main(run) == 0
    said = capsys.readouterr().out
    assert f"python -m grader prove {folder} count_sheep" in said
    assert 'exercise="count_sheep"' in (folder / "labs" / "09_sheep.py").read_text()
    assert main(["prove", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "count_sheep has no reference yet: write it here" in said
    assert "there is still a TODO" in said and "0 of 1 exercises" in said
    assert "The stub that a lab shows" not in said and "note, minutes" not in said
    assert main(run) == 2 and "already an exercise" in capsys.readouterr().err
    assert main(["new", "count_goats", "9", "--exercises", str(folder)]) == 2
    assert "such as 09_topic" in capsys.readouterr().err


def test_a_bank_is_known_to_commands_that_name_it_and_to_no_other(own, capsys, monkeypatch):
    solution = str(own / "solutions" / "19_flocks.ipynb")
    assert main(["list", "--json", "--exercises", str(own)]) == 0
    assert NAME in {entry["name"] for entry in json.loads(capsys.readouterr().out)}
    assert main(["check", solution, "--exercises", str(own)]) == 0
    assert "6 of 6 points" in capsys.readouterr().out
    assert main(["check", solution]) == 2
    with monkeypatch.context() as inherited:
        inherited.setenv(BANK, str(own))
        assert main(["list", "--json"]) == 0
    assert NAME not in capsys.readouterr().out
    assert NAME not in registry.names() and bank.folder() is None


@needs_bubblewrap
def test_a_lab_of_ones_own_without_a_lesson_is_graded(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "names", lambda: [NAME])
    text = (own / "solutions" / "19_flocks.ipynb").read_text(encoding="utf-8")
    stubs = (own / "labs" / "19_flocks.ipynb").read_text(encoding="utf-8")
    assert "rests on" not in stubs and "NumPy · 6 points" in stubs
    for student, content in {"ada": text, "bo": stubs}.items():
        Path(f"in/{student}").mkdir(parents=True)
        Path(f"in/{student}/lab.ipynb").write_text(content, encoding="utf-8")
    assert main(["grade", "in", "--lab", "19", "--csv", "all.csv", "--exercises", str(own)]) == 0
    with open("all.csv", encoding="utf-8", newline="") as file:
        assert {row["student"]: row["total"] for row in csv.DictReader(file)} == {
            "ada": "6",
            "bo": "0",
        }


def test_a_release_holds_a_bank_only_if_it_is_named_and_no_answer_of_it(own, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "names", lambda: [NAME] if bank.folder() else [])
    assert main(["release", str(tmp_path / "theirs"), "--exercises", str(own)]) == 0
    monkeypatch.setenv(BANK, str(own))
    assert main(["release", str(tmp_path / "public")]) == 0
    files = {place: files_of(tmp_path / place) for place in ("theirs", "public")}
    assert files["theirs"] - files["public"] == {
        "grader/exercises/c19_flocks/__init__.py",
        f"grader/exercises/c19_flocks/{NAME}.py",
        f"grader/exercises/c19_flocks/evidence/{NAME}.json",
        f"grader/exercises/c19_flocks/evidence/{NAME}.msgpack",
        "labs/19_flocks.ipynb",
    }
    held = [text_of(tmp_path / "public" / file) for file in files["public"]]
    assert not [text for text in held if NAME in text or "flocks" in text]
    answer = (own / "c19_flocks" / f"{NAME}.py").read_text()
    body = answer.partition("    if len(weights)")[2].partition("def challenge")[0]
    telling = pairs_of_lines(body) | pairs_of_lines(answer.partition("def in_parts")[2])
    words = {pair for pair in telling if not pair[0].startswith('"')}
    code = {pair for pair in words if "lambda" in pair[0] or "there" in pair[0]}
    left = [text_of(tmp_path / "theirs" / file) for file in files["theirs"]]
    assert code and not [text for text in left if code & pairs_of_lines(text)]


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_labs_of_a_bank_stand_beside_those_of_the_course(own):
    with bank.opened(own):
        assert lab.find("19").names == [NAME]
        assert lab.find("04").possible > 0


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("none", "There is no folder"),
        ("labs", "lies in the folder of the course"),
        ("chapter", "has the folder c02_dead_relu as well"),
        ("name", "has the exercise are_dead as well"),
    ],
)
def test_what_cannot_be_a_bank_is_refused_in_words(tmp_path, capsys, place, why):
    folder = ROOT / "labs" if place == "labs" else tmp_path / place
    chapter = folder / ("c02_dead_relu" if place == "chapter" else "c09_own")
    if place in ("chapter", "name"):
        chapter.mkdir(parents=True)
        for file in ("__init__.py", "are_dead.py"):
            (chapter / file).touch()
    assert main(["list", "--exercises", str(folder)]) == 2
    assert why in capsys.readouterr().err and BANK not in os.environ
