"""The bank: a teacher's own exercises, in a folder outside the course.

It is laid out like the course: `cNN_topic/NAME.py` are its exercises, `labs/NN_topic.py` its labs
and `lessons/NN_topic.py` its lessons, if it has any. It is open while a command runs that names it,
in this process and in all that this one starts. A command that does not name it knows nothing of
it, so no release holds a bank by accident.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grader.exercises
from grader.checking import registry
from grader.checking.told import Told
from grader.exercises import BANK

COURSE = Path(grader.exercises.__path__[0])
"""The course's own exercises."""

TRAVELS = COURSE.parents[1]
"""The folder of the course. What lies in it may be packed, published or released with it."""


class BadBank(Told, LookupError):
    """A folder cannot be used as a bank; the message says why."""


def folder() -> Path | None:
    """The bank that is open."""
    place = os.environ.get(BANK)
    return Path(place) if place else None


@contextmanager
def opened(place: Path | None) -> Iterator[None]:
    """Open the bank in this folder and no other, or with None the course alone.

    Raises:
        BadBank: it cannot be opened.
    """
    before = os.environ.get(BANK), [*grader.exercises.__path__]
    own = place is not None and place.resolve() != COURSE.resolve()
    try:
        taken = str(_checked(place)) if place and own else None
        _take(taken, [str(COURSE), *([taken] if taken else [])])
        yield
    finally:
        _take(*before)


def _take(place: str | None, path: list[str]) -> None:
    """Let the variable name this place, and exercises be looked for on this path."""
    if (place, path) == (os.environ.get(BANK), grader.exercises.__path__):
        return
    for module in [name for name in sys.modules if _is_banked(name)]:
        del sys.modules[module]
    grader.exercises.__path__[:] = path
    os.environ.pop(BANK, None)
    if place:
        os.environ[BANK] = place
    registry.forget()


def _is_banked(module: str) -> bool:
    """Whether a module that is loaded is part of a bank."""
    file = getattr(sys.modules[module], "__file__", None)
    return module.startswith("grader.exercises.") and not Path(file or COURSE).is_relative_to(
        COURSE
    )


def _checked(place: Path) -> Path:
    whole = place.resolve()
    if not whole.is_dir():
        raise BadBank(
            f"There is no folder {place}. Make it, then begin an exercise in it: "
            f"python -m grader new NAME NN_topic --exercises {place}"
        )
    if whole.is_relative_to(TRAVELS):
        raise BadBank(
            f"{place} lies in the folder of the course and could be given away with it. Keep your "
            "own exercises in a folder outside."
        )
    for kind, own, ours in (
        ("folder", _inside(whole), _inside(COURSE)),
        ("exercise", _names(whole), _names(COURSE)),
    ):
        if both := sorted(own & ours):
            raise BadBank(f"The course has the {kind} {both[0]} as well. Rename yours in {place}.")
    return whole


def _inside(place: Path) -> set[str]:
    return {module.name for module in pkgutil.iter_modules([str(place)])}


def _names(place: Path) -> set[str]:
    return {name for chapter in _inside(place) for name in _inside(place / chapter)}
