"""Right answers to `find_saturated_rows`, each in a style of its own."""

import math

import numpy as np
import torch


def one_minus_the_sum_of_squares(q, k, allowed, delta):
    scores = torch.einsum("hqd,hkd->hqk", q, k) / math.sqrt(q.shape[-1])
    p = torch.where(allowed, scores, -torch.inf).softmax(-1)
    return (1 - p.square().sum(-1) < delta) & (allowed.sum(-1) >= 2)


def trace_of_the_jacobian(q, k, allowed, delta):
    rows = torch.zeros(q.shape[:2], dtype=torch.bool)
    for head in range(q.shape[0]):
        for query in range(q.shape[1]):
            keys = k[head][allowed[query]]
            if len(keys) < 2:
                continue
            scores = keys @ q[head, query] / q.shape[-1] ** 0.5
            jacobian = torch.func.jacrev(lambda s: torch.softmax(s, 0))(scores)
            rows[head, query] = torch.trace(jacobian) < delta
    return rows


def exponentials_by_hand(q, k, allowed, delta):
    scores = torch.matmul(q, k.transpose(-2, -1)) * q.size(-1) ** -0.5
    scores = scores.where(allowed, torch.finfo(scores.dtype).min)
    weight = torch.exp(scores - scores.amax(-1, keepdim=True)) * allowed
    p = weight / weight.sum(-1, keepdim=True).clamp(min=1e-30)
    return ((p - p**2).sum(-1) < delta) & (allowed.sum(-1) > 1)


def attention_of_the_identity(q, k, allowed, delta):
    values = torch.eye(q.shape[1]).expand(q.shape[0], -1, -1)
    p = torch.nn.functional.scaled_dot_product_attention(q, k, values, attn_mask=allowed)
    return torch.logical_and((p * (1 - p)).sum(2) < delta, allowed.sum(1) > 1)


def an_added_bias(q, k, allowed, delta):
    bias = torch.zeros(allowed.shape).masked_fill(allowed.logical_not(), -1e9)
    p = torch.softmax(q @ k.permute(0, 2, 1) / q.shape[2] ** 0.5 + bias, dim=2)
    sensitivity = (p * (1 - p)).sum(2)
    return sensitivity.lt(delta) & allowed.sum(1).gt(1)


def in_numpy(q, k, allowed, delta):
    scores = (q @ k.mT).double().numpy() / q.shape[-1] ** 0.5
    scores = np.where(allowed, scores, -np.inf)
    top = np.where(allowed.any(1), scores.max(-1), 0)
    weight = np.exp(scores - top[..., None])
    p = weight / np.maximum(weight.sum(-1, keepdims=True), 1)
    few = allowed.numpy().sum(1) < 2
    return ((p * (1 - p)).sum(-1) < delta) & ~few
