"""The standard deviations of weights that keep the signal, up and down, for any activation."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from grader.instruments.pairs import finding, pair
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.words import listed
from grader.judging.evidence import told_apart
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def preserving_stds(activation, z, fan_in, fan_out):
    """Give the two standard deviations of weights that keep the signal on its way up and down.

    A layer takes the outputs ``activation(z)`` of the layer below, ``fan_in`` of them, to
    ``fan_out`` new pre-activations with independent weights of mean 0. Going up, the new
    pre-activations should have the same mean square as ``z``. Going down, the error signal should
    keep its mean square when it passes the weights and the derivative of the activation: the
    factor of the layer is 1. All means are taken over the given ``z``.

    Args:
        activation: function from a tensor to a tensor, entry by entry, that torch can
            differentiate.
        z: measured pre-activations, float64, shape (samples,). They may require a gradient.
        fan_in: number of inputs of the layer, at least 1.
        fan_out: number of outputs of the layer, at least 1.

    Returns:
        Two numbers, up and down: the standard deviation of the weights for each, accurate to one
        part in a thousand; ``math.inf`` where no signal passes, whatever the weights. ``z`` stays
        as it is: its numbers, and whether it requires a gradient.

    Example:
        >>> z = torch.tensor([-1.0, 1.0, -2.0, 2.0], dtype=torch.float64)
        >>> up, down = preserving_stds(torch.relu, z, fan_in=8, fan_out=2)
        >>> round(up, 3), round(down, 3)
        (0.5, 1.0)
    """
    leaf = z.clone().requires_grad_()
    h = activation(leaf)
    (slope,) = torch.autograd.grad(h.sum(), leaf)
    passed_up = (h**2).mean().item()
    passed_down = (slope**2).mean().item()
    mean_square = (z**2).mean().item()
    up = math.sqrt(mean_square / (fan_in * passed_up)) if passed_up else math.inf
    down = 1 / math.sqrt(fan_out * passed_down) if passed_down else math.inf
    return up, down


Stds = tuple[float, float]
"""Up and down."""

ACTIVATIONS = {
    "ReLU": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "leaky ReLU": lambda z: F.leaky_relu(z, 0.1),
    "softplus": F.softplus,
    "scaled tanh": lambda z: 1.7159 * torch.tanh(2 / 3 * z),
    "a millionth of tanh": lambda z: 1e-6 * torch.tanh(z),
    "sign": torch.sign,
    "parabola": lambda z: z**2 - 1,
}


def challenge(rng: np.random.Generator) -> Challenge:
    def case(activation: str, mean: float = 0.0, spread: float = 1.0, **more: Any) -> Inputs:
        fan_in, fan_out = (int(n) for n in rng.choice(range(20, 400), 2, replace=False))
        z = mean + spread * rng.normal(size=400)
        inputs = {"activation": activation, "z": z, "fan_in": fan_in, "fan_out": fan_out}
        return {**inputs, "kind": "plain", "watched": False, **more}

    below, at_one = -abs(rng.normal(size=400)), rng.choice([-1.0, 1.0], 400)
    return {
        "ReLU": case("ReLU"),
        "tanh": case("tanh"),
        "tanh, wide and off centre": case("tanh", mean=0.5, spread=2.0),
        "sigmoid": case("sigmoid"),
        "leaky ReLU, narrow": case("leaky ReLU", spread=0.3),
        "softplus": case("softplus"),
        "scaled tanh, as many inputs as outputs": case("scaled tanh", fan_in=128, fan_out=128),
        "a parabola": case("parabola", mean=0.5),
        "a millionth of tanh": case("a millionth of tanh"),
        "z requires a gradient": case("tanh", kind="watched", watched=True),
        "ReLU, no pre-activation above zero": case("ReLU", z=below, kind="silent"),
        "the sign of z, which has no slope": case("sign", kind="silent"),
        "a parabola where it is zero": case("parabola", z=at_one, kind="silent"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    z = torch.tensor(inputs["z"], requires_grad=inputs["watched"])
    before = snapshot({"z": z})
    activation = ACTIVATIONS[inputs["activation"]]
    stds = pair(candidate(activation, z, inputs["fan_in"], inputs["fan_out"]), "up", "down")
    return {"kind": inputs["kind"], **stds, "changed": changed(before, {"z": z})}


def _stds(seen: Evidence, expected: Evidence, *ways: str) -> Finding:
    off = [way for way in ways if not math.isclose(seen[way], expected[way], rel_tol=1e-3)]
    told = [(way, *told_apart(seen[way], expected[way])) for way in off]
    words = "; ".join("{}: you return {}, the signal is kept at {}".format(*one) for one in told)
    return finding(seen, not off, words or "the signal is kept")


@claim(
    4,
    "Of which numbers is the new pre-activation a sum, and what is their mean square?",
    of_kind("plain"),
)
def keeps_the_signal_going_up(seen: Evidence, expected: Evidence) -> Finding:
    """With the first, the new pre-activations have the mean square of z."""
    return _stds(seen, expected, "up")


@claim(
    4,
    "Over which units does the sum run that gives one entry of the error signal?",
    of_kind("plain"),
)
def keeps_the_signal_going_down(seen: Evidence, expected: Evidence) -> Finding:
    """With the second, the factor of the layer is 1 for the error signal."""
    return _stds(seen, expected, "down")


@claim(1, "What does your code divide by if every output, or every slope, is 0?", of_kind("silent"))
def says_that_nothing_passes(seen: Evidence, expected: Evidence) -> Finding:
    """Where all outputs are zero the first is infinite, and where all slopes are, the second."""
    return _stds(seen, expected, "up", "down")


@claim(1, "On which tensor do you ask for a gradient?", needs=keeps_the_signal_going_up)
def leaves_z_alone(seen: Evidence, expected: Evidence) -> Finding:
    """z has the values, the flag and the gradient it had."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def mean_square(values: Tensor) -> float:
    return values.square().mean().item()


def root(numerator: float, denominator: float) -> float:
    """The root of the quotient; infinite where nothing passes."""
    return math.sqrt(numerator / denominator) if denominator else math.inf


def both_roots(z: float, fan_in: int, outputs: float, fan_out: int, slopes: float) -> Stds:
    return root(z, fan_in * outputs), root(1, fan_out * slopes)


def slopes_of(activation: Part, z: Tensor) -> Tensor:
    return torch.func.grad(lambda values: activation(values).sum())(z)


def measured(
    activation: Part,
    z: Tensor,
    fan_in: int,
    fan_out: int,
    signal: Part = mean_square,
    outputs: Part = mean_square,
    slope: Part = slopes_of,
    slopes: Part = mean_square,
    stds: Part = both_roots,
) -> Stds:
    """The right answer in parts."""
    passed_up, passed_down = outputs(activation(z)), slopes(slope(activation, z))
    return stds(signal(z), fan_in, passed_up, fan_out, passed_down)


def variance(values: Tensor) -> float:
    return values.var().item()


VARIANCE = (
    "A mean square is a variance.",
    "That holds for a mean of 0. The outputs of ReLU, sigmoid and softplus have a mean, and it "
    "adds to every sum. A slope of one half everywhere has no variance, and it passes a quarter of "
    "the square.",
    "What is the variance of a constant, and what is its mean square?",
)
FANS = (
    "What comes from above is summed over the inputs.",
    "A new pre-activation is a sum over the inputs of the layer. An entry of the error signal is a "
    "sum over the outputs, for it comes back from all of them.",
    "How many terms has the sum for one entry, on the way up and on the way down?",
)
RULE = (
    "One rule is for every activation.",
    "Each was made for one. He's 2 is one over the mean squared slope of a ReLU. Glorot's rule "
    "takes a slope of 1 everywhere, and it splits the difference between the fans.",
    "Where in your two numbers does the activation appear?",
)
believing = beliefs_about(measured)
BELIEFS = (  # one that shows in several ways is there for each
    believing(*VARIANCE, outputs=variance),
    believing(*VARIANCE, signal=variance, outputs=variance),
    believing(*VARIANCE, signal=variance, outputs=variance, slopes=variance),
    believing(
        "The square of the mean is the mean of the squares.",
        "For a ReLU the mean slope is one half, and squared a quarter. The mean of the squared "
        "slope is one half.",
        "What do you do first in your code, the squaring or the averaging?",
        slopes=lambda slope: slope.mean().item() ** 2,
    ),
    believing(
        "Pre-activations have mean square 1.",
        "These were measured, and have the mean square that they have.",
        "What has to stay the same from one layer to the next, going up?",
        signal=lambda z: 1.0,
    ),
    believing(*FANS, stds=lambda z, n, h, m, slope: both_roots(z, m, h, n, slope)),
    believing(*FANS, stds=lambda z, n, h, m, slope: both_roots(z, n, h, n, slope)),
    believing(
        "The variance is the scale to draw with.",
        "A normal draw is multiplied by the standard deviation, the root of the variance.",
        "What is left to do with n Var w E = 1, once Var w stands alone?",
        stds=lambda *means: tuple(std**2 for std in both_roots(*means)),
    ),
    believing(
        "A standard deviation is the end of the range.",
        "Uniform numbers between -a and a have the standard deviation a over the root of 3. Yours "
        "is the bound.",
        "Which of the two did the task ask for?",
        stds=lambda *means: tuple(math.sqrt(3) * std for std in both_roots(*means)),
    ),
    believing(
        "Up is what concerns the gradient.",
        "Values go up, from the input to the loss, and gradients come down. Yours are exchanged.",
        "Which of your two numbers holds the derivative of the activation?",
        stds=lambda *means: both_roots(*means)[::-1],
    ),
    believing(*RULE, stds=lambda z, n, h, m, slope: (math.sqrt(2 / n), math.sqrt(2 / m))),
    believing(*RULE, stds=lambda z, n, h, m, slope: (math.sqrt(2 / (n + m)),) * 2),
    believing(
        "The slope at 0 stands for the activation.",
        "It is the steepest place of tanh and sigmoid, and for a ReLU it is a corner. The z you "
        "were given lie elsewhere, too.",
        "At which points do you evaluate the derivative?",
        slope=lambda activation, z: slopes_of(activation, torch.zeros_like(z)),
    ),
    believing(
        "Some signal always passes.",
        "Where every pre-activation is negative, a ReLU passes nothing in either direction.",
        "What would be the right answer if you multiply by any weights and still get 0?",
        stds=lambda z, n, h, m, slope: (math.sqrt(z / (n * h)), 1 / math.sqrt(m * slope)),
    ),
    believing(
        "Setting requires_grad on an argument stays in the function.",
        "The underscore in requires_grad_ changes the tensor of the caller.",
        "Of what could you ask a gradient instead of the caller's own tensor?",
        slope=lambda activation, z: slopes_of(activation, z.requires_grad_().detach()),
    ),
)

EXERCISE = Exercise(
    reference=preserving_stds,
    challenge=challenge,
    observe=observe,
    hints=(
        "Going up: E[new z squared] = fan_in * Var w * E[activation(z) squared]. Set it equal to "
        "E[z squared] and solve for the root of Var w.",
        "Going down: fan_out * Var w * E[slope squared] = 1. The slopes of a function that works "
        "entry by entry are the gradient of the sum of its outputs.",
        "leaf = z.clone().requires_grad_(); torch.autograd.grad(activation(leaf).sum(), leaf)[0] "
        "holds the slopes. Use means of squares, and math.inf where one of them is 0.",
    ),
    lesson="01_gradient_vanishing",
    section="Which standard deviation keeps the variance",
    frameworks=("torch",),
    minutes=15,
    difficulty=5,
    note="Up and down agree where E[activation squared] over E[z squared] equals E[slope squared] "
    "and the fans are equal: for ReLU and its leaky relatives, and nearly for tanh close to 0.",
)
