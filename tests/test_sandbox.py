"""The sandbox against hostile answers: what they get, what they learn, what they leave.

Run as root, the whole file is also run once more as an ordinary user.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from grader import book, registry
from grader.evidence import Raised, Seen
from grader.judge import judge
from grader.release import without_answers
from grader.sandbox import Limits, Sandbox, Unavailable, advice
from grader.sandbox.inside import seccomp
from grader.sandbox.inside.probes import PROTECTIONS
from grader.sandbox.view import bubblewrap, python
from tests.hostile import escapes, messages, resources, searches, tricks

ROOT = Path(__file__).parent.parent
NAME, JAX_NAME = "trainable_fraction", "freeze_first_dense"
SECRET = 2718281828  # hostile answers look for it
LIMITS = Limits(wall=6.0, cpu=3.0, memory=2 * 10**9)
HOSTILE = [
    hostile for m in (tricks, messages, searches, resources, escapes) for hostile in m.HOSTILE
]
RIGHT = """
def trainable_fraction(model):
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(size for size, trainable in sizes if trainable) / sum(size for size, _ in sizes)
"""

needs_bubblewrap = pytest.mark.skipif(
    sys.platform != "linux" or bubblewrap() is None, reason="bubblewrap is not installed"
)


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    """What a class gets of two exercises, in a folder that holds a secret as well."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "secret number").write_text(str(SECRET))
    edition = folder / "edition"
    ignored = shutil.ignore_patterns("__pycache__", "exercises", "sandbox")
    for package in ("grader", "paramlock"):
        shutil.copytree(ROOT / package, edition / package, ignore=ignored)
    exercises = edition / "grader" / "exercises"
    exercises.mkdir()
    shutil.copy(ROOT / "grader" / "exercises" / "__init__.py", exercises)
    for name in (NAME, JAX_NAME):
        (exercises / f"{name}.py").write_text(without_answers(registry.find(name)))
    return edition


@pytest.fixture(scope="module")
def sandbox(edition):
    os.environ["SECRET"] = str(SECRET)
    with Sandbox(edition, LIMITS) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def expected():
    """Evidence for secret inputs."""
    return book.compute(registry.find(NAME), (SECRET,))


def observed(sandbox, source):
    return sandbox.observe(NAME, [source], registry.find(NAME).cases((SECRET,)))


def points(seen, expected):
    return judge(registry.find(NAME), seen, expected.reference, expected.specimens).earned


def kinds(seen, expected):
    """How the cases ended, those apart in which an exception is what the task asks for."""
    asked = [case for case in seen if "fraction" in expected.reference[case].evidence]
    return {getattr(seen[case], "kind", type(seen[case]).__name__) for case in asked}


@needs_bubblewrap
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.aim)
def test_a_hostile_answer_gains_nothing_and_leaves_nothing(sandbox, expected, hostile):
    seen = observed(sandbox, hostile.source)
    assert kinds(seen, expected) <= set(hostile.ends.split("|")), seen
    assert points(seen, expected) == 0
    assert inside(sandbox) == []
    after = observed(sandbox, RIGHT)
    assert points(after, expected) == registry.find(NAME).points, after


def inside(sandbox):
    """Processes in the sandbox beside the fork server."""
    server = sandbox._box._inside
    time.sleep(0.02)  # its supervisor says the last word and then ends, too
    tasks = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    parents = [(int(text.split()[0]), int(text.rpartition(")")[2].split()[1])) for text in tasks]
    return [child for child, parent in parents if parent == server]


def test_there_are_enough_hostile_answers():
    assert len(HOSTILE) >= 40
    assert len({hostile.aim for hostile in HOSTILE}) == len(HOSTILE)
