"""Right answers to `swap_activation`, each in a style of its own."""

import torch
from torch import nn
from torch.nn import functional as F


class _Divide(nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x):
        return x / self.by


def chain_two_modules(model, slope):
    """The chain has modules of its own; their modes are those of the chain."""
    by = (1 + slope * slope) ** 0.5
    for path, module in [*model.named_modules(remove_duplicate=False)]:
        if type(module) is nn.ReLU:
            parent, _, name = path.rpartition(".")
            new = nn.Sequential(nn.LeakyReLU(slope), _Divide(by))
            new.train(module.training)
            model.get_submodule(parent).register_module(name, new)


def go_down_by_recursion(model, slope, done=None):
    done = set() if done is None else done
    if model in done:
        return
    done.add(model)
    for name, child in model._modules.items():
        if isinstance(child, nn.ReLU):
            model._modules[name] = _Leaky(slope, child.training)
        elif child is not None:
            go_down_by_recursion(child, slope, done)


class _Leaky(nn.Module):
    def __init__(self, slope, training):
        super().__init__()
        self.slope = slope
        self.train(training)

    def forward(self, x):
        root = torch.tensor(1.0 + self.slope**2).sqrt()
        return (F.relu(x) - self.slope * F.relu(-x)) / root


def keep_shared_ones_shared(model, slope):
    """One new module for each old one, wherever it stands."""
    new = {}
    for parent in set(model.modules()):
        for name, child in dict(parent._modules).items():
            if isinstance(child, nn.ReLU):
                new.setdefault(child, _Leaky(slope, child.training))
                setattr(parent, name, new[child])
