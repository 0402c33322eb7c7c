"""Pruning in torch: weights held at zero, by score, by pattern, on a schedule, and grown again.

Pruning is a choice (`choosing`) and a lock (`in_torch`), put together here. For JAX see `in_optax`.

Sources: Han et al. 2015, "Learning both weights and connections"; gradual pruning, Zhu & Gupta
2017; regrowth by gradient, Evci et al. 2020, "Rigging the lottery" (RigL), §3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from paramlock.holding.choosing import choose_entries, choose_to_prune
from paramlock.holding.in_torch import Hold, hold
from paramlock.models.in_torch import refuse_shards


def prune(
    model: nn.Module,
    sparsity: float | tuple[int, int],
    *,
    by: str | Mapping[str, Tensor] = "magnitude",
    scope: str = "global",
    names: Iterable[str] | None = None,
    seed: int = 0,
    lock: Hold | None = None,
) -> Hold:
    """Set the weights of lowest score to zero and hold them there, under any torch optimizer.

    ::

        lock = prune(model, 0.9)                       # the 90 % smallest, over all layers
        lock = prune(model, (2, 4))                    # the 2 largest of every 4 stay
        for step in range(steps):                      # gradually
            share = cubic_sparsity(step, begin=0, end=steps, final=0.9)
            lock = prune(model, share, lock=lock)
        print(lock.report())
        lock.undo()                                    # the weights are back as they were

    Args:
        model: its weights are written.
        sparsity: share of entries to hold at zero, or `(n, m)`: n of every m neighbours stay.
        by: "magnitude", "random" or scores such as `movement_scores`.
        scope: the lowest of all layers ("global") or in each ("tensor").
        names: parameters to choose among; by default as in `choose_entries`.
        seed: for "random".
        lock: an earlier result for this model. Its entries stay pruned and count towards
            `sparsity`; the same lock is returned, grown.

    Raises:
        ValueError: as `choose_entries`; a sparsity below what `lock` holds already.
    """
    refuse_shards(model)
    first = lock.held if lock else None
    held = choose_to_prune(model, sparsity, by=by, scope=scope, names=names, seed=seed, first=first)
    if lock is None:
        return hold(model, held, at_zero=True)
    lock.change(held)
    return lock


def regrow(lock: Hold, fraction: float, *, by: str | Mapping[str, Tensor], seed: int = 0) -> Hold:
    """Free the `fraction` of held entries with the highest scores; they learn from zero on.

    By gradient, those entries grow that would reduce the loss fastest::

        loss = criterion(model(inputs), targets)
        slopes = {name: g.abs() for name, g in lock.gradients(loss).items()}
        regrow(lock, 0.1, by=slopes)

    Args:
        lock: of `prune` or `hold`; it shrinks.
        fraction: of what `lock` holds, from 0 to 1, over all parameters together.
        by: scores of the lock's parameters, or "random".
        seed: for "random".
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction is {fraction}: it is a share, from 0 to 1")
    held = lock.held
    free = {name: ~booleans for name, booleans in held.items()}
    total = sum(b.numel() for b in held.values())
    freed = sum(int(b.sum()) for b in free.values())
    share = (freed + fraction * (total - freed)) / total
    grown = _chosen(lock, share, by, seed, "highest", free)
    lock.change({name: booleans & ~grown[name] for name, booleans in held.items()})
    return lock


def rewire(lock: Hold, fraction: float, gradients: Mapping[str, Tensor]) -> Hold:
    """Move connections: drop the smallest free weights, grow as many by gradient (RigL).

    In each parameter the `fraction` of free entries with the smallest magnitude is pruned, and
    of those that were held before as many are freed, at zero, where the absolute gradient is
    largest; its sparsity stays as it is. RigL does so every 100 steps or so with a fraction
    that falls from 0.3 by half a cosine, until three quarters of training.

    Args:
        lock: of `prune`; the same one is returned.
        fraction: of the free entries in each parameter, from 0 to 1.
        gradients: of the loss, held entries included: `lock.gradients(loss)`.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction is {fraction}: it is a share, from 0 to 1")
    parameters = dict(lock.model.named_parameters())
    held = {}
    for name, before in lock.held.items():
        count = min(round(fraction * int((~before).sum())), int(before.sum()))
        size = parameters[name].detach().abs().masked_fill(before, torch.inf)
        slope = gradients[name].abs().masked_fill(~before, -1)
        dropped, grown = _extreme(-size, count), _extreme(slope, count)
        held[name] = (before | dropped) & ~grown
    lock.change(held)
    return lock


def fisher_lock(
    model: nn.Module, fisher: Mapping[str, Tensor], fraction: float, *, which: str
) -> Hold:
    """Hold the entries with the lowest, or the highest, Fisher information where they are.

    Lowest: what the network hardly uses stops, the rest goes on learning the *same* task. Highest:
    what an *old* task hangs on stops, while another task is learned; a hard form of
    `ewc_penalty`. The two are not to be confused: with the lowest locked, an old task is
    forgotten faster than with nothing locked.

    Args:
        model: the one whose entries stop.
        fisher: of `fisher_diagonal(model, data)`, on the task in question; parameters that it
            does not name stay free.
        fraction: share of all its entries to hold.
        which: "lowest" or "highest".
    """
    return hold(model, choose_entries(model, fraction, by=fisher, which=which))


def _chosen(
    lock: Hold, fraction: float, by: str | Mapping[str, Tensor], seed: int, which: str, first: Any
) -> dict[str, Tensor]:
    names = [*lock.held]
    scores = by if isinstance(by, str) else {name: by[name] for name in names}
    options: dict[str, Any] = {"by": scores, "which": which, "seed": seed, "first": first}
    return choose_entries(lock.model, fraction, names=names, **options)


def _extreme(scores: Tensor, count: int) -> Tensor:
    """Where the `count` highest scores are."""
    found = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
    found[scores.flatten().topk(count).indices] = True
    return found.view_as(scores)
