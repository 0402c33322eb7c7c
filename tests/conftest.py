"""What all tests share: one thread each, and the figures they measure, shown at the end."""

import os
import signal

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


def pytest_terminal_summary(terminalreporter):
    """Print what tests recorded as their property 'figures'."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    for report in reports:
        for name, text in getattr(report, "user_properties", ()):
            if name == "figures":
                terminalreporter.write_line(text)
