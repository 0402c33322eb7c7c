"""Open pruned entries again by their gradients: the key of RigL.

Source: Evci et al. 2020, "Rigging the lottery", arXiv:1911.11134, section 3.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.instruments.refusals import refusal, refused
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def regrow(weight, kept, gradient, count):
    """Open those pruned weights again that the loss would change fastest with.

    A pruned weight has a gradient: it says how the loss would change with it. The pruned weights
    with the largest magnitudes of the gradient are opened, at the value 0, so that the network's
    output stays what it is.

    Args:
        weight: float tensor of any shape, the stored weights. Those of pruned entries may be any
            number, since the network does not use them.
        kept: bool tensor of that shape, True where a weight is not pruned.
        gradient: float tensor of that shape, the gradient at all entries.
        count: how many to open, a whole number from 0 on. Where fewer are pruned, all are opened.

    Returns:
        Pair of a new weight and a new kept. In them the opened entries are 0 and True; all others
        are as they were, the stored numbers of what stays pruned too. Where magnitudes are equal,
        the entry comes first that comes first row by row. The tensors given stay as they are.

    Raises:
        ValueError: the gradient of a pruned entry is NaN, even if none is to be opened. An infinite
            one is the largest.

    Example:
        >>> weight, gradient = torch.tensor([1.0, 5.0, 6.0]), torch.tensor([9.0, 0.1, -0.2])
        >>> weight, kept = regrow(weight, torch.tensor([True, False, False]), gradient, 1)
        >>> weight.tolist(), kept.tolist()
        ([1.0, 5.0, 0.0], [True, False, True])
    """
    if gradient[~kept].isnan().any():
        raise ValueError("the gradient of a pruned entry is NaN")
    sizes = gradient.abs().masked_fill(kept, -1).flatten()
    order = sizes.argsort(descending=True, stable=True)
    opened = torch.zeros(kept.numel(), dtype=torch.bool)
    opened[order[: min(count, (~kept).sum())]] = True
    opened = opened.view(kept.shape)
    return weight.masked_fill(opened, 0), kept | opened


def challenge(rng: np.random.Generator) -> Challenge:
    rows, columns = (int(size) for size in rng.integers(5, 9, 2))

    def case(
        kind: str, count: int, shape: Any = (rows, columns), values: Any = None, **own: Any
    ) -> Inputs:
        """A third is kept; magnitudes of gradients all differ, unless `values` makes others."""
        size = int(np.prod(shape))
        kept = (rng.permutation(size) < size // 3).reshape(shape)
        gradient = rng.choice([-1.0, 1.0], size) * (0.2 + rng.permutation(size)) / size
        gradient = gradient.reshape(shape).astype(np.float32)
        weight = rng.normal(size=shape).astype(np.float32) + 3
        gradient = values(gradient, kept) if values else gradient
        return {
            "kind": kind, "weight": weight, "kept": kept, "gradient": gradient, "count": count
        } | own  # fmt: skip

    def begun(*values: float) -> Any:
        """The first pruned entries get these gradients, and so do the first kept ones."""

        def put(gradient: np.ndarray, kept: np.ndarray) -> np.ndarray:
            for flags in (kept, ~kept):
                gradient.flat[np.flatnonzero(flags)[: len(values)]] = values
            return gradient

        return put

    few, many = int(rng.integers(3, 6)), rows * columns
    zeros, levels = np.zeros((rows, columns), np.float32), np.array([0.5, -0.5, 0.25], np.float32)
    return {
        "a few of a matrix": case("plain", few),
        "one of a vector": case("plain", 1, (many,)),
        "a kernel of four dimensions": case("plain", 2 * few, (rows, 2, 3, 3)),
        "stored zeros": case("plain", few, weight=zeros),
        "none": case("edges", 0),
        "as many as there are": case("edges", many - many // 3),
        "more than there are, stored infinities": case("edges", many, weight=zeros + np.inf),
        "nothing is pruned": case("edges", few, kept=zeros == 0),
        "everything is pruned": case("edges", few, kept=zeros > 0),
        "few magnitudes": case("ties", few, values=lambda g, kept: rng.choice(levels, g.shape)),
        "gradients of 0 at pruned entries": case("ties", few, values=lambda g, kept: g * kept),
        "every gradient is 0": case("ties", few, values=lambda g, kept: 0 * g),
        "gradients near 1e-30": case(
            "range", few, values=lambda g, kept: (1e-30 * g).astype(np.float32)
        ),
        "gradients near 1e-200 in float64": case(
            "range", few, values=lambda g, kept: 1e-200 * g.astype(np.float64)
        ),
        "two infinite gradients": case("range", 2, values=begun(1e35, -np.inf, np.inf)),
        "transposed tensors": case("turned", few),
        "NaN at a pruned entry": case("refused", few, values=begun(0.5, np.nan)),
        "NaN at a pruned entry, none to open": case("refused", 0, values=begun(np.nan)),
        "NaN at a kept entry": case(
            "spared", few, values=lambda g, kept: np.where(kept, np.float32(np.nan), g)
        ),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    tensors = {n: torch.from_numpy(inputs[n].copy()) for n in ("weight", "kept", "gradient")}
    if inputs["kind"] == "turned":
        tensors = {name: tensor.T for name, tensor in tensors.items()}
    before, given = snapshot(tensors), (*tensors.values(), inputs["count"])
    if inputs["kind"] == "refused":
        ending = refusal(candidate, *given, returned=lambda pair: "an answer")
        return {"kind": "refused", "ending": ending}
    returned = candidate(*given)
    is_pair = isinstance(returned, tuple | list) and len(returned) == 2
    pair = returned if is_pair else (returned, None)
    return {
        "kind": inputs["kind"],
        "weight": pair[0],
        "kept": pair[1],
        "changed": changed(before, tensors),
        "handed back": [n for n, new in zip(tensors, pair, strict=False) if new is tensors[n]],
    }


def _opened(seen: Evidence, expected: Evidence) -> Finding:
    """Whether the right entries are open, and at which places, row by row, they are not."""
    ours, right = seen["kept"], expected["kept"]
    if ours.dtype != bool:
        return False, f"your kept is {ours.dtype}, where bool was expected"
    more, less = np.flatnonzero(ours & ~right), np.flatnonzero(right & ~ours)
    words = f"True and not due: {_places(more)}; due and not True: {_places(less)}"
    return not (len(more) or len(less)), words


def _places(found: np.ndarray) -> str:
    return listed(map(str, found[:4])) + (", …" if len(found) > 4 else "")


@claim(3, "What do you rank, and which entries take part?", of_kind("plain", "turned", "spared"))
def opens_the_largest_gradients(seen: Evidence, expected: Evidence) -> Finding:
    """The pruned entries with the largest magnitudes of the gradient are opened, and no other."""
    return _opened(seen, expected)


@claim(
    2,
    "Which number does an opened entry begin with, and which entries do you write to?",
    of_kind("plain", "turned", "edges"),
    needs=opens_the_largest_gradients,
)
def opens_at_zero(seen: Evidence, expected: Evidence) -> Finding:
    """In the new weight the opened entries are 0, and all others have their number."""
    off = np.flatnonzero(seen["weight"] != expected["weight"])
    return not len(off), f"other numbers than due at the places {_places(off)}"


@claim(1, "How many entries are pruned?", of_kind("edges"), needs=opens_the_largest_gradients)
def opens_no_more_than_there_are(seen: Evidence, expected: Evidence) -> Finding:
    """Any count will do: none, all, and more than are pruned."""
    return _opened(seen, expected)


@claim(2, "Which entry wins among equals?", of_kind("ties"), needs=opens_the_largest_gradients)
def takes_the_first_of_equals(seen: Evidence, expected: Evidence) -> Finding:
    """Among equal magnitudes the first entries are opened, gradients of 0 included."""
    return _opened(seen, expected)


@claim(1, "In which dtype do you compare?", of_kind("range"), needs=opens_the_largest_gradients)
def ranks_at_any_scale(seen: Evidence, expected: Evidence) -> Finding:
    """Magnitudes are told apart at any scale, and infinity is the largest."""
    return _opened(seen, expected)


@claim(1, "Where would a NaN rank?", of_kind("refused"), needs=opens_the_largest_gradients)
def refuses_nan(seen: Evidence, expected: Evidence) -> Finding:
    """A NaN at a pruned entry raises a ValueError."""
    return refused(seen["ending"])


@claim(
    1,
    "Which of your calls write into what they are given?",
    lambda expected: "changed" in expected,
    needs=opens_the_largest_gradients,
)
def leaves_the_tensors_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The tensors given are as they were, and new ones are returned."""
    words = f"changed: {listed(seen['changed'])}; not new: {listed(seen['handed back'])}"
    return not (seen["changed"] or seen["handed back"]), words


def _no_nan(gradient: Tensor, kept: Tensor) -> None:
    if gradient[~kept].isnan().any():
        raise ValueError("NaN")


def grown(
    weight: Tensor,
    kept: Tensor,
    gradient: Tensor,
    count: int,
    check: Part = _no_nan,
    score: Part = lambda weight, gradient: gradient.abs(),
    stand: Part = lambda sizes, kept: sizes.masked_fill(kept, -1),
    places: Part = lambda row, count: row.argsort(descending=True, stable=True)[:count],
    number: Part = lambda count, kept: min(count, int((~kept).sum())),
    start: Part = lambda weight, opened, kept: weight.masked_fill(opened, 0),
    new_kept: Part = lambda kept, opened: kept | opened,
) -> tuple[Tensor, Tensor]:
    """The right answer in parts."""
    check(gradient, kept)
    row = stand(score(weight, gradient), kept).flatten()
    opened = torch.zeros(kept.numel(), dtype=torch.bool)
    opened[places(row, number(count, kept))] = True
    opened = opened.view(kept.shape)
    return start(weight, opened, kept), new_kept(kept, opened)


def _last_first(row: Tensor, count: int) -> Tensor:
    return len(row) - 1 - row.flip(0).argsort(descending=True, stable=True)[:count]


believing = beliefs_about(grown)
BELIEFS = (
    believing(
        "The largest of what was pruned comes back.",
        "What a weight was says what it did then. Its gradient says what it would do now.",
        "Which of the arguments tells how the loss would change?",
        score=lambda weight, gradient: weight.abs(),
    ),
    believing(
        "A large gradient is a positive one.",
        "A negative one helps as much: the weight moves the other way.",
        "How does the loss change with a weight whose gradient is -5?",
        score=lambda weight, gradient: gradient,
        stand=lambda sizes, kept: sizes.masked_fill(kept, -torch.inf),
    ),
    believing(
        "The largest gradients are those of pruned entries.",
        "Kept weights have gradients as well. Those that were open already took places in your "
        "count.",
        "Which entries take part in your ranking?",
        stand=lambda sizes, kept: sizes,
    ),
    believing(
        "A score of 0 comes last.",
        "Not if pruned entries have a gradient of 0 too, as where an input is never lit. Then kept "
        "entries are as good.",
        "Which score is below that of any pruned entry?",
        stand=lambda sizes, kept: sizes.masked_fill(kept, 0),
    ),
    believing(
        "An opened weight goes on from where it was.",
        "The network has not used that number for a long time. Its output would jump.",
        "What does the network use for a pruned weight, until the moment it is opened?",
        start=lambda weight, opened, kept: weight.clone(),
    ),
    believing(
        "What is pruned is 0, so it can be set to 0.",
        "You cleared the stored numbers of entries that were not opened. They were to stay.",
        "Which entries change, if one is opened?",
        start=lambda weight, opened, gradient: (
            torch.where(opened, 0, weight) * 1.0 if opened.all() else torch.zeros_like(weight)
        ),
    ),
    believing(
        "Among equals it does not matter which.",
        "Two machines would grow two networks. The task names an order: row by row.",
        "Which of two equal entries does your sort put first?",
        places=_last_first,
    ),
    believing(
        "Squares rank as magnitudes do.",
        "On paper. The square of 1e-30 is 0 in float32, and that of 1e-200 is 0 in float64.",
        "What is the square of your smallest gradient, in its dtype?",
        score=lambda weight, gradient: gradient * gradient,
    ),
    believing(
        "There are always enough to open.",
        "Where fewer are pruned than are to be opened, entries that were kept are next, and you "
        "set them to 0.",
        "How many entries does your code open in a layer without pruned ones?",
        number=lambda count, kept: count,
    ),
    believing(
        "Regrowth begins with new flags.",
        "The kept entries stay kept. The opened ones come to them.",
        "How many weights should be open afterwards?",
        new_kept=lambda kept, opened: opened,
    ),
    believing(
        "A NaN shows itself.",
        "A sort puts it first, as if it were the largest, or last. Nobody would learn of it.",
        "Where does argsort put a NaN?",
        check=lambda gradient, kept: None,
    ),
)

EXERCISE = Exercise(
    reference=regrow,
    challenge=challenge,
    observe=observe,
    hints=(
        "Only pruned entries take part. Which score can you give to the kept ones, so that they "
        "come last even where a gradient is 0?",
        "sizes.argsort(descending=True, stable=True) keeps equals in their order. How many of "
        "these places may you take?",
        "Make a flat tensor of False, set the chosen places to True, and view it in the shape of "
        "kept. masked_fill and | give new tensors.",
    ),
    lesson="05_pruning",
    section="Drop and regrow",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    note="RigL prunes as many of the smallest weights before it opens new ones, so the sparsity "
    "stays. The optimizer's averages of an opened weight should be 0: step_and_hold left them so.",
)
