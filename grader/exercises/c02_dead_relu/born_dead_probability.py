"""The probability that a ReLU network is born dead (Lu et al. 2020, for one input).

Probabilities of many sizes are compared by their logarithms: a millionth that comes out as zero is
a loss that a difference would not show.
"""

import math
from collections.abc import Iterable
from typing import Any

from numpy.random import Generator

from grader.judging.evidence import number, plain, told_apart
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def born_dead_probability(widths):
    """Return the probability that a ReLU network is born dead for a given input.

    The network has a hidden layer of ``widths[i]`` units for each i. Its weights are drawn
    independently from one distribution that is symmetric around zero, such as a normal one; all
    biases are zero; the input is not zero. The network is born dead for that input if in some
    hidden layer every unit gives zero: then nothing of the input arrives at the output.

    Args:
        widths: tuple of ints, each 1 or more. It may be empty.

    Returns:
        The probability, a float from 0 to 1, right to four digits also where it is very small.

    Example:
        >>> round(born_dead_probability((1, 2)), 4)
        0.625
    """
    log_alive = 0.0
    for width in widths:
        log_alive += math.log1p(-(0.5**width))
    return -math.expm1(log_alive)


def challenge(rng: Generator) -> Challenge:
    def case(kind: str, *widths: Any) -> Inputs:
        return {"widths": [int(width) for width in widths], "kind": kind}

    width, depth = rng.integers(2, 5), rng.integers(6, 12)
    return {
        "one hidden layer": case("one layer", rng.integers(1, 10)),
        "layers of equal width": case("equal", *[width] * depth),
        "layers of width 1": case("equal", *[1] * rng.integers(3, 9)),
        "a narrow layer among wider ones": case(
            "uneven", rng.integers(4, 7), 2, rng.integers(4, 7)
        ),
        "the narrowest layer last": case("uneven", 5, rng.integers(3, 5), 1),
        "no hidden layer": case("none"),
        "wide layers": case("wide", *rng.integers(40, 50, 4)),
        "a layer of over 50 units and a wider one": case(
            "wide", *rng.permutation([rng.integers(50, 53), rng.integers(54, 57)])
        ),
        "very wide layers": case("wide", *rng.integers(60, 90, 3)),
        "layers of hundreds": case("wide", *rng.integers(150, 300, 3)),
        "a layer of 2,048 units and one of a few": case("wide", 2048, rng.integers(3, 9)),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    probability = plain(candidate(tuple(inputs["widths"])))
    is_number = isinstance(probability, int | float) and not isinstance(probability, bool)
    return {
        "kind": inputs["kind"],
        "widths": inputs["widths"],
        "probability": probability + 0.0 if is_number else probability,  # no -0
        "log10 of it": math.log10(probability) if is_number and probability > 0 else -math.inf,
    }


def _compared(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["probability"], expected["probability"]
    met = math.isclose(ours, right, rel_tol=1e-4)
    shown, due = (number(ours), number(right)) if met else told_apart(ours, right)
    words = f"for widths {tuple(expected['widths'])} you return {shown}"
    return met, f"{words}, the probability is {due}"


@claim(1, "How many of the sign patterns of N units have no plus?", of_kind("one layer"))
def one_layer(seen: Evidence, expected: Evidence) -> Finding:
    """One layer is dead if all its units are, each with probability one half."""
    return _compared(seen, expected)


@claim(3, "What must happen in every layer for the network to live?", of_kind("equal", "uneven"))
def some_layer_is_enough(seen: Evidence, expected: Evidence) -> Finding:
    """A network dies if some layer dies, whichever it is."""
    return _compared(seen, expected)


@claim(2, "Which layer does each factor of yours belong to?", of_kind("uneven"))
def every_width_counts(seen: Evidence, expected: Evidence) -> Finding:
    """Each layer counts with its own width."""
    return _compared(seen, expected)


@claim(1, "What is a product over no layers?", of_kind("none"), needs=some_layer_is_enough)
def nothing_to_die(seen: Evidence, expected: Evidence) -> Finding:
    """A network without hidden layers is never born dead."""
    return _compared(seen, expected)


@claim(
    2,
    "What does 1 - 1e-20 give in floating point, and what is left after 1 - that?",
    of_kind("wide"),
)
def small_probabilities_survive(seen: Evidence, expected: Evidence) -> Finding:
    """The probability is right to four digits also where it is very small."""
    return _compared(seen, expected)


def _some_dies(risks: Iterable[float]) -> float:
    return -math.expm1(sum(math.log1p(-risk) for risk in risks))


def reckoned(
    widths: tuple[int, ...],
    layers: Part = lambda widths: widths,
    some: Part = _some_dies,
) -> float:
    """The right answer in parts."""
    return some([0.5**width for width in layers(widths)])


believing = beliefs_about(reckoned)
BELIEFS = (
    believing(
        "A network is dead if all its layers are.",
        "The signal passes the layers one after the other. One that gives only zeros is "
        "enough to stop it, whatever the others do.",
        "What arrives at layer 3 if layer 2 gives only zeros?",
        some=lambda risks: math.prod(risks) if risks else 0.0,
    ),
    believing(
        "One dead unit kills a network.",
        "About half of all ReLUs give zero on any input. A layer lives as long as one of its "
        "units does.",
        "How many units of a layer must be zero for nothing to pass?",
        layers=lambda widths: [1] * sum(widths),
    ),
    believing(
        "Probabilities of several accidents add up.",
        "They do so while they are tiny. Added up over layers of width 1 they exceed 1.",
        "What does your function return for ten layers of width 1?",
        some=sum,
    ),
    believing(
        "The product over the layers is the answer.",
        "That product is the probability that every layer lives.",
        "Which of the two, alive or dead, becomes more likely with each further layer?",
        some=lambda risks: math.prod(1 - risk for risk in risks),
    ),
    believing(
        "The mean width describes a network.",
        "Each unit more halves the risk of its layer, so the narrow layers decide. Widths of "
        "1 and 9 are far more dangerous than two of 5.",
        "What is the risk of a layer of width 1, and what that of one of width 5?",
        layers=lambda widths: [sum(widths) / len(widths) for _ in widths],
    ),
    believing(
        "Only the narrowest layer can die.",
        "It is the likeliest to die, not the only one. With ten layers of equal width there "
        "are ten chances.",
        "What changes in your answer if a second layer of the same width is added?",
        layers=lambda widths: sorted(widths)[:1],
    ),
    believing(
        "The last hidden layer cannot die.",
        "It is one more layer of ReLUs. If it gives only zeros, the output sees none of the "
        "input. In some papers L counts the output layer too, so L - 1 layers can die.",
        "What does your function return for a single hidden layer?",
        layers=lambda widths: widths[:-1],
    ),
    believing(
        "In floating point, 1 - (1 - p) is p.",
        "1 - p is rounded to 16 digits. A p of 1e-20 is gone then, and one of 1e-13 has "
        "lost most of its digits.",
        "Which functions of Python's math module compute log(1 + x) and exp(x) - 1 for tiny x?",
        some=lambda risks: 1 - math.prod(1 - risk for risk in risks),
    ),
    believing(
        "All layers are as wide as the first.",
        "Widths may differ from layer to layer, and each enters with its own power of two.",
        "How often does your code look at widths[1]?",
        layers=lambda widths: [widths[0] for _ in widths],
    ),
)

EXERCISE = Exercise(
    reference=born_dead_probability,
    challenge=challenge,
    observe=observe,
    hints=(
        "A unit is at zero with probability 1/2, since its pre-activation is as often below zero "
        "as above. With which probability are all N at zero? And with which is some unit alive?",
        "The network lives if layer 1 lives, and then layer 2, and so on: a product. Dead is the "
        "rest.",
        "For tiny p do not form 1 - p. math.log1p(-p) is its logarithm without the loss; add the "
        "logarithms up, and -math.expm1(sum) is one minus the product.",
    ),
    lesson="02_dead_relu",
    section="Born dead",
    frameworks=("torch", "jax"),
    minutes=15,
    difficulty=3,
    note="This is the risk for one input. To be dead for all inputs at once is rarer, so for a "
    "whole data set the number is an upper bound (Lu et al. 2020).",
)
