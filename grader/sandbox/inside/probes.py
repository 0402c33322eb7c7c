"""Probes: small hostile programs that try the sandbox each time it starts.

What a platform can do is found out so and not by its version. The probe runs inside, as an answer
does, and says of each protection whether it held.
"""

from __future__ import annotations

import mmap
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from . import linux
from .limits import TEMPORARY, Limits
from .messages import Probe

MARK = "left by a probe"


def attempted(probe: Probe, limits: Limits) -> dict[str, bool]:
    """Try everything. True where the protection held."""
    if probe.endless:
        _spin()
    trials: dict[str, Callable[[], bool]] = {
        "files": lambda: _files_are_safe(probe),
        "network": lambda: _nothing_answers(probe.port),
        "processes": lambda: os.getpid() == 1 and _processes() == {1},
        "privileges": _has_no_privileges,
        "system calls": lambda: _status("Seccomp") == 2 and _refused(os.memfd_create, "x"),
        "memory": lambda: _refused(mmap.mmap, -1, 2 * limits.memory, mmap.MAP_PRIVATE),
        "process count": _cannot_fork_beyond_its_limit,
        "temporary space": lambda: _size_of("/dev/shm") == _size_of(TEMPORARY) <= limits.files,
        "fresh start": _finds_no_mark,
        "descendants": _leaves_a_daemon,
    }
    return {name: _held(trial) for name, trial in trials.items()}


def _held(trial: Callable[[], bool]) -> bool:
    try:
        return trial()
    except Exception:
        return False


def _refused(attempt: Callable[..., Any], *arguments: Any) -> bool:
    try:
        attempt(*arguments)
    except OSError:
        return True
    return False


def _files_are_safe(probe: Probe) -> bool:
    written = [os.path.join(folder, "x") for folder in (*probe.read_only, "/", "/dev", "/proc")]
    return not any(map(os.path.exists, probe.host_files)) and all(
        _refused(open, path, "w") for path in written
    )


def _nothing_answers(port: int) -> bool:
    families = [number for name, number in vars(socket).items() if name.startswith("AF_")]
    return _refused(socket.create_connection, ("127.0.0.1", port), 1) and all(
        _refused(socket.socket, family, kind)
        for family in families
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)
    )


def _processes() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def _status(field: str) -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1], 16) for line in lines if line.startswith(f"{field}:"))


def _has_no_privileges() -> bool:
    return (
        _status("CapEff") == _status("CapBnd") == 0
        and _status("NoNewPrivs") == 1
        and os.getuid() != 0
        and _refused(linux.unshare, linux.NEW_USER)
        and _refused(linux.mount, "tmpfs", "/tmp", "tmpfs")
    )


def _cannot_fork_beyond_its_limit() -> bool:
    """Fork once: that must work. Then lower the limit to what there is: that must not."""
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, hard))
    try:
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return False
    except BlockingIOError:
        return True
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))


def _size_of(folder: str) -> int:
    space = os.statvfs(folder)
    return space.f_blocks * space.f_frsize


def _finds_no_mark() -> bool:
    """It leaves a mark for the probe after it."""
    path = os.path.join(TEMPORARY, MARK)
    clean = not os.path.exists(path)
    open(path, "w").close()
    return clean


def _leaves_a_daemon() -> bool:
    """Leave a process of two forks that holds the reply open. Outside sees whether it lives on."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            _spin()
        os._exit(0)
    return True


def _spin() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            continue
    while True:
        time.sleep(0.01)
