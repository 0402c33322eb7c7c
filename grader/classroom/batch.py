"""The batch: grade every hand-in that the gradebook does not hold yet, several at once."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from grader.classroom.collect.find import HandIn
from grader.classroom.gradebook import records
from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.gradebook.records import Graded
from grader.classroom.mark.budget import Budget
from grader.classroom.mark.draw import Draw
from grader.classroom.mark.engine import Engine, GivenUp
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.key import Key
from grader.classroom.mark.lab import Lab
from grader.classroom.mark.mark import Marked, best, lost, mark, missing
from grader.harvesting.cells import Unusable
from grader.harvesting.harvester import Harvest, Wish
from grader.judging.exercise import Exercise

LOST_IN_A_ROW = 5
"""If the sandbox breaks under so many submissions in a row, it is not their fault."""

CHANGED = "it was changed while it was graded. Give the same command again."

Todo = tuple[HandIn, str]
"""A hand-in and the hash of its content."""

T = TypeVar("T")
U = TypeVar("U")


@dataclass
class Tally:
    """What became of hand-ins."""

    graded: int = 0
    unusable: int = 0
    meanwhile: int = 0  # graded by another grader since this one began
    lost: list[str] = field(default_factory=list)  # whose answers were given up
    failed: list[str] = field(default_factory=list)  # whom the grader failed, and how
    lost_in_a_row: int = 0


@dataclass(frozen=True)
class Batch:
    """Everything that grading takes, beside the hand-ins.

    `seconds` is what all answers of a hand-in may compute together.
    """

    lab: Lab
    draw: Draw
    engine: Engine
    gradebook: Gradebook
    seconds: float
    key: Key = field(default_factory=Key)

    def run(self, todo: Sequence[Todo], jobs: int, advance: Callable[[], None]) -> Tally:
        """Grade and record. `advance` is called whenever a hand-in is done with.

        Raises:
            BatchError: gradebook or engine cannot go on. What is recorded stays.
        """
        tally = Tally()
        # Two graders of the same folder take it in different orders, and so share the work.
        mixed = random.sample(todo, len(todo))
        for outcome in each(self._graded_or_why_not, mixed, jobs):
            self._note(outcome, tally)
            advance()
            if tally.lost_in_a_row >= LOST_IN_A_ROW:
                raise BatchError(
                    f"Answers of {LOST_IN_A_ROW} submissions in a row were given up, so the place "
                    "where they run is at fault: is this machine short of memory or disk? "
                    "Run the same command again; those will be graded anew."
                )
        return tally

    def _graded_or_why_not(self, todo: Todo) -> Graded | str | None:
        """A graded hand-in; None if another grader was faster; words if this one failed."""
        hand_in, content = todo
        try:
            if self.gradebook.holds(records.key(self.lab, hand_in, content)):
                return None
            return self.grade(hand_in, content)
        except BatchError:
            raise
        except Exception as error:
            return f"{hand_in.student.name} ({hand_in.file}): {type(error).__name__}: {error}"

    def grade(self, hand_in: HandIn, content: str) -> Graded:
        """Grade one hand-in. Records nothing."""
        try:
            harvest = self._harvest(hand_in, content)
        except Unusable as error:
            return Graded(hand_in, content, unusable=str(error))
        except GivenUp:
            nothing = [lost(exercise, self.key) for exercise in self.lab.exercises]
            return Graded(hand_in, content, nothing)
        seeds = self.draw.picked(hand_in.student.name, content)
        budget, marked = Budget(self.seconds, len(self.lab.exercises)), []
        for exercise in self.lab.exercises:
            marked.append(self._marked(exercise, harvest, seeds, budget))
            budget.next()
        return Graded(hand_in, content, marked)

    def _harvest(self, hand_in: HandIn, content: str) -> Harvest:
        wish = Wish(hand_in.file, hand_in.read(), self.lab.names, modules_of(hand_in))
        if digest(wish.content, wish.modules) != content:
            raise Unusable(CHANGED)
        harvest = self.engine.harvest(wish)
        if harvest.unusable:
            raise Unusable(harvest.unusable)
        return harvest

    def _marked(
        self, exercise: Exercise, harvest: Harvest, seeds: Sequence[int], budget: Budget
    ) -> Marked:
        if why := harvest.missing.get(exercise.name):
            return missing(exercise, why)
        answers = harvest.answers[exercise.name]
        return best(
            mark(exercise, answer, seeds, self.key, self.engine, budget) for answer in answers
        )

    def _note(self, outcome: Graded | str | None, tally: Tally) -> None:
        """Record what was graded, and count it."""
        if outcome is None:
            tally.meanwhile += 1
        elif isinstance(outcome, str):
            tally.failed.append(outcome)
        elif self._recorded(outcome):
            tally.graded += 1
            tally.unusable += bool(outcome.unusable)
            gave_up = any(marked.lost for marked in outcome.marked)
            tally.lost += [outcome.hand_in.student.name] if gave_up else []
            tally.lost_in_a_row = tally.lost_in_a_row + 1 if gave_up else 0
        else:
            tally.meanwhile += 1

    def _recorded(self, graded: Graded) -> bool:
        return self.gradebook.record(
            records.key(self.lab, graded.hand_in, graded.content),
            records.submission(self.lab, graded),
            [records.verdict(marked) for marked in graded.marked],
        )


def ungraded(hand_ins: Iterable[HandIn], done: set[tuple[str, str]]) -> list[Todo]:
    """The hand-ins whose student and content are not done, each content of a student once."""
    known, found = set(done), []
    for hand_in in hand_ins:
        content = content_of(hand_in)
        if (hand_in.student.name, content) not in known:
            known.add((hand_in.student.name, content))
            found.append((hand_in, content))
    return found


def content_of(hand_in: HandIn) -> str:
    """The hash of what was handed in, its modules included, or of why it cannot be read."""
    try:
        content = hand_in.read()
    except Unusable as error:
        content = f"{hand_in.file}: {error}".encode()
    return digest(content, modules_of(hand_in))


def digest(content: bytes, modules: Mapping[str, str]) -> str:
    """The hash of a file and of the modules beside it."""
    beside = "".join(f"\0{name}\0{text}" for name, text in sorted(modules.items()))
    return hashlib.sha256(content + beside.encode()).hexdigest()


def modules_of(hand_in: HandIn) -> dict[str, str]:
    """The sources of the modules beside it, as far as they can be read."""
    sources = {}
    for name, read in hand_in.beside.items():
        with suppress(Unusable):
            sources[name] = read().decode(errors="replace")
    return sources


def each(work: Callable[[T], U], items: Iterable[T], jobs: int) -> Iterator[U]:
    """The results of `work`, as they come, from so many threads.

    Few items are under way at any time, so that memory stays flat. If the caller stops, what is
    under way is left to end by itself.
    """
    pool, under_way = ThreadPoolExecutor(jobs), set[Future[U]]()
    try:
        for item in items:
            under_way.add(pool.submit(work, item))
            if len(under_way) > jobs:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in as_completed(under_way))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
