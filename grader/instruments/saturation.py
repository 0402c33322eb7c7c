"""The pre-activations of the two exercises on saturated units, and the claims they share.

The exercise exists in torch and in JAX. Both draw their cases here, and both leave evidence of one
form: `flags`, a truth value per unit, beside the inputs that they belong to.

A unit's pre-activations are whole eighths of one kind: far out on one side or on both, near zero,
far out but for one sample, or *near*, a distance at which one activation is flat and another is
not. No slope at such a point lies within 2 % of the delta it is held against, but those of the
leaky ReLU, which equal it on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grader.instruments.refusals import refusal, refused
from grader.judging.evidence import number, numbers
from grader.judging.exercise import claim, of_kind
from grader.judging.terms import Challenge, Evidence, Finding, Inputs

SAMPLES = 6  # as many as units, so that a mistaken axis is no mistaken shape
LEAK = 0.0625  # exact in float32; the slope of the leaky ReLU below zero
BELOW, NEARLY, AWAKE = 1, 3, 4  # places among `_units`
BELOW_ZERO = [(4, 8), (8, 16), (16, 20), (48, 64), (64, 120)]  # eighths, each within powers of two


def cases(rng: np.random.Generator) -> Challenge:
    """The same cases for both twins; z is (6, 6), or has more samples, axes of them, or units."""

    def case(kind: str, activation: str, delta: float, z: np.ndarray) -> dict[str, Any]:
        """The columns of z are the units. They are shuffled here."""
        shuffled = z[..., rng.permutation(z.shape[-1])].astype(np.float32)
        return {"kind": kind, "activation": activation, "z": shuffled, "delta": delta}

    def spoilt(activation: str, unit: int = BELOW) -> dict[str, Any]:
        """A NaN in the unit that is far below zero, and saturated without it, or in another."""
        z = _units(rng, 2.0)
        z[rng.integers(SAMPLES), unit] = np.nan
        return case("NaN", activation, 2 * LEAK, z)

    one, other = _units(rng, 2.0), np.roll(_units(rng, 2.0), 1, axis=1)
    sequences = np.stack([one, other])  # two units are flat in both, two in one of them
    many, awake = _units(rng, 2.5, 120), _units(rng, 2.5, 120)
    awake[np.abs(awake[:, NEARLY]).argmin(), NEARLY] = 2.375  # its slope is 1.03 delta
    many = np.hstack([many, awake])
    z = _units(rng, 2.0)
    endless = np.where(abs(z) < 6, z, np.copysign(np.inf, z))
    return {
        "sigmoid": case("usual", "sigmoid", 0.15, _units(rng, 1.625)),
        "tanh": case("usual", "tanh", 0.05, _units(rng, 2.0)),
        "tanh, 120 samples": case("usual", "tanh", 0.033, many),
        "tanh, a small delta": case("usual", "tanh", 1e-4, _units(rng, 5.0)),
        "sigmoid of 3z": case("other", "sigmoid of 3z", 0.05, _units(rng, 2.5)),
        "hardtanh": case("other", "hardtanh", 0.02, _units(rng, 1.25)),
        "leaky ReLU with a slope of delta": case("other", "leaky ReLU", LEAK, _leaking(rng)),
        "SiLU": case("falling", "SiLU", 0.05, _falling(rng)),
        "sequences": case("axes", "tanh", 0.05, sequences),
        "four axes": case("axes", "tanh", 0.05, sequences.reshape(2, 2, 3, -1)),
        "one sample of one unit": case("axes", "tanh", 0.05, one[:1, :1]),
        "a NaN among the pre-activations": spoilt("sigmoid"),
        "a NaN where hardtanh has a slope": spoilt("hardtanh"),
        "a NaN where a leaky ReLU has a slope": spoilt("leaky ReLU"),
        "a NaN in a unit that is awake": spoilt("sigmoid", AWAKE),
        "infinities": case("infinity", "tanh", 0.05, endless),
        "infinities that add up to NaN": case("infinity", "leaky ReLU", 2 * LEAK, endless),
    }


def _far(rng: np.random.Generator, samples: int) -> np.ndarray:
    return rng.integers(48, 57, samples) / 8  # beyond 7 some machines round tanh to 1


def _signs(rng: np.random.Generator, samples: int) -> np.ndarray:
    return rng.permutation(np.resize([-1, 1], samples))


def _units(rng: np.random.Generator, near: float, samples: int = SAMPLES) -> np.ndarray:
    """Pre-activations of six units, one of each kind, (samples, 6)."""
    far = _far(rng, samples) * _signs(rng, samples)
    centred = rng.integers(-7, 8, samples) / 8
    nearly = np.where(np.arange(samples) == rng.integers(samples), centred, far)
    nearby = near * _signs(rng, samples)
    sides = [_far(rng, samples), -_far(rng, samples)]
    return np.stack([*sides, far, nearly, centred, nearby], axis=1)


def _falling(rng: np.random.Generator) -> np.ndarray:
    """Units for SiLU: two are where it falls, on all samples or on half of them."""
    z, far = _units(rng, -2.5), -_far(rng, SAMPLES)
    z[:, 5] = -2.5
    z[:, 2] = np.where(_signs(rng, SAMPLES) > 0, -2.5, far)
    return z


def _leaking(rng: np.random.Generator) -> np.ndarray:
    """Units below zero at several distances, and one above."""
    below = [-rng.integers(*eighths, SAMPLES) / 8 for eighths in BELOW_ZERO]
    return np.stack([*below, _far(rng, SAMPLES)], axis=1)


def observed(
    candidate: Callable[..., Any], activation: Callable[..., Any], z: Any, inputs: Inputs
) -> dict[str, Any]:
    """Call the candidate with arrays of its framework; what came back, or the refusal."""
    given = (activation, z, inputs["delta"])
    if inputs["kind"] == "NaN":
        return {"kind": "NaN", "refusal": refusal(candidate, *given)}
    flags = candidate(*given)
    return {**inputs, "flags": np.asarray(flags) if isinstance(flags, list | tuple) else flags}


@claim(3, "Which sample gives this unit its largest slope, and how large is it?", of_kind("usual"))
def judges_sigmoid_and_tanh(seen: Evidence, expected: Evidence) -> Finding:
    """A unit of sigmoid or tanh is marked where its derivative is below delta on every sample."""
    return _judged(seen, expected)


@claim(
    2,
    "Which rule does your code use for the derivative of a function it has never seen?",
    of_kind("other"),
)
def asks_any_activation(seen: Evidence, expected: Evidence) -> Finding:
    """Any other activation is asked for its own derivative; one equal to delta is not below it."""
    return _judged(seen, expected)


@claim(
    1,
    "Which sign has the derivative at these pre-activations, and how large is it?",
    of_kind("falling"),
    needs=judges_sigmoid_and_tanh,
)
def takes_absolute_slopes(seen: Evidence, expected: Evidence) -> Finding:
    """A curve that falls steeply is not flat: the derivative's absolute value counts."""
    return _judged(seen, expected)


@claim(
    1,
    "Over which axes does your code ask whether all samples are flat?",
    of_kind("axes"),
    needs=judges_sigmoid_and_tanh,
)
def takes_the_last_axis_for_units(seen: Evidence, expected: Evidence) -> Finding:
    """The last axis counts the units; all others run over samples."""
    return _judged(seen, expected)


@claim(
    1,
    "What is the truth value of `nan < delta`, and where do you look for a NaN?",
    of_kind("NaN", "infinity"),
    needs=judges_sigmoid_and_tanh,
)
def refuses_a_nan(seen: Evidence, expected: Evidence) -> Finding:
    """A NaN among the pre-activations raises a ValueError; an infinity is judged like a number."""
    return refused(seen["refusal"]) if "refusal" in expected else _judged(seen, expected)


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
    column = sorted(expected["z"].reshape(-1, len(ours))[:, unit], key=abs)
    verb = "mark" if ours[unit] else "do not mark"
    return (
        f"you {verb} unit {unit} of {expected['activation']}, pre-activations from 0 outwards "
        f"{numbers(column)}, delta {number(expected['delta'])}"
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
FAR = (
    "Flat is what is far out: a large pre-activation, or an output within delta of its end.",
    "How large is large depends on the activation and on delta, and one cut for all of them does "
    "not fit. The distance of an output from its end is no slope, either: for tanh at 2 the two "
    "are 0.036 and 0.071.",
    "What is the derivative at the pre-activations named above, and is it below delta?",
)
FORMULA = (
    "One formula gives the derivative of every activation.",
    "Each has its own. a (1 - a) is the sigmoid's: for tanh it is negative wherever a is. 1 - a "
    "squared is that of tanh: for the sigmoid at 0 it gives 0.75, where the slope is 0.25.",
    "How would you get the derivative of a function of which you know only how to call it?",
)
SIGNED = (
    "A derivative below delta is a small derivative.",
    "Minus one is below delta, too. SiLU falls for z below -1.28, and there its derivative is "
    "negative.",
    "What makes a slope small, if it can have either sign?",
)
AXES = (
    "The first axis tells units from samples.",
    "The last one does. The rows of a matrix are samples. In a sequence the same units meet every "
    "position, and a unit that is awake at one position learns from it.",
    "Which axis is left, if there is one verdict for each unit and none for a sample or a "
    "position?",
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
