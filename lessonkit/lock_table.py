"""The table of locks: one row per kind, the columns of `locks.Kind`.

Nothing is said here that `locks.KINDS` does not say; a kind that is added there has its row.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from IPython.display import display

from paramlock.certifying.locks import KINDS, Kind
from paramlock.pictures.coloured import OPEN, painted

COLUMNS = {
    "mechanism": "what stops learning",
    "cause": "usual cause",
    "detector": "what shows it",
    "reversible": "does training open it?",
    "key": "what opens it",
}
"""The fields of a `Kind` and the question that each answers."""

TITLE = "A lock is known by its mechanism and opened by its key"
CELL = 'style="text-align:left;vertical-align:top"'


class LockTable:
    """The rows of some kinds, as a table in HTML and as text in a terminal."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.kinds = tuple(kinds)

    def __repr__(self) -> str:
        lines = (f"{k.letter} {k.name}: {k.mechanism}. Opens: {k.key}." for k in self.kinds)
        return "\n".join([TITLE, *lines])

    def _repr_html_(self) -> str:
        questions = "".join(
            f'<th scope="col" {CELL}>{html.escape(text)}</th>' for text in COLUMNS.values()
        )
        rows = "".join(map(_row, self.kinds))
        return (
            f'{OPEN}<caption style="text-align:left;color:inherit"><b>{TITLE}</b></caption>'
            f'<thead><tr><th scope="col" {CELL}>kind</th>{questions}</tr></thead>'
            f"<tbody>{rows}</tbody></table>"
        )


def show(kinds: Iterable[Kind] = tuple(KINDS.values())) -> None:
    """Display the table of `kinds`."""
    display(LockTable(kinds))


def _row(kind: Kind) -> str:
    cells = (f"<td {CELL}>{html.escape(getattr(kind, field))}</td>" for field in COLUMNS)
    name = f"<b>{kind.letter}</b><br>{html.escape(kind.name)}"
    head = f'<th scope="row" style="text-align:center;{painted(kind.colour)}">{name}</th>'
    return f"<tr>{head}{''.join(cells)}</tr>"
