"""The sandbox against hostile answers: what they get, what they learn, what they leave.

Run as root, what depends on the user is run once more as an ordinary one.
"""

import ctypes
import ctypes.util
import inspect
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest

from grader.checking import book, registry
from grader.harvesting import views
from grader.harvesting.slices import slice_of
from grader.judging.evidence import Raised, Seen, Unattempted
from grader.judging.feedback import Feedback, as_html
from grader.judging.judge import judge
from grader.judging.run import observations
from grader.judging.wire import encode
from grader.press.release import release
from grader.running.candidate import Reply, observed_in
from grader.sandbox import Limits, Sandbox, Unavailable, advice, cache, view
from grader.sandbox.inside import seccomp
from grader.sandbox.protections import PROTECTIONS
from grader.sandbox.view import bubblewrap
from tests import ROOT, right_answers
from tests.grader.sandbox.hostile import escapes, messages, resources, searches, tricks
from tests.grader.sandbox.namespaces import needs_bubblewrap

NAME, JAX_NAME = "trainable_fraction", "freeze_first_dense"
SECRET = 2718281828  # hostile answers look for it
LIMITS = Limits(wall=20.0, cpu=4.0, memory=5 * 10**8)  # seconds of a wall clock on a busy machine
THREADS = 6
STYLES = 4  # of right answers to each exercise; test_exercises.py has them all
HOSTILE = [
    hostile for m in (tricks, messages, searches, resources, escapes) for hostile in m.HOSTILE
]
BY_AIM = {hostile.aim: hostile for hostile in HOSTILE}
RIGHT = """
def trainable_fraction(model):
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(size for size, trainable in sizes if trainable) / sum(size for size, _ in sizes)
"""


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    """What a class gets, in a folder that holds a secret as well."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "secret number").write_text(str(SECRET))
    release(folder / "edition")
    return folder / "edition"


@pytest.fixture(scope="module")
def sandbox(edition):
    os.environ["SECRET"] = str(SECRET)
    with Sandbox(edition, LIMITS) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Programs compiled for the references of all JAX exercises."""
    folder = tmp_path_factory.mktemp("programs") / "cache"
    exercises = [e for e in map(registry.find, registry.names()) if "jax" in e.frameworks]
    cache.fill(folder, [(e.name, reference(e), e.cases((0,))) for e in exercises])
    return folder


@pytest.fixture(scope="module")
def cached(edition, programs):
    with Sandbox(edition, cache=programs) as sandbox:
        yield sandbox


def reference(exercise):
    return [statement.source for statement in views.answer(exercise)]


@pytest.fixture(scope="module")
def expected():
    """Evidence for secret inputs."""
    return book.compute(registry.find(NAME), (SECRET,))


def observed(sandbox, source):
    return sandbox.observe(NAME, [source], registry.find(NAME).cases((SECRET,)))


def points(seen, expected):
    return judge(registry.find(NAME), seen, expected.reference, expected.specimens).earned


@pytest.fixture(scope="module")
def idle(expected):
    """What an answer earns that does nothing: it does no harm, either."""
    exercise = registry.find(NAME)
    seen = observations(exercise, lambda model: 2.0, exercise.cases((SECRET,)))
    return points(seen, expected)


def kinds(seen, expected):
    """How the cases ended, those apart in which an exception is what the task asks for."""
    asked = [case for case in seen if "fraction" in expected.reference[case].evidence]
    return {getattr(seen[case], "kind", type(seen[case]).__name__) for case in asked}


@pytest.fixture(scope="module")
def outcomes(sandbox):
    """By aim, what is seen of each hostile answer and of a right one after it.

    Several at once, so that each has others beside it, too. The longest come first.
    """

    def observe(hostile):
        return hostile.aim, (observed(sandbox, hostile.source), observed(sandbox, RIGHT))

    by_length = sorted(HOSTILE, key=lambda hostile: "TimeLimit" not in hostile.ends)
    with ThreadPoolExecutor(THREADS) as threads:
        return dict(threads.map(observe, by_length))


@needs_bubblewrap
@pytest.mark.parametrize("aim", BY_AIM)
def test_a_hostile_answer_gains_nothing_and_harms_nobody(outcomes, expected, idle, aim):
    seen, after = outcomes[aim]
    assert kinds(seen, expected) <= set(BY_AIM[aim].ends.split("|")), seen
    report = judge(registry.find(NAME), seen, expected.reference, expected.specimens)
    assert report.earned <= (idle if "Seen" in kinds(seen, expected) else 0)
    assert all(o.seen or o.verdict in ("met", "not attempted") for o in report.outcomes)
    assert "<script" not in as_html(Feedback(report))
    assert points(after, expected) == registry.find(NAME).points, after


@needs_bubblewrap
def test_nothing_is_left_of_hostile_answers(sandbox, outcomes):
    assert len(outcomes) == len(HOSTILE)
    assert_empty(sandbox)


@needs_bubblewrap
def test_what_one_answer_leaves_the_next_does_not_find(sandbox, expected):
    ends = [kinds(observed(sandbox, searches.LEAVING), expected) for _ in range(2)]
    assert ends == [{"LookupError"}] * 2


def assert_empty(sandbox):
    """Wait until the fork server is alone in the sandbox: supervisors are just ending."""
    wait_until(lambda: not children(sandbox._box._inside))


def wait_until(true, limit=120):
    deadline = time.monotonic() + limit
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def children(parent):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            found += [path.parent.name] if int(fields[1]) == parent else []
    return found


def test_there_are_enough_hostile_answers():
    assert len(BY_AIM) == len(HOSTILE) >= 40


@needs_bubblewrap
def test_every_protection_is_present_and_reported(sandbox):
    assert sandbox.protections() == dict.fromkeys(PROTECTIONS, True)
    assert sandbox.report().count("present") == len(PROTECTIONS)


@needs_bubblewrap
def test_a_fork_bomb_costs_its_neighbours_nothing(sandbox, expected):
    bomb = BY_AIM["is a fork bomb"]
    with ThreadPoolExecutor(3) as threads:
        bombs = [threads.submit(observed, sandbox, bomb.source) for _ in range(2)]
        neighbours = [threads.submit(observed, sandbox, RIGHT) for _ in range(10)]
        assert [kinds(bomb.result(), expected) for bomb in bombs] == [{"ProcessLimit"}] * 2
        earned = {points(neighbour.result(), expected) for neighbour in neighbours}
    assert earned == {registry.find(NAME).points}
    assert_empty(sandbox)


@needs_bubblewrap
def test_a_broken_sandbox_costs_no_answer(sandbox, expected):
    """The fork server is killed under an answer: the answer runs again, in a new one."""
    slow = "import time; time.sleep(1)\n" + RIGHT
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(observed, sandbox, slow)
        wait_until(lambda: children(sandbox._box._inside))
        os.kill(sandbox._box._inside, signal.SIGKILL)
        assert points(answer.result(), expected) == registry.find(NAME).points


@needs_bubblewrap
def test_what_is_raised_travels_tamed(sandbox, expected):
    source = "def trainable_fraction(model):\n    raise LookupError(chr(27) + '[2J' + 'x' * 10**5)"
    raised = [one for one in observed(sandbox, source).values() if isinstance(one, Raised)]
    assert raised and all(len(one.message) <= 2000 for one in raised)
    assert all(one.message.startswith("[2Jxxx") for one in raised)


ENDS = [
    "os.kill(os.getpid(), signal.SIGKILL)",
    "signal.raise_signal(signal.SIGKILL)",
    "signal.pthread_kill(threading.get_ident(), signal.SIGKILL)",
]


@needs_bubblewrap
@pytest.mark.parametrize("end", ENDS)
def test_an_answer_that_kills_itself_is_ended_as_it_is_elsewhere(sandbox, end):
    """It is the first process of its namespace, which the kernel would let go on."""
    imports = "import os, signal, threading\n"
    dying = RIGHT.replace("    sizes =", f"    {end}\n    sizes =")
    seen = observed(sandbox, imports + dying)
    assert {one.kind for one in seen.values()} == {"Ended"}
    child = RIGHT.replace(
        "    sizes =", "    own = os.fork()\n    os.wait() if own else end()\n    sizes ="
    )
    ending = f"def end():\n    {ENDS[0]}\n"
    seen = observed(sandbox, imports + ending + child)
    assert all(isinstance(one, Seen) for one in seen.values())


@needs_bubblewrap
@pytest.mark.parametrize("name", right_answers.names())
def test_right_answers_lose_nothing(cached, name):
    """Whatever their style, from the file they stand in to their points."""
    exercise, source = registry.find(name), inspect.getsource(right_answers.module(name))
    cases = exercise.cases((SECRET,))
    expected = observations(exercise, exercise.reference, cases)
    nobody = [{} for _ in exercise.misconceptions]
    answers = {
        answer.__name__: slice_of([source, f"{name} = {answer.__name__}"], name)
        for answer in right_answers.of(name)[:STYLES]
    }
    with ThreadPoolExecutor(2) as threads:
        seen = threads.map(lambda answer: cached.observe(name, answer, cases), answers.values())
        for answer, found in zip(answers, seen, strict=True):
            report = judge(exercise, found, expected, nobody)
            assert report.verdict == "met", (answer, report)


def test_there_are_enough_right_answers():
    assert sum(len(right_answers.of(name)[:STYLES]) for name in right_answers.names()) >= 60


@needs_bubblewrap
def test_a_right_answer_in_jax_is_compiled_once_for_all(cached, programs):
    exercise = registry.find(JAX_NAME)
    filled = {path: path.stat().st_mtime_ns for path in programs.iterdir()}
    statements = [*reference(exercise), COUNTING]
    counted = cached.observe(JAX_NAME, statements, exercise.cases((SECRET,)))
    hits, misses = map(int, next(iter(counted.values())).message.split())
    assert hits > 10 and misses == 0
    assert {path: path.stat().st_mtime_ns for path in programs.iterdir()} == filled


COUNTING = f"""
import jax
events, answer = [], {JAX_NAME}
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))

def {JAX_NAME}(*arguments):
    answer(*arguments)
    hits = sum(event.endswith("cache_hits") for event in events)
    raise LookupError(f"{{hits}} {{sum(event.endswith('cache_misses') for event in events)}}")
"""


@needs_bubblewrap
def test_nothing_is_left_of_a_sandbox(edition, expected):
    """No process, no folder, no mount; not even when the grader is killed in the middle."""
    before = set(Path("/tmp").glob("sandbox-*"))
    command = [sys.executable, "-c", ENDLESS, edition]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as grader:
        server = int(grader.stdout.readline())
        try:
            time.sleep(1)  # until the supervisor of the last probe is gone
            wait_until(lambda: children(server))
        finally:
            grader.kill()
    wait_until(lambda: not Path(f"/proc/{server}").exists())
    wait_until(lambda: set(Path("/tmp").glob("sandbox-*")) <= before)  # others may be starting
    assert "/sandbox-" not in Path("/proc/mounts").read_text()


ENDLESS = f"""
import sys
from pathlib import Path
from grader.checking import registry
from grader.sandbox import Sandbox
cases = registry.find("trainable_fraction").cases((0,))
with Sandbox(Path(sys.argv[1])) as sandbox:
    print(sandbox._box._inside, flush=True)
    endless = "def {NAME}(model):\\n    while True: pass"
    sandbox.observe("{NAME}", [endless], cases)
"""


def test_a_machine_without_bubblewrap_is_told_what_to_install(edition, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("grader.sandbox.sandbox.bubblewrap", lambda: None)
    with pytest.raises(Unavailable, match="apt install bubblewrap"), Sandbox(edition):
        pass


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_platforms_are_refused_by_name(edition, monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(Unavailable, match=f"this is {platform}"), Sandbox(edition):
        pass


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_unsafe_grades_all_the_same_and_says_what_is_absent(
    edition, monkeypatch, expected, platform
):
    monkeypatch.setattr("grader.sandbox.sandbox.bubblewrap", lambda: None)
    monkeypatch.setattr(sys, "platform", platform)
    with Sandbox(edition, LIMITS, unsafe=True) as sandbox:
        assert points(observed(sandbox, RIGHT), expected) == registry.find(NAME).points
        assert [name for name, held in sandbox.protections().items() if held] == ["time"]
        assert sandbox.report().count("ABSENT") == len(PROTECTIONS) - 1


@needs_bubblewrap
def test_what_bubblewrap_says_is_passed_on(edition, monkeypatch, tmp_path):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho bwrap: No permissions to create new namespace >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("grader.sandbox.sandbox.bubblewrap", lambda: str(broken))
    with pytest.raises(Unavailable, match=r"No permissions[^$]*containers"), Sandbox(edition):
        pass


@needs_bubblewrap
def test_an_edition_that_cannot_be_imported_is_named(tmp_path):
    for package in ("grader", "paramlock"):
        (tmp_path / package).mkdir()
    with pytest.raises(Unavailable, match=r"No module named 'grader[^$]*release"):
        Sandbox(tmp_path).__enter__()


@needs_bubblewrap
def test_protections_that_do_not_hold_are_named(edition, monkeypatch):
    lacking = dict.fromkeys(PROTECTIONS, True) | {"network": False}
    monkeypatch.setattr("grader.sandbox.trial.held", lambda *_: lacking)
    with pytest.raises(Unavailable, match="did not hold: network"), Sandbox(edition):
        pass
    with Sandbox(edition, unsafe=True) as sandbox:
        assert sandbox.protections() == lacking
        assert sandbox.report().startswith("ABSENT   network")


@needs_bubblewrap
def test_packages_in_a_temporary_folder_can_be_imported(edition, monkeypatch):
    """An answer's own temporary space would hide them there, so they stand elsewhere inside."""
    answer = ["import lent", "def trainable_fraction(model):\n    raise ValueError(lent.WORD)\n"]
    cases = registry.find("trainable_fraction").cases((SECRET,))
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        packages = Path(folder, "site-packages")
        packages.mkdir()
        (packages / "lent.py").write_text("WORD = 'from a temporary folder'\n")
        monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
        with Sandbox(edition) as sandbox:
            seen = sandbox.observe("trainable_fraction", answer, cases)
    raised = {one.message for one in seen.values() if isinstance(one, Raised)}
    assert raised == {"from a temporary folder"}


@needs_bubblewrap
def test_a_python_in_a_temporary_folder_is_refused(edition, monkeypatch):
    monkeypatch.setattr(view, "python", lambda: "/tmp/python3")
    with pytest.raises(Unavailable, match="/tmp/python3"), Sandbox(edition):
        pass


def test_the_package_can_be_imported_where_there_is_no_linux():
    blocked = "import sys; sys.modules |= dict.fromkeys(['fcntl', 'resource']); "
    subprocess.run([sys.executable, "-c", f"{blocked} import grader.sandbox"], check=True)


@pytest.mark.parametrize("name, bad, good", [(n, b, g) for n, (b, g) in advice.SETTINGS.items()])
def test_settings_that_forbid_user_namespaces_are_found(tmp_path, name, bad, good):
    setting = tmp_path / name
    setting.parent.mkdir()
    setting.write_text(f"{bad}\n")
    assert f"sysctl {name.replace('/', '.')}={good}" in advice.causes(tmp_path)
    setting.write_text(f"{good}\n")
    assert advice.causes(tmp_path) == advice.UNKNOWN


def test_numbers_of_system_calls_are_those_of_libseccomp():
    """The table was copied by hand, and one of its columns is not this machine's."""
    library = ctypes.util.find_library("seccomp")
    if library is None:
        pytest.skip("libseccomp is not installed, so there is nothing to compare with")
    resolve = ctypes.CDLL(library).seccomp_syscall_resolve_name_arch
    calls = seccomp.NUMBERS | {
        "clone": seccomp.CLONE,
        "clone3": seccomp.CLONE3,
        "mmap": seccomp.MMAP,
        "fcntl": seccomp.FCNTL,
    }
    for name, numbers in calls.items():
        for column, architecture in seccomp.ARCHITECTURES.values():
            if numbers[column] >= 0:
                resolved = resolve(ctypes.c_uint32(architecture), name.encode())
                assert resolved == numbers[column], name


def test_mutated_replies_are_evidence_or_refused():
    rng = random.Random(0)
    array = Seen({"a": np.arange(6.0).reshape(2, 3), "b": [1, "x", None], "c": {"d": True}})
    good = encode(Reply({"0": array, "1": Raised("Kind", "words"), "2": Unattempted()}))
    refused = 0
    for _ in range(4000):
        frame = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            frame[rng.randrange(len(frame))] = rng.randrange(256)
        try:
            observed_in(bytes(frame[: rng.randint(1, len(frame))] if rng.random() < 0.3 else frame))
        except msgspec.DecodeError:
            refused += 1
    assert 2000 < refused < 4000


@needs_bubblewrap
def test_all_of_this_holds_for_an_ordinary_user(tmp_path):
    """In a view of the machine in which Python's own folders are open to everybody."""
    if os.getuid() != 0:
        pytest.skip("the tests already run as an ordinary user")
    needed = [Path(sys.prefix), Path(sys.base_prefix), ROOT]
    closed = {p for n in needed for p in n.parents if not p.stat().st_mode & stat.S_IXOTH}
    view = [bubblewrap(), "--dev-bind", "/", "/", "--cap-add", "ALL", "--setenv", "HOME", "/tmp"]
    view += ["--tmpfs", min(closed)] if closed else []
    for folder in sorted({p for n in needed for p in n.parents if closed & {p, *p.parents}}):
        view += ["--perms", "0755", "--dir", folder]
    for folder in needed:
        view += ["--ro-bind", folder, folder]
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    chosen = "hostile or leaves or left or bomb or every_protection or in_jax"
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, __file__]
    done = subprocess.run([*view, *user, *tests], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
