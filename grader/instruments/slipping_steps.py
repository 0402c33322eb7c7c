"""Steps of a small torch model that slip by those who look for what moved.

One keeps every norm, one moves the last bit, one moves buffers only, some write, move and erase a
NaN, one leaves infinities where they are, one puts a new parameter in an old place. One is a
training step and needs its gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grader.instruments.torch_nets import eighths, give_gradients, net
from grader.judging.terms import Inputs

LAYERS = {"body": ["Linear", 4, 4], "norm": ["BatchNorm1d", 4], "head": ["Linear", 4, 2]}

Changing = Iterator[None]
"""What it does first makes the model ready; what it does when it goes on is the step."""


def ready(inputs: Inputs) -> tuple[nn.Module, Callable[[], None]]:
    """A model and its step, to be run once.

    Args:
        inputs: the "step", a key of `STEPS`; the "paths" of body, norm and head; a "seed"; a
            "place", the row and the column of a number in the head's weight.
    """
    paths = inputs["paths"]
    model = net({paths[role]: layer for role, layer in LAYERS.items()}, inputs["seed"])
    part = SimpleNamespace(**{role: model.get_submodule(path) for role, path in paths.items()})
    x = eighths(np.random.default_rng(inputs["seed"] + 1), (6, 4))
    changing = STEPS[inputs["step"]](part, x, *inputs["place"])
    next(changing)
    return model, lambda: next(changing, None)


def _training(part: Any, x: Tensor, row: int, column: int) -> Changing:
    """The body has old gradients under lowered flags, the head a rate of zero; the norm learns."""
    still: Any = {"params": list(part.head.parameters()), "lr": 0.0, "weight_decay": 0.0}
    free = [*part.body.parameters(), *part.norm.parameters()]
    optimizer = torch.optim.AdamW([{"params": free}, still], lr=0.1)
    give_gradients(part.body, row)
    part.body.requires_grad_(False)
    part.norm.eval()
    yield
    part.head(part.norm(part.body(x))).square().mean().backward()
    optimizer.step()


def _rotation(part: Any, x: Tensor, row: int, column: int) -> Changing:
    yield
    weight = part.body.weight.data
    weight.copy_(weight[:, [1, 0, 3, 2]])  # two swaps: their determinant is 1


def _last_bit(part: Any, x: Tensor, row: int, column: int) -> Changing:
    part.norm.running_mean = part.norm.running_mean.double()
    places = [part.head.weight.data[row, column], part.norm.running_mean[column]]
    for place in places:
        place.fill_(2.0**-40)
    yield
    for place in places:
        place.copy_(torch.nextafter(place, torch.ones_like(place)))


def _drift(part: Any, x: Tensor, row: int, column: int) -> Changing:
    yield
    part.norm(x)


def _nan_appears(part: Any, x: Tensor, row: int, column: int) -> Changing:
    yield
    part.head.weight.data[row, column] = torch.nan


def _nans_change(part: Any, x: Tensor, row: int, column: int) -> Changing:
    """One tensor for each thing that can become of a NaN; that of the head's bias stays."""
    other = (column + 1) % 4
    for tensor in (part.body.weight[row], part.body.bias, part.head.weight[row]):
        tensor.data[column] = torch.nan
    part.norm.weight.data[column] = 0.0
    part.head.bias.data[row] = torch.nan
    yield
    part.body.weight.data[row, other] += 1  # beside a NaN that stays
    part.body.bias.data[column] = 0.0
    part.norm.weight.data[column] = torch.nan
    swapped = part.head.weight.data[row, [other, column]]
    part.head.weight.data[row, [column, other]] = swapped


def _infinities(part: Any, x: Tensor, row: int, column: int) -> Changing:
    """One stays in a parameter, one in a buffer, one changes its sign."""
    part.head.bias.data[row] = -torch.inf
    part.norm.running_var[column] = torch.inf
    part.body.bias.data[column] = torch.inf
    yield
    part.body.bias.data[column] = -torch.inf


def _put_back(part: Any, x: Tensor, row: int, column: int) -> Changing:
    yield
    part.head.weight.data.add_(1).sub_(1)


def _new_parameters(part: Any, x: Tensor, row: int, column: int) -> Changing:
    yield
    part.body.weight = nn.Parameter(x[:4].clone())
    part.head.weight = nn.Parameter(part.head.weight.detach().clone())


STEPS: dict[str, Callable[..., Changing]] = {
    "a training step with a frozen layer": _training,
    "a rotation": _rotation,
    "the last bit of a weight, and of a float64 buffer": _last_bit,
    "BatchNorm in train mode": _drift,
    "a NaN appears": _nan_appears,
    "NaNs come, go, change places and stay": _nans_change,
    "infinities stay, and one changes its sign": _infinities,
    "a weight moves and is put back": _put_back,
    "new parameters in the place of old ones": _new_parameters,
}
