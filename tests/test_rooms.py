"""Every room imports from the rooms below it alone, and no imports run in a circle.

The rooms are folders (or single files) of the tree. What an import names lies in the room with the
longest fitting name. Imports inside functions count like all others.
"""

import ast
import graphlib
import sys

import nbformat
import pytest

from tests import ROOT

BELOW = {
    "lessons": ["lessonkit", "paramlock"],
    "labs": ["grader", "paramlock"],
    "lessonkit": ["lessonkit.predict", "lessonkit.selfcheck", "paramlock"],
    "lessonkit.predict": ["lessonkit.form_widget", "lessonkit.state"],
    "lessonkit.selfcheck": ["lessonkit.form_widget", "lessonkit.state"],
    "lessonkit.form_widget": ["lessonkit.forms", "paramlock.pictures"],
    "lessonkit.forms": [],
    "lessonkit.state": [],
    "grader.__main__": ["grader.classroom", "grader.press", "grader.learning"],
    "grader": ["grader.learning"],
    "grader.learning": ["grader.checking", "grader.harvesting", "lessonkit.state"],
    "grader.classroom": ["grader.sandbox", "grader.press"],
    "grader.press": ["grader.running"],
    "grader.sandbox": ["grader.running"],
    "grader.running": ["grader.checking", "grader.harvesting"],
    "grader.checking": ["grader.exercises"],
    "grader.exercises": ["grader.instruments"],
    "grader.instruments": ["grader.judging"],
    "grader.harvesting": ["grader.judging"],
    "grader.judging": [],
    "paramlock": [
        "paramlock.auditing",
        "paramlock.watching",
        "paramlock.fisher",
        "paramlock.freezing",
        "paramlock.mixing",
    ],
    "paramlock.auditing": ["paramlock.unlocking"],
    "paramlock.unlocking": ["paramlock.certifying"],
    "paramlock.watching": ["paramlock.certifying"],
    "paramlock.certifying": ["paramlock.holding"],
    "paramlock.fisher": ["paramlock.models", "paramlock.pictures"],
    "paramlock.freezing": ["paramlock.models", "paramlock.pictures"],
    "paramlock.holding": ["paramlock.models", "paramlock.pictures"],
    "paramlock.mixing": ["paramlock.models", "paramlock.pictures"],
    "paramlock.models": [],
    "paramlock.pictures": [],
}
"""The rooms right below each; what those may import, it may import too."""

OURS = {"lessons", "labs", "lessonkit", "grader", "paramlock", "tests", "benchmarks"}
FILES = [
    path for top in sorted(OURS - {"tests", "benchmarks"}) for path in (ROOT / top).rglob("*.py")
]


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imported(path):
    """The modules that a file imports: of a name from a package, the package or the module."""
    yield from imports_in(path.read_text(encoding="utf-8"))


def imports_in(code):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module or ""


def room_of(module):
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next(name for name in names if name in BELOW)


def all_below(room):
    """A room's own modules, and the rooms that it may import from."""
    return {room}.union(*(all_below(other) for other in BELOW[room]))


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_from_below_only(room):
    own = [path for module, path in MODULES.items() if room_of(module) == room]
    assert own
    for path in own:
        ours = [name for name in imported(path) if name.partition(".")[0] in OURS]
        assert not {"tests", "benchmarks"} & {name.partition(".")[0] for name in ours}, path
        upward = [name for name in ours if room_of(name) not in all_below(room)]
        assert not upward, f"{path.relative_to(ROOT)} imports {upward}"


def test_no_imports_run_in_a_circle():
    graph = {
        module: {name for name in imported(path) if name in MODULES and name != module}
        for module, path in MODULES.items()
    }
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names it


def test_labs_use_only_the_public_face_of_the_grader():
    """As learners get them: what stands in the solution alone may look behind it."""
    for path in (ROOT / "labs").glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        code = "\n\n".join(cell.source for cell in cells if cell.cell_type == "code")
        for name in imports_in(code):
            assert name == "grader" or not name.startswith("grader."), path


def test_course_bootstrap_needs_the_standard_library_only():
    tops = {name.partition(".")[0] for name in imported(ROOT / "course.py")}
    assert tops <= sys.stdlib_module_names
