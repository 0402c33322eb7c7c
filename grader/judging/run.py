"""Run a candidate on a challenge and write down what happened. Judges nothing."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from sysconfig import get_path
from types import TracebackType
from typing import Any

from grader.judging.evidence import Observation, Observations, Raised, Seen, Unattempted, plain
from grader.judging.exercise import Exercise, NotAttempted
from grader.judging.terms import Challenge, Inputs

FRAMES = 50  # a recursion has thousands, and Python 3.13 takes long to write each of them
OTHERS = (
    Path(__file__).parents[1],
    *(Path(get_path(name)) for name in ("stdlib", "purelib", "platlib")),
)
"""Folders whose frames are not the author's: the grader's, and those of libraries."""


def observations(
    exercise: Exercise, candidate: Callable[..., Any], challenge: Challenge
) -> Observations:
    """Observe the candidate in every case. Each case gets inputs of its own to spoil."""
    return {
        case: _observation(exercise, candidate, copy.deepcopy(inputs))
        for case, inputs in challenge.items()
    }


def _observation(exercise: Exercise, candidate: Callable[..., Any], inputs: Inputs) -> Observation:
    try:
        return Seen(plain(exercise.observe(candidate, inputs)))
    except NotAttempted:
        return Unattempted()
    except (Exception, SystemExit) as error:
        return Raised(type(error).__name__, str(error), candidates_frames(error.__traceback__))


def candidates_frames(trace: TracebackType | None) -> str:
    """The innermost of the author's frames: without our own and those of libraries."""
    own = (f for f in reversed(traceback.extract_tb(trace)) if not _is_others(f.filename))
    return "".join(traceback.format_list([*islice(own, FRAMES)][::-1]))


def _is_others(file: str) -> bool:
    """Compared by whole names: a learner's own `grader_notes` is not the folder `grader`."""
    return any(Path(file).is_relative_to(folder) for folder in OTHERS)
