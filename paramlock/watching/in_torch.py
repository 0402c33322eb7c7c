"""What `paramlock.watch` hangs on a torch model and its optimizers, and takes off again.

A training step may call the model, by position or by keyword, or parts of it one by one. So a hook
is on each module, and the outermost that is called while gradients are on is looked at. Compiled
modules run as they were compiled and are not looked into; what recomputes a part inside the
backward pass (checkpointing) is not looked at a second time. Whatever goes wrong in a look ends the
look and not the step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode

from paramlock.certifying.in_torch.trace import Tracer
from paramlock.certifying.records import SATURABLE
from paramlock.models.in_torch import (
    check_model,
    is_compiled,
    layer_of,
    norm,
    optimizers_in,
    parameter_names,
)
from paramlock.watching.record import Record, all_finite, by_layer, states

# Norms between these are exact in float32: what underflows in their squares is far too small to
# show. Outside, they are taken again in float64.
SAFE = (1e-12, 1e18)


class Eye:
    """Hooks on one model and its optimizers; looks only when `due()` says so.

    With several optimizers a *step* is a round: it ends when all have stepped, or when one is about
    to step again.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Any,
        delta: float,
        replay: bool,
        due: Callable[[], bool],
        report: Callable[[Record | None], None],
    ) -> None:
        """Raise `ValueError` for a model or optimizers that cannot be watched."""
        if not isinstance(model, nn.Module) or optimizer is None:
            raise ValueError(
                f"watch needs a torch model and its optimizer, not {type(model).__name__} and "
                f"{type(optimizer).__name__}; a JAX loop gives neither and calls note()"
            )
        check_model(model)
        optimizers = optimizers_in(optimizer)
        self._parameters = {p: n for p, n in parameter_names(model).items() if _may_train(p)}
        self._held = [_held_by(o).intersection(self._parameters) for o in optimizers]
        if not any(self._held):
            raise ValueError(
                "the optimizer holds no parameter of this model, so nothing could be seen to move: "
                "pass the pair that trains together"
            )
        self._model, self._delta, self._due, self._report = model, delta, due, report
        self._replay = replay
        self._tracer: Tracer | None = None
        self._outermost: nn.Module | None = None
        self._depth = 0  # calls of the outermost module under way, for it may call itself
        self._compiled: nn.Module | None = None  # under way inside of what is looked at
        self._values = [p.detach() for p in self._parameters]
        self._before: list[Tensor] = []  # kept: new memory for each look costs more than the look
        self._looking = False
        self._stepped: set[int] = set()
        self._gradients: dict[str, list[float]] = {}
        self.passes = 0  # since the last step
        self._handles: list[Any] = []
        for module in _eager_modules(model):
            self._hang(module.register_forward_pre_hook, self._enter, with_kwargs=True)
            self._hang(module.register_forward_hook, self._leave, always_call=True)
        for number, each in enumerate(optimizers):
            self._hang(each.register_step_pre_hook, self._before_step, number)
            self._hang(each.register_step_post_hook, self._after_step, number)

    def _hang(
        self, register: Callable[..., Any], look: Callable[..., None], *first: Any, **options: Any
    ) -> None:
        self._handles.append(register(_Hook(self, look, first), **options))

    def close(self) -> None:
        """Take all hooks off, and report a round that has not ended."""
        self.guarded(self._end_call)
        if self._stepped:
            self.guarded(self._end_round)
        for handle in self._handles:
            handle.remove()

    def guarded(self, look: Callable[..., None], *args: Any) -> None:
        """Look; what goes wrong in it is warned of, and ends this look alone."""
        try:
            look(*args)
        except Exception as error:
            self._looking = False
            self._end_call()
            self._tracer = None
            warnings.warn(
                f"the watch could not look at this step ({type(error).__name__}: {error}); "
                "training goes on",
                RuntimeWarning,
                stacklevel=2,
            )

    # --- calls of modules

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if self._outermost is not None:
            self._depth += module is self._outermost
            self._enter_compiled(module)
        elif torch.is_grad_enabled() and torch._C._current_graph_task_id() == -1:
            self._outermost, self._depth = module, 1
            self.passes += 1
            if self._due() and not is_compiled(module):
                self._begin(args, kwargs)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if module is self._compiled and self._tracer is not None:
            self._compiled = None
            self._tracer.take(output)  # nothing is known of where it comes from
            self._tracer.__enter__()
        if module is self._outermost:
            self._depth -= 1
            if not self._depth:
                self._end_call()

    def _begin(self, args: Any, kwargs: Any) -> None:
        if self._tracer is None:
            self._tracer = Tracer(self._model, self._delta, light=True, replay=self._replay)
        self._tracer.take([args, kwargs])
        self._tracer.__enter__()

    def _enter_compiled(self, module: nn.Module) -> None:
        """Step aside, so that compiled code finds what it was compiled for."""
        if is_compiled(module) and _get_current_function_mode() is self._tracer is not None:
            self._tracer.__exit__(None, None, None)
            self._compiled = module

    def _end_call(self) -> None:
        if self._tracer is not None and _get_current_function_mode() is self._tracer:
            self._tracer.__exit__(None, None, None)
        self._outermost = self._compiled = None

    # --- steps of optimizers

    def _before_step(self, number: int, *_: Any) -> None:
        self._end_call()
        if number in self._stepped:
            self._end_round()
        if not self._stepped:
            self._looking = self._due()
            self._gradients = {}
            if self._looking:
                self._keep_values()
        if self._looking:
            self._take_gradients(number)

    def _keep_values(self) -> None:
        if self._before:
            torch._foreach_copy_(self._before, self._values)
        else:
            self._before = [value.clone() for value in self._values]

    def _take_gradients(self, number: int) -> None:
        """Take the gradients that an optimizer is about to use; alone, those of all parameters."""
        others = set().union(*self._held) - self._held[number]
        pairs = [(p, p.grad) for p in self._parameters if p.grad is not None and p not in others]
        for (p, _), size in zip(pairs, norms([g for _, g in pairs]), strict=True):
            self._gradients.setdefault(layer_of(self._parameters[p][0]), []).append(size)

    def _after_step(self, number: int, *_: Any) -> None:
        self._stepped.add(number)
        if len(self._stepped) == len(self._held):
            self._end_round()

    def _end_round(self) -> None:
        record = self._record() if self._looking else None
        self._looking, self._tracer = False, None
        self._stepped, self.passes = set(), 0
        self._report(record)

    def _record(self) -> Record:
        layers = [layer_of(names[0]) for names in self._parameters.values()]
        sizes = by_layer(layers, norms(self._before))
        torch._foreach_sub_(self._before, self._values)
        updates = by_layer(layers, norms(self._before))
        record = Record(0, all_finite(self._gradients, updates), {})
        record.layers = states(self._gradients, updates, sizes)
        self._leave_out_those_that_wait(record)
        self._add_sites(record)
        return record

    def _leave_out_those_that_wait(self, record: Record) -> None:
        """Of layers whose optimizer has not stepped in this round, no update is known."""
        waiting = [held for n, held in enumerate(self._held) if n not in self._stepped]
        for parameter in set().union(*waiting):
            record.layers[layer_of(self._parameters[parameter][0])].update = None

    def _add_sites(self, record: Record) -> None:
        for site in self._tracer.site_records() if self._tracer else ():
            state = record.layers.get(site.layer)
            if state is not None and not site.void:
                state.dead = max(state.dead or 0.0, len(site.dead) / site.units)
                if site.function in SATURABLE:
                    state.saturated = max(state.saturated or 0.0, site.flat)
        seen = self._tracer.lineage.order if self._tracer else {}
        record.unseen = [name for name in self._gradients if name not in seen]


class _Hook:
    """Calls an eye; in a copy or a pickle of the model it does nothing."""

    def __init__(self, eye: Any = None, look: Any = None, first: tuple[Any, ...] = ()) -> None:
        self._eye, self._look, self._first = eye, look, first

    def __call__(self, *args: Any) -> None:
        if self._eye is None or torch.compiler.is_compiling():
            return
        self._eye.guarded(self._look, *self._first, *args)

    def __deepcopy__(self, memo: Any) -> _Hook:
        return _Hook()

    def __reduce__(self) -> Any:
        return _Hook, ()


def _eager_modules(module: nn.Module, seen: set[nn.Module] | None = None) -> Iterator[nn.Module]:
    """Yield a module and those below it, but for those inside of compiled or scripted ones."""
    seen = set() if seen is None else seen
    if module in seen:
        return
    seen.add(module)
    yield module
    if not is_compiled(module) and not isinstance(module, torch.jit.ScriptModule):
        for child in module.children():
            yield from _eager_modules(child, seen)


def _may_train(parameter: nn.Parameter) -> bool:
    return parameter.is_floating_point()


def _held_by(optimizer: torch.optim.Optimizer) -> set[Any]:
    return {p for group in optimizer.param_groups for p in group["params"]}


def norms(tensors: list[Tensor]) -> list[float]:
    """The norm of each tensor, fast where float32 does and exact where it does not."""
    dense = [t.to_dense() if t.is_sparse else t for t in tensors]
    if not dense:
        return []
    fast = torch.stack([n.float() for n in torch._foreach_norm(dense)]).tolist()
    return [
        n if SAFE[0] < n < SAFE[1] else norm(t) or 0.0 for n, t in zip(fast, dense, strict=True)
    ]
