"""The form of a sheet: its encoding, separator, quotes, line ends and decimals, kept as they were.

An LMS reads back what it writes. Moodle writes commas and UTF-8, Blackboard tabs and UTF-16 under
the name `.xls`, and a spreadsheet in Germany semicolons and `61,5`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.classroom.mark.errors import BatchError
from grader.classroom.points.rules import number

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""What a file begins with in an encoding."""

SEPARATORS = ",;\t"
SPREADSHEET = b"PK\x03\x04"
"""What an .xlsx file begins with."""


@dataclass(frozen=True)
class Form:
    """How a sheet is written down. `decimals` writes points as the sheet's own numbers are."""

    encoding: str
    mark: bytes
    separator: str
    quoting: int
    line_end: str
    decimals: Callable[[float], str]

    def written(self, rows: Sequence[Sequence[str]]) -> bytes:
        """These rows in this form."""
        text = io.StringIO()
        csv.writer(
            text,
            delimiter=self.separator,
            quoting=self.quoting,  # type: ignore[arg-type]
            lineterminator=self.line_end,
        ).writerows(rows)
        encoding = "utf-8" if self.encoding == "utf-8-sig" else self.encoding
        return self.mark + text.getvalue().encode(encoding, errors="replace")


def read(sheet: Path) -> tuple[list[list[str]], Form]:
    """The rows of a sheet, all as long as the first at least, and its form.

    Raises:
        BatchError: it cannot be read, is empty, or is no CSV.
    """
    try:
        content = sheet.read_bytes()
    except OSError as error:
        raise BatchError(f"{sheet} cannot be read as CSV ({error}). Export it again.") from None
    if content.startswith(SPREADSHEET):
        raise BatchError(f"{sheet} is a spreadsheet (.xlsx). Save it as CSV and name that.")
    mark = next((mark for mark in MARKS if content.startswith(mark)), b"")
    try:
        text, encoding = _decoded(content[len(mark) :], MARKS.get(mark, ""))
        rows, separator = _rows(text)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BatchError(f"{sheet} cannot be read as CSV ({error}). Export it again.") from None
    if not rows:
        raise BatchError(f"{sheet} is empty. Export it again.")
    rows = [row + [""] * (len(rows[0]) - len(row)) for row in rows]
    line_end = "\r\n" if "\r\n" in text else "\n"
    quoting = csv.QUOTE_ALL if _all_quoted(text, separator, len(rows[0])) else csv.QUOTE_MINIMAL
    return rows, Form(encoding, mark, separator, quoting, line_end, _decimals(rows, separator))


def _decoded(content: bytes, encoding: str) -> tuple[str, str]:
    """The text, and the encoding that it is in. Without a mark it is UTF-8 or an old Windows's."""
    if encoding:
        plain = "utf-8" if encoding == "utf-8-sig" else encoding
        return content.decode(plain), encoding
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return content.decode("cp1252"), "cp1252"


def _rows(text: str) -> tuple[list[list[str]], str]:
    """The rows, by the separator that makes the most columns of the headings."""
    heading = text.partition("\n")[0]
    width = {mark: len(next(csv.reader([heading], delimiter=mark), [])) for mark in SEPARATORS}
    separator = max(SEPARATORS, key=lambda mark: width[mark])
    lines = io.StringIO(text, newline="")
    return [row for row in csv.reader(lines, delimiter=separator) if row], separator


def _all_quoted(text: str, separator: str, width: int) -> bool:
    heading = text.partition("\n")[0].strip("\r\n")
    return heading.startswith('"') and heading.count(f'"{separator}"') == width - 1


def _decimals(rows: Sequence[Sequence[str]], separator: str) -> Callable[[float], str]:
    """How this sheet writes points: `61`, `61.50` or `61,50`."""
    cells = [cell.strip() for row in rows[1:] for cell in row]
    commas = [m for cell in cells if (m := re.fullmatch(r"\d+,(\d+)", cell))]
    dots = any(re.fullmatch(r"\d+\.\d+", cell) for cell in cells)
    comma = bool(commas) or (separator == ";" and not dots)
    places = len(commas[0][1]) if commas else 0

    def written(points: float) -> str:
        plain = number(points)
        if places:
            plain = f"{points:.{max(places, len(plain.partition('.')[2]))}f}"
        return plain.replace(".", ",") if comma else plain

    return written
