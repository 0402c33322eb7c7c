"""What nobody should earn a point with: answers that do no work, and replies that are made up."""

from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch

from grader.judging.evidence import Observations, Seen
from grader.judging.terms import Candidate

ERRORS = [
    ValueError, KeyError, IndexError, TypeError, ZeroDivisionError, RuntimeError, AssertionError,
]  # fmt: skip
CONSTANTS: list[Any] = [
    None, 0, 0.0, 1, 1.0, True, False, "", [], (), {}, (0.0, 0.0), np.zeros(()), np.zeros(3),
    torch.tensor(0.0), torch.zeros(3), jnp.zeros(()), jnp.zeros(3), np.zeros((2, 3)),
]  # fmt: skip


def idle() -> Iterator[tuple[str, Candidate]]:
    """Answers that do no work, each with words for it."""
    yield "the first argument", lambda *arguments: arguments[0]
    yield "the last argument", lambda *arguments: arguments[-1]
    yield "all arguments", lambda *arguments: arguments
    for constant in CONSTANTS:
        yield f"{type(constant).__name__} {constant}", lambda *_, constant=constant: constant
    for error in ERRORS:
        yield error.__name__, _raising(error)


def _raising(error: type[Exception]) -> Candidate:
    """An answer that always raises, with all that it was given in the message."""

    def answer(*arguments: Any) -> Any:
        raise error(repr(arguments))

    return answer


def forged(expected: Observations, other: Observations) -> Iterator[tuple[str, Observations]]:
    """Replies that were not computed from the challenge. `other` is that of another seed."""
    yield "evidence of another challenge", dict(zip(expected, other.values(), strict=True))
    for words, forge in FORGERIES.items():
        yield (
            words,
            {
                case: Seen(forge(seen.evidence))
                for case, seen in expected.items()
                if isinstance(seen, Seen)
            },
        )


def _zeros(value: Any, words: Callable[[str], str] = lambda text: text) -> Any:
    """The same form with zero for every number, and `words` of every text."""
    if isinstance(value, dict):
        return {key: _zeros(item, words) for key, item in value.items()}
    if isinstance(value, list):
        return [_zeros(item, words) for item in value]
    if isinstance(value, np.ndarray):
        return np.zeros_like(value)
    return words(value) if isinstance(value, str) else value and type(value)(0)


FORGERIES = {
    "None": lambda evidence: None,
    "an empty mapping": lambda evidence: {},
    "zeros and the right words": _zeros,
    "zeros and no words": lambda evidence: _zeros(evidence, lambda text: ""),
}
