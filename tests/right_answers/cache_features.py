"""Right answers to `cache_features`, each in a style of its own."""

import torch


def check_everything_then_loop(body, batches):
    trainable = [name for name, p in body.named_parameters() if p.requires_grad]
    awake = [name for name, module in body.named_modules() if module.training]
    if trainable or awake:
        raise ValueError(f"not fixed: {trainable + awake}")
    first, second = list(batches), list(batches)
    for (x, _), (z, _) in zip(first, second, strict=True):
        if (x != z).any():
            raise ValueError("augmented")
    cache = []
    with torch.inference_mode():
        for x, y in first:
            cache.append((body(x), y))
    return cache


def compute_in_one_pass_and_compare(body, batches):
    """The inputs are compared when the features are there already."""
    for parameter in body.parameters():
        if parameter.requires_grad:
            raise ValueError("a parameter of the body is trainable")
    for module in body.modules():
        if module.training:
            raise ValueError("a module of the body is in train mode")
    inputs, pairs = [], []
    for x, y in batches:
        inputs.append(x)
        pairs.append((body(x).detach(), y))
    if any(not torch.equal(x, z) for x, (z, _) in zip(inputs, batches, strict=True)):
        raise ValueError("the inputs are not the same twice")
    return pairs


def pass_all_samples_at_once(body, batches):
    pairs = [(x, y) for x, y in batches]
    changes = [not torch.equal(x, again[0]) for (x, _), again in zip(pairs, batches, strict=True)]
    flags = [p.requires_grad for p in body.parameters()] + [m.training for m in body.modules()]
    if any(changes) or any(flags):
        raise ValueError("features would change")
    if not pairs:
        return []
    with torch.no_grad():
        features = body(torch.cat([x for x, _ in pairs]))
    parts = features.split([len(x) for x, _ in pairs])
    return [[part, y] for part, (_, y) in zip(parts, pairs, strict=True)]


def count_what_is_not_fixed(body, batches):
    loose = sum(p.requires_grad for p in body.parameters())
    loose += sum(m.training for m in body.modules())
    kept = [x.clone() for x, _ in batches]
    loose += sum(int((x - old).abs().sum() > 0) for (x, _), old in zip(batches, kept, strict=True))
    if loose:
        raise ValueError(f"{loose} things are not fixed")
    return [(body(x), y) for x, (_, y) in zip(kept, batches, strict=True)]
