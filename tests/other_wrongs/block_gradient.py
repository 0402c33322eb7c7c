"""Wrong answers to `block_gradient` that come from none of its beliefs."""

import numpy as np


def _right(x, delta, enter, leave, gain, shift, running=None, eps=1e-5, kink=0.0, hats=1):
    z = x @ enter
    mean, variance = (z.mean(0), z.var(0)) if running is None else running
    s = np.sqrt(variance + eps)
    hat = (z - mean) / s
    back = delta @ leave.T * (gain * hat + shift > kink)
    if running is None:
        back = back - back.mean(0) - hats * hat * (back * hat).mean(0)
    return delta + (back * gain / s) @ enter.T


def pass_delta_on(x, delta, *rest):
    return delta.copy()


def pass_it_on_twice(x, delta, *rest):
    return delta + _right(x, delta, *rest)


def leave_out_the_slopes(*given):
    return _right(*given, kink=-np.inf)


def add_the_hat_term(*given):
    return _right(*given, hats=-1)


def take_a_larger_epsilon(*given):
    return _right(*given, eps=1e-3)


def subtract_the_branch(x, delta, *rest):
    return 2 * delta - _right(x, delta, *rest)


def sum_over_samples(x, delta, *rest):
    return _right(x, delta, *rest).sum(0)


def train_always(x, delta, enter, leave, gain, shift, running=None):
    return _right(x, delta, enter, leave, gain, shift)


def write_into_delta(x, delta, enter, leave, gain, shift, running=None):
    delta += _right(x, delta, enter, leave, gain, shift, running) - delta
    return delta


def add_epsilon_to_the_deviation(x, delta, enter, leave, gain, shift, running=None):
    z = x @ enter
    mean, variance = (z.mean(0), z.var(0)) if running is None else running
    s = np.sqrt(variance) + 1e-5
    hat = (z - mean) / s
    back = delta @ leave.T * (gain * hat + shift > 0)
    if running is None:
        back = back - back.mean(0) - hat * (back * hat).mean(0)
    return delta + (back * gain / s) @ enter.T


def mean_over_units(x, delta, enter, leave, gain, shift, running=None):
    z = x @ enter
    mean, variance = (z.mean(0), z.var(0)) if running is None else running
    s = np.sqrt(variance + 1e-5)
    hat = (z - mean) / s
    back = delta @ leave.T * (gain * hat + shift > 0)
    if running is None:
        back = back - back.mean(1, keepdims=True) - hat * (back * hat).mean(1, keepdims=True)
    return delta + (back * gain / s) @ enter.T


def swap_mean_and_variance(x, delta, enter, leave, gain, shift, running=None):
    turned = None if running is None else (running[1], np.abs(running[0]))
    return _right(x, delta, enter, leave, gain, shift, turned)


def forget_the_shift(x, delta, enter, leave, gain, shift, running=None):
    return _right(x, delta, enter, leave, gain, 0 * shift, running)


def take_the_size_of_the_gain(x, delta, enter, leave, gain, shift, running=None):
    return _right(x, delta, enter, leave, np.abs(gain), shift, running)


def call_small_gradients_zero(x, delta, *rest):
    found = _right(x, delta, *rest)
    return np.where(np.abs(found) < 1e-12, 0.0, found)


def give_the_kink_a_slope(*given):
    return _right(*given, kink=-1e-300)


def compute_in_single_precision(*given):
    return _right(*(a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in given))
