"""Answers to exercises, kept in a package: for each exercise a module of its name."""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from pathlib import Path

from grader.harvesting.slices import slice_of
from grader.judging.exercise import Misconception, standing_in


@dataclass(frozen=True)
class Answers:
    """The answers in a package."""

    package: str

    def names(self):
        """The exercises for which there are answers."""
        path = importlib.import_module(self.package).__path__
        return sorted(module.name for module in pkgutil.iter_modules(path))

    def module(self, name):
        """The module of the exercise called `name`."""
        return importlib.import_module(f"{self.package}.{name}")

    def of(self, name):
        """Its answers: functions of any name that does not begin with an underscore."""
        functions = [
            value for value in vars(self.module(name)).values() if inspect.isfunction(value)
        ]
        own = [
            function for function in functions if function.__module__ == self.module(name).__name__
        ]
        return [function for function in own if not function.__name__.startswith("_")]


def typed(exercise, misconception):
    """What somebody with that belief might type: the specimen under the name asked for."""
    module = inspect.getmodule(exercise.reference)
    source = Path(module.__file__).read_text(encoding="utf-8")
    specimen = misconception.specimen.__name__
    if address := standing_in(vars(module), Misconception).get(misconception):
        specimen = f"{address}.specimen"
    own = slice_of([source], specimen.partition(".")[0].partition("[")[0])
    return "\n".join([*own, f"{exercise.name} = {specimen}"]) + "\n"
