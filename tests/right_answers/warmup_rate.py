"""Right answers to `warmup_rate`, each in a style of its own."""

import numpy as np


def return_the_peak_early(step, steps, peak):
    if step + 1 >= steps:
        return peak
    return peak * (step + 1) / steps


def count_what_is_missing(step, steps, peak):
    missing = max(0, steps - 1 - step)
    return peak * (1 - missing / steps)


def interpolate(step, steps, peak):
    if steps == 1:
        return peak
    return float(np.interp(step, [0, steps - 1], [peak / steps, peak]))


def build_the_whole_schedule(step, steps, peak):
    rates = [peak * (k / steps) for k in range(1, steps + 1)]
    return rates[step] if step < len(rates) else peak


def cut_the_number(step, steps, peak):
    update = min(step, steps - 1)
    return (update + 1) / steps * peak
