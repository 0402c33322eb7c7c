"""Seeds and thread counts, fixed in one place so that a rerun gives the same numbers.

JAX has no hidden generator to seed: there, randomness is the key that a caller passes. Torch is
seeded only where it is installed.
"""

from __future__ import annotations

import functools
import random
from types import ModuleType
from typing import Any

import numpy as np


def seed_everything(seed: int = 0) -> None:
    """Seed Python, NumPy and, where installed, torch; keep torch on one thread.

    One thread, because the order in which threads add numbers changes the last bits of a sum,
    and training at a high rate makes last bits large. It also avoids slow outliers on laptops.
    """
    random.seed(seed)
    np.random.seed(seed)
    try:
        import torch
    except ImportError:
        return
    torch.manual_seed(seed)
    torch.set_num_threads(1)


def shift(by: int) -> None:
    """Add `by` to every seed that this process gives from now on, whoever gives it.

    That asks of a lesson, unchanged, what holds with other seeds than its own. It reaches the
    generators of Python, NumPy, torch and JAX, and what seeds itself through them: Flax's `Rngs`,
    scikit-learn's `random_state`. Call it before a lesson's imports, which may copy functions.
    """
    _shift_calls(by, random, "seed")
    _shift_calls(by, np.random, "seed", "default_rng")
    np.random.RandomState = _shifted_state(by)  # type: ignore[misc]
    try:
        import torch
    except ImportError:
        pass
    else:
        _shift_calls(by, torch, "manual_seed")
        _shift_calls(by, torch.random, "manual_seed")
        torch.Generator = _shifted_generator(by, torch.Generator)  # type: ignore[misc]
    try:
        import jax
    except ImportError:
        return
    _shift_calls(by, jax.random, "key", "PRNGKey")


def _shift_calls(by: int, module: ModuleType, *names: str) -> None:
    """Let functions of a module, whose first argument is a seed, add to it."""
    for name in names:
        setattr(module, name, _shifted_call(by, getattr(module, name)))


def _shifted_call(by: int, plain: Any) -> Any:
    @functools.wraps(plain)
    def call(seed: Any = None, *args: Any, **kwargs: Any) -> Any:
        return plain(_shifted(seed, by), *args, **kwargs)

    return call


def _shifted_state(by: int) -> type[np.random.RandomState]:
    class RandomState(np.random.RandomState):
        def __init__(self, seed: Any = None) -> None:
            super().__init__(_shifted(seed, by))

        def seed(self, seed: Any = None) -> None:
            super().seed(_shifted(seed, by))

    return RandomState


def _shifted_generator(by: int, plain: Any) -> Any:
    class Generator(plain):  # type: ignore[misc]
        def manual_seed(self, seed: int) -> Any:
            return super().manual_seed(_shifted(seed, by))

    return Generator


def _shifted(seed: Any, by: int) -> Any:
    """A seed plus `by`, each number of it; what is no number (None, a generator) as it is."""
    if isinstance(seed, list | tuple):
        return [_shifted(part, by) for part in seed]
    whole = isinstance(seed, int) or np.issubdtype(getattr(seed, "dtype", np.void), np.integer)
    return seed + by if whole else seed
