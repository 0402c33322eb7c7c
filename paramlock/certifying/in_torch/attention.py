"""Rows of attention in torch, and how far each is from the flat part of its softmax.

A *row* holds the weights that one query gives to all keys. Its derivatives with respect to the
scores are at most p (1 - p), p its largest weight: a row that gives nearly all to one key is
saturated, like a sigmoid far out. A row without a choice, where masks leave one key, is left out.
A unit here is a head.
"""

from __future__ import annotations

import inspect
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from paramlock.certifying.records import EVEN, MASKED

FUSED = {"scaled_dot_product_attention", "multi_head_attention_forward"}
PRODUCTS = {"matmul", "bmm", "mm", "einsum", "baddbmm"}


class Rows(NamedTuple):
    """`slopes` (…, head, query) of attention rows; those that are not `counted` are zero."""

    slopes: Tensor
    counted: Tensor


def of_softmax(scores: Tensor, dim: Any) -> Rows | None:
    """The rows of a softmax over the last of three or more axes."""
    if scores.ndim < 3 or dim not in (-1, scores.ndim - 1):
        return None
    scores = scores.detach().float()
    keys = (scores > scores.amax(-1, keepdim=True) - MASKED).sum(-1)
    return _rows(scores.softmax(-1), keys)


def of_fused(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Rows | None:
    """The rows inside the call `name(*args, **kwargs)`, computed again."""
    with torch.no_grad():
        if name == "multi_head_attention_forward":
            return _multi_head(args, kwargs)
        return of_softmax(_scores(*args, **kwargs), -1)


def _rows(weights: Tensor, keys: Tensor) -> Rows:
    """The rows of `weights` (…, head, query, key), of which `keys` are not masked."""
    if weights.ndim < 4:
        weights, keys = weights.unsqueeze(-3), keys.unsqueeze(-2)
    top, counted = weights.amax(-1), keys > 1
    slopes = torch.where(top > 0.5, top * (1 - top), EVEN)
    return Rows(slopes * counted, counted)


def owner_weight(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The weight that makes the queries of a `multi_head_attention_forward`."""
    named = _named(args, kwargs)
    packed: Tensor | None = named["in_proj_weight"]
    return named.get("q_proj_weight") if packed is None else packed


def _named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs).arguments


def _multi_head(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Rows:
    """Ask the function itself for its weights; once more without scores, to see its masks."""
    named = _named(args, kwargs)
    named |= {"need_weights": True, "average_attn_weights": False, "training": False}
    bias = named["in_proj_bias"]
    blank: dict[str, Any] = {"query": torch.zeros_like(named["query"])}
    blank["in_proj_bias"] = None if bias is None else torch.zeros_like(bias)
    return _rows(_weights(named).float(), (_weights(named | blank) > 0).sum(-1))


def _weights(named: dict[str, Any]) -> Tensor:
    result: Any = F.multi_head_attention_forward(**named)
    return result[1]


def _scores(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """What `scaled_dot_product_attention` takes the softmax of."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = query @ key.mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = scores.new_ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is None:
        return scores
    if attn_mask.dtype == torch.bool:
        return scores.masked_fill(~attn_mask, -math.inf)
    return scores + attn_mask
