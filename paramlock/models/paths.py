"""Which parts of a model a pattern names: exact paths, or globs that respect the steps of a path.

A *path* joins names with dots, as `model.named_modules()` does: `encoder.layer.0`. A *pattern*
is a path in which, per step, `*`, `?` and `[0-3]` stand for characters as in file names, and
`**` stands for any number of steps, none among them. Nothing is ever matched by a part of a name:
`layer1` means neither `layer10` nor `extra.layer1`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

SHOWN = 4  # near misses in an error


def matching(patterns: Iterable[str], known: Iterable[str], owner: str) -> list[str]:
    """The paths among `known` that any pattern matches, in the order of `known`.

    Args:
        patterns: paths, or shell patterns of them.
        known: the paths that there are.
        owner: what the paths belong to, for the error.

    Raises:
        ValueError: no patterns, or one that matches nothing; the message names near misses.
        TypeError: a pattern that is no string.
    """
    patterns, known = list(patterns), list(dict.fromkeys(known))
    if not patterns:
        raise ValueError("no path is given: name modules or parameters; '' is the whole model")
    found: set[str] = set()
    for pattern in patterns:
        hits = _hits(pattern, known)
        if not hits:
            raise ValueError(f"nothing in {owner} is called {pattern!r}; {_near(pattern, known)}")
        found.update(hits)
    return [path for path in known if path in found]


def leaves_below(patterns: Iterable[str], leaves: Iterable[str], owner: str) -> list[str]:
    """The leaves of a tree that a pattern names, themselves or a node above them.

    Args:
        patterns: paths of leaves or nodes, or shell patterns of them.
        leaves: their paths; every part of one that ends at a dot is a node, "" the whole tree.
        owner: what the leaves belong to, for the error.

    Raises:
        ValueError, TypeError: as `matching`.
    """
    above = {leaf: _ancestors(leaf) for leaf in leaves}
    named = matching(patterns, [node for nodes in above.values() for node in nodes], owner)
    return [leaf for leaf, nodes in above.items() if not set(named).isdisjoint(nodes)]


def _ancestors(path: str) -> list[str]:
    """The whole tree, the nodes on the way to a leaf, and the leaf itself."""
    steps = path.split(".")
    return [".".join(steps[:i]) for i in range(len(steps) + 1)]


def _hits(pattern: str, known: Sequence[str]) -> list[str]:
    if not isinstance(pattern, str):
        raise TypeError(f"a path is a string such as 'encoder.layer.0', not {pattern!r}")
    if pattern in known:  # also where a name holds a character that globs read
        return [pattern]
    steps = _steps(pattern)
    return [path for path in known if _fits(_steps(path), steps)]


def _steps(path: str) -> list[str]:
    return path.split(".") if path else []


def _fits(path: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_fits(path[i:], pattern[1:]) for i in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _fits(path[1:], pattern[1:])


def _near(pattern: str, known: Sequence[str]) -> str:
    """Say what is called almost so: the same name elsewhere, then a similar spelling."""
    last = pattern.rpartition(".")[2]
    same = [path for path in known if path.rpartition(".")[2] == last]
    close = difflib.get_close_matches(pattern, known, SHOWN)
    near = list(dict.fromkeys([*same, *close]))[:SHOWN]
    if near:
        return "near it are " + ", ".join(map(repr, near))
    first = [path for path in known if path and "." not in path][:SHOWN]
    return "its first names are " + ", ".join(map(repr, first))
