"""Every verdict of a lesson is on the claims page, and links to cells that decide it."""

import pytest

from grader.press import verdicts
from grader.press.building import is_claim
from grader.press.sources import read
from grader.press.targets import WeaveError, lessons
from tests import ROOT

LESSONS = lessons(ROOT)


def in_section(notebook, section):
    """The code cells under a heading, those of its subsections too."""
    inside = 0
    for cell in read(notebook):
        if cell.cell_type == "markdown":
            for level, heading in verdicts.SECTION.findall(cell.source):
                if inside and len(level) <= inside:
                    inside = 0
                if heading.replace("`", "").replace(" ", "-") == section:
                    inside = len(level)
        elif inside:
            yield cell


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_verdict_links_to_a_section_that_asserts(lesson):
    places = verdicts.addresses(lesson).values()
    assert places
    for notebook, section in places:
        if section:
            cells = list(in_section(notebook, section))
            assert any(is_claim(cell) for cell in cells), (notebook.stem, section)


def test_the_page_says_what_the_lessons_say():
    assert verdicts.differences(ROOT) == []
    page = verdicts.page(ROOT)
    assert page.count("\n## ") == len(LESSONS)


LESSON = """# %% [markdown]
# # Small
#
# ## A cell
#
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | Small is small | TRUE | [a] |
#
# [a]: #{section}
"""


def small(folder, text):
    (folder / "lessons").mkdir()
    (folder / "lessons" / "00_small.py").write_text(text)
    return folder


def test_a_link_says_where_it_leads(tmp_path):
    root = small(tmp_path, LESSON.format(section="A-cell"))
    assert verdicts.differences(root)
    verdicts.write(root)
    assert "| TRUE | [A cell](../lessons/00_small.ipynb#A-cell) |" in verdicts.page(root)
    assert verdicts.differences(root) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LESSON.format(section="Away"), "00_small#Away, and that is no section"),
        ("# %% [markdown]\n# # Small\n", "no table under the heading"),
    ],
)
def test_what_is_missing_is_named(tmp_path, text, words):
    with pytest.raises(WeaveError, match=words):
        verdicts.page(small(tmp_path, text))
