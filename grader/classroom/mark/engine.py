"""Engines: they take answers out of files and run them. The one in here works on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from grader.classroom.mark.errors import BatchError
from grader.harvesting.harvester import Harvest, Harvester, Wish
from grader.judging.terms import Challenge
from grader.sandbox import Broken, Measured, Sandbox, Unavailable
from grader.sandbox.folders import temporary


class GivenUp(Exception):
    """An answer under which the place where it ran broke down twice."""


class Observer(Protocol):
    """What observes answers on this machine. Threads share it."""

    def measured(
        self, exercise: str, statements: Sequence[str], cases: Challenge, most: float
    ) -> Measured:
        """What an answer does in these cases, for which it has so many seconds at `most`."""
        ...


class Engine(Observer, Protocol):
    """All that grading needs of a machine. `measured` may raise `GivenUp`. Threads share it."""

    def harvest(self, wish: Wish) -> Harvest:
        """The answers in a file."""
        ...


class Local:
    """The engine of this machine. `absent` names the protections that it lacks."""

    def __init__(
        self, observer: Observer, harvesters: Sequence[Harvester], absent: str = ""
    ) -> None:
        self._observer, self.absent = observer, absent
        self._free: SimpleQueue[Harvester] = SimpleQueue()
        for harvester in harvesters:
            self._free.put(harvester)

    def harvest(self, wish: Wish) -> Harvest:
        harvester = self._free.get()
        try:
            return harvester.harvest(wish)
        finally:
            self._free.put(harvester)

    def measured(
        self, exercise: str, statements: Sequence[str], cases: Challenge, most: float
    ) -> Measured:
        try:
            return self._observer.measured(exercise, statements, cases, most)
        except Broken as error:  # the sandbox itself has tried twice
            raise GivenUp(str(error)) from None


@contextmanager
def local(jobs: int, unsafe: bool = False, programs: Path | None = None) -> Iterator[Local]:
    """The engine of this machine, for so many answers at once. See `compiled` for `programs`.

    Raises:
        BatchError: there is no sandbox here, and `unsafe` does not allow to go without.
    """
    with ExitStack() as stack:
        observer = stack.enter_context(sandbox(unsafe, programs))
        harvesters = [stack.enter_context(Harvester()) for _ in range(jobs)]
        absent = [name for name, present in observer.protections().items() if not present]
        yield Local(observer, harvesters, ", ".join(absent))


@contextmanager
def sandbox(unsafe: bool, programs: Path | None) -> Iterator[Sandbox]:
    """A sandbox that sees a fresh student edition and nothing else of ours."""
    from grader.press.release import release  # late, for it brings half of Jupyter along

    with temporary("edition") as folder:
        edition = folder / "edition"
        release(edition)
        try:
            with Sandbox(edition, cache=programs, unsafe=unsafe) as ready:
                yield ready
        except Unavailable as error:
            raise BatchError(str(error)) from None
