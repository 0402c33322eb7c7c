"""Give one dead unit a fresh start, in the weights and in the optimizer's memory (torch).

What the call did is read off both layers and off the optimizer: the numbers that belong to the
unit, and all others.
"""

import copy

import numpy as np
import torch
from torch import nn

from grader.judging.evidence import alike, number, numbers
from grader.judging.exercise import Claim, Exercise, Misconception


def revive_unit(layer, following, unit, incoming, optimizer):
    """Give one dead unit a fresh start and leave everything else as it is.

    Three sets of numbers belong to the unit: its incoming weights in ``layer``, its bias there,
    and its outgoing weights in ``following``. After the call the incoming weights are
    ``incoming``, the bias is 0 (if the layer has one), and the outgoing weights are 0, so that the
    network still computes what it computed. The optimizer remembers nothing of these numbers:
    wherever it keeps a tensor of a parameter's shape, such as Adam's two averages, the entries
    that belong to the unit are 0.

    Nothing else changes: no other weight, no other memory or gradient, no step count. The
    optimizer holds the same parameters as before, as the same objects.

    Args:
        layer: ``nn.Linear`` of D inputs and H units; its output goes through ReLU into
            ``following``. It may have no bias.
        following: ``nn.Linear`` of H inputs.
        unit: index of the unit, an int from 0 to H - 1.
        incoming: fresh incoming weights, shape (D,).
        optimizer: a torch optimizer over the parameters of both layers, with or without memory.

    Returns:
        None. The layers and the optimizer are changed in place.
    """
    places = [(layer.weight, unit), (layer.bias, unit), (following.weight, (slice(None), unit))]
    with torch.no_grad():
        for parameter, place in places:
            if parameter is None:
                continue
            parameter[place] = incoming if parameter is layer.weight else 0
            for kept in optimizer.state.get(parameter, {}).values():
                if torch.is_tensor(kept) and kept.shape == parameter.shape:
                    kept[place] = 0


WIDTHS = range(3, 9)
"""Inputs, units and outputs: one number, so that no shape betrays a mistaken axis."""

OPTIMIZERS = {
    "Adam": (torch.optim.Adam, {"lr": 0.01}),
    "AdamW with amsgrad": (torch.optim.AdamW, {"lr": 0.01, "amsgrad": True}),
    "SGD with momentum": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}),
    "SGD": (torch.optim.SGD, {"lr": 0.01}),
}


def challenge(rng):
    def case(optimizer, steps=3, bias=True):
        width = int(rng.choice(WIDTHS))
        return {
            "width": width,
            "optimizer": optimizer,
            "steps": steps,
            "bias": bias,
            "unit": int(rng.integers(width)),
            "incoming": rng.normal(size=width).astype(np.float32),
            "seed": int(rng.integers(1000)),
        }

    return {
        "Adam after three steps": case("Adam"),
        "AdamW with amsgrad after three steps": case("AdamW with amsgrad"),
        "SGD with momentum after three steps": case("SGD with momentum"),
        "SGD, which remembers nothing": case("SGD"),
        "Adam before its first step": case("Adam", steps=0),
        "Adam, a layer without bias": case("Adam", bias=False),
    }


def observe(candidate, inputs):
    layer, following, optimizer = _trained(inputs)
    unit, x = inputs["unit"], torch.from_numpy(_normal(inputs["seed"], 5, inputs["width"]))
    before, output = _entries(layer, following, optimizer), _output(layer, following, x)
    held = set(_held(optimizer))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs["seed"])
        candidate(layer, following, unit, torch.from_numpy(inputs["incoming"].copy()), optimizer)
    after = _entries(layer, following, optimizer)
    parameters = [*layer.parameters(), *following.parameters()]
    return {
        "incoming": after["weight of layer"][unit],
        "bias": after["bias of layer"][unit] if inputs["bias"] else 0.0,
        "outgoing": after["weight of following"][:, unit],
        "output moved by": float(np.abs(_output(layer, following, x) - output).max()),
        "memory of the unit": _remembered(after, unit),
        "others changed": _others_changed(before, after, unit),
        "numbers held": sum(p.numel() for p in parameters if p in held & set(_held(optimizer))),
        "remembers": inputs["steps"] > 0 and inputs["optimizer"] != "SGD",
    }


def _held(optimizer):
    """The parameters that the optimizer steps."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def _trained(inputs):
    """Two layers after some steps, the unit dead by its bias or its weights."""
    rng = np.random.default_rng(inputs["seed"])
    sizes = [inputs["width"]] * 2
    layer = nn.utils.skip_init(nn.Linear, *sizes, bias=inputs["bias"])
    following = nn.utils.skip_init(nn.Linear, *sizes)
    parameters = [*layer.parameters(), *following.parameters()]
    make, settings = OPTIMIZERS[inputs["optimizer"]]
    optimizer = make(parameters, **settings)
    for parameter in parameters:
        parameter.data = _drawn(rng, parameter)
    for _ in range(inputs["steps"] + 1):  # the gradient of one more step stays
        if parameters[0].grad is not None:
            optimizer.step()
        for parameter in parameters:
            parameter.grad = _drawn(rng, parameter)
    layer.weight.data[inputs["unit"]] = -5.0  # the inputs are positive
    return layer, following, optimizer


def _drawn(rng, like):
    return torch.from_numpy(rng.normal(size=like.shape).astype(np.float32))


def _normal(seed, *shape):
    return 0.5 + np.abs(np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


@torch.no_grad()
def _output(layer, following, x):
    return following(torch.relu(layer(x))).numpy()


def _entries(layer, following, optimizer):
    """Every parameter, its gradient, and what the optimizer keeps of it, by name."""
    found = {}
    for owner, module in (("layer", layer), ("following", following)):
        for name, parameter in module.named_parameters():
            kept = optimizer.state.get(parameter, {}) | {"gradient": parameter.grad}
            found[f"{name} of {owner}"] = _copied(parameter)
            for key, value in kept.items():
                if value is not None:
                    found[f"{key} for {name} of {owner}"] = _copied(value)
    return found


def _copied(value):
    return value.detach().numpy().copy() if torch.is_tensor(value) else np.asarray(value)


def _of_the_unit(name, array, unit):
    """Which entries of an array belong to the unit."""
    belongs = np.zeros(array.shape, bool)
    if name.endswith("weight of following") and array.ndim:
        belongs[..., unit : unit + 1] = True
    elif name.endswith("of layer") and array.ndim:
        belongs[unit] = True
    return belongs


def _remembered(after, unit):
    """The sum of the absolute values that the optimizer still remembers of the unit."""
    kept = [name for name in after if " for " in name and not name.startswith("gradient")]
    left = [after[name][_of_the_unit(name, after[name], unit)] for name in kept]
    return float(np.abs(np.concatenate([np.zeros(1), *left])).sum())


def _others_changed(before, after, unit):
    """Names of what changed, or is gone, beside the entries that belong to the unit."""
    changed = []
    for name, array in before.items():
        others = ~_of_the_unit(name, array, unit)
        there = name in after and after[name].shape == array.shape
        if not there or not np.array_equal(after[name][others], array[others]):
            changed.append(name)
    return changed


def starts_afresh(seen, expected):
    """The unit's incoming weights are those given, and its bias is 0."""
    words = f"incoming weights {numbers(seen['incoming'])}, bias {number(seen['bias'])}"
    right = f"given were {numbers(expected['incoming'])}"
    met = alike(seen["incoming"], expected["incoming"]) and seen["bias"] == 0
    return met, f"{words}; {right}"


def computes_what_it_computed(seen, expected):
    """The unit's outgoing weights are 0, so the network's output does not move."""
    words = f"outgoing weights {numbers(seen['outgoing'])}"
    moved = f"the output moved by up to {number(seen['output moved by'])}"
    met = not seen["outgoing"].any() and seen["output moved by"] < 1e-5
    return met, f"{words}; {moved}"


def forgets_the_unit(seen, expected):
    """The optimizer remembers nothing of the unit's incoming weights, bias and outgoing weights."""
    left = seen["memory of the unit"]
    if not expected["remembers"]:
        return None
    return left == 0, f"the sizes of what it remembers of the unit add up to {number(left)}"


def touches_nothing_else(seen, expected):
    """Nothing else changes: no other weight, memory or gradient, and no step count."""
    names = seen["others changed"]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return not names, f"changed or gone: {', '.join(names[:3]) or 'nothing'}{more}"


def keeps_the_parameters(seen, expected):
    """The optimizer goes on with the parameters of both layers, the same objects as before."""
    held, right = seen["numbers held"], expected["numbers held"]
    return held == right, f"the optimizer holds {held} of the {right} numbers in both layers"


def _places(layer, following, unit):
    """Each parameter with the place of the unit in it."""
    places = [(layer.weight, unit), (layer.bias, unit), (following.weight, (slice(None), unit))]
    return [(parameter, place) for parameter, place in places if parameter is not None]


def _forget(optimizer, places):
    for parameter, place in places:
        for kept in optimizer.state.get(parameter, {}).values():
            if torch.is_tensor(kept) and kept.shape == parameter.shape:
                kept[place] = 0


@torch.no_grad()
def _set(places, incoming):
    """Write the fresh weights into the first place and 0 into the others."""
    for i, (parameter, place) in enumerate(places):
        parameter[place] = 0 if i else incoming


def set_the_whole_layer_afresh(layer, following, unit, incoming, optimizer):
    layer.reset_parameters()
    revive_without_a_flaw(layer, following, unit, incoming, optimizer)


def leave_the_outgoing_weights(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set(places[:-1], incoming)
    _forget(optimizer, places)


def leave_the_bias(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set([place for place in places if place[0] is not layer.bias], incoming)
    _forget(optimizer, places)


def leave_the_memory(layer, following, unit, incoming, optimizer):
    _set(_places(layer, following, unit), incoming)


def leave_the_memory_of_the_outgoing(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set(places, incoming)
    _forget(optimizer, places[:-1])


def clear_all_memory(layer, following, unit, incoming, optimizer):
    _set(_places(layer, following, unit), incoming)
    optimizer.state.clear()


def clear_the_memory_of_the_parameters(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set(places, incoming)
    for parameter, _ in places:
        optimizer.state.pop(parameter, None)


def make_new_parameters(layer, following, unit, incoming, optimizer):
    for module, name in ((layer, "weight"), (layer, "bias"), (following, "weight")):
        if getattr(module, name) is not None:
            setattr(module, name, nn.Parameter(getattr(module, name).detach().clone()))
    _set(_places(layer, following, unit), incoming)


def mix_the_axes_up(layer, following, unit, incoming, optimizer):
    places = [(layer.weight, (slice(None), unit)), (layer.bias, unit), (following.weight, unit)]
    places = [(parameter, place) for parameter, place in places if parameter is not None]
    _set(places, incoming)
    _forget(optimizer, places)


def start_from_zero(layer, following, unit, incoming, optimizer):
    revive_without_a_flaw(layer, following, unit, torch.zeros_like(incoming), optimizer)


def change_a_copy(layer, following, unit, incoming, optimizer):
    twins = copy.deepcopy((layer, following, optimizer))
    revive_without_a_flaw(*twins[:2], unit, incoming, twins[2])


def revive_without_a_flaw(layer, following, unit, incoming, optimizer):
    places = _places(layer, following, unit)
    _set(places, incoming)
    _forget(optimizer, places)


EXERCISE = Exercise(
    reference=revive_unit,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(starts_afresh, 2, "Which row or column of layer.weight belongs to the unit?"),
        Claim(touches_nothing_else, 3, "Which line of yours reaches further than the unit?"),
        Claim(computes_what_it_computed, 2, "What does following make of the unit's new output?"),
        Claim(forgets_the_unit, 3, "Which tensors does the optimizer keep for each parameter?"),
        Claim(keeps_the_parameters, 1, "How does an optimizer know which tensors to step?"),
    ),
    misconceptions=(
        Misconception(
            "To revive a unit is to initialise its layer again.",
            "The other units of the layer had learned something, and it is gone.",
            "How many numbers of layer.weight belong to one unit?",
            set_the_whole_layer_afresh,
        ),
        Misconception(
            "A dead unit's outgoing weights do no harm.",
            "They did none while the unit gave 0. Now it gives something else, and old weights "
            "carry it into the output: the network makes a jump.",
            "Which outgoing weights leave the output as it was, whatever the unit gives?",
            leave_the_outgoing_weights,
        ),
        Misconception(
            "Fresh weights are a fresh start, whatever the bias.",
            "The bias is often what killed the unit. It stayed.",
            "Which numbers make up a unit's pre-activation?",
            leave_the_bias,
        ),
        Misconception(
            "What an optimizer remembers belongs to the past.",
            "It belongs to the next step. The averages of the steps that killed the unit go on "
            "pushing the new weights the same way.",
            "What will Adam do with the new weights in a step whose gradient is 0?",
            leave_the_memory,
        ),
        Misconception(
            "Only the unit's own layer is remembered.",
            "Its outgoing weights are parameters too. They are 0 now, and an old average would "
            "move them in the next step.",
            "How many of the optimizer's parameters hold numbers of this unit?",
            leave_the_memory_of_the_outgoing,
        ),
        Misconception(
            "An optimizer starts best with an empty memory.",
            "The other units lost their averages too, and their next Adam steps are those of a "
            "cold start: full size, whatever the gradient.",
            "Which entries of a stored tensor belong to the unit?",
            clear_all_memory,
        ),
        Misconception(
            "A parameter's memory is one thing, to be kept or dropped.",
            "Each number of the parameter has its own entry. You dropped those of all units of "
            "these parameters, and the step count with them.",
            "What is the shape of exp_avg beside that of its parameter?",
            clear_the_memory_of_the_parameters,
        ),
        Misconception(
            "A layer with a new Parameter goes on learning.",
            "The optimizer still holds the old objects and steps those. The new ones stay as they "
            "are, for all units.",
            "How do you write into the tensor that is there already?",
            make_new_parameters,
        ),
        Misconception(
            "weight[:, unit] leads into a unit.",
            "The weight of a Linear has a row for each output: weight[unit] leads into the unit, "
            "and a column of the next weight leads out of it.",
            "What is the shape of the weight of nn.Linear(3, 5)?",
            mix_the_axes_up,
        ),
        Misconception(
            "Zeros are a neutral start.",
            "With zeros on both sides the unit gives 0, and its gradients are 0 on both sides, "
            "too. It is locked again.",
            "Which gradient could move the incoming weights while the outgoing ones are 0, and "
            "which the outgoing ones while the unit gives 0?",
            start_from_zero,
        ),
        Misconception(
            "Whoever called takes what comes back.",
            "Nothing changed in the layers and the optimizer that you were given. If you changed a "
            "copy, it is gone when the function ends.",
            "Which of your lines write into the objects that were passed in?",
            change_a_copy,
        ),
    ),
    hints=(
        "For nn.Linear(D, H) the weight has the shape (H, D). Which part of layer.weight, and "
        "which of following.weight, belongs to the unit?",
        "Write in place under torch.no_grad(). optimizer.state[parameter] is a dict; print it for "
        "one parameter. Which of its values have the parameter's shape?",
        "For each of the three (parameter, place) pairs: set parameter[place], then set "
        "kept[place] = 0 for every tensor kept there with the parameter's shape. A parameter "
        "without memory has no entry: state.get(parameter, {}).",
    ),
    lesson="02_dead_relu",
    section="Reviving one unit",
    frameworks=("torch",),
    minutes=25,
    note="A unit revived this way learns from its second step on: in the first only its outgoing "
    "weights have a gradient. At the learning rate that killed it, it may soon be dead again.",
)
