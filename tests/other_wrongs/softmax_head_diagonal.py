"""Wrong answers to `softmax_head_diagonal` that come from none of its beliefs."""

import numpy as np


def _p(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _pair(features, spread):
    return spread.T @ features**2 / len(features), spread.mean(0)


def cut_large_logits(features, logits):
    p = _p(np.clip(logits, -500, 500))
    return _pair(features, p * (1 - p))


def let_nan_be_zero(features, logits):
    powers = np.exp(logits)
    p = np.nan_to_num(powers / powers.sum(1, keepdims=True))
    return _pair(features, p * (1 - p))


def take_the_mean_logit_off(features, logits):
    powers = np.exp(logits - logits.mean(1, keepdims=True))
    p = powers / powers.sum(1, keepdims=True)
    return _pair(features, p * (1 - p))


def add_a_small_number_below(features, logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    p = powers / (powers.sum(1, keepdims=True) + 0.01)
    return _pair(features, p * (1 - p))


def take_a_sigmoid(features, logits):
    p = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
    return _pair(features, p * (1 - p))


def take_the_standard_deviation(features, logits):
    p = _p(logits)
    return _pair(features, np.sqrt(p * (1 - p)))


def give_the_variance_twice(features, logits):
    p = _p(logits)
    return _pair(features, 2 * p * (1 - p))


def take_the_mean_over_classes(features, logits):
    p = _p(logits)
    return _pair(features, np.broadcast_to((p * (1 - p)).mean(1, keepdims=True), p.shape))


def return_the_other_way_round(features, logits):
    p = _p(logits)
    return _pair(features, p * (1 - p))[::-1]


def return_the_weight_alone(features, logits):
    p = _p(logits)
    return _pair(features, p * (1 - p))[0]


def leave_out_the_bias(features, logits):
    p = _p(logits)
    weight, bias = _pair(features, p * (1 - p))
    return weight, 0 * bias


def give_the_bias_one_number(features, logits):
    p = _p(logits)
    weight, bias = _pair(features, p * (1 - p))
    return weight, bias.mean()


def shift_in_place(features, logits):
    logits -= logits.max(1, keepdims=True)
    p = _p(logits)
    return _pair(features, p * (1 - p))


def add_a_small_number(features, logits):
    p = _p(logits)
    return _pair(features, p * (1 - p) + 0)[0] + 1e-8, (p * (1 - p)).mean(0)


def work_with_the_mean_probabilities(features, logits):
    p = np.broadcast_to(_p(logits).mean(0), logits.shape)
    return _pair(features, p * (1 - p))


def cut_the_probabilities(features, logits):
    p = np.clip(_p(logits), 1e-7, 1 - 1e-7)
    return _pair(features, p * (1 - p))


def return_one_array(features, logits):
    p = _p(logits)
    weight, bias = _pair(features, p * (1 - p))
    return np.column_stack([weight, bias])


def return_a_dict(features, logits):
    p = _p(logits)
    return dict(zip(("weight", "bias"), _pair(features, p * (1 - p)), strict=True))


def square_after_the_samples_are_added(features, logits):
    p = _p(logits)
    spread = p * (1 - p)
    return (spread.T @ features) ** 2 / len(features), spread.mean(0)
