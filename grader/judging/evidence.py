"""Evidence: plain data about what a candidate did, how it is compared and how it travels.

Plain data is None, bool, int, float, str, numpy arrays, and lists and string-keyed dicts of these.
Nothing else leaves the process a candidate runs in, so nothing else can speak for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np

RTOL, ATOL = 1e-4, 1e-6
"""Float32 results of the same mathematics, written differently, agree to about this."""

DTYPES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
     "float16", "float32", "float64"]
)  # fmt: skip
"""The array types that may arrive from another process."""

FORMS: dict[type, str] = {
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a mapping",
}
"""What feedback calls each kind of plain data."""

ARRAY = 1  # the code of our one msgpack extension


class Seen(msgspec.Struct, tag=True):
    """A case that ran to its end, and what it showed."""

    evidence: Any


class Raised(msgspec.Struct, tag=True):
    """A case in which the candidate raised. `trace` holds the candidate's own frames only."""

    kind: str
    message: str
    trace: str = ""


class Unattempted(msgspec.Struct, tag=True):
    """A case in which the stub was met."""


Observation = Seen | Raised | Unattempted
Observations = dict[str, Observation]
"""What was observed, case by case."""


def plain(value: Any) -> Any:
    """Turn arrays of any framework, and nests of them, into plain data."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) >= 2**63:
        return "<int of more than 63 bits>"
    for kind in (int, float, str):  # numpy.float64 is a float, too, but no plain one
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return _plain_array(value)


def _plain_array(value: Any) -> Any:
    """A tensor or array as numpy, a 0-d one as a number, anything else as words."""
    if hasattr(value, "detach"):  # torch; bfloat16 has no numpy type
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    if not hasattr(value, "__array__"):
        return f"<{type(value).__name__}>"
    array = np.asarray(value)
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.name not in DTYPES:
        return f"<array of {array.dtype.name}>"
    return array.item() if array.ndim == 0 else array


def harmless(text: str) -> str:
    """A text without the characters that do things to a terminal or turn a line around."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def alike(one: Any, other: Any) -> bool:
    """Whether two pieces of evidence say the same, to float32 accuracy; NaN equals NaN."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if _numeric(one) and _numeric(other):
        return np.shape(one) == np.shape(other) and np.allclose(
            one, other, rtol=RTOL, atol=ATOL, equal_nan=True
        )
    return type(one) is type(other) and one == other


def same_observation(one: Observation, other: Observation) -> bool:
    """Whether two cases went alike. Of an exception only the type counts, not its words."""
    if isinstance(one, Seen) and isinstance(other, Seen):
        return alike(one.evidence, other.evidence)
    if isinstance(one, Raised) and isinstance(other, Raised):
        return one.kind == other.kind
    return type(one) is type(other)


def same(one: Observations, other: Observations) -> bool:
    """Whether two candidates behaved alike in every case."""
    return one.keys() == other.keys() and all(
        same_observation(one[case], other[case]) for case in one
    )


def mismatch(seen: Any, expected: Any, where: str = "your answer") -> str | None:
    """Say how the form of `seen` differs from that of `expected`; None where the forms agree.

    Lengths of lists and the words of texts are content, not form; None may stand for a text. An
    answer whose evidence has parts may be of any type itself, so what was expected is not named.
    """
    if isinstance(expected, dict) and isinstance(seen, dict):
        return _mismatched_keys(seen, expected, where)
    if isinstance(expected, list) and isinstance(seen, list):
        return None
    if _form(seen) == _form(expected) or {_form(seen), _form(expected)} == {"None", "a text"}:
        return None
    forgotten = " Is a `return` missing?" if seen is None else ""
    due = "which is not what the task asks for"
    if not isinstance(expected, dict):
        due = f"where {_form(expected)} was expected"
    return f"{where} is {_form(seen)}, {due}.{forgotten}"


def _mismatched_keys(seen: dict, expected: dict, where: str) -> str | None:
    if seen.keys() != expected.keys():
        return f"{where} has the keys {_names(seen)}, where {_names(expected)} were expected"
    found = (mismatch(seen[key], expected[key], f"{where}: {key}") for key in expected)
    return next((words for words in found if words), None)


def _names(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys)) or "(none)"


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.ndarray) and not isinstance(value, bool)


def _form(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, str) and value.startswith("<") and value.endswith(">"):
        return f"an object of type {value[1:-1]}"
    return FORMS[type(value)]


def number(value: float) -> str:
    """A number as feedback prints it: three significant digits."""
    return f"{value:.3g}"


def told_apart(one: float, other: float) -> tuple[str, str]:
    """Two numbers that are not alike: three significant digits, or as many as set them apart."""
    shown = (number(one), number(other))
    digits = 4
    while shown[0] == shown[1] and digits <= 9:
        shown = (f"{one:.{digits}g}", f"{other:.{digits}g}")
        digits += 1
    return shown


def numbers(values: Iterable[float], most: int = 6) -> str:
    """A row of numbers as feedback prints it, cut after `most`."""
    row = list(values)
    shown = ", ".join(number(value) for value in row[:most])
    return f"[{shown}{', …' if len(row) > most else ''}]"
