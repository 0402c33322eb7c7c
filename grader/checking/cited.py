"""Which exercises a lab cites in its source."""

from __future__ import annotations

from pathlib import Path

import jupytext
from nbformat import NotebookNode


def cited_exercises(source: Path) -> list[str]:
    """The names of the exercises that a lab's source cites, in order."""
    return [cell.metadata["exercise"] for cell in read(source) if "exercise" in cell.metadata]


def read(source: Path) -> list[NotebookNode]:
    return jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells
