"""The tables of a gradebook."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

FORMAT = 1  # of these tables


class Base(DeclarativeBase):
    pass


class Submission(Base):
    """A file as it was graded. Times are UTC, but `written` from a zip is as it stands there."""

    __tablename__ = "submission"
    __table_args__ = (UniqueConstraint("lab", "student", "content", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    lab: Mapped[str]
    student: Mapped[str]
    content: Mapped[str]  # SHA-256 of the file
    version: Mapped[str]  # of the lab
    number: Mapped[str]  # the student's in the LMS
    file: Mapped[str]
    written: Mapped[datetime]  # the file's own time, the best known for when it was handed in
    graded: Mapped[datetime]
    unusable: Mapped[str]  # why it could not be read; then it has no verdicts
    earned: Mapped[int]
    possible: Mapped[int]
    lost: Mapped[int]  # verdicts that may be no fault of the answer; it will be graded again


class Verdict(Base):
    """One exercise of a submission, with all that it takes to judge it again."""

    __tablename__ = "verdict"
    __table_args__ = (UniqueConstraint("submission_id", "exercise"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[int] = mapped_column(ForeignKey(Submission.id, ondelete="CASCADE"))
    exercise: Mapped[str]
    verdict: Mapped[str]
    earned: Mapped[int]
    possible: Mapped[int]
    report: Mapped[str]  # JSON of a `grader.judging.judge.Report`
    statements: Mapped[str]  # JSON: the answer, statement by statement; empty where none was found
    seeds: Mapped[str]  # JSON: the secret seeds it was put to, beside the public ones
    evidence: Mapped[bytes | None]  # on public and secret numbers; see `records.packed`
    shown: Mapped[bytes | None]  # on public numbers alone
    versions: Mapped[str]  # JSON: of the exercise, Python and the frameworks
    seconds: Mapped[float]


class Decision(Base):
    """What a teacher decided about points. Never changed: what holds is the newest of its kind."""

    __tablename__ = "decision"

    id: Mapped[int] = mapped_column(primary_key=True)
    made: Mapped[datetime]  # UTC
    by: Mapped[str]  # the login of whoever gave the command
    lab: Mapped[str]
    student: Mapped[str]  # name or number; empty where it holds for all
    kind: Mapped[str]  # "rules", "extension", "adjustment", "forgotten"
    value: Mapped[str]  # JSON
    reason: Mapped[str]


class Copy(Base):
    """A file or folder outside the gradebook into which something about students was written."""

    __tablename__ = "copy"

    path: Mapped[str] = mapped_column(primary_key=True)
    made: Mapped[datetime]  # UTC


class Meta(Base):
    """One row: the format of the tables."""

    __tablename__ = "gradebook"

    format: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
