"""How far back a linear recurrent network learns: spectral radius and horizon."""

import math

import numpy as np
import torch

from grader.evidence import alike, number
from grader.exercise import Claim, Exercise, Misconception
from grader.pairs import finding, pair


def gradient_horizon(w, epsilon):
    """Give the spectral radius of a recurrent matrix, and the horizon of its gradient.

    In the linear network ``h_t = w @ h_(t-1)`` the Jacobian over T steps is the T-th matrix power
    of ``w``. Its size is the 2-norm, the largest singular value. The horizon is the smallest
    number of steps T >= 1 for which that norm is less than ``epsilon``.

    Args:
        w: ``torch.Tensor``, float64, shape (n, n).
        epsilon: a number above 0, at most 1.

    Returns:
        Two numbers: the spectral radius, which is the largest absolute value among the
        eigenvalues, complex ones included; and the horizon, a whole number, or ``math.inf`` where
        none of the first 1,000 steps will do. ``w`` stays as it is.
    """
    radius = torch.linalg.eigvals(w).abs().max().item()
    power = w
    for steps in range(1, 1001):
        if torch.linalg.matrix_norm(power, 2) < epsilon:
            return radius, steps
        power = power @ w
    return radius, math.inf


def challenge(rng):
    def case(w, epsilon, kind="fades"):
        return {"w": np.asarray(w, np.float64), "epsilon": epsilon, "kind": kind}

    def rotation():
        n = rng.integers(3, 8)
        return np.linalg.qr(rng.normal(size=(n, n)))[0]

    size, halvings, ones = map(int, rng.integers((2, 2, 3), (10, 29, 16)))
    angle, near = rng.uniform(0.5, 1.0), rng.uniform(0.6, 0.85, 6)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return {
        "a rotation that shrinks": case(near[0] * rotation(), 1e-3),
        "a turn in the plane that shrinks": case(near[1] * turn, 1e-2),
        "a negative eigenvalue that is the largest": case(np.diag([-near[2], 0.3]), 0.01),
        "the norm meets epsilon": case(0.5 * np.eye(size), 0.5**halvings, "edge"),
        "a skew matrix": case([[near[3], rng.uniform(2.0, 4.0)], [0.0, 0.5]], 1e-3, "skew"),
        "a shift": case(np.eye(ones, k=-1), 0.5, "skew"),
        "a rotation": case(rotation(), 1e-3, "endless"),
        "a rotation times 1.1": case(1.1 * rotation(), 1e-3, "endless"),
        "more than 1,000 steps": case(0.9999 * rotation(), 0.5, "endless"),
        "a slow decay": case(0.05 ** (1 / rng.uniform(150, 900)) * rotation(), 0.05, "endless"),
        "all entries alike": case(near[4] / ones * np.ones((ones, ones)), 1e-3),
        "one number": case([[-near[5]]], 0.01),
    }


def observe(candidate, inputs):
    w = torch.tensor(inputs["w"])
    answer = pair(candidate(w, inputs["epsilon"]), "radius", "steps")
    left = torch.equal(w, torch.tensor(inputs["w"]))
    return {"kind": inputs["kind"], **answer, "w": inputs["w"] if left else inputs["w"] * math.nan}


def gives_the_spectral_radius(seen, expected):
    """The first number is the largest absolute value among all eigenvalues."""
    ours, right = seen["radius"], expected["radius"]
    words = f"you return {number(ours)}, the spectral radius is {number(right)}"
    return finding(seen, alike(ours, right), words)


def gives_the_horizon(seen, expected):
    """The second number is the first T at which the norm of the T-th power is below epsilon."""
    return _steps(seen, expected) if expected["kind"] == "fades" else None


def stops_below_epsilon_and_not_at_it(seen, expected):
    """A norm equal to epsilon is not below it."""
    return _steps(seen, expected) if expected["kind"] == "edge" else None


def measures_the_matrix_power(seen, expected):
    """The norm of the power decides, also where the spectral radius would promise less or more."""
    return _steps(seen, expected) if expected["kind"] == "skew" else None


def knows_that_some_never_fade(seen, expected):
    """The horizon is infinite where none of the first 1,000 steps will do, and only there."""
    return _steps(seen, expected) if expected["kind"] == "endless" else None


def leaves_the_matrix_alone(seen, expected):
    """The matrix is left as it was."""
    same = alike(seen["w"], expected["w"])
    return same, f"w has {'the same' if same else 'other'} entries after your call"


def _steps(seen, expected):
    ours, right = seen["steps"], expected["steps"]
    return finding(seen, ours == right, f"you return {ours:g} steps, the horizon is {right:g}")


def _radius(w):
    return torch.linalg.eigvals(w).abs().max().item()


def _first(fades):
    """The first number of steps for which `fades`, up to 1,000."""
    return next((steps for steps in range(1, 1001) if fades(steps)), math.inf)


def _norm(power):
    return torch.linalg.matrix_norm(power, 2).item()


def _first_power(w, fades):
    """The first number of steps whose matrix power `fades`, up to 1,000."""
    power = w
    for steps in range(1, 1001):
        if fades(power):
            return steps
        power = power @ w
    return math.inf


def _right(w, epsilon):
    return _first_power(w, lambda power: _norm(power) < epsilon)


def let_the_radius_decide(w, epsilon):
    radius = _radius(w)
    return radius, _first(lambda steps: radius**steps < epsilon)


def solve_for_the_steps(w, epsilon):
    radius = _radius(w)
    if radius >= 1 - 1e-9:
        return radius, math.inf
    return radius, math.ceil(math.log(epsilon) / math.log(radius)) if radius else 1


def solve_for_the_step_below(w, epsilon):
    radius = _radius(w)
    if radius >= 1 - 1e-9:
        return radius, math.inf
    return radius, math.floor(math.log(epsilon) / math.log(radius)) + 1 if radius else 1


def raise_the_norm(w, epsilon):
    norm = _norm(w)
    return _radius(w), _first(lambda steps: norm**steps < epsilon)


def take_the_norm_for_the_radius(w, epsilon):
    return _norm(w), _right(w, epsilon)


def take_the_real_parts(w, epsilon):
    return torch.linalg.eigvals(w).real.max().item(), _right(w, epsilon)


def take_the_absolute_real_parts(w, epsilon):
    return torch.linalg.eigvals(w).real.abs().max().item(), _right(w, epsilon)


def raise_each_entry(w, epsilon):
    return _radius(w), _first(lambda steps: _norm(w**steps) < epsilon)


def take_the_frobenius_norm(w, epsilon):
    return _radius(w), _first_power(w, lambda power: power.norm().item() < epsilon)


def take_the_largest_entry(w, epsilon):
    return _radius(w), _first_power(w, lambda power: power.abs().max().item() < epsilon)


def stop_at_epsilon(w, epsilon):
    return _radius(w), _first_power(w, lambda power: _norm(power) <= epsilon)


def count_the_products(w, epsilon):
    return _radius(w), _right(w, epsilon) - 1


def count_to_the_last_above(w, epsilon):
    steps = _right(w, epsilon)
    return _radius(w), steps + 1


def give_up_at_one_thousand(w, epsilon):
    return _radius(w), min(_right(w, epsilon), 1000)


def multiply_in_place(w, epsilon):
    radius, steps, start = _radius(w), _right(w, epsilon), w.clone()
    for _ in range(3):
        w.copy_(w @ start)
    return radius, steps


RADIUS = (
    "The spectral radius to the power T is the norm of the Jacobian.",
    "It is for a rotation. Where eigenvectors are not orthogonal the norm can grow before it "
    "fades; a shift has radius 0 and passes everything for some steps.",
    "What is the norm of the second power of your matrix, and what is the radius squared?",
)

EXERCISE = Exercise(
    reference=gradient_horizon,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(gives_the_spectral_radius, 3, "What is the absolute value of a complex number?"),
        Claim(gives_the_horizon, 3, "What do you multiply, and what do you count?"),
        Claim(stops_below_epsilon_and_not_at_it, 1, "What does your loop do at equality?"),
        Claim(measures_the_matrix_power, 3, "Of which matrix do you take the norm at step T?"),
        Claim(knows_that_some_never_fade, 2, "What comes out of your loop if it never stops?"),
        Claim(leaves_the_matrix_alone, 1, "Which of your operations writes into w?"),
    ),
    misconceptions=(
        Misconception(*RADIUS, specimen=let_the_radius_decide),
        Misconception(*RADIUS, specimen=solve_for_the_steps),
        Misconception(*RADIUS, specimen=solve_for_the_step_below),
        Misconception(
            "The norm of a power is the power of the norm.",
            "That is an upper bound. A skew matrix can stretch one vector by 3 and still shrink "
            "all of them in the end.",
            "What is the norm of the tenth power of your matrix, and the tenth power of its norm?",
            raise_the_norm,
        ),
        Misconception(
            "The norm of a matrix is its spectral radius.",
            "The norm is the largest singular value, what one step can stretch at most. The radius "
            "is what many steps come down to, and is never larger.",
            "What are the eigenvalues of a matrix with zeros on and above its diagonal?",
            take_the_norm_for_the_radius,
        ),
        Misconception(
            "The largest eigenvalue is the spectral radius.",
            "Eigenvalues can be negative or complex. What counts is how far each lies from 0.",
            "What is the radius of a matrix whose only eigenvalue is -0.6?",
            take_the_real_parts,
        ),
        Misconception(
            "The real part of an eigenvalue is its size.",
            "A rotation has eigenvalues off the real line, all of absolute value 1.",
            "What does abs() of a complex number give?",
            take_the_absolute_real_parts,
        ),
        Misconception(
            "w ** T is the T-th power of a matrix.",
            "It raises each entry. A matrix power is a repeated matrix product.",
            "Which operator stands for the matrix product in torch?",
            raise_each_entry,
        ),
        Misconception(
            "All norms of a matrix are one.",
            "The Frobenius norm adds up all singular values, squared. The 2-norm is the largest.",
            "Which norm does torch.linalg.norm take of a matrix if you do not say?",
            take_the_frobenius_norm,
        ),
        Misconception(
            "A matrix is as large as its largest entry.",
            "The entries can add up: a vector is stretched by the largest singular value.",
            "Which vector does your matrix stretch most, and by how much?",
            take_the_largest_entry,
        ),
        Misconception(
            "Below epsilon includes epsilon.",
            "One half to the third is 0.125, and not less than 0.125.",
            "For which of < and <= does your loop go on?",
            stop_at_epsilon,
        ),
        Misconception(
            "The horizon is the number of products.",
            "One step is no product, it is w itself. Your count is one less than the steps.",
            "Which power do you hold after the first product?",
            count_the_products,
        ),
        Misconception(
            "The horizon is one more than the step that fades.",
            "It is the step at which the norm is below epsilon for the first time.",
            "Where do you count up, before or after you look?",
            count_to_the_last_above,
        ),
        Misconception(
            "Where the loop ends, there is the horizon.",
            "After 1,000 steps without success it ended for another reason.",
            "How can you tell a loop that found something from one that ran out?",
            give_up_at_one_thousand,
        ),
        Misconception(
            "An argument is mine to compute in.",
            "w belongs to the caller, who finds one of its powers there.",
            "Which of your lines makes a new tensor, and which writes into the old one?",
            multiply_in_place,
        ),
    ),
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
    note="With tanh between the steps a rotation times a number reaches no farther. Where paths "
    "cancel in the matrix power, tanh can lengthen the horizon. What a gradient can reach is not "
    "yet learnt: noise shares the way.",
)
