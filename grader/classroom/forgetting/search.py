"""The search that proves it: every file that is left is read, archives in it opened."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grader.classroom.forgetting.person import Person


@dataclass
class Searched:
    """How much was read, and where the person was found."""

    files: int = 0
    bytes: int = 0
    found: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = f"Searched {self.files} files, {self.bytes / 1e6:.1f} MB"
        if not self.found:
            return f"{said}: found nowhere."
        return f"{said}. Still found in:\n" + "\n".join(f"  {name}" for name in self.found)


def search(person: Person, places: Iterable[Path]) -> Searched:
    """Look for a person's words in the names and contents of all files there."""
    searched = Searched()
    for path in _files(places):
        searched.files += 1
        content = path.read_bytes()
        searched.bytes += len(content)
        named = person.found_in(path.name.encode()) or path.stem in person.files
        if named or person.found_in(content) or _found_in_archive(person, content):
            searched.found.append(str(path))
    return searched


def _files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and not path.is_symlink():
                yield path


def _found_in_archive(person: Person, content: bytes) -> bool:
    """Whether a zip speaks of the person; one in it is opened as well, and none in that."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return False
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            if person.found_in(member.filename.encode()):
                return True
            try:
                inside = archive.read(member)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError):
                continue
            if person.found_in(inside):
                return True
    return False
