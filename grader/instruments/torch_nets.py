"""Small torch networks from plain data, for what the torch exercises observe.

Values are odd eighths between -2 and 2: never zero, exact in float32, and exact when they are
squared and summed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

Layers = Mapping[str, Any]
"""Module path to the name of a class in `torch.nn` and its arguments."""

LAYERS = {"body.first": ["Linear", 3, 4], "body.second": ["Linear", 4, 4], "head": ["Linear", 4, 2]}
"""A body of two layers and a head, for `net`."""

BODIES = ("body", "trunk", "stem", "encoder", "backbone", "tower")
HEADS = ("head", "readout", "probe", "decoder", "top", "exit")
"""Names to draw from; evidence that names layers then holds for the challenge it was made on."""


def net(layers: Layers, seed: int, tied: Iterable[Sequence[str]] = ()) -> torch.nn.Sequential:
    """Nested `Sequential`s that hold these layers at these paths, their values drawn from `seed`.

    The class "Parameter" with a shape (of no dimensions, if none is given) gives a bare parameter.
    Of each tied pair of parameter names the second is made to mean the first.
    """
    root = torch.nn.Sequential()
    with torch.random.fork_rng(devices=[]):  # layers draw; the caller's random numbers stay
        for path, (kind, *sizes) in layers.items():
            parent, _, name = path.rpartition(".")
            _hang(_within(root, parent), name, kind, sizes)
    _fill(root, np.random.default_rng(seed))
    for first, second in tied:
        parent, _, name = second.rpartition(".")
        setattr(root.get_submodule(parent), name, root.get_parameter(first))
    return root


def _within(root: torch.nn.Module, path: str) -> torch.nn.Module:
    """The container at a path; it is made where it is missing."""
    for name in filter(None, path.split(".")):
        if name not in root._modules:
            root.add_module(name, torch.nn.Sequential())
        root = root.get_submodule(name)
    return root


def _hang(parent: torch.nn.Module, name: str, kind: str, sizes: Sequence[int]) -> None:
    if kind == "Parameter":
        parent.register_parameter(name, torch.nn.Parameter(torch.empty(tuple(sizes))))
    else:
        parent.add_module(name, getattr(torch.nn, kind)(*sizes))


@torch.no_grad()
def _fill(model: torch.nn.Module, rng: np.random.Generator) -> None:
    for parameter in model.parameters():
        parameter.copy_(eighths(rng, parameter.shape))
    for buffer in model.buffers():  # variances and counts are positive
        buffer.copy_(1 + eighths(rng, buffer.shape).abs())


def eighths(rng: np.random.Generator, shape: Sequence[int]) -> torch.Tensor:
    """Odd eighths between -2 and 2."""
    return torch.from_numpy(np.asarray((2 * rng.integers(-8, 8, shape) + 1) / 8, np.float32))


def give_gradients(model: torch.nn.Module, seed: int) -> None:
    """Leave a gradient in every trainable parameter, as if a step had just been taken."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        gradient = eighths(rng, parameter.shape)
        parameter.grad = gradient if parameter.requires_grad else None


def texts(returned: Any) -> Any:
    """The items of a returned collection, each that is no text as the name of its type.

    What is no collection of items is handed on as it is.
    """
    if not isinstance(returned, Collection) or isinstance(returned, str | torch.Tensor):
        return returned
    return [item if isinstance(item, str) else f"<{type(item).__name__}>" for item in returned]


def by_first_names(model: torch.nn.Module, returned: Any) -> Any:
    """The returned names of parameters in order, a tied parameter by the first of its names only.

    What is no collection of items is handed on as it is.
    """
    names = texts(returned)
    if not isinstance(names, list):
        return names
    first = {id(p): name for name, p in model.named_parameters()}
    every = model.named_parameters(remove_duplicate=False)
    again = {name: first[id(p)] for name, p in every if first[id(p)] != name}
    return sorted(again.get(name, name) for name in names if again.get(name) not in names)
