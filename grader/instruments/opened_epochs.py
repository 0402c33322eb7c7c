"""Epochs of one step each, before which something may open in a torch model: who learns, and how.

The optimizer is warm at the start: it has trained the first of the modules that it holds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built
from grader.instruments.torch_nets import give_gradients
from grader.judging.evidence import alike, number
from grader.judging.terms import Evidence, Finding, Inputs

Begin = Callable[[nn.Module, Optimizer, int, float], Any]
"""What is called before each epoch: with model, optimizer, epoch and a learning rate."""


def observed_epochs(inputs: Inputs, begin: Begin) -> Evidence:
    """The state of each parameter in each epoch, where it ends, and what `begin` did beside.

    A case holds the paths `held` by the optimizer, each in a group of its own, those that are
    `free` although nothing opens them, `epochs` and `rates`, and the optimizer with its settings.
    """
    model = built(inputs).requires_grad_(False)
    optimizer = _warm(model, inputs)
    for path in inputs["free"]:
        model.get_submodule(path).requires_grad_(True)
    names = dict(model.named_parameters())
    epochs: dict[str, Any] = {}
    beside: set[str] = set()
    for epoch, rate in zip(inputs["epochs"], inputs["rates"], strict=True):
        before = snapshot(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of a parameter that is twice in a group
            begin(model, optimizer, epoch, rate)
        beside |= {what for what in changed(before, model) if not what.startswith("requires_grad")}
        epochs[f"epoch {epoch}"] = {n: _state(p, optimizer) for n, p in names.items()}
        give_gradients(model, inputs["seed"] + epoch)
        optimizer.step()
        optimizer.zero_grad()
    return {
        "epochs": epochs,
        "empty groups": sum(not group["params"] for group in optimizer.param_groups),
        "changed": sorted(beside),
        "after": {name: p.detach() for name, p in names.items()},
    }


def _warm(model: nn.Module, inputs: Inputs) -> Optimizer:
    """An optimizer that has made three steps of the first module that it holds."""
    parts = [model.get_submodule(path) for path in inputs["held"]]
    groups = [{"params": [*part.parameters()], "lr": 0.05 * k} for k, part in enumerate(parts, 1)]
    optimizer: Optimizer = getattr(torch.optim, inputs["optimizer"])(groups, **inputs["settings"])
    parts[0].requires_grad_(True)
    for step in range(3):
        give_gradients(model, step)
        optimizer.step()
    optimizer.zero_grad()
    parts[0].requires_grad_(False)
    return optimizer


STATE = ("open", "times", "lr", "weight_decay")
"""What is told of a parameter in an epoch; "times" is in how many groups it is."""


def _state(parameter: nn.Parameter, optimizer: Optimizer) -> list[Any]:
    """The settings are those of the last of its groups."""
    own = [group for group in optimizer.param_groups for p in group["params"] if p is parameter]
    settings = [own[-1][key] if own else 0.0 for key in STATE[2:]]
    return [parameter.requires_grad, len(own), *settings]


def in_each(seen: Evidence, expected: Evidence, key: str, words: str) -> Finding:
    """Whether a parameter is as due in every epoch; `words` say what there was and what is due."""
    place = STATE.index(key)
    for epoch, states in expected["epochs"].items():
        for name, state in states.items():
            ours = seen["epochs"][epoch][name][place]
            if not alike(ours, state[place]):
                shown, due = _word(ours), _word(state[place])
                return False, f"in {epoch} {name} {words.format(shown, due)}"
    return True, "as due in every epoch"


def _word(value: Any) -> str:
    return ("frozen", "trainable")[value] if isinstance(value, bool) else number(value)
