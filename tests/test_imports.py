"""Imports go one way: paramlock <- grader <- labs; lessons never import the grader."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "paramlock": {"grader", "tests"},
    "grader": {"tests"},
    "lessons": {"grader", "tests"},
    "labs": {"tests"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_go_one_way(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        tops = {name.partition(".")[0] for name in imported(path)}
        assert not tops & FORBIDDEN[folder], path


def test_labs_use_only_the_public_face_of_the_grader():
    for path in (ROOT / "labs").glob("*.py"):
        for name in imported(path):
            assert name == "grader" or not name.startswith("grader."), path


def test_course_bootstrap_needs_the_standard_library_only():
    import sys

    tops = {name.partition(".")[0] for name in imported(ROOT / "course.py")}
    assert tops <= sys.stdlib_module_names
