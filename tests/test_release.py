"""The student edition holds no answer in any form, and checks like the author's, to the letter."""

import inspect
import subprocess
import sys

import pytest

from grader import registry, views
from grader.__main__ import main
from grader.harvest import slice_of
from grader.release import ReleaseError, release, without_answers

LAB = "labs/04_explicit_freezing.ipynb"


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edition") / "for students"
    release(folder)
    return folder


def telling_lines(function, spared):
    """Lines of a function that would give it away: long ones that the task does not state."""
    body = inspect.getsource(function).rpartition('"""')[2]
    lines = {line.strip() for line in body.splitlines()}
    return {line for line in lines if len(line) > 30 and line not in spared}


@pytest.mark.parametrize("name", registry.names())
def test_no_reference_and_no_specimen_is_left(edition, name):
    exercise = registry.find(name)
    source = without_answers(exercise)
    kept = {line.strip() for line in source.splitlines()}
    functions = [exercise.reference, *(m.specimen for m in exercise.misconceptions)]
    files = {path: path.read_bytes() for path in edition.rglob("*") if path.is_file()}
    for function in functions:
        assert f"def {function.__name__}(" not in source or function is exercise.reference
        for line in telling_lines(function, kept):
            holders = [path.name for path, text in files.items() if line.encode() in text]
            assert not holders, (function.__name__, line)


def test_nothing_of_the_authors_side_is_in_it(edition):
    names = {path.name for path in edition.rglob("*")}
    assert not names & {"solutions", "tests", "__pycache__", "mutation.py", "weave.py", ".git"}
    assert {"lessons", "labs", "welcome.md", "course.py", "check.py"} <= names
    assert not [path for path in edition.rglob("*.pyc")]
    helped = in_edition(edition, "--help").stdout
    assert "check" in helped and "weave" not in helped and "release" not in helped


def in_edition(edition, *arguments):
    command = [sys.executable, "-m", "grader", *map(str, arguments)]
    return subprocess.run(command, cwd=edition, capture_output=True, text=True)


@pytest.mark.parametrize("place", [None, 0, -1])
def test_it_checks_to_the_letter_as_the_authors_edition(edition, tmp_path, capsys, place):
    """The references, then the first and the last specimen of every exercise, one file each."""
    for name in registry.names():
        exercise = registry.find(name)
        function = exercise.reference if place is None else exercise.misconceptions[place].specimen
        module = inspect.getsource(sys.modules[function.__module__])
        path = tmp_path / f"{name}.py"
        own = "".join(f"{source}\n" for source in slice_of([module], function.__name__))
        path.write_text(own + ("" if place is None else f"\n{name} = {function.__name__}\n"))
    paths = sorted(map(str, tmp_path.glob("*.py")))
    main(["check", *paths])
    ours = capsys.readouterr().out
    theirs = in_edition(edition, "check", *paths)
    assert theirs.stderr == ""
    assert theirs.stdout == ours
    assert ("Perhaps you believe" in ours) == (place is not None)


def test_a_seed_that_is_not_public_is_refused_in_one_line(edition):
    done = in_edition(edition, "check", LAB, "--seed", "99")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "0 and 1" in done.stderr
    assert in_edition(edition, "check", LAB, "--seed", "0").returncode == 1


def test_a_folder_in_use_is_not_written_to(edition):
    with pytest.raises(ReleaseError, match="not empty"):
        release(edition)


def test_stub_and_answer_share_their_head():
    exercise = registry.find("freeze_first_dense")
    stub = views.stub(exercise)
    whole = "\n".join(statement.source for statement in views.answer(exercise))
    assert stub.rpartition("\n")[0] in whole
