"""Wrong answers to `sparsity_at` that come from none of its beliefs."""

import math

import numpy as np


def _at(step, begin, end, first, final, missing=lambda left: left**3):
    if end < begin:
        raise ValueError("swapped")
    if step >= end:
        return final
    if step <= begin:
        return first
    return final + (first - final) * missing((end - step) / (end - begin))


def take_the_square(step, begin, end, first, final):
    return _at(step, begin, end, first, final, lambda left: left**2)


def take_the_fourth_power(step, begin, end, first, final):
    return _at(step, begin, end, first, final, lambda left: left**4)


def fall_like_a_cosine(step, begin, end, first, final):
    return _at(step, begin, end, first, final, lambda left: (1 - math.cos(math.pi * left)) / 2)


def decay_exponentially(step, begin, end, first, final):
    return _at(step, begin, end, first, final, lambda left: math.exp(-5 * (1 - left)))


def go_the_other_way(step, begin, end, first, final):
    return _at(step, begin, end, final, first)


def give_percent(step, begin, end, first, final):
    return 100 * _at(step, begin, end, first, final)


def round_to_whole_percents(step, begin, end, first, final):
    return round(_at(step, begin, end, first, final), 2)


def count_one_step_too_many(step, begin, end, first, final):
    return _at(step + 1, begin, end, first, final)


def divide_whole_numbers(step, begin, end, first, final):
    return _at(step, begin, end, first, final, lambda left: (left // 1) ** 3)


def never_go_back(step, begin, end, first, final):
    """A sparsity that never falls."""
    return max(first, _at(step, begin, end, first, final))


def jump_one_step_later(step, begin, end, first, final):
    if begin == end:
        return final if step > end else first
    return _at(step, begin, end, first, final)


def refuse_a_jump(step, begin, end, first, final):
    if begin == end:
        raise ValueError("no time to prune")
    return _at(step, begin, end, first, final)


def refuse_a_step_outside(step, begin, end, first, final):
    if not begin <= step <= end:
        raise ValueError("outside the schedule")
    return _at(step, begin, end, first, final)


def swap_what_was_swapped(step, begin, end, first, final):
    return _at(step, min(begin, end), max(begin, end), first, final)


def end_with_zero_outside(step, begin, end, first, final):
    return _at(step, begin, end, first, final) if step <= end else 0.0


def refuse_with_another_error(step, begin, end, first, final):
    if end < begin:
        raise IndexError("swapped")
    return _at(step, begin, end, first, final)


def be_exact_at_one_end_only(step, begin, end, first, final):
    if end < begin:
        raise ValueError("swapped")
    if begin == end:
        return final if step >= end else first
    left = min(1.0, max(0.0, (end - step) / (end - begin)))
    return first + (final - first) * (1 - left**3)


def be_exact_to_single_precision(step, begin, end, first, final):
    return float(np.float32(_at(step, begin, end, first, final)))


def return_a_text(step, begin, end, first, final):
    return f"{_at(step, begin, end, first, final):.0%}"


def return_a_list(step, begin, end, first, final):
    return [_at(step, begin, end, first, final)]
