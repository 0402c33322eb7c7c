"""Wrong answers to `find_saturated_rows` that come from none of its beliefs."""

import math

import torch


def _scores(q, k):
    return q @ k.mT / math.sqrt(q.shape[-1])


def _weights(q, k, allowed):
    return _scores(q, k).masked_fill(~allowed, -math.inf).softmax(-1)


def _rows(p, allowed, delta):
    return ((p * (1 - p)).sum(-1) < delta) & (allowed.sum(-1) > 1)


def count_the_keys_of_a_weight_above_zero(q, k, allowed, delta):
    p = _weights(q, k, allowed)
    return _rows(p, p > 0, delta)


def raise_the_scores_as_they_are(q, k, allowed, delta):
    raised = _scores(q, k).exp() * allowed
    return _rows(raised / raised.sum(-1, keepdim=True), allowed, delta)


def give_forbidden_keys_a_score_of_minus_ten(q, k, allowed, delta):
    return _rows(_scores(q, k).masked_fill(~allowed, -10.0).softmax(-1), allowed, delta)


def give_forbidden_keys_a_score_of_minus_a_hundred(q, k, allowed, delta):
    return _rows(_scores(q, k).masked_fill(~allowed, -100.0).softmax(-1), allowed, delta)


def share_out_among_all_keys_and_divide_by_the_sum(q, k, allowed, delta):
    p = _scores(q, k).softmax(-1) * allowed
    return _rows((p / p.sum(-1, keepdim=True)).nan_to_num(), allowed, delta)


def subtract_the_highest_score_of_all_keys(q, k, allowed, delta):
    scores = _scores(q, k)
    raised = (scores - scores.amax(-1, keepdim=True)).exp() * allowed
    return _rows(raised / raised.sum(-1, keepdim=True), allowed, delta)


def add_a_small_number_to_the_sum(q, k, allowed, delta):
    scores = _scores(q, k)
    raised = (scores - scores.amax(-1, keepdim=True)).exp() * allowed
    return _rows(raised / (raised.sum(-1, keepdim=True) + 1e-9), allowed, delta)


def ignore_the_mask(q, k, allowed, delta):
    return _rows(_scores(q, k).softmax(-1), allowed, delta)


def take_every_mask_for_causal(q, k, allowed, delta):
    return _rows(_weights(q, k, torch.ones_like(allowed).tril()), allowed, delta)


def divide_by_the_root_of_the_length(q, k, allowed, delta):
    scores = (q @ k.mT / math.sqrt(q.shape[1])).masked_fill(~allowed, -math.inf)
    return _rows(scores.softmax(-1), allowed, delta)


def divide_by_the_root_of_the_heads(q, k, allowed, delta):
    scores = (q @ k.mT / math.sqrt(len(q))).masked_fill(~allowed, -math.inf)
    return _rows(scores.softmax(-1), allowed, delta)


def divide_after_the_softmax(q, k, allowed, delta):
    scores = (q @ k.mT).masked_fill(~allowed, -math.inf)
    return _rows(scores.softmax(-1) / math.sqrt(q.shape[-1]), allowed, delta)


def compare_keys_with_queries(q, k, allowed, delta):
    return _rows(_weights(k, q, allowed), allowed, delta)


def add_up_the_whole_jacobian(q, k, allowed, delta):
    """By size: what lies off the diagonal is as much again as what lies on it."""
    p = _weights(q, k, allowed)
    jacobian = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
    return (jacobian.abs().sum((-1, -2)) < delta) & (allowed.sum(-1) > 1)


def take_the_norm_of_the_jacobian(q, k, allowed, delta):
    p = _weights(q, k, allowed)
    jacobian = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
    return (jacobian.square().sum((-1, -2)).sqrt() < delta) & (allowed.sum(-1) > 1)


def ask_for_three_keys(q, k, allowed, delta):
    return _rows(_weights(q, k, allowed), allowed, delta) & (allowed.sum(-1) > 2)


def spare_the_rows_that_miss_a_key(q, k, allowed, delta):
    return _rows(_weights(q, k, allowed), allowed, delta) & allowed.all(-1)


def count_the_queries_that_see_a_key(q, k, allowed, delta):
    p = _weights(q, k, allowed)
    return ((p * (1 - p)).sum(-1) < delta) & (allowed.sum(0) > 1)


def let_all_heads_decide(q, k, allowed, delta):
    rows = _rows(_weights(q, k, allowed), allowed, delta)
    return rows.all(0, keepdim=True).expand_as(rows)


def judge_the_first_head_only(q, k, allowed, delta):
    rows = _rows(_weights(q, k, allowed), allowed, delta)
    return rows[:1].expand_as(rows)


def name_the_rows(q, k, allowed, delta):
    return _rows(_weights(q, k, allowed), allowed, delta).nonzero()


def give_the_sums(q, k, allowed, delta):
    p = _weights(q, k, allowed)
    return (p * (1 - p)).sum(-1).nan_to_num()


def mark_with_ones(q, k, allowed, delta):
    return _rows(_weights(q, k, allowed), allowed, delta).float()


def divide_the_queries_in_place(q, k, allowed, delta):
    q /= math.sqrt(q.shape[-1])
    return _rows((q @ k.mT).masked_fill(~allowed, -math.inf).softmax(-1), allowed, delta)


def let_each_query_see_itself(q, k, allowed, delta):
    seen = allowed | torch.eye(len(allowed), dtype=torch.bool)
    return _rows(_weights(q, k, seen), seen, delta)


def turn_the_mask_in_place(q, k, allowed, delta):
    few = allowed.sum(-1) < 2
    p = _scores(q, k).masked_fill(allowed.logical_not_(), -math.inf).softmax(-1)
    return ((p * (1 - p)).sum(-1) < delta) & ~few


def give_forbidden_keys_a_score_of_minus_ten_thousand(q, k, allowed, delta):
    p = _scores(q, k).masked_fill(~allowed, -1e4).softmax(-1)
    return _rows(p, allowed, delta)


def take_ten_thousand_off_the_scores_of_forbidden_keys(q, k, allowed, delta):
    p = (_scores(q, k) - 1e4 * ~allowed).softmax(-1)
    return _rows(p, allowed, delta)


def ask_for_a_weight_above_nine_tenths(q, k, allowed, delta):
    return (_weights(q, k, allowed).amax(-1) > 0.9) & (allowed.sum(-1) > 1)


def divide_by_four(q, k, allowed, delta):
    p = (q @ k.mT / 4).masked_fill(~allowed, -math.inf).softmax(-1)
    return _rows(p, allowed, delta)


def squeeze_the_heads(q, k, allowed, delta):
    return _rows(_weights(q, k, allowed), allowed, delta).squeeze()


def expect_two_heads(q, k, allowed, delta):
    heads = [_rows(_weights(q[head], k[head], allowed), allowed, delta) for head in (0, 1)]
    return torch.stack(heads)


def score_in_half_precision(q, k, allowed, delta):
    return _rows(_weights(q.bfloat16(), k.bfloat16(), allowed).float(), allowed, delta)


def ask_for_two_keys_in_the_whole_mask(q, k, allowed, delta):
    p = _weights(q, k, allowed)
    return ((p * (1 - p)).sum(-1) < delta) & (allowed.sum() > 1)


def mask_the_queries(q, k, allowed, delta):
    return _rows(_weights(q, k, allowed.T), allowed, delta)
