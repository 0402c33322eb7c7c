"""What a proof of a freeze finds: a frozen tensor that moved, and the likely causes."""

from __future__ import annotations

import math
from typing import NamedTuple

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
    "earlier .eval(), paramlock.torch.freeze keeps it",
    "buffer": "the forward pass writes to this buffer",
    "noise": "the same input gives another output each time: dropout or other noise is on",
    "mode": "in training mode it computes something else than in evaluation: statistics of the "
    "batch, or something random",
    "contents": "its parameters or buffers moved",
    "updates": "its updates are not zero; zero the updates and keep decay and state off it, as "
    "paramlock.flax.freeze does",
    "updates decay": "weight decay in the updates: zeroed gradients do not stop it; keep the "
    "transformation off these paths, as paramlock.flax.freeze does",
    "statistics jax": "running statistics: the layer uses the batch's; call .eval() on it after "
    "every model.train(), or pass use_running_average=True",
}


class Moved(NamedTuple):
    """One thing that should have stayed.

    `kind`: "parameter", "buffer" or "output". `distance`: norm of the change over the norm of
    what it was. `causes`: keys of `CAUSES`. `training`: layers in training mode that matter.
    `ties`: other names of the same parameter.
    """

    name: str
    kind: str
    entries: int
    size: int
    distance: float
    causes: tuple[str, ...]
    training: tuple[str, ...] = ()
    ties: tuple[str, ...] = ()

    def __str__(self) -> str:
        name = self.name or "of the whole model"
        far = f"by {self.distance:.3g}" if math.isfinite(self.distance) else "away from zero"
        layers = f" (in training mode: {', '.join(self.training)})" if self.training else ""
        name += f" (the same tensor as {', '.join(self.ties)})" if self.ties else ""
        return f"{self.kind} {name}: {self.entries} of {self.size} entries, {far}{layers}"


def require_training(changed: bool, others: int, steps: int) -> None:
    """Raise `ValueError` where there was something else to train and none of it moved."""
    if others and not changed:
        raise ValueError(
            f"step() moved none of the {others} trainable parameters outside either, in {steps} "
            "steps, so it proves nothing: it must make a whole training step, the optimizer's "
            "included (raise steps where gradients are accumulated)"
        )
