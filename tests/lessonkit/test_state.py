"""The learner's file: nothing that was kept is lost, and where nothing can be kept it is said."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from lessonkit import state
from tests import ROOT


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(state.VARIABLE, str(tmp_path / "learner"))
    return tmp_path / "learner"


def count(record):
    return {"count": record.get("count", 0) + 1}


@contextmanager
def read_only(folder):
    """The folder cannot be written; root can write everywhere, so it becomes nobody meanwhile."""
    folder.chmod(0o555)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture
def open_place(monkeypatch):
    """A folder that everybody can reach, as pytest's own cannot be."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    monkeypatch.setenv(state.VARIABLE, str(folder))
    yield folder
    shutil.rmtree(folder)


# --- keeping


def test_nothing_is_kept_at_first_and_reading_makes_no_folder(place):
    assert state.records("predictions") == {}
    assert not place.exists()


def test_a_change_is_kept_beside_all_others(place):
    assert state.change("predictions", "a/b", lambda record: {"guess": 3}) == ""
    assert state.change("predictions", "a/b", lambda record: {**record, "measured": 4}) == ""
    state.change("hints", "x", count)
    assert json.loads((place / "state.json").read_text()) == {
        "predictions": {"a/b": {"guess": 3, "measured": 4}},
        "hints": {"x": {"count": 1}},
    }
    assert state.records("hints") == {"x": {"count": 1}}


def test_the_tests_have_a_folder_of_their_own():
    """conftest.py names it, or learners' guesses would stand in what the notebooks show."""
    code = "from lessonkit import state; print(state.folder())"
    named = {k: v for k, v in os.environ.items() if k != state.VARIABLE}
    default = subprocess.check_output([sys.executable, "-c", code], env=named, text=True)
    assert Path(default.strip()) == ROOT / "learner"


def test_two_processes_that_write_at_once_lose_nothing():
    program = (
        "from lessonkit import state\n"
        "for _ in range(40):\n"
        "    told = state.change('s', 'k', lambda r: {'count': r.get('count', 0) + 1})\n"
        "    assert not told, told\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert state.records("s") == {"k": {"count": 80}}


def test_a_program_that_dies_while_writing_leaves_the_file_whole(place):
    state.change("s", "k", count)
    code = (
        "import os; from lessonkit import state\n"
        "os.fsync = lambda file: os._exit(9)\n"
        "state.change('s', 'k', lambda record: {'count': 'half'})"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert state.records("s") == {"k": {"count": 1}}
    assert state.change("s", "k", count) == ""
    assert state.records("s") == {"k": {"count": 2}}


# --- what is damaged


@pytest.mark.parametrize(
    "content", [b"{", b"", b"[1]", b'{"s": 3}', b'{"s": {"k": 3}}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(place, content):
    place.mkdir()
    for number in (1, 2):
        (place / "state.json").write_bytes(content)
        assert state.records("s") == {}
        told = state.change("s", "k", count)
        assert f"set aside as state.damaged-{number}.json" in told
        assert (place / f"state.damaged-{number}.json").read_bytes() == content
        assert state.records("s") == {"k": {"count": 1}}


# --- what cannot be written


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such modes there")
def test_in_a_read_only_folder_changes_live_until_they_can_be_written(open_place):
    with read_only(open_place):
        told = state.change("s", "k", count)
        assert "not kept" in told and str(open_place) in told and state.VARIABLE in told
        assert state.change("s", "k", count)
        assert state.records("s") == {"k": {"count": 2}}
    assert list(open_place.iterdir()) == []
    assert state.change("s", "other", count) == ""
    assert json.loads((open_place / "state.json").read_text()) == {
        "s": {"k": {"count": 2}, "other": {"count": 1}}
    }


def test_a_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(state.VARIABLE, str(tmp_path / "file" / "learner"))
    assert "not kept" in state.change("s", "k", count)
    assert state.records("s") == {"k": {"count": 1}}


def test_a_file_that_another_program_holds_is_waited_for_and_then_told(place, monkeypatch):
    monkeypatch.setattr(state, "PATIENCE", 0.1)
    place.mkdir()
    code = (
        "import sys, filelock\n"
        "with filelock.FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(place / "state.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        assert "not kept" in state.change("s", "k", count)
        holder.stdin.close()
    assert state.change("s", "k", count) == ""
    assert state.records("s") == {"k": {"count": 2}}


def test_a_change_that_fails_is_the_callers_error_and_is_forgotten():
    with pytest.raises(KeyError):
        state.change("s", "k", lambda record: {"count": record["count"]})
    assert state.change("s", "k", count) == ""
    assert state.records("s") == {"k": {"count": 1}}
