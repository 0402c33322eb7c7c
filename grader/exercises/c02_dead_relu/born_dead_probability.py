"""The probability that a ReLU network is born dead (Lu et al. 2020, for one input).

Probabilities of many sizes are compared by their logarithms: a millionth that comes out as zero is
a loss that a difference would not show.
"""

import math

from grader.judging.evidence import alike, number
from grader.judging.exercise import Claim, Exercise, Misconception


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
    """
    log_alive = 0.0
    for width in widths:
        log_alive += math.log1p(-(0.5**width))
    return -math.expm1(log_alive)


def challenge(rng):
    def case(*widths):
        return {"widths": [int(width) for width in widths]}

    width, depth = rng.integers(2, 5), rng.integers(6, 12)
    return {
        "one hidden layer": case(rng.integers(1, 6)),
        "layers of equal width": case(*[width] * depth),
        "layers of width 1": case(*[1] * rng.integers(2, 7)),
        "a narrow layer among wider ones": case(rng.integers(4, 7), 2, rng.integers(4, 7)),
        "the narrowest layer last": case(5, rng.integers(3, 5), 1),
        "no hidden layer": case(),
        "wide layers": case(*rng.integers(40, 50, 4)),
        "very wide layers": case(*rng.integers(60, 90, 3)),
    }


def observe(candidate, inputs):
    returned = candidate(tuple(inputs["widths"]))
    probability = returned if returned is None else float(returned) + 0.0  # no -0
    positive = isinstance(probability, float) and probability > 0
    return {
        "widths": inputs["widths"],
        "probability": probability,
        "log10 of it": math.log10(probability) if positive else -math.inf,
    }


def one_layer(seen, expected):
    """One layer is dead if all its units are, each with probability one half."""
    return _compared(seen, expected) if len(expected["widths"]) == 1 else None


def some_layer_is_enough(seen, expected):
    """A network dies if some layer dies, whichever it is."""
    return _compared(seen, expected) if len(expected["widths"]) > 1 and _narrow(expected) else None


def every_width_counts(seen, expected):
    """Each layer counts with its own width."""
    uneven = len(set(expected["widths"])) > 1 and _narrow(expected)
    return _compared(seen, expected) if uneven else None


def nothing_to_die(seen, expected):
    """A network without hidden layers is never born dead."""
    return _compared(seen, expected) if not expected["widths"] else None


def small_probabilities_survive(seen, expected):
    """The probability is right to four digits also where it is very small."""
    return _compared(seen, expected) if expected["widths"] and not _narrow(expected) else None


def _narrow(expected):
    return min(expected["widths"], default=0) < 20


def _compared(seen, expected):
    ours, right = seen["probability"], expected["probability"]
    words = f"for widths {tuple(expected['widths'])} you return {number(ours)}"
    met = alike(seen["log10 of it"], expected["log10 of it"]) and (ours > 0) == (right > 0)
    return met and alike(ours, right), f"{words}, the probability is {number(right)}"


def _dead(width):
    return 2.0**-width


def let_all_layers_die(widths):
    return math.prod(map(_dead, widths)) if widths else 0.0


def let_one_unit_die(widths):
    return 1 - 0.5 ** sum(widths)


def add_the_layers_up(widths):
    return float(sum(map(_dead, widths)))


def give_the_chance_of_life(widths):
    return math.prod(1 - _dead(width) for width in widths)


def average_the_widths(widths):
    if not widths:
        return 0.0
    return -math.expm1(len(widths) * math.log1p(-_dead(sum(widths) / len(widths))))


def ask_the_narrowest_layer(widths):
    return _dead(min(widths)) if widths else 0.0


def leave_the_last_layer_out(widths):
    return -math.expm1(sum(math.log1p(-_dead(width)) for width in widths[:-1]))


def subtract_from_one(widths):
    return 1 - math.prod(1 - _dead(width) for width in widths)


def use_the_first_width(widths):
    return -math.expm1(len(widths) * math.log1p(-_dead(widths[0]))) if widths else 0.0


EXERCISE = Exercise(
    reference=born_dead_probability,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(one_layer, 1, "How many of the sign patterns of N units have no plus?"),
        Claim(some_layer_is_enough, 3, "What must happen in every layer for the network to live?"),
        Claim(every_width_counts, 2, "Which layer does each factor of yours belong to?"),
        Claim(nothing_to_die, 1, "What is a product over no layers?"),
        Claim(
            small_probabilities_survive,
            2,
            "What does 1 - 1e-20 give in floating point, and what is left after 1 - that?",
        ),
    ),
    misconceptions=(
        Misconception(
            "A network is dead if all its layers are.",
            "The signal passes the layers one after the other. One that gives only zeros is "
            "enough to stop it, whatever the others do.",
            "What arrives at layer 3 if layer 2 gives only zeros?",
            let_all_layers_die,
        ),
        Misconception(
            "One dead unit kills a network.",
            "About half of all ReLUs give zero on any input. A layer lives as long as one of its "
            "units does.",
            "How many units of a layer must be zero for nothing to pass?",
            let_one_unit_die,
        ),
        Misconception(
            "Probabilities of several accidents add up.",
            "They do so while they are tiny. Added up over layers of width 1 they exceed 1.",
            "What does your function return for ten layers of width 1?",
            add_the_layers_up,
        ),
        Misconception(
            "The product over the layers is the answer.",
            "That product is the probability that every layer lives.",
            "Which of the two, alive or dead, becomes more likely with each further layer?",
            give_the_chance_of_life,
        ),
        Misconception(
            "The mean width describes a network.",
            "Each unit more halves the risk of its layer, so the narrow layers decide. Widths of "
            "1 and 9 are far more dangerous than two of 5.",
            "What is the risk of a layer of width 1, and what that of one of width 5?",
            average_the_widths,
        ),
        Misconception(
            "Only the narrowest layer can die.",
            "It is the likeliest to die, not the only one. With ten layers of equal width there "
            "are ten chances.",
            "What changes in your answer if a second layer of the same width is added?",
            ask_the_narrowest_layer,
        ),
        Misconception(
            "The last hidden layer cannot die.",
            "It is one more layer of ReLUs. If it gives only zeros, the output sees none of the "
            "input. In some papers L counts the output layer too, so L - 1 layers can die.",
            "What does your function return for a single hidden layer?",
            leave_the_last_layer_out,
        ),
        Misconception(
            "In floating point, 1 - (1 - p) is p.",
            "1 - p is rounded to 16 digits. A p of 1e-20 is gone then, and one of 1e-13 has "
            "lost most of its digits.",
            "Which functions of Python's math module compute log(1 + x) and exp(x) - 1 for tiny x?",
            subtract_from_one,
        ),
        Misconception(
            "All layers are as wide as the first.",
            "Widths may differ from layer to layer, and each enters with its own power of two.",
            "How often does your code look at widths[1]?",
            use_the_first_width,
        ),
    ),
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
    note="This is the risk for one input. To be dead for all inputs at once is rarer, so for a "
    "whole data set the number is an upper bound (Lu et al. 2020).",
)
