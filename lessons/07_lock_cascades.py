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
# # Lock cascades
#
# One layer falls silent, and most gradients of the network are zero: in layers that are perfectly
# well. A lock in one place has consequences elsewhere, and they are what you see first. Which ones,
# can be said exactly. At the end stand two cascades that no single layer makes: one made by depth,
# one by the loss.
#
# **After it you can**
#
# - name every tensor that gets a gradient of exactly 0 when a layer is silent, skips included;
# - tell a constant output that is locked from one that opens in a single step, and an exact zero
#   from a number that is small, or was rounded to zero;
# - say what a skip, a normalisation or a branch does to a cascade, and find its origin.
#
# **Minutes:** 45. **It rests on** lesson 02 (dead units), backpropagation, and a first meeting with
# PyTorch. Where the lesson asks for a prediction, give a guess before you run on: the end of the
# lesson lists your guesses against the measurements.

# %% tags=["fold"]
# What is used below.
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

import paramlock
from lessonkit import claims, explore, seeding
from lessonkit.drawing import chain, draw, locked_nodes
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, COLOURS, THEORY

predict = Predictions("07_lock_cascades")
selfcheck = SelfCheck("07_lock_cascades")

# %% [markdown]
# ## One silent layer

# %% tags=["fold"]
# Draws six layers of which the third puts out nothing but zeros.
seeding.seed_everything(0)
figures.use_style()
names = [f"layer{k}" for k in range(1, 7)]
notes = {"layer1": "no gradient", "layer3": "always 0", "layer5": "constant"}
healthy = chain([8, 6, 6, 6, 6, 6, 3], names=names, dead={"layer3": range(6)}, notes=notes)
affected = [one if one.name == "layer3" else replace(one, afar="dead") for one in healthy[:4]]
silenced = draw(
    [*affected, *healthy[4:]], "Layer 3 is silent, and three others cannot learn freely"
)
silenced.show()

# %% tags=["claim"]
assert locked_nodes(silenced) == {("layer3", "dead"): tuple(range(6))}

# %% [markdown]
# Layer 3 gives 0 in all its units, for every input: it is *silent*. Nothing is wrong with the other
# layers. Yet those before it get no gradient, the weight right after it gets none either, and what
# the last ones put out no longer depends on the input. The locked layer is the *origin*, what it
# does to others are *consequences*, and all of it together is a *cascade*.
#
# A dead ReLU layer is silent (lesson 02). So is what a product with 0 makes: a gate that is shut, a
# branch that is dropped, a layer pruned to nothing. We do it by a bias of -100 in each unit.
#
# The data are the 1,797 digits that come with scikit-learn, 8 by 8 pixels, each pixel minus its
# mean. The network has six Linear layers, $W_1, b_1$ to $W_6, b_6$, with ReLU between them. A
# *skip* `(a, b)` adds the output of layer `a` to the input of layer `b`; for now there are none.

# %% tags=["fold"]
# Loads the images.
digits = load_digits()
x = torch.tensor(digits.data / 16, dtype=torch.float32)
x, y = x - x.mean(0), torch.tensor(digits.target)


# %%
class Chain(nn.Module):
    """64-32-32-32-32-32-10 with ReLU between the layers, which are called layer1 to layer6."""

    def __init__(self, seed=0, skips=(), norm=nn.Identity):
        super().__init__()
        torch.manual_seed(seed)
        self.skips, self.strength, sizes = skips, 1.0, [64, *[32] * 5, 10]
        for k in range(1, 7):
            layer = nn.Linear(*sizes[k - 1 : k + 1])
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.1)
            self.add_module(f"layer{k}", layer)
        self.norms = nn.ModuleList(norm() for _ in range(5))

    def trace(self, x):
        """Return the input and the output of each layer, a list of seven."""
        h = [x]
        for k in range(1, 7):
            fed = [self.strength * h[start] for start, end in self.skips if end == k]
            z = getattr(self, f"layer{k}")(sum(fed, h[-1]))
            h.append(F.relu(self.norms[k - 1](z)) if k < 6 else z)
        return h

    def forward(self, x):
        return self.trace(x)[-1]


# %%
def silence(model, *layers):
    """Lower all biases of some layers so far that no unit is ever above zero."""
    for k in layers:
        getattr(model, f"layer{k}").bias.data.fill_(-100.0)
    return model


def ranges(model):
    """Return the largest range of a unit over all images, of each layer."""
    with torch.no_grad():
        return [(h.amax(0) - h.amin(0)).max().item() for h in model.trace(x)[1:]]


# %% [markdown]
# ## What goes forward
#
# Layer $k$ forms $z_k = W_k h_{k-1} + b_k$ and gives $h_k = \sigma(z_k)$, from $h_0 = x$ on.

# %% tags=["fold"]
# A prediction.
predict.number(
    "varying",
    "Layer 3 of six is silent. How many of the six layers put out something that differs from "
    "image to image?",
    within=0,
)

# %% [markdown]
# Let layer $l$ be silent, $h_l = 0$. Then
#
# $$z_{l+1} = W_{l+1}\, 0 + b_{l+1} = b_{l+1}, \qquad h_{l+1} = \sigma(b_{l+1}), \qquad
# h_{l+2} = \sigma\big(W_{l+2}\, \sigma(b_{l+1}) + b_{l+2}\big), \dots$$
#
# No $x$ is left in it. The *range* of a unit is its largest output over all images minus its
# smallest; of a layer we take the largest range of its units.

# %%
model = silence(Chain(), 3)
found = ranges(model)
predict.measured("varying", sum(r > 1e-5 for r in found))
for k, (r, h) in enumerate(zip(found, model.trace(x)[1:], strict=True), start=1):
    print(f"layer {k}: largest output {h.max().item():5.2f}, largest range {r:.2f}")
print("different answers to", len(x), "images:", len(set(model(x).argmax(1).tolist())))

# %% tags=["claim"]
assert min(found[:2]) > 0.5 and found[2] == 0 and max(found[3:]) < 1e-5
assert torch.equal(model.trace(x)[4][0], F.relu(model.layer4.bias))
assert len(set(model(x).argmax(1).tolist())) == 1

# %% [markdown]
# **Why.** Layers 4 to 6 give something, but the same to every image. The word is *constant*, not
# *zero*: whoever looks for zeros finds the origin and misses half of the cascade. And if layer 3
# gave 5, always, everything after it would be constant just the same. One sample cannot show it.
#
# **With skips** a layer is fed by several others. It is constant if it is silent, or if *all* that
# feeds it is constant (unless sources cancel each other exactly). In other words: a layer varies if
# some path from the input to it avoids all silent layers.
#
# ## What goes backward
#
# It is often said that a silent layer locks the parameters of all layers up to it. Count.

# %% tags=["fold"]
# A prediction.
predict.number(
    "zero_tensors",
    "Layer 3 is silent. How many of the 12 tensors W1, b1, ..., W6, b6 get a gradient of 0?",
    unit="tensors",
    within=0,
)

# %% [markdown]
# Write $\delta_k = \partial L / \partial z_k$, one row per sample $n$. Backpropagation says
#
# $$\frac{\partial L}{\partial W_k} = \sum_n \delta_{k,n}\, h_{k-1,n}^\top, \qquad
# \frac{\partial L}{\partial b_k} = \sum_n \delta_{k,n}, \qquad
# \delta_{k,n} = \sigma'(z_{k,n}) \odot W_{k+1}^\top \delta_{k+1,n} .$$
#
# A weight's gradient is a product: what arrives from above, $\delta_k$, times what comes from
# below, $h_{k-1}$. It is zero if either is. A bias asks only for what arrives. In a silent layer
# $l$ the slopes $\sigma'(z_l)$ are all zero, so:
#
# - $\delta_l = 0$, hence $\delta_k = 0$ for all $k \le l$: zero for $W_k$ and $b_k$, $k \le l$.
# - $h_l = 0$, hence zero for $W_{l+1}$ too, though $\delta_{l+1}$ arrives there in full.
# - $b_{l+1}$ gets $\delta_{l+1}$. Further up $h$ is constant but not zero, and all get something.
#
# So what is often said is true, and one tensor short.


# %%
def gradients(model, loss=F.cross_entropy):
    """Return the gradient of each tensor over all images: {"W1": ..., "b1": ..., "W2": ...}."""
    model.zero_grad()
    loss(model(x), y).backward()
    owned = {n: p for n, p in model.named_parameters() if n.startswith("layer")}
    return {f"{'W' if p.dim() == 2 else 'b'}{name[5]}": p.grad for name, p in owned.items()}


def exact_zeros(model):
    """Return the names of the tensors whose gradient is zero in every entry."""
    return [name for name, gradient in gradients(model).items() if not gradient.any()]


# %%
by_layer = {k: exact_zeros(silence(Chain(), k)) for k in range(1, 6)}
predict.measured("zero_tensors", len(by_layer[3]))
for k, found in by_layer.items():
    print(f"layer {k} silent: {len(found):2} tensors get exactly 0:", *found)

# %% tags=["claim"]
assert by_layer[3] == ["W1", "b1", "W2", "b2", "W3", "b3", "W4"]
assert [len(found) for found in by_layer.values()] == [3, 5, 7, 9, 11]
assert all(f"W{k + 1}" in found and f"b{k + 1}" not in found for k, found in by_layer.items())
bare = silence(Chain(), 3)
for k in range(4, 7):
    getattr(bare, f"layer{k}").bias.data.zero_()
assert exact_zeros(bare) == [*gradients(bare)][:-1]

# %% [markdown]
# **Why.** A silent layer $l$ locks $2l + 1$ tensors: all up to it, and the next weight.
#
# For networks of another shape, the product decides again. **With skips** $b_k$ gets a gradient if
# some path leads from layer $k$ to the loss that avoids all silent layers, $k$ itself included;
# $W_k$ needs besides that its input is not all zero. **Without biases** a layer after the silent
# one puts out $\sigma(0) = 0$. It is silent too, and so is the next, up to the output: no weight at
# all gets a gradient.
#
# ### Measure it on any network
#
# A *forward hook* replaces what a module puts out, and leaves its weights alone. Take it off again,
# and clear the gradients: a measurement leaves no trace.

# %%
whole = Chain()
for name, quiet in {"out * 0": lambda out: out * 0, "zeros_like": torch.zeros_like}.items():
    handle = whole.layer3.register_forward_hook(lambda module, args, out, q=quiet: q(out))
    found = gradients(whole).values()
    handle.remove()
    absent = sum(gradient is None for gradient in found)
    zero_count = sum(gradient is not None and not gradient.any() for gradient in found)
    print(f"{name:10}: {zero_count} tensors get zeros, {absent} get None")
whole.zero_grad()

# %% tags=["claim"]
assert exact_zeros(whole) == [] and (zero_count, absent) == (1, 6)

# %% [markdown]
# **Why.** `out * 0` keeps the path and multiplies what goes along it by zero, in both directions.
# `zeros_like` makes a new tensor that knows nothing of `out`: the path is *cut*, and what lies
# behind it gets no gradient at all, `None`. That is a lock by the graph (*unreached*), a zero is
# one by the numbers. (Where `out` holds infinities, `out * 0` makes NaN.) JAX knows no `None`: what
# the loss does not depend on gets zeros.


# %%
def jax_loss(tree, images, labels, silent):
    h = images
    for k in range(1, 7):
        z = h @ tree[f"layer{k}.weight"].T + tree[f"layer{k}.bias"]
        h = jax.nn.relu(z) * (k != silent) if k < 6 else z
    return -jax.nn.log_softmax(h)[jnp.arange(len(labels)), labels].mean()


# %%
tree = {name: jnp.asarray(p.detach().numpy()) for name, p in whole.named_parameters()}
grads = jax.grad(jax_loss)(tree, jnp.asarray(x), jnp.asarray(y), silent=3)
print("gradient exactly 0 in JAX:", *(name for name, g in grads.items() if not g.any()))

# %% [markdown]
# ### What such a network still learns
#
# $b_4$ and all above it go on learning. We train such a network for 200 steps of Adam.


# %%
def train(model, steps, optimizer):
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return F.cross_entropy(model(x), y).item()


# %%
starved = silence(Chain(), 3)
loss = train(starved, 200, torch.optim.Adam(starved.parameters(), lr=0.01))
shares = torch.bincount(y) / len(y)
print(f"loss {loss:.2f}, entropy of the labels {-(shares * shares.log()).sum():.2f}")

# %% tags=["claim"]
entropy = -(shares * shares.log()).sum().item()
claims.band("silent layer: loss above the entropy", loss - entropy, low=-0.001, high=0.01)
untouched = Chain()
loss_whole = train(untouched, 200, torch.optim.Adam(untouched.parameters(), lr=0.01))
claims.band("the same without the lock", loss_whole, high=0.1)

# %% [markdown]
# **Why.** The best constant answer is the share of each class, and its cross-entropy is the
# *entropy of the labels*, here $\ln 10$, as all digits are about equally frequent. By this trace
# you know a complete cascade from outside: a loss that falls to the entropy and stays there.
#
# ## Two kinds of constant
#
# In two networks layer 3 gives the same to all images. In one its slopes are zero (bias -100), in
# the other its incoming weights are (weights 0, bias 0.1, so that each unit gives 0.1).

# %% tags=["fold"]
# A prediction.
predict.choice(
    "opens",
    "Layer 3 is constant because its incoming weights are all 0. After how many steps of SGD does "
    "layer 1 get a gradient?",
    ["one", "about a hundred", "never"],
)

# %%
slope_zero, weight_zero = silence(Chain(), 3), Chain()
weight_zero.layer3.weight.data.zero_()
weight_zero.layer3.bias.data.fill_(0.1)


def history(model):
    """Return after 0, 1 and 100 steps how many tensors get exactly 0, and layer 3's range."""
    sgd, found = torch.optim.SGD(model.parameters(), lr=0.1), []
    for steps in (0, 1, 99):
        train(model, steps, sgd)
        found.append((len(exact_zeros(model)), ranges(model)[2]))
    return found


# %%
locked, open_ = history(slope_zero), history(weight_zero)
predict.measured("opens", "one" if open_[1][0] == 0 else "never")
for name, found in {"slopes 0": locked, "weights 0": open_}.items():
    for steps, (count, r) in zip((0, 1, 100), found, strict=True):
        state = "varies" if r else "is constant"
        print(f"{name:9} after {steps:3} steps: {count} tensors get 0, layer 3 {state}")

# %% tags=["claim"]
assert [count for count, _ in locked] == [7, 7, 7] and [count for count, _ in open_] == [4, 0, 0]
assert [r > 0 for _, r in open_] == [False, True, True] and not any(r for _, r in locked)

# %% [markdown]
# **Why.** Read the product again for $W_3 = 0$. What arrives, $\delta_3$, is not zero, and what
# comes from below, $h_2$, is not. So $W_3$ gets a gradient. Only what would go further down,
# $W_3^\top \delta_3$, is zero: four tensors, $W_1$ to $b_2$. After one step $W_3$ is not zero any
# more, and the cascade is gone. *Constant output* is a symptom that two different things share; the
# slope tells them apart. It is used on purpose: residual networks often begin with a scale of 0 at
# the end of each block ([Goyal and others, 2017](https://arxiv.org/abs/1706.02677)).
#
# ## Exact zeros and small numbers
#
# A gradient that is tiny in one number format is zero in another: float32 holds nothing below about
# $10^{-45}$, float64 nothing below about $10^{-324}$. Here is layer 1 of three networks: our chain
# with its silent layer, and two healthy sigmoid networks, 32 and 60 layers deep, whose gradient
# shrinks to about a seventh in each layer (lesson 01).


# %%
def sigmoids(depth):
    torch.manual_seed(0)
    hidden = [m for _ in range(depth) for m in (nn.Linear(64, 64), nn.Sigmoid())]
    return nn.Sequential(*hidden, nn.Linear(64, 10))


def first_gradient(model, dtype):
    """Return the gradient of the first weight matrix, computed in `dtype`."""
    model.to(dtype).zero_grad()
    F.cross_entropy(model(x[:256].to(dtype)), y[:256]).backward()
    return next(model.parameters()).grad.clone()


# %% tags=["nbval-ignore-output"]
suspects = {"silent layer": silence(Chain(), 3)}
suspects |= {f"{depth} sigmoid layers": sigmoids(depth) for depth in (32, 60)}
single = {name: first_gradient(model, torch.float32) for name, model in suspects.items()}
double = {name: first_gradient(model, torch.float64) for name, model in suspects.items()}
print("largest entry, norm by squares, and largest entry in float64")
for name, g in single.items():
    by_squares, largest = (g**2).sum().sqrt(), double[name].abs().max()
    print(f"{name:17} {g.abs().max():7.0e} {by_squares:7.0e} {largest:7.0e}")

# %% tags=["claim"]
assert not single["silent layer"].any() and not double["silent layer"].any()
assert single["32 sigmoid layers"].all(0).sum() == 61 == x[:256].any(0).sum()
assert (single["32 sigmoid layers"] ** 2).sum() == 0
assert not single["60 sigmoid layers"].any() and double["60 sigmoid layers"].any()
for name, rescued in {"silent layer": False, "60 sigmoid layers": True}.items():
    again = suspects[name].float()
    again.zero_grad()
    (1e20 * F.cross_entropy(again(x[:256]), y[:256])).backward()
    assert bool(next(again.parameters()).grad.any()) == rescued

# %% [markdown]
# **Why.** The silent layer's zero is a product with zero; no format and no scale changes it. At
# depth 32 the entries are there (but for those of three pixels that are always 0) and the *norm* is
# 0, because squaring took them below the smallest float32. At depth 60 the entries themselves have
# gone under. For a float32 run that is as good as a lock, but another one: multiplying the loss by
# $10^{20}$ brings the gradient back, and does nothing for the first.
#
# So ask for exact zeros, `not gradient.any()`, and repeat the measurement in float64 before you
# believe them. A threshold such as `norm < 1e-8` calls all three locked; and under Adam, which
# divides by the gradient's own size, a small gradient alone is no lock (lesson 01).
#
# ## What stops it
#
# We silence layer 3 in six networks: by a hook after the normalisation, so that it is equally
# silent in all of them.

# %% tags=["fold"]
# A prediction.
predict.number(
    "around",
    "A skip leads around the silent layer 3: from the output of layer 2 to the input of layer 4. "
    "How many of the 7 locked tensors stay locked?",
    unit="tensors",
    within=0,
)


# %%
def hush(model, layer):
    """Let the ReLU of a layer get -1 on every sample, whatever comes before it."""
    model.norms[layer - 1].register_forward_hook(lambda module, args, out: out * 0 - 1)
    return model


nets = {
    "a chain": Chain(),
    "skip (2, 4), around it": Chain(skips=[(2, 4)]),
    "skip (1, 6), far around": Chain(skips=[(1, 6)]),
    "skip (3, 5), from it": Chain(skips=[(3, 5)]),
    "LayerNorm before each ReLU": Chain(norm=lambda: nn.LayerNorm(32)),
    "BatchNorm before each ReLU": Chain(norm=lambda: nn.BatchNorm1d(32)),
}
stopped = {name: exact_zeros(hush(model, 3)) for name, model in nets.items()}

# %% tags=["nbval-ignore-output"]
predict.measured("around", len(stopped["skip (2, 4), around it"]))
for name, zero in stopped.items():
    seeing = [k for k, r in enumerate(ranges(nets[name]), start=1) if r > 1e-4]
    print(f"{name:26} exactly 0: {' '.join(zero):20}  layers that see the image:", *seeing)

# %% tags=["claim"]
assert [len(stopped[name]) for name in list(nets)[:4]] == [7, 2, 5, 7]
residual, into = Chain(skips=[(1, 3), (2, 4), (3, 5), (4, 6)]), Chain(skips=[(1, 3)])
assert exact_zeros(hush(residual, 3)) == stopped["skip (2, 4), around it"] == ["W3", "b3"]
assert len(exact_zeros(hush(into, 3))) == 7
assert stopped["skip (1, 6), far around"] == ["W2", "b2", "W3", "b3", "W4"]
assert max(ranges(nets["BatchNorm before each ReLU"])[2:]) < 1e-4
normal = nets["BatchNorm before each ReLU"].double()
normal.zero_grad()
F.cross_entropy(normal(x.double()), y).backward()
size = {name: p.grad.abs().max() for name, p in normal.named_parameters() if "layer" in name}
high = [size[f"layer{k}.{kind}"] for k in (4, 5, 6) for kind in ("weight", "bias")]
assert max(high[:5]) < 1e-6 * high[5]

# %% [markdown]
# **Why.** With the skip (2, 4) only the silent layer's own $W_3$ and $b_3$ stay locked. A residual
# network, or one with a second *branch* beside the silent layer, is safe in the same way. The far
# skip leaves 2 and 4 in the shadow. A skip that *begins* at the silent layer carries zeros, one
# that *ends* at its input leads into it. So the smallest repair is the skip from $l-1$ to $l+1$.
#
# Normalisation adds no path. LayerNorm makes one constant of another. BatchNorm even spreads the
# silence: it subtracts the mean of the batch, and a constant minus its mean is 0. Layers 4 and 5
# fall silent as well, and only $b_6$ learns. (Float32 hides it: rounding, divided by a deviation of
# nearly 0, leaves small numbers in $b_4$ to $W_6$. In float64 they are gone.)
#
# In formulas, a *residual block* $y = x + \gamma f(x)$ has $\partial L / \partial x = \delta +
# \gamma J_f^\top \delta$. If $f$ is silent, or $\gamma$ is 0, $\delta$ passes unchanged. How
# strong must a skip be? Here it adds $s\, h_{l-1}$ to what layer $l+1$ gets.

# %% tags=["fold"]
# Draws each layer's gradient, for the silent layer and the strength that sliders ask for.
title = "Any strength above 0 ends the exact zeros; a weak skip leaves a weak gradient"
skipped, axes = figures.chart(title, "layer", "norm of the gradient of W")
axes.set(yscale="log", ylim=(1e-12, 10), xlim=(0.6, 6.4), xticks=range(1, 7))
marks = {"linestyle": "", "markersize": 9, "animated": True}
(alive,) = axes.plot([], [], marker="o", color=COLOURS["trainable"], label="learns", **marks)
(gone,) = axes.plot([], [], marker="X", color=COLOURS["no_signal"], label="exactly 0", **marks)
axes.legend(loc="upper center", ncols=2)
round_layer = {k: silence(Chain(skips=[(k - 1, k + 1)]), k) for k in range(2, 6)}


def around(silent, strength):
    model = round_layer[silent]
    model.strength = strength
    model.zero_grad()
    F.cross_entropy(model(x[:256]), y[:256]).backward()
    norms = [p.grad.double().norm().item() for p in model.parameters() if p.dim() == 2]
    zero = [k for k, norm in enumerate(norms, start=1) if norm == 0]
    alive.set_data([k for k in range(1, 7) if norms[k - 1]], [n for n in norms if n])
    gone.set_data(zero, [3e-12] * len(zero))
    return (
        f"Layer {silent} silent, skip of strength {strength:g}: exactly 0 for {len(zero)} of 6 "
        f"weights; layer 1 gets {norms[0]:.1g}."
    )


# %%
sliders = {
    "silent": explore.Slider("Silent layer", 2, 5, 1, 3),
    "strength": explore.Steps("Strength of the skip", [0, 1e-8, 1e-6, 1e-4, 0.01, 0.1, 1], 0.01),
}
alt = "Gradient norms of six weights; exact zeros stand at the lower edge, with another mark."
skipping = explore.Experiment(skipped, around, sliders, alt=alt)
skipping.show()

# %% tags=["claim"]
for layer in (2, 3, 5):
    assert f"exactly 0 for {layer + 1} of 6" in around(layer, 0)
    assert all("exactly 0 for 1 of 6" in around(layer, s) for s in (1e-8, 1e-4, 1.0))

# %% [markdown]
# **Why.** What arrives below is $\delta$ times $s$: at $10^{-8}$ not zero, and hardly anything.
#
# ### BatchNorm in its two modes
#
# Before a ReLU, BatchNorm can keep a layer from falling silent. It gives $\gamma \hat z + \beta$
# with $\hat z = (z - \mu)/s$: in training mode $\mu$ and $s$ are mean and deviation of the batch,
# in evaluation mode running averages. Of a $\delta$ that arrives it passes down
#
# $$\text{training:}\; \frac{\gamma}{s}\big(\delta - \overline{\delta} -
# \hat z\; \overline{\delta \hat z}\big), \qquad \text{evaluation:}\; \frac{\gamma}{s}\,\delta ,$$
#
# with bars for means over the batch. If $\gamma = 0$, nothing. And what it passes in training mode
# has the sum 0: a bias right before it gets no gradient (up to rounding) and needs none.

# %% tags=["fold"]
# A prediction.
predict.choice(
    "mode",
    "The bias of -100 stands before a fresh BatchNorm, then the ReLU. When is layer 3 silent?",
    ["in training mode", "in evaluation mode", "in both", "in neither"],
)


# %%
def alive_units(model, training):
    """Return how many units of layer 3 are above zero on some image."""
    return int((model.train(training).trace(x)[3] > 0).any(0).sum())


normed = silence(Chain(norm=lambda: nn.BatchNorm1d(32)), 3)
fresh, training = alive_units(normed, training=False), alive_units(normed, training=True)
modes = {(0, 32): "in evaluation mode", (32, 0): "in training mode", (0, 0): "in both"}
predict.measured("mode", modes.get((fresh, training), "in neither"))
print(f"units of layer 3 alive: {training} of 32 in training mode, {fresh} in evaluation mode")
for _ in range(60):
    normed.train()(x)
print(f"evaluation mode after 60 passes in training mode: {alive_units(normed, training=False)}")

# %% tags=["claim"]
assert (fresh, training, alive_units(normed, training=False)) == (0, 32, 32)
z = torch.randn(50, 3, dtype=torch.float64, requires_grad=True)
delta, batchnorm = torch.randn(50, 3, dtype=torch.float64), nn.BatchNorm1d(3).double()
(down,) = torch.autograd.grad(batchnorm(z), z, delta)
s = (z.var(0, unbiased=False) + batchnorm.eps).sqrt()
hat = (z - z.mean(0)) / s
assert torch.allclose(down, (delta - delta.mean(0) - hat * (delta * hat).mean(0)) / s)
assert down.sum(0).abs().max() < 1e-12

# %% [markdown]
# **Why.** In training mode the mean of the batch holds the -100, and is subtracted. In evaluation
# mode the running mean stands in, still 0 at first. After $k$ passes $100 \cdot 0.9^k$ are left: 12
# after 20, 0.2 after 60. While too much is left, training sees a living layer and a test a cascade.
#
# ## Origin and symptom
#
# Two numbers per layer are enough to find an origin: the range of what it puts out, and the
# gradient of its bias. Read the ranges **from the input up**: the first layer that is constant
# *though its input varies* is an origin; constant layers after it are symptoms. Read the gradients
# **from the loss down**: the first layer whose bias gets 0 *though the layer above it gets
# something* is an origin; all below are symptoms. Then ask for its slopes. If all are 0 on all
# data, it is locked. If not, look at its weights and at those one layer up: where a weight is all
# 0, the bias beside it still gets a gradient, and the reading from the loss names the layer below.
#
# And if there are two? The library's certificate follows the graph of layers, and lists with each
# origin its consequences.

# %% tags=["fold"]
# A prediction.
predict.choice(
    "two",
    "Layers 2 and 4 are both silent. Which can be found by reading the ranges from the input up?",
    ["2 alone", "4 alone", "both"],
)


# %%
twice = silence(Chain(), 2, 4)
varying = [r > 1e-5 for r in ranges(twice)]
arriving = [bool(g.any()) for name, g in gradients(twice).items() if name[0] == "b"]
lowest, highest = varying.index(False) + 1, 6 - arriving[::-1].index(False)
predict.measured("two", "2 alone" if lowest == 2 else "4 alone")
print(f"first constant layer from the input up: {lowest}")
print(f"first bias without gradient from the loss down: layer {highest}")


# %%
def origins(model, loss=F.cross_entropy):
    """Print the locks of a certificate that have consequences elsewhere."""
    certificate = paramlock.certificate(model, (x, y), loss)
    for k in certificate.cascades:
        print(f"{k.kind} at {k.place}; no gradient at {k.backward}, constant after it: {k.forward}")
    return certificate


# %%
named = [origins(twice)]
twice.layer2.bias.data.zero_()
named.append(origins(twice))
draw(named[1], "Layer 4 is the origin; hatched layers only suffer from it").show()

# %% tags=["claim"]
assert (lowest, highest) == (2, 4)
assert [lock.place for certificate in named for lock in certificate.cascades] == [
    "layer2",
    "layer4",
]
(lock,) = named[1].cascades
assert lock.backward == ("layer1", "layer2", "layer3") and lock.forward == ("layer5", "layer6")
assert locked_nodes(draw(named[1]))["layer4", "dead"] == 1.0

# %% [markdown]
# **Why.** Each reading finds the origin nearest to where it starts. The certificate reads upwards
# here. So repair what it names, measure again, and go on until no cascade is left.
#
# A gradient is missing for two other reasons, and then all layers vary. If the path is cut, it is
# `None` (certificate: *unreached*, at the last layer before the cut). If the loss is flat where the
# outputs are, it is 0 from top to bottom (*no_signal*, at the loss).

# %% tags=["claim"]
flat = paramlock.certificate(Chain(), (x, y), lambda out, _: F.relu(out.abs().sum(1) - 1e3).mean())
assert [(lock.kind, str(lock.place)) for lock in flat.cascades] == [("no_signal", "loss")]

# %% [markdown]
# ## A cascade by depth alone
#
# In a transformer the layers pass on *tokens*, one vector each, and *attention* mixes them. With
# tokens as rows of $X$ it gives $P X W_V$, where each row of
# $P = \mathrm{softmax}\big(X W_Q W_K^\top X^\top / \sqrt d\big)$ holds positive weights with sum 1:
# each new token is an average of the old ones. Dong, Cordonnier and Loukas (2021) showed that
# without skips all tokens become equal, doubly exponentially fast in the depth. No layer is silent,
# no weight is zero.
#
# How fast, by hand. Write each token as the mean $m$ and a rest $r_i$ of size $\rho$. In row $i$
# the score of token $j$ is $(m + r_i)^\top A\,(m + r_j)$. Terms without $j$ drop out of the
# softmax; $m^\top A\, r_j$ is the same in every row. What makes rows differ is $r_i^\top A\, r_j$,
# of order $\rho^2$. These weights average the rests, of order $\rho$. So the new tokens differ by
# order $\rho^3$: **the exponent triples in each layer**.
#
# We check it in untrained networks. Tokens are the 8 rows of a digit, embedded in 64 dimensions
# with a random vector for each position. The *spread* is the norm of all rests over that of all
# tokens; in float64 it ends at about $10^{-16}$.

# %% tags=["fold"]
# A prediction.
predict.choice(
    "spread",
    "The spread is 0.9 at the start. What is it after four layers of attention without skips?",
    ["about 0.5", "about 0.05", "about 0.001", "below 0.0000000001"],
)


# %%
class Block(nn.Module):
    """One head of attention; with it what the set `parts` asks for: skip, MLP, LayerNorm."""

    def __init__(self, parts, d=64):
        super().__init__()
        self.parts = parts
        self.q, self.k, self.v = (nn.Linear(d, d, bias=False) for _ in range(3))
        for linear in (self.q, self.k, self.v):
            nn.init.normal_(linear.weight, std=d**-0.5)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.ReLU(), nn.Linear(4 * d, d))
        for linear in self.mlp[::2] if "He" in parts else []:
            nn.init.kaiming_normal_(linear.weight)

    def forward(self, t):
        n = F.layer_norm(t, t.shape[-1:]) if "LayerNorm" in self.parts else t
        rows = torch.softmax(self.q(n) @ self.k(n).mT / t.shape[-1] ** 0.5, dim=-1)
        t = rows @ self.v(n) + (t if "skip" in self.parts else 0)
        return self.mlp(t) + (t if "skip" in self.parts else 0) if "MLP" in self.parts else t


# %%
def spread(t):
    return ((t - t.mean(1, keepdim=True)).norm(dim=(1, 2)) / t.norm(dim=(1, 2))).mean().item()


def stack(parts, seed, depth=6):
    """Return tokens of 64 images, shape (64, 8, 64), and a network for them."""
    torch.manual_seed(seed)
    embed, places = torch.randn(8, 64) / 64**0.5, torch.randn(8, 64)
    blocks = nn.Sequential(*(Block(parts) for _ in range(depth)))
    return (x[:64].reshape(64, 8, 8) @ embed + places).double(), blocks.double()


def spreads(parts, seed):
    t, blocks = stack(parts, seed)
    with torch.no_grad():
        return [spread(t), *(spread(t := block(t)) for block in blocks)]


arms = {
    "attention": [],
    "attention, MLP": ["MLP", "He"],
    "attention, LayerNorm": ["LayerNorm"],
    "attention, skip": ["skip"],
}
measured = {name: np.array([spreads(parts, s) for s in range(5)]) for name, parts in arms.items()}

# %% tags=["fold", "nbval-ignore-output"]
# Draws the spread against depth, and prints its middle seed.
at_four = np.log10(np.median(measured["attention"][:, 4]))
answers = ["below 0.0000000001", "about 0.001", "about 0.05", "about 0.5"]
predict.measured("spread", answers[np.searchsorted([-6, -2, -0.8], at_four)])
title = "Without skips the tokens become equal within five layers"
figure, axes = figures.chart(title, "layers of attention", "spread of the tokens", (7.0, 3.0))
looks = [*ARMS, {"color": COLOURS["healthy"], "marker": "D"}]
for (name, values), look in zip(measured.items(), looks, strict=True):
    axes.plot(np.median(values, 0), label=name, **look)
    axes.fill_between(range(7), values.min(0), values.max(0), color=look["color"], alpha=0.15)
axes.set(yscale="log", ylim=(2e-17, 10))
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
figures.show(figure, "Spread against depth, median and range of five seeds, four architectures.")
for name, values in measured.items():
    print(f"{name:21}", "  ".join(f"{value:.0e}" for value in np.median(values, 0)))

# %%
t, blocks = stack([], seed=0, depth=1)
mean = t.mean(1, keepdim=True)
tenth, hundredth = (spread(blocks(mean + scale * (t - mean))) for scale in (0.1, 0.01))
fall = tenth / hundredth
print(f"rests ten times smaller: the spread after one layer is {round(fall, -2):.0f} times smaller")

# %% [markdown]
# These MLPs begin by He's rule. Here are some with PyTorch's default start, and what a certificate
# finds in the four networks.

# %% tags=["nbval-ignore-output"]
default = np.median([spreads(["MLP"], s) for s in range(5)], 0)
print("MLP, default start   ", "  ".join(f"{value:.0e}" for value in default))


def token_loss(out, labels):
    return F.cross_entropy(out.mean(1)[:, :10], labels)


verdicts = {}
for name, parts in arms.items():
    t, blocks = stack(parts, seed=0)
    verdicts[name] = paramlock.certificate(blocks, (t, y[:64]), token_loss).cascades
    for lock in verdicts[name]:
        print(f"{name}: {lock.kind} at {lock.place}; little gradient at {', '.join(lock.backward)}")

# %% tags=["claim"]
for name, found in verdicts.items():
    assert [lock.kind for lock in found] == ([] if "skip" in name else ["collapsed"])
    assert all({n[-1] for n in lock.backward} <= set("qk") and lock.backward for lock in found)
typical = {name: np.log10(np.median(values, 0)) for name, values in measured.items()}
hurt = np.log10(default[3]) - typical["attention"][3]
claims.band("log10 of the spread after three, MLP from the default over none", hurt, high=-2)
log_spread = np.log(measured["attention"])
ratio = np.median(log_spread[:, 3] / log_spread[:, 2])
claims.band("exponent of the spread, layer 3 over 2", ratio, low=2.2)
claims.band("the spread falls, rests ten times smaller", fall, low=800, high=1200)
for name, values in measured.items():
    last = np.log10(values[:, 6])
    edges = {"low": -1} if "skip" in name else {"high": -14}
    claims.band(f"log10 of the spread after six layers, {name}", np.median(last), **edges)
for name, edges in {"attention": {"high": -6}, "attention, skip": {"low": -2}}.items():
    t, blocks = stack(arms[name], seed=0)
    token_loss(blocks(t), y[:64]).backward()
    queries, values = (getattr(blocks[5], kind).weight.grad.norm() for kind in "qv")
    claims.band(f"log10 of query over value gradient, {name}", (queries / values).log10(), **edges)

# %% [markdown]
# **Why.** Ten times less in, a thousand times less out: the cube. So from layer 2 on the logarithm
# of the spread grows three to four times per layer, until rounding ends it. LayerNorm rescales each
# token and brings none further from the others; it wins a layer. An MLP from PyTorch's default
# start loses one (likely since smaller tokens make the scores more alike); by He's rule it is ahead
# of none at layer four, by very different amounts from seed to seed, and equal by layer six.
# A skip alone stops it: what is averaged away is added back. And once the tokens are equal, it does
# not matter whom a query asks: queries and keys get no gradient (Noci and others, 2022). In layer 6
# without skips that of $W_Q$ is less than a millionth of that of $W_V$, with skips more than a
# hundredth.
#
# The certificate calls it *collapsed*, at the first layer whose tokens differ by less than
# $10^{-6}$ of their norm. PyTorch counts from 0: `4.q` makes the queries of layer 5. It lists the
# queries and keys before it that get little gradient, and nothing for the network with skips.
#
# ## A lock made by the loss
#
# A variational autoencoder describes an image by a few *latents* $z$ and decodes them again. Often
# some of them fall silent: the encoder gives the same for every image, the decoder ignores it. That
# is *posterior collapse*, and Lucas and others (2019) explained it in a linear network: decoder
# $Wz$ plus noise of variance $\sigma^2$, encoder $Vx$ plus noise of variances $d$. The loss (minus
# the ELBO) has a closed form in the covariance $S$ of the data (centred, divided by their number).
# In it each latent has a *KL*, the price of what it says, and 0 if it is silent. We give 12 latents
# to the digits, grey levels 0 to 16, and train with five values of $\sigma^2$ at once. The largest
# eigenvalues of $S$ are

# %%
pixels = torch.tensor(digits.data)
pixels = pixels - pixels.mean(0)
S = pixels.T @ pixels / len(pixels)
eigenvalues = torch.linalg.eigvalsh(S).flip(0)
noise = torch.tensor([24.0, 33.0, 47.0, 80.0, 120.0], dtype=torch.float64)
print(*(f"{value:.0f}" for value in eigenvalues[:13]))

# %% tags=["fold"]
# A prediction.
predict.number(
    "latents", "With a noise variance of 80, how many of 12 latents end active?", within=0
)


# %%
def minus_elbo(W, V, log_d):
    """Return the loss, shape (5,), and each latent's KL, shape (5, 12)."""
    d, code = log_d.exp(), V @ S @ V.mT
    fit = S.trace() - 2 * (W.mT * (V @ S)).sum((1, 2)) + (W.mT @ W * code).sum((1, 2))
    fit = fit + (W.square().sum(1) * d).sum(1)
    kl = (d + code.diagonal(dim1=1, dim2=2) - 1 - log_d) / 2
    return fit / (2 * noise) + kl.sum(1), kl


# %%
torch.manual_seed(0)
W, V = (0.05 * torch.randn(5, *shape, dtype=torch.float64) for shape in ((64, 12), (12, 64)))
weights = [p.requires_grad_() for p in (W, V, torch.zeros(5, 12, dtype=torch.float64))]


def fit(steps):
    """Train all five and return each latent's KL, shape (5, 12)."""
    adam = torch.optim.Adam(weights, lr=0.03)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        adam.zero_grad()
        minus_elbo(*weights)[0].sum().backward()
        adam.step()
        decay.step()
    return minus_elbo(*weights)[1].detach()


kl = fit(1500)
active = (kl > 0.01).sum(1).tolist()

# %%
above = [min(12, int((eigenvalues > variance).sum())) for variance in noise]
predict.measured("latents", active[3])
for variance, count, theory in zip(noise, active, above, strict=True):
    print(f"noise {variance:3.0f}: {count:2} latents active, {theory:2} of 12 eigenvalues above it")

# %% [markdown]
# And what each latent says, at a noise variance of 80, largest first. Then we kick a silent one.

# %% tags=["nbval-ignore-output"]
expected = (eigenvalues[:12] / noise[3]).log().clamp(min=0) / 2
print("KL:    ", *(f"{value:.2f}" for value in kl[3].sort(descending=True).values.abs()))
print("theory:", *(f"{value:.2f}" for value in expected))
quiet = kl[3].argmin()
with torch.no_grad():
    V[3, quiet] += 0.05
    kicked = minus_elbo(*weights)[1][3, quiet]
after = fit(300)[3, quiet]
print(f"KL of a silent latent after a kick {kicked:.1f}, and 300 steps later {abs(after):.2f}")

# %% tags=["claim"]
assert above == [12, 10, 7, 4, 3]
for variance, count, theory in zip(noise.tolist(), active, above, strict=True):
    claims.band(f"active latents off theory, {variance:g}", abs(count - theory), high=0.5)
claims.band(
    "KL off theory, noise 80", (kl[3].sort().values - expected.flip(0)).abs().max(), high=0.1
)
claims.band("KL of a silent latent after a kick", kicked, low=0.5)
claims.band("the same 300 steps later", abs(after), high=0.05)
for r in (0.8, 1.2):
    at_zero = torch.autograd.functional.hessian(
        lambda p, r=r: (
            (p[0] * p[1]) ** 2 * r / 2 - p[0] * p[1] * r + (p[0] ** 2 + p[1] ** 2 * r) / 2
        ),
        torch.zeros(2),
    )
    assert math.isclose(at_zero.det(), r * (1 - r), rel_tol=1e-5)

# %% [markdown]
# **Why.** The optimum is that of probabilistic PCA (Tipping and Bishop, 1999): one latent for each
# eigenvalue $\lambda > \sigma^2$, at a KL of $\frac12 \ln(\lambda/\sigma^2)$. Below, saying nothing
# is cheaper.
#
# What holds such a latent at 0? Set its decoder weight $w$ and encoder weight $v$ to 0, $d = 1$.
# Measure in units of $\sigma$, with $r = \lambda/\sigma^2$. The gradient is exactly 0, as between
# $W_{l+1}$ and $W_l$: each carries the other as a factor, or itself. That is so for every $r$. The
# *curvature* differs. The second derivatives in $(w, v)$ have the determinant $r(1 - r)$: for
# $r > 1$ the zero is a saddle, and nearly any kick grows; for $r < 1$ it is a minimum, and a
# gradient answers the kick and takes it back. No slope is zero, no path is cut, and fresh weights
# do not help: the loss wants it so. The key is the loss: a smaller $\sigma^2$, or a smaller weight
# on the KL, which acts like one.
#
# The table of locks (`paramlock.KINDS`) calls such latents *inactive*. A certificate cannot find
# them: it does not look into the loss, and their gradient is one like any other. Print the KL of
# each latent, as above.
#
# ## Patterns by layer
#
# The mild form is a pattern: some layers get much gradient, others little. Yosinski and others
# (2014) found that early layers of a convolutional network hold general features and late ones
# specific features. That is a finding on transfer, and often read as one on gradients: late layers
# have the larger ones. We take three untrained networks of 12 layers.

# %% tags=["fold"]
# A prediction.
predict.choice(
    "largest",
    "BatchNorm before each ReLU: which of the hidden layers 2 to 11 gets the largest gradient?",
    ["layer 2", "one in the middle", "layer 11"],
)


# %%
def deep(kind, seed):
    """Return the gradient norms of the twelve weights of an untrained network."""
    torch.manual_seed(seed)
    linears = [nn.Linear(64, 128), *(nn.Linear(128, 128) for _ in range(10)), nn.Linear(128, 10)]
    for linear in linears if kind != "sigmoid" else []:
        nn.init.kaiming_normal_(linear.weight)
    norm = [nn.BatchNorm1d(128)] if kind == "BatchNorm" else []
    after = [*norm, nn.Sigmoid() if kind == "sigmoid" else nn.ReLU()]
    parts = [m for linear in linears[:-1] for m in (linear, *after)]
    F.cross_entropy(nn.Sequential(*parts, linears[-1])(x[:256]), y[:256]).backward()
    return [linear.weight.grad.double().norm().item() for linear in linears]


# %%
seeds = range(5)
middle = {k: np.median([deep(k, s) for s in seeds], 0) for k in ("sigmoid", "ReLU", "BatchNorm")}

# %% tags=["fold", "nbval-ignore-output"]
# Draws them, with the factor that theory gives for BatchNorm.
largest = int(middle["BatchNorm"][1:11].argmax()) + 2
predict.measured("largest", {2: "layer 2", 11: "layer 11"}.get(largest, "one in the middle"))
title = "The largest gradient comes late, nowhere in particular, or early"
figure, axes = figures.chart(title, "layer", "norm of the gradient of W", (7.0, 2.6))
for (kind, values), look in zip(middle.items(), ARMS, strict=True):
    axes.plot(range(1, 13), values, label=kind, **look)
rise = (math.pi / (math.pi - 1)) ** (np.arange(9, -1, -1) / 2)
axes.plot(range(2, 12), middle["BatchNorm"][10] * rise, **THEORY, label="1.21 per layer")
axes.set(yscale="log", ylim=(0.01, 10))
axes.text(1, 0.013, f"sigmoid: down to {middle['sigmoid'][0]:.0e} at layer 1")
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
figures.show(figure, "Gradient norms of twelve layers in three networks, medians of five seeds.")
print("layer 2 over layer 11:", {kind: f"{v[1] / v[10]:.2g}" for kind, v in middle.items()})

# %% tags=["claim"]
shares = {kind: np.log10(v[1] / v[10]) for kind, v in middle.items()}
claims.band("log10 of gradient at layer 2 over 11, sigmoid", shares["sigmoid"], high=-5)
claims.band("the same, ReLU with He", shares["ReLU"], low=-0.6, high=0.6)
claims.band("the same, BatchNorm", shares["BatchNorm"], low=0.4)
factor = 10 ** (shares["BatchNorm"] / 9)
claims.band("factor per layer, BatchNorm", factor, low=1.12, high=1.24)

# %% [markdown]
# **Why.** Sigmoid: the late layers, by a factor of over 100,000, for a reason of lesson 01. He's
# rule was made so that no layer is ahead. Under BatchNorm the gradient *grows* on its way down, by
# $\sqrt{\pi/(\pi - 1)} \approx 1.21$ per layer in a wide network (Yang and others, 2019), here by
# about 1.18. So "late layers have the larger gradients" is true of some networks and false of
# others, and Yosinski's result does not speak of it.
#
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "count",
    "Eight dense layers in a chain, all with biases. Layer 5 is silent. How many of the 16 tensors "
    "get a gradient of exactly 0?",
    answer=11,
    within=0,
    why="W and b of layers 1 to 5 are ten; and W of layer 6, whose input is 0.",
    wrong={10: "One is missing: which tensor has an input of zeros?", 12: "A bias has no input."},
)

# %%
# Question 2
torch.manual_seed(0)
asked = silence(Chain(skips=[(4, 6)]), 5)
draw(paramlock.certificate(asked, (x, y), F.cross_entropy), "Layer 5 is silent").show()
selfcheck.choice(
    "figure",
    "Which tensors get a gradient of exactly 0?",
    {
        "W1 to b5, and W6": "That would be so without the skip.",
        "W5 and b5": right("The skip feeds layer 6 and leads the gradient round layer 5."),
        "W5, b5 and W6": "Layer 6 is fed by layer 4 as well, so its input is not zero.",
        "none": "No gradient passes the slopes of layer 5 itself.",
    },
)

# %%
# Question 3
severed = Chain()
severed.layer3.register_forward_hook(lambda module, args, out: out.detach())
for lock in paramlock.certificate(severed, (x, y), F.cross_entropy).cascades:
    print(f"{lock.kind} at {lock.place}: {lock.evidence}; behind it: {', '.join(lock.backward)}")
selfcheck.choice(
    "certificate",
    "What do you look for?",
    {
        "a layer with too low a bias": "Then the gradient would be 0. Here there is none.",
        "a detach or no_grad after layer 3": right("None, not 0: the path is cut there."),
        "a loss that is flat": "Then all six layers would get 0.",
    },
)

# %%
# Question 4
selfcheck.order(
    "gradient",
    "Order the networks by the gradient that layer 1 gets, the smallest first.",
    [
        "a chain with a silent layer",
        "60 sigmoid layers, in float64",
        "a silent layer with a skip of strength 0.0001 around it",
        "a chain without any lock",
    ],
    why="0 is below any number, and 4e-53 is a number; the skip scales the gradient by 0.0001.",
)

# %%
# Question 5
selfcheck.choice(
    "constant",
    "A layer's output is the same for all images, its slopes are not zero. What follows?",
    {
        "it is locked": "With a slope and an input that varies, its weights get a gradient.",
        "everything below it is locked for good": "Only while its weights are zero.",
        "look at its input and its weights": right(
            "A constant input makes it a symptom; weights of 0 open in one step."
        ),
    },
)

# %%
predict.summary()

# %% [markdown]
# ## Pitfalls people meet
#
# - *A ReLU after the last layer.* All outputs 0, every gradient 0: a silent layer at the top, of
#   all places ([dfdx#486](https://github.com/chelsea0x3b/dfdx/issues/486),
#   [ProteomicsML#203](https://github.com/ProteomicsML/ProteomicsML/pull/203)).
# - *"The last scale is 0, so nothing can train."* It opens in one step
#   ([tensorpack#420](https://github.com/tensorpack/tensorpack/issues/420)).
# - *A mean where a sum belongs.* A reconstruction loss averaged over pixels is a large $\sigma^2$
#   in disguise; the KL goes to $10^{-7}$
#   ([WorldModels#12](https://github.com/AppliedDataSciencePartners/WorldModels/issues/12)).
# - *Good in training mode, one answer in evaluation mode*
#   ([rolypoly#6](https://github.com/RVirmoors/rolypoly/issues/6), where BatchNorm is suspected).
# - *Gradients rounded to zero in float16*, with no warning
#   ([Open-Rig3R#35](https://github.com/engichang1467/Open-Rig3R/issues/35)).
#
# ## Summary
#
# - Layer $l$ silent, in a chain: all after it constant; gradient exactly 0 for $W_k, b_k$,
#   $k \le l$, and for $W_{l+1}$. In any network: a bias needs a path to the loss, a weight also an
#   input.
# - Constant is a symptom. The slope, the input and the gradient say whether it is a lock.
# - Exact zeros survive float64. A `None` is a cut path.
# - A skip from $l-1$ to $l+1$ leaves the lock in its layer. Normalisation after it does not.
# - From the input up, the first constant output; from the loss down, the first bias without
#   gradient. Repair, measure again.
# - Depth alone equalises tokens ($\rho \to \rho^3$). A loss alone silences latents
#   ($\lambda < \sigma^2$).
#
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | A unit with constant output is locked | HALF: by a zero slope; not by zero weights | [kinds] |
# | A structure can make a gradient zero for good | TRUE while it stands: 0 or `None` | [back] |
# | Locks propagate: a cascade | HALF: in a chain, in both directions; a skip ends it | [stops] |
# | $h_l = 0$: nothing of the input passes | TRUE in a chain, exactly; FALSE with a skip | [fwd] |
# | No gradient at layer $l$: none below | TRUE in a chain, $W_{l+1}$ too; not with skips | [back] |
# | Locks propagate both ways | HALF: with skips the lock stays in its layer | [stops] |
#
# And a cascade needs no locked layer: see [depth].
#
# [fwd]: #What-goes-forward
# [back]: #What-goes-backward
# [kinds]: #Two-kinds-of-constant
# [stops]: #What-stops-it
# [depth]: #A-cascade-by-depth-alone
#
# ## References
#
# - Y. Dong, J.-B. Cordonnier, A. Loukas. *Attention is Not All You Need: Pure Attention Loses Rank
#   Doubly Exponentially with Depth.* ICML 2021.
#   [arXiv:2103.03404](https://arxiv.org/abs/2103.03404)
# - P. Goyal and others. *Accurate, Large Minibatch SGD.* 2017.
#   [arXiv:1706.02677](https://arxiv.org/abs/1706.02677)
# - K. He, X. Zhang, S. Ren, J. Sun. *Identity Mappings in Deep Residual Networks.* ECCV 2016.
#   [arXiv:1603.05027](https://arxiv.org/abs/1603.05027). Why a skip passes the gradient unchanged.
# - J. Lucas, G. Tucker, R. Grosse, M. Norouzi. *Don't Blame the ELBO! A Linear VAE Perspective on
#   Posterior Collapse.* NeurIPS 2019. [arXiv:1911.02469](https://arxiv.org/abs/1911.02469)
# - L. Noci and others. *Signal Propagation in Transformers.* NeurIPS 2022.
#   [arXiv:2206.03126](https://arxiv.org/abs/2206.03126)
# - M. E. Tipping, C. M. Bishop. *Probabilistic Principal Component Analysis.* J. R. Stat. Soc. B
#   61(3), 611-622, 1999. [doi:10.1111/1467-9868.00196](https://doi.org/10.1111/1467-9868.00196)
# - G. Yang and others. *A Mean Field Theory of Batch Normalization.* ICLR 2019.
#   [arXiv:1902.08129](https://arxiv.org/abs/1902.08129)
# - J. Yosinski, J. Clune, Y. Bengio, H. Lipson. *How transferable are features in deep neural
#   networks?* NeurIPS 2014. [arXiv:1411.1792](https://arxiv.org/abs/1411.1792)
