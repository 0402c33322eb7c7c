"""A low-rank adapter beside a frozen layer, whose first gradient is right (torch).

Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685,
section 4.1.
"""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grader.instruments.beside_layers import as_matrix, faults, learning, linear_layer
from grader.instruments.entries import as_expected
from grader.instruments.refusals import refusal, refused
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def add_adapter(linear, rank):
    """Put a low-rank adapter beside a frozen linear layer, without effect at first.

    What comes out computes ``linear(x) + x @ D @ U``, with D of shape (inputs, rank) and U of shape
    (rank, outputs). D is drawn at random, and U is zero.

    Args:
        linear: an ``nn.Linear`` with or without a bias, of any float dtype. It is frozen from now
            on and keeps its numbers.
        rank: a whole number.

    Returns:
        An ``nn.Module`` from (…, inputs) to (…, outputs) that at first gives what ``linear`` gives,
        to the bit. It holds the parameters of ``linear`` themselves, no copies, and D and U, which
        alone are trainable and have the dtype of the layer. The first backward pass reaches U, and
        leaves D a gradient of zeros; the second one reaches both. Gradients go back to x through
        the layer and the adapter.

    Raises:
        ValueError: ``rank`` is below 1, or above the smaller of inputs and outputs.

    Example:
        >>> adapted = add_adapter(nn.Linear(6, 4), rank=2)
        >>> sum(p.numel() for p in adapted.parameters() if p.requires_grad)
        20
        >>> adapted(torch.zeros(5, 6)).shape
        torch.Size([5, 4])
    """
    if not 1 <= rank <= min(linear.in_features, linear.out_features):
        raise ValueError(f"a layer of {linear.weight.shape} has no adapter of rank {rank}")
    down = nn.Linear(linear.in_features, rank, bias=False, dtype=linear.weight.dtype)
    up = nn.Linear(rank, linear.out_features, bias=False, dtype=linear.weight.dtype)
    nn.init.zeros_(up.weight)

    class Adapted(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = linear.requires_grad_(False)
            self.adapter = nn.Sequential(down, up)

        def forward(self, x):
            return self.base(x) + self.adapter(x)

    return Adapted()


def challenge(rng: np.random.Generator) -> Challenge:
    many, few = int(rng.integers(9, 40)), int(rng.integers(5, 9))

    def case(kind: str, rank: int, inputs: int = many, outputs: int = few, **own: Any) -> Inputs:
        """Own is a dtype, a shape of the batch, or that there is no bias."""
        dtype, batch = own.get("dtype", "float32"), own.get("batch", (16,))
        arrays = {
            "weight": rng.normal(size=(outputs, inputs)),
            "bias": rng.normal(size=outputs * own.get("bias", True)),
            "x": rng.normal(size=(*batch, inputs)),
            "towards": rng.normal(size=(*batch, outputs)),
        }
        drawn = {name: array.astype(dtype) for name, array in arrays.items()}
        return {"kind": kind, "rank": rank, "seed": int(rng.integers(1000)), **drawn}

    return {
        "rank 2": case("plain", 2),
        "more outputs than inputs": case("plain", 3, few, many),
        "rank 1": case("plain", 1),
        "as many outputs as inputs": case("plain", 3, many, many),
        "the highest rank there is": case("plain", few),
        "no bias": case("plain", 2, bias=False),
        "three axes": case("plain", 2, batch=(3, 6)),
        "float64": case("plain", 2, dtype="float64"),
        "one output": case("plain", 1, outputs=1),
        "rank 0": case("refused", 0),
        "a rank below 0": case("refused", -1),
        "a rank above the outputs": case("refused", few + 1),
        "a rank above the inputs": case("refused", few + 1, few, many),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    arrays = ("weight", "bias", "x", "towards")
    weight, bias, x, towards = (torch.from_numpy(inputs[name].copy()) for name in arrays)
    linear = linear_layer(weight, bias)
    kind, own, before = inputs["kind"], dict(linear.named_parameters()), linear(x).detach()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs["seed"])
        if kind == "refused":
            ending = refusal(candidate, linear, inputs["rank"], returned=lambda _: "an answer")
            return {"kind": kind, "ending": ending}
        adapted = candidate(linear, inputs["rank"])
    if not isinstance(adapted, nn.Module):
        return None if adapted is None else f"<{type(adapted).__name__}>"
    output = adapted(x).detach()
    trainable = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    first, first_to_x = learning(adapted, x, towards)
    matrix = as_matrix(adapted, x)
    then, to_x = learning(adapted, x, towards)
    return {
        "kind": kind,
        "output": output,
        "alike": torch.equal(output, before),
        "numbers": [trainable, first, then],
        "to x": first_to_x,
        "rank": int(torch.linalg.matrix_rank(matrix - weight.T, atol=1e-4, rtol=1e-5)),
        "faults": faults(adapted, own, {"weight": weight, "bias": bias}),
        "handed back": torch.allclose(to_x, towards @ matrix.T, rtol=1e-3, atol=1e-2),
    }


@claim(3, "What is the gradient of D while U is zero, and that of U?", of_kind("plain"))
def learns_from_the_first_step(seen: Evidence, expected: Evidence) -> Finding:
    """The first backward pass reaches U, and the second one reaches U and D."""
    words = "of {} trainable numbers the two passes reach {} and {}"
    ours, due = seen["numbers"], expected["numbers"]
    return ours == due, f"{words.format(*ours)}; due is: {words.format(*due)}"


@claim(2, "What is x @ D @ U at first?", of_kind("plain"), needs=learns_from_the_first_step)
def starts_without_effect(seen: Evidence, expected: Evidence) -> Finding:
    """At first it gives what the layer gives, to the bit."""
    holds, words = as_expected(seen["output"], expected["output"])
    return holds and seen["alike"], words if seen["alike"] else f"not to the bit; {words}"


@claim(2, "Whose weight is it that you hold?", of_kind("plain"), learns_from_the_first_step)
def layer_is_frozen(seen: Evidence, expected: Evidence) -> Finding:
    """The layer's own weight and bias are held, and frozen."""
    return not seen["faults"], f"amiss: {listed(seen['faults'])}"


@claim(1, "How many columns of D differ?", of_kind("plain"), needs=learns_from_the_first_step)
def change_has_the_rank(seen: Evidence, expected: Evidence) -> Finding:
    """What a step changes about the layer is a matrix of the rank given."""
    ours, due = seen["rank"], expected["rank"]
    return ours == due, f"after a step the change has rank {ours}, {due} is due"


@claim(1, "Which ways lead back to x?", of_kind("plain"), needs=learns_from_the_first_step)
def hands_gradients_back(seen: Evidence, expected: Evidence) -> Finding:
    """What reaches x comes through the layer and through the adapter."""
    holds, words = as_expected(seen["to x"], expected["to x"])
    if holds and not seen["handed back"]:
        return False, "in the second pass what reaches x is not what comes through both"
    return holds, f"of what reaches x in the first pass, {words}"


@claim(1, "Which ranks can D @ U have?", of_kind("refused"), needs=learns_from_the_first_step)
def refuses_other_ranks(seen: Evidence, expected: Evidence) -> Finding:
    """A rank below 1, or above the smaller of inputs and outputs, raises a ValueError."""
    return refused(seen["ending"])


class Beside(nn.Module):
    """A layer, two matrices, and how they go together."""

    def __init__(self, base: nn.Module, down: Tensor, up: Tensor, together: Part) -> None:
        super().__init__()
        self.base, self.together = base, together
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)

    def forward(self, x: Tensor) -> Tensor:
        return self.together(self.base, x, self.down, self.up)


def _freeze_weight(linear: nn.Linear) -> nn.Linear:
    linear.weight.requires_grad_(False)
    return linear


def adapted(
    linear: nn.Linear,
    rank: int,
    fits: Part = lambda rank, most: 0 < rank <= most,
    base: Part = lambda linear: linear.requires_grad_(False),
    shapes: Part = lambda n, m, rank: ((n, rank), (rank, m)),
    down: Part = torch.randn,
    up: Part = torch.zeros,
    together: Part = lambda base, x, down, up: base(x) + x @ down @ up,
) -> nn.Module:
    """The right answer in parts."""
    if not fits(rank, min(linear.weight.shape)):
        raise ValueError("rank")
    first, second = shapes(linear.in_features, linear.out_features, max(0, rank))
    dtype = linear.weight.dtype
    matrices = down(first, dtype=dtype), up(second, dtype=dtype)
    return Beside(base(linear), *matrices, together)


def _small(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return 0.01 * torch.randn(shape, dtype=dtype)


def _behind(base: nn.Module, x: Tensor, down: Tensor, up: Tensor) -> Tensor:
    return base(x) + base(x) @ down @ up


def _layer_unrecorded(base: nn.Module, x: Tensor, down: Tensor, up: Tensor) -> Tensor:
    with torch.no_grad():
        fixed = base(x)
    return fixed + x @ down @ up


believing = beliefs_about(adapted)
BELIEFS = (
    believing(
        "An adapter without effect is one of zeros.",
        "The gradient of each factor is multiplied by the other one. With both at zero neither "
        "ever moves.",
        "What is the gradient of U if D is zero?",
        down=torch.zeros,
    ),
    believing(
        "Small numbers have no effect.",
        "They change the output at once, by little. One factor of zeros changes nothing at all.",
        "By how much does your output differ from the layer's before any step?",
        down=_small,
        up=_small,
    ),
    believing(
        "It makes no difference which of the two is zero.",
        "Nothing is changed at first either way. But the first step goes to the other factor, and "
        "the task, like LoRA, draws D and lets U begin.",
        "Which of your matrices does the first backward pass reach?",
        down=torch.zeros,
        up=torch.randn,
    ),
    believing(
        "Beside an adapter a layer is frozen.",
        "Nobody froze it. It trains with the adapter, and is most of what is trained.",
        "What is requires_grad of the layer's weight?",
        base=lambda linear: linear,
    ),
    believing(
        "A layer is frozen if its weight is.",
        "It may have a bias. That one trains on, and moves what the layer gives.",
        "Which parameters does an nn.Linear have?",
        base=_freeze_weight,
    ),
    believing(
        "A copy of the layer is as good as the layer.",
        "Whoever holds the layer still holds one that trains, and the weights are there twice.",
        "Is the weight in your module the one that was given?",
        base=lambda linear: deepcopy(linear).requires_grad_(False),
    ),
    believing(
        "An adapter may stand behind the layer.",
        "Then it multiplies what the layer gives, bias included, and is no change of its weight.",
        "Which shapes have D and U in the task?",
        shapes=lambda n, m, rank: ((m, rank), (rank, m)),
        together=_behind,
    ),
    believing(
        "A matrix of zeros, as large as the weight, is an adapter.",
        "It starts without effect, and has as many numbers as the layer. The rank is what saves.",
        "How many numbers does your module train?",
        shapes=lambda n, m, rank: ((n, m), (0,)),
        down=torch.zeros,
        together=lambda base, x, down, up: base(x) + x @ down,
    ),
    believing(
        "A frozen layer needs no graph.",
        "Its own numbers need none. What lies before it learns by what comes back through it.",
        "Which way does the gradient take from your output to x?",
        together=_layer_unrecorded,
    ),
    believing(
        "Any rank is a rank.",
        "One of 0 trains nothing, and one above the smaller side costs more than the layer needs.",
        "Which ranks can a matrix of (inputs, outputs) have?",
        fits=lambda rank, most: True,
    ),
)

EXERCISE = Exercise(
    reference=add_adapter,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write the gradients of D and of U by the chain rule. Which of them holds the other "
        "matrix as a factor?",
        "A class of your own derived from nn.Module holds the layer and two matrices; its forward "
        "adds what the two ways give.",
        "nn.Linear(inputs, rank, bias=False) and nn.Linear(rank, outputs, bias=False) are the two "
        "matrices. nn.init.zeros_ makes the second one zero; mind the dtype.",
    ),
    lesson="10_frozen_networks",
    section="Adapters that start at nothing",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    note="paramlock.mixing has such a layer as AdaptedLinear. Once trained, D @ U can be added to "
    "the weight, and the adapter costs nothing any more.",
)
