"""Records: what is known of a hand-in after grading, as rows of the gradebook."""

from __future__ import annotations

import platform
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec
from sqlalchemy import Row

from grader.checking import book, registry
from grader.classroom.collect.find import HandIn
from grader.classroom.mark.lab import Lab
from grader.classroom.mark.mark import Marked
from grader.judging.evidence import Observations
from grader.judging.judge import Report
from grader.judging.wire import decode, encode

PACKAGES = ("parameter-locking", "numpy", "torch", "jax", "flax", "optax")
"""The packages whose versions may decide what an answer does."""


@dataclass(frozen=True)
class Graded:
    """A hand-in after grading. `unusable` says why there is nothing marked."""

    hand_in: HandIn
    content: str  # SHA-256
    marked: Sequence[Marked] = field(default_factory=list)
    unusable: str = ""


def key(lab: Lab, hand_in: HandIn, content: str) -> dict[str, str]:
    """What tells one submission from all others."""
    student = hand_in.student.name
    return {"lab": lab.name, "student": student, "content": content, "version": lab.version}


def submission(lab: Lab, graded: Graded) -> dict[str, Any]:
    return {
        "number": graded.hand_in.student.number,
        "file": graded.hand_in.file,
        "written": graded.hand_in.written,
        "graded": datetime.now(UTC).replace(tzinfo=None),
        "unusable": graded.unusable,
        "earned": sum(marked.report.earned for marked in graded.marked),
        "possible": lab.possible,
        "lost": sum(marked.lost for marked in graded.marked),
    }


def verdict(marked: Marked) -> dict[str, Any]:
    return {
        "exercise": marked.exercise,
        "verdict": marked.report.verdict,
        "earned": marked.report.earned,
        "possible": marked.report.possible,
        "report": _json(marked.report),
        "statements": _json(marked.statements),
        "seeds": _json(marked.seeds),
        "evidence": packed(marked.evidence),
        "shown": packed(marked.shown),
        "versions": _json(versions(marked.exercise)),
        "seconds": round(marked.seconds, 3),
    }


def report(row: Row[Any]) -> Report:
    """The report of a verdict's row."""
    return msgspec.json.decode(row.report, type=Report)


@cache  # looking versions up takes longer than judging
def versions(exercise: str) -> dict[str, str]:
    """Of all that a verdict may depend on."""
    ours = {"exercise": book.fingerprint(registry.find(exercise))[:16]}
    return ours | {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def packed(seen: Observations | None) -> bytes | None:
    """Evidence as it is stored."""
    return None if seen is None else zlib.compress(encode(seen))


def unpacked(stored: bytes | None) -> Observations | None:
    return None if stored is None else decode(zlib.decompress(stored), Observations)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
