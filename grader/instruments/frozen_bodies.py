"""A frozen torch body, batches to run through it, and what became of both.

Batches can be gone through again and again, as a training loop does; some are other ones each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from numpy.random import Generator
from torch import Tensor, nn

from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built, case
from grader.instruments.torch_nets import Layers, eighths
from grader.judging.terms import Inputs

Pairs = list[tuple[Tensor, Tensor]]


class Batches:
    """Pairs `(x, y)`; from the second pass on the inputs of number `moving` are other ones."""

    def __init__(self, pairs: Iterable[tuple[Tensor, Tensor]], moving: int) -> None:
        self.pairs, self.moving, self.passes = [*pairs], moving, 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        passes, self.passes = self.passes, self.passes + 1
        for place, (x, y) in enumerate(self.pairs):
            yield (x + passes if place == self.moving else x), y

    def __len__(self) -> int:
        return len(self.pairs)


class Setting:
    """The body and the batches of a case, and how many samples have passed through the body."""

    def __init__(self, inputs: Inputs) -> None:
        self.body: nn.Module = built(inputs).requires_grad_(False).eval()
        for name, parameter in self.body.named_parameters():
            parameter.requires_grad_(name in inputs["free"])
        for path in inputs["awake"]:
            self.body.get_submodule(path).train()
        made = zip(inputs["x"], inputs["y"], strict=True)
        self.pairs: Pairs = [(torch.tensor(x), torch.tensor(y)) for x, y in made]
        self.batches, self.rows = Batches(self.pairs, inputs["moving"]), 0
        self._before = snapshot(self.body, self._named())
        self.body.register_forward_pre_hook(self._count)

    def _count(self, module: nn.Module, given: tuple[Any, ...]) -> None:
        self.rows += len(given[0])

    def changed(self) -> list[str]:
        """The names of what is not as it was: of the body, and of the batches."""
        return changed(self._before, self.body, self._named())

    def _named(self) -> dict[str, Tensor]:
        named = {f"x of batch {k}": x for k, (x, _) in enumerate(self.pairs, start=1)}
        return named | {f"y of batch {k}": y for k, (_, y) in enumerate(self.pairs, start=1)}


def setting_case(rng: Generator, layers: Layers, counts: Sequence[int], **own: Any) -> Inputs:
    """A body and batches of so many samples each.

    `own` may say which parameters are `free`, which modules are `awake` (in train mode), and which
    batch is `moving`.
    """
    width = next(iter(layers.values()))[1]
    data: dict[str, Any] = {
        "x": [eighths(rng, (count, width)).numpy() for count in counts],
        "y": [rng.integers(9, size=count) for count in counts],
    }
    data |= {"free": [], "awake": [], "moving": -1} | own
    return case(rng, layers, **data)
