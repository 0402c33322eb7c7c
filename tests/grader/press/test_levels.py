"""What a notebook shows is the same on other processors, and weaving refuses what is not."""

import subprocess
import sys

import nbformat
import pytest

from grader.press import executing, levels, targets, weave

OTHER = "baseline"  # a processor of today is above it
TARGETS = {target.label: target for target in targets.targets()}
NUMBERED = [label for label in TARGETS if not label.startswith("labs/")]  # a lab waits for answers
pytestmark = pytest.mark.skipif(
    not levels.honoured(), reason="this machine's libraries have no levels to choose from"
)


def run_at(level, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=targets.ROOT,
        env=levels.environment(level),
        capture_output=True,
        text=True,
    )


MOVE_SLIDERS = """
import gc
from lessonkit.explore import Experiment
for _each in [value for value in gc.get_objects() if Experiment in type(value).__mro__]:
    print(len({_each.try_values(**values).png for values in _each.settings()}))
"""


@pytest.mark.timeout(3600)  # for a hang, on a slow machine
@pytest.mark.parametrize("label", NUMBERED)
def test_stored_outputs_hold_at_another_level_and_sliders_answer(label):
    """One run: each cell, those with claims too, then each slider at both ends."""
    stored = nbformat.read(TARGETS[label].notebook, as_version=4).cells
    again = executing.executed_at(OTHER, TARGETS[label], [MOVE_SLIDERS]).cells
    for old, new in zip(stored, again[:-1], strict=True):
        assert executing.compared(old) == executing.compared(new), old.source
    pictures = [int(count) for output in again[-1].outputs for count in output.text.split()]
    assert pictures or not label.startswith("lessons/") or "_deeper" in label
    assert all(count > 1 for count in pictures), "moving a slider changes nothing"


BITS = """
import hashlib, numpy as np, torch
a = torch.linspace(-1, 1, 10**5).reshape(100, 1000)
results = [(a @ a.T).numpy(), torch.tanh(a).sum(1).numpy(), a.numpy() @ a.numpy().T]
digests = [hashlib.md5(result.tobytes()).hexdigest() for result in results]
print(torch.backends.cpu.get_cpu_capability(), *digests)
"""


def test_the_libraries_honour_the_levels():
    said = {level: run_at(level, "-c", BITS).stdout.split() for level in levels.LEVELS}
    assert said[OTHER][0] == "DEFAULT"
    assert not set(said[OTHER]) & set(said["avx2"]), said


def small_target(folder, *cells):
    (folder / "lessons").mkdir()
    source = folder / "lessons" / "00_small.py"
    source.write_text("\n\n".join(cells))
    (target,) = targets.targets(folder)
    return target


PRINTS_ITS_LEVEL = 'import os\nprint(os.environ["ATEN_CPU_CAPABILITY"])\n'


def test_weaving_refuses_what_depends_on_the_processor(tmp_path):
    target = small_target(tmp_path, "# %%\nprint(1)", f"# %%\n{PRINTS_ITS_LEVEL}")
    with pytest.raises(targets.WeaveError, match="depends on the processor") as refused:
        weave.weave(target)
    assert "print(os.environ" in str(refused.value) and "default" in str(refused.value)
    assert not target.notebook.exists()


def test_a_tag_says_that_it_may(tmp_path):
    head = f'# %% tags=["{executing.NOT_COMPARED}"]\n'
    target = small_target(tmp_path, head + PRINTS_ITS_LEVEL)
    assert weave.weave(target) and weave.differences(target) == []
    (cell,) = nbformat.read(target.notebook, as_version=4).cells
    assert cell.metadata.tags == [executing.NOT_COMPARED]
    assert cell.outputs[0].text == "avx2\n"
    target.source.write_text(target.source.read_text().replace(head, "# %%\n"))
    assert weave.differences(target) == ["lessons/00_small.ipynb differs from 00_small.py"]


def test_pictures_are_not_compared(tmp_path):
    shows = "from IPython.display import HTML, display\ndisplay(HTML(f'<img src=\"{url}\">'))\n"
    url = "url = 'data:image/png;base64,' + os.environ['ATEN_CPU_CAPABILITY'].upper()\n"
    assert weave.weave(small_target(tmp_path, f"# %%\nimport os\n{url}{shows}"))
