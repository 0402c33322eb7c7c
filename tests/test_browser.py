"""The course in a real JupyterLab in a real Chromium, used with mouse and keyboard."""

import re

import nbformat
import pytest
from playwright.sync_api import expect

from grader.checking import registry
from grader.harvesting import views
from grader.press import executing
from tests import ROOT
from tests.answers import typed
from tests.browser import MARKS, assert_accessible, cell, open_notebook, run_all, saved, set_dark

pytestmark = MARKS


def put(page, target, source):
    """Replace what a cell holds, as with the keyboard, and run it."""
    target.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(source)
    page.keyboard.press("Control+Enter")


def test_the_course_opens_at_its_welcome_page(page, course, picture):
    page.goto(course)
    heading = page.locator(".jp-RenderedMarkdown h1").first
    expect(heading).to_contain_text("Parameter locking, hands-on")
    for folder in ("lessons", "labs", "solutions"):
        expect(page.locator(".jp-DirListing-item", has_text=folder)).to_be_visible()
    listed = page.locator(".jp-DirListing-itemText").all_inner_texts()
    assert not {"grader", "course.py", "pyproject.toml"} & set(listed)
    assert page.locator(".Toastify__toast, .jp-Dialog").count() == 0
    picture("welcome")
    set_dark(page)
    picture("welcome-dark")


def test_its_links_lead_to_the_lesson(page, course):
    page.goto(course)
    page.locator(".jp-RenderedMarkdown a", has_text="Welcome").first.click()
    expect(page.locator(".jp-NotebookPanel h1").first).to_contain_text("parts that do not learn")


@pytest.mark.parametrize("stem", ["02_dead_relu", "04_explicit_freezing_deeper"])
def test_a_lesson_shows_what_is_stored_and_its_slider_changes_the_figure(
    page, copy, course, picture, stem
):
    """On this processor, as it is. `test_levels` runs each lesson, and moves each slider."""
    stored = nbformat.read(ROOT / "lessons" / f"{stem}.ipynb", as_version=4).cells
    open_notebook(page, course, f"lessons/{stem}.ipynb")
    run_all(page)
    assert page.locator(".jp-OutputArea-output[data-mime-type*='error']").count() == 0
    fresh = saved(page, copy / "lessons" / f"{stem}.ipynb")
    for old, new in zip(stored, fresh, strict=True):
        assert executing.compared(old) == executing.compared(new), old.source
    experiments = page.locator(".paramlock-explore-asks")  # a play brings its states along
    if stem.endswith("_deeper") and not experiments.count():
        return
    experiment = experiments.first
    experiment.scroll_into_view_if_needed()
    slider, shown = experiment.locator("input[type=range]").first, experiment.locator("img")
    before, words = shown.get_attribute("src"), shown.get_attribute("alt")
    picture(f"{stem}-slider-before")
    to_the_end(page, slider)
    expect(shown).not_to_have_attribute("src", before)
    expect(shown).not_to_have_attribute("alt", words)
    expect(experiment.get_by_role("status")).to_contain_text(re.compile(r"\d"))
    assert_accessible(page, ".paramlock-explore")
    picture(f"{stem}-slider-after")


def to_the_end(page, slider):
    """With the keyboard. After a save JupyterLab may take the focus back for a moment."""
    for _ in range(20):
        slider.press("End")
        if slider.input_value() == slider.get_attribute("max"):
            return
        page.wait_for_timeout(500)


def test_the_lab_names_the_belief_and_then_accepts_the_answer(page, course, picture):
    """Not attempted, then a listed wrong answer, then the right one."""
    exercise = registry.find("freeze_first_dense")
    belief = next(m for m in exercise.misconceptions if m.belief.startswith("Flax numbers layers"))
    open_notebook(page, course, "labs/04_explicit_freezing.ipynb")
    run_all(page)
    answer = cell(page, "def freeze_first_dense(")
    checked = cell(page, "check(freeze_first_dense)")
    status = checked.get_by_role("status")
    expect(status).to_have_attribute("data-verdict", "not attempted")
    answer.scroll_into_view_if_needed()
    picture("lab-not-attempted")

    put(page, answer, typed(exercise, belief))
    run_again(page, checked)
    expect(status).to_have_attribute("data-verdict", "not met")
    expect(status).to_contain_text(belief.belief)
    expect(status).to_contain_text(belief.question)
    status.scroll_into_view_if_needed()
    picture("lab-belief")

    put(page, cell(page, f"{exercise.name} = "), solution_source(exercise))
    run_again(page, checked)
    expect(status).to_have_attribute("data-verdict", "met")
    status.scroll_into_view_if_needed()
    picture("lab-met")
    assert_accessible(page, "[data-verdict]")
    set_dark(page)
    assert_accessible(page, "[data-verdict]")
    picture("lab-met-dark")


def run_again(page, target):
    target.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")


def solution_source(exercise):
    return "\n".join(statement.source for statement in views.answer(exercise))
