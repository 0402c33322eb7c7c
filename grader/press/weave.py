"""Weave notebooks from their percent sources, execute them and store what they showed.

    lessons/NN_topic.py  ->  lessons/NN_topic.ipynb
    labs/NN_topic.py     ->  labs/NN_topic.ipynb       with the stubs of its exercises
                         ->  solutions/NN_topic.ipynb  with the references in their place

A cell `# %% exercise="name"` in a lab stands for the whole exercise. A rebuild on one machine is
identical to the byte: cell ids come from the sources, and times and language details are left out.

Each notebook is executed once at every level (see `levels`). What differs between them would
differ between learners, so it is refused, unless the cell bears the tag `nbval-ignore-output`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from traitlets.config import Config

from grader.checking import book, registry
from grader.checking.cited import cited_exercises, read
from grader.harvesting import views
from grader.judging.exercise import Exercise
from grader.press.levels import LEVELS, environment

ROOT = Path(__file__).parents[2]
SIZE_LIMIT = 400_000  # bytes; larger notebooks load slowly and are not shown by code hosts
CELL_LIMIT = 600  # seconds for a cell; only a hang takes as long
WIDGET = "application/vnd.jupyter.widget-view+json"
NOT_COMPARED = "nbval-ignore-output"
"""The tag of a cell whose outputs may differ from machine to machine."""


class WeaveError(Exception):
    """A notebook could not be woven; the message names it and the cell."""


@dataclass(frozen=True)
class Target:
    """A notebook to be, its source, and whether exercises appear answered in it."""

    source: Path
    notebook: Path
    answered: bool = False

    @property
    def label(self) -> str:
        return f"{self.notebook.parent.name}/{self.notebook.name}"


def targets(root: Path = ROOT) -> list[Target]:
    """Every notebook of the course."""
    lessons = [Target(path, path.with_suffix(".ipynb")) for path in _sources(root / "lessons")]
    labs = [Target(path, path.with_suffix(".ipynb")) for path in _sources(root / "labs")]
    solutions = [
        Target(lab.source, root / "solutions" / lab.notebook.name, answered=True) for lab in labs
    ]
    return lessons + labs + solutions


def _sources(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9][0-9]_*.py"))


def built(target: Target) -> NotebookNode:
    """The notebook as its source says, not executed."""
    cells = list(_cells(target))
    for cell, identity in zip(cells, _identities(cells), strict=True):
        cell.id = identity
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "woven": _digest(cells),
    }
    return new_notebook(cells=cells, metadata=metadata)


def _cells(target: Target) -> Iterator[NotebookNode]:
    own, number = read(target.source), 0
    imports = {line for cell in own if cell.cell_type == "code" for line in cell.source.split("\n")}
    for cell in own:
        if name := cell.metadata.get("exercise"):
            number += 1
            yield from _exercise_cells(registry.find(name), number, target.answered, imports)
        elif cell.cell_type == "markdown":
            yield new_markdown_cell(cell.source)
        else:
            tags = {"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {}
            yield new_code_cell(cell.source, metadata=tags)


def _exercise_cells(
    exercise: Exercise, number: int, answered: bool, imports: set[str]
) -> Iterator[NotebookNode]:
    yield new_markdown_cell(heading(exercise, number))
    yield new_code_cell(_answer(exercise, imports) if answered else views.stub(exercise))
    yield new_code_cell(f"check({exercise.name})")


def heading(exercise: Exercise, number: int) -> str:
    """What stands over an exercise: title, size, and the section of the lesson it rests on."""
    anchor = exercise.section.replace(" ", "-")
    frameworks = " and ".join({"torch": "PyTorch", "jax": "JAX"}[f] for f in exercise.frameworks)
    return (
        f"### {number}. {exercise.title.rstrip('.')}\n\n"
        f"{frameworks} · {exercise.points} points · about {exercise.minutes} minutes · rests on "
        f"[{exercise.section}](../lessons/{exercise.lesson}.ipynb#{anchor}) · "
        f"stuck? `hint({exercise.name})`"
    )


def _answer(exercise: Exercise, imports: set[str]) -> str:
    """The reference with what it needs, except the imports that the lab has already made."""
    parts = [statement.source.strip("\n") for statement in views.answer(exercise)]
    needed = [part for part in parts if part not in imports]
    heads = [part for part in needed if part.startswith(("import ", "from "))]
    rest = [part for part in needed if part not in heads]
    return "\n\n\n".join(["\n".join(heads), *rest] if heads else rest)


def _identities(cells: list[NotebookNode]) -> Iterator[str]:
    """Ids from the sources; the same source again gets a number."""
    seen: dict[str, int] = {}
    for cell in cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        yield digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def _digest(cells: list[NotebookNode]) -> str:
    """A digest of the sources of a notebook's cells, to tell whether somebody worked in it."""
    sources = json.dumps([[cell["cell_type"], cell["source"]] for cell in cells])
    return hashlib.sha256(sources.encode()).hexdigest()[:16]


def executed(target: Target) -> NotebookNode:
    """The notebook with its outputs at the first level, cleaned of what differs from run to run."""
    first, *others = (executed_at(level, target) for level in LEVELS)
    for other in others:
        _refuse_differences(first, other, target)
    return first


def executed_at(level: str, target: Target, more: Sequence[str] = ()) -> NotebookNode:
    """The notebook with its outputs at a level, and `more` code cells at its end.

    Raises:
        WeaveError: a cell fails, or writes to stderr.
    """
    notebook = built(target)
    notebook.cells += map(new_code_cell, more)
    client = NotebookClient(
        notebook,
        timeout=CELL_LIMIT,
        kernel_name="python3",
        config=Config(KernelManager={"transport_encryption": "auto"}),  # else a warning each time
        record_timing=False,
        resources={"metadata": {"path": str(target.notebook.parent)}},
    )
    try:
        client.execute(env=environment(level))
    except CellExecutionError as error:
        raise WeaveError(f"{target.label}: a cell failed at level {level}.\n{error}") from None
    return _cleaned(notebook, target)


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
    shown = [
        output.get("text") or {k: v for k, v in output.data.items() if not k.startswith("image/")}
        for output in cell.outputs
    ]
    text = "".join(part if isinstance(part, str) else json.dumps(part) for part in shown)
    for pattern, word in _left_out():
        text = re.sub(pattern, word, text)
    return text


@cache
def _left_out() -> list[tuple[str, str]]:
    """What the tests leave out when they compare: patterns, and the words in their place."""
    rules = ConfigParser(interpolation=None)
    rules.read(ROOT / "tests" / "nbval.cfg", encoding="utf-8")
    return [(rules[name]["regex"], rules[name]["replace"]) for name in rules.sections()]


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


def text_of(notebook: NotebookNode) -> str:
    """A notebook as it stands in its file."""
    return nbformat.writes(notebook, version=4) + "\n"


def weave(target: Target, force: bool = False) -> bool:
    """Write the notebook of a target; True if its file changed.

    Raises:
        WeaveError: a cell failed, the notebook is too large, or somebody has worked in it.
    """
    if not force and _worked_in(target.notebook):
        raise WeaveError(
            f"{target.label} was changed by hand, and weaving would overwrite that. Keep a copy "
            "under another name, or say --force."
        )
    text = text_of(executed(target))
    if len(text.encode()) > SIZE_LIMIT:
        raise WeaveError(f"{target.label}: {len(text.encode())} bytes, more than {SIZE_LIMIT}.")
    if target.notebook.exists() and target.notebook.read_text(encoding="utf-8") == text:
        return False
    target.notebook.parent.mkdir(exist_ok=True)
    target.notebook.write_text(text, encoding="utf-8")
    return True


def chosen(stems: Sequence[str], root: Path = ROOT) -> list[Target]:
    """The targets with these stems, or all. Raises `WeaveError` for a stem that is not there."""
    everything = targets(root)
    known = {target.source.stem for target in everything}
    if unknown := sorted(set(stems) - known):
        raise WeaveError(f"No source called {unknown[0]}. There are: {', '.join(sorted(known))}.")
    return [target for target in everything if not stems or target.source.stem in stems]


def weave_all(picked: Sequence[Target], force: bool = False) -> None:
    """Write the evidence books of the cited exercises, then the notebooks; say which changed."""
    cited = {name: None for target in picked for name in cited_exercises(target.source)}
    for name in cited:
        book.write(registry.find(name))
    for target in picked:
        changed = weave(target, force)
        print(f"{target.label}: {'written' if changed else 'unchanged'}")


def _worked_in(path: Path) -> bool:
    """Whether the cells of a notebook differ from those that were woven into it."""
    if not path.exists():
        return False
    notebook = _stored(path)
    return notebook.metadata.get("woven") != _digest(notebook.cells)


def _stored(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise WeaveError(f"{path} is not a notebook: {error}") from None


def differences(target: Target) -> list[str]:
    """How the stored notebook differs from its source. Outputs are nbval's business.

    A code cell without an execution count counts: nbval would pass it without looking.
    """
    if not target.notebook.exists():
        return [f"{target.label} is missing"]
    stored, fresh = _stored(target.notebook), built(target)
    found = []
    if _cells_of(stored) != _cells_of(fresh):
        found.append(f"{target.label} differs from {target.source.name}")
    if any(cell.cell_type == "code" and not cell.execution_count for cell in stored.cells):
        found.append(f"{target.label} has cells that were never executed")
    return found


def _cells_of(notebook: NotebookNode) -> list[tuple[str, list[str]]]:
    return [(cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]
