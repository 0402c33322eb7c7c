"""Fixed mixing: orthonormal transforms of the last axis that hold no weights to learn.

Each function takes a torch tensor or a JAX array, real floating point, of shape (…, n), keeps
lengths (‖mix(x)‖ = ‖x‖) and passes gradients. None stores an n by n matrix.

- `hadamard`: Walsh-Hadamard in *Sylvester order*: H₁ = 1, H₂ₙ = [[Hₙ, Hₙ], [Hₙ, -Hₙ]], over √n.
  Its rows are not sorted by the number of sign changes.
- `dct`: the cosine transform of type II that `scipy.fft.dct(norm="ortho")` computes.
- `hartley`: the real twin of the Fourier transform, Re - Im of `fft(norm="ortho")` (Hartley
  1942); it is its own inverse.
- `mix`: one of these by name, or a random rotation, a permutation, or nothing at all.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paramlock.models.arrays import constant, like, namespace, single

MEAN_EXPONENT = 5.5  # Kronecker factors of 32 rows or so were the fastest, 64 at most


def hadamard(x: Any, *, pad: bool = False) -> Any:
    """The orthonormal Walsh-Hadamard transform of the last axis, in Sylvester order.

    A Hadamard matrix is a Kronecker product of smaller ones, H_ab = H_a ⊗ H_b, so the transform
    of a row is H_a X H_b with the row written as an a by b matrix, and likewise for more factors.
    With factors of at most 64 rows this takes more operations than the n log₂ n of the butterfly,
    yet is several times faster, since small dense products are what processors do best. The
    transform is its own inverse.

    Args:
        x: (…, n) with n a power of two.
        pad: fill up other lengths with zeros. The result is then longer than `x`: its last axis
            is the next power of two, for cutting it back would lose the inverse and the lengths.

    Raises:
        ValueError: n is no power of two and `pad` is off.
        TypeError: `x` is neither a torch tensor nor a JAX array of real floating-point numbers.
    """
    xp = namespace(x)
    n = x.shape[-1]
    wanted = 1 << (n - 1).bit_length()
    if n != wanted and not pad:
        raise ValueError(
            f"the last axis has {n} entries, which is no power of two: pass pad=True to fill it "
            f"with zeros up to {wanted}, or use dct, which takes any length"
        )
    if n != wanted:
        x = xp.concatenate([x, xp.zeros_like(x[..., : wanted - n])], -1)
    mixed, inner = x, 1
    for size in _factors(wanted):
        factor = constant(x, _sylvester, size)
        if inner == 1:
            mixed = mixed.reshape(-1, size) @ factor
        else:
            mixed = factor @ mixed.reshape(-1, size, inner)
        inner *= size
    return mixed.reshape(x.shape)


def dct(x: Any) -> Any:
    """The orthonormal cosine transform (type II) of the last axis, of any length n.

    One real FFT of the entries, even ones first and odd ones backwards after them (Makhoul 1980,
    "A fast cosine transform in one and two dimensions"): O(n log n).
    """
    xp = namespace(x)
    n = x.shape[-1]
    wide = single(x)[..., constant(x, _even_then_odd, n)]
    turned = xp.fft.rfft(wide) * constant(wide, _quarter_turn, n)
    tail = (-turned.imag)[..., constant(x, _mirrored, n)]
    mixed = xp.concatenate([turned.real, tail], -1) * constant(wide, _dct_scale, n)
    return like(mixed, x)


def hartley(x: Any) -> Any:
    """The orthonormal Hartley transform of the last axis, of any length n: O(n log n).

    Entry k is Σ x_j (cos + sin)(2πjk/n) / √n, the Fourier transform's content in n real numbers.
    """
    xp = namespace(x)
    n = x.shape[-1]
    waves = xp.fft.rfft(single(x), norm="ortho")
    tail = (waves.real + waves.imag)[..., constant(x, _mirrored, n)]
    return like(xp.concatenate([waves.real - waves.imag, tail], -1), x)


TRANSFORMS = {"hadamard": hadamard, "dct": dct, "hartley": hartley}
MIXINGS = (*TRANSFORMS, "orthogonal", "permutation", "identity")


def mix(x: Any, kind: str, *, seed: int | None = None) -> Any:
    """Mix the last axis in a fixed way; torch and JAX mix alike from the same seed.

    Args:
        x: (…, n).
        kind: "hadamard" (n a power of two), "dct", "hartley"; "orthogonal", a random rotation;
            "permutation", a random one; or "identity".
        seed: for the transforms, flip the signs of random entries first (none without a seed).
            "orthogonal" and "permutation" need one: it is all that is stored of them.

    The rotation is three rounds of random signs and a fast transform (Hadamard for powers of two,
    else the DCT), as in Yu et al. 2016, "Orthogonal random features", §4. It is exactly orthogonal
    and costs O(n log n), but draws on 3n random bits: it is not uniform over all rotations.

    Raises:
        ValueError: an unknown kind, or a random kind without a seed.
    """
    namespace(x)
    if kind not in MIXINGS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(MIXINGS)}")
    n = x.shape[-1]
    if kind == "identity":
        return x
    if kind in TRANSFORMS:
        return TRANSFORMS[kind](x if seed is None else x * constant(x, _signs, n, seed)[0])
    if seed is None:
        raise ValueError(f"{kind!r} is drawn at random: pass seed=…, which is all it stores")
    if kind == "permutation":
        return x[..., constant(x, _permutation, n, seed)]
    for signs in constant(x, _signs, n, seed):
        x = (dct if n & (n - 1) else hadamard)(x * signs)
    return x


# --- the constants behind the transforms ---------------------------------------------------


def _factors(n: int) -> list[int]:
    """Split a power of two into near-equal powers of two."""
    exponent = n.bit_length() - 1
    parts = max(1, math.ceil(exponent / MEAN_EXPONENT))
    return [1 << (exponent + part) // parts for part in range(parts)]


def _sylvester(n: int) -> NDArray[np.float64]:
    rows = np.arange(n)
    return (1 - 2 * (np.bitwise_count(rows[:, None] & rows) % 2.0)) / math.sqrt(n)


def _even_then_odd(n: int) -> NDArray[np.int64]:
    return np.concatenate([np.arange(0, n, 2), np.arange(1, n, 2)[::-1]])


def _mirrored(n: int) -> NDArray[np.int64]:
    """Which entries of a half spectrum stand, conjugated, for the missing half."""
    return np.arange(1, (n + 1) // 2)[::-1].copy()


def _quarter_turn(n: int) -> NDArray[np.complex128]:
    return np.exp(-0.5j * math.pi * np.arange(n // 2 + 1) / n)


def _dct_scale(n: int) -> NDArray[np.float64]:
    return np.r_[math.sqrt(1 / n), np.full(n - 1, math.sqrt(2 / n))]


def _signs(n: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng([seed, n]).choice([-1.0, 1.0], (3, n))


def _permutation(n: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, n]).permutation(n)
