"""Modules of a student's own that lie beside a notebook: what an answer imports goes with it.

An answer travels as statements. So a module that it imports becomes one more statement, which makes
the module under its name before the import is run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

MODULE = """\
if True:
    import sys as _sys, types as _types
    _sys.modules[{name!r}] = _types.ModuleType({name!r})
    exec(compile({source!r}, {file!r}, "exec"), _sys.modules[{name!r}].__dict__)
"""


def with_modules(answer: Sequence[str], modules: Mapping[str, str]) -> list[str]:
    """The answer's statements, those before them that make the modules which it imports."""
    needed: dict[str, None] = {}
    for source in answer:
        _add(source, modules, needed)
    made = [MODULE.format(name=n, source=modules[n], file=f"{n}.py") for n in needed]
    return [*made, *answer]


def _add(source: str, modules: Mapping[str, str], needed: dict[str, None]) -> None:
    """Put the modules that a source imports into `needed`, those first that they import."""
    for name in _imported(source):
        if name in modules and name not in needed:
            rest = {other: text for other, text in modules.items() if other != name}
            _add(modules[name], rest, needed)
            needed.setdefault(name)


def _imported(source: str) -> Iterator[str]:
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):  # the import will say so where it runs
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]
