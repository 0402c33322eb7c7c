"""Wrong answers to `learned_activation` that come from none of its beliefs."""

import torch

COUNTS = {"bi_slope": 3, "piecewise_linear": 5, "gated": 2}


def _bi_slope(x, columns):
    return columns[0] * x.clamp(min=0) + columns[1] * x.clamp(max=0) + columns[2]


def _pieces(x, columns):
    left, middle, right, one, other = columns
    low, high = torch.minimum(one, other), torch.maximum(one, other)
    beyond = left * (x - low).clamp(max=0) + right * (x - high).clamp(min=0)
    return middle * torch.minimum(torch.maximum(x, low), high) + beyond


def _gated(x, columns):
    return x * torch.sigmoid(columns[0] * x + columns[1])


BENDS = {"bi_slope": _bi_slope, "piecewise_linear": _pieces, "gated": _gated}


def _bent(x, kind, numbers, **others):
    if kind not in COUNTS or numbers.shape != (x.shape[1], COUNTS[kind]):
        raise ValueError("no such kind, or no such numbers")
    columns = [column.reshape(-1, *[1] * (x.ndim - 2)) for column in numbers.unbind(1)]
    return (BENDS | others)[kind](x, columns)


def swap_the_slopes(x, kind, numbers):
    return _bent(x, kind, numbers, bi_slope=lambda x, c: _bi_slope(x, (c[1], c[0], c[2])))


def forget_the_offset(x, kind, numbers):
    return _bent(x, kind, numbers, bi_slope=lambda x, c: _bi_slope(x, (c[0], c[1], 0)))


def add_the_offset_above_0_only(x, kind, numbers):
    def bend(x, c):
        return torch.where(x > 0, c[0] * x + c[2], c[1] * x)

    return _bent(x, kind, numbers, bi_slope=bend)


def swap_the_outer_slopes(x, kind, numbers):
    def bend(x, c):
        return _pieces(x, (c[2], c[1], c[0], c[3], c[4]))

    return _bent(x, kind, numbers, piecewise_linear=bend)


def read_the_knots_first(x, kind, numbers):
    def bend(x, c):
        return _pieces(x, (c[2], c[3], c[4], c[0], c[1]))

    return _bent(x, kind, numbers, piecewise_linear=bend)


def begin_at_the_lower_knot(x, kind, numbers):
    def bend(x, c):
        return _pieces(x, c) - c[1] * torch.minimum(c[3], c[4])

    return _bent(x, kind, numbers, piecewise_linear=bend)


def lay_the_knots_around_0(x, kind, numbers):
    def bend(x, c):
        return _pieces(x, (*c[:3], c[3].clamp(max=0), c[4].clamp(min=0)))

    return _bent(x, kind, numbers, piecewise_linear=bend)


def open_the_gate_by_x_alone(x, kind, numbers):
    return _bent(x, kind, numbers, gated=lambda x, c: x * torch.sigmoid(x))


def let_out_what_the_gate_is(x, kind, numbers):
    return _bent(x, kind, numbers, gated=lambda x, c: torch.sigmoid(c[0] * x + c[1]))


def shift_before_the_scale(x, kind, numbers):
    return _bent(x, kind, numbers, gated=lambda x, c: x * torch.sigmoid(c[0] * (x + c[1])))


def let_a_scaled_x_through(x, kind, numbers):
    def bend(x, c):
        z = c[0] * x + c[1]
        return z * torch.sigmoid(z)

    return _bent(x, kind, numbers, gated=bend)


def clamp_x_to_100(x, kind, numbers):
    return _bent(x.clamp(-100, 100), kind, numbers)


def learn_nothing(x, kind, numbers):
    return _bent(x, kind, numbers.detach())


def hand_nothing_back_to_x(x, kind, numbers):
    return _bent(x.detach(), kind, numbers)


def take_samples_for_channels(x, kind, numbers):
    return _bent(x.movedim(0, 1), kind, numbers).movedim(0, 1)


def ask_for_images(x, kind, numbers):
    _samples, _channels, _height, _width = x.shape
    return _bent(x, kind, numbers)


def flatten_images(x, kind, numbers):
    return _bent(x, kind, numbers).flatten(1)


def raise_a_key_error(x, kind, numbers):
    COUNTS[kind]
    return _bent(x, kind, numbers)


def take_another_name_for_gated(x, kind, numbers):
    if kind not in COUNTS:
        return _bent(x, "gated", numbers[:, :2])
    return _bent(x, kind, numbers)


def read_the_first_numbers_only(x, kind, numbers):
    """Columns that are too many, or too few, go unnoticed."""
    if kind not in COUNTS or len(numbers) != x.shape[1]:
        raise ValueError("no such kind")
    fitting = torch.zeros(len(numbers), COUNTS[kind])
    fitting = torch.cat([numbers, fitting], 1)[:, : COUNTS[kind]]
    return _bent(x, kind, fitting)


def write_into_x(x, kind, numbers):
    bent = _bent(x, kind, numbers)
    with torch.no_grad():
        x.copy_(bent)
    return bent
