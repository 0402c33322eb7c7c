"""Heads for a hundred digits: on the last map of the thin residual network, 512 features.

    python lessons/studies/09_few_shot.py       # half a minute on one core

Ten draws of 100 digits; 200 steps of AdamW at 0.003 on batches of 32. "least squares" is a linear
head in closed form, with a penalty of the mean, over features, of the sum of their squares.
"stopped early" learns from 80 of the digits, and keeps what was best on the other 20, looked at
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
from lessonkit.bodies.tuning import tuned
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
    "linear, least squares": linear,
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


@torch.no_grad()
def solved(head: nn.Linear, x: Tensor, y: Tensor) -> nn.Linear:
    """The linear head of penalised least squares, with targets of 0 and 1."""
    targets = F.one_hot(y, 10).float()
    f, t = x - x.mean(0), targets - targets.mean(0)
    penalty = f.square().sum() / f.shape[1] * torch.eye(f.shape[1])
    head.weight.copy_(torch.linalg.solve(f.T @ f + penalty, f.T @ t).T)
    head.bias.copy_(targets.mean(0) - head.weight @ x.mean(0))
    return head.eval()


def learned(head: nn.Module, x: Tensor, y: Tensor, held: int) -> nn.Module:
    """A head after its steps, or as it was when best on the first `held` samples."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.003)
    looks: list[tuple[float, nn.Module]] = []

    def look(step: int) -> None:
        if held and step % LOOK == 0:
            looks.append((accuracy(head.eval(), x[:held], y[:held]), copy.deepcopy(head)))
            head.train()

    tuned(head, optimizer, x[held:], y[held:], STEPS, before=look)
    return max(looks, key=lambda one: one[0])[1].eval() if held else head


def row(arm: str, seed: int) -> dict[str, Any]:
    """What one run gives."""
    x, y = digits(seed)
    seeding.seed_everything(seed)
    few, few_y = x[:SIZE], y[:SIZE]
    if "copies" in arm:
        few, few_y = ten_copies(few), few_y.repeat(10)
    f, head = features(few), HEADS[arm]()
    held = SIZE // 5 if "early" in arm else 0
    head = solved(head, f, few_y) if "squares" in arm else learned(head, f, few_y, held)
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
