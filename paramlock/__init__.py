"""Parameter locking: find, prove, use and undo the parts of a network that do not learn.

Two words are used throughout. A parameter is *frozen* when training is meant to leave it
alone, and *trainable* when training is meant to move it. Whether it *moved* is a measurement,
and the two need not agree.

What stands here works for every framework and imports none: torch users need no JAX and JAX users
need no torch. What acts on a model of one framework is in `paramlock.torch` and `paramlock.flax`,
under the same names; networks on fixed mixing are in `paramlock.mixing`, and what a watch writes to
in `paramlock.loggers`. Each of these four is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from paramlock.auditing.declared import Audit, assert_learns, audit
from paramlock.certifying.certificate import Certificate, Comparison, certificate
from paramlock.certifying.locks import KINDS, Kind, Lock
from paramlock.fisher.diagonal import fisher_diagonal
from paramlock.fisher.ewc import anchor, ewc_penalty
from paramlock.freezing.proof import assert_frozen
from paramlock.holding.choosing import (
    choose_entries,
    choose_n_of_m,
    cubic_sparsity,
    movement_scores,
)
from paramlock.models.names import parameters_by_name
from paramlock.unlocking.remedies import Remedy, remedies
from paramlock.unlocking.units import Opened
from paramlock.watching.watch import Watch, watch

if TYPE_CHECKING:
    from paramlock import flax as flax
    from paramlock import loggers as loggers
    from paramlock import mixing as mixing
    from paramlock import torch as torch

__version__ = "0.1.0"

FACES = ("flax", "loggers", "mixing", "torch")
"""Modules that are imported when they are first asked for; `import *` leaves them out."""

__all__ = [
    "KINDS",
    "Audit",
    "Certificate",
    "Comparison",
    "Kind",
    "Lock",
    "Opened",
    "Remedy",
    "Watch",
    "anchor",
    "assert_frozen",
    "assert_learns",
    "audit",
    "certificate",
    "choose_entries",
    "choose_n_of_m",
    "cubic_sparsity",
    "ewc_penalty",
    "fisher_diagonal",
    "movement_scores",
    "parameters_by_name",
    "remedies",
    "watch",
]


if not TYPE_CHECKING:  # else a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name not in FACES:
            raise AttributeError(f"module 'paramlock' has no name {name!r}; see paramlock.__all__")
        return import_module(f"paramlock.{name}")


def __dir__() -> list[str]:
    return sorted([*__all__, *FACES])
