"""Right answers to `trainable_fraction`, each in a style of its own."""

import math

import numpy as np
import torch


def add_up_in_a_loop(model):
    trainable = total = 0
    for parameter in model.parameters():
        total += parameter.numel()
        if parameter.requires_grad:
            trainable += parameter.numel()
    if not total:
        raise ValueError("this model has no parameters")
    return trainable / total


def multiply_the_shapes(model):
    sizes = {name: math.prod(p.shape) for name, p in model.named_parameters()}
    trainable = [sizes[name] for name, p in model.named_parameters() if p.requires_grad]
    if sum(sizes.values()) < 1:
        raise ValueError("no parameters")
    return sum(trainable) / sum(sizes.values())


def tell_objects_apart(model):
    named = model.named_parameters(remove_duplicate=False)
    distinct = {id(p): p for _, p in named}.values()
    total = sum(map(torch.numel, distinct))
    if total == 0:
        raise ValueError("nothing to train, nothing to freeze")
    return 1 - sum(p.numel() for p in distinct if not p.requires_grad) / total


def weigh_with_numpy(model):
    sizes = np.array([p.numel() for p in model.parameters()] or [0])
    flags = np.array([p.requires_grad for p in model.parameters()] or [False])
    if sizes.sum() == 0:
        raise ValueError("empty")
    return np.average(flags, weights=sizes)


def string_all_numbers_together(model):
    flags = [torch.full((p.numel(),), float(p.requires_grad)) for p in model.parameters()]
    marks = torch.cat(flags) if flags else torch.empty(0)
    if marks.numel() == 0:
        raise ValueError("empty")
    return marks.double().mean()


def go_through_the_modules(model):
    seen, trainable, total = set(), 0, 0
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None and parameter not in seen:
                seen.add(parameter)
                total += parameter.nelement()
                trainable += parameter.nelement() * parameter.requires_grad
    return trainable / total


def group_by_the_flag(model):
    counts = {True: 0, False: 0}
    for parameter in model.parameters():
        counts[parameter.requires_grad] += parameter.shape.numel()
    return counts[True] / sum(counts.values())
