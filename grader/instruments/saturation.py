"""The pre-activations of the two exercises on saturated units, and the claims they share.

The exercise exists in torch and in JAX. Both draw their cases here, and both leave evidence of one
form: `flags`, a truth value per unit, beside the inputs that they belong to.

A unit's pre-activations are whole eighths of one kind: far out on one side or on both, near zero,
far out but for one sample, or *near*, a distance at which one activation is flat and another is
not. No slope at such a point lies within 2 % of the delta it is held against, but one that equals
it on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from grader.instruments.refusals import refusal, refused
from grader.judging.evidence import number, numbers
from grader.judging.exercise import claim
from grader.judging.terms import Challenge, Evidence, Finding, Inputs

SAMPLES = 6  # as many as units, so that a mistaken axis is no mistaken shape
LEAK = 0.0625  # exact in float32; the slope of the leaky ReLU below zero


def cases(rng: np.random.Generator) -> Challenge:
    """One case per activation, then a further axis and a NaN; z is (6, 6) or (2, 6, 6)."""

    def case(activation: str, delta: float, near: float) -> dict[str, Any]:
        return {"activation": activation, "z": _units(rng, near), "delta": delta}

    sequences, spoilt = case("tanh", 0.05, 2.0), case("sigmoid", 0.05, 2.0)
    spoilt["z"][tuple(rng.integers(SAMPLES, size=2))] = np.nan
    return {
        "sigmoid": case("sigmoid", 0.15, 1.625),
        "tanh": case("tanh", 0.05, 2.0),
        "sigmoid of 3z": case("sigmoid of 3z", 0.05, 2.5),
        "hardtanh": case("hardtanh", 0.02, 1.25),
        "SiLU": case("SiLU", 0.05, -2.5),
        "leaky ReLU with a slope of delta": case("leaky ReLU", LEAK, 1.0),
        "sequences": {**sequences, "z": np.stack([sequences["z"]] * 2)},
        "a NaN among the pre-activations": spoilt,
    }


def _units(rng: np.random.Generator, near: float) -> np.ndarray:
    """Pre-activations of six units, one of each kind in a random order, (6, 6) float32.

    Where `near` is positive that unit lies on both sides of zero, else on that side only.
    """

    def far() -> np.ndarray:
        return rng.integers(48, 57, SAMPLES) / 8  # beyond 7 some machines round tanh to 1

    def signs() -> np.ndarray:
        return rng.permutation([-1, -1, -1, 1, 1, 1])

    def centred() -> np.ndarray:
        return rng.integers(-7, 8, SAMPLES) / 8

    nearly = far() * signs()
    place = rng.integers(SAMPLES)
    nearly[place] = centred()[place]
    nearby = near * signs() if near > 0 else np.full(SAMPLES, near)
    kinds = [far(), -far(), far() * signs(), nearly, centred(), nearby]
    return np.stack(kinds, axis=1)[:, rng.permutation(SAMPLES)].astype(np.float32)


def observed(
    candidate: Callable[..., Any], activation: Callable[..., Any], z: Any, inputs: Inputs
) -> dict[str, Any]:
    """Call the candidate with arrays of its framework; what came back, or the refusal."""
    given = (activation, z, inputs["delta"])
    if np.isnan(inputs["z"]).any():
        return {"refusal": refusal(candidate, *given)}
    flags = candidate(*given)
    flags = np.asarray(flags) if isinstance(flags, list | tuple) else flags
    return {"flags": flags, **{key: inputs[key] for key in ("activation", "z", "delta")}}


def _asks(activations: Collection[str], axes: int = 2) -> Callable[[Evidence], bool]:
    """The condition: the case has one of these activations and so many axes."""
    return lambda e: e.get("activation") in activations and e["z"].ndim == axes


@claim(
    3,
    "Which sample gives this unit its largest slope, and how large is it?",
    _asks({"sigmoid", "tanh"}),
)
def judges_sigmoid_and_tanh(seen: Evidence, expected: Evidence) -> Finding:
    """A unit of sigmoid or tanh is marked where its derivative is below delta on every sample."""
    return _judged(seen, expected)


@claim(
    2,
    "Which rule does your code use for the derivative of a function it has never seen?",
    _asks({"sigmoid of 3z", "hardtanh", "leaky ReLU"}),
)
def asks_any_activation(seen: Evidence, expected: Evidence) -> Finding:
    """Any other activation is asked for its own derivative; one equal to delta is not below it."""
    return _judged(seen, expected)


@claim(
    1,
    "Which sign has the derivative at these pre-activations, and how large is it?",
    _asks({"SiLU"}),
)
def takes_absolute_slopes(seen: Evidence, expected: Evidence) -> Finding:
    """A curve that falls steeply is not flat: the derivative's absolute value counts."""
    return _judged(seen, expected)


@claim(
    1,
    "Over which axes does your code ask whether all samples are flat?",
    _asks({"tanh"}, axes=3),
)
def takes_the_last_axis_for_units(seen: Evidence, expected: Evidence) -> Finding:
    """The last axis counts the units; all others run over samples."""
    return _judged(seen, expected)


@claim(
    1,
    "What is the truth value of `nan < delta`?",
    lambda expected: "refusal" in expected,
    needs=judges_sigmoid_and_tanh,
)
def refuses_a_nan(seen: Evidence, expected: Evidence) -> Finding:
    """A NaN among the pre-activations raises a ValueError."""
    return refused(seen["refusal"])


def _judged(seen: Evidence, expected: Evidence) -> Finding:
    """Whether the flags are right."""
    ours, right = seen["flags"], expected["flags"]
    if ours.dtype != bool:
        return False, f"your flags are {numbers(ours)}, where truth values were expected"
    astray = np.flatnonzero(ours != right)
    if not len(astray):
        return True, f"marked: {', '.join(map(str, np.flatnonzero(ours)))}"
    return False, _words(ours, expected, astray[0])


def _words(ours: np.ndarray, expected: Any, unit: int) -> str:
    column = expected["z"].reshape(-1, len(ours))[:, unit]
    verb = "mark" if ours[unit] else "do not mark"
    return (
        f"you {verb} unit {unit} of {expected['activation']}, pre-activations {numbers(column)}, "
        f"delta {number(expected['delta'])}"
    )


CLAIMS = (
    judges_sigmoid_and_tanh,
    asks_any_activation,
    takes_absolute_slopes,
    takes_the_last_axis_for_units,
    refuses_a_nan,
)

ANY = (
    "A unit is saturated as soon as one sample lies on the flat part.",
    "Every unit that works is flat on some samples. It is stuck only if no sample is left on which "
    "its weights can learn.",
    "On how many samples does a gradient still pass through the unit named above?",
)
AVERAGE = (
    "A unit is saturated if its slope is small on average.",
    "One sample on the steep part is enough to learn from, and an average over many flat ones "
    "hides it.",
    "How large is the largest slope of the unit named above?",
)
OUTPUT = (
    "Saturated means that the output is within delta of its end.",
    "The distance of the output from its end and the slope are two numbers. For tanh at 2 they "
    "are 0.036 and 0.071.",
    "What is the derivative at the pre-activations named above?",
)
SIGMOID = (
    "The derivative of an activation is a (1 - a).",
    "That is the sigmoid's. For tanh, a (1 - a) is negative wherever a is.",
    "How would you get the derivative of a function of which you know only how to call it?",
)
TANH = (
    "The derivative of a squashing function is 1 - a squared.",
    "That is the derivative of tanh. For the sigmoid at 0 it gives 0.75, where the slope is 0.25.",
    "How would you get the derivative of a function of which you know only how to call it?",
)
DISTANCE = (
    "A unit is saturated where its pre-activation is large.",
    "How large is large depends on the activation and on delta. One cut for all of them does not "
    "fit.",
    "Where does the slope of this activation fall below delta?",
)
SIGNED = (
    "A derivative below delta is a small derivative.",
    "Minus one is below delta, too. SiLU falls for z below -1.28, and there its derivative is "
    "negative.",
    "What makes a slope small, if it can have either sign?",
)
SAMPLES_FOR_UNITS = (
    "The first axis counts the units.",
    "The rows of z are samples. You marked samples on which all units are flat.",
    "Which axis must be gone from your answer, if a value per unit is left?",
)
BATCH_ONLY = (
    "All axes but the first are units.",
    "In a sequence the same units meet every position. A unit that is awake at one position "
    "learns from it.",
    "How many weights does a unit have for each position of a sequence?",
)
EQUAL = (
    "Below delta includes delta.",
    "A derivative that equals delta is not below it. A leaky ReLU with a slope of 0.0625 is not "
    "saturated at 0.0625.",
    "Which of < and <= does 'below' stand for?",
)
DEAD = (
    "A unit is saturated once its derivative is exactly zero.",
    "Then it is dead. A derivative of 0.00001 is no better for learning, and on paper a sigmoid "
    "never reaches zero at all.",
    "How large is the derivative of the sigmoid at -8, and is it below delta?",
)
ZERO = (
    "A slope of exactly zero is not saturation: that unit is dead.",
    "It is both. Zero is below delta, and where float32 rounds a slope to zero the unit is as far "
    "out as a unit can be.",
    "What is the slope at the pre-activations named above, and is it below delta?",
)
MEAN = (
    "The gradient of a mean holds the derivatives.",
    "A mean divides each of them by the number of elements. All your slopes are too small by that "
    "factor, so almost everything looks flat.",
    "By which factor do the gradients of a mean and of a sum differ?",
)
NO_NAN = (
    "A comparison says something about every number.",
    "`nan < delta` is False, so a unit that is broken counts as healthy.",
    "Which numbers make every comparison False?",
)
