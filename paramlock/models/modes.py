"""The mode of each module of a torch model: held by a freeze, switched for a while, put back.

`train()` and `eval()` do more than set a flag: a frozen module remembers the mode that they asked
for, and is in it once it is unfrozen. So what only looks at a model writes the flags alone, and
where code of others runs, what is remembered is put back too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn


class HeldMode:
    """Stands in for a frozen module's `train`: keeps it in evaluation mode.

    `asked` is the mode that it would be in by now, had it not been frozen.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module, self.asked = module, module.training
        module.training = False

    def __call__(self, mode: bool = True) -> nn.Module:
        self.asked = mode
        for child in self.module.children():
            child.train(mode)
        self.module.training = False
        return self.module


def held_mode(module: nn.Module) -> HeldMode | None:
    """What holds a module in evaluation mode, if anything does."""
    train = module.__dict__.get("train")
    return train if isinstance(train, HeldMode) else None


def hold_mode(module: nn.Module) -> None:
    """Keep a module in evaluation mode, whatever `train()` asks for."""
    # cuDNN refuses to pass gradients through a recurrent layer in evaluation mode, and without
    # dropout the mode of such a layer changes nothing.
    if held_mode(module) or (isinstance(module, nn.RNNBase) and not module.dropout):
        return
    module.train = HeldMode(module)  # type: ignore[method-assign, assignment]


def release_mode(module: nn.Module) -> None:
    """Give a module the mode that was asked for last."""
    if held := held_mode(module):
        del module.__dict__["train"]
        module.training = held.asked


def take_mode(module: nn.Module, other: nn.Module) -> None:
    """Give `module` the mode of another, held where that one's is."""
    held = held_mode(other)
    module.train(held.asked if held else other.training)
    if held:
        hold_mode(module)


@contextlib.contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Put the modes of a model and what its frozen modules remember back, whatever happens."""
    modes = [(module, module.training) for module in model.modules()]
    asked = [(held, held.asked) for module, _ in modes if (held := held_mode(module))]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for held, mode in asked:
            held.asked = mode


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; frozen modules do not hear of it."""
    with modes_kept(model):
        for module in model.modules():
            module.training = False
        yield
