"""Training runs in which entries of some kernels are pruned: what the twins that hold them share.

A run is one of `twins`, with truth values beside its parameters, as a tree of the same form: False
where an entry is pruned. Gradients are given for all entries, pruned ones too: they are alive. Each
twin takes the steps in its own framework and keeps what is needed in a `Course`. Here are the
cases, the evidence, the claims, and the beliefs that occur in both frameworks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.instruments import twins
from grader.instruments.moves import Arrays
from grader.judging.evidence import ATOL, RTOL, alike, numbers, told_apart
from grader.judging.exercise import claim
from grader.judging.terms import Evidence, Finding

PRUNED = ("layer1", "layer10")
"""The layers whose kernels lose entries; a kernel has 16."""


def run(rng: np.random.Generator, **changed: Any) -> dict[str, Any]:
    """A run of `twins` without its settings, and which entries are kept in it.

    Returns:
        `params`, `warmup` and `gradients` as in `twins.warm_run`; `kept`, a tree of truth values;
        `zeros`, a tree of truth values for the kept entries that are 0 when the held steps begin.
    """
    drawn = twins.warm_run(rng)
    kept = {layer: _all(layer in PRUNED, rng) for layer in twins.LAYERS}
    zeros = {
        layer: {leaf: flags & (rng.random(flags.shape) < 0.3) for leaf, flags in leaves.items()}
        for layer, leaves in kept.items()
    }
    trees = {key: drawn[key] for key in ("params", "warmup", "gradients")}
    return {**trees, "kept": kept, "zeros": zeros, **changed}


def _all(pruned: bool, rng: np.random.Generator) -> dict[str, np.ndarray]:
    width = twins.WIDTH
    kernel = rng.permutation(width**2).reshape(width, width) >= (10 if pruned else 0)
    return {"kernel": kernel, "bias": np.ones(width, bool)}


def with_adamw(run: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The run under AdamW, its settings under the names of optax."""
    settings = {"learning_rate": float(rng.uniform(0.02, 0.05)), **twins.ADAMW}
    return {
        **run,
        "optimizer": "adamw",
        "settings": settings | {"weight_decay": float(rng.uniform(0.1, 0.2))},
    }


def with_sgd(run: Mapping[str, Any], momentum: float) -> dict[str, Any]:
    """The run under SGD, its settings under the names of optax."""
    return {**run, "optimizer": "sgd", "settings": {"learning_rate": 0.05, "momentum": momentum}}


def cases(rng: np.random.Generator) -> dict[str, Any]:
    """The cases that both twins meet; the first is to agree between them."""
    first = with_adamw(run(rng), rng)
    spoilt = run(rng)
    for gradients in spoilt["gradients"]:
        for layer in PRUNED:
            gone = np.flatnonzero(~spoilt["kept"][layer]["kernel"])[:3]
            gradients[layer]["kernel"].flat[gone] = np.nan, np.inf, -np.inf
            stays = np.flatnonzero(spoilt["kept"][layer]["kernel"])[0]
            gradients[layer]["kernel"].flat[stays] = np.nan  # as in a plain step
    return {
        twins.CASE: first,
        "warm momentum of SGD": with_sgd(run(rng), 0.9),
        "AdamW from its first step on": with_adamw(run(rng, warmup=[]), rng),
        "NaN among the gradients, of kept weights too": with_adamw(spoilt, rng),
    }


def flat(tree: Mapping[str, Any]) -> Arrays:
    """The arrays of a tree of two levels by path: "layer1/kernel"."""
    return {
        f"{layer}/{leaf}": np.array(array)
        for layer, leaves in tree.items()
        for leaf, array in leaves.items()
    }


@dataclass
class Course:
    """What is written down while a candidate holds pruned entries, step after step."""

    kept: Arrays
    largest: list[float] = field(default_factory=list)
    loose: list[int] = field(default_factory=list)
    after: Arrays = field(default_factory=dict)

    def stepped(self, params: Arrays) -> None:
        """Note the parameters after a held step."""
        self.after = params
        pruned = np.concatenate([params[name][~keep] for name, keep in self.kept.items()])
        self.largest.append(float(np.abs(pruned).max()))
        self.loose.append(int((pruned != 0).sum()))

    def evidence(self, opened: Arrays, **more: Any) -> dict[str, Any]:
        """The evidence; `opened` is where everything is after a plain step of all entries."""
        return {
            "largest": np.array(self.largest),
            "loose": np.array(self.loose),
            "pruned": sum(int((~keep).sum()) for keep in self.kept.values()),
            "trainable": {n: np.where(k, self.after[n], 0) for n, k in self.kept.items()},
            "opened": {
                n: (opened[n] - self.after[n])[~k] for n, k in self.kept.items() if not k.all()
            },
            **more,
        }


# --- claims


@claim(3, "Which gradients, averages and entries does the step of a kept weight depend on?")
def kept_weights_train_as_ever(seen: Evidence, expected: Evidence) -> Finding:
    """With pruned weights held, each that is kept ends where plain steps of the optimizer lead."""
    if (seen["loose"] == expected["pruned"]).all():
        return False, f"none of the {expected['pruned']} pruned weights is 0 after any step"
    for name, due in expected["trainable"].items():
        ours = seen["trainable"][name]
        if not alike(ours, due):
            close = np.isclose(ours, due, RTOL, ATOL, equal_nan=True)
            off = np.unravel_index(np.argmin(close), due.shape)
            end, right = told_apart(ours[off], due[off])
            place = f"{name}{[*map(int, off)]}"
            return False, f"{place} ends at {end}, plain steps lead to {right}"
    return True, "all end where plain steps lead"


@claim(3, "Which number is written last into a pruned entry?", needs=kept_weights_train_as_ever)
def pruned_weights_are_zero(seen: Evidence, expected: Evidence) -> Finding:
    """After each of the steps every pruned weight is exactly 0, whatever moves it."""
    words = f"the largest pruned weight after each step: {numbers(seen['largest'])}"
    return not seen["loose"].any(), words


@claim(
    2,
    "What has the optimizer stored for the pruned entries, and what will it do with it?",
    needs=kept_weights_train_as_ever,
)
def nothing_is_remembered(seen: Evidence, expected: Evidence) -> Finding:
    """Opened again, a pruned weight takes a step that owes nothing to what was before."""
    for name, due in expected["opened"].items():
        if not alike(seen["opened"][name], due):
            moved, right = numbers(seen["opened"][name], 3), numbers(due, 3)
            return False, f"pruned entries of {name} move by {moved} when opened, {right} is due"
    return True, "each moves as from a fresh start"


CLAIMS = (kept_weights_train_as_ever, pruned_weights_are_zero, nothing_is_remembered)

# --- beliefs that show alike in both frameworks: the belief, why it fails, a question

GRADIENT_ONLY = (
    "A weight whose gradient is 0 stays where it is.",
    "The optimizer takes its step all the same. Warm averages go on pushing where the gradient is "
    "0, and the pruned weights grow again.",
    "Which terms of the update are left when the gradient is 0?",
)
TIMES_ZERO = (
    "Anything times 0 is 0.",
    "NaN and infinity are not. A pruned weight gets gradients too, and one that overflows would "
    "stay in the weight for good.",
    "What is 0 * nan, and which call chooses instead of multiplying?",
)
NO_MEMORY = (
    "A weight that is 0 has no past.",
    "Its averages do. They go on following the gradients of the pruned entry, and the day it is "
    "opened they throw it about.",
    "Which tensors does the optimizer keep for this parameter, and what is in them at the pruned "
    "entries?",
)
ALL_FORGOTTEN = (
    "To forget the pruned entries, the optimizer has to forget.",
    "You emptied the averages of the kept entries as well. They took other steps than theirs.",
    "Which entries of the averages belong to pruned weights?",
)
NONZERO = (
    "A weight that is 0 is pruned.",
    "A kept weight may be 0 for a moment. You held it there.",
    "Which argument says what is kept, and where does your code use it?",
)
FIRST_MOMENT = (
    "Only the average of the gradients remembers.",
    "Adam also averages their squares, and divides by the root. What is left there makes the first "
    "steps of an opened weight too small.",
    "Which two averages does Adam hold for each entry?",
)
UPSIDE_DOWN = (
    "True marks what is pruned.",
    "In this task True is for the weights that stay. The others trained on.",
    "Which weights were 0 after your step?",
)
