"""Wrong answers to `cache_features` that come from none of its beliefs."""

import copy

import torch


def _check(body):
    if any(p.requires_grad for p in body.parameters()):
        raise ValueError("trains")
    if any(m.training for m in body.modules()):
        raise ValueError("train mode")


def _pairs(batches):
    pairs = [*batches]
    if any(not x.equal(z) for (x, _), (z, _) in zip(pairs, batches, strict=True)):
        raise ValueError("augmented")
    return pairs


def check_nothing(body, batches):
    with torch.no_grad():
        return [(body(x), y) for x, y in batches]


def return_the_features_alone(body, batches):
    _check(body)
    return [body(x) for x, _ in _pairs(batches)]


def join_all_batches(body, batches):
    _check(body)
    pairs = _pairs(batches)
    if not pairs:
        return []
    return [(torch.cat([body(x) for x, _ in pairs]), torch.cat([y for _, y in pairs]))]


def keep_the_inputs(body, batches):
    _check(body)
    return [(x, y) for x, y in _pairs(batches)]


def keep_the_last_features_only(body, batches):
    _check(body)
    pairs = _pairs(batches)
    if not pairs:
        return []
    features = body(pairs[-1][0])
    return [(features, y) for _, y in pairs]


def shift_the_targets(body, batches):
    _check(body)
    pairs = _pairs(batches)
    targets = [y for _, y in pairs]
    return [(body(x), y) for (x, _), y in zip(pairs, targets[1:] + targets[:1], strict=True)]


def normalise_the_features(body, batches):
    _check(body)
    found = [(body(x), y) for x, y in _pairs(batches)]
    return [(f / f.norm(dim=1, keepdim=True), y) for f, y in found]


def drop_a_small_last_batch(body, batches):
    _check(body)
    pairs = _pairs(batches)
    return [(body(x), y) for x, y in pairs if len(x) > 1]


def compute_each_time_the_batches_are_compared(body, batches):
    _check(body)
    first = [(body(x), y) for x, y in batches]
    second = [(body(x), y) for x, y in batches]
    if any(not f.equal(g) for (f, _), (g, _) in zip(first, second, strict=True)):
        raise ValueError("features change")
    return first


def refuse_with_a_runtime_error(body, batches):
    try:
        _check(body)
        pairs = _pairs(batches)
    except ValueError as error:
        raise RuntimeError(str(error)) from error
    return [(body(x), y) for x, y in pairs]


def return_nothing_in_place_of_an_error(body, batches):
    try:
        _check(body)
        pairs = _pairs(batches)
    except ValueError:
        return []
    return [(body(x), y) for x, y in pairs]


def refuse_no_batches(body, batches):
    _check(body)
    pairs = _pairs(batches)
    if not pairs:
        raise ValueError("no batches")
    return [(body(x), y) for x, y in pairs]


def leave_the_body_in_train_mode(body, batches):
    _check(body)
    pairs = [(body(x), y) for x, y in _pairs(batches)]
    body.train()
    return pairs


def look_at_weights_only(body, batches):
    if any(p.requires_grad for p in body.parameters() if p.ndim > 1):
        raise ValueError("trains")
    if any(m.training for m in body.modules()):
        raise ValueError("train mode")
    return [(body(x), y) for x, y in _pairs(batches)]


def ask_whether_everything_trains(body, batches):
    if all(p.requires_grad for p in body.parameters()):
        raise ValueError("trains")
    if any(m.training for m in body.modules()):
        raise ValueError("train mode")
    return [(body(x), y) for x, y in _pairs(batches)]


def freeze_a_copy(body, batches):
    """The caller's body goes on training, away from its features."""
    body = copy.deepcopy(body).requires_grad_(False).eval()
    return [(body(x), y) for x, y in _pairs(batches)]


def wake_it_for_the_pass(body, batches):
    _check(body)
    body.train()
    pairs = [(body(x), y) for x, y in _pairs(batches)]
    body.eval()
    return pairs


def compare_the_first_batch_only(body, batches):
    _check(body)
    pairs = [*batches]
    for (x, _), (z, _) in zip(pairs[:1], batches, strict=False):
        if not x.equal(z):
            raise ValueError("augmented")
    return [(body(x), y) for x, y in pairs]
