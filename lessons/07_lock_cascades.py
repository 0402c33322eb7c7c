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
# well. A lock in one place has consequences elsewhere, and they are what you see first. Which, that
# can be said exactly. At the end stand two cascades that no single layer makes: one made by depth,
# one by the loss.
#
# **After it you can**
#
# - name every tensor that gets a gradient of exactly 0 when a layer is silent, in any network made
#   of layers and skip connections;
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
from itertools import pairwise

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
silenced = draw([*affected, *healthy[4:]], "One silent layer, and three others do not learn freely")
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

    def __init__(self, seed=0, skips=(), norm=nn.Identity, bias=True):
        super().__init__()
        torch.manual_seed(seed)
        self.skips, self.strength, sizes = skips, 1.0, [64, *[32] * 5, 10]
        for k, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            layer = nn.Linear(inputs, outputs, bias=bias)
            nn.init.kaiming_normal_(layer.weight)
            if bias:
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


# %% [markdown]
# ## What goes forward
#
# Layer $k$ forms $z_k = W_k h_{k-1} + b_k$ and gives $h_k = \sigma(z_k)$, from $h_0 = x$ on. Let
# layer $l$ be silent, $h_l = 0$. Then
#
# $$z_{l+1} = W_{l+1}\, 0 + b_{l+1} = b_{l+1}, \qquad h_{l+1} = \sigma(b_{l+1}), \qquad
# h_{l+2} = \sigma\big(W_{l+2}\, \sigma(b_{l+1}) + b_{l+2}\big), \dots$$
#
# No $x$ is left in it. The *range* of a unit is its largest output over all images minus its
# smallest; of a layer we take the largest range of its units.

# %% tags=["fold"]
# A prediction.
predict.number(
    "varying",
    "Layer 3 of six is silent. How many of the six layers put out something that differs from "
    "image to image?",
    within=0,
)


# %%
def ranges(model):
    """Return the largest range of a unit over all images, of each layer."""
    with torch.no_grad():
        return [(h.amax(0) - h.amin(0)).max().item() for h in model.trace(x)[1:]]


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
# It is often said that a silent layer locks the parameters up to it. True, and one tensor short.

# %% tags=["fold"]
# A prediction.
predict.number(
    "zero_tensors",
    "Layer 3 is silent. How many of the 12 tensors W1, b1, ..., W6, b6 get a gradient of 0?",
    unit="tensors",
    within=0,
)


# %%
def gradients(model, loss=F.cross_entropy):
    """Return the gradient of each tensor over all images: {"W1": ..., "b1": ..., "W2": ...}."""
    model.zero_grad()
    loss(model(x), y).backward()
    owned = {n: p for n, p in model.named_parameters() if n.startswith("layer")}
    return {f"{'W' if p.dim() == 2 else 'b'}{name[5]}": p.grad for name, p in owned.items()}


# %%
def exact_zeros(model):
    """Return the names of the tensors whose gradient is zero in every entry."""
    return [name for name, gradient in gradients(model).items() if not gradient.any()]


# %%
zero = exact_zeros(model)
predict.measured("zero_tensors", len(zero))
print("gradient exactly 0:", ", ".join(zero))

# %% tags=["fold"]
# The same with each of the five hidden layers silent in turn.
columns = list(gradients(model))
by_layer = [exact_zeros(silence(Chain(), k)) for k in range(1, 6)]
kinds = [
    ["trainable" if c not in zero else "dead" if c[1] == str(k) else "no_signal" for c in columns]
    for k, zero in enumerate(by_layer, start=1)
]
texts = [["learns" if kind == "trainable" else "0" for kind in row] for row in kinds]
title = "A silent layer l locks 2 l + 1 tensors: all up to it, and the next weight"
figures.show_table(title, [f"layer {k} silent" for k in range(1, 6)], columns, texts, kinds)

# %% tags=["claim"]
assert zero == ["W1", "b1", "W2", "b2", "W3", "b3", "W4"]
assert [len(names) for names in by_layer] == [3, 5, 7, 9, 11]
assert all(f"W{k + 1}" in names and f"b{k + 1}" not in names for k, names in enumerate(by_layer, 1))

# %% [markdown]
# **Why.** D marks the silent layer's own tensors, N those of the others that get nothing.
#
# For networks of another shape, the product decides again. **With skips** $b_k$ gets a gradient if
# some path leads from layer $k$ to the loss that avoids all silent layers, $k$ itself included;
# $W_k$ needs besides that its input is not all zero. **Without biases** a layer after the silent
# one puts out $\sigma(0) = 0$. It is silent too, and so is the next, up to the output.

# %%
bare = Chain(bias=False)
bare.layer3.weight.data.zero_()
print("without biases:", len(exact_zeros(bare)), "of 6 weights get a gradient of exactly 0")

# %% tags=["claim"]
assert len(exact_zeros(bare)) == 6 and len(exact_zeros(Chain(bias=False))) == 0

# %% [markdown]
# ### Measure it on any network
#
# A *forward hook* replaces what a module puts out, and leaves its weights alone. Take it off again,
# and clear the gradients: a measurement leaves no trace.

# %%
model = Chain()
for name, quiet in {"out * 0": lambda out: out * 0, "zeros_like": torch.zeros_like}.items():
    handle = model.layer3.register_forward_hook(lambda module, args, out, q=quiet: q(out))
    found = gradients(model).values()
    handle.remove()
    absent = sum(gradient is None for gradient in found)
    zero_count = sum(gradient is not None and not gradient.any() for gradient in found)
    print(f"{name:10}: {zero_count} tensors get zeros, {absent} get None")
model.zero_grad()

# %% tags=["claim"]
assert exact_zeros(model) == [] and (zero_count, absent) == (1, 6)

# %% [markdown]
# **Why.** `out * 0` keeps the path and multiplies what goes along it by zero, in both directions.
# `zeros_like` makes a new tensor that knows nothing of `out`: the path is *cut*, and what lies
# behind it gets no gradient at all, `None`. That is a lock by the graph (*unreached*), a zero is
# one by the numbers. (Where `out` holds infinities, `out * 0` makes NaN.) JAX knows no `None`: what
# the loss does not depend on gets zeros.


# %%
def jax_loss(tree, images, labels, silent):
    h = images
    for k, (weight, bias) in enumerate(tree, start=1):
        z = h @ weight + bias
        h = jax.nn.relu(z) * (k != silent) if k < len(tree) else z
    return -jax.nn.log_softmax(h)[jnp.arange(len(labels)), labels].mean()


# %%
pairs = [(getattr(model, n).weight.T, getattr(model, n).bias) for n in names]
tree = [(jnp.asarray(w.detach().numpy()), jnp.asarray(b.detach().numpy())) for w, b in pairs]
grads = jax.grad(jax_loss)(tree, jnp.asarray(x), jnp.asarray(y), silent=3)
named = {
    f"{kind}{k}": g for k, two in enumerate(grads, 1) for kind, g in zip("Wb", two, strict=True)
}
print("gradient exactly 0 in JAX:", ", ".join(name for name, g in named.items() if not g.any()))

# %% [markdown]
# ### What such a network still learns
#
# $b_4$ and all above it go on learning. We train such a network for 200 steps of Adam.

# %% tags=["fold"]
# A prediction.
predict.number(
    "plateau",
    "Layer 3 is silent from the start. To which cross-entropy can training bring the ten-class "
    "network? (A network that knows everything has 0.)",
    within=0.05,
)


# %%
def train(model, steps, optimizer):
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return loss.item()


# %%
model = silence(Chain(), 3)
loss = train(model, 200, torch.optim.Adam(model.parameters(), lr=0.01))
shares = torch.bincount(y) / len(y)
predict.measured("plateau", loss)
print(f"loss {loss:.2f}, entropy of the labels {-(shares * shares.log()).sum():.2f}")
# %% tags=["claim"]
entropy = -(shares * shares.log()).sum().item()
claims.band("silent layer: loss above the entropy", loss - entropy, low=-0.001, high=0.01)
whole = Chain()
loss_whole = train(whole, 200, torch.optim.Adam(whole.parameters(), lr=0.01))
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
histories = {}
for name, model in {"slopes 0": slope_zero, "weights 0": weight_zero}.items():
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    histories[name] = []
    for steps in (0, 1, 99):
        train(model, steps, sgd) if steps else None
        histories[name].append((len(exact_zeros(model)), ranges(model)[2] > 0))

# %% tags=["fold"]
# Shows what is locked before, after one step, and after a hundred.
counts = [count for count, _ in histories["weights 0"]]
predict.measured("opens", ["never", "one", "about a hundred"][counts.index(min(counts))])
texts = [
    [f"{count} tensors, layer 3 {'varies' if varies else 'constant'}" for count, varies in history]
    for history in histories.values()
]
kinds = [["dead"] * 3, ["constant", "trainable", "trainable"]]
title = "Tensors with a gradient of exactly 0: the same symptom, and two fates"
figures.show_table(title, list(histories), ["at first", "after 1 step", "after 100"], texts, kinds)

# %% tags=["claim"]
assert [count for count, _ in histories["slopes 0"]] == [7, 7, 7]
assert [count for count, _ in histories["weights 0"]] == [4, 0, 0]
assert [varies for _, varies in histories["weights 0"]] == [False, True, True]

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

# %% tags=["fold"]
# A prediction.
predict.choice(
    "float64",
    "In float32, layer 1's gradient is exactly 0 in the chain with a silent layer and in the "
    "sigmoid network of 60 layers. In which is it 0 in float64 as well?",
    ["the silent layer", "60 sigmoid layers", "both", "neither"],
)


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


# %%
suspects = {"silent layer": silence(Chain(), 3)}
suspects |= {f"{depth} sigmoid layers": sigmoids(depth) for depth in (32, 60)}
single = {name: first_gradient(model, torch.float32) for name, model in suspects.items()}
double = {name: first_gradient(model, torch.float64) for name, model in suspects.items()}

# %% tags=["fold", "nbval-ignore-output"]
# Shows the largest entry in both formats, and what two common tests would say.
locked = [name for name, g in double.items() if not g.any()]
predict.measured("float64", "the silent layer" if locked == ["silent layer"] else "both")
rows = {
    name: [f"{g.abs().max():.0e}", f"{(g**2).sum().sqrt():.0e}", f"{double[name].abs().max():.0e}"]
    for name, g in single.items()
}
columns = ["largest entry, float32", "norm by squares, float32", "largest entry, float64"]
kinds = [["dead"] * 3, ["vanishing", "", "vanishing"], ["", "", "vanishing"]]
title = "Only the silent layer's zero stays zero with more digits"
figures.show_table(title, list(rows), columns, list(rows.values()), kinds)

# %% tags=["claim"]
assert not single["silent layer"].any() and not double["silent layer"].any()
assert single["32 sigmoid layers"].any() and (single["32 sigmoid layers"] ** 2).sum() == 0
assert not single["60 sigmoid layers"].any() and double["60 sigmoid layers"].any()

# %% [markdown]
# **Why.** The silent layer's zero is a product with zero; no format and no scale changes it. At
# depth 32 every entry is there and the *norm* is 0, because squaring took the entries below the
# smallest float32. At depth 60 the entries themselves have gone under. For a float32 run that is as
# good as a lock, but another one: multiplying the loss by $10^{20}$ brings the gradient back.
#
# So ask for exact zeros, `not gradient.any()`, and repeat the measurement in float64 before you
# believe them. A threshold such as `norm < 1e-8` calls all three locked, and under Adam, which
# divides by the gradient's own size, a layer with a gradient of $10^{-7}$ moves (lesson 01).
#
# ## What stops it
#
# We silence layer 3 in eight networks: by a hook after the normalisation, so that it is equally
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


# %%
nets = {
    "a chain": Chain(),
    "skip (2, 4), around it": Chain(skips=[(2, 4)]),
    "a skip around each layer": Chain(skips=[(1, 3), (2, 4), (3, 5), (4, 6)]),
    "skip (1, 6), far around": Chain(skips=[(1, 6)]),
    "skip (3, 5), from it": Chain(skips=[(3, 5)]),
    "skip (1, 3), into it": Chain(skips=[(1, 3)]),
    "LayerNorm before each ReLU": Chain(norm=lambda: nn.LayerNorm(32)),
    "BatchNorm before each ReLU": Chain(norm=lambda: nn.BatchNorm1d(32)),
}
stopped = {name: exact_zeros(hush(model, 3)) for name, model in nets.items()}

# %% tags=["fold"]
# Shows which tensors stay locked, and which layers still see the image.
predict.measured("around", len(stopped["skip (2, 4), around it"]))
varying = {name: [r > 1e-4 for r in ranges(model)] for name, model in nets.items()}
texts, kinds = [], []
for name, locked in stopped.items():
    seeing = ", ".join(str(k) for k, varies in enumerate(varying[name], start=1) if varies)
    texts.append([", ".join(locked), seeing])
    kinds.append(["no_signal" if len(locked) > 2 else "trainable", ""])
title = "Layer 3 silent: a way around it stops the cascade, normalisation does not"
columns = ["gradient exactly 0", "layers that see the image"]
figures.show_table(title, list(stopped), columns, texts, kinds)

# %% tags=["claim"]
assert [len(stopped[name]) for name in list(nets)[:6]] == [7, 2, 2, 5, 7, 7]
assert stopped["skip (2, 4), around it"] == ["W3", "b3"]
assert stopped["skip (1, 6), far around"] == ["W2", "b2", "W3", "b3", "W4"]
assert set(stopped["a chain"]) <= set(stopped["LayerNorm before each ReLU"])
assert varying["skip (2, 4), around it"] == [True, True, False, True, True, True]
assert not any(varying["BatchNorm before each ReLU"][2:])

# %% [markdown]
# **Why.** With the skip (2, 4) only the silent layer's own $W_3$ and $b_3$ stay locked. A residual
# network, or one with a second *branch* beside the silent layer, is safe in the same way. The far
# skip leaves 2 and 4 in the shadow. A skip that *begins* at the silent layer carries zeros, one
# that *ends* at its input leads into it. So the smallest repair is the skip from $l-1$ to $l+1$.
#
# Normalisation adds no path. LayerNorm makes one constant of another. BatchNorm even spreads the
# silence: it subtracts the mean of the batch, and a constant minus its mean is 0. Layers 4 and 5
# are then at the kink of ReLU. (Rounding leaves about $10^{-8}$ and decides which slopes are 0
# there, so the list in the table may be shorter than the lock.)
#
# In formulas, a *residual block* $y = x + \gamma f(x)$ has $\partial L / \partial x = \delta +
# \gamma J_f^\top \delta$. If $f$ is silent, or $\gamma$ is 0, $\delta$ passes unchanged. How
# strong must a skip be? Here it adds $s\, h_{l-1}$ to what layer $l+1$ gets.

# %% tags=["fold"]
# Draws each layer's gradient, for the silent layer and the strength that sliders ask for.
title = "Any strength above 0 ends the exact zeros; a weak skip leaves a weak gradient"
figure, axes = figures.chart(title, "layer", "norm of the gradient of W")
axes.set(yscale="log", ylim=(1e-12, 10), xlim=(0.6, 6.4), xticks=range(1, 7))
marks = {"linestyle": "", "markersize": 9, "animated": True}
(alive,) = axes.plot([], [], marker="o", color=COLOURS["trainable"], label="learns", **marks)
(gone,) = axes.plot([], [], marker="X", color=COLOURS["no_signal"], label="exactly 0", **marks)
(origin,) = axes.plot([], [], marker="s", color=COLOURS["dead"], label="silent", **marks)
axes.legend(loc="upper center", ncols=3)
round_layer = {k: silence(Chain(skips=[(k - 1, k + 1)]), k) for k in range(2, 6)}


def around(silent, strength):
    model = round_layer[silent]
    model.strength, model.layer1.weight.grad = strength, None
    F.cross_entropy(model(x[:256]), y[:256]).backward()
    norms = [p.grad.double().norm().item() for p in model.parameters() if p.dim() == 2]
    model.zero_grad()
    zero = [k for k, norm in enumerate(norms, start=1) if norm == 0 and k != silent]
    alive.set_data([k for k in range(1, 7) if norms[k - 1]], [n for n in norms if n])
    gone.set_data(zero, [3e-12] * len(zero))
    origin.set_data([silent], [3e-12])
    return (
        f"Layer {silent} silent, skip of strength {strength:g}: {len(zero)} other weights get "
        f"exactly 0; layer 1 gets {norms[0]:.1g}."
    )


# %%
sliders = {
    "silent": explore.Slider("Silent layer", 2, 5, 1, 3),
    "strength": explore.Steps("Strength of the skip", [0, 1e-8, 1e-6, 1e-4, 0.01, 0.1, 1], 0.01),
}
alt = "Gradient norms of six weights; exact zeros stand at the lower edge, with another mark."
skipping = explore.Experiment(figure, around, sliders, alt=alt)
skipping.show()

# %% tags=["claim"]
for layer in (2, 3, 5):
    assert f"{layer} other weights get exactly 0" in around(layer, 0)
    assert all("0 other weights get exactly 0" in around(layer, s) for s in (1e-8, 1e-4, 1.0))

# %% [markdown]
# **Why.** What arrives below is $\delta$ times $s$: at $10^{-8}$ not zero, and hardly anything.
#
# ### BatchNorm in its two modes
#
# Before a ReLU, BatchNorm can keep a layer from falling silent. It gives $\gamma \hat z + \beta$
# with $\hat z = (z - \mu)/s$: in training mode $\mu$ and $s$ are mean and deviation of the batch,
# in evaluation mode running averages. Of a $\delta$ that arrives it passes down
#
# $$\text{training:}\quad \frac{\gamma}{s}\big(\delta - \overline{\delta} -
# \hat z\; \overline{\delta \hat z}\big), \qquad \text{evaluation:}\quad \frac{\gamma}{s}\,\delta ,$$
#
# with bars for means over the batch. If $\gamma = 0$, nothing. And what it passes in training mode
# has the sum 0: a bias right before it gets no gradient (up to rounding) and needs none.

# %% tags=["fold"]
# A prediction.
predict.choice(
    "mode",
    "The bias of -100 stands before a fresh BatchNorm and the ReLU. In which mode is layer 3 silent?",
    ["in training mode", "in evaluation mode", "in both", "in neither"],
)


# %%
def alive_units(model, training):
    """Return how many units of layer 3 are above zero on some image."""
    model.train(training)
    with torch.no_grad():
        return int((model.trace(x)[3] > 0).any(0).sum())


# %%
model, passes, counts = silence(Chain(norm=lambda: nn.BatchNorm1d(32)), 3), (0, 1, 20, 60), []
for before, after in zip((0, *passes), passes, strict=False):
    for _ in range(after - before):
        model.train()(x)
    counts.append(alive_units(model, training=False))
training = alive_units(model, training=True)
modes = {(0, 32): "in evaluation mode", (32, 0): "in training mode", (0, 0): "in both"}
predict.measured("mode", modes.get((counts[0], training), "in neither"))
print("training mode:", training, "of 32 units alive")
for number, count in zip(passes, counts, strict=True):
    print(f"evaluation mode, after {number:2} passes in training mode: {count:2} of 32 alive")

# %% tags=["claim"]
assert counts[:3] == [0, 0, 0] and counts[3] == training == 32
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
# after 20, too many, 0.2 after 60. In between the network trains well and answers constantly.
#
# ## Origin and symptom
#
# Two numbers per layer are enough to find an origin: the range of what it puts out, and the
# gradient of its bias. Read the ranges **from the input up**: the first layer that is constant
# *though its input varies* is an origin; constant layers after it are symptoms. Read the gradients
# **from the loss down**: the first layer whose bias gets 0 *though the layer above it gets
# something* is an origin; all below are symptoms.
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
def cascades(model, loss=F.cross_entropy):
    """Print the locks of a certificate that have consequences elsewhere."""
    certificate = paramlock.certificate(model, (x, y), loss)
    for lock in certificate.cascades:
        print(f"origin {lock.place}: {lock.kind}, {lock.evidence}")
        print("   no gradient behind it:", *lock.backward, "| constant after it:", *lock.forward)
    return certificate


# %%
model = silence(Chain(), 2, 4)
varying = [r > 1e-5 for r in ranges(model)]
arriving = [bool(gradients(model)[f"b{k}"].any()) for k in range(1, 7)]
lowest, highest = varying.index(False) + 1, 6 - arriving[::-1].index(False)
predict.measured("two", "2 alone" if lowest == 2 else "4 alone")
print("from the input up the first constant layer is", lowest)
print("from the loss down the first bias without gradient is that of layer", highest)
certificate = cascades(model)

# %%
print("After layer 2 is repaired:")
model.layer2.bias.data.zero_()
certificate = cascades(model)
draw(certificate, "Layer 4 is the origin; hatched layers only suffer from it").show()

# %% tags=["claim"]
assert (lowest, highest) == (2, 4)
(lock,) = certificate.cascades
assert (lock.kind, lock.place) == ("dead", "layer4")
assert lock.backward == ("layer1", "layer2", "layer3") and lock.forward == ("layer5", "layer6")
assert locked_nodes(draw(certificate))["layer4", "dead"] == 1.0
places = [
    k.place for k in paramlock.certificate(silence(Chain(), 2, 4), (x, y), F.cross_entropy).cascades
]
assert places == ["layer2"]

# %% [markdown]
# **Why.** Each reading finds the origin nearest to where it starts. The certificate reads upwards
# here. So repair what it names, measure again, and go on until no cascade is left. (Small black
# parts in the drawing are single dead units, without consequences elsewhere.)
#
# A gradient is missing for other reasons as well. Four networks whose lower layers do not learn:


# %%
def cut(model):
    model.layer3.register_forward_hook(lambda module, args, out: out.detach())
    return model


def satisfied(outputs, targets):
    """A hinge that no output of this network ever violates."""
    return F.relu(outputs.abs().sum(1) - 1000).mean()


# %%
patients = {
    "bias of -100 in layer 3": (silence(Chain(), 3), F.cross_entropy),
    "weights of 0 in layer 3": (weight_zero := Chain(), F.cross_entropy),
    "output of layer 3 detached": (cut(Chain()), F.cross_entropy),
    "a loss that is flat": (Chain(), satisfied),
}
weight_zero.layer3.weight.data.zero_()
found = {
    name: paramlock.certificate(model, (x, y), loss).cascades[0]
    for name, (model, loss) in patients.items()
}

# %% tags=["fold"]
# Shows the lock that the certificate names in each.
texts = [
    [
        lock.kind,
        str(lock.place),
        str(len(lock.backward)),
        str(len(lock.forward)),
        lock.opens.split(":")[0],
    ]
    for lock in found.values()
]
columns = ["lock", "origin", "layers behind", "constant after", "opens"]
title = "The same complaint, four origins"
figures.show_table(title, list(found), columns, texts, [[row[0], *[""] * 4] for row in texts])

# %% tags=["claim"]
named = [(lock.kind, str(lock.place)) for lock in found.values()]
assert named[0] == ("dead", "layer3") and named[1] == ("zeroed", "layer3")
assert named[2] == ("unreached", "layer3") and named[3] == ("no_signal", "loss")

# %% [markdown]
# **Why.** In the first two, layer 3 is constant, and the slope decides. In the third everything
# varies, and the gradient is `None`. In the fourth everything varies, and the gradient is 0 from
# top to bottom: the origin is the loss.
#
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


# %%
arms = {
    "attention": [],
    "attention, MLP": ["MLP"],
    "attention, LayerNorm": ["LayerNorm"],
    "attention, skip": ["skip"],
}
measured = {name: np.array([spreads(parts, s) for s in range(5)]) for name, parts in arms.items()}

# %% tags=["fold", "nbval-ignore-output"]
# Draws the spread against depth, and prints its middle seed.
at_four = np.median(measured["attention"][:, 4])
bounds = {0.16: "about 0.5", 0.007: "about 0.05", 1e-6: "about 0.001"}
answers = [text for bound, text in bounds.items() if at_four > bound]
predict.measured("spread", [*answers, "below 0.0000000001"][0])
title = "Without skips the tokens become equal within four layers; with skips they stay apart"
figure, axes = figures.chart(title, "layers of attention", "spread of the tokens", (7.0, 3.2))
looks = ["constant", "saturated", "vanishing", "healthy"]
for (name, values), look, mark in zip(measured.items(), looks, "osv^", strict=True):
    axes.plot(np.median(values, 0), marker=mark, color=COLOURS[look], label=name)
    axes.fill_between(range(7), values.min(0), values.max(0), color=COLOURS[look], alpha=0.2)
axes.axhline(1e-16, **THEORY)
axes.text(0, 2e-16, "rounding of float64", va="bottom", fontsize=8)
axes.set(yscale="log", ylim=(2e-17, 10))
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
figures.show(figure, "Spread against depth, median and range of five seeds, four architectures.")
for name, values in measured.items():
    print(f"{name:21}", "  ".join(f"{value:.0e}" for value in np.median(values, 0)))

# %% tags=["claim"]
log_spread = np.log(measured["attention"])
for layer in (2, 3):
    ratio = np.median(log_spread[:, layer + 1] / log_spread[:, layer])
    claims.band(f"exponent of the spread, layer {layer + 1} over {layer}", ratio, low=2.4, high=4.6)
for name in list(arms)[:3]:
    claims.band(
        f"log10 spread after six layers, {name}", np.log10(measured[name][:, 6]).max(), high=-14
    )
for name in list(arms)[3:]:
    claims.band(f"spread after six layers, {name}", measured[name][:, 6].min(), low=0.1)

# %% [markdown]
# **Why.** From layer 2 on the logarithm of the spread grows about threefold per layer, until
# rounding ends it. LayerNorm rescales each token and brings none further from the others; it wins a
# layer. An MLP alone does not stop it. A skip does: what is averaged away is added back. Once the
# tokens are equal, it does not matter whom a query asks; so queries and keys get no gradient (Noci
# and others, 2022; measured in the deeper notebook).
#
# ## A lock made by the loss
#
# A variational autoencoder describes an image by a few *latents* $z$ and decodes them again. Often
# some of them fall silent: their encoder gives the same for every image, the decoder ignores them.
# That is *posterior collapse*, and Lucas and others (2019) explained it in a linear network.
# Decoder $Wz + $ noise of variance $\sigma^2$, encoder $z = Vx + $ noise of variances $d$. The loss
# (minus the ELBO) has a closed form in the covariance $S$ of the data. The term for one latent is
# its *KL*: what it costs to say anything, at least 0, and 0 if the latent is silent. We give 12
# latents to the digits, and train with five values of $\sigma^2$ at once. The largest eigenvalues
# of $S$, in units of one grey level squared:

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
generator = torch.Generator().manual_seed(0)
shapes = {"W": (5, 64, 12), "V": (5, 12, 64)}
W, V = (0.05 * torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes.values())
log_d = torch.zeros(5, 12, dtype=torch.float64)
adam = torch.optim.Adam([p.requires_grad_() for p in (W, V, log_d)], lr=0.03)
decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 1500)
for _ in range(1500):
    loss, kl = minus_elbo(W, V, log_d)
    adam.zero_grad()
    loss.sum().backward()
    adam.step()
    decay.step()
active = (kl > 0.01).sum(1).tolist()

# %% tags=["fold", "nbval-ignore-output"]
# Draws how many are active, over the number of eigenvalues above the noise variance.
predict.measured("latents", active[3])
title = "A latent stays active for each eigenvalue above the noise variance"
figure, axes = figures.chart(title, "noise variance", "latents of 12", (7.0, 2.6))
steps = torch.linspace(15, 190, 400)
axes.plot(steps, [min(12, int((eigenvalues > s).sum())) for s in steps], **THEORY, label="theory")
style = {"linestyle": "", "marker": "o", "color": COLOURS["trainable"]}
axes.plot(noise, active, **style, label="active after training")
axes.set(ylim=(0, 13))
axes.legend()
figures.show(
    figure, f"Latents active: {active} at noise variances {noise.tolist()}; on the theory."
)

# %% tags=["claim"]
expected = [min(12, int((eigenvalues > s).sum())) for s in noise]
assert expected == [12, 10, 7, 4, 3]
for variance, count, theory in zip(noise.tolist(), active, expected, strict=True):
    claims.band(f"active latents off theory, {variance:g}", abs(count - theory), high=0.5)

# %% [markdown]
# **Why.** The optimum is that of probabilistic PCA (Tipping and Bishop, 1999): one latent for each
# eigenvalue $\lambda > \sigma^2$, at a KL of $\frac12 \ln(\lambda/\sigma^2)$. Below, saying nothing
# is cheaper. Now set a latent's $w = v = 0$, $d = 1$, and measure in units of $\sigma$, with
# $r = \lambda/\sigma^2$. Decoder and encoder lock each other as $W_{l+1}$ and $W_l$ did: each one's
# gradient carries the other as a factor (or itself). All is exactly 0. What holds it is the
# *curvature*: the second derivatives in $(w, v)$ are $\begin{pmatrix} 1 & -r \\ -r & r
# \end{pmatrix}$, with determinant $r(1 - r)$. For $r > 1$ the zero is a saddle, for $r < 1$ a
# minimum. We give two latents a kick of 0.01 and follow them for 1,500 steps of gradient descent.

# %% tags=["fold"]
# A prediction.
predict.choice(
    "kick",
    "Eigenvalue 59, and a collapsed latent gets a kick. Where does it come back to life?",
    ["at a noise variance of 50", "at one of 70", "at both", "at neither"],
)

# %%
r = eigenvalues[5] / torch.tensor([50.0, 70.0])
w, v, log_d = (torch.full((2,), start, dtype=torch.float64) for start in (0.01, 0.01, 0.0))
one = [p.requires_grad_() for p in (w, v, log_d)]
sgd, path = torch.optim.SGD(one, lr=0.1), []
for _ in range(1500):
    fit = r - 2 * w * v * r + w**2 * v**2 * r + w**2 * log_d.exp()
    loss = (fit + log_d.exp() + v**2 * r - 1 - log_d) / 2
    sgd.zero_grad()
    loss.sum().backward()
    sgd.step()
    path.append(w.abs().tolist())
lives = tuple(end > 0.01 for end in path[-1])
options = {(True, False): "at a noise variance of 50", (False, True): "at one of 70"}
predict.measured("kick", options.get(lives, "at both" if all(lives) else "at neither"))
for variance, ratio, end in zip((50, 70), r, path[-1], strict=True):
    print(f"noise {variance}: r = {ratio:.2f}, decoder weight {end:.2f}")

# %% tags=["claim"]
assert path[-1][1] < 1e-4 and math.isclose(path[-1][0], math.sqrt(r[0] - 1), rel_tol=0.01)

# %% [markdown]
# **Why.** Above, the kick grows to $\sqrt{r - 1}$: that zero was no lock, only a point to stand
# still. Below, a gradient answers and takes it back. This lock is not made by flatness. No slope is
# zero, no path is cut, and no re-initialisation helps: the loss wants it so. Its key is the loss:
# a smaller $\sigma^2$, or a smaller weight on the KL, which acts like one.
#
# ## Patterns by layer
#
# The mild form of a cascade is a pattern: some layers learn much, others little. Yosinski and others
# (2014) found that early layers of a convolutional network hold general features and late ones
# specific features. That is a finding on transfer (lesson 09). It is often read as one on
# gradients: late layers have the larger ones. Three untrained networks of 12 layers, 128 wide.

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
    norm = nn.BatchNorm1d if kind == "BatchNorm and ReLU" else lambda width: nn.Identity()
    slopes = nn.Sigmoid if kind == "sigmoid" else nn.ReLU
    parts = [m for linear in linears[:-1] for m in (linear, norm(128), slopes())]
    F.cross_entropy(nn.Sequential(*parts, linears[-1])(x[:256]), y[:256]).backward()
    return [linear.weight.grad.double().norm().item() for linear in linears]


# %%
kinds = ["sigmoid", "ReLU, He", "BatchNorm and ReLU"]
by_kind = {kind: np.array([deep(kind, seed) for seed in range(5)]) for kind in kinds}

# %% tags=["fold", "nbval-ignore-output"]
# Draws them, and the factor that theory gives for BatchNorm.
largest = np.median(by_kind[kinds[2]], 0)[1:11].argmax() + 2
predict.measured("largest", {2: "layer 2", 11: "layer 11"}.get(int(largest), "one in the middle"))
title = "Where the gradient is largest depends on the network: late, nowhere, early"
figure, axes = figures.chart(title, "layer", "norm of the gradient of W")
for (kind, values), look in zip(by_kind.items(), ARMS, strict=True):
    axes.plot(range(1, 13), np.median(values, 0), label=kind, **look)
theory = np.median(by_kind[kinds[2]][:, 10]) * (math.pi / (math.pi - 1)) ** (
    np.arange(9, -1, -1) / 2
)
axes.plot(range(2, 12), theory, **THEORY, label="theory for BatchNorm")
axes.set(yscale="log")
axes.legend(loc="lower right")
figures.show(figure, "Gradient norms of twelve layers in three networks, medians of five seeds.")
print({kind: f"{np.median(v[:, 1] / v[:, 10]):.2g}" for kind, v in by_kind.items()}, "layer 2 : 11")

# %% tags=["claim"]
shares = {kind: np.log10(np.median(v[:, 1] / v[:, 10])) for kind, v in by_kind.items()}
claims.band("log10 of gradient at layer 2 over 11, sigmoid", shares["sigmoid"], high=-5)
claims.band("the same, ReLU with He", shares["ReLU, He"], low=-0.4, high=0.4)
claims.band("the same, BatchNorm", shares["BatchNorm and ReLU"], low=0.4)
factor = 10 ** (shares["BatchNorm and ReLU"] / 9)
claims.band("factor per layer, BatchNorm", factor, low=1.12, high=1.24)

# %% [markdown]
# **Why.** Sigmoid: the late layers, by a factor of millions, for a reason of lesson 01. He's rule
# was made so that no layer is ahead. Under BatchNorm the gradient *grows* on its way down, by
# $\sqrt{\pi/(\pi - 1)} \approx 1.21$ per layer in a wide network (Yang and others, 2019). So "late
# layers have the larger gradients" is true of some networks and false of others, and Yosinski's
# result does not speak of it.
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
for lock in paramlock.certificate(cut(Chain()), (x, y), F.cross_entropy).cascades:
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
    why="0 is below any number, and 1e-52 is a number; the skip scales the gradient by 0.0001.",
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
# - *A mean where a sum belongs.* A reconstruction loss averaged over pixels is a large $\sigma^2$ in
#   disguise; the KL goes to $10^{-7}$
#   ([WorldModels#12](https://github.com/AppliedDataSciencePartners/WorldModels/issues/12)).
# - *Good in training mode, one answer in evaluation mode*
#   ([rolypoly#6](https://github.com/RVirmoors/rolypoly/issues/6)): look at the running averages.
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
# | No gradient at layer $l$: none at $k \le l$ | TRUE, and $W_{l+1}$ as well | [back] |
# | Locks propagate forward and backward | HALF: constants up, zeros down; one layer only | [stops] |
#
# The last holds for residual networks. And a cascade needs no locked layer: see [depth].
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
#   Doubly Exponentially with Depth.* ICML 2021. [arXiv:2103.03404](https://arxiv.org/abs/2103.03404)
# - P. Goyal and others. *Accurate, Large Minibatch SGD.* 2017.
#   [arXiv:1706.02677](https://arxiv.org/abs/1706.02677)
# - K. He, X. Zhang, S. Ren, J. Sun. *Identity Mappings in Deep Residual Networks.* ECCV 2016.
#   [arXiv:1603.05027](https://arxiv.org/abs/1603.05027)
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
