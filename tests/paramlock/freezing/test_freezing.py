"""Freeze, unfreeze, frozen: what is meant stays, nothing else does, and all of it is undone."""

import copy
import fnmatch
import io
import pickle
import re
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from paramlock.certifying.certificate import certificate
from paramlock.fisher.diagonal import fisher_diagonal
from paramlock.freezing.in_torch import freeze, frozen, unfreeze
from paramlock.freezing.proof import assert_frozen
from paramlock.freezing.transfer import cached_features, transfer_profile
from paramlock.models.paths import matching
from paramlock.unlocking.in_torch import swap_activations


def network():
    """layer1 and layer10 side by side, a norm and a dropout in a body, a head."""
    torch.manual_seed(0)
    body = nn.Sequential()
    for name in ("layer1", "layer10"):
        body.add_module(name, nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)))
    return nn.Sequential(body, nn.Linear(3, 2))


def modes(model):
    return [module.training for module in model.modules()]


def frozen_names(model):
    return {name for name, p in model.named_parameters() if not p.requires_grad}


def give_gradients(model):
    for p in model.parameters():
        p.grad = torch.ones_like(p)


# --- paths


def as_regex(pattern):
    """The same patterns by another way: a regular expression over steps that each end in a dot."""
    steps = pattern.split(".") if pattern else []
    one = [
        r"(?:[^.]*\.)*" if s == "**" else fnmatch.translate(s)[4:-3].replace(".*", "[^.]*") + r"\."
        for s in steps
    ]
    return re.compile("".join(one))


STEPS = st.sampled_from(["a", "b", "ab", "layer1", "layer10", "0", "10"])
PATHS = st.lists(STEPS, max_size=4).map(".".join)
PATTERN_STEPS = STEPS | st.sampled_from(["*", "**", "layer*", "[0-1]", "a?", "?"])


@given(st.lists(PATHS, min_size=1), st.lists(PATTERN_STEPS, max_size=4).map(".".join))
def test_patterns_match_as_a_regular_expression_does(known, pattern):
    expected = [p for p in dict.fromkeys(known) if as_regex(pattern).fullmatch(p and p + ".")]
    if expected:
        assert matching([pattern], known, "it") == expected
    else:
        with pytest.raises(ValueError, match=re.escape(repr(pattern))):
            matching([pattern], known, "it")


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("layer1", "'0.layer1'"),
        ("0.laier1", "'0.layer1'"),
        ("0.layer1.0.wieght", "'0.layer1.0.weight'"),
        ("nothing", "first names are '0', '1'"),
        ("0.layer2*", "'0.layer1"),
    ],
)
def test_a_path_that_names_nothing_is_an_error_with_near_misses(pattern, near):
    model = network()
    for act in (freeze, unfreeze):
        with pytest.raises(
            ValueError, match=f"nothing in Sequential is called .*{re.escape(near)}"
        ):
            act(model, "1", pattern)
    assert not frozen_names(model) and all(modes(model))


def test_no_path_and_other_things_than_paths_are_errors():
    with pytest.raises(ValueError, match="'' is the whole model"):
        freeze(network())
    with pytest.raises(TypeError, match="a path is a string"):
        freeze(network(), 1)


# --- freeze and unfreeze


def test_a_path_means_one_module():
    model = network()
    names = freeze(model, "0.layer1")
    assert set(names) == frozen_names(model)
    assert all(name.startswith("0.layer1.") for name in names) and len(names) == 4


@pytest.mark.parametrize(
    ("patterns", "count"), [(["0.*"], 8), (["**.bias"], 5), (["**.[01]"], 10), (["", "1"], 10)]
)
def test_globs(patterns, count):
    assert len(freeze(network(), *patterns)) == count


def test_a_second_freeze_reports_only_what_is_new():
    model = network()
    first = freeze(model, "0.layer1")
    assert not set(freeze(model, "0")) & set(first)
    assert freeze(model, "0") == ()


def test_gradients_of_what_is_frozen_are_cleared_also_where_it_was_frozen_before():
    model = network()
    model[1].weight.requires_grad_(False)
    give_gradients(model)
    freeze(model, "1", "0.layer1")
    assert {n for n, p in model.named_parameters() if p.grad is None} == frozen_names(model)


def test_a_frozen_module_keeps_its_function_through_train():
    model = network()
    freeze(model, "0.layer1")
    x = torch.randn(8, 3)
    first = model[0].layer1(x)
    model.train()
    assert torch.equal(model[0].layer1(x), first)
    assert model.training and model[0].layer10.training and not model[0].layer1[1].training
    model.eval()
    model.train(True)
    assert torch.equal(model[0].layer1(x), first)


def test_unfreezing_undoes_all_of_it():
    model = network()
    before = modes(model)
    freeze(model, "0")
    unfreeze(model, "0")
    assert modes(model) == before and not frozen_names(model)
    model.eval()
    model.train()
    assert all(modes(model)), "train() works again"


@pytest.mark.parametrize("last", ["train", "eval"])
def test_unfreezing_gives_the_mode_last_asked_for(last):
    model = network().eval()
    freeze(model, "0")
    unfreeze(model, "0")
    assert not any(modes(model)), "it was in evaluation mode before"
    freeze(model, "0")
    model.train()
    getattr(model, last)()
    unfreeze(model, "0.layer10")
    assert model[0].layer10[1].training is (last == "train")
    assert model[0].training is (last == "train"), "what is around it holds something trainable"
    assert not model[0].layer1[1].training


def test_a_path_of_a_parameter_changes_no_mode():
    model = network()
    assert freeze(model, "0.layer1.1.bias") == ("0.layer1.1.bias",)
    assert all(modes(model))
    freeze(model, "0")
    unfreeze(model, "0.layer1.1.bias")
    assert not model[0].layer1[1].training


def test_tied_weights_are_frozen_under_all_their_names():
    model = nn.ModuleDict({"embed": nn.Embedding(4, 3), "head": nn.Linear(3, 4)})
    model["head"].weight = model["embed"].weight
    assert freeze(model, "head") == ("embed.weight", "head.weight", "head.bias")
    assert unfreeze(model, "embed") == ("embed.weight", "head.weight")


def test_integers_stay_as_they_are():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].codes = nn.Parameter(torch.ones(2, dtype=torch.int8), requires_grad=False)
    model[0].phase = nn.Parameter(torch.ones(2, dtype=torch.complex64))
    freeze(model, "")
    assert unfreeze(model, "") == ("0.weight", "0.bias", "0.phase")


def test_a_recurrent_layer_without_dropout_keeps_its_mode():
    # cuDNN passes no gradient through one in evaluation mode.
    model = nn.ModuleList([nn.LSTM(2, 2), nn.LSTM(2, 2, num_layers=2, dropout=0.5)])
    freeze(model, "*")
    assert [module.training for module in model] == [True, False]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_stay_frozen_and_can_be_unfrozen_on_their_own(copied):
    model = network()
    freeze(model, "0")
    twin = copied(model)
    twin.train()
    assert not twin[0].layer1[1].training and frozen_names(twin) == frozen_names(model)
    unfreeze(twin, "0")
    assert all(modes(twin)) and not model[0].layer1[1].training


def test_the_state_dict_is_the_same_and_loads():
    model, other = network(), network()
    names = list(model.state_dict())
    freeze(model, "0")
    assert list(model.state_dict()) == names
    file = io.BytesIO()
    torch.save(other.state_dict(), file)
    file.seek(0)
    for assign in (False, True):
        model.load_state_dict(torch.load(file, weights_only=True), assign=assign)
        file.seek(0)
        model.train()
        assert len(frozen_names(model)) == 8 and not model[0].layer1[1].training


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda m: torch.compile(m, backend="eager")])
def test_wrappers_do_not_show_in_paths(wrap):
    model = network()
    wrapped = wrap(model)
    assert freeze(wrapped, "0.layer1") == freeze(network(), "0.layer1")
    wrapped.train()
    assert not model[0].layer1[1].training and model[1].training
    raw = next(name for name, _ in wrapped.named_parameters() if name.endswith("layer10.0.weight"))
    assert freeze(wrapped, raw) == ("0.layer10.0.weight",), "the wrapper's own spelling"
    assert len(unfreeze(wrapped, "")) == 5
    wrapped.eval()
    wrapped.train()
    assert all(modes(model))
    freeze(wrapped, "")
    wrapped.train()
    assert not any(modes(model))


def test_modules_that_are_called_like_a_wrapper_keep_their_names():
    inner = nn.Module()
    for name in ("module", "my_orig_mod"):
        inner.add_module(name, nn.Linear(3, 3, bias=False))
    assert freeze(inner, "my_orig_mod.weight") == ("my_orig_mod.weight",)
    assert freeze(nn.DataParallel(inner), "module.weight") == ("module.weight",)


@pytest.mark.usefixtures("torch_compiles")
def test_a_compiled_part_is_frozen_like_any():
    model = network()
    model[0].layer1 = torch.compile(model[0].layer1, backend="eager")
    assert freeze(model, "0.layer1")[0] == "0.layer1.0.weight"
    x = torch.randn(4, 3)
    first = model[0].layer1(x)
    model.train()
    assert torch.equal(model[0].layer1(x), first)


def test_what_cannot_be_frozen_gets_one_clear_error():
    with pytest.raises(ValueError, match="not initialised yet"):
        freeze(nn.Sequential(nn.LazyLinear(2)), "0")
    with pytest.raises(TypeError, match=r"not a torch\.nn\.Module; in JAX"):
        freeze({"a": 1}, "a")
    assert freeze(nn.Linear(2, 2, device="meta", dtype=torch.complex64), "") == ("weight", "bias")


LAYERS = st.sampled_from(["Linear", "BatchNorm1d", "Dropout", "Tanh"])
TREES = st.recursive(LAYERS, lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=8)


def build(tree):
    if isinstance(tree, list):
        return nn.Sequential(*map(build, tree))
    return {"Linear": nn.Linear(3, 3), "BatchNorm1d": nn.BatchNorm1d(3)}.get(
        tree, nn.Dropout(0.5) if tree == "Dropout" else nn.Tanh()
    )


@settings(max_examples=40)
@given(st.lists(TREES, min_size=1, max_size=3), st.data())
def test_any_part_of_any_network(tree, data):
    model = build(tree)
    paths = [name for name, _ in model.named_modules()]
    chosen = data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3))
    below = [module for path in chosen for module in model.get_submodule(path).modules()]
    freeze(model, *chosen)
    model.train()
    expected = {p for module in below for p in module.parameters()}
    assert {p for p in model.parameters() if not p.requires_grad} == expected
    assert {m for m in model.modules() if not m.training} == set(below)
    unfreeze(model, *chosen)
    assert not frozen_names(model) and all(modes(model))


def test_a_certificate_sees_the_freeze_and_nothing_that_contradicts_it():
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    train(model, optimizer)
    freeze(model, "0")
    model.train()
    data = torch.randn(64, 3), torch.randint(0, 2, (64,))
    seen = certificate(model, data, nn.functional.cross_entropy, optimizer=optimizer)
    assert [(lock.kind, lock.place) for lock in seen.locks] == [("frozen", "0")]


def looks():
    """{what looks at a model: a call of it}."""
    data = torch.randn(8, 3), torch.randint(0, 2, (8,))

    def switching(outputs, targets, model):
        model.eval()
        return nn.functional.cross_entropy(outputs, targets)

    return {
        "fisher": lambda model: fisher_diagonal(model, data),
        "certificate": lambda model: certificate(model, data, partial(switching, model=model)),
        "features": lambda model: cached_features(model, "1", data),
        "profile": lambda model: transfer_profile(model, ["1"], nn.Module.eval, lambda model: 0),
        "swap": lambda model: swap_activations(model, nn.Dropout, nn.RReLU, data[0]),
    }


@pytest.mark.parametrize("look", looks())
def test_a_look_at_a_frozen_model_leaves_the_modes_it_remembers(look):
    model = network()
    freeze(model, "0")
    looks()[look](model)
    assert not any(modes(model[0])) and model[1].training
    unfreeze(model, "0")
    assert all(modes(model))


def test_a_step_that_fails_in_a_proof_leaves_the_modes():
    model = network().requires_grad_(False)

    def in_training_only(module, inputs):
        if not module.training:
            raise KeyError("not in evaluation mode")

    model[0].layer10[0].register_forward_pre_hook(in_training_only)
    with pytest.raises(KeyError):
        assert_frozen(model, ["0"], lambda: model(torch.randn(8, 3)), steps=1)
    assert all(modes(model))


# --- for the length of a block


def test_frozen_puts_back_flags_gradients_and_modes_exactly():
    model = network()
    model[1].bias.requires_grad_(False)
    model[0].layer10.eval()
    give_gradients(model)
    before = modes(model), frozen_names(model), {n: p.grad for n, p in model.named_parameters()}
    with pytest.raises(KeyError), frozen(model, "0", "1") as names:
        assert len(names) == 9 and len(frozen_names(model)) == 10
        assert all(p.grad is None for p in model.parameters())
        raise KeyError
    after = modes(model), frozen_names(model), {n: p.grad for n, p in model.named_parameters()}
    assert after[:2] == before[:2]
    assert all(after[2][name] is grad for name, grad in before[2].items())


def test_frozen_inside_a_freeze_leaves_the_freeze():
    model = network()
    freeze(model, "0.layer1")
    with frozen(model, "0"):
        model.train()
    assert frozen_names(model) == set(freeze(network(), "0.layer1"))
    assert not model[0].layer1[1].training and model[0].layer10[1].training


def test_gradients_pass_through_what_is_frozen():
    model = network()
    with frozen(model, "0.layer10", "1"):
        model(torch.randn(8, 3)).sum().backward()
    assert model[0].layer1[0].weight.grad is not None and model[1].weight.grad is None


# --- optimizers


def train(model, optimizer, steps=2):
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()


def test_an_optimizer_built_on_the_trainable_alone_moves_nothing_that_is_unfrozen_later():
    model = network()
    freeze(model, "0")
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    before = model[0].layer1[0].weight.clone()
    unfreeze(model, "0.layer1")
    train(model, optimizer)
    assert torch.equal(model[0].layer1[0].weight, before)
    freeze(model, "0.layer1")
    unfreeze(model, "0.layer1", optimizer=optimizer, lr=0.05)
    train(model, optimizer)
    assert not torch.equal(model[0].layer1[0].weight, before)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.05]


@pytest.mark.parametrize("named", [False, True])
def test_a_parameter_moves_to_a_group_of_its_own_with_its_state_and_options(named):
    model = network()
    given = model.named_parameters() if named else model.parameters()
    optimizer = torch.optim.Adam([{"params": given, "weight_decay": 0.5}], 0.1)
    train(model, optimizer)
    freeze(model, "0")
    average = optimizer.state[model[0].layer1[0].weight]["exp_avg"].clone()
    unfreeze(model, "0.layer1", optimizer=optimizer, lr=0.01)
    one, two = optimizer.param_groups
    assert (one["lr"], two["lr"], two["weight_decay"]) == (0.1, 0.01, 0.5)
    assert set(two["params"]) == set(model[0].layer1.parameters())
    assert len(one["params"]) == 6
    for group in (one, two) if named else ():
        pairs = zip(group["param_names"], group["params"], strict=True)
        assert all(model.get_parameter(name) is p for name, p in pairs)
    assert torch.equal(optimizer.state[model[0].layer1[0].weight]["exp_avg"], average)
    train(model, optimizer)


def test_without_a_rate_an_optimizer_that_holds_it_is_left_alone():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    freeze(model, "0")
    unfreeze(model, "0", optimizer=optimizer)
    assert len(optimizer.param_groups) == 1
    freeze(model, "")
    unfreeze(model, "", optimizer=optimizer, lr=0.01)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01], "the whole group: in place"


def test_a_rate_without_an_optimizer_is_an_error():
    with pytest.raises(ValueError, match="no optimizer to use it"):
        unfreeze(network(), "0", lr=0.1)
