"""A learning rate for each layer, with every trainable parameter in exactly one group (torch).

Source: Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification",
arXiv:1801.06146, discriminative fine-tuning.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from grader.instruments import optimizer_groups
from grader.instruments.refusals import refusal, refused
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built, case
from grader.instruments.words import listed
from grader.judging.evidence import alike, number
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def layerwise_groups(model, base_rate, factor):
    """Make groups of parameters whose learning rates fall layer by layer towards the input.

    The layers are those children of the model that hold parameters, in their order, the last one
    being the head; a child that is a block of modules is one layer. The head has ``base_rate``, the
    layer before it ``factor`` times that, the one before that ``factor`` twice, and so on. A frozen
    layer is a layer too, though nothing of it is in a group.

    Args:
        model: a ``torch.nn.Module``. It stays as it is.
        base_rate: the learning rate of the head, a positive float.
        factor: a float above 0.

    Returns:
        A list of dicts ``{"params": [...], "lr": ...}`` for a torch optimizer. Each trainable
        parameter is in one of them, once; a frozen one in none. A parameter that two layers share
        belongs to the first of them. What the model holds outside of its children belongs to the
        first layer, or is one by itself where no child holds parameters.

    Raises:
        ValueError: the model has no trainable parameter.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> [(len(g["params"]), g["lr"]) for g in layerwise_groups(model, 0.5, 0.1)]
        [(2, 0.05), (2, 0.5)]
    """
    layers = [[*child.parameters()] for child in model.children()]
    first, *others = [layer for layer in layers if layer] or [[]]
    layers = [[*model.parameters(recurse=False), *first], *others]
    groups, taken = [], set()
    for place, layer in enumerate(layers):
        fresh = [p for p in layer if p.requires_grad and p not in taken]
        taken.update(fresh)
        rate = base_rate * factor ** (len(layers) - 1 - place)
        groups.append({"params": fresh, "lr": rate})
    if not taken:
        raise ValueError("no parameter of this model is trainable")
    return groups


def challenge(rng: np.random.Generator) -> Challenge:
    a, b, c = (int(size) for size in rng.integers((3, 6, 9), (6, 9, 12)))

    def of(layers: Mapping[str, Any], frozen: Iterable[str] = (), **own: Any) -> Inputs:
        rates = {"base_rate": float(rng.uniform(0.01, 0.9)), "factor": float(rng.uniform(0.2, 0.8))}
        return case(rng, layers, frozen, **({"kind": "plain"} | rates | own))

    square, head = ["Linear", b, b], {"head": ["Linear", b, c]}
    flat = {"stem": ["Linear", a, b]} | {f"layer{k}": square for k in range(rng.integers(2, 6))}
    acted = {"stem": ["Linear", a, b], "act": ["ReLU"], "body": square, "act2": ["Tanh"]}
    block = {"stem": ["Linear", a, b], "block.one": square, "block.inner.two": square}
    normed = {"conv": ["Conv2d", a, b, 2], "norm": ["BatchNorm2d", b], "flat": ["Flatten"]}
    tied = {"embed": ["Embedding", c, b], "body": square}
    bare = {"scale": ["Parameter", b], "gain": ["Parameter"]}
    old = {"with_gradients": ["body"]}
    both, inner = ([["embed.weight", f"{path}.weight"]] for path in ("head", "top.head"))
    shared, top = head | {"head": ["Linear", b, c, False]}, {"top.head": ["Linear", b, c]}
    return {
        "layers in a row": of(flat | head),
        "a small rate and a small factor": of(flat | head, base_rate=1e-20, factor=1e-4),
        "rates that rise towards the input": of(flat | head, factor=3.0),
        "activations between layers": of(acted | head),
        "a block of blocks": of(block | {"act": ["ReLU"]} | head),
        "a convolution and a norm": of(normed | head),
        "a head of two layers": of(block | {"head.one": square, "head.two": square}),
        "a shared weight": of(tied | head, kind="tied", tied=both),
        "a head that is all shared": of(tied | shared, kind="tied", tied=both),
        "a shared weight within a block": of(tied | top, kind="tied", tied=inner),
        "a frozen layer": of(flat | head, ["layer0"], kind="frozen"),
        "a frozen first layer": of(flat | head, ["stem"], kind="frozen"),
        "a frozen head, a frozen bias": of(flat | head, ["head", "stem.bias"], kind="frozen"),
        "a frozen shared weight": of(tied | head, ["embed"], kind="frozen", tied=both, **old),
        "parameters outside of layers": of(bare | flat | head, kind="bare"),
        "no layers at all": of(bare, kind="bare"),
        "all is frozen": of(flat | head, ["stem", *flat, "head"], kind="refused"),
        "no parameters": of({"act": ["ReLU"]}, kind="refused"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model = built(inputs)
    before, given = snapshot(model), (model, inputs["base_rate"], inputs["factor"])
    if inputs["kind"] == "refused":
        ending = refusal(candidate, *given, returned=lambda groups: "groups")
        return {"kind": "refused", "ending": ending}
    returned = candidate(*given)
    groups = optimizer_groups.read(returned)
    if groups is None:
        return None if returned is None else f"<{type(returned).__name__}>"
    rates = optimizer_groups.setting(model, groups, "lr", inputs["base_rate"])
    return {
        "kind": inputs["kind"],
        "times": optimizer_groups.times(model, groups),
        "powers": {n: float(np.log10(r)) if r > 0 else np.nan for n, r in rates.items()},
        "strangers": optimizer_groups.strangers(model, groups),
        "changed": changed(before, model),
    }


def _not_refused(expected: Evidence) -> bool:
    return "changed" in expected


def _grouped(seen: Evidence, expected: Evidence) -> Finding:
    """Whether each parameter is there as often, and with the rate, as it should."""
    for name, due in expected["times"].items():
        if seen["times"][name] != due:
            return False, f"{name} is in your groups {seen['times'][name]} times, {due} is due"
        ours, right = seen["powers"][name], expected["powers"][name]
        if not alike(ours, right):
            share, right = number(10**ours), number(10**right)
            return False, f"{name} has {share} of the base rate, {right} is due"
    return not seen["strangers"], f"{seen['strangers']} tensors are not the model's own"


@claim(3, "Which layers do you count, and from which end?", of_kind("plain"))
def rates_fall_towards_the_input(seen: Evidence, expected: Evidence) -> Finding:
    """The head has the base rate, and each layer before it one factor more."""
    return _grouped(seen, expected)


@claim(2, "In how many layers do you meet a shared weight?", of_kind("tied"))
def shared_parameters_come_once(seen: Evidence, expected: Evidence) -> Finding:
    """A parameter that two layers share is there once, with the rate of the first of them."""
    return _grouped(seen, expected)


@claim(2, "What do you do with a layer of which nothing is trainable?", of_kind("frozen"))
def frozen_parameters_are_left_out(seen: Evidence, expected: Evidence) -> Finding:
    """A frozen parameter is in no group, and its layer counts as a layer all the same."""
    return _grouped(seen, expected)


@claim(1, "Which parameters does a model hold that none of its children has?", of_kind("bare"))
def none_is_lost(seen: Evidence, expected: Evidence) -> Finding:
    """Parameters outside of all children are with the first layer."""
    return _grouped(seen, expected)


@claim(1, "What does an optimizer of nothing do?", of_kind("refused"), rates_fall_towards_the_input)
def refuses_a_frozen_model(seen: Evidence, expected: Evidence) -> Finding:
    """A model without a trainable parameter raises a ValueError."""
    return refused(seen["ending"])


@claim(1, "Which line of yours sets something?", _not_refused, rates_fall_towards_the_input)
def leaves_the_model_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The model is left as it was: its flags, gradients, numbers and modes."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


Layers = list[list[Tensor]]
"""The parameters of each layer, from the input up."""


def _children(model: nn.Module) -> Layers:
    return [[*child.parameters()] for child in model.children()]


def _first_owner(layers: Layers) -> Layers:
    """Each parameter in the first of its layers only."""
    taken: set[Tensor] = set()
    left = []
    for layer in layers:
        left.append([p for p in layer if p not in taken])
        taken.update(layer)
    return left


def _no_nothing(groups: Sequence[Mapping[str, Any]]) -> None:
    if not any(group["params"] for group in groups):
        raise ValueError("nothing is trainable")


def grouped(
    model: nn.Module,
    base_rate: float,
    factor: float,
    layers: Part = _children,
    counts: Part = lambda layer: len(layer) > 0,
    own: Part = lambda model: [*model.parameters(recurse=False)],
    once: Part = _first_owner,
    stays: Part = lambda p: p.requires_grad,
    power: Part = lambda place, count: count - 1 - place,
    check: Part = _no_nothing,
) -> list[dict[str, Any]]:
    """The right answer in parts."""
    first, *others = [layer for layer in layers(model) if counts(layer)] or [[]]
    found = once([[*own(model), *first], *others])
    rates = [base_rate * factor ** power(place, len(found)) for place in range(len(found))]
    groups = [
        {"params": [p for p in layer if stays(p)], "lr": rate}
        for layer, rate in zip(found, rates, strict=True)
    ]
    check(groups)
    return groups


believing = beliefs_about(grouped)
BELIEFS = (
    believing(
        "Rates fall from the input to the output.",
        "The first layers hold what is general and should move least. The head is new.",
        "Which of your layers has the base rate?",
        power=lambda place, count: place,
    ),
    believing(
        "Every child is a layer.",
        "An activation has nothing to be trained. Counted as a layer it takes a factor away from "
        "all before it.",
        "How many of the children hold parameters?",
        counts=lambda layer: True,
    ),
    believing(
        "Every module that holds a weight is a layer.",
        "A block of modules is one layer of this model, and its parts share a rate.",
        "How many children has the model, and how many modules?",
        layers=lambda model: [
            [*m.parameters(recurse=False)] for m in model.modules() if m is not model
        ],
    ),
    believing(
        "Every parameter is a layer.",
        "A bias belongs to its weight. Your rates fall twice as fast.",
        "Which rates have the weight and the bias of one layer?",
        layers=lambda model: [[p] for child in model.children() for p in child.parameters()],
    ),
    believing(
        "A shared weight belongs to every layer that uses it.",
        "Torch refuses a parameter that is in two groups. Who lets it through steps it twice.",
        "How often is the weight that embed and head share in your groups?",
        once=lambda layers: layers,
    ),
    believing(
        "A shared weight belongs to the last layer that uses it.",
        "At the rate of the head the embedding is thrown about. The task puts it with the first.",
        "Which rate has the weight that embed and head share?",
        once=lambda layers: _first_owner(layers[::-1])[::-1],
    ),
    believing(
        "A frozen parameter in a group does no harm.",
        "Unfrozen later it trains at once, and the optimizer may have had a memory of it all "
        "along. Nobody meant that.",
        "Which of your parameters are not trainable?",
        stays=lambda p: True,
        check=lambda groups: None,
    ),
    believing(
        "A frozen layer is no layer.",
        "Then all layers before it change their rates on the day it is frozen or unfrozen.",
        "Which rate has the layer before the frozen one?",
        counts=lambda layer: any(p.requires_grad for p in layer),
    ),
    believing(
        "A model is the sum of its children.",
        "It can hold parameters itself. They are in none of your groups and stand still.",
        "How many parameters has the model, and how many are in your groups?",
        own=lambda model: [],
        check=lambda groups: None,
    ),
    believing(
        "The factor applies to every layer.",
        "The head is where counting begins: it has the base rate itself.",
        "Which rate has the last of your groups?",
        power=lambda place, count: count - place,
    ),
    believing(
        "A model always has something to train.",
        "Not if everything is frozen. Your groups are empty, and the training that follows does "
        "nothing.",
        "What do your groups hold if every parameter is frozen?",
        check=lambda groups: None,
    ),
)

EXERCISE = Exercise(
    reference=layerwise_groups,
    challenge=challenge,
    observe=observe,
    hints=(
        "Make a list of layers first, each the list of its child's parameters. Which children are "
        "no layers, and which parameters are in no child?",
        "Walk through the layers from the first on, with a set of the parameters met so far. "
        "Parameters can be in a set: it tells objects apart, not numbers.",
        "model.parameters(recurse=False) are those outside of all children. The last of n layers "
        "has the power 0 of the factor, the first n - 1.",
    ),
    lesson="08_unlocking",
    section="A rate for each layer",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    note="Compare the numbers in your groups with those that are trainable before you train: it is "
    "one line. paramlock.torch.discriminative_rates makes such groups.",
)
