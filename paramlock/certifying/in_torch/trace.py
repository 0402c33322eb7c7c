"""See the forward pass of a torch model: the graph of layers, their outputs, their activations.

It runs under a `TorchFunctionMode`, which sees every torch function that is called with
tensors: modules, `torch.nn.functional` and tensor methods alike. It needs no hooks. From the
parameters that functions receive it learns the graph of layers. What happens inside a fused
function is not seen; the gates of an LSTM or GRU and the rows of attention are computed again from
its inputs. Gates that are written out by hand (`torch.where`, a product with a comparison) and
derivatives that are (`torch.autograd.Function`) are named as not seen.

An index that the network computes itself (argmin, argmax, the best k) is followed to the tables it
looks up and to the layers it chooses among: as an index, a mask or a one-hot product. It is lost
where it becomes a Python number, inside `gumbel_softmax`, and with codes kept in buffers, which
have no gradient.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from paramlock.certifying.in_torch import attention as torch_attention
from paramlock.certifying.in_torch import gates as torch_gates
from paramlock.certifying.in_torch.backward import nodes_of
from paramlock.certifying.in_torch.counts import (
    FROM_OUTPUT,
    Range,
    Site,
    Spread,
    site_record,
)
from paramlock.certifying.records import (
    ACTIVATIONS,
    INPUT,
    LayerRecord,
    Lineage,
    ParameterRecord,
    Picks,
    SiteRecord,
    Tag,
    pools,
)
from paramlock.models.batches import call, samples_in
from paramlock.models.in_torch import (
    layer_of,
    modules_by_name,
    parameter_names,
    tensors_in,
    unit_axis,
    unsaved,
    within_wrappers,
)

CONVOLUTIONS = {f"conv{'_transpose' * t}{d}d": -d - 1 for d in (1, 2, 3) for t in (False, True)}
CHANNELS_SECOND = {"batch_norm", "group_norm", "instance_norm", "prelu"}
AXES_MOVE = {"permute", "transpose", "movedim", "swapaxes", "moveaxis", "t", "mT", "T"}
COMPARISONS = {"gt", "lt", "ge", "le", "eq", "ne", "greater", "less", "greater_equal", "less_equal"}
CHOICES = {"maximum", "minimum", "fmax", "fmin"}  # of values and a bound: a gate as well
CHOOSE = {"argmin", "argmax", "min", "max", "topk"}  # those that give indices
INDICES = {"scatter", "one_hot"}  # what they make of a choice is one, whatever it was written to
WEIGHS = {"mul", *torch_attention.PRODUCTS}
LOOK_UP = {"embedding", "getitem", "index_select", "gather", "take_along_dim"}
CHECKPOINT = os.path.join("torch", "utils", "checkpoint.py")
RECURRENT = {"rnn_tanh": "tanh", "rnn_relu": "relu"}  # and their cells


class Tracer(TorchFunctionMode):
    """Sees each torch function of a forward pass: the graph of layers, outputs, activations."""

    def __init__(
        self, model: nn.Module, delta: float, light: bool = False, replay: bool = True
    ) -> None:
        """Look at all there is.

        `light`: but for the ranges of outputs and gates written by hand. Without `replay`: but
        for what fused calls do inside, the gates of an LSTM or GRU and the rows of attention.
        """
        super().__init__()
        names = parameter_names(model)
        self._owners = {id(p): layer_of(n[0]) for p, n in names.items()}
        self._modules = modules_by_name(model)
        self._delta = delta
        self._light, self._replay = light, replay
        self.lineage = Lineage()
        self._tags: Any = WeakIdKeyDictionary()
        self._sites: dict[tuple[str, str, int], Site] = {}
        self._outputs: dict[tuple[str, int], Range] = {}
        self._inputs: dict[tuple[str, int], Range] = {}
        self._spreads: dict[tuple[str, int], Spread] = {}
        self._samples = 0
        self._calls: dict[str, int] = defaultdict(int)
        self._gates: Any = (
            WeakIdKeyDictionary()
        )  # comparisons of values, with the layer they rest on
        self._choices: Any = WeakIdKeyDictionary()  # {index: its origin and how much it picks}
        self._origins = itertools.count()
        self.picks = Picks()
        self.unseen: dict[str, None] = {}
        self.cuts: dict[str, str] = {}  # what ended the graph of derivatives after a layer

    def start(self, inputs: Any) -> None:
        """Forget the values of the last batch; what was counted stays."""
        self._tags, self._gates = WeakIdKeyDictionary(), WeakIdKeyDictionary()
        self._choices = WeakIdKeyDictionary()
        self._calls.clear()
        self._samples = 0 if self._light else samples_in(inputs)
        self.take(inputs)

    def take(self, inputs: Any) -> None:
        """Take what a module is called with for data, unless it is known where it comes from."""
        for tensor in tensors_in(inputs):
            if tensor not in self._tags:
                self._tags[tensor] = Tag((), True, -1)

    def run(self, model: nn.Module, inputs: Any) -> Any:
        """The model's output on `inputs`, seen."""
        self.start(inputs)
        with self:
            return call(within_wrappers(model), inputs)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch.compiler.is_compiling():  # nothing of ours goes into what is compiled
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        before = _kept_input(name, args, kwargs)
        result = func(*args, **kwargs)
        output = result[0] if isinstance(result, tuple) and result else result
        if isinstance(output, Tensor):
            try:
                self._look(name, func, args, kwargs, before, result, output)
            except Exception as error:  # what cannot be looked at must not stop who is looked at
                reason = str(error).partition("\n")[0]
                self.unseen[f"{name} ({type(error).__name__}: {reason})"] = None
        return result

    def _look(
        self, name: str, func: Any, args: Any, kwargs: Any, before: Any, result: Any, output: Tensor
    ) -> None:
        if not self._light:
            self._gate(name.strip("_"), args, kwargs, output)
            self._choose(name.strip("_"), args, kwargs, result)
        if output.is_floating_point() or output in self._tags:
            self._see(name, func, args, kwargs, before, result, output)
        elif output.dtype != torch.bool and not name.endswith("_like"):
            self._follow(args, kwargs, result)

    def _follow(self, args: Any, kwargs: Any, result: Any) -> None:
        """Follow whole numbers among the data, such as tokens, through views, slices and shifts."""
        tags = [self._tags.get(tensor) for tensor in (*tensors_in(args), *tensors_in(kwargs))]
        if any(tag is not None and tag.data and not tag.layers for tag in tags):
            for tensor in tensors_in(result):
                if tensor not in self._tags and not tensor.is_floating_point():
                    self._tags[tensor] = Tag((), True, -1)

    def _gate(self, name: str, args: Any, kwargs: Any, output: Tensor) -> None:
        """Follow comparisons of values to where they shut or open a way."""
        tensors = [*tensors_in(args), *tensors_in(kwargs)]
        tags = [tag for t in tensors if t.is_floating_point() and (tag := self._tags.get(t))]
        gate = next((g for t in tensors if (g := self._gates.get(t)) is not None), None)
        if name in COMPARISONS or (name in CHOICES and sum(tag.data for tag in tags) == 1):
            gate = next((tag.layers[-1] for tag in tags if tag.data and tag.layers), None)
        casts = not output.is_floating_point() or len(tensors) == 1
        if gate is not None and casts:
            self._gates[output] = gate
        elif gate is not None:
            self.unseen[f"a comparison that gates values by hand ({name}), after {gate}"] = None

    def _choose(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Follow indices that the network computes to the rows and layers that they pick."""
        if not self._choices and name not in CHOOSE | LOOK_UP:
            return
        tensors = [*tensors_in(args), *tensors_in(kwargs)]
        choice = next((c for t in tensors if (c := self._choices.get(t)) is not None), None)
        floats = [t for t in tensors if t.is_floating_point() and t not in self._choices]
        tags = [tag for t in floats if (tag := self._tags.get(t)) is not None and tag.data]
        made = list(tensors_in(result))
        if name in CHOOSE and any(tag.layers for tag in tags):
            made = [t for t in made if not t.is_floating_point()]
            choice = next(self._origins), sum(t.numel() for t in made)
        elif tags and name not in INDICES:
            gated = name in WEIGHS and any(tag.routed for tag in tags)
            self.lineage.route(tags if choice or gated else ())
            return
        elif tables := self._tables(floats):
            index = any(not t.is_floating_point() and t.dtype != torch.bool for t in tensors)
            if (name in LOOK_UP and index) or (name in torch_attention.PRODUCTS and choice):
                for layer, rows in tables:
                    self.picks.note(layer, rows, choice)
            return
        for tensor in made if choice else ():
            self._choices[tensor] = choice

    def _tables(self, tensors: list[Tensor]) -> list[tuple[str, int]]:
        """The layers and numbers of rows of those tensors that are made of weights alone."""
        found: list[tuple[str, int]] = []
        for table in (t for t in tensors if t.ndim > 1):
            tag = self._tags.get(table)
            own = (self._owners[id(table)],) if id(table) in self._owners else ()
            made_of = tag.layers if tag is not None and not tag.data else ()
            found += [(layer, len(table)) for layer in own or made_of]
        return found

    def _see(
        self, name: str, func: Any, args: Any, kwargs: Any, before: Any, result: Any, output: Tensor
    ) -> None:
        tensors = [*tensors_in(args), *tensors_in(kwargs)]
        owners = dict.fromkeys(self._owners[id(t)] for t in tensors if id(t) in self._owners)
        tags = [tag for t in tensors if (tag := self._tags.get(t)) is not None]
        tag = self.lineage.combine(owners, tags)
        if tag is None:
            return
        source = next((t for t in tensors if (x := self._tags.get(t)) is not None and x.data), None)
        tag = tag._replace(unit_axis=_unit_axis(name, bool(owners), tag, source, output))
        tag = self._attention(name, args, kwargs, tag, tags) if self._replay else tag
        if self._choices and tag.data and any(t in self._choices for t in tensors):
            tag = tag._replace(routed=True)
        if tag.data and not self._light:
            shapes = [t.shape for t in tensors if (x := self._tags.get(t)) is not None and x.data]
            tag = tag._replace(pooled=tag.pooled or pools(shapes, output.shape))
        function = _function(name, kwargs)
        if function in ACTIVATIONS and tag.data and source is not None:
            fed_by = self._tags[source]
            self._activation(function, func, args, kwargs, before, output, fed_by)
        for tensor in tensors_in(result):
            self._tags[tensor] = tag
        if tag.data and not output.requires_grad and any(t.requires_grad for t in tensors):
            self._note_cut(name, tag.layers)
        if tag.data and (owners or any(not t.data for t in tags)):
            self._layer_output(name, tag, source, output)
        if name in torch_gates.FUSED | torch_gates.CELLS and self._replay:
            gates = torch_gates.slopes(name, args)
            if gates is None:
                self.unseen[f"the gates inside {name}, of {tag.layers[-1]}"] = None
            else:
                self._site(tag, "gates", gates, output)

    def _note_cut(self, name: str, layers: tuple[str, ...]) -> None:
        """Note what ends the graph of derivatives after some layers: the first such operation."""
        for layer in layers:
            if layer not in self.cuts:
                self.cuts[layer] = name if torch.is_grad_enabled() else _no_gradients()

    def _attention(self, name: str, args: Any, kwargs: Any, tag: Tag, tags: list[Tag]) -> Tag:
        """Find rows of attention: inside a fused call, or a softmax that a product mixes by."""
        data = [t for t in tags if t.data]
        waiting = next((t.rows for t in data if t.rows is not None), None)
        if name in torch_attention.FUSED:
            scored = [self._tags[t] for t in [*args, *kwargs.values()][:2] if t in self._tags]
            packed = name.startswith("multi")
            own = torch_attention.owner_weight(args, kwargs) if packed else None
            owner = self._owners.get(id(own))
            of = Tag((owner,), True, -1) if owner else self.lineage.combine((), scored)
            self._rows(of, torch_attention.of_fused(name, args, kwargs))
        elif name == "softmax" and data:
            dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
            return tag._replace(rows=(tag, torch_attention.of_softmax(args[0], dim)))
        elif waiting and name.strip("_") in torch_attention.PRODUCTS and len(data) > 1:
            self._rows(*waiting)
        elif waiting and len(data) == 1 and len(tags) == 1:
            return tag._replace(rows=waiting)
        return tag

    def _rows(self, tag: Tag | None, rows: torch_attention.Rows | None) -> None:
        if tag is not None and rows is not None:
            heads = tag._replace(unit_axis=-2)
            self._site(heads, "attention", rows.slopes, rows.slopes, rows.counted)

    def _activation(
        self, name: str, func: Any, args: Any, kwargs: Any, before: Any, output: Tensor, tag: Tag
    ) -> None:
        with torch.no_grad():
            if name in FROM_OUTPUT:
                slope = FROM_OUTPUT[name](output.detach())
            else:
                slope = _slope(func, before if before is not None else args[0], args[1:], kwargs)
        self._site(tag, name, slope, output)

    def _site(
        self,
        tag: Tag,
        function: str,
        slope: Tensor,
        output: Tensor,
        counted: Tensor | None = None,
    ) -> None:
        if slope.ndim < 2:
            slope = slope.reshape(-1, 1)
        axis = tag.unit_axis if -tag.unit_axis <= slope.ndim else -1
        units = slope.shape[axis]
        key = (tag.layers[-1] if tag.layers else INPUT, function, units)
        if key not in self._sites:
            beside = tag.layers[:-1] if function == "attention" else ()
            self._sites[key] = Site(units, slope.device, beside)
        self._sites[key].add(slope, axis, function, self._delta, counted)
        if not self._light:
            self._sites[key].range.add(output.detach(), tag.unit_axis)

    def _layer_output(self, name: str, tag: Tag, source: Tensor | None, output: Tensor) -> None:
        function = RECURRENT.get(name.removesuffix("_cell"))
        if function:
            self._site(tag, function, FROM_OUTPUT[function](output.detach()), output)
        if self._light:
            return
        if name == "multi_head_attention_forward" and output.ndim == 3:  # its samples come second
            output = output.transpose(0, 1)
            source = source if source is None or source.ndim < 3 else source.transpose(0, 1)
        for layer in tag.layers:
            key = (layer, self._calls[layer])
            self._calls[layer] += 1
            self._outputs.setdefault(key, Range()).add(output.detach(), tag.unit_axis)
            self._spread(key, tag, output.detach())
            if source is not None:
                self._inputs.setdefault(key, Range()).add(source.detach(), -1)

    def _spread(self, key: tuple[str, int], tag: Tag, output: Tensor) -> None:
        """Measure how far positions are apart in an output (sample, position, feature)."""
        if tag.pooled or output.ndim != 3 or len(output) != self._samples:
            return
        axis = 1 if tag.unit_axis == -1 else 2
        if output.shape[axis] > 1 and output.numel() and output.is_floating_point():
            self._spreads.setdefault(key, Spread()).add(output, axis)

    def note_functions(self, outputs: Any) -> None:
        """Note derivatives that the model's author wrote by hand: they may be zero anywhere."""
        for node in nodes_of(outputs):
            written = getattr(node, "_forward_cls", None)
            if written is not None and not written.__module__.startswith("torch."):
                name = f"the derivative of {written.__name__}, an autograd function written by hand"
                self.unseen[name] = None

    def note_calls(self, records: list[ParameterRecord]) -> None:
        """Note layers that have a gradient, though their call was not seen."""
        reached = dict.fromkeys(r.layer for r in records if r.gradient is not None)
        for name in (n for n in reached if n not in self.lineage.order):
            self.unseen[f"the call of {name or 'the model'} (compiled or scripted code?)"] = None

    def site_records(self) -> list[SiteRecord]:
        """What the activations did, in the order in which layers were called."""
        return [site_record(*key, site) for key, site in self._sites.items()]

    def layer_records(self, names: Iterable[str]) -> list[LayerRecord]:
        """The layers, called ones first."""
        order = list(self.lineage.order)
        return [self._layer_record(n, True) for n in order] + [
            self._layer_record(n, False) for n in sorted(set(names) - set(order))
        ]

    def _layer_record(self, name: str, called: bool) -> LayerRecord:
        outputs = [r for (layer, _), r in self._outputs.items() if layer == name]
        inputs = [r for (layer, _), r in self._inputs.items() if layer == name]
        spreads = [s.share() for (layer, _), s in self._spreads.items() if layer == name]
        same_width = {len(r.varies) for r in outputs if r.varies is not None}
        constant = _common([r.constant() for r in outputs]) if len(same_width) == 1 else ()
        module = self._modules.get(name)
        return LayerRecord(
            name,
            type(module).__name__,
            called,
            tuple(self.lineage.parents.get(name, ())),
            max(same_width, default=0),
            constant,
            bool(inputs) and all(r.all_constant() for r in inputs),
            sum(r.nonfinite for r in outputs),
            "" if unit_axis(module) is None else f"{name}.weight".removeprefix("."),
            name in self.lineage.routed,
            max((s for s in spreads if s is not None), default=None),
            self.cuts.get(name, ""),
        )


def _common(sets: list[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sorted(set.intersection(*map(set, sets)))) if sets else ()


def _function(name: str, kwargs: Any) -> str:
    """The activation's name; `nn.ReLU6` calls itself a hard tanh from 0."""
    function = name.removesuffix("_")
    return "relu6" if function == "hardtanh" and kwargs.get("min_val") == 0 else function


def _kept_input(name: str, args: Any, kwargs: Any) -> Tensor | None:
    """A copy of an input that the activation called `name` is about to overwrite."""
    function = name.removesuffix("_")
    if function not in ACTIVATIONS or function in FROM_OUTPUT:
        return None
    overwrites = name.endswith("_") or kwargs.get("inplace") or True in args[1:]
    if not overwrites or not args or not isinstance(args[0], Tensor):
        return None
    return args[0].detach().clone()


def _slope(func: Any, inputs: Tensor, rest: Any, kwargs: Any) -> Tensor:
    """The derivative of an elementwise function at each entry of `inputs`."""
    point = inputs.detach().clone().requires_grad_()
    with torch.enable_grad(), unsaved():
        # the clone is of the leaf, for the function may work in place
        value = func(point.clone(), *rest, **{k: v for k, v in kwargs.items() if k != "out"})
        return torch.autograd.grad(value.sum(), point)[0]


def _no_gradients() -> str:
    """What has switched gradients off, as the call stack tells it."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_filename.endswith(CHECKPOINT):
            return "reentrant checkpointing of inputs that need no gradient"
    return "no_grad"


def _unit_axis(name: str, layer: bool, tag: Tag, source: Tensor | None, output: Tensor) -> int:
    """Which axis of `output` counts units, from the end."""
    if name in CONVOLUTIONS:
        return CONVOLUTIONS[name]
    if name in CHANNELS_SECOND and output.ndim > 1:
        return 1 - output.ndim
    if layer or name in AXES_MOVE or (source is not None and source.ndim != output.ndim):
        return -1
    return tag.unit_axis
