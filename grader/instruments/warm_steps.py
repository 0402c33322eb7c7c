"""A torch network of three parts in the middle of its training, and what further steps do to it.

The parts are called `below`, `frozen` and `above`. A case says how the optimizer was warmed up.
Some cases hold the run that `twins` draws: there the gradients are given, see `Given`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from grader.instruments import twins
from grader.instruments.moves import Arrays, drift
from grader.instruments.torch_cases import built
from grader.judging.terms import Candidate, Evidence, Inputs

PARTS = {"below": "layer10", "frozen": "layer1", "above": "head"}
"""The layers of the twins' run, as parts of the network."""


def twins_case(run: Mapping[str, Any]) -> dict[str, Any]:
    """The run that `twins.warm_run` drew, with its optimizer under torch's names."""
    settings = {"lr": run["learning_rate"], "betas": [run["b1"], run["b2"]]}
    return {
        "params": run["params"],
        "warmup": run["warmup"],
        "steps": run["gradients"],
        "optimizer": "AdamW",
        "settings": settings | {key: run[key] for key in ("eps", "weight_decay")},
    }


def batch(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Six samples for a network from three features to two."""
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    return {"x": x.astype(np.float32), "y": y.astype(np.float32)}


def observed_steps(candidate: Candidate, inputs: Inputs) -> Evidence:
    """What the steps moved and by how much, and what is left of the optimizer after them."""
    given = "params" in inputs
    model = _given_net(inputs["params"]) if given else _drawn_net(inputs)
    optimizer = getattr(torch.optim, inputs["optimizer"])(model.parameters(), **inputs["settings"])
    for task in inputs["warmup"]:
        _train(model, optimizer, *_input_and_loss(model, task))
    before, remembered = _values(model), _averages(model, optimizer)
    for task in inputs["steps"]:
        candidate(*model, optimizer, *_input_and_loss(model, task))
    after, moved = _values(model), drift(before, _values(model))
    names = dict(model.named_parameters())
    held = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    return {
        "parameters moved": {name: by for name, by in moved.items() if name in names},
        "buffers moved": {name: by for name, by in moved.items() if name not in names},
        "after": {name: array for name, array in after.items() if not name.startswith("frozen.")},
        "not held": sorted(name for name, parameter in names.items() if parameter not in held),
        "frozen as well": sorted(
            name
            for name, parameter in names.items()
            if not parameter.requires_grad and not name.startswith("frozen.")
        ),
        "forgotten": sorted(remembered - _averages(model, optimizer)),
        "moved later": _moved_later(model, optimizer),
        "trainable": _in_flax_layout(after) if given else {},
    }


class Given(nn.Module):
    """A layer that adds to its input a number that is linear in its parameters.

    So their gradient is the one that is `due`, provided that the sum of what comes out is the loss
    and the way there is not cut.
    """

    def __init__(self, layer: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(layer["kernel"].T.copy()))
        self.bias = nn.Parameter(torch.from_numpy(layer["bias"].copy()))
        self.due: Mapping[str, np.ndarray] = {}

    def forward(self, x: Tensor) -> Tensor:
        kernel, bias = (torch.from_numpy(self.due[leaf]) for leaf in ("kernel", "bias"))
        return x + (self.weight.T * kernel).sum() + (self.bias * bias).sum()


class EveryOther(nn.Dropout):
    """Dropout without chance, alike on all machines: in train mode every other unit is dropped."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.tensor([0.0, 2.0]).repeat(x.shape[-1] // 2) if self.training else x


def _given_net(params: twins.Tree) -> nn.Sequential:
    model = nn.Sequential()
    for part, layer in PARTS.items():
        model.add_module(part, Given(params[layer]))
    return model


def _drawn_net(inputs: Inputs) -> nn.Sequential:
    model = built(inputs)
    for part in model:
        for name, module in list(part.named_children()):
            if isinstance(module, nn.Dropout):
                part.add_module(name, EveryOther())
    return model


def _input_and_loss(
    model: nn.Module, task: Mapping[str, Any]
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    if "x" in task:
        x, y = torch.from_numpy(task["x"]), torch.from_numpy(task["y"])
        return x, lambda output: ((output - y) ** 2).mean()
    for part, layer in PARTS.items():
        vars(model.get_submodule(part))["due"] = task[layer]
    return torch.zeros(1), torch.sum


def _train(
    model: nn.Module, optimizer: Optimizer, x: Tensor, loss: Callable[[Tensor], Tensor]
) -> None:
    """A step of everything, which leaves its gradients behind."""
    optimizer.zero_grad()
    loss(model(x)).backward()
    optimizer.step()


def _values(model: nn.Module) -> Arrays:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def _averages(model: nn.Module, optimizer: Optimizer) -> set[str]:
    """The averages that an optimizer has of parameters, but for those that are all zeros."""
    return {
        f"{key} of {name}"
        for name, parameter in model.named_parameters()
        for key, average in optimizer.state.get(parameter, {}).items()
        if isinstance(average, Tensor) and average.shape == parameter.shape and average.any()
    }


def _moved_later(model: nn.Module, optimizer: Optimizer) -> list[str]:
    """Which parameters the caller's optimizer moves, once all are trainable and have a gradient."""
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(True)
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return sorted(name for name, p in model.named_parameters() if not p.equal(before[name]))


def _in_flax_layout(after: Arrays) -> dict[str, np.ndarray]:
    """The trainable layers as the twin has them."""
    leaves = {}
    for part in ("below", "above"):
        leaves[f"{PARTS[part]}/kernel"] = after[f"{part}.weight"].T
        leaves[f"{PARTS[part]}/bias"] = after[f"{part}.bias"]
    return leaves
