"""Wrong answers to `soft_permutation` that come from none of its beliefs."""

import torch


def _check(scores, temperature):
    if scores.shape[-1] != scores.shape[-2] or temperature <= 0:
        raise ValueError("not square, or no temperature")


def _logs(scores, temperature, rounds):
    logs = scores / temperature
    for _ in range(rounds):
        logs = logs - logs.logsumexp(-1, keepdim=True)
        logs = logs - logs.logsumexp(-2, keepdim=True)
    return logs


def return_the_logarithms(scores, temperature, rounds):
    _check(scores, temperature)
    return _logs(scores, temperature, rounds)


def go_one_round_further(scores, temperature, rounds):
    _check(scores, temperature)
    return _logs(scores, temperature, rounds + 1).exp()


def stop_one_round_early(scores, temperature, rounds):
    _check(scores, temperature)
    return _logs(scores, temperature, rounds - 1).exp()


def divide_the_rows_once_more_at_the_end(scores, temperature, rounds):
    _check(scores, temperature)
    return _logs(scores, temperature, rounds).softmax(-1)


def divide_columns_only(scores, temperature, rounds):
    _check(scores, temperature)
    return (scores / temperature).softmax(-2)


def take_a_score_for_a_weight(scores, temperature, rounds):
    _check(scores, temperature)
    weights = scores / temperature
    for _ in range(rounds):
        weights = weights / weights.sum(-1, keepdim=True)
        weights = weights / weights.sum(-2, keepdim=True)
    return weights


def take_squares_for_weights(scores, temperature, rounds):
    _check(scores, temperature)
    weights = (scores / temperature).square()
    for _ in range(rounds):
        weights = weights / weights.sum(-1, keepdim=True)
        weights = weights / weights.sum(-2, keepdim=True)
    return weights


def apply_the_temperature_to_the_result(scores, temperature, rounds):
    _check(scores, temperature)
    return (_logs(scores, 1.0, rounds) / temperature).exp()


def forget_the_temperature(scores, temperature, rounds):
    _check(scores, temperature)
    return _logs(scores, 1.0, rounds).exp()


def soften_the_rows_and_then_count_on_weights(scores, temperature, rounds):
    """A column whose weights have all become 0 has no sum."""
    _check(scores, temperature)
    weights = (scores / temperature).softmax(-1)
    for k in range(rounds):
        weights = weights / weights.sum(-1, keepdim=True) if k else weights
        weights = weights / weights.sum(-2, keepdim=True)
    return weights


def add_a_small_number_to_every_sum(scores, temperature, rounds):
    _check(scores, temperature)
    scaled = scores / temperature
    weights = (scaled - scaled.max()).exp()
    for _ in range(rounds):
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-9)
        weights = weights / (weights.sum(-2, keepdim=True) + 1e-9)
    return weights


def put_zeros_where_there_is_no_number(scores, temperature, rounds):
    _check(scores, temperature)
    weights = (scores / temperature).exp()
    for _ in range(rounds):
        weights = weights / weights.sum(-1, keepdim=True)
        weights = weights / weights.sum(-2, keepdim=True)
    return weights.nan_to_num()


def clamp_the_scores(scores, temperature, rounds):
    _check(scores, temperature)
    return _logs(scores.clamp(-50, 50), temperature, rounds).exp()


def drop_the_gradient(scores, temperature, rounds):
    _check(scores, temperature)
    return _logs(scores.detach(), temperature, rounds).exp()


def learn_by_the_last_round_only(scores, temperature, rounds):
    _check(scores, temperature)
    before = _logs(scores, temperature, rounds - 1)
    start = scores / temperature
    held = (before - start).detach()
    return _logs(start + held, 1.0, 1).exp()


def let_a_negative_temperature_through(scores, temperature, rounds):
    if scores.shape[-1] != scores.shape[-2] or temperature == 0:
        raise ValueError("not square, or no temperature")
    return _logs(scores, temperature, rounds).exp()


def let_other_shapes_through(scores, temperature, rounds):
    if temperature <= 0:
        raise ValueError(temperature)
    return _logs(scores, temperature, rounds).exp()


def assert_the_shape(scores, temperature, rounds):
    assert scores.shape[-1] == scores.shape[-2]
    assert temperature > 0
    return _logs(scores, temperature, rounds).exp()


def write_into_the_scores(scores, temperature, rounds):
    _check(scores, temperature)
    found = _logs(scores, temperature, rounds).exp()
    with torch.no_grad():
        scores.copy_(found)
    return found


def answer_in_single_precision(scores, temperature, rounds):
    _check(scores, temperature)
    return _logs(scores.float(), temperature, rounds).exp().round(decimals=2)


def flatten_what_comes_together(scores, temperature, rounds):
    _check(scores, temperature)
    n = scores.shape[-1]
    return _logs(scores.reshape(-1, n, n)[0], temperature, rounds).exp().expand(scores.shape)
