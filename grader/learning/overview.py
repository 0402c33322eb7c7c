"""Where a learner stands, as a table of the labs, and the exercise that comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from grader.judging.feedback import as_code
from grader.learning.progress import Standing, upcoming
from lessonkit import state

HEAD = ["lab", "exercises met", "hints opened", "self-checks right"]
CHECKS = "self-checks"
"""The section of the learner's file that lessons keep answers in, each with its `right_at_try`."""


@dataclass(frozen=True)
class Next:
    """The exercise to go on with, or none where all are met."""

    standing: Standing | None

    def __repr__(self) -> str:
        if self.standing is None:
            return "All exercises of the course are met."
        entry = self.standing.entry
        return (
            f"Next: `{entry.name}`, exercise {entry.place} of labs/{entry.lab}.ipynb: "
            f"{entry.title} About {entry.minutes} minutes, difficulty {entry.difficulty} of 5. It "
            f"rests on the section “{entry.section}” of lessons/{entry.lab}.ipynb."
        )

    def _repr_html_(self) -> str:
        return f'<p style="max-width: 46em">{as_code(escape(repr(self)))}</p>'


@dataclass(frozen=True)
class Overview:
    """All exercises of the course, and what is kept of each."""

    standings: Sequence[Standing]

    def __repr__(self) -> str:
        rows = [HEAD, *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, "", repr(self._next)])

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{name}</th>' for name in HEAD)
        body = "".join(
            f'<tr><th scope="row">{lab}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
            for lab, *cells in self._rows()
        )
        return (
            '<table style="color:inherit;background:transparent">'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{self._next._repr_html_()}"
        )

    @property
    def _next(self) -> Next:
        return Next(upcoming(self.standings))

    def _rows(self) -> list[list[str]]:
        right = [
            key.partition("/")[0]
            for key, record in state.records(CHECKS).items()
            if "right_at_try" in record
        ]
        rows = []
        for lab, group in groupby(self.standings, lambda standing: standing.entry.lab):
            own = list(group)
            met, hints = sum(s.met for s in own), sum(s.hints for s in own)
            rows.append([lab, f"{met} of {len(own)}", str(hints), str(right.count(lab))])
        return rows
