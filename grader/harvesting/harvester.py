"""Harvest in a process of its own, within bounds: a notebook may be made to choke who reads it.

Nothing of the notebook runs here; it is only taken apart. `Harvester` is the side that asks. Run as
`python -m grader.harvesting.harvester`, the module is the side that answers, in the frames of
`grader.running.candidate`.
"""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import PurePath

import msgspec

from grader.harvesting.cells import Unusable, cells_in, unreadable
from grader.harvesting.modules import with_modules
from grader.harvesting.slices import NotFound, Statement, readings, statements
from grader.judging.wire import decode, encode, read_frame, write_frame

TIME_LIMIT = 30.0  # seconds for one notebook; an honest one takes 0.1
MEMORY_LIMIT = 4 * 10**9  # bytes of address space
UNREAD_LIMIT = 5  # cells of which it is said that Python cannot read them
TRIES = 2  # for a notebook under which the process ends; somebody else may have ended it
ANSWER_LIMIT = 2_000_000  # characters of one answer with all that it depends on

CHOKES = (
    f"it could not be taken apart within {TIME_LIMIT:g} seconds and {MEMORY_LIMIT // 10**9} GB of "
    "memory. Copy your functions into a fresh copy of the lab and hand that in."
)
STRANGE = "it could not be taken apart ({}). Copy your functions into a fresh copy of the lab."
NO_ANSWER = "it defines none of the functions asked for: {}."
LONG = "`{}` and what it depends on take more than {} characters. Leave data out of the code."


class Wish(msgspec.Struct):
    """Take the answers of these names out of a file of this name and content.

    `modules` are sources of the student's own that lie beside it, by name.
    """

    file: str
    content: bytes
    names: list[str]
    modules: dict[str, str] = {}


class Harvest(msgspec.Struct):
    """The statements of each answer, and why there are none; or why the file is of no use.

    An answer has them once for each way to read it, see `grader.harvesting.slices.readings`.
    """

    answers: dict[str, list[list[str]]] = {}
    missing: dict[str, str] = {}
    unusable: str = ""


class Harvester:
    """A process that harvests, replaced when a notebook ends it. A context manager."""

    COMMAND = (sys.executable, "-m", "grader.harvesting.harvester")

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._changing, self._closed = threading.Lock(), False

    def __enter__(self) -> Harvester:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it for good, even if another thread is just asking."""
        self._closed = True
        self._stop()

    def harvest(self, wish: Wish) -> Harvest:
        """What the wish asks for. Never raises because of a file."""
        frame = encode(wish)
        for _ in range(TRIES):
            if reply := self._asked(frame):
                return decode(reply, Harvest)
        return Harvest(unusable=CHOKES)

    def _asked(self, frame: bytes) -> bytes | None:
        """The reply, or None if the process ended before it came."""
        process = self._started()
        assert process.stdin and process.stdout
        try:
            write_frame(process.stdin, frame)
            reply = read_frame(process.stdout)
        except (OSError, ValueError):
            reply = None
        if reply is None:
            self._stop()
        return reply

    def _started(self) -> subprocess.Popen[bytes]:
        with self._changing:
            if self._closed:
                raise RuntimeError("this harvester is closed")
            if self._process is None:
                pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
                self._process = subprocess.Popen(
                    self.COMMAND, stdin=pipe, stdout=pipe, stderr=nowhere
                )
            return self._process

    def _stop(self) -> None:
        with self._changing:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def fulfilled(wish: Wish) -> Harvest:
    """The harvest of one file, in this process. Python's warnings of its code are its author's."""
    try:
        with warnings.catch_warnings(action="ignore"):
            cells = cells_in(wish.content, PurePath(wish.file))
            return _taken(statements(cells), wish, unreadable(cells)[:UNREAD_LIMIT])
    except Unusable as error:
        return Harvest(unusable=str(error).removeprefix(f"{PurePath(wish.file)} "))
    except Exception as error:  # whatever a parser makes of what no person writes
        return Harvest(unusable=STRANGE.format(type(error).__name__))


def _taken(pool: Sequence[Statement], wish: Wish, unread: Sequence[str]) -> Harvest:
    names = wish.names
    harvest, more = Harvest(), f" Python cannot read {'; '.join(unread)}." if unread else ""
    for name in names:
        try:
            found = ([s.source for s in answer] for answer in readings(pool, name))
            answers = [with_modules(answer, wish.modules) for answer in found]
        except NotFound as error:
            harvest.missing[name] = f"{error}{more}"
            continue
        if sum(len(source) for answer in answers for source in answer) > ANSWER_LIMIT:
            harvest.missing[name] = LONG.format(name, ANSWER_LIMIT)
        else:
            harvest.answers[name] = answers
    if len(harvest.missing) == len(names) and not any(
        name in s.binds for s in pool for name in names
    ):
        harvest.unusable = f"{NO_ANSWER.format(', '.join(names))}{more}"
    return harvest


def main() -> None:
    _bound_memory()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(os.devnull, "w") as nowhere:
        while (frame := read_frame(sys.stdin.buffer)) is not None:
            # A watchdog that works while a parser holds the interpreter, on every platform.
            faulthandler.dump_traceback_later(TIME_LIMIT, exit=True, file=nowhere)
            reply = encode(fulfilled(decode(frame, Wish)))
            faulthandler.cancel_dump_traceback_later()
            write_frame(replies, reply)


def _bound_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


if __name__ == "__main__":
    main()
