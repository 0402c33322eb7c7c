"""Keys that open locks of units in Flax, linen and nnx: what is written, and what stays."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen, nnx
from flax.core import FrozenDict

import paramlock
from paramlock import certificate, remedies
from paramlock.flax import freeze, hold, prune, reinitialise_units, rescale_units
from paramlock.models.in_flax import parameter_names

pytestmark = pytest.mark.usefixtures("quick_compilation")


class Dense(linen.Module):
    activation: str = "relu"

    @linen.compact
    def __call__(self, x):
        for _ in range(2):
            x = getattr(linen, self.activation)(linen.Dense(16)(x))
        return linen.Dense(3)(x)


class Pictures(linen.Module):
    """A norm layer before the first activation, a flattened convolution before the head."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(6, (3, 3))(x)
        x = linen.relu(linen.BatchNorm(use_running_average=True)(x))
        x = linen.relu(linen.Conv(4, (3, 3), strides=2)(x))
        return linen.Dense(3)(x.reshape(len(x), -1))


class Residual(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Dense(8)(x)
        x = x + linen.relu(linen.Dense(8)(x))
        return linen.Dense(3)(x)


class Stateful(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first, self.head = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.first(x)))


def vectors():
    return jax.random.normal(jax.random.key(1), (64, 8)), jnp.arange(64) % 3


def images():
    return jax.random.normal(jax.random.key(1), (32, 8, 8, 3)), jnp.arange(32) % 3


def loss(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def flat(params):
    return dict(zip(parameter_names(params), map(np.asarray, jax.tree.leaves(params)), strict=True))


def killed(params, layer, units, by=-100.0):
    bias = params[layer]["bias"].at[jnp.array(units)].set(by)
    return {**params, layer: {**params[layer], "bias": bias}}


def started(model, x):
    return model.init(jax.random.key(0), x)["params"]


def places_of(found, kind="dead"):
    return {lock.place: lock.units for lock in found.locks if lock.kind == kind}


def stepped(model, params, optimizer, state, batch):
    slopes = jax.grad(lambda p: loss(model.apply({"params": p}, batch[0]), batch[1]))(params)
    updates, state = optimizer.update(slopes, state, params)
    return optax.apply_updates(params, updates), state


def test_dead_units_are_drawn_anew_and_the_output_stays():
    model, batch = Dense(), vectors()
    params = killed(started(model, batch[0]), "Dense_0", [2, 5])
    optimizer = optax.adam(1e-2)
    params, state = stepped(model, params, optimizer, optimizer.init(params), batch)
    found = certificate(model, batch, loss, params=params)
    assert places_of(found) == {"Dense_0": (2, 5)}
    new, cleared, [opened] = reinitialise_units(params, found, state=state)
    assert (opened.incoming, opened.outgoing) == (
        ("Dense_0.kernel", "Dense_0.bias"),
        ("Dense_1.kernel",),
    )
    np.testing.assert_array_equal(
        *(model.apply({"params": p}, batch[0]) for p in (params, new)), "the units gave zero"
    )
    assert not places_of(certificate(model, batch, loss, params=new))
    written = {"Dense_0.kernel": np.s_[:, [2, 5]], "Dense_0.bias": [2, 5]}
    written["Dense_1.kernel"] = np.s_[[2, 5]]
    for name, old in flat(params).items():
        stay = np.ones(old.shape, bool)
        stay[written.get(name, np.s_[:0])] = False
        np.testing.assert_array_equal(flat(new)[name][stay], old[stay])
        for moment in ("mu", "nu"):
            before, after = (flat(getattr(s[0], moment))[name] for s in (state, cleared))
            np.testing.assert_array_equal(after, np.where(stay, before, 0))
    spread = flat(new)["Dense_0.kernel"][:, [2, 5]].std()
    assert 0.5 < spread / (2 / 8) ** 0.5 < 1.6, "He: variance 2 / fan-in"


def test_they_learn_after_two_steps():
    model, batch = Dense(), vectors()
    params = killed(started(model, batch[0]), "Dense_1", [3])
    new = reinitialise_units(params, certificate(model, batch, loss, params=params)).params
    optimizer = optax.sgd(0.1)
    state = optimizer.init(new)
    once, state = stepped(model, new, optimizer, state, batch)
    twice, _ = stepped(model, once, optimizer, state, batch)
    assert flat(once)["Dense_2.kernel"][3].any()
    first, second = (flat(p)["Dense_1.kernel"][:, 3] for p in (once, twice))
    np.testing.assert_array_equal(first, flat(new)["Dense_1.kernel"][:, 3])
    assert (first != second).any()


def test_norm_layers_and_flattened_channels():
    model, batch = Pictures(), images()
    variables = model.init(jax.random.key(0), batch[0])
    params = killed(killed(variables["params"], "BatchNorm_0", [1]), "Conv_1", [2])
    variables = {**variables, "params": params}
    found = certificate(model, batch, loss, params=variables)
    assert places_of(found) == {"BatchNorm_0": (1,), "Conv_1": (2,)}
    renewed = reinitialise_units(variables, found)
    assert renewed.params["batch_stats"] is variables["batch_stats"] and renewed.state is None
    norm, second = renewed.opened
    assert norm.incoming == (
        "BatchNorm_0.scale",
        "BatchNorm_0.bias",
        "Conv_0.kernel",
        "Conv_0.bias",
    )
    assert norm.outgoing == ("Conv_1.kernel",) and second.outgoing == ("Dense_0.kernel",)
    outputs = [model.apply(v, batch[0]) for v in (variables, renewed.params)]
    np.testing.assert_allclose(*outputs, atol=1e-6)
    head = flat(renewed.params["params"])["Dense_0.kernel"].reshape(16, 4, 3)
    assert not head[:, 2].any() and head[:, [0, 1, 3]].all()
    assert not places_of(certificate(model, batch, loss, params=renewed.params))


def test_outgoing_weights_stay_where_streams_join():
    model, batch = Residual(), vectors()
    params = killed(started(model, batch[0]), "Dense_1", [0])
    found = certificate(model, batch, loss, params=params)
    [opened] = reinitialise_units(params, found).opened
    assert opened.outgoing == () and "other layers join" in opened.note


def test_an_nnx_module_is_opened_by_its_state():
    model, batch = Stateful(), vectors()
    model.first.bias[...] = model.first.bias[...].at[4].set(-100.0)
    found = certificate(model, batch, loss)
    before = model(batch[0])
    nnx.update(model, reinitialise_units(nnx.state(model, nnx.Param), found).params)
    np.testing.assert_array_equal(model(batch[0]), before)
    assert places_of(found) == {"first": (4,)} and not places_of(certificate(model, batch, loss))


@pytest.mark.parametrize("whole", [False, True])
def test_saturated_units_are_rescaled_from_the_input_on(whole):
    model, batch = Dense("tanh"), vectors()
    params = jax.tree.map(lambda leaf: 30 * leaf, started(model, batch[0]))
    given = {"params": params} if whole else params
    found = certificate(model, batch, loss, params=given)
    assert places_of(found, "saturated").keys() == {"Dense_0", "Dense_1"}
    renewed = rescale_units(model, found, batch[0], params=given)
    inner = renewed.params["params"] if whole else renewed.params
    x = batch[0]
    for opened in renewed.opened:
        z = x @ inner[opened.place]["kernel"] + inner[opened.place]["bias"]
        units = jnp.array(opened.units)
        np.testing.assert_allclose(z[:, units].mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(z[:, units].std(0), 1, atol=1e-4)
        assert opened.output_change > 0 and "to 1" in opened.note
        x = jnp.tanh(z)
    assert not places_of(certificate(model, batch, loss, params=renewed.params), "saturated")


def test_torch_and_flax_rescale_alike():
    model, batch = Dense("tanh"), vectors()
    params = jax.tree.map(lambda leaf: 30 * leaf, started(model, batch[0]))
    x, y = (torch.tensor(np.asarray(part)) for part in batch)
    layers = [torch.nn.Linear(8, 16), torch.nn.Linear(16, 16), torch.nn.Linear(16, 3)]
    twin = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1], torch.nn.Tanh(), layers[2])
    for layer, own in zip(layers, params.values(), strict=True):
        layer.weight.data = torch.tensor(np.asarray(own["kernel"]).T.copy())
        layer.bias.data = torch.tensor(np.asarray(own["bias"]))
    renewed = rescale_units(
        model, certificate(model, batch, loss, params=params), batch[0], params=params
    )
    found = certificate(twin, (x, y.long()), torch.nn.functional.cross_entropy)
    theirs = paramlock.torch.rescale_units(twin, found, x)
    assert [o.units for o in theirs] == [o.units for o in renewed.opened]
    for layer, own in zip(layers, renewed.params.values(), strict=True):
        np.testing.assert_allclose(layer.weight.detach().T, own["kernel"], atol=1e-5)
        np.testing.assert_allclose(layer.bias.detach(), own["bias"], atol=1e-4)


def test_entries_that_are_held_stay_held():
    model, batch = Dense(), vectors()
    params = killed(started(model, batch[0]), "Dense_0", [2, 5])
    params, held = prune(params, 0.5)
    optimizer = hold(optax.adam(1e-2), held)
    params, state = stepped(model, params, optimizer, optimizer.init(params), batch)
    found = certificate(model, batch, loss, params=params, optimizer=(optimizer, state))
    new, cleared, _ = reinitialise_units(params, found, state=state)
    for name, booleans in held.items():
        assert not flat(new)[name][np.asarray(booleans)].any()
        np.testing.assert_array_equal(cleared.held[name], state.held[name])
    assert flat(new)["Dense_0.kernel"][:, [2, 5]].any()


class Heads(linen.Module):
    """A kernel of three axes, (inputs, heads, size), reads the dead unit."""

    bias: bool = True

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Dense(8)(x))
        x = linen.DenseGeneral((8, 2), use_bias=self.bias)(x)
        return linen.Dense(3)(x.reshape(len(x), -1))


@pytest.mark.parametrize("bias", [True, False])
def test_what_reads_along_another_axis_is_known_or_left(bias):
    model, batch = Heads(bias), vectors()
    params = killed(started(model, batch[0]), "Dense_0", [3])
    found = certificate(model, batch, loss, params=params)
    new, _, [opened] = reinitialise_units(params, found)
    kernel = flat(new)["DenseGeneral_0.kernel"]
    assert np.delete(kernel, 3, 0).all() and kernel[3].any() != bias
    assert ("kept" in opened.note) != bias


def test_layers_come_in_order_and_once():
    model, batch = Dense("tanh"), vectors()
    params = jax.tree.map(lambda leaf: 30 * leaf, started(model, batch[0]))
    found = certificate(model, batch, loss, params=params)
    asked = ["Dense_1", "Dense_0", "Dense_1"]
    turned = rescale_units(model, found, batch[0], params=params, places=asked)
    assert [one.place for one in turned.opened] == ["Dense_0", "Dense_1"]


def test_parameters_come_back_as_they_came_in():
    model, batch = Dense(), vectors()
    params = killed(started(model, batch[0]), "Dense_0", [1])
    whole = FrozenDict({"params": params})
    renewed = reinitialise_units(whole, certificate(model, batch, loss, params=whole))
    assert jax.tree.structure(renewed.params) == jax.tree.structure(whole)


def bad_calls():
    model, batch = Dense(), vectors()
    params = killed(started(model, batch[0]), "Dense_0", [1])
    found = certificate(model, batch, loss, params=params)
    frozen = freeze(optax.sgd(0.1), "Dense_0")
    held = certificate(model, batch, loss, params=params, optimizer=(frozen, frozen.init(params)))
    other = started(Residual(), batch[0])
    flat_tanh = certificate(
        Dense("tanh"), batch, loss, params=jax.tree.map(lambda leaf: 50 * leaf, params)
    )
    return {
        "not the parameters of the certificate": lambda: reinitialise_units(other, found),
        "no lock of kind dead at 'Dense_1'": lambda: reinitialise_units(
            params, found, places=["Dense_1"]
        ),
        "kind 'vanishing' is no lock of units": lambda: reinitialise_units(
            params, found, kinds=["vanishing"]
        ),
        "weights of 'Dense_0' are frozen": lambda: reinitialise_units(params, held),
        "spread is 0": lambda: rescale_units(model, found, batch[0], params=params, spread=0),
        "holds no parameters": lambda: rescale_units(Dense("tanh"), flat_tanh, batch[0]),
    }


@pytest.mark.parametrize("message", bad_calls())
def test_bad_input_gets_one_clear_error(message):
    with pytest.raises(ValueError, match=message):
        bad_calls()[message]()


@pytest.mark.parametrize("kind", ["constant", "zeroed"])
def test_weights_at_zero_are_drawn_anew_by_the_call_that_is_proposed(kind):
    model, (x, y) = Dense("tanh"), vectors()
    params = started(model, x)
    kernel = params["Dense_1"]["kernel"]
    kernel = kernel.at[:, 3].set(0.0) if kind == "constant" else jnp.zeros_like(kernel)
    params = {**params, "Dense_1": {**params["Dense_1"], "kernel": kernel}}
    if kind == "zeroed":  # alone, a layer of zeros opens by itself
        last = params["Dense_2"]
        params["Dense_2"] = {**last, "kernel": jnp.zeros_like(last["kernel"])}
    found = certificate(model, (x, y), loss, params=params)
    remedy, *_ = remedies(found)
    assert (remedy.lock.kind, remedy.lock.place) == (kind, "Dense_1")
    scope = {"paramlock": paramlock, "certificate": found, "params": params, "state": None}
    renewed = eval(remedy.call, scope)
    assert not certificate(model, (x, y), loss, params=renewed.params).locks
    assert renewed.params["Dense_1"]["kernel"].all()
    assert not renewed.params["Dense_2"]["kernel"].all()


def test_samples_that_are_all_alike_have_no_cure_but_the_data():
    model, (x, y) = Dense("tanh"), vectors()
    params = started(model, x)
    found = certificate(model, (jnp.ones_like(x), y), loss, params=params)
    [remedy] = remedies(found)
    assert not remedy.curative and "change the data" in str(remedy)
    assert not reinitialise_units(params, found, kinds=["constant"]).opened


@pytest.mark.parametrize("kind", ["dead", "saturated"])
def test_remedies_of_a_real_certificate_open_what_they_name(kind):
    model, (x, y) = Dense("tanh" if kind == "saturated" else "relu"), vectors()
    params = started(model, x)
    scale = 30 if kind == "saturated" else 1
    params = {**params, "Dense_0": jax.tree.map(lambda leaf: scale * leaf, params["Dense_0"])}
    params = params if kind == "saturated" else killed(params, "Dense_0", [0, 7])
    found = certificate(model, (x, y), loss, params=params)
    remedy = next(r for r in remedies(found) if (r.lock.kind, r.lock.place) == (kind, "Dense_0"))
    scope = {"paramlock": paramlock, "model": model, "params": params, "inputs": x, "state": None}
    renewed = eval(remedy.call, scope | {"certificate": found})
    again = certificate(model, (x, y), loss, params=renewed.params)
    assert (kind, "Dense_0") in {(k.kind, k.place) for k in found.compare(again).opened}
