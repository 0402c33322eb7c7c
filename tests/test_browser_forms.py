"""Predictions and self-checks in a real JupyterLab, filled in with the keyboard alone."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect
from traitlets.config import Config

from tests.browser import (
    MARKS,
    assert_accessible,
    cell,
    command,
    open_notebook,
    run_all,
    saved,
    set_dark,
)

pytestmark = MARKS

LONG = "the weights of the first layer, which the images reach before anything else does"
CELLS = {
    "imports": """\
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right

predict = Predictions("NAME")
selfcheck = SelfCheck("NAME")""",
    "ask_number": """\
predict.number(
    "count", "How many of the 128 units of layer 1 are dead on one image?", unit="units", within=10
)""",
    "ask_choice": """\
predict.choice("which", "Which of these moves?", ["the biases", "LONG", "neither"])""",
    "ask_order": """\
predict.order(
    "sizes", "Which holds more numbers? The largest first.", ["biases", "weights", "images"]
)""",
    "check_number": """\
selfcheck.number(
    "share", "Which share of the 128 units is dead if 32 are?", answer=0.25, within=0.01,
    why="32 of 128 are a quarter.", wrong={32: "That is how many, not which share."},
)""",
    "check_choice": """\
selfcheck.choice(
    "moves", "Which parameter of a dead unit moves?",
    {"its bias": "The slope before it is zero.", "none": right("All get a gradient of zero.")},
)""",
    "check_order": """\
selfcheck.order(
    "depth", "Which layer gets the largest gradient? The largest first.",
    ["the last", "the middle", "the first"], why="It fades on its way down.",
)""",
    "number": 'predict.measured("count", 23)',
    "choice": 'predict.measured("which", "the biases")',
    "order": 'predict.measured("sizes", ["images", "weights", "biases"])',
    "summary": "predict.summary()",
}

QUESTIONS = 6


def notebook(name):
    sources = [text.replace("NAME", name).replace("LONG", LONG) for text in CELLS.values()]
    return new_notebook(
        cells=[new_code_cell(source) for source in sources],
        metadata={"kernelspec": {"display_name": "Python 3", "name": "python3"}},
    )


@pytest.fixture
def lesson(page, copy, course, request):
    """A notebook of its own for each test, open; the cells that ask something have run."""
    name = request.node.name
    nbformat.write(notebook(name), copy / "lessons" / f"{name}.ipynb")
    open_notebook(page, course, f"lessons/{name}.ipynb")
    page.locator(".jp-CodeCell .jp-InputPrompt").first.click()
    for _ in range(1 + QUESTIONS):
        page.keyboard.press("Shift+Enter")
    expect(page.locator(".paramlock-form")).to_have_count(QUESTIONS)
    return copy / "lessons" / f"{name}.ipynb"


def form(page, question):
    return page.locator(".paramlock-form", has=page.get_by_role("group", name=question))


def tab_to(page, target):
    """Press Tab until the element has the focus, as somebody without a mouse has to."""
    for _ in range(80):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {target}")


def start_above(page, question):
    """Select the cell of a question in command mode, where JupyterLab listens to single keys."""
    above = page.locator(".jp-CodeCell", has=form(page, question))
    above.locator(".jp-InputPrompt").first.click()
    page.keyboard.press("Escape")


def run_cell(page, text):
    cell(page, text).locator(".cm-content").click()
    page.keyboard.press("Control+Enter")


def has_focus(target):
    expect(target).to_be_focused(timeout=5_000)


def test_a_number_is_kept_by_keyboard_and_compared(page, lesson, picture):
    question = "How many of the 128 units"
    asked = form(page, question)
    field, status = (
        asked.get_by_role("textbox", name="Your guess, in units"),
        asked.get_by_role("status"),
    )
    start_above(page, question)
    tab_to(page, field)
    page.keyboard.type("many")
    page.keyboard.press("Enter")
    expect(status).to_contain_text("“many” is not a number that can be read here.")
    expect(field).to_have_attribute("aria-invalid", "true")
    has_focus(field)
    page.keyboard.press("Control+a")
    page.keyboard.type("4.2e1")
    tab_to(page, asked.get_by_role("button", name="Keep my guess"))
    page.keyboard.press("Space")
    expect(status).to_have_text("Kept: 42 units. You can change it until it is measured.")
    expect(page.locator(".jp-OutputArea-output", has_text="Your guess: 42 units.")).to_be_visible()
    assert_untouched(page)
    picture("form-number")

    run_cell(page, CELLS["number"])
    beside = cell(page, CELLS["number"]).locator(".jp-OutputArea")
    expect(beside).to_contain_text("Too high by 19 units.")
    expect(field).to_be_disabled()
    expect(asked).to_contain_text("your guess stays as it is")
    assert_accessible(page, ".paramlock-form")
    picture("form-number-measured")


def test_a_choice_answers_to_arrow_keys(page, lesson, picture):
    asked = form(page, "Which of these moves?")
    start_above(page, "Which of these moves?")
    options = asked.get_by_role("radio")
    tab_to(page, options.nth(0))
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    has_focus(options.nth(1))
    expect(options.nth(1)).to_be_checked()
    page.keyboard.press("Enter")  # keeps nothing, enters no cell
    expect(asked.get_by_role("status")).to_be_empty()
    tab_to(page, asked.get_by_role("button", name="Keep my guess"))
    page.keyboard.press("Enter")
    expect(asked.get_by_role("status")).to_contain_text(f"Kept: {LONG}.")
    assert_untouched(page)
    picture("form-choice")


def test_an_order_is_made_by_buttons_that_keep_the_focus(page, lesson, picture):
    asked = form(page, "Which holds more numbers?")
    status, items = asked.get_by_role("status"), asked.get_by_role("listitem")
    start_above(page, "Which holds more numbers?")
    up = asked.get_by_role("button", name="Move images up")
    tab_to(page, up)
    for place in ("now 2 of 3", "now 1 of 3", "already 1 of 3"):
        page.keyboard.press("Enter")
        expect(status).to_have_text(f"images is {place}.")
        has_focus(up)
    page.keyboard.type("xdd")  # in command mode these cut and delete cells
    assert [text.split()[0] for text in items.all_inner_texts()] == ["images", "biases", "weights"]
    tab_to(page, asked.get_by_role("button", name="Keep my guess"))
    page.keyboard.press("Enter")
    expect(status).to_contain_text("Kept: images, then biases, then weights.")
    assert_untouched(page)
    run_cell(page, CELLS["order"])
    beside = cell(page, CELLS["order"]).locator(".jp-OutputArea")
    expect(beside).to_contain_text("1 of 3 pairs is swapped; it is weights before biases.")
    picture("form-order")


def test_the_learner_guesses_measures_and_reads_the_list(page, lesson, picture):
    asked = form(page, "How many of the 128 units")
    asked.get_by_role("textbox").fill("25")
    asked.get_by_role("textbox").press("Enter")
    expect(asked.get_by_role("status")).to_contain_text("Kept: 25 units.")
    run_all(page)
    table = cell(page, CELLS["summary"]).get_by_role("table")
    row = table.get_by_role("row", name=re.compile("How many of the 128 units"))
    expect(row).to_contain_text("Right within 10 units.")
    expect(table).to_contain_text("Guesses that were right: 1 of 1.")
    expect(form(page, "How many of the 128 units").get_by_role("textbox")).to_have_value("25")
    assert_accessible(page, ".jp-OutputArea-output table")
    table.scroll_into_view_if_needed()
    picture("form-summary")


def test_a_guess_after_run_all_is_kept_as_what_it_is(page, lesson):
    run_all(page)
    asked = form(page, "How many of the 128 units")
    start_above(page, "How many of the 128 units")
    tab_to(page, asked.get_by_role("textbox"))
    page.keyboard.type("23")
    page.keyboard.press("Enter")
    expect(asked.get_by_role("status")).to_contain_text("Kept: 23 units. This was guessed after")
    has_focus(asked.locator(".paramlock-form-closed"))  # the field rests, and so cannot keep it
    run_cell(page, CELLS["summary"])
    table = cell(page, CELLS["summary"]).get_by_role("table")
    expect(table).to_contain_text("There is no guess to compare yet.")


def test_a_self_check_explains_and_offers_the_answer(page, lesson, picture):
    question = "Which share of the 128 units"
    asked = form(page, question)
    status, answer = asked.get_by_role("status"), asked.get_by_text("Show the answer")
    start_above(page, question)
    tab_to(page, asked.get_by_role("textbox", name="Your answer"))
    expect(answer).to_be_hidden()
    page.keyboard.type("32")
    page.keyboard.press("Enter")
    expect(status).to_have_text("Not yet. That is how many, not which share.")
    expect(answer).to_be_visible()
    picture("form-check-wrong")
    page.keyboard.press("Control+a")
    page.keyboard.type("1/4")
    page.keyboard.press("Enter")
    expect(status).to_have_text("Right. 32 of 128 are a quarter.")
    assert_untouched(page)
    picture("form-check-right")


def assert_untouched(page):
    """No key went to JupyterLab: the cells are all there, and none is being edited."""
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == len(CELLS)
    assert page.locator(".jp-Notebook.jp-mod-editMode").count() == 0
    assert page.locator(".jp-Dialog").count() == 0


@pytest.mark.parametrize("width", [1280, 1024])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_forms_are_accessible_and_fit_the_page(page, lesson, picture, width, theme):
    page.set_viewport_size({"width": width, "height": 900})
    if theme == "dark":
        set_dark(page)
    assert_accessible(page, ".paramlock-form")
    for i, asked in enumerate(page.locator(".paramlock-form").all()):
        asked.scroll_into_view_if_needed()
        assert asked.evaluate("element => element.scrollWidth <= element.clientWidth")
        if i % 2 == 0:
            picture(f"forms-{theme}-{width}-{i}")


def test_what_is_kept_stands_in_the_saved_notebook(page, lesson):
    asked = form(page, "How many of the 128 units")
    asked.get_by_role("textbox").fill("1/2")
    asked.get_by_role("textbox").press("Enter")
    expect(page.locator(".jp-OutputArea-output", has_text="Your guess: 0.5 units.")).to_be_visible()
    stored = saved(page, lesson)
    asking, line = (output.data for output in stored[1].outputs)
    assert asking["text/plain"].startswith("Predict. How many of the 128 units")
    assert line["text/plain"] == "Your guess: 0.5 units." and "0.5 units" in line["text/html"]


def test_a_form_says_that_it_waits_for_a_busy_kernel(page, lesson):
    busy = cell(page, CELLS["summary"])
    busy.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("import time; time.sleep(6)")
    page.keyboard.press("Control+Enter")
    asked = form(page, "How many of the 128 units")
    asked.get_by_role("textbox").fill("7")
    asked.get_by_role("textbox").press("Enter")
    expect(asked.get_by_role("status")).to_contain_text("Waiting for Python.")
    expect(asked.get_by_role("status")).to_contain_text("Kept: 7 units.")


def test_after_a_restart_a_form_says_what_to_do(page, lesson, picture):
    asked = form(page, "How many of the 128 units")
    command(page, "kernelmenu:restart")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(asked.get_by_text("run this cell to answer")).to_be_visible()
    expect(asked.get_by_role("textbox")).to_be_disabled()
    picture("form-after-restart")
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
    run_all(page)
    expect(asked.get_by_role("textbox")).to_be_enabled()


def test_stored_questions_read_as_text_where_nothing_has_run(page, copy, course, picture):
    """As in a notebook that JupyterLab does not trust, and on a page without a kernel."""
    made = notebook("stored")
    path = copy / "lessons" / "stored.ipynb"
    NotebookClient(
        made,
        config=Config(KernelManager={"transport_encryption": "auto"}),
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    for output in (output for c in made.cells for output in c.outputs):
        output.data.pop("application/vnd.jupyter.widget-view+json", None)
    made.metadata.pop("widgets", None)
    nbformat.write(made, path)
    open_notebook(page, course, "lessons/stored.ipynb")
    outputs = page.locator(".jp-OutputArea-output")
    expect(outputs.first).to_contain_text("How many of the 128 units")
    expect(outputs.first).to_contain_text("In JupyterLab, run this cell to keep a guess.")
    folded = page.locator("details", has_text="32 of 128 are a quarter.")
    expect(folded.get_by_text("32 of 128 are a quarter.")).to_be_hidden()
    folded.get_by_text("The answer").click()
    expect(folded.get_by_text("32 of 128 are a quarter.")).to_be_visible()
    picture("forms-stored")
