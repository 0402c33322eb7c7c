"""Transfer: how far up a network what it learned before is of use, and features computed once.

The *layer-wise transfer profile*: for each depth, a copy of the pretrained network is frozen up to
there, started afresh above, and trained on the new task (*AnB* in Yosinski et al. 2014, "How
transferable are features in deep neural networks?", §3). Where the score falls off, features
have become specific to the old task. With `fresh=False` the layers above keep their
weights: the usual choice of freezing depth.

*Cached features*: where only a head trains, all below it computes the same numbers in every epoch.
Computing them once leaves training the cost of the head alone.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from paramlock.freezing.in_torch import freeze, parts_of, places_in
from paramlock.freezing.proof_in_torch import HEEDING, close, same_output
from paramlock.models.batches import arrays, batches_of, call, split
from paramlock.models.in_torch import check_model
from paramlock.models.modes import evaluating


def transfer_profile(
    model: nn.Module,
    layers: Sequence[str],
    train: Callable[[nn.Module], object],
    score: Callable[[nn.Module], float],
    *,
    fresh: bool = True,
    seed: int = 0,
) -> dict[str, float]:
    """{layer: score} after training with everything up to that layer frozen.

    The key "" stands for nothing frozen. `model` itself is not touched: each depth trains a
    copy, from the same seed.

    Args:
        model: the pretrained torch network.
        layers: paths of its modules from the input up, as `get_submodule` takes them. A frozen
            module is frozen whole: parameters, and statistics too, for its copy stays in
            evaluation mode whatever `train` calls. Modules that are not named train on from
            the weights they have.
        train: trains its argument in place, on the parameters with `requires_grad`.
        score: measures the trained network, say its accuracy on held-out data.
        fresh: start the named layers above the cut afresh, by their `reset_parameters`.
        seed: of torch's generator before each depth.

    Raises:
        ValueError: no layers, an unknown or repeated path, a model without values, no score.
        TypeError: no torch network.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is {type(model).__name__}: pass the pretrained torch network")
    check_model(model)
    _refuse_whole_numbers(model)
    known = dict(model.named_modules())
    layers = [layers] if isinstance(layers, str) else layers
    unknown = [path for path in layers if path not in known]
    if not layers or unknown or len(set(layers)) < len(layers):
        raise ValueError(
            f"layers must name modules of the model once each; unknown: {unknown or 'none'}"
        )
    scores = {}
    for depth, path in enumerate(["", *layers]):
        torch.manual_seed(seed)
        network = copy.deepcopy(model)
        _start(network, layers, depth, fresh)
        train(network)
        value = score(network)
        if value is None:
            raise ValueError("score returned None: return what it measured, say an accuracy")
        scores[path] = float(value)
    return scores


def _refuse_whole_numbers(model: nn.Module) -> None:
    """Raise `ValueError` for parameters that cannot be drawn anew."""
    for name, parameter in model.named_parameters():
        if not (parameter.is_floating_point() or parameter.is_complex()):
            raise ValueError(
                f"parameter {name!r} is of type {parameter.dtype}, which cannot be trained anew: "
                "take the model before it is quantised"
            )


def _start(network: nn.Module, layers: Sequence[str], depth: int, fresh: bool) -> None:
    if depth:
        freeze(network, *layers[:depth])
    for path in layers[depth:] if fresh else ():
        for module in network.get_submodule(path).modules():
            if reset := getattr(module, "reset_parameters", None):
                reset()


def cached_features(model: nn.Module, head: str, data: Any) -> TensorDataset:
    """What reaches `head` for each sample, with its target, to train the head on.

    ::

        freeze(model, "backbone")
        features = cached_features(model, "head", loader)
        for x, y in DataLoader(features, 64, shuffle=True):
            loss(model.head(x), y).backward()
            ...

    The model is run over `data` once, without gradients, and is left as it was. Random
    augmentation in `data` is drawn once too: to keep it, cache several passes.

    Args:
        model: a torch model whose last module is `head`; all else in it is frozen.
        head: its path.
        data: one `(inputs, targets)` batch or a loader of them, as `certificate` takes it.

    Raises:
        ValueError: something below the head trains, is random or is in training mode; the head is
            not called once with one tensor, or its output is not the model's; targets that are no
            tensor; no data.
    """
    module = _module(model, head)
    _require_frozen(model, head)
    features: list[Tensor] = []
    targets: list[Tensor] = []
    with torch.no_grad(), _recording(module) as seen:
        for batch in batches_of(data):
            inputs, target = split(batch)
            features.append(_features(model, module, inputs, seen, check=not features))
            targets.append(_tensor(target))
    if not features:
        raise ValueError("the data holds no batch: pass at least one (a used-up iterator?)")
    return TensorDataset(torch.cat(features), torch.cat(targets))


def _module(model: nn.Module, head: str) -> nn.Module:
    places = places_in(model, [head])
    module = places.get(head)
    if len(places) > 1 or module is None:
        raise ValueError(f"the head is one module, not {', '.join(map(repr, places))}")
    if isinstance(module, nn.Parameter):
        raise ValueError(f"{head!r} is a parameter: name the module that ends the model")
    return module


def _require_frozen(model: nn.Module, head: str) -> None:
    below = [
        (name, part) for name, part in parts_of(model) if not f"{name}.".startswith(f"{head}.")
    ]
    trains = [n for n, p in below if isinstance(p, nn.Parameter) and p.requires_grad]
    heeds = [n for n, p in below if isinstance(p, HEEDING) and p.training]
    for names, state in ((trains, "trainable"), (heeds, "in training mode")):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ValueError(
                f"{', '.join(names[:3])}{more} below {head!r} {'is' if len(names) == 1 else 'are'} "
                f"{state}, so features change from step to step: freeze what is below, with "
                "paramlock.torch.freeze"
            )


@contextlib.contextmanager
def _recording(head: nn.Module) -> Iterator[list[Any]]:
    """Yield a list of what the head was called with; it is in evaluation mode meanwhile."""
    seen: list[Any] = []
    handle = head.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append((args, kwargs)), with_kwargs=True
    )
    try:
        with evaluating(head):
            yield seen
    finally:
        handle.remove()


def _features(
    model: nn.Module, head: nn.Module, inputs: Any, seen: list[Any], check: bool
) -> Tensor:
    seen.clear()
    output = call(model, inputs)
    features = _only(seen)
    if check:
        seen.clear()
        call(model, inputs)
        if not same_output(features, _only(seen)):
            raise ValueError(
                "the same input gives other features each time, so something below the head is "
                "random (dropout as a function in a module in training mode?): freeze that module"
            )
        if not _contains(output, head(features)):
            raise ValueError(
                "the output of the model is not that of the head: name a module that ends the "
                "model, or do in the loss what comes after it"
            )
    return features


def _contains(output: Any, wanted: Any) -> bool:
    """Whether an output, or a part of one with names, is that of the head."""
    parts = (part for part in arrays(output) if part.shape == getattr(wanted, "shape", None))
    return any(close(part, wanted) for part in parts)


def _only(seen: list[Any]) -> Tensor:
    args, kwargs = seen[0] if len(seen) == 1 else ((), {})
    if len(args) != 1 or kwargs or not isinstance(args[0], Tensor):
        raise ValueError(
            f"the head was called {len(seen)} times in one pass, or not with one tensor alone, so "
            "there is nothing to cache for it"
        )
    return args[0].clone()


def _tensor(target: Any) -> Tensor:
    if isinstance(target, Tensor):
        return target
    raise ValueError(f"targets are {type(target).__name__}: give a tensor for each batch")
