"""Dead units of a layer under any activation, over a whole loader (torch)."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.instruments import dead_units
from grader.instruments.snapshots import changed, gradients_now, snapshot
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def find_dead_units(layer, activation, loader):
    """Find the units of a layer that are dead on all the data.

    A unit is dead if the derivative of the activation is exactly zero at its pre-activation, on
    every sample of every batch. What autograd gives is the derivative, also where a function has
    a kink. A derivative of 0.00001 is not zero.

    Args:
        layer: a module that maps inputs of shape (N, D) to pre-activations of shape (N, H). It may
            be made of several modules, and it may be frozen.
        activation: any function from a tensor to one of the same shape that treats each number by
            itself and makes a new tensor: ``F.relu``, ``torch.sigmoid``, a ``nn.LeakyReLU()``, …
        loader: gives batches (x, y), with x of shape (N, D); y plays no part. The last batch may be
            smaller. It may be possible to walk through it only once. There is at least one batch.

    Returns:
        Bool tensor of shape (H,), True for a dead unit. Layer and batches are left as they were,
        and no gradient stays in them.

    Example:
        >>> layer = nn.Linear(1, 2)
        >>> layer.weight.data = torch.tensor([[1.0], [1.0]])
        >>> layer.bias.data = torch.tensor([0.0, -9.0])
        >>> loader = [(torch.tensor([[-1.0], [-2.0]]), None), (torch.tensor([[3.0]]), None)]
        >>> find_dead_units(layer, torch.relu, loader).tolist()
        [False, True]
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


def challenge(rng: np.random.Generator) -> Challenge:
    """The cases of the twin, and two of layers that only torch has."""
    return {
        **dead_units.cases(rng),
        "ReLU, a layer made of two": dead_units.case(rng, "relu", "two"),
        "ReLU, a frozen layer": dead_units.case(rng, "relu", "frozen"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    layer = _layer(inputs)
    pairs = list(dead_units.batches(inputs, torch.tensor))
    xs = {f"x of batch {i}": x for i, (x, _) in enumerate(pairs, 1)}
    before = snapshot(layer, xs)
    loader = dead_units.loader(inputs, pairs)
    returned = candidate(layer, ACTIVATIONS[inputs["activation"]], loader)
    return {
        "activation": inputs["activation"],
        "kind": inputs["kind"],
        "dead": dead_units.as_row(returned),
        "changed": changed(before, layer, xs),
        "gradients": gradients_now(before, layer),
    }


def _layer(inputs: Inputs) -> nn.Module:
    """One that only mixes and shifts, by itself or above one that leaves everything as it is."""
    kernel, bias = torch.from_numpy(inputs["kernel"]), torch.from_numpy(inputs["bias"])
    layer = nn.utils.skip_init(nn.Linear, *kernel.shape)
    layer.load_state_dict({"weight": kernel.T, "bias": bias})
    layer.requires_grad_(inputs["kind"] != "frozen")
    return nn.Sequential(nn.Identity(), layer) if inputs["kind"] == "two" else layer


CLAIMS = dead_units.CLAIMS


@claim(
    1,
    "What do you ask of the layer besides its output?",
    of_kind("two", "frozen"),
    needs=dead_units.marks_the_dead,
)
def takes_any_layer(seen: Evidence, expected: Evidence) -> Finding:
    """The layer may be made of several modules, and it may be frozen."""
    return dead_units.judged_alike(seen, expected)


@claim(1, "How far back does your derivative go?", needs=dead_units.marks_the_dead)
def leaves_the_layer_alone(seen: Evidence, expected: Evidence) -> Finding:
    """Layer and batches are left as they were: numbers, flags, and no gradient stays in them."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def _slope(layer: nn.Module, activation: Part, x: Tensor) -> Tensor:
    z = layer(x).detach().requires_grad_()
    return torch.autograd.grad(activation(z).sum(), z)[0]


def judged(
    layer: nn.Module,
    activation: Part,
    loader: Iterable[tuple[Tensor, Tensor]],
    number: Part = _slope,
    together: Part = torch.cat,
    is_dead: Part = lambda numbers: (numbers == 0).all(0),
) -> Tensor:
    """The right answer in parts."""
    return is_dead(together([number(layer, activation, x) for x, _ in loader]))


def _kept_slope(layer: nn.Module, activation: Part, x: Tensor) -> Tensor:
    z = layer(x)
    z.retain_grad()
    activation(z).sum().backward()
    return z.grad


def _weights_gradient(layer: nn.Linear, activation: Part, x: Tensor) -> Tensor:
    """Its largest size in each row of the weight, as a batch of one."""
    (gradient,) = torch.autograd.grad(activation(layer(x)).sum(), layer.weight)
    return gradient.abs().amax(1)[None]


def _kept_gradient(name: str) -> Part:
    """The gradient that a backward pass leaves in a parameter, as a batch of one."""

    def gradient(layer: nn.Linear, activation: Part, x: Tensor) -> Tensor:
        layer.zero_grad()
        activation(layer(x)).sum().backward()
        return getattr(layer, name).grad.reshape(len(layer.bias), -1).T

    return gradient


believing = beliefs_about(judged)
BELIEFS = (  # one that shows in several ways is there several times
    believing(
        *dead_units.OUTPUT_ABOVE_ZERO,
        number=lambda layer, activation, x: activation(layer(x)),
        is_dead=lambda outputs: (outputs <= 0).all(0),
    ),
    believing(
        *dead_units.OUTPUT_ZERO,
        number=lambda layer, activation, x: activation(layer(x)),
    ),
    believing(
        *dead_units.PRE_ACTIVATION,
        number=lambda layer, activation, x: layer(x),
        is_dead=lambda z: (z <= 0).all(0),
    ),
    believing(
        *dead_units.VARYING,
        number=lambda layer, activation, x: activation(layer(x)),
        is_dead=lambda outputs: (outputs == outputs[0]).all(0),
    ),
    believing(*dead_units.FIRST_BATCH, together=lambda batches: batches[0]),
    believing(*dead_units.LAST_BATCH, together=lambda batches: batches[-1]),
    believing(
        *dead_units.SOME_OF_THE_DATA,
        is_dead=lambda slopes: (slopes == 0).any(0),
    ),
    believing(
        *dead_units.SOME_OF_THE_DATA,
        together=lambda batches: torch.stack([slopes.abs().amax(0) for slopes in batches]),
        is_dead=lambda largest: (largest == 0).any(0),
    ),
    believing(*dead_units.SMALL, is_dead=lambda slopes: (slopes.abs() < 0.001).all(0)),
    believing(*dead_units.SUM, is_dead=lambda slopes: slopes.sum(0) == 0),
    believing(
        *dead_units.SUM,
        number=_kept_gradient("bias"),
        is_dead=lambda gradients: gradients.sum(0) == 0,
    ),
    believing(*dead_units.WEIGHTS, number=_weights_gradient),
    believing(*dead_units.WEIGHTS, number=_kept_gradient("weight")),
    believing(
        "backward() computes and leaves nothing behind.",
        "It went on through the layer and left a gradient in its weight and its bias. The "
        "next step of an optimizer would use it.",
        "What cuts the pre-activations off from the layer that made them?",
        number=_kept_slope,
    ),
    believing(*dead_units.LIVING, is_dead=lambda slopes: (slopes != 0).any(0)),
)

EXERCISE = Exercise(
    reference=find_dead_units,
    challenge=challenge,
    observe=observe,
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
    difficulty=3,
    note="Only the derivative was asked, so the same lines serve for any activation. On real data "
    "say how many samples you looked at: a unit that is dead on 1,000 may wake on the next.",
    twin="find_dead_flax_units",
)
