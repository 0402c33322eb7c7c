"""A table whose cells have a meaning: the palette's colour, a letter where it is a lock, a legend.

It is a table in HTML, which a screen reader reads cell by cell, and aligned text in a terminal.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from paramlock.pictures import tables
from paramlock.pictures.palette import MEANINGS, ink_on

OPEN = (
    '<table style="color:inherit;background:transparent;border-collapse:separate;'
    'border-spacing:2px;margin:0;width:auto;table-layout:auto">'
)
EDGE = "#8C8C8C"  # seen on light and on dark pages, where black or yellow alone are not
Cells = Sequence[Sequence[str]]


class ColouredTable:
    """Rows and columns of short texts with a meaning each."""

    def __init__(
        self,
        title: str,
        rows: Sequence[str],
        columns: Sequence[str],
        texts: Cells,
        meanings: Cells,
        note: str = "",
    ) -> None:
        """A table of `len(rows)` by `len(columns)` cells.

        `title` states what is found. A meaning is a name of `palette.MEANINGS`, or empty for a cell
        without one. `note` stands under the title, smaller.

        Raises:
            ValueError: lists that do not fit together, or a meaning that the palette does not know.
        """
        for name, cells in (("texts", texts), ("meanings", meanings)):
            lengths = [len(row) for row in cells]
            if lengths != [len(columns)] * len(rows):
                raise ValueError(
                    f"{len(rows)} rows of {len(columns)} cells are needed; {name} has rows of "
                    f"{lengths}"
                )
        self.used = sorted({word for row in meanings for word in row if word}, key=_order)
        self.title, self.note = title, " ".join(note.split())
        self.rows, self.columns, self.texts, self.meanings = rows, columns, texts, meanings

    def __repr__(self) -> str:
        lines = [["", *self.columns]]
        for name, words, kinds in zip(self.rows, self.texts, self.meanings, strict=True):
            cells = [f"{w} {_letter(w, k)}".rstrip() for w, k in zip(words, kinds, strict=True)]
            lines.append([name, *cells])
        legend = ", ".join(f"{MEANINGS[k].letter} {k}" for k in self.used if MEANINGS[k].letter)
        return "\n".join([self.title, tables.text(lines, left=(0,)), *([legend] if legend else [])])

    def _repr_html_(self) -> str:
        note = f"<br><small>{html.escape(self.note)}</small>" if self.note else ""
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.columns)
        body = "".join(map(_row, self.rows, self.texts, self.meanings))
        return (
            f'<div class="paramlock-table" style="overflow-x:auto">{OPEN}'
            f'<caption style="text-align:left;color:inherit"><b>{html.escape(self.title)}</b>{note}'
            f"</caption><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"{self._legend()}</div>"
        )

    def _legend(self) -> str:
        """The meanings that occur, each with its colour and its words."""
        entries = (
            f'<span style="white-space:nowrap;margin-right:1.2em">'
            f"{tag(kind)} {kind}: {MEANINGS[kind].words}</span> "
            for kind in self.used
        )
        return f'<p style="margin:4px 2px"><small>{"".join(entries)}</small></p>'


def _order(kind: str) -> int:
    if kind not in MEANINGS:
        raise ValueError(f"no meaning is called {kind!r}; there are: {', '.join(MEANINGS)}")
    return list(MEANINGS).index(kind)


def _letter(text: str, kind: str) -> str:
    """The letter that a cell needs beside its colour: none where its text says the same."""
    return MEANINGS[kind].letter if kind and text != kind else ""


def _row(name: str, words: Sequence[str], kinds: Sequence[str]) -> str:
    cells = "".join(map(_cell, words, kinds))
    return f'<tr><th scope="row" style="text-align:left">{html.escape(name)}</th>{cells}</tr>'


def _cell(text: str, kind: str) -> str:
    if not kind:
        return f'<td style="text-align:center">{html.escape(text)}</td>'
    letter = _letter(text, kind)
    mark = f' <abbr title="{kind}" style="text-decoration:none">{letter}</abbr>' if letter else ""
    style = f"text-align:center;{painted(MEANINGS[kind].colour)}"
    return f'<td style="{style}">{html.escape(text)}{mark}</td>'


def painted(colour: str) -> str:
    """Style of a surface in a colour, with the ink that is read on it."""
    return f"background:{colour};color:{ink_on(colour)};border:1px solid {EDGE};border-radius:3px"


def tag(kind: str) -> str:
    """A small patch in the colour of a meaning, with its letter."""
    letter = MEANINGS[kind].letter or "&nbsp;"
    style = (
        f"{painted(MEANINGS[kind].colour)};display:inline-block;min-width:1.4em;text-align:center"
    )
    return f'<span style="{style}">{letter}</span>'
