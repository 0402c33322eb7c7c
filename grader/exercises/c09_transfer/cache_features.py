"""What a frozen body makes of each batch, computed once, where once is enough (torch)."""

from collections.abc import Iterable
from typing import Any

import torch
from numpy.random import Generator
from torch import nn

from grader.instruments.frozen_bodies import Setting, setting_case
from grader.instruments.refusals import refusal, refused
from grader.instruments.torch_nets import BODIES, Layers
from grader.instruments.words import listed
from grader.judging.evidence import alike, numbers
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def cache_features(body, batches):
    """Compute what a frozen body makes of each batch, once, to train a head on it.

    Features may stand in for the body only if the body would give the very same ones in every
    epoch: if nothing in it trains, no module of it is in train mode, and the inputs are the same
    whenever the batches are gone through.

    Args:
        body: a ``torch.nn.Module``. It is left as it is.
        batches: what a training loop goes through once an epoch: pairs ``(x, y)`` of tensors, of
            different lengths perhaps. It can be gone through any number of times. Whoever augments
            makes other inputs, of the same shapes, each time.

    Returns:
        List of pairs ``(features, y)``, one for each batch and in their order. Every sample passes
        through the body once.

    Raises:
        ValueError: a parameter of the body is trainable; a module in it, or the body itself, is in
            train mode, whether or not that makes a difference; an input is another one when the
            batches are gone through again.

    Example:
        >>> body = nn.Linear(1, 1).requires_grad_(False).eval()
        >>> batches = [(torch.ones(2, 1), torch.zeros(2)), (torch.ones(3, 1), torch.ones(3))]
        >>> [(features.shape, len(y)) for features, y in cache_features(body, batches)]
        [(torch.Size([2, 1]), 2), (torch.Size([3, 1]), 3)]
    """
    if any(parameter.requires_grad for parameter in body.parameters()):
        raise ValueError("the body trains, so its features change from step to step")
    if any(module.training for module in body.modules()):
        raise ValueError("a part of the body is in train mode: put all of it into eval mode")
    kept = [x for x, _ in batches]
    for place, (x, _) in enumerate(batches):
        if not x.equal(kept[place]):
            raise ValueError("the inputs change from epoch to epoch: there is nothing to keep")
    with torch.no_grad():
        return [(body(x), y) for x, y in batches]


def challenge(rng: Generator) -> Challenge:
    a, b, c = (int(size) for size in rng.permutation([3, 4, 5, 6])[:3])
    name = str(rng.choice(BODIES))
    one, two = {f"{name}.one": ["Linear", a, b]}, {f"{name}.two": ["Linear", b, c]}
    dense, normed = one | two, one | {f"{name}.norm": ["BatchNorm1d", b]}
    dropped = dense | {f"{name}.drop": ["Dropout", 1.0]}

    def of(kind: str, layers: Layers, *counts: int, **own: Any) -> Inputs:
        drawn = counts or [int(count) for count in rng.integers(2, 7, rng.integers(3, 6))]
        return setting_case(rng, layers, drawn, kind=kind, **own)

    everything = [
        f"{name}.{layer}.{part}" for layer in ("one", "two") for part in ("weight", "bias")
    ]
    return {
        "dense layers": of("plain", dense),
        "a BatchNorm": of("plain", normed),
        "a dropout": of("plain", dropped),
        "a last batch of one sample": of("plain", normed, 4, 4, 1),
        "one batch": of("plain", dense, 5),
        "no batches": of("empty", dense, x=[], y=[]),
        "everything trains": of("trains", dense, free=everything),
        "one bias trains, deep in the body": of("trains", dense, free=[f"{name}.two.bias"]),
        "the body is in train mode": of("awake", normed, awake=[""]),
        "a dropout in it is in train mode": of("awake", dropped, awake=[f"{name}.drop"]),
        "a BatchNorm in it is in train mode": of("awake", normed, awake=[f"{name}.norm"]),
        "a dense layer in it is in train mode": of("awake", dropped, awake=[f"{name}.one"]),
        "augmented batches": of("augmented", dense, 3, 3, 3, moving=0),
        "one augmented batch, the last": of("augmented", dense, 3, 3, 3, moving=2),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    kind, given = inputs["kind"], Setting(inputs)
    if kind in ("trains", "awake", "augmented"):
        ending = refusal(candidate, given.body, given.batches, returned=lambda _: "features")
        return {"kind": kind, "ending": ending, "changed": given.changed()}
    returned = candidate(given.body, given.batches)
    if not isinstance(returned, list | tuple) or not all(map(_is_pair, returned)):
        return None if returned is None else f"<{type(returned).__name__}>"
    features, targets = ([pair[k] for pair in returned] for k in (0, 1))
    seen = {"features": features, "targets": targets, "rows": given.rows}
    return {"kind": kind, **seen, "changed": given.changed()}


def _is_pair(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2


def _same_row(ours: list[Any], right: list[Any], what: str) -> Finding:
    """Whether two rows of arrays are the same, and where they first are not."""
    if len(ours) != len(right):
        return False, f"you return {len(ours)} pairs, there are {len(right)} batches"
    for place, (one, other) in enumerate(zip(ours, right, strict=True), start=1):
        if not alike(one, other):
            begin = f"{_begin(one)}, where {_begin(other)} was expected"
            return False, f"the {what} of batch {place} begin with {begin}"
    return True, f"the {what} are as expected"


def _begin(value: Any) -> str:
    return numbers(value.ravel(), 3) if hasattr(value, "ravel") else str(value)


@claim(3, "What does the body make of the first batch?", of_kind("plain"))
def keeps_the_features(seen: Evidence, expected: Evidence) -> Finding:
    """For each batch the features are those that the body gives."""
    return _same_row(seen["features"], expected["features"], "features")


@claim(1, "Which targets belong to which features?", of_kind("plain"), keeps_the_features)
def keeps_the_targets(seen: Evidence, expected: Evidence) -> Finding:
    """Each batch keeps its targets."""
    return _same_row(seen["targets"], expected["targets"], "targets")


@claim(1, "How often does a batch pass through the body?", of_kind("plain"), keeps_the_features)
def computes_once(seen: Evidence, expected: Evidence) -> Finding:
    """Every sample passes through the body once."""
    ours, right = seen["rows"], expected["rows"]
    return ours <= right, f"{ours} samples passed through the body, there are {right}"


@claim(1, "What do you return for no batches?", of_kind("empty"), keeps_the_features)
def keeps_nothing_of_nothing(seen: Evidence, expected: Evidence) -> Finding:
    """No batches give an empty list."""
    return not seen["features"], f"you return {len(seen['features'])} pairs"


@claim(2, "Which parameters of the body may change?", of_kind("trains"), keeps_the_features)
def refuses_a_body_that_trains(seen: Evidence, expected: Evidence) -> Finding:
    """A single trainable parameter in the body raises a ValueError."""
    return refused(seen["ending"])


@claim(2, "Whose mode do you look at?", of_kind("awake"), keeps_the_features)
def refuses_train_mode(seen: Evidence, expected: Evidence) -> Finding:
    """A single module of the body in train mode raises a ValueError."""
    return refused(seen["ending"])


@claim(2, "How would you notice an augmentation?", of_kind("augmented"), keeps_the_features)
def refuses_augmentation(seen: Evidence, expected: Evidence) -> Finding:
    """Inputs that are other ones the next time raise a ValueError."""
    return refused(seen["ending"])


@claim(1, "Which line of yours sets something?", needs=keeps_the_features)
def leaves_all_as_it_is(seen: Evidence, expected: Evidence) -> Finding:
    """The body and the batches are as they were, where you refuse, too."""
    return not seen["changed"], f"changed: {listed(seen['changed'][:4])}"


def _refuse_if(found: bool) -> None:
    if found:
        raise ValueError("not the same in every epoch")


def _learns(body: nn.Module) -> bool:
    return any(p.requires_grad for p in body.parameters())


def _in_train_mode(body: nn.Module) -> bool:
    return any(module.training for module in body.modules())


def _run(body: nn.Module, pairs: list[Any]) -> list[Any]:
    return [(body(x), y) for x, y in pairs]


def _compared(batches: Iterable[Any]) -> list[Any]:
    once, again = [*batches], [*batches]
    _refuse_if(any(not x.equal(z) for (x, _), (z, _) in zip(once, again, strict=True)))
    return once


def cached(
    body: nn.Module,
    batches: Iterable[Any],
    trains: Part = _learns,
    awake: Part = _in_train_mode,
    prepare: Part = lambda body: None,
    taken: Part = _compared,
    run: Part = _run,
) -> list[Any]:
    """The right answer in parts."""
    _refuse_if(trains(body) or awake(body))
    prepare(body)
    pairs = taken(batches)
    with torch.no_grad():
        return run(body, pairs)


def _twice(body: nn.Module, pairs: list[Any]) -> list[Any]:
    _refuse_if(any(not body(x).equal(body(x)) for x, _ in pairs))
    return [(body(x), y) for x, y in pairs]


believing = beliefs_about(cached)
BELIEFS = (
    believing(
        "A frozen body gives the same features each time.",
        "Frozen parameters do not move. Dropout draws anew all the same, and a BatchNorm in train "
        "mode takes the mean of the batch.",
        "What else, besides parameters, does the output of a module hang on?",
        awake=lambda body: False,
    ),
    believing(
        "A body in eval mode gives the same features each time.",
        "For now it does. A parameter that trains makes them out of date with the first step.",
        "When do features in a cache go out of date?",
        trains=lambda body: False,
    ),
    believing(
        "A module's mode is that of all that it holds.",
        "Each module has a flag of its own. One dropout deep in the body was awake.",
        "How many modules has the body, and whose flag do you read?",
        awake=lambda body: body.training,
    ),
    believing(
        "Only dropout and BatchNorm need eval mode, and their class tells.",
        "The task refuses any module in train mode: a module of your own may ask for its mode in "
        "its forward, and its class does not tell.",
        "Which modules can read their flag in forward?",
        awake=lambda body: any(
            m.training for m in body.modules() if isinstance(m, nn.Dropout | nn.BatchNorm1d)
        ),
    ),
    believing(
        "What comes out of two passes tells whether a body is random.",
        "It costs a second pass, and does not tell a BatchNorm in train mode, which gives the same "
        "twice and moves its statistics meanwhile.",
        "What does a BatchNorm in train mode do with each pass?",
        awake=lambda body: False,
        run=_twice,
    ),
    believing(
        "To be safe, put the body into eval mode yourself.",
        "Then the features are not those of the training that they stand in for, and the caller's "
        "body comes back in another mode, without a word.",
        "Which mode was the body in, and who wanted that?",
        awake=lambda body: False,
        prepare=nn.Module.eval,
    ),
    believing(
        "To be safe, freeze the body yourself.",
        "The caller meant it to train. It stands still now, and nobody was told.",
        "Which flags did the body have before?",
        trains=lambda body: False,
        prepare=lambda body: body.requires_grad_(False),
    ),
    believing(
        "Inputs are the same in every epoch.",
        "Who augments draws them anew, and that is the use of it. A cache keeps the first draw.",
        "What do you get if you go through the batches twice?",
        taken=list,
    ),
)

EXERCISE = Exercise(
    reference=cache_features,
    challenge=challenge,
    observe=observe,
    hints=(
        "Three things make features differ from epoch to epoch: the weights, the mode, the inputs. "
        "How can each be seen before the first pass?",
        "body.parameters() and body.modules() reach all that is in it. Go through the batches "
        "twice, and compare their inputs, before anything passes through the body.",
        "x.equal(other) compares two tensors. Without torch.no_grad() a graph may be built, which "
        "a cache would keep.",
    ),
    lesson="09_transfer",
    section="Cached features",
    frameworks=("torch",),
    minutes=15,
    difficulty=3,
    note="A head on cached features trains at the cost of a linear layer. That is where freezing "
    "saves most, and it is what augmentation costs. paramlock.torch.cached_features makes such a "
    "cache, and looks at what is random below the head as well.",
)
