"""A torch scheduler: up to the peak of each group, then down to 0."""

import warnings
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from grader.instruments import rate_schedules
from grader.instruments.moves import moved
from grader.instruments.rate_schedules import LATER, run
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def warm_up(optimizer, warmup, total):
    """Make a scheduler that lets the learning rate rise to its peak, then fall to 0.

    The rate that a group of the optimizer has when you are called is its peak; each group has its
    own. Count the updates from 1. Update k of the warm-up has k/warmup of the peak, so the last of
    them has all of it. From there the rate falls evenly, so that 0 would be reached by the first
    update that is not made any more, update total + 1. It stays 0 if more updates are made.

    Args:
        optimizer: a torch optimizer that has not made a step yet.
        warmup: how many updates the warm-up has, a whole number from 1 to ``total``.
        total: how many updates are made in all.

    Returns:
        A scheduler. Its ``step()`` is called after each ``optimizer.step()``; the rates of the
        first update are set when you return.

    Example:
        >>> optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        >>> scheduler, rates = warm_up(optimizer, 2, 3), []
        >>> for _ in range(4):
        ...     rates.append(optimizer.param_groups[0]["lr"])
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [0.5, 1.0, 0.5, 0.0]
    """

    def share(count):
        rise = (count + 1) / warmup
        fall = (total - count) / (total + 1 - warmup)
        return max(0, min(rise, fall))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def challenge(rng: np.random.Generator) -> Challenge:
    cases = rate_schedules.cases(rng)
    peaks = (float(peak) for peak in rng.uniform((0.01, 0.1, 1.0), (0.1, 1.0, 9.0)))
    few, many = (int(count) for count in rng.integers((3, 8), (7, 20)))
    several = run("groups", few, many, *peaks)
    return {
        **{name: {**case, "optimizer": "SGD"} for name, case in cases.items()},
        "three groups, each with its peak": several | {"optimizer": "SGD"},
        "two groups of Adam": run("groups", many, few, 0.3, 0.002) | {"optimizer": "Adam"},
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    parameters = [torch.nn.Parameter(torch.ones(2)) for _ in inputs["peaks"]]
    groups = [{"params": [p], "lr": q} for p, q in zip(parameters, inputs["peaks"], strict=True)]
    optimizer = getattr(torch.optim, inputs["optimizer"])(groups)
    for parameter in parameters:
        parameter.grad = torch.full((2,), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of orders of calls, and raises nothing
        before, told = _arrays(parameters), _told(optimizer)
        scheduler = candidate(optimizer, inputs["warmup"], inputs["total"])
        if not hasattr(scheduler, "step"):
            return None if scheduler is None else f"<{type(scheduler).__name__}>"
        changed = moved(before, _arrays(parameters))
        rates = []
        for _ in range(inputs["total"] + LATER):
            rates.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            scheduler.step()
    now = _told(optimizer)
    others = sorted({name for name, value in told.items() if now.get(name) != value})
    found = rate_schedules.evidence(inputs, np.transpose(rates).tolist())
    return found | {"parameters moved": len(changed), "other settings": others}


def _arrays(parameters: list[Any]) -> dict[str, np.ndarray]:
    """Parameters and their gradients."""
    tensors = {f"{place}": p for place, p in enumerate(parameters)}
    tensors |= {f"gradient of {place}": p.grad for place, p in enumerate(parameters)}
    return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


def _told(optimizer: Optimizer) -> dict[str, str]:
    """What each group was told besides its rate: momentum, decay, and whatever else."""
    rates = ("params", "lr", "initial_lr")
    groups = enumerate(optimizer.param_groups, start=1)
    told = ((f"{key} of group {n}", value) for n, group in groups for key, value in group.items())
    return {name: repr(value) for name, value in told if name.split(" of ")[0] not in rates}


CLAIMS = rate_schedules.CLAIMS


@claim(2, "Which rate does your function multiply for the second group?", of_kind("groups"))
def each_group_has_its_peak(seen: Evidence, expected: Evidence) -> Finding:
    """Every group rises to the rate that it had itself, and falls from there."""
    return rate_schedules.alike_between(seen, expected, 1, expected["total"])


@claim(1, "Who calls the optimizer's step, and what is it told?", needs=rate_schedules.rises)
def changes_nothing_but_rates(seen: Evidence, expected: Evidence) -> Finding:
    """Your function makes no update itself, and of all settings only the rates change."""
    count, others = seen["parameters moved"], seen["other settings"]
    if others:
        return False, f"settings of the optimizer that changed: {listed(others)}"
    return not count, f"{count} of the parameters and gradients changed while it ran"


def scheduled(
    optimizer: Optimizer,
    warmup: int,
    total: int,
    prepare: Part = lambda groups: None,
    rise: Part = lambda count, warmup: (count + 1) / warmup,
    fall: Part = lambda count, warmup, total: (total - count) / (total + 1 - warmup),
    both: Part = min,
    floor: Part = lambda share: max(0, share),
    factor: Part = lambda share, peak: share,
    finish: Part = lambda scheduler, optimizer: scheduler,
) -> LRScheduler:
    """The right answer in parts."""
    peak = optimizer.param_groups[0]["lr"]
    prepare(optimizer.param_groups)

    def share(count: int) -> Any:
        together = both(rise(count, warmup), fall(count, warmup, total))
        return factor(floor(together), peak)

    return finish(LambdaLR(optimizer, share), optimizer)


def _one_for_all(groups: list[dict[str, Any]]) -> None:
    for group in groups:
        group["lr"] = groups[0]["lr"]


def _stepped(scheduler: LRScheduler, optimizer: Optimizer) -> LRScheduler:
    scheduler.step()
    return scheduler


def _begun(scheduler: LRScheduler, optimizer: Optimizer) -> LRScheduler:
    optimizer.step()
    return scheduler


believing = beliefs_about(scheduled)
BELIEFS = (  # one that shows in two ways is there twice
    believing(*rate_schedules.FROM_ZERO, rise=lambda count, warmup: count / warmup),
    believing(
        *rate_schedules.FROM_ZERO,
        rise=lambda count, warmup: count / warmup,
        fall=lambda count, warmup, total: (total + 1 - count) / (total + 1 - warmup),
    ),
    believing(
        *rate_schedules.NOTHING_LAST,
        fall=lambda count, warmup, total: (total - 1 - count) / max(1, total - warmup),
        both=lambda rise, fall: rise if rise <= 1 else fall,
    ),
    believing(*rate_schedules.NO_FLOOR, floor=lambda share: share),
    believing(*rate_schedules.NO_FALL, both=lambda rise, fall: min(1, rise)),
    believing(
        *rate_schedules.PRODUCT,
        fall=lambda count, warmup, total: 1 - count / total,
        both=lambda rise, fall: min(1, rise) * fall,
    ),
    believing(
        *rate_schedules.FROM_THE_START,
        fall=lambda count, warmup, total: 1 - count / total,
        both=lambda rise, fall: rise if rise <= 1 else fall,
    ),
    believing(
        "LambdaLR is told the rate.",
        "It is told a factor, and multiplies the rate of each group by it. You have the peak twice "
        "in the product.",
        "Which rate has the last update of your warm-up if the peak is 0.1?",
        factor=lambda share, peak: share * peak,
    ),
    believing(
        "An optimizer has one learning rate.",
        "Each of its groups has one. A body that is trained gently gets the rate of the head.",
        "What is in param_groups[1]?",
        prepare=_one_for_all,
    ),
    believing(
        "The count of the first update is 1.",
        "It is 0. A scheduler has set the rates for the count 0 when it is made. Yours are those "
        "of the second update by then.",
        "Which rate has the optimizer when your function returns?",
        finish=_stepped,
    ),
    believing(
        "The optimizer has to step before the scheduler, so make a first step.",
        "The update was made with whatever gradients there were, before the loop began.",
        "Who calls the optimizer's step, and when?",
        finish=_begun,
    ),
)

EXERCISE = Exercise(
    reference=warm_up,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write the share of the peak as a function of a count from 0: a line that rises through "
        "1/warmup at count 0, and one that falls to 0 at count total.",
        "Both lines are 1 at count warmup - 1. Which of the two is smaller before, and which after "
        "it? What keeps the share from going below 0?",
        "torch.optim.lr_scheduler.LambdaLR(optimizer, share) multiplies the rate of each group by "
        "share(count), at once for count 0.",
    ),
    lesson="08_unlocking",
    section="Warm-up prevents, it does not open",
    frameworks=("torch",),
    minutes=15,
    difficulty=3,
    twin="warm_up_schedule",
    note="A group that is added later starts in the middle of this schedule. "
    "paramlock.torch.warm_up gives each group a warm-up of its own, from when it is unfrozen.",
)
