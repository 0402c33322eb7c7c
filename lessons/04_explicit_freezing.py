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
# Making it true takes more: most of this lesson is about layers that were declared frozen and
# moved all the same.
#
# **After it you can**
#
# - say which of `requires_grad=False`, `detach` and `no_grad` stops what;
# - freeze part of a JAX pytree by path, and with an optax transformation;
# - name six things that move a frozen layer, numbered where they turn up, and predict how far some
#   of them carry it;
# - prove that a layer stayed, with a test that a broken freeze does not pass;
# - say what freezing saves, and why freezing the top saves at most half as much as the bottom.
#
# **Minutes:** 80 to read and run. **It rests on** Python, gradient descent, and a first meeting
# with PyTorch or JAX; what you need of the other is explained where it comes up. Where you see
# *Predict*, write your guess down before you read on. A wrong guess is the useful kind.

# %%
import math
import time
from copy import deepcopy
from functools import reduce
from operator import getitem

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

from lessonkit import explore, seeding
from paramlock.pictures import figures
from paramlock.pictures.palette import COLOURS, THEORY

# %%
seeding.seed_everything(0)
figures.use_style()
digits = load_digits()
order = torch.randperm(len(digits.target))
images = torch.tensor(digits.images / 16, dtype=torch.float32)[order, None]
labels = torch.tensor(digits.target)[order]

# %% [markdown]
# The data are 1,797 images of handwritten digits, 8 by 8 pixels, which come with scikit-learn. We
# hold 397 of them back for testing.

# %%
train_x, test_x = images[:1400], images[1400:]
train_y, test_y = labels[:1400], labels[1400:]
print(tuple(train_x.shape), tuple(test_x.shape))
assert len(images) == 1797 and len(test_x) == 397

# %% [markdown]
# One training loop serves all torch experiments of this lesson. Two of its arguments will matter.
# `before_step` runs between the backward pass and the update, where many people put their freeze.
# `set_to_none` says whether old gradients are removed or overwritten with zeros.


# %%
def batches(x, y, epochs=1, size=32):
    """Yield shuffled batches; a last, smaller one is left out."""
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(size):
            if len(rows) == size:
                yield x[rows], y[rows]


# %%
def train(model, optimizer, data, before_step=lambda: None, set_to_none=True):
    for x, y in data:
        optimizer.zero_grad(set_to_none=set_to_none)
        F.cross_entropy(model(x), y).backward()
        before_step()
        optimizer.step()


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
# The next cell puts each switch on the middle layer alone. For `detach` there are two places, the
# layer's input and its output.


# %%
def gradients(switch):
    """Return the weight gradients of three layers, with one switch set on the middle layer."""
    torch.manual_seed(1)
    first, middle, head = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 10)
    middle.requires_grad_(switch != "requires_grad")
    h = torch.tanh(first(train_x[:64].flatten(1)))
    if switch == "detach input":
        h = h.detach()
    with torch.set_grad_enabled(switch != "no_grad"):
        h = middle(h)
    if switch == "detach output":
        h = h.detach()
    F.cross_entropy(head(torch.tanh(h)), train_y[:64]).backward()
    return first.weight.grad, middle.weight.grad, head.weight.grad


# %%
switches = ["none", "requires_grad", "detach input", "detach output", "no_grad"]
layers = ["first", "middle", "head"]
found = {switch: dict(zip(layers, gradients(switch), strict=True)) for switch in switches}

# %% [markdown]
# **Predict.** For each of the four switches: which layers still get a gradient? That makes twelve
# answers. The one most people miss is what happens to *first*.

# %%
grads = [[found[switch][layer] for switch in switches] for layer in layers]
norms = [["none" if g is None else f"{g.norm():.3f}" for g in row] for row in grads]
kinds = [["frozen" if g is None else "trainable" for g in row] for row in grads]
title = "Only requires_grad stops the middle layer and nothing else"
alt = """Gradient norms of three layers under five switches. requires_grad removes the gradient of
the middle layer only; detach on the output and no_grad remove that of the first layer as well."""
figures.show_table(title, layers, switches, norms, kinds, alt)

# %% [markdown]
# **Why.** A frozen layer is still a function, and a function has a derivative. To reach the layers
# below, the chain rule needs the derivative of the layer's output with respect to its *input*. No
# gradient of its parameters is involved. So *first* goes on learning through a frozen *middle*,
# and it learns exactly what it would have learned: its gradient agrees to the last bit.
#
# `detach` on the output and `no_grad` break the chain, so everything below stops too. And `detach`
# on the input does the opposite of what we wanted: *middle* learns and *first* does not.

# %%
for layer in ["first", "head"]:
    assert torch.equal(found["requires_grad"][layer], found["none"][layer])
stopped = {s: [layer for layer in layers if found[s][layer] is None] for s in switches}
assert stopped["requires_grad"] == ["middle"] and stopped["detach input"] == ["first"]
assert stopped["detach output"] == stopped["no_grad"] == ["first", "middle"]

# %% [markdown]
# One letter can undo the switch. `requires_grad_`, with an underscore, is a method of modules;
# `requires_grad` without one is an attribute of tensors. **Predict.** What does assigning it to a
# *module* do?

# %%
layer = nn.Linear(32, 32)
layer.requires_grad = False
print("parameters still trainable:", all(p.requires_grad for p in layer.parameters()))
assert all(p.requires_grad for p in layer.parameters())

# %% [markdown]
# **Why.** Python lets you set any attribute on any module, and nobody reads this one.
#
# `detach` on the output and `no_grad` gave the same column, and yet they differ. `detach` concerns
# *one use of one value*, `no_grad` everything computed inside. **Predict.** Below, $w$ is used
# twice and detached once. What is the slope of $w \cdot w$ at 3 then?

# %%
w = torch.tensor(3.0, requires_grad=True)
(w * w.detach()).backward()
with torch.no_grad():
    square = w * w
print("slope with one factor detached:", w.grad.item(), " recorded:", square.requires_grad)
assert w.grad.item() == 3 and not square.requires_grad

# %% [markdown]
# **Why.** One factor counts as a constant, so the slope is 3 in place of 6. Under `no_grad`
# nothing is recorded, and there is nothing to differentiate.
#
# JAX has no flags on arrays and no recording to turn off. You say which argument to differentiate,
# and all else is constant. `stop_gradient` is the twin of `detach` and gives the same 3.

# %%
slope = jax.grad(lambda w: w * jax.lax.stop_gradient(w))(3.0)
print("slope with stop_gradient on one factor:", slope)
assert slope == w.grad.item()

# %% [markdown]
# ## Zeroing gradients on a pytree by path
#
# In Flax's *linen* a model's parameters live outside of it, in a nested dictionary: a *pytree*.
# `@linen.compact` lets a model create its layers while it runs. `init(key, x)` runs it once to
# learn the shapes and returns fresh parameters; `apply({"params": params}, x)` runs it with yours.
#
# To freeze a layer you need its address in the dictionary. Flax makes the address up from the
# class name and a counter. Here are two networks that map 64 numbers to 10.


# %%
class Stepwise(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.tanh(linen.Dense(32)(x))
        return linen.Dense(10)(x)


# %%
class Nested(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(10)(linen.tanh(linen.Dense(32)(x)))


# %% [markdown]
# **Predict.** What is the shape of the kernel of `Dense_0` in each?

# %%
jax_x, jax_y = jnp.asarray(train_x[:256].flatten(1)), jnp.asarray(train_y[:256])
params = Stepwise().init(jax.random.key(0), jax_x)["params"]
nested = Nested().init(jax.random.key(0), jax_x)["params"]
for path, leaf in tree_leaves_with_path({"Stepwise": params, "Nested": nested}):
    print(f"{keystr(path, simple=True, separator='/'):24}", leaf.shape)

# %%
assert params["Dense_0"]["kernel"].shape == (64, 32)
assert nested["Dense_0"]["kernel"].shape == (32, 10)

# %% [markdown]
# **Why.** The counter follows the order of *construction*. In `Dense(10)(tanh(Dense(32)(x)))`
# Python evaluates `Dense(10)` before its argument, so the head is built first and takes the name
# `Dense_0`. Freeze `Dense_0` in the nested network and you freeze the head. Look at the shapes
# first, or name the layers yourself: `linen.Dense(32, name="body")`.
#
# Now the freeze. `tree_map_with_path` visits every leaf and tells us where it is. We put zeros
# where the path begins with the wanted keys and leave the other gradients as they are.
#
# **Predict**, for one step of plain gradient descent: which of the four leaves keep every bit?


# %%
def zero_under(tree, *prefix):
    """Return ``tree`` with zeros in every leaf whose path starts with the keys ``prefix``."""

    def visit(path, leaf):
        keys = tuple(entry.key for entry in path)
        return jnp.zeros_like(leaf) if keys[: len(prefix)] == prefix else leaf

    return tree_map_with_path(visit, tree)


# %%
@jax.jit
def loss_and_gradient(params):
    def loss(params):
        logits = Stepwise().apply({"params": params}, jax_x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, jax_y).mean()

    return jax.value_and_grad(loss)(params)


# %%
loss_before, grads = loss_and_gradient(params)
updated = jax.tree.map(lambda p, g: p - 0.1 * g, params, zero_under(grads, "Dense_0"))
same = jax.tree.map(lambda a, b: a.tobytes() == b.tobytes(), params, updated)
print(same)
assert all(jax.tree.leaves(same["Dense_0"])) and not any(jax.tree.leaves(same["Dense_1"]))

# %%
norms = [jnp.linalg.norm(tree["Dense_0"]["kernel"]).item() for tree in (params, updated)]
print("norm of the kernel of Dense_0: {:.6f} before, {:.6f} after".format(*norms))
assert norms[0] == norms[1]

# %% [markdown]
# **Why.** In $p \leftarrow p - \eta g$ with $g = 0$ nothing is subtracted: kernel and bias of
# `Dense_0` keep every bit, those of `Dense_1` change. The norms agree too, which
# proves less; a later section shows why.
#
# **Predict.** What does `zero_under(grads, "dense_0")` do? And what happens to the loss if we zero
# the *kernel* in place of its gradient?

# %%
misspelled = zero_under(grads, "dense_0")
unchanged = jax.tree.leaves(jax.tree.map(lambda a, b: a is b, misspelled, grads))
print("leaves left alone under the misspelled name:", sum(unchanged), "of", len(unchanged))
assert all(unchanged)

# %%
emptied = zero_under(params, "Dense_0", "kernel")
loss_emptied, _ = loss_and_gradient(emptied)
print(f"loss {loss_before:.2f}; with the kernel zeroed {loss_emptied:.2f}, log 10 = 2.30")
assert abs(loss_emptied - math.log(10)) < 1e-3

# %% [markdown]
# **Why.** A wrong name matches nothing, and matching nothing is no error: you would train
# everything and believe otherwise. Code that freezes by name should refuse a name it cannot find.
#
# Zeroing the kernel is other surgery altogether. It cuts the input off, so every image gets the
# same answer. With biases that start at zero all ten classes look alike, and the loss is
# $\log 10$.
#
# Surgery on parameters has a trap of its own. `dict(params)` copies the outer dictionary only. The
# inner ones are shared, so writing into the "copy" harms the original. Rebuild every level on the
# way down, and share the rest.

# %%
shallow = dict(params)
assert shallow["Dense_0"] is params["Dense_0"]  # an assignment inside it would hit both
kernel = 2 * params["Dense_1"]["kernel"]
swapped = {**params, "Dense_1": {**params["Dense_1"], "kernel": kernel}}
assert swapped["Dense_1"]["kernel"] is kernel and params["Dense_1"]["kernel"] is not kernel
assert swapped["Dense_0"] is params["Dense_0"]  # nobody writes into it, so it is safe to share

# %% [markdown]
# `deepcopy` looks like the safe way out. **Predict.** Below, one layer stands at two paths, as tied
# layers do. We copy deeply and write at one path. What does the other hold? And is the dtype of
# the zeros that of the kernel?

# %%
layer = {"kernel": jnp.ones(3, jnp.float16)}
copy = deepcopy({"encoder": layer, "decoder": layer})
copy["encoder"]["kernel"] = jnp.zeros_like(layer["kernel"])
print("decoder:", copy["decoder"]["kernel"], copy["decoder"]["kernel"].dtype)
assert copy["decoder"] is copy["encoder"] and copy["decoder"] is not layer
assert copy["decoder"]["kernel"].dtype == jnp.float16 and jnp.zeros(3).dtype == jnp.float32

# %% [markdown]
# **Why.** `deepcopy` keeps sharing: what was one object at two paths is one object in the copy, and
# both paths got the zeros. `zeros_like` keeps the dtype as well as the shape; `jnp.zeros(3)` would
# have been float32.
#
# Last, the wrong address. **Predict.** Which error does each of these two paths raise, and what
# does it tell you?

# %%
for keys in [("dense_0", "kernel"), ("Dense_0", "kernel", "x")]:
    try:
        reduce(getitem, keys, params)
    except (KeyError, TypeError) as error:
        print("/".join(keys), "raises", type(error).__name__)
        assert type(error) is TypeError or error.args == ("dense_0",)

# %% [markdown]
# **Why.** A `KeyError` names one key, here `dense_0`, and not the way to it. A path that goes on
# below a leaf raises no `KeyError` at all, for there the key meets an array. So check the path
# yourself, and let your error tell all of it.

# %% [markdown]
# ## Labels, masks and the order of a chain
#
# In JAX the usual place for a freeze is the optimizer. Optax builds optimizers by chaining
# transformations of the gradient, and it offers several ways to leave parameters out. To see
# exactly what each does, take the smallest problem there is: two parameters $a$ and $b$, both
# starting at 1, and the loss $\tfrac12 a^2 + \tfrac12 b^2$, so that each gradient equals its
# parameter. We want $a$ frozen.


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

# %%
chains = {
    "masked(adamw, b)": optax.masked(adamw, is_trainable),
    "chain(freeze(a), adam)": optax.chain(freeze_a, optax.adam(0.1)),
    "chain(freeze(a), adamw)": optax.chain(freeze_a, adamw),
    "chain(adamw, freeze(a))": optax.chain(adamw, freeze_a),
    "partition by label": optax.partition(labelled, {"a": "frozen", "b": "train"}),
    "selective_transform": optax.selective_transform(adamw, freeze_mask=is_frozen),
}
assert optax.multi_transform is optax.partition  # an older name for the same function

# %% [markdown]
# `optax.freeze(mask)` is short for `masked(set_to_zero(), mask)`. `partition` sends each parameter
# to the transformation that its label names.
#
# **Predict.** Where is $a$ after three steps, in each of the six? One answer is far from 1.

# %%
ended, held = zip(*[descend(optimizer) for optimizer in chains.values()], strict=True)
for name, a, arrays in zip(chains, ended, held, strict=True):
    print(f"{name:26} a = {a:.4f}   arrays held: {arrays}")

# %% [markdown]
# **Why.**
#
# - `masked(adamw, b)` applies AdamW where the mask is true and passes on *the rest unchanged*. For
#   $a$ that is its raw gradient, and `apply_updates` **adds** it: $a \leftarrow a + a$, uphill,
#   doubling at each step. `masked` limits a transformation. It freezes nothing.
# - `chain(freeze(a), adam)` zeroes the gradient, and $a$ stays only because this Adam is cold: it
#   has seen no gradient of $a$ but zero. One ordinary step before the freeze, and the same zero
#   moves $a$ by 0.067. The next section says why.
# - `chain(freeze(a), adamw)` zeroes the gradient first. Then AdamW decays the weight regardless:
#   $a \leftarrow a\,(1 - 0.1 \cdot 0.1)$ at each step. Of the six things that move a frozen layer
#   this is number **(1), AdamW's own decay**.
# - `chain(adamw, freeze(a))` zeroes the finished update. Nothing is added, so nothing moves. But
#   AdamW goes on keeping two averages for $a$.
# - `partition` and `selective_transform` keep $a$ still *and* hold nothing for it: 3 arrays in
#   place of 5, a step count and two averages for $b$.

# %%
assert ended[0] == 8 and math.isclose(ended[2], 0.99**3, rel_tol=1e-6)
assert ended[1] == ended[3] == ended[4] == ended[5] == 1
assert held == (3, 5, 5, 5, 3, 3)

# %%
adam, start = optax.adam(0.1), {"a": jnp.array(1.0)}
_, warm = adam.update(start, adam.init(start))
update, _ = adam.update({"a": jnp.array(0.0)}, warm)
print(f"after one ordinary step, a zero gradient moves a by {update['a']:.3f}")
assert abs(update["a"] + 0.067) < 5e-4

# %% [markdown]
# Order matters in another way. Clipping by the *global* norm looks at all gradients together. If
# the frozen ones are still there when it looks, they use up the budget.
#
# **Predict.** The frozen gradient is 100, the trainable one is 1, and the norm may be 1 at most.
# How large is the step on the trainable parameter if clipping comes first?

# %%
gradient = {"a": jnp.array(100.0), "b": jnp.array(1.0)}
clip = optax.clip_by_global_norm(1.0)
clip_first = optax.chain(clip, freeze_a)
freeze_first = optax.chain(freeze_a, clip)

# %%
steps = [chain.update(gradient, chain.init(gradient))[0] for chain in (clip_first, freeze_first)]
print("step of b: clip first {:.3f}, freeze first {:.3f}".format(*(s["b"].item() for s in steps)))
assert 99 < steps[1]["b"] / steps[0]["b"] < 101

# %% [markdown]
# Under plain gradient descent the trainable part now learns 100 times more slowly, because of a
# part that does not learn at all. In torch, `clip_grad_norm_(model.parameters(), 1.0)` has the
# same flaw wherever a frozen parameter still has a gradient.
#
# ## Zeroed gradients against zeroed updates
#
# For plain gradient descent the two are one. For an optimizer with memory they are not. Let us look
# inside: we feed one weight a prescribed list of gradients and watch the state.


# %%
def drive(make_optimizer, gradients):
    w = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = make_optimizer([w])
    for gradient in gradients:
        w.grad = torch.full_like(w, gradient)
        optimizer.step()
        yield w.item(), optimizer.state[w]


# %%
def adam_history(gradients):
    """Return position, m and v after each step, at a learning rate of 1; shape (steps, 3)."""
    steps = drive(lambda w: torch.optim.Adam(w, lr=1.0), gradients)
    return np.array([(p, s["exp_avg"].item(), s["exp_avg_sq"].item()) for p, s in steps])


# %% [markdown]
# Twenty steps with gradient 1, then frozen for forty. Route one sets the gradient to 0 from there
# on. Route two shows Adam the true gradient and throws its update away.
#
# **Predict.** On route one, does the weight stop at once? If not, how far does it travel, in
# learning rates?

# %%
TRAINED, FROZEN = 20, 40
zeroed = adam_history([1.0] * TRAINED + [0.0] * FROZEN)
discarded = adam_history([1.0] * (TRAINED + FROZEN))  # the state of route two; its weight is held
position, m, v = zeroed[TRAINED - 1]
travelled = position - zeroed[TRAINED:, 0]

# %%
print(f"m at the freeze {m:.3f}; 40 steps later, gradient zeroed: {zeroed[-1, 1]:.3f},")
print(f"update zeroed: {discarded[-1, 1]:.3f}")
print(f"travelled: {travelled[0]:.2f} in the first step, {travelled[-1]:.2f} in all")

# %% [markdown]
# **Why.** A zero enters the averages like any other gradient. They do not drop to zero, they fade:
#
# $$m_{k+j} = \beta_1^{\,j}\, m_k, \qquad v_{k+j} = \beta_2^{\,j}\, v_k .$$
#
# While $m$ fades, the update is not zero: number **(2), Adam's averages**. After $k$ steps of
# training, $n$ steps with zero gradient carry the weight by
#
# $$\eta \sum_{j=1}^{n} \frac{\hat m_{k+j}}{\sqrt{\hat v_{k+j}} + \epsilon}, \qquad
# \hat m_{k+j} = \frac{\beta_1^{\,j} m_k}{1-\beta_1^{\,k+j}}, \quad
# \hat v_{k+j} = \frac{\beta_2^{\,j} v_k}{1-\beta_2^{\,k+j}} .$$
#
# Here it is in code. It must agree with what torch did.


# %%
def adam_drift(m, v, k, n, beta1=0.9, beta2=0.999, eps=1e-8):
    """Distance, in learning rates, after each of n steps with zero gradient; shape (..., n)."""
    j = np.arange(1, n + 1)
    m_hat = beta1**j * m / (1 - beta1 ** (k + j))
    v_hat = beta2**j * v / (1 - beta2 ** (k + j))
    return np.cumsum(m_hat / (np.sqrt(v_hat) + eps), axis=-1)


# %%
predicted = adam_drift(m, v, TRAINED, FROZEN)
assert np.allclose(travelled, predicted, rtol=1e-9)
assert np.all(np.diff(travelled) > 0) and 9 < travelled[-1] < 11
assert zeroed[-1, 1] < 0.02 and discarded[-1, 1] > 0.99

# %%
after = np.arange(1, FROZEN + 1)
figure, axes = figures.chart(
    "With its gradient zeroed, the weight goes on for ten learning rates",
    "steps after the freeze",
    "distance / learning rate",
)
axes.plot(after, travelled, "o", color=COLOURS["moved"], label="gradient zeroed")
axes.plot(after, predicted, **THEORY, label="closed form")
axes.axhline(0, color=COLOURS["frozen"], label="update zeroed")
axes.legend(loc="center right")
alt = """Distance after the freeze against steps. With the gradient zeroed it rises to 9.9 learning
rates, on the closed form; with the update zeroed it stays 0."""
figures.show(figure, alt)

# %% [markdown]
# The same formula holds for every weight of a real layer, each with its own $m$ and $v$. We take
# twenty ordinary steps, then thirty with the layer's gradient zeroed. **Predict.** By what share
# of its norm does the "frozen" layer move?


# %%
def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


# %%
torch.manual_seed(2)
stream = list(batches(train_x, train_y, epochs=2))
model = mlp()
layer, adam = model[1], torch.optim.Adam(model.parameters(), lr=0.01)
train(model, adam, stream[:20])

# %%
start = layer.weight.detach().clone()
state = adam.state[layer.weight]
m, v = (state[key].numpy()[..., None].copy() for key in ["exp_avg", "exp_avg_sq"])
train(model, adam, stream[20:50], before_step=lambda: layer.weight.grad.zero_())
moved = (layer.weight - start).detach()

# %%
error = np.abs(moved.numpy() + 0.01 * adam_drift(m, v, 20, 30)[..., -1]).max()
share = moved.norm() / start.norm()
print(f"the layer moved by {100 * share:.0f} % of its norm")
print("closed form right within 0.00001:", error < 1e-5)
assert error < 1e-5 and 0.3 < share < 0.45

# %% [markdown]
# Which route is better depends on what comes next. With zeroed updates the averages stay current,
# at the price of computing gradients that nobody uses. With zeroed gradients the state goes stale:
# $m$ halves every 7 steps and $v$ every 693, so a layer unfrozen later begins with a memory of a
# past that is gone. To hold no state at all, as `partition` does, avoids both, and has a price of
# its own: a layer unfrozen later starts cold. Adam's first step is a full learning rate, even for a
# gradient of 0.001.

# %%
half_lives = [round(math.log(0.5) / math.log(beta)) for beta in (0.9, 0.999)]
first_step = -adam_history([0.001])[0, 0]
print("half-lives of m and v:", half_lives, f" cold first step: {first_step:.3f}")
assert half_lives == [7, 693] and abs(first_step - 1) < 1e-4

# %% [markdown]
# Now try it with other numbers. We train $k$ steps at gradient 1, then zero the gradient. Distance
# is measured in units of the last step before the freeze. SGD with momentum $\mu = \beta_1$ stands
# beside Adam.

# %%
WINDOW = 60
after = np.arange(1, WINDOW + 1)


def coasted(make_optimizer, trained):
    """Return the distance from the freeze on, in units of the last step before it."""
    steps = drive(make_optimizer, [1.0] * trained + [0.0] * WINDOW)
    positions = np.array([0.0, *(position for position, _ in steps)])
    coast = positions[trained] - positions[trained + 1 :]
    return coast / (positions[trained - 1] - positions[trained])


# %%
figure, axes = figures.chart(
    "How far a frozen weight coasts", "steps after the gradient was zeroed", "distance / last step"
)
dots = {"color": COLOURS["moved"], "linestyle": "", "markersize": 4, "animated": True}
(adam_dots,) = axes.plot([], [], marker="o", label="Adam", **dots)
(momentum_dots,) = axes.plot([], [], marker="s", markerfacecolor="white", label="momentum", **dots)
(adam_line,) = axes.plot([], [], **THEORY, animated=True, label="closed forms")
(momentum_line,) = axes.plot([], [], **THEORY, animated=True)
axes.set(xlim=(0, WINDOW), ylim=(0, 24))
legend = axes.legend(loc="upper left")


# %%
def follow(trained, beta):
    adam = coasted(lambda w: torch.optim.Adam(w, lr=1.0, betas=(beta, 0.999)), trained)
    momentum = coasted(lambda w: torch.optim.SGD(w, lr=1.0, momentum=beta), trained)
    m, v = 1 - beta**trained, 1 - 0.999**trained
    adam_dots.set_data(after, adam)
    momentum_dots.set_data(after, momentum)
    adam_line.set_data(after, adam_drift(m, v, trained, WINDOW, beta1=beta))
    momentum_line.set_data(after, np.cumsum(beta**after))
    return (
        f"Trained for {trained} step{'s' * (trained > 1)} at β₁ = μ = {beta:.2f}: after the "
        f"freeze Adam goes on for {adam[-1]:.1f} steps' worth, momentum for {momentum[-1]:.1f}."
    )


# %% [markdown]
# **Predict** before you move the first slider. A weight that was trained for one step only: does
# it coast less far than one trained for a hundred? With Adam? With momentum?

# %%
sliders = {
    "trained": explore.Slider("Steps trained before the freeze", 1, 100, 1, 1),
    "beta": explore.Slider("Memory, β₁ = μ", 0.0, 0.95, 0.05, 0.9),
}
alt = "Distance that a frozen weight travels, by steps since its gradient was zeroed."
coast = explore.Experiment(figure, follow, sliders, alt=alt)
coast.show()

# %% [markdown]
# **Why.** Number **(3), momentum**, remembers one number, and each step after the freeze multiplies
# it by $\mu$. The weight coasts $\mu + \mu^2 + \dots = \mu/(1-\mu)$ steps, 9 at $\mu = 0.9$,
# however long it was trained.
#
# Adam's corrected averages are means over the steps *so far*. After one step of training and $j$
# zeros, $\hat m$ is a mean of $1 + j$ gradients of which one is not zero. It falls faster than
# $\beta_1^{\,j}$; alone that would leave 2 steps' worth. But $\hat v$ shrinks as well, nearly like
# $1/(1+j)$, and dividing by its root stretches the 2 to 5.

# %%
j = np.arange(1, 401)
m_hat = 0.1 * 0.9**j / (1 - 0.9 ** (1 + j))
v_hat = 0.001 * 0.999**j / (1 - 0.999 ** (1 + j))
print(f"m alone: {m_hat.sum():.2f}, divided by the root of v: {(m_hat / v_hat**0.5).sum():.2f}")
assert abs(m_hat.sum() - 2) < 0.02 and abs((m_hat / v_hat**0.5).sum() - 5) < 0.02
assert np.allclose(v_hat[:40], 1 / (1 + j[:40]), rtol=0.03)

# %% [markdown]
# After some 20 steps $m$ has nearly forgotten its beginning, but $v$, with a memory of a thousand
# steps, has not: $\hat v$ shrinks like $k/(k+j)$, and the coast grows to a little over 10. In the
# long run both effects are gone, and what is left is $r/(1-r)$ with $r = \beta_1/\sqrt{\beta_2}$,
# about 9. At $\beta_1 = 0$ there is no memory and no drift.

# %%
ks = np.arange(1, 201)
total = np.array([adam_drift(1 - 0.9**k, 1 - 0.999**k, k, 400)[-1] for k in ks])
ratio = 0.9 / math.sqrt(0.999)
limit = ratio / (1 - ratio)
print(
    f"Adam: {total[0]:.2f} after one step, {total.max():.1f} at most, {limit:.2f} in the long run"
)

# %%
assert 4.9 < total[0] < 5.1 and 20 < ks[total.argmax()] < 25 and 10 < total.max() < 10.5
assert abs(limit - 9.05) < 0.01
assert "Adam goes on for 0.0 steps' worth" in coast.try_values(beta=0.0).finding

# %%
figure, axes = figures.chart(
    "One step of training is enough for five steps of drift",
    "steps trained before the freeze",
    "coast / last step",
)
axes.plot(ks, total, color=COLOURS["moved"], label="Adam, β₁ = 0.9, β₂ = 0.999")
axes.axhline(9, color=COLOURS["moved"], linestyle="--", label="momentum, μ = 0.9")
axes.axhline(limit, **THEORY, label="Adam's long-run limit")
axes.set(ylim=(0, 12))
axes.legend(loc="lower right")
alt = """Total coast against steps trained before the freeze. Adam begins at 5.0 steps' worth, peaks
at 10.2 after about 20 steps and falls slowly towards 9.05; momentum is constant at 9."""
figures.show(figure, alt)

# %% [markdown]
# ## What still moves a frozen layer
#
# A torch optimizer asks one question of each parameter: *is its gradient `None`?* It does not look
# at `requires_grad`. A gradient of zeros is a gradient. So is one left over from an earlier step.
# We freeze the first layer of a small network in four ways, under seven optimizers, and take five
# steps.


# %%
def freeze_layer(layer, way):
    """Freeze ``layer`` in the way named; return what must run before each optimizer step."""
    if way == "gradient zeroed":
        return lambda: [p.grad.zero_() for p in layer.parameters()]
    if way == "flag set late":  # after the backward pass, when the gradient is already there
        return lambda: layer.requires_grad_(False)
    layer.requires_grad_(False)
    layer.zero_grad(set_to_none=way == "flag, grad None")
    return lambda: None


# %%
def movement(make_optimizer, warm, way):
    """Return how far the first layer moves in five steps, relative to its norm."""
    model = mlp()
    layer, optimizer = model[1], make_optimizer(model.parameters())
    train(model, optimizer, stream[:warm])
    F.cross_entropy(model(train_x[:32]), train_y[:32]).backward()  # leaves gradients behind
    start = layer.weight.detach().clone()
    before_step = freeze_layer(layer, way)
    train(model, optimizer, stream[20:25], before_step, set_to_none=way != "flag, zeros left")
    return ((layer.weight - start).norm() / start.norm()).item()


# %%
SGD, Adam, AdamW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
optimizers = {
    "SGD": (lambda p: SGD(p, lr=0.1), 0),
    "SGD, weight decay": (lambda p: SGD(p, lr=0.1, weight_decay=0.1), 0),
    "SGD, momentum, warm": (lambda p: SGD(p, lr=0.1, momentum=0.9), 20),
    "Adam, cold": (lambda p: Adam(p, lr=0.01), 0),
    "Adam, warm": (lambda p: Adam(p, lr=0.01), 20),
    "Adam with L2, warm": (lambda p: Adam(p, lr=0.01, weight_decay=0.1), 20),
    "AdamW, cold": (lambda p: AdamW(p, lr=0.01, weight_decay=0.1), 0),
}

# %%
ways = ["gradient zeroed", "flag, zeros left", "flag set late", "flag, grad None"]
table = [[movement(make, warm, way) for way in ways] for make, warm in optimizers.values()]

# %% [markdown]
# "Warm" means twenty ordinary steps before the freeze, so that the optimizer has something to
# remember. **Predict.** The table has 28 cells. Which of them are exactly zero?

# %%
percent = [["0" if x == 0 else f"{100 * x:.2g} %" for x in row] for row in table]
kinds = [["frozen" if x == 0 else "moved" for x in row] for row in table]
title = "How far the frozen layer moved: only a missing gradient stops them all"
alt = """Movement of a frozen layer under seven optimizers and four ways to freeze. With flag and
gradient None it is 0 everywhere; with the gradient zeroed or zeros left only for plain SGD and cold
Adam; with the flag set after the backward pass never."""
figures.show_table(title, list(optimizers), ways, percent, kinds, alt)

# %% [markdown]
# **Why**, column by column.
#
# - *Gradient zeroed* and *flag, zeros left* agree to the bit: both hand the optimizer a zero. Then
#   decay, momentum and Adam's averages do what they always do. Only an optimizer with nothing
#   remembered and no decay stays put: plain SGD, and Adam while it is cold.
# - *Flag set late*: between `backward` and `step` the gradient is already there. This is number
#   **(4), a gradient left over**. One full step is taken, and there would be more if the next
#   `zero_grad` did not remove the gradient.
# - *Flag, grad None*: the optimizer skips the parameter altogether, memory, decay and all.
#
# Now read the rows for decay. `weight_decay` in `SGD` and `Adam` adds $\lambda w$ to the gradient,
# even to one of zeros: number **(5), decay by way of the gradient**. In `AdamW` it acts on the
# weight directly, $w \leftarrow (1-\eta\lambda)\,w$. After five cold steps $1 - 0.999^5$ is gone,
# half a percent.

# %%
columns = dict(zip(ways, zip(*table, strict=True), strict=True))
at_rest = [name for name, x in zip(optimizers, columns["gradient zeroed"], strict=True) if x == 0]
assert not any(columns["flag, grad None"]) and all(columns["flag set late"])
assert columns["gradient zeroed"] == columns["flag, zeros left"]
assert at_rest == ["SGD", "Adam, cold"]
assert abs(columns["gradient zeroed"][6] - (1 - 0.999**5)) < 1e-5

# %% [markdown]
# ## BatchNorm moves without a gradient
#
# All of the above was about parameters. A BatchNorm layer also has *buffers*: a running mean and a
# running variance, which stand in for the batch's own in `eval()` mode. In `train()` mode each
# forward pass pulls them towards the batch: $r \leftarrow 0.9\,r + 0.1\,\mu$. No gradient takes
# part, so no gradient switch can stop it. Not even `no_grad`. This is the last of the six: number
# **(6), BatchNorm's statistics**.


# %%
def frozen_body():
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32))
    return body.requires_grad_(False)


# %% [markdown]
# **Predict.** We pass one batch through a frozen body ten times, under `no_grad`. What share of
# the way from 0 to the batch's mean has the running mean gone?

# %%
body = frozen_body()
batch_mean = body[:2](train_x[:256]).mean(0)
with torch.no_grad():
    for _ in range(10):
        body(train_x[:256])

# %%
share = (body[2].running_mean @ batch_mean) / (batch_mean @ batch_mean)
print(f"share of the way after ten passes {share:.3f}; 1 - 0.9^10 = {1 - 0.9**10:.3f}")
assert torch.allclose(body[2].running_mean, (1 - 0.9**10) * batch_mean, atol=1e-6)

# %% [markdown]
# The cure is `eval()` on the frozen part. But a mode is no lock. `model.train()` sets the mode of
# *every* module inside, and a training loop calls it at the latest after its first validation.


# %%
def drift_of_mean(eval_when):
    """Train a head on a frozen body; return the running mean's distance from 0 after each step."""
    torch.manual_seed(2)
    body, distance = frozen_body(), [0.0]
    model = nn.Sequential(body, nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    for step, batch in enumerate(stream[:30]):
        if step % 10 == 0:
            model.train()  # a new epoch, after the validation of the last one
            if eval_when == "after every train()" or (eval_when == "once" and step == 0):
                body.eval()
        train(model, optimizer, [batch])
        distance.append(body[2].running_mean.norm().item())
    return np.array(distance)


# %% [markdown]
# **Predict.** Three epochs of ten steps. The frozen body gets one `eval()` before the first. In
# which epochs do its statistics move?

# %%
drift = {when: drift_of_mean(when) for when in ["never", "once", "after every train()"]}
for when, d in drift.items():
    epochs = [i + 1 for i in range(3) if d[10 * i] != d[10 * i + 10]]
    print(f"eval() {when:20} statistics moved in epochs", epochs)

# %%
figure, axes = figures.chart(
    "A mode set once lasts until the next train()", "step", "distance of running mean"
)
axes.plot(drift["never"], color=COLOURS["moved"], label="eval() never")
axes.plot(drift["once"], "--", color=COLOURS["moved"], label="eval() once")
axes.plot(drift["after every train()"], color=COLOURS["frozen"], label="eval() after every train()")
axes.legend(loc="upper left")
alt = """Distance of a frozen BatchNorm's running mean from its start over 30 steps. Without eval()
it grows from the first step, with one eval() from the 11th, with eval() after each train() not."""
figures.show(figure, alt)

# %%
assert np.all(drift["never"][1:] > 0) and not np.any(drift["after every train()"])
assert not np.any(drift["once"][:11]) and np.all(drift["once"][11:] > 0)

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


# %%
only_head = nnx.All(nnx.Param, nnx.PathContains("head"))
tagger = Tagger(nnx.Rngs(0))
optimizer = nnx.Optimizer(tagger, optax.adam(0.01), wrt=only_head)


@nnx.jit
def nnx_step(model, optimizer):
    def loss(model):
        return optax.softmax_cross_entropy_with_integer_labels(model(jax_x), jax_y).mean()

    optimizer.update(model, nnx.grad(loss, argnums=nnx.DiffState(0, only_head))(model))


# %%
def one_step_moves():
    """Take a step; say whether the body's kernel, the norm's mean and the head's kernel moved."""
    watched = [tagger.body.kernel, tagger.norm.mean, tagger.head.kernel]
    before = [np.array(variable) for variable in watched]
    nnx_step(tagger, optimizer)
    return [not np.array_equal(old, new) for old, new in zip(before, watched, strict=True)]


# %% [markdown]
# **Predict.** One step with that filter. Which of the three move? And after `tagger.norm.eval()`?

# %%
by_filter = one_step_moves()
tagger.norm.eval()
by_filter_and_eval = one_step_moves()
print("moved:           body kernel, norm mean, head kernel")
print("filter           ", by_filter, "\nfilter and eval()", by_filter_and_eval)
assert by_filter == [False, True, True] and by_filter_and_eval == [False, False, True]

# %% [markdown]
# As in torch, `train()` and `eval()` set the mode of a whole model or of one sub-module, and the
# last call wins. **Predict.** In which order do you call `tagger.train()` and `tagger.norm.eval()`,
# if all but the norm should be in training mode?

# %%
tagger.train()
assert one_step_moves() == by_filter  # the eval() from above is undone
tagger.norm.eval()
assert one_step_moves() == by_filter_and_eval
print("train() on the whole first, then eval() on the frozen part; steps:", optimizer.step[...])
assert optimizer.step[...] == 4

# %% [markdown]
# All 4 steps used one `optimizer`. Build it once, before the first batch: Adam's averages live in
# it, and a new one for each batch would forget them.
#
# In *linen* the statistics are a collection of their own, which `apply` returns beside the output,
# and nothing changes unless you store what came back. **Predict.** If you do not store it, is the
# layer frozen?

# %%
norm = linen.BatchNorm(use_running_average=False)
variables = norm.init(jax.random.key(0), jax_x)
by_batch, returned = norm.apply(variables, jax_x, mutable=["batch_stats"])
by_running = linen.BatchNorm(use_running_average=True).apply(variables, jax_x)
print("returned:", list(returned), " same output:", bool(jnp.allclose(by_batch, by_running)))
assert not jnp.allclose(by_batch, by_running, atol=0.1)

# %% [markdown]
# **Why.** The statistics stay, but the layer still normalises by the batch, so its output depends
# on who is in it. The freeze is `use_running_average=True`.
#
# ## How to prove a freeze
#
# A popular check takes the norm of the frozen weights before and after and calls equal norms a
# proof. **Predict.** We rotate a weight matrix: its first two columns turn by 180 degrees. What
# happens to the norm? How far has the matrix moved?

# %%
weight = mlp()[1].weight.detach()
turned = weight.clone()
turned[:, :2] *= -1
print("norm changed:", turned.norm().item() != weight.norm().item())
print(f"distance moved, relative to the norm: {(turned - weight).norm() / weight.norm():.2f}")
assert turned.norm() == weight.norm() and (turned - weight).norm() > 0.3 * weight.norm()
assert weight.numel() == 2048

# %% [markdown]
# A norm is one number for 2,048 weights, and every rotation shares it. Such motion is not exotic:
# weight normalisation holds a norm *while* the direction learns. And two norms that were both
# taken after the step are equal whatever happened.
#
# Other checks have other holes. Below are four false freezes and a true one. Each gives a body
# that is meant to be frozen, and a step.


# %%
def body_and_step(*more_layers):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), *more_layers)
    model = nn.Sequential(body, nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return body, model, lambda: train(model, optimizer, stream[:1])


# %%
def rotation():
    body, _, _ = body_and_step()
    return body, lambda: body[1].weight.data[:, :2].neg_()


def not_a_number():
    body, _, _ = body_and_step()
    return body, lambda: body[1].weight.data.fill_(math.nan)


# %%
def zero_head():  # nothing is frozen, but a head of zeros passes no gradient down at first
    body, model, step = body_and_step()
    nn.init.zeros_(model[2].weight)
    return body, step


# %%
def batchnorm():
    body, _, step = body_and_step(nn.BatchNorm1d(32))
    return body.requires_grad_(False), step


def true_freeze():
    body, _, step = body_and_step(nn.BatchNorm1d(32))
    return body.requires_grad_(False).eval(), step


# %% [markdown]
# And four checks. The last is what this course means by *proved*: it compares the **bits** of all
# parameters, all buffers and the output on a fixed batch, after **several** steps.


# %%
def bits(module):
    """Return the bytes of every parameter and buffer, and of the output on a fixed batch."""
    output = deepcopy(module).eval()(train_x[:8]).detach()
    tensors = {**module.state_dict(), "output": output}
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


# %%
def verdicts(make):
    """Return what each check says: did the body move?"""
    body, step = make()
    weight, before = body[1].weight.detach().clone(), bits(body)
    step()
    now, after_one = body[1].weight.detach().clone(), bits(body)
    for _ in range(4):
        step()
    norm_changed = abs(now.norm() - weight.norm()).item() > 1e-6
    entry_changed = (now - weight).abs().max().item() > 0
    bit_changed = after_one["1.weight"] != before["1.weight"]
    return [norm_changed, entry_changed, bit_changed, bits(body) != before]


# %% [markdown]
# **Predict.** Which check catches which false freeze? Mind the NaN: what is `nan > 0`?

# %%
bodies = [rotation, not_a_number, zero_head, batchnorm, true_freeze]
says_moved = np.array([verdicts(make) for make in bodies])
assert says_moved[:4].sum(axis=0).tolist() == [0, 1, 2, 4] and not says_moved[4].any()

# %%
words = [["moved" if moved else "frozen" for moved in row] for row in says_moved]
names = [make.__name__.replace("_", " ") for make in bodies]
checks = ["norm, 1 step", "any entry, 1 step", "weight bits, 1 step", "all bits, 5 steps"]
title = "What the checks say: only all bits over several steps are right five times"
alt = """Verdicts of four checks on four false freezes and a true one. The norm calls all of them
frozen, a changed entry catches the rotation, weight bits also the NaN, all bits after five steps
catch all four and pass the true freeze."""
figures.show_table(title, names, checks, words, words, alt)

# %% [markdown]
# **Why.** A head of zeros passes no gradient down at its first step; at its second it is no longer
# zero. Comparisons with NaN are false, so "change > 0" reads *did not move*. BatchNorm moves a
# buffer, and whoever compares weights does not look there.
#
# So compare bits, of parameters, buffers and outputs, over several steps, with a warm optimizer.
# And check that something *else* moved: a step that trains nothing passes every test of a freeze.
#
# The last hole is in the names. **Predict.** A model has modules `layer1` to `layer12`. How many
# of them does the condition `"layer1" in name` freeze?

# %%
tower = nn.ModuleDict({f"layer{i}": nn.Linear(2, 2) for i in range(1, 13)})
names = [name for name, _ in tower.named_parameters()]
by_substring = {name.split(".")[0] for name in names if "layer1" in name}
by_path = {name.split(".")[0] for name in names if name.startswith("layer1.")}
print("substring:", sorted(by_substring), " path:", sorted(by_path))
assert len(by_substring) == 4 and by_path == {"layer1"}

# %% [markdown]
# The dot makes the difference: a parameter lies in the module at path `p` if *one of its names*
# starts with `p` *and a dot*. One of them, because a tied weight has several, and
# `named_parameters()` lists the first only. **Predict.** Below, the output layer shares the matrix
# of the input layer. Which of its parameters does a search by name find?

# %%
tied = nn.Sequential(nn.Embedding(100, 16), nn.Linear(16, 100, bias=False))
tied[1].weight = tied[0].weight
by_name = [name for name, _ in tied.named_parameters() if name.startswith("1.")]
by_module = list(tied[1].parameters())
print("in the output layer, by name:", len(by_name), " asked of the module:", len(by_module))
assert by_name == [] and len(by_module) == 1 and by_module[0] is tied[0].weight

# %% [markdown]
# **Why.** Its one weight is listed as `0.weight`, so the recipe with the dot finds nothing. It also
# finds nothing for the path `""`, which is the whole model: no name starts with a dot. Safer is to
# ask the module for its `parameters()`, and to compare tensors and not names.

# %%
assert [name for name, _ in tied.named_parameters()] == ["0.weight"]
assert dict(tied.named_modules())[""] is tied and len(list(tied.parameters())) == 1

# %% [markdown]
# ## What freezing saves
#
# A training step has three costs: the forward pass, the gradient for the weights, and the gradient
# for the inputs, which carries the signal down. In a matrix product the three cost the same. We
# count them with torch's own counter, for five convolutions and a head.


# %%
def conv_block(before, after, stride=1):
    conv = nn.Conv2d(before, after, 3, stride=stride, padding=1)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())


def conv_net():
    blocks = conv_block(1, 16), conv_block(16, 16), conv_block(16, 32, stride=2)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    return nn.Sequential(*blocks, conv_block(32, 32), conv_block(32, 32), head)


# %%
def partly_trainable(modules):
    """Return a network of six modules in a row where only those numbered are trainable."""
    model = conv_net()
    for i, module in enumerate(model):
        module.requires_grad_(i in modules)
    return model


# %%
def flops(modules):
    """Return the floating-point operations of a forward and backward pass."""
    model = partly_trainable(modules)
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(train_x[:32]), train_y[:32]).backward()
    return counter.get_total_flops()


# %% [markdown]
# **Predict.** Freeze the lowest $n$ of the six modules, or the highest $n$. With all but one
# frozen, what share of the full cost is left in each case?

# %%
with FlopCounterMode(display=False) as counter:
    conv_net()(train_x[:32])
full, forward = flops(range(6)), counter.get_total_flops()
from_below = np.array([flops(range(n, 6)) for n in range(6)]) / full
from_above = np.array([flops(range(6 - n)) for n in range(6)]) / full

# %%
print("lowest n frozen, n = 0...5: ", *(f"{share:.2f}" for share in from_below))
print("highest n frozen, n = 0...5:", *(f"{share:.2f}" for share in from_above))
print(f"forward pass alone: {forward / full:.2f}")
assert 0.33 < from_below[5] < 0.35 and 0.65 < from_above[5] < 0.69
assert 0 <= from_below[5] - forward / full < 0.01
assert np.all(1 - from_above <= (1 - from_below) / 2)

# %%
figure, axes = figures.chart(
    "Freezing saves up to two thirds from below, up to one third from above",
    "n, frozen of 6",
    "cost of a step",
)
n, blue = np.arange(6), COLOURS["frozen"]
striped = {"color": "white", "edgecolor": blue, "hatch": "///", "label": "highest n frozen"}
axes.bar(n - 0.2, from_below, 0.38, color=blue, label="lowest n frozen")
axes.bar(n + 0.2, from_above, 0.38, **striped)
axes.axhline(forward / full, **THEORY, label="forward pass alone")
axes.set(ylim=(0, 1.35))
axes.legend(loc="upper right", ncols=3, fontsize=9)
alt = """Arithmetic of a training step, relative to training all, by number of frozen modules. From
below it falls from 1 to 0.34, the forward pass alone; from above only to 0.67."""
figures.show(figure, alt)

# %% [markdown]
# **Why.** Freeze from below, and the backward pass ends early: under the lowest trainable layer
# nobody waits for the signal. With all but the head frozen the forward pass remains, a third.
# Freeze from above, and the signal must still cross every frozen layer on its way down. Only the
# gradients for the weights are saved: at every $n$ at most half of what freezing from below saves.
#
# Arithmetic is not time. Normalisation and memory traffic are not counted, and small operations
# wait on overhead. So we measure too, and ask the clock only what any machine can answer.
# **Predict.** With all but the head frozen, is the CPU time more or less than three quarters?


# %%
def seconds(modules):
    """Return the least CPU time of a forward and backward pass in ten tries."""
    model, tries = partly_trainable(modules), []
    for _ in range(10):
        begin = time.process_time()
        F.cross_entropy(model(train_x[:128]), train_y[:128]).backward()
        tries.append(time.process_time() - begin)
    return min(tries)


# %%
ratio = seconds([5]) / seconds(range(6))
print("with all but the head frozen, less than three quarters of the CPU time:", ratio < 0.75)
assert 0.1 < ratio < 0.75

# %% [markdown]
# Freezing saves memory too: a frozen parameter needs no gradient and no optimizer state, and Adam
# keeps two numbers for each weight. When you count what is trainable, count tensors and not names.
# **Predict.** `tied`, from the section before, has one matrix under two names. How many weights has
# the model, by name and by tensor?

# %%
by_name = sum(tensor.numel() for tensor in tied.state_dict().values())
by_tensor = sum(p.numel() for p in tied.parameters())
print("by name:", by_name, " by tensor:", by_tensor)
assert by_name == 2 * by_tensor == 3200

# %% [markdown]
# **Why.** `state_dict()` lists the shared matrix under both of its names, `parameters()` lists
# each tensor once. For the same reason, freezing one of the two names freezes the other.
#
# In JAX a gradient is a value like any other, and a compiler drops values that nobody uses. Below
# we compute *all* gradients of the linen network under `jit`, then freeze `Dense_0` in four ways,
# and ask XLA how much work was left.


# %%
def compiled_flops(optimizer, change=lambda grads: grads):
    def step(params, state):
        _, grads = loss_and_gradient(params)
        updates, state = optimizer.update(change(grads), state, params)
        return optax.apply_updates(params, updates), state

    compiled = jax.jit(step).lower(params, optimizer.init(params)).compile()
    return compiled.cost_analysis()["flops"]


# %%
def times_zero(grads):
    return {**grads, "Dense_0": jax.tree.map(lambda g: 0.0 * g, grads["Dense_0"])}


mask = {"Dense_0": True, "Dense_1": False}
selective = optax.selective_transform(adamw, freeze_mask=mask)
update_zeroed = optax.chain(adamw, optax.freeze(mask))

# %% [markdown]
# **Predict.** Where can XLA see that the work for `Dense_0` is wasted?

# %%
everything = compiled_flops(adamw)
shares = {
    "gradient times 0": compiled_flops(adamw, times_zero) / everything,
    "update zeroed": compiled_flops(update_zeroed) / everything,
    "zeros by path": compiled_flops(adamw, lambda g: zero_under(g, "Dense_0")) / everything,
    "selective_transform": compiled_flops(selective) / everything,
}
for name, share in shares.items():
    print(f"{name:20} {share:.1f} of the work")

# %% [markdown]
# **Why.** `zeros_like(g)` does not depend on `g`, and `selective_transform` never asks for it, so
# half of the work disappears. With the update zeroed, `g` still feeds averages that are returned:
# somebody uses it. And `0.0 * g` must be computed, because it is not always zero. For a NaN or an
# infinity it is NaN: a mask of zeros lets one bad gradient through to the weights it should
# protect.

# %%
assert shares["gradient times 0"] > 0.95 and shares["update zeroed"] > 0.95
assert 0.4 < shares["zeros by path"] < 0.6 and 0.4 < shares["selective_transform"] < 0.6
print("0 * nan =", 0.0 * jnp.nan, "  0 * inf =", 0.0 * jnp.inf)
assert math.isnan(0.0 * jnp.nan) and math.isnan(0.0 * jnp.inf)

# %% [markdown]
# ### A published saving, at laptop scale
#
# *FreezeOut* (Brock and others, 2017) trains layer $i$ only for a share $t_i$ of the run, from
# $t_0$ for the lowest to 1 for the highest. Its learning rate follows a cosine that reaches zero
# at $t_i$; from there on the layer is frozen. The rate starts at $\eta / t_i$, and so every layer
# gets the same total, whatever its $t_i$:
#
# $$\int_0^{t_i} \frac{\eta}{t_i} \cdot \frac{1 + \cos(\pi t / t_i)}{2} \, dt = \frac{\eta}{2} .$$


# %%
def cosine(now, end):
    """Return rate / eta at the share ``now`` of the run, for a layer that trains until ``end``."""
    return (1 + np.cos(np.pi * np.minimum(now / end, 1))) / (2 * end)


# %%
run = np.linspace(0, 1, 100_001)
totals = [cosine(run, end).mean() for end in np.linspace(0.5, 1, 6)]
print("total / eta, for six values of t:", *(f"{total:.3f}" for total in totals))
assert np.allclose(totals, 0.5, atol=1e-4)

# %% [markdown]
# On CIFAR images the authors report savings of up to 20 % of the time. The price was a loss in
# accuracy of 3 % for DenseNets and none for ResNets; for VGG networks nothing was gained.
#
# We repeat it with our convolutions: six epochs, $t_i$ evenly spaced from $t_0 = \tfrac12$. To
# freeze means all three now: flag, gradient `None`, and `eval()` for BatchNorm.


# %%
def freeze(module):
    module.requires_grad_(False).eval()
    module.zero_grad(set_to_none=True)


# %%
def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


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
        spent.append(from_below[sum(not module.training for module in model)])
        for module, group, end in zip(model, optimizer.param_groups, ends, strict=True):
            group["lr"] = rate * float(cosine(now, end))
            if now >= end:
                freeze(module)

    train(model, optimizer, data, before_step)
    return accuracy(model, test_x, test_y), np.mean(spent)


# %% [markdown]
# **Predict.** How much arithmetic does it save with $t_0 = \tfrac12$? And does it cost more than 2
# points of accuracy?

# %%
plain = np.array([freezeout(1.0, seed) for seed in range(3)])
early = np.array([freezeout(0.5, seed) for seed in range(3)])
saved = 1 - early[:, 1].mean() / plain[:, 1].mean()
lost = plain[:, 0].mean() - early[:, 0].mean()

# %%
print(f"arithmetic saved: {100 * saved:.0f} %")
print("accuracy lost, mean of three seeds, below 2 points:", lost < 0.02)
print("all six runs right on more than 96 %:", min(plain[:, 0].min(), early[:, 0].min()) > 0.96)
assert 0.18 < saved < 0.21 and abs(lost) < 0.02
assert min(plain[:, 0].min(), early[:, 0].min()) > 0.96

# %%
figure, axes = figures.chart(
    "FreezeOut saves a fifth of the arithmetic; accuracy within 2 points",
    "arithmetic, relative",
    "test accuracy, %",
)
look = {"s": 70, "alpha": 0.7}
axes.scatter(plain[:, 1], 100 * plain[:, 0], color=COLOURS["trainable"], label="to the end", **look)
axes.scatter(early[:, 1], 100 * early[:, 0], color=COLOURS["frozen"], label="FreezeOut", **look)
axes.set(xlim=(0.7, 1.05), ylim=(95, 100))
axes.legend(loc="lower right")
alt = """Test accuracy against arithmetic for three seeds each. Training everything to the end costs
1.0, FreezeOut 0.8; all six runs lie between 96 and 100 %."""
figures.show(figure, alt)

# %% [markdown]
# The shape of the published result holds: about a fifth saved, mean accuracy the same within 2
# points. That tolerance is ours, and it is wide. At 97 % right, chance alone gives a run on 397
# images a standard error of 0.9 points, and three seeds on easy digits prove nothing about large
# networks. What we counted is arithmetic and not time. The count also bounds the method: even with
# all but the head frozen for the whole run, a third remains.

# %%
standard_error = math.sqrt(0.97 * 0.03 / len(test_x))
print(f"standard error of one run: {100 * standard_error:.1f} points")
assert round(100 * standard_error, 1) == 0.9

# %% [markdown]
# ## A freeze that is wrong in public code
#
# PyTorch's own tutorial on transfer learning has a section *ConvNet as fixed feature extractor*.
# It sets `requires_grad = False` on a pretrained ResNet, gives it a new head, hands the head's
# parameters to the optimizer, and calls a general `train_model`. That one begins each epoch with
# `model.train()`
# ([source, as we read it](https://github.com/pytorch/tutorials/blob/74ba612b95095bf8f77828989e9cdac609d2bd1b/beginner_source/transfer_learning_tutorial.py);
# asked about in [tutorials#449](https://github.com/pytorch/tutorials/issues/449)). By now you know
# what this does to BatchNorm. How much does it matter?
#
# We rebuild the pattern in small: a thin ResNet trained on the digits, then used as a "fixed"
# extractor for the same digits in inverse print.


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


# %%
class ThinResNet(nn.Module):
    def __init__(self):
        super().__init__()
        blocks = Block(1, 8, 1), Block(8, 16, 2), Block(16, 32, 2)
        self.backbone = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(self.backbone(x))


# %%
torch.manual_seed(0)
pretrained = ThinResNet()
adam = torch.optim.Adam(pretrained.parameters(), lr=0.003)
train(pretrained, adam, batches(train_x, train_y, epochs=4))
print("pretrained, right on more than 90 %:", accuracy(pretrained, test_x, test_y) > 0.9)


# %%
def features(model):
    """Return the backbone's output on the test digits in eval mode; shape (397, 32)."""
    model.eval()
    with torch.no_grad():
        return model.backbone(test_x)


# %%
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


# %% [markdown]
# **Predict.** After three epochs: how many of the backbone's parameters have changed, and how many
# of its buffers? Have the features of the *original* test digits moved by more than a quarter of
# their size? And does the *old* head lose more than 3 points on them?

# %%
published = deepcopy(pretrained)
drift_published = extract(published)
before, now = bits(pretrained.backbone), bits(published.backbone)
changed = {name for name in before if before[name] != now[name]}

# %%
parameters = {name for name, _ in pretrained.backbone.named_parameters()}
buffers = {name for name, _ in pretrained.backbone.named_buffers()}
print("parameters changed:", len(parameters & changed), "of", len(parameters))
print("buffers changed:   ", len(buffers & changed), "of", len(buffers))
assert changed == {*buffers, "output"} and len(buffers) == 18

# %%
published.fc = pretrained.fc
old, new = accuracy(pretrained, test_x, test_y), accuracy(published, test_x, test_y)
print("features moved by more than a quarter of their size:", drift_published[-1] > 0.25)
print("old head lost more than 3 points:", old - new > 0.03)
assert drift_published[-1] > 0.25 and old - new > 0.03

# %% [markdown]
# **Why.** Every parameter is what it was, and the extractor is another function. All 18 buffers
# moved: six BatchNorms with a mean, a variance and a counter each. The repair makes the mode part
# of the model, where no `train()` can undo it. **Predict** what is left of the drift.


# %%
class FixedExtractor(ThinResNet):
    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self


# %%
repaired = FixedExtractor()
repaired.load_state_dict(pretrained.state_dict())
drift_repaired = extract(repaired)
assert bits(repaired.backbone) == before and drift_repaired == [0, 0, 0, 0]
assert not torch.equal(repaired.fc.weight, pretrained.fc.weight)  # and something else moved
print("repaired: features moved by", drift_repaired[-1])

# %%
figure, axes = figures.chart(
    "The fixed features are not fixed", "epoch", "change of features, relative"
)
axes.plot(drift_published, "o-", color=COLOURS["moved"], label="as published")
axes.plot(drift_repaired, "s-", color=COLOURS["frozen"], label="repaired")
axes.set(xticks=range(4), ylim=(-0.05, 1.2))
axes.legend(loc="upper left")
alt = """Change of the features of fixed digits over three epochs of training the head. As published
they change by more than a quarter of their size, repaired by 0."""
figures.show(figure, alt)

# %% [markdown]
# Is the drift always bad? No. The statistics move *towards the new data*, which can help on the
# new task. What it always does is make "frozen" untrue: features that were saved earlier no longer
# match, the old task suffers, and during training each output depends on who shares the batch.
#
# A second pattern fails in both directions at once. An early version of a public video classifier
# ran a pretrained ResNet *and its own new layers* inside one `no_grad` block, with the encoder in
# `train()` mode
# ([source, as we read it](https://github.com/HHTseng/video-classification/blob/1179f053a1f9a494450d945a5a6d010012c6a1cc/ResNetCRNN/functions.py);
# the statistics were asked about in
# [issue 49](https://github.com/HHTseng/video-classification/issues/49)).
#
# **Predict.** What trains, and what stays?

# %%
torch.manual_seed(0)
resnet = deepcopy(pretrained.backbone).train()
new_layer, head = nn.Linear(32, 32), nn.Linear(32, 10)
with torch.no_grad():
    encoded = new_layer(resnet(train_x[:32]))
F.cross_entropy(head(encoded), train_y[:32]).backward()

# %%
now = bits(resnet)
print("meant to train, gradient of the new layer:", new_layer.weight.grad)
print("meant to stay, buffers changed:", sum(now[name] != before[name] for name in buffers))
assert new_layer.weight.grad is None and all(now[name] != before[name] for name in buffers)

# %% [markdown]
# **Why.** The layer that should learn never will: its gradient is `None`, and the optimizer skips
# it without a word. The network that should stay moves all of its buffers.
#
# ## Check yourself
#
# 1. You call `layer.requires_grad_(False)` in the middle of training with AdamW and then
#    `optimizer.zero_grad(set_to_none=False)` at each step. Does the layer move?
#    <details><summary>Answer</summary>Yes. Its gradient is a tensor of zeros, not None, so AdamW
#    still decays it and still applies what its averages remember.</details>
# 2. A frozen layer sits between two trainable ones. Can you wrap it in `no_grad` to save time?
#    <details><summary>Answer</summary>No. The layer below would get no gradient at all. Switch off
#    `requires_grad` of its parameters instead; the signal still passes.</details>
# 3. `optax.masked(optax.adam(1e-3), mask)` with the mask false for the body. After a while the
#    loss explodes. Why?
#    <details><summary>Answer</summary>The body's raw gradients pass through unchanged and are
#    added: the body climbs, at a learning rate of 1.</details>
# 4. Adam trained a weight for a long time at constant gradient, then its gradient is zeroed.
#    Roughly how many more steps' worth does it travel? And with β₁ = 0.5?
#    <details><summary>Answer</summary>About r/(1-r) with r = β₁/√β₂: about 9 for β₁ = 0.9, about 1
#    for β₁ = 0.5.</details>
# 5. All parameters of a "frozen" backbone are identical after training, bit by bit. Name two ways
#    in which its outputs can still differ.
#    <details><summary>Answer</summary>BatchNorm's running statistics moved, so its eval output
#    changed; or it is in train mode, where the output depends on the batch (BatchNorm) or on
#    chance (dropout).</details>
# 6. You may freeze half of the layers. Which half saves more, and why?
#    <details><summary>Answer</summary>The lower half. The backward pass can stop above it. If the
#    upper half is frozen, the signal still has to pass through it.</details>

# %%
ratios = np.array([0.9, 0.5]) / math.sqrt(0.999)
print("question 4:", *(f"{coast:.1f}" for coast in ratios / (1 - ratios)))
assert np.allclose(ratios / (1 - ratios), [9, 1], atol=0.1)

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
# - Six things move a frozen layer: (1) AdamW's own decay, (2) Adam's averages, (3) momentum, (4) a
#   gradient left over, (5) decay by way of the gradient, (6) BatchNorm's statistics.
# - A zero gradient is still a gradient. Momentum coasts 9 steps at $\mu = 0.9$, Adam between 5 and
#   about 10.
# - `optax.masked` limits a transformation. It freezes nothing.
# - Freezing from below saves up to two thirds of the arithmetic, from above up to one third.
# - Names: match exact paths, refuse unknown ones with the whole path in the message, and look at
#   the shapes in Flax. In torch ask the module for its `parameters()`: a tied weight has several
#   names.
#
# ## References
#
# - A. Brock, T. Lim, J. M. Ritchie, N. Weston. *FreezeOut: Accelerate Training by Progressively
#   Freezing Layers.* 2017. [arXiv:1706.04983](https://arxiv.org/abs/1706.04983)
# - J. Howard, S. Ruder. *Universal Language Model Fine-tuning for Text Classification.* ACL 2018.
#   [doi:10.18653/v1/P18-1031](https://doi.org/10.18653/v1/P18-1031). Gradual unfreezing.
# - S. Ioffe, C. Szegedy. *Batch Normalization: Accelerating Deep Network Training by Reducing
#   Internal Covariate Shift.* ICML 2015. [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)
# - D. P. Kingma, J. Ba. *Adam: A Method for Stochastic Optimization.* ICLR 2015.
#   [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)
# - I. Loshchilov, F. Hutter. *Decoupled Weight Decay Regularization.* ICLR 2019.
#   [arXiv:1711.05101](https://arxiv.org/abs/1711.05101). AdamW.
# - T. Salimans, D. P. Kingma. *Weight Normalization.* NeurIPS 2016.
#   [arXiv:1602.07868](https://arxiv.org/abs/1602.07868)
# - J. Yosinski, J. Clune, Y. Bengio, H. Lipson. *How transferable are features in deep neural
#   networks?* NeurIPS 2014. [arXiv:1411.1792](https://arxiv.org/abs/1411.1792). How many layers to
#   freeze for a new task.
# - Digits: E. Alpaydin, C. Kaynak. *Optical Recognition of Handwritten Digits.* UCI Machine
#   Learning Repository, 1998. [doi:10.24432/C50P49](https://doi.org/10.24432/C50P49), as shipped
#   with scikit-learn.
