"""Style and types are clean everywhere."""

import ast
import subprocess
import sys

import pytest

from tests import ROOT

COMMANDS = {
    "lint": ["ruff", "check"],
    "format": ["ruff", "format", "--check"],
    "types": ["mypy"],
}
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@pytest.mark.parametrize("name", COMMANDS)
def test_style(name):
    command = [sys.executable, "-m", *COMMANDS[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("room", ["paramlock", "lessonkit", "grader"])
def test_docstrings_speak_one_dialect(room):
    """Single backticks and noun phrases; the tasks of exercises are the learner's, in Sphinx's."""
    for path in sorted((ROOT / room).rglob("*.py")):
        if "exercises" in path.relative_to(ROOT).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            words = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
            found = words and ("``" in words or words.startswith(("Return the ", "Returns ")))
            assert not found, f"{path.relative_to(ROOT)}: {words}"
