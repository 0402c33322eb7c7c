"""What a reader waits for: python benchmarks/lessons.py

A lesson, run as a plain script, may take 60 seconds of CPU. An experiment in it may take 0.1
seconds of CPU from the move of a slider to its picture and its sentence: the median over the middle
of all sliders and both ends of each.
"""

import side_by_side  # isort: skip  # first: it sets the thread counts
import contextlib
import functools
import io
import runpy
import statistics
import sys
from pathlib import Path

import matplotlib

from lessonkit.explore import Experiment

LESSONS = sorted((Path(__file__).parent.parent / "lessons").glob("[0-9][0-9]_*.py"))
LESSON, ANSWER = 60.0, 0.1  # seconds of CPU


def in_time(lesson: Path) -> bool:
    """Run a lesson and move its sliders; return whether all limits are kept."""
    seconds, experiments = side_by_side.timed(lambda: read(lesson))
    kept = [side_by_side.within(lesson.stem, seconds, LESSON)]
    for experiment in experiments:
        name = f"  sliders: {', '.join(experiment.sliders)}"
        kept.append(side_by_side.within(name, answer(experiment), ANSWER))
    return all(kept)


def read(lesson: Path) -> list[Experiment]:
    with contextlib.chdir(lesson.parent), contextlib.redirect_stdout(io.StringIO()):
        scope = runpy.run_path(str(lesson))
    return [value for value in scope.values() if isinstance(value, Experiment)]


def answer(experiment: Experiment) -> float:
    """Return the median seconds of an answer."""
    moves = [functools.partial(experiment.try_values, **move) for move in experiment.settings()]
    return statistics.median(side_by_side.timed(move)[0] for move in moves)


if __name__ == "__main__":
    matplotlib.use("agg")
    sys.exit(not all([in_time(lesson) for lesson in LESSONS]))
