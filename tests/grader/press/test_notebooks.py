"""Notebooks agree with their sources, keep their measures, and are built alike each time."""

import re
import statistics

import nbformat
import pytest

from grader.press import targets, weave

TARGETS = {target.label: target for target in targets.targets()}
LESSONS = [label for label in TARGETS if label.startswith("lessons/")]
every_notebook = pytest.mark.parametrize("label", TARGETS)
every_lesson = pytest.mark.parametrize("label", LESSONS)


def stored(label):
    return nbformat.read(TARGETS[label].notebook, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@every_notebook
def test_notebook_agrees_with_its_source(label):
    assert weave.differences(TARGETS[label]) == []


@every_notebook
def test_notebook_shows_no_error_and_no_warning(label):
    outputs = [output for cell in code_cells(stored(label)) for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]


@every_notebook
def test_notebook_is_small(label):
    assert TARGETS[label].notebook.stat().st_size < weave.SIZE_LIMIT


@every_notebook
def test_every_picture_has_words(label):
    html = [
        output.get("data", {}).get("text/html", "")
        for cell in code_cells(stored(label))
        for output in cell.outputs
    ]
    for picture in re.findall(r"<img\b[^>]*>", "".join(html)):
        assert re.search(r'alt="[^"]{20,}"', picture), picture[:80]


def lines_seen(cell):
    """How many lines of a code cell a reader sees; a folded one shows its first."""
    folded = cell.metadata.get("jupyter", {}).get("source_hidden")
    return 1 if folded else len(cell.source.splitlines())


@every_lesson
def test_cells_are_short_and_prose_goes_with_code(label):
    notebook = stored(label)
    seen = [lines_seen(cell) for cell in code_cells(notebook)]
    lines = sum(len(cell.source.splitlines()) for cell in code_cells(notebook))
    words = sum(len(c.source.split()) for c in notebook.cells if c.cell_type == "markdown")
    assert statistics.median(seen) <= 6 and max(seen) <= 25
    assert (2 if "_deeper" in label else 5) <= words / lines <= 12


def small_course(tmp_path):
    folder = tmp_path / "lessons"
    folder.mkdir()
    source = folder / "00_small.py"
    source.write_text("# %% [markdown]\n# # Small\n\n# %%\nprint(1)\n\n# %%\nprint(1)\n")
    (target,) = targets.targets(tmp_path)
    return target


def test_a_rebuild_is_identical_to_the_byte(tmp_path):
    target = small_course(tmp_path)
    assert weave.weave(target)
    first = target.notebook.read_bytes()
    target.notebook.unlink()
    assert weave.weave(target)
    assert target.notebook.read_bytes() == first
    assert not weave.weave(target)
    ids = [cell.id for cell in nbformat.read(target.notebook, as_version=4).cells]
    assert len(set(ids)) == 3


def test_a_notebook_is_executed_again_only_where_its_code_has_changed(tmp_path, monkeypatch):
    target = small_course(tmp_path)
    weave.weave(target)
    old = nbformat.read(target.notebook, as_version=4)
    ran = []
    whole = weave.executed
    monkeypatch.setattr(weave, "executed", lambda target: ran.append(1) or whole(target))
    source = target.source.read_text()
    target.source.write_text(source.replace("Small", "Smaller"))
    assert weave.weave(target) and not ran and weave.differences(target) == []
    new = nbformat.read(target.notebook, as_version=4)
    assert new.cells[0].source == "# Smaller" and new.cells[1:] == old.cells[1:]
    target.source.write_text(source.replace("print(1)", "print(2)", 1))
    assert weave.weave(target) and len(ran) == 1
    assert weave.weave(target, force=True) is False and len(ran) == 2


def test_weaving_never_overwrites_what_somebody_wrote(tmp_path):
    target = small_course(tmp_path)
    weave.weave(target)
    notebook = nbformat.read(target.notebook, as_version=4)
    notebook.cells[1].source = "my_answer = 1"
    nbformat.write(notebook, target.notebook)
    with pytest.raises(targets.WeaveError, match="changed by hand"):
        weave.weave(target)
    assert "my_answer" in target.notebook.read_text()
    assert weave.weave(target, force=True)


@pytest.mark.parametrize(
    "code, why", [("1 / 0", "ZeroDivision"), ("import sys\n_ = sys.stderr.write('x')", "stderr")]
)
def test_a_failing_or_noisy_cell_stops_the_weave(tmp_path, code, why):
    target = small_course(tmp_path)
    target.source.write_text(f"# %%\n{code}\n")
    with pytest.raises(targets.WeaveError, match=why):
        weave.weave(target)
    assert not target.notebook.exists()


def test_differences_are_named(tmp_path):
    target = small_course(tmp_path)
    assert weave.differences(target) == ["lessons/00_small.ipynb is missing"]
    weave.weave(target)
    assert weave.differences(target) == []
    notebook = nbformat.read(target.notebook, as_version=4)
    notebook.cells[1].execution_count = None
    nbformat.write(notebook, target.notebook)
    target.source.write_text(target.source.read_text() + "\n# %%\nprint(2)\n")
    assert len(weave.differences(target)) == 2
