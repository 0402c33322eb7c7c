"""The cubic schedule of a sparsity, exact at its ends: plain Python.

Source: Zhu & Gupta 2017, "To prune, or not to prune", arXiv:1710.01878, equation 1.
"""

from typing import Any

import numpy as np

from grader.instruments.refusals import refusal, refused
from grader.judging.evidence import alike, numbers, plain
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def sparsity_at(step, begin, end, first, final):
    """Say how sparse a network is to be at a step of gradual pruning.

    Up to ``begin`` the sparsity is ``first``, from ``end`` on it is ``final``. In between, what is
    still missing to ``final`` shrinks with the third power of the time that is left: halfway, one
    eighth of ``final - first`` is missing. So pruning is quick while there is much to prune, and
    the last weights go slowly.

    Args:
        step: the step, a whole number.
        begin, end: the steps between which weights are pruned. Where they are the same, the
            sparsity jumps, and at that step it is ``final``.
        first, final: sparsities, numbers from 0 to 1; either may be the larger one.

    Returns:
        The sparsity, a float. Up to ``begin`` and from ``end`` on it is exactly ``first`` and
        exactly ``final``, to the last bit.

    Raises:
        ValueError: ``end`` lies before ``begin``.

    Example:
        >>> [sparsity_at(step, 100, 200, 0.0, 0.8) for step in (0, 100, 150, 200, 999)]
        [0.0, 0.0, 0.7000000000000001, 0.8, 0.8]
    """
    if end < begin:
        raise ValueError(f"pruning ends at {end}, before it begins at {begin}")
    if step >= end:
        return final
    if step <= begin:
        return first
    left = (end - step) / (end - begin)
    return final + (first - final) * left**3


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, steps: Any, begin: int, end: int, first: float, final: float) -> Inputs:
        settings = {"begin": begin, "end": end, "first": first, "final": final}
        return {"kind": kind, "steps": [int(step) for step in steps], "settings": settings}

    begin, length = int(rng.integers(20, 60)), int(rng.integers(30, 90))
    end = begin + length
    within = begin + np.sort(rng.choice(np.arange(1, length), 6, replace=False))
    first, final = (float(share) for share in rng.uniform((0.1, 0.7), (0.3, 0.95)).round(3))
    outside = [0, begin // 2, begin - 1, end + 1, end + length // 2, 10 * end]
    return {
        "between the ends, from a dense network": case("between", within, begin, end, 0.0, final),
        "between the ends": case("between", within, begin, end, first, final),
        "from step 0 on": case("between", within - begin, 0, length, first, final),
        "opening again": case("between", within, begin, end, final, first),
        "at the ends": case("ends", [begin, end], begin, end, first, final),
        "at the ends, from 0.1 to 0.9": case("ends", [begin, end], begin, end, 0.1, 0.9),
        "at the ends, from 0.3 to 0.9": case("ends", [begin, end], begin, end, 0.3, 0.9),
        "before and after": case("outside", outside, begin, end, first, final),
        "all at one step": case("jump", [begin - 1, begin, begin + 1], begin, begin, first, final),
        "an end before the beginning": case("refused", [begin], end, begin, first, final),
        "an end before the beginning, long after": case(
            "refused", [10 * end], end, begin, first, final
        ),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    kind, settings = inputs["kind"], inputs["settings"].values()
    if kind == "refused":
        return {"kind": kind, "ending": refusal(candidate, inputs["steps"][0], *settings)}
    found = [plain(candidate(step, *settings)) for step in inputs["steps"]]
    odd = [share for share in found if not isinstance(share, int | float)]
    shares = [] if odd else found
    ends = {inputs["settings"]["first"]: "first", inputs["settings"]["final"]: "final"}
    return {
        "kind": kind,
        "steps": inputs["steps"],
        "a share": (odd or found)[0],
        "sparsity": np.array(shares, float),
        "exactly": [ends.get(share, "neither") for share in shares],
    }


def _follows(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = seen["sparsity"], expected["sparsity"]
    words = f"at the steps {seen['steps']} you return {numbers(ours)}, right is {numbers(right)}"
    return alike(ours, right), words


def _lies(seen: Evidence, expected: Evidence) -> Finding:
    """Whether the sparsity is one of the ends, to the last bit."""
    off = [place for place, end in enumerate(expected["exactly"]) if seen["exactly"][place] != end]
    if not off:
        return True, "each is one of the two ends, to the last bit"
    ours, right = (float(one["sparsity"][off[0]]) for one in (seen, expected))
    return False, f"at step {seen['steps'][off[0]]} you return {ours!r}, right is {right!r}"


@claim(3, "How much is missing to the final sparsity after half of the time?", of_kind("between"))
def falls_with_the_third_power(seen: Evidence, expected: Evidence) -> Finding:
    """In between, what is missing shrinks with the third power of the time that is left."""
    return _follows(seen, expected)


@claim(
    2,
    "What does a network of pruned weights become if the schedule goes on?",
    of_kind("outside"),
    needs=falls_with_the_third_power,
)
def is_flat_outside(seen: Evidence, expected: Evidence) -> Finding:
    """Before the beginning the sparsity stays at first, and after the end at final."""
    return _lies(seen, expected)


@claim(
    1,
    "What is 0.9 + (0.1 - 0.9), in floating point?",
    of_kind("ends"),
    needs=falls_with_the_third_power,
)
def is_exact_at_the_ends(seen: Evidence, expected: Evidence) -> Finding:
    """At the beginning it is first and at the end final, to the last bit."""
    return _lies(seen, expected)


@claim(
    1,
    "By what do you divide where begin and end are the same?",
    of_kind("jump", "refused"),
    needs=falls_with_the_third_power,
)
def jumps_or_refuses(seen: Evidence, expected: Evidence) -> Finding:
    """An end at the beginning is a jump, and one before it raises a ValueError."""
    return refused(seen["ending"]) if "ending" in expected else _lies(seen, expected)


def scheduled(
    step: int,
    begin: int,
    end: int,
    first: float,
    final: float,
    check: Part = lambda begin, end: begin <= end,
    early: Part = lambda step, begin: step <= begin,
    late: Part = lambda step, end: step >= end,
    gone: Part = lambda step, begin, end: (step - begin) / (end - begin),
    missing: Part = lambda gone: (1 - gone) ** 3,
    between: Part = lambda first, final, missing: final + (first - final) * missing,
) -> float:
    """The right answer in parts."""
    if not check(begin, end):
        raise ValueError(f"{end} lies before {begin}")
    if late(step, end):
        return final
    if early(step, begin):
        return first
    return between(first, final, missing(gone(step, begin, end)))


believing = beliefs_about(scheduled)
BELIEFS = (
    believing(
        "The sparsity rises evenly.",
        "The cubic schedule takes most weights early, while there are many that do little, and "
        "leaves the network more and more time between the last ones.",
        "Which sparsity has this schedule reached halfway?",
        missing=lambda gone: 1 - gone,
    ),
    believing(
        "Cubic is the third power of the time that has gone.",
        "Then little happens at first, and the last steps take nearly everything.",
        "Which power is taken of what is left, and which of what has gone?",
        missing=lambda gone: 1 - gone**3,
    ),
    believing(
        "A schedule begins at a sparsity of 0.",
        "This one begins at first. A network that is sparse already would be dense again.",
        "Where does your formula use first?",
        between=lambda first, final, missing: final * (1 - missing),
    ),
    believing(
        "Time is counted from step 0.",
        "It is counted from begin, and it is over after end - begin steps.",
        "How large is the time that has gone, at begin, in your formula?",
        gone=lambda step, begin, end: step / end,
    ),
    believing(
        "After its end a schedule is not asked.",
        "It is, at each step of the training that follows. The cube of a negative time is negative "
        "and opens the network again, or prunes on.",
        "What does your formula say ten steps after the end?",
        late=lambda step, end: step == end,
    ),
    believing(
        "Before its beginning a schedule is not asked.",
        "It is, at each step of the warm-up. There the cube is larger than 1, and what comes out "
        "may lie below 0.",
        "What does your formula say at step 0?",
        early=lambda step, begin: step == begin,
    ),
    believing(
        "What is right on paper is exact at the ends.",
        "0.9 + (0.1 - 0.9) is 0.09999999999999998. A count of weights that is rounded from it can "
        "be one off, and a comparison with first fails.",
        "What does your function return at begin, to the last digit?",
        early=lambda step, begin: step < begin,
    ),
    believing(
        "A schedule takes time.",
        "Where begin and end are the same it is a jump, one shot, and the time to divide by is 0.",
        "By what do you divide where begin and end are the same?",
        late=lambda step, end: step > end,
        early=lambda step, begin: step < begin,
        between=lambda first, final, missing: (
            first if missing == 1 else final + (first - final) * missing
        ),
    ),
    believing(
        "A schedule that ends before it begins is over.",
        "Nobody means that. The two were swapped, and the network is pruned in one shot.",
        "Who would notice that begin and end were swapped?",
        check=lambda begin, end: True,
    ),
    believing(
        "The schedule says what is left.",
        "It says what is gone. A sparsity of 0.9 leaves a tenth.",
        "What should your function return after the end?",
        late=lambda step, end: False,
        early=lambda step, begin: False,
        gone=lambda step, begin, end: min(1, max(0, (step - begin) / max(1, end - begin))),
        between=lambda first, final, missing: 1 - (final + (first - final) * missing),
    ),
)

EXERCISE = Exercise(
    reference=sparsity_at,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write the time that is left as a number from 1 at begin to 0 at end. What does its third "
        "power do to final - first?",
        "The formula is for steps between the ends. What is returned before and after them, and at "
        "them, needs no arithmetic.",
    ),
    lesson="05_pruning",
    section="A schedule that ends where it should",
    frameworks=("python",),
    minutes=10,
    difficulty=2,
    note="paramlock.cubic_sparsity is this schedule. Prune at some steps only, "
    "every hundredth say, so that the network can adapt in between.",
)
