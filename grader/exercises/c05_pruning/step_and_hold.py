"""A step of any torch optimizer after which pruned entries are zero, and nothing leaks back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from grader.instruments import pruned_steps
from grader.instruments.moves import Arrays, moved
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def step_and_hold(optimizer, kept):
    """Take a step of an optimizer and hold the pruned weights at zero.

    ``backward()`` has run: the gradients are there, those of pruned weights too. The optimizer may
    have averages from before the pruning. Your function is called for one step after another.

    Args:
        optimizer: a ``torch.optim.Optimizer`` that treats each entry by itself: SGD, Adam, AdamW.
            What it stores for a parameter is in ``optimizer.state[parameter]``, a dict; what has
            the shape of the parameter belongs to its entries, one by one.
        kept: list of pairs of a parameter and a bool tensor of its shape, True where a weight
            stays. Parameters that are not in the list are not pruned.

    Returns:
        None. Afterwards every pruned weight is exactly 0, whatever number it or its gradient was,
        NaN included, and the optimizer's tensors hold 0 for it: when it is opened again it starts
        afresh. All other weights are where a plain step takes them, with their averages.
        The gradients are as they were, since whoever wants to open a weight looks at them.

    Example:
        >>> weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> optimizer = torch.optim.SGD([weight], lr=0.5, momentum=0.9)
        >>> weight.grad = torch.tensor([1.0, 1.0])
        >>> step_and_hold(optimizer, [(weight, torch.tensor([True, False]))])
        >>> weight.tolist(), optimizer.state[weight]["momentum_buffer"].tolist()
        ([0.5, 0.0], [1.0, 0.0])
    """
    optimizer.step()
    with torch.no_grad():
        for parameter, keep in kept:
            for tensor in (parameter, *optimizer.state[parameter].values()):
                if tensor.shape == parameter.shape:  # a count of steps is no entry's
                    tensor[~keep] = 0


def challenge(rng: np.random.Generator) -> Challenge:
    cases = pruned_steps.cases(rng)
    decayed = pruned_steps.with_sgd(pruned_steps.run(rng), 0.9)
    decayed["settings"] |= {"weight_decay": 0.1, "nesterov": True}
    coupled = pruned_steps.with_adamw(pruned_steps.run(rng), rng)
    coupled |= {"optimizer": "adam"}
    coupled["settings"] |= {"amsgrad": True}
    return {
        **cases,
        "SGD without momentum": pruned_steps.with_sgd(pruned_steps.run(rng), 0.0),
        "momentum, with weight decay": decayed,
        "Adam, with decay in the gradient and a third average": coupled,
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    parameters = {
        name: nn.Parameter(torch.from_numpy(array))
        for name, array in pruned_steps.flat(inputs["params"]).items()
    }
    kept, optimizer = pruned_steps.flat(inputs["kept"]), _optimizer(parameters, inputs)
    for gradients in inputs["warmup"]:
        _give(parameters, gradients)
        optimizer.step()
    with torch.no_grad():
        for name, zero in pruned_steps.flat(inputs["zeros"]).items():
            parameters[name][torch.from_numpy(zero)] = 0
    course, touched = pruned_steps.Course(kept), set()
    flags = {name: torch.tensor(keep) for name, keep in kept.items() if not keep.all()}
    for gradients in inputs["gradients"]:
        due = _give(parameters, gradients)
        candidate(optimizer, [(parameters[name], keep) for name, keep in flags.items()])
        course.stepped(_arrays(parameters))
        left = {n: p.grad.numpy() for n, p in parameters.items() if p.grad is not None}
        touched |= {*moved(due, left)}
    _give(parameters, inputs["params"])  # numbers of a gradient's size, as good as any
    optimizer.step()
    return course.evidence(_arrays(parameters), touched=sorted(touched))


def _optimizer(parameters: Mapping[str, nn.Parameter], inputs: Inputs) -> Optimizer:
    settings = {key: value for key, value in inputs["settings"].items() if key not in ("b1", "b2")}
    settings["lr"] = settings.pop("learning_rate")
    if "b1" in inputs["settings"]:
        settings["betas"] = (inputs["settings"]["b1"], inputs["settings"]["b2"])
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    return kinds[inputs["optimizer"]](parameters.values(), **settings)


def _give(parameters: Mapping[str, nn.Parameter], tree: Mapping[str, Any]) -> Arrays:
    """Hang the gradients of a tree on the parameters."""
    gradients = pruned_steps.flat(tree)
    for name, parameter in parameters.items():
        parameter.grad = torch.from_numpy(gradients[name].copy())
    return gradients


def _arrays(parameters: Mapping[str, nn.Parameter]) -> Arrays:
    return {name: parameter.detach().numpy().copy() for name, parameter in parameters.items()}


CLAIMS = pruned_steps.CLAIMS


@claim(
    1,
    "Which line of yours writes into a gradient?",
    needs=pruned_steps.kept_weights_train_as_ever,
)
def leaves_the_gradients(seen: Evidence, expected: Evidence) -> Finding:
    """The gradients are after the step what they were before it, at pruned entries too."""
    return not seen["touched"], f"changed gradients: {listed(seen['touched'])}"


def _nothing(*given: Any) -> None:
    """A part that is left out."""


def _fill(tensor: Any, keep: Tensor) -> None:
    tensor.masked_fill_(~keep, 0)


def _multiply(tensor: Tensor, keep: Tensor) -> None:
    tensor.mul_(keep)


def _forget(state: dict[str, Any], keep: Tensor, apart: str = "", clear: Part = _fill) -> None:
    for name, value in state.items():
        if torch.is_tensor(value) and value.shape == keep.shape and name != apart:
            clear(value, keep)


@torch.no_grad()
def stepped(
    optimizer: Optimizer,
    kept: list[tuple[nn.Parameter, Tensor]],
    stays: Part = lambda parameter, keep: keep,
    first: Part = _nothing,
    last: Part = _fill,
    forget: Part = _forget,
) -> None:
    """The right answer in parts."""
    kept = [(parameter, stays(parameter, keep)) for parameter, keep in kept]
    for parameter, keep in kept:
        first(parameter, keep)
    optimizer.step()
    for parameter, keep in kept:
        last(parameter, keep)
        forget(optimizer.state[parameter], keep)


def _zero_gradient(parameter: nn.Parameter, keep: Tensor) -> None:
    _fill(parameter.grad, keep)


def _zero_both(parameter: nn.Parameter, keep: Tensor) -> None:
    _fill(parameter.grad, keep)
    _fill(parameter, keep)


believing = beliefs_about(stepped)
BELIEFS = (  # one that shows in two ways is there twice
    believing(*pruned_steps.GRADIENT_ONLY, first=_zero_both, last=_nothing, forget=_nothing),
    believing(*pruned_steps.GRADIENT_ONLY, first=_zero_gradient, last=_nothing, forget=_nothing),
    believing(
        "What is set to 0 before the step is 0 after it.",
        "The step comes last then, and it moves every entry that has a gradient or an average.",
        "In which order do the step and your zeros come?",
        first=_fill,
        last=_nothing,
    ),
    believing(*pruned_steps.TIMES_ZERO, last=_multiply),
    believing(
        *pruned_steps.TIMES_ZERO, forget=lambda state, keep: _forget(state, keep, clear=_multiply)
    ),
    believing(*pruned_steps.NO_MEMORY, forget=_nothing),
    believing(
        "Averages of zeros need no clearing.",
        "Where the gradient is 0 an average shrinks by a tenth a step, or by a thousandth, and it "
        "is not 0. And the gradient of the pruned entries was needed: it says which to open.",
        "How many steps does 0.999 take to come down to a tenth?",
        first=_zero_gradient,
        forget=_nothing,
    ),
    believing(*pruned_steps.ALL_FORGOTTEN, forget=lambda state, keep: state.clear()),
    believing(
        *pruned_steps.NONZERO,
        stays=lambda parameter, keep: parameter.masked_fill(~keep, 0) != 0,
    ),
    believing(
        *pruned_steps.FIRST_MOMENT, forget=lambda state, keep: _forget(state, keep, "exp_avg_sq")
    ),
    believing(
        "A gradient that is not used may be overwritten.",
        "It is what tells which pruned weight would help most. After your step nobody can ask.",
        "What would RigL look at to choose the weights that it opens?",
        first=_zero_gradient,
    ),
    believing(
        "A parameter with pruned entries is frozen.",
        "Then its kept entries stop as well. A lock can hold single entries.",
        "What does the optimizer do with a parameter whose gradient is None?",
        first=lambda parameter, keep: setattr(parameter, "grad", None),
    ),
    believing(*pruned_steps.UPSIDE_DOWN, stays=lambda parameter, keep: ~keep),
)

EXERCISE = Exercise(
    reference=step_and_hold,
    challenge=challenge,
    observe=observe,
    hints=(
        "Let the optimizer do what it wants, and put right afterwards what has to be 0. Which "
        "tensors are that, besides the weights?",
        "Print optimizer.state[parameter] after a step of Adam and of SGD with momentum. Which of "
        "its values have the shape of the parameter?",
        "tensor[~keep] = 0 chooses, where a multiplication would keep a NaN. Do it under "
        "torch.no_grad().",
    ),
    lesson="05_pruning",
    section="Where the lock must act",
    frameworks=("torch",),
    minutes=20,
    difficulty=3,
    twin="hold_pruned",
    note="A lock holds what is written last. paramlock.torch.prune does the same, in a hook that "
    "runs after each step, so that the training loop need not know of it.",
)
