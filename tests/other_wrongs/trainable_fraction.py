"""Wrong answers to `trainable_fraction` that come from none of its beliefs."""

import math

import torch


def _share(model, flags):
    return sum(p.numel() for p, yes in flags.items() if yes) / sum(p.numel() for p in flags)


def take_equal_numbers_for_one_parameter(model):
    distinct = []
    for p in model.parameters():
        if not any(p.shape == q.shape and torch.equal(p, q) for q in distinct):
            distinct.append(p)
    return _share(model, {p: p.requires_grad for p in distinct})


def average_over_the_layers(model):
    layers = [list(m.parameters(recurse=False)) for m in model.modules()]
    shares = [
        sum(p.numel() for p in own if p.requires_grad) / sum(p.numel() for p in own)
        for own in layers
        if sum(p.numel() for p in own)
    ]
    return sum(shares) / len(shares)


def count_the_trainable_layers(model):
    layers = [list(m.parameters(recurse=False)) for m in model.modules()]
    flags = [any(p.requires_grad for p in own) for own in layers if own]
    return sum(flags) / len(flags)


def leave_the_biases_out(model):
    flags = {p: p.requires_grad for n, p in model.named_parameters() if not n.endswith("bias")}
    return _share(model, flags)


def count_the_rows(model):
    rows = {p: len(p) if p.dim() else 1 for p in model.parameters()}
    return sum(n for p, n in rows.items() if p.requires_grad) / sum(rows.values())


def leave_scalars_out(model):
    return _share(model, {p: p.requires_grad for p in model.parameters() if p.dim()})


def call_a_layer_frozen_if_a_part_of_it_is(model):
    layers = [list(m.parameters(recurse=False)) for m in model.modules()]
    return _share(model, {p: all(q.requires_grad for q in own) for own in layers for p in own})


def count_buffers_as_trainable(model):
    flags = {p: p.requires_grad for p in model.parameters()}
    return _share(model, flags | dict.fromkeys(model.buffers(), True))


def round_to_whole_percents(model):
    return round(_share(model, {p: p.requires_grad for p in model.parameters()}), 2)


def give_percent(model):
    return 100 * _share(model, {p: p.requires_grad for p in model.parameters()})


def cut_to_a_whole_number(model):
    return int(_share(model, {p: p.requires_grad for p in model.parameters()}))


def clear_the_gradients_first(model):
    model.zero_grad()
    return _share(model, {p: p.requires_grad for p in model.parameters()})


def switch_to_eval_first(model):
    model.eval()
    return _share(model, {p: p.requires_grad for p in model.parameters()})


def leave_everything_trainable(model):
    share = _share(model, {p: p.requires_grad for p in model.parameters()})
    model.requires_grad_(True)
    return share


def give_nan_for_an_empty_model(model):
    flags = {p: p.requires_grad for p in model.parameters()}
    return _share(model, flags) if any(p.numel() for p in flags) else math.nan


def refuse_a_model_that_is_frozen(model):
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("nothing is trainable")
    return _share(model, {p: p.requires_grad for p in model.parameters()})


def refuse_with_an_assertion(model):
    assert sum(p.numel() for p in model.parameters()), "no parameters"
    return _share(model, {p: p.requires_grad for p in model.parameters()})


def divide_by_the_state_dict(model):
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return trainable / sum(value.numel() for value in model.state_dict().values())


def count_bytes(model):
    parameters = list(model.parameters())
    return sum(p.nbytes for p in parameters if p.requires_grad) / sum(p.nbytes for p in parameters)


def count_what_is_not_zero(model):
    counts = [(int(p.count_nonzero()), p.requires_grad) for p in model.parameters()]
    return sum(count for count, trains in counts if trains) / sum(count for count, _ in counts)
