"""The slope of a sigmoid, read off its output: plain Python."""

import math

import numpy as np

from grader.judging.evidence import numbers, plain, told_apart
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def slope_from_output(outputs):
    """Give the slope of a sigmoid at each of its outputs.

    The sigmoid of a pre-activation z is a = 1 / (1 + exp(-z)). Its slope, the derivative of a with
    respect to z, can be told from a alone.

    Args:
        outputs: list of floats a, each above 0 and below 1.

    Returns:
        List of floats, the slope at each output, in the same order; accurate to one part in ten
        thousand.

    Example:
        >>> slope_from_output([0.5, 0.75])
        [0.25, 0.1875]
    """
    return [a * (1 - a) for a in outputs]


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, low: float, high: float) -> Inputs:
        z = rng.uniform(low, high, int(rng.integers(5, 9)))
        return {"outputs": (1 / (1 + np.exp(-z))).tolist(), "kind": kind}

    return {
        "in the middle": case("middle", -2, 2),
        "near 1": case("far", 4, 12),
        "near 0": case("far", -12, -4),
        "no outputs": {"outputs": [], "kind": "none"},
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    slopes = plain(candidate(list(inputs["outputs"])))
    slopes = slopes.tolist() if isinstance(slopes, np.ndarray) else slopes
    return {"kind": inputs["kind"], "slopes": slopes}


def _slopes(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["slopes"], expected["slopes"]
    if len(ours) != len(right):
        return False, f"for {len(right)} outputs you return {len(ours)} slopes"
    for place, (our, slope) in enumerate(zip(ours, right, strict=True)):
        if not isinstance(our, float | int):
            return False, f"output {place}: you return {our!r}, where a number was expected"
        if not math.isclose(our, slope, rel_tol=1e-4):
            shown, due = told_apart(our, slope)
            return False, f"output {place}: you return {shown}, the slope is {due}"
    return True, f"you return {numbers(ours)}"


@claim(3, "What is the slope where the output is a half?", of_kind("middle"))
def gives_slopes_in_the_middle(seen: Evidence, expected: Evidence) -> Finding:
    """The slopes of outputs between 0.1 and 0.9 are right."""
    return _slopes(seen, expected)


@claim(2, "How steep is a sigmoid where its output is 0.999?", of_kind("far"))
def gives_slopes_far_out(seen: Evidence, expected: Evidence) -> Finding:
    """Near 0 and near 1 the slopes are small, and right."""
    return _slopes(seen, expected)


@claim(1, "What does your code do with an empty list?", of_kind("none"), gives_slopes_in_the_middle)
def gives_none_for_none(seen: Evidence, expected: Evidence) -> Finding:
    """An empty list has no slopes."""
    return len(seen["slopes"]) == 0, f"you return {seen['slopes']}"


def read_off(
    outputs: list[float],
    slope: Part = lambda a: a * (1 - a),
) -> list[float]:
    """The right answer in parts."""
    return [slope(a) for a in outputs]


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


believing = beliefs_about(read_off)
BELIEFS = (
    believing(
        "What is given is the pre-activation.",
        "You put the output through a sigmoid once more. It has been through one already.",
        "What is the output of a sigmoid at z = 0, and what does your code make of that output?",
        slope=lambda a: _sigmoid(a) * (1 - _sigmoid(a)),
    ),
    believing(
        "The slope of a sigmoid is that of tanh.",
        "1 - a² is the slope of tanh at its output. It is 1 at best; a sigmoid reaches a quarter.",
        "What does your formula give for an output of a half?",
        slope=lambda a: 1 - a**2,
    ),
    believing(
        "The larger the output, the steeper the sigmoid.",
        "At an output near 1 a sigmoid is as flat as near 0. Most of the slope is in the middle.",
        "How much further up can an output of 0.999 go?",
        slope=lambda a: a,
    ),
    believing(
        "Only the upper end is flat.",
        "Near 0 the sigmoid is as flat as near 1.",
        "How much further down can an output of 0.001 go?",
        slope=lambda a: 1 - a,
    ),
    believing(
        "The slope is the distance from the nearer end.",
        "Near an end that is almost so. In the middle it is not: there the slope is a quarter.",
        "What does your formula give for an output of a half?",
        slope=lambda a: min(a, 1 - a),
    ),
    believing(
        "At its middle a sigmoid has the slope 1.",
        "You scale the slope so that its largest value is 1. That is a quarter.",
        "By how much does the output rise from z = 0 to z = 1?",
        slope=lambda a: 4 * a * (1 - a),
    ),
    believing(
        "The slope is smallest in the middle.",
        "In the middle a sigmoid is steepest. What is 0 there is the second derivative.",
        "Where does a small change of z change the output most?",
        slope=lambda a: abs(a - 0.5),
    ),
    believing(
        "The slope is the change per pre-activation: output over z.",
        "That is the slope of a line from the origin. The derivative is that of the curve, at the "
        "point.",
        "How does the output change if z changes by a hundredth?",
        slope=lambda a: a / math.log(a / (1 - a)),
    ),
)

EXERCISE = Exercise(
    reference=slope_from_output,
    challenge=challenge,
    observe=observe,
    hints=(
        "Differentiate 1 / (1 + exp(-z)), and then write what you get with a in place of z.",
        "The slope is the product of two numbers. One of them is a, the other its distance from 1.",
    ),
    lesson="03_saturation",
    section="Two derivatives that end in zero",
    frameworks=("python",),
    minutes=5,
    difficulty=1,
    note="A quarter is the largest slope there is. A stack of ten sigmoids multiplies ten numbers "
    "of a quarter at most, which is a millionth: that was lesson 01.",
)
