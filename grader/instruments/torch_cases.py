"""A small torch model described as plain data, and the model that it describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from grader.instruments.torch_nets import Layers, give_gradients, net


def case(
    rng: np.random.Generator, layers: Layers, frozen: Iterable[str] = (), **more: Any
) -> dict[str, Any]:
    """Describe a model: its layers as `net` takes them, and what is special about it.

    Args:
        rng: draws the seed of the model's numbers.
        layers: module path to class name and arguments.
        frozen: paths of modules, or names of parameters, that are frozen.
        **more: pairs of parameters that are `tied`; paths of modules `with_gradients`,
            `in_eval_mode` and `in_half_precision`; a number that `fills` every parameter; and
            whatever the exercise adds for itself.
    """
    special: dict[str, Any] = {"tied": [], "with_gradients": [], "in_eval_mode": []}
    drawn = {path: list(layer) for path, layer in layers.items()}
    seed = int(rng.integers(1000))
    return {"layers": drawn, "frozen": list(frozen), **special, "seed": seed, **more}


def built(inputs: Mapping[str, Any]) -> torch.nn.Sequential:
    """The model of a case."""
    model = net(inputs["layers"], inputs["seed"], inputs["tied"])
    for path in inputs.get("in_half_precision", ()):
        model.get_submodule(path).half()
    for parameter in model.parameters() if "fills" in inputs else ():
        torch.nn.init.constant_(parameter.data, inputs["fills"])
    for path in inputs["with_gradients"]:
        give_gradients(model.get_submodule(path), inputs["seed"])
    for path in inputs["in_eval_mode"]:
        model.get_submodule(path).eval()
    for name, parameter in model.named_parameters():
        above = any(f"{name}.".startswith(f"{path}.") for path in inputs["frozen"])
        parameter.requires_grad_(not above)
    return model
