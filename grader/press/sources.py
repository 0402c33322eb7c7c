"""Sources: notebooks as text in the percent format."""

from __future__ import annotations

from pathlib import Path

import jupytext
from nbformat import NotebookNode


def read(source: Path) -> list[NotebookNode]:
    """The cells of a source, with what their markers say as metadata."""
    return jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells
