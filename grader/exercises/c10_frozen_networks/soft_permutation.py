"""A permutation that can be learned: Sinkhorn's rounds on a matrix of scores (torch).

Source: Mena et al. 2018, "Learning Latent Permutations with Gumbel-Sinkhorn Networks",
arXiv:1802.08665, section 2.
"""

import numpy as np
import torch
from torch import Tensor

from grader.instruments.entries import as_expected
from grader.instruments.handed_back import handed_back
from grader.instruments.refusals import refusal, refused
from grader.judging.exercise import Exercise, belief, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def soft_permutation(scores, temperature, rounds):
    """Turn scores into a matrix that is nearly a permutation, by Sinkhorn's rounds.

    Begin with exp(scores / temperature). A round divides each row ``[..., i, :]`` by its sum, and
    then each column ``[..., :, j]`` by its sum. At a low temperature the scores decide, and the
    matrix comes near to a permutation; at a high one all entries come near to 1/n.

    Args:
        scores: float tensor of shape (n, n), or (…, n, n) for several at once. Numbers may be far
            apart, or all be far from 0. A score of minus infinity forbids an entry; each row and
            each column has others. The tensor stays as it is.
        temperature: a float above 0.
        rounds: a whole number from 1 on.

    Returns:
        Tensor of the shape and dtype of ``scores``, never NaN. Its columns sum to 1, its rows
        nearly so after enough rounds. Gradients pass through all that was computed.

    Raises:
        ValueError: the matrix is not square, or the temperature is not above 0.

    Example:
        >>> scores = torch.tensor([[1.0, 3.0], [1.0, 1.0]]).log()
        >>> soft_permutation(scores, 1.0, rounds=1)  # rows: 1/4, 3/4; 1/2, 1/2
        tensor([[0.3333, 0.6000],
                [0.6667, 0.4000]])
    """
    if scores.shape[-1] != scores.shape[-2]:
        raise ValueError(f"a square matrix is needed, not one of {tuple(scores.shape)}")
    if temperature <= 0:
        raise ValueError(f"the temperature is {temperature}, which is not above 0")
    logs = scores / temperature
    for _ in range(rounds):
        logs = logs - logs.logsumexp(-1, keepdim=True)
        logs = logs - logs.logsumexp(-2, keepdim=True)
    return logs.exp()


def challenge(rng: np.random.Generator) -> Challenge:
    n = int(rng.integers(4, 7))

    def case(kind: str, scores: np.ndarray, rounds: int, temperature: float = 1.0) -> Inputs:
        towards = rng.normal(size=scores.shape).astype(np.float32)
        given = {"scores": scores, "temperature": temperature, "rounds": rounds}
        return {"kind": kind, **given, "towards": towards}

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(size=shape or (n, n)).astype(np.float32)

    def eighths() -> np.ndarray:
        return rng.integers(-8, 9, (n, n)) / 8

    apart = 1000.0 * rng.permutation(n)[:, None]
    clear = 1e4 * np.eye(n)[rng.permutation(n)] + eighths() + apart
    forbidden = drawn()
    forbidden[np.arange(n), rng.permutation(n)] = -np.inf
    several = drawn(3, n, n) * np.float32(2)
    return {
        "one round": case("plain", drawn(), 1),
        "two rounds": case("plain", 2 * drawn(), 2),
        "twenty rounds": case("plain", 2 * drawn(), 20),
        "a low temperature": case("plain", drawn(), 3, float(rng.uniform(0.2, 0.5))),
        "a high temperature": case("plain", drawn(), 3, float(rng.uniform(2, 9))),
        "three matrices at once": case("several", several, 2, 0.7),
        "as many matrices as rows": case("several", drawn(n, n, n), 2, 0.7),
        "two axes of matrices": case("several", drawn(2, 3, n, n), 2, 0.7),
        "one place": case("edges", drawn(1, 1), 2),
        "a forbidden entry in each row": case("edges", forbidden, 3, 0.7),
        "all scores near 5000": case("range", eighths() + 5000, 2),
        "rows 1000 apart": case("range", eighths() + apart, 2),
        "columns 1000 apart": case("range", eighths() + apart.T, 2),
        "a clear choice": case("range", clear.astype(np.float32), 2),
        "what is handed back": case("gradient", drawn(), 2, 0.7),
        "a row too few": case("refused", drawn(n - 1, n), 2),
        "a temperature of 0": case("refused", drawn(), 2, 0.0),
        "a temperature below 0": case("refused", drawn(), 2, -0.7),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    kind, scores = inputs["kind"], torch.from_numpy(inputs["scores"].copy())
    given = (scores, inputs["temperature"], inputs["rounds"])
    if kind == "refused":
        return {"kind": kind, "ending": refusal(candidate, *given, returned=lambda _: "an answer")}
    before = scores.clone()
    scores.requires_grad_(kind == "gradient")
    found = candidate(*given)
    if not torch.is_tensor(found):
        return None if found is None else f"<{type(found).__name__}>"
    if kind == "gradient":
        return {"kind": kind, "gradient": handed_back(found, inputs["towards"], scores)[0]}
    return {"kind": kind, "found": found, "kept": torch.equal(scores, before)}


def _found(seen: Evidence, expected: Evidence) -> Finding:
    return as_expected(seen["found"], expected["found"])


@claim(3, "What does each round do, in which order, and to what?", of_kind("plain"))
def goes_by_rounds(seen: Evidence, expected: Evidence) -> Finding:
    """Each round divides the rows by their sums, then the columns, at the temperature given."""
    return _found(seen, expected)


@claim(1, "Which axes are rows and columns if there are more than two?", of_kind("several"))
def takes_several_at_once(seen: Evidence, expected: Evidence) -> Finding:
    """Matrices that come together are treated one by one."""
    return _found(seen, expected)


@claim(1, "What are the sums of a matrix with zeros in it?", of_kind("edges"), goes_by_rounds)
def holds_at_the_edges(seen: Evidence, expected: Evidence) -> Finding:
    """One place gives a 1, and a score of minus infinity gives a 0."""
    return _found(seen, expected)


@claim(2, "How large is exp(5000), and how large is exp(-5000)?", of_kind("range"))
def holds_at_any_size(seen: Evidence, expected: Evidence) -> Finding:
    """Scores that are far from 0, or far apart, give a matrix as any others do."""
    return _found(seen, expected)


@claim(2, "Which of your sums does a gradient not pass?", of_kind("gradient"))
def passes_gradients(seen: Evidence, expected: Evidence) -> Finding:
    """The gradient goes through every division of every round."""
    return as_expected(seen["gradient"], expected["gradient"])


@claim(1, "What would a caller make of such an answer?", of_kind("refused"), goes_by_rounds)
def refuses_what_is_no_relaxation(seen: Evidence, expected: Evidence) -> Finding:
    """A matrix that is not square raises a ValueError, and so does a temperature of 0 or below."""
    return refused(seen["ending"])


@claim(
    1,
    "Which of your calls write into what they are given?",
    lambda expected: "kept" in expected,
    needs=goes_by_rounds,
)
def leaves_the_scores(seen: Evidence, expected: Evidence) -> Finding:
    """The scores are left as they were."""
    return seen["kept"], f"the scores were {'left alone' if seen['kept'] else 'changed'}"


def _check(scores: Tensor, temperature: float) -> None:
    if scores.shape[-1] != scores.shape[-2] or temperature <= 0:
        raise ValueError("not square, or no temperature")


def _rows_then_columns(logs: Tensor, rows: int = -1, columns: int = -2) -> Tensor:
    logs = logs - logs.logsumexp(rows, keepdim=True)
    return logs - logs.logsumexp(columns, keepdim=True)


def _divided(weights: Tensor) -> Tensor:
    weights = weights / weights.sum(-1, keepdim=True)
    return weights / weights.sum(-2, keepdim=True)


def relaxed(
    scores: Tensor,
    temperature: float,
    rounds: int,
    tempered: Part = lambda scores, temperature: scores / temperature,
    start: Part = lambda logs: logs,
    one: Part = _rows_then_columns,
    times: Part = lambda rounds: rounds,
    end: Part = torch.exp,
) -> Tensor:
    """The right answer in parts."""
    _check(scores, temperature)
    found = start(tempered(scores, temperature))
    for _ in range(times(rounds)):
        found = one(found)
    return end(found)


def _constant_sums(logs: Tensor) -> Tensor:
    logs = logs - logs.logsumexp(-1, keepdim=True).detach()
    return logs - logs.logsumexp(-2, keepdim=True).detach()


believing = beliefs_about(relaxed)
BELIEFS = (
    believing(
        "Rows that sum to 1 make a permutation.",
        "Two rows may want the same place, and another one stays empty. The columns have a say.",
        "What is the largest column sum of a softmax over rows?",
        one=lambda logs: logs.log_softmax(-1),
    ),
    believing(
        "Rows and columns can be divided at once.",
        "The sums of the columns change as soon as the rows are divided. Divided by both old sums, "
        "neither is 1 afterwards.",
        "What do the columns sum to after your rounds?",
        one=lambda logs: logs - logs.logsumexp(-1, keepdim=True) - logs.logsumexp(-2, keepdim=True),
    ),
    believing(
        "It makes no difference whether rows or columns come first.",
        "In the end it does not. After a few rounds those are exact that came last.",
        "Which sums are exactly 1 in what you return?",
        one=lambda logs: _rows_then_columns(logs, rows=-2, columns=-1),
    ),
    believing(
        "One round makes all sums 1.",
        "Dividing the columns spoils the rows again, a little less each time.",
        "What do the rows sum to after your last step?",
        times=lambda rounds: 1,
    ),
    believing(
        "The exponential of a score is a number.",
        "In float32 it is infinity from 89 on, and infinity over infinity is no number.",
        "What does torch.tensor(5000.0).exp() give, and what divided by itself?",
        start=torch.exp,
        one=_divided,
        end=lambda weights: weights,
    ),
    believing(
        "Taking off the largest score makes the exponential safe.",
        "Nothing overflows then. A row whose scores are all far below becomes a row of zeros, and "
        "its sum 0. The largest of each row, and of each column in turn, would have to go.",
        "What is the sum of a row whose scores are 1000 below the largest?",
        start=lambda logs: (logs - logs.max()).exp(),
        one=_divided,
        end=lambda weights: weights,
    ),
    believing(
        "A high temperature makes a choice clearer.",
        "It makes differences small. The scores are divided by it.",
        "What happens to your matrix if the temperature is doubled?",
        tempered=lambda scores, temperature: scores * temperature,
    ),
    believing(
        "Sums are constants of a gradient.",
        "They are made of the scores too. Detached, a gradient does not learn that what one entry "
        "gains the others of its row lose.",
        "What do the gradients of one row sum to after a softmax?",
        one=_constant_sums,
    ),
    believing(
        "Rows and columns are the axes 0 and 1.",
        "They are where there are two axes. Of several matrices you divide one by another.",
        "Over which axis of a (3, 4, 4) tensor do your columns run?",
        one=lambda logs: _rows_then_columns(logs, rows=1, columns=0),
    ),
)


@belief(
    "The best entry of each row is a permutation.",
    "Two rows may choose the same place. And a choice is flat: no gradient tells a score which way "
    "to go.",
    "How often does your matrix have each of the places?",
)
def choose_the_best_of_each_row(scores: Tensor, temperature: float, rounds: int) -> Tensor:
    _check(scores, temperature)
    places = torch.arange(scores.shape[-1])
    return (scores.argmax(-1, keepdim=True) == places).to(scores.dtype)


EXERCISE = Exercise(
    reference=soft_permutation,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write it down with weights first: exp, then rows over their sums, columns over theirs. "
        "Which of the intermediate numbers can be infinite, or all be 0?",
        "Keep logarithms. What is it to divide by a sum, in logarithms?",
        "torch.logsumexp takes the largest off by itself. With keepdim=True what it gives can be "
        "taken off the rows (axis -1), then the columns (axis -2). Exponentiate at the end.",
    ),
    lesson="10_frozen_networks",
    section="Other fixed mixes",
    frameworks=("torch",),
    minutes=25,
    difficulty=5,
    note="The matrix mixes softly: x @ P is not a permuted x until the temperature is low. To have "
    "a permutation at the end, take scipy.optimize.linear_sum_assignment(-scores).",
)
