"""Build a notebook from its percent source: what stands in it before anything is executed.

A cell `# %% exercise="name"` in a lab stands for the whole exercise. Cells tagged `claim` assert
what the lesson says; they are there while it is executed, and a learner gets it without them.

What a reader need not see is folded: the source of cells tagged `fold`, that of self-checks, which
holds the answers, and the outputs of cells that answer a prediction. Cell ids come from the
sources, so a rebuild is identical to the byte.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grader.checking import registry
from grader.harvesting import views
from grader.judging.exercise import Exercise
from grader.press import links
from grader.press.sources import read
from grader.press.specification import specification
from grader.press.targets import Target, WeaveError

CLAIM = "claim"
"""The tag of a cell that asserts what a lesson says."""

FOLD = "fold"
"""The tag of a cell whose source is folded to its first line."""

SOLUTION = "solution"
"""The tag of a cell of a lab that stands in its solution alone."""

NAMES = {"torch": "PyTorch", "jax": "JAX", "numpy": "NumPy", "python": "plain Python"}
"""What headings call the frameworks."""

ANSWERS = re.compile(r"\bpredict\.measured\(")
ASKS = re.compile(r"\bselfcheck\.\w+\(")


def built(target: Target) -> NotebookNode:
    """The notebook as a learner gets it, not executed."""
    return without_claims(with_claims(target))


def with_claims(target: Target) -> NotebookNode:
    """The notebook with the cells that assert what it says, not executed."""
    parts = _lesson_cells(target) if target.is_lesson else _cells(target)
    cells = [*parts, *_text_cells([links.footer(target)])]
    for cell, identity in zip(cells, _identities(cells), strict=True):
        cell.id = identity
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "woven": digest([cell for cell in cells if not is_claim(cell)]),
        "ran": digest([cell for cell in cells if cell.cell_type == "code"]),
    }
    return new_notebook(cells=cells, metadata=metadata)


def is_claim(cell: NotebookNode) -> bool:
    """Whether a cell is one that learners do not get."""
    return CLAIM in cell.metadata.get("tags", [])


def without_claims(notebook: NotebookNode) -> NotebookNode:
    """The notebook itself, changed: claim cells are out, and what ran is counted from 1."""
    notebook.cells = [cell for cell in notebook.cells if not is_claim(cell)]
    ran = [c for c in notebook.cells if c.cell_type == "code" and c.execution_count]
    for count, cell in enumerate(ran, start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    return notebook


def _lesson_cells(target: Target) -> Iterator[NotebookNode]:
    """The cells of a lesson; after each section, the links to the exercises that practise it."""
    practised, section = links.practised(target), ""
    for cell in _cells(target):
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            yield from _text_cells([practised.pop(section, "")])
            section = cell.source.partition("\n")[0].removeprefix("## ").strip()
        yield cell
    yield from _text_cells([practised.pop(section, "")])
    if practised:
        raise WeaveError(
            f"{target.label}: exercises rest on {', '.join(practised)}, and no section is "
            "called so. Sections are the headings that begin with ##."
        )


def _cells(target: Target) -> Iterator[NotebookNode]:
    own, number = read(target.source), 0
    imports = {line for cell in own if cell.cell_type == "code" for line in cell.source.split("\n")}
    for cell in own:
        if SOLUTION in cell.metadata.get("tags", []) and not target.answered:
            continue
        if name := cell.metadata.get("exercise"):
            number += 1
            yield from _exercise_cells(registry.find(name), number, target.answered, imports)
        elif cell.cell_type == "markdown":
            yield from _text_cells(_sections(cell.source))
        else:
            yield new_code_cell(cell.source, metadata=_metadata(cell))


def _text_cells(texts: Iterable[str]) -> Iterator[NotebookNode]:
    yield from (new_markdown_cell(text) for text in texts if text)


def _sections(text: str) -> list[str]:
    """The text in pieces, each of which begins with the heading of a section; maybe not the first.

    JupyterLab folds a section at the heading that begins a cell.
    """
    pieces: list[list[str]] = [[]]
    in_code = False
    for line in text.split("\n"):
        in_code ^= line.startswith("```")
        if line.startswith("## ") and not in_code:
            pieces.append([])
        pieces[-1].append(line)
    return ["\n".join(piece).strip("\n") for piece in pieces]


def _metadata(cell: NotebookNode) -> dict[str, object]:
    """The tags of a code cell, and what of it is folded."""
    tags = cell.metadata.get("tags", [])
    kept = [tag for tag in tags if tag != FOLD]
    folded = {
        "source_hidden": FOLD in tags or bool(ASKS.search(cell.source)),
        "outputs_hidden": bool(ANSWERS.search(cell.source)),
    }
    hidden = {name: True for name, is_hidden in folded.items() if is_hidden}
    return ({"tags": kept} if kept else {}) | ({"jupyter": hidden} if hidden else {})


def _exercise_cells(
    exercise: Exercise, number: int, answered: bool, imports: set[str]
) -> Iterator[NotebookNode]:
    task = specification(exercise.reference.__doc__ or "")
    yield new_markdown_cell(f"{heading(exercise, number)}\n\n{task}")
    yield new_code_cell(_answer(exercise, imports) if answered else views.stub(exercise))
    yield new_code_cell(f"check({exercise.name})")


def heading(exercise: Exercise, number: int) -> str:
    """What stands over an exercise: title, size, and the section that it rests on, if one."""
    frameworks = " and ".join(NAMES[f] for f in exercise.frameworks)
    return (
        f"### {links.title(exercise, number)}\n\n"
        f"{frameworks} · {exercise.points} points · difficulty {exercise.difficulty} of 5 · "
        f"about {exercise.minutes} minutes · {_rests_on(exercise)}stuck? `hint({exercise.name})`"
    )


def _rests_on(exercise: Exercise) -> str:
    if not exercise.section:
        return ""
    place = f"../lessons/{exercise.lesson}.ipynb#{links.anchor(exercise.section)}"
    return f"rests on [{exercise.section}]({place}) · "


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
        digested = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digested] = seen.get(digested, 0) + 1
        yield digested if seen[digested] == 1 else f"{digested}-{seen[digested]}"


def digest(cells: list[NotebookNode]) -> str:
    """A digest of the sources of cells: for a notebook, tells whether somebody worked in it."""
    sources = json.dumps([[cell["cell_type"], cell["source"]] for cell in cells])
    return hashlib.sha256(sources.encode()).hexdigest()[:16]
