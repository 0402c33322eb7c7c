"""Which parameters of a torch model are locked at epsilon, by their relative gradient."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grader.instruments import snapshots, torch_cases
from grader.instruments.refusals import refusal, refused
from grader.instruments.torch_nets import LAYERS, texts
from grader.instruments.words import named_alike
from grader.judging.exercise import Exercise, beliefs_about, claim, needing, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def locked_parameters(model, epsilon):
    """Name the parameters whose relative gradient is below epsilon.

    The relative gradient of a parameter is the norm of its gradient over the norm of the whole
    model's gradient. Norms run over all entries, which may be as small or as large as float32 can
    hold. A parameter without a gradient (None) has the relative gradient 0. A gradient that is
    there counts, even if its parameter has been frozen since, and that of a parameter that two
    modules share counts once. If the whole gradient is zero, every parameter is locked.

    Args:
        model: a ``torch.nn.Module`` on the CPU after a backward pass; float32.
        epsilon: a number between 0 and 1. It may be very small.

    Returns:
        A tuple of names as in ``model.named_parameters()``, in any order: those whose relative
        gradient is less than ``epsilon``. Equal to ``epsilon`` is not locked. The model and its
        gradients stay as they are.

    Raises:
        ValueError: a gradient holds a NaN or an infinity. The message names a parameter it is in,
            and none whose gradient is finite.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> model.weight.grad = torch.tensor([[3.0, 4.0]])
        >>> model.bias.grad = torch.tensor([0.01])
        >>> locked_parameters(model, 0.1)
        ('bias',)
    """
    norms = {name: 0.0 for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            norms[name] = parameter.grad.double().norm().item()
        if not math.isfinite(norms[name]):
            raise ValueError(f"the gradient of {name} holds a NaN or an infinity")
    whole = math.hypot(*norms.values())
    return tuple(name for name, norm in norms.items() if whole == 0 or norm / whole < epsilon)


NAMES = ["body.first", "body.second", "inner", "outer", "left", "right", "top", "tail", "head"]
FADING = np.array([2e-5, 1e-5, 6e-3, 3e-3, 1.0, 0.5])


def challenge(rng: np.random.Generator) -> Challenge:
    def case(
        kind: str, norms: Sequence[float | None], epsilon: float = 1e-3, **more: Any
    ) -> Inputs:
        """`norms`: those of the gradients in order, weight and bias of each layer, or None."""
        paths = rng.choice(NAMES, 3, replace=False).tolist()
        special = {"spread": "random", "broken": None, "norms": norms, "epsilon": epsilon}
        layers = dict(zip(paths, LAYERS.values(), strict=True))
        return torch_cases.case(rng, layers, kind=kind, **special | more)

    def fading(kind: str, scale: float = 1.0, **more: Any) -> Inputs:
        return case(kind, (scale * FADING * rng.uniform(0.8, 1.2, 6)).tolist(), **more)

    def breaking(value: float) -> Inputs:
        return fading("broken", broken=[int(rng.integers(6)), value])

    def with_frozen(layer: int, inputs: Inputs) -> Inputs:
        return {**inputs, "frozen": [list(inputs["layers"])[layer]]}

    def with_tied(inputs: Inputs) -> Inputs:
        first, second, third = inputs["layers"]
        layers = {first: ["Linear", 4, 4], second: ["Linear", 4, 4], third: ["Linear", 4, 2]}
        return {**inputs, "layers": layers, "tied": [[f"{first}.weight", f"{second}.weight"]]}

    none_at = rng.choice(6, 2, replace=False)
    two_missing = [None if place in none_at else 1.0 for place in range(6)]
    return {
        "a gradient that fades": fading("plain"),
        "sixteen small entries, epsilon 0.0012": case(  # a share of 0.0014
            "plain", [0, 1, 2e-3, 0, 0, 1], 1.2e-3, spread="even"
        ),
        "two small entries": case("plain", [1, 1, 1, 1, 1, 8e-4]),
        "epsilon 1e-30": case("plain", [4e-30, 2e-31, 3e-9, 1e-31, 1, 1], 1e-30),
        "a layer frozen after the backward pass": with_frozen(2, fading("plain")),
        "a weight that two layers share, epsilon 0.63": with_tied(
            case("plain", [1.0, None, None, 1.0, None], 0.63)
        ),
        "the loss times 10,000": fading("scale", 1e4),
        "late in training, all gradients small": fading("scale", 1e-5),
        "all gradients below 1e-37": fading("scale", 1e-38),
        "gradients up to 3e38": fading("scale", 2.4e38),
        "four norms of 1, two gradients of None, epsilon 0.5": case(
            "edge", two_missing, 0.5, spread="one"
        ),
        "four norms of 1, two gradients of None, epsilon 0.55": case("plain", two_missing, 0.55),
        "four norms of 1, two gradients of None, epsilon 0.6": case("plain", two_missing, 0.6),
        "a frozen layer": with_frozen(0, case("none", [None, None, 0.5, 0.1, 1, 1])),
        "every gradient is zero": case("none", [0.0] * 6),
        "no gradient anywhere": case("none", [None] * 6),
        "a NaN": breaking(np.nan),
        "an infinity": breaking(np.inf),
        "minus infinity": breaking(-np.inf),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model = torch_cases.built(inputs)
    rng = np.random.default_rng(inputs["seed"])
    pairs = list(zip(model.parameters(), inputs["norms"], strict=True))
    gradients: list[Any] = [_gradient(rng, p, norm, inputs["spread"]) for p, norm in pairs]
    for (parameter, _), gradient in zip(pairs, gradients, strict=True):
        parameter.grad = gradient
    names, epsilon = [name for name, _ in model.named_parameters()], inputs["epsilon"]
    if inputs["broken"]:
        place, value = inputs["broken"]
        entries = gradients[place].view(-1)
        entries[rng.integers(len(entries))] = value
    before, kind = snapshots.snapshot(model), inputs["kind"]
    if inputs["broken"]:
        broken = names.pop(place)
        ending = refusal(
            candidate, model, epsilon, naming=[broken], sparing=names, returned=lambda _: "names"
        )
        return {"kind": kind, "ending": ending, "changed": snapshots.changed(before, model)}
    named = texts(candidate(model, epsilon))
    seen = {"kind": kind, "changed": snapshots.changed(before, model)}
    if not isinstance(named, list):
        return {**seen, "locked": named, "more": []}
    more = sorted(set(named) - set(names))
    return {**seen, "locked": {n: n in named for n in names}, "more": more}


def _gradient(
    rng: np.random.Generator, like: Tensor, norm: float | None, spread: str
) -> Tensor | None:
    """A gradient of this norm: in a random direction, of entries of one size, or of one entry."""
    if norm is None:
        return None
    signs = rng.choice([-1.0, 1.0], like.shape)
    if spread == "one":
        signs.flat[1:] = 0
    direction = rng.normal(size=like.shape) if spread == "random" else signs
    return torch.tensor(norm * direction / np.linalg.norm(direction), dtype=torch.float32)


def _named(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = (
        [name for name, is_locked in one["locked"].items() if is_locked] + one["more"]
        for one in (seen, expected)
    )
    return named_alike(ours, right)


@claim(3, "Which two norms do you compare, and over which entries?", of_kind("plain"))
def names_what_is_below(seen: Evidence, expected: Evidence) -> Finding:
    """The answer names each parameter whose relative gradient is below epsilon, and no other."""
    return _named(seen, expected)


@claim(2, "What happens to your numbers if the loss is multiplied?", of_kind("scale"))
def does_not_depend_on_scale(seen: Evidence, expected: Evidence) -> Finding:
    """The size of the gradients as a whole does not matter: only shares count."""
    return _named(seen, expected)


@claim(1, "On which side of your comparison does equality fall?", of_kind("edge"))
def is_strict(seen: Evidence, expected: Evidence) -> Finding:
    """A relative gradient equal to epsilon is not locked."""
    return _named(seen, expected)


@claim(2, "What does your code make of None, and of 0 over 0?", of_kind("none"))
def lists_what_has_no_gradient(seen: Evidence, expected: Evidence) -> Finding:
    """A parameter without a gradient is locked, and so is everything where all is zero."""
    return _named(seen, expected)


@claim(
    2,
    "Which test tells numbers from NaN and infinity?",
    of_kind("broken"),
    needs=names_what_is_below,
)
def refuses_what_is_no_number(seen: Evidence, expected: Evidence) -> Finding:
    """A NaN or an infinity in a gradient raises a ValueError that names the parameter."""
    return refused(seen["ending"])


STAYS = needing(names_what_is_below, snapshots.model_stays)


def refuse(name: str) -> None:
    raise ValueError(f"{name} has a gradient that is not finite")


def listed_below(
    model: nn.Module,
    epsilon: float,
    asked: Part = lambda parameter: True,
    refuse: Part = refuse,
    norm: Part = lambda gradient: gradient.double().norm().item(),
    whole: Part = lambda norm, gradients: norm(torch.cat(gradients)),
    is_below: Part = lambda norm, whole, epsilon: not whole or norm / whole < epsilon,
) -> tuple[str, ...]:
    """The right answer in parts."""
    flat = {n: p.grad.flatten() for n, p in model.named_parameters() if p.grad is not None}
    for name, gradient in flat.items():
        if not gradient.isfinite().all():
            refuse(name)
    total = whole(norm, list(flat.values())) if flat else 0.0
    norms = {
        n: norm(flat[n]) if n in flat else 0.0 for n, p in model.named_parameters() if asked(p)
    }
    return tuple(n for n, value in norms.items() if is_below(value, total, epsilon))


def refuse_without_a_name(name: str) -> None:
    raise ValueError("the norm of the gradient is not finite")


believing = beliefs_about(listed_below)
BELIEFS = (
    believing(
        "A gradient below some fixed size is a lock.",
        "Multiply the loss by a number and all gradients grow with it, though nothing about the "
        "network has changed.",
        "With what do you compare a norm, if not with a fixed number?",
        is_below=lambda norm, whole, epsilon: norm < epsilon,
    ),
    believing(
        "Below epsilon includes epsilon.",
        "The definition is strict. Four equal tensors hold a half of the norm each, and at 0.5 "
        "none of them is below.",
        "Which of < and <= does the task ask for?",
        is_below=lambda norm, whole, epsilon: not whole or norm / whole <= epsilon,
    ),
    believing(
        "Float32 is good enough for the norm of a float32 gradient.",
        "The squares of 1e-25 and of 1e25 are no float32. The norm comes out as 0 although no "
        "entry is 0, or as infinity although each is finite.",
        "What is the smallest square your code has to represent, and in which precision?",
        norm=lambda gradient: gradient.square().sum().sqrt().item(),
    ),
    believing(
        "A gradient that is broken would show as a small or a large number.",
        "Every comparison with NaN is false, so a network full of NaN has no lock at all.",
        "What would tell you that a number is finite, before you compare it?",
        refuse=lambda name: None,
    ),
    believing(
        "The caller can find the broken gradient without its parameter's name.",
        "It may be in any of all the parameters, and you know which one it is in.",
        "Can the check be made where the name is still at hand?",
        refuse=refuse_without_a_name,
    ),
    believing(
        "What has no gradient is not part of the question.",
        "No gradient reaches it, and that is the lock in its purest form: a share of 0.",
        "What is 0 compared with any epsilon above 0?",
        asked=lambda parameter: parameter.grad is not None,
    ),
    believing(
        "Tensors of different sizes are compared per entry.",
        "That is a sensible number and another definition. The norm grows with the count.",
        "By which counts do you divide, and does the task name any?",
        norm=lambda gradient: gradient.double().square().mean().sqrt().item(),
    ),
    believing(
        "The largest entry stands for the tensor.",
        "A norm counts every entry: sixteen entries of 0.0005 have a norm of 0.002.",
        "How does your number change if all but one entry become zero?",
        norm=lambda gradient: gradient.abs().max().item(),
    ),
    believing(
        "The whole is as large as its largest part.",
        "Four norms of 1 make a whole of 2. Compared with the largest, each share is 1.",
        "How do the squares of the parts make up the whole?",
        whole=lambda norm, gradients: max(map(norm, gradients)),
    ),
    believing(
        "The whole is the sum of the norms.",
        "Squares add, norms do not: four norms of 1 make 2 and not 4.",
        "What is the length of the vector that holds the entries of all tensors?",
        whole=lambda norm, gradients: sum(map(norm, gradients)),
    ),
    believing(
        "A share of the squares is a share of the norm.",
        "It is that share squared: 0.01 becomes 0.0001, and too much falls below epsilon.",
        "Which root is still to be taken?",
        is_below=lambda norm, whole, epsilon: not whole or (norm / whole) ** 2 < epsilon,
    ),
    believing(
        "Where every gradient is zero, nothing stands out, so nothing is locked.",
        "No parameter gets a gradient, and none will move by it. (Of tensors, 0 / 0 is NaN, and "
        "NaN is below nothing.)",
        "What share do you give a parameter whose gradient is zero?",
        is_below=lambda norm, whole, epsilon: bool(whole) and norm / whole < epsilon,
    ),
)

EXERCISE = Exercise(
    reference=locked_parameters,
    challenge=challenge,
    observe=observe,
    hints=(
        "First make a dict from name to norm, with 0 for None. Then the whole, then the shares.",
        "p.grad.double().norm() squares in float64. math.isfinite tells a number from NaN and "
        "infinity.",
        "The whole is the root of the sum of the squared norms: math.hypot(*norms.values()). Treat "
        "a whole of 0 before you divide.",
    ),
    lesson="01_gradient_vanishing",
    section="Norms that underflow",
    frameworks=("torch",),
    minutes=12,
    difficulty=3,
    note="One batch is one opinion. Average the gradient over the data first, then ask; and under "
    "Adam ask for the update ratio as well.",
)
