"""Gradual unfreezing, rates by depth and warm-up, in torch and by optax's updates."""

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

from paramlock.freezing import in_optax
from paramlock.freezing.gradual import (
    discriminative_rates,
    encoder_stages,
    top_down,
    unfreeze_gradually,
    warm_up,
)
from paramlock.freezing.in_torch import freeze
from paramlock.freezing.proof import assert_frozen
from paramlock.models.in_flax import parameter_names


def network():
    torch.manual_seed(0)
    layers = {"l1": nn.Linear(3, 4), "l10": nn.Linear(4, 4), "head": nn.Linear(4, 2)}
    return nn.ModuleDict(layers)


class Encoder(nn.Module):
    """An encoder as many are built: tokens and positions, a list of blocks, norm and head."""

    def __init__(self, blocks="layers", holder="encoder", count=3):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(4))
        self.embed = nn.Embedding(5, 4)
        inner = nn.Module()
        stack = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1)) for _ in range(count))
        setattr(inner, blocks, stack)
        setattr(self, holder, inner)
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 2)


# --- stages


@pytest.mark.parametrize("blocks", ["layer", "layers", "h", "blocks", "_blocks"])
@pytest.mark.parametrize("holder", ["encoder", "transformer"])
def test_the_stages_of_an_encoder(blocks, holder):
    path = f"{holder}.{blocks}"
    assert encoder_stages(Encoder(blocks, holder)) == [
        ["position", "embed"], [f"{path}.0"], [f"{path}.1"], [f"{path}.2"], ["norm", "head"],
    ]  # fmt: skip


def test_top_down_opens_the_head_first_and_the_embeddings_last():
    schedule = top_down(Encoder(), every=2)
    assert list(schedule) == [0, 2, 4, 6, 8]
    assert schedule[0] == ["norm", "head"] and schedule[8] == ["position", "embed"]
    with pytest.raises(ValueError, match="every is 0"):
        top_down(Encoder(), every=0)


def test_parts_without_parameters_go_with_their_neighbours():
    bare = nn.Sequential()
    bare.add_module("drop", nn.Dropout())
    bare.add_module("layers", nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)))
    bare.add_module("act", nn.ReLU())
    assert encoder_stages(bare) == [["drop", "layers.0"], ["layers.1"], ["layers.2", "act"]]


def test_several_lists_or_none_need_a_word_more():
    both = nn.ModuleDict({"encoder": Encoder(), "decoder": Encoder(count=2)})
    with pytest.raises(ValueError, match=r"but encoder\.encoder\.layers, decoder\.encoder"):
        encoder_stages(both)
    stages = encoder_stages(both, within="decoder")
    assert ["decoder.encoder.layers.1"] in stages and stages[0][0] == "encoder"
    with pytest.raises(ValueError, match="Linear has not one list of blocks"):
        encoder_stages(nn.Linear(2, 2))


def test_the_encoders_of_transformers():
    transformers = pytest.importorskip("transformers")
    small = {"vocab_size": 20, "num_hidden_layers": 2, "num_attention_heads": 2}
    bert = transformers.BertForSequenceClassification(
        transformers.BertConfig(**small, hidden_size=8, intermediate_size=8)
    )
    assert encoder_stages(bert) == [
        ["bert.embeddings"], ["bert.encoder.layer.0"], ["bert.encoder.layer.1"],
        ["bert.pooler", "dropout", "classifier"],
    ]  # fmt: skip
    gpt = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=20, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1
        )
    )
    assert encoder_stages(gpt)[-1] == ["transformer.ln_f", "lm_head"]
    gradual = unfreeze_gradually(gpt, top_down(gpt))
    assert {"lm_head.weight", "transformer.wte.weight"} <= set(gradual.begin(0)), "they are tied"


# --- gradual unfreezing


def step(model, optimizer):
    optimizer.zero_grad()
    x = torch.ones(2, 3)
    for name in ("l1", "l10", "head"):
        x = model[name](x)
    (x - 1).square().mean().backward()
    optimizer.step()


def test_parts_open_on_time_and_move_from_then_on():
    model = network()
    optimizer = torch.optim.SGD(model["head"].parameters(), 0.1, momentum=0.9)
    gradual = unfreeze_gradually(
        model, {0: "head", 2: ["l10"]}, optimizer=optimizer, rate={2: 0.01}
    )
    opened = {}
    for epoch in range(4):
        opened[epoch] = gradual.begin(epoch)
        still = [n for n in ("l1", "l10") if not model[n].weight.requires_grad]
        assert_frozen(model, still, lambda: step(model, optimizer), steps=2)
    assert opened == {
        0: ("head.weight", "head.bias"), 1: (), 2: ("l10.weight", "l10.bias"), 3: (),
    }  # fmt: skip
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.01]
    assert not model["l1"].weight.requires_grad, "the schedule never names it"
    with pytest.raises(AssertionError):
        assert_frozen(model, "l10", lambda: step(model, optimizer))


def test_to_go_on_from_a_checkpoint():
    schedule, rates = {0: "head", 1: "l10", 2: "l1"}, {1: 0.01, 2: 0.001}
    ends = []
    for interrupted in (False, True):
        model = network()
        optimizer = torch.optim.Adam(model["head"].parameters(), 0.1)
        gradual = unfreeze_gradually(model, schedule, optimizer=optimizer, rate=rates)
        for epoch in range(4):
            if interrupted and epoch == 2:
                saved = model.state_dict(), optimizer.state_dict()
                model = network()
                model.load_state_dict(saved[0])
                optimizer = torch.optim.Adam(model["head"].parameters(), 0.1)
                gradual = unfreeze_gradually(model, schedule, optimizer=optimizer, rate=rates)
                gradual.begin(1)
                optimizer.load_state_dict(saved[1])
            gradual.begin(epoch)
            step(model, optimizer)
        ends.append(model["l1"].weight.clone())
    assert torch.equal(*ends)


def test_groups_from_the_start_go_with_a_scheduler():
    model = network()
    groups = discriminative_rates(model, ["l1", "l10", "head"], factor=0.5, lr=0.1)
    optimizer = torch.optim.Adam(groups)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (epoch + 1))
    gradual = unfreeze_gradually(model, {0: "head", 1: "l10", 2: "l1"}, optimizer=optimizer)
    for epoch in range(3):
        gradual.begin(epoch)
        step(model, optimizer)
        scheduler.step()
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx(
        [0.025 / 4, 0.05 / 4, 0.1 / 4]
    )
    assert len(optimizer.state) == 6


@pytest.mark.parametrize(
    ("schedule", "options", "message"),
    [
        ({}, {}, "from 0 on"),
        ({-1: "head"}, {}, "from 0 on"),
        ({0: "haed"}, {}, "near it are 'head'"),
        ({0: "head"}, {"rate": {1: 0.1}}, r"\[1\], where the schedule opens nothing"),
        ({0: "head"}, {"rate": 0.1}, "no optimizer"),
    ],
)
def test_bad_schedules_get_one_clear_error_and_freeze_nothing(schedule, options, message):
    model = network()
    with pytest.raises(ValueError, match=message):
        unfreeze_gradually(model, schedule, **options)
    assert all(p.requires_grad for p in model.parameters())


# --- rates


def test_rates_fall_by_a_factor_towards_the_input():
    groups = discriminative_rates(Encoder(), lr=1.0)
    assert [g["lr"] for g in groups] == pytest.approx([2.6**-k for k in (4, 3, 2, 1, 0)])
    assert groups[0]["name"] == "position, embed" and len(groups[0]["params"]) == 2


def test_stages_hold_every_parameter_once():
    model = network()
    model["head"].bias = model["l10"].bias = nn.Parameter(torch.zeros(4))
    low, high = discriminative_rates(model, [["l1", "l10"], "head"], lr=1.0)
    assert any(p is model["head"].bias for p in low["params"]) and len(high["params"]) == 1
    with pytest.raises(ValueError, match=r"no stage holds l10\.weight, l10\.bias"):
        discriminative_rates(network(), ["l1", "head"], lr=1.0)


# --- warm-up


@pytest.mark.parametrize("from_the_start", [False, True])
def test_the_rate_of_each_group_rises_over_its_own_first_steps(from_the_start):
    model = network()
    groups = [{"params": model["head"].parameters()}]
    late = {"params": model["l10"].parameters(), "lr": 0.2}
    optimizer = torch.optim.SGD([*groups, late] if from_the_start else groups, lr=0.1)
    handle = warm_up(optimizer, 4)
    rate = None if from_the_start else {2: 0.2}
    gradual = unfreeze_gradually(model, {0: "head", 2: "l10"}, optimizer=optimizer, rate=rate)
    rates = []
    for epoch in range(6):
        if epoch == 4:
            handle.remove()
        gradual.begin(epoch)
        before = [model[n].bias.detach().clone() for n in ("head", "l10")]
        step(model, optimizer)
        after = [model[n].bias for n in ("head", "l10")]
        moves = [(old - new.detach(), new.grad) for old, new in zip(before, after, strict=True)]
        rates.append([float((m / g).mean()) if g is not None else float(m.sum()) for m, g in moves])
        assert [g["lr"] for g in optimizer.param_groups] in ([0.1], [0.1, 0.2])
    head, late = np.array(rates).T
    assert head == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1], rel=1e-3)
    assert late == pytest.approx([0, 0, 0.05, 0.1, 0.2, 0.2], rel=1e-3)
    assert [g["warmed_up"] for g in optimizer.state_dict()["param_groups"]] == [4, 2]
    with pytest.raises(ValueError, match="steps is 0"):
        warm_up(optimizer, 0)


def test_a_step_that_fails_leaves_the_rates_as_they_are():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    handle = warm_up(optimizer, 4)

    def failing():
        raise KeyError

    step(model, optimizer)
    for _ in range(2):
        with pytest.raises(KeyError):
            optimizer.step(failing)
    step(model, optimizer)
    (group,) = optimizer.param_groups
    assert (group["lr"], group["warmed_up"]) == (0.1, 2), "a step that failed does not count"
    with pytest.raises(KeyError):
        optimizer.step(failing)
    handle.remove()
    assert group["lr"] == 0.1


# --- optax


PARAMS = {"a": jnp.ones(3), "b": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}
GRADIENTS = jax.tree.map(lambda p: 0.5 * p, PARAMS)


def after(transformation, steps=3, params=PARAMS):
    state = transformation.init(params)
    for _ in range(steps):
        updates, state = transformation.update(GRADIENTS, state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def test_a_frozen_path_has_no_update_no_decay_and_no_state():
    params, state = after(in_optax.freeze(optax.adamw(0.1, weight_decay=0.1), "a"))
    free, all_state = after(optax.adamw(0.1, weight_decay=0.1))
    assert jnp.array_equal(params["a"], PARAMS["a"])
    assert jnp.array_equal(params["b"]["kernel"], free["b"]["kernel"])
    assert len(jax.tree.leaves(state)) == len(jax.tree.leaves(all_state)) - 2


NAMES = st.sampled_from(["a", "b", "a1", "kernel"])
TREES = st.recursive(
    st.just(np.ones(2, np.float32)),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    max_leaves=6,
).filter(lambda tree: isinstance(tree, dict))


@settings(max_examples=25)
@given(TREES, st.data())
def test_any_part_of_any_tree(params, data):
    names = parameter_names(params)
    nodes = {".".join(name.split(".")[:i]) for name in names for i in range(1, 5)}
    chosen = data.draw(st.lists(st.sampled_from(sorted(nodes)), min_size=1, max_size=2))
    transformation = in_optax.freeze(optax.sgd(1.0), *chosen)
    gradients = jax.tree.map(np.ones_like, params)
    updates, _ = transformation.update(gradients, transformation.init(params), params)
    still = [f"{name}.".startswith(tuple(f"{node}." for node in chosen)) for name in names]
    assert [not leaf.any() for leaf in jax.tree.leaves(updates)] == still


def test_what_others_offer_for_it_moves_the_frozen_path():
    """The table of what is often tried: the measured distances, and none with `freeze`."""
    adamw = optax.adamw(0.1, weight_decay=0.2)
    only_a = {"a": True, "b": False}
    only_b = {"a": False, "b": True}
    tried = {
        "zero the gradients, then AdamW": optax.chain(optax.freeze(only_a), adamw),
        "mask the optimizer": optax.masked(optax.adam(0.1), only_b),
        "freeze": in_optax.freeze(adamw, "a"),
    }
    moved = {name: float(after(t)[0]["a"][0] - 1) for name, t in tried.items()}
    decayed = moved["zero the gradients, then AdamW"]
    assert decayed == pytest.approx((1 - 0.1 * 0.2) ** 3 - 1, rel=1e-5)
    assert moved["mask the optimizer"] == 1.5, "raw gradients, uphill"
    assert moved["freeze"] == 0


def test_a_nan_in_a_frozen_gradient_and_a_clip_by_the_norm_of_all():
    transformation = in_optax.freeze(
        optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1.0)), "a"
    )
    state = transformation.init(PARAMS)
    gradients = {**GRADIENTS, "a": jnp.full(3, jnp.nan)}
    updates, _ = transformation.update(gradients, state, PARAMS)
    assert jnp.array_equal(updates["a"], jnp.zeros(3))
    assert float(optax.tree.norm(updates)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: in_optax.freeze(optax.sgd(1.0), "c"), "first names are 'a', 'b'"),
        (lambda: in_optax.freeze(optax.sgd(1.0), "b.kernal"), "near it are 'b.kernel'"),
        (lambda: in_optax.freeze(optax.sgd(1.0)), "no path is given"),
        (lambda: in_optax.unfreeze_gradually(optax.sgd(1.0), {0: "a", 3: "d"}), "called 'd'"),
        (lambda: in_optax.unfreeze_gradually(optax.sgd(1.0), {-1: "a"}), "times from 0 on"),
        (lambda: in_optax.discriminative_rates(optax.sgd(1.0), ["a"]), "no stage holds b.bias"),
        (
            lambda: in_optax.scale_rates(optax.sgd(1.0), {"b.*l": 2.0, "kernel": 2.0}),
            "near it are 'b.kernel'",
        ),
    ],
)
def test_a_wrong_path_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make().init(PARAMS)


def test_the_first_step_that_reaches_a_path_counts():
    schedule = {0: ["b.bias"], 1: "b", 2: "b.bias"}
    params, _ = after(in_optax.unfreeze_gradually(optax.sgd(1.0), schedule), steps=2)
    assert params["b"]["bias"][0] == 0.0 and params["b"]["kernel"][0, 0] == 0.5
    assert params["a"][0] == 1.0, "never named"


# --- the twins agree


def as_torch(params):
    model = network()
    with torch.no_grad():
        for name, module in model.items():
            module.weight.copy_(torch.from_numpy(np.array(params[name]["kernel"])).T)
            module.bias.copy_(torch.from_numpy(np.array(params[name]["bias"])))
    return model


def initial():
    keys = jax.random.split(jax.random.key(1), 3)
    sizes = {"l1": (3, 4), "l10": (4, 4), "head": (4, 2)}
    return {
        name: {"kernel": jax.random.normal(key, size) / 2, "bias": jnp.ones(size[1]) / 10}
        for (name, size), key in zip(sizes.items(), keys, strict=True)
    }


def jax_training(transformation, steps=6):
    params = initial()
    state = transformation.init(params)

    @jax.jit
    def step(params, state):
        def loss(p):
            x = jnp.ones((2, 3))
            for name in ("l1", "l10", "head"):
                x = x @ p[name]["kernel"] + p[name]["bias"]
            return ((x - 1) ** 2).mean()

        updates, state = transformation.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(steps):
        params, state = step(params, state)
    return params


def adam(params):
    return torch.optim.AdamW(params, 0.05, weight_decay=0.1)


def frozen_twin():
    model = as_torch(initial())
    freeze(model, "l10")
    return model, adam(model.parameters()), lambda _: None


def gradual_twin():
    model = as_torch(initial())
    optimizer = adam(model["head"].parameters())
    return (
        model,
        optimizer,
        unfreeze_gradually(model, {0: "head", 2: "l10", 4: "l1"}, optimizer=optimizer).begin,
    )


def discriminative_twin():
    model = as_torch(initial())
    groups = discriminative_rates(model, ["l1", "l10", "head"], factor=0.5, lr=0.05)
    return model, adam(groups), lambda _: None


@pytest.mark.parametrize(
    ("twin", "by_path"),
    [
        (frozen_twin, lambda t: in_optax.freeze(t, "l10")),
        (gradual_twin, lambda t: in_optax.unfreeze_gradually(t, {0: "head", 2: ["l10"], 4: "l1"})),
        (
            discriminative_twin,
            lambda t: in_optax.discriminative_rates(t, ["l1", "l10", "head"], 0.5),
        ),
    ],
)
def test_torch_and_jax_agree(twin, by_path):
    model, optimizer, begin = twin()
    for epoch in range(6):
        begin(epoch)
        step(model, optimizer)
    params = jax_training(by_path(optax.adamw(0.05, weight_decay=0.1)))
    for name, module in model.items():
        np.testing.assert_allclose(module.weight.detach().T, params[name]["kernel"], atol=2e-6)
        np.testing.assert_allclose(module.bias.detach(), params[name]["bias"], atol=2e-6)


def test_nnx_optimizers_take_all_three():
    class Two(nnx.Module):
        def __init__(self, rngs):
            self.layers = nnx.List([nnx.Linear(2, 2, rngs=rngs), nnx.Linear(2, 2, rngs=rngs)])

        def __call__(self, x):
            return self.layers[1](self.layers[0](x))

    made = (
        (in_optax.freeze(optax.adamw(0.1), "layers.0"), 0.0),
        (in_optax.unfreeze_gradually(optax.adamw(0.1), {0: "layers.1", 9: "layers.0"}), 0.0),
        (in_optax.scale_rates(optax.sgd(0.1), {"layers.0": 2.0}), 2.0),
    )
    for transformation, factor in made:
        model = Two(nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, transformation, wrt=nnx.Param)
        gradients = nnx.grad(lambda m: m(jnp.ones((1, 2))).sum())(model)
        before = model.layers[0].kernel[...]
        optimizer.update(model, gradients)
        moved = before - model.layers[0].kernel[...]
        expected = 0.1 * factor * gradients["layers"][0]["kernel"][...]
        np.testing.assert_allclose(moved, expected, atol=1e-6)
