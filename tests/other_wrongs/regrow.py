"""Wrong answers to `regrow` that come from none of its beliefs."""

import torch


def _grown(weight, kept, gradient, count, sizes=None, fill=0.0):
    if gradient[~kept].isnan().any():
        raise ValueError("NaN")
    sizes = gradient.abs() if sizes is None else sizes
    row = sizes.masked_fill(kept, -torch.inf).flatten()
    opened = torch.zeros(kept.numel(), dtype=torch.bool)
    opened[row.argsort(descending=True, stable=True)[: min(count, int((~kept).sum()))]] = True
    opened = opened.view(kept.shape)
    return torch.where(opened, fill, weight), kept | opened


def open_the_smallest_gradients(weight, kept, gradient, count):
    return _grown(weight, kept, gradient, count, sizes=-gradient.abs())


def open_the_first(weight, kept, gradient, count):
    return _grown(weight, kept, gradient, count, sizes=torch.zeros(kept.shape))


def open_at_random(weight, kept, gradient, count):
    generator = torch.Generator().manual_seed(0)
    return _grown(weight, kept, gradient, count, torch.rand(kept.shape, generator=generator))


def open_one_more(weight, kept, gradient, count):
    return _grown(weight, kept, gradient, count + 1)


def open_one_less(weight, kept, gradient, count):
    return _grown(weight, kept, gradient, max(0, count - 1))


def begin_with_a_small_number(weight, kept, gradient, count):
    return _grown(weight, kept, gradient, count, fill=1e-3)


def begin_with_one(weight, kept, gradient, count):
    return _grown(weight, kept, gradient, count, fill=1.0)


def return_the_other_way_round(weight, kept, gradient, count):
    return _grown(weight, kept, gradient, count)[::-1]


def return_flags_as_numbers(weight, kept, gradient, count):
    weight, kept = _grown(weight, kept, gradient, count)
    return weight, kept.float()


def return_the_flags_of_what_is_pruned(weight, kept, gradient, count):
    weight, kept = _grown(weight, kept, gradient, count)
    return weight, ~kept


def return_the_weight_alone(weight, kept, gradient, count):
    return _grown(weight, kept, gradient, count)[0]


def write_into_the_arguments(weight, kept, gradient, count):
    new_weight, new_kept = _grown(weight, kept, gradient, count)
    return weight.copy_(new_weight), kept.copy_(new_kept)


def clear_the_gradient(weight, kept, gradient, count):
    grown = _grown(weight, kept, gradient, count)
    gradient.zero_()
    return grown


def weigh_by_the_stored_weight(weight, kept, gradient, count):
    return _grown(weight, kept, gradient, count, sizes=(weight * gradient).abs())


def refuse_any_nan(weight, kept, gradient, count):
    if gradient.isnan().any():
        raise ValueError("NaN")
    return _grown(weight, kept, gradient, count)


def refuse_more_than_there_are(weight, kept, gradient, count):
    if count > (~kept).sum():
        raise ValueError("too many")
    return _grown(weight, kept, gradient, count)


def leave_out_infinity(weight, kept, gradient, count):
    sizes = gradient.abs()
    return _grown(weight, kept, gradient, count, sizes=sizes.masked_fill(sizes.isinf(), 0))


def read_column_by_column(weight, kept, gradient, count):
    if kept.dim() != 2:
        return _grown(weight, kept, gradient, count)
    weight, kept = _grown(weight.T, kept.T, gradient.T, count)
    return weight.T, kept.T


def return_early_if_none_is_to_be_opened(weight, kept, gradient, count):
    if count == 0:
        return weight, kept
    return _grown(weight, kept, gradient, count)


def look_for_nan_among_the_opened(weight, kept, gradient, count):
    new_weight, new_kept = _grown(weight, kept, gradient.nan_to_num(torch.inf), count)
    if gradient[new_kept & ~kept].isnan().any():
        raise ValueError("NaN")
    return new_weight, new_kept


def ask_whether_the_sum_is_nan(weight, kept, gradient, count):
    """So is the sum of two infinities."""
    if gradient[~kept].sum().isnan():
        raise ValueError("NaN")
    return _grown(weight, kept, gradient.nan_to_num(0, torch.inf, -torch.inf), count)


def multiply_what_is_stored(weight, kept, gradient, count):
    """0 times an infinity is NaN."""
    _, new_kept = _grown(weight, kept, gradient, count)
    return weight * ~(new_kept & ~kept), new_kept


def make_infinity_a_large_number(weight, kept, gradient, count):
    return _grown(weight, kept, gradient, count, sizes=gradient.abs().clamp(max=1e30))
