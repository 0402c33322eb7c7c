"""The gradebook holds each verdict once, whatever is killed and whenever."""

import glob
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from grader.classroom.gradebook import database
from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.mark.errors import BatchError
from tests import ROOT
from tests.grader.classroom import light
from tests.grader.sandbox.namespaces import needs_bubblewrap

KILLS = 50
KEY = {"lab": "99_light", "student": "alice", "content": "abc", "version": "v1"}
VERDICT = {
    "exercise": "double_all", "verdict": "met", "earned": 3, "possible": 3, "report": "{}",
    "statements": "[]", "seeds": "[]", "evidence": b"\x01", "shown": None,
    "versions": "{}", "seconds": 0.1,
}  # fmt: skip


def submission(**more):
    then = datetime(2026, 5, 1)
    fixed = {"number": "", "file": "a.ipynb", "written": then, "graded": then, "unusable": ""}
    return {**fixed, "earned": 3, "possible": 3, "lost": 0, **more}


# PostgreSQL, started here as a user without privileges


def program(name):
    """A program of PostgreSQL; Debian keeps them off the path."""
    found = [shutil.which(name), *sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))]
    return next((path for path in reversed(found) if path), None)


class Server:
    """A PostgreSQL server that can be killed and started again. `within` is put before its name."""

    def __init__(self, folder, within=()):
        self.folder, self.user = folder, "nobody" if os.getuid() == 0 else None
        self.within = within
        if self.user:
            shutil.chown(folder, self.user)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        make = [program("initdb"), "-D", f"{folder}/data", "-U", "grader", "-A", "trust", "-N"]
        self._run(make)
        self.url = f"postgresql://grader@127.0.0.1:{self.port}/postgres"

    def _options(self):
        return {"user": self.user, "group": "nogroup" if self.user else None, "cwd": self.folder}

    def _run(self, command):
        subprocess.run(command, check=True, capture_output=True, **self._options())

    def start(self):
        command = [
            *self.within,
            program("postgres"),
            "-D",
            f"{self.folder}/data",
            "-p",
            str(self.port),
        ]
        command += [
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            f"unix_socket_directories={self.folder}",
        ]
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, **self._options()
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not self.answers():
            time.sleep(0.1)

    def told(self, *commands):
        engine = create_engine(self.url.replace("postgresql:", "postgresql+psycopg:"))
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for command in commands:
                    connection.execute(text(command))
        finally:
            engine.dispose()

    def answers(self):
        try:
            self.told()
        except OperationalError:
            return False
        return True

    def kill(self):
        """Its children notice and end, too."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(within=()):
    if not (program("initdb") and program("postgres")):
        pytest.skip("needs Debian's package postgresql")
    folder = tempfile.mkdtemp(prefix="pg-")  # pytest's own folders are closed to other users
    Path(folder, "small").mkdir()
    server = Server(folder, [word.format(folder) for word in within])
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def postgres():
    with running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """An empty database of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "gradebook.sqlite")
    server, name = request.getfixturevalue("postgres"), f"db{time.monotonic_ns()}"
    server.told(f"CREATE DATABASE {name}")
    return server.url.replace("/postgres", f"/{name}")


# What it does


def test_a_submission_is_recorded_once_and_whole(url):
    with Gradebook(url) as gradebook, Gradebook(url) as other:
        assert not gradebook.holds(KEY)
        assert gradebook.record(KEY, submission(), [VERDICT])
        assert not other.record(KEY, submission(earned=0), [VERDICT])
        assert gradebook.holds(KEY) and gradebook.done("99_light", "v1") == {("alice", "abc")}
        assert gradebook.record({**KEY, "version": "v2"}, submission(), [VERDICT, VERDICT]) is False
        assert not gradebook.holds({**KEY, "version": "v2"})
        assert gradebook.submission(1).earned == 3
        assert gradebook.verdict(1).evidence == b"\x01"
        assert [row.exercise for row in other.verdicts(1)] == ["double_all"]


def test_a_lost_submission_makes_way_for_its_repetition(url):
    with Gradebook(url) as gradebook:
        assert gradebook.record(KEY, submission(lost=1, earned=0), [VERDICT])
        assert not gradebook.holds(KEY) and not gradebook.done("99_light", "v1")
        assert gradebook.record(KEY, submission(), [VERDICT])
        assert not gradebook.record(KEY, submission(lost=1), [VERDICT])
        (standing,) = gradebook.standings("99_light", "v1", "best")
        assert not standing.others and gradebook.submission(standing.counts).earned == 3


def test_this_version_of_the_lab_counts_before_an_earlier_one(url):
    with Gradebook(url) as gradebook:
        gradebook.record({**KEY, "version": "v1"}, submission(earned=3), [])
        gradebook.record({**KEY, "version": "v2"}, submission(earned=1), [])
        gradebook.record({**KEY, "student": "bob"}, submission(), [])
        counts = [s.counts for s in gradebook.standings("99_light", "v2", "best")]
        assert [gradebook.submission(number).version for number in counts] == ["v2", "v1"]


def test_texts_of_every_kind_come_back(url):
    odd = "a\tb\n'\"; DROP TABLE submission; -- \u202e🂡 \\0"
    with Gradebook(url) as gradebook:
        gradebook.record({**KEY, "student": odd}, submission(unusable=odd), [VERDICT])
        assert gradebook.submission(1).student == gradebook.submission(1).unusable == odd


def test_two_may_begin_a_gradebook_at_once(url):
    script = (
        "import sys; from grader.classroom.gradebook.gradebook import Gradebook\n"
        "Gradebook(sys.argv[1])"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", script, url], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0] * 4, said


def test_a_gradebook_of_another_format_is_left_alone(tmp_path):
    path = tmp_path / "g.sqlite"
    Gradebook(str(path)).__exit__()
    assert path.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE gradebook SET format = 99")
    connection.close()
    with pytest.raises(BatchError, match="another version"):
        Gradebook(str(path))
    path.write_text("no database at all, but a text that is long enough for its header" * 9)
    with pytest.raises(BatchError, match="cannot be used"):
        Gradebook(str(path))


# Killed at any moment


def answers_in(folder, count, answer=light.SLOW):
    folder.mkdir(exist_ok=True)
    for number in range(count):
        cells = light.notebook(f"# {number}\n{answer}")
        (folder / f"student{number:03}.ipynb").write_text(cells)


def grading(folder, url, cwd, within=()):
    command = [
        *within,
        sys.executable,
        "-m",
        "tests.grader.classroom.light",
        "grade",
        str(folder),
        "--lab",
        "99",
    ]
    command += ["--gradebook", url, "--secret", str(cwd / "secret"), "--jobs", "2"]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def held(url):
    """(submissions, verdicts, points) that the gradebook holds."""
    address = url.replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(address if "://" in url else f"sqlite:///{url}")
    asked = (
        "SELECT count(*) FROM submission",
        "SELECT count(*) FROM verdict",
        "SELECT coalesce(sum(earned), 0) FROM verdict",
        "SELECT count(*) FROM submission s WHERE NOT EXISTS "
        "(SELECT 1 FROM verdict v WHERE v.submission_id = s.id AND v.earned = s.earned)",
    )
    try:
        with engine.connect() as connection:
            return [connection.scalar(text(query)) for query in asked]
    finally:
        engine.dispose()


def kill(process, alone):
    """Kill a grader, and all that it started; or it alone, and all the rest ends by itself."""
    below = children(process.pid)
    if alone:
        process.kill()
        assert not psutil.wait_procs(below, timeout=60)[1]
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def children(pid):
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def held_if_any(url):
    """The submissions; None while there are no tables yet."""
    try:
        return held(url)[0]
    except DBAPIError:
        return None


@pytest.mark.parametrize("url, kills", [("sqlite", KILLS - 10), ("postgres", 10)], indirect=["url"])
def test_a_grader_killed_at_any_moment_loses_nothing_and_grades_nothing_twice(
    tmp_path, url, kills, record_property
):
    count, before, landed, chance = 0, 0, 0, random.Random(0)
    with Gradebook(url):
        pass
    for number in range(kills):
        count = max(count, before + 60)  # so many that nobody is done before being killed
        answers_in(tmp_path / "in", count)
        process = grading(tmp_path / "in", url, tmp_path)
        if number % 2:  # somewhere while it starts, or soon after
            time.sleep(chance.uniform(0, 2))
        else:  # while it grades and writes
            while process.poll() is None and held(url)[0] == before:
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.3))
        kill(process, alone=number % 3 == 0)
        submissions, verdicts, points, torn = held(url)
        assert submissions == verdicts and points == 3 * verdicts and torn == 0
        assert submissions >= before
        landed += submissions > before
        before = submissions
    process = grading(tmp_path / "in", url, tmp_path)
    said = process.communicate()[0].decode()
    assert process.returncode == 0, said
    assert held(url) == [count, count, 3 * count, 0]
    what = f"{kills} kills, {landed} while rows were being written, {before} rows in between"
    record_property("figures", what)
    assert landed >= kills / 2


def test_two_graders_at_once_share_the_work(tmp_path, url):
    slower = light.SLOW.replace("0.002", "0.02")  # than it takes the second one to start
    answers_in(tmp_path / "in", 80, slower)
    both = [grading(tmp_path / "in", url, tmp_path) for _ in range(2)]
    said = [process.communicate()[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert held(url) == [80, 80, 240, 0]
    graded = [int(words.partition("Graded ")[2].split()[0]) for words in said]
    assert sum(graded) == 80 and min(graded) > 0


def test_ctrl_c_stops_in_words_and_the_same_command_goes_on(tmp_path):
    url = str(tmp_path / "g.sqlite")
    answers_in(tmp_path / "in", 100)
    process = grading(tmp_path / "in", url, tmp_path)
    while not (os.path.exists(url) and held_if_any(url)):
        time.sleep(0.02)
    below = children(process.pid)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 130, said
    assert "Stopped. The same command goes on from here." in said and "Traceback" not in said
    assert not psutil.wait_procs(below, timeout=60)[1]
    process = grading(tmp_path / "in", url, tmp_path)
    assert process.communicate() and process.returncode == 0
    assert held(url) == [100, 100, 300, 0]


# Full, and gone


def with_small_disk(folder, size):
    """A command under which a folder is a disk of so many bytes."""
    return ["bwrap", "--dev-bind", "/", "/", "--size", str(size), "--tmpfs", str(folder)]


@needs_bubblewrap
def test_a_full_disk_is_said_plainly_and_what_was_recorded_is_safe(tmp_path):
    answers_in(tmp_path / "in", 300)
    (tmp_path / "disk").mkdir()
    url, kept = str(tmp_path / "disk" / "g.sqlite"), str(tmp_path / "g.sqlite")
    saved = ["sh", "-c", f'"$@"; status=$?; cp {url} {kept}; exit $status', "sh"]
    within = [*with_small_disk(tmp_path / "disk", 256_000), *saved]
    process = grading(tmp_path / "in", url, tmp_path, within)
    said = process.communicate()[0].decode()
    assert process.returncode == 2, said
    assert "is full" in said and "Make room" in said and "Traceback" not in said
    submissions, verdicts, _, torn = held(kept)
    assert 0 < submissions == verdicts < 300 and torn == 0
    process = grading(tmp_path / "in", kept, tmp_path)
    assert process.communicate() and process.returncode == 0
    assert held(kept) == [300, 300, 900, 0]


@needs_bubblewrap
def test_a_full_disk_of_a_server_is_said_plainly_as_well():
    large = {**VERDICT, "evidence": os.urandom(300_000)}
    with running(with_small_disk("{}/small", 16_000_000)) as server:
        server.told(
            f"CREATE TABLESPACE small LOCATION '{server.folder}/small'",
            "CREATE DATABASE small TABLESPACE small",
        )
        url = server.url.replace("/postgres", "/small")
        full = pytest.raises(BatchError, match=r"is full.* Make room")
        with Gradebook(url) as gradebook, full:
            for number in range(100):
                gradebook.record({**KEY, "student": str(number)}, submission(), [large])
        assert 0 < held(url)[0] < 100 and held(url)[3] == 0


def test_a_database_that_is_not_there_is_said_plainly_and_at_once():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(BatchError, match="does not answer") as raised:
        Gradebook(f"postgresql://grader:hidden@127.0.0.1:{port}/grades")
    assert "hidden" not in str(raised.value) and "refused" in str(raised.value)


on_postgres = pytest.mark.parametrize("url", ["postgres"], indirect=True)


@on_postgres
def test_a_database_killed_and_started_again_midway_costs_nothing(tmp_path, url, postgres):
    answers_in(tmp_path / "in", 200)
    process = grading(tmp_path / "in", url, tmp_path)
    for _ in range(3):
        before = held_if_any(url) or 0
        while process.poll() is None and (held_if_any(url) or 0) <= before:
            time.sleep(0.02)
        postgres.kill()
        time.sleep(0.5)
        postgres.start()
    said = process.communicate()[0].decode()
    assert process.returncode == 0, said
    assert held(url) == [200, 200, 600, 0]


@on_postgres
def test_a_database_that_stays_away_stops_the_batch_in_words(url, postgres, monkeypatch):
    monkeypatch.setattr(database, "PAUSES", (0.1, 0.1))
    with Gradebook(url) as gradebook:
        postgres.kill()
        try:
            with pytest.raises(BatchError, match="does not answer") as raised:
                gradebook.record(KEY, submission(), [VERDICT])
            assert "What has been recorded is safe" in str(raised.value)
        finally:
            postgres.start()
        assert gradebook.record(KEY, submission(), [VERDICT])


def test_another_that_keeps_sqlite_locked_is_said_plainly(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_LIMIT", 0.2)
    path = tmp_path / "g.sqlite"
    with Gradebook(str(path)) as gradebook:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BatchError, match="has kept"):
            gradebook.record(KEY, submission(), [VERDICT])
        holder.execute("ROLLBACK")
        holder.close()
        assert gradebook.record(KEY, submission(), [VERDICT])
