"""Tables of short strings as text and as HTML; the first row is the heading."""

from __future__ import annotations

import html as markup
from collections.abc import Sequence

Rows = Sequence[Sequence[str]]


def text(rows: Rows, left: Sequence[int] = (0, -1)) -> str:
    """Aligned columns: those numbered in `left` to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    to_left = {i % len(widths) for i in left}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in to_left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def html(rows: Rows, caption: str, *, left: bool = False) -> str:
    """A table that takes the page's colours; `caption` is markup already.

    Cells stand to the right, where numbers are compared, or with `left` to the left, for words.
    """
    style = f'style="text-align:{"left" if left else "right"}"'
    head, *body = rows
    top = "".join(f'<th scope="col" {style}>{markup.escape(name)}</th>' for name in head)
    lines = "".join(
        "<tr>" + "".join(f"<td {style}>{markup.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in body
    )
    return (
        f'<table style="color:inherit;background:transparent"><caption>{caption}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"
    )
