"""Wrong answers to `warm_up` that come from none of its beliefs."""

import math

from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR


def _share(count, warmup, total):
    rise, fall = (count + 1) / warmup, (total - count) / (total + 1 - warmup)
    return max(0, min(rise, fall))


def _with(optimizer, share):
    return LambdaLR(optimizer, share)


def fall_like_a_cosine(optimizer, warmup, total):
    def share(count):
        if count < warmup:
            return (count + 1) / warmup
        gone = min(1, (count + 1 - warmup) / (total + 1 - warmup))
        return (1 + math.cos(math.pi * gone)) / 2

    return _with(optimizer, share)


def take_ready_cosine(optimizer, warmup, total):
    return CosineAnnealingLR(optimizer, total)


def fall_one_update_too_slowly(optimizer, warmup, total):
    def share(count):
        fall = (total + 1 - count) / (total + 2 - warmup)
        return max(0, min((count + 1) / warmup, fall))

    return _with(optimizer, share)


def stay_at_the_peak_for_one_more(optimizer, warmup, total):
    def share(count):
        if count < warmup:
            return (count + 1) / warmup
        return max(0, (total - count) / (total - warmup))

    return _with(optimizer, share)


def stop_at_a_small_rate(optimizer, warmup, total):
    return _with(optimizer, lambda count: max(0.01, _share(count, warmup, total)))


def begin_again_at_the_end(optimizer, warmup, total):
    return _with(optimizer, lambda count: _share(count % total, warmup, total))


def go_up_at_once(optimizer, warmup, total):
    return _with(
        optimizer,
        lambda count: max(0, min(1, (total - count) / (total + 1 - warmup))),
    )


def swap_the_two_counts(optimizer, warmup, total):
    return _with(optimizer, lambda count: _share(count, total, warmup + total))


def return_the_optimizer(optimizer, warmup, total):
    _with(optimizer, lambda count: _share(count, warmup, total))
    return optimizer


def warm_up_the_first_group_alone(optimizer, warmup, total):
    rest = [lambda count: 1.0] * (len(optimizer.param_groups) - 1)
    return _with(optimizer, [lambda count: _share(count, warmup, total), *rest])


def give_all_groups_the_largest_rate(optimizer, warmup, total):
    largest = max(group["lr"] for group in optimizer.param_groups)
    for group in optimizer.param_groups:
        group["lr"] = largest
    return _with(optimizer, lambda count: _share(count, warmup, total))


def clear_the_gradients(optimizer, warmup, total):
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad.zero_()
    return _with(optimizer, lambda count: _share(count, warmup, total))


def square_the_rise(optimizer, warmup, total):
    return _with(
        optimizer,
        lambda count: _share(count, warmup, total) * min(1, (count + 1) / warmup),
    )


def round_the_share(optimizer, warmup, total):
    return _with(optimizer, lambda count: round(_share(count, warmup, total), 1))


def quiet_the_optimizer(optimizer, warmup, total):
    """Momentum and decay are switched off for a warm-up, and never on again."""
    for group in optimizer.param_groups:
        group |= {"weight_decay": 0.1, **({"momentum": 0.5} if "momentum" in group else {})}
    return _with(optimizer, lambda count: _share(count, warmup, total))
