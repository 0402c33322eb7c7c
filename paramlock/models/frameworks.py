"""Which framework a model is of, told without importing one: a model comes after its framework.

A model has one of four *forms*, the keys of `FORMS`; each function says which of them it takes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

FORMS = {
    "torch": "a torch.nn.Module",
    "nnx": "a flax.nnx.Module",
    "apply": "a flax.linen.Module (or apply function) with params=variables",
    "tree": "(nested) dicts of arrays such as linen's variables",
}
MODELS = ("torch", "nnx", "apply")
"""The forms that can be run."""


def framework_of(model: Any, *forms: str, params: Any = None) -> str:
    """The framework, "torch" or "flax", of a model in one of `forms`.

    Raises:
        TypeError: a model in none of them.
        ValueError: `params` beside a torch model.
    """
    form = form_of(model, params)
    if form not in forms:
        raise TypeError(f"model is {type(model).__name__}: pass {_either(forms)}")
    if form == "torch" and params is not None:
        raise ValueError("a torch model holds its own parameters: leave params= out")
    return "torch" if form == "torch" else "flax"


def form_of(model: Any, params: Any = None) -> str:
    """The form that a model comes in; empty for what is no model."""
    if _is_module(model, "torch.nn"):
        return "torch"
    if _is_module(model, "flax.nnx"):
        return "nnx"
    if isinstance(model, Mapping):
        return "tree"
    applied = callable(model) and params is not None
    return "apply" if applied or _is_module(model, "flax.linen") else ""


def is_state(tree: Any) -> bool:
    """Whether a tree is the state of an nnx module."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(tree, nnx.State)


def _is_module(model: Any, library: str) -> bool:
    loaded = sys.modules.get(library)
    return loaded is not None and isinstance(model, loaded.Module)


def _either(forms: tuple[str, ...]) -> str:
    *others, last = (FORMS[form] for form in forms)
    return f"{', '.join(others)}, or {last}" if others else last
