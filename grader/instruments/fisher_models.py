"""Classifiers whose Fisher diagonal is asked for in torch: cases, what is seen, shared claims.

An answer is called with the model and its inputs, and with labels where the exercise has some. It
returns a dict from names of parameters to tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from grader.instruments.diagonals import agree, in_units
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built, case
from grader.instruments.words import listed
from grader.judging.exercise import claim, of_kind
from grader.judging.terms import Candidate, Challenge, Evidence, Finding, Inputs


def challenge(rng: np.random.Generator) -> Challenge:
    """Small classifiers in float64: every size differs, and no two samples are alike."""
    a, b, c = (int(size) for size in rng.choice(np.arange(3, 8), 3, replace=False))
    first, second, head = ["Linear", a, b], ["Linear", b, b], ["Linear", b, c]
    dense = {"body.lower.first": first, "body.squash": ["Tanh"], "head": head}
    normed = {"body.first": first, "body.norm": ["BatchNorm1d", b], "head": head}
    dropped = {"body.first": first, "body.drop": ["Dropout", 1.0], "head": head}
    images = {"conv": ["Conv2d", 1, 2, 2], "flat": ["Flatten"], "head": ["Linear", 12, c]}
    tokens = {"embed": ["Embedding", 9, 2], "flat": ["Flatten"], "head": ["Linear", 2 * a, c]}
    tied = {"first": first, "one": second, "squash": ["Tanh"], "two": second, "head": head}
    bare = {"temperature": ["Parameter"], "spare": ["Parameter", a]}

    def of(layers: Mapping[str, Any], inputs: Any = None, samples: int = 0, **own: Any) -> Inputs:
        inputs = (
            rng.normal(size=(samples or int(rng.integers(5, 9)), a)) if inputs is None else inputs
        )
        labels = rng.integers(0, c, len(inputs))
        made = case(rng, layers, inputs=inputs, labels=labels, **own)
        return {"kind": "plain", "unit": 1.0} | made

    moded = partial(of, kind="mode")
    single = rng.normal(size=(6, a)).astype(np.float32)
    bias_free = {"head": ["Linear", a, c, False]}
    return {
        "two layers": of(dense),
        "one sample": of(dense, samples=1),
        "float32": of(dense, single),
        "images": of(images, rng.normal(size=(5, 1, 3, 4))),
        "token numbers": of(tokens, rng.integers(0, 9, (5, a))),
        "a frozen body with old gradients": of(
            dense, frozen=["body"], with_gradients=["body"], kind="frozen"
        ),
        "everything frozen": of(dense, frozen=["body", "head"], kind="frozen"),
        "one layer in two places": of(tied, tied=TIED, kind="tied"),
        "parameters that nothing uses": of(dense | bare, kind="unused"),
        "dropout in train mode": moded(dropped),
        "BatchNorm in eval mode": moded(normed, in_eval_mode=[""]),
        "BatchNorm in train mode, a layer beside it in eval mode": moded(
            normed, in_eval_mode=["body.first"]
        ),
        "old gradients in the body, none in the head": of(
            dense, with_gradients=["body"], kind="left"
        ),
        "inputs near 1e-10": of(
            bias_free, 1e-10 * rng.normal(size=(5, a)), unit=1e-20, kind="range"
        ),
        "logits near 1000": of(
            bias_free, 1e3 * rng.normal(size=(30, a)), unit=1e6, kind="range"
        ),
    }  # fmt: skip


TIED = [["one.weight", "two.weight"], ["one.bias", "two.bias"]]


def observe(candidate: Candidate, inputs: Inputs, labelled: bool) -> Evidence:
    """What the candidate returns for the model of a case, and what it changes about it."""
    model, data = _ready(inputs)
    given = {"inputs": data, "labels": torch.from_numpy(inputs["labels"].copy())}
    before, kept = snapshot(model), snapshot(given)
    returned = candidate(model, *given.values()) if labelled else candidate(model, data)
    return {
        "kind": inputs["kind"],
        "unit": inputs["unit"],
        "diagonal": in_units(returned, inputs["unit"]),
        "changed": changed(before, model) + changed(kept, given),
    }


def _ready(inputs: Inputs) -> tuple[torch.nn.Module, torch.Tensor]:
    """The model with small parameters, so that it is undecided, and its inputs."""
    data = torch.from_numpy(inputs["inputs"].copy())
    model = built(inputs).to(data.dtype if data.is_floating_point() else torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    return model, data


def all_right(seen: Evidence, expected: Evidence) -> Finding:
    """Whether the diagonal is the right one."""
    return agree(seen["diagonal"], expected["diagonal"], expected["unit"])


@claim(2, "Does a frozen parameter carry answers?", of_kind("frozen"))
def measures_frozen_parameters(seen: Evidence, expected: Evidence) -> Finding:
    """A frozen parameter has its number like any other."""
    return all_right(seen, expected)


@claim(1, "Which names does named_parameters() give?", of_kind("tied", "unused"))
def names_each_parameter_once(seen: Evidence, expected: Evidence) -> Finding:
    """A parameter used in two places has one number for both uses, an unused one has 0."""
    return all_right(seen, expected)


@claim(2, "In which mode does each module compute while you measure?", of_kind("mode"))
def measures_in_eval_mode(seen: Evidence, expected: Evidence) -> Finding:
    """All modules are in eval mode while the model is measured."""
    return all_right(seen, expected)


@claim(1, "What does your code do with very small and very large numbers?", of_kind("range"))
def measures_at_any_scale(seen: Evidence, expected: Evidence) -> Finding:
    """Small inputs and large logits give numbers that are right."""
    return all_right(seen, expected)


@claim(2, "Which of your lines set a mode, a flag or a .grad, and which put each of them back?")
def leaves_the_model_alone(seen: Evidence, expected: Evidence) -> Finding:
    """The model is left as it was: its modes, flags, gradients and numbers."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


CLAIMS = (
    measures_frozen_parameters,
    names_each_parameter_once,
    measures_in_eval_mode,
    measures_at_any_scale,
    leaves_the_model_alone,
)

FROZEN = (
    "What is frozen has no importance.",
    "It does not learn, and yet the answers hang on it. What to lock is asked for all of them.",
    "What would the answers do if a frozen weight were moved?",
)
MODE = (
    "Fisher information is measured in the mode that the model is in.",
    "In train mode dropout is chance, and BatchNorm ties the samples of a batch together.",
    "What does a Dropout module do in train mode?",
)
EVAL_STAYS = (
    "eval() holds until my function ends.",
    "It sets a flag in every module, and the flag stays. Training went on without dropout.",
    "What is model.training after your function?",
)
TRAIN_AFTER = (
    "After a measurement a model goes to train mode.",
    "It may have been in eval mode, in part even. Whoever calls you has set each module's mode.",
    "Which mode had each module before you measured?",
)
TOTAL = (
    "F is the sum over the samples.",
    "It would grow with the data, and a strength λ with it. F is a mean.",
    "What becomes of your numbers if each sample is given twice?",
)
NOBODYS = (
    "What lies in .grad is nobody's.",
    "Somebody may be in the middle of a step, with gradients added up over several batches.",
    "What lay in .grad before you were called?",
)
PROBABILITY = (
    "The score is the gradient of the probability.",
    "It is that of its logarithm: relative to the probability. That of a rare answer is far "
    "larger, seen that way.",
    "What is the derivative of log p, written with that of p?",
)
"""Beliefs that several exercises share: the belief, why it fails, a question."""
