"""Does transfer end higher, or only start faster? After Raghu and others (2019, arXiv:1902.07208).

    python lessons/studies/09_raghu.py       # some minutes on one core

The thin residual network learns 4,000 digits for 300 steps, beginning at random, with the weights
of the animals ("transfer"), with the lowest part or the lowest three parts of them, or at random
with the mean and variance that each of their tensors has. Counted are the steps to 90 % on 1,000
digits held out, looked at after every ten steps (0: never), and the accuracy at the end.
"""

from typing import Any

import torch
from torch import nn

from lessonkit import seeding, studies
from lessonkit.bodies import ResNet, pretrained
from lessonkit.bodies.train import accuracy
from lessonkit.bodies.tuning import tuned
from lessonkit.data.digits import digits

SEEDS = [0, 1, 2]
STEPS, LOOK = 300, 10
KEPT = {"random": [], "lowest part": ["conv1", "bn1"]}
KEPT |= {"lowest three": ["conv1", "bn1", "layer1", "layer2"]}
KEPT |= {"transfer": ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]}
ARMS = [*KEPT, "mean and variance"]


def begun(arm: str) -> ResNet:
    """The network as an arm begins."""
    model, source = ResNet(), pretrained()
    for path in KEPT.get(arm, []):
        model.get_submodule(path).load_state_dict(source.get_submodule(path).state_dict())
    if arm == "mean and variance":
        for ours, theirs in zip(model.parameters(), source.parameters(), strict=True):
            spread = theirs.std().item() if theirs.numel() > 1 else 0.0
            nn.init.normal_(ours, theirs.mean().item(), spread)
    model.fc = nn.Linear(128, 10)
    return model


def row(arm: str, seed: int) -> dict[str, Any]:
    """What one run gives."""
    x, y = digits(seed)
    seeding.seed_everything(seed)
    model, seen = begun(arm), {}

    def look(step: int) -> None:
        if step % LOOK == 0:
            seen[step] = accuracy(model.eval(), x[-1000:], y[-1000:])
            model.train()

    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    tuned(model, optimizer, x[:4000], y[:4000], STEPS, before=look)
    first = next((step for step, right in seen.items() if right >= 0.9), 0)
    end = round(accuracy(model, x[-1000:], y[-1000:]), 3)
    return {"arm": arm, "seed": seed, "steps to 90 %": first, "accuracy": end}


def main() -> None:
    """Run all, and keep the table."""
    table = {"what": __doc__, "seeds": SEEDS, "runs": [row(a, s) for a in ARMS for s in SEEDS]}
    studies.keep("09_raghu", table, ["torch", "numpy", "mlxtend"])


if __name__ == "__main__":
    main()
