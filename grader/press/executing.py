"""Execute notebooks, and keep of what they showed that which is the same on a rebuild.

Each notebook is executed once at every level (see `levels`). What differs between them would
differ between learners, so it is refused, unless the cell bears the tag `nbval-ignore-output`.
Times and language details are left out. The learner's file is an empty one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from traitlets.config import Config

from grader.press.building import with_claims, without_claims
from grader.press.levels import LEVELS, environment
from grader.press.targets import Target, WeaveError

CELL_LIMIT = 600  # seconds for a cell; only a hang takes as long
WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURE = r"data:image/(?:png|webp);base64,[A-Za-z0-9+/=]+"
"""Another machine may render it with other bytes. The numbers it shows are printed beside it."""
NOT_COMPARED = "nbval-ignore-output"
"""The tag of a cell whose outputs may differ from machine to machine."""


def executed(target: Target) -> NotebookNode:
    """The notebook with its outputs at the first level, cleaned of what differs from run to run."""
    first, *others = (executed_at(level, target) for level in LEVELS)
    for other in others:
        _refuse_differences(first, other, target)
    return first


def executed_at(level: str, target: Target, more: Sequence[str] = ()) -> NotebookNode:
    """The notebook with its outputs at a level, and `more` code cells at its end.

    Its claim cells are executed as well.

    Raises:
        WeaveError: a cell fails, or writes to stderr.
    """
    notebook = with_claims(target)
    notebook.cells += map(new_code_cell, more)
    execute(notebook, level, target)
    return without_claims(_cleaned(notebook, target))


def execute(notebook: NotebookNode, level: str, target: Target) -> None:
    """Execute all cells, as the notebook of a target, with an empty learner's file.

    Raises:
        WeaveError: a cell fails.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_LIMIT,
        kernel_name="python3",
        config=Config(KernelManager={"transport_encryption": "auto"}),  # else a warning each time
        record_timing=False,
        resources={"metadata": {"path": str(target.notebook.parent)}},
    )
    try:
        with TemporaryDirectory() as empty:
            client.execute(env={**environment(level), "COURSE_STATE": empty})
    except CellExecutionError as error:
        raise WeaveError(f"{target.label}: a cell failed at level {level}.\n{error}") from None


def _refuse_differences(first: NotebookNode, other: NotebookNode, target: Target) -> None:
    found = [
        f"The cell that begins {cell.source[:60]!r} says\n{compared(cell)}\nand at another level\n"
        f"{compared(again)}\n"
        for cell, again in zip(first.cells, other.cells, strict=True)
        if compared(cell) != compared(again)
    ]
    if found:
        raise WeaveError(
            f"{target.label}: what it shows depends on the processor. Print what holds everywhere, "
            f"or tag the cell {NOT_COMPARED}.\n" + "\n".join(found)
        )


def compared(cell: NotebookNode) -> str:
    """What a fresh run of the cell has to repeat: its outputs as text, without pictures."""
    if cell.cell_type != "code" or NOT_COMPARED in cell.metadata.get("tags", []):
        return ""
    shown = [output.get("text") or _forms(output.data) for output in cell.outputs]
    return re.sub(PICTURE, "PICTURE", "".join(shown))


def _forms(data: dict[str, str]) -> str:
    """The forms of an output but pictures and widgets, by name as in a file."""
    kept = {k: v for k, v in data.items() if k != WIDGET and not k.startswith("image/")}
    return json.dumps(kept, sort_keys=True)


def _cleaned(notebook: NotebookNode, target: Target) -> NotebookNode:
    notebook.metadata.pop("widgets", None)
    notebook.metadata.pop("language_info", None)
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.outputs = _joined_streams(cell.outputs)
        for output in cell.outputs:
            _refuse_stderr(output, cell, target)
            output.get("data", {}).pop(WIDGET, None)
    return notebook


def _joined_streams(outputs: list[Any]) -> list[Any]:
    """Text printed in one go may arrive in pieces; the pieces are joined again."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == "stream" == joined[-1].output_type:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _refuse_stderr(output: Any, cell: NotebookNode, target: Target) -> None:
    if output.get("name") == "stderr":
        raise WeaveError(
            f"{target.label}: a cell writes to stderr, which learners take for an error.\n"
            f"The cell begins {cell.source[:60]!r} and says: {output.text[:300]}"
        )
