"""The learning rate during a warm-up, exact at its end: plain Python."""

import math

import numpy as np

from grader.judging.evidence import alike, number, numbers
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def warmup_rate(step, steps, peak):
    """Say which learning rate an update has in a warm-up.

    A warm-up of n steps gives the first update 1/n of the peak, the second 2/n, and so on. The n-th
    has the whole peak, and so has every update after it. No update has a rate of 0.

    Args:
        step: which update it is, counted from 0 as the frameworks do: 0 is the first.
        steps: n, a whole number from 1 on.
        peak: the learning rate at the end of the warm-up, a positive float.

    Returns:
        The learning rate, a float. From the n-th update on it is ``peak`` to the last bit.

    Example:
        >>> [warmup_rate(step, 4, 0.5) for step in range(6)]
        [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]
    """
    return peak * min(1, (step + 1) / steps)


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, asked: np.ndarray, steps: int, peak: float) -> Inputs:
        return {"kind": kind, "asked": [int(n) for n in asked], "steps": steps, "peak": peak}

    steps, peak = int(rng.integers(20, 90)), float(rng.uniform(0.01, 0.9))
    rising = np.sort(rng.choice(np.arange(1, steps - 1), 5, replace=False))
    later = steps + np.sort(rng.choice(10 * steps, 4, replace=False))
    few, odd = _rounded(rng)
    return {
        "on the way up": case("rising", rising, steps, peak),
        "the first two updates": case("rising", np.arange(2), steps, peak),
        "on the way to a small peak": case("rising", rising, steps, 1e-20 * peak),
        "on the way to a large peak": case("rising", rising, steps, 1e20 * peak),
        "the last update of the warm-up": case("peak", np.array([steps - 1]), steps, peak),
        "the last update of another warm-up": case("peak", np.array([few - 1]), few, odd),
        "a warm-up of one step": case("peak", np.arange(1), 1, peak),
        "after the warm-up": case("later", later, steps, peak),
        "after another warm-up": case("later", few + np.arange(3), few, odd),
    }


def _rounded(rng: np.random.Generator) -> tuple[int, float]:
    """A number of steps and a peak that are not the peak again when multiplied and divided."""
    while True:
        n, peak = int(rng.integers(10, 200)), float(rng.uniform(0.01, 0.9))
        if peak * n / n != peak and peak / n * n != peak:
            return n, peak


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    peak = inputs["peak"]
    rates = [candidate(step, inputs["steps"], peak) for step in inputs["asked"]]
    if not all(isinstance(rate, int | float) for rate in rates):
        return {"kind": inputs["kind"], "returned": rates[0]}
    return {
        "kind": inputs["kind"],
        "asked": inputs["asked"],
        "shares": np.array([rate / peak for rate in rates]),
        "exactly": [rate == peak for rate in rates],
    }


@claim(3, "Which share of the peak has the first update, and which the second?", of_kind("rising"))
def rises_evenly(seen: Evidence, expected: Evidence) -> Finding:
    """During the warm-up the rate rises evenly, from one n-th of the peak on."""
    ours, right = numbers(seen["shares"]), numbers(expected["shares"])
    words = f"at the steps {seen['asked']} you return {ours} of the peak, right is {right}"
    return alike(seen["shares"], expected["shares"]), words


def _is_peak(seen: Evidence) -> Finding:
    off = [place for place, exact in enumerate(seen["exactly"]) if not exact]
    if not off:
        return True, "you return the peak"
    step, share = seen["asked"][off[0]], float(seen["shares"][off[0]])
    told = number(share) if abs(share - 1) > 1e-3 else repr(share)
    return False, f"at step {step} you return {told} of the peak, right is all of it"


@claim(2, "Which number has the n-th update, counted from 0?", of_kind("peak"), rises_evenly)
def ends_at_the_peak(seen: Evidence, expected: Evidence) -> Finding:
    """The n-th update has exactly the peak."""
    return _is_peak(seen)


@claim(1, "What does your formula say ten times as late?", of_kind("later"), rises_evenly)
def stays_at_the_peak(seen: Evidence, expected: Evidence) -> Finding:
    """Every update after the n-th has exactly the peak as well."""
    return _is_peak(seen)


def warmed(
    step: int,
    steps: int,
    peak: float,
    share: Part = lambda step, steps: (step + 1) / steps,
    cut: Part = lambda share: min(1, share),
    rate: Part = lambda peak, share, steps: peak * share,
) -> float:
    """The right answer in parts."""
    return rate(peak, cut(share(step, steps)), steps)


believing = beliefs_about(warmed)
BELIEFS = (
    believing(
        "The share of an update is its number.",
        "Counted from 0, the first update has the number 0. Its rate is 0, the batch is thrown "
        "away, and the peak comes one update late.",
        "How far does the first update move a weight in your schedule?",
        share=lambda step, steps: step / steps,
    ),
    believing(
        "A warm-up goes from nothing to the peak.",
        "You stretch it from 0 to 1, so its first update does nothing. It begins at 1/n.",
        "What does your function return for step 0?",
        share=lambda step, steps: step / (steps - 1) if steps > 1 else 1,
    ),
    believing(
        "A schedule for the warm-up is asked during the warm-up.",
        "It is asked at every update. Your rate rises on, past the peak, until training breaks.",
        "What does your function return after ten times the warm-up?",
        cut=lambda share: share,
    ),
    believing(
        "A warm-up is a while at a low rate.",
        "The jump at its end is the shock that a warm-up is to spare the network.",
        "How large is the largest step up of your rate?",
        share=lambda step, steps: 1 if step >= steps - 1 else 1 / steps,
    ),
    believing(
        "A rate rises by the same factor at each update.",
        "Rates are often compared by factors. This warm-up adds the same amount each time.",
        "By how much does the rate grow from the first to the second update, and from the second "
        "to the third?",
        share=lambda step, steps: steps ** min(0, (step + 1) / steps - 1),
    ),
    believing(
        "What is right on paper is right to the last bit.",
        "0.1 * 3 / 3 is 0.10000000000000002. A share of exactly 1 times the peak is the peak.",
        "What is your share at the end of the warm-up, before the peak comes in?",
        share=lambda step, steps: min(step + 1, steps),
        cut=lambda share: share,
        rate=lambda peak, share, steps: peak * share / steps,
    ),
    believing(
        "A schedule returns a share.",
        "That is what LambdaLR asks for. Here the rate itself is wanted.",
        "Which of the arguments does your answer not depend on?",
        rate=lambda peak, share, steps: share,
    ),
    believing(
        "After the warm-up the rate goes down again.",
        "Many schedules do so. This one stays at the peak.",
        "What does the task say of updates after the n-th?",
        cut=lambda share: min(share, 1 / share),
    ),
    believing(
        "A soft start is a cosine.",
        "It is a usual shape, and not this one: here each update adds as much as the one before.",
        "By how much does the rate grow from the first to the second update?",
        cut=lambda share: (1 - math.cos(math.pi * min(1, share))) / 2,
    ),
)

EXERCISE = Exercise(
    reference=warmup_rate,
    challenge=challenge,
    observe=observe,
    hints=(
        "Which share of the peak has the update with the number 0, and which has number 1?",
        "The share is one more than the number of the update, over the number of steps, and at "
        "most 1. Take the smaller of the two first, then multiply by the peak.",
    ),
    lesson="08_unlocking",
    section="Warm-up prevents, it does not open",
    frameworks=("python",),
    minutes=5,
    difficulty=1,
    note="The counts of torch and optax begin at 0 as well, so this is what you hand to either. A "
    "warm-up that is written without the one more is the usual slip, and no error tells of it.",
)
