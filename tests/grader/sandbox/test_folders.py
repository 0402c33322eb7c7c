"""Temporary folders of graders that were killed go with the next one."""

import signal
import subprocess
import sys

import pytest

from grader.sandbox.folders import temporary

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
    (tmp_path / "edition-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "sandbox-other").mkdir()
    with temporary("edition", str(tmp_path)):
        pass
    assert (tmp_path / "elsewhere").exists() and (tmp_path / "sandbox-other").exists()
    assert (tmp_path / "edition-link").is_symlink()
