"""Predict what share of a fresh layer is saturated, without running it (torch)."""

import math

import torch

from grader.evidence import alike, number
from grader.exercise import Claim, Exercise, Misconception


def predict_saturated_share(activation, x, weight_std, bias_std, delta):
    """Predict the share of derivatives below delta in a layer that is drawn but not yet run.

    The layer has very many units. Each computes ``z = w · x + b`` with weights drawn from a normal
    distribution of mean 0 and standard deviation ``weight_std``, and a bias of mean 0 and standard
    deviation ``bias_std``, all independent. Give the expected share, over units and over the rows
    of ``x``, of derivatives ``f'(z)`` that are below ``delta``. Nothing is drawn: it is a formula.

    Args:
        activation: ``"sigmoid"`` or ``"tanh"``.
        x: inputs, float64 tensor of shape (N, D). Rows differ in length; one may be all
            zeros.
        weight_std: float above 0.
        bias_std: float, 0 for a layer without bias.
        delta: float above 0. It may exceed the largest derivative there is, and then all are
            below it.

    Returns:
        The share, a float from 0 to 1, exact to three digits.
    """
    steepest = {"sigmoid": 0.25, "tanh": 1.0}[activation]
    if delta > steepest:
        return 1.0
    flat_from = math.atanh(math.sqrt(1 - delta / steepest))
    if activation == "sigmoid":
        flat_from = 2 * flat_from  # sigmoid(z) = (1 + tanh(z / 2)) / 2
    s = (weight_std**2 * (x**2).sum(dim=1) + bias_std**2).sqrt()
    return (2 * torch.special.ndtr(-flat_from / s)).mean().item()


def challenge(rng):
    def case(activation, delta, weight_std, bias_std=0.0, dark=False):
        x = rng.uniform(0, 1, (4, 9)) * rng.uniform(0.2, 2.5, (4, 1))
        x[rng.integers(4)] *= 0.0 if dark else 3.0
        return {
            "activation": activation,
            "x": x,
            "weight_std": weight_std * float(rng.uniform(0.9, 1.1)),
            "bias_std": bias_std,
            "delta": delta,
        }

    return {
        "sigmoid": case("sigmoid", 0.1, 1.0),
        "tanh": case("tanh", 0.1, 0.5),
        "a bias as well": case("tanh", 0.1, 0.5, bias_std=1.5),
        "a row of zeros": case("sigmoid", 0.1, 1.0, dark=True),
        "delta above every derivative": case("sigmoid", 0.3, 1.0),
    }


def observe(candidate, inputs):
    share = candidate(
        inputs["activation"],
        torch.tensor(inputs["x"]),
        inputs["weight_std"],
        inputs["bias_std"],
        inputs["delta"],
    )
    about = {key: inputs[key] for key in ("activation", "bias_std", "delta")}
    return {"share": share, "a row of zeros": not inputs["x"].any(axis=1).all(), **about}


def predicts_sigmoid(seen, expected):
    """For sigmoid the share is right, averaged over rows of different lengths."""
    return _share(seen, expected) if _plainly(expected, "sigmoid") else None


def predicts_tanh(seen, expected):
    """For tanh the share is right."""
    return _share(seen, expected) if _plainly(expected, "tanh") else None


def counts_the_bias(seen, expected):
    """A random bias widens the pre-activations."""
    return _share(seen, expected) if expected["bias_std"] else None


def handles_a_dark_row(seen, expected):
    """Without bias, a row of zeros has z = 0 in every unit, and adds no flat derivative."""
    return _share(seen, expected) if expected["a row of zeros"] else None


def handles_a_large_delta(seen, expected):
    """Where delta exceeds every derivative there is, the share is 1."""
    return _share(seen, expected) if expected["delta"] > 0.25 else None


def _plainly(expected, activation):
    """Whether a case of this activation has nothing special about it."""
    special = expected["bias_std"] or expected["a row of zeros"] or expected["delta"] > 0.25
    return expected["activation"] == activation and not special


def _share(seen, expected):
    ours, right = seen["share"], expected["share"]
    close = alike(ours, right) or abs(ours - right) <= 5e-4 * right
    return close, f"you predict {number(ours)}, a large layer shows {number(right)}"


def _flat_from(activation, delta):
    """From which |z| on the derivative is below delta; 0 where it is everywhere."""
    if activation == "tanh":
        return math.atanh(math.sqrt(max(0.0, 1 - delta)))
    return 2 * math.atanh(math.sqrt(max(0.0, 1 - 4 * delta)))


def _tails(z, s):
    """The share of a normal distribution beyond z on either side, meaned over its widths s."""
    if z == 0:
        return 1.0
    return (2 * torch.special.ndtr(-z / s)).mean().item()


def _widths(x, weight_std, bias_std):
    return (weight_std**2 * (x**2).sum(dim=1) + bias_std**2).sqrt()


def forget_one_tail(activation, x, weight_std, bias_std, delta):
    return _tails(_flat_from(activation, delta), _widths(x, weight_std, bias_std)) / 2


def take_the_weights_width(activation, x, weight_std, bias_std, delta):
    s = torch.tensor((weight_std**2 + bias_std**2) ** 0.5)
    return _tails(_flat_from(activation, delta), s)


def count_the_inputs(activation, x, weight_std, bias_std, delta):
    s = torch.tensor((weight_std**2 * x.shape[1] + bias_std**2) ** 0.5)
    return _tails(_flat_from(activation, delta), s)


def centre_the_inputs(activation, x, weight_std, bias_std, delta):
    centred = x - x.mean(dim=1, keepdim=True)
    return _tails(_flat_from(activation, delta), _widths(centred, weight_std, bias_std))


def take_the_variance_for_the_width(activation, x, weight_std, bias_std, delta):
    return _tails(_flat_from(activation, delta), _widths(x, weight_std, bias_std) ** 2)


def take_one_width_for_all_rows(activation, x, weight_std, bias_std, delta):
    s = (_widths(x, weight_std, bias_std) ** 2).mean().sqrt()
    return _tails(_flat_from(activation, delta), s)


def take_the_mean_width(activation, x, weight_std, bias_std, delta):
    return _tails(_flat_from(activation, delta), _widths(x, weight_std, bias_std).mean())


def add_the_widths(activation, x, weight_std, bias_std, delta):
    s = weight_std * x.norm(dim=1) + bias_std
    return _tails(_flat_from(activation, delta), s)


def leave_the_bias_out(activation, x, weight_std, bias_std, delta):
    return _tails(_flat_from(activation, delta), _widths(x, weight_std, 0.0))


def take_sigmoids_point_for_both(activation, x, weight_std, bias_std, delta):
    return _tails(_flat_from("sigmoid", delta), _widths(x, weight_std, bias_std))


def measure_from_the_ends(activation, x, weight_std, bias_std, delta):
    near_one = max(0.0, 1 - delta)
    z = math.atanh(near_one) if activation == "tanh" else math.log(near_one / delta)
    return _tails(max(z, 0.0), _widths(x, weight_std, bias_std))


def average_the_squares(activation, x, weight_std, bias_std, delta):
    s = _widths(x / x.shape[1] ** 0.5, weight_std, bias_std)
    return _tails(_flat_from(activation, delta), s)


def give_percent(activation, x, weight_std, bias_std, delta):
    return 100 * _tails(_flat_from(activation, delta), _widths(x, weight_std, bias_std))


def count_the_awake(activation, x, weight_std, bias_std, delta):
    return 1 - _tails(_flat_from(activation, delta), _widths(x, weight_std, bias_std))


ONE_WIDTH = (
    "Rows of different lengths can be replaced by one of average length.",
    "The share is not proportional to the width, so the share at an average width is not the "
    "average share.",
    "What would you predict for a bright row alone, and what for a dark row alone?",
)

EXERCISE = Exercise(
    reference=predict_saturated_share,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(predicts_sigmoid, 3, "From which z on is the slope below delta, and how wide is z?"),
        Claim(predicts_tanh, 2, "Which z solves 1 - tanh(z)^2 = delta?"),
        Claim(counts_the_bias, 1, "What is the variance of a sum of independent numbers?"),
        Claim(handles_a_dark_row, 1, "What is z, and the slope there, for a row of zeros?"),
        Claim(
            handles_a_large_delta, 1, "Which units have a slope below 0.3, if none exceeds 0.25?"
        ),
    ),
    misconceptions=(
        Misconception(
            "Units saturate at the upper end.",
            "They saturate at both ends, and z is symmetric, so half of them were missed.",
            "What is the slope of the sigmoid at -5, and what at 5?",
            forget_one_tail,
        ),
        Misconception(
            "How much saturates is a matter of the weights.",
            "Pre-activations are weights times inputs. The same weights saturate on a bright image "
            "and not on a dark one.",
            "What is the variance of w · x, if each weight has variance weight_std squared?",
            take_the_weights_width,
        ),
        Misconception(
            "A sum over D inputs has D times the variance of a weight.",
            "That holds for inputs of size 1. Each weight is multiplied by its own input, which "
            "counts with its square.",
            "What is the variance of w times 0.1, compared with that of w?",
            count_the_inputs,
        ),
        Misconception(
            "What widens z is the spread of the inputs about their mean.",
            "The weights are drawn, and the inputs are given numbers. An input of 3 in every place "
            "has no spread, and w · x is wide all the same.",
            "What is w · x, if all inputs are 1?",
            centre_the_inputs,
        ),
        Misconception(
            "A normal distribution is measured in units of its variance.",
            "Its tails are counted in standard deviations, and you divided by the variance.",
            "In which unit is z, and in which is its variance?",
            take_the_variance_for_the_width,
        ),
        Misconception(*ONE_WIDTH, specimen=take_one_width_for_all_rows),
        Misconception(*ONE_WIDTH, specimen=take_the_mean_width),
        Misconception(
            "Standard deviations add up.",
            "Variances do, for independent numbers: 3 and 4 give 5, not 7.",
            "What is the variance of w · x + b?",
            add_the_widths,
        ),
        Misconception(
            "A bias of mean zero changes nothing on average.",
            "It moves half of the units up and half down, and both ways lead to an end.",
            "What happens to a unit whose bias is 5?",
            leave_the_bias_out,
        ),
        Misconception(
            "Sigmoid and tanh have the same shape, so they go flat at the same place.",
            "tanh is a sigmoid that is squeezed by two and stretched by two: its slope is 1 at "
            "zero, not a quarter.",
            "Which z solves 1 - tanh(z)^2 = delta?",
            take_sigmoids_point_for_both,
        ),
        Misconception(
            "Saturated means that the output is within delta of its end.",
            "Delta is held against the derivative. For the sigmoid at delta = 0.1 these two are "
            "z = 2.20 and z = 2.06.",
            "Which z solves a (1 - a) = delta?",
            measure_from_the_ends,
        ),
        Misconception(
            "The more inputs, the better their noise averages out.",
            "A pre-activation is a sum and no mean. Nothing divides by the number of inputs, and "
            "every one of them widens z.",
            "Does z = w · x contain a 1/D?",
            average_the_squares,
        ),
        Misconception(
            "A share is given in percent.",
            "All your numbers are a hundred times too large. Asked for was a float from 0 to 1.",
            "Which number stands for all units?",
            give_percent,
        ),
        Misconception(
            "2 Φ(z*/s) - 1 is the share beyond z*.",
            "It is the share between -z* and z*: the units that are awake.",
            "Does your share grow or fall when the weights grow?",
            count_the_awake,
        ),
    ),
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
    note="The formula holds for a fresh layer only. Training correlates weights with inputs, and "
    "then z has no reason to stay normal or centred.",
)
