"""The student edition: lessons, labs and the grader without the answers.

Each exercise module is rewritten. Its reference becomes the stub, and of its beliefs the words
alone stay. Specimens go, and with them all that nothing else needs; their evidence for the public
challenges stays, in the evidence book, so that `check` says the same there, to the letter. It is
what a class gets, and all that a sandbox sees.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from grader.checking import book, catalogue, registry
from grader.harvesting import views
from grader.harvesting.slices import Statement, statements, take
from grader.judging.exercise import Claim, Exercise, Misconception, standing_in
from grader.judging.wire import encode
from grader.press import links
from grader.press.building import digest
from grader.press.targets import ROOT, Target, targets
from grader.press.weave import stored, text_of

WHOLE = ["course.py", "constraints.txt", "environment.yml", "pyproject.toml", "welcome.md"]
WHOLE += ["LICENSE", "LICENSE-CONTENT", "NOTICE", "jupyter", "paramlock", "lessonkit"]
"""What goes along as it is."""

OF_THE_GRADER = ["__init__.py", "__main__.py", "judging", "harvesting", "instruments", "checking"]
OF_THE_GRADER += ["running", "exercises/__init__.py"]
"""What goes along of the grader as it is. What is not named here stays at home."""

README = """# Parameter locking, hands-on: student edition

`python course.py lab` sets up and opens the course. Begin at [welcome.md](welcome.md).
"""


class ReleaseError(Exception):
    """The edition cannot be written; the message says why."""


def release(folder: Path, root: Path = ROOT) -> None:
    """Write the student edition into an empty or a new folder.

    Raises:
        ReleaseError: the folder holds something, a notebook is missing, or a book is older than its
            exercise.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReleaseError(f"{folder} is not empty. Name a new folder, or empty that one first.")
    notebooks = [target for target in targets(root) if not target.answered]
    if missing := [target for target in notebooks if not target.notebook.exists()]:
        stems = " ".join(target.source.stem for target in missing)
        raise ReleaseError(f"{missing[0].label} is missing. Run: python -m grader weave {stems}")
    folder.mkdir(parents=True, exist_ok=True)
    for name in WHOLE:
        _copy(root / name, folder / name)
    for target in notebooks:
        _write_notebook(target, folder / target.notebook.relative_to(root))
    (folder / "README.md").write_text(README, encoding="utf-8")
    _write_grader(folder / "grader", root / "grader")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        shutil.copyfile(source, target)


def _write_notebook(target: Target, copy: Path) -> None:
    """Copy a notebook, without the way to its solution."""
    notebook = stored(target.notebook)
    ours, theirs = links.footer(target), links.footer(target, solved=False)
    for cell in notebook.cells:
        if cell.source == ours:
            cell.source = theirs
    notebook.metadata.woven = digest(notebook.cells)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(text_of(notebook), encoding="utf-8")


def _write_grader(folder: Path, ours: Path) -> None:
    for name in OF_THE_GRADER:
        _copy(ours / name, folder / name)
    for name in registry.names():
        exercise = registry.find(name)
        chapter = Path("exercises", f"c{exercise.lesson}")
        (folder / chapter / "evidence").mkdir(parents=True, exist_ok=True)
        _copy(ours / chapter / "__init__.py", folder / chapter / "__init__.py")
        _write_exercise(exercise, folder / chapter)


def _write_exercise(exercise: Exercise, folder: Path) -> None:
    source = without_answers(exercise)
    (folder / f"{exercise.name}.py").write_text(source, encoding="utf-8")
    stored = book.public(exercise)
    stored.source = hashlib.sha256(source.encode()).hexdigest()
    (folder / "evidence" / book.path(exercise).name).write_bytes(encode(stored))
    entry = msgspec.structs.replace(catalogue.of(exercise), source=stored.source)
    catalogue.write(entry, folder / f"{exercise.name}.py")


def without_answers(exercise: Exercise) -> str:
    """The source of an exercise module with stub for reference and without its specimens."""
    module = sys.modules[exercise.reference.__module__]
    pool = [
        _without_answer(statement, exercise)
        for statement in statements([inspect.getsource(module)])
    ]
    imports = "from grader.judging.exercise import Misconception, NotAttempted"
    kept = [s.source.strip("\n") for s in take([Statement(imports), *pool], "EXERCISE")]
    head = f'"""{inspect.cleandoc(module.__doc__ or "").splitlines()[0]}"""'
    return "\n\n\n".join([head, *kept]) + "\n"


def _without_answer(statement: Statement, exercise: Exercise) -> Statement:
    """The statement itself, unless it is the reference or the exercise as a whole."""
    if isinstance(statement.node, ast.FunctionDef) and statement.node.name == exercise.name:
        return Statement(views.stub(exercise))
    if isinstance(statement.node, ast.Assign) and "EXERCISE" in statement.binds:
        return _spelt_out(statement.source, exercise)
    return statement


def _spelt_out(source: str, exercise: Exercise) -> Statement:
    """`EXERCISE = Exercise(…)` with its claims by name and its beliefs in words alone.

    What else the module says of its beliefs, nothing needs any more.
    """
    tree = ast.parse(source)
    call = next(node for node in ast.walk(tree) if isinstance(node, ast.Call))
    said = {keyword.arg: keyword.value for keyword in call.keywords}
    words = (f"Misconception{_words(m)}" for m in exercise.misconceptions)
    said["misconceptions"] = _tuple(words)
    if "claims" not in said:
        said["claims"] = _tuple(_addresses(exercise))
    call.keywords = [ast.keyword(arg, value) for arg, value in said.items()]
    return Statement(ast.unparse(tree) + "\n")


def _words(misconception: Misconception) -> tuple[str, str, str]:
    return misconception.belief, misconception.fails, misconception.question


def _addresses(exercise: Exercise) -> list[str]:
    """The claims as the exercise's module names them."""
    return list(standing_in(exercise.reference.__globals__, Claim).values())


def _tuple(expressions: Iterable[str]) -> ast.expr:
    return ast.parse(f"({', '.join(expressions)},)", mode="eval").body
