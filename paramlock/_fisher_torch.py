"""The Fisher diagonal of torch modules, layer by layer.

One forward pass records every *call* of a layer whose rule is known: its input and the place in
the graph where its output left. One backward pass per cotangent gives the gradient there, and the
rule turns input and gradient into per-sample gradients of the layer's parameters, or straight
into the sum of their squares. Ordinary weight gradients are never computed, so a dense network
costs the same three matrix products as one training step.

A parameter is *explained* when every edge of the graph that ends in it belongs to a recorded
call. All others (used functionally, packed, reparametrised, …) are measured sample by sample.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional as F

from paramlock.batches import arrays, explained, rows_of, samples_in
from paramlock.batches import call as run
from paramlock.fisher import labelled, require_targets
from paramlock.torch_probe import check_model

PART = 200  # samples at once through a convolutional network (benchmarks/fisher.py)
LARGE = 1 << 14  # numbers in a row from which on an operation of its own pays
CHUNK = 1 << 20  # numbers in one block of per-sample gradients or patches: it stays in cache


class Call(NamedTuple):
    """One call of a layer: its input as it was, and where its output left in the graph."""

    layer: Any
    inputs: Tensor
    version: int
    edge: GradientEdge
    outputs: torch.Size


def diagonal(
    model: nn.Module, data: Iterable[Any], *, kind: str, likelihood: str, draws: int, seed: int
) -> dict[str, Tensor]:
    """See ``paramlock.fisher_diagonal``."""
    params = _parameters(model)
    totals: dict[Tensor, Tensor] = {}
    generator = torch.Generator().manual_seed(seed)
    count = 0
    with _evaluating(model, params), torch.enable_grad():
        for inputs, targets in _parts(model, labelled(data, kind)):
            calls, outputs = _forward(model, inputs)
            scores = list(
                _cotangents(outputs.detach(), targets, kind, likelihood, draws, generator)
            )
            for parameter, squares in _squares(model, inputs, calls, outputs, scores, params):
                _accumulate(totals, parameter, squares)
            count += samples_in(inputs)
    return {
        name: totals[p].div_(count) if p in totals else torch.zeros_like(p, dtype=_precision(p))
        for name, p in params.items()
    }


def _parts(model: nn.Module, pairs: Iterable[Any]) -> Iterator[Any]:
    """Cut batches for convolutions, whose activations are large: cache serves a part faster."""
    step = PART if any(isinstance(m, nn.modules.conv._ConvNd) for m in model.modules()) else None
    for inputs, targets in pairs:
        _check_arrays(inputs, targets)
        n = samples_in(inputs)
        for start in range(0, n, step or n):
            rows = slice(start, start + (step or n))
            yield rows_of(inputs, rows), None if targets is None else targets[rows]


def _check_arrays(inputs: Any, targets: Any) -> None:
    for part in (*arrays(inputs), *arrays(targets)):
        if not torch.is_tensor(part) or not part.ndim:
            raise ValueError(
                f"the data hold a {type(part).__name__} of shape {tuple(part.shape)}: pass torch "
                "tensors (n, …), the samples along the first axis"
            )


def _accumulate(totals: dict[Tensor, Tensor], parameter: Tensor, squares: Tensor) -> None:
    if parameter in totals:
        totals[parameter] += squares
    else:
        totals[parameter] = squares  # no zeros first: fresh memory costs as much as the sums


def _parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    check_model(model)
    return dict(model.named_parameters())


def _precision(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


@contextmanager
def _evaluating(model: nn.Module, params: dict[str, nn.Parameter]) -> Iterator[None]:
    """Evaluation mode and every parameter in the graph; all flags come back afterwards."""
    _refuse_batch_statistics(model)
    modes = [(module, module.training) for module in model.modules()]
    frozen = [p for p in params.values() if not p.requires_grad]
    try:
        model.eval()
        for parameter in frozen:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
        for module, training in modes:
            module.training = training


def _refuse_batch_statistics(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            raise ValueError(
                f"batch normalisation {name!r} keeps no running statistics, so samples depend on "
                "each other even in evaluation mode: build it with track_running_stats=True"
            )


# --- what the likelihood says about the outputs ---------------------------------------------


def _cotangents(
    outputs: Tensor,
    targets: Any,
    kind: str,
    likelihood: str,
    draws: int,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Yield tensors shaped like ``outputs`` (n, …, classes) whose squares are to be summed."""
    if outputs.ndim < 2:
        raise ValueError(f"outputs have the shape {tuple(outputs.shape)}, not (n, …, classes)")
    outputs = outputs.to(_precision(outputs))
    if kind == "empirical":
        require_targets(tuple(targets.shape), tuple(outputs.shape), likelihood)
        yield _score(outputs, targets.to(outputs.device), likelihood)
    elif kind == "sampled":
        for _ in range(draws):
            labels = _draw(outputs, likelihood, generator)
            yield _score(outputs, labels, likelihood) / math.sqrt(draws)
    else:
        yield from _one_position_at_a_time(_roots(outputs, likelihood), outputs.shape)


def _score(outputs: Tensor, targets: Tensor, likelihood: str) -> Tensor:
    """The gradient of the log-likelihood of ``targets`` with respect to ``outputs``."""
    if likelihood == "gaussian":
        return targets - outputs
    classes = outputs.shape[-1]
    if targets.is_floating_point() or targets.min() < 0 or targets.max() >= classes:
        raise ValueError(
            f"targets must be whole numbers from 0 to {classes - 1}, one for each of the "
            f"{classes} classes that the outputs have; they are {targets.dtype} from "
            f"{targets.min().item()} to {targets.max().item()}"
        )
    return F.one_hot(targets.long(), classes) - outputs.softmax(-1)


def _draw(outputs: Tensor, likelihood: str, generator: torch.Generator) -> Tensor:
    """Labels from the network's own distribution, drawn on the CPU for the seed's sake."""
    if likelihood == "gaussian":
        noise = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
        return outputs + noise.to(outputs.device)
    chances = outputs.softmax(-1).flatten(0, -2).cpu()
    labels = torch.multinomial(chances, 1, generator=generator)
    return labels.reshape(outputs.shape[:-1]).to(outputs.device)


def _roots(outputs: Tensor, likelihood: str) -> Tensor:
    """Columns (…, classes, k) whose outer products sum to the Fisher of the outputs.

    For logits that matrix is diag(p) - ppᵀ, and its Cholesky factor has a closed form with one
    column less than there are classes (Tanabe and Sagae 1992, "An exact Cholesky decomposition
    of the multinomial covariance matrix"), which saves a backward pass.
    """
    classes = outputs.shape[-1]
    if likelihood == "gaussian":
        eye = torch.eye(classes, dtype=outputs.dtype, device=outputs.device)
        return eye.expand(*outputs.shape[:-1], classes, classes)
    p = outputs.softmax(-1)
    rest = p.flip(-1).cumsum(-1).flip(-1)  # rest[i] = p[i] + p[i+1] + …, without cancellation
    after = torch.cat([rest[..., 1:], torch.zeros_like(rest[..., :1])], -1)
    tiny = torch.finfo(p.dtype).tiny
    below = (p / (after.clamp_min(tiny) * rest.clamp_min(tiny))).sqrt()
    columns = -p.unsqueeze(-1) * below.unsqueeze(-2)
    columns = columns.tril(-1) + torch.diag_embed((p * after / rest.clamp_min(tiny)).sqrt())
    return columns[..., :-1]


def _one_position_at_a_time(roots: Tensor, shape: torch.Size) -> Iterator[Tensor]:
    """Yield cotangents: positions of a sequence draw their labels independently."""
    n, classes = shape[0], shape[-1]
    flat = roots.reshape(n, -1, classes, roots.shape[-1])
    for position in range(flat.shape[1]):
        for column in range(flat.shape[-1]):
            cotangent = flat.new_zeros(n, flat.shape[1], classes)
            cotangent[:, position] = flat[:, position, :, column]
            yield cotangent.reshape(shape)


# --- one forward pass, one backward pass per cotangent --------------------------------------


def _forward(model: nn.Module, inputs: Any) -> tuple[list[Call], Tensor]:
    calls: list[Call] = []

    def record(layer: Any, args: Any, kwargs: Any, output: Any) -> None:
        given = args[0] if args else kwargs.get("input")
        if torch.is_tensor(given) and torch.is_tensor(output) and output.requires_grad:
            kept = given.detach()
            calls.append(Call(layer, kept, kept._version, get_gradient_edge(output), output.shape))

    layers = [m for m in model.modules() if type(m) in _RULES and _RULES[type(m)].fits(m)]
    hooks = [layer.register_forward_hook(record, with_kwargs=True) for layer in layers]
    try:
        with explained(None, inputs):
            outputs = run(model, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return calls, _checked(outputs, samples_in(inputs))


def _checked(outputs: Any, n: int) -> Tensor:
    if not torch.is_tensor(outputs):
        raise ValueError(f"the model returns {type(outputs).__name__}; wrap it to return a tensor")
    if not outputs.requires_grad:
        raise ValueError(
            "the outputs hang on no parameter: the model runs under no_grad or detaches them"
        )
    if outputs.shape[:1] != (n,):
        raise ValueError(
            f"{n} samples gave outputs of the shape {tuple(outputs.shape)}; the first axis of "
            "inputs and outputs must be the sample"
        )
    return outputs


def _squares(
    model: nn.Module,
    inputs: Any,
    calls: list[Call],
    outputs: Tensor,
    scores: list[Tensor],
    named: dict[str, nn.Parameter],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (parameter, sum over samples and cotangents of squared per-sample gradients)."""
    ends, parameters = _edges_into_parameters(outputs), named.values()
    uses = _uses(calls, samples_in(inputs))
    explained: list[Tensor] = [p for p in parameters if ends[p] and len(uses.get(p, [])) == ends[p]]
    meters = {p: _meter(uses[p]) for p in explained}
    edges = {id(call): call.edge for p in explained for call, _ in uses[p]}
    for score in scores if edges else []:
        # float16 outputs want float16 cotangents
        found = torch.autograd.grad(
            outputs, list(edges.values()), score.to(outputs.dtype), retain_graph=True
        )
        gradients = dict(zip(edges, found, strict=True))
        for meter in meters.values():
            meter.add(gradients)
    yield from ((p, meter.total()) for p, meter in meters.items())
    rest: list[Tensor] = [p for p in parameters if ends[p] and p not in meters]
    if rest:
        yield from _sample_by_sample(model, inputs, scores, rest)


def _edges_into_parameters(outputs: Tensor) -> Counter[Tensor]:
    """Count the graph's edges that end in each leaf."""
    ends: Counter[Tensor] = Counter()
    seen: set[Any] = set()
    stack: list[Any] = [outputs.grad_fn]
    while stack:
        for node, _ in stack.pop().next_functions:
            if hasattr(node, "variable"):
                ends[node.variable] += 1
            elif node is not None and node not in seen:
                seen.add(node)
                stack.append(node)
    return ends


def _uses(calls: list[Call], n: int) -> dict[Tensor, list[tuple[Call, str]]]:
    """List the recorded calls of each parameter, with its name in the layer."""
    uses: dict[Tensor, list[tuple[Call, str]]] = {}
    for call in calls:
        layer, inputs, version, _, outputs = call
        # an input that was overwritten later, or whose rows are not the samples, is of no use
        if inputs._version == version and _rows_are_samples(layer, inputs, outputs, n):
            for name in ("weight", "bias"):  # pruned layers own a "weight_orig": not the same
                parameter = layer._parameters.get(name)
                if parameter is not None:
                    uses.setdefault(parameter, []).append((call, name))
    return uses


def _rows_are_samples(layer: Any, inputs: Tensor, outputs: torch.Size, n: int) -> bool:
    """Whether axis 0 is the sample; where a later axis is as long, nobody can tell (time first)."""
    free = inputs.shape[1:-1] if isinstance(layer, nn.Linear | nn.LayerNorm | nn.RMSNorm) else ()
    if isinstance(layer, nn.Embedding):
        free = inputs.shape[1:]
    return inputs.shape[:1] == outputs[:1] == (n,) and (n == 1 or n not in free)


def _sample_by_sample(
    model: nn.Module, inputs: Any, scores: list[Tensor], parameters: list[Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    totals = [torch.zeros_like(p, dtype=_precision(p)) for p in parameters]
    for row in range(samples_in(inputs)):
        outputs = run(model, rows_of(inputs, slice(row, row + 1)))
        for score in scores:
            found = torch.autograd.grad(
                outputs,
                parameters,
                score[row : row + 1].to(outputs.dtype),
                retain_graph=True,
                allow_unused=True,
            )
            for total, gradient in zip(totals, found, strict=True):
                if gradient is not None:
                    total += gradient.to(total.dtype).square()
    return zip(parameters, totals, strict=True)


# --- from inputs and gradients of a layer to squares ----------------------------------------


class _Blocks:
    """Sums squares over blocks of per-sample gradients; a parameter may have many uses."""

    def __init__(self, uses: list[tuple[Call, str]]) -> None:
        self.uses = uses
        parameter = getattr(uses[0][0].layer, uses[0][1])
        self.sum = torch.zeros_like(parameter, dtype=_precision(parameter))

    def add(self, gradients: dict[int, Tensor]) -> None:
        n = len(self.uses[0][0].inputs)
        size = max(_RULES[type(c.layer)].numbers(c, name) for c, name in self.uses)
        step = max(1, CHUNK // max(1, size))
        for start in range(0, n, step):
            rows = slice(start, start + step)
            first, *others = (_per_sample(c, m, gradients[id(c)], rows) for c, m in self.uses)
            _add_squares(self.sum, sum(others, first))

    def total(self) -> Tensor:
        return self.sum


def _add_squares(total: Tensor, block: Tensor) -> None:
    """Add the squares of ``block`` (rows, …), summed over rows, to ``total``."""
    if total.numel() < LARGE:
        total += block.square().sum(0)
    else:
        for row in block:  # one pass over large rows, in place of three
            total.addcmul_(row, row)


class _Outer:
    """A dense weight used once on plain rows: (Σ g²)ᵀ x², one product for all cotangents."""

    def __init__(self, uses: list[tuple[Call, str]]) -> None:
        ((self.call, _),) = uses
        self.squares: Any = None

    def add(self, gradients: dict[int, Tensor]) -> None:
        gradient = gradients[id(self.call)]
        gradient = gradient.to(_precision(gradient))
        if self.squares is None:
            self.squares = gradient.square()
        else:
            self.squares.addcmul_(gradient, gradient)

    def total(self) -> Tensor:
        inputs = self.call.inputs
        return self.squares.mT @ inputs.to(_precision(inputs)).square()


class _Rows:
    """An embedding used once: gradients of the same token in one sample add up, then squares."""

    def __init__(self, uses: list[tuple[Call, str]]) -> None:
        ((call, _),) = uses
        self.call, vocabulary = call, call.layer.num_embeddings
        tokens = call.inputs.flatten(1)
        sample = torch.arange(len(tokens), device=tokens.device).unsqueeze(1)
        keys, self.group = (sample * vocabulary + tokens).flatten().unique(return_inverse=True)
        self.tokens = keys % vocabulary
        self.sum = torch.zeros_like(call.layer.weight, dtype=_precision(call.layer.weight))

    def add(self, gradients: dict[int, Tensor]) -> None:
        gradient = gradients[id(self.call)].flatten(0, -2).to(self.sum.dtype)
        merged = gradient.new_zeros(len(self.tokens), gradient.shape[-1])
        merged.index_add_(0, self.group, gradient)
        self.sum.index_add_(0, self.tokens, merged.square_())

    def total(self) -> Tensor:
        if self.call.layer.padding_idx is not None:
            self.sum[self.call.layer.padding_idx] = 0
        return self.sum


def _meter(uses: list[tuple[Call, str]]) -> Any:
    call, name = uses[0]
    if len(uses) == 1 and name == "weight":
        if type(call.layer) is nn.Linear and call.inputs.ndim == 2:
            return _Outer(uses)
        if type(call.layer) is nn.Embedding:
            return _Rows(uses)
    return _Blocks(uses)


def _per_sample(call: Call, name: str, gradient: Tensor, rows: slice) -> Tensor:
    g = gradient[rows].to(_precision(gradient))
    x = call.inputs[rows]
    x = x.to(g.dtype) if x.is_floating_point() else x
    rule = _RULES[type(call.layer)]
    if name == "bias":
        return _sum_free(g, rule.channel_axis(call.layer), call.layer.bias.shape)
    return rule.weight(call.layer, x, g)


def _sum_free(g: Tensor, channel_axis: int, shape: torch.Size) -> Tensor:
    """Sum (rows, …) over all axes but the rows and those of a parameter of ``shape``."""
    if channel_axis == 1:
        return g.flatten(2).sum(2) if g.ndim > 2 else g
    free = tuple(range(1, g.ndim - len(shape)))
    return g.sum(free) if free else g


def _dense(layer: Any, x: Tensor, g: Tensor) -> Tensor:
    rows = len(x)
    return g.reshape(rows, -1, g.shape[-1]).mT @ x.reshape(rows, -1, x.shape[-1])


def _convolution(layer: Any, x: Tensor, g: Tensor) -> Tensor:
    """(rows, out, in / groups, *kernel), the cheaper way of two (benchmarks/fisher.py)."""
    padding = layer.padding
    if layer.padding_mode != "zeros" or isinstance(padding, str):
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        x, padding = F.pad(x, layer._reversed_padding_repeated_twice, mode=mode), 0
    padding = (padding,) * len(layer.kernel_size) if padding == 0 else padding
    wide = layer.in_channels // layer.groups >= 8 and math.prod(layer.kernel_size) > 1
    by = _by_groups if wide and g[0, 0].numel() >= 32 else _by_patches
    return by(layer, x, g, padding).reshape(len(x), *layer.weight.shape)


def _by_groups(layer: Any, x: Tensor, g: Tensor, padding: tuple[int, ...]) -> Tensor:
    """The weight gradient of one convolution in which every sample is a group of its own."""
    rows, weight = len(x), layer.weight.detach().to(x.dtype)
    return torch.ops.aten.convolution_backward(
        g.reshape(1, -1, *g.shape[2:]),
        x.reshape(1, -1, *x.shape[2:]),
        weight.expand(rows, *weight.shape).reshape(-1, *weight.shape[1:]),
        None,
        layer.stride,
        padding,
        layer.dilation,
        False,
        [0] * len(padding),
        rows * layer.groups,
        (False, True, False),
    )[1]


def _by_patches(layer: Any, x: Tensor, g: Tensor, padding: tuple[int, ...]) -> Tensor:
    """One product per sample and group of the inputs under each weight at each position."""
    rows, groups, spatial = len(x), layer.groups, len(layer.kernel_size)
    x = F.pad(x, [width for width in reversed(padding) for _ in range(2)])
    for axis in range(spatial):
        width = (layer.kernel_size[axis] - 1) * layer.dilation[axis] + 1
        x = x.unfold(2 + axis, width, layer.stride[axis])[..., :: layer.dilation[axis]]
    x = x.permute(0, 1, *range(2 + spatial, 2 + 2 * spatial), *range(2, 2 + spatial))
    patches = x.reshape(rows, groups, -1, g[0, 0].numel())
    return g.reshape(rows, groups, layer.out_channels // groups, -1) @ patches.mT


def _embedding(layer: Any, x: Tensor, g: Tensor) -> Tensor:
    rows, width = len(x), g.shape[-1]
    out = g.new_zeros(rows, *layer.weight.shape)
    index = x.reshape(rows, -1, 1).expand(-1, -1, width)
    out.scatter_add_(1, index, g.reshape(rows, -1, width))
    if layer.padding_idx is not None:
        out[:, layer.padding_idx] = 0
    return out


def _scale(normalised: Callable[[Any, Tensor], Tensor], channel_axis: int) -> Callable[..., Tensor]:
    """The rule of a weight that multiplies the normalised input."""

    def weight(layer: Any, x: Tensor, g: Tensor) -> Tensor:
        return _sum_free(g * normalised(layer, x), channel_axis, layer.weight.shape)

    return weight


def _batch_normalised(layer: Any, x: Tensor) -> Tensor:
    return F.batch_norm(x, layer.running_mean, layer.running_var, eps=layer.eps)


def _prelu(layer: Any, x: Tensor, g: Tensor) -> Tensor:
    products = (g * x.clamp_max(0)).flatten(1)
    if layer.num_parameters == 1:
        return products.sum(1, keepdim=True)
    return products.reshape(len(x), layer.num_parameters, -1).sum(2)


class _Rule(NamedTuple):
    """How a layer's input and the gradient at its output make per-sample weight gradients."""

    weight: Callable[[Any, Tensor, Tensor], Tensor]
    axis: int = -1  # of the channels in its output; 1 means just after the samples
    fits: Callable[[Any], bool] = lambda layer: True

    def channel_axis(self, layer: Any) -> int:
        return self.axis

    def numbers(self, call: Call, name: str) -> int:
        """How many numbers one sample makes on the way."""
        per_sample = max(call.inputs[0].numel(), math.prod(call.outputs[1:]))
        if name == "weight" and isinstance(call.layer, nn.modules.conv._ConvNd):
            kernel = math.prod(call.layer.kernel_size)
            per_sample = max(
                per_sample, call.layer.in_channels * kernel * math.prod(call.outputs[2:])
            )
        return max(per_sample, getattr(call.layer, name).numel())


_BATCH_NORM = _Rule(_scale(_batch_normalised, 1), axis=1)
_CONVOLUTION = _Rule(_convolution, axis=1)
_RULES: dict[type, _Rule] = {
    nn.Linear: _Rule(_dense),
    nn.Conv1d: _CONVOLUTION,
    nn.Conv2d: _CONVOLUTION,
    nn.Conv3d: _CONVOLUTION,
    nn.BatchNorm1d: _BATCH_NORM,
    nn.BatchNorm2d: _BATCH_NORM,
    nn.BatchNorm3d: _BATCH_NORM,
    nn.LayerNorm: _Rule(
        _scale(lambda m, x: F.layer_norm(x, m.normalized_shape, eps=m.eps), -1),
    ),
    nn.RMSNorm: _Rule(_scale(lambda m, x: F.rms_norm(x, m.normalized_shape, eps=m.eps), -1)),
    nn.GroupNorm: _Rule(_scale(lambda m, x: F.group_norm(x, m.num_groups, eps=m.eps), 1), axis=1),
    nn.Embedding: _Rule(
        _embedding, fits=lambda m: m.max_norm is None and not m.scale_grad_by_freq and not m.sparse
    ),
    nn.PReLU: _Rule(_prelu),
}
