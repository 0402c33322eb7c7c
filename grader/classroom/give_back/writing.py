"""Writing: files whole or not at all, and for their owner's eyes."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkstemp

from grader.classroom.mark.errors import BatchError


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. It stays as it was if anything goes wrong."""
    descriptor, draft = mkstemp(".draft", ".", path.parent)  # new: nobody has put a link there
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


def writing(path: Path, content: bytes) -> None:
    """`write`, in words if it fails.

    Raises:
        BatchError: the file cannot be written.
    """
    try:
        write(path, content)
    except OSError as error:
        raise BatchError(
            f"{path} cannot be written: {error.strerror}. All scores are recorded; name another "
            "file (--csv FILE, --to FILE) and run the same command again."
        ) from None
