"""Which exercises a lab cites in its source."""

from __future__ import annotations

import re
from pathlib import Path

CITED = re.compile(r'^# %%.*\bexercise="(\w+)"', re.MULTILINE)


def cited_exercises(source: Path) -> list[str]:
    """The names of the exercises that a lab's source cites, in order."""
    return CITED.findall(source.read_text(encoding="utf-8"))
