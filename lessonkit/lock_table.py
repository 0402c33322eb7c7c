"""The table of locks as a picture: one row per kind, the columns of `locks.Kind`.

Nothing is said here that `locks.KINDS` does not say; a kind that is added there has its row.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable

from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from paramlock.certifying.locks import KINDS, Kind
from paramlock.pictures import figures

COLUMNS = {
    "mechanism": "what stops learning",
    "cause": "usual cause",
    "detector": "what shows it",
    "reversible": "does training open it?",
    "key": "what opens it",
}
"""The fields of a `Kind` and the question that each answers."""

TITLE = "A lock is known by its mechanism and opened by its key"
WRAP = 31  # letters in a line of a column
LINE = 0.135  # inches


def show(kinds: Iterable[Kind] = tuple(KINDS.values())) -> None:
    """Display the table of `kinds` as a picture, and folded under it as text."""
    display(picture(kinds))
    display(HTML(as_html(kinds)))


def picture(kinds: Iterable[Kind] = tuple(KINDS.values())) -> figures.Picture:
    """The table of `kinds` drawn, one row each."""
    rows = list(kinds)
    cells = [[textwrap.wrap(getattr(kind, field), WRAP) for field in COLUMNS] for kind in rows]
    heights = [max(map(len, row)) + 1 for row in cells]
    size = (11.6, LINE * (sum(heights) + 5))
    figure, axes = figures.chart(TITLE, "", "", size=size)
    axes.set(xlim=(0, len(COLUMNS) + 0.75), ylim=(sum(heights) + 2, 0))
    axes.axis("off")
    axes.set_position((0.005, 0.005, 0.99, 0.95))
    _draw_head(axes)
    for kind, row, top, height in zip(rows, cells, _tops(heights), heights, strict=True):
        _draw_row(axes, kind, row, top, height)
    alt = f"Table of {len(rows)} kinds of locks: {', '.join(kind.name for kind in rows)}."
    return figures.Picture(figures.compact_png(figures.pixels(figure), colours=160), alt)


def as_html(kinds: Iterable[Kind] = tuple(KINDS.values())) -> str:
    """The table as text in HTML, folded: what the picture cannot say to a screen reader."""
    head = "".join(f"<th>{html.escape(question)}</th>" for question in ("kind", *COLUMNS.values()))
    rows = "".join(_html_row(kind) for kind in kinds)
    table = f"<table><tr>{head}</tr>{rows}</table>"
    return f"<details><summary>The table as text</summary>{table}</details>"


def _html_row(kind: Kind) -> str:
    cells = (f"<td>{html.escape(getattr(kind, field))}</td>" for field in COLUMNS)
    return f"<tr><th>{html.escape(kind.name)}</th>{''.join(cells)}</tr>"


def _tops(heights: list[int]) -> list[int]:
    return [2 + sum(heights[:row]) for row in range(len(heights))]


def _draw_head(axes: Axes) -> None:
    for x, question in enumerate(COLUMNS.values()):
        axes.text(x + 0.78, 1, question, va="center", fontsize=9, fontweight="bold")


def _draw_row(axes: Axes, kind: Kind, cells: list[list[str]], top: int, height: int) -> None:
    axes.plot([0, len(COLUMNS) + 0.75], [top, top], color="0.85", linewidth=0.8)
    axes.add_patch(Rectangle((0, top + 0.12), 0.72, height - 0.24, color=kind.colour))
    ink = figures.ink_on(kind.colour)
    label = f"{kind.letter}\n{kind.name}"
    axes.text(0.36, top + height / 2, label, color=ink, ha="center", va="center", fontsize=8.5)
    for x, lines in enumerate(cells):
        axes.text(x + 0.78, top + height / 2, "\n".join(lines), va="center", fontsize=7.6)
