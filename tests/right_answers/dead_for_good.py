"""Right answers to `dead_for_good`, each in a style of its own."""

import torch
from torch import nn


def go_up_and_remember_who_moves(model, x):
    hidden = [module for module in model if isinstance(module, nn.Linear)][:-1]
    zs, h = [], x
    for linear in hidden:
        zs.append(linear(h).detach())
        h = zs[-1].clamp(min=0)
    dead = [(z.amax(0) <= 0) for z in zs]
    answer, something_moves_below = [], False
    for i, linear in enumerate(hidden):
        answer.append(dead[i] if not something_moves_below else torch.zeros_like(dead[i]))
        trainable = linear.weight.requires_grad or linear.bias.requires_grad
        reached = all(not d.all() for d in dead[i:])
        something_moves_below |= trainable and reached
    return answer


def ask_a_fresh_head(model, x):
    """A loss through random outgoing weights reaches whatever a gradient can reach at all."""
    torch.manual_seed(0)
    body = model[:-1]
    still, dead, h = True, [], x
    output = body(x)
    loss = (output * torch.rand_like(output)).sum()
    for module in body:
        h = module(h)
        if isinstance(module, nn.Linear):
            dead.append((h <= 0).all(0) & torch.tensor(still))
            own = [p for p in module.parameters() if p.requires_grad]
            given = torch.autograd.grad(loss, own, retain_graph=True) if own else ()
            still = still and not any(bool(g.any()) for g in given)
    return dead


def reason_from_the_top(model, x):
    layers = [(model[i], model[: i + 1]) for i in range(0, len(model) - 1, 2)]
    with torch.no_grad():
        dead = [~(part(x) > 0).any(dim=0) for _, part in layers]
    highest = max((i for i, d in enumerate(dead) if d.all()), default=-1)
    movers = [
        i
        for i, (linear, _) in enumerate(layers)
        if i > highest and any(p.requires_grad for p in linear.parameters())
    ]
    lowest = min(movers, default=len(dead))
    return [d if i <= lowest else torch.zeros_like(d) for i, d in enumerate(dead)]


def count_with_lists(model, x):
    outputs = [model[: 2 * i + 2](x).detach() for i in range(len(model) // 2)]
    dead = [[not any(column) for column in h.T.tolist()] for h in outputs]
    frozen = [all(not p.requires_grad for p in model[2 * i].parameters()) for i in range(len(dead))]
    answer = []
    for i, row in enumerate(dead):
        fixed = all(frozen[k] or any(map(all, dead[k:])) for k in range(i))
        answer.append([unit and fixed for unit in row])
    return answer


def climb_with_a_flag(model, x):
    linears = [module for module in model if isinstance(module, nn.Linear)][:-1]
    dead = []
    with torch.no_grad():
        for linear in linears:
            z = linear(x)
            dead.append((z <= 0).all(dim=0))
            x = z.clamp(min=0)
    answer, something_moves_below = [], False
    for i, linear in enumerate(linears):
        answer.append(torch.zeros_like(dead[i]) if something_moves_below else dead[i])
        frozen = not (linear.weight.requires_grad or linear.bias.requires_grad)
        blocked = any(bool(units.all()) for units in dead[i:])
        something_moves_below = something_moves_below or not (frozen or blocked)
    return answer
