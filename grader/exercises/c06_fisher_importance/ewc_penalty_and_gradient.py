"""The penalty of elastic weight consolidation, and its gradient.

Source: Kirkpatrick et al. 2017, arXiv:1612.00796, equation 3.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from grader.instruments.diagonals import agree, in_units
from grader.instruments.moves import moved
from grader.instruments.pairs import finding
from grader.instruments.words import listed
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part

Arrays = Mapping[str, np.ndarray]


def ewc_penalty_and_gradient(params, anchor, fisher, strength):
    """Say what the springs of elastic weight consolidation (EWC) cost, and how they pull.

    Every parameter that has an anchor is tied to it by a spring of stiffness ``strength`` times
    its Fisher information. The penalty is half the stiffness times the squared distance, added up
    over all entries of all tensors. A parameter without an anchor, such as a head that the old
    task did not have, has no spring.

    Args:
        params: dict from names to numpy arrays of floats, the parameters now.
        anchor: dict of arrays for some or all of these names, the parameters after the old task.
        fisher: dict of arrays for the names in ``anchor``, the Fisher diagonal on the old task.
        strength: float, the λ of the penalty.

    Returns:
        Pair of the penalty, a float, and its gradient: a dict with an array for each name in
        ``params``, zeros where there is no spring.

    Example:
        >>> params, anchor = {"w": np.array([3.0, 1.0])}, {"w": np.array([1.0, 1.0])}
        >>> ewc_penalty_and_gradient(params, anchor, {"w": np.array([0.5, 9.0])}, 10.0)
        (10.0, {'w': array([10.,  0.])})
    """
    gradient = {name: np.zeros_like(parameter) for name, parameter in params.items()}
    penalty = 0.0
    for name, there in anchor.items():
        away = params[name] - there
        gradient[name] = strength * fisher[name] * away
        penalty += float((gradient[name] * away).sum()) / 2
    return penalty, gradient


def challenge(rng: np.random.Generator) -> Challenge:
    a, b, c = (int(size) for size in rng.choice(np.arange(3, 8), 3, replace=False))
    shapes = {"body.lower.weight": (b, a), "body.lower.bias": (b,), "head.weight": (c, b)}
    kernel = {"conv.weight": (b, 2, 3, 3), "scale": ()}

    def case(
        kind: str,
        sizes: Mapping[str, tuple[int, ...]] = shapes,
        sprung: float = 1.0,
        away: float = 1.0,
        unit: float = 1.0,
        strength: float | None = None,
    ) -> dict[str, Any]:
        """Distances are of either sign, and an anchor is far from zero."""
        anchor = {name: 2 + rng.normal(size=shape) for name, shape in sizes.items()}
        moves = {name: away * rng.normal(size=shape) for name, shape in sizes.items()}
        fisher = {name: unit * rng.gamma(0.5, size=shape) for name, shape in sizes.items()}
        tied = list(sizes)[: round(sprung * len(sizes))][::-1]  # in an order of their own
        return {
            "kind": kind,
            "unit": unit * away,
            "params": {name: np.asarray(anchor[name] + moves[name]) for name in sizes},
            "anchor": {name: np.asarray(anchor[name]) for name in tied},
            "fisher": {name: np.asarray(fisher[name]) for name in tied},
            "strength": float(rng.uniform(2, 20)) if strength is None else strength,
        }

    return {
        "three tensors": case("plain"),
        "one tensor": case("plain", {"head.weight": (c, b)}),
        "strong springs": case("plain", strength=float(rng.uniform(1e3, 1e4))),
        "a kernel and a scalar": case("shapes", kernel),
        "a head without an anchor": case("free", sprung=2 / 3),
        "no anchor at all": case("free", sprung=0.0),
        "at the anchor": case("rest", away=0.0) | {"unit": 1.0},
        "no strength": case("rest", strength=0.0),
        "parameters near their anchor": case("range", away=1e-6),
        "Fisher information near 1e-20": case("range", unit=1e-20),
        "Fisher information near 1e10": case("range", unit=1e10),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    names = ("params", "anchor", "fisher")
    given = {name: {k: np.array(v) for k, v in inputs[name].items()} for name in names}
    returned = candidate(*given.values(), inputs["strength"])
    is_pair = isinstance(returned, tuple | list) and len(returned) == 2
    pair = returned if is_pair else (returned, returned)
    before, after = _flat({name: inputs[name] for name in names}), _flat(given)
    return {
        "kind": inputs["kind"],
        "unit": inputs["unit"],
        "count": len(returned) if isinstance(returned, tuple | list) else 1,
        "penalty": in_units(pair[0], inputs["unit"]),
        "gradient": in_units(pair[1], inputs["unit"]),
        "changed": sorted({*moved(before, after), *moved(after, before)}),
    }


def _flat(given: Mapping[str, Arrays]) -> dict[str, np.ndarray]:
    return {
        f"{name} of {kind}": np.asarray(array)
        for kind, arrays in given.items()
        for name, array in arrays.items()
    }


def _penalty(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["penalty"], expected["penalty"]
    return finding(seen, *agree(ours, right, expected["unit"], "the penalty"))


def _gradient(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["gradient"], expected["gradient"]
    return finding(seen, *agree(ours, right, expected["unit"], "the gradient"))


@claim(3, "What is the energy of a spring, and over what is it added up?", of_kind("plain"))
def adds_up_the_penalty(seen: Evidence, expected: Evidence) -> Finding:
    """The penalty is half of λ times F times the squared distance, over all entries."""
    return _penalty(seen, expected)


@claim(3, "What is the derivative of the penalty by one entry?", of_kind("plain"))
def pulls_with_the_gradient(seen: Evidence, expected: Evidence) -> Finding:
    """The gradient is that of the penalty, for each entry of each tensor."""
    return _gradient(seen, expected)


@claim(1, "What is the shape of each gradient?", of_kind("shapes"), needs=pulls_with_the_gradient)
def takes_any_shape(seen: Evidence, expected: Evidence) -> Finding:
    """Tensors may have any number of axes, four or none."""
    penalty, gradient = _penalty(seen, expected), _gradient(seen, expected)
    return gradient if penalty[0] else penalty


@claim(
    2,
    "Which names has your gradient, and what is it where there is no spring?",
    of_kind("free"),
    needs=pulls_with_the_gradient,
)
def leaves_new_parameters_free(seen: Evidence, expected: Evidence) -> Finding:
    """A parameter without an anchor costs nothing, and has a gradient of zeros."""
    penalty, gradient = _penalty(seen, expected), _gradient(seen, expected)
    return gradient if penalty[0] else penalty


@claim(
    1,
    "Which number does your code add or round?",
    of_kind("range", "rest"),
    needs=pulls_with_the_gradient,
)
def keeps_the_scale(seen: Evidence, expected: Evidence) -> Finding:
    """Springs of any stiffness and length are right, and one at rest neither costs nor pulls."""
    penalty, gradient = _penalty(seen, expected), _gradient(seen, expected)
    return gradient if penalty[0] else penalty


@claim(1, "Which of your lines write into an array or a dict?", needs=pulls_with_the_gradient)
def leaves_the_arrays_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The arrays and dicts given are left as they were."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def sprung(
    params: Arrays,
    anchor: Arrays,
    fisher: Arrays,
    strength: float,
    names: Part = lambda params, anchor: params,
    away: Part = lambda now, there: now - there,
    stiffness: Part = lambda fisher: fisher,
    energy: Part = lambda away: away**2 / 2,
    pull: Part = lambda away: away,
    over: Part = np.sum,
) -> tuple[float, dict[str, np.ndarray]]:
    """The right answer in parts."""
    penalty, gradient = 0.0, {}
    for name in names(params, anchor):
        now = params[name]
        moved_by = away(now, anchor.get(name, now))
        k = strength * stiffness(fisher.get(name, np.zeros_like(now)))
        penalty += over(k * energy(moved_by))
        gradient[name] = k * pull(moved_by)
    return penalty, gradient


believing = beliefs_about(sprung)
BELIEFS = (
    believing(
        "The penalty is λ F times the squared distance.",
        "A spring holds half of that: the half is in the definition, and makes the gradient "
        "λ F times the distance.",
        "What is the derivative of the penalty that you return?",
        energy=lambda away: away**2,
    ),
    believing(
        "The two of the square stays in the gradient.",
        "It cancels against the half in front. Your springs pull twice as hard as they cost.",
        "What is the derivative of half of x squared?",
        pull=lambda away: 2 * away,
    ),
    believing(
        "The half in front stays in the gradient.",
        "The square brings a factor of two, and both cancel. Your springs pull half as hard as "
        "they cost.",
        "What is the derivative of half of x squared?",
        pull=lambda away: away / 2,
    ),
    believing(
        "The gradient points to the anchor.",
        "The *step* does. The gradient points uphill, away from the anchor, and a step goes "
        "against it. Yours drives the parameters apart.",
        "What is the sign of the gradient where a parameter is larger than its anchor?",
        pull=lambda away: -away,
    ),
    believing(
        "A penalty is a mean over the entries.",
        "It is a sum, like the divergence that it stands for. With a mean a spring in a large "
        "tensor would be weaker than one in a small tensor.",
        "What becomes of your penalty if a tensor is split in two?",
        over=np.mean,
    ),
    believing(
        "All springs are alike.",
        "Then it is the distance that costs, wherever it is gone. F says which entries the old "
        "task hangs on.",
        "Which of the arguments does your code never read?",
        stiffness=lambda fisher: (fisher != 0) * 1.0,
    ),
    believing(
        "The springs draw to zero.",
        "That is weight decay. EWC draws to where the old task was learned.",
        "What does your penalty say of parameters that have not moved?",
        away=lambda now, there: now if there is not now else 0 * now,
    ),
    believing(
        "The distance counts as it is, not squared.",
        "Then a small move costs almost as much as a large one. A divergence grows with the "
        "square, and so does the energy of a spring.",
        "How much does twice the distance cost?",
        energy=lambda away: abs(away) / 2,
    ),
    believing(
        "Only what has a spring has a gradient.",
        "The gradient is asked for all parameters. Where there is no spring it is zeros.",
        "Which names does params have, and which has your gradient?",
        names=lambda params, anchor: anchor,
    ),
    believing(
        "Stiffness is the root of F.",
        "F is the second derivative of the divergence: it stands in the penalty as it is.",
        "What is F of a spring that is four times as stiff?",
        stiffness=np.sqrt,
    ),
)

EXERCISE = Exercise(
    reference=ewc_penalty_and_gradient,
    challenge=challenge,
    observe=observe,
    hints=(
        "One entry first: with the distance d from the anchor the penalty is λ F d² / 2. What is "
        "its derivative by d?",
        "Go through the names of params. For those in anchor, strength * fisher[name] * "
        "(params[name] - anchor[name]) is the gradient; for the others np.zeros_like.",
    ),
    lesson="06_fisher_importance",
    section="Keeping an old task",
    frameworks=("torch", "jax"),
    minutes=10,
    difficulty=2,
    note="λ F enters as one number. Whoever reports λ has to say how F was computed: as a mean or "
    "a sum, and of whose squares.",
)
