"""Bring saturated units back by rescaling their weights, in place (torch)."""

import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grader.instruments.snapshots import changed, snapshot
from grader.instruments.words import listed
from grader.judging.evidence import number, numbers, told_apart
from grader.judging.exercise import Exercise, belief, beliefs_about, claim
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def rescale_saturated_units(layer, x, target):
    """Shrink the weights of the units whose pre-activations are too large.

    The *size* of a unit is the root mean square of its pre-activations over the rows of ``x``.
    Every unit of a size above ``target`` gets its incoming weights and its bias divided by one
    positive number, such that its size becomes ``target``. So each of its pre-activations shrinks
    by that factor and keeps its sign. All other units keep every bit.

    The layer is changed in place: an optimizer that holds its parameters goes on with them. Nothing
    else about the layer changes, and ``x`` stays as it is.

    Args:
        layer: ``torch.nn.Linear`` with D inputs and H outputs, with or without bias.
        x: inputs, float32 tensor of shape (N, D).
        target: the largest size allowed, float above 0.

    Returns:
        Tensor of shape (H,): the number by which each unit's weights were divided, exactly 1
        where nothing was changed.

    Example:
        >>> layer = torch.nn.Linear(1, 2, bias=False)
        >>> layer.weight.data = torch.tensor([[8.0], [1.0]])
        >>> rescale_saturated_units(layer, torch.tensor([[1.0], [-1.0]]), 2.0).tolist()
        [4.0, 1.0]
        >>> layer.weight.tolist()
        [[2.0], [1.0]]
    """
    with torch.no_grad():
        size = layer(x).square().mean(dim=0).sqrt()
        factor = (size / target).clamp(min=1)
        layer.weight.div_(factor[:, None])
        if layer.bias is not None:
            layer.bias.div_(factor)
    return factor


def challenge(rng: np.random.Generator) -> Challenge:
    def case(samples: int, inputs: int, bias: float = 1.0, more: int = 0) -> dict[str, Any]:
        """Units of sizes on either side of the target; a large bias makes the last one large."""
        target = float(rng.uniform(0.9, 1.5))
        others = [0.05, 0.9 * target, 1.2 * target, 60.0, *rng.uniform(2, 40, more)]
        sizes = np.array([*rng.permutation(others), 20.0])
        x = rng.normal(1, 1, (samples, inputs)).astype(np.float32)
        weight = rng.normal(size=(len(sizes), inputs))
        shift = np.append(rng.normal(size=len(others)), 8.0) * bias
        weight[-1] *= 0.1 if bias else 1.0
        z = x @ weight.T + shift
        scale = sizes / np.sqrt((z**2).mean(axis=0))
        return {
            "x": x,
            "weight": (weight * scale[:, None]).astype(np.float32),
            "bias": (shift * scale).astype(np.float32) if bias else None,
            "target": target,
            "frozen": False,
        }

    silent, small = case(7, 5), case(6, 4)
    for name in ("weight", "bias", "target"):
        small[name] = small[name] * 1e-7
    silent["weight"][1] = silent["bias"][1] = 0
    return {
        "as many samples and inputs as units": case(5, 5),
        "without bias": case(6, 3, bias=0.0),
        "a unit whose weights are all zero": silent,
        "numbers near 1e-7": small,
        "eight units, frozen": case(6, 3, more=3) | {"frozen": True},
        "nothing is too large": {**case(6, 3), "target": 100.0},
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    layer, x = _layer(inputs), torch.tensor(inputs["x"])
    held, before, given = list(layer.parameters()), snapshot(layer), snapshot({"x": x})
    values = [parameter.detach().clone() for parameter in held]
    factors = candidate(layer, x, inputs["target"])
    now, touched = list(layer.parameters()), {*changed(before, layer), *changed(given, {"x": x})}
    swapped, fresh = [*map(id, held)] != [*map(id, now)], torch.tensor(inputs["x"])
    return {
        "factors": np.asarray(factors) if isinstance(factors, list | tuple) else factors,
        "before": nn.functional.linear(fresh, *values),
        "after": nn.functional.linear(fresh, layer.weight, layer.bias),  # whatever hooks there are
        "kept": _kept(values, now),
        "others": sorted(touched - {"weight", "bias"}) + ["the Parameter objects"] * swapped,
        "target": inputs["target"],
    }


def _layer(inputs: Inputs) -> nn.Linear:
    units, width = inputs["weight"].shape
    layer = nn.Linear(width, units, bias=inputs["bias"] is not None)
    layer.load_state_dict({name: torch.tensor(inputs[name]) for name in layer.state_dict()})
    for parameter in layer.parameters():
        parameter.grad = torch.ones_like(parameter)
    return layer.requires_grad_(not inputs["frozen"])


def _kept(before: list[Tensor], after: list[nn.Parameter]) -> list[int]:
    """The units whose weights and bias are the same to the last bit."""
    pairs = zip(before, after, strict=False)  # an answer may have hung a bias on the layer
    same = [torch.eq(*pair).reshape(len(pair[0]), -1).all(dim=1) for pair in pairs]
    return torch.stack(same).all(dim=0).nonzero()[:, 0].tolist()


def _sizes(z: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(z, dtype=np.float64).mean(axis=0))


def _large(expected: Evidence) -> np.ndarray:
    return np.flatnonzero(_sizes(expected["before"]) > expected["target"])


def _has_large(expected: Evidence) -> bool:
    return len(_large(expected)) > 0


@claim(3, "How large is each unit after your call, and before it?", _has_large)
def shrinks_to_the_target(seen: Evidence, expected: Evidence) -> Finding:
    """A unit whose size is above the target has the target as its size afterwards."""
    target, large = expected["target"], _large(expected)
    before, after = _sizes(expected["before"]), _sizes(seen["after"])
    astray = [unit for unit in large if not abs(after[unit] - target) <= 1e-3 * target]
    unit = max(astray or large, key=lambda unit: abs(after[unit] - target))
    shown, due = told_apart(after[unit], target)
    sizes = f"{number(before[unit])} before and {shown} after"
    return not astray, f"unit {unit} has size {sizes}, the target is {due}"


@claim(2, "Which terms of z = w · x + b does your division reach?", _has_large)
def divides_by_one_number(seen: Evidence, expected: Evidence) -> Finding:
    """All pre-activations of a unit shrink by one positive factor, so they keep their signs."""
    for unit in _large(expected):
        old, new = expected["before"][:, unit], seen["after"][:, unit]
        slope = (old @ new) / (old @ old)
        if not (0 < slope < 1 and np.allclose(new, slope * old, atol=1e-3 * _sizes(new))):
            values = f"{numbers(old, 3)} before and {numbers(new, 3)} after"
            return False, f"the pre-activations of unit {unit} are {values}"
    return True, "they did"


@claim(1, "What does your code do with a factor below 1?", needs=divides_by_one_number)
def leaves_the_others(seen: Evidence, expected: Evidence) -> Finding:
    """A unit whose size is within the target keeps every bit."""
    lost = [unit for unit in expected["kept"] if unit not in seen["kept"]]
    words = f"units {lost} changed, their sizes were {numbers(_sizes(expected['before'])[lost])}"
    return not lost, f"{words}, the target is {number(expected['target'])}"


@claim(1, "By which number was each row of the weight divided?")
def returns_the_factors(seen: Evidence, expected: Evidence) -> Finding:
    """The answer is the number by which each unit was divided, 1 where nothing was changed."""
    ours, right = seen["factors"], expected["factors"]
    astray = np.flatnonzero(~np.isclose(ours, right, rtol=1e-3, atol=0))
    unit = next(iter(astray), 0)
    shown, due = told_apart(ours[unit], right[unit])
    words = f"for unit {unit} you return {shown}, its weights were to be divided by {due}"
    return not len(astray), words


@claim(
    1,
    "What does an optimizer find when it comes back to this layer?",
    needs=divides_by_one_number,
)
def changes_in_place(seen: Evidence, expected: Evidence) -> Finding:
    """The layer holds the same Parameter objects as before, and nothing but numbers changed."""
    others = seen["others"]
    return not others, f"beside the layer's numbers there changed: {listed(others)}"


@torch.no_grad()
def divided(
    layer: nn.Linear,
    x: Tensor,
    target: float,
    size: Part = lambda layer, x: layer(x).square().mean(0).sqrt(),
    factor: Part = lambda size, target: (size / target).clamp(min=1),
    weight: Part = lambda layer, factors, target: layer.weight.div_(factors[:, None]),
    bias: Part = lambda layer, factors, target: layer.bias is None or layer.bias.div_(factors),
) -> Tensor:
    """The right answer in parts."""
    factors = factor(size(layer, x), target)
    weight(layer, factors, target)
    bias(layer, factors, target)
    return factors


SPREAD = (
    "A unit is saturated if its pre-activations are spread widely.",
    "A unit whose pre-activations all lie near 20 has hardly any spread, and its slope is zero "
    "everywhere. Size is measured from zero, where the slope is.",
    "What are mean and spread of the pre-activations of the unit named above?",
)
ANY_AVERAGE = (
    "Any measure of size is as good as the root mean square.",
    "Of 0 and 2 the mean absolute value is 1, the largest 2, and the root mean square 1.41. By "
    "the first a unit ends larger than the target, and by the second one outlier decides.",
    "What is the root mean square of the unit after your call?",
)
A_PART = (
    "What makes a unit large is its weights.",
    "z is w · x + b. The same weights are large on bright images and small on dark ones, and a "
    "unit can be small in w · x and far out by its bias alone.",
    "What does layer(x) give for the unit named above, and which part of it do you measure?",
)
NO_BIAS = (
    "Every linear layer has a bias.",
    "With bias=False the attribute is there and holds None. Under a BatchNorm that is common.",
    "What is layer.bias of torch.nn.Linear(3, 5, bias=False)?",
)
believing = beliefs_about(divided)
BELIEFS = (  # one that shows in two ways is there twice
    believing(
        "To rescale a unit is to rescale its weights.",
        "The bias stays large, and against smaller weights it weighs more: the unit now says "
        "the same for almost every input.",
        "Which two terms make z, and which of them did you divide?",
        bias=lambda layer, factors, target: None,
    ),
    believing(*SPREAD, size=lambda layer, x: layer(x).std(0)),
    believing(*SPREAD, size=lambda layer, x: layer(x).std(0, correction=0)),
    believing(
        "The size of a unit is its mean square.",
        "That has the unit of z squared. Divided by it, a unit of size 60 ends at a sixtieth "
        "of the target or so, and learns as little as before.",
        "By what do you divide numbers of size 60 to get numbers of size 1?",
        size=lambda layer, x: layer(x).square().mean(0),
    ),
    believing(*ANY_AVERAGE, size=lambda layer, x: layer(x).abs().mean(0)),
    believing(*ANY_AVERAGE, size=lambda layer, x: layer(x).abs().amax(0)),
    believing(*A_PART, size=lambda layer, x: layer.weight.norm(dim=1)),
    believing(*A_PART, size=lambda layer, x: (x @ layer.weight.T).square().mean(0).sqrt()),
    believing(*NO_BIAS, bias=lambda layer, factors, target: layer.bias.div_(factors)),
    believing(*NO_BIAS, bias=lambda layer, factors, _: operator.itruediv(layer.bias, factors)),
    believing(
        "All units should have the same size.",
        "Units below the target were blown up. They learned well as they were, and one whose "
        "weights are all zero has no size to divide by.",
        "Which units does the task ask you to leave alone?",
        factor=lambda size, target: size / target,
    ),
    believing(
        "A layer has one scale.",
        "One factor cannot help a unit of size 60 without silencing one of size 0.6.",
        "How many factors are there, if each unit is to keep or to reach its own size?",
        size=lambda layer, x: layer(x).square().mean().sqrt().expand(layer.out_features),
    ),
    believing(
        "Torch knows that one number per unit belongs to the rows.",
        "Broadcasting aligns the last axis. The weight of a Linear has shape (outputs, "
        "inputs), so you divided its columns, the inputs, where the numbers happened to fit.",
        "What shape must the factors have to be divided into rows?",
        weight=lambda layer, factors, target: layer.weight.div_(factors),
    ),
    believing(
        "A layer with new parameters trains on under the old optimizer.",
        "The optimizer holds the old tensors. It would go on with those, and the layer would "
        "stay as you left it.",
        "How do you change the numbers inside a Parameter without making a new one?",
        weight=lambda layer, factors, target: setattr(
            layer, "weight", nn.Parameter(layer.weight / factors[:, None])
        ),
        bias=lambda layer, factors, target: setattr(
            layer, "bias", layer.bias if layer.bias is None else nn.Parameter(layer.bias / factors)
        ),
    ),
    believing(
        "Saturation comes from a few weights that are too large.",
        "Clipping turns the direction of the weight vector, and many small weights still add "
        "up to a large z.",
        "What must be the same for all weights of a unit, if its z is to shrink by a factor?",
        weight=lambda layer, factors, target: layer.weight.clamp_(-target, target),
        bias=lambda layer, factors, target: (
            layer.bias is None or layer.bias.clamp_(-target, target)
        ),
    ),
)


@belief(
    "Normalising is rescaling.",
    "You subtracted a mean as well. That moves the boundary at which the unit changes its "
    "sign, so it computes something else.",
    "For which inputs is z = 0 before, and for which after your call?",
)
@torch.no_grad()
def centre_as_well(layer: nn.Linear, x: Tensor, target: float) -> Tensor:
    z = layer(x)
    factors = (z.square().mean(0).sqrt() / target).clamp(min=1)
    layer.weight.div_(factors[:, None])
    if layer.bias is not None:
        layer.bias.copy_(torch.where(factors > 1, (layer.bias - z.mean(0)) / factors, layer.bias))
    return factors


EXERCISE = Exercise(
    reference=rescale_saturated_units,
    challenge=challenge,
    observe=observe,
    hints=(
        "z = w · x + b. By what must w and b be divided, so that every z is divided by c?",
        "size = layer(x).square().mean(dim=0).sqrt() has one number per unit. A factor below 1 "
        "would enlarge a unit: clamp(min=1).",
        "Under torch.no_grad(): layer.weight.div_(factor[:, None]), and layer.bias.div_(factor) if "
        "there is a bias. Both work in place.",
    ),
    lesson="03_saturation",
    section="Keys, measured",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    note="An optimizer with a memory still holds averages of gradients from before the rescale. "
    "With momentum or Adam, clear the state of the units you changed, or take small steps first.",
)
