"""How deep to open: the thin residual network goes from animals to digits.

    python lessons/studies/09_depth.py       # some minutes on one core

Each arm with 100 and with 1,000 digits to learn from (schedules with 1,000 alone), and with three
seeds. It takes 150 steps of Adam on batches of 32: 0.01 for the new head, 0.003 for the rest of
what is open. Accuracy is that on 1,000 digits held out; the gap is accuracy on the digits learned
from, minus that. Arms named by a layer open it and all above. "gradual" opens one layer more after
every 30 steps, with "falling rates" each layer has the rate of the one above over 2.6, beginning
with 0.01.
"""

from typing import Any

import torch
from torch import nn

import paramlock
from lessonkit import seeding, studies
from lessonkit.bodies import ResNet, pretrained
from lessonkit.bodies.train import accuracy
from lessonkit.bodies.tuning import operations, trainable_share, tuned
from lessonkit.data.digits import digits

SEEDS = [0, 1, 2]
STEPS = 150
LAYERS = ["fc", "layer4", "layer3", "layer2", "layer1"]
OPEN = {name: LAYERS[: i + 1] for i, name in enumerate(LAYERS)}
SCHEDULES = ["gradual", "all, 4 times the rate", "gradual, 4 times the rate"]
OPEN |= {name: [""] for name in ["all", "all, untrained", "all, falling rates", *SCHEDULES]}
SIZES = {arm: [1000] if arm in SCHEDULES else [100, 1000] for arm in OPEN}
SCHEDULE = {0: "fc", 30: "layer4", 60: "layer3", 90: "layer2", 120: ["layer1", "bn1", "conv1"]}
STAGES = [["conv1", "bn1"], ["layer1"], ["layer2"], ["layer3"], ["layer4"], ["fc"]]


def network(arm: str) -> ResNet:
    """The network of an arm: a new head, and all frozen that the arm does not open."""
    model = ResNet() if arm == "all, untrained" else pretrained()
    model.fc = nn.Linear(128, 10)
    paramlock.torch.freeze(model, "")
    paramlock.torch.unfreeze(model, *OPEN[arm])
    return model


def optimizer_of(arm: str, model: ResNet) -> torch.optim.Optimizer:
    """Adam on all, frozen or not, at the rates of an arm."""
    if "falling" in arm:
        return torch.optim.Adam(
            paramlock.torch.discriminative_rates(model, STAGES, lr=0.01), fused=True
        )
    times = 4 if "4 times" in arm else 1
    body = [p for name, p in model.named_parameters() if not name.startswith("fc.")]
    groups = [{"params": [*model.fc.parameters()], "lr": 0.01 * times}, {"params": body}]
    return torch.optim.Adam(groups, lr=0.003 * times, fused=True)


def row(arm: str, size: int, seed: int) -> dict[str, Any]:
    """What one run gives."""
    x, y = digits(seed)
    seeding.seed_everything(seed)
    model = network(arm)
    optimizer = optimizer_of(arm, model)
    plan = SCHEDULE if "gradual" in arm else {0: OPEN[arm]}
    begin = paramlock.torch.unfreeze_gradually(model, plan).begin
    tuned(model, optimizer, x[:size], y[:size], STEPS, before=begin)
    test = accuracy(model, x[-1000:], y[-1000:])
    gap = accuracy(model, x[:size], y[:size]) - test
    return {
        "arm": arm,
        "size": size,
        "seed": seed,
        "accuracy": round(test, 3),
        "gap": round(gap, 3),
    }


def cost(arm: str) -> float:
    """Operations of a step on 32 images; on a schedule, the mean of its stages."""
    stages = [*LAYERS[:-1], "all"] if "gradual" in arm else [arm]
    counts = [operations(network(stage), torch.zeros(32, 1, 28, 28)) for stage in stages]
    return sum(counts) / len(counts)


def main() -> None:
    """Run all, and keep the table."""
    table = {
        "what": __doc__,
        "seeds": SEEDS,
        "share": {arm: round(trainable_share(network(arm)), 4) for arm in OPEN},
        "cost": {arm: round(cost(arm) / cost("all"), 3) for arm in OPEN},
        "runs": [row(arm, size, seed) for arm in OPEN for size in SIZES[arm] for seed in SEEDS],
    }
    studies.keep("09_depth", table, ["torch", "numpy", "mlxtend"])


if __name__ == "__main__":
    main()
