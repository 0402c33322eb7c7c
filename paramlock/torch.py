"""What acts on a torch model: freeze and unfreeze, hold and prune, open locked units.

Each function takes first what it acts on. Where `paramlock.flax` has one of the same name, the
arguments after the first are the same.
"""

from paramlock.freezing.gradual import (
    GradualUnfreezing,
    discriminative_rates,
    encoder_stages,
    top_down,
    unfreeze_gradually,
    warm_up,
)
from paramlock.freezing.in_torch import freeze, frozen, unfreeze
from paramlock.freezing.transfer import cached_features, transfer_profile
from paramlock.holding.in_torch import Hold, HoldReport, hold
from paramlock.holding.pruning import fisher_lock, prune, regrow, rewire
from paramlock.unlocking.in_torch import reinitialise_units, rescale_units, swap_activations

__all__ = [
    "GradualUnfreezing",
    "Hold",
    "HoldReport",
    "cached_features",
    "discriminative_rates",
    "encoder_stages",
    "fisher_lock",
    "freeze",
    "frozen",
    "hold",
    "prune",
    "regrow",
    "reinitialise_units",
    "rescale_units",
    "rewire",
    "swap_activations",
    "top_down",
    "transfer_profile",
    "unfreeze",
    "unfreeze_gradually",
    "warm_up",
]


def __dir__() -> list[str]:
    return __all__
