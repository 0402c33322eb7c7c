"""Harvest an answer from a notebook: the function asked for and the statements it depends on.

A notebook is read as a list of top-level Python statements, cell by cell. From these a *slice* is
taken: the last definition of the wanted name, and, for every name that its code may look up, the
statements that bind or change it. Scratch work, plots and prompts are left behind; so the answer
is found whatever else was done to the notebook. Cell ids and metadata do not matter.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
import symtable
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import parso
from IPython.core.inputtransformer2 import TransformerManager

PYTHON_CELL_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")
"""Cell magics under which stands plain Python."""


class Unusable(Exception):
    """The file cannot be read as a notebook or a Python file; the message says why."""


class NotFound(LookupError):
    """No statement defines the name asked for."""


@dataclass(frozen=True)
class Statement:
    """One top-level statement and the global names it has to do with."""

    source: str

    @cached_property
    def node(self) -> ast.stmt:
        return ast.parse(self.source).body[0]

    @cached_property
    def _table(self) -> symtable.SymbolTable:
        return symtable.symtable(self.source, "<answer>", "exec")

    @cached_property
    def binds(self) -> frozenset[str]:
        """Names that the statement assigns, defines or imports at the top level."""
        symbols = self._table.get_symbols()
        top = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
        return frozenset(top | {s.get_name() for s in _below(self._table) if _assigns_global(s)})

    @cached_property
    def uses(self) -> frozenset[str]:
        """Global names that it looks up, now or when a function in it is called."""
        top = {s.get_name() for s in self._table.get_symbols() if s.is_referenced()}
        return frozenset(top | {s.get_name() for s in _below(self._table) if s.is_global()})

    @cached_property
    def changes(self) -> frozenset[str]:
        """Names whose object it changes in place: `a[i] = …`, `a.b = …`, `del a[i]`, `a.b()`."""
        return frozenset(root for target in _targets(self.node) if (root := _root(target)))

    @property
    def is_import(self) -> bool:
        return isinstance(self.node, ast.Import | ast.ImportFrom)

    @property
    def is_star_import(self) -> bool:
        return isinstance(self.node, ast.ImportFrom) and self.node.names[0].name == "*"

    @property
    def is_stub(self) -> bool:
        """A function whose body, after its docstring, is `raise NotAttempted`."""
        if not isinstance(self.node, ast.FunctionDef):
            return False
        last = self.node.body[-1]
        return isinstance(last, ast.Raise) and "NotAttempted" in ast.unparse(last)

    @property
    def always_rebinds(self) -> bool:
        """Whether it replaces what its names held before, whatever happens."""
        simple = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
        return isinstance(self.node, simple) or self.is_import


def _below(table: symtable.SymbolTable) -> Iterator[symtable.Symbol]:
    for child in table.get_children():
        yield from child.get_symbols()
        yield from _below(child)


def _assigns_global(symbol: symtable.Symbol) -> bool:
    return symbol.is_declared_global() and symbol.is_assigned()


def _targets(node: ast.stmt) -> list[ast.expr]:
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return targets
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return [target]
        case ast.Expr(value=ast.Call(func=function)):
            return [function]
    return []


def _root(target: ast.expr) -> str | None:
    """The name under a chain of attributes and subscripts; None for a bare name."""
    below = target
    while isinstance(below, ast.Attribute | ast.Subscript):
        below = below.value
    return below.id if isinstance(below, ast.Name) and below is not target else None


def take(statements: Sequence[Statement], name: str) -> list[Statement]:
    """The statements that the answer called `name` needs, in their order.

    Raises:
        NotFound: no statement binds `name`.
    """
    answered = [s for s in statements if not (name in s.binds and s.is_stub)]
    pool = answered if any(name in s.binds for s in answered) else list(statements)
    if not any(name in statement.binds for statement in pool):
        raise NotFound(f"No cell defines `{name}`.{_near(pool, name)}")
    kept = set(_needed(pool, name, whole=False))
    wanted = [used for place in kept for used in pool[place].uses]
    seen = set[str]()
    while wanted:
        if (looked_up := wanted.pop()) in seen:
            continue
        seen.add(looked_up)
        for place in _needed(pool, looked_up, whole=True):
            kept.add(place)
            wanted += pool[place].uses
    if any(_unbound(pool, seen)):
        kept |= {place for place, statement in enumerate(pool) if statement.is_star_import}
    return [pool[place] for place in sorted(kept)]


def _near(pool: Sequence[Statement], name: str) -> str:
    """A sentence that points to a function whose name is like the one looked for."""
    bound = [other for statement in pool for other in statement.binds if not statement.is_import]
    like = [other for other in bound if name in other] or get_close_matches(name, bound, n=1)
    return f" There is `{like[0]}`: was it renamed?" if like else ""


def _needed(pool: Sequence[Statement], name: str, whole: bool) -> Iterator[int]:
    """Places of the statements that make up the value of `name`.

    Of the answer itself the last definition counts, and earlier ones only where it builds on them.
    Of everything else all are taken (`whole`), since another statement may have used an early one.
    """
    for place in reversed(range(len(pool))):
        statement = pool[place]
        if name in statement.changes:
            yield place
        if name in statement.binds:
            yield place
            if not whole and statement.always_rebinds and name not in _used_at_once(statement):
                return


def _used_at_once(statement: Statement) -> frozenset[str]:
    """Names looked up while the statement itself runs, not when its function is called."""
    node = statement.node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        parts: list[ast.AST] = [*node.decorator_list, node.args]
        return frozenset(n.id for p in parts for n in ast.walk(p) if isinstance(n, ast.Name))
    return statement.uses


def _unbound(pool: Sequence[Statement], names: Iterable[str]) -> Iterator[str]:
    bound = frozenset().union(*(statement.binds for statement in pool))
    return (name for name in names if name not in bound and not hasattr(builtins, name))


def statements(cells: Iterable[str]) -> list[Statement]:
    """The top-level statements of all cells; what is not Python is passed over."""
    return [Statement(source) for cell in cells for source in _pieces(python_of(cell))]


def unreadable(cells: Iterable[str]) -> list[str]:
    """What Python says of each cell that it cannot read: 'code cell 3, line 2: invalid syntax'."""
    found = []
    for place, cell in enumerate(cells, start=1):
        try:
            ast.parse(python_of(cell))
        except SyntaxError as error:
            found.append(f"code cell {place}, line {error.lineno}: {error.msg}")
        except (ValueError, RecursionError, MemoryError):
            found.append(f"code cell {place}: not Python")
    return found


def python_of(cell: str) -> str:
    """A cell without its magics and shell lines; empty where a cell magic makes it no Python."""
    first = next((line for line in cell.splitlines() if line.strip()), "")
    if first.startswith("%%"):
        if not first.startswith(PYTHON_CELL_MAGICS):
            return ""
        cell = cell.replace(first, "", 1)
    try:
        return TransformerManager().transform_cell(cell)
    except SyntaxError:
        return cell


def _pieces(code: str) -> Iterator[str]:
    """Statement by statement; around a syntax error, whatever can be read without it."""
    for source in _split(code):
        if "get_ipython()" not in source:
            yield source


def _split(code: str) -> Iterator[str]:
    try:
        nodes = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield from _salvaged(code)
        return
    lines = code.splitlines(keepends=True)
    for node in nodes:
        yield _source(node, lines)


def _source(node: ast.stmt, lines: Sequence[str]) -> str:
    """The lines of a statement, decorators included; of one that shares a line, its own text."""
    decorators = getattr(node, "decorator_list", [])
    start = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    whole = "".join(lines[start - 1 : node.end_lineno])
    try:
        alone = len(ast.parse(whole).body) == 1
    except SyntaxError:
        alone = False
    return whole if alone else ast.unparse(node) + "\n"


def _salvaged(code: str) -> Iterator[str]:
    """parso's tree is tolerant: each top-level piece that is Python by itself is kept."""
    for child in parso.parse(code).children:
        piece = child.get_code()
        try:
            ast.parse(piece)
        except (SyntaxError, ValueError):
            continue
        if piece.strip():
            yield from _split(piece)


def slice_of(cells: Iterable[str], name: str) -> list[str]:
    """The sources of the statements that `name` needs, in order. Raises `NotFound`."""
    return [statement.source for statement in take(statements(cells), name)]


def cells_of(path: Path) -> list[str]:
    """The code cells of a notebook of any version, or the text of a `.py` as one cell.

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


def cells_in(content: bytes, name: PurePath) -> list[str]:
    """The same for the content of a file of this name.

    Markdown cells that hold the code instead of a code cell come first, so that a code cell wins.
    """
    text = _text(content, name)
    if name.suffix == ".py":
        return [text]
    cells = list(_cells(_json(text, name), name))
    prose = [code for kind, source in cells if kind != "code" for code in _code_in(source)]
    return prose + [source for kind, source in cells if kind == "code"]


def _text(content: bytes, name: PurePath) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unusable(f"{name} is not UTF-8 text. Save the notebook again and resend.") from None


def _json(text: str, path: PurePath) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        what = "empty" if not text.strip() else "not a notebook: its text is not JSON"
        raise Unusable(f"{path} is {what}. Save the notebook again and resend it.") from None


def _cells(notebook: Any, path: PurePath) -> Iterator[tuple[str, str]]:
    """Kind and source of each cell, of nbformat 3 or 4, in lists of lines or in one text."""
    try:
        sheets = notebook.get("worksheets") or [notebook]
        for cell in (cell for sheet in sheets for cell in sheet["cells"]):
            source = cell.get("source", cell.get("input", ""))
            yield str(cell.get("cell_type")), "".join(source)
    except (AttributeError, KeyError, TypeError):
        raise Unusable(f"{path} is JSON, but not a notebook: it has no list of cells.") from None


def _code_in(prose: str) -> list[str]:
    """Python in a Markdown or raw cell: fenced blocks, or the whole cell if it reads as Python."""
    if fenced := re.findall(r"^```\w*\n(.*?)^```", prose, re.DOTALL | re.MULTILINE):
        return fenced
    try:
        body = ast.parse(prose).body
    except (SyntaxError, ValueError):
        return []
    return [prose] if any(isinstance(node, ast.FunctionDef) for node in body) else []
