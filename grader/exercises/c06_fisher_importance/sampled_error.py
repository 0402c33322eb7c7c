"""The standard error of a Fisher diagonal that is estimated from sampled labels, in closed form."""

from typing import Any

import numpy as np

from grader.instruments.diagonals import agree, in_units
from grader.instruments.moves import moved
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def sampled_error(probabilities, squared_scores, draws):
    """Say how far a Fisher diagonal from sampled labels lies from the true one.

    For each of the N samples ``draws`` labels are drawn, independently, each class with its
    probability. The estimate is the mean of the squared scores over all draws of all samples. Its
    standard error is its standard deviation over many repetitions, with the same samples.

    Args:
        probabilities: numpy array of shape (N, C), rows that add up to 1.
        squared_scores: numpy array of shape (N, C, ...): for each sample, answer and parameter
            the squared score. The axes after the second are those of the parameters, if any.
        draws: labels drawn for each sample, a whole number from 1 on.

    Returns:
        Array of shape (...), the standard error for each parameter. Where every class has the
        same squared score it is 0, whatever rounding does.

    Example:
        >>> probabilities, squared = np.array([[0.5, 0.5]]), np.array([[[0.0], [8.0]]])
        >>> sampled_error(probabilities, squared, 1), sampled_error(probabilities, squared, 4)
        (array([4.]), array([2.]))
    """
    middle = np.einsum("nc,nc...->n...", probabilities, squared_scores)[:, None]
    spread = np.einsum("nc,nc...->n...", probabilities, (squared_scores - middle) ** 2)
    return np.sqrt(spread.sum(0) / draws) / len(probabilities)


def challenge(rng: np.random.Generator) -> Challenge:
    n, c, p = (int(size) for size in rng.choice(np.arange(3, 9), 3, replace=False))

    def case(
        kind: str,
        draws: int,
        shape: tuple[int, ...] = (p,),
        samples: int = n,
        unit: float = 1.0,
        **own: Any,
    ) -> Inputs:
        """Samples are of very different sizes, so that it matters how they are added up."""
        sizes = rng.uniform(0.1, 4, (samples, 1, *[1] * len(shape)))
        return {
            "kind": kind,
            "unit": unit,
            "probabilities": rng.dirichlet(np.ones(c), samples),
            "squared_scores": unit * sizes * rng.gamma(1.0, size=(samples, c, *shape)),
            "draws": draws,
        } | own

    k = int(rng.integers(3, 9))
    sure = np.eye(c)[rng.integers(0, c, n)]
    alike = np.broadcast_to(rng.gamma(1.0, size=(n, 1, p)), (n, c, p)).copy()
    half = np.where(np.arange(n)[:, None] % 2, sure, rng.dirichlet(np.ones(c), n))
    return {
        "one label a sample": case("plain", 1),
        "some labels a sample": case("draws", k),
        "a hundred labels a sample": case("draws", 100),
        "one sample": case("plain", 1, samples=1),
        "many samples": case("plain", 1, samples=40 + n),
        "a weight matrix": case("axes", k, (p, p + 1)),
        "no axis for parameters": case("axes", k, ()),
        "half of the samples sure": case("sure", k, probabilities=half),
        "all samples sure": case("sure", k, probabilities=sure),
        "squared scores alike for all classes": case("sure", k, squared_scores=alike),
        "squared scores near 1e-20": case("range", k, unit=1e-20),
        "squared scores near 1e10": case("range", k, unit=1e10),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    given = {name: inputs[name].copy() for name in ("probabilities", "squared_scores")}
    with np.errstate(all="ignore"):
        returned = candidate(*given.values(), inputs["draws"])
    return {
        "kind": inputs["kind"],
        "unit": inputs["unit"],
        "error": in_units(returned, inputs["unit"]),
        "changed": moved({name: inputs[name] for name in given}, given),
    }


def _right(seen: Evidence, expected: Evidence) -> Finding:
    return agree(seen["error"], expected["error"], expected["unit"], "the error")


@claim(4, "Which variances do you add up, and where does the root come?", of_kind("plain"))
def adds_variances_over_samples(seen: Evidence, expected: Evidence) -> Finding:
    """The variances of independent draws are added over the samples; then the root is taken."""
    return _right(seen, expected)


@claim(
    2,
    "By what does the error fall from one label to four?",
    of_kind("draws"),
    needs=adds_variances_over_samples,
)
def falls_as_one_over_root(seen: Evidence, expected: Evidence) -> Finding:
    """With n times as many labels a sample the error is divided by the root of n."""
    return _right(seen, expected)


@claim(1, "Which axes are the parameters'?", of_kind("axes"), needs=adds_variances_over_samples)
def keeps_the_axes(seen: Evidence, expected: Evidence) -> Finding:
    """There is a number for each parameter, whatever the axes of the parameters."""
    return _right(seen, expected)


@claim(
    2,
    "What can a draw change where there is one answer, or all answers score alike?",
    of_kind("sure"),
    needs=adds_variances_over_samples,
)
def is_zero_without_chance(seen: Evidence, expected: Evidence) -> Finding:
    """Where chance makes no difference a sample adds no error: 0, and not NaN."""
    return _right(seen, expected)


@claim(1, "Which number does your code add?", of_kind("range"), adds_variances_over_samples)
def keeps_the_scale(seen: Evidence, expected: Evidence) -> Finding:
    """Small and large squared scores keep their digits."""
    return _right(seen, expected)


@claim(1, "Which of your lines write into an array?", needs=adds_variances_over_samples)
def leaves_the_arrays_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The arrays given are left as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def estimated(
    probabilities: np.ndarray,
    squared_scores: np.ndarray,
    draws: int,
    weights: Part = lambda p: p,
    values: Part = lambda squared: squared,
    middle: Part = lambda mean: mean,
    added: Part = lambda variances: variances.sum(0),
    shared: Part = lambda variances, draws: variances / draws,
    root: Part = np.sqrt,
    size: Part = lambda samples: samples,
) -> np.ndarray:
    """The right answer in parts."""
    p, values_ = weights(probabilities), values(squared_scores)
    mean = np.einsum("nc,nc...->n...", p, values_)
    away = values_ - middle(mean)[:, None]
    variances = np.einsum("nc,nc...->n...", p, away**2)
    return root(added(shared(variances, draws))) / size(len(p))


believing = beliefs_about(estimated)
BELIEFS = (
    believing(
        "The error falls as one over the number of labels.",
        "The variance does. The error is its root: four times the labels, half the error.",
        "What is the standard error of a mean of n draws?",
        shared=lambda variances, draws: variances / draws**2,
    ),
    believing(
        "The variance is the error.",
        "It has the unit of the estimate squared. The error is its root.",
        "What does your result become if all squared scores are doubled?",
        root=lambda variance: variance,
        size=lambda samples: samples**2,
    ),
    believing(
        "The errors of the samples add up.",
        "Independent errors are as often opposed as not. Their squares add up, the variances.",
        "What is the error of the sum of two independent draws with an error of 1 each?",
        root=lambda spread: spread,
        shared=lambda variances, draws: np.sqrt(variances / draws),
    ),
    believing(
        "Every sample has the error of the estimate.",
        "It is the error of one sample. The estimate is the mean over N of them, and chance "
        "averages out: the root of the summed variances is divided by N.",
        "What becomes of the error if there are four times as many samples?",
        added=lambda variances: variances.mean(0),
        size=lambda samples: 1,
    ),
    believing(
        "More samples do not lower the error.",
        "The estimate is a mean over samples. The root of the *sum* of the variances belongs to "
        "the sum of the samples, and has to be divided by N.",
        "What is divided by N in the estimate, and what in your error?",
        size=lambda samples: 1,
    ),
    believing(
        "The samples are drawn as well.",
        "They are the same in every repetition. That they differ from one another adds no error; "
        "each is compared with its own expectation.",
        "From which number do you measure the distance of a draw?",
        middle=lambda mean: np.broadcast_to(mean.mean(0), mean.shape),
    ),
    believing(
        "All classes are equally likely to be drawn.",
        "Each is drawn with its probability. A class that is hardly ever drawn adds hardly any "
        "error.",
        "What is the error where the model is sure of one class?",
        weights=lambda p: np.full_like(p, 1 / p.shape[1]),
    ),
    believing(
        "The mean need not be taken off.",
        "The mean of squares counts the estimate itself as error. Where all classes have the "
        "same squared score there is none.",
        "How much would the estimate scatter if each class had the same squared score?",
        middle=lambda mean: 0 * mean,
    ),
    believing(
        "What scatters is the score.",
        "Averaged are the *squared* scores, so it is their variance that counts.",
        "Which number does one drawn label put into the mean?",
        values=np.sqrt,
    ),
)

EXERCISE = Exercise(
    reference=sampled_error,
    challenge=challenge,
    observe=observe,
    hints=(
        "One sample, one parameter, one draw: it puts squared_scores[n, c] into the mean, with "
        "probability probabilities[n, c]. What are expectation and variance of that?",
        "Draws are independent: the variance of a sum is the sum of the variances. A mean of k "
        "draws has a kth of the variance, a mean over N samples the sum of theirs over N squared.",
        "np.einsum('nc,nc...->n...', probabilities, x) is an expectation for any further axes. "
        "Take the mean off before you square: then rounding makes no negative variance.",
    ),
    lesson="06_fisher_importance",
    section="Whose labels?",
    frameworks=("torch", "jax"),
    minutes=15,
    difficulty=3,
    note="More samples with one label each help as much as more labels, and cost the same. So "
    "draw one label, and take all the data that you can afford.",
)
