"""Open locks of units in torch: draw dead ones anew, rescale saturated ones, swap activations.

A *unit* is an output of a layer (a row of a linear layer, an output channel of a convolution, a
row of a norm layer); what enters its activation function is its *pre-activation*. A unit has
*incoming* weights, its own row, and *outgoing* ones, the columns of the next layers that read it.
The layers come from a certificate of the same model, which knows what feeds what.

Sources: re-initialisation with outgoing weights at zero, Sokar et al. 2023, "The dormant neuron
phenomenon" (ReDo), §4; scaling weights by the data they see, Mishkin & Matas 2016, "All you need is
a good init" (LSUV), §2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from paramlock.certifying.certificate import Certificate
from paramlock.holding.in_torch import clear_state, enforce_on
from paramlock.models.batches import arrays, call
from paramlock.models.in_torch import CONVOLUTIONS, NORMS, TRANSPOSED, undisturbed, unit_axis
from paramlock.models.modes import take_mode
from paramlock.models.numbers import ratio
from paramlock.unlocking.units import (
    KEPT,
    Opened,
    children_of,
    locked_units,
    parents_of,
    passes_nothing,
)

FAR = 3.0  # pre-activations with a root mean square beyond so many spreads are brought back


def reinitialise_units(
    model: nn.Module,
    certificate: Certificate,
    *,
    kinds: Iterable[str] = ("dead",),
    places: Iterable[str] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    inputs: Any = None,
    seed: int = 0,
) -> list[Opened]:
    """Draw locked units anew: incoming weights random, outgoing zero, optimizer state cleared.

    Incoming weights come from He's normal distribution (variance 2 / fan-in), biases are zero. A
    norm layer before the activation gets weight 1, bias 0, mean 0 and variance 1 in those rows, and
    the layer before it is drawn anew too. With outgoing weights at zero, a unit whose output was
    zero changes nothing of what the network computes; at the next step its outgoing weights learn,
    one step later its incoming ones. What killed the units is not mended by this: lower the rate,
    or they die again.

    Args:
        model: its weights are written.
        certificate: of this model, from `certificate(model, ...)`.
        kinds: locks to open: "dead", "constant", "saturated", "zeroed" or "heavy".
        places: layers to open; by default all where the certificate has such a lock.
        optimizer: what it remembers of the weights written is cleared.
        inputs: one batch as the model takes it. With it the new rows are scaled so that
            pre-activations on it have mean 0 and spread 1, which He's rule only promises for inputs
            of unit size; and the change of the model's output is measured.
        seed: of the weights drawn.

    Outgoing weights are left as they are, and the note says so, behind a layer of zeros, where
    zeros would only move up a layer; where they are frozen, where the
    output joins that of other layers (a residual stream), or where the next layer is neither linear
    nor a convolution.

    Raises:
        ValueError: a lock in a layer that is no linear, convolution or norm layer, whose weights
            are frozen or computed from others, or that the model does not have. Nothing has been
            written then.
    """
    kinds = tuple(kinds)
    plans = [_plan(model, certificate, *lock) for lock in locked_units(certificate, kinds, places)]
    for plan in plans:
        if passes_nothing(certificate, kinds, plan.place):
            plan.outgoing, plan.notes = [], [KEPT]
    generator = torch.Generator().manual_seed(seed)
    with _Change(model, inputs) as change:
        for plan in plans:
            _draw(plan, generator)
            if inputs is not None:
                _standardise(model, plan.place, plan.units, inputs, 1.0)
            plan.settle(optimizer)
    return [plan.opened(change.size) for plan in plans]


def rescale_units(
    model: nn.Module,
    certificate: Certificate,
    inputs: Any,
    *,
    spread: float = 1.0,
    kinds: Iterable[str] = ("saturated",),
    places: Iterable[str] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> list[Opened]:
    """Shrink saturated units' weights until their pre-activations have mean 0 and this `spread`.

    What a unit responds to, the direction of its weights, stays; how strongly, changes. So does
    the function of the network: `Opened.output_change` says by how much. Layers are rescaled
    from the input on, each measured after those below it. Without a bias the mean is left.

    Args:
        model: its weights are written.
        certificate: of this model, from `certificate(model, ...)`.
        inputs: one batch as the model takes it, of a few hundred samples or more.
        spread: standard deviation wanted; 1 leaves sigmoid and tanh their steep middle.
        kinds: locks to open, as for `reinitialise_units`.
        places: layers to open; by default all where the certificate has such a lock.
        optimizer: what it remembers of the weights written is cleared.

    Raises:
        ValueError: as for `reinitialise_units`; a spread that is not positive.
    """
    if not spread > 0:
        raise ValueError(f"spread is {spread}: it is a standard deviation, above 0")
    plans = [_plan(model, certificate, *lock) for lock in locked_units(certificate, kinds, places)]
    with _Change(model, inputs) as change:
        for plan in plans:
            plan.outgoing.clear()
            plan.incoming = _rows(model, plan.place, plan.units)
            plan.notes = [_standardise(model, plan.place, plan.units, inputs, spread)]
            plan.settle(optimizer)
    return [plan.opened(change.size) for plan in plans]


def swap_activations(
    model: nn.Module,
    old: type[nn.Module],
    new: Callable[[], nn.Module],
    inputs: Any,
    *,
    spread: float = 1.0,
    optimizer: torch.optim.Optimizer | None = None,
) -> list[Opened]:
    """Put activation `new()` in place of every module of class `old`, at a scale that trains.

    A dead or saturated unit often has pre-activations in the tens or hundreds. Its old activation
    hid that: it gave 0 or 1. A leaky one passes it on, the next layer sees inputs of a hundred, and
    a step of gradient descent, whose stable rate falls with the square of its inputs, diverges to
    NaN. So each unit whose pre-activations have a root mean square beyond three spreads is brought
    to mean 0 and `spread` first; all others keep their weights.

    Args:
        model: its modules are replaced, and weights of units far out are written.
        old: class of modules to replace, `nn.ReLU` say; subclasses are not meant.
        new: called once for each, for example `lambda: nn.LeakyReLU(0.1)`. If it has parameters
            (`nn.PReLU`), hand them to the optimizer.
        inputs: one batch as the model takes it.
        spread: root mean square wanted, and the measure of what is far out.
        optimizer: what it remembers of the weights written is cleared.

    Raises:
        ValueError: no module of class `old`: functions called in `forward` (`F.relu`) cannot
            be swapped from outside; or units far out in a layer that is frozen or whose weights
            are computed from others. Nothing has been written then.
    """
    everything = model.named_modules(remove_duplicate=False)
    found = [name for name, module in everything if type(module) is old and name]
    if not found:
        raise ValueError(
            f"the model holds no {old.__name__}: if its forward calls a function such as "
            "torch.relu, change it there"
        )
    with _Change(model, inputs) as change:
        feeding = _feeding(model, found, inputs)
        places = dict.fromkeys(place for name in found for place in feeding[name])
        plans = [_far_out(model, place, inputs, spread) for place in places]
        for plan in filter(lambda plan: plan.units, plans):
            plan.notes.append(_standardise(model, plan.place, plan.units, inputs, spread))
            plan.settle(optimizer)
        for name in found:
            owner, _, leaf = name.rpartition(".")
            fresh = new().to(next(model.parameters()).device)
            take_mode(fresh, model.get_submodule(name))
            setattr(model.get_submodule(owner), leaf, fresh)
    note = "activation swapped; what enters it is no layer's output, so nothing was rescaled"
    rest = [Opened(n, (), (), (), note, change.size) for n in found if not feeding[n]]
    return [plan.opened(change.size) for plan in plans] + rest


# --- what to write where


Place = tuple[nn.Parameter, str, Any]  # a parameter, its name, and the index of what is written


class _Plan:
    """The rows and columns of some units of one layer."""

    def __init__(self, place: str, units: Sequence[int]) -> None:
        self.place, self.units = place, tuple(units)
        self.incoming: list[Place] = []
        self.outgoing: list[Place] = []
        self.norms: list[tuple[nn.Module, Any]] = []
        self.notes: list[str] = []

    def settle(self, optimizer: torch.optim.Optimizer | None) -> None:
        """Clear the optimizer's memory of what was written; held entries keep their value."""
        for parameter, _, where in (*self.incoming, *self.outgoing):
            enforce_on(parameter)
            if optimizer is not None:
                clear_state(optimizer, parameter, where)

    def opened(self, change: float | None) -> Opened:
        names = [tuple(name for _, name, _ in part) for part in (self.incoming, self.outgoing)]
        note = "; ".join(dict.fromkeys(filter(None, self.notes)))
        return Opened(self.place, self.units, names[0], names[1], note, change)


def _plan(model: nn.Module, certificate: Certificate, place: str, units: tuple[int, ...]) -> _Plan:
    """What has to be written; raises `ValueError` before anything is."""
    weight = _own(model, place)[0][0]
    layer = model.get_submodule(place)
    count = weight.shape[unit_axis(layer) or 0]
    plan = _Plan(place, units or range(count))
    if max(plan.units) >= count:
        raise ValueError(f"{place} has {count} units, the certificate more: make a new one")
    plan.incoming = _rows(model, place, plan.units)
    parents = parents_of(certificate, place)
    if isinstance(layer, NORMS):
        plan.norms.append((layer, list(plan.units)))
        if len(parents) == 1 and _rows_of(model, parents[0]) == count:
            plan.incoming += _rows(model, parents[0], plan.units)
    for child in children_of(certificate, place):
        _add_outgoing(plan, model, certificate, child, place, count)
    return plan


def _own(model: nn.Module, place: str) -> list[tuple[nn.Parameter, str]]:
    """Weight and bias of a layer that rows can be written in."""
    try:
        layer = model.get_submodule(place)
    except AttributeError:
        raise ValueError(f"the model has no layer {place!r}: make a certificate of it") from None
    if unit_axis(layer) is None:
        raise ValueError(
            f"{place or 'the model'} is {type(layer).__name__}: only rows of linear, convolution "
            "and norm layers can be drawn anew or rescaled one by one, and only of a weight of "
            "their own (not computed from others by weight norm or torch's own pruning, not "
            "grouped and transposed)"
        )
    named = [(layer._parameters.get(leaf), leaf) for leaf in ("weight", "bias")]
    own = [(p, f"{place}.{leaf}" if place else leaf) for p, leaf in named if p is not None]
    if not own[0][0].requires_grad:
        raise ValueError(f"the weight of {place!r} is frozen: unfreeze it first")
    return own


def _rows(model: nn.Module, place: str, units: Sequence[int]) -> list[Place]:
    axis = unit_axis(model.get_submodule(place)) or 0
    return [
        (p, name, (slice(None),) * (axis if p.ndim > 1 else 0) + (list(units),))
        for p, name in _own(model, place)
    ]


def _rows_of(model: nn.Module, place: str) -> int:
    """The number of units of a linear or convolution layer, 0 for others."""
    layer = model.get_submodule(place)
    if not isinstance(layer, (nn.Linear, *CONVOLUTIONS)) or "weight" not in layer._parameters:
        return 0
    return len(layer.weight) if layer.weight.requires_grad else 0


def _add_outgoing(
    plan: _Plan, model: nn.Module, certificate: Certificate, child: str, place: str, count: int
) -> None:
    """Add the columns of `child` that read the units, or a note why they are left."""
    layer = model.get_submodule(child)
    if parents_of(certificate, child) != (place,):
        plan.notes.append(f"outgoing weights in {child} kept: other layers join their input")
    elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
        for further in children_of(certificate, child):
            _add_outgoing(plan, model, certificate, further, child, count)
    elif columns := _columns(layer, plan.units, count):
        if layer._parameters["weight"].requires_grad:  # type: ignore[union-attr]
            plan.outgoing.append((layer.weight, f"{child}.weight", columns))  # type: ignore[arg-type]
        else:
            plan.notes.append(f"outgoing weights in {child} kept: they are frozen")
    else:
        plan.notes.append(f"outgoing weights in {child} ({type(layer).__name__}) kept")


def _columns(layer: nn.Module, units: Sequence[int], count: int) -> Any:
    """The index of the columns that read `units`; channels may have been flattened."""
    weight = layer._parameters.get("weight")
    if weight is None or not isinstance(layer, (nn.Linear, *CONVOLUTIONS)):
        return None
    if getattr(layer, "groups", 1) > 1 or weight.shape[1] % count:
        return None
    positions = weight.shape[1] // count
    return (slice(None), [u * positions + i for u in units for i in range(positions)])


# --- writing


@torch.no_grad()
def _draw(plan: _Plan, generator: torch.Generator) -> None:
    """Write new incoming weights, and zero in the outgoing ones."""
    for parameter, _, where in plan.incoming:
        parameter[where] = _fresh(parameter, where, generator)
    for norm, rows in plan.norms:
        _reset_rows(norm, rows)
    for parameter, _, where in plan.outgoing:
        parameter[where] = 0


def _fresh(parameter: Tensor, where: Any, generator: torch.Generator) -> Tensor:
    old = parameter[where]
    if parameter.ndim < 2:
        return torch.zeros_like(old)
    fan_in = parameter.numel() // parameter.shape[len(where) - 1]
    drawn = torch.randn(old.shape, generator=generator)
    return (drawn * math.sqrt(2 / fan_in)).to(old)


def _reset_rows(norm: nn.Module, rows: list[int]) -> None:
    """Bring rows of a norm layer to where a new layer has them."""
    for name, value in (("weight", 1), ("running_mean", 0), ("running_var", 1)):
        tensor = getattr(norm, name, None)
        if isinstance(tensor, Tensor):
            tensor[rows] = value


@torch.no_grad()
def _standardise(
    model: nn.Module, place: str, units: Sequence[int], inputs: Any, spread: float
) -> str:
    """Scale and shift rows so that their outputs have mean 0 and `spread`; return a note."""
    where = list(units)
    mean, deviation = (t[where] for t in _moments(model, place, inputs))
    scale = torch.where(deviation > 0, spread / deviation, 1.0)
    layer = model.get_submodule(place)
    (weight, _), *bias = _own(model, place)
    rows = weight.movedim(unit_axis(layer) or 0, 0) if weight.ndim > 1 else weight
    factor = scale.to(weight)
    rows[where] = rows[where] * factor.reshape(-1, *[1] * (weight.ndim - 1))
    for shift, _ in bias:
        shift[where] = (shift[where] - mean.to(shift)) * factor
    before = f"spread of pre-activations from {float(deviation.median()):.3g} to {spread:.3g}"
    before += "; constant ones keep theirs" * bool((deviation == 0).any())
    return before if bias else f"{before}; the layer has no bias, so their mean is left"


def _moments(model: nn.Module, place: str, inputs: Any) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each output of a layer, over samples and positions."""
    seen: list[Tensor] = []
    layer = model.get_submodule(place)
    handle = layer.register_forward_hook(lambda m, i, output: seen.append(_by_unit(m, output)))
    try:
        _outputs(model, inputs)
    finally:
        handle.remove()
    if not seen:
        raise ValueError(f"the model does not call {place!r} on these inputs")
    values = torch.cat(seen).double()
    return values.mean(0), values.std(0, correction=0)


def _by_unit(layer: nn.Module, output: Tensor) -> Tensor:
    """The outputs as (samples and positions, units)."""
    last = isinstance(layer, (nn.Linear, nn.LayerNorm)) or output.ndim < 3
    by_unit = output if last else output.movedim(1, -1)
    return by_unit.detach().clone().flatten(0, -2)  # cloned: an activation may work in place


def _outputs(model: nn.Module, inputs: Any) -> list[Tensor]:
    """The model's outputs; running statistics and random generators stay as they were."""
    with undisturbed(model), torch.no_grad():
        torch.manual_seed(0)  # the same dropout before and after
        return [t.detach().clone() for t in arrays(call(model, inputs)) if t.is_floating_point()]


class _Change:
    """Measures how far what happens inside moves the model's output."""

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        self._model, self._inputs = model, inputs
        self.size: float | None = None

    def __enter__(self) -> _Change:
        self._before = [] if self._inputs is None else _outputs(self._model, self._inputs)
        return self

    def __exit__(self, *error: Any) -> None:
        if self._inputs is None or error[0] is not None:
            return
        pairs = list(zip(self._before, _outputs(self._model, self._inputs), strict=True))
        largest = max(float(before.abs().max()) for before, _ in pairs)
        self.size = ratio(max(float((b - a).abs().max()) for b, a in pairs), largest)


# --- what feeds an activation


def _feeding(model: nn.Module, names: list[str], inputs: Any) -> dict[str, dict[str, None]]:
    """{activation: layers} where an activation is called on what a layer just returned."""
    layers = (nn.Linear, *CONVOLUTIONS, *NORMS, TRANSPOSED)
    made: dict[int, tuple[str, Tensor]] = {}  # the tensors too, so that no id is used again
    found: dict[str, dict[str, None]] = {name: {} for name in names}

    def left(name: str) -> Callable[..., None]:
        return lambda module, args, output: made.update({id(output): (name, output)})

    def entered(name: str) -> Callable[..., None]:
        return lambda module, args: found[name].update(
            {made[id(args[0])][0]: None} if id(args[0]) in made else {}
        )

    hooked = [(n, m) for n, m in model.named_modules() if isinstance(m, layers)]
    handles = [module.register_forward_hook(left(name)) for name, module in hooked]
    handles += [model.get_submodule(n).register_forward_pre_hook(entered(n)) for n in names]
    try:
        _outputs(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _far_out(model: nn.Module, place: str, inputs: Any, spread: float) -> _Plan:
    """The rows of `place` whose pre-activations are far out."""
    mean, deviation = _moments(model, place, inputs)
    far = (mean.square() + deviation.square()).sqrt() > FAR * spread
    plan = _Plan(place, far.nonzero().flatten().tolist())
    plan.incoming = _rows(model, place, plan.units) if plan.units else []
    plan.notes = ["activation swapped"]
    return plan
