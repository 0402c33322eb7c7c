"""Which key fits which lock: for each lock of a certificate, the function to call, and why.

What a lock is, whether training opens it and what its key is stand in `locks.KINDS` and nowhere
else. Here each is joined to the code that turns it (`keys`), and to what was measured when every
key was turned in every lock (`measured`). What is said to open a lock or not is read
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

from paramlock.certifying.certificate import Certificate
from paramlock.certifying.locks import Lock
from paramlock.certifying.records import Measurement
from paramlock.models.numbers import plain
from paramlock.pictures import tables
from paramlock.unlocking.keys import KEYS, parameters_of
from paramlock.unlocking.measured import DYING, DYING_BY, PLANTED, PLANTED_BY

WON_BACK = 0.9  # share of the accuracy lost that a key has to win back
EARLY = " from the start"  # keys that were turned before there was a lock


@dataclass(frozen=True)
class Trial:
    """What every key did in one lock, planted in a small network: accuracies on MNIST.

    `trained_by`: optimizer, length, batch size and schedule, without which no figure says much.
    `alone`: of the lock left alone; `healthy`: of the network without it. `opened`,
    `prevented` and `failed` are {key: accuracy}, best first, NaN where training diverged.
    """

    lock: str
    trained_by: str
    alone: float
    healthy: float
    opened: dict[str, float]
    prevented: dict[str, float]
    failed: dict[str, float]

    def __str__(self) -> str:
        parts = [f"{self.lock}: {self.alone:.3f} left alone, {self.healthy:.3f} without the lock"]
        named = {"opened by": self.opened, "prevented by": self.prevented, "not by": self.failed}
        parts += [f"{words} {_listed(keys)}" for words, keys in named.items() if keys]
        return "; ".join([*parts, f"trained by {self.trained_by}"])


def _listed(figures: dict[str, float]) -> str:
    return ", ".join(
        f"{key} {'NaN' if math.isnan(a) else f'{a:.3f}'}" for key, a in figures.items()
    )


def _trial(
    lock: str, trained_by: str, figures: dict[str, float], healthy: str = "healthy"
) -> Trial:
    """Sort the keys by what they did."""
    low, high = figures["none"], figures[healthy]
    rest = {key: a for key, a in figures.items() if key not in ("none", "healthy")}
    best_first = sorted(rest.items(), key=lambda item: (math.isnan(item[1]), -item[1]))
    wins = {key: a for key, a in best_first if a - low >= WON_BACK * (high - low)}
    early = {key: a for key, a in wins.items() if key.endswith(EARLY)}
    opened = {key: a for key, a in wins.items() if key not in early}
    failed = {key: a for key, a in best_first if key not in wins}
    return Trial(lock, trained_by, low, high, opened, early, failed)


TRIALS: dict[str, Trial] = {
    **{lock: _trial(lock, PLANTED_BY, figures) for lock, figures in PLANTED.items()},
    "dying": _trial(
        "dying in training",
        DYING_BY,
        {cure: accuracy for cure, (accuracy, _) in DYING.items()},
        f"rate / 10{EARLY}",
    ),
}


@dataclass(frozen=True)
class Remedy:
    """What opens one lock.

    `call` is a line of code that runs where `model`, `certificate` and so on are called as in
    `keys`; it is empty where no function can open the lock as it is. `by_hand` says what does then;
    where both are empty, the data, the model, the loss or the precision have to change, and the
    remedy is not `curative`. `shared`: other names of the parameters that it would change, such as
    that of a tied head. `prevents` is what would have kept the lock from closing. `trials`
    say what was measured in locks of this kind: what opened them and what did not; none where
    nothing was measured.
    """

    lock: Lock
    call: str
    by_hand: str
    prevents: str
    trials: tuple[Trial, ...]
    shared: tuple[str, ...] = ()

    @property
    def curative(self) -> bool:
        """Whether it opens a lock that is there."""
        return bool(self.call or self.by_hand)

    @property
    def key(self) -> str:
        """How the lock opens, from the table `KINDS`."""
        return self.lock.key

    @property
    def functions(self) -> tuple[str, ...]:
        """The public functions that `call` names, without the library's name before them."""
        words = (part.split("(")[0].split(" ")[0] for part in self.call.split("paramlock.")[1:])
        return tuple(dict.fromkeys(word.strip(";,") for word in words))

    def rows(self) -> list[tuple[str, str]]:
        """What there is to say as (heading, text)."""
        pairs = {
            "found": self.lock.evidence,
            "by training": self.lock.opens,
            "key": self.key,
            "call": self.call,
            "by hand": self.by_hand,
            "shared": f"{', '.join(self.shared)}: the same tensor, so it changes too"
            if self.shared
            else "",
            "prevents": self.prevents,
        }
        measured = [("measured", str(trial)) for trial in self.trials]
        rows = [*pairs.items(), *measured, ("read", self.lock.lesson)]
        return [(heading, text) for heading, text in rows if text]

    def to_dict(self) -> dict[str, Any]:
        """The remedy as plain data."""
        more = {"key": self.key, "functions": self.functions, "curative": self.curative}
        return dict(plain({**asdict(self), **more, "lock": self.lock.to_dict()}))

    def __str__(self) -> str:
        return "\n    ".join([f"- {self.lock.title}", *(f"{h}: {text}" for h, text in self.rows())])

    def _repr_html_(self) -> str:
        rows = [("", "what"), *self.rows()]
        return tables.html(rows, caption=f"<b>{html.escape(self.lock.title)}</b>", left=True)


class Remedies(tuple[Remedy, ...]):
    """The remedies of one certificate, most urgent first; shows itself as text and as HTML."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "No locks, so there is nothing to open."

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(r._repr_html_() for r in self) or f"<p>{html.escape(str(self))}</p>"


def remedies(certificate: Certificate) -> Remedies:
    """For each lock of `certificate` the key that fits it, with the evidence measured.

    NaN and infinity come first: every other number is void until they are gone. Locks elsewhere
    that are only consequences have no remedy of their own; opening their origin opens them.

    The evidence is from small networks on MNIST; it tells which key fits which lock, not what
    accuracy to expect.
    """
    return Remedies(_remedy(lock, certificate.measurement) for lock in certificate.locks)


def _remedy(lock: Lock, seen: Measurement) -> Remedy:
    key = KEYS[lock.kind]
    call = key.code(lock, seen)
    by_hand = "" if call else key.words(lock, seen)
    shared = [alias for record in parameters_of(lock, seen) for alias in record.aliases]
    trials = tuple(TRIALS[name] for name in key.trials)
    return Remedy(lock, call, by_hand, key.prevents, trials, tuple(shared))
