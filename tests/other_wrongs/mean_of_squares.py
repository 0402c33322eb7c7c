"""Wrong answers to `mean_of_squares` that come from none of its beliefs."""

from statistics import median


def _columns(gradients):
    return list(zip(*gradients, strict=True))


def take_the_last_sample(gradients):
    return [g * g for g in gradients[-1]]


def take_the_largest_square(gradients):
    return [max(g * g for g in column) for column in _columns(gradients)]


def take_the_median(gradients):
    return [median(g * g for g in column) for column in _columns(gradients)]


def square_the_sum(gradients):
    return [sum(column) ** 2 for column in _columns(gradients)]


def square_the_mean_size(gradients):
    return [(sum(map(abs, column)) / len(column)) ** 2 for column in _columns(gradients)]


def divide_by_one_less(gradients):
    return [sum(g * g for g in c) / max(1, len(c) - 1) for c in _columns(gradients)]


def divide_by_the_parameters(gradients):
    return [sum(g * g for g in c) / len(gradients[0]) for c in _columns(gradients)]


def leave_out_zeros(gradients):
    kept = [[g for g in column if g] for column in _columns(gradients)]
    return [sum(g * g for g in column) / max(1, len(column)) for column in kept]


def keep_the_sign(gradients):
    return [sum(g * abs(g) for g in column) / len(column) for column in _columns(gradients)]


def round_to_six_digits(gradients):
    return [round(sum(g * g for g in c) / len(c), 6) for c in _columns(gradients)]


def round_to_four_significant_digits(gradients):
    return [float(f"{sum(g * g for g in c) / len(c):.4g}") for c in _columns(gradients)]


def square_in_place(gradients):
    for sample in gradients:
        sample[:] = [g * g for g in sample]
    return [sum(column) / len(column) for column in _columns(gradients)]


def add_a_small_number(gradients):
    return [sum(g * g for g in c) / len(c) + 1e-8 for c in _columns(gradients)]


def return_one_number(gradients):
    return sum(g * g for sample in gradients for g in sample) / len(gradients)


def return_texts(gradients):
    return [str(sum(g * g for g in c) / len(c)) for c in _columns(gradients)]


def leave_out_samples_of_zeros(gradients):
    kept = [sample for sample in gradients if any(sample)]
    return [sum(g * g for g in column) / len(column) for column in _columns(kept)]


def count_equal_samples_once(gradients):
    columns = _columns(set(map(tuple, gradients)))
    return [sum(g * g for g in column) / len(column) for column in columns]
