"""Temporary folders that do not outlive their grader for long: whoever comes next clears them away.

A grader that is killed cannot. It held its folder locked as long as it lived, so that a folder that
can be locked is nobody's any more. (Locks are told apart across containers, process ids are not.)
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a folder in use cannot be removed anyway
    fcntl = None  # type: ignore[assignment]


@contextmanager
def temporary(kind: str, parent: str | None = None) -> Iterator[Path]:
    """An empty folder of our own, for as long as this lasts; those left behind are removed."""
    place = Path(parent or tempfile.gettempdir())
    _clear(kind, place)
    folder, lock = _locked(kind, place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _let_go(lock)


def _locked(kind: str, place: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=place))
        lock = _lock(folder)
        if fcntl is None or (lock is not None and folder.exists()):  # nobody has cleared it away
            return folder, lock
        _let_go(lock)


def _clear(kind: str, place: Path) -> None:
    """Remove the folders of this kind that are ours and that nobody holds."""
    for folder in place.glob(f"{kind}-*"):
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
        _let_go(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder; None where somebody else does, or owns it."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid == os.getuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:  # held
        pass
    os.close(descriptor)
    return None


def _let_go(lock: int | None) -> None:
    if lock is not None:
        with suppress(OSError):
            os.close(lock)
