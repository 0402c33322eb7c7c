"""The relative gradient of a part of a torch model."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grader.instruments import gradient_parts as parts
from grader.instruments.gradient_parts import CLAIMS as CLAIMS
from grader.instruments.torch_nets import net
from grader.judging.exercise import Exercise, Misconception, belief, beliefs_about
from grader.judging.terms import Candidate, Challenge, Evidence, Inputs, Part


def relative_gradient(model, path):
    """Say what share of a model's gradient norm a part of it holds.

    The part is the submodule at ``path``, with all that lies below it. Its relative gradient is
    the norm of its gradient over the norm of the whole model's gradient. A norm runs over all
    entries of all tensors: the root of the sum of all squares. Parameters without a gradient
    (None) count as zeros. Any other gradient counts, even if its parameter has been frozen since.
    A parameter that two modules share belongs to both, and counts once in the whole. Where the
    whole gradient is zero, so is the answer.

    The entries may be as small or as large as their precision can hold, also in float64, where
    1e-200 is a number and its square is not.

    Args:
        model: a ``torch.nn.Module`` on the CPU after a backward pass; any floating point type.
        path: name of a submodule with dots, as ``model.get_submodule`` takes it; ``""`` is the
            model itself.

    Returns:
        A number from 0 to 1, accurate to one part in ten thousand. The gradients stay as they are.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1, bias=False))
        >>> model[0].weight.grad = torch.tensor([[3.0]])
        >>> model[1].weight.grad = torch.tensor([[4.0]])
        >>> relative_gradient(model, "0"), relative_gradient(model, "1")
        (0.6, 0.8)
    """

    def norm(module):
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        return math.hypot(*(entry for g in gradients for entry in g.flatten().tolist()))

    part, whole = norm(model.get_submodule(path)), norm(model)
    return part / whole if whole else 0.0


NAMES = {"kernel": "weight", "bias": "bias"}
TIED = ["body.layer1.weight", "body.layer10.weight"]


def challenge(rng: np.random.Generator) -> Challenge:
    """The cases of both twins, and those that JAX has no counterpart for."""

    def drawn(scale: float = 1.0, dtype: str = "float64") -> list[parts.Tree]:
        return [parts.layer(rng, scale, dtype) for _ in range(3)]

    def case(layers: list[parts.Tree], path: str = "body.layer1", **more: Any) -> Inputs:
        return {"gradients": parts.tree(*layers), "path": path, "kind": "plain", **more}

    def tied(path: str) -> Inputs:
        first, second, head = drawn(dtype="float32")
        return case([first, second | {"kernel": None}, head], path, tied=[TIED])

    shared = parts.challenge(rng)  # first, so that both twins draw the same
    tiny = parts.layer(rng, 1e-200, "float64")
    return {
        **shared,
        "a weight shared with another layer": tied("body.layer1"),
        "another layer that shares its weight": tied("body.layer10"),
        "a part frozen after the backward pass": case(drawn(dtype="float32"), frozen="body.layer1"),
        "another layer frozen after it": case(drawn(dtype="float32"), frozen="head"),
        "gradients near 1e-200 in float64": case(drawn(1e-200), kind="scale"),
        "gradients near 1e200 in float64": case(drawn(1e200), kind="scale"),
        "a part near 1e-200, the rest near 1": case([tiny, *drawn()[1:]], kind="scale"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    leaves = list(parts.leaves(inputs["gradients"]))
    layers = dict.fromkeys((".".join(path) for (*path, _), _ in leaves), ("Linear", 3, 4))
    model = net(layers, seed=0, tied=inputs.get("tied", ()))
    for (*path, leaf), gradient in leaves:
        layer = model.get_submodule(".".join(path))
        if gradient is not None:
            layer.to(getattr(torch, gradient.dtype.name))
            getattr(layer, NAMES[leaf]).grad = torch.tensor(np.ascontiguousarray(gradient.T))
    if "frozen" in inputs:
        model.get_submodule(inputs["frozen"]).requires_grad_(False)
    return parts.left_behind(
        lambda: candidate(model, inputs["path"]), lambda: _gradients(model), inputs["kind"]
    )


def _gradients(model: nn.Module) -> dict[str, bytes | None]:
    named = model.named_parameters()
    return {k: None if p.grad is None else p.grad.numpy().tobytes() for k, p in named}


def below(model: nn.Module, path: str) -> list[Tensor]:
    return [p.grad for p in model.get_submodule(path).parameters() if p.grad is not None]


def flat(gradients: Sequence[Tensor]) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in gradients])


def exactly(tensor: Tensor) -> float:
    return math.hypot(*tensor.flatten().tolist())


def over(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def shared_out(
    model: nn.Module,
    path: str,
    part: Part = below,
    whole: Part = lambda model, path: below(model, ""),
    size: Part = exactly,
    norm: Part = lambda gradients, size: size(flat(gradients)),
    over: Part = over,
) -> float:
    """The right answer in parts."""
    gradients = part(model, path), whole(model, path)
    return over(*(norm(some, size) if some else 0.0 for some in gradients))


believing = beliefs_about(shared_out)


def however_precise(*texts: str, **wrong: Part) -> tuple[Misconception, Misconception]:
    """The belief with norms that hold at any scale, and with those that end where float64 ends."""
    in_float64 = believing(
        *texts, **{"size": lambda tensor: tensor.double().norm().item()}, **wrong
    )
    return believing(*texts, **wrong), in_float64


def not_below(model: nn.Module, path: str) -> list[Tensor]:
    held = {id(p) for p in model.get_submodule(path).parameters()}
    return [p.grad for p in model.parameters() if id(p) not in held and p.grad is not None]


def begins_with(model: nn.Module, path: str) -> list[Tensor]:
    named = model.named_parameters()
    return [p.grad for name, p in named if name.startswith(path) and p.grad is not None]


def held_itself(model: nn.Module, path: str) -> list[Tensor]:
    own = model.get_submodule(path).parameters(recurse=False)
    return [p.grad for p in own if p.grad is not None]


def weights_below(model: nn.Module, path: str) -> list[Tensor]:
    return [p.detach() for p in model.get_submodule(path).parameters()]


BELIEFS = (  # one that shows in several ways is there for each
    *however_precise(*parts.ADD_NORMS, norm=lambda gradients, size: sum(map(size, gradients))),
    *however_precise(*parts.SQUARES, over=lambda part, whole: over(part, whole) ** 2),
    *however_precise(*parts.REST, whole=not_below),
    believing(*parts.PRECISION, size=lambda tensor: tensor.square().sum().sqrt().item()),
    believing(*parts.PRECISION, size=lambda tensor: tensor.float().square().sum().sqrt().item()),
    believing(*parts.PRECISION, size=lambda tensor: tensor.double().norm().item()),
    *however_precise(*parts.BEGINNING, part=begins_with),
    *however_precise(
        *parts.PER_ENTRY,
        norm=lambda gradients, size: size(flat(gradients)) / math.sqrt(len(flat(gradients))),
    ),
    believing(*parts.LARGEST, size=lambda tensor: tensor.double().abs().max().item()),
    *however_precise(*parts.DIVISION, over=operator.truediv),
    *however_precise(*parts.DIVISION, over=lambda part, whole: part / whole if whole else math.nan),
    *however_precise(
        "A part's parameters are those it holds itself.",
        "A container holds none itself. All that lies below it belongs to the part.",
        "Which parameters does parameters(recurse=False) leave out for the body?",
        part=held_itself,
    ),
    *however_precise(
        "After backward() every parameter has a gradient.",
        "Frozen ones have None, and so have those that the loss does not depend on.",
        "What does p.grad hold for a parameter that no path leads to?",
        whole=lambda model, path: [p.grad.double() for p in model.parameters()],
    ),
    *however_precise(
        "A gradient is small or large compared with the weights.",
        "That is another ratio. This one compares gradients with gradients.",
        "Which two norms does the definition name?",
        whole=weights_below,
    ),
)


@belief(
    "clip_grad_norm_ measures a norm.",
    "It also scales the gradients in place as soon as the norm is above the limit.",
    "What does the underscore at the end of a name say in torch?",
)
def clip_to_measure(model: nn.Module, path: str) -> float:
    share = shared_out(model, path)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    return share


EXERCISE = Exercise(
    reference=relative_gradient,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write down the sum of all squares for the part and for the whole. What is the relative "
        "gradient of the part, in terms of the two?",
        "model.get_submodule(path).parameters() goes through the part. Pass over a grad of None.",
        "math.hypot(*numbers) is the root of the sum of all squares, and holds at any scale. "
        "g.flatten().tolist() gives it the entries of g. Take it for the part and for the whole, "
        "and divide, unless the whole is 0.",
    ),
    lesson="01_gradient_vanishing",
    section="Relative gradient",
    frameworks=("torch",),
    minutes=10,
    difficulty=2,
    note="Shares of disjoint parts do not add up to 1, their squares do. So one large layer pushes "
    "every other share down: read all of them, not one.",
    twin="relative_gradient_tree",
)
