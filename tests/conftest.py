"""What all tests share: one thread each, and the figures they measure, shown at the end."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported; children inherit it


def pytest_terminal_summary(terminalreporter):
    """Print what tests recorded as their property 'figures'."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    for report in reports:
        for name, text in getattr(report, "user_properties", ()):
            if name == "figures":
                terminalreporter.write_line(text)
