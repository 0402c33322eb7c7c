"""Which notebooks the course has, and from which sources they are woven.

lessons/NN_topic.py  ->  lessons/NN_topic.ipynb
labs/NN_topic.py     ->  labs/NN_topic.ipynb       with the stubs of its exercises
                     ->  solutions/NN_topic.ipynb  with the references in their place
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEEPER = "_deeper"


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

    @property
    def is_lesson(self) -> bool:
        return self.source.parent.name == "lessons"

    @property
    def root(self) -> Path:
        """The folder of the course it belongs to."""
        return self.source.parents[1]


def targets(root: Path = ROOT) -> list[Target]:
    """Every notebook of the course."""
    read = [Target(path, path.with_suffix(".ipynb")) for path in sources(root / "lessons")]
    labs = [Target(path, path.with_suffix(".ipynb")) for path in sources(root / "labs")]
    solutions = [
        Target(lab.source, root / "solutions" / lab.notebook.name, answered=True) for lab in labs
    ]
    return read + labs + solutions


def sources(folder: Path) -> list[Path]:
    """The sources of notebooks in a folder, in the order of their numbers."""
    return sorted(folder.glob("[0-9][0-9]_*.py"))


def lessons(root: Path = ROOT) -> list[Path]:
    """The sources of the lessons that make up the course, without what goes deeper."""
    return [path for path in sources(root / "lessons") if not path.stem.endswith(DEEPER)]


def chosen(stems: Sequence[str], root: Path = ROOT) -> list[Target]:
    """The targets with these stems, or all. Raises `WeaveError` for a stem that is not there."""
    everything = targets(root)
    known = {target.source.stem for target in everything}
    if unknown := sorted(set(stems) - known):
        raise WeaveError(f"No source called {unknown[0]}. There are: {', '.join(sorted(known))}.")
    return [target for target in everything if not stems or target.source.stem in stems]
