"""Right answers to `sparsity_of`, each in a style of its own."""

import math

import numpy as np
import torch


def string_all_weights_together(model):
    weights = [p.detach().flatten() for p in model.parameters() if p.dim() >= 2]
    if not weights:
        raise ValueError("this model has no weights")
    return (torch.cat(weights) == 0).double().mean()


def count_what_is_not_zero(model):
    weights = [p for p in model.parameters() if p.ndim not in (0, 1)]
    return 1 - sum(int(torch.count_nonzero(p)) for p in weights) / sum(p.numel() for p in weights)


def tell_objects_apart(model):
    named = model.named_parameters(remove_duplicate=False)
    distinct = {id(p): p for _, p in named if len(p.shape) > 1}.values()
    total = sum(math.prod(p.shape) for p in distinct)
    if total == 0:
        raise ValueError("nothing to prune")
    return sum((p.data == 0).sum().item() for p in distinct) / total


def go_through_the_modules(model):
    seen, zeros, total = set(), 0, 0
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None and parameter.dim() > 1 and parameter not in seen:
                seen.add(parameter)
                zeros += sum(value == 0 for value in parameter.flatten().tolist())
                total += parameter.nelement()
    return zeros / total


def weigh_with_numpy(model):
    arrays = [p.detach().numpy() for p in model.parameters() if p.dim() > 1]
    if not arrays:
        raise ZeroDivisionError("no weights")
    return np.average([(a == 0).mean() for a in arrays], weights=[a.size for a in arrays])
