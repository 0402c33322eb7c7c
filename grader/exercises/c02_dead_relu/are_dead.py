"""Dead or not, for each ReLU unit, from its pre-activations: plain Python."""

from collections.abc import Sequence
from statistics import mean

import numpy as np

from grader.instruments.dead_units import as_row, judged_alike
from grader.judging.exercise import Exercise, beliefs_about, claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs, Part


def are_dead(units):
    """Say of each ReLU unit whether it is dead on these samples.

    A unit is dead on some samples if the slope of ReLU is zero at its pre-activation on every one
    of them. Above 0 that slope is 1. Below 0 it is 0, and at 0 we take 0 as well, as PyTorch does.

    Args:
        units: list of lists of floats, one list for each unit: its pre-activation on each sample.
            There is at least one sample.

    Returns:
        List with a bool for each unit, in the same order: True for a dead one.
        The lists stay as they are.

    Example:
        >>> are_dead([[-1.0, 0.5, -2.0], [-1.0, -0.5, -2.0]])
        [False, True]
    """
    return [all(z <= 0 for z in unit) for unit in units]


def challenge(rng: np.random.Generator) -> Challenge:
    def case(kind: str, samples: int, awake_on: int, touching: int = 0) -> Inputs:
        """Half of the units sleep throughout, the others but for `awake_on` samples."""
        count = int(rng.integers(20, 30))
        z = -rng.uniform(0.1, 3, (count, samples)).round(9)
        for unit in rng.permutation(count)[: count // 2]:
            places = rng.choice(samples, awake_on, replace=False)
            little = 10 ** rng.uniform(-30, -3, awake_on)
            z[unit, places] = little if kind == "seldom" else rng.uniform(1e-6, 4, awake_on)
        for unit in range(count if touching else 0):
            z[unit, rng.choice(np.flatnonzero(z[unit] < 0), touching, replace=False)] = 0.0
        return {"units": z.tolist(), "kind": kind}

    samples = int(rng.integers(8, 12))
    return {
        "awake on some samples": case("plain", samples, samples // 2 + 1),
        "awake on all samples": case("plain", samples, samples),
        "one sample": case("plain", 1, 1),
        "awake on one sample": case("seldom", samples, 1),
        "awake on one sample of three hundred": case("seldom", 300, 1),
        "some pre-activations are 0": case("kink", samples, 2, touching=2),
    }


def observe(candidate: Candidate, inputs: Inputs) -> Evidence:
    units = [list(unit) for unit in inputs["units"]]
    dead = as_row(candidate(units))
    return {"kind": inputs["kind"], "dead": dead, "kept": units == inputs["units"]}


@claim(2, "What has to be so on every sample for you to write True?", of_kind("plain"))
def tells_dead_from_awake(seen: Evidence, expected: Evidence) -> Finding:
    """A unit that is below zero on every sample is dead, and no other."""
    return judged_alike(seen, expected)


@claim(
    2,
    "From how many samples can a unit learn that is above zero once?",
    of_kind("seldom"),
    needs=tells_dead_from_awake,
)
def one_sample_is_enough(seen: Evidence, expected: Evidence) -> Finding:
    """One sample above zero is enough to be awake, one of three hundred too."""
    return judged_alike(seen, expected)


@claim(
    1,
    "Which slope does the task give to a pre-activation of 0?",
    of_kind("kink"),
    needs=tells_dead_from_awake,
)
def zero_has_no_slope(seen: Evidence, expected: Evidence) -> Finding:
    """A pre-activation of exactly 0 counts as one below it."""
    return judged_alike(seen, expected)


@claim(1, "Which line of yours writes into a list?", needs=tells_dead_from_awake)
def leaves_the_lists(seen: Evidence, expected: Evidence) -> Finding:
    """The lists are left as they were."""
    return seen["kept"], f"the lists were {'left alone' if seen['kept'] else 'changed'}"


def judged(
    units: Sequence[Sequence[float]],
    asleep: Part = lambda z: z <= 0,
    together: Part = all,
    verdict: Part = lambda dead: dead,
) -> list[bool]:
    """The right answer in parts."""
    return [verdict(together([asleep(z) for z in unit])) for unit in units]


believing = beliefs_about(judged)
BELIEFS = (
    believing(
        "A unit that gives zero on some sample is dead.",
        "Every ReLU gives zero on some samples: that is its work. Dead is one that does so on all.",
        "How many units of a healthy layer give zero on at least one sample?",
        together=any,
    ),
    believing(
        "A unit that is below zero on average is dead.",
        "It learns from the samples on which it is above zero, and an average does not show them.",
        "What is the mean of -3, -3 and 1, and on which of the three is there a slope?",
        asleep=lambda z: z,
        together=lambda numbers: mean(numbers) <= 0,
    ),
    believing(
        "A unit that sleeps on most samples is dead.",
        "It learns from the others. A unit may be awake on one sample in a hundred and be fine.",
        "What share of the samples has to be above zero for a gradient to arrive?",
        together=lambda asleep: sum(asleep) > len(asleep) / 2,
    ),
    believing(
        "The first sample shows which units are dead.",
        "It shows which units are asleep on it. The next sample may wake them.",
        "How many samples does your code look at before it decides?",
        together=lambda asleep: asleep[0],
    ),
    believing(
        "At a pre-activation of 0 a ReLU still learns.",
        "The slope there is taken as 0, so nothing arrives. Zero goes with what is below it.",
        "What does the task say of the slope at 0?",
        asleep=lambda z: z < 0,
    ),
    believing(
        "A unit is dead if its pre-activation is zero.",
        "What is zero in a dead unit is the output. The pre-activation is what ReLU is given, and "
        "anything from 0 down will do.",
        "What does ReLU make of -2?",
        asleep=lambda z: z == 0,
    ),
    believing(
        "True is for the units that learn.",
        "You mark the living. The task asks for the dead.",
        "What does your list say of a unit that is below zero throughout?",
        verdict=lambda dead: not dead,
    ),
)

EXERCISE = Exercise(
    reference=are_dead,
    challenge=challenge,
    observe=observe,
    hints=(
        "Take one unit first. Which question do you ask of each of its numbers, and how do the "
        "answers become one?",
        "Python's all(...) is True where every answer is. all(z <= 0 for z in unit) is one unit.",
    ),
    lesson="02_dead_relu",
    section="Dead on a batch, dead on the data",
    frameworks=("python",),
    minutes=5,
    difficulty=1,
    note="The same in torch is (z <= 0).all(0) for a tensor with a row for each sample. The "
    "verdict is one about these samples: on others the unit may be awake.",
)
