"""Open what a schedule has opened by an epoch, and hand it to the optimizer (torch)."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from numpy.random import Generator
from torch import nn
from torch.optim import Optimizer

from grader.instruments.moves import end_alike
from grader.instruments.opened_epochs import in_each, observed_epochs
from grader.instruments.torch_cases import case
from grader.instruments.torch_nets import BODIES, HEADS
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def unfreeze_on_schedule(model, optimizer, schedule, epoch, rate):
    """Open what a schedule has opened by this epoch, and hand it to the optimizer.

    This is called at the beginning of an epoch; after a restart, or where one was left out, the
    first call may be for any epoch. All parameters below the paths of this and of earlier epochs
    are trainable afterwards. Those of them that the optimizer does not hold yet form one new group
    in it, with the learning rate ``rate`` and otherwise the optimizer's own defaults. There is none
    if all are held already. What the optimizer holds stays in its group, with its rate and all that
    is remembered of it. Every other parameter keeps its ``requires_grad``.

    Args:
        model: a ``torch.nn.Module``.
        optimizer: a torch optimizer that holds some of the parameters, frozen ones perhaps too. It
            goes on being used.
        schedule: dict from epochs, whole numbers in any order, to lists of paths of modules. Paths
            may overlap.
        epoch: the epoch that begins.
        rate: learning rate of what the optimizer gets now.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)).requires_grad_(False)
        >>> optimizer = torch.optim.SGD(model[1].parameters(), lr=0.5)
        >>> for epoch in range(3):
        ...     unfreeze_on_schedule(model, optimizer, {0: ["1"], 2: ["0"]}, epoch, 0.1)
        >>> [(len(group["params"]), group["lr"]) for group in optimizer.param_groups]
        [(2, 0.5), (2, 0.1)]
    """
    due = [path for start, paths in schedule.items() if start <= epoch for path in paths]
    opened = dict.fromkeys(p for path in due for p in model.get_submodule(path).parameters())
    held = {p for group in optimizer.param_groups for p in group["params"]}
    for parameter in opened:
        parameter.requires_grad_(True)
    fresh = [p for p in opened if p not in held]
    if fresh:
        optimizer.add_param_group({"params": fresh, "lr": rate})


def challenge(rng: Generator) -> Challenge:
    body, head = (str(rng.choice(names)) for names in (BODIES, HEADS))
    first = int(rng.integers(1, 9))
    one, ten, deep = f"{body}.layer{first}", f"{body}.layer{first}0", f"{body}.block"
    a, b, c = (int(size) for size in rng.permutation([3, 4, 5, 6])[:3])
    layers = {one: ["Linear", a, b], ten: ["Linear", b, c], f"{deep}.dense": ["Linear", c, c]}
    layers |= {f"{deep}.norm": ["BatchNorm1d", c], head: ["Linear", c, 2]}
    stages = [[0, [head]], [2, [deep]], [3, [one]], [5, [ten]]]

    def of(kind: str, *epochs: int, **more: Any) -> Inputs:
        """The optimizer is made over the modules `held`, the first of which is the head."""
        rates = [float(rate) for rate in rng.uniform(0.01, 0.2, len(epochs))]
        given: dict[str, Any] = {"schedule": stages, "held": [head], "optimizer": "SGD"}
        given |= {"settings": {"momentum": 0.9, "weight_decay": 0.5}, "free": []}
        return case(rng, layers, kind=kind, epochs=list(epochs), rates=rates, **(given | more))

    adam: dict[str, Any] = {"optimizer": "AdamW", "settings": {"weight_decay": 0.3}}
    return {
        "epoch by epoch": of("plain", 0, 1, 2, 3, 4, 5),
        "epoch by epoch, with AdamW": of("plain", 0, 1, 2, 3, **adam),
        "a schedule in another order": of("plain", 0, 1, 2, 3, schedule=stages[::-1]),
        "a restart in the middle": of("restart", 4, 5, 6),
        "every other epoch": of("restart", 0, 4, 6, **adam),
        "before the first stage": of("before", 0, 1, 2, schedule=[[2, [one]], [3, [head]]]),
        "paths that overlap": of("overlap", 1, 2, schedule=[[1, [deep, body]], [2, [one, body]]]),
        "an optimizer that holds a frozen layer": of("held", 2, 3, held=[head, one]),
        "a layer that trains outside of the schedule": of(
            "others", 0, 2, schedule=[[0, [head]], [2, [deep]]], held=[head, one], free=[one]
        ),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    def begin(model: nn.Module, optimizer: Optimizer, epoch: int, rate: float) -> None:
        schedule = {start: list(paths) for start, paths in inputs["schedule"]}
        candidate(model, optimizer, schedule, epoch, rate)

    return {"kind": inputs["kind"], **observed_epochs(inputs, begin)}


_open = partial(in_each, key="open", words="is {}, {} is due")
_held_once = partial(in_each, key="times", words="is in the optimizer {} times, {} is due")


@claim(2, "Which epochs of the schedule count at this one?", of_kind("plain", "before"))
def opens_what_is_due(seen: Evidence, expected: Evidence) -> Finding:
    """At every epoch all that is due by then is trainable, and nothing else is opened."""
    return _open(seen, expected)


@claim(3, "Who tells the optimizer what it has to step?", of_kind("plain"), opens_what_is_due)
def tells_the_optimizer(seen: Evidence, expected: Evidence) -> Finding:
    """The optimizer holds each parameter that was opened, once, from that epoch on."""
    return _held_once(seen, expected)


@claim(
    2, "What of the schedule lies before your first call?", of_kind("restart"), opens_what_is_due
)
def catches_up(seen: Evidence, expected: Evidence) -> Finding:
    """After a restart, or epochs left out, all that is due by now is open and in the optimizer."""
    met, words = _open(seen, expected)
    return _held_once(seen, expected) if met else (met, words)


@claim(2, "With which settings does a new group begin?", of_kind("plain"), tells_the_optimizer)
def gives_the_rate(seen: Evidence, expected: Evidence) -> Finding:
    """What is new has the rate given, what was there keeps its own, and decay is the default."""
    met, words = in_each(seen, expected, "lr", "has the rate {}, {} is due")
    decays = in_each(seen, expected, "weight_decay", "has the weight decay {}, {} is due")
    return decays if met else (met, words)


@claim(2, "What does the optimizer know of the head?", of_kind("plain"), opens_what_is_due)
def forgets_nothing(seen: Evidence, expected: Evidence) -> Finding:
    """After the last step every parameter is where the warm optimizer takes it."""
    return end_alike(seen["after"], expected["after"])


@claim(2, "How often is a parameter in your list?", of_kind("overlap", "held"), opens_what_is_due)
def hands_over_once(seen: Evidence, expected: Evidence) -> Finding:
    """What lies below two paths, or is in the optimizer already, is in no second group."""
    met, words = _held_once(seen, expected)
    return end_alike(seen["after"], expected["after"]) if met else (met, words)


@claim(1, "Which parameters does your code touch?", of_kind("others"), opens_what_is_due)
def leaves_others_as_they_are(seen: Evidence, expected: Evidence) -> Finding:
    """What trains outside of the schedule goes on training, at its rate."""
    met, words = _open(seen, expected)
    return end_alike(seen["after"], expected["after"]) if met else (met, words)


@claim(1, "What do you do where nothing is new?", needs=tells_the_optimizer)
def does_nothing_more(seen: Evidence, expected: Evidence) -> Finding:
    """The call changes no number, mode or gradient, and makes no group without a parameter."""
    if seen["empty groups"]:
        return False, f"{seen['empty groups']} groups of the optimizer are empty"
    return not seen["changed"], f"changed: {listed(seen['changed'][:4])}"


Schedule = Mapping[int, Sequence[str]]


def _below(model: nn.Module, paths: Sequence[str]) -> list[nn.Parameter]:
    return list(dict.fromkeys(p for q in paths for p in model.get_submodule(q).parameters()))


def _begin_alike(model: nn.Module, paths: Sequence[str]) -> list[nn.Parameter]:
    return [p for name, p in model.named_parameters() if name.startswith(tuple(paths))]


def _added(optimizer: Optimizer, fresh: list[nn.Parameter], rate: float) -> None:
    optimizer.add_param_group({"params": fresh, "lr": rate})


def _extended(optimizer: Optimizer, fresh: list[nn.Parameter], rate: float) -> None:
    optimizer.param_groups[0]["params"].extend(fresh)


def _added_and_reset(optimizer: Optimizer, fresh: list[nn.Parameter], rate: float) -> None:
    _added(optimizer, fresh, rate)
    optimizer.state.clear()


def _nothing(*given: Any) -> None: ...


def _in_groups(optimizer: Optimizer) -> set[nn.Parameter]:
    return {p for group in optimizer.param_groups for p in group["params"]}


def opened(
    model: nn.Module,
    optimizer: Optimizer,
    schedule: Schedule,
    epoch: int,
    rate: float,
    is_due: Part = lambda start, epoch: start <= epoch,
    below: Part = _below,
    rest: Part = _nothing,
    new: Part = lambda model, due: due,
    held: Part = _in_groups,
    add: Part = _added,
) -> None:
    """The right answer in parts."""
    due = below(
        model, [path for start in schedule if is_due(start, epoch) for path in schedule[start]]
    )
    rest(model)
    for parameter in due:
        parameter.requires_grad_(True)
    known = held(optimizer)
    fresh = [p for p in new(model, due) if p not in known]
    if fresh:
        add(optimizer, fresh, rate)


believing = beliefs_about(opened)
BELIEFS = (
    believing(
        "An optimizer steps whatever is trainable.",
        "It steps what it was given. What you opened gets gradients, and stands still.",
        "What is in param_groups after your call?",
        add=_nothing,
    ),
    believing(
        "What is due is what the schedule has for this epoch.",
        "After a restart in epoch 4 the stages of 0, 2 and 3 would stay frozen for good.",
        "Which stages should be open at an epoch for which the schedule has no entry?",
        is_due=lambda start, epoch: start == epoch,
    ),
    believing(
        "An optimizer ignores what it holds already.",
        "Torch raises a ValueError for a parameter that is in two groups.",
        "Which parameters of the head's stage does the optimizer hold before your first call?",
        held=lambda optimizer: set(),
    ),
    believing(
        "A new group has the rate that is asked for.",
        "Without lr it takes the optimizer's default, whatever your argument says.",
        "What do you tell add_param_group?",
        add=lambda optimizer, fresh, rate: optimizer.add_param_group({"params": fresh}),
    ),
    believing(
        "Any group will do for what is new.",
        "A group has one rate. In the head's group a pretrained layer is trained at the head's.",
        "Which rate has the group that you add to?",
        add=_extended,
    ),
    believing(
        "With new parameters an optimizer has to begin anew.",
        "Then the head's averages are gone, and its next steps are those of a cold start.",
        "Which of the optimizer's memories belong to parameters that were there before?",
        add=_added_and_reset,
    ),
    believing(
        "What the schedule has not opened is frozen.",
        "It says what opens and no more. A layer that trained on its own account stands still now.",
        "Which parameters does your code freeze?",
        rest=lambda model: model.requires_grad_(False),
    ),
    believing(
        "The optimizer may as well hold everything from now on.",
        "A parameter then has the rate of the day it was handed over, and not that of the day on "
        "which it opens.",
        "Which parameters of your new group are frozen?",
        new=lambda model, due: [*model.parameters()],
    ),
    believing(
        "What begins with a path lies below it.",
        "layer10 begins with layer1. You opened it before its time.",
        "Which character follows the path in the name of a parameter below it?",
        below=_begin_alike,
    ),
)

EXERCISE = Exercise(
    reference=unfreeze_on_schedule,
    challenge=challenge,
    observe=observe,
    hints=(
        "Collect the paths of all epochs up to this one first, then the parameters below them, "
        "each once. A parameter can be a key of a dict or an item of a set.",
        "group['params'] for each group of optimizer.param_groups is what the optimizer holds.",
        "optimizer.add_param_group({'params': fresh, 'lr': rate}) adds a group; what it is not "
        "told is the default. Where nothing is fresh, do not call it.",
    ),
    lesson="09_transfer",
    section="Layer by layer, on a schedule",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    note="A learning-rate scheduler that was made before knows nothing of a group that comes "
    "later. Where one is used, let the optimizer hold all from the start: torch leaves alone what "
    "has no gradient. paramlock.torch.unfreeze_gradually does either.",
)
