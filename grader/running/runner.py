"""Run harvested answers in a process of their own, so that a crash costs one answer and no more.

This is separation, not protection: the process may do whatever its user may. Answers of people you
do not know want a sandbox.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from grader.exercises import BANK
from grader.judging.evidence import Observations, Raised
from grader.judging.terms import Challenge
from grader.judging.wire import encode, read_frame, write_frame
from grader.running.candidate import Request, observed_in

TIME_LIMIT = 120.0  # seconds for all cases of one answer; JAX may compile in each


class Runner:
    """A process for candidates, replaced when an answer ends it. A context manager."""

    def __init__(self, time_limit: float = TIME_LIMIT, edition: Path | None = None) -> None:
        self.time_limit = time_limit
        self.edition = edition  # a folder whose `grader` runs in place of ours
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def observe(self, exercise: str, statements: Sequence[str], cases: Challenge) -> Observations:
        """Observe an answer in every case. Never raises because of what the answer does."""
        observed, why = self._ask(encode(Request.of(exercise, statements, cases)))
        if observed is None or observed.keys() != cases.keys():
            return dict.fromkeys(cases, why or Raised("Garbled", "the evidence was not readable"))
        return observed

    def _ask(self, frame: bytes) -> tuple[Observations | None, Raised | None]:
        """The observations, or why there are none."""
        process = self._started()
        late = threading.Event()
        clock = threading.Timer(self.time_limit, self._give_up, (process, late))
        clock.start()
        try:
            return self._exchange(process, frame), None
        except (OSError, EOFError, ValueError, msgspec.DecodeError):
            self._stop()
            return None, self._death(process, late.is_set())
        finally:
            clock.cancel()

    @staticmethod
    def _give_up(process: subprocess.Popen[bytes], late: threading.Event) -> None:
        late.set()
        process.kill()

    @staticmethod
    def _exchange(process: subprocess.Popen[bytes], frame: bytes) -> Observations:
        assert process.stdin and process.stdout
        write_frame(process.stdin, frame)
        reply = read_frame(process.stdout)
        if reply is None:
            raise EOFError
        return observed_in(reply)

    def _death(self, process: subprocess.Popen[Any], late: bool) -> Raised:
        if late:
            return Raised("TimeLimit", f"it ran for more than {self.time_limit:g} seconds")
        return Raised("Ended", f"it ended the process it ran in (exit status {process.returncode})")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            settings = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads cost more than they bring
            if self.edition:
                settings["PYTHONPATH"] = str(self.edition)
                settings.pop(BANK, None)  # the edition holds a bank that is open, without answers
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    *(["-P"] if self.edition else []),
                    "-m",
                    "grader.running.candidate",
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=settings,
            )
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
