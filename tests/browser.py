"""A real JupyterLab on a copy of the course, in a real Chromium, used with mouse and keyboard.

A plugin of pytest, which the root's conftest.py names, because several files of tests use it.
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

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from tests import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

expect.set_options(timeout=60_000)  # milliseconds; a kernel that compiles is slow to answer

MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: install Debian's chromium package"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The folder of a copy of the course to work in."""
    folder = tmp_path_factory.mktemp("course with spaces") / "course"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".venv", ".git", "*.egg-info"))
    return folder


@pytest.fixture(scope="module")
def course(copy):
    """The address of the copy's JupyterLab."""
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


def saved(page, notebook):
    """Save the open notebook; its cells as they are then in the file of that path."""
    before = notebook.stat().st_mtime_ns
    command(page, "docmanager:save", menu="File")
    for _ in range(100):
        if notebook.stat().st_mtime_ns != before:
            break
        page.wait_for_timeout(200)
    expect(page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)
    return nbformat.read(notebook, as_version=4).cells


def cell(page, text):
    return page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea", has_text=text)).first


def assert_accessible(page, selector):
    """No rule of axe is broken inside the element; JupyterLab's own are not ours to mend."""
    violations = Axe().run(page, context=selector).response["violations"]
    assert not violations, [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in violations]


def set_dark(page):
    page.emulate_media(color_scheme="dark")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)


def command(page, name, menu="Kernel"):
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.locator(f'.lm-Menu-item[data-command="{name}"]').click()
