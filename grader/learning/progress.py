"""What a learner has done of the labs, as the learner's file keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from grader.checking import catalogue
from grader.checking.catalogue import Entry
from grader.judging.judge import Report
from lessonkit import state

SECTION = "exercises"
"""The section of the learner's file; a key is `lab/name`. A record has `tries`, the most points
`earned`, the day of the first pass as `met`, and in `hints` how often one was asked for."""

SOLUTIONS = Path(__file__).parents[2] / "solutions"


@dataclass(frozen=True)
class Standing:
    """An exercise, and what is kept of it."""

    entry: Entry
    record: state.Record

    @property
    def met(self) -> bool:
        """Whether it was met once, whatever became of the answer since."""
        return "met" in self.record

    @property
    def hints(self) -> int:
        """How many of its hints were opened."""
        return min(_number(self.record, "hints"), len(self.entry.hints))


def standings() -> list[Standing]:
    """All exercises that a lab cites, in the order of the course."""
    kept = state.records(SECTION)
    entries = sorted(catalogue.entries(), key=lambda entry: (entry.lab, entry.place))
    return [Standing(entry, kept.get(_key(entry), {})) for entry in entries if entry.place]


def upcoming(done: Sequence[Standing], after: Entry | None = None) -> Standing | None:
    """The next that is not met: behind `after` in its lab, else in that lab, else in the course."""
    left = [standing for standing in done if not standing.met]
    if after is None:
        return left[0] if left else None

    def distance(standing: Standing) -> tuple[bool, bool]:
        entry = standing.entry
        return entry.lab != after.lab, entry.lab == after.lab and entry.place < after.place

    return min(left, key=distance, default=None)


def keep(report: Report) -> str:
    """Keep what became of an answer. Returns what to say of the lab after a pass, else nothing."""
    if report.verdict == "not attempted" or Path.cwd() == SOLUTIONS:
        return ""  # the worked answers of the course are not the learner's
    entry = catalogue.entry(report.exercise)
    trouble = state.change(SECTION, _key(entry), lambda record: _tried(record, report))
    if report.verdict != "met":
        return ""
    return f"{so_far(entry)} {trouble}".strip()


def keep_hint(name: str) -> tuple[int, str]:
    """Keep that a hint was asked for. Returns its place, and what the learner has to know."""
    entry = catalogue.entry(name)
    asked = _number(state.records(SECTION).get(_key(entry), {}), "hints")
    trouble = state.change(SECTION, _key(entry), lambda r: {**r, "hints": _number(r, "hints") + 1})
    return asked % len(entry.hints), trouble


def forget(name: str) -> str:
    """Let an exercise be one that nobody has begun. Returns what the learner has to know."""
    return state.change(SECTION, _key(catalogue.entry(name)), lambda record: {})


def so_far(entry: Entry) -> str:
    """How many of the lab are met, and what comes next."""
    done = standings()
    lab = [standing for standing in done if standing.entry.lab == entry.lab]
    count = f"{sum(standing.met for standing in lab)} of {len(lab)} in this lab"
    following = upcoming(done, entry)
    if following is None:
        return f"{count}. All exercises of the course are met."
    if following.entry.lab == entry.lab:
        return f"{count}; next: `{following.entry.name}`."
    return f"{count}; next: lab {following.entry.lab}, `{following.entry.name}`."


def _key(entry: Entry) -> str:
    return f"{entry.lab}/{entry.name}"


def _tried(record: state.Record, report: Report) -> state.Record:
    met = {"met": date.today().isoformat()} if report.verdict == "met" else {}
    return {
        "tries": _number(record, "tries") + 1,
        "earned": max(_number(record, "earned"), report.earned),
        **met,
        **{name: value for name, value in record.items() if name not in ("tries", "earned")},
    }


def _number(record: state.Record, name: str) -> int:
    """A count in a record. Anybody can write into the learner's file, so it may be anything."""
    value: Any = record.get(name, 0)
    return value if isinstance(value, int) and value >= 0 else 0
