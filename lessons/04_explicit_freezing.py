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
# # Explicit freezing
#
# To *freeze* a layer is to decide that training must leave it alone. The decision takes one line.
# Making it true takes more: most of this lesson is about layers that were declared frozen and moved
# all the same.
#
# **After it you can**
#
# - say which of `requires_grad=False`, `detach` and `no_grad` stops what;
# - freeze part of a JAX pytree by path, and with an optax transformation;
# - name six things that move a frozen layer, and predict how far some of them carry it;
# - prove that a layer stayed, with a test that a broken freeze does not pass;
# - say what freezing a layer saves, and on what that depends.
#
# **Minutes:** 45. **It rests on** Python, gradient descent, and a first meeting with PyTorch or
# JAX; what you need of the other is explained where it comes up. Where the lesson asks for a
# prediction, give a guess before you run on. [Further on](04_explicit_freezing_deeper.ipynb),
# optional: the long run of Adam's memory, what a compiler saves, a published saving, and two
# freezes in public code that fail.

# %% tags=["fold"]
# What is used below.
from contextlib import nullcontext
from copy import deepcopy
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import linen, nnx
from jax.tree_util import keystr, tree_leaves_with_path, tree_map_with_path
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import paramlock
from lessonkit import claims, explore, seeding
from lessonkit.drawing import chain, draw, locked_nodes, play
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import COLOURS, THEORY

predict = Predictions("04_explicit_freezing")
selfcheck = SelfCheck("04_explicit_freezing")

# %%
seeding.seed_everything(0)
figures.use_style()
layers = ["first", "second", "third", "head"]
shape = chain([6, 5, 5, 5, 3], names=layers, frozen=["first", "third"])
title = "First and third are frozen: the gradient passes through third, and ends at second"
draw(shape, title, backward=[0, 1, 1, 1]).show()

# %% [markdown]
# Blue weights are meant to stay, orange ones learn. The river underneath is the gradient on its way
# back from the loss, 1 where it flows and 0 where nobody asks for it.
#
# The data are 1,797 images of handwritten digits, 8 by 8 pixels, which come with scikit-learn. We
# hold 397 back. One loop serves all torch experiments. `before_step` runs between the backward pass
# and the update, where many people put their freeze. `set_to_none` says whether `zero_grad` removes
# old gradients or overwrites them with zeros.

# %% tags=["fold"]
# Loads the digits, and makes a stream of 86 batches of 32 from two epochs.
digits = load_digits()
order = torch.randperm(len(digits.target))
images = torch.tensor(digits.images / 16, dtype=torch.float32)[order, None]
labels = torch.tensor(digits.target)[order]
train_x, test_x = images[:1400], images[1400:]
train_y, test_y = labels[:1400], labels[1400:]
stream = [(train_x[r], train_y[r]) for _ in range(2) for r in torch.randperm(1400).split(32)[:-1]]


# %%
def train(model, optimizer, data, before_step=lambda: None, set_to_none=True):
    for x, y in data:
        optimizer.zero_grad(set_to_none=set_to_none)
        F.cross_entropy(model(x), y).backward()
        before_step()
        optimizer.step()


# %% tags=["claim"]
assert locked_nodes(draw(shape)).keys() == {("first", "frozen"), ("third", "frozen")}
assert len(images) == 1797 and len(test_x) == 397 and len(stream) == 86

# %% [markdown]
# ## Three switches that are not the same
#
# Three layers in a row: *first*, *middle*, *head*. We want the middle one to stay as it is. Three
# switches offer themselves.
#
# - `middle.requires_grad_(False)` marks **parameters**: compute no gradient for these.
# - `h.detach()` cuts a **tensor** off: no gradient goes back through this value.
# - `torch.no_grad()` turns off the **recording**: what is computed inside has no history.
#
# Each is set on the middle layer alone. For `detach` there are two places, the layer's input and
# its output.


# %%
class Three(nn.Module):
    """Three layers, with one switch set on the middle one."""

    def __init__(self, switch):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.middle, self.head = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 10)
        self.switch = switch
        self.middle.requires_grad_(switch != "requires_grad")

    def forward(self, x):
        h = torch.tanh(self.first(x.flatten(1)))
        if self.switch == "detach input":
            h = h.detach()
        with torch.no_grad() if self.switch == "no_grad" else nullcontext():
            h = self.middle(h)
        if self.switch == "detach output":
            h = h.detach()
        return self.head(torch.tanh(h))


# %%
predict.choice(
    "switch",
    "With no_grad around the middle layer: which layers still get a gradient?",
    ["first and head", "middle and head", "head", "all three"],
)

# %%
switches = ["none", "requires_grad", "detach input", "detach output", "no_grad"]
names = ["first", "middle", "head"]
gradients = {}
for switch in switches:
    three = Three(switch)
    F.cross_entropy(three(train_x[:64]), train_y[:64]).backward()
    gradients[switch] = [getattr(three, name).weight.grad for name in names]

# %% tags=["fold"]
# Shows the norms of the gradients in a table, switch by switch.
got = [name for name, g in zip(names, gradients["no_grad"], strict=True) if g is not None]
predict.measured("switch", " and ".join(got))
by_layer = list(zip(*gradients.values(), strict=True))
cells = [["none" if g is None else f"{g.norm():.2f}" for g in row] for row in by_layer]
kinds = [["unreached" if g is None else "trainable" for g in row] for row in by_layer]
kinds[1][1] = "frozen"
title = "Only requires_grad stops the middle layer and nothing else (norms of gradients)"
figures.show_table(title, names, switches, cells, kinds)

# %% tags=["claim"]
for i in (0, 2):
    assert torch.equal(gradients["requires_grad"][i], gradients["none"][i])
stopped = {s: [g is None for g in row] for s, row in gradients.items()}
assert stopped["requires_grad"] == [False, True, False]
assert stopped["detach input"] == [True, False, False]
assert stopped["detach output"] == stopped["no_grad"] == [True, True, False]

# %% [markdown]
# **Why.** A frozen layer is still a function, and a function has a derivative. To reach the layers
# below, the chain rule needs the derivative of the layer's output with respect to its *input*. No
# gradient of its parameters takes part. So *first* goes on learning through a frozen *middle*, and
# its gradient agrees to the last bit with the one it had before.
#
# `detach` on the output and `no_grad` break the chain, so all below stops too. `detach` on the
# input does the opposite of what we wanted: *middle* learns and *first* does not.
#
# A *certificate* measures a model on data and names its locks. Drawn from certificates, the
# difference is plain. (The river is now the share of the gradient that each layer's own weights
# get. A layer is *unreached*, grey, if no path leads to it from the loss.)

# %% tags=["fold"]
# Draws the certificate of each of the four nets; a slider goes through them.
batch = train_x[:64], train_y[:64]
found = {
    "requires_grad": "requires_grad: middle stays, the others learn",
    "detach input": "detach on the input: first is not reached, middle learns",
    "detach output": "detach on the output: neither middle nor first is reached",
    "no_grad": "no_grad: neither middle nor first is reached",
}
drawn = {
    switch: draw(paramlock.certificate(Three(switch), batch, F.cross_entropy), title)
    for switch, title in found.items()
}
play(list(drawn.values()), label="Switch", values=list(drawn))

# %% tags=["claim"]
assert locked_nodes(drawn["requires_grad"]).keys() == {("middle", "frozen")}
assert locked_nodes(drawn["detach input"]).keys() == {("first", "unreached")}
assert locked_nodes(drawn["no_grad"]).keys() == {("middle", "unreached")}

# %% [markdown]
# One letter can undo the switch. `requires_grad_`, with an underscore, is a method of modules;
# `requires_grad` without one is an attribute of tensors. Assigned to a *module* it does nothing:
# Python lets you set any attribute, and nobody reads this one. So a loop over *parameters* freezes,
# and the same loop over *modules* does not.

# %%
layer = nn.Linear(32, 32)
layer.requires_grad = False
print("still trainable:", [name for name, p in layer.named_parameters() if p.requires_grad])
for p in layer.parameters():
    p.requires_grad = False
print("after the loop: ", [name for name, p in layer.named_parameters() if p.requires_grad])

# %% [markdown]
# `detach` on the output and `no_grad` gave the same column, and yet they differ. `detach` concerns
# *one use of one value*. With $w$ used twice and detached once, one factor counts as a constant:
# the slope of `w * w.detach()` at $w = 3$ is 3 in place of 6. JAX has no flags on arrays and no
# recording to turn off. You say which argument to differentiate, and all else is constant;
# `stop_gradient` is the twin of `detach`, and gives the same 3.

# %% tags=["claim"]
w = torch.tensor(3.0, requires_grad=True)
(w * w.detach()).backward()
slope = jax.grad(lambda w: w * jax.lax.stop_gradient(w))(3.0)
assert w.grad.item() == slope == 3 and not any(p.requires_grad for p in layer.parameters())

# %% [markdown]
# ## Zeroing gradients on a pytree by path
#
# In Flax's *linen* a model's parameters live outside of it, in a nested dictionary: a *pytree*.
# `@linen.compact` lets a model create its layers while it runs. `init(key, x)` runs it once to
# learn the shapes and returns fresh parameters; `apply({"params": params}, x)` runs it with yours.
#
# To freeze a layer you need its address in the dictionary. Flax makes it up from the class name and
# a counter. Here are two networks that map 64 numbers to 10 by way of 32.


# %%
class Stepwise(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.tanh(linen.Dense(32)(x))
        return linen.Dense(10)(x)


class Nested(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(10)(linen.tanh(linen.Dense(32)(x)))


# %%
predict.choice(
    "nested",
    "What is the shape of the kernel of Dense_0 in Nested?",
    ["(64, 32)", "(32, 10)", "(64, 10)"],
)

# %%
jax_x, jax_y = jnp.asarray(train_x[:256].flatten(1)), jnp.asarray(train_y[:256])
params = Stepwise().init(jax.random.key(0), jax_x)["params"]
nested = Nested().init(jax.random.key(0), jax_x)["params"]
predict.measured("nested", str(nested["Dense_0"]["kernel"].shape))
for path, leaf in tree_leaves_with_path({"Stepwise": params, "Nested": nested}):
    print(f"{keystr(path, simple=True, separator='/'):24}", leaf.shape)

# %% [markdown]
# **Why.** The counter follows the order of *construction*. In `Dense(10)(tanh(Dense(32)(x)))`
# Python evaluates `Dense(10)` before its argument, so the head is built first and is called
# `Dense_0`. Freeze `Dense_0` there and you freeze the head. Look at the shapes first, or name the
# layers yourself: `linen.Dense(32, name="body")`.
#
# Now the freeze. `jax.tree.map` shows a function every leaf and does not say where it is;
# `tree_map_with_path` also gives the way to it. We put zeros where the path begins with the wanted
# keys and leave the other gradients as they are. Then one step of *plain* gradient descent, without
# momentum and without weight decay, and a comparison of norms and of all bits.


# %%
def zero_under(tree, *prefix):
    """Return ``tree`` with zeros in every leaf whose path starts with the keys ``prefix``."""

    def visit(path, leaf):
        keys = tuple(entry.key for entry in path)
        return jnp.zeros_like(leaf) if keys[: len(prefix)] == prefix else leaf

    return tree_map_with_path(visit, tree)


@jax.jit
def loss_and_gradient(params):
    def loss(params):
        logits = Stepwise().apply({"params": params}, jax_x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, jax_y).mean()

    return jax.value_and_grad(loss)(params)


# %%
_, grads = loss_and_gradient(params)
updated = jax.tree.map(lambda p, g: p - 0.1 * g, params, zero_under(grads, "Dense_0"))
norms = [jnp.linalg.norm(tree["Dense_0"]["kernel"]).item() for tree in (params, updated)]
print("norm of the kernel of Dense_0: {:.4f} before, {:.4f} after".format(*norms))
same = jax.tree.map(lambda a, b: a.tobytes() == b.tobytes(), params, updated)
print("every bit kept:", [keystr(path) for path, kept in tree_leaves_with_path(same) if kept])

# %% tags=["claim"]
assert params["Dense_0"]["kernel"].shape == (64, 32) and norms[0] == norms[1]
assert all(same["Dense_0"].values()) and not any(same["Dense_1"].values())

# %% [markdown]
# **Why.** In $p \leftarrow p - \eta g$ with $g = 0$ nothing is subtracted: kernel and bias of
# `Dense_0` keep every bit. The norms agree too, which proves less; a later section shows why.
#
# Four things go wrong with paths and trees.
#
# 1. *A wrong name matches nothing*, and matching nothing is no error: with `"dense_0"` you train
#    everything and believe otherwise. Refuse a name that you cannot find.
# 2. *`getattr(entry, "key", None)` does not always find the key.* It is often recommended as safe
#    for every pytree. An entry of a `NamedTuple` or of an nnx module has a `.name` and no `.key`.
#    All entries then read `None`, nothing matches, and everything trains.
# 3. *`0.0 * g` is no zero.* For a NaN or an infinity it is NaN. `zeros_like` is zero for all, and
#    keeps shape and dtype.
# 4. *Zeroing the kernel is other surgery than zeroing its gradient.* It cuts the input off: every
#    image gets the same answer, and with biases of zero the loss is $\log 10 = 2.30$.


# %%
class Pair(NamedTuple):
    body: jax.Array
    head: jax.Array


misspelt = zero_under(grads, "dense_0")
pairs = zip(jax.tree.leaves(misspelt), jax.tree.leaves(grads), strict=True)
print("1. leaves zeroed under dense_0:", sum(a is not b for a, b in pairs), "of 4")
module = nnx.Linear(1, 1, rngs=nnx.Rngs(0))
for name, tree in {"dict": {"body": 1.0}, "NamedTuple": Pair(1.0, 2.0), "nnx": module}.items():
    entries = [entry for path, _ in tree_leaves_with_path(tree) for entry in path]
    print(f"2. {name}: keys found", [getattr(entry, "key", None) for entry in entries])
print("3. zero times nan and times inf:", 0.0 * jnp.nan, 0.0 * jnp.inf)
emptied, _ = loss_and_gradient(zero_under(params, "Dense_0", "kernel"))
print(f"4. loss with the kernel zeroed: {emptied:.2f}")

# %% tags=["claim"]
assert misspelt["Dense_0"]["kernel"] is grads["Dense_0"]["kernel"] and abs(emptied - 2.3026) < 1e-3
assert not any(hasattr(e, "key") for p, _ in tree_leaves_with_path(Pair(1.0, 2.0)) for e in p)
assert not any(hasattr(entry, "key") for p, _ in tree_leaves_with_path(module) for entry in p)

# %% [markdown]
# Writing into a tree has traps of its own. `dict(params)` copies the outer dictionary only: the
# inner ones are shared, and an assignment there harms the original. `deepcopy` looks like the safe
# way out. Below one layer stands at two paths, as tied layers do. We copy deeply and write zeros at
# `encoder/kernel`.

# %%
layer = {"kernel": jnp.ones(3, jnp.float16)}
copy = deepcopy({"encoder": layer, "decoder": layer})
copy["encoder"]["kernel"] = jnp.zeros_like(layer["kernel"])
kernel = 2 * params["Dense_1"]["kernel"]
swapped = {**params, "Dense_1": {**params["Dense_1"], "kernel": kernel}}
print("decoder/kernel holds", copy["decoder"]["kernel"], copy["decoder"]["kernel"].dtype)
print("swapped shares with params:", [name for name in params if swapped[name] is params[name]])

# %% tags=["claim"]
assert copy["decoder"] is copy["encoder"] and copy["decoder"]["kernel"].dtype == jnp.float16
assert dict(params)["Dense_0"] is params["Dense_0"] and jnp.zeros(3).dtype == jnp.float32
assert swapped["Dense_1"]["kernel"] is kernel and params["Dense_1"]["kernel"] is not kernel
for keys, raised in {"dense_0": KeyError, "Dense_0": TypeError}.items():
    try:
        params[keys]["kernel"]["x"]
    except (KeyError, TypeError) as error:
        assert type(error) is raised

# %% [markdown]
# `deepcopy` keeps sharing: what was one object at two paths is one in the copy. So rebuild
# every level on the way down, as `swapped` does, and share the rest, into which nobody writes.
# Check the path yourself: a `KeyError` tells one key and not the way to it, and a path that goes on
# below a leaf raises a `TypeError`, for there the key meets an array.

# %% [markdown]
# ## Zeroed gradients against zeroed updates
#
# For plain gradient descent the two are one. Other optimizers have a memory. Here are three, for
# one weight $w$ with gradient $g$ and learning rate $\eta$:
#
# - *Momentum*: $u \leftarrow \mu u + g$, then $w \leftarrow w - \eta u$. Mostly $\mu = 0.9$.
# - *Adam* keeps two averages, $m \leftarrow \beta_1 m + (1-\beta_1)\, g$ and
#   $v \leftarrow \beta_2 v + (1-\beta_2)\, g^2$, with $\beta_1 = 0.9$ and $\beta_2 = 0.999$. Both
#   start at zero, so after $t$ steps they are divided by what is missing,
#   $\hat m = m/(1-\beta_1^t)$, $\hat v = v/(1-\beta_2^t)$. Then
#   $w \leftarrow w - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)$.
# - *AdamW* is Adam that also decays: $w \leftarrow (1-\eta\lambda)\, w$ at each step.
#
# We feed one weight a gradient of 1 for twenty steps, and then freeze it for forty. *Route one*
# sets the gradient to 0. *Route two* shows Adam the true gradient and throws its update away.


# %%
def drive(make_optimizer, gradients, held_after=None):
    """Yield a weight and its optimizer's state after each step; later updates are thrown away."""
    w = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = make_optimizer([w])
    for step, gradient in enumerate(gradients):
        before = w.item()
        w.grad = torch.full_like(w, gradient)
        optimizer.step()
        if held_after is not None and step >= held_after:
            w.data.fill_(before)
        yield w.item(), optimizer.state[w]


# %% tags=["fold"]
# Returns position, m and v of Adam after each step, at a learning rate of 1; shape (steps, 3).
def adam_history(gradients, held_after=None):
    steps = drive(lambda w: torch.optim.Adam(w, lr=1.0), gradients, held_after)
    return np.array([(p, s["exp_avg"].item(), s["exp_avg_sq"].item()) for p, s in steps])


# %%
predict.number(
    "coast",
    "On route one, how far does the weight still travel after the freeze, in learning rates?",
    factor=1.5,
)

# %%
TRAINED, FROZEN = 20, 40
zeroed = adam_history([1.0] * TRAINED + [0.0] * FROZEN)
discarded = adam_history([1.0] * (TRAINED + FROZEN), held_after=TRAINED)
_, m, v = zeroed[TRAINED - 1]
travelled = {
    "gradient zeroed": zeroed[TRAINED - 1, 0] - zeroed[TRAINED:, 0],
    "update thrown away": discarded[TRAINED - 1, 0] - discarded[TRAINED:, 0],
}
predict.measured("coast", travelled["gradient zeroed"][-1])
print(f"m at the freeze: {m:.3f}. Forty steps later:")
for (route, distance), history in zip(travelled.items(), (zeroed, discarded), strict=True):
    print(f"{route:18} travelled {abs(distance[-1]):.2f}, m = {history[-1, 1]:.3f}")

# %% [markdown]
# **Why.** A zero enters the averages like any other gradient. They do not drop to zero, they fade:
# $j$ zeros after step $k$, $m_{k+j} = \beta_1^{\,j}\, m_k$ and $v_{k+j} = \beta_2^{\,j}\, v_k$.
# While $m$ fades, the update is not zero. Of the six things that move a frozen layer this is number
# **(1), Adam's averages**. Put into Adam's own formula, $n$ zeros carry the weight by
#
# $$\eta \sum_{j=1}^{n} \frac{\hat m_{k+j}}{\sqrt{\hat v_{k+j}} + \epsilon}, \qquad
# \hat m_{k+j} = \frac{\beta_1^{\,j} m_k}{1-\beta_1^{\,k+j}}, \quad
# \hat v_{k+j} = \frac{\beta_2^{\,j} v_k}{1-\beta_2^{\,k+j}} .$$


# %%
def adam_drift(m, v, k, n, beta1=0.9, beta2=0.999, eps=1e-8):
    """Distance, in learning rates, after each of n steps with zero gradient; shape (..., n)."""
    j = np.arange(1, n + 1)
    m_hat = beta1**j * m / (1 - beta1 ** (k + j))
    v_hat = beta2**j * v / (1 - beta2 ** (k + j))
    return np.cumsum(m_hat / (np.sqrt(v_hat) + eps), axis=-1)


# %% tags=["claim"]
assert np.allclose(travelled["gradient zeroed"], adam_drift(m, v, TRAINED, FROZEN), rtol=1e-9)
assert 9 < travelled["gradient zeroed"][-1] < 11 and not travelled["update thrown away"].any()
assert zeroed[-1, 1] < 0.02 and discarded[-1, 1] > 0.99

# %% [markdown]
# The formula holds for every weight of a real layer, each with its own $m$ and $v$. How far it
# carries one is measured [further
# on](04_explicit_freezing_deeper.ipynb#How-far-Adam-carries-a-real-layer).
#
# Number **(2), momentum**, can be summed by hand. Each step after the freeze is $\mu$ times the one
# before, so in units of the last step the weight coasts $S = \mu + \mu^2 + \mu^3 + \dots$ Multiply
# by $\mu$: $\mu S = S - \mu$, hence $S = \mu/(1-\mu)$. That is 9 for $\mu = 0.9$, however long it
# was trained before. And Adam?

# %%
predict.number(
    "one_step",
    "A weight is trained by Adam for one single step, then its gradient is zeroed. How many more "
    "steps of that size does it go?",
    unit="steps",
    within=1,
)

# %% tags=["fold"]
# Measures how far Adam and momentum coast, in units of the last step before the freeze.
WINDOW = 60


def coasted(make_optimizer, trained):
    steps = drive(make_optimizer, [1.0] * trained + [0.0] * WINDOW)
    positions = np.array([0.0, *(position for position, _ in steps)])
    coast = positions[trained] - positions[trained + 1 :]
    return coast / (positions[trained - 1] - positions[trained])


def both_coasts(trained, beta):
    adam = coasted(lambda w: torch.optim.Adam(w, lr=1.0, betas=(beta, 0.999)), trained)
    return adam, coasted(lambda w: torch.optim.SGD(w, lr=1.0, momentum=beta), trained)


# %%
one, hundred = both_coasts(1, 0.9), both_coasts(100, 0.9)
predict.measured("one_step", one[0][-1])
print(f"after 1 step:    Adam {one[0][-1]:.1f}, momentum {one[1][-1]:.1f}")
print(f"after 100 steps: Adam {hundred[0][-1]:.1f}, momentum {hundred[1][-1]:.1f}")

# %% tags=["fold"]
# Draws both coasts; sliders set the steps before the freeze and the memory.
figure, axes = figures.chart(
    "A weight with its gradient zeroed coasts on, by what its optimizer remembers",
    "steps after the gradient was zeroed",
    "distance / last step",
    size=(7.0, 2.7),
)
dots = {"color": COLOURS["moved"], "linestyle": "", "markersize": 4, "animated": True}
(adam_dots,) = axes.plot([], [], marker="o", label="Adam", **dots)
(momentum_dots,) = axes.plot([], [], marker="s", markerfacecolor="white", label="momentum", **dots)
(adam_line,) = axes.plot([], [], **THEORY, animated=True, label="closed forms")
(momentum_line,) = axes.plot([], [], **THEORY, animated=True)
axes.set(xlim=(0, WINDOW), ylim=(0, 24))
axes.legend(loc="upper left", ncols=3)


def follow(trained, beta):
    after, (adam, momentum) = np.arange(1, WINDOW + 1), both_coasts(trained, beta)
    m, v = 1 - beta**trained, 1 - 0.999**trained
    adam_dots.set_data(after, adam)
    momentum_dots.set_data(after, momentum)
    adam_line.set_data(after, adam_drift(m, v, trained, WINDOW, beta1=beta))
    momentum_line.set_data(after, np.cumsum(beta**after))
    return (
        f"Trained for {trained} step{'s' * (trained > 1)} at β₁ = μ = {beta:.2f}: after the "
        f"freeze Adam goes on for {adam[-1]:.1f} steps' worth, momentum for {momentum[-1]:.1f}."
    )


sliders = {
    "trained": explore.Slider("Steps trained before the freeze", 1, 100, 1, 1),
    "beta": explore.Slider("Memory, β₁ = μ", 0.0, 0.95, 0.05, 0.9),
}
alt = "Distance that a frozen weight travels, by steps since its gradient was zeroed."
coast = explore.Experiment(figure, follow, sliders, alt=alt)
coast.show()

# %% tags=["claim"]
assert 4.9 < one[0][-1] < 5.1 and 9.3 < hundred[0][-1] < 9.5
assert np.allclose([one[1][-1], hundred[1][-1]], 9, atol=0.02)
assert "Adam goes on for 0.0 steps' worth" in coast.try_values(beta=0.0).finding

# %% [markdown]
# **Why.** Adam's corrected averages are means over the steps *so far*. After one step and $j$
# zeros, $\hat m$ is a mean of $1 + j$ gradients of which one is not zero, and fades fast; but
# $\hat v$ fades as well, and the update is divided by its root. One step of training is enough for
# five of drift ([summed further
# on](04_explicit_freezing_deeper.ipynb#How-far-Adam-coasts-in-the-long-run)).
#
# Which route is better? With zeroed *updates* the averages stay current, which may help if the
# layer is unfrozen later (not measured); the price is gradients that are computed and not used.
# With zeroed *gradients* the layer drifts, and the state goes stale. To hold no state at all avoids
# both; a layer unfrozen later then starts cold, and Adam's first step is one whole learning rate,
# even at a gradient of 0.001.

# %% tags=["claim"]
assert abs(adam_history([0.001])[0, 0] + 1) < 1e-4

# %% [markdown]
# ## What still moves a frozen layer
#
# A torch optimizer asks one question of each parameter: *is its gradient `None`?* It does not look
# at `requires_grad`. A gradient of zeros is a gradient. So is one left over from an earlier step.
#
# We freeze the lower layer of `mlp()` in four ways and take five steps. When the freeze comes, the
# gradient of an ordinary backward pass still lies on the parameters.
#
# - *Gradient zeroed*: the flag stays on; zeros are written into the gradient before each step.
# - *Flag, zeros left*: the flag goes off, and `zero_grad(set_to_none=False)` turns the old gradient
#   into zeros, which stay.
# - *Flag set late*: the flag goes off between the first backward pass and its step.
# - *Flag, grad None*: the flag goes off and the gradient is removed.
#
# Seven optimizers do it. "Warm" ones have taken twenty ordinary steps before the freeze. SGD runs
# at a rate of 0.1, Adam at 0.01, and weight decay is $\lambda = 0.1$: in `SGD` and `Adam` it adds
# $\lambda w$ to the gradient, even to one of zeros; in `AdamW` it acts on the weight directly.


# %%
def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def freeze_layer(layer, way):
    """Freeze ``layer`` in the way named; return what must run before each optimizer step."""
    if way == "gradient zeroed":
        return lambda: [p.grad.zero_() for p in layer.parameters()]
    if way == "flag set late":
        return lambda: layer.requires_grad_(False)
    layer.requires_grad_(False)
    layer.zero_grad(set_to_none=way == "flag, grad None")
    return lambda: None


# %% tags=["fold"]
# Measures how far the lower layer moves in five steps, by optimizer and way.
def movement(make_optimizer, warm, way):
    model = mlp()
    layer, optimizer = model[1], make_optimizer(model.parameters())
    train(model, optimizer, stream[:warm])
    F.cross_entropy(model(train_x[:32]), train_y[:32]).backward()  # leaves gradients behind
    start = layer.weight.detach().clone()
    before_step = freeze_layer(layer, way)
    train(model, optimizer, stream[20:25], before_step, set_to_none=way != "flag, zeros left")
    return ((layer.weight - start).norm() / start.norm()).item()


SGD, Adam, AdamW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
optimizers = {
    "SGD": (lambda p: SGD(p, lr=0.1), 0),
    "SGD, weight decay": (lambda p: SGD(p, lr=0.1, weight_decay=0.1), 0),
    "SGD, momentum, warm": (lambda p: SGD(p, lr=0.1, momentum=0.9), 20),
    "Adam, cold": (lambda p: Adam(p, lr=0.01), 0),
    "Adam, warm": (lambda p: Adam(p, lr=0.01), 20),
    "Adam, weight decay, warm": (lambda p: Adam(p, lr=0.01, weight_decay=0.1), 20),
    "AdamW, cold": (lambda p: AdamW(p, lr=0.01, weight_decay=0.1), 0),
}


# %%
predict.number(
    "zeros",
    "Flag off, zeros left: under how many of the seven does the layer keep every bit?",
    within=0,
)

# %% tags=["nbval-ignore-output"]
ways = ["gradient zeroed", "flag, zeros left", "flag set late", "flag, grad None"]
moved = np.array(
    [[movement(make, warm, way) for way in ways] for make, warm in optimizers.values()]
)
predict.measured("zeros", (moved[:, 1] == 0).sum())
percent = [["0" if x == 0 else f"{100 * x:.2g} %" for x in row] for row in moved]
kinds = [["frozen" if x == 0 else "moved" for x in row] for row in moved]
title = "How far the frozen layer moved: only a missing gradient stops them all"
figures.show_table(title, list(optimizers), ways, percent, kinds)

# %% tags=["claim"]
assert (moved[:, 0] == moved[:, 1]).all() and moved[:, 2].all() and not moved[:, 3].any()
assert [name for name, x in zip(optimizers, moved[:, 0], strict=True) if x == 0] == [
    "SGD",
    "Adam, cold",
]
assert abs(moved[6, 0] - (1 - 0.999**5)) < 1e-5
claims.band("share that a warm Adam moves a layer in five steps of zeros", moved[4, 1], low=0.05)

# %% [markdown]
# **Why**, column by column.
#
# - *Gradient zeroed* and *flag, zeros left* agree to the bit: both hand the optimizer a zero. Only
#   an optimizer with nothing remembered and no decay stays put: plain SGD, and Adam while it is
#   cold. The others show number **(3), AdamW's own decay**: after five cold steps
#   $1 - 0.999^5$ is gone, half a percent; and number **(4), decay by way of the gradient**.
# - *Flag set late*: between `backward` and `step` the gradient is already there. This is number
#   **(5), a gradient left over**. One full step is taken; there would be more if the next
#   `zero_grad` did not remove the gradient.
# - *Flag, grad None*: the optimizer skips the parameter altogether, memory, decay and all.
#
# ## Labels, masks and the order of a chain
#
# In JAX the usual place for a freeze is the optimizer. Optax builds optimizers by chaining
# transformations of the gradient, and offers several ways to leave parameters out. Take the
# smallest problem there is: two parameters $a$ and $b$, both 1 at first, and the loss
# $\tfrac12 a^2 + \tfrac12 b^2$, so that each gradient equals its parameter. We want $a$ frozen.
#
# - `masked(t, mask)` applies the transformation `t` where the mask is true.
# - `freeze(mask)` sets to zero what arrives where the mask is true.
# - `partition({label: t}, labels)` sends each parameter to the transformation of its label. (An
#   older name is `multi_transform`.)
# - `selective_transform(t, freeze_mask=mask)` is a shorter way to say the same.


# %%
def descend(optimizer):
    """Return a after three steps, and the number of arrays that the optimizer holds."""
    params = {"a": jnp.array(1.0), "b": jnp.array(1.0)}
    state = optimizer.init(params)
    for _ in range(3):
        updates, state = optimizer.update(params, state, params)  # the gradient is params
        params = optax.apply_updates(params, updates)
    return float(params["a"]), len(jax.tree.leaves(state))


# %%
is_frozen, is_trainable = {"a": True, "b": False}, {"a": False, "b": True}
adamw = optax.adamw(0.1, weight_decay=0.1)
freeze_a = optax.freeze(is_frozen)
labelled = {"train": adamw, "frozen": optax.set_to_zero()}
chains = {
    "masked(adamw, b)": optax.masked(adamw, is_trainable),
    "chain(freeze(a), adam)": optax.chain(freeze_a, optax.adam(0.1)),
    "chain(freeze(a), adamw)": optax.chain(freeze_a, adamw),
    "chain(adamw, freeze(a))": optax.chain(adamw, freeze_a),
    "partition by label": optax.partition(labelled, {"a": "frozen", "b": "train"}),
    "selective_transform": optax.selective_transform(adamw, freeze_mask=is_frozen),
}

# %%
predict.number("masked", "Where is a after three steps under masked(adamw, b)?", within=0.1)

# %%
ended, held = zip(*[descend(optimizer) for optimizer in chains.values()], strict=True)
predict.measured("masked", ended[0])
for name, a, arrays in zip(chains, ended, held, strict=True):
    print(f"{name:26} a = {a:.4f}   arrays held: {arrays}")
adam, start = optax.adam(0.1), {"a": jnp.array(1.0)}
_, warm = adam.update(start, adam.init(start))
update, _ = adam.update({"a": jnp.array(0.0)}, warm)
print(f"a warm adam moves a by {update['a']:.3f} at a zero gradient")

# %% tags=["claim"]
assert ended[0] == 8 and abs(ended[2] - 0.99**3) < 1e-6 and held == (3, 5, 5, 5, 3, 3)
assert ended[1] == ended[3] == ended[4] == ended[5] == 1 and abs(update["a"] + 0.067) < 5e-4
assert optax.multi_transform is optax.partition

# %% [markdown]
# **Why.**
#
# - `masked(adamw, b)` passes on *the rest unchanged*. For $a$ that is its raw gradient, and
#   `apply_updates` **adds** it: $a \leftarrow a + a$, uphill, doubling at each step. `masked`
#   limits a transformation. It freezes nothing.
# - `chain(freeze(a), adam)` zeroes the gradient, and $a$ stays only because this Adam is cold.
#   After one ordinary step the same zero moves $a$ by 0.067.
# - `chain(freeze(a), adamw)` zeroes the gradient, and AdamW decays the weight regardless:
#   $a \leftarrow a\,(1 - 0.1 \cdot 0.1)$ at each step, 0.9703 after three.
# - `chain(adamw, freeze(a))` zeroes the finished update. Nothing is added, so nothing moves. But
#   AdamW goes on keeping two averages for $a$.
# - `partition` and `selective_transform` keep $a$ still *and* hold nothing for it: 3 arrays in
#   place of 5, a step count and two averages for $b$.
#
# The order matters once more where gradients are clipped by their *global* norm: [further
# on](04_explicit_freezing_deeper.ipynb#Clip-or-freeze-first), a frozen gradient holds back the part
# that is trainable.
#
# ## BatchNorm moves without a gradient
#
# All of the above was about parameters. A BatchNorm layer also has *buffers*: a running mean and a
# running variance, which stand in for the batch's own in `eval()` mode. In `train()` mode each
# forward pass pulls them towards the batch: $r \leftarrow 0.9\,r + 0.1\,\mu$. No gradient takes
# part, so no gradient switch can stop it, not even `no_grad`. This is the last of the six: number
# **(6), BatchNorm's statistics**.


# %%
def frozen_body():
    torch.manual_seed(2)
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32))
    return body.requires_grad_(False)


# %%
body = frozen_body()
batch_mean = body[:2](train_x[:256]).mean(0)
with torch.no_grad():
    for _ in range(10):
        body(train_x[:256])
share = (body[2].running_mean @ batch_mean) / (batch_mean @ batch_mean)
print(f"ten passes under no_grad: {share:.3f} of the way from 0 to the batch's mean")

# %% tags=["claim"]
assert torch.allclose(body[2].running_mean, (1 - 0.9**10) * batch_mean, atol=1e-6)

# %% [markdown]
# The cure is `eval()` on the frozen part. But a mode is no lock: `model.train()` sets the mode of
# *every* module inside, and a training loop calls it at the latest after its first validation.
# `Fixed` makes the mode part of the model, where no `train()` can undo it.


# %%
class Fixed(nn.Sequential):
    """A sequence whose first module stays in eval mode."""

    def train(self, mode=True):
        super().train(mode)
        self[0].eval()
        return self


# %% tags=["fold"]
# Trains a head on a frozen body for three epochs; finds those in which the running mean moved.
def moving_epochs(sequence, eval_once=False):
    body, epochs = frozen_body(), []
    model = sequence(body, nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    for epoch in range(3):
        model.train()
        if eval_once and epoch == 0:
            body.eval()
        before = body[2].running_mean.clone()
        train(model, optimizer, stream[10 * epoch : 10 * epoch + 10])
        if not torch.equal(before, body[2].running_mean):
            epochs.append(epoch + 1)
    return epochs


# %%
predict.choice(
    "mode",
    "Each of three epochs begins with model.train(); only in the first, body.eval() follows. In "
    "which epochs do the statistics of the frozen body move?",
    ["in none", "in 1", "in 2 and 3", "in all"],
)

# %%
once = moving_epochs(nn.Sequential, eval_once=True)
predict.measured("mode", "in " + " and ".join(map(str, once)))
print("epochs in which they move: without eval()", moving_epochs(nn.Sequential))
print("with eval() once", once, " with train() overridden", moving_epochs(Fixed))

# %% tags=["claim"]
assert (moving_epochs(nn.Sequential), once, moving_epochs(Fixed)) == ([1, 2, 3], [2, 3], [])

# %% [markdown]
# Flax's newer module system, *nnx*, keeps state inside the module and picks what to train with a
# *filter*. The one below picks the parameters of `head`. BatchNorm's mean is a `BatchStat` and no
# `Param`: the filter does not train it, and does not protect it either.
#
# Four names are new. `nnx.Rngs(0)` hands out random keys for the starting values. `wrt=only_head`
# tells the optimizer which variables are its own. `nnx.DiffState(0, only_head)` tells `nnx.grad` to
# differentiate argument 0, the model, by those same variables. `nnx.jit` compiles a step that
# changes model and optimizer in place.


# %%
class Tagger(nnx.Module):
    def __init__(self, rngs):
        self.body = nnx.Linear(64, 32, rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)
        self.head = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.norm(self.body(x))))


only_head = nnx.All(nnx.Param, nnx.PathContains("head"))
tagger = Tagger(nnx.Rngs(0))
nnx_optimizer = nnx.Optimizer(tagger, optax.adam(0.01), wrt=only_head)


@nnx.jit
def nnx_step(model, optimizer):
    def loss(model):
        return optax.softmax_cross_entropy_with_integer_labels(model(jax_x), jax_y).mean()

    optimizer.update(model, nnx.grad(loss, argnums=nnx.DiffState(0, only_head))(model))


# %% tags=["fold"]
# Takes a step and names what it moved, of the body's kernel, the norm's mean, the head's kernel.
def what_a_step_moves():
    watched = {"body": tagger.body.kernel, "mean": tagger.norm.mean, "head": tagger.head.kernel}
    before = {name: np.array(variable) for name, variable in watched.items()}
    nnx_step(tagger, nnx_optimizer)
    return [name for name, old in before.items() if not np.array_equal(old, watched[name])]


# %%
tagger.train()
by_filter = what_a_step_moves()
tagger.norm.eval()
with_eval = what_a_step_moves()
print("moved with the filter:", by_filter, " with eval() as well:", with_eval)

# %% tags=["claim"]
assert by_filter == ["mean", "head"] and with_eval == ["head"]
tagger.train()
assert what_a_step_moves() == by_filter
tagger.norm.eval()

# %% [markdown]
# As in torch, `train()` and `eval()` set the mode of a whole model or of one sub-module, and the
# last call wins: `tagger.train()` first, then `tagger.norm.eval()`. And build the optimizer once,
# before the first batch: Adam's averages live in it.
#
# In *linen* the statistics are a collection of their own, which `apply` returns beside the output.
# Whoever does not store what came back keeps the statistics, but the layer still normalises by the
# batch. The freeze is `use_running_average=True`.

# %% tags=["claim"]
norm = linen.BatchNorm(use_running_average=False)
variables = norm.init(jax.random.key(0), jax_x)
by_batch, returned = norm.apply(variables, jax_x, mutable=["batch_stats"])
by_running = linen.BatchNorm(use_running_average=True).apply(variables, jax_x)
assert list(returned) == ["batch_stats"] and abs(by_batch - by_running).max() > 0.5

# %% [markdown]
# ## How to prove a freeze
#
# A popular check takes the norm of the frozen weights before and after and calls equal norms a
# proof. A norm is one number for 2,048 weights, and every rotation shares it: turn the first two
# columns of a weight matrix around, and it is the same to the last bit. Two norms that were both
# taken *after* the step are equal whatever happened: the one before has to be taken before.
#
# Other checks have other holes. Below are four false freezes and a true one. Each gives a body that
# is meant to be frozen, and a step. (A head of zeros is trainable; it passes no gradient down at
# first.)


# %% tags=["fold"]
# Makes a body that is meant to be frozen, and a step that does to it what is named.
def body_and_step(*more_layers):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), *more_layers)
    model = nn.Sequential(body, nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return body, model, lambda: train(model, optimizer, stream[:1])


def prepared(kind):
    body, model, step = body_and_step(*[nn.BatchNorm1d(32)] * kind.endswith("BatchNorm"))
    if kind == "rotation":
        return body, lambda: body[1].weight.data[:, :2].neg_()
    if kind == "not a number":
        return body, lambda: body[1].weight.data.fill_(float("nan"))
    if kind == "head of zeros":
        nn.init.zeros_(model[2].weight)
        return body, step
    body.requires_grad_(False).train(kind == "frozen BatchNorm")
    return body, step


# %% [markdown]
# And four checks. The last is what this course means by *proved*: it compares the **bits** of all
# parameters, all buffers and the output on a fixed batch, after **several** steps.


# %%
def bits(module):
    """Return the bytes of every parameter and buffer, and of the output on a fixed batch."""
    output = deepcopy(module).eval()(train_x[:8]).detach()
    tensors = {**module.state_dict(), "output": output}
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


# %% tags=["fold"]
# Asks each of the four checks whether the body moved.
def verdicts(kind):
    body, step = prepared(kind)
    weight, before = body[1].weight.detach().clone(), bits(body)
    step()
    now, after_one = body[1].weight.detach().clone(), bits(body)
    for _ in range(4):
        step()
    norm_changed = abs(now.norm() - weight.norm()).item() > 1e-6
    entry_changed = (now - weight).abs().max().item() > 0
    bit_changed = after_one["1.weight"] != before["1.weight"]
    return [norm_changed, entry_changed, bit_changed, bits(body) != before]


# %%
predict.number(
    "entry",
    "Of the four false freezes, how many does the check “some weight changed by more than 0”, "
    "after one step, catch?",
    within=0,
)

# %% tags=["fold"]
# Shows what each check says of each freeze.
kinds = ["rotation", "not a number", "head of zeros", "frozen BatchNorm", "eval BatchNorm"]
says_moved = np.array([verdicts(kind) for kind in kinds])
predict.measured("entry", says_moved[:4, 1].sum())
words = [["moved" if moved else "frozen" for moved in row] for row in says_moved]
checks = ["norm, 1 step", "any entry, 1 step", "weight bits, 1 step", "all bits, 5 steps"]
title = "Only all bits over several steps are right five times: four moved, the last one stayed"
figures.show_table(title, kinds, checks, words, words)

# %% tags=["claim"]
weight = mlp()[1].weight.detach()
turned = torch.cat([-weight[:, :2], weight[:, 2:]], 1)
assert turned.norm() == weight.norm() and (turned - weight).norm() > 0.3 * weight.norm()
assert says_moved[:4].sum(axis=0).tolist() == [0, 1, 2, 4] and not says_moved[4].any()

# %% [markdown]
# **Why.** A head of zeros passes no gradient down at its first step; at its second it is no longer
# zero. Comparisons with NaN are false, so "change > 0" reads *did not move*. BatchNorm moves a
# buffer, and whoever compares weights does not look there.
#
# So compare bits, of parameters, buffers and outputs, over several steps, with a warm optimizer.
# And check that something *else* moved: a step that trains nothing passes every test of a freeze.
# (`paramlock.assert_frozen` does all this.) Even then "did not move" is not "was frozen": a weight
# also stays at a learning rate of 0, and in bfloat16 where each step is rounded away
# ([lesson 01, further
# on](01_gradient_vanishing_deeper.ipynb#bfloat16-as-a-lock-of-its-own)).
#
# A certificate looks ahead instead. Given the optimizer, it asks of every declared freeze whether
# the next step would move it.

# %%
body, model, _ = body_and_step(nn.BatchNorm1d(32))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
train(model, optimizer, stream[:5])
body.requires_grad_(False)
optimizer.zero_grad(set_to_none=False)
declared = paramlock.certificate(model, batch, F.cross_entropy, optimizer=optimizer)
draw(declared, "Declared frozen: momentum moves both layers, and the mode moves one").show()

# %% tags=["claim"]
assert locked_nodes(draw(declared)).keys() == {
    ("0.1", "leaking"),
    ("0.2", "leaking"),
    ("0.2", "batchnorm"),
}
assert sum(p.size for p in declared.measurement.parameters if not p.trainable) == 2144

# %% [markdown]
# The certificate counts 2,144 weights as declared frozen. All of them leak. A count of what was
# declared is no measure of what stays.
#
# The last hole is in the names. A model has modules `layer1` to `layer12`.

# %%
predict.number(
    "substring", 'How many of the twelve does the condition "layer1" in name freeze?', within=0
)

# %%
tower = nn.ModuleDict({f"layer{i}": nn.Linear(2, 2) for i in range(1, 13)})
parameters = [name for name, _ in tower.named_parameters()]
by_substring = {name.split(".")[0] for name in parameters if "layer1" in name}
by_path = {name.split(".")[0] for name in parameters if name.startswith("layer1.")}
predict.measured("substring", len(by_substring))
print("substring:", sorted(by_substring), " path and a dot:", sorted(by_path))
tied = nn.Sequential(nn.Embedding(100, 16), nn.Linear(16, 100, bias=False))
tied[1].weight = tied[0].weight
print("tied weights, all names:", [name for name, _ in tied.named_parameters()])
print("numbers by state_dict():", sum(t.numel() for t in tied.state_dict().values()))
print("numbers by parameters():", sum(p.numel() for p in tied.parameters()))

# %% tags=["claim"]
assert len(by_substring) == 4 and by_path == {"layer1"}
assert [name for name, _ in tied.named_parameters()] == ["0.weight"]
assert next(tied[1].parameters()) is tied[0].weight and dict(tied.named_modules())[""] is tied

# %% [markdown]
# **Why.** `layer10` to `layer12` hold the same letters; the dot makes the difference. Yet a tied
# weight has several names, and `named_parameters()` lists the first only: in `tied` the output
# layer shares the matrix of the input layer, and a search for `1.` finds nothing. It also finds
# nothing for the path `""`, which is the whole model. Safer is to ask the module for its
# `parameters()`, and to compare tensors and not names. The same when you count: `state_dict()`
# lists the shared matrix under both of its names, `parameters()` lists each tensor once.
#
# ## What freezing saves
#
# Take a layer $y = xW$ with $x$ of shape $(N, a)$ and $W$ of shape $(a, b)$, and call
# $\delta = \partial L/\partial y$. A training step needs three products: the output $x W$, the
# gradient for the weights $x^\top \delta$, and the gradient for the inputs $\delta W^\top$, which
# carries the signal down. Each takes $N\,a\,b$ multiplications and as many additions. So the three
# cost the same, and a frozen layer saves
#
# - a third of *its own* cost, the gradient for the weights, if a trainable layer lies below it;
# - two thirds of it if none does, for then nobody waits for its signal either.
#
# (The lowest layer that trains sends no signal on, whether data or frozen layers lie below it: it
# costs two products and not three.) We count with torch's own counter, for two nets of five layers.
# *Even* has the widths 64-64-64-64-64-10. *Funnel* widens on its way up, 16-16-32-64-512-1024.


# %% tags=["fold"]
# Makes a network of linear layers with ReLUs; only the layers numbered are trainable.
def stack(widths, trainable):
    layers = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths)]
    for i, layer in enumerate(layers):
        layer.requires_grad_(i in trainable)
    return nn.Sequential(*layers)


# %%
def flops(widths, trainable):
    """Return the operations of a forward and backward pass on 32 samples."""
    with FlopCounterMode(display=False) as counter:
        stack(widths, trainable)(torch.ones(32, widths[0])).sum().backward()
    return counter.get_total_flops()


# %%
predict.choice(
    "half",
    "Funnel: what saves more arithmetic, to freeze the lowest two layers or the highest two?",
    ["the lowest two", "the highest two", "equal"],
)

# %%
nets = {"even": [64, 64, 64, 64, 64, 10], "funnel": [16, 16, 32, 64, 512, 1024]}
left = {}
for name, widths in nets.items():
    full = flops(widths, range(5))
    left[name, "lowest"] = [flops(widths, range(n, 5)) / full for n in range(1, 5)]
    left[name, "highest"] = [flops(widths, range(5 - n)) / full for n in range(1, 5)]
below, above = left["funnel", "lowest"][1], left["funnel", "highest"][1]
predict.measured("half", "the lowest two" if below < above else "the highest two")
for (net, side), shares in left.items():
    print(f"{net:6}: {side:7} 1 to 4 frozen, cost left:", *(f"{share:.2f}" for share in shares))

# %% tags=["claim"]
for name, widths in nets.items():
    products = [2 * 32 * a * b for a, b in pairwise(widths)]
    full = 3 * sum(products) - products[0]
    for n in range(1, 5):  # both gradients of the frozen layers, and the signal below the next
        unneeded = 2 * sum(products[:n]) - products[0] + products[n]
        assert np.isclose(left[name, "lowest"][n - 1], 1 - unneeded / full)
        assert np.isclose(left[name, "highest"][n - 1], 1 - sum(products[5 - n :]) / full)

# %% [markdown]
# **Why.** Frozen from below, the backward pass ends early, and with all but the highest layer
# frozen little more than the forward pass remains: here 0.38, in large nets near a third. Frozen
# from above, the signal must still cross every frozen layer, and only the gradients for the weights
# are saved. In *funnel* nearly all of the cost sits in the highest layer: frozen, it saves a third
# of that. The lowest two save next to nothing, because they cost next to nothing. So "freeze the
# lower half" is no rule. Ask where the cost is, and what lies below it.
#
# Memory has its own rule. For the backward pass, autograd keeps tensors that the forward pass
# computed, the *activations*. `saved_tensors_hooks` shows them. Adam holds two numbers for each
# weight that it trains, and the gradient is a third.


# %% tags=["fold"]
# Counts the kilobytes of activations that a forward pass keeps, and of Adam's averages.
def kept(trainable):
    model, saved, x = stack(nets["even"], trainable), {}, torch.ones(256, 64)

    def keep(tensor):
        saved[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(x)
    own = {t.data_ptr() for t in (x, *model.parameters())}
    activations = sum(t.nbytes for place, t in saved.items() if place not in own)
    averages = sum(2 * p.nbytes for p in model.parameters() if p.requires_grad)
    return activations / 1000, averages / 1000


# %%
for name, trainable in {"all": range(5), "highest": [4], "lowest": [0]}.items():
    activations, averages = kept(trainable)
    print(f"trainable: {name:8} activations {activations:3.0f} kB, averages {averages:3.0f} kB")

# %% tags=["claim"]
activations, averages = zip(*map(kept, [range(5), [4], [0]]), strict=True)
assert activations[1] < 0.4 * activations[0] and activations[2] == activations[0]
assert max(averages[1:]) < 0.3 * averages[0]

# %% [markdown]
# **Why.** Adam's averages go with the weights that are frozen, wherever they lie. The activations
# go only *below the lowest trainable layer*. If the lowest layer trains, the signal has to come all
# the way down, and what it needs on the way is kept: freezing the four others saves nothing here.
#
# Arithmetic is not time: normalisation and memory traffic are not counted, and small operations
# wait on overhead. What a compiler can drop, and a published saving at laptop scale, are [further
# on](04_explicit_freezing_deeper.ipynb).

# %% [markdown]
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "momentum",
    "SGD with momentum 0.8, warm; then the gradient is zeroed. How many more steps' worth does the "
    "weight go?",
    answer=4,
    within=0.05,
    why="0.8 / (1 - 0.8) = 4.",
    wrong={
        5: "That counts the last step before the freeze as well.",
        9: "That is for a momentum of 0.9.",
        0: "A gradient of zero leaves the momentum, which goes on.",
    },
)

# %%
# Question 2
selfcheck.choice(
    "decay",
    "Training with AdamW you switch a layer's requires_grad off. From then on zero_grad leaves "
    "zeros where it could leave None. What does the layer do?",
    {
        "it stays": "It would, if its gradient were None. It is a tensor of zeros.",
        "it decays, and Adam's averages carry it on": right(
            "A zero is a gradient: the optimizer does all it does with any other."
        ),
        "it decays and does nothing else": "That is a cold AdamW; this one remembers.",
    },
)

# %%
# Question 3
selfcheck.order(
    "saving",
    "Four equal layers, one frozen or two. Which saves most arithmetic, which least?",
    ["the lowest two", "the two in the middle", "the highest alone"],
    why="The lowest two save two gradients for weights and two signals, the two in the middle two "
    "gradients for weights, the highest alone one.",
)

# %%
# Question 4
five = chain([6, 6, 6, 6, 6, 3], names=["1", "2", "3", "4", "5"], frozen=["1", "2", "4"])
draw(five, "Of five layers three are frozen").show()
selfcheck.choice(
    "figure",
    "Where does the backward pass end?",
    {
        "above 4": "Layer 3 is trainable, and its gradient comes through 4.",
        "at 3": right("It needs the gradient of 3's weights; nobody below 3 waits for a signal."),
        "at 1": "Layers 1 and 2 are frozen, so no gradient is needed there.",
    },
)

# %%
# Question 5
twin = Three("requires_grad")
optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, weight_decay=0.1)
for p in twin.middle.parameters():
    p.grad = torch.zeros_like(p)
print(paramlock.certificate(twin, batch, F.cross_entropy, optimizer=optimizer))
selfcheck.choice(
    "certificate",
    "What makes the layer leak, and what stops it?",
    {
        "momentum; train on until it has faded": "This SGD has no momentum.",
        "its flag is still on; call requires_grad_": "The lock is one of frozen parameters.",
        "weight decay; set its gradient to None": right(
            "The gradient is a tensor of zeros, to which SGD adds 0.1 times the weight."
        ),
    },
)

# %%
predict.summary()

# %% [markdown]
# ## Pitfalls people meet
#
# - *"I set `requires_grad = False` and the weights still change."* A leftover gradient:
#   [PyTorch forum 153740](https://discuss.pytorch.org/t/why-there-is-still-a-small-change-in-frozen-layer-parameters/153740),
#   [fairseq#4702](https://github.com/facebookresearch/fairseq/issues/4702).
# - *"The optimizer checks `requires_grad`."* It checks for `None`:
#   [forum 58156](https://discuss.pytorch.org/t/best-practice-for-freezing-layers/58156),
#   [pytorch#150610](https://github.com/pytorch/pytorch/issues/150610).
# - *Weight decay moves what was masked by zeroing gradients:*
#   [Unlearn-Saliency#32](https://github.com/OPTML-Group/Unlearn-Saliency/issues/32). Torch's own
#   optimizers skip a gradient of `None`
#   ([moco#14](https://github.com/facebookresearch/moco/issues/14)), but not every optimizer does
#   ([Muon#54](https://github.com/KellerJordan/Muon/issues/54)).
# - *BatchNorm drifts although its parameters are frozen:*
#   [pytorch#86590](https://github.com/pytorch/pytorch/issues/86590),
#   [chemprop#952](https://github.com/chemprop/chemprop/pull/952); and in nnx:
#   [flax#4167](https://github.com/google/flax/issues/4167).
# - *`eval()` once, undone by the next `train()`:*
#   [gt-pyg#112](https://github.com/pgniewko/gt-pyg/issues/112),
#   [ultralytics#8753](https://github.com/ultralytics/ultralytics/pull/8753).
# - *A later loop sets every flag back to True:*
#   [yolov5#1213](https://github.com/ultralytics/yolov5/issues/1213).
# - *`optax.masked` passes the rest through:*
#   [optax#159](https://github.com/google-deepmind/optax/issues/159),
#   [optax#296](https://github.com/google-deepmind/optax/issues/296).
# - *Freezing the middle with `no_grad` or `detach` starves what lies below:*
#   [forum 7358](https://discuss.pytorch.org/t/freezing-the-updates-without-freezing-the-gradients/7358).
#
# ## Summary
#
# | you want | torch | JAX |
# |---|---|---|
# | parameters that stay | `requires_grad_(False)`, `grad = None` | `selective_transform` |
# | gradient to pass through them | it does | it does |
# | gradient to stop there | `detach` the value | `stop_gradient` |
# | statistics that stay | `eval()` after `train()` | the same; linen: `use_running_average` |
# | nothing held for them | leave them out of the optimizer | `partition` by label |
# | proof | all bits, several steps; something else moved | the same |
#
# - Six things move a frozen layer: (1) Adam's averages, (2) momentum, (3) AdamW's own decay, (4)
#   decay by way of the gradient, (5) a gradient left over, (6) BatchNorm's statistics.
# - A zero gradient is still a gradient. Momentum coasts 9 steps at $\mu = 0.9$, Adam between 5 and
#   about 10.
# - Names: match exact paths, refuse unknown ones, and look at the shapes in Flax. In torch ask the
#   module for its `parameters()`: a tied weight has several names.
#
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | To lock is to have no gradient | FALSE both ways: zeros move, a rate of 0 stays | [4], [7] |
# | A loop of `requires_grad = False` freezes | HALF: over parameters; not over modules | [1] |
# | The gradient of a frozen layer is zero | FALSE: it is `None`; a zero would move it | [4] |
# | `tree_map` knows no path | TRUE: `tree_map_with_path` does | [2] |
# | "Dense_0" in the path is a safe test | FALSE: in nested code it may be the head | [2] |
# | Flax numbers layers from the bottom | HALF: in the order of construction | [2] |
# | `getattr(entry, "key", None)` is safe | FALSE: in a NamedTuple and nnx all train | [2] |
# | $p - \eta \cdot 0$ is $p$; zero gradient, zero update | TRUE for plain gradient descent | [2] |
# | Zeroing a kernel is another thing | TRUE: the loss is $\log 10$ | [2] |
# | The averages collapse to zero | FALSE: they fade; 5 to 10 steps of drift | [3] |
# | The two routes differ under Adam | TRUE once it is warm; cold they agree | [3], [5] |
# | Zeroed updates keep the averages | HALF: and all gradient work is paid for | [3], [deeper] |
# | Zeroed gradients are the cleanest freeze | FALSE: AdamW decays, Adam drifts | [4], [5] |
# | A freeze is no gradient, on purpose | FALSE as a means: six things move it | [4] |
# | `eval()` when you freeze is enough | FALSE: the next `train()` undoes it | [6] |
# | Overriding `train()` holds it | TRUE, if the part is named exactly | [6] |
# | Equal norms prove it; one number will do | FALSE: rotation, NaN, buffers | [7] |
# | The norm before must be taken before | TRUE | [7] |
# | No change of weights, so frozen | HALF: buffers; and a rate of 0 looks the same | [7] |
# | Frozen is what was declared | HALF: 2,144 declared, all leaking | [7] |
# | `any(layer in name)` picks layers | FALSE: `layer1` takes `layer10` to `layer12` | [7] |
# | No gradients needed, so faster | HALF: a third of the layer, or two thirds | [8] |
# | Freezing saves memory | HALF: averages yes, activations only below the lowest trainable | [8] |
#
# [1]: #Three-switches-that-are-not-the-same
# [2]: #Zeroing-gradients-on-a-pytree-by-path
# [3]: #Zeroed-gradients-against-zeroed-updates
# [4]: #What-still-moves-a-frozen-layer
# [5]: #Labels,-masks-and-the-order-of-a-chain
# [6]: #BatchNorm-moves-without-a-gradient
# [7]: #How-to-prove-a-freeze
# [8]: #What-freezing-saves
# [deeper]: 04_explicit_freezing_deeper.ipynb#What-a-compiler-can-drop
#
# ## References
#
# - S. Ioffe, C. Szegedy. *Batch Normalization: Accelerating Deep Network Training by Reducing
#   Internal Covariate Shift.* ICML 2015. [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)
# - D. P. Kingma, J. Ba. *Adam: A Method for Stochastic Optimization.* ICLR 2015.
#   [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)
# - I. Loshchilov, F. Hutter. *Decoupled Weight Decay Regularization.* ICLR 2019.
#   [arXiv:1711.05101](https://arxiv.org/abs/1711.05101). AdamW.
# - J. Yosinski, J. Clune, Y. Bengio, H. Lipson. *How transferable are features in deep neural
#   networks?* NeurIPS 2014. [arXiv:1411.1792](https://arxiv.org/abs/1411.1792). How many layers to
#   freeze for a new task.
# - Digits: E. Alpaydin, C. Kaynak. *Optical Recognition of Handwritten Digits.* UCI Machine
#   Learning Repository, 1998. [doi:10.24432/C50P49](https://doi.org/10.24432/C50P49), as shipped
#   with scikit-learn.
