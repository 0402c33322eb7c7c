"""Gradescope: an autograder to upload, and the results that it writes for a submission.

Source: https://gradescope-autograders.readthedocs.io/en/latest/specs/. The archive holds the whole
course with the answers and the secret, because grading is done there. It runs in Gradescope's own
container; where that leaves no room for the sandbox, answers run without it, and could read both.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from grader.classroom.give_back.letters import Letter, Part
from grader.classroom.give_back.writing import writing
from grader.classroom.mark.lab import SOURCES, Lab
from grader.classroom.points.rules import Rules, number
from grader.judging.feedback import Feedback

COURSE, SECRET_FILE, RULES_FILE = "course", "grading.secret", "rules.json"
FOLDERS = ["grader", "labs", "lessons"]

SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image.
set -euo pipefail
apt-get update
apt-get install -y bubblewrap
apt-get install -y python3.12 python3.12-venv || apt-get install -y python3.11 python3.11-venv
cd /autograder/source/course
"$(command -v python3.12 || command -v python3.11)" course.py setup
"""

RUN = """\
#!/usr/bin/env bash
# Gradescope runs this for each submission. It writes results/results.json beside itself.
set -euo pipefail
base=$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)
cd "$base/source/course"
exec .venv/bin/python -m grader.classroom.give_back.autograde "$base" {lab}
"""

EXECUTABLE, PLAIN = 0o100755 << 16, 0o100600 << 16  # as a zip keeps a file's mode


def archive(lab: Lab, rules: Rules, secret: bytes, path: Path) -> None:
    """Write the zip to upload as "Configure Autograder".

    Raises:
        BatchError: the file cannot be written.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        _add(packed, "setup.sh", SETUP.encode(), EXECUTABLE)
        _add(packed, "run_autograder", RUN.format(lab=lab.name).encode(), EXECUTABLE)
        _add(packed, SECRET_FILE, secret, PLAIN)
        _add(packed, RULES_FILE, msgspec.json.encode(_without_time(rules)), PLAIN)
        for file in _course(SOURCES.parent):
            packed.write(file, f"{COURSE}/{file.relative_to(SOURCES.parent).as_posix()}")
    writing(path, content.getvalue())


def _add(packed: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    member.external_attr, member.compress_type = mode, zipfile.ZIP_DEFLATED
    packed.writestr(member, content)


def _without_time(rules: Rules) -> Rules:
    """Gradescope knows who is late, and has rules of its own for it."""
    return msgspec.structs.replace(rules, due=None)


def _course(root: Path) -> Iterator[Path]:
    """All that grading needs of the course, each file once."""
    from grader.press.release import WHOLE  # reads notebooks, for which other exports need not wait

    named = [root / name for name in [*WHOLE, *FOLDERS, "README.md"]]
    found = {file for path in named for file in (path.rglob("*") if path.is_dir() else [path])}
    yield from (f for f in sorted(found) if f.is_file() and "__pycache__" not in f.parts)


def results(letter: Letter, seconds: float) -> dict[str, Any]:
    """The content of results.json: a test for each exercise, and the score over all."""
    return {
        "score": letter.points or 0,
        "execution_time": round(seconds),
        "output": "\n".join(_output(letter)),
        "output_format": "text",
        "test_output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(place, part) for place, part in enumerate(letter.exercises, 1)],
        "extra_data": {"lab": letter.lab, "version": letter.version, "content": letter.content},
    }


def _output(letter: Letter) -> Iterator[str]:
    file = _own(letter.file)
    if letter.unusable:
        yield f"{file} could not be graded: {letter.unusable}"
    else:
        yield f"Graded: {file}, {letter.earned} of {letter.possible} points."
        yield from letter.steps
        yield f"Score: {number(letter.points or 0)} of {number(letter.out_of)}."
    yield from (f"Not counted: {_own(other.file)}" for other in letter.others)


def _own(file: str) -> str:
    """The path as the student knows it, without the folder that says whose it is."""
    return file.partition("/")[2]


def _test(place: int, part: Part) -> dict[str, Any]:
    report = part.report
    return {
        "name": f"{report.exercise}: {part.title}",
        "number": str(place),
        "score": report.earned,
        "max_score": report.possible,
        "status": "passed" if report.verdict == "met" else "failed",
        "output": repr(Feedback(report, part.note)),
        "visibility": "visible",
    }
