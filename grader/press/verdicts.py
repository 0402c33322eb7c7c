"""The claims page: what is often said of each chapter's subject, and the verdict of its lesson.

A lesson judges in a table under the heading `JUDGES`, and links each verdict to the section whose
cells decide it. The page `docs/claims.md` is made of these tables, so nothing is typed twice.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from grader.press import links
from grader.press.sources import read
from grader.press.targets import ROOT, WeaveError, lessons

JUDGES = "What becomes of the claims"
ADDRESS = re.compile(r"^\[(\w+)\]: (\S+)$", re.MULTILINE)
SECTION = re.compile(r"^(##+) (.+)$", re.MULTILINE)
LINKED = re.compile(r"\[([^\]]+)\](?:\[(\w+)\])?")

OPENING = """# What is often said, and what the cells show

The lessons end with what papers, courses and blog posts say about their subject. Here is all of it.
TRUE, FALSE and HALF, which is true under the condition named, stand with a link to the section
whose cells decide; a convention, a definition or an opinion is called that. This page is made from
the lessons by `python -m grader weave`.

One finding comes first. What is called the locking *theorem* has no hypothesis and no proof: it is
a set of definitions, to be judged by their use. What can be proved is smaller. A unit that is
silent on all data passes no gradient, exactly. In a chain a silent layer makes everything after it
constant and everything before it still. How a zeroed gradient drifts under Adam, and when decay
wakes a unit, have closed forms. The sections that the tables link to show each.
"""


def write(root: Path = ROOT) -> None:
    """Write the page."""
    _place(root).parent.mkdir(exist_ok=True)
    _place(root).write_text(page(root), encoding="utf-8")


def differences(root: Path = ROOT) -> list[str]:
    """How the page differs from what the lessons say."""
    place = _place(root)
    agrees = place.exists() and place.read_text(encoding="utf-8") == page(root)
    return [] if agrees else ["docs/claims.md differs from the lessons"]


def _place(root: Path) -> Path:
    return root / "docs" / "claims.md"


def page(root: Path = ROOT) -> str:
    """The page as it should be.

    Raises:
        WeaveError: a lesson has no table, or a verdict links to no section.
    """
    return "\n".join([OPENING, *map(_chapter, lessons(root))])


def _chapter(lesson: Path) -> str:
    known = {label: _spelt(place, lesson) for label, place in addresses(lesson).items()}
    table = LINKED.sub(lambda link: known.get(link[2] or link[1], link[0]), judged(lesson))
    return f"## {_title(lesson)}\n\n{table}\n"


def _title(lesson: Path) -> str:
    named = links.TITLE.search(lesson.read_text(encoding="utf-8"))
    return named[1] if named else lesson.stem


def judged(lesson: Path) -> str:
    """The table of verdicts as it stands in a lesson. Raises `WeaveError` if there is none."""
    section = re.search(rf"^## {JUDGES}$(.*?)(?=^## |\Z)", text_of(lesson), re.M | re.S)
    rows = [line for line in section[1].splitlines() if line.startswith("|")] if section else []
    if not rows:
        raise WeaveError(f"{lesson.name} has no table under the heading {JUDGES!r}.")
    return "\n".join(rows)


def addresses(lesson: Path) -> dict[str, tuple[Path, str]]:
    """{label: (source of a notebook, section in it)} of what its verdicts link to."""
    used = {link[2] or link[1] for link in LINKED.finditer(judged(lesson))}
    found = {}
    for label, place in ADDRESS.findall(text_of(lesson)):
        notebook, _, section = place.partition("#")
        source = lesson.with_name(notebook).with_suffix(".py") if notebook else lesson
        if label in used:
            found[label] = (source, section)
    return found


def _spelt(place: tuple[Path, str], lesson: Path) -> str:
    """A link that says to which section it leads; without one, to which notebook."""
    notebook, section = place
    text = text_of(notebook)
    if not section:
        return f"[{_title(notebook)}](../lessons/{notebook.stem}.ipynb)"
    for _, heading in SECTION.findall(text):
        if heading.replace("`", "").replace(" ", "-") == section:
            return f"[{heading}](../lessons/{notebook.stem}.ipynb#{section})"
    raise WeaveError(f"{lesson.name} judges by {notebook.stem}#{section}, and that is no section.")


@cache
def text_of(source: Path) -> str:
    """What a lesson says, without its code."""
    return "\n\n".join(cell.source for cell in read(source) if cell.cell_type == "markdown")
