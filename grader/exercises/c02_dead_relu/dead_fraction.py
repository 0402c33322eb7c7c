"""The share of dead units that a NaN cannot hide (torch)."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.instruments.pairs import finding, pair
from grader.instruments.refusals import refusal, refused
from grader.instruments.snapshots import changed, snapshot
from grader.judging.evidence import alike, number
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def dead_fraction(z):
    """Say which share of a ReLU layer's units is dead, and on which share nothing can be said.

    A unit is *void* if one of its pre-activations is NaN or infinite: the network is broken
    there, and no verdict on the unit means anything. A unit that is not void is *dead* if ReLU's
    derivative is zero on all samples. At 0 that derivative is 0.

    Args:
        z: pre-activations, float tensor of shape (N, H), a row for each sample.

    Returns:
        Tuple (dead, void) of two floats, each a share of all H units. ``z`` stays as it is.

    Raises:
        ValueError: there are no samples or no units, so that no share means anything.

    Example:
        >>> z = torch.tensor([[-1.0, 2.0, -1.0, math.nan], [0.0, -3.0, -2.0, 1.0]])
        >>> dead_fraction(z)
        (0.5, 0.25)
    """
    if z.numel() == 0:
        raise ValueError(f"nothing to judge: z has the shape {tuple(z.shape)}")
    void = ~z.isfinite().all(0)
    dead = (z <= 0).all(0) & ~void
    return dead.double().mean().item(), void.double().mean().item()


ASLEEP, AWAKE = 0, 5
"""Two columns before the units are shuffled: below zero are two to four from 0 on, never 5."""


def challenge(rng: np.random.Generator) -> Challenge:
    samples, units = map(int, rng.integers((5, 8), (12, 20)))
    last = samples - 1

    def case(kind: str, value: float = 0, places: Any = (), samples: int = samples) -> Inputs:
        z, asleep = rng.normal(size=(samples, units)) + 0.2, rng.integers(2, 5)
        z[0] = 0.1 + abs(z[0])
        z[:, :asleep] = -0.1 - abs(z[:, :asleep])
        z[0, :asleep] = -0.01  # below zero is below zero, by however little
        for sample, unit in places:
            z[sample, unit] = value
        return {"z": z[:, rng.permutation(units)].astype(np.float32), "kind": kind}

    everywhere = [(sample, unit) for sample in range(samples) for unit in range(units)]
    one_in_each = [(sample, 2 + sample % 3) for sample in range(samples)]
    return {
        "all finite": case("finite"),
        "zeros in a dead unit": case("finite", 0.0, [(1, ASLEEP), (4, ASLEEP)]),
        "one sample": case("finite", samples=1),
        "numbers near the largest": case("finite", 3e38, [(1, AWAKE), (2, AWAKE)]),
        "a NaN in a unit that is below zero else": case("NaN", math.nan, [(3, ASLEEP)]),
        "a NaN in a living unit": case("NaN", math.nan, [(2, AWAKE)]),
        "a NaN in each sample": case("NaN", math.nan, one_in_each),
        "nothing but NaN": case("NaN", math.nan, everywhere),
        "minus infinity in a unit below zero": case("infinity", -math.inf, [(last, ASLEEP)]),
        "infinity in a living unit": case("infinity", math.inf, [(last, AWAKE)]),
        "a thousand samples, and one wakes a unit a little": case(
            "finite", 1e-30, [(500, ASLEEP)], samples=1000
        ),
        "no samples": {"z": np.zeros((0, units), np.float32), "kind": "empty"},
        "no units": {"z": np.zeros((samples, 0), np.float32), "kind": "empty"},
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    z = torch.tensor(inputs["z"])
    before = snapshot({"z": z})
    if inputs["kind"] == "empty":
        answer = {"ending": refusal(candidate, z, returned=_both)}
    else:
        answer = pair(candidate(z), "dead", "void")
    return {"kind": inputs["kind"], **answer, "changed": changed(before, {"z": z})}


def _both(returned: Any) -> str:
    return "dead {dead}, void {void}".format(**pair(returned, "dead", "void"))


def _compared(seen: Evidence, expected: Evidence) -> Finding:
    ours, right = ({key: one[key] for key in ("dead", "void")} for one in (seen, expected))
    shares = [f"dead {number(one['dead'])}, void {number(one['void'])}" for one in (ours, right)]
    return finding(seen, alike(ours, right), "you return {}; here it is {}".format(*shares))


@claim(2, "Over what do you say `all`, and over what do you take a mean?", of_kind("finite"))
def judges_finite_layers(seen: Evidence, expected: Evidence) -> Finding:
    """Where all is finite, dead is the share of units that are never above zero, and void is 0."""
    return _compared(seen, expected)


@claim(3, "What does your comparison give where z is NaN?", of_kind("NaN"))
def a_nan_is_void(seen: Evidence, expected: Evidence) -> Finding:
    """A unit with a NaN is void: neither dead nor alive. The others are judged as before."""
    return _compared(seen, expected)


@claim(2, "Is minus infinity below zero, and should it count?", of_kind("infinity"))
def an_infinity_is_void(seen: Evidence, expected: Evidence) -> Finding:
    """A unit with an infinite pre-activation is void, below zero or above."""
    return _compared(seen, expected)


@claim(1, "What is `all` of nothing?", of_kind("empty"), needs=judges_finite_layers)
def nothing_is_refused(seen: Evidence, expected: Evidence) -> Finding:
    """No samples or no units raise a ValueError."""
    return refused(seen["ending"])


@claim(1, "Which line of yours writes into z?", needs=judges_finite_layers)
def z_stays(seen: Evidence, expected: Evidence) -> Finding:
    """The tensor z is after the call what it was before."""
    return not seen["changed"], f"z was {'changed' if seen['changed'] else 'left alone'}"


def _refuse(z: Tensor) -> tuple[float, float]:
    raise ValueError("nothing to judge")


def judged(
    z: Tensor,
    is_empty: Part = lambda z: z.numel() == 0,
    of_nothing: Part = _refuse,
    void: Part = lambda z: ~z.isfinite().all(0),
    dead: Part = lambda z, void: (z <= 0).all(0) & ~void,
    shares: Part = lambda dead, void: (dead.double().mean(), void.double().mean()),
) -> tuple[float, float]:
    """The right answer in parts."""
    if is_empty(z):
        return of_nothing(z)
    broken = void(z)
    return shares(dead(z, broken), broken)


NOT_ALIVE = (
    "What is not alive is dead.",
    "A NaN is never above zero: every comparison with it is false, and nan_to_num makes a 0 of it. "
    "So your count calls a unit dead that is broken.",
    "What do nan > 0 and nan <= 0 give, and what does `not` make of the first?",
)
believing = beliefs_about(judged)
BELIEFS = (  # one that shows in two ways is there twice
    believing(*NOT_ALIVE, dead=lambda z, void: ~(z > 0).any(0), void=lambda z: z.isnan().any(0)),
    believing(*NOT_ALIVE, dead=lambda z, void: ~(z > 0).any(0)),
    believing(
        "What is not dead is alive.",
        "Every comparison with NaN is false. So no unit of NaN is at or below zero, and your count "
        "reports a broken layer as one without dead units.",
        "How would a reader of your numbers learn that the layer is full of NaN?",
        shares=lambda dead, void: (dead.double().mean(), 0.0),
        dead=lambda z, void: (z <= 0).all(0),
    ),
    believing(
        "A unit can be dead and void.",
        "Minus infinity is below zero, so your unit counts twice. If a pre-activation has "
        "overflowed, its sign is no finding.",
        "What is the largest that your two shares can add up to?",
        dead=lambda z, void: (z <= 0).all(0),
    ),
    believing(
        "Only NaN is a broken number.",
        "An infinity has overflowed, and the next product with a zero turns it into NaN.",
        "Which function tells finite numbers from all others?",
        void=lambda z: z.isnan().any(0),
    ),
    believing(
        "Broken samples can be left out.",
        "One NaN takes a whole sample away, for all units. When no sample is left, every unit is "
        "dead, because `all` of nothing is true.",
        "How many samples are left in the case where each has a NaN?",
        dead=lambda z, void: (z[z.isfinite().all(1)] <= 0).all(0),
    ),
    believing(
        "The dead are a share of the units that could be judged.",
        "Then the share rises when a living unit breaks. A share of all units can be compared from "
        "step to step.",
        "What do you divide by, and does it change when a unit becomes void?",
        shares=lambda dead, void: (dead.sum() / (~void).sum().clamp(min=1), void.double().mean()),
    ),
    believing(
        "The dead fraction is the share of zeros.",
        "About half of all numbers behind a ReLU are zero in a healthy layer. A unit is dead if "
        "all its samples are.",
        "How many verdicts should there be for a layer of H units on N samples?",
        void=lambda z: ~z.isfinite(),
        dead=lambda z, void: z <= 0,
    ),
    believing(
        "A row of pre-activations is a unit.",
        "A row is a sample. You judged the samples; a unit is a column.",
        "How many verdicts does your code make for 6 samples of 8 units?",
        void=lambda z: ~z.isfinite().all(1),
        dead=lambda z, void: (z <= 0).all(1) & ~void,
    ),
    believing(
        "At zero a ReLU has a slope.",
        "Torch says 0 there. A unit that is at or below zero on every sample gets no gradient.",
        "What does autograd give for the derivative of F.relu at 0?",
        dead=lambda z, void: (z < 0).all(0) & ~void,
    ),
    believing(
        "A share can be taken of anything.",
        "Of no samples, `all` is true: every unit is dead. Of no units the mean is 0/0, NaN.",
        "What would your caller conclude if its loader were empty by mistake?",
        is_empty=lambda z: False,
    ),
    believing(
        "Where there is nothing, nothing is dead.",
        "A share of nothing is no number. A 0 in its place says that all is well.",
        "What would your caller conclude if its loader were empty by mistake?",
        of_nothing=lambda z: (0.0, 0.0),
    ),
    believing(
        "What I call with z leaves z as it was.",
        "In torch a name that ends in an underscore, such as relu_, writes its result into the "
        "tensor itself. The caller's layer has lost all that was below zero.",
        "What does the caller find in z after your call, and where did that come from?",
        dead=lambda z, void: (z.relu_() == 0).all(0) & ~void,
    ),
)

EXERCISE = Exercise(
    reference=dead_fraction,
    challenge=challenge,
    observe=observe,
    hints=(
        "Try float('nan') > 0, float('nan') <= 0 and float('-inf') <= 0. Which of the three "
        "answers would you want to act on?",
        "z.isfinite() is False for NaN and for both infinities. Find the void units with it first.",
        "Three questions in a row: is there anything at all; which columns are not finite all the "
        "way down; which of the others are at most 0 all the way down.",
    ),
    lesson="02_dead_relu",
    section="What a NaN hides",
    frameworks=("torch",),
    minutes=10,
    difficulty=2,
    note="Dead, alive and void are three answers, and a comparison has only two. Whenever you "
    "count with a comparison, ask what it says of NaN.",
)
