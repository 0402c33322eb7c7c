"""Unfreeze a torch model stage by stage, with learning rates by depth and a warm-up.

A *stage* is a list of places (see `paramlock.freezing`) that open together. Gradual unfreezing
begins at the output and opens one stage after another towards the input; discriminative rates fall
from stage to stage on the same way (Howard & Ruder 2018, "Universal language model fine-tuning for
text classification", §3.2 and 3.3, where each stage has the rate of the one above over 2.6).
Gains in cost and in stability at high rates are well supported; gains in accuracy are small or
absent where they were measured for this course.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from paramlock.freezing.in_torch import freeze, parts_of, places_in, unfreeze
from paramlock.freezing.stages import FACTOR, Schedule, Stages, due_of, falling, require_all

BLOCKS = ("layer", "layers", "h", "block", "blocks")  # what encoders call their list of blocks


def unfreeze_gradually(
    model: nn.Module,
    schedule: Schedule,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    rate: float | Mapping[int, float] | None = None,
) -> GradualUnfreezing:
    """Open parts of a model by a schedule, and hand them to the optimizer.

    ::

        schedule = {0: ["head"], 2: ["layer4"], 4: ["layer3", "layer2"]}    # or top_down(model)
        rates = {2: 1e-4, 4: 3e-5}
        gradual = unfreeze_gradually(model, schedule, optimizer=optimizer, rate=rates)
        for epoch in range(6):
            gradual.begin(epoch)
            train_one_epoch()

    The whole model is frozen at first, and what the schedule never names stays so. An optimizer
    may hold all parameters from the start, say in `discriminative_rates`: a frozen one has no
    gradient, and torch's optimizers leave it alone. Do so where a learning-rate scheduler is used,
    for a scheduler knows no group that comes later. To go on from a checkpoint, call
    `begin(epoch)` before loading the optimizer's state: its groups must be there by then.

    Args:
        model: all of it is frozen first; on any device.
        schedule: {epoch from 0 on: path, or paths, of what opens}; any other clock will do.
        optimizer: gets what opens, unless it holds it.
        rate: learning rate of what opens, one for all or {epoch: rate}. It gets a group of its
            own, also where the optimizer holds it. Without one: the optimizer's default.

    Raises:
        ValueError: an empty schedule, an epoch below 0, a path that names nothing, a rate for an
            epoch that is not in the schedule, or one without an optimizer.
    """
    return GradualUnfreezing(model, schedule, optimizer, rate)


class GradualUnfreezing:
    """Parts of a model that open by a schedule; made by `unfreeze_gradually`."""

    def __init__(
        self,
        model: nn.Module,
        schedule: Schedule,
        optimizer: torch.optim.Optimizer | None,
        rate: float | Mapping[int, float] | None,
    ) -> None:
        stages = due_of(schedule)
        places_in(model, [pattern for patterns in stages.values() for pattern in patterns])
        rates = rate if isinstance(rate, Mapping) else dict.fromkeys(stages, rate)
        if late := sorted(rates.keys() - stages.keys()):
            raise ValueError(f"rates are given for {late}, where the schedule opens nothing")
        if optimizer is None and any(r is not None for r in rates.values()):
            raise ValueError("a rate is given, but no optimizer to use it: pass optimizer=…")
        self._model, self._optimizer = model, optimizer
        self._due = list(stages.items())
        self._rates = rates
        freeze(model, "")

    def begin(self, epoch: int) -> tuple[str, ...]:
        """Open all that is due by `epoch`; return the names of what became trainable now."""
        opened: list[str] = []
        while self._due and self._due[0][0] <= epoch:
            since, patterns = self._due.pop(0)
            rate = self._rates.get(since)
            opened += unfreeze(self._model, *patterns, optimizer=self._optimizer, lr=rate)
        return tuple(opened)


def encoder_stages(model: nn.Module, within: str = "") -> list[list[str]]:
    """The stages of an encoder from the input up: embeddings, each block, the head.

    The blocks are the entries of a `ModuleList` or `Sequential` called layer, layers, h, block
    or blocks, wherever it hangs (`encoder.layer`, `transformer.h`). What the model registered
    before it is the first stage, what it registered after it the last.

    Args:
        model: holds one such list, at any depth.
        within: path of the part to look in, where a model has several such lists.

    Raises:
        ValueError: no such list, or several; then write the stages by hand.
    """
    parts = {n: p for n, p in parts_of(model) if isinstance(p, nn.Module)}
    inside = next(iter(places_in(model, [within])))
    found = [n for n, p in parts.items() if _is_list(n, p) and f"{n}.".startswith(_start(inside))]
    lists = [n for n in found if not any(n.startswith(f"{other}.") for other in found)]
    if len(lists) != 1:
        seen = f" but {', '.join(lists)}" if lists else ""
        raise ValueError(
            f"{type(model).__name__} has not one list of blocks called {', '.join(BLOCKS)}{seen}: "
            "pass within=… the path to look in, or write the stages by hand, from the input up"
        )
    below, above = _around(model, lists[0])
    blocks = [[f"{lists[0]}.{name}"] for name in parts[lists[0]]._modules]
    return _joined(model, [below, *blocks, above])


def top_down(model: nn.Module, every: int = 1, within: str = "") -> dict[int, list[str]]:
    """A schedule for `unfreeze_gradually` that opens an encoder from the output down.

    The head at epoch 0, and a block more after `every` epochs each, the embeddings last; see
    `encoder_stages` for the stages and the errors.
    """
    if every < 1:
        raise ValueError(f"every is {every}: stages open at least one epoch apart")
    return {i * every: paths for i, paths in enumerate(reversed(encoder_stages(model, within)))}


def discriminative_rates(
    model: nn.Module, stages: Stages | None = None, factor: float = FACTOR, *, lr: float
) -> list[dict[str, Any]]:
    """Parameter groups for a torch optimizer, with rates that fall towards the input.

    ::

        stages = ["conv1", "layer1", "layer2", "fc"]
        torch.optim.AdamW(discriminative_rates(model, stages, lr=1e-3))

    Frozen parameters are in them as well, so that they can open later under the same optimizer and
    scheduler. A tied parameter goes with the lowest of its stages.

    Args:
        model: every parameter of it gets a group.
        stages: paths from the input up, one or several to a stage; those of `encoder_stages`
            by default.
        factor: from the rate of a stage to that of the stage below it.
        lr: of the last stage, the one next to the output.

    Raises:
        ValueError: stages that name nothing, or that leave parameters out.
    """
    groups: list[dict[str, Any]] = []
    taken: set[nn.Parameter] = set()
    for paths, share in falling(encoder_stages(model) if stages is None else stages, factor):
        members = [p for p in _parameters(model, paths) if p not in taken]
        taken.update(members)
        groups.append({"name": ", ".join(paths), "params": members, "lr": lr * share})
    require_all([name for name, p in model.named_parameters() if p not in taken])
    return [group for group in groups if group["params"]]


def warm_up(optimizer: torch.optim.Optimizer, steps: int) -> _WarmUp:
    """Let the rate of each parameter group rise to its own over its first `steps` steps.

    The k-th step of a group is made at k/`steps` of its rate, and only steps in which it has a
    gradient count: a group that opens later, or is added later, has its warm-up then. Between
    steps the groups show their full rates, so schedulers go on as if nothing was there. Counts
    stand in `optimizer.state_dict()`. `remove()` on what is returned ends it.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}: a warm-up takes one step at least")
    return _WarmUp(optimizer, steps)


class _WarmUp:
    """Two hooks around an optimizer's step."""

    def __init__(self, optimizer: torch.optim.Optimizer, steps: int) -> None:
        self._steps = steps
        self._scaled: list[tuple[dict[str, Any], Any]] = []
        self._handles = [
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        ]

    def remove(self) -> None:
        """Take the hooks off; rates are full from then on."""
        self._put_back()
        for handle in self._handles:
            handle.remove()

    def _before(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self._put_back()  # a step that failed has left them scaled
        for group in optimizer.param_groups:
            made = group.get("warmed_up", 0)
            if made < self._steps and any(p.grad is not None for p in group["params"]):
                self._scaled.append((group, group["lr"]))
                group["lr"] = group["lr"] * ((made + 1) / self._steps)

    def _after(self, *_: Any) -> None:
        for group, _rate in self._scaled:
            group["warmed_up"] = group.get("warmed_up", 0) + 1
        self._put_back()

    def _put_back(self) -> None:
        for group, rate in self._scaled:
            group["lr"] = rate
        self._scaled = []


# --- stages of an encoder


def _is_list(path: str, module: nn.Module) -> bool:
    name = path.rpartition(".")[2].lstrip("_")
    return name in BLOCKS and isinstance(module, (nn.ModuleList, nn.Sequential)) and len(module) > 1


def _start(path: str) -> str:
    return f"{path}." if path else ""


def _around(model: nn.Module, path: str) -> tuple[list[str], list[str]]:
    """What was registered before and what after `path`, as the widest paths."""
    steps = path.split(".")
    ancestors = {".".join(steps[:i]) for i in range(len(steps))}
    names = list(dict.fromkeys(name for name, _ in parts_of(model)))
    beside = [n for n in names if n.rpartition(".")[0] in ancestors and n not in {*ancestors, path}]
    cut = names.index(path)
    below = [name for name in beside if names.index(name) < cut]
    return below, [name for name in beside if name not in below]


def _joined(model: nn.Module, stages: list[list[str]]) -> list[list[str]]:
    """Join stages without parameters to their neighbour, so that each stage opens something."""
    below, *blocks, above = stages
    if not below or not _parameters(model, below):
        below, blocks = below + blocks[0], blocks[1:]
    if not above or not _parameters(model, above):
        above, blocks = blocks[-1] + above, blocks[:-1]
    return [below, *blocks, above]


def _parameters(model: nn.Module, paths: Iterable[str]) -> list[nn.Parameter]:
    places = places_in(model, paths).values()
    found = (part for place in places for part in _own(place))
    return list(dict.fromkeys(found))


def _own(place: nn.Module | nn.Parameter) -> list[nn.Parameter]:
    return [place] if isinstance(place, nn.Parameter) else list(place.parameters())
