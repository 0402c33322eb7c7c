"""The meter: what all processes of an answer use together, read from the answer's own /proc.

Memory is the sum over processes of what they hold in memory or swap that is in no file. They share
much of that with the fork server and with one another. To tell it apart is slow, so it is left to
`own_memory`, for when the plain sum is over the limit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")
_HELD = re.compile(rb"^(?:RssAnon|RssShmem|VmSwap):\s+(\d+) kB", re.MULTILINE)
_OWN = re.compile(rb"^(?:Pss_Anon|Pss_Shmem|SwapPss):\s+(\d+) kB", re.MULTILINE)


class Usage(NamedTuple):
    tasks: int  # processes and threads
    cpu: float  # seconds; of processes that have ended as far as that was seen
    memory: int  # bytes, what is shared counted for each process


class _Process(NamedTuple):
    identity: tuple[int, int]  # process id and time of its start
    folder: str  # in /proc
    threads: int
    cpu: float  # seconds, its own
    waited: float  # seconds, of children that it has waited for
    memory: int


class Meter:
    """Made by a process that sees the answer's /proc."""

    def __init__(self) -> None:
        self._root = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        self._cpu: dict[tuple[int, int], float] = {}

    def read(self) -> Usage:
        processes = list(self._processes())
        self._cpu |= {process.identity: process.cpu for process in processes}
        living = sum(process.cpu + process.waited for process in processes)
        return Usage(
            sum(process.threads for process in processes),
            max(living, sum(self._cpu.values())),
            sum(process.memory for process in processes),
        )

    def own_memory(self) -> int:
        """Bytes of memory, what is shared counted once."""
        return sum(map(self._own_memory, self._processes()))

    def _processes(self) -> Iterator[_Process]:
        for name in os.listdir(self._root):
            if name.isdigit():
                try:
                    yield self._process(int(name))
                except (FileNotFoundError, ProcessLookupError):  # it has just ended
                    continue

    def _process(self, number: int) -> _Process:
        """See man 5 proc_pid_stat and proc_pid_status; a command's name may hold anything."""
        fields = self._read(f"{number}/stat").rpartition(b")")[2].split()
        cpu, waited = (sum(map(int, fields[i : i + 2])) / _TICK for i in (11, 13))
        folder = str(number)
        if fields[0] == b"Z" and int(fields[17]) > 1:  # its first thread ended, the others live
            others = set(os.listdir(f"/proc/{number}/task")) - {folder}
            folder = f"{number}/task/{max(others, default=folder)}"
        memory = sum(map(int, _HELD.findall(self._read(f"{folder}/status"))))
        identity, threads = (number, int(fields[19])), int(fields[17])
        return _Process(identity, folder, threads, cpu, waited, 1024 * memory)

    def _own_memory(self, process: _Process) -> int:
        """Its part of what it shares with others; if it hides that, all of it."""
        try:
            text = self._read(f"{process.folder}/smaps_rollup")
        except ProcessLookupError:  # it has just ended
            return 0
        except OSError:
            return process.memory
        return 1024 * sum(map(int, _OWN.findall(text)))

    def _read(self, path: str) -> bytes:
        descriptor = os.open(path, os.O_RDONLY, dir_fd=self._root)
        try:
            return os.read(descriptor, 4096)
        finally:
            os.close(descriptor)
