"""Which pages the site has, and what stands on each."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.press import links
from grader.press.release import without_solution
from grader.press.site.cells import notebook_html
from grader.press.site.prose import Prose, mathml
from grader.press.targets import Target, targets
from grader.press.weave import stored
from lessonkit import glossary
from lessonkit.reading import LESSONS
from paramlock.certifying.locks import KINDS, Kind
from paramlock.pictures.coloured import painted

FIGURE_OF = "lessons/02_dead_relu"
"""The lesson whose first sequence of drawings moves on the first page."""

SEQUENCE = re.compile(r'<figure style="margin:0">.*?</figure>', re.DOTALL)
DOCS = {
    "docs/claims": "Look up",
    "docs/recipes": "Use the library",
    "docs/practice": "Use the library",
    "docs/reference/paramlock": "Use the library",
    "docs/reference/torch": "Use the library",
    "docs/reference/flax": "Use the library",
    "docs/reference/mixing": "Use the library",
    "docs/reference/loggers": "Use the library",
    "docs/reference/command": "Use the library",
    "docs/certificate": "Use the library",
    "docs/term": "Teach",
    "docs/grading": "Teach",
    "CHANGELOG": "About",
}
"""{page in Markdown, without its ending: the group it stands in}."""


@dataclass(frozen=True)
class Page:
    """A page by its address, its title, the group it is listed in, and the HTML of its text."""

    address: str
    title: str
    group: str
    body: str


def all_pages(root: Path) -> list[Page]:
    """Every page but the first, in the order in which they are listed."""
    read = [target for target in targets(root) if not target.answered]
    texts = [root / f"{name}.md" for name in DOCS if (root / f"{name}.md").exists()]
    own = [*map(_address_of, read), *(_address(path, root) for path in texts)]
    known = {"index.html", "glossary.html", "cheatsheet.html", *own}
    return [
        *(_notebook(target, known) for target in read),
        _cheat_sheet(known),
        _glossary(known),
        *(_text(path, root, known) for path in texts),
    ]


def _address(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix(".html").as_posix()


def _address_of(target: Target) -> str:
    return _address(target.notebook, target.root)


def _notebook(target: Target, known: set[str]) -> Page:
    notebook = without_solution(stored(target.notebook), target)
    address = _address_of(target)
    body = notebook_html(notebook, Prose(address, known), outputs=target.is_lesson)
    (title,) = links.TITLE.findall(target.source.read_text(encoding="utf-8"))[:1] or [address]
    number = target.source.stem.partition("_")[0]
    name = f"{number} {title}" if target.is_lesson else title
    return Page(address, name, "Lessons" if target.is_lesson else "Labs", body)


def _text(path: Path, root: Path, known: set[str]) -> Page:
    text, address = path.read_text(encoding="utf-8"), _address(path, root)
    title = text.partition("\n")[0].removeprefix("# ")
    group = DOCS[path.relative_to(root).with_suffix("").as_posix()]
    return Page(address, title, group, Prose(address, known, of_a_file=True).rendered(text))


def _cheat_sheet(known: set[str]) -> Page:
    head = "".join(f'<th scope="col">{name}</th>' for name in ("lock", "shows", "opens", "lesson"))
    rows = "".join(_row(kind, known) for kind in KINDS.values())
    body = (
        "<h1>Which lock, how it shows, what opens it</h1>"
        "<p>From the library's table of locks. A certificate looks for all of them but "
        "<em>inactive</em>, and gives the number that stands under “shows”.</p>"
        f'<div class="scroll" tabindex="0"><table class="sheet"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    return Page("cheatsheet.html", "Cheat sheet of locks", "Look up", body)


def _row(kind: Kind, known: set[str]) -> str:
    lesson = f"{LESSONS[kind.name]}.html"
    number = Path(lesson).name.partition("_")[0]
    leads = f'<a href="{lesson}">{number}</a>' if lesson in known else number
    chip = f'<span class="chip" style="{painted(kind.colour)}">{kind.letter}</span>'
    cells = "".join(f"<td>{html.escape(words)}</td>" for words in (kind.detector, kind.key))
    return f'<tr><th scope="row">{chip} {kind.name}</th>{cells}<td>{leads}</td></tr>'


def _glossary(known: set[str]) -> Page:
    terms = "".join(_term(term, known) for term in glossary.terms())
    return Page("glossary.html", "Glossary", "Look up", f"<h1>Glossary</h1><dl>{terms}</dl>")


def _term(term: glossary.Term, known: set[str]) -> str:
    lesson = f"lessons/{term.lesson}.html"
    number = term.lesson.partition("_")[0]
    home = f' <a href="{lesson}">Lesson {number}</a>' if lesson in known else ""
    symbol = f" {mathml(term.symbol)}" if term.symbol else ""
    name = f'<dt id="{term.name.replace(" ", "-")}">{html.escape(term.name)}{symbol}</dt>'
    return f"{name}<dd>{html.escape(term.means)}{home}</dd>"


def first_page(pages: list[Page], root: Path) -> Page:
    """What the course is, one moving figure, and the way to every page."""
    groups = dict.fromkeys(page.group for page in pages)
    lists = "".join(f"<h2>{group}</h2><ul>{_listed(pages, group)}</ul>" for group in groups)
    body = f"""<h1>Parameter locking, hands-on</h1>
<p class="lead">Training is meant to change the weights of a network. Some do not change: some were
told not to, some cannot. This course shows when and why, proves it with numbers, causes it on
purpose, and undoes it, in PyTorch and in JAX.</p>
{_moving(root)}
<p>Here you can read all of it, without the network. To run it, to keep guesses and to have answers
checked, start the course on your machine: <code>python course.py lab</code>. Where a lesson asks
you to predict, guess before you unfold.</p>
{lists}"""
    return Page("index.html", "Parameter locking, hands-on", "", body)


def _listed(pages: list[Page], group: str) -> str:
    return "".join(
        f'<li><a href="{page.address}">{html.escape(page.title)}</a></li>'
        for page in pages
        if page.group == group
    )


def _moving(root: Path) -> str:
    """The first sequence of drawings of a lesson; a script shows one after the other."""
    path = root / f"{FIGURE_OF}.ipynb"
    figures = next(_sequences(path), []) if path.exists() else []
    if not figures:
        return ""
    return f'<div class="moving" aria-live="off">{"".join(figures)}</div>'


def _sequences(path: Path) -> Iterator[list[str]]:
    for cell in stored(path).cells:
        for output in cell.get("outputs", []):
            if found := SEQUENCE.findall(output.get("data", {}).get("text/html", "")):
                yield found
