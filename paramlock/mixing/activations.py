"""Learned activations: a few numbers per channel that bend an otherwise fixed network.

Every kind starts at a stated shape, maps (…, channels) to (…, channels), and works on torch
tensors and JAX arrays alike. Parameters are a dict of arrays whose first axis is the channel:

- `bi_slope` (3 a channel): a·max(x, 0) + b·min(x, 0) + c; starts as relu, leaky_relu (slope
  0.01 below 0) or identity. Learned slopes below 0 are PReLU's (He et al. 2015, §2.1).
- `piecewise_linear` (5): three slopes between two knots, through the origin while the knots
  lie on its two sides; starts as relu, leaky_relu, identity or hard_tanh.
- `monotone_cubic` (5): a C¹ curve that never falls, through learned heights over the knots -2,
  -1, 0, 1, 2, straight beyond (Fritsch and Butland 1984; PCHIP); starts as identity, or as
  tanh, which it meets at the knots.
- `gated` (2): x · sigmoid(scale · x + shift); starts as silu (scale 1) or gelu (scale 1.702, its
  usual approximation).

The first start named is the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paramlock.models.arrays import constant, namespace, whole

KNOTS = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])

Numbers = Mapping[str, tuple[float, ...]]


def _monotone_start(heights: NDArray[np.float64]) -> Numbers:
    raw = np.log(np.expm1(np.diff(heights)))  # softplus of it is the rise from knot to knot
    return {"first": (float(heights[0]),), "rises": tuple(map(float, raw))}


def _slopes(a: float, b: float) -> Numbers:
    return {"above": (a,), "below": (b,), "offset": (0.0,)}


def _pieces(left: float, middle: float, right: float, low: float, high: float) -> Numbers:
    return {"slopes": (left, middle, right), "knots": (low, high)}


STARTS: dict[str, dict[str, Numbers]] = {
    "bi_slope": {
        "relu": _slopes(1, 0),
        "leaky_relu": _slopes(1, 0.01),
        "identity": _slopes(1, 1),
    },
    "piecewise_linear": {
        "relu": _pieces(0, 0, 1, -1, 0),
        "leaky_relu": _pieces(0.01, 0.01, 1, -1, 0),
        "identity": _pieces(1, 1, 1, -1, 1),
        "hard_tanh": _pieces(0, 1, 0, -1, 1),
    },
    "monotone_cubic": {
        "identity": _monotone_start(KNOTS),
        "tanh": _monotone_start(np.tanh(KNOTS)),
    },
    "gated": {
        "silu": {"scale": (1.0,), "shift": (0.0,)},
        "gelu": {"scale": (1.702,), "shift": (0.0,)},
    },
}


def activation_parameters(
    kind: str, channels: int, start: str | None = None
) -> dict[str, NDArray[np.float32]]:
    """The parameters with which `activate` draws the shape `start` in every channel.

    Returns:
        {name: (channels,) or (channels, k)}, in numpy; wrap them as your framework's parameters.

    Raises:
        ValueError: an unknown kind or start, or no channels.
    """
    _require("activation", kind, STARTS)
    start = start or next(iter(STARTS[kind]))
    _require(f"start of {kind}", start, STARTS[kind])
    if channels < 1:
        raise ValueError(f"channels is {channels}: an activation needs at least one")
    numbers = {n: np.array(v, np.float32) for n, v in STARTS[kind][start].items()}
    return {
        name: np.tile(value, (channels, 1)) if len(value) > 1 else np.tile(value, channels)
        for name, value in numbers.items()
    }


def activate(x: Any, parameters: Mapping[str, Any], kind: str) -> Any:
    """Apply a learned activation along the last axis of `x`: (…, channels), same shape out.

    Args:
        x: torch tensor or JAX array.
        parameters: as from `activation_parameters`, of the same framework as `x`.
        kind: see the module's head.
    """
    _require("activation", kind, STARTS)
    xp = namespace(x)
    channels = len(next(iter(parameters.values())))
    if x.shape[-1] != channels:
        raise ValueError(
            f"the last axis has {x.shape[-1]} entries, but the activation {channels} channels"
        )
    return _APPLY[kind](xp, x, parameters)


def _bi_slope(xp: Any, x: Any, p: Mapping[str, Any]) -> Any:
    zero = xp.zeros_like(x)
    return p["above"] * xp.maximum(x, zero) + p["below"] * xp.minimum(x, zero) + p["offset"]


def _piecewise_linear(xp: Any, x: Any, p: Mapping[str, Any]) -> Any:
    left, middle, right = (p["slopes"][:, i] for i in range(3))
    low = xp.minimum(p["knots"][:, 0], p["knots"][:, 1])  # training may make them cross
    high = xp.maximum(p["knots"][:, 0], p["knots"][:, 1])
    zero = xp.zeros_like(x)
    bends = (left - middle) * xp.minimum(x - low, zero) + (right - middle) * xp.maximum(
        x - high, zero
    )
    return middle * x + bends


def _monotone_cubic(xp: Any, x: Any, p: Mapping[str, Any]) -> Any:
    rises = xp.logaddexp(p["rises"], xp.zeros_like(p["rises"]))
    first = p["first"][:, None]
    heights = xp.concatenate([first, first + xp.cumsum(rises, -1)], -1)
    slopes = _slopes_at_knots(xp, rises)
    inside = xp.clip(x, KNOTS[0], KNOTS[-1]) - KNOTS[0]
    left = xp.clip(xp.floor(inside), 0, len(KNOTS) - 2)
    piece, channel = whole(left), constant(x, np.arange, len(rises))
    y0, y1 = heights[channel, piece], heights[channel, piece + 1]
    d0, d1 = slopes[channel, piece], slopes[channel, piece + 1]
    s = inside - left
    curve = y0 + s * (d0 + s * (3 * (y1 - y0) - 2 * d0 - d1 + s * (d0 + d1 - 2 * (y1 - y0))))
    return curve + _straight(xp, x, slopes)


def _slopes_at_knots(xp: Any, rises: Any) -> Any:
    """PCHIP's slopes over knots one apart: harmonic means inside, a safe parabola at the ends."""
    before, after = rises[:, :-1], rises[:, 1:]
    inside = 2 * before * after / (before + after)
    zero = xp.zeros_like(rises[:, :1])
    first = xp.maximum((3 * rises[:, :1] - rises[:, 1:2]) / 2, zero)
    last = xp.maximum((3 * rises[:, -1:] - rises[:, -2:-1]) / 2, zero)
    return xp.concatenate([first, inside, last], -1)


def _straight(xp: Any, x: Any, slopes: Any) -> Any:
    zero = xp.zeros_like(x)
    below, above = xp.minimum(x - KNOTS[0], zero), xp.maximum(x - KNOTS[-1], zero)
    return slopes[:, 0] * below + slopes[:, -1] * above


def _gated(xp: Any, x: Any, p: Mapping[str, Any]) -> Any:
    # the sigmoid as a tanh, which both frameworks have under one name and which never overflows
    return x * (1 + xp.tanh((p["scale"] * x + p["shift"]) / 2)) / 2


_APPLY = {
    "bi_slope": _bi_slope,
    "piecewise_linear": _piecewise_linear,
    "monotone_cubic": _monotone_cubic,
    "gated": _gated,
}


def _require(what: str, value: str, allowed: Any) -> None:
    if value not in allowed:
        raise ValueError(f"{what} is {value!r}; it must be one of {', '.join(allowed)}")
