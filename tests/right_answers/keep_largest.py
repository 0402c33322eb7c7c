"""Right answers to `keep_largest`, each in a style of its own."""

import numpy as np
import torch


def _check(tensors, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is {sparsity}")
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise ValueError("NaN or infinity among the weights")


def take_the_largest_with_topk(tensors, sparsity, everywhere):
    _check(tensors, sparsity)

    def flags(sizes):
        stay = len(sizes) - round(sparsity * len(sizes))
        return torch.zeros(len(sizes), dtype=torch.bool).index_fill(
            0, sizes.topk(stay).indices, True
        )

    rows = {name: tensor.detach().abs().reshape(-1) for name, tensor in tensors.items()}
    if everywhere:
        parts = flags(torch.cat([*rows.values()])).split([len(row) for row in rows.values()])
    else:
        parts = [flags(row) for row in rows.values()]
    return {name: part.reshape(tensors[name].shape) for name, part in zip(rows, parts, strict=True)}


def sort_a_list_of_places(tensors, sparsity, everywhere):
    _check(tensors, sparsity)
    kept = {name: torch.ones(tensor.shape, dtype=torch.bool) for name, tensor in tensors.items()}
    places = [
        (abs(value), name, place)
        for name, tensor in tensors.items()
        for place, value in enumerate(tensor.flatten().tolist())
    ]
    for names in [set(tensors)] if everywhere else [{name} for name in tensors]:
        row = sorted(entry for entry in places if entry[1] in names)
        for _, name, place in row[: round(sparsity * len(row))]:
            kept[name].view(-1)[place] = False
    return kept


def rank_with_numpy(tensors, sparsity, everywhere):
    _check(tensors, sparsity)
    arrays = {n: np.abs(t.detach().numpy().astype(np.float64)) for n, t in tensors.items()}
    row = np.concatenate([array.ravel() for array in arrays.values()])
    group = np.repeat(np.arange(len(arrays)), [array.size for array in arrays.values()])
    order = np.argsort(row) if everywhere else np.lexsort((row, group))
    gone = np.zeros(len(row), bool)
    start = 0
    for size in [len(row)] if everywhere else [array.size for array in arrays.values()]:
        gone[order[start : start + round(sparsity * size)]] = True
        start += size
    kept, start = {}, 0
    for name, array in arrays.items():
        part = ~gone[start : start + array.size]
        kept[name] = torch.from_numpy(part.reshape(array.shape))
        start += array.size
    return kept


def threshold_and_then_count_the_ties(tensors, sparsity, everywhere):
    _check(tensors, sparsity)
    kept = {}
    for names in [list(tensors)] if everywhere else [[name] for name in tensors]:
        sizes = torch.cat([tensors[n].detach().abs().flatten().double() for n in names])
        count = round(sparsity * len(sizes))
        keep = torch.ones(len(sizes), dtype=torch.bool)
        if count:
            edge = sizes.kthvalue(count).values
            keep = sizes > edge
            equal = (sizes == edge).nonzero().flatten()
            keep[equal[count - int((sizes < edge).sum()) :]] = True
        for name in names:
            kept[name], keep = (
                keep[: tensors[name].numel()].view_as(tensors[name]),
                keep[tensors[name].numel() :],
            )
    return {name: kept[name] for name in tensors}
