"""Weave notebooks from their percent sources: build them, execute them, store what they showed.

`targets` says which there are, `building` what stands in each, `executing` how it is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grader.checking import book, catalogue, registry
from grader.checking.cited import cited_exercises
from grader.press.building import built, digest
from grader.press.executing import executed
from grader.press.targets import Target, WeaveError

SIZE_LIMIT = 400_000  # bytes; larger notebooks load slowly and are not shown by code hosts


def text_of(notebook: NotebookNode) -> str:
    """A notebook as it stands in its file."""
    return nbformat.writes(notebook, version=4) + "\n"


def weave(target: Target, force: bool = False) -> bool:
    """Write the notebook of a target; True if its file changed.

    It is executed if its code has changed, or with `force`; else it keeps what it showed.

    Raises:
        WeaveError: a cell failed, the notebook is too large, or somebody has worked in it.
    """
    if not force and _worked_in(target.notebook):
        raise WeaveError(
            f"{target.label} was changed by hand, and weaving would overwrite that. Keep a copy "
            "under another name, or say --force."
        )
    kept = None if force else _with_stored_outputs(target)
    text = text_of(kept or executed(target))
    if len(text.encode()) > SIZE_LIMIT:
        raise WeaveError(f"{target.label}: {len(text.encode())} bytes, more than {SIZE_LIMIT}.")
    if target.notebook.exists() and target.notebook.read_text(encoding="utf-8") == text:
        return False
    target.notebook.parent.mkdir(exist_ok=True)
    target.notebook.write_text(text, encoding="utf-8")
    return True


def weave_all(picked: Sequence[Target], force: bool = False) -> None:
    """Write the evidence books of the cited exercises, then the notebooks; say which changed."""
    cited = {name: None for target in picked for name in cited_exercises(target.source)}
    for name in cited:
        exercise = registry.find(name)
        book.write(exercise)
        catalogue.write(catalogue.of(exercise), book.path(exercise).parents[1] / f"{name}.py")
    for target in picked:
        changed = weave(target, force)
        print(f"{target.label}: {'written' if changed else 'unchanged'}")


def _with_stored_outputs(target: Target) -> NotebookNode | None:
    """The notebook as built, with what is stored of its outputs; None if other code has run.

    Claim cells count: a changed claim is to be run.
    """
    if not target.notebook.exists():
        return None
    fresh, before = built(target), stored(target.notebook)
    new, old = _code_of(fresh), _code_of(before)
    if fresh.metadata["ran"] != before.metadata.get("ran") or len(new) != len(old):
        return None
    if not all(cell.execution_count for cell in old):
        return None
    for cell, shown in zip(new, old, strict=True):
        cell.outputs, cell.execution_count = shown.outputs, shown.execution_count
    return fresh


def _code_of(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _worked_in(path: Path) -> bool:
    """Whether the cells of a notebook differ from those that were woven into it."""
    if not path.exists():
        return False
    notebook = stored(path)
    return notebook.metadata.get("woven") != digest(notebook.cells)


def stored(path: Path) -> NotebookNode:
    """The notebook in a file. Raises `WeaveError` where there is none in it."""
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise WeaveError(f"{path} is not a notebook: {error}") from None


def differences(target: Target) -> list[str]:
    """How the stored notebook differs from its source. Outputs are the tests' business.

    A code cell without an execution count counts: it was never run.
    """
    if not target.notebook.exists():
        return [f"{target.label} is missing"]
    old, fresh = stored(target.notebook), built(target)
    found = []
    if _texts_of(old.cells) != _texts_of(fresh.cells):
        found.append(f"{target.label} differs from {target.source.name}")
    if any(cell.cell_type == "code" and not cell.execution_count for cell in old.cells):
        found.append(f"{target.label} has cells that were never executed")
    return found


def _texts_of(cells: Sequence[NotebookNode]) -> list[tuple[str, NotebookNode]]:
    """What of the cells comes from the source: text, tags, and what is folded."""
    return [(cell.source, cell.metadata) for cell in cells]
