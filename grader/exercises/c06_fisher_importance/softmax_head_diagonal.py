"""The true Fisher diagonal of a softmax head in closed form, at logits of any size."""

from typing import Any

import numpy as np

from grader.instruments.diagonals import agree, in_units
from grader.instruments.moves import moved
from grader.instruments.pairs import finding
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def softmax_head_diagonal(features, logits):
    """Write down the true Fisher diagonal of a softmax head, without autograd.

    A head is a linear layer whose outputs are the logits of C classes. Its true Fisher diagonal is
    the mean, over the samples, of the expected squared score of each weight and each bias.

    Args:
        features: numpy array of shape (N, D), the inputs of the head, N from 1 on.
        logits: numpy array of shape (N, C), its outputs. They may be as large as 1000 or -1000.

    Returns:
        Pair of arrays: for the weight, shape (C, D), and for the bias, shape (C,).

    Example:
        >>> of_weight, of_bias = softmax_head_diagonal(np.array([[2.0]]), np.array([[0.0, 0.0]]))
        >>> of_weight.tolist(), of_bias.tolist()
        ([[1.0], [1.0]], [0.25, 0.25])
    """
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = shifted / shifted.sum(axis=1, keepdims=True)
    spread = p * (1 - p)
    return spread.T @ features**2 / len(features), spread.mean(axis=0)


def challenge(rng: np.random.Generator) -> Challenge:
    n, d, c = (int(size) for size in rng.choice(np.arange(3, 9), 3, replace=False))

    def case(
        kind: str, samples: int = n, width: int = d, classes: int = c, **own: Any
    ) -> dict[str, Any]:
        features = rng.choice([-1.0, 1.0], (samples, width)) * rng.uniform(0.2, 2, (samples, width))
        logits = 1.5 * rng.normal(size=(samples, classes))
        return {"kind": kind, "unit": 1.0, "features": features, "logits": logits} | own

    around = 1.5 * rng.normal(size=(n, c))
    levels = np.where(np.arange(n) % 2, 1000.0, -1000.0)[rng.permutation(n), None]
    sure = np.where(rng.permutation(c) == 0, 1000.0, -1000.0) + 0 * around
    sure[0] = around[0]
    small = case("range")
    return {
        "undecided": case("plain"),
        "many samples": case("plain", samples=30 + n),
        "as many classes as features": case("plain", width=c),
        "two classes": case("plain", classes=2),
        "one sample": case("plain", samples=1),
        "one feature": case("plain", width=1),
        "features that cancel": case("plain", features=np.where(np.arange(2 * n) % 2, -1.0, 1.0)[
            :, None
        ] * rng.uniform(1, 2, d), logits=1.5 * rng.normal(size=(2 * n, c))),
        "every logit 1000 higher": case("large", logits=around + 1000),
        "every logit 1000 lower": case("large", logits=around - 1000),
        "samples at -1000 and at 1000": case("large", logits=around + levels),
        "sure of one class, by 2000": case("large", logits=sure),
        "sure of one class, by about 20": case("range", logits=around + 20 * np.eye(c)[
            rng.integers(0, c, n)], unit=1e-9),
        "features near 1e-10": small | {"features": 1e-10 * small["features"], "unit": 1e-20},
    }  # fmt: skip


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    given = {name: inputs[name].copy() for name in ("features", "logits")}
    with np.errstate(all="ignore"):
        returned = candidate(*given.values())
    is_pair = isinstance(returned, tuple | list) and len(returned) == 2
    pair = returned if is_pair else [returned, returned]
    return {
        "kind": inputs["kind"],
        "unit": inputs["unit"],
        "count": len(returned) if isinstance(returned, tuple | list) else 1,
        "weight": in_units(pair[0], inputs["unit"]),
        "bias": in_units(pair[1], 1.0),
        "changed": moved({name: inputs[name] for name in given}, given),
    }


def _weight(seen: Evidence, expected: Evidence) -> Finding:
    met, words = agree(seen["weight"], expected["weight"], expected["unit"], "F of the weight")
    return finding(seen, met, words)


def _bias(seen: Evidence, expected: Evidence) -> Finding:
    return finding(seen, *agree(seen["bias"], expected["bias"], 1.0, "F of the bias"))


@claim(4, "What is the expected squared score of a logit, and of a weight?", of_kind("plain"))
def has_the_weight(seen: Evidence, expected: Evidence) -> Finding:
    """Each weight has the mean of its class' spread times its squared feature."""
    return _weight(seen, expected)


@claim(2, "What is the input of a bias?", of_kind("plain"))
def has_the_bias(seen: Evidence, expected: Evidence) -> Finding:
    """Each bias has the mean of its class' spread."""
    return _bias(seen, expected)


@claim(
    3,
    "What may be taken off all logits of a sample, and changes no probability?",
    of_kind("large"),
    needs=has_the_weight,
)
def stands_large_logits(seen: Evidence, expected: Evidence) -> Finding:
    """Logits of 1000 and -1000 give finite numbers, and right ones, sample by sample."""
    weight, bias = _weight(seen, expected), _bias(seen, expected)
    return bias if weight[0] else weight


@claim(1, "Which number does your code add or cut?", of_kind("range"), needs=has_the_weight)
def keeps_the_scale(seen: Evidence, expected: Evidence) -> Finding:
    """Small features and small spreads keep their digits."""
    return _weight(seen, expected)


@claim(1, "Which of your lines write into an array?", needs=has_the_weight)
def leaves_the_arrays_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The arrays given are left as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def _largest_of_each(logits: np.ndarray) -> np.ndarray:
    return logits.max(axis=1, keepdims=True)


def by_hand(
    features: np.ndarray,
    logits: np.ndarray,
    shift: Part = _largest_of_each,
    axis: Part = lambda: 1,
    spread: Part = lambda p: p * (1 - p),
    square: Part = np.square,
    weight: Part = lambda spread, squares: spread.T @ squares / len(squares),
    bias: Part = lambda spread: spread.mean(axis=0),
) -> tuple[np.ndarray, np.ndarray]:
    """The right answer in parts."""
    powers = np.exp(logits - shift(logits))
    s = spread(powers / powers.sum(axis=axis(), keepdims=True))
    return weight(s, square(features)), bias(s)


believing = beliefs_about(by_hand)
BELIEFS = (
    believing(
        "exp of a logit is a number.",
        "exp(1000) is infinity in floating point, and infinity over infinity is NaN. Below, at "
        "-1000, it is zero over zero.",
        "What is np.exp(1000.0)?",
        shift=lambda logits: 0.0,
    ),
    believing(
        "The largest logit of all may be taken off.",
        "Where one sample has logits near 1000 and another near -1000, the other's powers all "
        "become zero. Each sample has its own largest.",
        "What is left of a row of -1000 after 1000 has been taken off?",
        shift=lambda logits: logits.max(),
    ),
    believing(
        "The spread of a class is its probability.",
        "The expected squared score is p (1 - p)² + (1 - p) p². A class that is certain has none.",
        "What can the answer tell where p is 1?",
        spread=lambda p: p,
    ),
    believing(
        "The class is the answer.",
        "(1 - p)² is the squared score if it is. It is with probability p only, and if not, the "
        "squared score is p².",
        "What is the score of a logit if another class is the answer, and how often is it?",
        spread=lambda p: (1 - p) ** 2,
    ),
    believing(
        "What the answer is does not count.",
        "The squared score is (1 - p)² if the class is the answer and p² if not. You take each "
        "half of the time, and not as often as it happens.",
        "With which probability is each of the two the case?",
        spread=lambda p: ((1 - p) ** 2 + p**2) / 2,
    ),
    believing(
        "A feature enters as it is.",
        "The score of a weight is that of its logit times the feature, and it is squared.",
        "What does a feature of -2 do to F, what one of 2?",
        square=lambda features: features,
    ),
    believing(
        "The mean feature speaks for all samples.",
        "Undecided samples count more. Spread and feature belong to the same sample, and are "
        "multiplied before the mean is taken.",
        "Which sample's features count where only one sample is undecided?",
        weight=lambda spread, squares: np.outer(spread.mean(0), squares.mean(0)),
    ),
    believing(
        "F is the sum over the samples.",
        "It would grow with the data, and a strength λ with it. F is a mean.",
        "What becomes of your numbers if each sample is given twice?",
        weight=lambda spread, squares: spread.T @ squares,
        bias=lambda spread: spread.sum(axis=0),
    ),
    believing(
        "The weight lies as it is multiplied.",
        "The shape asked for is (C, D), a row for each class, as in torch. Yours is (D, C).",
        "What is the shape of the weight of nn.Linear(5, 3)?",
        weight=lambda spread, squares: squares.T @ spread / len(squares),
    ),
    believing(
        "A softmax goes down the columns.",
        "The probabilities of a sample add up to 1, and samples are rows.",
        "Over which axis do your probabilities add up to 1?",
        axis=lambda: 0,
    ),
)

EXERCISE = Exercise(
    reference=softmax_head_diagonal,
    challenge=challenge,
    observe=observe,
    hints=(
        "One logit first: if its class is the answer the score is 1 - p, else -p. Square both, "
        "and weigh them with how often each happens.",
        "It comes to p (1 - p). A weight has its squared feature as a factor; a bias has 1.",
        "Take each row's largest logit off before np.exp: axis=1, keepdims=True. Samples are the "
        "rows of both arrays, so one matrix product adds over them.",
    ),
    lesson="06_fisher_importance",
    section="A softmax head by hand",
    frameworks=("torch", "jax"),
    minutes=12,
    difficulty=3,
    note="F is largest where the network is undecided, and nearly nothing where it is sure. So the "
    "same head has another F after more training, though it knows no less.",
)
