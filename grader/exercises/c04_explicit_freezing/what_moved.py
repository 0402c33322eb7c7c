"""Name what a step moved in a torch model. The steps are of the kinds that slip by."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn

from grader.instruments.slipping_steps import STEPS, ready
from grader.instruments.torch_nets import BODIES, HEADS, texts
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, belief, beliefs_about, claim
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def what_moved(model, step):
    """Run one step and name every parameter and buffer that it moved.

    A parameter or buffer has moved if at least one of its numbers is another after the step than
    before, however little the two differ. A NaN where none was is another number, and so
    is a number where a NaN was; a NaN where one was already is not. What a step moves and puts back
    has not moved. (0.0 and -0.0 may count as one number or as two.)

    Args:
        model: a ``torch.nn.Module`` on the CPU, with ``nan`` perhaps among its numbers. Each of its
            tensors has one name: there are no tied weights.
        step: function without arguments that changes the model; run it once. It keeps all names,
            shapes and dtypes, but it may put a new parameter in the place of an old one.

    Returns:
        Tuple or list of the names of what moved, as ``model.state_dict()`` spells them, in any
        order. The model is left as the step left it.

    Example:
        >>> model = nn.BatchNorm1d(1)
        >>> what_moved(model, lambda: model(torch.ones(2, 1)))
        ('running_mean', 'running_var', 'num_batches_tracked')
    """
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step()
    after = model.state_dict()
    moved = []
    for name, old in before.items():
        if not np.array_equal(old.numpy(), after[name].numpy(), equal_nan=True):
            moved.append(name)
    return tuple(moved)


def challenge(rng: Generator) -> Challenge:
    return {
        kind: {
            "step": kind,
            "paths": {
                "body": str(rng.choice(BODIES)),
                "norm": f"norm{rng.integers(1, 10)}",
                "head": str(rng.choice(HEADS)),
            },
            "seed": int(rng.integers(1000)),
            "place": [int(rng.integers(2)), int(rng.integers(1, 4))],
        }
        for kind in STEPS
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    model, change = ready(inputs)
    left = []

    def step() -> None:
        change()
        left.append(_bits(model))

    named = texts(candidate(model, step))
    names = sorted(set(named)) if isinstance(named, list) else named
    return {
        "named": names,
        "is named": {name: isinstance(named, list) and name in named for name in _bits(model)},
        "buffers": sorted(name for name, _ in model.named_buffers()),
        "nan": any(bool(parameter.isnan().any()) for parameter in model.parameters()),
        "steps": len(left),
        "as the step left it": sorted(
            name for name, bits in _bits(model).items() if left and left[-1].get(name) == bits
        ),
    }


def _bits(model: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def _moved(expected: Evidence, buffers: bool) -> list[str]:
    return [name for name in expected["named"] if (name in expected["buffers"]) == buffers]


def _holds_no_nan(expected: Evidence) -> bool:
    return not expected["nan"]


def _moves_parameters(expected: Evidence) -> bool:
    return _holds_no_nan(expected) and bool(_moved(expected, buffers=False))


def _moves_buffers(expected: Evidence) -> bool:
    return bool(_moved(expected, buffers=True))


def _names_all(seen: Evidence, moved: list[str]) -> Finding:
    left_out = [name for name in moved if not seen["is named"][name]]
    return not left_out, f"moved and not named: {listed(left_out)}"


@claim(3, "What do you compare with what, and what would it miss?", _moves_parameters)
def names_parameters_that_moved(seen: Evidence, expected: Evidence) -> Finding:
    """Every parameter that moved is named, were it by a rotation or in its last bit."""
    return _names_all(seen, _moved(expected, buffers=False))


@claim(
    2,
    "What does a model hold beside its parameters, and how finely do you compare it?",
    _moves_buffers,
)
def names_buffers_that_moved(seen: Evidence, expected: Evidence) -> Finding:
    """Every buffer that moved is named, like the running statistics of BatchNorm."""
    return _names_all(seen, _moved(expected, buffers=True))


@claim(
    3, "What do you take for a move that is none?", _holds_no_nan, needs=names_parameters_that_moved
)
def names_nothing_that_stayed(seen: Evidence, expected: Evidence) -> Finding:
    """What holds the same numbers as before is not named."""
    more = [name for name in seen["named"] if name not in expected["named"]]
    return not more, f"named though it holds the same numbers: {listed(more)}"


@claim(2, "What does your comparison say of NaN and NaN?", lambda expected: expected["nan"])
def tells_new_nans_from_old_ones(seen: Evidence, expected: Evidence) -> Finding:
    """A NaN that comes or goes is a move; a NaN that was there already is none, and hides none."""
    told, right = seen["is named"], expected["is named"]
    odd = [
        f"{name} is {'' if told[name] else 'not '}named"
        for name in told
        if told[name] != right[name]
    ]
    odd += [f"{name} is named" for name in seen["named"] if name not in right]
    return not odd, ", ".join(odd) or f"named: {listed(seen['named'])}"


@claim(1, "Which of your lines run the step or write to the model?")
def runs_the_step_once(seen: Evidence, expected: Evidence) -> Finding:
    """The step is run once, and the model is left as the step left it."""
    if seen["steps"] != 1:
        return False, f"the step was run {seen['steps']} times"
    left = seen["as the step left it"]
    other = [name for name in expected["as the step left it"] if name not in left]
    return not other, f"with other numbers than the step left there: {listed(other)}"


def compared(
    model: nn.Module,
    step: Callable[[], None],
    of: Part = lambda model: model.state_dict(),
    kept: Part = Tensor.clone,
    to_look_at: Part = lambda held, now: now,
    differ: Part = lambda old, new: not torch.allclose(old, new, rtol=0, atol=0, equal_nan=True),
) -> tuple[str, ...]:
    """The right answer in parts."""
    held = of(model)
    before = {name: kept(value) for name, value in held.items()}
    step()
    after = to_look_at(held, of(model))
    return tuple(name for name in before if differ(before[name], after[name]))


def _parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def _unequal(old: Tensor, new: Tensor) -> bool:
    return not torch.equal(old, new)


def _other_norm(old: Tensor, new: Tensor) -> bool:
    return bool(old.float().norm() != new.float().norm())


NORMS = (
    "What keeps its norm, or its sum, has not moved.",
    "A rotation keeps every norm, and one that swaps numbers keeps their sum as well.",
    "Which other matrices have the same norm as yours?",
)
CLOSE = (
    "Numbers that are close have not moved.",
    "Your comparison takes two numbers for one if they differ by little enough. A frozen weight "
    "does not differ at all, and many such steps go a long way.",
    "By how much may a frozen weight change in one step?",
)
ABOVE_ZERO = (
    "If no difference is above zero, nothing moved.",
    "A weight became NaN. Its difference from before is NaN, and nan > 0 is False.",
    "What would your comparison say if every weight became NaN?",
)
PARAMETERS = (
    "A model is its parameters.",
    "BatchNorm computes with running statistics as well. They are buffers, and they moved.",
    "What else than parameters changes what a model computes?",
)
NO_COPY = (
    "What I hold from before the step is a copy.",
    "It is the model's own memory: state_dict(), p.data, p.detach() and p.numpy() copy nothing. "
    "The step wrote into it, so you compared the state after the step with itself.",
    "Whose memory do the values use that you hold from before the step?",
)
believing = beliefs_about(compared)
BELIEFS = (  # one that acts alike with two comparisons is there with each
    believing(*NORMS, differ=_other_norm),
    believing(*NORMS, differ=_other_norm, of=_parameters),
    believing(*CLOSE, differ=lambda old, new: not torch.allclose(old, new)),
    believing(*CLOSE, differ=lambda old, new: not torch.allclose(old, new, equal_nan=True)),
    believing(*CLOSE, differ=lambda old, new: bool((new - old).abs().max() > 1e-6)),
    believing(*CLOSE, differ=lambda old, new: bool(((new - old).abs() > 1e-6).any())),
    believing(*ABOVE_ZERO, differ=lambda old, new: bool((new - old).abs().max() > 0)),
    believing(*ABOVE_ZERO, differ=lambda old, new: bool(((new - old).abs() > 0).any())),
    believing(
        "A NaN can be counted as a 0.",
        "Then a weight of 0 that became NaN has not moved for you, nor a NaN that became 0.",
        "By what, other than a value put in its place, can you tell a NaN from a 0?",
        differ=lambda old, new: _unequal(old.nan_to_num(), new.nan_to_num()),
    ),
    believing(
        "What has not changed is equal to itself.",
        "NaN is not equal to NaN. A weight that was NaN before was named, though nobody had "
        "touched it.",
        "What is nan == nan, and which comparison lets you treat the two as one?",
        differ=_unequal,
    ),
    believing(*PARAMETERS, of=_parameters),
    believing(*PARAMETERS, of=_parameters, differ=_unequal),
    believing(*NO_COPY, kept=Tensor.detach),
    believing(*NO_COPY, kept=Tensor.detach, differ=_unequal),
    believing(
        "The tensors you got hold of before the step are the model's tensors after it.",
        "The step put a new parameter in the place of an old one. You looked at the old one, "
        "which nobody uses any more.",
        "Whom do you ask for the values after the step?",
        to_look_at=lambda held, now: held,
    ),
)


@belief(
    "What is trainable moves, and what is frozen does not.",
    "requires_grad decides what gets a new gradient. An old gradient moved a frozen "
    "layer, and some that is trainable stayed where it was.",
    "How could you tell a move without looking at any flag?",
)
def name_what_is_trainable(model: nn.Module, step: Callable[[], None]) -> tuple[str, ...]:
    step()
    return tuple(name for name, p in model.named_parameters() if p.requires_grad)


@belief(
    "What has a gradient moves.",
    "At a learning rate of zero it does not. And rotations, NaN and running statistics "
    "need no gradient.",
    "How could you tell a move without looking at any gradient?",
)
def name_what_has_a_gradient(model: nn.Module, step: Callable[[], None]) -> tuple[str, ...]:
    step()
    return tuple(name for name, p in model.named_parameters() if p.grad is not None)


EXERCISE = Exercise(
    reference=what_moved,
    challenge=challenge,
    observe=observe,
    hints=(
        "You need the numbers from before after the step. Print one of them right before and right "
        "after the step: did what you kept change along?",
        "state_dict() names parameters and buffers. Its values share memory with the model: clone "
        "each of them.",
        "Ask the model for its state again after the step. Compare without a tolerance, and look "
        "up what numpy.array_equal does with equal_nan=True.",
    ),
    lesson="04_explicit_freezing",
    section="How to prove a freeze",
    frameworks=("torch",),
    minutes=15,
    difficulty=3,
    note="state_dict() leaves out buffers that are registered with persistent=False. If a model "
    "has some, look at named_buffers() too. And one step proves one step: what drifts with a warm "
    "optimizer may show only over several.",
)
