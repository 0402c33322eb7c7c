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
    return _modules()[name]


def source_of(name: str) -> Path | None:
    """The file of an exercise's module; None where no chapter has one of that name."""
    module = _modules().get(name)
    if module is None:
        return None
    return Path(grader.exercises.__path__[0], *module.split(".")[2:]).with_suffix(".py")


def fingerprint(exercise: Exercise) -> str:
    """SHA-256 of the module that an exercise stands in."""
    source = inspect.getsource(sys.modules[exercise.reference.__module__])
    return hashlib.sha256(source.encode()).hexdigest()


@cache
def _modules() -> dict[str, str]:
    """{exercise: its module}, from the folders of the chapters."""
    chapters = pkgutil.iter_modules(grader.exercises.__path__, "grader.exercises.")
    places = {
        c.name: f"{grader.exercises.__path__[0]}/{c.name.rpartition('.')[2]}" for c in chapters
    }
    found = ((m.name, c) for c, place in places.items() for m in pkgutil.iter_modules([place]))
    return {name: f"{chapter}.{name}" for name, chapter in found}


@cache
def find(name: str) -> Exercise:
    """The exercise called `name`. Raises `UnknownExercise`, with the nearest name there is."""
    if name not in names():
        near = get_close_matches(name, names(), n=3)
        advice = f"Did you mean {' or '.join(near)}?" if near else f"{ALL} lists them."
        raise UnknownExercise(f"There is no exercise called {name!r}. {advice}")
    return importlib.import_module(module_of(name)).EXERCISE
