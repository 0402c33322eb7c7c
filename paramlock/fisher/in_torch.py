"""The Fisher diagonal of torch modules, layer by layer.

One forward pass records every *call* of a layer whose rule is known: its input and the place in
the graph where its output left. One backward pass per cotangent gives the gradient there, and the
rule turns input and gradient into per-sample gradients of the layer's parameters, or straight
into the sum of their squares. Ordinary weight gradients are never computed, so a dense network
costs the same three matrix products as one training step.

A parameter is *explained* when every edge of the graph that ends in it belongs to a recorded
call. All others (used functionally, packed, reparametrised, …) are measured sample by sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from paramlock.fisher.likelihood_in_torch import cotangents
from paramlock.fisher.rules_in_torch import PART, RULES, Call, meter
from paramlock.fisher.samples import labelled
from paramlock.models.batches import arrays, explained, rows_of, samples_in
from paramlock.models.batches import call as run
from paramlock.models.in_torch import (
    bare_name,
    check_model,
    eagerly,
    precision,
    within_wrappers,
)
from paramlock.models.modes import evaluating


def diagonal(
    model: nn.Module, data: Iterable[Any], *, kind: str, likelihood: str, draws: int, seed: int
) -> dict[str, Tensor]:
    """See `paramlock.fisher_diagonal`."""
    params = _parameters(model)
    totals: dict[Tensor, Tensor] = {}
    generator = torch.Generator().manual_seed(seed)
    count = 0
    with _measurable(model, params), torch.enable_grad():
        for inputs, targets in _parts(model, labelled(data, kind)):
            calls, outputs = _forward(model, inputs)
            scores = list(cotangents(outputs.detach(), targets, kind, likelihood, draws, generator))
            for parameter, squares in _squares(model, inputs, calls, outputs, scores, params):
                _accumulate(totals, parameter, squares)
            count += samples_in(inputs)
    return {
        name: totals[p].div_(count) if p in totals else torch.zeros_like(p, dtype=precision(p))
        for name, p in params.items()
    }


def _parts(model: nn.Module, pairs: Iterable[Any]) -> Iterator[Any]:
    """Cut batches for convolutions, whose activations are large: cache serves a part faster."""
    step = PART if any(isinstance(m, nn.modules.conv._ConvNd) for m in model.modules()) else None
    for inputs, targets in pairs:
        _check_arrays(inputs, targets)
        n = samples_in(inputs)
        for start in range(0, n, step or n):
            rows = slice(start, start + (step or n))
            yield rows_of(inputs, rows), None if targets is None else targets[rows]


def _check_arrays(inputs: Any, targets: Any) -> None:
    for part in (*arrays(inputs), *arrays(targets)):
        if not torch.is_tensor(part) or not part.ndim:
            raise ValueError(
                f"the data hold a {type(part).__name__} of shape {tuple(part.shape)}: pass torch "
                "tensors (n, …), the samples along the first axis"
            )


def _accumulate(totals: dict[Tensor, Tensor], parameter: Tensor, squares: Tensor) -> None:
    if parameter in totals:
        totals[parameter] += squares
    else:
        totals[parameter] = squares  # no zeros first: fresh memory costs as much as the sums


def _parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    check_model(model)
    named = ((bare_name(name), p) for name, p in model.named_parameters())
    return {name: p for name, p in named if p.is_floating_point()}


@contextmanager
def _measurable(model: nn.Module, params: dict[str, nn.Parameter]) -> Iterator[None]:
    """Evaluation mode and every parameter in the graph; all flags come back afterwards."""
    _refuse_batch_statistics(model)
    frozen = [p for p in params.values() if not p.requires_grad]
    try:
        for parameter in frozen:
            parameter.requires_grad_(True)
        with evaluating(model), eagerly(), _without_reentry():
            yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


@contextmanager
def _without_reentry() -> Iterator[None]:
    """Let reentrant checkpoints keep what they would compute again.

    They refuse `torch.autograd.grad`, and hide what is inside of them from the graph.
    """

    class Kept:
        @staticmethod
        def apply(function: Any, preserve: bool, *args: Any) -> Any:
            return function(*args)

    with mock.patch.object(torch.utils.checkpoint, "CheckpointFunction", Kept):
        yield


def _refuse_batch_statistics(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            raise ValueError(
                f"batch normalisation {name!r} keeps no running statistics, so samples depend on "
                "each other even in evaluation mode: build it with track_running_stats=True"
            )


# --- one forward pass, one backward pass per cotangent --------------------------------------


def _forward(model: nn.Module, inputs: Any) -> tuple[list[Call], Tensor]:
    calls: list[Call] = []

    def record(layer: Any, args: Any, kwargs: Any, output: Any) -> None:
        given = args[0] if args else kwargs.get("input")
        if torch.is_tensor(given) and torch.is_tensor(output) and output.requires_grad:
            kept = given.detach()
            calls.append(Call(layer, kept, kept._version, get_gradient_edge(output), output.shape))

    layers = [m for m in model.modules() if type(m) in RULES and RULES[type(m)].fits(m)]
    hooks = [layer.register_forward_hook(record, with_kwargs=True) for layer in layers]
    try:
        with explained(None, inputs):
            outputs = run(within_wrappers(model), inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return calls, _checked(outputs, samples_in(inputs))


def _checked(outputs: Any, n: int) -> Tensor:
    if not torch.is_tensor(outputs):
        raise ValueError(f"the model returns {type(outputs).__name__}; wrap it to return a tensor")
    if not outputs.requires_grad:
        raise ValueError(
            "the outputs hang on no parameter: the model runs under no_grad or detaches them"
        )
    if outputs.shape[:1] != (n,):
        raise ValueError(
            f"{n} samples gave outputs of the shape {tuple(outputs.shape)}; the first axis of "
            "inputs and outputs must be the sample"
        )
    return outputs


def _squares(
    model: nn.Module,
    inputs: Any,
    calls: list[Call],
    outputs: Tensor,
    scores: list[Tensor],
    named: dict[str, nn.Parameter],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (parameter, sum over samples and cotangents of squared per-sample gradients)."""
    ends, parameters = _edges_into_parameters(outputs), named.values()
    uses = _uses(calls, samples_in(inputs))
    explained: list[Tensor] = [p for p in parameters if ends[p] and len(uses.get(p, [])) == ends[p]]
    meters = {p: meter(uses[p]) for p in explained}
    edges = {id(call): call.edge for p in explained for call, _ in uses[p]}
    for score in scores if edges else []:
        # float16 outputs want float16 cotangents
        found = torch.autograd.grad(
            outputs, list(edges.values()), score.to(outputs.dtype), retain_graph=True
        )
        gradients = dict(zip(edges, found, strict=True))
        for counted in meters.values():
            counted.add(gradients)
    yield from ((p, counted.total()) for p, counted in meters.items())
    rest: list[Tensor] = [p for p in parameters if ends[p] and p not in meters]
    if rest:
        yield from _sample_by_sample(model, inputs, scores, rest)


def _edges_into_parameters(outputs: Tensor) -> Counter[Tensor]:
    """Count the graph's edges that end in each leaf."""
    ends: Counter[Tensor] = Counter()
    seen: set[Any] = set()
    stack: list[Any] = [outputs.grad_fn]
    while stack:
        for node, _ in stack.pop().next_functions:
            if hasattr(node, "variable"):
                ends[node.variable] += 1
            elif node is not None and node not in seen:
                seen.add(node)
                stack.append(node)
    return ends


def _uses(calls: list[Call], n: int) -> dict[Tensor, list[tuple[Call, str]]]:
    """List the recorded calls of each parameter, with its name in the layer."""
    uses: dict[Tensor, list[tuple[Call, str]]] = {}
    for call in calls:
        layer, inputs, version, _, outputs = call
        # an input that was overwritten later, or whose rows are not the samples, is of no use
        if inputs._version == version and _rows_are_samples(layer, inputs, outputs, n):
            for name in ("weight", "bias"):  # pruned layers own a "weight_orig": not the same
                parameter = layer._parameters.get(name)
                if parameter is not None:
                    uses.setdefault(parameter, []).append((call, name))
    return uses


def _rows_are_samples(layer: Any, inputs: Tensor, outputs: torch.Size, n: int) -> bool:
    """Whether axis 0 is the sample; where a later axis is as long, nobody can tell (time first)."""
    free = inputs.shape[1:-1] if isinstance(layer, nn.Linear | nn.LayerNorm | nn.RMSNorm) else ()
    if isinstance(layer, nn.Embedding):
        free = inputs.shape[1:]
    return inputs.shape[:1] == outputs[:1] == (n,) and (n == 1 or n not in free)


def _sample_by_sample(
    model: nn.Module, inputs: Any, scores: list[Tensor], parameters: list[Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    totals = [torch.zeros_like(p, dtype=precision(p)) for p in parameters]
    for row in range(samples_in(inputs)):
        outputs = run(within_wrappers(model), rows_of(inputs, slice(row, row + 1)))
        for score in scores:
            found = torch.autograd.grad(
                outputs,
                parameters,
                score[row : row + 1].to(outputs.dtype),
                retain_graph=True,
                allow_unused=True,
            )
            for total, gradient in zip(totals, found, strict=True):
                if gradient is not None:
                    total += gradient.to(total.dtype).square()
    return zip(parameters, totals, strict=True)
