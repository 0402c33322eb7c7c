"""How large the largest tensor is that torch reads or writes while an answer runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LargestTensor(TorchDispatchMode):
    """Within it, `numbers` is the size of the largest tensor met so far, in numbers.

    A view counts with all the memory that it is a view of, an expanded one with no more than that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operation, and look at what goes in and what comes out."""
        returned = func(*args, **(kwargs or {}))
        met = filter(torch.is_tensor, tree_leaves((args, kwargs, returned)))
        self.numbers = max(self.numbers, *map(_numbers, met), 0)
        return returned


def _numbers(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().nbytes() // tensor.element_size()
