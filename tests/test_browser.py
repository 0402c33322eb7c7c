"""The course in a real JupyterLab in a real Chromium, used with mouse and keyboard.

Screenshots go to the folder named by COURSE_SCREENSHOTS, else to pytest's temporary folder.
"""

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from grader.checking import registry
from grader.harvesting import views
from tests import ROOT
from tests.answers import typed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

expect.set_options(timeout=60_000)  # milliseconds; a kernel that compiles is slow to answer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: install Debian's chromium package"),
]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the course to work in, and the address of its JupyterLab."""
    copy = tmp_path_factory.mktemp("course with spaces") / "course"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", "*.egg-info"))
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token="]
    variables = bootstrap(copy).environment(copy / ".venv", Path(sys.executable))
    server = subprocess.Popen(
        command, cwd=copy, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://localhost:{port}/api", server)
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait(30)


def bootstrap(copy):
    """The copy's own `course.py`, which knows the settings that its JupyterLab is started with."""
    spec = importlib.util.spec_from_file_location("copied_course", copy / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def wait_for(address, server):
    for _ in range(120):
        assert server.poll() is None, "JupyterLab ended before it answered"
        try:
            with urllib.request.urlopen(address):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(address)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with sync_playwright() as playwright:
        profile = tmp_path_factory.mktemp("profile")
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=FLAGS, viewport={"width": 1300, "height": 1000}
        )
        context.set_default_timeout(60_000)
        yield context
        context.close()


@pytest.fixture
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture
def picture(page, tmp_path):
    """Keep a screenshot as an artifact."""
    folder = Path(os.environ.get("COURSE_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda name: page.screenshot(path=folder / f"{name}.png")


def open_notebook(page, course, path):
    """Open a notebook and wait for its kernel, which the status bar reports."""
    page.goto(f"{course}/lab/tree/{path}?reset")
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")


def run_all(page):
    """Clear what is stored, so that what is seen afterwards was made here, and run every cell."""
    for menu, command in [("Edit", "editmenu:clear-all"), ("Run", "runmenu:run-all")]:
        page.get_by_role("menuitem", name=menu, exact=True).click()
        page.locator(f'[data-command="{command}"]').click()
    last = page.locator(".jp-CodeCell .jp-InputPrompt").last
    expect(last).to_have_text(re.compile(r"\[\d+\]:"), timeout=120_000)


def cell(page, text):
    return page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea", has_text=text)).first


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


@pytest.mark.parametrize("stem", [path.stem for path in sorted((ROOT / "lessons").glob("*.ipynb"))])
def test_a_lesson_runs_and_its_slider_changes_the_figure(page, course, picture, stem):
    open_notebook(page, course, f"lessons/{stem}.ipynb")
    run_all(page)
    assert page.locator(".jp-OutputArea-output[data-mime-type*='error']").count() == 0
    experiment = page.locator(".paramlock-explore").first
    experiment.scroll_into_view_if_needed()
    slider, shown = experiment.locator("input[type=range]").first, experiment.locator("img")
    before, words = shown.get_attribute("src"), shown.get_attribute("alt")
    picture(f"{stem}-slider-before")
    slider.focus()
    page.keyboard.press("End")
    expect(shown).not_to_have_attribute("src", before)
    expect(shown).not_to_have_attribute("alt", words)
    expect(experiment.get_by_role("status")).to_contain_text(re.compile(r"\d"))
    assert_accessible(page, ".paramlock-explore")
    picture(f"{stem}-slider-after")


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


def assert_accessible(page, selector):
    """No rule of axe is broken inside the element; JupyterLab's own are not ours to mend."""
    violations = Axe().run(page, context=selector).response["violations"]
    assert not violations, [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in violations]


def set_dark(page):
    page.emulate_media(color_scheme="dark")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)


def run_again(page, target):
    target.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")


def solution_source(exercise):
    return "\n".join(statement.source for statement in views.answer(exercise))
