"""Find exercises: one module each, in the folder of its chapter, named like what it asks for."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
import sys
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import NamedTuple

import grader.exercises
from grader.checking.told import Told
from grader.judging.exercise import Exercise

ALL = "The command `python -m grader list`"


class UnknownExercise(Told, LookupError):
    """There is no exercise of that name."""


def names() -> list[str]:
    """The names of all exercises, in alphabetical order. Imports none of them."""
    return sorted(_modules())


def module_of(name: str) -> str:
    """The module of an exercise, to import. Raises `KeyError` where there is none."""
    return _modules()[name].module


def source_of(name: str) -> Path | None:
    """The file of an exercise's module; None where no chapter has one of that name."""
    found = _modules().get(name)
    return found.source if found else None


def fingerprint(exercise: Exercise) -> str:
    """SHA-256 of the module that an exercise stands in."""
    source = inspect.getsource(sys.modules[exercise.reference.__module__])
    return hashlib.sha256(source.encode()).hexdigest()


class Module(NamedTuple):
    """Where an exercise stands: what to import, and the file."""

    module: str
    source: Path


@cache
def _modules() -> dict[str, Module]:
    """{exercise: where it stands}, from the folders of the chapters."""
    return {
        module.name: Module(f"grader.exercises.{chapter.name}.{module.name}", source)
        for root in grader.exercises.__path__
        for chapter in pkgutil.iter_modules([root])
        for module in pkgutil.iter_modules([str(Path(root, chapter.name))])
        if (source := Path(root, chapter.name, f"{module.name}.py"))
    }


def forget() -> None:
    """Look for exercises anew: the folders have changed in which they are."""
    importlib.invalidate_caches()
    _modules.cache_clear()
    find.cache_clear()


@cache
def find(name: str) -> Exercise:
    """The exercise called `name`. Raises `UnknownExercise`, with the nearest name there is."""
    if name not in names():
        near = get_close_matches(name, names(), n=3)
        advice = f"Did you mean {' or '.join(near)}?" if near else f"{ALL} lists them."
        raise UnknownExercise(f"There is no exercise called {name!r}. {advice}")
    return importlib.import_module(module_of(name)).EXERCISE
