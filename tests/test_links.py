"""Every relative link in a page or a notebook leads to a file, in this tree and in the edition."""

import json
import re
from urllib.parse import unquote

import pytest

from grader.press.release import release
from tests import ROOT

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")
PAGES = ["*.md", "docs/**/*.md", "lessons/*.ipynb", "labs/*.ipynb", "solutions/*.ipynb"]


def text_of(page):
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def broken_links(root):
    pages = [page for pattern in PAGES for page in root.glob(pattern)]
    assert len(pages) > 5
    links = [(page, unquote(link)) for page in pages for link in LINK.findall(text_of(page))]
    assert links
    return [(page.name, link) for page, link in links if not (page.parent / link).exists()]


def test_every_link_leads_somewhere():
    assert broken_links(ROOT) == []


def test_every_link_of_the_student_edition_leads_somewhere(tmp_path):
    release(tmp_path / "edition")
    assert broken_links(tmp_path / "edition") == []


def test_a_broken_link_is_found(tmp_path):
    for number in range(6):
        (tmp_path / f"{number}.md").write_text("[here](5.md) [there](away.md#part) [x](https://x)")
    assert set(broken_links(tmp_path)) == {(f"{n}.md", "away.md") for n in range(6)}


@pytest.mark.parametrize("text", ["[a](b.md)", "[a](b.md#c)", '[a](b.md "title")'])
def test_a_link_is_read(text):
    assert LINK.findall(text) == ["b.md"]
