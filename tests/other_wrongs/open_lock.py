"""Wrong answers to `open_lock` that come from none of its beliefs."""

import torch
from torch import nn
from torch.nn import functional as F


def _open(model, x, redraw=lambda layer: layer.reset_parameters()):
    model.requires_grad_(True)
    with torch.no_grad():
        for block in model[:-1]:
            made = block(x)
            if not made.isfinite().all() or (made == made[0]).all():
                redraw(block[0])
            x = block(x)


def _train(model, x, y, steps, make=torch.optim.Adam, rate=0.02, **more):
    optimizer = make(model.parameters(), rate, **more)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def open_and_leave(model, x, y, steps):
    _open(model, x)


def make_one_update(model, x, y, steps):
    _open(model, x)
    _train(model, x, y, 1)


def train_at_a_tiny_rate(model, x, y, steps):
    _open(model, x)
    _train(model, x, y, steps, rate=1e-6)


def train_at_a_huge_rate(model, x, y, steps):
    _open(model, x)
    _train(model, x, y, steps, rate=30.0)


def climb(model, x, y, steps):
    _open(model, x)
    _train(model, x, y, steps, maximize=True)


def freeze_again_before_training(model, x, y, steps):
    _open(model, x)
    model.requires_grad_(False)
    _train(model, x, y, steps)


def draw_weights_and_keep_the_bias(model, x, y, steps):
    _open(model, x, lambda layer: nn.init.kaiming_uniform_(layer.weight))
    _train(model, x, y, steps)


def set_the_bias_to_zero(model, x, y, steps):
    """Enough for what is dead or flat, and not for zeros and NaN."""
    _open(model, x, lambda layer: layer.bias.zero_())
    _train(model, x, y, steps)


def set_the_locked_layer_to_zero(model, x, y, steps):
    def clear(layer):
        layer.weight.zero_()
        layer.bias.zero_()

    _open(model, x, clear)
    _train(model, x, y, steps)


def draw_all_but_the_first_anew(model, x, y, steps):
    model.requires_grad_(True)
    for block in model[1:-1]:
        block[0].reset_parameters()
    _train(model, x, y, steps)


def draw_the_first_block_anew(model, x, y, steps):
    _open(model, x)
    model[0][0].reset_parameters()
    _train(model, x, y, steps)


def unfreeze_the_last_layer_alone(model, x, y, steps):
    with torch.no_grad():
        given = x
        for block in model[:-1]:
            made = block(given)
            if not made.isfinite().all() or (made == made[0]).all():
                block[0].reset_parameters()
            given = block(given)
    model[-1].requires_grad_(True)
    model[0].requires_grad_(True)
    _train(model, x, torch.zeros_like(y), steps)


def train_on_shuffled_labels(model, x, y, steps):
    _open(model, x)
    _train(model, x, y[torch.randperm(len(y))], steps)


def train_on_one_sample(model, x, y, steps):
    _open(model, x)
    _train(model, x[:1], y[:1], steps)


def make_one_update_too_many(model, x, y, steps):
    _open(model, x)
    _train(model, x, y, steps + 1)


def ask_for_an_exact_gradient_of_zero(model, x, y, steps):
    """A frozen parameter has no gradient to be asked."""
    F.cross_entropy(model(x), y).backward()
    for block in model[:-1]:
        if not block[0].weight.grad.any():
            block[0].reset_parameters()
    model.requires_grad_(True)
    _train(model, x, y, steps)


def make_eighty_updates(model, x, y, steps):
    _open(model, x)
    _train(model, x, y, 80)
