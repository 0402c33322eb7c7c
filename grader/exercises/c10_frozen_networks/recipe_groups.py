"""The groups of a recipe: activations, scales and weights, each with a rate and a decay (torch)."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from grader.instruments import optimizer_groups
from grader.instruments.refusals import refusal, refused
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built, case
from grader.instruments.words import listed
from grader.judging.evidence import alike, number
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def recipe_groups(model, rate, bend_rate, decay):
    """Make the groups in which a frozen mixing network is trained: activations, scales, weights.

    A parameter belongs to a learned activation if one of the modules on its path is called exactly
    ``bend``, whatever its shape. Of all others, those of fewer than two dimensions are scales:
    biases, gains of norms, gates. What has two dimensions or more is a weight.

    Args:
        model: a ``torch.nn.Module``. It stays as it is.
        rate: the learning rate of scales and weights, a positive float.
        bend_rate: the learning rate of activations, a positive float.
        decay: the weight decay of the weights, a positive float. Activations and scales have 0.0,
            and their groups say so: an optimizer has a default of its own.

    Returns:
        A list of dicts with "params", "lr" and "weight_decay" for a torch optimizer, none of them
        without params. Each trainable parameter is in one of them, once, also if two modules share
        it; a frozen one in none.

    Raises:
        ValueError: the model has no trainable parameter.

    Example:
        >>> model = nn.ModuleDict({"head": nn.Linear(3, 2), "bend": nn.PReLU(3)})
        >>> groups = recipe_groups(model, rate=0.1, bend_rate=0.5, decay=0.01)
        >>> sorted((group["lr"], group["weight_decay"]) for group in groups)
        [(0.1, 0.0), (0.1, 0.01), (0.5, 0.0)]
    """
    bends, scales, weights = [], [], []
    for name, parameter in model.named_parameters():  # a shared one comes once
        *modules, _ = name.split(".")
        role = scales if parameter.ndim < 2 else weights
        role = bends if "bend" in modules else role
        if parameter.requires_grad:
            role.append(parameter)
    if not bends + scales + weights:
        raise ValueError("no parameter of this model is trainable")
    recipe = [(bends, bend_rate, 0.0), (scales, rate, 0.0), (weights, rate, decay)]
    return [{"params": some, "lr": lr, "weight_decay": wd} for some, lr, wd in recipe if some]


def challenge(rng: np.random.Generator) -> Challenge:
    a, b, c = (int(size) for size in rng.integers((3, 6, 9), (6, 9, 12)))

    def of(layers: Mapping[str, Any], frozen: Iterable[str] = (), **own: Any) -> Inputs:
        settings = {
            "rate": float(rng.uniform(0.01, 0.1)),
            "bend_rate": float(rng.uniform(0.2, 0.9)),
            "decay": float(rng.uniform(0.01, 0.3)),
        }
        return case(rng, layers, frozen, **({"kind": "plain"} | settings | own))

    slopes, head = ["Parameter", b, 3], {"head": ["Linear", b, c]}
    bends = {"one.bend.slopes": slopes, "one.bend.offset": ["Parameter", b]}
    other = {"two.adapter": ["Linear", b, b], "two.bend.slopes": slopes, "two.gate": ["Parameter"]}
    whole = bends | other | head
    normed = {"conv": ["Conv2d", a, b, 3], "norm": ["BatchNorm2d", b], "bend": ["PReLU", b]}
    near = {"unbend": ["Linear", a, b], "bend2": ["PReLU", b], "bender.slopes": slopes}
    tied = of({"embed": ["Embedding", c, b]} | whole, kind="shared")
    return {
        "activations, a gate, a head": of(whole),
        "rates and a decay near 1e-20": of(whole, rate=3e-20, bend_rate=5e-20, decay=7e-20),
        "a convolution and a norm": of(normed | head),
        "a bare gate and a bare matrix": of(
            bends | {"gate": ["Parameter", a, a], "scale": ["Parameter"]}
        ),
        "names that are nearly bend": of(near | head, kind="named"),
        "a parameter called bend": of(
            {"two.bend": slopes, "bend": ["Parameter", b]} | head, kind="named"
        ),
        "layers within an activation": of({"one.bend.inner": head["head"]} | head, kind="named"),
        "a frozen body": of(whole, ["two"], kind="frozen"),
        "a frozen head with gradients": of(whole, ["head"], kind="frozen", with_gradients=["two"]),
        "frozen slopes, a frozen bias": of(whole, ["one.bend.slopes", "head.bias"], kind="frozen"),
        "a shared weight": {**tied, "tied": [["embed.weight", "head.weight"]]},
        "shared slopes": {**tied, "tied": [["one.bend.slopes", "two.bend.slopes"]]},
        "activations alone": of(bends, kind="few"),
        "no activations, no weights": of({"norm": ["BatchNorm1d", b]}, kind="few"),
        "all frozen but the activations": of(
            whole, ["two.adapter", "two.gate", "head"], kind="few"
        ),
        "all is frozen": of(whole, ["one", "two", "head"], kind="refused"),
        "no parameters": of({"act": ["ReLU"]}, kind="refused"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model, kind = built(inputs), inputs["kind"]
    before = snapshot(model)
    given = (model, inputs["rate"], inputs["bend_rate"], inputs["decay"])
    if kind == "refused":
        return {"kind": kind, "ending": refusal(candidate, *given, returned=lambda _: "groups")}
    returned = candidate(*given)
    groups = optimizer_groups.read(returned)
    if groups is None:
        return None if returned is None else f"<{type(returned).__name__}>"
    setting = partial(optimizer_groups.setting, model, groups)
    return {
        "kind": kind,
        "times": optimizer_groups.times(model, groups),
        "rates": setting("lr", inputs["rate"]),
        "decays": setting("weight_decay", inputs["decay"]),
        "strangers": optimizer_groups.strangers(model, groups),
        "empty": optimizer_groups.empty(groups),
        "changed": changed(before, model),
    }


def _not_refused(expected: Evidence) -> bool:
    return "changed" in expected


def _grouped(seen: Evidence, expected: Evidence) -> Finding:
    """Whether each parameter is there as often, and with the settings, as it should."""
    for name, due in expected["times"].items():
        if seen["times"][name] != due:
            return False, f"{name} is in your groups {seen['times'][name]} times, {due} is due"
        for key, what in (("rates", "rate"), ("decays", "decay")):
            ours, right = seen[key][name], expected[key][name]
            if not alike(ours, right):
                share = f"{number(ours)} times" if ours == ours else "no word of"
                return False, f"{name} has {share} the {what} given, {number(right)} is due"
    return not seen["strangers"], f"{seen['strangers']} tensors are not the model's own"


@claim(3, "Which of the three roles has each parameter, and what goes with it?", of_kind("plain"))
def roles_have_their_settings(seen: Evidence, expected: Evidence) -> Finding:
    """Activations have their own rate and no decay, scales no decay, weights both as given."""
    return _grouped(seen, expected)


@claim(2, "Which modules lie on the path of a parameter?", of_kind("named"))
def paths_say_what_bends(seen: Evidence, expected: Evidence) -> Finding:
    """An activation's parameters are those below a module called bend, and no others."""
    return _grouped(seen, expected)


@claim(1, "What of a frozen parameter would an optimizer step?", of_kind("frozen"))
def frozen_parameters_are_left_out(seen: Evidence, expected: Evidence) -> Finding:
    """A frozen parameter is in no group."""
    return _grouped(seen, expected)


@claim(1, "How often do you meet what two modules share?", of_kind("shared"))
def shared_parameters_come_once(seen: Evidence, expected: Evidence) -> Finding:
    """A parameter that two modules share is there once."""
    return _grouped(seen, expected)


@claim(1, "Which of your groups have something to train?", of_kind("few"))
def groups_hold_something(seen: Evidence, expected: Evidence) -> Finding:
    """Where a role has no trainable parameter there is no group for it."""
    holds, words = _grouped(seen, expected)
    return holds and not seen["empty"], f"{words}; {seen['empty']} groups are empty"


@claim(1, "What does an optimizer of nothing do?", of_kind("refused"), roles_have_their_settings)
def refuses_a_frozen_model(seen: Evidence, expected: Evidence) -> Finding:
    """A model without a trainable parameter raises a ValueError."""
    return refused(seen["ending"])


@claim(1, "Which line of yours sets something?", _not_refused, roles_have_their_settings)
def leaves_the_model_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The model is left as it was: its flags, gradients, numbers and modes."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def grouped(
    model: nn.Module,
    rate: float,
    bend_rate: float,
    decay: float,
    named: Part = lambda model: model.named_parameters(),
    stays: Part = lambda p: p.requires_grad,
    is_bend: Part = lambda name, p: "bend" in name.split(".")[:-1],
    is_scale: Part = lambda name, p: p.ndim < 2,
    bends: Part = lambda rate, bend_rate, decay: {"lr": bend_rate, "weight_decay": 0.0},
    scales: Part = lambda rate, decay: {"lr": rate, "weight_decay": 0.0},
    holds: Part = len,
) -> list[dict[str, Any]]:
    """The right answer in parts."""
    groups: list[dict[str, Any]] = [
        {"params": [], **bends(rate, bend_rate, decay)},
        {"params": [], **scales(rate, decay)},
        {"params": [], "lr": rate, "weight_decay": decay},
    ]
    for name, p in named(model):
        if stays(p):
            place = 0 if is_bend(name, p) else 1 if is_scale(name, p) else 2
            groups[place]["params"].append(p)
    if not any(group["params"] for group in groups):
        raise ValueError("nothing is trainable")
    return [group for group in groups if holds(group["params"])]


believing = beliefs_about(grouped)
BELIEFS = (
    believing(
        "A decay holds an activation near its start.",
        "It pulls to 0. The start of a slope is 1 or 0.01, and a slope of 0 hands nothing on.",
        "Which shape has an activation whose numbers are all 0?",
        bends=lambda rate, bend_rate, decay: {"lr": bend_rate, "weight_decay": decay},
    ),
    believing(
        "Every parameter takes a decay.",
        "A gain or a gate at 0 switches its channel off, and a bias costs nothing. The recipe "
        "leaves all three alone.",
        "Which decay has the gate?",
        scales=lambda rate, decay: {"lr": rate, "weight_decay": decay},
    ),
    believing(
        "One learning rate does for all.",
        "An activation has few numbers, and each of them has far to go. It is given a rate of its "
        "own.",
        "Which of your groups has the bend_rate?",
        bends=lambda rate, bend_rate, decay: {"lr": rate, "weight_decay": 0.0},
    ),
    believing(
        "What has one dimension belongs to an activation.",
        "Biases and gains have one as well, and an activation of three numbers a channel has two. "
        "The path says what it is.",
        "Which shapes have the parameters below one.bend?",
        is_bend=lambda name, p: p.ndim < 2,
    ),
    believing(
        "A name with bend in it is an activation's.",
        "So are those of unbend, bend2 and bender. Modules on a path are compared whole.",
        "Of which modules is the path bender.slopes made?",
        is_bend=lambda name, p: "bend" in name,
    ),
    believing(
        "Scales are what is called bias.",
        "The gain of a norm is called weight, and a gate what its author liked.",
        "What are the names of the two parameters of a BatchNorm?",
        is_scale=lambda name, p: name.endswith("bias"),
    ),
    believing(
        "A weight is a matrix.",
        "A convolution's has four dimensions, and is a weight none the less.",
        "Which decay has the convolution?",
        is_scale=lambda name, p: p.ndim != 2,
    ),
    believing(
        "A frozen parameter in a group does no harm.",
        "Unfrozen later it trains at once, and the optimizer may have had a memory of it all "
        "along. Nobody meant that.",
        "Which of your parameters are not trainable?",
        stays=lambda p: True,
    ),
    believing(
        "Each name is a parameter of its own.",
        "Two names can mean one parameter. Torch refuses one that is in two groups; who lets it "
        "through steps it twice.",
        "How many parameters has the model, and how many names have they?",
        named=lambda model: model.named_parameters(remove_duplicate=False),
    ),
    believing(
        "A group that says nothing of decay has none.",
        "It takes the optimizer's. That of AdamW is 0.01.",
        "What does torch.optim.AdamW take where a group has no weight_decay?",
        bends=lambda rate, bend_rate, decay: {"lr": bend_rate},
        scales=lambda rate, decay: {"lr": rate},
    ),
    believing(
        "A group without parameters does no harm.",
        "Schedules and logs count it, and it hides that a role is missing: perhaps a name changed.",
        "How many groups do you return for a model of activations alone?",
        holds=lambda params: True,
    ),
)

EXERCISE = Exercise(
    reference=recipe_groups,
    challenge=challenge,
    observe=observe,
    hints=(
        "Three lists and one walk over model.named_parameters(): which question comes first, the "
        "one about the path or the one about dimensions?",
        "name.split('.') gives the modules on the way, and the parameter's own name at the end.",
        "Make the dicts at the end, from pairs of a list and its settings, and leave out those "
        "whose list is empty. Raise before that if all three are.",
    ),
    lesson="10_frozen_networks",
    section="What the recipe is worth",
    frameworks=("torch",),
    minutes=15,
    difficulty=3,
    note="paramlock.mixing.mixing_parameter_groups makes such groups, and tells activations by "
    "their class. Both ways break when a model is rewritten: count what is in a group.",
)
