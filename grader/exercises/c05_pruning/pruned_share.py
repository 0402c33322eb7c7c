"""The share of a network's weights that has been pruned: plain Python."""

from collections.abc import Sequence
from copy import deepcopy
from statistics import mean

import numpy as np

from grader.instruments.words import compared, listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def pruned_share(layers, kept):
    """Say what share of a network's weights has been pruned.

    A network uses keep * weight, entry by entry: a weight whose keep is False is pruned, whatever
    number is stored for it. One whose keep is True learns, and it may pass through 0.

    Args:
        layers: list of lists of floats, one list for each layer: its stored weights. There is at
            least one weight.
        kept: list of lists of bools of the same lengths, True for a weight that stays. Both are
            left as they are.

    Returns:
        The pruned weights of all layers over all weights of all layers, a float from 0 to 1.

    Example:
        >>> pruned_share([[0.5, 0.1, -2.0], [3.0]], [[True, False, False], [True]])
        0.5
    """
    flags = [keep for layer in kept for keep in layer]
    return flags.count(False) / len(flags)


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, sparsities: Sequence[float]) -> Inputs:
        """Layers of very different sizes; the first is the smallest."""
        sizes = [int(rng.integers(10, 20)) * 3**place for place in range(len(sparsities))]
        layers = [rng.normal(size=size).round(3) + 5 for size in sizes]
        kept = [
            rng.permutation(size) >= share * size
            for size, share in zip(sizes, sparsities, strict=True)
        ]
        for weights, keep in zip(layers, kept, strict=True):
            weights[~keep] = 0.0
            if kind == "stored":
                _blur(rng, weights, keep)
        return {
            "layers": [weights.tolist() for weights in layers],
            "kept": [keep.tolist() for keep in kept],
            "kind": kind,
        }

    few, many = rng.uniform(0.1, 0.3), rng.uniform(0.6, 0.8)
    return {
        "one layer": case("plain", [many]),
        "a small layer pruned little, a large one much": case("plain", [few, many]),
        "a small layer pruned much, a large one little": case("plain", [many, few]),
        "three layers": case("plain", [few, many, 0.5]),
        "weights at zero that stay, pruned ones with a number": case("stored", [few, many]),
        "nothing is pruned": case("ends", [0.0, 0.0]),
        "everything is pruned": case("ends", [1.0, 1.0]),
        "one layer is emptied": case("plain", [1.0, few]),
    }


def _blur(rng: np.random.Generator, weights: np.ndarray, keep: np.ndarray) -> None:
    """Some weights that stay are 0 at this moment, and some pruned ones have kept their number."""
    weights[rng.choice(np.flatnonzero(keep), keep.sum() // 4, replace=False)] = 0.0
    weights[rng.choice(np.flatnonzero(~keep), (~keep).sum() // 2, replace=False)] = 1.5


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    given = {name: deepcopy(inputs[name]) for name in ("layers", "kept")}
    share = candidate(*given.values())
    changed = [name for name, lists in given.items() if lists != inputs[name]]
    return {"kind": inputs["kind"], "share": share, "changed": changed}


def _share(seen: Evidence, expected: Evidence) -> Finding:
    return compared(seen["share"], expected["share"], "the share")


@claim(
    2, "Which two numbers do you divide, and over which layers is each counted?", of_kind("plain")
)
def counts_over_all_layers(seen: Evidence, expected: Evidence) -> Finding:
    """The pruned weights of all layers are divided by the weights of all layers."""
    return _share(seen, expected)


@claim(2, "What tells you that a weight is pruned?", of_kind("stored"), counts_over_all_layers)
def asks_the_flags(seen: Evidence, expected: Evidence) -> Finding:
    """A weight is pruned where its keep is False, whatever number is stored."""
    return _share(seen, expected)


@claim(1, "What do you return for a dense network?", of_kind("ends"), counts_over_all_layers)
def is_right_at_both_ends(seen: Evidence, expected: Evidence) -> Finding:
    """The share is 0 where nothing is pruned and 1 where everything is."""
    return _share(seen, expected)


@claim(1, "Which list do you add to, or take from?", needs=counts_over_all_layers)
def leaves_the_lists_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The lists are left as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def counted(
    layers: Sequence[Sequence[float]],
    kept: Sequence[Sequence[bool]],
    pruned: Part = lambda weight, keep: not keep,
    share: Part = lambda layers: sum(map(sum, layers)) / sum(map(len, layers)),
) -> float:
    """The right answer in parts."""
    pairs = (zip(weights, keep, strict=True) for weights, keep in zip(layers, kept, strict=True))
    return share([[pruned(weight, keep) for weight, keep in layer] for layer in pairs])


believing = beliefs_about(counted)
BELIEFS = (
    believing(
        "The share of a network is the mean of the shares of its layers.",
        "A layer of ten weights would count as much as one of ten thousand.",
        "How many weights are left in all, if a layer of 10 loses 9 and a layer of 90 loses none?",
        share=lambda layers: mean(mean(map(float, layer)) for layer in layers),
    ),
    believing(
        "A pruned weight is one that is stored as 0.",
        "What is stored for a pruned weight is not used, so it can be any number. And a weight "
        "that learns may be 0 for a moment.",
        "Which of the two arguments decides what the network uses?",
        pruned=lambda weight, keep: weight == 0,
    ),
    believing(
        "What comes out as 0 is pruned.",
        "keep * weight is 0 as well for a weight that stays and happens to be 0. It moves on with "
        "the next step, and a pruned one does not.",
        "What will a weight of 0 with keep True be after the next step?",
        pruned=lambda weight, keep: keep * weight == 0,
    ),
    believing(
        "Sparsity is the share that is left.",
        "That is the density. The two add up to 1.",
        "What does your function return for a network of which nothing is pruned?",
        pruned=lambda weight, keep: keep,
    ),
    believing(
        "The share of pruned weights is pruned over kept.",
        "That is a ratio of two parts: at 90 % it is 9.",
        "Which number do you divide by, and are the pruned weights in it?",
        share=lambda layers: (
            sum(map(sum, layers)) / max(1, sum(map(len, layers)) - sum(map(sum, layers)))
        ),
    ),
    believing(
        "All layers are pruned alike, so one of them shows the share.",
        "Where the smallest weights of the whole network go, one layer may lose a tenth and "
        "another nine tenths.",
        "Which layers does your function look at?",
        share=lambda layers: mean(map(float, layers[0])),
    ),
)

EXERCISE = Exercise(
    reference=pruned_share,
    challenge=challenge,
    observe=observe,
    hints=(
        "Two counts are asked for, each over all layers. Write the flags of all layers into one "
        "list first.",
        "[keep for layer in kept for keep in layer] is that list. A list can count: "
        "[True, False].count(False) is 1.",
    ),
    lesson="05_pruning",
    section="A pruned weight is a lock",
    frameworks=("python",),
    minutes=5,
    difficulty=1,
    note="The stored weights were not needed. That is the difference between a lock and a number: "
    "which weights are pruned is a decision that is kept beside them.",
)
