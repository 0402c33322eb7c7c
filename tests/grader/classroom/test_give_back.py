"""What goes back: sheets in the form of each LMS, feedback as files, and Gradescope's results."""

import csv
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from grader.__main__ import main
from tests import ROOT
from tests.grader.classroom import light

SQUARES = "def double_all(x):\n    return x ** 2\n"
CLASS = {"Ann Lee_7": light.RIGHT, "Bo_Émile Ö_18": SQUARES, "Cy Torn_19": "x = 1"}


@pytest.fixture
def graded(monkeypatch, tmp_path):
    """A class graded on the light lab, in the folder where everything is done."""
    light.put_in_place(monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    for student, answer in CLASS.items():
        folder = tmp_path / "in" / f"{student}_assignsubmission_file_"
        folder.mkdir(parents=True)
        (folder / "lab.ipynb").write_text(light.notebook(answer))
        os.utime(folder / "lab.ipynb", (1.8e9, 1.8e9))
    assert main(["grade", "in", "--lab", "99"]) == 0
    return tmp_path


def export(*arguments):
    return main(["export", arguments[0], "--lab", "99", *arguments[1:]])


MOODLE = (
    "ID,Vollständiger Name,Bewertung,Bestwertung,Zuletzt geändert (Bewertung),"
    "Feedback als Kommentar\r\n"
    'Teilnehmer/in7,Lee,"1,00","3,00",-,\r\n'
    'Teilnehmer/in18,Ö,,"3,00",-,\r\n'
    'Teilnehmer/in19,Torn,,"3,00",-,\r\n'
)
BLACKBOARD = (
    '"Last Name"\t"Username"\t"Lab 99 [Total Pts: 3 Score] |5501"\n'
    '"Lee"\t"7"\t""\n"Ö"\t"18"\t"2,5"\n"Torn"\t"19"\t""\n'
)
CANVAS = "Student;ID;Lab 98 (54);Lab 99 (5501)\nLee;7;9;\nÖ;18;9;1,5\nTorn;19;;\n"
SHEETS = {
    "moodle": (MOODLE.encode("utf-8-sig"), [], MOODLE.replace('"1,00"', '"3,00"', 1).replace(
        "in18,Ö,", 'in18,Ö,"0,00"'
    ), "utf-8-sig"),
    "blackboard": ("\ufeff".encode("utf-16-le") + BLACKBOARD.encode("utf-16-le"), [],
        BLACKBOARD.replace('"7"\t""', '"7"\t"3,0"').replace("2,5", "0,0"), "utf-16"),
    "canvas": (CANVAS.encode("cp1252"), ["--column", "Lab 99 (5501)"],
        CANVAS.replace("7;9;", "7;9;3,0").replace("1,5", "0,0"), "cp1252"),
}  # fmt: skip


def test_a_sheet_comes_back_in_the_form_in_which_it_came(graded, capsys):
    for system, (content, more, expected, encoding) in SHEETS.items():
        Path("sheet").write_bytes(content)
        assert export(system, "--sheet", "sheet", "--to", "filled", *more) == 0
        said = capsys.readouterr().out
        assert "Filled in 2 rows of 3: filled." in said
        assert "Left as it was: 19, it defines none of the functions asked for: double_all." in said
        filled = Path("filled").read_bytes()
        text = filled.decode(encoding)
        if system == "moodle":  # which takes comments as well
            assert "3 of 3 points. All claims are met." in text
            assert "0 of 3 points. Not all met: double_all 0/3." in text
            text = re.sub(r"-,[^\r]*\. ?[^\r]*\r", "-,\r", text)
        assert text == expected and filled[:2] == content[:2], system


def test_a_column_that_is_not_clear_is_asked_for(graded, capsys):
    Path("sheet").write_text(CANVAS)
    assert export("canvas", "--sheet", "sheet", "--to", "filled") == 2
    assert (
        "2 columns that may be that of the points: Lab 98 (54), Lab 99" in capsys.readouterr().err
    )
    Path("sheet").write_bytes(b"PK\x03\x04")
    assert export("canvas", "--sheet", "sheet", "--to", "filled") == 2
    assert "Save it as CSV" in capsys.readouterr().err
    assert export("canvas") == 2
    assert "--sheet FILE" in capsys.readouterr().err


def test_moodle_and_nbgrader_get_pages_under_their_own_names(graded):
    assert export("moodle", "--archive", "pages.zip") == 0
    with zipfile.ZipFile("pages.zip") as archive:
        names = archive.namelist()
        assert b"Doubling is squaring" in archive.read(names[1])
    read = [name.split("_", 4) for name in names]  # as Moodle reads them
    assert [parts[1:4] for parts in read] == [
        [n, "assignfeedback", "file"] for n in ("7", "18", "19")
    ]
    assert read[1][0] == "Bo-Émile Ö" and read[1][4] == "99_light.html"
    assert export("nbgrader", "--to", "nb") == 0
    rows = list(csv.DictReader(Path("nb/grades.csv").read_text().splitlines()))
    told = {row["student_id"]: (row["first_name"], row["score"], row["max_score"]) for row in rows}
    assert told == {"7": ("Ann", "3", "3"), "18": ("Bo_Émile", "0", "3"), "19": ("Cy", "", "3")}
    assert "all 2 claims met" in Path("nb/feedback/7/99_light/99_light.html").read_text()


RESULTS = {  # the documented keys of results.json, and of each of its tests
    "score", "execution_time", "output", "output_format", "test_output_format", "test_name_format",
    "visibility", "stdout_visibility", "extra_data", "tests", "leaderboard",
}  # fmt: skip
TESTS = {
    "score", "max_score", "status", "name", "name_format", "number", "output", "output_format",
    "tags", "visibility", "extra_data",
}  # fmt: skip


def test_gradescopes_archive_grades_in_a_folder_laid_out_as_gradescope_does(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["points", "--lab", "02", "--out-of", "10"]) == 0
    assert main(["export", "gradescope", "--lab", "02", "--to", "autograder.zip"]) == 0
    base = tmp_path / "autograder"
    with zipfile.ZipFile("autograder.zip") as archive:
        archive.extractall(base / "source")
        assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
    (base / "run_autograder").write_bytes((base / "source" / "run_autograder").read_bytes())
    subprocess.run(["bash", "-n", base / "source" / "setup.sh"], check=True)
    (base / "source" / "course" / ".venv").symlink_to(sys.prefix)  # what setup.sh would make
    (base / "submission").mkdir()
    solution = json.loads((ROOT / "solutions" / "02_dead_relu.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in solution["cells"]]
    answer = next(cell for cell in cells if "def dead_fraction" in cell)
    (base / "submission" / "mine.ipynb").write_text(light.notebook("import numpy as np", answer))
    about = {"id": 1, "users": [{"id": 81, "name": "Ada / Example", "email": "a@example.org"}]}
    (base / "submission_metadata.json").write_text(json.dumps(about))
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = ["bash", base / "run_autograder"]
    done = subprocess.run(run, cwd=base, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((base / "results" / "results.json").read_text())
    assert told.keys() <= RESULTS and all(test.keys() <= TESTS for test in told["tests"])
    first = next(test for test in told["tests"] if test["name"].startswith("dead_fraction: "))
    others = [test for test in told["tests"] if test != first]
    possible = sum(test["max_score"] for test in told["tests"])
    assert f"Graded: mine.ipynb, {first['score']} of {possible} points." in told["output"]
    assert first["status"] == "passed" and first["score"] == first["max_score"] > 0
    assert "claims met" in first["output"]
    assert told["score"] == round(10 * first["score"] / possible, 2)
    for test in others:
        assert test["status"] == "failed" and test["score"] == 0
        assert "No cell defines" in test["output"]
