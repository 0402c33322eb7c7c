"""Record how widely the claims of a lesson hold: over ten seeds, and on another processor.

A lesson is run ten times at the first level with all its seeds shifted (see `lessonkit.seeding`),
and once as it is at the other. `lessons/NN_topic.bands.json` keeps of each claim its edges, what
was measured, the spread of the ten, and the margin: from their median to the nearest edge. A claim
with less margin than spread says what was once seen rather than what holds, and is refused. The
record bears a digest of the lesson's code, so it is known to be out of date when that changes;
text may change without a new one.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from grader.press.building import digest, is_claim, with_claims
from grader.press.executing import execute
from grader.press.levels import LEVELS
from grader.press.sources import read
from grader.press.targets import Target, WeaveError

SHIFTS = tuple(range(0, 1000, 101))
"""What is added to all seeds, run by run."""

BEGIN = "from lessonkit import claims, seeding\nclaims.record()\nseeding.shift({by})"
END = "from lessonkit import claims\nprint(claims.recorded())"
SURVIVES = "raises-exception"
"""The tag of a cell after whose error a run goes on."""


def record_all(picked: Sequence[Target]) -> None:
    """Record the bands of the lessons among the targets, and say of each claim what was found.

    Raises:
        WeaveError: claims of a lesson do not hold; its record stays as it was.
    """
    for target in (target for target in picked if target.is_lesson):
        record = measured(target)
        print("\n".join(_lines(record)), flush=True)
        if found := problems(record):
            raise WeaveError(f"{target.label}: the record is not written.\n" + "\n".join(found))
        place(target).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def place(target: Target) -> Path:
    """Where the record of a lesson stands."""
    return target.source.with_suffix(".bands.json")


def stored(target: Target) -> dict[str, Any]:
    """The record of a lesson.

    Raises:
        WeaveError: there is none, or the lesson's code has changed since.
    """
    advice = f"Run: python -m grader weave --bands {target.source.stem}"
    if not place(target).exists():
        raise WeaveError(f"{target.label} has no record of bands. {advice}")
    record = json.loads(place(target).read_text(encoding="utf-8"))
    if record["code"] != digest_of_code(target):
        raise WeaveError(f"{target.label}: its code has changed since its record. {advice}")
    return record


def digest_of_code(target: Target) -> str:
    """A digest of the code cells of a source, its claims included."""
    return digest([cell for cell in read(target.source) if cell.cell_type == "code"])


def measured(target: Target) -> dict[str, Any]:
    """The record of a lesson, made by running it eleven times.

    Raises:
        WeaveError: a cell fails at one of the seeds; failed claims of all seeds are named together.
    """
    seeded, other = LEVELS
    runs = [_run(target, seeded, by) for by in SHIFTS] + [_run(target, other, 0)]
    if failed := [line for notebook in runs for line in _failed(notebook)]:
        raise WeaveError(f"{target.label}: claims fail.\n" + "\n".join(failed))
    *ten, once = (_noted(notebook, target) for notebook in runs)
    if any(run.keys() != once.keys() for run in ten):
        raise WeaveError(f"{target.label}: which bands are claimed depends on the seed.")
    bands = {
        name: _row(claimed, [run[name]["value"] for run in ten]) for name, claimed in once.items()
    }
    return {"code": digest_of_code(target), "bands": bands}


def _row(once: dict[str, Any], values: list[float]) -> dict[str, Any]:
    """What the record keeps of a claim: `once` as the other level has it, the values of the ten."""
    middle = statistics.median(values)
    edges = {edge: once[edge] for edge in ("low", "high") if once[edge] is not None}
    inside = {"low": 1, "high": -1}
    return {
        **edges,
        "values": values,
        "other_level": once["value"],
        "spread": max(values) - min(values),
        "margin": min(inside[edge] * (middle - at) for edge, at in edges.items()),
    }


def _run(target: Target, level: str, by: int) -> NotebookNode:
    """The lesson as it ran with shifted seeds; its bands are what its last cell printed."""
    print(f"{target.source.stem}: level {level}, seeds shifted by {by}", flush=True)
    notebook = with_claims(target)
    for cell in filter(is_claim, notebook.cells):
        cell.metadata.tags = [*cell.metadata.tags, SURVIVES]
    begin, end = new_code_cell(BEGIN.format(by=by)), new_code_cell(END)
    notebook.cells = [begin, *notebook.cells, end]
    try:
        execute(notebook, level, target)
    except WeaveError as error:
        raise WeaveError(f"With seeds shifted by {by}: {error}") from None
    notebook.metadata.run = f"level {level}, seeds shifted by {by}"
    return notebook


def _noted(notebook: NotebookNode, target: Target) -> dict[str, dict[str, Any]]:
    """The bands that were claimed in a run, by their names."""
    noted = json.loads("".join(output.text for output in notebook.cells[-1].outputs))
    names = [claimed["name"] for claimed in noted]
    if twice := {name for name in names if names.count(name) > 1}:
        raise WeaveError(f"{target.label} claims {', '.join(sorted(twice))} more than once.")
    return dict(zip(names, noted, strict=True))


def _failed(notebook: NotebookNode) -> Iterator[str]:
    """The claim cells of a run that raised an error."""
    for cell in filter(is_claim, notebook.cells):
        for output in cell.outputs:
            if output.output_type == "error":
                begins = f"the cell that begins {cell.source[:60]!r}"
                yield f"{notebook.metadata.run}: {begins} raises {output.ename}: {output.evalue}"


def problems(record: dict[str, Any]) -> list[str]:
    """What speaks against the claims in a record."""
    return [line for name, row in record["bands"].items() for line in _against(name, row)]


def _against(name: str, row: dict[str, Any]) -> Iterator[str]:
    low, high = row.get("low", float("-inf")), row.get("high", float("inf"))
    outside = [v for v in [*row["values"], row["other_level"]] if not low <= v <= high]
    if outside:
        yield f"{name}: outside its band lie {', '.join(f'{value:.4g}' for value in outside)}"
    elif row["margin"] < row["spread"]:
        yield f"{name}: the margin is {row['margin']:.3g} and the spread {row['spread']:.3g}"


def _lines(record: dict[str, Any]) -> Iterator[str]:
    for name, row in record["bands"].items():
        low, high = (f"{row[edge]:g}" if edge in row else "" for edge in ("low", "high"))
        values = f"{min(row['values']):.4g} to {max(row['values']):.4g}"
        yield f"  {name}: {values}, band [{low}, {high}], margin {row['margin']:.3g}"
