"""Entries: all that lies below a path, zip files in it opened, within bounds.

Nothing is unpacked to disk and no symbolic link is followed, so that a submission gives what is in
it and no more. What a student made is looked through as far as the bounds go: an archive of a
million files, or one that is larger inside than it says, costs its owner alone, and no time.
"""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import islice, pairwise
from pathlib import Path
from typing import NoReturn

from grader.classroom.mark.errors import BatchError
from grader.harvesting.cells import Unusable

SIZE_LIMIT = 60_000_000  # bytes of one file; a notebook with 50 MB of pictures is below it
MEMBERS_LIMIT = 1_000  # files in a zip or a folder that a student made
DIRECTORY_LIMIT = 400 * MEMBERS_LIMIT  # bytes in which a zip lists so many
OPEN_ZIPS = 2  # zip files of students that are kept open: reading one may take a second
DOUBT = "\N{REPLACEMENT CHARACTER}"
HEADER = 30  # bytes that stand before each member of a zip, at least

TRACES = re.compile(
    r"\._.*|\.DS_Store|\.git|\.ipynb_checkpoints|\.vscode|\.idea|__MACOSX|__pycache__|Thumbs\.db"
    r"|desktop\.ini",
    re.IGNORECASE,
)
"""What nobody handed in on purpose: traces of operating systems, editors and Jupyter."""

LINK = "it is a symbolic link. Hand in the file itself."
NO_FILE = "it is neither a file nor a folder. Hand in a notebook (.ipynb)."
UNREADABLE = "it cannot be read ({}). Hand it in again."
HIDDEN = "its name begins with a dot, so it is hidden. Rename it and hand it in again."
LARGE = (
    f"it is larger than {SIZE_LIMIT // 10**6} MB. Clear the outputs of all cells, save, and hand "
    "it in again."
)
DAMAGED = "the zip file is damaged or encrypted. Hand in the notebook itself."
CROWDED = f"it holds more than {MEMBERS_LIMIT:,} files. Hand in the notebook itself."
OVERLAPPING = "files in the zip file lie over each other. Hand in the notebook itself."
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""How everything is opened: no link is followed, and no pipe is waited for."""

Names = tuple[str, ...]
"""The names on the way from an argument to what is below it, as the file system has them."""

NEVER = datetime(1970, 1, 1)
"""When something was written that has no date, or one that no calendar has."""


@dataclass(frozen=True)
class Entry:
    """What was found at a path below an argument. `parts` are the names on the way to it.

    `read()` gives its bytes or raises `Unusable` with the reason; `size` is how many, at most.
    """

    parts: tuple[str, ...]
    written: datetime
    read: Callable[[], bytes]
    folder: bool = False
    size: int = 0

    @property
    def name(self) -> str:
        return self.parts[-1]

    @property
    def refused(self) -> bool:
        """Whether it is known already that it cannot be read."""
        return getattr(self.read, "func", None) is refuse


def refuse(reason: str) -> NoReturn:
    """Say why something cannot be read.

    Raises:
        Unusable: always.
    """
    raise Unusable(reason)


def is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def below(path: Path) -> list[Entry]:
    """All that an argument holds, zip files in it opened.

    Raises:
        BatchError: it is not there, or is a zip file that cannot be read.
    """
    if path.is_dir():
        return list(_opened(_in_folder(path)))
    if not path.is_file():
        raise BatchError(f"{path} is not there. Name a notebook, a folder or a zip download.")
    if not is_zip(path.name):
        return list(_opened([_on_disk(path.parent, (path.name,))]))
    try:
        archive = zipfile.ZipFile(path)
        return list(_opened(_members(lambda: archive)))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BatchError(f"{path} cannot be read as a zip file ({error}).") from None


def readable(name: str) -> str:
    """A name that a terminal, a page and a database can show. Two names never become one."""
    return "".join(c if c.isprintable() and c != DOUBT else f"{DOUBT}[{ord(c):x}]" for c in name)


# On disk


def _in_folder(folder: Path) -> Iterator[Entry]:
    """Everything in a folder, links not followed; of each folder in it, so much as is allowed."""
    try:
        items = sorted(folder.iterdir())
    except OSError as error:
        raise BatchError(f"{folder} cannot be read ({error.strerror}).") from None
    for item in items:
        entry = _on_disk(folder, (item.name,))
        if _is_trace(entry):
            continue
        yield entry
        if entry.folder:
            yield from _bounded(_walked(folder, (item.name,)), entry)


def _bounded(found: Iterable[Entry], owner: Entry) -> Iterator[Entry]:
    """What was found, or if it is too much a refusal in its place."""
    entries = list(islice(found, MEMBERS_LIMIT + 1))
    if len(entries) > MEMBERS_LIMIT:
        yield replace(owner, read=partial(refuse, CROWDED), folder=False)
    else:
        yield from entries


def _walked(root: Path, names: Names) -> Iterator[Entry]:
    waiting = [names]
    while waiting:
        here = waiting.pop()
        try:
            with _folder(root, here) as held, os.scandir(held) as listing:
                items = sorted(item.name for item in islice(listing, MEMBERS_LIMIT + 1))
        except OSError as error:
            reason = UNREADABLE.format(error.strerror)
            yield Entry(tuple(map(readable, here)), NEVER, partial(refuse, reason))
            continue
        for name in items:
            entry = _on_disk(root, (*here, name))
            if _is_trace(entry):
                continue
            yield entry
            if entry.folder:
                waiting.append((*here, name))


@contextmanager
def _folder(root: Path, names: Names) -> Iterator[int | str]:
    """The folder to which these names lead from a root, opened; no link is followed on the way.

    Whoever can write there may put a link in place of a folder at any time. Windows cannot open
    folders; there it is the path.
    """
    if os.open not in os.supports_dir_fd:
        yield os.path.join(root, *names)
        return
    with ExitStack() as stack:
        held = os.open(root, FOLDER)
        stack.callback(os.close, held)
        for name in names:
            held = os.open(name, FOLDER | SAFELY, dir_fd=held)
            stack.callback(os.close, held)
        yield held


def _opened_file(root: Path, names: Names) -> int:
    """A descriptor of a file, or of whatever has come into its place."""
    with _folder(root, names[:-1]) as held:
        if isinstance(held, int):
            return os.open(names[-1], os.O_RDONLY | SAFELY, dir_fd=held)
        return os.open(os.path.join(held, names[-1]), os.O_RDONLY | SAFELY)


def _is_trace(entry: Entry) -> bool:
    """Whether nobody handed it in on purpose, or it lies in a hidden folder."""
    folders = entry.parts if entry.folder else entry.parts[:-1]
    hidden = any(name.startswith(".") for name in folders)
    return hidden or any(TRACES.fullmatch(name) for name in entry.parts)


def _on_disk(root: Path, names: Names) -> Entry:
    path, parts = Path(root, *names), tuple(map(readable, names))
    try:
        status = path.lstat()
    except OSError as error:  # in a folder that may be listed, but not entered
        return Entry(parts, NEVER, partial(refuse, UNREADABLE.format(error.strerror)))
    written = _moment(status.st_mtime)
    if stat.S_ISDIR(status.st_mode):
        return Entry(parts, written, partial(refuse, NO_FILE), folder=True)
    if stat.S_ISLNK(status.st_mode):
        return Entry(parts, written, partial(refuse, LINK))
    if not stat.S_ISREG(status.st_mode):
        return Entry(parts, written, partial(refuse, NO_FILE))
    hidden = path.name.startswith(".")
    read = partial(refuse, HIDDEN) if hidden else partial(_read, root, names)
    return Entry(parts, written, read, size=status.st_size)


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return NEVER


def _read(root: Path, names: Names) -> bytes:
    """The bytes of a file that is still one when it is opened."""
    try:
        with open(_opened_file(root, names), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Unusable(NO_FILE)
            size = min(status.st_size, SIZE_LIMIT)  # room is made for all asked for
            return _within_limit(file.read(size + 1))
    except OSError as error:
        raise Unusable(UNREADABLE.format(error.strerror)) from None


def _within_limit(content: bytes) -> bytes:
    if len(content) > SIZE_LIMIT:
        raise Unusable(LARGE)
    return content


# In zip files


def _opened(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries, and in place of a zip file that a student handed in, what is in it."""
    for entry in entries:
        if entry.folder or not is_zip(entry.name):
            yield entry
            continue
        opened = partial(_students_zip, entry.read)
        try:
            for member in _members(opened):
                yield replace(member, parts=(*entry.parts, *member.parts))
        except Unusable as error:
            yield replace(entry, read=partial(refuse, str(error)))


class _Listing(io.BytesIO):
    """A zip file's bytes. While its directory is read, no more of it than is allowed."""

    bound: int | None = DIRECTORY_LIMIT

    def read(self, size: int | None = -1) -> bytes:
        if self.bound is not None and size is not None and size > self.bound:
            raise Unusable(CROWDED)
        return super().read(size)


@lru_cache(OPEN_ZIPS)
def _students_zip(read: Callable[[], bytes]) -> zipfile.ZipFile:
    """A zip file that can be read in no time.

    Raises:
        Unusable: it cannot.
    """
    content = _Listing(read())
    try:
        archive = zipfile.ZipFile(content)
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise Unusable(DAMAGED) from None
    content.bound = None
    members = archive.infolist()
    if len(members) > MEMBERS_LIMIT:
        raise Unusable(CROWDED)
    if _overlap(members):
        raise Unusable(OVERLAPPING)
    return archive


def _overlap(members: Iterable[zipfile.ZipInfo]) -> bool:
    """Whether members share bytes of the file: a small one can hold any amount then."""
    in_order = sorted(members, key=lambda member: member.header_offset)
    return any(
        before.header_offset + HEADER + before.compress_size > after.header_offset
        for before, after in pairwise(in_order)
    )


def _members(opened: Callable[[], zipfile.ZipFile]) -> Iterator[Entry]:
    """What a zip holds; of two files of one name the last, as it is when it is unpacked."""
    found: dict[tuple[str, ...], Entry] = {}
    for member in opened().infolist():
        names = [readable(name) for name in re.split(r"[/\\]", member.filename)]
        parts = tuple(name for name in names if name not in ("", ".", ".."))
        if parts:
            read = _how_to_read(opened, member, parts[-1])
            entry = Entry(parts, _date(member), read, member.is_dir(), member.file_size)
            if not _is_trace(entry):
                found[parts] = entry
    yield from found.values()


def _how_to_read(
    opened: Callable[[], zipfile.ZipFile], member: zipfile.ZipInfo, name: str
) -> Callable[[], bytes]:
    if stat.S_ISLNK(member.external_attr >> 16):
        return partial(refuse, LINK)
    if name.startswith("."):
        return partial(refuse, HIDDEN)
    return partial(_read_member, opened, member)


def _date(member: zipfile.ZipInfo) -> datetime:
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
