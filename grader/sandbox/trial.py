"""The trial: try a new box with the probes and tell which protections held."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import msgspec

from grader.judging.wire import decode, encode
from grader.sandbox.box import HEAD, Box, Broken, Result
from grader.sandbox.inside.limits import Limits
from grader.sandbox.inside.messages import Job, Probe
from grader.sandbox.protections import PROTECTIONS
from grader.sandbox.view import View

SHORT = 0.2  # seconds that the endless probe is given


def held(box: Box, view: View, limits: Limits) -> dict[str, bool]:
    """Whether each protection held. Raises `Broken` if the probes do not come back."""
    job = Job(limits, min(os.sched_getaffinity(0)), probe=True)
    with _bait(view) as probe:
        twice = [_answers(box.run(job, encode(probe))) for _ in range(2)]
        probe.endless, job.limits = True, replace(limits, wall=SHORT)
        endless = box.run(job, encode(probe)).ending.kind
    found = {name: all(answers.get(name) is True for answers in twice) for name in PROTECTIONS}
    return found | {"time": endless == "TimeLimit"}


@contextmanager
def _bait(view: View) -> Iterator[Probe]:
    """Files of this machine to be read, a port to be reached, places to be written to."""
    with (
        tempfile.NamedTemporaryFile() as file,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        yield Probe([file.name, "/etc/passwd"], server.getsockname()[1], list(view.shown))


def _answers(result: Result) -> dict[str, bool]:
    try:
        return decode(result.written[HEAD:], dict[str, bool])
    except msgspec.DecodeError:
        raise Broken(f"a probe did not come back: {result.ending}") from None
