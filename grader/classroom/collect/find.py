"""Find what was handed in: files, folders, and zip downloads of a learning management system.

Whose a file is, its path says: the first folder in it or, without one, the name of the file itself.
Nothing is unpacked to disk and no symbolic link is followed, so that a submission gives what is in
it and no more. What cannot be graded is found as well, and says why when it is read.
"""

from __future__ import annotations

import io
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NoReturn

from grader.classroom.mark.errors import BatchError
from grader.harvesting.cells import Unusable

SIZE_LIMIT = 60_000_000  # bytes of one file; a notebook with 50 MB of pictures is below it
MEMBERS_LIMIT = 10_000  # files in a zip that a student made

MOODLE = re.compile(r"(?P<name>.+?)_(?P<number>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)")
CANVAS = re.compile(r"(?P<name>[^_]+)(_LATE)?_(?P<number>\d+)_\d{3,}_(?P<file>.+)")
BLACKBOARD = re.compile(r".+_(?P<name>[^_]+)_attempt_[\d-]{19}_(?P<file>.+)")

SYSTEM_FILES = re.compile(r"\..*|__MACOSX|__pycache__|Thumbs\.db|desktop\.ini", re.IGNORECASE)
"""What nobody handed in on purpose: traces of operating systems, editors and Jupyter."""

LINK = "it is a symbolic link. Hand in the file itself."
NO_FILE = "it is neither a file nor a folder. Hand in a notebook (.ipynb)."
UNREADABLE = "it cannot be read ({}). Hand it in again."
LARGE = (
    f"it is larger than {SIZE_LIMIT // 10**6} MB. Clear the outputs of all cells, save, and hand "
    "it in again."
)
DAMAGED = "the zip file is damaged or encrypted. Hand in the notebook itself."
CROWDED = f"the zip file holds more than {MEMBERS_LIMIT} files. Hand in the notebook itself."
NEVER = datetime(1970, 1, 1)
"""When something was written that has no date."""

NO_NOTEBOOK = "there is no notebook (.ipynb) and no Python file (.py) in it. It holds: {}."


@dataclass(frozen=True)
class Student:
    """Who handed in. `name` is unique in a batch; `number` is the LMS's, where it gave one."""

    name: str
    number: str = ""


@dataclass(frozen=True)
class HandIn:
    """One file of one student. `read()` gives its bytes or raises `Unusable` with the reason."""

    student: Student
    file: str
    written: datetime
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Entry:
    """What was found at a path below an argument. `parts` are the names on the way to it."""

    parts: tuple[str, ...]
    written: datetime
    read: Callable[[], bytes]
    folder: bool = False

    @property
    def name(self) -> str:
        return self.parts[-1]


def find(paths: Iterable[Path], lab: str) -> list[HandIn]:
    """All hand-ins below these files, folders and zip files, student by student.

    Raises:
        BatchError: a path is not there, or is a zip file that cannot be read.
    """
    of_student: dict[Student, list[Entry]] = {}
    for path in paths:
        for entry in _entries(path):
            owner = _owner(entry, lab, _container(path))
            of_student.setdefault(owner, []).append(entry)
    return [
        hand_in for student, found in of_student.items() for hand_in in _hand_ins(student, found)
    ]


def _hand_ins(student: Student, entries: Sequence[Entry]) -> Iterator[HandIn]:
    """The student's notebooks and Python files; without any, one hand-in that says so."""
    files = [entry for entry in entries if not entry.folder]
    chosen = [entry for entry in files if _may_hold_answers(entry.name)]
    for entry in chosen:
        yield HandIn(student, "/".join(entry.parts), entry.written, entry.read)
    if not chosen:
        held = ", ".join(entry.name for entry in files[:10]) or "nothing"
        reason = NO_NOTEBOOK.format(held)
        first = entries[0]
        yield HandIn(student, "/".join(first.parts), first.written, partial(_refuse, reason))


def _may_hold_answers(name: str) -> bool:
    """Browsers save notebooks as `lab.ipynb.txt` and `lab.ipynb.json`, too."""
    return ".ipynb" in name.lower() or name.lower().endswith(".py")


def _refuse(reason: str) -> NoReturn:
    raise Unusable(reason)


def _owner(entry: Entry, lab: str, container: str) -> Student:
    """Whose entry it is. A file called like the lab itself belongs to the folder it lies in."""
    first = entry.parts[0]
    archive = first.lower().endswith(".zip")
    patterns = (MOODLE,) if len(entry.parts) > 1 and not archive else (MOODLE, CANVAS, BLACKBOARD)
    for pattern in patterns:
        if match := pattern.fullmatch(first):
            found = match.groupdict()
            number = found.get("number", "")
            return Student("_".join(filter(None, [found["name"], number])), number)
    name = first if len(entry.parts) > 1 and not archive else _stem(first)
    return Student(container if name == lab else name)


def _stem(name: str) -> str:
    return re.split(r"\.(?:ipynb|py|zip)\b", name, maxsplit=1, flags=re.IGNORECASE)[0] or name


def _container(path: Path) -> str:
    """What an argument is called: a folder by its name, a zip by its stem, a file by its folder."""
    whole = path.resolve()
    if whole.is_dir():
        return _readable(whole.name)
    return _readable(whole.stem if _is_zip(path) else whole.parent.name)


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _entries(path: Path) -> list[Entry]:
    """All that an argument holds, zip files in it opened."""
    if path.is_dir():
        return _unwrapped(_opened(_below(path)), path.resolve().name)
    if not path.is_file():
        raise BatchError(f"{path} is not there. Name a notebook, a folder or a zip download.")
    if not _is_zip(path):
        return list(_opened([_entry(path, (_readable(path.name),))]))
    try:
        archive = zipfile.ZipFile(path)
        return _unwrapped(_opened(_members(lambda: archive)), path.stem)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BatchError(f"{path} cannot be read as a zip file ({error}).") from None


def _unwrapped(entries: Iterable[Entry], name: str) -> list[Entry]:
    """Without a folder around all others: one called like the argument, or one of folders only."""
    found = list(entries)
    tops = {entry.parts[0] for entry in found}
    inner = [entry for entry in found if len(entry.parts) > 1]
    direct = [entry for entry in inner if len(entry.parts) == 2 and not entry.folder]
    holding = {e.parts[1] for e in inner if len(e.parts) > 2 and _may_hold_answers(e.name)}
    only_folders = not direct and len(holding) > 1
    if len(tops) == 1 and inner and (tops == {name} or only_folders):
        return [replace(entry, parts=entry.parts[1:]) for entry in inner]
    return found


def _below(folder: Path) -> Iterator[Entry]:
    """Everything in a folder, links not followed."""
    waiting: list[tuple[Path, tuple[str, ...]]] = [(folder, ())]
    while waiting:
        here, parts = waiting.pop()
        try:
            items = sorted(here.iterdir())
        except OSError as error:
            reason = UNREADABLE.format(error.strerror)
            yield Entry(parts or (_readable(here.name),), NEVER, partial(_refuse, reason))
            continue
        for item in items:
            if not SYSTEM_FILES.fullmatch(item.name):
                entry = _entry(item, (*parts, _readable(item.name)))
                yield entry
                if entry.folder:
                    waiting.append((item, entry.parts))


def _entry(path: Path, parts: tuple[str, ...]) -> Entry:
    try:
        status = path.lstat()
    except OSError as error:  # in a folder that may be listed, but not entered
        return Entry(parts, NEVER, partial(_refuse, UNREADABLE.format(error.strerror)))
    written = datetime.fromtimestamp(status.st_mtime, UTC).replace(tzinfo=None)
    if stat.S_ISDIR(status.st_mode):
        return Entry(parts, written, partial(_refuse, NO_FILE), folder=True)
    if stat.S_ISLNK(status.st_mode):
        return Entry(parts, written, partial(_refuse, LINK))
    if not stat.S_ISREG(status.st_mode):
        return Entry(parts, written, partial(_refuse, NO_FILE))
    return Entry(parts, written, partial(_read_file, path))


def _read_file(path: Path) -> bytes:
    """The bytes of a file that is still no link when it is opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, "rb") as file:
            size = min(
                os.fstat(descriptor).st_size, SIZE_LIMIT
            )  # room is made for all that is asked
            return _within_limit(file.read(size + 1))
    except OSError as error:
        raise Unusable(UNREADABLE.format(error.strerror)) from None


def _within_limit(content: bytes) -> bytes:
    if len(content) > SIZE_LIMIT:
        raise Unusable(LARGE)
    return content


def _opened(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries, and in place of a zip file that a student handed in, what is in it."""
    for entry in entries:
        if entry.folder or not _is_zip(Path(entry.name)):
            yield entry
            continue
        opened = partial(_students_zip, entry.read)
        try:
            for member in _members(opened):
                yield replace(member, parts=(*entry.parts, *member.parts))
        except Unusable as error:
            yield replace(entry, read=partial(_refuse, str(error)))


def _students_zip(read: Callable[[], bytes]) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(io.BytesIO(read()))
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise Unusable(DAMAGED) from None
    if len(archive.infolist()) > MEMBERS_LIMIT:
        raise Unusable(CROWDED)
    return archive


def _members(opened: Callable[[], zipfile.ZipFile]) -> Iterator[Entry]:
    """What a zip holds. It is opened again for each reading, or `opened` gives an open one."""
    for member in opened().infolist():
        names = [_readable(name) for name in re.split(r"[/\\]", member.filename)]
        parts = tuple(name for name in names if name not in ("", ".", ".."))
        if parts and not any(SYSTEM_FILES.fullmatch(name) for name in parts):
            link = stat.S_ISLNK(member.external_attr >> 16)
            read = partial(_refuse, LINK) if link else partial(_read_member, opened, member)
            yield Entry(parts, _written(member), read, folder=member.is_dir())


def _written(member: zipfile.ZipInfo) -> datetime:
    try:
        return datetime(*member.date_time)
    except ValueError:
        return NEVER


def _read_member(opened: Callable[[], zipfile.ZipFile], member: zipfile.ZipInfo) -> bytes:
    """The bytes of a file in a zip, whatever size it claims to have."""
    try:
        with opened().open(member) as file:
            return _within_limit(file.read(SIZE_LIMIT + 1))
    except Unusable:
        raise
    except Exception:  # damaged in a way of its own for each kind of compression
        raise Unusable(DAMAGED) from None


def _readable(name: str) -> str:
    """A name that a terminal, a page and a database can show; one spelling for one look."""
    text = unicodedata.normalize("NFC", os.fsencode(name).decode(errors="replace"))
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
