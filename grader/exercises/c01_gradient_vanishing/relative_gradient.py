"""The relative gradient of a part of a torch model."""

import math

import numpy as np
import torch

from grader.instruments import gradient_parts as parts
from grader.instruments.torch_nets import net
from grader.judging.exercise import Exercise, Misconception


def relative_gradient(model, path):
    """Say what share of a model's gradient norm a part of it holds.

    The part is the submodule at ``path``, with all that lies below it. Its relative gradient is
    the norm of its gradient over the norm of the whole model's gradient. A norm runs over all
    entries of all tensors: the root of the sum of all squares. Parameters without a gradient
    (None) count as zeros. Where the whole gradient is zero, so is the answer.

    The entries may be as small or as large as their precision can hold.

    Args:
        model: a ``torch.nn.Module`` on the CPU after a backward pass.
        path: name of a submodule with dots, as ``model.get_submodule`` takes it.

    Returns:
        A number from 0 to 1, accurate to one part in ten thousand. The gradients stay as they are.
    """
    squares = {
        id(p): float(p.grad.double().square().sum())
        for p in model.parameters()
        if p.grad is not None
    }
    part = sum(squares.get(id(p), 0.0) for p in model.get_submodule(path).parameters())
    whole = sum(squares.values())
    return math.sqrt(part / whole) if whole else 0.0


challenge = parts.challenge
LAYERS = dict.fromkeys(("body.layer1", "body.layer10", "head"), ("Linear", 3, 4))
NAMES = {"kernel": "weight", "bias": "bias"}


def observe(candidate, inputs):
    model = net(LAYERS, seed=0)
    for (*path, leaf), gradient in parts.leaves(inputs["gradients"]):
        layer = model.get_submodule(".".join(path))
        if gradient is not None:
            layer.to(getattr(torch, gradient.dtype.name))
            getattr(layer, NAMES[leaf]).grad = torch.tensor(np.ascontiguousarray(gradient.T))
    return parts.left_behind(
        lambda: candidate(model, inputs["path"]), lambda: _gradients(model), inputs["kind"]
    )


def _gradients(model):
    named = model.named_parameters()
    return {k: None if p.grad is None else p.grad.numpy().tobytes() for k, p in named}


def _below(model, path):
    return [p.grad for p in model.get_submodule(path).parameters() if p.grad is not None]


def _norm(gradients):
    return math.hypot(*(g.double().norm().item() for g in gradients))


def add_up_the_norms(model, path):
    part, whole = (sum(g.double().norm().item() for g in _below(model, p)) for p in (path, ""))
    return parts.over(part, whole)


def leave_out_the_root(model, path):
    return parts.over(_norm(_below(model, path)) ** 2, _norm(_below(model, "")) ** 2)


def compare_with_the_rest(model, path):
    held = {id(p) for p in model.get_submodule(path).parameters()}
    others = [p for p in model.parameters() if id(p) not in held]
    rest = [p.grad for p in others if p.grad is not None]
    return parts.over(_norm(_below(model, path)), _norm(rest))


def square_as_it_comes(model, path):
    part, whole = (sum(g.square().sum() for g in _below(model, p)) for p in (path, ""))
    return (part / whole) ** 0.5 if whole else 0.0


def square_in_float32(model, path):
    part, whole = (sum(g.float().square().sum() for g in _below(model, p)) for p in (path, ""))
    return (part / whole) ** 0.5 if whole else 0.0


def match_the_beginning(model, path):
    part = [p.grad for name, p in model.named_parameters() if name.startswith(path)]
    return parts.over(_norm([g for g in part if g is not None]), _norm(_below(model, "")))


def stay_at_the_top(model, path):
    own = model.get_submodule(path).parameters(recurse=False)
    return parts.over(_norm([p.grad for p in own if p.grad is not None]), _norm(_below(model, "")))


def divide_by_the_count(model, path):
    def per_entry(gradients):
        return _norm(gradients) / max(sum(g.numel() for g in gradients), 1) ** 0.5

    return parts.over(per_entry(_below(model, path)), per_entry(_below(model, "")))


def take_the_largest(model, path):
    part, whole = (
        max((g.double().abs().max().item() for g in _below(model, p)), default=0.0)
        for p in (path, "")
    )
    return parts.over(part, whole)


def divide_by_zero(model, path):
    return _norm(_below(model, path)) / _norm(_below(model, ""))


def divide_tensors_by_zero(model, path):
    part, whole = (torch.tensor(_norm(_below(model, p))).double() for p in (path, ""))
    return part / whole


def expect_a_gradient_everywhere(model, path):
    part, whole = (
        [p.grad.double() for p in model.get_submodule(q).parameters()] for q in (path, "")
    )
    return parts.over(_norm(part), _norm(whole))


def compare_with_the_weights(model, path):
    module = model.get_submodule(path)
    return _norm(_below(model, path)) / _norm([p.detach() for p in module.parameters()])


def clip_to_measure(model, path):
    whole, part = (_norm(_below(model, p)) for p in ("", path))
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    return parts.over(part, whole)


EXERCISE = Exercise(
    reference=relative_gradient,
    challenge=challenge,
    observe=observe,
    claims=parts.CLAIMS,
    misconceptions=(
        Misconception(*parts.ADD_NORMS, specimen=add_up_the_norms),
        Misconception(*parts.SQUARES, specimen=leave_out_the_root),
        Misconception(*parts.REST, specimen=compare_with_the_rest),
        Misconception(*parts.PRECISION, specimen=square_as_it_comes),
        Misconception(*parts.FLOAT32, specimen=square_in_float32),
        Misconception(*parts.BEGINNING, specimen=match_the_beginning),
        Misconception(*parts.PER_ENTRY, specimen=divide_by_the_count),
        Misconception(*parts.LARGEST, specimen=take_the_largest),
        Misconception(*parts.DIVISION, specimen=divide_by_zero),
        Misconception(*parts.DIVISION, specimen=divide_tensors_by_zero),
        Misconception(
            "A part's parameters are those it holds itself.",
            "A container holds none itself. All that lies below it belongs to the part.",
            "Which parameters does parameters(recurse=False) leave out for the body?",
            stay_at_the_top,
        ),
        Misconception(
            "After backward() every parameter has a gradient.",
            "Frozen ones have None, and so have those that the loss does not depend on.",
            "What does p.grad hold for a parameter that no path leads to?",
            expect_a_gradient_everywhere,
        ),
        Misconception(
            "A gradient is small or large compared with the weights.",
            "That is another ratio. This one compares gradients with gradients.",
            "Which two norms does the definition name?",
            compare_with_the_weights,
        ),
        Misconception(
            "clip_grad_norm_ measures a norm.",
            "It also scales the gradients in place as soon as the norm is above the limit.",
            "What does the underscore at the end of a name say in torch?",
            clip_to_measure,
        ),
    ),
    hints=(
        "Write down the sum of all squares for the part and for the whole. What is the relative "
        "gradient of the part, in terms of the two?",
        "model.get_submodule(path).parameters() goes through the part. Pass over a grad of None.",
        "Cast before you square: p.grad.double().square().sum(). Add these up for the part and for "
        "the whole, and take the root of the quotient, unless the whole is 0.",
    ),
    lesson="01_gradient_vanishing",
    section="Relative gradient",
    frameworks=("torch",),
    minutes=10,
    note="Shares of disjoint parts do not add up to 1, their squares do. So one large layer pushes "
    "every other share down: read all of them, not one.",
    twin="relative_gradient_tree",
)
