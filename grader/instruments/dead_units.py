"""Layers whose units are dead or alive by design, for the twins that look for dead units.

A unit is *dead* on data where the derivative of its activation is zero on every sample. Here the
pre-activations are drawn first, unit by unit, and the inputs that lead to them are worked out from
a layer that only mixes and shifts. All numbers are eighths, so nothing is lost in float32. The
inputs of the last sample are zeros: what multiplies a slope by an input sees nothing there. Both
twins draw their cases here, and both leave the units they found under the key "dead".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from grader.judging.evidence import numbers
from grader.judging.exercise import claim, of_kind
from grader.judging.terms import Challenge, Evidence, Finding

BATCHES = (4, 4, 2)
"""Samples in each batch; the last is smaller, as a last batch often is."""

SAMPLES = sum(BATCHES)

Range = tuple[float, float]

UNITS: dict[str, Sequence[tuple[Range, Mapping[int, Range]]]] = {
    "relu": [
        ((-3, 3), {0: (1, 3)}),
        ((-3, -0.125), {1: (0.125, 3)}),
        ((-3, -0.125), {2: (0.125, 3), 6: (0.125, 3)}),
        ((-3, -0.125), {9: (0.125, 3)}),
        ((-3, -0.125), {}),
        ((-3, -0.125), {2: (0, 0), 8: (0, 0)}),
    ],
    "leaky_relu": [
        ((-3, -0.125), {}),
        ((-3, -0.125), {}),
        ((-3, -0.125), {5: (1, 3)}),
        ((0.125, 3), {}),
        ((-3, 3), {}),
        ((0.125, 3), {7: (-3, -1)}),
    ],
    "relu6": [
        ((6.5, 9), {}),
        ((-3, -0.125), {}),
        ((6.5, 9), {0: (-3, -1), 3: (-3, -1), 5: (-3, -1), 9: (-3, -1)}),
        ((6.5, 9), {4: (1, 5)}),
        ((-3, -0.125), {7: (1, 5)}),
        ((1, 5), {}),
    ],
    "softshrink": [
        ((-0.375, 0.375), {1: (0.25, 0.375), 7: (-0.375, -0.25)}),
        ((-3, -1), {}),
        ((-0.375, 0.375), {9: (-3, -1)}),
        ((-0.375, -0.125), {}),
        ((1, 3), {2: (-0.375, 0.375)}),
        ((-0.375, 0.375), {8: (1, 3)}),
    ],
    "sigmoid": [
        ((-12, -10), {}),
        ((10, 12), {}),
        ((-72, -70), {}),  # slopes of 1e-31: isclose takes them for zero, and their squares are
        ((-3, 3), {}),
        ((-12, -10), {6: (10, 12)}),
        ((10, 12), {9: (-12, -10)}),
    ],
    "abs": [
        ((0.125, 3), {i: (-3, -0.125) for i in (0, 2, 5, 7, 9)}),
        ((-3, -0.125), {}),
        ((0.125, 3), {}),
        ((-3, -0.125), {i: (0.125, 3) for i in (1, 3, 4, 6, 8)}),
        ((-3, -0.125), {0: (0.125, 3)}),
        ((0.125, 3), {9: (-3, -0.125)}),
    ],
}
"""The units of each activation: the range of their pre-activations, and samples that lie elsewhere.

The order of the units is drawn.
"""

TITLES = {
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU, slope 0.01 below 0",
    "relu6": "ReLU6, flat below 0 and above 6",
    "softshrink": "softshrink, flat between -0.5 and 0.5",
    "sigmoid": "sigmoid",
    "abs": "absolute value, slope -1 or 1",
}


def cases(rng: np.random.Generator) -> Challenge:
    """A case for each activation, and one whose batches come only once."""
    named = {TITLES[name]: case(rng, name) for name in UNITS}
    return {**named, "ReLU, batches that come only once": case(rng, "relu", "once")}


def case(rng: np.random.Generator, name: str, kind: str = "plain") -> dict[str, Any]:
    """Inputs (10, 7), labels (10,), and a layer of 6 units in Flax' layout.

    One input leads to no unit: a layer has another width than what it is given.
    """
    kinds = [UNITS[name][i] for i in rng.permutation(len(UNITS[name]))]
    wanted = np.stack([_unit(rng, *kind) for kind in kinds], axis=1)
    bias = wanted[-1]
    mixed = rng.permutation(len(kinds))
    beside = np.append(_eighths(rng, -3, 3, SAMPLES - 1), 0.0)
    return {
        "activation": name,
        "x": np.column_stack([2 * (wanted - bias)[:, mixed], beside]).astype(np.float32),
        "y": rng.integers(0, 10, SAMPLES),
        "kernel": np.pad(np.eye(len(kinds))[mixed] / 2, ((0, 1), (0, 0))).astype(np.float32),
        "bias": bias.astype(np.float32),
        "kind": kind,
    }


def _unit(rng: np.random.Generator, usual: Range, elsewhere: Mapping[int, Range]) -> np.ndarray:
    values = _eighths(rng, *usual, SAMPLES)
    for sample, between in elsewhere.items():
        values[sample] = _eighths(rng, *between, 1)[0]
    return values


def _eighths(rng: np.random.Generator, low: float, high: float, count: int) -> np.ndarray:
    return rng.integers(round(8 * low), round(8 * high) + 1, count) / 8


def loader(inputs: Mapping[str, Any], pairs: Sequence[Any]) -> Any:
    """The batches as they are, or to be walked through once where the case says so."""
    return iter(pairs) if inputs["kind"] == "once" else pairs


def batches(inputs: Mapping[str, Any], wrap: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs of inputs and labels, each wrapped on its own."""
    end = 0
    for size in BATCHES:
        rows = slice(end, end + size)
        yield wrap(inputs["x"][rows]), wrap(inputs["y"][rows])
        end += size


def as_row(returned: Any) -> Any:
    """A returned list of truth values as an array; anything else as it is."""
    return np.array(returned) if isinstance(returned, list | tuple) else returned


# --- claims


@claim(
    3,
    "What is the derivative of the activation for such a unit?",
    lambda expected: expected["kind"] == "plain" and expected["dead"].any(),
)
def marks_the_dead(seen: Evidence, expected: Evidence) -> Finding:
    """A unit whose derivative is zero on every sample of every batch is True."""
    missed = _indices(expected["dead"], seen["dead"])
    words = f"dead on every sample, and not True: {listed(missed)}"
    if np.all(seen["dead"]) and not expected["dead"].all():  # nothing was looked at
        missed, words = [0], "every unit is True, the living ones as well"
    return in_truth_values(seen["dead"], (not missed, words))


@claim(
    3,
    "How do the verdicts of several batches become one?",
    lambda expected: expected["kind"] == "plain" and expected["activation"] == "relu",
    needs=marks_the_dead,
)
def looks_at_every_batch(seen: Evidence, expected: Evidence) -> Finding:
    """A unit that has a derivative on one sample of one batch is False."""
    return _spares(seen, expected)


@claim(
    3,
    "Which number of a unit do you compare, and with what?",
    lambda expected: expected["kind"] == "plain" and expected["activation"] != "relu",
    needs=marks_the_dead,
)
def asks_the_derivative(seen: Evidence, expected: Evidence) -> Finding:
    """The derivative decides, for any activation: not its output, and not a small derivative."""
    return _spares(seen, expected)


@claim(
    1,
    "How often does your code ask the loader for its batches?",
    of_kind("once"),
    needs=marks_the_dead,
)
def walks_through_once(seen: Evidence, expected: Evidence) -> Finding:
    """The answer is right for a loader, too, whose batches come only once."""
    return judged_alike(seen, expected)


def _spares(seen: Evidence, expected: Evidence) -> Finding:
    marked = _indices(seen["dead"], expected["dead"])
    words = f"True, though a derivative is not zero: {listed(marked)}"
    return in_truth_values(seen["dead"], (not marked, words))


def judged_alike(seen: Evidence, expected: Evidence) -> Finding:
    """Whether every unit is judged as expected, and which are not."""
    off = _indices(seen["dead"], expected["dead"]) + _indices(expected["dead"], seen["dead"])
    words = f"not as expected: {listed(sorted(off))}"
    return in_truth_values(seen["dead"], (not off, words))


def in_truth_values(row: np.ndarray, finding: Finding) -> Finding:
    """The finding about a row, unless it is one of numbers."""
    if row.dtype == bool:
        return finding
    return False, f"you return {numbers(row.ravel(), 3)}, where truth values were expected"


def _indices(one: Any, other: Any) -> list[int]:
    """The units marked in one row and not in the other."""
    return [int(i) for i in np.flatnonzero(np.asarray(one, bool) & ~np.asarray(other, bool))]


def listed(units: Sequence[int]) -> str:
    """Units in words."""
    return f"unit{'s' * (len(units) > 1)} {', '.join(map(str, units))}" if units else "none"


CLAIMS = (marks_the_dead, looks_at_every_batch, asks_the_derivative, walks_through_once)

# --- beliefs that show alike in both frameworks: the belief, why it fails, a question

OUTPUT_ABOVE_ZERO = (
    "A unit whose output is never above zero is dead.",
    "That is ReLU's way to die. A LeakyReLU goes on learning below zero, and a ReLU6 that "
    "always gives 6 has died at the top.",
    "How would the output change if the pre-activation moved a little?",
)
OUTPUT_ZERO = (
    "A unit whose output is always zero is dead, and no other.",
    "A ReLU6 that is stuck at 6 learns as little as one that is stuck at 0.",
    "How would an output of 6 change if the pre-activation moved from 8 to 9?",
)
PRE_ACTIVATION = (
    "A unit whose pre-activation is never above zero is dead.",
    "Where zero lies says nothing about the slope there. LeakyReLU, sigmoid and the "
    "absolute value have a slope below zero.",
    "Does your code use the activation that it was given?",
)
FIRST_BATCH = (
    "One batch shows which units are dead.",
    "You looked at the first batch only. Some units wake on a sample that comes later.",
    "How often does your loop come round before it returns?",
)
LAST_BATCH = (
    "The last verdict is the one that counts.",
    "Each batch overwrote what the batches before it had shown.",
    "What does your code still know of the first batch when it returns?",
)
SOME_OF_THE_DATA = (
    "Dead on some of the data is dead.",
    "Every ReLU is flat on some samples: that is its work. A unit may sleep through four samples "
    "and wake on the fifth. It learns from that one.",
    "If one sample says dead and another says alive, what is the unit?",
)
SUM = (
    "If the slopes add up to zero, they are zero.",
    "Slopes of -1 and 1 cancel in a sum, as in the gradient of a bias. Each of them still "
    "lets its sample through.",
    "What do you know about two numbers if you know their sum only?",
)
WEIGHTS = (
    "A unit is dead if its weights get no gradient.",
    "The gradient of a weight is the slope times the input. One unit wakes only on a sample whose "
    "inputs are all zero: its weights get no gradient there, and its bias does.",
    "Which two numbers does the gradient of a weight multiply, and which of them can be zero?",
)
VARYING = (
    "A unit whose output varies cannot be dead.",
    "One unit under ReLU6 gives 0 on some samples and 6 on the others. It lies on a flat "
    "piece every time.",
    "Which numbers would have to move for the output of one sample to move?",
)
SMALL = (
    "A derivative that is nearly zero is zero.",
    "The sigmoid units here have derivatives such as 0.00002. They learn slowly: they are "
    "saturated. Dead units do not learn at all.",
    "What is left of the difference after a million steps, for each of the two?",
)
LIVING = (
    "True is for the units that learn.",
    "You mark the living. The task asks for the dead, and the two are easily mixed up.",
    "What does your row say about a unit that never has a derivative?",
)
