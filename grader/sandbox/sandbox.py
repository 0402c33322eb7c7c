"""The sandbox: answers of people you do not know, observed like any other.

It takes the place of `running.runner.Runner`. The answer runs in a process that holds no reference,
no specimen, no other answer and no network, and that is gone afterwards; what comes back is bytes,
read as evidence or not at all.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from grader.judging.evidence import Observations, Raised
from grader.judging.terms import Challenge
from grader.judging.wire import encode
from grader.running.candidate import Request, observed_in
from grader.running.runner import Runner
from grader.sandbox import advice, trial
from grader.sandbox.box import HEAD, Box, Broken, Result
from grader.sandbox.inside.limits import USUAL, Limits
from grader.sandbox.inside.messages import Job
from grader.sandbox.protections import PROTECTIONS
from grader.sandbox.view import View, bubblewrap

TRIES = 2  # for an answer under which the sandbox itself fails


class Unavailable(Exception):
    """There is no sandbox on this machine; the message says what is missing and how to get it."""


class Measured(msgspec.Struct):
    """What was observed of an answer, and how many seconds of its time that took."""

    seen: Observations
    seconds: float = 0.0


class Sandbox:
    """A place for candidates that nobody trusts. A context manager; threads may share it.

    `edition` is the folder with the packages `grader` and `paramlock` that answers may see, and
    `cache` a compilation cache made by `grader.sandbox.cache.fill`. With `unsafe`, a platform that
    lacks protections is used all the same; `protections` says which. `cpu` is how many seconds all
    answers so far have computed.

    Raises on entry:
        Unavailable: this platform cannot hold a sandbox.
    """

    def __init__(
        self,
        edition: Path,
        limits: Limits = USUAL,
        cache: Path | None = None,
        *,
        unsafe: bool = False,
    ) -> None:
        self.limits, self.unsafe, self.cpu = limits, unsafe, 0.0
        self._view = View(edition.resolve(), cache and cache.resolve())
        self._box: Box | None = None
        self._changing = threading.Lock()
        self._held = dict.fromkeys(PROTECTIONS, False)

    def __enter__(self) -> Sandbox:
        try:
            self._box, self._cores = self._started(), Cores()
        except Unavailable:
            if not self.unsafe:
                raise
            self._held["time"] = True  # `Runner` ends what takes too long
        return self

    def __exit__(self, *_: object) -> None:
        box, self._box = self._box, None
        if box is not None:
            box.stop()

    def _started(self) -> Box:
        """A box of which every protection held, or as many as there are if that will do."""
        if reason := advice.missing(bubblewrap()) or advice.hidden(self._view.hidden):
            raise Unavailable(reason)
        try:
            box = self._new_box()
            self._held = _held(box, self._view, self.limits)
        except Broken as error:
            raise Unavailable(advice.not_started(str(error))) from None
        absent = [name for name, present in self._held.items() if not present]
        if absent and not self.unsafe:
            box.stop()
            raise Unavailable(advice.not_held(absent))
        return box

    def _new_box(self) -> Box:
        return Box(str(bubblewrap()), self._view)

    def protections(self) -> dict[str, bool]:
        """What answers are kept from (see `PROTECTIONS`), and whether it is so here and now."""
        return dict(self._held)

    def report(self) -> str:
        """The same for people: what is absent first."""
        rows = sorted(self._held.items(), key=lambda row: row[1])
        return "\n".join(
            f"{'present' if present else 'ABSENT '}  {name}: {PROTECTIONS[name]}"
            for name, present in rows
        )

    def observe(self, exercise: str, statements: Sequence[str], cases: Challenge) -> Observations:
        """Observe an answer in every case. Never raises because of what the answer does.

        The answer is sent the inputs and no names of cases, for these tell seeds.

        Raises:
            Broken: the sandbox failed, again and again, which is no evidence of anything.
        """
        return self.measured(exercise, statements, cases).seen

    def measured(
        self, exercise: str, statements: Sequence[str], cases: Challenge, most: float = math.inf
    ) -> Measured:
        """The same for an answer that may take so many seconds at `most`, and what it took."""
        limits = self.limits.within(most)
        if self._box is None:
            began = time.monotonic()
            with Runner(limits.wall, self._view.edition) as runner:
                seen = runner.observe(exercise, statements, cases)
            return Measured(seen, limits.spent(0.0, time.monotonic() - began))
        numbered = {str(place): inputs for place, inputs in enumerate(cases.values())}
        result, wall = self._run(encode(Request.of(exercise, statements, numbered)), limits)
        found = _observations(result, list(numbered), limits)
        seen = {case: found[number] for case, number in zip(cases, numbered, strict=True)}
        return Measured(seen, limits.spent(result.ending.cpu, wall))

    def _run(self, frame: bytes, limits: Limits) -> tuple[Result, float]:
        """What came back of a job, and the seconds that it took."""
        tries = 0
        while True:
            box = self._box
            assert box is not None
            try:
                began = time.monotonic()
                with self._cores.one() as core:
                    result = box.run(Job(limits, core), frame)
                with self._changing:
                    self.cpu += result.ending.cpu
                return result, time.monotonic() - began
            except Broken:
                tries += self._replace(box)
                if tries == TRIES:
                    raise

    def _replace(self, broken: Box) -> bool:
        """Put a new box in the place of a broken one; False if another thread already has.

        Then it was perhaps another answer under which the box broke.
        """
        with self._changing:
            if self._box is not broken:
                return False
            broken.stop()
            self._box = self._new_box()
            return True


def _held(box: Box, view: View, limits: Limits) -> dict[str, bool]:
    """Which protections hold in a box; it is stopped if that cannot be found out."""
    try:
        return trial.held(box, view, limits)
    except Broken:
        box.stop()
        raise


def _observations(result: Result, cases: Sequence[str], limits: Limits) -> Observations:
    """What an answer's bytes say, or why they say nothing."""
    if why := _reason(result, limits):
        return dict.fromkeys(cases, why)
    size = int.from_bytes(result.written[:HEAD], "big")
    try:
        seen = observed_in(result.written[HEAD:])
    except msgspec.DecodeError:
        seen = {}
    if size != len(result.written) - HEAD or seen.keys() != set(cases):
        return dict.fromkeys(cases, Raised("Garbled", "what came back from it was not evidence"))
    return seen


def _reason(result: Result, limits: Limits) -> Raised | None:
    """Why there is no evidence; None if there may be some."""
    ending = result.ending
    if ending.kind not in ("exit", "signal"):
        return Raised(ending.kind, limits.words(ending.kind))
    if (ending.kind, ending.code) == ("exit", 0) and result.written:
        return None
    way = f"exit status {ending.code}"
    if ending.kind == "signal":
        way = signal.strsignal(ending.code) or f"signal {ending.code}"
    return Raised("Ended", f"it ended the process it ran in ({way})")


class Cores:
    """Which core an answer runs on: the least busy one, so that no answer slows another's."""

    def __init__(self) -> None:
        self._answers = dict.fromkeys(sorted(os.sched_getaffinity(0)), 0)
        self._changing = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[int]:
        with self._changing:
            core = min(self._answers, key=lambda core: self._answers[core])
            self._answers[core] += 1
        try:
            yield core
        finally:
            with self._changing:
                self._answers[core] -= 1
