"""What the exercises on frozen networks observe with."""

import numpy as np
import pytest
import torch
from torch import nn

from grader.instruments import beside_layers, optimizer_groups
from grader.instruments.entries import as_expected
from grader.instruments.handed_back import handed_back
from grader.instruments.tensor_sizes import LargestTensor


@pytest.mark.parametrize(
    "run, numbers",
    [
        (lambda x: x + 1, 8),
        (lambda x: x[:, :2].clone(), 8),  # a view of all that it was taken from
        (lambda x: x.T @ x, 16),
        (lambda x: x @ torch.from_numpy(np.eye(4, dtype=np.float32)), 16),
        (lambda x: x[:, :, None].expand(2, 4, 100).sum(), 8),
    ],
)
def test_the_largest_tensor_is_told_by_its_memory(run, numbers):
    x = torch.ones(2, 4)
    with LargestTensor() as watched:
        run(x)
    assert watched.numbers == numbers


def test_what_is_handed_back_is_zero_where_nothing_arrives():
    x, y = torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)
    towards = np.array([1.0, 2.0, 3.0], np.float32)
    assert [g.tolist() for g in handed_back(2 * x, towards, x, y)] == [[2.0, 4.0, 6.0], [0.0, 0.0]]
    assert handed_back(x.detach(), towards, x)[0].tolist() == [0.0, 0.0, 0.0]
    assert handed_back(2 * x[:2], towards, x)[0].tolist() == [0.0, 0.0, 0.0]


def test_the_entry_that_is_furthest_off_is_told():
    assert as_expected(np.eye(2), np.eye(2))[0]
    holds, words = as_expected(
        np.array([[1.0, 2.0], [3.0, 9.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    )
    assert not holds and "[2, 2]" in words and "9" in words and "4" in words


def test_groups_are_read_in_every_form_that_torch_takes():
    model = nn.Linear(2, 1)
    weight, bias = model.parameters()
    returned = (
        {"params": weight, "lr": 0.1},
        {"params": iter([("bias", bias)]), "lr": 0.3, "weight_decay": 0.0},
        {"params": [torch.ones(1)]},
        {"params": []},
    )
    groups = optimizer_groups.read(returned)
    assert optimizer_groups.times(model, groups) == {"weight": 1, "bias": 1}
    assert optimizer_groups.setting(model, groups, "lr", 0.1) == pytest.approx(
        {"weight": 1, "bias": 3}
    )
    decays = optimizer_groups.setting(model, groups, "weight_decay", 1.0)
    assert np.isnan(decays["weight"]) and decays["bias"] == 0.0
    assert optimizer_groups.strangers(model, groups) == 1
    assert optimizer_groups.empty(groups) == 1
    assert optimizer_groups.read({"params": [weight]}) is None


def test_a_layer_shows_what_it_learns_computes_and_holds():
    weight, bias = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([4.0])
    layer = beside_layers.linear_layer(weight, bias)
    own, numbers = dict(layer.named_parameters()), {"weight": weight, "bias": bias}
    assert beside_layers.faults(layer, own, numbers) == [
        "the weight is trainable",
        "the bias is trainable",
    ]
    layer.requires_grad_(False)
    assert beside_layers.faults(layer, own, numbers) == []
    x, towards = torch.ones(5, 3), torch.ones(5, 1)
    assert torch.equal(beside_layers.as_matrix(layer, x), weight.T)
    count, back = beside_layers.learning(layer, x, towards)
    assert count == 0 and torch.equal(back, weight.expand(5, 3))
    layer.bias.requires_grad_(True)
    count, _ = beside_layers.learning(layer, x, towards)
    assert count == 1 and layer.bias.item() == pytest.approx(4 - 0.1 * 5)
    assert "the bias is trainable" in beside_layers.faults(layer, own, numbers)
    layer.bias.requires_grad_(False)
    assert beside_layers.faults(layer, own, numbers) == ["the bias has changed"]
    assert "not the layer's own" in beside_layers.faults(nn.Linear(3, 1), own, numbers)[0]
