"""Find the attention rows whose softmax is saturated (torch)."""

import numpy as np
import torch

from grader.evidence import number, numbers
from grader.exercise import Claim, Exercise, Misconception


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
        Boolean tensor of shape (heads, T), True where the row is saturated.
    """
    scores = q @ k.mT / q.shape[-1] ** 0.5
    p = scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)
    sensitivity = (p * (1 - p)).sum(dim=-1)
    return (sensitivity < delta) & (allowed.sum(dim=-1) > 1)


def challenge(rng):
    heads, length, width = 2, 10, 16

    def case(scale, allowed, delta):
        q = scale * rng.normal(size=(heads, length, width))
        k = rng.normal(size=(heads, length, width))
        return {
            "q": q.astype(np.float32),
            "k": k.astype(np.float32),
            "allowed": allowed,
            "delta": delta,
        }

    everything = np.ones((length, length), dtype=bool)
    causal = np.tril(everything)
    holes = causal & (rng.random((length, length)) < 0.7)
    holes[3] = False
    flat = case(0.02, everything, 0.15)
    return {
        "every key allowed": case(3.0, everything, 0.1),
        "weights spread evenly": flat,
        "a causal mask": case(3.0, causal, 0.1),
        "holes, and a row without keys": case(3.0, holes, 0.1),
    }


def observe(candidate, inputs):
    tensors = [torch.tensor(inputs[name]) for name in ("q", "k", "allowed")]
    before = [tensor.clone() for tensor in tensors]
    rows = candidate(*tensors, inputs["delta"])
    same = all(torch.equal(old, new) for old, new in zip(before, tensors, strict=True))
    return {
        "rows": rows,
        "keys": inputs["allowed"].sum(axis=1),
        "spread": bool(abs(inputs["q"]).max() < 1),
        "changed": not same,
        "delta": inputs["delta"],
    }


def marks_saturated_rows(seen, expected):
    """With every key allowed, a row is marked where its derivatives sum to less than delta."""
    if expected["keys"].min() < 10 or expected["spread"]:
        return None
    return _rows(seen, expected, np.ones(10, bool))


def spares_even_rows(seen, expected):
    """Weights that are spread evenly over many keys are small, and no row of them is saturated."""
    return _rows(seen, expected, np.ones(10, bool)) if expected["spread"] else None


def keeps_to_the_allowed_keys(seen, expected):
    """Only allowed keys take part, in every row that has two or more of them."""
    if expected["keys"].min() == 10:
        return None
    return _rows(seen, expected, expected["keys"] > 1)


def leaves_rows_without_choice(seen, expected):
    """A row with fewer than two allowed keys is never marked."""
    if expected["keys"].min() == 10:
        return None
    return _rows(seen, expected, expected["keys"] < 2)


def leaves_its_inputs(seen, expected):
    """The tensors q, k and allowed keep their values."""
    return not seen["changed"], "an input changed" if seen["changed"] else "they do"


def _rows(seen, expected, concerned):
    ours, right = seen["rows"], expected["rows"]
    if ours.dtype != bool:
        words = f"your answer holds {numbers(ours.ravel(), 3)}, where truth values were expected"
        return False, words
    astray = np.argwhere((ours != right) & concerned)
    if not len(astray):
        return True, f"marked: {int((ours & concerned).sum())} of {ours.shape[0] * concerned.sum()}"
    head, query = astray[0]
    verb = "mark" if ours[head, query] else "do not mark"
    many = f"{len(astray)} of {ours.shape[0] * concerned.sum()} rows are judged otherwise"
    count = int(expected["keys"][query])
    keys = f"{count} allowed key{'s' * (count != 1)}"
    words = f"you {verb} row {query} of head {head}, which has {keys}, at delta"
    return False, f"{words} {number(expected['delta'])}; {many}"


def _weights(q, k, allowed, root=None):
    scores = q @ k.mT / (root or q.shape[-1] ** 0.5)
    return scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)


def _few(p, allowed, delta):
    return ((p * (1 - p)).sum(dim=-1) < delta) & (allowed.sum(dim=-1) > 1)


def forget_the_root(q, k, allowed, delta):
    return _few(_weights(q, k, allowed, root=1), allowed, delta)


def divide_by_the_width(q, k, allowed, delta):
    return _few(_weights(q, k, allowed, root=q.shape[-1]), allowed, delta)


def take_the_turned_mask(q, k, allowed, delta):
    return _few(_weights(q, k, ~allowed), allowed, delta)


def set_forbidden_scores_to_zero(q, k, allowed, delta):
    p = (q @ k.mT / q.shape[-1] ** 0.5 * allowed).softmax(dim=-1)
    return _few(p, allowed, delta)


def cut_after_the_softmax(q, k, allowed, delta):
    p = (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1) * allowed
    return _few(p, allowed, delta)


def choose_among_the_queries(q, k, allowed, delta):
    scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~allowed, -torch.inf)
    return _few(scores.softmax(dim=-2).nan_to_num(), allowed, delta)


def sum_over_the_queries(q, k, allowed, delta):
    p = _weights(q, k, allowed)
    return ((p * (1 - p)).nan_to_num().sum(dim=-2) < delta) & (allowed.sum(dim=-1) > 1)


def look_for_one_large_weight(q, k, allowed, delta):
    return (_weights(q, k, allowed).amax(dim=-1) > 1 - delta) & (allowed.sum(dim=-1) > 1)


def look_for_one_large_weight_anywhere(q, k, allowed, delta):
    return _weights(q, k, allowed).amax(dim=-1) > 1 - delta


def measure_the_entropy(q, k, allowed, delta):
    p = _weights(q, k, allowed)
    return (torch.special.entr(p).sum(dim=-1) < delta) & (allowed.sum(dim=-1) > 1)


def ask_each_derivative(q, k, allowed, delta):
    p = _weights(q, k, allowed)
    return (p * (1 - p) < delta).all(dim=-1) & (allowed.sum(dim=-1) > 1)


def average_the_derivatives(q, k, allowed, delta):
    p = _weights(q, k, allowed)
    return ((p * (1 - p)).mean(dim=-1) < delta) & (allowed.sum(dim=-1) > 1)


def mark_rows_without_choice(q, k, allowed, delta):
    p = _weights(q, k, allowed)
    return (p * (1 - p)).sum(dim=-1) < delta


def mark_the_awake(q, k, allowed, delta):
    p = _weights(q, k, allowed)
    return ((p * (1 - p)).sum(dim=-1) > delta) & (allowed.sum(dim=-1) > 1)


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

EXERCISE = Exercise(
    reference=find_saturated_rows,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(
            marks_saturated_rows,
            3,
            "By what do you divide q · k, and what of a row do you hold against delta?",
        ),
        Claim(spares_even_rows, 1, "How large is p (1 - p) for each of ten equal weights?"),
        Claim(keeps_to_the_allowed_keys, 2, "What weight do your forbidden keys get?"),
        Claim(leaves_rows_without_choice, 1, "Where does your code count the allowed keys?"),
        Claim(leaves_its_inputs, 1, "Which of your lines writes into a tensor it was given?"),
    ),
    misconceptions=(
        Misconception(
            "Attention is a softmax of q · k.",
            "A sum of d products of unit variance has a standard deviation of sqrt(d). Undivided, "
            "such scores drive most rows to a single key.",
            "What is the standard deviation of q · k, for d independent entries of size 1?",
            forget_the_root,
        ),
        Misconception(
            "q · k is a sum of d terms, so it is divided by d.",
            "Its variance is d, and its standard deviation sqrt(d). Divided by d, all scores are "
            "nearly the same.",
            "By what must a sum of 16 independent numbers be divided to have their size?",
            divide_by_the_width,
        ),
        Misconception(
            "A boolean mask is True where a key is hidden.",
            "Libraries disagree, which is why this one says `allowed`.",
            "What does the row of the first query in a causal mask look like?",
            take_the_turned_mask,
        ),
        Misconception(
            "A score of zero takes a key out.",
            "exp(0) is 1. A key of score zero gets a weight, often a large one.",
            "Which score has exp(score) = 0?",
            set_forbidden_scores_to_zero,
        ),
        Misconception(
            "Weights can be taken out after the softmax.",
            "What is left no longer sums to 1, and the forbidden keys have taken their share.",
            "What do your weights of one row sum to?",
            cut_after_the_softmax,
        ),
        Misconception(
            "The softmax runs over the queries.",
            "Each query shares out one unit of attention among the keys. Your columns sum to 1, "
            "where the rows should.",
            "Which axis of q @ k.mT counts the keys?",
            choose_among_the_queries,
        ),
        Misconception(
            "A row runs from top to bottom.",
            "You added the derivatives of one key over all queries. A row belongs to one query.",
            "Which axis of q @ k.mT counts the keys?",
            sum_over_the_queries,
        ),
        Misconception(*NEAR_ONE, specimen=look_for_one_large_weight),
        Misconception(*NEAR_ONE, specimen=look_for_one_large_weight_anywhere),
        Misconception(
            "A row is saturated if its entropy is below delta.",
            "Entropy and derivatives shrink together, but not alike: weights 0.98 and 0.02 have an "
            "entropy of 0.098, and derivatives that sum to 0.039.",
            "Which of your steps computes a derivative?",
            measure_the_entropy,
        ),
        Misconception(*SMALL, specimen=ask_each_derivative),
        Misconception(*SMALL, specimen=average_the_derivatives),
        Misconception(
            "A row on one key is saturated, however it came to that.",
            "The first query of a causal mask sees one key. Its weight is 1 by design, and no "
            "score could change it.",
            "How many keys could the query of this row have chosen?",
            mark_rows_without_choice,
        ),
        Misconception(
            "A large derivative is a sign of saturation.",
            "You marked the rows that can still move.",
            "What do the derivatives sum to in a row with one weight of 1?",
            mark_the_awake,
        ),
    ),
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
    note="The sum is 1 minus the sum of p squared, which is the chance that two draws from the row "
    "name different keys. A trained head may be saturated and right: look at when it happened.",
)
