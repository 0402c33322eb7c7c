"""Seeds and thread counts, fixed in one place so that a rerun gives the same numbers.

JAX has no hidden generator to seed: there, randomness is the key that a caller passes. Torch is
seeded only where it is installed.
"""

from __future__ import annotations

import random

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
