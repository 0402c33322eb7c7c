"""Find the units that sit on a flat part of their activation, for any activation (torch)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from grader.instruments import saturation
from grader.instruments.saturation import CLAIMS as CLAIMS
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim
from grader.judging.terms import Candidate, Evidence, Finding, Inputs, Part


def find_saturated_units(activation, z, delta):
    """Mark the units of a layer that are saturated.

    A unit is saturated at ``delta`` if the absolute derivative of its activation is below
    ``delta`` on every sample. A derivative of exactly zero counts as well.

    Args:
        activation: a function of tensors that acts on each element alone and that torch can
            differentiate. It may be any: ``torch.tanh``, ``lambda z: torch.sigmoid(3 * z)``, ...
        z: pre-activations, float32, shape (..., H), two axes or more. The last one counts the H
            units; all others run over samples. Infinities are judged like numbers. You get it
            without ``requires_grad``, and it stays as it is.
        delta: float above 0.

    Returns:
        Boolean tensor of shape (H,), True where the unit is saturated.

    Raises:
        ValueError: a pre-activation is NaN, whatever the derivative there.

    Example:
        >>> z = torch.tensor([[0.0, 9.0, -9.0], [9.0, 8.0, -9.0]])
        >>> find_saturated_units(torch.sigmoid, z, 0.01).tolist()
        [False, True, True]
    """
    if torch.isnan(z).any():
        raise ValueError("a pre-activation is NaN, so no unit can be judged")
    z = z.detach().requires_grad_()
    (slope,) = torch.autograd.grad(activation(z).sum(), z)
    return (slope.abs() < delta).flatten(0, -2).all(dim=0)


challenge = saturation.cases
ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "sigmoid of 3z": lambda z: torch.sigmoid(3 * z),
    "hardtanh": F.hardtanh,
    "SiLU": F.silu,
    "leaky ReLU": lambda z: F.leaky_relu(z, saturation.LEAK),
}


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    z = torch.tensor(inputs["z"])
    before = snapshot({"z": z})
    seen = saturation.observed(candidate, ACTIVATIONS[inputs["activation"]], z, inputs)
    return {**seen, "changed": changed(before, {"z": z})}


@claim(1, "Whose tensor do you ask for a gradient?", needs=saturation.judges_sigmoid_and_tanh)
def leaves_z_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The tensor z is left as it was: its values, its requires_grad, its grad."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


Activation = Callable[[Tensor], Tensor]


def refuse_nan(z: Tensor) -> None:
    if z.isnan().any():
        raise ValueError("NaN")


def derivative(activation: Activation, z: Tensor) -> Tensor:
    z = z.detach().clone().requires_grad_()
    return torch.autograd.grad(activation(z).sum(), z)[0]


def on_every_sample(flat: Tensor) -> Tensor:
    return flat.flatten(0, -2).all(dim=0)


def judged(
    activation: Activation,
    z: Tensor,
    delta: float,
    check: Part = refuse_nan,
    slope: Part = derivative,
    is_flat: Part = lambda slope, delta: slope.abs() < delta,
    per_unit: Part = on_every_sample,
) -> Tensor:
    """The right answer in parts."""
    check(z)
    return per_unit(is_flat(slope(activation, z), delta))


def differentiate_the_callers_tensor(activation: Activation, z: Tensor) -> Tensor | None:
    z.requires_grad_(True)
    activation(z).sum().backward()
    return z.grad


believing = beliefs_about(judged)
BELIEFS = (  # one that shows in several ways is there for each
    believing(*saturation.ANY, per_unit=lambda flat: flat.flatten(0, -2).any(dim=0)),
    believing(
        *saturation.AVERAGE,
        is_flat=lambda slope, delta: slope.abs().flatten(0, -2).mean(dim=0, keepdim=True) < delta,
    ),
    believing(
        *saturation.FAR,
        slope=lambda activation, z: activation(z),
        is_flat=lambda output, delta: output.abs() > 1 - delta,
    ),
    believing(
        *saturation.FAR,
        slope=lambda activation, z: activation(z),
        is_flat=lambda output, delta: (output < delta) | (output > 1 - delta),
    ),
    believing(
        *saturation.FAR,
        slope=lambda activation, z: z,
        is_flat=lambda z, delta: z.abs() > 4,
    ),
    believing(*saturation.FORMULA, slope=lambda activation, z: activation(z) * (1 - activation(z))),
    believing(*saturation.FORMULA, slope=lambda activation, z: 1 - activation(z) ** 2),
    believing(*saturation.SIGNED, is_flat=lambda slope, delta: slope < delta),
    believing(*saturation.AXES, per_unit=lambda flat: flat.all(dim=-1)),
    believing(*saturation.AXES, per_unit=lambda flat: flat.all(dim=0)),
    believing(*saturation.EQUAL, is_flat=lambda slope, delta: slope.abs() <= delta),
    believing(*saturation.DEAD, is_flat=lambda slope, delta: slope == 0),
    believing(*saturation.ZERO, is_flat=lambda slope, delta: (slope.abs() < delta) & (slope != 0)),
    believing(
        *saturation.ZERO,
        is_flat=lambda slope, delta: (slope.abs() < delta) & ~on_every_sample(slope == 0),
    ),
    believing(*saturation.MEAN, slope=lambda activation, z: derivative(activation, z) / z.numel()),
    believing(*saturation.NO_NAN, check=lambda z: None),
    believing(
        "A tensor that I am given is mine to differentiate.",
        "The caller's z requires a gradient from now on, and holds one. The next backward "
        "pass of the caller would add to it.",
        "Which call gives you a tensor with the same values and a history of its own?",
        slope=differentiate_the_callers_tensor,
    ),
)

EXERCISE = Exercise(
    reference=find_saturated_units,
    challenge=challenge,
    observe=observe,
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
    difficulty=3,
    note="One batch is a small sample: a unit that is flat on all of it may be awake on the next. "
    "paramlock.certificate asks the same question over a whole loader.",
    twin="flag_saturated_units",
)
