"""Dead units that no step of gradient descent can wake (torch)."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from grader.instruments import words
from grader.instruments.dead_units import as_row, in_truth_values, listed
from grader.instruments.snapshots import changed, snapshot
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def dead_for_good(model, x):
    """Find the dead units that no training on this data can wake.

    A hidden unit is dead if ReLU's derivative is zero at its pre-activation on all samples. At 0
    that derivative is 0. The unit is dead *for good* if, besides, its pre-activations cannot
    change, whatever the loss and however many steps of plain gradient descent are taken on ``x``.
    They cannot change if no layer below the unit's own can move. A layer cannot move if it is
    frozen, or if all units of a hidden layer, its own or one above it, are dead: then no gradient
    comes through.

    Args:
        model: ``nn.Sequential`` of Linear, ReLU, Linear, ReLU, …, Linear. A Linear is frozen if
            neither of its two parameters requires a gradient.
        x: all the data there is, shape (N, D).

    Returns:
        List with a bool tensor of shape (H,) for each hidden layer, from the input up: True for a
        unit that is dead for good. Model and data are left as they were.

    Example:
        >>> first, second = nn.Linear(1, 2), nn.Linear(2, 2)
        >>> first.bias.data = second.bias.data = torch.tensor([1.0, -1.0])
        >>> second.weight.data = torch.zeros(2, 2)
        >>> model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(2, 1))
        >>> [units.tolist() for units in dead_for_good(model, torch.zeros(3, 1))]
        [[False, True], [False, False]]
    """
    linears = [module for module in model if isinstance(module, nn.Linear)][:-1]
    h, dead = x, []
    with torch.no_grad():
        for linear in linears:
            z = linear(h)
            dead.append((z <= 0).all(0))
            h = torch.relu(z)
    movable = [
        any(p.requires_grad for p in linear.parameters()) and not any(d.all() for d in dead[i:])
        for i, linear in enumerate(linears)
    ]
    return [d & (not any(movable[:i])) for i, d in enumerate(dead)]


ALIVE, ONE_SAMPLE = "alive", "alive on one sample"
DEAD, AT_ZERO = "dead", "dead at exactly zero"
MIXED = (ALIVE, DEAD, ALIVE, DEAD)
BIAS = 50.0  # large against what weights and inputs add to it: it alone decides who is dead


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, *layers: Sequence[str], frozen: Iterable[str] = ()) -> Inputs:
        x = np.abs(rng.normal(size=(6, 5)))
        x[:, 0] = [0, 0, 0, 0, 0, 1]  # the last sample alone wakes some units
        return {
            "units": [[str(unit) for unit in rng.permutation(layer)] for layer in layers],
            "kind": kind,
            "frozen": [f"{2 * int(name[0]) - 2}{name[1:]}" for name in frozen],
            "seed": int(rng.integers(1000)),
            "x": x.astype(np.float32),
        }

    stop = partial(case, "dead layer")
    first, second = ("1.weight", "1.bias"), ("2.weight", "2.bias")
    three = (MIXED, MIXED, MIXED)
    all_dead, at_zero = (DEAD,) * 4, (ALIVE, DEAD, ALIVE, AT_ZERO)
    return {
        "all layers trainable": case("plain", (*MIXED[:3], ONE_SAMPLE), (*MIXED, DEAD), MIXED),
        "the first layer frozen": case("frozen", *three, frozen=first),
        "the second layer frozen": case("plain", *three, frozen=second),
        "the first and the second layer frozen": case("frozen", *three, frozen=first + second),
        "only the weight of the first layer frozen": case("plain", MIXED, MIXED, frozen=first[:1]),
        "only the bias of the first layer frozen": case("plain", MIXED, MIXED, frozen=first[1:]),
        "the head frozen": case("plain", *three, frozen=("4.weight", "4.bias")),
        "all units of the second of four layers dead": stop(at_zero, all_dead, at_zero, MIXED),
        "all units of the last hidden layer dead": stop(MIXED, MIXED, all_dead),
        "all units of a frozen layer dead": stop(MIXED, all_dead, MIXED, frozen=second),
        "all units dead above a frozen layer": stop(MIXED, all_dead, MIXED, frozen=first),
        "a head of zeros": case("head of zeros", *three),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model, x = _model(inputs), torch.tensor(inputs["x"])
    before = snapshot(model, {"x": x})
    returned = candidate(model, x)
    return {
        "kind": inputs["kind"],
        "units": inputs["units"],
        "for good": _by_layer(returned),
        "changed": changed(before, model, {"x": x}),
    }


@torch.no_grad()
def _model(inputs: Inputs) -> nn.Sequential:
    """Small random weights, and a bias of 50 or -50 that makes each unit what it is to be."""
    rng, modules = np.random.default_rng(inputs["seed"]), []
    sizes = [inputs["x"].shape[1], *map(len, inputs["units"])]
    for below, units in zip(sizes, inputs["units"], strict=False):
        linear = _linear(rng, below, len(units))
        modules += [linear, nn.ReLU()]
        for i, unit in enumerate(units):
            linear.bias[i] = BIAS if unit == ALIVE else -BIAS
            if unit == ONE_SAMPLE:
                linear.weight[i] = (BIAS + 0.5) * torch.eye(below)[0]
            if unit == AT_ZERO:
                linear.weight[i] = linear.bias[i] = 0
    model = nn.Sequential(*modules, _linear(rng, sizes[-1], 2))
    if inputs["kind"] == "head of zeros":
        next(model[-1].parameters()).zero_()
    for name in inputs["frozen"]:
        model.get_parameter(name).requires_grad_(False)
    return model


def _linear(rng: np.random.Generator, inputs: int, width: int) -> nn.Linear:
    linear = nn.utils.skip_init(nn.Linear, inputs, width)
    for parameter in linear.parameters():
        parameter.copy_(torch.from_numpy(rng.normal(scale=0.02, size=parameter.shape)))
    return linear


def _by_layer(returned: object) -> object:
    """A returned list by the number of the layer; anything else as it is."""
    if not isinstance(returned, list | tuple):
        return returned
    return {f"hidden layer {i + 1}": as_row(row) for i, row in enumerate(returned)}


def _is_dead(unit: str) -> bool:
    return unit in (DEAD, AT_ZERO)


def _compared(seen: Evidence, expected: Evidence, concerns: Part) -> Finding:
    """Compare those units of which `concerns(layer, what the unit is, what is right)` is true."""
    ours, right, off = seen["for good"], expected["for good"], {}
    for layer, (name, row) in enumerate(right.items()):
        units = zip(expected["units"][layer], row, strict=True)
        concerned = [concerns(layer, *unit) for unit in units]
        off[name] = np.flatnonzero((ours[name] != row) & concerned).tolist()
    astray = [f"{listed(units)} of {name}" for name, units in off.items() if units]
    said = next((bool(ours[name][i]) for name, units in off.items() for i in units), None)
    finding = not astray, f"{said} for {', '.join(astray)}" if astray else "as expected"
    return in_truth_values(np.concatenate([*ours.values()]), finding)


@claim(2, "What do the pre-activations of the first layer rest on?")
def first_layer_never_wakes(seen: Evidence, expected: Evidence) -> Finding:
    """In the first hidden layer, below which nothing lies, dead units are True and no others."""
    return _compared(seen, expected, lambda layer, unit, right: layer == 0)


@claim(1, "Which units get a gradient on at least one sample?", needs=first_layer_never_wakes)
def spares_the_living(seen: Evidence, expected: Evidence) -> Finding:
    """A unit that is alive on some sample is False."""
    return _compared(seen, expected, lambda layer, unit, right: not _is_dead(unit))


@claim(3, "Which layers have a say in the inputs of that unit?", needs=first_layer_never_wakes)
def moving_inputs_may_wake(seen: Evidence, expected: Evidence) -> Finding:
    """A dead unit is False if some layer below it can move, however far below."""
    return _compared(seen, expected, lambda layer, unit, right: _is_dead(unit) and not right)


@claim(2, "What would have to move to wake that unit?", of_kind("frozen"), first_layer_never_wakes)
def frozen_inputs_never_wake(seen: Evidence, expected: Evidence) -> Finding:
    """A dead unit is True if all layers below it are frozen."""
    return _compared(seen, expected, lambda layer, unit, right: layer > 0 and right)


@claim(2, "How far down does the gradient come?", of_kind("dead layer"), first_layer_never_wakes)
def no_gradient_moves_nothing(seen: Evidence, expected: Evidence) -> Finding:
    """A dead unit is True if a hidden layer whose units are all dead stops whatever lies below."""
    return _compared(seen, expected, lambda layer, unit, right: layer > 0 and right)


@claim(1, "What did your code leave behind in the model, or in x?", needs=first_layer_never_wakes)
def leaves_the_model_alone(seen: Evidence, expected: Evidence) -> Finding:
    """Model and data are left as they were: numbers, flags, modes, and no gradient stays there."""
    return not seen["changed"], f"changed: {words.listed(seen['changed'])}"


def _dead(model: nn.Sequential, x: Tensor) -> list[Tensor]:
    """The dead units of each hidden layer."""
    return [(model[: i + 1](x) <= 0).all(0) for i in range(0, len(model) - 1, 2)]


def _is_frozen(linear: nn.Module) -> bool:
    return not any(p.requires_grad for p in linear.parameters())


def _dead_layer_above(model: nn.Sequential, x: Tensor) -> list[bool]:
    """Whether no gradient reaches each layer, because a layer from it on upwards is all dead."""
    dead = _dead(model, x)
    return [any(row.all() for row in dead[i:]) for i in range(len(dead))]


def judged(
    model: nn.Sequential,
    x: Tensor,
    is_frozen: Part = _is_frozen,
    is_stopped: Part = _dead_layer_above,
    is_fixed: Part = lambda frozen, stopped, i: (frozen | stopped)[:i].all(),
    for_good: Part = lambda dead, fixed: dead & fixed,
) -> list[Tensor]:
    """The right answer in parts."""
    frozen = torch.tensor([is_frozen(linear) for linear in list(model)[:-1:2]])
    stopped = torch.tensor(is_stopped(model, x))
    return [for_good(row, is_fixed(frozen, stopped, i)) for i, row in enumerate(_dead(model, x))]


def _frozen_layer_above(model: nn.Sequential, x: Tensor) -> list[bool]:
    """As if a frozen layer, too, stopped the gradient on its way down."""
    frozen = [_is_frozen(linear) for linear in list(model)[::2]]
    return [dead or any(frozen[i:]) for i, dead in enumerate(_dead_layer_above(model, x))]


def _no_gradient_today(model: nn.Sequential, x: Tensor) -> list[bool]:
    model(x).sum().backward()
    gradients = [[p.grad for p in linear.parameters()] for linear in list(model)[:-1:2]]
    return [not any(g is not None and g.any() for g in own) for own in gradients]


GRADIENT_OF_TODAY = (
    "A gradient of zero today is zero tomorrow.",
    "Under a head of zeros no gradient comes down in the first step. The head itself gets one and "
    "moves, and in the second step the layers below move too.",
    "Which of the zeros in your gradient come from dead units, and which from somewhere else?",
)
believing = beliefs_about(judged)
BELIEFS = (  # one that shows in two ways is there twice
    believing(
        "Dead is dead for good.",
        "A dead unit cannot move itself. But the layers below learn, and change its inputs.",
        "Which numbers of a unit in layer 2 change when layer 1 takes a step?",
        is_fixed=lambda frozen, stopped, i: True,
    ),
    believing(
        "Deeper units can always wake.",
        "For that their inputs must change. Layers that are frozen, or get no gradient, do not.",
        "Who could move the inputs of layer 2 if layer 1 is frozen?",
        is_fixed=lambda frozen, stopped, i: i == 0,
    ),
    believing(
        "A dead unit in a frozen layer is dead for good, and no other.",
        "Its own layer does not move in either case, for a dead unit gets no gradient. What "
        "matters is whether its inputs can move.",
        "Who could change the pre-activation of a unit whose own weights stay as they are?",
        is_fixed=lambda frozen, stopped, i: i == 0 or frozen[i],
    ),
    believing(
        "Only the layer directly below counts.",
        "With layer 2 frozen, what layer 1 learns reaches layer 3 all the same, through layer 2.",
        "Is a frozen layer's output fixed?",
        is_fixed=lambda frozen, stopped, i: (frozen | stopped)[:i][-1:].all(),
    ),
    believing(
        "What is not frozen can move.",
        "It moves only if a gradient arrives, and below a layer of dead units none does.",
        "What is the gradient of layer 1 if every unit of layer 2 is dead?",
        is_fixed=lambda frozen, stopped, i: frozen[:i].all(),
    ),
    believing(
        "A frozen layer lets no gradient through.",
        "Its own numbers stay as they are. The gradient passes on through it, and the trainable "
        "layers below move.",
        "Which gradient does requires_grad = False leave out, and which one does layer 1 need?",
        is_stopped=_frozen_layer_above,
    ),
    believing(
        "A layer is frozen if its weight is.",
        "Its bias still learns, and moves the outputs of the layer.",
        "How many parameters has a Linear?",
        is_frozen=lambda linear: not linear.weight.requires_grad,
    ),
    believing(
        "Above a dead layer everything can move.",
        "The first layer above it gets an input of zeros, now and forever. A dead unit there "
        "has a constant pre-activation, its bias.",
        "What are the inputs of the layer directly above, and which parameter could move them?",
        is_fixed=lambda frozen, stopped, i: frozen[:i].all() | stopped[i],
    ),
    believing(
        *GRADIENT_OF_TODAY, is_stopped=lambda model, x: _no_gradient_today(deepcopy(model), x)
    ),
    believing(*GRADIENT_OF_TODAY, is_stopped=_no_gradient_today),
    believing(
        "A unit whose inputs stay as they are is dead for good.",
        "A living unit learns from fixed inputs: it moves its own weights.",
        "Where does your code ask whether a unit is dead at all?",
        for_good=lambda dead, fixed: torch.full_like(dead, bool(fixed)),
    ),
)

EXERCISE = Exercise(
    reference=dead_for_good,
    challenge=challenge,
    observe=observe,
    hints=(
        "First find the dead units of each hidden layer. A dead unit's own weights get no "
        "gradient. What else could change its pre-activation?",
        "For each layer ask: can it move? No, if both its parameters are frozen. No, if some "
        "hidden layer from it on upwards is dead throughout, since no gradient comes down then.",
        "A dead unit of layer i is dead for good if no layer before i can move. For the first "
        "layer there is none, so the condition holds of itself.",
    ),
    lesson="02_dead_relu",
    section="Dead for good",
    frameworks=("torch",),
    minutes=25,
    difficulty=5,
    note="The sentence holds for plain gradient descent on the same data. Other data, augmented "
    "images, momentum left over from before, or weight decay without the bias can wake a unit that "
    "is dead for good here.",
)
