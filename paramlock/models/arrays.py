"""What differs between torch tensors and JAX arrays, for functions that take either.

Neither framework is imported here: an array of one cannot exist before its own import.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

import numpy as np


def constant(x: Any, build: Any, *of: int) -> Any:
    """The array `build(*of)`, whole numbers as they are, others in the precision of `x`."""
    if is_torch(x):
        return _for_torch(build, of, x.dtype, x.device)
    array = _built(build, of)
    if array.dtype.kind == "c":
        return array.astype(np.result_type(np.complex64, x.dtype))
    return array if array.dtype.kind == "i" else array.astype(x.dtype)


def is_torch(x: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def namespace(x: Any) -> Any:
    """`torch` or `jax.numpy`, after a look at `x`."""
    if is_torch(x):
        xp, real = sys.modules["torch"], x.is_floating_point()
    elif sys.modules.get("jax") and isinstance(x, sys.modules["jax"].Array):
        import jax.numpy as xp

        real = xp.issubdtype(x.dtype, xp.floating)
    else:
        raise TypeError(f"{type(x).__name__} will not do: pass a torch tensor or a JAX array")
    if not real:
        raise TypeError(f"numbers of type {x.dtype} will not do: convert them to floats first")
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"an array of shape {tuple(x.shape)} has no last axis to work on")
    return xp


def single(x: Any) -> Any:
    """Widen half precision, which FFTs do not take."""
    if x.dtype.itemsize > 2:
        return x
    return x.float() if is_torch(x) else x.astype("float32")


def like(mixed: Any, x: Any) -> Any:
    return mixed.to(x.dtype) if is_torch(x) else mixed.astype(x.dtype)


def whole(x: Any) -> Any:
    """Whole numbers for use as indices."""
    return x.long() if is_torch(x) else x.astype(int)


@lru_cache(maxsize=256)
def _built(build: Any, of: tuple[int, ...]) -> Any:
    return build(*of)


@lru_cache(maxsize=256)
def _for_torch(build: Any, of: tuple[int, ...], dtype: Any, device: Any) -> Any:
    import torch

    with torch.inference_mode(False):  # what is kept must also serve training
        array = torch.from_numpy(_built(build, of))
        if array.is_complex():
            dtype = dtype.to_complex()
        return array.to(device, dtype if array.dtype != torch.int64 else None)
