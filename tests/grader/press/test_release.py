"""The student edition holds no answer in any form, and checks like the author's, to the letter."""

import inspect
import json
import subprocess
import sys
from itertools import pairwise

import pytest

from grader.__main__ import main
from grader.checking import registry
from grader.harvesting import views
from grader.press.release import ReleaseError, release, without_answers
from grader.press.specification import specification
from tests.answers import typed

TRAINABLE = "grader/exercises/c04_explicit_freezing/trainable_fraction.py"
LAB = "labs/04_explicit_freezing.ipynb"


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edition") / "for students"
    release(folder)
    return folder


def pairs_of_lines(text):
    """Adjacent lines of code, without their indentation: enough to tell where they come from."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return {pair for pair in pairwise(lines) if sum(map(len, pair)) > 50}


def text_of(path):
    """What a file says; of a notebook its cells and what they printed, of a book its strings."""
    if path.suffix != ".ipynb":
        return path.read_bytes().decode("utf-8", "replace")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) + json.dumps(cell.get("outputs")) for cell in cells)


def test_no_reference_and_no_specimen_is_left(edition):
    left = {
        path.name: pairs_of_lines(text_of(path)) for path in edition.rglob("*.*") if path.is_file()
    }
    for name in registry.names():
        exercise = registry.find(name)
        given = pairs_of_lines(without_answers(exercise)) | pairs_of_lines(task(exercise))
        assert pairs_of_lines(inspect.getsource(exercise.reference)) - given
        for function in [exercise.reference, *wrong_code(exercise)]:
            telling = pairs_of_lines(inspect.getsource(function)) - given
            holders = {file for file, pairs in left.items() if telling & pairs}
            assert not holders, function.__name__


def task(exercise):
    """What a lab says of it; its example stands there as it stands in the reference."""
    return specification(exercise.reference.__doc__)


def wrong_code(exercise):
    """The specimens; of those that differ from a right answer in parts, that answer and the parts.

    Where a part stands in an expression, that is all of the expression.
    """
    for misconception in exercise.misconceptions:
        yield inspect.unwrap(misconception.specimen)
        changed = getattr(misconception.specimen, "keywords", {}).values()
        yield from (part for part in changed if inspect.isfunction(part))


def test_of_a_belief_the_words_alone_are_left(edition):
    """Of an exercise in the edition no specimen can be had, and nothing that makes one."""
    for path in edition.glob("grader/exercises/*/*.py"):
        source = path.read_text(encoding="utf-8")
        assert "lambda tensor: 1" not in source and "believing(" not in source, path
    assert "@claim(" in (edition / TRAINABLE).read_text(encoding="utf-8")


def test_nothing_of_the_authors_side_is_in_it(edition):
    names = {path.name for path in edition.rglob("*")}
    assert not names & {"solutions", "tests", "__pycache__", "mutation.py", "weave.py", ".git"}
    assert {"lessons", "labs", "welcome.md", "course.py", "check.py"} <= names
    assert not [path for path in edition.rglob("*.pyc")]
    helped = in_edition(edition, "--help").stdout
    assert "check" in helped and "weave" not in helped and "release" not in helped


# An editable install would lend the edition the modules that it lacks.
ALONE = """
import runpy, sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "Editable" not in str(finder)]
sys.argv[0] = "grader"
runpy.run_module("grader", run_name="__main__")
"""


def in_edition(edition, *arguments):
    command = [sys.executable, "-c", ALONE, *map(str, arguments)]
    return subprocess.run(command, cwd=edition, capture_output=True, text=True)


def test_it_checks_to_the_letter_as_the_authors_edition(edition, tmp_path, capsys):
    """Of a third of the exercises the reference; of the others the first, or the last specimen."""
    for number, name in enumerate(registry.names()):
        exercise, place = registry.find(name), (None, 0, -1)[number % 3]
        if place is None:
            own = "\n".join(statement.source for statement in views.answer(exercise))
        else:
            own = typed(exercise, exercise.misconceptions[place])
        (tmp_path / f"{name}.py").write_text(own)
    paths = sorted(map(str, tmp_path.glob("*.py")))
    main(["check", *paths])
    ours = capsys.readouterr().out
    theirs = in_edition(edition, "check", *paths)
    assert theirs.stderr == ""
    assert theirs.stdout == ours
    assert "Perhaps you believe" in ours


def test_a_seed_that_is_not_public_is_refused_in_one_line(edition):
    done = in_edition(edition, "check", LAB, "--seed", "99")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "0 and 1" in done.stderr
    assert in_edition(edition, "check", LAB, "--seed", "0").returncode == 1


def test_a_folder_in_use_is_not_written_to(edition):
    with pytest.raises(ReleaseError, match="not empty"):
        release(edition)


def test_stub_and_answer_begin_alike():
    exercise = registry.find("freeze_first_dense")
    signature_and_title = views.stub(exercise).rpartition('"""')[0]
    whole = "\n".join(statement.source for statement in views.answer(exercise))
    assert exercise.title in signature_and_title and signature_and_title in whole
