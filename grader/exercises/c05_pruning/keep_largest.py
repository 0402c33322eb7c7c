"""Which weights stay when the smallest go: exact counts, over all tensors or in each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.instruments.refusals import refusal, refused
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def keep_largest(tensors, sparsity, everywhere):
    """Choose the weights that stay when the smallest ones are pruned.

    Args:
        tensors: dict of names to tensors of floats, of any shape and of any float dtype. There is
            at least one number. They stay as they are, and they may be parameters.
        sparsity: the share to prune, from 0 to 1.
        everywhere: whether the smallest magnitudes of all tensors together go, or in each tensor
            its own.

    Returns:
        Dict of the same names to bool tensors of the same shapes, True where a weight stays. Of n
        numbers (of all tensors, or of each) exactly ``round(sparsity * n)`` are False, and none of
        these has a larger magnitude than one that is True. Where magnitudes are equal, any of them
        may go.

    Raises:
        ValueError: sparsity is not between 0 and 1, or a number of a tensor is NaN or infinite.

    Example:
        >>> weights = {"a": torch.tensor([0.1, -0.2]), "b": torch.tensor([3.0, -4.0])}
        >>> {name: keep.tolist() for name, keep in keep_largest(weights, 0.5, True).items()}
        {'a': [False, False], 'b': [True, True]}
        >>> {name: keep.tolist() for name, keep in keep_largest(weights, 0.5, False).items()}
        {'a': [False, True], 'b': [False, True]}
    """
    finite = all(tensor.isfinite().all() for tensor in tensors.values())
    if not (finite and 0 <= sparsity <= 1):
        raise ValueError(f"a share from 0 to 1 of finite numbers is needed, not {sparsity}")
    kept = {}
    for names in [[*tensors]] if everywhere else [[name] for name in tensors]:
        sizes = torch.cat([tensors[name].abs().flatten() for name in names])
        keep = torch.ones(len(sizes), dtype=torch.bool)
        keep[sizes.argsort()[: round(sparsity * len(sizes))]] = False
        for name, part in zip(names, keep.split([tensors[n].numel() for n in names]), strict=True):
            kept[name] = part.view(tensors[name].shape)
    return kept


def challenge(rng: np.random.Generator) -> Challenge:
    a, b = (int(size) for size in rng.integers(5, 9, 2))

    def drawn(*shape: int, scale: float = 1.0, dtype: str = "float32") -> np.ndarray:
        """Magnitudes that are all different, of both signs."""
        count = int(np.prod(shape))
        ranks = rng.permutation(count) + rng.uniform(0.1, 0.9)
        signs = rng.choice([-1.0, 1.0], count)
        return (scale * signs * (1 + ranks / (count + 1))).reshape(shape).astype(dtype)

    def case(*given: Any) -> Inputs:
        return dict(zip(("kind", "tensors", "sparsity", "everywhere"), given, strict=True))

    share = float(rng.uniform(0.35, 0.65))
    layers = {"first": drawn(a, b, scale=0.7), "second": drawn(b, a), "head": drawn(3, b, scale=2)}
    shapes = {"conv": drawn(a, 2, 3, 3), "bias": drawn(b, scale=0.8), "gain": drawn(scale=1.1)}
    empty = {"nothing": np.zeros((0, 3), np.float32), "one": drawn(1)}
    zeros = np.where(rng.random((a, b)) < 0.5, 0, drawn(a, b)).astype(np.float32)
    tied = rng.choice([-0.5, 0.5, 1.0], (a, b)).astype(np.float32)
    tiny = {"tiny": drawn(a, b, scale=1e-200, dtype="float64"), "small": drawn(b, scale=1e-30)}
    apart = {"low": drawn(a, b, scale=1e-12), "high": np.abs(drawn(a, b, scale=1e38))}
    wide = {"half": drawn(3, 5, dtype="float16"), "double": drawn(a, b, dtype="float64")}
    small = {"small": drawn(3, 3)}
    spoilt = [drawn(a, b) for _ in range(3)]
    for array, value in zip(spoilt, (np.nan, np.inf, -np.inf), strict=True):
        array[1, 2] = value
    return {
        "in each of three layers": case("each", layers, share, False),
        "over three layers": case("all", layers, share, True),
        "shapes (N, 2, 3, 3), (N,) and (), in each": case("each", shapes | empty, share, False),
        "shapes (N, 2, 3, 3), (N,) and () together": case("all", shapes | empty, share, True),
        "29 % of 100": case("count", {"weight": drawn(10, 10)}, 0.29, False),
        **{f"{s:.0%} of a 3 by 3": case("count", small, s, False) for s in (0.05, 0.07, 0.5)},
        "nothing goes": case("count", layers, 0.0, True),
        "everything goes": case("count", layers, 1.0, True),
        "few magnitudes, often met": case("ties", {"weight": tied, "other": tied.T}, share, True),
        "all magnitudes equal": case("ties", {"weight": np.full((a, b), -0.3)}, share, False),
        "half of the weights are 0, fewer go": case("ties", {"weight": zeros}, 0.23, False),
        "half of the weights are 0, more go": case("ties", {"weight": zeros}, 0.77, False),
        "numbers near 1e-30 and 1e-200": case("range", tiny, share, False),
        "numbers near 1e-12 and 1e38": case("range", apart, share, False),
        "float16 and float64 together": case("range", wide, share, True),
        "a sparsity of 1.2": case("refused", layers, 1.2, True),
        "a sparsity of -0.1": case("refused", layers, -0.1, False),
        "a sparsity of NaN": case("refused", layers, float("nan"), False),
        **{
            f"{array[1, 2]} among the weights": case("refused", small | {"w": array}, share, every)
            for array, every in zip(spoilt, (True, False, True), strict=True)
        },
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    kind, arrays, everywhere = inputs["kind"], inputs["tensors"], inputs["everywhere"]
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    for tensor in list(tensors.values())[::2]:
        tensor.requires_grad_()
    before, given = snapshot(tensors), (inputs["sparsity"], everywhere)
    if kind == "refused":
        ending = refusal(candidate, dict(tensors), *given, returned=lambda flags: "flags")
        return {"kind": kind, "ending": ending, "changed": changed(before, tensors)}
    returned = candidate(dict(tensors), *given)
    if not _fits(returned, arrays):
        empty: Evidence = dict.fromkeys(("types", "pruned", "of", "order", "changed"), ())
        return {"kind": kind, "kept": {} if kind == "ties" else returned, **empty}
    flags = {name: returned[name].detach().numpy() for name in arrays}
    groups = [[*arrays]] if everywhere else [[name] for name in arrays]
    return {
        "kind": kind,
        "types": sorted({str(keep.dtype) for keep in flags.values()}),
        "pruned": [sum(int((flags[name] == 0).sum()) for name in names) for names in groups],
        "of": [sum(arrays[name].size for name in names) for names in groups],
        "order": [_order(names, arrays, flags) for names in groups],
        "kept": {} if kind == "ties" else flags,
        "changed": changed(before, tensors),
    }


def _fits(returned: Any, arrays: Mapping[str, np.ndarray]) -> bool:
    shapes = {name: array.shape for name, array in arrays.items()}
    named = returned if isinstance(returned, dict) else {}
    return shapes == {n: k.shape if isinstance(k, Tensor) else () for n, k in named.items()}


def _order(names: list[str], arrays: Mapping[str, Any], flags: Mapping[str, Any]) -> str:
    """Whether a weight went that is larger than one that stays."""
    sizes = np.concatenate([np.abs(arrays[name]).ravel() for name in names])
    keep = np.concatenate([flags[name].ravel() for name in names]).astype(bool)
    if keep.all() or not keep.any() or sizes[~keep].max() <= sizes[keep].min():
        return "the smallest went"
    return "a larger one went, a smaller one stayed"


def _chosen(seen: Evidence, expected: Evidence) -> Finding:
    """The finding about one case: types, counts, order."""
    if seen["types"] != expected["types"]:
        return False, f"your tensors are {listed(seen['types'])}, where bool was expected"
    if seen["pruned"] != expected["pruned"]:
        words = f"you prune {seen['pruned']} of {seen['of']}"
        return False, f"{words}, where {expected['pruned']} was expected"
    found = sorted({*seen["order"]})
    return seen["order"] == expected["order"], listed(found[:1])


@claim(3, "What is ranked, and among which numbers?", of_kind("each"))
def ranks_in_each_tensor(seen: Evidence, expected: Evidence) -> Finding:
    """In each tensor its own smallest magnitudes go, as many as its share."""
    return _chosen(seen, expected)


@claim(3, "What is ranked, and among which numbers?", of_kind("all"))
def ranks_over_all_tensors(seen: Evidence, expected: Evidence) -> Finding:
    """Everywhere, the smallest magnitudes of all tensors together go."""
    return _chosen(seen, expected)


@claim(1, "How many is the share of so many numbers?", of_kind("count"), needs=ranks_in_each_tensor)
def counts_exactly(seen: Evidence, expected: Evidence) -> Finding:
    """The count is the nearest whole number: none of few, all at a sparsity of 1."""
    return _chosen(seen, expected)


@claim(2, "How many weights lie exactly at your threshold?", of_kind("ties"), ranks_in_each_tensor)
def counts_exactly_among_equals(seen: Evidence, expected: Evidence) -> Finding:
    """Where magnitudes are equal the count is exact all the same."""
    return _chosen(seen, expected)


@claim(1, "In which dtype do you compare magnitudes?", of_kind("range"), ranks_in_each_tensor)
def ranks_at_any_scale(seen: Evidence, expected: Evidence) -> Finding:
    """Magnitudes are told apart at any scale and in any dtype."""
    return _chosen(seen, expected)


@claim(1, "Where in a ranking would a NaN stand?", of_kind("refused"), ranks_in_each_tensor)
def refuses_what_cannot_be_ranked(seen: Evidence, expected: Evidence) -> Finding:
    """A sparsity outside 0 to 1, a NaN and an infinity raise a ValueError."""
    return refused(seen["ending"])


@claim(1, "Which line of yours writes into a tensor?", needs=ranks_in_each_tensor)
def leaves_the_tensors_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The tensors are left as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def _check(tensors: Mapping[str, Tensor]) -> None:
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise ValueError("a number is not finite")


def _first(sizes: Tensor, count: int) -> Tensor:
    keep = torch.ones(len(sizes), dtype=torch.bool)
    keep[sizes.argsort()[:count]] = False
    return keep


def chosen(
    tensors: Mapping[str, Tensor],
    sparsity: float,
    everywhere: bool,
    check: Part = _check,
    together: Part = lambda everywhere: everywhere,
    size: Part = Tensor.abs,
    count: Part = lambda sparsity, sizes: round(sparsity * len(sizes)),
    keep: Part = _first,
) -> dict[str, Tensor]:
    """The right answer in parts."""
    check(tensors)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"{sparsity} is no share")
    names = [*tensors]
    kept: dict[str, Tensor] = {}
    for group in [names] if together(everywhere) else [[name] for name in names]:
        sizes = torch.cat([size(tensors[name].detach()).flatten() for name in group])
        flags = keep(sizes, count(sparsity, sizes))
        parts = flags.split([tensors[name].numel() for name in group])
        kept |= {n: part.view(tensors[n].shape) for n, part in zip(group, parts, strict=True)}
    return kept


def _above(sizes: Tensor, count: int) -> Tensor:
    return sizes > sizes.sort().values[count - 1] if count else torch.ones_like(sizes) > 0


def _from(sizes: Tensor, count: int) -> Tensor:
    return sizes >= sizes.sort().values[count] if count < len(sizes) else torch.ones_like(sizes) < 0


THRESHOLD = (
    "A threshold takes away as many as one asks for.",
    "All that lies at the threshold goes together, or stays together. Among equal magnitudes, "
    "zeros for instance, that is far more or far less than your count.",
    "How many weights would go if all magnitudes were equal?",
)
believing = beliefs_about(chosen)
BELIEFS = (  # one that shows in two ways is there twice
    believing(*THRESHOLD, keep=_above),
    believing(*THRESHOLD, keep=_from),
    believing(
        "The smallest weights are the lowest ones.",
        "The lowest are the most negative, and these may be the largest in magnitude.",
        "Which of -4 and 0.1 does a network use more?",
        size=lambda tensor: tensor,
    ),
    believing(
        "A share of the whole is the same share of each part.",
        "Everywhere means one ranking. A layer with small weights then loses more than others.",
        "How much would a layer lose whose magnitudes are all below the rest?",
        together=lambda everywhere: False,
    ),
    believing(
        "There is one ranking, over all weights.",
        "In each tensor means that each loses the same share, however large its weights are.",
        "Where does your code use the argument everywhere?",
        together=lambda everywhere: True,
    ),
    believing(
        "Sparsity is the share that stays.",
        "It is the share that goes. At 0.9 a tenth is left.",
        "How many weights should stay at a sparsity of 0?",
        count=lambda sparsity, sizes: len(sizes) - round(sparsity * len(sizes)),
    ),
    believing(
        "A count is what int() makes of a number.",
        "int cuts off: 0.63 becomes 0. And 0.29 * 100 is 28.999999999999996.",
        "Which whole number is nearest to 28.999999999999996?",
        count=lambda sparsity, sizes: int(sparsity * len(sizes)),
    ),
    believing(
        "Only what is not yet 0 is counted.",
        "A sparsity of 0.75 means that three quarters of all weights are gone. Zeros are the first "
        "of these, and they count.",
        "How many zeros has a layer of 100 weights at a sparsity of 0.75?",
        count=lambda sparsity, sizes: round(sparsity * int((sizes != 0).sum())),
    ),
    believing(
        "Squares rank as magnitudes do.",
        "On paper. The square of 1e-30 is 0 in float32, and that of 1e-200 is 0 in float64.",
        "What is the square of your smallest weight, in its dtype?",
        size=lambda tensor: tensor * tensor,
    ),
    believing(
        "True marks what goes.",
        "Here True is for the weights that stay.",
        "What does your answer say of the largest weight?",
        keep=lambda sizes, count: ~_first(sizes, count),
    ),
    believing(
        "A NaN shows itself.",
        "It takes a place in the ranking as if it were a size, and so does an infinity.",
        "Which numbers can be ranked by magnitude?",
        check=lambda tensors: None,
    ),
)

EXERCISE = Exercise(
    reference=keep_largest,
    challenge=challenge,
    observe=observe,
    hints=(
        "Take one tensor first. Flatten its magnitudes; how many are to go, and where are they?",
        "Choose by rank and not by threshold: sizes.argsort()[:count] are the places of the count "
        "smallest, also where some are equal.",
        "For all tensors together, torch.cat of the flattened magnitudes is one long row, and "
        "keep.split([...]) with the sizes takes it apart again.",
    ),
    lesson="05_pruning",
    section="Which weights to remove",
    frameworks=("torch",),
    minutes=25,
    difficulty=4,
    note="At high sparsity the one ranking can empty a layer whose weights are small, and then no "
    "gradient passes it: see the lesson's section on an emptied layer.",
)
