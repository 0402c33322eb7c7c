"""Wrong answers to `predict_saturated_share` that come from none of its beliefs."""

import math
from statistics import NormalDist

import torch

STEEPEST = {"sigmoid": 0.25, "tanh": 1.0}


def _flat_from(activation, delta):
    """From which |z| on the slope is below delta; 0 where it is everywhere."""
    z = math.atanh(math.sqrt(max(0.0, 1 - delta / STEEPEST[activation])))
    return z if activation == "tanh" else 2 * z


def _stds(x, weight_std, bias_std):
    return (weight_std**2 * x.square().sum(1) + bias_std**2).sqrt()


def _shares(z, stds):
    """The share of each row; all of it where z is 0."""
    return 2 * torch.special.ndtr(-z / stds) if z else torch.ones(1)


def take_a_quarter_for_the_steepest_slope_of_tanh_too(activation, x, weight_std, bias_std, delta):
    if delta > 0.25:
        return 1.0
    return _shares(_flat_from(activation, delta), _stds(x, weight_std, bias_std)).mean().item()


def drop_rows_of_zeros_if_there_is_a_bias(activation, x, weight_std, bias_std, delta):
    rows = x[x.any(1)] if bias_std else x
    return _shares(_flat_from(activation, delta), _stds(rows, weight_std, bias_std)).mean().item()


def drop_rows_of_zeros(activation, x, weight_std, bias_std, delta):
    stds = _stds(x[x.any(1)], weight_std, bias_std)
    return _shares(_flat_from(activation, delta), stds).mean().item()


def call_a_row_of_zeros_flat(activation, x, weight_std, bias_std, delta):
    shares = _shares(_flat_from(activation, delta), _stds(x, weight_std, bias_std))
    return torch.where(x.any(1), shares, 1.0).mean().item()


def call_a_row_of_zeros_awake(activation, x, weight_std, bias_std, delta):
    shares = _shares(_flat_from(activation, delta), _stds(x, weight_std, bias_std))
    return torch.where(x.any(1), shares, 0.0).mean().item()


def ask_for_a_distribution_without_width(activation, x, weight_std, bias_std, delta):
    z, stds = _flat_from(activation, delta), _stds(x, weight_std, bias_std).tolist()
    return sum(2 * NormalDist(0, std).cdf(-z) for std in stds) / len(stds)


def standardise_by_hand(activation, x, weight_std, bias_std, delta):
    """For a row of zeros, all z are zero over zero."""
    units = 10_000
    quantiles = torch.special.ndtri((torch.arange(units, dtype=x.dtype) + 0.5) / units)
    stds = _stds(x, weight_std, bias_std)[:, None]
    away = (quantiles * stds).abs() / stds > _flat_from(activation, delta) / stds
    return torch.where(stds > 0, away.double(), math.nan).mean().item()


def draw_the_units(activation, x, weight_std, bias_std, delta):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1000, x.shape[1] + 1, generator=generator, dtype=x.dtype)
    z = weight_std * noise[:, :-1] @ x.T + bias_std * noise[:, -1:]
    a = torch.sigmoid(z) if activation == "sigmoid" else torch.tanh(z)
    slope = a * (1 - a) if activation == "sigmoid" else 1 - a * a
    return (slope < delta).double().mean().item()


def take_a_logistic_distribution(activation, x, weight_std, bias_std, delta):
    z, stds = _flat_from(activation, delta), _stds(x, weight_std, bias_std)
    return (2 * torch.sigmoid(-1.702 * z / stds)).mean().item()


def add_up_the_inputs(activation, x, weight_std, bias_std, delta):
    stds = (weight_std**2 * x.abs().sum(1) ** 2 + bias_std**2).sqrt()
    return _shares(_flat_from(activation, delta), stds).mean().item()


def forget_to_square_the_inputs(activation, x, weight_std, bias_std, delta):
    stds = (weight_std**2 * x.sum(1) + bias_std**2).sqrt()
    return _shares(_flat_from(activation, delta), stds).mean().item()


def forget_to_square_the_bias(activation, x, weight_std, bias_std, delta):
    stds = (weight_std**2 * x.square().sum(1) + bias_std).sqrt()
    return _shares(_flat_from(activation, delta), stds).mean().item()


def give_each_input_a_bias(activation, x, weight_std, bias_std, delta):
    stds = _stds(x, weight_std, bias_std * x.shape[1] ** 0.5)
    return _shares(_flat_from(activation, delta), stds).mean().item()


def add_up_the_columns(activation, x, weight_std, bias_std, delta):
    stds = _stds(x.T, weight_std, bias_std)
    return _shares(_flat_from(activation, delta), stds).mean().item()


def take_the_middle_row(activation, x, weight_std, bias_std, delta):
    shares = _shares(_flat_from(activation, delta), _stds(x, weight_std, bias_std))
    return shares.median().item()


def take_the_brightest_row(activation, x, weight_std, bias_std, delta):
    shares = _shares(_flat_from(activation, delta), _stds(x, weight_std, bias_std))
    return shares.max().item()


def halve_the_place_of_tanh_in_place_of_doubling_that_of_sigmoid(
    activation, x, weight_std, bias_std, delta
):
    z, stds = _flat_from(activation, delta) / 2, _stds(x, weight_std, bias_std)
    return _shares(z, stds).mean().item()


def count_delta_from_the_steepest_slope(activation, x, weight_std, bias_std, delta):
    z = _flat_from(activation, delta * STEEPEST[activation])
    return _shares(z, _stds(x, weight_std, bias_std)).mean().item()


def find_nothing_below_a_large_delta(activation, x, weight_std, bias_std, delta):
    if delta > STEEPEST[activation]:
        return 0.0
    return _shares(_flat_from(activation, delta), _stds(x, weight_std, bias_std)).mean().item()


def refuse_a_large_delta(activation, x, weight_std, bias_std, delta):
    if delta > STEEPEST[activation]:
        raise ValueError("no slope is that steep")
    return _shares(_flat_from(activation, delta), _stds(x, weight_std, bias_std)).mean().item()


def round_to_whole_percents(activation, x, weight_std, bias_std, delta):
    shares = _shares(_flat_from(activation, delta), _stds(x, weight_std, bias_std))
    return round(shares.mean().item(), 2)


def give_percent(activation, x, weight_std, bias_std, delta):
    shares = _shares(_flat_from(activation, delta), _stds(x, weight_std, bias_std))
    return 100 * shares.mean().item()


def give_a_share_for_each_row(activation, x, weight_std, bias_std, delta):
    return _shares(_flat_from(activation, delta), _stds(x, weight_std, bias_std))


def round_to_four_digits(activation, x, weight_std, bias_std, delta):
    stds = _stds(x, weight_std, bias_std)
    return round(_shares(_flat_from(activation, delta), stds).mean().item(), 4)


def write_into_x(activation, x, weight_std, bias_std, delta):
    x *= weight_std
    return _shares(_flat_from(activation, delta), _stds(x, 1, bias_std)).mean().item()


def know_the_place_of_a_tenth(activation, x, weight_std, bias_std, delta):
    z = 2.06344 if activation == "sigmoid" and delta < 0.25 else _flat_from(activation, delta)
    return _shares(z, _stds(x, weight_std, bias_std)).mean().item()


def think_of_a_large_delta_for_sigmoid_only(activation, x, weight_std, bias_std, delta):
    if activation == "sigmoid" and delta > 0.25:
        return 1.0
    z = math.atanh(math.sqrt(1 - delta / STEEPEST[activation]))
    z = z if activation == "tanh" else 2 * z
    return _shares(z, _stds(x, weight_std, bias_std)).mean().item()


def call_a_row_of_zeros_awake_at_any_delta(activation, x, weight_std, bias_std, delta):
    z, stds = _flat_from(activation, delta), _stds(x, weight_std, bias_std)
    return torch.where(stds > 0, 2 * torch.special.ndtr(-z / stds), 0.0).mean().item()


def count_the_bias_for_tanh_only(activation, x, weight_std, bias_std, delta):
    stds = _stds(x, weight_std, bias_std if activation == "tanh" else 0.0)
    return _shares(_flat_from(activation, delta), stds).mean().item()


def subtract_from_1_in_float32(activation, x, weight_std, bias_std, delta):
    stds = _stds(x.float(), weight_std, bias_std)
    if not (z := _flat_from(activation, delta)):
        return 1.0
    return (1 - torch.erf(z / stds / math.sqrt(2))).mean().item()


def widen_each_row_a_little(activation, x, weight_std, bias_std, delta):
    stds = _stds(x, weight_std, bias_std) + 1e-4
    return _shares(_flat_from(activation, delta), stds).mean().item()
