"""The certificate: each lock at its origin, nothing else, and nothing of the model changed."""

from __future__ import annotations

import copy
import json
import math
import random
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from paramlock.certifying.certificate import certificate
from paramlock.certifying.in_torch import attention as torch_attention
from paramlock.certifying.locks import KINDS
from paramlock.certifying.records import INPUT, LOSS, MODEL, Pseudo
from paramlock.fisher.diagonal import fisher_diagonal
from paramlock.holding.in_torch import hold
from paramlock.models.in_torch import layer_of
from paramlock.unlocking.in_torch import reinitialise_units
from paramlock.unlocking.remedies import remedies
from tests.paramlock import zoo


def examine(case):
    torch.manual_seed(0)
    patient = case.build()
    return certificate(patient.model, patient.data, patient.loss, optimizer=patient.optimizer)


@pytest.mark.parametrize("case", zoo.SICK, ids=lambda case: case.name)
def test_a_planted_lock_is_found_at_its_place_and_nothing_else(case):
    found = examine(case)
    finds = {(place, kind) for place, kind in case.finds.items() if isinstance(place, Pseudo)}
    finds |= {(place.rstrip("."), k) for place, k in case.finds.items() if (place, k) not in finds}
    assert {(lock.place, lock.kind) for lock in found.locks} == finds, found
    assert len(found.locks) == len(finds)
    assert found.locks[0].backward == case.backward
    assert found.locks[0].forward == case.forward
    if case.units is not None:
        assert found.locks[0].units == case.units


@pytest.mark.parametrize("case", zoo.HEALTHY, ids=lambda case: case.name)
def test_a_healthy_network_has_no_lock(case):
    found = examine(case)
    assert not found.locks, found


class Called(nn.Module):
    """Two layers called ``input`` and ``loss``; the data pass a rectifier first."""

    def __init__(self):
        super().__init__()
        self.add_module("input", nn.Linear(8, 16))
        self.add_module("loss", nn.Linear(16, 3))

    def forward(self, x):
        return self.loss(torch.tanh(self.input(F.relu(x))))


def called(make=Called):
    """Return a model, and data of which one column is always negative."""
    torch.manual_seed(0)
    x, y = zoo.vectors()
    x[:, 2] = -x[:, 2].abs() - 1
    return make(), (x, y)


def test_an_activation_of_the_data_is_no_activation_of_a_module_called_input():
    model, data = called()
    found = certificate(model, data, F.cross_entropy)
    (dead,) = found.locks
    assert (dead.kind, dead.units, dead.layers) == ("dead", (2,), ())
    assert dead.place == INPUT and dead.place != "input" and str(dead.place) == "input"
    assert found.at(INPUT) == [dead] and not found.at("input")
    assert [(row["lock"], row["units"]) for row in found.layers()] == [("", 16), ("", 0)]
    assert "dead at the input: 1 of 8 units" in str(found) and "the data" in dead.key
    (remedy,) = remedies(found)
    assert not remedy.curative and not remedy.call
    before = [p.detach().clone() for p in model.parameters()]
    assert reinitialise_units(model, found) == []
    assert all(map(torch.equal, before, model.parameters()))


def test_json_tells_the_input_from_a_module_called_input():
    model, data = called()
    zoo.fill(model.input.bias[5], 9.0)
    record = json.loads(certificate(model, data, F.cross_entropy).to_json())
    locks = {(k["kind"], k["place"], k["pseudo"]): k["layers"] for k in record["locks"]}
    assert locks == {("dead", "input", True): [], ("saturated", "input", False): ["input"]}
    sites = [(s["layer"], s["pseudo"], s["function"]) for s in record["sites"]]
    assert sites == [("input", True, "relu"), ("input", False, "tanh")]


def test_the_loss_is_no_module_called_loss():
    model, data = called()

    def flat(outputs, targets):
        return F.relu(outputs.sum(1) - 1e3).mean()

    (signal,) = [k for k in certificate(model, data, flat).locks if k.kind == "no_signal"]
    assert signal.place == LOSS and signal.backward == ("input", "loss") and not signal.layers
    (void,) = certificate(model, data, lambda o, y: F.cross_entropy(o, y) * math.nan).locks
    assert void.place == LOSS and void.place != "loss"


def test_data_that_no_unit_lets_through_are_one_lock_with_all_that_they_starve():
    model, (x, y) = called()
    (dead,) = certificate(model, (-x.abs(), y), F.cross_entropy).locks
    assert (dead.kind, dead.place, dead.forward) == ("dead", INPUT, ("input", "loss"))


class Outer(nn.Module):
    """Owns a parameter itself, and so does the block in it."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.randn(16) / 4)
        self.block = nn.Linear(8, 16)
        self.block.add_module("inner", nn.Linear(16, 16))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.tanh(self.block(x) + self.shift)
        return self.head(torch.tanh(self.block.inner(x)))


def test_a_lock_of_a_modules_own_parameters_is_none_of_the_modules_in_it():
    torch.manual_seed(0)
    model, data = Outer(), zoo.vectors()
    hold(model, {name: model.get_parameter(name) > 0 for name in ("shift", "block.weight")})
    found = certificate(model, data, F.cross_entropy)
    assert {k.place: k.layers for k in found.locks} == {"": ("",), "block": ("block",)}
    rows = {row["layer"]: row["lock"] for row in found.layers()}
    assert rows == {"": "held", "block": "held", "block.inner": "", "head": ""}
    assert "held at the model's own parameters" in str(found)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("block.original.weight", "block.original"),
        ("original.weight", "original"),
        ("net.parametrizations_of.0.weight", "net.parametrizations_of.0"),
        ("net.parametrizations.0.weight", "net.parametrizations.0"),
        ("net.parametrizations.weight.original0", "net"),
        ("net.parametrizations.weight.0.angle", "net"),
        ("parametrizations.weight.original", ""),
        ("weight", ""),
    ],
)
def test_a_layer_is_told_by_whole_steps_of_its_name(name, layer):
    assert layer_of(name) == layer


def test_a_single_layer_is_a_model_whose_name_is_empty():
    torch.manual_seed(0)
    model, data = nn.Linear(8, 3), zoo.vectors()
    keep = torch.ones(3, 8)
    keep[1] = 0  # a whole row: only its bias shows that the unit learns
    keep[0, :4] = 0
    with torch.no_grad():
        model.weight.mul_(keep)
    model.weight.register_hook(lambda gradient: gradient * keep)
    (pruned,) = certificate(model, data, F.cross_entropy).locks
    assert (pruned.place, pruned.layers) == ("", ("",)) and pruned.value == 12 / 24
    parametrizations.weight_norm(model)
    assert [row["layer"] for row in certificate(model, data, F.cross_entropy).layers()] == [""]


def test_the_whole_model_is_a_place_of_its_own():
    model, data = Outer(), zoo.vectors()
    model.requires_grad_(False)
    model.head.weight.requires_grad_(True)
    places = {k.place: k.layers for k in certificate(model, data, F.cross_entropy).locks}
    inside = {"": ("",), "block": ("block", "block.inner"), "head.bias": ("head",)}
    assert {place: tuple(sorted(layers)) for place, layers in places.items()} == inside
    model.head.weight.requires_grad_(False)
    found = certificate(model, data, F.cross_entropy)
    (lock,) = found.locks
    assert lock.place == MODEL and lock.place != "" and len(lock.layers) == 4
    assert repr([lock.place, INPUT]) == "[<the whole model>, <the input>]"
    assert "frozen at the whole model" in str(found) and json.loads(found.to_json())
    assert {row["lock"] for row in found.layers()} == {"frozen"}


def test_the_zoo_is_large_enough():
    assert len(zoo.SICK) >= 24 and len(zoo.HEALTHY) >= 12
    planted = {kind for case in zoo.SICK for kind in case.finds.values()}
    assert planted == set(KINDS) - {"inactive"}  # no measurement of a certificate tells it


# --- the model stays as it was


def everything(model):
    """Return all that must not change: values, gradients, modes, hooks, generators."""
    modules = list(model.modules())
    hooks = [len(v) for m in modules for k, v in vars(m).items() if k.endswith("hooks")]
    values = [*model.parameters(), *model.buffers()]
    return {
        "identity": [id(v) for v in values],
        "values": [v.detach().clone() for v in values],
        "versions": [v._version for v in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "flags": [p.requires_grad for p in model.parameters()],
        "modes": [m.training for m in modules],
        "hooks": hooks,
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1],
        "python": random.getstate(),
    }


def assert_same(before, after):
    for name, value in before.items():
        for a, b in zip(value, after[name], strict=True):
            same = torch.equal(a, b) if isinstance(a, torch.Tensor) else np.array_equal(a, b)
            assert same, name


def loaded():
    """Return a model with every kind of state, warm gradients and a shuffling loader."""
    torch.manual_seed(1)
    model = zoo.convolutional()
    model.append(nn.Dropout(0.5))
    x, y = zoo.images()
    F.cross_entropy(model(x), y).backward()
    model[4].eval()
    data = torch.utils.data.TensorDataset(x, y)
    generator = torch.Generator().manual_seed(5)
    return model, torch.utils.data.DataLoader(data, 8, shuffle=True, generator=generator)


def noisy(outputs, targets):
    np.random.rand()
    random.random()
    return F.cross_entropy(outputs, targets)


def test_the_model_is_left_exactly_as_it_was():
    model, data = loaded()
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.step()
    before, state = everything(model), copy.deepcopy(optimizer.state_dict())
    shuffle = data.generator.get_state()
    certificate(model, data, noisy, optimizer=optimizer)
    assert_same(before, everything(model))
    assert str(state) == str(optimizer.state_dict())
    assert torch.equal(shuffle, data.generator.get_state())


def test_it_is_left_so_even_if_the_loss_raises():
    model, data = loaded()
    before = everything(model)

    def broken(outputs, targets):
        model.eval()
        model[0].weight.data.zero_()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        certificate(model, data, broken)
    assert_same({k: v for k, v in before.items() if k != "versions"}, everything(model))


def test_hooks_of_the_optimizer_and_its_scheduler_do_not_run():
    model = zoo.mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    calls = []
    optimizer.register_step_post_hook(lambda *_: calls.append(1))
    certificate(model, zoo.vectors(), F.cross_entropy, optimizer=optimizer)
    assert not calls


# --- the numbers


def update_by_hand(model, data, optimizer):
    """Return ‖Δθ‖/‖θ‖ of a real step on a copy."""
    model, optimizer_ = copy.deepcopy((model, optimizer))
    before = [p.detach().clone() for p in model.parameters()]
    optimizer_.zero_grad()
    F.cross_entropy(model(data[0]), data[1]).backward()
    optimizer_.step()
    pairs = zip(before, model.parameters(), strict=True)
    return [((b - a).norm() / a.norm()).item() for a, b in pairs]


@pytest.mark.parametrize(
    "make",
    [
        lambda ps: torch.optim.SGD(ps, 0.1, momentum=0.9, weight_decay=1e-2),
        lambda ps: torch.optim.Adam(ps, 1e-3, amsgrad=True),
        lambda ps: torch.optim.AdamW(ps, 1e-3),
        lambda ps: torch.optim.RMSprop(ps, 1e-3),
        lambda ps: torch.optim.Adagrad(ps, 1e-2),
    ],
)
def test_the_update_is_that_of_the_next_real_step(make):
    torch.manual_seed(0)
    model, data = zoo.mlp(), zoo.vectors()
    optimizer = make(list(model.parameters()))
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(data[0]), data[1]).backward()
        optimizer.step()
    found = certificate(model, data, F.cross_entropy, optimizer=optimizer)
    ratios = [p.update_ratio for p in found.measurement.parameters]
    assert ratios == pytest.approx(update_by_hand(model, data, optimizer), rel=1e-3)


def test_an_optimizer_that_needs_a_closure_is_said_so():
    model = zoo.mlp()
    optimizer = torch.optim.LBFGS(model.parameters())
    found = certificate(model, zoo.vectors(), F.cross_entropy, optimizer=optimizer)
    assert "closure" in str(found) and not found.locks


def test_a_loader_gives_the_gradient_of_all_its_samples():
    torch.manual_seed(0)
    model, (x, y) = zoo.mlp(), zoo.vectors()
    parts = [(x[:50], y[:50]), (x[50:80], y[50:80]), (x[80:], y[80:])]
    whole = certificate(model, (x, y), F.cross_entropy).measurement
    loaded = certificate(model, parts, F.cross_entropy).measurement
    expected = [p.gradient for p in whole.parameters]
    assert [p.gradient for p in loaded.parameters] == pytest.approx(expected, rel=1e-5)
    assert loaded.samples == 96 and loaded.loss == pytest.approx(whole.loss)


def test_dead_means_dead_on_every_batch():
    model = zoo.mlp(nn.ReLU, depth=1)
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].weight[:, 0] = 1.0
        model[0].bias.zero_()
    x, y = torch.zeros(64, 8), torch.zeros(64, dtype=torch.long)
    x[:, 0] = torch.cat([-torch.ones(32), torch.ones(32)])
    found = certificate(model, [(x[:32], y[:32]), (x[32:], y[32:])], F.cross_entropy)
    assert not found.measurement.sites[0].dead
    half = certificate(model, (x[:32], y[:32]), F.cross_entropy)
    assert len(half.measurement.sites[0].dead) == 16


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_gates_of_the_fused_layer_are_those_of_its_cell(kind):
    torch.manual_seed(0)
    fused = kind(8, 5, batch_first=True)
    cell = (nn.LSTMCell if kind is nn.LSTM else nn.GRUCell)(8, 5)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in fused.state_dict().items()})

    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.state = cell, None

        def forward(self, x):
            state = None
            for t in range(x.shape[1]):
                state = self.cell(x[:, t], state)
            return state[0] if isinstance(state, tuple) else state

    x = 3 * torch.randn(40, 6, 8), torch.randn(40, 5)
    one = certificate(nn.Sequential(fused, Last()), x, F.mse_loss, delta=0.1).measurement
    other = certificate(Unrolled(), x, F.mse_loss, delta=0.1).measurement
    assert 0 < one.sites[0].flat == pytest.approx(other.sites[0].flat, abs=2e-3)
    assert one.sites[0].units == other.sites[0].units == (20 if kind is nn.LSTM else 15)
    assert one.loss == pytest.approx(other.loss, rel=1e-5)


class Last(nn.Module):
    """The last output of a recurrent layer."""

    def forward(self, outputs):
        return outputs[0][:, -1]


def test_a_norm_that_underflows_in_float32_is_measured():
    torch.manual_seed(0)
    model = zoo.mlp(nn.Sigmoid, depth=28, width=16)
    found = certificate(model, zoo.vectors(), F.cross_entropy)
    first = found.measurement.parameters[0]
    gradient = torch.autograd.grad(
        F.cross_entropy(model(zoo.vectors()[0]), zoo.vectors()[1]), model[0].weight
    )[0]
    assert gradient.norm() == 0 and first.gradient > 0


def test_saturation_follows_its_closed_form():
    """The share of small derivatives for z ~ N(0, s²) is that of |z| beyond their edge."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 64, bias=False), nn.Sigmoid(), nn.Linear(64, 1))
    for s in (2.0, 4.0, 8.0):
        zoo.fill(model[0].weight, s)
        data = torch.randn(4000, 1), torch.zeros(4000, 1)
        flat = certificate(model, data, F.mse_loss).measurement.sites[0].flat
        edge = -math.log((1 - math.sqrt(1 - 4 * 0.05)) / (1 + math.sqrt(1 - 4 * 0.05)))
        assert flat == pytest.approx(math.erfc(edge / s / math.sqrt(2)), abs=0.02)


def test_attention_rows_follow_their_closed_form():
    """Two keys with scores ±z share a row as sigmoid(±2z): flat where p (1 - p) < delta."""
    scores = torch.linspace(-3, 3, 61).reshape(1, 1, 61, 1) * torch.tensor([1.0, -1.0])
    rows = torch_attention.of_softmax(scores, -1)
    p = torch.sigmoid(2 * scores[..., 0])
    assert rows.counted.all() and torch.allclose(rows.slopes, p * (1 - p), atol=1e-6)
    masked = torch.cat([scores[..., :1], torch.full((1, 1, 61, 1), -1e9)], -1)
    assert not torch_attention.of_softmax(masked, -1).counted.any()
    even = torch_attention.of_softmax(torch.zeros(2, 3, 5, 40), -1)
    assert (even.slopes == 0.25).all(), "a row that looks everywhere is not flat"


@pytest.mark.parametrize("masks", [{}, {"attn_mask": torch.ones(6, 6).triu(1).bool()}])
def test_packed_attention_has_the_rows_of_its_formula(masks):
    torch.manual_seed(0)
    model, (x, y) = zoo.MultiHead(**masks), zoo.series()
    zoo.fill(model.attend.in_proj_bias, 0.3)
    with torch.no_grad():
        model.attend.in_proj_weight *= 6
    query, key = F.linear(x, model.attend.in_proj_weight, model.attend.in_proj_bias).chunk(3, -1)[
        :2
    ]
    query, key = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in (query, key))
    scores = query @ key.mT / 2
    if masks:
        scores = scores.masked_fill(masks["attn_mask"], -math.inf)
    top = scores.softmax(-1).amax(-1)[:, :, 1 if masks else 0 :]  # the first row has one key
    (site,) = certificate(model, (x, y), F.cross_entropy).measurement.sites
    assert site.function == "attention" and site.units == 2
    assert 0 < site.flat == pytest.approx((top * (1 - top) < 0.05).float().mean().item())


def test_attention_with_weights_apart_belongs_to_its_module():
    class Across(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 8)
            self.attend = nn.MultiheadAttention(8, 2, kdim=6, batch_first=True)

        def forward(self, x):
            x = self.first(x)
            return self.attend(x, x[..., :6], x)[0].mean(1)

    torch.manual_seed(0)
    (site,) = certificate(Across(), zoo.series(), F.cross_entropy).measurement.sites
    assert (site.layer, site.function, site.units, site.beside) == ("attend", "attention", 2, ())


def test_an_emptied_layer_silences_all_gradients_and_a_pruned_bias_none():
    case = next(c for c in zoo.SICK if c.name == "emptied_by_a_mask_without_biases")
    assert [p.gradient for p in examine(case).measurement.parameters] == [0, 0, 0]
    torch.manual_seed(0)
    model = zoo.mlp()
    hold(model, {"2.bias": torch.ones(16, dtype=torch.bool)}, at_zero=True)
    (lock,) = certificate(model, zoo.vectors(), F.cross_entropy).locks
    assert (lock.kind, lock.value, lock.backward) == ("pruned", 1, ())


def test_a_cascade_is_of_exact_zeros():
    """Killing layer 2 zeroes the gradients of all below, and of the weights of layer 4."""
    torch.manual_seed(0)
    model = zoo.killed(zoo.mlp(nn.ReLU), "2")
    found = certificate(model, zoo.vectors(), F.cross_entropy).measurement.parameters
    zero = {p.name for p in found if p.gradient == 0}
    assert zero >= {"0.weight", "0.bias", "2.weight", "2.bias", "4.weight"}
    assert "6.bias" not in zero


@pytest.mark.parametrize(
    ("way", "place", "backward"),
    [
        (zoo.in_parts, "experts.2", ()),
        (zoo.in_parts_if_any, "experts.2", ()),
        (zoo.masked, "experts.2.2", ("experts.2.0",)),
    ],
)
def test_an_expert_that_is_never_chosen_is_found_however_samples_are_sent(way, place, backward):
    torch.manual_seed(0)
    found = certificate(zoo.Experts(way, shut=[2]), zoo.vectors(), F.cross_entropy)
    (lock,) = found.locks
    assert (lock.kind, lock.place, lock.backward) == ("unused", place, backward)
    assert "none of 96 samples" in lock.evidence and not found.measurement.unseen


@pytest.mark.parametrize("spread", [0, 1])
def test_codes_are_unused_only_beyond_chance(spread):
    """16 codes cannot all be chosen by 4 samples; that 12 are far away shows by 96."""
    torch.manual_seed(0)
    x, y = zoo.vectors()
    model = zoo.Quantised(x, far=12 * spread)
    few = certificate(model, (x[:4], y[:4]), F.cross_entropy)
    assert not [k for k in few.locks if k.kind == "unused"]
    parts = [(x[:40], y[:40]), (x[40:], y[40:])]
    record = certificate(model, parts, F.cross_entropy).measurement.parameters[4]
    assert (record.name, record.picks) == ("codes.weight", 96)
    assert record.unpicked == tuple(range(12 * spread))


def test_a_codebook_multiplied_by_one_hot_rows_is_looked_up():
    class OneHot(zoo.Quantised):
        def forward(self, x):
            z = torch.tanh(self.encode(x))
            nearest = torch.cdist(z, self.codes.weight).argmin(1)
            rows = torch.zeros(len(x), 16).scatter_(1, nearest[:, None], 1.0)
            return self.decode(rows @ self.codes.weight + z - z.detach())

    torch.manual_seed(0)
    x, y = zoo.vectors()
    (lock,) = certificate(OneHot(x, far=12), (x, y), F.cross_entropy).locks
    assert (lock.kind, lock.place, lock.units) == ("unused", "codes", tuple(range(12)))


def test_the_spread_of_positions_is_that_of_its_formula():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(8, 5, 1), nn.Flatten(), nn.Linear(30, 3))
    x, y = torch.randn(32, 8, 6), torch.arange(32) % 3
    value = model[0](x)  # positions lie along the last axis here
    apart = (value - value.mean(2, keepdim=True)).norm() / value.norm()
    for data in ((x, y), [(x[:20], y[:20]), (x[20:], y[20:])]):
        conv, head = certificate(model, data, F.cross_entropy).measurement.layers
        assert conv.spread == pytest.approx(apart.item(), rel=1e-5) and head.spread is None


def test_without_a_way_round_the_spread_falls_ever_faster():
    torch.manual_seed(0)
    layers = certificate(zoo.Tower(False), zoo.series(), F.cross_entropy).measurement.layers
    embed, *blocks = [layer.spread for layer in layers if not layer.name.endswith("_proj")][:4]
    assert 1 > embed > blocks[0] > 100 * blocks[1] > 1000 * blocks[2]


@pytest.mark.parametrize(
    ("make", "rate", "power"), [(torch.optim.SGD, 1.0, 2), (torch.optim.Adam, 0.01, 1)]
)
def test_under_a_norm_layer_a_step_turns_the_less_the_heavier_the_weight(make, rate, power):
    """By gradient descent with the square of the scale, by Adam with the scale."""
    turns = {}
    for factor in (1, 10, 100):
        torch.manual_seed(0)
        model = zoo.convolutional()
        zoo.scale(model[0], factor)
        optimizer = make(model.parameters(), rate)
        found = certificate(model, zoo.images(), F.cross_entropy, optimizer=optimizer)
        weight = found.measurement.parameters[0]
        assert weight.name == "0.weight" and weight.along < 1e-3
        turns[factor] = weight.turn
    assert turns[1] / turns[10] == pytest.approx(10**power, rel=0.1)
    assert turns[10] / turns[100] == pytest.approx(10**power, rel=0.1)


def test_tied_weights_count_once():
    case = next(c for c in zoo.HEALTHY if c.name == "tied_weights")
    records = examine(case).measurement.parameters
    assert [p.name for p in records if p.aliases] == ["0.weight"]
    assert records[0].aliases == ("3.weight",)


class Clip(torch.autograd.Function):
    """An activation whose derivative its author wrote."""

    @staticmethod
    def forward(context, x):
        return x.clamp(-1, 1)

    @staticmethod
    def backward(context, gradient):
        return gradient


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (lambda x: torch.where(x > 0, x, 0.0), "gates values by hand (where), after second"),
        (lambda x: x * (x > 0), "gates values by hand (mul), after second"),
        (lambda x: x * (x > 0).float(), "gates values by hand (mul), after second"),
        (lambda x: x.masked_fill(~(x > 0), 0.0), "(masked_fill), after second"),
        (lambda x: torch.maximum(x, torch.zeros(1)), "(maximum), after second"),
        (Clip.apply, "the derivative of Clip"),
    ],
)
def test_a_gate_that_no_detector_sees_is_said(gate, words):
    found = certificate(zoo.Functional(gate), zoo.vectors(), F.cross_entropy)
    assert words in " ".join(found.measurement.unseen)
    assert f"not seen: {found.measurement.unseen[0]}" in str(found)
    assert found.to_dict()["unseen"] == found.measurement.unseen


def test_gates_and_calls_that_are_hidden_in_compiled_code_are_said():
    both = next(c for c in zoo.HEALTHY if c.name == "both_ways_through_time")
    assert examine(both).measurement.unseen == ["the gates inside lstm, of layer"]
    with pytest.warns(DeprecationWarning):
        traced = torch.jit.trace(nn.Linear(8, 8), torch.ones(2, 8))
    model = nn.Sequential(traced, nn.Linear(8, 3))
    unseen = certificate(model, zoo.vectors(), F.cross_entropy).measurement.unseen
    assert unseen == [f"the call of {i} (compiled or scripted code?)" for i in (0, 1)]


def test_nothing_of_a_healthy_network_goes_unseen_unsaid():
    unseen = {c.name for c in zoo.HEALTHY if examine(c).measurement.unseen}
    assert unseen == {"both_ways_through_time"}


def test_fisher_mass_tells_pulls_that_cancel_from_none():
    """Two samples that pull a bias apart: its gradient is 0, its Fisher mass is not."""
    model = nn.Sequential(nn.Linear(1, 2), nn.Linear(2, 2))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    data = torch.ones(2, 1), torch.tensor([0, 1])
    fisher = fisher_diagonal(model, data)
    found = certificate(model, data, F.cross_entropy, fisher=fisher)
    record = next(p for p in found.measurement.parameters if p.name == "1.bias")
    assert record.gradient == 0 and record.fisher == pytest.approx(0.5)  # 2 entries, (1/2)² each
    rows = {row["layer"]: row["fisher"] for row in found.layers()}
    assert rows == {"0": 0, "1": 1} and " fisher " in str(found)
    assert [p["fisher_share"] for p in found.to_dict()["parameters"]] == [0, 0, 0, 1]
    assert "fisher" not in str(certificate(model, data, F.cross_entropy))
    for wrong in ({"1.bais": torch.ones(2)}, {"1.bias": torch.ones(3)}):
        with pytest.raises(ValueError, match=r"fisher has '1\.\w+' .* of this model"):
            certificate(model, data, F.cross_entropy, fisher=wrong)


LAYERS = st.sampled_from(
    [
        lambda w: nn.Linear(w, w),
        lambda w: nn.BatchNorm1d(w),
        lambda w: nn.LayerNorm(w),
        lambda w: nn.Dropout(0.4),
        lambda w: nn.ReLU(inplace=True),
        lambda w: nn.Sigmoid(),
        lambda w: nn.GELU(),
        lambda w: nn.PReLU(),
        lambda w: nn.RReLU(),
        lambda w: parametrizations.weight_norm(nn.Linear(w, w)),
    ]
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    layers=st.lists(LAYERS, max_size=5),
    width=st.integers(1, 5),
    frozen=st.lists(st.integers(0, 20)),
    evaluating=st.lists(st.integers(0, 6)),
    make=st.sampled_from([None, torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop]),
    fails=st.booleans(),
)
def test_any_model_is_left_exactly_as_it_was(layers, width, frozen, evaluating, make, fails):
    torch.manual_seed(width)
    model = nn.Sequential(nn.Linear(8, width), *(f(width) for f in layers), nn.Linear(width, 3))
    for i, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(i not in frozen)
    for i in evaluating:
        list(model.modules())[i % len(list(model.modules()))].eval()
    optimizer = make(model.parameters(), lr=0.01, weight_decay=0.1) if make else None
    if any(p.requires_grad for p in model.parameters()):
        model(zoo.vectors()[0]).sum().backward()
    before = everything(model)

    def loss(outputs, targets):
        if fails:
            raise KeyError("mine")
        return F.cross_entropy(outputs, targets)

    try:
        certificate(model, zoo_data(), loss, optimizer=optimizer)
    except KeyError:
        assert fails
    assert_same(before, everything(model))


def zoo_data():
    """Return two batches that take no random numbers to make."""
    x = torch.linspace(-1, 1, 96 * 8).reshape(96, 8)
    return [(x[:64], torch.arange(64) % 3), (x[64:], torch.arange(32) % 3)]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    depth=st.integers(2, 5),
    kill=st.data(),
    kind=st.sampled_from([nn.ReLU, nn.ReLU6, nn.Hardswish]),
    seed=st.integers(0, 999),
)
def test_a_killed_layer_is_the_origin_in_any_depth(depth, kill, kind, seed):
    torch.manual_seed(seed)
    at = str(2 * kill.draw(st.integers(0, depth - 1)))
    model = zoo.mlp(kind, depth=depth, width=6)
    sites = certificate(model, zoo.vectors(), F.cross_entropy).measurement.sites
    assume(all(len(site.dead) < site.units for site in sites))  # narrow nets are born dead
    zoo.killed(model, at)
    found = certificate(model, zoo.vectors(), F.cross_entropy)
    (lock,) = [lock for lock in found.at(at) if lock.kind == "dead"]
    layers = [str(i) for i in range(0, 2 * depth + 1, 2)]
    assert lock.backward == tuple(layers[: layers.index(at)])
    assert lock.forward == tuple(layers[layers.index(at) + 1 :])
    assert not [lk for lk in found.locks if lk.place in lock.forward]


def test_a_layer_below_the_origin_with_some_dead_units_has_no_part_in_the_cascade():
    torch.manual_seed(0)
    model = zoo.mlp(nn.ReLU, depth=4)
    zoo.fill(model[2].bias[5], -100.0)
    zoo.killed(model, "4")
    below, origin = certificate(model, zoo.vectors(), F.cross_entropy).locks
    assert (below.place, below.units, below.forward) == ("2", (5,), ())
    assert (origin.place, origin.backward, origin.forward) == ("4", ("0", "2"), ("6", "8"))


@pytest.mark.parametrize("rate", [1.0, 1e-2, 1e-3, 1e-4])
def test_weights_that_a_step_in_bfloat16_leaves_as_they_were(rate):
    """The share of stuck weights is the next real step's; most of them are at small rates."""
    torch.manual_seed(0)
    model, (x, y) = zoo.mlp().to(torch.bfloat16), zoo.vectors()
    optimizer = torch.optim.SGD(model.parameters(), rate)
    found = certificate(model, (x.bfloat16(), y), F.cross_entropy, optimizer=optimizer)
    before = [p.detach().clone() for p in model.parameters()]
    F.cross_entropy(model(x.bfloat16()), y).backward()
    optimizer.step()
    records = found.measurement.parameters
    for record, old, new in zip(records, before, model.parameters(), strict=True):
        pulled = new.grad != 0
        stuck = ((new == old) & pulled).sum() / pulled.sum()
        assert record.stuck == pytest.approx(stuck.item(), abs=0.05)
    assert {k.kind for k in found.locks} == ({"rounding"} if rate < 1 else set())


def test_float32_weights_under_autocast_do_not_round_away():
    torch.manual_seed(0)
    model, data = zoo.mlp(), zoo.vectors()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        found = certificate(model, data, F.cross_entropy, optimizer=optimizer)
    assert not found.locks, found


def test_autocast_is_measured_as_it_runs():
    model, data = zoo.killed(zoo.mlp(nn.ReLU), "0"), zoo.vectors()
    with torch.autocast("cpu", torch.bfloat16):
        found = certificate(model, data, F.cross_entropy)
    assert [(lock.kind, lock.place) for lock in found.locks] == [("dead", "0")]


# --- what it says


def test_text_html_and_picture_say_every_lock():
    found = examine(next(c for c in zoo.SICK if c.name == "dead_layer"))
    for text in (str(found), re.sub("<[^>]+>", " ", found._repr_html_()), found.plot().alt):
        assert "dead at 2" in text
    page = found._repr_html_()
    assert "background:#" not in page.replace("background:transparent", "")
    assert not re.search(r"[^-]color:(?!inherit)", page), "text takes the page's colours"
    assert found.plot().webp.startswith(b"RIFF")


def test_plain_data_survives_json_even_with_nan():
    for name in ("nan_weight", "dead_layer", "left_out_of_the_optimizer"):
        found = examine(next(c for c in zoo.SICK if c.name == name))
        data = json.loads(found.to_json())
        assert data == found.to_dict() and data["schema"] == 2
        assert data["locks"][0]["lesson"] == found.locks[0].lesson


def test_two_certificates_are_compared():
    model, data = zoo.killed(zoo.mlp(nn.ReLU), "2"), zoo.vectors()
    before = certificate(model, data, F.cross_entropy)
    nn.init.constant_(model[2].bias, 1.0)
    model[0].requires_grad_(False)
    change = before.compare(certificate(model, data, F.cross_entropy))
    assert ("dead", "2") in [(lk.kind, lk.place) for lk in change.opened]
    assert [(lk.kind, lk.place) for lk in change.closed if lk.kind == "frozen"] == [("frozen", "0")]
    assert "opened: dead at 2" in str(change)
    assert str(before.compare(before)).startswith("- still: dead at 2")


# --- bad input: one clear error

GOOD = (torch.randn(4, 8), torch.tensor([0, 1, 2, 0]))


@pytest.mark.parametrize(
    ("model", "data", "loss", "message"),
    [
        (zoo.mlp(), [], F.cross_entropy, "no samples"),
        (zoo.mlp(), iter(()), F.cross_entropy, "no samples"),
        (zoo.mlp(), GOOD[0], F.cross_entropy, "needs targets"),
        (zoo.mlp(), 3, F.cross_entropy, "data is int"),
        (zoo.mlp(), [GOOD[0]], F.cross_entropy, "not a pair"),
        (zoo.mlp(), (torch.randn(4, 7), GOOD[1]), F.cross_entropy, "inputs (4, 7)"),
        (zoo.mlp(), GOOD, lambda o, t: o, "not a single number"),
        (zoo.mlp(), GOOD, lambda o, t: o.detach().sum(), "no graph"),
        (zoo.mlp(), GOOD, lambda o, t: 1.0, "not a single number"),
        (zoo.mlp().to("meta"), GOOD, F.cross_entropy, "meta device"),
        (nn.Sequential(nn.LazyLinear(3)), GOOD, F.cross_entropy, "run one batch"),
        (nn.ReLU(), GOOD, F.cross_entropy, "no parameters"),
    ],
)
def test_bad_input_gets_one_clear_error(model, data, loss, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        certificate(model, data, loss)


def test_something_else_than_a_model_is_refused():
    with pytest.raises(TypeError, match="model is dict"):
        certificate({}, GOOD, F.cross_entropy)
    with pytest.raises(ValueError, match="positive"):
        certificate(zoo.mlp(), GOOD, F.cross_entropy, epsilon=0)


@pytest.mark.parametrize(("framework", "other"), [("torch", "jax"), ("jax", "torch")])
def test_one_framework_is_enough(framework, other):
    rooms = {"torch": "in_torch", "jax": "in_flax"}[framework]
    code = (
        f"import sys; sys.modules[{other!r}] = None\n"
        f"from paramlock.certifying import certificate; from paramlock.watching import watch\n"
        f"from paramlock.certifying.{rooms} import probe; from paramlock.watching import {rooms}"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_each_kind_of_lock_has_its_own_letter_and_colour():
    for part in ("letter", "colour"):
        assert len({getattr(kind, part) for kind in KINDS.values()}) == len(KINDS)
