"""The share of a network's weights that trains, from the sizes of its layers: plain Python."""

from collections.abc import Iterable, Mapping
from copy import deepcopy

from numpy.random import Generator

from grader.instruments.words import compared, listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def trainable_share(sizes, opened):
    """Say what share of a network's weights is trainable.

    Args:
        sizes: dict from the name of each layer to how many weights it has, from the input up.
        opened: list of the names of the layers that train; all others are frozen. A name may stand
            in it more than once. Both arguments are left as they are.

    Returns:
        The trainable weights over all weights, a float from 0 to 1.

    Example:
        >>> trainable_share({"stem": 20, "body": 70, "head": 10}, ["body", "head"])
        0.8
    """
    return sum(sizes[name] for name in set(opened)) / sum(sizes.values())


FEW = ("stem", "low", "middle", "high")
MANY = tuple(f"layer{number}" for number in range(1, 13))


def challenge(rng: Generator) -> Challenge:
    def case(kind: str, names: Iterable[str], opened: Iterable[str]) -> Inputs:
        """Layers grow towards the output, as those of many networks do; the head is small."""
        sizes = {name: int(rng.integers(10, 30)) * 2**place for place, name in enumerate(names)}
        head = {"head": int(rng.integers(5, 20))}
        return {"kind": kind, "sizes": sizes | head, "opened": list(opened)}

    return {
        "the head alone": case("plain", FEW, ["head"]),
        "the head and the layer below it": case("plain", FEW, ["high", "head"]),
        "two layers in the middle": case("plain", FEW, ["low", "middle"]),
        "the first and the last, in another order": case("plain", FEW, ["head", "stem"]),
        "layer1 of twelve layers, and the head": case("names", MANY, ["layer1", "head"]),
        "a layer that is named twice": case("twice", FEW, ["high", "head", "high"]),
        "every layer": case("ends", FEW, [*FEW, "head"]),
        "no layer": case("ends", FEW, []),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    given = {name: deepcopy(inputs[name]) for name in ("sizes", "opened")}
    share = candidate(*given.values())
    changed = [name for name, value in given.items() if value != inputs[name]]
    return {"kind": inputs["kind"], "share": share, "changed": changed}


def _share(seen: Evidence, expected: Evidence) -> Finding:
    return compared(seen["share"], expected["share"], "the share")


@claim(2, "Which two numbers do you divide, and what does each count?", of_kind("plain"))
def counts_weights(seen: Evidence, expected: Evidence) -> Finding:
    """The weights of the opened layers are divided by those of all layers."""
    return _share(seen, expected)


@claim(1, "Which layers fit the name layer1, as you compare?", of_kind("names"), counts_weights)
def takes_names_exactly(seen: Evidence, expected: Evidence) -> Finding:
    """A name means one layer: layer1 is not layer10."""
    return _share(seen, expected)


@claim(1, "How many layers are open in the end?", of_kind("twice"), counts_weights)
def counts_a_layer_once(seen: Evidence, expected: Evidence) -> Finding:
    """A layer that is named twice counts once."""
    return _share(seen, expected)


@claim(1, "What is open if nothing is named?", of_kind("ends"), counts_weights)
def is_right_at_both_ends(seen: Evidence, expected: Evidence) -> Finding:
    """The share is 1 where every layer is open and 0 where none is."""
    return _share(seen, expected)


@claim(1, "Which of the two do you take from, or add to?", needs=counts_weights)
def leaves_its_arguments_alone(seen: Evidence, expected: Evidence) -> Finding:
    """Sizes and names are left as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


Sizes = Mapping[str, int]


def _open_ones(sizes: Sizes, opened: list[str]) -> list[str]:
    return [name for name in sizes if name in opened]


def _over_all(trained: int, total: int) -> float:
    return trained / total


def counted(
    sizes: Sizes,
    opened: list[str],
    chosen: Part = _open_ones,
    weigh: Part = lambda size: size,
    over: Part = _over_all,
) -> float:
    """The right answer in parts."""
    trained = sum(weigh(sizes[name]) for name in chosen(sizes, opened))
    return over(trained, sum(map(weigh, sizes.values())))


believing = beliefs_about(counted)
BELIEFS = (
    believing(
        "Half of the layers is half of the network.",
        "Layers differ in size by orders of magnitude. The last stage of a ResNet-18 and its head "
        "hold three quarters of all weights.",
        "How many weights has your largest layer, and how many has your smallest?",
        weigh=lambda size: 1,
    ),
    believing(
        "The share asked for is the frozen one.",
        "Opened layers train. What you return is the share of the others.",
        "What do you return if every layer is open?",
        over=lambda trained, total: 1 - trained / total,
    ),
    believing(
        "The trainable share is trainable over frozen.",
        "That is a ratio of two parts. It goes beyond 1 as soon as more is open than shut.",
        "Are the opened layers in the number that you divide by?",
        over=lambda trained, total: trained / max(1, total - trained),
    ),
    believing(
        "A layer is meant if its name contains the given one.",
        "layer1 is contained in layer10, layer11 and layer12. You opened them too.",
        "Which names contain layer1?",
        chosen=lambda sizes, opened: [n for n in sizes if any(one in n for one in opened)],
    ),
    believing(
        "What is opened lies next to the output.",
        "Mostly so, but the names say which. You counted as many layers from the top.",
        "Which layers do you count if the first and the last are opened?",
        chosen=lambda sizes, opened: [*sizes][len(sizes) - len(set(opened)) :],
    ),
    believing(
        "A list holds each name once.",
        "Two rules that overlap name a layer twice. It is open once, and you counted it twice.",
        "How many different names are in the list?",
        chosen=lambda sizes, opened: opened,
    ),
    believing(
        "The head trains in any case.",
        "It is a layer like the others, and it was frozen where nobody named it.",
        "What do you count if no layer is named?",
        chosen=lambda sizes, opened: [n for n in sizes if n in opened or n == "head"],
    ),
)

EXERCISE = Exercise(
    reference=trainable_share,
    challenge=challenge,
    observe=observe,
    hints=(
        "Two sums are asked for: one over the opened layers, one over all.",
        "set(opened) has each name once, and sizes[name] is how many weights that layer has. "
        "sum(sizes.values()) are all.",
    ),
    lesson="09_transfer",
    section="A head on a frozen body",
    frameworks=("torch",),
    minutes=5,
    difficulty=1,
    note="For a ResNet-18 with ten classes, opening its last stage and the head gives 0.75: two "
    "names of six, three quarters of the weights. A share of weights is no share of time either.",
)
