"""The empirical Fisher diagonal from the gradients of single samples: plain Python."""

from collections.abc import Sequence
from itertools import zip_longest
from statistics import mean

import numpy as np

from grader.instruments.diagonals import PLAIN, agree, in_units
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def mean_of_squares(gradients):
    """Make the empirical Fisher diagonal of the gradients of single samples.

    For each parameter it is the mean, over the samples, of the squared gradient.

    Args:
        gradients: list of lists of floats, one list for each sample: the gradient of its own loss
            with respect to each parameter. There is at least one sample.

    Returns:
        List of floats, one for each parameter, in the same order.

    Example:
        >>> mean_of_squares([[1.0, 0.0, 3.0], [-1.0, 2.0, 3.0]])
        [1.0, 2.0, 9.0]
    """
    places = range(len(gradients[0]))
    return [sum(sample[i] ** 2 for sample in gradients) / len(gradients) for i in places]


def challenge(rng: np.random.Generator) -> Challenge:
    samples, parameters = int(rng.integers(4, 7)), int(rng.integers(8, 12))

    def case(kind: str, gradients: np.ndarray, unit: float = 1.0) -> Inputs:
        return {"kind": kind, "gradients": (gradients * unit**0.5).tolist(), "unit": unit}

    def drawn(n: int, p: int) -> np.ndarray:
        return rng.choice([-1.0, 1.0], (n, p)) * rng.uniform(0.1, 3, (n, p))

    half = drawn(samples, parameters)
    sparse = drawn(samples, parameters)
    sparse[rng.integers(0, samples, parameters), np.arange(parameters)] = 0.0
    sparse[:, 0] = 0.0
    sparse = np.concatenate([sparse, sparse[:1], 0 * sparse[:1]])
    return {
        "a few samples": case("plain", drawn(samples, parameters)),
        "more samples than parameters": case("plain", drawn(3 * samples, 3)),
        "gradients that cancel": case("cancel", np.concatenate([half, -half])),
        "gradients of zero, a sample of zeros, and one given twice": case("zeros", sparse),
        "one sample": case("small", drawn(1, parameters)),
        "one parameter": case("small", drawn(samples, 1)),
        "gradients near 1e-10": case("range", drawn(samples, parameters), unit=1e-20),
        "gradients near 1e10": case("range", drawn(samples, parameters), unit=1e20),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    given = [list(sample) for sample in inputs["gradients"]]
    found = in_units(candidate(given), inputs["unit"])
    return {
        "kind": inputs["kind"],
        "unit": inputs["unit"],
        "diagonal": found.tolist() if isinstance(found, np.ndarray) else found,
        "changed": sum(ours != due for ours, due in zip_longest(given, inputs["gradients"])),
    }


def _right(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["diagonal"], expected["diagonal"]
    if len(ours) != len(right):
        return False, f"numbers returned: {len(ours)}, parameters: {len(right)}"
    return agree(ours, right, expected["unit"], ratio=PLAIN)


@claim(3, "What do you square, and over what do you take the mean?", of_kind("plain"))
def squares_before_the_mean(seen: Evidence, expected: Evidence) -> Finding:
    """Each sample's gradient is squared by itself; then the mean over samples is taken."""
    return _right(seen, expected)


@claim(
    2,
    "What is the mean of 2, -2, 0 and 0?",
    of_kind("cancel", "zeros"),
    needs=squares_before_the_mean,
)
def loses_nothing_to_signs(seen: Evidence, expected: Evidence) -> Finding:
    """Opposite signs do not cancel; a sample of zeros counts, and so does one like another."""
    return _right(seen, expected)


@claim(1, "How many lists are there?", of_kind("small"), needs=squares_before_the_mean)
def takes_one_of_each(seen: Evidence, expected: Evidence) -> Finding:
    """One sample is enough, and one parameter is."""
    return _right(seen, expected)


@claim(1, "Which numbers does your code round?", of_kind("range"), needs=squares_before_the_mean)
def keeps_the_scale(seen: Evidence, expected: Evidence) -> Finding:
    """Small and large gradients keep their digits."""
    return _right(seen, expected)


@claim(1, "Which of your lines write into the lists given?", needs=squares_before_the_mean)
def leaves_the_gradients_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The lists given are left as they were."""
    return not seen["changed"], f"lists changed: {seen['changed']}"


def averaged(
    gradients: Sequence[Sequence[float]],
    rows: Part = lambda gradients: list(zip(*gradients, strict=True)),
    grouped: Part = lambda row: row,
    square: Part = lambda g: g * g,
    together: Part = mean,
    after: Part = lambda number, row: number,
    over_all: Part = lambda diagonal: diagonal,
) -> list[float]:
    """The right answer in parts."""
    found = [
        after(together([square(g) for g in grouped(row)]), list(row)) for row in rows(gradients)
    ]
    return over_all(found)


def _in_pairs(row: Sequence[float]) -> list[float]:
    return [mean(row[i : i + 2]) for i in range(0, len(row), 2)]


believing = beliefs_about(averaged)
BELIEFS = (
    believing(
        "F is the square of the mean gradient.",
        "That is what squaring the gradient of a batch gives. In the mean, samples that pull to "
        "opposite sides cancel, although each of them hangs on the parameter.",
        "Two samples have the gradients 1 and -1: what is the mean of the squares, and what is "
        "the square of the mean?",
        square=lambda g: g,
        after=lambda number, row: number**2,
    ),
    believing(
        "The squared gradient of a small batch is as good as that of a sample.",
        "In a batch of two, gradients of opposite signs cancel already. About half of F is lost.",
        "How many gradients are added up before your code squares?",
        grouped=_in_pairs,
    ),
    believing(
        "F is the sum over the samples.",
        "It would grow with the data. F is a mean, so that it can be compared.",
        "What happens to your result if each sample is given twice?",
        together=sum,
    ),
    believing(
        "F is the mean size of the gradients.",
        "A size is not a square: a gradient of 3 counts nine times as much as one of 1.",
        "What does a gradient of 3 add to the mean?",
        square=abs,
    ),
    believing(
        "F is the variance of the gradients.",
        "The mean is not taken off. For the true Fisher it is 0; for the data's labels it is so "
        "at an optimum only.",
        "What is F where all samples have the gradient 2?",
        after=lambda number, row: number - mean(row) ** 2,
    ),
    believing(
        "F has the unit of a gradient, so a root is due.",
        "F is a mean of squares, and stays one. Half of F times a squared move is a divergence.",
        "What is F if every gradient is twice as large?",
        after=lambda number, row: number**0.5,
    ),
    believing(
        "A list of gradients belongs to a parameter.",
        "The lists are samples. Your means go over parameters, and give a number for each sample.",
        "Which numbers in the lists belong to the first parameter?",
        rows=lambda gradients: gradients,
    ),
    believing(
        "One number tells the importance of all parameters together.",
        "Every parameter has its own. A mean over them all hides which of them counts.",
        "How many parameters are there, and how many different numbers do you return?",
        over_all=lambda diagonal: [mean(diagonal)] * len(diagonal),
    ),
)

EXERCISE = Exercise(
    reference=mean_of_squares,
    challenge=challenge,
    observe=observe,
    hints=(
        "Take one parameter first: which numbers belong to it? Square each of them, then average.",
        "zip(*gradients) goes through the parameters, each with the gradients of all samples.",
    ),
    lesson="06_fisher_importance",
    section="The mean of squares",
    frameworks=("python",),
    minutes=5,
    difficulty=1,
    note="Autograd hands out the mean of the gradients of a batch. From that number the mean of "
    "squares cannot be had any more: the samples have to be kept apart before.",
)
