"""The share of the error signal that is left below a stack of layers: plain Python."""

import math

import numpy as np

from grader.instruments.words import compared
from grader.judging.evidence import plain
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def error_signal_left(slope, std, width, layers):
    """Say what share of the error signal is left below a stack of layers.

    On its way down each layer multiplies the size of the error signal by the same factor: the size
    of the activation's slope, times the standard deviation of the weights, times the root of the
    width.

    Args:
        slope: root mean square of the slope, a float above 0.
        std: standard deviation of the weights, a float above 0.
        width: units in each layer, an int from 1 on.
        layers: how many layers the signal passes, an int from 0 on.

    Returns:
        The size of the signal below the layers over its size above them, a float; accurate to one
        part in ten thousand. It may be larger than 1.

    Example:
        >>> error_signal_left(slope=0.25, std=0.125, width=64, layers=5)
        0.0009765625
    """
    return (slope * std * math.sqrt(width)) ** layers


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, factor: float, layers: int) -> Inputs:
        """Numbers whose factor is near the one given."""
        slope, width = rng.uniform(0.2, 0.9), int(rng.integers(20, 400))
        std = factor * rng.uniform(0.97, 1.03) / slope / math.sqrt(width)
        return {"slope": slope, "std": std, "width": width, "layers": layers, "kind": kind}

    return {
        "one layer": case("one", 0.3, 1),
        "one layer that amplifies": case("one", 1.7, 1),
        "three layers": case("several", 0.5, 3),
        "thirty layers": case("several", 0.6, 30),
        "twelve layers that amplify": case("several", 1.4, 12),
        "no layer": case("none", 0.4, 0),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    numbers = [inputs[name] for name in ("slope", "std", "width", "layers")]
    return {"kind": inputs["kind"], "left": plain(candidate(*numbers))}


def _left(seen: Evidence, expected: Evidence) -> Finding:
    return compared(seen["left"], expected["left"], "what is left")


@claim(2, "Which three numbers make the factor, and what does each do to it?", of_kind("one"))
def knows_the_factor(seen: Evidence, expected: Evidence) -> Finding:
    """One layer multiplies by slope, standard deviation and root of the width."""
    return _left(seen, expected)


@claim(2, "What does the second layer do to what the first has left?", of_kind("several"))
def multiplies_layer_by_layer(seen: Evidence, expected: Evidence) -> Finding:
    """Each layer multiplies what the one above it has left, below 1 or above."""
    return _left(seen, expected)


@claim(
    1,
    "How much of a signal is left that has passed nothing?",
    of_kind("none"),
    needs=multiplies_layer_by_layer,
)
def leaves_all_where_there_is_no_layer(seen: Evidence, expected: Evidence) -> Finding:
    """Below no layer all of the signal is left."""
    return _left(seen, expected)


def share_left(
    slope: float,
    std: float,
    width: int,
    layers: int,
    by_width: Part = math.sqrt,
    by_std: Part = lambda std: std,
    by_slope: Part = lambda slope: slope,
    stacked: Part = lambda factor, layers: factor**layers,
) -> float:
    """The right answer in parts."""
    return stacked(by_slope(slope) * by_std(std) * by_width(width), layers)


believing = beliefs_about(share_left)
BELIEFS = (
    believing(
        "A layer of n units multiplies by n.",
        "It adds n terms of random sign. They cancel in part, and the size of the sum grows with "
        "the root of n.",
        "How far from 0 is the sum of 100 coin tosses of -1 and 1, typically?",
        by_width=lambda width: width,
    ),
    believing(
        "The width does not matter.",
        "Each unit below gathers one term from each unit above it, and more terms make a larger "
        "sum.",
        "From how many units does one unit receive an error signal?",
        by_width=lambda width: 1,
    ),
    believing(
        "A wider layer thins the signal out.",
        "You divide by the root of the width. Initialisations divide by it in the weights, to make "
        "up for the sum, which multiplies by it.",
        "Does a sum get larger or smaller with the number of its terms?",
        by_width=lambda width: 1 / math.sqrt(width),
    ),
    believing(
        "The variance of the weights is the factor.",
        "The variance multiplies the mean square of the signal. Its size is the root of that, so "
        "the standard deviation multiplies it.",
        "If all weights were twice as large, how much larger would the signal be?",
        by_std=lambda std: std**2,
    ),
    believing(
        "The slope does not count on the way down.",
        "The error signal passes the derivative of the activation in each layer.",
        "What arrives below a layer whose slope is 0 everywhere?",
        by_slope=lambda slope: 1,
    ),
    believing(
        "Only the slopes make a gradient vanish.",
        "The weights multiply as well. With large weights a sigmoid network can even amplify.",
        "What does the signal do if all weights are 0?",
        by_std=lambda std: 1,
        by_width=lambda width: 1,
    ),
    believing(
        "Layer after layer takes the same amount away.",
        "Each takes the same share of what is left. So the signal falls like a power, not like a "
        "straight line.",
        "If one layer leaves a half, what do two leave?",
        stacked=lambda factor, layers: 1 - layers * (1 - factor),
    ),
    believing(
        "The factors of the layers add up.",
        "A chain of functions multiplies its derivatives. Ten layers that leave a half each leave "
        "a thousandth, not five times as much.",
        "What does the chain rule do with the derivatives of two functions in a row?",
        stacked=lambda factor, layers: layers * factor,
    ),
    believing(
        "A signal passes one layer less than there are.",
        "The task counts the layers that are passed. Each of them has its factor.",
        "What is left below one layer, by your formula?",
        stacked=lambda factor, layers: factor ** (layers - 1),
    ),
    believing(
        "More than all cannot be left.",
        "A factor above 1 makes the signal grow from layer to layer: the gradient explodes.",
        "What does a factor of 2 do to a signal over ten layers?",
        stacked=lambda factor, layers: min(factor**layers, 1.0),
    ),
)

EXERCISE = Exercise(
    reference=error_signal_left,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write down the factor of one layer first. math.sqrt(width) is the root of the width.",
        "What is left below two layers is the factor times the factor. Python writes a power **.",
    ),
    lesson="01_gradient_vanishing",
    section="The factor of each layer",
    frameworks=("python",),
    minutes=5,
    difficulty=1,
    note="All of this chapter is in the exponent. A factor of 0.9 leaves 4 % after thirty layers, "
    "and one of 1.1 makes seventeen times as much.",
)
