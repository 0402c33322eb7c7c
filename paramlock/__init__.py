"""Parameter locking: find, prove, use and undo the parts of a network that do not learn.

Two words are used throughout. A parameter is *frozen* when training is meant to leave it
alone, and *trainable* when training is meant to move it. Whether it *moved* is a measurement,
and the two need not agree.

A public name is fetched from its module when it is first used, so torch users need no JAX and JAX
users need no torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

PUBLIC = {
    "certifying": ["certificate", "Certificate", "Comparison"],
    "watching": ["watch", "Watch"],
    "locks": ["KINDS", "Kind", "Lock"],
    "fisher": ["fisher_diagonal"],
    "ewc": ["anchor", "ewc_penalty"],
    "transfer": ["cached_features", "transfer_profile"],
    "freezing": ["freeze", "frozen", "unfreeze"],
    "proof": ["assert_frozen"],
    "gradual": [
        "GradualUnfreezing",
        "discriminative_groups",
        "encoder_stages",
        "top_down",
        "warm_up",
    ],
    "choosing": ["choose_entries", "choose_n_of_m", "cubic_sparsity", "movement_scores"],
    "holding": ["Hold", "HoldReport", "hold"],
    "optax_holding": ["hold_updates", "zero_entries"],
    "pruning": ["fisher_lock", "prune", "regrow", "rewire"],
    "opening": ["Opened"],
    "reviving": ["reinitialise_units", "rescale_units", "swap_activations"],
    "flax_reviving": ["Renewed", "reinitialise_params", "rescale_params"],
    "remedying": ["Remedy", "remedies"],
    "optax_freezing": ["freeze_paths", "scale_paths", "unfreeze_paths"],
    "mixing": ["MIXINGS", "dct", "hadamard", "hartley", "mix"],
    "activations": ["STARTS", "activate", "activation_parameters"],
    "frozen_networks": [
        "AdaptedLinear",
        "FixedMixing",
        "FixedReadout",
        "FrozenMixingBlock",
        "FrozenMixingEncoderLayer",
        "FrozenMixingNetwork",
        "LearnedActivation",
        "LowRankAdapter",
        "mixing_parameter_groups",
        "quantise_activations",
    ],
    "seeding": ["seed_everything"],
}
"""The public names by module. `figures` and `explore` are for lessons, which import the modules."""

_HOME = {name: module for module, names in PUBLIC.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'paramlock' has no name {name!r}; see paramlock.__all__")
    return getattr(import_module(f"paramlock.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
