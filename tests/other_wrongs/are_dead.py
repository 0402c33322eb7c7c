"""Wrong answers to `are_dead` that come from none of its beliefs."""


def judge_by_the_last_sample(units):
    return [unit[-1] <= 0 for unit in units]


def allow_one_sample_in_ten(units):
    return [sum(z > 0 for z in unit) <= 0.1 * len(unit) for unit in units]


def allow_one_sample_in_two_hundred(units):
    return [sum(z > 0 for z in unit) <= 0.005 * len(unit) for unit in units]


def call_a_small_number_zero(units):
    return [all(z <= 0.01 for z in unit) for unit in units]


def want_all_far_below(units):
    return [all(z < -0.5 for z in unit) for unit in units]


def take_the_samples_for_units(units):
    return [all(z <= 0 for z in sample) for sample in zip(*units, strict=True)]


def count_the_dead(units):
    return sum(max(unit) <= 0 for unit in units)


def say_it_in_words(units):
    return ["dead" if max(unit) <= 0 else "awake" for unit in units]


def go_through_the_units_backwards(units):
    return [max(unit) <= 0 for unit in reversed(units)]


def look_at_the_lowest(units):
    return [min(unit) <= 0 < max(unit) for unit in units]


def stop_after_ten_samples(units):
    return [max(unit[:5]) <= 0 for unit in units]


def sort_each_unit(units):
    for unit in units:
        unit.sort()
    return [unit[-1] <= 0 for unit in units]


def call_what_is_close_to_zero_zero(units):
    return [all(z < 1e-8 for z in unit) for unit in units]


def round_the_sum_of_the_outputs(units):
    return [round(sum(max(z, 0) for z in unit), 6) == 0 for unit in units]


def cut_off_the_decimals(units):
    return [all(int(z) <= 0 for z in unit) for unit in units]
