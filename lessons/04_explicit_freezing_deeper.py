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
# # Explicit freezing, further on
#
# Five things that go beyond [lesson 04](04_explicit_freezing.ipynb): how far Adam's memory carries
# a frozen layer, clipping beside one, what a compiler can drop of it, a published saving repeated
# at laptop scale, and two freezes in public code that fail. The sections can be read alone.
# **Minutes:** 40.

# %% tags=["fold"]
# What is used below.
from copy import deepcopy

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import linen
from jax.tree_util import tree_map_with_path
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import paramlock
from lessonkit import claims, seeding
from lessonkit.drawing import draw, locked_nodes
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import COLOURS, THEORY

predict = Predictions("04_explicit_freezing_deeper")
selfcheck = SelfCheck("04_explicit_freezing_deeper")

# %% tags=["fold"]
# Loads the digits of lesson 04; 397 are held back.
seeding.seed_everything(0)
figures.use_style()
digits = load_digits()
order = torch.randperm(len(digits.target))
images = torch.tensor(digits.images / 16, dtype=torch.float32)[order, None]
labels = torch.tensor(digits.target)[order]
train_x, test_x = images[:1400], images[1400:]
train_y, test_y = labels[:1400], labels[1400:]


# %%
def batches(x, y, epochs=1, size=32):
    """Yield shuffled batches; a last, smaller one is left out."""
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(size):
            if len(rows) == size:
                yield x[rows], y[rows]


def train(model, optimizer, data, before_step=lambda: None):
    for x, y in data:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        before_step()
        optimizer.step()


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


# %% [markdown]
# ## How far Adam carries a real layer
#
# Lesson 04 derived how far Adam carries a weight after its gradient has been zeroed, from the
# averages $m$ and $v$ that it had after $k$ steps. Every weight of a real layer has its own $m$ and
# $v$. We take twenty steps of Adam at a rate of 0.01 on batches of 32, then thirty with the
# gradient of the lower layer zeroed.


# %%
def adam_drift(m, v, k, n, beta1=0.9, beta2=0.999, eps=1e-8):
    """Distance, in learning rates, after each of n steps with zero gradient; shape (..., n)."""
    j = np.arange(1, n + 1)
    m_hat = beta1**j * m / (1 - beta1 ** (k + j))
    v_hat = beta2**j * v / (1 - beta2 ** (k + j))
    return np.cumsum(m_hat / (np.sqrt(v_hat) + eps), axis=-1)


# %%
predict.number(
    "share",
    "How far does the frozen layer move in these thirty steps, in percent of its norm?",
    unit="%",
    factor=1.5,
)

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
layer, adam = model[1], torch.optim.Adam(model.parameters(), lr=0.01)
stream = list(batches(train_x, train_y, epochs=2))
train(model, adam, stream[:20])
start = layer.weight.detach().clone()
m, v = (
    adam.state[layer.weight][key].numpy()[..., None].copy() for key in ("exp_avg", "exp_avg_sq")
)
train(model, adam, stream[20:50], before_step=lambda: layer.weight.grad.zero_())
moved = (layer.weight - start).detach()
share = 100 * (moved.norm() / start.norm()).item()
predict.measured("share", share)
foretold = -0.01 * adam_drift(m, v, 20, 30)[..., -1]
print(f"moved by {share:.0f} % of its norm; largest error of the formula, over 2,048 weights:")
print(f"{np.abs(moved.numpy() - foretold).max():.1e} (the weights are of size {start.std():.1e})")

# %% tags=["claim"]
claims.band("percent that a layer moves with its gradient zeroed", share, low=25, high=50)
assert np.abs(moved.numpy() - foretold).max() < 1e-5

# %% [markdown]
# **Why.** A layer's weights go on in the direction in which they went last, all of them at once, by
# up to ten learning rates each. Here that is about a third of the layer.
#
# ## How far Adam coasts in the long run
#
# Take a constant gradient of 1 for $k$ steps, then zeros. Distance is measured in steps of the size
# of the last one before the freeze, which is a learning rate.

# %%
predict.order(
    "longest",
    "After how many steps of training does Adam coast farthest, after how many least far?",
    ["1 step", "22 steps", "2000 steps"],
)

# %%
trained = np.arange(1, 2001)
total = np.array([adam_drift(1 - 0.9**k, 1 - 0.999**k, k, 400)[-1] for k in trained])
coasts = {"1 step": total[0], "22 steps": total[21], "2000 steps": total[1999]}
predict.measured("longest", sorted(coasts, key=coasts.get, reverse=True))
for name, coast in coasts.items():
    print(f"trained for {name:10} coasts for {coast:5.2f}")
j = np.arange(1, 401)
m_hat, v_hat = 0.1 * 0.9**j / (1 - 0.9 ** (1 + j)), 0.001 * 0.999**j / (1 - 0.999 ** (1 + j))
print(
    f"1 step, by m alone: {m_hat.sum():.2f}; over the root of v: {(m_hat / v_hat**0.5).sum():.2f}"
)

# %% tags=["fold"]
# Draws the coast against the steps of training, with its limit.
figure, axes = figures.chart(
    "One step of training is enough for five steps of drift",
    "steps trained before the freeze",
    "coast / last step",
)
ratio = 0.9 / np.sqrt(0.999)
axes.plot(trained, total, color=COLOURS["moved"], label="Adam, β₁ = 0.9, β₂ = 0.999")
axes.axhline(9, color=COLOURS["moved"], linestyle="--", label="momentum, μ = 0.9: 9")
axes.axhline(ratio / (1 - ratio), **THEORY, label="Adam's long-run limit: 9.05")
axes.set(ylim=(0, 12), xscale="log")
axes.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
axes.legend(loc="lower right")
alt = """Total coast against steps trained before the freeze. Adam begins at 5.0 steps' worth, peaks
at 10.2 after 22 steps and falls slowly towards 9.05; momentum is constant at 9."""
figures.show(figure, alt)

# %% tags=["claim"]
assert 4.9 < total[0] < 5.1 and 10 < total.max() < 10.5 and trained[total.argmax()] == 22
assert abs(m_hat.sum() - 2) < 0.02 and abs(total[-1] - ratio / (1 - ratio)) < 0.2
assert abs(ratio / (1 - ratio) - 9.05) < 0.01
assert np.allclose(v_hat[:40], 1 / (1 + j[:40]), rtol=0.03)

# %% [markdown]
# **Why.** After one step and $j$ zeros, $\hat m$ is a mean of $1 + j$ gradients of which one is not
# zero. It falls faster than $\beta_1^{\,j}$; alone that would leave 2 steps' worth. But $\hat v$
# shrinks as well, nearly like $1/(1+j)$, and dividing by its root stretches the 2 to 5.
#
# After some 20 steps $m$ has nearly forgotten its beginning, but $v$, with a memory of a thousand
# steps, has not: $\hat v$ shrinks like $k/(k+j)$, and the coast grows to a little over 10. In the
# long run both corrections are gone. Each step is $r = \beta_1/\sqrt{\beta_2}$ times the one
# before, and what is left is $r/(1-r)$, about 9.05. At $\beta_1 = 0$ there is no memory and no
# drift.
#
# ## Clip or freeze first
#
# In optax an optimizer is a chain, and its order matters. Clipping by the *global* norm looks at
# all gradients together. We want $a$ frozen; $b$ trains.

# %%
predict.number(
    "clip",
    "The frozen gradient is 100, the trainable one 1, and the norm may be 1 at most. How large is "
    "the step on the trainable parameter if clipping comes before freezing?",
    factor=2,
)

# %%
gradient = {"a": jnp.array(100.0), "b": jnp.array(1.0)}
clip, freeze_a = optax.clip_by_global_norm(1.0), optax.freeze({"a": True, "b": False})
orders = {"clip first": optax.chain(clip, freeze_a), "freeze first": optax.chain(freeze_a, clip)}
steps = {k: t.update(gradient, t.init(gradient))[0]["b"].item() for k, t in orders.items()}
predict.measured("clip", steps["clip first"])
print("step of b:", {name: round(step, 3) for name, step in steps.items()})

# %% tags=["claim"]
assert 99 < steps["freeze first"] / steps["clip first"] < 101

# %% [markdown]
# **Why.** The frozen gradient used up the budget: the trainable part learns 100 times more slowly,
# because of a part that does not learn at all. In torch, `clip_grad_norm_(model.parameters(), 1.0)`
# has the same flaw wherever a frozen parameter still has a gradient.
#
# ## What a compiler can drop
#
# In JAX a gradient is a value like any other, and a compiler drops values that nobody uses. We
# compile a step of AdamW for a network of two layers, freeze `Dense_0` in four ways, and ask XLA
# how much arithmetic was left. `0.0 * g` and `zeros_like(g)` are put in place of the gradient $g$;
# *update zeroed* is `chain(adamw, freeze)`.


# %%
class Stepwise(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.tanh(linen.Dense(32)(x))
        return linen.Dense(10)(x)


jax_x, jax_y = jnp.asarray(train_x[:256].flatten(1)), jnp.asarray(train_y[:256])
params = Stepwise().init(jax.random.key(0), jax_x)["params"]


# %%
def loss(params):
    logits = Stepwise().apply({"params": params}, jax_x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, jax_y).mean()


def compiled_flops(optimizer, change=lambda g: g):
    """Return the operations of a step in which ``change`` meets the gradients of Dense_0."""

    def step(params, state):
        grads = tree_map_with_path(
            lambda path, g: change(g) if path[0].key == "Dense_0" else g, jax.grad(loss)(params)
        )
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    compiled = jax.jit(step).lower(params, optimizer.init(params)).compile()
    return compiled.cost_analysis()["flops"]


# %%
predict.choice(
    "dropped",
    "In how many of the four ways does XLA leave the gradient of Dense_0 out?",
    ["in none", "in one", "in two", "in three", "in all four"],
)

# %%
mask = {"Dense_0": True, "Dense_1": False}
adamw = optax.adamw(0.1)
everything = compiled_flops(adamw)
left = {
    "0.0 * g": compiled_flops(adamw, lambda g: 0.0 * g),
    "update zeroed": compiled_flops(optax.chain(adamw, optax.freeze(mask))),
    "zeros_like(g)": compiled_flops(adamw, jnp.zeros_like),
    "selective_transform": compiled_flops(optax.selective_transform(adamw, freeze_mask=mask)),
}
left = {name: flops / everything for name, flops in left.items()}
count = sum(share < 0.8 for share in left.values())
predict.measured("dropped", ["in none", "in one", "in two", "in three", "in all four"][count])
for name, share in left.items():
    print(f"{name:20} {share:.1f} of the work")

# %% tags=["claim"]
assert left["0.0 * g"] > 0.95 and left["update zeroed"] > 0.95
assert 0.4 < left["zeros_like(g)"] < 0.6 and 0.4 < left["selective_transform"] < 0.6

# %% [markdown]
# **Why.** `zeros_like(g)` does not depend on `g`, and `selective_transform` never asks for it, so
# half of the work disappears. With the update zeroed, `g` still feeds averages that are returned:
# somebody uses it. And `0.0 * g` must be computed, because it is not always zero: for a NaN or an
# infinity it is NaN.
#
# ## A published saving, at laptop scale
#
# *FreezeOut* (Brock and others, 2017) trains layer $i$ only for a share $t_i$ of the run, from
# $t_0$ for the lowest to 1 for the highest. Its learning rate follows a cosine that reaches zero
# at $t_i$; from there on the layer is frozen. The rate starts at $\eta / t_i$, and so every layer
# gets the same total, whatever its $t_i$:
#
# $$\int_0^{t_i} \frac{\eta}{t_i} \cdot \frac{1 + \cos(\pi t / t_i)}{2} \, dt = \frac{\eta}{2} .$$
#
# On CIFAR images the authors report savings of up to 20 % of the time. The price was a loss in
# accuracy of 3 % for DenseNets and none for ResNets; for VGG networks nothing was gained.
#
# We repeat it with five convolutions and a head: six epochs of SGD with momentum 0.9, batches of
# 32, $\eta = 0.05$, and $t_i$ evenly spaced. To freeze means all three: flag, gradient `None`, and
# `eval()` for BatchNorm.


# %%
def conv_net():
    channels = [(1, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1)]
    blocks = [
        nn.Sequential(nn.Conv2d(a, b, 3, stride, padding=1), nn.BatchNorm2d(b), nn.ReLU())
        for a, b, stride in channels
    ]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    return nn.Sequential(*blocks, head)


def cost(frozen):
    """Return the operations of a training step with so many of the lowest modules frozen."""
    model = conv_net()
    model[:frozen].requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(train_x[:32]), train_y[:32]).backward()
    return counter.get_total_flops()


costs = np.array([cost(n) for n in range(6)]) / cost(0)
print("cost of a step, lowest 0 to 5 frozen:", *(f"{share:.2f}" for share in costs))


# %%
def cosine(now, end):
    """Return rate / eta at the share ``now`` of the run, for a layer that trains until ``end``."""
    return (1 + np.cos(np.pi * np.minimum(now / end, 1))) / (2 * end)


def freeze(module):
    module.requires_grad_(False).eval()
    module.zero_grad(set_to_none=True)


# %%
def freezeout(first_end, seed, epochs=6, rate=0.05):
    """Train with FreezeOut; return test accuracy and cost relative to training everything."""
    torch.manual_seed(seed)
    model, ends, spent = conv_net(), np.linspace(first_end, 1, 6), []
    data = list(batches(train_x, train_y, epochs))
    groups = [{"params": list(module.parameters())} for module in model]
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9)

    def before_step():
        now = len(spent) / len(data)
        spent.append(costs[sum(not module.training for module in model)])
        for module, group, end in zip(model, optimizer.param_groups, ends, strict=True):
            group["lr"] = rate * float(cosine(now, end))
            if now >= end:
                freeze(module)

    train(model, optimizer, data, before_step)
    return accuracy(model, test_x, test_y), np.mean(spent)


# %%
predict.number(
    "saved",
    "With t_0 = 1/2: how much of the arithmetic does it save?",
    within=0.06,
)

# %% tags=["nbval-ignore-output"]
plain = np.array([freezeout(1.0, seed) for seed in range(3)])
early = np.array([freezeout(0.5, seed) for seed in range(3)])
saved = 1 - early[:, 1].mean() / plain[:, 1].mean()
lost = 100 * (plain[:, 0].mean() - early[:, 0].mean())
predict.measured("saved", saved)
print(
    f"accuracy, trained to the end: {plain[:, 0].mean():.3f}, FreezeOut: {early[:, 0].mean():.3f}"
)
chance = 100 * (plain[:, 0].mean() * (1 - plain[:, 0].mean()) / len(test_x)) ** 0.5
print(f"lost: {lost:.1f} points; standard error of one run on 397 images: {chance:.1f} points")

# %% tags=["fold"]
# Draws all six runs: accuracy against arithmetic.
figure, axes = figures.chart(
    "FreezeOut saves a fifth of the arithmetic, at about the same accuracy",
    "arithmetic, relative; three seeds each, darker where two coincide",
    "test accuracy, %",
)
look = {"s": 70, "alpha": 0.7}
axes.scatter(plain[:, 1], 100 * plain[:, 0], color=COLOURS["trainable"], label="to the end", **look)
axes.scatter(early[:, 1], 100 * early[:, 0], color=COLOURS["frozen"], label="FreezeOut", **look)
axes.set(xlim=(0.7, 1.05), ylim=(90, 100.5))
axes.legend(loc="lower right")
alt = """Test accuracy against arithmetic for three seeds each. Training everything to the end costs
1.0, FreezeOut 0.8; all six runs are right on more than 90 %. Runs may coincide."""
figures.show(figure, alt)

# %% tags=["claim"]
run = np.linspace(0, 1, 100_001)
assert np.allclose([cosine(run, end).mean() for end in np.linspace(0.5, 1, 6)], 0.5, atol=1e-4)
assert 0.18 < saved < 0.21
claims.band("points of accuracy lost by FreezeOut", lost, low=-4, high=4)
claims.band("least accuracy of the six runs", min(plain[:, 0].min(), early[:, 0].min()), low=0.9)

# %% [markdown]
# The shape of the published result holds: about a fifth saved, and mean accuracy the same within a
# few points. That is a wide tolerance, and three seeds on easy digits prove nothing about large
# networks. What we counted is arithmetic and not time. The count also bounds the method: even with
# all but the head frozen for the whole run, a third remains.
#
# ## A freeze that is wrong in public code
#
# PyTorch's own tutorial on transfer learning has a section *ConvNet as fixed feature extractor*.
# It sets `requires_grad = False` on a pretrained ResNet, gives it a new head, hands the head's
# parameters to the optimizer, and calls a general `train_model`. That one begins each epoch with
# `model.train()`
# ([source, as we read it](https://github.com/pytorch/tutorials/blob/74ba612b95095bf8f77828989e9cdac609d2bd1b/beginner_source/transfer_learning_tutorial.py);
# asked about in [tutorials#449](https://github.com/pytorch/tutorials/issues/449)). From lesson 04
# you know what this does to BatchNorm. How much does it matter?
#
# We rebuild the pattern in small: a thin ResNet trained on the digits (Adam at 0.003, four epochs),
# then used as a "fixed" extractor for the same digits in inverse print.


# %%
class Block(nn.Module):
    """A residual block: two convolutions with BatchNorm, and a way past them."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.shortcut(x) + self.bn2(self.conv2(h)))


class ThinResNet(nn.Module):
    def __init__(self):
        super().__init__()
        blocks = Block(1, 8, 1), Block(8, 16, 2), Block(16, 32, 2)
        self.backbone = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(self.backbone(x))


# %%
def features(model):
    """Return the backbone's output on the test digits in eval mode; shape (397, 32)."""
    model.eval()
    with torch.no_grad():
        return model.backbone(test_x)


def extract(model):
    """Train a new head on inverse digits, as published; return the features' drift by epoch."""
    for p in model.backbone.parameters():
        p.requires_grad = False
    model.fc = nn.Linear(32, 10)
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1, momentum=0.9)
    at_first, drift = features(model), [0.0]
    for _ in range(3):
        model.train()
        train(model, optimizer, batches(1 - train_x, train_y))
        drift.append(((features(model) - at_first).norm() / at_first.norm()).item())
    return drift


def bits(module):
    """Return the bytes of every parameter and buffer."""
    return {name: tensor.numpy().tobytes() for name, tensor in module.state_dict().items()}


# %%
predict.number(
    "drift",
    "After three epochs of the head: by which share of their size have the features of the "
    "original test digits changed?",
    factor=2,
)

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
pretrained = ThinResNet()
adam = torch.optim.Adam(pretrained.parameters(), lr=0.003)
train(pretrained, adam, batches(train_x, train_y, epochs=4))
published = deepcopy(pretrained)
drift_published = extract(published)
predict.measured("drift", drift_published[-1])
before, now = bits(pretrained.backbone), bits(published.backbone)
changed = {name for name in before if before[name] != now[name]}
buffers = {name for name, _ in pretrained.backbone.named_buffers()}
parameters = before.keys() - buffers
print(f"parameters changed: {len(parameters & changed)} of {len(parameters)}")
print(f"buffers changed: {len(buffers & changed)} of {len(buffers)}")
published.fc = pretrained.fc
old, new = accuracy(pretrained, test_x, test_y), accuracy(published, test_x, test_y)
print(f"old head on the old digits, right before: {old:.2f}, after: {new:.2f}")

# %% tags=["claim"]
assert changed == buffers and len(buffers) == 18
claims.band("accuracy of the pretrained network", old, low=0.85)
claims.band("change of the fixed features", drift_published[-1], low=0.2)

# %% [markdown]
# **Why.** Every parameter is what it was, and the extractor is another function. All 18 buffers
# moved: six BatchNorms with a mean, a variance and a counter each. The repair makes the mode part
# of the model, where no `train()` can undo it.


# %%
class FixedExtractor(ThinResNet):
    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self


repaired = FixedExtractor()
repaired.load_state_dict(pretrained.state_dict())
drift_repaired = extract(repaired)
print("repaired, change of the features by epoch:", drift_repaired)

# %% tags=["fold"]
# Draws how far the features moved, as published and repaired.
figure, axes = figures.chart(
    "The fixed features are not fixed", "epoch", "change of features, relative"
)
axes.plot(drift_published, "o-", color=COLOURS["moved"], label="as published")
axes.plot(drift_repaired, "s-", color=COLOURS["frozen"], label="repaired")
axes.set(xticks=range(4))
axes.legend(loc="center right")
alt = """Change of the features of fixed digits over three epochs of training the head. As published
they change by more than a fifth of their size, repaired by 0."""
figures.show(figure, alt)

# %% tags=["claim"]
assert bits(repaired.backbone) == before and drift_repaired == [0, 0, 0, 0]
assert not torch.equal(repaired.fc.weight, pretrained.fc.weight)

# %% [markdown]
# Is the drift always bad? No. The statistics move *towards the new data*, which can help on the
# new task. What it always does is make "frozen" untrue: features that were saved earlier no longer
# match, and during training each output depends on who shares the batch.
#
# A second pattern fails in both directions at once. An early version of a public video classifier
# ran a pretrained ResNet *and its own new layers* inside one `no_grad` block, with the encoder in
# `train()` mode
# ([source, as we read it](https://github.com/HHTseng/video-classification/blob/1179f053a1f9a494450d945a5a6d010012c6a1cc/ResNetCRNN/functions.py);
# the statistics were asked about in
# [issue 49](https://github.com/HHTseng/video-classification/issues/49)).


# %%
class Encoder(nn.Module):
    """A pretrained network and a new layer, both under no_grad; then a head."""

    def __init__(self, resnet):
        super().__init__()
        self.resnet, self.new_layer, self.head = resnet, nn.Linear(32, 32), nn.Linear(32, 10)

    def forward(self, x):
        with torch.no_grad():
            encoded = self.new_layer(self.resnet(x))
        return self.head(encoded)


# %%
predict.choice(
    "encoder",
    "What trains, and what stays?",
    [
        "the new layer trains, the ResNet stays",
        "the new layer stays, the ResNet stays",
        "the new layer stays, the ResNet's buffers move",
    ],
)

# %%
encoder = Encoder(deepcopy(pretrained.backbone)).train()
F.cross_entropy(encoder(train_x[:32]), train_y[:32]).backward()
now = bits(encoder.resnet)
moved_buffers = sum(now[name] != before[name] for name in buffers)
trains = "stays" if encoder.new_layer.weight.grad is None else "trains"
stays = "buffers move" if moved_buffers else "stays"
ending = "the ResNet's buffers move" if moved_buffers else "the ResNet stays"
predict.measured("encoder", f"the new layer {trains}, {ending}")
print("gradient of the new layer:", encoder.new_layer.weight.grad)
print("buffers of the ResNet that moved:", moved_buffers)
found = paramlock.certificate(encoder, (train_x[:32], train_y[:32]), F.cross_entropy)
draw(found, "Under no_grad: the new layer is not reached, nor anything below it").show()

# %% tags=["claim"]
assert encoder.new_layer.weight.grad is None and moved_buffers == 18
assert ("new_layer", "unreached") in locked_nodes(draw(found))

# %% [markdown]
# **Why.** The layer that should learn never will: its gradient is `None`, and the optimizer skips
# it without a word. The network that should stay moves all of its buffers.
#
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "half_memory",
    "Adam with β₁ = 0.5 and β₂ = 0.999 trained a weight for a long time at a constant gradient. "
    "Then the gradient is zeroed. How many more steps' worth does it go?",
    answer=1,
    within=0.05,
    why="r = 0.5 / √0.999, and r / (1 - r) is about 1.",
    wrong={9: "That is for β₁ = 0.9.", 0.5: "That is the first of these steps; more follow."},
)

# %%
# Question 2
selfcheck.choice(
    "drop",
    "Which of these lets a compiler leave the gradient of a frozen layer out?",
    {
        "a mask of zeros, times the gradient": "Zero times NaN is NaN, so it has to be computed.",
        "chain(adamw, freeze)": "The averages of AdamW are returned, and need the gradient.",
        "zeros in its place": right("They do not depend on the gradient, so nobody asks for it."),
    },
)

# %%
# Question 3
selfcheck.order(
    "cost",
    "FreezeOut with three equal layers. Which step of a run costs most, which least?",
    ["the first one", "one after the lowest is frozen", "one after the lower two are frozen"],
    why="The backward pass ends at the lowest layer that still trains.",
)

# %%
# Question 4
figure, axes = figures.chart("Two weights after the freeze", "step", "distance", (5.0, 2.2))
after = np.arange(1, 41)
axes.plot(after, adam_drift(0.1, 0.001, 1, 40), "-", color=COLOURS["moved"], label="A")
axes.plot(after, adam_drift(1 - 0.9**22, 1 - 0.999**22, 22, 40), "--", color=COLOURS["moved"])
axes.plot([], [], "--", color=COLOURS["moved"], label="B")
axes.legend()
figures.show(figure, "Distance after the freeze by step: A rises to 5 and levels off, B to 10.")
selfcheck.choice(
    "figure",
    "Both were trained by Adam at a gradient of 1, one of them for a single step. Which?",
    {
        "A": right("One step is enough for a coast of five; after 22 it is ten."),
        "B": "B coasts ten steps, which takes some 20 steps of training.",
        "it cannot be told": "The coast after one step is 5, after 22 steps it is 10.",
    },
)

# %%
# Question 5
body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16)).requires_grad_(False)
classifier = nn.Sequential(body, nn.ReLU(), nn.Linear(16, 10))
print(paramlock.certificate(classifier.train(), (train_x[:64], train_y[:64]), F.cross_entropy))
selfcheck.choice(
    "certificate",
    "Which call mends this extractor for good?",
    {
        "body.eval()": "It does until the next classifier.train().",
        "an override of train() that calls body.eval()": right("The mode is part of the model."),
        "body.requires_grad_": "It has been called; no flag holds a buffer.",
    },
)

# %% tags=["nbval-ignore-output"]
predict.summary()

# %% [markdown]
# ## Summary
#
# - Adam carries a layer whose gradient is zeroed by up to ten learning rates a weight, here by
#   about a third of the layer's norm. One step of training is enough for five.
# - A compiler drops a frozen gradient that nobody asks for: `zeros_like`, `selective_transform`. It
#   cannot drop `0.0 * g`, nor a gradient that feeds averages.
# - FreezeOut saves a fifth of the arithmetic here, at the same accuracy within a few points.
# - A frozen extractor in `train()` mode is another function after each epoch. `no_grad` around what
#   should learn keeps it from learning, and does not keep BatchNorm from moving.
#
# ## References
#
# - A. Brock, T. Lim, J. M. Ritchie, N. Weston. *FreezeOut: Accelerate Training by Progressively
#   Freezing Layers.* 2017. [arXiv:1706.04983](https://arxiv.org/abs/1706.04983)
# - D. P. Kingma, J. Ba. *Adam: A Method for Stochastic Optimization.* ICLR 2015.
#   [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)
