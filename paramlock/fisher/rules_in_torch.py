"""How a torch layer's input and the gradient at its output make squared per-sample gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.nn import functional as F

from paramlock.models.in_torch import precision

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


# --- from inputs and gradients of a layer to squares ----------------------------------------


class _Blocks:
    """Sums squares over blocks of per-sample gradients; a parameter may have many uses."""

    def __init__(self, uses: list[tuple[Call, str]]) -> None:
        self.uses = uses
        parameter = getattr(uses[0][0].layer, uses[0][1])
        self.sum = torch.zeros_like(parameter, dtype=precision(parameter))

    def add(self, gradients: dict[int, Tensor]) -> None:
        n = len(self.uses[0][0].inputs)
        size = max(RULES[type(c.layer)].numbers(c, name) for c, name in self.uses)
        step = max(1, CHUNK // max(1, size))
        for start in range(0, n, step):
            rows = slice(start, start + step)
            first, *others = (_per_sample(c, m, gradients[id(c)], rows) for c, m in self.uses)
            _add_squares(self.sum, sum(others, first))

    def total(self) -> Tensor:
        return self.sum


def _add_squares(total: Tensor, block: Tensor) -> None:
    """Add the squares of `block` (rows, …), summed over rows, to `total`."""
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
        gradient = gradient.to(precision(gradient))
        if self.squares is None:
            self.squares = gradient.square()
        else:
            self.squares.addcmul_(gradient, gradient)

    def total(self) -> Tensor:
        inputs = self.call.inputs
        return self.squares.mT @ inputs.to(precision(inputs)).square()


class _Rows:
    """An embedding used once: gradients of the same token in one sample add up, then squares."""

    def __init__(self, uses: list[tuple[Call, str]]) -> None:
        ((call, _),) = uses
        self.call, vocabulary = call, call.layer.num_embeddings
        tokens = call.inputs.flatten(1)
        sample = torch.arange(len(tokens), device=tokens.device).unsqueeze(1)
        keys, self.group = (sample * vocabulary + tokens).flatten().unique(return_inverse=True)
        self.tokens = keys % vocabulary
        self.sum = torch.zeros_like(call.layer.weight, dtype=precision(call.layer.weight))

    def add(self, gradients: dict[int, Tensor]) -> None:
        gradient = gradients[id(self.call)].flatten(0, -2).to(self.sum.dtype)
        merged = gradient.new_zeros(len(self.tokens), gradient.shape[-1])
        merged.index_add_(0, self.group, gradient)
        self.sum.index_add_(0, self.tokens, merged.square_())

    def total(self) -> Tensor:
        if self.call.layer.padding_idx is not None:
            self.sum[self.call.layer.padding_idx] = 0
        return self.sum


def meter(uses: list[tuple[Call, str]]) -> Any:
    call, name = uses[0]
    if len(uses) == 1 and name == "weight":
        if type(call.layer) is nn.Linear and call.inputs.ndim == 2:
            return _Outer(uses)
        if type(call.layer) is nn.Embedding:
            return _Rows(uses)
    return _Blocks(uses)


def _per_sample(call: Call, name: str, gradient: Tensor, rows: slice) -> Tensor:
    g = gradient[rows].to(precision(gradient))
    x = call.inputs[rows]
    x = x.to(g.dtype) if x.is_floating_point() else x
    rule = RULES[type(call.layer)]
    if name == "bias":
        return _sum_free(g, rule.channel_axis(call.layer), call.layer.bias.shape)
    return rule.weight(call.layer, x, g)


def _sum_free(g: Tensor, channel_axis: int, shape: torch.Size) -> Tensor:
    """Sum (rows, …) over all axes but the rows and those of a parameter of `shape`."""
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
RULES: dict[type, _Rule] = {
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
