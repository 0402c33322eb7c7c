"""The sparsity of a torch model: which of its numbers are weights, and which of these are 0."""

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from grader.instruments.refusals import refusal, refused
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built, case
from grader.instruments.words import compared, listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def sparsity_of(model):
    """Say what share of a model's weights is exactly zero.

    Weights are what is pruned: the parameters of two or more dimensions, the kernels of dense and
    convolutional layers among them. Biases, gains and all others of one dimension or none do not
    count, nor do buffers. Numbers count, and a weight that two modules share is there once.

    Args:
        model: a ``torch.nn.Module`` on the CPU. It stays as it is.

    Returns:
        The weights that are exactly 0 over all weights, a float from 0 to 1. A frozen weight
        counts as any other, and it does not matter which gradients there are.

    Raises:
        ZeroDivisionError: the model has no weights. A ValueError that says so is as good.

    Example:
        >>> model = nn.Linear(2, 2)
        >>> model.weight.data = torch.tensor([[1.0, 0.0], [2.0, 3.0]])
        >>> sparsity_of(model)
        0.25
    """
    zeros = total = 0
    for parameter in model.parameters():  # a shared one comes once
        if parameter.dim() > 1:
            zeros += (parameter == 0).sum().item()
            total += parameter.numel()
    return zeros / total


def challenge(rng: np.random.Generator) -> Challenge:
    of = partial(case, rng, kind="plain")
    a, b, c = (int(size) for size in rng.integers(4, 20, 3))
    square, head = ["Linear", b, b, False], ["Linear", b, c, False]
    dense = {"body.first": ["Linear", a, b, False], "body.second": square, "head": head}
    biased = {"body": ["Linear", a, b], "norm": ["BatchNorm1d", b], "head": ["Linear", b, c]}
    tied = of({"embed": ["Embedding", c, b], "body": square, "head": head}, kind="shared")
    bare = {"scale": ["Parameter", a], "gain": ["Parameter"]}
    return {
        "three layers": of(dense),
        "layers of very different sizes": of({"small": ["Linear", 3, 2, False], "head": head}),
        "a convolution": of({"conv": ["Conv2d", a, 3, 3], "head": head}, kind="others"),
        "a bare parameter of three dimensions": of({"bare": ["Parameter", a, 2, b], "head": head}),
        "biases, a norm, bare parameters": of(biased | bare, kind="others"),
        "an embedding, and a buffer that says what is kept": of(
            {"embed": ["Embedding", c, b], "head": head}, kind="others", flagged=True
        ),
        "tied weights": {**tied, "tied": [["embed.weight", "head.weight"]]},
        "two layers alike": of({"first": square, "second": square}, kind="shared", alike=True),
        "a frozen body with gradients, zeros among them": of(
            dense, ["body.first"], with_gradients=["head", "body.second"], kind="exact"
        ),
        "numbers near 0": of(dense, kind="exact", near=True),
        "no weights": of(bare, kind="empty"),
        "biases only": of({"norm": ["BatchNorm1d", b]}, kind="empty"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model = built(inputs)
    _prune(model, inputs)
    before = snapshot(model)
    if inputs["kind"] == "empty":
        seen = {"ending": refusal(candidate, model, fitting=(ZeroDivisionError, ValueError))}
    else:
        seen = {"share": candidate(model)}
    return {"kind": inputs["kind"], **seen, "changed": changed(before, model)}


@torch.no_grad()
def _prune(model: nn.Module, inputs: Inputs) -> None:
    """Put zeros, some of them with a minus, into every tensor, a different share into each."""
    rng = np.random.default_rng(inputs["seed"])
    tensors = [*model.parameters(), *(b for b in model.buffers() if b.dim())]
    for tensor in tensors:
        values = tensor.view(-1)
        places = torch.from_numpy(rng.permutation(len(values)))
        count = round(rng.uniform(0.2, 0.8) * len(values))
        values[places[:count]] = torch.tensor([0.0, -0.0])[torch.arange(count) % 2]
        if "near" in inputs:
            values[places[count : count + count // 2]] = 1e-30
            values[places[count : count + count // 4]] = 1e-9
        if tensor.grad is not None:
            tensor.grad.view(-1)[places[count // 2 :]] = 0.0
    if "flagged" in inputs:
        weight = model.get_parameter("head.weight")
        model.get_submodule("head").register_buffer("kept", weight != 0)
    if "alike" in inputs:
        first, *others = model.parameters()
        for other in others:
            other.copy_(first)
        first.view(-1)[: len(first)] = 1.0


def _share(seen: Evidence, expected: Evidence) -> Finding:
    return compared(seen["share"], expected["share"], "the share")


@claim(
    3, "What do you add up over the layers, and what do you divide at the end?", of_kind("plain")
)
def counts_weights(seen: Evidence, expected: Evidence) -> Finding:
    """The zeros of all weights are divided by the number of all weights."""
    return _share(seen, expected)


@claim(2, "Which of the tensors that you count could be pruned?", of_kind("others"))
def counts_weights_only(seen: Evidence, expected: Evidence) -> Finding:
    """Parameters of fewer than two dimensions do not count, and neither do buffers."""
    return _share(seen, expected)


@claim(2, "How often do you meet the weight that embed and head share?", of_kind("shared"))
def counts_shared_weights_once(seen: Evidence, expected: Evidence) -> Finding:
    """A weight that two modules share counts once; two that are equal count twice."""
    return _share(seen, expected)


@claim(1, "Which number of a weight do you compare, and with what?", of_kind("exact"))
def counts_exact_zeros(seen: Evidence, expected: Evidence) -> Finding:
    """A weight counts as zero where it is exactly 0, frozen or not, whatever its gradient."""
    return _share(seen, expected)


@claim(1, "What would a share of nothing mean to your caller?", of_kind("empty"), counts_weights)
def refuses_a_model_without_weights(seen: Evidence, expected: Evidence) -> Finding:
    """A model without weights raises a ZeroDivisionError or a ValueError."""
    return refused(seen["ending"])


@claim(1, "Which line of yours sets something in order to count?", needs=counts_weights)
def leaves_the_model_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The model is left as it was: its flags, gradients, numbers and modes."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def _pooled(pairs: list[tuple[int, int]]) -> float:
    zeros, totals = (sum(column) for column in zip(*pairs, strict=True))
    return zeros / totals


def counted(
    model: nn.Module,
    tensors: Part = lambda model: model.parameters(),
    is_weight: Part = lambda tensor: tensor.dim() > 1,
    zero: Part = lambda tensor: tensor == 0,
    share: Part = _pooled,
) -> float:
    """The right answer in parts."""
    chosen = [tensor for tensor in tensors(model) if is_weight(tensor)]
    return share([(int(zero(tensor).sum()), tensor.numel()) for tensor in chosen])


def _mean_of_shares(pairs: list[tuple[int, int]]) -> float:
    return sum(zeros / total for zeros, total in pairs) / len(pairs)


def _idle(tensor: Tensor) -> Tensor:
    return (tensor == 0) if tensor.grad is None else (tensor.grad == 0)


believing = beliefs_about(counted)
BELIEFS = (
    believing(
        "The sparsity of a model is the mean over its layers.",
        "A layer of six weights would count as much as one of a million.",
        "How many weights has the largest of your layers, and how many the smallest?",
        share=_mean_of_shares,
    ),
    believing(
        "Every parameter is a weight.",
        "Biases and gains are few, and nobody prunes them. They moved your share.",
        "How many dimensions has the kernel of a layer, and how many its bias?",
        is_weight=lambda tensor: True,
    ),
    believing(
        "Weights have two dimensions.",
        "Those of a convolution have four. You left them out.",
        "What is the shape of the weight of a Conv2d?",
        is_weight=lambda tensor: tensor.dim() == 2,
    ),
    believing(
        "What is called weight is a weight.",
        "The gains of a norm are called weight as well, and a parameter may have any name.",
        "What are the names and the shapes of the parameters of a BatchNorm?",
        tensors=lambda model: [p for name, p in model.named_parameters() if "weight" in name],
        is_weight=lambda tensor: True,
    ),
    believing(
        "Each name is a weight of its own.",
        "Two names can mean one parameter. A tied weight has two names and one set of numbers.",
        "How many numbers would you have to store to save this model?",
        tensors=lambda model: dict(model.named_parameters(remove_duplicate=False)).values(),
    ),
    believing(
        "The state of a model is its parameters.",
        "It holds buffers too, such as flags of what is kept, and it names a tied weight twice.",
        "Which entries of state_dict() does an optimizer never see?",
        tensors=lambda model: model.state_dict().values(),
    ),
    believing(
        "A weight that is nearly 0 is 0.",
        "1e-30 is small, and it was never pruned: it moves with the next step. A pruned weight is "
        "held at 0 exactly.",
        "Which numbers does your comparison take for 0?",
        zero=lambda tensor: tensor.abs() < 1e-8,
    ),
    believing(
        "A weight with a gradient of 0 is pruned, and one with another gradient is not.",
        "The gradient of a weight does not ask what the weight is. It may be 0 at any weight, and "
        "at a pruned one it mostly is not.",
        "By which factors is the gradient of a weight made, and is the weight one of them?",
        zero=_idle,
    ),
    believing(
        "Frozen weights do not count.",
        "The task counts all weights. A frozen layer can be pruned as any other.",
        "Which weights does your loop leave out?",
        is_weight=lambda tensor: tensor.dim() > 1 and tensor.requires_grad,
    ),
    believing(
        "Sparsity is the share that is not 0.",
        "That is the density. The two add up to 1.",
        "What does your function return for a model without a single 0?",
        zero=lambda tensor: tensor != 0,
    ),
)

EXERCISE = Exercise(
    reference=sparsity_of,
    challenge=challenge,
    observe=observe,
    hints=(
        "Two counts over the same tensors: the numbers that are 0, and all numbers. Which tensors?",
        "model.parameters() gives each parameter once, tied ones too, and no buffers. What sets a "
        "weight apart is parameter.dim().",
        "(parameter == 0).sum() counts the zeros. -0.0 == 0 is True, 1e-30 == 0 is not.",
    ),
    lesson="05_pruning",
    section="Zero weight, living gradient",
    frameworks=("torch",),
    minutes=10,
    difficulty=2,
    note="Zeros alone do not show a lock: they may learn at the next step. What shows one is the "
    "update, as a certificate of paramlock looks at it.",
)
