"""The transfer profile on networks whose best depth is known, and features computed once."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from paramlock.freezing.in_torch import freeze
from paramlock.freezing.transfer import cached_features, transfer_profile


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Linear(4, 2))


def train(model):
    """Three steps; record what was trainable, and move whatever may move."""
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("fresh", [True, False])
def test_what_is_frozen_stays_and_what_is_not_moves(fresh):
    model, seen = network(), []
    before = copy.deepcopy(model.state_dict())

    def score(trained):
        state = trained.state_dict()
        seen.append({k.split(".")[0] for k in before if not torch.equal(before[k], state[k])})
        return len(seen)

    profile = transfer_profile(model, ["0", "1", "2"], train, score, fresh=fresh)
    assert profile == {"": 1, "0": 2, "1": 3, "2": 4}
    assert seen == [{"0", "1", "2", "3"}, {"1", "2", "3"}, {"2", "3"}, {"3"}]
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters()) and model.training


def test_layers_above_the_cut_start_afresh_or_not():
    model = network()
    kept = {}

    def look(trained):
        kept[len(kept)] = torch.equal(trained[2].weight, model[2].weight)
        return 0.0

    transfer_profile(model, ["0", "2"], lambda m: None, look, seed=1)
    transfer_profile(model, ["0", "2"], lambda m: None, look, fresh=False)
    assert list(kept.values()) == [False, False, True, True, True, True]


@pytest.mark.parametrize("layers", [[], ["9"], ["0", "0"]])
def test_bad_layers_get_one_clear_error(layers):
    with pytest.raises(ValueError, match="name modules of the model once"):
        transfer_profile(network(), layers, train, lambda m: 0.0)


# --- cached features


def data():
    torch.manual_seed(1)
    return TensorDataset(torch.randn(40, 3), torch.randint(0, 2, (40,)))


def frozen_but_head():
    model = network()
    model.insert(3, nn.Dropout(0.5))
    freeze(model, "[0-3]")
    return model.train()


def train_on(batches, model, head, epochs=3):
    optimizer = torch.optim.Adam(head.parameters(), 0.1)
    for _ in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return head.weight.detach()


def test_a_head_trained_on_cached_features_is_the_same_to_the_bit():
    whole, cached = frozen_but_head(), frozen_but_head()
    batches = DataLoader(data(), 16)
    features = cached_features(cached, "4", batches)
    assert len(features) == 40 and features.tensors[0].shape == (40, 4)
    one = train_on(batches, whole, whole[4])
    two = train_on(DataLoader(features, 16), cached[4], cached[4])
    assert torch.equal(one, two)


def test_caching_leaves_the_model_as_it_was_and_calls_it_once_for_each_batch():
    model, calls = frozen_but_head(), []
    model[4] = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    state, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    handle = model[0].register_forward_hook(lambda *_: calls.append(1))
    cached_features(model, "4", DataLoader(data(), 8))
    handle.remove()
    assert len(calls) == 5 + 1, "and once more to see whether it is random"
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_models_that_take_and_return_mappings():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 2)
            freeze(self, "body")

        def forward(self, *, inputs):
            return {"loss": torch.zeros(()), "logits": self.head(self.body(inputs))}

    model, x = Named(), torch.randn(5, 3)
    features = cached_features(model, "head", ({"inputs": x}, torch.zeros(5)))
    assert torch.equal(features.tensors[0], model.body(x))


class Odd(nn.Module):
    """A frozen body and a head, with something unusual in between or after."""

    def __init__(self, how):
        super().__init__()
        self.how, self.body, self.head = how, nn.Linear(3, 4), nn.Linear(4, 2)
        freeze(self, "body")

    def forward(self, x):
        x = self.body(x)
        if self.how == "random":
            x = F.dropout(x, 0.5, self.training)
        y = self.head(x)
        if self.how == "twice":
            y = y + self.head(-x)
        return y.log_softmax(-1) if self.how == "after" else y


def unfrozen():
    model = frozen_but_head()
    model[2].weight.requires_grad_(True)
    return model


def in_training_mode():
    model = network()
    return model.requires_grad_(False)


def tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    freeze(model, "0")
    model[0].weight = model[1].weight
    return model


@pytest.mark.parametrize(
    ("model", "head", "message"),
    [
        (unfrozen(), "4", "2.weight below '4' is trainable"),
        (in_training_mode(), "3", "1 below '3' is in training mode"),
        (tied(), "1", "0.weight below '1' is trainable"),
        (Odd("random"), "head", "something below the head is random"),
        (Odd("after"), "head", "not that of the head"),
        (Odd("twice"), "head", "called 2 times"),
        (frozen_but_head(), "5", "nothing in Sequential is called '5'"),
        (frozen_but_head(), "4.weight", "'4.weight' is a parameter"),
        (frozen_but_head(), "[34]", "one module, not '3', '4'"),
    ],
)
def test_where_features_are_not_fixed_there_is_one_clear_error(model, head, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        cached_features(model, head, DataLoader(data(), 8))


def test_data_that_will_not_do():
    with pytest.raises(ValueError, match="no batch"):
        cached_features(frozen_but_head(), "4", [])
    with pytest.raises(ValueError, match="targets are list"):
        cached_features(frozen_but_head(), "4", (torch.ones(2, 3), [1, 0]))
    with pytest.raises(ValueError, match="single array"):
        cached_features(frozen_but_head(), "4", torch.ones(2, 3))
