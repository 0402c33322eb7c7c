"""The transfer profile on networks whose best depth is known by construction."""

import copy

import pytest
import torch
from torch import nn

from paramlock.transfer import transfer_profile


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
