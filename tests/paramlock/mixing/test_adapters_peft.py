"""peft as an oracle: our low-rank adapter is its LoRA, and what its frozen base does not hold."""

import copy

import pytest
import torch
from torch import nn

from paramlock.freezing.in_torch import freeze
from paramlock.freezing.proof import assert_frozen
from paramlock.mixing.networks import AdaptedLinear

peft = pytest.importorskip("peft")

RANK, ALPHA = 2, 6


def base():
    torch.manual_seed(0)
    layers = {"body": nn.Linear(5, 4), "norm": nn.BatchNorm1d(4), "head": nn.Linear(4, 3)}
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model


def pair():
    """The same base adapted by peft and by us, from the same initial values."""
    ours, theirs = base(), copy.deepcopy(base())
    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["body"])
    theirs = peft.get_peft_model(theirs, config)
    lora = theirs.base_model.model.body
    freeze(ours, "norm", "head")
    ours.body = AdaptedLinear(ours.body, RANK, scale=ALPHA / RANK)
    with torch.no_grad():
        ours.body.adapter.down.copy_(lora.lora_A["default"].weight.T)
    return ours, theirs, lora


def train(model, steps=1):
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    x, y = torch.linspace(-1, 1, 40).view(8, 5), torch.linspace(0, 1, 24).view(8, 3)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()


def test_the_same_function_at_the_start_and_the_same_gradient_in_the_first_step():
    ours, theirs, lora = pair()
    x = torch.randn(8, 5)
    with torch.no_grad():
        start = base().eval()(x)
        assert torch.equal(ours.eval()(x), start) and torch.equal(theirs.eval()(x), start)
    train(ours)
    train(theirs)
    down, up = lora.lora_A["default"].weight, lora.lora_B["default"].weight
    adapter = ours.body.adapter
    torch.testing.assert_close(adapter.up.grad, up.grad.T)
    assert not adapter.down.grad.any() and not down.grad.any()
    trainable = [sum(p.numel() for p in m.parameters() if p.requires_grad) for m in (ours, theirs)]
    assert trainable == [RANK * 9] * 2


def test_the_same_weights_after_training_and_merging():
    ours, theirs, _ = pair()
    train(ours.eval(), 10)
    train(theirs.eval(), 10)
    merged = theirs.merge_and_unload()
    torch.testing.assert_close(ours.body.merged().weight, merged.body.weight)
    assert (merged.body.weight - base().body.weight).norm() > 0.01, "it has learned"


def test_the_frozen_base_of_peft_has_running_statistics_that_drift():
    _, theirs, _ = pair()
    frozen = ["base_model.model.norm", "base_model.model.head"]
    with pytest.raises(AssertionError) as caught:
        assert_frozen(theirs, frozen, lambda: train(theirs.train()))
    assert "running statistics" in str(caught.value)
    assert "buffer base_model.model.norm.running_mean" in str(caught.value)
    assert "parameter base_model" not in str(caught.value)
    freeze(theirs, "base_model.model.norm")
    assert_frozen(theirs, frozen, lambda: train(theirs.train()))


def test_ours_holds_still():
    ours, _, _ = pair()
    assert_frozen(ours, ["body.base", "norm", "head"], lambda: train(ours.train()))
