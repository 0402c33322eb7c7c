"""Mutants: copies of a reference with one small thing changed, to measure how much claims notice.

The changes are those that answers to such exercises really have: mean for sum, one axis for
another, a missing copy, two links of a chain swapped, train for eval, a statement left out.
Source of the idea: DeMillo, Lipton & Sayward (1978), Hints on test data selection.
"""

from __future__ import annotations

import ast
import copy
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

SWAPS = [
    ("mean", "sum"), ("train", "eval"), ("min", "max"), ("any", "all"), ("zeros_like", "ones_like"),
    ("zeros", "ones"), ("add", "multiply"), ("startswith", "endswith"), ("append", "count"),
]  # fmt: skip
OTHER_NAME = {**dict(SWAPS), **{b: a for a, b in SWAPS}}
OTHER_OPERATOR: dict[type, Callable[[], Any]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or,
    ast.Or: ast.And,
}  # fmt: skip
COPIES = {"copy", "deepcopy", "clone", "detach"}

Change = tuple[str, Callable[[], None]]
"""What a change is called, and the function that makes it in the tree."""


def mutants(
    source: str, name: str, namespace: Mapping[str, Any]
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each mutant of the function `name` in `source`, with a description of what was changed."""
    count = sum(1 for _ in _changes(ast.parse(source)))
    for place in range(count):
        tree = ast.parse(source)
        description, apply = list(_changes(tree))[place]
        apply()
        scope = dict(namespace)
        exec(compile(ast.fix_missing_locations(tree), f"<mutant of {name}>", "exec"), scope)
        yield description, scope[name]


def _changes(tree: ast.Module) -> Iterator[Change]:
    """Every change that can be made in the tree, in a fixed order."""
    silent = _words(tree)
    for parent in ast.walk(tree):
        if parent in silent:
            continue
        yield from _dropped_statements(parent)
        yield from _changed_node(parent)
        yield from _unwrapped_copies(parent)


def _words(tree: ast.AST) -> set[ast.AST]:
    """Docstrings, error messages and annotations: changing these changes no behaviour."""
    silent: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Raise(exc=ast.Call(args=words)):
                silent.update(below for word in words for below in ast.walk(word))
            case ast.Expr(value=ast.Constant() as words):
                silent.update((node, words))
            case ast.arg(annotation=ast.expr() as words):
                silent.update(ast.walk(words))
            case ast.FunctionDef(returns=ast.expr() as words):
                silent.update(ast.walk(words))
    return silent


def _dropped_statements(parent: ast.AST) -> Iterator[Change]:
    for field in ("body", "orelse"):
        block = getattr(parent, field, None)
        for place, statement in enumerate(block if isinstance(block, list) else []):
            if isinstance(statement, ast.Expr | ast.AugAssign | ast.If | ast.For | ast.Raise):
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                    continue
                words = f"line {statement.lineno} dropped: {ast.unparse(statement).splitlines()[0]}"
                yield words, partial(operator.setitem, block, place, ast.Pass())


def _changed_node(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op):
            yield from _other_operator(node, "op", op)
        case ast.Compare(ops=[op]):
            yield from _other_operator(node, "ops", op)
        case ast.UnaryOp(op=ast.Not()):
            yield _called(node, "not dropped"), partial(setattr, node, "op", ast.UAdd())
        case ast.Constant(value=value) if value is not None and value is not Ellipsis:
            yield _called(node, "constant"), partial(setattr, node, "value", _other_value(value))
        case ast.Name(id=name) if name in OTHER_NAME:
            yield _called(node, OTHER_NAME[name]), partial(setattr, node, "id", OTHER_NAME[name])
        case ast.Attribute(attr=name) if name in OTHER_NAME:
            yield _called(node, OTHER_NAME[name]), partial(setattr, node, "attr", OTHER_NAME[name])
        case ast.Call(args=[first, second, *_]) if not isinstance(second, ast.Starred):
            if ast.dump(first) != ast.dump(second):
                yield _called(node, "first two swapped"), partial(_swap, node.args)
    if isinstance(node, ast.If | ast.IfExp):
        negated = ast.UnaryOp(ast.Not(), node.test)
        yield _called(node.test, "condition negated"), partial(setattr, node, "test", negated)
    filters: list[ast.expr] = getattr(node, "ifs", [])
    for place, condition in enumerate(filters):
        negated = ast.UnaryOp(ast.Not(), condition)
        words = _called(condition, "filter negated")
        yield words, partial(operator.setitem, filters, place, negated)
        words = _called(condition, "filter dropped")
        yield words, partial(operator.setitem, filters, place, ast.Constant(True))
    if isinstance(node, ast.Call):
        for place, keyword in enumerate(node.keywords):
            if keyword.arg:
                words = _called(node, f"{keyword.arg}= left out")
                yield words, partial(operator.delitem, node.keywords, place)


def _other_operator(node: ast.AST, field: str, op: ast.AST) -> Iterator[Change]:
    if type(op) in OTHER_OPERATOR:
        new = OTHER_OPERATOR[type(op)]()
        words = _called(node, type(new).__name__)
        yield words, partial(setattr, node, field, [new] if field == "ops" else new)


def _other_value(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else value + 1


def _unwrapped_copies(parent: ast.AST) -> Iterator[Change]:
    for field, value in ast.iter_fields(parent):
        for place, node in enumerate(value if isinstance(value, list) else [value]):
            if (inner := _copied(node)) is None:
                continue
            words = _called(node, "copy dropped")
            if isinstance(value, list):
                yield words, partial(operator.setitem, value, place, inner)
            else:
                yield words, partial(setattr, parent, field, inner)


def _copied(node: Any) -> ast.expr | None:
    """What `x.copy()`, `copy.deepcopy(x)`, `x.clone()` … would copy."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="copy")), args=[inner]):
            return inner
        case ast.Call(func=ast.Attribute(attr=name, value=inner), args=[]) if name in COPIES:
            return inner
        case ast.Call(func=ast.Name(id=name), args=[inner]) if name in COPIES | {"dict", "list"}:
            return inner
    return None


def _swap(arguments: list[ast.expr]) -> None:
    arguments[0], arguments[1] = arguments[1], arguments[0]


def _called(node: Any, change: str) -> str:
    return f"line {node.lineno}, {ast.unparse(copy.deepcopy(node))[:60]}: {change}"
