"""Prove a freeze by what training does: nothing that is meant to stay may move, not by one bit.

A flag, one norm, or a look at the weights alone proves little: a rotation keeps every norm, and
running statistics change a network whose parameters stand still. So real training steps are taken,
and parameters, buffers and outputs of the frozen parts are compared before and after. What moved
is named, with how far and why, as far as it can be told from what the optimizer was given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

SHOWN = 8  # lines for one cause

CAUSES = {
    "trainable": "it gets a gradient: requires_grad is on",
    "stale": "a stale gradient: requires_grad is off, but .grad is not None, so the optimizer "
    "applies it again at every step; set it to None when freezing",
    "momentum": "momentum from earlier steps (zeros as gradient do not stop it, .grad = None does)",
    "decay": "weight decay (zeros as gradient do not stop it, .grad = None does)",
    "optimizer": "the optimizer moves it without a gradient: take it out of its parameter groups",
    "assigned": "it was written to outside of any optimizer's step (an average of weights, a "
    "loaded checkpoint, clipping?)",
    "replaced": "another tensor stands in its place, or none",
    "statistics": "running statistics: the layer is in training mode; model.train() undoes an "
    "earlier .eval(), paramlock.freeze keeps it",
    "buffer": "the forward pass writes to this buffer",
    "noise": "the same input gives another output each time: dropout or other noise is on",
    "mode": "in training mode it computes something else than in evaluation: statistics of the "
    "batch, or something random",
    "contents": "its parameters or buffers moved",
    "updates": "its updates are not zero; zero the updates and keep decay and state off it, as "
    "paramlock.freeze_paths does",
    "updates decay": "weight decay in the updates: zeroed gradients do not stop it; keep the "
    "transformation off these paths, as paramlock.freeze_paths does",
    "statistics jax": "running statistics: the layer uses the batch's; call .eval() on it after "
    "every model.train(), or pass use_running_average=True",
}


class Moved(NamedTuple):
    """One thing that should have stayed.

    ``kind``: "parameter", "buffer" or "output". ``distance``: norm of the change over the norm of
    what it was. ``causes``: keys of ``CAUSES``. ``training``: layers in training mode that matter.
    """

    name: str
    kind: str
    entries: int
    size: int
    distance: float
    causes: tuple[str, ...]
    training: tuple[str, ...] = ()

    def __str__(self) -> str:
        name = self.name or "of the whole model"
        far = f"by {self.distance:.3g}" if math.isfinite(self.distance) else "away from zero"
        layers = f" (in training mode: {', '.join(self.training)})" if self.training else ""
        return f"{self.kind} {name}: {self.entries} of {self.size} entries, {far}{layers}"


def assert_frozen(
    model: Any, names: str | Iterable[str], step: Callable[..., Any], steps: int = 5
) -> None:
    """Take training steps and raise ``AssertionError`` if anything in the named parts moved.

    ::

        paramlock.freeze(model, "encoder")
        paramlock.assert_frozen(model, ["encoder"], lambda: train_step(model, next(batches)))

    The steps are real, so the rest of the model learns by them. The parameters and buffers below
    the names are compared bit by bit. In torch, each module must also give the output of its first
    call again for the same input, in training as in evaluation mode. This is left out where it is
    compiled, copied to several devices, or called with objects that a second use might change.

    Args:
        model: a torch module, an ``nnx.Module``, or (nested) dicts of arrays such as linen's
            variables.
        names: paths or globs of modules and parameters, as ``paramlock.freeze`` takes them. In
            linen's variables they begin below the collection: ``Dense_0``.
        step: does all that one round of training does, ``model.train()`` included. For dicts it
            takes them and returns them changed; else it takes nothing and trains ``model``.
        steps: how often. With fewer than two, momentum may go unseen.

    Raises:
        AssertionError: something moved. The message names it, how far, and the likely cause.
        ValueError: an unknown name, or steps that leave all else as it was too: those prove
            nothing.
    """
    patterns = [names] if isinstance(names, str) else list(names)
    if steps < 1:
        raise ValueError(f"steps is {steps}: without a step nothing is proved")
    moved = _prover(model)(model, patterns, step, steps)
    if moved:
        raise AssertionError(_message(moved, steps))


def _message(moved: list[Moved], steps: int) -> str:
    """Say what moved, grouped by cause."""
    lines = [f"{len(moved)} that should be frozen moved in {steps} step{'s' * (steps != 1)}:"]
    for causes in dict.fromkeys(change.causes for change in moved):
        alike = [change for change in moved if change.causes == causes]
        lines.append("- likely cause: " + "; ".join(CAUSES[cause] for cause in causes))
        lines += [f"    {change}" for change in alike[:SHOWN]]
        if len(alike) > SHOWN:
            lines.append(f"    and {len(alike) - SHOWN} more")
    return "\n".join([*lines, "(distances are shares of the norm of what was there before)"])


def _prover(model: Any) -> Callable[..., list[Moved]]:
    """Return what compares this kind of model; no framework is imported that it does not use."""
    families = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    if "torch" in families:
        from paramlock import torch_proof

        return torch_proof.moved
    if "flax" in families or isinstance(model, dict):
        from paramlock import flax_proof

        return flax_proof.moved
    raise TypeError(
        f"model is {type(model).__name__}: pass a torch.nn.Module, a flax.nnx.Module, or the dict "
        "of linen's variables"
    )


def require_training(changed: bool, others: int, steps: int) -> None:
    """Raise ``ValueError`` where there was something else to train and none of it moved."""
    if others and not changed:
        raise ValueError(
            f"step() moved none of the {others} trainable parameters outside either, in {steps} "
            "steps, so it proves nothing: it must make a whole training step, the optimizer's "
            "included (raise steps where gradients are accumulated)"
        )
