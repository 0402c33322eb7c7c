"""Copies: what the grader wrote beside the gradebook, and how somebody is taken out of it.

Their pages are deleted, their rows and members taken out of sheets and archives. A report cannot be
written again without the others' results, so it goes as a whole.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from grader.classroom.forgetting.person import Person
from grader.classroom.give_back import form
from grader.classroom.give_back.sheets import owners
from grader.classroom.give_back.writing import write
from grader.classroom.mark.errors import BatchError

ROWS = {".csv", ".xls", ".txt", ".tsv", ""}
"""Endings under which sheets go."""


def take_out(person: Person, path: Path) -> Iterator[str]:
    """Take somebody out of a file or a folder, and say in words what was done."""
    if path.is_symlink() or not path.exists():
        return
    try:
        yield from _out_of_folder(person, path) if path.is_dir() else _out_of_file(person, path)
    except OSError as error:
        raise BatchError(
            f"{path} cannot be changed: {error.strerror}. What is gone is gone; run the same "
            "command again when it can be."
        ) from None


def _out_of_folder(person: Person, folder: Path) -> Iterator[str]:
    for item in sorted(folder.iterdir()):
        if item.is_symlink():
            continue
        if item.is_dir() and item.name in person.files:
            shutil.rmtree(item)
            yield f"Deleted {item}"
        elif item.is_dir():
            yield from _out_of_folder(person, item)
        elif item.suffix in (".html", ".json"):
            if item.stem in person.files:
                item.unlink()
                yield f"Deleted {item}"
        else:
            yield from _out_of_file(person, item)


def _out_of_file(person: Person, path: Path) -> Iterator[str]:
    content = path.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(content)):
        yield from _out_of_archive(person, path, content)
    elif path.suffix.lower() in ROWS:
        yield from _out_of_sheet(person, path)
    elif person.found_in(content):
        path.unlink()
        yield f"Deleted {path}, for it speaks of the whole class. Make it again."


def _out_of_sheet(person: Person, path: Path) -> Iterator[str]:
    try:
        (head, *rows), kept = form.read(path)
    except BatchError:  # no sheet
        return
    key = person.key
    whose = owners(rows, {key, *person.others})
    left = [
        row
        for row, owner in zip(rows, whose, strict=True)
        if owner != key and not person.names & {cell.lstrip("'") for cell in row}
    ]
    if len(left) < len(rows):
        write(path, kept.written([head, *left]))
        yield f"Took {len(rows) - len(left)} rows out of {path}"


def _out_of_archive(person: Person, path: Path, content: bytes) -> Iterator[str]:
    kept, gone = io.BytesIO(), 0
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for member in before.infolist():
            inside = before.read(member)
            if person.found_in(member.filename.encode()) or person.found_in(inside):
                gone += 1
            else:
                after.writestr(member, inside)
    if gone:
        write(path, kept.getvalue())
        yield f"Took {gone} files out of {path}"
