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
# # Vanishing gradients
#
# A layer learns from the gradient that reaches it. On its way down from the loss that gradient is
# multiplied once per layer. Multiply often enough by a number below 1, and what arrives is too
# small to move anything. Nobody froze the layer, and it stays where it is: a *lock*.
#
# **After it you can** predict the factor of a layer and choose weights that make it 1; say which
# part of a network is locked by its *relative gradient*, and name five ways in which that number
# misleads; measure the *update ratio*, which asks what the optimizer did; say how many steps back a
# recurrent network can learn from; and open the lock.
#
# **Minutes:** 45. **It rests on** Python, the chain rule, matrix products, and a first meeting with
# PyTorch. Where you see *Predict*, keep a guess before you run on. A wrong guess is the useful
# kind. [Further on](01_gradient_vanishing_deeper.ipynb), optional: two papers redone at laptop
# scale, and bfloat16 as a lock.

# %% tags=["fold"]
# Imports.
import math
from copy import deepcopy

import jax
import jax.numpy as jnp
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from lessonkit import claims, explore, seeding
from lessonkit.drawing import chain, draw, locked_nodes, play
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock import certificate
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, COLOURS, THEORY
from paramlock.unlocking.measured import PLANTED

predict = Predictions("01_gradient_vanishing")

# %% tags=["fold"]
# The data: 1,797 handwritten digits of 64 pixels from scikit-learn, 397 of them kept for testing.
seeding.seed_everything(0)
figures.use_style()
digits = load_digits()
order = torch.randperm(len(digits.target))
images = torch.tensor(digits.data / 16, dtype=torch.float32)[order]
labels = torch.tensor(digits.target)[order]
train_x, test_x = images[:1400], images[1400:]
train_y, test_y = labels[:1400], labels[1400:]
batch = train_x[:256], train_y[:256]

# %% tags=["claim"]
assert len(images) == 1797 and len(test_x) == 397

# %% [markdown]
# Our patient has six hidden layers of 64 sigmoids and a top layer of ten, weights as `nn.Linear`
# draws them. The picture follows one backward pass: the line at the bottom is the norm of the
# gradient of each weight matrix, on a logarithmic scale. Press play. **V** marks what has vanished:
# less than a thousandth of the whole.


# %%
def mlp(depth, activation, width=64, init=None):
    """Return a network from 64 pixels to 10 logits with ``depth`` hidden layers."""
    layers = []
    for i in range(depth):
        layers += [nn.Linear(width if i else 64, width), activation()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    for module in model:
        if init and isinstance(module, nn.Linear):
            init(module.weight)
            nn.init.zeros_(module.bias)
    return model


def weight_gradients(model, scale=1.0):
    """Return the gradient of each weight matrix on 256 digits, lowest layer first."""
    model.zero_grad()
    (scale * F.cross_entropy(model(batch[0]), batch[1])).backward()
    return [p.grad.clone() for p in model.parameters() if p.ndim == 2]


# %%
torch.manual_seed(0)
patient = mlp(6, nn.Sigmoid)
norms = np.array([g.double().norm() for g in weight_gradients(patient)])
shares = norms / np.linalg.norm(norms)

# %% tags=["fold"]
# Seven pictures: the gradient has come down to W7, to W6, …, to W1.
states = []
for lowest in range(7, 0, -1):
    arrived = [norm if i >= lowest else 0.0 for i, norm in enumerate(norms, start=1)]
    gone = [f"W{i}" for i in range(lowest, 8) if shares[i - 1] < 1e-3]
    layers = chain([64] * 7 + [10], vanishing=gone)
    title = f"Down to W{lowest}: gradient norm {norms[lowest - 1]:.2g}"
    states.append(draw(layers, title, backward=arrived))
play(states, label="Layers passed")

# %% tags=["claim"]
claims.band("log10 of the share of W1", math.log10(shares[0]), low=-6, high=-4)
assert (np.diff(norms) > 0).all()
assert locked_nodes(states[-1]).keys() == {(name, "vanishing") for name in gone}

# %% [markdown]
# ## A gradient is a product of Jacobians
#
# Take a network of $L$ layers with activation function $\sigma$. Layer $l$ computes its
# *pre-activations* $z_l$, and from them its output $h_l$:
#
# $$z_l = W_l\, h_{l-1}, \qquad h_l = \sigma(z_l), \qquad h_0 = x .$$
#
# Call $\delta_l = \partial \mathcal{L} / \partial z_l$ the *error signal* of layer $l$. If $z_l$
# changes by a little, $h_l$ changes by $\sigma'(z_l)$ times as much, and $W_{l+1}$ passes that on.
# So the *Jacobian*, the matrix of derivatives from one layer to the next, is $W_{l+1} D_l$ with
# $D_l = \operatorname{diag} \sigma'(z_l)$. The chain rule, read from the top, multiplies by its
# transpose at each layer:
#
# $$\delta_l = D_l\, W_{l+1}^\top\, \delta_{l+1}
# \quad\Rightarrow\quad
# \delta_1 = D_1 W_2^\top\, D_2 W_3^\top \cdots D_{L-1} W_L^\top\, \delta_L .$$
#
# The gradient of the weights is $\partial \mathcal{L} / \partial W_l = \delta_l\, h_{l-1}^\top$.
# Keep both factors in mind: the error signal from above, and the *input* from below. `signals`
# asks autograd for all error signals of a plain chain of weights.


# %%
def signals(weights, activation, x):
    """Return pre-activations and error signals, layer by layer, for a random signal at the top."""
    zs, h = [], x
    for weight in weights:
        zs.append((h @ weight.T).requires_grad_())
        h = activation(zs[-1])
    generator = torch.Generator().manual_seed(7)
    top = torch.randn(zs[-1].shape, generator=generator, dtype=x.dtype)
    return zs, torch.autograd.grad(zs[-1], zs, grad_outputs=top)


# %% tags=["claim"]
x64 = train_x[:64].double()
scaled = [torch.randn(64, 64, dtype=torch.float64) / 8 for _ in range(5)]
zs, deltas = signals(scaled, torch.tanh, x64)
by_hand = [deltas[-1]]
for z, weight in zip(zs[-2::-1], scaled[:0:-1], strict=True):
    by_hand.insert(0, (1 - torch.tanh(z) ** 2) * (by_hand[0] @ weight))
assert all(torch.allclose(hand, auto) for hand, auto in zip(by_hand, deltas, strict=True))

# %% [markdown]
# ## The factor of each layer
#
# How much does one step shrink the signal *on average*? Take one entry of
# $\delta_l = D_l W_{l+1}^\top \delta_{l+1}$, with $n$ units in layer $l+1$:
#
# $$\delta_{l,i} = \sigma'(z_{l,i}) \sum_{j=1}^{n} W_{ji}\, \delta_{l+1,j} .$$
#
# 1. Square the sum. It has $n$ squares $W_{ji}^2 \delta_j^2$ and many cross terms.
# 2. Average over random weights, independent and with mean 0. The cross terms average to 0, a
#    square to $\operatorname{Var} w \cdot \delta_j^2$. The sum has the mean square
#    $n \operatorname{Var} w \cdot E[\delta_{l+1}^2]$.
# 3. The derivative in front multiplies it by $E[\sigma'^2]$. Take the root:
#
# $$\boxed{\ \frac{\|\delta_l\|}{\|\delta_{l+1}\|} \approx f
# = \sqrt{\,n \cdot \operatorname{Var} w \cdot E[\sigma'(z)^2]\,}\ }$$
#
# Steps 2 and 3 treat the signal as independent of the weights and of $z$. That is not exactly true,
# because the same weights made $z$ on the way up. The table below shows how nearly it is.
#
# Three common ways to draw weights, each with its $n \operatorname{Var} w$ in a layer of $n$ inputs
# and $n$ outputs:
#
# - *naive*, uniform between $\pm 1/\sqrt n$. A uniform number between $\pm a$ has variance $a^2/3$,
#   so this is $1/3$. It is what `torch.nn.Linear` does if you say nothing.
# - *Glorot*, also called Xavier: variance $2/(n_\text{in} + n_\text{out})$, so 1.
# - *He*, also called Kaiming: variance $2/n_\text{in}$, so 2.
#
# For ReLU about half of the pre-activations are positive. There $\sigma' = 1$, elsewhere 0, so
# $E[\sigma'^2] = 1/2$. For the sigmoid near $z = 0$ it is $(1/4)^2 = 1/16$. For other functions we
# take it from the $z$ of a real forward pass. An activation works entry by entry, so the gradient
# of the *sum* of its outputs holds all the slopes at once.


# %% tags=["fold"]
# random_weights(n_var, seed): the weights of 16 layers, 64 pixels to 128 units and so on.
def random_weights(n_var, seed, depth=16, n=128):
    """Return weights of ``depth`` layers with n Var w = ``n_var``; the first takes 64 pixels."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(n, 64)] + [(n, n)] * (depth - 1)
    draws = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [math.sqrt(n_var / w.shape[1]) * w for w in draws]


# %%
x = train_x[:64].double()


def slopes_of(activation, z):
    return torch.func.grad(lambda z: activation(z).sum())(z.detach())


def factor(activation, n_var, seed):
    """Return the measured factor and the predicted one, over ten layers in the middle of 16."""
    zs, deltas = signals(random_weights(n_var, seed), activation, x)
    mean_squares = torch.stack([(slopes_of(activation, z) ** 2).mean() for z in zs[3:13]])
    measured = (deltas[3].norm() / deltas[13].norm()).item() ** (1 / 10)
    return measured, math.sqrt(n_var) * math.exp(mean_squares.log().mean().item() / 2)


# %%
predict.choice(
    "keeps",
    "Which pair keeps the size of the signal, a factor within 2 % of 1?",
    ["sigmoid, He", "tanh, He", "ReLU, Glorot", "ReLU, He"],
)

# %%
N_VAR = {"naive": 1 / 3, "Glorot": 1.0, "He": 2.0}
ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "ReLU": torch.relu,
    "leaky 0.1": lambda z: F.leaky_relu(z, 0.1),
}
table = {
    (a, i): np.mean([factor(act, n_var, seed) for seed in range(5)], axis=0)
    for a, act in ACTIVATIONS.items()
    for i, n_var in N_VAR.items()
}

# %% tags=["fold"]
# The answer: measured and predicted factors.
level = {f"{a}, {i}": abs(measured - 1) for (a, i), (measured, _) in table.items()}
asked = ["sigmoid, He", "tanh, He", "ReLU, Glorot", "ReLU, He"]
predict.measured("keeps", min(asked, key=level.get))
figures.show_table(
    "The formula holds; only ReLU and leaky ReLU, under He, keep the signal",
    list(ACTIVATIONS),
    list(N_VAR),
    [["{:.2f} / {:.2f}".format(*table[a, i]) for i in N_VAR] for a in ACTIVATIONS],
    [["vanishing" if table[a, i][0] < 0.98 else "" for i in N_VAR] for a in ACTIVATIONS],
    "Factor per layer, measured / predicted, mean of 5 seeds. V: below 0.98.",
)

# %% tags=["claim"]
assert max(abs(measured / predicted - 1) for measured, predicted in table.values()) < 0.02
assert [n for n, off in level.items() if off < 0.03] == ["ReLU, He", "leaky 0.1, He"]
for init, value in [("naive", 1 / math.sqrt(6)), ("Glorot", 1 / math.sqrt(2)), ("He", 1)]:
    assert abs(table["ReLU", init][0] / value - 1) < 0.04
assert abs(table["sigmoid", "naive"][0] / math.sqrt(1 / 48) - 1) < 0.06
assert table["tanh", "He"][0] > 1.02

# %% [markdown]
# **Why.** For ReLU the roots are $\sqrt{1/6} = 0.41$, $\sqrt{1/2} = 0.71$ and 1; for the naive
# sigmoid $\sqrt{1/48} = 0.14$. Beyond $n \operatorname{Var} w$ the formula needs only the mean
# square of $\sigma'$, and it is off by 2 % at most. Under He tanh is above 1: its signal *grows*.
# Factors multiply: 0.7 looks harmless, and 30 layers of it leave $0.7^{30} = 2 \cdot 10^{-5}$.

# %% [markdown]
# Move the sliders. Dots are measured, the dotted line is the formula with $E[\sigma'^2]$ from the
# same run. The scale of the weights is $\sqrt{n \operatorname{Var} w}$: naive 0.58, Glorot 1, He
# 1.41. Look for a scale that keeps the line level at depth 30. Two of the three activations have
# one on this slider.

# %% tags=["fold"]
# The figure, and what the sliders do to it.
shown = ["sigmoid", "tanh", "ReLU"]
figure, axes = figures.chart(
    "On a logarithmic scale a constant factor is a straight line",
    "layer",
    "log10 of signal / top signal",
)
dots = {**ARMS[0], "linestyle": "", "animated": True}
(measured_dots,) = axes.plot([], [], label="measured", **dots)
(formula_line,) = axes.plot([], [], **THEORY, animated=True, label="formula")
axes.axhline(0, color="0.8")
axes.set(xlim=(0, 41), ylim=(-42, 16))
axes.legend(loc="lower right")
unit_weights = random_weights(1.0, seed=0, depth=40, n=96)


def profile(depth, scale, activation):
    """Return log10 of the signal relative to the top, measured and by the formula; (2, depth)."""
    zs, deltas = signals([scale * w for w in unit_weights[:depth]], activation, x[:32])
    squares = [slopes_of(activation, z).square().mean() for z in zs[:-1]]
    factors = [math.log10(scale * square.sqrt()) for square in squares]
    norms = torch.stack([delta.norm() for delta in deltas]).log10()
    return np.array([(norms - norms[-1]).tolist(), [*np.cumsum(factors[::-1])[::-1], 0]])


def descend(depth, scale, kind):
    found, formula = profile(depth, scale, ACTIVATIONS[kind])
    measured_dots.set_data(np.arange(1, depth + 1), found)
    formula_line.set_data(np.arange(1, depth + 1), formula)
    return (
        f"{kind}, {depth} layers, scale {scale:.2f}: the signal at layer 1 is "
        f"10^{found[0]:.0f} of that at the top; the formula says 10^{formula[0]:.0f}."
    )


sliders = {
    "depth": explore.Slider("Depth, layers", 2, 40, 1, 30),
    "scale": explore.Slider("Scale of the weights", 0.4, 3.0, 0.02, 0.58),
    "kind": explore.Steps("Activation", shown, "sigmoid"),
}
alt = "Error signal by layer, relative to the top layer, measured and by the formula."
descent = explore.Experiment(figure, descend, sliders, alt=alt)
descent.show()

# %%
best = max(profile(30, s, torch.sigmoid)[0, 0] for s in np.arange(0.4, 3.01, 0.2))
print(f"30 sigmoids, best of 14 scales up to 3: 10^{best:.0f} of the signal reaches layer 1")

# %% tags=["claim"]
assert profile(30, 0.58, torch.sigmoid)[0, 0] < -20
assert all(abs(profile(30, s, a)[0, 0]) < 1.5 for s, a in [(1.06, torch.tanh), (1.42, torch.relu)])
claims.band("sigmoid, best of 14 scales, log10", best, high=-5)
large = [[11 * w for w in random_weights(1.0, s, depth=30, n=96)] for s in range(5)]
runs = [signals(weights, torch.sigmoid, x[:32]) for weights in large]
ends = [(deltas[0].norm() / deltas[-1].norm()).log10().item() for _, deltas in runs]
flat = np.mean([(torch.stack(zs[1:]).abs() > 4).double().mean().item() for zs, _ in runs])
claims.band("sigmoid at scale 11, mean of five draws, log10", np.mean(ends), low=-2.5, high=2.5)
claims.band("share of z beyond 4 at scale 11", flat, low=0.5)

# %% [markdown]
# **Why.** ReLU has one good scale, $\sqrt 2$. For tanh a scale a little above 1 does: there the
# stretch by the weights makes up for $\sigma' < 1$. For 30 sigmoids there is none up to 3. Raise
# the scale to 4 to bring the factor to 1, and $z$ leaves the steep part, $E[\sigma'^2]$ falls, and
# it must be larger still. Near 11 the line is about level, but by then most $z$ lie beyond
# $\pm 4$, where the sigmoid is flat. That is *saturation*, the subject of
# [lesson 03](03_saturation.ipynb).
#
# ## Which standard deviation keeps the variance
#
# Two signals pass a layer: values go up, error signals go down. Each has its own condition, by the
# same algebra. Let a layer have `fan_in` inputs and `fan_out` outputs.
#
# - **Up.** Each entry of $z_{l+1}$ is a sum over `fan_in` outputs $\sigma(z)$, so
#   $E[z_{l+1}^2] = \text{fan\_in} \cdot \operatorname{Var} w \cdot E[\sigma(z)^2]$. It should equal
#   $E[z^2]$.
# - **Down.** The factor should be 1:
#   $\text{fan\_out} \cdot \operatorname{Var} w \cdot E[\sigma'(z)^2] = 1$. An error signal comes
#   from the outputs of the layer, hence `fan_out`.
#
# Solve for the standard deviation of the weights:
#
# $$s_\text{up} = \sqrt{\frac{E[z^2]}{\text{fan\_in} \cdot E[\sigma(z)^2]}}, \qquad
# s_\text{down} = \frac{1}{\sqrt{\text{fan\_out} \cdot E[\sigma'(z)^2]}} .$$
#
# Mind two words. $E[\sigma^2]$ is a **mean square** and no variance: the outputs of a ReLU or a
# sigmoid have a mean, and it counts. And a **standard deviation** is not the end of a range:
# weights uniform between $\pm a$ have the standard deviation $a / \sqrt 3$. Where no signal passes
# at all, as through a ReLU whose $z$ are all negative, no finite weights help: both are infinite.
# Below, $z$ is normal with mean 0 and variance 1, and `fan_in` equals `fan_out`.

# %%
z = torch.linspace(-8, 8, 16_001, dtype=torch.float64)
normal = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * 0.001  # weights of a mean over N(0, 1)
stds = {}
for name in shown:
    squares = [v**2 for v in (ACTIVATIONS[name](z), slopes_of(ACTIVATIONS[name], z))]
    up, down = stds[name] = [1 / math.sqrt((square * normal).sum()) for square in squares]
    print(f"{name:8} up {up:.2f}  down {down:.2f}   in units of 1 / root n")

# %% tags=["claim"]
assert [name for name, (up, down) in stds.items() if abs(up - down) < 0.01] == ["ReLU"]

# %% [markdown]
# **Why** do up and down agree for ReLU alone? It is a straight line on one side and flat on the
# other: both mean squares are one half, and both conditions give $\sqrt{2/n}$. That is He's rule.
# Glorot and Bengio took $\sigma' = 1$, a tanh near zero. Then up asks for $1/\text{fan\_in}$ and
# down for $1/\text{fan\_out}$, and their rule $2/(\text{fan\_in}+\text{fan\_out})$ is a compromise.
# For the sigmoid and such $z$ the two are far apart, and no weights serve both.
#
# ## Relative gradient
#
# When is a part $S$ of a network locked? An absolute threshold will not do: multiply the loss by
# 1000, and every gradient grows by 1000, though nothing about the network has changed. So compare
# with the whole:
#
# > **Definition.** The *relative gradient* of $S$ is
# > $r_S = \|\nabla_S \mathcal{L}\| \,/\, \|\nabla \mathcal{L}\|$. The part $S$ is *locked at*
# > $\varepsilon$ if $r_S < \varepsilon$.
#
# The norm runs over all entries: the root of the sum of all squares. Norms of parts do not add,
# their squares do. A parameter with no gradient (`None`) counts as zeros.

# %% tags=["fold"]
# Gradient norms of the seven matrices, and what part of the whole each is.
norms_1000 = np.array([g.double().norm() for g in weight_gradients(patient, scale=1000.0)])
shares_1000 = norms_1000 / np.linalg.norm(norms_1000)
rows = [norms, shares, norms_1000, shares_1000]
figures.show_table(
    "At 1e-3 the three lowest matrices are locked, whatever the loss is multiplied by",
    ["gradient norm", "relative gradient", "norm, loss times 1000", "relative, loss times 1000"],
    [f"W{i}" for i in range(1, 8)],
    [[f"{value:.0e}" for value in row] for row in rows],
    [["vanishing" if share < 1e-3 else "" for share in shares]] * 4,
)

# %% tags=["claim"]
claims.band("matrices below 1e-3", (shares < 1e-3).sum(), low=2, high=4)
assert np.allclose(norms_1000, 1000 * norms, rtol=1e-3)
assert math.isclose((shares**2).sum(), 1)

# %% [markdown]
# A part need not be one tensor: `model.get_submodule(path).parameters()` are all parameters at and
# below a path. Path `"2"` of the patient is its second linear layer, weight and bias.
#
# In JAX there is no `.grad`. A gradient is a *pytree* of the same structure as the parameters, a
# nested dictionary of arrays. Follow the keys of a path from the top, and you hold a node;
# `jax.tree.leaves` gives all arrays below it, and passes over `None`.

# %%
body = {"layer1": {"kernel": jnp.full(4, 3.0)}, "layer10": {"kernel": None}}
tree = {"body": body, "head": {"kernel": jnp.array([0.0, 8.0])}}
nodes = {"layer1": tree["body"]["layer1"], "body": tree["body"], "whole": tree}
squares = {name: sum(float((g**2).sum()) for g in jax.tree.leaves(nodes[name])) for name in nodes}
print(squares, " relative gradient of layer1:", math.sqrt(squares["layer1"] / squares["whole"]))

# %% tags=["claim"]
assert squares == {"layer1": 36, "body": 36, "whole": 100}

# %% [markdown]
# ## Norms that underflow
#
# The formula says what to expect of a deeper patient: 28 sigmoid layers, $0.14^{27}$, about
# $10^{-23}$. Float32 holds such numbers: its smallest is about $10^{-45}$. We leave out pixels that
# are never lit; a weight on one has a gradient of zero.

# %%
predict.choice(
    "float32",
    "No entry of the lowest matrix's gradient is zero. What does grad.norm() say in float32?",
    ["about 1e-23", "0", "infinity", "NaN"],
)

# %%
torch.manual_seed(0)
lit = batch[0].amax(0) > 0
deep = weight_gradients(mlp(28, nn.Sigmoid))[0][:, lit]
said = {0: "0", math.inf: "infinity"}.get(deep.norm().item(), "about 1e-23")
predict.measured("float32", said)
print("entries that are zero:", int((deep == 0).sum()), "of", deep.numel())
print(f"norm in float32: {deep.norm():.0e},  cast to float64 first: {deep.double().norm():.0e}")
print(f"cast after the norm: {deep.norm().double():.0e}")

# %% tags=["claim"]
assert not (deep == 0).any() and deep.norm() == 0 and 1e-26 < deep.double().norm() < 1e-20

# %% [markdown]
# **Why.** A norm squares its entries, and $(10^{-25})^2 = 10^{-50}$ is too small for float32. The
# square is rounded to 0, and a cast afterwards comes too late. So **cast first**. It works at the
# other end, too: written out, the square of 300 is infinite in float16. (torch's own `norm()` of
# float16 adds up in float32 and gives 300.)
#
# Float64 ends near $10^{-323}$, so there a gradient of $10^{-200}$ has the same trouble. What then
# helps is to divide by the largest entry, take the norm, multiply again:
#
# $$\|g\| = m \cdot \|g / m\|, \qquad m = \max_i |g_i| .$$
#
# This cures the *range* of any precision, not its *accuracy*: sums in float16 stay coarse. So cast
# up as far as you can, then scale. For a share, scale part and whole each by its own largest entry
# and divide by way of logarithms: $\log_{10}\|g\| = \log_{10} m + \log_{10}\|g/m\|$. Where $m = 0$
# the norm is 0 and its logarithm $-\infty$.
#
# JAX has no float64 unless you switch it on, and `jnp.linalg.norm` underflows as well. Numpy has it
# always: `np.asarray(leaf, np.float64)`.

# %%
tiny = torch.full((4,), 1e-200, dtype=torch.float64)
m = tiny.abs().max()
print(f"float64: plain {tiny.norm():.0e},  scaled {m * (tiny / m).norm():.0e}")
leaf = jnp.full(4, 1e-25)
in_numpy = np.linalg.norm(np.asarray(leaf, np.float64))
print(f"jax: {jnp.linalg.norm(leaf):.0e},  numpy in float64: {in_numpy:.0e}")

# %% tags=["claim"]
assert tiny.norm() == 0 and math.isclose(m * (tiny / m).norm(), 2e-200)
half = torch.tensor([300.0]).half()
assert half.pow(2).sum().isinf() and half.norm() == 300
assert jnp.linalg.norm(leaf) == 0 and math.isclose(in_numpy, 2e-25, rel_tol=1e-6)

# %% [markdown]
# For a norm per *layer*, ask each module for what it holds itself, `parameters(recurse=False)`;
# plain `parameters()` goes through all modules below, so a container would count its layers again.
#
# The other end of the scale is worse. Three parts have gradient norms $10^{-9}$, NaN and 1:

# %%
with_nan = np.array([1e-9, np.nan, 1.0])
with_nan = with_nan / np.linalg.norm(with_nan)
print("relative gradients:", with_nan, " locked at 1e-3:", int((with_nan < 1e-3).sum()))

# %% tags=["claim"]
assert (with_nan < 1e-3).sum() == 0 and np.isnan(with_nan).all()

# %% [markdown]
# **Why.** The whole norm is NaN, so is every share, and a comparison with NaN is false. A broken
# network passes as a healthy one. Check `isfinite` first, tensor by tensor, and refuse.
#
# ## The update ratio
#
# The relative gradient says what *arrives*. Whether a layer moves is up to the optimizer. SGD takes
# the step $-\eta\, g$, a rate times the gradient. Adam keeps running means of $g$ and of $g^2$ and
# takes $-\eta\, \bar g / (\sqrt{\overline{g^2}} + \text{eps})$. Ask what they did by the *update
# ratio*
#
# $$u = \frac{\|\Delta w\|}{\|w\|},$$
#
# the change that a step makes, over the size of what it changes. Measure it, do not compute it from
# the gradient: clone the weights, step, subtract. Without the `clone` both names mean one tensor,
# and the difference is 0. A parameter that was zero, as biases often are, has no norm to compare
# with: if it moved we call its ratio infinite, if not 0.


# %%
def train(model, optimizer, data, loss=F.cross_entropy):
    for x, y in data:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()


def ratios_after(steps, model, optimizer):
    """Return the update ratio of each weight matrix over ``steps`` steps on one batch."""
    weights = [p for p in model.parameters() if p.ndim == 2]
    before = [w.detach().clone() for w in weights]
    train(model, optimizer, [batch] * steps)
    moved = [w.detach() - old for w, old in zip(weights, before, strict=True)]
    return np.array([(m.norm() / b.norm()).item() for m, b in zip(moved, before, strict=True)])


# %%
words = ["not at all", "a thousandth as far", "a hundredth as far", "about as far, or farther"]
question = "W1 gets a hundred-thousandth of the gradient. Twenty steps of Adam move it, beside W7,"
predict.choice("adam", question, words)

# %%
by_sgd, by_adam = deepcopy(patient), deepcopy(patient)
sgd = torch.optim.SGD(by_sgd.parameters(), lr=0.1)
adam = torch.optim.Adam(by_adam.parameters(), lr=0.01)
ratios = {"SGD": ratios_after(20, by_sgd, sgd), "Adam": ratios_after(20, by_adam, adam)}
bottom = ratios["Adam"][0] / ratios["Adam"][-1]

# %%
predict.measured("adam", words[int(np.searchsorted([1e-4, 3e-3, 0.3], bottom))])
for name, ratio in ratios.items():
    print(f"{name:4} update ratio of 20 steps:", *(f"{r:.1g}" for r in ratio))

# %% tags=["claim"]
claims.band("Adam, update ratio of W1", ratios["Adam"][0], low=0.1)
claims.band("Adam, W1 beside W7", bottom, low=0.3)
claims.band("SGD, log10 of the ratio of W1", math.log10(ratios["SGD"][0]), high=-4)

# %% tags=["fold"]
# The figure: relative gradient and update ratios by layer.
figure, axes = figures.chart(
    "One gradient, two optimizers: Adam moves what SGD leaves alone",
    "layer",
    "share, log scale",
    (7.0, 2.6),
)
layers = np.arange(1, 8)
axes.semilogy(layers, shares, "v", color=COLOURS["vanishing"], label="relative gradient")
axes.semilogy(layers, ratios["SGD"], **ARMS[1], label="update ratio, SGD, 20 steps at 0.1")
axes.semilogy(layers, ratios["Adam"], **ARMS[0], label="update ratio, Adam, 20 steps at 0.01")
axes.set(xticks=layers)
axes.legend(loc=(0.02, 0.5))
alt = """Relative gradient and update ratio by layer. The relative gradient rises from 1e-5 to 1 and
the update ratio of SGD rises with it; that of Adam stays above 0.1 in all layers."""
figures.show(figure, alt)

# %% [markdown]
# **Why.** Adam divides each gradient by the root of its own mean square. The scale cancels: a
# weight whose gradients are all a hundredth as large takes the same step. So under Adam a small
# relative gradient is **no lock**.
#
# The *certificate* of `paramlock` lists the locks of a model. It calls a layer *vanishing* where
# the gradient per weight (root mean square, so that small layers raise no false alarm) is below a
# thousandth of the network's and, if you hand it the optimizer, the update ratio is below a
# thousandth of the largest. `place` is the path of the layer where the fading begins, `backward`
# are the layers behind it, towards the input. Linear layers have the paths 0, 2, 4 and so on. The
# picture is drawn from the certificate. (It finds two layers where we found three: per weight, W3
# lies just above the bound.)

# %%
optimizers = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}
proofs = {}
for name, make in optimizers.items():
    model = deepcopy(patient)
    optimizer = make(model.parameters(), lr=0.01)
    proofs[name] = certificate(model, batch, F.cross_entropy, optimizer=optimizer)
    print(f"{name}: {[(lock.kind, lock.place, lock.backward) for lock in proofs[name].locks]}")
drawn = draw(proofs["SGD"], "The patient under SGD, from its certificate")
drawn.show()

# %% tags=["claim"]
assert [lock.kind for lock in proofs["SGD"].locks] == ["vanishing"] and not proofs["Adam"].locks
assert locked_nodes(drawn).keys() >= {(proofs["SGD"].locks[0].place, "vanishing")}

# %% [markdown]
# Adam has an end, too: beside its `eps`, by default $10^{-8}$, the $10^{-24}$ of the 28-layer
# patient is nothing.
#
# With entries well above `eps`, is all well?


# %%
def errors(make, optimizer=torch.optim.SGD, rate=0.1, epochs=5, seeds=range(3)):
    """Train ``make()`` from each seed in batches of 32; return the share of test errors of each."""
    found = []
    for seed in seeds:
        torch.manual_seed(seed)
        model = make()
        order = [rows for _ in range(epochs) for rows in torch.randperm(1400).split(32)]
        data = [(train_x[r], train_y[r]) for r in order]
        train(model, optimizer(model.parameters(), lr=rate), data)
        model.eval()
        found.append((model(test_x).argmax(1) != test_y).float().mean().item())
    return np.array(found)


# %%
predict.choice(
    "moving",
    "Five epochs of Adam, rate 0.003. Which patient makes fewer errors on the test digits?",
    ["six hidden layers", "two hidden layers", "they differ by less than 10 points"],
)

# %% tags=["nbval-ignore-output"]
six = errors(lambda: mlp(6, nn.Sigmoid), torch.optim.Adam, 0.003)
two = errors(lambda: mlp(2, nn.Sigmoid), torch.optim.Adam, 0.003)
gap = six.mean() - two.mean()
fewer = "two hidden layers" if gap > 0 else "six hidden layers"
predict.measured("moving", fewer if abs(gap) > 0.1 else "they differ by less than 10 points")
print("errors, three seeds: six layers", six.round(2), " two layers", two.round(2))

# %% tags=["claim"]
claims.band("Adam, errors of six layers, mean", six.mean(), low=0.3)
claims.band("Adam, errors of two layers, mean", two.mean(), high=0.25)

# %% [markdown]
# **Why.** The lower layers move at full speed, and yet the network has learnt little. **Moving is
# not learning.** A likely reason is that what reaches them has passed layers that are themselves
# random; we have not tested it. Adam opens this lock in the sense of the certificate. It does not
# make the network a good one.
#
# ## Where the relative gradient misleads
#
# Adam was the first case, underflow the second, NaN the third. The fourth is a layer under
# *BatchNorm*, which subtracts from each unit its mean over the batch and divides by its spread.
# Multiply the weights by $c$, and BatchNorm divides by $c$ again: $\mathcal{L}(cW) =
# \mathcal{L}(W)$ for all $c > 0$. Differentiate both sides with respect to $W$:
# $c\, \nabla \mathcal{L}(cW) = \nabla \mathcal{L}(W)$.

# %%
predict.number(
    "bn",
    "Weights under BatchNorm times 100: times what number is the update ratio of an SGD step?",
    factor=2,
)

# %%
torch.manual_seed(0)
norm = nn.BatchNorm1d(32, eps=1e-12)
small = nn.Sequential(nn.Linear(64, 32), norm, nn.Tanh(), nn.Linear(32, 10)).double()
large = deepcopy(small)
for p in large[0].parameters():
    p.data *= 100
loss, gradient = {}, {}
for name, model in [("small", small), ("large", large)]:
    loss[name] = F.cross_entropy(model(batch[0].double()), batch[1])
    loss[name].backward()
    gradient[name] = model[0].weight.grad.norm().item()
times = {"loss": (loss["large"] / loss["small"]).item()}
times["gradient"] = gradient["large"] / gradient["small"]
times["update ratio of SGD"] = times["gradient"] / 100

# %%
predict.measured("bn", times["update ratio of SGD"])
print(*(f"{what} times {value:.2g}  " for what, value in times.items()))

# %% tags=["claim"]
assert math.isclose(times["loss"], 1, rel_tol=1e-9)
assert math.isclose(times["gradient"], 0.01, rel_tol=1e-6)

# %% [markdown]
# **Why.** One function, two gradients: the relative gradient depends on how the function is written
# down. And here the lock is real under SGD: the step is 100 times smaller and the weights are 100
# times larger, so the update ratio falls by 10,000. Large weights under a norm hardly turn.
#
# **The fifth case: everything starves at once.** He and others (2015) derived the factor 2 for
# ReLU. Take 22 hidden ReLU layers under Glorot's rule: the error signal loses $\sqrt{1/2}$ per
# layer, and $0.5^{10.5}$ is less than a thousandth after 21 of them.

# %%
predict.number(
    "starved",
    "22 hidden ReLU layers, Glorot: how many of the 23 matrices have r < 0.001?",
    unit="matrices",
    within=0,
)


# %%
def he(weight):
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


glorot = nn.init.xavier_uniform_
rules = {"Glorot": glorot, "He": he}
gradient_of, update_of = {}, {}
for name, init in rules.items():
    torch.manual_seed(0)
    model = mlp(22, nn.ReLU, init=init)
    gradient_of[name] = np.array([g.double().norm() for g in weight_gradients(model)])
    update_of[name] = ratios_after(1, model, torch.optim.SGD(model.parameters(), lr=0.02))

# %%
relative = {name: g / np.linalg.norm(g) for name, g in gradient_of.items()}
predict.measured("starved", int((relative["Glorot"] < 1e-3).sum()))
for name in rules:
    print(f"{name:6} whole gradient {np.linalg.norm(gradient_of[name]):.1g};", end=" ")
    print(f"relative {relative[name].min():.1f} to {relative[name].max():.1f};", end=" ")
    print(f"largest update ratio of a step {update_of[name].max():.0e}")

# %% tags=["claim"]
assert (relative["Glorot"] > 0.03).all() and (relative["He"] > 0.03).all()
torch.manual_seed(0)
model = mlp(22, nn.ReLU, init=glorot)
grads = weight_gradients(model)
weights = [p.detach() for p in model.parameters() if p.ndim == 2]
products = [float((w * g).sum()) for w, g in zip(weights, grads, strict=True)]
assert np.allclose(products, products[0], rtol=1e-3)
scale = math.log10(np.linalg.norm(gradient_of["He"]) / np.linalg.norm(gradient_of["Glorot"]))
claims.band("whole gradient, He over Glorot, log10", scale, low=1.5)
claims.band("Glorot, largest update ratio, log10", math.log10(update_of["Glorot"].max()), high=-4)

# %% [markdown]
# **Why.** None. The gradient of $W_l$ is error signal times input, $\delta_l\, h_{l-1}^\top$. Going
# down, $\delta_l$ shrinks by $\sqrt{1/2}$ per layer; going *up*, so does $h_l$. The product is the
# same in all layers, and it is small: the whole gradient starves. (For ReLU without biases this is
# exact: the output is proportional to each $W_l$, so the sum of all entries of $W_l$ times their
# gradients is one and the same number for every $l$.) Under tanh with naive weights both signals
# fade as well ([further
# on](01_gradient_vanishing_deeper.ipynb#Five-tanh-layers,-two-initialisations)). The relative
# gradient compares layer with layer and cannot see it. The update ratio can: no matrix moves by a
# ten-thousandth of its norm. Does such a network learn?

# %% tags=["nbval-ignore-output"]
wrong = {
    name: errors(lambda i=init: mlp(22, nn.ReLU, init=i), rate=0.02, epochs=10)
    for name, init in rules.items()
}
for name, found in wrong.items():
    print(f"{name:6} SGD at 0.02, 10 epochs, errors of three seeds:", found.round(2))

# %% tags=["claim"]
claims.band("22 layers, errors under Glorot, mean", wrong["Glorot"].mean(), low=0.6)
claims.band("22 layers, errors under He, mean", wrong["He"].mean(), high=0.7)

# %% [markdown]
# Guessing gets 90 % wrong. Under Glorot's rule most of what is there to learn is not learnt, under
# He's a good part is. In the paper 22 convolutional layers learnt under both rules, faster under
# theirs, and 30 stalled under Glorot's. The order is the paper's, the depth at which it bites ours.
#
# Two more limits. A norm grows with the number of entries, so a bias of 10 numbers beside a matrix
# of a million can look locked. And one batch is one sample: average over the data first.
#
# ## Recurrent networks and their horizon
#
# A recurrent network applies one matrix again and again, $h_t = \tanh(W h_{t-1} + u_t)$. Unrolled
# over $T$ steps it is a network of $T$ layers with shared weights, and the same product appears:
#
# $$J_T = \frac{\partial h_T}{\partial h_0} = D_T W\, D_{T-1} W \cdots D_1 W .$$
#
# Leave $\tanh$ out and every $D$ is the identity: $J_T = W^T$, the $T$-th *matrix power*. In the
# long run it grows like $\rho^T$, with the *spectral radius* $\rho$: the largest absolute value
# among the eigenvalues, complex ones included. Its size is the *2-norm* $\|\cdot\|_2$, the largest
# singular value: how much it can stretch a vector. For $W = \rho Q$ with an orthogonal $Q$, a
# rotation or reflection, $\|J_T\|_2 = \rho^T$ exactly.
#
# Most matrices are not of that kind. Take the *shift* matrix, with ones just below the diagonal: it
# hands each number on to the next place. All its eigenvalues are 0, so $\rho = 0$.

# %%
predict.number(
    "shift",
    "The shift matrix has 8 places and spectral radius 0. What is the 2-norm of its 7th power?",
    within=0.01,
)


# %%
def jacobian_norms(w, steps=50):
    """Return the 2-norm of w to the power 1, 2, …, ``steps``."""
    powers = [w]
    for _ in range(steps - 1):
        powers.append(powers[-1] @ w)
    return np.array([np.linalg.norm(power, 2) for power in powers])


# %%
shift = np.eye(8, k=-1)
radius = np.abs(np.linalg.eigvals(shift)).max()
seventh, eighth = jacobian_norms(shift)[6:8]
predict.measured("shift", seventh)
print(f"spectral radius {radius:.0f}; norm at T = 7: {seventh:.0f}, at T = 8: {eighth:.0f}")

# %% tags=["claim"]
assert radius == 0 and seventh == 1 and eighth == 0

# %% [markdown]
# **Why.** $\rho^T$ describes the long run. Before that a matrix whose eigenvectors are not
# orthogonal can keep or even enlarge a signal. So define the *horizon* by the Jacobian itself:
#
# > The horizon at $\varepsilon$ is the smallest number of steps $T \ge 1$ with
# > $\|W^T\|_2 < \varepsilon$. If $\rho \ge 1$ and $\varepsilon \le 1$ there is none:
# > $\|W^T\|_2 \ge \rho^T \ge 1$.
#
# (In torch these are `torch.linalg.eigvals` and `torch.linalg.matrix_norm(w, 2)`. A matrix power is
# a repeated `@`; `w**T` would raise each entry.) For $\rho Q$ it follows from $\rho^T <
# \varepsilon$: take logarithms, and divide by $\log \rho$, which is negative and turns the sign:
# $T > \log \varepsilon / \log \rho$.

# %%
generator = np.random.default_rng(0)
orthogonal = np.linalg.qr(generator.normal(size=(8, 8)))[0]
skew = np.array([[0.8, 3.0], [0.0, 0.5]])  # eigenvalues 0.8 and 0.5
horizons = [int(np.argmax(jacobian_norms(w) < 1e-3)) + 1 for w in (0.8 * orthogonal, skew)]
print(f"log eps / log rho = {math.log(1e-3) / math.log(0.8):.2f}")
print("horizons at 0.001: orthogonal times 0.8", horizons[0], " skew matrix", horizons[1])
print(f"highest norm of the skew matrix on the way: {jacobian_norms(skew).max():.1f}")

# %% tags=["claim"]
assert horizons == [31, 42] and math.ceil(math.log(1e-3) / math.log(0.8)) == 31
assert math.isclose(np.linalg.matrix_power(skew, 5)[0, 1], 10 * (0.8**5 - 0.5**5))
for rho in (0.8, 1.0, 1.2):
    last = jacobian_norms(rho * orthogonal)[-1]
    assert math.isclose(np.log10(last), 50 * np.log10(rho), abs_tol=1e-6)

# %% [markdown]
# **Why.** Above the diagonal, the power $T$ of the skew matrix holds $10\,(0.8^T - 0.5^T)$. That
# grows first, and later it decays like $0.8^T$, ten times as large. The horizon lies 11 steps
# further back.
#
# With $\tanh$ in between, each $D_t$ holds slopes of at most 1, so $\|J_T\|_2 \le \|W\|_2^T$: for
# $\rho Q$ tanh can only shorten the horizon. Whether a network *learns* across such a gap is the
# experiment of Bengio, Simard and Frasconi (1994),
# [further on](01_gradient_vanishing_deeper.ipynb).

# %% [markdown]
# ## Keys: a way round, and a fresh scale
#
# Initialisation sets the factors once. Two other keys hold while the network trains.
#
# - A **residual connection** adds the input to the output, $h_{l+1} = h_l + F(h_l)$. Its Jacobian
#   is $I + F'(h_l)$. However small $F'$ is, the 1 remains: the signal has a way round.
# - **Normalisation** (BatchNorm) divides each unit by its spread over the batch. Whatever the scale
#   of the weights was, $z$ is back in the steep part.
#
# The patient once more, under SGD at 0.1. Among the treatments are Glorot's rule, which gives the
# sigmoid a factor of 0.25, and weights of 16 times its variance, to make up for $\sigma'^2 = 1/16$.

# %%
predict.order(
    "keys",
    "Five epochs of SGD. Order the treatments from most errors to fewest.",
    ["16 times the variance", "BatchNorm", "Glorot", "residual"],
)


# %% tags=["fold"]
# treated(block, init): the patient with block() in place of each hidden layer.
class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def treated(block, init=None):
    """Return the patient with ``block()`` in place of each hidden layer, all 64 wide."""
    model = nn.Sequential(*[block() for _ in range(6)], nn.Linear(64, 10))
    for module in model.modules():
        if init and isinstance(module, nn.Linear):
            init(module.weight)
            nn.init.zeros_(module.bias)
    return model


def fourfold(weight):
    nn.init.normal_(weight, std=4 / math.sqrt(weight.shape[1]))


def block(*middle, kind=nn.Sequential):
    return lambda: kind(nn.Linear(64, 64), *[make(64) for make in middle], nn.Sigmoid())


# %%
treatments = {
    "none": lambda: treated(block()),
    "Glorot": lambda: treated(block(), glorot),
    "16 times the variance": lambda: treated(block(), fourfold),
    "residual": lambda: treated(block(kind=Residual)),
    "BatchNorm": lambda: treated(block(nn.BatchNorm1d)),
}

# %% tags=["nbval-ignore-output"]
outcome = {name: errors(make) for name, make in treatments.items()}
ranked = sorted(list(treatments)[1:], key=lambda name: -outcome[name].mean())
predict.measured("keys", ranked)
for name, found in outcome.items():
    print(f"{name:22} errors of three seeds:", found.round(2))

# %% tags=["claim"]
claims.band("none, errors, mean", outcome["none"].mean(), low=0.8)
claims.band("Glorot, errors, mean", outcome["Glorot"].mean(), low=0.8)
claims.band("16 times, errors, best of 3", outcome["16 times the variance"].min(), high=0.88)
claims.band("residual, errors, mean", outcome["residual"].mean(), high=0.3)
claims.band("BatchNorm, errors, mean", outcome["BatchNorm"].mean(), high=0.2)

# %% tags=["fold"]
# The figure: relative gradients at the start, and what the certificate says of each.
looks = {"none": ("v", "vanishing"), "Glorot": ("<", "vanishing")}
looks |= {"residual": ("D", "healthy"), "BatchNorm": ("s", "healthy")}
figure, axes = figures.chart(
    "With a way round or a fresh scale the gradient reaches the bottom",
    "layer",
    "relative gradient at the start",
)
start, found_locks = {}, {}
for name, (mark, meaning) in looks.items():
    torch.manual_seed(0)
    model = treatments[name]()
    grads = np.array([g.double().norm() for g in weight_gradients(model)])
    start[name] = grads / np.linalg.norm(grads)
    axes.semilogy(np.arange(1, 8), start[name], mark + "-", color=COLOURS[meaning], label=name)
    locks = certificate(model, batch, F.cross_entropy).locks
    found_locks[name] = [lock.place for lock in locks if lock.kind == "vanishing"]
axes.set(xticks=np.arange(1, 8))
axes.legend(loc="lower right")
alt = """Relative gradient of seven layers at the start. Without a key it falls to 1e-5 at the
bottom, under Glorot's rule to 3e-4; with residual connections or BatchNorm it stays above 0.01."""
figures.show(figure, alt)
for name, share in start.items():
    print(f"{name:10} lowest {share[0]:.0e}, top {share[-1]:.1g};", end=" ")
    print("certificate: vanishing at", ", ".join(found_locks[name]) or "no layer")

# %% tags=["claim"]
assert start["none"][0] < 1e-4 and min(start["residual"][0], start["BatchNorm"][0]) > 0.005
assert found_locks["none"] and not found_locks["residual"] and not found_locks["BatchNorm"]
claims.band("BatchNorm, W1 beside the top", start["BatchNorm"][0] / start["BatchNorm"][-1], low=0.1)

# %% [markdown]
# **Why.** Glorot's rule is made for slopes near 1; for the sigmoid its 0.25 per layer is better
# than 0.14 and not good enough. Sixteen times the variance brings $f$ near 1, as long as $z$ stays
# small: six layers begin to learn, while for thirty the slider showed no such scale. Residual
# connections and BatchNorm err least here.
#
# Mind the line of BatchNorm: W1 gets nearly as much as the top. That early layers get less is no
# law. It depends on the factor.
#
# And the rate? The library keeps a table of what each key did in each lock. There the patient was
# trained by SGD in batches of 32, for 3 epochs of 4,000 images of MNIST, at a rate that falls from
# 0.1 to 0; "x 10" and "x 100" multiply that rate, the latter for all layers but the last, and
# "warm-up" raises it from 0 over the first epoch.

# %% tags=["fold"]
# The row of the library's table, paramlock.unlocking.measured.
quoted = PLANTED["vanishing"]
names = ["none", "warm-up", "rate x 10", "layer-wise x 100", "Adam", "BatchNorm", "healthy"]
opened = ["" if quoted[name] > 0.6 else "vanishing" for name in names]
accuracies = [f"{quoted[name]:.2f}" for name in names]
title = "No rate opens a vanishing gradient, BatchNorm does"
figures.show_table(title, ["accuracy"], names, [accuracies], [opened], "Means over 3 seeds.")

# %% tags=["claim"]
assert max(quoted[n] for n in ("none", "warm-up", "rate x 10", "layer-wise x 100")) < 0.12
assert quoted["Adam"] < 0.3 < 0.6 < quoted["healthy"] < quoted["BatchNorm"]

# %% [markdown]
# Guessing gives 0.1. The likely reason: the gradient of W1
# is $10^5$ times smaller than that of W7, so it would need a rate of its own $10^5$ times as high,
# not 10 or 100 times. "Healthy" has two layers.
#
# ## Check yourself

# %%
# Question 1, with its answers.
selfcheck = SelfCheck("01_gradient_vanishing")
selfcheck.number(
    "leaky",
    "Ten leaky ReLU layers of slope 0.1, weights of variance 1/n. What is left after 9 factors?",
    answer=0.505**4.5,
    factor=1.1,
    why="The mean square slope is (1 + 0.01) / 2 = 0.505, its root 0.71, its 9th power 0.046.",
    wrong={
        0.55**9: "You averaged the slopes. It is the mean of their squares that counts.",
        0.505**9: "A factor is the root of the mean square. You left out the root.",
    },
)

# %%
# Question 2, with its answers.
selfcheck.number(
    "parts",
    "Layer A has gradient norm 3, layer B 4, no other has one. What is the relative gradient of A?",
    answer=0.6,
    within=0.005,
    why="The whole is the root of 9 + 16, so 3/5. B has 4/5. Their squares add up to 1.",
    wrong={
        3 / 7: "Norms of parts do not add, their squares do.",
        9 / 25: "That is the share of the squares. Take its root.",
    },
)

# %%
# A certificate to read.
torch.manual_seed(1)
read_me = mlp(6, nn.Sigmoid, init=glorot)
for lock in certificate(read_me, batch, F.cross_entropy).locks:
    print(f"{lock.kind} at {lock.place}: {lock.evidence}")
selfcheck.choice(
    "certificate",
    "Read the lock of this certificate. Which is the best first key?",
    {
        "unfreeze the layer": "Nothing is frozen: the gradient arrives, only too small.",
        "a rate 10 times as high": "The share is below a thousandth; ten times that is too little.",
        "BatchNorm or residual connections": right(
            "The lock is a vanishing gradient; both bring the factor near 1 and hold it there."
        ),
        "more data": "The factor per layer does not depend on how much data there is.",
    },
)

# %%
# Question 4, with its answers.
selfcheck.order(
    "optimizers",
    "W1 has a relative gradient of 1e-5. Order by how far it moves in a step, least first.",
    ["not in the optimizer", "SGD", "Adam"],
    why="Without an optimizer nothing moves it. SGD moves it in proportion to its gradient. Adam "
    "divides by the gradient's own size.",
)

# %%
# A figure to read: two networks of ten layers.
figure, axes = figures.chart(
    "Read it: which of the two starves?", "layer", "gradient norm", (7.0, 2.0)
)
axes.semilogy(range(1, 11), 1e-5 * np.ones(10), **ARMS[0], label="A")
axes.semilogy(range(1, 11), 10.0 ** -np.arange(9, -1, -1), **ARMS[1], label="B")
axes.legend(loc="lower right")
figures.show(figure, "Gradient norm of ten layers. A is level at 1e-5; B rises from 1e-9 to 1.")
selfcheck.choice(
    "figure",
    "In which network does the relative gradient show no lock, although no layer gets much?",
    {
        "A": right("All ten have the share 1 / root 10 = 0.32. Only the update ratio shows it."),
        "B": "There the lower layers have a small share, and the relative gradient shows them.",
        "both": "In B the lowest layer has a share of 1e-9.",
        "neither": "In A every layer has the same share, 0.32, of a whole that is small.",
    },
)

# %%
predict.summary()

# %% [markdown]
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | A part is locked if its gradient is below a share of the whole | HALF: for plain SGD | [M] |
# | Watching gradient norms finds vanishing gradients | HALF: they may say 0, NaN, or level | [M] |
# | An update is the rate times the gradient | FALSE for Adam; on decay see [lesson 04][4] | [U] |
# | A layer with a small gradient stands still, as if frozen | FALSE under Adam | [U] |
# | So there is no meaningful update | HALF: it moves fully, and learns little | [U] |
# | The relative gradient certifies a lock | HALF: it needs the update ratio beside it | [U] |
# | Vanishing can be undone | HALF: some keys do; warm-up and higher rates did not | [K] |
# | Early layers update more slowly | FALSE in general: under Adam W1 moves farther than W7 | [U] |
# | Late layers get larger gradients | FALSE in general: about level under He | [M], [K] |
# | The source is Bengio 1994 | TRUE of recurrent nets; depth: Glorot 2010, He 2015 | [H] |
# | He 2015 is the source of leaky ReLU | FALSE: of PReLU and of a rule; not tested here | [F] |
#
# [F]: #The-factor-of-each-layer
# [H]: #Recurrent-networks-and-their-horizon
# [K]: #Keys:-a-way-round,-and-a-fresh-scale
# [M]: #Where-the-relative-gradient-misleads
# [U]: #The-update-ratio
# [4]: 04_explicit_freezing.ipynb
#
# ## Pitfalls people meet
#
# - *The default of `nn.Linear` is He's.* It calls `kaiming_uniform_` with $a = \sqrt 5$, which
#   comes out as the naive $\pm 1/\sqrt n$:
#   [pytorch#15314](https://github.com/pytorch/pytorch/issues/15314),
#   [pytorch#129302](https://github.com/pytorch/pytorch/issues/129302).
# - *A bound taken for a standard deviation* makes weights $\sqrt 3$ times too small; asked about in
#   [mlx#2001](https://github.com/ml-explore/mlx/issues/2001).
# - *The norm is 0 or infinite, the gradient is not.* In JAX:
#   [jax#5816](https://github.com/jax-ml/jax/issues/5816). In float16, where clipping by such a norm
#   then wipes out the gradient:
#   [fairscale#263](https://github.com/facebookresearch/fairscale/pull/263),
#   [burn#5699](https://github.com/tracel-ai/burn/issues/5699).
#
# ## Summary
#
# | you want to know | look at | mind |
# |---|---|---|
# | what a layer lets through | $\sqrt{n \operatorname{Var} w \, E[\sigma'^2]}$ | mean of squares |
# | weights that keep the signal | $s_\text{up}$: `fan_in`, $s_\text{down}$: `fan_out` | no bound |
# | whether a gradient arrives | $\Vert\nabla_S\Vert / \Vert\nabla\Vert$ | cast first, refuse NaN |
# | whether the layer moves | $\Vert\Delta w\Vert / \Vert w\Vert$, measured | clone first |
# | how far back an RNN learns | $\Vert W^T\Vert_2 < \varepsilon$ | $\rho$ is the long run |
#
# ReLU keeps the signal at $\operatorname{Var} w = 2/n$, tanh at a little above $1/n$; thirty
# sigmoids at no scale short of saturation, while six begin to learn at four times Glorot's. The
# relative gradient misleads under Adam, by underflow, by NaN, under normalisation, and where the
# whole network starves. Initialisation sets the start; residual connections and normalisation hold
# on.
#
# ## References
#
# - Y. Bengio, P. Simard, P. Frasconi. *Learning Long-Term Dependencies with Gradient Descent is
#   Difficult.* IEEE TNN 5(2), 1994. [doi:10.1109/72.279181](https://doi.org/10.1109/72.279181)
# - X. Glorot, Y. Bengio. *Understanding the Difficulty of Training Deep Feedforward Neural
#   Networks.* AISTATS 2010. [PMLR 9:249-256](https://proceedings.mlr.press/v9/glorot10a.html)
# - K. He, X. Zhang, S. Ren, J. Sun. *Delving Deep into Rectifiers.* ICCV 2015.
#   [arXiv:1502.01852](https://arxiv.org/abs/1502.01852)
# - K. He, X. Zhang, S. Ren, J. Sun. *Deep Residual Learning for Image Recognition.* CVPR 2016.
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - S. Ioffe, C. Szegedy. *Batch Normalization.* ICML 2015.
#   [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)
# - D. P. Kingma, J. Ba. *Adam.* ICLR 2015. [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)
# - Digits: E. Alpaydin, C. Kaynak. UCI Machine Learning Repository, 1998.
#   [doi:10.24432/C50P49](https://doi.org/10.24432/C50P49), as shipped with scikit-learn.
