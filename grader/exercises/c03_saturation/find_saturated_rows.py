"""Find the attention rows whose softmax is saturated (torch)."""

import math

import numpy as np
import torch
from torch import Tensor

from grader.instruments.snapshots import changed, snapshot
from grader.instruments.words import listed
from grader.judging.evidence import number, numbers
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def find_saturated_rows(q, k, allowed, delta):
    """Mark the rows of an attention layer whose softmax is saturated.

    The scores are ``q @ k.mT / sqrt(d)``, a row per query. A softmax over the allowed keys makes
    weights ``p`` of a row. The row is saturated at ``delta`` if the derivatives of the weights by
    their own scores, ``p_i * (1 - p_i)``, sum to less than ``delta`` over its keys. A row with
    fewer than two allowed keys has nothing to choose, and is never marked.

    Args:
        q: queries, float32 tensor of shape (heads, T, d).
        k: keys, float32 tensor of shape (heads, T, d).
        allowed: boolean tensor of shape (T, T), True where the query of that row may look at the
            key of that column.
        delta: float above 0.

    Returns:
        Boolean tensor of shape (heads, T), True where the row is saturated. ``q``, ``k`` and
        ``allowed`` stay as they are.

    Example:
        >>> q, k = torch.tensor([[[0.0], [100.0]]]), torch.tensor([[[0.0], [1.0]]])
        >>> find_saturated_rows(q, k, torch.ones(2, 2, dtype=torch.bool), 0.1).tolist()
        [[False, True]]
    """
    scores = q @ k.mT / q.shape[-1] ** 0.5
    p = scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)
    sensitivity = (p * (1 - p)).sum(dim=-1)
    return (sensitivity < delta) & (allowed.sum(dim=-1) > 1)


HEADS, LENGTH, WIDTH = 2, 10, 16


def challenge(rng: np.random.Generator) -> Challenge:
    def case(
        kind: str,
        allowed: np.ndarray,
        scale: float = 3,
        delta: float = 0.1,
        shape: tuple[int, int, int] = (HEADS, LENGTH, WIDTH),
    ) -> Inputs:
        q, k = rng.normal(size=(2, *shape)).astype(np.float32)
        return {
            "q": np.float32(scale) * q,
            "k": k,
            "allowed": allowed,
            "delta": delta,
            "kind": kind,
        }

    everything = np.ones((LENGTH, LENGTH), dtype=bool)
    causal = np.tril(everything)
    holes = causal & (rng.random((LENGTH, LENGTH)) < 0.7)
    holes[3] = False
    words = rng.permutation(LENGTH) < 3
    padded = case("far", everything & words, scale=100)
    first, second = np.flatnonzero(words)[:2]
    padded["k"][:, first] = padded["k"][:, second]  # a tie, however far from zero
    padded["q"][..., 0], padded["k"][..., 0] = 100, np.where(words, -12, 12)
    low = {**padded, "q": padded["q"].copy(), "k": padded["k"].copy()}
    low["q"][..., 0], low["k"][:, words, 0] = 1e4, -80
    low["k"][:, first, 0] = low["k"][0, second, 0] = -40  # a tie, and in the other head none
    half = case("plain", everything, delta=0.5)
    half["k"][0, :2] = 0
    half["q"][..., 0], half["k"][..., 0] = 100, [[12, 12, *[-12] * 8], [12, *[-12] * 9]]
    high = case("far", everything, delta=0.5)
    high["q"][..., 0], high["k"][..., 0] = 100, 12
    return {
        "every key allowed": case("plain", everything),
        "every key allowed, a large delta": case("plain", everything, scale=1.5, delta=0.5),
        "two weights of a half, whose derivatives sum to delta": half,
        "one head of another width": case("plain", everything[:7, :7], shape=(1, 7, 9)),
        "a single query": case("masked", everything[:1, :1], shape=(HEADS, 1, WIDTH)),
        "weights spread evenly": case("even", everything, scale=0.02, delta=0.15),
        "a causal mask": case("masked", causal),
        "holes, and a row without keys": case("masked", holes),
        "scores in the hundreds, the highest at padding": padded,
        "scores of minus a hundred thousand": low,
        "all scores near 300": high,
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    tensors = {name: torch.tensor(inputs[name]) for name in ("q", "k", "allowed")}
    before = snapshot(tensors)
    return {
        "rows": candidate(*tensors.values(), inputs["delta"]),
        "keys": inputs["allowed"].sum(axis=1),
        "changed": changed(before, tensors),
        "delta": inputs["delta"],
        "kind": inputs["kind"],
    }


def _rows(seen: Evidence, expected: Evidence, concerned: np.ndarray | bool = True) -> Finding:
    """Whether the concerned queries are judged as expected, in every head."""
    ours, right = seen["rows"], expected["rows"]
    if ours.dtype != bool:
        words = f"your answer holds {numbers(ours.ravel(), 3)}, where truth values were expected"
        return False, words
    concerned = np.broadcast_to(concerned, ours.shape)
    astray = np.argwhere((ours != right) & concerned)
    if not len(astray):
        return True, f"marked: {int((ours & concerned).sum())} of {concerned.sum()}"
    head, query = astray[0]
    verb = "mark" if ours[head, query] else "do not mark"
    count = int(expected["keys"][query])
    keys = f"{count} allowed key{'s' * (count != 1)}"
    words = f"you {verb} row {query} of head {head}, which has {keys}, at delta"
    many = f"{len(astray)} of {concerned.sum()} rows are judged otherwise"
    return False, f"{words} {number(expected['delta'])}; {many}"


@claim(
    3, "By what do you divide q · k, and what of a row do you hold against delta?", of_kind("plain")
)
def marks_saturated_rows(seen: Evidence, expected: Evidence) -> Finding:
    """With every key allowed, a row is marked where its derivatives sum to less than delta."""
    return _rows(seen, expected)


@claim(
    1,
    "How large is p (1 - p) for each of ten equal weights?",
    of_kind("even"),
    marks_saturated_rows,
)
def spares_even_rows(seen: Evidence, expected: Evidence) -> Finding:
    """Weights that are spread evenly over many keys are small, and no row of them is saturated."""
    return _rows(seen, expected)


@claim(2, "What weight do your forbidden keys get?", of_kind("masked"))
def keeps_to_the_allowed_keys(seen: Evidence, expected: Evidence) -> Finding:
    """Only allowed keys take part, in every row that has two or more of them."""
    return _rows(seen, expected, expected["keys"] > 1)


@claim(1, "Which of your steps rounds to 0, or overflows, at a score of 300?", of_kind("far"))
def judges_far_scores(seen: Evidence, expected: Evidence) -> Finding:
    """How far the scores are from zero does not matter, nor how high those of forbidden keys."""
    return _rows(seen, expected)


@claim(1, "Where does your code count the allowed keys?", of_kind("masked"), marks_saturated_rows)
def leaves_rows_without_choice(seen: Evidence, expected: Evidence) -> Finding:
    """A row with fewer than two allowed keys is never marked."""
    return _rows(seen, expected, expected["keys"] < 2)


@claim(1, "Which of your lines writes into a tensor it was given?", needs=marks_saturated_rows)
def leaves_its_inputs(seen: Evidence, expected: Evidence) -> Finding:
    """The tensors q, k and allowed stay as they are."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def judged(
    q: Tensor,
    k: Tensor,
    allowed: Tensor,
    delta: float,
    root: Part = math.sqrt,
    weights: Part = lambda scores, allowed: scores.masked_fill(~allowed, -torch.inf).softmax(-1),
    is_saturated: Part = lambda p, delta: (p * (1 - p)).sum(-1) < delta,
    has_choice: Part = lambda allowed: allowed.sum(-1) > 1,
) -> Tensor:
    """The right answer in parts."""
    p = weights(q @ k.mT / root(q.shape[-1]), allowed)
    return is_saturated(p, delta) & has_choice(allowed)


AXIS = (
    "The keys lie along the axis before the last.",
    "q @ k.mT has a row per query, and the keys lie along its last axis. Along that one a query "
    "shares out one unit of attention, and along that one the derivatives of its row are added.",
    "Which axis of q @ k.mT counts the keys?",
)
NEAR_ONE = (
    "A row is saturated if one weight is within delta of 1.",
    "That is close, but it is another number: with weights 0.93 and 0.07 the derivatives sum to "
    "0.13.",
    "What is the sum of p_i (1 - p_i), if the largest weight is 1 - delta?",
)
SMALL = (
    "A row is saturated if each of its derivatives is small.",
    "Spread evenly over ten keys, each weight is a tenth and each derivative 0.09: all small, and "
    "the row is as free as a row can be. Ten small derivatives add up.",
    "What do p_i (1 - p_i) sum to for ten equal weights, and what for one weight of 1?",
)
believing = beliefs_about(judged)
BELIEFS = (  # one that shows in two ways is there twice
    believing(
        "Attention is a softmax of q · k.",
        "A sum of d products of unit variance has a standard deviation of sqrt(d). Undivided, "
        "such scores drive most rows to a single key.",
        "What is the standard deviation of q · k, for d independent entries of size 1?",
        root=lambda width: 1,
    ),
    believing(
        "q · k is a sum of d terms, so it is divided by d.",
        "Its variance is d, and its standard deviation sqrt(d). Divided by d, all scores are "
        "nearly the same.",
        "By what must a sum of 16 independent numbers be divided to have their size?",
        root=lambda width: width,
    ),
    believing(
        "A boolean mask is True where a key is hidden.",
        "Libraries disagree, which is why this one says `allowed`.",
        "What does the row of the first query in a causal mask look like?",
        weights=lambda scores, allowed: scores.masked_fill(allowed, -torch.inf).softmax(-1),
    ),
    believing(
        "A score of zero takes a key out.",
        "exp(0) is 1. A key of score zero gets a weight, often a large one.",
        "Which score has exp(score) = 0?",
        weights=lambda scores, allowed: (scores * allowed).softmax(-1),
    ),
    believing(
        "Weights can be taken out after the softmax.",
        "What is left no longer sums to 1, and the forbidden keys have taken their share.",
        "What do your weights of one row sum to?",
        weights=lambda scores, allowed: scores.softmax(-1) * allowed,
    ),
    believing(
        *AXIS,
        weights=lambda scores, allowed: (
            scores.masked_fill(~allowed, -torch.inf).softmax(-2).nan_to_num()
        ),
    ),
    believing(
        *AXIS,
        is_saturated=lambda p, delta: (p * (1 - p)).nan_to_num().sum(-2) < delta,
    ),
    believing(*NEAR_ONE, is_saturated=lambda p, delta: p.amax(-1) > 1 - delta),
    believing(
        *NEAR_ONE,
        is_saturated=lambda p, delta: p.amax(-1) > 1 - delta,
        has_choice=lambda allowed: True,
    ),
    believing(
        "A row is saturated if its entropy is below delta.",
        "Entropy and derivatives shrink together, but not alike: weights 0.98 and 0.02 have an "
        "entropy of 0.098, and derivatives that sum to 0.039.",
        "Which of your steps computes a derivative?",
        is_saturated=lambda p, delta: torch.special.entr(p).sum(-1) < delta,
    ),
    believing(*SMALL, is_saturated=lambda p, delta: (p * (1 - p) < delta).all(-1)),
    believing(*SMALL, is_saturated=lambda p, delta: (p * (1 - p)).mean(-1) < delta),
    believing(
        "A row on one key is saturated, however it came to that.",
        "The first query of a causal mask sees one key. Its weight is 1 by design, and no "
        "score could change it.",
        "How many keys could the query of this row have chosen?",
        has_choice=lambda allowed: True,
    ),
    believing(
        "Below delta includes delta.",
        "A sum that equals delta is not below it. Two weights of a half have derivatives that sum "
        "to 0.5, and at 0.5 their row is not saturated.",
        "Which of < and <= does 'less than' stand for?",
        is_saturated=lambda p, delta: (p * (1 - p)).sum(-1) <= delta,
    ),
    believing(
        "A large derivative is a sign of saturation.",
        "You marked the rows that can still move.",
        "What do the derivatives sum to in a row with one weight of 1?",
        is_saturated=lambda p, delta: (p * (1 - p)).sum(-1) > delta,
    ),
)

EXERCISE = Exercise(
    reference=find_saturated_rows,
    challenge=challenge,
    observe=observe,
    hints=(
        "Four steps: scores, forbidden keys, softmax, derivatives. What shape has each, and which "
        "axis counts the keys?",
        "scores.masked_fill(~allowed, -torch.inf) gives a key the weight exp(-inf) = 0. A row of "
        "nothing but -inf becomes NaN, and NaN is not below delta.",
        "Sum p * (1 - p) over the last axis and compare with delta. A row counts only if "
        "allowed.sum(dim=-1) is above 1.",
    ),
    lesson="03_saturation",
    section="Softmax rows and gates",
    frameworks=("torch",),
    minutes=20,
    difficulty=4,
    note="The sum is 1 minus the sum of p squared, which is the chance that two draws from the row "
    "name different keys. A trained head may be saturated and right: look at when it happened.",
)
