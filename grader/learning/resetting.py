"""Begin an exercise again: its cell as shipped, and a dated copy of what was there."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from grader.checking import registry
from grader.harvesting import views
from grader.harvesting.slices import statements
from grader.learning import progress
from lessonkit import state

LABS = Path(__file__).parents[2] / "labs"


class CannotReset(Exception):
    """Nothing was reset; the message says why."""


def reset(place: str, labs: Path = LABS) -> str:
    """Bring back the shipped cells of a lab, `NN`, or of one exercise of it, `NN:exercise`.

    Returns: what was done, in sentences.

    Raises:
        CannotReset: there is no such lab or exercise, or the notebook cannot be read or written.
    """
    path, names = _meant(place, labs)
    try:
        notebook = nbformat.read(path, as_version=4)
        copy = _copied(path)
        for name in names:
            _bring_back(notebook, name)
        path.write_text(nbformat.writes(notebook, version=4) + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CannotReset(f"{path} was not reset: {error}") from None
    told = " ".join(filter(None, map(progress.forget, names)))
    return (
        f"{', '.join(names)}: as shipped again. The notebook as it was: {copy}. Where it is open "
        f"in JupyterLab, choose File > Reload Notebook from Disk. {told}"
    ).strip()


def _meant(place: str, labs: Path) -> tuple[Path, list[str]]:
    """The notebook of a lab, and which of its exercises are to be reset."""
    wanted, _, one = place.partition(":")
    every = [standing.entry for standing in progress.standings()]
    found = {e.lab for e in every if e.lab == wanted or e.lab.startswith(f"{wanted}_")}
    if len(found) != 1:
        there = ", ".join(dict.fromkeys(entry.lab for entry in every))
        raise CannotReset(f"There is no lab {wanted!r}. There are: {there}.")
    (lab,) = found
    names = [entry.name for entry in every if entry.lab == lab]
    if one and one not in names:
        raise CannotReset(f"Lab {lab} has no exercise {one!r}. It has: {', '.join(names)}.")
    return labs / f"{lab}.ipynb", [one] if one else names


def _copied(path: Path) -> Path:
    """A copy of a notebook in the learner's folder, named after the moment."""
    folder = state.folder() / "copies"
    folder.mkdir(parents=True, exist_ok=True)
    stem, number = f"{path.stem} {datetime.now():%Y-%m-%d %H-%M-%S}", 1
    copy = folder / f"{stem}.ipynb"
    while copy.exists():
        number += 1
        copy = folder / f"{stem} ({number}).ipynb"
    shutil.copyfile(path, copy)
    return copy


def _bring_back(notebook: NotebookNode, name: str) -> None:
    """Put the stub where the answer stands; a second cell that answers goes, the copy has it."""
    stub, cells = views.stub(registry.find(name)), notebook.cells
    answering = [cell for cell in cells if cell.cell_type == "code" and _answers(cell.source, name)]
    for cell in answering[1:]:
        cells.remove(cell)
    if answering:
        answering[0].update(source=stub, outputs=[], execution_count=None)
        return
    asking = (i for i, cell in enumerate(cells) if cell.source.strip() == f"check({name})")
    cells.insert(next(asking, len(cells)), new_code_cell(stub))


def _answers(source: str, name: str) -> bool:
    """Whether a cell defines what the exercise asks for, or tries to."""
    return f"def {name}(" in source or any(name in s.binds for s in statements([source]))
