"""How far back a linear recurrent network learns: spectral radius and horizon."""

import math
import operator
from collections.abc import Iterator
from functools import partial
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor

from grader.instruments.pairs import finding, pair
from grader.instruments.snapshots import changed, snapshot
from grader.judging.evidence import alike, told_apart
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def gradient_horizon(w, epsilon):
    """Give the spectral radius of a recurrent matrix, and the horizon of its gradient.

    In the linear network ``h_t = w @ h_(t-1)`` the Jacobian over T steps is the T-th matrix power
    of ``w``. Its size is the 2-norm, the largest singular value. The horizon is the smallest
    number of steps T >= 1 for which that norm is less than ``epsilon``.

    Args:
        w: ``torch.Tensor``, float64, shape (n, n); its first 1,000 powers are finite.
        epsilon: a number above 0, at most 1.

    Returns:
        Two numbers: the spectral radius, which is the largest absolute value among the
        eigenvalues, complex ones included; and the horizon, a whole number, or ``math.inf`` where
        none of the first 1,000 steps will do. ``w`` stays as it is.

    Example:
        >>> w = torch.tensor([[0.5, 0.0], [0.0, -0.25]], dtype=torch.float64)
        >>> gradient_horizon(w, 0.2)
        (0.5, 3)
    """
    radius = torch.linalg.eigvals(w).abs().max().item()
    power = w
    for steps in range(1, 1001):
        if torch.linalg.matrix_norm(power, 2) < epsilon:
            return radius, steps
        power = power @ w
    return radius, math.inf


def challenge(rng: np.random.Generator) -> Challenge:
    def case(w: np.ndarray | list, epsilon: float, kind: str = "fades") -> Inputs:
        return {"w": np.asarray(w, np.float64), "epsilon": epsilon, "kind": kind}

    def rotation() -> np.ndarray:
        n = rng.integers(3, 8)
        return np.linalg.qr(rng.normal(size=(n, n)))[0]

    def endless(factor: float, epsilon: float = 0.05) -> Inputs:
        return case(factor * rotation(), epsilon, "endless")

    size, halvings, ones = map(int, rng.integers((2, 2, 3), (10, 29, 16)))
    angle, near = rng.uniform(0.5, 1.0), rng.uniform(0.6, 0.85, 7)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    around = np.diag([rng.uniform(2.0, 3.0), 0.1, near[6]])[:, [2, 0, 1]]
    half, edge = 0.5 * np.eye(size), 0.5**halvings
    return {
        "a rotation that shrinks": case(near[0] * rotation(), 1e-3),
        "a turn in the plane that shrinks": case(near[1] * turn, 1e-2),
        "a negative eigenvalue that is the largest": case(np.diag([-near[2], 0.3]), 0.01),
        "all entries alike": case(near[4] / ones * np.ones((ones, ones)), 1e-3),
        "one number": case([[-near[5]]], 0.01),
        "the norm meets epsilon": case(half, edge, "edge"),
        "the norm is less than epsilon by a billionth": case(half, edge * (1 + 1e-9), "edge"),
        "a skew matrix": case([[near[3], rng.uniform(2.0, 4.0)], [0.0, 0.5]], 1e-3, "skew"),
        "a skew matrix, epsilon 1": case([[0.5, rng.uniform(2.0, 4.0)], [0.0, 0.5]], 1.0, "skew"),
        "a norm that fades and rises again": case(
            around, float(0.13 * around.max() * near[6]), "skew"
        ),
        "a shift": case(np.eye(ones, k=-1), 0.5, "skew"),
        "a rotation": endless(1.0),
        "a rotation that grows": endless(rng.uniform(1.05, 1.3)),
        "a slow decay": endless(0.05 ** (1 / rng.uniform(150, 400))),
        "below epsilon at step 1,000": endless((0.05 * (1 - 1e-6)) ** 0.001),
        "above epsilon at step 1,000 by a millionth": endless((0.05 * (1 + 1e-6)) ** 0.001),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    w = torch.tensor(inputs["w"])
    before = snapshot({"w": w})
    answer = pair(candidate(w, inputs["epsilon"]), "radius", "steps")
    return {"kind": inputs["kind"], **answer, "changed": changed(before, {"w": w})}


def _steps(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["steps"], expected["steps"]
    return finding(seen, ours == right, f"you return {ours:g} steps, the horizon is {right:g}")


@claim(3, "What is the absolute value of a complex number?")
def gives_the_spectral_radius(seen: Evidence, expected: Evidence) -> Finding:
    """The first number is the largest absolute value among all eigenvalues."""
    ours, right = told_apart(seen["radius"], expected["radius"])
    met = alike(seen["radius"], expected["radius"])
    return finding(seen, met, f"you return {ours}, the spectral radius is {right}")


@claim(3, "What do you multiply, and what do you count?", of_kind("fades"))
def gives_the_horizon(seen: Evidence, expected: Evidence) -> Finding:
    """The second number is the first T at which the norm of the T-th power is below epsilon."""
    return _steps(seen, expected)


@claim(1, "What does your loop do at equality?", of_kind("edge"), needs=gives_the_horizon)
def stops_below_epsilon_and_not_at_it(seen: Evidence, expected: Evidence) -> Finding:
    """A norm equal to epsilon is not below it; one that is less, by however little, is."""
    return _steps(seen, expected)


@claim(
    3, "Of which matrix do you take the norm at step T, and which T do you return?", of_kind("skew")
)
def measures_the_matrix_power(seen: Evidence, expected: Evidence) -> Finding:
    """The norm of the power decides, also where the spectral radius would promise less or more."""
    return _steps(seen, expected)


@claim(2, "What comes out of your loop if it never stops?", of_kind("endless"))
def knows_that_some_never_fade(seen: Evidence, expected: Evidence) -> Finding:
    """The horizon is infinite where none of the first 1,000 steps will do, and only there."""
    return _steps(seen, expected)


@claim(1, "Which of your operations writes into w?", needs=gives_the_horizon)
def leaves_the_matrix_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The matrix is left as it was."""
    return not seen["changed"], f"w was {'changed' if seen['changed'] else 'left alone'}"


def spectral_radius(w: Tensor) -> float:
    return torch.linalg.eigvals(w).abs().max().item()


def two_norm(w: Tensor) -> float:
    return torch.linalg.matrix_norm(w, 2).item()


def sizes_of_powers(w: Tensor, size: Part = two_norm) -> Iterator[float]:
    power = w
    while True:
        yield size(power)
        power = power @ w


def first_below(sizes: Iterator[float], epsilon: float, below: Part = operator.lt) -> float:
    steps = (step for step, size in enumerate(islice(sizes, 1000), 1) if below(size, epsilon))
    return next(steps, math.inf)


def walked(
    w: Tensor,
    epsilon: float,
    radius: Part = spectral_radius,
    sizes: Part = sizes_of_powers,
    first: Part = first_below,
) -> tuple[float, float]:
    """The right answer in parts."""
    return radius(w), first(sizes(w), epsilon)


def powers_of_the_radius(w: Tensor) -> Iterator[float]:
    radius = spectral_radius(w)
    return (radius**steps for steps in count(1))


def solved(sizes: Iterator[float], epsilon: float, whole: Part) -> float:
    """Not a walk: the solution of radius ** T = epsilon, made a whole number."""
    radius = next(sizes)
    if radius >= 1 - 1e-9:
        return math.inf
    return whole(math.log(epsilon) / math.log(radius)) if radius else 1


def powers_written_into(w: Tensor) -> Iterator[float]:
    start = w.clone()
    while True:
        yield two_norm(w)
        w.copy_(w @ start)


RADIUS = (
    "The spectral radius to the power T is the norm of the Jacobian.",
    "It is for a rotation. Where eigenvectors are not orthogonal the norm can grow before it "
    "fades; a shift has radius 0 and passes everything for some steps.",
    "What is the norm of the second power of your matrix, and what is the radius squared?",
)
REAL_PART = (
    "The size of an eigenvalue is its real part.",
    "Eigenvalues can be negative or complex. What counts is how far each lies from 0: a rotation "
    "has eigenvalues off the real line, all of absolute value 1.",
    "What does abs() of a complex number give?",
)
ANY_NORM = (
    "One norm of a matrix is as good as another.",
    "The Frobenius norm adds up all singular values, squared, and the largest entry does not see "
    "that entries add up. The 2-norm says how far the matrix stretches what it stretches most.",
    "Which norm does your call take of a matrix, and is it the largest singular value?",
)
believing = beliefs_about(walked)
BELIEFS = (  # one that shows in several ways is there for each
    believing(*RADIUS, sizes=powers_of_the_radius),
    believing(*RADIUS, sizes=powers_of_the_radius, first=partial(solved, whole=math.ceil)),
    believing(
        *RADIUS, sizes=powers_of_the_radius, first=partial(solved, whole=lambda t: int(t) + 1)
    ),
    believing(
        "The norm of a power is the power of the norm.",
        "That is an upper bound. A skew matrix can stretch one vector by 3 and still shrink all of "
        "them in the end.",
        "What is the norm of the tenth power of your matrix, and the tenth power of its norm?",
        sizes=lambda w: (two_norm(w) ** steps for steps in count(1)),
    ),
    believing(
        "The norm of a matrix is its spectral radius.",
        "The norm is the largest singular value, what one step can stretch at most. The radius is "
        "what many steps come down to, and is never larger.",
        "What are the eigenvalues of a matrix with zeros on and above its diagonal?",
        radius=two_norm,
    ),
    believing(*REAL_PART, radius=lambda w: torch.linalg.eigvals(w).real.max().item()),
    believing(*REAL_PART, radius=lambda w: torch.linalg.eigvals(w).real.abs().max().item()),
    believing(
        "w ** T is the T-th power of a matrix.",
        "It raises each entry. A matrix power is a repeated matrix product.",
        "Which operator stands for the matrix product in torch?",
        sizes=lambda w: (two_norm(w**steps) for steps in count(1)),
    ),
    believing(*ANY_NORM, sizes=partial(sizes_of_powers, size=lambda power: power.norm().item())),
    believing(
        *ANY_NORM, sizes=partial(sizes_of_powers, size=lambda power: power.abs().max().item())
    ),
    believing(
        "Below epsilon includes epsilon.",
        "One half to the third is 0.125, and not less than 0.125.",
        "For which of < and <= does your loop go on?",
        first=partial(first_below, below=operator.le),
    ),
    believing(
        "The horizon is the number of products.",
        "One step is no product, it is w itself. Your count is one less than the steps.",
        "Which power do you hold after the first product?",
        first=lambda sizes, epsilon: first_below(sizes, epsilon) - 1,
    ),
    believing(
        "The horizon is one more than the step that fades.",
        "It is the step at which the norm is below epsilon for the first time.",
        "Where do you count up, before or after you look?",
        first=lambda sizes, epsilon: first_below(sizes, epsilon) + 1,
    ),
    believing(
        "Where the loop ends, there is the horizon.",
        "After 1,000 steps without success it ended for another reason.",
        "How can you tell a loop that found something from one that ran out?",
        first=lambda sizes, epsilon: min(first_below(sizes, epsilon), 1000),
    ),
    believing(
        "An argument is mine to compute in.",
        "w belongs to the caller, who finds one of its powers there.",
        "Which of your lines makes a new tensor, and which writes into the old one?",
        sizes=powers_written_into,
    ),
)

EXERCISE = Exercise(
    reference=gradient_horizon,
    challenge=challenge,
    observe=observe,
    hints=(
        "torch.linalg.eigvals gives complex numbers. What does .abs() make of them?",
        "Keep a power of w: begin with w itself, look at its norm, multiply once, look again.",
        "for steps in range(1, 1001): if torch.linalg.matrix_norm(power, 2) < epsilon, that is the "
        "horizon; else power = power @ w. After the loop it is math.inf.",
    ),
    lesson="01_gradient_vanishing",
    section="Recurrent networks and their horizon",
    frameworks=("torch",),
    minutes=12,
    difficulty=3,
    note="With tanh between the steps a rotation times a number reaches no farther. Where paths "
    "cancel in the matrix power, tanh can lengthen the horizon. What a gradient can reach is not "
    "yet learnt: noise shares the way.",
)
