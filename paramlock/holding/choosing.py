"""Which entries of the parameters to hold: by size, by a score, by chance, or by a pattern.

An *entry* is one number of a parameter; a *score* is a number for each entry that says how much
it is worth; *held* entries are those that training shall not move, written as {parameter name:
booleans of its shape}, `True` where held. Torch and JAX take the same path through NumPy, so
equal numbers are chosen equally; entries that tie are taken in the order in which they are stored.

Sources: magnitude, Han et al. 2015, "Learning both weights and connections"; movement, Sanh, Wolf
& Rush 2020, "Movement pruning", §3; n of m, Mishra et al. 2021, "Accelerating sparse deep neural
networks"; the cubic schedule, Zhu & Gupta 2017, "To prune, or not to prune", §3.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from paramlock.models.arrays import is_torch
from paramlock.models.names import parameters_by_name
from paramlock.models.paths import matching

SCOPES = ("global", "tensor")
ENDS = ("lowest", "highest")
Arrays = Mapping[str, Any]


def choose_entries(
    source: Any,
    fraction: float,
    *,
    by: str | Arrays = "magnitude",
    which: str = "lowest",
    scope: str = "global",
    names: Iterable[str] | None = None,
    seed: int = 0,
    first: Arrays | None = None,
) -> dict[str, Any]:
    """The `fraction` of entries with the lowest (or highest) scores, as held entries.

    ::

        choose_entries(model, 0.9)                               # the 90 % smallest weights
        choose_entries(model, 0.5, by=fisher, which="highest")   # the half that matters most

    Args:
        source: a torch `Module`, an `nnx.Module`, or (nested) dicts of arrays.
        fraction: share of entries to choose, from 0 to 1; their number is rounded to the nearest.
        by: "magnitude" (absolute value), "random" (equal for equal names, shapes and seeds in both
            frameworks), or scores: {name: array}, as `fisher_diagonal` and `movement_scores`
            return them. Scores choose among the parameters that they name.
        which: "lowest" or "highest".
        scope: "global" compares all entries with each other; "tensor" chooses the same share of
            each parameter.
        names: patterns of `models.paths` for parameters. By default
            all that scores name, otherwise all with two axes or more: weights, not biases.
        seed: for "random".
        first: held entries to choose before all others, so that a choice can grow.

    Raises:
        ValueError: a fraction outside [0, 1], an unknown option or name, scores that do not fit
            the parameters or are NaN.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction is {fraction}: it is a share, from 0 to 1")
    _require("which", which, ENDS)
    _require("scope", scope, SCOPES)
    parameters = parameters_by_name(source)
    scores = _scores(parameters, by, names, seed, which == "highest")
    _put_first(scores, first)
    chosen = _lowest(scores, fraction) if scope == "global" else {
        name: _lowest({name: score}, fraction)[name] for name, score in scores.items()
    }  # fmt: skip
    return {name: _beside(parameters[name], held) for name, held in chosen.items()}


def choose_n_of_m(
    source: Any,
    n: int,
    m: int,
    *,
    by: str | Arrays = "magnitude",
    names: Iterable[str] | None = None,
    axis: int | None = None,
    first: Arrays | None = None,
) -> dict[str, Any]:
    """Held entries that leave the `n` highest of every `m` neighbours: 2 of 4, say.

    Neighbours lie along the inputs of a unit, which is how sparse hardware reads them: axis 1 of
    torch's weights, axis -2 of a Flax kernel. `axis` says otherwise; for the other arguments see
    `choose_entries`.

    Raises:
        ValueError: an axis whose length is no multiple of `m`: leave such a parameter out by
            `names`, as one does with a first layer.
    """
    if not 0 < n < m:
        raise ValueError(f"{n} of {m} is no pattern: n is between 0 and m")
    parameters = parameters_by_name(source)
    scores, held = _scores(parameters, by, names, 0), {}
    _put_first(scores, first)
    for name, score in scores.items():
        along = axis if axis is not None else 1 if is_torch(parameters[name]) else -2
        held[name] = _beside(parameters[name], _but_n_of_m(score, n, m, along, name))
    return held


def choose_to_prune(
    source: Any,
    sparsity: float | tuple[int, int],
    *,
    by: str | Arrays,
    scope: str,
    names: Iterable[str] | None,
    seed: int,
    first: Arrays | None,
) -> dict[str, Any]:
    """Held entries for a share or for n of m; raises `ValueError` where `first` holds more."""
    if isinstance(sparsity, tuple):
        held = choose_n_of_m(source, *sparsity, by=by, names=names, first=first)
    else:
        options: dict[str, Any] = {"by": by, "scope": scope, "names": names, "seed": seed}
        held = choose_entries(source, sparsity, first=first, **options)
    for name, before in (first or {}).items():
        if name not in held or bool((before & ~held[name]).any()):
            raise ValueError(
                f"more of {name!r} is pruned than sparsity {sparsity} asks for, and prune frees "
                "nothing: ask for more, or free entries first (in torch by regrow or lock.undo())"
            )
    return held


def movement_scores(
    source: Any, gradients: Arrays | Any = None, *, before: Arrays | None = None
) -> dict[str, Any]:
    """`before` minus parameter times gradient, entry by entry: add it up over training.

    A score is positive where steps have carried the entry away from zero, negative where they
    carry it towards zero. Fine-tuning prunes by it, since it sees what the new task does to a
    weight and not only what the old one left. Call it once a step, after the backward pass::

        scores = movement_scores(model, before=scores)

    Args:
        source: as in `choose_entries`.
        gradients: of the parameters, in the same form; for torch by default their `.grad`, those
            without one left out.
        before: what the last call returned, `None` at first.
    """
    parameters = parameters_by_name(source)
    slopes: Arrays = (
        {name: p.grad for name, p in parameters.items() if getattr(p, "grad", None) is not None}
        if gradients is None
        else parameters_by_name(gradients)
    )
    if not slopes:
        raise ValueError("there are no gradients: run a backward pass first, or pass gradients=")
    parts = {name: -_plain(parameters[name]) * _plain(slopes[name]) for name in slopes}
    return {name: part + (before or {}).get(name, 0.0) for name, part in parts.items()}


def cubic_sparsity(
    step: float, *, begin: float, end: float, final: float, initial: float = 0.0
) -> float:
    """The share to prune at `step`: fast at first, when much is redundant, then slowly.

    From `initial` until `begin` to `final` from `end` on, in any unit of time (Zhu & Gupta
    2017, eq. 1): final + (initial - final)(1 - t)³, with t from 0 to 1 in between.
    """
    if not (begin < end and 0 <= initial <= final <= 1):
        raise ValueError(
            f"from {initial} at {begin} to {final} at {end} is no schedule: begin comes before "
            "end, and shares grow within 0 to 1"
        )
    time = min(max((step - begin) / (end - begin), 0.0), 1.0)
    left = (1 - time) ** 3
    return initial * left + final * (1 - left)  # exact at both ends


def _scores(
    parameters: Arrays,
    by: str | Arrays,
    names: Iterable[str] | None,
    seed: int,
    highest: bool = False,
) -> dict[str, np.ndarray]:
    """Scores of the parameters to choose from, as float arrays, the first choice lowest."""
    if isinstance(by, str):
        _require("by", by, ("magnitude", "random"))
        found = {name: p for name, p in parameters.items() if p.ndim > 1 or names is not None}
    else:
        found = {name: _fitting(name, score, parameters) for name, score in by.items()}
    found = {name: found[name] for name in _named(names, found)}
    if not found:
        raise ValueError("no parameter to choose from: pass names= for biases and other vectors")
    scores = {name: _array(array) for name, array in found.items()}
    if by == "magnitude":
        scores = {name: np.abs(array) for name, array in scores.items()}
    elif by == "random":
        scores = {name: _drawn(name, array.shape, seed) for name, array in scores.items()}
    unknown = [name for name, array in scores.items() if np.isnan(array).any()]
    if unknown:
        raise ValueError(f"scores of {', '.join(unknown)} are NaN, and NaN has no order")
    return {name: -array for name, array in scores.items()} if highest else scores


def _put_first(scores: dict[str, np.ndarray], first: Arrays | None) -> None:
    """Give what is to be chosen before all others the lowest score there is."""
    for name, held in (first or {}).items():
        if name in scores:
            scores[name] = np.where(_array(held), -np.inf, scores[name])


def _named(names: Iterable[str] | None, found: Arrays) -> Iterable[str]:
    if names is None:
        return found
    return matching(names, found, "the parameters to choose from")


def _fitting(name: str, score: Any, parameters: Arrays) -> Any:
    shape = tuple(parameters[name].shape) if name in parameters else "missing"
    if tuple(score.shape) != shape:
        raise ValueError(
            f"scores of {name!r} have the shape {tuple(score.shape)}, the parameter is {shape}: "
            "take the scores of this model"
        )
    return score


def _drawn(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng([seed, *name.encode()]).random(shape)  # draws of its own


def _lowest(scores: Mapping[str, np.ndarray], fraction: float) -> dict[str, np.ndarray]:
    """Where the lowest entries of all arrays together are; ties in order."""
    flat = np.concatenate([array.reshape(-1) for array in scores.values()])
    count = int(fraction * flat.size + 0.5)
    held = np.zeros(flat.size, bool)
    if count:
        limit = np.partition(flat, count - 1)[count - 1]
        held[flat < limit] = True
        held[np.flatnonzero(flat == limit)[: count - int(held.sum())]] = True
    ends = np.cumsum([array.size for array in scores.values()])[:-1]
    parts = zip(scores.items(), np.split(held, ends), strict=True)
    return {name: part.reshape(array.shape) for (name, array), part in parts}


def _but_n_of_m(score: np.ndarray, n: int, m: int, axis: int, name: str) -> np.ndarray:
    if score.ndim < 2 or score.shape[axis] % m:
        raise ValueError(
            f"{name} of shape {score.shape} has no groups of {m} along axis {axis}: "
            "leave it out by names="
        )
    last = np.moveaxis(score, axis, -1)
    groups = last.reshape(*last.shape[:-1], -1, m)
    lowest_first = np.argsort(groups, axis=-1, kind="stable")
    held = np.zeros(groups.shape, bool)
    np.put_along_axis(held, lowest_first[..., : m - n], True, axis=-1)
    return np.ascontiguousarray(np.moveaxis(held.reshape(last.shape), -1, axis))


def _plain(array: Any) -> Any:
    return array.detach() if is_torch(array) else array


def _array(array: Any) -> np.ndarray:
    """Numbers for NumPy, half precision widened."""
    if is_torch(array):
        array = array.detach().cpu()
        array = array.float() if array.dtype.itemsize == 2 else array
    elif array.dtype.itemsize == 2:
        array = array.astype("float32")
    return np.asarray(array)


def _beside(parameter: Any, held: np.ndarray) -> Any:
    """The booleans in the parameter's framework and place."""
    if is_torch(parameter):
        return sys.modules["torch"].from_numpy(held).to(parameter.device)
    import jax.numpy as jnp

    return jnp.asarray(held)


def _require(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
