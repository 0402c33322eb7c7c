"""Which lesson explains which kind of lock.

The library knows no lessons: `lessonkit` hands this table in when it is imported, and from then on
certificates and remedies say what to read, as far as it is there to be read.
"""

from __future__ import annotations

from pathlib import Path

from paramlock.certifying import locks

ROOT = Path(__file__).parents[1]

LESSONS = {
    "frozen": "lessons/04_explicit_freezing",
    "leaking": "lessons/04_explicit_freezing",
    "batchnorm": "lessons/04_explicit_freezing",
    "unreached": "lessons/07_lock_cascades",
    "idle": "lessons/04_explicit_freezing",
    "rounding": "lessons/01_gradient_vanishing_deeper",
    "pruned": "lessons/05_pruning",
    "emptied": "lessons/05_pruning",
    "held": "lessons/06_fisher_importance",
    "dead": "lessons/02_dead_relu",
    "saturated": "lessons/03_saturation",
    "constant": "lessons/07_lock_cascades",
    "collapsed": "lessons/07_lock_cascades",
    "unused": "lessons/08_unlocking",
    "zeroed": "lessons/08_unlocking",
    "vanishing": "lessons/01_gradient_vanishing",
    "heavy": "lessons/08_unlocking",
    "inactive": "lessons/07_lock_cascades",
    "no_signal": "lessons/07_lock_cascades",
    "nonfinite": "lessons/01_gradient_vanishing",
}
"""{kind: the lesson's source, without its ending}."""


def hand_in() -> None:
    """Let every lock name the lesson that explains it, where that lesson stands."""
    there = {kind: path for kind, path in LESSONS.items() if (ROOT / f"{path}.ipynb").exists()}
    locks.LESSONS.update(there)
