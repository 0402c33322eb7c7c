"""The update ratio of each parameter: what one step of a given optimizer really does."""

import math
import operator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from grader.instruments import torch_cases
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_nets import LAYERS, eighths
from grader.instruments.words import listed
from grader.judging.evidence import alike, told_apart
from grader.judging.exercise import Exercise, belief, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def update_ratios(model, optimizer):
    """Take one step of the optimizer and say by what share of its norm each parameter moved.

    The update ratio of a parameter is the norm of its change over its norm before the step,
    both taken over the stored values, in float64. A parameter that was zero and moved has the
    ratio ``math.inf``; one that did not move has 0, also where it was zero.

    Args:
        model: a ``torch.nn.Module`` on the CPU after a backward pass; any floating point type.
        optimizer: an optimizer of some or all of its parameters, in one group or several, perhaps
            with a past.

    Returns:
        A dict from every name in ``model.named_parameters()`` to its update ratio, a number.
        Afterwards model and optimizer are exactly one step on; the gradients are still there.

    Example:
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> model.weight.data = torch.tensor([[3.0, 4.0]])
        >>> model.weight.grad = torch.tensor([[0.0, 1.0]])
        >>> update_ratios(model, torch.optim.SGD(model.parameters(), lr=0.5))
        {'weight': 0.1}
        >>> model.weight.tolist()
        [[3.0, 3.5]]
    """
    before = {name: p.data.double().clone() for name, p in model.named_parameters()}
    optimizer.step()
    answer = {}
    for name, p in model.named_parameters():
        moved = (p.data.double() - before[name]).norm().item()
        norm = before[name].norm().item()
        answer[name] = 0.0 if moved == 0 else moved / norm if norm else math.inf
    return answer


NORMED = {**LAYERS, "body.norm": ["BatchNorm1d", 4], "head": ["Linear", 4, 4]}
TIED, HOLES = [["body.second.weight", "head.weight"]], {"body.second": [0.0, 1.0, 1.0, 0.0]}
FADING, TINY = {"body.first": 1e-5, "body.second": 1e-3}, dict.fromkeys(LAYERS, 1e-20)


def challenge(rng: np.random.Generator) -> Challenge:
    def case(optimizer: str, lr: float = 0.1, kind: str = "plain", **more: Any) -> Inputs:
        """`gradients` and `values`: what those of a layer are multiplied by; None for none.

        Layers `outside` are not in the optimizer, which has taken some steps `before`.
        """
        plain: dict[str, Any] = {"layers": LAYERS, "dtype": "float32", "settings": {}, "before": 0}
        plain |= {"gradients": {}, "values": {}, "outside": []}
        return torch_cases.case(rng, kind=kind, optimizer=optimizer, lr=lr, **(plain | more))

    sgd, adam = partial(case, "SGD"), partial(case, "Adam", 0.01, kind="optimizer")
    none, zero = {"body.first": None}, {"body.first": 0.0, "head": 0.0}
    warm: dict[str, Any] = {"settings": {"momentum": 0.9}, "before": 2}
    decay: dict[str, Any] = {"settings": {"weight_decay": 0.1}, "before": 2, "gradients": zero}
    still = {"frozen": ["body.first"], "gradients": none, "outside": ["head"]}
    rounded = {"dtype": "bfloat16", "gradients": FADING}
    return {
        "SGD, a gradient that fades": sgd(gradients=FADING),
        "SGD in float64": sgd(dtype="float64"),
        "SGD at a rate of 1e-9 in float64": sgd(1e-9, dtype="float64"),
        "values and gradients near 1e-20": sgd(values=TINY, gradients=TINY),
        "BatchNorm, tied weights with zeros": sgd(layers=NORMED, tied=TIED, values=HOLES),
        "Adam, a gradient that fades": adam(gradients=FADING),
        "warm momentum": sgd(kind="optimizer", **warm),
        "warm AdamW, gradients of zero": case("AdamW", 0.01, "optimizer", **decay),
        "a layer frozen after the backward pass": adam(frozen=["body.second"]),
        "a layer without a gradient, one not in the optimizer": adam(kind="still", **still),
        "parameters that are zero": sgd(kind="zero", values=zero, gradients={"head": None}),
        "bfloat16, a gradient that fades": sgd(0.01, kind="rounded", **rounded),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model = torch_cases.built(inputs)
    optimizer, taken = ready(model, inputs), []
    optimizer.register_step_post_hook(lambda *_: taken.append("a step"))
    before = snapshot(model)
    ratios = candidate(model, optimizer)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return {
        "kind": inputs["kind"],
        "ratios": ratios,
        "after": {name: p.detach().float() for name, p in parameters.items()},
        "steps": len(taken),
        "changed": [what for what in changed(before, model) if what not in parameters],
    }


def ready(model: nn.Module, inputs: Inputs) -> Optimizer:
    """The optimizer with its past; the model's gradients and values are set."""
    layers = {name: name.rpartition(".")[0] for name, _ in model.named_parameters()}
    held = [p for n, p in model.named_parameters() if layers[n] not in inputs["outside"]]
    optimizer = getattr(torch.optim, inputs["optimizer"])(
        [{"params": held[:2]}, {"params": held[2:]}], lr=inputs["lr"], **inputs["settings"]
    )
    rng = np.random.default_rng(inputs["seed"] + 1)  # the values were drawn from the seed itself
    for _ in range(inputs["before"]):
        draw_gradients(model, rng)
        optimizer.step()
    draw_gradients(model, rng)
    for name, p in model.named_parameters():
        times = inputs["gradients"].get(layers[name], 1.0)
        p.grad = None if times is None else p.grad * times
        p.data.mul_(torch.tensor(inputs["values"].get(layers[name], 1.0)))
    model.to(getattr(torch, inputs["dtype"]))
    return optimizer


def draw_gradients(model: nn.Module, rng: np.random.Generator) -> None:
    for p in model.parameters():
        p.grad = eighths(rng, p.shape)


def _ratios(seen: Evidence, expected: Evidence) -> Finding:
    """Relative closeness alone: a ratio of 1e-7 is not 0."""
    ours, right = seen["ratios"], expected["ratios"]
    off = [
        "{}: you have {}, it is {}".format(name, *told_apart(ours[name], right[name]))
        for name in right
        if not math.isclose(ours[name], right[name], rel_tol=1e-3)
    ]
    return not off, "; ".join(off[:3]) or f"{len(right)} parameters agree"


@claim(3, "Which two tensors do you subtract, and when was each?", of_kind("plain"))
def is_the_relative_change(seen: Evidence, expected: Evidence) -> Finding:
    """The ratio is the norm of the change over the norm before the step, however small both are."""
    return _ratios(seen, expected)


@claim(3, "Where in your code does the optimizer's own step enter?", of_kind("optimizer"))
def follows_the_optimizer(seen: Evidence, expected: Evidence) -> Finding:
    """It is what this optimizer does with this past that counts, not the gradient."""
    return _ratios(seen, expected)


@claim(1, "Over which names do you go?", of_kind("still"))
def lists_what_stays(seen: Evidence, expected: Evidence) -> Finding:
    """Parameters without a gradient, or outside of the optimizer, are listed with 0."""
    return _ratios(seen, expected)


@claim(2, "What do you divide by where a parameter was zero?", of_kind("zero"))
def knows_zero_parameters(seen: Evidence, expected: Evidence) -> Finding:
    """A parameter that was zero has the ratio infinity if it moved, and 0 if it did not."""
    return _ratios(seen, expected)


@claim(1, "Do you compare stored values, and in what precision?", of_kind("rounded"))
def sees_what_was_rounded_away(seen: Evidence, expected: Evidence) -> Finding:
    """What counts is the stored value: an update lost in rounding has the ratio 0."""
    return _ratios(seen, expected)


@claim(2, "How often is step() called, and what follows it?")
def takes_exactly_one_step(seen: Evidence, expected: Evidence) -> Finding:
    """Afterwards the model is one step of the optimizer on, and its gradients are still there."""
    after, taken, also = seen["after"], seen["steps"], seen["changed"]
    off = [name for name, value in expected["after"].items() if not alike(after[name], value)]
    words = f"the optimizer took {taken} step{'s' * (taken != 1)} in your call"
    words += f"; not where one step leads: {listed(off)}" if off else ""
    words += f"; changed: {listed(also)}" if also else ""
    return not off and taken == 1 and not also, words


def share(moved: Tensor, size: Tensor) -> float | Tensor:
    return 0.0 if moved == 0 else moved / size if size else math.inf


def stepped(
    model: nn.Module,
    optimizer: Optimizer,
    named: Part = lambda model, optimizer: dict(model.named_parameters()),
    kept: Part = lambda p: p.detach().double().clone(),
    step: Part = lambda optimizer: optimizer.step(),
    change: Part = lambda p, old, optimizer: p.detach().double() - old.double(),
    size: Part = lambda p, old: old.double().norm(),
    over: Part = share,
) -> dict[str, float]:
    """The right answer in parts."""
    parameters = named(model, optimizer)
    before = {name: kept(p) for name, p in parameters.items()}
    step(optimizer)
    return {
        name: float(over(change(p, before[name], optimizer).norm(), size(p, before[name])))
        for name, p in parameters.items()
    }


def rate_times_gradient(p: Tensor, old: Tensor, optimizer: Optimizer) -> Tensor:
    gradient = torch.zeros_like(old) if p.grad is None else p.grad.double()
    return optimizer.param_groups[0]["lr"] * gradient


def with_a_gradient(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters() if p.grad is not None}


def in_the_optimizer(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    held = {p for group in optimizer.param_groups for p in group["params"]}
    return {name: p for name, p in model.named_parameters() if p in held}


RATE = (
    "A step is the learning rate times the gradient.",
    "That is plain SGD. Momentum and Adam's averages bring in the past, Adam divides by the "
    "gradient's size, AdamW decays, and rounding can swallow it all.",
    "What could you compare to see what the step did, whatever the optimizer?",
)
STAYS = (
    "What a step cannot move need not be listed.",
    "That it stays is the finding. A name that is missing looks like an oversight.",
    "Whom do you ask for the names, and which names does the task ask for?",
)
ZERO = (
    "A parameter that is zero needs no case of its own.",
    "A bias often starts at zero. A change over 0 is infinite, and 0 over 0 is NaN or an error.",
    "What do you ask before you divide?",
)
believing = beliefs_about(stepped)
BELIEFS = (  # one that shows in several ways is there for each
    believing(
        "A name for the old values keeps the old values.",
        "p, p.data and p.detach() share their memory. The step changes all, the difference is 0.",
        "Which method of a tensor makes a copy of its numbers?",
        kept=lambda p: p.detach(),
    ),
    believing(*RATE, change=rate_times_gradient, step=lambda optimizer: None),
    believing(*RATE, change=rate_times_gradient),
    believing(
        "A parameter moved as far as its norm changed.",
        "A weight that turns keeps its norm. It has moved all the same.",
        "Do you take the norm of a difference, or a difference of norms?",
        change=lambda p, old, optimizer: p.detach().double().norm() - old.norm(),
    ),
    believing(
        "It does not matter which norm stands below.",
        "The size before the step does. Under Adam at a high rate the two differ by a lot.",
        "Which of your two tensors was there first?",
        size=lambda p, old: p.detach().double().norm(),
    ),
    believing(*ZERO, over=operator.truediv),
    believing(*ZERO, over=lambda moved, size: moved.item() / size.item()),
    believing(
        "A small number in the denominator takes care of zero.",
        "It makes up a ratio of a million millions, which depends on the number you chose.",
        "Which value does the task ask for where a parameter was zero and moved?",
        over=lambda moved, size: moved / (size + 1e-12),
    ),
    believing(
        "What was zero has no ratio, so call it 0.",
        "0 says that it stayed. A bias that leaves zero moved as much as can be.",
        "How can you tell a zero that moved from a zero that stayed?",
        over=lambda moved, size: moved / size if size else 0.0,
    ),
    believing(*STAYS, named=with_a_gradient),
    believing(*STAYS, named=in_the_optimizer),
    believing(
        "Every step begins with zero_grad().",
        "The gradients were there already. Without them an optimizer skips every parameter.",
        "What does the optimizer find in p.grad when it steps?",
        step=lambda optimizer: [optimizer.zero_grad(), optimizer.step()],
    ),
)


@belief(
    "A measurement puts everything back.",
    "This step counts. And the optimizer's averages would be a step ahead of the weights.",
    "In which state should model and optimizer be afterwards?",
)
def put_everything_back(model: nn.Module, optimizer: Optimizer) -> dict[str, float]:
    before = [p.detach().clone() for p in model.parameters()]
    answer = stepped(model, optimizer)
    for old, p in zip(before, model.parameters(), strict=True):
        p.data.copy_(old)
    return answer


@belief(
    "A step of the optimizer is about the parameter at hand.",
    "It moves all parameters it holds, each time it is called.",
    "How often does step() run in your loop?",
)
def step_once_for_each_parameter(model: nn.Module, optimizer: Optimizer) -> dict[str, float]:
    def ratio(p: Tensor) -> float:
        return stepped(model, optimizer, named=lambda *_: {"": p})[""]

    return {name: ratio(p) for name, p in model.named_parameters()}


EXERCISE = Exercise(
    reference=update_ratios,
    challenge=challenge,
    observe=observe,
    hints=(
        "Three lines do the work: copy all parameters, step, subtract.",
        "p.detach().clone() is a copy; p.detach() is not. Cast to float64 before you subtract.",
        "moved = (now - before).norm(). If moved is 0 the ratio is 0, else if before.norm() is 0 "
        "it is math.inf, else their quotient. Go over model.named_parameters() for the names.",
    ),
    lesson="01_gradient_vanishing",
    section="The update ratio",
    frameworks=("torch",),
    minutes=12,
    difficulty=3,
    note="A rule of thumb found in many courses wants this ratio near 0.001 per step. Take it as a "
    "place to begin looking: it depends on the optimizer, the schedule and the layer.",
)
