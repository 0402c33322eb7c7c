"""Find the units that sit on a flat part of their activation, for any activation (torch)."""

import torch
from torch.nn import functional as F

from grader.instruments import saturation
from grader.judging.exercise import Claim, Exercise, Misconception


def find_saturated_units(activation, z, delta):
    """Mark the units of a layer that are saturated.

    A unit is saturated at ``delta`` if the absolute derivative of its activation is below
    ``delta`` on every sample. A derivative of exactly zero counts as well.

    Args:
        activation: a function of tensors that acts on each element alone and that torch can
            differentiate. It may be any: ``torch.tanh``, ``lambda z: torch.sigmoid(3 * z)``, ...
        z: pre-activations, float32, shape (..., H), two axes or more. The last one counts the H
            units; all others run over samples. You get it without ``requires_grad``, and it stays
            as it is.
        delta: float above 0.

    Returns:
        Boolean tensor of shape (H,), True where the unit is saturated.

    Raises:
        ValueError: a pre-activation is NaN.
    """
    if torch.isnan(z).any():
        raise ValueError("a pre-activation is NaN, so no unit can be judged")
    z = z.detach().requires_grad_()
    (slope,) = torch.autograd.grad(activation(z).sum(), z)
    return (slope.abs() < delta).flatten(0, -2).all(dim=0)


ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "sigmoid of 3z": lambda z: torch.sigmoid(3 * z),
    "hardtanh": F.hardtanh,
    "SiLU": F.silu,
    "leaky ReLU": lambda z: F.leaky_relu(z, saturation.LEAK),
}


def observe(candidate, inputs):
    z = torch.tensor(inputs["z"])
    seen = saturation.observed(candidate, ACTIVATIONS[inputs["activation"]], z, inputs)
    changes = {
        "requires_grad is True": z.requires_grad,
        "grad is set": z.grad is not None,
        "its values": not torch.equal(
            z.detach().nan_to_num(), torch.tensor(inputs["z"]).nan_to_num()
        ),
    }
    return {**seen, "changed": [what for what, changed in changes.items() if changed]}


def leaves_z_alone(seen, expected):
    """The tensor z is left as it was: its values, its requires_grad, its grad."""
    return not seen["changed"], f"changed on z: {', '.join(seen['changed']) or 'nothing'}"


def _slopes(activation, z):
    z = z.detach().clone().requires_grad_()
    return torch.autograd.grad(activation(z).sum(), z)[0].abs()


def _checked(z):
    if z.isnan().any():
        raise ValueError("NaN")
    return z


def _on_every_sample(flat):
    return flat.flatten(0, -2).all(dim=0)


def mark_what_is_flat_once(activation, z, delta):
    return (_slopes(activation, _checked(z)) < delta).flatten(0, -2).any(dim=0)


def mark_what_is_flat_on_average(activation, z, delta):
    return _slopes(activation, _checked(z)).flatten(0, -2).mean(dim=0) < delta


def look_at_the_size_of_the_output(activation, z, delta):
    return _on_every_sample(activation(_checked(z)).abs() > 1 - delta)


def look_at_both_ends_of_the_output(activation, z, delta):
    a = activation(_checked(z))
    return _on_every_sample((a < delta) | (a > 1 - delta))


def use_the_sigmoids_derivative(activation, z, delta):
    a = activation(_checked(z))
    return _on_every_sample((a * (1 - a)).abs() < delta)


def use_the_derivative_of_tanh(activation, z, delta):
    return _on_every_sample((1 - activation(_checked(z)) ** 2).abs() < delta)


def cut_at_four(activation, z, delta):
    return _on_every_sample(_checked(z).abs() > 4)


def keep_the_sign(activation, z, delta):
    z = _checked(z).detach().clone().requires_grad_()
    return _on_every_sample(torch.autograd.grad(activation(z).sum(), z)[0] < delta)


def judge_the_samples(activation, z, delta):
    return (_slopes(activation, _checked(z)) < delta).all(dim=-1)


def judge_each_position(activation, z, delta):
    return (_slopes(activation, _checked(z)) < delta).all(dim=0)


def mark_what_equals_delta(activation, z, delta):
    return _on_every_sample(_slopes(activation, _checked(z)) <= delta)


def mark_the_dead_only(activation, z, delta):
    return _on_every_sample(_slopes(activation, _checked(z)) == 0)


def leave_zero_slopes_out(activation, z, delta):
    slope = _slopes(activation, _checked(z))
    return _on_every_sample((slope < delta) & (slope != 0))


def leave_dead_units_out(activation, z, delta):
    slope = _slopes(activation, _checked(z))
    return _on_every_sample(slope < delta) & ~_on_every_sample(slope == 0)


def differentiate_the_mean(activation, z, delta):
    return _on_every_sample(_slopes(activation, _checked(z)) / z.numel() < delta)


def pass_over_nan(activation, z, delta):
    return _on_every_sample(_slopes(activation, z) < delta)


def differentiate_the_callers_tensor(activation, z, delta):
    _checked(z).requires_grad_(True)
    activation(z).sum().backward()
    return _on_every_sample(z.grad.abs() < delta)


EXERCISE = Exercise(
    reference=find_saturated_units,
    challenge=saturation.cases,
    observe=observe,
    claims=(
        *saturation.CLAIMS,
        Claim(leaves_z_alone, 1, "Whose tensor do you ask for a gradient?"),
    ),
    misconceptions=(
        Misconception(*saturation.ANY, specimen=mark_what_is_flat_once),
        Misconception(*saturation.AVERAGE, specimen=mark_what_is_flat_on_average),
        Misconception(*saturation.OUTPUT, specimen=look_at_the_size_of_the_output),
        Misconception(*saturation.OUTPUT, specimen=look_at_both_ends_of_the_output),
        Misconception(*saturation.SIGMOID, specimen=use_the_sigmoids_derivative),
        Misconception(*saturation.TANH, specimen=use_the_derivative_of_tanh),
        Misconception(*saturation.DISTANCE, specimen=cut_at_four),
        Misconception(*saturation.SIGNED, specimen=keep_the_sign),
        Misconception(*saturation.SAMPLES_FOR_UNITS, specimen=judge_the_samples),
        Misconception(*saturation.BATCH_ONLY, specimen=judge_each_position),
        Misconception(*saturation.EQUAL, specimen=mark_what_equals_delta),
        Misconception(*saturation.DEAD, specimen=mark_the_dead_only),
        Misconception(*saturation.ZERO, specimen=leave_zero_slopes_out),
        Misconception(*saturation.ZERO, specimen=leave_dead_units_out),
        Misconception(*saturation.MEAN, specimen=differentiate_the_mean),
        Misconception(*saturation.NO_NAN, specimen=pass_over_nan),
        Misconception(
            "A tensor that I am given is mine to differentiate.",
            "The caller's z requires a gradient from now on, and holds one. The next backward "
            "pass of the caller would add to it.",
            "Which call gives you a tensor with the same values and a history of its own?",
            differentiate_the_callers_tensor,
        ),
    ),
    hints=(
        "The derivative of each element, without a formula: what is the gradient of "
        "activation(z).sum() with respect to z?",
        "torch.autograd.grad(output, z) returns a tuple of gradients and leaves z.grad alone. "
        "z.detach().requires_grad_() is a tensor of your own with the same values.",
        "Compare the absolute slopes with delta, flatten all axes but the last into one, and ask "
        "all(dim=0). Before all that, ask torch.isnan(z).any().",
    ),
    lesson="03_saturation",
    section="Two derivatives that end in zero",
    frameworks=("torch",),
    minutes=15,
    note="One batch is a small sample: a unit that is flat on all of it may be awake on the next. "
    "paramlock.certificate asks the same question over a whole loader.",
    twin="flag_saturated_units",
)
