"""Take steps of an optax transformation, and hand its state over, leaf by leaf.

States are nests of named tuples and dicts, differently deep for every way of writing the same
thing. What stays is the order of names on the way to a leaf: `mu`, then the path of a parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

Names = tuple[str, ...]
"""The names on the way to a leaf: of dict keys and of fields, places in tuples left out."""


def named(state: Any) -> list[tuple[Names, Any]]:
    """The leaves of a state that are not empty, each with its names."""
    leaves = jax.tree.leaves_with_path(state)
    return [(names_of(keys), leaf) for keys, leaf in leaves if np.size(leaf)]


def names_of(keys: Iterable[Any]) -> Names:
    parts = (getattr(key, "key", getattr(key, "name", ())) for key in keys)
    return tuple(name for part in parts for name in _split(part))


def _split(part: Any) -> list[str]:
    """The names in a key: flat dicts have paths for keys, as tuples or joined by '/'.

    A name that holds a '/' itself is taken apart too, wherever it stands.
    """
    names = part if isinstance(part, tuple) else (part,)
    return [piece for name in names for piece in str(name).split("/")]


def owner(names: Names, paths: Iterable[Names]) -> Names | None:
    """The longest of `paths` whose names occur, in their order, among `names`."""
    found = [path for path in paths if _occurs(path, names)]
    return max(found, key=len, default=None)


def _occurs(path: Names, names: Names) -> bool:
    rest = iter(names)
    return all(name in rest for name in path)


def handed_over(old: Any, new: Any) -> Any:
    """The state `new` with each leaf taken from `old` that `old` has for the same names."""
    known = dict(named(old))

    def take(keys: Any, leaf: Any) -> Any:
        value = known.get(owner(names_of(keys), known) or (), leaf)
        return value if np.shape(value) == np.shape(leaf) else leaf

    return jax.tree.map_with_path(take, new)


def handed_back(old: Any, new: Any) -> Any:
    """The state `new` with each leaf taken from `old`, which may hold it under more names."""
    paths = [names for names, _ in named(new)]
    known = {owner(names, paths): leaf for names, leaf in named(old)}
    return jax.tree.map_with_path(lambda keys, leaf: known.get(names_of(keys), leaf), new)


def trained(
    transformation: Any, params: Any, state: Any, gradients: Sequence[Any]
) -> tuple[Any, Any]:
    """Parameters and state after a step for each tree of gradients."""
    for gradient in gradients:
        gradient = jax.tree.map(jnp.asarray, gradient)
        updates, state = transformation.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return params, state
