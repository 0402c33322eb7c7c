"""Run a candidate on a challenge and write down what happened. Judges nothing."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable
from pathlib import Path
from sysconfig import get_path
from types import TracebackType
from typing import Any

from grader.evidence import Observation, Observations, Raised, Seen, Unattempted, plain
from grader.exercise import Challenge, Exercise, Inputs, NotAttempted

FRAMES = 50  # a recursion has thousands, and Python 3.13 takes long to write each of them
OTHERS = (
    str(Path(__file__).parent),
    *(get_path(name) for name in ("stdlib", "purelib", "platlib")),
)


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
    frames = [f for f in traceback.extract_tb(trace) if not f.filename.startswith(OTHERS)]
    return "".join(traceback.format_list(frames[-FRAMES:]))
