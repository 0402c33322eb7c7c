"""How JAX compiles for answers: quickly, and from a cache that trusted work has filled.

An entry is found for the same program, shapes, versions and settings. Entries are programs, so
answers never write any.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from grader.judging.terms import Challenge
from grader.judging.wire import encode, write_frame
from grader.running.candidate import Request

Work = tuple[str, Sequence[str], Challenge]
"""An exercise, statements that answer it, and cases of the shapes that are to come."""

QUICKLY = {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
}
"""An answer compiles dozens of small programs and runs each a few times: a third less in all."""


def settings(folder: Path) -> dict[str, str]:
    """The environment in which JAX uses the cache in this folder."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",  # else its path becomes part of the key
        "JAX_TRACEBACK_IN_LOCATIONS_LIMIT": "0",  # else programs name files and functions of ours
    }


def fill(folder: Path, work: Sequence[Work]) -> None:
    """Compile into the cache whatever this trusted work needs compiled.

    Raises:
        ChildProcessError: the process that should have done so failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "grader.running.candidate"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | settings(folder.resolve()) | QUICKLY,
    )
    with process:
        assert process.stdin
        for exercise, statements, cases in work:
            write_frame(process.stdin, encode(Request.of(exercise, statements, cases)))
    for path in (folder, *folder.iterdir()):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))  # answers are others
    if process.returncode != 0:
        raise ChildProcessError(
            f"Programs could not be compiled ahead: the answers to {[name for name, *_ in work]} "
            f"ended the process with status {process.returncode}. Do they pass the tests?"
        )
