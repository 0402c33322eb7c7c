"""How a Flax layer's input and the gradient at its output make per-sample weight gradients.

A *rule* is taken from a layer of linen or nnx, whose attributes have the same names. Kinds:
"dense"; "conv", by patches, cut out by slices; "scale" of a norm layer, whose input is recorded
as normalised; "embed". Layers with settings that no rule covers are measured sample by sample.
"""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
from flax import nnx

NORMS = {
    linen.BatchNorm, linen.LayerNorm, linen.RMSNorm, linen.GroupNorm,
    nnx.BatchNorm, nnx.LayerNorm, nnx.RMSNorm, nnx.GroupNorm,
}  # fmt: skip
KINDS: dict[type, str] = {
    linen.Dense: "dense", nnx.Linear: "dense", linen.Conv: "conv", nnx.Conv: "conv",
    linen.Embed: "embed", nnx.Embed: "embed",
} | dict.fromkeys(NORMS, "scale")  # fmt: skip
WEIGHTS = {"dense": "kernel", "conv": "kernel", "scale": "scale", "embed": "embedding"}


class Window(NamedTuple):
    """Where a convolution looks: sizes along each spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    groups: int


class Rule(NamedTuple):
    """What one call of a layer needs; hashable, for it is part of what is compiled."""

    kind: str
    window: Window | None = None

    @property
    def weight(self) -> str:
        """Name of the parameter that multiplies the input."""
        return WEIGHTS[self.kind]


def rule_of(layer: Any, inputs: Any) -> Rule | None:
    """The rule of a layer called on `inputs`, if there is one."""
    kind = KINDS.get(type(layer))
    if kind == "conv":
        window = _window(layer, inputs)
        return window and Rule("conv", window)
    if kind == "scale" and not _fits(layer):
        return None
    return Rule(kind) if kind else None


def _fits(layer: Any) -> bool:
    """Whether a norm layer has a scale over the last axis, and mixes no samples."""
    features = [getattr(layer, name, -1) for name in ("axis", "feature_axes")]
    reduced = getattr(layer, "reduction_axes", None)
    last = all(axes in (-1, (-1,)) for axes in features) and reduced in (None, -1, (-1,))
    return bool(last and layer.use_scale and layer.axis_name is None)


def without_scale(layer: Any) -> Any:
    """A norm layer that only normalises, to be called in the place of `layer`."""
    if isinstance(layer, nnx.Module):
        bare = copy.copy(layer)
        for name in ("scale", "bias"):
            object.__setattr__(bare, name, None)
        return bare
    names = {"use_scale", "use_bias"} & set(vars(layer))
    return layer.clone(parent=None, **dict.fromkeys(names, False))


def _window(layer: Any, inputs: Any) -> Window | None:
    kernel = _each(layer.kernel_size, 1)
    sizes = {
        name: _each(getattr(layer, name), len(kernel))
        for name in ("strides", "input_dilation", "kernel_dilation")
    }
    plain = inputs.ndim == len(kernel) + 2 and getattr(layer, "mask", None) is None
    if not plain or any(step != 1 for step in sizes["input_dilation"]):
        return None
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, sizes["kernel_dilation"], strict=True)]
    pads = _pads(layer.padding, inputs.shape[1:-1], spans, sizes["strides"])
    if pads is None:
        return None
    return Window(
        kernel, sizes["strides"], sizes["kernel_dilation"], pads, layer.feature_group_count
    )


def _each(value: Any, axes: int) -> tuple[int, ...]:
    if value is None:
        return (1,) * axes
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _pads(padding: Any, shape: Any, spans: Any, strides: Any) -> tuple[tuple[int, int], ...] | None:
    if isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            return None
        return tuple(jax.lax.padtype_to_pads(shape, spans, strides, padding))
    each = (padding,) * len(spans) if isinstance(padding, int) else padding
    return tuple((p, p) if isinstance(p, int) else tuple(p) for p in each)


# --- gradients of one sample


def weight_gradient(rule: Rule, x: jax.Array, g: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """One sample's gradient of a weight of `shape` from its input and output gradient."""
    flat = g.reshape(-1, g.shape[-1])
    if rule.kind == "scale":
        return (flat * x.reshape(flat.shape)).sum(0)
    if rule.kind == "embed":
        return jnp.zeros(shape, g.dtype).at[x.reshape(-1)].add(flat)
    if rule.window is None:
        return x.reshape(-1, x.shape[-1]).T @ flat
    return _conv(rule.window, x, g).reshape(shape)


def _conv(window: Window, x: jax.Array, g: jax.Array) -> jax.Array:
    """(kernel and inputs of a group, outputs), one product of all patches."""
    x = jnp.pad(x, (*window.pads, (0, 0)))
    sizes = list(zip(window.dilation, g.shape[:-1], window.strides, strict=True))
    patches = [
        x[tuple(slice(o * d, o * d + (n - 1) * s + 1, s)
                for o, (d, n, s) in zip(offset, sizes, strict=True))]
        for offset in itertools.product(*map(range, window.kernel))
    ]  # fmt: skip
    positions, groups = math.prod(g.shape[:-1]), window.groups
    if groups == 1:
        flat = jnp.concatenate([p.reshape(positions, -1) for p in patches], 1)
        return flat.T @ g.reshape(positions, -1)
    stacked = jnp.stack([p.reshape(positions, groups, -1) for p in patches], 1)
    return jnp.einsum("pkgc,pgo->kcgo", stacked, g.reshape(positions, groups, -1))


def row_squares(total: jax.Array, tokens: jax.Array, g: jax.Array) -> jax.Array:
    """Add one sample's squares to `total`: gradients of the same token add up first."""
    tokens, g = tokens.reshape(-1), g.reshape(-1, g.shape[-1])
    same = tokens[:, None] == tokens[None, :]
    first = jnp.argmax(same, 1) == jnp.arange(len(tokens))
    merged = same.astype(g.dtype) @ g
    return total.at[tokens].add(jnp.where(first[:, None], merged**2, 0))
