"""A lab of one light exercise, and no sandbox: the grader, quick enough to be killed fifty times.

`python -m tests.grader.classroom.light grade …` is `python -m grader grade …` on this lab.
`--preload tests.grader.classroom.light` does the same to a Dask worker. Answers run inside the
process that observes, so an answer can end it, as no answer can in earnest.
"""

import json
import sys
from contextlib import contextmanager

import numpy as np

from grader.__main__ import main
from grader.checking import catalogue, registry
from grader.classroom.mark import engine
from grader.classroom.mark.lab import Lab
from grader.judging.evidence import alike, numbers
from grader.judging.exercise import Claim, Exercise, Misconception
from grader.running.candidate import Request, respond

LAB = "99_light"


def double_all(x):
    """Double every number.

    Args:
        x: array of shape (3,).

    Returns:
        Array of shape (3,).
    """
    return 2 * x


def challenge(rng):
    return {"three numbers": {"x": rng.normal(size=3)}, "large numbers": {"x": 1e6 * rng.random(3)}}


def doubles(seen, expected):
    """Every number is doubled."""
    return alike(seen, expected), f"you return {numbers(seen)}"


def keeps_the_sign(seen, expected):
    """No number changes its sign."""
    return bool(
        np.all(np.sign(seen) == np.sign(expected))
    ), f"the signs are {numbers(np.sign(seen))}"


def square_all(x):
    return x**2


EXERCISE = Exercise(
    reference=double_all,
    challenge=challenge,
    claims=(Claim(doubles, 2, "Twice what?"), Claim(keeps_the_sign, 1, "What is twice -1?")),
    misconceptions=(
        Misconception("Doubling is squaring.", "2 and 2 is 4, 3 and 3 is not 9.", "3?", square_all),
    ),
    hints=("Add.", "To itself."),
    lesson=LAB,
    section="Doubling",
    frameworks=("torch",),
    minutes=1,
    difficulty=1,
    note="Halving is the way back.",
)


def whole():
    """The lab, with its one exercise."""
    return Lab(LAB, (catalogue.of(EXERCISE),))


class Inside:
    """Observes in this very process."""

    def observe(self, exercise, statements, cases):
        return respond(Request.of(exercise, statements, cases)).observations

    def protections(self):
        return {}


@contextmanager
def no_sandbox(unsafe, programs):
    yield Inside()


def put_in_place(setattr=setattr):
    """Make this lab the only one; `setattr` may be pytest's, which takes it back again."""
    setattr(registry, "names", lambda: ["double_all"])
    setattr(registry, "find", {"double_all": EXERCISE}.__getitem__)
    setattr(engine, "sandbox", no_sandbox)


def notebook(*cells):
    """The text of a notebook with these code cells."""
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    whole = [{**code, "source": source} for source in cells]
    return json.dumps({"cells": whole, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


RIGHT = "def double_all(x):\n    return x + x\n"
SLOW = "import time\ndef double_all(x):\n    time.sleep(0.002)\n    return x + x\n"


def dask_setup(_):
    """Dask calls it when it preloads this module."""
    put_in_place()


if __name__ == "__main__":
    put_in_place()
    sys.exit(main())
