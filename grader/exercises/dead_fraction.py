"""The share of dead units that a NaN cannot hide (torch)."""

import math

import numpy as np
import torch

from grader.evidence import alike, number
from grader.exercise import Claim, Exercise, Misconception, attempt, error_name
from grader.pairs import finding, pair


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
    """
    if z.numel() == 0:
        raise ValueError(f"nothing to judge: z has the shape {tuple(z.shape)}")
    void = ~z.isfinite().all(0)
    dead = (z <= 0).all(0) & ~void
    return dead.double().mean().item(), void.double().mean().item()


ASLEEP, AWAKE = 0, 5
"""Two columns before the units are shuffled: below zero are two to four from 0 on, never 5."""


def challenge(rng):
    samples, units = map(int, rng.integers((5, 8), (12, 20)))
    last = samples - 1

    def case(kind, value=0.0, places=(), samples=samples):
        z, asleep = rng.normal(size=(samples, units)) + 0.2, rng.integers(2, 5)
        z[0] = 0.1 + abs(z[0])
        z[:, :asleep] = -0.1 - abs(z[:, :asleep])
        for sample, unit in places:
            z[sample, unit] = value
        return {"z": z[:, rng.permutation(units)].astype(np.float32), "kind": kind}

    everywhere = [(sample, unit) for sample in range(samples) for unit in range(units)]
    one_in_each = [(sample, 2 + sample % 3) for sample in range(samples)]
    return {
        "all finite": case("finite"),
        "zeros in a dead unit": case("finite", 0.0, [(1, ASLEEP), (4, ASLEEP)]),
        "one sample": case("finite", samples=1),
        "a NaN in a unit that is below zero else": case("NaN", math.nan, [(3, ASLEEP)]),
        "a NaN in a living unit": case("NaN", math.nan, [(2, AWAKE)]),
        "a NaN in each sample": case("NaN", math.nan, one_in_each),
        "nothing but NaN": case("NaN", math.nan, everywhere),
        "minus infinity in a unit that is below zero": case(
            "infinity", -math.inf, [(last, ASLEEP)]
        ),
        "infinity in a living unit": case("infinity", math.inf, [(last, AWAKE)]),
        "no samples": {"z": np.zeros((0, units), np.float32), "kind": "empty"},
        "no units": {"z": np.zeros((samples, 0), np.float32), "kind": "empty"},
    }


def observe(candidate, inputs):
    z = torch.tensor(inputs["z"])
    if inputs["kind"] == "empty":
        answer = {"refusal": _refusal(candidate, z)}
    else:
        answer = pair(candidate(z), "dead", "void")
    return {"kind": inputs["kind"], **answer, "z": z.detach().numpy()}


def _refusal(candidate, z):
    """The error that came, or what was returned in its place."""
    returned, error = attempt(candidate, z)
    if error:
        return error_name(error)
    return "no error, but dead {dead}, void {void}".format(**pair(returned, "dead", "void"))


def finite_layers(seen, expected):
    """Where all is finite, dead is the share of units that are never above zero, and void is 0."""
    return _compared(seen, expected) if expected["kind"] == "finite" else None


def a_nan_is_void(seen, expected):
    """A unit with a NaN is void: neither dead nor alive. The others are judged as before."""
    return _compared(seen, expected) if expected["kind"] == "NaN" else None


def an_infinity_is_void(seen, expected):
    """A unit with an infinite pre-activation is void, below zero or above."""
    return _compared(seen, expected) if expected["kind"] == "infinity" else None


def nothing_is_refused(seen, expected):
    """No samples or no units raise a ValueError."""
    if expected["kind"] != "empty":
        return None
    return seen["refusal"] == expected["refusal"], f"there was {seen['refusal']}"


def z_stays(seen, expected):
    """The tensor z holds after the call what it held before."""
    if expected["kind"] == "empty":
        return None
    left = alike(seen["z"], expected["z"])
    return left, f"z was {'left alone' if left else 'changed'}"


def _compared(seen, expected):
    ours, right = ({key: one[key] for key in ("dead", "void")} for one in (seen, expected))
    shares = [f"dead {number(one['dead'])}, void {number(one['void'])}" for one in (ours, right)]
    return finding(seen, alike(ours, right), "you return {}; here it is {}".format(*shares))


def _share(units):
    return units.double().mean().item()


def _sized(z):
    if z.numel() == 0:
        raise ValueError("nothing to judge")
    return z


def ask_who_never_exceeds_zero(z):
    dead = ~(_sized(z) > 0).any(0)
    return _share(dead), _share(z.isnan().any(0))


def ask_who_stays_below_zero(z):
    return _share((_sized(z) <= 0).all(0)), 0.0


def call_dead_what_is_void_too(z):
    return _share((_sized(z) <= 0).all(0)), _share(~z.isfinite().all(0))


def look_for_nan_only(z):
    void = _sized(z).isnan().any(0)
    return _share((z <= 0).all(0) & ~void), _share(void)


def ask_who_never_exceeds_zero_and_find_all_that_is_void(z):
    return _share(~(_sized(z) > 0).any(0)), _share(~z.isfinite().all(0))


def leave_broken_samples_out(z):
    sound = _sized(z)[z.isfinite().all(1)]
    return _share((sound <= 0).all(0)), _share(~z.isfinite().all(0))


def share_among_the_sound(z):
    sound = _sized(z).isfinite().all(0)
    count = max(int(sound.sum()), 1)
    return int(((z <= 0).all(0) & sound).sum()) / count, _share(~sound)


def share_of_the_entries(z):
    return _share(_sized(z) <= 0), _share(~z.isfinite())


def judge_the_samples(z):
    void = ~_sized(z).isfinite().all(1)
    return _share((z <= 0).all(1) & ~void), _share(void)


def exclude_zero(z):
    void = ~_sized(z).isfinite().all(0)
    return _share((z < 0).all(0) & ~void), _share(void)


def take_a_share_of_nothing(z):
    void = ~z.isfinite().all(0)
    return _share((z <= 0).all(0) & ~void), _share(void)


def call_nothing_sound(z):
    return take_a_share_of_nothing(z) if z.numel() else (0.0, 0.0)


def use_the_relu_that_writes(z):
    void = ~_sized(z).isfinite().all(0)
    return _share((z.relu_() == 0).all(0) & ~void), _share(void)


# A belief that shows in two ways has a specimen for each.
NOT_ALIVE = (
    "What is not alive is dead.",
    "A NaN is never above zero: every comparison with it is false, and nan_to_num makes a 0 of it. "
    "So your count calls a unit dead that is broken.",
    "What do nan > 0 and nan <= 0 give, and what does `not` make of the first?",
)

EXERCISE = Exercise(
    reference=dead_fraction,
    challenge=challenge,
    observe=observe,
    claims=(
        Claim(finite_layers, 2, "Over what do you say `all`, and over what do you take a mean?"),
        Claim(a_nan_is_void, 3, "What does your comparison give where z is NaN?"),
        Claim(an_infinity_is_void, 2, "Is minus infinity below zero, and should it count?"),
        Claim(nothing_is_refused, 1, "What is `all` of nothing?"),
        Claim(z_stays, 1, "Which line of yours writes into z?"),
    ),
    misconceptions=(
        Misconception(*NOT_ALIVE, specimen=ask_who_never_exceeds_zero),
        Misconception(*NOT_ALIVE, specimen=ask_who_never_exceeds_zero_and_find_all_that_is_void),
        Misconception(
            "What is not dead is alive.",
            "Every comparison with NaN is false. So no unit of NaN is at or below zero, and your "
            "count reports a broken layer as one without dead units.",
            "How would a reader of your numbers learn that the layer is full of NaN?",
            ask_who_stays_below_zero,
        ),
        Misconception(
            "A unit can be dead and void.",
            "Minus infinity is below zero, so your unit counts twice. If a pre-activation has "
            "overflowed, its sign is no finding.",
            "What is the largest that your two shares can add up to?",
            call_dead_what_is_void_too,
        ),
        Misconception(
            "Only NaN is a broken number.",
            "An infinity has overflowed, and the next product with a zero turns it into NaN.",
            "Which function tells finite numbers from all others?",
            look_for_nan_only,
        ),
        Misconception(
            "Broken samples can be left out.",
            "One NaN takes a whole sample away, for all units. When no sample is left, every unit "
            "is dead, because `all` of nothing is true.",
            "How many samples are left in the case where each has a NaN?",
            leave_broken_samples_out,
        ),
        Misconception(
            "The dead are a share of the units that could be judged.",
            "Then the share rises when a living unit breaks. A share of all units can be "
            "compared from step to step.",
            "What do you divide by, and does it change when a unit becomes void?",
            share_among_the_sound,
        ),
        Misconception(
            "The dead fraction is the share of zeros.",
            "About half of all numbers behind a ReLU are zero in a healthy layer. A unit is dead "
            "if all its samples are.",
            "How many verdicts should there be for a layer of H units on N samples?",
            share_of_the_entries,
        ),
        Misconception(
            "A row of pre-activations is a unit.",
            "A row is a sample. You judged the samples; a unit is a column.",
            "How many verdicts does your code make for 6 samples of 8 units?",
            judge_the_samples,
        ),
        Misconception(
            "At zero a ReLU has a slope.",
            "Torch says 0 there. A unit that is at or below zero on every sample gets no gradient.",
            "What does autograd give for the derivative of F.relu at 0?",
            exclude_zero,
        ),
        Misconception(
            "A share can be taken of anything.",
            "Of no samples, `all` is true: every unit is dead. Of no units the mean is 0/0, NaN.",
            "What would your caller conclude if its loader were empty by mistake?",
            take_a_share_of_nothing,
        ),
        Misconception(
            "Where there is nothing, nothing is dead.",
            "A share of nothing is no number. A 0 in its place says that all is well.",
            "What would your caller conclude if its loader were empty by mistake?",
            call_nothing_sound,
        ),
        Misconception(
            "What I call with z leaves z as it was.",
            "In torch a name that ends in an underscore, such as relu_, writes its result into "
            "the tensor itself. The caller's layer has lost all that was below zero.",
            "What does the caller find in z after your call, and where did that come from?",
            use_the_relu_that_writes,
        ),
    ),
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
    note="Dead, alive and void are three answers, and a comparison has only two. Whenever you "
    "count with a comparison, ask what it says of NaN.",
)
