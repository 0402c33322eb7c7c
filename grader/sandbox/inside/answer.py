"""The process of one answer: it shuts itself in, then reads its request and writes its reply.

Everything after `_shut_in` is the answer's: nothing that this process says or does is trusted.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Collection
from contextlib import suppress
from typing import NoReturn

from grader.judging.wire import decode, encode, read_frame, write_frame
from grader.running.candidate import Request, respond

from . import linux, probes, seccomp
from .limits import TEMPORARY, Limits
from .messages import Job, Probe

SHUT_IN = b"shut in"
OPEN_FILES = 256
MARGIN = 8  # processes above the limit, for the supervisor to see that it is exceeded
INODES = 4096  # files, folders and links in the private temporary space


def run(job: Job, request: int, reply: int, tell: int, filter_program: bytes) -> NoReturn:
    """Be the process of this answer, the first of its namespace; `tell` when it is shut in."""
    try:
        _shut_in(job, {request, reply, tell}, filter_program)
    except Exception as error:
        os.write(tell, f"{type(error).__name__}: {error}".encode()[:4096])
        os._exit(1)
    os.write(tell, SHUT_IN)
    os.close(tell)
    status = 1
    try:
        _reply(job, request, reply)
        status = 0
    finally:
        os._exit(status)


def _reply(job: Job, request: int, reply: int) -> None:
    with os.fdopen(request, "rb") as incoming, os.fdopen(reply, "wb") as outgoing:
        frame = read_frame(incoming) or b""
        if job.probe:
            write_frame(outgoing, encode(probes.attempted(decode(frame, Probe), job.limits)))
        else:
            write_frame(outgoing, encode(respond(decode(frame, Request))))


def _shut_in(job: Job, keep: Collection[int], filter_program: bytes) -> None:
    """Leave the process nothing but the descriptors in `keep` and what its limits allow."""
    _mount_own(job.limits)
    os.chdir(TEMPORARY)
    os.setsid()
    _close_all_but(keep)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.sched_setaffinity(0, {job.core})
    _limit(job.limits)
    linux.drop_privileges()
    if filter_program:
        seccomp.install(filter_program)


def _mount_own(limits: Limits) -> None:
    """Temporary space of its own, and a /proc that shows its own processes alone.

    From Linux 5.8 on, /proc can be had without what it tells of the machine.
    """
    size = f"size={limits.files},nr_inodes={INODES},mode=1777"
    linux.mount("tmpfs", TEMPORARY, "tmpfs", linux.NOSUID | linux.NODEV, size)
    safely = linux.NOSUID | linux.NODEV | linux.NOEXEC
    try:
        linux.mount("proc", "/proc", "proc", safely, "subset=pid")
    except OSError:
        linux.mount("proc", "/proc", "proc", safely)


def _close_all_but(keep: Collection[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, *keep}:
        with suppress(OSError):  # the one by which they were listed
            os.close(descriptor)


def _limit(limits: Limits) -> None:
    """Limits that the kernel keeps for each process: a second line behind the supervisor."""
    cpu, space = int(limits.cpu) + 1, _address_space() + limits.memory
    for what, most in (
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_NPROC, limits.processes + MARGIN),
        (resource.RLIMIT_FSIZE, limits.files),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_SIGPENDING, 256),  # and timers
    ):
        resource.setrlimit(what, (most, most))
    with open("/proc/self/oom_score_adj", "w") as preference:
        preference.write("1000")  # if memory runs out, this is the one to go


def _address_space() -> int:
    """Bytes of address space in use, most of it code that is shared."""
    with open("/proc/self/statm") as sizes:
        return int(sizes.read().split()[0]) * resource.getpagesize()
