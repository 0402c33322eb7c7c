"""The fork server: imports what answers need, then forks a supervisor for each job. Runs inside.

It reads nothing that an answer wrote and keeps nothing between two jobs. It must have one thread
when it forks, and no JAX backend: a fork of more than one thread may hang.
"""

from __future__ import annotations

import gc
import os
import signal
import socket

import msgspec

from . import linux, seccomp, supervisor
from .messages import PACKET, Job, Ready
from .warm import warmed_up


def main(descriptor: int) -> None:
    """Serve jobs that arrive on this socket until its other end is closed."""
    cores = os.sched_getaffinity(0)
    with socket.socket(fileno=descriptor) as line:
        os.sched_setaffinity(0, {min(cores)})  # pools of threads get their size at import
        fault = warmed_up()
        os.sched_setaffinity(0, cores)
        gc.collect()
        gc.freeze()  # so that no collection in a fork touches, and so copies, what all share
        linux.use_large_pages()
        line.send(msgspec.msgpack.encode(Ready(fault)))
        _serve(line)


def _serve(line: socket.socket) -> None:
    filter_program = seccomp.program() if seccomp.supported() else b""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends here is not missed
    while True:
        packet, descriptors, _, _ = socket.recv_fds(line, PACKET, 3)
        if not packet:
            return
        if os.fork() == 0:
            line.close()
            supervisor.run(msgspec.msgpack.decode(packet, type=Job), descriptors, filter_program)
        for descriptor in descriptors:
            os.close(descriptor)
