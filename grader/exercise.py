"""What an exercise consists of. Authors fill these in; see CONTRIBUTING.md.

The parts fall on two sides. `challenge` and the claims belong to whoever judges; `observe` runs
beside the candidate, perhaps in a process nobody trusts, and hands back evidence. So `observe`
must not use the reference, and a claim sees evidence only, never the candidate.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Inputs = Mapping[str, Any]
"""One case: the arguments by name, as plain data (see `grader.evidence`)."""

Challenge = Mapping[str, Inputs]
"""Named cases. The names are read by learners: 'tied weights', 'one sample'."""

Finding = tuple[bool, str] | None
"""Whether a case bears a claim out and the words for what was seen; None if it does not apply."""


class NotAttempted(Exception):
    """Raised by a stub: nobody has answered this exercise yet."""


def call(candidate: Callable[..., Any], inputs: Inputs) -> Any:
    """Observe in the plainest way: what does the candidate return for these arguments?"""
    return candidate(*inputs.values())


def attempt(candidate: Callable[..., Any], *arguments: Any) -> tuple[Any, Exception | None]:
    """What the candidate returned, or the error it raised; that of a stub goes on."""
    try:
        return candidate(*arguments), None
    except NotAttempted:
        raise
    except Exception as error:
        return None, error


def error_name(error: Exception) -> str:
    """The error's class; any kind of ValueError is one."""
    return "ValueError" if isinstance(error, ValueError) else type(error).__name__


@dataclass(frozen=True)
class Claim:
    """One thing an answer must do.

    `holds(seen, expected)` gets the candidate's and the reference's evidence on the same case and
    returns a `Finding`. Its docstring is the sentence that learners read as the expectation.
    `question` leads on when the claim fails and no known belief explains it.
    """

    holds: Callable[[Any, Any], Finding]
    points: int
    question: str

    @property
    def expects(self) -> str:
        return inspect.cleandoc(self.holds.__doc__ or "")


@dataclass(frozen=True)
class Misconception:
    """A mistaken belief, why it fails, a question, and a wrong answer that acts on the belief.

    The belief is recognised when a candidate leaves the same evidence as `specimen` does. In a
    student edition only that evidence is left, and `specimen` is None.
    """

    belief: str
    fails: str
    question: str
    specimen: Callable[..., Any] | None = None


@dataclass(frozen=True, eq=False)
class Exercise:
    """An exercise. Its name is the reference's, and the reference's docstring is the task.

    `lesson` is the stem shared by lesson, lab and solution; `section` a heading in that lesson.
    `note` is shown after a pass. `twin` names the exercise that is the same in the other framework.
    """

    reference: Callable[..., Any]
    challenge: Callable[[np.random.Generator], Challenge]
    claims: Sequence[Claim]
    misconceptions: Sequence[Misconception]
    hints: Sequence[str]
    lesson: str
    section: str
    frameworks: Sequence[str]
    minutes: int
    note: str
    observe: Callable[[Callable[..., Any], Inputs], Any] = call
    twin: str | None = None

    @property
    def name(self) -> str:
        return self.reference.__name__

    @property
    def title(self) -> str:
        return inspect.cleandoc(self.reference.__doc__ or "").partition("\n")[0]

    @property
    def points(self) -> int:
        return sum(claim.points for claim in self.claims)

    def cases(self, seeds: Sequence[int]) -> Challenge:
        """The cases of several seeds in one challenge, each named after its case and its seed."""
        return {
            f"{case}, seed {seed}": inputs
            for seed in seeds
            for case, inputs in self.challenge(np.random.default_rng(seed)).items()
        }
