"""Which lesson a lock points to is the course's business; the library alone knows of none."""

import subprocess
import sys

from lessonkit import reading
from paramlock import KINDS

LESSONS = {
    "01_gradient_vanishing", "01_gradient_vanishing_deeper", "02_dead_relu", "03_saturation",
    "04_explicit_freezing", "05_pruning", "06_fisher_importance", "07_lock_cascades",
    "08_unlocking", "09_transfer", "10_frozen_networks",
}  # fmt: skip

PROGRAM = """
from torch import nn, randn, zeros
from torch.nn import functional as F
import paramlock
model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).requires_grad_(True)
model[0].requires_grad_(False)
found = paramlock.certificate(model, (randn(40, 4), zeros(40, dtype=int)), F.cross_entropy)
print(found, found._repr_html_(), paramlock.remedies(found), found.to_dict()["locks"])
"""


def said(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout


def test_each_kind_of_lock_has_a_lesson_of_the_course():
    assert reading.LESSONS.keys() == KINDS.keys()
    assert {path.removeprefix("lessons/") for path in reading.LESSONS.values()} <= LESSONS


def test_the_library_alone_names_no_lesson():
    words = said(PROGRAM)
    assert "frozen" in words and "lessons/" not in words and "read" not in words.lower().split()


def test_with_the_lesson_kit_every_lock_names_its_lesson():
    words = said("import lessonkit\n" + PROGRAM)
    assert words.count("lessons/04_explicit_freezing") == 4  # text, HTML, remedy, data
    assert "    read: lessons/04_explicit_freezing\n" in words
