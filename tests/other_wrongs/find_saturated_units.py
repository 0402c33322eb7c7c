"""Wrong answers to `find_saturated_units` that come from none of its beliefs."""

import torch


def _derivative(activation, z):
    z = z.detach().clone().requires_grad_()
    return torch.autograd.grad(activation(z).sum(), z)[0]


def _checked(z):
    if z.isnan().any():
        raise ValueError("a pre-activation is NaN")
    return z


def _flat(activation, z, delta):
    return (_derivative(activation, _checked(z)).abs() < delta).flatten(0, -2)


def look_for_nan_in_the_derivatives(activation, z, delta):
    slope = _checked(_derivative(activation, z))
    return (slope.abs() < delta).flatten(0, -2).all(0)


def look_for_nan_in_the_sum(activation, z, delta):
    """Infinities of both signs add up to a NaN."""
    if z.sum().isnan():
        raise ValueError("a pre-activation is NaN")
    return (_derivative(activation, z).abs() < delta).flatten(0, -2).all(0)


def refuse_infinities_as_well(activation, z, delta):
    if not z.isfinite().all():
        raise ValueError("a pre-activation is not finite")
    return _flat(activation, z, delta).all(0)


def refuse_with_a_runtime_error(activation, z, delta):
    if z.isnan().any():
        raise RuntimeError("a pre-activation is NaN")
    return _flat(activation, z, delta).all(0)


def call_a_unit_with_a_nan_saturated(activation, z, delta):
    return ~(_derivative(activation, z).abs() >= delta).flatten(0, -2).any(0)


def take_nan_for_zero(activation, z, delta):
    return _flat(activation, z.nan_to_num(), delta).all(0)


def leave_out_samples_with_a_nan(activation, z, delta):
    rows = z.flatten(0, -2)
    return _flat(activation, rows[~rows.isnan().any(-1)], delta).all(0)


def want_one_sequence_that_is_flat(activation, z, delta):
    flat = (_derivative(activation, _checked(z)).abs() < delta).all(-2)
    return flat.flatten(0, -2).any(0) if flat.ndim > 1 else flat


def judge_the_first_sequence(activation, z, delta):
    while z.ndim > 2:
        z = z[0]
    return _flat(activation, z, delta).all(0)


def judge_the_mean_of_the_sequences(activation, z, delta):
    slope = _derivative(activation, _checked(z)).abs()
    while slope.ndim > 2:
        slope = slope.mean(0)
    return (slope < delta).all(0)


def expect_three_axes_at_most(activation, z, delta):
    flat = (_derivative(activation, _checked(z)).abs() < delta).all(0)
    return flat.all(0) if z.ndim == 3 else flat


def ask_for_nine_samples_in_ten(activation, z, delta):
    return _flat(activation, z, delta).double().mean(0) > 0.9


def ask_for_all_samples_but_one_in_a_hundred(activation, z, delta):
    return _flat(activation, z, delta).double().mean(0) >= 0.99


def take_the_slope_that_one_in_a_thousand_exceeds(activation, z, delta):
    return _derivative(activation, _checked(z)).abs().flatten(0, -2).quantile(0.999, 0) < delta


def take_the_median(activation, z, delta):
    return _derivative(activation, _checked(z)).abs().flatten(0, -2).median(0).values < delta


def take_the_largest_and_its_size_then(activation, z, delta):
    return _derivative(activation, _checked(z)).flatten(0, -2).amax(0).abs() < delta


def add_up_the_derivatives(activation, z, delta):
    return _derivative(activation, _checked(z)).flatten(0, -2).sum(0).abs() < delta


def take_the_root_of_the_mean_square(activation, z, delta):
    slope = _derivative(activation, _checked(z)).flatten(0, -2)
    return slope.square().mean(0).sqrt() < delta


def square_the_derivative(activation, z, delta):
    return (_derivative(activation, _checked(z)).square() < delta).flatten(0, -2).all(0)


def differentiate_at_the_mean(activation, z, delta):
    middle = _checked(z).flatten(0, -2).mean(0)
    return _derivative(activation, middle).abs() < delta


def differentiate_the_mean_over_samples(activation, z, delta):
    rows = _checked(z).flatten(0, -2)
    return (_derivative(activation, rows).abs() / len(rows) < delta).all(0)


def take_differences_in_float32(activation, z, delta):
    slope = (activation(_checked(z) + 1e-3) - activation(z - 1e-3)) / 2e-3
    return (slope.abs() < delta).flatten(0, -2).all(0)


def take_smaller_differences_in_float32(activation, z, delta):
    slope = (activation(_checked(z) + 1e-4) - activation(z - 1e-4)) / 2e-4
    return (slope.abs() < delta).flatten(0, -2).all(0)


def divide_the_output_by_the_input(activation, z, delta):
    return (activation(_checked(z)) / z).abs().nan_to_num(1).flatten(0, -2).amax(0) < delta


def compare_with_a_delta_of_its_own(activation, z, delta):
    return _flat(activation, z, 0.01).all(0)


def compare_with_a_share_of_the_steepest(activation, z, delta):
    slope = _derivative(activation, _checked(z)).abs().flatten(0, -2)
    return (slope < delta * slope.max()).all(0)


def mark_the_awake(activation, z, delta):
    return ~_flat(activation, z, delta).all(0)


def name_the_units(activation, z, delta):
    return _flat(activation, z, delta).all(0).nonzero().flatten()


def mark_with_ones(activation, z, delta):
    return _flat(activation, z, delta).all(0).float()


def give_the_share_of_flat_samples(activation, z, delta):
    return _flat(activation, z, delta).float().mean(0)


def leave_a_flag_on_z(activation, z, delta):
    _checked(z).requires_grad_()
    (slope,) = torch.autograd.grad(activation(z).sum(), z)
    return (slope.abs() < delta).flatten(0, -2).all(0)


def replace_infinities_in_z(activation, z, delta):
    _checked(z).nan_to_num_()
    return _flat(activation, z, delta).all(0)


def expect_six_units(activation, z, delta):
    return (_derivative(activation, _checked(z)).abs() < delta).reshape(-1, 6).all(0)


def squeeze_the_flags(activation, z, delta):
    return _flat(activation, z, delta).all(0).squeeze()


def refuse_a_nan_only_where_the_other_samples_are_flat(activation, z, delta):
    broken = z.isnan().flatten(0, -2)
    flat = (_derivative(activation, z).abs() < delta).flatten(0, -2) | broken
    if (flat.all(0) & broken.any(0)).any():
        raise ValueError("a pre-activation is NaN")
    return flat.all(0)


def round_to_two_digits(activation, z, delta):
    slope = _derivative(activation, _checked(z)).abs().round(decimals=2)
    return (slope < delta).flatten(0, -2).all(0)


def compute_in_half_precision(activation, z, delta):
    return _flat(activation, z.half(), delta).all(0)


def look_for_nan_in_the_sum_of_the_outputs(activation, z, delta):
    if activation(z).sum().isnan():
        raise ValueError("a pre-activation is NaN")
    return (_derivative(activation, z).abs() < delta).flatten(0, -2).all(0)
