"""The student edition: lessons, labs and the grader without the answers.

Each exercise module is rewritten. Its reference becomes the stub, its specimens go, and with them
every helper that nothing else needs; their evidence for the public challenges stays, in the
evidence book, so that `check` says the same there, to the letter. It is what a class gets, and all
that a sandbox sees.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import shutil
import sys
from pathlib import Path

from grader import book, registry, views
from grader.evidence import encode
from grader.exercise import Exercise
from grader.harvest import Statement, statements, take
from grader.weave import ROOT

WHOLE = ["course.py", "constraints.txt", "environment.yml", "pyproject.toml", "welcome.md"]
WHOLE += ["LICENSE", "LICENSE-CONTENT", "NOTICE", "jupyter", "paramlock"]
"""What goes along as it is."""

NOT_FOR_STUDENTS = frozenset(["author", "levels", "mutation", "release", "views", "weave"])
"""Modules of the grader that write or need answers."""

README = """# Parameter locking, hands-on: student edition

`python course.py lab` sets up and opens the course. Begin at [welcome.md](welcome.md).
"""


class ReleaseError(Exception):
    """The edition cannot be written; the message says why."""


def release(folder: Path, root: Path = ROOT) -> None:
    """Write the student edition into an empty or a new folder.

    Raises:
        ReleaseError: the folder holds something, or a book is older than its exercise.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReleaseError(f"{folder} is not empty. Name a new folder, or empty that one first.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in WHOLE:
        _copy(root / name, folder / name)
    for notebook in [*root.glob("lessons/*.ipynb"), *root.glob("labs/*.ipynb")]:
        _copy(notebook, folder / notebook.relative_to(root))
    (folder / "README.md").write_text(README, encoding="utf-8")
    _write_grader(folder / "grader", root / "grader")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        shutil.copyfile(source, target)


def _write_grader(folder: Path, ours: Path) -> None:
    (folder / "exercises" / "evidence").mkdir(parents=True)
    for module in sorted(ours.glob("*.py")):
        if module.stem not in NOT_FOR_STUDENTS:
            _copy(module, folder / module.name)
    _copy(ours / "exercises" / "__init__.py", folder / "exercises" / "__init__.py")
    for name in registry.names():
        _write_exercise(registry.find(name), folder / "exercises")


def _write_exercise(exercise: Exercise, folder: Path) -> None:
    source = without_answers(exercise)
    (folder / f"{exercise.name}.py").write_text(source, encoding="utf-8")
    stored = book.public(exercise)
    stored.source = hashlib.sha256(source.encode()).hexdigest()
    (folder / "evidence" / book.path(exercise).name).write_bytes(encode(stored))


def without_answers(exercise: Exercise) -> str:
    """The source of an exercise module with stub for reference and without its specimens."""
    module = sys.modules[exercise.reference.__module__]
    pool = [
        _without_answer(statement, exercise)
        for statement in statements([inspect.getsource(module)])
    ]
    imports = "from grader.exercise import NotAttempted"
    kept = [s.source.strip("\n") for s in take([Statement(imports), *pool], "EXERCISE")]
    head = f'"""{inspect.cleandoc(module.__doc__ or "").splitlines()[0]}"""'
    return "\n\n\n".join([head, *kept]) + "\n"


def _without_answer(statement: Statement, exercise: Exercise) -> Statement:
    """The statement itself, unless it is the reference or holds specimens."""
    if isinstance(statement.node, ast.FunctionDef) and statement.node.name == exercise.name:
        return Statement(views.stub(exercise))
    tree = ast.parse(statement.source)
    calls = _misconceptions(tree)
    if not calls:
        return statement
    for call in calls:
        call.args = call.args[:3]
        call.keywords = [keyword for keyword in call.keywords if keyword.arg != "specimen"]
    return Statement(ast.unparse(tree) + "\n")


def _misconceptions(tree: ast.AST) -> list[ast.Call]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "Misconception"]
