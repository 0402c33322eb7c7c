"""Wrong answers to `dead_fraction` that come from none of its beliefs."""

import torch


def _sized(z):
    if z.numel() == 0:
        raise ValueError("nothing to judge")
    return z


def _shares(dead, void):
    return dead.double().mean().item(), void.double().mean().item()


def _by(is_dead, z):
    """The right answer, but for who is dead."""
    void = ~_sized(z).isfinite().all(0)
    return _shares(is_dead(z) & ~void, void)


def call_void_what_sums_to_no_number(z):
    void = ~_sized(z).sum(0).isfinite()
    return _shares((z <= 0).all(0) & ~void, void)


def swap_the_two(z):
    void = ~_sized(z).isfinite().all(0)
    dead, broken = _shares((z <= 0).all(0) & ~void, void)
    return broken, dead


def count_the_units(z):
    void = ~_sized(z).isfinite().all(0)
    return ((z <= 0).all(0) & ~void).sum().item(), void.sum().item()


def call_dead_what_sleeps_on_all_but_a_few(z):
    return _by(lambda z: (z <= 0).double().mean(0) >= 0.99, z)


def call_dead_what_sleeps_on_nine_samples_in_ten(z):
    return _by(lambda z: (z <= 0).double().mean(0) >= 0.9, z)


def call_a_very_small_number_zero(z):
    return _by(lambda z: (z <= 1e-6).all(0), z)


def square_what_is_above_zero(z):
    """The square of a small number is zero."""
    return _by(lambda z: z.relu().square().sum(0) == 0, z)


def judge_by_the_mean(z):
    void = ~_sized(z).isfinite().all(0)
    return _shares((z.mean(0) <= 0) & ~void, void)


def judge_by_the_last_sample(z):
    void = ~_sized(z).isfinite().all(0)
    return _shares((z[-1] <= 0) & ~void, void)


def pass_over_minus_infinity(z):
    void = (_sized(z).isnan() | (z == torch.inf)).any(0)
    return _shares((z <= 0).all(0) & ~void, void)


def call_void_what_holds_no_number_at_all(z):
    void = ~_sized(z).isfinite().any(0)
    return _shares((z <= 0).all(0) & ~void, void)


def give_the_dead_alone(z):
    void = ~_sized(z).isfinite().all(0)
    return _shares((z <= 0).all(0) & ~void, void)[0]


def give_the_living_for_the_dead(z):
    void = ~_sized(z).isfinite().all(0)
    return _shares((z > 0).any(0) & ~void, void)


def want_one_number_below_zero(z):
    void = ~_sized(z).isfinite().all(0)
    return _shares((z <= 0).all(0) & (z < -0.1).all(0) & ~void, void)


def replace_nan_in_z(z):
    void = ~_sized(z).isfinite().all(0)
    z.nan_to_num_()
    return _shares((z <= 0).all(0) & ~void, void)


def leave_a_flag_on_z(z):
    void = ~_sized(z).isfinite().all(0)
    z.requires_grad_(True)
    return _shares((z <= 0).all(0) & ~void, void)


def refuse_with_an_index_error(z):
    if z.numel() == 0:
        raise IndexError("nothing to judge")
    void = ~z.isfinite().all(0)
    return _shares((z <= 0).all(0) & ~void, void)


def refuse_the_layer_without_samples_only(z):
    if len(z) == 0:
        raise ValueError("no samples")
    void = ~z.isfinite().all(0)
    return _shares((z <= 0).all(0) & ~void, void)


def refuse_what_is_not_finite(z):
    if z.numel() == 0 or not z.isfinite().all():
        raise ValueError("nothing to judge")
    return (z <= 0).all(0).double().mean().item(), 0.0


def write_over_what_is_void(z):
    if z.numel() == 0:
        raise ValueError("nothing to judge")
    void = ~z.isfinite().all(0)
    z[:, void] = 1.0
    return (z <= 0).all(0).double().mean().item(), void.double().mean().item()
