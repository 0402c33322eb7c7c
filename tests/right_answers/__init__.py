"""Right answers in styles of their own: for each exercise a module of its name."""

import importlib
import inspect
import pkgutil


def names():
    """The exercises for which there are answers."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def module(name):
    """The module of the exercise called `name`."""
    return importlib.import_module(f"{__name__}.{name}")


def of(name):
    """Its answers: functions of any name that does not begin with an underscore."""
    functions = [value for value in vars(module(name)).values() if inspect.isfunction(value)]
    own = [function for function in functions if function.__module__ == module(name).__name__]
    return [function for function in own if not function.__name__.startswith("_")]
