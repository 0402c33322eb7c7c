"""The box: a running sandbox, from outside. Bubblewrap with the fork server in it.

One box serves many answers, several at once if several threads ask. It ends when it is stopped and
when this process ends, however that ends: then the fork server reads the end of its line.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from grader.judging.wire import write_frame
from grader.sandbox.folders import temporary
from grader.sandbox.inside.messages import PACKET, Ending, Job, Ready
from grader.sandbox.view import View

START_LIMIT = 300.0  # seconds until everything is imported, from a slow disk
STOP_LIMIT = 5.0  # seconds
GRACE = 60.0  # seconds beyond an answer's time in which its supervisor must have ended it
NOBODY = 64_200  # a user id that no account uses, and that is mapped even in small containers
HEAD = 4  # bytes of a frame before its body


class Broken(Exception):
    """The sandbox itself failed, which is no answer's fault."""


@dataclass(frozen=True)
class Result:
    """What came back of a job: the bytes that the answer wrote, not yet believed, and its end."""

    written: bytes
    ending: Ending


class Box:
    """Starts a sandbox for a view. Raises `Broken` where that cannot be done."""

    def __init__(self, bubblewrap: str, view: View) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `stop` closes it
        self._line, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with _staged(bubblewrap, view) as command, inner:
            self._start(command, view, inner)
            self._await_ready()

    def _start(self, staged: Staged, view: View, inner: socket.socket) -> None:
        read, write = os.pipe()
        with open(read) as news:
            arguments = view.arguments(staged.places, inner.fileno(), write)
            self._process = subprocess.Popen(
                [*staged.command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                pass_fds=(inner.fileno(), write),
                start_new_session=True,  # what is typed at the grader's terminal is not for it
            )
            os.close(write)
            inner.close()
            told = news.read()
        self._inside = json.loads(told)["child-pid"] if told else None

    def _await_ready(self) -> None:
        self._line.settimeout(START_LIMIT)
        try:
            packet = self._line.recv(PACKET)
        except TimeoutError:
            packet = b""
        self._line.settimeout(None)
        fault = msgspec.msgpack.decode(packet, type=Ready).fault if packet else self._last_words()
        if fault:
            self.stop()
            raise Broken(fault)

    def _last_words(self) -> str:
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").strip()
        return words[-2000:] or "it ended without a word while it started"

    def run(self, job: Job, frame: bytes) -> Result:
        """Run a job to its end; when this returns, nothing of it is left.

        Raises:
            Broken: the sandbox failed; it must be stopped.
        """
        replies, reply = os.pipe()
        line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with open(replies, "rb", buffering=0) as incoming, line:
            with open(reply, "wb") as outgoing, theirs, _sealed(frame) as request:
                passed = [request.fileno(), outgoing.fileno(), theirs.fileno()]
                self._send(msgspec.msgpack.encode(job), passed)
            return _followed(job, incoming, line)

    def _send(self, packet: bytes, descriptors: Sequence[int]) -> None:
        try:
            socket.send_fds(self._line, [packet], descriptors)
        except OSError as error:
            raise Broken(f"the fork server is gone ({error})") from None

    def stop(self) -> None:
        """End everything that runs inside. Safe to call twice, and from any thread."""
        self._line.close()
        if self._inside and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self._inside, signal.SIGKILL)  # first in its namespace: all go with it
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_LIMIT)
        self._process.kill()
        self._process.wait()
        self._errors.close()


def _followed(job: Job, incoming: IO[bytes], line: socket.socket) -> Result:
    """Read what an answer writes until its supervisor says that it has ended."""
    deadline = time.monotonic() + job.limits.wall + GRACE
    os.set_blocking(incoming.fileno(), False)
    poll, written = select.poll(), bytearray()
    poll.register(incoming, select.POLLIN)
    poll.register(line, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        ready = {descriptor for descriptor, _ in poll.poll(1000 * left)}
        if incoming.fileno() in ready and _read(incoming, written, job):
            poll.unregister(incoming)
            if len(written) > job.limits.output + HEAD:
                line.shutdown(socket.SHUT_WR)  # calls the job off
        if line.fileno() in ready:
            return _result(_ending(line), incoming, written, job)
    raise Broken("the supervisor of an answer does not answer")


def _read(incoming: IO[bytes], written: bytearray, job: Job) -> bool:
    """Read once more; True if that was the last time."""
    chunk = incoming.read(PACKET)
    written += chunk or b""
    return chunk == b"" or len(written) > job.limits.output + HEAD


def _ending(line: socket.socket) -> Ending:
    packet = line.recv(PACKET)
    if not packet:
        raise Broken("the supervisor of an answer is gone")
    ending = msgspec.msgpack.decode(packet, type=Ending)
    if ending.kind == "Fault":
        raise Broken(ending.fault)
    return ending


def _result(ending: Ending, incoming: IO[bytes], written: bytearray, job: Job) -> Result:
    """The last of what an answer wrote. Somebody who still could write would be a survivor."""
    while (chunk := incoming.read(PACKET)) != b"":
        if chunk is None:
            raise Broken("a process of an answer outlived it")
        if len(written) <= job.limits.output + HEAD:
            written += chunk
    if len(written) > job.limits.output + HEAD:
        ending.kind = "OutputLimit"
    return Result(bytes(written), ending)


@contextmanager
def _sealed(frame: bytes) -> Iterator[IO[bytes]]:
    """A file in memory that holds a frame and cannot grow."""
    import fcntl  # which Windows has not, where this module is imported all the same

    descriptor = os.memfd_create("request", os.MFD_ALLOW_SEALING)
    with open(descriptor, "w+b") as file:
        write_frame(file, frame)
        seals = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        file.seek(0)
        yield file


@dataclass(frozen=True)
class Staged:
    """How to call bubblewrap, and where it finds what a view shows."""

    command: list[str]
    places: dict[str, str]


@contextmanager
def _staged(bubblewrap: str, view: View) -> Iterator[Staged]:
    """As root everything is staged for an ordinary user (see launch.py), else it stays in place."""
    if not _is_root():
        yield Staged([bubblewrap], {})
        return
    sources = list(dict.fromkeys([*view.shown.values(), bubblewrap]))
    with temporary("sandbox", "/tmp") as stage:  # which everybody can reach
        places = {source: f"{stage}/{place}" for place, source in enumerate(sources)}
        launcher = str(Path(__file__).with_name("launch.py"))
        start = [sys.executable, "-I", "-S", launcher, str(stage), str(NOBODY), *sources, "--"]
        yield Staged([*start, _staged_at(bubblewrap, places)], places)


def _staged_at(program: str, places: Mapping[str, str]) -> str:
    """Where a program is staged; if a folder above it is, then there, beside its libraries."""
    for source, place in places.items():
        if program.startswith(f"{source}/"):
            return place + program.removeprefix(source)
    return places[program]


def _is_root() -> bool:
    """Whether this process may become any other user; root in a user namespace perhaps may not."""
    numbers = [int(number) for number in Path("/proc/self/uid_map").read_text().split()]
    ranges = zip(numbers[::3], numbers[2::3], strict=True)
    mapped = any(first <= NOBODY < first + count for first, count in ranges)
    return os.getuid() == 0 and mapped
