"""What watching a training run costs: python benchmarks/certificate.py

Baseline: twenty bare steps of an MLP with four layers of 512 units, batches of 256. Watching every
step may cost 1.25 of it, every ten steps 1.03. Peer: delve, which looks at the eigenvalues of the
activations (here once in the twenty steps, as it is meant to). cockpit needs setuptools < 81 and
is left out. One whole certificate is compared with one bare step, and has no limit.
"""

import importlib.util
import sys
import tempfile
import warnings
from itertools import pairwise

import side_by_side  # isort: skip  # first: it sets the thread counts
import torch
from side_by_side import Line
from torch import nn
from torch.nn import functional as F

from paramlock.certifying import certificate
from paramlock.watching import watch

STEPS = 20


class Training:
    """A net, its optimizer and a batch."""

    def __init__(self):
        torch.manual_seed(0)
        layers = [m for a, b in pairwise([784, *[512] * 4]) for m in (nn.Linear(a, b), nn.ReLU())]
        self.model = nn.Sequential(*layers, nn.Linear(512, 10))
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.01)
        self.batch = torch.randn(256, 784), torch.randint(0, 10, (256,))

    def step(self):
        self.optimizer.zero_grad()
        F.cross_entropy(self.model(self.batch[0]), self.batch[1]).backward()
        self.optimizer.step()

    def steps(self):
        for _ in range(STEPS):
            self.step()

    def watched(self, every):
        with watch(self.model, self.optimizer, every=every, live=False):
            self.steps()

    def certified(self):
        certificate(self.model, self.batch, F.cross_entropy, optimizer=self.optimizer)


def by_delve():
    """Return steps tracked by delve, or ``None`` where it is not installed."""
    if importlib.util.find_spec("delve") is None:
        return None
    training, folder = Training(), tempfile.mkdtemp()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        from delve import SaturationTracker

        tracker = SaturationTracker(folder, "csv", training.model, device="cpu")

    def run():
        training.steps()
        tracker.add_saturations()

    return run


def main():
    torch.set_num_threads(1)
    training = Training()
    lines = [
        Line("paramlock, every step", lambda: training.watched(1), 1.25),
        Line("paramlock, every ten steps", lambda: training.watched(10), 1.03),
        Line("delve 0.1, every step", by_delve()),
    ]
    title = f"{STEPS} watched steps over {STEPS} bare steps"
    kept = side_by_side.compare(title, training.steps, lines, rounds=15, speed_up=False)
    whole = [Line("certificate, one batch", training.certified)]
    title = "one certificate over one bare step"
    side_by_side.compare(title, training.step, whole, rounds=25, speed_up=False)
    return not kept


if __name__ == "__main__":
    sys.exit(main())
