"""Entries of torch parameters that hold their value through training, whatever the optimizer.

Zeroing gradients holds nothing: momentum, Adam's averages and weight decay still move what they
moved before. Leaving parameters out of the optimizer works, but only for whole tensors. So single
*entries* are held from two sides:

- their gradient is zero, so that gradient clipping and the optimizer's averages do not see them;
- after every step of any `torch.optim` optimizer their value is written back, bit for bit, and
  after the first step the optimizer's averages are cleared there, so that nothing is left to carry
  an entry away once it is released.

The parameter stays an ordinary parameter: `state_dict()` has the same names as before. Pruning
holds entries at zero, a Fisher lock holds them where they are; both are a `Hold`.
"""

from __future__ import annotations

import html
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.weak import WeakIdKeyDictionary

from paramlock.models.in_torch import refuse_shards
from paramlock.pictures import tables


@dataclass(frozen=True)
class Held:
    """How many entries of one parameter are held."""

    name: str
    entries: int
    held: int

    @property
    def share(self) -> float:
        return self.held / self.entries if self.entries else 0.0


@dataclass(frozen=True)
class HoldReport:
    """Held entries, parameter by parameter; shows itself as text and as HTML."""

    rows: tuple[Held, ...]
    at_zero: bool

    @property
    def share(self) -> float:
        """Share of held entries in all entries of the parameters listed."""
        return Held("", sum(r.entries for r in self.rows), sum(r.held for r in self.rows)).share

    def to_dict(self) -> dict[str, Any]:
        """The rows as plain data."""
        rows = [{**asdict(row), "share": row.share} for row in self.rows]
        return {"at_zero": self.at_zero, "share": self.share, "rows": rows}

    def _title(self) -> str:
        at = "zero" if self.at_zero else "their value"
        return f"{self.share:.1%} of the entries are held at {at}"

    def _cells(self) -> list[list[str]]:
        head = ["parameter", "entries", "held", "share"]
        rows = ([r.name, f"{r.entries:,}", f"{r.held:,}", f"{r.share:.1%}"] for r in self.rows)
        return [head, *rows]

    def __str__(self) -> str:
        return f"{self._title()}\n{tables.text(self._cells())}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return tables.html(self._cells(), caption=html.escape(self._title()))


def hold(model: nn.Module, held: Mapping[str, Tensor], *, at_zero: bool = False) -> Hold:
    """Hold entries of `model` through training with any `torch.optim` optimizer.

    ::

        lock = hold(model, choose_entries(model, 0.5, by=fisher, which="highest"))
        ...                # train as always
        lock.release()

    Args:
        model: any, on any device; its parameters stay the same objects.
        held: {parameter name: booleans of its shape}, `True` where held; see `choose_entries`.
        at_zero: set the entries to zero and hold them there; by default each keeps its value.

    The lock lasts until it is released, also where the `Hold` is not kept, and for optimizers
    that are made later. A value that something else writes, `load_state_dict` for one, is written
    back too. For an optimizer that is no `torch.optim.Optimizer` call `Hold.enforce()` after
    each of its steps. A deep copy of the model is another model: hold it again.

    It keeps two copies of each parameter it holds entries of. Of several locks on one entry the
    latest counts.

    Raises:
        ValueError: an unknown name, or booleans of another shape.
    """
    return Hold(model, held, at_zero)


class Hold:
    """Entries of a model that are held; made by `hold` and `prune`."""

    def __init__(self, model: nn.Module, held: Mapping[str, Tensor], at_zero: bool) -> None:
        refuse_shards(model)
        self.model, self.at_zero = model, at_zero
        self._entries: dict[str, _Entries] = {}
        self._on_load: dict[str, Any] = {}  # by owner of parameters: it may be loaded alone
        self.change(held)

    @property
    def held(self) -> dict[str, Tensor]:
        """What is held: {parameter name: booleans of its shape}."""
        return {name: entries.held for name, entries in self._entries.items()}

    def change(self, held: Mapping[str, Tensor]) -> None:
        """Hold these entries from now on, and free all others where they are.

        An entry that was held before keeps the value it was held at.
        """
        parameters = dict(self.model.named_parameters())
        for name, booleans in held.items():
            _check(name, booleans, parameters)
        for name in self._entries.keys() - held.keys():
            self._free(name)
        for name, booleans in held.items():
            self._hold(name, parameters[name], booleans)
        for owner in {name.rpartition(".")[0] for name in held} - self._on_load.keys():
            module = self.model.get_submodule(owner)
            self._on_load[owner] = module.register_load_state_dict_post_hook(_OnLoad(self))
        self.enforce()

    def _hold(self, name: str, parameter: nn.Parameter, booleans: Tensor) -> None:
        now = parameter.detach().clone()
        before = self._entries.get(name)
        if before is None:
            self._entries[name] = _Entries(booleans.to(now.device), now, self.at_zero)
            self._entries[name].attach(parameter)
        else:
            before.change(booleans, now)

    def enforce(self) -> None:
        """Write the held values into the model now."""
        parameters = dict(self.model.named_parameters())
        for name, entries in self._entries.items():
            entries.enforce(parameters[name])

    def hold_on(self) -> None:
        """Hold again after `load_state_dict`, which may have put other parameters in place."""
        parameters = dict(self.model.named_parameters())
        for name, entries in self._entries.items():
            if entries not in _LOCKS.get(parameters[name], ()):
                entries.detach()
                entries.attach(parameters[name])
        self.enforce()

    def release(self) -> None:
        """Free all entries; each begins to learn from the value it was held at."""
        for name in list(self._entries):
            self._free(name)
        for handle in self._on_load.values():
            handle.remove()
        self._on_load.clear()

    def _free(self, name: str) -> None:
        entries = self._entries.pop(name)
        entries.detach()

    def undo(self) -> None:
        """Free all entries and give each the value it had before it was held."""
        parameters = dict(self.model.named_parameters())
        kept = dict(self._entries)
        self.release()
        for name, entries in kept.items():
            entries.put_back(parameters[name])

    def gradients(self, loss: Tensor) -> dict[str, Tensor]:
        """The gradient of `loss` by the parameters concerned, held entries included.

        Training sees zero there; this shows what an entry would gain if it were free. No `.grad`
        is touched, and the graph is kept for the backward pass.
        """
        parameters = {n: p for n, p in self.model.named_parameters() if n in self._entries}
        for entries in self._entries.values():
            entries.shown = True
        try:
            found = torch.autograd.grad(
                loss, list(parameters.values()), retain_graph=True, allow_unused=True
            )
        finally:
            for entries in self._entries.values():
                entries.shown = False
        pairs = zip(parameters.items(), found, strict=True)
        return {n: torch.zeros_like(p) if g is None else g for (n, p), g in pairs}

    def report(self) -> HoldReport:
        """How many entries of each parameter are held."""
        counts = (Held(n, e.held.numel(), int(e.held.sum())) for n, e in self._entries.items())
        return HoldReport(tuple(counts), self.at_zero)

    def state_dict(self) -> dict[str, Any]:
        """The lock as tensors, to save beside the model's own `state_dict()`."""
        values = {name: entries.values[entries.held] for name, entries in self._entries.items()}
        return {"at_zero": self.at_zero, "held": self.held, "values": values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a saved lock, for a model of the same shapes.

        Raises:
            ValueError: names or shapes of another model, or a lock that holds in the other way.
        """
        if state["at_zero"] != self.at_zero:
            raise ValueError("one lock holds at zero and the other does not: make it anew by hold")
        self.change(state["held"])
        for name, values in state["values"].items():
            self._entries[name].take(values)
        self.enforce()


class _OnLoad:
    """Tells a lock that its model was loaded; copies of the model get one that tells nobody."""

    def __init__(self, lock: Hold | None = None) -> None:
        self._lock = lock

    def __call__(self, model: nn.Module, keys: Any) -> None:
        if self._lock is not None:
            self._lock.hold_on()

    def __reduce__(self) -> Any:
        return _OnLoad, ()


class _Entries:
    """The held entries of one parameter. Refers to it weakly: a lock keeps no model alive.

    Kept as bit patterns: `free` is all ones where an entry is free and zero where it is held,
    `kept` has the bits of held values and zero elsewhere. So values come back exactly, NaN or
    not, ten times as fast as by `torch.where`.
    """

    def __init__(self, held: Tensor, values: Tensor, at_zero: bool) -> None:
        self.at_zero = at_zero
        self.shown = False  # whether gradients of held entries may be seen
        self._dtype = values.dtype
        self._free, self._kept = _pattern(held, values)
        self._parameter: Any = None
        self._hook: Any = None
        self._cleared: weakref.WeakSet[Optimizer] = weakref.WeakSet()

    @property
    def held(self) -> Tensor:
        return self._free == 0

    @property
    def values(self) -> Tensor:
        """The values held; zero at free entries."""
        return self._kept.view(self._dtype)

    def attach(self, parameter: nn.Parameter) -> None:
        trainable = parameter.requires_grad
        parameter.requires_grad_(True)  # a frozen one takes no hook, and may be unfrozen later
        self._hook = parameter.register_hook(self._without_held)
        parameter.requires_grad_(trainable)
        self._parameter = weakref.ref(parameter)
        _LOCKS.setdefault(parameter, []).append(self)
        _listen()

    def detach(self) -> None:
        parameter = self._parameter()
        self._hook.remove()
        locks = _LOCKS.get(parameter, []) if parameter is not None else []
        if self in locks:
            locks.remove(self)
        if parameter is not None and not locks:
            _LOCKS.pop(parameter, None)
        _listen()

    def change(self, held: Tensor, now: Tensor) -> None:
        self._follow(now)
        values = torch.where(self.held, self.values, now)
        self._free, self._kept = _pattern(held.to(now.device), values)
        self._cleared.clear()

    def take(self, values: Tensor) -> None:
        """Hold at these values, given in the order of the held entries."""
        self.values[self.held] = values.to(self.values)

    @torch.no_grad()
    def enforce(self, parameter: Tensor) -> None:
        self._write(parameter, kept=not self.at_zero)

    @torch.no_grad()
    def put_back(self, parameter: Tensor) -> None:
        self._write(parameter, kept=True)

    def _write(self, parameter: Tensor, kept: bool) -> None:
        self._follow(parameter)
        bits = parameter.view(self._free.dtype)
        bits.bitwise_and_(self._free)
        if kept:
            bits.bitwise_or_(self._kept)

    def after_step(self, optimizer: Optimizer, parameter: Tensor) -> None:
        """Write the values back, and once clear what the optimizer remembers of the entries."""
        self.enforce(parameter)
        if optimizer not in self._cleared:
            clear_state(optimizer, parameter, self.held)
            self._cleared.add(optimizer)

    def _follow(self, parameter: Tensor) -> None:
        """Be where the parameter is now, and of its type."""
        if self._kept.device != parameter.device or self._dtype != parameter.dtype:
            held, values = self.held.to(parameter.device), self.values.to(parameter)
            self._dtype = parameter.dtype
            self._free, self._kept = _pattern(held, values)

    def _without_held(self, gradient: Tensor) -> Tensor:
        if self.shown or gradient.is_sparse:  # a sparse one is left: the value is written back
            return gradient
        if (
            gradient.requires_grad
            or gradient.dtype != self._dtype
            or (gradient.device != self._free.device)
        ):
            return gradient.masked_fill(self.held.to(gradient.device), 0)
        return gradient.view(self._free.dtype).bitwise_and(self._free).view(gradient.dtype)


def _pattern(held: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """The bit patterns of free entries and of held values."""
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[values.dtype.itemsize]
    return (~held).to(whole).neg_(), values.masked_fill(~held, 0).contiguous().view(whole)


_LOCKS: Any = WeakIdKeyDictionary()
"""{parameter: its `_Entries`, earliest first}."""

_listening: Any = None


def _listen() -> None:
    """Hear of every optimizer's steps while there are locks."""
    global _listening
    if _LOCKS and _listening is None:
        _listening = register_optimizer_step_post_hook(_after_step)
    elif not _LOCKS and _listening is not None:
        _listening.remove()
        _listening = None


def _after_step(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for entries in _LOCKS.get(parameter, ()):
                entries.after_step(optimizer, parameter)


def clear_state(optimizer: Optimizer, parameter: Tensor, where: Tensor | Any) -> None:
    """Set to zero what `optimizer` remembers of the entries `where` of `parameter`.

    State of other shapes (step counters, factored averages) is left. Adam's counter runs on, so
    its first steps on a cleared entry are up to (1 - β₁)/√(1 - β₂) ≈ 3.2 times its usual ones.
    """
    for value in optimizer.state.get(parameter, {}).values():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            value[where] = 0


def held_entries(parameter: Tensor) -> Iterator[tuple[Tensor, bool]]:
    """Yield what locks hold of `parameter`: booleans, and whether at zero."""
    for entries in _LOCKS.get(parameter, ()):
        yield entries.held, entries.at_zero


def enforce_on(parameter: Tensor, copy: Tensor | None = None) -> None:
    """Write what is held of `parameter` into it, or into a copy of it."""
    for entries in _LOCKS.get(parameter, ()):
        entries.enforce(parameter if copy is None else copy)


def _check(name: str, booleans: Tensor, parameters: Mapping[str, Tensor]) -> None:
    if name not in parameters:
        raise ValueError(
            f"the model has no parameter {name!r} to hold entries of; it has "
            + ", ".join(list(parameters)[:4])
            + (", ..." if len(parameters) > 4 else "")
        )
    if parameters[name].dtype.itemsize > 8:
        raise ValueError(f"{name!r} is of type {parameters[name].dtype}, which cannot be held")
    if booleans.dtype != torch.bool or booleans.shape != parameters[name].shape:
        raise ValueError(
            f"what to hold of {name!r} is {booleans.dtype} of shape {tuple(booleans.shape)}; it "
            f"must be torch.bool of shape {tuple(parameters[name].shape)}, True where held"
        )
