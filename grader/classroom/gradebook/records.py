"""Records: what is known of a hand-in after grading, as rows of the gradebook."""

from __future__ import annotations

import platform
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Row

from grader.checking import registry
from grader.classroom.collect.find import HandIn
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.lab import Lab
from grader.classroom.mark.mark import Marked
from grader.judging.evidence import Observations
from grader.judging.judge import Report
from grader.judging.wire import decode, encode

PACKAGES = ("parameter-locking", "numpy", "torch", "jax", "flax", "optax")
"""The packages whose versions may decide what an answer does."""


T = TypeVar("T")


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


class Damaged(BatchError):
    """A row of the gradebook that cannot be read, as a failing disk or a hand may leave it."""


@dataclass(frozen=True)
class Kept:
    """What the row of a verdict keeps, to judge it again."""

    report: Report
    statements: Sequence[str]
    seeds: Sequence[int]
    evidence: Observations | None
    versions: Mapping[str, str]


def kept(row: Row[Any]) -> Kept:
    """All that a whole row of a verdict holds. Raises `Damaged`."""
    return Kept(
        report(row),
        _read(row, "statements", list[str]),
        _read(row, "seeds", list[int]),
        _unpacked(row),
        _read(row, "versions", dict[str, str]),
    )


def report(row: Row[Any]) -> Report:
    """The report of a row, of which the large columns may be missing. Raises `Damaged`."""
    return _read(row, "report", Report)


def _read(row: Row[Any], column: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(row._mapping[column], type=kind)
    except (msgspec.DecodeError, TypeError):
        raise _damaged(row, column) from None


def _unpacked(row: Row[Any]) -> Observations | None:
    try:
        return None if row.evidence is None else decode(zlib.decompress(row.evidence), Observations)
    except (msgspec.DecodeError, zlib.error, TypeError):
        raise _damaged(row, "evidence") from None


def _damaged(row: Row[Any], column: str) -> Damaged:
    return Damaged(
        f"Row {row.id} of the gradebook ({row.exercise}) is damaged: its {column} cannot be read. "
        "To compare, grade the student's file once more into another gradebook: --gradebook URL."
    )


@cache  # looking versions up takes longer than judging
def versions(exercise: str) -> dict[str, str]:
    """Of all that a verdict may depend on."""
    ours = {"exercise": registry.fingerprint(registry.find(exercise))[:16]}
    return ours | {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def packed(seen: Observations | None) -> bytes | None:
    """Evidence as it is stored."""
    return None if seen is None else zlib.compress(encode(seen))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
