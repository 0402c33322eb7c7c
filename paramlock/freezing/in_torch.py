"""Freeze parts of a torch model so that nothing moves them, and undo it.

A *place* is a module or a single parameter, named by a pattern (see `models.paths`). Four
things move what looks frozen, and `freeze` stops all of them:

- the gradient: `requires_grad` goes off;
- a stale gradient: it is cleared, for only where `grad is None` do torch's optimizers leave a
  parameter alone, momentum and weight decay included;
- running statistics: modules below the place are put in evaluation mode;
- `model.train()`, which would undo that: a frozen module remembers the mode asked for and stays
  in evaluation mode until it is unfrozen.

Names are those without the wrappers of `torch.compile` and data parallelism.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from paramlock.models.modes import held_mode, hold_mode, release_mode
from paramlock.models.paths import matching

PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def freeze(model: nn.Module, *patterns: str) -> tuple[str, ...]:
    """Freeze modules and parameters; return all names of the parameters that became frozen.

    ::

        freeze(model, "encoder")                    # one module, however deep
        freeze(model, "encoder.layer.[0-3]", "**.bias")
        freeze(model, "")                           # the whole model

    A frozen module is frozen whole: its parameters, and its function too, for every module below
    stays in evaluation mode (running statistics still, dropout off) through `model.train()`.
    Where a pattern names a parameter only, no mode changes. A tied parameter is frozen under all
    its names, and all of them are returned. Gradients of what is frozen are cleared, also where it
    was frozen before. Nothing is added to `state_dict()`; copies and pickles stay frozen.

    Raises:
        ValueError: no pattern, or one that matches nothing: the error names near misses. Nothing
            has been frozen then.
    """
    modules, parameters = _named(model, patterns)
    became = {p for p in parameters if p.requires_grad}
    for module in modules:
        hold_mode(module)
    for p in parameters:
        p.requires_grad_(False)
        p.grad = None
    return _all_names(model, became)


def unfreeze(
    model: nn.Module,
    *patterns: str,
    optimizer: torch.optim.Optimizer | None = None,
    lr: float | None = None,
) -> tuple[str, ...]:
    """Undo `freeze`; return all names of the parameters that became trainable.

    Every floating-point parameter below the places becomes trainable, also one that was frozen by
    other means (the base of a low-rank adapter, say): `frozen` puts back exactly what was. The
    modules below, and those around them, get the mode that `train()` or `eval()` last asked
    for; a pattern that names a parameter only changes no mode. A tied parameter follows the last
    call.

    Args:
        model: of which `freeze`, or something else, froze a part.
        *patterns: places, as for `freeze`.
        optimizer: gets the parameters below the places, unless it holds them. An optimizer that
            was built on the trainable parameters alone never moves the others, whatever their
            flag says.
        lr: their learning rate, in a parameter group of their own; one that the optimizer holds
            already moves there with its state. By default the optimizer's own.

    Raises:
        ValueError: as `freeze`; or a rate without an optimizer.
    """
    if lr is not None and optimizer is None:
        raise ValueError(f"lr={lr} is given, but no optimizer to use it: pass optimizer=…")
    modules, parameters = _named(model, patterns)
    opened = {p for p in parameters if not p.requires_grad and _may_train(p)}
    for parameter in opened:
        parameter.requires_grad_(True)
    for module in _modules(model):
        if not modules.keys().isdisjoint(_modules(module)):
            release_mode(module)
    if optimizer is not None:
        ready = {p for p in parameters if p.requires_grad}
        hand_over(optimizer, {n: p for n, p in _parameters(model) if p in ready}, lr)
    return _all_names(model, opened)


@contextlib.contextmanager
def frozen(model: nn.Module, *patterns: str) -> Iterator[tuple[str, ...]]:
    """Freeze for the length of a `with` block, and put everything back, whatever happens in it.

    ::

        with frozen(gan, "discriminator"):
            loss(gan(noise)).backward()    # gradients pass through it, and leave none in it

    Put back are flags, gradients (those from before the block) and modes (as they would be had
    nothing been frozen). What was frozen before stays so.
    """
    modules, parameters = _named(model, patterns)
    flags = [(p, p.requires_grad, p.grad) for p in parameters]
    free = [module for module in modules if not held_mode(module)]
    names = freeze(model, *patterns)
    try:
        yield names
    finally:
        for module in free:
            release_mode(module)
        for parameter, trainable, gradient in flags:
            parameter.requires_grad_(trainable)
            parameter.grad = gradient


def hand_over(
    optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter], lr: float | None
) -> None:
    """Give an optimizer parameters it lacks; with a rate, move those it has to groups of their own.

    The group that a parameter leaves lends its other options (weight decay, betas); state stays
    with the parameter. A learning-rate scheduler made before knows nothing of a new group, and
    some refuse to go on: where one is used, build the optimizer on all groups from the start.
    """
    members = {p: name for name, p in parameters.items()}
    for group in list(optimizer.param_groups):
        leaving = [p for p in group["params"] if p in members]
        if leaving and lr is not None and len(leaving) == len(group["params"]):
            group["lr"] = lr
        elif leaving and lr is not None:
            _take_out(group, leaving)
            _add(optimizer, {p: members[p] for p in leaving}, {**_options(group), "lr": lr})
        for parameter in leaving:
            del members[parameter]
    if members:
        _add(optimizer, members, options={} if lr is None else {"lr": lr})


def _options(group: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in group.items()
        if key not in ("params", "param_names", "initial_lr", "lr", "name")
    }


def _take_out(group: dict[str, Any], leaving: list[nn.Parameter]) -> None:
    stay = [i for i, p in enumerate(group["params"]) if p not in set(leaving)]
    for key in {"params", "param_names"} & group.keys():
        group[key] = [group[key][i] for i in stay]


def _add(
    optimizer: torch.optim.Optimizer, members: dict[nn.Parameter, str], options: dict[str, Any]
) -> None:
    named = any("param_names" in group for group in optimizer.param_groups)
    params = [(name, p) for p, name in members.items()] if named else list(members)
    optimizer.add_param_group({"params": params, **options})


# --- names


def parts_of(model: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module | nn.Parameter]]:
    """Yield every module and parameter with its path, under each of its names, without wrappers."""
    module = _unwrapped(model)
    yield path, module
    start = f"{path}." if path else ""
    for name, parameter in module._parameters.items():
        if parameter is not None:
            yield start + name, parameter
    for name, child in module._modules.items():
        if child is not None:
            yield from parts_of(child, start + name)


def _unwrapped(module: Any) -> nn.Module:
    """What `torch.compile` or data parallelism wrapped; its names hide the model's own."""
    while True:
        if type(module).__name__ == "OptimizedModule":
            module = module._orig_mod
        elif isinstance(module, PARALLEL):
            module = module.module
        else:
            return module  # type: ignore[no-any-return]


def places_in(model: nn.Module, patterns: Iterable[str]) -> dict[str, nn.Module | nn.Parameter]:
    """{path: module or parameter} of what the patterns name; raise as `freeze` does."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model is {type(model).__name__}, not a torch.nn.Module; in JAX freeze in the "
            "optimizer, with paramlock.flax.freeze"
        )
    parts = dict(parts_of(model))
    wrapped = isinstance(model, PARALLEL) and "module" not in parts
    asked = [_bare(p, wrapped) if isinstance(p, str) else p for p in patterns]
    return {path: parts[path] for path in matching(asked, parts, type(parts[""]).__name__)}


def _bare(pattern: str, wrapped: bool) -> str:
    """Drop what wrappers put into names, as `named_parameters()` of the wrapped model has it."""
    pattern = ".".join(step for step in pattern.split(".") if step != "_orig_mod")
    return pattern.removeprefix("module.") if wrapped else pattern


def _named(
    model: nn.Module, patterns: Iterable[str]
) -> tuple[dict[nn.Module, None], dict[nn.Parameter, None]]:
    """The modules at and below the places and all their parameters, each once."""
    below = [part for place in places_in(model, patterns).values() for part in _below(place)]
    modules = dict.fromkeys(part for part in below if isinstance(part, nn.Module))
    parameters = dict.fromkeys(part for part in below if isinstance(part, nn.Parameter))
    if any(map(is_lazy, parameters)):
        raise ValueError("some of it is not initialised yet: run a batch through the model first")
    return modules, parameters


def _below(place: nn.Module | nn.Parameter) -> list[nn.Module | nn.Parameter]:
    return [place] if isinstance(place, nn.Parameter) else [part for _, part in parts_of(place)]


def _modules(model: nn.Module) -> list[nn.Module]:
    return [part for part in _below(model) if isinstance(part, nn.Module)]


def _may_train(parameter: nn.Parameter) -> bool:
    return parameter.is_floating_point() or parameter.is_complex()


def _parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(path, part) for path, part in parts_of(model) if isinstance(part, nn.Parameter)]


def _all_names(model: nn.Module, chosen: set[nn.Parameter]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path, p in _parameters(model) if p in chosen))
