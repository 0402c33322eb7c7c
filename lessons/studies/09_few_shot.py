"""Heads for a hundred digits: on the last map of the thin residual network, 512 features.

    python lessons/studies/09_few_shot.py       # half a minute on one core

Ten draws of 100 digits; 200 steps of AdamW at 0.003 on batches of 32, decay 0.01 where nothing is
said. "stopped early" learns from 80 of them, and keeps what was best on the other 20, looked at
after every ten steps. "ten copies" learns from ten copies of each image, moved by up to two pixels.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lessonkit import seeding, studies
from lessonkit.bodies import pretrained
from lessonkit.bodies.train import accuracy
from lessonkit.data.digits import digits

SEEDS = list(range(10))
SIZE, STEPS, LOOK = 100, 200, 10


def linear() -> nn.Module:
    """5,130 weights."""
    return nn.Linear(512, 10)


def large() -> nn.Module:
    """133,898 weights."""
    return nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10))


HEADS = {
    "linear": linear,
    "linear, decay 1": linear,
    "linear, ten copies": linear,
    "two layers, dropout": large,
    "two layers, stopped early": large,
}


def features(x: Tensor) -> Tensor:
    """The last map of the body, not averaged."""
    body = pretrained()
    with torch.no_grad():
        return torch.cat([body.maps(part).flatten(1) for part in x.split(500)])


def ten_copies(x: Tensor) -> Tensor:
    """Ten copies of all images, each copy moved another way."""
    moves = torch.randint(-2, 3, (10, 2)).tolist()
    return torch.cat([x.roll(move, (2, 3)) for move in moves])


def tuned(head: nn.Module, x: Tensor, y: Tensor, decay: float, held: int) -> nn.Module:
    """A head after its steps, or after those that were best on the first `held` samples."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.003, weight_decay=decay)
    best, kept = -1.0, head
    for step in range(1, STEPS + 1):
        rows = torch.randint(held, len(x), (32,))
        optimizer.zero_grad()
        F.cross_entropy(head.train()(x[rows]), y[rows]).backward()
        optimizer.step()
        if held and step % LOOK == 0 and (now := accuracy(head.eval(), x[:held], y[:held])) > best:
            best, kept = now, copy.deepcopy(head)
    return kept.eval()


def row(arm: str, seed: int) -> dict[str, Any]:
    """What one run gives."""
    x, y = digits(seed)
    seeding.seed_everything(seed)
    few, few_y = x[:SIZE], y[:SIZE]
    if "copies" in arm:
        few, few_y = ten_copies(few), few_y.repeat(10)
    decay, held = 1.0 if "decay" in arm else 0.01, SIZE // 5 if "early" in arm else 0
    head = tuned(HEADS[arm](), features(few), few_y, decay, held)
    test = accuracy(head, features(x[-1000:]), y[-1000:])
    return {"arm": arm, "seed": seed, "accuracy": round(test, 3)}


def main() -> None:
    """Run all, and keep the table."""
    weights = {arm: sum(p.numel() for p in make().parameters()) for arm, make in HEADS.items()}
    runs = [row(arm, seed) for arm in HEADS for seed in SEEDS]
    table = {"what": __doc__, "seeds": SEEDS, "weights": weights, "runs": runs}
    studies.keep("09_few_shot", table, ["torch", "numpy", "mlxtend"])


if __name__ == "__main__":
    main()
