"""Renew dead units with all that belongs to them: weights, norm, the optimizer's memory (torch)."""

from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from grader.instruments import torch_memory as memory
from grader.instruments.torch_memory import Entries
from grader.instruments.torch_nets import eighths, give_gradients, net
from grader.judging.evidence import alike, number, numbers
from grader.judging.exercise import Exercise, beliefs_about, claim
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def renew_units(layer, norm, following, units, incoming, optimizer):
    """Renew dead units: fresh weights in, none out, a fresh norm, and no memory of what was.

    The output of ``layer`` goes through ``norm``, if there is one, through ReLU and into
    ``following``. A unit is an output of ``layer``, in a convolution a channel. For each unit to be
    renewed the incoming weights become those given, its bias 0, and all its outgoing weights 0, so
    that the network still computes what it computed. In the norm, its gain and running variance
    become 1, its shift and running mean 0. Wherever the optimizer keeps a tensor of a parameter's
    shape, the entries of these units are 0. Nothing else changes, no step count either.

    Args:
        layer: ``nn.Linear`` or ``nn.Conv2d`` of H outputs, perhaps without bias.
        norm: ``nn.BatchNorm1d`` or ``nn.BatchNorm2d`` of H features, or None.
        following: ``nn.Linear`` or ``nn.Conv2d``. If ``layer`` is a convolution and ``following``
            is not, channels are flattened in between as ``nn.Flatten`` does it: all places of
            channel 0 first, then those of channel 1.
        units: bool tensor of shape (H,), True for each unit to be renewed.
        incoming: fresh weights for these units in their order, shaped as their rows of the weight.
        optimizer: a torch optimizer, with or without memory, over some or all parameters.

    Returns:
        None. Layers, norm and optimizer are changed in place.

    Example:
        >>> layer, following = nn.Linear(1, 2), nn.Linear(2, 1)
        >>> following.weight.data = torch.ones(1, 2)
        >>> optimizer, dead = torch.optim.SGD(layer.parameters()), torch.tensor([False, True])
        >>> renew_units(layer, None, following, dead, torch.tensor([[0.5]]), optimizer)
        >>> layer.weight[1].item(), layer.bias[1].item(), following.weight.tolist()
        (0.5, 0.0, [[1.0, 0.0]])
    """
    places = following.weight.shape[1] // len(units)  # of a flattened channel, else 1
    out = (slice(None), units.repeat_interleave(places))
    new = [(layer.weight, units, incoming), (layer.bias, units, 0), (following.weight, out, 0)]
    if norm is not None:
        new += [(norm.weight, units, 1), (norm.bias, units, 0)]
        new += [(norm.running_mean, units, 0), (norm.running_var, units, 1)]
    with torch.no_grad():
        for tensor, place, value in new:
            if tensor is None:
                continue
            tensor[place] = value
            for kept in optimizer.state.get(tensor, {}).values():
                if torch.is_tensor(kept) and kept.shape == tensor.shape:
                    kept[place] = 0


def challenge(rng: np.random.Generator) -> Challenge:
    d, h, o = (int(size) for size in rng.integers((3, 6, 10), (6, 10, 14)))

    def case(layers: dict[str, Any], optimizer: str, share: float = 0.5, **own: Any) -> Inputs:
        """Images are 4 by 4, and a kernel of 2 leaves 3 by 3."""
        units = rng.permutation(h) < round(share * h)
        rest = (d,) if layers["layer"][0] == "Linear" else (d, 2, 2)
        incoming = rng.normal(size=(int(units.sum()), *rest)).astype(np.float32)
        own |= {"layers": layers, "optimizer": optimizer, "units": units, "incoming": incoming}
        return {"settings": {}, "steps": 3, "over": "", "seed": int(rng.integers(1000))} | own

    layer, conv, following = ["Linear", d, h], ["Conv2d", d, h, 2], ["Linear", h, o]
    unbiased, long = [*conv, 1, 0, 1, 1, False], ["Linear", 9 * h, o]
    flat, image = ["BatchNorm1d", h], ["BatchNorm2d", h]
    dense = {"layer": layer, "following": following}
    normed = {"layer": layer, "norm": flat, "following": following}
    convs = {"layer": conv, "following": ["Conv2d", h, o, 2]}
    whole = {"layer": unbiased, "norm": image, "following": long}
    momentum, amsgrad = {"momentum": 0.9}, {"amsgrad": True}
    return {
        "dense layers, Adam": case(dense, "Adam"),
        "dense layers, momentum": case(dense, "SGD", settings=momentum),
        "dense layers, SGD": case(dense, "SGD"),
        "a norm, AdamW with amsgrad": case(normed, "AdamW", settings=amsgrad),
        "a norm, no bias before it": case(normed | {"layer": [*layer, False]}, "Adagrad"),
        "convolutions": case(convs, "Adam"),
        "convolutions with a norm": case(convs | {"norm": image}, "Adam"),
        "a convolution, flattened": case(convs | {"following": long}, "SGD", settings=momentum),
        "a convolution with a norm, flattened": case(whole, "Adam"),
        "all units": case(normed, "Adam", share=1.0),
        "no unit": case(normed, "Adam", share=0.0),
        "Adam before its first step": case(normed, "Adam", steps=0),
        "an optimizer over the following layer alone": case(normed, "Adam", over="following"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model, optimizer = _trained(inputs)
    given = {key: torch.from_numpy(inputs[key].copy()) for key in ("units", "incoming")}
    of_the_units = partial(_of_the_units, inputs["units"])
    before, output = memory.entries(model, optimizer, **given), _output(model, inputs["seed"])
    parts = model.layer, getattr(model, "norm", None), model.following
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs["seed"])
        candidate(*parts, *given.values(), optimizer)
    after = memory.entries(model, optimizer, **given)
    fresh = {name: array[of_the_units(name, after)] for name, array in after.items()}
    return {
        "incoming": fresh["layer.weight"], "bias": fresh.get("layer.bias", np.zeros(0)),
        "norm": {name[5:]: fresh[name] for name in NORM if name in after},
        "outgoing": int((fresh["following.weight"] != 0).sum()),
        "flattened": inputs["layers"]["following"][1] > len(inputs["units"]),
        "output moved by": float(np.abs(_output(model, inputs["seed"]) - output).max()),
        "memory of the units": memory.remembered(after, of_the_units),
        "others changed": memory.changed_beside(before, after, of_the_units),
    }  # fmt: skip


def _trained(inputs: Inputs) -> tuple[Any, Optimizer]:
    """The layers after some steps, with the gradient of one more, the units dead."""
    model: Any = net(inputs["layers"], inputs["seed"])
    held = model.get_submodule(inputs["over"]).parameters()
    optimizer = getattr(torch.optim, inputs["optimizer"])(held, lr=0.01, **inputs["settings"])
    for step in range(inputs["steps"] + 1):
        optimizer.step()  # without gradients, the first does nothing
        give_gradients(model, step)
    units = torch.from_numpy(inputs["units"])
    model.layer.weight.data[units] = -50.0  # the inputs are positive
    if hasattr(model, "norm"):
        model.norm.weight.data[units], model.norm.bias.data[units] = 0.5, -1000.0
    return model, optimizer


@torch.no_grad()
def _output(model: Any, seed: int) -> np.ndarray:
    copied, shape = deepcopy(model).eval(), [5, model.layer.weight.shape[1]]
    shape += [4, 4] if isinstance(model.layer, nn.Conv2d) else []
    hidden = copied.layer(eighths(np.random.default_rng(seed), shape).abs())
    hidden = torch.relu(copied.norm(hidden) if hasattr(copied, "norm") else hidden)
    is_flat = isinstance(copied.following, nn.Linear)
    return copied.following(hidden.flatten(1) if is_flat else hidden).numpy()


NORM = ("norm.weight", "norm.bias", "norm.running_mean", "norm.running_var")
BY_UNIT = ("layer.weight", "layer.bias", *NORM)


def _of_the_units(units: np.ndarray, name: str, entries: Entries) -> np.ndarray:
    """Which numbers of an entry are to change; none if it is not shaped as the parameter."""
    what, _, owner = name.rpartition(" for ")
    belongs, owners = np.zeros(entries[name].shape, bool), (*BY_UNIT, "following.weight")
    if owner in owners and what != "gradient" and belongs.shape == entries[owner].shape:
        places: Any = units
        if owner == "following.weight":
            places = (slice(None), np.repeat(units, len(belongs[0]) // len(units)))
        belongs[places] = True
    return belongs


@claim(3, "Which part of layer.weight belongs to a unit?")
def starts_anew(seen: Evidence, expected: Evidence) -> Finding:
    """The units' incoming weights are those given, and their biases are 0."""
    words = f"incoming weights {numbers(np.ravel(seen['incoming']))}, biases "
    words += f"{numbers(seen['bias'])}; given were {numbers(np.ravel(expected['incoming']))}"
    return alike(seen["incoming"], expected["incoming"]) and not np.any(seen["bias"]), words


@claim(2, "Which four numbers does a norm hold of a unit?", lambda e: bool(e["norm"]), starts_anew)
def renews_the_norm(seen: Evidence, expected: Evidence) -> Finding:
    """The units' gains and running variances are 1, their shifts and running means 0."""
    words = ", ".join(f"{name} {numbers(values, 3)}" for name, values in seen["norm"].items())
    return alike(seen["norm"], expected["norm"]), words


@claim(3, "Which line of yours reaches further than the units?", needs=starts_anew)
def touches_nothing_else(seen: Evidence, expected: Evidence) -> Finding:
    """Nothing else changes: no other weight, memory, gradient or buffer, and no step count."""
    names = seen["others changed"]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return not names, f"changed, gone or added: {', '.join(names[:3]) or 'nothing'}{more}"


def _silent(seen: Evidence, expected: Evidence) -> Finding:
    words = f"{seen['outgoing']} outgoing weights are not 0"
    moved = f"the output moved by up to {number(seen['output moved by'])}"
    return not seen["outgoing"] and seen["output moved by"] < 1e-4, f"{words}; {moved}"


@claim(2, "What does following make of new units?", lambda e: not e["flattened"], starts_anew)
def computes_what_it_computed(seen: Evidence, expected: Evidence) -> Finding:
    """The units' outgoing weights are 0, so the network's output does not move."""
    return _silent(seen, expected)


@claim(2, "Which columns hold the places of one channel?", lambda e: e["flattened"], starts_anew)
def finds_flattened_channels(seen: Evidence, expected: Evidence) -> Finding:
    """Behind a flattened convolution the weights of all places of a channel are 0."""
    return _silent(seen, expected)


@claim(3, "Which tensors does the optimizer keep for each parameter?", needs=starts_anew)
def forgets_the_units(seen: Evidence, expected: Evidence) -> Finding:
    """The optimizer remembers nothing of what belongs to the units."""
    left = seen["memory of the units"]
    return left == 0, f"the sizes of what it remembers of the units add up to {number(left)}"


def _forget(optimizer: Optimizer, tensor: Tensor, place: Any) -> None:
    for kept in optimizer.state.get(tensor, {}).values():
        if torch.is_tensor(kept) and kept.shape == tensor.shape:
            kept[place] = 0


def renewed(
    layer: Any,
    norm: Any,
    following: Any,
    units: Tensor,
    incoming: Tensor,
    optimizer: Optimizer,
    prepare: Part = lambda layer: None,
    columns: Part = lambda units, run: units.repeat_interleave(run),
    written: Part = lambda new: new,
    forgotten: Part = lambda new: new,
    forget: Part = _forget,
) -> None:
    """The right answer in parts."""
    prepare(layer)
    out = (slice(None), columns(units, following.weight.shape[1] // len(units)))
    new: Any = {"weight": (layer.weight, units, incoming), "bias": (layer.bias, units, 0)}
    for name, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
        new[f"norm's {name}"] = (getattr(norm, name, None), units, value)
    new["out"] = (following.weight, out, 0)
    new = {what: place for what, place in new.items() if place[0] is not None}
    with torch.no_grad():
        for tensor, place, value in written(new).values():
            tensor[place] = value
        for tensor, place, _ in forgotten(new).values():
            forget(optimizer, tensor, place)


def _without(*words: str) -> Part:
    """Whatever has none of these words in its name."""
    return lambda new: {what: new[what] for what in new if not any(word in what for word in words)}


believing = beliefs_about(renewed)
BELIEFS = (
    believing(
        "To renew units is to initialise their layer again.",
        "The other units of the layer had learned something, and it is gone.",
        "How many of the units were to be renewed?",
        prepare=lambda layer: layer.reset_parameters(),
    ),
    believing(
        "Outgoing weights of dead units do no harm.",
        "They did none while the units gave 0. Now they carry something new into the output.",
        "Which outgoing weights leave the output as it was, whatever the units give?",
        written=_without("out"),
    ),
    believing(
        "A unit is its weights and its bias.",
        "Behind a norm gain and shift decide. A shift far below 0 keeps the new unit dead.",
        "Which numbers come between the pre-activation of the layer and ReLU?",
        written=_without("norm"),
    ),
    believing(
        "A norm is its gain and its shift.",
        "It also holds mean and variance of what the old weights gave. In eval mode they count.",
        "What is in the state_dict of a BatchNorm that is no parameter?",
        written=_without("running"),
    ),
    believing(
        "What an optimizer remembers belongs to the past.",
        "It belongs to the next step. Old averages go on pushing the new weights.",
        "What will Adam do with the new weights in a step whose gradient is 0?",
        forgotten=lambda new: {},
    ),
    believing(
        "Only the units' own layer is remembered.",
        "The optimizer may hold their gains, shifts and outgoing weights too.",
        "In how many of the optimizer's parameters do the units have numbers?",
        forgotten=_without("norm", "out"),
    ),
    believing(
        "An optimizer starts best with an empty memory.",
        "The other units lost their averages too, and their next steps are those of a cold start.",
        "Which entries of a stored tensor belong to the units?",
        forget=lambda optimizer, tensor, place: optimizer.state.clear(),
    ),
    believing(
        "A channel is one column of the layer behind it.",
        "Flattened it is a run of columns, one for each place of the image.",
        "How many columns has following.weight, and how many channels are there?",
        columns=lambda units, run: units.nonzero().flatten(),
    ),
    believing(
        "Flattened, the channels take turns.",
        "nn.Flatten puts all places of channel 0 first. You cleared columns of other channels.",
        "What is torch.arange(8).view(2, 2, 2).flatten(), and which of it is channel 0?",
        columns=lambda units, run: units.repeat(run),
    ),
)

EXERCISE = Exercise(
    reference=renew_units,
    challenge=challenge,
    observe=observe,
    hints=(
        "Make a list first: each tensor that holds numbers of the units, their place in it, and "
        "what they become. A norm holds four such tensors. A bool tensor can be a place.",
        "Of a flattened convolution following has a run of columns for each channel. How long is a "
        "run? units.repeat_interleave(length) says True for the columns of the units.",
        "For each tensor and place: write under torch.no_grad(), then set kept[place] = 0 for what "
        "optimizer.state.get(tensor, {}) keeps in the tensor's shape. Buffers have no memory.",
    ),
    lesson="08_unlocking",
    section="New weights and a clean memory",
    frameworks=("torch",),
    minutes=30,
    difficulty=5,
    note="The step count stayed, so Adam does not make up for the averages that begin at 0: the "
    "next steps of these units are up to 6.5 rates long. Lower the rate for a while.",
)
