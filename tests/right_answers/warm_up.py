"""Right answers to `warm_up`, each in a style of its own."""

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


def decide_by_count(optimizer, warmup, total):
    def share(count):
        update = count + 1
        if update <= warmup:
            return update / warmup
        if update <= total:
            return 1 - (update - warmup) / (total + 1 - warmup)
        return 0.0

    return LambdaLR(optimizer, share)


def interpolate(optimizer, warmup, total):
    return LambdaLR(
        optimizer,
        lambda count: float(np.interp(count + 1, [0, warmup, total + 1], [0.0, 1.0, 0.0])),
    )


def write_a_table(optimizer, warmup, total):
    rise = [k / warmup for k in range(1, warmup + 1)]
    left = total - warmup
    fall = [j / (left + 1) for j in range(left, 0, -1)]
    table = dict(enumerate(rise + fall))
    return LambdaLR(optimizer, lambda count: table.get(count, 0.0))


class _Trapezoid(LRScheduler):
    def __init__(self, optimizer, warmup, total):
        self.warmup, self.total = warmup, total
        super().__init__(optimizer)

    def get_lr(self):
        k = self.last_epoch + 1
        fall = (self.total + 1 - k) / (self.total + 1 - self.warmup)
        share = max(0.0, min(1.0, k / self.warmup, fall))
        return [peak * share for peak in self.base_lrs]


def write_a_class(optimizer, warmup, total):
    return _Trapezoid(optimizer, warmup, total)


class _Plain:
    """No scheduler of torch's: all that is asked for is step()."""

    def __init__(self, optimizer, share):
        self.optimizer, self.share, self.count = optimizer, share, 0
        self.peaks = [group["lr"] for group in optimizer.param_groups]
        self._set()

    def _set(self):
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * self.share(self.count)

    def step(self):
        self.count += 1
        self._set()


def do_without_torch(optimizer, warmup, total):
    return _Plain(
        optimizer,
        lambda n: max(0.0, min((n + 1) / warmup, (total - n) / (total - warmup + 1))),
    )


def join_ready_parts(optimizer, warmup, total):
    lr = torch.optim.lr_scheduler
    if warmup == 1:
        return lr.LinearLR(optimizer, 1.0, 0.0, total_iters=total)
    up = lr.LinearLR(optimizer, 1 / warmup, 1.0, total_iters=warmup - 1)
    down = lr.LinearLR(optimizer, 1.0, 0.0, total_iters=total + 1 - warmup)
    return lr.SequentialLR(optimizer, [up, down], [warmup - 1])
