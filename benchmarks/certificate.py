"""What watching a training run costs: python benchmarks/certificate.py

Baseline: twenty bare steps of an MLP with four layers of 512 units, batches of 256. Watching every
step may cost 1.25 of it, every ten steps 1.03. Peers: delve, which looks at the eigenvalues of the
activations (here once in the twenty steps, as it is meant to), and cockpit in its cheapest setting,
which needs setuptools < 81 and so an environment of its own. One whole certificate, which makes a
pass of its own, is compared with one bare step, and has no limit; nor has one with the Fisher mass.
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

from paramlock.certifying.certificate import certificate
from paramlock.fisher.diagonal import fisher_diagonal
from paramlock.watching.watch import watch

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

    def watched_step(self):
        with watch(self.model, self.optimizer, every=1, live=False):
            self.step()

    def certified(self):
        certificate(self.model, self.batch, F.cross_entropy, optimizer=self.optimizer)

    def weighed(self):
        fisher = fisher_diagonal(self.model, self.batch)
        certificate(
            self.model, self.batch, F.cross_entropy, optimizer=self.optimizer, fisher=fisher
        )


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


def by_cockpit():
    """Return one step tracked by cockpit, or ``None`` where it cannot be imported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own
            from backpack import extend
            from cockpit import Cockpit
            from cockpit.utils.configuration import configuration
    except ImportError:
        return None
    training = Training()
    model, loss = extend(training.model), extend(nn.CrossEntropyLoss())
    each = nn.CrossEntropyLoss(reduction="none")
    cockpit, (x, y) = Cockpit(model.parameters(), configuration("economy")), training.batch
    warnings.filterwarnings("ignore", "Full backward hook")  # BackPACK's own

    def run():
        training.optimizer.zero_grad()
        outputs = model(x)
        value = loss(outputs, y)
        info = {
            "batch_size": len(x),
            "individual_losses": each(outputs, y),
            "loss": value,
            "optimizer": training.optimizer,
        }
        with cockpit(0, info=info):
            value.backward(create_graph=cockpit.create_graph(0))
        training.optimizer.step()

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
    whole = [
        Line("certificate, one batch", training.certified),
        Line("the same with its Fisher diagonal", training.weighed),
    ]
    title = "one certificate over one bare step"
    side_by_side.compare(title, training.step, whole, rounds=25, speed_up=False)
    peer = [
        Line("paramlock, one watched step", training.watched_step),
        Line("cockpit 1.0, one step, economy", by_cockpit()),
    ]
    title = "one step that is looked at over one bare step"
    side_by_side.compare(title, training.step, peer, rounds=3, speed_up=False)
    return not kept


if __name__ == "__main__":
    sys.exit(main())
