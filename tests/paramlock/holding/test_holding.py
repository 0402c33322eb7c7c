"""Entries held through training: bit for bit, under every optimizer, and free again afterwards."""

import copy
import gc
import io
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune as oracle

from paramlock.certifying.certificate import certificate
from paramlock.fisher.diagonal import fisher_diagonal
from paramlock.holding import in_optax
from paramlock.holding.choosing import (
    choose_entries,
    choose_n_of_m,
    cubic_sparsity,
    movement_scores,
)
from paramlock.holding.in_torch import hold
from paramlock.holding.pruning import fisher_lock, prune, regrow, rewire

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1),
    "SGD, decay": lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.1),
    "SGD, momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, 0.01),
    "Adam, L2": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.5),
    "RMSprop": lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.9),
    "Adagrad": lambda p: torch.optim.Adagrad(p, 0.1),
    "Adafactor": lambda p: torch.optim.Adafactor(p, 0.01, weight_decay=0.1),
}


@pytest.fixture
def model():
    return perceptron()


def perceptron():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 4)
    )


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(32, 12, generator=generator), torch.arange(32) % 4


def train(model, data, optimizer, steps=5):
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(data[0]), data[1]).backward()
        optimizer.step()


def values(model, held):
    return {n: p.detach()[held[n]].clone() for n, p in model.named_parameters() if n in held}


def moved(model, held, before):
    """Return the share of held entries whose bits changed."""
    after = values(model, held)
    count = sum(v.numel() for v in before.values())
    return sum(int((after[n] != before[n]).sum()) for n in before) / count


# --- held, whatever the optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("warm", [False, True])
def test_pruned_weights_stay_zero(model, data, name, warm):
    optimizer = OPTIMIZERS[name](model.parameters())
    train(model, data, optimizer, 3 * warm)
    lock = prune(model, 0.9)
    kept = {n: p.detach().clone() for n, p in model.named_parameters()}
    train(model, data, optimizer)
    for name, held in lock.held.items():
        assert not dict(model.named_parameters())[name][held].any()
    assert any((p != kept[n]).any() for n, p in model.named_parameters())  # the others learn


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_mask_alone_is_no_lock(model, data, name):
    """The belief under test: momentum carries 69 % of pruned weights on, Adam's averages too."""
    optimizer = OPTIMIZERS[name](model.parameters())
    train(model, data, optimizer, 3)
    held = choose_entries(model, 0.9)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if n in held:
                p.masked_fill_(held[n], 0)
                p.register_hook(lambda g, h=held[n]: g.masked_fill(h, 0))
    train(model, data, optimizer)
    regrown = moved(model, held, {n: torch.zeros(int(h.sum())) for n, h in held.items()})
    carries = {"SGD, momentum", "Adam", "Adam, L2", "AdamW", "RMSprop"}
    assert regrown > 0.6 if name in carries else regrown == 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_entries_keep_the_bits_they_have(model, data, name):
    optimizer = OPTIMIZERS[name](model.parameters())
    train(model, data, optimizer, 2)
    held = choose_entries(model, 0.5, by="random", names=["**"])
    assert {"0.weight", "0.bias"} <= held.keys()
    before = values(model, held)
    hold(model, held)
    train(model, data, optimizer)
    assert moved(model, held, before) == 0


def test_lbfgs_with_its_inner_steps(model, data):
    lock = prune(model, 0.8)
    optimizer = torch.optim.LBFGS(model.parameters(), 0.1, max_iter=4)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data[0]), data[1])
        loss.backward()
        return loss

    first = closure().item()
    optimizer.step(closure)
    assert closure().item() < first
    assert all(not p[lock.held[n]].any() for n, p in model.named_parameters() if n in lock.held)


def test_held_entries_do_not_count_in_gradient_clipping(model, data):
    lock = prune(model, 0.9)
    loss = F.cross_entropy(model(data[0]), data[1])
    whole = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
    assert all(not g[lock.held[n]].any() for n, g in zip(lock.held, whole[::2], strict=True))
    shown = lock.gradients(loss)
    assert any(g[lock.held[n]].any() for n, g in shown.items())
    loss.backward()  # the graph is still there, and gradients of held entries are zero again
    assert all(not p.grad[lock.held[n]].any() for n, p in model.named_parameters() if n in shown)


@pytest.mark.parametrize("shares", [(0.9,), (0.5, 0.9)])
def test_a_released_entry_is_not_carried_on_by_what_the_optimizer_remembers(model, data, shares):
    optimizer, lock = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9), None
    for share in shares:
        train(model, data, optimizer, 3)
        lock = prune(model, share, lock=lock)
    held = lock.held
    train(model, data, optimizer, 1)
    lock.release()
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert moved(model, held, {n: torch.zeros(int(h.sum())) for n, h in held.items()}) == 0
    train(model, data, optimizer, 1)
    assert moved(model, held, {n: torch.zeros(int(h.sum())) for n, h in held.items()}) > 0.1


def test_undo_gives_every_bit_back(model):
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    lock = prune(prune(model, 0.5).model, 0.3, names=["0.bias"])
    assert not torch.equal(before["0.bias"], model[0].bias)
    lock.undo()
    assert torch.equal(before["0.bias"], model[0].bias)
    assert float((model[0].weight == 0).float().mean()) > 0.3  # the other lock still holds
    lock = prune(perceptron(), 0.2)
    lock = prune(lock.model, 0.7, lock=lock)
    lock.undo()
    assert all(torch.equal(p, before[n]) for n, p in lock.model.named_parameters())


def test_a_lock_is_saved_and_put_on_another_model(model, data):
    lock = prune(model, 0.9)
    names = list(model.state_dict())
    train(model, data, torch.optim.AdamW(model.parameters(), 0.01))
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "lock": lock.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    assert list(saved["model"]) == names  # pruning adds no name
    other = nn.Sequential(*(copy.deepcopy(m) for m in model))
    other.load_state_dict(saved["model"])
    twin = hold(other, saved["lock"]["held"], at_zero=True)
    twin.load_state_dict(saved["lock"])
    assert all(
        torch.equal(a, b) for a, b in zip(lock.held.values(), twin.held.values(), strict=True)
    )
    twin.undo()
    lock.undo()
    assert all(map(torch.equal, other.parameters(), model.parameters()))
    with pytest.raises(ValueError, match="holds at zero and the other does not"):
        hold(model, lock.held).load_state_dict(saved["lock"])


@pytest.mark.parametrize("assign", [False, True])
def test_loading_other_weights_does_not_open_the_lock(model, data, assign):
    dense = copy.deepcopy(model).state_dict()
    lock = prune(model, 0.9)
    model.load_state_dict(dense, assign=assign)
    assert lock.report().share == pytest.approx(0.9, abs=1e-3)
    train(model, data, torch.optim.AdamW(model.parameters(), 0.01))
    for name, held in lock.held.items():
        weight = dict(model.named_parameters())[name]
        assert not weight[held].any() and weight[~held].all()
    model[2].load_state_dict({n[2:]: v for n, v in dense.items() if n[0] == "2"}, assign=assign)
    assert not model[2].weight[lock.held["2.weight"]].any()


def test_a_lock_outlives_its_name_but_not_its_model(data):
    model = perceptron()
    prune(model, 0.9)
    train(model, data, torch.optim.AdamW(model.parameters(), 0.01))
    assert float((model[0].weight == 0).float().mean()) > 0.5
    gone = weakref.ref(model[0].weight)
    del model
    gc.collect()
    assert gone() is None


def test_a_frozen_parameter_and_tied_ones(model, data):
    model[0].weight.requires_grad_(False)
    model.append(nn.Linear(4, 4)).append(nn.Linear(4, 4))
    model[6].weight = model[5].weight
    held = choose_entries(model, 0.5)
    assert "6.weight" not in held
    hold(model, held)
    before = values(model, held)
    assert not model[0].weight.requires_grad
    model[0].weight.requires_grad_(True)
    train(model, data, torch.optim.AdamW(model.parameters(), 0.01))
    assert moved(model, held, before) == 0
    assert model[0].weight.grad is not None and not model[0].weight.grad[held["0.weight"]].any()


@pytest.mark.parametrize("at_zero", [False, True])
def test_values_come_back_bit_for_bit_from_anything(at_zero):
    layer = nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last)
    held = choose_entries(layer, 0.5, by="random")
    before = layer.weight.detach().clone()
    lock = hold(layer, held, at_zero=at_zero)
    with torch.no_grad():
        layer.weight.fill_(torch.nan)
    lock.enforce()
    where = held["weight"]
    expected = torch.zeros_like(before) if at_zero else before
    assert torch.equal(layer.weight[where], expected[where])
    assert layer.weight[~where].isnan().all()
    lock.undo()
    assert torch.equal(layer.weight[where], before[where])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_lock_follows_the_models_precision(model, data, dtype):
    lock = prune(model, 0.9)
    model.to(dtype)
    inputs = data[0].to(dtype)
    train(model, (inputs, data[1]), torch.optim.AdamW(model.parameters(), 0.01))
    assert all(not p[lock.held[n]].any() for n, p in model.named_parameters() if n in lock.held)
    lock.undo()
    assert model[0].weight.dtype == dtype and model[0].weight.all()


def test_a_copy_is_another_model(model, data):
    lock = prune(model, 0.9)
    twin = copy.deepcopy(model)
    train(twin, data, torch.optim.SGD(twin.parameters(), 0.1))
    assert moved(twin, lock.held, values(model, lock.held)) > 0.1
    twin.load_state_dict(model.state_dict())
    train(twin, data, torch.optim.SGD(twin.parameters(), 0.1))
    assert moved(twin, lock.held, values(model, lock.held)) > 0.1
    whole = io.BytesIO()
    torch.save(model, whole)
    hold(twin, lock.held, at_zero=True)
    assert torch.equal(twin[0].weight == 0, lock.held["0.weight"])


# --- which entries


SHAPES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6)), min_size=1, max_size=4)


@settings(max_examples=60)
@given(shapes=SHAPES, fraction=st.floats(0, 1), levels=st.integers(1, 40), seed=st.integers(0, 99))
def test_the_lowest_are_chosen_exactly_and_alike(shapes, fraction, levels, seed):
    """As many as asked for, none above one that stays, ties too; the same in torch and JAX."""
    generator = np.random.default_rng(seed)
    arrays = {f"p{i}": generator.integers(0, levels, s) / 7.0 for i, s in enumerate(shapes)}
    tensors = {n: torch.tensor(a, dtype=torch.float32) for n, a in arrays.items()}
    held = choose_entries(tensors, fraction)
    twin = choose_entries({n: jnp.asarray(a, jnp.float32) for n, a in arrays.items()}, fraction)
    assert all(np.array_equal(held[n].numpy(), np.asarray(twin[n])) for n in arrays)
    chosen = np.concatenate([arrays[n][held[n].numpy()] for n in arrays])
    left = np.concatenate([arrays[n][~held[n].numpy()] for n in arrays])
    assert chosen.size == int(fraction * (chosen.size + left.size) + 0.5)
    assert not chosen.size or not left.size or chosen.max() <= left.min()
    top = choose_entries(tensors, fraction, which="highest")
    assert sum(int(t.sum()) for t in top.values()) == chosen.size


@pytest.mark.parametrize("sparsity", [0.3, 0.9])
def test_choices_are_those_of_torchs_own_pruning(model, sparsity):
    held = choose_entries(model, sparsity)
    alone = choose_entries(model, sparsity, scope="tensor")
    twin, layers = copy.deepcopy(model), [0, 2, 4]
    oracle.global_unstructured(
        [(twin[i], "weight") for i in layers], oracle.L1Unstructured, amount=sparsity
    )
    for i in layers:
        assert torch.equal(twin[i].weight_mask == 0, held[f"{i}.weight"])
        mask = oracle.l1_unstructured(copy.deepcopy(model[i]), "weight", sparsity).weight_mask
        assert torch.equal(mask == 0, alone[f"{i}.weight"])


def test_random_choices_depend_on_seed_and_name_and_on_nothing_else(model):
    one = choose_entries(model, 0.5, by="random", seed=3)
    assert torch.equal(one["2.weight"], choose_entries(model, 0.5, by="random", seed=3)["2.weight"])
    assert not torch.equal(
        one["2.weight"], choose_entries(model, 0.5, by="random", seed=4)["2.weight"]
    )
    square = {"a": torch.zeros(9, 9), "b": torch.zeros(9, 9)}
    drawn = choose_entries(square, 0.5, by="random", scope="tensor")
    assert not torch.equal(drawn["a"], drawn["b"])
    twin = choose_entries({n: jnp.zeros((9, 9)) for n in "ab"}, 0.5, by="random", scope="tensor")
    assert np.array_equal(twin["a"], drawn["a"].numpy())


def test_two_of_four_neighbours_stay():
    weight = torch.tensor([[1.0, -4, 2, 3, 0, 0, 0, 0], [8, 7, 6, 5, -1, 1, -2, 2]])
    held = choose_n_of_m({"w": weight}, 2, 4)["w"]
    assert held[0].tolist() == [True, False, True, False, True, True, False, False]
    assert held[1].tolist() == [False, False, True, True, True, True, False, False]
    kernel = jnp.asarray(weight.T.numpy())  # Flax stores inputs first
    assert np.array_equal(choose_n_of_m({"w": kernel}, 2, 4)["w"].T, held.numpy())
    images = choose_n_of_m({"w": torch.randn(5, 8, 3, 3)}, 1, 4)["w"]
    assert (images.unflatten(1, (2, 4)).sum(2) == 3).all()
    lock = prune(nn.Sequential(nn.Linear(8, 3)), (2, 4))
    assert lock.report().share == 0.5


def test_movement_is_minus_parameter_times_gradient_summed_over_steps():
    model, scores = nn.Linear(3, 2), None
    expected = torch.zeros(2, 3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (model(torch.ones(4, 3)) ** 2).sum().backward()
        expected -= model.weight.detach() * model.weight.grad
        scores = movement_scores(model, before=scores)
        optimizer.step()
    assert torch.allclose(scores["weight"], expected)
    assert not scores["weight"].requires_grad
    assert expected.max() < 0  # the loss pulls every weight towards zero: none is worth keeping
    twin = movement_scores({"w": jnp.array([2.0])}, {"w": jnp.array([3.0])}, before={"w": 1.0})
    assert twin["w"] == -5.0


def test_the_cubic_schedule_by_hand():
    def share(step):
        return cubic_sparsity(step, begin=10, end=110, final=0.9, initial=0.1)

    assert [share(s) for s in (0, 10, 110, 500)] == [0.1, 0.1, 0.9, 0.9]
    assert share(60) == pytest.approx(0.9 - 0.8 * 0.5**3)
    assert share(35) - share(10) > share(110) - share(85)


# --- growing, shrinking, moving a choice


def test_gradual_pruning_grows_one_lock(model, data):
    optimizer, lock, before = torch.optim.Adam(model.parameters(), 0.05), None, {}
    for step in range(6):
        target = cubic_sparsity(step, begin=0, end=5, final=0.9)
        lock = prune(model, target, by="random", seed=step, lock=lock)
        for name, held in before.items():
            assert (lock.held[name] | ~held).all()
        assert lock.report().share == pytest.approx(target, abs=1e-3)
        before = lock.held
        train(model, data, optimizer, 2)
    with pytest.raises(ValueError, match="prune frees nothing"):
        prune(model, 0.5, lock=lock)


def test_regrowth_frees_those_that_the_gradient_wants_most(model, data):
    lock = prune(model, 0.9)
    held = lock.held
    slopes = lock.gradients(F.cross_entropy(model(data[0]), data[1]))
    sizes = {name: g.abs() for name, g in slopes.items()}
    regrow(lock, 0.1, by=sizes)
    freed = {name: held[name] & ~now for name, now in lock.held.items()}
    total = sum(int(h.sum()) for h in held.values())
    assert sum(int(f.sum()) for f in freed.values()) == pytest.approx(0.1 * total, abs=1)
    least = min(sizes[n][f].min() for n, f in freed.items() if f.any())
    assert least >= max(sizes[n][h].max() for n, h in lock.held.items() if h.any())
    assert all(not (now & ~held[n]).any() for n, now in lock.held.items())
    train(model, data, torch.optim.SGD(model.parameters(), 0.1), 1)
    assert moved(model, freed, {n: torch.zeros(int(f.sum())) for n, f in freed.items()}) > 0.9


def test_rewiring_moves_connections_and_keeps_each_sparsity(model, data):
    lock = prune(model, 0.8)
    before, sizes = lock.held, {n: p.detach().abs() for n, p in model.named_parameters()}
    gradients = lock.gradients(F.cross_entropy(model(data[0]), data[1]))
    rewire(lock, 0.3, gradients)
    for name, now in lock.held.items():
        assert now.sum() == before[name].sum()
        dropped, grown = now & ~before[name], before[name] & ~now
        assert dropped.sum() == grown.sum() == round(0.3 * int((~before[name]).sum())) > 0
        assert sizes[name][dropped].max() <= sizes[name][~now & ~before[name]].min()
        assert gradients[name].abs()[grown].min() >= gradients[name].abs()[now & before[name]].max()
        weight = dict(model.named_parameters())[name]
        assert not weight[dropped].any() and not weight[grown].any()


def test_a_fisher_lock_holds_either_end(model, data):
    fisher = {"0.weight": torch.rand(20, 12), "4.bias": torch.rand(4)}
    for which, sign in (("lowest", 1), ("highest", -1)):
        twin = copy.deepcopy(model)
        lock = fisher_lock(twin, fisher, 0.5, which=which)
        held = lock.held
        assert sum(int(h.sum()) for h in held.values()) == 122
        inside = max(float((sign * fisher[n][h]).max()) for n, h in held.items() if h.any())
        assert inside <= min(
            float((sign * fisher[n][~h]).min()) for n, h in held.items() if (~h).any()
        )
        before = values(twin, held)
        train(twin, data, torch.optim.AdamW(twin.parameters(), 0.01))
        assert moved(twin, held, before) == 0


def test_the_report_counts(model):
    lock = prune(model, 0.9, scope="tensor")
    report = lock.report()
    assert [row.name for row in report.rows] == ["0.weight", "2.weight", "4.weight"]
    assert [row.held for row in report.rows] == [216, 360, 72]
    assert "90.0% of the entries are held at zero" in str(report)
    assert "<td" in report._repr_html_() and report.to_dict()["share"] == 0.9


# --- JAX


TRANSFORMATIONS = {
    "sgd, momentum": optax.sgd(0.1, momentum=0.9),
    "adam": optax.adam(0.01),
    "adamw": optax.adamw(0.01, weight_decay=0.5),
    "clipped": optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(0.01)),
    "lookahead-free lion": optax.lion(0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_jax_entries_stay(name):
    params = {"a": {"kernel": jnp.arange(12.0).reshape(4, 3) - 5}, "b": jnp.ones(3)}
    held = choose_entries(params, 0.5)
    pruned = in_optax.zero_entries(params, held)
    for start in (params, pruned):
        transformation = in_optax.hold(TRANSFORMATIONS[name], held)
        state, now = transformation.init(start), start

        @jax.jit
        def step(now, state, update=transformation.update):
            gradients = jax.tree.map(lambda p: p + 1.0, now)
            updates, state = update(gradients, state, now)
            return optax.apply_updates(now, updates), state

        for _ in range(4):
            now, state = step(now, state)
        where = held["a.kernel"]
        assert jnp.array_equal(now["a"]["kernel"][where], start["a"]["kernel"][where])
        assert (now["a"]["kernel"][~where] != start["a"]["kernel"][~where]).all()
        assert (now["b"] != start["b"]).all()


def test_jax_gradients_of_held_entries_do_not_count_in_clipping():
    params, held = {"w": jnp.array([1.0, 2.0])}, {"w": jnp.array([True, False])}
    transformation = in_optax.hold(
        optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1.0)), held
    )
    gradients = {"w": jnp.array([1e6, 0.5])}
    updates, _ = transformation.update(gradients, transformation.init(params), params)
    assert updates["w"].tolist() == [0.0, -0.5]


def test_nnx_entries_stay():
    model = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    held = choose_entries(model, 0.5)
    assert set(held) == {"kernel"}
    nnx.update(model, in_optax.zero_entries(nnx.state(model, nnx.Param), held))
    transformation = in_optax.hold(optax.adamw(0.1, weight_decay=0.5), held)
    optimizer = nnx.Optimizer(model, transformation, wrt=nnx.Param)
    for _ in range(3):
        gradients = nnx.grad(lambda m: (m(jnp.ones((2, 4))) ** 2).sum())(model)
        optimizer.update(model, gradients)
    assert jnp.array_equal(model.kernel[...] == 0, held["kernel"])
    assert held["kernel"].sum() == 6


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_torch_and_jax_train_alike(momentum):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(5, 8)).astype(np.float32)
    inputs = rng.normal(size=(16, 8)).astype(np.float32)
    layer = nn.Linear(8, 5, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
    lock = prune(layer, 0.5)
    optimizer = torch.optim.SGD(layer.parameters(), 0.05, momentum=momentum)
    params = {"weight": jnp.asarray(weight)}
    held = choose_entries(params, 0.5)
    params = in_optax.zero_entries(params, held)
    transformation = in_optax.hold(optax.sgd(0.05, momentum=momentum or None), held)
    state = transformation.init(params)
    for _ in range(6):
        optimizer.zero_grad()
        (layer(torch.tensor(inputs)) - 1).pow(2).mean().backward()
        optimizer.step()
        slopes = jax.grad(lambda p: ((inputs @ p["weight"].T - 1) ** 2).mean())(params)
        updates, state = transformation.update(slopes, state, params)
        params = optax.apply_updates(params, updates)
    assert np.array_equal(lock.held["weight"].numpy(), held["weight"])
    np.testing.assert_allclose(
        layer.weight.detach().numpy(), params["weight"], rtol=1e-5, atol=1e-6
    )


# --- bad input


def wrong_calls():
    model = nn.Linear(4, 2)
    params = {"w": jnp.ones((2, 3))}
    half = {"weight": torch.ones(2, 4, dtype=torch.bool)}
    cubic = {"begin": 5, "end": 5, "final": 0.5}
    return {
        "is a share, from 0 to 1": lambda: prune(model, 1.5),
        "it must be one of lowest, highest": lambda: choose_entries(model, 0.5, which="low"),
        "by is 'size'": lambda: choose_entries(model, 0.5, by="size"),
        "nothing in .* is called 'wieght'": lambda: prune(model, 0.5, names=["wieght"]),
        "shape .2,., the parameter is missing": lambda: choose_entries(
            model, 0.5, by={"waits": torch.ones(2)}
        ),
        "NaN has no order": lambda: choose_entries(
            model, 0.5, by={"weight": torch.full((2, 4), torch.nan)}
        ),
        "no parameter to choose from": lambda: prune(nn.BatchNorm1d(3), 0.5),
        "no groups of 3": lambda: prune(model, (1, 3)),
        "4 of 4 is no pattern": lambda: prune(model, (4, 4)),
        "is no schedule": lambda: cubic_sparsity(3, **cubic),
        "run a backward pass first": lambda: movement_scores(model),
        "no parameter 'w' to hold": lambda: hold(model, {"w": half["weight"]}),
        "it must be torch.bool of shape": lambda: hold(model, {"weight": torch.ones(2, 4)}),
        "no parameter 'v' to hold": lambda: in_optax.hold(
            optax.sgd(0.1), {"v": jnp.ones((2, 3), bool)}
        ).init(params),
        "it must be bool of shape": lambda: in_optax.zero_entries(
            params, {"w": jnp.ones((3, 2), bool)}
        ),
        "holds no named parameters": lambda: choose_entries(3, 0.5),
    }


@pytest.mark.parametrize("message", wrong_calls())
def test_bad_input_gets_one_clear_error(message):
    with pytest.raises((ValueError, TypeError), match=message):
        wrong_calls()[message]()


# --- the certificate sees locks of entries


LEARNERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.5),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_a_certificate_sees_pruning_that_holds(model, data, name):
    optimizer = LEARNERS[name](model.parameters())
    train(model, data, optimizer, 3)
    lock = prune(model, 0.8, names=["2.weight"])
    found = certificate(model, data, F.cross_entropy, optimizer=optimizer)
    assert [(k.kind, k.place, round(k.value, 2)) for k in found.locks] == [("pruned", "2", 0.8)]
    assert "80.0% of 400 weights are held at zero" in str(found)
    lock.release()
    later = certificate(model, data, F.cross_entropy, optimizer=optimizer)
    assert found.compare(later).opened and not later.locks


@pytest.mark.parametrize("name", LEARNERS)
def test_a_certificate_sees_a_fisher_lock(model, data, name):
    optimizer = LEARNERS[name](model.parameters())
    train(model, data, optimizer, 3)
    fisher = {n: f for n, f in fisher_diagonal(model, data).items() if n.startswith("2.")}
    kept = fisher_lock(model, fisher, 0.25, which="lowest").held["2.weight"]
    found = certificate(model, data, F.cross_entropy, optimizer=optimizer)
    assert [(k.kind, k.place, k.value) for k in found.locks] == [("held", "2", 0.25)]
    record = next(p for p in found.measurement.parameters if p.name == "2.weight")
    assert record.held > 0.2 and record.masked == 0 and record.update > 0
    assert "held at their value" in found.locks[0].evidence
    pruned = prune(model, 0.5, names=["2.weight"]).held["2.weight"]
    again = certificate(model, data, F.cross_entropy, optimizer=optimizer).measurement
    record = next(p for p in again.parameters if p.name == "2.weight")
    assert record.masked == pruned.double().mean()
    assert record.held == (kept & ~pruned).double().mean() < kept.double().mean()  # no entry twice


@pytest.mark.parametrize("at_zero", [True, False])
def test_a_certificate_sees_what_optax_holds(at_zero):
    module = nnx.Sequential(
        nnx.Linear(8, 16, rngs=nnx.Rngs(0)), nnx.Linear(16, 3, rngs=nnx.Rngs(1))
    )
    held = choose_entries(module, 0.5, names=["layers.0.kernel"])
    if at_zero:
        nnx.update(module, in_optax.zero_entries(nnx.state(module, nnx.Param), held))
    optimizer = nnx.Optimizer(module, in_optax.hold(optax.adamw(0.01), held), wrt=nnx.Param)
    batch = (jax.random.normal(jax.random.key(0), (64, 8)), jnp.arange(64) % 3)

    def loss(outputs, targets):
        return optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()

    found = certificate(module, batch, loss, optimizer=optimizer)
    [lock] = found.locks
    assert (lock.kind, lock.place) == ("pruned" if at_zero else "held", "layers.0")
    assert lock.value == (0.5 if at_zero else 64 / (128 + 16))
    assert all(p.stuck == 0 for p in found.measurement.parameters)  # held is not rounded away
    pure = (optax.adamw(0.01), optax.adamw(0.01).init(nnx.state(module, nnx.Param)))
    assert not [k for k in certificate(module, batch, loss, optimizer=pure).locks if not at_zero]
