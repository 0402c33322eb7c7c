"""The pages on the public names, and the recipes: each name is there, and what is shown runs."""

from __future__ import annotations

import doctest
import importlib
import re
import sys

import pytest

from paramlock.auditing import command
from tests import ROOT

REFERENCE = ROOT / "docs" / "reference"
PAGES = {
    "paramlock": "paramlock",
    "torch": "paramlock.torch",
    "flax": "paramlock.flax",
    "loggers": "paramlock.loggers",
    "mixing": "paramlock.mixing",
}
"""{page: the module whose names it explains}."""


def text_of(path):
    return path.read_text(encoding="utf-8")


def blocks(path):
    """The code of a page, with empty lines before each block so that errors name its line."""
    text = text_of(path)
    for found in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield "\n" * (text[: found.start(1)].count("\n")) + found[1]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_explains_each_public_name_and_no_other(page):
    named = re.findall(r"^### `(\w+)`$", text_of(REFERENCE / f"{page}.md"), re.MULTILINE)
    assert sorted(named) == sorted(importlib.import_module(PAGES[page]).__all__)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_are_true(page, quick_compilation):
    path = REFERENCE / f"{page}.md"
    parser, said = doctest.DocTestParser(), []
    whole = parser.get_doctest(text_of(path), {}, path.name, str(path), 0)
    assert whole.examples
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert not runner.run(whole, out=said.append).failed, "".join(said)


def test_the_recipes_run(quick_compilation):
    path, scope = ROOT / "docs" / "recipes.md", {"__name__": "recipes"}
    for code in blocks(path):
        exec(compile(code, str(path), "exec"), scope)


def test_the_example_of_the_command_runs(tmp_path, monkeypatch, capsys):
    """As the page has it: a file, a command, and a test of the same."""
    checkpoint, test = blocks(REFERENCE / "command.md")
    (tmp_path / "checkpoint.py").write_text(checkpoint, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (line,) = re.findall(r'^python -m paramlock (certify .*) --allow "(.*)"$', PAGE, re.MULTILINE)
    assert command.main([*line[0].split(), "--allow", line[1]]) == 0
    assert command.main(line[0].split()) == 1
    scope: dict = {}
    exec(test, scope)
    scope["test_only_the_encoder_is_locked"]()
    assert "Every lock was declared (1)." in capsys.readouterr().out
    sys.modules.pop("checkpoint")


PAGE = text_of(REFERENCE / "command.md")
