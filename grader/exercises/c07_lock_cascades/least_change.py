"""The shortest skip that ends a cascade, in a network of any shape: plain Python."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import combinations
from typing import Any

import numpy as np

from grader.instruments import layer_graphs
from grader.instruments.layer_graphs import case, chain
from grader.instruments.refusals import refusal, refused
from grader.judging.exercise import Exercise, belief, beliefs_about, claim, needing, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def least_change(layers, silent):
    """Find the shortest skip after which a cascade is left in the silent layers alone.

    A layer adds up what its inputs put out, applies a weight and a bias and a ReLU. A silent one
    puts out 0 and its slopes are 0. A skip (a, b) adds what a puts out to the input of b. It ends
    the cascade if, with it, no tensor gets a gradient of exactly 0 but those of silent layers. Take
    it that nothing else is out of order.

    Args:
        layers: list of dicts, one for each layer, with its ``"name"``, its ``"inputs"``, a list of
            names, and its ``"bias"``, True. Each layer stands after those that feed it. ``"x"``
            among the inputs is the input of the network. The last layer's output goes to the loss,
            and from each layer a path leads there.
        silent: list of the names of the silent layers, in any order. It may be empty.

    Returns:
        Tuple (a, b) of two names: a is ``"x"`` or a layer that stands before b. Its length is the
        number of places from a to b in the list, with ``"x"`` before the first layer. None, if no
        skip is needed.

    Raises:
        ValueError: no single skip is enough.

    Example:
        >>> layers = [
        ...     {"name": "a", "inputs": ["x"], "bias": True},
        ...     {"name": "b", "inputs": ["a"], "bias": True},
        ...     {"name": "c", "inputs": ["b"], "bias": True},
        ... ]
        >>> least_change(layers, ["b"])
        ('a', 'c')
    """
    names = ["x", *(layer["name"] for layer in layers)]
    edges = [(a, layer["name"]) for layer in layers for a in layer["inputs"]]

    def is_free(name, edges):
        fed = any(b == name and a not in silent for a, b in edges)
        heard = name == names[-1] or any(a == name and b not in silent for a, b in edges)
        return name in silent or (fed and heard)

    def ends_it(more):
        return all(is_free(name, edges + more) for name in names[1:])

    if ends_it([]):
        return None
    skips = combinations(range(len(names)), 2)
    for a, b in sorted(skips, key=lambda skip: skip[1] - skip[0]):
        if ends_it([(names[a], names[b])]):
            return names[a], names[b]
    raise ValueError(f"no single skip ends the cascade of {silent}")


def challenge(rng: np.random.Generator) -> Challenge:
    depth = int(rng.integers(9, 12))
    k = int(rng.integers(3, depth - 3))  # two layers below at least, and three above
    forked = [[0], [1], [2], [1], [4], [3, 5], [6]]
    woven = [[0], [1], [1], [2], [3], [4, 5], [6]]
    uneven = [[0], [1], [2], [1], [4], [3], [1], [5, 6, 7]]  # 6 stands nearer to 4, 7 lies nearer

    def silenced(kind: str, silent: Sequence[int], *skips: tuple[int, int]) -> Inputs:
        return case(rng, kind, chain(depth, *skips), silent)

    return {
        "a chain": silenced("chain", [k]),
        "a chain, its first layer silent": silenced("chain", [1]),
        "a chain, its last but one silent": silenced("chain", [depth - 1]),
        "two silent neighbours": silenced("several", [k + 1, k]),
        "three silent neighbours": silenced("several", [k, k + 2, k + 1]),
        "two silent layers, a skip around the first": silenced(
            "several", [k, k + 2], (k - 1, k + 1)
        ),
        "two silent layers, a skip around the second": silenced(
            "several", [k, k + 2], (k + 1, k + 3)
        ),
        "all but the last are silent": silenced("several", range(1, depth)),
        "a skip that is too long": silenced("skips", [k], (k - 2, k + 2)),
        "a skip that begins where it should": silenced("skips", [k], (k - 1, k + 3)),
        "a skip that ends where it should": silenced("skips", [k], (k - 2, k + 1)),
        "a skip from the silent layer": silenced("skips", [k], (k, k + 2)),
        "a skip from the input past a silent layer": silenced("skips", [2], (0, 3)),
        "a skip from the input to the last layer": silenced("skips", [k], (0, depth)),
        "a branch silent at its end": case(rng, "skips", forked, [3]),
        "a branch silent at its beginning": case(rng, "skips", forked, [4]),
        "branches of three lengths": case(rng, "skips", uneven, [5]),
        "branches that take turns, one silent at its end": case(rng, "skips", woven, [4]),
        "branches that take turns, one silent at first": case(rng, "skips", woven, [2]),
        "nothing is silent": silenced("none", []),
        "there is a skip around it": silenced("none", [k], (k - 1, k + 1)),
        "there is a skip around two": silenced("none", [k, k + 1], (k - 1, k + 2)),
        "two silent layers, one between them": silenced("refused", [k, k + 2]),
        "the last layer is silent": silenced("refused", [depth]),
        "both branches are silent at their ends": case(rng, "refused", forked, [3, 5]),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    layers, silent = deepcopy(inputs["layers"]), list(inputs["silent"])
    seen: dict[str, Any] = {"kind": inputs["kind"]}
    if inputs["kind"] == "refused":
        seen["ending"] = refusal(candidate, layers, silent)
    else:
        seen |= _skip(candidate(layers, silent), inputs)
    return {**seen, "stays": layers == inputs["layers"] and silent == inputs["silent"]}


def _skip(returned: Any, inputs: Inputs) -> dict[str, Any]:
    """The skip in words, and the places of its ends; -1 is that of something else."""
    names = ["x", *(layer["name"] for layer in inputs["layers"])]
    if returned is None:
        return {"skip": "no skip", "places": [-1]}
    ends = list(returned) if isinstance(returned, list | tuple) else [returned]
    places = [names.index(end) if isinstance(end, str) and end in names else -1 for end in ends]
    return {"skip": " to ".join(map(str, ends)), "places": places}


def _found(seen: Evidence, expected: Evidence) -> Finding:
    holds = seen["skip"] == expected["skip"] and seen["places"] == expected["places"]
    return holds, f"you return {seen['skip']}, where {expected['skip']} was expected"


@claim(3, "Which tensors are locked that are not of the silent layer?", of_kind("chain"))
def leads_around_the_silent_layer(seen: Evidence, expected: Evidence) -> Finding:
    """In a chain the shortest skip leads from the layer before the silent one to the one after."""
    return _found(seen, expected)


@claim(2, "Which layers are locked, and which of them need what?", of_kind("several"))
def several_silent_layers(seen: Evidence, expected: Evidence) -> Finding:
    """Where several layers are silent, one skip ends what all of them do."""
    return _found(seen, expected)


@claim(2, "What is still missing, with the ways that there are?", of_kind("skips"))
def uses_what_is_there(seen: Evidence, expected: Evidence) -> Finding:
    """Other ways count, and the skip is the shortest that is enough, wherever it leads."""
    return _found(seen, expected)


@claim(1, "Which locked tensors does it open?", of_kind("none"), leads_around_the_silent_layer)
def none_where_none_is_needed(seen: Evidence, expected: Evidence) -> Finding:
    """Where only silent layers are locked, no skip is returned."""
    return _found(seen, expected)


@claim(
    1,
    "How many layers lack something, and how many can one skip serve?",
    of_kind("refused"),
    needs=leads_around_the_silent_layer,
)
def refuses_where_one_is_not_enough(seen: Evidence, expected: Evidence) -> Finding:
    """Where no single skip is enough, a ValueError is raised."""
    return refused(seen["ending"])


SHARED = needing(leads_around_the_silent_layer, layer_graphs.description_stays)

Layers = Sequence[dict[str, Any]]
Skip = tuple[str, str]


def _refuse() -> None:
    raise ValueError("no single skip is enough")


def _is_fed(name: str, edges: Sequence[Skip], silent: Sequence[str]) -> bool:
    return any(b == name and a not in silent for a, b in edges)


def _is_heard(name: str, edges: Sequence[Skip], silent: Sequence[str]) -> bool:
    return any(a == name and b not in silent for a, b in edges)


def searched(
    layers: Layers,
    silent: Sequence[str],
    seen: Part = lambda silent: silent,
    fed: Part = _is_fed,
    heard: Part = _is_heard,
    least: int = 1,
    start: int = 0,
    needed: Part = lambda free, silent: not free,
    failing: Part = _refuse,
) -> Skip | None:
    """The right answer in parts."""
    silent, names = seen(silent), ["x", *(layer["name"] for layer in layers)]
    edges = [(a, layer["name"]) for layer in layers for a in layer["inputs"]]

    def ends_it(*more: Skip) -> bool:
        ways = [*edges, *more]
        return all(
            fed(name, ways, silent) and (name == names[-1] or heard(name, ways, silent))
            for name in names[1:]
            if name not in silent
        )

    if not needed(ends_it(), silent):
        return None
    for length in range(least, len(names)):
        for a in range(start, len(names) - length):
            if ends_it((names[a], names[a + length])):
                return names[a], names[a + length]
    return failing()


believing = beliefs_about(searched)
BELIEFS = (
    believing(
        "It is enough that a gradient comes to the layers below.",
        "The weight right after the silent layer is locked as well, since all that it is given is "
        "0. It needs an input.",
        "What is the layer after the silent one given, with your skip?",
        fed=lambda name, edges, silent: True,
    ),
    believing(
        "It is enough that something comes to the layers above.",
        "The layers below the silent one need a way by which the gradient comes down to them.",
        "Which way does the gradient take to the layer before the silent one?",
        heard=lambda name, edges, silent: True,
    ),
    believing(
        "One silent layer is what has to be led around.",
        "There may be more, and a skip that ends at the next silent one leads nowhere.",
        "What does your function do with the second name in silent?",
        seen=lambda silent: silent[:1],
    ),
    believing(
        "A silent layer needs a skip.",
        "Where a way leads around it already, nothing but its own tensors is locked, and no skip "
        "opens those.",
        "Which tensors does your skip open?",
        needed=lambda free, silent: bool(silent),
    ),
    believing(
        "A skip leads over a layer.",
        "Where branches take turns in the list, the nearest layer that helps may be the next one, "
        "in the other branch.",
        "Which layer of the other branch stands nearest to the one that lacks something?",
        least=2,
    ),
    believing(
        "The input of the network is no place for a skip to begin.",
        "If the first layer is silent, the input is all that varies, and the skip begins there.",
        "What can the second layer be given, if the first is silent?",
        start=1,
    ),
    believing(
        "If no skip is enough, none is needed.",
        "None says that all is well. Your caller should learn that one skip will not do.",
        "What would your caller conclude from None?",
        failing=lambda: None,
    ),
)


def _placed(layers: Layers, silent: Sequence[str], before: int, after: int) -> Skip | None:
    """A skip from so many places before the first silent layer to so many after it."""
    names = ["x", *(layer["name"] for layer in layers)]
    places = [place for place, name in enumerate(names) if name in silent]
    if not places or places[0] + after >= len(names):
        return None
    return names[max(places[0] - before, 0)], names[places[0] + after]


@belief(
    "The skip has to bring something to the silent layer.",
    "Its slopes are 0, whatever it is given: nothing comes out of it, and no gradient through.",
    "What does the silent layer put out if it is given more?",
)
def lead_into_the_silent_layer(layers: Layers, silent: Sequence[str]) -> Skip | None:
    return _placed(layers, silent, 2, 0)


@belief(
    "The skip has to bring the silent layer nearer to the loss.",
    "A gradient that comes to its output meets slopes of 0, and what it hands on is 0.",
    "By what is a gradient multiplied on its way through the silent layer?",
)
def lead_away_from_the_silent_layer(layers: Layers, silent: Sequence[str]) -> Skip | None:
    return _placed(layers, silent, 0, 2)


@belief(
    "A skip always leads from one layer before the silent one to one after it.",
    "That is so in a chain. Neighbours may be silent too, ways may be there already, and the layer "
    "that stands next in the list may lie in another branch.",
    "Which layers feed the one at which your skip ends?",
)
def lead_around_the_first(layers: Layers, silent: Sequence[str]) -> Skip | None:
    return _placed(layers, silent, 1, 1)


EXERCISE = Exercise(
    reference=least_change,
    challenge=challenge,
    observe=observe,
    hints=(
        "When is a layer that is not silent free? It needs something from below, and something "
        "from above. Which of its neighbours can give it?",
        "If each layer has an input that is not silent, each is given something: follow it down to "
        "x. The same holds upwards, so that neighbours are all you have to look at.",
        "Try the skips one after another, the short ones first. combinations(range(n), 2) from "
        "itertools gives all pairs of places.",
    ),
    lesson="07_lock_cascades",
    section="What stops it",
    frameworks=("python",),
    minutes=20,
    difficulty=4,
    note="Residual networks have these skips from the start: one around each block. A block that "
    "falls silent keeps its lock to itself.",
)
