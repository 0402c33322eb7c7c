"""Keys that open locks of units, the remedies that propose them, and the figures they quote."""

import copy
import functools
import json
import math
import operator
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import paramlock
from paramlock.certifying.certificate import Certificate, certificate
from paramlock.certifying.locks import KINDS, LESSONS, lock
from paramlock.certifying.records import LayerRecord, Measurement, ParameterRecord
from paramlock.holding.in_torch import hold
from paramlock.unlocking.in_torch import reinitialise_units, rescale_units, swap_activations
from paramlock.unlocking.keys import KEYS
from paramlock.unlocking.measured import DYING, PLANTED
from paramlock.unlocking.remedies import TRIALS, remedies
from tests.paramlock import zoo


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def data(width=8, samples=64):
    return torch.randn(samples, width), torch.arange(samples) % 3


def images():
    return torch.randn(32, 3, 8, 8), torch.arange(32) % 3


def certify(model, batch, optimizer=None):
    return certificate(model, batch, F.cross_entropy, optimizer=optimizer)


def train(model, batch, optimizer, steps=10):
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()


@torch.no_grad()
def kill(layer, units):
    layer.bias[list(units)] = -100.0


def mlp(activation=nn.ReLU):
    return nn.Sequential(
        nn.Linear(8, 16), activation(), nn.Linear(16, 16), activation(), nn.Linear(16, 3)
    )


class Pictures(nn.Module):
    """Convolutions, norm layers, a flattening head."""

    def __init__(self, inplace=False):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 4, 3, stride=2, padding=1)
        self.act, self.act2 = nn.ReLU(inplace), nn.ReLU(inplace)
        self.head = nn.Linear(64, 3)

    def forward(self, x):
        x = self.act(self.norm(self.first(x)))
        return self.head(self.act2(self.second(x)).flatten(1))


class Residual(nn.Module):
    """A dead unit inside a block, another one on the stream itself."""

    def __init__(self):
        super().__init__()
        self.stem, self.inner, self.outer = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.stem(x).relu()
        x = x + self.outer(self.inner(x).relu()).relu()
        return self.head(x)


# --- dead units


@pytest.mark.parametrize("share", [0.25, 1.0])
@pytest.mark.parametrize("with_inputs", [False, True])
def test_dead_units_live_again_and_the_function_stays(share, with_inputs):
    model, batch = mlp(), data()
    units = tuple(range(int(16 * share)))
    kill(model[0], units)
    train(model, batch, torch.optim.SGD(model.parameters(), 0.1))
    before, kept = certify(model, batch), model(batch[0]).detach()
    assert [lock.units for lock in before.at("0")] == [units]
    [done] = reinitialise_units(
        model, before, places=["0"], inputs=batch[0] if with_inputs else None
    )
    assert done.units == units
    assert done.incoming == ("0.weight", "0.bias") and done.outgoing == ("2.weight",)
    assert torch.equal(model(batch[0]), kept)
    assert done.output_change == (0 if with_inputs else None)
    assert not any(
        lock.kind == "dead" and lock.place == "0" for lock in certify(model, batch).locks
    )
    row, column = model[0].weight.detach().clone(), model[2].weight.detach().clone()
    train(model, batch, torch.optim.SGD(model.parameters(), 0.1), steps=1)
    assert not torch.equal(model[2].weight[:, 0], column[:, 0])  # outgoing weights learn first
    assert torch.equal(model[0].weight[0], row[0])
    train(model, batch, torch.optim.SGD(model.parameters(), 0.1), steps=1)
    assert not torch.equal(model[0].weight[0], row[0])


def test_with_inputs_fresh_pre_activations_have_mean_zero_and_spread_one():
    model, batch = mlp(), data()
    batch = (batch[0] * 50 + 20, batch[1])  # He's rule alone expects inputs of unit size
    kill(model[0], range(8))
    kill_all = certify(model, batch)
    reinitialise_units(model, kill_all, places=["0"], inputs=batch[0])
    units = [u for lock in kill_all.at("0") for u in lock.units]
    fresh = model[0](batch[0])[:, units]
    assert torch.allclose(fresh.mean(0), torch.zeros(len(units)), atol=1e-4)
    assert torch.allclose(fresh.std(0, correction=0), torch.ones(len(units)), atol=1e-4)


def test_fresh_weights_have_the_variance_of_he():
    model = nn.Sequential(nn.Conv2d(8, 40, 5), nn.ReLU(), nn.Flatten(), nn.Linear(640, 3))
    batch = (torch.randn(16, 8, 8, 8), torch.arange(16) % 3)
    kill(model[0], range(40))
    reinitialise_units(model, certify(model, batch))
    weight = model[0].weight.detach()
    assert weight.var().item() == pytest.approx(2 / (8 * 5 * 5), rel=0.05)
    assert abs(weight.mean().item()) < 0.005 and not model[0].bias.any()


@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.SGD])
def test_the_optimizers_memory_of_what_was_written_is_cleared_and_no_more(make):
    model, batch = mlp(), data()
    options = {"momentum": 0.9} if make is torch.optim.SGD else {"amsgrad": True}
    optimizer = make(model.parameters(), 0.01, **options)
    train(model, batch, optimizer)
    kill(model[0], (1, 4))
    before = copy.deepcopy(optimizer.state_dict()["state"])
    reinitialise_units(model, certify(model, batch), places=["0"], optimizer=optimizer)
    after = optimizer.state_dict()["state"]
    for number, (rows, columns) in enumerate([((1, 4), ()), ((1, 4), ()), ((), (1, 4))]):
        for name, old in before[number].items():
            if not isinstance(old, torch.Tensor) or not old.ndim:
                assert after[number][name] == old
                continue
            where = torch.zeros_like(old, dtype=torch.bool)
            where[list(rows)] = True
            if columns:
                where[:, list(columns)] = True
            assert not after[number][name][where].any() and old[where].any()
            assert torch.equal(after[number][name][~where], old[~where])


@pytest.mark.parametrize("inplace", [False, True])
def test_dead_channels_behind_a_norm_layer_and_before_a_flattening(inplace):
    model, batch = Pictures(inplace).eval(), images()
    with torch.no_grad():
        model.norm.bias[[0, 2]] = -50
        model.norm.running_mean[0] = 7
    kill(model.second, (3,))
    before, kept = certify(model, batch), model(batch[0]).detach()
    assert {lock.place: lock.units for lock in before.locks if lock.kind == "dead"} == {
        "norm": (0, 2),
        "second": (3,),
    }
    rows = model.first.weight.detach().clone()
    norm, second = reinitialise_units(model, before, inputs=batch[0])
    assert norm.outgoing == ("second.weight",) and second.outgoing == ("head.weight",)
    assert set(norm.incoming) == {"norm.weight", "norm.bias", "first.weight", "first.bias"}
    assert not model.head.weight[:, 48:].any() and model.head.weight[:, :48].all()
    assert model.norm.running_mean[0] == 0
    same = (model.first.weight == rows).flatten(1).all(1)
    assert same.tolist() == [False, True, False, True, True, True]
    assert torch.allclose(model(batch[0]), kept, atol=1e-6)
    assert not any(lock.kind == "dead" for lock in certify(model, batch).locks)


def test_where_other_layers_join_outgoing_weights_are_kept_and_the_change_is_told():
    model, batch = Residual(), data()
    kill(model.inner, (0, 1))
    kill(model.outer, (5,))
    kill(model.stem, (6,))
    opened = {o.place: o for o in reinitialise_units(model, certify(model, batch), inputs=batch[0])}
    assert opened["inner"].outgoing == ("outer.weight",)
    assert opened["outer"].outgoing == () and "other layers join" in opened["outer"].note
    assert opened["outer"].output_change > 0


def test_frozen_outgoing_weights_are_kept_since_zero_would_shut_the_unit_for_good():
    model, batch = mlp(), data()
    kill(model[0], (0,))
    model[2].requires_grad_(False)
    kept = model[2].weight.detach().clone()
    [done] = [o for o in reinitialise_units(model, certify(model, batch)) if o.place == "0"]
    assert "they are frozen" in done.note and torch.equal(model[2].weight, kept)


def test_held_entries_of_a_fresh_row_stay_held():
    model, batch = mlp(), data()
    kill(model[0], (0,))
    where = torch.zeros(16, 8, dtype=torch.bool)
    where[0, :4] = True
    hold(model, {"0.weight": where}, at_zero=True)
    reinitialise_units(model, certify(model, batch))
    assert not model[0].weight[0, :4].any() and model[0].weight[0, 4:].all()


def test_drawing_anew_draws_from_no_generator_of_the_caller():
    model, batch = mlp(), data()
    kill(model[0], range(4))
    found, twin = certify(model, batch), copy.deepcopy(model)
    state = torch.get_rng_state()
    reinitialise_units(model, found, seed=5, inputs=batch[0])
    assert torch.equal(torch.get_rng_state(), state)
    reinitialise_units(twin, found, seed=5, inputs=batch[0])
    assert all(map(torch.equal, model.parameters(), twin.parameters()))


def test_a_zeroed_layer_is_drawn_by_its_place_or_its_parameter():
    for place in ("2.weight", "2"):
        model, batch = mlp(nn.Tanh), data()
        for tensor in (model[2].weight, model[2].bias, model[4].weight):
            nn.init.zeros_(tensor)
        found = certify(model, batch)
        assert any(k.kind == "zeroed" for k in found.locks)
        reinitialise_units(model, found, kinds=["zeroed"], places=[place])
        assert model[2].weight.all()


# --- saturated units


@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_rescaled_units_have_the_spread_asked_for(spread):
    model, batch = mlp(nn.Tanh), data()
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.weight *= 40
    found = certify(model, batch)
    assert {lock.place for lock in found.locks if lock.kind == "saturated"} == {"0", "2"}
    direction = F.normalize(model[0].weight.detach())
    opened = rescale_units(model, found, batch[0], spread=spread)
    assert [o.place for o in opened] == ["0", "2"]
    assert all(o.output_change > 0.01 and not o.outgoing for o in opened)
    hidden = model[0](batch[0])
    for values in (hidden, model[2](hidden.tanh())):
        assert torch.allclose(values.std(0, correction=0), torch.tensor(spread), rtol=1e-4)
        assert values.mean(0).abs().max() < 1e-4
    assert torch.allclose(F.normalize(model[0].weight), direction, atol=1e-5)
    assert not certify(model, batch).locks


def test_a_channel_of_a_transposed_convolution_is_a_column():
    model = nn.Sequential(
        nn.ConvTranspose2d(3, 5, 2, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 256, 3)
    )
    kill(model[0], (1,))
    batch, weight = images(), model[0].weight.detach().clone()
    found = certify(model, batch)
    [done] = reinitialise_units(model, found, inputs=batch[0])
    moved = (model[0].weight != weight).transpose(0, 1).flatten(1).any(1)
    assert moved.tolist() == [False, True, False, False, False]
    assert model[0](batch[0])[:, 1].std(correction=0).item() == pytest.approx(1, rel=1e-3)
    assert not model[3].weight[:, 256:512].any() and done.output_change == 0


# --- activations


def explode(swap):
    """Train by gradient descent after a swap; 15 of 16 units were dead at a bias of -100."""
    torch.manual_seed(0)
    model, batch = mlp(), data()
    kill(model[0], range(15))
    kill(model[2], range(15))
    model = swap(model, batch)
    train(model, batch, torch.optim.SGD(model.parameters(), 0.3), steps=60)
    return all(bool(p.isfinite().all()) for p in model.parameters()) and float(
        F.cross_entropy(model(batch[0]), batch[1]).detach()
    )


def test_a_swap_by_hand_diverges_and_ours_does_not():
    def by_hand(model, batch):
        return nn.Sequential(*(nn.LeakyReLU(0.5) if isinstance(m, nn.ReLU) else m for m in model))

    def ours(model, batch):
        done = swap_activations(model, nn.ReLU, lambda: nn.LeakyReLU(0.5), batch[0])
        assert [len(o.units) for o in done] == [15, 15]
        return model

    broken = explode(by_hand)
    assert broken is False or not broken < 2
    assert explode(ours) < 1.0


@pytest.mark.parametrize("old", [nn.ReLU, nn.Tanh])
def test_a_swap_leaves_healthy_units_alone(old):
    model, batch = mlp(old), data()
    weights = [p.detach().clone() for p in model.parameters()]
    done = swap_activations(model, old, nn.SiLU, batch[0])
    assert [type(m) for m in model[1::2]] == [nn.SiLU, nn.SiLU]
    assert all(map(torch.equal, weights, model.parameters()))
    assert [(o.place, o.units) for o in done] == [("0", ()), ("2", ())]


def test_an_activation_used_twice_is_swapped_at_both_places():
    act = nn.ReLU(inplace=True)
    model = nn.Sequential(
        nn.Linear(8, 8), act, nn.Linear(8, 8), act, nn.Dropout(0.5), nn.Linear(8, 3)
    )
    kill(model[0], (1,))
    kill(model[2], (2, 3))
    done = swap_activations(model, nn.ReLU, lambda: nn.LeakyReLU(0.1), data()[0])
    assert {o.place: o.units for o in done} == {"0": (1,), "2": (2, 3)}
    assert not any(isinstance(m, nn.ReLU) for m in model.modules())


def test_an_activation_that_no_layer_feeds_is_swapped_and_said():
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3))
    [done] = swap_activations(model, nn.ReLU, nn.GELU, data()[0])
    assert "nothing was rescaled" in done.note and isinstance(model[2], nn.GELU)


# --- what cannot be opened


def bad_calls():
    model, batch = mlp(), data()
    kill(model[0], (0,))
    found = certify(model, batch)
    frozen = copy.deepcopy(model)
    frozen[0].requires_grad_(False)
    normed = copy.deepcopy(model)
    normed[0] = nn.utils.parametrizations.weight_norm(normed[0])
    cell = nn.Sequential(nn.RNNCell(8, 4, nonlinearity="relu"), nn.Linear(4, 3))
    with torch.no_grad():
        cell[0].bias_ih.fill_(-100)
    return {
        "no lock of kind dead at '4'": lambda: reinitialise_units(model, found, places=["4"]),
        "'frozen' is no lock of units": lambda: reinitialise_units(model, found, kinds=["frozen"]),
        "is frozen: unfreeze it first": lambda: reinitialise_units(frozen, found),
        "computed from others": lambda: reinitialise_units(normed, found),
        "has no layer '0'": lambda: reinitialise_units(nn.Identity(), found),
        "is RNNCell: only rows": lambda: reinitialise_units(cell, certify(cell, batch)),
        "spread is 0": lambda: rescale_units(model, found, batch[0], spread=0, kinds=["dead"]),
        "weight of '0' is frozen": lambda: swap_activations(frozen, nn.ReLU, nn.GELU, batch[0]),
        "holds no Tanh": lambda: swap_activations(model, nn.Tanh, nn.ReLU, batch[0]),
    }


@pytest.mark.parametrize("message", bad_calls())
def test_bad_input_gets_one_clear_error_and_nothing_is_written(message):
    with pytest.raises(ValueError, match=message):
        bad_calls()[message]()


@pytest.mark.parametrize("kind", ["gates", "attention"])
def test_gates_and_heads_are_no_rows(kind):
    model, batch = mlp(nn.Tanh), data()
    with torch.no_grad():
        model[0].weight *= 40
    found = certify(model, batch)
    found.measurement.sites[0].function = kind
    with pytest.raises(ValueError, match="a gate or a head, not a row"):
        rescale_units(model, found, batch[0])


# --- what training opens by itself


def never(found):
    return {lock.place: lock.opens for lock in found.locks if lock.kind == "dead"}


def test_dead_units_above_what_cannot_move_are_dead_for_good():
    model, batch = mlp(), data()
    kill(model[2], [0, 1])
    assert "only if the layers below" in never(certify(model, batch))["2"]
    model[0].requires_grad_(False)
    assert "no layer below it moves" in never(certify(model, batch))["2"]
    kept = certify(model, batch).locks
    train(model, batch, torch.optim.SGD(model.parameters(), 0.1), 50)
    assert [k.units for k in certify(model, batch).locks] == [k.units for k in kept]


def test_a_layer_that_is_dead_as_a_whole_shuts_those_that_could_wake_it():
    model, batch = mlp(), data()
    kill(model[2], range(16))
    assert "no layer below it moves" in never(certify(model, batch))["2"]


# --- remedies


def measured(framework="torch"):
    return Measurement(framework, [], [], [])


@pytest.mark.parametrize("framework", ["torch", "flax"])
def test_every_kind_of_lock_has_a_key_and_every_function_named_exists(framework):
    assert KEYS.keys() == KINDS.keys()
    for kind in KEYS:
        certificate = Certificate(
            measured(framework), [lock(kind, "encoder.0", "evidence", 1.0)], 1e-3, 0.05
        )
        [remedy] = remedies(certificate)
        for function in remedy.functions:
            face, _, name = function.rpartition(".")
            assert name in dir(operator.attrgetter(face)(paramlock) if face else paramlock)
        assert not remedy.call or remedy.functions or remedy.call.startswith("lock.")
        assert remedy.key == KINDS[kind].key  # said in one place
        assert "{" not in remedy.call + remedy.by_hand and not (remedy.call and remedy.by_hand)
        assert remedy.curative == bool(remedy.call or remedy.by_hand)
        assert all(
            method in dir(paramlock.torch.Hold)
            for method in re.findall(r"\block\.(\w+)\(", remedy.call)
        )


def test_trials_are_sorted_by_what_they_show():
    def trials(kind):
        [remedy] = remedies(Certificate(measured(), [lock(kind, "0", "seen", 1.0)], 1e-3, 0.05))
        assert all(str(trial) in str(remedy) for trial in remedy.trials)
        return remedy.trials

    most, dead, dying = trials("dead")
    assert {"reinitialise_units", "swap_activations"} <= set(most.opened)
    opening = {"reinitialise_units", "rescale_units", "swap_activations", "BatchNorm"}
    assert set(dead.opened) == opening and dead.opened["BatchNorm"] == max(dead.opened.values())
    late = {"warm-up", "rate x 10", "rate / 10", "layer-wise x 100", "Adam"}
    assert set(dead.failed) == late | {"leaky, by hand"} and "leaky, by hand NaN" in str(dead)
    assert set(dying.opened) == {"reinitialise_units and rate / 30 late"}
    assert set(dying.prevented) == {"rate / 10 from the start", "BatchNorm from the start"}
    assert {"warm-up", "rate / 30 late", "reinitialise_units late"} < set(dying.failed)
    assert set(trials("frozen")[0].opened) == {"unfreeze"}
    assert set(trials("pruned")[0].opened) == {"undo"}
    assert set(trials("vanishing")[0].opened) == {"BatchNorm"}
    assert "rescale_units" in trials("saturated")[0].opened
    assert trials("unreached") == ()


def test_no_figure_stands_without_length_batch_size_and_schedule():
    how = [str(trial).partition("trained by ")[2] for trial in TRIALS.values()]
    assert all("3 epochs of 4,000 images in batches of 32" in words for words in how)
    assert [words.startswith("Adam") for words in how] == [name == "dying" for name in TRIALS]
    assert sum("falls evenly from 0.1 to 0" in words for words in how) == len(PLANTED)
    assert "a constant rate of 0.1" in str(TRIALS["dying"])


def test_what_the_figures_of_the_library_must_show():
    """The claims of the lessons, on the figures that the benchmark keeps true."""
    for name, figures in PLANTED.items():
        cost = figures["healthy"] - figures["none"]
        assert cost > 0.1 and figures["warm-up"] < figures["none"] + 0.1 * cost
        assert math.isnan(figures["leaky, by hand"]) == (name[:4] in ("dead", "satu"))
    none, late = DYING["none"][0], DYING["reinitialise_units and rate / 30 late"][0]
    assert late > none + 0.3
    assert all(DYING[c][0] < none + 0.1 for c in ("rate / 30 late", "reinitialise_units late"))
    assert DYING["rate / 10 from the start"][1] < DYING["none"][1] - 0.3


def test_remedies_of_a_real_certificate_open_what_they_name():
    model, batch = mlp(), data()
    kill(model[0], range(16))
    certificate = certify(model, batch)
    found = remedies(certificate)
    dead = next(r for r in found if r.lock.place == "0")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scope = {"paramlock": paramlock, "model": model, "optimizer": optimizer}
    exec(dead.call, scope | {"certificate": certificate, "inputs": batch[0]})
    train(model, batch, optimizer, 5)
    assert ("dead", "0") in {
        (k.kind, k.place) for k in certificate.compare(certify(model, batch)).opened
    }


ZOO = {case.name: case for case in zoo.SICK}


def zoo_certificate(patient):
    return certificate(patient.model, patient.data, patient.loss, optimizer=patient.optimizer)


def examined(name):
    torch.manual_seed(0)
    patient = ZOO[name].build()
    return patient, zoo_certificate(patient)


@functools.cache
def proposed(name):
    return remedies(examined(name)[1])


# What leaks is to be shut; rows that a mask had emptied are constant until the next step.
MAY_CLOSE = {"leaking": {"frozen", "pruned"}, "pruned": {"constant"}}
BY_HAND = {"unused"}
UNCURED = {"inactive", "unreached", "collapsed", "rounding", "vanishing", "no_signal", "nonfinite"}


def turned(name, call):
    """What opened and closed in a fresh patient by a line of code."""
    patient, before = examined(name)
    scope = {"paramlock": paramlock, "torch": torch, "certificate": before, "lock": patient.lock}
    scope |= {"model": patient.model, "optimizer": patient.optimizer, "inputs": patient.data[0]}
    exec(call, scope)
    return before.compare(zoo_certificate(patient))


@pytest.mark.parametrize("name", ZOO)
def test_every_call_that_is_proposed_runs_and_opens_what_it_promises(name):
    for remedy in proposed(name):
        lock = remedy.lock
        if not remedy.call:
            assert lock.kind in UNCURED or remedy.by_hand or not lock.layers
            continue
        change = turned(name, remedy.call)
        assert (lock.kind, lock.place) in {(k.kind, k.place) for k in change.opened}, remedy
        for new in change.closed:  # zeros in outgoing weights are gone after the next step
            shows = set(new.layers) <= {*lock.backward, *lock.forward}  # it stood in the shadow
            known = new.kind in MAY_CLOSE.get(lock.kind, ()) or shows
            assert known or new.opens.startswith("by itself"), (remedy, new)


def test_nearly_every_kind_of_lock_is_opened_by_a_call_in_the_zoo():
    called = {remedy.lock.kind for name in ZOO for remedy in proposed(name) if remedy.call}
    assert called == set(KINDS) - UNCURED - BY_HAND


@pytest.mark.parametrize("name", ["dead_recurrent_units", "saturated_gate_of_an_lstm"])
def test_what_no_call_can_open_is_said_and_not_proposed(name):
    [remedy] = proposed(name)
    assert not remedy.call and remedy.curative and "initialise the layer anew" in str(remedy)


def test_samples_that_are_all_alike_have_no_cure_but_the_data():
    patient, found = examined("equal_samples")
    [remedy] = remedies(found)
    assert not remedy.curative and "change the data" in str(remedy)
    assert reinitialise_units(patient.model, found, kinds=["constant"]) == []


def test_a_frozen_layer_is_unfrozen_before_its_dead_units_are_drawn_anew():
    model, batch = mlp(), data()
    kill(model[0], [3])
    model[0].requires_grad_(False)
    by_kind = {r.lock.kind: r for r in remedies(certify(model, batch)) if r.lock.place == "0"}
    assert not by_kind["dead"].call and "unfreeze the layer first" in by_kind["dead"].by_hand
    exec(by_kind["frozen"].call, {"paramlock": paramlock, "model": model, "optimizer": None})
    again = {r.lock.kind: r for r in remedies(certify(model, batch)) if r.lock.place == "0"}
    assert again.keys() == {"dead"} and again["dead"].call


def test_a_call_names_no_more_than_what_is_locked():
    """Norm layers all over a trainable model, and a module's own parameters around others."""
    model, batch = Pictures(), images()
    model.norm2 = nn.BatchNorm2d(4)
    model.second = nn.Sequential(model.second, model.norm2)
    for norm in (model.norm, model.norm2):
        norm.requires_grad_(False)
    found = {r.lock.kind: r for r in remedies(certify(model, batch)) if r.call}
    exec(found["batchnorm"].call, {"paramlock": paramlock, "model": model})
    assert not model.norm.training and model.first.weight.requires_grad


@pytest.mark.parametrize("others", [0.1, 50])
def test_units_that_are_flat_on_most_samples_are_rescaled_with_those_that_always_are(others):
    model, batch = mlp(nn.Tanh), data()
    with torch.no_grad():
        model[0].weight *= others
        model[0].bias[3] = 300.0
    found = certify(model, batch)
    [seen] = found.at("0")
    assert 3 in seen.units and len(seen.units) < 4
    [done] = rescale_units(model, found, batch[0])
    assert done.units == ((3,) if others < 1 else tuple(range(16)))


def test_zeros_are_not_moved_up_a_layer():
    model, batch = mlp(nn.Tanh), data()
    for tensor in (model[2].weight, model[2].bias, model[4].weight):
        nn.init.zeros_(tensor)
    first, _ = reinitialise_units(model, certify(model, batch), kinds=["zeroed"])
    assert not first.outgoing and "shut it again" in first.note and model[4].weight.all()
    assert not any(k.kind == "zeroed" for k in certify(model, batch).locks)


def test_nan_comes_first_in_the_certificate_and_its_remedies():
    model, batch = mlp(), data()
    model[0].requires_grad_(False)
    with torch.no_grad():
        model[4].weight[0, 0] = math.nan
    found = certify(model, batch)
    assert [k.kind for k in found.locks] == [r.lock.kind for r in remedies(found)]
    assert [k.kind for k in found.locks] == ["nonfinite", "frozen"]


def test_remedies_show_themselves_as_text_html_and_data(monkeypatch):
    monkeypatch.setitem(LESSONS, "saturated", "lessons/03_saturation")
    locks = [lock("nonfinite", "<b>", "3 values", 3), lock("saturated", "a", "e", 0.5)]
    weight = ParameterRecord("a.weight", "a", (2, 2), "float32", True, 1.0)
    seen = Measurement("torch", [weight], [LayerRecord("a", "Linear", rows="a.weight")], [])
    found = remedies(Certificate(seen, locks, 1e-3, 0.05))
    assert [r.lock.kind for r in found] == ["nonfinite", "saturated"]
    assert str(found).startswith("- nonfinite at <b>") and "lessons/03_saturation" in str(found)
    assert "&lt;b&gt;" in found._repr_html_() and "<b>'" not in found._repr_html_()
    assert json.loads(json.dumps(found[1].to_dict()))["functions"] == ["torch.rescale_units"]
    none = remedies(Certificate(measured(), [], 1e-3, 0.05))
    assert not none and "nothing to open" in str(none) and "nothing" in none._repr_html_()
