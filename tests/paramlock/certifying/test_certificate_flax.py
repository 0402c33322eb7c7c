"""The certificate of Flax models: the same numbers and locks as torch's, from the same weights."""

from __future__ import annotations

import itertools
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen, nnx
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from paramlock.certifying.certificate import certificate
from paramlock.certifying.records import INPUT
from paramlock.holding.in_optax import hold, zero_entries
from paramlock.unlocking.units import locked_units
from paramlock.watching.watch import watch
from tests.paramlock import zoo

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(96, 8)), jnp.float32)
Y = jnp.asarray(RNG.integers(0, 3, 96))


def cross_entropy(outputs, targets):
    return optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()


def found(locks):
    return sorted((lock.kind, lock.place) for lock in locks)


class Linen(linen.Module):
    """Four layers, like ``zoo.mlp``."""

    activation: object = linen.tanh

    @linen.compact
    def __call__(self, x):
        for i in range(3):
            x = self.activation(linen.Dense(16, name=f"l{i}")(x))
        return linen.Dense(3, name="l3")(x)


class Nnx(nnx.Module):
    """The same as an nnx module; ``cut`` stops gradients after the second layer."""

    def __init__(self, activation=nnx.tanh, cut=False):
        rngs = nnx.Rngs(0)
        sizes = [8, 16, 16, 16, 3]
        for i in range(4):
            setattr(self, f"l{i}", nnx.Linear(sizes[i], sizes[i + 1], rngs=rngs))
        self.activation, self.cut = activation, cut

    def __call__(self, x):
        x = self.l1(self.activation(self.l0(x)))
        x = jax.lax.stop_gradient(x) if self.cut else x
        return self.l3(self.activation(self.l2(self.activation(x))))


def twins(activation, kill=()):
    """Return a torch net and its linen and nnx twins, with the same weights."""
    names = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "gelu": torch.nn.GELU}
    torch.manual_seed(0)
    net = zoo.mlp(names[activation])
    if kill:
        zoo.killed(net, "2", list(kill))
    layers = [net[i] for i in (0, 2, 4, 6)]
    weights = {
        f"l{i}": {"kernel": jnp.asarray(m.weight.detach().numpy().T),
                  "bias": jnp.asarray(m.bias.detach().numpy())}
        for i, m in enumerate(layers)
    }  # fmt: skip
    function = {"gelu": lambda x: jax.nn.gelu(x, approximate=False)}.get(
        activation, getattr(jax.nn, activation)
    )
    module = Nnx(function)
    for name, values in weights.items():
        layer = getattr(module, name)
        layer.kernel[...], layer.bias[...] = values["kernel"], values["bias"]
    return net, (Linen(function), weights), module


def numbers(measurement, place):
    """Return {layer: (gradient norm, update norm, dead, saturated share)} of the four layers."""
    rows = {}
    for old, new in place.items():
        records = [p for p in measurement.parameters if p.layer == old]
        sites = [s for s in measurement.sites if s.layer == old]
        rows[new] = [
            np.hypot(*(p.gradient for p in records)),
            np.hypot(*(p.update for p in records)),
            [s.dead for s in sites],
            [round(s.flat, 6) for s in sites],
        ]
    return rows


@pytest.mark.parametrize(
    ("activation", "kill"), [("tanh", ()), ("relu", range(16)), ("gelu", (1,))]
)
def test_three_twins_agree(activation, kill):
    net, (module, weights), other = twins(activation, kill)
    data = torch.tensor(np.asarray(X)), torch.tensor(np.asarray(Y), dtype=torch.long)
    adam = torch.optim.Adam(net.parameters(), 1e-3)
    first = certificate(net, data, F.cross_entropy, optimizer=adam)
    tx = optax.adam(1e-3)
    second = certificate(
        module, (X, Y), cross_entropy, params=weights, optimizer=(tx, tx.init(weights))
    )
    third = certificate(
        other, (X, Y), cross_entropy, optimizer=nnx.Optimizer(other, tx, wrt=nnx.Param)
    )
    torch_names = {str(2 * i): f"l{i}" for i in range(4)}
    same = {name: name for name in torch_names.values()}
    expected = numbers(first.measurement, torch_names)
    renamed = sorted((k.kind, torch_names[k.place], k.units) for k in first.locks)
    for twin in (second, third):
        for layer, row in numbers(twin.measurement, same).items():
            assert row[:2] == pytest.approx(expected[layer][:2], rel=1e-3, abs=1e-9)
            assert row[2:] == expected[layer][2:]
        assert sorted((k.kind, k.place, k.units) for k in twin.locks) == renamed
        assert twin.measurement.loss == pytest.approx(first.measurement.loss, rel=1e-5)
    chain = [[torch_names[n] for n in k.backward + k.forward] for k in first.locks]
    assert [list(k.backward + k.forward) for k in second.locks] == chain


def variables(module=None, x=X):
    return jax.jit((module or Linen()).init)(jax.random.key(0), x)


def with_leaf(weights, layer, leaf, change):
    params = dict(weights["params"])
    params[layer] = {**params[layer], leaf: change(params[layer][leaf])}
    return {**weights, "params": params}


@pytest.mark.parametrize(
    ("leaf", "change", "expected"),
    [
        ("kernel", lambda w: w * 200, [("saturated", "l0")]),
        ("kernel", lambda w: w * jnp.nan, [("nonfinite", "l0")]),
        ("kernel", lambda w: w.at[:, 3].set(0.0), [("constant", "l0")]),
    ],
)
def test_a_planted_lock_is_found_in_linen(leaf, change, expected):
    weights = with_leaf(variables(), "l0", leaf, change)
    locks = certificate(Linen(), (X, Y), cross_entropy, params=weights).locks
    assert found(locks) == expected


def test_a_zero_head_blocks_everything_behind_it():
    weights = with_leaf(variables(), "l3", "kernel", jnp.zeros_like)
    assert not certificate(Linen(), (X, Y), cross_entropy, params=weights).locks  # it opens itself
    weights = with_leaf(weights, "l2", "kernel", jnp.zeros_like)
    weights = with_leaf(weights, "l2", "bias", jnp.zeros_like)
    locks = certificate(Linen(), (X, Y), cross_entropy, params=weights).locks
    assert [(k.kind, k.place) for k in locks] == [("zeroed", "l2"), ("zeroed", "l3")]
    assert [k.backward for k in locks] == [("l0", "l1"), ("l2",)]


def test_stop_gradient_is_told_from_a_zero_gradient():
    (lock,) = certificate(Nnx(cut=True), (X, Y), cross_entropy).locks
    assert (lock.kind, lock.place, lock.backward) == ("unreached", "l1", ("l0",))


def test_what_the_optimizer_never_moves_is_frozen():
    weights = variables()["params"]
    labels = {name: "frozen" if name == "l0" else "free" for name in weights}
    tx = optax.partition({"frozen": optax.set_to_zero(), "free": optax.adam(1e-3)}, labels)
    state = tx.init(weights)
    certified = certificate(Linen(), (X, Y), cross_entropy, params=weights, optimizer=(tx, state))
    assert found(certified.locks) == [("frozen", "l0")]


def test_a_layer_whose_kernel_is_held_at_zero_is_emptied():
    model, held = Nnx(), {"l1.kernel": jnp.ones((16, 16), bool)}
    nnx.update(model, zero_entries(nnx.state(model, nnx.Param), held))
    optimizer = nnx.Optimizer(model, hold(optax.sgd(0.1), held), wrt=nnx.Param)
    (lock,) = certificate(model, (X, Y), cross_entropy, optimizer=optimizer).locks
    assert (lock.kind, lock.place, lock.value) == ("emptied", "l1", 1)
    assert (lock.backward, lock.forward) == (("l0",), ("l2", "l3"))


class Normed(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first, self.norm = nnx.Linear(8, 16, rngs=rngs), nnx.BatchNorm(16, rngs=rngs)
        self.drop, self.last = nnx.Dropout(0.2, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(nnx.gelu(self.norm(self.first(x)))))


def test_a_filter_that_freezes_a_norm_leaves_its_statistics():
    model = Normed()
    free = nnx.All(nnx.Param, nnx.Not(nnx.PathContains("norm")))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=free)
    locks = certificate(model, (X, Y), cross_entropy, optimizer=optimizer).locks
    assert found(locks) == [("batchnorm", "norm"), ("frozen", "norm")]
    model.norm.eval()
    locks = certificate(model, (X, Y), cross_entropy, optimizer=optimizer).locks
    assert found(locks) == [("frozen", "norm")]


def test_a_healthy_model_has_no_lock_and_stays_as_it_was():
    model = Normed()
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    before = jax.tree.leaves(nnx.state((model, optimizer)))
    parts = [(X[:48], Y[:48]), (X[48:], Y[48:])]
    certified = certificate(model, parts, cross_entropy, optimizer=optimizer)
    assert not certified.locks and certified.measurement.samples == 96
    after = jax.tree.leaves(nnx.state((model, optimizer)))
    assert all(a is b or jnp.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_weight_too_heavy_to_turn_is_found_behind_its_norm():
    model = Normed()
    model.first.kernel[...] = model.first.kernel[...] * 1e4
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    (lock,) = certificate(model, (X, Y), cross_entropy, optimizer=optimizer).locks
    assert (lock.kind, lock.place, lock.backward) == ("heavy", "first", ())


class Series(linen.Module):
    """Convolution with a norm, attention with a shortcut, recurrence."""

    @linen.compact
    def __call__(self, x):
        x = linen.silu(linen.BatchNorm(use_running_average=False)(linen.Conv(8, (3,))(x)))
        x = linen.LayerNorm()(x + linen.MultiHeadDotProductAttention(2)(x))
        return linen.Dense(3)(linen.RNN(linen.SimpleCell(8))(x)[:, -1])


def test_convolution_attention_and_recurrence_are_healthy():
    x = jnp.asarray(RNG.normal(size=(32, 6, 8)), jnp.float32)
    weights = variables(Series(), x)
    tx = optax.adamw(1e-3)
    optimizer = tx, tx.init(weights["params"])
    certified = certificate(
        Series(), (x, Y[:32]), cross_entropy, params=weights, optimizer=optimizer
    )
    assert not certified.locks, certified
    assert certified.measurement.normalisations[0].drift > 0


class NormedAtTheTop(linen.Module):
    """A norm layer without parameters, at the top of the model."""

    @linen.compact
    def __call__(self, x):
        norm = linen.BatchNorm(use_running_average=False, use_bias=False, use_scale=False)
        return linen.Dense(3)(norm(linen.Dense(8)(x)))


@pytest.mark.parametrize("frozen", [True, False])
def test_a_norm_layer_at_the_top_is_frozen_with_the_whole_model(frozen):
    tx = optax.set_to_zero() if frozen else optax.sgd(0.1)
    weights = variables(NormedAtTheTop())
    optimizer = tx, tx.init(weights["params"])
    certified = certificate(
        NormedAtTheTop(), (X, Y), cross_entropy, params=weights, optimizer=optimizer
    )
    assert [n.frozen for n in certified.measurement.normalisations] == [frozen]
    assert ("batchnorm", "BatchNorm_0") in found(certified.locks) or not frozen


class Called(linen.Module):
    """Two layers called ``input`` and ``loss``; the data pass a rectifier first."""

    @linen.compact
    def __call__(self, x):
        x = linen.Dense(8, name="input")(jax.nn.relu(x))
        return linen.Dense(3, name="loss")(jax.nn.relu(x))


def test_an_activation_of_the_data_is_no_activation_of_a_module_called_input():
    x = X.at[:, 2].set(-1 - jnp.abs(X[:, 2]))
    weights = Called().init(jax.random.key(0), x)["params"]
    weights["input"]["bias"] = jnp.full(8, 3.0).at[5].set(-100.0)
    certified = certificate(Called(), (x, Y), cross_entropy, params=weights)
    sites = [(s.layer, s.dead, s.constant) for s in certified.measurement.sites]
    assert sites == [(INPUT, (2,), False), ("input", (5,), False)]
    assert {k.place: k.units for k in certified.locks} == {INPUT: (2,), "input": (5,)}
    assert list(locked_units(certified, ["dead"], None)) == [("input", (5,))]


def test_an_unknown_rate_is_null_and_whether_the_optimizer_holds_a_tensor_is_said():
    weights, held = variables()["params"], {"l0", "l1", "l2"}
    module = Nnx()
    tx = optax.sgd(0.1)
    some = nnx.All(nnx.Param, lambda path, leaf: path[0] in held)
    without = certificate(Linen(), (X, Y), cross_entropy, params=weights)
    linen_all = certificate(
        Linen(), (X, Y), cross_entropy, params=weights, optimizer=(tx, tx.init(weights))
    )
    partly = certificate(
        module, (X, Y), cross_entropy, optimizer=nnx.Optimizer(module, tx, wrt=some)
    )
    for found_, expected in ((without, {None}), (linen_all, {True}), (partly, {True, False})):
        rows = json.loads(found_.to_json())["parameters"]
        assert {row["rate"] for row in rows} == {None}
        assert {row["in_optimizer"] for row in rows} == expected
    rows = partly.measurement.parameters
    assert {row.layer for row in rows if row.in_optimizer} == held
    assert found(linen_all.locks) == [] and found(partly.locks) == [("frozen", "l3")]


def test_a_loop_in_jax_is_watched_by_its_trees():
    module, weights = Linen(), variables()["params"]
    tx = optax.adam(1e-3)
    state, seen = tx.init(weights), watch(every=2, live=False)

    @jax.jit
    def step(weights, state):
        pull = jax.grad(lambda p: cross_entropy(module.apply({"params": p}, X), Y))(weights)
        return pull, *tx.update(pull, state, weights)

    certified = certificate(module, (X, Y), cross_entropy, params=weights, optimizer=(tx, state))
    for _ in range(3):
        pull, updates, state = step(weights, state)
        seen.note(weights, pull, updates)
        weights = optax.apply_updates(weights, updates)
    assert seen.steps == [0, 2] and seen.layers == ["l0", "l1", "l2", "l3"]
    for row in certified.layers():
        assert seen.series("gradient", row["layer"])[0] == pytest.approx(row["gradient"], rel=1e-4)
        assert seen.series("update", row["layer"])[0] == pytest.approx(row["update"], rel=1e-3)
    with pytest.raises(ValueError, match="different structures"):
        seen.note(weights, pull, {})
        seen.note(weights, pull, {})


@pytest.mark.parametrize(
    ("data", "loss", "message"),
    [
        ([], cross_entropy, "no samples"),
        ((X[:, :7], Y), cross_entropy, "inputs (96, 7)"),
        ((X, Y), lambda o, t: o, "not a single number"),
        ((X, Y), lambda o, t: jax.lax.stop_gradient(o).sum(), "no graph"),
        (X, cross_entropy, "needs targets"),
    ],
)
def test_bad_input_gets_one_clear_error(data, loss, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        certificate(Nnx(), data, loss)


def test_linen_without_variables_and_unknown_optimizers_are_refused():
    with pytest.raises(ValueError, match="pass its variables as params="):
        certificate(Linen(), (X, Y), cross_entropy)
    with pytest.raises(ValueError, match=r"\(transformation, state\)"):
        certificate(Nnx(), (X, Y), cross_entropy, optimizer=optax.adam(1e-3))
    weights = with_leaf(variables(), "l0", "kernel", lambda w: w.astype(jnp.int8))
    with pytest.raises(ValueError, match=r"'l0.kernel' is of type int8"):
        certificate(Linen(), (X, Y), cross_entropy, params=weights)


# --- positions of a sequence


class Tower(linen.Module):
    """Six layers of attention, with a way round each of them or without."""

    skips: bool

    @linen.compact
    def __call__(self, x):
        for i in range(6):
            mixed = linen.MultiHeadDotProductAttention(2, name=f"at{i}")(x)
            x = x + mixed if self.skips else mixed
        return linen.Dense(3, name="head")(x.mean(1))


@pytest.mark.parametrize("skips", [True, False])
def test_attention_alone_makes_all_positions_the_same(skips):
    x = jnp.asarray(RNG.normal(size=(32, 6, 8)), jnp.float32)
    weights = variables(Tower(skips), x)
    certified = certificate(Tower(skips), (x, Y[:32]), cross_entropy, params=weights)
    spreads = {la.name: la.spread for la in certified.measurement.layers if la.spread is not None}
    assert list(spreads) == [f"at{i}.out" for i in range(6)] and spreads["at0.out"] > 0.1
    if skips:
        assert not certified.locks and min(spreads.values()) > 0.01
    else:
        (lock,) = certified.locks
        same = [name for name, spread in spreads.items() if spread < 1e-6]
        assert (lock.kind, lock.place) == ("collapsed", same[0]) and 1 < len(same) < 6
        assert [name for name in lock.forward if name in spreads] == same[1:]


# --- what the network chooses itself


class Quantised(nnx.Module):
    """An encoder, the nearest code of a codebook, a decoder; twelve codes are out of reach."""

    def __init__(self, x):
        rngs = nnx.Rngs(0)
        self.encode, self.decode = nnx.Linear(8, 4, rngs=rngs), nnx.Linear(4, 3, rngs=rngs)
        self.codes = nnx.Embed(16, 4, rngs=rngs)
        near = nnx.tanh(self.encode(x[:16]))
        self.codes.embedding[...] = near.at[:12].add(100.0)

    def __call__(self, x):
        z = nnx.tanh(self.encode(x))
        nearest = jnp.square(z[:, None] - self.codes.embedding[...]).sum(-1).argmin(-1)
        return self.decode(self.codes(nearest) + z - jax.lax.stop_gradient(z))


class Experts(nnx.Module):
    """Four experts, of which a router never chooses number 2."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.router = nnx.Linear(8, 4, rngs=rngs)
        self.router.bias[...] = self.router.bias[...].at[2].set(-100.0)
        self.experts = nnx.List(nnx.Linear(8, 3, rngs=rngs) for _ in range(4))

    def __call__(self, x):
        gates = nnx.softmax(self.router(x))
        chosen = gates.argmax(-1)
        parts = [(chosen == i) * gates[:, i] for i in range(4)]
        return sum(g[:, None] * expert(x) for g, expert in zip(parts, self.experts, strict=True))


def test_codes_and_experts_that_nothing_chooses_are_unused():
    parts = [(X[:48], Y[:48]), (X[48:], Y[48:])]
    (codes,) = certificate(Quantised(X), parts, cross_entropy).locks
    assert (codes.kind, codes.place, codes.units) == ("unused", "codes", tuple(range(12)))
    assert "; 96 were looked up" in codes.evidence
    (expert,) = certificate(Experts(), (X, Y), cross_entropy).locks
    assert (expert.kind, expert.place, expert.units) == ("unused", "experts.2", ())


def test_words_that_the_data_leave_out_are_no_lock():
    model = nnx.Sequential(nnx.Embed(40, 8, rngs=nnx.Rngs(0)), nnx.Linear(8, 3, rngs=nnx.Rngs(1)))
    tokens = jnp.asarray(RNG.integers(0, 11, 96))
    assert not certificate(model, (tokens, Y), cross_entropy).locks


# --- attention, loops and hand-made gates


class Looks(linen.Module):
    """Attention of two heads with a head on its mean."""

    causal: bool = False

    @linen.compact
    def __call__(self, x):
        mask = linen.make_causal_mask(x[..., 0]) if self.causal else None
        x = linen.MultiHeadDotProductAttention(2, name="at")(x, mask=mask)
        return linen.Dense(3, name="head")(x.mean(1))


class LooksNnx(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.at = nnx.MultiHeadAttention(2, 8, rngs=rngs, decode=False)
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.at(x).mean(1))


SERIES = jnp.asarray(RNG.normal(size=(32, 6, 8)), jnp.float32)


def test_attention_rows_are_those_of_torch():
    """The same weights in torch's packed attention, in linen's and in nnx's."""
    torch.manual_seed(0)
    net = zoo.MultiHead()
    with torch.no_grad():
        net.attend.in_proj_weight *= 6
        net.attend.in_proj_weight[4:8] *= 100  # the queries of head 1
    module = LooksNnx()
    weights = variables(Looks(), SERIES)["params"]
    packed = zip(("query", "key", "value"), net.attend.in_proj_weight.chunk(3), strict=True)
    for name, part in packed:
        kernel = jnp.asarray(part.detach().numpy().T.reshape(8, 2, 4))
        getattr(module.at, name).kernel[...] = weights["at"][name]["kernel"] = kernel
    data = torch.tensor(np.asarray(SERIES)), torch.tensor(np.asarray(Y[:32]), dtype=torch.long)
    (expected,) = certificate(net, data, F.cross_entropy).measurement.sites
    for model, options in ((Looks(), {"params": weights}), (module, {})):
        certified = certificate(model, (SERIES, Y[:32]), cross_entropy, **options)
        (site,) = certified.measurement.sites
        assert (site.layer, site.units, site.saturated) == ("at.key", 2, (1,))
        assert site.saturated == expected.saturated and site.beside == ("at.query",)
        assert site.flat == pytest.approx(expected.flat, abs=2 / 384)
        assert found(certified.locks) == [("saturated", "at.key")]


def test_a_row_with_one_key_to_look_at_is_not_saturated():
    weights = variables(Looks(causal=True), SERIES)
    data = SERIES, Y[:32]
    certified = certificate(Looks(causal=True), data, cross_entropy, params=weights)
    assert not certified.locks and certified.measurement.sites[0].flat < 0.1


class Steps(linen.Module):
    """A recurrence by ``scan``, behind a layer that is computed again on the way back."""

    @linen.compact
    def __call__(self, x):
        x = linen.tanh(linen.remat(linen.Dense)(8, name="first")(x))
        x = linen.RNN(linen.SimpleCell(5), name="steps")(x)
        return linen.Dense(3, name="head")(x[:, -1])


class Gated(nnx.Module):
    """A GRU cell with unit 2 of its new state far out, run by ``scan`` or by a Python loop."""

    def __init__(self, scanned):
        self.cell = nnx.GRUCell(8, 5, rngs=nnx.Rngs(0))
        self.cell.dense_i.bias[...] = self.cell.dense_i.bias[...].at[12].set(9.0)
        self.head = nnx.Linear(5, 3, rngs=nnx.Rngs(1))
        self.rnn = nnx.RNN(self.cell) if scanned else None

    def __call__(self, x):
        if self.rnn:
            return self.head(self.rnn(x)[:, -1])
        state = jnp.zeros((len(x), 5))
        for t in range(x.shape[1]):
            state, _ = self.cell(state, x[:, t])
        return self.head(state)


def test_gates_of_a_recurrence_are_seen_step_by_step():
    looped, scanned = (
        certificate(Gated(way), (SERIES[:, :3], Y[:32]), cross_entropy) for way in (False, True)
    )
    sites = [
        [(s.function, s.units, s.dead, s.saturated) for s in certified.measurement.sites]
        for certified in (looped, scanned)
    ]
    assert sites[0] == sites[1] and any(2 in units for *_, units in sites[0])
    flats = [[s.flat for s in c.measurement.sites] for c in (looped, scanned)]
    assert flats[0] == pytest.approx(flats[1], abs=1e-3) and max(flats[0]) > 0
    assert [k.kind for k in scanned.locks] == [k.kind for k in looped.locks] == ["saturated"]


def test_loops_and_layers_computed_again_keep_the_chain():
    weights = variables(Steps(), SERIES)
    weights = with_leaf(weights, "head", "kernel", jnp.zeros_like)
    data, labels = (SERIES, Y[:32]), {"still": optax.set_to_zero(), "moves": optax.adam(1e-3)}
    inner = weights["params"]
    tx = optax.partition(labels, {n: "still" if n == "head" else "moves" for n in inner})
    optimizer = (tx, tx.init(inner))  # else the zeros would open by themselves
    locks = certificate(Steps(), data, cross_entropy, params=weights, optimizer=optimizer).locks
    assert [(k.kind, k.place) for k in locks] == [("frozen", "head"), ("zeroed", "head")]
    lock = locks[1]
    assert {name.partition(".")[0] for name in lock.backward} == {"first", "SimpleCell_0"}


@jax.custom_vjp
def clip(x):
    return jnp.clip(x, -1, 1)


clip.defvjp(lambda x: (clip(x), None), lambda _, g: (g,))


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (lambda x: jnp.where(x > 0, x, 0.0), "by hand (select_n), after l2"),
        (lambda x: x * (x > 0), "by hand (mul), after l2"),
        (clip, "what clip (custom_vjp) does, after l2"),
        (lambda x: jax.lax.cond(x.sum() > 0, jnp.tanh, jnp.sin, x), "what cond does, after l2"),
    ],
)
def test_a_gate_that_no_detector_sees_is_said(gate, words):
    certified = certificate(Nnx(gate), (X, Y), cross_entropy)
    assert words in " ".join(certified.measurement.unseen), certified.measurement.unseen
    assert "not seen" in str(certified)


def test_updates_that_round_away_are_a_lock():
    weights = jax.tree.map(lambda w: w.astype(jnp.bfloat16), variables()["params"])
    tx = optax.sgd(1e-4)
    optimizer = tx, tx.init(weights)
    data = X.astype(jnp.bfloat16), Y
    certified = certificate(Linen(), data, cross_entropy, params=weights, optimizer=optimizer)
    assert found(certified.locks) == [("rounding", f"l{i}") for i in range(4)]


class TorchChain(torch.nn.Module):
    """Dense layers, perhaps with a norm behind the first, and an activation between them."""

    def __init__(self, sizes, activation, normed, gain):
        super().__init__()
        pairs = itertools.pairwise(sizes)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in pairs)
        self.norm = torch.nn.LayerNorm(sizes[1]) if normed else None
        self.activation = getattr(F, activation)
        for layer in self.layers:
            zoo.scale(layer, gain)

    def forward(self, x):
        x = self.layers[0](x)
        x = self.norm(x) if self.norm else x
        for layer in self.layers[1:]:
            x = layer(self.activation(x))
        return x


class NnxChain(nnx.Module):
    """The same, with the weights of a ``TorchChain``."""

    def __init__(self, chain, activation):
        rngs = nnx.Rngs(0)
        self.layers = nnx.List(
            nnx.Linear(m.in_features, m.out_features, rngs=rngs) for m in chain.layers
        )
        for ours, theirs in zip(self.layers, chain.layers, strict=True):
            ours.kernel[...] = jnp.asarray(theirs.weight.detach().numpy().T)
            ours.bias[...] = jnp.asarray(theirs.bias.detach().numpy())
        width = chain.layers[0].out_features
        self.norm = nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs) if chain.norm else None
        self.activation = getattr(jax.nn, activation)

    def __call__(self, x):
        x = self.layers[0](x)
        x = self.norm(x) if self.norm else x
        for layer in self.layers[1:]:
            x = layer(self.activation(x))
        return x


def comparable(certified):
    """Return sites and locks as plain tuples, and {layer: share of the gradient}."""
    sites = [(s.layer, s.function, s.dead, s.saturated) for s in certified.measurement.sites]
    locks = [(k.kind, k.place, k.units, k.backward, k.forward) for k in certified.locks]
    return sites, locks, {row["layer"]: row["gradient"] for row in certified.layers()}


# each example compiles for a second: a failing one is shown as it was drawn
@settings(max_examples=4, derandomize=True, phases=[Phase.generate])
@given(
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    activation=st.sampled_from(["relu", "tanh", "sigmoid", "silu", "softplus"]),
    normed=st.booleans(),
    gain=st.sampled_from([0.1, 1.0, 20.0]),
    seed=st.integers(0, 99),
)
def test_random_twins_agree(widths, activation, normed, gain, seed):
    """Any narrow network: the same numbers, units and locks in torch and in Flax."""
    torch.manual_seed(seed)
    chain = TorchChain([8, *widths, 3], activation, normed, gain)
    twin = NnxChain(chain, activation)
    data = torch.tensor(np.asarray(X)), torch.tensor(np.asarray(Y), dtype=torch.long)
    *expected, pulls = comparable(certificate(chain, data, F.cross_entropy))
    *seen, shares = comparable(certificate(twin, (X, Y), cross_entropy))
    assert seen == expected
    assert shares == pytest.approx(pulls, rel=1e-3, abs=1e-6)
