"""Constant or not, for each layer, from what it puts out: plain Python."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from grader.instruments.dead_units import as_row, in_truth_values, listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def silenced_layers(outputs):
    """Say of each layer whether it puts out the same on every sample.

    Such a layer is constant: what it puts out tells nothing of the input. The same means equal
    numbers, in each unit, however small they are. (0.0 and -0.0 are equal.)

    Args:
        outputs: a list for each layer. It holds a list for each sample, the same samples in the
            same order, and that holds a float for each unit: what it puts out. Layers may differ
            in their number of units. There is at least one sample.

    Returns:
        List with a bool for each layer, in the same order: True for a constant one.

    Example:
        >>> silenced_layers([[[1.0, 2.0], [1.0, 3.0]], [[0.0], [0.0]], [[5.0, 7.0], [5.0, 7.0]]])
        [False, True, True]
    """
    return [all(sample == layer[0] for sample in layer) for layer in outputs]


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, samples: int, layers: str, size: float = 1.0) -> Inputs:
        """Layers of drawn widths, in a drawn order; each is made as MAKERS says for its letter."""
        order = [str(letter) for letter in rng.permutation(list(layers))]
        drawn = [MAKERS[letter](rng, samples, int(rng.integers(3, 7))) for letter in order]
        return {"outputs": [(layer * size).tolist() for layer in drawn], "kind": kind}

    def sign(case: Inputs) -> Inputs:
        """Some zeros are negative ones, as after a product with 0."""

        def turned(value: float) -> float:
            return value or float(rng.choice([0.0, -0.0]))

        layers = [[[turned(v) for v in sample] for sample in layer] for layer in case["outputs"]]
        return {**case, "outputs": layers}

    samples = int(rng.integers(7, 12))
    return {
        "some layers give zeros": sign(case("plain", samples, "zzvvddu")),
        "some layers give the same numbers, not zero": case("plain", samples, "cccvvdptub"),
        "zeros and other numbers": case("plain", samples, "zzccevvddptub"),
        "a unit that differs on one sample": case("seldom", samples, "cczvvoooo"),
        "one sample of three hundred differs": case("seldom", 300, "czooo"),
        "numbers near 1e-20": case("small", samples, "ccvvdptou", 2.0**-66),
        "numbers near 1e25": case("small", samples, "ccvvdptou", 2.0**83),
        "numbers that differ by little": case("small", samples, "ccvnnn"),
        "one sample": case("one", 1, "zzccce"),
    }


def _eighths(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Drawn numbers that add up without rounding."""
    return rng.integers(1, 40, shape) / 8


def _varying(rng: np.random.Generator, samples: int, units: int) -> np.ndarray:
    """All units vary; the first sample comes twice."""
    values = _eighths(rng, samples, units)
    values[-1] = values[0] + 1
    values[1] = values[0]
    return values


def _partly_dead(rng: np.random.Generator, samples: int, units: int) -> np.ndarray:
    """The last unit gives 0 on all samples; the others tell the first two samples apart."""
    values = _varying(rng, samples, units)
    values[1] += 1
    values[:, -1] = 0.0
    return values


def _traded(rng: np.random.Generator, samples: int, units: int) -> np.ndarray:
    """What one unit gains another one loses, so that their sum is the same on every sample."""
    values = _constant(rng, samples, units)
    values[2, [0, -1]] += [-0.5, 0.5]
    return values


def _balanced(rng: np.random.Generator, samples: int, units: int) -> np.ndarray:
    """What one sample gains another one loses, so that all numbers of the layer add up alike."""
    values = _constant(rng, samples, units)
    values[[1, 2], -1] += [0.5, -0.5]
    return values


def _constant(rng: np.random.Generator, samples: int, units: int) -> np.ndarray:
    values = np.repeat(_eighths(rng, 1, units), samples, axis=0)
    values[:, 0] += 10
    return values


def _permuted(rng: np.random.Generator, samples: int, units: int) -> np.ndarray:
    """Two units change places, so that the sum over units is the same on every sample."""
    values = _constant(rng, samples, units)
    values[2, [0, 1]] = values[2, [1, 0]]
    return values


def _once(rng: np.random.Generator, samples: int, units: int) -> np.ndarray:
    """One unit, not the first, differs on one inner sample; it may be the sign that does."""
    values = _constant(rng, samples, units)
    values[rng.integers(2, samples - 1), rng.integers(1, units)] *= rng.choice([-1, 1.125])
    return values


MAKERS: dict[str, Part] = {
    "z": lambda rng, samples, units: np.zeros((samples, units)),
    "c": _constant,
    "e": lambda rng, samples, units: np.full((samples, units), _eighths(rng)),
    "v": _varying,
    "d": _partly_dead,
    "p": _permuted,
    "t": _traded,
    "b": _balanced,
    "o": _once,
    "u": lambda rng, samples, units: np.arange(samples)[:, None] // 2 + np.repeat(0.125, units),
    "n": lambda rng, samples, units: 1 + 1e-12 * _varying(rng, samples, units),
}
"""Layers by letter; under "n" numbers that differ in the twelfth decimal."""


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    returned = candidate([[list(sample) for sample in layer] for layer in inputs["outputs"]])
    return {"kind": inputs["kind"], "constant": as_row(returned)}


def _judged_alike(seen: Evidence, expected: Evidence) -> Finding:
    off = np.flatnonzero(np.asarray(seen["constant"], bool) != expected["constant"]) + 1
    layers = listed([int(layer) for layer in off]).replace("unit", "layer")
    return in_truth_values(seen["constant"], (not len(off), f"not as expected: {layers}"))


@claim(3, "Which numbers of a layer do you compare with each other?", of_kind("plain"))
def tells_constant_from_varying(seen: Evidence, expected: Evidence) -> Finding:
    """A layer that puts out the same on every sample is True, and no other."""
    return _judged_alike(seen, expected)


@claim(
    2,
    "On how many samples, and in how many units, must a layer differ to vary?",
    of_kind("seldom"),
    needs=tells_constant_from_varying,
)
def one_unit_on_one_sample_is_enough(seen: Evidence, expected: Evidence) -> Finding:
    """One unit that differs on one sample makes the layer a varying one."""
    return _judged_alike(seen, expected)


@claim(
    1,
    "When are two numbers the same to your function?",
    of_kind("small"),
    needs=tells_constant_from_varying,
)
def small_differences_count(seen: Evidence, expected: Evidence) -> Finding:
    """Numbers that differ by little differ, and so do numbers that are all tiny."""
    return _judged_alike(seen, expected)


@claim(1, "What can one sample differ from?", of_kind("one"), needs=tells_constant_from_varying)
def one_sample_shows_nothing(seen: Evidence, expected: Evidence) -> Finding:
    """On a single sample every layer is constant."""
    return _judged_alike(seen, expected)


Samples = Sequence[Sequence[float]]


def _alike(samples: Samples) -> bool:
    return all(sample == samples[0] for sample in samples)


def judged(
    outputs: Sequence[Samples],
    looked: Part = lambda layer: layer,
    shown: Part = list,
    same: Part = _alike,
    verdicts: Part = list,
) -> list[bool]:
    """The right answer in parts."""
    rows = ([shown(sample) for sample in looked(layer)] for layer in outputs)
    return list(verdicts([same(row) for row in rows]))


believing = beliefs_about(judged)
BELIEFS = (
    believing(
        "A constant layer is one that puts out zeros.",
        "That is the silent layer. The layers after it put out what their biases make of a zero: "
        "the same to every sample, and not zero.",
        "What does a layer with a bias of 5 put out if it is given zeros?",
        same=lambda samples: not any(value for sample in samples for value in sample),
    ),
    believing(
        "A layer is constant if its units all give the same.",
        "Units are compared with each other then. What counts is whether a sample can be told from "
        "another one.",
        "Do you compare numbers of one sample, or numbers of one unit?",
        same=lambda samples: all(value == sample[0] for sample in samples for value in sample),
    ),
    believing(
        "The sum of a layer's units shows whether it varies.",
        "Two units that change places leave the sum as it was.",
        "What else can happen to two numbers if their sum stays?",
        shown=sum,
    ),
    believing(
        "Two samples are enough to see whether a layer varies.",
        "These two may be alike. A third one may differ.",
        "How many samples does your code look at before it decides?",
        looked=lambda layer: layer[:2],
    ),
    believing(
        "Differences below a millionth are rounding.",
        "Here they are not. Numbers near 1e-20 are as different from each other as 1 and 2.",
        "Below which difference are two numbers the same to your function, and who said so?",
        shown=lambda sample: [round(value, 6) for value in sample],
    ),
    believing(
        "One unit shows what its layer does.",
        "That unit may be dead in a layer that is well. Its neighbours may vary.",
        "Which units of a layer do you look at?",
        shown=lambda sample: sample[-1],
    ),
    believing(
        "A layer in which a unit is constant is constant.",
        "Dead units are common in layers that work. The layer is constant if all of them are.",
        "What do the other units of that layer do?",
        same=lambda samples: any(len(set(unit)) == 1 for unit in zip(*samples, strict=True)),
    ),
    believing(
        "All that comes after a constant layer is constant.",
        "So it is in a chain. A skip can bring the input back, and the outputs that you were given "
        "show it.",
        "What do the outputs of the layers after it say?",
        verdicts=lambda found: accumulate(found, lambda one, other: one or other),
    ),
    believing(
        "True is for the layers that vary.",
        "You mark what carries something. The task asks for what is constant.",
        "What does your list say of a layer of zeros?",
        verdicts=lambda found: [not constant for constant in found],
    ),
)

EXERCISE = Exercise(
    reference=silenced_layers,
    challenge=challenge,
    observe=observe,
    hints=(
        "Take one layer first: a list of samples. Which two samples do you compare, so that no "
        "pair is forgotten?",
        "Python compares whole lists with ==. all(...) over the samples of a layer, each compared "
        "with the first, is one layer's answer.",
    ),
    lesson="07_lock_cascades",
    section="What goes forward",
    frameworks=("python",),
    minutes=5,
    difficulty=1,
    note="In torch this is (out == out[0]).all(). A matrix product may round differently from "
    "sample to sample, so the lesson allows a range of 1e-5.",
)
