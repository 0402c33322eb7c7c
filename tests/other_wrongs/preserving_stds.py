"""Wrong answers to `preserving_stds` that come from none of its beliefs."""

import math

import numpy as np
import torch


def _slopes(activation, z):
    return torch.func.grad(lambda values: activation(values).sum())(z)


def _mean_squares(activation, z):
    """Those of z, of the outputs and of the slopes."""
    values = (z, activation(z), _slopes(activation, z))
    return tuple(one.square().mean().item() for one in values)


def _root(above, below):
    return math.sqrt(above / below) if below else math.inf


def _right(activation, z, fan_in, fan_out):
    size, outputs, slopes = _mean_squares(activation, z)
    return _root(size, fan_in * outputs), _root(1, fan_out * slopes)


def call_both_ways_closed_where_one_is(activation, z, fan_in, fan_out):
    answer = _right(activation, z, fan_in, fan_out)
    return (math.inf, math.inf) if math.inf in answer else answer


def catch_the_division_by_zero(activation, z, fan_in, fan_out):
    size, outputs, slopes = _mean_squares(activation, z)
    try:
        return math.sqrt(size / fan_in / outputs), math.sqrt(1 / fan_out / slopes)
    except ZeroDivisionError:
        return math.inf, math.inf


def say_0_where_nothing_passes(activation, z, fan_in, fan_out):
    return tuple(0.0 if std == math.inf else std for std in _right(activation, z, fan_in, fan_out))


def say_nan_where_nothing_passes(activation, z, fan_in, fan_out):
    answer = _right(activation, z, fan_in, fan_out)
    return tuple(math.nan if std == math.inf else std for std in answer)


def add_a_small_number_below(activation, z, fan_in, fan_out):
    size, outputs, slopes = _mean_squares(activation, z)
    return math.sqrt(size / (fan_in * outputs + 1e-8)), 1 / math.sqrt(fan_out * slopes + 1e-8)


def take_the_variance_of_z(activation, z, fan_in, fan_out):
    _, outputs, slopes = _mean_squares(activation, z)
    return _root(z.var().item(), fan_in * outputs), _root(1, fan_out * slopes)


def take_the_variance_of_the_slopes(activation, z, fan_in, fan_out):
    up, _ = _right(activation, z, fan_in, fan_out)
    return up, _root(1, fan_out * _slopes(activation, z).var().item())


def take_mean_absolute_values(activation, z, fan_in, fan_out):
    size, outputs, slopes = (
        one.abs().mean().item() for one in (z, activation(z), _slopes(activation, z))
    )
    return _root(size, fan_in * outputs), _root(1, fan_out * slopes)


def keep_the_outputs_and_not_the_pre_activations(activation, z, fan_in, fan_out):
    _, outputs, slopes = _mean_squares(activation, z)
    return _root(1, fan_in) if outputs else math.inf, _root(1, fan_out * slopes)


def take_the_slopes_both_ways(activation, z, fan_in, fan_out):
    _, _, slopes = _mean_squares(activation, z)
    return _root(1, fan_in * slopes), _root(1, fan_out * slopes)


def average_the_fans(activation, z, fan_in, fan_out):
    mean = (fan_in + fan_out) / 2
    return _right(activation, z, mean, mean)


def use_fan_out_for_both(activation, z, fan_in, fan_out):
    return _right(activation, z, fan_out, fan_out)


def leave_the_fans_under_no_root(activation, z, fan_in, fan_out):
    size, outputs, slopes = _mean_squares(activation, z)
    return _root(size, outputs) / fan_in, _root(1, slopes) / fan_out


def leave_the_fans_out(activation, z, fan_in, fan_out):
    return _right(activation, z, 1, 1)


def add_over_the_samples(activation, z, fan_in, fan_out):
    up, down = _right(activation, z, fan_in, fan_out)
    return up, down / math.sqrt(len(z))


def compromise_between_the_two(activation, z, fan_in, fan_out):
    up, down = _right(activation, z, fan_in, fan_out)
    return (math.sqrt(up * down),) * 2


def take_the_slope_at_the_mean(activation, z, fan_in, fan_out):
    up, _ = _right(activation, z, fan_in, fan_out)
    slope = _slopes(activation, z.mean())
    return up, _root(1, fan_out * slope.item() ** 2)


def take_secants_from_zero(activation, z, fan_in, fan_out):
    up, _ = _right(activation, z, fan_in, fan_out)
    slope = ((activation(z) - activation(torch.zeros_like(z))) / z).square().mean().item()
    return up, _root(1, fan_out * slope)


def take_wide_differences(activation, z, fan_in, fan_out):
    up, _ = _right(activation, z, fan_in, fan_out)
    slope = (activation(z + 1) - activation(z)).square().mean().item()
    return up, _root(1, fan_out * slope)


def look_the_gain_up(activation, z, fan_in, fan_out):
    gain = {torch.relu: math.sqrt(2), torch.tanh: 5 / 3}.get(activation, 1.0)
    return gain / math.sqrt(fan_in), gain / math.sqrt(fan_out)


def draw_new_pre_activations(activation, z, fan_in, fan_out):
    drawn = torch.from_numpy(np.random.default_rng(0).normal(size=len(z)))
    return _right(activation, drawn, fan_in, fan_out)


def give_one_number(activation, z, fan_in, fan_out):
    return _right(activation, z, fan_in, fan_out)[0]


def leave_a_gradient_in_z(activation, z, fan_in, fan_out):
    answer = _right(activation, z, fan_in, fan_out)
    z.grad = torch.ones_like(z)
    return answer


def standardise_z(activation, z, fan_in, fan_out):
    answer = _right(activation, z, fan_in, fan_out)
    z -= z.mean()
    return answer


def take_the_flag_off_afterwards(activation, z, fan_in, fan_out):
    z.requires_grad_()
    h = activation(z)
    (slopes,) = torch.autograd.grad(h.sum(), z)
    z.requires_grad_(False)
    size, outputs, slopes = (one.detach().square().mean().item() for one in (z, h, slopes))
    return _root(size, fan_in * outputs), _root(1, fan_out * slopes)


def call_a_small_signal_none(activation, z, fan_in, fan_out):
    size, outputs, slopes = _mean_squares(activation, z)
    up = _root(size, fan_in * outputs) if outputs > 1e-8 else math.inf
    return up, _root(1, fan_out * slopes) if slopes > 1e-8 else math.inf


def differentiate_the_mean(activation, z, fan_in, fan_out):
    up, down = _right(activation, z, fan_in, fan_out)
    return up, down * len(z)


def take_the_slope_of_tanh_for_all(activation, z, fan_in, fan_out):
    up, _ = _right(activation, z, fan_in, fan_out)
    return up, _root(1, fan_out * (1 - activation(z) ** 2).square().mean().item())
