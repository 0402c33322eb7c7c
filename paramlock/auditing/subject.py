"""What `python -m paramlock certify` is to look at: the model, data and loss that a function gives.

A target is `FILE.py:FUNCTION` or `PACKAGE.MODULE:FUNCTION`. The function takes no arguments and
returns `(model, data, loss)`, or a mapping of `paramlock.certificate`'s arguments where more of
them are needed, say `{"model": ..., "data": ..., "loss": ..., "optimizer": ...}`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from paramlock.certifying.certificate import certificate

NEEDED = ("model", "data", "loss")
INSTALLED = {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")}
INSTALLED.add(Path(__file__).parents[1])
KNOWN = tuple(inspect.signature(certificate).parameters)


class Unusable(Exception):
    """What was given cannot be certified; the message is one sentence."""


def subject(target: str) -> dict[str, Any]:
    """The arguments of `certificate` that the function of a target gives.

    Raises:
        Unusable: no such file or function, one that raises, or one that returns something else.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise Unusable(
            f"{target!r} names no function: write FILE.py:FUNCTION, such as checkpoint.py:build"
        )
    build = _function(_module(place), name, place)
    with blamed(f"{name}() of {place}"):
        given = build()
    return _arguments(given, target)


@contextmanager
def blamed(what: str) -> Iterator[None]:
    """Say in one sentence what raised which error, and on which line."""
    try:
        yield
    except Unusable:
        raise
    except (Exception, SystemExit) as error:
        words = " ".join(str(error).split()) or "no message"
        raise Unusable(f"{what} raised {type(error).__name__}{_line(error)}: {words}") from error


def _line(error: BaseException) -> str:
    """The innermost line that is neither ours nor an installed package's."""
    if isinstance(error, SyntaxError):
        return f" on line {error.lineno} of {Path(error.filename or '?').name}"
    own = [f for f in traceback.extract_tb(error.__traceback__) if _is_the_users(f.filename)]
    return f" on line {own[-1].lineno} of {Path(own[-1].filename).name}" if own else ""


def _is_the_users(file: str) -> bool:
    path = Path(file)
    return path.is_file() and not INSTALLED & {*path.parents}


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        return _imported(place, Path.cwd(), place)
    path = Path(place).resolve()
    if not path.is_file():
        raise Unusable(f"there is no file {place}")
    module = _imported(path.stem, path.parent, place)
    if Path(module.__file__ or "").resolve() != path:
        raise Unusable(f"{place} is called like the module {module.__name__}: rename the file")
    return module


def _imported(name: str, folder: Path, place: str) -> ModuleType:
    """Import a module as a script of its folder would."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    with blamed(f"importing {place}"):
        return importlib.import_module(name)


def _function(module: ModuleType, name: str, place: str) -> Callable[[], Any]:
    value = getattr(module, name, None)
    if callable(value):
        return value  # type: ignore[no-any-return]
    there = [n for n, v in vars(module).items() if inspect.isfunction(v)]
    near = difflib.get_close_matches(name, there, 3) or there[:3]
    hint = f"; near it are {', '.join(near)}" if near else ""
    raise Unusable(f"{place} has no function {name!r}{hint}")


def _arguments(given: Any, target: str) -> dict[str, Any]:
    if isinstance(given, (tuple, list)) and len(given) == len(NEEDED):
        return dict(zip(NEEDED, given, strict=True))
    if isinstance(given, Mapping) and {*NEEDED} <= {*given} <= {*KNOWN}:
        return dict(given)
    if isinstance(given, Mapping):
        found = f"a mapping of {', '.join(map(str, given)) or 'nothing'}"
    else:
        size = f" of {len(given)}" if isinstance(given, (tuple, list)) else ""
        found = f"{type(given).__name__}{size}"
    raise Unusable(
        f"{target} returned {found}, not (model, data, loss) or a mapping with these and any of "
        + ", ".join(KNOWN[len(NEEDED) :])
    )
