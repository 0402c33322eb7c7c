"""Trains the thin residual network on the animals, and writes its weights.

    python -m lessonkit.bodies.train

On one thread, from seed 0. Another processor adds in another order, and so gives other weights of
about the same accuracy.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lessonkit import seeding
from lessonkit.bodies import weights
from lessonkit.bodies.resnet import ResNet
from lessonkit.data.animals import Animals, animals

EPOCHS = 6
BATCH = 128
RATE = 0.01


def tensors(data: Animals) -> tuple[Tensor, Tensor]:
    """Images `(n, 1, 28, 28)` between 0 and 1, and labels."""
    images = torch.from_numpy(data.images).float()[:, None] / 255
    return images, torch.from_numpy(data.labels).long()


def trained(x: Tensor, y: Tensor, epochs: int = EPOCHS) -> ResNet:
    """A network after some epochs of Adam, under a rate that rises and then falls to zero."""
    seeding.seed_everything(0)
    model = ResNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for epoch in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {epochs}: loss of its last batch {loss.item():.3f}")
    return model.eval()


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share that a model in evaluation mode gets right."""
    with torch.no_grad():
        right = [
            (model(a).argmax(1) == b).float()
            for a, b in zip(x.split(500), y.split(500), strict=True)
        ]
    return float(torch.cat(right).mean())


def about(model: ResNet, held_out: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """What the file says of the weights."""
    return {
        "data": "animal-shape-mnist 0.39, MIT: 8,000 silhouettes, 1,889 held out",
        "command": "python -m lessonkit.bodies.train",
        "licence": "Apache-2.0, as the code of this course",
        "seed": 0,
        "epochs": EPOCHS,
        "accuracy on what is held out": round(accuracy(model, *held_out), 4),
        "parameters": sum(p.numel() for p in model.parameters()),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
    }


def main() -> None:
    """Train, write, and say how well it does."""
    train, held_out = map(tensors, animals())
    model = trained(*train)
    said = about(model, held_out)
    weights.store(model, said)
    print(said)


if __name__ == "__main__":
    main()
