"""What the sheep that are present weigh on average: an exercise without a framework."""

from collections.abc import Sequence

from numpy.random import Generator

from grader.instruments.words import compared
from grader.judging.exercise import Exercise, attempt, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def mean_weight(weights, present):
    """Say what the sheep that are present weigh on average.

    Args:
        weights: sequence of N numbers, in kg.
        present: sequence of N truth values.

    Returns:
        A number in kg; 0.0 where no sheep is present.

    Raises:
        ValueError: there are more weights than truth values, or fewer.

    Example:
        >>> mean_weight([40.0, 60.0, 95.0], [True, True, False])
        50.0
    """
    if len(weights) != len(present):
        raise ValueError(f"{len(weights)} weights, and {len(present)} truth values")
    there = [weights[place] for place, is_there in enumerate(present) if is_there]
    return sum(there) / len(there) if there else 0.0


def challenge(rng: Generator) -> Challenge:
    """A flock of which some are there, one of which all are, none, and two that do not fit."""

    def flock(kind: str, size: int, present: list[bool]) -> Inputs:
        weights = [float(weight) for weight in rng.uniform(40, 90, size)]
        return {"kind": kind, "weights": weights, "present": present}

    size = int(rng.integers(5, 9))
    some = [True, False, True, *(bool(flag) for flag in rng.random(size - 3) < 0.5)]
    return {
        "some are there": flock("weighed", size, some),
        "all are there": flock("weighed", size, [True] * size),
        "none is there": flock("empty", size, [False] * size),
        "a weight too many": flock("refused", size + 1, [True] * size),
        "a weight too few": flock("refused", size - 1, [True] * size),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    """What it returns, and whether it refuses."""
    mean, error = attempt(candidate, inputs["weights"], inputs["present"])
    if error and not isinstance(error, ValueError):
        raise error
    return {"kind": inputs["kind"], "mean": mean, "refused": error is not None}


@claim(3, "Whose weights do you add, and by how many do you divide?", of_kind("weighed"))
def weighs_who_is_there(seen: Evidence, expected: Evidence) -> Finding:
    """Those who are there are added, and the sum is divided by their number."""
    return compared(seen["mean"], expected["mean"], "the mean")


@claim(1, "What does an empty pasture weigh?", of_kind("empty"), needs=weighs_who_is_there)
def says_zero_of_none(seen: Evidence, expected: Evidence) -> Finding:
    """Where no sheep is there, the answer is 0.0."""
    return compared(seen["mean"], expected["mean"], "the mean of none")


@claim(2, "What can a weight without a sheep mean?", of_kind("refused"), needs=weighs_who_is_there)
def refuses_what_does_not_fit(seen: Evidence, expected: Evidence) -> Finding:
    """Weights and truth values that differ in number are refused with a ValueError."""
    return bool(seen["refused"]), f"you return {seen['mean']}"


def in_parts(
    weights: Sequence[float],
    present: Sequence[bool],
    fits: Part = lambda weights, present: len(weights) == len(present),
    chosen: Part = lambda weights, present: [w for w, p in zip(weights, present) if p],  # noqa: B905
    count: Part = lambda there, present: len(there),
    middle: Part = lambda there, count: sum(there) / count,
    of_none: Part = lambda: 0.0,
) -> float:
    """The right answer in parts, each of which a belief replaces."""
    if not fits(weights, present):
        raise ValueError("they do not fit")
    there = chosen(weights, present)
    return float(middle(there, count(there, present))) if there else of_none()


believing = beliefs_about(in_parts)
BELIEFS = (
    believing(
        "A mean is taken over the whole flock.",
        "A sheep that is not there weighs nothing, and makes all others lighter.",
        "By how many sheep do you divide where half of them are away?",
        count=lambda there, present: len(present),
    ),
    believing(
        "Every weight belongs to a sheep that is there.",
        "A weight is noted of each sheep of the flock, wherever it is.",
        "Which of the weights do the truth values leave out?",
        chosen=lambda weights, present: list(weights),
    ),
    believing(
        "The mean is the sum.",
        "A large flock would have heavy sheep then.",
        "What does one sheep weigh if two weigh a hundred?",
        middle=lambda there, count: sum(there),
    ),
    believing(
        "The mean lies halfway between the lightest and the heaviest.",
        "Only where weights are spread evenly.",
        "What is the mean of 40, 40 and 90?",
        middle=lambda there, count: (min(there) + max(there)) / 2,
    ),
    believing(
        "The mean of none is not a number.",
        "The task says what it is: 0.0.",
        "What does the task say of an empty pasture?",
        of_none=lambda: float("nan"),
    ),
    believing(
        "What does not fit is cut to the shorter one.",
        "Nobody knows then whose weight was left out.",
        "Which sheep has no weight?",
        fits=lambda weights, present: True,
    ),
)

EXERCISE = Exercise(
    reference=mean_weight,
    challenge=challenge,
    observe=observe,
    hints=("Who is counted?", "Keep the weights whose truth value is True, then divide."),
    lesson="19_flocks",
    section="",
    frameworks=("numpy",),
    minutes=5,
    difficulty=2,
    note="A mean over a selection is what a masked loss is, too.",
)
