"""Wrong answers to `sampled_error` that come from none of its beliefs."""

import numpy as np


def _variances(probabilities, squared_scores):
    mean = np.einsum("nc,nc...->n...", probabilities, squared_scores)[:, None]
    return np.einsum("nc,nc...->n...", probabilities, (squared_scores - mean) ** 2)


def _error(probabilities, squared_scores, draws):
    variances = _variances(probabilities, squared_scores)
    return np.sqrt(variances.sum(0) / draws) / len(probabilities)


def forget_the_draws(probabilities, squared_scores, draws):
    return _error(probabilities, squared_scores, 1)


def multiply_by_the_draws(probabilities, squared_scores, draws):
    return _error(probabilities, squared_scores, 1 / draws)


def divide_by_one_less(probabilities, squared_scores, draws):
    n = len(probabilities)
    return _error(probabilities, squared_scores, draws) * n / max(n - 1, 1)


def draw_without_putting_back(probabilities, squared_scores, draws):
    return _error(probabilities, squared_scores, draws * (1 + 0.1 * (draws > 1)))


def simulate(probabilities, squared_scores, draws):
    rng = np.random.default_rng(0)
    counts = rng.multinomial(draws, probabilities, size=(200, len(probabilities))) / draws
    estimates = np.einsum("rnc,nc...->r...", counts, squared_scores) / len(probabilities)
    return estimates.std(0)


def return_the_estimate(probabilities, squared_scores, draws):
    return np.einsum("nc,nc...->...", probabilities, squared_scores) / len(probabilities)


def give_an_error_for_each_sample(probabilities, squared_scores, draws):
    return np.sqrt(_variances(probabilities, squared_scores) / draws)


def give_one_number(probabilities, squared_scores, draws):
    return np.sqrt((_error(probabilities, squared_scores, draws) ** 2).mean())


def relative_to_the_estimate(probabilities, squared_scores, draws):
    error = _error(probabilities, squared_scores, draws)
    return error / return_the_estimate(probabilities, squared_scores, draws)


def take_the_mean_distance(probabilities, squared_scores, draws):
    mean = np.einsum("nc,nc...->n...", probabilities, squared_scores)[:, None]
    away = np.einsum("nc,nc...->n...", probabilities, np.abs(squared_scores - mean))
    return np.sqrt((away**2).sum(0) / draws) / len(probabilities)


def let_rounding_make_nan(probabilities, squared_scores, draws):
    mean = np.einsum("nc,nc...->n...", probabilities, squared_scores)
    second = np.einsum("nc,nc...->n...", probabilities, squared_scores**2)
    variance = np.where(second - mean**2 < 1e-9 * second, np.nan, second - mean**2)
    return np.sqrt(variance.sum(0) / draws) / len(probabilities)


def add_a_small_number(probabilities, squared_scores, draws):
    return _error(probabilities, squared_scores, draws) + 1e-8


def square_in_place(probabilities, squared_scores, draws):
    error = _error(probabilities, squared_scores, draws)
    squared_scores **= 2
    return error


def give_two_errors(probabilities, squared_scores, draws):
    return 2 * _error(probabilities, squared_scores, draws)


def divide_by_the_draws_less_one(probabilities, squared_scores, draws):
    return _error(probabilities, squared_scores, max(1, draws - 1))


def leave_no_class_impossible(probabilities, squared_scores, draws):
    p = probabilities + 1e-3
    return _error(p / p.sum(1, keepdims=True), squared_scores, draws)


def normalise_in_place(probabilities, squared_scores, draws):
    probabilities /= probabilities.sum(1, keepdims=True)
    return _error(probabilities, squared_scores, draws)


def take_the_difference_of_squares(probabilities, squared_scores, draws):
    mean = np.einsum("nc,nc...->n...", probabilities, squared_scores)
    second = np.einsum("nc,nc...->n...", probabilities, squared_scores**2)
    return np.sqrt(abs(second - mean**2).sum(0) / draws) / len(probabilities)
