"""A zoo of networks: each sick one has one lock planted, the healthy ones have none.

A ``Case`` builds a model with data, loss and optimizer, and says what a certificate must find:
{place: kind}, and what stands behind and after that place because of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.utils.checkpoint
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from paramlock.certifying.records import INPUT, LOSS
from paramlock.holding.in_torch import hold

SAMPLES = 96


@dataclass
class Patient:
    model: nn.Module
    data: Any
    loss: Callable[..., torch.Tensor] = F.cross_entropy
    optimizer: Any = None
    lock: Any = None


@dataclass
class Case:
    build: Callable[[], Patient]
    finds: dict[str, str]
    backward: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()
    units: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        return self.build.__name__


SICK: list[Case] = []
HEALTHY: list[Case] = []


def sick(finds, backward=(), forward=(), units=None):
    def register(build):
        SICK.append(Case(build, finds, backward, forward, units))
        return build

    return register


def healthy(build):
    HEALTHY.append(Case(build, {}))
    return build


def vectors(width=8, classes=3):
    return torch.randn(SAMPLES, width), torch.randint(0, classes, (SAMPLES,))


def images():
    return torch.randn(SAMPLES // 3, 3, 8, 8), torch.randint(0, 3, (SAMPLES // 3,))


def series():
    return torch.randn(SAMPLES // 3, 6, 8), torch.randint(0, 3, (SAMPLES // 3,))


def mlp(activation=nn.Tanh, depth=3, width=16):
    """Return layers 0, 2, 4, ... with activations between."""
    sizes = [8, *[width] * depth]
    layers = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 3))


class Functional(nn.Module):
    """Three layers whose activation is a function, not a module."""

    def __init__(self, activation):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.activation = activation

    def forward(self, x):
        x = self.activation(self.first(x))
        return self.third(self.activation(self.second(x)))


class Residual(nn.Module):
    """A stem, two residual blocks, a head."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(8, 16), nn.Linear(16, 3)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16)) for _ in range(2)
        )

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Recurrent(nn.Module):
    """A recurrent layer and a head on its last output."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Adapter(nn.Module):
    """A frozen layer with a low-rank adapter beside it."""

    def __init__(self):
        super().__init__()
        self.down, self.up, self.head = (
            nn.Linear(8, 4, bias=False),
            nn.Linear(4, 8, bias=False),
            nn.Linear(8, 3),
        )

    def forward(self, x):
        return self.head(torch.tanh(x + self.up(self.down(x))))


class Attention(nn.Module):
    """One head over a series, by ``mix(queries, keys, values)``, and a head on its mean."""

    def __init__(self, mix):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(8, 16) for _ in range(3))
        self.head, self.mix = nn.Linear(16, 3), mix

    def forward(self, x):
        return self.head(self.mix(self.query(x), self.key(x), self.value(x)).mean(1))


def written_out(queries, keys, values):
    weights = (queries @ keys.mT / 4).softmax(-1)
    return F.dropout(weights, 0.1) @ values


class MultiHead(nn.Module):
    """Packed attention of two heads with the given masks."""

    def __init__(self, **masks):
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head, self.masks = nn.Linear(8, 3), masks

    def forward(self, x):
        return self.head(self.attend(x, x, x, need_weights=False, **self.masks)[0].mean(1))


class Twice(nn.Module):
    """A layer that is called twice, between two others."""

    def __init__(self):
        super().__init__()
        self.first, self.shared, self.last = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        fill(self.shared.bias, 0.5)

    def forward(self, x):
        x = F.relu(self.shared(torch.tanh(self.first(x))))
        return self.last(F.relu(self.shared(x)))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


def fill(tensor, value):
    with torch.no_grad():
        tensor.fill_(value)


def scale(module, factor):
    with torch.no_grad():
        module.weight.mul_(factor)


def killed(model, layer, units=slice(None)):
    """Push the units' pre-activations far below zero."""
    module = model.get_submodule(layer)
    with torch.no_grad():
        module.bias[units] = -100.0
    return model


# --- dead


@sick({"2": "dead"}, backward=("0",), forward=("4", "6"))
def dead_layer():
    return Patient(killed(mlp(nn.ReLU), "2"), vectors(), optimizer=None)


@sick({"0": "dead"}, units=(1, 5))
def dead_units_of_the_first_layer():
    model = killed(mlp(nn.ReLU, depth=1, width=32), "0", [1, 5])
    return Patient(model, vectors())


@sick({"0": "dead"}, units=(2, 3))
def dead_units_whose_weights_decayed_to_zero():
    """Weight decay goes on where no gradient does: zeros, but no mask holds them."""
    model = mlp(nn.ReLU, depth=1, width=32)
    with torch.no_grad():
        model[0].weight[2:4] = 0.0
        model[0].bias[2:4] = -0.1
    return Patient(model, vectors())


@sick({"second": "dead"}, backward=("first",), forward=("third",))
def dead_under_torch_relu():
    return Patient(killed(Functional(torch.relu), "second"), vectors())


@sick({"second": "dead"}, units=(3,))
def dead_under_functional_relu_in_place():
    return Patient(
        killed(easy(Functional(lambda x: F.relu(x, inplace=True))), "second", [3]), vectors()
    )


@sick({"second": "dead"}, units=(0, 2))
def dead_under_tensor_relu():
    return Patient(killed(easy(Functional(torch.Tensor.relu)), "second", [0, 2]), vectors())


@sick({"second": "dead"}, units=(4,))
def dead_under_clamp():
    return Patient(killed(easy(Functional(lambda x: x.clamp(min=0))), "second", [4]), vectors())


@sick({"second": "dead"}, units=(7,))
def dead_under_gelu():
    return Patient(killed(easy(Functional(F.gelu)), "second", [7]), vectors())


@sick({"shared": "dead"}, units=(6,))
def dead_in_a_layer_called_twice():
    return Patient(killed(Twice(), "shared", [6]), vectors())


@sick({"second": "dead"}, units=(2,))
def dead_under_an_activation_used_twice():
    return Patient(killed(easy(Functional(nn.ReLU())), "second", [2]), vectors())


def easy(model):
    """Spread the biases so that every rectifier of the small net is open on some sample."""
    fill(model.second.bias, 0.5)
    return model


@sick({"3": "dead"}, units=(2,))
def dead_channel():
    model = convolutional()
    fill(model[3].bias, 0.3)
    return Patient(killed(model, "3", [2]), images())


@sick({"blocks.0.0": "dead"}, forward=("blocks.0.2",))
def dead_branch_beside_a_shortcut():
    model = killed(Residual(), "blocks.0.0")
    fill(model.blocks[1][0].bias, 0.5)
    return Patient(model, vectors())


@sick({"layer": "dead"})
def dead_recurrent_units():
    model = Recurrent(nn.RNN(8, 16, nonlinearity="relu", batch_first=True))
    fill(model.layer.bias_ih_l0, 0.3)
    with torch.no_grad():
        model.layer.bias_ih_l0[[1, 6]] = -100.0
    return Patient(model, series())


# --- saturated


@sick({"0": "saturated"})
def saturated_sigmoid():
    model = mlp(nn.Sigmoid, depth=1)
    scale(model[0], 60)
    return Patient(model, vectors())


@sick({"2": "saturated"}, units=(0,))
def saturated_tanh_unit():
    model = mlp(nn.Tanh)
    fill(model[2].bias[0], 6.0)
    return Patient(model, vectors())


@sick({"0": "saturated"})
def saturated_hard_tanh():
    model = mlp(nn.Hardtanh, depth=1)
    scale(model[0], 60)
    return Patient(model, vectors())


@sick({"second": "saturated"}, units=(1,))
def saturated_silu_tail():
    model = Functional(F.silu)
    fill(model.second.bias[1], -12.0)
    return Patient(model, vectors())


@sick({"layer": "saturated"})
def saturated_recurrence():
    model = Recurrent(nn.RNN(8, 16, batch_first=True))
    with torch.no_grad():
        model.layer.weight_ih_l0.mul_(60)
    return Patient(model, series())


@sick({"layer": "saturated"}, units=(37,))
def saturated_gate_of_an_lstm():
    model = Recurrent(nn.LSTM(8, 16, batch_first=True))
    fill(model.layer.bias_ih_l0[37], 9.0)  # row 5 of the cell's new value
    return Patient(model, series())


@sick({"layer": "saturated"}, units=(48 + 16 + 2,))
def saturated_gate_of_the_second_layer_of_a_gru():
    model = Recurrent(nn.GRU(8, 16, num_layers=2, batch_first=True))
    fill(model.layer.bias_hh_l1[16 + 2], -9.0)  # row 2 of the update gate
    return Patient(model, series())


@sick({"attend": "saturated"}, units=(1,))
def one_head_looks_at_one_key():
    model = MultiHead()
    with torch.no_grad():
        model.attend.in_proj_weight[4:8] *= 2000  # the queries of head 1
    return Patient(model, series())


@sick({"key": "saturated"}, backward=("query",), units=(0,))
def fused_attention_is_shut():
    model = Attention(F.scaled_dot_product_attention)
    scale(model.query, 1e4)
    return Patient(model, series())


@sick({"key": "saturated"}, backward=("query",), units=(0,))
def attention_written_out_is_shut():
    model = Attention(written_out)
    scale(model.query, 1e4)
    return Patient(model, series())


# --- declared


@sick({"0": "frozen"})
def frozen_layer():
    model = mlp()
    model[0].requires_grad_(False)
    return Patient(model, vectors())


@sick({"blocks": "frozen"})
def frozen_subtree():
    model = Residual()
    for block in model.blocks:
        fill(block[0].bias, 0.5)
    model.blocks.requires_grad_(False)
    return Patient(model, vectors())


@sick({"2.bias": "frozen"})
def frozen_bias():
    model = mlp()
    model[2].bias.requires_grad_(False)
    return Patient(model, vectors())


@sick({"0": "leaking"})
def frozen_but_carried_by_momentum():
    model, (x, y) = mlp(), vectors()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    model[0].requires_grad_(False)
    optimizer.zero_grad(set_to_none=False)
    return Patient(model, (x, y), optimizer=optimizer)


@sick({"1": "batchnorm", "1.": "frozen"})
def frozen_norm_in_training_mode():
    model = convolutional()
    fill(model[3].bias, 0.3)
    model[1].requires_grad_(False)
    return Patient(model, images())


@sick({"1": "batchnorm"})
def trainable_norm_in_evaluation_mode():
    model = convolutional()
    fill(model[3].bias, 0.3)
    model[1].eval()
    return Patient(model, images())


# --- cut off


@sick({"spare": "unreached"})
def never_called():
    model = Functional(torch.tanh)
    model.spare = nn.Linear(4, 4)
    return Patient(model, vectors())


@sick({"second": "unreached"}, backward=("first",))
def detached():
    class Cut(Functional):
        def forward(self, x):
            x = self.second(torch.tanh(self.first(x))).detach()
            return self.third(torch.tanh(x))

    return Patient(Cut(None), vectors())


@sick({"first": "unreached"})
def under_no_grad():
    class Cut(Functional):
        def forward(self, x):
            with torch.no_grad():
                x = torch.tanh(self.first(x))
            return self.third(torch.tanh(self.second(x)))

    return Patient(Cut(None), vectors())


@sick({LOSS: "no_signal"}, backward=("0", "2", "4", "6"))
def flat_loss():
    def hinge(outputs, targets):
        return F.relu(outputs.sum(1) - 1e3).mean()

    return Patient(mlp(), vectors(), hinge)


# --- the optimizer


@sick({"4": "idle"})
def left_out_of_the_optimizer():
    model = mlp()
    held = [p for name, p in model.named_parameters() if not name.startswith("4.")]
    return Patient(model, vectors(), optimizer=torch.optim.Adam(held, 1e-3))


@sick({"0": "idle"})
def at_rate_zero():
    model = mlp()
    groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[1:].parameters()}]
    return Patient(model, vectors(), optimizer=torch.optim.AdamW(groups, 1e-3))


@sick({str(i): "rounding" for i in (0, 2, 4, 6)})
def rounded_away():
    model, (x, y) = mlp().to(torch.bfloat16), vectors()
    optimizer = torch.optim.SGD(model.parameters(), 1e-4)
    return Patient(model, (x.bfloat16(), y), optimizer=optimizer)


@sick({"8": "vanishing"}, backward=("0", "2", "4", "6"))
def vanishing_sigmoids():
    model = mlp(nn.Sigmoid, depth=8, width=32)
    return Patient(model, vectors(), optimizer=torch.optim.SGD(model.parameters(), 0.1))


@sick({"0": "heavy"})
def too_heavy_to_turn():
    """Behind the norm layer its scale counts for nothing: outputs are those of the healthy net."""
    model = convolutional()
    fill(model[3].bias, 0.3)
    scale(model[0], 300)
    return Patient(model, images(), optimizer=torch.optim.SGD(model.parameters(), 0.1))


# --- pruned


@sick({"2": "pruned"})
def pruned_by_a_mask():
    model = mlp()
    prune.l1_unstructured(model[2], "weight", 0.8)
    return Patient(model, vectors())


@sick({"2": "pruned"})
def pruned_by_a_lock():
    model = mlp()
    where = torch.rand_like(model[2].weight) > 0.5
    return Patient(model, vectors(), lock=hold(model, {"2.weight": where}, at_zero=True))


def masked_gradient():
    model = mlp()
    keep = torch.rand_like(model[2].weight) > 0.7
    with torch.no_grad():
        model[2].weight.mul_(keep)
    model[2].weight.register_hook(lambda gradient: gradient * keep)
    return model


@sick({"2": "pruned"})
def pruned_by_its_gradient():
    model = masked_gradient()
    return Patient(model, vectors(), optimizer=torch.optim.SGD(model.parameters(), 0.1))


@sick({"2": "leaking"})
def pruned_but_carried_by_momentum():
    model, (x, y) = mlp(), vectors()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
    keep = torch.rand_like(model[2].weight) > 0.7
    with torch.no_grad():
        model[2].weight.mul_(keep)
    model[2].weight.register_hook(lambda gradient: gradient * keep)
    return Patient(model, (x, y), optimizer=optimizer)


@sick({"2": "emptied"}, backward=("0",), forward=("4", "6"))
def emptied_by_a_lock():
    model = mlp()
    whole = torch.ones_like(model[2].weight, dtype=torch.bool)
    return Patient(model, vectors(), lock=hold(model, {"2.weight": whole}, at_zero=True))


@sick({"0": "emptied"}, forward=("2", "4"))
def emptied_by_a_mask_without_biases():
    """Every gradient is zero: the layers above compute with zeros."""
    sizes = [8, 16, 16, 3]
    pairs = itertools.pairwise(sizes)
    layers = [m for a, b in pairs for m in (nn.Linear(a, b, bias=False), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    prune.custom_from_mask(model[0], "weight", torch.zeros(16, 8))
    return Patient(model, vectors())


@sick({"2": "held"})
def held_at_their_values():
    model, (x, y) = mlp(), vectors()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01, weight_decay=0.5)
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
    lock = hold(model, {"2.weight": torch.rand_like(model[2].weight) > 0.5})
    return Patient(model, (x, y), optimizer=optimizer, lock=lock)


# --- zeros and constants


@sick({"4": "zeroed", "6": "zeroed"}, backward=("0", "2"), forward=("6",))
def zeros_on_both_sides_of_a_product():
    model = mlp()
    for tensor in (*model[4].parameters(), model[6].weight):
        fill(tensor, 0.0)
    return Patient(model, vectors())


@healthy
def zero_head():
    model = mlp()
    fill(model[6].weight, 0.0)
    return Patient(model, vectors())


@healthy
def adapter_at_its_start():
    model = Adapter()
    fill(model.up.weight, 0.0)
    return Patient(model, vectors())


@sick({"2": "constant"}, units=(3, 9))
def units_without_inputs():
    model = mlp()
    for unit in (3, 9):
        fill(model[2].weight[unit], 0.0)
    return Patient(model, vectors())


@sick({INPUT: "constant"}, forward=("0", "2", "4", "6"))
def equal_samples():
    return Patient(mlp(), (torch.ones(SAMPLES, 8), vectors()[1]))


class Quantised(nn.Module):
    """An encoder, the nearest code of a codebook, a decoder; ``far`` codes are out of reach."""

    def __init__(self, x, far=0):
        super().__init__()
        self.encode, self.decode = nn.Linear(8, 4), nn.Linear(4, 3)
        self.codes = nn.Embedding(16, 4)
        with torch.no_grad():
            self.codes.weight.copy_(torch.tanh(self.encode(x[:16])))
            self.codes.weight[:far] += 100

    def forward(self, x):
        z = torch.tanh(self.encode(x))
        nearest = torch.cdist(z, self.codes.weight).argmin(1)
        return self.decode(self.codes(nearest) + z - z.detach())


@sick({"codes": "unused"}, units=tuple(range(12)))
def codes_that_nothing_is_near():
    x, y = vectors()
    return Patient(Quantised(x, far=12), (x, y))


class Experts(nn.Module):
    """Four experts, of which a router sends each sample to the best, and never to those shut."""

    def __init__(self, way, shut=()):
        super().__init__()
        self.router, self.way = nn.Linear(8, 4), way
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3)) for _ in range(4)
        )
        with torch.no_grad():
            self.router.bias[list(shut)] = -100.0

    def forward(self, x):
        gates, chosen = self.router(x).softmax(-1).max(-1)
        out = x.new_zeros(len(x), 3)
        for i, expert in enumerate(self.experts):
            out = self.way(out, x, gates, chosen == i, expert)
        return out


def in_parts(out, x, gates, rows, expert):
    return out.index_add(0, rows.nonzero()[:, 0], expert(x[rows]) * gates[rows, None])


def in_parts_if_any(out, x, gates, rows, expert):
    return in_parts(out, x, gates, rows, expert) if rows.any() else out


def masked(out, x, gates, rows, expert):
    return out + (rows * gates)[:, None] * expert(x)


@sick({"experts.2": "unused"})
def expert_that_no_sample_is_sent_to():
    return Patient(Experts(in_parts, shut=[2]), vectors())


class Tower(nn.Module):
    """Four layers of attention, with a way round each of them or without."""

    def __init__(self, skips):
        super().__init__()
        self.embed, self.head, self.skips = nn.Linear(8, 16), nn.Linear(16, 3), skips
        self.blocks = nn.ModuleList(
            nn.MultiheadAttention(16, 2, batch_first=True) for _ in range(4)
        )

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            mixed = block(x, x, x, need_weights=False)[0]
            x = x + mixed if self.skips else mixed
        return self.head(x.mean(1))


@sick(
    {"blocks.2": "collapsed"},
    forward=("blocks.2.out_proj", "blocks.3", "blocks.3.out_proj"),
)
def attention_and_nothing_else():
    return Patient(Tower(skips=False), series())


# --- not finite


@sick({"2": "nonfinite"})
def nan_weight():
    model = mlp()
    fill(model[2].weight[0, 0], math.nan)
    return Patient(model, vectors())


@sick({INPUT: "nonfinite"}, forward=("0", "2", "4", "6"))
def nan_input():
    x, y = vectors()
    x[5, 2] = math.nan
    return Patient(mlp(nn.ReLU), (x, y))


@sick({"2": "nonfinite"}, forward=("4",))
def overflow():
    model = mlp(nn.Identity, depth=2)
    scale(model[0], 1e20)
    scale(model[2], 1e20)
    return Patient(model, vectors())


@sick({"second": "nonfinite"}, backward=("first",))
def gradient_of_a_root_at_zero():
    class Rooted(Functional):
        def forward(self, x):
            x = self.second(torch.tanh(self.first(x)))
            return self.third((x * (x > 0)).sqrt())

    return Patient(Rooted(None), vectors())


# --- healthy


@healthy
def tanh_net():
    return Patient(mlp(), vectors())


@healthy
def leaky_below_zero():
    """h ≤ 0 on all the data, and every unit learns."""
    return Patient(killed(Functional(F.leaky_relu), "second"), vectors())


@healthy
def deep_sigmoid_under_adam():
    model = mlp(nn.Sigmoid, depth=8, width=32)
    return Patient(model, vectors(), optimizer=torch.optim.Adam(model.parameters(), 1e-3))


@healthy
def convolution_with_norm():
    model = convolutional()
    fill(model[3].bias, 0.3)
    return Patient(
        model, images(), optimizer=torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    )


@healthy
def shortcuts():
    model = Residual()
    for block in model.blocks:
        fill(block[0].bias, 0.5)
    return Patient(model, vectors(), optimizer=torch.optim.SGD(model.parameters(), 0.1))


@healthy
def rnn():
    return Patient(Recurrent(nn.RNN(8, 16, batch_first=True)), series())


@healthy
def lstm():
    model = Recurrent(nn.LSTM(8, 16, batch_first=True))
    return Patient(model, series(), optimizer=torch.optim.Adam(model.parameters(), 1e-3))


@healthy
def gru():
    return Patient(Recurrent(nn.GRU(8, 16, num_layers=2, batch_first=True)), series())


class Encoder(nn.Module):
    def __init__(self, first):
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            16, 2, 32, 0.1, "gelu", batch_first=True, norm_first=first
        )
        self.embed, self.head = nn.Linear(8, 16), nn.Linear(16, 3)
        self.place = nn.Parameter(torch.randn(6, 16) / 4)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x) + self.place).mean(1))


@healthy
def transformer():
    model = Encoder(False)
    return Patient(model, series(), optimizer=torch.optim.AdamW(model.parameters(), 1e-3))


@healthy
def transformer_norm_first():
    return Patient(Encoder(True), series())


@healthy
def codebook():
    x, y = vectors()
    return Patient(Quantised(x), (x, y))


@healthy
def experts():
    return Patient(Experts(in_parts), vectors())


@healthy
def words_left_out():
    """Most words are not in the data; some are read again as the network's own guesses."""

    class Guesses(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.head = nn.Embedding(40, 16), nn.Linear(16, 40)

        def forward(self, tokens):
            guessed = self.head(self.words(tokens)).argmax(-1)
            return self.head(self.words(tokens) + self.words(guessed)).mean(1)

    tokens = torch.randint(0, 11, (SAMPLES, 5))
    return Patient(Guesses(), (tokens, tokens[:, 0]))


@healthy
def attention_with_a_way_round():
    return Patient(Tower(skips=True), series())


@healthy
def pooled_and_copied_to_all_positions():
    """What was pooled is the same at all positions by design; so is a class token's output."""

    class Copied(Encoder):
        def __init__(self):
            super().__init__(True)
            self.again, self.token = nn.Linear(16, 16), nn.Linear(16, 16)

        def forward(self, x):
            x = self.encoder(self.embed(x) + self.place)
            mean = x.mean(1, keepdim=True).expand(-1, 6, -1)
            token = x[:, 0].unsqueeze(1).repeat(1, 6, 1)
            return self.head((torch.tanh(self.again(mean)) + self.token(token)).mean(1))

    return Patient(Copied(), series())


@healthy
def tied_weights():
    model = nn.Sequential(nn.Embedding(11, 16), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 11))
    model[3].weight = model[0].weight
    tokens = torch.randint(0, 11, (SAMPLES, 5))
    return Patient(
        model, (tokens, tokens), lambda o, t: F.cross_entropy(o.flatten(0, 1), t.flatten())
    )


@healthy
def bfloat16_under_adam():
    model, (x, y) = mlp().to(torch.bfloat16), vectors()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    return Patient(model, (x.bfloat16(), y), optimizer=optimizer)


@healthy
def dropout_and_layer_norm():
    model = nn.Sequential(
        nn.Linear(8, 32), nn.LayerNorm(32), nn.GELU(), nn.Dropout(0.3), nn.Linear(32, 3)
    )
    return Patient(model, vectors())


@healthy
def weight_norm():
    model = mlp()
    parametrizations.weight_norm(model[2])
    return Patient(model, vectors())


@healthy
def unrolled_cell():
    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.GRUCell(8, 16), nn.Linear(16, 3)

        def forward(self, x):
            state = x.new_zeros(len(x), 16)
            for t in range(x.shape[1]):
                state = self.cell(x[:, t], state)
            return self.head(state)

    return Patient(Unrolled(), series())


@healthy
def inputs_that_are_always_zero():
    """Weights that began at zero and whose input is zero: no mask holds them."""
    (x, y), model = vectors(), mlp()
    x[:, 3] = 0.0
    with torch.no_grad():
        model[0].weight[:, 3] = 0.0
    return Patient(model, (x, y))


@healthy
def checkpointed():
    class Checkpointed(Functional):
        def forward(self, x):
            x = torch.utils.checkpoint.checkpoint(self.first, x, use_reentrant=False)
            return self.third(torch.tanh(self.second(torch.tanh(x))))

    return Patient(Checkpointed(None), vectors())


@healthy
def loader():
    x, y = vectors()
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 20, shuffle=True)
    return Patient(mlp(), data)


@healthy
def attention_in_three_ways():
    class Ways(nn.Module):
        def __init__(self):
            super().__init__()
            mixes = [F.scaled_dot_product_attention, written_out]
            self.ways = nn.ModuleList([MultiHead(), *map(Attention, mixes)])

        def forward(self, x):
            return sum(way(x) for way in self.ways)

    return Patient(Ways(), series())


@healthy
def causal_and_padded_attention():
    """The first row has one key to look at, and the last key is padding: no saturation."""
    causal = torch.ones(6, 6, dtype=torch.bool).triu(1)
    padding = torch.zeros(SAMPLES // 3, 6, dtype=torch.bool)
    padding[:, 5] = True

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.packed = MultiHead(attn_mask=causal)
            self.padded = MultiHead(key_padding_mask=padding)
            self.fused = Attention(
                lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
            )

        def forward(self, x):
            return self.packed(x) + self.padded(x) + self.fused(x)

    return Patient(Masked(), series())


@healthy
def confident_probabilities():
    """A softmax that ends a network is no attention: its logarithm undoes the flatness."""
    model = nn.Sequential(mlp(), nn.Softmax(-1))
    scale(model[0][6], 200)
    return Patient(model, vectors(), lambda p, y: F.nll_loss((p + 1e-30).log(), y))


@healthy
def a_layer_called_twice():
    return Patient(Twice(), vectors())


@healthy
def both_ways_through_time():
    class Both(Recurrent):
        def __init__(self):
            super().__init__(nn.LSTM(8, 16, batch_first=True, bidirectional=True))
            self.head = nn.Linear(32, 3)

    return Patient(Both(), series())


@healthy
def upward_convolutions():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.GroupNorm(2, 8), nn.SiLU(), nn.ConvTranspose2d(8, 4, 2),
        nn.InstanceNorm2d(4, affine=True), nn.LeakyReLU(), nn.Flatten(), nn.Linear(64, 3),
    )  # fmt: skip
    return Patient(model, images())
