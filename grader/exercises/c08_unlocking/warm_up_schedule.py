"""A schedule for optax: up to the peak, then down to 0, also in compiled code (JAX)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grader.instruments import rate_schedules
from grader.instruments.rate_schedules import LATER, run
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def warm_up_schedule(peak, warmup, total):
    """Make a schedule that lets the learning rate rise to its peak, then fall to 0.

    Count the updates from 1. Update k of the warm-up has k/warmup of the peak, so the last of them
    has all of it. From there the rate falls evenly, so that 0 would be reached by the first update
    that is not made any more, update total + 1. It stays 0 if more updates are made.

    Args:
        peak: the largest learning rate, a positive float.
        warmup: how many updates the warm-up has, a whole number from 1 to ``total``.
        total: how many updates are made in all.

    Returns:
        A schedule as optax takes it: a function of a count, an int32 array of no dimensions. The
        count is 0 at the first update. It returns the rate, and works within ``jax.jit``.

    Example:
        >>> schedule = warm_up_schedule(1.0, 2, 3)
        >>> [float(jax.jit(schedule)(count)) for count in range(4)]
        [0.5, 1.0, 0.5, 0.0]
    """

    def rate(count):
        rise = (count + 1) / warmup
        fall = (total - count) / (total + 1 - warmup)
        return peak * jnp.maximum(0, jnp.minimum(rise, fall))

    return rate


def challenge(rng: np.random.Generator) -> Challenge:
    cases = rate_schedules.cases(rng)
    few, many = (int(count) for count in rng.integers((3, 8), (7, 20)))
    compiled = run("compiled", few, many, float(rng.uniform(0.1, 0.9)))
    return {**cases, "in compiled code": compiled}


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    schedule = candidate(*inputs["peaks"], inputs["warmup"], inputs["total"])
    if not callable(schedule):
        return None if schedule is None else f"<{type(schedule).__name__}>"
    rate = jax.jit(schedule) if inputs["kind"] == "compiled" else schedule
    counts = np.arange(inputs["total"] + LATER, dtype=np.int32)
    rates = [float(rate(jnp.asarray(count))) for count in counts]
    return rate_schedules.evidence(inputs, [rates]) | {"parameters moved": 0}


CLAIMS = rate_schedules.CLAIMS


@claim(2, "Which of your operations needs to know the count as a number?", of_kind("compiled"))
def compiles(seen: Evidence, expected: Evidence) -> Finding:
    """Within jax.jit the rates are the same, from the first update to beyond the last."""
    return rate_schedules.alike_between(seen, expected, 1, expected["total"] + LATER)


def scheduled(
    peak: float,
    warmup: int,
    total: int,
    rise: Part = lambda count, warmup: (count + 1) / warmup,
    fall: Part = lambda count, warmup, total: (total - count) / (total + 1 - warmup),
    both: Part = jnp.minimum,
    floor: Part = lambda share: jnp.maximum(0, share),
    rate: Part = lambda share, peak: peak * share,
    whole: Part = lambda schedule, total: schedule,
) -> Any:
    """The right answer in parts."""

    def schedule(count: Any) -> Any:
        together = both(rise(count, warmup), fall(count, warmup, total))
        return rate(floor(together), peak)

    return whole(schedule, total)


def _until_the_peak(rise: Any, fall: Any) -> Any:
    return jnp.where(rise <= 1, rise, fall)


def _as_table(schedule: Any, total: int) -> Any:
    rates = jnp.array([schedule(count) for count in range(total)])
    return lambda count: rates[count]


believing = beliefs_about(scheduled)
BELIEFS = (  # one that shows in two ways is there twice
    believing(*rate_schedules.FROM_ZERO, rise=lambda count, warmup: count / warmup),
    believing(
        *rate_schedules.FROM_ZERO,
        rise=lambda count, warmup: count / warmup,
        fall=lambda count, warmup, total: (total + 1 - count) / (total + 1 - warmup),
    ),
    believing(
        *rate_schedules.NOTHING_LAST,
        fall=lambda count, warmup, total: (total - 1 - count) / max(1, total - warmup),
        both=_until_the_peak,
    ),
    believing(*rate_schedules.NO_FLOOR, floor=lambda share: share),
    believing(*rate_schedules.NO_FALL, both=lambda rise, fall: jnp.minimum(1, rise)),
    believing(
        *rate_schedules.PRODUCT,
        fall=lambda count, warmup, total: 1 - count / total,
        both=lambda rise, fall: jnp.minimum(1, rise) * fall,
    ),
    believing(
        *rate_schedules.FROM_THE_START,
        fall=lambda count, warmup, total: 1 - count / total,
        both=_until_the_peak,
    ),
    believing(
        "Joined schedules all see the same count.",
        "join_schedules hands the second one a count that begins at 0 at the boundary. A formula "
        "for the whole run starts above the peak there.",
        "With which count is your second schedule asked at its first update?",
        fall=lambda count, warmup, total: (total - (count - warmup)) / (total + 1 - warmup),
        both=_until_the_peak,
    ),
    believing(
        "A count is a number, so Python can compare it.",
        "Within jax.jit it is a placeholder for any count. min, max and if would have to choose "
        "one way for all of them.",
        "Which call of jax.numpy chooses for each value?",
        both=min,
        floor=lambda share: max(0, share),
    ),
    believing(
        "A table of rates is a schedule.",
        "It is, as far as it goes. JAX raises nothing for a place after its end and takes the last "
        "entry.",
        "What is jnp.arange(3)[10]?",
        whole=_as_table,
    ),
    believing(
        "A schedule returns a share of the peak.",
        "That is what torch's LambdaLR asks for. optax takes what you return for the rate.",
        "Where does your schedule use the peak?",
        rate=lambda share, peak: share,
    ),
)

EXERCISE = Exercise(
    reference=warm_up_schedule,
    challenge=challenge,
    observe=observe,
    hints=(
        "Write the share of the peak as a function of a count from 0: a line that rises through "
        "1/warmup at count 0, and one that falls to 0 at count total.",
        "Both lines are 1 at count warmup - 1. Which of the two is smaller before, and which after "
        "it? What keeps the share from going below 0?",
        "Within jax.jit the count has no value yet, so Python cannot choose by it. jnp.minimum and "
        "jnp.maximum can.",
    ),
    lesson="08_unlocking",
    section="Warm-up prevents, it does not open",
    frameworks=("jax",),
    minutes=15,
    difficulty=3,
    twin="warm_up",
    note="optax.join_schedules with two linear_schedule makes the same of ready parts. Ask yours "
    "for its first and last counts before you train with it.",
)
