"""What a batch is, in either framework: a pair of inputs and targets, or a mapping that is both."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def batches_of(data: Any, *, bare: bool = False) -> Iterable[Any]:
    """The batches of `data`: one `(inputs, targets)` pair or mapping, or a loader.

    `bare`: batches may be inputs alone, so that a list of two arrays is two batches of them;
    a tuple is a pair then.
    """
    if isinstance(data, Mapping):
        return [data]
    if isinstance(data, (tuple, list)) and len(data) == 2:
        several = bare and isinstance(data, list) and hasattr(data[0], "shape")
        if not several and not all(isinstance(part, (tuple, list, Mapping)) for part in data):
            return [data]
    elif hasattr(data, "shape"):
        raise ValueError(
            "data is a single array, but a loss needs targets too: pass (inputs, targets) or a "
            "loader of such pairs"
        )
    elif not isinstance(data, Iterable):
        raise ValueError(
            f"data is {type(data).__name__}: pass (inputs, targets) or a loader of such pairs"
        )
    return data


def split(batch: Any) -> tuple[Any, Any]:
    """Inputs and targets of a batch; a mapping is both."""
    if isinstance(batch, Mapping):
        return batch, batch
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    raise ValueError(
        f"a batch is {type(batch).__name__}, not a pair (inputs, targets): wrap the loader so "
        "that it yields pairs; several inputs go into a tuple"
    )


def rows_of(value: Any, rows: slice) -> Any:
    """Some samples of `value`, a tree of tuples, lists and mappings of arrays."""
    if isinstance(value, Mapping):
        return {name: rows_of(part, rows) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(rows_of(part, rows) for part in value)
    return value[rows]


def call(model: Callable[..., Any], inputs: Any) -> Any:
    """Call `model` with one array, a tuple of arguments or a mapping of keywords."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, (tuple, list)) else model(inputs)


def arrays(value: Any) -> Iterator[Any]:
    """Yield the arrays in `value`, a tree of tuples, lists and mappings."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from arrays(part)
    elif isinstance(value, Mapping):
        yield from arrays(tuple(value.values()))


def samples_in(inputs: Any) -> int:
    """The number of samples, the length of the first array's first axis."""
    first = next(arrays(inputs), None)
    if first is None:
        raise ValueError("a batch holds no array: convert its inputs to the framework's arrays")
    return first.shape[0] if len(first.shape) else 1


@contextlib.contextmanager
def explained(number: int | None, inputs: Any) -> Iterator[None]:
    """Say in one error which batch model or loss could not take."""
    try:
        yield
    except (RuntimeError, IndexError, TypeError) as error:
        shapes = ", ".join(str(tuple(array.shape)) for array in arrays(inputs))
        which = "a batch" if number is None else f"batch {number}"
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"model or loss failed on {which} (inputs {shapes}): {reason}. Check that "
            "loss(model(inputs), targets) works on this batch"
        ) from error


def some(samples: int) -> int:
    """`samples`; raises `ValueError` where there are none."""
    if not samples:
        raise ValueError("the data holds no samples: pass at least one batch (a used-up iterator?)")
    return samples
