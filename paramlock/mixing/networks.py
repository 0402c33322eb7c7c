"""Frozen mixing networks in torch: fixed transforms, learned activations, small adapters.

A dense layer mixes channels and is followed by a fixed bend; here the mixing is fixed
(`transforms`) and the bend is learned (`activations`), at a few numbers per
channel in place of one per pair of channels. Where that is too little, a *low-rank adapter* adds
a learned product of two thin matrices that starts at zero change (Hu et al. 2022, "LoRA", §4.1).

In JAX the same parts are `mix` and `activate`; Flax has `nnx.LoRA`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from paramlock.mixing.activations import activate, activation_parameters
from paramlock.mixing.transforms import MIXINGS, mix


class LearnedActivation(nn.Module):
    """A learned activation per channel, (…, channels, …) to the same shape.

    Args:
        kind, start: as in `activations`.
        axis: of the channels; -1 for features, 1 for images (n, channels, height, width).
    """

    def __init__(
        self, kind: str, channels: int, start: str | None = None, *, axis: int = -1
    ) -> None:
        super().__init__()
        self.kind, self.axis = kind, axis
        for name, value in activation_parameters(kind, channels, start).items():
            self.register_parameter(name, nn.Parameter(torch.from_numpy(value)))
        self.names = tuple(activation_parameters(kind, 1, start))

    def forward(self, x: Tensor) -> Tensor:
        numbers = {name: getattr(self, name) for name in self.names}
        return activate(x.movedim(self.axis, -1), numbers, self.kind).movedim(-1, self.axis)

    def extra_repr(self) -> str:
        return f"{self.kind!r}, axis={self.axis}"


class LowRankAdapter(nn.Module):
    """x ↦ scale · x D U with D (inputs, rank) and U (rank, outputs): zero at the start.

    U starts at zero, so nothing changes; D does not, so U gets a gradient at once. Its own
    gradient is exactly zero until U has moved. With both at zero neither would ever move.
    """

    def __init__(self, inputs: int, outputs: int, rank: int, *, scale: float = 1.0) -> None:
        super().__init__()
        if not 1 <= rank <= min(inputs, outputs):
            raise ValueError(f"rank is {rank}; it must be from 1 to {min(inputs, outputs)}")
        self.down = nn.Parameter(torch.randn(inputs, rank) / math.sqrt(inputs))
        self.up = nn.Parameter(torch.zeros(rank, outputs))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.down @ self.up * self.scale


class AdaptedLinear(nn.Module):
    """A frozen `nn.Linear` with a low-rank adapter beside it; at first the same function."""

    def __init__(self, base: nn.Linear, rank: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.adapter = LowRankAdapter(base.in_features, base.out_features, rank, scale=scale).to(
            base.weight
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.adapter(x)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One `nn.Linear` that computes the same, with the base's cost."""
        bias = self.base.bias is not None
        linear = nn.Linear(self.base.in_features, self.base.out_features, bias).to(self.base.weight)
        linear.load_state_dict(self.base.state_dict())
        linear.weight += (self.adapter.down @ self.adapter.up * self.adapter.scale).T
        return linear


class FixedMixing(nn.Module):
    """`transforms.mix` as a module without parameters; `axis` is the one it mixes."""

    def __init__(self, kind: str, *, seed: int | None = None, axis: int = -1) -> None:
        super().__init__()
        if kind not in MIXINGS:
            raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(MIXINGS)}")
        if seed is None and kind in ("orthogonal", "permutation"):
            raise ValueError(f"{kind!r} is drawn at random: pass seed=…, which is all it stores")
        self.kind, self.seed, self.axis = kind, seed, axis

    def forward(self, x: Tensor) -> Tensor:
        return mix(x.movedim(self.axis, -1), self.kind, seed=self.seed).movedim(-1, self.axis)

    def extra_repr(self) -> str:
        return f"{self.kind!r}, seed={self.seed}, axis={self.axis}"


class FrozenMixingBlock(nn.Module):
    """Mix, normalise each row (without parameters), bend, and adapt: (…, width) to (…, width).

    Args:
        rank: of the adapter around the bend's input; 0 for none.
        seed: of the mixing, see `mix`; also for sign flips before a transform.
    """

    def __init__(
        self,
        width: int,
        *,
        mixing: str = "dct",
        activation: str = "bi_slope",
        start: str | None = None,
        rank: int = 0,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.mixing = FixedMixing(mixing, seed=seed)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.activation = LearnedActivation(activation, width, start)
        self.adapter = LowRankAdapter(width, width, rank) if rank else None

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.norm(self.mixing(x))
        bent = self.activation(mixed)
        return bent if self.adapter is None else bent + self.adapter(mixed)


class FixedReadout(nn.Module):
    """Logits without weights: a fixed rotation of the features, its first entries, one scale."""

    def __init__(self, width: int, classes: int, *, seed: int = 0) -> None:
        super().__init__()
        if classes > width:
            raise ValueError(f"{classes} classes need a width of as many at least, not {width}")
        self.mixing, self.classes = FixedMixing("orthogonal", seed=seed), classes
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.mixing(x)[..., : self.classes] * self.scale


class FrozenMixingNetwork(nn.Module):
    """A classifier of frozen mixing blocks: (n, …) inputs, flattened, to (n, classes) logits.

    Inputs shorter than `width` are filled up with zeros. Blocks whose mixing takes a seed get
    consecutive ones from `seed` on, so that no two mix alike; without a seed there are no sign
    flips, and the random kinds count from 0.

    Args:
        width: channels of every block; a power of two for "hadamard".
        readout: "linear", learned; or "fixed": one learned scale, so that all else must be done
            by the activations (use it to compare mixings: a learned readout hides differences).
    """

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        depth: int = 2,
        readout: str = "linear",
        mixing: str = "dct",
        activation: str = "bi_slope",
        start: str | None = None,
        rank: int = 0,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if readout not in ("linear", "fixed"):
            raise ValueError(f"readout is {readout!r}; it must be one of linear, fixed")
        self.width = width
        counted = seed is not None or mixing in ("orthogonal", "permutation")
        seeds = [(seed or 0) + block if counted else None for block in range(depth)]
        self.blocks = nn.Sequential(
            *(
                FrozenMixingBlock(
                    width, mixing=mixing, activation=activation, start=start, rank=rank, seed=each
                )
                for each in seeds
            )
        )
        fixed = readout == "fixed"
        self.readout = FixedReadout(width, classes) if fixed else nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        if x.shape[1] > self.width:
            raise ValueError(f"inputs have {x.shape[1]} numbers, more than the width {self.width}")
        return self.readout(self.blocks(F.pad(x, (0, self.width - x.shape[1]))))


class FrozenMixingEncoderLayer(nn.Module):
    """A transformer's encoder layer with fixed mixing for attention: (n, tokens, width) to same.

    x + gate · bend(mix over tokens), then x + gate · (bend(mix over channels) + adapter), each
    after a layer norm, as in a pre-norm transformer. FNet (Lee-Thorp et al. 2022) mixes by a
    Fourier transform and keeps dense layers; here those go as well. All tokens mix, padding
    included: give sequences of one length.

    Args:
        gate: the start of both learned scalars. At 0 the layer is the identity, and only the
            gates get a gradient in the first step.
    """

    def __init__(
        self,
        width: int,
        *,
        token_mixing: str = "hartley",
        channel_mixing: str = "dct",
        activation: str = "bi_slope",
        start: str | None = None,
        rank: int = 4,
        seed: int | None = None,
        gate: float = 1.0,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.token_mixing = FixedMixing(token_mixing, seed=seed, axis=-2)
        self.token_activation = LearnedActivation(activation, width, start)
        self.channels = FrozenMixingBlock(
            width, mixing=channel_mixing, activation=activation, start=start, rank=rank, seed=seed
        )
        self.gates = nn.Parameter(torch.full((2,), gate))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.gates[0] * self.token_activation(self.token_mixing(self.norm(x)))
        return x + self.gates[1] * self.channels(x)


def mixing_parameter_groups(
    model: nn.Module, *, lr: float = 1e-3, activation_lr: float | None = None, decay: float = 1e-2
) -> list[dict[str, Any]]:
    """Parameter groups for a torch optimizer: names, rates and decays by role.

    - "activations": `activation_lr`, no decay: decay pulls slopes to 0, which is not the shape
      they started at. Where it is not given it is 10 · `lr`: so few numbers must go far. Some
      advise a tenth of `lr`; with a fixed readout that hardly learns (the tests measure it).
    - "scales": gates, readout scales, norms and biases: `lr`, no decay.
    - "weights": adapters and readout: `lr` and `decay`.

    Frozen parameters and empty groups are left out.
    """
    bends = {p for m in model.modules() if isinstance(m, LearnedActivation) for p in m.parameters()}
    roles: dict[str, list[nn.Parameter]] = {"activations": [], "scales": [], "weights": []}
    for parameter in model.parameters():
        if parameter.requires_grad:
            role = "scales" if parameter.ndim < 2 else "weights"
            roles["activations" if parameter in bends else role].append(parameter)
    rates = {"activations": 10 * lr if activation_lr is None else activation_lr}
    return [
        {
            "name": role,
            "params": members,
            "lr": rates.get(role, lr),
            "weight_decay": decay if role == "weights" else 0.0,
        }
        for role, members in roles.items()
        if members
    ]


class _Rounded(nn.Module):
    """A parameter seen through 2^bits levels; gradients pass as if it were not rounded."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.levels = 2**bits - 1

    def forward(self, x: Tensor) -> Tensor:
        low, high = x.detach().amin().clamp_max(0), x.detach().amax().clamp_min(0)
        scale = ((high - low) / self.levels).clamp_min(torch.finfo(x.dtype).tiny)
        zero = (-low / scale).round().int()
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, self.levels)


def quantise_activations(model: nn.Module, bits: int = 8) -> nn.Module:
    """Round the parameters of every `LearnedActivation` to 2^bits levels, and return `model`.

    Each parameter tensor has levels of its own, evenly spaced, 0 among them, so the error is at
    most half a step of its range. Training goes on behind the rounding (straight-through
    gradients, Bengio et al. 2013); `torch.nn.utils.parametrize.remove_parametrizations` makes
    the rounded values permanent.

    Raises:
        ValueError: bits outside 1 to 16, or a model without learned activations.
    """
    if not 1 <= bits <= 16:
        raise ValueError(f"bits is {bits}; it must be from 1 to 16")
    found = [module for module in model.modules() if isinstance(module, LearnedActivation)]
    if not found:
        raise ValueError(f"{type(model).__name__} has no LearnedActivation to quantise")
    for module in found:
        for name in module.names:
            if parametrize.is_parametrized(module, name):
                parametrize.remove_parametrizations(module, name)
            parametrize.register_parametrization(module, name, _Rounded(bits))
    return model
