"""Fisher diagonals in the ways in which people really train: see docs/practice.md."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from paramlock.fisher.diagonal import fisher_diagonal
from tests.paramlock import zoo


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.scale = nn.Parameter(torch.ones(16))
        self.reentrant = reentrant

    def inner(self, x):
        return torch.nn.functional.gelu(self.b(x)) * self.scale

    def forward(self, x):
        x = self.a(x)
        if self.reentrant is None:
            return self.out(self.inner(x))
        return self.out(checkpoint(self.inner, x, use_reentrant=self.reentrant))


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_changes_nothing(reentrant):
    torch.manual_seed(0)
    model = Checkpointed(reentrant)
    plain = copy.deepcopy(model)
    plain.reentrant = None
    data = zoo.vectors()
    seen, expected = (fisher_diagonal(m, data) for m in (model, plain))
    assert seen.keys() == expected.keys() and expected["scale"].any() and expected["b.weight"].any()
    assert all(torch.allclose(seen[n], expected[n], rtol=1e-5, atol=1e-9) for n in expected)
    model(zoo.vectors()[0]).sum().backward()  # and its own checkpoints work as before
    assert model.b.weight.grad.any()


def test_whole_numbers_have_no_information():
    torch.manual_seed(0)
    model = zoo.mlp()
    model.register_parameter("whole", nn.Parameter(torch.ones(3, dtype=torch.int8), False))
    assert "whole" not in fisher_diagonal(model, zoo.vectors())


@pytest.mark.usefixtures("torch_compiles")
def test_a_compiled_part_goes_by_its_own_name():
    torch.manual_seed(0)
    model = zoo.mlp()
    data = zoo.vectors()
    expected = fisher_diagonal(model, data)
    model[0] = torch.compile(model[0], backend="eager")
    seen = fisher_diagonal(model, data)
    assert seen.keys() == expected.keys()
    assert all(torch.allclose(seen[n], expected[n], rtol=1e-5) for n in expected)
