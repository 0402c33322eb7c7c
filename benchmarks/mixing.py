"""Fixed mixing against the dense product and against other packages: python benchmarks/mixing.py

Limits: the Walsh-Hadamard transform at least 30 times as fast as the dense product at n = 4096
and 90 times at n = 16384, batch 64, single precision.
"""

import side_by_side  # isort: skip  # first: it sets the thread counts
import jax
import numpy as np
import scipy.fft
import scipy.linalg
import torch
from side_by_side import Line

from paramlock.mixing.transforms import dct, hadamard, hartley, mix

BATCH = 64
LIMITS = {4096: 30, 16384: 90}


def butterfly(x):
    """The textbook algorithm: n log2 n additions in log2 n passes."""
    shape, half = x.shape, 1
    while half < shape[-1]:
        pairs = x.reshape(-1, shape[-1] // (2 * half), 2, half)
        first, second = pairs[:, :, 0], pairs[:, :, 1]
        x = torch.stack([first + second, first - second], 2).reshape(shape)
        half *= 2
    return x / shape[-1] ** 0.5


def peers(x):
    """Yield lines for the packages that are installed."""
    try:
        from hadamard_transform import hadamard_transform

        yield Line("hadamard-transform (PyPI)", lambda: hadamard_transform(x))
    except ImportError:
        yield Line("hadamard-transform (PyPI)", None)
    try:
        import fht_cpu

        array = x.numpy()
        yield Line("fht-cpu (PyPI)", lambda: fht_cpu.fht(array, inplace=False, num_threads=1))
    except ImportError:
        yield Line("fht-cpu (PyPI)", None)


def at_length(n):
    x = torch.randn(BATCH, n)
    array, device = x.numpy(), jax.numpy.asarray(x.numpy())
    matrix = torch.from_numpy(scipy.linalg.hadamard(n, np.float32) / np.float32(n**0.5))
    compiled = jax.jit(hadamard)
    assert (hadamard(x) - x @ matrix).abs().max() < 1e-4
    return side_by_side.compare(
        f"n = {n}, batch {BATCH}: speed-up over x @ H",
        lambda: x @ matrix,
        [
            Line("hadamard (torch)", lambda: hadamard(x), LIMITS.get(n)),
            Line("hadamard (JAX, jit)", lambda: compiled(device).block_until_ready()),
            Line("butterfly", lambda: butterfly(x)),
            *peers(x),
            Line("dct (torch)", lambda: dct(x)),
            Line("scipy.fft.dct", lambda: scipy.fft.dct(array, norm="ortho")),
            Line("hartley (torch)", lambda: hartley(x)),
            Line("mix, orthogonal (torch)", lambda: mix(x, "orthogonal", seed=0)),
        ],
        rounds=5 if n > 4096 else 15,
        speed_up=True,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    raise SystemExit(not all([at_length(n) for n in (256, 1024, 4096, 16384)]))
