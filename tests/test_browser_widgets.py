"""Sliders and plays in a real JupyterLab: moved, played, and left behind by their kernel."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

from tests.browser import MARKS, assert_accessible, command, open_notebook, run_all, set_dark

pytestmark = MARKS

SLIDER = """\
import numpy as np
from lessonkit import explore
from paramlock.pictures import figures
figure, axes = figures.chart("Sines rise and fall", "x", "height")
(line,) = axes.plot([], [], animated=True)
axes.set(xlim=(0, 7), ylim=(-1, 1))
x = np.linspace(0, 7, 200)
def update(height, shape):
    line.set_data(x, height * {"sine": np.sin, "cosine": np.cos}[shape](x))
    return f"A {shape} of height {height}."
sliders = {
    "height": explore.LogSlider("Height", 0.01, 1.0, 0.032),
    "shape": explore.Steps("Shape", ["sine", "cosine"], "sine"),
}
explore.Experiment(figure, update, sliders, alt="A wave over x.").show()"""

PLAY = """\
from lessonkit.drawing import chain, draw, play
epochs = [(), (0,), (0, 2), (0, 1, 2)]
states = [draw(chain([2, 3, 1], dead={"W1": dead}), f"{len(dead)} dead") for dead in epochs]
play(states, label="Epoch", values=[0, 1, 2, 3])"""

TABLES = """\
from lessonkit import lock_table
from lessonkit.drawing import chain, draw
from paramlock.pictures import figures
lock_table.show()
texts, kinds = [["0", "0.3"], ["none", "0.031"]], [["dead", "trainable"], ["frozen", "moved"]]
figures.show_table("Two of four stay", ["ReLU", "tanh"], ["plain", "new"], texts, kinds, "A note.")
draw(chain([784, 128, 64, 10], frozen=["W1"], dead={"W2": 0.3}), backward=[0, 0.1, 1]).show()"""

GONE = re.compile("model not found|Error displaying", re.IGNORECASE)


@pytest.fixture
def notebook(page, copy, course):
    """A notebook with a slider and a play, run."""
    written(copy, SLIDER, PLAY)
    open_notebook(page, course, "widgets.ipynb")
    run_all(page)
    expect(page.locator(".paramlock-explore")).to_have_count(2)
    return page


def written(copy, *sources):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_code_cell(source) for source in sources]
    new = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(new, copy / "widgets.ipynb")


def experiment(page):
    return page.locator(".paramlock-explore-asks")


def played(page):
    return page.locator(".paramlock-explore", has=page.locator("button"))


def run_first(page):
    page.locator(".jp-CodeCell").first.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")


def assert_it_moves(page):
    shown = experiment(page)
    before = shown.locator("img").get_attribute("src")
    shown.get_by_label("Height").focus()
    page.keyboard.press("End")
    expect(shown.get_by_role("status")).to_contain_text("of height 1.0.")
    expect(shown.locator("img")).not_to_have_attribute("src", before)


def end_kernels(page):
    """End every kernel on the server, as one that is started again does."""
    page.evaluate(
        """async () => {
            const token = document.cookie.match(/_xsrf=([^;]+)/)[1];
            const sessions = await (await fetch("/api/sessions")).json();
            const options = { method: "DELETE", headers: { "X-XSRFToken": token } };
            for (const session of sessions) await fetch(`/api/sessions/${session.id}`, options);
        }"""
    )


def test_a_slider_shows_and_says_its_value(notebook, picture):
    shown = experiment(notebook)
    height, shape = shown.get_by_label("Height"), shown.get_by_label("Shape")
    expect(height).to_have_attribute("aria-valuetext", "0.032")
    expect(shown).to_contain_text("0.032")
    height.focus()
    notebook.keyboard.press("ArrowRight")
    expect(height).to_have_attribute("aria-valuetext", "0.04")
    shape.focus()
    notebook.keyboard.press("ArrowRight")
    expect(shape).to_have_attribute("aria-valuetext", "cosine")
    expect(shown.get_by_role("status")).to_have_text("A cosine of height 0.04.")
    size = "image => [image.naturalWidth, image.clientWidth]"
    natural, width = shown.locator("img").evaluate(size)
    assert natural == 1400 and width <= 716
    assert_accessible(notebook, ".paramlock-explore")
    picture("slider")
    set_dark(notebook)
    assert_accessible(notebook, ".paramlock-explore")
    picture("slider-dark")


def test_after_a_restart_the_picture_stays_and_says_what_to_do(notebook, picture):
    command(notebook, "kernelmenu:restart")
    notebook.locator(".jp-Dialog .jp-mod-accept").click()
    shown = experiment(notebook)
    expect(shown.get_by_text("Run this cell to move it.")).to_be_visible()
    expect(shown.locator("img")).to_be_visible()
    expect(shown.get_by_label("Height")).to_be_hidden()
    expect(notebook.get_by_text(GONE)).to_have_count(0)
    picture("slider-after-restart")
    expect(notebook.locator("#jp-main-statusbar")).to_contain_text("| Idle")
    run_first(notebook)
    expect(shown.get_by_label("Height")).to_be_visible()
    assert_it_moves(notebook)


@pytest.mark.parametrize("kernel", ["lives", "is gone"])
def test_a_notebook_opened_again_shows_pictures(notebook, course, picture, kernel):
    command(notebook, "docmanager:save", menu="File")
    expect(notebook.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)
    if kernel == "is gone":
        end_kernels(notebook)
    open_notebook(notebook, course, "widgets.ipynb")
    first = notebook.locator(".jp-CodeCell").first
    expect(first.get_by_text("Run this cell to move it.")).to_be_visible()
    expect(first.get_by_role("img", name="A wave over x.")).to_be_visible()
    expect(notebook.get_by_text("Run this cell to play it.")).to_be_visible()
    expect(notebook.get_by_text(GONE)).to_have_count(0)
    picture(f"opened-again-kernel-{kernel.replace(' ', '-')}")
    run_first(notebook)
    assert_it_moves(notebook)


def test_a_slider_whose_kernel_was_ended_says_so_when_it_is_moved(notebook):
    end_kernels(notebook)
    experiment(notebook).get_by_label("Height").focus()
    notebook.keyboard.press("End")
    expect(experiment(notebook)).to_contain_text("Run this cell to move it.")
    expect(notebook.get_by_text(GONE)).to_have_count(0)


def test_a_play_runs_to_its_end_and_can_be_held(notebook, picture):
    shown = played(notebook)
    button, epoch = shown.get_by_role("button"), shown.get_by_label("Epoch")
    expect(shown.get_by_role("status")).to_have_text("0 dead")
    button.focus()
    notebook.keyboard.press("Enter")
    expect(button).to_have_text("Pause")
    expect(shown.get_by_role("status")).to_have_attribute("aria-live", "off")
    notebook.keyboard.press("Enter")
    expect(button).to_have_text("Play")
    button.click()
    expect(epoch).to_have_attribute("aria-valuetext", "3")
    expect(button).to_have_text("Play")
    expect(shown.get_by_role("status")).to_have_text("3 dead")
    expect(shown.locator("img")).to_have_attribute("alt", re.compile("W1: dead"))
    assert_accessible(notebook, ".paramlock-explore")
    shown.scroll_into_view_if_needed()
    picture("play")
    set_dark(notebook)
    assert_accessible(notebook, ".paramlock-explore")
    picture("play-dark")


def test_a_play_steps_where_less_motion_is_wanted_and_needs_no_kernel(notebook):
    notebook.emulate_media(reduced_motion="reduce")
    end_kernels(notebook)
    shown = played(notebook)
    button, epoch = shown.get_by_role("button"), shown.get_by_label("Epoch")
    expect(button).to_have_text("Next")
    button.click()
    notebook.wait_for_timeout(2000)  # two states' time, were it running
    expect(epoch).to_have_attribute("aria-valuetext", "1")
    epoch.focus()
    notebook.keyboard.press("End")
    expect(shown.get_by_role("status")).to_have_text("3 dead")
    button.click()
    expect(epoch).to_have_attribute("aria-valuetext", "0")


def test_tables_and_drawings_are_read_in_both_themes(page, copy, course, picture):
    written(copy, TABLES)
    open_notebook(page, course, "widgets.ipynb")
    run_all(page)
    output = page.locator(".jp-Cell-outputArea")
    expect(output.get_by_role("rowheader", name="tanh")).to_be_visible()
    expect(output.get_by_role("cell", name="none F")).to_be_visible()
    expect(output.get_by_role("img")).to_have_attribute("alt", re.compile("0.3 of it dead"))
    assert_accessible(page, ".jp-Cell-outputArea")
    set_dark(page)
    assert_accessible(page, ".jp-Cell-outputArea")
    for name, place in [("lock-table", "table"), ("table", ".paramlock-table"), ("drawing", "img")]:
        output.locator(place).first.scroll_into_view_if_needed()
        picture(f"{name}-dark")
    page.emulate_media(color_scheme="light")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "true")
    for name, place in [("lock-table", "table"), ("table", ".paramlock-table")]:
        output.locator(place).first.scroll_into_view_if_needed()
        picture(name)
