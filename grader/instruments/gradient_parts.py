"""Gradients of a small network and one part of it: what the twins on the relative gradient share.

A *tree* holds the gradients as JAX would: nested dicts of arrays, or None where there is none. A
*path* with dots leads to the part. The torch twin hangs the same numbers on a model. Here are the
cases, what an answer leaves behind, the claims, and the beliefs that occur in both frameworks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from grader.instruments.words import compared, listed
from grader.judging.evidence import plain
from grader.judging.exercise import claim, of_kind
from grader.judging.terms import Challenge, Evidence, Finding

SHAPES = {"kernel": (3, 4), "bias": (4,)}
"""One shape for all layers: in JAX each new one compiles again."""

Tree = dict[str, Any]


def layer(rng: np.random.Generator, scale: float = 1.0, dtype: str = "float32") -> Tree:
    """Gradients of one layer with entries of about the size of `scale`."""
    return {k: (scale * rng.normal(size=s)).astype(dtype) for k, s in SHAPES.items()}


def tree(first: Tree, second: Tree, head: Tree) -> Tree:
    """The network: a body of two layers, and a head."""
    return {"body": {"layer1": first, "layer10": second}, "head": head}


def challenge(rng: np.random.Generator) -> Challenge:
    """The same cases for both twins."""

    def case(gradients: Tree, path: str = "body.layer1", kind: str = "plain") -> dict[str, Any]:
        return {"gradients": gradients, "path": path, "kind": kind}

    def drawn(scale: float = 1.0, dtype: str = "float32") -> Tree:
        return tree(*(layer(rng, scale, dtype) for _ in range(3)))

    nothing = dict.fromkeys(SHAPES)
    zeros = {k: np.zeros(s, np.float32) for k, s in SHAPES.items()}
    return {
        "one layer of three": case(drawn()),
        "another layer": case(drawn(), "body.layer10"),
        "a part of two layers": case(drawn(), "body"),
        "the head": case(drawn(), "head"),
        "the head, where the body has one as well": case(
            {"body": {"layer1": layer(rng), "head": layer(rng)}, "head": layer(rng)}, "head"
        ),
        "the whole": case(drawn(), ""),
        "a layer three steps down": case(
            {"body": {"block": {"layer1": layer(rng), "layer2": layer(rng)}}, "head": layer(rng)},
            "body.block.layer1",
        ),
        "a part without a gradient": case(tree(nothing, layer(rng), layer(rng)), kind="none"),
        "another layer without a gradient": case(
            tree(layer(rng), nothing, layer(rng)), kind="none"
        ),
        "a part whose bias has no gradient": case(
            tree(layer(rng) | {"bias": None}, layer(rng), layer(rng)), kind="none"
        ),
        "another layer whose bias has none": case(
            tree(layer(rng), layer(rng) | {"bias": None}, layer(rng)), kind="none"
        ),
        "every gradient is zero": case(tree(zeros, zeros, zeros), kind="zero"),
        "the whole, every gradient zero": case(tree(zeros, zeros, zeros), "", "zero"),
        "gradients near 1e-25": case(drawn(1e-25), kind="scale"),
        "gradients near 1e25": case(drawn(1e25), kind="scale"),
        "gradients near 300 in float16": case(drawn(300.0, "float16"), kind="scale"),
        "a part near 1e-30, the rest near 1": case(
            tree(layer(rng, 1e-30), layer(rng), layer(rng)), kind="scale"
        ),
    }


def leaves(gradients: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Path and array, or None, of each leaf."""
    for key, value in gradients.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def left_behind(
    answer: Callable[[], Any], state: Callable[[], dict[str, bytes | None]], kind: str
) -> dict[str, Any]:
    """What the answer returned, on a logarithmic scale too, and which gradients it changed."""
    before = state()
    returned = plain(answer())
    now = state()
    return {
        "kind": kind,
        "returned": returned,
        "log10": logarithm(returned),
        "changed": [name for name in before if now.get(name) != before[name]],
    }


def logarithm(value: Any) -> float:
    """The decimal logarithm of a number, minus infinity where it has none."""
    if not isinstance(value, int | float) or math.isnan(value):
        return math.nan
    return math.log10(value) if value > 0 else -math.inf


def _share(seen: Evidence, expected: Evidence) -> Finding:
    return compared(seen["returned"], expected["returned"], "the share")


@claim(3, "Which gradients are in the part, and how do norms combine?", of_kind("plain"))
def is_the_share(seen: Evidence, expected: Evidence) -> Finding:
    """The norm of the part's gradient over the norm of the whole gradient, from 0 to 1."""
    return _share(seen, expected)


@claim(2, "What does your code do with a gradient of None?", of_kind("none"), needs=is_the_share)
def none_counts_as_zeros(seen: Evidence, expected: Evidence) -> Finding:
    """Where there is no gradient (None), it counts as zeros."""
    return _share(seen, expected)


@claim(1, "What is divided by what where all is zero?", of_kind("zero"), needs=is_the_share)
def nothing_of_nothing_is_zero(seen: Evidence, expected: Evidence) -> Finding:
    """Where every gradient is zero, the relative gradient is 0."""
    return _share(seen, expected)


@claim(
    3,
    "In which precision does each step of yours calculate, and how small or large do numbers get?",
    of_kind("scale"),
)
def holds_at_any_scale(seen: Evidence, expected: Evidence) -> Finding:
    """It does not matter how small or large the entries are, nor in which precision they come."""
    return _share(seen, expected)


@claim(1, "Which call or line of yours writes into a gradient?", needs=is_the_share)
def leaves_the_gradients(seen: Evidence, expected: Evidence) -> Finding:
    """The gradients are left as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


CLAIMS = (
    is_the_share,
    none_counts_as_zeros,
    nothing_of_nothing_is_zero,
    holds_at_any_scale,
    leaves_the_gradients,
)

ADD_NORMS = (
    "The norm of several tensors is the sum of their norms.",
    "Norms of parts do not add, their squares do: norms 3 and 4 make 5 and not 7.",
    "What is the norm of one vector that holds all entries of both tensors?",
)
SQUARES = (
    "The sum of the squares is the norm.",
    "It is the norm squared. A share of 0.1 comes out as 0.01.",
    "What is left to do after the squares are added?",
)
REST = (
    "The relative gradient compares a part with the rest.",
    "It compares the part with the whole, the part included. Against the rest a number above 1 can "
    "come out.",
    "What should the answer be where the part is the whole network?",
)
PRECISION = (
    "A precision that holds the entries holds their norm, too.",
    "A norm squares its entries, and it adds up. The square of 300 is infinite in float16, and in "
    "float32 the squares of 1e25 and of 1e-25 come out as infinity and as 0. Float64 has room for "
    "those two, and none for the squares of 1e200 and of 1e-200.",
    "In which precision is each entry squared in your code, and how small and how large may it be "
    "there?",
)
BEGINNING = (
    "What begins with the path lies below it.",
    "body.layer10 begins with body.layer1, too, and it is another layer.",
    "Where does one step of a path end and the next begin?",
)
PER_ENTRY = (
    "A norm is taken per entry, so that large and small tensors compare.",
    "That is a root mean square. The norm adds up all squares and divides by no count.",
    "By which number do you divide before the root, and does the definition name it?",
)
LARGEST = (
    "The largest entry stands for a tensor.",
    "A norm counts every entry. Twelve equal entries have a norm 3.5 times the largest of them.",
    "How much would your answer change if all entries but the largest became zero?",
)
DIVISION = (
    "A norm of the whole network is never zero.",
    "It is for a network at rest, and when no gradient arrives anywhere. Then you divide 0 by 0.",
    "What do you check before you divide?",
)
