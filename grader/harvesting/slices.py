"""Harvest an answer from a notebook: the function asked for and the statements it depends on.

A notebook is read as a list of top-level Python statements, cell by cell. From these a *slice* is
taken: the last definition of the wanted name, and, for every name that its code may look up, the
statements that bind or change it. Scratch work, plots and prompts are left behind; so the answer
is found whatever else was done to the notebook. See `cells` for what a cell may be.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import parso

from grader.harvesting.cells import NOT_PARSED, python_of

MOVABLE = 300  # statements; what an answer needs are some dozens
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


class NotFound(LookupError):
    """No statement defines the name asked for."""


@dataclass(frozen=True)
class Statement:
    """One top-level statement and the global names it has to do with."""

    source: str
    cell: int = 0  # its place among the cells

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
        targets = (target for node in _run_at_once(self.node) for target in _targets(node))
        return frozenset(root for target in targets if (root := _root(target)))

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


def _run_at_once(node: ast.stmt) -> Iterator[ast.stmt]:
    """A statement and those in it that run when it runs: not the bodies of functions."""
    yield node
    if not isinstance(node, FUNCTION):
        for child in ast.iter_child_nodes(node):
            below = child.body if isinstance(child, ast.ExceptHandler) else [child]
            for statement in below:
                if isinstance(statement, ast.stmt):
                    yield from _run_at_once(statement)


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
    """The statements that the answer called `name` needs, in an order in which they can run.

    Raises:
        NotFound: no statement binds `name`.
    """
    answered = frozenset[str]().union(*(s.binds for s in statements if not s.is_stub))
    pool = [s for s in statements if not s.is_stub or s.binds - answered]
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
    return runnable([pool[place] for place in sorted(kept)])


def readings(statements: Sequence[Statement], name: str) -> list[list[Statement]]:
    """What `take` gives and, if that is something else, what it gave when the answer was written.

    They differ where a later cell gives another meaning to a helper's name: then nobody can tell
    which one the answer was checked with.
    """
    at_the_end = take(statements, name)
    written = max(statement.cell for statement in at_the_end if name in statement.binds)
    early = [statement for statement in statements if statement.cell <= written]
    known = frozenset[str]().union(*(statement.binds for statement in early))
    late = [s for s in statements if s.cell > written and not (s.binds | s.changes) & known]
    as_written = take([*early, *late], name)
    return [at_the_end] if as_written == at_the_end else [at_the_end, as_written]


def runnable(slice_: Sequence[Statement]) -> list[Statement]:
    """The statements in their own order, or in another where one needs what only a later one binds.

    Cells may stand in any order, for they can be run in any. Of very many none is moved.
    """
    if len(slice_) > MOVABLE:
        return list(slice_)
    waiting, ordered, bound = _waiting(slice_), list[Statement](), set[str]()
    while waiting:
        place = next(_ready(waiting, bound), 0)
        statement, _ = waiting.pop(place)
        bound |= statement.binds
        ordered.append(statement)
    return ordered


def _waiting(slice_: Sequence[Statement]) -> list[tuple[Statement, frozenset[str]]]:
    """Each statement with the names of others that it looks up while it runs.

    Those that functions look up, which it may call, are among them.
    """
    uses: dict[str, set[str]] = {}
    for statement in slice_:
        for name in statement.binds:
            uses.setdefault(name, set()).update(statement.uses)
    return [(s, _closure(_used_at_once(s), uses) & uses.keys() - s.binds) for s in slice_]


def _closure(names: frozenset[str], uses: Mapping[str, set[str]]) -> frozenset[str]:
    found, wanted = set[str](), set(names)
    while wanted:
        found |= wanted
        wanted = {used for name in wanted for used in uses.get(name, ())} - found
    return frozenset(found)


def _ready(waiting: Sequence[tuple[Statement, frozenset[str]]], bound: set[str]) -> Iterator[int]:
    """Places of the statements that can run now without changing what an earlier one will see."""
    for place, (statement, needed) in enumerate(waiting):
        if needed <= bound and not any(
            _meet(statement, other, bound) for other, _ in waiting[:place]
        ):
            yield place


def _meet(statement: Statement, other: Statement, bound: set[str]) -> bool:
    """Whether what the statement does to names matters to the other one."""
    touched = statement.binds | statement.changes
    return bool(touched & (other.binds | (other.changes | other.uses) & bound))


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
    if isinstance(node, FUNCTION):
        parts = [*node.decorator_list, node.args, *filter(None, [node.returns])]
        return frozenset(n.id for p in parts for n in ast.walk(p) if isinstance(n, ast.Name))
    return statement.uses


def _unbound(pool: Sequence[Statement], names: Iterable[str]) -> Iterator[str]:
    bound = frozenset().union(*(statement.binds for statement in pool))
    return (name for name in names if name not in bound and not hasattr(builtins, name))


def statements(cells: Iterable[str]) -> list[Statement]:
    """The top-level statements of all cells; what is not Python is passed over."""
    return [
        Statement(source, place)
        for place, cell in enumerate(cells)
        for source in _pieces(python_of(cell))
    ]


def _pieces(code: str) -> Iterator[str]:
    """Statement by statement, those left out that only ask IPython to do something."""
    for source in _split(code):
        if "get_ipython()" not in source:
            yield source
        elif isinstance(ast.parse(source).body[0], FUNCTION | ast.ClassDef):
            yield ast.unparse(_Silent().visit(ast.parse(source))) + "\n"


class _Silent(ast.NodeTransformer):
    """Makes `pass` of each statement that is a call to IPython."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return ast.Pass() if "get_ipython()" in ast.unparse(node) else node


def _split(code: str) -> Iterator[str]:
    """Statement by statement; around a syntax error, whatever can be read without it."""
    try:
        nodes = ast.parse(code).body
    except (SyntaxError, *NOT_PARSED):
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
    """parso's tree is tolerant: each top-level piece that is Python by itself is kept.

    Unless it goes on below an error: half a function is not the function.
    """
    kept, goes_on = list[str](), False
    for child in reversed(parso.parse(code).children):
        piece = child.get_code()
        if piece.strip() and not goes_on and _parses(piece):
            kept.append(piece)
        if piece.strip() and child.type != "error_leaf":
            goes_on = _is_indented(child.get_first_leaf())
    for piece in reversed(kept):
        yield from _split(piece)


def _parses(piece: str) -> bool:
    try:
        ast.parse(piece)
    except (SyntaxError, *NOT_PARSED):
        return False
    return True


def _is_indented(leaf: Any) -> bool:
    """Whether only space stands before it on its line."""
    indent = leaf.prefix.rpartition("\n")[2]
    return bool(indent) and leaf.start_pos[1] == len(indent)


def slice_of(cells: Iterable[str], name: str) -> list[str]:
    """The sources of the statements that `name` needs, in order. Raises `NotFound`."""
    return [statement.source for statement in take(statements(cells), name)]
