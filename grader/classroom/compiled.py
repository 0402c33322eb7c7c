"""Programs compiled ahead for the answers to a lab, so that JAX need not compile them each time.

They come from the references, run once on public numbers, and are kept for the next batch. Every
answer may read them; so those that carry a name of the reference's own, or none, are taken out.
What is left are the ready parts that JAX, Flax and Optax are made of.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from grader.checking import book, registry
from grader.classroom.mark.lab import Lab
from grader.harvesting import views
from grader.judging.exercise import Exercise
from grader.sandbox import cache

WORTH = 10  # hand-ins, from which on filling takes less time than it saves
UNNAMED = {"_lambda", "scan", "while", "cond"}  # what JAX calls code that has no name, and loops


def compiled(lab: Lab) -> Path | None:
    """The folder of compiled programs, filled if need be. None without JAX or room for them."""
    names = [entry.name for entry in lab.entries if "jax" in entry.frameworks]
    if not names:
        return None
    folder = _home() / f"compiled-{_key(lab)}"
    try:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as place:
                _publish(_filled(Path(place, "draft"), list(map(registry.find, names))), folder)
    except ChildProcessError:  # a reference ended the process: no fault of the disk
        raise
    except OSError:  # a home that is read-only or full; it only takes longer
        return None
    return folder


def _home() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "parameter-locking")


def _key(lab: Lab) -> str:
    """Of all that programs depend on: they are for one machine and one version of everything."""
    parts = [lab.version, version("jaxlib"), platform.machine(), platform.node()]
    parts += cache.QUICKLY.values()
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _filled(folder: Path, exercises: Sequence[Exercise]) -> Path:
    answers = {
        exercise.name: [statement.source for statement in views.answer(exercise)]
        for exercise in exercises
    }
    cases = {exercise.name: exercise.cases(book.PUBLIC_SEEDS) for exercise in exercises}
    cache.fill(folder, [(name, answers[name], cases[name]) for name in answers])
    telling = {name for answer in answers.values() for name in _own_names("\n".join(answer))}
    for program in list(folder.iterdir()):
        if program.name.removeprefix("jit_").rsplit("-", 2)[0] in telling:
            program.unlink()
    return folder


def _own_names(source: str) -> set[str]:
    defined = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
    return {node.name for node in defined} | UNNAMED


def _publish(draft: Path, folder: Path) -> None:
    """Give the folder its name, unless another grader was faster."""
    try:
        draft.rename(folder)
    except OSError:
        shutil.rmtree(draft)
