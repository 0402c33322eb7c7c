"""Dead units of a layer under any activation, over a whole loader (torch)."""

import torch
from torch import nn
from torch.nn import functional as F

from grader.instruments import dead_units
from grader.judging.exercise import Claim, Exercise, Misconception


def find_dead_units(layer, activation, loader):
    """Find the units of a layer that are dead on all the data.

    A unit is dead if the derivative of the activation is exactly zero at its pre-activation, on
    every sample of every batch. What autograd gives is the derivative, also where a function has
    a kink. A derivative of 0.00001 is not zero.

    Args:
        layer: a module that maps inputs of shape (N, D) to pre-activations of shape (N, H).
        activation: any function from a tensor to one of the same shape that treats each number by
            itself and makes a new tensor: ``F.relu``, ``torch.sigmoid``, a ``nn.LeakyReLU()``, …
        loader: gives batches (x, y), with x of shape (N, D). The last may be smaller. It may be
            possible to walk through it only once. There is at least one batch.

    Returns:
        Bool tensor of shape (H,), True for a dead unit. The layer is left as it was, and no
        gradient stays in it.
    """
    dead = True
    for x, _ in loader:
        with torch.no_grad():  # so that z is a leaf, and the layer hears nothing of what follows
            z = layer(x)
        z.requires_grad_()
        (slope,) = torch.autograd.grad(activation(z).sum(), z)
        dead = dead & (slope == 0).all(0)
    return dead


ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": nn.LeakyReLU(0.01),
    "relu6": F.relu6,
    "softshrink": nn.Softshrink(0.5),
    "sigmoid": torch.sigmoid,
    "abs": torch.abs,
}


def observe(candidate, inputs):
    kernel, bias = torch.from_numpy(inputs["kernel"]), torch.from_numpy(inputs["bias"])
    layer = nn.utils.skip_init(nn.Linear, *kernel.shape)
    layer.load_state_dict({"weight": kernel.T, "bias": bias})
    before = _state(layer)
    loader = dead_units.batches(inputs, torch.from_numpy)
    returned = candidate(layer, ACTIVATIONS[inputs["activation"]], loader)
    after = _state(layer)
    return {
        "activation": inputs["activation"],
        "once": inputs["once"],
        "dead": dead_units.as_row(returned),
        "changed": [what for what in before if after[what] != before[what]],
    }


def _state(layer):
    """Numbers, flags, gradients and mode of the layer."""
    state = {"mode": layer.training}
    for name, parameter in layer.named_parameters():
        gradient = parameter.grad
        state[name] = parameter.detach().numpy().tobytes()
        state[f"requires_grad of {name}"] = parameter.requires_grad
        state[f"gradient of {name}"] = None if gradient is None else gradient.numpy().tobytes()
    return state


def leaves_the_layer_alone(seen, expected):
    """The layer is left as it was: its numbers, its flags, and no gradient stays in it."""
    return not seen["changed"], f"changed: {', '.join(seen['changed']) or 'nothing'}"


def _slopes(layer, activation, loader):
    """The derivative on each batch."""
    for x, _ in loader:
        z = layer(x).detach().requires_grad_()
        yield torch.autograd.grad(activation(z).sum(), z)[0]


@torch.no_grad()
def _values(layer, loader, function):
    """All values that a function of the pre-activations has on the data."""
    return torch.cat([function(layer(x)) for x, _ in loader])


def ask_for_an_output_above_zero(layer, activation, loader):
    return (_values(layer, loader, activation) <= 0).all(0)


def ask_for_an_output_of_zero(layer, activation, loader):
    return (_values(layer, loader, activation) == 0).all(0)


def ask_for_a_pre_activation_above_zero(layer, activation, loader):
    return (_values(layer, loader, lambda z: z) <= 0).all(0)


def ask_for_an_output_that_varies(layer, activation, loader):
    h = _values(layer, loader, activation)
    return (h == h[0]).all(0)


def look_at_the_first_batch(layer, activation, loader):
    return (next(_slopes(layer, activation, loader)) == 0).all(0)


def look_at_the_last_batch(layer, activation, loader):
    *_, last = _slopes(layer, activation, loader)
    return (last == 0).all(0)


def count_a_unit_dead_on_any_batch(layer, activation, loader):
    dead = [(slope == 0).all(0) for slope in _slopes(layer, activation, loader)]
    return torch.stack(dead).any(0)


def count_a_unit_dead_on_any_sample(layer, activation, loader):
    return (torch.cat([*_slopes(layer, activation, loader)]) == 0).any(0)


def call_small_zero(layer, activation, loader):
    return (torch.cat([*_slopes(layer, activation, loader)]).abs() < 0.001).all(0)


def add_the_slopes_up(layer, activation, loader):
    return torch.cat([*_slopes(layer, activation, loader)]).sum(0) == 0


def go_back_through_the_layer(layer, activation, loader):
    dead = True
    for x, _ in loader:
        z = layer(x)
        z.retain_grad()
        activation(z).sum().backward()
        dead = dead & (z.grad == 0).all(0)
    return dead


def mark_the_living(layer, activation, loader):
    return (torch.cat([*_slopes(layer, activation, loader)]) != 0).any(0)


EXERCISE = Exercise(
    reference=find_dead_units,
    challenge=dead_units.cases,
    observe=observe,
    claims=(
        *dead_units.CLAIMS,
        Claim(leaves_the_layer_alone, 1, "How far back does your derivative go?"),
    ),
    misconceptions=(
        Misconception(*dead_units.OUTPUT_ABOVE_ZERO, specimen=ask_for_an_output_above_zero),
        Misconception(*dead_units.OUTPUT_ZERO, specimen=ask_for_an_output_of_zero),
        Misconception(*dead_units.PRE_ACTIVATION, specimen=ask_for_a_pre_activation_above_zero),
        Misconception(
            "A unit whose output varies cannot be dead.",
            "One unit under ReLU6 gives 0 on some samples and 6 on the others. It lies on a flat "
            "piece every time.",
            "Which numbers would have to move for the output of one sample to move?",
            ask_for_an_output_that_varies,
        ),
        Misconception(*dead_units.FIRST_BATCH, specimen=look_at_the_first_batch),
        Misconception(*dead_units.LAST_BATCH, specimen=look_at_the_last_batch),
        Misconception(*dead_units.ANY_BATCH, specimen=count_a_unit_dead_on_any_batch),
        Misconception(
            "Dead on some sample is dead.",
            "Every ReLU is flat on some samples. That is its work.",
            "On how many samples must the derivative be zero, for a unit that never learns?",
            count_a_unit_dead_on_any_sample,
        ),
        Misconception(*dead_units.SMALL, specimen=call_small_zero),
        Misconception(
            "If the slopes add up to zero, they are zero.",
            "Slopes of -1 and 1 cancel in a sum, as in the gradient of a bias. Each of them still "
            "lets its sample through.",
            "What do you know about two numbers if you know their sum only?",
            add_the_slopes_up,
        ),
        Misconception(
            "backward() computes and leaves nothing behind.",
            "It went on through the layer and left a gradient in its weight and its bias. The "
            "next step of an optimizer would use it.",
            "What cuts the pre-activations off from the layer that made them?",
            go_back_through_the_layer,
        ),
        Misconception(*dead_units.LIVING, specimen=mark_the_living),
    ),
    hints=(
        "For one tensor z of pre-activations: how do you get the derivative of activation(z) at "
        "each of its numbers? The sum of all outputs has the gradient you need.",
        "Make z a leaf of its own, layer(x).detach().requires_grad_(). Then "
        "torch.autograd.grad(activation(z).sum(), z) gives a slope for each sample and unit.",
        "A unit is dead on a batch if all its slopes there equal 0. It is dead on the data if it "
        "is dead on the first batch and on the second and on every other.",
    ),
    lesson="02_dead_relu",
    section="Zero output is not zero derivative",
    frameworks=("torch",),
    minutes=15,
    note="Only the derivative was asked, so the same lines serve for any activation. On real data "
    "say how many samples you looked at: a unit that is dead on 1,000 may wake on the next.",
    twin="find_dead_flax_units",
)
