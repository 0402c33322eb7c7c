"""A number per parameter, such as Fisher information: compared by ratio, at any scale.

Evidence is alike to about a millionth, which would make all numbers near 1e-20 alike. So a case
has a `unit`, evidence holds what was returned over that unit, and words give the number itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grader.judging.evidence import plain, told_apart
from grader.judging.terms import Finding

RATIO = 1e-3
"""Float32 results of the same mathematics, with a softmax in it, agree to about this ratio."""

PLAIN = 1e-5
"""Float32 results of sums and squares alone agree to about this ratio."""

SMALL = 1e-6
"""What is smaller than the largest number of its array by this factor is not told apart."""


def in_units(returned: Any, unit: float) -> Any:
    """Arrays by name over the unit; those of a nest are named by their path, "head/bias".

    What is neither is handed on as plain data.
    """
    if isinstance(returned, Mapping):
        return dict(_over_unit(str(name), value, unit) for name, value in _leaves("", returned))
    return _over(plain(returned), unit)


def _leaves(above: str, tree: Any) -> list[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        pairs = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, list | tuple) and not _written_out(tree):
        pairs = [(str(key), value) for key, value in enumerate(tree)]
    else:
        return [(above, tree)]
    return [leaf for key, v in pairs for leaf in _leaves(f"{above}/{key}" if above else key, v)]


def _written_out(tree: Any) -> bool:
    """Whether a list holds nothing but plain numbers, however deep: an array, and no container."""
    if isinstance(tree, list | tuple):
        return all(map(_written_out, tree))
    return isinstance(tree, int | float)


def _over_unit(name: str, value: Any, unit: float) -> tuple[str, Any]:
    return name, _over(plain(value), unit)


def _over(value: Any, unit: float) -> Any:
    """A number, an array or a list of numbers over the unit."""
    if isinstance(value, np.ndarray) and value.dtype != bool:
        return value.astype(float) / unit
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / unit
    return [_over(item, unit) for item in value] if isinstance(value, list) else value


def near(ours: Any, right: Any, ratio: float = RATIO) -> bool:
    """Whether two arrays, lists or numbers agree by ratio."""
    one, other = (np.asarray(v) for v in (ours, right))
    if one.dtype.kind not in "fiu" or one.shape != other.shape:
        return False
    return np.allclose(one, other, rtol=ratio, atol=_floor(other), equal_nan=True)


def _floor(right: np.ndarray) -> float:
    """What is not told apart from zero beside these numbers."""
    return max(1e-12, SMALL * float(np.abs(right[np.isfinite(right)]).max(initial=0)))


def agree(
    ours: Any, right: Any, unit: float = 1.0, what: str = "F", ratio: float = RATIO
) -> Finding:
    """Whether numbers per parameter, in units, are the right ones, and where they are not.

    `what` it is stands before the place: "F of head.bias at (2,)".
    """
    if not isinstance(right, Mapping):
        return _agree(ours, right, unit, what, ratio)
    for name in right:
        met, words = _agree(ours[name], right[name], unit, f"{what} of {name}", ratio)
        if not met:
            return met, words
    return True, "every number is right"


def _agree(ours: Any, right: Any, unit: float, what: str, ratio: float) -> Finding:
    if near(ours, right, ratio):
        return True, "every number is right"
    one, other = (np.asarray(v) for v in _even(ours, right))
    if one.dtype.kind not in "fiu" or one.shape != other.shape:
        return False, f"{what} is no row of {np.size(right)} numbers"
    off = np.abs(one - other)
    place = np.unravel_index(int(np.nan_to_num(off, nan=np.inf).argmax()), off.shape)
    expected = 0.0 if abs(other[place]) <= _floor(other) else float(other[place]) * unit
    shown, due = told_apart(float(one[place]) * unit, expected)
    where = f" at {tuple(map(int, place))}" if place else ""
    return False, f"{what}{where} is {shown}, where {due} was expected"


def _even(ours: Any, right: Any) -> Sequence[Any]:
    """The two, or a text in place of a list whose items are no numbers or of different lengths."""
    try:
        return np.asarray(ours), right
    except ValueError:
        return "uneven", right


SQUARED_MEAN = (
    "The squared gradient of the batch is F.",
    "The gradient of a batch is a mean already. In it samples cancel, and what is left after "
    "training is nearly nothing.",
    "Two samples have the gradients 1 and -1. What is F, and what does your code give?",
)
"""A belief that the exercises of both frameworks meet, why it fails, a question."""
