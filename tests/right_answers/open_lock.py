"""Right answers to `open_lock`, each in a style of its own."""

import torch
from torch import nn
from torch.nn import functional as F

import paramlock


def _trained(model, x, y, steps, optimizer):
    for _ in range(steps):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def watch_by_hooks(model, x, y, steps):
    """Look again from the start after each key."""
    for parameter in model.parameters():
        parameter.requires_grad = True

    def first_locked():
        made = []
        hooks = [
            block.register_forward_hook(lambda block, _, out: made.append((block, out)))
            for block in model[:-1]
        ]
        with torch.no_grad():
            model(x)
        for hook in hooks:
            hook.remove()
        for block, out in made:
            if torch.isnan(out).any() or len(out.unique(dim=0)) == 1:
                return block
        return None

    while (block := first_locked()) is not None:
        block[0].reset_parameters()
    _trained(model, x, y, steps, torch.optim.Adam(model.parameters(), lr=0.02))


def ask_the_slopes(model, x, y, steps):
    """A block is locked if its activation is flat at every pre-activation."""
    given = x
    for block in [*model][:-1]:
        linear, activation = block
        z = linear(given).detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(activation(z).sum(), z)
        if not bool(z.isfinite().all()) or not slope.any():
            torch.nn.init.xavier_uniform_(linear.weight)
            torch.nn.init.zeros_(linear.bias)
        given = block(given).detach()
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    _trained(model, x, y, steps // 2, torch.optim.AdamW(model.parameters(), 0.02))


def put_in_a_new_layer(model, x, y, steps):
    """A locked layer is replaced by another module; the rest is trained slowly."""
    with torch.no_grad():
        for number in range(len(model) - 1):
            out = model[: number + 1](x)
            spread = (out.max(0).values - out.min(0).values).max()
            if not spread > 1e-6:
                old = model[number][0]
                model[number][0] = nn.Linear(old.in_features, old.out_features)
    model.requires_grad_(True)
    slow = [p for p in model[0].parameters()]
    fast = [p for block in model[1:] for p in block.parameters()]
    groups = [{"params": slow, "lr": 0.002}, {"params": fast, "lr": 0.02}]
    _trained(model, x, y, steps, torch.optim.Adam(groups))


def go_down_with_momentum(model, x, y, steps):
    """Plain descent with momentum; a dead block is given biases of 0 where that is enough."""
    model.requires_grad_(True)
    with torch.no_grad():
        given = x
        for linear, activation in model[:-1]:
            for key in (lambda layer: layer.bias.zero_(), nn.Linear.reset_parameters):
                made = activation(linear(given))
                if made.isfinite().all() and made.std(0).sum() > 0:
                    break
                key(linear)
            given = activation(linear(given))
    _trained(model, x, y, steps, torch.optim.SGD(model.parameters(), 0.05, momentum=0.9))


def ask_the_certificate(model, x, y, steps):
    """Ask again after each key: behind a locked block the others look locked too."""
    model.requires_grad_(True)
    for number in range(len(model) - 1):
        found = paramlock.certificate(model, (x, y), F.cross_entropy)
        if {"dead", "saturated", "zeroed", "nonfinite"} & {k.kind for k in found.at(f"{number}.0")}:
            model[number][0].reset_parameters()
    _trained(model, x, y, steps, torch.optim.Adam(model.parameters(), 0.02))
