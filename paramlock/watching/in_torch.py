"""What `paramlock.watch` hangs on a torch model and its optimizer, and takes off again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from paramlock.certifying.in_torch.trace import Tracer
from paramlock.certifying.records import SATURABLE
from paramlock.models.in_torch import check_model, layer_of, norm, parameter_names
from paramlock.watching.record import Record, all_finite, by_layer, states

# Norms between these are exact in float32: what underflows in their squares is far too small to
# show. Outside, they are taken again in float64.
SAFE = (1e-12, 1e18)


class Eye:
    """Hooks on one model and one optimizer; looks only when `due()` says so."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        delta: float,
        replay: bool,
        due: Callable[[], bool],
        report: Callable[[Record | None], None],
    ) -> None:
        """Raise `ValueError` for a model or an optimizer that cannot be watched."""
        if not isinstance(model, nn.Module) or not isinstance(optimizer, torch.optim.Optimizer):
            raise ValueError(
                f"watch needs a torch model and its optimizer, not {type(model).__name__} and "
                f"{type(optimizer).__name__}; a JAX loop gives neither and calls note()"
            )
        check_model(model)
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if not any(id(p) in held for p in model.parameters()):
            raise ValueError(
                "the optimizer holds no parameter of this model, so nothing could be seen to move: "
                "pass the pair that trains together"
            )
        self._model, self._delta, self._due, self._report = model, delta, due, report
        self._replay = replay
        self._parameters = parameter_names(model)
        self._tracer: Tracer | None = None
        self._open = 0  # forward passes under way, for a model may call itself
        self._values = [p.detach() for p in self._parameters]
        self._before: list[Tensor] = []  # kept: new memory for each look costs more than the look
        self._looking = False
        self._gradients: dict[str, list[float]] = {}
        self._handles = [
            model.register_forward_pre_hook(self._enter),
            model.register_forward_hook(self._leave, always_call=True),
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        ]

    def close(self) -> None:
        """Take all hooks off."""
        for handle in self._handles:
            handle.remove()

    def _enter(self, model: nn.Module, inputs: Any) -> None:
        if self._open or not (self._due() and torch.is_grad_enabled()):
            return
        if self._tracer is None:
            self._tracer = Tracer(model, self._delta, light=True, replay=self._replay)
        self._open = 1
        self._tracer.start(inputs)
        self._tracer.__enter__()

    def _leave(self, model: nn.Module, inputs: Any, output: Any) -> None:
        if self._open and self._tracer is not None:
            self._open = 0
            self._tracer.__exit__(None, None, None)

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._looking = self._due()
        if not self._looking:
            return
        if self._before:
            torch._foreach_copy_(self._before, self._values)
        else:
            self._before = [value.clone() for value in self._values]
        gradients = [(p, p.grad) for p in self._parameters if p.grad is not None]
        self._gradients = {}
        for (p, _), size in zip(gradients, norms([g for _, g in gradients]), strict=True):
            self._gradients.setdefault(layer_of(self._parameters[p][0]), []).append(size)

    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._report(self._record() if self._looking else None)
        self._looking, self._tracer = False, None

    def _record(self) -> Record:
        layers = [layer_of(names[0]) for names in self._parameters.values()]
        sizes = by_layer(layers, norms(self._before))
        torch._foreach_sub_(self._before, self._values)
        updates = by_layer(layers, norms(self._before))
        record = Record(0, all_finite(self._gradients, updates), {})
        record.layers = states(self._gradients, updates, sizes)
        self._add_sites(record)
        return record

    def _add_sites(self, record: Record) -> None:
        for site in self._tracer.site_records() if self._tracer else ():
            state = record.layers.get(site.layer)
            if state is not None and not site.void:
                state.dead = max(state.dead or 0.0, len(site.dead) / site.units)
                if site.function in SATURABLE:
                    state.saturated = max(state.saturated or 0.0, site.flat)


def norms(tensors: list[Tensor]) -> list[float]:
    """The norm of each tensor, fast where float32 does and exact where it does not."""
    dense = [t.to_dense() if t.is_sparse else t for t in tensors]
    if not dense:
        return []
    fast = torch.stack([n.float() for n in torch._foreach_norm(dense)]).tolist()
    return [
        n if SAFE[0] < n < SAFE[1] else norm(t) or 0.0 for n, t in zip(fast, dense, strict=True)
    ]
