"""Levels: what the processors of two learners may differ in.

Torch, JAX and NumPy choose their instructions by the processor they run on. Wider registers add the
numbers of a sum in another order, so the last bits differ, and training at a high rate makes last
bits large. An author has one processor. What these variables ask for stands in for the others: it
is compared between levels what every learner is to see alike.

On x86 a library never uses instructions beyond the level. Elsewhere it ignores the variables.
"""

from __future__ import annotations

import os
import platform

LEVELS: dict[str, dict[str, str]] = {
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's convolutions
        "OPENBLAS_CORETYPE": "Haswell",  # NumPy's matrix products
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",  # what JAX compiles
    },
    "baseline": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX",  # below it JAX has no float16
        "MKL_CBWR": "COMPATIBLE",  # torch's matrix products
        "NPY_DISABLE_CPU_FEATURES": "X86_V3",  # NumPy's own loops
    },
}
"""The variables of each level. Notebooks store what the first shows."""


def environment(level: str) -> dict[str, str]:
    """The variables of a process that is to run at a level: ours, and those of the level."""
    return {**os.environ, **LEVELS[level]}


def honoured() -> bool:
    """Whether this machine's libraries have levels to choose from."""
    return platform.machine().lower() in ("x86_64", "amd64")
