"""Put a LeakyReLU in for every ReLU, at the size that the next layer is used to (torch)."""

import math
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built, case
from grader.instruments.torch_nets import eighths
from grader.instruments.words import listed
from grader.judging.evidence import alike, numbers
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def swap_activation(model, slope):
    """Put a leaky activation in for every ReLU of a model, and keep the size of what it gives.

    The new activation gives what a LeakyReLU of this slope gives, divided by a number that depends
    on the slope alone: where pre-activations are as often and as far below 0 as above, the mean
    square of its output is that of a ReLU's.

    Args:
        model: a ``torch.nn.Module`` that holds others, to any depth. One module may stand at
            several places, a ReLU or a whole block. ``nn.ReLU`` is what is swapped; other
            activations stay, and so do calls of ``relu`` in somebody's ``forward``.
        slope: the slope below 0, a float from 0 on.

    Returns:
        None. The model is changed in place. It has the parameters that it had, under their names,
        with their gradients and flags, and each place is in train or eval mode as before.

    Example:
        >>> model = nn.Sequential(nn.ReLU())
        >>> swap_activation(model, 0.75)
        >>> model(torch.tensor([-5.0, 5.0])).tolist()
        [-3.0, 4.0]
    """

    class Rescaled(nn.LeakyReLU):
        def forward(self, x):
            return super().forward(x) / math.sqrt(1 + self.negative_slope**2)

    for parent in [*model.modules()]:
        for name, child in parent._modules.items():  # children() tells a shared one once
            if isinstance(child, nn.ReLU):
                setattr(parent, name, Rescaled(slope).train(child.training))


def challenge(rng: np.random.Generator) -> Challenge:
    of = partial(case, rng, kind="plain", shared=[], scale=1.0, dtype="float32")
    a, b, c = (int(size) for size in rng.integers((3, 6, 9), (6, 9, 12)))
    relu = ["ReLU"]
    small, large = (float(slope) for slope in rng.uniform((0.1, 0.5), (0.4, 0.9)))
    first, square, head = ["Linear", a, b], ["Linear", b, b], ["Linear", b, c]
    flat = {"first": first, "act": relu, "head": head}
    two = {"first": first, "act": relu, "second": square, "act2": relu, "head": head}
    unbiased = {"first": [*first, False], "act": relu, "head": [*head, False]}
    deep = {"body.stem.dense": first, "body.stem.act": relu, "body.act": relu, "head": head}
    others = {"first": first, "tanh": ["Tanh"], "six": ["ReLU6"], "second": square, "act": relu}
    blocks = {"stem": first, "one.dense": square, "one.act": relu, "two": ["Tanh"], "head": head}
    return {
        "one activation": of(flat, slope=small),
        "two activations": of(two, slope=small),
        "a large slope": of(two, slope=large),
        "a slope of 0": of(two, slope=0.0),
        "a slope above 1": of(flat, slope=1 + large),
        "activations in place": of(flat | {"act": ["ReLU", True]}, slope=large),
        "inputs near 1e-20": of(unbiased, slope=large, scale=1e-20),
        "inputs near 1e-200, in float64": of(unbiased, slope=large, scale=1e-200, dtype="float64"),
        "three levels deep": of(deep, slope=large, kind="deep"),
        "one activation at two places": of(
            two, slope=large, kind="shared", shared=[["act", "act2"]]
        ),
        "one activation in two blocks": of(
            deep, slope=large, kind="shared", shared=[["body.stem.act", "body.act"]]
        ),
        "one block at two places": of(blocks, slope=large, kind="shared", shared=[["one", "two"]]),
        "other activations": of(others | {"leaky": ["LeakyReLU"]}, slope=large, kind="others"),
        "a frozen body with gradients, in eval mode": of(
            deep, ["body"], slope=small, kind="deep", with_gradients=["head"], in_eval_mode=["body"]
        ),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model = built(inputs).to(getattr(torch, inputs["dtype"]))
    for first, second in inputs["shared"]:
        parent, _, name = second.rpartition(".")
        setattr(model.get_submodule(parent), name, model.get_submodule(first))
    x = eighths(np.random.default_rng(inputs["seed"]), (5, next(model.parameters()).shape[1]))
    x = (inputs["scale"] * x.to(next(model.parameters()))).requires_grad_()
    before, kinds = snapshot(model), _kinds(model)
    candidate(model, inputs["slope"])
    after, differs = _kinds(model), changed(before, model)
    in_place = any(layer == ["ReLU", True] for layer in inputs["layers"].values())
    passed = _passed(model)
    output = model(x)
    return {
        "kind": inputs["kind"],
        "output": output.detach().double().numpy() / inputs["scale"],
        "gradient": _gradient(output, x),
        "written into": 0 if in_place else sum(not torch.equal(*pair) for pair in passed),
        "still there": sorted(path for path, kind in after.items() if kind == "ReLU"),
        "others": {path: after.get(path) for path, kind in kinds.items() if kind != "ReLU"},
        "changed": [what for what in differs if what in before or not what.startswith("mode of")],
    }


def _passed(model: nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """What linear layers will give, each with a copy of it."""
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    for layer in (module for module in model.modules() if isinstance(module, nn.Linear)):
        layer.register_forward_hook(lambda m, x, y: pairs.append((y, y.detach().clone())))
    return pairs


def _gradient(output: torch.Tensor, x: torch.Tensor) -> np.ndarray:
    """The gradient of the sum of the outputs; NaN where it does not come through."""
    try:
        return torch.autograd.grad(output.sum(), x)[0].numpy()
    except RuntimeError:
        return np.full(x.shape, np.nan)


def _kinds(model: nn.Module) -> dict[str, str]:
    """The class of each module by path, shared ones at each."""
    found = model.named_modules(remove_duplicate=False)
    return {path: type(module).__name__ for path, module in found if path}


def _computes(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = (numbers(np.ravel(found["output"]), 4) for found in (seen, expected))
    left = f"; still a ReLU: {listed(seen['still there'])}" if seen["still there"] else ""
    words = f"the model gives {ours}, right is {right}{left}"
    return alike(seen["output"], expected["output"]), words


@claim(3, "What is the mean square of a leaky output, for -2 and 2?", of_kind("plain"))
def leaks_at_that_size(seen: Evidence, expected: Evidence) -> Finding:
    """Each activation gives a LeakyReLU's output at the mean square of a ReLU's."""
    return _computes(seen, expected)


@claim(2, "Which modules does your loop reach?", of_kind("deep"))
def reaches_every_level(seen: Evidence, expected: Evidence) -> Finding:
    """Activations within blocks within blocks are swapped too."""
    return _computes(seen, expected)


@claim(2, "At how many places does one module stand, and how often is it named?", of_kind("shared"))
def swaps_shared_modules_at_each_place(seen: Evidence, expected: Evidence) -> Finding:
    """A module that stands at several places is swapped at each, once."""
    return _computes(seen, expected)


@claim(1, "What do you ask a module before you swap it?", of_kind("others"))
def leaves_other_activations(seen: Evidence, expected: Evidence) -> Finding:
    """Tanh, ReLU6 and a LeakyReLU that is there already stay as they are."""
    gone = [path for path, kind in expected["others"].items() if seen["others"].get(path) != kind]
    if gone:
        return False, f"no longer what they were: {listed(gone)}"
    return _computes(seen, expected)


@claim(1, "What does your activation do to its input?", of_kind("plain"), leaks_at_that_size)
def lets_gradients_through(seen: Evidence, expected: Evidence) -> Finding:
    """Gradients pass each new activation, and it does not write into what it is given."""
    if seen["written into"]:
        return False, f"pre-activations that were written over: {seen['written into']}"
    if np.isnan(seen["gradient"]).all():
        return False, "no gradient comes through"
    ours, right = (numbers(np.ravel(found["gradient"]), 4) for found in (seen, expected))
    words = f"the gradient of the inputs is {ours}, right is {right}"
    return alike(seen["gradient"], expected["gradient"]), words


@claim(1, "What does a new module bring along, and in which mode?", needs=leaks_at_that_size)
def leaves_the_rest_as_it_was(seen: Evidence, expected: Evidence) -> Finding:
    """Parameters, gradients, flags and modes are as they were, and none is added."""
    return not seen["changed"], f"changed, gone or added: {listed(seen['changed'])}"


class _Scaled(nn.Module):
    """A leaky slope, times a number."""

    def __init__(self, slope: float, factor: Any) -> None:
        super().__init__()
        self.slope, self.factor = slope, factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * torch.where(x > 0, x, self.slope * x)


def _every_place(model: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    for parent in [*model.modules()]:
        for name, child in parent._modules.items():
            yield parent, name, child


def swapped(
    model: nn.Module,
    slope: float,
    taken: Part = lambda model: model,
    places: Part = _every_place,
    meant: Part = lambda module: isinstance(module, nn.ReLU),
    factor: Part = lambda slope: (1 + slope**2) ** -0.5,
    mode: Part = lambda new, old: new.train(old.training),
) -> None:
    """The right answer in parts."""
    for parent, name, child in places(taken(model)):
        if meant(child):
            setattr(parent, name, mode(_Scaled(slope, factor(slope)), child))


def _named_once(model: nn.Module) -> list[tuple[nn.Module, str, nn.Module]]:
    """As named_modules() tells it."""
    found = [(*path.rpartition("."), module) for path, module in model.named_modules() if path]
    return [(model.get_submodule(parent), name, module) for parent, _, name, module in found]


def _top_level(model: nn.Module) -> list[tuple[nn.Module, str, nn.Module]]:
    return [(model, name, child) for name, child in model.named_children()]


believing = beliefs_about(swapped)
BELIEFS = (
    believing(
        "A LeakyReLU gives what a ReLU gives, and a little below 0.",
        "That little adds to its mean square, layer after layer. The next layer was made for the "
        "size that it had.",
        "What is the mean square of (-2, 2) behind each of the two, for a slope of 0.5?",
        factor=lambda slope: 1.0,
    ),
    believing(
        "The output is divided by the factor of its mean square.",
        "A mean square grows with the square of what is divided. The root of the factor is needed.",
        "By how much does a mean square fall if every number is halved?",
        factor=lambda slope: 1 / (1 + slope**2),
    ),
    believing(
        "An activation should keep the size of what it is given.",
        "A ReLU halves the mean square, and the weights behind it were made for that half.",
        "What is the mean square of (-2, 2), and what is it behind a ReLU?",
        factor=lambda slope: (2 / (1 + slope**2)) ** 0.5,
    ),
    believing(
        "What leaks more has to be enlarged.",
        "It is larger already. You multiplied where a division keeps the size.",
        "Is the mean square of your output above or below that of a ReLU's?",
        factor=lambda slope: (1 + slope**2) ** 0.5,
    ),
    believing(
        "What counts is the mean.",
        "Means of positive and negative outputs cancel. The size that a layer feels is the mean "
        "square of its inputs.",
        "What is the mean of a LeakyReLU's output for a slope of 1?",
        factor=lambda slope: 1 / (1 - slope) if slope != 1 else 1.0,
    ),
    believing(
        "The modules of a model are its children.",
        "They have children too. Activations within blocks stayed.",
        "Which modules does named_children() of a Sequential of Sequentials tell?",
        places=_top_level,
    ),
    believing(
        "A module has one name.",
        "One that stands at two places is told once by named_modules() and named_children(). At "
        "the other place the ReLU stayed.",
        "What does named_modules(remove_duplicate=False) tell in addition?",
        places=_named_once,
    ),
    believing(
        "What has no parameters is an activation to be swapped.",
        "Tanh and ReLU6 have none either.",
        "Which activations are gone that were no ReLU?",
        meant=lambda module: not [*module.children()] and not [*module.parameters()],
    ),
    believing(
        "A new module is in the mode of its model.",
        "It is in train mode, whatever the module was whose place it takes.",
        "What is training of a module that was just made?",
        mode=lambda new, old: new,
    ),
    believing(
        "A factor of a model is a parameter.",
        "Then it is trained, and every checkpoint lacks it. This one follows from the slope.",
        "Which names has your model in its state_dict that it had not before?",
        factor=lambda slope: nn.Parameter(torch.tensor((1 + slope**2) ** -0.5)),
    ),
    believing(
        "Whoever called takes what comes back.",
        "Nothing changed in the model that you were given.",
        "Which of your lines changes the model that was passed in?",
        taken=deepcopy,
    ),
)

EXERCISE = Exercise(
    reference=swap_activation,
    challenge=challenge,
    observe=observe,
    hints=(
        "For pre-activations that are symmetric around 0, a ReLU passes half of their mean square. "
        "Which part of it does a LeakyReLU of slope a pass? The output goes with the root.",
        "Write a small module whose forward calls the leaky activation and divides. Its factor is "
        "a plain number.",
        "For every module in model.modules(), parent._modules is a dict of its children by name, a "
        "shared one at each place. setattr(parent, name, new) swaps one.",
    ),
    lesson="08_unlocking",
    section="A swap that keeps the function",
    frameworks=("torch",),
    minutes=15,
    difficulty=3,
    note="This keeps the size for healthy units. Units that are far below 0 throughout need to be "
    "brought back as well, which paramlock.torch.swap_activations does with a batch of inputs.",
)
