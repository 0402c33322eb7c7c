"""Measure a torch model for its certificate, and leave it exactly as it was.

The forward pass runs under a ``TorchFunctionMode``, which sees every torch function that is
called with tensors: modules, ``torch.nn.functional`` and tensor methods alike. It needs no hooks.
From the parameters that functions receive it learns the graph of layers. What happens inside a
fused function (``scaled_dot_product_attention``) is not seen, its output and gradients are; the
gates of an LSTM or GRU are computed again from them.

Gradients are taken with ``torch.autograd.grad``, which touches no ``.grad``. The optimizer's next
step is taken by a copy of the optimizer on copies of the parameters.
"""

from __future__ import annotations

import contextlib
import copy
import math
import random
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from paramlock import torch_gates
from paramlock.batches import batches_of, call, explained, samples_in, some, split
from paramlock.measure import (
    ACTIVATIONS,
    SATURABLE,
    LayerRecord,
    Lineage,
    Measurement,
    NormalisationRecord,
    ParameterRecord,
    SiteRecord,
    Tag,
    ratio,
    total,
)

Loss = Callable[[Any, Any], Tensor]
CONVOLUTIONS = {f"conv{'_transpose' * t}{d}d": -d - 1 for d in (1, 2, 3) for t in (False, True)}
CHANNELS_SECOND = {"batch_norm", "group_norm", "instance_norm", "prelu"}
AXES_MOVE = {"permute", "transpose", "movedim", "swapaxes", "moveaxis", "t", "mT", "T"}
FROM_OUTPUT: dict[str, Callable[[Tensor], Tensor]] = {  # derivatives that need the output alone
    "relu": lambda y: y,  # zero where the derivative is, which is all that counts here
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y * y,
}
RECURRENT = {"rnn_tanh": "tanh", "rnn_relu": "relu"}  # and their cells


def measure(
    model: nn.Module, data: Any, loss: Loss, optimizer: Any = None, delta: float = 0.05
) -> Measurement:
    """Return all numbers for a certificate of ``model``; see ``paramlock.certificate``."""
    check_model(model)
    names = parameter_names(model)
    with undisturbed(model, data):
        before = {module: _statistics(module) for module in model.modules()}
        tracer = Tracer(model, delta)
        gradients, summary = _mean_gradients(tracer, model, data, loss, list(names))
        drift = {m: _drift(m, statistics) for m, statistics in before.items() if statistics}
    records = [_parameter_record(p, *names[p], gradients[p]) for p in names]
    result = Measurement(
        "torch",
        records,
        tracer.layer_records({r.layer for r in records}),
        tracer.site_records(),
        _normalisations(model, drift),
        **summary,
    )
    _measure_masks(model, records, list(names), gradients)
    if optimizer is not None:
        _measure_update(result, optimizer, list(names), gradients)
    return result


def check_model(model: nn.Module) -> None:
    """Raise ``ValueError`` for parameters that can have no gradient."""
    if not any(True for _ in model.parameters()):
        raise ValueError(
            f"{type(model).__name__} has no parameters, so nothing in it can be locked: pass the "
            "model that is trained"
        )
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            problem, way_out = "not initialised yet", "run one batch through the model first"
        elif parameter.is_meta:
            problem = "on the meta device and has no values"
            way_out = "create the model on a real device (model.to_empty, then load its weights)"
        elif not parameter.is_floating_point():
            problem = f"of type {parameter.dtype}, which has no gradient"
            way_out = "make a certificate of the model before it is quantised"
        else:
            continue
        raise ValueError(f"parameter {name!r} is {problem}: {way_out}")


def parameter_names(model: nn.Module) -> dict[nn.Parameter, tuple[str, ...]]:
    """Return each parameter once, with all its names."""
    names: dict[nn.Parameter, tuple[str, ...]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names[parameter] = (*names.get(parameter, ()), name)
    return names


def layer_of(name: str) -> str:
    """Return the path of the module that owns the parameter called ``name``."""
    owner = name.rpartition(".")[0]
    return owner.removesuffix(".original").partition(".parametrizations")[0]


# --- what must not change


@contextlib.contextmanager
def undisturbed(model: nn.Module, data: Any = None) -> Iterator[None]:
    """Put parameters, buffers, modes and random generators back, whatever happens inside."""
    modules = list(model.modules())
    modes = [module.training for module in modules]
    tables = [(m, dict(m._parameters), dict(m._buffers)) for m in modules]
    kept = [t for _, p, b in tables for t in (*p.values(), *b.values()) if t is not None]
    values = [tensor.detach().clone() for tensor in kept]
    generators = _generators(data)
    states = [g.get_state() for g in generators]
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
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
    """Return the generators that a loader shuffles with."""
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


# --- one pass over the data


def _mean_gradients(
    tracer: Tracer, model: nn.Module, data: Any, loss: Loss, parameters: list[nn.Parameter]
) -> tuple[dict[nn.Parameter, Tensor | None], dict[str, Any]]:
    """Return the gradient of the mean loss per sample over all batches, and a summary."""
    sums: dict[nn.Parameter, Tensor | None] = dict.fromkeys(parameters)
    wanted = [p for p in parameters if p.requires_grad]
    samples, batches, loss_sum, bad_inputs = 0, 0, 0.0, 0
    for batch in batches_of(data):
        inputs, targets = split(batch)
        count = samples_in(inputs)
        bad_inputs += _nonfinite(inputs)
        with torch.enable_grad(), explained(batches, inputs):
            value = loss(tracer.run(model, inputs), targets)
            gradients = _gradients(value, wanted)
        for parameter, gradient in zip(wanted, gradients, strict=True):
            _accumulate(sums, parameter, gradient, count)
        samples, batches = samples + count, batches + 1
        loss_sum += float(value.detach()) * count
    means = {p: None if s is None else s / some(samples) for p, s in sums.items()}
    return means, {
        "samples": samples,
        "batches": batches,
        "loss": loss_sum / some(samples),
        "input_nonfinite": bad_inputs,
    }


def _gradients(value: Any, wanted: list[nn.Parameter]) -> tuple[Tensor | None, ...]:
    if not isinstance(value, Tensor) or value.numel() != 1:
        shape = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else value
        raise ValueError(f"the loss is {shape!r}, not a single number: reduce it with .mean()")
    if not wanted:
        return ()
    if not value.requires_grad:
        raise ValueError(
            "the loss has no graph, so no gradient can reach any parameter: something between "
            "model and loss cuts it (detach, no_grad, item, argmax, numpy)"
        )
    return torch.autograd.grad(value, wanted, allow_unused=True)


def _accumulate(
    sums: dict[nn.Parameter, Tensor | None], parameter: nn.Parameter, gradient: Any, count: int
) -> None:
    """Add in float32 at least: sums of bfloat16 lose what is small."""
    if gradient is None:
        return
    dense = gradient.to_dense() if gradient.is_sparse else gradient
    part = dense.detach().to(torch.promote_types(dense.dtype, torch.float32)) * count
    before = sums[parameter]
    sums[parameter] = part if before is None else before + part


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, Mapping):
        yield from _tensors(tuple(value.values()))


def _nonfinite(value: Any) -> int:
    floating = [t for t in _tensors(value) if t.is_floating_point()]
    return sum(int((~t.isfinite()).sum()) for t in floating)


# --- seeing the forward pass


class Tracer(TorchFunctionMode):
    """Sees each torch function of a forward pass: the graph of layers, outputs, activations."""

    def __init__(self, model: nn.Module, delta: float, light: bool = False) -> None:
        """``light``: watch activations only, without the ranges of outputs."""
        super().__init__()
        names = parameter_names(model)
        self._owners = {id(p): layer_of(n[0]) for p, n in names.items()}
        self._modules = dict(model.named_modules())
        self._delta = delta
        self._light = light
        self.lineage = Lineage()
        self._tags: Any = WeakIdKeyDictionary()
        self._sites: dict[tuple[str, str, int], _Site] = {}
        self._outputs: dict[tuple[str, int], _Range] = {}
        self._inputs: dict[tuple[str, int], _Range] = {}
        self._calls: dict[str, int] = defaultdict(int)

    def start(self, inputs: Any) -> None:
        """Forget the values of the last batch; what was counted stays."""
        self._tags = WeakIdKeyDictionary()
        self._calls.clear()
        for tensor in _tensors(inputs):
            self._tags[tensor] = Tag((), True, -1)

    def run(self, model: nn.Module, inputs: Any) -> Any:
        """Return the model's output on ``inputs``, seen."""
        self.start(inputs)
        with self:
            return call(model, inputs)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        before = _kept_input(name, args, kwargs)
        result = func(*args, **kwargs)
        output = result[0] if isinstance(result, tuple) and result else result
        if isinstance(output, Tensor) and (output.is_floating_point() or output in self._tags):
            self._see(name, func, args, kwargs, before, result, output)
        return result

    def _see(
        self, name: str, func: Any, args: Any, kwargs: Any, before: Any, result: Any, output: Tensor
    ) -> None:
        tensors = [*_tensors(args), *_tensors(kwargs)]
        owners = dict.fromkeys(self._owners[id(t)] for t in tensors if id(t) in self._owners)
        tags = [tag for t in tensors if (tag := self._tags.get(t)) is not None]
        tag = self.lineage.combine(owners, tags)
        if tag is None:
            return
        source = next((t for t in tensors if (x := self._tags.get(t)) is not None and x.data), None)
        tag = tag._replace(unit_axis=_unit_axis(name, bool(owners), tag, source, output))
        function = _function(name, kwargs)
        if function in ACTIVATIONS and tag.data and source is not None:
            fed_by = self._tags[source]
            self._activation(function, func, args, kwargs, before, output, fed_by)
        for tensor in _tensors(result):
            self._tags[tensor] = tag
        if tag.data and (owners or any(not t.data for t in tags)):
            self._layer_output(name, tag, source, output)
        if name in torch_gates.FUSED | torch_gates.CELLS and not self._light:
            gates = torch_gates.slopes(name, args)
            if gates is not None:
                self._site(tag, "gates", gates, output)

    def _activation(
        self, name: str, func: Any, args: Any, kwargs: Any, before: Any, output: Tensor, tag: Tag
    ) -> None:
        with torch.no_grad():
            if name in FROM_OUTPUT:
                slope = FROM_OUTPUT[name](output.detach())
            else:
                slope = _slope(func, before if before is not None else args[0], args[1:], kwargs)
        self._site(tag, name, slope, output)

    def _site(self, tag: Tag, function: str, slope: Tensor, output: Tensor) -> None:
        if slope.ndim < 2:
            slope = slope.reshape(-1, 1)
        axis = tag.unit_axis if -tag.unit_axis <= slope.ndim else -1
        units = slope.shape[axis]
        key = (tag.layers[-1] if tag.layers else "input", function, units)
        if key not in self._sites:
            self._sites[key] = _Site(units, slope.device)
        self._sites[key].add(slope, axis, function, self._delta)
        if not self._light:
            self._sites[key].range.add(output.detach(), tag.unit_axis)

    def _layer_output(self, name: str, tag: Tag, source: Tensor | None, output: Tensor) -> None:
        function = RECURRENT.get(name.removesuffix("_cell"))
        if function:
            self._site(tag, function, FROM_OUTPUT[function](output.detach()), output)
        if self._light:
            return
        for layer in tag.layers:
            key = (layer, self._calls[layer])
            self._calls[layer] += 1
            self._outputs.setdefault(key, _Range()).add(output.detach(), tag.unit_axis)
            if source is not None:
                self._inputs.setdefault(key, _Range()).add(source.detach(), -1)

    def site_records(self) -> list[SiteRecord]:
        """Return what the activations did, in the order in which layers were called."""
        sites = [_site_record(*key, site) for key, site in self._sites.items()]
        return sites

    def layer_records(self, names: Iterable[str]) -> list[LayerRecord]:
        """Return the layers, called ones first."""
        order = list(self.lineage.order)
        return [self._layer_record(n, True) for n in order] + [
            self._layer_record(n, False) for n in sorted(set(names) - set(order))
        ]

    def _layer_record(self, name: str, called: bool) -> LayerRecord:
        outputs = [r for (layer, _), r in self._outputs.items() if layer == name]
        inputs = [r for (layer, _), r in self._inputs.items() if layer == name]
        same_width = {len(r.varies) for r in outputs if r.varies is not None}
        constant = _common([r.constant() for r in outputs]) if len(same_width) == 1 else ()
        return LayerRecord(
            name,
            type(self._modules.get(name)).__name__,
            called,
            tuple(self.lineage.parents.get(name, ())),
            max(same_width, default=0),
            constant,
            bool(inputs) and all(r.all_constant() for r in inputs),
            sum(r.nonfinite for r in outputs),
        )


def _common(sets: list[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sorted(set.intersection(*map(set, sets)))) if sets else ()


def _function(name: str, kwargs: Any) -> str:
    """Return the activation's name; ``nn.ReLU6`` calls itself a hard tanh from 0."""
    function = name.removesuffix("_")
    return "relu6" if function == "hardtanh" and kwargs.get("min_val") == 0 else function


def _kept_input(name: str, args: Any, kwargs: Any) -> Tensor | None:
    """Return a copy of an input that the activation called ``name`` is about to overwrite."""
    function = name.removesuffix("_")
    if function not in ACTIVATIONS or function in FROM_OUTPUT:
        return None
    overwrites = name.endswith("_") or kwargs.get("inplace") or True in args[1:]
    return args[0].detach().clone() if overwrites and args else None


def _slope(func: Any, inputs: Tensor, rest: Any, kwargs: Any) -> Tensor:
    """Return the derivative of an elementwise function at each entry of ``inputs``."""
    point = inputs.detach().clone().requires_grad_()
    with torch.enable_grad():
        # the clone is of the leaf, for the function may work in place
        value = func(point.clone(), *rest, **{k: v for k, v in kwargs.items() if k != "out"})
        return torch.autograd.grad(value.sum(), point)[0]


def _unit_axis(name: str, layer: bool, tag: Tag, source: Tensor | None, output: Tensor) -> int:
    """Return which axis of ``output`` counts units, from the end."""
    if name in CONVOLUTIONS:
        return CONVOLUTIONS[name]
    if name in CHANNELS_SECOND and output.ndim > 1:
        return 1 - output.ndim
    if layer or name in AXES_MOVE or (source is not None and source.ndim != output.ndim):
        return -1
    return tag.unit_axis


def _other_axes(value: Tensor, axis: int) -> list[int]:
    """Return all axes of ``value`` but the one that counts units."""
    unit = axis % value.ndim if -axis <= value.ndim else value.ndim - 1
    return [i for i in range(value.ndim) if i != unit]


class _Site:
    """Counts over the data for the units of one activation."""

    def __init__(self, units: int, device: torch.device) -> None:
        self.alive = torch.zeros(units, dtype=torch.bool, device=device)
        self.steep = torch.zeros(units, dtype=torch.bool, device=device)
        self.flat = 0
        self.entries = 0
        self.nonfinite = False
        self.range = _Range()

    def add(self, slope: Tensor, axis: int, function: str, delta: float) -> None:
        """Count derivatives; units lie along ``axis``."""
        size = slope if function in FROM_OUTPUT else slope.abs()  # the former have no sign
        largest = size.amax(_other_axes(size, axis))
        self.nonfinite |= not bool(largest.isfinite().all())
        self.alive |= largest != 0
        self.steep |= largest >= delta
        self.entries += slope.numel()
        if function in SATURABLE:
            self.flat += int((size < delta).sum())


class _Range:
    """Whether each unit of a tensor varies over samples; positions are kept apart."""

    def __init__(self) -> None:
        self.varies: Tensor | None = None
        self.first: Tensor | None = None
        self.samples = 0
        self.nonfinite = 0

    def add(self, value: Tensor, axis: int) -> None:
        """Take in a batch: samples along the first axis, units along ``axis``."""
        if value.ndim < 2:
            value = value.reshape(-1, 1)
        if value.is_complex():
            value = torch.view_as_real(value).flatten(-2)
        low, high = value.amin(0), value.amax(0)
        if not bool((low.isfinite() & high.isfinite()).all()):
            self.nonfinite += int((~value.isfinite()).sum())
        varies = _differs(low, high)
        if self.first is not None and self.first.shape == low.shape:
            varies |= _differs(self.first, low)
        self.first = low if self.first is None else self.first
        by_unit = varies[None].amax(_other_axes(varies[None], axis))
        same = self.varies is not None and self.varies.shape == by_unit.shape
        self.varies = by_unit | self.varies if same and self.varies is not None else by_unit
        self.samples += len(value)

    def constant(self) -> tuple[int, ...]:
        """Return the units that did not vary; none where there was but one sample."""
        if self.varies is None or self.samples < 2 or self.nonfinite:
            return ()
        return tuple((~self.varies).nonzero().flatten().tolist())

    def all_constant(self) -> bool:
        """Whether nothing varied."""
        return self.varies is not None and len(self.constant()) == len(self.varies)


def _differs(a: Tensor, b: Tensor) -> Tensor:
    """Return where ``a`` and ``b`` differ by more than rounding."""
    if not a.is_floating_point():
        return a != b
    return (a - b).abs() > 4 * torch.finfo(a.dtype).eps * torch.maximum(a.abs(), b.abs())


def _site_record(layer: str, function: str, units: int, site: _Site) -> SiteRecord:
    flat_units = ~site.steep & site.alive if function in SATURABLE else torch.zeros_like(site.alive)
    return SiteRecord(
        layer,
        function,
        units,
        tuple((~site.alive).nonzero().flatten().tolist()),
        tuple(flat_units.nonzero().flatten().tolist()),
        site.flat / max(site.entries, 1),
        site.range.all_constant(),
        site.nonfinite,
    )


# --- parameters


def norm(tensor: Tensor | None) -> float | None:
    """Return the Euclidean norm in float64, free of under- and overflow."""
    if tensor is None:
        return None
    if not tensor.numel():
        return 0.0
    largest = float(tensor.detach().abs().max())
    if not largest or not math.isfinite(largest):
        return largest
    return largest * float((tensor.detach().double() / largest).norm())


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
        nonfinite=_nonfinite(parameter.detach()),
        gradient_nonfinite=0 if gradient is None else _nonfinite(gradient),
        aliases=tuple(own[1:]),
    )


def _mask_of(model: nn.Module, record: ParameterRecord) -> Tensor | None:
    """Return the mask that ``torch.nn.utils.prune`` put on a parameter."""
    owner, _, leaf = record.name.rpartition(".")
    buffers = model.get_submodule(owner)._buffers
    return buffers.get(leaf.removesuffix("_orig") + "_mask") if leaf.endswith("_orig") else None


def _held(
    model: nn.Module, record: ParameterRecord, parameter: Tensor, gradient: Tensor | None
) -> Tensor | None:
    """Return where a weight is held at zero: by a mask, or at zero and without gradient.

    Where a whole input gives no gradient, the input is zero and not the weight masked.
    """
    mask = _mask_of(model, record)
    if mask is not None:
        return mask == 0
    module = model.get_submodule(record.layer) if record.layer else model
    embeds = isinstance(module, (nn.Embedding, nn.EmbeddingBag))
    if gradient is None or parameter.ndim < 2 or embeds or not (record.gradient and record.norm):
        return None
    return (parameter.detach() == 0) & (gradient == 0) & (gradient != 0).any(0)


def _measure_masks(
    model: nn.Module,
    records: list[ParameterRecord],
    parameters: list[nn.Parameter],
    gradients: dict[nn.Parameter, Tensor | None],
) -> None:
    for record, parameter in zip(records, parameters, strict=True):
        held = _held(model, record, parameter, gradients[parameter])
        record.masked = 0.0 if held is None else float(held.double().mean())


# --- running statistics


def _statistics(module: nn.Module) -> list[Tensor]:
    found = (getattr(module, name, None) for name in ("running_mean", "running_var"))
    return [t.detach().clone() for t in found if isinstance(t, Tensor)]


def _drift(module: nn.Module, before: list[Tensor]) -> float:
    """Return by how much the running statistics moved, relative to their norm."""
    moved = total(norm(a - b) for a, b in zip(_statistics(module), before, strict=True))
    return ratio(moved, total(map(norm, before)))


def _normalisations(model: nn.Module, drift: dict[nn.Module, float]) -> list[NormalisationRecord]:
    modules = dict(model.named_modules())
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


# --- the optimizer's next step, on copies


def _measure_update(
    result: Measurement,
    optimizer: torch.optim.Optimizer,
    parameters: list[nn.Parameter],
    gradients: dict[nn.Parameter, Tensor | None],
) -> None:
    result.optimizer = type(optimizer).__name__
    rates = {p: float(g["lr"]) for g in optimizer.param_groups for p in g["params"] if "lr" in g}
    copies = _step_on_copies(optimizer, parameters, gradients)
    if copies is None:
        result.notes.append(
            f"{result.optimizer} needs a closure to step, so its update was not measured"
        )
    for record, parameter in zip(result.parameters, parameters, strict=True):
        record.rate = rates.get(parameter)
        if copies is not None:
            _compare(record, parameter.detach(), copies[parameter], gradients[parameter])


@torch.no_grad()
def _compare(record: ParameterRecord, old: Tensor, new: Tensor, gradient: Tensor | None) -> None:
    wide = torch.promote_types(old.dtype, torch.float32)
    record.update = norm(new.to(wide) - old.to(wide))
    moved = new != old
    if record.masked and gradient is not None:
        held = (gradient == 0) & (old == 0)
        record.regrown = float((moved & held).sum()) / max(int(held.sum()), 1)
    if gradient is not None:
        pulled = gradient != 0
        record.stuck = float((pulled & ~moved).sum()) / max(int(pulled.sum()), 1)


def _step_on_copies(
    optimizer: torch.optim.Optimizer,
    parameters: list[nn.Parameter],
    gradients: dict[nn.Parameter, Tensor | None],
) -> dict[nn.Parameter, Tensor] | None:
    """Return the parameters after the optimizer's next step, taken by a copy of it."""
    copies = {p: p.detach().clone().requires_grad_(p.requires_grad) for p in parameters}
    for parameter, twin in copies.items():
        gradient = gradients[parameter] if parameter.requires_grad else parameter.grad
        twin.grad = None if gradient is None else gradient.detach().to(twin.dtype, copy=True)
    try:
        _copy_of(optimizer, copies).step()
    except TypeError:
        return None
    return {p: c.detach() for p, c in copies.items()}


def _copy_of(optimizer: Any, copies: dict[nn.Parameter, Tensor]) -> Any:
    """Return the optimizer with all its state, holding ``copies`` for the parameters; no hooks."""
    twin = object.__new__(type(optimizer))
    memo: dict[int, Any] = {id(p): c for p, c in copies.items()}
    memo[id(optimizer)] = twin
    for name, value in optimizer.__dict__.items():
        if name.endswith("_hooks"):
            twin.__dict__[name] = OrderedDict()
        elif name != "step":  # a scheduler's wrapper around the step of the original
            twin.__dict__[name] = copy.deepcopy(value, memo)
    return twin
