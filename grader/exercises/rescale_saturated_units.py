"""Bring saturated units back by rescaling their weights, in place (torch).

What a rescale leaves is seen on the layer itself: pre-activations before and after, and whether
the optimizer's parameters are still the layer's.
"""

import numpy as np
import torch

from grader.evidence import alike, number, numbers
from grader.exercise import Claim, Exercise, Misconception


def rescale_saturated_units(layer, x, target):
    """Shrink the weights of the units whose pre-activations are too large.

    The *size* of a unit is the root mean square of its pre-activations over the rows of ``x``.
    Every unit of a size above ``target`` gets its incoming weights and its bias divided by one
    positive number, such that its size becomes ``target``. So each of its pre-activations shrinks
    by that factor and keeps its sign. All other units keep every bit.

    The layer is changed in place: an optimizer that holds its parameters goes on with them.

    Args:
        layer: ``torch.nn.Linear`` with D inputs and H outputs, with or without bias.
        x: inputs, float32 tensor of shape (N, D).
        target: the largest size allowed, float above 0.

    Returns:
        Tensor of shape (H,): the number by which each unit's weights were divided, exactly 1
        where nothing was changed.
    """
    with torch.no_grad():
        size = layer(x).square().mean(dim=0).sqrt()
        factor = (size / target).clamp(min=1)
        layer.weight.div_(factor[:, None])
        if layer.bias is not None:
            layer.bias.div_(factor)
    return factor


UNITS = 5


def challenge(rng):
    def case(samples, inputs, sizes, bias):
        """Units of these sizes; a large bias is what makes the last unit large."""
        x = rng.normal(1, 1, (samples, inputs)).astype(np.float32)
        weight = rng.normal(size=(UNITS, inputs))
        shift = np.append(rng.normal(size=UNITS - 1), 8.0) * bias
        weight[-1] *= 0.1 if bias else 1.0
        z = x @ weight.T + shift
        scale = np.array(sizes) / np.sqrt((z**2).mean(axis=0))
        return {
            "x": x,
            "weight": (weight * scale[:, None]).astype(np.float32),
            "bias": (shift * scale).astype(np.float32) if bias else None,
            "target": float(rng.uniform(0.9, 1.5)),
        }

    def sizes():
        return [*rng.permutation([0.05, 0.6, 6.0, 60.0]), 20.0]

    square = case(UNITS, UNITS, sizes(), 1.0)  # so that a mistaken axis is no mistaken shape
    silent = case(7, UNITS, sizes(), 1.0)
    silent["weight"][1] = 0.0
    silent["bias"][1] = 0.0
    return {
        "as many inputs as units": square,
        "without bias": case(6, 3, sizes(), 0.0),
        "a unit whose weights are all zero": silent,
        "nothing is too large": case(6, 3, [0.05, 0.6, 0.3, 0.8, 0.1], 1.0),
    }


def observe(candidate, inputs):
    layer, x = _layer(inputs), torch.tensor(inputs["x"])
    held = list(layer.parameters())
    values = [p.detach().clone() for p in held]
    factors = candidate(layer, x, inputs["target"])
    now = list(layer.parameters())
    swapped = [id(parameter) for parameter in held] != [id(parameter) for parameter in now]
    return {
        "factors": np.asarray(factors) if isinstance(factors, list | tuple) else factors,
        "before": torch.nn.functional.linear(x, *values),
        "after": layer(x),
        "kept": _kept(values, now),
        "other parameters": swapped,
        "frozen": not all(parameter.requires_grad for parameter in now),
        "gradient": any(parameter.grad is not None for parameter in now),
        "target": inputs["target"],
    }


def _layer(inputs):
    layer = torch.nn.Linear(inputs["x"].shape[1], UNITS, bias=inputs["bias"] is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(inputs["weight"]))
        if layer.bias is not None:
            layer.bias.copy_(torch.tensor(inputs["bias"]))
    return layer


def _kept(before, after):
    """The units whose weights and bias are the same to the last bit."""
    same = [
        torch.eq(a, b).reshape(UNITS, -1).all(dim=1) for a, b in zip(before, after, strict=True)
    ]
    return torch.stack(same).all(dim=0).nonzero()[:, 0].tolist()


def shrinks_to_the_target(seen, expected):
    """A unit whose size is above the target has the target as its size afterwards."""
    if not len(_large(expected)):
        return None
    before, after = _sizes(expected["before"]), _sizes(seen["after"])
    astray = [u for u in _large(expected) if not _close(after[u], expected["target"])]
    unit = max(astray or _large(expected), key=lambda u: abs(after[u] - expected["target"]))
    sizes = f"{number(before[unit])} before and {number(after[unit])} after"
    return not astray, f"unit {unit} has size {sizes}, the target is {number(expected['target'])}"


def divides_by_one_number(seen, expected):
    """All pre-activations of a unit shrink by one positive factor, so they keep their signs."""
    if not len(_large(expected)):
        return None
    for unit in _large(expected):
        old, new = expected["before"][:, unit], seen["after"][:, unit]
        slope = (old @ new) / (old @ old)
        if not (slope > 0 and np.allclose(new, slope * old, atol=1e-3 * _sizes(new))):
            words = f"pre-activations of unit {unit} went from {numbers(old, 3)} to"
            return False, f"{words} {numbers(new, 3)}"
    return True, "they did"


def leaves_the_others(seen, expected):
    """A unit whose size is within the target keeps every bit."""
    changed = [unit for unit in expected["kept"] if unit not in seen["kept"]]
    sizes = numbers(_sizes(expected["before"])[changed])
    words = f"units {changed} changed, their sizes were {sizes}" if changed else "they did"
    return not changed, f"{words}, the target is {number(expected['target'])}"


def returns_the_factors(seen, expected):
    """The answer is the number by which each unit was divided, 1 where nothing was changed."""
    ours, right = seen["factors"], expected["factors"]
    words = f"you return {numbers(ours)}, the weights were to be divided by {numbers(right)}"
    return alike(ours, right) or np.allclose(ours, right, rtol=1e-3), words


def changes_in_place(seen, expected):
    """The layer holds the same Parameter objects as before, trainable and without gradient."""
    if seen["other parameters"]:
        return False, "the layer holds a Parameter that it did not hold before"
    if seen["frozen"] or seen["gradient"]:
        return False, "a parameter is frozen" if seen["frozen"] else "a parameter holds a gradient"
    return True, "it does"


def _sizes(z):
    return np.sqrt(np.square(z, dtype=np.float64).mean(axis=0))


def _large(expected):
    return np.flatnonzero(_sizes(expected["before"]) > expected["target"])


def _close(one, other):
    return bool(abs(one - other) <= 1e-3 * other)


def _divide(layer, factor, bias=True):
    with torch.no_grad():
        layer.weight /= factor[:, None]
        if bias and layer.bias is not None:
            layer.bias /= factor
    return factor.detach()


def _rms(z):
    return z.detach().square().mean(dim=0).sqrt()


def divide_the_weights_only(layer, x, target):
    return _divide(layer, (_rms(layer(x)) / target).clamp(min=1), bias=False)


def measure_the_spread(layer, x, target):
    return _divide(layer, (layer(x).detach().std(dim=0) / target).clamp(min=1))


def measure_the_spread_around_the_mean(layer, x, target):
    return _divide(layer, (layer(x).detach().std(dim=0, correction=0) / target).clamp(min=1))


def divide_by_the_mean_square(layer, x, target):
    return _divide(layer, (_rms(layer(x)) ** 2 / target).clamp(min=1))


def take_the_mean_absolute_value(layer, x, target):
    return _divide(layer, (layer(x).detach().abs().mean(dim=0) / target).clamp(min=1))


def take_the_largest_value(layer, x, target):
    return _divide(layer, (layer(x).detach().abs().amax(dim=0) / target).clamp(min=1))


def measure_without_the_bias(layer, x, target):
    z = x @ layer.weight.detach().T
    return _divide(layer, (_rms(z) / target).clamp(min=1))


def expect_a_bias(layer, x, target):
    factor = (_rms(layer(x)) / target).clamp(min=1)
    with torch.no_grad():
        layer.weight /= factor[:, None]
        layer.bias /= factor
    return factor


def expect_the_data_of_a_bias(layer, x, target):
    factor = (_rms(layer(x)) / target).clamp(min=1)
    layer.weight.data.div_(factor[:, None])
    layer.bias.data.div_(factor)
    return factor


def normalise_the_weights(layer, x, target):
    return _divide(layer, (layer.weight.detach().norm(dim=1) / target).clamp(min=1))


def give_all_units_one_size(layer, x, target):
    return _divide(layer, _rms(layer(x)) / target)


def share_one_factor(layer, x, target):
    size = layer(x).detach().square().mean().sqrt()
    return _divide(layer, (size / target).clamp(min=1).expand(layer.out_features))


def divide_the_columns(layer, x, target):
    factor = (_rms(layer(x)) / target).clamp(min=1)
    with torch.no_grad():
        layer.weight /= factor
        if layer.bias is not None:
            layer.bias /= factor
    return factor


def put_new_parameters_in(layer, x, target):
    factor = (_rms(layer(x)) / target).clamp(min=1)
    layer.weight = torch.nn.Parameter(layer.weight.detach() / factor[:, None])
    if layer.bias is not None:
        layer.bias = torch.nn.Parameter(layer.bias.detach() / factor)
    return factor


def centre_as_well(layer, x, target):
    z = layer(x).detach()
    factor = (_rms(z) / target).clamp(min=1)
    with torch.no_grad():
        layer.weight /= factor[:, None]
        if layer.bias is not None:
            large = factor > 1
            layer.bias[large] = ((layer.bias - z.mean(dim=0)) / factor)[large]
    return factor


def clip_the_weights(layer, x, target):
    factor = (_rms(layer(x)) / target).clamp(min=1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.clamp_(-target, target)
    return factor


NO_BIAS = (
    "Every linear layer has a bias.",
    "With bias=False the attribute is there and holds None. Layers before a normalisation are "
    "often built so.",
    "What is layer.bias of torch.nn.Linear(3, 5, bias=False)?",
)
SPREAD = (
    "A unit is saturated if its pre-activations are spread widely.",
    "A unit whose pre-activations all lie near 20 has hardly any spread, and its slope is zero "
    "everywhere. Size is measured from zero, where the slope is.",
    "What are mean and spread of the pre-activations of the unit named above?",
)

EXERCISE = Exercise(
    reference=rescale_saturated_units,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(shrinks_to_the_target, 3, "How large is each unit after your call, and before it?"),
        Claim(divides_by_one_number, 2, "Which terms of z = w · x + b does your division reach?"),
        Claim(leaves_the_others, 1, "What does your code do with a factor below 1?"),
        Claim(returns_the_factors, 1, "By which number was each row of the weight divided?"),
        Claim(changes_in_place, 1, "What does an optimizer find when it comes back to this layer?"),
    ),
    misconceptions=(
        Misconception(
            "To rescale a unit is to rescale its weights.",
            "The bias stays large, and against smaller weights it weighs more: the unit now says "
            "the same for almost every input.",
            "Which two terms make z, and which of them did you divide?",
            divide_the_weights_only,
        ),
        Misconception(*SPREAD, specimen=measure_the_spread),
        Misconception(*SPREAD, specimen=measure_the_spread_around_the_mean),
        Misconception(
            "The size of a unit is its mean square.",
            "That has the unit of z squared. Divided by it, a unit of size 60 ends at a sixtieth "
            "of the target or so, and learns as little as before.",
            "By what do you divide numbers of size 60 to get numbers of size 1?",
            divide_by_the_mean_square,
        ),
        Misconception(
            "The mean absolute value is the root mean square.",
            "They differ by the spread: of 0 and 2 the one is 1 and the other 1.41.",
            "In which order do square, mean and root come?",
            take_the_mean_absolute_value,
        ),
        Misconception(
            "A unit is as large as its largest pre-activation.",
            "One outlier decides then, and the unit ends smaller than the target.",
            "What is the root mean square of the unit after your call?",
            take_the_largest_value,
        ),
        Misconception(
            "A unit is as large as its weights.",
            "z is weights times inputs. The same weights are large on bright images and small on "
            "dark ones.",
            "Where does x come into your factor?",
            normalise_the_weights,
        ),
        Misconception(
            "The size of a unit is the size of w · x.",
            "z is w · x + b. A unit can be small in w · x and far out by its bias alone.",
            "What does layer(x) give for the unit named above, and what x @ layer.weight.T?",
            measure_without_the_bias,
        ),
        Misconception(*NO_BIAS, specimen=expect_a_bias),
        Misconception(*NO_BIAS, specimen=expect_the_data_of_a_bias),
        Misconception(
            "All units should have the same size.",
            "Units below the target were blown up. They learned well as they were, and one whose "
            "weights are all zero has no size to divide by.",
            "Which units does the task ask you to leave alone?",
            give_all_units_one_size,
        ),
        Misconception(
            "A layer has one scale.",
            "One factor cannot help a unit of size 60 without silencing one of size 0.6.",
            "How many factors are there, if each unit is to keep or to reach its own size?",
            share_one_factor,
        ),
        Misconception(
            "Torch knows that one number per unit belongs to the rows.",
            "Broadcasting aligns the last axis. The weight of a Linear has shape (outputs, "
            "inputs), so you divided its columns, the inputs, where the numbers happened to fit.",
            "What shape must the factors have to be divided into rows?",
            divide_the_columns,
        ),
        Misconception(
            "A layer with new parameters trains on under the old optimizer.",
            "The optimizer holds the old tensors. It would go on with those, and the layer would "
            "stay as you left it.",
            "How do you change the numbers inside a Parameter without making a new one?",
            put_new_parameters_in,
        ),
        Misconception(
            "Normalising is rescaling.",
            "You subtracted a mean as well. That moves the boundary at which the unit changes its "
            "sign, so it computes something else.",
            "For which inputs is z = 0 before, and for which after your call?",
            centre_as_well,
        ),
        Misconception(
            "Saturation comes from a few weights that are too large.",
            "Clipping turns the direction of the weight vector, and many small weights still add "
            "up to a large z.",
            "What must be the same for all weights of a unit, if its z is to shrink by a factor?",
            clip_the_weights,
        ),
    ),
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
    note="An optimizer with a memory still holds averages of gradients from before the rescale. "
    "With momentum or Adam, clear the state of the units you changed, or take small steps first.",
)
