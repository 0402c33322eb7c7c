"""Which outputs become constant, in a network of any shape: plain Python."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from grader.instruments import layer_graphs
from grader.instruments.layer_graphs import case, chain, names_as_expected, tangled
from grader.judging.exercise import Exercise, beliefs_about, claim, needing, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def constant_outputs(layers, silent):
    """Name the layers that put out the same for every input.

    A layer adds up what its inputs put out, applies a weight, a bias if it has one, and a ReLU. A
    silent one puts out 0, whatever it is given. Take it that nothing else is out of order: no other
    unit is dead, no weight is 0, and no two sources cancel each other.

    Args:
        layers: list of dicts, one for each layer, with its ``"name"``, its ``"inputs"``, a list of
            names, and its ``"bias"``, a bool. Each layer stands after those that feed it. ``"x"``
            among the inputs is the input of the network, which varies. A layer without inputs is
            given zeros. The last layer's output goes to the loss.
        silent: list of the names of the silent layers, in any order. It may be empty.

    Returns:
        List of the names of all layers whose output is constant, in any order.

    Example:
        >>> layers = [
        ...     {"name": "a", "inputs": ["x"], "bias": True},
        ...     {"name": "b", "inputs": ["a"], "bias": True},
        ...     {"name": "c", "inputs": ["b", "x"], "bias": False},
        ... ]
        >>> constant_outputs(layers, ["b"])
        ['b']
    """
    constant = []
    for layer in layers:
        if layer["name"] in silent or all(name in constant for name in layer["inputs"]):
            constant.append(layer["name"])
    return constant


def challenge(rng: np.random.Generator) -> Challenge:
    depth = int(rng.integers(8, 11))
    k = int(rng.integers(4, depth - 2))  # at least three layers below, and two above
    forked = [[0], [1], [2], [1], [4], [3, 5], [6]]

    def silenced(kind: str, silent: Sequence[int], *skips: tuple[int, int]) -> Inputs:
        bare = [int(layer) for layer in rng.choice(np.arange(1, depth + 1), 3, replace=False)]
        return case(rng, kind, chain(depth, *skips), silent, bare)

    return {
        "a chain": silenced("chain", [k]),
        "a chain, the first layer silent": silenced("chain", [1]),
        "a chain, the last layer silent": silenced("chain", [depth]),
        "a chain, two silent layers": silenced("chain", [k + 1, 2]),
        "a chain without biases": case(rng, "chain", chain(depth), [k], range(1, depth + 1)),
        "a chain, nothing silent": silenced("healthy", []),
        "a skip around the silent layer": silenced("skip", [k], (k - 1, k + 1)),
        "a skip far around it": silenced("skip", [k], (k - 2, k + 2)),
        "a skip that begins at it": silenced("skip", [k], (k, k + 2)),
        "a skip that ends at it": silenced("skip", [k], (k - 2, k)),
        "a skip from the input to the last layer": silenced("skip", [k], (0, depth)),
        "a skip around one silent layer of two": silenced("skip", [2, k + 1], (1, 3)),
        "a skip that begins at a constant layer": silenced("skip", [2, k + 1], (3, k + 2)),
        "one branch of two is silent": case(rng, "branch", forked, [3]),
        "both branches are silent": case(rng, "branch", forked, [5, 2]),
        "a branch that leads nowhere is silent": case(
            rng, "branch", [[0], [1], [1], [3], [2], [5]], [3]
        ),
        "all skips": case(rng, "skip", [range(j) for j in range(1, depth + 1)], [k, k - 1]),
        **{
            f"a tangle of {size} layers": case(
                rng, "branch", tangled(rng, size), [int(a) for a in rng.choice(4, 2, False) + 1]
            )
            for size in (12, 14, 16)
        },
        "layers without inputs": case(rng, "source", [[0], [], [2], [1, 3], [3], [4, 5], [5]], [1]),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    return layer_graphs.asked(candidate, inputs, [layer["name"] for layer in inputs["layers"]])


@claim(3, "What is the layer after a silent one given, on each sample?", of_kind("chain"))
def all_after_it_is_constant(seen: Evidence, expected: Evidence) -> Finding:
    """In a chain the silent layer is constant and all after it, and none before."""
    return names_as_expected(seen, expected)


@claim(2, "How many of a layer's inputs must vary for the layer to vary?", of_kind("skip"))
def one_varying_input_is_enough(seen: Evidence, expected: Evidence) -> Finding:
    """A layer varies if a path from the input leads to it that avoids all silent layers."""
    return names_as_expected(seen, expected)


@claim(2, "Which inputs does the layer have at which your answer is off?", of_kind("branch"))
def follows_the_inputs(seen: Evidence, expected: Evidence) -> Finding:
    """The inputs decide, and not the place in the list; also where branches part and join."""
    return names_as_expected(seen, expected)


@claim(
    1,
    "What does a layer put out that is given zeros on every sample?",
    of_kind("source"),
    needs=all_after_it_is_constant,
)
def what_nothing_feeds_is_constant(seen: Evidence, expected: Evidence) -> Finding:
    """A layer without inputs is constant, and so is what it alone feeds."""
    return names_as_expected(seen, expected)


@claim(
    1,
    "What is constant in a healthy chain?",
    of_kind("healthy"),
    needs=all_after_it_is_constant,
)
def a_healthy_chain_varies(seen: Evidence, expected: Evidence) -> Finding:
    """Where nothing is silent, nothing is constant, with biases or without."""
    return names_as_expected(seen, expected)


SHARED = needing(all_after_it_is_constant, layer_graphs.description_stays)

Layer = dict[str, Any]


def _fed_by(layer: Layer, constant: Sequence[str], silent: Sequence[str]) -> bool:
    return all(name in constant for name in layer["inputs"])


def followed(
    layers: Sequence[Layer],
    silent: Sequence[str],
    begins: Part = lambda layer, silent, before: layer["name"] in silent,
    joined: Part = _fed_by,
    told: Part = lambda constant, layers, silent: constant,
) -> list[str]:
    """The right answer in parts."""
    constant: list[str] = []
    for layer in layers:
        if begins(layer, silent, constant) or joined(layer, constant, silent):
            constant.append(layer["name"])
    return told(constant, layers, silent)


def _behind(constant: list[str], layers: Sequence[Layer], silent: Sequence[str]) -> list[str]:
    """The layers that reach the loss through silent layers only."""
    heard = {layers[-1]["name"]} - set(silent)
    for layer in reversed(layers):
        heard |= set(layer["inputs"]) - set(silent) if layer["name"] in heard else set()
    return [layer["name"] for layer in layers if layer["name"] not in heard]


believing = beliefs_about(followed)
BELIEFS = (
    believing(
        "Only the silent layer is constant.",
        "The next layer is given zeros by it, on every sample, and so puts out the same on every "
        "sample. That goes on.",
        "What does the layer after it compute, and what of that depends on the sample?",
        joined=lambda layer, constant, silent: False,
    ),
    believing(
        "Silence is felt in the next layer, and no further.",
        "The next layer is constant, so the one after it is given the same on every sample too.",
        "What is the second layer after the silent one given?",
        joined=lambda layer, constant, silent: all(a in silent for a in layer["inputs"]),
    ),
    believing(
        "Everything after a silent layer is constant.",
        "So it is in a chain. A skip that leads around it, or another branch, brings the input "
        "back.",
        "Which layers feed the one that you named too many?",
        joined=lambda layer, constant, silent: bool(constant),
    ),
    believing(
        "One constant input makes a layer constant.",
        "Inputs are added. A constant added to something that varies varies.",
        "What is the sum of 5 and a number that differs from sample to sample?",
        joined=lambda layer, constant, silent: (
            not layer["inputs"] or any(a in constant for a in layer["inputs"])
        ),
    ),
    believing(
        "Constant is what puts out zeros.",
        "A bias makes something else of a zero, the same on every sample: constant, and not zero.",
        "What does a layer with a bias put out if it is given zeros?",
        joined=lambda layer, constant, silent: (
            not layer["bias"] and all(a in constant for a in layer["inputs"])
        ),
    ),
    believing(
        "A cascade has one origin: the first silent layer.",
        "Where a skip leads around the first, the next silent layer starts a cascade of its own.",
        "What does your function do with the second name in silent?",
        begins=lambda layer, silent, before: layer["name"] in silent and not before,
    ),
    believing(
        "Silent and constant are two different things.",
        "0 on every sample is the same on every sample: a silent layer is constant as well.",
        "On which two samples does a silent layer put out different numbers?",
        told=lambda constant, layers, silent: [a for a in constant if a not in silent],
    ),
    believing(
        "What is cut off from the loss is constant.",
        "That is the other direction. What lies before a silent layer gets no gradient, and its "
        "output varies as before.",
        "What does the first layer see of the silent one when it computes its output?",
        told=_behind,
    ),
    believing(
        "What nothing feeds is no part of a cascade.",
        "It is given zeros on every sample and puts out the same on every sample.",
        "On which two samples would its output differ?",
        joined=lambda layer, constant, silent: (
            bool(layer["inputs"]) and all(a in constant for a in layer["inputs"])
        ),
    ),
    believing(
        "A list of names is a list of what works.",
        "You name the layers that vary. The task asks for those that are constant.",
        "Is the silent layer in your list?",
        told=lambda constant, layers, silent: [
            layer["name"] for layer in layers if layer["name"] not in constant
        ],
    ),
)

EXERCISE = Exercise(
    reference=constant_outputs,
    challenge=challenge,
    observe=observe,
    hints=(
        "Go through the layers from the input up, and keep the names of those you know to be "
        "constant. What do you ask of the next layer?",
        "Two ways lead into the list: to be silent, or to be fed by constant layers only. x is in "
        "no such list.",
        "all(name in constant for name in layer['inputs']) is True, too, for a layer without "
        "inputs.",
    ),
    lesson="07_lock_cascades",
    section="What goes forward",
    frameworks=("python",),
    minutes=10,
    difficulty=2,
    note="The biases were not needed: they decide what the constant is, not whether it is one. For "
    "gradients that is different, since a weight asks whether its input is zero.",
)
