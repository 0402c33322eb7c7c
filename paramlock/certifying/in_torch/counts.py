"""Counts over the data for a torch model: flat derivatives, and whether units vary."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from paramlock.certifying.records import (
    NEARLY,
    SATURABLE,
    SiteRecord,
)

FROM_OUTPUT: dict[str, Callable[[Tensor], Tensor]] = {  # derivatives that need the output alone
    "relu": lambda y: y,  # zero where the derivative is, which is all that counts here
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y * y,
}


def _other_axes(value: Tensor, axis: int) -> list[int]:
    """All axes of `value` but the one that counts units."""
    unit = axis % value.ndim if -axis <= value.ndim else value.ndim - 1
    return [i for i in range(value.ndim) if i != unit]


class Site:
    """Counts over the data for the units of one activation."""

    def __init__(self, units: int, device: torch.device, beside: tuple[str, ...] = ()) -> None:
        self.beside = beside
        self.alive = torch.zeros(units, dtype=torch.bool, device=device)
        self.steep = torch.zeros(units, dtype=torch.bool, device=device)
        self.flat: Any = 0  # by unit, as the entries
        self.entries: Any = 0
        self.nonfinite = False
        self.range = Range()

    def add(
        self, slope: Tensor, axis: int, function: str, delta: float, counted: Tensor | None
    ) -> None:
        """Count derivatives; units lie along `axis`. What is not `counted` is zero."""
        if not slope.numel():  # of an expert that no sample was sent to
            return
        size = slope if function in FROM_OUTPUT else slope.abs()  # the former have no sign
        axes = _other_axes(size, axis)
        largest = size.amax(axes)
        self.nonfinite |= not bool(largest.isfinite().all())
        self.alive |= largest != 0
        self.steep |= largest >= delta
        self.entries += slope.numel() // len(largest) if counted is None else counted.sum(axes)
        if function in SATURABLE:
            flat = size < delta
            self.flat += (flat if counted is None else flat & counted).sum(axes)

    def nearly_flat(self) -> Tensor:
        """Whether nearly all derivatives of each unit are small, not one by one all of them."""
        return self.flat >= NEARLY * self.entries


class Range:
    """Whether each unit of a tensor varies over samples; positions are kept apart."""

    def __init__(self) -> None:
        self.varies: Tensor | None = None
        self.first: Tensor | None = None
        self.samples = 0
        self.nonfinite = 0

    def add(self, value: Tensor, axis: int) -> None:
        """Take in a batch: samples along the first axis, units along `axis`."""
        if value.ndim < 2:
            value = value.reshape(-1, 1)
        if not value.numel():
            return
        if value.is_complex():
            value = torch.view_as_real(value).flatten(-2)
        low, high = value.amin(0), value.amax(0)
        if not bool((low.isfinite() & high.isfinite()).all()):
            self.nonfinite += int((~value.isfinite()).sum())
        varies = _differs(low, high)
        if self.first is not None and self.first.shape == low.shape:
            varies |= _differs(self.first, low)
        self.first = low if self.first is None else self.first
        by_unit = varies[None].amax(_other_axes(varies[None], axis))
        same = self.varies is not None and self.varies.shape == by_unit.shape
        self.varies = by_unit | self.varies if same and self.varies is not None else by_unit
        self.samples += len(value)

    def constant(self) -> tuple[int, ...]:
        """The units that did not vary; none where there was but one sample."""
        if self.varies is None or self.samples < 2 or self.nonfinite:
            return ()
        return tuple((~self.varies).nonzero().flatten().tolist())

    def all_constant(self) -> bool:
        """Whether nothing varied."""
        return self.varies is not None and len(self.constant()) == len(self.varies)


class Spread:
    """How far the positions of sequences are apart, against the norm, over all the data."""

    def __init__(self) -> None:
        self._apart = self._whole = 0.0

    def add(self, value: Tensor, axis: int) -> None:
        """Take in a batch whose positions lie along `axis`.

        Distances are taken from the first position before the mean is, so that equal ones give 0.
        """
        value = value.to(torch.promote_types(value.dtype, torch.float32))
        away = value - value.narrow(axis, 0, 1)
        self._apart = math.hypot(self._apart, _size(away - away.mean(axis, keepdim=True)))
        self._whole = math.hypot(self._whole, _size(value))

    def share(self) -> float | None:
        """The spread over the norm; `None` for zeros, which have no positions to tell apart."""
        return self._apart / self._whole if self._whole else None


def _size(value: Tensor) -> float:
    return float(torch.linalg.vector_norm(value, dtype=torch.float64))


def _differs(a: Tensor, b: Tensor) -> Tensor:
    """Where `a` and `b` differ by more than rounding."""
    if not a.is_floating_point():
        return a != b
    return (a - b).abs() > 4 * torch.finfo(a.dtype).eps * torch.maximum(a.abs(), b.abs())


def site_record(layer: str, function: str, units: int, site: Site) -> SiteRecord:
    flat, entries = (torch.as_tensor(n).expand(units) for n in (site.flat, site.entries))
    alive = site.alive | (entries == 0)
    low = site.nearly_flat() if function == "attention" else ~site.steep
    low = low & alive & (entries > 0) if function in SATURABLE else torch.zeros_like(alive)
    return SiteRecord(
        layer,
        function,
        units,
        tuple((~alive).nonzero().flatten().tolist()),
        tuple(low.nonzero().flatten().tolist()),
        int(flat.sum()) / max(int(entries.sum()), 1),
        site.range.all_constant(),
        site.nonfinite,
        site.beside,
    )
