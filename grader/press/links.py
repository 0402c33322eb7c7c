"""Links between lessons and labs: who practises a section, and what comes before and after.

They lead to headings, in JupyterLab. Its id of a heading is the text as shown, with a hyphen for
each blank. A browser percent-encodes some characters of an address, and JupyterLab looks for what
the browser wrote; so a heading with such a character cannot be linked to, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from grader.checking import registry
from grader.checking.cited import cited_exercises
from grader.judging.exercise import Exercise
from grader.press.targets import DEEPER, Target, WeaveError, lessons

FINDABLE = re.compile(r"[\w .,:;!?'()/+&-]+", re.ASCII)
TITLE = re.compile(r"^# # (.+)$", re.MULTILINE)
BETWEEN = " · "


def anchor(heading: str) -> str:
    """The fragment that leads to a heading. Code in it may stand in backticks.

    Raises:
        WeaveError: JupyterLab would not find it.
    """
    shown = heading.replace("`", "")
    if not FINDABLE.fullmatch(shown):
        raise WeaveError(
            f"No link can lead to the heading {heading!r}. Write it in letters, digits, blanks "
            "and plain punctuation."
        )
    return shown.replace(" ", "-")


def title(exercise: Exercise, number: int) -> str:
    """The text of the heading over an exercise in its lab."""
    return f"{number}. {exercise.title.rstrip('.')}"


def practised(target: Target) -> dict[str, str]:
    """{section of a lesson: the links to the exercises that practise it}, from its lab."""
    lab = target.root / "labs" / target.source.name
    found: dict[str, list[str]] = {}
    for number, name in enumerate(cited_exercises(lab) if lab.exists() else [], start=1):
        exercise = registry.find(name)
        place = f"../labs/{lab.stem}.ipynb#{anchor(title(exercise, number))}"
        entry = f"[{name}]({place}){BETWEEN}{exercise.minutes} minutes"
        found.setdefault(exercise.section, []).append(entry)
    return {section: f"Practise: {'; '.join(entries)}" for section, entries in found.items()}


def footer(target: Target, solved: bool = True) -> str:
    """The links at the end of a notebook; none where there is nothing to lead to.

    Not `solved`: without the way from a lab to its solution, which a student edition lacks.
    """
    places = _from_lesson(target) if target.is_lesson else _from_lab(target, solved)
    return BETWEEN.join(f"{name}: {link}" for name, link in places if link)


def _from_lesson(target: Target) -> Iterator[tuple[str, str]]:
    before, after = _neighbours(target)
    stem = target.source.stem
    yield "Lesson" if stem.endswith(DEEPER) else "Previous", _link(before, "")
    yield "Lab", _link(target.root / "labs" / target.source.name, "../labs/")
    yield "Deeper", _link(target.source.with_name(f"{stem}{DEEPER}.py"), "")
    yield "Next", _link(after, "")


def _from_lab(target: Target, solved: bool) -> Iterator[tuple[str, str]]:
    yield "Lesson", _link(target.root / "lessons" / target.source.name, "../lessons/")
    if target.answered:
        yield "Lab", _link(target.source, "../labs/")
    elif solved:
        yield "Solution", _link(target.source, "../solutions/")
    yield "Next lesson", _link(_neighbours(target)[1], "../lessons/")


def _neighbours(target: Target) -> tuple[Path | None, Path | None]:
    """The lessons before and after a notebook; before one that goes deeper comes its lesson."""
    course, name = lessons(target.root), target.source.name
    before = [path for path in course if path.name < name]
    after = [path for path in course if path.name > name]
    return before[-1] if before else None, after[0] if after else None


def _link(source: Path | None, folder: str) -> str:
    """A link to the notebook of a source, under its title; empty where there is no source."""
    if source is None or not source.exists():
        return ""
    named = TITLE.search(source.read_text(encoding="utf-8"))
    return f"[{named[1] if named else source.stem}]({folder}{source.stem}.ipynb)"
