"""What an exercise consists of. Authors fill these in; see CONTRIBUTING.md.

The parts fall on two sides. `challenge` and the claims belong to whoever judges; `observe` runs
beside the candidate, perhaps in a process nobody trusts, and hands back evidence. So `observe`
must not use the reference, and a claim sees evidence only, never the candidate.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs

Kind = TypeVar("Kind")


class NotAttempted(Exception):
    """Raised by a stub: nobody has answered this exercise yet."""


def call(candidate: Candidate, inputs: Inputs) -> Evidence:
    """Observe in the plainest way: what does the candidate return for these arguments?"""
    return candidate(*inputs.values())


def attempt(candidate: Candidate, *arguments: Any) -> tuple[Any, Exception | None]:
    """What the candidate returned, or the error it raised.

    That of a stub goes on, and so does a name that is not there: it is a slip and refuses nothing.
    """
    try:
        return candidate(*arguments), None
    except (NotAttempted, NameError):
        raise
    except Exception as error:
        return None, error


def always(expected: Evidence) -> bool:
    """The condition of a claim that applies to every case."""
    return True


def of_kind(*kinds: str) -> Callable[[Evidence], bool]:
    """The condition of a claim that applies where the evidence has one of these under "kind"."""
    return lambda expected: expected["kind"] in kinds


@dataclass(frozen=True, eq=False)
class Claim:
    """One thing an answer must do.

    `holds(seen, expected)` gets the candidate's and the reference's evidence on the same case and
    returns a `Finding`. Its docstring is the sentence that learners read as the expectation. The
    claim applies to the cases where `when(expected)` holds, and to no others. `question` leads on
    when the claim fails and no known belief explains it.

    What leaves everything alone, or refuses everything, has not answered yet. A claim that such a
    candidate would meet says which claim it `needs`: it counts only where that one is met too.
    """

    holds: Callable[[Evidence, Evidence], Finding]
    points: int
    question: str
    when: Callable[[Evidence], bool] = always
    needs: Claim | None = None

    @property
    def expects(self) -> str:
        return inspect.cleandoc(self.holds.__doc__ or "")


def claim(
    points: int,
    question: str,
    when: Callable[[Evidence], bool] = always,
    needs: Claim | None = None,
) -> Callable[[Callable[[Evidence, Evidence], Finding]], Claim]:
    """Make a claim of the function that says whether it holds."""
    return lambda holds: Claim(holds, points, question, when, needs)


def needing(needed: Claim, *claims: Claim) -> tuple[Claim, ...]:
    """Claims lent by an instrument, each of which needs one of the exercise's own."""
    return tuple(dataclasses.replace(one, needs=needed) for one in claims)


@dataclass(frozen=True)
class Misconception:
    """A mistaken belief, why it fails, a question, and a wrong answer that acts on the belief.

    The belief is recognised when a candidate leaves the same evidence as `specimen` does. In a
    student edition only that evidence is left, and `specimen` is None.
    """

    belief: str
    fails: str
    question: str
    specimen: Candidate | None = None


def belief(belief: str, fails: str, question: str) -> Callable[[Candidate], Misconception]:
    """Make a belief of a whole wrong answer that acts on it."""
    return functools.partial(Misconception, belief, fails, question)


def beliefs_about(right: Candidate) -> Callable[..., Misconception]:
    """The maker of beliefs, each of which puts something else in place of parts of `right`.

    Args:
        right: a right answer whose parts are keyword arguments with defaults.

    Returns:
        `believing(belief, fails, question, **parts)`. It raises a `TypeError` for a part that
        `right` does not have.
    """

    def believing(belief: str, fails: str, question: str, **parts: Any) -> Misconception:
        inspect.signature(right).bind_partial(**parts)
        specimen = functools.update_wrapper(functools.partial(right, **parts), right)
        return Misconception(belief, fails, question, specimen)

    return believing


@dataclass(frozen=True, eq=False, kw_only=True)
class Exercise:
    """An exercise. Its name is the reference's, and the reference's docstring is the task.

    `lesson` is the stem shared by lesson, lab and solution; `section` a heading in that lesson, or
    empty where there is no lesson.
    `frameworks` are "torch", "jax", both, or "numpy" or "python" where neither is needed.
    `difficulty` is a number from 1, for the first exercise of a lab, to 5, for its hardest. `note`
    is shown after a pass. `twin` names the exercise that is the same in the other framework.

    Claims and misconceptions are those that stand in the reference's module under a name, alone or
    in a tuple, in the order in which they stand there; those lent by an instrument stand where the
    module imports or names them. They need to be given only where that is not what is meant.
    """

    reference: Candidate
    challenge: Callable[[np.random.Generator], Challenge]
    hints: Sequence[str]
    lesson: str
    section: str
    frameworks: Sequence[str]
    minutes: int
    difficulty: int
    note: str
    observe: Callable[[Candidate, Inputs], Evidence] = call
    twin: str | None = None
    claims: Sequence[Claim] = ()
    misconceptions: Sequence[Misconception] = ()

    def __post_init__(self) -> None:
        """Take the claims and misconceptions that are not given from the module."""
        module = self.reference.__globals__
        misconceptions = self.misconceptions or tuple(standing_in(module, Misconception))
        object.__setattr__(self, "claims", self.claims or tuple(standing_in(module, Claim)))
        object.__setattr__(self, "misconceptions", misconceptions)
        self._check_needs()

    def _check_needs(self) -> None:
        for claim in self.claims:
            if claim.needs and claim.needs not in self.claims:
                raise ValueError(
                    f"{self.name}: the claim {claim.expects!r} needs {claim.needs.expects!r}, "
                    "which is not among the claims of this exercise. Add it, or need another."
                )

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


def standing_in(module: Mapping[str, Any], kind: type[Kind]) -> dict[Kind, str]:
    """What a module's names hold of one kind, alone or in a tuple, in order, and its address.

    The address is an expression: `counts_numbers`, `CLAIMS[0]`.
    """
    found: dict[Kind, str] = {}
    for name, value in module.items():
        if isinstance(value, kind):
            found.setdefault(value, name)
        for place, item in enumerate(value if isinstance(value, tuple) else ()):
            if isinstance(item, kind):
                found.setdefault(item, f"{name}[{place}]")
    return found
