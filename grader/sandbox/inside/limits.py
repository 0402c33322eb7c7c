"""What one answer may use, and the words that say which limit ended it."""

from __future__ import annotations

from dataclasses import dataclass, replace

MB, GB = 10**6, 10**9

TEMPORARY = "/tmp"
"""Where an answer may write; /dev/shm is a link to it, so that one bound holds for both."""


@dataclass(frozen=True)
class Limits:
    """Bounds on one answer, all its processes taken together.

    An answer runs on one core, so that `cpu` is what a slow machine is measured by and `wall`
    catches what sleeps. JAX needs 1.5 GB of address space beyond what is loaded.
    """

    wall: float = 90.0  # seconds
    cpu: float = 45.0  # seconds
    memory: int = 3 * GB  # bytes of memory of its own, without what all answers share
    processes: int = 64  # processes and threads at once
    files: int = 64 * MB  # bytes in all files it writes; also the largest file
    output: int = 1 * MB  # bytes of evidence; decoded it may take 64 times as much
    shortened: bool = False  # whether there is less time, because others have taken it

    def within(self, seconds: float) -> Limits:
        """The same for an answer with so many seconds left to compute, and time in proportion."""
        if seconds >= self.cpu:
            return self
        wall = seconds * self.wall / self.cpu
        return replace(self, cpu=seconds, wall=wall, shortened=True)

    def spent(self, cpu: float, wall: float) -> float:
        """What a run counts for: seconds computed, or the time it took in proportion, if more."""
        return max(cpu, wall * self.cpu / self.wall)

    def words(self, kind: str) -> str:
        """What an answer did that was ended by the limit called `kind`."""
        left = ", all that other answers in the file have left it" * self.shortened
        return {
            "TimeLimit": f"it ran for more than {self.wall:.3g} seconds{left}",
            "CpuLimit": f"it computed for more than {self.cpu:.3g} seconds{left}",
            "MemoryLimit": f"it used more than {self.memory / GB:.3g} GB of memory",
            "ProcessLimit": f"it had more than {self.processes} processes and threads at once",
            "OutputLimit": f"what it returned takes more than {self.output / MB:.3g} MB",
        }[kind]


USUAL = Limits()
