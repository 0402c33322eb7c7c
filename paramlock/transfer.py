"""Layer-wise transfer profile: how far up a network what it learned before is of use.

For each depth, a copy of the pretrained network is frozen up to there, started afresh above, and
trained on the new task (*AnB* in Yosinski et al. 2014, "How transferable are features in deep
neural networks?", §3). Where the score falls off, features have become specific to the old task.
With ``fresh=False`` the layers above keep their weights: the usual choice of freezing depth.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def transfer_profile(
    model: nn.Module,
    layers: Sequence[str],
    train: Callable[[nn.Module], object],
    score: Callable[[nn.Module], float],
    *,
    fresh: bool = True,
    seed: int = 0,
) -> dict[str, float]:
    """Return {layer: score} after training with everything up to that layer frozen.

    The key "" stands for nothing frozen. ``model`` itself is not touched: each depth trains a
    copy, from the same seed.

    Args:
        model: the pretrained torch network.
        layers: paths of its modules from the input up, as ``get_submodule`` takes them. A frozen
            module is frozen whole: parameters, and statistics too, for its copy stays in
            evaluation mode whatever ``train`` calls. Modules that are not named train on from
            the weights they have.
        train: trains its argument in place, on the parameters with ``requires_grad``.
        score: measures the trained network, say its accuracy on held-out data.
        fresh: start the named layers above the cut afresh, by their ``reset_parameters``.
        seed: of torch's generator before each depth.

    Raises:
        ValueError: no layers, an unknown or repeated path.
    """
    import torch

    known = dict(model.named_modules())
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
        scores[path] = float(score(network))
    return scores


def _start(network: nn.Module, layers: Sequence[str], depth: int, fresh: bool) -> None:
    for path in layers[:depth]:
        for module in network.get_submodule(path).requires_grad_(False).modules():
            module.register_forward_pre_hook(_evaluate)
    for path in layers[depth:] if fresh else ():
        for module in network.get_submodule(path).modules():
            if reset := getattr(module, "reset_parameters", None):
                reset()


def _evaluate(module: nn.Module, _inputs: object) -> None:
    """Undo what a training loop's ``network.train()`` did to a frozen module."""
    module.eval()
