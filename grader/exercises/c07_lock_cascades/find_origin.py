"""Where a cascade begins, from four numbers for each layer of a chain: plain Python."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from grader.instruments import layer_graphs
from grader.instruments.layer_graphs import NAMES, among, names_as_expected
from grader.instruments.torch_nets import texts
from grader.judging.exercise import Exercise, beliefs_about, claim, needing, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def find_origin(records):
    """Name the locked layers at which the cascades in a chain begin.

    Two readings find them. Up: the lowest layer that puts out the same for every sample. Down: the
    highest layer whose bias gets a gradient of 0. What a reading finds is locked, and counts, if
    its slopes are all 0. (Layers without slopes between the two may suffer only. Repair what is
    found, and measure again.)

    Args:
        records: list of dicts, one for each layer of a chain, from the input up: its ``"name"``;
            ``"range"``, the largest range of a unit over the samples; ``"bias_gradient"``, the
            norm of the gradient of its bias, or None where no gradient comes, since the path is
            cut; ``"slopes"``, the share of its slopes that are not 0. All zeros are exact, and a
            number that is not 0 may be tiny.

    Returns:
        List of names in any order, each once: two, one, or none.

    Example:
        >>> numbers = {"a": (2.1, 0.0, 0.5), "b": (0.0, 0.0, 0.0), "c": (0.0, 0.3, 1.0)}
        >>> keys = ["range", "bias_gradient", "slopes"]
        >>> records = [{"name": n, **dict(zip(keys, v))} for n, v in numbers.items()]
        >>> find_origin(records)
        ['b']
    """
    constant = [record for record in records if record["range"] == 0]
    unmoved = [record for record in records if record["bias_gradient"] == 0]
    found = constant[:1] + unmoved[-1:]
    return sorted({record["name"] for record in found if record["slopes"] == 0})


def challenge(rng: np.random.Generator) -> Challenge:
    depth = int(rng.integers(9, 12))
    low = int(rng.integers(2, 4))
    high = int(rng.integers(low + 3, depth - 2))
    between = (low + high) // 2

    def case(
        kind: str,
        silent: Iterable[int] = (),
        opens: int = 0,
        flat: bool = False,
        cut: int = 0,
        size: float = 1.0,
    ) -> Inputs:
        """Of layer `opens` all weights are 0; no gradient comes to layers up to `cut`."""
        locked, names = list(silent), rng.choice(NAMES, depth, replace=False)
        constant_from = min([*locked, opens or depth + 1, depth + 1])
        still_up_to = max([*locked, opens - 1, depth if flat else 0, 0])
        records = []
        for k, name in enumerate(names, start=1):
            share = float(rng.uniform(0.2, 0.8)) if k < depth else 1.0
            gradient = 0.0 if k <= still_up_to else size * float(rng.uniform(0.1, 2))
            records.append(
                {
                    "name": str(name),
                    "range": 0.0 if k >= constant_from else size * float(rng.uniform(0.5, 3)),
                    "bias_gradient": None if k <= cut else gradient,
                    "slopes": 0.0 if k in locked else (share if size == 1 else 1e-12 * share),
                }
            )
        return {"records": records, "kind": kind}

    return {
        "one silent layer": case("one", [low]),
        "one silent layer, higher up": case("one", [high]),
        "the first layer is silent": case("one", [1]),
        "the last layer is silent": case("one", [depth]),
        "two silent layers": case("two", [low, high]),
        "two silent neighbours": case("two", [low, low + 1]),
        "the first and the last layer": case("two", [1, depth]),
        "three layers without slopes": case("two", [low, between, high]),
        "four layers without slopes": case("two", [low, low + 1, high - 1, high]),
        "a healthy chain": case("other", []),
        "a layer whose weights are 0": case("other", opens=high),
        "weights of 0 below a silent layer": case("other", [high], opens=low),
        "weights of 0 above a silent layer": case("other", [low], opens=high),
        "weights of 0 below two silent layers": case("other", [between, high], opens=low),
        "weights of 0 above two silent layers": case("other", [low, between], opens=high),
        "a flat loss and two silent layers": case("other", [low, high], flat=True),
        "a flat loss": case("other", flat=True),
        "a flat loss and a silent layer": case("other", [low], flat=True),
        "a cut path": case("cut", cut=high),
        "a path that is cut above a silent layer": case("cut", [low], cut=high),
        "a path that is cut below a silent layer": case("cut", [high], cut=low),
        "a path that is cut at the second of two": case("cut", [low, high], cut=high),
        "numbers near 1e-20": case("small", [between], size=1e-20),
        "numbers near 1e-20, two silent layers": case("small", [low, high], size=1e-20),
        "numbers near 1e-20, weights of 0": case("small", opens=high, size=1e-20),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    records = deepcopy(inputs["records"])
    returned = texts(candidate(records))
    if isinstance(returned, list):
        returned += [f"{name} twice" for name in set(returned) if returned.count(name) > 1]
    named = among(returned, [record["name"] for record in inputs["records"]])
    return {"kind": inputs["kind"], **named, "stays": records == inputs["records"]}


@claim(3, "Which layer is constant though what it is given varies?", of_kind("one"))
def one_origin_is_found(seen: Evidence, expected: Evidence) -> Finding:
    """Of one silent layer and all that suffers from it, the silent one alone is named."""
    return names_as_expected(seen, expected)


@claim(3, "From which two ends can a chain be read?", of_kind("two"))
def both_ends_are_read(seen: Evidence, expected: Evidence) -> Finding:
    """Of several, the lowest and the highest are named: each reading finds the one it meets."""
    return names_as_expected(seen, expected)


@claim(
    2,
    "What do the slopes say of the layer that a reading has found?",
    of_kind("other"),
    needs=one_origin_is_found,
)
def slopes_confirm(seen: Evidence, expected: Evidence) -> Finding:
    """A layer that has slopes is not named: its weights are 0, or the loss is flat."""
    return names_as_expected(seen, expected)


@claim(1, "What is a gradient that is None?", of_kind("cut"), needs=both_ends_are_read)
def none_is_no_zero(seen: Evidence, expected: Evidence) -> Finding:
    """Where the path is cut there is no gradient, not one of 0, and the way down finds nothing."""
    return names_as_expected(seen, expected)


@claim(1, "Below which number is something 0 to you?", of_kind("small"), needs=one_origin_is_found)
def small_is_no_zero(seen: Evidence, expected: Evidence) -> Finding:
    """Ranges, gradients and shares of slopes may be tiny and are not 0."""
    return names_as_expected(seen, expected)


SHARED = needing(one_origin_is_found, layer_graphs.description_stays)

Record = dict[str, Any]


def read(
    records: Sequence[Record],
    zero: Part = lambda value: value == 0,
    up: Part = lambda constant: constant[:1],
    down: Part = lambda unmoved: unmoved[-1:],
    locked: Part = lambda record, zero: zero(record["slopes"]),
    more: Part = lambda records: [],
    told: Part = lambda above, below: above + below,
) -> list[str]:
    """The right answer in parts."""
    constant = up([record for record in records if zero(record["range"])])
    unmoved = down([record for record in records if zero(record["bias_gradient"])])
    found = told(constant, unmoved) + more(records)
    return list({record["name"]: record for record in found if locked(record, zero)})


believing = beliefs_about(read)
BELIEFS = (
    believing(
        "The first constant layer is the origin of it all.",
        "It hides those above: a second silent layer is constant, too, as is all around it. The "
        "gradients, read from the loss down, show it.",
        "Which layer is the highest whose bias gets no gradient?",
        down=lambda unmoved: [],
    ),
    believing(
        "The gradients show where it begins.",
        "They show the highest locked layer. All below get 0 alike, and a second one is not seen; "
        "nor is any if the loss is flat.",
        "Which layer is the lowest that puts out the same on every sample?",
        up=lambda constant: [],
    ),
    believing(
        "A cascade begins at the first layer without a gradient.",
        "That is the first layer of all: gradients come from the loss down, and it is the last to "
        "suffer.",
        "From which end does a gradient come?",
        up=lambda constant: [],
        down=lambda unmoved: unmoved[:1],
    ),
    believing(
        "A cascade begins at the last constant layer.",
        "Outputs go upwards, and the last constant layer is the last to suffer.",
        "Which of the constant layers is given something that varies?",
        up=lambda constant: constant[-1:],
        down=lambda unmoved: [],
    ),
    believing(
        "Each layer without slopes is an origin.",
        "Between two others it may be without slopes because of what it is given. That shows when "
        "they are repaired.",
        "What is the layer in the middle given?",
        more=lambda records: [record for record in records if record["slopes"] == 0],
    ),
    believing(
        "What the readings find is locked.",
        "A layer whose weights are 0 is constant as well, and opens in one step. Under a flat loss "
        "nothing gets a gradient.",
        "Which share of its slopes is 0, in the layer that you name too many?",
        locked=lambda record, zero: True,
    ),
    believing(
        "An origin is where both readings meet.",
        "They meet if there is one. Of two silent layers each reading finds another.",
        "What do you return for two silent layers?",
        told=lambda above, below: [record for record in above if record in below],
    ),
    believing(
        "No gradient is a gradient of 0.",
        "None says that nothing was computed: the path is cut. Nothing below the cut can be judged "
        "by its gradient.",
        "Which locks show as None, and which as 0?",
        zero=lambda value: not value,
    ),
    believing(
        "What is smaller than 1e-8 is 0.",
        "All zeros here are exact. A deep network has ranges and gradients that are far smaller.",
        "How large is the smallest number in these records that is not 0?",
        zero=lambda value: value is not None and value < 1e-8,
    ),
    believing(
        "A layer is an origin if some of its slopes are 0.",
        "Each ReLU layer has such slopes. It is locked if all of them are.",
        "Which share of slopes is there in a healthy ReLU layer?",
        locked=lambda record, zero: record["slopes"] < 1,
    ),
)

EXERCISE = Exercise(
    reference=find_origin,
    challenge=challenge,
    observe=observe,
    hints=(
        "Collect the layers of range 0 and those whose bias gradient is 0, both from the input up. "
        "Which end of which list do you need?",
        "The first of the constant ones, and the last of those without a gradient. Either list may "
        "be empty: a slice such as found[:1] does not mind.",
        "Keep what has slopes of 0. If both readings find the same layer, name it once.",
    ),
    lesson="07_lock_cascades",
    section="Origin and symptom",
    frameworks=("python",),
    minutes=10,
    difficulty=3,
    note="paramlock.certificate reads the same numbers along the graph of the layers, where there "
    "are skips as well, and lists the consequences of each origin with it.",
)
