"""Predict what share of a fresh layer is saturated, without running it (torch)."""

import math

import numpy as np
import torch
from torch import Tensor

from grader.instruments.snapshots import changed, snapshot
from grader.instruments.words import listed
from grader.judging.evidence import told_apart
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def predict_saturated_share(activation, x, weight_std, bias_std, delta):
    """Predict the share of derivatives below delta in a layer that is drawn but not yet run.

    The layer has very many units. Each computes ``z = w · x + b`` with weights drawn from a normal
    distribution of mean 0 and standard deviation ``weight_std``, and a bias of mean 0 and standard
    deviation ``bias_std``, all independent. Give the expected share, over units and over the rows
    of ``x``, of derivatives ``f'(z)`` that are below ``delta``. Nothing is drawn: it is a formula.

    Args:
        activation: ``"sigmoid"`` or ``"tanh"``.
        x: inputs, float64 tensor of shape (N, D). Rows differ in length; one may be all zeros. It
            stays as it is.
        weight_std: float above 0.
        bias_std: float, 0 for a layer without bias.
        delta: float above 0. It may exceed the largest derivative there is, and then all are
            below it.

    Returns:
        The share, a float from 0 to 1, exact to one part in two thousand, a small one too.

    Example:
        >>> x = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
        >>> share = predict_saturated_share("tanh", x, weight_std=0.2, bias_std=0.0, delta=0.42)
        >>> round(share, 3)
        0.317
    """
    steepest = {"sigmoid": 0.25, "tanh": 1.0}[activation]
    if delta > steepest:
        return 1.0
    flat_from = math.atanh(math.sqrt(1 - delta / steepest))
    if activation == "sigmoid":
        flat_from = 2 * flat_from  # sigmoid(z) = (1 + tanh(z / 2)) / 2
    s = (weight_std**2 * (x**2).sum(dim=1) + bias_std**2).sqrt()
    return (2 * torch.special.ndtr(-flat_from / s)).mean().item()


def challenge(rng: np.random.Generator) -> Challenge:
    def case(
        kind: str,
        weight_std: float,
        delta: float = 0.1,
        bias_std: float = 0.0,
        dark: bool = False,
        dim: bool = False,
        activation: str = "sigmoid",
    ) -> Inputs:
        x = rng.uniform(0, 1, (4, 9)) * rng.uniform(0.2, 2.5, (4, 1))
        x[rng.integers(4)] *= 0.0 if dark else 3.0
        x /= np.linalg.norm(x, axis=1).max() if dim else 1.0
        drawn = [float(value) for value in rng.uniform(0.9, 1.1, 3)]
        return {
            "activation": activation,
            "x": x,
            "weight_std": weight_std * drawn[0],
            "bias_std": bias_std * drawn[1],
            "delta": delta * drawn[2],
            "kind": kind,
        }

    return {
        "sigmoid": case("sigmoid", 1.0),
        "tanh": case("tanh", 0.5, activation="tanh"),
        "tanh, delta above every slope of a sigmoid": case("tanh", 0.5, 0.4, activation="tanh"),
        "a bias as well": case("bias", 0.5, bias_std=1.5, activation="tanh"),
        "a row of zeros and a bias": case("bias", 0.5, bias_std=1.5, dark=True, activation="tanh"),
        "sigmoid with a bias": case("bias", 1.0, bias_std=2.0),
        "a row of zeros": case("dark", 1.0, dark=True),
        "delta above every derivative": case("large", 1.0, delta=0.3),
        "delta above every derivative, and a row of zeros": case("large", 1.0, 0.3, dark=True),
        "delta above every derivative of tanh": case("large", 0.5, 1.25, activation="tanh"),
        "a small share": case("sigmoid", 0.37, dim=True),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    x = torch.tensor(inputs["x"])
    before = snapshot({"x": x})
    stds = inputs["weight_std"], inputs["bias_std"]
    share = candidate(inputs["activation"], x, *stds, inputs["delta"])
    return {"kind": inputs["kind"], "share": share, "changed": changed(before, {"x": x})}


def _share(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["share"], expected["share"]
    shown, due = told_apart(ours, right)
    return abs(ours - right) <= 5e-4 * right, f"you predict {shown}, a large layer shows {due}"


@claim(2, "From which z on is the slope below delta, and how wide is z?", of_kind("sigmoid"))
def predicts_sigmoid(seen: Evidence, expected: Evidence) -> Finding:
    """For sigmoid the share is right, averaged over rows of different lengths."""
    return _share(seen, expected)


@claim(2, "Which z solves 1 - tanh(z)^2 = delta?", of_kind("tanh"))
def predicts_tanh(seen: Evidence, expected: Evidence) -> Finding:
    """For tanh the share is right."""
    return _share(seen, expected)


@claim(1, "What is the variance of a sum of independent numbers?", of_kind("bias"))
def counts_the_bias(seen: Evidence, expected: Evidence) -> Finding:
    """A random bias widens the pre-activations, those of a row of zeros too."""
    return _share(seen, expected)


@claim(1, "What is z, and the slope there, for a row of zeros?", of_kind("dark"))
def handles_a_dark_row(seen: Evidence, expected: Evidence) -> Finding:
    """Without bias, a row of zeros has z = 0 in every unit, and adds no flat derivative."""
    return _share(seen, expected)


@claim(
    1,
    "Which units have a slope below delta, if none exceeds 0.25, or 1 for tanh?",
    of_kind("large"),
    needs=predicts_sigmoid,
)
def handles_a_large_delta(seen: Evidence, expected: Evidence) -> Finding:
    """Where delta exceeds every derivative there is, the share is 1."""
    return _share(seen, expected)


@claim(1, "Which of your lines writes into x?", needs=predicts_sigmoid)
def leaves_x_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The tensor x is left as it was."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def _where_flat(activation: str, delta: float) -> float:
    """From which |z| on the derivative is below delta; 0 where it is everywhere."""
    if activation == "tanh":
        return math.atanh(math.sqrt(max(0.0, 1 - delta)))
    return 2 * math.atanh(math.sqrt(max(0.0, 1 - 4 * delta)))


def _near_an_end(activation: str, delta: float) -> float:
    """From which |z| on the output is within delta of its end."""
    near_one = max(0.0, 1 - delta)
    return max(0.0, math.atanh(near_one) if activation == "tanh" else math.log(near_one / delta))


def integrated(
    activation: str,
    x: Tensor,
    weight_std: float,
    bias_std: float,
    delta: float,
    flat_from: Part = _where_flat,
    length: Part = lambda x: x.norm(dim=1),
    std: Part = math.hypot,
    stds: Part = lambda each: each,
    share: Part = lambda tail: 2 * tail,
) -> float:
    """The right answer in parts: where it goes flat, how wide z is for each row, what lies beyond.

    `std` is that of z, given those of w · x and of b.
    """
    z = flat_from(activation, delta)
    each = [std(weight_std * one, bias_std) for one in length(x).tolist()]
    beyond = torch.special.ndtr(-z / stds(torch.tensor(each, dtype=x.dtype)))
    return share(beyond).mean().item() if z else share(torch.tensor(0.5)).item()


WEIGHTS_ALONE = (
    "How much saturates is a matter of the weights and their number.",
    "Pre-activations are weights times inputs: each weight is multiplied by its own input, which "
    "counts with its square. The same weights saturate on a bright image and not on a dark one.",
    "What is the variance of w times 0.1, compared with that of w?",
)
ONE_WIDTH = (
    "Rows of different lengths can be replaced by one of average length.",
    "The share is not proportional to the width, so the share at an average width is not the "
    "average share.",
    "What would you predict for a bright row alone, and what for a dark row alone?",
)
believing = beliefs_about(integrated)
BELIEFS = (  # one that shows in two ways is there twice
    believing(
        "Units saturate at the upper end.",
        "They saturate at both ends, and z is symmetric, so half of them were missed.",
        "What is the slope of the sigmoid at -5, and what at 5?",
        share=lambda tail: tail,
    ),
    believing(*WEIGHTS_ALONE, length=lambda x: torch.ones(len(x))),
    believing(*WEIGHTS_ALONE, length=lambda x: torch.ones_like(x).norm(dim=1)),
    believing(
        "What widens z is the spread of the inputs about their mean.",
        "The weights are drawn, and the inputs are given numbers. An input of 3 in every place "
        "has no spread, and w · x is wide all the same.",
        "What is w · x, if all inputs are 1?",
        length=lambda x: (x - x.mean(dim=1, keepdim=True)).norm(dim=1),
    ),
    believing(
        "A normal distribution is measured in units of its variance.",
        "Its tails are counted in standard deviations, and you divided by the variance.",
        "In which unit is z, and in which is its variance?",
        stds=lambda each: each**2,
    ),
    believing(*ONE_WIDTH, stds=lambda each: each.square().mean().sqrt()),
    believing(*ONE_WIDTH, stds=lambda each: each.mean()),
    believing(
        "Standard deviations add up.",
        "Variances do, for independent numbers: 3 and 4 give 5, not 7.",
        "What is the variance of w · x + b?",
        std=lambda of_wx, of_b: of_wx + of_b,
    ),
    believing(
        "A bias of mean zero changes nothing on average.",
        "It moves half of the units up and half down, and both ways lead to an end.",
        "What happens to a unit whose bias is 5?",
        std=lambda of_wx, of_b: of_wx,
    ),
    believing(
        "Sigmoid and tanh have the same shape, so they go flat at the same place.",
        "tanh is a sigmoid that is squeezed by two and stretched by two: its slope is 1 at "
        "zero, not a quarter.",
        "Which z solves 1 - tanh(z)^2 = delta?",
        flat_from=lambda activation, delta: _where_flat("sigmoid", delta),
    ),
    believing(
        "Saturated means that the output is within delta of its end.",
        "Delta is held against the derivative. For the sigmoid at delta = 0.1 these two are "
        "z = 2.20 and z = 2.06.",
        "Which z solves a (1 - a) = delta?",
        flat_from=_near_an_end,
    ),
    believing(
        "The more inputs, the better their noise averages out.",
        "A pre-activation is a sum and no mean. Nothing divides by the number of inputs, and "
        "every one of them widens z.",
        "Does z = w · x contain a 1/D?",
        length=lambda x: x.square().mean(dim=1).sqrt(),
    ),
    believing(
        "2 Φ(z*/s) - 1 is the share beyond z*.",
        "It is the share between -z* and z*: the units that are awake.",
        "Does your share grow or fall when the weights grow?",
        share=lambda tail: 1 - 2 * tail,
    ),
)

EXERCISE = Exercise(
    reference=predict_saturated_share,
    challenge=challenge,
    observe=observe,
    hints=(
        "Two numbers decide: the z* from which on the slope is below delta, and the standard "
        "deviation s of z for one row.",
        "For the sigmoid a (1 - a) = delta is a quadratic equation in a, and z* is "
        "log(a / (1 - a)) of its larger root. For tanh solve 1 - t^2 = delta.",
        "s^2 is weight_std^2 times the sum of the row's squares, plus bias_std^2. The share of one "
        "row is 2 Φ(-z*/s), with torch.special.ndtr for Φ. Take the mean over rows, last.",
    ),
    lesson="03_saturation",
    section="The flat share of a fresh layer",
    frameworks=("torch",),
    minutes=20,
    difficulty=5,
    note="The formula holds for a fresh layer only. Training correlates weights with inputs, and "
    "then z has no reason to stay normal or centred.",
)
