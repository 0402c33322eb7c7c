"""Links to a heading of another notebook land on it, though that was not open before."""

import pytest
from playwright.sync_api import expect

from grader.checking import registry
from tests.browser import MARKS, open_notebook

pytestmark = MARKS

EXERCISE = registry.find("dead_for_good")
WAYS = {
    "lessons": (EXERCISE.name, EXERCISE.title.rstrip(".")),
    "labs": (EXERCISE.section, EXERCISE.section),
}
"""{folder a link stands in: (its text, the heading in the other folder that it leads to)}."""


@pytest.mark.parametrize("folder", WAYS)
def test_a_link_lands_on_its_heading_and_leaves_the_reader_alone_then(page, course, folder):
    text, heading = WAYS[folder]
    open_notebook(page, course, f"{folder}/{EXERCISE.lesson}.ipynb")
    link = page.locator(".jp-RenderedMarkdown a", has_text=text).first
    link.scroll_into_view_if_needed()
    link.click()
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    found = panel.locator(":is(h2, h3)", has_text=heading).first
    expect(found).to_be_in_viewport()
    page.wait_for_timeout(3_000)  # cells above it still arrive
    expect(found).to_be_in_viewport()
    found.hover()
    page.mouse.wheel(0, -3_000)
    expect(found).not_to_be_in_viewport()
    page.wait_for_timeout(2_000)
    expect(found).not_to_be_in_viewport()
