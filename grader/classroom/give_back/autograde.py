"""Grade the one submission in a folder laid out as Gradescope does it, and write its results.

`python -m grader.classroom.give_back.autograde /autograder LAB`: from `submission/` and
`submission_metadata.json` to `results/results.json`. If the grader itself fails, nothing is written
there, so that Gradescope shows a failure and no score.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from grader.classroom.batch import Batch, ungraded
from grader.classroom.collect import find as collect
from grader.classroom.give_back.gradescope import RULES_FILE, SECRET_FILE, results
from grader.classroom.give_back.letters import Letter, letters
from grader.classroom.give_back.writing import write
from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.mark import draw
from grader.classroom.mark.engine import Local, local
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.lab import Lab, find
from grader.classroom.options import BUDGET
from grader.classroom.points import ledger
from grader.classroom.points.rules import Rules
from grader.sandbox.folders import temporary

DONE, FAILED = 0, 1


def main(arguments: Sequence[str]) -> int:
    """Grade, write, and return an exit status."""
    began, base, lab = time.monotonic(), Path(arguments[0]), find(arguments[1])
    try:
        with temporary("gradescope") as place:
            told = graded(base, lab, place)
    except BatchError as error:
        print(error)
        return FAILED
    (base / "results").mkdir(exist_ok=True)
    content = msgspec.json.encode(results(told, time.monotonic() - began))
    write(base / "results" / "results.json", content)
    return DONE


def graded(base: Path, lab: Lab, place: Path) -> Letter:
    """The letter about the submission in this folder.

    Raises:
        BatchError: nothing was handed in, or the grader failed.
    """
    handed_in = place / "in" / _folder_name(base / "submission_metadata.json")
    shutil.copytree(base / "submission", handed_in, symlinks=True)
    found = collect.find([handed_in.parent], lab.name)
    source = base / "source"
    secret, _ = draw.secret_in(source / SECRET_FILE)
    with Gradebook(str(place / "gradebook.sqlite")) as gradebook, _engine() as engine:
        rules = msgspec.json.decode((source / RULES_FILE).read_bytes(), type=Rules)
        ledger.decide(gradebook, lab.name, ledger.RULES, rules, "")
        batch = Batch(lab, draw.Draw(secret, lab.name), engine, gradebook, BUDGET)
        tally = batch.run(ungraded(found.hand_ins, set()), 1, lambda: None)
        told = list(letters(gradebook, lab, "last"))
    if tally.failed or tally.lost or len(told) != 1:
        why = "; ".join([*tally.failed, *tally.lost]) or "no file of a student was found"
        raise BatchError(f"The submission could not be graded: {why}.")
    return told[0]


@contextmanager
def _engine() -> Iterator[Local]:
    """What runs the answer: in the sandbox, or where the container has no room for it, without."""
    try:
        engine = local(1)
        ready = engine.__enter__()
    except BatchError as error:
        print(f"No sandbox, so the answer runs without: {error}")
        engine = local(1, unsafe=True)
        ready = engine.__enter__()
    try:
        yield ready
    finally:
        engine.__exit__(None, None, None)


def _folder_name(metadata: Path) -> str:
    """The name of a folder that `collect` reads as one student's, as Moodle writes it."""
    try:
        users: list[dict[str, Any]] = msgspec.json.decode(metadata.read_bytes())["users"]
        name, number = str(users[0]["name"]), str(users[0]["id"])
    except (OSError, msgspec.DecodeError, KeyError, IndexError, TypeError):
        name, number = "student", "0"
    plain = re.sub(r"[^\w .-]", "", name).strip(" .") or "student"
    return f"{plain}_{number if number.isdecimal() else 0}_assignsubmission_file_"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
