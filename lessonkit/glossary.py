"""The glossary: terms as the course uses them, with their notation; for lessons, site and cards.

    from lessonkit import glossary
    glossary.show("02_dead_relu")    # the terms of a lesson, as cards: think first, then unfold

The one source is `glossary.toml`. What a lock means is said by the library's table of locks alone.
"""

from __future__ import annotations

import html
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from IPython.display import display

from paramlock.certifying.locks import KINDS

SOURCE = Path(__file__).with_name("glossary.toml")


@dataclass(frozen=True)
class Term:
    """A term: its meaning in sentences, the lesson it is at home in, and its symbol in TeX."""

    name: str
    means: str
    lesson: str
    symbol: str = ""


@cache
def terms() -> tuple[Term, ...]:
    """All terms by name, small and capital letters alike."""
    rows = tomllib.loads(SOURCE.read_text(encoding="utf-8"))["term"]
    return tuple(sorted(map(_term, rows), key=lambda term: term.name.lower()))


def _term(row: dict[str, str]) -> Term:
    if "kind" not in row:
        return Term(**row)
    kind = KINDS[row["kind"]]
    words = f"A lock: {kind.mechanism}. What shows it: {kind.detector}."
    return Term(row["name"], words, row["lesson"], row.get("symbol", ""))


@dataclass(frozen=True)
class Cards:
    """Terms, of which a notebook shows the names, and the meaning of one that is unfolded."""

    terms: Sequence[Term]

    def __repr__(self) -> str:
        return "\n".join(f"{term.name}: {term.means}" for term in self.terms)

    def _repr_html_(self) -> str:
        return "".join(
            f'<details><summary data-lm-suppress-shortcuts="true">{html.escape(term.name)}'
            f"</summary><p>{html.escape(term.means)}</p></details>"
            for term in self.terms
        )


def show(lesson: str | None = None) -> None:
    """Display the cards of a lesson, or of the course.

    Raises:
        ValueError: no term is at home in a lesson of that name.
    """
    chosen = [term for term in terms() if lesson in (None, term.lesson)]
    if not chosen:
        homes = ", ".join(sorted({term.lesson for term in terms()}))
        raise ValueError(f"No term is at home in {lesson!r}. There are terms of: {homes}.")
    display(Cards(chosen))
