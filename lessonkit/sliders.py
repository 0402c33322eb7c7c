"""Range controls that step through values, each with the text that readers see and hear.

Slider("Depth, layers", 2, 40, 1, 30)            equal steps
LogSlider("Learning rate", 1e-4, 1.0, 0.032)     equal factors, ten to a decade
Steps("Activation", ["sigmoid", "tanh", "ReLU"], "tanh")   a list, of numbers or of words
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np


class Steps:
    """A range control over the list `values`, in their order."""

    def __init__(
        self, label: str, values: Sequence[Any], start: Any, texts: Sequence[str] | None = None
    ) -> None:
        """A control that begins at `start`; a number's text is two digits, unless `texts` says.

        Raises:
            ValueError: fewer than two values, a `start` that is not among them, texts that do not
                fit.
        """
        self.label, self.values, self.start = label, tuple(values), start
        self.texts = tuple(texts or map(_text, self.values))
        if len(self.values) < 2 or len(self.texts) != len(self.values) or start not in self.values:
            raise ValueError(
                f"slider {label!r} needs two values or more, a text for each and a start among "
                f"them, not values={list(values)}, start={start!r}, texts={list(self.texts)}"
            )

    def index(self, value: Any) -> int:
        """The step of `value`, for a number the nearest one.

        Raises:
            ValueError: not a number, or a word that is not among the values.
        """
        if isinstance(self.values[0], str):
            if value not in self.values:
                raise ValueError(f"slider {self.label!r} has no {value!r} among {self.values}")
            return self.values.index(value)
        if not math.isfinite(value):
            raise ValueError(f"slider {self.label!r} got {value!r}, which is not a number")
        return min(range(len(self.values)), key=lambda i: abs(self.values[i] - value))

    def read(self, value: Any) -> Any:
        """`value` as `update` gets it: one of the values."""
        return self.values[self.index(value)]

    @property
    def middle(self) -> Any:
        """The value halfway through the steps, or just below."""
        return self.values[(len(self.values) - 1) // 2]


class Slider(Steps):
    """Equal steps from `low` to `high`; where all four numbers are whole, the values are `int`."""

    def __init__(self, label: str, low: float, high: float, step: float, start: float) -> None:
        """A control of steps of `step`.

        Raises:
            ValueError: ends, step and start that do not fit together.
        """
        if not (low < high and step > 0 and low <= start <= high):
            raise ValueError(
                f"slider {label!r} needs low < high, step > 0 and a start between the ends, "
                f"not low={low}, high={high}, step={step}, start={start}"
            )
        counts = all(isinstance(n, int) for n in (low, high, step, start))
        count = math.floor((high - low) / step + 1e-9) + 1
        digits = 0 if counts else max(_decimals(step), _decimals(low))
        values = [low + i * step if counts else round(low + i * step, digits) for i in range(count)]
        nearest = min(values, key=lambda value: abs(value - start))
        super().__init__(label, values, nearest, [f"{value:.{digits}f}" for value in values])


class LogSlider(Steps):
    """Equal factors from `low` to `high`, both above zero; values have two digits, as shown."""

    def __init__(
        self, label: str, low: float, high: float, start: float, *, per_decade: int = 10
    ) -> None:
        """A control of `per_decade` steps to a factor of ten.

        Raises:
            ValueError: ends and start that do not fit together.
        """
        if not 0 < low <= start <= high or low == high:
            raise ValueError(
                f"slider {label!r} needs 0 < low < high and a start between the ends, "
                f"not low={low}, high={high}, start={start}"
            )
        count = round(math.log10(high / low) * per_decade) + 1
        values = [float(f"{low * 10 ** (i / per_decade):.2g}") for i in range(count)]
        super().__init__(label, values, min(values, key=lambda v: abs(math.log(v / start))))


def _decimals(number: float) -> int:
    return max(0, -int(Decimal(str(number)).normalize().as_tuple().exponent))


def _text(value: Any) -> str:
    """Words as they are, numbers with two digits and no exponent where they are readable so."""
    if isinstance(value, str | int):
        return str(value)
    if value and not 1e-6 <= abs(value) < 1e6:
        return f"{value:.2g}"
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")
