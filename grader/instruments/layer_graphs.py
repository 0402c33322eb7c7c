"""Networks described as plain data, for answers that read where a silent layer is felt.

A layer is a dict of its "name", its "inputs" (names of layers, or "x") and its "bias", a bool. It
adds up what its inputs put out, applies a weight, a bias if it has one, and a ReLU. Layers stand
from the input up, and the last one's output goes to the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from grader.instruments.torch_nets import texts
from grader.instruments.words import named_alike
from grader.judging.exercise import claim
from grader.judging.terms import Candidate, Evidence, Finding, Inputs

NAMES = (
    "arch", "beam", "bend", "cone", "core", "dome", "edge", "fold", "lift", "loop", "mesh", "node",
    "pole", "reed", "ring", "root", "span", "stem", "turn", "wing",
)  # fmt: skip
"""Names to draw from, so that evidence holds for the challenge it was made on."""

Feeds = Sequence[Sequence[int]]
"""For each layer the numbers of those that feed it; layers count from 1, and 0 is the input."""


def chain(depth: int, *skips: tuple[int, int]) -> Feeds:
    """A chain of layers; a skip (a, b) adds what layer a puts out to the input of layer b."""
    return [[k - 1, *(a for a, b in skips if b == k)] for k in range(1, depth + 1)]


def tangled(rng: np.random.Generator, depth: int) -> Feeds:
    """Layers that are fed by one or two of those below, whichever."""
    return [
        [int(a) for a in rng.choice(k, min(k, int(rng.integers(1, 3))), replace=False)]
        for k in range(1, depth + 1)
    ]


def case(
    rng: np.random.Generator,
    kind: str,
    feeds: Feeds,
    silent: Iterable[int] = (),
    bare: Iterable[int] = (),
) -> dict[str, Any]:
    """A network with drawn names, the names of its silent layers; `bare` ones have no bias."""
    names = ["x", *(str(name) for name in rng.choice(NAMES, len(feeds), replace=False))]
    layers = [
        {
            "name": names[k],
            "inputs": [names[a] for a in rng.permutation(np.array(feed, int))],
            "bias": k not in list(bare),
        }
        for k, feed in enumerate(feeds, start=1)
    ]
    return {"layers": layers, "silent": [names[k] for k in silent], "kind": kind}


def asked(candidate: Candidate, inputs: Inputs, known: Iterable[str]) -> Evidence:
    """Which of the `known` names an answer returns, and whether it left the network alone."""
    layers, silent = deepcopy(inputs["layers"]), list(inputs["silent"])
    returned = texts(candidate(layers, silent))
    stays = layers == inputs["layers"] and silent == inputs["silent"]
    return {"kind": inputs["kind"], "stays": stays, **among(returned, known)}


def among(returned: Any, known: Iterable[str]) -> dict[str, Any]:
    """Of each known name whether it was returned, and returned names that are not known."""
    if not isinstance(returned, list):
        return {"named": returned, "unknown": []}
    named = {name: name in returned for name in known}
    return {"named": named, "unknown": sorted(set(returned) - named.keys())}


def names_as_expected(seen: Evidence, expected: Evidence) -> Finding:
    """Whether the names are the right ones, in any order, and which are not."""
    ours, right = (
        [name for name, is_named in one["named"].items() if is_named] for one in (seen, expected)
    )
    return named_alike([*ours, *seen["unknown"]], right)


@claim(1, "Which line of yours writes into what it was given?")
def description_stays(seen: Evidence, expected: Evidence) -> Finding:
    """The layers and the list of silent ones are left as they were."""
    return seen["stays"], "they are as they were" if seen["stays"] else "they have changed"
