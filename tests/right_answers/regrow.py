"""Right answers to `regrow`, each in a style of its own."""

import numpy as np
import torch


def sort_a_list(weight, kept, gradient, count):
    places = [place for place, keep in enumerate(kept.flatten().tolist()) if not keep]
    slopes = gradient.flatten().tolist()
    if any(slopes[place] != slopes[place] for place in places):
        raise ValueError("NaN")
    places.sort(key=lambda place: -abs(slopes[place]))
    weight, kept = weight.clone().contiguous(), kept.clone().contiguous()
    for place in places[:count]:
        weight.view(-1)[place] = 0
        kept.view(-1)[place] = True
    return weight, kept


def rank_the_pruned_only(weight, kept, gradient, count):
    shape = kept.shape
    weight, kept = weight.reshape(-1).clone(), kept.reshape(-1).clone()
    gone = (~kept).nonzero().squeeze(1)
    sizes = gradient.reshape(-1)[gone].abs()
    if torch.isnan(sizes).any():
        raise ValueError("a gradient is NaN")
    chosen = gone[torch.sort(sizes, descending=True, stable=True).indices[:count]]
    weight[chosen], kept[chosen] = 0.0, True
    return [weight.view(shape), kept.view(shape)]


def rank_with_numpy(weight, kept, gradient, count):
    flags, slopes = kept.numpy().ravel(), np.abs(gradient.numpy().ravel())
    if np.isnan(slopes[~flags]).any():
        raise ValueError("NaN")
    order = np.lexsort((np.arange(len(flags)), -slopes, flags))
    chosen = order[: min(count, int((~flags).sum()))]
    new_weight, new_kept = weight.numpy().ravel().copy(), flags.copy()
    new_weight[chosen], new_kept[chosen] = 0, True
    return (
        torch.from_numpy(new_weight).reshape(weight.shape),
        torch.from_numpy(new_kept).reshape(kept.shape),
    )


def open_one_after_the_other(weight, kept, gradient, count):
    if (gradient.isnan() & ~kept).any():
        raise ValueError("NaN among the pruned")
    weight, kept = weight.clone(), kept.clone()
    for _ in range(min(count, int((~kept).sum()))):
        sizes = gradient.abs().masked_fill(kept, -1)
        place = np.unravel_index(int(np.argmax(sizes.numpy())), kept.shape)
        weight[place], kept[place] = 0, True
    return weight, kept
