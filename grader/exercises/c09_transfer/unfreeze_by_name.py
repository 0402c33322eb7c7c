"""Make exactly those parameters trainable that patterns name, step by step of their paths (torch).

Source of the pattern for biases: Ben Zaken et al. 2022, "BitFit: Simple Parameter-efficient
Fine-tuning for Transformer-based Masked Language-models", arXiv:2106.10199.
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from numpy.random import Generator
from torch import nn

from grader.instruments import open_flags
from grader.instruments.open_flags import flags_after, flags_alike
from grader.instruments.refusals import refused
from grader.instruments.torch_cases import case
from grader.instruments.torch_nets import BODIES, HEADS
from grader.judging.exercise import Exercise, beliefs_about, claim, needing, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def unfreeze_by_name(model, patterns):
    """Make those parameters trainable that the patterns name, and freeze all others.

    A pattern is a path, whose steps are joined by dots. It names the parameter of that path and
    every parameter below it: ``head`` names ``head.weight`` and ``head.bias``. A step ``*`` stands
    for any one step: ``*.norm`` names ``body.norm.weight``, but neither ``norm.weight`` nor
    ``body.block.norm.weight``. Every other step stands for itself alone.

    Args:
        model: a ``torch.nn.Module``. What was trainable or frozen before makes no difference. A
            parameter with several names (tied weights) is named if one of them is.
        patterns: list of texts; may be empty.

    Raises:
        ValueError: a pattern names no parameter. Nothing has changed then.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1))
        >>> unfreeze_by_name(model, ["*.bias", "2"])
        >>> [name for name, p in model.named_parameters() if p.requires_grad]
        ['0.bias', '1.bias', '2.weight', '2.bias']
    """
    named = [(name.split("."), p) for name, p in model.named_parameters(remove_duplicate=False)]
    opened = set()
    for pattern in patterns:
        steps = pattern.split(".")
        fitting = [
            parameter
            for path, parameter in named
            if len(steps) <= len(path)
            and all(step in ("*", own) for step, own in zip(steps, path, strict=False))
        ]
        if not fitting:
            raise ValueError(f"{pattern} names no parameter of this model")
        opened.update(fitting)
    for _, parameter in named:
        parameter.requires_grad_(parameter in opened)


def challenge(rng: Generator) -> Challenge:
    body, head = (str(rng.choice(names)) for names in (BODIES, HEADS))
    one = f"layer{rng.integers(1, 10)}"
    linear, norm = ["Linear", 2, 2], ["LayerNorm", 2]
    flat = {f"{body}.{one}": linear, f"{body}.{one}0": linear, f"{body}.block.{one}": linear}
    flat |= {f"{body}.layer_1": linear, f"{body}.layer.1": linear, head: linear}
    deep = {f"{body}.{k}.mix": linear for k in range(3)} | {f"{body}.norm": norm, head: linear}
    deep |= {f"{body}.0.norm": norm, f"old.{head}": linear, "scale": ["Parameter", 2]}
    tied = {"embed": ["Embedding", 3, 2], body: linear, head: ["Linear", 2, 3]}

    def of(kind: str, layers: Any, *patterns: str, **own: Any) -> Inputs:
        return case(rng, layers, kind=kind, patterns=list(patterns), **own)

    return {
        "one layer": of("path", flat, f"{body}.{one}"),
        "two layers": of("path", deep, head, f"{body}.0"),
        "a single parameter, and one that hangs on the model": of(
            "path", deep, f"{head}.bias", "scale"
        ),
        "a layer called 1 in one called layer": of("path", flat, f"{body}.layer.1"),
        "all layers of the body": of("star", deep, f"{body}.*.mix"),
        "every bias at one depth": of("star", deep, f"{body}.*.*.bias", head),
        "a star for a name": of("star", flat, f"{body}.*.weight"),
        "a star at the start": of("star", deep, f"*.{head}"),
        "no patterns": of("none", deep),
        "a model that is frozen": of("path", deep, head, frozen=[body, head, "old", "scale"]),
        "patterns that overlap": of("path", deep, f"{body}.1", body, f"{body}.1.mix"),
        "tied weights, by the second name": of(
            "tied", tied, head, tied=[["embed.weight", f"{head}.weight"]]
        ),
        "a path that nothing has": of("refused", deep, head, f"{body}.9"),
        "the end of a path": of("refused", deep, "mix", head),
        "a star too many": of("refused", deep, f"{head}.*.*"),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    return flags_after(candidate, inputs, list(inputs["patterns"]))


@claim(3, "How do you compare a path with a pattern?", of_kind("path"))
def opens_what_is_named(seen: Evidence, expected: Evidence) -> Finding:
    """A pattern opens the parameters at and below its path, and all others are frozen."""
    return flags_alike(seen, expected)


@claim(3, "How many steps does a star stand for?", of_kind("star"), opens_what_is_named)
def a_star_is_one_step(seen: Evidence, expected: Evidence) -> Finding:
    """A star stands for exactly one step, whatever it is called."""
    return flags_alike(seen, expected)


@claim(1, "What is open if nothing is named?", of_kind("none"), opens_what_is_named)
def opens_nothing_by_itself(seen: Evidence, expected: Evidence) -> Finding:
    """Without patterns everything is frozen."""
    return flags_alike(seen, expected)


@claim(1, "Under which names do you meet the tied weight?", of_kind("tied"), opens_what_is_named)
def knows_both_names(seen: Evidence, expected: Evidence) -> Finding:
    """A tied parameter is open if one of its names is named."""
    return flags_alike(seen, expected)


@claim(2, "How would a misspelt name show?", of_kind("refused"), opens_what_is_named)
def refuses_what_names_nothing(seen: Evidence, expected: Evidence) -> Finding:
    """A pattern that names no parameter raises a ValueError, whatever the others name."""
    return refused(seen["ending"])


SHARED = needing(opens_what_is_named, open_flags.nothing_else_changes)


def _step_by_step(name: str, pattern: str) -> bool:
    path, steps = name.split("."), pattern.split(".")
    return len(steps) <= len(path) and all(
        step in ("*", own) for step, own in zip(steps, path, strict=False)
    )


def _set_all(named: Sequence[tuple[str, nn.Parameter]], opened: set[nn.Parameter]) -> None:
    for _, parameter in named:
        parameter.requires_grad_(parameter in opened)


def _open_only(named: Sequence[tuple[str, nn.Parameter]], opened: set[nn.Parameter]) -> None:
    for parameter in opened:
        parameter.requires_grad_(True)


def _must_fit(found: Sequence[Any]) -> None:
    if not found:
        raise ValueError("a pattern names nothing")


def unfrozen(
    model: nn.Module,
    patterns: Sequence[str],
    fits: Part = _step_by_step,
    named: Part = lambda model: [*model.named_parameters(remove_duplicate=False)],
    check: Part = _must_fit,
    joined: Part = lambda sets: set().union(*sets),
    put: Part = _set_all,
) -> None:
    """The right answer in parts."""
    pairs = named(model)
    found = [{p for name, p in pairs if fits(name, pattern)} for pattern in patterns]
    for one in found:
        check(one)
    put(pairs, joined(found))


def _as_expression(name: str, pattern: str) -> bool:
    return re.match(rf"{pattern.replace('*', '[^.]+')}(\.|$)", name) is not None


believing = beliefs_about(unfrozen)
BELIEFS = (
    believing(
        "A parameter is meant if its name contains the pattern.",
        "layer1 is contained in layer10, and head in old.head. And a star is contained in no name.",
        "Which names contain your pattern and lie elsewhere?",
        fits=lambda name, pattern: pattern in name,
    ),
    believing(
        "What begins with a path lies below it.",
        "layer10.weight begins with layer1. A step ends at a dot, or with the name.",
        "Which character follows the pattern in a name that is meant?",
        fits=lambda name, pattern: (
            _step_by_step(name, pattern) if "*" in pattern else name.startswith(pattern)
        ),
    ),
    believing(
        "A star of fnmatch stops at a dot.",
        "For file names of a shell it stops at a slash; fnmatch itself stops at nothing. Your "
        "star took several steps at once.",
        "Does fnmatchcase('a.b.c', 'a.*') hold?",
        fits=lambda name, pattern: fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*"),
    ),
    believing(
        "A dot in a regular expression is a dot.",
        "It is any character. layer.1 fits layer_1 as well.",
        "What does re.escape do to a dot?",
        fits=_as_expression,
    ),
    believing(
        "A path is that of one parameter.",
        "A path can be a module's, and names all that lies below. You found parameters of exactly "
        "that name.",
        "How many steps has the pattern, and how many has head.weight?",
        fits=lambda name, pattern: (
            _step_by_step(name, pattern) and name.count(".") == pattern.count(".")
        ),
        check=lambda found: None,
    ),
    believing(
        "Every parameter has one name.",
        "A tied weight has two, and named_parameters tells the first. Named by the second it "
        "was not found.",
        "What is remove_duplicate for?",
        named=lambda model: [*model.named_parameters()],
    ),
    believing(
        "What nobody named is frozen.",
        "A fresh model is open from end to end. Only a line of yours can freeze the rest.",
        "Which flags does your code set to False?",
        put=_open_only,
    ),
    believing(
        "The last pattern decides.",
        "You set all flags for each pattern anew. What an earlier one had opened was shut again.",
        "How often do you set the flag of each parameter?",
        joined=lambda sets: sets[-1] if sets else set(),
    ),
    believing(
        "A pattern that fits nothing does no harm.",
        "It is misspelt. What it should have opened stays frozen, and the training says nothing.",
        "How many parameters did each pattern open?",
        check=lambda found: None,
    ),
)

EXERCISE = Exercise(
    reference=unfreeze_by_name,
    challenge=challenge,
    observe=observe,
    hints=(
        "Split both the name and the pattern at the dots, and compare step by step. How many of "
        "the name's steps have to be compared?",
        "Collect what all patterns name in a set first; parameters can be in one. Check each "
        "pattern on the way. Set the flags last, of all parameters.",
        "model.named_parameters(remove_duplicate=False) tells every name of a tied weight.",
    ),
    lesson="09_transfer",
    section="Small additions instead",
    frameworks=("torch",),
    minutes=15,
    difficulty=3,
    note="Count what is open before you train. paramlock.torch.unfreeze takes such patterns, and "
    "** for any number of steps: with **.bias and the head, one line makes BitFit of a model.",
)
