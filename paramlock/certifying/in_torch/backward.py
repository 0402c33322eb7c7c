"""Take gradients of a loss and leave `.grad`, hooks and graph as they were.

`torch.autograd.grad` touches no `.grad` and wakes no optimizer that steps inside the backward pass.
Reentrant checkpointing refuses it; there `backward()` runs on gradients that are put away and come
back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from paramlock.models.in_torch import tensors_in


def nodes_of(outputs: Any) -> Iterator[Any]:
    """Yield the nodes of the graph of derivatives that ends in `outputs`."""
    ahead = [t.grad_fn for t in tensors_in(outputs)]
    seen: set[Any] = set()
    while ahead:
        node = ahead.pop()
        if node is not None and node not in seen:
            seen.add(node)
            ahead += [follower for follower, _ in node.next_functions]
            yield node


def gradients_of(value: Tensor, wanted: list[nn.Parameter]) -> tuple[Tensor | None, ...]:
    """The gradients of one number, `None` where no path leads to a parameter."""
    if not wanted:
        return ()
    nodes = list(nodes_of(value))
    if not any(hasattr(node, "_forward_cls") for node in nodes):
        return torch.autograd.grad(value, wanted, allow_unused=True)
    # A function written in Python may refuse, or hide what it pulls at: it is then not even called.
    try:
        found = torch.autograd.grad(value, wanted, allow_unused=True, retain_graph=True)
        if not any(gradient is None for gradient in found):
            return found
    except RuntimeError:
        pass
    with _gradients_put_away([*wanted, *_leaves(nodes)]):
        value.backward()
        return tuple(p.grad for p in wanted)


@contextlib.contextmanager
def _gradients_put_away(leaves: Iterable[Tensor]) -> Iterator[None]:
    """Clear `.grad`, and silence those who wait for it to be written, for a while."""
    kept = {leaf: leaf.grad for leaf in leaves}
    with contextlib.ExitStack() as silent:
        for leaf in kept:
            leaf.grad = None
            silent.enter_context(_silent(getattr(leaf, "_post_accumulate_grad_hooks", None)))
        try:
            yield
        finally:
            for leaf, gradient in kept.items():
                leaf.grad = gradient


@contextlib.contextmanager
def _silent(hooks: dict[int, Any] | None) -> Iterator[None]:
    """Take hooks out of the table that holds them, and put them back."""
    kept = dict(hooks or {})
    if hooks:
        hooks.clear()
    try:
        yield
    finally:
        if kept and hooks is not None:
            hooks.update(kept)


def beyond(value: Tensor, parameters: list[nn.Parameter], data: Any) -> list[Tensor]:
    """The leaves that `value` pulls at which are neither parameters nor data."""
    known = {id(t) for t in (*parameters, *tensors_in(data))}
    return [leaf for leaf in _leaves(nodes_of(value)) if id(leaf) not in known]


def _leaves(nodes: Iterable[Any]) -> list[Tensor]:
    return [node.variable for node in nodes if hasattr(node, "variable")]


# What a loss does to logits, what must not stand right before it, and the two in words.
SQUASHES = {
    "LogSoftmaxBackward0": ("SoftmaxBackward0", "cross-entropy takes a softmax itself"),
    "BinaryCrossEntropyWithLogitsBackward0": (
        "SigmoidBackward0",
        "binary cross-entropy with logits takes a sigmoid itself",
    ),
}


def twice_squashed(value: Tensor) -> list[str]:
    """Say in a note that a loss takes probabilities for logits: gradients shrink by it."""
    for node in nodes_of(value):
        before, why = SQUASHES.get(type(node).__name__, ("", ""))
        if before and type(node.next_functions[0][0]).__name__ == before:
            return [f"probabilities go into the loss as if they were logits: {why}"]
    return []


def closed_by_hooks(value: Tensor, wanted: list[nn.Parameter]) -> dict[nn.Parameter, Tensor]:
    """{parameter: where it has a gradient that a hook on it sets to zero}."""
    hooked = [p for p in wanted if p._backward_hooks]
    if not hooked:
        return {}
    try:
        changed = torch.autograd.grad(value, hooked, allow_unused=True, retain_graph=True)
        with contextlib.ExitStack() as silent:
            for parameter in hooked:
                silent.enter_context(_silent(parameter._backward_hooks))
            raw = torch.autograd.grad(value, hooked, allow_unused=True, retain_graph=True)
    except RuntimeError:  # refused by reentrant checkpointing: then it stays unknown
        return {}
    closed = {}
    for parameter, before, after in zip(hooked, raw, changed, strict=True):
        if before is not None and after is not None and not before.is_sparse:
            zeroed = (before != 0) & (after == 0)
            if bool(zeroed.any()):
                closed[parameter] = zeroed
    return closed
