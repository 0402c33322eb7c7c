"""Write the site: its pages, what they share, and the index that the search looks into."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from string import Template
from urllib.parse import unquote

import matplotlib
from pygments.formatters import HtmlFormatter

from grader.press.site.pages import Page, all_pages, first_page
from grader.press.targets import ROOT

ASSETS = Path(__file__).with_name("assets")
MARK = ".course-site"
"""A file that says that a folder holds a site of ours, and may be written anew."""

HEADING = re.compile(r"(?=<h[1-3]\b)")
TITLE = re.compile(r'<h[1-3]\b(?:[^>]*?\bid="([^"]*)")?[^>]*>(.*?)</h[1-3]>', re.DOTALL)
NOT_SOUGHT = re.compile(r"<math\b.*?</math>|<a class=\"anchor-link\".*?</a>|<[^>]+>", re.DOTALL)
MATHEMATICS = ("STIXGeneral.ttf", "LICENSE_STIX")
"""The font for formulas where a system has none that is made for them; it comes with matplotlib."""

CONTENTS = 4  # headings from which on a page lists them
THEMES = {"light": "xcode", "dark": "github-dark"}


class SiteError(Exception):
    """The site cannot be written, or a link of it leads nowhere; the message says which."""


def build(folder: Path, root: Path = ROOT) -> int:
    """Write the site of the course at `root` into a folder. Returns the number of pages.

    Raises:
        SiteError: the folder holds something else, or a link leads nowhere.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise SiteError(f"{folder} holds something else. Name a new folder, or empty that one.")
    shutil.rmtree(folder, ignore_errors=True)
    listed = all_pages(root)
    pages = [first_page(listed, root), *listed]
    for page in pages:
        path = folder / page.address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_whole(page, listed), encoding="utf-8")
    _write_assets(folder / "assets", pages)
    (folder / MARK).touch()
    if lost := broken_links(folder):
        raise SiteError("These links lead nowhere: " + "; ".join(lost))
    return len(pages)


def _whole(page: Page, listed: list[Page]) -> str:
    template = Template((ASSETS / "page.html").read_text(encoding="utf-8"))
    up = "../" * page.address.count("/")
    body = page.body.replace("</h1>", f"</h1>{_contents(page)}", 1)
    return template.substitute(
        title=html.escape(page.title), up=up, body=body, pages=_menu(page, listed, up)
    )


def _contents(page: Page) -> str:
    """Links to the sections of a page, folded; none where there are few."""
    found = [(place, head) for place, head in TITLE.findall(page.body) if place]
    if len(found) < CONTENTS:
        return ""
    entries = "".join(
        f'<li><a href="#{html.escape(place)}">{NOT_SOUGHT.sub("", head)}</a></li>'
        for place, head in found[1:]
    )
    return f'<details class="contents"><summary>On this page</summary><ul>{entries}</ul></details>'


def _menu(page: Page, listed: list[Page], up: str) -> str:
    """All pages by group; the one that is open is marked."""
    parts = []
    for group in dict.fromkeys(other.group for other in listed):
        entries = "".join(
            f'<li><a href="{up}{other.address}"{_current(page, other)}>'
            f"{html.escape(other.title)}</a></li>"
            for other in listed
            if other.group == group
        )
        parts.append(f"<h2>{group}</h2><ul>{entries}</ul>")
    return "".join(parts)


def _current(page: Page, other: Page) -> str:
    return ' aria-current="page"' if other.address == page.address else ""


def _write_assets(folder: Path, pages: list[Page]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ASSETS / "site.js", folder / "site.js")
    for name in MATHEMATICS:
        shutil.copyfile(Path(matplotlib.get_data_path(), "fonts", "ttf", name), folder / name)
    colours = [
        HtmlFormatter(style=style).get_style_defs(f'[data-theme="{theme}"] .highlight')
        for theme, style in THEMES.items()
    ]
    own = (ASSETS / "site.css").read_text(encoding="utf-8")
    (folder / "site.css").write_text("\n".join([*colours, own]), encoding="utf-8")
    index = [entry for page in pages for entry in _sections(page)]
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    (folder / "index.js").write_text(f"window.courseIndex = {text};\n", encoding="utf-8")


def _sections(page: Page) -> Iterator[dict[str, str]]:
    """What the search finds: each part of a page under a heading, as text without formulas."""
    for part in HEADING.split(page.body):
        found = TITLE.match(part)
        text = " ".join(html.unescape(NOT_SOUGHT.sub(" ", part)).split())
        if not text:
            continue
        place = f"{page.address}#{found[1]}" if found and found[1] else page.address
        head = html.unescape(NOT_SOUGHT.sub("", found[2])) if found else page.title
        yield {"page": page.title, "head": head, "place": place, "text": text}


class _Links(HTMLParser):
    """Where a page leads, and which ids it has."""

    def __init__(self) -> None:
        super().__init__()
        self.leads: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the attributes that lead somewhere, or that can be led to."""
        for name, value in attrs:
            if name in ("href", "src") and value and not re.match(r"[a-z]+:", value):
                self.leads.append(value)
            elif name == "id" and value:
                self.ids.add(value)


def broken_links(folder: Path) -> list[str]:
    """Links of a site that lead to no file, or to no place in a page: `page -> link`."""
    read = {path.resolve(): _read(path) for path in folder.rglob("*.html")}
    return [
        f"{path.relative_to(folder.resolve())} -> {lead}"
        for path, page in sorted(read.items())
        for lead in page.leads
        if not _leads_somewhere(path, lead, read)
    ]


def _read(path: Path) -> _Links:
    page = _Links()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _leads_somewhere(page: Path, lead: str, read: dict[Path, _Links]) -> bool:
    address, _, fragment = lead.partition("#")
    target = (page.parent / unquote(address)).resolve() if address else page
    if fragment and target in read:
        return unquote(fragment) in read[target].ids
    return target.is_file()
