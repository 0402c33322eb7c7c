"""What acts on a Flax model: in optax where it trains, on its parameters where they are opened.

Each function takes first what it acts on, a transformation of optax or parameters, and gives a new
one. Where `paramlock.torch` has one of the same name, the arguments after the first are the same.
"""

from paramlock.freezing.in_optax import (
    discriminative_rates,
    freeze,
    scale_rates,
    unfreeze_gradually,
)
from paramlock.holding.in_optax import Pruned, hold, prune, zero_entries
from paramlock.unlocking.in_flax import Renewed, reinitialise_units, rescale_units

__all__ = [
    "Pruned",
    "Renewed",
    "discriminative_rates",
    "freeze",
    "hold",
    "prune",
    "reinitialise_units",
    "rescale_units",
    "scale_rates",
    "unfreeze_gradually",
    "zero_entries",
]


def __dir__() -> list[str]:
    return __all__
