"""Derivatives of the gates inside torch's fused LSTM and GRU, by replaying them layer by layer.

A fused function shows its output only. From the inputs and the outputs of each layer its gates
follow in one product, for the state before a step is the output of the step before. A unit here is
a row of `weight_ih`: the gates i, f, g, o of an LSTM, r, z, n of a GRU, one layer after another.
Bidirectional, projected and packed sequences are not replayed; dropout between layers is left out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

FUSED = {"lstm", "gru"}
CELLS = {"lstm_cell", "gru_cell"}


@torch.no_grad()
def slopes(name: str, args: tuple[Any, ...]) -> Tensor | None:
    """The derivatives, (time, sample, unit), of the call `name(*args)`, if known."""
    if name in CELLS:
        state = args[1][0] if name == "lstm_cell" else args[1]
        return _gates(name.removesuffix("_cell"), args[0], state, list(args[2:]))
    if isinstance(args[1], Tensor) and name == "lstm":
        return None  # packed: the second argument is the batch sizes
    return _fused(name, *args) if len(args) == 9 and isinstance(args[3], bool) else None


def _fused(
    name: str, inputs: Tensor, state: Any, weights: Any, bias: bool, layers: int,
    dropout: float, training: bool, both_ways: bool, batch_first: bool,
) -> Tensor | None:  # fmt: skip
    width = 4 if bias else 2
    if both_ways or len(weights) != width * layers:
        return None
    inputs = inputs.transpose(0, 1) if batch_first and inputs.ndim == 3 else inputs
    found = []
    for i in range(layers):
        own = list(weights[width * i : width * (i + 1)])
        start: Any = tuple(s[i : i + 1] for s in state) if name == "lstm" else state[i : i + 1]
        run: Any = torch.lstm if name == "lstm" else torch.gru
        outputs = run(inputs, start, own, bias, 1, 0.0, False, False, False)[0]
        before = torch.cat([start[0] if name == "lstm" else start, outputs[:-1]])
        found.append(_gates(name, inputs, before, own))
        inputs = outputs
    return torch.cat(found, -1)


def _gates(name: str, inputs: Tensor, before: Tensor, weights: list[Any]) -> Tensor:
    """The derivatives of all gates of one layer."""
    into, across, *biases = weights
    new = F.linear(inputs, into, biases[0] if biases else None)
    old = F.linear(before, across, biases[1] if biases else None)
    if name == "lstm":
        i, f, g, o = (new + old).chunk(4, -1)
        return torch.cat([_sigmoid(i), _sigmoid(f), 1 - g.tanh() ** 2, _sigmoid(o)], -1)
    (r, z, n), (r_old, z_old, n_old) = new.chunk(3, -1), old.chunk(3, -1)
    last = (n + (r + r_old).sigmoid() * n_old).tanh()
    return torch.cat([_sigmoid(r + r_old), _sigmoid(z + z_old), 1 - last**2], -1)


def _sigmoid(x: Tensor) -> Tensor:
    return x.sigmoid() * (1 - x.sigmoid())
