"""Hostile answers, as data: each a program that an attacker might hand in, and what becomes of it.

They answer `trainable_fraction(model)`. One that searches for something raises `LookupError` when
it has found nothing and returns what it has found; one that would gain points by a trick returns a
fraction that no model has. Numbers of system calls are x86-64's.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent, indent


@dataclass(frozen=True)
class Hostile:
    """`aim` completes "an answer that …". `ends` is what must be observed in each case.

    That is "Seen" (evidence came), "Unattempted", or the kind of what was raised; several are
    parted by "|". It never earns more than an answer that does nothing.
    """

    aim: str
    ends: str
    source: str


def whole(aim: str, ends: str, source: str) -> Hostile:
    """An answer whose source is this."""
    return Hostile(aim, ends, dedent(source))


def body(aim: str, ends: str, source: str) -> Hostile:
    """An answer whose function has this body."""
    return Hostile(aim, ends, "def trainable_fraction(model):\n" + indent(dedent(source), "    "))


def search(aim: str, source: str) -> Hostile:
    """An answer that searches in this way, once, and raises `LookupError` if it finds nothing."""
    once = """
    import sys
    if hasattr(sys, "searched"):
        raise LookupError
    sys.searched = True
    """
    return body(aim, "LookupError", dedent(once) + dedent(source) + "raise LookupError\n")
