"""Read what was handed in as cells of Python: notebooks of every format, and Python files.

A person would look for code in Markdown cells too, under magics, and in a cell that somebody cut in
two; so that is looked at as well. Ids, metadata and outputs do not matter.
"""

from __future__ import annotations

import ast
import codecs
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

PYTHON_CELL_MAGICS = ("time", "timeit", "capture", "prun", "writefile", "file", "python", "python3")
"""Cell magics under which stands plain Python."""

FENCED = re.compile(r"^ {0,3}(```|~~~)[^\n]*\n(.*?)^ {0,3}\1", re.DOTALL | re.MULTILINE)
DEFINES = re.compile(
    r"^(?:(?:async def|def|class) \w+|@\w+|import \w+|from [\w.]+ import|[\w.]+(?:\[.+\])? *=)",
    re.MULTILINE,
)
"""What Python looks like that defines something."""

MARKER = re.compile(r"^# ?(?:%%|In\[[\d ]*\]:).*\n", re.MULTILINE)
"""Where a cell begins in a notebook that was saved as a Python file."""

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NOT_PARSED = (ValueError, RecursionError, MemoryError)
"""What Python's parser raises beside `SyntaxError`, on texts that no person writes."""

CONFLICTING = re.compile(r"^\s*(?:<{7}|>{7})(?: |$)", re.MULTILINE)
CONFLICT = "holds both sides of a merge conflict of Git (between <<<<<<< and >>>>>>>)."
AGAIN = "Save the notebook again and resend it."


class Unusable(Exception):
    """The file cannot be read as a notebook or a Python file; the message says why."""


class Cell(str):
    """The source of a cell. `name` says which one, as its author would count."""

    name = ""


def cells_of(path: Path) -> list[Cell]:
    """The cells of a notebook of any version, or the text of a `.py` as one cell.

    Raises:
        Unusable: not a file, not text, not JSON, not a notebook.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not there"
        raise Unusable(f"{path} is {what}. Name a notebook (.ipynb) or a Python file (.py).")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}.") from None
    return cells_in(content, path)


def cells_in(content: bytes, name: PurePath) -> list[Cell]:
    """The same for the content of a file of this name, whatever its ending promises.

    Markdown cells that hold the code instead of a code cell come first, so that a code cell wins.
    """
    text = _text(content, name)
    if not text.strip():
        raise Unusable(f"{name} is empty. {AGAIN}")
    if not text.lstrip().startswith("{") and (name.suffix == ".py" or DEFINES.search(text)):
        return _parts(text)
    found = list(_cells(_json(text, name), name))
    code = [source for kind, source in found if kind == "code"]
    prose = [source for kind, source in found if kind != "code"]
    pieces = [(source, piece) for source in prose for piece in _code_in(source)]
    return [*(_named(piece, whole.name) for whole, piece in pieces), *_rejoined(code)]


def _parts(text: str) -> list[Cell]:
    """A Python file as one cell; one that Python cannot read in its own cells, if it is marked."""
    return [Cell(part) for part in (MARKER.split(text) if fault(text) else [text])]


def _text(content: bytes, name: PurePath) -> str:
    encoding = "utf-16" if content.startswith(UTF_16) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise Unusable(f"{name} is not UTF-8 text. {AGAIN}") from None


def _json(text: str, path: PurePath) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        why = CONFLICT if CONFLICTING.search(text) else "is not a notebook: its text is not JSON."
        raise Unusable(f"{path} {why} {AGAIN}") from None


def _cells(notebook: Any, path: PurePath) -> Iterator[tuple[str, Cell]]:
    """Kind and source of each cell, of nbformat 3 or 4. What is no cell is passed over."""
    try:
        sheets = notebook.get("worksheets") or [notebook]
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
    except (AttributeError, KeyError, TypeError):
        raise Unusable(f"{path} is JSON, but not a notebook: it has no list of cells.") from None
    counts: dict[str, int] = {}
    for cell in (cell for cell in cells if isinstance(cell, dict)):
        kind = "code" if cell.get("cell_type") == "code" else "text"
        counts[kind] = counts.get(kind, 0) + 1
        source = _source(cell.get("source", cell.get("input", "")))
        yield kind, _named(source, f"{kind} cell {counts[kind]}")


def _source(stored: Any) -> str:
    """A text, or a list of lines; some programs leave the line ends out."""
    if isinstance(stored, str):
        return stored
    lines = [line for line in stored if isinstance(line, str)] if isinstance(stored, list) else []
    ended = any(line.endswith("\n") for line in lines)
    return ("" if ended else "\n").join(lines)


def _named(source: str, name: str) -> Cell:
    cell = Cell(source)
    cell.name = name
    return cell


def _code_in(prose: str) -> list[str]:
    """Python in a Markdown or raw cell: fenced blocks, or the whole cell if it defines anything."""
    if fenced := [code for _, code in FENCED.findall(prose)]:
        return fenced
    return [prose] if DEFINES.search(prose) else []


def _rejoined(cells: Iterable[Cell]) -> list[Cell]:
    """The cells; one that goes on in the middle of a function is put back under its beginning."""
    whole: list[Cell] = []
    for cell in cells:
        if whole and cell.startswith((" ", "\t")) and fault(cell):
            together = _named(f"{whole[-1]}\n{cell}", whole[-1].name)
            if not fault(together):
                whole[-1] = together
                continue
        whole.append(cell)
    return whole


def fault(cell: str) -> str:
    """What Python says of a cell that it cannot read, such as 'line 2: invalid syntax'."""
    code = python_of(cell)
    try:
        compile(code, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except NOT_PARSED:
        return "not Python"
    return ""


def unreadable(cells: Iterable[str]) -> list[str]:
    """What Python says of each cell that it cannot read: 'code cell 3, line 2: invalid syntax'."""
    said = [
        (getattr(cell, "name", "") or f"code cell {place}", fault(cell))
        for place, cell in enumerate(cells, start=1)
    ]
    return [
        f"{name}{', ' if why.startswith('line') else ': '}{why}"
        for name, why in said
        if why and not name.startswith("text")
    ]


def python_of(cell: str) -> str:
    """A cell without its magics and shell lines; empty where a cell magic makes it no Python."""
    first = next((line for line in cell.splitlines() if line.strip()), "")
    if first.startswith("%%"):
        if not first[2:].startswith(PYTHON_CELL_MAGICS):
            return ""
        cell = cell.replace(first, "", 1)
    cell = re.sub(r"^(\s*)%time +", r"\1", cell, flags=re.MULTILINE)
    try:
        return TransformerManager().transform_cell(cell)
    except SyntaxError:
        return cell
