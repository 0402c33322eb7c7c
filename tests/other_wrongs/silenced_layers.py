"""Wrong answers to `silenced_layers` that come from none of its beliefs."""

import math


def compare_the_first_with_the_last(outputs):
    return [layer[0] == layer[-1] for layer in outputs]


def compare_the_sets_of_numbers(outputs):
    return [all(sorted(s) == sorted(layer[0]) for s in layer) for layer in outputs]


def call_close_numbers_equal(outputs):
    return [
        all(math.isclose(v, w) for s in layer for v, w in zip(s, layer[0], strict=True))
        for layer in outputs
    ]


def stop_at_ten_samples(outputs):
    return [all(s == layer[0] for s in layer[:6]) for layer in outputs]


def look_at_the_first_unit(outputs):
    return [len({sample[0] for sample in layer}) == 1 for layer in outputs]


def look_at_the_largest_of_each_sample(outputs):
    return [len({max(sample) for sample in layer}) == 1 for layer in outputs]


def compare_texts_of_numbers(outputs):
    return [len({str(sample) for sample in layer}) == 1 for layer in outputs]


def name_the_layers(outputs):
    return [k for k, layer in enumerate(outputs, 1) if all(s == layer[0] for s in layer)]


def count_them(outputs):
    return sum(all(s == layer[0] for s in layer) for layer in outputs)


def go_through_them_backwards(outputs):
    return [all(s == layer[0] for s in layer) for layer in reversed(outputs)]


def allow_one_sample_to_differ(outputs):
    return [sum(s != layer[0] for s in layer) <= 1 for layer in outputs]


def refuse_to_judge_one_sample(outputs):
    return [len(layer) > 1 and all(s == layer[0] for s in layer) for layer in outputs]


def add_up_the_differences(outputs):
    return [
        sum(v - w for s in layer for v, w in zip(s, layer[0], strict=True)) == 0
        for layer in outputs
    ]


def compare_with_the_previous_layer(outputs):
    return [one == other for one, other in zip(outputs, [None, *outputs], strict=False)]


def compare_sizes_without_signs(outputs):
    sizes = [[[abs(value) for value in sample] for sample in layer] for layer in outputs]
    return [all(sample == layer[0] for sample in layer) for layer in sizes]


def compare_samples_in_pairs(outputs):
    return [all(a == b for a, b in zip(layer[::2], layer[1::2], strict=False)) for layer in outputs]
