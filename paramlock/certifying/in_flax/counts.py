"""Counts over the data for a Flax model: flat derivatives, and whether units vary."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from paramlock.certifying.records import (
    NEARLY,
    SATURABLE,
    SiteRecord,
)

# --- counting over batches


class Site:
    """Counts over the data for the units of one activation."""

    def __init__(self, delta: float) -> None:
        self._delta = delta
        self._largest: Any = 0.0
        self._flat: Any = 0
        self._entries: Any = 0
        self._finite = True

    def add(self, largest: Any, flat: Any, entries: Any, finite: Any) -> None:
        self._largest = np.maximum(self._largest, largest)
        self._flat, self._entries = self._flat + flat, self._entries + entries
        self._finite &= bool(finite)

    def record(
        self, key: tuple[str, str, int], constant: bool, beside: tuple[str, ...]
    ) -> SiteRecord:
        layer, function, units = key
        met = self._entries > 0
        alive = (self._largest != 0) | ~met
        low = self._largest < self._delta
        if function == "attention":
            low = self._flat >= NEARLY * self._entries
        counts = function in SATURABLE
        return SiteRecord(
            layer,
            function,
            units,
            tuple(np.flatnonzero(~alive).tolist()),
            tuple(np.flatnonzero(low & alive & met).tolist()) if counts else (),
            float(self._flat.sum() / max(self._entries.sum(), 1)) if counts else 0.0,
            constant,
            not self._finite,
            beside,
        )


class Range:
    """Whether each unit (last axis) varies over samples; positions are kept apart."""

    def __init__(self) -> None:
        self.varies: Any = None
        self._first: Any = None
        self._samples = 0
        self.nonfinite = 0

    def add(self, low: Any, high: Any, nonfinite: int, samples: int) -> None:
        varies = _differs(low, high)
        if self._first is not None and self._first.shape == low.shape:
            varies |= _differs(self._first, low)
        self._first = low if self._first is None else self._first
        by_unit = varies.reshape(-1, varies.shape[-1]).any(0)
        same = self.varies is not None and self.varies.shape == by_unit.shape
        self.varies = by_unit | self.varies if same else by_unit
        self._samples += samples
        self.nonfinite += nonfinite

    def constant(self) -> tuple[int, ...]:
        if self.varies is None or self._samples < 2 or self.nonfinite:
            return ()
        return tuple(np.flatnonzero(~self.varies).tolist())

    def all_constant(self) -> bool:
        return self.varies is not None and len(self.constant()) == len(self.varies)


def _differs(a: Any, b: Any) -> Any:
    """Where `a` and `b` differ by more than rounding."""
    bound = 4 * float(jnp.finfo(a.dtype).eps) * np.maximum(np.abs(a), np.abs(b)).astype(np.float32)
    with np.errstate(invalid="ignore"):
        return np.abs(a.astype(np.float32) - b.astype(np.float32)) > bound
