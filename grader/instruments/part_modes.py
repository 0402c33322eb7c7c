"""What a part of a torch model computes and collects after train() and eval() were called.

All in double precision: behind a BatchNorm of few samples the rounding of float32 grows large.
What counts is what the model does in its next step, not where it keeps its modes. Dropout drops
everything here, so that it needs no chance.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from numpy.random import Generator
from torch import Tensor, nn

from grader.instruments.moves import Arrays, moved
from grader.instruments.torch_cases import built, case
from grader.instruments.torch_nets import eighths
from grader.judging.terms import Candidate, Evidence, Inputs


def part_case(rng: Generator, body: str, inner: str, head: str, **own: Any) -> dict[str, Any]:
    """A first layer, a body with BatchNorm, dropout and a block `inner` in it, and a head.

    `own` holds the `path` of the part and the `calls` to be made, such as "body.train"; one that
    begins with a dot is the model's.
    """
    norm, dense = ["BatchNorm1d", 4], ["Linear", 4, 4]
    layers = {"first": ["Linear", 3, 4], f"{body}.dense": dense, f"{body}.norm": norm}
    layers |= {f"{body}.{inner}.norm": norm, f"{body}.{inner}.dense": dense}
    layers |= {f"{body}.{inner}.drop": ["Dropout", 1.0]} if own.pop("drop", False) else {}
    layers |= {f"{head}.norm": norm, f"{head}.dense": ["Linear", 4, 2]}
    data = {name: eighths(rng, (6, size)).numpy() for name, size in (("x", 3), ("y", 2))}
    return case(rng, layers, head=head, **data, **own)


def next_step(candidate: Candidate, inputs: Inputs) -> Evidence:
    """Let the candidate see to the part, make the calls, and run a forward and a backward pass."""
    model, path = built(inputs).double(), inputs["path"]
    objects, before = dict(model.named_parameters()), _numbers(model)
    candidate(model, path)
    named = model.named_parameters()
    same = {name for name, p in named if p is objects.get(name) and p.requires_grad}
    others = sorted({*objects} - same) + moved(before, _numbers(model))
    model = deepcopy(model) if inputs.get("copied") else model
    for call in inputs["calls"]:
        above, _, method = call.rpartition(".")
        getattr(model.get_submodule(above), method)()
    x, y = (torch.tensor(inputs[name], dtype=torch.float64) for name in ("x", "y"))
    output = _run(model, path, x, y)
    buffers = {name: value for name, value in _numbers(model).items() if name not in objects}
    return {
        "output": output,
        "statistics": {n: value for n, value in buffers.items() if _lies(n, path)},
        "rest": {n: value for n, value in buffers.items() if not _lies(n, path)},
        "modes": {n: m.training for n, m in model.named_modules() if _lies(n, inputs["head"])},
        "gradients": {n: _gradient(p) for n, p in model.named_parameters()},
        "others": others,
    }


def _run(model: nn.Module, path: str, x: Tensor, y: Tensor) -> Tensor:
    """What comes out of the part in a forward pass that a backward pass follows."""
    seen: list[Tensor] = []
    hook = model.get_submodule(path).register_forward_hook(lambda *given: seen.append(given[-1]))
    ((model(x) - y) ** 2).mean().backward()
    hook.remove()
    return seen[0].detach()


def _numbers(model: nn.Module) -> Arrays:
    return {name: v.detach().numpy().ravel().copy() for name, v in model.state_dict().items()}


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Without rounding: a bias whose shift a BatchNorm takes off again has a gradient of zero."""
    if parameter.grad is None:
        return torch.zeros(1)
    return torch.where(parameter.grad.abs() < 1e-9, 0.0, parameter.grad)


def _lies(name: str, path: str) -> bool:
    return f"{name}.".startswith(f"{path}.")
