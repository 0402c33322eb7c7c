"""What freezing saves: python benchmarks/freezing.py

A ResNet of four blocks (308,314 weights, 28 by 28 images, batches of 64) of which only the head
trains. A whole step may then cost 1.1 of a forward pass alone, which is the least that anything can
cost that computes the features anew. With cached features it costs the head's own step. In JAX,
XLA drops the gradients that `freeze` does not use. The full step is there to compare.
"""

import functools
import sys

import side_by_side  # isort: skip  # first: it sets the thread counts
import jax
import jax.numpy as jnp
import optax
import torch
from flax import linen
from side_by_side import Line
from torch import nn
from torch.nn import functional as F

from paramlock.freezing import in_optax
from paramlock.freezing.in_torch import freeze
from paramlock.freezing.transfer import cached_features

WIDTHS, BATCH = (16, 32, 64, 128), 64


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.down = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.down(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        for i, (a, b) in enumerate(zip((16, *WIDTHS), WIDTHS, strict=False), 1):
            self.add_module(f"layer{i}", Block(a, b, 1 if i == 1 else 2))
        self.fc = nn.Linear(WIDTHS[-1], 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class Training:
    """A net of which ``frozen`` stands still, with an optimizer that holds all of it."""

    def __init__(self, *frozen):
        torch.manual_seed(0)
        self.model = ResNet()
        if frozen:
            freeze(self.model, *frozen)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 1e-3)
        self.x, self.y = torch.randn(BATCH, 1, 28, 28), torch.randint(0, 10, (BATCH,))

    def forward(self):
        with torch.no_grad():
            self.model.eval()(self.x)

    def step(self):
        self.update(self.model.train(), self.x)

    def update(self, module, x):
        self.optimizer.zero_grad()
        F.cross_entropy(module(x), self.y).backward()
        self.optimizer.step()

    def on_cached_features(self):
        x, _ = cached_features(self.model, "fc", (self.x, self.y)).tensors
        return lambda: self.update(self.model.fc, x)


BODY = ("conv1", "bn1", "layer*")


def in_torch():
    head, whole = Training(*BODY), Training()
    flags = Training()
    flags.model.requires_grad_(False).fc.requires_grad_(True)
    return side_by_side.compare(
        "torch, ResNet: over a forward pass",
        head.forward,
        [
            Line("only the head trains", head.step, 1.1),
            Line("the same on cached features", head.on_cached_features(), 0.02),
            Line("flags only, BatchNorm drifts", flags.step),
            Line("layer4 and head train", Training("conv1", "bn1", "layer[1-3]").step),
            Line("only the first layer trains", Training("bn1", "layer*", "fc").step),
            Line("everything trains", whole.step),
        ],
        rounds=15,
        speed_up=False,
    )


class Convolutions(linen.Module):
    @linen.compact
    def __call__(self, x):
        for width in WIDTHS:
            x = linen.relu(linen.Conv(width, (3, 3), 1 if width == WIDTHS[0] else 2)(x))
            x = linen.relu(linen.Conv(width, (3, 3))(x))
        return linen.Dense(10)(x.mean((1, 2)))


def in_jax():
    key = jax.random.key(0)
    x, y = jax.random.normal(key, (BATCH, 28, 28, 1)), jax.nn.one_hot(jnp.zeros(BATCH, int), 10)
    model = Convolutions()
    params = model.init(key, x)["params"]
    forward = jax.jit(model.apply)

    def stepper(transformation):
        held = [jax.tree.map(jnp.copy, params), transformation.init(params)]

        def loss(p):
            logits = model.apply({"params": p}, x)
            return optax.softmax_cross_entropy(logits, y).mean()

        @functools.partial(jax.jit, donate_argnums=(0, 1))  # what stands still is not copied then
        def step(params, state):
            updates, state = transformation.update(jax.grad(loss)(params), state, params)
            return optax.apply_updates(params, updates), state

        def run():
            held[:] = jax.block_until_ready(step(*held))

        return run

    head = in_optax.freeze(optax.adamw(1e-3), "Conv_*")
    return side_by_side.compare(
        "JAX, eight convolutions: over a forward pass",
        lambda: forward({"params": params}, x).block_until_ready(),
        [
            Line("only the head trains", stepper(head), 1.1),
            Line("everything trains", stepper(optax.adamw(1e-3))),
        ],
        rounds=15,
        speed_up=False,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(not all([in_torch(), in_jax()]))
