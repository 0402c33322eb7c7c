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

from grader import book, registry, views
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
LIMITS = Limits(wall=6.0, cpu=4.0, memory=10**9)
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
    """What runs in the sandbox beside the fork server, once supervisors have had time to end."""
    deadline = time.monotonic() + 5
    while (found := children(sandbox._box._inside)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def children(parent):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            found += [path.parent.name] if int(fields[1]) == parent else []
    return found


def test_there_are_enough_hostile_answers():
    assert len(HOSTILE) >= 40
    assert len({hostile.aim for hostile in HOSTILE}) == len(HOSTILE)


@needs_bubblewrap
def test_every_protection_is_present_and_reported(sandbox):
    assert sandbox.protections() == dict.fromkeys(PROTECTIONS, True)
    assert sandbox.report().count("present") == len(PROTECTIONS)


@needs_bubblewrap
def test_a_fork_bomb_costs_its_neighbours_nothing(sandbox, expected):
    bomb = next(hostile for hostile in HOSTILE if hostile.aim == "is a fork bomb")
    with ThreadPoolExecutor(3) as threads:
        bombs = [threads.submit(observed, sandbox, bomb.source) for _ in range(2)]
        neighbours = [threads.submit(observed, sandbox, RIGHT) for _ in range(10)]
        assert [kinds(bomb.result(), expected) for bomb in bombs] == [{"ProcessLimit"}] * 2
        earned = {points(neighbour.result(), expected) for neighbour in neighbours}
    assert earned == {registry.find(NAME).points}
    assert inside(sandbox) == []


@needs_bubblewrap
def test_a_broken_sandbox_costs_no_answer(sandbox, expected):
    """The fork server is killed under an answer: the answer runs again, in a new one."""
    slow = "import time; time.sleep(0.5)\n" + RIGHT
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(observed, sandbox, slow)
        time.sleep(0.3)
        os.kill(sandbox._box._inside, signal.SIGKILL)
        assert points(answer.result(), expected) == registry.find(NAME).points


@needs_bubblewrap
def test_what_is_raised_travels_tamed(sandbox, expected):
    source = "def trainable_fraction(model):\n    raise LookupError(chr(27) + '[2J' + 'x' * 10**6)"
    for observation in observed(sandbox, source).values():
        if isinstance(observation, Raised):
            assert len(observation.message) <= 2000 and observation.message.startswith("[2Jxxx")


@needs_bubblewrap
def test_a_right_answer_in_jax_passes_with_a_cache_and_without(edition, tmp_path):
    exercise = registry.find(JAX_NAME)
    statements = [statement.source for statement in views.answer(exercise)]
    count = "hits = []\nimport jax\njax.monitoring.register_event_listener(lambda e, **k: hits.append(e))"
    told = f"def {JAX_NAME}(*a): raise LookupError(str(sum('cache_hits' in hit for hit in hits)))"
    cache.fill(tmp_path / "cache", [(JAX_NAME, statements, exercise.cases((0,)))])
    filled = sorted((tmp_path / "cache").iterdir())
    cases = exercise.cases((SECRET,))
    expected = book.compute(exercise, (SECRET,))
    for folder in (None, tmp_path / "cache"):
        with Sandbox(edition, cache=folder) as sandbox:
            seen = sandbox.observe(JAX_NAME, statements, cases)
            assert judge(exercise, seen, expected.reference, expected.specimens).verdict == "met"
    assert filled and sorted((tmp_path / "cache").iterdir()) == filled
