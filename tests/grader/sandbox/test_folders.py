"""Temporary folders of graders that were killed go with the next one."""

import errno
import signal
import subprocess
import sys

import pytest

from grader.sandbox.folders import OURS, temporary

HOLD = """
import sys, time
from grader.sandbox.folders import temporary
with temporary("edition", sys.argv[1]) as folder:
    (folder / "inner").mkdir()
    (folder / "inner" / "file").write_text("left")
    print(folder.name, flush=True)
    time.sleep(600)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="folders are not locked there")


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    )
    name = process.stdout.readline().strip()
    yield process, tmp_path / name
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_folder_of_a_living_grader_stays(holder, tmp_path):
    _, folder = holder
    with temporary("edition", str(tmp_path)) as mine:
        assert mine.is_dir() and (folder / "inner" / "file").exists()
    assert not mine.exists() and folder.exists()


def test_a_folder_of_a_killed_grader_goes_with_the_next(holder, tmp_path):
    process, folder = holder
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert folder.exists()
    with temporary("edition", str(tmp_path)):
        assert not folder.exists()


def test_other_folders_and_links_stay(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"{OURS}-edition-link").symlink_to(tmp_path / "elsewhere")
    for name in (f"{OURS}-sandbox-other", "edition-of-mine"):
        (tmp_path / name).mkdir()
    before = set(tmp_path.iterdir())
    with temporary("edition", str(tmp_path)):
        pass
    assert set(tmp_path.iterdir()) == before


def test_where_nothing_can_be_locked_a_folder_is_made_all_the_same(tmp_path, monkeypatch):
    def cannot(*_):
        raise OSError(errno.EOPNOTSUPP, "no locks here")

    monkeypatch.setattr("grader.sandbox.folders.fcntl.flock", cannot)
    with temporary("edition", str(tmp_path)) as outer, temporary("edition", str(tmp_path)) as inner:
        assert outer.is_dir() and inner.is_dir() and outer != inner
    assert list(tmp_path.iterdir()) == []
