"""General and specific layers, after Yosinski and others (2014, arXiv:1411.1792).

    python lessons/studies/09_yosinski.py       # some minutes on one core

A thin residual network of width 8 learns the first five animals (A, 4,000 silhouettes) or 400
silhouettes of the other five (B). Its lowest n of five parts are kept; those above, and the head,
begin at random and learn the 400 of B for 300 steps. "AnB" keeps the parts of A frozen, "AnB+"
tunes them too; "BnB" and "BnB+" take them from B. Accuracy on 1,000 of B held out.
"""

from typing import Any

import torch
from torch import Tensor

import paramlock
from lessonkit import seeding, studies
from lessonkit.bodies import ResNet
from lessonkit.bodies.train import accuracy, tensors
from lessonkit.bodies.tuning import tuned
from lessonkit.data.animals import Animals, animals

SEEDS = [0, 1, 2, 3]
PARTS = [["conv1", "bn1"], ["layer1"], ["layer2"], ["layer3"], ["layer4"]]
WIDTH, LABELS, STEPS, RATE = 8, 400, 300, 0.003


def half(data: Animals, first: bool) -> tuple[Tensor, Tensor]:
    """The first five kinds, or the last, labelled from 0."""
    x, y = tensors(data)
    chosen = (y < 5) == first
    return x[chosen], y[chosen] % 5


def learned(model: ResNet, x: Tensor, y: Tensor) -> ResNet:
    """The model after its steps, on what is trainable of it."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    return tuned(model, optimizer, x, y, STEPS)


def grown(source: ResNet, n: int, frozen: bool) -> ResNet:
    """A new network with the lowest `n` parts of another."""
    model = ResNet(WIDTH, classes=5)
    paths = [path for part in PARTS[:n] for path in part]
    for path in paths:
        model.get_submodule(path).load_state_dict(source.get_submodule(path).state_dict())
    if frozen:
        paramlock.torch.freeze(model, *paths)
    return model


def rows(seed: int) -> list[dict[str, Any]]:
    """All runs of one seed."""
    learn, held_out = animals()
    of_a, (x, y), test = half(learn, True), half(learn, False), half(held_out, False)
    seeding.seed_everything(seed)
    few = torch.randperm(len(x))[:LABELS]
    of_b = x[few], y[few]
    source = {"A": learned(ResNet(WIDTH, classes=5), *of_a)}
    source["B"] = learned(ResNet(WIDTH, classes=5), *of_b)
    found = [{"arm": "base", "n": 0, "accuracy": accuracy(source["B"], *test)}]
    for n in range(1, len(PARTS) + 1):
        for letter, other in source.items():
            for plus in ("", "+"):
                model = learned(grown(other, n, frozen=not plus), *of_b)
                found.append(
                    {"arm": f"{letter}nB{plus}", "n": n, "accuracy": accuracy(model, *test)}
                )
    return [{**run, "seed": seed, "accuracy": round(run["accuracy"], 3)} for run in found]


def main() -> None:
    """Run all, and keep the table."""
    table = {"what": __doc__, "seeds": SEEDS, "runs": [run for s in SEEDS for run in rows(s)]}
    studies.keep("09_yosinski", table, ["torch", "numpy"])


if __name__ == "__main__":
    main()
