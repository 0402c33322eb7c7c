"""The gradient that a residual block with BatchNorm hands down, in both modes (NumPy).

Source: Ioffe & Szegedy 2015, "Batch Normalization", arXiv:1502.03167, section 3.
"""

from typing import Any

import numpy as np

from grader.instruments.words import furthest
from grader.judging.evidence import alike
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def block_gradient(x, delta, enter, leave, gain, shift, running=None):
    """Hand a gradient down through a residual block.

    The block is y = x + ReLU(gain * hat + shift) @ leave, where hat = (z - mean) / s, z = x @ enter
    and s = sqrt(variance + 1e-5). The slope of ReLU at 0 is 0. Everything is in float64.

    Args:
        x: array, shape (samples, features). There may be one sample.
        delta: the derivative of a loss with respect to y, shape (samples, features).
        enter: weight into the branch, shape (features, units).
        leave: weight out of the branch, shape (units, features).
        gain, shift: arrays of shape (units,).
        running: None in training mode: mean and variance are then those of z over the batch, the
            variance divided by the number of samples. In evaluation mode the tuple (mean,
            variance), two arrays of shape (units,), which depend on nothing.

    Returns:
        The derivative of the loss with respect to x, shape (samples, features). It is exactly
        ``delta`` where the branch hands down nothing. No argument is written into.

    Example:
        >>> x, one, zero = np.array([[1.0], [2.0]]), np.ones(1), np.zeros(1)
        >>> block_gradient(x, x, np.eye(1), np.eye(1), one, zero, (zero, one)).round(3).tolist()
        [[2.0], [4.0]]
        >>> block_gradient(x, x, np.eye(1), np.eye(1), one, zero).round(3).tolist()
        [[1.0], [2.0]]
    """
    z = x @ enter
    mean, variance = (z.mean(0), z.var(0)) if running is None else running
    deviation = np.sqrt(variance + 1e-5)
    hat = (z - mean) / deviation
    arriving = delta @ leave.T * (gain * hat + shift > 0)
    if running is None:
        arriving = arriving - arriving.mean(0) - hat * (arriving * hat).mean(0)
    return delta + (arriving * gain / deviation) @ enter.T


def challenge(rng: np.random.Generator) -> Challenge:
    samples, features = int(rng.integers(9, 14)), int(rng.integers(3, 6))
    units = features + int(rng.integers(2, 5))

    def case(kind: str, training: bool, count: int = samples, **other: Any) -> Inputs:
        gain = rng.uniform(0.5, 2, units) * rng.choice([-1, 1], units)
        drawn = {
            "x": rng.normal(1, 1, (count, features)),
            "delta": rng.normal(0.5, 1, (count, features)),
            "enter": rng.normal(size=(features, units)),
            "leave": rng.normal(size=(units, features)),
            "gain": gain,
            "shift": rng.normal(size=units),
            "running": [rng.normal(size=units), rng.uniform(0.2, 6, units)],
        }
        drawn["running"] = None if training else drawn["running"]
        return {"arguments": {**drawn, **other}, "kind": kind}

    silent = np.full(units, -100.0)
    partly = np.where(np.arange(units) < 2, -100.0, 0.5)
    narrow = rng.normal(size=(features, units)) * 0.003
    small: dict[str, Any] = {"delta": rng.normal(0.5, 1, (samples, features)) * 1e-20}
    return {
        "evaluation mode": case("evaluation", False),
        "evaluation mode, two silent units": case("evaluation", False, shift=partly),
        "evaluation mode, one sample": case("evaluation", False, 1),
        "training mode": case("training", True),
        "training mode, two silent units": case("training", True, shift=partly),
        "training mode, two samples": case("training", True, 2, shift=np.full(units, 2.0)),
        "training mode, a gradient near 1e-20": case("training", True, **small),
        "evaluation mode, a gradient near 1e-20": case("evaluation", False, **small),
        "training mode, a batch that hardly varies": case("narrow", True, enter=narrow),
        "evaluation mode, a small running variance": case(
            "narrow", False, running=[np.zeros(units), rng.uniform(1e-6, 2e-5, units)]
        ),
        "a silent branch, training mode": case("silent", True, shift=silent),
        "a silent branch, evaluation mode": case("silent", False, shift=silent),
        "a gain of 0": case("silent", True, gain=np.zeros(units), shift=np.full(units, 0.5)),
        "a weight of 0 out of the branch": case("silent", False, leave=np.zeros((units, features))),
        "one sample in training mode": case("silent", True, 1),
        "each unit just where ReLU bends": case(
            "silent",
            False,
            x=np.zeros((samples, features)),
            running=[0 * silent, -silent],
            shift=0 * silent,
        ),
        "a running mean that lags behind": case(
            "silent", False, running=[np.full(units, 1e3), np.ones(units)], gain=np.ones(units)
        ),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    given = {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in inputs["arguments"].items()
    }
    if given["running"] is not None:
        given["running"] = tuple(array.copy() for array in given["running"])
    returned = candidate(*given.values())
    size = np.abs(inputs["arguments"]["delta"]).max()
    is_array = isinstance(returned, np.ndarray)
    exactly = is_array and np.array_equal(returned, inputs["arguments"]["delta"])
    return {
        "kind": inputs["kind"],
        "ratio": returned / size if is_array else returned,
        "exactly": bool(exactly),
        "written": [name for name in given if not _same(given[name], inputs["arguments"][name])],
    }


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return all(map(np.array_equal, one, other))


def _handed_down(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["ratio"], expected["ratio"]
    (sample, feature), shown, due = furthest(ours, right)
    words = f"feature {feature} of sample {sample} gets {shown}, right is {due}"
    return alike(ours, right), f"{words}, in units of the largest delta"


@claim(3, "What of BatchNorm depends on x in evaluation mode?", of_kind("evaluation"))
def evaluation_scales(seen: Evidence, expected: Evidence) -> Finding:
    """In evaluation mode the branch adds what its slopes, gain / s and its weights let through."""
    return _handed_down(seen, expected)


@claim(3, "By which three ways does z come into hat in training mode?", of_kind("training"))
def training_centres(seen: Evidence, expected: Evidence) -> Finding:
    """In training mode mean and variance depend on each sample of the batch."""
    return _handed_down(seen, expected)


@claim(
    2, "Which way is left if the branch hands down nothing?", of_kind("silent"), training_centres
)
def silence_leaves_the_skip(seen: Evidence, expected: Evidence) -> Finding:
    """Where the branch is locked, the gradient is exactly delta: the skip hands it down."""
    return seen["exactly"], "it is delta" if seen["exactly"] else "it is not delta"


@claim(1, "Where does the 1e-5 stand?", of_kind("narrow"))
def small_variances_are_held(seen: Evidence, expected: Evidence) -> Finding:
    """1e-5 is added to the variance, which shows where that is small."""
    return _handed_down(seen, expected)


@claim(1, "Which line of yours writes into an argument?", needs=training_centres)
def arguments_stay(seen: Evidence, expected: Evidence) -> Finding:
    """The arguments are left as they were."""
    return not seen["written"], f"written into: {', '.join(seen['written']) or 'nothing'}"


def _centred(arriving: np.ndarray, hat: np.ndarray) -> np.ndarray:
    return arriving - arriving.mean(0) - hat * (arriving * hat).mean(0)


def passed_down(
    x: np.ndarray,
    delta: np.ndarray,
    enter: np.ndarray,
    leave: np.ndarray,
    gain: np.ndarray,
    shift: np.ndarray,
    running: Any = None,
    variance_of: Part = lambda z: z.var(0),
    deviation: Part = lambda variance: np.sqrt(variance + 1e-5),
    awake: Part = lambda z, hat, gain, shift: gain * hat + shift > 0,
    training: Part = _centred,
    evaluation: Part = lambda arriving, hat: arriving,
    factor: Part = lambda gain, s: gain / s,
    early: Part = lambda arriving, slopes: arriving * slopes,
    late: Part = lambda arriving, slopes: arriving,
    skip: Part = lambda delta, slopes: delta,
) -> np.ndarray:
    """The right answer in parts."""
    z = x @ enter
    mean, variance = (z.mean(0), variance_of(z)) if running is None else running
    s = deviation(variance)
    hat = (z - mean) / s
    slopes = awake(z, hat, gain, shift)
    normed = training if running is None else evaluation
    arriving = late(normed(early(delta @ leave.T, slopes), hat), slopes)
    return skip(delta, slopes) + (arriving * factor(gain, s)) @ enter.T


believing = beliefs_about(passed_down)
BELIEFS = (
    believing(
        "The gradient of a block is that of its branch.",
        "x goes two ways, and what comes back along both is added. Along the skip it is delta.",
        "What is the derivative of x + f(x)?",
        skip=lambda delta, slopes: 0,
    ),
    believing(
        "A silent branch silences its block.",
        "The skip does not lead through the branch. What arrives goes down along it unchanged.",
        "What is y if the branch gives 0, and how does it change with x?",
        skip=lambda delta, slopes: delta * slopes.any(),
    ),
    believing(
        "Mean and variance are constants in training mode.",
        "They are made of the batch, so each sample moves them. In the formula two terms are "
        "missing.",
        "By how much does hat change if all samples move by the same amount?",
        training=lambda arriving, hat: arriving,
    ),
    believing(
        "Only the mean depends on the batch.",
        "The variance does as well. The term with hat is missing.",
        "By how much does hat change if the whole batch is stretched to twice its size?",
        training=lambda arriving, hat: arriving - arriving.mean(0),
    ),
    believing(
        "BatchNorm centres the gradient in both modes.",
        "In evaluation mode mean and variance are given numbers. They do not move with x.",
        "How does the running mean change if x changes?",
        evaluation=_centred,
    ),
    believing(
        "A unit is awake if z is above zero.",
        "ReLU is given what BatchNorm has made of z: shifted, stretched, with a negative gain "
        "turned round.",
        "Which number does ReLU see?",
        awake=lambda z, hat, gain, shift: z > 0,
    ),
    believing(
        "The slope of ReLU comes last.",
        "Backwards it comes before BatchNorm: the means are means of what the slopes have let "
        "through.",
        "In which order does z become the output, and in which order do you go back?",
        early=lambda arriving, slopes: arriving,
        late=lambda arriving, slopes: arriving * slopes,
    ),
    believing(
        "gain is no part of the way back.",
        "hat is multiplied by it on the way up, and so is the gradient on the way down. With a "
        "gain of 0 nothing passes.",
        "What is the derivative of gain * hat + shift by hat?",
        factor=lambda gain, s: 1 / s,
    ),
    believing(
        "A variance is what a normalisation divides by.",
        "It divides by the deviation, its square root.",
        "Which variance has hat, if z is divided by its variance?",
        deviation=lambda variance: variance + 1e-5,
    ),
    believing(
        "BatchNorm divides by samples minus 1.",
        "In the batch it divides by the number of samples. The other estimate is that of the "
        "running variance.",
        "By what does the task divide the variance of a batch?",
        variance_of=lambda z: z.var(0) * len(z) / max(len(z) - 1, 1),
    ),
    believing(
        "1e-5 is too small to matter.",
        "Where the variance is as small, it decides: without it s is too small.",
        "How large is the smallest variance that your function may meet?",
        deviation=lambda variance: np.sqrt(np.maximum(variance, 1e-30)),
    ),
)

EXERCISE = Exercise(
    reference=block_gradient,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write the way up line by line: z, mean, variance, hat, ReLU, leave. Then go back through "
        "the same lines from the last to the first.",
        "What arrives at gain * hat + shift is delta @ leave.T where that sum is above 0, and 0 "
        "elsewhere.",
        "The lesson says what BatchNorm passes down in each mode; bars are means over the batch.",
        "At the end two ways meet: what came through the branch, times enter.T, and delta itself.",
    ),
    lesson="07_lock_cascades",
    section="What stops it",
    frameworks=("torch", "jax"),
    minutes=20,
    difficulty=5,
    note="A residual block whose branch is locked is a block that hands everything on. The network "
    "learns around it, and nothing but a look at the branch will show that it is dead.",
)
