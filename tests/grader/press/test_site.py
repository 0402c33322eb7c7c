"""The site: whole, without a network and without answers; every link leads somewhere."""

import json
import re

import pytest
from playwright.sync_api import expect

from grader.press.site.building import MARK, SiteError, broken_links, build
from grader.press.targets import targets
from grader.press.weave import stored
from lessonkit import glossary
from paramlock.certifying.locks import KINDS
from tests.browser import MARKS, assert_accessible


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "out"
    build(folder)
    return folder


def read(site, address):
    return (site / address).read_text(encoding="utf-8")


def test_every_lesson_and_lab_has_a_page_and_no_solution_has_one(site):
    read_only = [target.label for target in targets() if not target.answered]
    there = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert {label.replace(".ipynb", ".html") for label in read_only} <= there
    assert {"index.html", "glossary.html", "cheatsheet.html", "docs/grading.html"} <= there
    assert not [address for address in there if "solutions" in address]
    assert not [a for a in there if re.search(r'href="[^"]*solutions/', read(site, a))]


def test_a_page_needs_nothing_from_elsewhere_and_its_formulas_are_mathml(site):
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    for name, text in pages.items():
        assert not re.findall(r'(?:src|<link[^>]+href)="https?:', text), name
        assert "$$" not in re.sub(r"<pre.*?</pre>|<code.*?</code>", "", text, flags=re.DOTALL), name
    assert sum(text.count("<math") for text in pages.values()) > 800


def test_predictions_still_ask_and_self_checks_keep_their_answers(site):
    for target in targets():
        if not target.is_lesson:
            continue
        page = read(site, target.label.replace(".ipynb", ".html"))
        cells = stored(target.notebook).cells
        folded = [c for c in cells if c.metadata.get("jupyter", {}).get("outputs_hidden")]
        assert page.count('<details class="measured">') == len(folded)
        assert not re.search(r"selfcheck\.(number|choice|order)\(", re.sub(r"<[^>]+>", "", page))


def test_what_is_looked_up_stands_there_once(site):
    sheet, words = read(site, "cheatsheet.html"), read(site, "glossary.html")
    assert all(sheet.count(f"</span> {name}</th>") == 1 for name in KINDS)
    assert words.count("<dt ") == len(glossary.terms())
    text = read(site, "assets/index.js").removeprefix("window.courseIndex = ")
    index = json.loads(text.rstrip().removesuffix(";"))
    assert "lessons/02_dead_relu.html#Born-dead" in {entry["place"] for entry in index}
    assert '<a href="#Born-dead">Born dead</a>' in read(site, "lessons/02_dead_relu.html")
    assert not [entry for entry in index if "#" in entry["head"] or not entry["text"]]


def test_a_folder_of_somebody_else_is_left_alone_and_a_lost_link_is_found(site, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(SiteError, match="holds something else"):
        build(tmp_path)
    (tmp_path / MARK).touch()
    (tmp_path / "a.html").write_text('<a href="b.html">b</a><a href="#c">c</a><p id="d">')
    (tmp_path / "e.html").write_text('<a href="a.html#d">d</a><a href="https://x.org">x</a>')
    assert broken_links(tmp_path) == ["a.html -> b.html", "a.html -> #c"]


class TestInABrowser:
    pytestmark = MARKS

    def test_it_is_searched_read_in_the_dark_and_on_a_phone(self, site, page, picture):
        page.goto((site / "index.html").as_uri())
        expect(page.locator(".moving figure.shown")).to_have_count(1)
        picture("site-first")
        assert_accessible(page, "body")
        page.get_by_label("Search").fill("born dead")
        page.locator("#found a").first.click()
        expect(page.locator("h1")).to_contain_text("ReLU")
        page.get_by_role("button", name="Light or dark").click()
        page.set_viewport_size({"width": 390, "height": 800})
        picture("site-phone-dark")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390
        page.goto((site / "cheatsheet.html").as_uri())
        assert_accessible(page, "body")
        page.set_viewport_size({"width": 1300, "height": 1000})
