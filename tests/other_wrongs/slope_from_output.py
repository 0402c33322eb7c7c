"""Wrong answers to `slope_from_output` that come from none of its beliefs."""

import math

import numpy as np


def square_both(outputs):
    return [(a * (1 - a)) ** 2 for a in outputs]


def take_the_root(outputs):
    return [math.sqrt(a * (1 - a)) for a in outputs]


def forget_a_factor(outputs):
    return [a * (1 - a) / 4 for a in outputs]


def give_a_quarter(outputs):
    return [0.25 for _ in outputs]


def give_the_first_only(outputs):
    return [outputs[0] * (1 - outputs[0])] * len(outputs) if outputs else []


def sort_them(outputs):
    return sorted(a * (1 - a) for a in outputs)


def add_them_up(outputs):
    return sum(a * (1 - a) for a in outputs)


def round_to_three_digits(outputs):
    return [round(a * (1 - a), 3) for a in outputs]


def clip_from_below(outputs):
    return [max(a * (1 - a), 0.001) for a in outputs]


def multiply_by_one_plus_a(outputs):
    return [a * (1 + a) for a in outputs]


def give_the_pre_activations(outputs):
    return [math.log(a / (1 - a)) for a in outputs]


def give_the_negative(outputs):
    return [a * (a - 1) for a in outputs]


def fall_as_an_exponential(outputs):
    return [math.exp(-abs(math.log(a / (1 - a)))) for a in outputs]


def fail_on_nothing(outputs):
    return [a * (1 - a) for a in outputs] or None


def give_texts(outputs):
    return [f"{a * (1 - a):.12g}" for a in outputs]


def print_them(outputs):
    return [print(a * (1 - a)) for a in outputs]


def give_pairs(outputs):
    return [(a, a * (1 - a)) for a in outputs]


def subtract_in_float32(outputs):
    return [float(np.float32(a) * (1 - np.float32(a))) for a in outputs]
