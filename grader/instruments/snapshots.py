"""What an answer may leave behind in torch: numbers, flags, gradients and modes, to the bit.

What is JAX's cannot be written to; for dicts of arrays see `moves`.
"""

from __future__ import annotations

from typing import Any

import torch

from grader.instruments.words import listed
from grader.judging.exercise import claim
from grader.judging.terms import Evidence, Finding

Snapshot = dict[str, Any]
"""By name: "mode of body", "requires_grad of head.bias", "gradient of head.bias", "head.bias"."""


def snapshot(*things: Any) -> Snapshot:
    """All that an answer may change about models, and about dicts of tensors, each by its name."""
    kept: Snapshot = {}
    for thing in things:
        kept |= _kept(thing)
    return kept


def _kept(thing: Any) -> Snapshot:
    if isinstance(thing, torch.nn.Module):
        kept = {f"mode of {path or 'the model'}": m.training for path, m in thing.named_modules()}
        named = thing.named_parameters(remove_duplicate=False)
        return kept | _tensors(named) | {k: _bits(v) for k, v in thing.state_dict().items()}
    return _tensors(thing.items())


def changed(before: Snapshot, *things: Any) -> list[str]:
    """The names of what is not as it was, is gone or was added, in order."""
    now = snapshot(*things)
    return sorted(what for what in before | now if now.get(what, "") != before.get(what, ""))


@claim(1, "Which line of yours writes into the model, or into a gradient it holds?")
def model_stays(seen: Evidence, expected: Evidence) -> Finding:
    """The model is left as it was: its numbers, flags, modes and gradients."""
    return not seen["changed"], f"changed: {listed(seen['changed'])}"


def gradients_now(before: Snapshot, model: torch.nn.Module) -> dict[str, str]:
    """What became of the gradient of each parameter of a model, in a word or two."""
    now = set(changed(before, model))
    return {
        name: _gradient(parameter.grad, f"gradient of {name}" in now)
        for name, parameter in model.named_parameters()
    }


def _gradient(gradient: torch.Tensor | None, is_changed: bool) -> str:
    if gradient is None:
        return "none"
    if not is_changed:
        return "as it was"
    return "other numbers" if gradient.any() else "zeros"


def _tensors(named: Any) -> Snapshot:
    kept: Snapshot = {}
    for name, tensor in named:
        kept[name] = _bits(tensor)
        kept[f"requires_grad of {name}"] = tensor.requires_grad
        kept[f"gradient of {name}"] = None if tensor.grad is None else _bits(tensor.grad)
    return kept


def _bits(tensor: torch.Tensor) -> tuple[str, tuple[int, ...], bytes]:
    """Type, shape and numbers; NaN equals the same NaN."""
    flat = tensor.detach().contiguous().reshape(-1)
    return str(tensor.dtype), tuple(tensor.shape), flat.view(torch.uint8).numpy().tobytes()
