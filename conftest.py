"""What all tests share: one thread each, groups that run together, figures shown at the end.

Where several processes share the tests (`-n`), a *group* stays in one of them: a notebook, the laws
over one exercise, otherwise a module. After a group, what JAX compiled for it is let go, and what
was kept for the learner. It stands at the root, since only there a plugin may be named.
"""

import atexit
import ctypes
import gc
import os
import re
import shutil
import signal
import sys
import tempfile
from itertools import chain

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.browser"]

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported; children inherit it

# No test depends on how fast the machine is.
settings.register_profile("course", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("course")

# A learner who has done nothing: what a notebook shows must not depend on a guess that was kept.
os.environ["COURSE_STATE"] = tempfile.mkdtemp(prefix="learner-")
atexit.register(shutil.rmtree, os.environ["COURSE_STATE"], ignore_errors=True)


# A shell that starts the tests in its background has them ignore Ctrl-C, and so would every
# program they start; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


LONG = {
    "a browser": [
        "tests/test_browser.py",
        "tests/test_browser_forms.py",
        "tests/test_browser_links.py",
        "tests/test_browser_widgets.py",
        "tests/grader/press/test_site.py::TestInABrowser",
    ],
    "notebooks": ["tests/grader/press/test_levels.py"],
    "set-up": ["tests/test_bootstrap.py"],
    "editions, commands, records of bands": [
        "tests/grader/press/test_bands.py",
        "tests/grader/press/test_bank.py",
        "tests/grader/press/test_release.py",
        "tests/grader/test_commands.py",
        "tests/lessonkit/test_seeding.py",
    ],
    "types, and one framework alone": [
        "tests/paramlock/fisher/test_fisher.py::test_each_framework",
        "tests/paramlock/mixing/test_mixing.py::test_each_framework",
        "tests/paramlock/test_face.py::test_a_users_code",
        "tests/paramlock/test_face.py::test_one_framework",
        "tests/paramlock/test_face.py::test_only_what_is_used",
        "tests/test_style.py::test_style[types]",
    ],
    "batches, gradebooks and clusters": ["tests/grader/classroom"],
    "the sandbox and mangled notebooks": ["tests/grader/sandbox", "tests/grader/harvesting"],
    "what wrong answers and right ones do": [
        f"tests/grader/exercises/test_exercises.py::test_{law}"
        for law in (
            "a_diagnosis_is_true",
            "a_forged_reply",
            "book_is_up_to_date",
            "evidence_is_deterministic",
            "evidence_replayed",
            "feedback_ends_with_a_question",
            "mutants_of_the_reference",
            "no_claim_is_earned",
            "no_two_specimens",
            "right_answers_in_other_styles",
            "specimens_are_rejected",
        )
    ],
    "models of Flax": [
        "tests/paramlock/certifying/test_certificate_flax.py",
        "tests/paramlock/unlocking/test_opening_flax.py",
    ],
}
"""What `--quick` leaves out, and how the ids of its tests begin."""


def pytest_addoption(parser):
    parser.addoption(
        "--quick", action="store_true", help=f"a round of minutes: without {', '.join(LONG)}"
    )


def pytest_collection_modifyitems(items, config):
    if config.getoption("--quick"):
        config.hook.pytest_deselected(items=[item for item in items if is_long(item)])
        items[:] = [item for item in items if not is_long(item)]
    items.sort(key=lambda item: not is_long(item))


def is_long(item):
    return item.nodeid.startswith(tuple(chain.from_iterable(LONG.values())))


ONE_BY_ONE = ("/test_exercises.py", "/test_levels.py")
"""Files whose tests share nothing but the exercise, or the notebook, that they are about."""


def group_of(nodeid):
    """The name of a test's group: its file, and what it is about where those are many."""
    place, _, test = nodeid.partition("::")
    about = re.search(r"\[([\w/]+)", test) if place.endswith(ONE_BY_ONE) else None
    return f"{place} {about[1]}" if about else place


class InGroups(LoadScopeScheduling):
    """Gives each process whole groups. The mark `xdist_group` has no effect in pytest 9.2."""

    def _split_scope(self, nodeid):
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False  # the longest groups begin, as the items are sorted
    return InGroups(config, log)


def pytest_runtest_teardown(item, nextitem):
    ends = nextitem is None or group_of(item.nodeid) != group_of(nextitem.nodeid)
    if ends:
        shutil.rmtree(os.environ["COURSE_STATE"], ignore_errors=True)
    if ends:
        let_go()


def let_go():
    """Give back what a group needed; glibc would keep it for the next one, which has its own."""
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def pytest_report_header(config):
    if config.getoption("--quick"):
        return f"quick: leaves out {', '.join(LONG)}. Without --quick all tests run."
    return None


@pytest.fixture(scope="module")
def quick_compilation():
    """Let XLA compile without optimising: tests run once what they compile."""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def torch_compiles():
    """The test compiles for torch, which on Python 3.13.0 has to say that its guards may be slow.

    Versions of dicts are wrong there (python/cpython#125608): the warning is the sign that torch
    does without them. On any other Python it is an error.
    """
    if sys.version_info[:3] != (3, 13, 0):
        yield
        return
    with pytest.warns(RuntimeWarning, match=r"Guards may run slower on Python 3\.13\.0"):
        yield


def pytest_terminal_summary(terminalreporter):
    """Print what tests recorded as their property 'figures'."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    for report in reports:
        for name, text in getattr(report, "user_properties", ()):
            if name == "figures":
                terminalreporter.write_line(text)
