"""Networks on fixed mixing: transforms without weights, learned activations, adapters.

Transforms and activations take torch tensors and JAX arrays; networks are torch's, and torch is
imported when the first of them is asked for.
"""

from typing import TYPE_CHECKING, Any

from paramlock.mixing.activations import STARTS, activate, activation_parameters
from paramlock.mixing.transforms import MIXINGS, dct, hadamard, hartley, mix

if TYPE_CHECKING:
    from paramlock.mixing.networks import (
        AdaptedLinear,
        FixedMixing,
        FixedReadout,
        FrozenMixingBlock,
        FrozenMixingEncoderLayer,
        FrozenMixingNetwork,
        LearnedActivation,
        LowRankAdapter,
        mixing_parameter_groups,
        quantise_activations,
    )

__all__ = [
    "MIXINGS",
    "STARTS",
    "AdaptedLinear",
    "FixedMixing",
    "FixedReadout",
    "FrozenMixingBlock",
    "FrozenMixingEncoderLayer",
    "FrozenMixingNetwork",
    "LearnedActivation",
    "LowRankAdapter",
    "activate",
    "activation_parameters",
    "dct",
    "hadamard",
    "hartley",
    "mix",
    "mixing_parameter_groups",
    "quantise_activations",
]


if not TYPE_CHECKING:  # else a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(
                f"module {__name__!r} has no name {name!r}; see {__name__}.__all__"
            )
        from paramlock.mixing import networks

        return getattr(networks, name)


def __dir__() -> list[str]:
    return __all__
