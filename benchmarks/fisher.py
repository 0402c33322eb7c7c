"""The Fisher diagonal against peers and against its limit: python benchmarks/fisher.py

Baseline: one forward and backward pass over the same n = 1000 samples. Limits for the dense
network, by counting matrix products: the empirical diagonal takes the same three products per
layer as the baseline and may cost 1.15 of it. A true one with a backward pass and a product of
squares for each of C classes takes (1 + 2C) / 3 and may cost 1.1 of that. Ours needs C - 1 backward
passes and one product of squares in all, noted beside it. The convolutional networks may cost at
most what the cheapest of loop, vmap and (in torch) unfolding every layer costs. BackPACK and
nngeometry come with `pip install --no-deps -r benchmarks/peers.txt`.
"""

import warnings
from functools import partial
from itertools import pairwise

import side_by_side  # isort: skip  # first: it sets the thread counts
import jax
import jax.numpy as jnp
import torch
from flax import linen
from side_by_side import Line
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from paramlock.fisher.diagonal import fisher_diagonal

N = 1000
WIDTHS = (784, 512, 512, 512, 10)


def dense():
    layers = []
    for inputs, outputs in pairwise(WIDTHS):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1]), torch.randn(N, 784)


def convolutional():
    def stage(inputs, outputs):
        return nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)

    body = [*stage(1, 16), *stage(16, 32), *stage(32, 64)]
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(64 * 9, 10)), torch.randn(N, 1, 28, 28)


def step(model, x, y):
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()


def by_loop(model, x, y):
    params = list(model.parameters())
    totals = [torch.zeros_like(p) for p in params]
    for i in range(len(x)):
        loss = F.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
        for total, gradient in zip(totals, torch.autograd.grad(loss, params), strict=True):
            total += gradient**2
    return {name: t / len(x) for (name, _), t in zip(model.named_parameters(), totals, strict=True)}


def by_vmap(model, x, y, chunk=100):
    params = {name: p.detach() for name, p in model.named_parameters()}

    def loss(params, x, y):
        return F.cross_entropy(functional_call(model, params, (x[None],)), y[None])

    each = vmap(grad(loss), (None, 0, 0))
    totals = dict.fromkeys(params, 0)
    for start in range(0, len(x), chunk):
        rows = slice(start, start + chunk)
        found = each(params, x[rows], y[rows])
        totals = {name: totals[name] + g.square_().sum(0) for name, g in found.items()}
    return {name: t / len(x) for name, t in totals.items()}


def by_unfold(model, x, y):
    """One forward and backward pass, then one product of patches per sample and layer."""
    inputs, outputs, hidden = {}, {}, x
    for name, layer in model.named_children():
        inputs[name] = hidden.detach()
        hidden = outputs[name] = layer(hidden)
    own = [name for name in outputs if any(True for _ in model[int(name)].parameters())]
    loss = F.cross_entropy(hidden, y, reduction="sum")
    gradients = torch.autograd.grad(loss, [outputs[name] for name in own])
    totals = {}
    for name, g in zip(own, gradients, strict=True):
        layer, rows = model[int(name)], inputs[name].flatten(1).unsqueeze(2)
        if isinstance(layer, nn.Conv2d):
            rows = F.unfold(inputs[name], layer.kernel_size, padding=layer.padding)
        g = g.flatten(2) if g.ndim > 2 else g.unsqueeze(2)
        weight = torch.bmm(g, rows.mT).square_().sum(0) / len(x)
        totals[f"{name}.weight"] = weight.reshape(layer.weight.shape)
        totals[f"{name}.bias"] = g.sum(2).square_().sum(0) / len(x)
    return totals


def backpack_lines(build, state, x, y, names):
    try:
        import backpack
        from backpack import extensions
    except ImportError:
        return [Line(f"BackPACK {name}", None) for name in names]
    model = build()[0]
    model.load_state_dict(state)
    model, loss = backpack.extend(model), backpack.extend(nn.CrossEntropyLoss())

    def run(extension):
        model.zero_grad()
        with backpack.backpack(extension):
            loss(model(x), y).backward()

    warnings.filterwarnings("ignore", "Full backward hook")  # BackPACK's own
    each = {name: getattr(extensions, name)() for name in names}
    return [Line(f"BackPACK {name}", partial(run, each[name])) for name in names]


def nngeometry_line(model, x, y):
    try:
        from nngeometry.metrics import FIM
        from nngeometry.object import PMatDiag
    except ImportError:
        return Line("nngeometry PMatDiag", None)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=N)
    return Line(
        "nngeometry PMatDiag",
        lambda: FIM(model, loader, PMatDiag, variant="classif_logits").get_diag(),
    )


def products():
    """Matrix products of our true diagonal over those of a forward and backward pass."""
    sizes = [a * b for a, b in pairwise(WIDTHS)]
    whole, below = sum(sizes), sum(sizes[1:])  # the first layer passes no gradient down
    return (2 * whole + (WIDTHS[-1] - 1) * below) / (2 * whole + below)


def torch_tables():
    (model, x), y = dense(), torch.randint(0, 10, (N,))
    state = model.state_dict()
    title = f"{'-'.join(map(str, WIDTHS))}, n = {N}: cost over forward + backward"
    baseline = partial(step, model, x, y)
    empirical = side_by_side.compare(
        f"Empirical, {title}",
        baseline,
        [
            Line("fisher_diagonal", lambda: fisher_diagonal(model, (x, y)), 1.15),
            *backpack_lines(dense, state, x, y, ["SumGradSquared"]),
        ],
        rounds=25,
        speed_up=False,
    )
    side_by_side.compare(
        f"Empirical, the slow ways, {title}",
        baseline,
        [
            Line("loop over samples", lambda: by_loop(model, x, y)),
            Line("torch.func vmap, chunks of 100", lambda: by_vmap(model, x, y)),
        ],
        rounds=3,
        speed_up=False,
    )
    true = side_by_side.compare(
        f"True, {title}",
        baseline,
        [
            Line(
                "fisher_diagonal",
                lambda: fisher_diagonal(model, [x], kind="true"),
                1.1 * (1 + 2 * WIDTHS[-1]) / 3,
                f"(products alone: {products():.2f})",
            ),
            Line("fisher_diagonal, sampled", lambda: fisher_diagonal(model, [x], kind="sampled")),
            *backpack_lines(dense, state, x, y, ["DiagGGNExact", "DiagGGNMC"]),
            nngeometry_line(model, x, y),
        ],
        rounds=5,
        speed_up=False,
    )
    return empirical and true


def convolution_table():
    (model, x), y = convolutional(), torch.randint(0, 10, (N,))
    loop = by_loop(model, x, y)
    for seen in (fisher_diagonal(model, (x, y)), by_unfold(model, x, y)):
        # rounding flips a rectifier now and then: one sample of a thousand differs there
        assert all((seen[k] - loop[k]).abs().max() < 2e-3 * loop[k].max() for k in loop)
    ways = {
        "unfold and products": lambda: by_unfold(model, x, y),
        "torch.func vmap, chunks of 100": lambda: by_vmap(model, x, y),
        "torch.func vmap, chunks of 10": lambda: by_vmap(model, x, y, 10),
        "loop over samples": lambda: by_loop(model, x, y),
    }
    return side_by_side.compare(
        f"Empirical, three convolutions on 28 x 28, n = {N}: cost over forward + backward",
        partial(step, model, x, y),
        [
            Line("fisher_diagonal", lambda: fisher_diagonal(model, (x, y)), least_of=tuple(ways)),
            *(Line(name, run) for name, run in ways.items()),
            *backpack_lines(convolutional, model.state_dict(), x, y, ["SumGradSquared"]),
        ],
        rounds=5,
        speed_up=False,
    )


class Dense(linen.Module):
    @linen.compact
    def __call__(self, x):
        for width in WIDTHS[1:-1]:
            x = linen.relu(linen.Dense(width)(x))
        return linen.Dense(WIDTHS[-1])(x)


class Convolutional(linen.Module):
    @linen.compact
    def __call__(self, x):
        for width in (16, 32, 64):
            x = linen.max_pool(linen.relu(linen.Conv(width, (3, 3))(x)), (2, 2), (2, 2))
        return linen.Dense(10)(x.reshape(len(x), -1))


def jax_table(title, model, x, limits):
    """Compare in JAX, where a loop over samples is compiled as well; ``limits`` for our line."""
    y = jnp.arange(N) % 10
    params = jax.jit(model.init)(jax.random.key(1), x)

    def loss(params, x, y):
        return -jnp.take_along_axis(jax.nn.log_softmax(model.apply(params, x)), y, -1).mean()

    def chunk(total, batch):
        found = jax.vmap(jax.grad(loss), (None, 0, 0))(params, *batch)
        return jax.tree.map(lambda t, g: t + (g**2).sum(0), total, found), None

    @partial(jax.jit, static_argnums=0)
    def by_chunks(size):
        chunks = x.reshape(-1, size, 1, *x.shape[1:]), y.reshape(-1, size, 1, 1)
        return jax.lax.scan(chunk, jax.tree.map(jnp.zeros_like, params), chunks)[0]

    gradient = jax.jit(jax.grad(loss))
    ours = partial(fisher_diagonal, model.apply, (x, y), params=params)
    ways = {
        "jax.vmap, chunks of 100": lambda: jax.block_until_ready(by_chunks(100)),
        "loop over samples, compiled": lambda: jax.block_until_ready(by_chunks(1)),
    }
    return side_by_side.compare(
        f"Empirical in JAX, {title}: cost over a compiled forward + backward",
        lambda: jax.block_until_ready(gradient(params, x, y[:, None])),
        [
            Line("fisher_diagonal", lambda: jax.block_until_ready(ours()), **limits(tuple(ways))),
            *(Line(name, run) for name, run in ways.items()),
        ],
        rounds=5,
        speed_up=False,
    )


def jax_tables():
    x = jax.random.normal(jax.random.key(0), (N, 784))
    pictures = x.reshape(N, 28, 28, 1)
    return [
        jax_table("the dense network", Dense(), x, lambda ways: {"limit": 1.15}),
        jax_table("the convolutions", Convolutional(), pictures, lambda ways: {"least_of": ways}),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    raise SystemExit(not all([torch_tables(), convolution_table(), *jax_tables()]))
