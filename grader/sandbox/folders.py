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

OURS = "parameter-locking"
"""Begins the name of every folder of ours, so that nobody else's is ever taken for one."""


@contextmanager
def temporary(kind: str, parent: str | None = None) -> Iterator[Path]:
    """An empty folder of our own, for as long as this lasts; those left behind are removed."""
    place, prefix = Path(parent or tempfile.gettempdir()), f"{OURS}-{kind}-"
    _clear(prefix, place)
    folder, lock = _locked(prefix, place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _let_go(lock)


def _locked(prefix: str, place: Path) -> tuple[Path, int | None]:
    """A new folder and what holds it: `None` where file systems know no such locks."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        lock = _lock(folder, wait=True)
        if folder.exists():  # nobody has cleared it away before it was held
            return folder, lock
        _let_go(lock)


def _clear(prefix: str, place: Path) -> None:
    """Remove the folders of this kind that are ours and that nobody holds."""
    for folder in place.glob(f"{prefix}*"):
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
        _let_go(lock)


def _lock(folder: Path, wait: bool = False) -> int | None:
    """A descriptor that holds the folder; None where somebody else does, or owns it."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid == os.getuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return descriptor
    except OSError:  # held, or a file system that cannot
        pass
    os.close(descriptor)
    return None


def _let_go(lock: int | None) -> None:
    if lock is not None:
        with suppress(OSError):
            os.close(lock)
