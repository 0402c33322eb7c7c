"""What is asked of a torch model everywhere: its layers and names, norms, bits, and peace."""

from __future__ import annotations

import contextlib
import math
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paramlock.models.modes import modes_kept

# Where the name of a tensor that is computed from others begins.
COMPUTED = re.compile(r"\.parametrizations\.[^\d.][^.]*\.(?:original\d*$|\d+\.).*")


CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = nn.modules.conv._ConvTransposeNd
NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def precision(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def check_model(model: nn.Module) -> None:
    """Raise `ValueError` for parameters that cannot be measured.

    Whole numbers are let pass: torch never trains them, so they are frozen.
    """
    if not any(True for _ in model.parameters()):
        raise ValueError(
            f"{type(model).__name__} has no parameters, so nothing in it can be locked: pass the "
            "model that is trained"
        )
    refuse_shards(model)
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            problem, way_out = "not initialised yet", "run one batch through the model first"
        elif parameter.is_meta:
            problem = "on the meta device and has no values"
            way_out = "create the model on a real device (model.to_empty, then load its weights)"
        elif parameter.is_complex():
            problem = "made of complex numbers, which are not supported"
            way_out = "keep torch.view_as_real of it as the parameter"
        else:
            continue
        raise ValueError(f"parameter {name!r} is {problem}: {way_out}")


def refuse_shards(model: nn.Module) -> None:
    """Raise `ValueError` where parameters are spread over processes, each of which holds a part."""
    distributed: Any = sys.modules.get("torch.distributed.tensor")
    for name, parameter in model.named_parameters() if distributed else ():
        if isinstance(parameter, distributed.DTensor):
            raise ValueError(
                f"parameter {name!r} is sharded over processes (FSDP2), and sharded parameters are "
                "not supported: take the model before fully_shard, or load its full state into an "
                "unsharded model"
            )


def unsaved() -> contextlib.AbstractContextManager[Any]:
    """Keep what is saved for derivatives from whoever counts it, as checkpointing does."""
    return torch.autograd.graph.saved_tensors_hooks(_as_it_is, _as_it_is)


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


# --- compiled code, and what else is wrapped around a model


def is_compiled(module: nn.Module) -> bool:
    """Whether `torch.compile` is wrapped around a module."""
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    return dynamo is not None and isinstance(module, dynamo.OptimizedModule)


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Run compiled code as it is written, so that it can be looked into and nothing compiles."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def within_wrappers(model: nn.Module) -> nn.Module:
    """The module to call in place of one that compiles, or that speaks to other processes."""
    while True:
        if is_compiled(model):
            model = model._orig_mod  # type: ignore[assignment]
        elif isinstance(model, nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def bare_name(name: str) -> str:
    """A name without the steps that `torch.compile` puts into it; the model takes it as well."""
    return ".".join(step for step in name.split(".") if step != "_orig_mod")


def modules_by_name(model: nn.Module) -> dict[str, nn.Module]:
    """{path: module}; where one is compiled, what was compiled."""
    return {bare_name(name): module for name, module in model.named_modules()}


def optimizers_in(given: Any) -> list[torch.optim.Optimizer]:
    """The torch optimizers in one or a list of them; what others wrapped around is taken off.

    Raises:
        ValueError: something that is no optimizer of torch, and wraps none.
    """
    found = [_unwrapped(o) for o in (given if isinstance(given, (list, tuple)) else [given])]
    for optimizer in found or [given]:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ValueError(
                f"optimizer is {type(optimizer).__name__}: pass the torch.optim.Optimizer that "
                "trains, or a list of them"
            )
    return found


def _unwrapped(optimizer: Any) -> Any:
    """A wrapper's optimizer where the wrapper only looks like one, as accelerate's does."""
    inner = getattr(optimizer, "optimizer", None)
    stands_alone = hasattr(optimizer, "_optimizer_step_pre_hooks")
    wrapped = isinstance(inner, torch.optim.Optimizer) and not stands_alone
    return _unwrapped(inner) if wrapped else optimizer


# --- what must not change


@contextlib.contextmanager
def undisturbed(model: nn.Module, data: Any = None) -> Iterator[Callable[[], list[Tensor]]]:
    """Put parameters, buffers, modes and random generators back, whatever happens inside.

    Yields what tells which of the tensors have changed so far.
    """
    tables = [(m, dict(m._parameters), dict(m._buffers)) for m in model.modules()]
    kept = [t for _, p, b in tables for t in (*p.values(), *b.values()) if t is not None]
    values = [tensor.detach().clone() for tensor in kept]
    generators = _generators(data)
    states = [g.get_state() for g in generators]
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(), modes_kept(model):
            yield lambda: [t for t, v in zip(kept, values, strict=True) if not _same_bits(t, v)]
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
        for module, parameters, buffers in tables:
            _restore(module._parameters, parameters)
            _restore(module._buffers, buffers)
        _put_back(kept, values)


def _restore(table: Any, saved: dict[str, Any]) -> None:
    """Put the same objects under the same names again."""
    if list(map(id, table.values())) != list(map(id, saved.values())):
        table.clear()
        table.update(saved)


def _generators(data: Any) -> list[torch.Generator]:
    """The generators that a loader shuffles with."""
    holders = (data, getattr(data, "sampler", None))
    found = {id(g): g for h in holders if (g := getattr(h, "generator", None)) is not None}
    return [g for g in found.values() if isinstance(g, torch.Generator)]


@torch.no_grad()
def _put_back(tensors: list[Tensor], values: list[Tensor]) -> None:
    for tensor, value in zip(tensors, values, strict=True):
        if not _same_bits(tensor, value):  # else left alone: copying would count as a change
            tensor.copy_(value)


def _same_bits(a: Tensor, b: Tensor) -> bool:
    if torch.equal(a, b):
        return True
    nan_for_nan = a.is_floating_point() and bool(((a == b) | (a.isnan() & b.isnan())).all())
    return nan_for_nan


# --- parameters


def norm(tensor: Tensor | None) -> float | None:
    """The Euclidean norm in float64, free of under- and overflow."""
    if tensor is None:
        return None
    if not tensor.numel():
        return 0.0
    if not tensor.is_floating_point() and not tensor.is_complex():
        tensor = tensor.double()  # -128 has no absolute value among whole numbers of 8 bits
    largest = float(tensor.detach().abs().max())
    if not largest or not math.isfinite(largest):
        return largest
    return largest * float((tensor.detach().double() / largest).norm())


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal; NaN equals NaN."""
    a, b = a.detach(), b.detach()
    if a.shape != b.shape:
        return False
    return torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all())


def parameter_names(model: nn.Module) -> dict[nn.Parameter, tuple[str, ...]]:
    """Each parameter once, with all its names."""
    names: dict[nn.Parameter, tuple[str, ...]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names[parameter] = (*names.get(parameter, ()), bare_name(name))
    return names


def layer_of(name: str) -> str:
    """The path of the module that owns the parameter called `name`.

    A tensor that is computed from others (`torch.nn.utils.parametrize`) belongs to the module
    whose tensor it is; modules that happen to be called `parametrizations` keep their name.
    """
    return COMPUTED.sub(".tensor", f".{name}").rpartition(".")[0].removeprefix(".")


def unit_axis(layer: nn.Module | None) -> int | None:
    """The axis of a layer's weight that counts its units, one row for each.

    `None` for layers that are neither linear nor a convolution nor a norm layer, and where the
    weight is no parameter of its own (none, computed from others, or grouped and transposed).
    """
    if not isinstance(layer, (nn.Linear, *CONVOLUTIONS, *NORMS, TRANSPOSED)):
        return None
    weight, transposed = layer._parameters.get("weight"), isinstance(layer, TRANSPOSED)
    grouped = transposed and getattr(layer, "groups", 1) > 1
    if weight is None or grouped or (isinstance(layer, NORMS) and weight.ndim > 1):
        return None
    return 1 if transposed else 0


def tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, Mapping):
        yield from tensors_in(tuple(value.values()))


def count_nonfinite(value: Any) -> int:
    floating = [t for t in tensors_in(value) if t.is_floating_point()]
    return sum(int((~t.isfinite()).sum()) for t in floating)
