"""Submissions are found, run, judged and answered for, whatever they are."""

import csv
import io
import json
import os
import random
import re
import shlex
import shutil
import sqlite3
import stat
import sys
import threading
import tracemalloc
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from jax._src.compilation_cache import decompress_executable
from playwright.sync_api import sync_playwright

from grader.__main__ import _parser, main
from grader.checking import book, registry
from grader.checking.check import check
from grader.classroom.compiled import compiled
from grader.classroom.give_back.letters import letters
from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.mark import draw, lab, mark
from grader.classroom.mark.engine import GivenUp
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.key import Key
from grader.harvesting.harvester import Harvester, Wish
from grader.harvesting.slices import Statement
from grader.judging.evidence import Raised, Seen, Unattempted
from tests import ROOT
from tests.grader.classroom import light
from tests.grader.classroom.archives import packed
from tests.grader.sandbox.namespaces import needs_bubblewrap

SOLUTION = (ROOT / "solutions" / "04_explicit_freezing.ipynb").read_text(encoding="utf-8")
STUBS = (ROOT / "labs" / "04_explicit_freezing.ipynb").read_text(encoding="utf-8")


# Secret numbers


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "secret"
    secret, made = draw.secret_in(path)
    assert made and len(secret) == 32 and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert draw.secret_in(path) == (secret, False)
    assert list(tmp_path.iterdir()) == [path]
    path.write_bytes(b"short")
    with pytest.raises(BatchError, match="5 bytes"):
        draw.secret_in(path)
    with pytest.raises(BatchError, match="--secret FILE"):
        draw.secret_in(tmp_path / "none" / "secret")


def test_seeds_follow_from_the_secret_and_the_work_alone():
    one = draw.Draw(b"1" * 32, "04_topic")
    assert one.picked("alice", "abc") == draw.Draw(b"1" * 32, "04_topic").picked("alice", "abc")
    assert one.pool() != draw.Draw(b"2" * 32, "04_topic").pool()
    assert one.pool() != draw.Draw(b"1" * 32, "05_topic").pool()
    drawn = [one.picked(f"student {n}", "abc") for n in range(400)]
    assert all(len(set(seeds)) == 2 for seeds in drawn)
    counts = Counter(seed for seeds in drawn for seed in seeds)
    assert set(counts) == set(one.pool()) and min(counts.values()) > 50
    assert not set(one.pool()) & set(book.PUBLIC_SEEDS)


# Taking notebooks apart


HOSTILE_TEXTS = {
    "brackets": "x = " + "(" * 20_000,
    "minus signs": "x = " + "-" * 100_000 + "1",
    "attributes": "x = a" + ".b" * 50_000,
    "sums": "x = " + "1+" * 50_000 + "1",
    "broken lines": "def f(:\n" * 5_000,
    "half a pair": "x = '\ud800'",
    "zero": "x = '\0'",
}


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_a_notebook_that_chokes_its_reader_costs_nobody_else(text):
    with Harvester() as harvester:
        content = light.notebook(text, light.RIGHT).encode("utf-8", "surrogatepass")
        first = harvester.harvest(Wish("a.ipynb", content, ["double_all"]))
        second = harvester.harvest(
            Wish("b.ipynb", light.notebook(light.RIGHT).encode(), ["double_all"])
        )
    assert first.unusable or first.answers
    assert second.answers == {"double_all": [[light.RIGHT]]}


def test_a_reader_that_takes_too_long_is_ended(monkeypatch):
    program = (
        "import time, grader.harvesting.harvester as h; h.TIME_LIMIT = 0.3\n"
        "whole = h.fulfilled\n"
        "h.fulfilled = lambda wish: time.sleep(60) if wish.file == 'slow' else whole(wish)\n"
        "h.main()"
    )
    monkeypatch.setattr(Harvester, "COMMAND", [sys.executable, "-c", program])
    with Harvester() as harvester:
        assert (
            "could not be taken apart within"
            in harvester.harvest(Wish("slow", b"", ["f"])).unusable
        )
        assert harvester.harvest(Wish("a.py", b"f = 1", ["f"])).answers == {"f": [["f = 1\n"]]}


def test_fifty_megabytes_of_outputs_do_no_harm():
    whole = json.loads(light.notebook(light.RIGHT))
    whole["cells"][0]["outputs"] = [{"data": {"image/png": "A" * 50_000_000}}]
    with Harvester() as harvester:
        found = harvester.harvest(Wish("a.ipynb", json.dumps(whole).encode(), ["double_all"]))
    assert found.answers == {"double_all": [[light.RIGHT]]}


def test_why_there_is_no_answer_is_said():
    with Harvester() as harvester:
        none = harvester.harvest(Wish("a.ipynb", light.notebook("x = 1").encode(), ["f", "g"]))
        half = harvester.harvest(Wish("a.ipynb", light.notebook("def f(): 1").encode(), ["f", "g"]))
        long = harvester.harvest(Wish("a.py", b"f = '" + b"1" * 2_000_000 + b"'", ["f"]))
        torn = harvester.harvest(
            Wish("a.ipynb", light.notebook("f = 1", "def g(:").encode(), ["f", "g"])
        )
        empty = harvester.harvest(Wish("my own.ipynb", b"", ["f"]))
    assert none.unusable == "it defines none of the functions asked for: f, g."
    assert half.missing == {"g": "No cell defines `g`."} and "f" in half.answers
    assert "code cell 2, line 1: invalid syntax" in torn.missing["g"]
    assert "Leave data out" in long.missing["f"]
    assert empty.unusable.startswith("is empty")


# Judging on public and on secret numbers

SEEDS = (11, 22)


class Scripted:
    """An engine whose answers do what each next function of a list does."""

    def __init__(self, *functions):
        self.functions, self.asked = list(functions), []

    def observe(self, exercise, statements, cases):
        self.asked.append(list(cases))
        function = self.functions.pop(0)
        if isinstance(function, Exception):
            raise function
        if isinstance(function, Raised):
            return dict.fromkeys(cases, function)
        return {case: Seen(function(inputs["x"])) for case, inputs in cases.items()}


def marked(*functions):
    engine = Scripted(*functions)
    return mark.mark(light.EXERCISE, ["double_all = 1"], SEEDS, Key(), engine), engine.asked


def double(x):
    return 2 * x


def square(x):
    return x**2


def test_a_right_answer_runs_once_and_nothing_that_it_showed_is_told():
    result, asked = marked(double)
    assert result.report.verdict == "met" and result.report.earned == 3
    assert [len(cases) for cases in asked] == [8]
    assert not any(outcome.seen or outcome.case for outcome in result.report.outcomes)
    assert result.shown is None and len(result.evidence) == 8


def test_what_is_told_comes_from_a_run_that_knew_no_secret():
    result, asked = marked(lambda x: x + 12345.0, square)
    assert [len(cases) for cases in asked] == [8, 4]
    assert all(", seed " in case for case in asked[1])
    assert result.report.belief.belief == "Doubling is squaring."
    assert "12345" not in repr(result.report)


def test_no_name_of_a_case_tells_a_secret_seed():
    _, asked = marked(double)
    assert not [case for case in asked[0] if "11" in case or "22" in case]


def test_an_answer_that_knows_the_public_numbers_only_is_told_so_without_numbers():
    known = {inputs["x"].tobytes() for inputs in light.EXERCISE.cases(book.PUBLIC_SEEDS).values()}
    result, _ = marked(*[lambda x: 2 * x if x.tobytes() in known else 3 * x] * 2)
    doubles, keeps = result.report.outcomes
    assert (doubles.verdict, keeps.verdict) == ("not met", "met")
    assert doubles.seen == mark.ELSEWHERE and "numbers of the examples" in doubles.question
    assert doubles.case in ("three numbers", "large numbers")
    assert not re.search(r"\d", repr(doubles).replace("points=2", ""))


def test_a_claim_that_holds_at_one_time_and_not_at_another_does_not_hold():
    result, _ = marked(double, double)
    assert result.report.earned == 3
    result, _ = marked(square, double)
    assert result.report.outcomes[0].verdict == "not met"


def test_an_answer_that_ended_its_process_gets_a_second_chance():
    ended = Raised("Ended", "it ended the process it ran in")
    result, asked = marked(ended, double)
    assert result.report.verdict == "met" and len(asked) == 2
    result, asked = marked(ended, ended, ended, ended)
    assert result.report.verdict == "raised" and len(asked) == 4


def test_of_several_readings_the_best_counts_and_none_runs_after_one_that_meets_all():
    def readings(*made):
        taken = []
        best = mark.best(taken.append(one) or one for one in made)
        return best, len(taken)

    full, some, none = (marked(f, f)[0] for f in (double, abs, square))
    lost = marked(GivenUp("twice"))[0]
    some.report.outcomes[0].verdict = "met"
    assert readings(none, full, some) == (full, 2)
    assert readings(none, some) == (some, 2) and readings(some, none) == (some, 2)
    assert readings(some, lost) == (lost, 2) and readings(lost, full) == (full, 2)


def test_an_answer_that_is_not_attempted_runs_once():
    class Stub(Scripted):
        def observe(self, exercise, statements, cases):
            self.asked.append(cases)
            return dict.fromkeys(cases, Unattempted())

    engine = Stub()
    result = mark.mark(light.EXERCISE, ["stub"], SEEDS, Key(), engine)
    assert result.report.verdict == "not attempted" and len(engine.asked) == 1


def test_an_answer_that_a_limit_ended_runs_once_and_is_told_so():
    ended = Raised("TimeLimit", "it ran for more than 90 seconds")
    result, asked = marked(ended)
    assert len(asked) == 1 and result.report.earned == 0
    assert "90 seconds" in result.report.outcomes[0].seen


def test_an_answer_under_which_the_sandbox_breaks_is_given_up_and_marked_as_lost():
    result, _ = marked(GivenUp("twice"))
    assert result.lost and result.report.earned == 0 and result.evidence is None
    assert "It will be run again" in result.report.outcomes[0].seen


@pytest.mark.parametrize(
    "odd", [lambda x: ["a", 1], lambda x: {"x": {}}, lambda x: "text", lambda x: x[:2] * np.nan]
)
def test_evidence_of_any_shape_is_judged(odd):
    result, _ = marked(odd, odd)
    assert result.report.earned == 0 and result.report.verdict in ("not met", "raised")


# The commands, on the light lab


@pytest.fixture
def light_lab(monkeypatch, tmp_path):
    """The light lab in place of the course's, and a folder to grade in."""
    light.put_in_place(monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    return tmp_path


ANSWERS = {
    "alice": light.RIGHT,
    "bob": "def double_all(x):\n    return x ** 2\n",
    "carol": "def double_all(x):\n    raise ValueError(f'<b>{x[:1]}</b>')\n",
    "dave": "KNOWN = None\ndef double_all(x):\n    return 0 * x\n",
    "=erin": "from grader import NotAttempted\ndef double_all(x):\n    raise NotAttempted\n",
    "fred": "def halve_all(x): return x / 2",
}


def hand_in(folder, answers):
    for student, answer in answers.items():
        (folder / "in" / f"{student}.ipynb").write_text(light.notebook(answer))


def graded(*more):
    return main(["grade", "in", "--lab", "99", "--feedback", "out", "--csv", "all.csv", *more])


def scores():
    with open("all.csv", encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_a_class_is_graded_and_everybody_is_told(light_lab, capsys):
    hand_in(light_lab, ANSWERS)
    (light_lab / "in" / "gina.ipynb").symlink_to("/etc/passwd")
    (light_lab / "in" / "hal.ipynb").write_bytes(b"\xff\xfe\x00")
    assert graded() == 0
    said = capsys.readouterr().out
    assert "8 files of 8 students, 8 to grade" in said and "Not to be graded: 3" in said
    points = {name: row["total"] for name, row in scores().items()}
    assert points == {
        "alice": "3", "bob": "0", "carol": "0", "dave": "0", "'=erin": "0", "fred": "0",
        "gina": "0", "hal": "0",
    }  # fmt: skip
    assert scores()["alice"]["double_all"] == "3" and scores()["fred"]["double_all"] == ""
    assert "symbolic link" in scores()["gina"]["remark"]
    assert "not UTF-8" in scores()["hal"]["remark"]
    assert "none of the functions" in scores()["fred"]["remark"]
    page = {path.stem.partition("-")[0]: path.read_text() for path in Path("out").glob("*.html")}
    assert page.keys() == {"alice", "bob", "carol", "dave", "erin", "fred", "gina", "hal"}
    assert "all 2 claims met" in page["alice"] and "Halving is the way back." in page["alice"]
    assert "Doubling is squaring." in page["bob"] and "--seed 0" in page["bob"]
    assert "<b>" not in page["carol"] and "&lt;b&gt;" in page["carol"]
    assert "not attempted" in page["erin"]


@pytest.mark.parametrize(("pause", "lines"), [(0, 6), (30, 1)])
def test_a_log_is_told_now_and_then_how_far_it_is(light_lab, capsys, monkeypatch, pause, lines):
    monkeypatch.setattr("grader.classroom.commands.NEWS", pause)
    hand_in(light_lab, ANSWERS)
    graded()
    said = capsys.readouterr().err.splitlines()
    assert said == [f"{done} of 6 done." for done in range(1, lines + 1)]


def test_feedback_holds_no_secret_and_nobody_else(light_lab):
    hand_in(light_lab, ANSWERS)
    graded()
    pool = draw.Draw(Path("grading.secret").read_bytes(), light.LAB).pool()
    for path in Path("out").iterdir():
        text = path.read_text()
        assert not [seed for seed in pool if str(seed) in text]
        assert len([name for name in ANSWERS if name.strip("=") in text]) == 1, path
    secret = set().union(*(shown_by(Key().secret(light.EXERCISE, [seed])[0]) for seed in pool))
    public = shown_by(light.EXERCISE.cases(book.PUBLIC_SEEDS))
    shown = set(NUMBER.findall(Path("out/carol.json").read_text()))
    assert public & shown and not secret & shown


NUMBER = re.compile(r"[-\d.e+]{8,}")  # of many digits, so that none is another by chance


def shown_by(cases):
    """The numbers in the words of Carol's error, which quotes the first that it was given."""
    return {n for inputs in cases.values() for n in NUMBER.findall(str(inputs["x"][:1]))}


def test_json_says_what_docs_say_it_does(light_lab):
    hand_in(light_lab, ANSWERS)
    graded()
    docs = (ROOT / "docs" / "grading.md").read_text(encoding="utf-8")
    example = json.loads(re.search(r"```json\n(.*?)```", docs, re.DOTALL)[1])
    told = json.loads(Path("out/bob.json").read_text())
    assert told.keys() == example.keys() and told["schema"] == example["schema"] == 1
    assert told["exercises"][0].keys() == example["exercises"][0].keys()
    for name in ("outcomes", "belief"):
        one, other = (whole["exercises"][0][name] for whole in (told, example))
        one, other = (x[0] if isinstance(x, list) else x for x in (one, other))
        assert one.keys() == other.keys()


def test_every_command_of_the_docs_is_one():
    said = (ROOT / "docs" / "grading.md").read_text(encoding="utf-8")
    found = re.findall(r"(?:^ *|`)python -m grader ([^`\n]+)", said, re.MULTILINE)
    assert len(found) > 8
    for arguments in found:
        assert _parser().parse_args(shlex.split(arguments)).run


def test_what_was_seen_is_seen_again_at_home(light_lab):
    hand_in(light_lab, ANSWERS)
    graded()
    told = json.loads(Path("out/bob.json").read_text())
    (part,) = told["exercises"]
    for seed in told["seeds"]:
        report = check(square, "double_all", seed=seed).report
        seen = [outcome for outcome in part["outcomes"] if f"seed {seed}" in outcome["case"]]
        here = {outcome.claim: outcome.seen for outcome in report.outcomes}
        assert report.belief.belief == part["belief"]["belief"]
        assert all(here[outcome["claim"]] == outcome["seen"] for outcome in seen)
    assert "seed 0" in part["outcomes"][0]["case"]


def test_the_same_work_is_graded_once_and_new_work_anew(light_lab, capsys, monkeypatch):
    hand_in(light_lab, {"alice": light.RIGHT, "bob": ANSWERS["bob"]})
    (light_lab / "in" / "alice").mkdir()
    shutil.copy(light_lab / "in" / "alice.ipynb", light_lab / "in" / "alice" / "again.ipynb")
    graded()
    assert "3 files of 2 students, 2 to grade" in capsys.readouterr().out
    graded()
    assert "0 to grade" in capsys.readouterr().out
    hand_in(light_lab, {"bob": light.RIGHT})
    graded()
    assert "1 to grade" in capsys.readouterr().out and scores()["bob"]["total"] == "3"
    monkeypatch.setattr(book, "fingerprint", lambda exercise: "another")
    graded()
    assert "2 to grade" in capsys.readouterr().out


@pytest.mark.parametrize("keep, total, file", [("best", "3", "good"), ("last", "0", "late")])
def test_of_several_files_the_best_or_the_last_counts(light_lab, keep, total, file):
    folder = light_lab / "in" / "alice"
    folder.mkdir()
    answers = {"early": ANSWERS["bob"], "good": light.RIGHT, "late": ANSWERS["dave"], "torn": ""}
    for age, (name, answer) in enumerate(answers.items()):
        (folder / f"{name}.ipynb").write_text(light.notebook(answer))
        os.utime(folder / f"{name}.ipynb", (1e9 + age, 1e9 + age))
    assert graded("--keep", keep) == 0
    assert (scores()["alice"]["total"], scores()["alice"]["file"]) == (total, f"alice/{file}.ipynb")
    page = Path("out/alice.html").read_text()
    assert "not counted" in page and "none of the functions asked for" in page


def test_a_score_is_reproduced_from_its_row_alone(light_lab, capsys, monkeypatch):
    hand_in(light_lab, ANSWERS)
    graded()
    shutil.rmtree("in")
    Path("grading.secret").unlink()
    told = json.loads(Path("out/bob.json").read_text())
    row = str(told["exercises"][0]["row"])
    capsys.readouterr()
    assert main(["regrade", row]) == 0
    said = capsys.readouterr().out
    assert "They agree. The evidence is the same." in said and "bob" in said
    monkeypatch.setattr(light.Inside, "observe", Scripted(double, double).observe)
    assert main(["regrade", row]) == 1
    assert "They differ. The evidence is not the same." in capsys.readouterr().out
    assert main(["regrade", "99"]) == 2
    assert "has no verdict in a row 99" in capsys.readouterr().err


DAMAGES = {
    "report": "UPDATE verdict SET report = substr(report, 1, 20) WHERE id = {}",
    "evidence": "UPDATE verdict SET evidence = x'00ff' WHERE id = {}",
    "seeds": "UPDATE verdict SET seeds = '[null]' WHERE id = {}",
}


@pytest.mark.parametrize("column", DAMAGES)
def test_a_damaged_row_is_no_traceback_and_no_difference(light_lab, capsys, column):
    hand_in(light_lab, {"bob": ANSWERS["bob"]})
    graded()
    row = json.loads(Path("out/bob.json").read_text())["exercises"][0]["row"]
    spoil(DAMAGES[column].format(row))
    capsys.readouterr()
    assert main(["regrade", str(row)]) == 2
    assert f"Row {row} of the gradebook (double_all) is damaged: its {column}" in (
        capsys.readouterr().err
    )


def spoil(*statements):
    with closing(sqlite3.connect("gradebook.sqlite")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    "spoiling", ["DELETE FROM verdict", "DROP TABLE verdict", "UPDATE verdict SET report = '{'"]
)
def test_what_a_gradebook_has_lost_is_named_and_graded_again(light_lab, capsys, spoiling):
    """Of one student's exercises nothing is left; the other's file could not be read anyway."""
    hand_in(light_lab, {"alice": light.RIGHT, "fred": ANSWERS["fred"]})
    graded()
    spoil(spoiling)
    capsys.readouterr()
    assert main(["export", "--lab", "99", "--csv", "all.csv"]) == 1
    said = capsys.readouterr().err
    assert said.count("is damaged") == 1 and "alice (alice.ipynb)" in said and "double_all" in said
    assert scores()["alice"]["double_all"] == "" and "damaged" in scores()["alice"]["remark"]
    assert graded() == 0
    said = capsys.readouterr()
    assert "1 to grade" in said.out and "alice (alice.ipynb)" in said.err
    assert scores()["alice"]["double_all"] == "3" and scores()["alice"]["remark"] == ""
    assert main(["export", "--lab", "99"]) == 0


MOODLE_SHEET = """\ufeffIdentifier,"Full name",Grade,"Maximum Grade","Last modified (grade)"
"Participant 7","Ann Lee",,3.00,-
"Participant 18","Bo, Junior",,3.00,-
"Participant 99","Cy Absent",,3.00,-
"""
GERMAN_SHEET = """\ufeffID,Vollständiger Name,Bewertung,Bestwertung
Teilnehmer/in7,Ann Lee,,"3,00"
Teilnehmer/in18,Bo Junior,,"3,00"
Teilnehmer/in99,Cy Absent,,"3,00"
"""
CANVAS_SHEET = """Student,ID,SIS User ID,Section,Lab 99 (5501)
    Points Possible,,,,3.00
"Lee, Ann",7,18,A,
"Junior, Bo",18,7000,A,1
"""


@pytest.mark.parametrize("sheet, column", [(MOODLE_SHEET, 2), (GERMAN_SHEET, 2), (CANVAS_SHEET, 4)])
def test_the_sheet_of_an_lms_is_filled_in(light_lab, capsys, sheet, column):
    for student, answer in {"Ann_7": light.RIGHT, "Bo_18": ANSWERS["bob"]}.items():
        folder = light_lab / "in" / f"{student}_assignsubmission_file_"
        folder.mkdir()
        (folder / "lab.ipynb").write_text(light.notebook(answer))
    graded()
    Path("sheet.csv").write_text(sheet, encoding="utf-8")
    before = list(csv.reader(io.StringIO(sheet.lstrip("\ufeff"))))
    run = ["export", "--lab", "99", "--fill", "sheet.csv", before[0][column], "filled.csv"]
    assert main(run) == 0
    assert "Filled in 2 rows of 3: filled.csv" in capsys.readouterr().out
    with open("filled.csv", encoding="utf-8", newline="") as file:
        after = list(csv.reader(file))
    points = {"7": "3", "18": "0"}
    cents = ",00" * (sheet == GERMAN_SHEET)
    for row in before[1:]:
        key = re.search(r"\d*$", row[0] if column == 2 else row[1])[0]
        row[column] = points[key] + cents if key in points else row[column]
    assert after == before


@pytest.mark.parametrize(
    "sheet, column, why",
    [
        ("ID,Grade\n7,\n", "Points", "no column 'Points'. It has: ID, Grade."),
        ("ID,Grade\n9,\n", "Grade", "Is it the sheet of this assignment"),
        ("", "Grade", "is empty"),
        (None, "Grade", "cannot be read as CSV"),
    ],
)
def test_a_sheet_that_does_not_fit_is_refused_in_words(light_lab, capsys, sheet, column, why):
    hand_in(light_lab, {"alice": light.RIGHT})
    graded()
    if sheet is not None:
        Path("sheet.csv").write_text(sheet, encoding="utf-8")
    assert main(["export", "--lab", "99", "--fill", "sheet.csv", column, "filled.csv"]) == 2
    assert why in capsys.readouterr().err and not Path("filled.csv").exists()


def test_the_class_is_seen_at_a_glance_from_the_gradebook_alone(light_lab, capsys):
    hand_in(light_lab, ANSWERS)
    graded()
    shutil.rmtree("in")
    capsys.readouterr()
    assert main(["export", "--lab", "99", "--csv", "again.csv", "--feedback", "again"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^double_all +1 +2 +1 +1$", said, re.MULTILINE)
    assert "   1  Doubling is squaring." in said
    assert Path("again.csv").read_text() == Path("all.csv").read_text()
    assert len(list(Path("again").glob("*.html"))) == len(ANSWERS)
    assert main(["export", "--lab", "99", "--gradebook", "none.sqlite"]) == 2
    assert "No such file" in capsys.readouterr().err and not Path("none.sqlite").exists()


def test_an_exercise_that_is_gone_keeps_its_results(light_lab):
    hand_in(light_lab, {"alice": light.RIGHT})
    graded()
    with Gradebook("gradebook.sqlite") as gradebook:
        (letter,) = letters(gradebook, lab.Lab(light.LAB, ()), "best")
    assert letter.exercises[0].title == "double_all" and letter.earned == 3


def test_a_lost_answer_is_graded_again_and_a_broken_sandbox_stops_the_batch(
    light_lab, capsys, monkeypatch
):
    class Breaking(light.Inside):
        def observe(self, *arguments):
            raise GivenUp("it broke")

    hand_in(light_lab, {"alice": light.RIGHT})
    with monkeypatch.context() as breaking:
        breaking.setattr(light.Inside, "observe", Breaking.observe)
        assert graded() == 0
        assert "Given up" in capsys.readouterr().out and scores()["alice"]["total"] == "0"
        hand_in(light_lab, {f"student {n}": light.RIGHT for n in range(20)})
        assert graded("--jobs", "2") == 2
        assert "short of memory or disk" in capsys.readouterr().err
    assert graded() == 0
    assert {row["total"] for row in scores().values()} == {"3"} and len(scores()) == 21


def test_what_the_grader_itself_cannot_do_costs_one_submission(light_lab, capsys, monkeypatch):
    hand_in(light_lab, {"alice": light.RIGHT, "bob": light.RIGHT + "# his"})
    whole = light.Inside.observe

    def failing(self, exercise, statements, cases):
        if "his" in "".join(statements):
            raise OSError("no room on this machine")
        return whole(self, exercise, statements, cases)

    monkeypatch.setattr(light.Inside, "observe", failing)
    hand_in(light_lab, {"bob": "his = 1\n" + light.RIGHT.replace("x + x", "x + x * his")})
    assert graded() == 1
    assert "bob (bob.ipynb): OSError: no room" in capsys.readouterr().err
    assert scores().keys() == {"alice"}


@pytest.mark.parametrize(
    "arguments, why",
    [
        (["nowhere", "--lab", "99"], "nowhere is not there"),
        (["in", "--lab", "98"], "There is no lab '98'. There are: 99_light."),
        (["in", "--lab", "99"], "nothing to grade"),
        (["in/a.ipynb", "--lab", "99", "--gradebook", "none/g.sqlite"], "No such file"),
        (["in/a.ipynb", "--lab", "99", "--gradebook", "sqlite://"], "names no file"),
        (["in/a.ipynb", "--lab", "99", "--gradebook", "oracle+x://h/d"], "no database that"),
        (["in/a.ipynb", "--lab", "99", "--secret", "none/secret"], "--secret FILE"),
        (["in/a.ipynb", "--lab", "99", "--feedback", "in/a.ipynb"], "--feedback DIR"),
        (["in/a.ipynb", "--lab", "99", "--csv", "none/all.csv"], "--csv FILE"),
    ],
)
def test_what_cannot_be_used_is_said_in_words(light_lab, capsys, arguments, why):
    if "nothing" not in why:
        (light_lab / "in" / "a.ipynb").write_text(light.notebook(light.RIGHT))
    assert main(["grade", *arguments]) == 2
    said = capsys.readouterr().err
    assert why in said and "Traceback" not in said


def test_an_interruption_is_no_accident(light_lab, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    hand_in(light_lab, {"alice": light.RIGHT})
    monkeypatch.setattr(Gradebook, "record", interrupted)
    assert graded() == 130
    assert "goes on from here" in capsys.readouterr().err


def test_many_submissions_take_no_more_memory_than_few(light_lab):
    """Evidence of a megabyte each; what is graded is not kept."""
    big = "def double_all(x):\n    return np.concatenate([2 * x, np.zeros(15_000)])"
    peaks = []
    for count in (20, 80):
        answers = {
            f"{count} {n}": f"# {count} {n}\nimport numpy as np\n{big}" for n in range(count)
        }
        hand_in(light_lab, answers)
        tracemalloc.start()
        graded("--jobs", "2")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 30e6


# The commands, on the course's own lab and in the sandbox


SLIPS = {
    "trainable_fraction": "def trainable_fraction(model):\n    return 1.0\n",
    "zero_kernel": "def zero_kernel(*a):\n    raise ValueError(open('/etc/passwd').read())\n",
    "swap_kernel": "import os\ndef swap_kernel(*a):\n    os._exit(0)\n",
}


@needs_bubblewrap
def test_lab_04_is_graded_in_the_sandbox(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    slipping = json.loads(SOLUTION)
    for source in SLIPS.values():
        cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        slipping["cells"].append({**cell, "source": source})
    files = {"right": SOLUTION, "stubs": STUBS, "slips": json.dumps(slipping), "torn": "{"}
    packed(tmp_path / "in.zip", {f"{name}/lab.ipynb": text for name, text in files.items()})
    run = ["in.zip", "--lab", "04", "--feedback", "out", "--csv", "all.csv"]
    assert main(["grade", *run]) == 0
    rows = scores()
    exercises = {exercise.name: exercise.points for exercise in lab.find("04").exercises}
    for name, points in exercises.items():
        assert rows["right"][name] == str(points) and rows["stubs"][name] == "0"
        assert rows["slips"][name] == str(points) or name in SLIPS, name
        assert rows["torn"][name] == ""
    told = json.loads(Path("out/slips.json").read_text())
    seen = {part["exercise"]: part for part in told["exercises"]}
    assert seen["trainable_fraction"]["verdict"] == "not met"
    assert "FileNotFoundError" in seen["zero_kernel"]["outcomes"][0]["seen"]
    assert seen["swap_kernel"]["earned"] == 0
    assert main(["regrade", str(seen["trainable_fraction"]["row"])]) == 0
    assert "They agree. The evidence is the same." in capsys.readouterr().out


SLOWLY = "def trainable_fraction(model):\n    time.sleep(0.02)\n    return whole(model)\n"


@needs_bubblewrap
def test_whatever_runs_answers_may_be_killed(tmp_path, monkeypatch, capsys):
    """An answer, a supervisor, the fork server, the sandbox or a harvester: one of each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "names", lambda: ["trainable_fraction"])
    (cell,) = [
        "".join(cell["source"])
        for cell in json.loads(SOLUTION)["cells"]
        if "def trainable_fraction" in "".join(cell["source"])
    ]
    slow = f"import time\nimport torch\n{cell}\nwhole = trainable_fraction\n{SLOWLY}"
    (tmp_path / "in").mkdir()
    hand_in(tmp_path, {f"s{n}": f"# {n}\n{slow}" for n in range(20)})
    killed, done = [], threading.Event()
    killer = threading.Thread(target=kill_below, args=(os.getpid(), killed, done))
    killer.start()
    try:
        while main(["grade", "in", "--lab", "04", "--jobs", "2"]) != 0:
            assert "Traceback" not in capsys.readouterr().err  # it could not start, and said so
    finally:
        done.set()
        killer.join()
    assert main(["grade", "in", "--lab", "04", "--csv", "all.csv"]) == 0
    assert len(scores()) == 20
    short = [row for row in scores().values() if row["total"] != row["possible"]]
    assert not short
    assert killed == [3, 2, 1, 0]


def kill_below(pid, killed, done):
    """Kill a process of each generation below this one, the youngest first.

    One kill an answer: of one that ends twice it is believed that it ends itself.
    """
    chance, wanted = random.Random(0), [3, 2, 1, 0]
    while wanted and not done.wait(1.0):
        found = list(generations(psutil.Process(pid)))
        if wanted[0] < len(found):
            with suppress(psutil.Error):
                chance.choice(found[wanted[0]]).kill()
                killed.append(wanted.pop(0))


def generations(process):
    below = [process]
    while below := [child for parent in below for child in children(parent)]:
        yield below


def children(process):
    with suppress(psutil.Error):
        return process.children()
    return []


def test_programs_compiled_ahead_carry_no_name_of_a_reference(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    whole = lab.find("04")
    quick = lab.Lab(whole.name, tuple(e for e in whole.entries if e.name == "swap_kernel"))
    own = ["import jax\n", "@jax.jit\ndef inner(x):\n    return x + 1\n"]
    calls = "inner(1.0), jax.jit(lambda x: 3 * x)(1.0), jax.numpy.tanh(1.0)"
    own.append(f"def swap_kernel(*given):\n    return {calls}\n")
    monkeypatch.setattr(
        "grader.harvesting.views.answer", lambda _: [Statement(source) for source in own]
    )
    folder = compiled(quick)
    programs = {path.name.rsplit("-", 2)[0]: path for path in folder.glob("*-cache")}
    assert "jit_tanh" in programs and not programs.keys() & {"jit_inner", "jit__lambda"}
    held = [decompress_executable(path.read_bytes()) for path in programs.values()]
    telling = [b"swap_kernel", b"grader", b"lambda", b"inner", b".py", os.fsencode(ROOT)]
    assert [word for word in telling for program in held if word in program] == []
    assert folder and folder.is_relative_to(tmp_path) and list(folder.iterdir())
    assert compiled(quick) == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert compiled(light.whole()) is None


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_can_be_read_by_everybody(light_lab, scheme):
    """Rules of accessibility, contrast among them, in light and in dark."""
    hand_in(light_lab, ANSWERS)
    graded()
    with sync_playwright() as playwright:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
        options += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        page = browser.new_page(color_scheme=scheme)
        for path in sorted(Path("out").glob("*.html")):
            page.goto(path.resolve().as_uri())
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
        browser.close()
