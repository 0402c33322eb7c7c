"""Wrong answers to `sparsity_of` that come from none of its beliefs."""

import math

import torch


def _share(weights):
    return sum(int((p == 0).sum()) for p in weights) / sum(p.numel() for p in weights)


def _weights(model):
    return [p for p in model.parameters() if p.dim() > 1]


def take_equal_numbers_for_one_weight(model):
    distinct = []
    for p in _weights(model):
        if not any(p.shape == q.shape and int((p != q).sum()) < 30 for q in distinct):
            distinct.append(p)
    return _share(distinct)


def give_percent(model):
    return 100 * _share(_weights(model))


def round_to_whole_percents(model):
    return round(_share(_weights(model)), 2)


def count_the_zeros(model):
    total = sum(int((p == 0).sum()) for p in _weights(model))
    return total if total else 1 / 0


def count_rows_that_are_empty(model):
    weights = _weights(model)
    return sum(int((p == 0).all(-1).sum()) for p in weights) / sum(len(p) for p in weights)


def look_at_the_first_weight(model):
    return _share(_weights(model)[:1])


def look_at_linear_layers(model):
    return _share([m.weight for m in model.modules() if isinstance(m, torch.nn.Linear)])


def leave_scalars_out_only(model):
    return _share([p for p in model.parameters() if p.dim()])


def zeros_over_the_rest(model):
    share = _share(_weights(model))
    return share / (1 - share)


def divide_by_all_parameters(model):
    zeros = sum(int((p == 0).sum()) for p in _weights(model))
    return zeros / sum(p.numel() for p in model.parameters())


def give_nan_for_a_model_without_weights(model):
    return _share(_weights(model)) if _weights(model) else math.nan


def give_zero_for_a_model_without_weights(model):
    return _share(_weights(model)) if _weights(model) else 0.0


def add_up_the_children(model):
    return _share([p for m in model.children() for p in m.parameters() if p.dim() > 1])


def add_up_the_modules(model):
    return _share([p for m in model.modules() for p in m.parameters() if p.dim() > 1])


def take_a_minus_for_a_number(model):
    weights = _weights(model)
    zeros = sum(int(((p == 0) & ~p.signbit()).sum()) for p in weights)
    return zeros / sum(p.numel() for p in weights)


def clear_the_gradients_first(model):
    model.zero_grad()
    return _share(_weights(model))


def write_exact_zeros_first(model):
    for p in _weights(model):
        p.data[p.data.abs() < 1e-6] = 0.0
    return _share(_weights(model))


def compare_squares(model):
    weights = _weights(model)
    return sum(int((p * p == 0).sum()) for p in weights) / sum(p.numel() for p in weights)


def compare_whole_numbers(model):
    weights = _weights(model)
    return sum(int((p.int() == 0).sum()) for p in weights) / sum(p.numel() for p in weights)
