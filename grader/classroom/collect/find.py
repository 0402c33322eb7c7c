"""Find what was handed in: files, folders, and zip downloads of a learning management system.

Whose a file is, the system says that it comes from (`systems`), or else its path: the first folder
in it or, without one, the name of the file itself. What could be two people's is nobody's: it is
listed, and not graded until a roster says whose it is. What cannot be graded is found as well, and
says why when it is read.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from types import MappingProxyType

from grader.classroom.collect import gradescope, systems
from grader.classroom.collect.entries import Entry, below, is_zip, readable, refuse
from grader.classroom.collect.roster import Roster
from grader.classroom.collect.systems import NOBODY, PHANTOM, Student, Top

NAME_LIMIT = 300  # characters of a file's name with its folders, as it is shown
MODULE_LIMIT = 1_000_000  # bytes of a module that goes along; whoever keeps data in one is alone
FILES_LIMIT = 10  # files of one student that are looked at: the newest

NO_NOTEBOOK = "there is no notebook (.ipynb) and no Python file (.py) in it. It holds: {}."
TOO_MANY = (
    "it is one of more than {} files of this student, of which the newest are looked at. Hand in "
    "one notebook."
)
TYPED = {
    "_text.html": "a text was typed in, and no notebook (.ipynb) handed in.",
    "onlinetext": "a text was typed in, and no notebook (.ipynb) handed in.",
    "_link.html": "a link was handed in, and no notebook (.ipynb).",
}
"""What an LMS calls the file in which it keeps what was typed into its page."""
NAMED = 5  # names that a remark lists
COPY = re.compile(r"( ?\(\d+\)|-Copy\d+|-\d+)$", re.IGNORECASE)
"""What a browser, JupyterLab or an LMS appends to a name that is there already."""


@dataclass(frozen=True)
class HandIn:
    """One file of one student. `read()` gives its bytes or raises `Unusable` with the reason.

    `beside` are the Python files that lie in the same folder, by the name of their module.
    """

    student: Student
    file: str
    written: datetime
    read: Callable[[], bytes]
    beside: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)


@dataclass
class Found:
    """Hand-ins, student by student, and what a teacher has to know.

    `nobodys`: files whose owner has to be told; they are not graded. `remarks`: sentences on how
    something was read.
    """

    hand_ins: list[HandIn] = field(default_factory=list)
    nobodys: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def find(paths: Iterable[Path], lab: str, roster: Roster | None = None) -> Found:
    """All hand-ins below these files, folders and zip files, student by student.

    Raises:
        BatchError: a path is not there, or is a zip file that cannot be read.
    """
    found = Found()
    of_student: dict[Student, list[Entry]] = {}
    homes: dict[Student, Path] = {}
    for path in {path.resolve(): path for path in paths}.values():
        for entry, owner in _owned(path, lab, found.remarks):
            known = roster.student("/".join(entry.parts), owner) if roster else owner
            student = _apart(known, path, homes, found.remarks)
            if student != NOBODY:
                of_student.setdefault(student, []).append(entry)
            elif not entry.folder:
                found.nobodys.append("/".join(entry.parts))
    found.remarks += _look_alikes(of_student)
    for student, entries in of_student.items():
        found.hand_ins += _hand_ins(student, entries)
    return found


def _look_alikes(students: Iterable[Student]) -> Iterator[str]:
    """Names that differ in their bytes, and not to the eye."""
    alike: dict[str, list[str]] = {}
    for student in students:
        look = unicodedata.normalize("NFKC", student.name).casefold()
        alike.setdefault(look, []).append(student.name)
    for names in alike.values():
        if len(names) > 1:
            yield f"{' and '.join(names)} look alike: taken for {len(names)} students."


def _apart(owner: Student, path: Path, homes: dict[Student, Path], remarks: list[str]) -> Student:
    """The owner; one without a number who is in two arguments is two students."""
    if owner == NOBODY or owner.number:
        return owner
    for name in _names_of(owner.name, _container(path)):
        student = replace(owner, name=name)
        if homes.setdefault(student, path) == path:
            break
        words = f"{name} is in {homes[student]} and in {path}: taken for two students."
        if words not in remarks:
            remarks.append(words)
    return student


def _names_of(name: str, container: str) -> Iterator[str]:
    """What somebody may be called of whom there is another: by the container, then by number."""
    yield name
    yield f"{name} ({container})"
    yield from (f"{name} ({container} {number})" for number in count(2))


# Of one student


def _hand_ins(student: Student, entries: Sequence[Entry]) -> Iterator[HandIn]:
    """The student's notebooks and Python files; without any, one hand-in that says so."""
    files = [entry for entry in entries if not entry.folder]
    chosen = sorted((e for e in files if _may_hold_answers(e.name)), key=_newest, reverse=True)
    for number, entry in enumerate(chosen[: FILES_LIMIT + 1]):
        full = partial(refuse, TOO_MANY.format(FILES_LIMIT))
        looked_at = entry if number < FILES_LIMIT else replace(entry, read=full)
        yield _hand_in(student, looked_at, _beside(entry, chosen[:FILES_LIMIT]))
    if not chosen:
        yield _hand_in(student, _without_notebook(entries, files))


def _newest(entry: Entry) -> tuple[datetime, bool]:
    return entry.written, ".ipynb" in entry.name.lower()


def _without_notebook(entries: Sequence[Entry], files: Sequence[Entry]) -> Entry:
    """The file that says best why there is nothing to grade."""
    if refused := [entry for entry in files if entry.refused]:
        return refused[0]
    held = ", ".join(entry.name for entry in files[:10]) or "nothing"
    typed = [words for entry in files for ending, words in TYPED.items() if ending in entry.name]
    reason = typed[0] if typed else NO_NOTEBOOK.format(held)
    return replace(entries[0], read=partial(refuse, reason))


def _hand_in(
    student: Student, entry: Entry, beside: Mapping[str, Callable[[], bytes]] = MappingProxyType({})
) -> HandIn:
    return HandIn(student, _shown("/".join(entry.parts)), entry.written, entry.read, beside)


def _shown(name: str) -> str:
    """A name without its middle where it is very long."""
    half = NAME_LIMIT // 2
    return name if len(name) <= NAME_LIMIT else f"{name[:half]}…{name[-half:]}"


def _beside(entry: Entry, entries: Iterable[Entry]) -> dict[str, Callable[[], bytes]]:
    """The modules that `entry` may import."""
    modules = {}
    for other in entries:
        stem, dot, ending = other.name.rpartition(".")
        alike = other.parts[:-1] == entry.parts[:-1] and other != entry
        small = other.size <= MODULE_LIMIT
        if alike and small and dot and ending == "py" and stem.isidentifier():
            modules[stem] = other.read
    return modules


def _may_hold_answers(name: str) -> bool:
    """Browsers save notebooks as `lab.ipynb.txt` and `lab.ipynb.json`, too."""
    return ".ipynb" in name.lower() or name.lower().endswith(".py")


# Whose it is


def _owned(path: Path, lab: str, remarks: list[str]) -> Iterator[tuple[Entry, Student]]:
    """Every entry of an argument with its owner."""
    entries = _unwrapped(below(path), path, remarks)
    entries = [entry for entry in entries if not _is_phantom(entry)]
    if submitters := gradescope.submitters(entries):
        yield from gradescope.owned(entries, submitters)
        return
    yield from ((entry, NOBODY) for entry in entries if gradescope.is_sheet(entry))
    entries = [entry for entry in entries if not gradescope.is_sheet(entry)]
    tops = dict.fromkeys(map(_top, entries))
    known = systems.read(tops)
    remarks += _odd_ones(tops, known)
    if not known and _in_sections(entries):
        remarks.append(
            f"The folders in {path} hold nothing but folders: taken for sections, with a folder "
            "for each student in them."
        )
        yield from ((_inside(entry), _of_section(entry)) for entry in entries if _deep(entry))
        return
    unknown = [top for top in tops if top not in known]
    owners = {**_by_path(unknown, lab, _container(path)), **known}
    remarks += _shared(owners, unknown)
    yield from ((entry, owners[_top(entry)]) for entry in entries)


def _odd_ones(tops: Collection[Top], known: Collection[Top]) -> Iterator[str]:
    """Names that say whose they are among others that do not: perhaps a student made them up."""
    if known and len(known) < len(tops):
        names = ", ".join(sorted(top.name for top in known)[:NAMED])
        yield (
            f"{len(known)} of {len(tops)} names are read as a learning management system gives "
            f"them, and the others as they stand. Check whose these are: {names}."
        )


def _shared(owners: Mapping[Top, Student], tops: Iterable[Top]) -> Iterator[str]:
    """Names of different files that make them one student's."""
    of_name: dict[Student, list[str]] = {}
    for top in tops:
        if owners[top] != NOBODY:
            of_name.setdefault(owners[top], []).append(top.name)
    for student, names in of_name.items():
        if len(names) > 1:
            yield f"{' and '.join(names)} are taken for one student's, {student.name}."


def _top(entry: Entry) -> Top:
    name = entry.parts[0]
    return Top(name, (len(entry.parts) > 1 or entry.folder) and not is_zip(name))


def _is_phantom(entry: Entry) -> bool:
    return len(entry.parts) == 1 and bool(PHANTOM.fullmatch(entry.name))


def _by_path(tops: Iterable[Top], lab: str, container: str) -> Mapping[Top, Student]:
    """Owners by the names alone. A file called like the lab is of the folder that it lies in.

    Where several are, they are nobody's: what their folder is called would make a class one
    student.
    """
    owners, called_alike = {}, []
    for top in tops:
        name = top.name if top.folder else _stem(top.name)
        if COPY.sub("", name) == lab:
            called_alike.append(top)
        owners[top] = Student(name)
    for top in called_alike:
        owners[top] = Student(container) if len(called_alike) == 1 else NOBODY
    return owners


def _stem(name: str) -> str:
    return re.split(r"\.(?:ipynb|py|zip)\b", name, maxsplit=1, flags=re.IGNORECASE)[0] or name


def _container(path: Path) -> str:
    """What an argument is called: a folder by its name, a zip by its stem, a file by its folder."""
    whole = path.resolve()
    if whole.is_dir():
        return readable(whole.name)
    return readable(whole.stem if is_zip(path.name) else whole.parent.name)


# Folders around folders


def _unwrapped(entries: Sequence[Entry], path: Path, remarks: list[str]) -> list[Entry]:
    """Without a folder around all others, if that is no student's.

    It is none if it is called like the argument, if what is in it has the names of a system, or if
    it holds nothing but folders with answers in them.
    """
    tops = dict.fromkeys(map(_top, entries))
    if len(tops) != 1 or systems.read(tops):
        return list(entries)
    inner = [_inside(entry) for entry in entries if len(entry.parts) > 1]
    names = dict.fromkeys(map(_top, inner))
    (top,) = tops
    known = len(systems.read(names)) > 1 or gradescope.is_export(inner)
    folders = all(name.folder for name in names) and len(_holding(inner)) > 1
    called_alike = top.name in _names(path) or gradescope.WRAPPER.fullmatch(top.name)
    if not inner or is_zip(top.name) or not (known or folders or called_alike):
        return list(entries)
    if not called_alike:
        remarks.append(f"{top.name} in {path} is taken for a folder around all, and no student's.")
    return inner


def _names(path: Path) -> set[str]:
    return {path.resolve().name, path.stem}


def _inside(entry: Entry) -> Entry:
    return replace(entry, parts=entry.parts[1:])


def _deep(entry: Entry) -> bool:
    return len(entry.parts) > 2 or (entry.folder and len(entry.parts) > 1)


def _holding(entries: Iterable[Entry]) -> set[str]:
    """The folders at the top that hold something with answers."""
    return {e.parts[0] for e in entries if len(e.parts) > 1 and _may_hold_answers(e.name)}


def _in_sections(entries: Sequence[Entry]) -> bool:
    """Whether every folder at the top holds folders with answers, and no file beside them."""
    direct = any(len(entry.parts) < 3 and not entry.folder for entry in entries)
    zipped = any(is_zip(name) for entry in entries for name in entry.parts[:2])
    students = {entry.parts[:2] for entry in entries if _deep(entry)}
    sections = {section for section, _ in students}
    return not direct and not zipped and len(sections) > 1 and _named_apart(students)


def _named_apart(students: set[tuple[str, ...]]) -> bool:
    """Whether the inner folders look like people: most have a name of their own, of two words."""
    return all(re.search(r"\w\W+\w", name) for _, name in students)


def _of_section(entry: Entry) -> Student:
    section, student = entry.parts[:2]
    return Student(f"{student} ({section})")
