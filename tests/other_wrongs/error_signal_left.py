"""Wrong answers to `error_signal_left` that come from none of its beliefs."""

import math


def square_the_slope(slope, std, width, layers):
    return (slope**2 * std * math.sqrt(width)) ** layers


def take_the_mean_square(slope, std, width, layers):
    return (slope * std * math.sqrt(width)) ** (2 * layers)


def pass_one_layer_more(slope, std, width, layers):
    return (slope * std * math.sqrt(width)) ** (layers + 1)


def give_what_is_lost(slope, std, width, layers):
    return 1 - (slope * std * math.sqrt(width)) ** layers


def give_the_factor_alone(slope, std, width, layers):
    return slope * std * math.sqrt(width)


def give_the_logarithm(slope, std, width, layers):
    return layers * math.log10(slope * std * math.sqrt(width))


def give_percent(slope, std, width, layers):
    return 100 * (slope * std * math.sqrt(width)) ** layers


def take_the_root_of_the_layers(slope, std, width, layers):
    return (slope * std * math.sqrt(width)) ** math.sqrt(layers)


def round_to_three_digits(slope, std, width, layers):
    return round((slope * std * math.sqrt(width)) ** layers, 3)


def count_the_width_once(slope, std, width, layers):
    return (slope * std) ** layers * math.sqrt(width)


def count_the_slope_once(slope, std, width, layers):
    return slope * (std * math.sqrt(width)) ** layers


def fade_as_an_exponential(slope, std, width, layers):
    return math.exp(-layers * (1 - slope * std * math.sqrt(width)))


def give_the_share_of_the_other_way(slope, std, width, layers):
    return (slope * std * math.sqrt(width)) ** -layers


def call_little_nothing(slope, std, width, layers):
    left = (slope * std * math.sqrt(width)) ** layers
    return left if left > 1e-6 else 0.0


def begin_with_the_factor(slope, std, width, layers):
    """Right from one layer on."""
    left = slope * std * math.sqrt(width)
    for _ in range(1, layers):
        left *= slope * std * math.sqrt(width)
    return left
