"""Ratios and norms without under- or overflow, and numbers as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


def plain(value: Any) -> Any:
    """`value` made of what JSON knows."""
    if isinstance(value, str) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def ratio(part: float, whole: float) -> float:
    """`part / whole`, zero for 0/0 and infinite for x/0."""
    if whole:
        return part / whole
    return math.inf if part else 0.0


def total(norms: Iterable[float | None]) -> float:
    """The norm of parts with the given norms, without under- or overflow."""
    return math.hypot(*(n for n in norms if n is not None))
