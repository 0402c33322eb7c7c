"""Find exercises: one module each in `grader.exercises`, named like the function it asks for."""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache

import grader.exercises
from grader.exercise import Exercise


class UnknownExercise(LookupError):
    """There is no exercise of that name."""


def names() -> list[str]:
    """The names of all exercises, in alphabetical order. Imports none of them."""
    return sorted(module.name for module in pkgutil.iter_modules(grader.exercises.__path__))


@cache
def find(name: str) -> Exercise:
    """The exercise called `name`. Raises `UnknownExercise`, with the nearest name there is."""
    if name not in names():
        near = get_close_matches(name, names(), n=1)
        advice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names())}."
        raise UnknownExercise(f"There is no exercise called {name!r}. {advice}")
    return importlib.import_module(f"grader.exercises.{name}").EXERCISE
