"""Measure a torch model for its certificate, and leave it exactly as it was.

`trace` sees the forward pass. `backward` takes gradients and touches no `.grad`. The next step of
the optimizers is taken by copies of them on copies of the parameters. Compiled code runs as it is
written.
"""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from paramlock.certifying.in_torch.backward import (
    beyond,
    closed_by_hooks,
    gradients_of,
    twice_squashed,
)
from paramlock.certifying.in_torch.trace import Tracer
from paramlock.certifying.records import Measurement, NormalisationRecord, ParameterRecord
from paramlock.holding.in_torch import enforce_on, held_entries
from paramlock.models.batches import batches_of, explained, samples_in, some, split
from paramlock.models.in_torch import (
    check_model,
    count_nonfinite,
    eagerly,
    layer_of,
    modules_by_name,
    norm,
    optimizers_in,
    parameter_names,
    tensors_in,
    undisturbed,
)
from paramlock.models.numbers import ratio, total

Loss = Callable[[Any, Any], Tensor]


def measure(
    model: nn.Module, data: Any, loss: Loss, optimizer: Any = None, delta: float = 0.05
) -> Measurement:
    """All numbers for a certificate of `model`; see `paramlock.certificate`."""
    check_model(model)
    optimizers = [] if optimizer is None else optimizers_in(optimizer)
    names = parameter_names(model)
    with undisturbed(model, data) as changed, eagerly():
        before = {module: _statistics(module) for module in model.modules()}
        tracer = Tracer(model, delta)
        gradients, summary = _mean_gradients(tracer, model, data, loss, list(names))
        drift = {m: _drift(m, statistics) for m, statistics in before.items() if statistics}
        written = [names[t][0] for t in changed() if isinstance(t, nn.Parameter) and t in names]
        notes = [*_rewritten(written), *gradients.notes]
    records = [_parameter_record(p, *names[p], gradients.means[p]) for p in names]
    tracer.note_calls(records)
    _measure_picks(tracer, records, [gradients.means[p] for p in names])
    result = Measurement(
        "torch",
        records,
        tracer.layer_records({r.layer for r in records}),
        tracer.site_records(),
        _normalisations(model, drift),
        notes=[*notes, *_strangers(gradients.strangers, optimizers)],
        unseen=list(tracer.unseen),
        **summary,
    )
    _measure_masks(model, records, list(names), gradients)
    if optimizers:
        _measure_update(result, optimizers, list(names), gradients)
    return result


# --- one pass over the data


class _Gradients:
    """The gradient of the mean loss per sample, by parameter, and what goes with it.

    `sparse`: parameters whose gradient came as rows. `closed`: the entries that have a gradient,
    which a hook on the parameter sets to zero. `strangers`: leaves of the graph that get a gradient
    and are no parameters of the model. `notes`: what else the graph shows.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.means: dict[nn.Parameter, Tensor | None] = dict.fromkeys(parameters)
        self.sparse: set[nn.Parameter] = set()
        self.closed: dict[nn.Parameter, Tensor] = {}
        self.strangers: list[Tensor] = []
        self.notes: list[str] = []

    def add(self, parameter: nn.Parameter, gradient: Tensor | None, count: int) -> None:
        """Add in float32 at least: sums of bfloat16 lose what is small."""
        if gradient is None:
            return
        if gradient.is_sparse:
            self.sparse.add(parameter)
            gradient = gradient.to_dense()
        part = gradient.detach().to(torch.promote_types(gradient.dtype, torch.float32)) * count
        before = self.means[parameter]
        self.means[parameter] = part if before is None else before + part

    def divide(self, samples: int) -> None:
        """Make means of sums."""
        self.means = {p: None if s is None else s / samples for p, s in self.means.items()}


def _mean_gradients(
    tracer: Tracer, model: nn.Module, data: Any, loss: Loss, parameters: list[nn.Parameter]
) -> tuple[_Gradients, dict[str, Any]]:
    """The gradients over all batches, and a summary."""
    found = _Gradients(parameters)
    wanted = [p for p in parameters if p.requires_grad]
    samples, batches, loss_sum, bad_inputs = 0, 0, 0.0, 0
    for batch in batches_of(data):
        inputs, targets = split(batch)
        _refuse_nested(inputs)
        count = samples_in(inputs)
        if not count:
            continue
        bad_inputs += count_nonfinite(inputs)
        with torch.enable_grad(), explained(batches, inputs):
            outputs = tracer.run(model, inputs)
            value = loss(outputs, targets)
            _check_loss(value, wanted)
            if not batches:
                tracer.note_functions(outputs)
                found.strangers = beyond(value, parameters, [inputs, targets])
                found.closed = closed_by_hooks(value, wanted)
                found.notes = twice_squashed(value)
            gradients = gradients_of(value, wanted)
        for parameter, gradient in zip(wanted, gradients, strict=True):
            found.add(parameter, gradient, count)
        samples, batches = samples + count, batches + 1
        loss_sum += float(value.detach()) * count
    found.divide(some(samples))
    return found, {
        "samples": samples,
        "batches": batches,
        "loss": loss_sum / some(samples),
        "input_nonfinite": bad_inputs,
    }


def _refuse_nested(inputs: Any) -> None:
    if any(tensor.is_nested for tensor in tensors_in(inputs)):
        raise ValueError(
            "the inputs hold nested tensors, and nested tensors are not supported: their samples "
            "have no common shape; certify on padded ones (to_padded_tensor)"
        )


def _check_loss(value: Any, wanted: list[nn.Parameter]) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1:
        shape = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else value
        raise ValueError(f"the loss is {shape!r}, not a single number: reduce it with .mean()")
    if wanted and not value.requires_grad:
        raise ValueError(
            "the loss has no graph, so no gradient can reach any parameter: something between "
            "model and loss cuts it (detach, no_grad, item, argmax, numpy; or reentrant "
            "checkpointing of inputs that need no gradient: model.enable_input_require_grads(), "
            "or use_reentrant=False)"
        )


def _rewritten(names: list[str]) -> list[str]:
    """Say in a note that the forward pass writes to parameters."""
    if not names:
        return []
    return [
        f"the forward pass writes to {', '.join(names)}, over what the optimizer made of it: "
        "write to a copy, or make it a buffer"
    ]


def _strangers(leaves: list[Tensor], optimizers: list[torch.optim.Optimizer]) -> list[str]:
    """Say in a note that tensors get a gradient and belong to no module of the model."""
    held = {id(p) for o in optimizers for group in o.param_groups for p in group["params"]}
    lost = [leaf for leaf in leaves if id(leaf) not in held]
    if not lost:
        return []
    count = f"{len(lost)} tensor{'s' * (len(lost) != 1)} with {sum(t.numel() for t in lost):,}"
    return [
        f"{count} weights get a gradient, but belong to no module of the model, so "
        "model.parameters() does not give them to an optimizer: layers in a plain list or dict? "
        "put them into an nn.ModuleList or nn.ModuleDict"
    ]


def _parameter_record(parameter: nn.Parameter, *names: Any) -> ParameterRecord:
    *own, gradient = names
    return ParameterRecord(
        own[0],
        layer_of(own[0]),
        tuple(parameter.shape),
        str(parameter.dtype).removeprefix("torch."),
        parameter.requires_grad,
        norm(parameter) or 0.0,
        norm(gradient),
        nonfinite=count_nonfinite(parameter.detach()),
        gradient_nonfinite=0 if gradient is None else count_nonfinite(gradient),
        aliases=tuple(own[1:]),
    )


def _measure_picks(
    tracer: Tracer, records: list[ParameterRecord], gradients: list[Tensor | None]
) -> None:
    """Note the rows of codebooks that got no gradient."""
    for record, gradient in zip(records, gradients, strict=True):
        record.picks = tracer.picks.of(record)
        if record.picks and gradient is not None:
            silent = (gradient.flatten(1) == 0).all(1)
            record.unpicked = tuple(silent.nonzero().flatten().tolist())


def _mask_of(modules: dict[str, nn.Module], record: ParameterRecord) -> Tensor | None:
    """The mask that `torch.nn.utils.prune` put on a parameter."""
    owner, _, leaf = record.name.rpartition(".")
    buffers = modules[owner]._buffers
    return buffers.get(leaf.removesuffix("_orig") + "_mask") if leaf.endswith("_orig") else None


def _held(
    modules: dict[str, nn.Module],
    record: ParameterRecord,
    parameter: Tensor,
    gradient: Tensor | None,
    bias: Tensor | None,
) -> Tensor | None:
    """Where a weight is held at zero: by a mask, or at zero and without gradient.

    Where a whole input gives no gradient, the input is zero and not the weight masked; where a
    whole unit gets none, the unit is dead.
    """
    mask = _mask_of(modules, record)
    if mask is not None:
        return mask == 0
    module = modules[record.layer]
    embeds = isinstance(module, (nn.Embedding, nn.EmbeddingBag))
    if gradient is None or parameter.ndim < 2 or embeds or not (record.gradient and record.norm):
        return None
    pulled = gradient != 0
    alive = pulled.flatten(1).any(1)
    if bias is not None and bias.shape == alive.shape:
        alive = alive | (bias != 0)
    alive = alive.reshape(-1, *[1] * (parameter.ndim - 1))
    return (parameter.detach() == 0) & ~pulled & pulled.any(0) & alive


def _measure_masks(
    model: nn.Module,
    records: list[ParameterRecord],
    parameters: list[nn.Parameter],
    gradients: _Gradients,
) -> None:
    means = gradients.means
    modules = modules_by_name(model)
    by_name = {r.name: means[p] for r, p in zip(records, parameters, strict=True)}
    for record, parameter in zip(records, parameters, strict=True):
        locks = list(held_entries(parameter))
        if locks:
            record.masked, record.held = _locked(locks)
            record.locked = True
            continue
        bias = by_name.get(f"{record.layer}.bias".removeprefix("."))
        held = _held(modules, record, parameter, means[parameter], bias)
        record.masked = 0.0 if held is None else float(held.double().mean())


def _locked(locks: list[tuple[Tensor, bool]]) -> tuple[float, float]:
    """The shares of entries that locks hold at zero, and at other values."""
    zero, other = (
        sum((held for held, at_zero in locks if at_zero == which), torch.zeros_like(locks[0][0]))
        for which in (True, False)
    )
    return float(zero.double().mean()), float((other & ~zero).double().mean())


# --- running statistics


def _statistics(module: nn.Module) -> list[Tensor]:
    found = (getattr(module, name, None) for name in ("running_mean", "running_var"))
    return [t.detach().clone() for t in found if isinstance(t, Tensor)]


def _drift(module: nn.Module, before: list[Tensor]) -> float:
    """By how much the running statistics moved, relative to their norm."""
    moved = total(norm(a - b) for a, b in zip(_statistics(module), before, strict=True))
    return ratio(moved, total(map(norm, before)))


def _normalisations(model: nn.Module, drift: dict[nn.Module, float]) -> list[NormalisationRecord]:
    modules = modules_by_name(model)
    return [
        NormalisationRecord(
            name,
            _declared_frozen(name, modules),
            any(p.requires_grad for p in module.parameters()),
            module.training,
            model.training,
            bool(module.track_running_stats),
            drift.get(module, 0.0),
        )
        for name, module in modules.items()
        if isinstance(module, nn.modules.batchnorm._NormBase)
        and (module.track_running_stats or module in drift or not module.training)
    ]


def _declared_frozen(name: str, modules: dict[str, nn.Module]) -> bool:
    """Whether the layer's parameters, or else those of the module around it, are all frozen."""
    while True:
        parameters = list(modules[name].parameters())
        if parameters or not name:
            return bool(parameters) and not any(p.requires_grad for p in parameters)
        name = name.rpartition(".")[0]


# --- the next step of the optimizers, on copies


def _measure_update(
    result: Measurement,
    optimizers: list[torch.optim.Optimizer],
    parameters: list[nn.Parameter],
    gradients: _Gradients,
) -> None:
    result.optimizer = " and ".join(type(o).__name__ for o in optimizers)
    groups = {p: group for o in optimizers for group in o.param_groups for p in group["params"]}
    copies = _copies(parameters, gradients)
    unknown = {p for o in optimizers for p in _without_step(result, o, copies)}
    for parameter, twin in copies.items():
        enforce_on(parameter, twin)
    for record, parameter in zip(result.parameters, parameters, strict=True):
        record.in_optimizer = parameter in groups
        if "lr" in groups.get(parameter, {}):
            record.rate = float(groups[parameter]["lr"])
        if parameter not in unknown:
            new, mean = copies[parameter].detach(), gradients.means[parameter]
            _compare(record, parameter.detach(), new, mean)
            _measure_slips(record, parameter.detach(), new, gradients.closed.get(parameter))


def _copies(parameters: list[nn.Parameter], gradients: _Gradients) -> dict[nn.Parameter, Tensor]:
    """Copies of the parameters that have the gradients they are about to be moved by."""
    copies = {p: p.detach().clone().requires_grad_(p.requires_grad) for p in parameters}
    for parameter, twin in copies.items():
        gradient = gradients.means[parameter] if parameter.requires_grad else parameter.grad
        if gradient is not None:
            gradient = gradient.detach().to(twin.dtype, copy=True)
            twin.grad = gradient.to_sparse(1) if parameter in gradients.sparse else gradient
    return copies


def _without_step(
    result: Measurement, optimizer: torch.optim.Optimizer, copies: dict[nn.Parameter, Tensor]
) -> list[nn.Parameter]:
    """Take the step on the copies; the parameters that it leaves unknown, of which a note tells."""
    name = type(optimizer).__name__
    if _needs_closure(optimizer):
        reason = "needs a closure to step"
    else:
        try:
            _copy_of(optimizer, copies).step()
        except Exception as error:  # of others: what they make of copies is theirs
            reason = f"cannot step on copies ({type(error).__name__}: {error})"
        else:
            return []
    result.notes.append(f"{name} {reason}, so its update was not measured")
    return (
        list(copies)
        if result.optimizer == name
        else [p for group in optimizer.param_groups for p in group["params"]]
    )


def _measure_slips(
    record: ParameterRecord, old: Tensor, new: Tensor, closed: Tensor | None
) -> None:
    """Measure how much of what a hook keeps the gradient from moves all the same."""
    if closed is not None:
        closed = closed & (old != 0)  # zeros are pruned, and told as such
        record.closed = float(closed.double().mean())
        record.slips = float(((new != old) & closed).sum()) / max(int(closed.sum()), 1)


@torch.no_grad()
def _compare(record: ParameterRecord, old: Tensor, new: Tensor, gradient: Tensor | None) -> None:
    wide = torch.promote_types(old.dtype, torch.float32)
    record.update = norm(new.to(wide) - old.to(wide))
    if gradient is not None and old.ndim > 1 and record.norm and record.gradient:
        record.along, record.turn = _directions(old, new, gradient)
    moved = new != old
    if record.masked and gradient is not None:
        held = (gradient == 0) & (old == 0)
        record.regrown = float((moved & held).sum()) / max(int(held.sum()), 1)
    if gradient is not None:
        pulled = gradient != 0
        record.stuck = float((pulled & ~moved).sum()) / max(int(pulled.sum()), 1)


def _directions(old: Tensor, new: Tensor, gradient: Tensor) -> tuple[float, float]:
    """How far a gradient points along a weight, and how far a step turns it: see the record."""
    weight, step, pull = (t.double().flatten() for t in (old, new, gradient))
    size, step = weight.norm(), step - weight
    aside = step - (step @ weight / size**2) * weight
    return float((pull @ weight).abs() / (size * pull.norm())), float(aside.norm() / size)


def _needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether `step` cannot be called without a closure, as that of LBFGS."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def _copy_of(optimizer: Any, copies: dict[nn.Parameter, Tensor]) -> Any:
    """The optimizer with all its state, holding `copies` for the parameters; no hooks."""
    twin = object.__new__(type(optimizer))
    memo: dict[int, Any] = {id(p): c for p, c in copies.items()}
    memo[id(optimizer)] = twin
    for name, value in optimizer.__dict__.items():
        if name.endswith("_hooks"):
            twin.__dict__[name] = OrderedDict()
        elif name != "step":  # a scheduler's wrapper around the step of the original
            twin.__dict__[name] = copy.deepcopy(value, memo)
    return twin
