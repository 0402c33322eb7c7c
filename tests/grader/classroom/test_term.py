"""From points to forgetting: what a teacher decides over a term, and what is left of a student."""

import csv
import random
import re
import shlex
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from grader.__main__ import main
from grader.checking import registry
from grader.classroom.collect.entries import NEVER
from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.mark import lab
from grader.classroom.points.rules import Adjustment, Rules, score
from grader.judging.judge import Belief, Outcome, Report
from tests import ROOT
from tests.grader.classroom import light
from tests.grader.classroom.archives import packed
from tests.grader.classroom.test_give_back import graded

__all__ = ["graded"]  # the class that is graded there

DUE = datetime(2026, 5, 22, 23, 59)
EARNED = {"a": (6, 10), "b": (10, 10), "c": (0, 20)}


def after(**late):
    return DUE + timedelta(**late)


@pytest.mark.parametrize(
    "rules, written, points, out_of",
    [
        (Rules(), DUE, 16, 40),
        (Rules(out_of=10), DUE, 4, 10),
        (Rules(only=("a", "b")), DUE, 16, 20),
        (Rules(best=2, out_of=10), DUE, 8, 10),
        (Rules(best=9), DUE, 16, 40),
        (Rules(due=DUE, grace=15, per_day=10), after(minutes=15), 16, 40),
        (Rules(due=DUE, grace=15, per_day=10), after(minutes=16), 14.4, 40),
        (Rules(due=DUE, per_day=10), after(hours=25), 12.8, 40),
        (Rules(due=DUE, per_day=10, at_most=50), after(days=30), 8, 40),
        (Rules(due=DUE, per_day=10), NEVER, 16, 40),
    ],
)
def test_rules_make_points_of_what_was_earned(rules, written, points, out_of):
    found = score(rules, EARNED, 40, written)
    assert (found.points, found.out_of) == (points, out_of)
    assert bool(found.steps) == (points / out_of != 0.4 or out_of != 40)


def test_what_a_teacher_adds_is_not_reduced_and_nothing_goes_below_zero():
    rules, plus = Rules(due=DUE, per_day=50), Adjustment(2.5, "explained it")
    assert score(rules, EARNED, 40, after(hours=1), adjustments=[plus]).points == 10.5
    assert score(rules, EARNED, 40, after(hours=1), timedelta(days=1), [plus]).points == 18.5
    assert score(rules, EARNED, 40, DUE, adjustments=[Adjustment(-99, "copied")]).points == 0
    assert score(Rules(out_of=10), None, 40, DUE).points is None
    assert score(Rules(out_of=10), None, 40, DUE, adjustments=[plus]).points == 2.5


def points(*arguments):
    return main(["points", "--lab", "99", *arguments])


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return {row.get("number") or row["student"]: row for row in csv.DictReader(file)}


def test_decisions_show_in_sheets_on_pages_and_in_the_trail(graded, capsys):
    """The files are of 2027-01-15 08:00."""
    late = ["--due", "2027-01-14T07:00", "--per-day", "10", "--grace", "5", "--at-most", "50"]
    assert points("--out-of", "10", *late, "--reason", "as announced") == 0
    assert points("--student", "18", "--add", "1.5", "--reason", "<explained> it") == 0
    assert points("--student", "Cy Torn", "--add", "4", "--reason", "shown on paper") == 0
    assert points("--student", "nobody yet", "--days", "3", "--reason", "ill") == 0
    capsys.readouterr()
    assert main(["export", "csv", "--lab", "99", "--to", "a.csv", "--feedback", "out"]) == 0
    told = {key: (row["points"], row["out_of"], row["late"]) for key, row in rows("a.csv").items()}
    assert told == {"7": ("8", "10", "20"), "18": ("1.5", "10", "20"), "19": ("4", "10", "0")}
    (page,) = (path.read_text() for path in Path("out").glob("Bo*.html"))
    assert "+1.5 points: &lt;explained&gt; it" in page and "<strong>1.5 of 10</strong>" in page
    assert "on day 2 after the time: 20 % less" in page
    assert points("--student", "7", "--days", "2") == 0
    said = capsys.readouterr().out
    for words in ("out of 10, due 2027-01-14 07:00", "(as announced)", "Ann Lee_7: +2 days more",
                  "+1.5 points (<explained> it)", "nobody yet: +3 days more (ill)"):  # fmt: skip
        assert words in said
    assert main(["term", "--labs", "99", "--to", "term.csv"]) == 0
    assert rows("term.csv")["7"]["total"] == "100"


REFUSED = {
    "--only halve_all": "has no exercise halve_all. It has: double_all.",
    "--add 2 --reason x": "Say for whom: --student WHO.",
    "--student 7": "--days N, or --add N",
    "--student 7 --add 2": "The student reads why",
    "--student Zoe --add 2 --reason x": "knows nobody called Zoe",
    "--student 7 --out-of 3": "Rules are for everybody",
}


def test_a_decision_that_cannot_be_is_refused_in_words(graded, capsys):
    for arguments, why in REFUSED.items():
        assert points(*arguments.split()) == 2
        assert why in capsys.readouterr().err
    assert points() == 0 and "Nothing was decided yet." in capsys.readouterr().out


# A class on a real lab, as grading records it


def verdict(entry, share, belief):
    """The row of an exercise of which the first claims are met."""
    each, met = entry.points // len(entry.claims), round(share * len(entry.claims))
    left = [each] * (len(entry.claims) - 1)
    left.append(entry.points - sum(left))
    outcomes = [
        Outcome(claim, worth, "met" if place < met else "not met")
        for place, (claim, worth) in enumerate(zip(entry.claims, left, strict=True))
    ]
    held = Belief(entry.misconceptions[belief], "It fails.", "Why?") if belief is not None else None
    report = Report(entry.name, outcomes, held)
    return {
        "exercise": entry.name, "verdict": report.verdict, "earned": report.earned,
        "possible": report.possible, "report": msgspec.json.encode(report).decode(),
        "statements": "[]", "seeds": "[]", "evidence": None, "shown": None, "versions": "{}",
        "seconds": 0.0,
    }  # fmt: skip


def a_class(gradebook, number, count):
    """So many students of a lab; the two first beliefs of its first exercises go together."""
    chance, whole = random.Random(number), lab.find(number)
    for place in range(count):
        skill = chance.random()
        confused = place % 3 == 0
        verdicts = []
        for at, entry in enumerate(whole.entries):
            share = 0.4 if confused and at < 2 else min(1, max(0, skill + chance.gauss(0, 0.2)))
            verdicts.append(verdict(entry, share, 0 if confused and at < 2 else None))
        unusable = "its text is not JSON." if place == 5 else ""
        earned = 0 if unusable else sum(row["earned"] for row in verdicts)
        name = f"Étu Diant {place}_{50_000 + place}"
        key = {"lab": whole.name, "student": name, "content": "c", "version": whole.version}
        submission = {
            "number": str(50_000 + place), "file": "a.ipynb", "written": DUE, "graded": DUE,
            "unusable": unusable, "earned": earned, "possible": whole.possible, "lost": 0,
        }  # fmt: skip
        gradebook.record(key, submission, [] if unusable else verdicts)


@pytest.fixture
def term(monkeypatch, tmp_path):
    """A gradebook of two labs."""
    monkeypatch.chdir(tmp_path)
    with Gradebook("gradebook.sqlite") as gradebook:
        a_class(gradebook, "02", 30)
        a_class(gradebook, "04", 24)
    return tmp_path


def test_the_lowest_labs_are_dropped(term):
    assert main(["term", "--labs", "02,04", "--drop", "1", "--to", "t.csv", "--out-of", "50"]) == 0
    assert main(["export", "csv", "--lab", "02", "--to", "02.csv"]) == 0
    found = rows("t.csv")
    assert len(found) == 30 and found["50005"]["total"] == ""
    assert "02_dead_relu: its text is not JSON" in found["50005"]["remark"]
    absent = found["50029"]  # from lab 04, which is dropped
    assert absent["dropped"] == "04_explicit_freezing" and absent["04_explicit_freezing"] == ""
    alone = rows("02.csv")["50029"]
    share = float(alone["points"]) / float(alone["out_of"])
    assert float(absent["total"]) == pytest.approx(50 * share, abs=0.01)


def test_a_report_says_what_the_class_believes_and_names_nobody_if_asked(term, capsys):
    assert main(["report", "--lab", "02"]) == 0
    page = Path("report.html").read_text(encoding="utf-8")
    first, second = lab.find("02").entries[:2]
    assert first.misconceptions[0].split("<")[0] in page and "Étu Diant 5_50005" in page
    assert f"<em>{first.section}</em>" in page or f"<em>{second.section}</em>" in page
    assert "<td>10</td><td>3.3</td>" in page  # who hold both, and by chance
    with open("report.exercises.csv", encoding="utf-8", newline="") as file:
        exercises = list(csv.DictReader(file))
    assert [row["exercise"] for row in exercises] == lab.find("02").names
    assert all(float(row["discrimination"]) > 0.3 for row in exercises[2:])
    Path("grading.secret").write_bytes(b"s" * 32)
    assert main(["report", "--lab", "02", "--pseudonyms", "--to", "away.html"]) == 0
    for path in Path().glob("away*"):
        text = path.read_text(encoding="utf-8")
        assert "Diant" not in text and not re.search(r"\b500\d\d\b", text)
    assert "student-" in Path("away.html").read_text() and len(rows("away.students.csv")) == 30


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_a_report_can_be_read_by_everybody(term):
    """In light and in dark, without a scroll bar from side to side."""
    assert main(["report", "--lab", "02"]) == 0
    with sync_playwright() as playwright:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
        options += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        for scheme, width in {"light": 1280, "dark": 1024}.items():
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
            page.goto(Path("report.html").resolve().as_uri())
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            for scroller in ("document.documentElement", *_tables(page)):
                assert page.evaluate(f"{scroller}.scrollWidth <= {scroller}.clientWidth"), scroller
            page.screenshot(path=f"{scheme}.png", full_page=True)
        browser.close()


def _tables(page):
    count = page.locator(".wide").count()
    return [f"document.querySelectorAll('.wide')[{place}]" for place in range(count)]


# Forgetting


def test_a_student_is_forgotten_and_a_search_proves_it(term, capsys):
    Path("grading.secret").write_bytes(b"s" * 32)
    whole = ["--lab", "02"]
    moodle = "ID,Grade,Feedback comments\n" + "".join(
        f"Participant {50_000 + place},,\n" for place in range(30)
    )
    Path("sheet.csv").write_text(moodle)
    assert main(["points", *whole, "--student", "50003", "--add", "1", "--reason", "oral"]) == 0
    to = ["--sheet", "sheet.csv", "--to", "filled.csv", "--archive", "pages.zip"]
    assert main(["export", "moodle", *whole, *to, "--feedback", "out", "--csv", "all.csv"]) == 0
    assert main(["export", "nbgrader", *whole, "--to", "nb"]) == 0
    assert main(["report", *whole]) == 0
    assert main(["report", *whole, "--pseudonyms", "--to", "away/report.html"]) == 2
    assert main(["report", *whole, "--pseudonyms", "--to", "away.html"]) == 0
    assert main(["term", "--labs", "02,04", "--to", "term.csv"]) == 0
    Path("download").mkdir()
    Path("download/Étu Diant 3_50003_assignsubmission_file_.py").write_text("x = 1")
    capsys.readouterr()
    assert main(["forget", "Nobody"]) == 2
    assert "Nothing was changed" in capsys.readouterr().err
    assert main(["forget", "50003", "--also", "download"]) == 1
    said = capsys.readouterr().out
    assert "Took 2 submissions out of gradebook.sqlite" in said and "Took 1 rows out of" in said
    assert said.count("Still found in") == 1 and "download/Étu Diant 3_50003" in said
    shutil.rmtree("download")
    for path in Path().rglob("*"):  # the sheet that the LMS gave out is the teacher's own
        if path.is_file() and path.name not in ("sheet.csv", "grading.secret"):
            assert b"50003" not in path.read_bytes(), path
    assert len(rows("all.csv")) == len(rows("term.csv")) == 29
    assert len(list(Path("out").iterdir())) == 58
    assert main(["forget", "50003"]) == 2
    assert main(["forget", "Étu Diant 4"]) == 0
    assert "found nowhere" in capsys.readouterr().out


# Regrading


def test_a_corrected_lab_says_whose_score_changed_and_no_sheet_mixes_versions(
    graded, capsys, monkeypatch
):
    assert main(["changes", "--lab", "99"]) == 0
    assert "Nobody's score changed" in capsys.readouterr().out
    doubles, keeps = light.EXERCISE.claims
    corrected = replace(light.EXERCISE, claims=(replace(doubles, points=5), keeps))
    monkeypatch.setattr(registry, "find", {"double_all": corrected}.__getitem__)
    monkeypatch.setattr(registry, "fingerprint", lambda exercise: "corrected")
    shutil.rmtree("in/Cy Torn_19_assignsubmission_file_")
    shutil.copytree("in/Ann Lee_7_assignsubmission_file_", "in/Di Fox_20_assignsubmission_file_")
    assert main(["grade", "in", "--lab", "99"]) == 0
    capsys.readouterr()
    assert main(["changes", "--lab", "99"]) == 1
    assert capsys.readouterr().out == (
        "Ann Lee_7: 3 to 6\n"
        "  double_all: met (2 points), now met (5 points): Every number is doubled.\n"
        "Cy Torn_19: 0 before, not graded anew\n"
    )
    Path("sheet.csv").write_text("Student;ID;Lab (1)\nA;7;\nB;18;\nC;19;\nD;20;\n")
    assert main(["export", "canvas", "--lab", "99", "--sheet", "sheet.csv", "--to", "f.csv"]) == 0
    assert Path("f.csv").read_text() == "Student;ID;Lab (1)\nA;7;6\nB;18;0\nC;19;\nD;20;6\n"
    assert "Left as it was: 19, graded under an earlier version" in capsys.readouterr().out


# The guide


def test_the_term_can_be_typed_from_the_guide(monkeypatch, tmp_path, capsys):
    """Every command of docs/term.md, in its order, on the light lab; but not the release."""
    light.put_in_place(monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    number, name = "81723", "Ada Example_81723_assignsubmission_file_/lab.ipynb"
    packed(
        Path("submissions.zip"),
        {name: light.notebook(light.RIGHT), "Bo_2_assignsubmission_file_/b.ipynb": "{"},
    )
    Path("worksheet.csv").write_text(f"ID,Grade\nParticipant {number},\nParticipant 2,\n")
    Path("gradebook.csv").write_text(f"Student,ID,Lab 04 (5501)\nAda,{number},\n")
    Path("gc.xls").write_bytes(f"Username\tLab [3] |55\n{number}\t\n".encode("utf-16"))
    guide = (ROOT / "docs" / "term.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python -m grader (.+)$", guide, re.MULTILINE)
    assert [words.split()[0] for words in commands[:1]] == ["release"] and len(commands) > 14
    for words in commands[1:]:
        for there, here in {
            "--lab 04": "--lab 99",
            "02,04 --drop 1": "99",
            "grade 17": "grade 1",
        }.items():
            words = words.replace(there, here)
        status = main(shlex.split(words))
        said = capsys.readouterr()
        # The search of the last step finds the student in the download, as the guide says.
        assert status == (1 if words.startswith("forget") else 0), words + said.err
    assert "submissions.zip" in said.out and "Traceback" not in said.err
    assert rows("term.csv").keys() == {"2"} and rows("scores.csv").keys() == {"2"}
    assert number not in Path("filled.csv").read_text()
