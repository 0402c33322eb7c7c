"""What opening a network from the output down trains, and what a step of it costs: plain Python."""

from collections.abc import Sequence
from typing import Any

from numpy.random import Generator

from grader.instruments.words import listed
from grader.judging.evidence import alike, number
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def share_by_depth(weights, costs):
    """Say, for each depth to which a network is opened, what share trains and what a step costs.

    The layers stand one after the other. A step computes every layer forward, and from the loss
    back. Backward a layer can have two products, each of which costs what it costs forward: the
    gradient of its weights, if the layer is open; and the gradient of its input, if an open layer
    stands before it. Depth d means that the last d layers are open.

    Args:
        weights: list of the numbers of weights of each layer, from the input up; none is 0.
        costs: list of what each layer costs forward, in multiplications. Both lists have L entries.

    Returns:
        List of L + 1 pairs, for the depths from 0 to L: the trainable share of all weights, and the
        cost of a step over that of a step in which every layer is open.

    Example:
        >>> for share, cost in share_by_depth([10, 10, 20], [4, 4, 2]):
        ...     print(round(share, 2), round(cost, 2))
        0.0 0.38
        0.5 0.46
        0.75 0.69
        1.0 1.0
    """
    size, rows = len(weights), []
    for depth in range(size + 1):
        first = size - depth
        cost = sum(costs) + sum(costs[first:]) + sum(costs[first + 1 :])
        rows.append((sum(weights[first:]) / sum(weights), cost))
    whole = rows[-1][1]
    return [(share, cost / whole) for share, cost in rows]


def challenge(rng: Generator) -> Challenge:
    def case(kind: str, size: int, growth: float) -> Inputs:
        """Weights grow from layer to layer by `growth` and costs fall, as in a conv net."""
        weights = [int(rng.integers(10, 30) * growth**place) for place in range(size)]
        costs = [int(rng.integers(50, 90) * 2 ** (size - place)) for place in range(size)]
        return {"kind": kind, "weights": weights, "costs": costs}

    few, many = int(rng.integers(3, 6)), int(rng.integers(8, 12))
    return {
        "a few layers": case("plain", few, 2.0),
        "many layers": case("plain", many, 1.5),
        "layers of about one size": case("plain", few, 1.0),
        "two layers": case("small", 2, 3.0),
        "one layer": case("small", 1, 1.0),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    given = {name: list(inputs[name]) for name in ("weights", "costs")}
    returned = candidate(*given.values())
    if not isinstance(returned, list | tuple) or not all(map(_is_pair, returned)):
        return None if returned is None else f"<{type(returned).__name__}>"
    return {
        "kind": inputs["kind"],
        "shares": [pair[0] for pair in returned],
        "costs": [pair[1] for pair in returned],
        "changed": [name for name, value in given.items() if value != inputs[name]],
    }


def _is_pair(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2


def _row(seen: Evidence, expected: Evidence, name: str, words: str) -> Finding:
    """Whether a column of the table is right, and at which depth it first is not."""
    ours, right = seen[name], expected[name]
    if len(ours) != len(right):
        return False, f"you return {len(ours)} pairs, {len(right)} are due"
    for depth, (one, other) in enumerate(zip(ours, right, strict=True)):
        if not alike(one, other):
            shown = number(one) if isinstance(one, float | int) else str(one)
            return False, f"at depth {depth} the {words} is {shown}, {number(other)} is due"
    return True, "all is as expected"


@claim(2, "Which layers train at depth 1?", of_kind("plain"))
def counts_from_the_output(seen: Evidence, expected: Evidence) -> Finding:
    """The share counts the weights of the last layers, from none to all."""
    return _row(seen, expected, "shares", "share")


@claim(3, "Which products does a step have at depth 1?", of_kind("plain"), counts_from_the_output)
def counts_the_products(seen: Evidence, expected: Evidence) -> Finding:
    """A step costs all of forward, a product for each open layer, and one above the lowest open."""
    return _row(seen, expected, "costs", "cost")


@claim(1, "Which products has a network of one layer?", of_kind("small"), counts_the_products)
def copes_with_small_networks(seen: Evidence, expected: Evidence) -> Finding:
    """The same holds for one layer and for two."""
    met, words = _row(seen, expected, "shares", "share")
    return _row(seen, expected, "costs", "cost") if met else (met, words)


@claim(1, "Which list do you turn round, or write into?", needs=counts_the_products)
def leaves_the_lists_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The lists are left as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


Table = list[tuple[float, float]]


def tabled(
    weights: Sequence[float],
    costs: Sequence[float],
    opened: Part = lambda row, depth: row[len(row) - depth :],
    size: Part = lambda weight: weight,
    forward: Part = lambda costs, depth: sum(costs),
    of_weights: Part = lambda costs, depth: sum(costs[len(costs) - depth :]),
    of_inputs: Part = lambda costs, depth: sum(costs[len(costs) - depth + 1 :]) if depth else 0,
    whole: Part = lambda costs: 3 * sum(costs) - costs[0],
) -> Table:
    """The right answer in parts."""
    table = []
    for depth in range(len(weights) + 1):
        share = sum(map(size, opened(weights, depth))) / sum(map(size, weights))
        products = (forward, of_weights, of_inputs)
        table.append((share, sum(part(costs, depth) for part in products) / whole(costs)))
    return table


believing = beliefs_about(tabled)
BELIEFS = (
    believing(
        "Opening begins at the input.",
        "The last layers open first: they are the most special to the old task, and no gradient "
        "has to go further.",
        "Which layer is open at depth 1?",
        opened=lambda row, depth: row[:depth],
        of_weights=lambda costs, depth: sum(costs[:depth]),
        of_inputs=lambda costs, depth: sum(costs[1:]) if depth else 0,
    ),
    believing(
        "A layer is a layer, whatever its size.",
        "Layers near the output may have hundreds of times the weights of those near the input.",
        "How many weights has each of your layers?",
        size=lambda weight: 1,
    ),
    believing(
        "A step costs as many operations as weights train.",
        "Forward goes through frozen layers as ever. With nothing open a step still costs a third.",
        "What does a step cost at depth 0?",
        forward=lambda costs, depth: sum(costs[len(costs) - depth :]),
    ),
    believing(
        "Backward, a layer has one product.",
        "An open layer has two: the gradient of its weights, and that of its input, which the "
        "layer before it needs.",
        "What does the gradient of a layer's weights need from the layer above it?",
        of_inputs=lambda costs, depth: 0,
        whole=lambda costs: 2 * sum(costs),
    ),
    believing(
        "The gradient goes back to the input in any case.",
        "It stops at the lowest open layer. Below it nobody asks for it.",
        "Which layer is the last to need the gradient of its output?",
        of_inputs=lambda costs, depth: sum(costs[1:]) if depth else 0,
    ),
    believing(
        "An open layer has both products.",
        "The lowest of them needs no gradient of its input: nothing before it trains.",
        "Who uses the gradient of the input of the lowest open layer?",
        of_inputs=lambda costs, depth: sum(costs[len(costs) - depth :]),
        whole=lambda costs: 3 * sum(costs),
    ),
    believing(
        "A full step is three times forward.",
        "Nearly. The first layer needs no gradient of its input, which is data.",
        "What is the cost at full depth, as you compute it?",
        whole=lambda costs: 3 * sum(costs),
    ),
)

EXERCISE = Exercise(
    reference=share_by_depth,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write down for three layers which products a step has at depth 1: three forward, and "
        "which ones backward?",
        "With first = L - depth the open layers are costs[first:]. The gradient of the input is "
        "asked for by costs[first + 1:] alone.",
        "Divide by the last of your costs, that of depth L, at the end.",
    ),
    lesson="09_transfer",
    section="How deep to open",
    frameworks=("torch", "jax"),
    minutes=10,
    difficulty=2,
    note="Forward is the floor: with a head alone a step costs little more than a third. Only "
    "features that are kept from the first epoch go below it.",
)
