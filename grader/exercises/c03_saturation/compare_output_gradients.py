"""What squared error and cross-entropy send back through a sigmoid output (torch).

The gradients span twenty orders of magnitude. So claims compare them by their ratio, and evidence
holds them on a logarithmic scale too, where one that was rounded to 0 differs from a small one.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from grader.instruments.snapshots import changed, snapshot
from grader.instruments.words import listed
from grader.judging.evidence import number, numbers, plain, told_apart
from grader.judging.exercise import Exercise, belief, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def compare_output_gradients(z, y):
    """Give the gradient that two losses send to the logit of a sigmoid output.

    The output is ``a = sigmoid(z)``. For each sample give the derivative with respect to ``z`` of
    the squared error ``(a - y) ** 2`` and of the binary cross-entropy
    ``-y * log(a) - (1 - y) * log(1 - a)``. Each sample stands for itself: nothing is averaged.

    Args:
        z: logits, float32 tensor of shape (N,), up to 25 in size. In float32 ``sigmoid(z)`` is
            exactly 1 from about 17 on, and your gradients are right to three digits all the same.
        y: targets, float32 tensor of shape (N,), between 0 and 1, both included. Like ``z`` it
            stays as it is.

    Returns:
        Tensor of shape (2, N): the gradients of the squared error, then those of the
        cross-entropy. Float32 or float64.

    Example:
        >>> compare_output_gradients(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0])).tolist()
        [[-0.25, 0.25], [-0.5, 0.5]]
    """
    a, rest = torch.sigmoid(z), torch.sigmoid(-z)  # the rest is 1 - a without cancellation
    error = (1 - y) * a - y * rest  # a - y, also where a rounds to 1
    return torch.stack([2 * error * a * rest, error])


def challenge(rng: np.random.Generator) -> Challenge:
    def logits(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, 5) * rng.permutation([-1, -1, 1, 1, 1])

    def between(z: np.ndarray) -> np.ndarray:
        """Targets on either side of sigmoid(z), and well away from it."""
        a, gap = 1 / (1 + np.exp(-z)), rng.uniform(0.3, 0.8, 5)
        return np.where(rng.permutation([0, 0, 1, 1, 1]), 1 - gap * (1 - a), gap * a)

    def case(z: np.ndarray, y: np.ndarray, kind: str = "exact") -> Inputs:
        return {"z": z.astype(np.float32), "y": y.astype(np.float32), "kind": kind}

    unsure, soft, sure = logits(0.2, 2), logits(0.2, 2), logits(4, 8)
    surer, far = logits(13, 16), logits(19, 25)
    return {
        "unsure outputs": case(unsure, rng.integers(0, 2, 5)),
        "a single sample": case(unsure[:1], rng.integers(0, 2, 1)),
        "targets between 0 and 1": case(soft, between(soft)),
        "sure and mistaken": case(sure, sure < 0),
        "sure and right": case(sure, sure > 0),
        "float32 keeps few digits of 1 - a, mistaken": case(surer, surer < 0, "rounded"),
        "float32 keeps few digits of 1 - a, right": case(surer, surer > 0, "rounded"),
        "so sure that float32 rounds, targets between 0 and 1": case(
            far, rng.uniform(0.2, 0.8, 5), "rounded"
        ),
        "so sure that float32 rounds, mistaken": case(far, far < 0, "rounded"),
        "so sure that float32 rounds, right": case(far, far > 0, "rounded"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    given = {name: torch.tensor(inputs[name]) for name in ("z", "y")}
    before = snapshot(given)
    gradients = candidate(*given.values())
    if isinstance(gradients, list | tuple):
        gradients = torch.stack([torch.as_tensor(row) for row in gradients])
    sizes = _log10_of_size(plain(gradients))
    left = changed(before, given)
    return {**inputs, "gradients": gradients, "log10 of size": sizes, "changed": left}


def _log10_of_size(gradients: Any) -> Any:
    """Of 0 it is minus infinity; of what is no array there is none."""
    if not isinstance(gradients, np.ndarray):
        return None
    with np.errstate(divide="ignore"):
        return np.log10(np.abs(gradients, dtype=np.float64))


SQUARED, ENTROPY = 0, 1


@claim(2, "Which three factors does the chain rule give?", of_kind("exact"))
def squared_error_is_right(seen: Evidence, expected: Evidence) -> Finding:
    """The gradient of the squared error is right while the logit is within 8 of zero."""
    return _row(seen, expected, SQUARED)


@claim(2, "What is left of the slope of -log(a), times a (1 - a)?", of_kind("exact"))
def entropy_is_right(seen: Evidence, expected: Evidence) -> Finding:
    """The gradient of the cross-entropy is right while the logit is within 8 of zero."""
    return _row(seen, expected, ENTROPY)


@claim(1, "What is 1 - a in float32, for z = 20?", of_kind("rounded"))
def squared_error_survives_rounding(seen: Evidence, expected: Evidence) -> Finding:
    """The gradient of the squared error is right to three digits where 1 - a gets lost."""
    return _row(seen, expected, SQUARED)


@claim(1, "What is a - y in float32, for z = 20 and y = 1?", of_kind("rounded"))
def entropy_survives_rounding(seen: Evidence, expected: Evidence) -> Finding:
    """The gradient of the cross-entropy is right to three digits where 1 - a gets lost."""
    return _row(seen, expected, ENTROPY)


@claim(1, "Which of your lines writes into a tensor it was given?", needs=entropy_is_right)
def leaves_its_inputs(seen: Evidence, expected: Evidence) -> Finding:
    """The tensors z and y are left as they were, also their requires_grad and grad."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def _row(seen: Evidence, expected: Evidence, row: int) -> Finding:
    ours, right = seen["gradients"][row], expected["gradients"][row]
    astray = np.flatnonzero(~(np.abs(ours - right) <= 1e-3 * np.abs(right)))
    if not len(astray):
        return True, f"they are {numbers(ours, 3)}"
    place = astray[np.argmax(expected["z"][astray])]
    at = f"z = {number(expected['z'][place])}, y = {number(expected['y'][place])}"
    shown, due = told_apart(ours[place], right[place])
    return False, f"at {at} you give {shown}, it is {due}"


def chained(
    z: Tensor,
    y: Tensor,
    precise: Part = Tensor.double,
    rest: Part = lambda z: torch.sigmoid(-z),
    target: Part = lambda y: y,
    error: Part = lambda a, rest, y: (1 - y) * a - y * rest,
    squared: Part = lambda error, slope: 2 * error * slope,
    entropy: Part = lambda error, slope: error,
    rows: Part = lambda squared, entropy: torch.stack([squared, entropy]),
) -> Tensor:
    """The right answer in parts."""
    a, complement = torch.sigmoid(precise(z)), rest(precise(z))
    gap, slope = error(a, complement, target(precise(y))), a * complement
    return rows(squared(gap, slope), entropy(gap, slope))


HARD = (
    "A target is 0 or 1.",
    "Labels often are. The task allows all that lies between, as smoothed labels or probabilities "
    "do, and there both losses pull the output to y and not to an end.",
    "What are both gradients where sigmoid(z) equals y, for y = 0.3?",
)
believing = beliefs_about(chained)
BELIEFS = (  # one that shows in two ways is there twice
    believing(
        "A float32 that is exactly 1 was exactly 1 before it was rounded.",
        "sigmoid(20) is 1 - 0.000000002, and float32 has no number between 1 and 1 - 0.00000006. "
        "What is subtracted from 1 afterwards is gone. Autograd computes with the same rounded "
        "numbers.",
        "Which function of z is 1 - sigmoid(z), without any subtraction from 1?",
        precise=lambda z: z,
        rest=lambda z: 1 - torch.sigmoid(z),
        error=lambda a, rest, y: a - y,
    ),
    believing(
        "Every gradient through a sigmoid carries the factor a (1 - a).",
        "The derivative of the cross-entropy with respect to a has a (1 - a) in its "
        "denominator, and the two cancel. That is what the loss is for.",
        "What is the derivative of -log(sigmoid(z)) at z = -8, by a small difference?",
        entropy=lambda error, slope: error * slope,
    ),
    believing(
        "The gradient at the output is the error.",
        "For the cross-entropy it is. The squared error has to pass the sigmoid, whose slope "
        "at 8 is 0.0003.",
        "By how much does (sigmoid(z) - y)^2 change between z = 8 and z = 8.1?",
        squared=lambda error, slope: 2 * error,
    ),
    believing(
        "The gradient with respect to the output is the one with respect to the logit.",
        "You give derivatives with respect to a. Weights sit before the sigmoid, so what "
        "reaches them has passed it.",
        "Which factor leads from the derivative with respect to a to that with respect to z?",
        squared=lambda error, slope: 2 * error,
        entropy=lambda error, slope: error / slope,
    ),
    believing(
        "The squared error has a factor of one half in front.",
        "Many books write it so, and then the 2 cancels. Here there is none.",
        "What is the derivative of (a - y)^2 with respect to a?",
        squared=lambda error, slope: error * slope,
    ),
    believing(
        "The gradient points to where the loss is lower.",
        "It points uphill, and descent subtracts it. All your signs are turned.",
        "With y = 1, does the loss grow or fall as z grows?",
        error=lambda a, rest, y: y * rest - (1 - y) * a,
    ),
    believing(
        "A loss over a batch is a mean, so its gradient is divided by N.",
        "Per sample, each loss stands for itself. All your numbers are N times too small.",
        "What does the gradient of one sample become when you add others to the batch?",
        rows=lambda squared, entropy: torch.stack([squared, entropy]) / len(squared),
    ),
    believing(
        "The order of two rows does not matter.",
        "The first row is meant to be the squared error's. Yours is the cross-entropy's.",
        "Which of your two rows is small where the output is sure and mistaken?",
        rows=lambda squared, entropy: torch.stack([entropy, squared]),
    ),
    believing(*HARD, target=lambda y: (y > 0.5).double()),
    believing(*HARD, target=lambda y: (y == 1).double()),
)


@belief(
    "The cross-entropy of sigmoid(z) is the cross-entropy with logits.",
    "On paper it is. In float32 the first one is given a = 1 and has to divide by "
    "a (1 - a) = 0. A bound inside keeps that from failing, and the gradient becomes 0.",
    "How large is a (1 - a) at z = 20 on paper, and how large in float32?",
)
def hand_the_rounded_output_on(z: Tensor, y: Tensor) -> Tensor:
    z = z.detach().clone().requires_grad_()
    a = torch.sigmoid(z)
    losses = ((a - y) ** 2).sum(), F.binary_cross_entropy(a, y, reduction="sum")
    return torch.stack([torch.autograd.grad(loss, z, retain_graph=True)[0] for loss in losses])


@belief(
    "Cross-entropy is -y log(a).",
    "That is one half of it. A sample with y = 0 would teach nothing.",
    "What pulls the output down where y is 0?",
)
def count_one_class_only(z: Tensor, y: Tensor) -> Tensor:
    a, rest = torch.sigmoid(z.double()), torch.sigmoid(-z.double())
    return torch.stack([2 * ((1 - y) * a - y * rest) * a * rest, -y * rest])


EXERCISE = Exercise(
    reference=compare_output_gradients,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write the chain rule for both: dL/dz = dL/da · da/dz with da/dz = a (1 - a). What cancels "
        "in the second one?",
        "1 - sigmoid(z) is sigmoid(-z), and computed like that it does not round to zero.",
        "With rest = sigmoid(-z): the error a - y equals (1 - y) a - y rest, also where a is 1. "
        "Doing it all in float64 is a way as well, up to |z| = 25.",
    ),
    lesson="03_saturation",
    section="The loss at a saturated output",
    frameworks=("torch",),
    minutes=15,
    difficulty=3,
    note="At z = 25 and y = 0 the two differ by ten orders of magnitude. In float32 "
    "F.binary_cross_entropy_with_logits is right there, since it is given z. At y = 1 even its "
    "gradient rounds to 0, where there is nothing left to learn.",
)
