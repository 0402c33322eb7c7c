"""A real Dask scheduler and two workers, each a process of its own, one of which dies."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from grader.__main__ import main
from grader.classroom import cluster
from grader.classroom.gradebook.gradebook import Gradebook
from tests import ROOT
from tests.grader.classroom import light

SLEEPY = "import time\ndef double_all(x):\n    time.sleep(0.02)\n    return x + x\n"
POISON = """
import os
def double_all(x):
    with open({!r}, "a") as tries:
        tries.write("again\\n")
    os.kill(os.getpid(), 9)
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def dask(program, *arguments, folder):
    """One of Dask's own commands, with all its children in a group of their own."""
    command = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.dask_{program}", *arguments]
    with open(folder / f"{program}.log", "ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def worker(address, folder):
    options = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
    return dask(
        "worker", address, *options, "--preload", "tests.grader.classroom.light", folder=folder
    )


@pytest.fixture
def scheduler(tmp_path):
    """The address of a scheduler, and its process."""
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show"]
    with dask("scheduler", *options, folder=tmp_path) as process:
        yield f"tcp://127.0.0.1:{port}", process


@pytest.fixture
def two_workers(tmp_path, scheduler):
    """The address of a scheduler, and its two workers."""
    address, _ = scheduler
    with (
        worker(address, tmp_path) as one,
        worker(address, tmp_path) as other,
    ):
        with cluster.distributed.Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
        yield address, [one, other]


@pytest.fixture
def light_lab(monkeypatch, tmp_path):
    light.put_in_place(monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()


def hand_in(count, **named):
    answers = {f"student{n}": f"# {n}\n{SLEEPY}" for n in range(count)} | named
    for student, answer in answers.items():
        Path("in", f"{student}.ipynb").write_text(light.notebook(answer))


def start(address):
    command = [
        sys.executable,
        "-m",
        "tests.grader.classroom.light",
        "grade",
        str(Path("in").absolute()),
    ]
    command += ["--lab", "99", "--gradebook", str(Path("g.sqlite").absolute())]
    command += ["--secret", str(Path("secret").absolute()), "--cluster", address]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def recorded():
    """Student and points of all that the gradebook holds."""
    with Gradebook("g.sqlite") as gradebook:
        rows = [
            gradebook.submission(number)
            for standing in gradebook.standings(light.LAB, "", "best")
            for number in (standing.counts, *standing.others)
        ]
    return sorted((row.student, row.earned) for row in rows)


def some_recorded():
    """Wait until a few submissions are recorded; how many."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (Path("g.sqlite").exists() and len(recorded()) > 5):
        time.sleep(0.1)
    return len(recorded())


@pytest.mark.usefixtures("light_lab")
def test_a_killed_workers_submissions_are_done_by_another(two_workers):
    address, (one, _) = two_workers
    hand_in(60)
    grading = start(address)
    before = some_recorded()
    os.killpg(one.pid, signal.SIGKILL)
    said = grading.communicate(timeout=120)[0].decode()
    assert grading.returncode == 0, said
    assert 5 < before < 60
    assert recorded() == sorted((f"student{n}", 3) for n in range(60))


@pytest.mark.usefixtures("light_lab")
def test_a_poisonous_submission_is_given_up_after_two_tries_and_harms_nobody(two_workers):
    address, _ = two_workers
    hand_in(10, poison=POISON.format(str(Path("tries").absolute())))
    grading = start(address)
    said = grading.communicate(timeout=240)[0].decode()
    assert grading.returncode == 0, said
    assert "Given up" in said and "poison" in said
    assert Path("tries").read_text().count("again") == 2
    assert recorded() == sorted([("poison", 0), *((f"student{n}", 3) for n in range(10))])


@pytest.mark.usefixtures("light_lab")
def test_a_killed_scheduler_stops_the_batch_in_words_and_loses_nothing(scheduler, two_workers):
    address, process = scheduler
    hand_in(60)
    grading = start(address)
    before = some_recorded()
    os.killpg(process.pid, signal.SIGKILL)
    said = grading.communicate(timeout=240)[0].decode()
    assert grading.returncode == 2, said
    assert "does not answer" in said and "Traceback" not in said
    assert before <= len(recorded()) < 60
    assert main(["grade", "in", "--lab", "99", "--gradebook", "g.sqlite"]) == 0
    assert recorded() == sorted((f"student{n}", 3) for n in range(60))


def test_no_scheduler_is_said_plainly(light_lab, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    hand_in(1)
    address = f"tcp://127.0.0.1:{free_port()}"
    assert main(["grade", "in", "--lab", "99", "--cluster", address]) == 2
    assert "There is no Dask scheduler" in capsys.readouterr().err
    assert main(["grade", "in", "--lab", "99", "--cluster", "nonsense://x"]) == 2
    assert "There is no Dask scheduler" in capsys.readouterr().err
    monkeypatch.setattr(cluster, "distributed", None)
    assert main(["grade", "in", "--lab", "99", "--cluster", address]) == 2
    assert "pip install" in capsys.readouterr().err


def test_workers_of_another_version_are_found_out(light_lab, two_workers, capsys, monkeypatch):
    hand_in(1)
    monkeypatch.setattr("grader.checking.registry.fingerprint", lambda exercise: "another")
    assert main(["grade", "in", "--lab", "99", "--cluster", two_workers[0]]) == 2
    assert "another version of the lab" in capsys.readouterr().err
