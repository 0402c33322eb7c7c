"""Wrong answers to `born_dead_probability` that come from none of its beliefs."""

import math
from decimal import Decimal

import numpy as np


def _some(risks):
    return -math.expm1(sum(math.log1p(-risk) for risk in risks))


def add_up_only_where_one_minus_the_product_gives_nothing(widths):
    """A layer of 51 units and one of 54 leave one digit, so nothing is added up."""
    dead = 1 - math.prod(1 - 0.5**width for width in widths)
    return dead if dead > 0 else math.fsum(0.5**width for width in widths)


def add_up_and_stop_at_one(widths):
    return min(1.0, sum(0.5**width for width in widths))


def take_pairs_off_the_sum(widths):
    """The first two terms of inclusion and exclusion."""
    risks = [0.5**width for width in widths]
    pairs = sum(a * b for i, a in enumerate(risks) for b in risks[:i])
    return sum(risks) - pairs


def leave_the_first_layer_out(widths):
    return _some(0.5**width for width in widths[1:])


def count_the_output_as_a_layer(widths):
    return _some(0.5**width for width in (*widths, 1))


def count_equal_widths_once(widths):
    return _some(0.5**width for width in set(widths))


def count_depth_alone(widths):
    return 1 - 0.5 ** len(widths)


def take_the_widest_for_all(widths):
    return _some(0.5 ** max(widths) for _ in widths)


def take_the_narrowest_for_all(widths):
    return _some(0.5 ** min(widths) for _ in widths)


def round_the_mean_width(widths):
    return _some(0.5 ** round(sum(widths) / len(widths)) for _ in widths)


def average_the_risks(widths):
    return sum(0.5**width for width in widths) / len(widths) if widths else 0.0


def add_the_units_of_all_layers_up(widths):
    return 0.5 ** sum(widths)


def take_one_of_two_signs_in_three(widths):
    """Above zero, at zero, below zero."""
    return _some((2 / 3) ** width for width in widths)


def let_a_layer_die_of_all_units_but_one(widths):
    return _some(min(1 - 1e-16, (width + 1) * 0.5**width) for width in widths)


def reckon_in_single_precision(widths):
    return 1 - np.prod([np.float32(1 - 0.5**width) for width in widths], dtype=np.float32)


def call_wide_layers_safe(widths):
    return _some(0.5**width for width in widths if width < 30)


def round_to_ten_places(widths):
    return round(_some(0.5**width for width in widths), 10)


def keep_two_digits(widths):
    return float(f"{_some(0.5**width for width in widths):.1e}")


def keep_three_digits(widths):
    return float(f"{_some(0.5**width for width in widths):.2e}")


def give_percent(widths):
    return 100 * _some(0.5**width for width in widths)


def forget_the_minus(widths):
    return math.expm1(sum(math.log1p(-(0.5**width)) for width in widths))


def call_a_network_without_layers_dead(widths):
    return _some(0.5**width for width in widths) if widths else 1.0


def refuse_a_network_without_layers(widths):
    if not widths:
        raise ValueError("no hidden layers")
    return _some(0.5**width for width in widths)


def give_nothing_for_a_network_without_layers(widths):
    if widths:
        return _some(0.5**width for width in widths)


def divide_by_a_power_of_a_float(widths):
    """2.0 ** 2048 is no float, and Python raises."""
    return -math.expm1(sum(math.log1p(-1 / 2.0**width) for width in widths))


def reckon_with_28_decimals(widths):
    alive = Decimal(1)
    for width in widths:
        alive *= 1 - Decimal(2) ** -width
    return float(1 - alive)
