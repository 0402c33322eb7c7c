"""The fork server: imports what answers need, then forks a supervisor for each job. Runs inside.

It reads nothing that an answer wrote and keeps nothing between two jobs. It must have one thread
when it forks, and no JAX backend: a fork of more than one thread may hang.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket

import msgspec

from grader import registry

from . import linux, seccomp, supervisor
from .messages import PACKET, Job, Ready

WARM = (
    "torch", "jax", "jax.numpy", "flax.linen", "flax.nnx", "optax", "grader.candidate",
    "torch._dynamo",  # torch imports it when the first optimizer steps
    "jaxlib.mlir.dialects.builtin", "jaxlib.mlir.dialects.mhlo",  # and JAX these when it compiles
)  # fmt: skip


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


def warmed_up() -> str:
    """Import everything. Returns what makes serving impossible, if anything does."""
    for module in (*WARM, *(f"grader.exercises.{name}" for name in registry.names())):
        try:
            importlib.import_module(module)
        except Exception as error:
            return f"{module} cannot be imported: {type(error).__name__}: {error}"
        threads = len(os.listdir("/proc/self/task"))
        if threads != 1:
            return f"importing {module} starts threads ({threads - 1}), which forks do not survive"
    _know_the_processor()
    return ""


def _know_the_processor() -> None:
    """Let torch read /proc/cpuinfo, which it asks for at the first half-precision number.

    Answers do not see that file. What torch has read here, they inherit.
    """
    torch = importlib.import_module("torch")
    torch.zeros(1).to(torch.float16)


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
