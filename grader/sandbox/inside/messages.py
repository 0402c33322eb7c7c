"""What the two sides of the sandbox say to each other.

*Outside* is the grader, which holds the secrets. *Inside* is a fork server and, for each answer,
two processes: the *answer* itself, first in a process namespace of its own, and its *supervisor*,
out of the answer's sight. Each message is one packet of msgpack. Request and reply, which the
answer handles itself, are frames (see `grader.running.candidate`).
"""

from __future__ import annotations

import msgspec

from .limits import Limits

PACKET = 65536  # bytes; no message of ours comes near


class Ready(msgspec.Struct):
    """Inside to outside, once: everything is imported. Or the reason why it cannot serve."""

    fault: str = ""


class Job(msgspec.Struct):
    """Outside to inside, with three descriptors: request, reply, and the line to the supervisor.

    The request is read, and the reply written, by the answer alone. Outside closes its end of the
    line to call the job off.
    """

    limits: Limits
    core: int
    probe: bool = False  # run the probe called in the request, not an answer


class Ending(msgspec.Struct):
    """Supervisor to outside, when no process of the answer is left.

    `kind` is "exit" or "signal", with its `code`; a limit's name; "Cancelled"; or "Fault", which is
    ours and not the answer's.
    """

    kind: str
    code: int = 0
    fault: str = ""
    cpu: float = 0.0  # seconds, all processes and the supervisor together


class Probe(msgspec.Struct):
    """A request to read these files, reach this port, write to these places, and more."""

    host_files: list[str]
    port: int
    read_only: list[str]
    endless: bool = False  # do not try anything, only never end
