"""Compare the frozen parts of a torch model before and after training steps, see `proof`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from paramlock.freezing.in_torch import parts_of, places_in
from paramlock.freezing.moved import Moved, require_training
from paramlock.models.batches import arrays
from paramlock.models.in_torch import norm, refuse_shards, same_bits, unsaved
from paramlock.models.modes import evaluating
from paramlock.models.numbers import ratio

PLAIN = (type(None), bool, int, float, str, torch.dtype, torch.device, torch.Size)
# Layers whose output depends on their mode.
HEEDING = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase)
ROUNDING = 100  # in units of the last place: what two kernels for one function may differ by


def moved(
    model: nn.Module,
    patterns: list[str],
    step: Callable[[], Any],
    steps: int,
    may_move: Sequence[str] = (),
) -> list[Moved]:
    """Take the steps and return what moved; see `assert_frozen`."""
    refuse_shards(model)
    places = places_in(model, patterns)
    free = _all_below(places_in(model, may_move)) if may_move else set()
    tensors = {n: both for n, both in _tensors(places).items() if id(both[0]) not in free}
    kept = {name: tensor.detach().clone() for name, (tensor, _) in tensors.items()}
    inside = {id(tensor) for tensor, _ in tensors.values()}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in inside]
    copies = [p.detach().clone() for p in others]
    copied = any(isinstance(module, nn.DataParallel) for module in model.modules())
    with _Witness(places, tensors, kept, free, replay=not copied) as witness:
        for number in range(steps):
            witness.last = number == steps - 1
            step()
    parts = dict(parts_of(model))  # looked up again: a place may hold something else by now
    now = _tensors({path: parts[path] for path in places if path in parts})
    found = [_with_ties(change, model) for change in _moved_tensors(kept, now, witness)]
    found += witness.outputs(found)
    if not found:
        changed = any(not same_bits(p, copy) for p, copy in zip(others, copies, strict=True))
        require_training(changed, len(others), steps)
    return found


def _all_below(places: Mapping[str, Any]) -> set[int]:
    """The modules, parameters and buffers at and below the places, by identity."""
    below = [part for path, place in places.items() for _, part in _modules(place, path)]
    return {*map(id, below), *(id(tensor) for tensor, _ in _tensors(places).values())}


def _with_ties(change: Moved, model: nn.Module) -> Moved:
    """Say under which other names a parameter that moved can be reached as well."""
    parts = dict(parts_of(model))
    own = parts.get(change.name)
    others = [path for path, part in parts.items() if part is own and path != change.name]
    return change._replace(ties=tuple(others) if own is not None else ())


def _tensors(places: Mapping[str, Any]) -> dict[str, tuple[Tensor, nn.Module | None]]:
    """{name: (tensor, None for a parameter or the buffer's module)} below the places."""
    found: dict[str, tuple[Tensor, nn.Module | None]] = {}
    for path, place in places.items():
        if isinstance(place, nn.Parameter):
            found[path] = (place, None)
            continue
        for name, part in parts_of(place, path):
            if isinstance(part, nn.Parameter):
                found[name] = (part, None)
            else:
                found |= {
                    f"{name}.{key}".lstrip("."): (buffer, part)
                    for key, buffer in part._buffers.items()
                    if buffer is not None
                }
    return found


def _moved_tensors(
    kept: Mapping[str, Tensor],
    now: Mapping[str, tuple[Tensor, nn.Module | None]],
    witness: _Witness,
) -> Iterator[Moved]:
    for name, old in kept.items():
        tensor, owner = now.get(name, (None, None))
        if tensor is None or tensor.shape != old.shape or tensor.dtype != old.dtype:
            yield Moved(name, "parameter", old.numel(), old.numel(), 1.0, ("replaced",))
        elif not same_bits(tensor, old):
            causes = _buffer_cause(owner) if owner else witness.causes(tensor)
            yield _change(name, "buffer" if owner else "parameter", old, tensor, causes)


def _buffer_cause(owner: nn.Module) -> tuple[str, ...]:
    norms = isinstance(owner, nn.modules.batchnorm._NormBase)
    return ("statistics",) if norms and owner.training else ("buffer",)


def _change(name: str, kind: str, old: Tensor, new: Tensor, causes: tuple[str, ...]) -> Moved:
    entries = int((old != new.detach()).sum())
    return Moved(name, kind, entries, old.numel(), _distance(old, new), causes)


def _distance(old: Tensor, new: Tensor) -> float:
    old, new = (torch.view_as_real(t) if t.is_complex() else t for t in (old, new.detach()))
    return ratio(norm(new.double() - old.double()) or 0.0, norm(old) or 0.0)


class _Witness:
    """Looks on while steps are taken: around each step of any optimizer, and at the first calls."""

    def __init__(
        self,
        places: Mapping[str, Any],
        tensors: Mapping[str, tuple[Tensor, nn.Module | None]],
        kept: Mapping[str, Tensor],
        free: set[int],
        replay: bool,
    ) -> None:
        self._latest = {t: kept[name] for name, (t, owner) in tensors.items() if owner is None}
        self._causes: dict[Tensor, set[str]] = {p: set() for p in self._latest}
        self._under_way: list[dict[Tensor, set[str]]] = []  # a step may call another's
        named = (part for path, place in places.items() for part in _modules(place, path))
        modules = {
            module: name
            for name, module in named
            if replay and free.isdisjoint(_all_below({name: module}))
        }
        self._replays = [_Replay(module, name, self) for module, name in modules.items()]
        self.depth = 0  # calls of frozen modules under way, one within the other
        self.last = False

    def __enter__(self) -> _Witness:
        self._handles = [
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]
        for replay in self._replays:
            self._handles += replay.hooks()
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._look({})

    def _before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self._look({})
        self._under_way.append(
            {
                parameter: _causes_at(parameter, group, optimizer.state.get(parameter, {}))
                for group in optimizer.param_groups
                for parameter in group["params"]
                if parameter in self._causes
            }
        )

    def _after_step(self, *_: Any) -> None:
        self._look(self._under_way.pop())

    def _look(self, causes: Mapping[Tensor, set[str]]) -> None:
        """Note why a parameter moved since the last look, where it did."""
        for parameter, latest in list(self._latest.items()):
            if not same_bits(parameter, latest):
                self._causes[parameter] |= causes.get(parameter, {"assigned"})
                self._latest[parameter] = parameter.detach().clone()

    def outputs(self, inside: list[Moved]) -> Iterator[Moved]:
        """Yield the modules that gave another output, given what moved inside of them."""
        for seen in self._replays:
            if (difference := seen.again or seen.quiet) is None:
                continue
            start = f"{seen.path}." if seen.path else ""
            contents = any(moved.name.startswith(start) for moved in inside)
            cause = "contents" if contents else "noise" if seen.again else "mode"
            training = () if contents else seen.training
            yield Moved(seen.path, "output", *difference, (cause,), training)

    def causes(self, parameter: Tensor) -> tuple[str, ...]:
        """Why a parameter moved; one that was not there at first took another's place."""
        return tuple(sorted(self._causes.get(parameter, {"replaced"})))


def _causes_at(parameter: Tensor, group: dict[str, Any], state: dict[str, Any]) -> set[str]:
    """What makes the step that comes now move a parameter."""
    if parameter.grad is None:
        return {"trainable" if parameter.requires_grad else "optimizer"}
    if parameter.grad.any():
        return {"trainable" if parameter.requires_grad else "stale"}
    running = (state.get(key) for key in ("momentum_buffer", "exp_avg"))
    warm = any(isinstance(average, Tensor) and bool(average.any()) for average in running)
    found = {"momentum"} if warm else set()
    return found | ({"decay"} if group.get("weight_decay") else set()) or {"optimizer"}


class _Replay:
    """The first input and output of a module, and what it makes of that input at the last step.

    Calls from within another frozen module do not count: that one is looked at. It is called again
    from within its own call, so that autocast and gradient mode are the step's.
    """

    def __init__(self, module: nn.Module, path: str, witness: _Witness) -> None:
        self.module, self.path, self._witness = module, path, witness
        self._inputs: tuple[Any, Any] | None = None
        self._outputs: list[Tensor] = []
        self._over = False  # under way, or done
        self.again: _Difference | None = None  # in the mode that it has in the step
        self.quiet: _Difference | None = None  # in evaluation mode
        self.training: tuple[str, ...] = ()

    def hooks(self) -> list[Any]:
        """Hang onto the module; return the handles."""
        return [
            self.module.register_forward_pre_hook(self._before, with_kwargs=True),
            self.module.register_forward_hook(self._after, always_call=True),
        ]

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if torch.compiler.is_compiling():  # what is compiled cannot be looked into
            return
        self._witness.depth += 1
        outermost = self._witness.depth == 1 and not self._over
        if outermost and self._inputs is None and _is_plain([args, kwargs]):
            self._inputs = (_copy(args), _copy(kwargs))

    def _after(self, module: nn.Module, args: Any, output: Any) -> None:
        if torch.compiler.is_compiling():
            return
        self._witness.depth -= 1
        if self._witness.depth or self._over or self._inputs is None:
            return
        self._outputs = self._outputs or [t.detach().clone() for t in arrays(output)]
        if self._witness.last:
            self._over = True
            self._compare()

    def _compare(self) -> None:
        self.training = tuple(_heeding(self.module, self.path))
        if self.module.training and not self.training:
            self.training = (self.path,)  # it may heed its own mode, as functional dropout does
        self.again = _difference(self._outputs, self._outputs_now(), same_output)
        with evaluating(self.module):
            self.quiet = _difference(self._outputs, self._outputs_now(), close)

    def _outputs_now(self) -> list[Tensor]:
        """Call the module once more; statistics that it writes go to copies."""
        args, kwargs = (_copy(part) for part in self._inputs or ())
        buffers = {name: buffer.clone() for name, buffer in self.module.named_buffers()}
        with torch.random.fork_rng(), unsaved():
            output = torch.func.functional_call(self.module, buffers, args, kwargs)
        return [tensor.detach() for tensor in arrays(output)]


class _Difference(NamedTuple):
    """How many of all entries differ, and by how much of the norm."""

    entries: int
    size: int
    distance: float


def _difference(
    old: list[Tensor], new: list[Tensor], same: Callable[[Tensor, Tensor], bool]
) -> _Difference | None:
    """Compare two lists of outputs; `None` where they are the same."""
    size = sum(tensor.numel() for tensor in old)
    if [t.shape for t in old] != [t.shape for t in new]:
        return _Difference(size, size, math.inf)
    apart = [(a, b) for a, b in zip(old, new, strict=True) if not same(a, b)]
    entries = sum(int((a != b).sum()) for a, b in apart)
    return _Difference(entries, size, max(_distance(a, b) for a, b in apart)) if apart else None


def _modules(place: Any, path: str) -> Iterator[tuple[str, nn.Module]]:
    if isinstance(place, nn.Module):
        yield from ((n, part) for n, part in parts_of(place, path) if isinstance(part, nn.Module))


def _heeding(module: nn.Module, path: str) -> Iterator[str]:
    """Yield the paths of layers in training mode whose output depends on it."""
    for name, part in parts_of(module, path):
        if isinstance(part, HEEDING) and part.training:
            yield name


def _is_plain(value: Any) -> bool:
    """Whether a value can be copied and used a second time without side effects."""
    if type(value) in (list, tuple, dict):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return isinstance(value, (Tensor, *PLAIN))


def _copy(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    return type(value)(map(_copy, value)) if type(value) in (list, tuple) else value


def same_output(a: Tensor, b: Tensor) -> bool:
    """Whether outputs are the same: to the bit, but on accelerators sums may change their order."""
    return same_bits(a, b) if a.device.type == "cpu" else close(a, b)


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one shape differ by no more than rounding."""
    if not a.is_floating_point():
        return same_bits(a, b)
    return _distance(a, b) <= min(ROUNDING * torch.finfo(a.dtype).eps, 0.05)
