"""The commands of grading: from options to an exit status, with words on the way."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from grader.checking.registry import UnknownExercise
from grader.classroom.batch import Batch, Tally, ungraded
from grader.classroom.collect import find as collect
from grader.classroom.collect import roster
from grader.classroom.collect.find import Found, HandIn
from grader.classroom.compiled import WORTH, compiled
from grader.classroom.give_back import overview, pages
from grader.classroom.give_back import sheets as export
from grader.classroom.give_back.letters import letters
from grader.classroom.gradebook.damage import damaged
from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.gradebook.regrade import regrade
from grader.classroom.mark import draw
from grader.classroom.mark.engine import Engine, local
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.lab import Lab, find

ALL_GRADED, NOT_ALL_GRADED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130  # exit statuses
AGREES, DIFFERS = 0, 1
NAMED = 10  # files that a message names
STEADY = 600  # seconds over which the speed is measured that an estimate rests on
NEWS = 30  # seconds between two lines of a log
CALM = 2  # times a second that the progress bar is drawn; each takes a millisecond


def grade(options: argparse.Namespace) -> int:
    """Grade a batch, then write what was asked for."""
    try:
        lab = find(options.lab)
        found = _found(options, lab)
        with Gradebook(options.gradebook) as gradebook:
            for broken in damaged(gradebook, lab):
                print(f"{broken}. It is graded again, where it is handed in.", file=sys.stderr)
                gradebook.grade_again(broken.submission, len(broken.exercises))
            tally = _graded(options, lab, found.hand_ins, gradebook)
            _write(options, lab, gradebook)
    except BatchError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return INTERRUPTED
    return NOT_ALL_GRADED if tally.failed or found.nobodys else ALL_GRADED


def _found(options: argparse.Namespace, lab: Lab) -> Found:
    """What was handed in; of what is nobody's it is said what can be done."""
    known = roster.read(options.roster) if options.roster else None
    found = collect.find(options.submissions, lab.name, known)
    for words in found.remarks:
        print(words, file=sys.stderr)
    if found.nobodys:
        print(_whose(found.nobodys, bool(known)), file=sys.stderr)
    if not found.hand_ins:
        names = ", ".join(map(str, options.submissions))
        raise BatchError(f"There is nothing to grade in {names}.")
    return found


def _whose(files: Sequence[str], by_roster: bool) -> str:
    """What to do about files of which nobody can say whose they are."""
    listed = ", ".join(files[:NAMED]) + (f" and {len(files) - NAMED} more" * (len(files) > NAMED))
    way_out = (
        "No one student of the roster fits them: rename them, or add what they are called to a row."
        if by_roster
        else "Their names fit several students, or none. Say who is in the class: --roster CSV."
    )
    return f"Not graded, because they are nobody's: {listed}. {way_out}"


def _graded(
    options: argparse.Namespace, lab: Lab, hand_ins: Sequence[HandIn], gradebook: Gradebook
) -> Tally:
    """Grade what the gradebook does not hold, and say what became of it."""
    todo = ungraded(hand_ins, gradebook.done(lab.name, lab.version))
    students = len({hand_in.student for hand_in in hand_ins})
    print(f"Lab {lab.name}: {len(hand_ins)} files of {students} students, {len(todo)} to grade.")
    if not todo:
        return Tally()
    secret, made = draw.secret_in(options.secret)
    if made:
        print(f"Wrote a new secret to {options.secret}. Keep it: secret numbers come from it.")
    began = time.monotonic()
    with _engine(options, lab, len(todo)) as (engine, jobs), _progress(len(todo)) as advance:
        batch = Batch(lab, draw.Draw(secret, lab.name), engine, gradebook)
        tally = batch.run(todo, jobs, advance)
    _say(tally, time.monotonic() - began, gradebook)
    return tally


@contextmanager
def _engine(options: argparse.Namespace, lab: Lab, todo: int) -> Iterator[tuple[Engine, int]]:
    """What runs answers, and how many at once."""
    if options.cluster:
        from grader.classroom.cluster import cluster

        with cluster(options.cluster, lab, options.unsafe) as remote:
            yield remote, options.jobs or remote.jobs
        return
    jobs = options.jobs or _cores()
    programs = compiled(lab) if todo >= WORTH else None
    with local(jobs, options.unsafe, programs) as engine:
        if engine.absent:
            print(f"Protections that are absent here:\n{engine.absent}", file=sys.stderr)
        yield engine, jobs


def _cores() -> int:
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, else a line now and then. Yields what moves it on by one."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(total).advance
        return
    columns = (
        TextColumn("Grading"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    with Progress(
        *columns, console=console, refresh_per_second=CALM, speed_estimate_period=STEADY
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


class Lines:
    """Progress for a log: a line when the first is done, then one each half a minute."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.next = total, 0, 0.0

    def advance(self) -> None:
        self.done += 1
        if time.monotonic() >= self.next:
            print(f"{self.done} of {self.total} done.", file=sys.stderr, flush=True)
            self.next = time.monotonic() + NEWS


def _say(tally: Tally, seconds: float, gradebook: Gradebook) -> None:
    """What became of the batch."""
    rate = f", {seconds / tally.graded:.2f} s each" if tally.graded else ""
    print(f"Graded {tally.graded} in {seconds:.0f} s{rate}. Gradebook: {gradebook.name}")
    if tally.unusable:
        print(f"Not to be graded: {tally.unusable}. The feedback says why.")
    if tally.meanwhile:
        print(f"Graded by somebody else meanwhile: {tally.meanwhile}.")
    if tally.lost:
        print(
            f"Given up, for the sandbox broke down under an answer twice: {', '.join(tally.lost)}. "
            "The same command tries them again."
        )
    for words in tally.failed:
        print(f"The grader failed at {words}", file=sys.stderr)


def _write(options: argparse.Namespace, lab: Lab, gradebook: Gradebook) -> None:
    if options.feedback:
        count = pages.write_all(gradebook, lab, options.keep, options.feedback)
        print(f"Feedback for {count} students: {options.feedback}")
    if options.csv:
        export.write_csv(gradebook, lab, options.keep, options.csv)
        print(f"Scores: {options.csv}")


def exported(options: argparse.Namespace) -> int:
    """Show how the class did, and write what was asked for, from the gradebook alone."""
    try:
        lab = find(options.lab)
        with Gradebook(options.gradebook, make=False) as gradebook:
            if not any(gradebook.standings(lab.name, lab.version, options.keep)):
                raise BatchError(f"{gradebook.name} holds nothing of the lab {lab.name}.")
            broken = list(damaged(gradebook, lab))
            for one in broken:
                print(f"{one}. grade takes it again, if it is handed in again.", file=sys.stderr)
            print(overview.as_text(letters(gradebook, lab, options.keep)))
            _write(options, lab, gradebook)
            if options.fill:
                sheet, column, path = options.fill
                print(export.fill(gradebook, lab, options.keep, Path(sheet), column, Path(path)))
    except BatchError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    return NOT_ALL_GRADED if broken else ALL_GRADED


def again(options: argparse.Namespace) -> int:
    """Grade the answer of one row again."""
    try:
        with (
            Gradebook(options.gradebook, make=False) as gradebook,
            local(1, options.unsafe) as engine,
        ):
            regraded = regrade(gradebook, options.row, engine)
    except (BatchError, UnknownExercise) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    print(regraded)
    return AGREES if regraded.agrees else DIFFERS
