"""Which key fits which lock: for each lock of a certificate, the function to call, and why.

What a lock is, whether training opens it and what its key is stand in ``locks.KINDS`` and nowhere
else. Here each key is joined to the function that turns it, and to what was measured when every
key was turned in every lock (``unlocking_figures``). What is said to open a lock or not is read
from those figures by one rule: a key *opens* where it wins back nine tenths of the accuracy that
the lock costs.

A remedy is *curative* where it opens a lock that is there; what is *preventive* keeps one from
closing and revives nothing, as a lower learning rate does with dead units.
"""

from __future__ import annotations

import html
import math
from dataclasses import asdict, dataclass
from typing import Any

from paramlock import tables
from paramlock.certifying import Certificate, plain
from paramlock.locks import KINDS, Lock
from paramlock.unlocking_figures import DYING, PLANTED

WON_BACK = 0.9  # share of the accuracy lost that a key has to win back
EARLY = " from the start"  # keys that were turned before there was a lock


@dataclass(frozen=True)
class Trial:
    """What every key did in one lock, planted in a small network: accuracies on MNIST.

    ``alone``: of the lock left alone; ``healthy``: of the network without it. ``opened``,
    ``prevented`` and ``failed`` are {key: accuracy}, best first, NaN where training diverged.
    """

    lock: str
    alone: float
    healthy: float
    opened: dict[str, float]
    prevented: dict[str, float]
    failed: dict[str, float]

    def __str__(self) -> str:
        parts = [f"{self.lock}: {self.alone:.3f} left alone, {self.healthy:.3f} without the lock"]
        named = {"opened by": self.opened, "prevented by": self.prevented, "not by": self.failed}
        parts += [f"{words} {_listed(keys)}" for words, keys in named.items() if keys]
        return "; ".join(parts)


def _listed(figures: dict[str, float]) -> str:
    return ", ".join(
        f"{key} {'NaN' if math.isnan(a) else f'{a:.3f}'}" for key, a in figures.items()
    )


def _trial(lock: str, figures: dict[str, float], alone: str, healthy: str) -> Trial:
    """Sort the keys by what they did."""
    low, high = figures[alone], figures[healthy]
    rest = {key: a for key, a in figures.items() if key not in ("none", "healthy")}
    best_first = sorted(rest.items(), key=lambda item: (math.isnan(item[1]), -item[1]))
    wins = {key: a for key, a in best_first if a - low >= WON_BACK * (high - low)}
    early = {key: a for key, a in wins.items() if key.endswith(EARLY)}
    opened = {key: a for key, a in wins.items() if key not in early}
    failed = {key: a for key, a in best_first if key not in wins}
    return Trial(lock, low, high, opened, early, failed)


TRIALS: dict[str, Trial] = {
    **{lock: _trial(lock, figures, "none", "healthy") for lock, figures in PLANTED.items()},
    "dying": _trial(
        "dying in training by Adam at a rate of 0.1",
        {cure: accuracy for cure, (accuracy, _) in DYING.items()},
        "none",
        f"rate / 10{EARLY}",
    ),
}


@dataclass(frozen=True)
class Key:
    """How a kind of lock is opened with this library.

    ``call``: what to write, with ``{place}`` for the lock's place; empty where no function can do
    it. ``in_flax``: the same for a model of Flax. ``trials``: names in ``TRIALS`` of the locks of
    this kind that were measured.
    """

    call: str = ""
    prevents: str = ""
    trials: tuple[str, ...] = ()
    in_flax: str = ""


_HOLD_LESS = "a new paramlock.hold_updates(transformation, held) that holds fewer entries"
_UNITS = 'paramlock.{}(model, certificate, {}places=["{{place}}"], optimizer=optimizer)'
_PARAMS = 'paramlock.{}({}certificate, {}places=["{{place}}"], state=state)'


def _of_units(function: str, more: str) -> str:
    return _UNITS.format(function, more)


def _of_params(function: str, first: str, more: str) -> str:
    return _PARAMS.format(function, first, more)


KEYS: dict[str, Key] = {
    "frozen": Key(
        'paramlock.unfreeze(model, "{place}", optimizer=optimizer)',
        trials=("frozen",),
        in_flax='leave "{place}" out of the patterns of paramlock.freeze_paths, or give it a step '
        "in those of paramlock.unfreeze_paths",
    ),
    "leaking": Key(
        'paramlock.freeze(model, "{place}"); of pruned weights, paramlock.prune in place of a '
        "gradient mask",
        "paramlock.assert_frozen(model, names, step) in a test of the training loop",
        in_flax='paramlock.freeze_paths(transformation, "{place}"); of pruned weights, '
        "paramlock.hold_updates around all other transformations",
    ),
    "batchnorm": Key('paramlock.freeze(model, "{place}") or paramlock.unfreeze(model, "{place}")'),
    "idle": Key(
        "paramlock.discriminative_groups for new parameter groups; after a freeze, "
        'paramlock.unfreeze(model, "{place}", optimizer=optimizer)'
    ),
    "pruned": Key(
        "lock.undo(), or paramlock.regrow(lock, 0.1, by=slopes) with the lock that "
        "paramlock.prune returned; prune.remove where torch.nn.utils.prune did it",
        trials=("pruned",),
        in_flax=_HOLD_LESS,
    ),
    "held": Key(
        "lock.release() of the lock that paramlock.hold or paramlock.fisher_lock returned",
        in_flax=_HOLD_LESS,
    ),
    "dead": Key(
        _of_units("reinitialise_units", "inputs=inputs, "),
        "a lower rate, or BatchNorm, from the start",
        ("dead, 95 %", "dead, all", "dying"),
        _of_params("reinitialise_params", "params, ", ""),
    ),
    "saturated": Key(
        _of_units("rescale_units", "inputs, "),
        "initialisation and inputs of unit size",
        ("saturated",),
        _of_params("rescale_params", "model, ", "inputs, params=params, "),
    ),
    "constant": Key(
        _of_units("reinitialise_units", 'kinds=["constant"], '),
        in_flax=_of_params("reinitialise_params", "params, ", 'kinds=["constant"], '),
    ),
    "zeroed": Key(
        _of_units("reinitialise_units", 'kinds=["zeroed"], '),
        in_flax=_of_params("reinitialise_params", "params, ", 'kinds=["zeroed"], '),
    ),
    "vanishing": Key(
        prevents="BatchNorm or residual connections, an initialisation made for the activation",
        trials=("vanishing",),
    ),
    "unreached": Key(),
    "rounding": Key(),
    "no_signal": Key(),
    "nonfinite": Key(prevents="a lower rate, clipped gradients"),
}
"""The key of each kind; empty ones need a change of the model, the loss or the precision."""


@dataclass(frozen=True)
class Remedy:
    """What opens one lock.

    ``call`` is code to adapt; it is empty where no function can open the lock as it is, since the
    model, the loss or the precision has to change: then the remedy is not ``curative``.
    ``prevents`` is what would have kept the lock from closing. ``trials`` say what was measured in
    locks of this kind: what opened them and what did not; none where nothing was measured.
    """

    lock: Lock
    call: str
    curative: bool
    prevents: str
    trials: tuple[Trial, ...]

    @property
    def key(self) -> str:
        """How the lock opens, from the table ``KINDS``."""
        return KINDS[self.lock.kind].key

    @property
    def functions(self) -> tuple[str, ...]:
        """The public functions that ``call`` names."""
        words = (part.split("(")[0].split(" ")[0] for part in self.call.split("paramlock.")[1:])
        return tuple(dict.fromkeys(word.strip(";,") for word in words))

    def rows(self) -> list[tuple[str, str]]:
        """Return what there is to say as (heading, text)."""
        pairs = {
            "found": self.lock.evidence,
            "by training": self.lock.opens,
            "key": self.key,
            "call": self.call,
            "prevents": self.prevents,
        }
        measured = [("measured", str(trial)) for trial in self.trials]
        read = ("read", f"lessons/{self.lock.lesson}")
        return [*(pair for pair in pairs.items() if pair[1]), *measured, read]

    def to_dict(self) -> dict[str, Any]:
        """Return the remedy as plain data."""
        data = {**asdict(self), "key": self.key, "functions": self.functions}
        return dict(plain(data))

    def _title(self) -> str:
        return f"{self.lock.kind} at {self.lock.place or 'the whole model'}"

    def __str__(self) -> str:
        return "\n    ".join([f"- {self._title()}", *(f"{h}: {text}" for h, text in self.rows())])

    def _repr_html_(self) -> str:
        rows = [("", "what"), *self.rows()]
        return tables.html(rows, caption=f"<b>{html.escape(self._title())}</b>", left=True)


class Remedies(tuple[Remedy, ...]):
    """The remedies of one certificate, most urgent first; shows itself as text and as HTML."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "No locks, so there is nothing to open."

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(r._repr_html_() for r in self) or f"<p>{html.escape(str(self))}</p>"


def remedies(certificate: Certificate) -> Remedies:
    """Return for each lock of ``certificate`` the key that fits it, with the evidence measured.

    NaN and infinity come first: every other number is void until they are gone. Locks elsewhere
    that are only consequences have no remedy of their own; opening their origin opens them.

    The evidence is from small networks on MNIST; it tells which key fits which lock, not what
    accuracy to expect.
    """
    return Remedies(_remedy(k, certificate.measurement.framework) for k in certificate.locks)


def _remedy(lock: Lock, framework: str) -> Remedy:
    key = KEYS[lock.kind]
    call = (key.in_flax if framework == "flax" else key.call).replace("{place}", lock.place)
    trials = tuple(TRIALS[name] for name in key.trials)
    return Remedy(lock, call, bool(call), key.prevents, trials)
