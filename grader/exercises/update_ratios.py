"""The update ratio of each parameter: what one step of a given optimizer really does."""

import math

import torch

from grader.evidence import alike, told_apart
from grader.exercise import Claim, Exercise, Misconception
from grader.torch_nets import LAYERS, give_gradients, net


def update_ratios(model, optimizer):
    """Take one step of the optimizer and say by what share of its norm each parameter moved.

    The update ratio of a parameter is the norm of its change over its norm before the step,
    both taken over the stored values, in float64. A parameter that was zero and moved has the
    ratio ``math.inf``; one that did not move has 0, also where it was zero.

    Args:
        model: a ``torch.nn.Module`` on the CPU after a backward pass; any floating point type.
        optimizer: an optimizer of some or all of its parameters, perhaps with a past.

    Returns:
        A dict from every name in ``model.named_parameters()`` to its update ratio, a number.
        Afterwards model and optimizer are exactly one step on; the gradients are still there.
    """
    before = {name: p.data.double().clone() for name, p in model.named_parameters()}
    optimizer.step()
    answer = {}
    for name, p in model.named_parameters():
        moved = (p.data.double() - before[name]).norm().item()
        norm = before[name].norm().item()
        answer[name] = 0.0 if moved == 0 else moved / norm if norm else math.inf
    return answer


def challenge(rng):
    def case(optimizer, settings, kind="plain", **more):
        return {
            "optimizer": optimizer,
            "settings": {"lr": 0.1, **settings},
            "seed": int(rng.integers(1000)),
            "steps before": 0,
            "gradient times": [1.0, 1.0, 1.0],
            "no gradient": [],
            "zero": [],
            "left out": [],
            "dtype": "float32",
            "kind": kind,
            **more,
        }

    fading = {"gradient times": [1e-5, 1e-3, 1.0]}
    warm = {"steps before": 2}
    return {
        "SGD, a gradient that fades": case("SGD", {}, **fading),
        "Adam, a gradient that fades": case("Adam", {"lr": 0.01}, "optimizer", **fading),
        "SGD in float64": case("SGD", {}, dtype="float64"),
        "warm momentum": case("SGD", {"momentum": 0.9}, "optimizer", **warm),
        "warm AdamW, a layer with a gradient of zeros": case(
            "AdamW",
            {"lr": 0.01, "weight_decay": 0.1},
            "optimizer",
            **warm,
            **{"gradient times": [0.0, 1.0, 1.0]},
        ),
        "a layer without a gradient, one not in the optimizer": case(
            "Adam", {"lr": 0.01}, "still", **{"no gradient": ["body.first"], "left out": ["head"]}
        ),
        "parameters that are zero": case(
            "SGD", {}, "zero", **{"zero": ["body.first", "head"], "no gradient": ["head"]}
        ),
        "bfloat16, a gradient that fades": case(
            "SGD", {"lr": 0.01}, "rounded", dtype="bfloat16", **fading
        ),
    }


def observe(candidate, inputs):
    model, optimizer = _model(inputs)
    before = _gradients(model)
    ratios = candidate(model, optimizer)
    now = _gradients(model)
    return {
        "kind": inputs["kind"],
        "ratios": ratios,
        "after": {name: p.detach().float() for name, p in model.named_parameters()},
        "steps of the optimizer": _steps(optimizer),
        "gradients changed": [name for name in before if now[name] != before[name]],
    }


def _gradients(model):
    named = model.named_parameters()
    return {name: None if p.grad is None else p.grad.tolist() for name, p in named}


def _model(inputs):
    model = net(LAYERS, inputs["seed"])
    held = [model.get_submodule(path) for path in LAYERS if path not in inputs["left out"]]
    parameters = [p for module in held for p in module.parameters()]
    optimizer = _counted(
        getattr(torch.optim, inputs["optimizer"])(parameters, **inputs["settings"])
    )
    for seed in range(inputs["steps before"]):
        give_gradients(model, seed)
        optimizer.step()
    give_gradients(model, inputs["seed"] + 1)
    for (path, module), times in zip(_layers(model), inputs["gradient times"], strict=True):
        for p in module.parameters():
            p.grad = None if path in inputs["no gradient"] else p.grad * times
            p.data.mul_(0.0 if path in inputs["zero"] else 1.0)
    return model.to(getattr(torch, inputs["dtype"])), optimizer


def _layers(model):
    return [(path, model.get_submodule(path)) for path in LAYERS]


def _counted(optimizer):
    optimizer.register_step_post_hook(lambda *_: setattr(optimizer, "taken", _steps(optimizer) + 1))
    return optimizer


def _steps(optimizer):
    return getattr(optimizer, "taken", 0)


def is_the_relative_change(seen, expected):
    """The ratio is the norm of the change over the norm before the step."""
    return _ratios(seen, expected) if expected["kind"] == "plain" else None


def follows_the_optimizer(seen, expected):
    """It is what this optimizer does with this past that counts, not the gradient."""
    return _ratios(seen, expected) if expected["kind"] == "optimizer" else None


def lists_what_stays(seen, expected):
    """Parameters without a gradient, or outside of the optimizer, are listed with 0."""
    return _ratios(seen, expected) if expected["kind"] == "still" else None


def knows_zero_parameters(seen, expected):
    """A parameter that was zero has the ratio infinity if it moved, and 0 if it did not."""
    return _ratios(seen, expected) if expected["kind"] == "zero" else None


def sees_what_was_rounded_away(seen, expected):
    """What counts is the stored value: an update lost in rounding has the ratio 0."""
    return _ratios(seen, expected) if expected["kind"] == "rounded" else None


def takes_exactly_one_step(seen, expected):
    """Afterwards the model is one step of the optimizer on, and its gradients are still there."""
    after, taken = seen["after"], seen["steps of the optimizer"]
    taken -= expected["steps of the optimizer"] - 1
    off = [name for name in expected["after"] if not alike(after[name], expected["after"][name])]
    cleared = seen["gradients changed"]
    words = f"the optimizer took {taken} step{'s' * (taken != 1)} in your call"
    words += f"; not where one step leads: {', '.join(off)}" if off else ""
    words += f"; gradients changed: {', '.join(cleared)}" if cleared else ""
    return not off and taken == 1 and not cleared, words


def _ratios(seen, expected):
    ours, right = seen["ratios"], expected["ratios"]
    off = [
        "{}: you have {}, it is {}".format(name, *told_apart(ours[name], right[name]))
        for name in right
        if not _close(ours[name], right[name])
    ]
    return not off, "; ".join(off[:3]) or f"{len(right)} parameters agree"


def _close(one, other):
    """Relative closeness alone: a ratio of 1e-7 is not 0."""
    return math.isclose(one, other, rel_tol=1e-3)


def _stepped(model, optimizer, copy=lambda p: p.detach().double().clone()):
    """(name, before, after) of each parameter, in float64."""
    before = {name: copy(p) for name, p in model.named_parameters()}
    optimizer.step()
    return [(n, before[n].double(), p.detach().double()) for n, p in model.named_parameters()]


def _ratio(moved, norm):
    return 0.0 if moved == 0 else float(moved / norm) if norm else math.inf


def keep_no_copy(model, optimizer):
    stepped = _stepped(model, optimizer, copy=lambda p: p.data)
    return {name: _ratio((now - old).norm(), old.norm()) for name, old, now in stepped}


def _by_gradient(model, optimizer):
    rate = optimizer.param_groups[0]["lr"]
    gradients = {n: (p.grad.double() if p.grad is not None else p.detach().double() * 0)
                 for n, p in model.named_parameters()}  # fmt: skip
    return {
        name: _ratio(rate * gradients[name].norm(), p.detach().double().norm())
        for name, p in model.named_parameters()
    }


def multiply_gradient_by_rate(model, optimizer):
    return _by_gradient(model, optimizer)


def multiply_gradient_by_rate_and_step(model, optimizer):
    answer = _by_gradient(model, optimizer)
    optimizer.step()
    return answer


def compare_the_norms(model, optimizer):
    stepped = _stepped(model, optimizer)
    return {name: _ratio(abs(now.norm() - old.norm()), old.norm()) for name, old, now in stepped}


def divide_by_the_norm_after(model, optimizer):
    stepped = _stepped(model, optimizer)
    return {name: _ratio((now - old).norm(), now.norm()) for name, old, now in stepped}


def divide_zero_by_zero(model, optimizer):
    stepped = _stepped(model, optimizer)
    return {name: ((now - old).norm() / old.norm()).item() for name, old, now in stepped}


def divide_numbers_by_zero(model, optimizer):
    stepped = _stepped(model, optimizer)
    return {name: (now - old).norm().item() / old.norm().item() for name, old, now in stepped}


def add_a_small_number(model, optimizer):
    stepped = _stepped(model, optimizer)
    return {name: ((now - old).norm() / (old.norm() + 1e-12)).item() for name, old, now in stepped}


def call_zero_parameters_still(model, optimizer):
    stepped = _stepped(model, optimizer)
    return {
        name: _ratio((now - old).norm(), old.norm()) if old.any() else 0.0
        for name, old, now in stepped
    }


def list_what_has_a_gradient(model, optimizer):
    given = {name for name, p in model.named_parameters() if p.grad is not None}
    stepped = _stepped(model, optimizer)
    return {n: _ratio((now - old).norm(), old.norm()) for n, old, now in stepped if n in given}


def list_what_the_optimizer_holds(model, optimizer):
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in held}
    stepped = _stepped(model, optimizer)
    return {n: _ratio((now - old).norm(), old.norm()) for n, old, now in stepped if n in names}


def put_everything_back(model, optimizer):
    stepped = _stepped(model, optimizer)
    answer = {name: _ratio((now - old).norm(), old.norm()) for name, old, now in stepped}
    for (_, old, _), p in zip(stepped, model.parameters(), strict=True):
        p.data.copy_(old)
    return answer


def step_once_for_each_parameter(model, optimizer):
    answer = {}
    for name, p in model.named_parameters():
        old = p.detach().double().clone()
        optimizer.step()
        answer[name] = _ratio((p.detach().double() - old).norm(), old.norm())
    return answer


def clear_the_gradients_first(model, optimizer):
    optimizer.zero_grad()
    stepped = _stepped(model, optimizer)
    return {name: _ratio((now - old).norm(), old.norm()) for name, old, now in stepped}


RATE = (
    "A step is the learning rate times the gradient.",
    "That is plain SGD. Momentum and Adam's averages bring in the past, Adam divides by the "
    "gradient's size, AdamW decays, and rounding can swallow it all.",
    "What could you compare to see what the step did, whatever the optimizer?",
)
ZERO = (
    "A parameter that is zero needs no case of its own.",
    "A bias often starts at zero. Its change divided by 0 is infinite, and 0 over 0 is NaN or an "
    "error.",
    "What do you ask before you divide?",
)

EXERCISE = Exercise(
    reference=update_ratios,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(is_the_relative_change, 3, "Which two tensors do you subtract, and when was each?"),
        Claim(follows_the_optimizer, 3, "Where in your code does the optimizer's own step enter?"),
        Claim(lists_what_stays, 1, "Over which names do you go?"),
        Claim(knows_zero_parameters, 2, "What do you divide by where a parameter was zero?"),
        Claim(
            sees_what_was_rounded_away, 1, "Do you compare stored values, and in what precision?"
        ),
        Claim(takes_exactly_one_step, 2, "How often is step() called, and what follows it?"),
    ),
    misconceptions=(
        Misconception(
            "A name for the old values keeps the old values.",
            "p, p.data and p.detach() share their memory. The step changes them all, and the "
            "difference is 0 everywhere.",
            "Which method of a tensor makes a copy of its numbers?",
            keep_no_copy,
        ),
        Misconception(*RATE, specimen=multiply_gradient_by_rate),
        Misconception(*RATE, specimen=multiply_gradient_by_rate_and_step),
        Misconception(
            "A parameter moved as far as its norm changed.",
            "A weight that turns keeps its norm. The change of the norm is smaller than the norm "
            "of the change.",
            "Do you take the norm of a difference, or a difference of norms?",
            compare_the_norms,
        ),
        Misconception(
            "It does not matter which norm stands below.",
            "The ratio compares with the size before the step. Under Adam at a high rate the two "
            "differ by a lot.",
            "Which of your two tensors was there first?",
            divide_by_the_norm_after,
        ),
        Misconception(*ZERO, specimen=divide_zero_by_zero),
        Misconception(*ZERO, specimen=divide_numbers_by_zero),
        Misconception(
            "A small number in the denominator takes care of zero.",
            "It makes up a ratio of a million millions, which depends on the number you chose.",
            "Which value does the docstring ask for where a parameter was zero and moved?",
            add_a_small_number,
        ),
        Misconception(
            "What was zero has no ratio, so call it 0.",
            "0 says that it stayed. A bias that leaves zero moved as much as can be.",
            "How can you tell a zero that moved from a zero that stayed?",
            call_zero_parameters_still,
        ),
        Misconception(
            "What has no gradient need not be listed.",
            "That it stays is the finding. A name that is missing looks like an oversight.",
            "Which names does the docstring ask for?",
            list_what_has_a_gradient,
        ),
        Misconception(
            "The optimizer holds all parameters.",
            "One layer was never handed to it. That it stays is what the caller wants to see.",
            "Whom do you ask for the names, the model or the optimizer?",
            list_what_the_optimizer_holds,
        ),
        Misconception(
            "A measurement puts everything back.",
            "This one is made while training: the step counts. And the optimizer's averages would "
            "be a step ahead of the weights.",
            "In which state should model and optimizer be afterwards?",
            put_everything_back,
        ),
        Misconception(
            "optimizer.step() is about the parameter at hand.",
            "It moves all parameters it holds, each time it is called.",
            "How often does step() run in your loop?",
            step_once_for_each_parameter,
        ),
        Misconception(
            "Every step begins with zero_grad().",
            "The gradients were there already. Without them an optimizer skips every parameter.",
            "What does the optimizer find in p.grad when it steps?",
            clear_the_gradients_first,
        ),
    ),
    hints=(
        "Three lines do the work: copy all parameters, step, subtract.",
        "p.detach().clone() is a copy; p.detach() alone is not. Cast to float64 before you "
        "subtract, or bfloat16 rounds the difference.",
        "moved = (now - before).norm(). If moved is 0 the ratio is 0, else if before.norm() is 0 "
        "it is math.inf, else their quotient. Go over model.named_parameters() for the names.",
    ),
    lesson="01_gradient_vanishing",
    section="The update ratio",
    frameworks=("torch",),
    minutes=12,
    note="A rule of thumb found in many courses wants this ratio near 0.001 per step. Take it as a "
    "place to begin looking: it depends on the optimizer, the schedule and the layer.",
)
