"""Give one dead unit a fresh start, in the weights and in the optimizer's memory (torch)."""

from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adafactor, Adam, AdamW, Optimizer

from grader.instruments import torch_memory as memory
from grader.instruments.torch_memory import Entries
from grader.instruments.torch_nets import eighths, give_gradients, net
from grader.judging.evidence import alike, number, numbers
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def revive_unit(layer, following, unit, incoming, optimizer):
    """Give one dead unit a fresh start and leave everything else as it is.

    Three sets of numbers belong to the unit: its incoming weights in ``layer``, its bias there,
    and its outgoing weights in ``following``. After the call the incoming weights are
    ``incoming``, the bias is 0 (if the layer has one), and the outgoing weights are 0, so that the
    network still computes what it computed. The optimizer remembers nothing of these numbers:
    wherever it keeps a tensor of a parameter's shape, such as Adam's two averages, the entries
    that belong to the unit are 0.

    Nothing else changes: no other weight, no other memory or gradient, no step count. What the
    optimizer keeps in other shapes, such as Adafactor's means of rows and of columns, stays. It
    holds the same parameters as before, as the same objects.

    Args:
        layer: ``nn.Linear`` of D inputs and H units; its output goes through ReLU into
            ``following``. It may have no bias.
        following: ``nn.Linear`` of H inputs.
        unit: index of the unit, an int from 0 to H - 1.
        incoming: fresh incoming weights, shape (D,).
        optimizer: a torch optimizer over the parameters of both layers, with or without memory.

    Returns:
        None. The layers and the optimizer are changed in place.

    Example:
        >>> layer, following = nn.Linear(2, 2), nn.Linear(2, 1)
        >>> layer.weight.data, following.weight.data = torch.ones(2, 2), torch.ones(1, 2)
        >>> optimizer = torch.optim.SGD([*layer.parameters(), *following.parameters()])
        >>> revive_unit(layer, following, 1, torch.tensor([0.5, -0.5]), optimizer)
        >>> layer.weight.tolist(), following.weight.tolist()
        ([[1.0, 1.0], [0.5, -0.5]], [[1.0, 0.0]])
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


OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "Adam": (Adam, {}),
    "AdamW with amsgrad": (AdamW, {"amsgrad": True}),
    "Adafactor": (Adafactor, {}),
    "SGD with momentum": (SGD, {"momentum": 0.9}),
    "SGD": (SGD, {}),
}


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, optimizer: str, steps: int = 3, bias: bool = True) -> Inputs:
        width = int(rng.integers(3, 9))  # wherever: no shape betrays a mistaken axis
        linear = ["Linear", width, width]
        return {
            "kind": kind,
            "layers": {"layer": [*linear, bias], "following": linear},
            "optimizer": optimizer,
            "steps": steps,
            "unit": int(rng.integers(width)),
            "incoming": rng.normal(size=width).astype(np.float32),
            "seed": int(rng.integers(1000)),
        }

    return {
        "Adam after three steps": case("memory", "Adam"),
        "AdamW with amsgrad after three steps": case("memory", "AdamW with amsgrad"),
        "SGD with momentum after three steps": case("memory", "SGD with momentum"),
        "SGD, which remembers nothing": case("no memory", "SGD"),
        "Adam before its first step": case("no memory", "Adam", steps=0),
        "Adam, a layer without bias": case("memory", "Adam", bias=False),
        "Adafactor, which remembers means of rows and columns": case("other shapes", "Adafactor"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model, optimizer = _trained(inputs)
    incoming, unit = torch.tensor(inputs["incoming"]), inputs["unit"]
    of_the_unit = partial(_of_the_unit, unit)
    held, before = memory.held(optimizer), memory.entries(model, optimizer, incoming=incoming)
    output = _output(model, inputs["seed"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs["seed"])
        candidate(model.layer, model.following, unit, incoming, optimizer)
    after, still = memory.entries(model, optimizer, incoming=incoming), memory.held(optimizer)
    return {
        "kind": inputs["kind"],
        "incoming": after["layer.weight"][unit],
        "bias": after["layer.bias"][unit] if "layer.bias" in before else 0.0,
        "outgoing": after["following.weight"][:, unit],
        "output moved by": float(np.abs(_output(model, inputs["seed"]) - output).max()),
        "memory of the unit": memory.remembered(after, of_the_unit),
        "others changed": memory.changed_beside(before, after, of_the_unit),
        "numbers held": sum(p.numel() for p in model.parameters() if p in held & still),
    }


def _trained(inputs: Inputs) -> tuple[Any, Optimizer]:
    """Two layers after some steps, with the gradient of one more, the unit dead by its weights."""
    model: Any = net(inputs["layers"], inputs["seed"])
    make, settings = OPTIMIZERS[inputs["optimizer"]]
    optimizer = make(model.parameters(), lr=0.01, **settings)
    for step in range(inputs["steps"] + 1):
        optimizer.step()  # without gradients, the first does nothing
        give_gradients(model, step)
    model.layer.weight.data[inputs["unit"]] = -5.0  # the inputs are positive
    return model, optimizer


@torch.no_grad()
def _output(model: Any, seed: int) -> np.ndarray:
    x = eighths(np.random.default_rng(seed), (5, model.layer.in_features)).abs()
    return model.following(torch.relu(model.layer(x))).numpy()


def _of_the_unit(unit: int, name: str, entries: Entries) -> np.ndarray:
    """Which numbers of an entry belong to the unit; none if its shape is not the parameter's."""
    column: Any = (slice(None), unit)
    places = {"layer.weight": unit, "layer.bias": unit, "following.weight": column}
    owner, belongs = name.rpartition(" for ")[2], np.zeros(entries[name].shape, bool)
    if owner in places and belongs.shape == entries[owner].shape:
        belongs[places[owner]] = True
    return belongs


USUAL, REMEMBERING = of_kind("memory", "no memory"), of_kind("memory", "other shapes")


@claim(2, "Which row or column of layer.weight belongs to the unit?", USUAL)
def starts_anew(seen: Evidence, expected: Evidence) -> Finding:
    """The unit's incoming weights are those given, and its bias is 0."""
    words = f"incoming weights {numbers(seen['incoming'])}, bias {number(seen['bias'])}"
    met = alike(seen["incoming"], expected["incoming"]) and seen["bias"] == 0
    return met, f"{words}; given were {numbers(expected['incoming'])}"


@claim(3, "Which line of yours reaches further than the unit?", needs=starts_anew)
def touches_nothing_else(seen: Evidence, expected: Evidence) -> Finding:
    """Nothing else changes: no other weight, memory or gradient, and no step count."""
    names = seen["others changed"]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return not names, f"changed, gone or added: {', '.join(names[:3]) or 'nothing'}{more}"


@claim(2, "What does following make of the unit's new output?", USUAL, needs=starts_anew)
def computes_what_it_computed(seen: Evidence, expected: Evidence) -> Finding:
    """The unit's outgoing weights are 0, so the network's output does not move."""
    words = f"outgoing weights {numbers(seen['outgoing'])}"
    moved = f"the output moved by up to {number(seen['output moved by'])}"
    met = not seen["outgoing"].any() and seen["output moved by"] < 1e-5
    return met, f"{words}; {moved}"


@claim(3, "Which tensors does the optimizer keep for each parameter?", REMEMBERING, starts_anew)
def forgets_the_unit(seen: Evidence, expected: Evidence) -> Finding:
    """The optimizer remembers nothing of the unit's incoming weights, bias and outgoing weights."""
    left = seen["memory of the unit"]
    return left == 0, f"the sizes of what it remembers of the unit add up to {number(left)}"


@claim(1, "How does an optimizer know which tensors to step?", USUAL, needs=starts_anew)
def keeps_the_parameters(seen: Evidence, expected: Evidence) -> Finding:
    """The optimizer goes on with the parameters of both layers, the same objects as before."""
    held, right = seen["numbers held"], expected["numbers held"]
    return held == right, f"the optimizer holds {held} of the {right} numbers in both layers"


def _places(layer: nn.Linear, following: nn.Linear, unit: int) -> list[tuple[Tensor, Any]]:
    """Each parameter with the place of the unit in it."""
    places = [(layer.weight, unit), (layer.bias, unit), (following.weight, (slice(None), unit))]
    return [(parameter, place) for parameter, place in places if parameter is not None]


def _other_axes(layer: nn.Linear, following: nn.Linear, unit: int) -> list[tuple[Tensor, Any]]:
    (weight, row), *bias, (next_weight, column) = _places(layer, following, unit)
    return [(weight, column), *bias, (next_weight, row)]


def _forget(optimizer: Optimizer, parameter: Tensor, place: Any) -> None:
    for kept in optimizer.state.get(parameter, {}).values():
        if torch.is_tensor(kept) and kept.shape == parameter.shape:
            kept[place] = 0


def _renew(layer: nn.Linear, following: nn.Linear) -> None:
    for module in (layer, following):
        for name, parameter in list(module.named_parameters()):
            setattr(module, name, nn.Parameter(parameter.detach().clone()))


def revived(
    *given: Any,
    taken: Part = tuple,
    prepare: Part = lambda layer, following: None,
    places: Part = _places,
    written: Part = lambda places: places,
    fresh: Part = lambda incoming: incoming,
    forgotten: Part = lambda places: places,
    forget: Part = _forget,
) -> None:
    """The right answer in parts."""
    layer, following, unit, incoming, optimizer = taken(given)
    prepare(layer, following)
    found = places(layer, following, unit)
    with torch.no_grad():
        for parameter, place in written(found):
            parameter[place] = fresh(incoming) if parameter is layer.weight else 0
    for parameter, place in forgotten(found):
        forget(optimizer, parameter, place)


believing = beliefs_about(revived)
BELIEFS = (
    believing(
        "To revive a unit is to initialise its layer again.",
        "The other units of the layer had learned something, and it is gone.",
        "How many numbers of layer.weight belong to one unit?",
        prepare=lambda layer, following: layer.reset_parameters(),
    ),
    believing(
        "A dead unit's outgoing weights do no harm.",
        "They did none while the unit gave 0. Now it gives something else, and old weights "
        "carry it into the output: the network makes a jump.",
        "Which outgoing weights leave the output as it was, whatever the unit gives?",
        written=lambda places: places[:-1],
    ),
    believing(
        "Fresh weights are a fresh start, whatever the bias.",
        "The bias is often what killed the unit. It stayed.",
        "Which numbers make up a unit's pre-activation?",
        written=lambda places: [places[0], places[-1]],
    ),
    believing(
        "What an optimizer remembers belongs to the past.",
        "It belongs to the next step. The averages of the steps that killed the unit go on "
        "pushing the new weights the same way.",
        "What will Adam do with the new weights in a step whose gradient is 0?",
        forgotten=lambda places: [],
    ),
    believing(
        "Only the unit's own layer is remembered.",
        "Its outgoing weights are 0 now, and an old average would move them in the next step.",
        "How many of the optimizer's parameters hold numbers of this unit?",
        forgotten=lambda places: places[:-1],
    ),
    believing(
        "An optimizer starts best with an empty memory.",
        "The other units lost their averages too, and their next Adam steps are those of a "
        "cold start: full size, whatever the gradient.",
        "Which entries of a stored tensor belong to the unit?",
        forget=lambda optimizer, parameter, place: optimizer.state.clear(),
    ),
    believing(
        "A parameter's memory is one thing, to be kept or dropped.",
        "Each number of the parameter has its own entry. You dropped those of all units of "
        "these parameters, and the step count with them.",
        "What is the shape of exp_avg beside that of its parameter?",
        forget=lambda optimizer, parameter, place: optimizer.state.pop(parameter, None),
    ),
    believing(
        "A layer with a new Parameter goes on learning.",
        "The optimizer still holds the old objects and steps those. The new ones never move.",
        "How do you write into the tensor that is there already?",
        prepare=_renew,
    ),
    believing(
        "weight[:, unit] leads into a unit.",
        "The weight of a Linear has a row for each output: weight[unit] leads into the unit, "
        "and a column of the next weight leads out of it.",
        "What is the shape of the weight of nn.Linear(3, 5)?",
        places=_other_axes,
    ),
    believing(
        "Zeros are a neutral start.",
        "With zeros on both sides its gradients are 0 on both sides too. It is locked again.",
        "Which gradient could move the incoming weights while the outgoing ones are 0, and "
        "which the outgoing ones while the unit gives 0?",
        fresh=torch.zeros_like,
    ),
    believing(
        "Whoever called takes what comes back.",
        "Nothing changed in what you were given. A copy is gone when the function ends.",
        "Which of your lines write into the objects that were passed in?",
        taken=deepcopy,
    ),
)

EXERCISE = Exercise(
    reference=revive_unit,
    challenge=challenge,
    observe=observe,
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
    difficulty=4,
    note="A unit revived this way learns from its second step on: in the first only its outgoing "
    "weights have a gradient. At the learning rate that killed it, it may soon be dead again.",
)
