"""One name for each parameter: the steps of its path, joined with dots, in both frameworks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from paramlock.models.frameworks import form_of, is_state


def parameters_by_name(source: Any) -> dict[str, Any]:
    """The parameters of `source` as {name: array}.

    A name joins the steps of a path with dots, as in a certificate: `encoder.layers.0.weight` in
    torch, `Dense_0.kernel` in linen. The arrays are the live ones: gradients flow through them.

    Args:
        source: a torch `Module`, an `nnx.Module`, or (nested) dicts of arrays. Of linen's variables
            their collection `params` is taken, and its name is no part of any parameter's.

    Raises:
        ValueError: two arrays of one name, where keys hold dots.
        TypeError: something that holds no named parameters.
    """
    form = form_of(source)
    if form == "torch":
        return dict(source.named_parameters())
    if form == "nnx":
        from flax import nnx

        flat = nnx.to_flat_state(nnx.state(source, nnx.Param))
        return by_name((joined(path), leaf[...]) for path, leaf in flat)
    if form == "tree":
        return by_name(_leaves(weights_in(source), ()))
    raise TypeError(f"{type(source).__name__} holds no named parameters: pass a model or dicts")


def by_name(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of the pairs; raises `ValueError` for a name that stands twice."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(
                f"two parameters are called {name!r}: a key holds a dot, which joins the steps of "
                "a path; rename it"
            )
        found[name] = value
    return found


def joined(path: Iterable[Any]) -> str:
    """The name of the parameter at the end of a path of keys."""
    return ".".join(map(str, path))


def weights_in(params: Any) -> Any:
    """The tree of parameters alone: of linen's variables, what is in their collection `params`."""
    return params["params"] if is_variables(params) else params


def is_variables(params: Any) -> bool:
    """Whether a tree is linen's variables: collections by name, `params` among them.

    Parameters are not taken for them: linen refuses a module called `params` at the top.
    """
    collections = isinstance(params, Mapping) and not is_state(params)
    return collections and isinstance(params.get("params"), Mapping)


def _leaves(tree: Any, path: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, (Mapping, list, tuple)):
        steps = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
        for key, value in steps:
            yield from _leaves(value, (*path, key))
    else:
        yield joined(path), tree
