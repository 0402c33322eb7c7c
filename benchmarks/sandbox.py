"""What the sandbox costs: its start, and each answer against the plain run of the same answer.

    python benchmarks/sandbox.py [ROUNDS]

The answers are references. The plain run is the same work in a fork of an equally warm process,
timed from within: it is the answer's own code and nothing else. Plain and sandboxed runs take
turns, so that a busy machine slows both. Medians over rounds, the least in brackets.
"""

import os
import struct
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from grader.sandbox import Sandbox, cache
from grader.sandbox.view import ONE_THREAD

if not ONE_THREAD.items() <= os.environ.items():  # too late: numpy has been imported
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})

from grader import book, registry, views
from grader.candidate import Request, respond
from grader.release import release
from grader.sandbox.inside.server import warmed_up

TORCH, JAX = "trainable_fraction", "freeze_first_dense"
SECRET_SEED = 12345


def request(name: str) -> Request:
    """The reference as an answer to its own exercise."""
    exercise = registry.find(name)
    statements = [statement.source for statement in views.answer(exercise)]
    cases = {case: dict(inputs) for case, inputs in exercise.cases((SECRET_SEED,)).items()}
    return Request(name, statements, cases)


def nothing() -> Request:
    """An answer that does nothing, to one case."""
    return Request(TORCH, [f"def {TORCH}(model): pass"], dict([request(TORCH).cases.popitem()]))


def plain(asked: Request, cached: bool) -> float:
    """Milliseconds that the answer's own code takes."""
    read, write = os.pipe()
    if os.fork() == 0:
        sys.modules["jax"].config.update("jax_enable_compilation_cache", cached)
        start = time.perf_counter()
        respond(asked)
        os.write(write, struct.pack("d", 1e3 * (time.perf_counter() - start)))
        os._exit(0)
    os.wait()
    os.close(write)
    with open(read, "rb") as told:
        return struct.unpack("d", told.read(8))[0]


def sandboxed(sandbox: Sandbox, asked: Request) -> float:
    """Milliseconds from the question to the evidence; by then nothing of the answer is left."""
    start = time.perf_counter()
    sandbox.observe(asked.exercise, asked.statements, asked.cases)
    return 1e3 * (time.perf_counter() - start)


def compare(
    label: str, sandbox: Sandbox, asked: Request, rounds: int, cached: bool = False
) -> None:
    pairs = [(plain(asked, cached), sandboxed(sandbox, asked)) for _ in range(rounds)]
    extra = [whole - own for own, whole in pairs]
    columns = (*zip(*pairs, strict=True), extra)
    shown = "".join(f"{median(column):9.1f} ({min(column):.1f})" for column in columns)
    print(f"{label:38}{shown}")


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        edition, programs = Path(folder, "edition"), Path(folder, "programs")
        release(edition)
        os.environ.update(cache.settings(programs))  # for plain runs
        start = time.perf_counter()
        with Sandbox(edition) as sandbox:
            print(f"start of the sandbox: {time.perf_counter() - start:.1f} s")
            if fault := warmed_up():
                sys.exit(fault)
            print(f"{'milliseconds':38}{'own code':>16}{'in sandbox':>18}{'difference':>18}")
            compare("an answer that does nothing", sandbox, nothing(), rounds)
            compare(f"{TORCH} (torch)", sandbox, request(TORCH), rounds)
            compare(f"{JAX} (JAX, no cache)", sandbox, request(JAX), rounds)
        public = registry.find(JAX).cases(book.PUBLIC_SEEDS)
        cache.fill(programs, [(JAX, request(JAX).statements, public)])
        with Sandbox(edition, cache=programs) as sandbox:
            compare(f"{JAX} (JAX, cache)", sandbox, request(JAX), rounds, cached=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
