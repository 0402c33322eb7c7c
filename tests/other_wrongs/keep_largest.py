"""Wrong answers to `keep_largest` that come from none of its beliefs."""

import math

import torch


def _chosen(tensors, sparsity, everywhere, size=torch.abs, count=round, flags=None, check=True):
    finite = all(tensor.isfinite().all() for tensor in tensors.values())
    if check and not (finite and 0 <= sparsity <= 1):
        raise ValueError("cannot rank")
    kept = {}
    for names in [list(tensors)] if everywhere else [[name] for name in tensors]:
        sizes = torch.cat([size(tensors[n].detach()).flatten() for n in names])
        keep = torch.ones(len(sizes), dtype=torch.bool)
        keep[sizes.argsort()[: count(sparsity * len(sizes))]] = False
        keep = flags(sizes, keep) if flags else keep
        for name in names:
            kept[name] = keep[: tensors[name].numel()].view_as(tensors[name])
            keep = keep[tensors[name].numel() :]
    return kept


def count_upwards(tensors, sparsity, everywhere):
    return _chosen(tensors, sparsity, everywhere, count=math.ceil)


def prune_one_at_least(tensors, sparsity, everywhere):
    return _chosen(tensors, sparsity, everywhere, count=lambda share: max(1, round(share)))


def prune_the_largest(tensors, sparsity, everywhere):
    return _chosen(tensors, sparsity, everywhere, size=lambda tensor: -tensor.abs())


def return_numbers(tensors, sparsity, everywhere):
    kept = _chosen(tensors, sparsity, everywhere)
    return {name: keep.float() for name, keep in kept.items()}


def return_the_pruned_weights(tensors, sparsity, everywhere):
    kept = _chosen(tensors, sparsity, everywhere)
    return {name: keep * tensors[name] for name, keep in kept.items()}


def choose_at_random(tensors, sparsity, everywhere):
    generator = torch.Generator().manual_seed(0)
    return _chosen(
        tensors,
        sparsity,
        everywhere,
        size=lambda tensor: torch.rand(tensor.shape, generator=generator),
    )


def take_a_quantile(tensors, sparsity, everywhere):
    def flags(sizes, keep):
        return sizes.double() > sizes.double().quantile(sparsity) if len(sizes) else keep

    return _chosen(tensors, sparsity, everywhere, flags=flags)


def choose_whole_rows(tensors, sparsity, everywhere):
    def size(tensor):
        if tensor.dim() < 2 or not tensor.numel():
            return tensor.abs()
        return tensor.abs().flatten(1).mean(1).view(-1, *[1] * (tensor.dim() - 1)).expand_as(tensor)

    return _chosen(tensors, sparsity, everywhere, size=size)


def scale_each_tensor_first(tensors, sparsity, everywhere):
    """As if layers were compared by their own spread."""
    return _chosen(
        tensors,
        sparsity,
        everywhere,
        size=lambda t: t.abs() / t.abs().mean().clamp(min=1e-300) if t.numel() else t,
    )


def keep_a_weight_in_each_tensor(tensors, sparsity, everywhere):
    kept = _chosen(tensors, sparsity, everywhere)
    for name, keep in kept.items():
        if keep.numel() and not keep.any():
            keep.view(-1)[tensors[name].detach().abs().argmax()] = True
    return kept


def write_zeros_into_the_weights(tensors, sparsity, everywhere):
    kept = _chosen(tensors, sparsity, everywhere)
    for name, keep in kept.items():
        tensors[name].data[~keep] = 0
    return kept


def detach_in_place(tensors, sparsity, everywhere):
    return _chosen({n: t.detach_() for n, t in tensors.items()}, sparsity, everywhere)


def count_percents(tensors, sparsity, everywhere):
    return _chosen(tensors, sparsity, everywhere, count=lambda share: round(share / 100))


def refuse_a_share_of_one(tensors, sparsity, everywhere):
    if sparsity == 1:
        raise ValueError("nothing would be left")
    return _chosen(tensors, sparsity, everywhere)


def move_a_share_into_its_range(tensors, sparsity, everywhere):
    if math.isnan(sparsity):
        raise ValueError("NaN")
    return _chosen(tensors, min(1.0, max(0.0, sparsity)), everywhere)


def compare_in_single_precision(tensors, sparsity, everywhere):
    return _chosen(tensors, sparsity, everywhere, size=lambda tensor: tensor.float().abs())


def take_infinity_for_a_large_number(tensors, sparsity, everywhere):
    if not 0 <= sparsity <= 1 or any(tensor.isnan().any() for tensor in tensors.values()):
        raise ValueError("NaN, or no share")
    return _chosen(tensors, sparsity, everywhere, check=False)


def ask_whether_the_sum_is_finite(tensors, sparsity, everywhere):
    """A sum of finite numbers may overflow."""
    if not all(math.isfinite(tensor.detach().sum()) for tensor in tensors.values()):
        raise ValueError("cannot rank")
    return _chosen(tensors, sparsity, everywhere)


def round_halves_up(tensors, sparsity, everywhere):
    return _chosen(tensors, sparsity, everywhere, count=lambda share: math.floor(share + 0.5))


def round_what_stays(tensors, sparsity, everywhere):
    """At a half the nearest whole numbers of both parts are even."""

    def flags(sizes, keep):
        stays = torch.zeros_like(keep)
        stays[sizes.argsort(descending=True)[: round((1 - sparsity) * len(sizes))]] = True
        return stays

    return _chosen(tensors, sparsity, everywhere, flags=flags)


def compare_in_half_precision(tensors, sparsity, everywhere):
    return _chosen(tensors, sparsity, everywhere, size=lambda tensor: tensor.half().abs())
