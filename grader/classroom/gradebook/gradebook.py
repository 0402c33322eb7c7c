"""The gradebook: a row for each submission, and one for each of its verdicts.

A submission is one student's file of one content, graded under one version of its lab; the database
itself keeps it from being there twice, and all its rows are written in one transaction. So a grader
may be killed at any moment, and two may work at once: what is recorded is whole, and what is not
will be graded when the command is run again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from grader.classroom.gradebook.database import ANOTHER, Database
from grader.classroom.gradebook.tables import (
    FORMAT,
    Base,
    Copy,
    Decision,
    Meta,
    Submission,
    Verdict,
)
from grader.classroom.mark.errors import BatchError

Keep = Literal["best", "last"]
"""Which of several submissions of a student counts: the last, or the best of the last few."""

LOOKED_AT = 3
"""From so many the best is taken: whoever hands in many could guess secret numbers."""

NO_RIVAL = (True, False)
"""What `_rank` is above for a usable submission of the lab's version."""

Values = Mapping[str, Any]
"""A row to be: columns and their values."""

BRIEF = [
    column
    for column in Verdict.__table__.columns
    if column.name not in ("statements", "evidence", "shown")
]
"""The columns that feedback is made of, without the large ones."""


@dataclass(frozen=True)
class Standing:
    """The ids of a student's submissions: the one that counts, and the others."""

    counts: int
    others: Sequence[int]


class Gradebook:
    """An open gradebook; a context manager. Threads may share it.

    Every method raises `BatchError` if the database cannot be used. With `make`, a gradebook that
    is not there is made.
    """

    def __init__(self, url: str, make: bool = True) -> None:
        self._database = Database(url, make)
        self.name = self._database.name
        try:
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        self._database.be_patient()

    def __enter__(self) -> Gradebook:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def _prepare(self) -> None:
        """Make the tables if there are none. Another grader may be doing the same."""
        try:
            self._database.lasting(_make_tables)
        except (IntegrityError, BatchError):
            self._database.lasting(_make_tables)
        found = self._all(select(Meta.format))
        if [row.format for row in found] != [FORMAT]:
            raise BatchError(
                f"{self._database.name} was written by another version of the grader, or is no "
                f"gradebook. {ANOTHER}"
            )

    def done(self, lab: str, version: str) -> set[tuple[str, str]]:
        """Student and content of all that needs no more grading."""
        asked = select(Submission.student, Submission.content)
        rows = self._all(asked.filter_by(lab=lab, version=version, lost=0))
        return {(row.student, row.content) for row in rows}

    def graded(self, lab: str, version: str) -> list[Row[Any]]:
        """Id, student and file of all that has verdicts, and needs no more grading."""
        asked = select(Submission.id, Submission.student, Submission.file)
        return self._all(asked.filter_by(lab=lab, version=version, lost=0, unusable=""))

    def version_before(self, lab: str, version: str) -> str:
        """The version of a lab that was graded last before this one; empty if there is none."""
        asked = select(Submission.version).filter_by(lab=lab).where(Submission.version != version)
        found = self._all(asked.order_by(Submission.graded.desc()).limit(1))
        return found[0].version if found else ""

    def grade_again(self, submission: int, lost: int) -> None:
        """Let a submission make way for its repetition: so many of its verdicts are lost."""
        changed = update(Submission).filter_by(id=submission).values(lost=lost)
        self._database.lasting(lambda connection: connection.execute(changed))

    def holds(self, key: Values) -> bool:
        """Whether this submission (lab, student, content, version) needs no more grading."""
        return bool(self._all(select(Submission.id).filter_by(**key, lost=0)))

    def record(self, key: Values, submission: Values, verdicts: Sequence[Values]) -> bool:
        """Write all about a submission, or nothing. False if another grader was faster."""

        def write(connection: Connection) -> None:
            # One with a lost verdict makes way for its repetition.
            connection.execute(delete(Submission).filter_by(**key).where(Submission.lost > 0))
            made = connection.execute(insert(Submission).values(**key, **submission))
            (number,) = made.inserted_primary_key or (None,)
            rows = [{**verdict, "submission_id": number} for verdict in verdicts]
            if rows:
                connection.execute(insert(Verdict), rows)

        try:
            self._database.lasting(write)
        except IntegrityError:
            return False
        return True

    def standings(
        self, lab: str, version: str, keep: Keep, worth: Callable[[Row[Any]], float] | None = None
    ) -> Iterator[Standing]:
        """What counts for each student of a lab, in order of their names.

        The best is that of most points, or the one that is `worth` most.
        """
        worth = worth or (lambda row: row.earned)
        columns = ["id", "student", "number", "version", "earned", "unusable", "written", "file"]
        asked = select(*(Submission.__table__.c[name] for name in columns))
        rows = self._all(asked.filter_by(lab=lab).order_by(Submission.student))
        for _, own in groupby(rows, key=lambda row: row.student):
            last, *earlier = sorted(own, key=lambda row: _rank(row, version), reverse=True)
            rivals = [row for row in earlier[: LOOKED_AT - 1] if _rank(row, version) > NO_RIVAL]
            counts = max([last, *rivals], key=worth) if keep == "best" else last
            yield Standing(counts.id, [row.id for row in (last, *earlier) if row != counts])

    def submission(self, number: int) -> Row[Any]:
        return self._one(Submission, number)

    def verdict(self, number: int) -> Row[Any]:
        return self._one(Verdict, number)

    def verdicts(self, submission: int) -> list[Row[Any]]:
        """The verdicts of a submission in the order of the lab, without their large columns."""
        return self._all(select(*BRIEF).filter_by(submission_id=submission).order_by(Verdict.id))

    def decide(self, decision: Values) -> None:
        """Add a decision about points to those that there are."""
        self._database.lasting(
            lambda connection: connection.execute(insert(Decision).values(decision))
        )

    def decisions(self, lab: str = "") -> list[Row[Any]]:
        """All decisions about a lab, or about all labs, the oldest first."""
        asked = select(Decision.__table__).order_by(Decision.id)
        return self._all(asked.filter_by(lab=lab) if lab else asked)

    def students(self, lab: str = "") -> list[Row[Any]]:
        """Name and number of everybody who handed in a lab, or any."""
        asked = select(Submission.student, Submission.number).distinct()
        return self._all(asked.filter_by(lab=lab) if lab else asked)

    def remember(self, path: str) -> None:
        """Keep in mind that something about students was written to this file or folder."""

        def write(connection: Connection) -> None:
            connection.execute(delete(Copy).filter_by(path=path))
            connection.execute(insert(Copy).values(path=path, made=now()))

        self._database.lasting(write)

    def copies(self) -> list[str]:
        """Where something about students was written."""
        return [row.path for row in self._all(select(Copy.path).order_by(Copy.path))]

    def forget(self, names: Collection[str], number: str) -> int:
        """Remove all about a student, and return how many submissions that were."""

        def write(connection: Connection) -> int:
            known = [*names, number] if number else list(names)
            connection.execute(delete(Decision).where(Decision.student.in_(known)))
            gone = connection.execute(delete(Submission).where(Submission.student.in_(names)))
            return gone.rowcount

        count = self._database.lasting(write)
        self._database.compact()
        return count

    @property
    def files(self) -> list[Path]:
        """The files of the database, as far as they lie on this machine."""
        if not self._database.is_file:
            return []
        return sorted(Path(self.name).absolute().parent.glob(f"{Path(self.name).name}*"))

    def _one(self, table: type[Base], number: int) -> Row[Any]:
        found = self._all(select(table.__table__).filter_by(id=number))
        if not found:
            raise BatchError(f"{self.name} has no {table.__tablename__} in a row {number}.")
        return found[0]

    def _all(self, asked: Select[*tuple[Any, ...]]) -> list[Row[Any]]:
        return self._database.lasting(lambda connection: list(connection.execute(asked)))


def now() -> datetime:
    """The time as the gradebook has it: UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)


def _make_tables(connection: Connection) -> None:
    for table in Base.metadata.sorted_tables:  # create_all looks first, and then may be too late
        connection.execute(CreateTable(table, if_not_exists=True))
    if connection.execute(select(Meta.format)).first() is None:
        connection.execute(insert(Meta).values(format=FORMAT))


def _rank(row: Row[Any], version: str) -> tuple[Any, ...]:
    """The highest is the last: of this version of the lab and usable, then by the file's time."""
    return row.version == version, not row.unusable, row.written, row.file, row.id
