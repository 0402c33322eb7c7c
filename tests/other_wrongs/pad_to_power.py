"""Wrong answers to `pad_to_power` that come from none of its beliefs."""

import torch
from torch.nn import functional as F


def _width(n, most):
    if most < 1:
        raise ValueError(most)
    return min(1 << (n - 1).bit_length(), 1 << (most.bit_length() - 1))


def _brought(x, width):
    return F.pad(x, (0, width - x.shape[-1]))


def fill_up_to_most(x, most):
    _width(1, most)
    return _brought(x, 1 << (most.bit_length() - 1))


def fill_up_to_an_even_width(x, most):
    n = x.shape[-1]
    return _brought(x, min(n + n % 2, _width(n, most) if n > most else n + n % 2))


def always_fill_up_to_1024(x, most):
    _width(1, most)
    return _brought(x, min(1024, 1 << (most.bit_length() - 1)))


def fill_up_with_ones(x, most):
    width = _width(x.shape[-1], most)
    filled = x.new_ones((*x.shape[:-1], width))
    filled[..., : x.shape[-1]] = x[..., :width]
    return filled


def fill_up_with_the_last_entry(x, most):
    width = _width(x.shape[-1], most)
    more = max(0, width - x.shape[-1])
    last = x[..., -1:].expand(*x.shape[:-1], more)
    return torch.cat([x[..., :width], last], -1)


def bring_the_first_axis(x, most):
    width = _width(x.shape[0] or 1, most)
    return _brought(x.movedim(0, -1), width).movedim(-1, 0)


def cut_below_what_fits(x, most):
    """A power that just fits is halved."""
    n = x.shape[-1]
    width = _width(n, most)
    return _brought(x, width // 2 if width == most > 1 else width)


def never_cut(x, most):
    _width(1, most)
    n = x.shape[-1]
    return _brought(x, 1 << (n - 1).bit_length())


def refuse_a_width_of_1(x, most):
    if most < 2:
        raise ValueError(most)
    return _brought(x, _width(x.shape[-1], most))


def take_no_width_for_1(x, most):
    return _brought(x, _width(x.shape[-1], max(1, most)))


def return_nothing_for_no_width(x, most):
    if most < 1:
        return x[..., :0]
    return _brought(x, _width(x.shape[-1], most))


def assert_that_there_is_room(x, most):
    assert most > 0
    return _brought(x, _width(x.shape[-1], most))


def hand_nothing_back(x, most):
    return _brought(x, _width(x.shape[-1], most)).detach()


def answer_in_float32(x, most):
    return _brought(x, _width(x.shape[-1], most)).float()


def answer_in_numpy(x, most):
    return _brought(x, _width(x.shape[-1], most)).detach().numpy()


def make_every_row_one(x, most):
    return _brought(x, _width(x.shape[-1], most)).flatten()


def clear_what_was_given(x, most):
    brought = _brought(x, _width(x.shape[-1], most)).clone()
    with torch.no_grad():
        x.zero_()
    return brought


def spread_the_entries(x, most):
    n = x.shape[-1]
    width = _width(n, most)
    spread = x.new_zeros((*x.shape[:-1], width))
    places = (torch.arange(min(n, width)) * width) // max(1, min(n, width))
    spread[..., places] = x[..., : len(places)]
    return spread


def put_the_zeros_in_front(x, most):
    width, n = _width(x.shape[-1], most), x.shape[-1]
    return F.pad(x, (width - n, 0)) if width > n else x[..., :width]


def refuse_what_does_not_fit(x, most):
    n = x.shape[-1]
    if 1 << (n - 1).bit_length() > most:
        raise ValueError("too wide")
    return _brought(x, _width(n, most))
