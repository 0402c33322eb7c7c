"""Wrong answers to `warmup_rate` that come from none of its beliefs."""

import math


def begin_with_the_second_share(step, steps, peak):
    return peak * min(1, (step + 2) / steps)


def give_percent(step, steps, peak):
    return 100 * peak * min(1, (step + 1) / steps)


def round_to_six_digits(step, steps, peak):
    return round(peak * min(1, (step + 1) / steps), 6)


def divide_whole_numbers(step, steps, peak):
    return peak * min(1, (step + 1) // steps)


def take_the_square(step, steps, peak):
    return peak * min(1, (step + 1) / steps) ** 2


def take_the_root(step, steps, peak):
    return peak * math.sqrt(min(1, (step + 1) / steps))


def cut_at_one_instead_of_the_peak(step, steps, peak):
    return min(1, peak * (step + 1) / steps)


def turn_the_warm_up_round(step, steps, peak):
    return peak * max(0, 1 - step / steps)


def end_with_nothing(step, steps, peak):
    return peak * (step + 1) / steps if step < steps else 0.0


def start_again(step, steps, peak):
    return peak * (step % steps + 1) / steps


def take_one_step_more(step, steps, peak):
    return peak * min(1, (step + 1) / (steps + 1))


def add_a_little_to_a_share_from_zero(step, steps, peak):
    return peak * min(1, (step + 1e-3) / steps)


def return_the_shares_of_all(step, steps, peak):
    return [peak * min(1, (k + 1) / steps) for k in range(step + 1)]


def add_up_in_small_steps(step, steps, peak):
    """Rounding adds up, so the peak is not met to the last bit."""
    rate = 0.0
    for _ in range(min(step + 1, steps)):
        rate += peak / steps
    return rate


def begin_at_half_the_peak(step, steps, peak):
    return peak * min(1, 0.5 + 0.5 * (step + 1) / steps)
