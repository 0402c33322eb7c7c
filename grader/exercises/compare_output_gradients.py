"""What squared error and cross-entropy send back through a sigmoid output (torch).

Evidence is the two rows of gradients. They span twenty orders of magnitude, so they are compared
by their ratio and not by their difference.
"""

import numpy as np
import torch

from grader.evidence import number, numbers
from grader.exercise import Claim, Exercise, Misconception


def compare_output_gradients(z, y):
    """Give the gradient that two losses send to the logit of a sigmoid output.

    The output is ``a = sigmoid(z)``. For each sample give the derivative with respect to ``z`` of
    the squared error ``(a - y) ** 2`` and of the binary cross-entropy
    ``-y * log(a) - (1 - y) * log(1 - a)``. Each sample stands for itself: nothing is averaged.

    Args:
        z: logits, float32 tensor of shape (N,), up to 25 in size. In float32 ``sigmoid(z)`` is
            exactly 1 from about 17 on, and your gradients are right to three digits all the same.
        y: targets, float32 tensor of shape (N,), between 0 and 1, both included.

    Returns:
        Tensor of shape (2, N): the gradients of the squared error, then those of the
        cross-entropy. Float32 or float64.
    """
    a, rest = torch.sigmoid(z), torch.sigmoid(-z)  # the rest is 1 - a without cancellation
    error = (1 - y) * a - y * rest  # a - y, also where a rounds to 1
    return torch.stack([2 * error * a * rest, error])


def challenge(rng):
    def case(low, high, targets):
        z = rng.uniform(low, high, 5) * rng.permutation([-1, -1, 1, 1, 1])
        return {"z": z.astype(np.float32), "y": np.asarray(targets(z), np.float32)}

    def certain(z):  # the target at the other end, so that the output is sure and mistaken
        return z < 0

    def right(z):
        return z > 0

    def soft(z):  # on either side of the output, and well away from it: no cancellation there
        a, gap = 1 / (1 + np.exp(-z)), rng.uniform(0.3, 0.8, 5)
        return np.where(rng.permutation([0, 0, 1, 1, 1]), gap * a, 1 - gap * (1 - a))

    return {
        "unsure outputs": case(0.2, 2.0, lambda z: rng.integers(0, 2, 5)),
        "targets between 0 and 1": case(0.2, 2.0, soft),
        "sure and mistaken": case(4.0, 8.0, certain),
        "sure and right": case(4.0, 8.0, right),
        "so sure that float32 rounds, mistaken": case(19.0, 25.0, certain),
        "so sure that float32 rounds, right": case(19.0, 25.0, right),
    }


def observe(candidate, inputs):
    gradients = candidate(torch.tensor(inputs["z"]), torch.tensor(inputs["y"]))
    if isinstance(gradients, list | tuple):
        gradients = torch.stack([torch.as_tensor(row) for row in gradients])
    return {"gradients": gradients, "z": inputs["z"], "y": inputs["y"]}


SQUARED, ENTROPY = 0, 1


def squared_error_is_right(seen, expected):
    """The gradient of the squared error is right while the output is within 8 of zero."""
    return _row(seen, expected, SQUARED) if _largest(expected) < 10 else None


def entropy_is_right(seen, expected):
    """The gradient of the cross-entropy is right while the output is within 8 of zero."""
    return _row(seen, expected, ENTROPY) if _largest(expected) < 10 else None


def squared_error_survives_rounding(seen, expected):
    """The gradient of the squared error is right to three digits where sigmoid(z) rounds to 1."""
    return _row(seen, expected, SQUARED) if _largest(expected) > 10 else None


def entropy_survives_rounding(seen, expected):
    """The gradient of the cross-entropy is right to three digits where sigmoid(z) rounds to 1."""
    return _row(seen, expected, ENTROPY) if _largest(expected) > 10 else None


def _largest(expected):
    return np.abs(expected["z"]).max()


def _row(seen, expected, row):
    ours, right = seen["gradients"][row], expected["gradients"][row]
    astray = np.flatnonzero(~(np.abs(ours - right) <= 1e-3 * np.abs(right)))
    if not len(astray):
        return True, f"they are {numbers(ours, 3)}"
    place = astray[np.argmax(expected["z"][astray])]
    at = f"z = {number(expected['z'][place])}, y = {number(expected['y'][place])}"
    return False, f"at {at} you give {number(ours[place])}, it is {number(right[place])}"


def _both(squared, entropy):
    return torch.stack([squared, entropy])


def _exact(z, y):
    """a, 1 - a and a - y in float64, which is exact enough up to 25."""
    a, rest = torch.sigmoid(z.double()), torch.sigmoid(-z.double())
    return a, rest, (1 - y) * a - y * rest


def stay_in_float32(z, y):
    a = torch.sigmoid(z)
    return _both(2 * (a - y) * a * (1 - a), a - y)


def hand_the_rounded_output_on(z, y):
    z = z.detach().clone().requires_grad_()
    a = torch.sigmoid(z)
    entropy = torch.nn.functional.binary_cross_entropy(a, y, reduction="sum")
    losses = ((a - y) ** 2).sum(), entropy
    return _both(*(torch.autograd.grad(loss, z, retain_graph=True)[0] for loss in losses))


def give_entropy_a_sigmoid_factor(z, y):
    a, rest, error = _exact(z, y)
    return _both(2 * error * a * rest, error * a * rest)


def leave_the_sigmoid_out(z, y):
    _, _, error = _exact(z, y)
    return _both(2 * error, error)


def stop_at_the_activation(z, y):
    a, rest, error = _exact(z, y)
    return _both(2 * error, error / (a * rest))


def halve_the_square(z, y):
    a, rest, error = _exact(z, y)
    return _both(error * a * rest, error)


def point_downhill(z, y):
    a, rest, error = _exact(z, y)
    return _both(-2 * error * a * rest, -error)


def average_over_the_batch(z, y):
    a, rest, error = _exact(z, y)
    return _both(2 * error * a * rest, error) / len(z)


def put_entropy_first(z, y):
    a, rest, error = _exact(z, y)
    return _both(error, 2 * error * a * rest)


def count_one_class_only(z, y):
    a, rest, error = _exact(z, y)
    return _both(2 * error * a * rest, -y * rest)


def round_the_targets(z, y):
    a, rest, error = _exact(z, (y > 0.5).double())
    return _both(2 * error * a * rest, error)


def count_a_soft_target_as_zero(z, y):
    a, rest, error = _exact(z, (y == 1).double())
    return _both(2 * error * a * rest, error)


HARD = (
    "A target is 0 or 1.",
    "Labels often are. The task allows all that lies between, as smoothed labels or probabilities "
    "do, and there both losses pull the output to y and not to an end.",
    "What are both gradients where sigmoid(z) equals y, for y = 0.3?",
)
ROUNDING = (
    "A float32 that is exactly 1 was exactly 1 before it was rounded.",
    "sigmoid(20) is 1 - 0.000000002, and float32 has no number between 1 and 1 - 0.00000006. What "
    "is subtracted from 1 afterwards is gone. Autograd computes with the same rounded numbers.",
    "Which function of z is 1 - sigmoid(z), without any subtraction from 1?",
)

EXERCISE = Exercise(
    reference=compare_output_gradients,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(squared_error_is_right, 2, "Which three factors does the chain rule give?"),
        Claim(
            entropy_is_right,
            2,
            "What is left of the derivative of -log(a), once it is multiplied by a (1 - a)?",
        ),
        Claim(squared_error_survives_rounding, 2, "What is 1 - a in float32, for z = 20?"),
        Claim(entropy_survives_rounding, 1, "What is a - y in float32, for z = 20 and y = 1?"),
    ),
    misconceptions=(
        Misconception(*ROUNDING, specimen=stay_in_float32),
        Misconception(
            "The cross-entropy of sigmoid(z) is the cross-entropy with logits.",
            "On paper it is. In float32 the first one is given a = 1 and has to divide by "
            "a (1 - a) = 0. A bound inside keeps that from failing, and the gradient becomes 0.",
            "How large is a (1 - a) at z = 20 on paper, and how large in float32?",
            hand_the_rounded_output_on,
        ),
        Misconception(
            "Every gradient through a sigmoid carries the factor a (1 - a).",
            "The derivative of the cross-entropy with respect to a has a (1 - a) in its "
            "denominator, and the two cancel. That is what the loss is for.",
            "What is the derivative of -log(sigmoid(z)) at z = -8, by a small difference?",
            give_entropy_a_sigmoid_factor,
        ),
        Misconception(
            "The gradient at the output is the error.",
            "For the cross-entropy it is. The squared error has to pass the sigmoid, whose slope "
            "at 8 is 0.0003.",
            "By how much does (sigmoid(z) - y)^2 change between z = 8 and z = 8.1?",
            leave_the_sigmoid_out,
        ),
        Misconception(
            "The gradient with respect to the output is the one with respect to the logit.",
            "You give derivatives with respect to a. Weights sit before the sigmoid, so what "
            "reaches them has passed it.",
            "Which factor leads from the derivative with respect to a to that with respect to z?",
            stop_at_the_activation,
        ),
        Misconception(
            "The squared error has a factor of one half in front.",
            "Many books write it so, and then the 2 cancels. Here there is none.",
            "What is the derivative of (a - y)^2 with respect to a?",
            halve_the_square,
        ),
        Misconception(
            "The gradient points to where the loss is lower.",
            "It points uphill, and descent subtracts it. All your signs are turned.",
            "With y = 1, does the loss grow or fall as z grows?",
            point_downhill,
        ),
        Misconception(
            "A loss over a batch is a mean, so its gradient is divided by N.",
            "Per sample, each loss stands for itself. All your numbers are N times too small.",
            "What does the gradient of one sample become when you add others to the batch?",
            average_over_the_batch,
        ),
        Misconception(
            "The order of two rows does not matter.",
            "The first row is meant to be the squared error's. Yours is the cross-entropy's.",
            "Which of your two rows is small where the output is sure and mistaken?",
            put_entropy_first,
        ),
        Misconception(
            "Cross-entropy is -y log(a).",
            "That is one half of it. A sample with y = 0 would teach nothing.",
            "What pulls the output down where y is 0?",
            count_one_class_only,
        ),
        Misconception(*HARD, specimen=round_the_targets),
        Misconception(*HARD, specimen=count_a_soft_target_as_zero),
    ),
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
    note="At z = 25 and y = 0 the two differ by ten orders of magnitude. In float32 "
    "F.binary_cross_entropy_with_logits is right there, since it is given z. At y = 1 even its "
    "gradient rounds to 0, where there is nothing left to learn.",
)
