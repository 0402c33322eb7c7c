"""The standard deviations of weights that keep the signal, up and down, for any activation."""

import math

import torch
from torch.nn import functional as F

from grader.evidence import number, told_apart
from grader.exercise import Claim, Exercise, Misconception
from grader.pairs import finding, pair


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
        z: measured pre-activations, float64, shape (samples,).
        fan_in: number of inputs of the layer, at least 1.
        fan_out: number of outputs of the layer, at least 1.

    Returns:
        Two numbers, up and down: the standard deviation of the weights for each, accurate to one
        part in a thousand; ``math.inf`` where no signal passes, whatever the weights. ``z`` stays
        as it is, its flag too.
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


ACTIVATIONS = {
    "ReLU": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "leaky ReLU": lambda z: F.leaky_relu(z, 0.1),
    "softplus": F.softplus,
    "scaled tanh": lambda z: 1.7159 * torch.tanh(2 / 3 * z),
}


def challenge(rng):
    def case(activation, mean=0.0, spread=1.0, fans=None, kind="plain"):
        fan_in, fan_out = fans or (int(n) for n in rng.choice(range(20, 400), 2, replace=False))
        z = mean + spread * rng.normal(size=400)
        inputs = {"activation": activation, "z": z, "fan_in": fan_in, "fan_out": fan_out}
        return {**inputs, "kind": kind}

    silent = case("ReLU", kind="silent")
    silent["z"] = -abs(silent["z"])
    return {
        "ReLU": case("ReLU"),
        "tanh": case("tanh"),
        "tanh, wide and off centre": case("tanh", mean=0.5, spread=2.0),
        "sigmoid": case("sigmoid"),
        "leaky ReLU, narrow": case("leaky ReLU", spread=0.3),
        "softplus": case("softplus"),
        "scaled tanh, as many inputs as outputs": case("scaled tanh", fans=(128, 128)),
        "ReLU, no pre-activation above zero": silent,
    }


def observe(candidate, inputs):
    z = torch.tensor(inputs["z"])
    arguments = (ACTIVATIONS[inputs["activation"]], z, inputs["fan_in"], inputs["fan_out"])
    stds = pair(candidate(*arguments), "up", "down")
    same = torch.equal(z, torch.tensor(inputs["z"])) and z.grad is None and not z.requires_grad
    return {"kind": inputs["kind"], **stds, "z is as it was": same}


def keeps_the_signal_going_up(seen, expected):
    """With the first, the new pre-activations have the mean square of z."""
    return _std(seen, expected, "up") if expected["kind"] == "plain" else None


def keeps_the_signal_going_down(seen, expected):
    """With the second, the factor of the layer is 1 for the error signal."""
    return _std(seen, expected, "down") if expected["kind"] == "plain" else None


def says_that_nothing_passes(seen, expected):
    """Where all outputs and slopes are zero, no weights help: both are infinite."""
    if expected["kind"] != "silent":
        return None
    met = seen["up"] == seen["down"] == math.inf
    return finding(seen, met, f"you return {number(seen['up'])} and {number(seen['down'])}")


def leaves_z_alone(seen, expected):
    """z has the values, the flag and the gradient it had."""
    verb = "are" if seen["z is as it was"] else "are not all"
    return seen["z is as it was"], f"z, its requires_grad and its grad {verb} as they were"


def _std(seen, expected, way):
    ours, right = seen[way], expected[way]
    shown, due = told_apart(ours, right)
    words = f"{way}: you return {shown}, the signal is kept at {due}"
    return finding(seen, math.isclose(ours, right, rel_tol=1e-3), words)


def _outputs_and_slopes(activation, z):
    leaf = z.detach().clone().requires_grad_()
    h = activation(leaf)
    return h.detach(), torch.autograd.grad(h.sum(), leaf)[0]


def _stds(numerator, above, below):
    """The two roots; infinite where nothing passes."""
    up = math.sqrt(numerator / above) if above else math.inf
    return up, 1 / math.sqrt(below) if below else math.inf


def take_the_variance_of_the_outputs(activation, z, fan_in, fan_out):
    h, slope = _outputs_and_slopes(activation, z)
    above = fan_in * h.var(correction=0).item()
    return _stds((z**2).mean().item(), above, fan_out * (slope**2).mean().item())


def take_variances_going_up(activation, z, fan_in, fan_out):
    h, slope = _outputs_and_slopes(activation, z)
    above = fan_in * h.var(correction=0).item()
    return _stds(z.var(correction=0).item(), above, fan_out * (slope**2).mean().item())


def take_variances_everywhere(activation, z, fan_in, fan_out):
    h, slope = _outputs_and_slopes(activation, z)
    up = math.sqrt(z.var() / (fan_in * h.var())) if h.any() else math.inf
    return up, 1 / math.sqrt(fan_out * slope.var()) if slope.any() else math.inf


def square_the_mean_slope(activation, z, fan_in, fan_out):
    h, slope = _outputs_and_slopes(activation, z)
    return _stds(
        (z**2).mean().item(), fan_in * (h**2).mean().item(), fan_out * slope.mean().item() ** 2
    )


def take_z_for_standard(activation, z, fan_in, fan_out):
    h, slope = _outputs_and_slopes(activation, z)
    return _stds(1.0, fan_in * (h**2).mean().item(), fan_out * (slope**2).mean().item())


def swap_the_fans(activation, z, fan_in, fan_out):
    h, slope = _outputs_and_slopes(activation, z)
    return _stds(
        (z**2).mean().item(), fan_out * (h**2).mean().item(), fan_in * (slope**2).mean().item()
    )


def use_fan_in_for_both(activation, z, fan_in, fan_out):
    h, slope = _outputs_and_slopes(activation, z)
    return _stds(
        (z**2).mean().item(), fan_in * (h**2).mean().item(), fan_in * (slope**2).mean().item()
    )


def return_the_variances(activation, z, fan_in, fan_out):
    return tuple(std**2 for std in preserving_stds_of(activation, z, fan_in, fan_out))


def return_the_bounds(activation, z, fan_in, fan_out):
    return tuple(math.sqrt(3) * std for std in preserving_stds_of(activation, z, fan_in, fan_out))


def preserving_stds_of(activation, z, fan_in, fan_out):
    h, slope = _outputs_and_slopes(activation, z)
    return _stds(
        (z**2).mean().item(), fan_in * (h**2).mean().item(), fan_out * (slope**2).mean().item()
    )


def swap_the_two(activation, z, fan_in, fan_out):
    return preserving_stds_of(activation, z, fan_in, fan_out)[::-1]


def take_he_for_all(activation, z, fan_in, fan_out):
    return math.sqrt(2 / fan_in), math.sqrt(2 / fan_out)


def take_glorot_for_all(activation, z, fan_in, fan_out):
    std = math.sqrt(2 / (fan_in + fan_out))
    return std, std


def take_the_slope_at_zero(activation, z, fan_in, fan_out):
    h, _ = _outputs_and_slopes(activation, z)
    _, slope = _outputs_and_slopes(activation, torch.zeros(1, dtype=z.dtype))
    return _stds((z**2).mean().item(), fan_in * (h**2).mean().item(), fan_out * slope.item() ** 2)


def divide_by_zero(activation, z, fan_in, fan_out):
    h, slope = _outputs_and_slopes(activation, z)
    up = math.sqrt((z**2).mean().item() / (fan_in * (h**2).mean().item()))
    return up, 1 / math.sqrt(fan_out * (slope**2).mean().item())


def set_the_flag_of_z(activation, z, fan_in, fan_out):
    answer = preserving_stds_of(activation, z, fan_in, fan_out)
    z.requires_grad_()
    return answer


VARIANCE = (
    "E of the squared output is its variance.",
    "That holds for a mean of 0. The outputs of ReLU, sigmoid and softplus have a mean, and it "
    "adds to every sum.",
    "What is the difference between a mean square and a variance?",
)

EXERCISE = Exercise(
    reference=preserving_stds,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(
            keeps_the_signal_going_up,
            4,
            "Of which numbers is the new pre-activation a sum, and what is their mean square?",
        ),
        Claim(
            keeps_the_signal_going_down,
            4,
            "Over which units does the sum run that gives one entry of the error signal?",
        ),
        Claim(says_that_nothing_passes, 1, "What does your code divide by if every output is 0?"),
        Claim(leaves_z_alone, 1, "On which tensor do you ask for a gradient?"),
    ),
    misconceptions=(
        Misconception(*VARIANCE, specimen=take_the_variance_of_the_outputs),
        Misconception(*VARIANCE, specimen=take_variances_going_up),
        Misconception(
            "Variance preserving means variances throughout.",
            "The conditions are on mean squares: of outputs, of slopes, of z. A slope of exactly "
            "one half everywhere has no variance, and it passes a quarter of the square.",
            "What is the variance of a constant, and what is its mean square?",
            take_variances_everywhere,
        ),
        Misconception(
            "The square of the mean is the mean of the squares.",
            "For a ReLU the mean slope is one half, and squared a quarter. The mean of the squared "
            "slope is one half.",
            "What do you do first in your code, the squaring or the averaging?",
            square_the_mean_slope,
        ),
        Misconception(
            "Pre-activations have mean square 1.",
            "These were measured, and have the mean square that they have.",
            "What has to stay the same from one layer to the next, going up?",
            take_z_for_standard,
        ),
        Misconception(
            "What comes from above is summed over the inputs.",
            "A new pre-activation is a sum over the inputs. An entry of the error signal is a sum "
            "over the outputs, for it comes back from all of them.",
            "How many terms has the sum for one entry, on the way up and on the way down?",
            swap_the_fans,
        ),
        Misconception(
            "The fan is the number of inputs.",
            "Going up it is. Going down each input of the layer hears from all of its outputs.",
            "How many terms has the sum for one entry of the error signal below?",
            use_fan_in_for_both,
        ),
        Misconception(
            "The variance is the scale to draw with.",
            "A normal draw is multiplied by the standard deviation, the root of the variance.",
            "What is left to do with n Var w E = 1, once Var w stands alone?",
            return_the_variances,
        ),
        Misconception(
            "A standard deviation is the end of the range.",
            "Uniform numbers between -a and a have the standard deviation a over the root of 3. "
            "Yours is the bound.",
            "Which of the two did the docstring ask for?",
            return_the_bounds,
        ),
        Misconception(
            "Up is what concerns the gradient.",
            "Values go up, from the input to the loss, and gradients come down. Yours are "
            "exchanged.",
            "Which of your two numbers holds the derivative of the activation?",
            swap_the_two,
        ),
        Misconception(
            "He's rule is for every activation.",
            "Its 2 is one over the mean squared slope of a ReLU. Others have other means.",
            "What is the mean squared slope of a sigmoid, a quarter at most?",
            take_he_for_all,
        ),
        Misconception(
            "Glorot's rule is for every activation.",
            "It takes a slope of 1 everywhere, and it splits the difference between the fans.",
            "Where in your two numbers does the activation appear?",
            take_glorot_for_all,
        ),
        Misconception(
            "The slope at 0 stands for the activation.",
            "It is the steepest place of tanh and sigmoid, and for a ReLU it is a corner. The z "
            "you were given lie elsewhere, too.",
            "At which points do you evaluate the derivative?",
            take_the_slope_at_zero,
        ),
        Misconception(
            "Some signal always passes.",
            "Where every pre-activation is negative, a ReLU passes nothing in either direction.",
            "What would be the right answer if you multiply by any weights and still get 0?",
            divide_by_zero,
        ),
        Misconception(
            "Setting requires_grad on an argument stays in the function.",
            "The underscore in requires_grad_ changes the tensor of the caller.",
            "Of what could you ask a gradient instead of the caller's own tensor?",
            set_the_flag_of_z,
        ),
    ),
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
    note="Up and down agree where E[activation squared] over E[z squared] equals E[slope squared] "
    "and the fans are equal: for ReLU and its leaky relatives, and nearly for tanh close to 0.",
)
