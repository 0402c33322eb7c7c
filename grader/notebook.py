"""Check all the answers in a notebook: harvest each, run it apart, judge what it did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from grader import book, registry
from grader.evidence import Observations, Unattempted
from grader.exercise import Challenge, Exercise
from grader.feedback import Feedback
from grader.harvest import NotFound, Statement, Unusable, cells_of, statements, take
from grader.judge import judge
from grader.runner import Runner


def check_notebooks(
    paths: Sequence[Path], seed: int | None = None
) -> Iterator[tuple[Path, Feedback]]:
    """Feedback on every exercise of the labs that each notebook answers.

    Raises:
        Unusable: a file cannot be read, or answers no exercise of the course. All files are read
            before the first answer runs.
    """
    read = [(path, statements(cells_of(path))) for path in paths]
    asked = [(path, pool, asked_in(pool, path)) for path, pool in read]
    with Runner() as runner:
        for path, pool, exercises in asked:
            for exercise in exercises:
                yield path, check_answer(exercise, pool, runner, seed)


def asked_in(pool: Sequence[Statement], path: Path) -> list[Exercise]:
    """All exercises of every lab of which the notebook answers at least one."""
    known = [registry.find(name) for name in registry.names()]
    bound = {name for statement in pool for name in statement.binds}
    labs = {exercise.lesson for exercise in known if exercise.name in bound}
    if not labs:
        raise Unusable(
            f"{path} defines no function of any exercise. `python -m grader list` names them."
        )
    return [exercise for exercise in known if exercise.lesson in labs]


def check_answer(
    exercise: Exercise, pool: Sequence[Statement], runner: Runner, seed: int | None = None
) -> Feedback:
    """Feedback on one exercise from the statements of a notebook."""
    seeds = book.PUBLIC_SEEDS if seed is None else (seed,)
    known = book.evidence(exercise, seeds)
    seen = _observed(exercise, pool, runner, exercise.cases(seeds))
    return Feedback(judge(exercise, seen, known.reference, known.specimens), exercise.note)


def _observed(
    exercise: Exercise, pool: Sequence[Statement], runner: Runner, cases: Challenge
) -> Observations:
    try:
        answer = take(pool, exercise.name)
    except NotFound:
        return dict.fromkeys(cases, Unattempted())
    return runner.observe(exercise.name, [statement.source for statement in answer], cases)
