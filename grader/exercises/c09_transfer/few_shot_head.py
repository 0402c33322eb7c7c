"""A linear head for a few samples, by ridge regression in closed form: numpy.

Source: Hoerl & Kennard 1970, "Ridge regression: biased estimation for nonorthogonal problems",
Technometrics 12.
"""

from typing import Any

import numpy as np

from grader.instruments.moves import moved
from grader.instruments.words import furthest, listed
from grader.judging.evidence import alike
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def few_shot_head(features, labels, classes, decay):
    """Fit a linear head to a few samples, with a penalty on its weights.

    The scores of a sample f are weight @ f + bias, one for each class. Its targets are 1 for its
    class and 0 for every other. The head is the one that makes

        sum of (scores - targets)**2 over all samples and classes + decay * sum of weight**2

    smallest. The bias is not penalised.

    Args:
        features: float array of shape (N, D), of the frozen body. N may be smaller than D, and 1.
        labels: int array of shape (N,), classes from 0 to ``classes`` - 1. Not every class need
            occur: one that does not has targets of 0 throughout.
        classes: how many classes there are, K.
        decay: a float above 0.

    Returns:
        Pair (weight, bias) of arrays of shapes (K, D) and (K,). The arguments stay as they are.

    Example:
        >>> weight, bias = few_shot_head(np.array([[1.0], [-1.0]]), np.array([0, 1]), 2, 2.0)
        >>> weight.tolist(), bias.tolist()
        ([[0.25], [-0.25]], [0.5, 0.5])
    """
    targets = np.eye(classes)[labels]
    centre, mean = features.mean(axis=0), targets.mean(axis=0)
    centred = features - centre
    penalty = decay * np.eye(features.shape[1])
    weight = np.linalg.solve(centred.T @ centred + penalty, centred.T @ targets).T
    return weight, mean - weight @ centre


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, samples: int, width: int, decay: float, **more: Any) -> dict[str, Any]:
        """Features as a body with ReLU gives them: none is negative, and few are near 0."""
        classes = int(rng.integers(3, 6))
        features = rng.gamma(2.0, size=(samples, width)) + rng.uniform(0, 3, width)
        labels = rng.integers(classes, size=samples)
        given = {"features": features, "labels": labels, "classes": classes, "decay": decay}
        return {"kind": kind, **given, **more}

    some, wide = int(rng.integers(9, 15)), int(rng.integers(20, 30))
    strength = float(rng.uniform(0.5, 3.0))
    missing = {"labels": rng.permutation([0, 0, 0, 2, 2, 2, 2]), "classes": 5}
    return {
        "more samples than features": case("plain", 4 * some, 5, strength),
        "many samples, a weak penalty": case("plain", 9 * some, 3, 0.01 * strength),
        "a strong penalty": case("plain", 3 * some, 4, 100 * strength),
        "fewer samples than features": case("few", some, wide, strength),
        "far fewer, a weak penalty": case("few", 5, wide, 0.1 * strength),
        "classes that do not occur": case("missing", 7, 6, strength, **missing),
        "one sample": case("one", 1, 4, strength),
        "a feature that is the same for all": case("constant", some, 6, strength)
        | {"features": np.concatenate([rng.normal(size=(some, 5)), np.ones((some, 1))], axis=1)},
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    given = {name: inputs[name].copy() for name in ("features", "labels")}
    returned = candidate(*given.values(), inputs["classes"], inputs["decay"])
    if not isinstance(returned, list | tuple) or len(returned) != 2:
        return None if returned is None else f"<{type(returned).__name__}>"
    weight, bias = (np.asarray(part, float) for part in returned)
    changed = moved({name: inputs[name] for name in given}, given)
    return {"kind": inputs["kind"], "weight": weight, "bias": bias, "changed": changed}


def _fitted(seen: Evidence, expected: Evidence) -> Finding:
    """Whether weight and bias are the right ones, and where they are farthest from them."""
    for part in ("weight", "bias"):
        ours, right = seen[part], expected[part]
        if not alike(ours, right):
            place, shown, due = furthest(ours, right)
            where = ", ".join(str(k - 1) for k in place)
            return False, f"{part}[{where}] is {shown}, where {due} was expected"
    return True, "weight and bias are as expected"


@claim(3, "At which weights is the slope of the whole sum zero?", of_kind("plain"))
def minimises_the_sum(seen: Evidence, expected: Evidence) -> Finding:
    """Weight and bias make the squared error and the penalty together as small as can be."""
    return _fitted(seen, expected)


@claim(2, "Which matrix do you invert, and what is its rank?", of_kind("few"), minimises_the_sum)
def copes_with_few_samples(seen: Evidence, expected: Evidence) -> Finding:
    """The same holds where there are fewer samples than features."""
    return _fitted(seen, expected)


@claim(1, "How many rows has your weight?", of_kind("missing"), minimises_the_sum)
def knows_all_classes(seen: Evidence, expected: Evidence) -> Finding:
    """A class that no sample has gets a row of weights and a bias, too."""
    return _fitted(seen, expected)


@claim(1, "What is left of one sample without its mean?", of_kind("one"), minimises_the_sum)
def copes_with_one_sample(seen: Evidence, expected: Evidence) -> Finding:
    """From one sample only the bias learns."""
    return _fitted(seen, expected)


@claim(1, "What varies in a feature that is always 1?", of_kind("constant"), minimises_the_sum)
def leaves_the_constant_to_the_bias(seen: Evidence, expected: Evidence) -> Finding:
    """What is the same for all samples is left to the bias, which costs nothing."""
    return _fitted(seen, expected)


@claim(1, "Which of your lines writes into an argument?", needs=minimises_the_sum)
def leaves_its_arguments_alone(seen: Evidence, expected: Evidence) -> Finding:
    """Features and labels are as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


Fit = tuple[np.ndarray, np.ndarray]


def _one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return (labels[:, None] == np.arange(classes)).astype(float)


def _of_those_that_occur(labels: np.ndarray, classes: int) -> np.ndarray:
    return (labels[:, None] == np.unique(labels)).astype(float)


def _ridge(x: np.ndarray, y: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Weights of shape (D, K)."""
    return np.linalg.solve(x.T @ x + penalty, x.T @ y)


def _about_the_means(x: np.ndarray, y: np.ndarray, decay: float, solve: Part) -> Fit:
    weight = solve(x - x.mean(0), y - y.mean(0), decay * np.eye(x.shape[1]))
    return weight.T, y.mean(0) - x.mean(0) @ weight


def _through_zero(x: np.ndarray, y: np.ndarray, decay: float, solve: Part) -> Fit:
    return solve(x, y, decay * np.eye(x.shape[1])).T, np.zeros(y.shape[1])


def _with_ones(x: np.ndarray, y: np.ndarray, decay: float, solve: Part) -> Fit:
    joined = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    whole = solve(joined, y, decay * np.eye(joined.shape[1]))
    return whole[:-1].T, whole[-1]


def _mean_as_bias(x: np.ndarray, y: np.ndarray, decay: float, solve: Part) -> Fit:
    weight, _ = _about_the_means(x, y, decay, solve)
    return weight, y.mean(0)


def fitted(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    decay: float,
    targets: Part = _one_hot,
    scaled: Part = lambda x: x,
    strength: Part = lambda decay, x: decay,
    fit: Part = _about_the_means,
    solve: Part = _ridge,
) -> Fit:
    """The right answer in parts."""
    x = scaled(features)
    return fit(x, targets(labels, classes), strength(decay, x), solve)


believing = beliefs_about(fitted)
BELIEFS = (
    believing(
        "The bias is a weight like the others.",
        "Penalised, it is drawn to 0, and the weights make up for it along the mean of the "
        "features.",
        "Which part of the sum holds the bias?",
        fit=_with_ones,
    ),
    believing(
        "A linear head needs no bias.",
        "Features of a body with ReLU are far from 0 on average, and the mean target is 1 in K. "
        "The weights have to carry both.",
        "What are the scores of a sample whose features are all 0?",
        fit=_through_zero,
    ),
    believing(
        "With centred features the bias is the mean target.",
        "So it is for centred features. Your head is used on features as they are.",
        "What are the scores at the mean of the features?",
        fit=_mean_as_bias,
    ),
    believing(
        "An error is a mean over samples.",
        "The task has the sum. With the mean the same penalty weighs N times as much.",
        "By how much does your penalty grow with the number of samples?",
        strength=lambda decay, x: decay * len(x),
    ),
    believing(
        "The slope of decay * weight**2 is 2 * decay * weight, so the matrix has 2 * decay.",
        "The squared error has that 2 in its slope as well, and the two go out.",
        "What is the slope of the squared error?",
        strength=lambda decay, x: 2 * decay,
    ),
    believing(
        "The pseudo-inverse finds the smallest weights, so no penalty is needed.",
        "It finds the smallest of those that fit best. With fewer samples than features they fit "
        "every label, right or not.",
        "Where does decay enter in your fit?",
        solve=lambda x, y, penalty: np.linalg.pinv(x) @ y,
    ),
    believing(
        "Features have to be standardised first.",
        "The weights are then those of other features. The caller's have their own scales, and "
        "this penalty is on the weights for those.",
        "To which features will your weight be applied?",
        scaled=lambda x: (x - x.mean(0)) / (x.std(0) + 1e-8),
    ),
    believing(
        "The classes are those that occur.",
        "With few samples one may be missing. Then your rows are fewer, and row 1 is class 2.",
        "How many different labels are there, and how many classes?",
        targets=_of_those_that_occur,
    ),
    believing(
        "The targets of a classifier are 1 and -1.",
        "Here they are 1 and 0. Scores are twice as large otherwise, and their mean is another.",
        "What is the target of a sample for a class that is not its own?",
        targets=lambda labels, classes: 2 * _one_hot(labels, classes) - 1,
    ),
)

EXERCISE = Exercise(
    reference=few_shot_head,
    challenge=challenge,
    observe=observe,
    hints=(
        "At the smallest sum the slope by the bias is 0: the scores are right on average. So "
        "take the mean from features and targets first; no bias is left to be found.",
        "Then set the slope by the weights to 0. It is a linear equation with a D by D matrix "
        "that the penalty makes invertible.",
        "np.linalg.solve(A, B) with A = X.T @ X + decay * np.eye(D) and B = X.T @ Y, both "
        "centred, gives the weights, turned round. The bias puts the means right again.",
    ),
    lesson="09_transfer",
    section="Cached features",
    frameworks=("torch", "jax"),
    minutes=20,
    difficulty=3,
    note="With N far below D the same weights come out of an N by N matrix: X.T @ solve(X @ X.T + "
    "decay * np.eye(N), Y). Choose decay on samples that the head has not seen; it is the only "
    "number here to be chosen, beside 5,130 weights for ten classes and 512 features.",
)
