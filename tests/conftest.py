"""Figures that tests measure, shown at the end: a test records them as its property 'figures'."""


def pytest_terminal_summary(terminalreporter):
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    for report in reports:
        for name, text in getattr(report, "user_properties", ()):
            if name == "figures":
                terminalreporter.write_line(text)
