"""What all tests share: one thread each, and the figures they measure, shown at the end."""

import os
import signal
import sys

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported; children inherit it


# A shell that starts the tests in its background has them ignore Ctrl-C, and so would every
# program they start; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
