"""The supervisor of one answer: encloses it, watches what it uses, ends it, says how it ended.

It stays outside the answer's process namespace, so that the answer can neither see nor reach it.
When the first process of such a namespace ends, the kernel ends all others with it, so nothing is
left once the supervisor has waited for that one.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Sequence
from typing import NoReturn

import msgspec

from . import answer, linux
from .limits import Limits
from .messages import Ending, Job
from .meter import Meter, Usage

INTERVAL = 0.03  # seconds between two looks at what is used
NAMESPACES = linux.NEW_USER | linux.NEW_MOUNTS | linux.NEW_PIDS | linux.NEW_IPC | linux.NEW_NETWORK


def run(job: Job, descriptors: Sequence[int], filter_program: bytes) -> NoReturn:
    """Be the supervisor of this job, in a process made for it."""
    request, reply, line = *descriptors[:2], socket.socket(fileno=descriptors[2])
    try:
        child = _enclosed(job, request, reply, filter_program)
        ending = _watched(child, line, job.limits)
    except Exception as error:
        ending = Ending("Fault", fault=f"{type(error).__name__}: {error}")
    line.send(msgspec.msgpack.encode(ending))
    os._exit(0)


def _enclosed(job: Job, request: int, reply: int, filter_program: bytes) -> int:
    """Start the answer in namespaces of its own; its process id, once it is shut in."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # see _watched
    _unshare()
    shut_in, tell = os.pipe()
    child = os.fork()
    if child == 0:
        answer.run(job, request, reply, tell, filter_program)
    for descriptor in (request, reply, tell):
        os.close(descriptor)
    said = os.read(shut_in, 4096)
    if said != answer.SHUT_IN:
        os.kill(child, signal.SIGKILL)
        raise RuntimeError(said.decode(errors="replace") or "it ended before it was shut in")
    return child


def _unshare() -> None:
    user, group = os.getuid(), os.getgid()
    linux.unshare(NAMESPACES)
    for file, words in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{file}", "w") as settings:
            settings.write(words)


def _watched(child: int, line: socket.socket, limits: Limits) -> Ending:
    """Wait until the answer ends or must be ended, and until nothing of it is left."""
    meter, start, kind = Meter(), time.monotonic(), ""
    while True:
        used, wall = meter.read(), time.monotonic() - start
        if not kind:
            kind = "Cancelled" if _hung_up(line) else _exceeded(limits, meter, used, wall)
            if kind:
                os.kill(child, signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, INTERVAL)
        ended, status, spent = os.wait4(child, os.WNOHANG)
        if ended:
            cpu = max(used.cpu, spent.ru_utime + spent.ru_stime)
            how, code = _way_it_ended(status)
            if not kind and cpu > limits.cpu:  # the kernel's own limit came before our look
                kind = "CpuLimit"
            cpu += time.process_time()
            return Ending(kind or how, code, cpu=cpu)


def _exceeded(limits: Limits, meter: Meter, used: Usage, wall: float) -> str:
    """The name of the limit that is exceeded, if one is."""
    if used.tasks > limits.processes:
        return "ProcessLimit"
    if used.cpu > limits.cpu:
        return "CpuLimit"
    if wall > limits.wall:
        return "TimeLimit"
    if used.memory > limits.memory and meter.own_memory() > limits.memory:
        return "MemoryLimit"
    return ""


def _hung_up(line: socket.socket) -> bool:
    try:
        return not line.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


def _way_it_ended(status: int) -> tuple[str, int]:
    if os.WIFSIGNALED(status):
        return "signal", os.WTERMSIG(status)
    return "exit", os.WEXITSTATUS(status)
