"""Which gradients are exactly zero, in a network of any shape: plain Python."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from grader.instruments import layer_graphs
from grader.instruments.layer_graphs import case, chain, names_as_expected, tangled
from grader.judging.exercise import Exercise, beliefs_about, claim, needing, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def zero_gradient_names(layers, silent):
    """Name the tensors whose gradient is exactly zero.

    A layer adds up what its inputs put out, applies a weight, a bias if it has one, and a ReLU. A
    silent one puts out 0, whatever it is given, and its slopes are 0. Take it that nothing else is
    out of order: no other unit is dead, no weight is 0, and no two gradients cancel each other.

    Args:
        layers: list of dicts, one for each layer, with its ``"name"``, its ``"inputs"``, a list of
            names, and its ``"bias"``, a bool. Each layer stands after those that feed it. ``"x"``
            among the inputs is the input of the network. A layer without inputs is given zeros.
            The last layer's output goes to the loss. Another layer may feed nothing.
        silent: list of the names of the silent layers, in any order. It may be empty.

    Returns:
        List of names in any order: ``"a.weight"`` and ``"a.bias"`` are those of layer ``"a"``.
        Tensors that the loss does not depend on are named as well, as in JAX.

    Example:
        >>> layers = [
        ...     {"name": "a", "inputs": ["x"], "bias": True},
        ...     {"name": "b", "inputs": ["a"], "bias": False},
        ...     {"name": "c", "inputs": ["b", "x"], "bias": True},
        ... ]
        >>> sorted(zero_gradient_names(layers, ["b"]))
        ['a.bias', 'a.weight', 'b.weight']
    """
    zeros = set()
    for layer in layers:
        fed = any(name not in zeros for name in layer["inputs"])
        if layer["name"] in silent or not (fed or layer["bias"]):
            zeros.add(layer["name"])
    found, reached = [], {layers[-1]["name"]}
    for layer in reversed(layers):
        arrives = layer["name"] in reached and layer["name"] not in silent
        if arrives:
            reached.update(layer["inputs"])
        if layer["bias"] and not arrives:
            found.append(f"{layer['name']}.bias")
        if not arrives or all(name in zeros for name in layer["inputs"]):
            found.append(f"{layer['name']}.weight")
    return found


def challenge(rng: np.random.Generator) -> Challenge:
    depth = int(rng.integers(8, 11))
    k = int(rng.integers(4, depth - 2))  # at least three layers below, and two above
    every = range(1, depth + 1)
    forked = [[0], [1], [2], [1], [4], [3, 5], [6]]

    def silenced(
        kind: str, silent: Sequence[int], *skips: tuple[int, int], bare: Sequence[int] = ()
    ) -> Inputs:
        return case(rng, kind, chain(depth, *skips), silent, bare)

    def tangle(size: int) -> Inputs:
        silent = [int(a) for a in rng.choice(np.arange(1, size - 1), 3, replace=False)]
        bare = [int(a) for a in rng.choice(np.arange(1, size), size // 2, replace=False)]
        return case(rng, "branch", tangled(rng, size), silent, bare)

    return {
        "a chain": silenced("chain", [k]),
        "a chain, the first layer silent": silenced("chain", [1]),
        "a chain, the last layer silent": silenced("chain", [depth]),
        "a chain, two silent layers": silenced("chain", [k + 1, 2]),
        "a chain, nothing silent": silenced("healthy", [], bare=[k]),
        "no layer has a bias": silenced("bare", [k], bare=every),
        "the silent layer has no bias": silenced("bare", [k], bare=[k]),
        "the layer after the silent one has no bias": silenced("bare", [k], bare=[k + 1]),
        "two layers after the silent one have none": silenced("bare", [k], bare=[k + 1, k + 2]),
        "the second after the silent one has none": silenced("bare", [k], bare=[k + 2]),
        "a skip around the silent layer": silenced("skip", [k], (k - 1, k + 1)),
        "a skip far around it": silenced("skip", [k], (k - 2, k + 2)),
        "a skip that begins at it": silenced("skip", [k], (k, k + 2)),
        "a skip that ends at it": silenced("skip", [k], (k - 2, k)),
        "a skip from the input to the last layer": silenced("skip", [k], (0, depth)),
        "a skip around one silent layer of two": silenced("skip", [2, k + 1], (1, 3)),
        "a skip around it, no biases": silenced("skip", [k], (k - 2, k + 2), bare=every),
        "all skips": case(rng, "skip", [range(j) for j in every], [k, k - 1], [k, k + 1]),
        "one branch of two is silent": case(rng, "branch", forked, [3], [4]),
        "both branches are silent": case(rng, "branch", forked, [5, 3]),
        "a branch that leads nowhere": case(
            rng, "branch", [[0], [1], [1], [3], [2], [5]], [3], [4]
        ),
        **{f"a tangle of {size} layers": tangle(size) for size in (10, 12, 14)},
        "layers without inputs": case(
            rng, "source", [[0], [], [2], [1, 3], [], [5], [6, 4], [7]], [], [5]
        ),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    tensors = {"weight": lambda layer: True, "bias": lambda layer: layer["bias"]}
    known = [
        f"{layer['name']}.{tensor}"
        for layer in inputs["layers"]
        for tensor, is_there in tensors.items()
        if is_there(layer)
    ]
    return layer_graphs.asked(candidate, inputs, known)


@claim(3, "Of which two factors is a weight's gradient made, and a bias's?", of_kind("chain"))
def a_chain_is_named_in_full(seen: Evidence, expected: Evidence) -> Finding:
    """In a chain it is all up to the silent layer, and the weight right after it, and no more."""
    return names_as_expected(seen, expected)


@claim(2, "Along which paths can a gradient come down to that layer?", of_kind("skip"))
def one_path_is_enough(seen: Evidence, expected: Evidence) -> Finding:
    """A gradient arrives at a layer if a path leads from it to the loss around all silent ones."""
    return names_as_expected(seen, expected)


@claim(2, "What does a layer without a bias put out if it is given zeros?", of_kind("bare"))
def zeros_go_on_without_a_bias(seen: Evidence, expected: Evidence) -> Finding:
    """A layer without a bias hands zeros on, and the next weight gets no gradient either."""
    return names_as_expected(seen, expected)


@claim(2, "What feeds that layer, and what does it feed?", of_kind("branch"))
def follows_the_inputs(seen: Evidence, expected: Evidence) -> Finding:
    """The inputs decide, and not the place in the list, also where branches part, join or end."""
    return names_as_expected(seen, expected)


@claim(
    1,
    "By what is the gradient of a weight multiplied that is given zeros?",
    of_kind("source", "healthy"),
    needs=a_chain_is_named_in_full,
)
def what_is_given_zeros_learns_its_bias(seen: Evidence, expected: Evidence) -> Finding:
    """Where nothing is silent, only the weight of a layer gets 0 that is given zeros."""
    return names_as_expected(seen, expected)


SHARED = needing(a_chain_is_named_in_full, layer_graphs.description_stays)

Layer = dict[str, Any]


def _zeros(layers: Sequence[Layer], silent: Sequence[str], hands_on: Part) -> set[str]:
    """The layers that put out zeros."""
    zeros: set[str] = set()
    for layer in layers:
        if layer["name"] in silent or hands_on(layer, zeros):
            zeros.add(layer["name"])
    return zeros


def _hands_on(layer: Layer, zeros: set[str]) -> bool:
    return not layer["bias"] and zeros.issuperset(layer["inputs"])


def _reached(layers: Sequence[Layer], silent: Sequence[str], meets: Part, sinks: Part) -> set[str]:
    """The layers to whose output a gradient comes."""
    reached: set[str] = set()
    for layer in reversed(layers):
        above = [other["name"] for other in layers if layer["name"] in other["inputs"]]
        heard = meets(name in reached and name not in silent for name in above)
        if (above and heard) or sinks(layer, layers, above):
            reached.add(layer["name"])
    return reached


def named(
    layers: Sequence[Layer],
    silent: Sequence[str],
    hands_on: Part = _hands_on,
    meets: Part = any,
    sinks: Part = lambda layer, layers, above: layer is layers[-1],
    passes: Part = lambda layer, silent: layer["name"] not in silent,
    given: Part = lambda layer, zeros: zeros.issuperset(layer["inputs"]),
    biases: Part = lambda layer, starved: layer["bias"],
    starved_too: Part = lambda layer: False,
    arrives: Part = lambda layer, layers, silent, found: found,
) -> list[str]:
    """The right answer in parts."""
    zeros = _zeros(layers, silent, hands_on)
    reached = _reached(layers, silent, meets, sinks)
    found: list[str] = []
    for layer in layers:
        learns = layer["name"] in reached and passes(layer, silent)
        locked = not arrives(layer, layers, silent, learns)
        starved = given(layer, zeros)
        found += [f"{layer['name']}.weight"] if locked or starved else []
        is_zero = locked or (starved and starved_too(layer))
        found += [f"{layer['name']}.bias"] if is_zero and biases(layer, starved) else []
    return found


def _place(layers: Sequence[Layer], silent: Sequence[str]) -> int:
    """How many layers there are up to the last silent one."""
    return max((k for k, one in enumerate(layers, 1) if one["name"] in silent), default=0)


believing = beliefs_about(named)
BELIEFS = (
    believing(
        "A silent layer locks all up to it, and nothing above.",
        "So it is often said, and it is one tensor short. The next layer's weight gets a gradient "
        "times its input, and that input is 0.",
        "What is the weight right after the silent layer multiplied with?",
        given=lambda layer, zeros: False,
    ),
    believing(
        "A layer that is given zeros gets no gradient at all.",
        "Its weight gets none. Its bias asks for no input and learns.",
        "What is the derivative of weight * 0 + bias by the bias?",
        starved_too=lambda layer: True,
    ),
    believing(
        "What is constant counts as zero.",
        "Above the next layer the inputs are the same on every sample, and not 0: what biases made "
        "of it. The weights there get a gradient.",
        "What does a layer with a bias put out if it is given zeros?",
        hands_on=lambda layer, zeros: zeros.issuperset(layer["inputs"]),
    ),
    believing(
        "Only a silent layer puts out zeros.",
        "A layer without a bias makes zeros of zeros, and hands them to the next one.",
        "What does a layer without a bias put out if it is given zeros?",
        hands_on=lambda layer, zeros: False,
    ),
    believing(
        "All that stands before a silent layer is locked.",
        "So it is in a chain. A skip around it, or another branch, carries the gradient on.",
        "Which layers does the one that you named too many feed?",
        arrives=lambda layer, layers, silent, found: (
            found and layers.index(layer) >= _place(layers, silent)
        ),
    ),
    believing(
        "A layer is locked as soon as one of those it feeds is.",
        "Gradients from all of them are added. One that is not zero is enough.",
        "What is the sum of 0 and a gradient that comes another way?",
        meets=all,
    ),
    believing(
        "One input of zeros makes the weight's gradient zero.",
        "Inputs are added before the weight. It is zero if all of them are.",
        "What is a layer given that is fed by a silent one and a healthy one?",
        given=lambda layer, zeros: not layer["inputs"] or bool(zeros & set(layer["inputs"])),
    ),
    believing(
        "The silent layer itself can still learn.",
        "Its slopes are 0, so nothing arrives at its own weight and bias: it cannot free itself.",
        "By which slope is a gradient multiplied before it comes to the silent layer's bias?",
        passes=lambda layer, silent: True,
    ),
    believing(
        "A lock stays in the layer that is silent, and in the weight after it.",
        "In a chain every gradient comes to the layers below through the silent one.",
        "Which way does the gradient of the first layer take?",
        arrives=lambda layer, layers, silent, found: layer["name"] not in silent,
    ),
    believing(
        "Every output gets a gradient.",
        "Only from the loss. What the loss does not depend on gets none, whoever computes it.",
        "Which path leads from that layer to the last one?",
        sinks=lambda layer, layers, above: not above,
    ),
    believing(
        "A cascade goes upwards only.",
        "That is what outputs do. Gradients come down: the layers below the silent one get none.",
        "From where does a gradient come to the first layer?",
        arrives=lambda layer, layers, silent, found: (
            not _place(layers, silent) or layers.index(layer) < _place(layers, silent) - 1
        ),
    ),
    believing(
        "Each layer has a bias.",
        "Some have none, and what is not there has no gradient to be zero.",
        "What does the description of that layer say of its bias?",
        biases=lambda layer, starved: True,
    ),
)

EXERCISE = Exercise(
    reference=zero_gradient_names,
    challenge=challenge,
    observe=observe,
    hints=(
        "Ask two questions of each layer: is all that it is given 0, and does a gradient arrive at "
        "it? Which of its tensors needs which answer?",
        "Go through the layers from the input up and keep the names of those that put out zeros. A "
        "silent one does, and one without a bias that is given nothing else.",
        "Then from the last layer down: keep the names of those to which a gradient comes. If one "
        "of these is not silent, it hands the gradient to all its inputs.",
        "A bias gets 0 where nothing arrives, or the layer is silent. A weight gets 0 there too, "
        "and where all its inputs put out zeros.",
    ),
    lesson="07_lock_cascades",
    section="What goes backward",
    frameworks=("python",),
    minutes=20,
    difficulty=4,
    note="A network that is drawn from such a description, with positive weights and in float64, "
    "has exactly these zeros: the names are a theorem, and no threshold was needed.",
)
