"""The code that turns the key of a lock, written from what was measured of the model.

Each function gives a line of Python for one lock, or nothing where no function opens it as it
stands. The line uses names that stand around it: `paramlock`, `torch`, `model`, `certificate`,
`inputs` (a batch of them), `optimizer` (or `None`); in Flax `params` and `state`; and `lock`, what
`hold`, `prune` or `fisher_lock` returned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from paramlock.certifying.locks import Lock
from paramlock.certifying.records import INPUT, MODEL, Measurement, ParameterRecord
from paramlock.unlocking.units import FUSED

Code = Callable[[Lock, Measurement], str]


# --- what a lock is about


def _within(name: str, place: str) -> bool:
    return place in (MODEL, name) or name.startswith(f"{place}.")


def parameters_of(lock: Lock, seen: Measurement) -> list[ParameterRecord]:
    """The parameter at a lock's place, or all those of its layers."""
    named = [p for p in seen.parameters if p.name == lock.place]
    return named or [p for p in seen.parameters if p.layer in lock.layers]


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(json.dumps(name) for name in names)


def _patterns(lock: Lock, seen: Measurement) -> str:
    """The lock's place, or its parameters one by one where others lie there too."""
    own = parameters_of(lock, seen)
    if "*" in lock.place:  # many places, of which none is anything else
        return _quoted([lock.place])
    below = [p for p in seen.parameters if _within(p.name, lock.place)]
    return _quoted([lock.place] if len(below) == len(own) else [p.name for p in own])


def _rows_are_free(lock: Lock, seen: Measurement) -> bool:
    """Whether the units of a lock are rows of a weight that may be written."""
    fused = {site.layer for site in seen.sites if site.function in FUSED}
    names = {la.rows for la in seen.layers if la.name in lock.layers and la.name not in fused}
    return any(p.trainable and names & {p.name, *p.aliases} for p in seen.parameters)


# --- the code


def _nothing(lock: Lock, seen: Measurement) -> str:
    return ""


def _unfreeze(lock: Lock, seen: Measurement) -> str:
    return f"paramlock.torch.unfreeze(model, {_patterns(lock, seen)}, optimizer=optimizer)"


def _stop_leak(lock: Lock, seen: Measurement) -> str:
    """Freeze; zeros that grow again are held instead."""
    pruned = [p.name for p in parameters_of(lock, seen) if p.regrown]
    zeros = ", ".join(f"{n}: model.get_parameter({n}) == 0" for n in map(json.dumps, pruned))
    if zeros:
        return f"paramlock.torch.hold(model, {{{zeros}}}, at_zero=True)"
    return f"paramlock.torch.freeze(model, {_patterns(lock, seen)})"


def _set_mode(lock: Lock, seen: Measurement) -> str:
    """Evaluation mode for good where the norm layers are frozen, else training mode."""
    norms = [n for n in seen.normalisations if n.name in lock.layers]
    if not all(norm.frozen for norm in norms):
        both = "paramlock.torch.unfreeze(model, path); model.get_submodule(path).train()"
        return f"for path in [{_quoted(lock.layers)}]: {both}"
    others = any(p.trainable for p in seen.parameters if _within(p.name, lock.place))
    return f"paramlock.torch.freeze(model, {_quoted(lock.layers if others else [lock.place])})"


def _give_rate(lock: Lock, seen: Measurement) -> str:
    """Hand the parameters over, or give them the largest rate of the others."""
    own = parameters_of(lock, seen)
    fastest = max((p.rate or 0.0 for p in seen.parameters), default=0.0)
    if all(p.in_optimizer is False for p in own):
        return _unfreeze(lock, seen)
    rated = f"optimizer=optimizer, lr={fastest!r}"
    return f"paramlock.torch.unfreeze(model, {_patterns(lock, seen)}, {rated})" if fastest else ""


def _take_masks_off(lock: Lock, seen: Measurement) -> str:
    """Undo the library's own lock, or remove the masks of `torch.nn.utils.prune`."""
    masked = [p for p in parameters_of(lock, seen) if p.masked]
    if masked and all(p.locked for p in masked):
        return "lock.undo()"
    names = [p.name.rpartition(".") for p in masked if p.name.endswith("_orig")]
    return "; ".join(
        f"torch.nn.utils.prune.remove(model.get_submodule({json.dumps(owner)}), "
        f"{json.dumps(leaf.removesuffix('_orig'))})"
        for owner, _, leaf in names
    )


def _give_back(lock: Lock, seen: Measurement) -> str:
    """Open the masks first: under those of `torch.nn.utils.prune` the weights have stayed."""
    masked = [p.name for p in parameters_of(lock, seen) if p.masked and p.name.endswith("_orig")]
    masks = [json.dumps(f"{name.removesuffix('_orig')}_mask") for name in masked]
    opened = [f"model.get_buffer({mask}).fill_(1)" for mask in masks]
    return "; ".join(filter(None, [*opened, _take_masks_off(lock, seen)]))


def _release(lock: Lock, seen: Measurement) -> str:
    return "lock.release()"


def _of_units(line: str) -> Code:
    """A call for the lock's place, where its units can be written."""

    def code(lock: Lock, seen: Measurement) -> str:
        places = f"places=[{_quoted([lock.place])}]"
        return line.format(places=places) if _rows_are_free(lock, seen) else ""

    return code


def _reinitialise(kind: str, inputs: str = "") -> tuple[Code, Code]:
    """Drawing the units of a kind of lock anew, in torch and in Flax."""
    kinds = "" if kind == "dead" else f'kinds=["{kind}"], '
    more = f"{inputs}{kinds}{{places}}"
    return (
        _of_units(
            f"paramlock.torch.reinitialise_units(model, certificate, {more}, optimizer=optimizer)"
        ),
        _of_units(
            "paramlock.flax.reinitialise_units("
            f"params, certificate, {kinds}{{places}}, state=state)"
        ),
    )


# --- the table


@dataclass(frozen=True)
class Key:
    """How a kind of lock is opened with this library.

    `torch`, `flax`: the code for a lock, see above. `by_hand`: what to do where there is no code,
    and `by_hand_in_flax` where that is another thing there. `trials`: names in `TRIALS` of the
    locks of this kind that were measured.
    """

    torch: Code = _nothing
    flax: Code = _nothing
    by_hand: str = ""
    by_hand_in_flax: str = ""
    prevents: str = ""
    trials: tuple[str, ...] = ()

    def code(self, lock: Lock, seen: Measurement) -> str:
        """The line that opens `lock`; empty where there is none."""
        if lock.place == INPUT:
            return ""
        return (self.flax if seen.framework == "flax" else self.torch)(lock, seen)

    def words(self, lock: Lock, seen: Measurement) -> str:
        """What to do by hand; empty where that too is of no use."""
        words = (self.by_hand_in_flax if seen.framework == "flax" else "") or self.by_hand
        return "" if lock.place == INPUT else words.replace("{place}", lock.place)


_ANEW = (
    "unfreeze the layer first where it is frozen; where its units are no rows of one weight "
    "(gates, heads, embeddings, weights computed from others), initialise the layer anew"
)
_HOLD_LESS = "a new paramlock.flax.hold(transformation, held) that holds fewer entries"

KEYS: dict[str, Key] = {
    "frozen": Key(
        _unfreeze,
        by_hand_in_flax='leave "{place}" out of the patterns of paramlock.flax.freeze, or give it '
        "a step in the schedule of paramlock.flax.unfreeze_gradually",
        trials=("frozen",),
    ),
    "leaking": Key(
        _stop_leak,
        by_hand_in_flax="paramlock.flax.hold around all other transformations",
        prevents="paramlock.assert_frozen(model, names, step) in a test of the training loop",
    ),
    "batchnorm": Key(
        _set_mode, by_hand_in_flax="use_running_average, or .eval() and .train() in nnx"
    ),
    "idle": Key(_give_rate, by_hand="raise the rate of its parameter group"),
    "pruned": Key(
        _take_masks_off,
        by_hand="remove the hook that masks the gradient",
        by_hand_in_flax=_HOLD_LESS,
        trials=("pruned",),
    ),
    "emptied": Key(
        _give_back,
        by_hand="remove what masks the layer, and initialise it anew",
        by_hand_in_flax=f"{_HOLD_LESS}; then initialise the layer anew",
        prevents="a sparsity for each layer (scope='tensor'), or scores taken anew in rounds",
    ),
    "held": Key(_release, by_hand_in_flax=_HOLD_LESS),
    "dead": Key(
        *_reinitialise("dead", "inputs=inputs, "),
        by_hand=_ANEW,
        prevents="a lower rate, or BatchNorm, from the start",
        trials=("dead, 95 %", "dead, all", "dying"),
    ),
    "saturated": Key(
        _of_units(
            "paramlock.torch.rescale_units(model, certificate, inputs, {places}, "
            "optimizer=optimizer)"
        ),
        _of_units(
            "paramlock.flax.rescale_units(model, certificate, inputs, params=params, {places}, "
            "state=state)"
        ),
        by_hand=_ANEW,
        prevents="initialisation and inputs of unit size",
        trials=("saturated",),
    ),
    "heavy": Key(
        _of_units(
            'paramlock.torch.rescale_units(model, certificate, inputs, kinds=["heavy"], {places}, '
            "optimizer=optimizer)"
        ),
        _of_units(
            "paramlock.flax.rescale_units(model, certificate, inputs, params=params, "
            'kinds=["heavy"], {places}, state=state)'
        ),
        by_hand="make the weight smaller, by one factor for all of it",
        prevents="weight decay on all weights before a norm layer",
    ),
    "constant": Key(*_reinitialise("constant"), by_hand=_ANEW),
    "zeroed": Key(*_reinitialise("zeroed"), by_hand=_ANEW),
    "unused": Key(
        by_hand="codes: write outputs of the encoder, drawn at random, into the unused rows, and "
        "clear what the optimizer remembers of them; experts: add a loss that balances the load, "
        "or noise to the router",
        prevents="a codebook that starts at outputs of the encoder; a balanced router",
    ),
    "vanishing": Key(
        prevents="BatchNorm or residual connections, an initialisation made for the activation",
        trials=("vanishing",),
    ),
    "collapsed": Key(prevents="residual connections around each layer of attention"),
    "inactive": Key(prevents="a weight on the KL term that starts at zero and rises"),
    "unreached": Key(),
    "rounding": Key(),
    "no_signal": Key(),
    "nonfinite": Key(prevents="a lower rate, clipped gradients"),
}
"""The key of each kind; empty ones need a change of the model, the loss or the precision."""
